# SPDX-License-Identifier: Apache-2.0
"""The documents of `tests/contract/hostile.json`, written into a copy of their folder."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

from repository import ROOT

from converters import sealed

CONTRACT = ROOT / "tests" / "contract"
DOCUMENTS: dict[str, dict[str, Any]] = {
    entry["name"]: entry
    for entry in json.loads((CONTRACT / "hostile.json").read_text("utf-8"))["documents"]
}


def folder_with(entry: dict[str, Any], target: Path) -> Path:
    """A copy of the folder `base` with one hostile document."""
    folder = Path(shutil.copytree(CONTRACT / entry["base"], target))
    path = folder / entry["file"]
    if "text" in entry:
        path.write_text(entry["text"], encoding="utf-8")
        return folder
    document = json.loads(path.read_text(encoding="utf-8"))
    *way, last = entry["path"]
    place: Any = document
    for step in way:
        place = place[step]
    if entry.get("removed"):
        del place[last]
    else:
        place[last] = entry["value"]
    if last != sealed.KEY:
        with contextlib.suppress(ValueError):  # half a surrogate pair has no digest
            document = sealed.seal(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    return folder
