# SPDX-License-Identifier: Apache-2.0
"""The answers that a model considered, best first, each with a probability.

A candidate is a span that `best_span` considers in some window, or "no answer" where the model may
abstain.  Its probability is the softmax over the scores of all candidates of all windows:

    p(c) = exp(s(c)) / sum over c' of exp(s(c'))

where s(c) is the start logit plus the end logit of a span (the highest of all windows that contain
it, on the scale of the reader's `Search.rule`), and the score of "no answer" less the null
threshold for "no answer".  The probability says how much the model prefers a candidate to the other
candidates for the same question.  It is not the chance that the answer is right: nobody calibrated
it, overlapping spans share it, and a model that cannot abstain distributes it among spans even if
the passage contains no answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.tasks.question_answering.evaluate import Answer, Answerer, spans
from pipeline.tasks.question_answering.features import Window
from pipeline.tasks.reading import Reading


@dataclass(frozen=True)
class Candidate:
    """One of the answers that a model considered.

    Attributes:
        answer: characters [start, end) of the passage; empty for "no answer".
        start, end: code points.
        score: start logit plus end logit, as in `Answer`.
        probability: see the module; 0 to 1.
    """

    answer: str
    start: int
    end: int
    score: float
    probability: float


def candidates(
    answerer: Answerer, reading: Reading[Window, Answer], context: str
) -> list[Candidate]:
    """All candidates for a question, best first; the first one is the answer that was given.

    Args:
        answerer: the one that gave the reading.
        reading: of the question and its passage.
        context: the passage.

    Returns:
        At least one candidate: "no answer" with probability 1 if there is no span.
    """
    given = reading.prediction
    found: dict[tuple[int, int], float] = {}  # in the order in which `decode` prefers equal scores
    heights = answerer.levels(reading)
    for window, pair, height in zip(reading.inputs, reading.outputs, heights, strict=True):
        for span in spans(pair[0], pair[1], window, answerer.limits):
            offsets = window.offsets[[span.start - window.first, span.end - window.first]]
            key = int(offsets[0, 0]), int(offsets[1, 1])
            if span.score - height > found.get(key, -np.inf):
                found.pop(key, None)
                found[key] = span.score - height
    ranked = sorted(found.items(), key=lambda item: -item[1])
    if not ranked or (not given.text and not answerer.may_abstain):
        return [Candidate("", 0, 0, given.score, 1.0)]
    entries = [(context[start:end], start, end, score) for (start, end), score in ranked]
    weights = [score for _, score in ranked]
    if answerer.may_abstain:
        null, threshold = answerer.null_score(reading), answerer.null_threshold
        place = next(
            (n for n, (_, score) in enumerate(ranked) if null >= score + threshold), len(ranked)
        )
        entries.insert(place, ("", 0, 0, null))
        weights.insert(place, null - threshold)
    shares = np.exp(np.asarray(weights, np.float64) - max(weights))  # [candidates]
    shares /= shares.sum()
    return [Candidate(*entry, float(share)) for entry, share in zip(entries, shares, strict=True)]
