# SPDX-License-Identifier: Apache-2.0
"""Scores exported files and compares each with the student: several files at a time.

Every file is run on the evaluation examples at their own lengths, and on some of them padded to the
longest input; and on training examples where its drop of the score is measured on more than these.
Each file's result is recorded when it is there, so that a run that is interrupted goes on with the
next file.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from converters import terminal
from pipeline import tasks
from pipeline.artifacts import write_json
from pipeline.config import Build
from pipeline.progress import Progress
from pipeline.sampling import joined
from pipeline.verify import Part, Run, chained, compare, read, whole

if TYPE_CHECKING:
    from pipeline.tasks.task import Examples, Traits

RECORD = "gate-{}.json"  # of one file, in the scratch folder
STUDENT = "gate-student-{}.json"  # the student's score with so many training examples, likewise
WORTH = 500  # examples over all files: below it, starting processes takes longer than they save
AT_A_TIME = 250  # examples that a process runs: opening a file again costs little beside

Kind = Literal["natural", "padded", "training"]
EVALUATION: tuple[Kind, ...] = ("natural", "padded")
LABELS = {"natural": "", "padded": ", padded", "training": ", training examples"}


@dataclass(frozen=True)
class Scoring:
    """What every file is scored with; goes to the processes that do it.

    Attributes:
        build: the settings.
        student: folder of the student.
        evaluation: all examples.
        traits: of the data, see `pipeline.tasks.task.Task`.
        training: examples on which the drop of the score is measured as well, see `sampling.draw`.
    """

    build: Build
    student: Path
    evaluation: Examples
    traits: Traits
    training: tuple[Any, ...] = ()

    def places(self, path: Path) -> list[int]:
        """Which examples a file is run on: all, or a sample where its runtime is an evaluator."""
        there = len(self.evaluation.examples)
        return spread(there, self.build.verification.coreml_examples if _is_slow(path) else there)

    def drawn(self, path: Path) -> tuple[Any, ...]:
        """The training examples that a file is run on.

        There are none where no prediction may change, for then the score cannot drop by chance.  A
        file that is run on a sample gets no more of both kinds than that.
        """
        from pipeline.files.targets import precision_of

        if not self.build.limits[precision_of(path)].changed_predictions.limit:
            return ()
        most = self.build.verification.coreml_examples - len(self.evaluation.examples)
        return self.training[: max(0, most)] if _is_slow(path) else self.training

    def padded(self, count: int) -> list[int]:
        """Which of a file's examples it is also run on padded."""
        return spread(count, self.build.verification.padded_examples)

    def examples(self, path: Path, kind: Kind) -> Examples:
        """What a file, or the student, whose folder `path` is then, is run on in this way."""
        if kind == "training":
            drawn = self.training if path == self.student else self.drawn(path)
            return self.evaluation.with_examples(drawn)
        asked = self.evaluation.spread(len(self.places(path)))
        if kind == "natural":
            return asked
        return asked.spread(len(self.padded(len(asked.examples))))


class Job(NamedTuple):
    """A part of the work on a file, or on the student, which is named by its folder."""

    path: Path
    kind: Kind
    places: range  # among the examples of this kind


def _is_slow(path: Path) -> bool:
    """Whether a file is evaluated operation by operation on this machine."""
    return path.suffix == ".mlpackage" and sys.platform != "darwin"


def spread(there: int, most: int) -> list[int]:
    """At most `most` places of `there`, evenly spread: those that `Examples.spread` takes."""
    count = min(most, there)
    return [place * there // count for place in range(count)]


def score_files(
    scoring: Scoring, files: Sequence[Path], reference: Run, scratch: Path
) -> list[dict[str, Any]]:
    """The entry of each file for the report, in their order.

    Args:
        scoring: what they are scored with.
        files: exported files.
        reference: the student in PyTorch on all evaluation examples.
        scratch: keeps what was found of each file, and the student's scores.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    entries = {path: _recorded(scratch / RECORD.format(path.name)) for path in files}
    missing = [path for path, entry in entries.items() if entry is None]
    counts = {count for path in missing if (count := len(scoring.drawn(path)))}
    expected = {count: _recorded(scratch / STUDENT.format(count)) for count in counts}
    processes = _processes(scoring, missing)
    size = AT_A_TIME if processes > 1 else sys.maxsize
    # The slow files first, and before them the student, which every entry needs.
    order = sorted(missing, key=_is_slow, reverse=True)
    jobs = [job for path in order for job in _jobs(scoring, path, size)]
    if None in expected.values():
        jobs = [*_parts(scoring.student, "training", max(counts), size), *jobs]
    waiting: list[tuple[Path, Runs]] = []
    for path, parts in _finished(scoring, jobs, processes):
        if path == scoring.student:
            answers = (*reference.predictions, *chained(parts["training"]).predictions)
            for count in counts:
                expected[count] = {"score": _first(scoring, count, answers)}
                write_json(scratch / STUDENT.format(count), expected[count])
        else:
            task = tasks.find(scoring.build.task)
            natural, padded = (
                whole(task, parts[kind], scoring.examples(path, kind)) for kind in EVALUATION
            )
            waiting.append((path, Runs(natural, padded, chained(parts["training"]).predictions)))
        if None in expected.values():
            continue
        scores = {count: record["score"] for count, record in expected.items() if record}
        while waiting:
            path, runs = waiting.pop(0)
            entries[path] = entry = _entry(scoring, path, runs, reference, scores)
            write_json(scratch / RECORD.format(path.name), entry)
    return [entry for entry in entries.values() if entry is not None]


def _recorded(record: Path) -> dict[str, Any] | None:
    if not record.exists():
        return None
    found: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
    return found


def _first(scoring: Scoring, count: int, predictions: Sequence[Any]) -> float:
    """The first metric over all evaluation examples and `count` training examples together.

    `predictions` are those for them, in this order, and may be followed by others.
    """
    examples = joined(scoring.evaluation, scoring.training[:count])
    asked = predictions[: len(examples.examples)]
    return next(iter(tasks.find(scoring.build.task).score(asked, examples).values()))


@dataclass(frozen=True)
class Runs:
    """What a file gave.

    Attributes:
        natural: for evaluation examples at their own lengths.
        padded: for some of these, padded.
        training: the predictions for training examples, at their own lengths.
    """

    natural: Run
    padded: Run
    training: tuple[Any, ...] = ()


def _jobs(scoring: Scoring, path: Path, size: int) -> list[Job]:
    """A file's work in parts that processes share."""
    kinds: tuple[Kind, ...] = (*EVALUATION, "training")
    counts = {kind: len(scoring.examples(path, kind).examples) for kind in kinds}
    return [job for kind in kinds for job in _parts(path, kind, counts[kind], size)]


def _parts(path: Path, kind: Kind, count: int, size: int) -> list[Job]:
    """The work on `count` examples, at most `size` at a time."""
    size = min(size, max(1, count))
    return [Job(path, kind, range(count)[first : first + size]) for first in range(0, count, size)]


def _processes(scoring: Scoring, files: Sequence[Path]) -> int:
    """How many processes to score files with."""
    examples = sum(len(scoring.evaluation.examples) + len(scoring.drawn(path)) for path in files)
    if examples < WORTH:
        return 1
    return scoring.build.verification.processes or os.cpu_count() or 1


def _finished(
    scoring: Scoring, jobs: Sequence[Job], processes: int
) -> Iterator[tuple[Path, dict[Kind, list[Part]]]]:
    """What the jobs of each file, or of the student, gave, as soon as all of them are done."""
    mine: dict[Path, list[Job]] = {}
    for job in jobs:
        mine.setdefault(job.path, []).append(job)
    results: dict[Job, Part] = {}
    for done, part in _results(scoring, jobs, min(processes, len(jobs))):
        results[done] = part
        if all(job in results for job in mine[done.path]):
            parts: dict[Kind, list[Part]] = {"natural": [], "padded": [], "training": []}
            for job in mine[done.path]:
                parts[job.kind].append(results.pop(job))
            yield done.path, parts


def _results(scoring: Scoring, jobs: Sequence[Job], processes: int) -> Iterator[tuple[Job, Part]]:
    """What each job gives, as they are ready."""
    shown = scoring.build.hardware.progress
    if processes < 2:
        for job in jobs:
            yield job, score_part(scoring, job, shown)
        return
    # A fresh process each: one that is forked would share the locks of PyTorch's threads.
    context = get_context("spawn")
    with (
        ProcessPoolExecutor(processes, context, _begin, (scoring, processes)) as pool,
        Progress("scoring files", unit="part", shown=shown) as bar,
    ):
        futures = {pool.submit(_remote, job): job for job in jobs}
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                yield futures[future], future.result()
                bar(done, len(futures))
        finally:  # a build that is stopped waits for the parts that run, and for no others
            pool.shutdown(wait=False, cancel_futures=True)


_scoring: list[Scoring] = []  # of a process that scores


def _begin(scoring: Scoring, processes: int) -> None:
    import torch

    from pipeline.session import prepare

    terminal.hush()
    prepare(scoring.build)
    torch.set_num_threads(max(1, torch.get_num_threads() // processes))
    _scoring.append(scoring)


def _remote(job: Job) -> Part:
    return score_part(_scoring[-1], job)


def score_part(scoring: Scoring, job: Job, shown: bool = False) -> Part:
    """Does a job: runs a file or the student on some examples."""
    from converters.runtimes.open import open_predictor
    from pipeline.models.teacher import load_tokenizer
    from pipeline.session import torch_predictor

    build, path = scoring.build, job.path
    model: Any
    if path == scoring.student:
        model = torch_predictor(build, path)
    else:
        model = open_predictor(path, build.benchmark.threads)
    every = scoring.examples(path, job.kind).examples
    task, tokenizer = tasks.find(build.task), load_tokenizer(scoring.student)
    pad_to = build.data.max_length if job.kind == "padded" else None
    reader = task.reader(model, tokenizer, build.data, scoring.traits, pad_to=pad_to)
    asked = [every[place] for place in job.places]
    part = read(reader, asked, _shown(scoring, f"scoring {path.name}{LABELS[job.kind]}", shown))
    return Part((), part.predictions) if job.kind == "training" else part


def _shown(scoring: Scoring, label: str, shown: bool) -> Callable[[Sequence[Any]], Iterable[Any]]:
    """What shows the progress over examples, if it is shown."""
    from pipeline.session import progress

    unit = tasks.find(scoring.build.task).unit
    return (lambda each: progress(scoring.build, each, label, unit)) if shown else iter


def _entry(
    scoring: Scoring, path: Path, runs: Runs, reference: Run, expected: Mapping[int, float]
) -> dict[str, Any]:
    """The entry of one file for the report.

    `expected` has the student's first metric on all evaluation examples and so many training
    examples.
    """
    from pipeline.files.targets import format_of, precision_of

    build, natural, count = scoring.build, runs.natural, len(runs.training)
    task = tasks.find(build.task)
    drop = None
    if count:  # then it was run on all evaluation examples
        drop = expected[count] - _first(scoring, count, (*natural.predictions, *runs.training))
    kind, precision = format_of(path), precision_of(path)
    places = scoring.places(path)
    if len(places) < len(reference.predictions):
        chosen = scoring.evaluation.spread(len(places))
        predictions = tuple(reference.predictions[place] for place in places)
        outputs = tuple(reference.outputs[place] for place in places)
        reference = Run(outputs, predictions, task.score(predictions, chosen))
    some = scoring.padded(len(places))
    gate = compare(task, natural, runs.padded, reference, build.limits[precision], some, drop)
    sizes = {"examples": len(places), "padded_examples": len(some), "training_examples": count}
    return {
        "name": path.name,
        "path": f"{path.parent.name}/{path.name}",
        "target": kind.name,
        "precision": precision,
        "purpose": kind.precisions[precision],
        **asdict(kind.describe(path)),
        "scores": natural.facts(),
        "gate": gate | sizes,
    }
