# SPDX-License-Identifier: Apache-2.0
"""Judges the configuration and the weights of a model from outside, before anything is trained.

Every check yields its problems, so that the user reads all of them at once. The tokenizer is
judged in `teacher.py`, which opens it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from converters import ConversionError, one_line, plain_file, sealed
from converters.pretrained import (
    DECODERS,
    INDEX,
    MOST_LAYERS,
    MOST_OUTPUTS,
    NAMED,
    WEIGHTS,
    Shape,
    load_config,
    shape_problems,
    tensors_in,
    weight_files,
)
from pipeline.models.heads import Head

KINDS = {"bert": "BERT", "distilbert": "DistilBERT"}
MLM_HEAD = "cls."  # beginning of the names of its tensors
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.ckpt")
FLOATS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
# What reading a JSON file that is not of the expected form can raise.
MALFORMED = (ValueError, KeyError, TypeError, AttributeError, RecursionError)

# The settings of an architecture: ours -> (BERT's, DistilBERT's) in config.json.
SIZES = {
    "layers": ("num_hidden_layers", "n_layers"),
    "width": ("hidden_size", "dim"),
    "heads": ("num_attention_heads", "n_heads"),
    "inner": ("intermediate_size", "hidden_dim"),
    "positions": ("max_position_embeddings", "max_position_embeddings"),
    "rows": ("vocab_size", "vocab_size"),
}
_PART = 2**26  # numbers that are looked at together, for no tensor may double the memory
MOST = 2**24  # of any size but layers: ids and places in a file of ours are smaller
_DROPOUTS = (
    *("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"),
    *("dropout", "attention_dropout", "qa_dropout", "seq_classif_dropout"),
)
_ACTIVATION = ("hidden_act", "activation")


@dataclass
class Judgement:
    """What a folder holds, and what is wrong with it.

    Attributes:
        what: what messages call the model, such as "teacher bert-base-cased".
        folder: a Hugging Face folder.
        problems: a line each; none if the model can be used.
        document: its config.json; empty if that cannot be read.
        kind: "bert", "distilbert", or what else config.json calls it.
        sizes: by the names in `SIZES`, as far as they make sense.
        sound: whether nothing is wrong with its config.json.
        shapes: of the stored tensors by name; empty if they cannot be read.
        dtypes: in which the tensors are stored, such as "float16".
    """

    what: str
    folder: Path
    problems: list[str] = field(default_factory=list)
    document: dict[str, Any] = field(default_factory=dict)
    kind: str = ""
    sizes: dict[str, int] = field(default_factory=dict)
    sound: bool = False
    shapes: dict[str, Shape] = field(default_factory=dict)
    dtypes: tuple[str, ...] = ()

    @property
    def has_mlm_head(self) -> bool:
        """Whether the weights hold a masked-language-model head."""
        return any(
            name.startswith(("cls.predictions.transform", "vocab_transform"))
            for name in self.shapes
        )

    def head_outputs(self, head: Head) -> int | None:
        """How many outputs a head has that the weights hold; None where they hold none."""
        if self.kind not in KINDS or not self.has(head):
            return None
        last = head.parts(self.kind)[-1]
        shape = self.shapes.get(f"{last}weight", ())
        # A matrix of no columns takes no bytes, and may have any number of rows.
        return shape[0] if len(shape) == 2 and 0 < shape[0] <= MOST_OUTPUTS else None

    def has(self, head: Head) -> bool:
        """Whether the weights hold every part of a head."""
        parts = head.parts(self.kind)
        return all(any(name.startswith(part) for name in self.shapes) for part in parts)


def judge(
    what: str,
    folder: Path,
    *,
    role: str,
    kinds: Sequence[str],
    head: Head,
    labels: int | None,
) -> Judgement:
    """Judges the configuration and the weights of a folder.

    Args:
        what: what messages call the model.
        folder: a Hugging Face folder.
        role: "teacher" or "student", for messages.
        kinds: the architectures that it may have.
        head: of the task.
        labels: how many outputs that must have; None for any number.
    """
    given = Judgement(what, folder)
    if odd := plain_file.special(folder):
        given.problems.append(
            f"{what} has {odd.name!r}, a pipe or a device: a model has files alone; remove it"
        )
        return given
    try:
        document = sealed.read_json(folder / "config.json")
        kind = document.get("model_type")
    except (OSError, *MALFORMED):
        given.problems.append(f"{what} has no readable config.json: expected a Hugging Face folder")
        return given
    given.document = document
    if kind not in kinds:
        allowed = " or ".join(KINDS[each] for each in kinds)
        given.problems.append(f"{what} is a {_shown(kind)}: only {allowed} can be the {role}")
        return given
    given.kind = kind
    wrong = dict(_config_problems(given))
    given.problems += [f"{what}: {problem}" for problem in wrong.values()]
    given.sound = not wrong
    given.problems += _read_weights(given)
    if given.shapes:
        given.problems += _tensor_problems(given, set(wrong), head, labels)
    return given


def _config_problems(given: Judgement) -> Iterator[tuple[str, str]]:
    """Keys of config.json whose values no model can have, with what is wrong; sets the sizes."""
    from converters.graphs.architecture import ACTIVATIONS  # brings PyTorch

    document, is_bert = given.document, given.kind == "bert"
    default = _default_config(given.kind)
    for name, names in SIZES.items():
        key = names[not is_bert]
        value = document.get(key, getattr(default, key))
        if type(value) is not int or value < 1:
            yield key, f"config.json has {key} {_shown(value)}, expected 1 or more"
        elif value > (most := MOST_LAYERS if name == "layers" else MOST):
            yield key, f"config.json has {key} {_shown(value)}, expected at most {most:,}"
        else:
            given.sizes[name] = value
    width, heads = given.sizes.get("width", 0), given.sizes.get("heads", 1)
    if width % heads:
        yield (
            SIZES["heads"][not is_bert],
            f"config.json has {heads} attention heads for a width of {width}, which is no multiple "
            "of it: save config.json again",
        )
    segments = document.get("type_vocab_size", 2)
    if is_bert and (type(segments) is not int or segments < 1):
        yield (
            "type_vocab_size",
            f"config.json has type_vocab_size {_shown(segments)}, expected 1 or more",
        )
    for key in _DROPOUTS:
        value = document.get(key)
        if value is not None and not (_is_number(value) and 0 <= value < 1):
            yield key, f"config.json has {key} {_shown(value)}, expected a share from 0 to below 1"
    for key in ("layer_norm_eps", "initializer_range"):
        value = document.get(key, 1.0)
        if not (_is_number(value) and value > 0):
            yield key, f"config.json has {key} {_shown(value)}, expected a positive number"
    key = _ACTIVATION[not is_bert]
    activation = document.get(key, "gelu")
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        yield (
            key,
            f"config.json has {key} {_shown(activation)}, which no exported file can compute: take "
            f"a model with {', '.join(sorted(ACTIVATIONS))}",
        )
    positions = document.get("position_embedding_type") or "absolute"
    if positions != "absolute":
        yield (
            "position_embedding_type",
            f"config.json has position_embedding_type {_shown(positions)}, which no exported file "
            "can compute: take a model with 'absolute'",
        )
    for key in DECODERS:
        if value := document.get(key):
            yield key, f"config.json has {key} {_shown(value)}: only encoders are supported"
    if document.get("quantization_config"):
        yield (
            "quantization_config",
            "config.json has a quantization_config: take the weights before they were quantized",
        )
    if document.get("pruned_heads"):
        yield (
            "pruned_heads",
            "config.json has pruned_heads, so that layers differ in shape: take a model with all "
            "its heads",
        )
    outputs = document.get("num_labels", 1)  # transformers makes a name for each at once
    if outputs is not None and not (type(outputs) is int and 0 < outputs <= MOST_OUTPUTS):
        yield (
            "num_labels",
            f"config.json has num_labels {_shown(outputs)}, expected 1 to {MOST_OUTPUTS:,}",
        )
    pad = document.get("pad_token_id", 0)
    rows = given.sizes.get("rows", 0)
    if pad is not None and rows and not (type(pad) is int and 0 <= pad < rows):
        yield (
            "pad_token_id",
            f"config.json has pad_token_id {_shown(pad)}, expected 0 to {rows - 1}",
        )


def _default_config(kind: str) -> Any:
    """The values that transformers takes for what a config.json leaves out."""
    import transformers

    return {"bert": transformers.BertConfig, "distilbert": transformers.DistilBertConfig}[kind]()


def _shown(value: Any) -> str:
    """A value of config.json for a message; people's files hold anything."""
    return one_line(repr(value), 60)


def _is_number(value: Any) -> bool:
    try:
        return type(value) in (int, float) and math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False


def _read_weights(given: Judgement) -> Iterator[str]:
    """Reads the shapes of all tensors; yields what is missing, damaged or not finite."""
    what, folder = given.what, given.folder
    if not any((folder / name).is_file() for name in (WEIGHTS, INDEX)):
        yield f"{what} has {_instead(folder)}"
        return
    dtypes: set[str] = set()
    shapes: dict[str, Shape] = {}
    not_finite: list[str] = []
    whole = True
    try:
        files = weight_files(folder)
    except ConversionError as error:
        yield f"{what}: {error}"
        return
    for path in files:
        try:
            tensors = tensors_in(path)
        except ConversionError as error:
            yield f"{what}: {error}"
            whole = False
            continue
        if twice := sorted(shapes.keys() & tensors.keys()):
            yield (
                f"{what}: {path.name} and another file both have the weights "
                f"{one_line(', '.join(twice[:NAMED]), 200)}: fetch the whole model again"
            )
        shapes |= {name: shape for name, (shape, _) in tensors.items()}
        dtypes |= {
            dtype for name, (_, dtype) in tensors.items() if not name.endswith("position_ids")
        }
        not_finite += tensors_not_finite(path)
    given.dtypes = tuple(sorted(FLOATS.get(name, name) for name in dtypes))
    if odd := sorted(dtypes - set(FLOATS)):
        yield (
            f"{what}: its weights are stored as {', '.join(odd)}, expected "
            f"{', '.join(FLOATS.values())}: take the weights before they were quantized"
        )
    if not_finite:
        more = f" and {len(not_finite) - NAMED} more" if len(not_finite) > NAMED else ""
        yield (
            f"{what}: the weights {', '.join(not_finite[:NAMED])}{more} hold NaN or infinity: save "
            "or fetch a sound model"
        )
    if whole:
        given.shapes = shapes


def _instead(folder: Path) -> str:
    """What a folder without whole safetensors weights holds instead, and what to do."""
    shards = sorted(path.name for path in folder.glob("*-of-*.safetensors"))
    if shards:
        return (
            f"{len(shards)} shards such as {shards[0]} without their index, {INDEX}: fetch that "
            "file too"
        )
    found = [name for name in PICKLED if (folder / name).exists()]
    lacks = "no safetensors weights"
    if found:
        lacks = f"only {found[0]}, a pickle, which can run code when it is opened"
    return f"{lacks}: provide {WEIGHTS} (model.save_pretrained(folder) of transformers writes it)"


def tensors_not_finite(path: Path) -> list[str]:
    """Names of the floating-point tensors of a file that hold NaN or infinity."""
    from safetensors import safe_open

    found = []
    with safe_open(path, framework="pt") as tensors:
        for name in tensors.keys():  # noqa: SIM118 - no mapping
            # PyTorch cannot open every type of safetensors; others than these are refused.
            if tensors.get_slice(name).get_dtype() not in FLOATS:
                continue
            parts = tensors.get_tensor(name).reshape(-1).split(_PART)
            if not all(part.isfinite().all() for part in parts):
                found.append(name)
    return found


def _tensor_problems(
    given: Judgement, wrong: set[str], head: Head, labels: int | None
) -> Iterator[str]:
    """What is missing or misshapen among the tensors, a line each."""
    import transformers

    labels = labels or head.outputs
    sizes = {names[given.kind != "bert"] for names in SIZES.values()} | {"type_vocab_size"}
    if wrong & sizes:
        return  # there is nothing to compare with
    try:
        if wrong:  # the tensors are the same whatever these values should have been
            kind = type(_default_config(given.kind))
            kept = {key: given.document[key] for key in sizes if key in given.document}
            config = kind(**kept, num_labels=labels or 2)
        else:
            config = load_config(given.folder, num_labels=labels or 2)
    except Exception as error:  # transformers' errors have no common type
        yield f"{given.what}: {one_line(error)}"
        return
    if labels is None:
        config.num_labels = given.head_outputs(head) or 2
    model = getattr(transformers, head.model(given.kind))
    parts = head.parts(given.kind)
    begun = any(name.startswith(parts) for name in given.shapes)  # half a head is damage
    lines = list(
        shape_problems(model, config, given.folder, given.shapes, head=None if begun else parts)
    )
    if given.kind == "bert" and any(name.startswith(MLM_HEAD) for name in given.shapes):
        lines += shape_problems(
            transformers.BertForMaskedLM, config, given.folder, given.shapes, head=MLM_HEAD
        )
    yield from (f"{given.what}: {line}" for line in dict.fromkeys(lines))
