# SPDX-License-Identifier: Apache-2.0
"""The teacher and the student that a build is given, judged together before any training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from converters.pretrained import load_config
from pipeline.config import Build
from pipeline.data.sources import EMBEDDED, NONE
from pipeline.errors import UserError, UserErrors
from pipeline.models.heads import Head
from pipeline.models.layers import choose_layers, width_of
from pipeline.models.teacher import Source, load_tokenizer, look


@dataclass(frozen=True)
class Found:
    """What a build is given.

    Attributes:
        teacher: None where nothing is learned from one and nothing compared with one.
        student: None where the student is made from the teacher.
        layers: the teacher's layers that the student's take after; none without a teacher.
        notes: what the user should know of both, a line each.
        narrower: whether the student loses neurons, so that it has to learn even if it has a head.
        teacher_learns: whether the teacher is fine-tuned on the task's examples.
    """

    teacher: Source | None
    student: Source | None
    layers: tuple[int, ...]
    notes: tuple[str, ...] = ()
    narrower: bool = False
    teacher_learns: bool = False

    @property
    def ready(self) -> bool:
        """Whether the student needs no training at all."""
        return self.student is not None and self.student.has_head and not self.narrower

    @property
    def heads(self) -> dict[str, tuple[str, ...]]:
        """The names of the outputs of each head for the task that came, by the model's name."""
        came = [one for one in (self.teacher, self.student) if one and one.has_head]
        return {one.name: tuple(load_config(one.folder).id2label.values()) for one in came}

    @property
    def trains(self) -> bool:
        """Whether anything is trained on the task's examples."""
        return not self.ready or self.teacher_learns


def find(
    config: Build,
    head: Head,
    labels: int | None = None,
    describe: Callable[[Any], object] | None = None,
) -> Found:
    """Finds both and refuses what cannot become files.

    Args:
        config: names them.
        head: of the task.
        labels: how many outputs a head must have; None for as many as its config.json says, which
            `Found.heads` tells.
        describe: called with each tokenizer; raises a UserError for one that no app can follow.

    Raises:
        UserError: one is missing or damaged, or they do not go together; with all problems of
            both, a line each.
    """
    names = config.teacher.model, config.student.model
    if names[0] == NONE and not names[1]:
        raise UserError(
            "--teacher none leaves nothing to make a student from: name a teacher, or a student "
            "with --student"
        )
    problems: list[str] = []
    notes: list[str] = []
    sources: dict[str, Source | None] = {"teacher": None, "student": None}
    for role, name in zip(sources, names, strict=True):
        if not name or name == NONE:
            continue
        adapter = config.teacher.adapter if role == "teacher" else NONE
        looked = look(name, head, labels, role=role, adapter=adapter)
        sources[role] = source = looked.source
        problems += looked.problems
        notes += looked.notes
        if source is None:
            continue
        if describe is not None:
            try:
                describe(load_tokenizer(source.folder))
            except UserError as error:
                problems.append(f"{role} {source.name}: {error}")
        if config.data.max_length > source.positions:
            problems.append(
                f"--max-length {config.data.max_length}: {source.name} takes at most "
                f"{source.positions} word pieces"
            )
    teacher, student = sources.values()
    if problems:
        raise UserErrors(problems)
    if not config.finetune.enabled and (student is None or not student.has_head):
        whose = f"{student.name} has" if student else "a new student has"
        raise UserError(
            f"--no-finetune: {whose} no head for the task and would answer at random; leave the "
            "flag out, or name a student that has one"
        )
    narrower = _narrower(config, student or teacher)
    found = Found(teacher, student, _layers(config, teacher, student), tuple(notes), narrower)
    if teacher and _learns(config, teacher, found.ready):
        found = replace(found, teacher_learns=True)
    if teacher and student and not found.ready and config.finetune.second_step:
        _check_together(config, teacher, student)
    return found


def _learns(config: Build, teacher: Source, ready: bool) -> bool:
    """Whether the teacher is fine-tuned; `ready` says whether the student needs no training.

    The package's adapter was trained on the embedded examples, and has not seen any others.
    """
    how = config.teacher.finetune
    if how == "never" and not teacher.has_head:
        raise UserError(
            f"--teacher.finetune never: {teacher.name} has no head for the task and would teach at "
            "random; leave the flag out, or name a teacher that has one"
        )
    if how != "auto" or not teacher.has_head:
        return how != "never"
    return teacher.carried and not ready and config.data.train_file != EMBEDDED


def _narrower(config: Build, source: Source | None) -> bool:
    """Whether the settings take neurons from the student that starts from `source`."""
    wanted = config.student.intermediate_size
    if wanted is None or source is None:
        return False
    narrower = width_of(wanted, source.inner) < source.inner
    if narrower and not config.finetune.enabled:
        raise UserError(
            f"--no-finetune with --student.intermediate-size {wanted:g}: a student that lost "
            "neurons has to learn again; leave one of the flags out"
        )
    return narrower


def _layers(config: Build, teacher: Source | None, student: Source | None) -> tuple[int, ...]:
    if teacher is None:
        return ()
    count = config.student.layers if student is None else str(student.layers)
    if student is not None and student.layers > teacher.layers:
        return ()
    return tuple(choose_layers(teacher.layers, count))


def _check_together(config: Build, teacher: Source, student: Source) -> None:
    """Refuses a teacher whose outputs the student cannot learn from."""
    ours, theirs = (load_tokenizer(each.folder).get_vocab() for each in (student, teacher))
    if ours != theirs:
        raise UserError(
            f"student {student.name} and teacher {teacher.name} have different vocabularies "
            f"({len(ours)} and {len(theirs)} pieces), so that the teacher's logits are for other "
            "tokens: name a teacher with the same vocabulary, or pass --no-second-step"
        )
    sizes = student.hidden_size, teacher.hidden_size
    if config.finetune.alpha_hidden and (sizes[0] != sizes[1] or student.layers > teacher.layers):
        raise UserError(
            f"student {student.name} has {student.layers} layers of width {sizes[0]} and teacher "
            f"{teacher.name} {teacher.layers} of width {sizes[1]}: their hidden states cannot be "
            "matched; pass --finetune.alpha-hidden 0"
        )
