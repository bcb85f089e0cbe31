# SPDX-License-Identifier: Apache-2.0
"""Made-up runs of files that are not there, for tests of how files are scored."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import settings
from pipeline.scoring import Job, Scoring
from pipeline.tasks.question_answering.evaluate import Answer
from pipeline.tasks.question_answering.squad import Question, QuestionSet
from pipeline.verify import Part, Run


def questions(count: int) -> QuestionSet:
    """As many questions with the right answer `a`."""
    return QuestionSet(
        "made up",
        "0" * 64,
        tuple(Question(str(i), "", "a b", "what?", ("a",), (0,)) for i in range(count)),
    )


def answered(places: Sequence[int]) -> Run:
    """A run that gives each question its number as a logit and the right answer."""
    outputs = tuple([(np.full(2, float(i)), np.full(2, float(i)))] for i in places)
    return Run(outputs, tuple(Answer("a", 0, 1, 0.0) for _ in places), {"f1": 100.0})


def made(count: int, **verification: Any) -> Scoring:
    """The scoring of so many questions with these settings."""
    build = settings.load("smoke")
    chosen = dataclasses.replace(build.verification, **verification)
    build = dataclasses.replace(build, verification=chosen)
    return Scoring(build, Path("student"), questions(count), {"may_abstain": False})


def describe_any(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives files that are not there a description all the same."""
    from pipeline.files import targets

    @dataclasses.dataclass
    class About:
        bytes: int = 1

    for kind in targets.FORMATS.values():
        monkeypatch.setattr(type(kind), "describe", lambda *_: About())


def by_part(
    evaluated: Callable[[Job], Run],
    trained: Callable[[Job], Sequence[Any]] = lambda job: (
        [Answer("a", 0, 1, 0.0)] * len(job.places)
    ),
) -> Callable[..., Part]:
    """Stands for `scoring.score_part`.

    Args:
        evaluated: the run over all of a file's evaluation examples of the job's kind.
        trained: the predictions for the training examples of the job.
    """

    def score_part(plan: Scoring, job: Job, shown: bool = False) -> Part:
        if job.kind == "training":
            return Part((), tuple(trained(job)))
        run, places = evaluated(job), slice(job.places.start, job.places.stop)
        return Part(run.outputs[places], run.predictions[places])

    return score_part
