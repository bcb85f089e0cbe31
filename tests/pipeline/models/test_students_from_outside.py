# SPDX-License-Identifier: Apache-2.0
"""Students and teachers as people have them: each is taken whole, or refused in one line.

Folders are made by transformers alone; the reference for what is taken is transformers' own
forward on the same folder.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import MakeTeacher
from transformers import (
    AutoModel,
    AutoModelForQuestionAnswering,
    BertConfig,
    BertForMaskedLM,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForMaskedLM,
    DistilBertForQuestionAnswering,
    DistilBertModel,
)

from converters.runtimes.torch import TorchPredictor
from pipeline import settings
from pipeline.errors import UserError
from pipeline.models import found
from pipeline.models.heads import SPAN_HEAD
from pipeline.models.teacher import (
    find_student,
    find_teacher,
    load_for_task,
    load_mlm,
    load_tokenizer,
)

SIZES = {"dim": 32, "n_heads": 4, "hidden_dim": 64}
BERT_SIZES = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64}
Make = Callable[..., Path]


@pytest.fixture
def make(make_teacher: MakeTeacher, tmp_path: Path) -> Make:
    """Gives `make(kind, cased=False, **config)`: a folder of that class of transformers."""

    def folder(
        kind: Any,
        cased: bool = False,
        dtype: Any = torch.float32,
        shards: str = "1GB",
        **config: Any,
    ) -> Path:
        tokenizer = make_teacher(cased=cased)
        size = len(json.loads((tokenizer / "tokenizer.json").read_text())["model"]["vocab"])
        is_bert = issubclass(kind.config_class, BertConfig)
        sizes = BERT_SIZES if is_bert else SIZES
        torch.manual_seed(1)
        whole = {"vocab_size": size, "max_position_embeddings": 128, **sizes, **config}
        model = kind((BertConfig if is_bert else DistilBertConfig)(**whole))
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(torch.randn(weight.shape), alpha=0.1)
        path = tmp_path / "mine"
        model.to(dtype).save_pretrained(path, max_shard_size=shards)
        for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
            if (tokenizer / name).is_file():
                shutil.copy(tokenizer / name, path)
        return path

    return folder


def logits(model: Any, segments: int = 1) -> np.ndarray:
    """Start and end logits float32 (2, S) of a short window."""
    ids = np.array([[2, 9, 14, 3, 7, 21, 40, 3]], np.int32)
    second = (np.arange(8) > 3).astype(np.int32)[None] * segments
    return np.stack(TorchPredictor(model, "m").run(ids, np.ones_like(ids), second))


# What is taken: (class, settings, tolerance against transformers' own float32 forward).
TAKEN: dict[str, tuple[Any, dict[str, Any]]] = {
    "distilbert": (DistilBertForQuestionAnswering, {}),
    "cased": (DistilBertForQuestionAnswering, {"cased": True}),
    "one layer": (DistilBertForQuestionAnswering, {"n_layers": 1}),
    "wide": (DistilBertForQuestionAnswering, {"dim": 96, "n_heads": 3, "hidden_dim": 100}),
    "sinusoidal": (DistilBertForQuestionAnswering, {"sinusoidal_pos_embds": True}),
    "gelu_new": (DistilBertForQuestionAnswering, {"activation": "gelu_new"}),
    "fp16": (DistilBertForQuestionAnswering, {"dtype": torch.float16}),
    "bf16": (DistilBertForQuestionAnswering, {"dtype": torch.bfloat16}),
    "sharded": (DistilBertForQuestionAnswering, {"shards": "20KB"}),
    "bert": (BertForQuestionAnswering, {"num_hidden_layers": 2}),
    "bert of 24 layers": (BertForQuestionAnswering, {"num_hidden_layers": 24}),
    "bert with a long table": (BertForQuestionAnswering, {"max_position_embeddings": 700}),
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_student_with_a_head_is_taken_as_transformers_opens_it(make: Make, name: str) -> None:
    kind, changes = TAKEN[name]
    folder = make(kind, **changes)
    source = find_student(str(folder), SPAN_HEAD, 2)
    assert source.has_head and source.kind in ("bert", "distilbert")
    model = load_for_task(source, SPAN_HEAD, 2)
    expected = AutoModelForQuestionAnswering.from_pretrained(folder, dtype=torch.float32).eval()
    np.testing.assert_array_equal(logits(model), logits(expected))
    assert all(weight.dtype == torch.float32 for weight in model.parameters())


@pytest.mark.parametrize("kind", [DistilBertForQuestionAnswering, BertForQuestionAnswering])
def test_spare_rows_of_a_padded_table_are_cut_off(make: Make, kind: Any) -> None:
    folder = make(kind)
    pieces = len(load_tokenizer(folder))
    shutil.rmtree(folder)
    folder = make(kind, vocab_size=pieces + 27)
    model = load_for_task(find_student(str(folder), SPAN_HEAD, 2), SPAN_HEAD, 2)
    assert model.get_input_embeddings().weight.shape[0] == model.config.vocab_size == pieces
    expected = AutoModelForQuestionAnswering.from_pretrained(folder).eval()
    np.testing.assert_array_equal(logits(model), logits(expected))


def test_the_masked_language_model_of_a_padded_teacher_names_pieces_alone(make: Make) -> None:
    pieces = len(load_tokenizer(make(BertForMaskedLM)))
    shutil.rmtree(make(BertForMaskedLM))
    folder = make(BertForMaskedLM, vocab_size=pieces + 27, num_hidden_layers=2)
    ids = torch.tensor([[2, 9, 14, 3, 7, 21, 40, 3]])
    model = load_mlm(folder)
    expected = BertForMaskedLM.from_pretrained(folder).eval()
    with torch.no_grad():
        logits = model(ids).logits
        assert logits.shape[-1] == model.config.vocab_size == pieces
        torch.testing.assert_close(logits, expected(ids).logits[..., :pieces], rtol=0, atol=1e-6)


def test_a_bert_of_one_segment_reads_the_second_text_as_the_first(make: Make) -> None:
    folder = make(BertForQuestionAnswering, num_hidden_layers=2, type_vocab_size=1)
    model = load_for_task(find_student(str(folder), SPAN_HEAD, 2), SPAN_HEAD, 2)
    expected = AutoModelForQuestionAnswering.from_pretrained(folder).eval()
    np.testing.assert_array_equal(logits(model), logits(expected, segments=0))


@pytest.mark.parametrize("kept", ["vocab.txt", "tokenizer.json"])
def test_either_file_of_a_tokenizer_is_enough(make: Make, kept: str) -> None:
    folder = make(DistilBertForQuestionAnswering)
    before = load_tokenizer(folder)
    text = "The ship of rome"
    if kept == "vocab.txt":
        vocabulary = sorted(before.get_vocab().items(), key=lambda item: item[1])
        (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece, _ in vocabulary))
        (folder / "tokenizer.json").unlink()
    else:
        (folder / "vocab.txt").unlink(missing_ok=True)
    assert find_student(str(folder), SPAN_HEAD, 2).has_head
    assert load_tokenizer(folder)(text)["input_ids"] == before(text)["input_ids"]


@pytest.mark.parametrize("kind", [DistilBertModel, DistilBertForMaskedLM])
def test_a_student_without_the_head_gets_one_on_its_own_encoder(make: Make, kind: Any) -> None:
    folder = make(kind)
    source = find_student(str(folder), SPAN_HEAD, 2)
    assert not source.has_head
    model = load_for_task(source, SPAN_HEAD, 2)
    encoder = AutoModel.from_pretrained(folder).state_dict()
    for name, tensor in model.distilbert.state_dict().items():
        assert torch.equal(tensor, encoder[name]), name
    assert model.qa_outputs.out_features == 2


def test_a_head_of_another_task_is_not_taken_for_one(make: Make) -> None:
    folder = make(BertForSequenceClassification, num_hidden_layers=2, num_labels=5)
    assert not find_student(str(folder), SPAN_HEAD, 2).has_head


def test_a_sentence_encoder_lies_in_a_folder_of_its_own(make: Make, tmp_path: Path) -> None:
    outer = tmp_path / "sentence-encoder"
    outer.mkdir()
    shutil.move(make(DistilBertModel), outer / "0_Transformer")
    (outer / "modules.json").write_text("[]")
    source = find_student(str(outer), SPAN_HEAD, 2)
    assert source.name == "sentence-encoder" and source.folder == outer / "0_Transformer"


# What is refused: how the folder is changed, and what the line says.


def change(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def without(folder: Path, name: str) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    save_file({n: t for n, t in tensors.items() if n != name}, folder / "model.safetensors")


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "roberta": (lambda f: change(f, model_type="roberta"), "is a 'roberta': only DistilBERT or"),
    "xlm-roberta": (lambda f: change(f, model_type="xlm-roberta"), "is a 'xlm-roberta': only"),
    "no type": (lambda f: change(f, model_type=None), "is a None: only DistilBERT or BERT"),
    "decoder": (lambda f: change(f, is_decoder=True), "is_decoder True: only encoders"),
    "fewer positions": (lambda f: change(f, max_position_embeddings=64), "asks for (64, 32)"),
    "more layers": (lambda f: change(f, n_layers=9), "lacks the weights"),
    "no layers": (lambda f: change(f, n_layers=0), "n_layers 0, expected 1 or more"),
    "width": (lambda f: change(f, dim=48), "config.json asks for"),
    "no word table": (
        lambda f: without(f, "distilbert.embeddings.word_embeddings.weight"),
        "lacks the weights distilbert.embeddings.word_embeddings.weight",
    ),
    "half a head": (lambda f: without(f, "qa_outputs.bias"), "lacks the weights qa_outputs.bias"),
    "no tokenizer": (
        lambda f: [(f / n).unlink() for n in ("tokenizer.json", "vocab.txt") if (f / n).exists()],
        "has no tokenizer",
    ),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "no safetensors weights"),
    "pickle": (
        lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
        "only pytorch_model.bin, a pickle, which can run code",
    ),
    "no config": (lambda f: (f / "config.json").unlink(), "no readable config.json"),
    "no JSON": (lambda f: (f / "config.json").write_text("{"), "no readable config.json"),
    "cut short": (
        lambda f: (f / "model.safetensors").write_bytes(b"12345678"),
        "model.safetensors is damaged",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_a_student_is_refused_in_one_line(make: Make, name: str) -> None:
    damage, words = REFUSED[name]
    folder = make(DistilBertForQuestionAnswering)
    damage(folder)
    with pytest.raises(UserError) as caught:
        find_student(str(folder), SPAN_HEAD, 2)
    message = str(caught.value)
    assert message.startswith("student mine") and words in message
    assert message.isprintable(), "one line, no control characters"


def test_a_student_that_is_nowhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no student folder .*/nowhere: name a folder"):
        find_student(str(tmp_path / "nowhere"), SPAN_HEAD, 2)


def test_nan_among_the_weights_is_refused(make: Make) -> None:
    from safetensors.torch import load_file, save_file

    folder = make(DistilBertForQuestionAnswering)
    tensors = load_file(folder / "model.safetensors")
    tensors["qa_outputs.bias"][0] = float("nan")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(UserError, match=r"mine: the weights qa_outputs\.bias hold NaN or inf"):
        find_student(str(folder), SPAN_HEAD, 2)


# Teacher and student together


def config(student: Path | None, teacher: str = "none", **changes: Any) -> Any:
    build = settings.load("smoke")
    return replace(
        build,
        teacher=replace(build.teacher, model=teacher),
        student=replace(build.student, model=str(student) if student else None),
        data=replace(build.data, max_length=64, stride=8, max_query=16),
        finetune=replace(build.finetune, **changes),
    )


def test_a_ready_student_alone_needs_no_training(make: Make) -> None:
    given = found.find(config(make(DistilBertForQuestionAnswering)), SPAN_HEAD)
    assert given.ready and not given.trains and given.teacher is None and given.layers == ()


def test_a_student_and_its_teacher_share_layers_from_the_middle(
    make: Make, make_teacher: MakeTeacher
) -> None:
    student, teacher = make(DistilBertModel, n_layers=2), make_teacher(layers=4)
    given = found.find(config(student, str(teacher)), SPAN_HEAD)
    assert given.trains and not given.ready and given.layers == (0, 3)


@pytest.mark.parametrize(
    ("student", "changes", "words"),
    [
        (None, {}, "--teacher none leaves nothing to make a student from"),
        (DistilBertModel, {"enabled": False}, "mine has no head for the task and would answer at"),
    ],
)
def test_what_does_not_go_together_is_refused(
    make: Make, student: Any, changes: dict[str, Any], words: str
) -> None:
    folder = make(student) if student else None
    with pytest.raises(UserError, match=words):
        found.find(config(folder, **changes), SPAN_HEAD)


def test_a_teacher_with_another_vocabulary_or_width_is_refused(
    make: Make, make_teacher: MakeTeacher
) -> None:
    student = make(DistilBertModel)
    with pytest.raises(UserError, match="have different vocabularies"):
        found.find(config(student, str(make_teacher(cased=True))), SPAN_HEAD)
    shutil.rmtree(student)
    student = make(DistilBertModel, dim=64, n_heads=4)
    with pytest.raises(UserError, match="hidden states cannot be matched"):
        found.find(config(student, str(make_teacher()), alpha_hidden=1.0), SPAN_HEAD)
    assert found.find(config(student, str(make_teacher()), alpha_hidden=0.0), SPAN_HEAD).trains


def test_a_window_longer_than_the_student_takes_is_refused(make: Make) -> None:
    build = config(make(DistilBertForQuestionAnswering))
    build = replace(build, data=replace(build.data, max_length=200))
    with pytest.raises(UserError, match="--max-length 200: mine takes at most 128 word pieces"):
        found.find(build, SPAN_HEAD)


def test_more_pieces_than_rows_are_refused(make: Make) -> None:
    folder = make(DistilBertForQuestionAnswering)
    pieces = len(load_tokenizer(folder))
    shutil.rmtree(folder)
    folder = make(DistilBertForQuestionAnswering, vocab_size=pieces - 1)
    with pytest.raises(UserError, match=f"{pieces} pieces and its table .* {pieces - 1} rows"):
        found.find(config(folder), SPAN_HEAD)


def test_a_distilbert_is_no_teacher(make: Make) -> None:
    with pytest.raises(UserError, match="is a 'distilbert': only BERT can be the teacher"):
        find_teacher(str(make(DistilBertForQuestionAnswering)), SPAN_HEAD, 2)
