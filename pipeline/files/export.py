# SPDX-License-Identifier: Apache-2.0
"""What an app needs beside the model: vocabulary, `model.json`, golden cases to test itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from converters.interface import INPUTS, Interface
from converters.runtimes.checksums import sha256
from pipeline import __version__
from pipeline.artifacts import write_json
from pipeline.errors import UserError
from pipeline.files.targets import format_of

MODEL_SCHEMA = 1


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
    interface: Interface,
    about: Mapping[str, Any],
    *,
    length: int,
    max_positions: int,
    classes: int = 0,
    static_lengths: Sequence[int] = (),
) -> None:
    """Writes `model.json` beside the exported files: all that an app has to know of them.

    Args:
        vocabulary: what `write_vocabulary` wrote.
        files: by precision; the first is the one an app should take.
        tokenizer: the student's.
        interface: what the files take and give.
        about: what the task says: its name, and how an app makes inputs and reads outputs.
        length: the longest input that an app makes, in word pieces.
        max_positions: the longest input that a file takes.
        classes: how many values an output with the axis "class" has.
        static_lengths: the only lengths that the files take; none for any length.
    """
    kind = format_of(next(iter(files.values())))
    rows = -1 if kind.takes_rows else 1
    note = "" if static_lengths else kind.lengths_note
    document = {
        "schema_version": MODEL_SCHEMA,
        "made_by": f"pipeline {__version__}",
        "task": about["task"],
        "default": next(iter(files.values())).name,
        "files": {
            precision: {
                "path": path.name,
                **asdict(kind.describe(path)),
                "for": kind.precisions[precision],
            }
            for precision, path in files.items()
        },
        "signature": interface.signature,
        "inputs": [{"name": name, "dtype": "int32", "shape": [rows, -1]} for name in INPUTS],
        "outputs": [
            {
                "name": output.name,
                "dtype": "float32",
                "shape": [rows, -1 if output.axis == "token" else classes],
            }
            for output in interface.outputs
        ],
        "lengths": {
            "default": length,
            "min": 1,
            "max": max(static_lengths, default=max_positions),
            "static": sorted(set(static_lengths)),
            **({"note": note} if note else {}),
        },
        **{key: value for key, value in about.items() if key != "task"},
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
