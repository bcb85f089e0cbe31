# SPDX-License-Identifier: Apache-2.0
"""The memory probe against processes that answer, fail, hang or chatter."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.measure.memory import Probe, probe, probe_median

FIGURES = (
    '{"load_ms": 1, "first_ms": 2.5, "peak_rss_bytes": 200, "empty_rss_bytes": 100, '
    '"private_bytes": 70, "file_backed_bytes": 80, '
    '"empty_private_bytes": 30, "empty_file_backed_bytes": null}'
)
PROBE = Probe(1, 2.5, 200, 100, 70, 80, 30, None)


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_chatter_before_the_line_is_ignored() -> None:
    code = f"print('INFO: loaded')\nprint('{{}}')\nprint('{FIGURES}')"
    assert probe(_python(code)) == PROBE


def test_median_of_each_figure(tmp_path: Path) -> None:
    code = (
        f"import json, pathlib\nrun = pathlib.Path({str(tmp_path)!r})\n"
        "n = len(list(run.iterdir())); (run / str(n)).touch()\n"
        f"figures = json.loads('{FIGURES}')\n"
        "figures['load_ms'] = [5, 1, 9][n]; figures['peak_rss_bytes'] = [100, 300, 200][n]\n"
        "print(json.dumps(figures))"
    )
    assert probe_median(_python(code), 3) == replace(PROBE, load_ms=5)
    with pytest.raises(ValueError, match="got 0 runs"):
        probe_median(_python(code), 0)


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("", "printed ''"),
        ("not json", "printed 'not json'"),
        ("[1]", "one JSON object with load_ms"),
        ('{"load_ms": 1}', "one JSON object with load_ms"),
        (FIGURES.replace("2.5", "NaN"), "first_ms = nan"),
        (FIGURES.replace("100", "null"), "empty_rss_bytes = None"),
        (FIGURES.replace("200", "-1"), "peak_rss_bytes = -1"),
        (FIGURES.replace("200", '"200"'), "peak_rss_bytes = '200'"),
    ],
)
def test_anything_else_than_the_line_is_refused(printed: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        probe(_python(f"print({printed!r})"))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_failing_process_is_quoted_on_one_line() -> None:
    with pytest.raises(ChildProcessError, match=r"ended with 1.*no such model") as caught:
        probe([sys.executable, "-c", "raise SystemExit('no such\\nmodel')"])
    assert "\n" not in str(caught.value)


def test_a_process_that_cannot_start_is_named() -> None:
    with pytest.raises(ChildProcessError, match="cannot start: /no/such/program"):
        probe(["/no/such/program"])


@pytest.mark.parametrize("parent", ["time.sleep(60)", "pass"])  # "pass": only the child hangs
def test_a_hanging_process_is_ended_with_its_children(tmp_path: Path, parent: str) -> None:
    pid = tmp_path / "pid"
    code = (
        "import subprocess, pathlib, time\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        f"pathlib.Path({str(pid)!r}).write_text(str(child.pid))\n"
        f"{parent}"
    )
    start = time.monotonic()
    with pytest.raises(TimeoutError, match="did not end within 3 s"):
        probe(_python(code), timeout_s=3)
    assert time.monotonic() - start < 20
    assert not _runs(int(pid.read_text()))


def _runs(pid: int) -> bool:
    """Whether a process still does anything; one that nobody has waited for yet does not."""
    for _ in range(50):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        stat = Path(f"/proc/{pid}/stat")
        if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return False
        time.sleep(0.1)
    return True
