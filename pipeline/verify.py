# SPDX-License-Identifier: Apache-2.0
"""The gates: an exported file must give the student's predictions, or the build fails.

Every file is run over the evaluation examples, each input at its own length, and over some of them
padded to the longest; all its outputs are compared with the student's, and its predictions are
scored.  Where these are few, it is run over training examples as well for the drop of the score,
see `sampling.py`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.fields import Gate
from pipeline.tasks.reading import Outputs, Reader
from pipeline.tasks.task import Examples, Task


@dataclass(frozen=True)
class Run:
    """What one model gave for every example.

    Attributes:
        outputs: of each input of each example, padding cut off.
        predictions: decoded from them.
        scores: of the predictions, by metric.
    """

    outputs: tuple[list[Outputs], ...]
    predictions: tuple[Any, ...]
    scores: dict[str, float]

    def facts(self) -> dict[str, float]:
        """The scores, rounded for documents."""
        return {name: round(score, 2) for name, score in self.scores.items()}


@dataclass(frozen=True)
class Part:
    """What one model gave for some examples, see :class:`Run`."""

    outputs: tuple[list[Outputs], ...]
    predictions: tuple[Any, ...]


def read(
    reader: Reader[Any, Any],
    examples: Sequence[Any],
    progress: Callable[[Sequence[Any]], Iterable[Any]] = iter,
) -> Part:
    """Runs a model over some examples, keeping every output; `progress` may wrap the examples."""
    outputs, predictions = [], []  # and not the inputs, which take more memory
    for example in progress(examples):
        reading = reader.read(example)
        outputs.append(reading.outputs)
        predictions.append(reading.prediction)
    return Part(tuple(outputs), tuple(predictions))


def chained(parts: Iterable[Part]) -> Part:
    """What a model gave for all examples of these parts, in their order."""
    parts = [*parts]
    return Part(
        tuple(itertools.chain.from_iterable(part.outputs for part in parts)),
        tuple(itertools.chain.from_iterable(part.predictions for part in parts)),
    )


def whole(task: Task, parts: Iterable[Part], examples: Examples) -> Run:
    """The run over examples that was made in parts, in the examples' order."""
    every = chained(parts)
    return Run(every.outputs, every.predictions, task.score(every.predictions, examples))


def run(
    task: Task,
    reader: Reader[Any, Any],
    examples: Examples,
    progress: Callable[[Sequence[Any]], Iterable[Any]] = iter,
) -> Run:
    """Runs a model over all examples at once, see :func:`read`."""
    return whole(task, [read(reader, examples.examples, progress)], examples)


def compare(
    task: Task,
    file: Run,
    padded: Run,
    reference: Run,
    gate: Gate,
    places: Sequence[int] | None = None,
    drop: float | None = None,
) -> dict[str, Any]:
    """Holds a file against its reference.

    Args:
        task: says which predictions are the same.
        file: the file at each input's own length.
        padded: the same file, each input padded.
        reference: the student in PyTorch; its first metric may not drop.
        gate: the thresholds.
        places: which of the file's examples were run padded; None for all.
        drop: how far the file's first metric lies below the reference's where that was measured on
            more examples than these; None measures it on these.

    Returns:
        `{"passed": bool, "checks": [...]}` as the report has it; a figure that is not finite fails
        and is written as None.
    """
    some, own = reference.outputs, file.predictions
    if places is not None:
        some = tuple(some[place] for place in places)
        own = tuple(own[place] for place in places)
    errors = [_errors(file.outputs, reference.outputs), _errors(padded.outputs, some)]
    worst = max(float(e.max(initial=0.0)) for e in errors)
    mean = max(float(e.mean()) for e in errors)
    if drop is None:
        name = next(iter(reference.scores))
        drop = reference.scores[name] - file.scores[name]

    def changed(mine: Sequence[Any], others: Sequence[Any]) -> float:
        """Share of the predictions that differ, in percent."""
        pairs = list(zip(mine, others, strict=True))
        return 100.0 * sum(not task.same(*pair) for pair in pairs) / len(pairs)

    apart = changed(file.predictions, reference.predictions)
    tipped = changed(own, padded.predictions)

    # Of few examples one is more than a small share. One near tie proves nothing about the share in
    # many, so that it is allowed wherever near ties are; where the limit is 0, none is.
    counted = {"changed_predictions": len(file.predictions), "padding_changes": len(own)}
    figures = [
        ("max_logit_error", "both", worst, gate.max_logit_error),
        ("mean_logit_error", "both", mean, gate.mean_logit_error),
        ("changed_predictions", "natural", apart, gate.changed_predictions),
        ("padding_changes", "padded", tipped, gate.padding_changes),
        ("score_drop", "natural", drop, gate.score_drop),
    ]
    checks = []
    for name, lengths, value, threshold in figures:
        limit, reason = threshold.limit, threshold.reason
        if 0.0 < limit < (one := 100.0 / counted.get(name, np.inf)):
            limit = round(one, 6)
            reason += f"; one of {counted[name]} is more than {threshold.limit} %"
        checks.append(
            {
                "name": name,
                "lengths": lengths,
                "value": round(value, 6) if np.isfinite(value) else None,
                "limit": limit,
                "rule": "<=",
                "passed": bool(np.isfinite(value) and round(value, 6) <= limit),
                "reason": reason,
            }
        )
    return {"passed": all(check["passed"] for check in checks), "checks": checks}


def _errors(
    outputs: Sequence[Sequence[Outputs]], reference: Sequence[Sequence[Outputs]]
) -> np.ndarray:
    """Absolute differences over every value of every output; NaN becomes inf."""
    differences = [
        np.abs(np.concatenate(mine) - np.concatenate(theirs))
        for example, expected in zip(outputs, reference, strict=True)
        for mine, theirs in zip(example, expected, strict=True)
    ]
    errors: np.ndarray = np.concatenate(differences)
    errors[~np.isfinite(errors)] = np.inf
    return errors
