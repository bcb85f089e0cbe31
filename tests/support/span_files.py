# SPDX-License-Identifier: Apache-2.0
"""What lies beside exported files of question answering, written as a build writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from converters import sealed
from pipeline.files import export
from pipeline.tasks.question_answering import TASK
from pipeline.tasks.question_answering.features import Limits
from pipeline.tasks.question_answering.settings import QuestionData
from pipeline.tasks.question_answering.squad import Question, QuestionSet
from pipeline.tasks.reading import Model


def write_model_json(
    vocabulary: Path,
    files: Mapping[str, Path],
    tokenizer: Any,
    limits: Limits,
    *,
    max_positions: int,
    may_abstain: bool = False,
    static_lengths: Sequence[int] = (),
) -> None:
    """Writes `model.json` beside the files."""
    about = TASK.describe(QuestionData(**asdict(limits)), {"may_abstain": may_abstain})
    export.write_model_json(
        vocabulary,
        files,
        tokenizer,
        TASK.head.interface,
        {"task": TASK.label, **about},
        length=limits.max_length,
        max_positions=max_positions,
        static_lengths=static_lengths,
    )


def write_golden(
    folder: Path,
    models: Mapping[str, Model],
    tokenizer: Any,
    limits: Limits,
    questions: Sequence[Question],
    count: int,
) -> int:
    """Writes `golden.json`; returns the number of cases."""
    data, traits = QuestionData(**asdict(limits)), {"may_abstain": False}
    readers = {name: TASK.reader(model, tokenizer, data, traits) for name, model in models.items()}
    document = TASK.golden(readers, QuestionSet("set", "0", tuple(questions)), count)
    sealed.write(folder / "golden.json", document)
    return len(document["cases"])
