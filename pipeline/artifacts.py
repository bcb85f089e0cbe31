# SPDX-License-Identifier: Apache-2.0
"""Where stages keep what they made: keyed by settings and inputs, whole or not there, checked.

A stage's folder holds its files and `manifest.json`: the key, the facts for the report, the size,
sha256 and time of change of each file.  What users take away is hashed again by every build; of
what lies below `stages/`, only files whose time of change is not the manifest's.  A stage writes
into a folder aside, which is renamed when it is whole; a process killed at any moment leaves either
the old folder or the new one.  Training stages also have a scratch folder for their checkpoints,
which outlives the process and goes when the stage is whole.  Only what a build made is ever
replaced or removed: see `made.py`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from converters import plain_file, whole_file
from converters.runtimes.checksums import sha256
from pipeline import lock, made, ranks
from pipeline.errors import UserError
from pipeline.fields import decisive

MANIFEST = "manifest.json"
INNER = "stages"  # the folder of what is not an end result
SCRATCH = "scratch"
RUNS = "runs"  # the folder of TensorBoard's logs, in the scratch folder and below INNER
LOSSES = "losses.json"  # of a training, there
SCORES = "scores.json"  # of the evaluations in a training, there
MIXED = "mixed.json"  # of the stage that chooses what is stored in int4, there and in its folder
# What stages keep in the scratch folder.
CHECKPOINTS = ("checkpoint-*", "best-*", "precision.json", "gate-*", MIXED, f"{RUNS}/*")
CHANGED = "settings or inputs changed"
FORMAT = 1  # of the manifest and of the key; raise it when either changes


@dataclass(frozen=True)
class Artifact:
    """A stage's finished output.

    Attributes:
        name: of the stage.
        folder: its files.
        key: sha256 over settings and inputs: the same key, the same way of making it.
        content: sha256 over the files; part of the keys of later stages.
        facts: scalars for the report.
        seconds: what it took to make.
        resumed: whether it was there already.
    """

    name: str
    folder: Path
    key: str
    content: str
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
        everywhere: bool = False,
    ) -> Artifact:
        """Returns the stage's artifact, making it where it is missing, stale or damaged.

        Args:
            name: of the stage, as `--force` takes it.
            make: called with (folder to fill, scratch folder); returns facts for the report.
            settings: anything JSON can hold; a change of it makes the stage stale.
            inputs: earlier artifacts, or sha256 of what was read; a change makes the stage stale.
            folder: below the root; `stages/<name>` for what is not an end result.
            everywhere: training stages run on every rank of a distributed build; of the others the
                first rank takes care, and the rest wait.
        """
        target = self.root / (folder or f"{INNER}/{name}")
        key = _key(name, settings, inputs)
        reason = ranks.agree(self._why(name, target, key) if ranks.FIRST else None)
        if self.dry_run:
            needed = [i.name for i in inputs.values() if isinstance(i, Artifact)]
            waits = [n for n in needed if n in self._stale]
            if waits and reason in (None, CHANGED):  # its key holds what is not made yet
                reason = f"{waits[0]} runs again"
            self.plan.append((name, reason or "kept"))
            if reason:
                self._stale.add(name)
                return Artifact(name, target, key, "", {}, 0.0, resumed=False)
        if reason is None:
            return _load(name, target, resumed=True)
        if ranks.FIRST:
            self.say(f"{name}: {reason}")
            self._make(name, make, target, key)
        elif everywhere:
            with tempfile.TemporaryDirectory() as discarded:
                make(Path(discarded), self._scratch(name, key))
        ranks.wait()
        return _load(name, target, resumed=False)

    def _make(
        self, name: str, make: Callable[[Path, Path], Mapping[str, Any]], target: Path, key: str
    ) -> None:
        """Fills a folder aside and puts it in its place."""
        scratch = self._scratch(name, key)
        for old in scratch.parent.glob(f"{name}-{'[0-9a-f]' * 12}"):
            if old != scratch or name in self.force:
                made.remove(self.root, old)
        with made.replacing(target, self.root) as aside:
            mode = aside.stat().st_mode & 0o666  # as the user's umask has it
            place = scratch.relative_to(self.root).as_posix()
            made.add(self.root, *(f"{place}/{name}" for name in CHECKPOINTS))
            began = time.monotonic()
            with lock.running(self.root, name):
                facts = dict(make(aside, scratch))
            seconds = round(time.monotonic() - began, 1)
            files = fingerprints(aside)
            for file in files:  # safetensors writes for the owner alone
                (aside / file).chmod(mode)
            manifest = {
                "format": FORMAT,
                "stage": name,
                "key": key,
                "seconds": seconds,
                "facts": facts,
                "files": files,
                "changed_ns": {name: (aside / name).stat().st_mtime_ns for name in files},
            }
            write_json(aside / MANIFEST, manifest)
        self._keep_logs(name, scratch / RUNS)
        made.remove(self.root, scratch)
        told = [f"{fact.replace('_', ' ')} {value}" for fact, value in facts.items()]
        self.say(f"{name}: {', '.join([f'{seconds:.0f} s', *told])}")

    def _keep_logs(self, name: str, logs: Path) -> None:
        """Moves the logs of a training out of its scratch folder, in place of older ones."""
        if not logs.is_dir():
            return
        kept = self.root / INNER / RUNS / name
        made.remove(self.root, kept)
        files = [path for path in logs.rglob("*") if path.is_file()]
        places = [kept / path.relative_to(logs) for path in files]
        made.add(self.root, *(place.relative_to(self.root).as_posix() for place in places))
        for path, place in zip(files, places, strict=True):
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)

    def losses(self, name: str) -> dict[str, Any]:
        """`losses` of a stage that trained and `evaluations` where it has any, for the report."""
        found = {}
        for key, file in (("losses", LOSSES), ("evaluations", SCORES)):
            path = self.root / INNER / RUNS / name / file
            # An older build may lack them, and somebody may have removed them.
            with contextlib.suppress(OSError, ValueError, RecursionError):
                found[key] = json.loads(plain_file.read_text(path))
        return found

    def _scratch(self, name: str, key: str) -> Path:
        """Where a stage keeps checkpoints; another key, another folder."""
        return self.root / SCRATCH / f"{name}-{key[:12]}"

    def _why(self, name: str, target: Path, key: str) -> str | None:
        """Why the stage has to run; None where its artifact is good."""
        if not target.exists() and not self.dry_run:
            self._recover(name, target)
        manifest = _manifest_of(name, target)
        if manifest and not self.dry_run:  # an older version may have made it, without a list
            made.add(self.root, *_files(self.root, target, manifest))
        if name in self.force:
            return "forced"
        if not target.exists():
            interrupted = self._scratch(name, key).exists()
            return "goes on where it was interrupted" if interrupted else "not made yet"
        if manifest is None:
            return "its manifest is missing or damaged"
        if manifest["key"] != key:
            return CHANGED
        trusted = manifest["changed_ns"] if target.parent.name == INNER else {}
        problem = damage(target, manifest["files"], trusted)
        return f"{problem}; made again" if problem else None

    def _recover(self, name: str, target: Path) -> None:
        """Ends a swap that was killed between its renames; a folder with a manifest is whole."""
        aside, old = made.beside(target)
        for folder in (aside, old):
            if _manifest_of(name, folder):
                folder.rename(target)
                made.remove(self.root, old)
                return


def _key(name: str, settings: Any, inputs: Mapping[str, Artifact | str]) -> str:
    """sha256 over everything that decides what a stage makes."""
    document = {
        "format": FORMAT,
        "stage": name,
        "settings": settings,
        "inputs": {n: i.content if isinstance(i, Artifact) else i for n, i in inputs.items()},
    }
    told = json.dumps(document, sort_keys=True, default=lambda each: str(decisive(each)))
    return hashlib.sha256(told.encode()).hexdigest()


def _load(name: str, target: Path, *, resumed: bool) -> Artifact:
    """The artifact that lies in `target`."""
    manifest = read_manifest(target)
    content = hashlib.sha256(json.dumps(manifest["files"], sort_keys=True).encode()).hexdigest()
    return Artifact(
        name, target, manifest["key"], content, manifest["facts"], manifest["seconds"], resumed
    )


def refuse_foreign(root: Path, folders: Mapping[str, Path], files: Iterable[Path]) -> None:
    """Refuses a build folder where something of the user's is in the way of what a build writes.

    Args:
        root: the build folder; need not be there.
        folders: of stages, by their names, and others that are replaced.
        files: that are written.

    Raises:
        UserError: with what lies there.
    """
    paths, also = list(files), set[str]()
    for name, target in folders.items():
        paths += [target, *made.beside(target)]
        if manifest := _manifest_of(name, target):
            also.update(_files(root, target, manifest))
    made.refuse(root, paths, also)


def _manifest_of(name: str, folder: Path) -> dict[str, Any] | None:
    """The manifest of a stage's folder; None where that stage made no such folder."""
    try:
        manifest = read_manifest(folder)
    except UserError:
        return None
    return manifest if manifest.get("stage") == name and not folder.is_symlink() else None


def _files(root: Path, folder: Path, manifest: Mapping[str, Any]) -> Iterator[str]:
    """What a manifest tells of its folder, relative to the build folder."""
    place = folder.relative_to(root).as_posix()
    yield from (f"{place}/{name}" for name in (*manifest["files"], MANIFEST))


def fingerprints(folder: Path, only: Sequence[str] = ("*",)) -> dict[str, dict[str, Any]]:
    """Bytes and sha256 of the files below a folder that fit a pattern; never of the manifest."""
    return {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted({found for pattern in only for found in folder.rglob(pattern)})
        if path.is_file() and path.name != MANIFEST
    }


def damage(
    folder: Path, files: Mapping[str, Mapping[str, Any]], trusted: Mapping[str, int] | None = None
) -> str | None:
    """Says which file of an artifact is missing, cut short or altered; None where all are whole.

    Args:
        folder: of the artifact.
        files: bytes and sha256 of each, from its manifest.
        trusted: times of change, nanoseconds, of files that are not hashed while they have them.
    """
    for name, expected in files.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != expected["bytes"]:
            return f"{name} has {path.stat().st_size} bytes instead of {expected['bytes']}"
        unchanged = path.stat().st_mtime_ns == (trusted or {}).get(name)
        if not unchanged and sha256(path) != expected["sha256"]:
            return f"{name} was altered"
    return None


def read_manifest(folder: Path) -> dict[str, Any]:
    """A stage's manifest; a UserError where it is missing or damaged."""
    try:
        manifest = json.loads(plain_file.read_text(folder / MANIFEST))
        entries = [(f["bytes"], f["sha256"]) for f in manifest["files"].values()]
        whole = all(isinstance(size, int) and isinstance(digest, str) for size, digest in entries)
        whole = whole and all(isinstance(manifest[key], dict) for key in ("facts", "changed_ns"))
        if manifest["format"] != FORMAT or not whole:
            raise ValueError("another format")
        return {**manifest, "key": str(manifest["key"]), "seconds": float(manifest["seconds"])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{folder.name} has no readable {MANIFEST}: build it again") from error


def write_json(path: Path, document: Any) -> None:
    """Writes JSON whole or not at all."""
    whole_file.write(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def present(*artifacts: Artifact | None) -> dict[str, Artifact]:
    """Those artifacts that there are, by name: the inputs of a stage."""
    return {each.name: each for each in artifacts if each is not None}
