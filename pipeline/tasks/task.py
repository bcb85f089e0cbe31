# SPDX-License-Identifier: Apache-2.0
"""What a task is: everything that the build, its files and its report need to know of one.

A new task is a package in `pipeline/tasks/` with a subclass of `Task`, and a line in the list of
tasks.  Nothing outside asks which task it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np

from benchmarks.measure.schema import Metric
from pipeline.config import Build, Data
from pipeline.data.sources import Part
from pipeline.errors import UserError
from pipeline.models.heads import Head

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.tasks.reading import Model, Reader

Traits = Mapping[str, Any]


class Examples(Protocol):
    """A data set of a task.

    Attributes:
        name: file name, hub id or `embedded`; never a path, so that reports travel.
        sha256: of the content that was read.
    """

    @property
    def name(self) -> str:
        """See the class."""
        ...

    @property
    def sha256(self) -> str:
        """See the class."""
        ...

    @property
    def examples(self) -> Sequence[Any]:
        """In the order of the file."""
        ...

    @property
    def texts(self) -> tuple[str, ...]:
        """The distinct texts, in order of first use: more to distill on."""
        ...

    def limited(self, count: int | None) -> Self:
        """The first `count` examples (all of them for None)."""
        ...

    def spread(self, most: int) -> Self:
        """At most `most` examples, from the first on, evenly spread."""
        ...

    def with_examples(self, examples: Sequence[Any]) -> Self:
        """These examples in place of its own, scored by the same rules."""
        ...

    def facts(self) -> dict[str, Any]:
        """What a report says of the data: `pipeline.report.schema.Dataset`."""
        ...


class Feature(Protocol):
    """One training example: an input with its label."""

    @property
    def ids(self) -> np.ndarray:
        """Word-piece ids, int32 [S]."""
        ...

    @property
    def segment_ids(self) -> np.ndarray:
        """0 for the first text, 1 for the second, int32 [S]."""
        ...

    @property
    def length(self) -> int:
        """S, the number of tokens."""
        ...


class Task(ABC):
    """One task.

    *Traits* are what the training data says of the model's outputs, as JSON can hold it: whether
    some questions have no answer, which classes there are.

    Attributes:
        name: the Hub's tag.
        title: a few words for headings, such as "question answering".
        label: what `model.json` calls the task.
        description: one sentence that says what a model of the task does with its input.
        summary: the same in a few words, for the metadata of files.
        suffix: for names of models on the Hub, such as "qa".
        unit: what one example is called, such as "question".
        head: of teacher and student.
        metrics: that predictions can have; `score` says which they have and in which order.
        settings: the settings of a build for this task; its fields alone have flags.
        choosing: names of those data settings that choose what of a file the examples are.
        preset: that a build starts from where none is named.
        card: folder of the task's parts of the model card, `use.md.j2` and `limits.md.j2`.
        command: the command that tries a file, with `{file}` in its place.
        meaning: what the scores are, a sentence or two for the card.
        page: folder of the page that tries the model in a browser, see `pipeline.report.web`; None
            for a task without one.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    label: ClassVar[str]
    description: ClassVar[str]
    summary: ClassVar[str]
    suffix: ClassVar[str]
    unit: ClassVar[str]
    head: ClassVar[Head]
    metrics: ClassVar[Sequence[Metric]]
    settings: ClassVar[type[Build]] = Build
    choosing: ClassVar[tuple[str, ...]] = ()
    preset: ClassVar[str] = Build.preset
    card: ClassVar[Path]
    command: ClassVar[str]
    meaning: ClassVar[str]
    page: ClassVar[Path | None] = None

    # Data.

    @abstractmethod
    def load(self, data: Data, part: Part) -> Examples:
        """The training or the evaluation part of the data, checked.

        Raises:
            UserError: for anything that is missing, damaged or not in the format.
        """

    def problems(self, build: Build) -> Iterator[str]:
        """What is wrong with the task's own settings, a line each."""
        yield from ()

    def traits(self, train: Examples) -> Traits:
        """What the training data says of the outputs; see the class."""
        return {}

    def agreed(
        self, traits: Traits, evaluation: Examples, heads: Mapping[str, Sequence[str]]
    ) -> Traits:
        """The traits, where the evaluation data and the heads of models that came go with them.

        Args:
            traits: of the training data; of the evaluation data where nothing is trained.
            evaluation: the evaluation data.
            heads: names of the outputs of each head that came (`id2label` of transformers), by the
                name of its model.

        Raises:
            UserError: what does not go together.
        """
        for name, outputs in heads.items():
            if len(outputs) != self.labels(traits):
                raise UserError(
                    f"{name} has a head with {len(outputs)} outputs, and {self.title} needs "
                    f"{self.labels(traits)}: name another model, or one without a head"
                )
        return traits

    def settled(self, data: Data, evaluation: Examples) -> Data:
        """The settings with those that the data decide, such as a language that was `auto`."""
        return data

    def notes(self, data: Data, *sets: Examples) -> Iterator[str]:
        """What the user should know of the data, a line each: what was mended or assumed.

        Args:
            data: the settings as they were given.
            sets: as `load` gave them, those for evaluation last.
        """
        yield from ()

    def labels(self, traits: Traits) -> int:
        """How many outputs the head has (`num_labels` of transformers)."""
        return 2

    def head_settings(self, traits: Traits) -> Mapping[str, Any]:
        """What config.json of a model says of its head, such as `id2label`."""
        return {}

    @abstractmethod
    def encoding(self, data: Data) -> Mapping[str, Any]:
        """The settings that decide how examples become inputs: stages that train depend on them."""

    def reading(self, data: Data) -> Any:
        """The settings that decide how predictions are read: stages that predict depend on them."""
        return dict(self.encoding(data))

    def scoring(self, data: Data) -> Any:
        """The settings that decide how predictions are scored: stages that score depend on them."""
        return None

    # Training.

    @abstractmethod
    def features(
        self, tokenizer: Any, data: Data, train: Examples, traits: Traits
    ) -> Sequence[Feature]:
        """Every training input with its label.

        Raises:
            UserError: there is nothing to learn from.
        """

    def added(self, data: Data) -> int:
        """How many examples `features` adds, at most, to those of the data: for plans."""
        return 0

    def plain(self, data: Data) -> Data:
        """The settings without those that add or change examples for the student's sake.

        For a teacher that has a head for the task: it learns from what the user gave.
        """
        return data

    @abstractmethod
    def gold(self, features: Sequence[Any]) -> dict[str, Tensor]:
        """The labels of a batch by name."""

    @abstractmethod
    def gold_loss(self, logits: Sequence[Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """The loss on the gold labels: a scalar.

        Args:
            logits: in the interface's order, float [B, S] with padding masked, or [B, C].
            batch: holds what `gold` gave.
        """

    @abstractmethod
    def soft_loss(
        self, logits: Sequence[Tensor], taught: Sequence[Tensor], temperature: float
    ) -> Tensor:
        """The loss on the teacher's outputs, which have the form of `logits`: a scalar."""

    # Predicting.

    @abstractmethod
    def reader(
        self,
        model: Model,
        tokenizer: Any,
        data: Data,
        traits: Traits,
        *,
        pad_to: int | None = None,
        reuse: bool = True,
    ) -> Reader[Any, Any]:
        """A model with everything around it.

        Args:
            model: runs one input.
            tokenizer: a fast BERT tokenizer.
            data: the settings.
            traits: see the class.
            pad_to: pad every input to this length.
            reuse: may keep what it computed of a text for the next example.
        """

    def same(self, prediction: Any, other: Any) -> bool:
        """Whether two predictions say the same, for the gate on changed predictions."""
        return bool(prediction == other)

    def calibrates(self, traits: Traits, evaluation: Examples) -> bool:
        """Whether predictions need further traits that only the finished student tells."""
        return False

    def calibrate(
        self,
        model: Model,
        tokenizer: Any,
        data: Data,
        traits: Traits,
        evaluation: Examples,
        progress: Callable[[Sequence[Any]], Iterable[Any]] = iter,
    ) -> Traits:
        """Those further traits, scalars, from the student's outputs for the evaluation examples.

        Args:
            model: the student in PyTorch.
            tokenizer: a fast BERT tokenizer.
            data: the settings.
            traits: of the training data.
            evaluation: the examples.
            progress: may wrap them.
        """
        return {}

    @abstractmethod
    def score(self, predictions: Sequence[Any], examples: Examples) -> dict[str, float]:
        """Some of `metrics` over the predictions, unrounded; the headline's first.

        Which they are depends on the examples alone.
        """

    # Files.

    @abstractmethod
    def describe(self, data: Data, traits: Traits) -> dict[str, Any]:
        """What `model.json` says of the task: all that an app needs to make and read inputs."""

    @abstractmethod
    def golden(
        self, readers: Mapping[str, Reader[Any, Any]], evaluation: Examples, count: int
    ) -> dict[str, Any]:
        """The document `golden.json`: cases with inputs, outputs and predictions of each file.

        Args:
            readers: by file name.
            evaluation: examples to draw `count` cases from, evenly.
            count: of cases; unusual ones come on top.
        """

    def device_files(self, evaluation: Examples) -> dict[str, Any]:
        """Further documents for an app's assets by file name, such as a benchmark's examples."""
        return {}
