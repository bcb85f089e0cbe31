# SPDX-License-Identifier: Apache-2.0
"""Stages are made once, made again when they must be, and whole or not there whatever happens."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from repository import ROOT

from pipeline import artifacts, lock, made
from pipeline.artifacts import MANIFEST, Artifact, Store, fingerprints
from pipeline.errors import UserError
from pipeline.lock import explain, locked
from pipeline.report.ending import of_training
from pipeline.settings import parse

Make = Callable[[Path, Path], Mapping[str, Any]]


class Maker:
    """Makes a file with a given content and counts how often it was asked to."""

    def __init__(self, content: str = "model") -> None:
        self.content = content
        self.calls = 0

    def __call__(self, folder: Path, scratch: Path) -> dict[str, Any]:
        self.calls += 1
        (folder / "deep").mkdir()
        (folder / "deep" / "weights.bin").write_text(self.content)
        (folder / "empty.txt").touch()
        return {"steps": 7}


def stage(root: Path, make: Make, name: str = "teacher", **changes: Any) -> Artifact:
    store = Store(root, frozenset(changes.pop("force", ())), changes.pop("dry_run", False), silent)
    return store.stage(name, make, **{"settings": {"rate": 1.0}, "inputs": {}, **changes})


def silent(_: str) -> None:
    pass


def digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def test_stage_is_made_once_and_then_kept_with_its_facts(tmp_path: Path) -> None:
    make = Maker()
    first, second = stage(tmp_path, make), stage(tmp_path, make)
    assert make.calls == 1
    assert (first.resumed, second.resumed) == (False, True)
    assert first.facts == second.facts == {"steps": 7}
    assert first.key == second.key and first.content == second.content
    assert second.folder == tmp_path / "stages" / "teacher"
    assert (second.folder / "deep" / "weights.bin").read_text() == "model"


def test_manifest_names_every_file_with_its_size_and_digest(tmp_path: Path) -> None:
    folder = stage(tmp_path, Maker("né"), folder="teacher").folder
    assert folder == tmp_path / "teacher"
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest["files"] == {
        "deep/weights.bin": {"bytes": 3, "sha256": digest("né")},
        "empty.txt": {"bytes": 0, "sha256": digest("")},
    }
    assert manifest["stage"] == "teacher" and manifest["facts"] == {"steps": 7}


@pytest.mark.parametrize(
    "change",
    [{"settings": {"rate": 2.0}}, {"inputs": {"train": "abc"}}, {"settings": {"rate": "1.0"}}],
)
def test_change_of_settings_or_inputs_makes_the_stage_again(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    make, told = Maker(), list[str]()
    before = stage(tmp_path, make)
    after = Store(tmp_path, say=told.append).stage(
        "teacher", make, **{"settings": {"rate": 1.0}, "inputs": {}, **change}
    )
    assert make.calls == 2 and not after.resumed and after.key != before.key
    assert told == ["teacher: settings or inputs changed", "teacher: 0 s, steps 7"]


def test_key_is_for_one_stage_and_does_not_depend_on_the_order_of_settings(tmp_path: Path) -> None:
    a = stage(tmp_path, Maker(), settings={"x": 1, "y": 2})
    b = stage(tmp_path, Maker(), settings={"y": 2, "x": 1})
    other = stage(tmp_path, Maker(), "student", settings={"x": 1, "y": 2})
    assert a.key == b.key != other.key


def test_later_stage_follows_the_content_of_the_earlier_one(tmp_path: Path) -> None:
    later = Maker("student")

    def build(content: str, **changes: Any) -> tuple[Artifact, Artifact]:
        teacher = stage(tmp_path, Maker(content), **changes)
        return teacher, stage(tmp_path, later, "student", inputs={"teacher": teacher})

    build("one")
    build("one", force=("teacher",))
    assert later.calls == 1, "made again with the same result: the student still fits"
    build("two", force=("teacher",))
    assert later.calls == 2, "a teacher made again with another result needs another student"


def test_only_what_users_take_away_is_hashed_by_every_build(tmp_path: Path) -> None:
    for folder, trusted in (("teacher", False), (None, True)):
        make = Maker()
        artifact = stage(tmp_path, make, folder=folder)
        file = artifact.folder / "deep" / "weights.bin"
        stamp = file.stat().st_mtime_ns
        file.write_text("MODEL")
        os.utime(file, ns=(stamp, stamp))
        assert stage(tmp_path, make, folder=folder).resumed is trusted
        os.utime(file, ns=(stamp, stamp + 1))
        stage(tmp_path, make, folder=folder)
        assert make.calls == 2 and file.read_text() == "model", folder


def test_a_copied_artifact_is_hashed_and_kept(tmp_path: Path) -> None:
    make = Maker()
    stage(tmp_path / "a", make)
    shutil.copytree(tmp_path / "a", tmp_path / "b", copy_function=shutil.copyfile)
    assert stage(tmp_path / "b", make).resumed and make.calls == 1


def alter(path: Path) -> None:
    path.write_text("MODEL")


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"!")


@pytest.mark.parametrize(
    ("harm", "word"),
    [
        (alter, "altered"),
        (cut_short, "4 bytes instead of 5"),
        (lengthen, "6 bytes instead of 5"),
        (Path.unlink, "is missing"),
    ],
)
def test_damage_is_noticed_named_and_mended(
    tmp_path: Path, harm: Callable[[Path], None], word: str
) -> None:
    make, told = Maker(), list[str]()
    artifact = stage(tmp_path, make)
    harm(artifact.folder / "deep" / "weights.bin")
    again = Store(tmp_path, say=told.append).stage(
        "teacher", make, settings={"rate": 1.0}, inputs={}
    )
    assert make.calls == 2 and not again.resumed
    assert "deep/weights.bin" in told[0] and word in told[0] and "made again" in told[0]
    assert (artifact.folder / "deep" / "weights.bin").read_text() == "model"
    assert stage(tmp_path, make).resumed


@pytest.mark.parametrize(
    "manifest",
    [
        None,
        "",
        "{",
        "[]",
        "null",
        '{"format": 1}',
        '{"format": 1, "files": {}}',
        '{"format": 1, "files": [], "key": "", "facts": {}, "seconds": 0}',
        '{"format": 1, "files": {"a": 3}, "key": "", "facts": {}, "seconds": 0}',
        '{"format": 1, "files": {"a": {"bytes": 1}}, "key": "", "facts": {}, "seconds": 0}',
        '{"format": 0, "files": {}, "key": "", "facts": {}, "seconds": 0}',
        "[" * 100_000,
    ],
)
def test_damaged_manifest_makes_the_stage_again(tmp_path: Path, manifest: str | None) -> None:
    make = Maker()
    path = stage(tmp_path, make).folder / MANIFEST
    path.unlink() if manifest is None else path.write_text(manifest)
    assert not stage(tmp_path, make).resumed
    assert stage(tmp_path, make).resumed and make.calls == 2


@settings(deadline=None, max_examples=60)
@given(content=st.binary(max_size=60), cut=st.integers(0, 400))
def test_no_manifest_whatever_brings_a_traceback(content: bytes, cut: int) -> None:
    whole = (
        b'{"format": 1, "stage": "x", "key": "k", "seconds": 0.1, "facts": {"a": 1}, "files": {}}'
    )
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        for text in (content, whole[:cut], whole[:cut] + content + whole[cut:]):
            (Path(name) / MANIFEST).write_bytes(text)
            try:
                assert artifacts.read_manifest(Path(name))["format"] == 1
            except UserError as error:
                assert "build it again" in str(error) and "\n" not in str(error)


def test_files_beside_those_of_the_manifest_do_no_harm(tmp_path: Path) -> None:
    make = Maker()
    (stage(tmp_path, make).folder / "note.txt").write_text("mine")
    assert stage(tmp_path, make).resumed


def test_force_makes_the_stage_again_and_forgets_its_checkpoints(tmp_path: Path) -> None:
    seen: list[bool] = []

    def interrupted(folder: Path, scratch: Path) -> dict[str, Any]:
        seen.append(scratch.exists())
        scratch.mkdir(parents=True, exist_ok=True)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return {}

    stage(tmp_path, interrupted)
    with pytest.raises(KeyboardInterrupt):
        stage(tmp_path, interrupted, force=("teacher",))
    assert stage(tmp_path, interrupted).resumed, "the old one stays until the new one is whole"
    stage(tmp_path, interrupted, force=("teacher",))
    assert seen == [False, False, False]


def test_interrupted_stage_finds_its_scratch_again_and_says_so(tmp_path: Path) -> None:
    told: list[str] = []

    def make(folder: Path, scratch: Path) -> dict[str, Any]:
        scratch.mkdir(parents=True, exist_ok=True)
        count = len(list(scratch.iterdir()))
        (scratch / f"checkpoint-{count}").touch()
        (folder / "weights").write_text(str(count))
        if count < 2:
            raise KeyboardInterrupt
        return {}

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            stage(tmp_path, make)
        assert not (tmp_path / "stages" / "teacher").exists()
    store = Store(tmp_path, say=told.append)
    artifact = store.stage("teacher", make, settings={"rate": 1.0}, inputs={})
    assert (artifact.folder / "weights").read_text() == "2"
    assert told[0] == "teacher: goes on where it was interrupted"
    assert not list((tmp_path / "scratch").iterdir())
    assert sorted(p.name for p in (tmp_path / "stages").iterdir()) == ["teacher"]


def test_stale_scratch_goes_and_that_of_other_stages_stays(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    stale, other = "teacher-" + "0" * 12, "teacher-outputs-" + "1" * 12
    for name in (stale, other):
        (scratch / name / "checkpoint-5").mkdir(parents=True)
        made.add(tmp_path, f"scratch/{name}/checkpoint-*")
        (scratch / name / "checkpoint-5" / "weights").touch()
    stage(tmp_path, Maker())
    assert [p.name for p in scratch.iterdir()] == [other]


def test_dry_run_tells_the_plan_and_touches_nothing(tmp_path: Path) -> None:
    make = Maker()
    stage(tmp_path, make)
    before = sorted(tmp_path.rglob("*"))
    store = Store(tmp_path, dry_run=True, say=silent)
    kept = store.stage("teacher", make, settings={"rate": 1.0}, inputs={})
    new = store.stage("student", make, settings={}, inputs={"teacher": kept})
    last = store.stage("tflite", make, settings={}, inputs={"student": new})
    assert store.plan == [
        ("teacher", "kept"),
        ("student", "not made yet"),
        ("tflite", "not made yet"),
    ]
    assert kept.resumed and not new.resumed and not last.resumed
    assert make.calls == 1 and sorted(tmp_path.rglob("*")) == before


def test_dry_run_of_a_forced_stage_names_what_follows_it(tmp_path: Path) -> None:
    teacher = stage(tmp_path, Maker())
    stage(tmp_path, Maker(), "student", inputs={"teacher": teacher})
    store = Store(tmp_path, frozenset({"teacher"}), dry_run=True)
    teacher = store.stage("teacher", Maker(), settings={"rate": 1.0}, inputs={})
    store.stage("student", Maker(), settings={"rate": 1.0}, inputs={"teacher": teacher})
    assert dict(store.plan)["teacher"] == "forced"
    assert dict(store.plan)["student"] != "kept"


def test_dry_run_names_stages_that_are_waited_for_not_what_inputs_are_called(
    tmp_path: Path,
) -> None:
    came: dict[str, Any] = {"inputs": {"teacher": "the sha256 of the teacher as it came"}}
    stage(tmp_path, Maker(), "distilled", **came)
    store = Store(tmp_path, dry_run=True, say=silent)
    store.stage("teacher", Maker(), settings={}, inputs={})
    store.stage("distilled", Maker(), settings={"rate": 1.0}, **came)
    assert dict(store.plan) == {"teacher": "not made yet", "distilled": "kept"}


def killed_at(root: Path, rename: int) -> None:
    """A build of version two in a process that dies just before its n-th rename of a folder."""
    program = f"""
import os, sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from pipeline.artifacts import Store
rename, left = Path.rename, [{rename}]
def counted(self, target):
    left[0] -= 1
    if left[0] == 0:
        os._exit(9)
    return rename(self, target)
Path.rename = counted
def make(folder, scratch):
    (folder / "weights.bin").write_text("two")
    return {{}}
Store(Path({str(root)!r})).stage("teacher", make, settings=2, inputs={{}})
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert result.returncode == 9, result.stderr


@pytest.mark.parametrize("settings_now", [1, 2])
@pytest.mark.parametrize("rename", [1, 2])
def test_process_killed_between_the_renames_of_a_swap(
    tmp_path: Path, rename: int, settings_now: int
) -> None:
    def make(content: str) -> Make:
        def write(folder: Path, scratch: Path) -> dict[str, Any]:
            (folder / "weights.bin").write_text(content)
            return {}

        return write

    stage(tmp_path, make("one"), settings=1)
    killed_at(tmp_path, rename)
    stages = tmp_path / "stages"
    assert (stages / "teacher").exists() == (rename == 1)
    assert (stages / ".teacher.partial" / MANIFEST).exists()
    wanted = {1: "one", 2: "two"}[settings_now]
    artifact = stage(tmp_path, make(wanted), settings=settings_now)
    assert (artifact.folder / "weights.bin").read_text() == wanted
    assert stage(tmp_path, make("never"), settings=settings_now).resumed
    if rename == 2 and settings_now == 2:
        assert artifact.resumed, "what was whole when the process died is not made again"
    if not artifact.resumed:
        assert sorted(p.name for p in stages.iterdir()) == ["teacher"]


def test_target_that_exists_as_old_alone_is_put_back(tmp_path: Path) -> None:
    make = Maker()
    folder = stage(tmp_path, make).folder
    folder.rename(folder.with_name(".teacher.old"))
    dry = Store(tmp_path, dry_run=True)
    dry.stage("teacher", make, settings={"rate": 1.0}, inputs={})
    assert not folder.exists(), "a dry run changes nothing"
    assert stage(tmp_path, make).resumed and make.calls == 1


def test_old_folder_without_manifest_is_made_again_cleanly(tmp_path: Path) -> None:
    make = Maker()
    folder = stage(tmp_path, make).folder
    (folder / MANIFEST).unlink()
    folder.rename(folder.with_name(".teacher.old"))
    made.add(tmp_path, "stages/.teacher.old/*")  # a killed build has listed it before
    assert not stage(tmp_path, make).resumed
    assert [p.name for p in folder.parent.iterdir()] == ["teacher"]


def test_what_a_failed_attempt_left_aside_does_not_get_into_the_artifact(tmp_path: Path) -> None:
    def fails(folder: Path, scratch: Path) -> dict[str, Any]:
        (folder / "half.bin").write_text("half")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        stage(tmp_path, fails)
    folder = stage(tmp_path, Maker()).folder
    assert set(fingerprints(folder)) == {"deep/weights.bin", "empty.txt"}


def test_two_builds_at_once_are_refused_until_the_first_ends_however_it_ends(
    tmp_path: Path,
) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from pipeline.lock import locked\n"
        "with locked(Path(sys.argv[2])): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(ROOT), str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None and first.stdout.readline() == b"held\n"
        with pytest.raises(UserError, match=r"another build is running.*--out"), locked(tmp_path):
            pass
        with locked(tmp_path / "elsewhere"):
            pass
        first.kill()
        first.wait(10)
    with locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nowhere", "/dev/null/x"])
def test_folder_that_cannot_be_written_is_told_in_one_line(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError) as caught, locked(tmp_path / place):
        pass
    message = str(caught.value)
    assert place in message and "--out" in message and "\n" not in message
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """One megabyte, taken away again afterwards."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or shutil.which("umount") is None:
        pytest.skip("no mount command here")
    command = [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        pytest.skip(f"cannot mount a small disk (root is needed): {result.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_keeps_what_is_finished_and_goes_on_when_there_is_room(small_disk: Path) -> None:
    root = small_disk / "build"

    def big(folder: Path, scratch: Path) -> dict[str, Any]:
        (folder / "big.bin").write_bytes(bytes(400_000 if room else 4_000_000))
        return {}

    room = False
    first = stage(root, Maker())
    with pytest.raises(OSError) as caught:
        stage(root, big, "student", inputs={"teacher": first})
    message = explain(caught.value, root)
    assert caught.value.errno == errno.ENOSPC
    assert "full" in message and "MB free" in message and "--out" in message
    assert stage(root, Maker()).resumed and not (root / "stages" / "student").exists()
    room = True
    assert not stage(root, big, "student", inputs={"teacher": first}).resumed
    assert stage(root, big, "student", inputs={"teacher": first}).resumed


def test_full_disk_is_seen_whatever_a_library_calls_it(small_disk: Path, tmp_path: Path) -> None:
    assert lock.disk_full(small_disk), "one megabyte is no room for a model"
    assert not lock.disk_full(tmp_path / "not-there")


@pytest.mark.parametrize("kind", [OSError, ValueError])
def test_a_thread_that_meets_a_full_disk_prints_no_traceback(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    printed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", printed.append)

    def write() -> None:
        raise kind(errno.ENOSPC, "No space left on device")

    with lock.quiet_threads():
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert len(printed) == (kind is ValueError)


def test_a_full_disk_for_temporary_files_is_named(
    tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    message = explain(error, tmp_path / "build")
    assert message.startswith(f"the disk of {small_disk} is full") and "with TMPDIR" in message
    assert "with --out" in explain(error, small_disk / "build")


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("cache/models", "cannot use {}/cache/models (Permission denied): check it"),
        ("build/stages/a", "cannot write to {}/build (Permission denied): choose another"),
        (".", "cannot write to {}/build (Permission denied): choose another"),
    ],
)
def test_a_refused_file_is_named_where_it_lies(named: str, words: str, tmp_path: Path) -> None:
    error = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / named))
    assert explain(error, tmp_path / "build").startswith(words.format(tmp_path))


def test_explain_works_before_any_folder_exists(tmp_path: Path) -> None:
    error = OSError(errno.ENOSPC, "No space left on device")
    assert "full" in explain(error, tmp_path / "not" / "there" / "yet")
    assert "--out" in explain(OSError(errno.EIO, "Input/output error"), Path("build/x"))


def test_json_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    artifacts.write_json(path, {"name": "Zoë"})
    with pytest.raises(TypeError):
        artifacts.write_json(path, {"name": object()})
    assert json.loads(path.read_text(encoding="utf-8")) == {"name": "Zoë"}


def test_fingerprints_by_pattern(tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "model.safetensors", "notes.md", MANIFEST):
        (tmp_path / name).write_text(name)
    found = fingerprints(tmp_path, only=("config.json", "token*", "*.safetensors", "con*"))
    assert list(found) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert found["config.json"] == {"bytes": 11, "sha256": digest("config.json")}


def test_a_run_that_was_killed_is_known_to_the_next(tmp_path: Path) -> None:
    def dies(_: Path, __: Path) -> dict[str, Any]:
        assert (tmp_path / lock.LOCK).read_text() == "student"
        shutil.copy(tmp_path / lock.LOCK, tmp_path / "kept")
        raise KeyboardInterrupt

    with lock.locked(tmp_path):
        assert lock.killed(tmp_path) is None
        with pytest.raises(KeyboardInterrupt):
            Store(tmp_path).stage("student", dies, settings={}, inputs={})
        assert lock.killed(tmp_path) is None, "whoever stops a run knows it"
    (tmp_path / "kept").replace(tmp_path / lock.LOCK)  # as SIGKILL leaves it
    assert lock.killed(tmp_path) == (
        "the last run was killed while student ran; if that was for lack of memory, lower "
        "--finetune.optimization.device-batch or --max-length"
    )
    with lock.locked(tmp_path):
        Store(tmp_path).stage("student", lambda *_: {}, settings={}, inputs={})
    assert lock.killed(tmp_path) is None


def test_what_to_lower_are_flags_that_there_are() -> None:
    flags = {word for said in lock.LOWER.values() for word in said.split() if word[:2] == "--"}
    config = parse(["--preset", "smoke", *(word for flag in flags for word in (flag, "300"))], "")
    assert config.verification.processes == 300 and config.data.max_length == 300
    assert config.mlm_head.optimization.device_batch == 300


@pytest.mark.parametrize("content", [b"", b"\xff", b"a\nb", b"x" * 99, b"\x1b[31m"], ids=repr)
def test_a_note_that_no_run_wrote_says_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / lock.LOCK).write_bytes(content)
    assert lock.killed(tmp_path) is None


def test_logs_of_a_training_outlive_its_scratch_folder(tmp_path: Path) -> None:
    def make(folder: Path, scratch: Path) -> dict[str, int]:
        (folder / "model").write_text("1")
        (scratch / "runs").mkdir(parents=True)
        (scratch / "runs" / f"events.{len(made_by)}").write_text("log")
        made_by.append(1)
        return {}

    made_by: list[int] = []
    for force in (frozenset[str](), frozenset({"teacher"})):
        store = Store(tmp_path, force, say=lambda _: None)
        store.stage("teacher", make, settings={}, inputs={}, folder="teacher")
    kept = tmp_path / "stages" / "runs" / "teacher"
    assert [path.name for path in kept.iterdir()] == ["events.1"], "in place of older ones"
    assert not list((tmp_path / "scratch").glob("*"))


@pytest.mark.parametrize("text", ["0", '[{"step": 1}]', "{", "[" * 100_000, '[{"step": NaN}]'])
def test_a_record_of_losses_that_is_none_is_left_out(text: str, tmp_path: Path) -> None:
    whole = [{"step": 1, "loss": 2.0, "parts": {"gold": 2.0}}]
    path = tmp_path / artifacts.INNER / artifacts.RUNS / "student" / artifacts.LOSSES
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(whole))
    store = Store(tmp_path)
    assert of_training(store.losses("student")) == {"losses": whole}
    path.write_text(text)
    assert of_training(store.losses("student")) == {}
