# SPDX-License-Identifier: Apache-2.0
"""More training questions than people wrote: made from the text itself, or asked of less of it.

A cloze question takes a span out of a sentence and asks for it with a question word and the words
around it (Dhingra et al., "Simple and Effective Semi-Supervised Question Answering", 2018; Lewis et
al., "Unsupervised Question Answering by Cloze Translation", 2019).  Such questions are clumsy; they
are there for the teacher to answer, so that the student learns from more and other texts.

A student also sees too few passages where each has many questions.  So some questions are asked of
the sentence with their answer, among sentences from elsewhere.

The question words, and the words that spans are found by, are English; see `blanks.py`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.tasks.question_answering.blanks import Blank, blanks, is_content
from pipeline.tasks.question_answering.squad import UNKNOWN, Question

# The choice has a seed of its own: the teacher's outputs are kept by the number of a window, so
# that every stage must see the same windows.
SEED = 20_191_002
TITLE = "cloze"
FEWEST_WORDS = 5  # of a sentence; headings and list items have fewer
FEWEST_ASKED = 7  # words of a sentence that is asked about: less leaves too little around a span
MOST_CHARACTERS = 80  # of an answer
OTHERS = (0, 1, 2, 2, 3)  # sentences beside the question's own, each as likely as another
MISSES = 1000  # sentences in a row without a question, after which the texts yield none
# How often a word beside the span is left out, so that a question is not its sentence in order.
DROPPED_CONTENT, DROPPED_FUNCTION = 0.12, 0.3

# A period before a digit ends no sentence, and a comma in a number ends no word.
_SENTENCE = re.compile(r"[^.!?]+(?:[.!?](?=\d)[^.!?]*)*[.!?]?")
_WORD = re.compile(r"[\w'\u2019-]+(?:[.,]\d+)*")


@dataclass(frozen=True)
class _Sentence:
    """A sentence with its words and where each lies in it, in code points."""

    text: str
    words: tuple[str, ...]
    places: tuple[tuple[int, int], ...]


def sentences(text: str) -> list[tuple[int, int]]:
    """Start and end of each sentence of at least five words, in code points of `text`.

    White space around a sentence is not part of it.
    """
    found = []
    for match in _SENTENCE.finditer(text):
        whole = match.group()
        if len(whole.split()) >= FEWEST_WORDS:
            start = match.start() + len(whole) - len(whole.lstrip())
            found.append((start, start + len(whole.strip())))
    return found


def cloze_questions(passages: Sequence[str], count: int, seed: int = SEED) -> list[Question]:
    """Questions made from sentences of English passages, each with its answer at its offset.

    A question's passage is its sentence with 0 to 3 others of the passages around it.

    Args:
        passages: of the training data.
        count: how many questions are wanted.
        seed: of every choice.

    Returns:
        `count` questions with the ids `cloze-0`, `cloze-1` and so on; fewer or none where the
        passages have no sentence that yields one.
    """
    pool = list(dict.fromkeys(text for passage in passages for text in _cut(passage)))
    parsed = [(place, _parsed(text)) for place, text in enumerate(pool)]
    asked = [(place, one) for place, one in parsed if len(one.words) >= FEWEST_ASKED]
    rng = random.Random(seed)  # noqa: S311 - a choice, no secret
    made: list[Question] = []
    missed = 0
    while asked and len(made) < count and missed < MISSES:
        place, sentence = rng.choice(asked)
        missed += 1
        if (pair := _ask(sentence, rng)) is None:
            continue
        missed = 0
        question, (start, end) = pair
        others = _others(pool, range(place, place + 1), rng)
        context, offset = _among(sentence.text, others, rng)
        made.append(
            Question(
                id=f"{TITLE}-{len(made)}",
                title=TITLE,
                context=context,
                text=question,
                answers=(sentence.text[start:end],),
                starts=(offset + start,),
            )
        )
    return made


def shorten(questions: Sequence[Question], share: float, seed: int = SEED) -> list[Question]:
    """The questions in their order, a share of them asked of a few sentences.

    Such a question keeps the sentence with its first answer, among 0 to 3 sentences of other
    passages, and those of its answers that lie in that sentence.  A question stays as it is where
    it has no answer, where the offset of one is `UNKNOWN`, or where the first does not lie within
    one sentence.  The choice of questions depends on the seed and on their places alone.

    Args:
        questions: of a data set, whose passages give the other sentences.
        share: of the questions, 0 to 1.
        seed: of every choice.
    """
    if not share:
        return list(questions)
    pool: list[str] = []
    own: dict[str, range] = {}  # where the sentences of a passage stand among all
    for passage in dict.fromkeys(question.context for question in questions):
        before = len(pool)
        pool += _cut(passage)
        own[passage] = range(before, len(pool))
    made = []
    for number, question in enumerate(questions):
        rng = random.Random(f"{seed}-{number}")  # noqa: S311 - a choice, no secret
        if rng.random() < share and (span := _around_first_answer(question)) is not None:
            question = _shortened(question, span, _others(pool, own[question.context], rng), rng)
        made.append(question)
    return made


def _around_first_answer(question: Question) -> tuple[int, int] | None:
    """The sentence with the first answer; None where there is none or an offset is not known."""
    if not question.answers or UNKNOWN in question.starts:
        return None
    start = question.starts[0]
    end = start + len(question.answers[0])
    spans = sentences(question.context)
    if len(spans) < 2:
        return None  # there is nothing to leave out
    return next((span for span in spans if span[0] <= start and end <= span[1]), None)


def _shortened(
    question: Question, span: tuple[int, int], others: Sequence[str], rng: random.Random
) -> Question:
    """The question, asked of one sentence of its passage among others."""
    first, last = span
    context, offset = _among(question.context[first:last], others, rng)
    kept = [
        (answer, start - first + offset)
        for answer, start in zip(question.answers, question.starts, strict=True)
        if first <= start and start + len(answer) <= last
    ]
    return Question(
        question.id,
        question.title,
        context,
        question.text,
        tuple(answer for answer, _ in kept),
        tuple(start for _, start in kept),
    )


def _cut(passage: str) -> list[str]:
    """The texts of a passage's sentences."""
    return [passage[start:end] for start, end in sentences(passage)]


def _others(pool: Sequence[str], own: range, rng: random.Random) -> list[str]:
    """A few distinct sentences of the pool, in random order; none of those at the places `own`."""
    there = len(pool) - len(own)
    places = rng.sample(range(there), min(rng.choice(OTHERS), there))
    return [pool[place if place < own.start else place + len(own)] for place in places]


def _among(sentence: str, others: Sequence[str], rng: random.Random) -> tuple[str, int]:
    """A passage of a sentence and others, and where the sentence starts in it."""
    before = rng.randint(0, len(others))
    head = "".join(f"{other} " for other in others[:before])
    tail = "".join(f" {other}" for other in others[before:])
    return head + sentence + tail, len(head)


def _parsed(text: str) -> _Sentence:
    """A sentence with its words."""
    found = list(_WORD.finditer(text))
    return _Sentence(
        text, tuple(each.group() for each in found), tuple(each.span() for each in found)
    )


def _ask(sentence: _Sentence, rng: random.Random) -> tuple[str, tuple[int, int]] | None:
    """A question about a random span of a sentence, and where the answer lies in the sentence.

    None where no span has enough words around it.
    """
    spans = list(blanks(sentence.words, rng))
    rng.shuffle(spans)
    for blank in spans:
        start, end = sentence.places[blank.first][0], sentence.places[blank.stop - 1][1]
        if end - start <= MOST_CHARACTERS and (rest := _rest(sentence.words, blank, rng)):
            text = " ".join([rng.choice(blank.asked), *rest])
            return f"{text[0].upper()}{text[1:]}?", (start, end)
    return None


def _rest(words: Sequence[str], blank: Blank, rng: random.Random) -> list[str]:
    """What a question says besides its question word; empty where that is too little.

    It is some of the words on both sides of the span, in the order of the sentence or with the
    later ones first.
    """
    before = words[max(0, blank.first - rng.randint(3, 9)) : blank.first]
    after = words[blank.stop : blank.stop + rng.randint(2, 8)]
    sides = [[word for word in side if _stays(word, rng)] for side in (before, after)]
    if rng.random() >= 0.5:
        sides.reverse()
    rest = [word for side in sides for word in side]
    return rest if sum(map(is_content, rest)) >= 2 else []


def _stays(word: str, rng: random.Random) -> bool:
    """Whether a word gets into a question."""
    return rng.random() > (DROPPED_CONTENT if is_content(word) else DROPPED_FUNCTION)
