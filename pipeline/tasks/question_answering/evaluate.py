# SPDX-License-Identifier: Apache-2.0
"""From logits to answers, and from answers to exact match and F1.

The answer is the best span over all windows: the sum of a start and an end logit, both within the
passage, the end not before the start, no longer than the limit (Devlin et al. 2019, section 4.2).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from pipeline.tasks.question_answering.features import Limits, Window, Windower
from pipeline.tasks.question_answering.squad import QuestionSet

if TYPE_CHECKING:
    from benchmarks.measure.schema import Metric

# SQuAD's two; the headline, the plots and the gate on a drop of the score take the first.
METRICS: Final[list[Metric]] = [
    {"name": "f1", "label": "F1", "unit": "%"},
    {"name": "exact_match", "label": "Exact match", "unit": "%"},
]

# What the card says of them.
MEANING: Final = (
    "Exact match counts the answers that equal a gold one but for case, punctuation and articles. "
    "F1 is the mean overlap of words with the best-fitting gold answer."
)


class Logits(Protocol):
    """Anything that maps int32 [1, S] ids, mask and segment ids to two float32 [S] arrays."""

    def run(
        self, ids: np.ndarray, mask: np.ndarray, segment_ids: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        """Start and end logits."""
        ...


@dataclass(frozen=True)
class Answer:
    """What a model answers.

    Attributes:
        text: characters [start, end) of the passage; empty for "no answer".
        start, end: code points.
        score: start logit plus end logit.
        windows: how many windows the passage was cut into.
        tokenize_ms, infer_ms, decode_ms: time spent, milliseconds.
    """

    text: str
    start: int
    end: int
    score: float
    windows: int = 1
    tokenize_ms: float = 0.0
    infer_ms: float = 0.0
    decode_ms: float = 0.0


@dataclass(frozen=True)
class Reading:
    """How a model came to its answer.

    Attributes:
        windows: that the passage was cut into.
        logits: start and end logits float32 [S] of each window, padding cut off.
        answer: the best one over all windows.
    """

    windows: list[Window]
    logits: list[tuple[np.ndarray, np.ndarray]]
    answer: Answer


@dataclass(frozen=True)
class Span:
    """A candidate in one window: positions of its first and last piece, and its score."""

    start: int
    end: int
    score: float


def best_span(
    start_logits: np.ndarray, end_logits: np.ndarray, window: Window, limits: Limits
) -> Span | None:
    """The best span of one window, None if the window has no passage piece.

    The `n_best` highest starts and ends are paired; of equal scores the earliest start, then the
    earliest end wins, so that every implementation gives the same answer.

    Args:
        start_logits: float32 [S].
        end_logits: float32 [S].
        window: says where the passage lies.
        limits: `n_best` and `max_answer`.
    """
    first, stop = window.first, window.stop
    if first >= stop:
        return None
    starts = _best(start_logits[first:stop], limits.n_best) + first
    ends = _best(end_logits[first:stop], limits.n_best) + first
    lengths = ends[None, :] - starts[:, None] + 1  # [starts, ends]
    scores = start_logits[starts][:, None] + end_logits[ends][None, :]
    scores = np.where((lengths >= 1) & (lengths <= limits.max_answer), scores, -np.inf)
    if not np.isfinite(scores.max()):
        return None
    row, column = np.unravel_index(int(np.argmax(scores)), scores.shape)
    return Span(int(starts[row]), int(ends[column]), float(scores[row, column]))


def _best(logits: np.ndarray, count: int) -> np.ndarray:
    """Positions of the `count` largest logits, in ascending order; of equals the earlier ones."""
    return np.sort(np.argsort(-logits, kind="stable")[:count])


def decode(
    windows: Sequence[Window],
    logits: Sequence[tuple[np.ndarray, np.ndarray]],
    limits: Limits,
    *,
    may_abstain: bool = False,
) -> tuple[int, int, float]:
    """First and past-the-last code point of the best answer, and its score.

    Args:
        windows: of one question and its passage.
        logits: start and end logits float32 [S] of each window.
        limits: see :func:`best_span`.
        may_abstain: answer nothing where [CLS] beats every span.
    """
    best = (0, 0, -np.inf)
    abstain = np.inf
    for window, (start_logits, end_logits) in zip(windows, logits, strict=True):
        abstain = min(abstain, float(start_logits[0] + end_logits[0]))
        span = best_span(start_logits, end_logits, window, limits)
        if span is not None and span.score > best[2]:
            offsets = window.offsets[[span.start - window.first, span.end - window.first]]
            best = (int(offsets[0, 0]), int(offsets[1, 1]), span.score)
    if best[2] == -np.inf or (may_abstain and abstain >= best[2]):
        return 0, 0, abstain if np.isfinite(abstain) else 0.0
    return best


class Answerer:
    """A model with everything around it: question and passage in, answer out.

    Args:
        model: gives the logits of one window.
        tokenizer: a fast BERT tokenizer.
        limits: windows and answer lengths.
        pad_to: pad every window to this length; None runs each at its own length.
        may_abstain: answer nothing where [CLS] beats every span, as SQuAD 2.0 needs.
        reuse: see :class:`Windower`.
    """

    def __init__(
        self,
        model: Logits,
        tokenizer: Any,
        limits: Limits,
        *,
        pad_to: int | None = None,
        may_abstain: bool = False,
        reuse: bool = True,
    ) -> None:
        self.model, self.limits, self.pad_to, self.may_abstain = model, limits, pad_to, may_abstain
        self.windower = Windower(tokenizer, limits, reuse)
        self.pad_id = tokenizer.pad_token_id

    def window_logits(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Start and end logits float32 [S] of a window, its padding cut off again."""
        length = len(window.ids)
        extra = max(0, (self.pad_to or 0) - length)
        ids = np.pad(window.ids, (0, extra), constant_values=self.pad_id)[None]  # [S] -> [1, S]
        mask = np.pad(np.ones(length, np.int32), (0, extra))[None]
        segment_ids = np.pad(window.segment_ids, (0, extra))[None]
        start, end = self.model.run(ids, mask, segment_ids)
        return start[:length], end[:length]

    def logits(self, windows: Sequence[Window]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Start and end logits of each window, as :meth:`window_logits` gives them."""
        return [self.window_logits(window) for window in windows]

    def answer(self, question: str, context: str) -> Answer:
        """The best answer over all windows of the passage."""
        return self.run(question, context).answer

    def run(self, question: str, context: str) -> Reading:
        """The best answer, with the windows and the logits that it was read out of."""
        clock = time.perf_counter
        began = clock()
        windows = self.windower.windows(question, context)
        tokenized = clock()
        logits = self.logits(windows)
        inferred = clock()
        start, end, score = self.decode(windows, logits)
        decoded = clock()
        answer = Answer(
            context[start:end],
            start,
            end,
            score,
            len(windows),
            tokenize_ms=(tokenized - began) * 1e3,
            infer_ms=(inferred - tokenized) * 1e3,
            decode_ms=(decoded - inferred) * 1e3,
        )
        return Reading(windows, logits, answer)

    def decode(
        self, windows: Sequence[Window], logits: Sequence[tuple[np.ndarray, np.ndarray]]
    ) -> tuple[int, int, float]:
        """As the function of the same name, with the limits of this model."""
        return decode(windows, logits, self.limits, may_abstain=self.may_abstain)


@dataclass(frozen=True)
class Scores:
    """SQuAD's two figures, in percent, and the answers they were computed from.

    Attributes:
        exact_match: share of answers equal to one of the gold answers after normalization.
        f1: mean overlap of words with the best-fitting gold answer.
        answers: in the order of the questions.
    """

    exact_match: float
    f1: float
    answers: tuple[str, ...]

    def facts(self) -> dict[str, float]:
        """The scores by the names in `METRICS`, rounded for documents."""
        return {metric["name"]: round(getattr(self, metric["name"]), 2) for metric in METRICS}


def score(answers: Sequence[str], questions: QuestionSet) -> Scores:
    """Exact match and F1 by torchmetrics' SQuAD metric."""
    from torchmetrics.functional.text import squad

    predictions = [
        {"prediction_text": text, "id": q.id}
        for text, q in zip(answers, questions.questions, strict=True)
    ]
    targets = [
        {
            "answers": {"answer_start": list(q.starts or (0,)), "text": list(q.answers or ("",))},
            "id": q.id,
        }
        for q in questions.questions
    ]
    figures = squad(predictions, targets)
    return Scores(float(figures["exact_match"]), float(figures["f1"]), tuple(answers))
