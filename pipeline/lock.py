# SPDX-License-Identifier: Apache-2.0
"""Holds a build folder for one process, notes what runs there, and explains what stops it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from pipeline import ranks
from pipeline.errors import UserError

LOCK = ".lock"

# Stage -> the settings that decide how much memory it takes.
LOWER = {
    "teacher": "--teacher.optimization.batch-size or --max-length",
    "mlm-teacher": "--distil.optimization.batch-size",
    "distilled": "--distil.optimization.batch-size",
    "student": "--finetune.optimization.batch-size or --max-length",
}
NO_ROOM = 4_000_000  # bytes; a disk with less refuses the smallest checkpoint


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """Holds a build folder for one process; makes the folder.

    The lock is the operating system's, so it goes with the process however that ends.

    Raises:
        UserError: if the folder cannot be written, the disk is full, or another build holds it.
    """
    if not ranks.FIRST:
        yield
        return
    try:
        root.mkdir(parents=True, exist_ok=True)
        handle = (root / LOCK).open("a+")
    except OSError as error:
        raise UserError(explain(error, root)) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"another build is running in {root}: wait for it, or choose another folder "
                "with --out"
            ) from error
        except OSError as error:
            raise UserError(explain(error, root)) from error
        yield


@contextlib.contextmanager
def running(root: Path, stage: str) -> Iterator[None]:
    """Notes in the lock file of a build folder what runs; the note stays where a kill ends it."""
    lock = root / LOCK
    if not lock.exists():  # another user of `Store`, which locks nothing
        yield
        return
    with contextlib.suppress(OSError):
        lock.write_text(stage, encoding="utf-8")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.write_text("", encoding="utf-8")


def killed(root: Path) -> str | None:
    """What to say where the last run in a build folder was killed in a stage; None where not.

    Nothing but SIGKILL and a loss of power leaves a note, and what kills most often is the system,
    for memory.
    """
    try:
        stage = (root / LOCK).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None
    if not re.fullmatch(r"[\w-]{1,40}", stage):
        return None
    lower = LOWER.get(stage, "--hardware.threads, or fewer of --precision and --target at once")
    return (
        f"the last run was killed while {stage} ran; if that was for lack of memory, lower {lower}"
    )


def disk_full(root: Path) -> bool:
    """Whether so little is left on the disk of a build folder that no model file fits."""
    return root.exists() and shutil.disk_usage(root).free < NO_ROOM


def explained(error: Exception, root: Path) -> UserError | None:
    """The user's line for an error of the operating system while building in `root`, if it is one.

    Libraries report a full disk in words of their own.
    """
    if not isinstance(error, OSError) and disk_full(root):
        error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return UserError(explain(error, root)) if isinstance(error, OSError) else None


def explain(error: OSError, root: Path) -> str:
    """One line for an operating-system error met while building in `root`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(next(f for f in (root, *root.parents) if f.exists())).free / 1e6
        return (
            f"the disk of {root} is full ({free:.0f} MB free): make room or choose another folder "
            "with --out; what is finished is kept"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return f"cannot write to {root} ({error.strerror}): choose another folder with --out"
    what = error.strerror or error
    return f"{what}: {error.filename or root}; check it, or choose another folder with --out"
