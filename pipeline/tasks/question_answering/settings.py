# SPDX-License-Identifier: Apache-2.0
"""The settings that only question answering has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from tyro.conf import OmitArgPrefixes

from pipeline.config import Build, Count, Data
from pipeline.tasks.question_answering import languages
from pipeline.tasks.question_answering.features import Limits


@dataclass(frozen=True)
class QuestionData(Data):
    """The questions, and how a passage is cut into windows."""

    train_file: str = "embedded"
    """Train on these questions: `embedded`, a SQuAD 1.1 or 2.0 file (JSON or JSON Lines, .gz or
    not), or a hub data set such as rajpurkar/squad or facebook/xquad:xquad.de."""
    eval_file: str = "embedded"
    """Score every model and file on these questions; the same forms as for training."""
    bad_answers: Literal["error", "skip"] = "error"
    """Stop at a training answer that is not at its offset (`error`), or leave it out, with its
    question if that has no other (`skip`). For scoring, answers count by their text."""
    empty_answers: Literal["error", "unanswerable", "drop"] = "error"
    """Stop at a question whose answer is an empty text (`error`), take it as one that its passage
    does not answer (`unanswerable`), or leave it out as one whose answer was lost (`drop`)."""
    language: str = languages.AUTO
    """Compare answers by the rules of this language, a code such as `de`, `fr` or `zh`; `auto`
    finds it in the evaluation passages and takes English where they do not tell."""
    stride: Count = 128
    """Start the next window over a long passage this many word pieces after the last one."""
    max_query: Count = 64
    """Cut questions to this many word pieces."""
    max_answer: Count = 30
    """Consider answers of up to this many word pieces."""
    n_best: Count = 20
    """Consider this many starts and this many ends for an answer."""

    @property
    def limits(self) -> Limits:
        """How passages are cut and answers are read."""
        return Limits(self.max_length, self.stride, self.max_query, self.max_answer, self.n_best)


@dataclass(frozen=True)
class QuestionBuild(Build):
    """All settings of `python -m pipeline.build --task question-answering`."""

    data: OmitArgPrefixes[QuestionData] = field(default_factory=QuestionData)


def problems(data: QuestionData) -> Iterator[str]:
    """What is wrong with the settings, a line each."""
    if (wrong := languages.problem(data.language)) is not None:
        yield wrong
    room = data.max_length - data.max_query - 3
    if data.stride > room:
        yield (
            f"--stride {data.stride}: at most {room} with --max-length {data.max_length} and "
            f"--max-query {data.max_query}, or pieces fall between two windows"
        )
