# SPDX-License-Identifier: Apache-2.0
"""Writes the recorded runs of `pipeline.glue` and `pipeline.ablation` as Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.page.layout import Page
from pipeline import ablation, experiment
from pipeline.experiment import Record, Run
from pipeline.glue import NAMES
from pipeline.glue_page import page as glue_page
from results.tables import Results, machine


def glue(results: Results) -> str:
    """The paper's tables 1 and 2 with the measured rows below the paper's."""
    if "glue" not in results["experiments"]:
        return ""
    record = _record(results["experiments"]["glue"])
    page = glue_page(record, NAMES, len({run["seed"] for run in record.runs}))
    return _lines("The paper's tables 1 and 2", page, results["experiments"]["glue"])


def ablations(results: Results) -> str:
    """What each loss of the paper adds, and each part of the default build."""
    titles = {"ablation": "The paper's ablation", "ablation-default": "What each part brings"}
    return "\n".join(
        _ablation(title, name, results)
        for name, title in titles.items()
        if name in results["experiments"]
    )


def _ablation(title: str, name: str, results: Results) -> str:
    kind = ablation.KINDS["default" if name == "ablation-default" else "losses"]
    record = _record(results["experiments"][name])
    runs = [
        Run(e["data"], e["row"], e["seed"], tuple(e["arguments"]), "", e["files"])
        for e in record.runs
    ]
    return _lines(title, ablation.page(kind, runs, record), results["experiments"][name])


def _record(entry: Results) -> Record:
    """What was recorded, as the pages of the commands take it; nothing is read or written."""
    return Record(Path(), "", list(entry["runs"]))


def _lines(title: str, page: Page, entry: Any) -> str:
    commands = ["```", *entry["commands"], "```"]
    lines = [
        f"## {title}",
        "",
        f"{page.subtitle} These commands recorded the runs on {entry['created'][:10]}:",
        "",
        *commands,
        "",
        *experiment.sections(page, "###"),
        *machine(entry),
    ]
    return "\n".join(lines).rstrip() + "\n"
