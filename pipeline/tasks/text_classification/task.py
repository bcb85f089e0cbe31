# SPDX-License-Identifier: Apache-2.0
"""Text classification as a task of the build; see `pipeline.tasks.task.Task` for what each part is.

The traits are `labels`, the classes in the order of the model's outputs; `regression`, whether the
model has one output, a number; `pair`, whether it reads two texts; and for a regression `range`,
the largest label of the training data less the smallest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pipeline.config import Build, Data
from pipeline.data.sources import Part
from pipeline.errors import UserError
from pipeline.models.heads import CLASS_HEAD
from pipeline.tasks.added import added_text
from pipeline.tasks.task import Task, Traits
from pipeline.tasks.text_classification import evaluate, metrics, settings
from pipeline.tasks.text_classification.data import TextSet, load_texts
from pipeline.tasks.text_classification.evaluate import Classifier, Prediction
from pipeline.tasks.text_classification.features import Feature, training_features
from pipeline.tasks.text_classification.metrics import MEANING, METRICS

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.tasks.reading import Model

# Labels of a regression whose range is larger make a loss that swamps everything else.
WIDE = 20.0


class TextClassification(Task):
    """Classification of a text or a pair of texts; with numbers as labels, regression."""

    name = "text-classification"
    title = "text classification"
    label = "text classification"
    description = (
        "This model assigns a text, or a pair of texts, to one of its classes. If it was trained "
        "for regression, it predicts a number instead."
    )
    summary = "Text classification: predicts the class of a text or of a pair of texts."
    suffix = "classifier"
    unit = "text"
    head = CLASS_HEAD
    metrics = METRICS
    settings = settings.TextBuild
    choosing = ("text_column", "pair_column", "label_column")
    preset = "embedded-classification"
    card = Path(__file__).parent / "card"
    command = 'python -m pipeline.predict {file} "TEXT"'
    meaning = MEANING

    def load(self, data: Data, part: Part) -> TextSet:
        """The embedded texts, a file, a folder of GLUE's, or a hub data set."""
        return load_texts(_own(data), part)

    def problems(self, build: Build) -> Iterator[str]:
        """Settings that contradict one another."""
        return settings.problems(_own(build.data))

    def traits(self, train: Any) -> Traits:
        """Classes or a number, and one text or two."""
        if train.regression:
            span = max(train.values) - min(train.values)
            return {"labels": [], "regression": True, "pair": train.pair, "range": span}
        return {"labels": list(train.labels), "regression": False, "pair": train.pair}

    def agreed(self, traits: Traits, evaluation: Any, heads: Mapping[str, Sequence[str]]) -> Traits:
        """The order of the classes is that of a head that came; every label needs a place there."""
        for name, names in heads.items():
            traits = _in_the_order_of(name, names, traits)
        if not traits["regression"] and len(traits["labels"]) < 2:
            raise UserError(
                f"all examples have the label {''.join(traits['labels'])[:60]!r}: there is nothing "
                "to tell apart; check the label column, or give the classes with --labels"
            )
        if not metrics.fits(evaluation.metric, traits["regression"]):
            kinds = metrics.OF_NUMBERS if traits["regression"] else metrics.CLASS_METRICS
            raise UserError(
                f"--metric {evaluation.metric} does not fit the labels: allowed are "
                f"{', '.join(kinds)}"
            )
        if traits["pair"] != evaluation.pair:
            one, two = ("pairs", "single texts") if traits["pair"] else ("single texts", "pairs")
            raise UserError(
                f"the training data holds {one} and {evaluation.name} {two}: name the columns with "
                "--text-column and --pair-column"
            )
        if traits["regression"]:
            evaluate.check_numbers(evaluation)
        else:
            evaluate.places_of(evaluation, traits["labels"])
        return traits

    def notes(self, data: Data, *sets: Any) -> Iterator[str]:
        """What was left out, and numbers that are hard to learn."""
        for each in sets:
            if each.skipped:
                yield f"{each.name}: rows left out, cut off or without a label: {each.skipped:,}"
        if sets[0].regression and (span := max(sets[0].values) - min(sets[0].values)) > WIDE:
            yield (
                f"{sets[0].name}: the labels span {span:g}; training works best on a range of "
                "about 1 to 5, so divide them"
            )

    def labels(self, traits: Traits) -> int:
        """One output a class; one alone for a number."""
        return len(traits["labels"]) or 1

    def head_settings(self, traits: Traits) -> Mapping[str, Any]:
        """Names of the classes, and which loss transformers takes to train on."""
        if traits["regression"]:
            return {"problem_type": "regression"}
        names = dict(enumerate(traits["labels"]))
        return {
            "id2label": names,
            "label2id": {name: place for place, name in names.items()},
            "problem_type": "single_label_classification",
        }

    def encoding(self, data: Data) -> Mapping[str, Any]:
        """Where texts are cut."""
        return {"max_length": data.max_length}

    def scoring(self, data: Data) -> str:
        """The metric that comes first."""
        return _own(data).metric

    def features(self, tokenizer: Any, data: Data, train: Any, traits: Traits) -> list[Feature]:
        """Every text with the place of its class, or its number."""
        labels = (
            train.values if traits["regression"] else evaluate.places_of(train, traits["labels"])
        )
        return training_features(tokenizer, train.examples, data.max_length, labels)

    def gold(self, features: Sequence[Feature]) -> dict[str, Tensor]:
        """`label`, int64 [B] of classes or float32 [B] of numbers."""
        import torch

        return {"label": torch.tensor([f.label for f in features])}

    def gold_loss(self, logits: Sequence[Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """The cross-entropy of the classes, or the squared error of the numbers."""
        from torch.nn import functional as F

        values, label = logits[0].float(), batch["label"]
        if label.is_floating_point():
            return F.mse_loss(values[:, 0], label)  # [B, 1] -> [B]
        return F.cross_entropy(values, label)

    def soft_loss(
        self, logits: Sequence[Tensor], taught: Sequence[Tensor], temperature: float
    ) -> Tensor:
        """L_ce over the classes (paper, section 4.1); the squared error of a single output."""
        from torch.nn import functional as F

        from pipeline.training import losses

        student, teacher = logits[0], taught[0]
        if student.shape[1] == 1:
            return F.mse_loss(student.float(), teacher.float())
        return losses.distillation_loss(student, teacher, temperature)

    def reader(
        self,
        model: Model,
        tokenizer: Any,
        data: Data,
        traits: Traits,
        *,
        pad_to: int | None = None,
        reuse: bool = True,
    ) -> Classifier:
        """A text or a pair in, a prediction out."""
        return Classifier(model, tokenizer, data.max_length, traits, pad_to=pad_to)

    def same(self, prediction: Prediction, other: Prediction) -> bool:
        """Whether the classes are equal, or the numbers nearly."""
        return evaluate.same(prediction, other)

    def score(self, predictions: Sequence[Prediction], examples: Any) -> dict[str, float]:
        """The metrics of the data set, see `metrics`."""
        return evaluate.score(predictions, examples)

    def describe(self, data: Data, traits: Traits) -> dict[str, Any]:
        """The classes, and how inputs are made."""
        return {
            "labels": list(traits["labels"]),
            "regression": traits["regression"],
            "pair": traits["pair"],
            "limits": {"max_length": data.max_length},
            "truncation": "longest_first",
        }

    def golden(self, readers: Mapping[str, Any], evaluation: Any, count: int) -> dict[str, Any]:
        """Texts with ids, logits and predictions of each file."""
        from pipeline.tasks.text_classification import golden

        reader = next(iter(readers.values()))
        added = added_text(reader.tokenizer)
        picked = golden.cases(evaluation, count, reader.max_length, added)
        return golden.golden_document(picked, readers)

    def device_files(self, evaluation: Any) -> dict[str, Any]:
        """The texts of a benchmark on a phone."""
        from pipeline.tasks.text_classification.golden import texts_document

        return {"texts.json": texts_document(evaluation)}


def _in_the_order_of(name: str, names: Sequence[str], traits: Traits) -> Traits:
    """The traits with the classes as a head that came has them.

    Raises:
        UserError: the head has other classes than the data.
    """
    labels = list(traits["labels"])
    if traits["regression"]:
        if len(names) != 1:
            raise UserError(
                f"{name} has a head of {len(names)} outputs, and the labels are numbers, which "
                "need one: name a model without a head, or one for regression"
            )
        return traits
    if all(each == f"LABEL_{place}" for place, each in enumerate(names)):
        if len(names) >= len(labels) > 0 and all(label.isdecimal() for label in labels):
            return {**traits, "labels": [str(place) for place in range(len(names))]}
        if len(names) == len(labels):
            return traits
    elif len(names) > 1 and all(evaluate.place_of(each, names) is not None for each in labels):
        return {**traits, "labels": list(names)}
    raise UserError(
        f"{name} has a head for {', '.join(each[:40] for each in list(names)[:20])}, and the data "
        f"have the labels {', '.join(each[:40] for each in labels[:20])}: name a model without a "
        "head, or data with its labels"
    )


def _own(data: Data) -> settings.TextData:
    """The data settings of a build for this task, which `settings` makes so."""
    return cast(settings.TextData, data)
