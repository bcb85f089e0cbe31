# SPDX-License-Identifier: Apache-2.0
"""Folders of models as people have them: what each is given as, and what is said of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from model_folders import (
    Make,
    adapter,
    cut_short,
    damaged,
    id_left_out,
    inside,
    lora,
    model,
    one_shard_less,
    other_kind,
    piece_twice,
    prompt,
    settings,
    spoiled,
    three_outputs,
    without,
)
from transformers import (
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertModel,
    DistilBertForQuestionAnswering,
    DistilBertModel,
)

WORDS = "bert.embeddings.word_embeddings.weight"


@dataclass(frozen=True)
class Case:
    """A made-up folder.

    Attributes:
        role: what it is given as.
        make: makes it.
        refused: a piece of each line that refuses it; none if it can be used.
        note: a piece of what is said of it although it can be used.
        ready: whether it has a head for question answering.
    """

    role: str
    make: Make
    refused: tuple[str, ...] = ()
    note: str = ""
    ready: bool = False


PLAIN = model(BertModel)
QA = model(BertForQuestionAnswering)
STUDENT = model(DistilBertForQuestionAnswering)
LAYER = "encoder.layer.1.output.dense.weight"
SHARDED = model(BertModel, shards="20KB")


def teacher(make: Make, *refused: str, **more: Any) -> Case:
    return Case("teacher", make, refused, **more)


def student(make: Make, *refused: str, **more: Any) -> Case:
    return Case("student", make, refused, **more)


def broken(*damages: Callable[[Path], Any], says: str, make: Make = QA) -> Case:
    """A teacher that is refused after some damage."""
    return Case("teacher", damaged(make, *damages), (says,))


CASES: dict[str, Case] = {
    # Taken.
    "uncased": teacher(PLAIN),
    "cased": teacher(model(BertModel, "cased")),
    "multilingual": teacher(model(BertModel, "multilingual")),
    "chinese": teacher(model(BertModel, "chinese")),
    "one-layer": teacher(model(BertModel, num_hidden_layers=1)),
    "24-layers": teacher(
        model(BertModel, num_hidden_layers=24, hidden_size=8, num_attention_heads=2)
    ),
    "wide": student(
        model(DistilBertForQuestionAnswering, dim=384, n_heads=6, hidden_dim=512), ready=True
    ),
    "fp16": teacher(model(BertModel, dtype=torch.float16)),
    "bf16": student(model(DistilBertForQuestionAnswering, dtype=torch.bfloat16), ready=True),
    "sharded": teacher(SHARDED),
    "prefix": teacher(QA, ready=True),
    "no-prefix-with-head": teacher(model(BertForQuestionAnswering, prefix=False), ready=True),
    "student-no-prefix": student(model(DistilBertModel)),
    "bert-student": student(QA, ready=True),
    "pretraining-heads": teacher(model(BertForPreTraining)),
    "classifier-of-five": teacher(model(BertForSequenceClassification, num_labels=5)),
    "padded-teacher": teacher(model(BertModel, spare=27)),
    "padded-student": student(model(DistilBertForQuestionAnswering, spare=6), ready=True),
    "tokenizer-json": teacher(model(BertModel, tokenizer="json")),
    "vocab-txt": teacher(model(BertModel, tokenizer="txt"), note="is read as uncased"),
    "vocab-txt-cased": student(
        model(DistilBertForQuestionAnswering, "cased", tokenizer="txt"),
        note="is read as cased",
        ready=True,
    ),
    "sentence-encoder": teacher(inside(PLAIN, "")),
    "old-sentence-encoder": teacher(inside(PLAIN, "0_Transformer")),
    "one-segment": teacher(model(BertModel, type_vocab_size=1)),
    "lora-with-head": student(
        adapter(
            model(DistilBertModel), DistilBertForQuestionAnswering, lora(task_type="QUESTION_ANS")
        ),
        ready=True,
    ),
    "lora-without-head": teacher(adapter(PLAIN, BertModel, lora(task_type="FEATURE_EXTRACTION"))),
    # Refused.
    "embeddings-missing": broken(without(WORDS), says=f"lacks the weights {WORDS}"),
    "embeddings-misshapen": broken(
        settings(max_position_embeddings=64),
        says="position_embeddings.weight has shape (128, 32), and config.json asks for (64, 32)",
    ),
    "layer-missing": broken(without(f"bert.{LAYER}"), says=f"lacks the weights bert.{LAYER}"),
    "layer-misshapen": teacher(
        damaged(QA, settings(intermediate_size=48)),
        "layer.0.intermediate.dense.weight (and 1 more like it) has shape (64, 32)",
        "dense.bias (and 1 more like it) has shape (64,), and config.json asks for (48,)",
        "output.dense.weight (and 1 more like it) has shape (32, 64)",
    ),
    "nan": broken(
        spoiled(f"bert.{LAYER}", float("nan")), says=f"bert.{LAYER} hold NaN or infinity"
    ),
    "infinite": broken(
        spoiled("qa_outputs.weight", float("inf")), says="qa_outputs.weight hold NaN"
    ),
    "decoder": broken(settings(is_decoder=True), says="is_decoder True: only encoders"),
    "cross-attention": broken(
        settings(add_cross_attention=True), says="add_cross_attention True: only encoders"
    ),
    "relative-positions": broken(
        settings(position_embedding_type="relative_key"), says="'relative_key', which no exported"
    ),
    "quick-gelu": broken(settings(hidden_act="quick_gelu"), says="'quick_gelu', which no exported"),
    "dropout": broken(settings(hidden_dropout_prob=1.5), says="1.5, expected a share from 0"),
    "wrong-types": broken(settings(hidden_size="32"), says="hidden_size '32', expected 1 or more"),
    "head-of-three": student(
        damaged(STUDENT, three_outputs),
        "qa_outputs.weight has shape (3, 32), and config.json asks for (2, 32)",
        "qa_outputs.bias has shape (3,)",
    ),
    "piece-twice": broken(
        piece_twice, says="has the piece", make=model(BertModel, tokenizer="txt")
    ),
    "id-left-out": broken(id_left_out, says="ids that no piece has, such as "),
    "more-pieces": teacher(model(BertModel, spare=-1), "pieces and its table of embeddings"),
    "cut-short": broken(cut_short, says="model.safetensors is damaged"),
    "shard-missing": broken(
        one_shard_less, says="model.safetensors.index.json names model-00001-of", make=SHARDED
    ),
    "index-missing": broken(
        lambda folder: (folder / "model.safetensors.index.json").unlink(),
        says="without their index, model.safetensors.index.json",
        make=SHARDED,
    ),
    "no-tokenizer": broken(
        lambda folder: (folder / "tokenizer.json").unlink(), says="has no tokenizer"
    ),
    "roberta": teacher(other_kind("roberta"), "is a 'roberta': only BERT can be the teacher"),
    "xlm-roberta": student(
        other_kind("xlm-roberta"), "is a 'xlm-roberta': only DistilBERT or BERT"
    ),
    "albert": teacher(other_kind("albert"), "is a 'albert': only BERT"),
    "electra": teacher(other_kind("electra"), "is a 'electra': only BERT"),
    "deberta": student(other_kind("deberta-v2"), "is a 'deberta-v2': only DistilBERT or BERT"),
    "adapter-pickle": student(
        adapter(
            model(DistilBertModel),
            DistilBertForQuestionAnswering,
            lora(task_type="QUESTION_ANS"),
            lambda folder: (folder / "adapter_model.safetensors").rename(
                folder / "adapter_model.bin"
            ),
        ),
        "only adapter_model.bin, a pickle",
    ),
    "prompt-tuning": student(
        adapter(model(DistilBertModel), DistilBertForQuestionAnswering, prompt),
        "of the kind PROMPT_TUNING, which cannot be merged",
    ),
    "adapter-of-nothing": student(
        adapter(
            model(DistilBertModel),
            DistilBertForQuestionAnswering,
            lora(task_type="QUESTION_ANS"),
            settings("adapter_config.json", base_model_name_or_path="../nowhere"),
        ),
        "'../nowhere', which is neither a folder nor a hub id",
    ),
    "all-at-once": teacher(
        damaged(
            QA,
            settings(hidden_dropout_prob=-1, is_decoder=True),
            without(WORDS),
            spoiled("qa_outputs.weight", float("nan")),
            lambda folder: (folder / "tokenizer.json").unlink(),
        ),
        "hidden_dropout_prob -1",
        "is_decoder True",
        f"lacks the weights {WORDS}",
        "qa_outputs.weight hold NaN",
        "has no tokenizer",
    ),
}


def make(name: str, place: Path) -> Path:
    """Makes the folder of a case below `place` and returns it."""
    folder = place / "mine"
    shutil.rmtree(folder, ignore_errors=True)
    CASES[name].make(folder)
    return folder
