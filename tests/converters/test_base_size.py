# SPDX-License-Identifier: Apache-2.0
"""Every file at DistilBERT-base size: conversion within two minutes and 6 GB, no byte too many."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from converters.precisions import PRECISIONS

# In a process of its own, whose memory is the conversion's: the model, the libraries, the work.
CONVERT = """
import json, resource, sys, time
from pathlib import Path
import torch
from transformers import DistilBertConfig, DistilBertForQuestionAnswering
target, out, precisions, lengths = sys.argv[1], Path(sys.argv[2]), sys.argv[3].split(), sys.argv[4:]
torch.manual_seed(0)
model = DistilBertForQuestionAnswering(DistilBertConfig()).eval().requires_grad_(False)
for vector in model.parameters():
    if vector.dim() == 1:
        vector.normal_()  # equal ones would be stored once
began = time.monotonic()
lengths = [int(each) for each in lengths]
if target == "tflite":
    from converters.tflite.export import export_many
    from converters.tflite.mixed import group_names
    int4 = group_names(6)
    files = export_many(model, out, precisions, static_lengths=lengths or None, int4=int4)
elif target == "coreml":
    from converters.coreml.export import export_many
    form = {"form": "functions", "lengths": lengths} if lengths else {}
    files = export_many(model, out, precisions, **form)
else:
    from converters.onnx.export import export_many
    files = export_many(model, out, precisions)
def size(path):
    return sum(f.stat().st_size for f in [path, *path.rglob("*")] if f.is_file())
unit = 1 if sys.platform == "darwin" else 1024
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
print(json.dumps({
    "seconds": time.monotonic() - began,
    "peak": peak,
    "bytes": {name: size(path) for name, path in files.items()},
}))
"""

LAYERS = 6 * (4 * 768 * 768 + 2 * 768 * 3072)  # weights of the linear layers
CHANNELS = 6 * (5 * 768 + 3072)  # their outputs
TABLES = (30522 + 512) * 768
VECTORS = CHANNELS + 13 * 2 * 768 + 2 * 768 + 2  # biases, norms, answer head


def needed(target: str, precision: str) -> float:
    """Bytes of the weights alone, with the scales that their precision has."""
    halves = 2 if target == "coreml" or precision == "fp16" else 4  # what vectors are stored in
    if precision in ("fp32", "fp16"):
        width = 4 if precision == "fp32" else 2
        return (LAYERS + TABLES) * width + VECTORS * (4 if precision == "fp32" else halves)
    if precision.startswith("int8"):
        rows = 30522 + 512 if target == "coreml" else 0
        return LAYERS + TABLES + VECTORS * halves + (CHANNELS + rows) * halves
    if precision == "palette6":
        return (LAYERS + TABLES) * 6 / 8 + VECTORS * 2
    everything = target == "coreml" or precision == "mixed"  # all groups of weights in int4
    blocks = LAYERS / 32 + (TABLES / 32 if everything else 0)
    tables = TABLES / 2 if everything else TABLES  # one scale a table takes 8 bits
    return LAYERS / 2 + tables + blocks * 2 + VECTORS * halves


@pytest.mark.long
@pytest.mark.parametrize("lengths", [(), (64, 128, 256, 384)], ids=["any", "four lengths"])
@pytest.mark.parametrize("target", PRECISIONS)
def test_conversion_is_quick_and_files_are_their_weights(
    target: str, lengths: tuple[int, ...], tmp_path: Path
) -> None:
    if target == "onnx" and lengths:
        pytest.skip("an .onnx file takes every length")
    # One precision at a time is what is promised; all of them in one process must hold it too.
    asked = [target, str(tmp_path), " ".join(PRECISIONS[target]), *map(str, lengths)]
    found = json.loads(
        subprocess.run(
            [sys.executable, "-c", CONVERT, *asked], check=True, capture_output=True, text=True
        ).stdout.splitlines()[-1]
    )
    print(target, lengths, found)
    assert found["seconds"] < 120 * len(PRECISIONS[target])
    assert found["peak"] < 6e9
    ratios = {name: size / needed(target, name) for name, size in found["bytes"].items()}
    print({name: round(ratio, 4) for name, ratio in ratios.items()})
    assert all(ratio <= (1.04 if lengths else 1.02) for ratio in ratios.values()), ratios
