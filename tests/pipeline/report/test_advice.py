# SPDX-License-Identifier: Apache-2.0
"""The advice names the fastest measured file, and has no figure that was not measured."""

from __future__ import annotations

import re
from typing import Any

import pytest
from report_fixtures import make_report

from pipeline.report.advice import KNOWN, advice, processor_class
from pipeline.report.tables import sections


@pytest.fixture
def report() -> dict[str, Any]:
    return make_report()


@pytest.mark.parametrize(
    ("architecture", "flags", "name"),
    [
        ("x86_64", ["avx", "avx2"], "x86-64 without VNNI"),
        ("x86_64", ["avx2", "avx512_vnni"], None),
        ("x86_64", ["avx2", "avx_vnni"], None),
        ("aarch64", ["asimd", "asimddp"], "arm64 with dotprod"),
        ("arm64", ["asimd"], "arm64 without dotprod"),
        ("arm64", [], None),
        ("riscv64", ["v"], None),
    ],
    ids=["avx2", "avx512-vnni", "avx-vnni", "dotprod", "no-dotprod", "unlisted", "riscv"],
)
def test_processors_have_a_class(architecture: str, flags: list[str], name: str | None) -> None:
    found = processor_class({"architecture": architecture, "flags": flags})
    assert found == name and (found is None or found in KNOWN)


def test_the_fastest_file_is_named_with_the_processor(report: dict[str, Any]) -> None:
    report["machine"] |= {"architecture": "x86_64", "flags": ["avx2"]}
    measured, *rest = advice(report)  # type: ignore[arg-type]
    known = " ".join(rest)
    mean = report["latency"]["subjects"]["student-int8"]["natural"]["mean"]
    assert measured.startswith("Measured on x86_64 with AVX2: the fastest file is student-int8, ")
    assert f"a mean of {mean:.1f} ms per question at natural lengths." in measured
    assert measured.endswith("Its largest logit error is 0.212.")
    assert "x86-64 without VNNI" not in known
    assert "On arm64 with dotprod, use the int8 .tflite file" in known
    assert "On arm64 without dotprod, measure there" in known
    assert rest[-1] == "This build has no int8 .onnx file; --target onnx --precision int8 makes it."
    report["files"][1]["gate"]["passed"] = False
    assert "the fastest file is student-fp32, " in advice(report)[0]  # type: ignore[arg-type]


def test_the_padded_winner_is_told_where_it_is_another_file(report: dict[str, Any]) -> None:
    report["latency"]["subjects"]["student-fp32"]["padded"]["mean"] = 1.5
    report["latency"]["method"] = "NOT VALID (too few): as said"
    _, padded, *_ = advice(report)  # type: ignore[arg-type]
    assert padded == (
        "Padded to 384 tokens, student-fp32 is the fastest, with a mean of 1.50 ms - NOT VALID."
    )


@pytest.mark.parametrize("timed", [True, False], ids=["others timed", "nothing timed"])
def test_what_was_not_measured_has_no_figure(report: dict[str, Any], timed: bool) -> None:
    if timed:
        for name in ("student-int8", "student-fp32"):
            del report["latency"]["subjects"][name]
    else:
        report["latency"] = None
    first, *rest = advice(report)  # type: ignore[arg-type]
    assert first.startswith("No file of this build was timed")
    for line in rest:
        # Numbers are in names alone: int8, x86-64, 8-bit, arm64.
        names = re.sub(r"int8|x86-64|x64quantprecision|8-bit|arm64", "", line)
        assert not re.search(r"\d", names)
    if not timed:
        assert any("x86-64 without VNNI" in line for line in rest)


def test_the_report_has_the_advice_after_the_times(report: dict[str, Any]) -> None:
    anchors = [section.anchor for section in sections(report)]  # type: ignore[arg-type]
    assert anchors[anchors.index("latency") + 1] == "advice"
