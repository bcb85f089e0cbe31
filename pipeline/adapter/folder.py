# SPDX-License-Identifier: Apache-2.0
"""The folder of an adapter: peft's two files, the head for masked words, checksums and a card."""

from __future__ import annotations

import copy
import json
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from converters import whole_file
from converters.runtimes.checksums import sha256
from pipeline.adapter.learner import Learner
from pipeline.adapter.recipe import Recipe
from pipeline.data.corpus import Corpus
from pipeline.data.sources import EMBEDDED
from pipeline.errors import UserError
from pipeline.models import adapters, carried
from pipeline.tasks.question_answering.squad import QuestionSet

BASES = {"all-MiniLM-L6-v2": "sentence-transformers/all-MiniLM-L6-v2"}  # on the hub


@dataclass(frozen=True)
class Card:
    """What the card of an adapter says.

    Attributes:
        recipe: the settings.
        base: name of the base model.
        sets: the questions.
        licenses: name and license of each.
        corpus: the text; None without one.
        figures: see `measure.Measure`.
        facts: of the training, by name.
        command: how it was called.
    """

    recipe: Recipe
    base: str
    sets: Sequence[QuestionSet]
    licenses: Sequence[str]
    corpus: Corpus | None
    figures: Mapping[str, float]
    facts: Mapping[str, Any]
    command: str

    @cached_property
    def data(self) -> dict[str, Any]:
        """What the adapter was trained on, as `data.json` of the folder has it.

        `questions` is a list with `name`, `source` (with its license), `count` and `sha256` of
        each; `text` has `source` and `sha256`, or is None.
        """
        python = f"the documentation of Python {platform.python_version()}, PSF License"
        texts = (python if one == EMBEDDED else Path(one).name for one in self.recipe.text)
        text = self.corpus and {"source": " and ".join(texts), "sha256": self.corpus.sha256}
        questions = [
            {"name": one.name, "source": source, "count": len(one.questions), "sha256": one.sha256}
            for one, source in zip(self.sets, self.licenses, strict=True)
        ]
        return {"questions": questions, "text": text}

    def markdown(self) -> str:
        """The README.md of the folder."""
        optimization = self.recipe.optimization
        lines = [
            "---",
            f"base_model: {BASES.get(self.base, self.base)}",
            "library_name: peft",
            "tags: [lora, question-answering]",
            "---",
            f"# Adapter of {self.base} for question answering and masked words",
            "",
            "A LoRA of all linear layers of the encoder with a head for answers (peft), and beside "
            "it, in `mlm_head.safetensors`, a head for masked words: transform and bias, whose "
            "output matrix is the table of embeddings. All tensors are float16.",
            "",
            "## Data",
            "",
            "| questions | name and license | number | sha256 |",
            "|---|---|---|---|",
            *(
                f"| {each['name']} | {each['source']} | {each['count']:,} | `{each['sha256']}` |"
                for each in self.data["questions"]
            ),
            "",
        ]
        if text := self.data["text"]:
            lines += [
                f"Text for masked words: {text['source']}, and the passages of the questions "
                f"(sha256 `{text['sha256']}`).",
                "",
            ]
        lines += [
            f"{self.recipe.joined_share:.0%} of the questions had a passage joined from 2 to "
            f"{self.recipe.joined_most}, and {self.recipe.unanswered_share:.0%} a passage without "
            "their answer. Windows without the answer have [CLS] as their target.",
            "",
            "## Training",
            "",
            f"Seed {self.recipe.seed}, rank {self.recipe.rank}, {optimization.epochs:g} epochs in "
            f"batches of {optimization.batch_size}, learning rate "
            f"{optimization.learning_rate:g}, torch {torch.__version__}.",
            "",
            *(f"- {name}: {value}" for name, value in self.facts.items()),
            "",
            f"```\n{self.command}\n```",
            "",
            "## Figures",
            "",
            "F1 in percent, and the share of masked words named right in percent.",
            "",
            "| measured on | value |",
            "|---|---|",
            *(f"| {name} | {value:.2f} |" for name, value in self.figures.items()),
        ]
        return "\n".join(lines) + "\n"


def write(folder: Path, learner: Learner, card: Card) -> None:
    """Writes the folder anew; an interrupted writing leaves the old one.

    Raises:
        UserError: the files would take more than the recipe allows.
    """
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    aside = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    named = {adapters.WEIGHTS: get_peft_model_state_dict(learner.adapted)}
    if head := learner.word_head():
        named[adapters.WORDS] = head
    for name, tensors in named.items():
        halves = {key: one.detach().half().cpu().contiguous() for key, one in tensors.items()}
        save_file(dict(sorted(halves.items())), aside / name, {"format": "pt"})
    config = copy.deepcopy(learner.adapted.peft_config["default"])
    config.inference_mode = True
    config.base_model_name_or_path = BASES.get(card.base, card.base)
    config.save_pretrained(str(aside))
    whole_file.write(aside / carried.DATA, json.dumps(card.data, indent=2) + "\n")
    size = sum(path.stat().st_size for path in aside.iterdir())
    if size > card.recipe.max_megabytes * 1e6:
        raise UserError(
            f"the adapter takes {size / 1e6:.2f} MB, and --max-megabytes allows "
            f"{card.recipe.max_megabytes:g}: lower --rank"
        )
    sums = "".join(f"{sha256(path)}  {path.name}\n" for path in sorted(aside.iterdir()))
    whole_file.write(aside / carried.SUMS, sums)
    whole_file.write(aside / "README.md", card.markdown())
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)
