# SPDX-License-Identifier: Apache-2.0
"""`pipeline.ask` and `pipeline.predict` with passages, lines and models that are not what they say.

Nothing is taken for something else in silence.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from repository import CONTRACT

from converters import sealed
from converters.runtimes import open as runtimes
from pipeline import ask, predict

ANSWERS = CONTRACT / "tiny" / "student-int8-per-tensor.tflite"
CLASSES = CONTRACT / "tiny-classes" / "student-int8-per-tensor.tflite"

Said = Callable[..., str]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Said:
    """Runs a command that refuses, and gives its one line."""

    def said(main: Callable[[list[str]], int], *arguments: object) -> str:
        assert main([str(one) for one in arguments]) == 2
        printed = capsys.readouterr()
        assert printed.out == "" and printed.err.count("\n") == 1
        return printed.err

    return said


def asking(context: object) -> tuple[object, ...]:
    return ask.main, ANSWERS, "Who built the tower?", "--context", context


def test_a_name_of_something_is_not_taken_for_a_passage(
    tmp_path: Path, refused: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("notes")
    Path("gone").symlink_to("nowhere")
    Path("endless").symlink_to("/dev/zero")
    assert "a pipe or a device" in refused(*asking("notes"))
    assert "cannot read gone: No such file" in refused(*asking("gone"))
    assert "a pipe or a device" in refused(*asking("endless"))


def test_a_pipe_of_the_shell_is_a_passage(capsys: pytest.CaptureFixture[str]) -> None:
    reads, writes = os.pipe()
    os.write(writes, b"Anna built the tower.")
    os.close(writes)
    main, *arguments = asking(f"/dev/fd/{reads}")
    assert main([*map(str, arguments), "--json"]) == 0  # type: ignore[operator]
    os.close(reads)
    assert json.loads(capsys.readouterr().out)["windows"] == 1


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16", "utf-32"])
def test_text_in_another_encoding_is_refused(encoding: str, tmp_path: Path, refused: Said) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("Anna built the tower.".encode(encoding))
    for said in (refused(*asking(path)), refused(predict.main, CLASSES, "--texts", path)):
        assert "holds NUL characters" in said or "is not UTF-8 text" in said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"text": "a", }', "line 1 is damaged JSON"),
        ('{"text": "a"} {"text": "b"}', "line 1 is damaged JSON"),
        ('{"text": "a", "text": "b"}', "the key 'text' twice"),
        ('{"text": "a", "weight": NaN}', "NaN is no number of JSON"),
        ('{"txet": "a"}', "expected an object such as"),
        ("{}", "expected an object such as"),
    ],
)
def test_damaged_json_is_not_classified_as_a_text(
    line: str, said: str, tmp_path: Path, refused: Said
) -> None:
    path = tmp_path / "lines.txt"
    path.write_text(line)
    assert said in refused(predict.main, CLASSES, "--texts", path)


def test_marks_of_the_byte_order_within_joined_files_are_no_part_of_a_text(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text('{"text": "a"}\n' * 2, encoding="utf-8-sig")
    path.write_bytes(path.read_bytes() * 2)
    assert [one.text for one in predict._read_texts(str(path), False)] == ["a"] * 4


def test_lines_may_end_in_carriage_returns(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"the ship\r{a brace}\r\rthe poem")
    found = [one.text for one in predict._read_texts(str(path), False)]
    assert found == ["the ship", "{a brace}", "the poem"]


class Spoiled:
    """A model whose outputs are changed."""

    def __init__(self, model: Any, change: Callable[[Any], Any]) -> None:
        self.model, self.change = model, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def run(self, *arrays: Any) -> tuple[Any, ...]:
        """Those of the model, changed."""
        return tuple(self.change(array) for array in self.model.run(*arrays))


def with_nan(array: Any) -> Any:
    array[1] = np.nan
    return array


@pytest.mark.parametrize("change", [with_nan, lambda array: array[:-1]], ids=["nan", "short"])
def test_outputs_that_are_no_numbers_give_no_answer(
    change: Callable[[Any], Any], refused: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = runtimes.open_predictor
    monkeypatch.setattr(
        runtimes, "open_predictor", lambda path, threads: Spoiled(opened(path, threads), change)
    )
    assert "logits that are no numbers" in refused(*asking("Anna built the tower."))
    assert "logits that are no numbers" in refused(predict.main, CLASSES, "a text")


def test_a_model_json_with_fewer_labels_than_logits_is_refused(
    tmp_path: Path, refused: Said
) -> None:
    for path in CLASSES.parent.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    document = json.loads((tmp_path / "model.json").read_text())
    document["labels"] = document["labels"][:-1]
    sealed.write(tmp_path / "model.json", document)
    said = refused(predict.main, tmp_path / CLASSES.name, "a text")
    assert f"or not {len(document['labels'])} of them" in said
