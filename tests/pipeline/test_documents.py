# SPDX-License-Identifier: Apache-2.0
"""model.json and golden.json: what a build writes is read, and all else refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import json_schema
import pytest
from hostile import CONTRACT, DOCUMENTS, folder_with
from repository import ROOT

from pipeline import ask, documents, predict

TINY = ("tiny", "tiny-classes", "tiny-number", "tiny-static")


@pytest.mark.parametrize("name", TINY)
def test_what_a_build_writes_is_read(name: str) -> None:
    model = documents.model(CONTRACT / name / "model.json")
    golden = documents.golden(CONTRACT / name / "golden.json")
    assert model["default"] in golden["cases"][0]["answers"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_hostile_documents_are_refused_in_a_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = DOCUMENTS[name]
    folder = folder_with(entry, tmp_path / "files")
    if entry["file"] == "golden.json":
        with pytest.raises(documents.UserError) as caught:
            documents.golden(folder / "golden.json")
        message = f"{caught.value}\n"
    else:
        command, words = {
            "tiny": (ask.main, ["who?", "--context", "anna came."]),
            "tiny-classes": (predict.main, ["a text"]),
        }[entry["base"]]
        assert command([str(folder / "student-int8-per-tensor.tflite"), *words]) == 2
        message = capsys.readouterr().err
    assert message.count("\n") == 1 and len(message) < 500
    assert message.isprintable() or message[:-1].isprintable()
    said: Any = ("model.json", "golden.json", "vocab.txt", "stride")
    assert any(word in message for word in said), message


def test_without_the_digest_the_schema_still_counts(tmp_path: Path) -> None:
    document = json.loads((CONTRACT / "tiny" / "model.json").read_text("utf-8"))
    path = tmp_path / "model.json"
    path.write_text(json.dumps(document | {"made_by": "me"}))
    assert documents.model(path, verify=False)["made_by"] == "me"
    path.write_text(json.dumps(document | {"made_by": 7}))
    with pytest.raises(documents.UserError, match="made_by is 7, which should be a valid string"):
        documents.model(path, verify=False)


@pytest.mark.parametrize("name", TINY)
def test_the_published_schemas_say_what_the_reader_takes(name: str) -> None:
    for file in ("model.json", "golden.json"):
        schema = json.loads((ROOT / "docs" / "schema" / file).read_text("utf-8"))
        document = json.loads((CONTRACT / name / file).read_text("utf-8"))
        assert json_schema.wrong(document, schema) == ""
        for key in document:
            rest = {other: value for other, value in document.items() if other != key}
            optional = key in ("null_threshold", "search")
            assert bool(json_schema.wrong(rest, schema)) != optional, key
            assert json_schema.wrong(rest | {key: object()}, schema), key
        assert "is unknown" in json_schema.wrong(document | {"more": 1}, schema)


def test_the_published_schemas_refuse_what_they_can(tmp_path: Path) -> None:
    """Types, bounds and keys; not a digest, a contradiction or the name of a file."""
    for number, (name, entry) in enumerate(DOCUMENTS.items()):
        if "unknown" in name or " as a" in name or " of null" in name or name.startswith("no "):
            folder = folder_with(entry, tmp_path / str(number))
            document = json.loads((folder / entry["file"]).read_text("utf-8"))
            schema = json.loads((ROOT / "docs" / "schema" / entry["file"]).read_text("utf-8"))
            if name != "no labels and no regression":
                assert json_schema.wrong(document, schema), name
