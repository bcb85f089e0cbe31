# SPDX-License-Identifier: Apache-2.0
"""Holds the TFLite Task Library's answers against ours, over a whole question set.

    python -m pipeline.task_library build/embedded/tflite/student-int8-per-tensor.tflite

The library reads the file alone: vocabulary, tokenizer and tensors come from its metadata.  Every
answer that differs is printed with its cause.  Needs the environments that `make compat` sets up.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from converters import ConversionError, terminal
from pipeline.errors import UserError
from pipeline.tasks.question_answering.evaluate import score
from pipeline.tasks.question_answering.squad import Question, load_questions

# Of the questions in plain ASCII; its tokenizer treats other text in a way of its own.
ENOUGH = 97.0


@dataclass(frozen=True)
class Comparison:
    """One question.

    Attributes:
        question: what was asked.
        ours: our answer by its rules: its five best starts and ends, its longest answer, whole
            words, and of a long passage the first 384 word pieces.
        own: our answer by our own rules, in whole words too.
        theirs: its answer.
        cause: why `theirs` is not `ours`; "" if it is.
    """

    question: Question
    ours: str
    own: str
    theirs: str
    cause: str

    @property
    def plain(self) -> bool:
        """Whether all of it is ASCII."""
        return (self.question.text + self.question.context).isascii()


def compare(file: Path, questions: Sequence[Question], environments: Path) -> list[Comparison]:
    """Ask both every question; of answers that differ, find out why.

    Args:
        file: a .tflite file with metadata, its model.json beside it.
        questions: what to ask.
        environments: the folder of `make compat`.

    Raises:
        UserError: an environment is missing, or the file cannot be opened.
        ConversionError: a runtime fails the file.
    """
    from converters.compat.cases import Case, task_library_answer, task_library_scores, whole_words
    from converters.compat.environments import RUNTIMES, command, missing
    from converters.compat.process import Worker, WorkerError
    from pipeline.ask import open_answerer

    library = next(r for r in RUNTIMES if r.worker[0] == "tasks")
    # The kernels that it carries, or nearly: the oldest release that is in the matrix.
    kernels = next(r for r in reversed(RUNTIMES) if r.worker[-1] == "tensorflow")
    for runtime in (library, kernels):
        if reason := missing(runtime, environments):
            raise UserError(f"{runtime.name} is not installed: {reason}")
    answerer = open_answerer(file)
    workers = [Worker(command(runtime, environments), 120) for runtime in (library, kernels)]
    try:
        for worker in workers:
            worker.ask(open=str(file))
        found = []
        for question in questions:
            theirs = workers[0].ask(question=question.text, context=question.context)["answer"]
            reading = answerer.run(question.text, question.context)
            start, end = reading.prediction.start, reading.prediction.end
            own = whole_words(question.context, start, end) if end > start else ""
            window = reading.inputs[0]
            case = Case(
                ids=tuple(window.ids.tolist()),
                first=window.first,
                stop=window.stop,
                offsets=tuple((int(a), int(b)) for a, b in window.offsets),
                question=question.text,
                context=question.context,
            )
            mine = np.stack(reading.outputs[0])
            ours, cause = task_library_answer(case, mine), ""
            if theirs != ours:
                other = workers[1].logits(case.request(384), 1)[0][:, : len(window.ids)]
                scores = task_library_scores(case, mine)
                cause = _cause(question, scores[ours] - scores.get(theirs, -np.inf), mine, other)
            found.append(Comparison(question, ours, own, theirs, cause))
        return found
    except WorkerError as error:
        raise ConversionError(f"{file}: {error}") from error
    finally:
        for worker in workers:
            worker.close()


def _cause(question: Question, gap: float, mine: np.ndarray, other: np.ndarray) -> str:
    """Why its answer is another.

    Args:
        question: what was asked.
        gap: by how much our logits prefer our answer; infinite if they do not know its.
        mine: logits in LiteRT (2, S).
        other: those of kernels as old as the library's.
    """
    if not (question.text + question.context).isascii():
        return "not ASCII: it lower-cases ASCII only and keeps accents"
    noise = float(np.abs(mine - other).max())
    told = f"the scores differ by {gap:.2g}, logits of older kernels by up to {noise:.2g}"
    # Each score is a sum of two logits, and either answer's may move.
    return f"a near tie, {told}" if gap <= 4 * noise else f"unexplained, {told}"


@terminal.command
def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 enough answers are equal, 1 they are not, 2 the user's mistake."""
    return int(tyro.cli(_report, prog="python -m pipeline.task_library", args=arguments))


def _report(
    files: tyro.conf.Positional[tuple[Path, ...]],
    /,
    eval_file: str = "embedded",
    environments: Annotated[Path, tyro.conf.arg(metavar="FOLDER")] = Path(".compat"),
    max_eval: int | None = None,
) -> int:
    """Compare the Task Library's answers with ours.

    Args:
        files: .tflite files with metadata, model.json beside them.
        eval_file: `embedded` or a SQuAD JSON file.
        environments: What `make compat` set up.
        max_eval: Ask the first so many questions only.
    """
    questions = load_questions(eval_file, "dev").limited(max_eval)
    enough = True
    for file in files:
        found = compare(file, questions.questions, environments)
        plain = [each for each in found if each.plain]
        print(f"{file.name}: {len(found)} questions, {len(plain)} of them plain ASCII")
        for label, equal in (
            ("by its rules", [each.theirs == each.ours for each in plain]),
            ("by our rules", [each.theirs == each.own for each in plain]),
        ):
            share = 100 * float(np.mean(equal)) if equal else 0.0
            print(f"  plain ASCII, {label}: {sum(equal)} of {len(equal)} equal, {share:.1f} %")
            enough &= label != "by its rules" or share >= ENOUGH
        for label, answers in (
            ("its answers", [each.theirs for each in found]),
            ("ours by its rules", [each.ours for each in found]),
            ("ours", [each.own for each in found]),
        ):
            f1 = score(answers, questions)["f1"]
            print(f"  F1 of {label}, in whole words: {f1:.1f}")
        causes = Counter(each.cause.partition(",")[0] for each in found if each.cause)
        for cause, count in causes.most_common():
            print(f"  {count} differ: {cause}")
        for each in found:
            if each.cause:
                print(f"    {each.question.text}")
                print(f"      its answer:  {_short(each.theirs)}")
                print(f"      our answer:  {_short(each.ours)}")
                print(f"      cause:       {each.cause}")
    return 0 if enough else 1


def _short(text: Any, length: int = 90) -> str:
    """One line of a text."""
    line = " ".join(str(text).split())
    return line if len(line) <= length else line[: length - 3] + "..."


if __name__ == "__main__":
    sys.exit(main())
