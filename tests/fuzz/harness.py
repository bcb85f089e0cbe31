# SPDX-License-Identifier: Apache-2.0
"""Runs readers on changed inputs in processes of their own, and prints what came of it.

python tests/fuzz/harness.py [--share 0.1] [--seed 0] [--only NAME]
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parent), str(HERE.parents[1])]

import readers  # noqa: E402 - found through the line above

# Seconds without a finished input after which a process counts as hanging.
LONGEST_SECONDS = 120
MEMORY_BYTES = 24 * 2**30


@dataclass
class Row:
    """What came of the inputs of one reader.

    Attributes:
        name: of the reader.
        inputs: how many there were.
        counts: of "read", "refused", "traceback", "signal", "accepted" and "hang".
        cases: number of an input and what happened, of those that must not be.
    """

    name: str
    inputs: int
    counts: Counter[str] = field(default_factory=Counter)
    cases: list[tuple[int, str]] = field(default_factory=list)


def work(name: str, seed: int, first: int, last: int, folder: Path) -> None:
    """Run the inputs [first, last) of a reader, and print a line of JSON for each."""
    from converters import ExpectedError

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    reader = readers.find(name)
    path, data = readers.prepared(reader, folder)
    reader.read(path)  # as long as it is whole
    for number in range(first, last):
        print(json.dumps({"at": number}), flush=True)
        path.write_bytes(reader.change(data, random.Random(f"{seed} {name} {number}")))
        try:
            reader.read(path)
            outcome, what = ("accepted" if reader.sealed else "read"), ""
        except ExpectedError as error:
            outcome, what = "refused", str(error)
            if "\n" in what:
                outcome, what = "traceback", f"several lines: {what!r}"
        except BaseException as error:
            line = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(line.filename).name}:{line.lineno}"
            outcome, what = "traceback", f"{type(error).__name__}: {error} ({where})"
        if reader.sealed and outcome == "accepted" and _same(path, data):
            outcome = "read"
        print(json.dumps({"done": number, "outcome": outcome, "what": what[:300]}), flush=True)


def _same(path: Path, data: bytes) -> bool:
    """Whether a document says the same: white space between tokens is no change."""
    if path.suffix != ".json":
        return path.read_bytes() == data
    return bool(json.loads(path.read_bytes()) == json.loads(data))


def fuzz(name: str, inputs: int, seed: int) -> Row:
    """Run a reader; a process that dies is started again behind the input it died of."""
    row = Row(name, inputs)
    first = 0
    while first < inputs:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            command = [sys.executable, str(Path(__file__).resolve()), "--work", name]
            command += [str(seed), str(first), str(inputs), folder]
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            assert process.stdout is not None and process.stderr is not None
            at = first
            for line in process.stdout:
                if not line.startswith("{"):
                    continue
                said = json.loads(line)
                at = said.get("at", at)
                if "done" in said:
                    row.counts[said["outcome"]] += 1
                    if said["outcome"] in ("traceback", "accepted"):
                        row.cases.append((said["done"], said["what"]))
                    at = said["done"] + 1
            error = process.stderr.read()
            process.wait()
            if process.returncode > 0:
                raise RuntimeError(f"{name}: the worker failed:\n{error[-2000:]}")
            if process.returncode < 0:
                row.counts["signal"] += 1
                row.cases.append((at, f"signal {-process.returncode}"))
                at += 1
            first = at
    return row


def bad(row: Row) -> int:
    """How many inputs ended as none may."""
    found = row.counts["traceback"] + row.counts["accepted"]
    return found + (0 if readers.find(row.name).may_die else row.counts["signal"])


def table(rows: Sequence[Row]) -> str:
    """A line for each reader, and their sum."""
    columns = ("refused", "read", "traceback", "signal", "accepted")
    heads = ("reader", "inputs", "refused", "read", "tracebacks", "signals", "accepted changes")
    lines = [heads]
    lines += [
        (row.name, f"{row.inputs:,}", *(f"{row.counts[key]:,}" for key in columns)) for row in rows
    ]
    total = [sum(row.counts[key] for row in rows) for key in columns]
    lines.append(("all", f"{sum(row.inputs for row in rows):,}", *(f"{n:,}" for n in total)))
    widths = [max(len(line[place]) for line in lines) for place in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz the readers; return 1 if an input ended as none may."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["--work"]:
        _, name, seed, first, last, folder = arguments
        work(name, int(seed), int(first), int(last), Path(folder))
        return 0
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0, help="Of the 24,000 inputs.")
    parser.add_argument("--seed", type=int, default=0, help="Seed of the changes.")
    parser.add_argument("--only", nargs="+", choices=readers.names(), help="Only these readers.")
    given = parser.parse_args(arguments)
    rows = []
    for reader in readers.READERS:
        if given.only and reader.name not in given.only:
            continue
        began = time.monotonic()
        rows.append(fuzz(reader.name, max(1, round(reader.inputs * given.share)), given.seed))
        print(f"{reader.name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    print(table(rows))
    for row in rows:
        for number, what in row.cases[:20]:
            print(f"{row.name}, input {number}: {what}")
    return 1 if any(bad(row) for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
