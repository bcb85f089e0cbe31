# SPDX-License-Identifier: Apache-2.0
"""Longer passages for training and evaluation: the passages of a data set, joined.

A data set of single paragraphs never shows a model a window without the answer, so that the scores
of windows cannot be compared.  Joined passages give such windows as they come: cut in windows, all
but one or two of them have [CLS] as their target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import UserError
from pipeline.tasks.question_answering.squad import UNKNOWN, Question

BETWEEN = "\n\n"  # passages; white space has no word pieces
# Half of the others come from so many places around: neighbors in a file are often of one article
# or of one subject, which makes them the harder ones to tell apart.
NEAR = 10
# The choice has a seed of its own: the teacher's outputs are kept by the number of a window, so
# that every stage must see the same windows.
SEED = 20_191_001


@dataclass(frozen=True)
class Joining:
    """How many questions get which passage.

    Attributes:
        share: of the questions that get a longer passage, 0 to 1.
        fewest: passages of the shortest of these, at least 2.
        most: passages of the longest.
        unanswered: share of the questions that get another passage, which does not hold their
            answer, 0 to 1; they have no answer then.
        seed: of the choice.
    """

    share: float = 0.0
    fewest: int = 2
    most: int = 5
    unanswered: float = 0.0
    seed: int = SEED


def join_passages(questions: Sequence[Question], how: Joining) -> list[Question]:
    """The questions in their order, a share of them with a longer or another passage.

    The choice for a question depends on the seed and on its place alone.  Where the data have one
    passage only, all questions stay as they are.

    Args:
        questions: of a data set, whose passages are joined.
        how: see :class:`Joining`.
    """
    passages = list(dict.fromkeys(question.context for question in questions))
    places = {passage: place for place, passage in enumerate(passages)}
    if len(passages) < 2 or not (how.share or how.unanswered):
        return list(questions)
    made = []
    for number, question in enumerate(questions):
        rng = np.random.default_rng((how.seed, number))
        chosen = rng.random()
        if chosen < how.unanswered:
            question = _elsewhere(question, passages, places, rng)
        elif chosen < how.unanswered + how.share:
            others = int(rng.integers(how.fewest, how.most + 1)) - 1
            found = _others(places[question.context], len(passages), others, rng)
            question = _longer(question, [passages[place] for place in found], rng)
        made.append(question)
    return made


def long_documents(questions: Sequence[Question], words: int, seed: int) -> list[Question]:
    """The questions in their order, each about a document of at least so many words.

    A document is the passage of its question with others before and after it, in a random order
    that depends on the seed and on the question's place.

    Args:
        questions: of a data set, whose passages are joined.
        words: at least, as white space separates them.
        seed: of the order.

    Raises:
        UserError: all passages together have fewer words.
    """
    passages = list(dict.fromkeys(question.context for question in questions))
    lengths = [len(passage.split()) for passage in passages]
    if sum(lengths) < words:
        raise UserError(
            f"all passages together have {sum(lengths):,} words, and a long document has at least "
            f"{words:,}: name more questions"
        )
    places = {passage: place for place, passage in enumerate(passages)}
    made = []
    for number, question in enumerate(questions):
        rng = np.random.default_rng((seed, number))
        own = places[question.context]
        missing, others = words - lengths[own], []
        for place in map(int, rng.permutation(len(passages))):
            if missing <= 0:
                break
            if place != own:
                others.append(place)
                missing -= lengths[place]
        made.append(_longer(question, [passages[place] for place in others], rng))
    return made


def _longer(question: Question, parts: Sequence[str], rng: np.random.Generator) -> Question:
    """The question with other passages before and after its own, in their order."""
    before = int(rng.integers(0, len(parts) + 1))
    head = "".join(part + BETWEEN for part in parts[:before])
    tail = "".join(BETWEEN + part for part in parts[before:])
    starts = tuple(start if start == UNKNOWN else start + len(head) for start in question.starts)
    return Question(
        question.id,
        question.title,
        head + question.context + tail,
        question.text,
        question.answers,
        starts,
    )


def _elsewhere(
    question: Question, passages: Sequence[str], places: dict[str, int], rng: np.random.Generator
) -> Question:
    """The question asked of a passage that has none of its answers, if a few draws find one."""
    for place in _others(places[question.context], len(passages), 4, rng):
        passage = passages[place]
        if not any(answer in passage for answer in question.answers):
            return Question(question.id, question.title, passage, question.text, (), ())
    return question


def _others(own: int, there: int, count: int, rng: np.random.Generator) -> list[int]:
    """Places of up to `count` distinct passages that are not `own`, half of them near it."""
    found: list[int] = []
    for _ in range(4 * count):  # enough draws, whatever collides
        if rng.random() < 0.5:
            place = own + int(rng.integers(-NEAR, NEAR + 1))
        else:
            place = int(rng.integers(there))
        if 0 <= place < there and place != own and place not in found:
            found.append(place)
        if len(found) == count:
            break
    return found
