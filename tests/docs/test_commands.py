# SPDX-License-Identifier: Apache-2.0
"""Every command, flag, make target, file and link that a page names exists."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from repository import ROOT

from pipeline import settings, tasks, usage

PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", *sorted(
    path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")
))  # fmt: skip
BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)
OURS = ("pipeline", "converters", "benchmarks", "tests")

# Flags of other programs that pages name.
FOREIGN = {
    *("--nproc-per-node", "--nnodes", "--rdzv-backend", "--rdzv-endpoint", "--rdzv-id"),  # torchrun
    *("--config_file", "--logdir", "--strict"),  # accelerate, tensorboard, mypy
}


def _text(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def _code(page: str) -> list[str]:
    """The commands of a page: lines of code blocks, joined where they go on, and code in prose."""
    text = _text(page)
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [
        *lines,
        *re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)),
    ]


def _settings(build: Any, prefix: str = "") -> Iterator[str]:
    """The flags of a build, from its settings; those of examples, files and words are short."""
    for field in dataclasses.fields(build):
        value, name = getattr(build, field.name), field.name.replace("_", "-")
        if dataclasses.is_dataclass(value):
            yield from _settings(
                value, prefix if name in ("export", "data", "words") else f"{prefix}{name}."
            )
        else:
            yield f"--{prefix}{name}"
            if isinstance(value, bool):
                yield f"--{prefix}no-{name}"


@pytest.fixture(scope="module")
def flags() -> set[str]:
    """The flags of all commands: those of a build by their settings, the others by the source."""
    found = {*usage.SHORT, *FOREIGN, "--help", "--help-all"}
    for task in tasks.TASKS:
        found |= {*_settings(settings.load(task=task))}
    sources = [path for name in (*OURS[:3], "docs", "tests/fuzz") for path in _sources(name)]
    for text in (path.read_text("utf-8") for path in sources):
        found |= {*re.findall(r'"(--[a-z][\w-]*)"', text)}
        pairs = re.findall(r'"--([a-z][\w-]*)",\s*action=argparse.BooleanOptionalAction', text)
        found |= {f"--no-{name}" for name in pairs}
        if "command_line.call(" in text:  # the parameters of a function are its flags
            names = re.findall(
                r"^    (\w+): (?:Annotated\[)?(?:str|int|bool)\b", text, re.MULTILINE
            )
            names += re.findall(r'\bname="(\w+)"', text)
            found |= {f"--{sign}{n.replace('_', '-')}" for n in names for sign in ("", "no-")}
    return found


def _sources(name: str) -> list[Path]:
    return sorted((ROOT / name).rglob("*.py"))


@pytest.mark.parametrize("page", PAGES)
def test_every_flag_exists(page: str, flags: set[str]) -> None:
    named = {
        flag for line in _code(page) for flag in re.findall(r"(?<![\w!<-])--[a-z][\w.-]*", line)
    }
    assert named - flags == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_command_exists(page: str) -> None:
    lines = _code(page)
    modules = {name for line in lines for name in re.findall(r"-m ([\w.]+)", line)}
    ours = {name for name in modules if name.split(".")[0] in OURS}
    places = [ROOT / name.replace(".", "/") for name in ours]
    assert [
        place
        for place in places
        if not place.with_suffix(".py").is_file() and not (place / "__main__.py").is_file()
    ] == []
    presets = {name for line in lines for name in re.findall(r"--preset ([\w-]+)", line)}
    assert presets - {*settings.presets(), "NAME"} == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_exists(page: str) -> None:
    targets = {*re.findall(r"^([\w./-]+):", _text("Makefile"), re.MULTILINE)}
    named = {name for line in _code(page) for name in re.findall(r"^make ([\w./-]+)", line)}
    assert named - targets == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    lost = []
    for name, anchor in re.findall(r"\]\(([^()#\s]*)(?:#([^()\s]+))?\)", _text(page)):
        if "://" in name:
            continue
        place = (ROOT / page).parent / name if name else ROOT / page
        headings = re.findall(r"^#+ (.*)$", place.read_text("utf-8"), re.M) if anchor else ()
        slugs = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}
        if not place.exists() or (anchor and anchor not in slugs):
            lost.append(f"{name}#{anchor}")
    assert lost == []


def test_every_preset_is_described() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \|", _text("docs/usage.md"), re.MULTILINE)
    assert {*settings.presets()} - {*rows} == set()
