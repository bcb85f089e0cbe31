# SPDX-License-Identifier: Apache-2.0
"""Damaged inputs end in one line: a few of the quick readers here, 24,000 in the long test."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))
import harness
import mutations
import readers

from converters import ExpectedError

QUICK = (
    *("model.json", "golden.json", "golden.json, resealed", "golden.json, compat"),
    *("model.json, resealed, predict", ".tflite, its seal", "safetensors", "SQuAD, values"),
    *("texts, TSV", "texts, CSV", "texts, gzip", "texts, values"),
)


@pytest.mark.parametrize("name", QUICK)
def test_a_few_damaged_inputs_are_read_or_refused(name: str, tmp_path: Path) -> None:
    reader = readers.find(name)
    path, data = readers.prepared(reader, tmp_path / "files")
    reader.read(path)
    for number in range(25):
        path.write_bytes(reader.change(data, random.Random(f"quick {name} {number}")))
        try:
            reader.read(path)
        except ExpectedError as error:
            assert "\n" not in str(error)
        else:
            assert not reader.sealed or harness._same(path, data), number


def test_the_same_seed_makes_the_same_inputs() -> None:
    data = bytes(range(256)) * 4
    first, again, other = (mutations.of_bytes(data, random.Random(seed)) for seed in "aab")
    assert first == again != other and first != data


def test_a_process_that_dies_is_started_again_behind_its_input(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "worker.py"
    program.write_text(
        "import json, os, sys\n"
        "first, last = map(int, sys.argv[4:6])\n"
        "for number in range(first, last):\n"
        "    print(json.dumps({'at': number}), flush=True)\n"
        "    if number == 2:\n"
        "        os.kill(os.getpid(), 11)\n"
        "    print(json.dumps({'done': number, 'outcome': 'refused', 'what': ''}), flush=True)\n"
    )
    monkeypatch.setattr(harness, "__file__", str(program))
    row = harness.fuzz("safetensors", 5, seed=0)
    assert row.counts == {"refused": 4, "signal": 1} and row.cases == [(2, "signal 11")]
    assert harness.bad(row) == 1
    assert harness.table([row]).splitlines()[-1].split() == ["all", "5", "4", "0", "0", "1", "0"]


@pytest.mark.long
def test_every_reader_with_all_its_damaged_inputs(capsys: pytest.CaptureFixture[str]) -> None:
    assert sum(reader.inputs for reader in readers.READERS) == 24_000
    assert harness.main([]) == 0, capsys.readouterr().out
