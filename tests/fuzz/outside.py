# SPDX-License-Identifier: Apache-2.0
"""What comes from outside into a build: folders of teachers, and tables of texts."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


# What a tokenizer.json can be made of, each in the place of its kind: BERT's own parts, those of
# other models, and some that no library can hold.
PARTS: dict[str, tuple[Any, ...]] = {
    "normalizer": (
        None,
        {"type": "NFC"},
        {"type": "Sequence", "normalizers": []},
        {"type": "Precompiled", "precompiled_charsmap": "////////AAAA"},
        {"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": "x"},
        {"type": "Replace", "pattern": {"String": ""}, "content": "x"},
        {"type": "BertNormalizer", "lowercase": "yes"},
    ),
    "pre_tokenizer": (
        None,
        {"type": "Whitespace"},
        {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Removed", "invert": False},
        {"type": "Split", "pattern": {"Regex": ""}, "behavior": "Isolated", "invert": False},
        {"type": "Metaspace", "replacement": "", "prepend_scheme": "always", "split": True},
    ),
    "post_processor": (
        None,
        {"type": "BertProcessing", "sep": ["[CLS]", 2], "cls": ["[SEP]", 3]},
        {"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}},
    ),
    "truncation": (
        {"direction": "Right", "max_length": 0, "strategy": "LongestFirst", "stride": 9},
    ),
    "model": (
        {"type": "BPE", "vocab": {}, "merges": []},
        {"type": "Unigram", "vocab": [], "unk_id": 5},
        {"type": "WordLevel", "vocab": {"[UNK]": 0}, "unk_token": "x"},
        {"type": "WordPiece", "vocab": {}, "unk_token": "[UNK]"},
    ),
    "added_tokens": ([], {}, [{"id": 0}]),
}


def of_parts(data: bytes, picks: random.Random) -> bytes:
    """A tokenizer.json with one or two of its parts exchanged for another model's."""
    document = json.loads(data)
    for _ in range(picks.choice((1, 1, 2))):
        kind = picks.randrange(6)
        if kind == 0:
            pieces = document["model"].get("vocab")
            if isinstance(pieces, dict) and pieces:
                pieces[picks.choice(list(pieces))] = picks.choice((-1, 0, 7, 2**31, 2**40))
        elif kind == 1:
            document["model"]["unk_token"] = picks.choice(("[PAD]", "the", "nothing", "", None))
        elif kind == 2 and isinstance(document["added_tokens"], list):
            flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"))
            token = {name: picks.random() < 0.5 for name in flags}
            content = picks.choice(("the", "[SEP]", "", " ", "\n", "\ud800", "zork", "a" * 2000))
            token |= {"id": picks.choice((-1, 0, 5, 160, 10**9)), "content": content}
            document["added_tokens"].append(token)
        else:
            name = picks.choice(list(PARTS))
            document[name] = picks.choice(PARTS[name])
    return mutations.text_of(document)


def lines(folder: Path) -> Path:
    """Prepares texts to be classified, a line each."""
    path = folder / "lines.jsonl"
    path.write_text('{"text": "a", "pair": "b"}\n{"text": "c"}\na sentence {in braces}\n')
    return path


def classified(path: Path) -> object:
    """Reads lines of texts as `pipeline.predict` does."""
    from pipeline import predict

    return list(predict._read_texts(str(path), True))


def recorded(folder: Path) -> Path:
    """Prepares the record of an experiment that has ended."""
    from pipeline.experiment import Record

    record = Record(folder / "ablation.json", "python -m pipeline.ablation --of size")
    file = "student-int8.tflite"
    for place, run in enumerate(_runs()):
        scores = {name: {"f1": 40.0 + place} for name in ("teacher", "student", file)}
        more = {"scores": scores, "bytes": {file: 5_000_000}, "times_faster": {file: 5.0 + place}}
        record.add(run, {"metrics": [{"name": "f1", "label": "F1", "unit": "%"}], **more})
    return record.path


def _runs() -> list[Any]:
    from pipeline import ablation

    data = [("question-answering", "embedded", "embedded")]
    return ablation.plan(ablation.KINDS["size"], data, 2, "embedded", ())


def tabled(path: Path) -> object:
    """Reads a record as `pipeline.ablation` and `pipeline.glue` do, and makes their pages."""
    from pipeline import ablation, ablation_page, glue, glue_page
    from pipeline.experiment import Record

    record = Record.load(path, "")
    page = ablation_page.page(ablation.KINDS["size"], _runs(), record)
    return page, glue_page.page(record, glue.NAMES)


def reported(folder: Path) -> Path:
    """Prepares the report.json of a build."""
    from report_fixtures import of_preset

    path = folder / "report.json"
    path.write_text(json.dumps(of_preset()))
    return path


def measured(folder: Path) -> Path:
    """Prepares the JSON of a benchmark."""
    from benchmark_fixtures import benchmark

    path = folder / "benchmark.json"
    path.write_text(json.dumps(benchmark()))
    return path


def compared(path: Path) -> object:
    """Reads a benchmark as `benchmarks.compare` does, and compares it with itself."""
    from benchmarks import compare
    from converters import ExpectedError

    try:
        found = compare.read(path)
        return compare.show(compare.compare(found, found, 5.0))
    except ValueError as error:  # which that command expects
        raise ExpectedError(str(error)) from error
