# SPDX-License-Identifier: Apache-2.0
"""Scores exported files and compares each with the student: several files at a time.

Every file is run on the evaluation examples at their own lengths, and on some of them padded to the
longest input.  Each file's result is recorded when it is there, so that a run that is interrupted
goes on with the next file.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import tasks
from pipeline.artifacts import write_json
from pipeline.config import Build
from pipeline.progress import Progress
from pipeline.verify import Run, compare, run

if TYPE_CHECKING:
    from pipeline.tasks.task import Examples, Traits

RECORD = "gate-{}.json"  # of one file, in the scratch folder
WORTH = 500  # examples over all files: below it, starting processes takes longer than they save


@dataclass(frozen=True)
class Scoring:
    """What every file is scored with; goes to the processes that do it.

    Attributes:
        build: the settings.
        student: folder of the student.
        evaluation: all examples.
        traits: of the data, see `pipeline.tasks.task.Task`.
    """

    build: Build
    student: Path
    evaluation: Examples
    traits: Traits

    def places(self, path: Path) -> list[int]:
        """Which examples a file is run on: all, or a sample where its runtime is an evaluator."""
        there = len(self.evaluation.examples)
        slow = path.suffix == ".mlpackage" and sys.platform != "darwin"
        return spread(there, self.build.verification.coreml_examples if slow else there)

    def padded(self, count: int) -> list[int]:
        """Which of a file's examples it is also run on padded."""
        return spread(count, self.build.verification.padded_examples)


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
        reference: the student in PyTorch on all examples.
        scratch: keeps what was found of each file.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    entries = {path: _recorded(scratch, path) for path in files}
    missing = [path for path, entry in entries.items() if entry is None]
    shown = scoring.build.hardware.progress
    for path, natural, padded in _runs(scoring, missing, shown):
        entries[path] = entry = _entry(scoring, path, natural, padded, reference)
        write_json(scratch / RECORD.format(path.name), entry)
    return [entry for entry in entries.values() if entry is not None]


def _recorded(scratch: Path, path: Path) -> dict[str, Any] | None:
    record = scratch / RECORD.format(path.name)
    if not record.exists():
        return None
    found: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
    return found


def _runs(scoring: Scoring, files: Sequence[Path], shown: bool) -> Iterator[tuple[Path, Run, Run]]:
    """Each file with its two runs, as they are ready."""
    most = scoring.build.verification.processes or os.cpu_count() or 1
    processes = min(most, len(files))
    if processes < 2 or len(files) * len(scoring.evaluation.examples) < WORTH:
        for path in files:
            yield path, *score_file(scoring, path, shown)
        return
    # A fresh process each: one that is forked would share the locks of PyTorch's threads.
    context = get_context("spawn")
    slow_first = sorted(files, key=lambda path: path.suffix != ".mlpackage")
    with (
        ProcessPoolExecutor(processes, context, _begin, (scoring,)) as pool,
        Progress("scoring files", unit="file", shown=shown) as bar,
    ):
        futures = {pool.submit(_scored, path): path for path in slow_first}
        for done, future in enumerate(as_completed(futures), start=1):
            yield futures[future], *future.result()
            bar(done, len(futures))


_scoring: list[Scoring] = []  # of a process that scores


def _begin(scoring: Scoring) -> None:
    from pipeline.session import prepare

    prepare(scoring.build)
    _scoring.append(scoring)


def _scored(path: Path) -> tuple[Run, Run]:
    return score_file(_scoring[-1], path, shown=False)


def score_file(scoring: Scoring, path: Path, shown: bool = False) -> tuple[Run, Run]:
    """Runs one file: at each input's own length, and some of these examples padded."""
    from converters.runtimes.open import open_predictor
    from pipeline.models.teacher import load_tokenizer
    from pipeline.session import progress

    build = scoring.build
    task = tasks.find(build.task)
    tokenizer = load_tokenizer(scoring.student)
    model = open_predictor(path, build.benchmark.threads)
    asked = scoring.evaluation.spread(len(scoring.places(path)))

    def ask(examples: Examples, label: str, pad_to: int | None = None) -> Run:
        reader = task.reader(model, tokenizer, build.data, scoring.traits, pad_to=pad_to)
        if not shown:
            return run(task, reader, examples)
        return run(task, reader, examples, lambda each: progress(build, each, label, task.unit))

    natural = ask(asked, f"scoring {path.name}")
    some = asked.spread(len(scoring.padded(len(asked.examples))))
    padded = ask(some, f"scoring {path.name}, padded", pad_to=build.data.max_length)
    return natural, padded


def _entry(
    scoring: Scoring, path: Path, natural: Run, padded: Run, reference: Run
) -> dict[str, Any]:
    """The entry of one file for the report."""
    from pipeline.files.targets import format_of, precision_of

    build = scoring.build
    task = tasks.find(build.task)
    kind, precision = format_of(path), precision_of(path)
    places = scoring.places(path)
    if len(places) < len(reference.predictions):
        chosen = scoring.evaluation.spread(len(places))
        predictions = tuple(reference.predictions[place] for place in places)
        outputs = tuple(reference.outputs[place] for place in places)
        reference = Run(outputs, predictions, task.score(predictions, chosen))
    some = scoring.padded(len(places))
    gate = compare(task, natural, padded, reference, build.limits[precision], some)
    return {
        "name": path.name,
        "path": f"{path.parent.name}/{path.name}",
        "target": kind.name,
        "precision": precision,
        "purpose": kind.precisions[precision],
        **asdict(kind.describe(path)),
        "scores": natural.facts(),
        "gate": {**gate, "examples": len(places), "padded_examples": len(some)},
    }
