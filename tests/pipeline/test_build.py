# SPDX-License-Identifier: Apache-2.0
"""The whole way at toy size: exact files, resuming, damage, gates that fail, bad input."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from repository import ROOT

from pipeline import progress
from pipeline.build import main

BESIDE = ("vocab.txt", "model.json", "golden.json")
MODEL = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
FILES = {
    "teacher": MODEL,
    "student": MODEL | {"origin.json"},
    "tflite": {"student-int8.tflite", "student-fp32.tflite", *BESIDE},
    "coreml": {"student-int8.mlpackage", "student-fp32.mlpackage", *BESIDE},
    "onnx": {"student-int8.onnx", "student-fp32.onnx", *BESIDE},
}
QUICK = (
    *("--benchmark.queries", "4", "--hardware.precision", "fp32"),
    *("--max-length", "128", "--stride", "32", "--golden-cases", "3", "--distil.length", "64"),
    *("--distil.max-samples", "48", "--mlm-head.max-samples", "128"),
)


@pytest.fixture(scope="module")
def arguments(tiny_teacher: Path, squad_file: Path, text_file: Path) -> list[str]:
    return [
        *("--preset", "smoke", "--target", "all", "--precision", "int8", "fp32"),
        *("--teacher.model", str(tiny_teacher)),
        *("--train-file", str(squad_file), "--eval-file", str(squad_file)),
        *("--distil.text", str(text_file), *QUICK),
    ]


@pytest.fixture(scope="module")
def built(arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build whose output goes to `build.log` beside it, with progress as often as possible."""
    out = tmp_path_factory.mktemp("build") / "tiny"
    with (
        pytest.MonkeyPatch.context() as patch,
        (out.parent / "build.log").open("w", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        patch.setattr(progress, "INTERVAL_S", 0.0)
        assert main([*arguments, "--out", str(out)]) == 0
    return out


@pytest.fixture
def copied(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "copy"))


def stamps(root: Path) -> dict[str, int]:
    return {
        str(p.relative_to(root)): p.stat().st_mtime_ns
        for p in root.rglob("*")
        if p.is_file() and p.name != ".lock"
    }


def models(root: Path) -> dict[str, int]:
    """Of all but report and card, which every build writes."""
    written = (
        ".made.json",
        "report",
        "MODEL_CARD",
        "hub/report",
        "hub/README",
        "hub/index.html",
        "hub/.gitattributes",
    )
    return {name: stamp for name, stamp in stamps(root).items() if not name.startswith(written)}


def resumed(report: Path) -> dict[str, bool]:
    return {s["name"]: s["resumed"] for s in json.loads(report.read_text())["stages"]}


def test_files_and_report_are_exactly_those_promised(built: Path) -> None:
    for folder, names in FILES.items():
        assert {p.name for p in (built / folder).iterdir()} == names | {"manifest.json"}
    report = json.loads((built / "report.json").read_text())
    assert [m["name"] for m in report["models"]] == ["teacher", "student"]
    assert [m["layers"] for m in report["models"]] == [3, 1]
    assert [f["path"] for f in report["files"]] == [
        f"{target}/student-{precision}.{suffix}"
        for target, suffix in (("tflite", "tflite"), ("coreml", "mlpackage"), ("onnx", "onnx"))
        for precision in ("int8", "fp32")
    ]
    assert all(f["gate"]["passed"] and f["min_runtime"] for f in report["files"])
    timed = ("tflite", "onnx") if sys.platform != "darwin" else ("tflite", "onnx", "mlpackage")
    assert set(report["latency"]["subjects"]) == {
        f"{name}.{suffix}"
        for name in ("teacher-fp32", "student-int8", "student-fp32")
        for suffix in timed
    }
    error = report["latency"]["subjects"]["teacher-fp32.tflite"]["logit_error"]
    assert error["reference"].endswith("/teacher") and 0 <= error["largest"] < 1e-3
    method = report["latency"]["method"]
    assert method.startswith("NOT VALID (8 queries in "), "two rounds of four questions"
    assert "single stream: one question with all its inputs at a time" in method
    measured_on = json.loads((built / "stages" / "benchmark" / "machine.json").read_text())
    assert measured_on == {key: report[key] for key in ("versions", "machine")}
    head = next(s["facts"] for s in report["stages"] if s["name"] == "mlm-teacher")
    assert {"masked_accuracy_before", "masked_accuracy_after"} <= set(head)
    assert {p.name for p in built.glob("report.*")} == {"report.json", "report.md", "report.html"}
    assert not list((built / "scratch").iterdir()), "checkpoints are left behind"
    text = (built / "report.json").read_text()
    assert str(built) not in text.replace(report["command"], ""), (
        "a path of this machine in the report"
    )
    assert (built / "MODEL_CARD.md").read_bytes() == (built / "hub" / "README.md").read_bytes()
    assert {p.name for p in (built / "hub" / "tflite").iterdir()} == FILES["tflite"]
    assert {p.name for p in (built / "hub" / "onnx").iterdir()} == FILES["onnx"] | {
        "model_quantized.onnx",
        "model.onnx",
    }
    assert (built / "hub" / "index.html").is_file()
    for path in (built / "hub").rglob("*"):
        assert path.is_dir() or str(built.parent).encode() not in path.read_bytes(), path


def test_a_log_holds_whole_short_lines_of_progress(built: Path) -> None:
    """No bar: it redraws itself with carriage returns, one line of megabytes in a log."""
    log = (built.parent / "build.log").read_bytes().decode()
    assert "\r" not in log and "\x1b" not in log
    lines = log.splitlines()
    assert max(map(len, lines)) <= 200, max(lines, key=len)
    for stage in (
        "teacher: step 1 of ",
        "MLM head: step ",
        "general distillation: step ",
        "student: step ",
        "recording the teacher: batch ",
        "scoring student-int8.onnx, padded: question ",
        "timing: query ",
    ):
        assert any(line.startswith(stage) for line in lines), stage


def test_saved_models_open_with_transformers(built: Path) -> None:
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer

    student = AutoModelForQuestionAnswering.from_pretrained(built / "student")
    assert type(student).__name__ == "DistilBertForQuestionAnswering"
    assert AutoTokenizer.from_pretrained(built / "student").is_fast
    teacher = AutoModelForQuestionAnswering.from_pretrained(built / "teacher")
    assert type(teacher).__name__ == "BertForQuestionAnswering"


def test_second_run_changes_nothing_and_is_quick(built: Path, arguments: list[str]) -> None:
    before = models(built)
    began = time.monotonic()
    assert main([*arguments, "--out", str(built)]) == 0
    assert time.monotonic() - began < 10
    assert models(built) == before


def test_app_gets_its_files_from_an_unchanged_build(
    built: Path, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app, before = tmp_path / "app" / "model", models(built)
    flags = ["--android-assets", str(app), "--android-precision", "fp32", "--out", str(built)]
    assert main([*arguments, *flags]) == 0
    files = {"student-fp32.tflite", "questions.json", *BESIDE, ".made.json"}
    assert {p.name for p in app.iterdir()} == files
    assert f"android {app}  (golden.json, model.json, " in capsys.readouterr().out
    assert models(built) == before
    assert main([*arguments, *flags[:2], *flags[4:]]) == 0, "the first precision of the build"
    assert (app / "student-int8.tflite").is_file() and not (app / "student-fp32.tflite").exists()


def test_report_card_and_hub_that_were_damaged_or_edited_never_survive_a_run(
    copied: Path, arguments: list[str]
) -> None:
    whole = {path: path.read_text() for path in copied.glob("*.*") if path.suffix != ".json"}
    report = json.loads((copied / "report.json").read_text())
    report["models"][1]["scores"]["f1"] = 88.88
    (copied / "report.json").write_text(json.dumps(report))
    (copied / "report.html").write_text("garbage")
    (copied / "report.md").unlink()
    (copied / "MODEL_CARD.md").write_text("")
    (copied / "hub" / "model.safetensors").unlink()
    (copied / "hub" / "tflite" / "student-int8.tflite").unlink()
    (copied / "hub" / "README.md").write_text("an F1 of 88.88")
    assert main([*arguments, "--out", str(copied)]) == 0
    assert "88.88" not in (copied / "report.json").read_text()
    for path, text in whole.items():
        assert abs(len(path.read_text()) - len(text)) < 1000, path
    hub = copied / "hub"
    assert (hub / "README.md").read_bytes() == (copied / "MODEL_CARD.md").read_bytes()
    for name in ("model.safetensors", "tflite/student-int8.tflite"):
        mine = copied / ("student" if "/" not in name else "") / name
        assert (hub / name).read_bytes() == mine.read_bytes()


def test_the_users_files_in_a_built_folder_are_named_and_kept_byte_for_byte(
    copied: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("student/thesis.tex", "hub/NOTES.txt", "stages/verify/mine/deep.txt"):
        path = copied / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
        before = stamps(copied)
        assert main([*arguments, "--out", str(copied), "--force", "student"]) == 2
        said = one_line(capsys)
        assert str(path) in said and "move it away" in said
        assert stamps(copied) == before
        path.unlink()
    beside = copied / "thesis.tex"
    beside.write_text("mine")
    assert main([*arguments, "--out", str(copied), "--force", "onnx"]) == 0
    assert beside.read_text() == "mine"


def test_an_input_in_the_build_folder_is_refused_before_any_work(
    arguments: list[str], tiny_teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A teacher's own folder `teacher` below --out was once replaced by ours."""
    for name in ("teacher", "deep/inside"):
        teacher = Path(shutil.copytree(tiny_teacher, tmp_path / "proj" / name))
        (teacher / "NOTES.txt").write_text("mine")
        before = stamps(tmp_path)
        flags = ["--out", str(tmp_path / "proj"), "--teacher.model", str(teacher)]
        assert main([*arguments, *flags]) == 2
        assert "lies in the build folder" in one_line(capsys)
        assert stamps(tmp_path) == before
        shutil.rmtree(teacher)


def test_what_a_version_without_a_list_made_is_told_once_and_its_stages_are_kept(
    copied: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (copied / ".made.json").unlink()
    assert main([*arguments, "--out", str(copied)]) == 2
    said = one_line(capsys)
    for path in (*copied.glob("report.*"), copied / "MODEL_CARD.md", copied / "hub"):
        assert str(path) in said
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert main([*arguments, "--out", str(copied), "--force", "onnx"]) == 0
    assert [name for name, kept in resumed(copied / "report.json").items() if not kept] == ["onnx"]


def test_printed_lines_can_be_copied_whatever_the_folder_is_called(
    built: Path, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = Path(shutil.copytree(built, tmp_path / "a [red]b[/] $(touch pwn)"))
    assert main([*arguments, "--out", str(out)]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert shlex.split(lines["next"])[4] == str(out / "tflite" / "student-int8.tflite")
    assert shlex.split(lines["file"])[1] == str(out / "tflite" / "student-int8.tflite")
    assert shlex.split(lines["report"])[1] == str(out / "report.html")
    assert shlex.split(lines["hub"].partition("USER/NAME ")[2].removesuffix(")"))[0] == str(
        out / "hub"
    )


@pytest.mark.parametrize("reader", ["| head -c 5", "| cat"])
def test_a_finished_build_ends_with_0_on_any_terminal(
    reader: str, copied: Path, arguments: list[str]
) -> None:
    """Locales that are not UTF-8, and a reader that goes away."""
    words = [sys.executable, "-m", "pipeline.build", *arguments, "--out", str(copied)]
    (copied / "report.html").unlink()
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {shlex.join(words)} {reader}"],
        env=os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert (copied / "report.html").is_file()
    if reader == "| cat":
        assert b"\\u2713 passed" in done.stdout


def test_files_can_be_read_by_whom_the_umask_lets(built: Path) -> None:
    mask = os.umask(0)
    os.umask(mask)
    modes = {p: p.stat().st_mode & 0o777 for p in built.rglob("*") if p.is_file()}
    assert {p: oct(m) for p, m in modes.items() if m != 0o666 & ~mask} == {}


@pytest.mark.parametrize("harm", ["tampered", "truncated", "deleted"])
def test_a_damaged_file_is_noticed_and_built_again(
    harm: str, copied: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = copied / "tflite" / "student-int8.tflite"
    whole = file.read_bytes()
    if harm == "deleted":
        file.unlink()
    else:
        cut = whole[: len(whole) // 2]
        file.write_bytes(
            cut
            if harm == "truncated"
            else cut + bytes([whole[len(cut)] ^ 1]) + whole[len(cut) + 1 :]
        )
    assert main([*arguments, "--out", str(copied)]) == 0
    assert file.read_bytes() == whole
    assert "tflite: student-int8.tflite" in capsys.readouterr().out
    ran = [name for name, kept in resumed(copied / "report.json").items() if not kept]
    assert ran == ["tflite"]


def test_dry_run_tells_the_plan_and_touches_nothing(
    built: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = stamps(built)
    flags = ("--finetune.temperature", "3", "--out", str(built), "--dry-run")
    assert main([*arguments, *flags]) == 0
    plan = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert plan["teacher"] == "kept" and plan["distilled"] == "kept"
    assert plan["student"] == "settings or inputs changed"
    assert plan["tflite"] == "student runs again"
    assert stamps(built) == before


def test_a_broken_weight_fails_the_gate_and_the_report_says_so(
    built: Path,
    copied: Path,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import converters.tflite.export as to_tflite

    export_many = to_tflite.export_many

    def sabotaged(model: Any, *args: Any, **kwargs: Any) -> Any:
        model.qa_outputs.weight.data[0, 0] += 10.0
        return export_many(model, *args, **kwargs)

    monkeypatch.setattr(to_tflite, "export_many", sabotaged)
    app = copied.parent / "app"
    flags = ["--force", "tflite", "--android-assets", str(app)]
    assert main([*arguments, "--out", str(copied), *flags]) == 1
    assert not app.exists(), "no app shall carry them"
    said = capsys.readouterr()
    assert "gate failed: " in said.err and "max_logit_error" in said.err
    files = json.loads((copied / "report.json").read_text())["files"]
    assert {f["name"] for f in files if not f["gate"]["passed"]} == {
        "student-int8.tflite",
        "student-fp32.tflite",
    }
    assert not (copied / "hub").exists(), "nobody shall push these files"
    monkeypatch.undo()
    assert main([*arguments, "--out", str(copied)]) == 1, "a failed gate stays failed until rebuilt"
    shutil.rmtree(copied / "tflite")  # as if they were exported again, which takes seconds
    shutil.copytree(built / "tflite", copied / "tflite")
    assert main([*arguments, "--out", str(copied)]) == 0
    assert f"hf upload USER/NAME {copied / 'hub'}" in capsys.readouterr().out
    assert (copied / "hub" / "README.md").is_file()


def test_two_builds_in_one_folder(
    built: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with (built / ".lock").open("a+") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert main([*arguments, "--out", str(built)]) == 2
    assert "another build is running" in capsys.readouterr().err


def no_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "vocab.txt"):
        (folder / name).unlink(missing_ok=True)


def pickle_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("harm", "words"),
    [(no_tokenizer, "has no tokenizer"), (pickle_only, "a pickle, which can run code")],
)
def test_unusable_teachers(
    harm: Callable[[Path], None],
    words: str,
    tiny_teacher: Path,
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = Path(shutil.copytree(tiny_teacher, tmp_path / "teacher"))
    harm(folder)
    flags = ["--teacher.model", str(folder), "--out", str(tmp_path / "out")]
    assert main([*arguments, *flags]) == 2
    assert words in one_line(capsys)


@pytest.mark.parametrize(
    ("target", "timed"), [("tflite", True), ("coreml", sys.platform == "darwin")]
)
def test_files_that_cannot_run_here_are_not_timed(
    target: str,
    timed: bool,
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = ["--out", str(tmp_path / "out"), "--target", target, "--dry-run"]
    assert main([*arguments, *flags]) == 0
    plan = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert target in plan and ("benchmark" in plan) == timed


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--train-file", "no/such.json"], "no data file no/such.json"),
        (["--student.layers", "0,7"], "from 0 to 2"),
        (["--student.layers", "9"], "allowed are 1 to 3"),
        (["--student.layers", "few"], "not understood"),
        (["--teacher.model", "./nowhere"], "no teacher folder"),
        (["--distil.text", "no/such.txt"], "no text file no/such.txt"),
        (["--max-length", "600"], "takes at most 512"),
        (["--stride", "500"], "--stride 500: at most"),
        (["--preset", "embeded"], "did you mean embedded?"),
        (["--force", "studnt"], "did you mean student?"),
        (["--config", "no/such.yaml"], "cannot read the settings"),
        (["--out", "/proc/nowhere"], "choose another folder with --out"),
        (["--out", ""], "--out is empty"),
        (["--android-assets="], "--android-assets is empty"),
    ],
)
def test_bad_flags_get_one_line_and_code_2(
    flags: list[str],
    words: str,
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*arguments, "--out", str(tmp_path / "out"), *flags]) == 2
    assert words in one_line(capsys)


def test_the_paper_preset_says_what_is_missing_without_the_hub(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "empty"))
    assert main(["--preset", "distilbert-squad", "--out", str(tmp_path / "out")]) == 2
    said = one_line(capsys)
    assert "rajpurkar/squad" in said and "cached" in said


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)]
    mounted = subprocess.run(["mount", *options], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("a small tmpfs cannot be mounted here: needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_gets_one_line_and_nothing_half_written(
    small_disk: Path, arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes(5_800_000))
    assert main([*arguments, "--out", str(small_disk / "out")]) == 2
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(said) == 1 and "the disk has" in said[0] and "--out" in said[0]
    assert not (small_disk / "out" / "teacher").exists()


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ") and len(said.splitlines()) == 1, said
    return said
