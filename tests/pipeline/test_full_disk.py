# SPDX-License-Identifier: Apache-2.0
"""A disk that fills up while any stage runs, and a machine that gives a build little else."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from build_command import command

from pipeline import build, lock

SHORT = (
    *("--teacher.optimization.epochs", "1", "--distil.optimization.epochs", "1"),
    *("--finetune.optimization.epochs", "1", "--target", "all", "--precision", "int8"),
)
# Bytes that are left when report, card and hub/ are written: each is refused at another place.
LEFT = (0, 8_000, 60_000, 200_000, 600_000)


@contextlib.contextmanager
def disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(["mount", *options], check=False).returncode:
        pytest.skip("a small tmpfs cannot be mounted here: needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, left: int = 0) -> Path:
    """Fills a file system up to some bytes."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(64_000)):
            pass
    with filler.open("r+b") as file:
        file.truncate(max(0, filler.stat().st_size - left))
    return filler


@pytest.mark.long
def test_a_disk_that_fills_up_in_any_stage(
    tiny_teacher: Path,
    squad_file: Path,
    text_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Each stage meets a full disk once; the next run, with room again, goes on behind it."""
    met: list[str] = []
    refused: list[str] = []
    running, finish = lock.running, build.finish

    with disk(tmp_path / "disk", "60m") as small:
        out = small / "out"

        @contextlib.contextmanager
        def filling(root: Path, stage: str) -> Iterator[None]:
            with running(root, stage):
                if stage not in met:
                    met.append(stage)
                    fill(small)
                yield

        def finishing(*given: Any) -> None:
            if (times := met.count("finish")) < len(LEFT):
                met.append("finish")
                fill(small, LEFT[times])
            finish(*given)

        monkeypatch.setattr(lock, "running", filling)
        monkeypatch.setattr(build, "finish", finishing)
        arguments = [*command(tiny_teacher, squad_file, text_file, out)[3:], *SHORT]
        for _ in range(40):
            capfd.readouterr()
            code = build.main(arguments)
            said = capfd.readouterr()
            if code == 0:
                break
            lines = [line for line in said.err.splitlines() if line.startswith("error: ")]
            assert code == 2 and len(lines) == 1, said.err[-3000:]
            assert "is full" in lines[0] or "No space left on device" in lines[0], lines
            assert "Traceback" not in said.err
            assert not [path for path in out.rglob("*.partial") if path.is_file()], met[-1]
            refused.append(met[-1])
            (small / "filler").unlink()
        assert code == 0
        expected = ["teacher", "mlm-teacher", "distilled", "teacher-outputs", "student", "tflite"]
        assert met[: len(expected)] == expected
        assert {"onnx", "coreml", "verify", "finish"} <= set(met)
        print("refused:", refused, "of", met)
        assert {*expected, "onnx", "coreml", "finish"} <= set(refused)
        for name in ("report.json", "report.html", "MODEL_CARD.md", "hub/README.md"):
            assert (out / name).stat().st_size


@pytest.mark.long
def test_a_build_on_a_machine_that_gives_little(
    tiny_teacher: Path, squad_file: Path, text_file: Path, tmp_path: Path
) -> None:
    """No home and no cache that can be written, no room for temporary files, few open files."""
    nothing = tmp_path / "file" / "below"
    nothing.parent.touch()
    out = tmp_path / "out"
    with disk(tmp_path / "disk", "64k") as small:
        fill(small)
        given = shlex.join([*command(tiny_teacher, squad_file, text_file, out), *SHORT])
        places = ("HOME", "XDG_CACHE_HOME", "HF_HOME", "MPLCONFIGDIR")
        done = subprocess.run(
            ["bash", "-c", f"ulimit -n 32; exec {given}"],
            env=os.environ
            | {"HF_HUB_OFFLINE": "1", "TMPDIR": str(small)}
            | dict.fromkeys(places, str(nothing)),
            capture_output=True,
            text=True,
            timeout=900,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
