# SPDX-License-Identifier: Apache-2.0
"""The phone's benchmark over the adb wire protocol: what it measures, leaves, and says."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from adb_server import FOLDER, FakePhone, GoneError, until
from phone_files import ELF, Main, failure, tiny_file
from phone_outputs import FALLBACK, MISSING, NAMES, REFUSED, START, TIMES, asked_for, printed

from benchmarks import android
from benchmarks.device import adb
from benchmarks.measure import machine as this_machine
from converters import terminal

pytest.importorskip("adbutils", reason="needs the android extra")

pytest_plugins = ("phone_fixtures",)


def test_every_length_thread_and_delegate_is_measured(main: Main, phone: FakePhone) -> None:
    code, found, said = main(phone, quick=False, more="--lengths 64 128 --threads 1 2")
    assert code == 0, said
    assert len(found["profiles"]) == 2 * 2 * 3 and found["valid"] and found["runs"] == []
    each = {(p["delegate"], p["threads"], p["length"]): p for p in found["profiles"]}
    assert len(each) == 12
    one = each["gpu", 2, 128]
    # 100 us a token over threads, as the phone prints it
    assert (one["average_ms"], one["p50_ms"], one["p90_ms"]) == (6.4, 6.336, None)
    assert (one["init_ms"], one["first_ms"], one["warmup_ms"]) == (41.203, 98.7, 7.18107)
    assert one["peak_memory_bytes"] == round(93.2383 * 2**20) and one["runs"] == 50
    assert [op["name"] for op in one["operators"]] == [
        "Fully Connected (NC, QD8)",
        "EMBEDDING_LOOKUP",
        "GELU",
    ]
    assert one["operators"][1] == {
        "name": "EMBEDDING_LOOKUP",
        "count": 3,
        "average_ms": 0.675,
        "percent": 11.291,
    }
    assert phone.is_clean


def test_the_phone_is_described_and_not_identified(main: Main, phone: FakePhone) -> None:
    _, found, _ = main(phone, more=f"--serial {phone.serial}")
    device, machine = found["device"], found["machine"]
    assert (device["manufacturer"], device["model"]) == ("Example", "Phone 7")
    assert (device["soc"], device["android"], device["api"]) == ("Maker Chip 2", "15", 35)
    assert device["before"] == {
        "battery_percent": 80.0,
        "battery_celsius": 31.0,
        "charging": False,
        "thermal_status": 0,
        "clocks_khz": [300000, 300000, 1197000, 2802000],  # in the order of the cores
    }
    assert device["runtime"].startswith("benchmark_model with sha256 ")
    assert found["versions"]["benchmark_model"] == f"sha256 {hashlib.sha256(ELF).hexdigest()}"
    assert list(machine) == list(this_machine.describe())
    assert (machine["logical_cores"], machine["memory_bytes"]) == (8, 7792340 * 1024)
    assert machine["flags"] == ["asimd", "asimdhp", "asimddp", "i8mm"]
    assert (machine["os"], machine["load_average"]) == ("Android 15 (API 35)", None)
    assert phone.serial not in json.dumps(found)
    assert "/tmp" not in found["command"] and "--serial ..." in found["command"]


def test_inputs_follow_the_order_of_the_file(main: Main, phone: FakePhone) -> None:
    main(phone)
    timed, profiled = phone.calls
    assert timed["input_layer"] == "mask,ids,segment_ids"
    assert timed["input_layer_value_range"] == "mask,1,1:ids,0,119:segment_ids,0,1"
    assert timed["signature_to_run_for"] == "answer"
    assert (timed["enable_op_profiling"], timed["report_peak_memory_footprint"]) == ("false",) * 2
    assert (profiled["enable_op_profiling"], profiled["num_runs"]) == ("true", "10")


def test_fixed_lengths_have_signatures_of_their_own(
    main: Main, phone: FakePhone, file: Path
) -> None:
    tiny_file(file, lengths=(64, 128))
    code, found, _ = main(phone, more="--lengths 64 128 192")
    assert code == 0 and {call["signature_to_run_for"] for call in phone.calls} == {
        "length_64",
        "length_128",
    }
    assert [p["length"] for p in found["profiles"]] == [64, 128]
    assert "student-int8.tflite takes no 192 tokens: not measured" in found["warnings"]


def test_lengths_beyond_the_positions_are_refused(main: Main, phone: FakePhone) -> None:
    code, found, said = main(phone, more="--lengths 384")
    assert (code, found) == (2, None) and "takes none of the lengths 384" in failure(said)


def fallback(text: str, code: int = 0) -> Callable[[FakePhone, dict[str, str]], tuple[int, str]]:
    """A phone whose GPU and NNAPI do not run the graph."""

    def run(_: FakePhone, given: dict[str, str]) -> tuple[int, str]:
        delegate = asked_for(given)
        if delegate == "cpu":
            return 0, printed(given)
        values = {"count": 50, "average": 6400, "low": 6000, "high": 7000, "median": 6390, "std": 9}
        times = "" if code else TIMES.format(**values)
        return code, START.format(**given) + text.format(name=NAMES[delegate]) + times

    return run


@pytest.mark.parametrize(
    ("text", "code", "why"),
    [
        (FALLBACK, 0, "ran nothing, all ran on the CPU: it supports none of the graph's operators"),
        (MISSING, 0, "all ran on the CPU: GPU acceleration is unsupported on this platform."),
        (REFUSED, 1, "ended with 1: Following operations are not supported by GPU delegate:; "),
        ("WARN: Unconsumed cmdline flags: --use_gpu=true\n", 0, "Unconsumed cmdline flags"),
    ],
)
def test_a_delegate_that_does_not_run_gets_no_times(
    main: Main, phone: FakePhone, text: str, code: int, why: str
) -> None:
    phone.benchmark = fallback(text, code)
    ended, found, said = main(phone, more="--delegates cpu gpu nnapi")
    cpu, gpu, nnapi = found["profiles"]
    assert ended == 0 and cpu["failed"] is None and cpu["average_ms"] == 6.4
    assert why in gpu["failed"] and nnapi["failed"]
    assert gpu["average_ms"] is None and gpu["operators"] is None
    assert "\n" not in gpu["failed"] and gpu["failed"] in said


def test_no_figures_at_all_are_a_failure(main: Main, phone: FakePhone) -> None:
    phone.benchmark = fallback(MISSING)
    code, found, _ = main(phone, more="--delegates gpu")
    assert code == 1 and found["profiles"][0]["failed"]


def test_the_cpu_without_xnnpack_is_a_failure(main: Main, phone: FakePhone) -> None:
    phone.benchmark = lambda _, given: (0, START.format(**given) + FALLBACK.format(name="XNNPACK"))
    code, found, _ = main(phone)
    assert code == 1 and "XNNPACK ran nothing" in found["profiles"][0]["failed"]


def test_a_part_left_to_the_cpu_is_told_once(main: Main, phone: FakePhone) -> None:
    phone.benchmark = lambda _, given: (0, printed(given, taken=18))
    _, found, _ = main(phone, more="--delegates gpu --lengths 64 128")
    line = "student-int8.tflite: GPU ran 18 of 181 operators, the CPU the others"
    assert found["warnings"] == [line]


def test_times_that_vary_are_told(main: Main, phone: FakePhone) -> None:
    phone.benchmark = lambda _, given: (0, printed(given, spread=0.35))
    _, found, _ = main(phone)
    assert "1 thread, 64 tokens: times varied by 35 % (standard deviation)" in found["warnings"][0]


@pytest.mark.parametrize(("code", "name"), [(139, "SIGSEGV"), (134, "SIGABRT"), (137, "SIGKILL")])
def test_a_crash_is_told_and_the_others_go_on(
    main: Main, phone: FakePhone, code: int, name: str
) -> None:
    def crash(_: FakePhone, given: dict[str, str]) -> tuple[int, str]:
        if "1,64" in given["input_layer_shape"]:
            return code, START.format(**given) + "FATAL: Check failed: rank == 2\nAborted \n"
        return 0, printed(given)

    phone.benchmark = crash
    ended, found, _ = main(phone, more="--lengths 64 128")
    broken, fine = found["profiles"]
    assert ended == 1 and fine["average_ms"] == 12.8
    assert f"crashed with {name}" in broken["failed"]
    assert "Check failed: rank == 2" in broken["failed"]
    assert phone.is_clean


def test_a_crash_while_profiling_keeps_the_times(main: Main, phone: FakePhone) -> None:
    def crash(_: FakePhone, given: dict[str, str]) -> tuple[int, str]:
        return (139, "") if given["enable_op_profiling"] == "true" else (0, printed(given))

    phone.benchmark = crash
    code, found, _ = main(phone)
    (one,) = found["profiles"]
    assert code == 1 and (one["average_ms"], one["failed"], one["operators"]) == (6.4, None, None)
    assert any("not profiled" in line and "SIGSEGV" in line for line in found["warnings"])


def test_output_that_is_none_is_a_failure(main: Main, phone: FakePhone) -> None:
    phone.benchmark = lambda _, given: (0, printed(given).replace("Inference timings", "Timings"))
    code, found, _ = main(phone)
    assert code == 1 and "no line" in found["profiles"][0]["failed"]


def test_a_hang_is_killed_and_the_others_go_on(main: Main, phone: FakePhone) -> None:
    def hang(phone: FakePhone, given: dict[str, str]) -> tuple[int, str]:
        if "1,64" not in given["input_layer_shape"]:
            return 0, printed(given)
        assert phone.killed.wait(10)
        return 137, ""

    phone.benchmark = hang
    code, found, _ = main(phone, more="--lengths 64 128 --timeout 0.5")
    hung, fine = found["profiles"]
    assert code == 1 and hung["failed"] == "said nothing for 0.5 s, and was killed"
    assert fine["average_ms"] == 12.8 and float(phone.calls[0]["max_secs"]) < 0.5
    assert phone.is_clean


def test_a_pulled_cable_leaves_what_was_measured(main: Main, phone: FakePhone) -> None:
    def pull(phone: FakePhone, given: dict[str, str]) -> tuple[int, str]:
        if "1,128" in given["input_layer_shape"]:
            raise GoneError
        return 0, printed(given)

    phone.benchmark = pull
    code, found, said = main(phone, more="--lengths 64 128 256")
    assert code == 1 and not found["valid"]
    assert [p["length"] for p in found["profiles"]] == [64]
    assert found["warnings"][0].startswith("NOT VALID, not all was measured: the phone is gone")
    assert "R58M12ABCDE" not in json.dumps(found), "nothing that distinguishes the phone"
    assert "unplugged" in failure(said) and "may be left on the phone" in said


def test_the_next_run_removes_what_was_left(main: Main, phone: FakePhone) -> None:
    phone.files[f"{FOLDER}/0.tflite"] = b"of a run that was cut off"
    assert main(phone)[0] == 0 and phone.is_clean


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cleans_and_keeps_what_was_measured(
    number: int, exit_code: int, main: Main, phone: FakePhone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where tidying takes longer than the moment after which a signal is raised again."""

    def slow(tested: adb.Phone) -> None:
        time.sleep(0.5)
        clean(tested)

    clean = adb.Phone.clean
    monkeypatch.setattr(adb.Phone, "clean", slow)
    monkeypatch.setattr(terminal, "AGAIN", 0.1)

    def interrupted(phone: FakePhone, given: dict[str, str]) -> tuple[int, str]:
        if "1,128" in given["input_layer_shape"]:
            os.kill(os.getpid(), number)
            assert phone.killed.wait(10)
        return 0, printed(given)

    phone.benchmark = interrupted
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background
    try:
        code, found, _ = main(phone, more="--lengths 64 128")
    finally:
        signal.signal(signal.SIGINT, before)
    assert code == exit_code and not found["valid"] and len(found["profiles"]) == 1
    assert until(lambda: phone.is_clean)


def test_no_phone(main: Main) -> None:
    code, found, said = main()
    assert (code, found) == (2, None) and "no phone is connected" in failure(said)


def test_two_phones_are_listed(main: Main, phone: FakePhone) -> None:
    other = FakePhone(serial="emulator-5554")
    code, _, said = main(phone, other)
    line = failure(said)
    assert code == 2 and "R58M12ABCDE (device), emulator-5554 (device)" in line
    assert "--serial" in line
    assert main(phone, other, more="--serial emulator-5554")[0] == 0
    assert other.calls and not phone.calls


def test_the_environment_names_a_phone_too(
    main: Main, phone: FakePhone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANDROID_SERIAL", phone.serial)
    assert main(phone, FakePhone(serial="other"))[0] == 0
    monkeypatch.setenv("ANDROID_SERIAL", "third")
    assert "no phone third is connected: there is R58M12" in failure(main(phone)[2])


def test_the_one_phone_that_is_ready_is_taken(main: Main, phone: FakePhone) -> None:
    assert main(phone, FakePhone(serial="other", state="offline"))[0] == 0


@pytest.mark.parametrize(
    ("state", "advice"),
    [
        ("unauthorized", "tap Allow"),
        ("offline", "plug it in again"),
        ("no permissions", "udev"),
        ("recovery", "is in the state recovery"),
    ],
)
def test_phones_that_cannot_be_used(main: Main, state: str, advice: str) -> None:
    code, found, said = main(FakePhone(state=state))
    assert (code, found) == (2, None) and advice in failure(said)


def test_a_full_phone(main: Main, phone: FakePhone) -> None:
    phone.free_kb = 4
    code, found, said = main(phone)
    assert (code, found) == (2, None)
    assert "the phone is full: benchmark_model takes 0.0 MB" in failure(said) and phone.is_clean


def test_a_phone_that_fills_up_while_copying(main: Main, phone: FakePhone) -> None:
    phone.full_after = 5000
    code, _, said = main(phone)
    assert code == 2 and "the phone did not take benchmark_model" in failure(said)
    assert phone.is_clean and phone.calls == []


def test_adb_that_does_not_run(
    main: Main, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any, file: Path
) -> None:
    starter = tmp_path / "adb"
    starter.write_text("#!/bin/sh\nexit 1\n")
    starter.chmod(0o755)
    monkeypatch.setenv("ADBUTILS_ADB_PATH", str(starter))
    monkeypatch.setenv("ANDROID_ADB_SERVER_HOST", "127.0.0.1")
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "1")
    arguments = [str(file), "--benchmark-model", str(tmp_path / "benchmark_model")]
    assert android.main(arguments) == 2
    assert "adb does not answer at 127.0.0.1:1" in failure("".join(capsys.readouterr()))
    monkeypatch.setenv("ADBUTILS_ADB_PATH", str(tmp_path / "none"))
    assert android.main(arguments) == 2
    assert "platform-tools" in failure("".join(capsys.readouterr()))


def test_an_old_phone_without_exit_codes(main: Main, phone: FakePhone) -> None:
    phone.features = "cmd"
    phone.benchmark = lambda _, given: (0, printed(given).replace("\n", "\r\n"))
    code, found, _ = main(phone)
    assert code == 0 and len(found["profiles"][0]["operators"]) == 3


def test_states_that_make_times_doubtful_are_told(main: Main, phone: FakePhone) -> None:
    phone.charging, phone.level, phone.thermal = True, 12, 3
    _, found, said = main(phone)
    assert len(found["warnings"]) == 3  # though seen before every run
    charging, battery, thermal = found["warnings"]
    assert "charging" in charging and "12 %" in battery and "3 (severe)" in thermal
    assert f"caution: {charging}" in said
    assert found["device"]["after"]["charging"] is True


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    fake = SimpleNamespace(sleep=clock.sleep, monotonic=clock.monotonic)
    monkeypatch.setattr("benchmarks.device.phone.time", fake)
    return clock


def test_the_phone_cools_between_runs(main: Main, phone: FakePhone, clock: Clock) -> None:
    phone.celsius = [30.0, 30.5, 33.0, 32.0, 30.9, 31.0]
    code, found, said = main(phone, more="--lengths 64 128")
    assert code == 0 and clock.now == 10.0  # two looks, 5 s apart
    assert "the battery has 33.0 C: waiting until 31.0 C, at most 120 s" in said
    assert found["warnings"] == []


def test_a_phone_that_stays_warm_is_told(main: Main, phone: FakePhone, clock: Clock) -> None:
    phone.celsius = [36.0]
    code, found, _ = main(phone, more="--lengths 64 128 --cool-to 30 --cool-seconds 12")
    assert code == 0 and clock.now == 24.0
    (line,) = found["warnings"]
    assert "did not cool to 30.0 C in 12 s" in line


def test_a_program_for_other_processors_is_refused(
    main: Main, phone: FakePhone, program: Path
) -> None:
    phone.abis = "x86_64"
    code, _, said = main(phone)
    assert code == 2 and "is for arm64-v8a, and the phone runs x86_64" in failure(said)
    program.write_text("#!/bin/sh\n")
    assert "ELF" in failure(main(phone)[2]) and phone.calls == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("", "name at least one"),
        ("{file}", "--benchmark-model is missing"),
        ("{file} --benchmark-model {file}x", "there is no file"),
        ("{file}x --benchmark-model {file}", "there is no file"),
        ("{file} --benchmark-model-url https://a/b", "need each other"),
        ("{file} --benchmark-model-sha256 00", "need each other"),
        (
            "{file} --benchmark-model-url http://a/b --benchmark-model-sha256 " + "0" * 64,
            "is not https",
        ),
        ("{file} --benchmark-model-url https://a/b --benchmark-model-sha256 zz", "64 hexadecimal"),
        ("--app --timeout 0", "--timeout 0"),
        ("{program} --benchmark-model {program}", "benchmark_model"),
    ],
)
def test_arguments_that_do_not_fit(
    main: Main, phone: FakePhone, file: Path, program: Path, more: str, said: str
) -> None:
    more = more.format(file=file, program=program)
    code, found, output = main(phone, given=False, quick=False, more=more)
    assert (code, found) == (2, None) and said in failure(output)
    assert phone.commands == []


def test_a_missing_package_is_told(main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "adbutils", None)
    code, _, said = main(FakePhone())
    assert code == 2 and 'pip install "adbutils' in failure(said)


def test_a_place_that_cannot_be_written_is_told_first(
    main: Main, phone: FakePhone, tmp_path: Path
) -> None:
    (tmp_path / "plain").write_text("")
    for more in (f"--out {tmp_path}", f"--out {tmp_path}/plain/phone.json"):
        arguments = [*more.split(), str(tmp_path / "student-int8.tflite")]
        assert android.main([*arguments, "--benchmark-model", str(tmp_path / "plain")]) == 2
    assert phone.commands == []
