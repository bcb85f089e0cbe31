# SPDX-License-Identifier: Apache-2.0
"""What LiteRT's benchmark_model prints, read; any text is figures or one clear error."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phone_outputs import FALLBACK, PROFILED, REFUSED, START_ROWS, TIMES, printed

from benchmarks.device import benchmark_model
from benchmarks.device.benchmark_model import DELEGATES, Graph, Printed

GIVEN = {
    "graph": "m.tflite",
    "signature_to_run_for": "answer",
    "input_layer": "ids,mask,segment_ids",
    "input_layer_shape": "1,64:1,64:1,64",
    "num_threads": "2",
    "num_runs": "50",
    "use_xnnpack": "true",
    "enable_op_profiling": "true",
}
WHOLE = printed(GIVEN)
FIGURES = {"count": 50, "low": 880, "high": 1300, "median": 1010, "std": 31}


def test_every_figure_is_read() -> None:
    found = benchmark_model.parse(WHOLE)
    assert found.operators is not None and len(found.operators) == 3
    assert found == Printed(
        runs=50,
        init_ms=41.203,
        first_ms=98.7,
        warmup_ms=7.18107,
        average_ms=3.2,
        min_ms=2.88,
        max_ms=3.84,
        std_ms=0.064,
        p50_ms=3.168,
        p90_ms=None,
        p99_ms=None,
        peak_memory_bytes=round(93.2383 * 2**20),
        operators=found.operators,
    )


def test_percentiles_are_read_where_they_are_printed() -> None:
    text = TIMES.format(average=1000, **FIGURES).replace("p95=1300", "p90=1200 p95=1250 p99=1290")
    found = benchmark_model.parse(text)
    assert (found.p90_ms, found.p99_ms, found.p50_ms) == (1.2, 1.29, 1.01)


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [("1.23457e+06", 1234.57), ("309350", 309.35), ("0", 0.0), ("9.5e-05", 9.5e-8)],
)
def test_numbers_as_cpp_prints_them(value: str, milliseconds: float) -> None:
    found = benchmark_model.parse(TIMES.format(average=value, **FIGURES))
    assert found.average_ms == pytest.approx(milliseconds, rel=1e-12)


def test_one_run_has_no_spread() -> None:
    text = TIMES.format(average=1000, **FIGURES)
    first, timings = text.split("INFO: count=")[0], text[text.index("INFO: Inference timings") :]
    for line, runs in (("1 curr=990\n", 1), ("5 curr=990(all same)\n", 5)):
        found = benchmark_model.parse(f"{first}INFO: count={line}{timings}")
        assert (found.runs, found.min_ms, found.p50_ms, found.std_ms) == (runs, 0.99, 0.99, 0.0)


def test_operators_are_those_of_the_runs() -> None:
    assert START_ROWS in PROFILED  # the table of the start comes first, and is not taken
    found = benchmark_model.parse(WHOLE).operators
    assert found is not None
    assert [one["name"] for one in found] == [
        "Fully Connected (NC, QD8)",
        "EMBEDDING_LOOKUP",
        "GELU",
    ]
    assert sum(one["percent"] for one in found) == pytest.approx(100, abs=0.01)
    internal = WHOLE + "Delegate internal: \n" + PROFILED.partition("Regular")[2]
    assert benchmark_model.parse(internal).operators == found
    spaces = benchmark_model.parse(WHOLE.replace("\t", "    ")).operators
    assert spaces == found


def test_without_a_profile_there_are_no_operators() -> None:
    found = benchmark_model.parse(printed(GIVEN | {"enable_op_profiling": "false"}))
    assert found.operators is None and found.peak_memory_bytes is None


@pytest.mark.parametrize("text", ["", REFUSED, FALLBACK, WHOLE.partition("Inference timings")[0]])
def test_no_average_is_one_clear_error(text: str) -> None:
    with pytest.raises(ValueError, match="printed no line") as raised:
        benchmark_model.parse(text)
    assert "\n" not in str(raised.value)


def test_not_a_number_is_none() -> None:
    with pytest.raises(ValueError, match="with an average"):
        benchmark_model.parse(TIMES.format(average="nan", **FIGURES))
    text = TIMES.format(average=1000, **FIGURES).replace(
        "Warmup (avg): 7181.07", "Warmup (avg): nan"
    )
    assert benchmark_model.parse(text).warmup_ms is None


def test_a_delegate_must_say_that_it_ran() -> None:
    assert benchmark_model.not_run(WHOLE, "cpu") is None
    for delegate in ("gpu", "nnapi"):
        said = benchmark_model.not_run(WHOLE, delegate)  # type: ignore[arg-type]
        assert said is not None and "all ran on the CPU" in said


def test_the_command_line() -> None:
    graph = Graph("length_64", ("segment_ids", "ids", "mask"), 30522)
    line = benchmark_model.arguments(
        "/a/0.tflite",
        graph,
        length=64,
        threads=4,
        delegate="nnapi",
        runs=50,
        seconds=2.0,
        at_most=150.0,
        profiled=False,
    )
    assert line == [
        "--graph=/a/0.tflite",
        "--signature_to_run_for=length_64",
        "--input_layer=segment_ids,ids,mask",
        "--input_layer_shape=1,64:1,64:1,64",
        "--input_layer_value_range=segment_ids,0,1:ids,0,30521:mask,1,1",
        "--num_threads=4",
        "--use_nnapi=true",
        "--num_runs=50",
        "--min_secs=2",
        "--max_secs=150",
        "--warmup_runs=3",
        "--warmup_min_secs=0.5",
        "--enable_op_profiling=false",
        "--report_peak_memory_footprint=false",
    ]


# Pieces of real output in any order, and anything between them.
PIECES = st.one_of(
    st.text(max_size=30),
    st.sampled_from([*WHOLE.splitlines(keepends=True), WHOLE, PROFILED, FALLBACK, REFUSED]),
    st.sampled_from(["count=", "Inference timings in us: Init: ", "e+999", "9" * 400, "nan", "\n"]),
)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_any_text_is_figures_or_one_clear_error(text: str) -> None:
    for delegate in DELEGATES:
        for said in (
            benchmark_model.not_run(text, delegate),
            benchmark_model.share(text, delegate),
        ):
            assert said is None or len(said.splitlines()) == 1
    try:
        found = benchmark_model.parse(text)
    except ValueError as error:
        assert len(str(error).splitlines()) == 1
        return
    numbers = [value for key, value in vars(found).items() if key != "operators"]
    numbers += [one[key] for one in found.operators or () for key in ("average_ms", "percent")]  # type: ignore[literal-required]
    assert all(value is None or (math.isfinite(value) and value >= 0) for value in numbers)
