# SPDX-License-Identifier: Apache-2.0
"""What each stage loads, calls and saves: the seams between `build.py` and the stages' own modules.

Each function fills a folder that :class:`pipeline.artifacts.Store` hands out, and returns facts for
the report.  PyTorch is imported inside them, so that a build with nothing to do ends in a moment.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config import Build
from pipeline.data.squad import QuestionSet
from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.data.corpus import Corpus
    from pipeline.data.features import Feature, Limits
    from pipeline.teacher import Source

Facts = Mapping[str, Any]
STREAM_COUNTED = 2000  # samples of a stream that the frequencies of pieces are counted on
METHOD = (
    "single stream: one window at a time, subjects interleaved question by question in an order "
    "shuffled by seed, all in one process; load, first run and memory in a process of its own, the "
    "median of three"
)
HELD_OUT = 64  # samples kept apart to measure the MLM head on


def limits(build: Build) -> Limits:
    """How passages are cut, from the settings."""
    from pipeline.data.features import Limits

    data = build.data
    return Limits(data.max_length, data.stride, data.max_query, data.max_answer, data.n_best)


def fit_mlm_head(
    folder: Path, scratch: Path, build: Build, teacher: Path, corpus: Corpus | None, has_head: bool
) -> Facts:
    """A teacher with an MLM head; the head is fitted where there is none, the encoder frozen."""
    from transformers import BertForMaskedLM

    from pipeline import distil
    from pipeline import teacher as teachers

    device = prepare(build)
    tokenizer = teachers.load_tokenizer(teacher)
    model = BertForMaskedLM.from_pretrained(teacher, use_safetensors=True).float().eval().to(device)
    facts: Facts = {"head": "the teacher's own"}
    if not has_head:
        samples = _samples(build, corpus, tokenizer, build.mlm_head.max_samples)
        held_out, rest = samples[:HELD_OUT], samples[HELD_OUT:]
        if not rest:
            raise UserError(
                f"too little text to fit an MLM head: {len(samples)} samples, at least "
                f"{HELD_OUT + 1} are needed: add text with --distil.text"
            )
        masking = _masking(build, tokenizer, samples)
        facts = distil.fit_mlm_head(
            model,
            masking,
            rest,
            held_out,
            config=build.mlm_head,
            hardware=build.hardware,
            seed=build.seed,
            scratch=scratch,
        )
    _save(model, tokenizer, folder)
    return facts


def finetune_teacher(
    folder: Path, scratch: Path, build: Build, source: Source, train: QuestionSet
) -> Facts:
    """The teacher with a question-answering head: its own, or fine-tuned on the questions."""
    from pipeline import finetune
    from pipeline import teacher as teachers

    device = prepare(build)
    tokenizer = teachers.load_tokenizer(source.folder)
    model = teachers.load_question_answering(source).to(device)
    facts: Facts = {"head": "the teacher's own"}
    if not source.has_qa_head:
        features = _features(build, tokenizer, train)
        facts = finetune.finetune_teacher(
            model,
            features,
            tokenizer.pad_token_id,
            optimization=build.teacher.optimization,
            hardware=build.hardware,
            seed=build.seed,
            scratch=scratch,
        ).facts()
    _save(model, tokenizer, folder)
    return facts


def distil(
    folder: Path,
    scratch: Path,
    build: Build,
    teacher: Path,
    corpus: Corpus | None,
    layers: Sequence[int],
) -> Facts:
    """The student of general distillation, with an MLM head."""
    from transformers import BertForMaskedLM, DistilBertForMaskedLM

    from pipeline import distil as distillation
    from pipeline import student as students
    from pipeline import teacher as teachers
    from pipeline.data import corpus as texts
    from pipeline.training import Schedule

    device = prepare(build)
    config = build.distil
    tokenizer = teachers.load_tokenizer(teacher)
    model = BertForMaskedLM.from_pretrained(teacher, use_safetensors=True).eval().to(device)
    state = None
    if build.student.init == "teacher":
        state = students.student_state(
            model.state_dict(), layers, fold_token_types=build.student.fold_token_types
        )
    student = students.build_student(DistilBertForMaskedLM, model.config, state, layers, build.seed)
    examples: Schedule | distillation.Stream
    if corpus is not None:
        samples = _samples(build, corpus, tokenizer, config.max_samples)
        optimization = config.optimization
        examples = Schedule(
            samples,
            [len(s) for s in samples],
            optimization.batch_size,
            optimization.epochs,
            build.seed,
        )
        counted = samples
    else:
        source = config.text[0]
        examples = distillation.Stream(
            lambda: texts.pack(
                tokenizer, texts.stream_hub(source, config.text_column), config.length
            )
        )
        counted = [ids for _, (_, ids) in zip(range(STREAM_COUNTED), examples, strict=False)]
    result = distillation.distil(
        student,
        model,
        layers,
        examples,
        _masking(build, tokenizer, counted),
        config=config,
        hardware=build.hardware,
        seed=build.seed,
        scratch=scratch,
    )
    _save(student, tokenizer, folder)
    return result.facts()


def record_teacher_outputs(
    folder: Path, build: Build, teacher: Path, train: QuestionSet, layers: Sequence[int]
) -> Facts:
    """The fine-tuned teacher's logits and hidden states for every training window."""
    from transformers import BertForQuestionAnswering

    from pipeline import finetune
    from pipeline import teacher as teachers

    device = prepare(build)
    tokenizer = teachers.load_tokenizer(teacher)
    model = BertForQuestionAnswering.from_pretrained(teacher, use_safetensors=True).to(device)
    return finetune.record_outputs(
        model,
        _features(build, tokenizer, train),
        tokenizer.pad_token_id,
        layers if build.finetune.alpha_hidden else (),
        folder,
        build.finetune.optimization.batch_size,
    )


def finetune_student(
    folder: Path,
    scratch: Path,
    build: Build,
    teacher: Path,
    distilled: Path | None,
    outputs: Path | None,
    train: QuestionSet,
    layers: Sequence[int],
) -> Facts:
    """The student that is shipped, fine-tuned with or without the second distillation step."""
    from transformers import (
        BertForQuestionAnswering,
        DistilBertForMaskedLM,
        DistilBertForQuestionAnswering,
    )

    from pipeline import finetune
    from pipeline import student as students
    from pipeline import teacher as teachers

    prepare(build)
    tokenizer = teachers.load_tokenizer(teacher)
    model = BertForQuestionAnswering.from_pretrained(teacher, use_safetensors=True)
    taught = students.student_state(
        model.state_dict(), layers, fold_token_types=build.student.fold_token_types
    )
    state = taught if build.student.init == "teacher" else None
    if distilled is not None:
        learned = DistilBertForMaskedLM.from_pretrained(
            distilled, use_safetensors=True
        ).state_dict()
        state = {name: tensor for name, tensor in learned.items() if name.startswith("distilbert.")}
        if build.student.init == "teacher":
            # The head that reads the teacher's last hidden states fits the student's, which were
            # made to resemble them.
            state |= {
                name: tensor for name, tensor in taught.items() if name.startswith("qa_outputs.")
            }
    student = students.build_student(
        DistilBertForQuestionAnswering, model.config, state, layers, build.seed
    )
    result = finetune.finetune_student(
        student,
        _features(build, tokenizer, train),
        tokenizer.pad_token_id,
        outputs=finetune.TeacherOutputs(outputs) if outputs else None,
        config=build.finetune,
        hardware=build.hardware,
        seed=build.seed,
        scratch=scratch,
    )
    _save(student, tokenizer, folder)
    return result.facts()


def export_tflite(
    folder: Path, build: Build, student: Path, evaluation: QuestionSet, may_abstain: bool
) -> Facts:
    """The phone's folder: a file for each precision, vocabulary, model.json, golden cases."""
    from transformers import DistilBertForQuestionAnswering

    from converters.runtimes import open_predictor
    from converters.to_tflite import export_many
    from pipeline import export
    from pipeline import teacher as teachers

    prepare(build)
    tokenizer = teachers.load_tokenizer(student)
    model = DistilBertForQuestionAnswering.from_pretrained(student, use_safetensors=True).eval()
    files = export_many(
        model, folder, build.export.precision, stem="student", length=build.data.max_length
    )
    export.write_bundle(
        folder,
        files,
        tokenizer,
        limits(build),
        max_positions=model.config.max_position_embeddings,
        may_abstain=may_abstain,
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
    """The teacher in the same format, so that the report compares like with like."""
    from transformers import BertForQuestionAnswering

    from converters.to_tflite import export_tflite

    prepare(build)
    model = BertForQuestionAnswering.from_pretrained(teacher, use_safetensors=True).eval()
    path = export_tflite(
        model, folder / "teacher-fp32.tflite", precision="fp32", length=build.data.max_length
    )
    return {"bytes": path.stat().st_size}


def verify(
    folder: Path,
    build: Build,
    teacher: Path,
    student: Path,
    files: Mapping[str, Path],
    evaluation: QuestionSet,
    may_abstain: bool,
) -> Facts:
    """Scores teacher, student and every file; holds each file against the student."""
    from converters.runtimes import open_predictor
    from pipeline import teacher as teachers
    from pipeline.artifacts import sha256, write_json
    from pipeline.evaluate import Answerer
    from pipeline.verify import compare, run

    prepare(build)
    tokenizer = teachers.load_tokenizer(student)

    def ask(model: Any, label: str, pad_to: int | None = None) -> Any:
        answerer = Answerer(model, tokenizer, limits(build), pad_to=pad_to, may_abstain=may_abstain)
        return run(answerer, evaluation, lambda asked: _progress(build, asked, f"scoring {label}"))

    reference = ask(_torch_predictor(build, student), "student")
    taught = ask(_torch_predictor(build, teacher), "teacher")
    entries = []
    for precision, path in files.items():
        model = open_predictor(path, build.benchmark.threads)
        natural = ask(model, path.name)
        padded = ask(model, f"{path.name}, padded", pad_to=build.data.max_length)
        entries.append(
            {
                "name": path.stem,
                "path": f"{path.parent.name}/{path.name}",
                "target": path.parent.name,
                "precision": precision,
                "bytes": path.stat().st_size,
                "sha256": sha256(path),
                **natural.scores.facts(),
                "gate": compare(natural, padded, reference, build.gates[precision]),  # type: ignore[index]
            }
        )
    models = [
        _describe(teacher, "teacher") | taught.scores.facts(),
        _describe(student, "student") | reference.scores.facts(),
    ]
    write_json(folder / "verify.json", {"models": models, "files": entries})
    return {"passed": all(entry["gate"]["passed"] for entry in entries)}


def benchmark(
    folder: Path,
    build: Build,
    student: Path,
    subjects: Mapping[str, Path],
    evaluation: QuestionSet,
) -> Facts:
    """Latency of the files and of the teacher, interleaved; load time and memory of each alone."""
    from benchmarks import latency, memory
    from converters.runtimes import open_predictor
    from pipeline import teacher as teachers
    from pipeline.artifacts import write_json
    from pipeline.evaluate import Answerer

    settings = build.benchmark
    tokenizer = teachers.load_tokenizer(student)
    step = max(1, len(evaluation.questions) // settings.queries)
    questions = evaluation.questions[::step][: settings.queries]
    windower = Answerer(None, tokenizer, limits(build)).windower  # type: ignore[arg-type]
    queries = [w for q in questions for w in windower.windows(q.text, q.context)[:1]]
    runners: dict[str, Answerer] = {}
    for name, path in subjects.items():
        for kind, pad_to in (("natural", None), ("padded", build.data.max_length)):
            model = open_predictor(path, settings.threads)
            runners[f"{name} {kind}"] = Answerer(model, tokenizer, limits(build), pad_to=pad_to)
    with _Bar(build, "timing") as bar:
        samples = latency.measure(
            {name: runner.window_logits for name, runner in runners.items()},
            queries,
            rounds=settings.rounds,
            seed=build.seed,
            progress=bar,
        )
    found: dict[str, Any] = {}
    for name, path in subjects.items():
        command = [
            sys.executable,
            "-m",
            "converters.runtimes",
            str(path),
            "--threads",
            str(settings.threads),
        ]
        command += ["--length", str(build.data.max_length)]
        found[name] = {
            "path": f"{path.parent.name}/{path.name}",
            **{
                kind: asdict(latency.summarize(samples[f"{name} {kind}"], rounds=settings.rounds))
                for kind in ("natural", "padded")
            },
            **asdict(memory.probe_median(command, runs=3)),
        }
    slower, *files = subjects
    ratios = []
    for faster in files:
        for mine, theirs in (("natural", "padded"), ("natural", "natural"), ("padded", "padded")):
            value, low, high = latency.ratio(
                samples[f"{slower} {theirs}"],
                samples[f"{faster} {mine}"],
                build.seed,
                rounds=settings.rounds,
            )
            ratios.append(
                {
                    "faster": faster,
                    "slower": slower,
                    "faster_lengths": mine,
                    "slower_lengths": theirs,
                    "ratio": value,
                    "low": low,
                    "high": high,
                }
            )
    write_json(
        folder / "latency.json",
        {
            "method": METHOD,
            "threads": settings.threads,
            "queries": len(queries),
            "rounds": settings.rounds,
            "padded_length": build.data.max_length,
            "mean_tokens": sum(len(w.ids) for w in queries) / len(queries),
            "busy": latency.busy(samples, rounds=settings.rounds),
            "subjects": found,
            "ratios": ratios,
            "samples_ms": {
                name: {
                    kind: [round(s, 4) for s in samples[f"{name} {kind}"]]
                    for kind in ("natural", "padded")
                }
                for name in subjects
            },
        },
    )
    return {"queries": len(queries)}


def prepare(build: Build) -> Any:
    """Sets threads, seeds and determinism; returns the device."""
    import torch
    from transformers import logging, set_seed

    from pipeline.training import pick_device

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if build.hardware.threads:
        torch.set_num_threads(build.hardware.threads)
    set_seed(build.seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    return pick_device(build.hardware.device)


def _features(build: Build, tokenizer: Any, train: QuestionSet) -> list[Feature]:
    from pipeline.data.features import Windower, training_features

    return training_features(Windower(tokenizer, limits(build)), train.questions)


def _samples(build: Build, corpus: Corpus | None, tokenizer: Any, most: int | None) -> list[Any]:
    """Samples of the corpus in a shuffled order, so that the first few are no one chapter."""
    import numpy as np

    from pipeline.data.corpus import pack

    assert corpus is not None
    samples = list(pack(tokenizer, corpus.paragraphs, build.distil.length))
    order = np.random.default_rng(build.seed).permutation(len(samples))
    return [samples[i] for i in order[:most]]


def _masking(build: Build, tokenizer: Any, samples: Sequence[Any]) -> Any:
    from pipeline.distil import Masking, count_pieces

    return Masking(
        tokenizer,
        count_pieces(samples, len(tokenizer)),
        share=build.distil.mask_share,
        smoothing=build.distil.mask_smoothing,
        seed=build.seed,
    )


def _torch_predictor(build: Build, folder: Path) -> Any:
    """A model of the build in PyTorch, on the build's device."""
    from transformers import AutoModelForQuestionAnswering

    from converters.runtimes import TorchPredictor

    model = AutoModelForQuestionAnswering.from_pretrained(folder, use_safetensors=True)
    return TorchPredictor(model.to(prepare(build)), folder.name)


def _describe(folder: Path, name: str) -> dict[str, Any]:
    """Size of a saved model, for the report."""
    from transformers import AutoModelForQuestionAnswering

    model = AutoModelForQuestionAnswering.from_pretrained(folder, use_safetensors=True)
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


def _save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Writes a Hugging Face folder: float32 safetensors, configuration, tokenizer."""
    model.to("cpu").save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _progress(build: Build, items: Sequence[Any], label: str) -> Iterator[Any]:
    """The items under a progress bar."""
    from tqdm import tqdm

    yield from tqdm(items, desc=label, leave=False, disable=not build.hardware.progress)


class _Bar:
    """A progress bar that is told (done, total)."""

    def __init__(self, build: Build, label: str) -> None:
        from tqdm import tqdm

        self._bar = tqdm(desc=label, leave=False, disable=not build.hardware.progress)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def __call__(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)
