# SPDX-License-Identifier: Apache-2.0
"""A phone measured from beginning to end: files pushed, profiled, the app asked, all removed."""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.device import adb, app_protocol, phone, profiles
from benchmarks.device.app_protocol import PACKAGE
from benchmarks.device.benchmark_model import Delegate, Graph
from benchmarks.measure import machine
from benchmarks.measure.device_schema import Machine
from benchmarks.measure.schema import (
    KIND,
    VERSION,
    Benchmark,
    Device,
    File,
    Profile,
    Queries,
    Run,
)
from benchmarks.measure.session import short
from converters import terminal

INTERRUPTED = "stopped by Ctrl-C or a signal"


@dataclass(frozen=True)
class Subject:
    """A file to profile: where it lies, what a report says of it, and its graphs by length."""

    path: Path
    described: File
    graphs: Mapping[int, Graph]


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        files: by their name in the report.
        program: benchmark_model for the phone; needed with files.
        lengths, threads, delegates: each with each.
        timing: of benchmark_model's runs.
        app: whether to run the app's benchmark; None runs it where it is installed.
        app_files: of the app; None is its default.
        apk: the app to install first, and to remove again if it was not there.
        queries, app_seconds: the least that the app asks.
        cool_to: degrees Celsius; None is one above the battery's at the start.
        cool_seconds: the longest wait.
        seed: of the app's order.
    """

    files: Mapping[str, Subject]
    program: Path | None
    lengths: Sequence[int]
    threads: Sequence[int]
    delegates: Sequence[Delegate]
    timing: profiles.Timing
    app: bool | None
    app_files: Sequence[str | None]
    apk: Path | None
    queries: int
    app_seconds: int
    cool_to: float | None
    cool_seconds: float
    seed: int


@dataclass
class Found:
    """What has been measured so far.

    `stopped` says why it is not all, and `exit_code` is not 0 where a signal stopped it.
    """

    device: Device
    machine: Machine
    profiles: list[Profile] = field(default_factory=list)
    documents: list[Benchmark] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    failed: bool = False
    stopped: str | None = None
    exit_code: int = 0


def measure(plan: Plan, tested: adb.Phone, tell: Callable[[str], None]) -> Found:
    """Measure everything in `plan`; what was measured before the phone went away is kept.

    Raises:
        ValueError: the program does not fit the phone.
        PhoneError: the phone refuses a file or the app before anything is measured.
    """
    before = phone.state(tested)
    found = Found(*phone.describe(tested, before), warnings=phone.doubts(before))
    for name, subject in plan.files.items():
        if left := [str(length) for length in plan.lengths if length not in subject.graphs]:
            found.warnings.append(f"{name} takes no {', '.join(left)} tokens: not measured")
    if plan.program is not None:
        profiles.check_program(plan.program, found.device["abis"])
    celsius = before["battery_celsius"]
    target = plan.cool_to
    if target is None and celsius is not None:
        target = celsius + phone.COOL_WITHIN
    cooler = phone.Cooler(tested, target, plan.cool_seconds, tell)
    with _left_as_it_was(plan, tested):
        remotes = _push(plan, tested, tell)
        with_app = tested.installed(PACKAGE)
        if plan.app and not with_app:
            raise adb.PhoneError(
                f"the app {PACKAGE} is not on the phone: install it, or give --apk"
            )
        try:
            places = [
                profiles.Place(name, remote, graph, length, threads, delegate)
                for delegate in plan.delegates
                for threads in plan.threads
                for length in plan.lengths
                for name, remote in remotes.items()
                if (graph := plan.files[name].graphs.get(length)) is not None
            ]
            for profile, broke, doubts in profiles.measure(
                tested, places, plan.timing, between=cooler.cool, tell=tell
            ):
                found.profiles.append(profile)
                found.failed |= broke
                found.warnings += doubts
            if with_app and plan.app is not False:
                _ask_app(plan, tested, found, cooler, tell)
            found.device["after"] = after = phone.state(tested)
            cooler.doubts += phone.doubts(after)
        except adb.PhoneError as error:
            found.stopped = str(error)
        except KeyboardInterrupt as stop:
            terminal.heard()  # the phone is tidied and the figures are written before the end
            found.stopped, found.exit_code = INTERRUPTED, terminal.stop_code(stop)
        found.warnings += cooler.doubts
    return found


@contextlib.contextmanager
def _left_as_it_was(plan: Plan, tested: adb.Phone) -> Iterator[None]:
    """Remove what was pushed and installed, whatever happens."""
    remove = plan.apk is not None and not tested.installed(PACKAGE)
    try:
        yield
    finally:
        terminal.heard()
        try:
            tested.clean()
            if remove:
                tested.shell(f"pm uninstall {PACKAGE}")
        except adb.PhoneError as error:
            left = f"{adb.FOLDER} may be left on the phone, and is removed by the next run"
            print(f"caution: {left}: {error}", file=sys.stderr)


def _push(plan: Plan, tested: adb.Phone, tell: Callable[[str], None]) -> dict[str, str]:
    """Bring everything to the phone; where the files lie there, by name."""
    tested.make_folder()
    remotes = {}
    if plan.program is not None:
        tested.push(plan.program, adb.PROGRAM, program=True)
    for number, (name, subject) in enumerate(plan.files.items()):
        tell(f"copying {name} to the phone")
        remotes[name] = tested.push(subject.path, f"{number}.tflite")
    if plan.apk is not None:
        tell(f"installing {plan.apk.name}")
        tested.install(plan.apk)
    return remotes


def _ask_app(
    plan: Plan,
    tested: adb.Phone,
    found: Found,
    cooler: phone.Cooler,
    tell: Callable[[str], None],
) -> None:
    """Run the app's benchmark with each number of threads on each of its files asked for."""
    for threads in plan.threads:
        for file in plan.app_files:
            cooler.cool()
            start = app_protocol.Start(
                run_id=app_protocol.new_run_id(),
                runs=plan.queries,
                seconds=plan.app_seconds,
                threads=threads,
                seed=plan.seed,
                file=file,
            )
            try:
                made = app_protocol.measure(tested, start, timeout=plan.timing.timeout, tell=tell)
            except app_protocol.AppError as error:
                found.failed = True
                asked = f"{file}, threads {threads}" if file else f"threads {threads}"
                found.warnings.append(f"the app, {asked}: {error}")
                continue
            for part in ("queries", "metrics"):
                if found.documents and made.get(part) != found.documents[0].get(part):
                    raise adb.PhoneError(f"the app has other {part} than in its run before")
            found.documents.append(made)


def assemble(plan: Plan, found: Found, command: str, created: str) -> Benchmark:
    """One document of what benchmark_model and the app measured.

    Args:
        plan: that was followed.
        found: see `Found`.
        command: how it was called, for the report.
        created: UTC, ISO 8601, the start.
    """
    apps = found.documents
    by_app: dict[str, File] = {file["name"]: file for one in apps for file in one["files"]}
    files, names = [], {}
    for name, subject in plan.files.items():
        mine = subject.described.copy()
        if (other := by_app.get(name)) is not None and other["sha256"] == mine["sha256"]:
            mine["scores"] = other["scores"]
            del by_app[name]
        elif other is not None:
            mine["name"] = short(subject.path)  # another file of the app's has the name
        names[name] = mine["name"]
        files.append(mine)
    runs: list[Run] = [run for one in apps for run in one["runs"]]
    versions: dict[str, str | None] = machine.versions(("distilbert-mobile", "adbutils"))
    ran = []
    if plan.program is not None:
        digest = hashlib.sha256(plan.program.read_bytes()).hexdigest()
        versions[adb.PROGRAM] = f"sha256 {digest}"
        ran.append(f"{adb.PROGRAM} with sha256 {digest[:12]}")
    for one in apps[:1]:
        versions |= one["versions"]
        assert one["device"] is not None
        ran.append(f"{one['device']['runtime']} in the app")
        found.device["app_version"] = one["device"]["app_version"]
    queries: Queries = {
        "source": "given",
        "sha256": None,
        "count": len(plan.lengths),
        "available": None,
        "tokens": list(plan.lengths),
    }
    warnings = [*found.warnings, *(line for one in apps for line in one["warnings"])]
    if found.stopped is not None:
        warnings.insert(0, f"NOT VALID, not all was measured: {found.stopped}")
    return {
        "kind": KIND,
        "schema_version": VERSION,
        "created": created,
        "command": command,
        "seed": plan.seed,
        "valid": found.stopped is None and all(run["too_short"] is None for run in runs),
        "warnings": list(dict.fromkeys(warnings)),
        "machine": found.machine,
        "device": {**found.device, "runtime": "; ".join(ran)},
        "load_average_after": None,
        "other_work_cores": None,
        "versions": versions,
        "queries": apps[0]["queries"] if apps else queries,
        "metrics": apps[0]["metrics"] if apps else [],
        "files": [*files, *by_app.values()],
        "runs": runs,
        "profiles": [{**one, "file": names[one["file"]]} for one in found.profiles],
    }
