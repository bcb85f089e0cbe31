# SPDX-License-Identifier: Apache-2.0
"""JSON that may mean two things, or that nobody ever writes, is refused in one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks import compare
from benchmarks.page.reading import read_json


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1, "b": 2, "a": 3}', "the key 'a' twice"),
        ('{"a": NaN}', "NaN is no number of JSON"),
        ("[" * 100_000, "too many brackets"),
        ('{"a": 1e999}', "too large"),
        ("", "cannot read"),
        ("{" + "".join(f'"{n}": 0, ' for n in range(100_000)) + '"99999": 1}', "key '99999' twice"),
    ],
    ids=["key twice", "nan", "brackets", "infinite", "empty", "key twice of many"],
)
def test_what_is_no_json_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=said) as caught:
        read_json(path)
    assert "\n" not in str(caught.value)


def test_what_is_no_file_or_too_large_is_not_read(tmp_path: Path) -> None:
    endless, holes = tmp_path / "endless.json", tmp_path / "holes.json"
    endless.symlink_to("/dev/zero")
    with holes.open("wb") as file:
        file.truncate(2**40)
    for path, said in (
        (endless, "a device"),
        (tmp_path, "Is a directory"),
        (holes, "more than 67,"),
    ):
        with pytest.raises(ValueError, match=said):
            read_json(path)


def test_a_pipe_without_a_writer_is_refused_and_one_of_the_shell_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "pipe.json"
    os.mkfifo(path)
    assert compare.main([str(path), str(path)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "it is no file, but a pipe or a device" in said
    reads, writes = os.pipe()
    os.write(writes, b"[1]")
    os.close(writes)
    assert read_json(Path(f"/dev/fd/{reads}")) == [1]
    os.close(reads)
