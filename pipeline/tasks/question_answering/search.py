# SPDX-License-Identifier: Apache-2.0
"""How a long passage is searched: which of its windows are read, and how their scores compare.

The logits of two windows are not on one scale: the loss of training looks at one window at a time
and does not change if a number is added to all its logits.  What is comparable is a probability
over the positions of a window, with [CLS] among them as the place of "no answer here".
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np

from pipeline.tasks.question_answering.features import Window
from pipeline.tasks.reading import Outputs

Rule = Literal["logits", "log-probability", "log-odds"]
RULES: Final[tuple[Rule, ...]] = get_args(Rule)

# BM25's usual constants: how soon more of a piece stops counting, and how much a longer window is
# discounted (Robertson and Zaragoza 2009, section 3).
SATURATION, LENGTH_SHARE = 1.2, 0.75


@dataclass(frozen=True)
class Search:
    """How the windows of a passage are searched for an answer.

    Attributes:
        rule: how scores of different windows are compared.  `logits`: start logit plus end logit,
            as in BERT's recipe.  `log-probability`: the same less, for start and end, the logarithm
            of the sum of exp over [CLS] and the window's passage pieces.  `log-odds`: the same less
            the two logits of [CLS].  Within one window all three prefer the same span.
        max_windows: read the windows alone that have most in common with the question; None reads
            all.
    """

    rule: Rule = "logits"
    max_windows: int | None = None


def levels(rule: Rule, windows: Sequence[Window], logits: Sequence[Outputs]) -> list[float]:
    """What the scores of each window are reduced by, so that they compare with other windows'.

    Args:
        rule: see :class:`Search`.
        windows: of one question and its passage.
        logits: start and end logits float32 [S] of each window.
    """
    if rule == "logits":
        return [0.0] * len(logits)
    if rule == "log-odds":
        return [float(start[0]) + float(end[0]) for start, end in logits]
    return [
        sum(_log_sum_exp(one, window) for one in pair)
        for window, pair in zip(windows, logits, strict=True)
    ]


def _log_sum_exp(logits: np.ndarray, window: Window) -> float:
    """Log of the sum of exp over [CLS] and the passage pieces of a window, in float64."""
    kept = np.concatenate([logits[:1], logits[window.first : window.stop]]).astype(np.float64)
    highest = float(kept.max())
    if not math.isfinite(highest):
        return 0.0
    return highest + math.log(float(np.exp(kept - highest).sum()))


def shortlist(windows: Sequence[Window], most: int | None) -> list[Window]:
    """The windows that have most in common with their question, in the order of the passage.

    BM25 over word pieces: the windows are the documents, and the question's distinct pieces the
    query.  Of equal windows the earlier ones are kept.

    Args:
        windows: of one question and its passage, as `Windower.windows` gives them.
        most: how many to keep; None keeps all.
    """
    if most is None or len(windows) <= most:
        return list(windows)
    query = list(dict.fromkeys(int(piece) for piece in windows[0].ids[1 : windows[0].first - 1]))
    bodies = [window.ids[window.first : window.stop] for window in windows]
    scores = bm25(query, bodies)
    best = sorted(range(len(windows)), key=lambda place: (-scores[place], place))[:most]
    return [windows[place] for place in sorted(best)]


def bm25(query: Sequence[int], documents: Sequence[np.ndarray]) -> list[float]:
    """BM25 of each document for a query, added up in the order of the query.

    A piece that stands in every document weighs log(1 + 0.5 / (N + 0.5)), next to nothing: this
    takes the place of a list of stop words, in every language.

    Args:
        query: distinct ids.
        documents: ids of each, int32 [P].
    """
    wanted = set(query)
    counts = [Counter(piece for piece in one.tolist() if piece in wanted) for one in documents]
    mean = sum(len(one) for one in documents) / len(documents)
    holding = {piece: sum(piece in count for count in counts) for piece in query}
    scores = []
    for count, one in zip(counts, documents, strict=True):
        norm = 1.0 - LENGTH_SHARE + LENGTH_SHARE * len(one) / mean if mean else 1.0
        score = 0.0
        for piece in query:
            found, often = holding[piece], count[piece]
            rarity = math.log(1.0 + (len(documents) - found + 0.5) / (found + 0.5))
            score += rarity * often * (SATURATION + 1.0) / (often + SATURATION * norm)
        scores.append(score)
    return scores
