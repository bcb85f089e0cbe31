# SPDX-License-Identifier: Apache-2.0
"""A pipe without a writer and an endless device are refused at once; a shell's pipe is read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from converters import ConversionError, plain_file, sealed
from pipeline import artifacts, ask, made, predict
from pipeline.errors import UserError
from pipeline.models import origin
from pipeline.tasks.text_classification.data import load_texts
from pipeline.tasks.text_classification.settings import TextData

READERS: dict[str, Callable[[Path], object]] = {
    "model.json": sealed.parse,
    "questions": lambda path: ask._read_questions(str(path), None),
    "lines": lambda path: list(predict._read_texts(str(path), False)),
    "texts": lambda path: load_texts(TextData(eval_file=str(path)), "dev"),
}


@pytest.mark.parametrize("place", ["pipe", "device"])
@pytest.mark.parametrize("name", READERS)
def test_a_pipe_and_a_device_are_refused_at_once(name: str, place: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    if place == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises((UserError, ConversionError), match="a pipe or a device"):
        READERS[name](path)
    assert plain_file.special(tmp_path) == path


def test_a_folder_is_refused_and_a_limit_is_kept(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        plain_file.read_bytes(tmp_path)
    path = tmp_path / "a"
    path.write_bytes(b"one\r\ntwo")
    assert plain_file.read_bytes(path, 3) == b"one"
    assert plain_file.read_text(path) == "one\r\ntwo"
    assert plain_file.special(tmp_path) is None and plain_file.special(path) is None
    assert plain_file.read_bytes(Path(os.devnull)) == b""


def test_a_pipe_of_the_shell_is_read_to_its_end() -> None:
    reads, writes = os.pipe()
    os.write(writes, b"seed: 7\n")
    os.close(writes)
    assert plain_file.read_bytes(Path(f"/dev/fd/{reads}")) == b"seed: 7\n"
    os.close(reads)


def test_a_pipe_among_the_files_of_a_build_is_no_wait(tmp_path: Path) -> None:
    for name in (made.MADE, artifacts.MANIFEST, origin.ORIGIN):
        os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match="not the list that a build keeps there"):
        made.listed(tmp_path)
    with pytest.raises(UserError, match="no readable manifest"):
        artifacts.read_manifest(tmp_path)
    assert origin.read(tmp_path) is None


def test_a_home_that_nobody_has_is_a_name_like_any(tmp_path: Path) -> None:
    for read in (READERS["questions"], READERS["lines"], READERS["texts"]):
        with pytest.raises(UserError, match="nobody-here"):
            read(Path("~nobody-here/a.csv"))
