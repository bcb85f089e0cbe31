# SPDX-License-Identifier: Apache-2.0
"""What a build starts from: the examples of its task, and the models as they came."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipeline import ranks, tasks
from pipeline.config import Build, Optimization
from pipeline.data.corpus import PASSAGES, Corpus, words_of
from pipeline.data.sources import EMBEDDED
from pipeline.files.tokenizer import describe_tokenizer
from pipeline.models import found
from pipeline.models.carried import CARRIED
from pipeline.models.found import Found

if TYPE_CHECKING:
    from pipeline.tasks.task import Examples, Task, Traits


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
    """

    config: Build
    task: Task
    train: Examples | None
    evaluation: Examples
    given: Found
    traits: Traits
    words: Corpus | None = None

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
        return {"eval": self.evaluation.sha256, "count": str(len(self.evaluation.examples))}


def _adapter_notes(config: Build, given: Found) -> Iterator[str]:
    """That a teacher with the package's adapter learns nothing of the examples of others."""
    teacher, data = config.teacher, config.data.train_file
    if not given.trains or given.teacher is None or not given.teacher.has_head:
        return
    if (teacher.model, teacher.adapter) == (EMBEDDED, CARRIED) and data != EMBEDDED:
        yield (
            "note: the teacher answers English questions as its adapter taught it, and does not "
            "learn from your examples; --teacher.adapter none fine-tunes it on them"
        )


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
            *_adapter_notes(config, given),
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
