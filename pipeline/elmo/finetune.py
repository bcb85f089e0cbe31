# SPDX-License-Identifier: Apache-2.0
"""Trains the baseline around ELMo on one task, and predicts with it.

    elmo = weights.load(options, file)
    tuned = finetune(elmo, train.examples, train.labels, hardware=..., seed=..., scratch=...)
    tuned.scores(dev.examples)

Examples are those of `pipeline.tasks.text_classification`, or any others with the same attributes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from converters import one_line
from pipeline.config import Hardware, Optimization
from pipeline.elmo import characters
from pipeline.elmo.baseline import Baseline, Head
from pipeline.elmo.network import Elmo
from pipeline.errors import UserError
from pipeline.training.batches import Batch, Schedule, to_device
from pipeline.training.loop import Fit, fit, pick_device

MOST_WORDS = 40  # where the authors' code cuts a sentence

# Rate, batches and clipping are those of the authors' code, whose Adam is AdamW without decay. It
# halves the rate when the score of the development set falls, and stops after five such falls; here
# the rate falls linearly over a fixed number of epochs.
PUBLISHED = Optimization(
    epochs=10.0, batch_size=128, learning_rate=1e-4, warmup=0.0, max_grad_norm=5.0
)

Sentences = tuple[tuple[str, ...], ...]  # the words of one text, or of both texts of a pair


class Example(Protocol):
    """A text or a pair of texts, with its label."""

    @property
    def text(self) -> str:
        """The text, or the first of a pair."""

    @property
    def pair(self) -> str | None:
        """The second text; None for a single text."""

    @property
    def label(self) -> str:
        """The name of the class, or the number as the data spell it."""


@dataclass(frozen=True)
class Tuned:
    """A trained baseline.

    Attributes:
        model: in evaluation mode.
        labels: the classes in the order of the scores; none for a number.
        low: smallest label of the training data, of a number.
        span: largest label minus `low`.
        most_words: words of a sentence that are read.
        fit: what the training reports.
    """

    model: Baseline
    labels: tuple[str, ...]
    low: float
    span: float
    most_words: int
    fit: Fit

    def scores(self, examples: Sequence[Example], batch_size: int = 32) -> np.ndarray:
        """What the model says of each example; their labels are not read.

        Args:
            examples: texts, or pairs where the model was trained on pairs.
            batch_size: examples of similar length that are read together.

        Returns:
            The probability of each class, float32 (examples, classes); or the predicted numbers,
            float32 (examples,).

        Raises:
            UserError: a text is given to a model of pairs, or a pair to a model of texts.
        """
        read = _sentences(examples, self.most_words)
        if read and (len(read[0]) == 2) != self.model.pair:
            raise UserError(
                f"the examples are {'pairs' if len(read[0]) == 2 else 'single texts'}, but the "
                "model was trained on the other kind; give it data of the same kind"
            )
        found = np.zeros((len(read), max(1, len(self.labels))), dtype=np.float32)
        order = sorted(range(len(read)), key=lambda place: _length(read[place]))
        for start in range(0, len(order), batch_size):
            places = order[start : start + batch_size]
            with torch.inference_mode():
                outputs = _outputs(self.model, _batch([read[place] for place in places]))
                outputs = outputs.float().softmax(1) if self.labels else outputs.float()
            found[places] = outputs.cpu().numpy()
        return found if self.labels else self.low + self.span * found[:, 0]


def finetune(
    elmo: Elmo,
    examples: Sequence[Example],
    labels: Sequence[str],
    *,
    hardware: Hardware,
    seed: int,
    scratch: Path,
    optimization: Optimization = PUBLISHED,
    head: Head | None = None,
    most_words: int = MOST_WORDS,
) -> Tuned:
    """Trains a new baseline around ELMo, whose own weights stay as they are.

    Args:
        elmo: see `pipeline.elmo.weights.load`.
        examples: all of them texts, or all of them pairs.
        labels: the classes in order; none to predict a number by its squared error.
        hardware: device and precision. `auto` is fp32, as the baseline was published: bf16 rounds
            away small differences between the recurrent states of similar sentences.
        seed: of the new weights, of the order of examples and of dropout.
        scratch: folder for checkpoints; belongs to this training alone.
        optimization: rates, batch size, epochs.
        head: sizes of what is around ELMo; the published ones if it is not given.
        most_words: words that are read of each sentence; longer ones are cut.

    Raises:
        UserError: there are no examples, texts and pairs are mixed, or a label is not one of
            `labels` or no number.
    """
    if not examples:
        raise UserError("there are no examples to train on: name a file with texts and labels")
    read = _sentences(examples, most_words)
    values, low, span = _targets(examples, labels)
    if hardware.precision == "auto":
        hardware = replace(hardware, precision="fp32")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Baseline(
            elmo, head or Head(), len(labels) or None, pair=examples[0].pair is not None
        )
    result = fit(
        model.to(pick_device(hardware.device)).train(),
        Schedule(
            list(zip(read, values, strict=True)),
            [_length(sentences) for sentences in read],
            optimization.batch_size,
            optimization.epochs,
            seed,
        ),
        _collate,
        _loss,
        settings=optimization,
        hardware=hardware,
        seed=seed,
        scratch=scratch,
        label="ELMo",
    )
    return Tuned(model.eval(), tuple(labels), low, span, most_words, result)


def _sentences(examples: Sequence[Example], most_words: int) -> list[Sentences]:
    """The words of every example, cut; a UserError where texts and pairs are mixed."""
    found: list[Sentences] = []
    for example in examples:
        texts = (example.text,) if example.pair is None else (example.text, example.pair)
        found.append(tuple(characters.split(text)[:most_words] for text in texts))
        if len(found[0]) != len(found[-1]):
            raise UserError(
                f"example {len(found)} is {'a pair' if len(texts) == 2 else 'a single text'} and "
                "the first is not: give single texts only, or pairs only"
            )
    return found


def _targets(
    examples: Sequence[Example], labels: Sequence[str]
) -> tuple[Sequence[int | float], float, float]:
    """The place of each class, 0 and 1; or numbers from 0 to 1, their low and their span.

    The authors' code divides the scores of STS-B by 5, their largest value.
    """
    if labels:
        places = {label: place for place, label in enumerate(labels)}
        for example in examples:
            if example.label not in places:
                raise UserError(
                    f"the label {one_line(example.label, 60)!r} is not one of "
                    f"{one_line(', '.join(labels), 200)}: mend the label, or add it to the classes"
                )
        return [places[example.label] for example in examples], 0.0, 1.0
    numbers = [_number(example.label) for example in examples]
    low, span = min(numbers), (max(numbers) - min(numbers)) or 1.0
    return [(number - low) / span for number in numbers], low, span


def _number(label: str) -> float:
    try:
        number = float(label)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(
            f"the label {one_line(label, 60)!r} is no finite number: mend it, or give the classes"
        )
    return number


def _length(sentences: Sentences) -> int:
    return max(map(len, sentences))


def _batch(examples: Sequence[Sentences]) -> Batch:
    """`first` and, of pairs, `second`: int64 (batch, words + 2, characters)."""
    names = ("first", "second")[: len(examples[0])]
    return {
        name: characters.batch([sentences[place] for sentences in examples])
        for place, name in enumerate(names)
    }


def _collate(items: Sequence[tuple[int, tuple[Sentences, int | float]]]) -> Batch:
    """A batch of the schedule's items, with `target` (batch,): int64 of classes, or float32."""
    examples = [sentences for _, (sentences, _) in items]
    return {**_batch(examples), "target": torch.tensor([value for _, (_, value) in items])}


def _outputs(model: nn.Module, batch: Batch) -> Tensor:
    batch = to_device(batch, model)
    outputs: Tensor = model(batch["first"], batch.get("second"))
    return outputs


def _loss(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """The cross-entropy of classes, or the mean squared error of numbers."""
    outputs = _outputs(model, batch).float()
    target = batch["target"].to(outputs.device)
    if target.is_floating_point():
        return {"squared_error": F.mse_loss(outputs[:, 0], target)}
    return {"cross_entropy": F.cross_entropy(outputs, target)}
