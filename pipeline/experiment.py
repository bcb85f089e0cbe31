# SPDX-License-Identifier: Apache-2.0
"""Many builds whose scores stand side by side: each run is recorded as it ends.

An experiment that is interrupted goes on where it was: what is recorded is not run again, and the
build that was cut off keeps its finished stages.
"""

from __future__ import annotations

import json
import math
import shlex
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measure.latency_schema import NATURAL, Latency
from benchmarks.page import markdown, text_table
from benchmarks.page.layout import DASH, Page, Section, render
from converters import sealed, terminal, whole_file
from converters.terminal import word
from pipeline import calibration, place, ranks, settings
from pipeline.artifacts import Store
from pipeline.build import build, learn, verify
from pipeline.config import Build
from pipeline.errors import GateFailure, UserError
from pipeline.lock import locked
from pipeline.start import start

if TYPE_CHECKING:
    from rich.console import Console

Job = Callable[["Console"], dict[str, Any]]
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Run:
    """One build.

    Attributes:
        data: name of the data, for tables.
        row: what is compared, for tables.
        seed: of the build.
        arguments: of `pipeline.build`, but seed and folder.
        folder: below that of the experiment; runs that share one share what they have in common,
            such as the teacher.
        files: also makes the files that the arguments ask for, and scores those.
    """

    data: str
    row: str
    seed: int
    arguments: tuple[str, ...]
    folder: str
    files: bool = False

    @property
    def key(self) -> dict[str, Any]:
        """What a recorded run must agree in to stand for this one."""
        return {
            "data": self.data,
            "row": self.row,
            "seed": self.seed,
            "arguments": [*self.arguments],
            "files": self.files,
        }


@dataclass
class Record:
    """The runs that have ended, kept in a JSON file.

    Attributes:
        path: of the file, which is replaced whole after each run.
        command: that the experiment was called with.
    """

    path: Path
    command: str
    runs: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path, command: str) -> Record:
        """The record in a file, or an empty one where there is none.

        Raises:
            UserError: the file is something else.
        """
        try:
            document = sealed.read_json(path)
            if document["schema_version"] != SCHEMA_VERSION:
                raise ValueError("another version")
            return cls(path, command, [_checked(dict(entry)) for entry in document["runs"]])
        except FileNotFoundError:
            return cls(path, command)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(
                f"{path} is not the record of an experiment of this version: move it away, "
                "or choose another folder with --out"
            ) from error

    def find(self, run: Run) -> dict[str, Any] | None:
        """The entry of a run that ended before."""
        wanted = run.key
        return next(
            (e for e in self.runs if {name: e.get(name) for name in wanted} == wanted), None
        )

    def add(self, run: Run, found: Mapping[str, Any]) -> None:
        """Keeps what a run gave; nothing of it is lost from here on."""
        self.runs.append({**run.key, **found})
        document = {
            "schema_version": SCHEMA_VERSION,
            "command": self.command,
            "runs": self.runs,
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole_file.write(self.path, json.dumps(document, indent=1) + "\n")


def _checked(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of a record that has what pages show; else any of the errors of `Record.load`."""
    names = [metric["name"] for metric in entry["metrics"]]
    texts = [entry["data"], entry["row"], *names, *entry["scores"]]
    if not names or not all(isinstance(text, str) for text in texts):
        raise ValueError("no names")
    if type(entry["seed"]) is not int:
        raise ValueError("no seed")
    for scores in entry["scores"].values():
        if scores is not None and not all(math.isfinite(value) for value in scores.values()):
            raise ValueError("a score that is no number")
    return entry


def perform(
    jobs: Sequence[tuple[Run, Job]], record: Record, console: Console, dry_run: bool = False
) -> None:
    """Does what is not recorded yet, in order.

    Args:
        jobs: each run with what does it, and gives its entry of the record.
        record: is added to.
        console: where progress is shown.
        dry_run: only says what would be done.

    Raises:
        UserError: for a mistake the user can mend; what ended before it is recorded.
    """
    say = terminal.speaker(console)
    for number, (run, job) in enumerate(jobs, 1):
        title = f"[{number}/{len(jobs)}] {run.data}, {run.row}, seed {run.seed}"
        if record.find(run):
            say(f"{title}: recorded")
            continue
        if dry_run:
            where = word(record.path.parent / run.folder)
            say(f"{title}: to run in {where}")
            continue
        say(title)
        began = time.monotonic()
        found = job(console)
        if ranks.FIRST:
            record.add(run, {**found, "seconds": round(time.monotonic() - began, 1)})


def building(run: Run, root: Path) -> tuple[Run, Job]:
    """A run with the build that it is; its settings are checked now, its data when it begins.

    Raises:
        UserError: for settings that no build takes.
    """
    config = settings.parse(_arguments(run, root), "")
    place.check(config)
    if config.dry_run:
        raise UserError("--dry-run after `--` gives no scores to record: give it before `--`")

    def job(console: Console) -> dict[str, Any]:
        with locked(config.folder):
            return (_built if run.files else _scored)(run, config, console)

    return run, job


def _arguments(run: Run, root: Path) -> list[str]:
    return [*run.arguments, "--seed", str(run.seed), "--out", str(root / run.folder)]


def _scored(run: Run, config: Build, console: Console) -> dict[str, Any]:
    """Scores of teacher and student, without any files."""
    store = Store(config.folder, frozenset(config.force), say=terminal.speaker(console))
    began = start(config, terminal.speaker(console))
    learned = learn(store, began)
    began.kept.clear()
    began, _ = calibration.stage(store, began, learned.student)
    scored = verify(store, began, learned)
    found = json.loads((scored.folder / "verify.json").read_text(encoding="utf-8"))
    return _summary(found)


def _built(run: Run, config: Build, console: Console) -> dict[str, Any]:
    """Scores of teacher, student and files; a file that fails its gate is told as such."""
    command = shlex.join(["python", "-m", "pipeline.build", *_arguments(run, Path())])
    try:
        build(config, command, console)
    except GateFailure as failure:
        terminal.speaker(console)(str(failure))
    report = json.loads((config.folder / "report.json").read_text(encoding="utf-8"))
    failed = [file["name"] for file in report["files"] if not file["gate"]["passed"]]
    return _summary(report) | {
        "failed_gates": failed,
        "bytes": {file["name"]: file["bytes"] for file in report["files"]},
        "times_faster": _times_faster(report["latency"]),
    }


def _times_faster(latency: Latency | None) -> dict[str, float]:
    """How many times as fast as the teacher's file each file is, both at natural lengths."""
    ratios = latency["ratios"] if latency else []
    return {
        each["faster"]: each["ratio"]
        for each in ratios
        if each["faster_lengths"] == each["slower_lengths"] == NATURAL
    }


def _summary(found: Mapping[str, Any]) -> dict[str, Any]:
    """What is recorded of `verify.json` or a report."""
    entries = (*found["models"], *found["files"])
    return {
        "metrics": found["metrics"],
        "scores": {entry["name"]: entry["scores"] for entry in entries},
    }


def parted(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The flags of an experiment's own command, and those after `--`, which go to every build."""
    place = arguments.index("--") if "--" in arguments else len(arguments)
    return [*arguments[:place]], [*arguments[place + 1 :]]


def folder_name(*parts: object) -> str:
    """A plain name of a folder that says what is in it."""
    text = "-".join(str(part) for part in parts).casefold()
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in text)


def median(values: Iterable[float]) -> float | None:
    """The median over the seeds; None of none."""
    found = list(values)
    return statistics.median(found) if found else None


def mean(values: Iterable[float | None]) -> float | None:
    """The mean, as of a macro score; None where one is missing, or all are."""
    found = list(values)
    known = [value for value in found if value is not None]
    return statistics.fmean(known) if known and len(known) == len(found) else None


def shown(value: float | None, *, sign: bool = False) -> str:
    """A score in percent, or a change of one in points."""
    return DASH if value is None else f"{value:{'+' if sign else ''}.1f}"


def sections(page: Page, heading: str) -> list[str]:
    """The sections of a page as lines of Markdown, each under its title behind `heading`."""
    lines = []
    for section in page.sections:
        lines += [f"{heading} {section.title}", ""]
        for table in section.tables:
            lines += [markdown.table(table), ""]
        for paragraph in section.paragraphs:
            lines += [markdown.escape(paragraph), ""]
    return lines


def publish(page: Page, record: Record, console: Console) -> None:
    """Writes the page beside the record, as Markdown and HTML, and prints its tables."""
    say = terminal.speaker(console)
    for section in page.sections:
        for table in section.tables:
            header = [column.name for column in table.columns]
            say(f"{section.title}\n")
            say(text_table.table(header, table.rows) + "\n")
        for paragraph in section.paragraphs:
            say(paragraph + "\n")
    lines = [f"# {page.title}", "", page.subtitle, "", *sections(page, "##")]
    lines += ["## Command", "", f"    {markdown.indented(record.command)}", ""]
    command = Section("command", "Command", code=record.command)
    whole = replace(page, sections=[*page.sections, command])
    for suffix, text in ((".md", "\n".join(lines)), (".html", render(whole))):
        path = whole_file.write(record.path.with_suffix(suffix), text)
        say(f"report  {word(path)}")
