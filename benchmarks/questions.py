# SPDX-License-Identifier: Apache-2.0
"""Questions for a benchmark: each through tokenizer, windows, model and decoding, timed apart.

`benchmarks.run` asks these where it is given question data.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from benchmarks.measure.schema import Metric
from pipeline.ask import describe
from pipeline.errors import UserError
from pipeline.tasks.question_answering import languages
from pipeline.tasks.question_answering.evaluate import Answer, metrics_of, score
from pipeline.tasks.question_answering.features import Windower
from pipeline.tasks.question_answering.squad import EmptyAnswers, Question, load_questions
from pipeline.tasks.reading import Model


class TimedQuestions:
    """Questions drawn by seed from a set: an `Asked` of `benchmarks.measure.queries`.

    Args:
        file: `embedded`, a SQuAD file or a hub data set.
        beside: an exported file with its model.json, or a Hugging Face folder with a tokenizer:
            every model gets its tokenizer, windows and answer lengths.
        count: how many questions at most.
        longest: the longest window that all models take.
        seed: of the draw and its order.
        empty_answers: what to do with a question whose answer is an empty text.
        language: whose rules compare answers: a code, or `auto` for that of the passages.

    Raises:
        UserError: no such questions or tokenizer, or windows that are too long.
    """

    one = "question"

    def __init__(
        self,
        file: str,
        beside: Path,
        *,
        count: int,
        longest: int,
        seed: int,
        empty_answers: str = "error",
        language: str = languages.AUTO,
    ) -> None:
        self._how = describe(beside, verify=False)  # whoever opens the files has compared them
        limits = self._how.limits
        if limits.max_length > longest:
            raise UserError(
                f"{beside.name} has windows of up to {limits.max_length} tokens, and the files, or "
                f"--pad-to, take {longest}"
            )
        found = load_questions(
            file, "dev", empty_answers=cast(EmptyAnswers, empty_answers), language=language
        )
        self.source = found.name
        self.sha256: str | None = found.sha256
        self.available: int | None = len(found.questions)
        drawn = random.Random(seed).sample(  # noqa: S311 - no secret
            found.questions, min(count, len(found.questions))
        )
        self._drawn = replace(found, questions=tuple(drawn))
        self.metrics: Sequence[Metric] = metrics_of(self._drawn)
        self.queries: Sequence[Question] = drawn
        cut = Windower(self._how.tokenizer, limits).windows
        self.tokens = [sum(len(w.ids) for w in cut(q.text, q.context)) for q in drawn]
        self._answers: dict[str, list[Answer]] = {}

    def subject(self, name: str, model: Model, pad_to: int | None) -> Callable[[Any], object]:
        """A function that answers a question; what it answered before under `name` is forgotten."""
        # To an app each passage is new.
        answerer = self._how.answerer(model, pad_to=pad_to, reuse=False)
        answers: list[Answer] = []
        self._answers[name] = answers

        def answer(question: Question) -> None:
            answers.append(answerer.answer(question.text, question.context))

        return answer

    def phases(self, name: str, count: int) -> dict[str, list[float]] | None:
        """Milliseconds of each phase in the last `count` answers; all windows together."""
        answers = self._answers[name][-count:]
        return {
            "tokenize": [answer.tokenize_ms for answer in answers],
            "infer": [answer.infer_ms for answer in answers],
            "decode": [answer.decode_ms for answer in answers],
        }

    def scores(self, name: str) -> dict[str, float] | None:
        """Scores by metric over the questions that were drawn."""
        answers = self._answers[name][-len(self.queries) :]
        scores = score([answer.text for answer in answers], self._drawn)
        return {name: round(value, 2) for name, value in scores.items()}
