# SPDX-License-Identifier: Apache-2.0
"""Files that a phone is given, and what the command says of it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as tflite

from converters.tflite import file as tflite_file

ELF = b"\x7fELF" + bytes(14) + struct.pack("<H", 183) + b"arm64 program" * 1000

# Exit code, document if one was written, everything printed.
Main = Callable[..., tuple[int, Any, str]]


def tiny_file(path: Path, lengths: tuple[int, ...] = (), seed: int = 0) -> Path:
    """A .tflite file with this project's inputs, in another order, and tables; runs nowhere."""
    words = np.random.default_rng(seed).normal(size=(120, 4)).astype(np.float32)
    tables = {"word_embeddings": words, "position_embeddings": np.ones((300, 4), np.float32)}
    model = tflite.ModelT()
    model.version, model.operatorCodes = 3, []
    model.buffers = [tflite.BufferT() for _ in range(3)]
    model.subgraphs, model.signatureDefs = [], []
    for buffer, array in zip(model.buffers[1:], tables.values(), strict=True):
        buffer.data = np.frombuffer(array.tobytes(), np.uint8)
    for index, length in enumerate(lengths or (0,)):
        graph, signature = tflite.SubGraphT(), tflite.SignatureDefT()
        graph.tensors, graph.operators, graph.outputs = [], [], []
        for name in ("mask", "ids", "segment_ids"):
            tensor = tflite.TensorT()
            tensor.name, tensor.type, tensor.buffer = name.encode(), tflite.TensorType.INT32, 0
            tensor.shape, tensor.shapeSignature = [1, length or 384], [1, length or -1]
            graph.tensors.append(tensor)
        for buffer, (name, array) in enumerate(tables.items(), 1):
            tensor = tflite.TensorT()
            tensor.name, tensor.shape, tensor.buffer = name.encode(), list(array.shape), buffer
            tensor.type = tflite.TensorType.FLOAT32
            graph.tensors.append(tensor)
        graph.inputs = [0, 1, 2]
        signature.signatureKey = f"length_{length}".encode() if length else b"answer"
        signature.subgraphIndex, signature.inputs, signature.outputs = index, [], []
        model.subgraphs.append(graph)
        model.signatureDefs.append(signature)
    return tflite_file.write(model, path)


def failure(printed: str) -> str:
    """The one line of an error."""
    lines = [line for line in printed.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, printed
    return lines[0]
