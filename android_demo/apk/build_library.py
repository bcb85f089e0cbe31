# SPDX-License-Identifier: Apache-2.0
"""Builds the Android libraries as a Maven repository in a folder, without the Android SDK.

    python android_demo/apk/build_library.py

The folder holds core.jar, coroutines.jar, answerer.aar and accelerated.aar, each with its sources,
its POM and their checksums. An app adds the folder as a repository and takes
distilbert.mobile:answerer as a dependency.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import aligned_zip
from aligned_zip import Entry
from build_apk import DEMO, MIN_SDK, files_in
from commands import ApkError, run
from packed_model import ROOT

from pipeline import __version__

GROUP = "distilbert.mobile"
PACKAGING = {"core": "jar", "coroutines": "jar", "answerer": "aar", "accelerated": "aar"}

# What each library needs beside Kotlin's own: a library of ours, or an entry of Gradle's catalog.
NEEDS = {
    "core": (),
    "coroutines": ("core", "coroutines"),
    "answerer": ("core", "litert"),
    "accelerated": ("answerer", "compiled-litert"),
}

# The source manifests are empty: Gradle's plugin adds these two.
MANIFEST = f"""<?xml version="1.0" encoding="utf-8"?>
<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="{GROUP}.NAME">
    <uses-sdk android:minSdkVersion="{MIN_SDK}" />
</manifest>
"""


def build(out: Path, maven: Sequence[str]) -> list[Path]:
    """Compile the libraries and write the repository.

    Args:
        out: the folder to write into.
        maven: options for Maven, such as --offline.

    Returns:
        The jars and the AAR.

    Raises:
        ApkError: the compilation fails.
    """
    run(
        [
            *("mvn", "--file", DEMO / "pom.xml", "--batch-mode", *maven, "-DskipTests"),
            *("--projects", ",".join(PACKAGING), "--also-make", "process-classes"),
        ],
        "compiling the libraries",
    )
    return write(out, __version__)


def write(out: Path, version: str) -> list[Path]:
    """Write the repository from what Maven compiled; see `build`."""
    libraries = []
    for name, packaging in PACKAGING.items():
        folder = out / Path(*GROUP.split("."), name, version)
        folder.mkdir(parents=True, exist_ok=True)
        library = folder / f"{name}-{version}.{packaging}"
        classes = list(compiled(DEMO / name / "target" / "classes"))
        if packaging == "aar":
            jar = folder / "classes.jar"
            aligned_zip.write(jar, classes)
            aligned_zip.write(library, android_archive(name, jar.read_bytes()))
            jar.unlink()
        else:
            aligned_zip.write(library, classes)
        sources = [e for kind in ("kotlin", "resources") for e in source_files(name, kind)]
        source = folder / f"{name}-{version}-sources.jar"
        aligned_zip.write(source, sources)
        pom = folder / f"{name}-{version}.pom"
        pom.write_text(project(name, version), encoding="utf-8")
        for path in (library, source, pom):  # Maven warns of files without a checksum
            digest = hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()
            path.with_name(f"{path.name}.sha1").write_text(digest, encoding="ascii")
        libraries.append(library)
    return libraries


def compiled(folder: Path) -> Iterator[Entry]:
    """The classes and resources of a module, without the R class that each app makes anew."""
    for entry in files_in(folder):
        simple = entry.name.rpartition("/")[2]
        if not (simple == "R.class" or simple.startswith("R$")):
            yield entry


def source_files(name: str, kind: str) -> Iterator[Entry]:
    """The files of a module's folder of sources, of which there may be none."""
    folder = DEMO / name / "src" / "main" / kind
    return files_in(folder) if folder.is_dir() else iter(())


def android_archive(name: str, classes: bytes) -> list[Entry]:
    """The content of a library's AAR, as Gradle's plugin writes it."""
    rules = (DEMO / name / "consumer-rules.pro").read_bytes()
    metadata = "aarFormatVersion=1.0\naarMetadataVersion=1.0\nminCompileSdk=1\n"
    return [
        Entry("AndroidManifest.xml", MANIFEST.replace("NAME", name).encode()),
        Entry("classes.jar", classes),
        Entry("R.txt", b""),
        Entry("proguard.txt", rules),
        Entry("META-INF/com/android/build/gradle/aar-metadata.properties", metadata.encode()),
    ]


def project(name: str, version: str) -> str:
    """The POM of a library."""
    catalog = tomllib.loads((DEMO / "gradle" / "libs.versions.toml").read_text("utf-8"))
    needed = [("org.jetbrains.kotlin", "kotlin-stdlib", catalog["versions"]["kotlin"])]
    for need in NEEDS[name]:
        if need in PACKAGING and need != name:
            needed.append((GROUP, need, version))
        else:
            module = catalog["libraries"][need]
            group, artifact = module["module"].split(":")
            needed.append((group, artifact, catalog["versions"][module["version"]["ref"]]))
    dependencies = "".join(
        f"""
        <dependency>
            <groupId>{group}</groupId>
            <artifactId>{artifact}</artifactId>
            <version>{number}</version>
            <scope>compile</scope>
        </dependency>"""
        for group, artifact, number in needed
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
    <modelVersion>4.0.0</modelVersion>
    <groupId>{GROUP}</groupId>
    <artifactId>{name}</artifactId>
    <version>{version}</version>
    <packaging>{PACKAGING[name]}</packaging>
    <licenses>
        <license>
            <name>Apache-2.0</name>
            <url>https://www.apache.org/licenses/LICENSE-2.0</url>
        </license>
    </licenses>
    <dependencies>{dependencies}
    </dependencies>
</project>
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 if a tool is missing or a step fails."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT / "build" / "android" / "library",
        metavar="FOLDER",
        help="Write the repository to this folder (default: build/android/library).",
    )
    parser.add_argument("--offline", action="store_true", help="Run Maven without network access.")
    asked = parser.parse_args(arguments)
    try:
        for path in build(asked.out.resolve(), ["--offline"] if asked.offline else []):
            print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")
    except (ApkError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
