# SPDX-License-Identifier: Apache-2.0
"""Holds a build folder for one process, notes what runs there, and explains what stops it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from pipeline import ranks
from pipeline.errors import UserError

LOCK = ".lock"

# Stage -> the settings that decide how much memory it takes. A smaller device batch trains the same
# model, since the gradients of a whole batch are added up.
LOWER = {
    "teacher": "--teacher.optimization.device-batch or --max-length",
    "mlm-teacher": "--mlm-head.optimization.device-batch",
    "distilled": "--distil.optimization.device-batch",
    "teacher-outputs": "--finetune.optimization.batch-size or --max-length",
    "student": "--finetune.optimization.device-batch or --max-length",
    "verify": "--verification.processes",
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


@contextlib.contextmanager
def quiet_threads() -> Iterator[None]:
    """Prints no traceback where the system refuses a file to a thread of a library.

    TensorBoard writes its events in a thread of its own; the training meets the same full disk, and
    what it raises is explained to the user.
    """
    usual = threading.excepthook

    def hook(given: threading.ExceptHookArgs) -> None:
        if not issubclass(given.exc_type, OSError):
            usual(given)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = usual


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
    elsewhere = _elsewhere(error, root)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        # An error while a file is written does not name it; libraries also write temporary files.
        places = [root, *([elsewhere] if elsewhere else []), Path(tempfile.gettempdir())]
        full = next((place for place in places if _free(place) < NO_ROOM), places[0])
        where = "--out" if full == root else "TMPDIR, the variable for temporary files"
        return (
            f"the disk of {full} is full ({_free(full) / 1e6:.0f} MB free): make room or choose "
            f"another folder with {where}; what is finished is kept"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        if elsewhere:
            return f"cannot use {elsewhere} ({error.strerror}): check it and its rights"
        return f"cannot write to {root} ({error.strerror}): choose another folder with --out"
    what = error.strerror or error
    return f"{what}: {error.filename or root}; check it, or choose another folder with --out"


def _elsewhere(error: OSError, root: Path) -> Path | None:
    """The file that an error names, if it lies neither in `root` nor on the way to it."""
    if not isinstance(error.filename, str):
        return None
    named, own = Path(error.filename).absolute(), root.absolute()
    return None if named.is_relative_to(own) or own.is_relative_to(named) else named


def _free(place: Path) -> int:
    """Bytes that are free on the disk of a path, whether or not it is there."""
    return shutil.disk_usage(next(f for f in (place, *place.absolute().parents) if f.exists())).free
