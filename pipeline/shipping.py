# SPDX-License-Identifier: Apache-2.0
"""The stages that make files and measure them: what each loads, calls and saves.

As in `learning.py`, each function fills a folder and returns facts for the report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from converters.pretrained import load_model
from pipeline.config import Build, Target
from pipeline.progress import Progress
from pipeline.session import limits, prepare, progress
from pipeline.tasks.question_answering.squad import QuestionSet

Facts = Mapping[str, Any]
METHOD = (
    "single stream: one question at a time, all its windows one after another, subjects "
    "interleaved question by question in an order shuffled by seed, all in one process; load, "
    "first run and memory in a process of its own, the median of three"
)


def export(
    folder: Path,
    _scratch: Path,
    *,
    build: Build,
    target: Target,
    student: Path,
    evaluation: QuestionSet,
    may_abstain: bool,
) -> Facts:
    """A target's folder: a file for each precision, vocabulary, model.json, golden cases."""
    from transformers import DistilBertForQuestionAnswering

    from converters.runtimes.open import open_predictor
    from pipeline.files import export, targets
    from pipeline.models import teacher as teachers

    prepare(build)
    tokenizer = teachers.load_tokenizer(student)
    model = load_model(DistilBertForQuestionAnswering, student).eval()
    vocabulary = export.write_vocabulary(folder, tokenizer)
    files = targets.make(target, model, folder, build, vocabulary)
    export.write_model_json(
        vocabulary,
        files,
        tokenizer,
        limits(build),
        max_positions=model.config.max_position_embeddings,
        may_abstain=may_abstain,
        static_lengths=build.export.static_lengths if target != "onnx" else (),
    )
    cases = export.write_golden(
        folder,
        {path.name: open_predictor(path) for path in files.values()},
        tokenizer,
        limits(build),
        evaluation.questions,
        build.export.golden_cases,
        may_abstain=may_abstain,
    )
    return {"files": len(files), "golden_cases": cases}


def export_baseline(folder: Path, build: Build, teacher: Path) -> Facts:
    """The teacher in the formats that are timed, so that the report compares like with like."""
    from transformers import BertForQuestionAnswering

    from pipeline.files import targets

    prepare(build)
    model = load_model(BertForQuestionAnswering, teacher).eval()
    return {
        target: targets.make_baseline(target, model, folder, build).stat().st_size
        for target in build.export.files
        if targets.can_be_timed(target)
    }


def verify(
    folder: Path,
    build: Build,
    teacher: Path,
    student: Path,
    files: Sequence[Path],
    evaluation: QuestionSet,
    may_abstain: bool,
) -> Facts:
    """Scores teacher, student and every file; holds each file against the student."""
    from converters.runtimes.open import open_predictor
    from pipeline.artifacts import write_json
    from pipeline.files import targets
    from pipeline.models import teacher as teachers
    from pipeline.tasks.question_answering.evaluate import METRICS, Answerer
    from pipeline.verify import compare, run

    prepare(build)
    tokenizer = teachers.load_tokenizer(student)

    def ask(model: Any, label: str, pad_to: int | None = None) -> Any:
        answerer = Answerer(model, tokenizer, limits(build), pad_to=pad_to, may_abstain=may_abstain)
        return run(
            answerer,
            evaluation,
            lambda asked: progress(build, asked, f"scoring {label}", "question"),
        )

    reference = ask(_torch_predictor(build, student), "student")
    taught = ask(_torch_predictor(build, teacher), "teacher")
    entries = []
    for path in files:
        model = open_predictor(path, build.benchmark.threads)
        precision, facts = targets.precision_of(path), targets.describe(path)
        natural = ask(model, path.name)
        padded = ask(model, f"{path.name}, padded", pad_to=build.data.max_length)
        entries.append(
            {
                "name": path.name,
                "path": f"{path.parent.name}/{path.name}",
                "target": targets.target_of(path),
                "precision": precision,
                "purpose": targets.advice(targets.target_of(path))[precision],
                **asdict(facts),
                "scores": natural.scores.facts(),
                "gate": compare(natural, padded, reference, build.gates[precision]),
            }
        )
    models = [
        _describe(teacher, "teacher") | {"scores": taught.scores.facts()},
        _describe(student, "student") | {"scores": reference.scores.facts()},
    ]
    found = {"metrics": METRICS, "models": models, "files": entries}
    write_json(folder / "verify.json", found)
    return {"passed": all(entry["gate"]["passed"] for entry in entries)}


def benchmark(
    folder: Path,
    build: Build,
    student: Path,
    baseline: Path,
    files: Sequence[Path],
    evaluation: QuestionSet,
) -> Facts:
    """Latency of the files and of the teacher, interleaved; load time and memory of each alone."""
    from benchmarks.measure import latency, memory
    from benchmarks.measure.schema import Lengths
    from benchmarks.measure.session import KINDS, WAYS, marked, ratios, rounded, subject
    from converters.runtimes.open import open_predictor
    from converters.start import module_command
    from pipeline.artifacts import write_json
    from pipeline.files import targets
    from pipeline.models import teacher as teachers
    from pipeline.tasks.question_answering.evaluate import Answerer
    from pipeline.tasks.question_answering.features import Windower

    settings = build.benchmark
    # Each file against the teacher in the same runtime.
    compared: list[tuple[str, str]] = []
    subjects: dict[str, Path] = {}
    for path in files:
        if targets.can_be_timed(targets.target_of(path)):
            against = baseline / f"teacher-fp32{path.suffix}"
            compared.append((path.name, against.name))
            subjects |= {against.name: against, path.name: path}
    tokenizer = teachers.load_tokenizer(student)
    step = max(1, len(evaluation.questions) // settings.queries)
    questions = evaluation.questions[::step][: settings.queries]
    windower = Windower(tokenizer, limits(build))
    queries = [windower.windows(q.text, q.context) for q in questions]
    runners: dict[str, Answerer] = {}
    for name, path in subjects.items():
        for kind, pad_to in (("natural", None), ("padded", build.data.max_length)):
            model = open_predictor(path, settings.threads)
            runners[f"{name} {kind}"] = Answerer(model, tokenizer, limits(build), pad_to=pad_to)
    with Progress("timing", unit="query", shown=build.hardware.progress) as bar:
        samples = latency.measure(
            {name: runner.logits for name, runner in runners.items()},
            queries,
            rounds=settings.rounds,
            seed=build.seed,
            progress=bar,
        )
    seconds = sum(map(sum, samples.values())) / 1e3
    stream = latency.Stream(samples, settings.rounds, settings.rounds * len(queries), seconds)
    times: dict[str, dict[Lengths, list[float]]] = {
        name: {kind: list(samples[f"{name} {kind}"]) for kind in KINDS} for name in subjects
    }
    found = {}
    for name, path in subjects.items():
        command = [*module_command("converters.runtimes.probe"), str(path)]
        command += ["--threads", str(settings.threads), "--length", str(build.data.max_length)]
        start = memory.probe_median(command, runs=3)
        found[name] = subject(path, times[name], start, rounds=settings.rounds)
    pairs = [(path, against, mine, theirs) for path, against in compared for mine, theirs in WAYS]
    write_json(
        folder / "latency.json",
        {
            "method": marked(METHOD, stream.too_short),
            "threads": settings.threads,
            "queries": len(queries),
            "rounds": settings.rounds,
            "padded_length": build.data.max_length,
            "mean_tokens": sum(len(w.ids) for windows in queries for w in windows) / len(queries),
            "busy": latency.busy(samples, rounds=settings.rounds),
            "subjects": found,
            "ratios": ratios(times, pairs, rounds=settings.rounds, seed=build.seed),
            "samples_ms": rounded(times),
        },
    )
    return {"queries": len(queries)}


def _torch_predictor(build: Build, folder: Path) -> Any:
    """A model of the build in PyTorch, on the build's device."""
    from transformers import AutoModelForQuestionAnswering

    from converters.runtimes.torch import TorchPredictor

    model = load_model(AutoModelForQuestionAnswering, folder)
    return TorchPredictor(model.to(prepare(build)), folder.name)


def _describe(folder: Path, name: str) -> dict[str, Any]:
    """Size of a saved model, for the report."""
    from transformers import AutoModelForQuestionAnswering

    model = load_model(AutoModelForQuestionAnswering, folder)
    config = model.config
    weights = sum(path.stat().st_size for path in folder.glob("model*.safetensors"))
    return {
        "name": name,
        "layers": config.num_hidden_layers,
        "hidden_size": config.hidden_size,
        "parameters": sum(p.numel() for p in model.parameters()),
        "parameters_embedding": sum(
            p.numel() for n, p in model.named_parameters() if "_embeddings." in n
        ),
        "bytes": weights,
    }
