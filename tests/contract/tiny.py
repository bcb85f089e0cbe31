# SPDX-License-Identifier: Apache-2.0
"""A build of a few kilobytes for the app's tests: random weights, everything else as shipped.

Beside the files that a build makes it holds one that a build never makes: int8 as the quantizer
writes it, a scale for each row of the tables, and without the operator versions that keep old
runtimes away. TensorFlow Lite 2.16 opens it and reads every row as zeros.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from span_files import write_golden, write_model_json

from converters import sealed
from converters.quiet import quiet
from converters.runtimes.open import open_predictor
from converters.tflite import export as to_tflite
from converters.tflite import file as tflite_file
from converters.tflite.metadata import About, add_metadata
from pipeline.files.export import write_vocabulary
from pipeline.files.targets import format_of
from pipeline.tasks.question_answering.features import Limits
from pipeline.tasks.question_answering.squad import Question

LIMITS = Limits(max_length=96, stride=24, max_query=16, max_answer=8, n_best=10)
POSITIONS = 96
PIECES = 300
LENGTH = 64  # to start with
PRECISIONS = ("int8-per-tensor", "int8")  # the first is the default
STATIC_LENGTHS = (48, 96)
CASES = 4
ABOUT = About("A tiny student", "Random weights, for tests.", "1", "not stated", "Apache-2.0")
MISREAD = "int8-misread"


def write(folder: Path, tokenizer: Any, questions: Sequence[Question]) -> None:
    """Writes the folders `tiny`, for any length, and `tiny-static`, for two, below `folder`.

    Args:
        folder: where.
        tokenizer: a fast BERT tokenizer with the vocabulary of `vocabulary`.
        questions: of the evaluation set.
    """
    model = random_model(len(tokenizer))
    files = to_tflite.export_many(model, folder / "tiny", PRECISIONS, length=LENGTH)
    _describe(tokenizer, questions, files, misread=write_misread(model, folder / "tiny"))
    files = to_tflite.export_many(
        model, folder / "tiny-static", PRECISIONS[:1], static_lengths=STATIC_LENGTHS
    )
    _describe(tokenizer, questions, files, STATIC_LENGTHS)


def vocabulary(words: Sequence[str], tokenizer: Any, questions: Sequence[Question]) -> list[str]:
    """Special pieces, all single ASCII characters, and what occurs most in the passages."""
    special = [tokenizer.pad_token, tokenizer.unk_token, tokenizer.cls_token]
    special += [tokenizer.sep_token, tokenizer.mask_token]
    letters = [w for w in words if len(w.removeprefix("##")) == 1 and w.isascii()]
    counts = Counter(p for q in questions for p in tokenizer.tokenize(f"{q.text} {q.context}"))
    common = sorted(counts, key=lambda piece: (-counts[piece], piece))
    return list(dict.fromkeys([*special, *letters, *common]))[:PIECES]


def random_model(pieces: int) -> Any:
    """A DistilBERT of two layers whose logits differ from place to place about as trained ones."""
    from transformers import DistilBertConfig, DistilBertForQuestionAnswering

    torch.manual_seed(20)
    sizes = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 32}
    config = DistilBertConfig(vocab_size=pieces, max_position_embeddings=POSITIONS, **sizes)
    model = DistilBertForQuestionAnswering(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape), alpha=0.15)
        model.qa_outputs.weight.mul_(2)
    return model


def write_misread(model: Any, folder: Path, length: int = LENGTH) -> Path:
    """Writes the file that old runtimes read wrongly; see the module's text."""
    from ai_edge_quantizer import qtyping, quantizer

    path = folder / f"student-{MISREAD}.tflite"
    with quiet():
        to_tflite.export_tflite(model, path, precision="fp32", length=length)
        worker = quantizer.Quantizer(path.read_bytes())
        for name in ("FULLY_CONNECTED", "EMBEDDING_LOOKUP"):
            rows = qtyping.QuantGranularity.CHANNELWISE
            worker.add_dynamic_config(".*", qtyping.TFLOperationName(name), 8, rows)
        result = worker.quantize(enable_progress_bar=False, enable_progress_report=False)
    parsed = tflite_file.parse(bytes(result.quantized_model), path.name)
    return tflite_file.write(parsed, path)


def _describe(
    tokenizer: Any,
    questions: Sequence[Question],
    files: Mapping[str, Path],
    static_lengths: Sequence[int] = (),
    misread: Path | None = None,
) -> None:
    """Writes vocabulary, `model.json` and golden cases beside the files."""
    folder = next(iter(files.values())).parent
    vocab_file = write_vocabulary(folder, tokenizer)
    for path in files.values():
        add_metadata(path, vocab_file, ABOUT)
    write_model_json(
        vocab_file,
        files,
        tokenizer,
        LIMITS,
        max_positions=POSITIONS,
        static_lengths=static_lengths,
    )
    if misread is not None:
        document = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        facts = {
            "path": misread.name,
            **asdict(format_of(misread).describe(misread)),
            "for": "tests",
        }
        document["files"][MISREAD] = facts
        sealed.write(folder / "model.json", document)
        files = {**files, MISREAD: misread}
    models = {path.name: open_predictor(path) for path in files.values()}
    write_golden(folder, models, tokenizer, LIMITS, questions, CASES)
    golden = folder / "golden.json"  # a third of the size without its line breaks
    sealed.write(golden, json.loads(golden.read_text(encoding="utf-8")), compact=True)
