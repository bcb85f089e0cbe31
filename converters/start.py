# SPDX-License-Identifier: Apache-2.0
"""Starts a module of the project in a process of its own, whatever lies in the current folder."""

from __future__ import annotations

import sys
from pathlib import Path

import converters

# Python puts the current folder first on the path of `-m`, where a folder `converters` of the
# user's would be taken for ours; -P leaves it out, and ours comes last, behind installed packages.
_PROGRAM = (
    "import runpy, sys; root, name = sys.argv[1:3]; del sys.argv[1:3]; sys.path.append(root); "
    "runpy.run_module(name, run_name='__main__', alter_sys=True)"
)


def module_command(name: str) -> list[str]:
    """The beginning of a command that runs a module as `python -m` does; arguments follow it."""
    root = Path(converters.__file__).resolve().parents[1]
    return [sys.executable, "-P", "-c", _PROGRAM, str(root), name]
