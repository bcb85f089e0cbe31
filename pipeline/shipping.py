# SPDX-License-Identifier: Apache-2.0
"""The stages that make files and measure them: what each loads, calls and saves.

As in `learning.py`, each function fills a folder and returns facts for the report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converters.pretrained import load_with_head
from pipeline.calibration import calibrated
from pipeline.config import Build, Target
from pipeline.data.sources import NONE
from pipeline.progress import Progress
from pipeline.session import prepare, progress, torch_predictor

if TYPE_CHECKING:
    from pipeline.tasks.task import Examples, Task, Traits

Facts = Mapping[str, Any]


def export(
    folder: Path,
    _scratch: Path,
    *,
    build: Build,
    target: Target,
    task: Task,
    student: Path,
    evaluation: Examples,
    traits: Traits,
    mixed: Path | None = None,
) -> Facts:
    """A target's folder: a file for each precision, vocabulary, model.json, golden cases.

    `mixed` is the folder of the stage that chose what a file of that precision stores in int4.
    """
    from converters import sealed
    from converters.runtimes.open import open_predictor
    from pipeline import mixing
    from pipeline.files import export
    from pipeline.files.targets import FORMATS, Request
    from pipeline.models import origin
    from pipeline.models import teacher as teachers

    prepare(build)
    tokenizer = teachers.load_tokenizer(student)
    model = load_with_head(student).eval()
    vocabulary = export.write_vocabulary(folder, tokenizer)
    kind = FORMATS[target]
    known = origin.read(student) or origin.Origin("")
    files = kind.make(Request(model, folder, build, vocabulary, known, mixing.chosen(mixed)))
    about = {"task": task.label, **task.describe(build.data, traits)}
    export.write_model_json(
        vocabulary,
        files,
        tokenizer,
        task.head.interface,
        about,
        length=build.data.max_length,
        max_positions=model.config.max_position_embeddings,
        classes=task.labels(traits),
        static_lengths=build.export.static_lengths if kind.has_static_lengths else (),
    )
    readers = {
        path.name: task.reader(open_predictor(path), tokenizer, build.data, traits)
        for path in files.values()
    }
    golden = task.golden(readers, evaluation, build.export.golden_cases)
    sealed.write(folder / "golden.json", golden)
    cases = len(golden["cases"])
    return {"files": len(files), "golden_cases": cases}


def export_baseline(folder: Path, build: Build, baseline: Path) -> Facts:
    """The teacher, or without one the student, in float32 in the formats that are timed.

    So the report compares like with like.
    """
    from pipeline.files.targets import FORMATS

    prepare(build)
    model = load_with_head(baseline).eval()
    return {
        target: FORMATS[target].make_baseline(model, folder, build, baseline.name).stat().st_size
        for target in build.export.files
        if FORMATS[target].runs_here
    }


def verify(
    folder: Path,
    scratch: Path,
    build: Build,
    task: Task,
    teacher: Path | None,
    student: Path,
    files: Sequence[Path],
    evaluation: Examples,
    traits: Traits,
    train: Examples | None = None,
) -> Facts:
    """Scores teacher, student and every file; holds each file against the student.

    Where there are few evaluation examples, the drop of a file's score is measured on some of
    `train` as well, see `sampling.py`.
    """
    from pipeline import sampling
    from pipeline.artifacts import write_json
    from pipeline.models import teacher as teachers
    from pipeline.scoring import Scoring, score_files
    from pipeline.verify import run

    prepare(build)

    def ask(model: Any, label: str, tokenizer: Any, own: Traits = traits) -> Any:
        reader = task.reader(model, tokenizer, build.data, own)
        each = partial(progress, build, label=f"scoring {label}", unit=task.unit)
        return run(task, reader, evaluation, each)

    student_model = torch_predictor(build, student)
    reference = ask(student_model, "student", teachers.load_tokenizer(student))
    taught = None
    its_own: Traits = {}
    if teacher:
        taught_model = torch_predictor(build, teacher)
        tokenizer = teachers.load_tokenizer(teacher)  # it may have other word pieces
        if task.calibrates(traits, evaluation):  # the student's threshold would not be fair to it
            its_own = calibrated(
                build, task, taught_model, tokenizer, evaluation, traits, "teacher"
            )
        taught = ask(taught_model, "teacher", tokenizer, {**traits, **its_own})
    drawn = sampling.draw(build, task, student, evaluation, traits, train) if files else ()
    scoring = Scoring(build, student, evaluation, traits, drawn)
    entries = score_files(scoring, files, reference, scratch)
    models = [_describe(student, "student") | {"scores": reference.facts()}]
    if teacher and taught:
        models.insert(0, _describe(teacher, "teacher") | {"scores": taught.facts()})
    known = {metric["name"]: metric for metric in task.metrics}
    metrics = [known[name] for name in reference.scores]
    found = {"metrics": metrics, "models": models, "files": entries}
    write_json(folder / "verify.json", found)
    return {
        "passed": all(entry["gate"]["passed"] for entry in entries),
        **{f"teacher_{name}": value for name, value in its_own.items()},
    }


def benchmark(
    folder: Path,
    build: Build,
    task: Task,
    student: Path,
    compared_model: Path,
    baseline: Path,
    files: Sequence[Path],
    evaluation: Examples,
    traits: Traits,
) -> Facts:
    """Latency of the files and of what they are compared with, interleaved; each started cold.

    Args:
        folder: to fill.
        build: the settings.
        task: reads the examples.
        student: the model that the files were exported from.
        compared_model: the model that the baselines were exported from.
        baseline: the folder of the baselines.
        files: to time, as far as their runtime is on this machine.
        evaluation: the examples.
        traits: of the data.
    """
    from benchmarks.measure import memory
    from benchmarks.measure.session import WAYS, ColdStart, Pair, session
    from converters.runtimes.open import open_predictor
    from converters.start import module_command
    from pipeline.artifacts import write_json
    from pipeline.files.targets import format_of
    from pipeline.report import environment

    measured_on = environment.now()  # before the load of the measurement itself
    settings = build.benchmark
    # Each file against the teacher in the same runtime; without one, the student in float32.
    stem = "teacher" if build.teacher.model != NONE else "student"
    subjects: dict[str, Path] = {}
    others: dict[str, Path] = {}
    compared: list[Pair] = []
    for path in files:
        if format_of(path).runs_here:
            slower = format_of(path).baseline(baseline, stem)
            subjects |= {slower.name: slower, path.name: path}
            if path.name != slower.name:
                others[slower.name] = compared_model
                compared += [(path.name, slower.name, mine, theirs) for mine, theirs in WAYS]
    asked = Queries(build, task, student, evaluation, traits, others)

    def cold_start(path: Path, threads: int) -> ColdStart:
        command = [*module_command("converters.runtimes.probe"), str(path)]
        command += ["--threads", str(threads), "--length", str(build.data.max_length)]
        return memory.probe_median(command, memory.PROBES), None

    with Progress("timing", unit="query", shown=build.hardware.progress) as bar:
        run = session(
            subjects,
            asked,
            threads=settings.threads,
            pad_to=build.data.max_length,
            open_file=open_predictor,
            cold_start=cold_start,
            compared=compared,
            # The gates have the errors of the files, over all examples.
            references=dict.fromkeys(others, compared_model),
            least_rounds=settings.rounds,
            least_queries=1,
            least_seconds=0.0,
            seed=build.seed,
            progress=lambda done, _: bar(done, settings.rounds * len(asked.queries)),
        )
    write_json(folder / "latency.json", run["latency"])
    write_json(folder / environment.FILE, measured_on)
    return {"queries": len(asked.queries)}


class Queries:
    """Evaluation examples, evenly spread, made into inputs: an `Asked` of `benchmarks.measure`.

    A query is all inputs of one example, and its time is that of the model on all of them. Each
    model gets the ids of its own tokenizer, for a teacher may have other word pieces than its
    student; all inputs are cut and padded to the same lengths.

    Args:
        build: the settings.
        task: reads the examples.
        student: the model whose tokenizer the subjects have.
        evaluation: the examples.
        traits: of the data.
        others: the folder with the tokenizer of each subject that has another one, by its name.
    """

    available: int | None = None
    metrics: Sequence[Any] = ()

    def __init__(
        self,
        build: Build,
        task: Task,
        student: Path,
        evaluation: Examples,
        traits: Traits,
        others: Mapping[str, Path] | None = None,
    ) -> None:
        from pipeline.models.teacher import load_tokenizer

        self.one = f"{task.unit} with all its inputs"
        self.source = evaluation.name
        self.sha256: str | None = evaluation.sha256
        others = others or {}
        folders = list(dict.fromkeys([student, *others.values()]))
        tokenizers = [load_tokenizer(folder) for folder in folders]
        # The place of each subject's tokenizer in `tokenizers`, and of its inputs in a query.
        self._places = {name: folders.index(folder) for name, folder in others.items()}

        def reader(model: Any, pad_to: int | None, place: int = 0) -> Any:
            return task.reader(model, tokenizers[place], build.data, traits, pad_to=pad_to)

        self._reader = reader
        count = build.benchmark.queries
        step = max(1, len(evaluation.examples) // count)
        encoders = [reader(None, None, place).encode for place in range(len(tokenizers))]
        self.queries: Sequence[Any] = [
            tuple(encode(example) for encode in encoders)
            for example in evaluation.examples[::step][:count]
        ]
        # Those of the student: a teacher with other word pieces may have more or fewer.
        self.tokens = [sum(len(each.ids) for each in query[0]) for query in self.queries]

    def subject(self, name: str, model: Any, pad_to: int | None) -> Callable[[Any], object]:
        """See `Asked.subject`; `name` ends with the kind of lengths, as in a session."""
        place = self._places.get(name.rpartition(" ")[0], 0)
        outputs = self._reader(model, pad_to, place).outputs
        return lambda query: outputs(query[place])

    def logits(self, name: str, model: Any, pad_to: int | None, count: int) -> Any:
        """See `Asked.logits`."""
        from benchmarks.measure.errors import joined

        place = self._places.get(name.rpartition(" ")[0], 0)
        inputs = [each for query in self.queries[:count] for each in query[place]]
        # The reader has cut the padding off.
        outputs = self._reader(model, pad_to, place).outputs(inputs)
        return [joined(each, 0, -1) for each in outputs]

    def phases(self, name: str, count: int) -> dict[str, list[float]] | None:
        """See `Asked.phases`: a query is inference alone."""
        return None

    def scores(self, name: str) -> dict[str, float] | None:
        """See `Asked.scores`: the gates score the files."""
        return None


def _describe(folder: Path, name: str) -> dict[str, Any]:
    """Size of a saved model, for the report."""
    model = load_with_head(folder)
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
