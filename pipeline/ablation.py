# SPDX-License-Identifier: Apache-2.0
"""The paper's ablation: what each loss of general distillation brings, and the initialization.

    python -m pipeline.ablation --seeds 3

Each row leaves out one of the three losses, or starts the student at random; everything else is
that of the full triple loss: the same teacher, budget, seed, and so the same order of examples.
Flags after `--` go to every build (arXiv 1910.01108, section 4.2 and its table of the ablation).
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.page.layout import DASH, Column, Page, Section, Table
from converters import terminal
from pipeline import experiment, settings, tasks
from pipeline.errors import UserError
from pipeline.experiment import Record, Run, folder_name, mean, shown

FULL = "triple loss"
# Row -> its flags, and by how many points it changed the paper's macro score on GLUE.
ROWS: dict[str, tuple[tuple[str, ...], float | None]] = {
    FULL: ((), None),
    "without L_ce": (("--distil.alpha-ce", "0"), -2.96),
    "without L_cos": (("--distil.alpha-cos", "0"), -1.46),
    "without L_mlm": (("--distil.alpha-mlm", "0"), -0.31),
    "random initialization": (("--student.init", "random"), -3.69),
}


def plan(
    data: Sequence[tuple[str, str, str]], seeds: int, preset: str, more: Sequence[str]
) -> list[Run]:
    """All runs, those of one seed and data set one after the other: they share the teacher.

    Args:
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
                for row, (flags, _) in ROWS.items()
            ]
    return runs


def page(runs: Sequence[Run], record: Record) -> Page:
    """The table: scores of the student, their macro score, and its change beside the paper's."""
    names = list(dict.fromkeys(run.data for run in runs))
    seeds = len({run.seed for run in runs})
    found: dict[str, list[float | None]] = {}  # row -> the mean over the seeds for each data set
    for row in ROWS:
        mine = [[run for run in runs if (run.row, run.data) == (row, name)] for name in names]
        found[row] = [mean(_headlines(record, one)) for one in mine]
    macro = {row: mean(scores) for row, scores in found.items()}
    full = macro[FULL]
    changes = [
        None if full is None or score is None or row == FULL else score - full
        for row, score in macro.items()
    ]
    columns = [
        Column("", list(ROWS)),
        *(
            Column(name, [shown(found[row][place]) for row in ROWS], "number")
            for place, name in enumerate(names)
        ),
        Column("mean", [shown(score) for score in macro.values()], "number"),
        Column("change", [shown(change, sign=True) for change in changes], "number"),
        Column(
            "paper",
            [DASH if paper is None else f"{paper:+.2f}" for _, paper in ROWS.values()],
            "number",
        ),
    ]
    spread = " ".join(f"{row}: {', '.join(_each(record, runs, row, names))}." for row in ROWS)
    sentences = [
        f"Each figure is the student's score in percent, the mean over {seeds} "
        f"{'seed' if seeds == 1 else 'seeds'}; change is that of the mean over the data sets. The "
        "paper's column is the change of its macro score on GLUE, after distillation on Wikipedia "
        "and BookCorpus: directions can be compared, sizes cannot.",
        f"Scores by seed. {spread}",
    ]
    section = Section("ablation", "Ablation", sentences, [Table("", columns)])
    return Page(
        "ablation", "What each loss brings", "The paper's ablation, run again.", [], [], [section]
    )


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
        epilog="Flags after -- go to every build. A run that is interrupted goes on where it was.",
    )
    parser.add_argument(
        "--data",
        nargs=3,
        action="append",
        metavar=("TASK", "TRAIN", "DEV"),
        help="train and score on these; can be given several times. By default: every task, on the "
        "examples that the package carries",
    )
    parser.add_argument("--seeds", type=terminal.count, default=3, help="how many (default: 3)")
    parser.add_argument(
        "--preset", default="embedded-paper", help="of every build (default: embedded-paper)"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="only list the runs, and which are recorded"
    )
    parser.add_argument("--out", type=Path, default=Path("build") / "ablation", help="folder")
    options = parser.parse_args(own)
    data = options.data or [(task, "embedded", "embedded") for task in tasks.TASKS]
    runs = plan([tuple(one) for one in data], options.seeds, options.preset, more)
    _check(runs)
    command = shlex.join(["python", "-m", "pipeline.ablation", *arguments])
    record = Record.load(options.out / "ablation.json", command)
    console = Console(soft_wrap=True, highlight=False, emoji=False)
    jobs = [experiment.building(run, options.out) for run in runs]
    experiment.perform(jobs, record, console, options.dry_run)
    if options.dry_run:
        return 0
    experiment.publish(page(runs, record), record, console)
    return 0


def _check(runs: Sequence[Run]) -> None:
    """Refuses settings that have nothing to leave out."""
    for run in runs:
        if run.row != FULL:
            continue
        distil = settings.parse(run.arguments, "").distil
        absent = [n for n in ("alpha_ce", "alpha_cos", "alpha_mlm") if not getattr(distil, n)]
        if absent or not distil.enabled:
            raise UserError(
                f"these settings run without {', '.join(absent) or 'general distillation'}: an "
                "ablation needs the triple loss; take --preset embedded-paper, or give the losses "
                "a weight after --"
            )


if __name__ == "__main__":
    sys.exit(main())
