# SPDX-License-Identifier: Apache-2.0
"""Progress in a log is a line now and then; on a terminal it is a bar."""

from __future__ import annotations

import io

import pytest

from pipeline import progress
from pipeline.progress import Progress, tracked


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_log_gets_one_line_in_thirty_seconds_with_speed_and_what_is_left() -> None:
    log, now = io.StringIO(), [1000.0]
    with Progress("teacher", stream=log, clock=lambda: now[0]) as shown:
        for step in range(1, 541):
            now[0] += 0.5
            shown(step, 540, f"loss {2 - step / 1000:.3g}")
    lines = log.getvalue().splitlines()
    assert lines[0] == "teacher: step 60 of 540, loss 1.94, 2.0 steps/s, about 4 min left"
    assert lines[-1] == "teacher: step 540 of 540, loss 1.46, 2.0 steps/s, about 0 s left"
    assert len(lines) == 9, "540 steps of half a second are 270 seconds"
    assert "\r" not in log.getvalue()


def test_a_resumed_run_counts_its_speed_from_where_it_goes_on() -> None:
    log, now = io.StringIO(), [0.0]
    shown = Progress("student", begin=1000, stream=log, clock=lambda: now[0])
    now[0] = 40.0
    shown(1010, 2000)
    assert log.getvalue() == "student: step 1,010 of 2,000, 4.0 s a step, about 66 min left\n"


@pytest.mark.parametrize(("unit", "units"), [("batch", "batches"), ("query", "queries")])
def test_units_have_their_plural(unit: str, units: str) -> None:
    log, now = io.StringIO(), [0.0]
    shown = Progress("timing", unit=unit, stream=log, clock=lambda: now[0])
    now[0] = 40.0
    shown(80, 100)
    assert log.getvalue() == f"timing: {unit} 80 of 100, 2.0 {units}/s, about 10 s left\n"


def test_work_shorter_than_the_interval_and_work_not_shown_leave_no_line() -> None:
    log, now = io.StringIO(), [0.0]
    quick = Progress("scoring", unit="question", stream=log, clock=lambda: now[0])
    now[0] = 29.0
    quick(3, 3)
    hidden = Progress("hidden", shown=False, stream=log, clock=lambda: now[0])
    now[0] = 1e6
    hidden(1, 2)
    assert log.getvalue() == ""


def test_a_terminal_keeps_its_bar() -> None:
    terminal = Terminal()
    with Progress("teacher", stream=terminal) as shown:
        shown(1, 2, "loss 1.9")
        shown(2, 2, "loss 1.8")
    assert "teacher:" in terminal.getvalue() and "\r" in terminal.getvalue()
    assert "of 2" not in terminal.getvalue(), "a line of the log"


def test_tracked_items_are_all_given_and_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "INTERVAL_S", 0.0)
    assert list(tracked("abc", "scoring", unit="question")) == ["a", "b", "c"]
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        f"scoring: question {n} of 3" for n in (1, 2, 3)
    ]
