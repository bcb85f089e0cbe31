# SPDX-License-Identifier: Apache-2.0
"""What an exported file takes and gives: the names, shapes and meanings of its tensors.

Every file takes the same three int32 inputs of shape (1, S), by name. S may be any length up to the
number of positions that the model was trained with; or, in a file made for accelerators that want
fixed shapes, one of a few lengths with a graph each. An .onnx file also takes B rows at once.

What a file gives depends on its head. An output with the axis "token" has one value for each token,
float32 (1, S), and `MASK_BIAS` is added to its padding; one with the axis "class" has one value for
each class, float32 (1, C). The names of its outputs tell which interface a file has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from converters import ConversionError

INPUTS = ("ids", "mask", "segment_ids")

# Added to attention scores and to the outputs of tokens wherever the mask is 0. Large enough that
# exp() of it is 0 and that no padding is ever among the best, small enough for fp16 (largest
# 65,504); minus infinity would turn into NaN there.
MASK_BIAS = -1e4

# Metadata of an .onnx file that says the largest S; a .tflite file's position table says it.
MAX_LENGTH_KEY = "max_length"


def signature_of(length: int) -> str:
    """The name of the graph that takes exactly `length` tokens, where a file has several."""
    return f"length_{length}"


@dataclass(frozen=True)
class Output:
    """One output of a graph.

    Attributes:
        name: of its tensor, which is also Hugging Face's name for it.
        axis: "token" for float32 (1, S), "class" for float32 (1, C).
        meaning: one sentence for the metadata of files.
    """

    name: str
    axis: Literal["token", "class"]
    meaning: str


@dataclass(frozen=True)
class Interface:
    """What the files of one kind of head take and give.

    Attributes:
        signature: the name of the graph that takes any length.
        outputs: in the order in which every predictor returns them.
        inputs: the meaning of each of `INPUTS`, a sentence for the metadata of files.
        summary: what the graph computes, a sentence.
        head: how the names of Hugging Face's classes with this head end.
    """

    signature: str
    outputs: tuple[Output, ...]
    inputs: Mapping[str, str]
    summary: str
    head: str

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the outputs, in their order."""
        return tuple(output.name for output in self.outputs)

    def row(self, arrays: Iterable[Any], length: int) -> tuple[NDArray[np.float32], ...]:
        """The first row of each output, without padding, as arrays of their own.

        Args:
            arrays: what a runtime gave, in the interface's order: (1, S and padding) or (1, C).
            length: S.

        Returns:
            float32 (S,) of an output for tokens, (C,) of one for classes.
        """
        return tuple(
            np.array(array[0][:length] if output.axis == "token" else array[0], np.float32)
            for output, array in zip(self.outputs, arrays, strict=True)
        )

    def masked(
        self, arrays: Sequence[NDArray[np.float32]], mask: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], ...]:
        """Rows of `row`, with `MASK_BIAS` added to the padding of tokens: what our graphs do.

        Args:
            arrays: float32 (S,) or (C,) each, in the interface's order.
            mask: 1 for a token, 0 for padding, int32 (1, S).
        """
        bias = (1 - np.asarray(mask[0], np.float32)) * np.float32(MASK_BIAS)  # (S,)
        return tuple(
            array + bias if output.axis == "token" else array
            for output, array in zip(self.outputs, arrays, strict=True)
        )


SPANS = Interface(
    signature="answer",
    outputs=(
        Output("start_logits", "token", "How well the answer starts at each token."),
        Output("end_logits", "token", "How well the answer ends at each token."),
    ),
    inputs={
        "ids": "Token ids of [CLS] question [SEP] passage [SEP] and padding.",
        "mask": "1 for a token, 0 for padding.",
        "segment_ids": "0 for the question and padding, 1 for the passage.",
    },
    summary="Scores every token as the start and as the end of the answer.",
    head="ForQuestionAnswering",
)
CLASSES = Interface(
    signature="classify",
    outputs=(
        Output(
            "logits", "class", "How well each class fits the text, as a logit before a softmax."
        ),
    ),
    inputs={
        "ids": "Token ids of [CLS] text [SEP], or [CLS] text [SEP] text [SEP], and padding.",
        "mask": "1 for a token, 0 for padding.",
        "segment_ids": "0 for the first text and padding, 1 for the second text.",
    },
    summary="Scores every class for a text or a pair of texts.",
    head="ForSequenceClassification",
)
INTERFACES = (SPANS, CLASSES)


def interface_of(outputs: Iterable[str]) -> Interface | None:
    """The interface whose outputs have these names, in any order; None if there is none."""
    names = sorted(outputs)
    return next((one for one in INTERFACES if sorted(one.names) == names), None)


def interface_of_class(name: str, folder: Path | None = None) -> Interface:
    """The interface of a Hugging Face class such as `DistilBertForQuestionAnswering`.

    Args:
        name: of the class.
        folder: whose config.json names the class, for the message.

    Raises:
        ConversionError: no file can be made of its head.
    """
    for one in INTERFACES:
        if name.endswith(one.head):
            return one
    holds = "" if folder is None else f"{folder} holds "
    raise ConversionError(
        f"{holds}{name or 'a model of no named class'}, which has no head for a task: expected a "
        f"class whose name ends in {' or '.join(one.head for one in INTERFACES)}, as a model that "
        "was fine-tuned has"
    )


def labels_of(model: Any) -> tuple[str, ...]:
    """The names of the classes that a Hugging Face model tells apart, in the order of its output.

    They are those of its configuration, each on one line; none for a model without an output for
    classes, or whose classes have the names that transformers makes up (`LABEL_0`).
    """
    outputs = interface_of_class(type(model).__name__).outputs
    names = tuple(" ".join(str(name).split()) for name in model.config.id2label.values())
    made_up = all(name == f"LABEL_{place}" for place, name in enumerate(names))
    return names if outputs[0].axis == "class" and not made_up else ()


def expected_tensors() -> str:
    """The tensors that a file may have, for messages: each interface's outputs."""
    gives = " or to ".join(", ".join(one.names) for one in INTERFACES)
    return f"{', '.join(INPUTS)} to {gives}"
