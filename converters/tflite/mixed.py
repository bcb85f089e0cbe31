# SPDX-License-Identifier: Apache-2.0
"""The groups of weights that a .tflite file of the precision `mixed` stores in int4 or in int8.

A group is what is chosen as a whole: a table of embeddings, or the attention or the feed-forward of
one encoder layer. The head and the table of segments are small and stay in int8.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from converters import ConversionError
from converters.tflite import file as tflite_file

# So many inputs of a layer, or so many values of a row of a table, share a scale in int4.
BLOCK = 32

# Group of a whole model -> the table of `converters.graphs.mobile.MobileGraph` that it is.
TABLES: Mapping[str, str] = MappingProxyType(
    {"words": "word_embeddings", "positions": "position_embeddings"}
)
# Group of an encoder layer -> the linear layers of `converters.graphs.mobile.EncoderLayer` in it.
LINEARS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"attention": ("query", "key", "value", "merge"), "feed-forward": ("expand", "contract")}
)


def group_names(layers: int) -> tuple[str, ...]:
    """All groups of a model with so many encoder layers: `words`, `layer 0 attention` and so on."""
    of_layers = (f"layer {number} {part}" for number in range(layers) for part in LINEARS)
    return (*TABLES, *of_layers)


def modules_of(group: str) -> tuple[str, ...]:
    """The modules of a `MobileGraph` whose weights are a group.

    Raises:
        ConversionError: there is no such group.
    """
    if group in TABLES:
        return (f"{TABLES[group]}.table",)
    found = re.fullmatch(rf"layer (\d+) ({'|'.join(LINEARS)})", group)
    if not found:
        raise ConversionError(
            f"no group of weights is called {group!r}: choose from {', '.join(TABLES)}, and "
            f"{' and '.join(f'layer N {part}' for part in LINEARS)} for each layer N from 0 on"
        )
    return tuple(f"layers.{found[1]}.{name}" for name in LINEARS[found[2]])


def scopes(model: Any, groups: Collection[str]) -> list[str]:
    """Patterns of the operators that read the weights of some groups, for the quantizer.

    The quantizer knows an operator by the names of its outputs, which tell its layer only where no
    activation is fused with it. The name of a weight always tells.

    Args:
        model: a `ModelT` in float32, as the converter makes it.
        groups: from `group_names`.

    Returns:
        A regular expression for each operator.

    Raises:
        ConversionError: a group that the model does not have.
    """
    found = []
    for group in groups:
        readers = [_readers(model, _weight_name(module)) for module in modules_of(group)]
        if not all(readers):
            raise ConversionError(
                f"the model has no weights called {group!r}: choose from "
                f"{', '.join(group_names(_layers(model)))}"
            )
        found += [f"^{re.escape(name)}" for names in readers for name in names]
    return found


def _weight_name(module: str) -> str:
    """A pattern of the name that the converter gives to the weight of a module of `MobileGraph`."""
    *_, owner, name = module.split(".")
    return rf"(^|_Table_){owner}(/|$)" if name == "table" else rf"EncoderLayer_{owner}/.*_{name};"


def _readers(model: Any, weight: str) -> Sequence[str]:
    """Names of the outputs of the operators that read a weight whose name fits a pattern."""
    return [
        graph.tensors[operator.outputs[0]].name.decode()
        for graph in model.subgraphs
        for operator, name in _weighted(model, graph)
        if re.search(weight, name)
    ]


def _weighted(model: Any, graph: Any) -> Iterator[tuple[Any, str]]:
    """Operators of a graph with a weight, and the weight's name."""
    for operator in graph.operators:
        if tflite_file.operator_name(model, operator) in ("FULLY_CONNECTED", "EMBEDDING_LOOKUP"):
            yield operator, graph.tensors[operator.inputs[1]].name.decode()


def _layers(model: Any) -> int:
    """How many encoder layers a model has."""
    names = (name for graph in model.subgraphs for _, name in _weighted(model, graph))
    return len({found[1] for name in names if (found := re.search(r"EncoderLayer_(\d+)/", name))})
