# SPDX-License-Identifier: Apache-2.0
"""What Kotlin reads of text classifiers: inputs of texts and pairs, predictions, and tiny builds.

`tiny-classes` sorts a text into three classes and takes any length; it also holds the file that old
runtimes misread (`tiny.write_misread`). `tiny-number` predicts a number for a pair of texts and
takes two lengths.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from converters import sealed
from converters.runtimes.open import open_predictor
from converters.tflite import export as to_tflite
from converters.tflite.metadata import add_metadata
from pipeline.files import export
from pipeline.files.targets import format_of
from pipeline.tasks.question_answering.squad import Question
from pipeline.tasks.text_classification import TASK
from pipeline.tasks.text_classification.data import Text, TextSet
from pipeline.tasks.text_classification.evaluate import probabilities
from pipeline.tasks.text_classification.features import encode, kept
from pipeline.tasks.text_classification.settings import TextData

from . import tiny

LABELS = ("negative", "neutral", "positive")
CLASSES_TRAITS = {"labels": LABELS, "regression": False, "pair": False}
NUMBER_TRAITS = {"labels": (), "regression": True, "pair": True, "range": 5.0}
MAX_LENGTH = 48
STATIC_LENGTHS = (24, 48)
CASES = 8
INPUTS = 700
SPREAD = 2.0  # the standard deviation of each logit over the texts
LENGTHS = (16, 17, 24, 31, 64, 128)


def classes_document(tokenizer: Any, texts: Sequence[str], seed: int) -> dict[str, Any]:
    """Random texts and pairs with their inputs, and logits with what is read out of them.

    Args:
        tokenizer: a fast BERT tokenizer.
        texts: to draw from.
        seed: of the random numbers.
    """
    generator = random.Random(seed)
    inputs = []
    for number in range(INPUTS):
        text, other = generator.choice(texts), generator.choice(texts)
        if number % 7 == 0:
            other = text  # two of the same length
        pair = None if number % 3 == 0 else other
        length = generator.choice(LENGTHS)
        feature = encode(tokenizer, text, pair, length)
        inputs.append(
            {
                "text": text,
                "pair": pair,
                "max_length": length,
                "ids": feature.ids.tolist(),
                "segment_ids": feature.segment_ids.tolist(),
            }
        )
    # Pieces of the first text, of the second, and the room for both.
    sizes = [tuple(generator.randrange(most) for most in (60, 60, 70)) for _ in inputs]
    return {
        "inputs": inputs,
        "kept": [{"pieces": list(size), "kept": list(kept(*size))} for size in sizes],
        "readings": [_reading(generator) for _ in range(300)],
    }


def _reading(generator: random.Random) -> dict[str, Any]:
    """Logits, some of them equal or far apart, with the probabilities and the best class."""
    count, scale = generator.randrange(1, 8), generator.choice((0.5, 4, 200))
    coarse = generator.random() < 0.3
    values = [generator.gauss(0, scale) for _ in range(count)]
    logits = np.asarray([round(value, 0 if coarse else 4) for value in values], np.float32)
    shares = probabilities(logits)
    return {
        "logits": logits.tolist(),
        "probabilities": shares.tolist(),
        "best": int(np.argmax(shares)),
    }


def write(folder: Path, tokenizer: Any, questions: Sequence[Question]) -> None:
    """Writes the folders `tiny-classes` and `tiny-number` below `folder`; arguments as `tiny`'s."""
    asked = [question.text for question in questions]
    texts = [Text(text, None, LABELS[0]) for text in asked[:CASES]]
    out = folder / "tiny-classes"
    model = random_model(tokenizer, texts, len(LABELS))
    files = to_tflite.export_many(model, out, tiny.PRECISIONS[:1], length=MAX_LENGTH)
    misread = tiny.write_misread(model, out, MAX_LENGTH)
    _describe(tokenizer, texts, files, CLASSES_TRAITS, misread=misread)
    pairs = zip(asked[:CASES], asked[CASES : 2 * CASES], strict=True)
    texts = [Text(text, pair, "2.5") for text, pair in pairs]
    model = random_model(tokenizer, texts, 1)
    files = to_tflite.export_many(
        model, folder / "tiny-number", tiny.PRECISIONS[:1], static_lengths=STATIC_LENGTHS
    )
    _describe(tokenizer, texts, files, NUMBER_TRAITS, STATIC_LENGTHS)


def random_model(tokenizer: Any, texts: Sequence[Text], outputs: int) -> Any:
    """A DistilBERT of one layer whose logits differ from text to text about as trained ones."""
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    torch.manual_seed(20)
    sizes = {"dim": 32, "n_layers": 1, "n_heads": 4, "hidden_dim": 32, "num_labels": outputs}
    config = DistilBertConfig(
        vocab_size=len(tokenizer), max_position_embeddings=MAX_LENGTH, **sizes
    )
    model = DistilBertForSequenceClassification(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape), alpha=0.15)
        attention = model.distilbert.transformer.layer[0].attention
        for layer in (attention.q_lin, attention.k_lin, attention.v_lin):
            layer.weight.mul_(3)  # or every text would have the mean of its words
        inputs = [encode(tokenizer, one.text, one.pair, MAX_LENGTH).ids for one in texts]
        ids = [torch.from_numpy(each).long()[None] for each in inputs]  # [S] -> [1, S]
        logits = torch.cat([model(input_ids=each).logits for each in ids])  # [N, C]
        scale = SPREAD / logits.std(0)
        model.classifier.weight.mul_(scale[:, None])
        model.classifier.bias.sub_(logits.mean(0)).mul_(scale)
    return model


def _describe(
    tokenizer: Any,
    texts: Sequence[Text],
    files: Mapping[str, Path],
    traits: Mapping[str, Any],
    static_lengths: Sequence[int] = (),
    misread: Path | None = None,
) -> None:
    """Writes vocabulary, `model.json` and golden cases beside the files."""
    folder = next(iter(files.values())).parent
    vocab_file = export.write_vocabulary(folder, tokenizer)
    for path in files.values():
        add_metadata(path, vocab_file, tiny.ABOUT)
    data = TextData(max_length=MAX_LENGTH)
    export.write_model_json(
        vocab_file,
        files,
        tokenizer,
        TASK.head.interface,
        {"task": TASK.label, **TASK.describe(data, traits)},
        length=MAX_LENGTH,
        max_positions=MAX_LENGTH,
        classes=TASK.labels(traits),
        static_lengths=static_lengths,
    )
    if misread is not None:
        document = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        facts = asdict(format_of(misread).describe(misread))
        document["files"][tiny.MISREAD] = {"path": misread.name, **facts, "for": "tests"}
        sealed.write(folder / "model.json", document)
        files = {**files, tiny.MISREAD: misread}
    readers = {
        path.name: TASK.reader(open_predictor(path), tokenizer, data, traits)
        for path in files.values()
    }
    regression = bool(traits["regression"])
    evaluation = TextSet("set", "0", tuple(texts), tuple(traits["labels"]), regression)
    document = TASK.golden(readers, evaluation, CASES)
    sealed.write(folder / "golden.json", document, compact=True)
