# SPDX-License-Identifier: Apache-2.0
"""Pages and help use the words of the field, and the help of every flag is a sentence."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable

import pytest
from repository import ROOT

from benchmarks import android, compare, run, stream, training
from benchmarks.page import page as benchmark_page
from benchmarks.paper import table3
from converters.compat import matrix
from pipeline import ablation, glue
from pipeline.report import render

PAGES = (
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md"),
    *("docs/usage.md", "docs/training.md", "docs/android.md", "docs/architecture.md"),
    *("docs/ios.md", "docs/results.md"),
)

# Words that only somebody who wrote this project would take for what is meant.
HOME_MADE = ("told", "held against", "rivals", "speaker", "take apart", "restate", "typed")

# British spellings; identifiers such as `distil` are in code.
BRITISH = ("licence", "modelling", "labelled", "behaviour", "colour", "neighbour", "optimise")

COMMANDS: dict[str, Callable[[list[str]], object]] = {
    "benchmarks.android": android.main,
    "benchmarks.compare": compare.main,
    "benchmarks.page": benchmark_page.main,
    "benchmarks.paper": table3.main,
    "benchmarks.run": run.main,
    "benchmarks.stream": stream.main,
    "benchmarks.training": training.main,
    "converters.compat": matrix.main,
    "pipeline.ablation": ablation.main,
    "pipeline.glue": glue.main,
    "pipeline.report.render": render.main,
}


def unusual(text: str) -> list[str]:
    """The words of the lists above that a text contains outside of code."""
    prose = re.sub(r"^```.*?^```$|`[^`\n]+`", "", text, flags=re.DOTALL | re.MULTILINE)
    words = "|".join((*HOME_MADE, *BRITISH))
    return re.findall(rf"\b(?:{words})\b", prose, re.IGNORECASE)


@pytest.mark.parametrize("page", PAGES)
def test_pages_use_the_words_of_the_field(page: str) -> None:
    assert unusual((ROOT / page).read_text("utf-8")) == []


def test_unusual_words_are_found_outside_of_code() -> None:
    assert unusual("It is told\n`told`\n```\ntyped\n```\nRivals.") == ["told", "Rivals"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_flag_is_a_sentence(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parsers: list[argparse.ArgumentParser] = []
    printed = argparse.ArgumentParser.print_help

    def print_help(parser: argparse.ArgumentParser, file: object = None) -> None:
        parsers.append(parser)
        printed(parser)

    monkeypatch.setattr(argparse.ArgumentParser, "print_help", print_help)
    with pytest.raises(SystemExit) as ended:
        COMMANDS[command](["--help"])
    assert ended.value.code == 0
    assert unusual(capsys.readouterr().out) == []
    (parser,) = parsers
    flags = [action for action in parser._actions if action.dest != "help"]
    assert flags
    wrong = [
        action.dest
        for action in flags
        if not re.fullmatch(r"[A-Z].*\.", action.help or "", re.DOTALL)
    ]
    assert wrong == []
