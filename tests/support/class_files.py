# SPDX-License-Identifier: Apache-2.0
"""A tiny random classifier of texts and its exported files, as a build writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline import settings
from pipeline.config import Target
from pipeline.shipping import export
from pipeline.tasks.text_classification import TASK
from pipeline.tasks.text_classification.data import TextSet, load_texts
from pipeline.tasks.text_classification.settings import TextData

LABELS = ("account", "delivery", "payment", "praise", "product", "returns")


def write_student(folder: Path, tokenizer: Any, kind: str = "distilbert") -> Path:
    """Writes a Hugging Face folder of a 2-layer DistilBERT or BERT whose logits vary.

    Its layers are so wide that the head, which stays float32, is a small part of an int8 file.
    """
    import torch
    from transformers.models.bert import BertConfig, BertForSequenceClassification
    from transformers.models.distilbert import (
        DistilBertConfig,
        DistilBertForSequenceClassification,
    )

    shared: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "id2label": dict(enumerate(LABELS)),
        "label2id": {label: place for place, label in enumerate(LABELS)},
    }
    model: Any
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind == "bert":
            sizes = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 1024}
            model = BertForSequenceClassification(
                BertConfig(num_hidden_layers=2, **sizes, **shared)
            )
        else:
            model = DistilBertForSequenceClassification(
                DistilBertConfig(n_layers=2, dim=32, n_heads=4, hidden_dim=1024, **shared)
            )
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(torch.randn(weight.shape), alpha=0.15)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_files(
    out: Path,
    tokenizer: Any,
    target: Target,
    precisions: Sequence[str],
    kind: str = "distilbert",
    max_length: int = 128,
) -> list[Path]:
    """Exports such a student into a build folder; returns the files in the order of `precisions`.

    By our rules, texts are cut to `max_length` word pieces.
    """
    student = write_student(out / "student", tokenizer, kind)
    arguments = ["--target", target, "--max-length", str(max_length), "--precision", *precisions]
    build = settings.parse(["--preset", "embedded-classification", *arguments], "")
    folder = out / target
    folder.mkdir()
    texts = dev_texts()
    export(
        folder,
        folder,
        build=build,
        target=target,
        task=TASK,
        student=student,
        evaluation=texts,
        traits=TASK.traits(texts),
    )
    suffix = {"tflite": ".tflite", "onnx": ".onnx"}[target]
    return [folder / f"student-{precision}{suffix}" for precision in precisions]


def dev_texts(count: int | None = None) -> TextSet:
    """The embedded evaluation texts, or as many of them, evenly drawn."""
    texts = load_texts(TextData(), "dev")
    return texts if count is None else texts.spread(count)
