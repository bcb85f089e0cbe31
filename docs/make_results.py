# SPDX-License-Identifier: Apache-2.0
"""Runs the builds behind docs/results.md and writes the page from their figures.

    python docs/make_results.py run embedded --seeds 1 2 3
    python docs/make_results.py run qamr --seeds 1 -- --train-file TRAIN.json --eval-file DEV.json
    python docs/make_results.py write

The figures are kept in docs/results.json.  `run` builds the four variants (with and without general
distillation, with and without the second distillation step) for each seed in one folder a seed, so
that they share a teacher; what is built already is kept.  `write` makes the page from the figures
alone.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
FIGURES = DOCS / "results.json"
PAGE = DOCS / "results.md"
MARK = "<!-- everything below is written by docs/make_results.py from docs/results.json -->"

INT8 = "tflite/student-int8.tflite"

# The full way last, so that its files stay in the build folder.
VARIANTS = {
    "neither": ("--distil.no-enabled", "--finetune.no-second-step"),
    "second step only": ("--distil.no-enabled",),
    "general distillation only": ("--finetune.no-second-step",),
    "both": (),
}


def run(name: str, seeds: Sequence[int], variants: Sequence[str], flags: Sequence[str]) -> None:
    """Builds and records; only the first seed's full variant is timed."""
    for seed in seeds:
        out = Path("build") / "results" / f"{name}-{seed}"
        for variant in variants:
            command = ["-m", "pipeline.build", "--seed", str(seed), *VARIANTS[variant], *flags]
            timed = variant == "both" and seed == seeds[0]
            untimed = () if timed else ("--benchmark.no-enabled",)
            subprocess.run([sys.executable, *command, *untimed, "--out", str(out)], check=True)
            report = json.loads((out / "report.json").read_text(encoding="utf-8"))
            record(name, variant, seed, shlex.join(["python", *hidden_paths(command)]), report)


def hidden_paths(command: Sequence[str]) -> list[str]:
    """The command without this machine's folders."""
    return [Path(part).name if os.sep in part else part for part in command]


def record(name: str, variant: str, seed: int, command: str, report: Mapping[str, Any]) -> None:
    """Adds or replaces one build's figures."""
    figures = load()
    entry = {
        "experiment": name,
        "variant": variant,
        "seed": seed,
        "command": command,
        "created": report["created"],
        "data": report["data"],
        "models": report["models"],
        "files": report["files"],
        "minutes": round(sum(s["seconds"] for s in report["stages"]) / 60, 1),
        "facts": {s["name"]: s["facts"] for s in report["stages"]},
        "machine": report["machine"],
        "versions": report["versions"],
    }
    if report["latency"]:
        entry["latency"] = {k: v for k, v in report["latency"].items() if k != "samples_ms"}
    same = ("experiment", "variant", "seed")
    figures = [f for f in figures if any(f[k] != entry[k] for k in same)] + [entry]
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def load() -> list[dict[str, Any]]:
    """All recorded builds."""
    return json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else []


def page(figures: Sequence[Mapping[str, Any]]) -> str:
    """The tables, in Markdown."""
    lines: list[str] = [MARK, ""]
    for name in dict.fromkeys(f["experiment"] for f in figures):
        mine = [f for f in figures if f["experiment"] == name]
        data = mine[0]["data"]
        lines += [
            f"## {name}",
            "",
            f"Trained on {data['train']['questions']:,} questions about {data['train']['passages']:,} passages "
            f"({data['train']['name']}, sha256 `{data['train']['sha256'][:12]}`), scored on "
            f"{data['eval']['questions']:,} about {data['eval']['passages']:,} others ({data['eval']['name']}, "
            f"`{data['eval']['sha256'][:12]}`).",
            "",
            "| student | seeds | teacher F1 | student EM | student F1 | of the teacher's F1 | int8 file F1 | int8 less student |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for variant in VARIANTS:
            rows = sorted((f for f in mine if f["variant"] == variant), key=lambda f: f["seed"])
            if rows:
                lines.append(_row(variant, rows))
        lines += ["", "Commands:", "", "```"]
        lines += list(dict.fromkeys(f["command"] for f in sorted(mine, key=lambda f: f["seed"])))
        lines += ["```", ""]
        lines += _machine(mine[-1])
    most = max(figures, key=lambda f: len(f["files"]), default=None)
    if most:
        lines += _files(most)
    timed = [f for f in figures if "latency" in f and f["variant"] == "both"]
    if timed:
        lines += _latency(timed[0])
    return "\n".join(lines).rstrip() + "\n"


def _row(variant: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """One variant: the mean over the seeds, each seed's F1 in brackets."""

    def of(row: Mapping[str, Any], model: str, figure: str) -> float:
        return float(next(m for m in row["models"] if m["name"] == model)[figure])

    teacher, student = ([of(r, m, "f1") for r in rows] for m in ("teacher", "student"))
    exact = [of(r, "student", "exact_match") for r in rows]
    int8 = [next(f["f1"] for f in r["files"] if f["path"] == INT8) for r in rows]
    kept = [100 * s / t for s, t in zip(student, teacher, strict=True)]
    drift = [i - s for i, s in zip(int8, student, strict=True)]
    cells = [
        variant,
        ", ".join(str(r["seed"]) for r in rows),
        _mean(teacher),
        _mean(exact),
        _mean(student),
        f"{statistics.mean(kept):.1f} %",
        _mean(int8),
        f"{statistics.mean(drift):+.2f} (worst {min(drift):+.2f})",
    ]
    return "| " + " | ".join(cells) + " |"


def _mean(values: Sequence[float]) -> str:
    each = f" ({', '.join(f'{v:.1f}' for v in values)})" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{each}"


def _machine(entry: Mapping[str, Any]) -> list[str]:
    """What a reader needs to place the figures."""
    versions = ", ".join(f"{k} {v}" for k, v in entry["versions"].items() if v)
    machine = "; ".join(
        f"{k} {v}" for k, v in entry["machine"].items() if isinstance(v, (str, int, float))
    )
    return [f"Versions: {versions}.", "", f"Machine: {machine}.", ""]


def _latency(entry: Mapping[str, Any]) -> list[str]:
    """The timed build's table."""
    timed = entry["latency"]
    lines = [
        "## Latency, memory, size",
        "",
        f"From the build of `{entry['command']}`. Method: {timed['method']}. {timed['threads']} thread, "
        f"{timed['queries']} windows of {timed['mean_tokens']:.0f} tokens on average, {timed['rounds']} rounds, padded to "
        f"{timed['padded_length']}."
        + (f" The machine was busy: {timed['busy']}." if timed["busy"] else ""),
        "",
        "| subject | p50 / p90 ms, natural | p50 / p90 ms, padded | load ms | first ms | peak memory MB | of it before loading MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, s in timed["subjects"].items():
        n, p = s["natural"], s["padded"]
        lines.append(
            f"| {name} | {n['p50']:.1f} / {n['p90']:.1f} | {p['p50']:.1f} / {p['p90']:.1f} | {s['load_ms']:.0f} | "
            f"{s['first_ms']:.1f} | {s['peak_rss_bytes'] / 1e6:.0f} | {s['empty_rss_bytes'] / 1e6:.0f} |"
        )
    lines += ["", "| faster | slower | times faster (95 % interval) |", "|---|---|---|"]
    lines += [
        f"| {r['faster']}, {r['faster_lengths']} | {r['slower']}, {r['slower_lengths']} | "
        f"{r['ratio']:.1f} ({r['low']:.1f} to {r['high']:.1f}) |"
        for r in timed["ratios"]
    ]
    return lines


def _files(entry: Mapping[str, Any]) -> list[str]:
    """Every file that a build made."""
    lines = [
        "## Files",
        "",
        f"From the build of `{entry['command']}`. The student in PyTorch has F1 "
        f"{next(m['f1'] for m in entry['models'] if m['name'] == 'student'):.1f}; errors are differences from its logits over "
        "every token of every question, at natural lengths and padded.",
        "",
        "| file | MB | EM | F1 | largest logit error | mean | changed answers % | lowest runtime |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for file in entry["files"]:
        checks = {c["name"]: c["value"] for c in file["gate"]["checks"]}
        runtime = " or ".join(f"{k} {v}" for k, v in file.get("min_runtime", {}).items())
        lines.append(
            f"| {file['path']} | {file['bytes'] / 1e6:.1f} | {file['exact_match']:.1f} | {file['f1']:.1f} | "
            f"{checks['max_logit_error']:.4g} | {checks['mean_logit_error']:.3g} | {checks['changed_answers']:.1f} | "
            f"{runtime} |"
        )
    return [*lines, ""]


def write() -> None:
    """Writes the page below what a person wrote at its top."""
    top = PAGE.read_text(encoding="utf-8").split(MARK)[0]
    PAGE.write_text(top + page(load()), encoding="utf-8")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser(
        "run", help="build, record, write", epilog="What follows -- goes to pipeline.build."
    )
    runner.add_argument("name", help="of the experiment")
    runner.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    runner.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    commands.add_parser("write", help="write the page from the recorded figures")
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options = parser.parse_args(sys.argv[1:end])
    if options.command == "run":
        run(options.name, options.seeds, options.variants, sys.argv[end + 1 :])
    write()


if __name__ == "__main__":
    main()
