# SPDX-License-Identifier: Apache-2.0
"""How the demo's APK is laid out, what is taken from a build, and what the checks find."""

from __future__ import annotations

import json
import shlex
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from repository import ROOT

sys.path.insert(0, str(ROOT / "android_demo" / "apk"))

import aligned_zip
import badging
import build_apk
import commands
import interface_calls
import packed_model
from aligned_zip import Entry
from commands import ApkError

BADGING = """\
package: name='distilbert.mobile.app' versionCode='1' versionName='0.1.0'
sdkVersion:'26'
targetSdkVersion:'36'
application-label:'Answers'
launchable-activity: name='distilbert.mobile.app.MainActivity'  label='' icon=''
feature-group: label=''
native-code: 'arm64-v8a' 'x86_64'
"""
SIGNED = """\
Verifies
Verified using v1 scheme (JAR signing): false
Verified using v2 scheme (APK Signature Scheme v2): true
Verified using v3 scheme (APK Signature Scheme v3): true
"""
EXPECTED: dict[str, Any] = {"min_sdk": 26, "target_sdk": 36, "abis": ("arm64-v8a", "x86_64")}


# The zip


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_characters="/\\\0"), min_size=1),
            st.binary(max_size=99),
            st.booleans(),
        ),
        unique_by=lambda entry: entry[0],
        max_size=9,
    )
)
def test_whatever_is_stored_is_aligned_and_read_back(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, bytes, bool]]
) -> None:
    path = tmp_path_factory.mktemp("zip") / "a.zip"
    given = [
        Entry(f"lib/{name}.so" if stored else name, data, stored) for name, data, stored in entries
    ]
    given = list({entry.name: entry for entry in given}.values())
    aligned_zip.write(path, given)
    assert aligned_zip.entries_of(path) == given and aligned_zip.misaligned(path) == []
    content = path.read_bytes()
    for entry in given:
        if entry.stored:
            # Found without the zip's own tables: the content lies at a multiple of 16 KiB.
            places = range(0, len(content), 16384)
            assert any(content[at : at + len(entry.data)] == entry.data for at in places)


def test_stored_files_other_than_libraries_begin_at_4_bytes(tmp_path: Path) -> None:
    names = ["a", "ab", "abc", "abcd", "abcde"]
    aligned_zip.write(tmp_path / "a.zip", [Entry(name, b"xyz", stored=True) for name in names])
    offsets = aligned_zip.offsets(tmp_path / "a.zip")
    assert list(offsets) == names and all(offset % 4 == 0 for offset in offsets.values())
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        for info in archive.infolist():  # the padding is a well-formed extra field
            head = struct.unpack("<HHH", info.extra[:6]) if info.extra else None
            assert head is None or head == (0xD935, len(info.extra) - 4, 4)
    assert (tmp_path / "a.zip").stat().st_size < 1000


def test_a_zip_that_is_not_aligned_is_noticed(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("lib/x86_64/a.so", b"library")
        archive.writestr("packed.so", b"library", zipfile.ZIP_DEFLATED)
        archive.writestr("model.tflite", b"model")
    assert aligned_zip.misaligned(tmp_path / "a.zip") == ["lib/x86_64/a.so", "model.tflite"]
    # By hand: a local header has 30 bytes and the name.
    assert aligned_zip.offsets(tmp_path / "a.zip")["lib/x86_64/a.so"] == 30 + len("lib/x86_64/a.so")


@pytest.mark.skipif(shutil.which("zipalign") is None, reason="apt-get install zipalign")
def test_the_platforms_own_tool_agrees(tmp_path: Path) -> None:
    path = tmp_path / "a.apk"
    entries = [
        Entry("AndroidManifest.xml", b"<manifest/>" * 9),
        Entry("resources.arsc", b"table", stored=True),
        Entry("lib/arm64-v8a/a.so", b"elf" * 5000, stored=True),
        Entry("assets/model/student.tflite", b"flat" * 999, stored=True),
    ]
    aligned_zip.write(path, entries)
    commands.run(["zipalign", "-c", "-p", "4", path], "checking")
    with zipfile.ZipFile(path, "w") as archive:
        for entry in entries[2:]:
            archive.writestr(entry.name, entry.data)
    with pytest.raises(ApkError, match=r"checking failed \(zipalign, exit code 1\)"):
        commands.run(["zipalign", "-c", "-p", "4", path], "checking")


def test_the_same_input_gives_the_same_bytes_and_a_name_comes_once(tmp_path: Path) -> None:
    entries = [Entry("a.txt", b"text"), Entry("lib/a.so", b"library", stored=True)]
    for name in ("one", "two"):
        aligned_zip.write(tmp_path / name, entries)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with pytest.raises(ValueError, match=r"a\.txt is there twice"):
        aligned_zip.write(tmp_path / "three", [*entries, entries[0]])


# What the platform's tools say


def test_an_apk_as_it_shall_be() -> None:
    assert badging.problems(BADGING, **EXPECTED) == []
    assert badging.signature_problems(SIGNED) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("distilbert.mobile.app' v", "other' v", "package other, expected distilbert.mobile.app"),
        ("sdkVersion:'26'", "sdkVersion:'28'", "lowest API level 28, expected 26"),
        ("targetSdkVersion:'36'\n", "", "target API level not found, expected 36"),
        ("feature", "uses-permission: name='android.permission.INTERNET'\nfeature", "INTERNET"),
        ("feature", "uses-implied-permission: name='READ'\nfeature", "permission: uses-implied"),
        (" 'x86_64'", "", "native code for arm64-v8a"),
        ("native-code", "densities", "native code for nothing"),
        ("launchable-", "leanback-launchable-", "no activity that a launcher shows"),
    ],
)
def test_a_manifest_that_is_wrong(old: str, new: str, words: str) -> None:
    assert old in BADGING
    (problem,) = badging.problems(BADGING.replace(old, new), **EXPECTED)
    assert words in problem


@pytest.mark.parametrize("scheme", ["v2", "v3"])
def test_a_signature_of_the_wrong_scheme(scheme: str) -> None:
    text = SIGNED.replace(f"Scheme {scheme}): true", f"Scheme {scheme}): false")
    assert badging.signature_problems(text) == [
        f"not signed with {scheme} scheme (APK Signature Scheme {scheme})"
    ]
    assert len(badging.signature_problems("DOES NOT VERIFY")) == 2


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    assert badging.problems(text, **EXPECTED) and badging.signature_problems(text)


# What is taken from a build


def test_the_build_is_made_again_as_it_was_made() -> None:
    report = {
        "command": "python -m pipeline.build --target all --force student tflite --out=b --seed 7 "
        "--android-assets a --android-precision int4",
        "config": {"export": {"precision": ["int8"]}},
    }
    old, new = ({"min_runtime": {"TensorFlow Lite": v}} for v in ("2.9.0", "2.17.0"))
    arguments = packed_model.build_arguments(report, {"int8": new, "fp16": old, "fp32": old})
    assert arguments == ["--target", "all", "--seed", "7", "--android-precision", "fp16"]
    assert packed_model.build_arguments(report, {"int8": new, "onnx": {"min_runtime": {}}}) == [
        *("--target", "all", "--seed", "7", "--precision", "int8", "int8-per-tensor"),
        *("--android-precision", "int8-per-tensor"),
    ]


@pytest.mark.parametrize("oldest", ["2.9.0", "2.17.0"])
def test_the_users_build_keeps_its_figures(
    oldest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a file for the APK's runtime, a copy of the build makes one and measures nothing."""
    built, out = tmp_path / "built", tmp_path / "out"
    (built / "tflite").mkdir(parents=True)
    out.mkdir()
    (out / "build-of-another").mkdir()
    report = {"command": "python -m pipeline.build", "config": {"export": {"precision": ["int8"]}}}
    files = {"files": {"int8": {"min_runtime": {"TensorFlow Lite": oldest}}}}
    (built / "report.json").write_text(json.dumps(report))
    (built / "tflite" / "model.json").write_text(json.dumps(files))
    calls: list[list[str]] = []

    def run(command: Any, what: str, **more: Any) -> str:
        assert what == "the build" and more["shown"], "a build takes minutes: it shows what it does"
        calls.append([str(word) for word in command])
        return ""

    monkeypatch.setattr(packed_model, "run", run)
    for _ in range(2):
        packed_model.put_model(built, tmp_path / "assets", out)
    folders = {call[call.index("--out") + 1] for call in calls}
    if oldest == "2.9.0":
        assert folders == {str(built)} and not any("--no-benchmark" in call for call in calls)
        return
    (copy,) = map(Path, folders)
    assert copy.parent == out and [path.name for path in out.iterdir()] == [copy.name]
    assert all("--no-benchmark" in call for call in calls)
    assert (copy / "tflite" / "model.json").samefile(built / "tflite" / "model.json")


def test_a_missing_build_and_missing_tools_get_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ApkError, match=r"no build in .*: run make model first"):
        packed_model.last_build(tmp_path)
    with pytest.raises(ApkError, match=r"has no \.tflite files: build it with --target tflite"):
        packed_model.put_model(tmp_path, tmp_path / "assets", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build_apk.main(["--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said == (
        "error: not found: javac, mvn, apksigner, aapt, zipalign; on Debian: apt-get install "
        "default-jdk-headless maven apksigner aapt zipalign\n"
    )


def test_the_tests_run_on_the_apks_that_were_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[list[str]] = []

    def recorded(command: list[object], what: str, **how: Any) -> str:
        calls.append([str(word) for word in command])
        if len(calls) > 1:
            raise ApkError(f"{what} failed")
        return ""

    monkeypatch.setattr(build_apk, "build", lambda *_: [])
    monkeypatch.setattr(build_apk, "run", recorded)
    out = ["--out", str(tmp_path / "out"), "--offline"]
    assert build_apk.main(out) == 0 and not calls
    assert build_apk.main([*out, "--test"]) == 0
    assert f"-Dapk.folder={tmp_path / 'out'}" in calls[0] and "--offline" in calls[0]
    assert build_apk.main([*out, "--test"]) == 2
    assert capsys.readouterr().err == "error: testing the APKs failed\n"


def test_the_newest_report_is_the_last_build(tmp_path: Path) -> None:
    import os

    for age, name in enumerate(("one", "two", "three")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.json").write_text("{}")
        os.utime(tmp_path / name / "report.json", (1e9 - age, 1e9 - age))
    assert packed_model.last_build(tmp_path).name == "one"


# make android-test


UNREACHED = "[ERROR] Failed to execute goal on project core: Could not transfer artifact a:b from"
WARNED = "[WARNING] Could not transfer artifact a:b from central"
FAILED = "[ERROR] Failed to execute goal surefire:test (default-test): There are test failures."
BROKEN = "[ERROR] Failed to execute goal kotlin-maven-plugin:compile (compile): Compilation failure"


def says(*lines: str) -> str:
    """A Maven that prints lines and fails."""
    return "\n".join([*(f"echo {shlex.quote(line)}" for line in lines), "exit 1"])


def android_test(maven: str | None, mode: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run test.sh with a Maven that is this script, and with ANDROID=mode."""
    fakes = {"javac": "exit 0"} | ({"mvn": maven} if maven else {})
    for tool in {"bash", "dirname", "mktemp", "tee", "grep", "rm"} - {
        path.name for path in tmp_path.iterdir()
    }:
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    for name, script in fakes.items():
        (tmp_path / name).write_text(f"#!{tmp_path}/bash\n{script}\n")
        (tmp_path / name).chmod(0o755)
    return subprocess.run(
        [tmp_path / "bash", build_apk.DEMO / "test.sh", "test"],
        env={"PATH": str(tmp_path), "ANDROID": mode},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("maven", "optional", "required"),
    [
        (None, "skipped: not found: mvn (apt-get install default-jdk-headless maven)", 2),
        (says(UNREACHED), "skipped: Maven could not fetch", 2),
        (says(FAILED), None, 1),
        (says(BROKEN), None, 1),
        (says(WARNED, FAILED), None, 1),  # a network that is down is no reason to be quiet
        (says(WARNED, "Expected: Could not transfer artifact", BROKEN), None, 1),
        (says(UNREACHED, "[ERROR] Tests run: 9, Failures: 1", FAILED), None, 1),
        (says("Tests run: 83, Failures: 0", UNREACHED), None, 1),  # some tests did run
        (says("[ERROR] ktlint: 3 lines are too long"), None, 1),
        ("exit 0", "", 0),
    ],
)
def test_only_what_keeps_kotlins_tests_from_running_skips_them(
    maven: str | None, optional: str | None, required: int, tmp_path: Path
) -> None:
    """With ANDROID=optional; a failed check, compilation or test is never taken for a skip."""
    assert android_test(maven, "required", tmp_path).returncode == required
    ended = android_test(maven, "optional", tmp_path)
    if optional is None:
        assert ended.returncode == 1 and "skipped" not in ended.stdout
        assert ("what failed first" in ended.stderr) == ("<<< FAILURE!" in ended.stdout)
    else:
        assert ended.returncode == 0
        assert "skipped" not in ended.stdout if optional == "" else optional in ended.stdout


def test_what_takes_the_time_is_named_and_what_failed_comes_last(tmp_path: Path) -> None:
    failed = "[ERROR] AnswererTest.cuts a passage -- Time elapsed: 0.1 s <<< FAILURE!"
    maven = says(
        "[INFO] --- kotlin:2.2.20:compile (compile) @ core ---",
        "[INFO] --- surefire:3.5.3:test (default-test) @ core ---",
        failed,
        FAILED + " -> [Help 1]",
        "[ERROR] Re-run Maven using the -X switch to enable full debug logging.",
        "[ERROR] [Help 1] http://cwiki.apache.org/confluence/display/MAVEN/MojoFailureException",
    )
    ended = android_test(maven, "required", tmp_path)
    lines = ended.stdout.splitlines()
    assert lines[2:5:2] == [
        "android-test: compiling core",
        "android-test: running the tests of core",
    ]
    assert "Help 1" not in ended.stdout and "Re-run" not in ended.stdout
    assert ended.returncode == 1 and ended.stderr.splitlines()[-1] == failed


# Classes out of a dex file


def test_calls_of_an_interfaces_static_methods_are_named_so(tmp_path: Path) -> None:
    compiler, java = shutil.which("javac"), shutil.which("java")
    if not compiler or not java:
        pytest.skip("apt-get install default-jdk-headless")
    (tmp_path / "Main.java").write_text(
        """
        interface Greeting { static String of(long n) { return "hello " + n; } }
        class Main {
            static final double HALF = 0.5;
            public static void main(String[] a) { System.out.println(Greeting.of(7L) + HALF); }
        }
        """
    )
    subprocess.run([compiler, "-d", tmp_path, tmp_path / "Main.java"], check=True)
    whole = {name: (tmp_path / f"{name}.class").read_bytes() for name in ("Main", "Greeting")}
    assert interface_calls.mended(whole) == whole, "what is right stays as it is"
    # As dex2jar writes it: the one constant of tag 11, and the tag of all methods is 10.
    main = whole["Main"]
    places, _ = interface_calls._constants(main)
    (place,) = (at for at in places.values() if main[at] == 11)
    broken = main[:place] + bytes([10]) + main[place + 1 :]
    run = [java, "-cp", tmp_path, "Main"]
    (tmp_path / "Main.class").write_bytes(broken)
    failed = subprocess.run(run, capture_output=True, text=True, check=False)
    assert "IncompatibleClassChangeError" in failed.stderr
    jar = tmp_path / "dex.jar"
    aligned_zip.write(jar, [Entry(f"{n}.class", d) for n, d in (whole | {"Main": broken}).items()])
    script = Path(interface_calls.__file__)
    subprocess.run([sys.executable, script, jar, tmp_path], check=True)
    assert (tmp_path / "Main.class").read_bytes() == main
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert done.stdout == "hello 70.5\n"
