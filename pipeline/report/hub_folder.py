# SPDX-License-Identifier: Apache-2.0
"""The folder that can be pushed to the Hugging Face Hub as it is."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from converters import whole_file
from converters.precisions import ONNX_HUB_FILES
from converters.runtimes.checksums import sha256
from pipeline import made, tasks
from pipeline.artifacts import MANIFEST
from pipeline.report import web
from pipeline.report.card import model_card, unfit
from pipeline.report.render import write_reports

HUB, CARD = "hub", "MODEL_CARD.md"
COMPANIONS = ("vocab.txt", "model.json", "golden.json")  # beside the files of each target
# What git must not hold itself; the last two are the parts of a Core ML package.
LARGE = ("*.safetensors", "*.tflite", "*.onnx", "*.mlmodel", "*.bin")


def write_hub_folder(report: Mapping[str, Any], out: Path) -> Path | None:
    """Writes `MODEL_CARD.md` and, if every file passed its gate, the folder for the Hub.

    The folder `hub/` holds the card as README.md, the student as transformers opens it, each
    exported file with what an app needs beside it, and the report.  Those files take no room of
    their own where the file system has hard links: they are those of the build, so copy the folder
    before you change them.  Where the build has .onnx files, each also stands there in the form
    that optimum and transformers.js load, with int64 inputs and the same weights: these are files
    of their own.  The task's page, `index.html`, runs them in a browser.

    The folder is written aside and renamed; an error leaves the old one.  Where a file failed its
    gate, or has none, nobody shall push it: no folder is made, an older one is removed, and the
    card begins with what failed.

    Args:
        report: of the build, as `pipeline.report.schema.Report` describes it.
        out: the build folder, with `student/` or `trimmed/`, and the report's files.

    Returns:
        The folder; None where there is none.

    Raises:
        ValueError: the report is not valid.
        UserError: something of the user's is in the way.
        ConversionError: an .onnx file of the build is damaged.
        OSError: something is missing or cannot be written.
    """
    # Paths in a command are nobody's business but the builder's.
    report = {**report, "command": _portable(report["command"])}
    card, folder = out / CARD, out / HUB
    text = model_card(report, _description(report, out))
    if unfit(report):
        made.discard(folder, out)
    else:
        with made.replacing(folder, out) as aside:
            for path in (out / shipped(report)).iterdir():
                if path.name != MANIFEST:
                    _link(path, aside / path.name)
            for name in _files(report):
                _link(out / name, aside / name)
            _write_for_the_web(report, out, aside)
            attributes = [f"{pattern} filter=lfs diff=lfs merge=lfs -text" for pattern in LARGE]
            whole_file.write(aside / ".gitattributes", "\n".join(attributes) + "\n")
            whole_file.write(aside / "README.md", text)
            write_reports(dict(report), aside)
    made.claim(out, CARD)
    whole_file.write(card, text)
    return folder if folder.is_dir() else None


def shipped(report: Mapping[str, Any]) -> str:
    """The folder of the student that the files are made from, in the build folder."""
    stages = [stage["name"] for stage in report["stages"]]
    return "trimmed" if "trimmed" in stages else "student"


def _write_for_the_web(report: Mapping[str, Any], out: Path, hub: Path) -> None:
    """The .onnx files in the Hub's form, and the page that runs them."""
    files = {}
    for file in report["files"]:
        name = ONNX_HUB_FILES.get(file["precision"])
        if file["target"] == "onnx" and name is not None:
            from converters.onnx.hub_form import write_hub_form

            source = out / file["path"]
            written = write_hub_form(source, hub / "onnx" / name)
            # As old as the file that it is made of: who looks at times sees that nothing changed.
            shutil.copystat(source, written)
            files[file["precision"]] = web.HubFile(name, written.stat().st_size, sha256(written))
    task = tasks.find(report["task"])
    if page := web.page(task, f"{task.title.capitalize()} in the browser", files):
        whole_file.write(hub / web.PAGE, page)


def _files(report: Mapping[str, Any]) -> list[Path]:
    """The exported files and their companions, relative to the build folder."""
    files = [Path(file["path"]) for file in report["files"]]
    folders = dict.fromkeys(path.parent for path in files)
    return [*files, *(folder / name for folder in folders for name in COMPANIONS)]


def _description(report: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """What model.json says beside the first file."""
    path = out / _files(report)[0].with_name("model.json")
    description: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return description


def _portable(command: str) -> str:
    """A command with absolute paths cut to their last part."""
    try:
        words = shlex.split(command)
    except ValueError:  # quotes that do not pair
        words = command.split()
    parts = [word.rpartition("=") if word.startswith("--") else ("", "", word) for word in words]
    return shlex.join(
        flag + equals + (Path(value).name if Path(value).is_absolute() else value)
        for flag, equals, value in parts
    )


def _link(source: Path, target: Path) -> None:
    """A second name for a file; a copy where the file system has no such thing.

    A folder, such as a Core ML package, gets it for every file.
    """
    if source.is_dir():
        for path in source.iterdir():
            _link(path, target / path.name)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)
