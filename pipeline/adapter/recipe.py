# SPDX-License-Identifier: Apache-2.0
"""The settings of the adapter's training; a field's docstring is its help text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import pydantic
from pydantic import Field

from pipeline import command_line
from pipeline.config import Hardware, Optimization
from pipeline.errors import UserError
from pipeline.fields import Count, Positive, Share, Strict, Weight
from pipeline.tasks.question_answering.features import Limits
from pipeline.tasks.question_answering.joined import Joining


@dataclass(frozen=True)
class Recipe(Strict):
    """All settings of `python -m pipeline.adapter`."""

    out: Path = Path("build/adapter")
    """Write the adapter, its card and the log into this folder."""
    base: str = "embedded"
    """Adapt this BERT: `embedded`, or a folder."""
    data: tuple[str, ...] = ()
    """Train on the questions of these SQuAD files (JSON), beside the embedded ones."""
    data_license: tuple[str, ...] = ()
    """State name and license of each of these files for the card, such as "QAMR, MIT"."""
    embedded: bool = True
    """Train on the embedded questions too."""
    dev: tuple[str, ...] = ("embedded",)
    """Measure F1 on these questions: `embedded`, or SQuAD files."""
    text: tuple[str, ...] = ("embedded",)
    """Learn masked words in this text: `embedded` (text that Python carries), or UTF-8 text files;
    the passages of the questions always belong to it."""
    max_questions: Count | None = None
    """Train on this many questions of each file only, the first ones."""
    max_samples: Count | None = None
    """Learn masked words in this many samples of the text only."""
    max_eval: Count = 200
    """Measure on this many questions of each file, evenly spread over it."""
    rank: Count = 28
    """Give the adapter of each matrix this rank."""
    scale: Positive = 1.0
    """Multiply what the adapter adds by this (lora_alpha is the rank times it)."""
    max_megabytes: Positive = 3.0
    """Refuse an adapter whose files would take more than this, in millions of bytes."""
    length: Annotated[int, Field(ge=16)] = 384
    """Cut windows of this many word pieces."""
    stride: Count = 256
    """Start the next window over a long passage this many word pieces after the last one."""
    max_query: Count = 64
    """Cut questions to this many word pieces."""
    joined_share: Share = 0.15
    """Give this share of the questions a passage that is joined from several (0 to 1)."""
    joined_most: Annotated[int, Field(ge=2)] = 5
    """Join 2 to this many passages."""
    unanswered_share: Share = 0.1
    """Ask this share of the questions of a passage without their answer (0 to 1)."""
    text_length: Annotated[int, Field(ge=16)] = 128
    """Put this many word pieces into a sample of the text."""
    text_passes: Weight = 1.0
    """Pass over the text this many times while the questions are passed over once; 0 trains no
    masked-language-model head."""
    mask_share: Share = 0.15
    """Choose this share of the tokens of a sample for prediction (0 to 1)."""
    mask_smoothing: Weight = 0.7
    """Choose rare tokens more often: with a probability proportional to count ** -smoothing."""
    alpha_mlm: Weight = 1.0
    """Weight a sample of the text by this; a window of a question has the weight 1."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 42
    """Seed every random number generator with this number."""
    optimization: Optimization = field(
        default_factory=lambda: Optimization(
            epochs=4.0,
            batch_size=16,
            learning_rate=2e-3,
            warmup=0.06,
            weight_decay=0.01,
            dropout=0.0,
            attention_dropout=0.0,
            checkpoint_steps=1000,
        )
    )
    """Train with these settings; F1 is measured and a checkpoint saved every
    `optimization.checkpoint-steps` steps."""
    hardware: Hardware = field(default_factory=Hardware)

    @property
    def limits(self) -> Limits:
        """How passages are cut, in training and for the measured F1."""
        return Limits(self.length, self.stride, self.max_query)

    @property
    def joining(self) -> Joining:
        """Which questions get a longer or another passage in training."""
        return Joining(
            self.joined_share,
            most=self.joined_most,
            unanswered=self.unanswered_share,
            seed=self.seed,
        )


def parse(arguments: Sequence[str], program: str, description: str) -> Recipe:
    """The settings that a command line asks for.

    Raises:
        UserError: values out of range, or settings that do not fit each other; all in one line.
        SystemExit: after `--help`, and with code 2 for a flag that does not exist.
    """
    found = command_line.parsed(Recipe, program, arguments, description)
    try:
        recipe = pydantic.TypeAdapter(Recipe).validate_python(asdict(found))
    except pydantic.ValidationError as error:
        wrong = (
            f"--{'.'.join(map(str, one['loc'])).replace('_', '-')}: {one['msg'].lower()}, not "
            f"{one['input']!r}"
            for one in error.errors()
        )
        raise UserError("; ".join(wrong)) from error
    if problems := _problems(recipe):
        raise UserError("; ".join(problems))
    return recipe


def _problems(recipe: Recipe) -> list[str]:
    """What does not fit together, a line each."""
    found = []
    if len(recipe.data) != len(recipe.data_license):
        found.append(
            f"--data-license states {len(recipe.data_license)} licenses for {len(recipe.data)} "
            "files of --data: state one for each file, in the same order"
        )
    if not recipe.data and not recipe.embedded:
        found.append("--no-embedded without --data leaves no questions: name a file with --data")
    if not recipe.dev:
        found.append("--dev needs at least one value: name a file, or `embedded`")
    if recipe.joined_share + recipe.unanswered_share > 1:
        found.append(
            f"--joined-share {recipe.joined_share:g} and --unanswered-share "
            f"{recipe.unanswered_share:g} add up to more than 1: lower one of them"
        )
    if recipe.text_passes and not (recipe.mask_share and recipe.alpha_mlm):
        found.append(
            "--text-passes needs --mask-share and --alpha-mlm above 0: give both a value, or pass "
            "--text-passes 0"
        )
    return found
