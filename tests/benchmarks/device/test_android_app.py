# SPDX-License-Identifier: Apache-2.0
"""The app's own benchmark over adb: started, followed, read, merged; and documents compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from adb_server import PACKAGE, FakePhone, until
from app_document import app_document, app_lines, without_bounds
from phone_files import Main, failure
from phone_outputs import printed
from repository import CONTRACT

from benchmarks import compare
from benchmarks.measure import latency, schema

pytest.importorskip("adbutils", reason="needs the android extra")

pytest_plugins = ("phone_fixtures",)


def test_the_app_is_asked_where_it_is_installed(main: Main, with_app: FakePhone) -> None:
    code, found, said = main(with_app, more="--threads 1 2")
    assert code == 0, said
    assert [run["threads"] for run in found["runs"]] == [1, 2]
    assert (
        found["queries"]["source"] == "embedded dev" and found["device"]["app_version"] == "0.1.0"
    )
    assert found["device"]["runtime"].endswith("; LiteRT 1.4.0 in the app")
    assert [file["name"] for file in found["files"]] == ["student-int8.tflite", "app-int8.tflite"]
    assert found["files"][1]["scores"]["f1"] == 80.0 and len(found["profiles"]) == 2
    assert "PROGRESS" not in said and said.count("app, threads 1: 8/16") == 1
    assert not with_app.running and with_app.is_clean
    assert not any("benchmark-" in path for path in with_app.files)


def test_the_app_can_be_left_out(main: Main, with_app: FakePhone) -> None:
    _, found, _ = main(with_app, more="--no-app")
    assert found["runs"] == [] and not any("am start" in line for line in with_app.commands)


def test_the_app_alone_needs_no_file(main: Main, with_app: FakePhone) -> None:
    code, found, _ = main(with_app, given=False, quick=False, more="--app --threads 4 --quick")
    assert code == 0 and found["profiles"] == [] and len(found["runs"]) == 1
    assert not found["valid"] and "8 queries" in found["runs"][0]["too_short"]
    assert any("--ei runs 8 --ei seconds 0 --ei threads 4" in line for line in with_app.commands)


def test_the_log_stands_in_for_a_file_that_cannot_be_read(main: Main, with_app: FakePhone) -> None:
    reference = main(with_app)[1]

    def closed(phone: FakePhone, extras: dict[str, str]) -> Iterator[str]:
        path = f"/sdcard/Android/data/{PACKAGE}/files/benchmark-{extras['run_id']}.json"
        phone.unreadable.add(path)
        return app_lines(phone, extras)

    with_app.app = closed
    code, found, _ = main(with_app)
    assert code == 0 and found["runs"] == reference["runs"]


def test_the_same_file_is_one_entry(main: Main, with_app: FakePhone, file: Path) -> None:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    with_app.app = lambda phone, extras: app_lines(phone, extras, name=file.name, sha256=digest)
    _, found, _ = main(with_app)
    (one,) = found["files"]
    assert (one["name"], one["scores"]["f1"], one["sha256"]) == (file.name, 80.0, digest)
    assert one["parts"] is not None


def test_another_file_of_the_same_name_is_another_entry(
    main: Main, with_app: FakePhone, file: Path
) -> None:
    with_app.app = lambda phone, extras: app_lines(phone, extras, name=file.name)
    _, found, _ = main(with_app)
    longer = f"{file.parent.name}/{file.name}"
    assert {one["name"] for one in found["files"]} == {file.name, longer}
    assert [one["file"] for one in found["profiles"]] == [longer]


def cut(phone: FakePhone, extras: dict[str, str], keep: int, *more: str) -> Iterator[str]:
    for _, line in zip(range(keep), app_lines(phone, extras), strict=False):
        yield line
    yield from (line.format(**extras) for line in more)


@pytest.mark.parametrize(
    ("keep", "more", "why"),
    [
        (0, ("FAILED {run_id} runs must be at least 1",), "the app says: runs must be at least 1"),
        (2, (), "the app ended before its benchmark did"),
        (1, ("FAILED other-run of somebody else", "BEGIN {run_id}"), "the app ended before"),
        (0, ("DONE {run_id} /sdcard/none.json",), "its log lost a part of it"),
        (0, ("JSON {run_id} 1/1 {{}}", "DONE {run_id} /sdcard/none.json"), "document is not valid"),
        (0, ("JSON {run_id} 1/1 {{", "DONE {run_id} /sdcard/none.json"), "is not JSON"),
        (0, ("JSON {run_id} 1/1 NaN", "DONE {run_id} /sdcard/none.json"), "is not JSON"),
        (0, ("JSON {run_id} 2/2 []", "DONE {run_id} /sdcard/none.json"), "lost a part"),
        (
            0,
            (
                'JSON {run_id} 1/1 {{"kind":"benchmark","schema_version":9}}',
                "DONE {run_id} /sdcard/none.json",
            ),
            "schema_version is 9, and this release reads 1, 2 and 3",
        ),
    ],
)
def test_an_app_that_fails_costs_no_profiles(
    main: Main, with_app: FakePhone, keep: int, more: tuple[str, ...], why: str
) -> None:
    with_app.app = lambda phone, extras: cut(phone, extras, keep, *more)
    code, found, _ = main(with_app)
    assert code == 1 and len(found["profiles"]) == 1 and found["runs"] == []
    assert any(why in line for line in found["warnings"]), found["warnings"]


def test_an_app_that_falls_silent_is_stopped(main: Main, with_app: FakePhone) -> None:
    def silent(phone: FakePhone, extras: dict[str, str]) -> Iterator[str]:
        yield f"BEGIN {extras['run_id']}"
        until(lambda: PACKAGE not in phone.running)
        yield "nobody's"

    with_app.app = silent
    code, found, _ = main(with_app, more="--timeout 0.4")
    assert code == 1 and any("said nothing for 0.4 s" in line for line in found["warnings"])
    assert PACKAGE not in with_app.running


def test_an_activity_that_is_not_there(main: Main, with_app: FakePhone) -> None:
    with_app.start_answer = (
        "Starting: Intent\nError type 3\nError: Activity class does not exist.\n"
    )
    code, found, _ = main(with_app)
    assert code == 1
    assert any("the app does not start: Starting: Intent Error" in w for w in found["warnings"])


def test_a_cable_pulled_from_the_app_leaves_its_first_run(main: Main, with_app: FakePhone) -> None:
    def pulled(phone: FakePhone, extras: dict[str, str]) -> Iterator[str]:
        if extras["threads"] == "2":
            return cut(phone, extras, 1, "GONE")
        return app_lines(phone, extras)

    with_app.app = pulled
    code, found, _ = main(with_app, more="--threads 1 2")
    assert code == 1 and not found["valid"] and len(found["runs"]) == 1, found["warnings"]


def test_the_app_is_installed_and_removed_again(
    main: Main, phone: FakePhone, tmp_path: Path
) -> None:
    apk = tmp_path / "app.apk"
    apk.write_bytes(b"PK")
    phone.app = app_lines
    code, found, _ = main(phone, more=f"--apk {apk}")
    assert code == 0 and len(found["runs"]) == 1 and phone.packages == set()
    phone.packages.add(PACKAGE)
    main(phone, more=f"--apk {apk}")
    assert phone.packages == {PACKAGE}  # it was there before


def test_an_app_that_cannot_be_installed(main: Main, phone: FakePhone, tmp_path: Path) -> None:
    apk = tmp_path / "app.apk"
    apk.write_bytes(b"PK")
    phone.install_answer = "Failure [INSTALL_FAILED_UPDATE_INCOMPATIBLE: signatures do not match]"
    code, found, said = main(phone, more=f"--apk {apk}")
    assert (code, found) == (2, None) and "uninstall that one first" in failure(said)
    assert phone.is_clean


def test_the_app_must_be_there_when_it_is_asked_for(main: Main, phone: FakePhone) -> None:
    code, _, said = main(phone, more="--app")
    assert code == 2 and "install it, or give --apk" in failure(said)


def test_documents_of_phones_are_compared(
    main: Main, with_app: FakePhone, tmp_path: Path, capsys: Any
) -> None:
    old = main(with_app, more="--lengths 64 128")[1]
    with_app.benchmark = lambda _, given: (0, printed(given, factor=1.5))
    new = main(with_app, more="--lengths 64 128")[1]
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    for documents, worse in (((old, old), 0), ((old, new), 2)):
        for path, document in zip(paths, documents, strict=True):
            path.write_text(json.dumps(document))
        assert compare.main([*map(str, paths)]) == min(worse, 1)
        lines = [line for line in capsys.readouterr().out.splitlines() if line.endswith("WORSE")]
        assert len(lines) == worse
    assert lines[0].split()[:6] == ["average", "ms", "1", "student-int8.tflite", "cpu", "64"]
    assert "+50.0" in lines[0]


def test_documents_of_profiles_alone_are_compared(
    main: Main, phone: FakePhone, tmp_path: Path, capsys: Any
) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps(main(phone)[1]))
    assert compare.main([str(path), str(path)]) == 0
    assert "average ms" in capsys.readouterr().out


GOLDEN = CONTRACT / "android_benchmark.json"


@pytest.mark.parametrize("kotlin", [False, True])
def test_the_apps_document_is_read(
    kotlin: bool, main: Main, with_app: FakePhone, tmp_path: Path
) -> None:
    """What Kotlin wrote, or until it has, its equivalent: read, merged, compared, recomputed."""
    if kotlin and not GOLDEN.exists():
        pytest.skip("tests/contract/android_benchmark.json is not written yet")
    made = without_bounds(app_document({"run_id": "a"}))
    text = GOLDEN.read_text("utf-8") if kotlin else json.dumps(made)

    def log(phone: FakePhone, extras: dict[str, str]) -> Iterator[str]:
        path = f"/sdcard/Android/data/{PACKAGE}/files/benchmark-{extras['run_id']}.json"
        phone.files[path] = text.encode()
        yield f"DONE {extras['run_id']} {path}"

    with_app.app = log
    code, found, said = main(with_app)
    document: Any = schema.read(json.loads(text))
    assert code == 0 and found["runs"] == document["runs"], said
    path = tmp_path / "app.json"
    path.write_text(text)
    assert compare.main([str(path), str(path)]) == 0
    for run in document["runs"]:
        measured, rounds = run["latency"], run["latency"]["rounds"]
        for name, each in measured["samples_ms"].items():
            told = [(measured["subjects"][name][lengths], times) for lengths, times in each.items()]
            for one in run["overhead"].get(name, {}).values():
                told += [(one[phase], times) for phase, times in one["samples_ms"].items()]
            for summary, samples in told:
                # the same sums in another order: a few units in the last place
                expected = asdict(latency.summarize(samples, rounds=rounds))
                assert summary == pytest.approx(expected, abs=1e-9, rel=0)
        if kotlin:
            for one in measured["ratios"]:
                faster, slower = (
                    measured["samples_ms"][one[side]][one[f"{side}_lengths"]]
                    for side in ("faster", "slower")
                )
                expected = latency.ratio(slower, faster, document["seed"], rounds=rounds)
                found = tuple(one[key] for key in ("ratio", "low", "high"))
                assert found == pytest.approx(expected, abs=1e-9, rel=0)
