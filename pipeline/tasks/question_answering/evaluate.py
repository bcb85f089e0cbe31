# SPDX-License-Identifier: Apache-2.0
"""From logits to answers, and from answers to exact match and F1.

The answer is the best span over all windows: the sum of a start and an end logit, both within the
passage, the end not before the start, no longer than the limit (Devlin et al. 2019, section 4.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pipeline.tasks.question_answering.features import Limits, Window, Windower
from pipeline.tasks.question_answering.squad import Question, QuestionSet
from pipeline.tasks.reading import Model, Outputs, Reader, Reading

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
    logits: Sequence[Outputs],
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


class Answerer(Reader[Window, Answer]):
    """A model with everything around it: question and passage in, answer out.

    Args:
        model: gives start and end logits of one window.
        tokenizer: a fast BERT tokenizer.
        limits: windows and answer lengths.
        pad_to: pad every window to this length; None runs each at its own length.
        may_abstain: answer nothing where [CLS] beats every span, as SQuAD 2.0 needs.
        reuse: see :class:`Windower`.
    """

    def __init__(
        self,
        model: Model,
        tokenizer: Any,
        limits: Limits,
        *,
        pad_to: int | None = None,
        may_abstain: bool = False,
        reuse: bool = True,
    ) -> None:
        super().__init__(model, tokenizer.pad_token_id, pad_to)
        self.limits, self.may_abstain = limits, may_abstain
        self.windower = Windower(tokenizer, limits, reuse)

    def answer(self, question: str, context: str) -> Answer:
        """The best answer over all windows of the passage, with the time of each step."""
        reading = self.run(question, context)
        return replace(
            reading.prediction,
            tokenize_ms=reading.tokenize_ms,
            infer_ms=reading.infer_ms,
            decode_ms=reading.decode_ms,
        )

    def run(self, question: str, context: str) -> Reading[Window, Answer]:
        """As `read`, of a question that no data set holds."""
        return self.read(Question("", "", context, question, (), ()))

    def encode(self, example: Question) -> list[Window]:
        """The windows of a question and its passage."""
        return self.windower.windows(example.text, example.context)

    def decode(
        self, example: Question, inputs: Sequence[Window], outputs: Sequence[Outputs]
    ) -> Answer:
        """The best answer: see the function of the same name."""
        start, end, score = decode(inputs, outputs, self.limits, may_abstain=self.may_abstain)
        return Answer(example.context[start:end], start, end, score, len(inputs))


def score(answers: Sequence[str], questions: QuestionSet) -> dict[str, float]:
    """Each of `METRICS` in percent, unrounded, by torchmetrics' SQuAD metric."""
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
    return {metric["name"]: float(figures[metric["name"]]) for metric in METRICS}
