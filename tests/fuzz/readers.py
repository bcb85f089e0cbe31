# SPDX-License-Identifier: Apache-2.0
"""The readers that are fuzzed: what each reads, and how its input is changed."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import graphs
import mutations
import outside
from repository import CONTRACT

TINY = CONTRACT / "tiny"
FILE = "student-int8-per-tensor.tflite"

Read = Callable[[Path], object]
Change = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class Reader:
    """A reader, and the file that is changed before each call.

    Attributes:
        name: of the row in the table.
        inputs: how many in a whole run.
        prepare: fills a folder, and returns the file that is changed.
        read: reads that file; raises an expected error for what it refuses.
        change: makes the bytes of an input.
        sealed: whether every change must be refused.
        may_die: whether the runtime, which commands try in a process of its own first, may die.
    """

    name: str
    inputs: int
    prepare: Callable[[Path], Path]
    read: Read
    change: Change = mutations.of_bytes
    sealed: bool = False
    may_die: bool = False


def _copied(name: str, base: str = "tiny") -> Callable[[Path], Path]:
    def prepare(folder: Path) -> Path:
        shutil.copytree(CONTRACT / base, folder, dirs_exist_ok=True)
        return folder / name

    return prepare


def _document(data: bytes, picks: random.Random) -> bytes:
    return mutations.text_of(mutations.of_document(json.loads(data), picks))


def _resealed(data: bytes, picks: random.Random) -> bytes:
    from converters import sealed

    document = mutations.of_document(json.loads(data), picks)
    try:
        return mutations.text_of(sealed.seal(document))
    except (ValueError, AttributeError):
        return mutations.text_of(document)


def _model(path: Path) -> object:
    from pipeline import documents

    return documents.model(path)


def _golden(path: Path) -> object:
    from pipeline import documents

    return documents.golden(path)


def _described(path: Path) -> object:
    from pipeline import ask

    return ask.describe(path.parent / FILE)


def _answered(path: Path) -> object:
    """A description that fits its file gives an answer, or else says what does not fit."""
    from pipeline import ask

    answerer = ask.open_answerer(path.parent / FILE)
    return answerer.run("Who built it?", "Anna built the old tower in Rome. " * 9).prediction


def _classes(path: Path) -> object:
    from pipeline import documents
    from pipeline.tasks.text_classification import described

    return described.part(path, documents.model(path))


def _cases(path: Path) -> object:
    from converters.compat.cases import read_cases

    return read_cases(path.parent / FILE, 24)


def _verified(path: Path) -> object:
    from converters.runtimes import checksums

    file = path if path.suffix not in (".json", ".txt") else path.parent / FILE
    return checksums.verify(file, listed=True)


def _tflite(path: Path) -> object:
    from converters.tflite import check, file

    return file.describe(path), check.check_portable(path)


def _metadata(path: Path) -> object:
    from converters.tflite.metadata import read_metadata

    return read_metadata(path)


def _opened(path: Path) -> object:
    import numpy as np

    from converters.runtimes.open import open_predictor

    ids = np.array([[2, 7, 3, 9, 8, 3]], np.int32)
    return open_predictor(path).run(ids, np.ones_like(ids), np.zeros_like(ids))


def _onnx(folder: Path) -> Path:
    from export_fixtures import exported_onnx

    source = exported_onnx("distilbert")["int8"]
    return Path(shutil.copyfile(source, folder / "student-int8.onnx"))


def _onnx_check(path: Path) -> object:
    from converters.onnx import check, file

    return file.describe(path), check.check_portable(path)


def _package(folder: Path) -> Path:
    from coreml_fixtures import package

    target = Path(shutil.copytree(package("distilbert", "int8"), folder / "a.mlpackage"))
    return target / "Data" / "com.apple.CoreML" / "model.mlmodel"


def _package_read(path: Path) -> object:
    from converters.coreml import package

    return package.read(path.parents[2])


def _safetensors(folder: Path) -> Path:
    import torch
    from safetensors.torch import save_file

    path = folder / "model.safetensors"
    tensors = {f"layer.{n}.weight": torch.zeros(2, 3) for n in range(4)}
    save_file(tensors, path, {"format": "pt"})
    return path


def _tensors(path: Path) -> object:
    from converters.pretrained import tensors_in

    return tensors_in(path)


def _squad(folder: Path) -> Path:
    paragraphs = [
        {
            "context": f"Anna built the tower number {n} in Rome in 1998. Boris was there.",
            "qas": [
                {
                    "id": f"q{n}",
                    "question": "Who built the tower?",
                    "answers": [{"text": "Anna", "answer_start": 0}],
                }
            ],
        }
        for n in range(3)
    ]
    path = folder / "dev.json"
    path.write_text(
        json.dumps({"version": "1.1", "data": [{"title": "a", "paragraphs": paragraphs}]})
    )
    return path


def _questions(path: Path) -> object:
    from pipeline.tasks.question_answering.squad import load_questions

    return load_questions(str(path), "dev")


def _asked(path: Path) -> object:
    from pipeline.tasks.question_answering.asked import read_asked

    return read_asked(path.read_bytes(), path.name, None)


def _asked_file(folder: Path) -> Path:
    path = folder / "questions.jsonl"
    row = {"id": "a", "question": "Who came?", "context": "Anna came to Rome."}
    path.write_text("".join(json.dumps(row | {"id": str(n)}) + "\n" for n in range(3)))
    return path


def _settings(folder: Path) -> Path:
    path = folder / "settings.yaml"
    path.write_text(
        "seed: 7\nout: build/x\ndata:\n  max_length: 384\n  train_file: embedded\n"
        "distil:\n  enabled: true\n  text: [a.txt, b.txt]\nbenchmark:\n  threads: 2\n"
    )
    return path


def _settings_read(path: Path) -> object:
    from pipeline import settings

    return settings.load("smoke", path)


READERS = (
    Reader("model.json", 1500, _copied("model.json"), _model, sealed=True),
    Reader("model.json, resealed, ask", 1100, _copied("model.json"), _described, _resealed),
    Reader(
        "model.json, resealed, predict",
        800,
        _copied("model.json", "tiny-classes"),
        _classes,
        _resealed,
    ),
    Reader("model.json, resealed, answers", 500, _copied("model.json"), _answered, _resealed),
    Reader("golden.json", 1000, _copied("golden.json", "tiny-classes"), _golden, sealed=True),
    Reader("golden.json, resealed", 800, _copied("golden.json"), _golden, _resealed),
    Reader("golden.json, compat", 400, _copied("golden.json"), _cases, _document),
    Reader("vocab.txt", 1000, _copied("vocab.txt"), _described, sealed=True),
    Reader(".tflite, its seal", 1500, _copied(FILE), _verified, sealed=True),
    Reader(".tflite, checks", 1100, _copied(FILE), _tflite),
    Reader(".tflite, graph", 400, _copied(FILE), graphs.checked_tflite, graphs.of_tflite),
    Reader(".tflite, metadata", 1000, _copied(FILE), _metadata),
    Reader(".tflite, opened", 500, _copied(FILE), _opened, may_die=True),
    Reader(".onnx, checks", 800, _onnx, _onnx_check),
    Reader(".onnx, graph", 300, _onnx, _onnx_check, graphs.of_onnx),
    Reader(".onnx, opened", 300, _onnx, _opened, may_die=True),
    Reader(".mlpackage", 500, _package, _package_read, sealed=True),
    Reader("safetensors", 1200, _safetensors, _tensors),
    Reader("SQuAD, bytes", 1000, _squad, _questions),
    Reader("SQuAD, values", 1000, _squad, _questions, _document),
    Reader("questions", 1000, _asked_file, _asked),
    Reader("settings", 500, _settings, _settings_read),
    Reader("teacher, config.json", 400, outside.teacher("config.json"), outside.taught, _document),
    Reader(
        "teacher, tokenizer.json", 400, outside.teacher("tokenizer.json"), outside.taught, _document
    ),
    Reader(
        "teacher, parts of tokenizer.json",
        400,
        outside.teacher("tokenizer.json"),
        outside.taught,
        outside.of_parts,
    ),
    Reader(
        "teacher, tokenizer_config.json",
        400,
        outside.teacher("tokenizer_config.json"),
        outside.taught,
        _document,
    ),
    Reader("teacher, safetensors", 400, outside.teacher("model.safetensors"), outside.taught),
    Reader(
        "teacher, index of shards",
        400,
        outside.teacher("model.safetensors.index.json", shards="20KB"),
        outside.taught,
        _document,
    ),
    Reader("texts, TSV", 400, outside.table("dev.tsv"), outside.texts),
    Reader("texts, CSV", 400, outside.table("dev.csv"), outside.texts),
    Reader("texts, gzip", 400, outside.table("dev.csv.gz"), outside.texts),
    Reader("texts, JSON Lines", 400, outside.table("dev.jsonl"), outside.texts),
    Reader("texts, values", 400, outside.table("dev.jsonl"), outside.texts, outside.of_rows),
    Reader("texts, lines", 300, outside.lines, outside.classified),
    Reader("benchmark", 400, outside.measured, outside.compared, _document),
    Reader("report.json", 200, outside.reported, outside.compared, _document),
    Reader("record", 300, outside.recorded, outside.tabled, _document),
    Reader("record, bytes", 200, outside.recorded, outside.tabled),
)  # 24,000 in all


def prepared(reader: Reader, folder: Path) -> tuple[Path, bytes]:
    """The file that a reader's inputs replace, and its content."""
    folder.mkdir(parents=True, exist_ok=True)
    path = reader.prepare(folder)
    return path, path.read_bytes()


def names() -> list[str]:
    """The readers by their names."""
    return [reader.name for reader in READERS]


def find(name: str) -> Reader:
    """A reader by its name."""
    found: Any = {reader.name: reader for reader in READERS}
    return found[name]  # type: ignore[no-any-return]
