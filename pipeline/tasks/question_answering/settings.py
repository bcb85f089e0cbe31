# SPDX-License-Identifier: Apache-2.0
"""The settings that only question answering has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from pydantic import Field
from tyro.conf import OmitArgPrefixes

from pipeline.config import Build, Data
from pipeline.fields import Count, Share
from pipeline.tasks.question_answering import languages
from pipeline.tasks.question_answering.features import Limits
from pipeline.tasks.question_answering.joined import Joining
from pipeline.tasks.question_answering.search import Rule, Search


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
    joined_share: Share = 0.0
    """Train this share of the questions on a longer passage, joined from several (0 to 1)."""
    joined_most: Annotated[int, Field(ge=2)] = 5
    """Join 2 to this many passages into a longer one."""
    cloze_questions: Annotated[int, Field(ge=0)] = 0
    """Add this many questions made from English training passages, for the student to learn from
    its teacher's answers. A teacher without a head that is fine-tuned learns from them too, and so
    does a student without the second step, as if they were gold."""
    short_share: Share = 0.0
    """Ask this share of the questions of a few sentences instead of their passage (0 to 1), except
    for a teacher that has a head. Joined passages take precedence."""
    read_stride: Count | None = None
    """Use this stride when answers are read; that of training is used if it is not given."""
    compare_windows: Rule = "logits"
    """Compare the answers of several windows by their `logits`, by their `log-probability` in their
    window, or by `log-odds` against no answer there."""
    max_windows: Count | None = None
    """Read only this many windows of a passage, those with most in common with the question (BM25);
    all of them if it is not given."""

    @property
    def limits(self) -> Limits:
        """How passages are cut in training."""
        return Limits(self.max_length, self.stride, self.max_query, self.max_answer, self.n_best)

    @property
    def reading(self) -> Limits:
        """How passages are cut and answers are read: what files and apps follow."""
        return replace(self.limits, stride=self.read_stride or self.stride)

    @property
    def search(self) -> Search:
        """Which windows are read, and how their scores compare."""
        return Search(self.compare_windows, self.max_windows)

    @property
    def joining(self) -> Joining:
        """Which questions are trained on a longer passage."""
        return Joining(self.joined_share, most=self.joined_most)


@dataclass(frozen=True)
class QuestionBuild(Build):
    """All settings of `python -m pipeline.build --task question-answering`."""

    data: OmitArgPrefixes[QuestionData] = field(default_factory=QuestionData)


def problems(data: QuestionData) -> Iterator[str]:
    """What is wrong with the settings, a line each."""
    if (wrong := languages.problem(data.language)) is not None:
        yield wrong
    room = data.max_length - data.max_query - 3
    for flag, stride in (("--stride", data.stride), ("--read-stride", data.read_stride or 1)):
        if stride > room:
            yield (
                f"{flag} {stride}: at most {room} with --max-length {data.max_length} and "
                f"--max-query {data.max_query}, or pieces fall between two windows"
            )
