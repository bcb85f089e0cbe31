# SPDX-License-Identifier: Apache-2.0
"""Writes 500 questions with a file's answers, for another implementation to be held against.

    python -m pipeline.golden_answers build/embedded/tflite/student-int8.tflite

The form is that of `golden.json`, which an app carries and which is therefore short.  Passages are
the questions' own and, for a fifth of them, parts of all of them joined, of 5 to 5,000 words.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import tyro

from converters import terminal, whole_file
from pipeline.ask import open_answerer
from pipeline.errors import UserError
from pipeline.tasks.question_answering.golden import golden_document
from pipeline.tasks.question_answering.squad import QuestionSet, load_questions

NAME = "golden-answers.json.gz"
SHORTEST, LONGEST = 5, 5000  # words of a passage that is made here


def cases(evaluation: QuestionSet, count: int) -> Iterator[tuple[str, str]]:
    """`count` questions, each with a passage.

    Four fifths keep their own, or all questions if there are fewer.  The others' are of lengths in
    equal ratios from 5 to 5,000 words and begin with one of the set's passages after the other.
    """
    own = evaluation.spread(count - count // 5).questions
    yield from ((question.text, question.context) for question in own)
    made = count - len(own)
    step = (LONGEST / SHORTEST) ** (1 / max(1, made - 1))
    passages = evaluation.passages
    for number in range(made):
        question = evaluation.questions[number * len(evaluation.questions) // made]
        first = number % len(passages)
        turned = passages[first:] + passages[:first]
        yield question.text, joined(turned, round(SHORTEST * step**number))


def joined(passages: Sequence[str], words: int) -> str:
    """The first `words` words of passages one after the other, from the beginning again at the end.

    Raises:
        UserError: the passages are without words.
    """
    text = "\n\n".join(passages)
    there = len(text.split())
    if not there:
        raise UserError("the passages are without words: name questions about texts")
    whole = "\n\n".join([text] * -(-words // there))
    ends = [word.end() for word in re.finditer(r"\S+", whole)]
    return whole[: ends[words - 1]]


def _write(
    file: tyro.conf.Positional[Path],
    /,
    eval_file: str = "embedded",
    count: int = 500,
    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None,
) -> None:
    """Write questions with a file's answers.

    Args:
        file: An exported file with its model.json beside it.
        eval_file: `embedded`, a SQuAD JSON file, or a hub data set.
        count: How many questions.
        out: The file to write, gzipped JSON; golden-answers.json.gz in the build folder if not
            given.
    """
    if count < 1:
        raise UserError(f"--count {count}: at least 1")
    asked = list(cases(load_questions(eval_file, "dev"), count))
    document = golden_document(asked, {file.name: open_answerer(file)})
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    path = out or file.parent.parent / NAME
    whole_file.export(path, gzip.compress(text.encode(), mtime=0))
    lengths = [len(context.split()) for _, context in asked]
    windows = sum(case["window_count"] for case in document["cases"])
    print(
        f"{path}: {len(asked)} questions, passages of {min(lengths)} to {max(lengths)} words, "
        f"{windows} windows"
    )


@terminal.command
def main(arguments: Sequence[str] | None = None) -> int:
    """The command; exit code 2 for the user's mistake."""
    tyro.cli(_write, prog="python -m pipeline.golden_answers", args=arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
