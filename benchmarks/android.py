# SPDX-License-Identifier: Apache-2.0
"""Measures the latency, memory and operators of .tflite files on a phone through adb.

    python -m benchmarks.android student-int8.tflite --benchmark-model path/to/benchmark_model

The command runs LiteRT's benchmark_model for each length, number of threads and delegate. If the
demo app is installed, it then runs the app's own benchmark with real questions. The phone cools
down between runs, and the command restores it afterwards. If a delegate runs no part of a file, the
report says so and does not show the times of the CPU in its place.

benchmark_model is a part of LiteRT. Build it with

    bazel build -c opt --config=android_arm64 //tflite/tools/benchmark:benchmark_model

in github.com/google-ai-edge/LiteRT, or download a nightly build from
https://ai.google.dev/edge/litert/models/measurement. Nobody publishes checksums of nightly builds,
so --benchmark-model-url needs the checksum of the build that you examined.

Exit code: 0 measured, 1 a run failed and the figures of the others are written, 2 a mistake in the
command or no usable phone, 130 stopped by Ctrl-C, and 143 by SIGTERM, with the figures so far
written. A GPU or NNAPI that does not accept a file is a result, not a failure, as long as there are
any figures.
"""

from __future__ import annotations

import argparse
import datetime
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.arguments import add_verify_flag, amount, hidden
from benchmarks.device import adb, benchmark_model, download, profiles
from benchmarks.device.session import INTERRUPTED, Plan, Subject, assemble, measure
from benchmarks.page import page
from benchmarks.page.console import show
from benchmarks.plan import FEWEST_PIECES
from benchmarks.subjects import describe, named
from converters import ConversionError, terminal, whole_file
from converters.interface import INPUTS
from converters.runtimes import checksums
from converters.runtimes.weights import vocabulary_size

LENGTHS = (64, 128, 192, 256, 384)
THREADS = (1, 2, 4)
RUNS, SECONDS = 50, 2.0
TIMEOUT, COOL_SECONDS = 300.0, 120.0
APP_QUERIES, APP_SECONDS = 1024, 60

# Enough to see that everything works, but far too few for a valid figure.
QUICK_RUNS = 5
QUICK_QUERIES = 8

HOW = "see python -m benchmarks.android --help for where to get it"


@terminal.command(also={ValueError: 2, OSError: 2})
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the module documents the exit code that it returns."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    given = _parser().parse_args(arguments)
    created = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        plan = _plan(given)
        found = measure(plan, adb.find(given.serial), _tell)
        if not found.profiles and not found.documents:
            why = found.stopped or "; ".join(found.warnings)
            print(f"error: nothing was measured: {why}", file=sys.stderr)
            return found.exit_code or 1
        command = ["python", "-m", "benchmarks.android", *hidden(arguments, ("--serial",))]
        document = assemble(plan, found, shlex.join(command), created)
        page_file = page.write(document, given.out)
    except KeyboardInterrupt as stop:
        print(f"error: {INTERRUPTED}: nothing was measured", file=sys.stderr)
        return terminal.stop_code(stop)
    terminal.say(show(document))
    terminal.say(f"\nfigures, samples and phone: {given.out}\npage: {page_file}")
    if found.stopped is not None:
        print(f"error: not all was measured: {found.stopped}", file=sys.stderr)
    if found.exit_code:
        return found.exit_code
    figures = bool(found.documents) or any(one["failed"] is None for one in found.profiles)
    return 1 if found.failed or found.stopped is not None or not figures else 0


def graphs(path: Path, lengths: Sequence[int]) -> dict[int, benchmark_model.Graph]:
    """The graphs of a .tflite file for those `lengths`, in tokens, that the file accepts.

    Raises:
        ConversionError: the file is damaged, is not one of this project, or accepts no length.
    """
    from converters.tflite import file as tflite_file  # late: it needs the packages of an extra

    summary = tflite_file.describe(path)
    inputs = tuple(tensor.name for tensor in summary.inputs)
    if sorted(inputs) != sorted(INPUTS):
        raise ConversionError(
            f"{path} has the inputs {', '.join(inputs)}, and {', '.join(INPUTS)} are needed: "
            "export it with converters.tflite.export"
        )
    tables = (one.shape for one in summary.weights if one.name == tflite_file.POSITION_TABLE)
    longest = next((shape[0] for shape in tables if len(shape) == 2), max(lengths))
    pieces = vocabulary_size(path) or FEWEST_PIECES
    found = {
        length: benchmark_model.Graph(signature, inputs, pieces)
        for length in lengths
        for signature, only in summary.lengths.items()
        if only == length or (only is None and length <= longest)
    }
    if not found:
        raise ConversionError(f"{path} takes none of the lengths {' '.join(map(str, lengths))}")
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.android",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("file", type=Path, nargs="*", metavar="FILE", help="Measure this .tflite file.")
    add("--serial", help="Use the phone with this serial number (see adb devices).")
    add(
        "--benchmark-model",
        type=Path,
        metavar="PATH",
        help="Run this benchmark_model on the phone.",
    )
    add(
        "--benchmark-model-url",
        metavar="URL",
        help="Download benchmark_model from this https address and keep it in the cache folder.",
    )
    add(
        "--benchmark-model-sha256",
        metavar="HEX",
        help="Refuse a downloaded benchmark_model with another sha256.",
    )
    add(
        "--lengths",
        type=terminal.count,
        nargs="+",
        default=LENGTHS,
        help="Measure inputs of these lengths in tokens (default: 64 128 192 256 384).",
    )
    add(
        "--threads",
        type=terminal.count,
        nargs="+",
        default=THREADS,
        help="Measure with each of these numbers of CPU threads (default: 1 2 4).",
    )
    add(
        "--delegates",
        nargs="+",
        choices=tuple(benchmark_model.DELEGATES),
        default=tuple(benchmark_model.DELEGATES),
        help="Measure these delegates; cpu is XNNPACK (default: all three).",
    )
    add(
        "--runs",
        type=terminal.count,
        default=RUNS,
        help="Run each combination at least this many times (default: 50).",
    )
    add(
        "--seconds",
        type=amount,
        default=SECONDS,
        help="Run each combination for at least this many seconds (default: 2).",
    )
    add(
        "--app",
        action=argparse.BooleanOptionalAction,
        help="Run the demo app's own benchmark with real questions, or skip it (default: run it if "
        "the app is installed).",
    )
    add(
        "--app-files",
        nargs="+",
        metavar="NAME",
        help="Run the app's benchmark on these files of its model.json (default: its own choice).",
    )
    add(
        "--apk",
        type=Path,
        help="Install the app from this APK first, and remove it afterwards if it is new.",
    )
    add_verify_flag(parser)
    add(
        "--quick",
        action="store_true",
        help="Run everything a few times only and mark the app's figures as not valid.",
    )
    add(
        "--cool-to",
        type=amount,
        metavar="CELSIUS",
        help="Wait between runs until the phone is this cool (default: 1 degree above its start).",
    )
    add(
        "--cool-seconds",
        type=amount,
        default=COOL_SECONDS,
        help="Wait at most this many seconds for the phone to cool (default: 120; 0 never waits).",
    )
    add(
        "--timeout",
        type=amount,
        default=TIMEOUT,
        help="Abort a run after this many seconds without output (default: 300).",
    )
    add(
        "--seed", type=int, default=0, help="Seed of the order of the app's questions (default: 0)."
    )
    add(
        "--out",
        type=Path,
        default=Path("benchmark-android.json"),
        help="Write the results to this JSON file, and a page beside it (default: "
        "benchmark-android.json).",
    )
    return parser


def _plan(given: argparse.Namespace) -> Plan:
    """The plan of the arguments; raises a ValueError if they contradict each other."""
    if not given.file and not given.app:
        raise ValueError("name at least one .tflite FILE, or --app for the app's benchmark alone")
    for path in (*given.file, *filter(None, (given.apk, given.benchmark_model))):
        if not path.is_file():
            raise ValueError(f"there is no file {path}")
    unchecked = checksums.verify_all(given.file, skip=not given.verify)
    whole_file.check_out(given.out)
    if given.timeout <= 0:
        raise ValueError("--timeout 0: a run needs a moment; give seconds")
    url, sha256 = given.benchmark_model_url, given.benchmark_model_sha256
    if (url is None) != (sha256 is None):
        raise ValueError("--benchmark-model-url and --benchmark-model-sha256 need each other")
    program = given.benchmark_model
    if program is None and url is not None:
        _tell(f"downloading {url}")
        program = download.fetch(url, sha256, download.cache_folder())
    if given.file and program is None:
        raise ValueError(f"--benchmark-model is missing, LiteRT's program for the phone: {HOW}")
    lengths = tuple(dict.fromkeys(given.lengths))
    files = named(given.file) if given.file else {}
    subjects = {
        name: Subject(path, describe(name, path), graphs(path, lengths))
        for name, path in files.items()
    }
    checksums.note(unchecked)
    return Plan(
        files=subjects,
        program=program if given.file else None,
        lengths=lengths,
        threads=tuple(dict.fromkeys(given.threads)),
        delegates=tuple(dict.fromkeys(given.delegates)),
        timing=profiles.Timing(
            QUICK_RUNS if given.quick else given.runs,
            0.0 if given.quick else given.seconds,
            given.timeout,
        ),
        app=given.app,
        app_files=given.app_files or (None,),
        apk=given.apk,
        queries=QUICK_QUERIES if given.quick else APP_QUERIES,
        app_seconds=0 if given.quick else APP_SECONDS,
        cool_to=given.cool_to,
        cool_seconds=given.cool_seconds,
        seed=given.seed,
    )


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
