# SPDX-License-Identifier: Apache-2.0
"""One interface to every runtime: same answers, clear errors, and a probe that imports little."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from export_fixtures import (
    KINDS,
    POSITIONS,
    VOCABULARY,
    batch,
    exported,
    exported_onnx,
    hugging_face_logits,
    tiny_model,
    window,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from repository import ROOT

from benchmarks.measure.memory import NAMES
from converters import ConversionError
from converters.onnx import file as onnx_file
from converters.runtimes.onnx import OnnxPredictor
from converters.runtimes.open import open_predictor
from converters.runtimes.probe import main, probe
from converters.runtimes.tflite import TfLitePredictor
from converters.runtimes.torch import TorchPredictor
from converters.runtimes.weight_cache import CachedTfLitePredictor, start_runtime

Files = Callable[[str], dict[str, Path]]


@pytest.mark.parametrize("kind", KINDS)
def test_predictors_agree_with_transformers(kind: str) -> None:
    model = tiny_model(kind)
    tflite = open_predictor(exported(kind)["fp32"], threads=2)
    ort = open_predictor(exported_onnx(kind)["fp32"], threads=2)
    reference = TorchPredictor(model, "teacher")
    predictors = (tflite, ort, reference)
    names = [predictor.name for predictor in predictors]
    assert names == ["student-fp32.tflite", "student-fp32.onnx", "teacher"]
    assert {predictor.max_length for predictor in predictors} == {POSITIONS}
    for length, padding in ((384, 0), (20, 6), (POSITIONS, 0), (1, 0)):
        inputs = window(length, padding)
        expected = hugging_face_logits(model, inputs)[:, : length - padding]
        for predictor in predictors:
            start, end = predictor.run(*inputs)
            assert start.shape == end.shape == (length,)
            assert start.dtype == end.dtype == np.float32
            found = np.stack([start, end])
            # float32 sums in another order; measured 1e-6
            assert np.abs(found[:, : length - padding] - expected).max() < 1e-5
            assert (found[:, length - padding :] < -5e3).all()


@pytest.mark.parametrize("precision", ["fp16", "int8", "int8-per-tensor", "int4"])
def test_every_precision_opens_with_its_longest_length(precision: str) -> None:
    assert open_predictor(exported("bert")[precision]).max_length == POSITIONS


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_every_onnx_precision_opens_with_its_longest_length(precision: str) -> None:
    assert open_predictor(exported_onnx("bert")[precision]).max_length == POSITIONS


def test_onnx_runs_batches() -> None:
    predictor = OnnxPredictor(exported_onnx("bert")["fp32"])
    inputs = batch(5, 60)
    start, end = predictor.run_batch(*inputs)
    assert start.shape == end.shape == (5, 60)
    for row in range(5):
        arrays = (array[row : row + 1] for array in inputs)
        alone = predictor.run(*arrays)
        assert np.abs(np.stack([start[row], end[row]]) - np.stack(alone)).max() < 1e-5
    for rows in ((0, 60), (5, 0), (5, 513)):
        empty = np.zeros(rows, np.int32)
        with pytest.raises(ConversionError, match=r"\(B, S\)|1 to 512"):
            predictor.run_batch(empty, empty, empty)
    with pytest.raises(ConversionError, match=r"\(1, S\)"):
        predictor.run(*inputs)


@pytest.mark.parametrize("files", [exported, exported_onnx])
def test_results_belong_to_the_caller(files: Files) -> None:
    predictor = open_predictor(files("distilbert")["int8"])
    first, _ = predictor.run(*window(30, seed=1))
    before = first.copy()
    predictor.run(*window(30, seed=2))
    assert (first == before).all()


def test_refuses_shapes_and_lengths_and_goes_on() -> None:
    ids, mask, segment_ids = window(30)
    expected = TorchPredictor(tiny_model("bert"), "").run(ids, mask, segment_ids)
    for predictor in (
        TfLitePredictor(exported("bert")["fp32"]),
        OnnxPredictor(exported_onnx("bert")["fp32"]),
        TorchPredictor(tiny_model("bert"), "teacher"),
    ):
        with pytest.raises(ConversionError, match=r"513 tokens .* 1 to 512"):
            predictor.run(*window(POSITIONS + 1))
        with pytest.raises(ConversionError, match="0 tokens"):
            predictor.run(*window(0))
        with pytest.raises(ConversionError, match=r"\(1, 30\).*\(1, 29\)"):
            predictor.run(ids, mask[:, :29], segment_ids)
        with pytest.raises(ConversionError, match=r"\(1, S\)"):
            predictor.run(ids[0], mask[0], segment_ids[0])
        assert np.abs(predictor.run(ids, mask, segment_ids)[0] - expected[0]).max() < 1e-5


@pytest.mark.parametrize("files", [exported, exported_onnx])
def test_an_id_outside_the_vocabulary_is_an_error_not_an_answer(
    files: Files, capfd: pytest.CaptureFixture[str]
) -> None:
    predictor = open_predictor(files("distilbert")["int8"])
    ids, mask, segment_ids = window(30)
    capfd.readouterr()
    for wrong in (ids + VOCABULARY, ids - VOCABULARY):
        with pytest.raises(ConversionError, match="vocabulary") as caught:
            predictor.run(wrong, mask, segment_ids)
        assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
    assert np.isfinite(predictor.run(ids, mask, segment_ids)[0]).all()


def test_opens_a_hugging_face_folder(tmp_path: Path) -> None:
    model = tiny_model("bert")
    model.save_pretrained(tmp_path / "teacher")
    threads = torch.get_num_threads()
    predictor = open_predictor(tmp_path / "teacher", threads)
    assert predictor.name == "teacher"
    inputs = window(12)
    expected = hugging_face_logits(model, inputs)
    assert np.abs(np.stack(predictor.run(*inputs)) - expected).max() < 1e-6
    (tmp_path / "teacher" / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(ConversionError, match=r"model\.safetensors is damaged"):
        open_predictor(tmp_path / "teacher")


def test_refuses_files_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="does not exist"):
        open_predictor(tmp_path / "none.tflite")
    other = tmp_path / "model.bin"
    other.write_bytes(exported("bert")["int8"].read_bytes())
    with pytest.raises(ConversionError, match=r"expected a .tflite or .onnx file"):
        open_predictor(other)
    with pytest.raises(ConversionError, match=r"expected a .tflite or .onnx file"):
        open_predictor(tmp_path)


@pytest.mark.parametrize("files", [exported, exported_onnx])
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_refuses_damaged_files(
    files: Files, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    source = files("distilbert")["int8"]
    whole = source.read_bytes()
    damaged = data.draw(
        st.one_of(
            st.integers(0, len(whole) - 1).map(lambda end: whole[:end]),
            st.binary(max_size=300),
            st.binary(max_size=300).map(lambda rest: whole[:8] + rest),
        )
    )
    path = tmp_path_factory.mktemp("damaged") / f"model{source.suffix}"
    path.write_bytes(damaged)
    with pytest.raises(ConversionError) as caught:
        open_predictor(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_refuses_onnx_files_of_others(tmp_path: Path) -> None:
    """Names, dtypes and the largest length are part of the interface, and never guessed."""
    path = tmp_path / "other.onnx"
    for content in (b"", b"This is a model.\n"):
        path.write_bytes(content)
        with pytest.raises(ConversionError, match="ONNX Runtime cannot open"):
            open_predictor(path)

    def rename(model: Any) -> None:
        model.graph.input[2].name = "token_type_ids"

    def widen(model: Any) -> None:
        model.graph.input[2].type.tensor_type.elem_type = 7  # int64

    def forget(model: Any) -> None:
        del model.metadata_props[:]

    for change, report in (
        (rename, "token_type_ids"),
        (widen, r"'segment_ids': 'tensor\(int64\)'"),
        (forget, "max_length missing"),
    ):
        model = onnx_file.read(exported_onnx("distilbert")["int8"])  # ignores its segments
        change(model)
        path.write_bytes(model.SerializeToString())
        with pytest.raises(ConversionError, match=report) as caught:
            open_predictor(path)
        assert "\n" not in str(caught.value) and "converters.onnx.export" in str(caught.value)


def test_onnx_files_without_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # an import fails
    with pytest.raises(ConversionError, match=r"pip install .*onnxruntime"):
        probe(exported_onnx("bert")["int8"], threads=1, lengths=[4], repeat=1)


@pytest.mark.parametrize("kind", ["tflite", "onnx", "folder"])
def test_probe(kind: str, tmp_path: Path) -> None:
    path = (exported_onnx if kind == "onnx" else exported)("distilbert")["int8"]
    if kind == "folder":
        path = tmp_path
        tiny_model("distilbert").save_pretrained(path)
    found = probe(path, threads=1, lengths=[16, 384], repeat=2)
    assert set(found) == set(NAMES)
    assert 0 < found["first_ms"] < 60_000 and 0 < found["load_ms"] < 60_000
    assert found["peak_rss_bytes"] >= found["empty_rss_bytes"] > 2**20


@pytest.mark.parametrize("files", [exported, exported_onnx])
def test_probe_in_its_own_process_is_small(files: Files) -> None:
    path = files("distilbert")["int8"]
    command = [sys.executable, "-m", "converters.runtimes.probe", str(path)]
    command += ["--threads", "2", "--length", "16", "--length", "32", "--repeat", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    (line,) = done.stdout.splitlines()
    # numpy and the runtime take 40 to 55 MB; PyTorch or the schema classes would show.
    assert json.loads(line)["empty_rss_bytes"] < 70e6


def test_memory_of_a_process_is_its_own_and_exact() -> None:
    """A parent's peak is not handed down, and bytes that are touched are counted."""
    ballast = b"1" * 300_000_000
    code = (
        "from converters.runtimes.probe import _memory; before = _memory('VmRSS')\n"
        "held = b'1' * 80_000_000; print(before, _memory('VmHWM'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    before, peak = map(int, done.stdout.split())
    assert before < 150e6 < len(ballast)
    # The rest is a few pages of the interpreter's own.
    assert peak - before == pytest.approx(80e6, abs=4e6)


@pytest.mark.skipif(sys.platform != "linux", reason="no system else tells")
def test_memory_is_private_or_lies_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"1" * 40_000_000)
    code = (
        "import mmap, sys; from converters.runtimes.probe import _memory, _parts; a = _parts()\n"
        "held = b'1' * 80_000_000; b = _parts()\n"
        "file = open(sys.argv[1]); mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)\n"
        "mapped.find(b'2'); c = _parts(); print(*a, *b, *c, _memory('VmRSS'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "weights")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    a, b, c = np.array(done.stdout.split()[:6], dtype=float).reshape(3, 2)
    # A few pages more: the interpreter goes on working.
    assert b - a == pytest.approx([80e6, 0], abs=1e6)
    assert c - b == pytest.approx([0, 40e6], abs=1e6)
    assert sum(c) == pytest.approx(float(done.stdout.split()[6]), abs=1e6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_weight_cache_changes_no_answer(kind: str, tmp_path: Path) -> None:
    path, cache = exported(kind)["int8"], tmp_path / "cache"
    expected = TfLitePredictor(path)
    environment = start_runtime()
    for _ in ("made", "read"):
        cached = CachedTfLitePredictor(path, cache, environment)
        for length in (16, 384, 30):
            inputs = window(length, padding=3)
            found = np.stack(cached.run(*inputs))
            assert np.abs(found - np.stack(expected.run(*inputs))).max() < 1e-5
        assert cache.stat().st_size > 20_000
    with pytest.raises(ConversionError, match=r"513 tokens .* 1 to 512"):
        cached.run(*window(513))


def test_probe_with_a_weight_cache(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    found = probe(exported("bert")["int8"], 1, [16], 1, weight_cache=cache)
    assert set(found) == set(NAMES) and cache.is_file()
    for path, folder, said in (
        (exported_onnx("bert")["int8"], tmp_path, "that is for .tflite files"),
        (exported("bert")["int8"], tmp_path / "missing", "its folder must be writable"),
    ):
        with pytest.raises(ConversionError, match=said):
            probe(path, 1, [16], 1, weight_cache=folder / "other")


def test_probe_reports_errors_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "a.tflite")]) == 2
    assert "does not exist" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        main(["x", "--repeat", "0"])
    assert stopped.value.code == 2 and capsys.readouterr().err.count("\n") == 1
