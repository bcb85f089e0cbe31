# SPDX-License-Identifier: Apache-2.0
"""Tiny random models, their exported files (made once a run) and windows to feed them."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.models.bert import BertConfig, BertForQuestionAnswering
from transformers.models.distilbert import DistilBertConfig, DistilBertForQuestionAnswering

from converters.onnx import export as to_onnx
from converters.precisions import ONNX, TFLITE
from converters.tflite.export import export_many

VOCABULARY = 120
POSITIONS = 512
KINDS = ("distilbert", "bert")
# What the precision "mixed" stores in int4 here.
INT4 = ("words", "layer 0 feed-forward")

Window = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]

# These models are so small that a second thread only waits, for seconds on a busy machine.
torch.set_num_threads(1)

_folder = tempfile.TemporaryDirectory(prefix="tiny-exports-")


def tiny_model(kind: str, seed: int = 0, **overrides: Any) -> Any:
    """A 2-layer DistilBERT or 3-layer BERT, dimension 32, whose logits vary (about 0.7)."""
    torch.manual_seed(seed)
    model: Any
    if kind == "bert":
        sizes = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64}
        shape = {"vocab_size": VOCABULARY, "num_hidden_layers": 3, **sizes, **overrides}
        model = BertForQuestionAnswering(BertConfig(**shape))
    else:
        sizes = {"dim": 32, "n_heads": 4, "hidden_dim": 64}
        shape = {"vocab_size": VOCABULARY, "n_layers": 2, **sizes, **overrides}
        model = DistilBertForQuestionAnswering(DistilBertConfig(**shape))
    with torch.no_grad():
        for weight in model.parameters():  # biases and norms too: nothing stays 0 or 1
            weight.add_(torch.randn(weight.shape), alpha=0.15)
    return model.eval()


@cache
def exported(kind: str) -> dict[str, Path]:
    """The tiny model of seed 0 in every precision."""
    return export_many(tiny_model(kind), Path(_folder.name) / kind, TFLITE, int4=INT4)


@cache
def exported_onnx(kind: str) -> dict[str, Path]:
    """The same as .onnx files."""
    model, folder = tiny_model(kind), Path(_folder.name) / f"{kind}-onnx"
    return to_onnx.export_many(model, folder, ONNX)


def window(length: int, padding: int = 0, seed: int = 0) -> Window:
    """Random ids, mask and segment ids, int32 (1, length), the last `padding` of them masked."""
    ids = np.random.default_rng(seed).integers(0, VOCABULARY, (1, length), np.int32)
    places = np.arange(length, dtype=np.int32)[None]
    mask = (places < length - padding).astype(np.int32)
    segment_ids = (places >= length // 3).astype(np.int32) * mask
    return ids, mask, segment_ids


def batch(rows: int, length: int) -> Window:
    """Windows below each other, int32 (rows, length): row i is seeded by i and ends in padding."""
    windows = [window(length, i * length // (2 * rows), seed=i) for i in range(rows)]
    ids, mask, segment_ids = (np.concatenate(arrays) for arrays in zip(*windows, strict=True))
    return ids, mask, segment_ids


def hugging_face_logits(model: Any, inputs: Window) -> NDArray[np.float32]:
    """Start and end logits of transformers' own forward, the reference, float32 (2, S).

    For a batch (2B, S): the start logits of all rows, then the end logits.
    """
    ids, mask, segment_ids = (torch.as_tensor(array, dtype=torch.int64) for array in inputs)
    arguments = {"input_ids": ids, "attention_mask": mask}
    if model.config.model_type == "bert":
        arguments["token_type_ids"] = segment_ids
    with torch.no_grad():
        output = model(**arguments)
    return np.concatenate([output.start_logits.numpy(), output.end_logits.numpy()])
