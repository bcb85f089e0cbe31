# SPDX-License-Identifier: Apache-2.0
"""From logits to a class with its probability or to a number, and from these to scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from converters.interface import CLASSES
from pipeline.errors import UserError
from pipeline.tasks.reading import Model, Outputs, Reader, Reading
from pipeline.tasks.task import Traits
from pipeline.tasks.text_classification import metrics
from pipeline.tasks.text_classification.data import NUMBER, WHOLE, Text, TextSet
from pipeline.tasks.text_classification.features import Feature, encode

# Two predicted numbers say the same if they differ by at most this share of the range of the
# training labels: a tenth of a point on STS-B's scale from 0 to 5.
SAME = 0.02


@dataclass(frozen=True)
class Prediction:
    """What a model says of a text.

    Attributes:
        labels: of the model, in the order of its outputs; none for a regression.
        probabilities: of each label; they add up to 1.
        value: the number, of a regression; else 0.
        range: of the training labels, of a regression.
    """

    labels: tuple[str, ...]
    probabilities: tuple[float, ...] = ()
    value: float = 0.0
    range: float = 1.0

    @property
    def place(self) -> int:
        """The place of the most probable label; of equals the first."""
        return int(np.argmax(self.probabilities))

    @property
    def label(self) -> str:
        """The most probable label; "" for a regression."""
        return self.labels[self.place] if self.labels else ""

    @property
    def probability(self) -> float:
        """Of that label."""
        return self.probabilities[self.place] if self.labels else 0.0

    def ranked(self) -> list[tuple[str, float]]:
        """Labels with their probabilities, the most probable first."""
        pairs = zip(self.labels, self.probabilities, strict=True)
        return sorted(pairs, key=lambda pair: -pair[1])


def probabilities(logits: np.ndarray) -> np.ndarray:
    """The softmax of logits [C], float64."""
    powers = np.exp(logits.astype(np.float64) - np.max(logits))
    shares: np.ndarray = powers / powers.sum()
    return shares


class Classifier(Reader[Feature, Prediction]):
    """A model with everything around it: a text or a pair in, a prediction out.

    Args:
        model: gives the logits of one input, float32 [C].
        tokenizer: a fast BERT tokenizer.
        max_length: of an input, in word pieces.
        traits: see `pipeline.tasks.text_classification.task`.
        pad_to: pad every input to this length; None runs each at its own length.
    """

    interface = CLASSES

    def __init__(
        self,
        model: Model,
        tokenizer: Any,
        max_length: int,
        traits: Traits,
        *,
        pad_to: int | None = None,
    ) -> None:
        super().__init__(model, tokenizer.pad_token_id, pad_to)
        self.tokenizer, self.max_length, self.traits = tokenizer, max_length, traits
        self.labels = tuple(traits["labels"])

    def encode(self, example: Text) -> list[Feature]:
        """The one input of a text or of a pair."""
        return [encode(self.tokenizer, example.text, example.pair, self.max_length)]

    def decode(
        self, example: Text, inputs: Sequence[Feature], outputs: Sequence[Outputs]
    ) -> Prediction:
        """The label with the largest logit, or the number."""
        logits = outputs[0][0]
        if self.traits["regression"]:
            span = float(self.traits.get("range", 1.0))
            return Prediction((), value=float(logits[0]), range=span)
        return Prediction(self.labels, tuple(probabilities(logits).tolist()))

    def run(self, text: str, pair: str | None = None) -> Reading[Feature, Prediction]:
        """As `read`, of a text that no data set holds."""
        return self.read(Text(text, pair, ""))


def same(one: Prediction, other: Prediction) -> bool:
    """Whether two predictions have the same label, or numbers that are nearly the same."""
    if one.labels:
        return one.place == other.place
    return abs(one.value - other.value) <= SAME * one.range


def place_of(label: str, labels: Sequence[str]) -> int | None:
    """The output of a model that stands for a label of the data; None if there is none.

    That is the one with its name, in any case of letters; or the one with its number, as data that
    number their classes have it. Where the model names a class by a whole number, a number is a
    name alone: `2` is not the third of the classes `1`, `3` and `5`.
    """
    names = [name.casefold() for name in labels]
    if label in labels:
        return list(labels).index(label)
    if label.casefold() in names:
        return names.index(label.casefold())
    if any(WHOLE.fullmatch(name) for name in labels) or not label.isdecimal():
        return None
    return int(label) if int(label) < len(labels) else None


def places_of(examples: TextSet, labels: Sequence[str]) -> list[int]:
    """The output for the label of each example.

    Raises:
        UserError: the model has none for one of them.
    """
    known = {label: place_of(label, labels) for label in {one.label for one in examples.examples}}
    check(examples.name, known, labels)
    return [place for one in examples.examples if (place := known[one.label]) is not None]


def check(name: str, known: dict[str, int | None], labels: Sequence[str]) -> None:
    """Refuses a label without an output.

    Raises:
        UserError: names it.
    """
    for label, place in sorted(known.items()):
        if place is None:
            listed = ", ".join(each[:40] for each in labels[:20])
            raise UserError(
                f"{name} has the label {label[:60]!r}, which the training data or the model does "
                f"not have: allowed are {listed}; mend the label, or give the classes with --labels"
            )


def score(predictions: Sequence[Prediction], examples: TextSet) -> dict[str, float]:
    """The metrics of a data set in percent, unrounded, the headline's first."""
    labels = predictions[0].labels
    names = metrics.wanted(not labels, examples.task, examples.metric)
    if labels:
        gold = places_of(examples, labels)
        return metrics.compute(names, gold, [one.place for one in predictions], len(labels))
    return metrics.compute(names, examples.values, [one.value for one in predictions])


def check_numbers(examples: TextSet) -> None:
    """Refuses labels that are no numbers.

    Raises:
        UserError: names the first.
    """
    for one in examples.examples:
        if not NUMBER.fullmatch(one.label):
            raise UserError(
                f"{examples.name} has the label {one.label[:60]!r}, and a number is predicted: "
                "name a file whose labels are numbers"
            )
