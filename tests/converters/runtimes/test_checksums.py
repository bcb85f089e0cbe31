# SPDX-License-Identifier: Apache-2.0
"""A file that is not the one that its model.json states is refused before a runtime opens it."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from coreml_fixtures import package
from export_fixtures import exported_onnx
from repository import CONTRACT

from benchmarks import android, run
from converters import ConversionError, sealed
from converters.compat import matrix as compat
from converters.runtimes import checksums
from converters.runtimes import open as runtimes
from pipeline import ask, predict

# How many random bytes are changed; each costs a start of every command.
PLACES = pytest.mark.parametrize("places", [9, pytest.param(100, marks=pytest.mark.long)])


class Opened(Exception):  # noqa: N818 - what a refusal must come before
    """A runtime was about to open the file."""


@pytest.fixture(params=["tflite", "onnx", "coreml"])
def file(request: pytest.FixtureRequest, tiny_export: Path, tmp_path: Path) -> Path:
    """An exported file of each target, with a model.json that states its checksum."""
    source = {
        "tflite": lambda: tiny_export / "student-int8.tflite",
        "onnx": lambda: exported_onnx("distilbert")["int8"],
        "coreml": lambda: package("distilbert", "int8"),
    }[request.param]()
    folder = Path(shutil.copytree(tiny_export, tmp_path / "files"))
    path = folder / f"student-int8{source.suffix}"
    (shutil.copytree if source.is_dir() else shutil.copyfile)(
        source, path, **({"dirs_exist_ok": True} if source.is_dir() else {})
    )
    description = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    description["files"] = {"int8": {"path": path.name, "sha256": checksums.digest(path)}}
    sealed.write(folder / "model.json", description)
    return path


def test_a_file_that_is_exchanged_behind_its_check_gives_no_answer(
    tiny_export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(tiny_export, tmp_path / "files"))
    file, other = folder / "student-int8.tflite", folder / "student-fp32.tflite"
    opened = runtimes.open_predictor
    ask.open_answerer(file)

    def exchanged(path: Path, threads: int) -> object:
        shutil.copy(other, folder / "new").replace(file)  # as a build or a download ends
        return opened(path, threads)

    monkeypatch.setattr(runtimes, "open_predictor", exchanged)
    with pytest.raises(ConversionError, match="was replaced or changed while it was in use"):
        ask.open_answerer(file)


def test_what_lies_in_a_package_may_not_change_either(tmp_path: Path) -> None:
    inside = tmp_path / "a.mlpackage" / "Data" / "weight.bin"
    inside.parent.mkdir(parents=True)
    inside.write_bytes(b"one")
    with checksums.unchanged([tmp_path / "a.mlpackage", tmp_path / "missing"]):
        inside.read_bytes()
    with (
        pytest.raises(ConversionError, match=r"a\.mlpackage was replaced or changed"),
        checksums.unchanged([tmp_path / "a.mlpackage"]),
    ):
        inside.write_bytes(b"two and three")


@pytest.fixture
def _no_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: object, **__: object) -> NoReturn:
        raise Opened

    monkeypatch.setattr(runtimes, "open_predictor", opened)
    monkeypatch.setattr(run, "open_predictor", opened)
    monkeypatch.setattr(compat, "examine", opened)


Command = tuple[Callable[[list[str]], int], list[str]]


def commands_of(file: Path, folder: Path) -> list[Command]:
    """The commands that open a file which answers questions; what they write goes to a folder."""
    asking = [str(file), "who?", "--context", "anna came."]
    measuring = [str(file), "--quick", "--lengths", "16", "--out", str(folder / "out.json")]
    trying = [str(file), "--environments", str(folder)]
    return [(ask.main, asking), (run.main, measuring), (compat.main, trying)]


def flip(path: Path, place: int) -> None:
    """Changes one byte of a file."""
    with path.open("r+b") as handle:
        handle.seek(place)
        byte = handle.read(1)[0]
        handle.seek(place)
        handle.write(bytes([byte ^ 0x55]))


@PLACES
@pytest.mark.usefixtures("_no_runtime")
def test_a_changed_byte_anywhere_is_refused(
    places: int, file: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    commands = commands_of(file, tmp_path)
    for command, arguments in commands:
        with pytest.raises(Opened):  # as long as the file is whole
            command(arguments)
    parts = [file] if file.is_file() else sorted(p for p in file.rglob("*") if p.is_file())
    picks = random.Random(0)
    for turn in range(places):
        part = parts[turn % len(parts)]
        place = picks.randrange(part.stat().st_size)
        flip(part, place)
        for command, arguments in commands:
            capsys.readouterr()
            assert command(arguments) == 2, (part.name, place)
            message = capsys.readouterr().err
            assert message.startswith("error: ") and message.count("\n") == 1
            assert file.name in message
        flip(part, place)
    assert not (tmp_path / "out.json").exists()


@PLACES
@pytest.mark.usefixtures("_no_runtime")
@pytest.mark.parametrize("name", ["vocab.txt", "model.json", "golden.json"])
def test_a_changed_byte_in_what_lies_beside_a_file_is_refused(
    name: str, places: int, tiny_export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(tiny_export, tmp_path / "files"))
    file = folder / "student-int8.tflite"
    commands = commands_of(file, tmp_path)
    picks = random.Random(1)
    for _ in range(places):
        place = picks.randrange((folder / name).stat().st_size)
        flip(folder / name, place)
        for command, arguments in commands:
            capsys.readouterr()
            assert command(arguments) == 2, place
            message = capsys.readouterr().err
            assert message.startswith("error: ") and message.count("\n") == 1
            assert name in message
        flip(folder / name, place)
    for command, arguments in commands:
        with pytest.raises(Opened):
            command(arguments)


@PLACES
@pytest.mark.usefixtures("_no_runtime")
@pytest.mark.parametrize(
    "name", ["student-int8-per-tensor.tflite", "vocab.txt", "model.json", "golden.json"]
)
def test_a_changed_byte_of_a_classifier_is_refused(
    name: str, places: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(CONTRACT / "tiny-classes", tmp_path / "files"))
    arguments = [str(folder / "student-int8-per-tensor.tflite"), "a text"]
    picks = random.Random(2)
    for _ in range(places):
        place = picks.randrange((folder / name).stat().st_size)
        flip(folder / name, place)
        assert predict.main(arguments) == 2, place
        message = capsys.readouterr().err
        assert message.startswith("error: ") and message.count("\n") == 1 and name in message
        flip(folder / name, place)
    with pytest.raises(Opened):
        predict.main(arguments)


def test_no_verify_opens_what_was_changed_on_purpose(
    tiny_export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(tiny_export, tmp_path / "files"))
    path = folder / "model.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(document | {"made_by": "me"}), encoding="utf-8")
    asking = [str(folder / "student-int8.tflite"), "who?", "--context", "anna came."]
    assert ask.main(asking) == 2
    assert "--no-verify if you changed it on purpose" in capsys.readouterr().err
    assert ask.main([*asking, "--no-verify"]) == 0


def test_a_file_without_a_description_is_said_to_be_unchecked(
    tiny_export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = Path(shutil.copy(tiny_export / "student-int8.tflite", tmp_path / "alone.tflite"))
    file = tiny_export / "student-int8.tflite"
    assert checksums.verify_all([alone, file]) == [alone]
    checksums.note([alone])
    said = "note: not compared with a checksum in model.json: alone.tflite\n"
    assert capsys.readouterr().err == said
    assert checksums.verify_all([alone, file], skip=True) == [alone, file]
    checksums.note([])
    assert capsys.readouterr().err == ""


def test_phones_and_other_runtimes_get_no_changed_file(
    tiny_export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(tiny_export, tmp_path / "files"))
    file = folder / "student-int8.tflite"
    flip(file, file.stat().st_size // 2)
    assert android.main([str(file), "--out", str(tmp_path / "out.json")]) == 2
    assert "is damaged or was changed" in capsys.readouterr().err
    assert compat.main([str(file), "--environments", str(tmp_path)]) == 2
    assert "is damaged or was changed" in capsys.readouterr().err


def test_a_renamed_file_is_known_by_its_content(tiny_export: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_export, tmp_path / "files"))
    renamed = (folder / "student-int8.tflite").rename(folder / "mine.tflite")
    checksums.verify(renamed, listed=True)


def test_files_that_changed_places_are_refused(tiny_export: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_export, tmp_path / "files"))
    one, other = folder / "student-int8.tflite", folder / "student-fp32.tflite"
    one.rename(folder / "kept"), other.rename(one), (folder / "kept").rename(other)
    with pytest.raises(ConversionError, match=r"int8\.tflite holds what belongs into student-fp32"):
        checksums.verify(one)


def test_a_file_of_holes_is_refused_before_it_is_read(tiny_export: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_export, tmp_path / "files"))
    os.truncate(folder / "student-int8.tflite", 2**42)
    with pytest.raises(ConversionError, match="it has 4,398,046,511,104 bytes, and model"):
        checksums.verify(folder / "student-int8.tflite")


def test_a_file_that_model_json_does_not_list(tiny_export: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_export, tmp_path / "files"))
    other = folder / "other.tflite"
    other.write_bytes(b"another file")
    checksums.verify(other)  # it may be measured beside the others,
    with pytest.raises(ConversionError, match=r"does not list other\.tflite, but student-int8"):
        checksums.verify(other, listed=True)  # but its vocabulary is not known


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"files": []}', '{"files": {"int8": {}}}', '{"files": 3}']
)
def test_another_tools_model_json_states_nothing(content: str, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(content)
    (tmp_path / "a.tflite").write_bytes(b"any")
    checksums.verify(tmp_path / "a.tflite")


def test_a_damaged_model_json_vouches_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_bytes(b'{"files": \xff')
    (tmp_path / "a.tflite").write_bytes(b"any")
    with pytest.raises(ConversionError, match=r"no readable .*model\.json"):
        checksums.verify(tmp_path / "a.tflite")
