# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.models.layers import choose_layers


@pytest.mark.parametrize(
    ("teacher", "wanted", "expected"),
    [
        (12, "half", (0, 2, 4, 7, 9, 11)),  # what the DistilBERT authors took of BERT-base
        (12, "6", (0, 2, 4, 7, 9, 11)),
        (12, "3", (0, 5, 11)),  # 5.5 is rounded down
        (12, "4", (0, 4, 7, 11)),
        (12, "2", (0, 11)),
        (12, "1", (11,)),
        (6, "half", (0, 2, 5)),
        (6, "6", (0, 1, 2, 3, 4, 5)),
        (3, "half", (2,)),
        (2, "half", (1,)),
        (1, "half", (0,)),
        (12, "every-second", (1, 3, 5, 7, 9, 11)),
        (6, "every-second", (1, 3, 5)),
        (5, "every-second", (2, 4)),
        (3, "every-second", (2,)),
        (1, "every-second", (0,)),
        (1, "1", (0,)),
        (6, " half ", (0, 2, 5)),
        (6, "0,2,5", (0, 2, 5)),
        (6, " 1 , 3 ", (1, 3)),
        (6, [4], (4,)),
        (6, (0, 5), (0, 5)),
    ],
)
def test_layers_by_hand(teacher: int, wanted: str | Sequence[int], expected: object) -> None:
    assert choose_layers(teacher, wanted) == expected


@given(teacher=st.integers(1, 60), data=st.data())
def test_counted_layers_are_spread_evenly_from_first_to_last(
    teacher: int, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, teacher))
    found = choose_layers(teacher, str(count))
    assert len(found) == count
    assert list(found) == sorted(set(found))
    assert found[-1] == teacher - 1
    if count > 1:
        assert found[0] == 0
        step = (teacher - 1) / (count - 1)
        assert all(abs(layer - i * step) <= 0.5 + 1e-9 for i, layer in enumerate(found))


@given(teacher=st.integers(1, 60))
def test_half_is_half_the_count(teacher: int) -> None:
    assert choose_layers(teacher, "half") == choose_layers(teacher, str(max(1, teacher // 2)))


@pytest.mark.parametrize("wanted", ["0", "-1", "7", "100"])
def test_a_count_the_teacher_has_not_is_refused(wanted: str) -> None:
    with pytest.raises(UserError, match=f"student of {wanted} layers .* of 6: allowed are 1 to 6"):
        choose_layers(6, wanted)


@pytest.mark.parametrize("wanted", ["0,6", "2,0", "1,1", "-1,2", [], [-1], [6], [3, 2], [0, 0]])
def test_indices_that_do_not_ascend_or_are_not_there_are_refused(wanted: str | list[int]) -> None:
    with pytest.raises(UserError, match="not possible: name ascending teacher layers from 0 to 5"):
        choose_layers(6, wanted)


@pytest.mark.parametrize("wanted", ["", "halves", "1;2", "1,", "0.5", "two", "9" * 5000])
def test_what_is_no_number_is_refused_with_examples(wanted: str) -> None:
    with pytest.raises(UserError, match=r"not understood: give `half`, `every-.* a count .* 0,2,5"):
        choose_layers(6, wanted)
