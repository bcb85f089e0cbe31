# SPDX-License-Identifier: Apache-2.0
"""What each part of a build brings: the paper's ablation, and one of the build without flags.

    python -m pipeline.ablation --seeds 3
    python -m pipeline.ablation --of default --seeds 3

`--of losses`, the default, leaves out one of the three losses of general distillation at a time, or
starts the student at random (arXiv 1910.01108, section 4.2 and its table of the ablation); `--of
default` leaves out one part of what `python -m pipeline.build` does. Everything else is as in the
full build: the same budget, seed, and so the same order of examples. Flags after `--` go to every
build.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.page.layout import DASH, Column, Page, Section, Table
from converters import terminal
from pipeline import experiment, settings, tasks
from pipeline.config import Build
from pipeline.errors import UserError
from pipeline.experiment import Record, Run, folder_name, mean, shown


@dataclass(frozen=True)
class Ablation:
    """What is left out, a row each.

    Attributes:
        title: of the page.
        subtitle: a sentence on what the page holds.
        preset: of every build.
        full: the row with nothing left out.
        rows: the flags of each other row.
        paper: by how many points a row changed the paper's macro score on GLUE; empty where the
            paper has no such table.
        tasks: whose embedded examples are taken where no data are named.
    """

    title: str
    subtitle: str
    preset: str
    full: str
    rows: Mapping[str, tuple[str, ...]]
    paper: Mapping[str, float]
    tasks: Sequence[str]


CE, MLM, COS = (
    {f"without L_{name}": (f"--distil.alpha-{name}", "0")} for name in ("ce", "mlm", "cos")
)
KINDS = {
    "losses": Ablation(
        title="What each loss brings",
        subtitle="The paper's ablation, run again.",
        preset="embedded-paper",
        full="triple loss",
        rows=CE | COS | MLM | {"random initialization": ("--student.init", "random")},
        paper={
            "without L_ce": -2.96,
            "without L_cos": -1.46,
            "without L_mlm": -0.31,
            "random initialization": -3.69,
        },
        tasks=tuple(tasks.TASKS),
    ),
    "default": Ablation(
        title="What each part of the default brings",
        subtitle="The build without flags, and what it loses when a part is left out.",
        preset="embedded",
        full="the default",
        rows={"without the adapter": ("--teacher.adapter", "none")}
        | CE
        | MLM
        | COS
        | {
            "without hidden states": (
                *("--distil.alpha-hidden", "0"),
                *("--finetune.alpha-hidden", "0"),
            ),
            "without general distillation": ("--no-distil",),
            "without joined passages": ("--joined-share", "0"),
            "without cloze questions": ("--cloze-questions", "0"),
            "without shortened passages": ("--short-share", "0"),
            "without the second step": ("--no-second-step",),
        },
        paper={},
        tasks=("question-answering",),
    ),
}


def plan(
    kind: Ablation,
    data: Sequence[tuple[str, str, str]],
    seeds: int,
    preset: str,
    more: Sequence[str],
) -> list[Run]:
    """All runs, those of one seed and data set one after the other: they share what they can.

    Args:
        kind: what is left out.
        data: task, training and evaluation data of each data set.
        seeds: how many, from 1 on.
        preset: of every build.
        more: further flags of every build.
    """
    runs = []
    for task, train, dev in data:
        name = task if train == dev == "embedded" else f"{task}, {Path(train).stem}"
        common = ("--preset", preset, "--task", task, "--train-file", train, "--eval-file", dev)
        for seed in range(1, seeds + 1):
            folder = folder_name(name, seed)
            runs += [
                Run(name, row, seed, (*common, *more, *flags), folder)
                for row, flags in {kind.full: (), **kind.rows}.items()
            ]
    return runs


def page(kind: Ablation, runs: Sequence[Run], record: Record) -> Page:
    """The table: scores of the student, their mean, and its change, beside the paper's if any."""
    names = list(dict.fromkeys(run.data for run in runs))
    seeds = len({run.seed for run in runs})
    rows = [kind.full, *kind.rows]
    found: dict[str, list[float | None]] = {}  # row -> the mean over the seeds for each data set
    for row in rows:
        mine = [[run for run in runs if (run.row, run.data) == (row, name)] for name in names]
        found[row] = [mean(_headlines(record, one)) for one in mine]
    macro = {row: mean(scores) for row, scores in found.items()}
    full = macro[kind.full]
    changes = [
        None if full is None or score is None or row == kind.full else score - full
        for row, score in macro.items()
    ]
    columns = [
        Column("", rows),
        *(
            Column(name, [shown(found[row][place]) for row in rows], "number")
            for place, name in enumerate(names)
        ),
        Column("mean", [shown(score) for score in macro.values()], "number"),
        Column("change", [shown(change, sign=True) for change in changes], "number"),
    ]
    told = (
        f"Each figure is the student's score in percent, the mean over {seeds} "
        f"{'seed' if seeds == 1 else 'seeds'}; change is that of the mean over the data sets."
    )
    if kind.paper:
        theirs = [f"{kind.paper[row]:+.2f}" if row in kind.paper else DASH for row in rows]
        columns.append(Column("paper", theirs, "number"))
        told += (
            " The paper's column is the change of its macro score on GLUE, after distillation on "
            "Wikipedia and BookCorpus: directions can be compared, sizes cannot."
        )
    spread = " ".join(f"{row}: {', '.join(_each(record, runs, row, names))}." for row in rows)
    sentences = [told, f"Scores by seed. {spread}"]
    section = Section("ablation", "Ablation", sentences, [Table("", columns)])
    return Page("ablation", kind.title, kind.subtitle, [], [], [section])


def _headlines(record: Record, runs: Sequence[Run]) -> list[float | None]:
    """The student's first metric in each run; None for one that has not ended."""
    entries = [record.find(run) for run in runs]
    return [e["scores"]["student"][e["metrics"][0]["name"]] if e else None for e in entries]


def _each(record: Record, runs: Sequence[Run], row: str, names: Sequence[str]) -> list[str]:
    return [
        f"{name} "
        + " ".join(
            shown(score)
            for score in _headlines(record, [r for r in runs if (r.row, r.data) == (row, name)])
        )
        for name in names
    ]


@terminal.command(also={FloatingPointError: 1})
def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    from rich.console import Console

    arguments = list(sys.argv[1:] if arguments is None else arguments)
    own, more = experiment.parted(arguments)
    parser = argparse.ArgumentParser(
        "python -m pipeline.ablation",
        description=str(__doc__).partition("\n")[0],
        epilog="Flags after -- go to every build. An interrupted run continues where it was.",
    )
    parser.add_argument(
        "--of",
        choices=KINDS,
        default="losses",
        help="Leave out each loss of general distillation, or each part of the build without flags "
        "(default: losses).",
    )
    parser.add_argument(
        "--data",
        nargs=3,
        action="append",
        metavar=("TASK", "TRAIN", "DEV"),
        help="Train and score on these data; may be given several times. By default, these are the "
        "examples of the package, of every task or, with --of default, of question-answering.",
    )
    parser.add_argument(
        "--seeds",
        type=terminal.count,
        default=3,
        help="Run each row with this many seeds (default: 3).",
    )
    parser.add_argument(
        "--preset",
        help="Use this preset in every build (default: embedded-paper, or embedded with --of "
        "default).",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="List the runs, and which of them are recorded, and do nothing.",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("build") / "ablation",
        help="Keep the builds and the record in this folder (default: build/ablation).",
    )
    options = parser.parse_args(own)
    kind = KINDS[options.of]
    data = options.data or [(task, "embedded", "embedded") for task in kind.tasks]
    preset = options.preset or kind.preset
    runs = plan(kind, [tuple(one) for one in data], options.seeds, preset, more)
    _check(kind, runs)
    command = shlex.join(["python", "-m", "pipeline.ablation", *arguments])
    record = Record.load(options.out / "ablation.json", command)
    console = Console(soft_wrap=True, highlight=False, emoji=False)
    jobs = [experiment.building(run, options.out) for run in runs]
    experiment.perform(jobs, record, console, options.dry_run)
    if options.dry_run:
        return 0
    experiment.publish(page(kind, runs, record), record, console)
    return 0


def _check(kind: Ablation, runs: Sequence[Run]) -> None:
    """Refuses settings that lack what a row leaves out: the row would be the full build again."""
    found: dict[str, dict[str, Build]] = {run.data: {} for run in runs}
    for run in runs:
        if run.seed == 1:
            found[run.data][run.row] = settings.parse(run.arguments, "")
    for mine in found.values():
        same = [row for row in kind.rows if mine[row] == mine[kind.full]]
        if same:
            raise UserError(
                f"nothing would change {', '.join(same)}: these settings have no such part; take "
                f"--preset {kind.preset}, or give each loss a weight after --"
            )


if __name__ == "__main__":
    sys.exit(main())
