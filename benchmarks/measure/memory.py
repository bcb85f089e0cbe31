# SPDX-License-Identifier: Apache-2.0
"""Cold start and memory of a subject, in a process of its own.

A process that has imported a training framework says nothing about the memory an app needs, so
each subject is loaded in a fresh one, which measures itself and prints a line of JSON with the
fields of :class:`Probe` last (`python -m converters.runtimes.probe FILE` does).
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

# Cold starts are noisy: a report has the median of so many.
PROBES = 3

# Enough of a failed process's last words to see its reason, on one line.
ERROR_CHARACTERS = 300


@dataclass(frozen=True)
class Probe:
    """One cold start: times in milliseconds, resident memory in bytes.

    `empty_rss_bytes` is what the process held before loading (the interpreter and the runtime
    library), `peak_rss_bytes` the most it ever held, the first answer included. In the end it held
    `private_bytes` (anonymous pages, its own) and `file_backed_bytes` (mapped from the model, a
    weight cache or libraries, and droppable), before loading `empty_private_bytes` and
    `empty_file_backed_bytes`; None where the system does not tell.
    """

    load_ms: float
    first_ms: float
    peak_rss_bytes: int
    empty_rss_bytes: int
    private_bytes: int | None
    file_backed_bytes: int | None
    empty_private_bytes: int | None
    empty_file_backed_bytes: int | None


# Figures that only some systems tell.
OPTIONAL = frozenset(field.name for field in fields(Probe) if field.type == "int | None")
NAMES = tuple(field.name for field in fields(Probe))


def probe(command: Sequence[str], timeout_s: float = 300) -> Probe:
    """Run `command` in a process of its own and read the one JSON line it prints last.

    Args:
        command: program and arguments; no shell is involved.
        timeout_s: seconds after which the process and its children are killed.

    Raises:
        ChildProcessError: it could not be started or ended with an error.
        TimeoutError: it did not end in time.
        ValueError: what it printed last is not a line with the fields of `Probe`.
    """
    shown = " ".join(" ".join(command).split())  # one line, whatever the arguments hold
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # a process group of its own: children can be ended with it
        )
    except OSError as error:
        raise ChildProcessError(f"memory probe cannot start: {shown}: {error.strerror}") from error
    try:
        out, err = process.communicate(timeout=timeout_s)
    except BaseException as error:  # an interrupt, too, must not leave processes behind
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        raise TimeoutError(
            f"memory probe did not end within {timeout_s:g} s: {shown}: give it more time or "
            "run it by hand"
        ) from None
    if process.returncode != 0:
        said = " ".join(err.split())[-ERROR_CHARACTERS:] or "it said nothing"
        raise ChildProcessError(f"memory probe ended with {process.returncode}: {shown}: {said}")
    return _parse(out, shown)


def probe_median(command: Sequence[str], runs: int, timeout_s: float = 300) -> Probe:
    """Probe `runs` times and take each figure's median.

    Raises:
        ValueError: `runs` is below 1; and whatever `probe` raises.
    """
    if runs < 1:
        raise ValueError(f"got {runs} runs of the memory probe; at least 1 is needed")
    probes = [probe(command, timeout_s) for _ in range(runs)]
    columns = {name: [getattr(one, name) for one in probes] for name in NAMES}
    return Probe(**{name: _median(name, values) for name, values in columns.items()})


def _median(name: str, values: Sequence[float | None]) -> Any:
    """The median of one figure; None if a run had none."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    middle = statistics.median(known)
    return round(middle) if name.endswith("_bytes") else middle


def _parse(out: str, shown: str) -> Probe:
    """Read a probed process's standard output; libraries may have chatted before the last line."""
    lines = out.strip().splitlines()
    last = lines[-1] if lines else ""
    try:
        figures = json.loads(last)
    except ValueError:
        figures = None
    if not isinstance(figures, dict) or set(figures) != set(NAMES):
        raise ValueError(
            f"memory probe printed {last[:ERROR_CHARACTERS]!r}; the last line must be one JSON "
            f"object with {', '.join(NAMES)}: {shown}"
        )
    for name, value in figures.items():
        if value is None and name in OPTIONAL:
            continue
        if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
            raise ValueError(f"memory probe printed {name} = {value!r}; a number >= 0 is needed")
    return Probe(**figures)
