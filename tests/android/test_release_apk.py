# SPDX-License-Identifier: Apache-2.0
"""The test of the release APK fails where something that the app needs is not in it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from repository import ROOT

sys.path.insert(0, str(ROOT / "android_demo" / "apk"))

import aligned_zip
from aligned_zip import Entry

RELEASE = ROOT / "build" / "android" / "distilbert-demo-release.apk"


def run_the_test(apk: Path) -> subprocess.CompletedProcess[str]:
    """Run the test of `make android-apk` on another release APK; the debug APK is not tested."""
    command: list[str | Path] = [ROOT / "android_demo" / "test.sh", "-Papk-test", "-DskipTests"]
    command += ["--offline", "-Dtest=ReleaseApkTest", "-Dsurefire.failIfNoSpecifiedTests=false"]
    command += [f"-Drelease.apk={apk}", "--projects", "maven/apk-test", "--also-make", "test"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def without_characters(entry: Entry) -> Entry | None:
    """Leave out the tables of the tokenizer."""
    return None if entry.name.endswith("/core/characters.txt") else entry


def with_another_answer(entry: Entry) -> Entry | None:
    """Change a golden question; the digest of the file no longer fits."""
    if entry.name != "assets/model/golden.json":
        return entry
    changed = entry.data.replace(b'"question": "', b'"question": "Not ').replace(
        b'"question":"', b'"question":"Not '
    )
    assert changed != entry.data
    return replace(entry, data=changed)


@pytest.mark.long
@pytest.mark.parametrize(
    ("change", "words"),
    [(without_characters, "characters.txt"), (with_another_answer, "golden.json")],
)
def test_a_release_apk_that_cannot_answer_fails(
    change: Callable[[Entry], Entry | None], words: str, tmp_path: Path
) -> None:
    if not RELEASE.is_file() or not shutil.which("mvn"):
        pytest.skip("run make android-apk first")
    broken = tmp_path / "broken.apk"
    entries = list(aligned_zip.entries_of(RELEASE))
    kept = [changed for entry in entries if (changed := change(entry)) is not None]
    assert kept != entries
    aligned_zip.write(broken, kept)
    ended = run_the_test(broken)
    assert ended.returncode == 1, ended.stdout[-3000:]
    assert "ReleaseApkTest" in ended.stderr and words in ended.stdout
