# SPDX-License-Identifier: Apache-2.0
"""Checks question-answering data: SQuAD files, hub data sets, the embedded set.

The file format is that of Rajpurkar et al., "SQuAD: 100,000+ Questions for Machine Comprehension of
Text" (2016) and of its version 2.0 (2018).  Offsets are counted in Unicode code points.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pipeline.data.sources import EMBEDDED, Part, read_bytes
from pipeline.errors import UserError
from pipeline.hub import is_hub_id, load_dataset
from pipeline.tasks.question_answering import languages
from pipeline.tasks.question_answering.forms import REPAIRS, Raw, Walk, read_document, readings

BadAnswers = Literal["error", "skip"]
EmptyAnswers = Literal["error", "unanswerable", "drop"]
UNKNOWN = -1  # the offset of an answer that counts by its text alone


@dataclass(frozen=True)
class Question:
    """One question about one passage.

    Attributes:
        id: unique within its file.
        title: of the article or passage.
        context: the passage.
        text: the question.
        answers: every acceptable answer; empty where the passage holds none (SQuAD 2.0).
        starts: the code point in `context` at which each answer starts; `UNKNOWN` for an answer
            that is not at its offset and is for scoring alone.
    """

    id: str
    title: str
    context: str
    text: str
    answers: tuple[str, ...]
    starts: tuple[int, ...]


@dataclass(frozen=True)
class QuestionSet:
    """Questions with where they came from.

    Attributes:
        name: file name, hub id or `embedded`; never a path, so that reports travel.
        sha256: of the content that was read.
        questions: in the order of the file.
        skipped: how many questions were left out because their answer is not at its offset.
        repairs: how often each kind of `forms.REPAIRS` was mended.
        language: the code of the language by whose rules answers are compared.
        is_language_known: whether the user or the passages told it; if not, it is English.
        reading: what the offsets seem to count, where they are wrong and are not needed.
    """

    name: str
    sha256: str
    questions: tuple[Question, ...]
    skipped: int = 0
    repairs: Mapping[str, int] = field(default_factory=dict)
    language: str = languages.ENGLISH
    is_language_known: bool = False
    reading: str = ""

    @property
    def passages(self) -> tuple[str, ...]:
        """The distinct passages, in order of first use."""
        return tuple(dict.fromkeys(q.context for q in self.questions))

    @property
    def examples(self) -> tuple[Question, ...]:
        """The questions: the name that every task has for them."""
        return self.questions

    @property
    def texts(self) -> tuple[str, ...]:
        """The passages, likewise."""
        return self.passages

    @property
    def has_unanswerable(self) -> bool:
        """Whether any question has no answer in its passage, as in SQuAD 2.0."""
        return any(not q.answers for q in self.questions)

    def limited(self, count: int | None) -> QuestionSet:
        """The first `count` questions (all of them for None)."""
        if count is None or count >= len(self.questions):
            return self
        return replace(self, questions=self.questions[:count])

    def spread(self, most: int) -> QuestionSet:
        """At most `most` questions, from the first on, the gaps between them as equal as can be."""
        there = len(self.questions)
        count = min(most, there)
        picked = tuple(self.questions[place * there // count] for place in range(count))
        return replace(self, questions=picked)

    def with_examples(self, examples: Sequence[Question]) -> QuestionSet:
        """These questions in place of its own, scored by the same rules."""
        return replace(self, questions=tuple(examples))

    def facts(self) -> dict[str, Any]:
        """What a report says of the data."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "counts": {
                "questions": len(self.questions),
                "passages": len(self.passages),
                "skipped": self.skipped,
                **self.repairs,
            },
            "language": self.language if self.is_language_known else None,
        }

    @property
    def repaired(self) -> str:
        """One line that says what was mended or left out; empty where nothing was."""
        said = [f"{REPAIRS[kind]}: {count:,}" for kind, count in self.repairs.items()]
        if self.skipped:
            said.append(f"questions left out, whose answer is not at its offset: {self.skipped:,}")
        if self.reading:
            said.append(self.reading)
        return f"{self.name}: {'; '.join(said)}" if said else ""


def load_questions(
    source: str,
    part: Part,
    *,
    bad_answers: BadAnswers = "error",
    empty_answers: EmptyAnswers = "error",
    language: str = languages.AUTO,
) -> QuestionSet:
    """Reads one part of a question-answering data set.

    Args:
        source: `embedded`, the path of a file in one of the forms of `forms`, or the id of a hub
            data set with SQuAD's columns (`rajpurkar/squad`, `facebook/mlqa:mlqa.de.de`), read
            through `datasets` and its cache.
        part: which half of `embedded` or of a hub data set; a file is read whole.  Answers of
            "train" must stand at their offsets, those of "dev" count by their text.
        bad_answers: what to do with a training answer that does not stand at its offset.
        empty_answers: what to do with a question whose answer is an empty text.
        language: a code, or `auto` for that of the passages.

    Raises:
        UserError: for anything that is missing, damaged or not in the format.
    """
    if (wrong := languages.problem(language)) is not None:
        raise UserError(wrong)
    path = Path(source)
    if source == EMBEDDED:
        resource = resources.files(__package__) / "embedded" / f"{part}.json"
        content, name = resource.read_bytes(), f"{EMBEDDED} {part}"
        found = parse_squad(content, name, bad_answers, part, empty_answers)
    elif path.is_file():
        found = parse_squad(read_bytes(path), path.name, bad_answers, part, empty_answers)
    elif is_hub_id(source):
        split = {"train": "train", "dev": "validation"}[part]
        rows = list(load_dataset(source, split))
        digest = hashlib.sha256(
            json.dumps(rows, sort_keys=True, default=str).encode("utf-8", "surrogatepass")
        ).hexdigest()
        collection = _Collection(f"{source} {split}", part, bad_answers, empty_answers)
        found = collection.collect(rows, digest)
    else:
        raise UserError(
            f"no data file {source}: name a SQuAD 1.1 or 2.0 JSON file, a hub data set such as "
            f"rajpurkar/squad, or `{EMBEDDED}`"
        )
    known = languages.detect(found.passages) if language == languages.AUTO else language
    return replace(found, language=known or languages.ENGLISH, is_language_known=known is not None)


def parse_squad(
    content: bytes,
    name: str,
    bad_answers: BadAnswers,
    part: Part = "train",
    empty_answers: EmptyAnswers = "error",
) -> QuestionSet:
    """Parses the bytes of a file; see `load_questions` for the settings.

    Raises:
        UserError: if it is empty, not JSON (the line is named), not SQuAD's structure (the place is
            named), holds no question, holds a training answer not at its offset while
            `bad_answers` is "error", or an empty answer while `empty_answers` is.
    """
    collection = _Collection(name, part, bad_answers, empty_answers)
    document = read_document(content, name, collection.repairs)
    return collection.collect(document, hashlib.sha256(content).hexdigest())


class _Collection:
    """The questions of one source while they are checked."""

    def __init__(
        self, name: str, part: Part, bad_answers: BadAnswers, empty_answers: EmptyAnswers
    ) -> None:
        self.name, self.part = name, part
        self.bad_answers, self.empty_answers = bad_answers, empty_answers
        self.repairs: Counter[str] = Counter()
        self.ids: set[str] = set()
        self.numbers: Counter[str] = Counter()  # the last one given to an id that is used again
        self.kept: list[Question] = []
        self.wrong: list[tuple[Question, str, int]] = []  # with the first answer that is wrong
        self.empty: list[str] = []  # ids of questions whose answer is an empty text
        self.blank: list[str] = []  # ids of questions without text

    def collect(self, document: Any, sha256: str) -> QuestionSet:
        """Takes every question that can be used and refuses the rest, or counts it."""
        raws = list(Walk(self.name, self.part, self.repairs).questions(document))
        if self.part == "dev":
            self._check_answers_are_there(raws)
        for raw in raws:
            self._take(raw)
        self._refuse(raws)
        if not self.kept:
            reading = _reading(raws) if self.wrong else ""
            raise UserError(
                f"{self.name} holds no usable question ({len(self.wrong)} left out)"
                + (f"; {reading}" if reading else "")
            )
        order = [kind for kind in REPAIRS if self.repairs[kind]]
        by_text = self.part == "dev" and self.repairs["references_by_text"]
        return QuestionSet(
            self.name,
            sha256,
            tuple(self.kept),
            skipped=len(self.wrong),
            repairs={kind: self.repairs[kind] for kind in order},
            reading=_reading(raws) if by_text else "",
        )

    def _check_answers_are_there(self, raws: list[Raw]) -> None:
        if raws and not any(raw.answers or raw.impossible for raw in raws):
            raise UserError(
                f"{self.name} has no answers to score against, as the test part of a benchmark "
                "has none: name a file with answers, such as its development part"
            )
        missing = [raw for raw in raws if raw.answers is None]
        if missing:
            raise UserError(
                f"{self.name}: {len(missing)} of {len(raws)} questions have no `answers`; the "
                f"first is {missing[0].place}: add them, or leave these questions out"
            )

    def _take(self, raw: Raw) -> None:
        given = [(text, UNKNOWN if start is None else start) for text, start in raw.answers or ()]
        name = self._unique(raw)
        if not raw.text.strip():
            self.blank.append(name)
        listed_none = not given and not raw.impossible
        if listed_none and not raw.row and raw.impossible is None:
            self.repairs["empty_lists"] += 1
        elif (given and not any(text.strip() for text, _ in given)) or (
            listed_none and raw.impossible is False
        ):
            self.empty.append(name)
            if self.empty_answers == "drop":
                return
            given = []
        right = [(text, start) for text, start in given if _stands(raw.context, text, start)]
        bad = [pair for pair in given if pair not in right]

        def question(answers: list[tuple[str, int]]) -> Question:
            texts, starts = zip(*answers, strict=True) if answers else ((), ())
            return Question(name, raw.title, raw.context, raw.text, tuple(texts), tuple(starts))

        if self.part == "dev":
            used = [
                (text, start if (text, start) in right else UNKNOWN)
                for text, start in given
                if text.strip()
            ]
            self.repairs["empty_references"] += len(given) - len(used)
            self.repairs["references_by_text"] += sum(start == UNKNOWN for _, start in used)
            self.kept.append(question(used))
        elif bad and (self.bad_answers == "error" or not right):
            self.wrong.append((question(given), *bad[0]))
        else:
            self.repairs["references_left_out"] += len(bad)
            self.kept.append(question(right))

    def _unique(self, raw: Raw) -> str:
        """The id of a question: its place where it has none, `ID#2` where it is used again."""
        if raw.id is None:
            self.repairs["ids_made"] += 1
        name = given = raw.place if raw.id is None else raw.id
        if name in self.ids:
            self.repairs["ids_numbered"] += 1
            self.numbers[given] = max(self.numbers[given], 1)
        while name in self.ids:  # not from 2 on each time: a file may use one id for all
            self.numbers[given] += 1
            name = f"{given}#{self.numbers[given]}"
        self.ids.add(name)
        return name

    def _refuse(self, raws: list[Raw]) -> None:
        """Raises for what must not be used in silence, and counts what may."""
        count = len(raws)
        if self.blank and self.part == "train":
            raise UserError(
                f"{self.name}: {len(self.blank)} of {count} questions have no text, the first is "
                f"{self.blank[0][:80]!r}: write or delete them, nothing can be learned from them"
            )
        self.repairs["blank_questions"] += len(self.blank)
        if self.empty and self.empty_answers == "error":
            raise UserError(
                f"{self.name}: {len(self.empty)} of {count} questions have an empty text as their "
                f"answer, the first is {self.empty[0][:80]!r}: if the passage does not answer "
                "them, give --empty-answers unanswerable; if their answers were lost, leave them "
                "out with --empty-answers drop"
            )
        dropped = self.empty_answers == "drop"
        self.repairs["empty_answers_dropped" if dropped else "empty_answers"] += len(self.empty)
        if self.wrong and self.bad_answers == "error":
            question, answer, start = self.wrong[0]
            reading = f"{said}; " if (said := _reading(raws)) else ""
            found = question.context[max(start, 0) : max(start, 0) + max(len(answer), 1)]
            raise UserError(
                f"{self.name}: {len(self.wrong)} of {count} questions have an answer not at its "
                f"offset; first {question.id[:80]!r}: {answer[:80]!r} expected at {start}, the "
                f"passage has {found[:80]!r} there; {reading}mend the file or leave them "
                "out with --bad-answers skip"
            )


def _stands(context: str, answer: str, start: int) -> bool:
    """Whether an answer is at its offset; Python would count a negative one from the end."""
    return bool(answer) and start >= 0 and context[start : start + len(answer)] == answer


def _reading(raws: Iterable[Raw]) -> str:
    """What the offsets of a file count, if that is not code points and fits all of them."""
    fitting: set[str] | None = None
    for raw in raws:
        for text, start in raw.answers or ():
            if text and start is not None:
                found = readings(raw.context, text, start)
                fitting = found if fitting is None else fitting & found
                if not fitting:
                    return ""
    if not fitting:
        return ""
    fits = " or ".join(sorted(fitting))
    return f"every offset of the file fits if it counts {fits}: count code points"
