# SPDX-License-Identifier: Apache-2.0
"""The largest logit error of the files of a build, for every table that has their times."""

from __future__ import annotations

from benchmarks.page.errors import error_cell
from benchmarks.page.layout import DASH
from pipeline.report.schema import File, Report


def largest_error(file: File, digits: int = 3) -> str:
    """The largest difference of a logit from the PyTorch model's, with so many digits."""
    checks = file["gate"]["checks"] if file["gate"] else []
    values = [check["value"] for check in checks if check["name"] == "max_logit_error"]
    return f"{values[0]:.{digits}g}" if values and values[0] is not None else DASH


def logit_error(report: Report, subject: str) -> str:
    """The largest logit error of a latency subject: that of its gate, else its own."""
    for file in report["files"]:
        if file["name"] == subject and (found := largest_error(file)) != DASH:
            return found
    latency = report["latency"]
    timed = latency["subjects"].get(subject) if latency else None
    return error_cell(timed["logit_error"] if timed else None)
