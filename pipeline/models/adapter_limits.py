# SPDX-License-Identifier: Apache-2.0
"""What an adapter of PEFT may ask for: no size that its weights do not have, no endless pattern.

peft makes what a configuration says before it looks at the weights, whatever memory that needs, and
matches its patterns with the names of a model's modules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from converters import one_line
from converters.pretrained import Shape

# The table of words, which an adapter saves whole if the vocabulary grew in its training.
TABLES = ("word_embeddings.weight", "word_embeddings.base_layer.weight")
HEADS = ("qa_outputs.weight", "classifier.weight")
REFUSED = ("megatron_config", "layer_replication")  # import a package, and repeat layers
# Settings that are regular expressions, lists of them, or have them as keys.
PATTERNS = (
    *("target_modules", "exclude_modules", "modules_to_save", "layers_pattern"),
    *("rank_pattern", "alpha_pattern", "target_parameters"),
)
LONGEST_PATTERN = 1000
MOST_REPEATED = 4
RANKS = ("r", "init_r", "target_r")  # settings of peft's kinds that are ranks
USUAL_RANK = 1024  # some kinds have a rank above the size of their matrices, and do not use it


def problem(document: Mapping[str, Any]) -> str | None:
    """What an adapter_config.json asks for that no adapter needs; None if it is nothing."""
    if refused := next((key for key in REFUSED if document.get(key)), None):
        return f"the setting {refused}, which is not supported"
    if slow := next(filter(_is_slow, _patterns(document)), None):
        return f"the pattern {one_line(repr(slow), 60)}, which may take for ever to match"
    return None


def tensor_problem(document: Mapping[str, Any], shapes: Mapping[str, Shape]) -> str | None:
    """What in an adapter's tensors, or in its ranks, no memory may hold; None if it is nothing.

    Args:
        document: the content of adapter_config.json.
        shapes: of the stored tensors by name.
    """
    for name, shape in shapes.items():
        # A matrix of no columns takes no bytes, and may have any number of rows.
        if 0 in shape or (name.endswith((*TABLES, *HEADS)) and len(shape) != 2):
            return f"the weights {one_line(name, 80)} of the shape {shape}"
    most = max((size for shape in shapes.values() for size in shape), default=0)
    patterns = document.get("rank_pattern")
    ranks = {key: document[key] for key in RANKS if document.get(key) is not None}
    ranks |= patterns if isinstance(patterns, dict) else {}
    for key, rank in ranks.items():
        if type(rank) is not int or not 1 <= rank <= max(most, USUAL_RANK):
            return (
                f"the rank {one_line(repr(rank), 30)} ({one_line(key, 40)}), which no weights have"
            )
    return None


def _patterns(document: Mapping[str, Any]) -> Iterator[str]:
    """The texts that peft takes for regular expressions."""
    for key in PATTERNS:
        value = document.get(key)
        texts = value if isinstance(value, list | dict) else [value]
        yield from (text for text in texts if isinstance(text, str))


def _is_slow(pattern: str) -> bool:
    """Whether matching may take longer than anybody waits: it repeats a repetition, or many."""
    return (
        len(pattern) > LONGEST_PATTERN
        or re.search(r"\)[*+{]", pattern) is not None
        or len(re.findall(r"[*+{]", pattern)) > MOST_REPEATED
    )
