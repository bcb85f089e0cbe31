# SPDX-License-Identifier: Apache-2.0
"""Writes the recorded runs of `pipeline.glue` and `pipeline.ablation` as Markdown."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.page.layout import Page
from pipeline import ablation, ablation_page, experiment
from pipeline.experiment import Record, Run
from pipeline.glue import NAMES
from pipeline.glue_page import page as glue_page
from results.tables import Results, machine


def glue(results: Results) -> str:
    """The paper's tables 1 and 2 with the measured rows below the paper's."""
    return _of_each_class("The paper's tables 1 and 2", results["experiments"].get("glue"), _glue)


def ablations(results: Results) -> str:
    """What each loss of the paper adds, and each part of the default build."""
    titles = {
        "ablation": ("The paper's ablation", "losses"),
        "ablation-default": ("What each part brings", "default"),
        "ablation-size": ("Smaller students", "size"),
    }
    found = (
        _of_each_class(title, results["experiments"].get(name), partial(_ablation, kind))
        for name, (title, kind) in titles.items()
    )
    return "\n".join(filter(None, found))


def _glue(record: Record) -> Page:
    return glue_page(record, NAMES)


def _ablation(kind: str, record: Record) -> Page:
    runs = [
        Run(e["data"], e["row"], e["seed"], tuple(e["arguments"]), "", e["files"])
        for e in record.runs
    ]
    return ablation_page.page(ablation.KINDS[kind], runs, record)


def _of_each_class(title: str, by_class: Results | None, page: Callable[[Record], Page]) -> str:
    """The lines of an experiment on each class of processor, which its heading names."""
    return "\n".join(
        _lines(f"{title}, on {processor}", page(_record(entry)), entry)
        for processor, entry in (by_class or {}).items()
    )


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
