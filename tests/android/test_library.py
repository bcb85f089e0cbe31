# SPDX-License-Identifier: Apache-2.0
"""The repository of Android libraries: what lies in it, and what an app gets with it."""

from __future__ import annotations

import hashlib
import io
import sys
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import pytest
from repository import ROOT

sys.path.insert(0, str(ROOT / "android_demo" / "apk"))

import build_library
from aligned_zip import Entry

NAMESPACE = "{http://maven.apache.org/POM/4.0.0}"
CLASSES = [Entry("distilbert/mobile/A.class", b"code"), Entry("META-INF/a.kotlin_module", b"m")]


def dependencies(pom: Path) -> dict[str, str]:
    """What a POM needs: versions by group and artifact."""
    found = ET.parse(pom).getroot().iter(f"{NAMESPACE}dependency")
    texts = [[str(child.text) for child in dependency] for dependency in found]
    return {f"{group}:{artifact}": version for group, artifact, version, _ in texts}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository, with a class in place of those that Maven compiles."""
    monkeypatch.setattr(build_library, "compiled", lambda folder: iter(CLASSES))
    written = build_library.write(tmp_path, "1.2.3")
    assert [path.name for path in written] == [
        "core-1.2.3.jar",
        "coroutines-1.2.3.jar",
        "answerer-1.2.3.aar",
        "accelerated-1.2.3.aar",
    ]
    return tmp_path / "distilbert" / "mobile"


def test_each_library_has_its_sources_and_what_it_needs(repository: Path) -> None:
    for name, source in (
        ("core", "distilbert/mobile/core/Json.kt"),
        ("coroutines", "distilbert/mobile/coroutines/Models.kt"),
        ("answerer", "distilbert/mobile/answerer/QuestionAnswerer.kt"),
        ("accelerated", "distilbert/mobile/accelerated/CompiledEngine.kt"),
    ):
        folder = repository / name / "1.2.3"
        with zipfile.ZipFile(folder / f"{name}-1.2.3-sources.jar") as sources:
            assert source in sources.namelist()
        sums = {path.stem: path.read_text() for path in folder.glob("*.sha1")}
        assert len(sums) == 3
        for path, digest in sums.items():
            content = (folder / path).read_bytes()
            assert hashlib.sha1(content, usedforsecurity=False).hexdigest() == digest
    core = dependencies(repository / "core" / "1.2.3" / "core-1.2.3.pom")
    assert set(core) == {"org.jetbrains.kotlin:kotlin-stdlib"}
    answerer = dependencies(repository / "answerer" / "1.2.3" / "answerer-1.2.3.pom")
    assert answerer["distilbert.mobile:core"] == "1.2.3"
    assert answerer["com.google.ai.edge.litert:litert"].startswith("1.")
    accelerated = dependencies(repository / "accelerated" / "1.2.3" / "accelerated-1.2.3.pom")
    assert accelerated["distilbert.mobile:answerer"] == "1.2.3"
    assert accelerated["com.google.ai.edge.litert:litert"].startswith("2.")
    assert not any("stubs" in name for name in accelerated)
    coroutines = dependencies(repository / "coroutines" / "1.2.3" / "coroutines-1.2.3.pom")
    assert "org.jetbrains.kotlinx:kotlinx-coroutines-core" in coroutines


@pytest.mark.parametrize(
    ("name", "kept"),
    [("answerer", "org.tensorflow.lite"), ("accelerated", "com.google.ai.edge.litert")],
)
def test_an_aar_has_classes_rules_and_a_manifest_without_permissions(
    name: str, kept: str, repository: Path
) -> None:
    with zipfile.ZipFile(repository / name / "1.2.3" / f"{name}-1.2.3.aar") as archive:
        manifest = ET.fromstring(archive.read("AndroidManifest.xml"))
        rules = archive.read("proguard.txt").decode()
        with zipfile.ZipFile(io.BytesIO(archive.read("classes.jar"))) as classes:
            assert classes.namelist() == [entry.name for entry in CLASSES]
    assert manifest.get("package") == f"distilbert.mobile.{name}"
    assert [child.tag for child in manifest] == ["uses-sdk"]
    assert f"-keep class {kept}.**" in rules


def test_the_r_class_stays_out(tmp_path: Path) -> None:
    for name in ("R.class", "R$string.class", "Runtime.class"):
        (tmp_path / name).write_bytes(b"code")
    assert [entry.name for entry in build_library.compiled(tmp_path)] == ["Runtime.class"]
