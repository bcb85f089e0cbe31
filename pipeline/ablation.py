# SPDX-License-Identifier: Apache-2.0
"""What each part of a build brings: the paper's ablation, and two of the build without flags.

    python -m pipeline.ablation --seeds 3
    python -m pipeline.ablation --of default --seeds 3
    python -m pipeline.ablation --of size --seeds 3

`--of losses`, the default, leaves out one of the three losses of general distillation at a time, or
starts the student at random (arXiv 1910.01108, section 4.2 and its table of the ablation); `--of
default` leaves out one part of what `python -m pipeline.build` does; `--of size` takes away half of
the feed-forward neurons or a layer, which is as much of the layers' work, and times the files too.
Everything else is as in the full build: the same budget, seed, and so the same order of examples.
Flags after `--` go to every build.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from converters import terminal
from pipeline import experiment, settings, tasks
from pipeline.ablation_page import Ablation, page
from pipeline.config import Build
from pipeline.errors import UserError
from pipeline.experiment import Record, Run, folder_name

HALF = ("--student.intermediate-size", "0.5", "--student.neurons")
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
    "size": Ablation(
        title="What a smaller student costs",
        subtitle="The build without flags, and the same with a part of the student taken away.",
        preset="embedded",
        full="the default",
        rows={
            "half the neurons, by activation": (*HALF, "activation"),
            "half the neurons, by Taylor": (*HALF, "taylor"),
            "half the neurons, at random": (*HALF, "random"),
            "two layers": ("--student.layers", "2,5"),
        },
        paper={},
        tasks=("question-answering",),
        timed=True,
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
    more = (*more, "--target", "tflite", "--precision", "int8") if kind.timed else more
    for task, train, dev in data:
        name = task if train == dev == "embedded" else f"{task}, {Path(train).stem}"
        common = ("--preset", preset, "--task", task, "--train-file", train, "--eval-file", dev)
        for seed in range(1, seeds + 1):
            folder = folder_name(name, seed)
            runs += [
                Run(name, row, seed, (*common, *more, *flags), folder, kind.timed)
                for row, flags in {kind.full: (), **kind.rows}.items()
            ]
    return runs


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
        help="Leave out each loss of general distillation, each part of the build without flags, "
        "or a part of the student, timing the files as well (default: losses).",
    )
    parser.add_argument(
        "--data",
        nargs=3,
        action="append",
        metavar=("TASK", "TRAIN", "DEV"),
        help="Train and score on these data; may be given several times. By default, these are the "
        "examples of the package, of every task or, with --of default and --of size, of "
        "question-answering.",
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
        "default and --of size).",
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
