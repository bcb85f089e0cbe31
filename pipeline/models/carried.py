# SPDX-License-Identifier: Apache-2.0
"""The adapter that the package carries for the embedded encoder.

It is data alone: safetensors and JSON.  `python -m pipeline.adapter` makes it.
"""

from __future__ import annotations

import json
from pathlib import Path

from converters import plain_file
from converters.runtimes.checksums import sha256
from pipeline.data.sources import NONE
from pipeline.errors import UserError
from pipeline.models import adapters

CARRIED = "carried"  # the setting that stands for it
FOLDER = Path(__file__).parent / CARRIED
SUMS = "SHA256SUMS"
DATA = "data.json"  # what an adapter was trained on; `pipeline.adapter` writes it


def find(adapter: str) -> Path | None:
    """The folder of the adapter that a setting names, its checksums compared.

    Args:
        adapter: `carried`, `none`, or a folder.

    Returns:
        None for `none`, and for `carried` where the package carries none.

    Raises:
        UserError: there is no adapter in the folder, or a file is not what the checksums state.
    """
    if adapter == NONE or (adapter == CARRIED and not adapters.is_adapter(FOLDER)):
        return None
    folder = FOLDER if adapter == CARRIED else plain_file.expanded(adapter)
    if not adapters.is_adapter(folder):
        raise UserError(
            f"--teacher.adapter {adapter}: no {adapters.CONFIG} there; name the folder of an "
            f"adapter, `{CARRIED}`, or `{NONE}`"
        )
    _check(folder)
    return folder


def learned_from(folder: Path) -> str:
    """What an adapter was trained on, each with its license, for a sentence; "" if it is not said.

    Args:
        folder: of an adapter of `pipeline.adapter`.
    """
    if not (folder / DATA).is_file():
        return ""
    document = json.loads((folder / DATA).read_text(encoding="utf-8"))
    parts = [f"{one['count']:,} questions from {one['source']}" for one in document["questions"]]
    if text := document["text"]:
        parts.append(f"masked words of {text['source']}")
    return "; ".join(parts)


def _check(folder: Path) -> None:
    """Compares each file with the checksum beside it; one of the package has to have one.

    Raises:
        UserError: a file is missing, or has another content.
    """
    place = folder / SUMS
    try:
        lines = plain_file.read_text(place).splitlines()
    except (OSError, ValueError) as error:
        if folder != FOLDER:
            return  # one of the user's own, from another tool
        raise UserError(f"no readable {SUMS} beside the carried adapter: install again") from error
    stated = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    needed = {
        adapters.CONFIG,
        adapters.WEIGHTS,
        *(path.name for path in folder.glob("*.safetensors")),
    }
    for name in sorted(needed | stated.keys()):
        path = folder / name
        if not path.is_file() or sha256(path) != stated.get(name):
            raise UserError(
                f"{name} of the adapter {folder.name} is not what {SUMS} beside it states: copy "
                "the whole folder again"
            )
