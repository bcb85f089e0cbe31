# SPDX-License-Identifier: Apache-2.0
"""The student: the teacher with half its layers, as in DistilBERT (arXiv 1910.01108, section 3).

It is transformers' own DistilBert class, so the saved folder opens anywhere with `AutoModel...`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import BertConfig, DistilBertConfig

from converters.graphs.mobile import stored_in_int8
from pipeline.models.heads import HEADS

ROUNDINGS = 8  # of a table, at most; it is seldom rounded more than twice

# Where a block of BERT lies in a block of DistilBERT.
BLOCK_NAMES = {
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}


def student_config(teacher: BertConfig, layers: int) -> DistilBertConfig:
    """DistilBERT's configuration with the teacher's width, heads and vocabulary."""
    return DistilBertConfig(
        vocab_size=teacher.vocab_size,
        max_position_embeddings=teacher.max_position_embeddings,
        n_layers=layers,
        n_heads=teacher.num_attention_heads,
        dim=teacher.hidden_size,
        hidden_dim=teacher.intermediate_size,
        dropout=teacher.hidden_dropout_prob,
        attention_dropout=teacher.attention_probs_dropout_prob,
        activation=teacher.hidden_act,
        initializer_range=teacher.initializer_range,
        pad_token_id=teacher.pad_token_id,
        tie_word_embeddings=True,
    )


def student_state(
    teacher: Mapping[str, Tensor], layers: Sequence[int], *, fold_token_types: bool = True
) -> dict[str, Tensor]:
    """The teacher's tensors under the student's names.

    Args:
        teacher: state dict of a BERT of transformers, with or without a head.
        layers: the teacher's layers to take, from :func:`pipeline.models.layers.choose_layers`.
        fold_token_types: add row 0 of the token-type table to every position embedding: BERT adds
            that row to each token of a single segment, and the student has no such table.

    Returns:
        Tensors of the encoder (`distilbert.*`), of the MLM head (`vocab_*`) and of the heads in
        `HEADS`, as far as the teacher has them.
    """
    teacher = {name.removeprefix("bert."): tensor for name, tensor in teacher.items()}
    embeddings = "embeddings."
    positions = teacher[embeddings + "position_embeddings.weight"]
    types = teacher.get(embeddings + "token_type_embeddings.weight")
    if fold_token_types and types is not None:
        positions = positions + types[0]
    words = teacher[embeddings + "word_embeddings.weight"]
    state = {
        "distilbert.embeddings.word_embeddings.weight": words,
        "distilbert.embeddings.position_embeddings.weight": positions,
        "distilbert.embeddings.LayerNorm.weight": teacher[embeddings + "LayerNorm.weight"],
        "distilbert.embeddings.LayerNorm.bias": teacher[embeddings + "LayerNorm.bias"],
    }
    for target, source in enumerate(layers):
        for bert, distilbert in BLOCK_NAMES.items():
            for kind in ("weight", "bias"):
                state[f"distilbert.transformer.layer.{target}.{distilbert}.{kind}"] = teacher[
                    f"encoder.layer.{source}.{bert}.{kind}"
                ]
    heads = {
        "cls.predictions.transform.dense": "vocab_transform",
        "cls.predictions.transform.LayerNorm": "vocab_layer_norm",
    }
    for head in HEADS:  # a pooler alone is no head
        whole = all(f"{part}.weight" in teacher for part in head.moves)
        heads |= head.moves if whole else {}
    for bert, distilbert in heads.items():
        for kind in ("weight", "bias"):
            if f"{bert}.{kind}" in teacher:
                state[f"{distilbert}.{kind}"] = teacher[f"{bert}.{kind}"]
    if "cls.predictions.bias" in teacher:
        state["vocab_projector.weight"] = words
        state["vocab_projector.bias"] = teacher["cls.predictions.bias"]
    return {name: tensor.detach().clone() for name, tensor in state.items()}


def build_student(
    kind: Any,
    teacher_config: BertConfig,
    state: Mapping[str, Tensor] | None,
    layers: Sequence[int],
    seed: int,
    labels: int = 2,
) -> Any:
    """A student in float32, in training mode.

    Args:
        kind: a class of transformers: a DistilBERT with the MLM head or the head of a task.
        teacher_config: gives width, heads and vocabulary.
        state: from :func:`student_state` or of another student; None leaves the random weights
            (the ablation "random weights initialisation" of the paper, table 4).
        layers: gives the number of layers.
        seed: for whatever is not in `state`.
        labels: outputs of a head for a task.
    """
    torch.manual_seed(seed)
    config = student_config(teacher_config, len(layers))
    config.num_labels = labels
    student = kind(config)
    if state is not None:
        missing, _ = student.load_state_dict(
            {n: t for n, t in state.items() if n in student.state_dict()}, strict=False
        )
        encoder = [name for name in missing if name.startswith("distilbert.")]
        if encoder:
            raise ValueError(f"the student's encoder would keep random weights in {encoder[:3]}")
    return student.train()


@torch.no_grad()
def hold_to_int8(student: Any) -> None:
    """Rounds the embedding tables to the values that an int8 .tflite file stores.

    For tables that no training changes: the layers then learn on what is shipped.

    Args:
        student: a DistilBERT with any head; its tables are changed in place.
    """
    for module in student.distilbert.embeddings.modules():
        if isinstance(module, torch.nn.Embedding):
            module.weight.copy_(_held(module.weight))


def _held(table: Tensor) -> Tensor:
    """A table [V, dim] rounded so that an int8 file has exactly it, but for the last bit or two.

    Rounding can take a column to below the power of two that it was divided by.  The file divides
    it by the next lower one, and may have another scale then, so that it would round all anew.
    """
    for _ in range(ROUNDINGS):
        before, table = table, stored_in_int8(table)
        if torch.allclose(table, before, rtol=1e-6, atol=0.0):
            break
    return table
