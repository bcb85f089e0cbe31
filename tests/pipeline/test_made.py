# SPDX-License-Identifier: Apache-2.0
"""What the user keeps in a build folder and around it outlives every build, byte for byte.

Builds of small fake stages, with all that writes and removes being the real code: stages, scratch
folders, reports, hub folder, folder of an app.  They are forced, changed, refused, killed before
any call that changes a folder, and started again, while the user puts files anywhere.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_fixtures import of_preset

from converters import whole_file
from pipeline import made, place, settings
from pipeline.artifacts import INNER, Artifact, Store
from pipeline.config import Build
from pipeline.errors import UserError
from pipeline.files import android_assets
from pipeline.lock import locked
from pipeline.report import hub_folder
from pipeline.report.render import REPORTS

CHANGING = ("mkdir", "rename", "replace", "unlink", "rmdir", "link", "chmod", "symlink", "open")
STAGES = ("teacher", "distilled", "student", "tflite", "verify")
CALLS = 250  # about what a whole build makes of those above
APART = ("teacher", "student", "tflite")
IN_THE_WAY = (
    *("out", "out/teacher", "out/student", "out/student/deep", "out/tflite", "out/hub"),
    *("out/hub/tflite", "out/stages/verify", "out/stages/distilled/deep", "out/.student.partial"),
    *("out/.teacher.old", "out/.hub.old", "out/.hub.partial", "out/stages/.verify.partial"),
    *("app/model", "app/model/deep", "app/.model.old", "app/.model.partial"),
)
APART_FROM_ALL = (
    *("out/onnx", "out/stages", "out/own/deep", "out/scratch", "out/scratch/teacher-000000000000"),
    *("out/scratch/verify-0123456789ab", "app", "around"),
)
NAMES = (
    *("NOTES.txt", "config.json", "manifest.json", "vocab.txt", "student-int8.tflite", "hub"),
    *(*REPORTS[1:], hub_folder.CARD, made.MADE, "stages", "scratch"),
)


class Killed(BaseException):
    """Stands for the end of a process: nothing changes a folder after it."""


@contextlib.contextmanager
def killed(monkeypatch: pytest.MonkeyPatch, after: int) -> Iterator[None]:
    """Ends what is within before the call numbered `after` that changes a folder."""
    left = [after]

    def counted(function: Any) -> Any:
        def call(*arguments: Any, **keywords: Any) -> Any:
            if left[0] <= 0:
                raise Killed
            left[0] -= 1
            return function(*arguments, **keywords)

        return call

    with monkeypatch.context() as patch:
        for name in CHANGING:
            patch.setattr(os, name, counted(getattr(os, name)))
        with contextlib.suppress(Killed):
            yield


def make(name: str, content: str, folder: Path, scratch: Path) -> Mapping[str, Any]:
    """Fills a stage's folder with the names that the real one has."""
    (scratch / "checkpoint-1").mkdir(parents=True, exist_ok=True)
    (scratch / "checkpoint-1" / "state").write_text(content)
    (scratch / "precision.json").write_text("{}")
    (folder / "deep").mkdir()
    (folder / "deep" / "more.txt").write_text(content)
    if name == "tflite":
        file = {"path": "student-int8.tflite"}
        (folder / "student-int8.tflite").write_text(content)
        (folder / "vocab.txt").write_text(content)
        (folder / "golden.json").write_text('{"cases": []}')
        (folder / "model.json").write_text(
            json.dumps({"may_abstain": False, "files": {"int8": file}})
        )
    else:
        (folder / "config.json").write_text(content)
        (folder / "model.safetensors").write_text(content)
    return {}


def build(
    config: Build, content: str, *, fit: bool, meanwhile: Callable[[], None] = lambda: None
) -> None:
    """As `pipeline.build` does it, with stages that take no time."""
    place.check(config)
    out = config.folder
    with locked(out):
        store = Store(out, frozenset(config.force), say=lambda _: None)
        before: dict[str, Artifact | str] = {}
        for name in STAGES:
            stage = store.stage(
                name,
                lambda folder, scratch, name=name: make(name, content, folder, scratch),
                settings=content,
                inputs=before,
                folder=name if name in APART else f"{INNER}/{name}",
            )
            before = {name: stage}
            meanwhile()
        report = copy.deepcopy(of_preset())
        report["files"] = report["files"][:1]
        report["files"][0]["gate"]["passed"] = fit
        made.claim(out, *REPORTS)
        write_reports(report, out)
        hub_folder.write_hub_folder(report, out)
        if config.android_assets:
            android_assets.write(config.android_assets, out, ("int8",), {"questions.json": {}})


def write_reports(report: Mapping[str, Any], folder: Path) -> None:
    """Instead of the real ones, which take longer to draw than all else here."""
    for name in REPORTS:
        whole_file.write(folder / name, f"{name} {report['seed']}")


class User:
    """Puts files where he likes, and knows what he put there."""

    def __init__(self, home: Path, chance: random.Random) -> None:
        self.home, self.chance = home, chance
        self.kept: dict[Path, bytes] = {}
        self.links: list[Path] = []

    def put(self) -> None:
        """A file, or a link to a folder of his, where nothing is and nothing is about to be."""
        folder = self.chance.choice(IN_THE_WAY if self.chance.random() < 0.6 else APART_FROM_ALL)
        path = self.home / folder / self.chance.choice(NAMES)
        linked = any(folder.is_symlink() for folder in (path, *path.parents))
        if os.path.lexists(path) or linked or self.is_expected(path):
            return
        with contextlib.suppress(FileExistsError, NotADirectoryError):  # a file of his own
            path.parent.mkdir(parents=True, exist_ok=True)
            if self.chance.random() < 0.15:
                target = self.home / "elsewhere" / str(len(self.links))
                target.mkdir(parents=True)
                self.write(target / "manifest.json")
                path.symlink_to(target)
                self.links.append(path)
            else:
                self.write(path)

    def write(self, path: Path) -> None:
        path.write_bytes(self.chance.randbytes(9))
        self.kept[path] = path.read_bytes()

    def is_expected(self, path: Path) -> bool:
        """Whether a build that was killed has said that it would write in this place."""
        for root in ("out", "app/model", "app/.model.partial", "app/.model.old"):
            folder = self.home / root
            if path.is_relative_to(folder) and path.name != made.MADE:
                with contextlib.suppress(UserError):  # a list of his own
                    if made._made(folder, path, made.listed(folder)):
                        return True
        return path.name == made.MADE and ".model." in str(path)

    def maybe_put(self) -> None:
        """Now and then, while a build is running."""
        if self.chance.random() < 0.05:
            self.put()

    def check(self) -> None:
        for path, content in self.kept.items():
            assert path.read_bytes() == content, path
        assert all(link.is_symlink() for link in self.links)

    def move_away(self) -> None:
        for path in (*self.kept, *self.links):
            path.unlink()
        self.kept, self.links = {}, []


def tree(home: Path) -> dict[str, bytes]:
    """All files and links."""
    return {
        str(path.relative_to(home)): str(path.readlink()).encode()
        if path.is_symlink()
        else path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def make_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out what takes time and is not what is tested here."""
    monkeypatch.setattr(hub_folder, "write_reports", write_reports)
    monkeypatch.setattr(hub_folder, "model_card", lambda report, model: "card")
    monkeypatch.setattr(made, "sync", lambda folder: None)  # the machine itself stays on


def live(home: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int, int]:
    """Some days in the life of a build folder; returns how many builds ended, were refused, killed.

    A build is refused before it changes anything, or it ends; killed or not, the user's files are
    there.  When the user has moved his files away, the next build ends, whatever came before.
    """
    make_cheap(monkeypatch)
    chance = random.Random(seed)
    user, counts = User(home, chance), [0, 0, 0]
    plain = replace(settings.load("smoke"), out=home / "out")
    for _ in range(8):
        for _ in range(chance.choice((0, 0, 1, 3))):
            user.put()
        if chance.random() < 0.4:
            user.move_away()
        config = replace(
            plain,
            force=tuple(chance.sample(STAGES, chance.choice((0, 0, 1, 3)))),
            android_assets=home / "app" / "model" if chance.random() < 0.5 else None,
        )
        arguments = (config, chance.choice("ab"))
        fit, before, there = chance.random() < 0.7, tree(home), len(user.kept)
        try:
            if chance.random() < 0.5:
                with killed(monkeypatch, chance.randrange(CALLS)):
                    build(*arguments, fit=fit)
                counts[2] += 1
            else:
                build(*arguments, fit=fit, meanwhile=user.maybe_put)
                counts[0] += 1
        except UserError as error:
            assert "\n" not in str(error) and user.kept, error
            assert tree(home) == before or len(user.kept) > there, error
            counts[1] += 1
        user.check()
    user.move_away()
    build(replace(plain, android_assets=home / "app" / "model"), "c", fit=True)
    assert (home / "out" / "student" / "config.json").read_text() == "c"
    assert (home / "out" / "hub" / "model.safetensors").read_text() == "c"
    assert (home / "app" / "model" / "vocab.txt").read_text() == "c"
    left = [name for name in tree(home) if ".partial/" in name or ".old/" in name]
    assert not left and not [name for name in tree(home) if "checkpoint" in name]
    return counts[0], counts[1], counts[2]


def test_what_the_user_keeps_is_there_after_every_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = [live(tmp_path / str(seed), seed, monkeypatch) for seed in range(6)]
    assert min(map(sum, zip(*counts, strict=True))) > 5, "each must have happened"


def test_a_build_folder_that_is_a_link_is_followed_and_one_inside_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_cheap(monkeypatch)
    for name in ("disk", "mine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.tex").write_text("mine")
    (tmp_path / "out").symlink_to("disk")
    config = replace(settings.load("smoke"), out=tmp_path / "out")
    for content in ("a", "b"):
        build(config, content, fit=True)
    assert (tmp_path / "disk" / "student" / "config.json").read_text() == "b"
    shutil.rmtree(tmp_path / "disk" / "student")
    (tmp_path / "disk" / "student").symlink_to(tmp_path / "mine")
    with pytest.raises(UserError, match="out/student: not made by a build"):
        build(config, "c", fit=True)
    for name in ("disk", "mine"):
        assert (tmp_path / name / "thesis.tex").read_text() == "mine"


def test_a_path_where_nothing_is_any_more_is_forgotten(tmp_path: Path) -> None:
    """So what the user puts there later is the user's."""
    made.add(tmp_path, "gone", "deep/*")
    for name in ("gone", "here"):
        made.add(tmp_path, name)
        (tmp_path / name).touch()
    (tmp_path / "gone").unlink()
    made.add(tmp_path)
    assert list(made.listed(tmp_path)) == ["here"]
    (tmp_path / "gone").write_text("mine")
    with pytest.raises(UserError, match="gone: not made by a build"):
        made.claim(tmp_path, "here", "gone")


@pytest.mark.long
def test_what_the_user_keeps_is_there_after_many_builds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(6, 420):
        live(tmp_path / str(seed), seed, monkeypatch)
        shutil.rmtree(tmp_path / str(seed))
