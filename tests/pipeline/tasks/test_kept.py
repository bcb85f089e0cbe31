# SPDX-License-Identifier: Apache-2.0
"""Training inputs are made once for stages that need the same ones, and anew for any others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from conftest import MakeTeacher

from pipeline import tasks
from pipeline.models.teacher import load_tokenizer
from pipeline.tasks.kept import Kept


def test_the_same_inputs_are_made_once(
    make_teacher: MakeTeacher, tiny_squad: Callable[..., Path]
) -> None:
    task = tasks.find("question-answering")
    data = replace(task.settings().data, max_length=64, stride=16, max_query=16)
    train = task.load(replace(data, train_file=str(tiny_squad())), "train")
    traits = task.traits(train)
    kept, folder = Kept(), make_teacher()

    def features(of: Any = None, data: Any = data, train: Any = train, traits: Any = traits) -> Any:
        return kept.features(task, of or load_tokenizer(folder), data, train, traits)

    first = features()
    assert features() is first, "a tokenizer that was opened again has the same rules"
    others: list[dict[str, Any]] = [
        {"data": replace(data, max_length=48)},
        {"train": train.limited(6)},
        {"traits": {**traits, "may_abstain": True}},
        {"of": load_tokenizer(make_teacher(cased=True))},
    ]
    for changes in others:
        other = features(**changes)
        assert other is not first
        assert features(**changes) is other
    again = features()
    assert again is not first, "only the last ones are kept"
    for one, two in zip(first, again, strict=True):  # as in a process that resumes the build
        assert np.array_equal(one.ids, two.ids) and (one.start, one.end) == (two.start, two.end)
    kept.clear()
    assert features() is not again
