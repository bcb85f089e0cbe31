# SPDX-License-Identifier: Apache-2.0
"""The settings that only question answering has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from tyro.conf import OmitArgPrefixes

from pipeline.config import Build, Count, Data
from pipeline.tasks.question_answering.features import Limits


@dataclass(frozen=True)
class QuestionData(Data):
    """The questions, and how a passage is cut into windows."""

    train_file: str = "embedded"
    """Train on these questions: `embedded`, a SQuAD 1.1 or 2.0 JSON file, or a hub data set such as
    rajpurkar/squad."""
    eval_file: str = "embedded"
    """Score every model and file on these questions; the same forms as for training."""
    bad_answers: Literal["error", "skip"] = "error"
    """Stop at an answer that is not at its offset (`error`), or leave its question out (`skip`)."""
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
    room = data.max_length - data.max_query - 3
    if data.stride > room:
        yield (
            f"--stride {data.stride}: at most {room} with --max-length {data.max_length} and "
            f"--max-query {data.max_query}, or pieces fall between two windows"
        )
