# SPDX-License-Identifier: Apache-2.0
"""Where a build writes, and that nothing of the user's is in the way: checked before any work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from converters.precisions import PRECISIONS
from pipeline.artifacts import INNER, SCRATCH, refuse_foreign
from pipeline.config import Build
from pipeline.data.sources import EMBEDDED, NONE
from pipeline.errors import UserError
from pipeline.files import android_assets
from pipeline.settings import STAGES

APART = ("teacher", "student", "trimmed", *PRECISIONS)  # the stages whose folders users take away


def check(build: Build) -> None:
    """Refuses places where a build would meet files of the user's.

    Raises:
        UserError: a folder has no name, an input lies in the build folder, or something that no
            build made is where one writes, there or in the folder of `--android-assets`.
    """
    from pipeline.report.hub_folder import CARD, HUB
    from pipeline.report.render import REPORTS

    for flag, named in (("--out", build.out), ("--android-assets", build.android_assets)):
        if named == Path():  # what an empty text becomes, as of a variable that is not set
            raise UserError(f"{flag} is empty, or the current folder: name a folder")
    out = build.folder
    for flag, source in _inputs(build):
        if source in (EMBEDDED, NONE):
            continue
        inner = Path(os.path.expanduser(source)).resolve()  # noqa: PTH111 - never raises
        if inner.exists() and inner.is_relative_to(out.resolve()):
            raise UserError(
                f"{flag} {source} lies in the build folder {out}, whose content is replaced: move "
                "it, or choose another folder with --out"
            )
    made_of = {name for name in STAGES if name not in PRECISIONS or name in build.export.files}
    folders = {name: out / name if name in APART else out / INNER / name for name in made_of}
    files = [out / name for name in (*REPORTS, CARD)]
    files += [path for path in (out / INNER, out / SCRATCH) if not path.is_dir()]
    refuse_foreign(out, {**folders, HUB: out / HUB}, files)
    if build.android_assets:
        android_assets.check(build.android_assets, out)


def _inputs(build: Build) -> Iterator[tuple[str, str]]:
    """What may be a file or a folder that is read, each with the setting that names it."""
    if build.config:
        yield "--config", str(build.config)
    yield "--teacher", build.teacher.model
    if build.student.model:
        yield "--student", build.student.model
    yield "--train-file", build.data.train_file
    yield "--eval-file", build.data.eval_file
    yield from (("--distil.text", text) for text in build.distil.text)
