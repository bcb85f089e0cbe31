# SPDX-License-Identifier: Apache-2.0
"""What an app needs beside the model: vocabulary, `model.json`, golden cases to test itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from converters.interface import INPUTS, SPANS
from converters.runtimes.checksums import sha256
from pipeline import __version__
from pipeline.artifacts import write_json
from pipeline.errors import UserError
from pipeline.files.targets import format_of
from pipeline.tasks.question_answering.evaluate import Answerer, Logits
from pipeline.tasks.question_answering.features import Limits
from pipeline.tasks.question_answering.squad import Question

MODEL_SCHEMA = 1
GOLDEN_SCHEMA = 1

# Texts on which tokenizers differ: accents, combining marks, CJK, characters outside the BMP, zero
# width, and a word longer than a tokenizer accepts.
UNUSUAL = (
    (
        "Wer wohnte in Köln?",
        "Zoë and naïve René moved from Köln to Malmo\u0308 in 1998, near the café.",
    ),
    (
        "Which tower is in 東京?",
        "東京 has the Skytree, 634 m tall; \U0001f5fc is only its picture "
        "\U0001f468\u200d\U0001f469\u200d\U0001f467.",
    ),
    (
        "What is hidden?",
        "A soft\u00adhyphen, a zero\u200bwidth space,\ta tab and "
        + "x" * 120
        + " are hidden here.",
    ),
)


def write_vocabulary(folder: Path, tokenizer: Any) -> Path:
    """Writes `vocab.txt`, a word piece a line in the order of their ids, and returns its path."""
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    if [place for _, place in vocabulary] != list(range(len(vocabulary))):
        raise UserError(
            f"the tokenizer's {len(vocabulary)} ids are not 0 to {len(vocabulary) - 1}: vocab.txt "
            "has no place for gaps; fill them with unused pieces"
        )
    vocab_file = folder / "vocab.txt"
    vocab_file.write_text("".join(f"{piece}\n" for piece, _ in vocabulary), encoding="utf-8")
    return vocab_file


def write_model_json(
    vocabulary: Path,
    files: Mapping[str, Path],
    tokenizer: Any,
    limits: Limits,
    *,
    max_positions: int,
    may_abstain: bool,
    static_lengths: Sequence[int] = (),
) -> None:
    """Writes `model.json` beside the exported files: all that an app has to know of them.

    Args:
        vocabulary: what `write_vocabulary` wrote.
        files: by precision; the first is the one an app should take.
        tokenizer: the student's.
        limits: windows and answer lengths.
        max_positions: the longest input that a file takes.
        may_abstain: whether the student was trained to answer nothing (SQuAD 2.0).
        static_lengths: the only lengths that the files take; none for any length.
    """
    kind = format_of(next(iter(files.values())))
    rows = -1 if kind.takes_rows else 1
    document = {
        "schema_version": MODEL_SCHEMA,
        "made_by": f"pipeline {__version__}",
        "task": "extractive question answering",
        "default": next(iter(files.values())).name,
        "files": {
            precision: {
                "path": path.name,
                **asdict(kind.describe(path)),
                "for": kind.precisions[precision],
            }
            for precision, path in files.items()
        },
        "signature": SPANS.signature,
        "inputs": [{"name": name, "dtype": "int32", "shape": [rows, -1]} for name in INPUTS],
        "outputs": [
            {"name": name, "dtype": "float32", "shape": [rows, -1]} for name in SPANS.names
        ],
        "lengths": {
            "default": limits.max_length,
            "min": 1,
            "max": max(static_lengths, default=max_positions),
            "static": sorted(set(static_lengths)),
        },
        "limits": {
            "max_length": limits.max_length,
            "stride": limits.stride,
            "max_query": limits.max_query,
            "max_answer": limits.max_answer,
            "n_best": limits.n_best,
        },
        "may_abstain": may_abstain,
        "tokenizer": describe_tokenizer(tokenizer)
        | {"file": vocabulary.name, "sha256": sha256(vocabulary)},
        "golden": "golden.json",
    }
    write_json(vocabulary.with_name("model.json"), document)


def describe_tokenizer(tokenizer: Any) -> dict[str, Any]:
    """Everything that decides how WordPiece cuts a text.

    Raises:
        UserError: if the tokenizer is not BERT's own, or has more special pieces than the five
            that it names: an app could not follow it.
    """
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    normalizer, model = backend["normalizer"] or {}, backend["model"]
    kinds = (normalizer.get("type"), (backend["pre_tokenizer"] or {}).get("type"), model["type"])
    if kinds != ("BertNormalizer", "BertPreTokenizer", "WordPiece"):
        raise UserError(
            f"the tokenizer is made of {', '.join(map(str, kinds))}: an app needs BERT's own; take "
            "a teacher that has it"
        )
    special = {
        "pad": tokenizer.pad_token,
        "unknown": tokenizer.unk_token,
        "cls": tokenizer.cls_token,
        "sep": tokenizer.sep_token,
        "mask": tokenizer.mask_token,
    }
    known = set(special.values())
    added = [str(t) for t in tokenizer.added_tokens_decoder.values() if str(t) not in known]
    if added:
        raise UserError(
            f"the tokenizer finds {len(added)} added tokens such as {added[0]} whole in a text, "
            "which an app's WordPiece would cut: take a teacher that has the five special ones only"
        )
    lower = bool(normalizer.get("lowercase", True))
    strip = normalizer.get("strip_accents")
    return {
        "type": "wordpiece",
        "size": len(tokenizer),
        "lower_case": lower,
        "strip_accents": lower if strip is None else bool(strip),
        "split_cjk": bool(normalizer.get("handle_chinese_chars", True)),
        "clean_text": bool(normalizer.get("clean_text", True)),
        "continuation": model.get("continuing_subword_prefix", "##"),
        "max_word_characters": model.get("max_input_chars_per_word", 100),
        "special": {
            name: {"piece": str(piece), "id": tokenizer.convert_tokens_to_ids(piece)}
            for name, piece in special.items()
        },
    }


def write_golden(
    folder: Path,
    models: Mapping[str, Logits],
    tokenizer: Any,
    limits: Limits,
    questions: Sequence[Question],
    count: int,
    *,
    may_abstain: bool,
) -> int:
    """Writes `golden.json`: questions with ids, logits and answers of each exported file.

    Args:
        folder: to write into.
        models: an opened predictor for each file name.
        tokenizer: the student's.
        limits: windows and answer lengths.
        questions: of the evaluation set, drawn from evenly.
        count: how many of them; unusual texts and one long passage come on top.
        may_abstain: whether the student was trained to answer nothing (SQuAD 2.0).

    Returns:
        The number of cases.
    """
    step = max(1, len(questions) // count)
    picked = [(q.text, q.context) for q in questions[::step]][:count]
    distinct = list(dict.fromkeys(q.context for q in questions))
    long_passage = "\n\n".join(distinct[: -(-5 * limits.max_length // 200)])
    cases = [*picked, *UNUSUAL, (picked[-1][0], long_passage), (picked[0][0], "")]
    answerers = {
        name: Answerer(model, tokenizer, limits, may_abstain=may_abstain)
        for name, model in models.items()
    }
    write_json(folder / "golden.json", golden_document(cases, answerers))
    return len(cases)


def golden_document(
    cases: Sequence[tuple[str, str]], answerers: Mapping[str, Answerer]
) -> dict[str, Any]:
    """What `golden.json` says of questions and their passages, answered by each file."""
    return {
        "schema_version": GOLDEN_SCHEMA,
        "offsets": "Unicode code points",
        "logits": "of the first window, at its own length",
        "cases": [_case(question, context, answerers) for question, context in cases],
    }


def _case(question: str, context: str, answerers: Mapping[str, Answerer]) -> dict[str, Any]:
    readings = {name: answerer.run(question, context) for name, answerer in answerers.items()}
    windows = next(iter(readings.values())).windows
    results = {}
    for name, reading in readings.items():
        answer, (start, end) = reading.answer, reading.logits[0]
        results[name] = {
            "text": answer.text,
            "start": answer.start,
            "end": answer.end,
            "score": round(answer.score, 4),
            "start_logits": _rounded(start),
            "end_logits": _rounded(end),
        }
    return {
        "question": question,
        "context": context,
        "windows": [
            {"ids": w.ids.tolist(), "first": w.first, "offsets": w.offsets.tolist()}
            for w in windows[:1]
        ],
        "window_count": len(windows),
        "answers": results,
    }


def _rounded(logits: np.ndarray) -> list[float]:
    return [round(float(value), 4) for value in logits]
