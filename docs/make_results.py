# SPDX-License-Identifier: Apache-2.0
"""Measures the figures of the pages, records them in docs/results.json, and writes the pages.

    python docs/make_results.py all                      # the figures that this version lacks: hours
    python docs/make_results.py run embedded --seeds 1 2 3
    python docs/make_results.py run mine --seeds 1 -- --train-file TRAIN.json --eval-file DEV.json
    python docs/make_results.py bench files -- --build build/embedded --threads 1 2
    python docs/make_results.py paper -- --sentences 1500
    python docs/make_results.py training task -- --step task --steps 12 --rounds 10
    python docs/make_results.py stream text -- --workers 0 2 --text FILES
    python docs/make_results.py experiment ablation -- --seeds 3
    python docs/make_results.py output tests --lines 1 --minutes tests-minutes -- make test
    python docs/make_results.py fact smoke-seconds 70 --command "time make model ARGS=..."
    python docs/make_results.py write                    # the pages, from the recorded figures

`run` builds the four variants (with and without general distillation, with and without the second
distillation step) for each seed. All variants of a seed share a folder and so a teacher, and finished
stages are kept. `output` records the last lines that a command prints. `fact` records a value that no
single command prints: a figure, a text, a table as JSON, or @FILE with one of them. Only `all` skips
figures that are recorded. Pages have marks (docs/results/marks.py), and the commands write only the
text between them.

docs/results.json has an entry for each class of processor, such as "x86_64 with AVX2 and AVX512-VNNI".
What is recorded on one class replaces nothing that another class recorded, and `all` measures times
that the class of this machine lacks.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from results import marks, store
from results.builds import VARIANTS

from converters import terminal

ROOT = store.DOCS.parent
OUT = Path("build") / "results"
LIGHTHOUSE = (
    "The lighthouse at Cape Varn was built in 1871 by Ilse Brandt, an engineer from the mainland, after three ships had "
    "been lost on the reef in a single winter. Its lamp burned whale oil until 1904."
)

# Experiment -> its module, and flags of its own.
EXPERIMENTS = {
    "glue": ("glue",),
    "ablation": ("ablation",),
    "ablation-default": ("ablation", "--of", "default"),
    "ablation-size": ("ablation", "--of", "size"),
}

# The steps of `all`: each line holds the arguments of this command for one step.
FRESH_FILE = OUT / "fresh" / "build" / "embedded" / "tflite" / "student-int8.tflite"
PLAN = rf"""
run embedded --seeds 42 1 2 --variants both --timed
run smallest --seeds 42 --variants both -- --student.intermediate-size 96 --vocabulary trim --finetune.optimization.epochs 3
bench embedded -- --build {OUT / "embedded-42"} --peers --only teacher-fp32.tflite student-int8.tflite student-fp16.tflite student-int8.onnx onnxruntime-int8.onnx executorch-int8.pte --weight-cache
bench smallest -- {OUT / "embedded-42"}/tflite/student-int8.tflite {OUT / "smallest-42"}/tflite/student-int8.tflite --questions embedded
bench base-size -- --base-size {OUT / "base-size"} --peers --only teacher-fp32.tflite student-int8.tflite onnxruntime-int8.onnx executorch-int8.pte --lengths squad --weight-cache
paper -- --sentences 512
training general -- --rounds 10
training task -- --step task --steps 12 --rounds 10
stream text -- --workers 0 2 --rounds 5
experiment ablation -- --seeds 3
experiment ablation-default -- --seeds 3
experiment ablation-size -- --seeds 3
output model --fresh --start "^Name +MB" --minutes model-minutes -- make model
output ask --lines 3 -- python -m pipeline.ask {FRESH_FILE} --context "{LIGHTHOUSE}" "Who designed the lighthouse?"
output tests --lines 1 --minutes tests-minutes -- make test ARGS=tests
"""


def run(options: argparse.Namespace, flags: Sequence[str]) -> None:
    """Build and record; with --timed, the full variant of the first seed makes and times all files."""
    for seed in options.seeds:
        out = OUT / f"{options.name}-{seed}"
        for variant in options.variants:
            timed = _is_timed(options, variant, seed)
            if options.resume and store.is_built(options.name, variant, seed, timed=timed):
                continue
            command = ["-m", "pipeline.build", "--seed", str(seed), *VARIANTS[variant], *flags]
            if timed:
                command += ["--target", "all", "--precision", "all"]
            else:
                command += ["--benchmark.no-enabled"]
            execute(["python", *command, "--out", str(out)])
            report = json.loads((out / "report.json").read_text(encoding="utf-8"))
            store.add_build(options.name, variant, seed, shown(["python", *command]), report)


def _is_timed(options: argparse.Namespace, variant: str, seed: int) -> bool:
    """Whether a build of `run` makes and times all files."""
    return bool(options.timed and variant == "both" and seed == options.seeds[0])


def bench(options: argparse.Namespace, flags: Sequence[str]) -> None:
    """Run `benchmarks.run`; the samples stay in the build folder."""
    out = OUT / f"benchmark-{options.name}.json"
    _measured("benchmarks", options.name, ["benchmarks.run", *flags], out)


def paper(options: argparse.Namespace, flags: Sequence[str]) -> None:
    """Run `benchmarks.paper`."""
    _measured(
        "paper", options.name, ["benchmarks.paper", "--table", "3", *flags], OUT / "paper.json"
    )


def training(options: argparse.Namespace, flags: Sequence[str]) -> None:
    """Run `benchmarks.training` or `benchmarks.stream`; the samples stay in the build folder."""
    out = OUT / f"{options.command}-{options.name}.json"
    _measured("training", options.name, [f"benchmarks.{options.command}", *flags], out)


def experiment(options: argparse.Namespace, flags: Sequence[str]) -> None:
    """Run what the record lacks of `pipeline.glue` or `pipeline.ablation`, and keep its runs."""
    out = options.out or OUT / options.name
    name, *own = EXPERIMENTS[options.name]
    module = ["-m", f"pipeline.{name}", *own, *flags]
    # Flags after a further -- go to every build.
    end = module.index("--") if "--" in module else len(module)
    execute(["python", *module[:end], "--out", str(out), *module[end:]])
    record = json.loads((out / f"{name}.json").read_text(encoding="utf-8"))
    store.add_experiment(options.name, shown(["python", *module]), record["runs"])


def _measured(kind: str, name: str, module: Sequence[str], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    execute(["python", "-m", *module, "--out", str(out)])
    document = json.loads(out.read_text(encoding="utf-8"))
    store.add_document(kind, name, {**document, "command": shown(["python", "-m", *module])})


def output(options: argparse.Namespace, command: Sequence[str]) -> None:
    """Run a command and record its last lines, and its duration if a name for it is given."""
    where = ROOT
    if options.fresh:
        where = ROOT / OUT / "fresh"
        shutil.rmtree(where, ignore_errors=True)
        execute(["git", "clone", "--quiet", str(ROOT), str(where)])
    start = time.monotonic()
    lines = execute(command, where).rstrip().splitlines()
    minutes = (time.monotonic() - start) / 60
    if options.start:
        first = max(
            (n for n, line in enumerate(lines) if re.search(options.start, line)), default=0
        )
        lines = lines[first:]
    kept = [line.rstrip() for line in lines[-options.lines :]]
    store.add_fact(options.name, "\n".join(kept), shown(command))
    if options.minutes:
        store.add_fact(options.minutes, f"{minutes:.1f}", shown(command))


def fact(options: argparse.Namespace, _: Sequence[str]) -> None:
    """Record a given value."""
    text = options.value
    if text.startswith("@"):
        text = Path(text[1:]).read_text(encoding="utf-8").rstrip("\n")
    store.add_fact(options.name, parsed(text), options.command_line)


def parsed(text: str) -> Any:
    """A table from JSON; any other text stays as it is."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, list) else text


def execute(command: Sequence[str], where: Path = ROOT) -> str:
    """Run a command, show and return its output; raise a CalledProcessError if it fails."""
    if not command:
        raise ValueError("no command: give one behind --")
    full = [sys.executable if part == "python" else part for part in command]
    wide = {**os.environ, "COLUMNS": "120"}  # a pipe has no width, and tables would fold
    told = []
    with subprocess.Popen(full, cwd=where, stdout=subprocess.PIPE, text=True, env=wide) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                print(line, end="", flush=True)
                told.append(line)
        except BaseException:  # a signal to this process alone: what it runs ends with it
            process.terminate()
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, full)
    return "".join(told)


def shown(command: Sequence[str]) -> str:
    """The command as a reader would enter it, without the folders of this machine."""
    return shlex.join(store.without_folder(part) for part in command)


def write() -> None:
    """Write the recorded figures between the marks of every page."""
    results = store.load()
    texts = {page: marks.filled(page.read_text(encoding="utf-8"), results) for page in pages()}
    for page, text in texts.items():  # writes no page if the marks of any are wrong
        page.write_text(text, encoding="utf-8")


def pages() -> list[Path]:
    """Every page that holds figures."""
    return [ROOT / "README.md", *sorted(store.DOCS.glob("*.md"))]


def is_done(options: argparse.Namespace) -> bool:
    """Whether this version has recorded the figures of a step here, with every one of its builds."""
    if options.command == "run":
        every = [(variant, seed) for seed in options.seeds for variant in options.variants]
        return all(
            store.is_built(options.name, *one, timed=_is_timed(options, *one)) for one in every
        )
    kinds = {
        "bench": "benchmarks",
        "paper": "paper",
        "training": "training",
        "stream": "training",
        "experiment": "experiments",
        "output": "facts",
    }
    return store.is_recorded(kinds[options.command], options.name)


def everything(force: bool, only: Sequence[str]) -> int:
    """Run all steps of the plan, even after one fails; return the exit code.

    A message names every step that is skipped because its .json files are missing.
    """
    failed = []
    steps = [shlex.split(line) for line in PLAN.strip().splitlines()]
    for step in steps:
        options, rest = parse(step)
        options.resume = not force
        if only and options.name not in only:
            continue
        missing = [part for part in rest if part.endswith(".json") and not (ROOT / part).exists()]
        if missing:
            print(f"{options.name}: left out, {' and '.join(missing)} not found in {ROOT}")
        elif is_done(options) and not force:
            print(f"{options.name}: recorded")
        else:
            print(f"{options.name}: {shlex.join(step)}", flush=True)
            try:
                options.work(options, rest)
            except (subprocess.CalledProcessError, OSError) as error:
                print(f"{options.name}: failed, {error}", file=sys.stderr)
                failed.append(options.name)
        write()
    planned = {argument for step in steps for argument in step}
    by_hand = [name for name in store.load()["facts"] if name not in planned]
    print(f"by hand (docs/make_results.py fact): {', '.join(by_hand)}")
    print(
        f"failed: {', '.join(failed)}" if failed else "docs/results.json and the pages are written"
    )
    return 1 if failed else 0


def parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The options, and the arguments after --."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return _parser().parse_args(arguments[:end]), list(arguments[end + 1 :])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, work: Any, told: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=told)
        one.set_defaults(work=work, resume=False)
        return one

    one = add("run", run, "Build and record; pass the arguments after -- to pipeline.build.")
    one.add_argument("name", help="Use this name for the experiment.")
    one.add_argument(
        "--seeds", type=int, nargs="+", default=[1, 2, 3], help="Build with each of these seeds."
    )
    one.add_argument(
        "--variants",
        nargs="+",
        choices=VARIANTS,
        default=list(VARIANTS),
        help="Build only these variants.",
    )
    one.add_argument(
        "--timed", action="store_true", help="Make and time every file in one of the builds."
    )
    one = add("bench", bench, "Benchmark; pass the arguments after -- to benchmarks.run.")
    one.add_argument("name", help="Use this name for the benchmark.")
    one = add("paper", paper, "Measure table 3 of the paper; pass the arguments after -- to it.")
    one.set_defaults(name="table-3")
    for name in ("training", "stream"):
        one = add(name, training, f"Time it; pass the arguments after -- to benchmarks.{name}.")
        one.add_argument("name", help="Use this name for the figures.")
    one = add("experiment", experiment, "Run glue or ablation; pass the arguments after -- to it.")
    one.add_argument("name", choices=EXPERIMENTS, help="Run this experiment.")
    one.add_argument("--out", type=Path, help="Keep its builds and its record in this folder.")
    one = add("output", output, "Run the command after -- and record its output.")
    one.add_argument("name", help="Use this name for the fact.")
    one.add_argument(
        "--lines",
        type=int,
        default=0,
        help="Record only this many lines, the last ones (default: all).",
    )
    one.add_argument("--start", help="Record from the last line that matches this expression.")
    one.add_argument(
        "--minutes", metavar="NAME", help="Record the duration in minutes as this fact."
    )
    one.add_argument("--fresh", action="store_true", help="Run in a new clone of this repository.")
    one = add("fact", fact, "Record a figure, a text or a table.")
    one.add_argument("name", help="Use this name for the fact.")
    one.add_argument("value", help="Record this text, these JSON rows, or the content of @FILE.")
    one.add_argument(
        "--command", dest="command_line", required=True, help="Record this command as the source."
    )
    one = commands.add_parser("all", help="Run all steps of the plan.")
    one.add_argument("--force", action="store_true", help="Measure recorded figures again.")
    one.add_argument("--only", nargs="+", default=[], metavar="NAME", help="Run only these steps.")
    commands.add_parser("write", help="Write the pages from the recorded figures.")
    return parser


@terminal.command(also={ValueError: 2, OSError: 2, subprocess.CalledProcessError: 1})
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, 1 if a command that it ran failed, 2 after a mistake."""
    options, rest = parse(sys.argv[1:] if arguments is None else arguments)
    if options.command == "all":
        return everything(options.force, options.only)
    if options.command != "write":
        options.work(options, rest)
    write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
