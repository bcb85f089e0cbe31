# SPDX-License-Identifier: Apache-2.0
"""The training examples on which a file's drop of the score is measured, beside few for evaluation.

Quantization tips near ties either way.  A few of them move the first metric of some hundred
examples by a point, so that its drop says little there of what the quantization costs.  Training
examples make the sample larger.  They enter the drop alone, never a score that is reported.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converters.pretrained import load_with_head
from pipeline.models.teacher import load_tokenizer

if TYPE_CHECKING:
    from pipeline.config import Build
    from pipeline.start import Start
    from pipeline.tasks.task import Examples, Task, Traits


def draw(
    build: Build,
    task: Task,
    student: Path,
    evaluation: Examples,
    traits: Traits,
    train: Examples | None,
) -> tuple[Any, ...]:
    """Training examples in a random order that the seed decides, as many as the settings ask for.

    Args:
        build: the settings; `verification` says how many examples, and what they may cost.
        task: of the build.
        student: folder of the student, which tells the cost of an example.
        evaluation: the examples that models and files are scored on.
        traits: see `pipeline.tasks.task.Task`.
        train: what was trained on; None where nothing was.

    Returns:
        The examples; none where there are enough for evaluation, or no others.
    """
    count = _missing(build, evaluation, train)
    if train is None or not count:
        return ()
    model: Any = None  # the reader only encodes
    reader = task.reader(model, load_tokenizer(student), build.data, traits)
    cost, left = _operations(student), build.verification.drop_operations
    drawn = []
    order = random.Random(build.seed)  # noqa: S311 - no secret
    for place in order.sample(range(len(train.examples)), count):
        example = train.examples[place]
        left -= sum(cost(len(each.ids)) for each in reader.encode(example))
        if left < 0:
            break
        drawn.append(example)
    return tuple(drawn)


def joined(evaluation: Examples, drawn: Sequence[Any]) -> Examples:
    """The evaluation examples with those that were drawn after them, to be scored together."""
    return evaluation.with_examples((*evaluation.examples, *drawn)) if drawn else evaluation


def key(began: Start) -> dict[str, str]:
    """What stands for the drawn examples in the keys of stages; nothing where none are drawn."""
    config, train = began.config, began.train
    if train is None or not (count := _missing(config, began.evaluation, train)):
        return {}
    most = config.verification.drop_operations
    return {"drawn": f"{count} of {len(train.examples)} {train.sha256} {config.seed} {most:g}"}


def _missing(build: Build, evaluation: Examples, train: Examples | None) -> int:
    """How many training examples are to be drawn, unless they cost too much."""
    # A file that serves as both parts has no other examples.
    if train is None or train.sha256 == evaluation.sha256:
        return 0
    wanted = build.verification.drop_examples - len(evaluation.examples)
    return max(0, min(wanted, len(train.examples)))


def _operations(student: Path) -> Callable[[int], float]:
    """The floating-point operations of the student's forward pass over so many tokens."""
    model = load_with_head(student)
    layers, width = model.config.num_hidden_layers, model.config.hidden_size
    weights = sum(p.numel() for n, p in model.named_parameters() if "_embeddings." not in n)
    # Two for each weight and token; and attention multiplies two matrices [S, S] x [S, width].
    return lambda length: 2.0 * weights * length + 4.0 * layers * width * length**2
