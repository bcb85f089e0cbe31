# SPDX-License-Identifier: Apache-2.0
"""The matrix names what is wrong: workers that lie, crash, hang or refuse; then the real ones."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter
from export_fixtures import VOCABULARY, exported, window
from onnx import helper, numpy_helper
from repository import ROOT

from converters import ConversionError
from converters.compat import environments as compat_environments
from converters.compat import matrix as compat
from converters.compat.cases import (
    Case,
    best_span,
    read_cases,
    task_library_answer,
    whole_words,
)
from converters.compat.environments import RUNTIMES, Runtime, command, install, missing
from converters.compat.limits import LIMIT_FLOAT, LIMIT_INTEGER, largest_error
from converters.compat.matrix import Row, examine, table
from converters.compat.process import Worker, WorkerError
from converters.interface import INPUTS, SPANS
from converters.tflite import file as tflite_file
from converters.tflite.metadata import About, add_metadata

# Speaks the protocol of worker.py; logits depend on each token and its place.
FAKE = """
import json, os, signal, sys, time
mode = sys.argv[1]
for line in sys.stdin:
    request, reply = json.loads(line), {"runtime": mode}
    if "open" in request and mode == "refuses":
        reply = {"error": "Didn't find op for builtin opcode 'GELU' version '2'."}
    if "open" in request and mode == "lacks a library":
        print("libusb-1.0.so.0: cannot open shared object file", file=sys.stderr)
        sys.exit(3)
    if "ids" in request:
        if mode == "crashes":
            os.kill(os.getpid(), signal.SIGSEGV)
        if mode == "hangs":
            time.sleep(60)
        n = len(request["ids"])
        offset = {"off": 3, "nearly": 1e-5}.get(mode, 0)
        logits = [
            [(7 * i + 3 * token + 5 * row) % 23 / 2 if kept else -1e4
             for i, (token, kept) in enumerate(zip(request["ids"], request["mask"]))]
            for row in (0, 1)
        ]
        if mode == "another model":
            logits = [[-each for each in row] for row in logits]
        if mode == "one token":
            logits[0][4] += 9.0
        if mode == "not a number":
            logits[1][2] = float("nan")
        logits = [[each + offset for each in row] for row in logits]
        if mode == "too short":
            logits[0].pop()
        ms = 4.0 if mode == "slow" else 1.0
        reply = {"start_logits": logits[0], "end_logits": logits[1], "ms": ms}
        if mode == "fixed" and n != 384:
            reply = {"error": "cannot resize"}
    if "question" in request:
        reply = {"answer": mode, "ms": 5.0}
    print("chatter" if mode == "chatter" else json.dumps(reply), flush=True)
"""


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Workers of any runtime are fakes, told its last word; gives the file to examine."""
    script = tmp_path / "fake.py"
    script.write_text(FAKE)
    monkeypatch.setattr(
        compat, "command", lambda runtime, root: [sys.executable, str(script), runtime.worker[-1]]
    )
    monkeypatch.setattr(compat, "missing", lambda runtime, root: "")
    return onnx_of(np.ones((8, 8), np.float32), tmp_path / "student.onnx")


def onnx_of(weight: np.ndarray, path: Path) -> Path:
    """An .onnx file that holds this weight."""
    node = helper.make_node("Identity", ["weight"], ["logits"])
    value = helper.make_tensor_value_info(
        "logits", helper.np_dtype_to_tensor_dtype(weight.dtype), weight.shape
    )
    graph = helper.make_graph([node], "g", [], [value], [numpy_helper.from_array(weight, "weight")])
    onnx.save(helper.make_model(graph), path)
    return path


def test_files_of_integers_may_be_further_off(tmp_path: Path) -> None:
    few = np.ones((2, 2), np.int8)  # such as the shape of something: no weight
    for weight, limit in (
        (np.ones((8, 8), np.int8), LIMIT_INTEGER),
        (np.ones((8, 8), np.float32), LIMIT_FLOAT),
        (few, LIMIT_FLOAT),
    ):
        assert largest_error(onnx_of(weight, tmp_path / "a.onnx")) == limit


def runtimes(*modes: str) -> list[Runtime]:
    return [
        Runtime(mode, ("onnx", mode), suffix=".onnx", tensorflow="2.20.0")
        for mode in ("reference", *modes)
    ]


def row_of(mode: str, file: Path, timeout: float = 20) -> Row:
    reference, row = examine(file, runtimes(mode), Path(), timeout=timeout)
    assert (reference.verdict, reference.error, reference.failed) == ("right", 0, False)
    assert row.runtime == mode and "\n" not in row.verdict
    return row


def test_a_right_runtime_is_right(fakes: Path) -> None:
    row = row_of("slow", fakes)
    assert (row.opens, row.resizes, row.error, row.equal) == (True, True, 0, (3, 3))
    assert row.verdict == "right" and not row.failed
    assert (row.ms, row.slower) == (4.0, 4.0)
    assert not row_of("nearly", fakes).failed


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("off", r"^WRONG, without an error: logits off by 3 against the reference, 27\.\d % of"),
        ("one token", r"^WRONG, without an error: logits off by 9 "),
        ("another model", r"^WRONG, without an error: logits off by .*; 3 of 3 answers differ$"),
        ("not a number", r"^WRONG, without an error: logits off by nan "),
    ],
)
def test_wrong_logits_are_named_so(mode: str, said: str, fakes: Path) -> None:
    row = row_of(mode, fakes)
    assert row.opens and row.failed
    assert re.search(said, row.verdict), row.verdict


@pytest.mark.parametrize(
    ("mode", "opens", "said"),
    [
        ("crashes", True, "crashes: killed by SIGSEGV (it should run the file)"),
        ("refuses", False, "refuses: Didn't find op for builtin opcode 'GELU' version '2'."),
        ("lacks a library", False, "crashes: ended with 3: libusb-1.0.so.0: cannot open"),
        ("chatter", False, "says 'chatter' instead of JSON"),
        ("too short", True, "gives logits of shape"),
    ],
)
def test_failures_are_one_line(mode: str, opens: bool, said: str, fakes: Path) -> None:
    row = row_of(mode, fakes)
    assert row.opens is opens and row.failed
    assert row.verdict.startswith(said)


def test_a_hanging_runtime_is_left(fakes: Path) -> None:
    began = time.monotonic()
    _, row = examine(fakes, runtimes("hangs"), Path(), timeout=3)
    assert row.verdict.startswith("hangs: no reply within 3 s") and row.failed
    assert time.monotonic() - began < 20


def test_a_fixed_length_is_told_but_right(fakes: Path) -> None:
    row = row_of("fixed", fakes)
    assert (row.resizes, row.error, row.failed) == (False, 0, False)
    assert row.verdict == "right, but does not resize: pad to 384"


def test_an_older_runtime_may_fail_a_newer_file(fakes: Path) -> None:
    # The int8 file needs TensorFlow Lite 2.17.
    old, new = (
        replace(each, suffix=".tflite", tensorflow=release)
        for each, release in zip(runtimes("refuses")[1:] * 2, ("2.16.2", "2.17.0"), strict=True)
    )
    reference = replace(runtimes()[0], suffix=".tflite")
    file = exported("distilbert")["int8"]
    _, row, other = examine(file, [reference, old, new], Path())
    assert "(as expected, the file needs TensorFlow Lite 2.17.0)" in row.verdict and not row.failed
    assert "(it should run the file)" in other.verdict and other.failed


def test_a_reference_that_does_not_run_is_an_error(fakes: Path) -> None:
    with pytest.raises(ConversionError, match=r"^refuses refuses: Didn't find op"):
        examine(fakes, [replace(runtimes()[0], name="refuses", worker=("onnx", "refuses"))], Path())
    with pytest.raises(ConversionError, match=r"none of \.onnx"):
        examine(fakes.with_suffix(".bin"), runtimes(), Path())


GOLDEN_CONTEXT = "The tall tower  of Rome was built by Emma, not by Boris."


def golden(folder: Path, context: str = GOLDEN_CONTEXT, **answers: Any) -> Path:
    """A golden file of one question, each word of the passage being a piece."""
    offsets, at = [], 0
    for word in context.split():
        at = context.index(word, at)
        offsets.append([at, at + len(word)])
    ids = [2, 40, 41, 3, *range(50, 50 + len(offsets)), 3]
    case = {
        "question": "Who built the tower?",
        "context": context,
        "windows": [{"ids": ids, "first": 4, "offsets": offsets}],
        "window_count": 1,
        "answers": {
            name: dict(zip(SPANS.names, logits, strict=True)) for name, logits in answers.items()
        },
    }
    path = folder / "golden.json"
    path.write_text(json.dumps({"cases": [case]}))
    return path


def test_golden_logits_are_a_second_reference(fakes: Path) -> None:
    golden(fakes.parent)
    (case,) = read_cases(fakes, 24)
    worker = Worker([sys.executable, str(fakes.parent / "fake.py"), "reference"], 20)
    logits, _ = worker.logits(case.request(), 1)
    worker.close()
    golden(fakes.parent, **{fakes.name: logits.tolist()})
    row = row_of("slow", fakes)
    assert (row.golden_error, row.verdict) == (0, "right")
    golden(fakes.parent, **{fakes.name: (logits + 5).tolist()})
    reference, _ = examine(fakes, runtimes("slow"), Path())
    assert reference.failed and "off by 5 when exported" in reference.verdict


def test_a_damaged_golden_file_is_one_line(fakes: Path) -> None:
    path = golden(fakes.parent)
    for text in ('{"cases": [{}]}', "[", '{"cases": []}'):
        path.write_text(text)
        with pytest.raises(ConversionError, match=r"^[^\n]*golden\.json [^\n]*export again$"):
            examine(fakes, runtimes(), Path())


@pytest.mark.parametrize(
    ("key", "value"),
    [("first", 10**12), ("first", -5), ("ids", [1, "a"] * 10), ("ids", [-1] * 20)],
    ids=["far", "before", "text", "negative"],
)
def test_a_golden_file_of_impossible_places_is_one_line(key: str, value: Any, fakes: Path) -> None:
    """Lists of so many numbers would fill the memory."""
    path = golden(fakes.parent)
    document = json.loads(path.read_text())
    document["cases"][0]["windows"][0][key] = value
    path.write_text(json.dumps(document))
    with pytest.raises(ConversionError, match=r"^[^\n]*golden\.json [^\n]*export again$"):
        read_cases(fakes, 24)


def test_the_task_library_is_held_to_whole_words(fakes: Path) -> None:
    path = golden(fakes.parent)
    (case,) = read_cases(fakes, 24)
    worker = Worker([sys.executable, str(fakes.parent / "fake.py"), "reference"], 20)
    expected = task_library_answer(case, worker.logits(case.request(), 1)[0])
    worker.close()
    assert expected
    cases = json.loads(path.read_text())["cases"]
    wrong = "WRONG, without an error: "
    # One of several may be a near tie, but not the only one where nothing else is compared.
    for said, count, verdict in (
        (expected, 3, "right"),
        ("no", 3, wrong + "3 of 3 answers"),
        ("no", 1, wrong + "1 of 1 answers"),
    ):
        path.write_text(json.dumps({"cases": cases * count}))
        tasks = replace(runtimes("x")[1], worker=("tasks", said))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compat, "undescribed", lambda file: "")
            _, row = examine(fakes, [runtimes()[0], tasks], Path())
        assert row.verdict.startswith(verdict) and row.resizes is False
        assert row.equal == (count if said == expected else 0, count)


def test_spans_and_whole_words() -> None:
    offsets = ((0, 3), (4, 8), (8, 9), (11, 16))
    case = Case(tuple(range(9)), 3, 7, offsets, "q", "the tall, (tower)", True)
    start, end = logits = np.full((2, 9), -5.0, np.float32)
    start[4], start[8], end[5], end[3], end[0] = 3, 9, 2, 8, 9
    assert best_span(case, logits) == (4, 5)  # 8 lies behind the passage, 3 before the start
    assert task_library_answer(case, logits) == "tall,"
    start[3], end[6] = 4, 4
    assert task_library_answer(case, logits) == "the"  # 4 + 8
    end[3] = -5
    assert task_library_answer(case, logits) == "the tall, (tower)"
    start[:3] = start[7:] = 20  # question and padding take all five places
    assert task_library_answer(case, logits) == ""
    assert whole_words("a  b\nc d", 3, 4) == "b\nc"


def test_made_up_windows_without_a_golden_file(tmp_path: Path) -> None:
    cases = read_cases(tmp_path / "a.tflite", 24)
    assert [len(case.ids) for case in cases] == [16, 61, 200]
    request = cases[0].request(384)
    assert [len(request[name]) for name in INPUTS] == [384] * 3
    assert sum(request["mask"]) == 16 and sum(request["segment_ids"]) == 12
    assert request["ids"][16:] == [0] * 368


def test_the_table_lines_up() -> None:
    lines = table([Row("A"), Row("Long name", True, False, 0.5, None, (3, 4), 1.25, 2.0, "right")])
    header, first, second = lines.split("\n")
    assert header.index("verdict") == second.index("right")
    assert second.split()[2:] == ["yes", "no", "0.5", "-", "3/4", "1.2", "2.0", "right"]
    assert first.split() == ["A", *"-------"]


def test_the_command_prints_tables_and_fails(
    fakes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compat, "RUNTIMES", runtimes("slow"))
    assert compat.main([str(fakes)]) == 0
    assert "slow" in capsys.readouterr().out
    monkeypatch.setattr(compat, "RUNTIMES", runtimes("another model"))
    assert compat.main([str(fakes)]) == 1
    out, err = capsys.readouterr()
    assert "WRONG" in out and "gives wrong answers" in err
    assert compat.main([str(fakes.with_name("none.bin"))]) == 2
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("patience", ["nan", "inf", "0", "-1", "1e400"])
def test_a_patience_that_no_clock_has_is_refused(
    patience: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        compat.main(["a.tflite", "--timeout", patience])
    said = capsys.readouterr().err
    assert caught.value.code == 2 and said.count("\n") == 1 and "up to 100,000 seconds" in said


def test_a_pipe_and_a_damaged_file_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe.tflite")
    (tmp_path / "graph.tflite").write_bytes(b"\0\0\0\0TFL3" + b"\xff" * 100)
    for name, said in (("pipe", "a pipe or a device"), ("graph", "is damaged")):
        assert compat.main([str(tmp_path / f"{name}.tflite"), "--environments", "."]) == 2
        printed = capsys.readouterr().err
        assert printed.count("\n") == 1 and said in printed


def test_what_is_missing_is_told_with_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_name = {runtime.name: runtime for runtime in RUNTIMES}
    tasks = by_name["Task Library 0.4.4"]
    arm = next(runtime for runtime in RUNTIMES if runtime.emulated)
    assert missing(RUNTIMES[0], tmp_path) == ""
    assert missing(by_name["TensorFlow 2.16.2"], tmp_path).endswith("make compat")
    monkeypatch.setattr(compat_environments.ctypes.util, "find_library", lambda name: None)
    monkeypatch.setattr(compat_environments.shutil, "which", lambda name: None)
    assert missing(tasks, tmp_path).startswith("apt-get install libusb-1.0-0")
    assert "qemu-user" in missing(arm, tmp_path)
    with pytest.raises(ConversionError, match=r"apt-get install libusb-1\.0-0$"):
        install(tasks, tmp_path)
    assert list(tmp_path.iterdir()) == []
    _, row = examine(exported("distilbert")["fp32"], [RUNTIMES[0], tasks], tmp_path)
    assert row.verdict.startswith("not installed: apt-get") and not row.failed


def test_a_failed_installation_is_one_line_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Runtime("X", ("tflite", "x"), "x", ("x==1",))
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\necho no such package >&2\nexit 2\n")
    uv.chmod(0o755)
    monkeypatch.setattr(compat_environments.shutil, "which", lambda name: str(uv))
    with pytest.raises(ConversionError, match=r"uv venv --quiet \.\.\. failed: no such package$"):
        install(runtime, tmp_path)
    made = f"{tmp_path}/x/bin"
    uv.write_text(f'#!/bin/sh\nmkdir -p {made}\ntouch {made}/python\necho "$@" >> {tmp_path}/log\n')
    install(runtime, tmp_path)
    assert missing(runtime, tmp_path) == ""
    install(runtime, tmp_path)  # is there: nothing to do
    assert len((tmp_path / "log").read_text().splitlines()) == 2
    assert missing(replace(runtime, packages=("x==2",)), tmp_path)  # a new pin: make it again


def test_the_worker_stays_valid_for_old_pythons() -> None:
    source = (Path(compat.__file__).with_name("worker.py")).read_text()
    tree = ast.parse(source, feature_version=(3, 7))
    imports = {
        name.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for name in node.names
    }
    assert imports <= {
        "importlib",
        "json",
        "os",
        "re",
        "subprocess",
        "sys",
        "tempfile",
        "time",
        "numpy",
    }


def test_the_real_worker_gives_litert_s_logits(tmp_path: Path) -> None:
    file = exported("distilbert")["int8"]
    runner = Interpreter(model_path=str(file)).get_signature_runner("answer")
    worker = Worker(command(RUNTIMES[0], tmp_path), 60)
    try:
        with pytest.raises(WorkerError, match=r"^refuses: "):
            worker.ask(open=str(tmp_path / "none.tflite"))
        assert worker.ask(open=str(file))["runtime"].startswith("ai_edge_litert")
        for length in (384, 21, 384):
            inputs = dict(zip(INPUTS, window(length), strict=True))
            logits, ms = worker.logits({n: a[0].tolist() for n, a in inputs.items()}, 2)
            expected = runner(**inputs)
            np.testing.assert_array_equal(logits, [expected[name][0] for name in SPANS.names])
            assert ms > 0
        with pytest.raises(WorkerError, match=r"^refuses: "):
            worker.ask(**{name: [10**6] for name in INPUTS})  # no such token
    finally:
        worker.close()


ENVIRONMENTS = ROOT / ".compat"


def real(folder: str) -> Runtime:
    runtime = next(each for each in RUNTIMES if each.folder == folder)
    if reason := missing(runtime, ENVIRONMENTS):
        pytest.skip(f"{runtime.name}: {reason}")
    return runtime


@pytest.mark.long
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8-per-tensor", "int8", "int4"])
@pytest.mark.parametrize("folder", ["tensorflow-2.21", "tensorflow-2.16", "arm64"])
def test_real_runtimes_keep_to_what_a_file_needs(
    folder: str, precision: str, tmp_path: Path
) -> None:
    runtime = real(folder)
    file = Path(shutil.copy(exported("distilbert")[precision], tmp_path / "a.tflite"))
    words = tmp_path / "words.txt"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *map(str, range(VOCABULARY - 4))]
    words.write_text("\n".join(pieces))
    add_metadata(file, words, About("a", "b", "c", "d", "e"))
    _, row = examine(file, [RUNTIMES[0], runtime], ENVIRONMENTS)
    assert not row.failed, row.verdict
    refused = folder == "tensorflow-2.16" and precision in ("int8", "int4")
    assert row.opens is not refused
    assert ("version '1" in row.verdict) is refused  # FULLY_CONNECTED 12 and 13


@pytest.mark.long
def test_a_table_with_a_scale_a_row_is_wrong_in_tensorflow_2_16(tmp_path: Path) -> None:
    runtime = real("tensorflow-2.16")
    model = tflite_file.read(exported("distilbert")["int8-per-tensor"])
    table = next(t for t in model.subgraphs[0].tensors if t.name == b"word_embeddings")
    table.quantization.scale = np.resize(table.quantization.scale, VOCABULARY)
    table.quantization.zeroPoint = np.zeros(VOCABULARY, np.int64)
    file = tflite_file.write(model, tmp_path / "rows.tflite")
    _, row = examine(file, [RUNTIMES[0], runtime], ENVIRONMENTS)
    assert row.failed and row.verdict.startswith("WRONG, without an error")


CORES = [runtime for runtime in RUNTIMES if runtime.emulated]


@pytest.mark.parametrize("runtime", CORES, ids=lambda runtime: runtime.processor.split(",")[0])
def test_each_emulated_core_sees_a_model_that_it_may_be(runtime: Runtime, tmp_path: Path) -> None:
    words = command(runtime, tmp_path)
    assert words[words.index("-cpu") + 1] == runtime.processor
    assert words[words.index("-D") + 1] == compat_environments.LOG
    told = next(Path(word) for word in words if "cpuinfo" in word and word.endswith(".txt"))
    (line,) = [line for line in told.read_text().splitlines() if line.startswith("Features")]
    assert ("asimddp" in line.split()) is (runtime.processor != "cortex-a53")
    assert runtime.folder == "arm64", "one environment for all cores"


def worker_module() -> Any:
    spec = importlib.util.spec_from_file_location(
        "compat_worker", Path(compat.__file__).with_name("worker.py")
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        (["0x0000004000a1:  4e829420  sdot v0.4s, v1.16b, v2.16b"], ["sdot"]),
        (["0x4000a1: 4f82e020  sdot v0.4s, v1.16b, v2.4b[0]"], ["sdot"]),
        (["OBJD-T: 209482" + "4e1f2003d5"], ["sdot"]),
        (["0x4000a1: 4e82a420  smmla v0.4s, v1.16b, v2.16b", "IN: main"], ["smmla"]),
        (["0x1: 0e228020  smlal v0.8h, v1.8b, v2.8b", "0x5: 0e22c020  smull"], ["smlal", "smull"]),
        (["0x4000a1: 6e829420  udot v0.4s, v1.16b, v2.16b", "OBJD-T: x"], []),
        (["0x4000a1: 0e628020  smlal v0.4s, v1.4h, v2.4h"], []),
        (["0x4000a1: 0f422020  smlal v0.4s, v1.4h, v2.h[0]"], ["smlal of 16 bits"]),
    ],
    ids=["sdot", "by an element", "bytes", "smmla", "neon", "unsigned", "wider", "widened"],
)
def test_kernels_are_read_from_the_instructions(
    lines: list[str], names: list[str], tmp_path: Path
) -> None:
    program = worker_module()._Program("qemu", "-D", "{log}")
    assert program.command == ["qemu", "-D", str(program.log)]
    program.log.write_text("----\n" + "\n".join(lines) + "\n")
    assert program.kernels() == names


@pytest.mark.long
@pytest.mark.parametrize("runtime", CORES, ids=lambda runtime: runtime.processor.split(",")[0])
def test_each_core_gives_the_same_answers_with_kernels_of_its_own(runtime: Runtime) -> None:
    if reason := missing(runtime, ENVIRONMENTS):
        pytest.skip(f"{runtime.name}: {reason}")
    _, row = examine(exported("distilbert")["int8"], [RUNTIMES[0], runtime], ENVIRONMENTS)
    assert not row.failed, row.verdict
    fast = {"neoverse-n1": {"sdot"}, "cortex-a53": set(), "max": {"smmla"}}
    assert row.kernels is not None
    assert set(row.kernels) & {"sdot", "smmla"} >= fast[runtime.processor.split(",")[0]]
    if runtime.processor == "cortex-a53":
        assert not set(row.kernels) & {"sdot", "smmla"}
