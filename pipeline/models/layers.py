# SPDX-License-Identifier: Apache-2.0
"""Which of the teacher's layers the student starts from, and how wide they are."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.errors import UserError

EVERY_SECOND = "every-second"
MULTIPLE = 32  # a share of the neurons is rounded to one: a scale of int4 stands for so many


def choose_layers(teacher_layers: int, wanted: str | Sequence[int]) -> tuple[int, ...]:
    """Which teacher layers the student starts from.

    Args:
        teacher_layers: L, how many the teacher has.
        wanted: `half` (L // 2 layers, at least 1), `every-second` (as many: the last of each pair,
            so that each layer of the student learns to do the work of two), a count such as `4`, or
            the indices themselves, `0,2,5` or a sequence, counted from 0.

    Returns:
        Ascending indices.  For a count K the rule is: layers spread evenly from the first to the
        last, index round(i * (L - 1) / (K - 1)) with halves rounded down, and the last one alone
        for K = 1.  For 12 to 6 that is 0, 2, 4, 7, 9, 11, the reference's own choice.

    Raises:
        UserError: for a count or an index the teacher does not have.
    """
    last = teacher_layers - 1
    if isinstance(wanted, str):
        text = wanted.strip()
        if text == EVERY_SECOND:
            return tuple(range(last, -1, -2))[: max(1, teacher_layers // 2)][::-1]
        try:
            numbers = [int(part) for part in text.split(",")] if text != "half" else []
        except ValueError as error:
            raise UserError(
                f"student layers {wanted!r} not understood: give `half`, `every-second`, "
                "a count such as 3, or indices such as 0,2,5"
            ) from error
        if text == "half" or ("," not in text and len(numbers) == 1):
            count = max(1, teacher_layers // 2) if text == "half" else numbers[0]
            if not 1 <= count <= teacher_layers:
                raise UserError(
                    f"a student of {count} layers cannot start from a teacher of {teacher_layers}: "
                    f"allowed are 1 to {teacher_layers}"
                )
            return _spread(teacher_layers, count)
        wanted = numbers
    indices = tuple(wanted)
    if not indices or list(indices) != sorted(set(indices)) or indices[0] < 0 or indices[-1] > last:
        raise UserError(
            f"student layers {list(indices)} not possible: name ascending teacher layers from 0 to "
            f"{last}"
        )
    return indices


def _spread(teacher_layers: int, count: int) -> tuple[int, ...]:
    """`count` of the teacher's layers, evenly from the first to the last."""
    if count == 1:
        return (teacher_layers - 1,)
    # (2a + b - 1) // 2b is a / b rounded to the nearest integer, halves down.
    a, b = teacher_layers - 1, count - 1
    return tuple((2 * i * a + b - 1) // (2 * b) for i in range(count))


def width_of(wanted: float, width: int) -> int:
    """How many neurons stay.

    Args:
        wanted: their number, or below 1 their share.
        width: how many there are.

    Raises:
        UserError: it is no whole number, or more than there are.
    """
    if wanted < 1:
        return min(width, max(1, round(wanted * width / MULTIPLE)) * MULTIPLE)
    if wanted != int(wanted) or wanted > width:
        raise UserError(
            f"--student.intermediate-size {wanted:g}: the feed-forward layers have {width:,} "
            f"neurons; give a whole number up to {width:,}, or a share below 1 such as 0.5"
        )
    return int(wanted)
