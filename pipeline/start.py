# SPDX-License-Identifier: Apache-2.0
"""What a build starts from: the examples of its task, and the models as they came."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pipeline import ranks, tasks
from pipeline.config import Build, Data, Optimization
from pipeline.data.corpus import PASSAGES, Corpus, words_of
from pipeline.data.sources import EMBEDDED
from pipeline.files.tokenizer import describe_tokenizer
from pipeline.models import found
from pipeline.models.found import Found
from pipeline.tasks.kept import Kept

if TYPE_CHECKING:
    from pipeline.tasks.task import Examples, Feature, Task, Traits


@dataclass(frozen=True)
class Start:
    """What came, checked; nothing is trained yet.

    Attributes:
        config: the settings, with those that the data decide.
        task: of the build.
        train: what is trained on; None where nothing is.
        evaluation: what models and files are scored on.
        given: the teacher and the student as they came.
        traits: what the data say of the outputs, see `pipeline.tasks.task.Task`.
        words: the text that decides which word pieces stay; None where none does.
        kept: the training inputs that were made last.
    """

    config: Build
    task: Task
    train: Examples | None
    evaluation: Examples
    given: Found
    traits: Traits
    words: Corpus | None = None
    kept: Kept = field(default_factory=Kept, repr=False, compare=False)

    def features(self, tokenizer: Any, data: Data | None = None) -> Sequence[Feature]:
        """Every training input, made once for stages in a row that need the same ones.

        Args:
            tokenizer: a fast BERT tokenizer.
            data: how examples become inputs; the settings of the build if it is not given.

        Raises:
            UserError: there is nothing to learn from.
        """
        assert self.train is not None  # it is loaded wherever anything is trained
        data = data or self.config.data
        return self.kept.features(self.task, tokenizer, data, self.train, self.traits)

    @property
    def distills(self) -> bool:
        """Whether the build has general distillation: of a student that is made of the teacher."""
        came = self.given
        is_made = bool(came.teacher and self.train and not came.student)
        return is_made and self.config.distil.enabled

    @property
    def seeded(self) -> dict[str, Any]:
        """What every training depends on, for its key."""
        return {"seed": self.config.seed, "precision": self.config.hardware.precision}

    @property
    def teacher_optimization(self) -> Optimization:
        """How the teacher is fine-tuned: more gently if it has a head for the task already."""
        return _optimization(self.config, self.given)

    @property
    def teacher_data(self) -> Data:
        """How examples become the inputs of the teacher that is fine-tuned.

        A teacher with a head starts from what it knows, and learns from the examples as they are.
        """
        data, source = self.config.data, self.given.teacher
        return self.task.plain(data) if source and source.has_head else data

    @property
    def teaching(self) -> str:
        """What happens to a teacher that has a head for the task, a sentence; "" for any other."""
        return _teaching(self.config, self.given)

    @property
    def reading(self) -> dict[str, Any]:
        """What decides how predictions are read: for the keys of stages that predict."""
        how = self.task.reading(self.config.data)
        return {"task": self.task.name, "traits": self.traits, "reading": how}

    def scored_by(self, how: Optimization) -> dict[str, Any]:
        """What the scores in a training depend on, for its key; nothing where none are taken."""
        if not how.eval_steps:
            return {}
        scoring = self.task.scoring(self.config.data)
        return {"scored_by": {"scoring": scoring, **self.reading, **self.asked}}

    @property
    def asked(self) -> dict[str, str]:
        """What stands for the evaluation examples in the keys of stages."""
        return self._standing_for("eval", self.evaluation)

    @property
    def trained_on(self) -> dict[str, str]:
        """What stands for the training examples in the keys of stages; nothing without any."""
        return {} if self.train is None else self._standing_for("train", self.train)

    def _standing_for(self, part: str, examples: Examples) -> dict[str, str]:
        """A file's checksum, how many of its examples, and the settings that choose among them.

        Settings with their defaults are left out.
        """
        data, plain = self.config.data, type(self.config.data)()
        values = {name: getattr(data, name) for name in self.task.choosing}
        chosen = {name: value for name, value in values.items() if value != getattr(plain, name)}
        return {part: examples.sha256, "count": str(len(examples.examples)), **chosen}


def _optimization(config: Build, given: Found) -> Optimization:
    """See `Start.teacher_optimization`."""
    how, most = config.teacher.optimization, config.teacher.further_learning_rate
    if given.teacher is None or not given.teacher.has_head:
        return how
    return replace(how, learning_rate=min(how.learning_rate, most))


def _teaching(config: Build, given: Found) -> str:
    """See `Start.teaching`."""
    teacher = given.teacher
    if teacher is None or not teacher.has_head:
        return ""
    head = f"{teacher.head_from}{'' if teacher.adapter else ' head'}"
    if not given.teacher_learns:
        return (
            f"the teacher is taken as it is, with {head}, and does not learn from the training "
            "examples; --teacher.finetune always fine-tunes it on them"
        )
    rate = _optimization(config, given).learning_rate
    return (
        f"the teacher starts from {head} and is fine-tuned further on the training examples, with "
        f"learning rates of up to {rate:g}; --teacher.finetune never takes it as it is"
    )


def _teacher_notes(config: Build, given: Found) -> Iterator[str]:
    """What becomes of a teacher with the package's adapter, where the examples are the user's."""
    carried = given.teacher is not None and given.teacher.carried
    others = carried and given.trains and config.data.train_file != EMBEDDED
    if (others or given.teacher_learns) and (teaching := _teaching(config, given)):
        yield f"note: {teaching}"


def start(config: Build, say: Callable[[str], object]) -> Start:
    """Reads the data and looks at the models.

    Args:
        config: see `pipeline/config.py`.
        say: is told what the user should know of the data, a line each.

    Raises:
        UserError: for whatever is missing, damaged or does not go together.
    """
    task = tasks.find(config.task)
    evaluation = task.load(config.data, "dev")
    given = found.find(config, task.head, describe=describe_tokenizer)
    train = task.load(config.data, "train") if given.trains else None
    if ranks.FIRST:
        for line in (
            *given.notes,
            *task.notes(config.data, *([train] if train else []), evaluation),
            *_word_notes(config, train),
            *_teacher_notes(config, given),
        ):
            say(line)
        if train and (
            config.teacher.optimization.keep_best or config.finetune.optimization.keep_best
        ):
            say(
                f"note: examples of {evaluation.name} choose the weights, so figures on it are "
                "those of a development set: on unseen examples, expect a little less"
            )
    config = replace(config, data=task.settled(config.data, evaluation))
    traits = task.agreed(task.traits(train or evaluation), evaluation, given.heads)
    words = words_of(config.words, train.texts if train else ())
    return Start(config, task, train, evaluation, given, traits, words)


def _word_notes(config: Build, train: Examples | None) -> Iterator[str]:
    words = config.words
    if words.vocabulary == "trim" and PASSAGES in words.vocabulary_text and train is None:
        yield (
            f"--vocabulary-text {PASSAGES}: nothing is trained, so there are no training examples; "
            "name text files, or only the word pieces of the evaluation examples stay"
        )
