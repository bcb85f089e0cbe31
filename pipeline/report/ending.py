# SPDX-License-Identifier: Apache-2.0
"""What a build ends with: report, card and hub folder, the table, and where everything lies."""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converters import terminal
from converters.terminal import word
from pipeline import __version__, made, settings, tasks
from pipeline.errors import GateFailure
from pipeline.report import environment

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.artifacts import Artifact
    from pipeline.start import Start


def assembled(
    began: Start,
    command: str,
    corpus: dict[str, Any] | None,
    stages: list[dict[str, Any]],
    verified: Artifact,
    timed: Artifact | None,
) -> dict[str, Any]:
    """The report of a build, as `pipeline.report.schema.Report` describes it.

    Args:
        began: what the build started from.
        command: how it was called.
        corpus: name, digest and samples of the text; None without general distillation.
        stages: with their names, seconds, facts and losses.
        verified: the stage that scored models and files.
        timed: the stage that timed the files; None where nothing was timed.
    """
    from pipeline.report.schema import VERSION

    config = began.config
    return {
        "schema_version": VERSION,
        "created": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "command": command,
        "task": began.task.name,
        "preset": config.preset,
        "seed": config.seed,
        "tool_version": __version__,
        "config": settings.as_document(config),
        "data": {
            "train": began.train.facts() if began.train else None,
            "eval": began.evaluation.facts(),
            "corpus": corpus,
        },
        "stages": stages,
        **_read(verified.folder / "verify.json"),
        "latency": _read(timed.folder / "latency.json") if timed else None,
        **environment.of_times(timed.folder if timed else None),
    }


def of_training(found: Mapping[str, Any]) -> dict[str, Any]:
    """What a report can hold of `Store.losses`: no manifest has the checksums of those files."""
    from pydantic import TypeAdapter, ValidationError

    from benchmarks.measure.checked import STRICT
    from pipeline.report.schema import Evaluation, Losses

    kinds: dict[str, Any] = {"losses": list[Losses], "evaluations": list[Evaluation]}
    kept = {}
    for key, value in found.items():
        with contextlib.suppress(ValidationError):
            kept[key] = TypeAdapter(kinds[key], config=STRICT).validate_python(value)
    return kept


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def finish(report: dict[str, Any], out: Path, console: Console) -> None:
    """Writes report, card and hub folder, prints the table and where things are.

    All are written by every build, so that none that was edited or damaged outlives one.

    Raises:
        GateFailure: a file failed its gate; everything is written first.
    """
    from pipeline.report.hub_folder import HUB, write_hub_folder
    from pipeline.report.render import REPORTS, print_table, write_reports

    made.claim(out, *REPORTS)
    write_reports(report, out)
    write_hub_folder(report, out)
    print_table(report, console)
    first, hub = word(out / report["files"][0]["path"]), word(out / HUB)
    lines = [
        f"file    {first}  (vocabulary, model.json, golden.json beside it)",
        f"report  {word(out / 'report.html')}",
        f"next    {tasks.find(report['task']).command.format(file=first)}",
    ]
    if (out / HUB).is_dir():
        lines.insert(2, f"hub     {hub}  (push it: hf upload USER/NAME {hub})")
    for line in lines:
        terminal.speaker(console)(line)
    failed = [
        f"{file['name']}: {check['name']} {check['value']} past its limit {check['limit']}"
        for file in report["files"]
        for check in file["gate"]["checks"]
        if not check["passed"]
    ]
    if failed:
        raise GateFailure("; ".join(failed))
