# SPDX-License-Identifier: Apache-2.0
"""Writes 500 questions with the answers of a file, as a reference for other implementations.

    python -m pipeline.golden_answers build/embedded/tflite/student-int8.tflite

The output has the format of `golden.json`, but more cases than an app should carry. Four fifths of
the questions keep their own passages. The passages of the others are joined from all passages and
have 5 to 5,000 words.
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

from converters import sealed, terminal, whole_file
from pipeline import command_line
from pipeline.ask import open_answerer
from pipeline.errors import UserError, at_least_one
from pipeline.tasks.question_answering.golden import golden_document
from pipeline.tasks.question_answering.squad import EmptyAnswers, QuestionSet, load_questions

NAME = "golden-answers.json.gz"
SHORTEST, LONGEST = 5, 5000  # words of a joined passage


def cases(evaluation: QuestionSet, count: int) -> Iterator[tuple[str, str]]:
    """`count` questions, each with a passage.

    Four fifths of the questions, or all if there are fewer, keep their own passages. The lengths of
    the other passages grow by a constant ratio from 5 to 5,000 words; each begins with another
    passage of the set.
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
    """The first `words` words of the joined passages, which repeat as often as necessary.

    Raises:
        UserError: the passages contain no words.
    """
    text = "\n\n".join(passages)
    there = len(text.split())
    if not there:
        raise UserError("the passages are without words: name questions about texts")
    whole = "\n\n".join([text] * -(-words // there))
    ends = [word.end() for word in re.finditer(r"\S+", whole)]
    return whole[: ends[words - 1]]


def _write(
    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")],
    /,
    eval_file: str = "embedded",
    empty_answers: EmptyAnswers = "error",
    count: int = 500,
    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None,
) -> None:
    """Write questions with the answers of a file.

    Args:
        file: Run this exported file, which has its model.json beside it.
        eval_file: Run the questions of this SQuAD file or Hub data set, or the `embedded` ones.
        empty_answers: Stop at a question whose answer is an empty text (error), write it all the
            same (unanswerable), or leave it out (drop).
        count: Write this many questions.
        out: Write gzipped JSON to this file instead of golden-answers.json.gz in the build folder.
    """
    at_least_one("--count", count)
    asked = list(cases(load_questions(eval_file, "dev", empty_answers=empty_answers), count))
    document = sealed.seal(golden_document(asked, {file.name: open_answerer(file)}))
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    path = out or file.parent.parent / NAME
    whole_file.export(path, gzip.compress(text.encode(), mtime=0))
    lengths = [len(context.split()) for _, context in asked]
    windows = sum(case["window_count"] for case in document["cases"])
    terminal.say(
        f"{path}: {len(asked)} questions, passages of {min(lengths)} to {max(lengths)} words, "
        f"{windows} windows"
    )


@terminal.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 after a mistake in the command or its files."""
    return command_line.call(_write, "python -m pipeline.golden_answers", arguments)


if __name__ == "__main__":
    sys.exit(main())
