# SPDX-License-Identifier: Apache-2.0
"""Files under `benchmark_model` on a phone: every length, number of threads and delegate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.device import benchmark_model
from benchmarks.device.adb import Phone, Ran, SilentError
from benchmarks.device.benchmark_model import Delegate, Graph, Printed
from benchmarks.measure.schema import Profile

# Above it, something else had the processor, or the phone lowered its clocks.
LARGEST_SPREAD = 0.2

# e_machine of an ELF file, as Android calls the instruction set.
MACHINES = {40: "armeabi-v7a", 183: "arm64-v8a", 3: "x86", 62: "x86_64", 243: "riscv64"}


@dataclass(frozen=True)
class Timing:
    """How each is timed: `runs` and `seconds` at least, given up after `timeout` silent seconds."""

    runs: int
    seconds: float
    timeout: float


@dataclass(frozen=True)
class Place:
    """What one profile is of; `graph` is that of `length` tokens in the file at `remote`."""

    file: str
    remote: str
    graph: Graph
    length: int
    threads: int
    delegate: Delegate

    def __str__(self) -> str:
        plural = "" if self.threads == 1 else "s"
        return f"{self.file}, {self.delegate}, {self.threads} thread{plural}, {self.length} tokens"


def check_program(path: Path, abis: Sequence[str]) -> None:
    """Check that a program is one for the phone.

    Raises:
        ValueError: it is none, or one for other processors.
    """
    try:
        with path.open("rb") as file:
            head = file.read(20)
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    if head[:4] != b"\x7fELF" or len(head) < 20:
        raise ValueError(f"{path} is no program for Android: an ELF file is needed")
    machine = int.from_bytes(head[18:20], "little")
    abi = MACHINES.get(machine, f"machine {machine}")
    if abis and abi not in abis:
        raise ValueError(f"{path} is for {abi}, and the phone runs {', '.join(abis)}")


def measure(
    phone: Phone,
    places: Sequence[Place],
    timing: Timing,
    *,
    between: Callable[[], None],
    tell: Callable[[str], None],
) -> Iterator[tuple[Profile, bool, list[str]]]:
    """Profile one place after the other, with the program that was pushed.

    Args:
        phone: with program and files pushed.
        places: in the order that they are measured in.
        timing: see `Timing`.
        between: called before each.
        tell: is given a line of progress.

    Yields:
        A profile; whether something broke, which is more than a delegate that does not take the
        graph; and what makes its figures doubtful.
    """
    for number, place in enumerate(places, 1):
        between()
        tell(f"{number} of {len(places)}: {place}")
        yield _one(phone, place, timing)


def _one(phone: Phone, place: Place, timing: Timing) -> tuple[Profile, bool, list[str]]:
    call = partial(
        benchmark_model.arguments,
        place.remote,
        place.graph,
        length=place.length,
        threads=place.threads,
        delegate=place.delegate,
        runs=timing.runs,
        seconds=timing.seconds,
        at_most=timing.timeout / 2,  # so that silence means that it hangs
    )
    doubts: list[str] = []
    try:
        timed, part = _call(phone, call(profiled=False), place, timing.timeout)
    except _FailedError as failed:
        return _profile(place, None, None, str(failed)), failed.fault, doubts
    if part is not None:
        doubts.append(f"{place.file}: {part}")
    if timed.std_ms is not None and timed.std_ms > LARGEST_SPREAD * timed.average_ms:
        percent = 100 * timed.std_ms / timed.average_ms
        doubts.append(f"{place}: times varied by {percent:.0f} % (standard deviation)")
    try:
        profiled, _ = _call(phone, call(profiled=True), place, timing.timeout)
    except _FailedError as failed:
        doubts.append(f"{place}: not profiled, and its memory not watched: {failed}")
        return _profile(place, timed, None, None), failed.fault, doubts
    return _profile(place, timed, profiled, None), False, doubts


class _FailedError(Exception):
    """There are no figures; `fault` says whether that is more than an unsupported graph."""

    def __init__(self, why: str, fault: bool = True) -> None:
        super().__init__(why)
        self.fault = fault


def _call(
    phone: Phone, arguments: Sequence[str], place: Place, timeout: float
) -> tuple[Printed, str | None]:
    """The figures of one call, and what of the graph a delegate other than the CPU's left."""
    try:
        ran = phone.run(arguments, timeout)
    except SilentError as error:
        raise _FailedError(f"said nothing for {timeout:g} s, and was killed") from error
    cpu = place.delegate == "cpu"
    if ran.code > 128:
        raise _FailedError(f"crashed with {_signal(ran.code - 128)}: {_words(ran)}")
    if ran.code:
        raise _FailedError(f"ended with {ran.code}: {_words(ran)}", fault=cpu)
    if (why := benchmark_model.not_run(ran.output, place.delegate)) is not None:
        raise _FailedError(why, fault=cpu)
    try:
        found = benchmark_model.parse(ran.output)
    except ValueError as error:
        raise _FailedError(str(error)) from error
    return found, None if cpu else benchmark_model.share(ran.output, place.delegate)


def _profile(
    place: Place, timed: Printed | None, profiled: Printed | None, failed: str | None
) -> Profile:
    return {
        "file": place.file,
        "delegate": place.delegate,
        "threads": place.threads,
        "length": place.length,
        "failed": failed,
        "runs": timed.runs if timed else None,
        "init_ms": timed.init_ms if timed else None,
        "first_ms": timed.first_ms if timed else None,
        "warmup_ms": timed.warmup_ms if timed else None,
        "average_ms": timed.average_ms if timed else None,
        "p50_ms": timed.p50_ms if timed else None,
        "p90_ms": timed.p90_ms if timed else None,
        "p99_ms": timed.p99_ms if timed else None,
        "peak_memory_bytes": profiled.peak_memory_bytes if profiled else None,
        "operators": profiled.operators if profiled else None,
    }


def _signal(number: int) -> str:
    """A signal by its name on Android, which is Linux's, whatever this computer's are."""
    known = {4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 11: "SIGSEGV", 31: "SIGSYS"}
    known[9] = "SIGKILL, for want of memory?"
    return known.get(number, f"signal {number}")


def _words(ran: Ran) -> str:
    """What a program said last: its complaints, or else its last line."""
    lines = ran.output.strip().splitlines()
    return benchmark_model.said(ran.output) or (lines[-1].strip()[:300] if lines else "no word")
