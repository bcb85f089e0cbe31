# SPDX-License-Identifier: Apache-2.0
"""What the bytes of an exported file are: embeddings, attention, feed-forward, head, the rest.

It reads no file: weights come as (name, shape, stored bytes), as any reader can list them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

PARTS: Final = ("embeddings", "attention", "feed_forward", "head", "rest")

# What a weight's name says, the first that fits. The first of each are this project's own names,
# then those of Hugging Face's BERT and DistilBERT. Each block's norm counts to the block.
_NAMES: Final = (
    ("embeddings", r"embedding"),
    ("head", r"\bhead[._]|linear_(start|end|out)\b|answer_head|qa_outputs|classifier"),
    ("attention", r"(query|key|value|merge)\b|attention|[qkv]_lin|out_lin|sa_layer_norm"),
    ("feed_forward", r"(expand|contract)\b|output_norm|ffn|intermediate|output"),
)
_PATTERNS: Final = tuple((part, re.compile(pattern, re.IGNORECASE)) for part, pattern in _NAMES)

# Of a joint head for starts and ends.
_HEAD_OUTPUTS = 2


@dataclass(frozen=True)
class Weight:
    """A stored constant: its name, shape and bytes; one that is used twice is listed once."""

    name: str
    shape: tuple[int, ...]
    bytes: int


def split(weights: Iterable[Weight], file_bytes: int) -> dict[str, int]:
    """Add up a file's bytes by what they are for.

    A weight is told by its name, or, where that says nothing, a matrix by its shape.

    Args:
        weights: every constant of the file that is stored in it, once.
        file_bytes: size of the file.

    Returns:
        Bytes of each of `PARTS`; "rest" is what no weight accounts for: the graph, scales that are
        stored with it, metadata. They add up to `file_bytes`.

    Raises:
        ValueError: the weights are larger than the file.
    """
    every = list(weights)
    told = {weight: _part_by_name(weight.name) for weight in every}
    unnamed = [weight.shape for weight, part in told.items() if part is None]
    width = _width(unnamed)
    sizes = Counter(dict.fromkeys(PARTS, 0))
    for weight in every:
        sizes[told[weight] or _part_by_shape(weight.shape, width, unnamed)] += weight.bytes
    named = sum(sizes[part] for part in PARTS if part != "rest")
    if named > file_bytes:
        raise ValueError(
            f"weights of {named:,} bytes do not fit a file of {file_bytes:,}: list each weight "
            "once, and only those stored in it"
        )
    return {part: sizes[part] for part in PARTS[:-1]} | {"rest": file_bytes - named}


def _part_by_name(name: str) -> str | None:
    return next((part for part, pattern in _PATTERNS if pattern.search(name)), None)


def _width(shapes: Sequence[tuple[int, ...]]) -> int | None:
    """The hidden size: the side that most of the matrices have, counted twice where they do."""
    sides = Counter(side for shape in shapes if len(shape) == 2 for side in shape)
    return sides.most_common(1)[0][0] if sides else None


def _part_by_shape(
    shape: tuple[int, ...], width: int | None, every: Collection[tuple[int, ...]]
) -> str:
    """Of a matrix among `every`: feed-forwards come in pairs, there and back, and tables do not."""
    if len(shape) != 2 or width not in shape:
        return "rest"
    other = shape[0] if shape[1] == width else shape[1]
    if other <= _HEAD_OUTPUTS:
        return "head"
    if other == width:
        return "attention"
    return "feed_forward" if shape[::-1] in every else "embeddings"
