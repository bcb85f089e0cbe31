# SPDX-License-Identifier: Apache-2.0
"""The paper's Tables 1 and 2: GLUE, IMDb and SQuAD, for a teacher and its student.

    python -m pipeline.glue --glue-dir DIR --teacher NAME --seeds 5

Each task is trained and scored on its development part, for several seeds, whose medians are shown
(arXiv 1910.01108, section 4).  Flags after `--` go to every build.
"""

from __future__ import annotations

import argparse
import functools
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from converters import terminal, whole_file
from pipeline import experiment, settings_file
from pipeline.errors import UserError
from pipeline.experiment import Job, Record, Run, folder_name
from pipeline.glue_page import IMDB, SQUAD, TASKS, Names, page

HUB = "nyu-mll/glue"
MISMATCHED = "MNLI-mm"
STUDENT, PLAIN = "student", "student, no second step"
ELMO = "ELMo"
NAMES = Names(STUDENT, PLAIN, ELMO, MISMATCHED)


@dataclass(frozen=True)
class Source:
    """The data of one column: `evaluated` is another name of the same training, as MNLI's parts."""

    name: str
    train: str
    dev: str
    trained: str
    task: str = "text-classification"


def sources(options: argparse.Namespace) -> Iterator[Source]:
    """What there is of GLUE's tasks, IMDb and SQuAD.

    Raises:
        UserError: a task was asked for by name and its folder is not there; or nothing is there.
    """
    for name, key in TASKS.items():
        if options.tasks and name not in options.tasks:
            continue
        if options.glue_dir is None:
            train = f"{HUB}:{key}"
            mismatched = f"{HUB}:{key}_mismatched"
            yield Source(name, train, train, name)
        else:
            folder = options.glue_dir / name
            if not folder.is_dir():
                if options.tasks:
                    raise UserError(
                        f"--tasks {name}: no folder {folder}; --glue-dir names the folder that "
                        "holds CoLA, SST-2 and so on"
                    )
                continue
            train, mismatched = str(folder), str(folder / "dev_mismatched.tsv")
            yield Source(name, train, train, name)
        if name == "MNLI" and (options.glue_dir is None or Path(mismatched).is_file()):
            yield Source(MISMATCHED, train, mismatched, name)
    if options.imdb:
        yield Source(IMDB, options.imdb, options.imdb, IMDB)
    if options.squad:
        train, dev = options.squad
        yield Source(SQUAD, train, dev, SQUAD, "question-answering")


def plan(found: Sequence[Source], options: argparse.Namespace, more: Sequence[str]) -> list[Run]:
    """All runs of BERT and DistilBERT; those of one task and seed share the teacher.

    Raises:
        UserError: a student or SQuAD was asked for without a teacher.
    """
    if not options.teacher and not _names_teacher(more):
        _refuse_without_teacher(options)
    rows: dict[str, tuple[str, ...]] = {STUDENT: ()}
    if options.without_second_step:
        # First, so that the files that stay in the build folders are those of the better student.
        rows = {PLAIN: ("--no-second-step",), **rows}
    models: list[str] = []
    for flag, name in (("--teacher", options.teacher), ("--student", options.student)):
        models += [flag, name] if name else []
    runs = []
    for source in found:
        settings = _settings(options, source.trained)
        preset = options.preset if source.task == "text-classification" else "distilbert-squad"
        common = ("--preset", preset, "--task", source.task, *models, *settings)
        data = ("--train-file", source.train, "--eval-file", source.dev, "--no-benchmark")
        runs += [
            Run(
                source.name,
                row,
                seed,
                (*common, *data, *flags, *more),
                folder_name(source.trained, seed),
                options.files,
            )
            for seed in range(1, options.seeds + 1)
            for row, flags in rows.items()
        ]
    return runs


def _names_teacher(more: Sequence[str]) -> bool:
    """Whether flags that go to every build name a teacher."""
    return any(flag.partition("=")[0] in ("--teacher", "--teacher.model") for flag in more)


def _refuse_without_teacher(options: argparse.Namespace) -> None:
    """Refuses what the default of a build would make of a teacher that is not named.

    A build with a student of its own has no teacher then, and so no second distillation step; and
    the preset of SQuAD's builds has another teacher than that of the other tasks.
    """
    if options.student:
        raise UserError(
            f"--student {options.student} without --teacher would learn from no teacher: add "
            "--teacher NAME, such as a BERT with the same vocabulary, or --teacher none"
        )
    if options.squad:
        raise UserError(
            f"--squad {' '.join(options.squad)} without --teacher would take another teacher than "
            "the other tasks: add --teacher NAME, such as google-bert/bert-base-uncased"
        )


def _settings(options: argparse.Namespace, name: str) -> tuple[str, ...]:
    """The flag for the settings of one task, written from those of all tasks."""
    if options.settings is None:
        return ()
    try:
        every = settings_file.read(options.settings)
    except UserError as error:
        raise UserError(
            f"--settings {options.settings}: expected settings by name of task: {error}"
        ) from error
    if unknown := every.keys() - {*TASKS, IMDB, SQUAD}:
        raise UserError(
            f"--settings {options.settings}: no task {', '.join(sorted(unknown))}; there are "
            f"{', '.join((*TASKS, IMDB, SQUAD))}"
        )
    if name not in every:
        return ()
    path = options.out / "settings" / f"{folder_name(name)}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    whole_file.write(path, yaml.safe_dump(every[name]))
    return ("--config", str(path))


def elmo_jobs(found: Sequence[Source], options: argparse.Namespace) -> list[tuple[Run, Job]]:
    """A run of GLUE's baseline around ELMo for each task and seed.

    Raises:
        UserError: a file is not named, missing or not in its layout.
    """
    from pipeline.elmo import weights

    files = (options.elmo_options, options.elmo_weights)
    if None in files:
        raise UserError("--model elmo needs --elmo-options FILE and --elmo-weights FILE")
    weights.check(*files)
    jobs: list[tuple[Run, Job]] = []
    for source in found:
        if source.name in (MISMATCHED, SQUAD):
            continue
        for seed in range(1, options.seeds + 1):
            arguments = ("--train-file", source.train, "--eval-file", source.dev)
            run = Run(source.name, ELMO, seed, arguments, folder_name(source.name, "elmo", seed))
            jobs.append((run, functools.partial(_elmo, run, source, options)))
    return jobs


def _elmo(run: Run, source: Source, options: argparse.Namespace, console: Any) -> dict[str, Any]:
    """Trains the baseline on one task and scores it."""
    from pipeline.config import Hardware
    from pipeline.elmo import finetune, weights
    from pipeline.tasks.text_classification import evaluate, metrics
    from pipeline.tasks.text_classification.data import load_texts
    from pipeline.tasks.text_classification.settings import TextData

    data = TextData(train_file=source.train, eval_file=source.dev)
    train, dev = load_texts(data, "train"), load_texts(data, "dev")
    labels = [] if train.regression else list(train.labels)
    gold: Sequence[Any] = dev.values if train.regression else evaluate.places_of(dev, labels)
    tuned = finetune.finetune(
        weights.load(options.elmo_options, options.elmo_weights),
        train.examples,
        labels,
        hardware=Hardware(),
        seed=run.seed,
        scratch=options.out / run.folder,
    )
    scores = tuned.scores(dev.examples)
    predicted = scores.argmax(axis=1) if labels else scores
    names = metrics.wanted(train.regression, train.task, "auto")
    found = metrics.compute(names, gold, predicted.tolist(), len(labels))
    return {
        "metrics": [metric for metric in metrics.METRICS if metric["name"] in names],
        "scores": {"model": {name: round(value, 2) for name, value in found.items()}},
    }


@terminal.command(also={FloatingPointError: 1})
def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    from rich.console import Console

    arguments = list(sys.argv[1:] if arguments is None else arguments)
    own, more = experiment.parted(arguments)
    options = _parser().parse_args(own)
    found = list(sources(options))
    if not found:
        raise UserError(
            f"--glue-dir {options.glue_dir} holds none of {', '.join(TASKS)}: name the folder that "
            "holds them"
        )
    command = shlex.join(["python", "-m", "pipeline.glue", *arguments])
    record = Record.load(options.out / "glue.json", command)
    console = Console(soft_wrap=True, highlight=False, emoji=False)
    absent = [name for name in TASKS if name not in {one.name for one in found}]
    if absent:
        console.print(f"left out, since their data is not there: {', '.join(absent)}", markup=False)
    if options.model == "elmo":
        jobs = elmo_jobs(found, options)
    else:
        jobs = [experiment.building(run, options.out) for run in plan(found, options, more)]
    experiment.perform(jobs, record, console, options.dry_run)
    if options.dry_run:
        return 0
    experiment.publish(page(record, NAMES), record, console)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m pipeline.glue",
        description=str(__doc__).partition("\n")[0],
        epilog="Flags after -- go to every build. An interrupted run continues where it was.",
    )
    add = parser.add_argument
    add(
        "--glue-dir",
        type=Path,
        help="Read GLUE from this folder, which holds CoLA, SST-2 and so on (default: the hub).",
    )
    add(
        "--tasks",
        nargs="+",
        choices=list(TASKS),
        metavar="TASK",
        help="Run only these tasks of GLUE.",
    )
    add(
        "--imdb",
        metavar="NAME",
        help="Run IMDb too: a folder with a train and a dev file, or stanfordnlp/imdb.",
    )
    add(
        "--squad",
        nargs=2,
        metavar=("TRAIN", "DEV"),
        help="Run SQuAD too, on these files, or on the hub data set that is named twice. It needs "
        "--teacher.",
    )
    add(
        "--teacher",
        metavar="NAME",
        help="Fine-tune this BERT as the teacher: a folder, a hub id, or `embedded` (the default). "
        "--student and --squad need it.",
    )
    add(
        "--student",
        metavar="NAME",
        help="Fine-tune this student (default: one that is made of the teacher's layers). It needs "
        "--teacher.",
    )
    add(
        "--seeds",
        type=terminal.count,
        default=5,
        help="Run each task with this many seeds and show the medians (default: 5).",
    )
    add(
        "--without-second-step",
        action="store_true",
        help="Add a row for a student that learns from the labels alone.",
    )
    add("--files", action="store_true", help="Make and score .tflite files as well.")
    add(
        "--preset",
        default="glue",
        help="Use this preset in every build but SQuAD's (default: glue).",
    )
    add(
        "--settings",
        type=Path,
        help="Read settings by name of task from this YAML file, each as for --config of a build.",
    )
    add(
        "--model",
        choices=("bert", "elmo"),
        default="bert",
        help="Run the rows of the teacher and its student, or that of ELMo (default: bert).",
    )
    add(
        "--elmo-options",
        type=Path,
        metavar="FILE",
        help="Build ELMo as this options.json says.",
    )
    add(
        "--elmo-weights",
        type=Path,
        metavar="FILE",
        help="Load ELMo's weights from this .hdf5 file.",
    )
    add(
        "--dry-run",
        action="store_true",
        help="List the runs, and which of them are recorded, and do nothing.",
    )
    add(
        "--out",
        type=Path,
        default=Path("build") / "glue",
        help="Keep the builds and the record in this folder (default: build/glue).",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
