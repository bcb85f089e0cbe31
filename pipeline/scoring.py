# SPDX-License-Identifier: Apache-2.0
"""Scores exported files and compares each with the student: several files at a time.

Every file is run on the evaluation examples at their own lengths, and on some of them padded to the
longest input; and on training examples where its drop of the score is measured on more than these.
Each file's result is recorded when it is there, so that a run that is interrupted goes on with the
next file.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converters import terminal
from pipeline import tasks
from pipeline.artifacts import write_json
from pipeline.config import Build
from pipeline.progress import Progress
from pipeline.sampling import joined
from pipeline.verify import Run, compare, predict, run

if TYPE_CHECKING:
    from pipeline.tasks.reading import Reader
    from pipeline.tasks.task import Examples, Traits

RECORD = "gate-{}.json"  # of one file, in the scratch folder
STUDENT = "student-{}.json"  # the student's score with so many training examples, likewise
WORTH = 500  # examples over all files: below it, starting processes takes longer than they save
AT_A_TIME = 250  # training examples that a process runs: opening a file again costs little beside


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


def _is_slow(path: Path) -> bool:
    """Whether a file is evaluated operation by operation on this machine."""
    return path.suffix == ".mlpackage" and sys.platform != "darwin"


def spread(there: int, most: int) -> list[int]:
    """At most `most` places of `there`, evenly spread: those that `Examples.spread` takes."""
    count = min(most, there)
    return [place * there // count for place in range(count)]


def score_files(
    scoring: Scoring,
    files: Sequence[Path],
    reference: Run,
    scratch: Path,
    ask: Callable[[Sequence[Any]], Sequence[Any]] | None = None,
) -> list[dict[str, Any]]:
    """The entry of each file for the report, in their order.

    Args:
        scoring: what they are scored with.
        files: exported files.
        reference: the student in PyTorch on all evaluation examples.
        scratch: keeps what was found of each file.
        ask: gives the student's predictions for training examples; called once at most. None where
            none were drawn.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    entries = {path: _recorded(scratch / RECORD.format(path.name)) for path in files}
    missing = [path for path, entry in entries.items() if entry is None]
    counts = {len(scoring.drawn(path)) for path in missing}
    expected = _expected(scoring, counts, reference, scratch, ask)
    for path, runs in _runs(scoring, missing, scoring.build.hardware.progress):
        entries[path] = entry = _entry(scoring, path, runs, reference, expected)
        write_json(scratch / RECORD.format(path.name), entry)
    return [entry for entry in entries.values() if entry is not None]


def _recorded(record: Path) -> dict[str, Any] | None:
    if not record.exists():
        return None
    found: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
    return found


def _expected(
    scoring: Scoring,
    counts: set[int],
    reference: Run,
    scratch: Path,
    ask: Callable[[Sequence[Any]], Sequence[Any]] | None,
) -> dict[int, float]:
    """The student's first metric on all evaluation examples and so many training examples.

    It is recorded for each of `counts`, so that an interrupted run does not ask the student again.
    """
    found = {count: _recorded(scratch / STUDENT.format(count)) for count in counts if count}
    if ask is not None and None in found.values():
        answers = ask(scoring.training[: max(found)])
        for count in found:
            score = _first(scoring, count, (*reference.predictions, *answers[:count]))
            found[count] = {"score": score}
            write_json(scratch / STUDENT.format(count), found[count])
    return {count: record["score"] for count, record in found.items() if record}


def _first(scoring: Scoring, count: int, predictions: Sequence[Any]) -> float:
    """The first metric over all evaluation examples and `count` training examples together."""
    examples = joined(scoring.evaluation, scoring.training[:count])
    return next(iter(tasks.find(scoring.build.task).score(predictions, examples).values()))


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


# A file, and the first of the training examples that are run; None for evaluation examples.
Job = tuple[Path, int | None]


def _jobs(scoring: Scoring, path: Path) -> list[Job]:
    """A file's work in parts that processes share."""
    first = range(0, len(scoring.drawn(path)), AT_A_TIME)
    return [(path, None), *((path, place) for place in first)]


def _runs(scoring: Scoring, files: Sequence[Path], shown: bool) -> Iterator[tuple[Path, Runs]]:
    """Each file with its runs, as they are ready."""
    slow_first = sorted(files, key=lambda path: path.suffix != ".mlpackage")
    jobs = [job for path in slow_first for job in _jobs(scoring, path)]
    most = scoring.build.verification.processes or os.cpu_count() or 1
    processes = min(most, len(jobs))
    examples = sum(len(scoring.evaluation.examples) + len(scoring.drawn(path)) for path in files)
    if processes < 2 or examples < WORTH:
        for path in files:
            natural, padded = score_file(scoring, path, shown)
            yield path, Runs(natural, padded, predict_training(scoring, path, shown=shown))
        return
    # A fresh process each: one that is forked would share the locks of PyTorch's threads.
    context = get_context("spawn")
    with (
        ProcessPoolExecutor(processes, context, _begin, (scoring,)) as pool,
        Progress("scoring files", unit="part", shown=shown) as bar,
    ):
        futures = {pool.submit(_work, job): job for job in jobs}
        results: dict[Job, Any] = {}
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                path, _ = futures[future]
                results[futures[future]] = future.result()
                mine = _jobs(scoring, path)
                if all(job in results for job in mine):
                    (natural, padded), *parts = [results.pop(job) for job in mine]
                    yield path, Runs(natural, padded, tuple(itertools.chain(*parts)))
                bar(done, len(futures))
        finally:  # a build that is stopped waits for the parts that run, and for no others
            pool.shutdown(wait=False, cancel_futures=True)


_scoring: list[Scoring] = []  # of a process that scores


def _begin(scoring: Scoring) -> None:
    from pipeline.session import prepare

    terminal.hush()
    prepare(scoring.build)
    _scoring.append(scoring)


def _work(job: Job) -> Any:
    path, first = job
    if first is None:
        return score_file(_scoring[-1], path, shown=False)
    return predict_training(_scoring[-1], path, first, first + AT_A_TIME)


def score_file(scoring: Scoring, path: Path, shown: bool = False) -> tuple[Run, Run]:
    """Runs one file: at each input's own length, and some of these examples padded."""
    build = scoring.build
    task, reader = tasks.find(build.task), _opened(scoring, path)
    asked = scoring.evaluation.spread(len(scoring.places(path)))

    def ask(examples: Examples, label: str, pad_to: int | None = None) -> Run:
        return run(task, reader(pad_to), examples, _shown(scoring, label, shown))

    natural = ask(asked, f"scoring {path.name}")
    some = asked.spread(len(scoring.padded(len(asked.examples))))
    padded = ask(some, f"scoring {path.name}, padded", pad_to=build.data.max_length)
    return natural, padded


def predict_training(
    scoring: Scoring, path: Path, first: int = 0, end: int | None = None, shown: bool = False
) -> tuple[Any, ...]:
    """A file's predictions for its training examples from `first` on, up to `end`."""
    if not (examples := scoring.drawn(path)[first:end]):
        return ()
    label = f"scoring {path.name}, training examples"
    return predict(_opened(scoring, path)(None), examples, _shown(scoring, label, shown))


def _opened(scoring: Scoring, path: Path) -> Callable[[int | None], Reader[Any, Any]]:
    """Opens a file; gives its reader for inputs that are padded to a length, or are not."""
    from converters.runtimes.open import open_predictor
    from pipeline.models.teacher import load_tokenizer

    build = scoring.build
    tokenizer, task = load_tokenizer(scoring.student), tasks.find(build.task)
    model = open_predictor(path, build.benchmark.threads)
    return lambda pad_to: task.reader(model, tokenizer, build.data, scoring.traits, pad_to=pad_to)


def _shown(scoring: Scoring, label: str, shown: bool) -> Callable[[Sequence[Any]], Iterable[Any]]:
    """What shows the progress over examples, if it is shown."""
    from pipeline.session import progress

    unit = tasks.find(scoring.build.task).unit
    return (lambda each: progress(scoring.build, each, label, unit)) if shown else iter


def _entry(
    scoring: Scoring, path: Path, runs: Runs, reference: Run, expected: Mapping[int, float]
) -> dict[str, Any]:
    """The entry of one file for the report; `expected` has the scores of `_expected`."""
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
