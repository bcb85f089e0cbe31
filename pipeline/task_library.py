# SPDX-License-Identifier: Apache-2.0
"""Compares the predictions of the TFLite Task Library with ours on a whole evaluation set.

    python -m pipeline.task_library build/embedded/tflite/student-int8-per-tensor.tflite

The library reads only the file, whose metadata describes the vocabulary, tokenizer and tensors. The
command prints every answer or class that differs with its cause. A file that classifies texts also
runs in MediaPipe. The command needs the environments that `make compat` creates.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro

from converters import ConversionError, terminal
from pipeline import command_line, library_classes, tasks
from pipeline.errors import UserError
from pipeline.files import beside
from pipeline.tasks.added import added_ids
from pipeline.tasks.question_answering import languages
from pipeline.tasks.question_answering.evaluate import score
from pipeline.tasks.question_answering.squad import (
    EmptyAnswers,
    Question,
    QuestionSet,
    load_questions,
)
from pipeline.tasks.text_classification import evaluate
from pipeline.tasks.text_classification.data import load_texts
from pipeline.tasks.text_classification.settings import TextData

if TYPE_CHECKING:
    from converters.compat.environments import Runtime

# Percent of the examples in plain ASCII; the library's tokenizer treats other text differently.
ENOUGH = 97.0


@dataclass(frozen=True)
class Comparison:
    """The answers to one question.

    Attributes:
        question: the question.
        ours: our answer by the library's rules: the five best starts and ends, its longest answer,
            whole words, and the first 384 word pieces of a long passage.
        own: our answer by our own rules, in whole words too.
        theirs: the library's answer.
        cause: the reason why `theirs` differs from `ours`; "" if they are equal.
        has_added: whether the question or its passage has an added token, which the library's
            tokenizer does not know.
    """

    question: Question
    ours: str
    own: str
    theirs: str
    cause: str
    has_added: bool = False

    @property
    def plain(self) -> bool:
        """Whether the question and its passage are pure ASCII, without added tokens."""
        return not self.has_added and (self.question.text + self.question.context).isascii()


def compare(
    file: Path, questions: Sequence[Question], environments: Path, *, verify: bool = True
) -> list[Comparison]:
    """Run every question in the library and with our code, and explain the differences.

    Args:
        file: a .tflite file with metadata, with its model.json beside it.
        questions: the questions to run.
        environments: the folder with the environments of `make compat`.
        verify: whether to compare the file with its checksum first.

    Raises:
        UserError: an environment is missing, or the file cannot be opened.
        ConversionError: a runtime fails to run the file.
    """
    from converters.compat.cases import Case, task_library_answer, task_library_scores, whole_words
    from converters.compat.environments import RUNTIMES, command, missing
    from converters.compat.process import Worker, WorkerError
    from pipeline.ask import open_answerer

    library = next(r for r in RUNTIMES if r.worker[0] == "tasks")
    # The oldest release in the matrix has almost the same kernels as the library.
    kernels = next(r for r in reversed(RUNTIMES) if r.worker[-1] == "tensorflow")
    for runtime in (library, kernels):
        if reason := missing(runtime, environments):
            raise UserError(f"{runtime.name} is not installed: {reason}")
    answerer = open_answerer(file, verify=verify)
    added = added_ids(answerer.windower.tokenizer)
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
            has_added = any(not added.keys().isdisjoint(one.ids.tolist()) for one in reading.inputs)
            if theirs != ours and has_added:
                cause = "added tokens: its tokenizer cuts them"
            elif theirs != ours:
                other = workers[1].logits(case.request(384), 1)[0][:, : len(window.ids)]
                scores = task_library_scores(case, mine)
                cause = _cause(question, scores[ours] - scores.get(theirs, -np.inf), mine, other)
            found.append(Comparison(question, ours, own, theirs, cause, has_added))
        return found
    except WorkerError as error:
        raise ConversionError(f"{file}: {error}") from error
    finally:
        for worker in workers:
            worker.close()


def _cause(question: Question, gap: float, mine: np.ndarray, other: np.ndarray) -> str:
    """The reason why the library's answer differs.

    Args:
        question: the question.
        gap: the difference between the scores of both answers by our logits; infinite if the
            library's answer is not among our candidates.
        mine: the logits in LiteRT, (2, S).
        other: the logits of kernels as old as the library's, (2, S).
    """
    if not (question.text + question.context).isascii():
        return "not ASCII: it lower-cases ASCII only and keeps accents"
    noise = float(np.abs(mine - other).max())
    told = f"the scores differ by {gap:.2g}, logits of older kernels by up to {noise:.2g}"
    # Each score is a sum of two logits, and either answer's may move.
    return f"a near tie, {told}" if gap <= 4 * noise else f"unexplained, {told}"


@terminal.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    It returns 0 if enough predictions are equal, 1 if not, and 2 after a mistake.
    """
    return command_line.call(_report, "python -m pipeline.task_library", arguments)


def _report(
    files: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="FILE")],
    /,
    eval_file: str = "embedded",
    environments: Annotated[Path, tyro.conf.arg(metavar="FOLDER")] = Path(".compat"),
    max_eval: int | None = None,
    empty_answers: EmptyAnswers = "error",
    language: str = languages.AUTO,
    verify: bool = True,
) -> int:
    """Compare the predictions of the Task Library, and of MediaPipe for classes, with ours.

    Args:
        files: Run these .tflite files, which have metadata and a model.json beside them.
        eval_file: Run the examples of this file, or the `embedded` ones: a SQuAD JSON file for
            questions, a .csv, .tsv or .jsonl file for texts.
        environments: Use the environments that `make compat` created in this folder.
        max_eval: Run only this many examples, the first ones.
        empty_answers: Stop at a question whose answer is an empty text (error), take it as one that
            its passage does not answer (unanswerable), or leave it out (drop).
        language: Compare answers by the rules of this language, a code such as `de`, `fr` or `zh`;
            `auto` finds it in the passages.
        verify: Do not compare the files with the checksums in the model.json beside them.
    """
    from converters.compat.environments import CLASSIFIERS
    from converters.runtimes import checksums

    classes = tasks.find("text-classification").label
    enough = True
    for file in files:
        if file.suffix != ".tflite":
            raise UserError(f"{file} is no .tflite file: the libraries open nothing else")
        classifies = (
            beside.description(file.parent / "model.json", verify=verify)["task"] == classes
        )
        for runtime in CLASSIFIERS if classifies else CLASSIFIERS[:1]:
            if reason := _refusal(runtime, file):
                terminal.say(f"{file.name} in {runtime.name}: not run, {reason}")
                continue
            with checksums.unchanged([file]):
                if classifies:
                    data = TextData(eval_file=eval_file, max_eval=max_eval)
                    enough &= _report_classes(file, runtime, data, environments, verify)
                else:
                    questions = load_questions(
                        eval_file, "dev", empty_answers=empty_answers, language=language
                    ).limited(max_eval)
                    enough &= _report_answers(file, questions, environments, verify)
    return 0 if enough else 1


def _refusal(runtime: Runtime, file: Path) -> str:
    """The reason why a library refuses a file; "" if it does not."""
    from converters.compat.matrix import needs_of, older, several_lengths

    needed = needs_of(file)["tensorflow"]
    if runtime.tensorflow and older(runtime.tensorflow, needed):
        return f"it carries TensorFlow Lite {runtime.tensorflow}, and the file needs {needed}"
    return several_lengths(runtime, file)


def _report_answers(file: Path, questions: QuestionSet, environments: Path, verify: bool) -> bool:
    """Print how a file answers in the Task Library; returns whether enough answers are equal."""
    found = compare(file, questions.questions, environments, verify=verify)
    plain = [each for each in found if each.plain]
    terminal.say(f"{file.name}: {len(found)} questions, {len(plain)} of them plain ASCII")
    if count := sum(each.has_added for each in found):
        print(f"  {count} have added tokens, which the library does not know")
    enough = _print_equal("by its rules", [each.theirs == each.ours for each in plain])
    _print_equal("by our rules", [each.theirs == each.own for each in plain])
    for label, answers in (
        ("its answers", [each.theirs for each in found]),
        ("ours by its rules", [each.ours for each in found]),
        ("ours", [each.own for each in found]),
    ):
        f1 = score(answers, questions)["f1"]
        print(f"  F1 of {label}, in whole words: {f1:.1f}")
    _print_causes(
        [
            (each.question.text, "answer", each.theirs, each.ours, each.cause)
            for each in found
            if each.cause
        ]
    )
    return enough


def _report_classes(
    file: Path, runtime: Runtime, data: TextData, environments: Path, verify: bool
) -> bool:
    """Print how a library classifies texts; returns whether enough predictions are equal."""
    texts = load_texts(data, "dev")
    found = library_classes.compare(file, texts, runtime, environments, verify=verify)
    plain = [each for each in found if each.plain]
    terminal.say(
        f"{file.name} in {runtime.name}: {len(found)} texts, {len(plain)} of them plain ASCII"
    )
    equal = library_classes.equal
    enough = _print_equal("by its rules", [equal(each.ours, each.theirs) for each in plain])
    _print_equal("by our rules", [equal(each.own, each.theirs) for each in plain])
    if plain:
        error = max(each.error for each in plain)
        print(f"  plain ASCII: its logits differ from ours by up to {error:.2g}")
    for label, said in (
        ("its predictions", [each.theirs for each in found]),
        ("ours by its rules", [each.ours for each in found]),
        ("ours", [each.own for each in found]),
    ):
        if None not in said:
            scores = evaluate.score([one for one in said if one], texts)
            shown = ", ".join(f"{name} {value:.1f}" for name, value in scores.items())
            print(f"  {label}: {shown}")
    _print_causes(
        [
            (each.example.text, "class", _class(each.theirs), _class(each.ours), each.cause)
            for each in found
            if each.cause
        ]
    )
    return enough


def _class(prediction: evaluate.Prediction | None) -> str:
    """A prediction on one line."""
    if prediction is None:
        return "none"
    if prediction.labels:
        return f"{prediction.label}, probability {prediction.probability:.3f}"
    return f"{prediction.value:.4f}"


def _print_equal(label: str, equal: Sequence[bool]) -> bool:
    """Print how many predictions for plain ASCII are equal; returns whether enough are."""
    share = 100 * float(np.mean(equal)) if equal else 0.0
    print(f"  plain ASCII, {label}: {sum(equal)} of {len(equal)} equal, {share:.1f} %")
    return share >= ENOUGH


def _print_causes(different: Sequence[tuple[str, str, str, str, str]]) -> None:
    """Print the predictions that differ: the example, what it asks for, both, and the cause."""
    for cause, count in Counter(each[-1].partition(",")[0] for each in different).most_common():
        print(f"  {count} differ: {cause}")
    for text, kind, theirs, ours, cause in different:
        print(f"    {_short(text)}")
        print(f"      {f'its {kind}:':12} {_short(theirs)}")
        print(f"      {f'our {kind}:':12} {_short(ours)}")
        print(f"      {'cause:':12} {cause}")


def _short(text: Any, length: int = 90) -> str:
    """A text on one line for a terminal, cut to `length` characters."""
    line = terminal.shown(" ".join(str(text).split()))
    return line if len(line) <= length else line[: length - 3] + "..."


if __name__ == "__main__":
    sys.exit(main())
