# SPDX-License-Identifier: Apache-2.0
"""A process that runs files in a runtime of the matrix."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from converters.compat.cases import Logits
from converters.interface import CLASSES, INPUTS, SPANS


class WorkerError(Exception):
    """A worker crashed, hung or said nonsense, or refused; one line."""


class RefusalError(WorkerError):
    """A runtime reported an error and lives on."""


class Worker:
    """A process that runs files in a runtime; see `worker.py`."""

    def __init__(self, arguments: Sequence[str], timeout: float) -> None:
        """Start it; `timeout` is the patience with each request, in seconds."""
        self.timeout = timeout
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._noise,
            text=True,
            start_new_session=True,  # its children can be ended with it
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and return the reply.

        Raises:
            WorkerError: it failed in any way; the message says how.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it is dead: what it left tells why
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        try:
            line = self._lines.get(timeout=self.timeout)
        except queue.Empty:
            raise WorkerError(f"hangs: no reply within {self.timeout:g} s") from None
        if not line:
            self._lines.put("")  # and whoever asks again learns the same
            raise WorkerError(f"crashes: {self._last_words()}")
        try:
            reply = json.loads(line)
        except ValueError:
            raise WorkerError(f"says {line.strip()[:80]!r} instead of JSON") from None
        if "error" in reply:
            raise RefusalError(f"refuses: {reply['error']}")
        return dict(reply)

    def logits(self, request: dict[str, list[int]], repeat: int) -> tuple[Logits, float]:
        """The logits of an input and the milliseconds of the fastest run.

        They are those of starts and ends, (2, S), or of classes, (1, C).
        """
        reply = self.ask(**request, repeat=repeat)
        length = len(request[INPUTS[0]])
        if CLASSES.names[0] in reply:
            return np.asarray([reply[CLASSES.names[0]]], np.float32), float(reply["ms"])
        found = [np.asarray(reply.get(name, ()), np.float32) for name in SPANS.names]
        if {each.shape for each in found} != {(length,)}:
            shapes = [each.shape for each in found]
            raise WorkerError(f"gives logits of shape {shapes} for {length} tokens")
        return np.stack(found), float(reply["ms"])

    def _last_words(self) -> str:
        code = self._process.wait()
        self._noise.seek(0)
        lines = self._noise.read().decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"ended with {code}: {said[-1][:200] if said else 'it said nothing'}"

    def close(self) -> None:
        """End the process and whatever it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._noise):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]
