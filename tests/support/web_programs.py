# SPDX-License-Identifier: Apache-2.0
"""Programs in Node and in other environments that open a hub folder, for tests."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from repository import ROOT

WEB = ROOT / "tests" / "web"
QUESTIONS = 24
TIMEOUT_S = 600


def run_json(command: list[str], folder: Path, cases: Any) -> Any:
    """What a program says, as JSON, of cases that it reads from a file: its last argument."""
    path = folder / "cases.json"
    path.write_text(json.dumps(cases), encoding="utf-8")
    done = subprocess.run(
        [*command, str(path)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])
