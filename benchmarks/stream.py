# SPDX-License-Identifier: Apache-2.0
"""Times how fast a streamed text becomes masked batches, in tokens a second.

    python -m benchmarks.stream --workers 0 2 --text FILES

It measures tokenizing alone and masking alone, each in one process, and both through the loader of
a training, whose workers tokenize while the process that trains masks. Tokenizing is measured as
the build does it, which remembers the pieces of words, and with every paragraph tokenized as a
whole. Measurements take turns, in an order that the seed shuffles; the start of a loader is not
counted. The text is read from memory: a network or a disk is not measured.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.arguments import add_counts, hidden
from benchmarks.measure import machine
from benchmarks.measure.stream_schema import KIND, VERSION, Streaming, validate
from benchmarks.page.text_table import table
from benchmarks.tokens import bound, cautions, documents_of, is_bounding, material, measure, speed
from converters import ExpectedError, terminal, whole_file
from pipeline.data.corpus import load_corpus
from pipeline.data.sources import EMBEDDED
from pipeline.models.heads import CLASS_HEAD
from pipeline.models.teacher import find_teacher, load_tokenizer

REPORTED: Final = ("tokenizers", "transformers", "torch", "numpy", "distilbert-mobile")


def show(found: Streaming) -> str:
    """The speeds for a terminal, with the machine and cautions."""
    cores = found["machine"]["logical_cores"] or 1
    alone = [part for part in found["parts"] if is_bounding(part)]
    shares = ", ".join(f"{1e9 / part['tokens_per_second']:.0f} ns {part['name']}" for part in alone)
    lines = [
        f"{', '.join(found['text'])}: {found['text_tokens']:,} tokens of {found['teacher']}, in "
        f"samples of {found['length']} and batches of {found['batch_size']}",
        f"machine: {found['machine']['cpu']}, {found['instructions'] or 'features not listed'}, "
        f"{cores} cores, tokenizers {found['versions']['tokenizers']}",
        *(f"caution: {line}" for line in found["warnings"]),
    ]
    rows = [
        [
            one["name"],
            "-" if one["workers"] is None else str(one["workers"]),
            {True: "yes", False: "no", None: "-"}[one["remembers"]],
            f"{one['tokens_per_second']:,.0f}",
            " ".join(f"{speed(span):,.0f}" for span in one["rounds"]),
        ]
        for one in found["parts"]
    ]
    return "\n\n".join(
        [
            "\n".join(lines),
            table(["part", "workers", "words remembered", "tokens a second", "by round"], rows),
            f"a token of a text that is read once takes {shares} on one core, so {cores} cores can "
            f"make {bound(found['parts'], cores):,.0f} tokens a second of it",
        ]
    )


@terminal.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0 if it measured, 2 after a mistake in the command."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    given = _parser().parse_args(arguments)
    whole_file.check_out(given.out)
    if given.length <= 2:
        raise ExpectedError(f"--length {given.length}: at least 3, for a token between two others")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # workers have one thread each, and so has this
    source = find_teacher(given.teacher, CLASS_HEAD)
    documents = documents_of(load_corpus(given.text).paragraphs)
    what = material(
        load_tokenizer(source.folder),
        documents,
        given.length,
        given.batch_size,
        given.seconds,
        given.seed,
    )
    before, clock = machine.describe(), machine.clock()
    parts = measure(what, given.workers, given.rounds, lambda line: print(line, file=sys.stderr))
    others = machine.other_work(clock, machine.clock())
    warnings = machine.cautions(before, others, 1) + cautions(parts, what.tokens)
    found: Streaming = {
        "kind": KIND,
        "schema_version": VERSION,
        "created": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "command": shlex.join(["python", "-m", "benchmarks.stream", *hidden(arguments)]),
        "seed": given.seed,
        "warnings": warnings,
        "machine": before,  # type: ignore[typeddict-item]
        "instructions": machine.instructions(before),
        "other_work_cores": None if others is None else round(others, 3),
        "versions": machine.versions(REPORTED),
        "teacher": source.name,
        "text": [Path(each).name for each in given.text],
        "text_tokens": what.tokens,
        "batch_size": given.batch_size,
        "length": given.length,
        "parts": parts,
    }
    validate(found)
    whole_file.write(given.out, json.dumps(found, allow_nan=False, indent=1) + "\n")
    terminal.say(show(found))
    terminal.say(f"\nmeasurements and machine: {given.out}")
    return 0


def _workers(text: str) -> int:
    """Parse a number of workers; a `type` of argparse."""
    value = int(text)
    if not 0 <= value <= 64:
        raise argparse.ArgumentTypeError(f"got {text}, 0 to 64 are allowed")
    return value


def _seconds(text: str) -> float:
    """Parse a duration; a `type` of argparse."""
    value = float(text)
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError(f"got {text}, more than 0 and at most 3600 is needed")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stream",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--teacher",
        default=EMBEDDED,
        help="Use the tokenizer of this BERT: `embedded`, a folder or a hub id.",
    )
    add(
        "--text",
        nargs="+",
        default=[EMBEDDED],
        metavar="FILE",
        help="Read this text: `embedded` or UTF-8 text files.",
    )
    add(
        "--workers",
        type=_workers,
        nargs="+",
        default=[0, 2],
        metavar="N",
        help="Measure the loader with each of these numbers of workers (default: 0 2).",
    )
    numbers = {
        "--length": (512, "Put this many tokens into a sample"),
        "--batch-size": (32, "Make batches of this many samples"),
        "--rounds": (3, "Measure every part this many times"),
    }
    add_counts(parser, numbers)
    add(
        "--seconds",
        type=_seconds,
        default=10.0,
        metavar="S",
        help="Measure each loader, and masking, for this many seconds (default: 10).",
    )
    add("--seed", type=int, default=0, help="Seed of the order and of the masks (default: 0).")
    add(
        "--out",
        type=Path,
        default=Path("stream.json"),
        help="Write the results to this JSON file (default: stream.json).",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
