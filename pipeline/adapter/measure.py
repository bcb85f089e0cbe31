# SPDX-License-Identifier: Apache-2.0
"""What the adapter's training is measured by: F1 on single passages and on joined ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.adapter.learner import Learner, masked_accuracy, run_windows
from pipeline.tasks.question_answering.evaluate import decode, score
from pipeline.tasks.question_answering.features import Limits, Windower
from pipeline.tasks.question_answering.joined import Joining, join_passages
from pipeline.tasks.question_answering.search import RULES, shortlist
from pipeline.tasks.question_answering.squad import QuestionSet
from pipeline.training.distil import Masking

JOINED = 5  # passages of a joined one
BEST = 2  # windows of a shortlist


@dataclass(frozen=True)
class Measure:
    """Measures a learner.

    Attributes:
        tokenizer: of the base model.
        limits: how passages are cut.
        sets: the questions, by what the card calls them.
        masking: masks the samples below.
        held_out: samples of text that nothing was learned from; none leaves the accuracy out.
    """

    tokenizer: Any
    limits: Limits
    sets: Sequence[QuestionSet]
    masking: Masking
    held_out: Sequence[np.ndarray]

    def __call__(self, learner: Learner) -> dict[str, float]:
        """F1 in percent, and the share of masked words that are named right in percent.

        `NAME` is F1 on single passages.  `NAME, joined, RULE` is that on five passages joined, with
        the windows' scores compared by each of `search.RULES`; and `..., best 2` where only the two
        windows are read that BM25 prefers.
        """
        figures = {}
        for each in self.sets:
            figures[each.name] = self._f1(learner, each)["logits"]
            whole = Joining(share=1.0, fewest=JOINED, most=JOINED)
            joined = replace(each, questions=tuple(join_passages(each.questions, whole)))
            for rule, value in self._f1(learner, joined).items():
                figures[f"{each.name}, joined, {rule}"] = value
        if learner.transform is not None and self.held_out:
            accuracy = masked_accuracy(learner, self.masking, self.held_out)
            figures["masked words"] = 100.0 * accuracy
        return {name: round(value, 2) for name, value in figures.items()}

    def _f1(self, learner: Learner, asked: QuestionSet) -> dict[str, float]:
        """F1 by the rule that compares windows, with all windows and with the best two."""
        windower = Windower(self.tokenizer, self.limits)
        windows = [windower.windows(one.text, one.context) for one in asked.questions]
        rows = [(one.ids, one.segment_ids) for each in windows for one in each]
        outputs = iter(run_windows(learner, rows, self.tokenizer.pad_token_id))
        logits = [[next(outputs) for _ in each] for each in windows]
        found = {}
        for most in (None, BEST):
            for rule in RULES:
                texts = []
                for question, each, pairs in zip(asked.questions, windows, logits, strict=True):
                    kept = shortlist(each, most)
                    taken = [pair for one, pair in zip(each, pairs, strict=True) if one in kept]
                    start, end, _ = decode(kept, taken, self.limits, rule=rule)
                    texts.append(question.context[start:end])
                name = rule if most is None else f"{rule}, best {most}"
                found[name] = score(texts, asked)["f1"]
        return found
