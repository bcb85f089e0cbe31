# SPDX-License-Identifier: Apache-2.0
"""The everyday flags: short forms mean what their long ones do, and help says what flags do."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import docstring_parser
import pytest
from repository import ROOT

from pipeline import config, settings, usage
from pipeline.errors import UserError

# Words that only somebody who wrote this project would take for what is meant.
HOME_MADE = ("told", "held against", "rivals", "speaker", "take apart", "restate", "typed")


def parse(*arguments: str) -> config.Build:
    return settings.parse(arguments, "what it does")


@pytest.mark.parametrize(
    ("short", "long"),
    [
        (["--teacher", "acme/bert"], ["--teacher.model", "acme/bert"]),
        (["--teacher=acme/bert"], ["--teacher.model", "acme/bert"]),
        (["--no-benchmark"], ["--benchmark.no-enabled"]),
        (["--no-distil", "--no-second-step"], ["--distil.no-enabled", "--finetune.no-second-step"]),
    ],
)
def test_short_forms(short: list[str], long: list[str]) -> None:
    assert parse(*short) == parse(*long) != parse()


@pytest.mark.parametrize(
    ("names", "stages"),
    [
        (["distil"], ["distilled"]),
        (["finetune", "verify"], ["teacher-outputs", "student", "verify"]),
        (["mlm-head"], ["mlm-teacher"]),
        (["mlm_head"], ["mlm-teacher"]),
        (["teacher", "tflite"], ["teacher", "tflite"]),
        (["gates", "benchmark"], ["verify", "benchmark"]),
    ],
)
def test_force_takes_the_names_of_settings(names: list[str], stages: list[str]) -> None:
    assert parse("--force", *names, "--seed", "3").force == tuple(stages)


def test_an_unknown_stage_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UserError, match=r"--force distill: no such stage.*distil.*verify"):
        parse("--force", "distill")


def test_values_are_left_alone() -> None:
    """A text that looks like a short form or a setting is taken as it is."""
    assert parse("--author", "distil").export.author == "distil"
    assert usage.expand(["--out", "x", "distil"]) == ["--out", "x", "distil"]


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_fits_on_a_screen_and_names_flags_that_there_are(
    flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse("--preset", "no-such-preset", flag)
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 45 and max(map(len, lines)) <= 100
    with pytest.raises(SystemExit):
        parse("--help-all")
    every = capsys.readouterr().out
    named = re.findall(r"^  (--[\w-]+)", "\n".join(lines), re.MULTILINE)
    assert len(named) >= 12
    for name in named:
        known = usage.SHORT.get(name, name)
        assert known in every or known in ("--help-all", "--version"), name
    for preset in settings.presets():
        assert preset in "\n".join(lines)


def test_help_loads_no_model_library() -> None:
    """It is there at once."""
    script = (
        "import sys; from pipeline.build import main\n"
        "try: main(['--help'])\n"
        "finally: assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0 and "usage:" in ended.stdout, ended.stderr


def help_texts(kind: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """The help of every flag, by its dotted name."""
    texts = {p.arg_name: p.description for p in docstring_parser.parse_from_object(kind).params}
    for field in dataclasses.fields(kind):
        name = f"{place}{field.name}"
        inner = getattr(config, field.name.title().replace("_", ""), None)
        if dataclasses.is_dataclass(inner):
            yield from help_texts(inner, f"{name}.")
        elif field.name != "gates":
            yield name, texts[field.name] or ""


@pytest.mark.parametrize(("name", "text"), help_texts(config.Build))
def test_help_is_in_whole_sentences(name: str, text: str) -> None:
    """It says what happens when the flag is given."""
    text = " ".join(text.split())
    assert re.match(r"[A-Z][a-z]+", text), text
    assert text.endswith(".") and len(text.split()) >= 4, text
    assert not any(re.search(rf"\b{word}\b", text) for word in HOME_MADE), text
