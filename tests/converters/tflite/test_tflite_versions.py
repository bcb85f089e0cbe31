# SPDX-License-Identifier: Apache-2.0
"""The oldest runtime of each precision, told from types where operator versions say nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from export_fixtures import VOCABULARY, exported, window

from converters import ConversionError
from converters.precisions import TFLITE
from converters.runtimes.open import open_predictor
from converters.tflite import file as tflite_file
from converters.tflite.check import check_portable
from converters.tflite.quantize import quantize
from converters.tflite.versions import (
    BLOCKWISE,
    CHANNELWISE,
    MEASURED,
    ROWWISE,
    Requirement,
    known_faults,
    lowest_runtime,
    order,
    raise_versions,
    requirements,
)

# GELU came with 2.9.0, int8 layers with a scale a channel with 2.17.0 (TensorFlow's own tables);
# int4 in blocks computes right from LiteRT 2.1.0 and TensorFlow 2.21.0 on (measured).
EXPECTED = {
    "fp32": ("2.9.0", "1.0.1"),
    "fp16": ("2.9.0", "1.0.1"),
    "int8-per-tensor": ("2.9.0", "1.0.1"),
    "int8": ("2.17.0", "1.0.1"),
    "int4": ("2.21.0", "2.1.0"),
    "mixed": ("2.21.0", "2.1.0"),
}


def read(precision: str) -> Any:
    return tflite_file.read(exported("distilbert")[precision])


def versions(model: Any) -> dict[str, int]:
    return {tflite_file.code_name(code): code.version for code in model.operatorCodes}


@pytest.mark.parametrize("precision", TFLITE)
def test_each_precision_needs_what_its_types_need(precision: str) -> None:
    lowest = lowest_runtime(read(precision))
    assert (lowest.tensorflow, lowest.litert) == EXPECTED[precision]
    every = requirements(read(precision))
    assert [order(each.tensorflow) for each in every] == sorted(
        (order(each.tensorflow) for each in every), reverse=True
    )
    # An operator may be there twice: the answer head's one channel is one scale, as in version 5.
    assert len(versions(read(precision))) <= len(every) == len(set(every))


def test_reasons_and_faults_name_the_weights() -> None:
    assert CHANNELWISE in lowest_runtime(read("int8")).reason
    assert BLOCKWISE in lowest_runtime(read("int4")).reason
    assert lowest_runtime(read("fp32")).reason == "GELU version 1"
    assert known_faults(read("int8")) == list(MEASURED[CHANNELWISE])
    assert known_faults(read("int4")) == list(MEASURED[BLOCKWISE])
    both = [*MEASURED[BLOCKWISE], *MEASURED[CHANNELWISE]]
    assert known_faults(read("mixed")) == both
    assert known_faults(read("int8-per-tensor")) == known_faults(read("fp16")) == []


def test_a_table_with_a_scale_a_row_is_told() -> None:
    model = read("int8-per-tensor")
    table = next(t for t in model.subgraphs[0].tensors if t.name == b"word_embeddings")
    table.quantization.scale = np.resize(table.quantization.scale, VOCABULARY)
    lowest = lowest_runtime(model)
    assert lowest.tensorflow == "2.18.0" and ROWWISE in lowest.reason
    assert known_faults(model) == list(MEASURED[ROWWISE])


@pytest.mark.parametrize(("precision", "version"), [("int8", 12), ("int4", 13), ("fp32", 5)])
def test_raised_versions_change_no_result(precision: str, version: int, tmp_path: Path) -> None:
    model = read(precision)
    assert versions(model)["FULLY_CONNECTED"] == 5  # keep_num_dims, whatever the weights are
    before = lowest_runtime(model)
    raise_versions(model)
    assert versions(model)["FULLY_CONNECTED"] == version
    assert lowest_runtime(model) == before
    path = tflite_file.write(model, tmp_path / "raised.tflite")
    assert check_portable(path) == []
    for length in (384, 19):
        inputs = window(length)
        ours, theirs = (
            open_predictor(each).run(*inputs) for each in (path, exported("distilbert")[precision])
        )
        np.testing.assert_array_equal(ours, theirs)


def test_a_table_in_blocks_alone_keeps_old_runtimes_out() -> None:
    words = quantize(exported("distilbert")["fp32"].read_bytes(), "mixed", ["words"])
    model = tflite_file.parse(words)
    before = lowest_runtime(model)
    assert BLOCKWISE in before.reason and before.litert == "2.1.0"
    raise_versions(model)
    # Runtimes of 2024 know such lookups by their version, and compute something else.
    assert versions(model)["EMBEDDING_LOOKUP"] == 4
    assert versions(model)["FULLY_CONNECTED"] == 13
    assert lowest_runtime(model) == before


def test_half_floats_raise_dequantize() -> None:
    model = read("fp16")
    raise_versions(model)
    assert versions(model)["DEQUANTIZE"] == 3


def test_no_bias_needs_version_six() -> None:
    model = read("fp32")
    linear = next(
        op
        for op in model.subgraphs[0].operators
        if tflite_file.code_name(model.operatorCodes[op.opcodeIndex]) == "FULLY_CONNECTED"
    )
    linear.inputs = linear.inputs[:2]
    linear.builtinOptions.keepNumDims = False
    assert Requirement("2.1.0", "1.0.1", "FULLY_CONNECTED version 6") in requirements(model)


def test_what_the_table_lacks_is_refused() -> None:
    model = read("fp32")
    gelu = next(c for c in model.operatorCodes if tflite_file.code_name(c) == "GELU")
    gelu.version = 9
    with pytest.raises(
        ConversionError, match=r"^operator GELU version 9 has no known runtime: [^\n]+$"
    ):
        requirements(model)
    gelu.version = 1
    gelu.builtinCode = gelu.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    gelu.customCode = b"FlexErf"
    with pytest.raises(ConversionError, match="operator FlexErf version 1"):
        requirements(model)


def test_releases_sort_by_number() -> None:
    assert sorted(("2.9.0", "2.17.0", "1.14.0"), key=order) == ["1.14.0", "2.9.0", "2.17.0"]
