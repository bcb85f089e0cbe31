# SPDX-License-Identifier: Apache-2.0
"""Maven and Gradle build the Android side from the same versions."""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
import xml.etree.ElementTree as ET

from repository import ROOT

ANDROID = ROOT / "android_demo"
NAMESPACE = "{http://maven.apache.org/POM/4.0.0}"

# What only one of them has: the Android plugin, and LiteRT, which only Google's repository has.
GRADLE_ALONE = {"agp", "litert", "compiled-litert", "test-runner"}

# The checksum that Gradle publishes for the wrapper of 9.4.
WRAPPER = "55243ef57851f12b070ad14f7f5bb8302daceeebc5bce5ece5fa6edb23e1145c"


def catalog() -> dict[str, str]:
    """The versions of Gradle's catalog."""
    text = (ANDROID / "gradle" / "libs.versions.toml").read_text(encoding="utf-8")
    versions: dict[str, str] = tomllib.loads(text)["versions"]
    return versions


def properties() -> dict[str, str | None]:
    """The properties of the root pom.xml."""
    found = ET.parse(ANDROID / "pom.xml").getroot().find(f"{NAMESPACE}properties")
    assert found is not None
    return {entry.tag.removeprefix(NAMESPACE): entry.text for entry in found}


def test_maven_and_gradle_have_the_same_versions() -> None:
    maven, gradle = properties(), catalog()
    for name, version in gradle.items():
        if name in GRADLE_ALONE:
            continue
        key = name.replace("-", ".") if name.endswith("-sdk") else f"{name}.version"
        assert maven[key] == version, f"{name} is {version} for Gradle, {maven[key]} for Maven"


def test_the_apk_is_for_the_same_versions_of_android() -> None:
    text = (ANDROID / "apk" / "build_apk.py").read_text(encoding="utf-8")
    numbers = f"{catalog()['min-sdk']}, {catalog()['target-sdk']}"
    assert f"MIN_SDK, TARGET_SDK = {numbers}" in text


def test_maven_and_gradle_have_the_same_modules() -> None:
    settings = (ANDROID / "settings.gradle.kts").read_text(encoding="utf-8")
    modules = ET.parse(ANDROID / "pom.xml").getroot().iter(f"{NAMESPACE}module")
    names = {str(module.text) for module in modules}
    sources = {name for name in names if not name.startswith("maven/")}
    assert all(f'":{name}"' in settings for name in sources)
    assert settings.count('":') == len(sources)
    for name in sources:
        assert (ANDROID / name / "build.gradle.kts").is_file()


def build_files() -> dict[str, str]:
    """Gradle's build files by module."""
    return {
        path.parent.name: path.read_text(encoding="utf-8")
        for path in sorted(ANDROID.glob("*/build.gradle.kts"))
    }


def test_the_libraries_build_without_the_modules_of_the_tests() -> None:
    for module in ("core", "answerer"):
        text = build_files()[module]
        assert 'project(":testing")' not in text.replace('findProject(":testing")', "")
        assert 'findProject(":testing")?.let' in text
    assert "if (golden.isDirectory) inputs.dir(golden)" in build_files()["core"]


def test_gradle_checks_what_it_downloads_and_signs_no_release_with_the_debug_key() -> None:
    wrapper = ANDROID / "gradle" / "wrapper" / "gradle-wrapper.properties"
    lines = dict(
        line.split("=", 1)
        for line in wrapper.read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    )
    assert re.fullmatch(r"[0-9a-f]{64}", lines["distributionSha256Sum"])
    assert re.search(r"/gradle-9\.\d+\.\d+-bin\.zip$", lines["distributionUrl"])
    assert 'getByName("debug")' not in build_files()["app"]


def test_the_wrapper_is_gradles_own_and_starts() -> None:
    jar = (ANDROID / "gradle" / "wrapper" / "gradle-wrapper.jar").read_bytes()
    assert hashlib.sha256(jar).hexdigest() == WRAPPER
    assert os.access(ANDROID / "gradlew", os.X_OK)
    assert "gradle-wrapper.jar" in (ANDROID / "gradlew").read_text(encoding="utf-8")
    assert b"\r\n" in (ANDROID / "gradlew.bat").read_bytes()


def test_agp_9_compiles_kotlin_itself() -> None:
    assert int(catalog()["agp"].split(".")[0]) >= 9
    assert all("kotlin.android" not in text for text in build_files().values())


def test_warnings_stop_builds_in_continuous_integration_only() -> None:
    for text in build_files().values():
        assert 'allWarningsAsErrors = providers.gradleProperty("warnings.as.errors")' in text
