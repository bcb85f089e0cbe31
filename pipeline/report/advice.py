# SPDX-License-Identifier: Apache-2.0
"""Which file of a build to use: the fastest one here, then what is known of other processors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.measure.machine import instructions
from benchmarks.measure.schema import NATURAL, PADDED, Lengths
from benchmarks.page.layout import three_digits
from benchmarks.page.tables import mark
from pipeline import tasks
from pipeline.report.errors import logit_error
from pipeline.report.schema import Report

# What is known of processors, from the kernels that runtimes have for them; no figure is among it.
KNOWN = {
    "x86-64 without VNNI": (
        "use the int8 .onnx file in a session that computes exactly, for XNNPACK has no dot "
        "product of 8-bit numbers there. A default session computes this project's file exactly; "
        "a file of another tool needs session.x64quantprecision"
    ),
    "arm64 with dotprod": "use the int8 .tflite file: XNNPACK has the dot product there",
    "arm64 without dotprod": "measure there: nothing is known of it",
}


def processor_class(machine: Mapping[str, Any]) -> str | None:
    """The key of `KNOWN` that a machine belongs to.

    Args:
        machine: as `benchmarks.measure.machine.describe` returns it.

    Returns:
        None where it is none of them, or the system did not list the features of the processor.
    """
    flags, architecture = machine.get("flags"), machine.get("architecture")
    if not flags:
        return None
    if architecture in ("aarch64", "arm64"):
        return f"arm64 with{'' if 'asimddp' in flags else 'out'} dotprod"
    if architecture == "x86_64" and not {"avx_vnni", "avx512_vnni"} & set(flags):
        return "x86-64 without VNNI"
    return None


def advice(report: Report) -> list[str]:
    """Paragraphs on the fastest file of the build, and on each class that was not measured.

    The fastest file is the one with the lowest mean time at natural lengths among those that were
    timed and did not fail their gates.
    """
    said = list(_measured(report))
    here = processor_class(report["machine"]) if report["latency"] else None
    said.append(
        "This build did not measure other processors. What is known of them comes from the kernels "
        "of the runtimes."
    )
    said += [f"On {name}, {what}." for name, what in KNOWN.items() if name != here]
    if not any((file["target"], file["precision"]) == ("onnx", "int8") for file in report["files"]):
        said.append("This build has no int8 .onnx file; --target onnx --precision int8 makes it.")
    return said


def _measured(report: Report) -> Iterator[str]:
    latency = report["latency"]
    fastest = {lengths: _fastest(report, lengths) for lengths in (NATURAL, PADDED)}
    natural, padded = fastest[NATURAL], fastest[PADDED]
    if latency is None or natural is None:
        yield "No file of this build was timed: measure on the processor that it will run on."
        return
    unit = tasks.find(report["task"]).unit
    processor = instructions(report["machine"]) or "the processor of this machine"
    name, mean = natural
    error = logit_error(report, name)
    known = f" Its largest logit error is {error}." if error[:1].isdigit() else ""
    yield (
        f"Measured on {processor}: the fastest file is {name}, with a mean of "
        f"{three_digits(mean)} ms per {unit} at natural lengths{mark(latency)}.{known}"
    )
    if padded and padded[0] != name:
        yield (
            f"Padded to {latency['padded_length']} tokens, {padded[0]} is the fastest, with a mean "
            f"of {three_digits(padded[1])} ms{mark(latency)}."
        )


def _fastest(report: Report, lengths: Lengths) -> tuple[str, float] | None:
    """The name and the mean milliseconds of the fastest file that did not fail its gate."""
    subjects = report["latency"]["subjects"] if report["latency"] else {}
    means = [
        (times["mean"], file["name"])
        for file in report["files"]
        if (file["gate"] is None or file["gate"]["passed"])
        and (subject := subjects.get(file["name"]))
        and (times := subject[lengths])
    ]
    return (min(means)[1], min(means)[0]) if means else None
