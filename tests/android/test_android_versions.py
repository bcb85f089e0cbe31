# SPDX-License-Identifier: Apache-2.0
"""Maven and Gradle build the Android side from the same versions."""

from __future__ import annotations

import tomllib
import xml.etree.ElementTree as ET

from repository import ROOT

ANDROID = ROOT / "android_demo"
NAMESPACE = "{http://maven.apache.org/POM/4.0.0}"

# What only one of them has: the Android plugin, and LiteRT, which only Google's repository has.
GRADLE_ALONE = {"agp", "litert"}


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


def test_maven_and_gradle_have_the_same_modules() -> None:
    settings = (ANDROID / "settings.gradle.kts").read_text(encoding="utf-8")
    modules = ET.parse(ANDROID / "pom.xml").getroot().iter(f"{NAMESPACE}module")
    names = {str(module.text) for module in modules}
    sources = {name for name in names if not name.startswith("maven/")}
    assert all(f'":{name}"' in settings for name in sources)
    assert settings.count('":') == len(sources)
    for name in sources:
        assert (ANDROID / name / "build.gradle.kts").is_file()
