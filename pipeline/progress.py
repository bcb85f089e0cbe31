# SPDX-License-Identifier: Apache-2.0
"""Progress of long work: a bar on a terminal, and in a log a line every 30 seconds.

A bar redraws itself with carriage returns, which a log keeps as one line of megabytes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO, TypeVar

from pipeline import ranks

T = TypeVar("T")

# Seconds between two lines: often enough to see that the work goes on, and some 100 lines an hour.
INTERVAL_S = 30.0

PLURALS = {"batch": "batches", "query": "queries"}  # of units that take more than an s


class Progress:
    """The progress of one piece of work, to be closed when it ends.

    Only the first of many processes shows anything.

    Args:
        label: names the work at the beginning of the bar or line.
        unit: one of what is counted, such as `step`.
        begin: how much an interrupted run had done before; the speed leaves it out.
        shown: False shows nothing.
        stream: to write to; standard error if not given.
        clock: gives seconds.
    """

    def __init__(
        self,
        label: str,
        *,
        unit: str = "step",
        begin: int = 0,
        shown: bool = True,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._label, self._unit, self._begin, self._clock = label, unit, begin, clock
        self._stream = sys.stderr if stream is None else stream
        self._shown = shown and ranks.FIRST
        self._began = self._last = clock()
        self._bar: Any = None
        if self._shown and self._stream.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                desc=label, initial=begin, leave=False, dynamic_ncols=True, file=self._stream
            )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Shows that `done` of `total` are done; `note` is a short remark, such as the loss."""
        if self._bar is not None:
            self._bar.total = total
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(done - self._bar.n)
            return
        now = self._clock()
        if self._shown and now - self._last >= INTERVAL_S:
            self._last = now
            print(self._line(done, total, note, now), file=self._stream, flush=True)

    def close(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.close()

    def _line(self, done: int, total: int, note: str, now: float) -> str:
        """`teacher: step 120 of 540, loss 1.93, 2.1 steps/s, about 3 min left`."""
        parts = [f"{self._label}: {self._unit} {done:,} of {total:,}"]
        parts += [note] if note else []
        if done > self._begin and now > self._began:
            rate = (done - self._begin) / (now - self._began)
            slow = f"{1 / rate:.1f} s a {self._unit}"
            units = PLURALS.get(self._unit, f"{self._unit}s")
            parts.append(f"{rate:.1f} {units}/s" if rate >= 1 else slow)
            parts.append(f"about {_rough((total - done) / rate)} left")
        return ", ".join(parts)


def tracked(
    items: Sequence[T], label: str, *, unit: str = "step", shown: bool = True
) -> Iterator[T]:
    """The items, with progress shown under `label` as :class:`Progress` does."""
    with Progress(label, unit=unit, shown=shown) as progress:
        for done, item in enumerate(items, start=1):
            yield item
            progress(done, len(items))


def _rough(seconds: float) -> str:
    """A duration as one would say it: `40 s`, `3 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
