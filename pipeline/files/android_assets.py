# SPDX-License-Identifier: Apache-2.0
"""Fills a folder of an Android app's assets: .tflite files of a build and all that goes with them.

`vocab.txt`, and `model.json` and `golden.json` as they lie beside the files but about these files
alone, each with its new digest; and what the task adds, such as the questions of a benchmark on the
device.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from converters import sealed, whole_file
from pipeline import made
from pipeline.artifacts import fingerprints
from pipeline.errors import UserError


def check(folder: Path, out: Path) -> None:
    """Refuses a folder whose content could not be replaced without loss.

    Args:
        folder: what `--android-assets` names; need not be there.
        out: the build folder.

    Raises:
        UserError: it is a file, holds something that no build put there or that was changed since,
            or is in or around `out`.
    """
    named, folder, out = folder, folder.resolve(), out.resolve()
    if out == folder or out in folder.parents or folder in out.parents:
        raise UserError(
            f"--android-assets {named} and the build folder {out.name} lie in one another: name a "
            "folder of the app, such as app/src/main/assets/model"
        )
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--android-assets {named} is a file: name a folder")
    for place in (folder, *made.beside(folder)):  # a killed build leaves the others
        if other := made.foreign(place):
            where = named if place == folder else place
            raise UserError(
                f"--android-assets {where} holds {other.relative_to(place)}, which no build put "
                "there, or not like that, and everything in it is replaced: empty it, or name a "
                "folder of its own, such as app/src/main/assets/model"
            )


def write(folder: Path, out: Path, precisions: Sequence[str], more: Mapping[str, Any]) -> list[str]:
    """Writes the folder whole or not at all; what an earlier build put there is replaced.

    Args:
        folder: what `--android-assets` names; made if it is not there.
        out: the build folder; its `tflite/` holds a file of each precision.
        precisions: of the files to take, the app's default first.
        more: further documents of the task by file name.

    Returns:
        The names of the files in it.

    Raises:
        UserError: see `check`; or the file system refuses.
    """
    check(folder, out)
    source, target = out / "tflite", folder.resolve()  # a link is followed, not replaced
    model = json.loads((source / "model.json").read_text(encoding="utf-8"))
    golden = json.loads((source / "golden.json").read_text(encoding="utf-8"))
    files = {precision: model["files"][precision] for precision in precisions}
    names = [entry["path"] for entry in files.values()]
    model |= {"default": names[0], "files": files}
    for case in golden["cases"]:
        case["answers"] = {name: case["answers"][name] for name in names}
    try:
        aside, old = made.beside(target)
        made.remove(aside, aside)
        made.remove(old, old)
        aside.mkdir(parents=True)
        try:
            made.write(aside, {made.ANY: None})
            for name in ("vocab.txt", *names):
                shutil.copyfile(source / name, aside / name)
            sealed.write(aside / "model.json", model)
            sealed.write(aside / "golden.json", golden, compact=True)
            for name, document in more.items():
                _write_compact(aside / name, document)
            digests = {name: file["sha256"] for name, file in fingerprints(aside).items()}
            del digests[made.MADE]
            made.write(aside, digests)
            made.sync(aside)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        if os.path.lexists(target):
            target.rename(old)
        aside.rename(target)
        made.remove(old, old)
    except OSError as error:
        raise UserError(
            f"cannot write --android-assets {folder} ({error.strerror}): choose another folder"
        ) from error
    return sorted(digests)


def _write_compact(path: Path, document: Any) -> None:
    """Without line breaks: a phone reads it at every start."""
    whole_file.write(path, json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")
