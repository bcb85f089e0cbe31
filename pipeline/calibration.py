# SPDX-License-Identifier: Apache-2.0
"""What only a finished model tells, such as the threshold below which it has no answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pipeline.session import progress, torch_predictor

if TYPE_CHECKING:
    from pipeline.artifacts import Artifact, Store
    from pipeline.config import Build
    from pipeline.start import Start
    from pipeline.tasks.task import Examples, Task, Traits


def stage(store: Store, began: Start, student: Artifact) -> tuple[Start, Artifact | None]:
    """Adds the traits that only the finished student tells, which are the stage's facts."""
    config, task, evaluation, traits = began.config, began.task, began.evaluation, began.traits
    if not task.calibrates(traits, evaluation):
        return began, None

    def find(*_: object) -> Traits:
        from pipeline.models.teacher import load_tokenizer

        model, tokenizer = torch_predictor(config, student.folder), load_tokenizer(student.folder)
        return calibrated(config, task, model, tokenizer, evaluation, traits, "student")

    found = store.stage(
        "calibration",
        find,
        settings=began.reading | {"scoring": task.scoring(config.data)},
        inputs={"student": student, **began.asked},
    )
    return replace(began, traits={**traits, **found.facts}), found


def calibrated(
    build: Build,
    task: Task,
    model: Any,
    tokenizer: Any,
    evaluation: Examples,
    traits: Traits,
    label: str,
) -> Traits:
    """What `Task.calibrate` finds for one model, with its progress shown."""
    return task.calibrate(
        model,
        tokenizer,
        build.data,
        traits,
        evaluation,
        lambda examples: progress(build, examples, f"calibrating the {label}", task.unit),
    )
