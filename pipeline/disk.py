# SPDX-License-Identifier: Apache-2.0
"""Room on the disk: a stage that will not fit is refused before its hours of work."""

from __future__ import annotations

import shutil
from pathlib import Path

from pipeline.errors import UserError

WEIGHT = 4  # bytes of a weight in float32
CHECKPOINT = 3 * WEIGHT  # bytes a weight, with AdamW's two running averages
HELD = 2 * CHECKPOINT  # the older checkpoint stays until the newer one is whole


def free(folder: Path) -> float:
    """Gigabytes left on the disk of a folder, which need not be there."""
    folder = folder.absolute()
    place = next(each for each in (folder, *folder.parents) if each.exists())
    return shutil.disk_usage(place).free / 1e9


def require(
    folder: Path, gigabytes: float, what: str, *, there: Path | None = None, remedy: str = ""
) -> None:
    """Refuses what takes more room than the disk of a folder has.

    Args:
        folder: on that disk; need not be there.
        gigabytes: that will be written.
        what: that is, in the plural, for the message.
        there: a folder whose files count among them already, of an interrupted run.
        remedy: what helps besides more room, for the message.

    Raises:
        UserError: it does not fit.
    """
    left = free(folder)
    if there is not None:
        gigabytes -= sum(file.stat().st_size for file in there.rglob("*") if file.is_file()) / 1e9
    if gigabytes > left:
        raise UserError(
            f"{what} take {_shown(gigabytes)} and the disk has {_shown(left)} left: make room, or "
            f"{f'{remedy}, or ' if remedy else ''}choose a folder on another disk with --out"
        )


def _shown(gigabytes: float) -> str:
    """`1.6 GB`, `240.0 MB`."""
    return f"{gigabytes:.1f} GB" if gigabytes >= 1 else f"{1e3 * gigabytes:.1f} MB"
