# SPDX-License-Identifier: Apache-2.0
"""A task that is nowhere in the package: how many word pieces a text has, a regression."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import Data
from pipeline.data.sources import Part
from pipeline.models.heads import CLASS_HEAD
from pipeline.tasks.reading import Model, Outputs, Reader
from pipeline.tasks.task import Task, Traits

SENTENCE = "the old tower of the city stands by a river and was built long ago"
WORDS = tuple(SENTENCE.split())


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class Texts:
    name: str
    sha256: str
    examples: tuple[Text, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(each.text for each in self.examples)

    def limited(self, count: int | None) -> Texts:
        return replace(self, examples=self.examples[:count])

    def spread(self, most: int) -> Texts:
        return self.limited(most)

    def with_examples(self, examples: Sequence[Text]) -> Texts:
        return replace(self, examples=tuple(examples))

    def facts(self) -> dict[str, Any]:
        return {"name": self.name, "sha256": self.sha256, "counts": {"texts": len(self.examples)}}


@dataclass(frozen=True, eq=False)
class Pieces:
    ids: np.ndarray
    label: float = 0.0

    @property
    def segment_ids(self) -> np.ndarray:
        return np.zeros_like(self.ids)

    @property
    def length(self) -> int:
        return len(self.ids)


class Counter(Reader[Pieces, float]):
    interface = CLASS_HEAD.interface

    def __init__(self, model: Model, tokenizer: Any, longest: int, pad_to: int | None) -> None:
        super().__init__(model, tokenizer.pad_token_id, pad_to)
        self.tokenizer, self.longest = tokenizer, longest

    def encode(self, example: Text) -> list[Pieces]:
        return [pieces(self.tokenizer, example.text, self.longest)]

    def decode(self, example: Any, inputs: Sequence[Pieces], outputs: Sequence[Outputs]) -> float:
        return float(outputs[0][0][0])


def pieces(tokenizer: Any, text: str, longest: int) -> Pieces:
    ids = tokenizer(text)["input_ids"][:longest]
    return Pieces(np.asarray(ids, np.int32), len(ids) / 10)


class TokenCount(Task):
    """Estimates the number of word pieces, divided by ten."""

    name = "toy"
    title = "token counting"
    label = "token counting"
    description = "Given a text, this model estimates how many word pieces it has."
    summary = "Token counting."
    suffix = "toy"
    unit = "text"
    head = CLASS_HEAD
    metrics = ({"name": "near", "label": "Near", "unit": "%"},)
    card = Path(__file__).parent / "toy_card"
    command = "python -m pipeline.tasks.toy {file}"
    meaning = "Near counts the estimates that are off by at most three pieces."

    def load(self, data: Data, part: Part) -> Texts:
        drawn = random.Random(part)
        texts = [" ".join(drawn.choices(WORDS, k=drawn.randint(2, 60))) for _ in range(200)]
        digest = hashlib.sha256("".join(texts).encode()).hexdigest()
        most = data.max_train if part == "train" else data.max_eval
        return Texts(f"toy {part}", digest, tuple(map(Text, texts))).limited(most)

    def labels(self, traits: Traits) -> int:
        return 1

    def encoding(self, data: Data) -> Mapping[str, Any]:
        return {"max_length": data.max_length}

    def features(self, tokenizer: Any, data: Data, train: Any, traits: Traits) -> list[Pieces]:
        return [pieces(tokenizer, each.text, data.max_length) for each in train.examples]

    def gold(self, features: Sequence[Pieces]) -> dict[str, Any]:
        import torch

        return {"count": torch.tensor([f.label for f in features])}

    def gold_loss(self, logits: Sequence[Any], batch: Mapping[str, Any]) -> Any:
        return (logits[0][:, 0] - batch["count"]).square().mean()

    def soft_loss(self, logits: Sequence[Any], taught: Sequence[Any], temperature: float) -> Any:
        return (logits[0] - taught[0]).square().mean()

    def reader(
        self,
        model: Any,
        tokenizer: Any,
        data: Data,
        traits: Traits,
        *,
        pad_to: Any = None,
        reuse: bool = True,
    ) -> Counter:
        return Counter(model, tokenizer, data.max_length, pad_to)

    def same(self, prediction: float, other: float) -> bool:
        return abs(prediction - other) < 0.05

    def score(self, predictions: Sequence[float], examples: Any) -> dict[str, float]:
        counts = [len(each.text.split()) / 10 for each in examples.examples]
        near = [abs(p - count) < 0.3 for p, count in zip(predictions, counts, strict=True)]
        return {"near": 100.0 * sum(near) / len(near)}

    def describe(self, data: Data, traits: Traits) -> dict[str, Any]:
        return {"limits": {"max_length": data.max_length}}

    def golden(self, readers: Mapping[str, Any], evaluation: Any, count: int) -> dict[str, Any]:
        cases = [
            {
                "text": each.text,
                "answers": {name: reader.read(each).prediction for name, reader in readers.items()},
            }
            for each in evaluation.examples[:count]
        ]
        return {"schema_version": 1, "cases": cases}


TASK = TokenCount()
