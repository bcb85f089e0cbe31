# SPDX-License-Identifier: Apache-2.0
"""What comes from outside into a build: folders of teachers, and tables of texts."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import mutations

Prepare = Callable[[Path], Path]

# What a tokenizer may trip over: accents, Chinese, special tokens, a combining mark, a long word.
TEXT = "Anna [MASK] cafe\u0301 \u6771\u4eac it's 1998. " + "a" * 120


def teacher(name: str, *, shards: str = "1GB") -> Prepare:
    """Prepares the folder of a tiny BERT; returns one of its files.

    Args:
        name: of the file; "shard" is the first of several files of weights.
        shards: the largest size of a file of weights.
    """

    def prepare(folder: Path) -> Path:
        from model_folders import model
        from transformers import BertForQuestionAnswering

        model(BertForQuestionAnswering, num_hidden_layers=1, shards=shards)(folder)
        return folder / name

    return prepare


def taught(path: Path) -> object:
    """Reads the folder of a teacher as a build does, and runs it on a text."""
    import torch

    from pipeline.errors import UserErrors
    from pipeline.files.tokenizer import describe_tokenizer
    from pipeline.models import teacher as models
    from pipeline.models.heads import SPAN_HEAD

    looked = models.look(str(path.parent), SPAN_HEAD, None, role="teacher")
    if looked.source is None:
        raise UserErrors(looked.problems)
    tokenizer = models.load_tokenizer(looked.source.folder)
    describe_tokenizer(tokenizer)
    models.model_key(looked.source)
    loaded = models.load_for_task(looked.source, SPAN_HEAD, 2)
    ids = tokenizer(TEXT, "who?", return_tensors="pt", truncation=True, max_length=100)["input_ids"]
    with torch.no_grad():
        return loaded(ids[:, : looked.source.positions]).start_logits


ROWS = [
    {"text": 'Anna said "no", and left.', "pair": "B; c", "label": "yes"},
    {"text": "caf\u00e9 \u6771\u4eac", "pair": "d", "label": "no"},
    {"text": "It costs 5,00.", "pair": "", "label": "yes"},
]


def table(name: str) -> Prepare:
    """Prepares a table of texts in the format that a name ends in."""

    def prepare(folder: Path) -> Path:
        import csv
        import gzip
        import io

        path = folder / name
        if ".jsonl" in name:
            text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in ROWS)
        else:
            held = io.StringIO()
            writer = csv.DictWriter(held, list(ROWS[0]), delimiter="\t" if ".tsv" in name else ",")
            writer.writeheader()
            writer.writerows(ROWS)
            text = held.getvalue()
        data = text.encode()
        path.write_bytes(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)
        return path

    return prepare


def texts(path: Path) -> object:
    """Reads a table of texts as a build does, and lists what reports and training take of it."""
    from pipeline.tasks.text_classification.data import load_texts
    from pipeline.tasks.text_classification.settings import TextData

    found = load_texts(TextData(eval_file=str(path)), "dev")
    return found.facts(), found.texts, found.values if found.regression else found.labels


def of_rows(data: bytes, picks: random.Random) -> bytes:
    """JSON Lines with one value of one row changed."""
    rows = [json.loads(line) for line in data.splitlines()]
    place = picks.randrange(len(rows))
    rows[place] = mutations.of_document(rows[place], picks)
    return b"".join(mutations.text_of(row) + b"\n" for row in rows)
