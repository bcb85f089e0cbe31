# SPDX-License-Identifier: Apache-2.0
"""Adapters are merged: the logits are those of peft's own model with the adapter on top."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from model_folders import lora, model, save_adapter, settings
from safetensors.torch import load_file, save_file
from transformers import (
    BertForQuestionAnswering,
    BertModel,
    DistilBertForQuestionAnswering,
    DistilBertModel,
)

from pipeline.models import teacher as teachers
from pipeline.models.heads import SPAN_HEAD
from pipeline.models.teacher import find_student, find_teacher, load_for_task, look, model_key

IDS = torch.tensor([[2, 9, 14, 3, 7, 21, 40, 3]])
# float32: W + BA is rounded once, Wx + BAx at every product. The logits are of the order of 1.
TOLERANCE = 1e-5


def ia3() -> Any:
    from peft import IA3Config

    targets = {"target_modules": ["q_lin", "lin2"], "feedforward_modules": ["lin2"]}
    return IA3Config(task_type="QUESTION_ANS", **targets)


def loha() -> Any:
    from peft import LoHaConfig

    return LoHaConfig(r=2, target_modules=["q_lin", "lin2"], modules_to_save=["qa_outputs"])


MERGED: dict[str, tuple[Any, Any, Callable[[], Any]]] = {
    "lora": (DistilBertModel, DistilBertForQuestionAnswering, lora(task_type="QUESTION_ANS")),
    "lora-of-a-bert": (BertModel, BertForQuestionAnswering, lora(task_type="QUESTION_ANS")),
    "lora-of-a-model-with-a-head": (
        BertForQuestionAnswering,
        BertForQuestionAnswering,
        lora(task_type="QUESTION_ANS"),
    ),
    "rank-stabilized": (
        DistilBertModel,
        DistilBertForQuestionAnswering,
        lora(task_type="QUESTION_ANS", use_rslora=True, bias="all"),
    ),
    "embeddings": (
        DistilBertModel,
        DistilBertForQuestionAnswering,
        lora(target_modules=["q_lin", "word_embeddings"], modules_to_save=["qa_outputs"]),
    ),
    "dora": (
        DistilBertModel,
        DistilBertForQuestionAnswering,
        lora(task_type="QUESTION_ANS", use_dora=True),
    ),
    "ia3": (DistilBertModel, DistilBertForQuestionAnswering, ia3),
    "loha": (DistilBertModel, DistilBertForQuestionAnswering, loha),
}


@pytest.mark.parametrize("name", MERGED)
def test_merged_weights_give_the_logits_of_peft(name: str, tmp_path: Path) -> None:
    base, kind, config = MERGED[name]
    folder = tmp_path / "mine"
    with torch.no_grad():
        expected = save_adapter(folder, model(base), kind, config())(IDS)
        source = find_student(str(folder), SPAN_HEAD, 2)
        assert source.has_head and source.name == "mine"
        merged = load_for_task(source, SPAN_HEAD, 2)(IDS)
    for logits in ("start_logits", "end_logits"):
        torch.testing.assert_close(merged[logits], expected[logits], rtol=0, atol=TOLERANCE)


def test_an_encoders_adapter_changes_the_encoder_and_brings_no_head(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    adapted = save_adapter(folder, model(BertModel), BertModel, lora(target_modules="all-linear")())
    source = find_teacher(str(folder), SPAN_HEAD, 2)
    assert not source.has_head
    with torch.no_grad():
        hidden = load_for_task(source, SPAN_HEAD, 2).bert(IDS)[0]
        torch.testing.assert_close(hidden, adapted(IDS)[0], rtol=0, atol=TOLERANCE)


def test_the_mlm_head_of_the_base_model_is_kept(tmp_path: Path) -> None:
    from transformers import BertForMaskedLM

    folder = tmp_path / "mine"
    save_adapter(
        folder, model(BertForMaskedLM), BertForQuestionAnswering, lora(task_type="QUESTION_ANS")()
    )
    source = find_teacher(str(folder), SPAN_HEAD, 2)
    assert source.has_head and source.has_mlm_head


def test_a_base_model_in_half_precision_is_merged_in_float32(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    save_adapter(
        folder,
        model(DistilBertModel, dtype=torch.float16),
        DistilBertForQuestionAnswering,
        lora(task_type="QUESTION_ANS")(),
    )
    merged = load_for_task(find_student(str(folder), SPAN_HEAD, 2), SPAN_HEAD, 2)
    assert {weight.dtype for weight in merged.parameters()} == {torch.float32}


def test_a_vocabulary_that_grew_in_training_comes_with_the_adapter(tmp_path: Path) -> None:
    from peft import get_peft_model
    from transformers import AutoTokenizer

    base, folder = tmp_path / "base", tmp_path / "mine"
    model(DistilBertModel)(base)
    grown = DistilBertForQuestionAnswering.from_pretrained(base).eval()
    rows = grown.config.vocab_size + 2
    grown.resize_token_embeddings(rows)
    adapted = get_peft_model(grown, lora(task_type="QUESTION_ANS")())
    adapted.save_pretrained(folder, save_embedding_layers=True)
    settings("adapter_config.json", base_model_name_or_path=str(base))(folder)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer.json"
    document = json.loads(path.read_text())
    document["model"]["vocab"] |= {"lighthouse": rows - 2, "keeper": rows - 1}
    path.write_text(json.dumps(document))
    merged = load_for_task(find_student(str(folder), SPAN_HEAD, 2), SPAN_HEAD, 2)
    assert merged.config.vocab_size == rows
    ids = torch.tensor([[2, rows - 1, 14, 3, 7, rows - 2, 40, 3]])
    with torch.no_grad():
        expected = adapted.eval()(ids).start_logits
        torch.testing.assert_close(merged(ids).start_logits, expected, rtol=0, atol=TOLERANCE)


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    save_adapter(
        folder,
        model(DistilBertModel),
        DistilBertForQuestionAnswering,
        lora(task_type="QUESTION_ANS")(),
    )
    return folder


def test_the_key_covers_the_adapter_and_its_base(adapter: Path) -> None:
    seen = {model_key(find_student(str(adapter), SPAN_HEAD, 2))}
    base = adapter.with_name("mine-base")
    for path in (adapter / "adapter_config.json", base / "config.json", base / "tokenizer.json"):
        path.write_bytes(path.read_bytes() + b" ")
        key = model_key(find_student(str(adapter), SPAN_HEAD, 2))
        assert key not in seen, path
        seen.add(key)


@pytest.mark.parametrize("own", [True, False])
def test_the_adapters_own_tokenizer_comes_first(adapter: Path, own: bool) -> None:
    base = adapter.with_name("mine-base")
    if own:
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(base / name, adapter)
        settings("tokenizer_config.json", do_lower_case=False)(adapter)
    folder = find_student(str(adapter), SPAN_HEAD, 2).folder
    assert json.loads((folder / "tokenizer_config.json").read_text())["do_lower_case"] is not own


def test_a_base_model_comes_from_the_hub(adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def snapshot(name: str, files: Any, revision: str | None = None) -> Path:
        asked.append((name, revision))
        return adapter.with_name("mine-base")

    monkeypatch.setattr(teachers, "snapshot", snapshot)
    settings("adapter_config.json", base_model_name_or_path="acme/base", revision="v2")(adapter)
    assert find_student(str(adapter), SPAN_HEAD, 2).has_head
    assert set(asked) == {("acme/base", "v2")}


def wrong_rank(folder: Path) -> None:
    settings("adapter_config.json", r=3)(folder)


def fewer_layers(folder: Path) -> None:
    settings("adapter_config.json", target_modules=["q_lin"])(folder)


def more_layers(folder: Path) -> None:
    settings("adapter_config.json", target_modules=["q_lin", "v_lin", "k_lin"])(folder)


def not_finite(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    next(iter(tensors.values())).view(-1)[0] = torch.nan
    save_file(tensors, path)


def of_an_adapter(folder: Path) -> None:
    shutil.copytree(folder, folder.with_name("other"))
    settings("adapter_config.json", base_model_name_or_path="../other")(folder)


FAULTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "rank": (wrong_rank, "does not fit its base model, or cannot be merged"),
    "spare": (fewer_layers, "holds, beside those of its base model, the weights base_model."),
    "lacking": (more_layers, "lacks the weights base_model.model.distilbert.transformer.layer.0."),
    "nan": (not_finite, "NaN or infinity in the weights base_model."),
    "adapter": (of_an_adapter, "has an adapter as its base model, ../other: merge that one first"),
    "unknown": (
        settings("adapter_config.json", peft_type="NEW"),
        "of the kind 'NEW', which peft does not know",
    ),
    "no-json": (
        lambda folder: (folder / "adapter_config.json").write_text("{"),
        "adapter_config.json cannot be read",
    ),
    "no-base": (
        settings("adapter_config.json", base_model_name_or_path=None),
        "base_model_name_or_path '', which is neither a folder nor a hub id",
    ),
    "damaged-base": (
        lambda folder: (folder.with_name("mine-base") / "model.safetensors").write_bytes(b"12345"),
        "(an adapter of mine-base): ",
    ),
    "cut-short": (
        lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"12345678"),
        "adapter_model.safetensors is damaged",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_cannot_be_merged_is_refused_in_one_line(adapter: Path, name: str) -> None:
    damage, words = FAULTS[name]
    settings("adapter_config.json")(adapter)
    damage(adapter)
    looked = look(str(adapter), SPAN_HEAD, 2, role="student")
    assert looked.source is None and len(looked.problems) == 1
    assert looked.problems[0].startswith("student mine") and words in looked.problems[0]
    assert looked.problems[0].isprintable()


def empty_table(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    name = "base_model.model.distilbert.embeddings.word_embeddings.weight"
    save_file(load_file(path) | {name: torch.zeros(2**18, 0)}, path)


ODD: dict[str, tuple[Callable[[Path], None], str]] = {
    "rank": (settings("adapter_config.json", r=2**20), r"the rank 1048576 \(r\)"),
    "pattern": (
        settings("adapter_config.json", rank_pattern={"q_lin": "a"}),
        r"the rank 'a' \(q_lin\)",
    ),
    "package": (settings("adapter_config.json", megatron_config={"a": 1}), "setting megatron_con"),
    "layers": (
        settings("adapter_config.json", layer_replication=[[0, 2]]),
        "setting layer_replication",
    ),
    "pattern of patterns": (settings("adapter_config.json", target_modules=r"(\w+)+#"), "for ever"),
    "key of patterns": (settings("adapter_config.json", rank_pattern={".*" * 9: 4}), "for ever"),
    "table": (empty_table, r"word_embeddings.weight of the shape \(262144, 0\)"),
}


@pytest.mark.parametrize("name", ODD)
def test_sizes_that_no_memory_holds_are_refused(name: str, tmp_path: Path) -> None:
    kind = DistilBertForQuestionAnswering
    save_adapter(tmp_path / "mine", model(DistilBertModel), kind, lora(task_type="QUESTION_ANS")())
    damage, said = ODD[name]
    damage(tmp_path / "mine")
    problems = look(str(tmp_path / "mine"), SPAN_HEAD, None, role="student").problems
    assert len(problems) == 1 and re.search(said, problems[0]), problems
