# SPDX-License-Identifier: Apache-2.0
"""Measures the latency, memory and size of exported files with MLPerf's single stream of queries.

    python -m benchmarks.run teacher-fp32.tflite student-int8.tflite --lengths squad
    python -m benchmarks.run --build build/embedded --threads 1 2 4

Every file answers every query twice, at the query's own length and padded. The files take turns in
an order that the seed shuffles. The first file is the baseline of the others. A run with fewer than
1,024 queries or less than 60 seconds is marked as not valid.

    python -m benchmarks.run --base-size models --peers

also measures the files that other tools export from the same student, and both models in PyTorch.
Each of them is compared with the first int8 .tflite file.

Exit code: 0 measured, 2 a mistake in the command or its files, 1 any other error.
"""

from __future__ import annotations

import argparse
import datetime
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.arguments import add_question_flags, add_verify_flag, amount, hidden
from benchmarks.measure import latency, machine, memory
from benchmarks.measure.queries import EVERY
from benchmarks.measure.schema import KIND, NATURAL, VERSION, Benchmark
from benchmarks.measure.session import ColdStart, pairs, session
from benchmarks.page import page
from benchmarks.page.console import show
from benchmarks.plan import LONG, PAD_TO, Plan, asked_of
from benchmarks.subjects import base_size, built, describe, models_of, named, peer_files
from converters import terminal, whole_file
from converters.runtimes import checksums, trial
from converters.runtimes.open import open_predictor
from converters.start import module_command

# Enough to see that everything works, but far too few for a valid figure.
QUICK_QUERIES = 8

# The shortest input of a memory probe; the longest is the limit of the file.
SHORTEST = 16

REPORTED = (
    *("ai-edge-litert", "onnxruntime", "executorch", "coremltools", "torch", "transformers"),
    *("tokenizers", "numpy", "distilbert-mobile"),
)


def run(plan: Plan, command: str, tell: Callable[[str], None] = lambda _: None) -> Benchmark:
    """Measure everything in `plan`.

    Args:
        plan: see `Plan`.
        command: the command line, for the report.
        tell: a function that is called with lines of progress.

    Raises:
        ValueError, ConversionError: a file cannot be opened, cannot run the queries of the plan,
            or has another sha256 than the model.json beside it states.
        ChildProcessError, TimeoutError: a cold start failed.
    """
    opened = plan.opened
    unchecked = checksums.verify_all(opened, skip=not plan.verify)
    for path in opened:
        (trial.attempt if path in unchecked else trial.once)(path)
    before: Any = machine.describe()
    clock = machine.clock()
    longest = {path: open_predictor(path).max_length for path in plan.files.values()}
    files = [describe(name, path) for name, path in plan.files.items()]
    # A reference that cannot be opened is refused before anything is timed.
    given = [open_predictor(plan.reference).max_length] if plan.reference else []
    pad_to = min(plan.pad_to, *longest.values(), *given)
    asked = asked_of(plan, pad_to)
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
            # Logits do not depend on the number of threads.
            references=plan.references if threads == plan.threads[0] else {},
            least_queries=plan.least_queries,
            least_seconds=plan.least_seconds,
            seed=plan.seed,
            tell=tell,
        )
        for threads in plan.threads
    ]
    for one in runs[1:]:
        for name, subject in one["latency"]["subjects"].items():
            subject["logit_error"] = runs[0]["latency"]["subjects"][name]["logit_error"]
    for file in files:
        file["scores"] = asked.scores(f"{file['name']} {NATURAL}")
    checksums.note(unchecked)
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


def _cold_start(plan: Plan, lengths: Sequence[int], path: Path, threads: int) -> ColdStart:
    """Measure loading, first run and memory in new processes, without and with a weight cache."""
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


def _only(files: dict[str, Path], names: Sequence[str] | None) -> dict[str, Path]:
    """The files with these names; all files if `names` is None."""
    if unknown := [name for name in names or () if name not in files]:
        raise ValueError(f"--only {' '.join(unknown)}: there are {', '.join(files)}")
    return {name: path for name, path in files.items() if names is None or name in names}


@terminal.command(also={ValueError: 2, ChildProcessError: 1, TimeoutError: 1})
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the module documents the exit code that it returns."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    given = _parser().parse_args(arguments)
    root = given.build
    files: list[Path] = []
    read: dict[str, Any] = {}
    if given.build:
        files, read = built(given.build)
    elif given.base_size:
        files = base_size(given.base_size, say=_say)
        root = files[0].parent
    files += given.file
    others = peer_files(root, files, _say) if given.peers else []
    files = [path for path in files if path not in others] + others
    lengths = _lengths(given.lengths)
    questions = read.pop("eval_file", None)
    if given.questions is not None or lengths not in (None, LONG):
        questions, read = given.questions, {}
    if lengths == LONG:
        questions = questions or "embedded"
    own = {"empty_answers": given.empty_answers, "language": given.language}
    read |= {name: value for name, value in own.items() if value is not None}
    if questions is None and read:
        raise ValueError("--language and --empty-answers are for questions: add --questions")
    by_name = _only(named(files), given.only)
    twice = {name + EVERY: path for name, path in by_name.items()} if lengths == LONG else {}
    plan = Plan(
        files=twice | by_name,
        threads=tuple(dict.fromkeys(given.threads)),
        pad_to=given.pad_to,
        lengths=lengths or "squad",
        questions=questions,
        read=read,
        least_queries=QUICK_QUERIES if given.quick else given.queries,
        least_seconds=0.0 if given.quick else given.seconds,
        probes=1 if given.quick else memory.PROBES,
        seed=given.seed,
        weight_cache=given.weight_cache,
        peers=[name for name, path in by_name.items() if path in others],
        verify=given.verify,
        models=models_of(by_name, given.build, root if given.base_size else None),
        reference=given.reference,
    )
    out = given.out or (given.build or Path()) / "benchmark.json"
    whole_file.check_out(out)
    command = shlex.join(["python", "-m", "benchmarks.run", *hidden(arguments)])
    with checksums.unchanged(plan.opened):
        found = run(plan, command, _tell)
    page_file = page.write(found, out)
    terminal.say(show(found))
    terminal.say(f"\nsamples and machine: {out}\npage: {page_file}")
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
        help="Measure this file: .tflite, .onnx, .pte, .mlpackage (on macOS) or a Hugging Face "
        "folder. The first file is the baseline of the others.",
    )
    whole = parser.add_mutually_exclusive_group().add_argument
    whole(
        "--build",
        type=Path,
        help="Measure the teacher and the files of this build folder on its evaluation examples.",
    )
    whole(
        "--base-size",
        type=Path,
        metavar="FOLDER",
        help="Measure BERT-base and DistilBERT with random weights; make them in FOLDER if they "
        "are not there yet.",
    )
    add(
        "--peers",
        action="store_true",
        help="Also measure PyTorch, and the files that ONNX Runtime and ExecuTorch export from the "
        "same student: that of --build, of --base-size, or each Hugging Face folder.",
    )
    add(
        "--reference",
        type=Path,
        metavar="PATH",
        help="Compare the logits of the files with those of this fp32 file or Hugging Face folder, "
        "the model that they were exported from. --build, --base-size and --peers know the models "
        "of their files and need no --reference.",
    )
    add(
        "--only",
        nargs="+",
        metavar="NAME",
        help="Measure only the files that have these names in the table.",
    )
    add_question_flags(parser)
    add(
        "--lengths",
        nargs="+",
        help="Run on windows of random tokens: `squad` draws their lengths from the distribution "
        "of SQuAD's dev set (default without questions); numbers are lengths in tokens, each used "
        "equally often. `long` asks the questions about documents of 5,000 words, joined of their "
        "passages, and each file answers them a second time from every window.",
    )
    add(
        "--threads",
        type=terminal.threads,
        nargs="+",
        default=[1],
        help="Measure with each of these numbers of threads in turn (default: 1).",
    )
    add(
        "--pad-to",
        type=terminal.count,
        default=PAD_TO,
        help="Pad inputs to this many tokens (default: 384).",
    )
    add(
        "--queries",
        type=terminal.count,
        default=latency.VALID_QUERIES,
        help="Run at least this many queries on each file (default: 1024).",
    )
    add(
        "--seconds",
        type=amount,
        default=latency.VALID_SECONDS,
        help="Measure for at least this many seconds (default: 60).",
    )
    add(
        "--quick",
        action="store_true",
        help="Run only 8 queries on each file and mark the figures as not valid.",
    )
    add(
        "--seed",
        type=int,
        default=0,
        help="Seed of the lengths, the choice of questions and the order (default: 0).",
    )
    add(
        "--weight-cache",
        action="store_true",
        help="Also start .tflite files with XNNPACK's weight cache.",
    )
    add_verify_flag(parser)
    add(
        "--out",
        type=Path,
        help="Write the results to this JSON file, and a page beside it (default: benchmark.json "
        "in the folder of --build, or here).",
    )
    return parser


def _lengths(given: Sequence[str] | None) -> str | tuple[int, ...] | None:
    """`--lengths` as `Plan.lengths` has it."""
    if given is None:
        return None
    if list(given) in (["squad"], [LONG]):
        return given[0]
    if not all(text.isdecimal() and int(text) for text in given):
        raise ValueError(f"--lengths {' '.join(given)}: give squad, long, or numbers of at least 1")
    return tuple(map(int, given))


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _tell(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
