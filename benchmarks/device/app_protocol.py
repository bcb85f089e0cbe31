# SPDX-License-Identifier: Apache-2.0
"""The Android app's own benchmark: how it is started, what it logs, and its document.

The app asks its questions on the phone, tokenizing and decoding included, and writes the JSON of
`benchmarks/measure/schema.py`; where its file cannot be read, the log holds the same text in
pieces.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

from benchmarks.device.adb import Phone, PhoneError
from benchmarks.measure.schema import Benchmark, read

PACKAGE = "distilbert.mobile.app"
ACTIVITY = f"{PACKAGE}/.BenchmarkActivity"
TAG = "DistilbertBenchmark"
DOCUMENT = f"/sdcard/Android/data/{PACKAGE}/files/benchmark-{{run_id}}.json"

# The app logs its progress every few seconds; after so long a look whether it still lives.
LOOK_SECONDS = 5.0

_LINE = re.compile(r"(BEGIN|PROGRESS|JSON|DONE|FAILED) ([A-Za-z0-9_-]{1,64})(?: (.*))?", re.DOTALL)
_CHUNK = re.compile(r"([0-9]{1,9})/([0-9]{1,9}) (.*)", re.DOTALL)


class AppError(Exception):
    """The app's benchmark did not end well."""


@dataclass(frozen=True)
class Start:
    """What the app is asked for; None leaves it to the app's default.

    `lengths` is "natural", "padded" or "both"; `runs` and `seconds` are the least of each subject
    and in all; `file` is one of the app's files, `pad_to` the length of padded inputs.
    """

    run_id: str
    lengths: str = "both"
    runs: int = 1024
    seconds: int = 60
    threads: int = 4
    seed: int = 0
    file: str | None = None
    pad_to: int | None = None

    def arguments(self) -> list[str]:
        """The arguments of `am` that start the app."""
        extras: list[tuple[str, str, object]] = [
            ("--es", "run_id", self.run_id),
            ("--es", "lengths", self.lengths),
            ("--ei", "runs", self.runs),
            ("--ei", "seconds", self.seconds),
            ("--ei", "threads", self.threads),
            ("--ei", "seed", self.seed),
            ("--es", "file", self.file),
            ("--ei", "pad_to", self.pad_to),
        ]
        given = [(kind, name, str(value)) for kind, name, value in extras if value is not None]
        return ["start", "-W", "-n", ACTIVITY, *(part for extra in given for part in extra)]


@dataclass
class Log:
    """What one run has logged so far; lines of other runs and of others are passed over.

    Attributes:
        run_id: of the run.
        progress: its last words of progress.
        path: of its document; the run is done when there is one.
        failed: why it failed.
    """

    run_id: str
    progress: str = ""
    path: str | None = None
    failed: str | None = None
    _chunks: dict[int, str] = field(default_factory=dict)
    _count: int = 0

    def add(self, line: str) -> bool:
        """Take in one line; says whether it was this run's."""
        found = _LINE.fullmatch(line)
        if found is None or found[2] != self.run_id:
            return False
        kind, rest = found[1], found[3] or ""
        if kind == "PROGRESS":
            self.progress = rest
        elif kind == "DONE":
            self.path = rest
        elif kind == "FAILED":
            self.failed = rest or "without a reason"
        elif kind == "JSON" and (chunk := _CHUNK.fullmatch(rest)):
            self._chunks[int(chunk[1])] = chunk[3]
            self._count = int(chunk[2])
        return True

    def document(self) -> str | None:
        """The document's text from its pieces; None where one is missing."""
        wanted = range(1, self._count + 1)
        if not wanted or len(self._chunks) < len(wanted):
            return None
        pieces = [self._chunks.get(number) for number in wanted]
        return None if None in pieces else "".join(filter(None, pieces))


def new_run_id() -> str:
    """A name that no run before has had, so that its lines in the log are known."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"


def measure(
    phone: Phone, start: Start, *, timeout: float, tell: Callable[[str], None]
) -> Benchmark:
    """Run the app's benchmark once and return its document.

    Args:
        phone: with the app on it.
        start: what is asked for.
        timeout: seconds without a word after which the run is given up.
        tell: is given its progress.

    Raises:
        AppError: it failed, ended or fell silent, or its document is none.
        PhoneError: the phone refuses or went away.
    """
    try:
        return _measure(phone, start, timeout, tell)
    finally:  # nothing runs on, nothing stays on the phone; where it is gone, there is none to tell
        with contextlib.suppress(PhoneError):
            path = shlex.quote(DOCUMENT.format(run_id=start.run_id))
            phone.shell(f"am force-stop {PACKAGE}; rm -f {path}")


def _measure(phone: Phone, start: Start, timeout: float, tell: Callable[[str], None]) -> Benchmark:
    log = Log(start.run_id)
    since = phone.text("date '+%m-%d %H:%M:%S.000'")
    with contextlib.closing(phone.log(TAG, since, LOOK_SECONDS)) as lines:
        # A process of its own, whose memory is the benchmark's; behind a dark screen it is slow.
        phone.shell(f"am force-stop {PACKAGE}; input keyevent KEYCODE_WAKEUP")
        started = phone.shell(shlex.join(["am", *start.arguments()]))
        if started.code or re.search(r"^Error", started.output, re.MULTILINE):
            raise AppError(f"the app does not start: {' '.join(started.output.split())[:300]}")
        heard, dead = time.monotonic(), False
        for line in lines:
            before = log.progress
            if line is not None and log.add(line):
                heard = time.monotonic()
                if log.progress != before:
                    tell(f"app, threads {start.threads}: {log.progress}")
            if log.failed is not None:
                raise AppError(f"the app says: {log.failed}")
            if log.path is not None:
                break
            if time.monotonic() - heard > timeout:
                raise AppError(f"the app said nothing for {timeout:g} s, and was stopped")
            if line is None:
                if dead:  # since the last look: nothing that it logged is still on its way
                    raise AppError(
                        "the app ended before its benchmark did: adb logcat -b crash tells why"
                    )
                dead = not phone.text(f"pidof {PACKAGE}")
    return _read(phone, log)


def _read(phone: Phone, log: Log) -> Benchmark:
    """The document from its file, or from the log: Android lets not every adb read an app's."""
    assert log.path is not None
    try:
        text: str | None = phone.read(log.path).decode("utf-8")
    except (PhoneError, UnicodeDecodeError):
        text = log.document()
    if text is None:
        raise AppError(f"the phone does not give {log.path}, and its log lost a part of it")
    return document(text)


def document(text: str) -> Benchmark:
    """The app's document, of the current schema and with the intervals that the app leaves out.

    Raises:
        AppError: it is not JSON, or not of the schema.
    """
    try:
        found = json.loads(text, parse_constant=_no_constant)
    except ValueError as error:
        raise AppError(f"the app's document is not JSON ({error})") from error
    try:
        whole = read(found)
    except ValueError as error:
        raise AppError(f"the app's document is not valid: {error}") from error
    if whole["device"] is None:
        raise AppError("the app's document names no device")
    return whole


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
