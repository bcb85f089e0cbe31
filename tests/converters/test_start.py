# SPDX-License-Identifier: Apache-2.0
"""Processes of the project's own: what lies in the current folder is not taken for a part of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT

from converters import extras, sealed
from converters.runtimes import checksums, probe
from converters.start import module_command


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def test_folders_of_the_users_do_not_stand_for_ours(tmp_path: Path) -> None:
    """A build measures memory in such a process, last of all."""
    for name in ("converters", "pipeline", "benchmarks", "numpy"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong package')")
    shadowed = run([sys.executable, "-m", "converters.runtimes.probe", "--help"], tmp_path)
    assert "the wrong package" in shadowed.stderr  # which is what this is about
    ended = run([*module_command("converters.runtimes.probe"), "--help"], tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("usage: python -m converters.runtimes.probe")


def test_arguments_arrive_as_they_are(tmp_path: Path) -> None:
    ended = run([*module_command("converters.runtimes.probe"), "-x $(y).tflite"], tmp_path)
    assert ended.returncode == 2
    ended = run([*module_command("converters.runtimes.probe"), "a b.tflite"], tmp_path)
    assert ended.returncode == 2 and "a b.tflite does not exist" in ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [[], ["a", "--threads", "0"], ["a", "--threads", "257"], ["a", "--length", "-1"], ["a", "-x"]],
    ids=["none", "zero", "many", "negative", "unknown"],
)
def test_a_mistake_in_a_probe_is_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        probe.main(arguments)
    said = capsys.readouterr().err
    assert caught.value.code == 2 and said.startswith("error: ") and said.count("\n") == 1


# Extras


BLOCK = "import sys; sys.modules.update(dict.fromkeys({blocked!r}))\n"  # their import fails
ASK = "from pipeline.ask import main; sys.exit(main([{file!r}, 'who?', '--context', 'a text.']))"
MEASURE = "from benchmarks.run import main; sys.exit(main([{file!r}, '--quick']))"
PHONE = (
    "from benchmarks.android import main; sys.exit(main([{file!r}, '--benchmark-model', {file!r}]))"
)
COMPAT = "from converters.compat.matrix import main; sys.exit(main([{file!r}]))"


@pytest.mark.parametrize(
    ("program", "suffix", "extra"),
    [
        (ASK, ".tflite", "tflite"),
        (ASK, ".onnx", "onnx"),
        (ASK, ".mlpackage", "coreml"),
        (ASK, ".pte", "peers"),
        (MEASURE, ".tflite", "tflite"),
        (MEASURE, ".onnx", "onnx"),
        (PHONE, ".tflite", "tflite"),
        (COMPAT, ".tflite", "tflite"),
    ],
)
def test_a_missing_extra_is_one_line(
    program: str, suffix: str, extra: str, tiny_export: Path, tmp_path: Path
) -> None:
    """It says what to install, and asks for no package of the project's own name."""
    file = tmp_path / f"student{suffix}"
    if extra == "coreml":
        from coreml_fixtures import package

        shutil.copytree(package("distilbert", "int8"), file)
    else:
        file.write_bytes((tiny_export / "student-int8.tflite").read_bytes())
    described = json.loads((tiny_export / "model.json").read_text("utf-8"))
    entry = described["files"]["int8"]
    described["files"] = {"int8": {**entry, "path": file.name, "sha256": checksums.digest(file)}}
    (tmp_path / "model.json").write_text(json.dumps(sealed.seal(described)), "utf-8")
    shutil.copy(tiny_export / "vocab.txt", tmp_path)
    script = BLOCK.format(blocked=tuple(extras.EXTRAS)) + program.format(file=str(file))
    ended = run([sys.executable, "-c", script], ROOT)
    assert ended.returncode == 2, ended.stderr
    (line,) = ended.stderr.splitlines()
    assert "not installed" in line and extras.install_hint(extra) in line


@pytest.mark.parametrize("extra", sorted({*extras.EXTRAS.values()}))
def test_a_hint_names_packages_of_others(extra: str) -> None:
    hint = extras.install_hint(extra)
    assert hint.startswith("pip install ") and extras.DISTRIBUTION not in hint
    brought = [module for module, owner in extras.EXTRAS.items() if owner == extra]
    assert all(module.replace("_", "-").split("-")[0] in hint for module in brought)


EXPORT = """
import os, torch
from pathlib import Path
from transformers import DistilBertConfig, DistilBertForQuestionAnswering
from pipeline.files.targets import FORMATS, Request
from pipeline.models.origin import Origin
from pipeline.config import Build, Export
FORMATS[{target!r}].require()
config = DistilBertConfig(
    vocab_size=1000, dim=32, hidden_dim=64, n_layers=1, n_heads=2, max_position_embeddings=384
)
folder = Path({folder!r})
build = Build(export=Export(target=({target!r},), precision=("int8",)))
model = DistilBertForQuestionAnswering(config).eval()
asked = Request(model, folder, build, folder / "vocab.txt", Origin(""))
(path,) = FORMATS[{target!r}].make(asked).values()
print(FORMATS[{target!r}].describe(path).sha256)
"""


@pytest.mark.long  # import-linter holds the rule at every run; tests/test_extras.py has real ones
@pytest.mark.parametrize("target", ["tflite", "coreml", "onnx"])
def test_a_target_needs_its_own_extra_alone(target: str, tmp_path: Path) -> None:
    """Else a build would find out after hours of training."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"piece{i}" for i in range(996))]
    (tmp_path / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces))
    others = tuple(name for name, extra in extras.EXTRAS.items() if extra != target)
    script = BLOCK.format(blocked=others) + EXPORT.format(target=target, folder=str(tmp_path))
    ended = run([sys.executable, "-c", script], ROOT)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert len(ended.stdout.split()[-1]) == 64


def test_no_message_asks_a_registry_for_this_project() -> None:
    """Whoever registered its name there would be installed."""
    for room in ("pipeline", "converters", "benchmarks", "docs", "android_demo"):
        for path in (ROOT / room).rglob("*"):
            if path.suffix in (".py", ".md", ".j2", ".kt", ".sh"):
                text = path.read_text(encoding="utf-8")
                assert f"{extras.DISTRIBUTION}[" not in text or path.name == "extras.py", path
