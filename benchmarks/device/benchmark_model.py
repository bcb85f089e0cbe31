# SPDX-License-Identifier: Apache-2.0
"""LiteRT's `benchmark_model`: its command line, and what it prints.

The program fills inputs with random integers, runs a file again and again, and prints averages:
https://github.com/google-ai-edge/LiteRT/tree/main/tflite/tools/benchmark. Profiling operators and
watching the memory cost time by themselves, so that times are taken in a call without them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from benchmarks.measure.schema import Operator

Delegate = Literal["cpu", "gpu", "nnapi"]

# What the program calls them, and the flag that asks for them. Without --use_xnnpack it would run
# XNNPACK too, and not say so.
DELEGATES: Final[dict[Delegate, tuple[str, str]]] = {
    "cpu": ("XNNPACK", "--use_xnnpack=true"),
    "gpu": ("GPU", "--use_gpu=true"),
    "nnapi": ("NNAPI", "--use_nnapi=true"),
}

# Inference that is profiled; an operator's mean of so many is good enough to see where time goes.
PROFILED_RUNS = 10

# What a message shows of a program's last words.
REASON_CHARACTERS = 300

_NUMBER = r"[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?"  # C++ prints 1234567.8 as 1.23457e+06
_TIMINGS = re.compile(
    r"Inference timings in us: Init: (?P<init>\S+), First inference: (?P<first>\S+), "
    r"Warmup \(avg\): (?P<warmup>\S+), Inference \(avg\): (?P<average>\S+)"
)
_COUNT = re.compile(r"^(?:INFO: )?count=([0-9]+)([^\n]*)", re.MULTILINE)
_STATISTIC = re.compile(rf"(\w+)=({_NUMBER})")
_PEAK = re.compile(rf"Overall peak memory footprint \(MB\) via periodic monitoring: ({_NUMBER})")
_PROFILE = "Operator-wise Profiling Info for Regular Benchmark Runs:"
_INTERNAL = "Delegate internal:"  # a table in the delegate's own unit, which may be cycles
_SUMMARY = "Summary by node type"
_OPERATOR = re.compile(
    rf"^\s*(\S.*?)\s+([0-9]+)\s+({_NUMBER})\s+({_NUMBER})%\s+{_NUMBER}%\s+{_NUMBER}\s+[0-9]+\s*$"
)
_COMPLAINT = re.compile(r"^(ERROR|FATAL|WARN(?:ING)?): (.+)$", re.MULTILINE)
_LAST_WORDS = "Benchmarking failed."


@dataclass(frozen=True)
class Graph:
    """What the program must know of a file.

    Attributes:
        signature: the graph to run, by its name in the file.
        inputs: names of its inputs in its own order, which is how the program counts them.
        vocabulary: ids are drawn below it; an id beyond the table is an error in the graph.
    """

    signature: str
    inputs: Sequence[str]
    vocabulary: int


@dataclass(frozen=True)
class Printed:
    """The figures of one call, milliseconds; None is what was not printed.

    `std_ms` is the standard deviation. `peak_memory_bytes` is what the whole process held.
    """

    runs: int | None
    init_ms: float | None
    first_ms: float | None
    warmup_ms: float | None
    average_ms: float
    min_ms: float | None
    max_ms: float | None
    std_ms: float | None
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    peak_memory_bytes: int | None
    operators: list[Operator] | None


def arguments(
    file: str,
    graph: Graph,
    *,
    length: int,
    threads: int,
    delegate: Delegate,
    runs: int,
    seconds: float,
    at_most: float,
    profiled: bool,
) -> list[str]:
    """Arguments of one call.

    Args:
        file: the path of the .tflite file on the phone.
        graph: see `Graph`.
        length: S of the (1, S) inputs. None of them is padding.
        threads: of the CPU, for whatever part of the graph runs there.
        delegate: that must run the graph.
        runs: at least so many.
        seconds: at least as long.
        at_most: seconds, of the warm-up and of the runs each.
        profiled: profile the operators and watch the memory, in few runs, in place of timing.
    """
    # Random integers, both ends included: any piece, no padding, question or passage.
    ranges = {"ids": (0, graph.vocabulary - 1), "mask": (1, 1), "segment_ids": (0, 1)}
    return [
        f"--graph={file}",
        f"--signature_to_run_for={graph.signature}",
        f"--input_layer={','.join(graph.inputs)}",
        f"--input_layer_shape={':'.join([f'1,{length}'] * len(graph.inputs))}",
        "--input_layer_value_range="
        + ":".join(f"{name},{ranges[name][0]},{ranges[name][1]}" for name in graph.inputs),
        f"--num_threads={threads}",
        DELEGATES[delegate][1],
        f"--num_runs={PROFILED_RUNS if profiled else runs}",
        f"--min_secs={0 if profiled else seconds:g}",
        f"--max_secs={at_most:g}",
        f"--warmup_runs={1 if profiled else 3}",
        f"--warmup_min_secs={0 if profiled else 0.5:g}",
        f"--enable_op_profiling={str(profiled).lower()}",
        f"--report_peak_memory_footprint={str(profiled).lower()}",
    ]


def parse(text: str) -> Printed:
    """Read the figures out of everything that a call printed.

    Raises:
        ValueError: it holds no average.
    """
    timings = _TIMINGS.search(text)
    average = _milliseconds(timings["average"]) if timings else None
    if timings is None or average is None:
        raise ValueError(
            'benchmark_model printed no line "Inference timings in us: Init: ..." with an average:'
            f" {said(text) or 'give a build of TensorFlow Lite 2.14 or newer, or of LiteRT'}"
        )
    runs, figures = _statistics(text[: timings.start()])
    peak = _PEAK.search(text)
    peak_mb = _finite(peak[1]) if peak else None
    return Printed(
        runs=runs,
        init_ms=_milliseconds(timings["init"]),
        first_ms=_milliseconds(timings["first"]),
        warmup_ms=_milliseconds(timings["warmup"]),
        average_ms=average,
        min_ms=figures.get("min"),
        max_ms=figures.get("max"),
        std_ms=figures.get("std"),
        p50_ms=figures.get("median", figures.get("p50")),
        p90_ms=figures.get("p90"),
        p99_ms=figures.get("p99"),
        peak_memory_bytes=None if peak_mb is None else round(peak_mb * 2**20),
        operators=list(_operators(text)) or None,
    )


def not_run(text: str, delegate: Delegate) -> str | None:
    """Why a delegate did not run the graph; None where it ran it, or a part of it.

    The program falls back to the CPU without an error, and prints the CPU's times then.
    """
    name = DELEGATES[delegate][0]
    if f"Explicitly applied {name} delegate" in text:
        return None
    why = said(text)
    if f"Though {name} delegate is explicitly applied" in text:
        why = why or "it supports none of the graph's operators"
    return f"{name} ran nothing, all ran on the CPU: {why or 'benchmark_model does not say why'}"


def share(text: str, delegate: Delegate) -> str | None:
    """How much of the graph a delegate left to the CPU, in words; None where it took it all."""
    name = DELEGATES[delegate][0]
    if f"Explicitly applied {name} delegate, and the model graph will be partially" not in text:
        return None
    kernel = f"TfLite{name.title()}Delegate"  # TfLiteGpuDelegateV2, TfLiteNnapiDelegate
    taken = re.search(
        rf"Replacing ([0-9]+) out of ([0-9]+) node\(s\) with delegate \({kernel}", text
    )
    part = f"{taken[1]} of {taken[2]} operators" if taken else "only a part of the operators"
    return f"{name} ran {part}, the CPU the others"


def said(text: str) -> str:
    """What the program complained of, on one line; empty where it did not."""
    found = [(kind, " ".join(line.split())) for kind, line in _COMPLAINT.findall(text)]
    errors = [line for kind, line in found if kind in ("ERROR", "FATAL") and line != _LAST_WORDS]
    lines = errors or [line for _, line in found if line != _LAST_WORDS]
    return "; ".join(dict.fromkeys(lines))[:REASON_CHARACTERS]


def _statistics(text: str) -> tuple[int | None, dict[str, float]]:
    """The last `count=... min=... avg=...` line: number of runs, and milliseconds by name."""
    lines = _COUNT.findall(text)
    if not lines:
        return None, {}
    count, rest = lines[-1]
    each = {name: _milliseconds(value) for name, value in _STATISTIC.findall(rest)}
    figures = {name: value for name, value in each.items() if value is not None}
    if "avg" not in figures and "curr" in figures:  # one run, or all took the same
        figures |= dict.fromkeys(("min", "max", "median"), figures["curr"]) | {"std": 0.0}
    return int(count[:18]), figures


def _operators(text: str) -> Iterator[Operator]:
    """Rows of the tables by operator, of the runs and not of the start."""
    profile = text.partition(_PROFILE)[2].partition(_INTERNAL)[0]
    for part in profile.split(_SUMMARY)[1:]:
        for line in part.partition("\n\n")[0].splitlines():
            row = _OPERATOR.match(line)
            average, percent = (_finite(row[3]), _finite(row[4])) if row else (None, None)
            if row and average is not None and percent is not None:
                yield {
                    "name": row[1],
                    "count": int(row[2][:18]),
                    "average_ms": average,
                    "percent": percent,
                }


def _milliseconds(microseconds: str) -> float | None:
    value = _finite(microseconds)
    return None if value is None else value / 1e3


def _finite(text: str) -> float | None:
    """A number as the program prints it; None for others, as `nan` is."""
    if not re.fullmatch(_NUMBER, text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None
