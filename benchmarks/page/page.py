# SPDX-License-Identifier: Apache-2.0
"""A benchmark as one self-contained page: for a manager first, then for whoever checks it.

    python -m benchmarks.page benchmark.json

Takes what `benchmarks.run`, `benchmarks.android` and the Android app write; computes nothing but
differences and shares of its figures. The page holds the document too, to download.
"""

from __future__ import annotations

import argparse
import base64
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.measure.files import json_text
from benchmarks.measure.schema import (
    NATURAL,
    Benchmark,
    Device,
    File,
    Profile,
    Ratio,
    Run,
    read,
)
from benchmarks.measure.session import NOT_VALID
from benchmarks.page import figures as page_plots
from benchmarks.page.errors import MEANING, error_cell
from benchmarks.page.headline import score_fact, size_fact, speed_fact
from benchmarks.page.layout import (
    DASH,
    Fact,
    Page,
    Section,
    counted,
    pairs,
    render,
    three_digits,
)
from benchmarks.page.reading import read_json
from benchmarks.page.scores import explained
from benchmarks.page.tables import (
    checksums_table,
    device_tables,
    files_table,
    memory_table,
    operators_table,
    overhead_table,
    profiles_table,
    ratio_tables,
    thermal,
    times_table,
)
from converters import ExpectedError, terminal, whole_file

# Lists of more numbers than this are told by their length where a person reads the document.
SHOWN_NUMBERS = 16


def write(document: Benchmark, path: Path) -> Path:
    """Write a document, and its page beside it.

    Args:
        document: to write.
        path: of the JSON; folders are made.

    Returns:
        Where the page is: at `path`, but with the ending .html.

    Raises:
        ValueError: the document is not valid, or the file system refuses.
    """
    text = html(document)
    page = _beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        whole_file.write(path, json_text(document))
        whole_file.write(page, text)
    except OSError as error:
        raise ValueError(f"cannot write {error.filename}: {error.strerror}") from error
    return page


def _beside(path: Path) -> Path:
    """Where the page of a document goes; never onto the document itself."""
    return path.with_name(path.name.removesuffix(".json") + ".html")


def html(document: Any) -> str:
    """The page of a document, which may be of an older schema.

    Raises:
        ValueError: the document is not valid.
    """
    valid = read(document)
    groups = _by_threads(valid["runs"])
    alike = groups[0] if groups else []
    first = alike[0] if alike else None
    about, reference = _about(valid, alike), valid["files"][0] if valid["files"] else None
    compared = reference if reference is not about else None
    colors = page_plots.roles(
        [file["name"] for file in valid["files"]],
        about["name"] if about else None,
        compared["name"] if compared else None,
    )
    drawn = page_plots.run_plots(valid, alike, colors) if alike else []
    drawn += page_plots.profile_plots(valid["profiles"])
    others = [page_plots.sizes(valid["files"]), page_plots.threads(valid["runs"], colors)]
    return render(
        Page(
            kind="benchmark",
            title=_title(valid, first, about, reference),
            subtitle=_subtitle(valid, first),
            facts=_facts(valid, first, about, compared),
            plots=[*drawn, *(plot for plot in others if plot)],
            sections=_sections(valid, groups, colors),
        ),
        "benchmark.html.j2",
        invalid=[
            f"with {_threads(run)}: {run['too_short']}" for run in valid["runs"] if run["too_short"]
        ],
        document=valid,
        encoded=base64.b64encode(json_text(valid).encode()).decode(),
        readable=_readable(valid),
    )


def _by_threads(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs with the same number of threads together, the fewest threads first."""
    every = sorted({run["threads"] for run in runs})
    return [[run for run in runs if run["threads"] == threads] for threads in every]


def _about(document: Benchmark, runs: Sequence[Run]) -> File | None:
    """The file that the page is about: the fastest at natural lengths but for the reference.

    Where files were compared with the reference, it is one of those.
    """
    means: dict[str, float] = {}
    compared: set[str] = set()
    for run in runs:
        for name, subject in run["latency"]["subjects"].items():
            if times := subject[NATURAL]:
                means[name] = times["mean"]
        reference = document["files"][0]["name"] if document["files"] else ""
        pairs = ((ratio["faster"], ratio["slower"]) for ratio in run["latency"]["ratios"])
        compared |= {faster for faster, slower in pairs if slower == reference != faster}
    files = document["files"][1:] or document["files"]
    known = [file for file in files if file["name"] in (compared or means)]
    return min(known or files, key=lambda file: means.get(file["name"], math.inf), default=None)


def _title(document: Benchmark, run: Run | None, about: File | None, reference: File | None) -> str:
    ratio = _ratio(run, about, reference) if run and about and reference else None
    if run and ratio:
        subjects = run["latency"]["subjects"]
        slow = subjects[ratio["slower"]][ratio["slower_lengths"]]
        fast = subjects[ratio["faster"]][ratio["faster_lengths"]]
        if slow and fast:
            return (
                f"From {three_digits(slow['mean'])} ms to {three_digits(fast['mean'])} ms a query"
            )
    device = document["device"]
    return f"{device['manufacturer']} {device['model']}" if device else "Benchmark"


def _ratio(run: Run, about: File, reference: File) -> Ratio | None:
    """The first ratio of one file to the other."""
    pair = about["name"], reference["name"]
    return next((r for r in run["latency"]["ratios"] if (r["faster"], r["slower"]) == pair), None)


def _subtitle(document: Benchmark, run: Run | None) -> str:
    device = document["device"]
    where = f"{device['manufacturer']} {device['model']}" if device else document["machine"]["cpu"]
    told = ["Benchmark", where or "machine not recorded", _threads(run) if run else None]
    return " · ".join(filter(None, [*told, document["created"]]))


def _threads(one: Run | Profile) -> str:
    return counted(one["threads"], "thread")


def _facts(
    document: Benchmark, run: Run | None, about: File | None, compared: File | None
) -> list[Fact]:
    """How much faster and smaller, how much of the score is kept, and whether to believe it."""
    facts = []
    if run and about:
        ratio = _ratio(run, about, compared or about)
        if ratio:
            facts.append(speed_fact(run["latency"], ratio, document["machine"]))
        facts += _closest_fact(document, run, about, compared or about)
        if compared and about["bytes"] and compared["bytes"]:
            names = about["name"], compared["name"]
            facts.append(size_fact(names[0], about["bytes"], names[1], compared["bytes"]))
            scored = (names[0], about), (names[1], compared)
            source = document["queries"]["source"]
            facts.append(score_fact(document["metrics"], *scored, source))
        facts.append(_valid_fact(document, run))
    if fastest := _fastest(document["profiles"]):
        facts.append(fastest)
    if document["device"]:
        facts.append(_device_fact(document["device"]))
    return facts


def _closest_fact(document: Benchmark, run: Run, about: File, reference: File) -> list[Fact]:
    """The speedup of the file over its closest competitor; none if there is no competitor."""
    mine = about["name"]
    ratios = [
        ratio
        for ratio in run["latency"]["ratios"]
        if ratio["faster"] == mine and ratio["slower"] not in (mine, reference["name"])
    ]
    if not ratios:
        return []
    closest = min(ratios, key=lambda ratio: ratio["ratio"])
    others = len({ratio["slower"] for ratio in ratios})
    label = "faster than" if closest["ratio"] >= 1 else "the speed of"
    label += f" the closest of {others} others" if others > 1 else " the other"
    fact = speed_fact(run["latency"], closest, document["machine"])
    names = mine, closest["slower"]
    errors = {name: run["latency"]["subjects"][name]["logit_error"] for name in names}
    sentence = fact.sentence
    if all(errors.values()):
        told = [f"{name} {error_cell(error)}" for name, error in errors.items()]
        sentence += f" Largest logit error and its share of their range: {' and '.join(told)}."
    return [replace(fact, label=label, sentence=sentence)]


def _valid_fact(document: Benchmark, run: Run) -> Fact:
    asked = run["latency"]["rounds"] * run["latency"]["queries"]
    sentence = f"{asked:,} queries a file in each way, {run['seconds']:.0f} s in all."
    if document["warnings"]:
        sentence += " Read the figures with caution: see above."
    figure = "Valid" if document["valid"] else "NOT VALID"
    return Fact(figure, "by MLPerf's rule for a single stream", sentence, document["valid"])


def _fastest(profiles: Sequence[Profile]) -> Fact | None:
    """The fastest profile at the longest length that was measured."""
    measured = [(p["average_ms"], p) for p in profiles if p["average_ms"] is not None]
    if not measured:
        return Fact(DASH, "on the phone", "No profile has figures.", False) if profiles else None
    longest = max(profile["length"] for _, profile in measured)
    average, best = min(
        (one for one in measured if one[1]["length"] == longest), key=lambda one: one[0]
    )
    failed = sum(profile["failed"] is not None for profile in profiles)
    sentence = f"{best['file']}, {best['delegate']}, {_threads(best)}: the fastest."
    sentence += f" {failed} of {len(profiles)} profiles failed." if failed else ""
    return Fact(f"{three_digits(average)} ms", f"an inference of {longest} tokens", sentence)


def _device_fact(device: Device) -> Fact:
    before, after = device["before"], device["after"]
    warmth = [state["battery_celsius"] for state in (before, after)]
    figure = " → ".join(DASH if degrees is None else f"{degrees:.0f}" for degrees in warmth)
    return Fact(
        f"{figure} °C",
        "of the battery, before and after",
        f"Thermal status {thermal(before)} before, {thermal(after)} after; "
        f"{device['model']}, Android {device['android']}, {device['runtime']}.",
    )


def _sections(
    document: Benchmark, groups: Sequence[Sequence[Run]], colors: page_plots.Roles
) -> list[Section]:
    found = []
    if document["device"]:
        found.append(Section("device", "Device", [], device_tables(document["device"])))
    if document["profiles"]:
        told = "LiteRT's benchmark_model, one file, delegate, number of threads and length a line."
        table = profiles_table(document["profiles"])
        found.append(Section("profiles", "By length and delegate", [told], [table]))
    found += [_run_section(document, run, len(group) > 1) for group in groups for run in group]
    sized = "1 MB is 10⁶ bytes."
    if document["metrics"]:
        sized += f" {explained(document['metrics'])}, of each file's own predictions."
    table = files_table(document["files"], document["metrics"])
    found.append(Section("files", "Files and their parts", [sized], [table]))
    machine = {
        **document["machine"],
        "load average after": document["load_average_after"],
        "cores busy with other work": document["other_work_cores"],
    }
    found.append(Section("machine", "Machine", [], [pairs(machine, space=" ")]))
    reproduce = f"Seed {document['seed']}, with the files and versions on this page:"
    found.append(Section("reproduce", "Reproduce", [reproduce], code=document["command"]))
    for group in groups[1:]:
        more = page_plots.run_plots(document, group, colors)
        title = f"Plots with {_threads(group[0])}"
        found.append(Section(f"plots-{group[0]['threads']}", title, plots=more, folded=True))
    if operators := operators_table(document):
        found.append(Section("operators", "Operators", [], [operators], folded=True))
    checksums = checksums_table(document["files"])
    found.append(Section("checksums", "Checksums", [], [checksums], folded=True))
    versions = pairs(document["versions"])
    return [*found, Section("versions", "Versions", [], [versions], folded=True)]


def _run_section(document: Benchmark, run: Run, is_one_of_many: bool) -> Section:
    """Everything that a run measured; one of many with the same threads is told by its files."""
    latency, threads = run["latency"], _threads(run)
    marked = f" - {NOT_VALID}" if run["too_short"] else ""
    method = latency["method"].rstrip(".")
    paragraphs = [
        f"{method[:1].upper()}{method[1:]}. Questions: {latency['queries']:,}, "
        f"{latency['mean_tokens']:,.1f} tokens on average; rounds: {latency['rounds']}; "
        f"{run['seconds']:.1f} s in all. Padded means to {latency['padded_length']} tokens. "
        f"Ratios are of mean times; intervals are bootstrapped over queries. {MEANING}."
    ]
    if latency["busy"]:
        paragraphs.append(f"Caution: {latency['busy']}.")
    paragraphs.append(
        "Cold starts are medians of processes of their own. Their memory (the peak resident; in "
        "the end private and file-backed) is told above what the process held while empty, with "
        "the runtime imported and nothing opened."
    )
    scores = {file["name"]: file["scores"] for file in document["files"]}
    title = f"Milliseconds per query{marked}"
    tables = [times_table(title, latency["subjects"], document["metrics"], scores)]
    tables += ratio_tables(latency["ratios"], marked)
    if run["memory"]:
        tables.append(memory_table("Cold start and memory", run, document["files"]))
    if run["overhead"]:
        tables.append(overhead_table(f"Overhead around the model{marked}", run))
    title = f"With {threads}"
    title += f": {', '.join(latency['subjects'])}" if is_one_of_many else ""
    anchor = f"run-{document['runs'].index(run)}"
    return Section(anchor, title + marked, paragraphs, tables)


def _readable(document: Benchmark) -> str:
    """The document without its thousands of numbers."""

    def short(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: short(item) for key, item in value.items()}
        if not isinstance(value, list):
            return value
        if len(value) > SHOWN_NUMBERS and all(isinstance(item, (int, float)) for item in value):
            return f"{len(value):,} numbers"
        return [short(item) for item in value]

    return json_text(short(document))


@terminal.command
def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code: 0 written, 2 the user's mistake."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.page",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "document", type=Path, metavar="FILE.json", help="Render this benchmark as a page."
    )
    parser.add_argument(
        "--out", type=Path, help="Write the page to this file (default: FILE.html beside it)."
    )
    given = parser.parse_args(arguments)
    out = given.out or _beside(given.document)
    try:
        text = html(read_json(given.document))
        out.parent.mkdir(parents=True, exist_ok=True)
        whole_file.write(out, text)
    except ValueError as error:
        raise ExpectedError(f"{given.document}: {error}") from error
    except OSError as error:
        raise ExpectedError(f"cannot write {out}: {error.strerror}") from error
    terminal.say(f"wrote {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
