# SPDX-License-Identifier: Apache-2.0
"""From a BERT teacher and the data of a task to a verified student on a phone.

    python -m pipeline.build --target tflite coreml onnx

The story, top to bottom: data -> teacher -> student (general distillation, then the second
distillation step) -> files -> gates -> benchmark -> report.  Each step is kept and checked; a build
that is interrupted goes on where it was.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measure.schema import VERSION as LATENCY_SCHEMA
from converters import ExpectedError, terminal
from converters.terminal import word
from pipeline import (
    calibration,
    distilling,
    learning,
    mixing,
    place,
    plan,
    ranks,
    sampling,
    settings,
    shipping,
    shrinking,
)
from pipeline.artifacts import Artifact, Store, present
from pipeline.config import Build
from pipeline.documents import GOLDEN_SCHEMA, MODEL_SCHEMA, SEARCH_SCHEMA
from pipeline.errors import UnreachableError
from pipeline.files import android_assets
from pipeline.files.targets import FORMATS
from pipeline.lock import explained, killed, locked, quiet_threads
from pipeline.models.teacher import model_key
from pipeline.report.ending import assembled, finish, of_training
from pipeline.start import Start, start

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.data.corpus import Corpus


def build(config: Build, command: str, console: Console) -> dict[str, Any] | None:
    """Runs every stage that is not done yet and writes the report.

    Args:
        config: see `pipeline/config.py`.
        command: how it was called, for the report.
        console: where progress is told.

    Returns:
        The report; None for a dry run and on all ranks but the first.

    Raises:
        UserError: for a mistake the user can mend.
        GateFailure: when a file does not give the student's answers; the report is written first.
    """
    out = config.folder
    say = terminal.speaker(console)
    for note in ranks.notes(config.hardware):
        say(f"note: {note}")
    store = Store(out, frozenset(config.force), config.dry_run, say)
    try:
        began = start(config, say)
    except UnreachableError as error:
        if config.dry_run and plan.from_tables(config, say, str(error)):
            return None
        raise
    config, task, evaluation = began.config, began.task, began.evaluation
    for target in config.export.files:
        FORMATS[target].require()

    # The teacher and the student, trained as far as they were not; and its words, if they are cut.
    learned = learn(store, began)
    began.kept.clear()  # nothing else is trained
    if trimmed := shrinking.stage(store, began, learned.student):
        learned = replace(learned, student=trimmed, stages=(*learned.stages, trimmed))
    teacher, student = learned.teacher, learned.student
    compared = teacher or student

    # What only the finished student tells, such as a threshold for "no answer".
    began, calibrated = calibration.stage(store, began, student)
    traits, reading, asked = began.traits, began.reading, began.asked

    # Files for the phone, each compared with the student; and what they cost.
    mixed = mixing.stage(store, began, student)
    exported = [
        store.stage(
            target,
            partial(
                shipping.export,
                build=config,
                target=target,
                task=task,
                student=student.folder,
                evaluation=evaluation,
                traits=traits,
                mixed=mixed.folder if mixed else None,
            ),
            # Other targets' settings may change without this one's files.
            settings={
                "export": replace(config.export, target=(target,), precision=precisions),
                "schemas": (MODEL_SCHEMA, SEARCH_SCHEMA, GOLDEN_SCHEMA),
                **reading,
            },
            inputs={
                **{"student": student, **asked},
                **present(calibrated, mixed if target == "tflite" else None),
            },
            folder=target,
        )
        for target, precisions in config.export.files.items()
    ]
    files = [
        FORMATS[target].path(folder.folder, precision)
        for folder, (target, precisions) in zip(exported, config.export.files.items(), strict=True)
        for precision in precisions
    ]
    baseline = store.stage(
        "baseline",
        lambda folder, _: shipping.export_baseline(folder, config, compared.folder),
        settings={"length": config.data.max_length, "targets": list(config.export.files)},
        inputs={compared.name: compared},
    )
    verified = verify(store, began, learned, files, exported)
    timed = None
    places = student.folder, compared.folder, baseline.folder
    if config.benchmark.enabled and any(FORMATS[one].runs_here for one in config.export.files):
        timed = store.stage(
            "benchmark",
            lambda folder, _: shipping.benchmark(
                folder, config, task, *places, files, evaluation, traits
            ),
            settings={"benchmark": config.benchmark, "schema": LATENCY_SCHEMA, **reading},
            inputs={**present(*exported, baseline, compared), **asked},
        )

    every = (*learned.stages, calibrated, mixed, *exported, baseline, verified, timed)
    if config.dry_run:
        plan.of_build(began, say)
        for name, reason in store.plan:
            say(f"{name:16} {reason}")
        return None
    stages = [
        {"name": a.name, "seconds": a.seconds, "resumed": a.resumed, "facts": a.facts}
        | of_training(store.losses(a.name))
        for a in filter(None, every)
    ]
    report = assembled(began, command, _corpus_facts(learned), stages, verified, timed)
    if not ranks.FIRST:
        return None
    finish(report, out, console)
    if app := config.android_assets:
        precisions = config.android_precision or config.export.files["tflite"][:1]
        names = android_assets.write(app, out, precisions, task.device_files(evaluation))
        say(f"android {word(app)}  ({', '.join(names)})")
    return report


@dataclass(frozen=True)
class Learned:
    """What the stages that train leave; None is what this build does without."""

    teacher: Artifact | None
    student: Artifact
    distilled: Artifact | None
    corpus: Corpus | None
    stages: tuple[Artifact | None, ...]


def learn(store: Store, began: Start) -> Learned:
    """From the models that came to a teacher and a student that know the task."""
    config, task, given = began.config, began.task, began.given
    train, traits = began.train, began.traits
    data, second_step = config.data, config.finetune
    named = {"task": task.name, "traits": traits}
    inputs = {**named, **task.encoding(data)}
    source, brought, layers = given.teacher, given.student, given.layers
    trained_on = began.trained_on
    plan.check_room(began)
    plan.check_trainings(began)

    # The teacher learns the task, unless it knows it and is taken as it is.
    teacher = None
    if source:
        teacher = store.stage(
            "teacher",
            lambda folder, scratch: learning.finetune_teacher(folder, scratch, began, source),
            settings=began.seeded
            | {**named, **task.encoding(began.teacher_data)}
            | began.scored_by(config.teacher.optimization)
            | {"teacher": began.teacher_optimization if given.teacher_learns else source.head_from},
            inputs={"came": model_key(source), **trained_on},
            everywhere=True,
            folder="teacher",
        )

    # The student learns the teacher's language: general distillation with the triple loss.
    general = distilling.stages(store, began, teacher)

    # The student learns the task, from the labels and the teacher's logits, unless it knows it.
    if brought and given.ready:
        student = store.stage(
            "student",
            lambda folder, _: learning.take_student(folder, config, task, brought, traits),
            settings=inputs,
            inputs={"came": model_key(brought)},
            everywhere=True,
            folder="student",
        )
        return Learned(teacher, student, None, None, (teacher, student))
    assert train is not None
    outputs = None
    if second_step.second_step and teacher:
        outputs = store.stage(
            "teacher-outputs",
            lambda folder, _: learning.record_teacher_outputs(folder, began, teacher.folder),
            settings=inputs
            | {"layers": layers if second_step.alpha_hidden else ()}
            | {"precision": config.hardware.precision},
            inputs={"teacher": teacher, **trained_on},
        )
    student = store.stage(
        "student",
        lambda folder, scratch: learning.finetune_student(
            folder,
            scratch,
            began,
            *(each.folder if each else None for each in (teacher, general.student, outputs)),
        ),
        settings=began.seeded
        | inputs
        | began.scored_by(second_step.optimization)
        | {"finetune": second_step, "student": config.student, "layers": layers},
        inputs={
            **({"came": model_key(brought)} if brought else {}),
            **present(teacher, general.student, outputs),
            **trained_on,
        },
        everywhere=True,
        folder="student",
    )
    stages = (teacher, general.speaker, general.student, outputs, student)
    return Learned(teacher, student, general.student, general.corpus, stages)


def verify(
    store: Store,
    began: Start,
    learned: Learned,
    files: Sequence[Path] = (),
    exported: Sequence[Artifact] = (),
) -> Artifact:
    """Scores teacher and student, and holds the files that were exported against the student."""
    config, teacher, student = began.config, learned.teacher, learned.student
    return store.stage(
        "verify",
        lambda folder, scratch: shipping.verify(
            folder,
            scratch,
            config,
            began.task,
            teacher.folder if teacher else None,
            student.folder,
            files,
            began.evaluation,
            began.traits,
            began.train,
        ),
        settings={
            "gates": config.limits,
            "verification": replace(config.verification, processes=None),
            "scoring": began.task.scoring(config.data),
            **began.reading,
        },
        inputs={**present(teacher, student, *exported), **began.asked, **sampling.key(began)},
    )


def _corpus_facts(learned: Learned) -> dict[str, Any] | None:
    if learned.corpus is None or learned.distilled is None:
        return None
    facts = learned.distilled.facts
    found = {"sha256": facts["text_sha256"], "samples": facts["examples"]}
    return {"name": learned.corpus.name, **found}


@terminal.command(also={FloatingPointError: 1})  # a training that diverged
def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code: 0 done, 1 a gate failed, 2 the user's mistake."""
    from rich.console import Console

    arguments = list(sys.argv[1:] if arguments is None else arguments)
    console = Console(soft_wrap=True, highlight=False, emoji=False, quiet=not ranks.FIRST)
    out = Path("build")
    try:
        config = settings.parse(arguments, str(__doc__).splitlines()[0])
        out = config.folder
        place.check(config)
        command = shlex.join(["python", "-m", "pipeline.build", *arguments])
        with contextlib.nullcontext() if config.dry_run else locked(out), quiet_threads():
            if not config.dry_run and (note := killed(out)):
                terminal.speaker(console)(f"note: {note}")
            build(config, command, console)
        return 0
    except (ExpectedError, FloatingPointError):
        raise
    except Exception as error:
        if refusal := explained(error, out):
            raise refusal from error
        raise
    except KeyboardInterrupt as stop:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return terminal.stop_code(stop)


if __name__ == "__main__":
    sys.exit(main())
