# SPDX-License-Identifier: Apache-2.0
"""Padding is cut off the outputs for tokens, and off nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline.tasks.question_answering.evaluate import Answerer
from pipeline.tasks.question_answering.features import Limits
from pipeline.tasks.reading import Reader
from pipeline.tasks.text_classification.evaluate import Classifier

CLASSES = 8


class Model:
    """Gives 0, 1, 2 ... as every output."""

    def __init__(self, outputs: int, size: int | None) -> None:
        self.outputs, self.size = outputs, size

    def run(self, ids: np.ndarray, mask: np.ndarray, segment_ids: np.ndarray) -> Any:
        values = np.arange(self.size or ids.shape[1], dtype=np.float32)
        return (values,) * self.outputs


def given(length: int) -> Any:
    zeros = np.zeros(length, np.int32)
    return SimpleNamespace(ids=zeros, segment_ids=zeros)


@pytest.mark.parametrize("pad_to", [None, CLASSES, CLASSES + 1])
@pytest.mark.parametrize("length", [5, CLASSES])
def test_class_logits_are_whole_whatever_the_length(
    tokenizer: Any, pad_to: int | None, length: int
) -> None:
    """Also where there are as many classes as tokens and padding."""
    traits = {"labels": [f"class {n}" for n in range(CLASSES)], "regression": False}
    reader: Reader[Any, Any] = Classifier(
        Model(1, CLASSES), tokenizer, CLASSES, traits, pad_to=pad_to
    )
    ((logits,),) = reader.outputs([given(length)])
    assert logits.tolist() == list(range(CLASSES))


@pytest.mark.parametrize("pad_to", [None, 8, 9])
def test_token_logits_lose_their_padding(tokenizer: Any, pad_to: int | None) -> None:
    reader: Reader[Any, Any] = Answerer(Model(2, None), tokenizer, Limits(), pad_to=pad_to)
    for logits in reader.outputs([given(5)])[0]:
        assert logits.tolist() == list(range(5))
