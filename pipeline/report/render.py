# SPDX-License-Identifier: Apache-2.0
"""Writes the report of a build as report.json, report.md and report.html; it measures nothing.

`python -m pipeline.report.render REPORT.json [--out FOLDER]` renders a report again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as ConsoleTable
from rich.text import Text

from benchmarks.measure.files import json_text
from benchmarks.measure.session import NOT_VALID
from benchmarks.page import markdown
from benchmarks.page.layout import (
    FAILED,
    PASSED,
    Fact,
    Page,
    Section,
    render,
    three_digits,
)
from benchmarks.page.tables import mark
from converters import sealed, terminal, whole_file
from pipeline.report.headline import headline, headline_file
from pipeline.report.plots import plots
from pipeline.report.schema import Report, read, validate
from pipeline.report.tables import overview, sections

__all__ = ["REPORTS", "print_table", "validate", "write_reports"]

REPORTS = ("report.json", "report.md", "report.html")


def write_reports(report: dict[str, Any], folder: Path) -> None:
    """Write report.json, report.md and report.html into `folder`, which is made if need be.

    Args:
        report: as `pipeline.report.schema.Report` describes it.
        folder: existing reports in it are replaced, each whole.

    Raises:
        ValueError: the report is not valid; nothing is written then.
    """
    validate(report)
    valid: Report = report  # type: ignore[assignment]  # validate has just checked it
    texts = (json_text(valid), _markdown(valid), _html(valid))
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in zip(REPORTS, texts, strict=True):
        whole_file.write(folder / name, text)


def print_table(report: dict[str, Any], console: Console) -> None:
    """Print the headline and one line for each model and file.

    Raises:
        ValueError: the report is not valid.
    """
    validate(report)
    valid: Report = report  # type: ignore[assignment]  # validate has just checked it
    table = ConsoleTable(box=None, pad_edge=False, header_style="bold")
    shown = overview(valid)
    marked = mark(valid["latency"]) if valid["latency"] else ""
    for column in shown.columns:
        justify: Any = "right" if column.kind == "number" else "left"
        # Names and verdicts whole: two names that end alike would read the same.
        whole = column.kind == "text"
        name = column.name
        if marked and name.endswith(marked):  # in full, it would leave no room for the figures
            name = f"{name.removesuffix(marked)} *"
        table.add_column(name, justify=justify, no_wrap=whole, overflow="fold")
    styles = {PASSED: "green", FAILED: "bold red"}
    for row in shown.rows:
        # Text, not str: a name may hold what rich would read as markup.
        cells = (Text(terminal.shown(cell), style=styles.get(cell, "")) for cell in row)
        table.add_row(*cells)
    console.print(table)
    if marked:
        console.print(f"* {NOT_VALID}: see the report for the reason.")
    console.print()
    for fact in headline(valid):
        line = Text(f"{fact.figure} {fact.label}. ", style="bold")
        # Broken between words: a log with lines of 300 characters is hard to read.
        line.append(terminal.shown(fact.sentence), style="not bold")
        console.print(line, soft_wrap=False)


def _markdown(report: Report) -> str:
    blocks = [f"# {_title(report)}", markdown.escape(_subtitle(report)) + "."]
    blocks.append("\n".join(_markdown_fact(fact) for fact in headline(report)))
    for section in sections(report):
        blocks += [f"## {section.title}", *map(markdown.escape, section.paragraphs)]
        for table in section.tables:
            blocks += [f"### {table.title}"] if table.title else []
            blocks.append(markdown.table(table))
    # Indented rather than fenced: no command can end it.
    command = report["command"].replace("\n", "\n    ")
    blocks += ["## Reproduce", f"Seed {report['seed']}, with the data and versions above:"]
    return "\n\n".join([*blocks, f"    {command}"]) + "\n"


def _markdown_fact(fact: Fact) -> str:
    return f"- **{fact.figure} {fact.label}.** {markdown.escape(fact.sentence)}"


def _html(report: Report) -> str:
    latency = report["latency"]
    reproduce = f"Seed {report['seed']}, with the data and versions on this page:"
    below = [Section("reproduce", "Reproduce", [reproduce], code=report["command"])]
    if latency:
        samples = json.dumps(latency["samples_ms"], ensure_ascii=False)
        title = "Raw samples, milliseconds"
        below.append(Section("samples", title, code=samples, folded=True))
    return render(
        Page(
            kind="build report",
            title=_title(report),
            subtitle=_subtitle(report),
            facts=headline(report),
            plots=plots(report),
            sections=[*sections(report), *below],
        )
    )


def _title(report: Report) -> str:
    file = headline_file(report)
    sizes = [model["bytes"] for model in report["models"] if model["name"] == "teacher"]
    if file is None or not sizes:
        return "Build report"
    return f"From {three_digits(sizes[0] / 1e6)} MB to {three_digits(file['bytes'] / 1e6)} MB"


def _subtitle(report: Report) -> str:
    return (
        f"Build report · preset {report['preset']} · {report['created']} · "
        f"version {report['tool_version']}"
    )


@terminal.command
def main(arguments: Sequence[str] | None = None) -> None:
    """Renders a report.json again, also one of an older schema."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.report.render", description=main.__doc__
    )
    parser.add_argument("report", type=Path, metavar="REPORT", help="Render this report.json.")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="Write to this folder (default: the folder of REPORT).",
    )
    given = parser.parse_args(arguments)
    folder = given.out or given.report.parent
    try:
        report = read(sealed.read_json(given.report))
        write_reports(dict(report), folder)
    except (OSError, ValueError) as error:
        parser.error(f"{given.report}: {error}")
    terminal.say(f"wrote report.json, report.md and report.html to {folder}")


if __name__ == "__main__":
    main()
