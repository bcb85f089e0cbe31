# SPDX-License-Identifier: Apache-2.0
"""Finds out which runtimes open an exported file, and which of them compute it correctly.

    python -m converters.compat --install student-int8.tflite

The command runs each file in every runtime that is installed, and compares logits, answers and
times with those of the reference on this machine, LiteRT for .tflite files. Some runtimes open a
file and compute wrong results without an error; the table marks them as WRONG.

Exit code: 0 every runtime is right, 1 a runtime computes wrong results or fails a file that it
should run according to the file's operator versions, 2 a mistake in the command or its files.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from converters import ConversionError, reader, terminal
from converters.compat.cases import (
    TASK_LENGTH,
    Case,
    Logits,
    read_cases,
    task_library_answer,
    undescribed,
)
from converters.compat.environments import (
    CLASSIFIERS,
    RUNTIMES,
    Runtime,
    command,
    install,
    missing,
)
from converters.compat.limits import largest_error
from converters.compat.process import RefusalError, Worker, WorkerError
from converters.interface import CLASSES, interface_of
from converters.runtimes import checksums

# Share of the answers that may differ; one always may, a near tie.
LIMIT_CHANGED = 0.1

# An emulated processor is slow: fewer questions, and more patience with each.
_EMULATED_CASES, _EMULATED_PATIENCE, _LONGEST_SECONDS = 6, 10, 100_000

# Workers that take a text, not token ids.
_TEXT_WORKERS = ("tasks", "mediapipe")


@dataclass
class Row:
    """The results of one file in one runtime; None for figures that were not measured.

    `kernels` are the instructions for 8-bit products that an emulated LiteRT executed: it does not
    say itself which kernels it chose.
    """

    runtime: str
    opens: bool | None = None
    resizes: bool | None = None
    error: float | None = None
    golden_error: float | None = None
    equal: tuple[int, int] | None = None
    ms: float | None = None
    slower: float | None = None
    verdict: str = ""
    failed: bool = False
    kernels: tuple[str, ...] | None = None


def examine(
    file: Path,
    runtimes: Sequence[Runtime],
    root: Path,
    *,
    count: int = 24,
    timeout: float = 60,
) -> list[Row]:
    """Run a file in each runtime for its format; the first of them is the reference.

    Args:
        file: a .tflite or .onnx file.
        runtimes: the runtimes to try.
        root: the folder of their environments.
        count: the largest number of questions to run.
        timeout: the time limit of a request, in seconds.

    Raises:
        ConversionError: the reference does not run the file, or a golden file is damaged.
    """
    fitting = [runtime for runtime in runtimes if runtime.suffix == file.suffix]
    if not fitting:
        known = ", ".join(dict.fromkeys(runtime.suffix for runtime in runtimes))
        raise ConversionError(f"{file} is none of {known}: nothing here runs it")
    cases, needs = read_cases(file, count), needs_of(file)
    limit = largest_error(file)
    if reason := missing(fitting[0], root):
        raise ConversionError(f"{fitting[0].name} is the reference and is missing: {reason}")
    reference = Worker(command(fitting[0], root), timeout)
    try:
        reference.ask(open=str(file), threads=1)
        expected = [reference.logits(case.request(), 1)[0] for case in cases]
    except WorkerError as error:
        reference.close()
        raise ConversionError(f"{fitting[0].name} {error}: export {file} again") from error
    try:
        return [
            _judge(_Trial(file, runtime, root, cases, expected, reference, timeout), needs, limit)
            for runtime in fitting
        ]
    finally:
        reference.close()


@dataclass
class _Trial:
    """One file in one runtime."""

    file: Path
    runtime: Runtime
    root: Path
    cases: list[Case]
    expected: list[Logits]
    reference: Worker
    timeout: float


def _judge(trial: _Trial, needs: dict[str, str], limit: float) -> Row:
    """Run the trial and describe the result."""
    runtime = trial.runtime
    row = Row(runtime.name)
    if reason := missing(runtime, trial.root):
        row.verdict = f"not installed: {reason}"
        return row
    if runtime.worker[0] in _TEXT_WORKERS and (
        reason := undescribed(trial.file) or several_lengths(runtime, trial.file)
    ):
        row.verdict = f"not run: {reason}"
        return row
    newer = [
        f"{kind} {needs[key]}"
        for kind, key in (("TensorFlow Lite", "tensorflow"), ("LiteRT", "litert"))
        if getattr(runtime, key) and key in needs and older(getattr(runtime, key), needs[key])
    ]
    patience = trial.timeout * (_EMULATED_PATIENCE if runtime.emulated else 1)
    worker = Worker(command(runtime, trial.root), patience)
    try:
        worker.ask(open=str(trial.file), threads=1)
        row.opens = True
        if runtime.worker[0] in _TEXT_WORKERS:
            _answer_texts(trial, worker, row)
        else:
            _compare_logits(trial, worker, row)
        row.kernels = tuple(worker.ask(kernels=True)["kernels"]) if runtime.emulated else None
    except WorkerError as error:
        row.opens = bool(row.opens)
        row.failed = not newer
        expected = f"as expected, the file needs {newer[0]}" if newer else "it should run the file"
        row.verdict = f"{error} ({expected})"
        return row
    finally:
        worker.close()
    low = min(float(logits.min()) for logits in trial.expected)
    span = max(float(logits.max()) for logits in trial.expected) - low
    wrong = [
        f"logits off by {error:.3g} {of}, {100 * error / span:.1f} % of their range"
        for error, of in ((row.error, "against the reference"), (row.golden_error, "when exported"))
        if error is not None and not error <= limit * span  # NaN is wrong
    ]
    if row.equal and (differ := row.equal[1] - row.equal[0]):
        # One may be a near tie; but where nothing else is compared, one must be equal.
        alone = row.error is None and not row.equal[0]
        if alone or differ > max(1, LIMIT_CHANGED * row.equal[1]):
            wrong.append(f"{differ} of {row.equal[1]} answers differ")
    row.failed = bool(wrong)
    said = f"WRONG, without an error: {'; '.join(wrong)}" if wrong else row.verdict or "right"
    if row.kernels is not None:
        said += f"; 8-bit products by {', '.join(row.kernels) or 'none of Arm'}"
    row.verdict = said
    return row


def _compare_logits(trial: _Trial, worker: Worker, row: Row) -> None:
    """Run every question, alternating with the reference so that a busy machine slows both."""
    emulated = trial.runtime.emulated
    errors, golden, same, ratios, times = [], [], 0, [], []
    pairs = list(zip(trial.cases, trial.expected, strict=True))
    for case, expected in pairs[:_EMULATED_CASES] if emulated else pairs:
        request = case.request()
        try:
            if row.resizes is False:
                request = case.request(TASK_LENGTH)
            logits, ms = worker.logits(request, 1 if emulated else 2)
            row.resizes = row.resizes is not False
        except RefusalError:
            if row.resizes is not None:  # it worked before, or padding did not help
                raise
            row.resizes = False
            logits, ms = worker.logits(case.request(TASK_LENGTH), 1)
            row.verdict = f"right, but does not resize: pad to {TASK_LENGTH}"
        logits = case.cut(logits)
        errors.append(float(np.abs(logits - expected).max()))
        if trial.file.name in case.golden:
            golden.append(float(np.abs(logits - case.golden[trial.file.name]).max()))
        same += case.best(logits) == case.best(expected)
        times.append(ms)
        if not emulated:
            ratios.append(ms / trial.reference.logits(case.request(), 2)[1])
    row.error = float(np.max(errors))  # NaN stays NaN
    row.golden_error = float(np.max(golden)) if golden else None
    row.equal = (same, len(errors))
    if not emulated:
        row.ms, row.slower = statistics.median(times), statistics.median(ratios)


def _answer_texts(trial: _Trial, worker: Worker, row: Row) -> None:
    """Run a library that takes text on plain ASCII, because it tokenizes other text differently."""
    # It pads a passage, and runs a text at its own length.
    row.resizes = None if any(case.text for case in trial.cases) else False
    same, times, ratios = 0, [], []
    for case, expected in zip(trial.cases, trial.expected, strict=True):
        told = case.text or case.question + case.context
        if not case.complete or not told or not told.isascii():
            continue
        if case.text:
            reply = worker.ask(text=case.text)
            same += case.best(np.asarray([reply["scores"]])) == case.best(expected)
        else:
            reply = worker.ask(question=case.question, context=case.context)
            same += reply["answer"] == task_library_answer(case, expected)
        times.append(float(reply["ms"]))
        ratios.append(times[-1] / trial.reference.logits(case.request(), 2)[1])
    if not times:
        row.verdict = "opens; nothing to run: no golden.json with plain ASCII beside the file"
        return
    row.equal = (same, len(times))
    row.ms, row.slower = statistics.median(times), statistics.median(ratios)


@reader
def needs_of(file: str | Path) -> dict[str, str]:
    """The releases that a .tflite file needs, by the name of the field of `Runtime`."""
    file = Path(file)
    if file.suffix != ".tflite":
        return {}
    from converters.tflite import file as tflite_file
    from converters.tflite import versions as tflite_versions

    lowest = tflite_versions.lowest_runtime(tflite_file.read(file))
    return {"tensorflow": lowest.tensorflow, "litert": lowest.litert, "reason": lowest.reason}


def _runtimes(file: Path) -> Sequence[Runtime]:
    """The runtimes for the outputs of a file; the arm64 program gives no classes."""
    if file.suffix != ".tflite":
        return RUNTIMES
    from converters.tflite.file import describe

    if interface_of(tensor.name for tensor in describe(file).outputs) is not CLASSES:
        return RUNTIMES
    others = [each for each in RUNTIMES if each.worker[0] not in ("tasks", "program")]
    return (*others, *CLASSIFIERS)


def several_lengths(runtime: Runtime, file: Path) -> str:
    """The reason why MediaPipe refuses a file with a graph for each length; "" if it does not."""
    from converters.tflite import file as tflite_file

    if runtime.worker[0] != "mediapipe" or len(tflite_file.read(file).subgraphs) == 1:
        return ""
    return "it takes a single graph, and the file has one for each of its lengths"


def older(release: str, needed: str) -> bool:
    """Whether a release, such as 2.12.0, comes before another one."""
    from converters.tflite.versions import order

    return order(release) < order(needed)


def table(rows: Sequence[Row]) -> str:
    """The rows as lines of text with aligned columns."""

    def word(value: bool | None) -> str:
        return {True: "yes", False: "no", None: "-"}[value]

    cells: list[tuple[str, ...]] = [
        ("runtime", "opens", "resizes", "error", "golden", "equal", "ms", "times", "verdict")
    ]
    for row in rows:
        figures = (
            *(f"{each:.2g}" if each is not None else "-" for each in (row.error, row.golden_error)),
            f"{row.equal[0]}/{row.equal[1]}" if row.equal else "-",
            f"{row.ms:.1f}" if row.ms is not None else "-",
            f"{row.slower:.1f}" if row.slower is not None else "-",
        )
        cells.append((row.runtime, word(row.opens), word(row.resizes), *figures, row.verdict))
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


@terminal.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the module documents the exit code that it returns."""
    parser = argparse.ArgumentParser(
        prog="python -m converters.compat",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("files", type=Path, nargs="*", metavar="FILE", help="Run this .tflite or .onnx file.")
    add(
        "--environments",
        type=Path,
        default=Path(".compat"),
        metavar="FOLDER",
        help="Use the environments of the runtimes in this folder (default: .compat).",
    )
    add("--install", action="store_true", help="Create missing environments first (4 GB).")
    add(
        "--cases",
        type=int,
        default=24,
        help="Run at most this many questions or texts of golden.json (default: 24).",
    )
    add(
        "--no-verify",
        action="store_false",
        dest="verify",
        help="Do not compare the files with the checksums in the model.json beside them.",
    )
    add(
        "--timeout",
        type=float,
        default=60,
        help="Stop a runtime that takes longer than this many seconds for a request, ten times as "
        "long under emulation (default: 60).",
    )
    options = parser.parse_args(arguments)
    patient = 0 < options.timeout <= _LONGEST_SECONDS  # which no NaN is
    if options.cases < 1 or not patient or not (options.files or options.install):
        most = f"{_LONGEST_SECONDS:,} seconds"
        parser.error(f"pass files, --cases of at least 1 and --timeout above 0, up to {most}")
    environments = {runtime.folder: runtime for runtime in (*RUNTIMES, *CLASSIFIERS)}
    for runtime in environments.values() if options.install else ():
        try:
            install(runtime, options.environments)
        except ConversionError as error:  # its row will say so as well
            print(f"not installed: {error}", file=sys.stderr)
    failed = False
    for file in options.files:
        with checksums.unchanged([file]):
            unchecked = checksums.verify_all([file], skip=not options.verify)
            needs = needs_of(file)
            checksums.note(unchecked)
            rows = examine(
                file,
                _runtimes(file),
                options.environments,
                count=options.cases,
                timeout=options.timeout,
            )
        terminal.say(f"{file}: {file.stat().st_size / 1e6:.1f} MB")
        if needs:
            print(
                f"needs TensorFlow Lite {needs['tensorflow']} or LiteRT {needs['litert']}: "
                f"{needs['reason']}"
            )
        print(table(rows) + "\n", flush=True)
        failed |= any(row.failed for row in rows)
    if failed:
        print("a runtime gives wrong answers or fails a file that it should run", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
