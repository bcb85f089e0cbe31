# SPDX-License-Identifier: Apache-2.0
"""Times a training as the build does it, beside a plain loop, on this processor.

    python -m benchmarks.training                  # general distillation on text
    python -m benchmarks.training --step task      # the second distillation step on questions

The plain loops are what people write with transformers and PyTorch, all in float32. That of general
distillation takes samples in the order in which they come, pads them to the longest of the batch,
and computes logits over the vocabulary for every place. That of the task follows the script that
the authors of DistilBERT published: it pads every window to the full length, and the fine-tuned
teacher runs in every step; the build records the teacher's outputs once instead.

Both loops train a student of the same teacher on the same examples with the same losses. They take
turns, each in a process of its own, in an order that the seed shuffles. A speed of general
distillation counts tokens without padding, and the first step of each turn is not counted. A speed
of the task counts windows, with and without the time of recording.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import random
import shlex
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.arguments import add_counts, hidden
from benchmarks.loops.turns import (
    examples_per_second,
    measure,
    ratios,
    tokens_per_second,
)
from benchmarks.loops.work import PLAIN, TaskWork, Work
from benchmarks.measure import machine
from benchmarks.measure.training_schema import KIND, VERSION, Training, validate
from benchmarks.page.text_table import table
from converters import ExpectedError, terminal, whole_file
from pipeline.data.corpus import load_corpus, pack
from pipeline.data.sources import EMBEDDED
from pipeline.errors import UserErrors
from pipeline.models.carried import CARRIED
from pipeline.models.heads import CLASS_HEAD, SPAN_HEAD
from pipeline.models.teacher import Source, find_teacher, load_tokenizer, look

REPORTED: Final = ("torch", "transformers", "accelerate", "numpy", "distilbert-mobile")
FEW: Final = 5  # with fewer rounds, the lowest and the highest say little
STEPS: Final = {
    "general": "general distillation of {}: {} samples of {:.0f} tokens, in batches of {}",
    "task": "second distillation step of {}: {} windows of {:.0f} tokens, in batches of {}",
}
LENGTHS: Final = {"general": 128, "task": 384}
STRIDE: Final = 128  # of windows, where their length has room for it


def samples_of(
    tokenizer: Any, text: Sequence[str], length: int, packed: bool, count: int, seed: int
) -> list[Any]:
    """Samples of a text, drawn by seed: paragraphs cut to `length`, or filled up to it.

    Raises:
        ExpectedError: there is too little text.
    """
    paragraphs = load_corpus(text).paragraphs
    drawn = random.Random(seed)  # noqa: S311 - no secret
    if packed:
        chosen = list(pack(tokenizer, paragraphs, length))
        drawn.shuffle(chosen)
    else:  # of each paragraph the first sample; some are too short for one
        some = drawn.sample(paragraphs, len(paragraphs))
        firsts = (next(pack(tokenizer, [each], length), None) for each in some)
        chosen = list(itertools.islice((each for each in firsts if each is not None), count))
    if len(chosen) < count:
        raise ExpectedError(f"--text makes {len(chosen)} samples, and {count} are needed: add text")
    return chosen[:count]


def features_of(tokenizer: Any, train_file: str, length: int, count: int, seed: int) -> list[Any]:
    """Windows of questions with their answers, drawn by seed.

    Args:
        tokenizer: a fast BERT tokenizer of transformers.
        train_file: the questions, as the build takes them.
        length: of a window at most.
        count: of the windows.
        seed: of the choice.

    Raises:
        ExpectedError: the questions cannot be read, make too few windows, or leave no room.
    """
    from pipeline.tasks.question_answering import TASK
    from pipeline.tasks.question_answering.settings import QuestionData

    room = length - QuestionData.max_query - 3
    if room < 1:
        raise ExpectedError(
            f"--length {length}: questions have up to {QuestionData.max_query} word pieces, which "
            f"leaves no room for a passage; at least {length - room + 1} are needed"
        )
    data = QuestionData(train_file=train_file, max_length=length, stride=min(STRIDE, room))
    questions = TASK.load(data, "train")
    features = list(TASK.features(tokenizer, data, questions, TASK.traits(questions)))
    if len(features) < count:
        raise ExpectedError(
            f"--train-file makes {len(features)} windows, and {count} are needed: name more "
            "questions, or take fewer --steps"
        )
    return random.Random(seed).sample(features, count)  # noqa: S311 - no secret


def show(found: Training) -> str:
    """The speeds and ratios for a terminal, with the machine and cautions."""
    heading = STEPS[found["step"]]
    size = (len(found["tokens"]), found["mean_tokens"], found["batch_size"])
    lines = [
        heading.format(found["teacher"], *size),
        f"machine: {found['machine']['cpu']}, {found['instructions'] or 'features not listed'}, "
        f"{found['threads']} threads, PyTorch {found['versions']['torch']}",
        *(f"caution: {line}" for line in found["warnings"]),
    ]
    tables = _general(found) if found["step"] == "general" else _task(found)
    return "\n\n".join(["\n".join(lines), *tables])


def _general(found: Training) -> list[str]:
    speeds = [
        [one["name"], one["precision"], f"{one['tokens_per_second']:.0f}",
         " ".join(f"{tokens_per_second(turn):.0f}" for turn in one["turns"])]
        for one in found["subjects"]
    ]  # fmt: skip
    times = [[one["faster"], *_times(one)] for one in found["ratios"]]
    return [
        table(["loop", "precision", "tokens a second", "by round"], speeds),
        table([f"times faster than the {PLAIN}", "median", "rounds"], times),
    ]


def _task(found: Training) -> list[str]:
    epochs = found["epochs"]
    speeds, recordings = [], []
    for one in found["subjects"]:
        with_recording = one["with_recording"]
        speeds.append(
            [
                one["name"],
                one["precision"],
                f"{one['examples_per_second']:.2f}",
                "-" if with_recording is None else f"{with_recording:.2f}",
                " ".join(f"{examples_per_second(turn, epochs):.2f}" for turn in one["turns"]),
            ]
        )
        spent = [turn["recording"] for turn in one["turns"] if turn["recording"]]
        if spent:
            seconds = statistics.median(each["seconds"] for each in spent)
            recordings.append(
                [one["name"], spent[0]["precision"], f"{seconds:.2f}",
                 f"{len(found['tokens']) / seconds:.2f}"]
            )  # fmt: skip
    times = [
        [
            one["faster"],
            f"spread over {epochs:g} epochs" if one["with_recording"] else "without",
            *_times(one),
        ]
        for one in found["ratios"]
    ]
    return [
        table(
            ["loop", "precision", "windows a second", "with recording", "by round"],
            speeds,
        ),
        table(["recording the teacher", "precision", "seconds", "windows a second"], recordings),
        table([f"times faster than the {PLAIN}", "recording", "median", "rounds"], times),
    ]


def _times(ratio: Any) -> tuple[str, str]:
    return f"{ratio['ratio']:.2f}", f"{ratio['low']:.2f} to {ratio['high']:.2f}"


@terminal.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0 if it measured, 2 after a mistake in the command."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    given = _parser().parse_args(arguments)
    given.length = given.length or LENGTHS[given.step]
    _check(given)
    source = _teacher(given)
    if given.length > source.positions:
        raise ExpectedError(
            f"--length {given.length}: the teacher takes {source.positions} at most"
        )
    before = machine.describe()
    threads = given.threads or before["logical_cores"] or 1
    work: Work | TaskWork
    tokenizer, size, seed = load_tokenizer(source.folder), given.batch_size, given.seed
    if given.step == "general":
        count, texts = size * (given.steps + 1), given.text or [EMBEDDED]
        samples = samples_of(tokenizer, texts, given.length, given.packed, count, seed)
        work, tokens = Work(source.folder, samples, size, threads, seed), list(map(len, samples))
    else:
        count, texts = size * given.steps, [given.train_file or EMBEDDED]
        features = features_of(tokenizer, texts[0], given.length, count, seed)
        work = TaskWork(source, features, size, given.length, threads, seed)
        tokens = [each.length for each in features]
    epochs = given.epochs if given.step == "task" else None
    clock = machine.clock()
    subjects = measure(work, given.rounds, epochs, lambda line: print(line, file=sys.stderr))
    others = machine.other_work(clock, machine.clock())
    few = [f"{given.rounds} rounds are few: take more, such as --rounds 10"]
    found: Training = {
        "kind": KIND,
        "schema_version": VERSION,
        "created": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "command": shlex.join(["python", "-m", "benchmarks.training", *hidden(arguments)]),
        "seed": seed,
        "warnings": machine.cautions(before, others, threads) + few * (given.rounds < FEW),
        "machine": before,  # type: ignore[typeddict-item]
        "instructions": machine.instructions(before),
        "other_work_cores": None if others is None else round(others, 3),
        "versions": machine.versions(REPORTED),
        "threads": threads,
        "step": given.step,
        "teacher": source.name,
        "text": [Path(each).name for each in texts],
        "batch_size": size,
        "length": given.length,
        "packed": given.packed,
        "epochs": epochs,
        "rounds": given.rounds,
        "steps": given.steps,
        "mean_tokens": round(statistics.mean(tokens), 1),
        "tokens": tokens,
        "subjects": subjects,
        "ratios": ratios(subjects, given.step, epochs),
    }
    validate(found)
    whole_file.write(given.out, json.dumps(found, allow_nan=False, indent=1) + "\n")
    terminal.say(show(found))
    terminal.say(f"\nsamples and machine: {given.out}")
    return 0


def _check(given: argparse.Namespace) -> None:
    """Refuse flags that do not go together.

    Raises:
        ExpectedError: one of them belongs to the other step, or --out cannot be written.
    """
    whole_file.check_out(given.out)
    foreign = {"general": ("train_file",), "task": ("text", "packed")}[given.step]
    for name in foreign:
        if getattr(given, name):
            other = "task" if given.step == "general" else "general"
            raise ExpectedError(
                f"--{name.replace('_', '-')} belongs to --step {other}, and the step is "
                f"{given.step}: leave it out"
            )


def _teacher(given: argparse.Namespace) -> Source:
    """The teacher; for the task, `embedded` comes with the package's adapter and its head.

    Raises:
        UserError: it cannot be used.
    """
    if given.step == "general":
        return find_teacher(given.teacher, CLASS_HEAD)
    looked = look(given.teacher, SPAN_HEAD, SPAN_HEAD.outputs, role="teacher", adapter=CARRIED)
    if looked.source is None:
        raise UserErrors(looked.problems)
    return looked.source


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--step",
        choices=tuple(STEPS),
        default="general",
        help="Time general distillation (`general`, the default), or the second distillation step "
        "on questions (`task`).",
    )
    add("--teacher", default=EMBEDDED, help="Distill this BERT: `embedded`, a folder or a hub id.")
    add(
        "--text",
        nargs="+",
        metavar="FILE",
        help="General distillation: train on this text, `embedded` (the default) or UTF-8 text "
        "files.",
    )
    add(
        "--packed",
        action="store_true",
        help="General distillation: fill samples up with the paragraphs that follow, as the build "
        "does. Without it, each paragraph is a sample.",
    )
    add(
        "--train-file",
        metavar="FILE",
        help="Task: train on these questions, `embedded` (the default), a SQuAD file or a hub data "
        "set.",
    )
    add(
        "--length",
        type=terminal.count,
        metavar="N",
        help="Cut samples or windows to this many tokens (default: 128, or 384 for the task).",
    )
    add(
        "--epochs",
        type=terminal.count,
        default=3,
        metavar="N",
        help="Task: spread the time of recording over this many epochs (default: 3).",
    )
    numbers = {
        "--batch-size": (8, "Train on this many samples or windows at a time"),
        "--steps": (6, "Count this many steps in each turn"),
        "--rounds": (3, "Let each loop take this many turns"),
    }
    add_counts(parser, numbers)
    add("--threads", type=terminal.count, help="Run PyTorch with this many threads, not all cores.")
    add("--seed", type=int, default=0, help="Seed of examples, students and order (default: 0).")
    add(
        "--out",
        type=Path,
        default=Path("training.json"),
        help="Write the results to this JSON file (default: training.json).",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
