# SPDX-License-Identifier: Apache-2.0
"""Adapters of PEFT (LoRA and others), merged into their base model before anything else sees them.

The result is an ordinary Hugging Face folder in float32, which lives as long as the process: the
store keys a stage by the files of the adapter and of its base, and keeps what it makes from them.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converters import ConversionError, one_line, sealed
from converters.pretrained import load_config, load_model, stored_shapes, tensors_in
from pipeline.artifacts import write_json
from pipeline.errors import UserError
from pipeline.hub import is_hub_id
from pipeline.models import adapter_limits
from pipeline.models.adapter_limits import TABLES
from pipeline.models.heads import CLASS_HEAD, SPAN_HEAD, Head
from pipeline.models.judge import MALFORMED, MLM_HEAD, tensors_not_finite

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
WORDS = "mlm_head.safetensors"  # of adapters from pipeline.adapter: a head for masked words
PICKLED = "adapter_model.bin"
TOKENIZER_FILES = (
    *("tokenizer.json", "vocab.txt", "tokenizer_config.json"),
    *("special_tokens_map.json", "added_tokens.json"),
)
_PREFIX = "base_model.model."  # that peft puts before the names of the model's own tensors
# Logits of the merged model and of peft's own forward differ by rounding: W + BA is rounded once,
# while Wx + BAx is rounded at every product.
MERGED_TOLERANCE = 1e-3  # of the largest absolute logit


@dataclass(frozen=True)
class Adapter:
    """An adapter of PEFT on this machine's disk.

    Attributes:
        folder: holds adapter_config.json and adapter_model.safetensors.
        document: its adapter_config.json.
    """

    folder: Path
    document: dict[str, Any]

    @property
    def kind(self) -> str:
        """What PEFT calls it, such as "LORA"."""
        return str(self.document.get("peft_type"))

    @property
    def base(self) -> str:
        """The base model: a folder, or a hub id; empty where none is named."""
        return str(self.document.get("base_model_name_or_path") or "")

    @property
    def revision(self) -> str | None:
        """Of the base model on the hub; None for the newest."""
        named = self.document.get("revision")
        return str(named) if named else None

    def base_folder(self) -> Path | None:
        """The base model's folder if it is one, also beside the adapter; None for a hub id.

        Raises:
            UserError: there is no such folder, and no hub id has this form.
        """
        here = Path(os.path.expanduser(self.base))  # noqa: PTH111 - never raises
        for folder in (here, self.folder / here):
            if self.base and folder.is_dir() and folder.resolve() != self.folder.resolve():
                return folder
        if self.base and is_hub_id(self.base):
            return None
        raise UserError(
            f"its {CONFIG} has base_model_name_or_path {self.base!r}, which is neither a folder "
            "nor a hub id: write the base model's folder there"
        )


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter instead of a whole model."""
    return (folder / CONFIG).is_file()


def open_adapter(folder: Path) -> Adapter:
    """Reads what an adapter's configuration says.

    Raises:
        UserError: it cannot be read.
    """
    try:
        document = dict(sealed.read_json(folder / CONFIG))
    except (OSError, *MALFORMED) as error:
        raise UserError(f"{CONFIG} cannot be read: save the adapter again") from error
    return Adapter(folder, document)


def problems(adapter: Adapter) -> Iterator[str]:
    """What keeps an adapter from being merged, a line each; the base model is not looked at."""
    from peft.config import PromptLearningConfig
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING

    kind, folder = adapter.kind, adapter.folder
    if wrong := adapter_limits.problem(adapter.document):
        yield f"has {wrong} ({CONFIG}): save an adapter without that"
        return
    config = PEFT_TYPE_TO_CONFIG_MAPPING.get(kind)
    if config is None:
        yield f"is an adapter of the kind {kind!r}, which peft does not know"
    elif issubclass(config, PromptLearningConfig) or not hasattr(
        PEFT_TYPE_TO_TUNER_MAPPING.get(kind), "merge_and_unload"
    ):
        yield (
            f"is an adapter of the kind {kind}, which cannot be merged into the weights: take one "
            "that can, such as LORA or IA3"
        )
    if not (folder / WEIGHTS).is_file():
        lacks = f"no {WEIGHTS}"
        if (folder / PICKLED).exists():
            lacks = f"only {PICKLED}, a pickle, which can run code when it is opened"
        yield f"has {lacks}: save the adapter with safe_serialization=True"
        return
    for file in (WEIGHTS, WORDS):
        if file == WORDS and not (folder / file).is_file():
            continue
        try:
            shapes = {name: shape for name, (shape, _) in tensors_in(folder / file).items()}
        except ConversionError as error:
            yield f"is an adapter whose weights cannot be read: {error}"
            return
        if wrong := adapter_limits.tensor_problem(adapter.document, shapes):
            yield f"has {wrong}: save the adapter again"
            return
        if names := tensors_not_finite(folder / file):
            yield f"has NaN or infinity in the weights {', '.join(names[:5])}: save a sound adapter"


@functools.cache
def _place() -> tempfile.TemporaryDirectory[str]:
    """Where merged models lie until the process ends."""
    return tempfile.TemporaryDirectory(prefix="distilbert-mobile-merged-")


@functools.cache
def merged(adapter_key: str, folder: Path, base: Path, kind: str) -> Path:
    """The folder of a base model with an adapter merged into it.

    Args:
        adapter_key: stands for the content of both; the same key, the same folder.
        folder: of the adapter.
        base: of the whole model that it belongs to.
        kind: "bert" or "distilbert".

    Raises:
        UserError: the adapter does not fit the base model, or cannot be merged.
        ConversionError: the base model cannot be loaded.
    """
    from safetensors.torch import load_file, save_file
    from transformers import logging

    logging.set_verbosity_error()  # it reports the head that the adapter brings as missing
    logging.disable_progress_bar()
    adapter = open_adapter(folder)
    tensors = load_file(folder / WEIGHTS)
    names = [name.removeprefix(_PREFIX) for name in tensors]
    head = _head(adapter, names)
    bare = not any(name.startswith(f"{kind}.") for name in names)
    model, made_up = _base(base, kind, head, tensors)
    target = model.base_model if bare else model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft's, about functions of transformers that it calls
        whole = _merge(adapter, target, tensors, tuple(made_up))
    if bare:
        setattr(model, kind, whole)
    saved = {_PREFIX + name for name in names}
    state = {
        name: tensor.detach().float().clone().contiguous()
        for name, tensor in (model if bare else whole).state_dict().items()
        if not name.startswith(tuple(made_up))
        or (not bare and any(key == _PREFIX + name for key in saved))
    }
    if adapter.document.get("task_type") == "TOKEN_CLS":  # another head of the same name
        state = {name: one for name, one in state.items() if not name.startswith("classifier.")}
    target_folder = Path(tempfile.mkdtemp(dir=_place().name)) / folder.resolve().name
    target_folder.mkdir()
    same_rows = _copy_config(base, target_folder, model, head, kind)
    if same_rows:
        state |= _mlm_head(folder, base, state)
    save_file(state, target_folder / "model.safetensors", {"format": "pt"})
    own = any((folder / name).is_file() for name in ("tokenizer.json", "vocab.txt"))
    for name in TOKENIZER_FILES:
        if ((folder if own else base) / name).is_file():
            shutil.copy((folder if own else base) / name, target_folder)
    return target_folder


def _head(adapter: Adapter, names: list[str]) -> Head:
    """The head of the class of transformers that an adapter was trained in."""
    task = adapter.document.get("task_type")
    spans = task == "QUESTION_ANS" or any(name.startswith("qa_outputs.") for name in names)
    encoder_alone = not any(name.startswith(("bert.", "distilbert.")) for name in names)
    classes = any(name.startswith(("classifier.", "pre_classifier.")) for name in names)
    # The class with the classifier also has the pooler, which an adapter of the encoder may change.
    if not spans and (classes or encoder_alone or task in ("SEQ_CLS", "TOKEN_CLS")):
        return CLASS_HEAD
    return SPAN_HEAD


def _base(base: Path, kind: str, head: Head, tensors: dict[str, Any]) -> tuple[Any, list[str]]:
    """The base model in the class of a head, and the beginnings of names that are random in it."""
    import transformers

    stored = {name.removeprefix(f"{kind}.") for name in stored_shapes(base)}
    parts = [*head.parts(kind), *([f"{kind}.pooler."] if kind == "bert" else [])]
    made_up = [
        part
        for part in parts
        if not any(name.startswith(part.removeprefix(f"{kind}.")) for name in stored)
    ]
    outputs = next(
        (
            tensor.shape[0]
            for name, tensor in tensors.items()
            if name.endswith(("qa_outputs.weight", "classifier.weight"))
            and "pre_classifier" not in name
        ),
        None,
    )
    changes = {} if outputs is None else {"num_labels": outputs}
    model = load_model(
        getattr(transformers, head.model(kind)), base, head=tuple(made_up) or None, **changes
    )
    model = model.float().eval()
    rows = next((tensors[name].shape[0] for name in tensors if name.endswith(TABLES)), None)
    if rows is not None and rows != model.config.vocab_size:
        model.resize_token_embeddings(rows, mean_resizing=False)
    return model, made_up


def _merge(adapter: Adapter, model: Any, tensors: dict[str, Any], made_up: tuple[str, ...]) -> Any:
    """The model with the adapter merged into it, whose logits are those of the adapter."""
    import torch
    from peft import PeftConfig, get_peft_model, get_peft_model_state_dict
    from peft import set_peft_model_state_dict as set_state

    ids = torch.arange(1, min(9, model.config.vocab_size))[None]
    try:
        document = {**adapter.document, "base_model_name_or_path": None}  # it has another name here
        config = PeftConfig.from_peft_type(**document)
        config.inference_mode = True
        adapted = get_peft_model(model, config).eval()
        set_state(adapted, dict(tensors))
        tables = any(name.endswith(TABLES) for name in tensors)
        expected = set(get_peft_model_state_dict(adapted, save_embedding_layers=tables))
        lacking = [
            name
            for name in sorted(expected - set(tensors))
            if not name.removeprefix(_PREFIX).startswith(made_up or ("\0",))
        ]
        spare = sorted(set(tensors) - expected)
        with torch.no_grad():
            before = adapted(ids)[0]
            whole = adapted.merge_and_unload()
            after = whole(ids)[0]
    except Exception as error:  # peft's errors have no common type
        raise UserError(
            f"the adapter does not fit its base model, or cannot be merged ({one_line(error)}): "
            "name the base model it was trained on in base_model_name_or_path"
        ) from error
    for said, names in (("lacks", lacking), ("holds, beside those of its base model,", spare)):
        if names:
            raise UserError(
                f"the adapter {said} the weights {', '.join(names[:5])}: name the base model it "
                "was trained on in base_model_name_or_path, or save the adapter again"
            )
    if (after - before).abs().max() > MERGED_TOLERANCE * before.abs().max():
        raise UserError(
            f"an adapter of the kind {adapter.kind} gives other outputs once it is merged: take a "
            "kind that merges, such as LORA or IA3"
        )
    return whole


def _copy_config(base: Path, folder: Path, model: Any, head: Head, kind: str) -> bool:
    """Writes config.json; returns whether the vocabulary has as many rows as the base model's."""
    document = json.loads((base / "config.json").read_text(encoding="utf-8"))
    rows = load_config(base).vocab_size
    outputs = model.config.num_labels
    if len(document.get("id2label") or {}) != outputs:
        for name in ("id2label", "label2id", "num_labels"):
            document.pop(name, None)
        document["id2label"] = {str(i): f"LABEL_{i}" for i in range(outputs)}
        document["label2id"] = {f"LABEL_{i}": i for i in range(outputs)}
    document |= {
        "architectures": [head.model(kind)],
        "vocab_size": model.config.vocab_size,
        "dtype": "float32",
    }
    document.pop("torch_dtype", None)
    write_json(folder / "config.json", document)
    return bool(rows == model.config.vocab_size)


def _mlm_head(folder: Path, base: Path, state: dict[str, Any]) -> dict[str, Any]:
    """The masked-language-model head beside the adapter, or that of the base model.

    Adapters of other tasks keep the base model's.
    """
    from safetensors.torch import load_file

    from converters.pretrained import weight_files

    own = folder / WORDS
    return {
        name: tensor.float()
        for path in ([own] if own.is_file() else weight_files(base))
        for name, tensor in load_file(path).items()
        if name.startswith(MLM_HEAD) and name not in state
    }
