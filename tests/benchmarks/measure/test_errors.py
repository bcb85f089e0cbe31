# SPDX-License-Identifier: Apache-2.0
"""The largest difference between logits: by hand, without padding, and of the right model."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.measure.errors import joined, logit_error
from benchmarks.page.errors import error_cell


def test_logits_of_tokens_lose_their_padding_and_classes_keep_theirs() -> None:
    tokens = np.arange(6, dtype=np.float32)[None]  # (1, S)
    classes = np.asarray([7.0, 8.0], np.float32)  # (C,)
    assert joined([tokens, tokens[0]], 4, 6).tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert joined([classes], 4, 6).tolist() == [7, 8]


def test_the_largest_difference_by_hand() -> None:
    own = [np.asarray([1.0, 2.0]), np.asarray([-3.0])]
    reference = [np.asarray([1.5, 2.0]), np.asarray([-3.25])]
    found = logit_error(own, reference, "a/student", 2)  # type: ignore[arg-type]
    assert found == {"largest": 0.5, "range": 5.25, "reference": "a/student", "inputs": 2}
    assert error_cell(found) == "0.5 (9.5 %)"
    assert error_cell(None) == "not measured"
    assert error_cell(found | {"range": 0.0}) == "0.5"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_logits_that_are_no_numbers_are_told(value: float) -> None:
    found = logit_error([np.asarray([value])], [np.asarray([1.0])], "s", 1)  # type: ignore[list-item]
    assert found["largest"] is None and error_cell(found) == "not finite"


def test_the_model_of_another_file_is_refused() -> None:
    with pytest.raises(ValueError, match="gives 2 logits where a file gives 3"):
        logit_error([np.zeros(3, np.float32)], [np.zeros(2, np.float32)], "s", 1)
