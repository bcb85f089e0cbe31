# SPDX-License-Identifier: Apache-2.0
"""Builds the APKs of the demo, with the model of the last build, without the Android SDK.

    python android_demo/apk/build_apk.py

The steps are: model -> classes -> resources -> dex -> zip -> signature -> checks. The result is a
debug APK and a release APK, both signed with a debug key, and the mapping file that turns a crash
report of the release back into names. The APKs contain TensorFlow Lite, the newest runtime on Maven
Central; the Gradle files build the same app with LiteRT.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import aligned_zip
import badging
from aligned_zip import Entry
from commands import ApkError, run
from packed_model import ROOT, last_build, put_model

from pipeline import __version__

DEMO = ROOT / "android_demo"
APP = DEMO / "app" / "target" / "android"
RESOURCE_TOOLS = DEMO / "maven" / "test-aar" / "target" / "prebuilt"
RUNTIME = DEMO / "maven" / "tflite-aar" / "target" / "tensorflow-lite"
CLASSPATHS = DEMO / "maven" / "apk" / "target"

# The rules for R8 that each library brings along.
LIBRARY_RULES = (
    DEMO / "core" / "src" / "main" / "resources" / "META-INF" / "proguard" / "core.pro",
    DEMO / "answerer" / "consumer-rules.pro",
)

ABIS = ("arm64-v8a", "x86_64")
MIN_SDK, TARGET_SDK = 26, 36  # as in pom.xml

# Bytes, of an APK without its .tflite files.
MOST_BYTES = 10_000_000

# Beside the release APK: what R8 calls everything, and the classes as a JVM runs them.
MAPPING, CLASSES = "mapping.txt", "classes.jar"

# Android's own conventions for a debug key.
ALIAS, PASSWORD = "androiddebugkey", "android"

# Commands and the Debian packages that have them.
TOOLS = {
    "javac": "default-jdk-headless",
    "mvn": "maven",
    "apksigner": "apksigner",
    "aapt": "aapt",
    "zipalign": "zipalign",
}


def build(out: Path, built: Path | None, maven: Sequence[str]) -> list[Path]:
    """Build both APKs.

    Args:
        out: the folder to write into.
        built: the folder of a build of `pipeline.build`; None for the last one.
        maven: options for Maven, such as --offline.

    Returns:
        The APKs, debug first.

    Raises:
        ApkError: a tool or a build is missing, a step fails, or an APK fails a check.
    """
    require_tools()
    assets = out / "assets"
    put_model((built or last_build(ROOT / "build")).resolve(), assets / "model", out)
    print("classes", flush=True)
    run(
        [
            *("mvn", "--file", DEMO / "pom.xml", "--batch-mode", *maven, "-Papk", "-DskipTests"),
            *("--projects", "maven/apk", "--also-make", "process-classes"),
        ],
        "compiling the app",
    )
    key = debug_key(out)
    apks = []
    for kind in ("debug", "release"):
        path = out / f"distilbert-demo-{kind}.apk"
        with tempfile.TemporaryDirectory(dir=out, prefix=f".{kind}-") as folder:
            aside = pack(kind, assets, key, Path(folder))
            print(f"{path}: {check(aside)}")
            aside.replace(path)
            for name in (MAPPING, CLASSES):
                if (beside := aside.with_name(name)).exists():
                    beside.replace(path.with_suffix(f".{name}"))
        apks.append(path)
    return apks


def test(out: Path, maven: Sequence[str]) -> None:
    """Run the app's tests on the debug APK, and the golden cases on the release APK.

    Args:
        out: the folder of the APKs.
        maven: options for Maven, such as --offline.

    Raises:
        ApkError: a test fails; what Maven printed was shown.
    """
    run(
        [
            *(DEMO / "test.sh", *maven, "-Papk-test", "-DskipTests", f"-Dapk.folder={out}"),
            *("--projects", "maven/apk-test", "--also-make", "test"),
        ],
        "testing the APKs",
        shown=True,
    )


def require_tools() -> None:
    """Raises an ApkError with the packages to install where a command is missing."""
    missing = [name for name in TOOLS if shutil.which(name) is None]
    if missing:
        packages = " ".join(TOOLS[name] for name in missing)
        raise ApkError(f"not found: {', '.join(missing)}; on Debian: apt-get install {packages}")


def pack(kind: str, assets: Path, key: Path, folder: Path) -> Path:
    """Makes one signed APK in a folder.

    Args:
        kind: "debug" or "release"; the latter is shrunk.
        assets: what goes into the APK's assets.
        key: the keystore.
        folder: an empty one.
    """
    manifest, resources, dex, unsigned, signed = (
        folder / name
        for name in ("AndroidManifest.xml", "resources.apk", "dex", "unsigned.apk", "signed.apk")
    )
    # As Gradle's plugin adds it: libraries are mapped out of the APK.
    text = (APP / "AndroidManifest.xml").read_text(encoding="utf-8")
    mapped = '<application android:extractNativeLibs="false"'
    manifest.write_text(text.replace("<application", mapped, 1), encoding="utf-8")
    run(
        [
            *(RESOURCE_TOOLS / "linux" / "aapt2", "link"),
            *("-I", RESOURCE_TOOLS / "android-framework.jar"),
            *("--manifest", manifest, "--auto-add-overlay", "-0", "tflite"),
            *("--min-sdk-version", MIN_SDK, "--target-sdk-version", TARGET_SDK),
            *("--version-code", "1", "--version-name", __version__, "-A", assets),
            *("--proguard", folder / "aapt.pro", "-o", resources, APP / "res.zip"),
            *(["--debug-mode"] if kind == "debug" else []),
        ],
        "linking the resources",
    )
    print(f"dex     of the {kind} APK", flush=True)
    dex.mkdir()
    inputs = [Path(path) for path in read_classpath("app")]
    packed = [jar_of(path, folder / f"{place}.jar") for place, path in enumerate(inputs)]
    tool = ["java", "-Xmx1g", "-cp", os.pathsep.join(read_classpath("r8"))]
    platform = (java_home(), *read_classpath("framework"))
    if kind == "debug":
        tool += ["com.android.tools.r8.D8", "--debug"]
    else:
        rules = (DEMO / "apk" / "rules.pro", *LIBRARY_RULES, folder / "aapt.pro")
        tool += ["com.android.tools.r8.R8", "--release", *each("--pg-conf", rules)]
        tool += ["--pg-map-output", str(folder / MAPPING)]
    run(
        [*tool, "--min-api", MIN_SDK, *each("--lib", platform), "--output", dex, *packed],
        "making the dex file",
    )
    if kind == "release":
        # The same with the same names, for a JVM: R8's dex files call constructors as no class file
        # can. For dex files alone, R8 makes members public without being asked.
        names = folder / "names.pro"
        rule = f"-applymapping {folder / MAPPING}\n-allowaccessmodification\n"
        names.write_text(rule, encoding="utf-8")
        written = tool.index("--pg-map-output")
        del tool[written : written + 2]
        run(
            [
                *(*tool, "--classfile", "--pg-conf", names, *each("--lib", platform)),
                *("--output", folder / CLASSES, *packed),
            ],
            "making class files of the release",
        )
    aligned_zip.write(unsigned, contents(resources, dex, inputs))
    run(
        [
            *("apksigner", "sign", "--ks", key, "--ks-pass", f"pass:{PASSWORD}"),
            *("--ks-key-alias", ALIAS, "--v1-signing-enabled", "false"),
            *("--v2-signing-enabled", "true", "--v3-signing-enabled", "true"),
            *("--min-sdk-version", MIN_SDK, "--in", unsigned, "--out", signed),
        ],
        "signing",
    )
    return signed


def contents(resources: Path, dex: Path, inputs: Sequence[Path]) -> Iterator[Entry]:
    """What an APK holds: resources and assets, dex files, our classes' files, native libraries."""
    yield from aligned_zip.entries_of(resources)
    for path in sorted(dex.glob("*.dex")):
        yield Entry(path.name, path.read_bytes())
    for module in inputs:
        if module.is_dir():
            yield from (e for e in files_in(module) if not is_class(e) and "META-INF" not in e.name)
    for abi in ABIS:
        for path in sorted((RUNTIME / "jni" / abi).glob("*.so")):
            yield Entry(f"lib/{abi}/{path.name}", path.read_bytes(), stored=True)


def check(apk: Path) -> str:
    """Checks a finished APK with the platform's own tools; returns its sizes in words.

    Raises:
        ApkError: with everything that is wrong.
    """
    signature = run(["apksigner", "verify", "--verbose", apk], "verifying the signature")
    described = run(["aapt", "dump", "badging", apk], "reading the manifest")
    run(["zipalign", "-c", "-p", "4", apk], "checking the alignment")
    problems = badging.signature_problems(signature)
    problems += badging.problems(described, min_sdk=MIN_SDK, target_sdk=TARGET_SDK, abis=ABIS)
    problems += [f"{name} is not aligned" for name in aligned_zip.misaligned(apk)]
    stored = aligned_zip.offsets(apk)
    models = [e for e in aligned_zip.entries_of(apk) if e.name.endswith(".tflite")]
    problems += [f"{e.name} is compressed" for e in models if e.name not in stored]
    whole, model = apk.stat().st_size, sum(len(entry.data) for entry in models)
    if whole - model > MOST_BYTES:
        problems.append(f"{whole - model} bytes without the model, more than {MOST_BYTES}")
    if problems:
        raise ApkError(f"{apk.name}: {'; '.join(problems)}")
    return f"{whole / 1e6:.2f} MB, {(whole - model) / 1e6:.2f} MB without the model"


def debug_key(out: Path) -> Path:
    """The keystore of Android's tools, or one made here and kept: updates want the same key."""
    common = Path.home() / ".android" / "debug.keystore"
    own = out / "debug.keystore"
    for path in (common, own):
        if path.is_file():
            return path
    with tempfile.TemporaryDirectory(dir=out) as folder:
        aside = Path(folder) / own.name
        run(
            [
                *("keytool", "-genkeypair", "-keystore", aside, "-storetype", "PKCS12"),
                *("-storepass", PASSWORD, "-alias", ALIAS),
                *("-dname", "CN=Android Debug,O=Android,C=US"),
                *("-keyalg", "RSA", "-keysize", "2048", "-validity", "10950"),
            ],
            "making a debug key",
        )
        aside.replace(own)
    return own


def jar_of(path: Path, jar: Path) -> Path:
    """A folder of classes as the jar that D8 and R8 want; a jar as it is."""
    if path.is_file():
        return path
    aligned_zip.write(jar, filter(is_class, files_in(path)))
    return jar


def files_in(folder: Path) -> Iterator[Entry]:
    """All files below a folder, in the order of their names."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield Entry(path.relative_to(folder).as_posix(), path.read_bytes())


def is_class(entry: Entry) -> bool:
    """Whether it goes into a dex file."""
    return entry.name.endswith(".class")


def each(flag: str, values: Iterable[object]) -> list[str]:
    """The flag before each value."""
    return [word for value in values for word in (flag, str(value))]


def read_classpath(name: str) -> list[str]:
    """A class path that the Maven module wrote."""
    return (CLASSPATHS / f"{name}.txt").read_text(encoding="utf-8").strip().split(os.pathsep)


def java_home() -> str:
    """The JDK's folder."""
    compiler = shutil.which("javac")
    assert compiler, "require_tools has looked"
    return str(Path(compiler).resolve().parents[1])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 if a tool is missing or a step fails."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    add = parser.add_argument
    add(
        "--out",
        type=Path,
        default=ROOT / "build" / "android",
        metavar="FOLDER",
        help="Write the APKs to this folder (default: build/android).",
    )
    add(
        "--build",
        type=Path,
        metavar="FOLDER",
        help="Pack the model of this build (default: the last build in build/).",
    )
    add("--offline", action="store_true", help="Run Maven without network access.")
    add("--test", action="store_true", help="Test the APKs as well, for some minutes.")
    asked = parser.parse_args(arguments)
    maven = ["--offline"] if asked.offline else []
    try:
        asked.out.mkdir(parents=True, exist_ok=True)
        out = asked.out.resolve()
        build(out, asked.build, maven)
        if asked.test:
            test(out, maven)
    except (ApkError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
