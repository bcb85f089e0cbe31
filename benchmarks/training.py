# SPDX-License-Identifier: Apache-2.0
"""Times general distillation as the build does it, beside a plain loop, on this processor.

    python -m benchmarks.training

The plain loop is what people write with transformers and PyTorch: samples in the order in which
they come, padded to the longest of the batch, logits over the vocabulary for every place, all in
float32. Both loops train a student of the same teacher on the same samples with the same losses.
They take turns, each in a process of its own, in an order that the seed shuffles. A speed counts
tokens without padding; the first step of each turn is not counted.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import logging
import random
import shlex
import statistics
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.arguments import hidden
from benchmarks.measure import machine
from benchmarks.measure.training_schema import (
    KIND,
    VERSION,
    Ratio,
    Step,
    Subject,
    Training,
    validate,
)
from benchmarks.page.text_table import table
from converters import ExpectedError, terminal, whole_file
from pipeline.data.corpus import load_corpus, pack
from pipeline.data.sources import EMBEDDED
from pipeline.models.heads import CLASS_HEAD
from pipeline.models.teacher import find_teacher, load_tokenizer

if TYPE_CHECKING:
    from benchmarks.loops import Loop, Work

REPORTED: Final = ("torch", "transformers", "accelerate", "numpy", "distilbert-mobile")
FEW: Final = 5  # with fewer rounds, the lowest and the highest say little
PLAIN, OURS, CHOSEN = "plain loop", "ours in fp32", "ours as it chooses"

_loops: list[Loop] = []  # of a process


def _begin(work: Work) -> None:
    _quiet()
    from benchmarks.loops import Loop

    _loops.append(Loop(work))


def _quiet() -> None:
    """Hides lines about its own insides that PyTorch prints when transformers imports it."""
    logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)


def _round(name: str) -> tuple[str, list[Step]]:
    loop = _loops[-1]
    if name == PLAIN:
        return loop.plain()
    return loop.ours("fp32" if name == OURS else None)


def measure(work: Work, rounds: int, tell: Callable[[str], object] = print) -> list[Subject]:
    """Lets the loops take turns; the first turn of each is not counted.

    Args:
        work: what they train on.
        rounds: turns of each that count.
        tell: is given a line as each round ends.

    Returns:
        The plain loop, ours in fp32 and, where it chooses another precision, ours as it chooses.
    """
    names = [PLAIN, OURS, CHOSEN]
    context, order = get_context("spawn"), random.Random(work.seed)  # noqa: S311 - no secret
    pools = {name: ProcessPoolExecutor(1, context, _begin, (work,)) for name in names}
    try:
        found: dict[str, list[list[Step]]] = {name: [] for name in names}
        precisions = {name: pools[name].submit(_round, name).result()[0] for name in names}
        if precisions[CHOSEN] == "fp32":
            names.remove(CHOSEN)
        for count in range(1, rounds + 1):
            for name in order.sample(names, len(names)):
                found[name].append(pools[name].submit(_round, name).result()[1])
            tell(f"round {count} of {rounds}")
    finally:
        for pool in pools.values():
            pool.shutdown()
    return [
        {
            "name": name,
            "precision": precisions[name],
            "tokens_per_second": round(statistics.median(map(speed, found[name])), 1),
            "rounds": found[name],
        }
        for name in names
    ]


def speed(steps: Sequence[Step]) -> float:
    """Tokens a second over some steps."""
    return sum(each["tokens"] for each in steps) / sum(each["seconds"] for each in steps)


def ratios(subjects: Sequence[Subject]) -> list[Ratio]:
    """Each loop against the first, round by round."""
    plain, *others = subjects
    found: list[Ratio] = []
    for one in others:
        pairs = zip(one["rounds"], plain["rounds"], strict=True)
        values = [speed(mine) / speed(theirs) for mine, theirs in pairs]
        bounds = (statistics.median(values), min(values), max(values))
        figures = dict(zip(("ratio", "low", "high"), (round(v, 3) for v in bounds), strict=True))
        found.append({"faster": one["name"], "slower": plain["name"], **figures})  # type: ignore[typeddict-item]
    return found


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


def show(found: Training) -> str:
    """The speeds and ratios for a terminal, with the machine and cautions."""
    lines = [
        f"general distillation of {found['teacher']}: {len(found['tokens'])} samples of "
        f"{statistics.mean(found['tokens']):.0f} tokens, in batches of {found['batch_size']}",
        f"machine: {found['machine']['cpu']}, {found['instructions'] or 'features not listed'}, "
        f"{found['threads']} threads, PyTorch {found['versions']['torch']}",
        *(f"caution: {line}" for line in found["warnings"]),
    ]
    speeds = [
        [one["name"], one["precision"], f"{one['tokens_per_second']:.0f}",
         " ".join(f"{speed(steps):.0f}" for steps in one["rounds"])]
        for one in found["subjects"]
    ]  # fmt: skip
    times = [
        [one["faster"], f"{one['ratio']:.2f}", f"{one['low']:.2f} to {one['high']:.2f}"]
        for one in found["ratios"]
    ]
    return "\n\n".join(
        [
            "\n".join(lines),
            table(["loop", "precision", "tokens a second", "by round"], speeds),
            table([f"times faster than the {PLAIN}", "median", "rounds"], times),
        ]
    )


@terminal.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0 if it measured, 2 after a mistake in the command."""
    _quiet()
    from benchmarks.loops import Work

    arguments = list(sys.argv[1:] if arguments is None else arguments)
    given = _parser().parse_args(arguments)
    if not given.out.absolute().parent.is_dir():
        raise ExpectedError(f"--out {given.out}: no such folder; make it first")
    source = find_teacher(given.teacher, CLASS_HEAD)
    if given.length > source.positions:
        raise ExpectedError(
            f"--length {given.length}: the teacher takes {source.positions} at most"
        )
    count = given.batch_size * (given.steps + 1)
    tokenizer = load_tokenizer(source.folder)
    samples = samples_of(tokenizer, given.text, given.length, given.packed, count, given.seed)
    before, clock = machine.describe(), machine.clock()
    threads = given.threads or before["logical_cores"] or 1
    work = Work(source.folder, samples, given.batch_size, threads, given.seed)
    subjects = measure(work, given.rounds, lambda line: print(line, file=sys.stderr))
    others = machine.other_work(clock, machine.clock())
    few = [f"{given.rounds} rounds are few: take more, such as --rounds 10"]
    found: Training = {
        "kind": KIND,
        "schema_version": VERSION,
        "created": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "command": shlex.join(["python", "-m", "benchmarks.training", *hidden(arguments)]),
        "seed": given.seed,
        "warnings": machine.cautions(before, others, threads) + few * (given.rounds < FEW),
        "machine": before,  # type: ignore[typeddict-item]
        "instructions": machine.instructions(before),
        "other_work_cores": None if others is None else round(others, 3),
        "versions": machine.versions(REPORTED),
        "threads": threads,
        "teacher": source.name,
        "text": [Path(each).name for each in given.text],
        "batch_size": given.batch_size,
        "length": given.length,
        "packed": given.packed,
        "tokens": [len(each) for each in samples],
        "subjects": subjects,
        "ratios": ratios(subjects),
    }
    validate(found)
    whole_file.write(given.out, json.dumps(found, allow_nan=False, indent=1) + "\n")
    print(show(found))
    print(f"\nsamples and machine: {given.out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    numbers = {
        "length": (128, "Cut samples to this many tokens"),
        "batch-size": (8, "Train on this many samples at a time"),
        "steps": (6, "Count this many steps in each turn"),
        "rounds": (3, "Let each loop take this many turns"),
    }
    add = parser.add_argument
    add("--teacher", default=EMBEDDED, help="Distill this BERT: `embedded`, a folder or a hub id.")
    add(
        "--text",
        nargs="+",
        default=[EMBEDDED],
        metavar="FILE",
        help="Train on this text: `embedded` or UTF-8 text files.",
    )
    add(
        "--packed",
        action="store_true",
        help="Fill samples up with the paragraphs that follow, as the build does. Without it, each "
        "paragraph is a sample.",
    )
    for name, (default, meaning) in numbers.items():
        add(
            f"--{name}",
            type=terminal.count,
            default=default,
            metavar="N",
            help=f"{meaning} (default: {default}).",
        )
    add("--threads", type=terminal.count, help="Run PyTorch with this many threads, not all cores.")
    add("--seed", type=int, default=0, help="Seed of samples, students and order (default: 0).")
    add(
        "--out",
        type=Path,
        default=Path("training.json"),
        help="Write the results to this JSON file (default: training.json).",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
