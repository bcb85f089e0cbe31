# SPDX-License-Identifier: Apache-2.0
"""Latency, memory and size of exported files, in one stream of queries (MLPerf's single stream).

    python -m benchmarks.run teacher-fp32.tflite student-int8.tflite --lengths squad
    python -m benchmarks.run --build build/embedded --threads 1 2 4

Every file answers every query at its own length and padded, taking turns in an order shuffled by
seed. The first file is the one that the others are compared with. A figure is valid with 1,024
queries and 60 seconds; with fewer it is marked as not valid.

    python -m benchmarks.run --base-size models --peers

measures what other tools make of the same student beside it, and both models in PyTorch; each of
them is compared with the first int8 .tflite file.

This is the one module here that opens files: through `converters`, and through `pipeline` where
questions are asked. The parts beside it import neither.
"""

from __future__ import annotations

import argparse
import datetime
import shlex
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.arguments import amount, count, hidden
from benchmarks.measure import latency, machine, memory, size
from benchmarks.measure.queries import Asked, RandomWindows, given_lengths, squad_lengths
from benchmarks.measure.schema import KIND, NATURAL, VERSION, Benchmark, File
from benchmarks.measure.session import ColdStart, pairs, session, short
from benchmarks.page import page
from benchmarks.page.console import show
from benchmarks.subjects import base_size, built, rivals
from converters import terminal
from converters.runtimes import checksums
from converters.runtimes.open import open_predictor
from converters.runtimes.weights import stored, vocabulary_size
from converters.start import module_command

# Enough to see that everything works; far from enough for a figure.
QUICK_QUERIES = 8

# Distinct queries of a round: with two rounds they make a valid figure.
ROUND_QUERIES = latency.VALID_QUERIES // latency.LEAST_ROUNDS

# What SQuAD models are trained with, and what exporters pad to.
PAD_TO = 384

# The shortest input a memory probe runs; the longest is the file's own.
SHORTEST = 16

# Ids of random windows where no file tells its vocabulary; every one has as many.
FEWEST_PIECES = 100

REPORTED = (
    *("ai-edge-litert", "onnxruntime", "executorch", "coremltools", "torch", "transformers"),
    *("tokenizers", "numpy", "distilbert-mobile"),
)
SUFFIXES = (".tflite", ".onnx", ".pte", ".mlpackage")


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        files: by their name in the report; the first is the reference.
        threads: numbers of threads, measured one after the other.
        pad_to: length of padded inputs.
        lengths: "squad" or token lengths; counts where there are no questions.
        questions: `embedded`, a SQuAD file or a hub data set; None for random tokens.
        least_queries, least_seconds: of each run.
        probes: cold starts of each file.
        seed: of everything random.
        weight_cache: also start .tflite files with XNNPACK's weight cache.
        peers: names of those files that other tools made.
    """

    files: Mapping[str, Path]
    threads: Sequence[int] = (1,)
    pad_to: int = PAD_TO
    lengths: str | Sequence[int] = "squad"
    questions: str | None = None
    least_queries: int = latency.VALID_QUERIES
    least_seconds: float = latency.VALID_SECONDS
    probes: int = memory.PROBES
    seed: int = 0
    weight_cache: bool = False
    peers: Collection[str] = ()


def run(plan: Plan, command: str, tell: Callable[[str], None] = lambda _: None) -> Benchmark:
    """Measure everything in `plan`.

    Args:
        plan: see `Plan`.
        command: how it was called, for the report.
        tell: called with a line of progress now and then.

    Raises:
        ValueError, ConversionError: a file cannot be opened, or asked what the plan says; or is
            not the one that the model.json beside it states.
        ChildProcessError, TimeoutError: a cold start failed.
    """
    for path in plan.files.values():
        checksums.verify(path)
    before: Any = machine.describe()
    clock = machine.clock()
    longest = {path: open_predictor(path).max_length for path in plan.files.values()}
    files = [describe(name, path) for name, path in plan.files.items()]
    pad_to = min(plan.pad_to, *longest.values())
    asked = _asked(plan, pad_to)
    runs = [
        session(
            plan.files,
            asked,
            threads=threads,
            pad_to=pad_to,
            open_file=open_predictor,
            cold_start=lambda path, threads: _cold_start(
                plan, (pad_to, SHORTEST, longest[path]), path, threads
            ),
            compared=pairs(list(plan.files), plan.peers),
            least_queries=plan.least_queries,
            least_seconds=plan.least_seconds,
            seed=plan.seed,
            tell=tell,
        )
        for threads in plan.threads
    ]
    for file in files:
        file["scores"] = asked.scores(f"{file['name']} {NATURAL}")
    others = machine.other_work(clock, machine.clock())
    warnings = machine.cautions(before, others, max(plan.threads))
    warnings += [one["latency"]["busy"] for one in runs if one["latency"]["busy"]]
    return {
        "kind": KIND,
        "schema_version": VERSION,
        "created": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "command": command,
        "seed": plan.seed,
        "valid": all(one["too_short"] is None for one in runs),
        "warnings": list(dict.fromkeys(warnings)),
        "machine": before,
        "device": None,
        "load_average_after": machine.describe()["load_average"],
        "other_work_cores": None if others is None else round(others, 3),
        "versions": machine.versions(REPORTED),
        "queries": {
            "source": asked.source,
            "sha256": asked.sha256,
            "count": len(asked.queries),
            "available": asked.available,
            "tokens": asked.tokens,
        },
        "metrics": list(asked.metrics),
        "files": files,
        "runs": runs,
        "profiles": [],
    }


def _asked(plan: Plan, longest: int) -> Asked:
    """Questions, or windows of random tokens no longer than the padded ones."""
    count = min(plan.least_queries, ROUND_QUERIES)
    if plan.questions is not None:
        from benchmarks.questions import TimedQuestions

        beside = next(filter(_has_tokenizer, plan.files.values()), None)
        if beside is None:
            raise ValueError(
                "--questions needs a tokenizer: name a file with its model.json beside it, or a "
                "Hugging Face folder"
            )
        return TimedQuestions(plan.questions, beside, count=count, longest=longest, seed=plan.seed)
    if isinstance(plan.lengths, str):
        source, tokens = plan.lengths, squad_lengths(count, longest, plan.seed)
    elif max(plan.lengths) > longest:
        raise ValueError(
            f"--lengths {max(plan.lengths)}: the files, or --pad-to, take at most {longest}"
        )
    else:
        source, tokens = "given", given_lengths(count, plan.lengths, plan.seed)
    told = [size for path in plan.files.values() if (size := vocabulary_size(path))]
    vocabulary = min(told, default=FEWEST_PIECES)
    return RandomWindows(source, tokens, vocabulary=vocabulary, pad_to=longest, seed=plan.seed)


def _cold_start(plan: Plan, lengths: Sequence[int], path: Path, threads: int) -> ColdStart:
    """Load, first run and memory of a file in fresh processes; the same with a weight cache."""
    command = [*module_command("converters.runtimes.probe"), str(path), "--threads", str(threads)]
    for length in lengths:
        command += ["--length", str(length)]
    plain = memory.probe_median(command, plan.probes)
    if not plan.weight_cache or path.suffix != ".tflite":
        return plain, None
    with tempfile.TemporaryDirectory(prefix="weight-cache-") as folder:
        command += ["--weight-cache", str(Path(folder) / "cache")]
        memory.probe(command)  # makes the cache; an app does that once, after its installation
        return plain, memory.probe_median(command, plan.probes)


def describe(name: str, path: Path) -> File:
    """Size, checksum and parts of a file; of a folder, the bytes of all that is in it."""
    every = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    whole = sum(each.stat().st_size for each in every)
    weights = stored(path)
    return {
        "name": name,
        "path": short(path),
        "bytes": whole,
        "sha256": checksums.sha256(path) if path.is_file() else None,
        "parts": None if weights is None else size.split([size.Weight(*w) for w in weights], whole),
        "scores": None,
    }


def _has_tokenizer(path: Path) -> bool:
    """Whether `pipeline.ask` finds a tokenizer: in a folder, or beside an exported file."""
    beside = path.parent if path.suffix in SUFFIXES else path
    names = ("model.json",) if path.suffix in SUFFIXES else ("tokenizer.json", "vocab.txt")
    return any((beside / name).is_file() for name in names)


def named(paths: Sequence[Path]) -> dict[str, Path]:
    """Files by their names, or by as much of their paths as tells them apart.

    Raises:
        ValueError: no file, or one named twice.
    """
    every = [path.absolute() for path in paths]
    if not every or len(set(every)) < len(every):
        raise ValueError("name at least one FILE, or --build, and no file twice")
    for depth in range(1, max(len(path.parts) for path in every) + 1):
        names = ["/".join(path.parts[-depth:]) for path in every]
        if len(set(names)) == len(names):
            break
    return dict(zip(names, paths, strict=True))


def _only(files: dict[str, Path], names: Sequence[str] | None) -> dict[str, Path]:
    """Those of `files` that are to be measured; None is all."""
    if unknown := [name for name in names or () if name not in files]:
        raise ValueError(f"--only {' '.join(unknown)}: there are {', '.join(files)}")
    return {name: path for name, path in files.items() if names is None or name in names}


@terminal.command(also={ValueError: 2, ChildProcessError: 1, TimeoutError: 1})
def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code: 0 measured, 2 the user's mistake, 1 anything else."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    given = _parser().parse_args(arguments)
    root, questions = given.build, None
    files: list[Path] = []
    if given.build:
        files, questions = built(given.build)
    elif given.base_size:
        files = base_size(given.base_size, say=_say)
        root = files[0].parent
    files += given.file
    others = rivals(root, files, _say) if given.peers else []
    files = [path for path in files if path not in others] + others
    lengths = _lengths(given.lengths)
    if given.questions is not None or lengths is not None:
        questions = given.questions
    by_name = _only(named(files), given.only)
    plan = Plan(
        files=by_name,
        threads=tuple(dict.fromkeys(given.threads)),
        pad_to=given.pad_to,
        lengths=lengths or "squad",
        questions=questions,
        least_queries=QUICK_QUERIES if given.quick else given.queries,
        least_seconds=0.0 if given.quick else given.seconds,
        probes=1 if given.quick else memory.PROBES,
        seed=given.seed,
        weight_cache=given.weight_cache,
        peers=[name for name, path in by_name.items() if path in others],
    )
    out = given.out or (given.build or Path()) / "benchmark.json"
    found = run(plan, shlex.join(["python", "-m", "benchmarks.run", *hidden(arguments)]), _tell)
    page_file = page.write(found, out)
    print(show(found))
    print(f"\nsamples and machine: {out}\npage: {page_file}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "file",
        type=Path,
        nargs="*",
        metavar="FILE",
        help="a .tflite, .onnx or .pte file, a .mlpackage on macOS, or a Hugging Face folder; the "
        "others are compared with the first",
    )
    whole = parser.add_mutually_exclusive_group().add_argument
    whole("--build", type=Path, help="a build folder: its teacher, its files, its questions")
    whole(
        "--base-size",
        type=Path,
        metavar="FOLDER",
        help="BERT-base and DistilBERT with random weights, made there once",
    )
    add(
        "--peers",
        action="store_true",
        help="also ONNX Runtime's and ExecuTorch's files of the same student, made once, and "
        "PyTorch; of a build, of --base-size, or of each Hugging Face folder",
    )
    add("--only", nargs="+", metavar="NAME", help="of all those files, as the table names them")
    add("--questions", help="`embedded`, a SQuAD file or a hub data set: asked, and scored")
    add(
        "--lengths",
        nargs="+",
        help="token lengths of random windows: `squad` draws them as SQuAD's dev set has them "
        "(default without questions), or numbers, each as often as the others",
    )
    add("--threads", type=count, nargs="+", default=[1], help="of the runtime, one after another")
    add("--pad-to", type=count, default=PAD_TO, help="tokens of padded inputs (default: 384)")
    add("--queries", type=count, default=latency.VALID_QUERIES, help="at least, of each file")
    add("--seconds", type=amount, default=latency.VALID_SECONDS, help="at least, in all")
    add("--quick", action="store_true", help="a handful of queries, marked as not valid")
    add("--seed", type=int, default=0, help="of lengths, questions and order")
    add("--weight-cache", action="store_true", help="start with XNNPACK's weight cache as well")
    add(
        "--out",
        type=Path,
        help="JSON to write, a page beside it (default: benchmark.json, in the build's folder)",
    )
    return parser


def _lengths(given: Sequence[str] | None) -> str | tuple[int, ...] | None:
    """`--lengths` as `Plan.lengths` has it."""
    if given is None:
        return None
    if list(given) == ["squad"]:
        return "squad"
    if not all(text.isdecimal() and int(text) for text in given):
        raise ValueError(f"--lengths {' '.join(given)}: give squad, or numbers of at least 1")
    return tuple(map(int, given))


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _tell(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
