# SPDX-License-Identifier: Apache-2.0
"""One room for each task, found by the Hub's tag for it."""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING

from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.tasks.task import Task

# Each is a package here, with underscores in place of hyphens, whose `TASK` is its `Task`.
TASKS = ("question-answering", "text-classification")


def find(name: str) -> Task:
    """The task with a tag such as `question-answering`.

    Raises:
        UserError: there is none.
    """
    if name not in TASKS:
        close = difflib.get_close_matches(name, TASKS, n=1)
        hint = f", did you mean {close[0]}?" if close else ""
        raise UserError(f"--task {name}: no such task{hint}; there are {', '.join(TASKS)}")
    task: Task = importlib.import_module(f"{__name__}.{name.replace('-', '_')}").TASK
    return task
