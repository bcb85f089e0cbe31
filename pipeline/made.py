# SPDX-License-Identifier: Apache-2.0
"""What a build made in a folder, and may therefore replace or remove: nothing else, ever.

`.made.json` lists it by relative path.  A path is listed before the thing itself appears there, so
that a build that is killed finds its own again; a path where nothing is any more is forgotten with
the next entry.  Whatever is not listed is the user's: no function here removes or replaces it, and
`refuse` says so before any work is done.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from converters import plain_file, whole_file
from converters.runtimes.checksums import sha256
from pipeline.errors import UserError

MADE = ".made.json"
FORMAT = 1
ANY = "*"  # at the end of an entry: everything whose path begins like that
NAMED = 5  # paths in a message; there may be thousands

# Of each path its sha256, if nobody may have changed it since; None: whatever it holds is ours.
Entries = Mapping[str, str | None]


def listed(root: Path) -> dict[str, str | None]:
    """What was made in a folder; empty without a list.

    Raises:
        UserError: something else lies where the list belongs.
    """
    path = root / MADE
    if not os.path.lexists(path):
        return {}
    try:
        document = json.loads(plain_file.read_text(path))
        entries = dict(document["made"])
        known = all(
            isinstance(name, str) and (digest is None or isinstance(digest, str))
            for name, digest in entries.items()
        )
        if document["format"] != FORMAT or not known or path.is_symlink():
            raise ValueError("another format")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{path} is not the list that a build keeps there: move it away, or choose another "
            "folder"
        ) from error
    return entries


def add(root: Path, *names: str) -> None:
    """Lists paths that are about to be made, and forgets those where nothing is any more."""
    before = listed(root)
    after = {name: digest for name, digest in before.items() if _there(root, name)}
    after |= dict.fromkeys(names)
    if after != before:
        write(root, after)


def write(root: Path, entries: Entries) -> None:
    """Replaces the list, in a folder that is made if need be."""
    root.mkdir(parents=True, exist_ok=True)
    document = {"format": FORMAT, "made": dict(sorted(entries.items()))}
    whole_file.write(root / MADE, json.dumps(document, indent=1) + "\n")


def foreign(folder: Path) -> Path | None:
    """The first thing in a folder that its own list does not have; see `refuse`."""
    entries = listed(folder)
    return next((found for found in _contents(folder) if not _made(folder, found, entries)), None)


def refuse(root: Path, paths: Iterable[Path], also: Collection[str] = ()) -> None:
    """Refuses to go on where something that no build made would have to go.

    Folders alone do not count.  A symbolic link is never a build's, and is not followed.

    Args:
        root: the folder with the list.
        paths: in or below it; need not be there.
        also: what is known to be made though the list does not have it.

    Raises:
        UserError: with the first such thing of each path; with the path too if all of it is such.
    """
    entries, found = listed(root) | dict.fromkeys(also), []
    for path in paths:
        inside = _contents(path)
        others = [one for one in inside if not _made(root, one, entries)]
        if others and others == inside != [path]:
            found.append(f"{path} with {others[0].relative_to(path)}")
        elif others:
            found.append(str(others[0]))
    if found:
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        raise UserError(
            f"{', '.join(found[:NAMED])}{more}: not made by a build in {root}, which would write "
            "in that place: move it away, or choose another folder with --out"
        )


def claim(root: Path, *names: str) -> None:
    """Lists files that are about to be written or replaced; a UserError if one is the user's."""
    refuse(root, [root / name for name in names])
    add(root, *names)


def remove(root: Path, path: Path) -> None:
    """Removes what is listed at or below `path`, and folders that are empty then."""
    entries = listed(root)
    for found in reversed(_contents(path)):  # the list itself comes last
        if _made(root, found, entries):
            found.unlink()
    for folder, _, _ in os.walk(path, topdown=False):
        if not Path(folder).is_symlink():
            with contextlib.suppress(OSError):  # not empty
                Path(folder).rmdir()


@contextlib.contextmanager
def replacing(target: Path, root: Path) -> Iterator[Path]:
    """Gives an empty folder to fill, which takes the place of `target` if nothing is raised.

    Args:
        target: what is listed in it goes.
        root: the build folder, whose list is kept.

    Raises:
        UserError: something in the way is the user's.
    """
    aside, old = beside(target)
    _clear(root, aside)
    add(root, f"{_name(root, aside)}/{ANY}")
    aside.mkdir(parents=True)
    try:
        yield aside
        sync(aside)
        _clear(root, old)
        refuse(root, [target])
        files = [_name(root, target / path.relative_to(aside)) for path in _contents(aside)]
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    _put_away(root, target, files)
    aside.rename(target)
    remove(root, old)
    add(root)


def discard(target: Path, root: Path) -> None:
    """Removes a folder that may not be there; at no moment is half of it there.

    Raises:
        UserError: something in it is the user's.
    """
    _clear(root, beside(target)[1])
    refuse(root, [target])
    _put_away(root, target, [])
    remove(root, beside(target)[1])
    add(root)


def beside(target: Path) -> tuple[Path, Path]:
    """Where the folder that replaces another is filled, and where the other one goes."""
    return target.with_name(f".{target.name}.partial"), target.with_name(f".{target.name}.old")


def sync(folder: Path) -> None:
    """Flushes a folder's files to the disk, so that a renamed folder is whole after a power cut."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _put_away(root: Path, target: Path, files: Iterable[str]) -> None:
    """Renames a folder, if it is there; lists what is in it there too, and what takes its place."""
    old, place = beside(target)[1], _name(root, target)
    inside = [name for name in listed(root) if name.startswith(f"{place}/")]
    add(root, *files, *(_name(root, old) + name.removeprefix(place) for name in inside))
    if os.path.lexists(target):
        target.rename(old)


def _clear(root: Path, path: Path) -> None:
    """Removes what a killed build left; a UserError if something in it is the user's."""
    remove(root, path)
    refuse(root, [path])


def _contents(path: Path) -> list[Path]:
    """All that is at or below a path, but for folders; links are not followed."""
    if path.is_symlink() or not path.is_dir():
        return [path] if os.path.lexists(path) else []
    return [found for child in sorted(path.iterdir()) for found in _contents(child)]


def _made(root: Path, path: Path, entries: Entries) -> bool:
    """Whether entries name a path, which is no folder."""
    if path.is_symlink():
        return False
    name = _name(root, path)
    if (digest := entries.get(name)) is not None:
        return sha256(path) == digest
    return (
        name in (MADE, *entries)
        or name.startswith(f".{MADE}.")  # a list that was being written when the build was killed
        or any(entry.endswith(ANY) and name.startswith(entry[: -len(ANY)]) for entry in entries)
    )


def _there(root: Path, entry: str) -> bool:
    """Whether anything is where an entry points to."""
    return os.path.lexists((root / entry).parent if entry.endswith(ANY) else root / entry)


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()
