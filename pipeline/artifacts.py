# SPDX-License-Identifier: Apache-2.0
"""Where stages keep what they made: keyed by settings and inputs, whole or not there, checked on use.

A stage's folder holds its files and `manifest.json`: the key, the facts for the report, the size and
sha256 of each file.  A stage writes into a folder aside, which is renamed when it is whole; a process
killed at any moment leaves either the old folder or the new one.  Training stages also have a scratch
folder for their checkpoints, which outlives the process and goes when the stage is whole.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import UserError

MANIFEST = "manifest.json"
FORMAT = 1  # of the manifest and of the key; raise it when either changes


@dataclass(frozen=True)
class Artifact:
    """A stage's finished output.

    Attributes:
        name: of the stage.
        folder: its files.
        key: sha256 over settings and inputs; stands for the content in the keys of later stages.
        facts: scalars for the report.
        seconds: what it took to make.
        resumed: whether it was there already.
    """

    name: str
    folder: Path
    key: str
    facts: dict[str, Any]
    seconds: float
    resumed: bool


@dataclass
class Store:
    """The stages of one build folder.

    Args:
        root: the build folder.
        force: names of stages to make again.
        dry_run: make nothing; `plan` tells what would run.
        say: prints a line to the user.
    """

    root: Path
    force: frozenset[str] = frozenset()
    dry_run: bool = False
    say: Callable[[str], None] = print
    plan: list[tuple[str, str]] = field(default_factory=list)
    _stale: set[str] = field(default_factory=set)

    def stage(
        self,
        name: str,
        make: Callable[[Path, Path], Mapping[str, Any]],
        *,
        settings: Any,
        inputs: Mapping[str, Artifact | str],
        folder: str | None = None,
    ) -> Artifact:
        """Returns the stage's artifact, making it where it is missing, stale or damaged.

        Args:
            name: of the stage, as `--force` takes it.
            make: called with (folder to fill, scratch folder); returns facts for the report.
            settings: anything JSON can hold; a change of it makes the stage stale.
            inputs: earlier artifacts, or sha256 of what was read; a change makes the stage stale.
            folder: below the root; `stages/<name>` for what is not an end result.
        """
        target = self.root / (folder or f"stages/{name}")
        key = self._key(name, settings, inputs)
        reason = self._why(name, target, key)
        stale_inputs = [n for n in inputs if n in self._stale]
        if self.dry_run:
            if reason is None and stale_inputs:
                reason = f"{stale_inputs[0]} runs again"
            self.plan.append((name, reason or "kept"))
        if reason is None or self.dry_run:
            if reason is not None:
                self._stale.add(name)
                return Artifact(name, target, key, {}, 0.0, resumed=False)
            manifest = read_manifest(target)
            return Artifact(name, target, key, manifest["facts"], manifest["seconds"], resumed=True)

        self.say(f"{name}: {reason}")
        scratch = self.root / "scratch" / f"{name}-{key[:12]}"
        for old in (self.root / "scratch").glob(f"{name}-*"):
            if old != scratch or name in self.force:
                shutil.rmtree(old)
        aside = target.with_name(target.name + ".partial")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        began = time.monotonic()
        facts = dict(make(aside, scratch))
        seconds = round(time.monotonic() - began, 1)
        write_json(
            aside / MANIFEST,
            {
                "format": FORMAT,
                "stage": name,
                "key": key,
                "seconds": seconds,
                "facts": facts,
                "files": fingerprints(aside),
            },
        )
        _swap(aside, target)
        shutil.rmtree(scratch, ignore_errors=True)
        return Artifact(name, target, key, facts, seconds, resumed=False)

    def _why(self, name: str, target: Path, key: str) -> str | None:
        """Why the stage has to run; None where its artifact is good."""
        if name in self.force:
            return "forced"
        if not target.exists():
            scratch = self.root / "scratch" / f"{name}-{key[:12]}"
            return "goes on where it was interrupted" if scratch.exists() else "not made yet"
        try:
            manifest = read_manifest(target)
        except UserError:
            return "its manifest is missing or damaged"
        if manifest["key"] != key:
            return "settings or inputs changed"
        problem = damage(target, manifest["files"])
        return f"{problem}; made again" if problem else None

    @staticmethod
    def _key(name: str, settings: Any, inputs: Mapping[str, Artifact | str]) -> str:
        document = {
            "format": FORMAT,
            "stage": name,
            "settings": settings,
            "inputs": {n: i.key if isinstance(i, Artifact) else i for n, i in inputs.items()},
        }
        return hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode()).hexdigest()


def _swap(aside: Path, target: Path) -> None:
    """Puts the folder `aside` in the place of `target`."""
    _sync(aside)
    old = target.with_name(target.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    aside.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Flushes a folder's files to the disk, so that a renamed folder is whole after a power cut."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def sha256(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprints(folder: Path, only: Sequence[str] = ("*",)) -> dict[str, dict[str, Any]]:
    """Size in bytes and sha256 of the files below a folder that fit a pattern; never the manifest."""
    return {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted({found for pattern in only for found in folder.rglob(pattern)})
        if path.is_file() and path.name != MANIFEST
    }


def damage(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Says which file of an artifact is missing, cut short or altered; None where all are whole."""
    for name, expected in files.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != expected["bytes"]:
            return f"{name} has {path.stat().st_size} bytes instead of {expected['bytes']}"
        if sha256(path) != expected["sha256"]:
            return f"{name} was altered"
    return None


def read_manifest(folder: Path) -> dict[str, Any]:
    """A stage's manifest; a UserError where it is missing or damaged."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT or not isinstance(manifest["files"], dict):
            raise ValueError("another format")
        return dict(manifest)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder.name} has no readable {MANIFEST}: build it again") from error


def write_json(path: Path, document: Any) -> None:
    """Writes JSON whole or not at all."""
    aside = path.with_name(path.name + ".partial")
    aside.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(aside, path)


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """Holds a build folder for one process; makes the folder.

    The lock is the operating system's, so it goes with the process however that ends.

    Raises:
        UserError: if the folder cannot be written, the disk is full, or another build holds it.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        handle = (root / ".lock").open("a+")
    except OSError as error:
        raise UserError(explain(error, root)) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(
                f"another build is running in {root}: wait for it, or choose another folder with --out"
            ) from error
        yield


def explain(error: OSError, root: Path) -> str:
    """One line for an operating-system error met while building in `root`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(root if root.exists() else root.parent).free / 1e6
        return (
            f"the disk of {root} is full ({free:.0f} MB free): make room or choose another folder with "
            "--out; what is finished is kept"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return f"cannot write to {root} ({error.strerror}): choose another folder with --out"
    return f"{error.strerror or error}: {error.filename or root}"
