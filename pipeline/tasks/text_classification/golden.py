# SPDX-License-Identifier: Apache-2.0
"""Golden cases of text classification, and the texts of a benchmark on a phone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.measure.latency import VALID_QUERIES
from pipeline.documents import GOLDEN_SCHEMA
from pipeline.tasks.text_classification.data import Text, TextSet
from pipeline.tasks.text_classification.evaluate import Classifier

TEXTS_SCHEMA = 1

# Texts on which tokenizers differ: nothing, blanks, accents, combining marks, CJK, characters
# outside the BMP, zero width, and a word longer than a tokenizer accepts.
UNUSUAL = (
    "",
    "  Two  blanks,\ta tab\nand a line break.  ",
    "Zoë and naïve René moved from Köln to Malmo\u0308, near the café.",
    "東京 is great \U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 5/5!!!",
    "A soft\u00adhyphen, a zero\u200bwidth space and " + "x" * 120 + " are hidden here.",
)


def cases(
    examples: TextSet, count: int, max_length: int, added: str | None = None
) -> list[tuple[str, str | None]]:
    """Texts or pairs: some of a set, unusual ones, and some that are too long.

    Args:
        examples: drawn from evenly.
        count: how many of them.
        max_length: of an input, in word pieces; what is too long is longer.
        added: a text with the tokens that were added to the tokenizer, if any were.
    """
    odd = (*UNUSUAL, added) if added else UNUSUAL
    picked = [(one.text, one.pair) for one in examples.spread(count).examples]
    words = [word for one in examples.examples for word in one.text.split()] or ["long"]
    text = " ".join((words * (1 + 2 * max_length // len(words)))[: 2 * max_length])
    if not examples.pair:
        return [*picked, *((each, None) for each in odd), (text, None)]
    first = picked[0][0]
    unusual = [*((each, first) for each in odd), (first, ""), ("", "")]
    return [*picked, *unusual, (text, first), (first, text), (text, text)]


def golden_document(
    cases: Sequence[tuple[str, str | None]], readers: Mapping[str, Classifier]
) -> dict[str, Any]:
    """What `golden.json` says of texts and of what each file makes of them."""
    return {
        "schema_version": GOLDEN_SCHEMA,
        "logits": "at the input's own length",
        "cases": [_case(text, pair, readers) for text, pair in cases],
    }


def _case(text: str, pair: str | None, readers: Mapping[str, Classifier]) -> dict[str, Any]:
    readings = {name: reader.read(Text(text, pair, "")) for name, reader in readers.items()}
    feature = next(iter(readings.values())).inputs[0]
    answers: dict[str, Any] = {}
    for name, reading in readings.items():
        found = reading.prediction
        said: dict[str, Any] = {"value": round(found.value, 4)}
        if found.labels:
            said = {"label": found.label, "probability": round(found.probability, 6)}
        answers[name] = said | {"logits": _rounded(reading.outputs[0][0])}
    return {
        "text": text,
        **({} if pair is None else {"pair": pair}),
        "ids": feature.ids.tolist(),
        "segment_ids": feature.segment_ids.tolist(),
        "answers": answers,
    }


def _rounded(logits: np.ndarray) -> list[float]:
    return [round(float(value), 4) for value in logits]


def texts_document(evaluation: TextSet) -> dict[str, Any]:
    """`texts.json`: no more texts than a benchmark has to classify, each with its label."""
    return {
        "schema_version": TEXTS_SCHEMA,
        "source": evaluation.name,
        "sha256": evaluation.sha256,
        "available": len(evaluation.examples),
        "texts": [
            {
                "text": one.text,
                **({} if one.pair is None else {"pair": one.pair}),
                "label": one.label,
            }
            for one in evaluation.spread(VALID_QUERIES).examples
        ],
    }
