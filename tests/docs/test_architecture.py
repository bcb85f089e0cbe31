# SPDX-License-Identifier: Apache-2.0
"""The pictures of the rooms in docs/architecture.md show the imports that there are."""

from __future__ import annotations

import re
from pathlib import Path

import grimp
import pytest
from repository import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PACKAGES = ("pipeline", "converters", "benchmarks")
TASKS = "pipeline.tasks"

Arrows = set[tuple[str, str]]


def room(module: str, *, inside: str | None = None) -> str:
    """The room of a module; the modules of benchmarks itself are its commands."""
    parts = module.split(".")
    depth = 3 if module.startswith(f"{TASKS}.") else 2
    name = ".".join(parts[:depth])
    if parts[0] == "pipeline" and inside != "pipeline":
        return "pipeline"
    if depth == 3 and not (ROOT / name.replace(".", "/")).is_dir():
        name = TASKS  # what all tasks have in common
    if not (ROOT / name.replace(".", "/")).is_dir():
        return "commands" if parts[0] == "benchmarks" else parts[0]
    return name


@pytest.fixture(scope="module")
def imports() -> Arrows:
    graph = grimp.build_graph(*PACKAGES)
    return {
        (module, imported)
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
    }


def drawn(picture: int) -> Arrows:
    """The arrows of one of the page's pictures."""
    text = re.findall(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)[picture]
    lines = [line.strip() for line in text.splitlines()[1:]]
    arrows = [re.fullmatch(r"([\w.]+)(?:\[[^\]]*\])? --> ([\w.]+)", line) for line in lines]
    assert all(arrows), lines
    return {(found[1], found[2]) for found in arrows if found}


def reachable(arrows: Arrows) -> Arrows:
    """Every pair of rooms with a way along arrows from the first to the second."""
    ways = set(arrows)
    while True:
        further = {(a, d) for a, b in ways for c, d in arrows if b == c} - ways
        if not further:
            return ways
        ways |= further


@pytest.mark.parametrize(("picture", "inside"), [(0, None), (1, "pipeline")])
def test_pictures_show_the_imports(picture: int, inside: str | None, imports: Arrows) -> None:
    """Every import goes along arrows, and without any one arrow some import would not."""
    real = {(room(a, inside=inside), room(b, inside=inside)) for a, b in imports}
    if inside:  # the modules of the package itself stand above and below its rooms
        real = {way for way in real if all(name.startswith(f"{inside}.") for name in way)}
    real = {(a, b) for a, b in real if a != b}
    arrows = drawn(picture)
    assert real <= reachable(arrows), sorted(real - reachable(arrows))
    assert arrows <= real, sorted(arrows - real)
    ways = reachable(arrows)
    assert not {(a, a) for a, b in ways if a == b}, "a cycle"
    spare = {arrow for arrow in arrows if arrow in reachable(arrows - {arrow})}
    assert not spare, "drawn though other arrows say it"


def test_every_room_is_described() -> None:
    rooms = {
        path.parent.relative_to(ROOT)
        for package in PACKAGES
        for path in (ROOT / package).rglob("__init__.py")
        if any(other.name != "__init__.py" for other in path.parent.glob("*.py"))
    }
    described = {Path(name.rstrip("/")) for name in re.findall(r"`([\w/]+/)`", PAGE)}
    assert rooms <= described, sorted(map(str, rooms - described))


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_every_path_that_a_page_names_is_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(rf"`((?:{'|'.join(PACKAGES)}|tests|docs|android_demo)/[\w./-]*)`", text)
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).exists()] == []
