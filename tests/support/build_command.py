# SPDX-License-Identifier: Apache-2.0
"""The command of a build that trains for a while on tiny inputs."""

from __future__ import annotations

import sys
from pathlib import Path

# Trainings of some 20 to 60 steps with a checkpoint every few: most kills fall into one.
LONGER = (
    *("--teacher.optimization.epochs", "40", "--teacher.optimization.checkpoint-steps", "5"),
    *("--distil.optimization.epochs", "6", "--distil.optimization.checkpoint-steps", "5"),
    *("--finetune.optimization.epochs", "40", "--finetune.optimization.checkpoint-steps", "5"),
)


def command(teacher: Path, squad: Path, text: Path, out: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "pipeline.build", "--preset", "smoke", "--out", str(out)),
        *(
            "--precision",
            "int8",
            "fp32",
            "--teacher.model",
            str(teacher),
            "--distil.text",
            str(text),
        ),
        *("--train-file", str(squad), "--eval-file", str(squad), "--hardware.precision", "fp32"),
        *(
            "--max-length",
            "128",
            "--stride",
            "32",
            "--golden-cases",
            "3",
            "--benchmark.queries",
            "4",
        ),
        *("--hardware.no-progress", *LONGER),
    ]
