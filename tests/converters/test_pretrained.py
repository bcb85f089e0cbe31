# SPDX-License-Identifier: Apache-2.0
"""Hugging Face folders: no code of theirs runs, and no tensor of theirs is made up."""

from __future__ import annotations

import ast
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from conftest import MakeTeacher
from repository import ROOT
from safetensors.torch import load_file, save_file
from transformers import AutoModelForQuestionAnswering, BertForQuestionAnswering

from converters import ExpectedError
from converters.pretrained import load_model
from converters.runtimes.open import open_predictor
from pipeline import ask
from pipeline.errors import UserError
from pipeline.models.heads import SPAN_HEAD
from pipeline.models.teacher import find_teacher, load_for_task

OPENING = ("from_pretrained", "from_config")


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Each call of the project's code that opens a folder of transformers'."""
    for room in ("pipeline", "converters", "benchmarks", "docs", "android_demo"):
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                function = node.func if isinstance(node, ast.Call) else None
                if isinstance(function, ast.Attribute) and function.attr in OPENING:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def test_no_call_lets_a_folder_run_its_code() -> None:
    """Unset, `trust_remote_code` makes transformers ask on standard input."""
    found = list(calls())
    assert len(found) >= 4
    for place, call in found:
        trusts = [k.value for k in call.keywords if k.arg == "trust_remote_code"]
        assert [ast.unparse(value) for value in trusts] == ["False"], place


def test_models_are_opened_in_one_place() -> None:
    """Where safetensors are required and every tensor is compared with the configuration."""
    models = [
        place
        for place, call in calls()
        if isinstance(call.func, ast.Attribute)
        and call.func.attr == "from_pretrained"
        and not ast.unparse(call.func.value).endswith(("Tokenizer", "Config"))
    ]
    assert [place.partition(":")[0] for place in models] == ["converters/pretrained.py"]


@pytest.fixture
def folder(make_teacher: MakeTeacher, tmp_path: Path) -> Path:
    """A BERT with a question-answering head, to damage."""
    return Path(shutil.copytree(make_teacher(layers=2, head="qa"), tmp_path / "bert"))


def configure(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def change(folder: Path, edit: Callable[[dict[str, torch.Tensor]], object]) -> None:
    weights = load_file(folder / "model.safetensors")
    edit(weights)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def refusals(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What is said of a folder as the teacher of a build, and by `pipeline.ask`."""
    with pytest.raises(UserError) as caught:
        find_teacher(str(folder), SPAN_HEAD, 2)
    assert ask.main([str(folder), "who?", "--context", "anna came."]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    messages = [f"{caught.value}\n", printed.err]
    assert all(message.count("\n") == 1 for message in messages)
    return messages


def test_a_folders_code_does_not_run(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The passage's first line is `y`, the answer to the question that transformers would ask."""
    classes = ("AutoConfig", "AutoModelForQuestionAnswering", "AutoTokenizer")
    configure(folder, model_type="unheard-of", auto_map={name: f"evil.{name}" for name in classes})
    mark = folder.parent / "code-ran"
    (folder / "evil.py").write_text(f"open({str(mark)!r}, 'w')\n")
    passage = io.BytesIO(b"y\nAnna built the tower.")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=passage, readline=lambda: "y\n"))
    assert ask.main([str(folder), "who built it?", "--context", "-"]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "such code is never run" in message
    assert not mark.exists()


@pytest.mark.parametrize(
    "name",
    [
        "bert.embeddings.word_embeddings.weight",
        "bert.embeddings.position_embeddings.weight",
        "bert.encoder.layer.1.output.dense.bias",
    ],
)
def test_no_tensor_is_made_up(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder, lambda weights: weights.pop(name))
    for message in refusals(folder, capsys):
        assert f"lacks the weights {name}" in message


def test_no_answers_from_a_head_that_is_not_there(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A build trains a head; who asks a folder without one would get another answer each time."""
    change(folder, lambda w: [w.pop(name) for name in list(w) if name.startswith("qa_outputs.")])
    assert not find_teacher(str(folder), SPAN_HEAD, 2).has_head
    assert ask.main([str(folder), "who?", "--context", "anna came."]) == 2
    assert "lacks the weights qa_outputs.weight" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"vocab_size": 7}, ("word_embeddings.weight", "(7, ")),
        ({"max_position_embeddings": 9}, ("position_embeddings.weight", "(9, ")),
        ({"intermediate_size": 5}, ("intermediate.dense.weight", "(5, ")),
        ({"is_decoder": True}, ("is_decoder True", "only encoders")),
        ({"is_decoder": True, "add_cross_attention": True}, ("is_decoder True",)),
        ({"hidden_act": "unheard-of"}, ("config.json", "unheard-of")),
        ({"hidden_dropout_prob": 2}, ("config.json",)),
        ({"hidden_dropout_prob": "much"}, ("config.json",)),
        ({"num_attention_heads": 5}, ("config.json", "multiple")),
    ],
)
def test_config_and_weights_belong_together(
    folder: Path,
    settings: dict[str, object],
    words: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(folder, **settings)
    for message in refusals(folder, capsys):
        assert all(word in message for word in words), message


def test_a_head_of_another_size_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder, lambda weights: weights.update({"qa_outputs.weight": torch.zeros(3, 32)}))
    for message in refusals(folder, capsys):
        assert "qa_outputs.weight has shape (3, 32)" in message


def test_weights_that_are_no_numbers_are_named(folder: Path) -> None:
    def spoil(weights: dict[str, torch.Tensor]) -> None:
        weights["bert.encoder.layer.0.output.dense.weight"][3, 4] = torch.nan

    source = find_teacher(str(folder), SPAN_HEAD, 2)
    change(folder, spoil)
    for load in (
        lambda: find_teacher(str(folder), SPAN_HEAD, 2),
        lambda: load_for_task(source, SPAN_HEAD, 2),
        lambda: open_predictor(folder),
    ):
        with pytest.raises(ExpectedError, match=r"layer\.0\.output\.dense\.weight hold NaN"):
            load()


@pytest.mark.parametrize("labels", [1, 3])
def test_a_classifiers_head_is_left_out(
    make_teacher: MakeTeacher, labels: int, tmp_path: Path
) -> None:
    """A teacher that was trained to classify gets a new head of two outputs."""
    from transformers import BertForSequenceClassification

    source = make_teacher(layers=2)
    model = BertForSequenceClassification.from_pretrained(source, num_labels=labels)
    path = Path(shutil.copytree(source, tmp_path / "classifier"))
    model.save_pretrained(path)
    loaded = load_for_task(find_teacher(str(path), SPAN_HEAD, 2), SPAN_HEAD, 2)
    assert tuple(loaded.qa_outputs.weight.shape) == (2, model.config.hidden_size)


def test_older_names_and_a_missing_prefix_are_known(folder: Path) -> None:
    """Layer norms as TensorFlow named them; a model that was saved without its prefix."""
    expected = BertForQuestionAnswering.from_pretrained(folder).state_dict()

    def rename(weights: dict[str, torch.Tensor]) -> None:
        for name in list(weights):
            new = name.removeprefix("bert.")
            new = new.replace("LayerNorm.weight", "LayerNorm.gamma")
            weights[new.replace("LayerNorm.bias", "LayerNorm.beta")] = weights.pop(name)

    change(folder, rename)
    find_teacher(str(folder), SPAN_HEAD, 2)
    model = load_model(AutoModelForQuestionAnswering, folder)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())


def test_the_commands_loaders_are_the_projects_own(folder: Path, tmp_path: Path) -> None:
    """In a process of its own, as a user starts it: one line, and standard input is left alone."""
    configure(folder, model_type="unheard-of", auto_map={"AutoConfig": "evil.C"})
    ended = subprocess.run(
        [sys.executable, "-m", "pipeline.ask", str(folder), "who?", "--context", "a text."],
        input="y\n",
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert ended.returncode == 2 and ended.stderr.count("\n") == 1, ended.stderr
