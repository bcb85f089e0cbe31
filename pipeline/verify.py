# SPDX-License-Identifier: Apache-2.0
"""The gates: an exported file must give the student's answers, or the build fails.

Every file is run over the evaluation questions twice, each window at its own length and padded to
the longest; its logits are compared with the student's on every token, and its answers are scored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.config import Gate
from pipeline.tasks.question_answering.evaluate import METRICS, Answerer, Scores, score
from pipeline.tasks.question_answering.squad import Question, QuestionSet

Windows = list[tuple[np.ndarray, np.ndarray]]  # start and end logits of each window of a question


@dataclass(frozen=True)
class Run:
    """What one model gave for every question.

    Attributes:
        logits: of each window of each question, padding cut off.
        scores: of the answers decoded from them.
    """

    logits: tuple[Windows, ...]
    scores: Scores


def run(
    answerer: Answerer,
    questions: QuestionSet,
    progress: Callable[[Sequence[Question]], Iterable[Question]] = iter,
) -> Run:
    """Runs a model over the questions, keeping every logit; `progress` may wrap the questions."""
    logits, answers = [], []
    for question in progress(questions.questions):
        reading = answerer.run(question.text, question.context)
        logits.append(reading.logits)
        answers.append(reading.answer.text)
    return Run(tuple(logits), score(answers, questions))


def compare(file: Run, padded: Run, reference: Run, gate: Gate) -> dict[str, Any]:
    """Holds a file against its reference.

    Args:
        file: the file at each window's own length.
        padded: the same file, each window padded.
        reference: the student in PyTorch.
        gate: the thresholds.

    Returns:
        `{"passed": bool, "checks": [...]}` as the report has it; a figure that is not finite fails
        and is told as None.
    """
    errors = [_errors(run.logits, reference.logits) for run in (file, padded)]
    worst = max(float(e.max(initial=0.0)) for e in errors)
    mean = max(float(e.mean()) for e in errors)
    answers = file.scores.answers
    figures = [
        ("max_logit_error", "both", worst, gate.max_logit_error),
        ("mean_logit_error", "both", mean, gate.mean_logit_error),
        (
            "changed_predictions",
            "natural",
            _changed(answers, reference.scores.answers),
            gate.changed_predictions,
        ),
        (
            "padding_changes",
            "padded",
            _changed(answers, padded.scores.answers),
            gate.padding_changes,
        ),
        ("score_drop", "natural", _drop(file.scores, reference.scores), gate.score_drop),
    ]
    checks = [
        {
            "name": name,
            "lengths": lengths,
            "value": round(value, 6) if np.isfinite(value) else None,
            "limit": threshold.limit,
            "rule": "<=",
            "passed": bool(np.isfinite(value) and round(value, 6) <= threshold.limit),
            "reason": threshold.reason,
        }
        for name, lengths, value, threshold in figures
    ]
    return {"passed": all(check["passed"] for check in checks), "checks": checks}


def _errors(logits: Sequence[Windows], reference: Sequence[Windows]) -> np.ndarray:
    """Absolute differences over every token of every window, start and end; NaN becomes inf."""
    differences = [
        np.abs(np.concatenate(mine) - np.concatenate(theirs))
        for question, expected in zip(logits, reference, strict=True)
        for mine, theirs in zip(question, expected, strict=True)
    ]
    errors: np.ndarray = np.concatenate(differences)
    errors[~np.isfinite(errors)] = np.inf
    return errors


def _drop(scores: Scores, reference: Scores) -> float:
    """How much lower a file's first metric is than the reference's, in the metric's unit."""
    name = METRICS[0]["name"]
    return float(getattr(reference, name) - getattr(scores, name))


def _changed(answers: Sequence[str], others: Sequence[str]) -> float:
    """Share of the answers that differ, in percent."""
    return 100.0 * sum(a != b for a, b in zip(answers, others, strict=True)) / len(answers)
