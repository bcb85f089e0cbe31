# SPDX-License-Identifier: Apache-2.0
"""From logits to answers, and from answers to exact match and F1.

The answer is the best span over all windows: the sum of a start and an end logit, both within the
passage, the end not before the start, no longer than the limit (Devlin et al. 2019, section 4.2).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from converters.interface import SPANS
from pipeline.tasks.question_answering import languages
from pipeline.tasks.question_answering.features import Limits, Window, Windower
from pipeline.tasks.question_answering.search import Rule, Search, levels, shortlist
from pipeline.tasks.question_answering.squad import Question, QuestionSet
from pipeline.tasks.reading import Model, Outputs, Reader, Reading

if TYPE_CHECKING:
    from benchmarks.measure.schema import Metric

# SQuAD's two; the headline, the plots and the gate on a drop of the score take the first.
METRICS: Final[list[Metric]] = [
    {"name": "f1", "label": "F1", "unit": "%"},
    {"name": "exact_match", "label": "Exact match", "unit": "%"},
]
# SQuAD 2.0's two more, where some questions have an answer and some have none: F1 over the first,
# and the share of the second that were given none.
ABSTAINING: Final[list[Metric]] = [
    {"name": "has_answer_f1", "label": "HasAns F1", "unit": "%"},
    {"name": "no_answer_accuracy", "label": "NoAns accuracy", "unit": "%"},
]
MARGIN: Final = 1.0  # logits between a threshold at an end and the last question: files differ

WITHOUT_QUESTION: Final = 2  # pieces before the passage if the question has none: [CLS] and [SEP]

# What the card says of them.
MEANING: Final = (
    "Exact match counts the answers that equal a gold one but for case, punctuation and articles. "
    "F1 is the mean overlap of words with the best-fitting gold answer. Both follow the benchmark "
    "of the data's language: Chinese, Japanese, Korean and Thai are compared by characters."
)


@dataclass(frozen=True)
class Answer:
    """What a model answers.

    Attributes:
        text: characters [start, end) of the passage; empty for "no answer".
        start, end: code points.
        score: start logit plus end logit, on the scale of the reader's `Search.rule`.
        windows: how many windows of the passage were read.
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
    """The best span of one window, None if the window has no passage piece or no question piece.

    The `n_best` highest starts and ends are paired; of equal scores the earliest start, then the
    earliest end wins, so that every implementation gives the same answer.

    Args:
        start_logits: float32 [S].
        end_logits: float32 [S].
        window: says where the passage lies.
        limits: `n_best` and `max_answer`.
    """
    found = _scored(start_logits, end_logits, window, limits)
    if found is None:
        return None
    starts, ends, scores = found
    row, column = np.unravel_index(int(np.argmax(scores)), scores.shape)
    return Span(int(starts[row]), int(ends[column]), float(scores[row, column]))


def spans(
    start_logits: np.ndarray, end_logits: np.ndarray, window: Window, limits: Limits
) -> Iterator[Span]:
    """Every span that `best_span` considers, in the order in which it prefers equal scores."""
    found = _scored(start_logits, end_logits, window, limits)
    if found is not None:
        starts, ends, scores = found
        for row, column in np.argwhere(np.isfinite(scores)):
            yield Span(int(starts[row]), int(ends[column]), float(scores[row, column]))


def _scored(
    start_logits: np.ndarray, end_logits: np.ndarray, window: Window, limits: Limits
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Starts [N], ends [M] and scores [N, M], -inf where a pair is no span.

    None without pieces of the passage or of the question, and where the best score is no finite
    number: such a window is skipped.
    """
    first, stop = window.first, window.stop
    if first >= stop or first <= WITHOUT_QUESTION:
        return None
    starts = _best(start_logits[first:stop], limits.n_best) + first
    ends = _best(end_logits[first:stop], limits.n_best) + first
    lengths = ends[None, :] - starts[:, None] + 1  # [N, M]
    scores = start_logits[starts][:, None] + end_logits[ends][None, :]
    scores = np.where((lengths >= 1) & (lengths <= limits.max_answer), scores, -np.inf)
    return (starts, ends, scores) if np.isfinite(scores.max()) else None


def _best(logits: np.ndarray, count: int) -> np.ndarray:
    """Positions of the `count` largest logits, in ascending order; of equals the earlier ones."""
    return np.sort(np.argsort(-logits, kind="stable")[:count])


def decode(
    windows: Sequence[Window],
    logits: Sequence[Outputs],
    limits: Limits,
    *,
    may_abstain: bool = False,
    null_threshold: float = 0.0,
    rule: Rule = "logits",
) -> tuple[int, int, float]:
    """First and past-the-last code point of the best answer, and its score.

    Args:
        windows: of one question and its passage.
        logits: start and end logits float32 [S] of each window.
        limits: see :func:`best_span`.
        may_abstain: answer nothing where [CLS] beats every span.
        null_threshold: by how much it has to, in logits.
        rule: how scores of different windows are compared, see `search.Search`.
    """
    best = (0, 0, -np.inf)
    heights = levels(rule, windows, logits)
    abstain = null_score(logits, heights)
    for window, pair, height in zip(windows, logits, heights, strict=True):
        span = best_span(pair[0], pair[1], window, limits)
        if span is not None and span.score - height > best[2]:
            offsets = window.offsets[[span.start - window.first, span.end - window.first]]
            best = (int(offsets[0, 0]), int(offsets[1, 1]), span.score - height)
    if best[2] == -np.inf or (may_abstain and abstain >= best[2] + null_threshold):
        return 0, 0, abstain if np.isfinite(abstain) else 0.0
    return best


def null_score(logits: Sequence[Outputs], heights: Sequence[float] | None = None) -> float:
    """The score of "no answer": start plus end logit of [CLS], the lowest number of all windows.

    Args:
        logits: of each window.
        heights: what the scores of each window are reduced by, see `search.levels`; None for 0.
    """
    scores = [float(start[0] + end[0]) for start, end in logits]
    if heights is not None:
        scores = [score - height for score, height in zip(scores, heights, strict=True)]
    return min((score for score in scores if score == score), default=float("inf"))


class Answerer(Reader[Window, Answer]):
    """A model with everything around it: question and passage in, answer out.

    Args:
        model: gives start and end logits of one window.
        tokenizer: a fast BERT tokenizer.
        limits: windows and answer lengths.
        pad_to: pad every window to this length; None runs each at its own length.
        may_abstain: answer nothing where [CLS] beats every span, as SQuAD 2.0 needs.
        null_threshold: by how much it has to, in logits.
        reuse: see :class:`Windower`.
        search: which windows are read, and how their scores are compared; None for the default.
        more: the same model opened again, once for each further window that is run at a time.
    """

    interface = SPANS

    def __init__(
        self,
        model: Model,
        tokenizer: Any,
        limits: Limits,
        *,
        pad_to: int | None = None,
        may_abstain: bool = False,
        null_threshold: float = 0.0,
        reuse: bool = True,
        search: Search | None = None,
        more: Sequence[Model] = (),
    ) -> None:
        super().__init__(model, tokenizer.pad_token_id, pad_to, more)
        self.limits, self.may_abstain = limits, may_abstain
        self.search = search or Search()
        self.null_threshold = null_threshold
        self.windower = Windower(tokenizer, limits, reuse)

    def answer(self, question: str, context: str) -> Answer:
        """The best answer over all windows of the passage, with the time of each step."""
        return self.timed(self.run(question, context))

    @staticmethod
    def timed(reading: Reading[Window, Answer]) -> Answer:
        """The answer of a reading, with the time of each step."""
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
        """The windows of a question and its passage that are to be read."""
        windows = self.windower.windows(example.text, example.context)
        return shortlist(windows, self.search.max_windows)

    def null_score(self, reading: Reading[Window, Answer]) -> float:
        """The score of "no answer" of a reading: see the function of the same name."""
        return null_score(reading.outputs, self.levels(reading))

    def levels(self, reading: Reading[Window, Answer]) -> list[float]:
        """What the scores of each window of a reading are reduced by: see `search.levels`."""
        return levels(self.search.rule, reading.inputs, reading.outputs)

    def decode(
        self, example: Question, inputs: Sequence[Window], outputs: Sequence[Outputs]
    ) -> Answer:
        """The best answer: see the function of the same name."""
        start, end, score = decode(
            inputs,
            outputs,
            self.limits,
            may_abstain=self.may_abstain,
            null_threshold=self.null_threshold,
            rule=self.search.rule,
        )
        return Answer(example.context[start:end], start, end, score, len(inputs))


def metrics_of(questions: QuestionSet) -> list[Metric]:
    """The metrics that `score` gives for these questions, in its order."""
    both = questions.has_unanswerable and any(q.answers for q in questions.questions)
    return [*METRICS, *ABSTAINING] if both else METRICS


def score(answers: Sequence[str], questions: QuestionSet) -> dict[str, float]:
    """Each of `metrics_of` in percent, unrounded, by the rules of the questions' language."""
    pairs = list(zip(answers, questions.questions, strict=True))
    figures = _figures(pairs, questions.language)
    if questions.has_unanswerable:
        answerable = [pair for pair in pairs if pair[1].answers]
        rest = [text for text, question in pairs if not question.answers]
        if answerable:
            figures["has_answer_f1"] = _figures(answerable, questions.language)["f1"]
            figures["no_answer_accuracy"] = 100.0 * sum(not text for text in rest) / len(rest)
    return figures


def _figures(pairs: Sequence[tuple[str, Question]], language: str) -> dict[str, float]:
    """F1 and exact match: those of torchmetrics for English, which are SQuAD's own."""
    if languages.base(language) == languages.ENGLISH:
        from torchmetrics.functional.text import squad

        figures = squad(
            [{"prediction_text": text, "id": str(n)} for n, (text, _) in enumerate(pairs)],
            [
                {"answers": {"answer_start": [0] * len(golds), "text": golds}, "id": str(n)}
                for n, golds in enumerate(list(q.answers or ("",)) for _, q in pairs)
            ],
        )
        return {metric["name"]: float(figures[metric["name"]]) for metric in METRICS}
    rules = {"f1": languages.f1, "exact_match": languages.exact}
    return {
        metric["name"]: 100.0
        * sum(_best_fit(rules[metric["name"]], *pair, language) for pair in pairs)
        / len(pairs)
        for metric in METRICS
    }


def _best_fit(
    rule: Callable[[str, str, str], float], text: str, question: Question, language: str
) -> float:
    return max(rule(text, gold, language) for gold in question.answers or ("",))


def best_null_threshold(
    readings: Sequence[Reading[Window, Answer]], questions: QuestionSet, rule: Rule = "logits"
) -> float:
    """The threshold with the highest F1, as SQuAD 2.0's script finds it.

    That is, over all thresholds on the score of "no answer" less that of the best span, the first
    at which F1 over all questions is highest.  It is put halfway to the next question, so that
    the small differences of a quantized file change few answers.

    Args:
        readings: of each question by a reader that never abstains.
        questions: with and without answers.
        rule: the reader's, see `search.Search`.

    Returns:
        Logits: no answer is given where its score is at least the best span's plus this.
    """
    gains = []  # of answering a question rather than abstaining, by how sure it has no answer
    for reading, question in zip(readings, questions.questions, strict=True):
        text = reading.prediction.text
        kept, abstained = (
            _best_fit(languages.f1, given, question, questions.language) for given in (text, "")
        )
        heights = levels(rule, reading.inputs, reading.outputs)
        level = null_score(reading.outputs, heights) - reading.prediction.score
        if text and np.isfinite(level):  # without a span there is nothing to decide
            gains.append((level, kept - abstained))
    gains.sort()
    if not gains:
        return 0.0
    found = [level for level, _ in gains]
    between = [(low + high) / 2 for low, high in itertools.pairwise(found)]
    thresholds = [found[0] - MARGIN, *between, found[-1] + MARGIN]
    totals = np.cumsum([0.0, *(gain for _, gain in gains)])
    # Questions of one level are answered all or none.
    allowed = [0, *(n for n in range(1, len(gains)) if found[n - 1] < found[n]), len(gains)]
    return round(thresholds[max(allowed, key=lambda n: (totals[n], -n))], 4)
