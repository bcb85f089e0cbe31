# SPDX-License-Identifier: Apache-2.0
"""A report names the machine and the versions that its times were measured with."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.measure import machine
from pipeline import settings
from pipeline.report import environment
from pipeline.report.ending import assembled

THEN: dict[str, Any] = {"machine": {"cpu": "another"}, "versions": {"onnxruntime": "0.1"}}


def report(tmp_path: Path, timed: bool) -> dict[str, Any]:
    """What `assembled` makes of a build without any stage but `verify` and perhaps `benchmark`."""
    config = settings.load("embedded-classification")
    evaluation = SimpleNamespace(facts=dict)
    began: Any = SimpleNamespace(
        config=config, task=SimpleNamespace(name=config.task), train=None, evaluation=evaluation
    )
    folder: Any = SimpleNamespace(folder=tmp_path)
    (tmp_path / "verify.json").write_text("{}", encoding="utf-8")
    (tmp_path / "latency.json").write_text("{}", encoding="utf-8")
    return assembled(began, "command", None, [], folder, folder if timed else None)


def test_times_keep_the_machine_that_measured_them(tmp_path: Path) -> None:
    (tmp_path / environment.FILE).write_text(json.dumps(THEN), encoding="utf-8")
    found = report(tmp_path, timed=True)
    assert {key: found[key] for key in THEN} == THEN


@pytest.mark.parametrize("timed", [True, False])
def test_without_times_or_in_an_older_build_it_is_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, timed: bool
) -> None:
    monkeypatch.setattr(machine, "describe", lambda: {"cpu": "this"})
    monkeypatch.setattr(machine, "versions", lambda names: dict.fromkeys(names, "1.0"))
    if not timed:  # what the folder of a benchmark holds does not count where none is reported
        (tmp_path / environment.FILE).write_text(json.dumps(THEN), encoding="utf-8")
    found = report(tmp_path, timed)
    assert found["machine"] == {"cpu": "this"}
    assert found["versions"]["onnxruntime"] == "1.0" and "python" in found["versions"]
