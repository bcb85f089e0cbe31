# SPDX-License-Identifier: Apache-2.0
"""What other tools make of a model: their files answer as the model does, and are made once."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from export_fixtures import (
    KINDS,
    POSITIONS,
    VOCABULARY,
    Window,
    hugging_face_logits,
    tiny_model,
    window,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import run, subjects
from benchmarks.measure.session import pairs
from benchmarks.page.console import show
from converters import ConversionError
from converters.extras import install_hint
from converters.interface import MASK_BIAS
from converters.quiet import quiet
from converters.runtimes import peers
from converters.runtimes.open import open_predictor
from converters.runtimes.peer_files import (
    ExecuTorchPredictor,
    HuggingFaceOnnxPredictor,
    is_hugging_face_onnx,
)
from converters.runtimes.probe import probe
from converters.runtimes.weights import stored, vocabulary_size
from converters.tflite import export as to_tflite
from pipeline.errors import UserError

needs_executorch = pytest.mark.skipif(
    importlib.util.find_spec("executorch") is None,
    reason=f"ExecuTorch is not installed: {install_hint('peers')}",
)

# One layer: exporters take seconds each.
LAYERS = {"bert": {"num_hidden_layers": 1}, "distilbert": {"n_layers": 1}}

Folder = Callable[[str], Path]


@cache
def tiny(kind: str) -> Any:
    return tiny_model(kind, **LAYERS[kind])


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Gives the Hugging Face folder of the tiny model of a kind."""

    @cache
    def folder(kind: str) -> Path:
        path = tmp_path_factory.mktemp(kind) / "student"
        tiny(kind).save_pretrained(path)
        return path

    return folder


@pytest.fixture(scope="module")
def onnx_peers(tmp_path_factory: pytest.TempPathFactory, model_folder: Folder) -> Folder:
    """Gives the folder of ONNX Runtime's two files for a kind."""

    @cache
    def made(kind: str) -> Path:
        folder = tmp_path_factory.mktemp(f"{kind}-onnx")
        with quiet():
            model = peers.load(model_folder(kind))
            peers.export_onnx(model, folder / peers.FILES[0], folder / peers.FILES[1])
        (folder / "config.json").write_bytes((model_folder(kind) / "config.json").read_bytes())
        return folder

    return made


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, model_folder: Folder) -> Path:
    """ExecuTorch's int8 file for BERT, which has a third input."""
    path = tmp_path_factory.mktemp("pte") / peers.FILES[3]
    with quiet():
        peers.export_executorch(peers.load(model_folder("bert")), path, "int8")
    return path


def error(predictor: Any, kind: str, inputs: Window) -> float:
    """Largest difference of a logit that is no padding's from the model's own."""
    expected = hugging_face_logits(tiny(kind), inputs)
    places = inputs[1][0] == 1
    return float(np.abs(np.stack(predictor.run(*inputs)) - expected)[:, places].max())


# Logits are about 0.7: float runtimes sum in another order, int8 rounds weights and activations
# (measured: 5e-7, and 0.03 at most).
LIMITS = {"fp32": 2e-5, "int8": 0.1}


@pytest.mark.parametrize("kind", KINDS)
def test_onnx_files_answer_as_the_model_at_any_length(kind: str, onnx_peers: Folder) -> None:
    for name, limit in zip(peers.FILES[:2], LIMITS.values(), strict=True):
        predictor = open_predictor(onnx_peers(kind) / name)
        assert isinstance(predictor, HuggingFaceOnnxPredictor)
        assert (predictor.name, predictor.max_length) == (name, POSITIONS)
        assert error(predictor, kind, window(1)) < limit
        assert error(predictor, kind, window(POSITIONS)) < limit
        assert error(predictor, kind, window(48, padding=20)) < limit
        start, end = predictor.run(*window(48, padding=20))
        assert start.shape == end.shape == (48,)
        assert max(start[-20:].max(), end[-20:].max()) < MASK_BIAS / 2
    assert (onnx_peers(kind) / peers.FILES[1]).stat().st_size < 0.7 * (
        onnx_peers(kind) / peers.FILES[0]
    ).stat().st_size


@needs_executorch
def test_a_program_answers_as_the_model_at_any_length(program: Path) -> None:
    predictor = open_predictor(program)
    assert isinstance(predictor, ExecuTorchPredictor)
    assert (predictor.name, predictor.max_length) == (program.name, POSITIONS)
    assert not predictor._fixed
    for inputs in (window(2), window(POSITIONS), window(48, padding=20)):
        assert error(predictor, "bert", inputs) < LIMITS["int8"]
    assert predictor.run(*window(48, padding=20))[0][-20:].max() < MASK_BIAS / 2
    with pytest.raises(ConversionError, match="513 tokens do not fit"):
        predictor.run(*window(POSITIONS + 1))
    ids, mask, segment_ids = window(4)
    with pytest.raises(ConversionError, match="cannot run 4 tokens"):
        predictor.run(ids + VOCABULARY, mask, segment_ids)
    assert error(predictor, "bert", window(4)) < LIMITS["int8"]  # and it lives on


@pytest.fixture(scope="module")
def lower() -> Callable[..., bytes]:
    """Gives `lower(dtype, outputs)`: a program of one length, 4, that returns its inputs."""

    def program(dtype: str, outputs: int) -> bytes:
        import torch

        class Same(torch.nn.Module):
            def forward(self, ids: Any, mask: Any) -> tuple[Any, ...]:
                return (ids.float() + 0.25, mask.float() + 0.5)[:outputs]

        # not one tensor twice: that would be one input
        example = tuple(torch.ones(1, 4, dtype=getattr(torch, dtype)) for _ in range(2))
        with quiet():
            return peers.lowered(torch.export.export(Same(), example))

    return program


@needs_executorch
def test_a_program_of_one_length_runs_padded_to_it(
    lower: Callable[..., bytes], tmp_path: Path
) -> None:
    path = tmp_path / "fixed.pte"
    path.write_bytes(lower("int64", 2))
    predictor = open_predictor(path)
    assert predictor.max_length == 4
    ids, ones = np.array([[7, 8, 9]], np.int32), np.ones((1, 3), np.int32)
    start, end = predictor.run(ids, ones, ones)
    assert (start.tolist(), end.tolist()) == ([7.25, 8.25, 9.25], [1.5, 1.5, 1.5])
    with pytest.raises(ConversionError, match="5 tokens do not fit"):
        predictor.run(*window(5))


@needs_executorch
@pytest.mark.parametrize(("dtype", "outputs"), [("float32", 2), ("int64", 1)])
def test_a_program_of_another_interface_is_refused(
    dtype: str, outputs: int, lower: Callable[..., bytes], tmp_path: Path
) -> None:
    path = tmp_path / "other.pte"
    path.write_bytes(lower(dtype, outputs))
    with pytest.raises(ConversionError, match="expected two or three int64 inputs") as caught:
        open_predictor(path)
    assert "\n" not in str(caught.value)


@needs_executorch
def test_damaged_programs_are_told_on_one_line(
    program: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = program.read_bytes()
    for content in (b"", b"This is a model.\n", whole[:1000], whole[: len(whole) // 2]):
        path = tmp_path / "cut.pte"
        path.write_bytes(content)
        with pytest.raises(ConversionError, match="ExecuTorch cannot open") as caught:
            open_predictor(path)
        assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""  # none of the runtime's own lines


@needs_executorch
def test_the_number_of_threads_is_the_process_s(program: Path) -> None:
    """A program that is open when the pool is replaced would hang in its next run."""
    first = open_predictor(program, threads=1)
    with pytest.raises(ConversionError, match="one pool of threads"):
        open_predictor(program, threads=2)
    del first
    assert error(open_predictor(program, threads=2), "bert", window(12)) < LIMITS["int8"]
    open_predictor(program, threads=1)


@needs_executorch
def test_a_program_starts_cold(program: Path) -> None:
    found = probe(program, threads=1, lengths=[16, POSITIONS], repeat=1)
    assert found["peak_rss_bytes"] >= found["empty_rss_bytes"] > 2**20


def test_programs_without_executorch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "executorch.extension.pybindings", None)  # an import fails
    path = tmp_path / "model.pte"
    path.touch()
    with pytest.raises(ConversionError, match=r"pip install .*executorch"):
        open_predictor(path)


def changed_onnx(source: Path, target: Path, change: Callable[[Any], object]) -> Path:
    model = onnx.load(source)
    change(model)
    onnx.save(model, target)
    (target.parent / "config.json").write_bytes((source.parent / "config.json").read_bytes())
    return target


def test_an_onnx_file_of_one_length_runs_padded_to_it(onnx_peers: Folder, tmp_path: Path) -> None:
    def fix(model: Any) -> None:
        for value in model.graph.input:
            for dim, size in zip(value.type.tensor_type.shape.dim, (1, 16), strict=True):
                dim.dim_value = size

    path = changed_onnx(onnx_peers("bert") / peers.FILES[0], tmp_path / "fixed.onnx", fix)
    predictor = open_predictor(path)
    assert predictor.max_length == 16
    for inputs in (window(16), window(5), window(12, padding=3)):
        assert error(predictor, "bert", inputs) < LIMITS["fp32"]


def test_refuses_onnx_files_with_other_tensors(onnx_peers: Folder, tmp_path: Path) -> None:
    source = onnx_peers("distilbert") / peers.FILES[0]

    def rename(model: Any) -> None:
        for node in model.graph.node:
            node.output[:] = ["logits" if n == "start_logits" else n for n in node.output]
            node.input[:] = ["logits" if n == "start_logits" else n for n in node.input]
        model.graph.output[0].name = "logits"

    def add(model: Any) -> None:
        model.graph.input.append(onnx.helper.make_tensor_value_info("pixels", 1, [1]))

    for change, said in ((rename, "'logits'"), (add, "'pixels'")):
        path = changed_onnx(source, tmp_path / "other.onnx", change)
        with pytest.raises(ConversionError, match=said) as caught:
            open_predictor(path)
        assert "\n" not in str(caught.value) and "input_ids, attention_mask" in str(caught.value)


def test_the_largest_length_is_never_guessed(onnx_peers: Folder, tmp_path: Path) -> None:
    path = tmp_path / "alone.onnx"
    path.write_bytes((onnx_peers("bert") / peers.FILES[1]).read_bytes())
    for config in (None, "{}", "no JSON", '{"max_position_embeddings": "many"}'):
        if config is not None:
            (tmp_path / "config.json").write_text(config)
        with pytest.raises(ConversionError, match=r"put the model's config\.json beside it"):
            open_predictor(path)


def test_files_are_told_apart(onnx_peers: Folder) -> None:
    for kind in KINDS:
        for name in peers.FILES[:2]:
            path = onnx_peers(kind) / name
            assert is_hugging_face_onnx(path) and vocabulary_size(path) == VOCABULARY
            assert sum(weight.bytes for weight in stored(path) or ()) < path.stat().st_size


@settings(max_examples=20, deadline=None)
@given(share=st.floats(0, 1), behind=st.binary(max_size=8))
def test_damaged_onnx_files_open_or_are_refused(
    share: float, behind: bytes, onnx_peers: Folder
) -> None:
    whole = (onnx_peers("bert") / peers.FILES[1]).read_bytes()
    path = onnx_peers("bert") / "damaged.onnx"
    path.write_bytes(whole[: round(share * len(whole))] + behind)
    try:
        open_predictor(path).run(*window(8))
    except ConversionError as refused:
        assert "\n" not in str(refused)


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConversionError, match="onnxruntime, executorch, not installed here"):
        peers.export_peers(tmp_path, tmp_path)
    assert list(tmp_path.iterdir()) == []


class Here:
    """A pool of processes that is this one."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, call: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(call(*arguments))
        except Exception as raised:
            future.set_exception(raised)
        return future


def fake_export(model: Path, folder: Path) -> None:
    for name in peers.FILES:
        (folder / name).write_bytes((model / "model.safetensors").read_bytes()[:10] + name.encode())


def test_peers_are_made_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model_folder: Folder
) -> None:
    monkeypatch.setattr(subjects, "ProcessPoolExecutor", Here)
    monkeypatch.setattr(peers, "export_peers", fake_export)
    model, said = tmp_path / "student", []
    model.mkdir()
    for file in model_folder("bert").iterdir():
        (model / file.name).write_bytes(file.read_bytes())

    def made() -> bool:
        said.clear()
        files = subjects.peer_files(tmp_path, [], said.append)
        assert files[:4] == [tmp_path / "peers" / name for name in peers.FILES]
        assert files[4:] == [tmp_path / "student"]  # there is no teacher
        assert all(path.is_file() for path in files[:4])
        return bool(said)

    assert made() and not made()
    (tmp_path / "peers" / peers.FILES[2]).write_bytes(b"damaged")
    assert made() and not made()
    weights = bytearray((model / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (model / "model.safetensors").write_bytes(weights)
    assert made() and not made()
    monkeypatch.setattr(subjects.machine, "versions", lambda names: dict.fromkeys(names, "next"))
    assert made() and not made()
    beside = subjects.peer_files(None, [model, tmp_path / "a.tflite"], said.append)
    assert beside == [*(tmp_path / "student-peers" / name for name in peers.FILES), model]


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (ConversionError("no such package"), "no such package"),
        (BrokenProcessPool(), "maker was killed"),
        (ModuleNotFoundError(name="litert_torch"), r"litert_torch is not installed: pip install"),
        (OSError(28, "No space left on device"), "cannot write .*No space left"),
    ],
)
def test_what_cannot_be_made_leaves_nothing(
    raised: Exception, told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(model: Path, folder: Path) -> None:
        (folder / "half").touch()
        raise raised

    monkeypatch.setattr(subjects, "ProcessPoolExecutor", Here)
    monkeypatch.setattr(peers, "export_peers", fail)
    with pytest.raises((UserError, ConversionError), match=told):
        subjects.peers(tmp_path, tmp_path, say=lambda _: None)
    assert not (tmp_path / "peers").exists()


def test_base_size_models_are_two_models_in_each_form(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Conversion is tested elsewhere: here it notes what it was given."""
    converted: list[tuple[Any, str]] = []

    def export_many(model: Any, folder: Path, precisions: list[str], *, stem: str) -> None:
        for precision in precisions:
            (folder / f"{stem}-{precision}.tflite").touch()
            converted.append((model, f"{stem}-{precision}"))

    monkeypatch.setattr(subjects, "ProcessPoolExecutor", Here)
    monkeypatch.setattr(to_tflite, "export_many", export_many)
    small = {"vocab_size": VOCABULARY}
    sizes = {
        "teacher": {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64, **small},
        "student": {"dim": 32, "n_heads": 4, "hidden_dim": 64, **small},
    }
    said: list[str] = []
    files = subjects.base_size(tmp_path, sizes, said.append)
    assert [path.relative_to(tmp_path).as_posix() for path in files] == [
        "base/teacher-fp32.tflite",
        "base/student-int8.tflite",
        "base/student-fp32.tflite",
    ]
    for (model, name), layers in zip(converted, (12, 6, 6), strict=True):
        assert model.config.num_hidden_layers == layers  # the papers', where nothing is given
        for weight in model.parameters():
            assert weight.unique().numel() > 1
        like = open_predictor(tmp_path / "base" / name.partition("-")[0])
        inputs = window(20)
        found = np.stack(like.run(*inputs))
        assert np.abs(found - hugging_face_logits(model, inputs)).max() < LIMITS["fp32"]
    assert said and subjects.base_size(tmp_path, sizes, said.append) == files
    assert len(converted) == 3


def test_our_own_file_is_held_against_peers() -> None:
    peer_names = ["theirs-int8.pte", "student"]
    names = ["t.tflite", "s-fp32.tflite", "s-int8.tflite", "s-int8.onnx", *peer_names]
    found = pairs(names, peer_names)
    assert found[:3] == [
        ("s-fp32.tflite", "t.tflite", "natural", "padded"),
        ("s-fp32.tflite", "t.tflite", "natural", "natural"),
        ("s-fp32.tflite", "t.tflite", "padded", "padded"),
    ]
    assert found[9:13] == [
        ("s-int8.tflite", "theirs-int8.pte", "natural", "padded"),
        ("s-int8.tflite", "theirs-int8.pte", "natural", "natural"),
        ("s-int8.tflite", "student", "natural", "padded"),
        ("s-int8.tflite", "student", "natural", "natural"),
    ]
    assert found[13:] == [(name, name, "natural", "padded") for name in names]
    without = ["t.tflite", "s-fp32.tflite", "student"]
    assert pairs(without, ["student"]) == pairs(without)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no.tflite", "--peers"], "--peers needs --build, --base-size or a Hugging Face folder"),
        (["--base-size", "file/models"], "cannot write file/models/base: Not a directory"),
    ],
)
def test_mistakes_are_told_on_one_line(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert run.main(arguments) == 2
    told = capsys.readouterr().err
    assert f"error: {said}" in told.splitlines()[-1]


def test_a_run_with_peers_compares_them_with_our_file(
    onnx_peers: Folder,
    model_folder: Folder,
    tiny_export: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = [onnx_peers("bert") / name for name in peers.FILES[:2]]
    monkeypatch.setattr(subjects, "peers", lambda *_: kept)
    ours = [tiny_export / "student-fp32.tflite", tiny_export / "student-int8.tflite"]
    plan = run.Plan(
        files=subjects.named([*ours, *kept]),
        lengths=(20, 48),
        least_queries=4,
        least_seconds=0,
        probes=1,
        pad_to=48,
        peers=peers.FILES[:2],
        models=dict.fromkeys(peers.FILES[:2], model_folder("bert")),
    )
    document = run.run(plan, "python -m benchmarks.run")
    subjects_of = document["runs"][0]["latency"]["subjects"]
    errors = {name: one["logit_error"] for name, one in subjects_of.items()}
    assert errors["student-int8.tflite"] is None, "its model was not named"
    fp32, int8 = (errors[name] for name in peers.FILES[:2])
    assert fp32 and int8 and int8["largest"] is not None
    assert 0 <= (fp32["largest"] or 0) < LIMITS["fp32"] < int8["largest"]
    ratios = document["runs"][0]["latency"]["ratios"]
    against = {(one["faster"], one["slower"]) for one in ratios if one["faster"] != one["slower"]}
    assert against == {
        ("student-int8.tflite", "student-fp32.tflite"),
        *(("student-int8.tflite", name) for name in peers.FILES[:2]),
    }
    rows = [line for line in show(document).splitlines() if "onnxruntime-int8.onnx" in line]
    told = f"{int8['largest']:.3g} ({100 * int8['largest'] / int8['range']:.2g} %)"
    assert sum(line.endswith(told) for line in rows) == 2, "beside both of its times"
    assert sum(line.startswith("student-int8.tflite") for line in rows) == 1
