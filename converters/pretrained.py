# SPDX-License-Identifier: Apache-2.0
"""Opens a Hugging Face folder: safetensors alone, no code of the folder's own, nothing made up.

transformers fills a tensor that a folder lacks with random numbers and warns in a log; here a
folder is refused unless it holds everything but a head that is about to be trained.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from converters import ConversionError, is_text, one_line, plain_file, sealed
from converters.interface import Interface, interface_of_class

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"

# What transformers would load in place of `WEIGHTS`, or on top of it, if it lies beside it: the
# parts of a distributed checkpoint, and an adapter, which may run code when it is opened.
_PART = re.compile(r"shard-\d{5}-model-\d{5}-of-\d{5}\.safetensors")
_ADAPTER = "adapter_config.json"

# What transformers reads whole; the tokenizers of large multilingual models take 20 MB.
_READ_WHOLE = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", _ADAPTER, INDEX),
    *("special_tokens_map.json", "added_tokens.json", "generation_config.json"),
    "chat_template.jinja",
)
LARGEST_BYTES = 256 * 2**20

# Settings that make a model look at the tokens before it alone, or at another model.
DECODERS = ("is_decoder", "add_cross_attention", "is_encoder_decoder")

# The names that TensorFlow checkpoints gave to parts of layer norm.
_OLD_NAMES = {"gamma": "weight", "beta": "bias"}

# The layers of a model are made one by one: a damaged number would keep a command busy for hours.
MOST_LAYERS = 1000

# How many tensors that fail alike a message names: a damaged model may have hundreds.
NAMED = 5

# transformers makes a name for each output of a head, however many config.json asks for.
MOST_OUTPUTS = 2**16

LONGEST_NAME = 1000  # characters of the name of an output, as a model.json has it

# How a model runs, where a config.json may ask for another form of the outputs, or for chunks that
# an input does not divide into.
_RUNS = {"return_dict": True, "chunk_size_feed_forward": 0}

Shape = tuple[int, ...]


def load_config(folder: Path, **changes: Any) -> Any:
    """The configuration of a folder.

    Args:
        folder: a Hugging Face folder with config.json.
        changes: settings in place of those that it holds.

    Raises:
        ConversionError: it cannot be read, has values that no model can have, is that of a decoder,
            or belongs to a model that only code in the folder can open; or `refuse_odd_files`
            refuses.
    """
    from transformers import AutoConfig

    path = folder / "config.json"
    refuse_odd_files(folder)
    try:
        document = sealed.read_json(path)
        decoder = next((name for name in DECODERS if document.get(name)), None)
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise ConversionError(f"no readable {path}: expected a Hugging Face folder") from error
    if decoder:
        raise ConversionError(
            f"{path} has {decoder} {one_line(repr(document[decoder]), 60)}: only encoders are "
            "supported; name a model without it"
        )
    if refused := _odd_setting(document):
        raise ConversionError(f"{path} has {refused}")
    try:
        if type(outputs := document.get("num_labels")) is int and outputs > MOST_OUTPUTS:
            raise ValueError(f"{one_line(outputs, 20)} outputs, at most {MOST_OUTPUTS:,} can be")
        with _without_warnings():  # what is wrong is said in one line, below
            config = AutoConfig.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, **_RUNS | changes
            )
        names = getattr(config, "id2label", None) or {}
        if sorted(names) != list(range(len(names))):
            raise ValueError(f"id2label does not name the outputs 0 to {len(names) - 1}")
        if wrong := [str(name) for name in names.values() if not _is_name(str(name))]:
            raise ValueError(f"id2label has the name {wrong[0][:40]!a}, which no file can hold")
        if names:  # in the order of the outputs, whatever that of the file
            config.id2label = {place: names[place] for place in range(len(names))}
        if (layers := getattr(config, "num_hidden_layers", 0)) > MOST_LAYERS:
            raise ValueError(f"{layers} layers, at most {MOST_LAYERS:,} are supported")
        # Others are native code that transformers would fetch from the hub by this name.
        config._attn_implementation = changes.get("attn_implementation")
        config._experts_implementation = None
        return config
    except Exception as error:  # its errors have no common type
        if "auto_map" in document:
            raise ConversionError(
                f"{folder} holds a {one_line(repr(document.get('model_type')), 60)}, which only "
                "code in that folder can open, and such code is never run: name a model that "
                "transformers knows"
            ) from error
        raise ConversionError(
            f"{path} cannot be used ({one_line(error)}): save it again"
        ) from error


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Keeps transformers from printing lines of its own."""
    from transformers import logging

    kept = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(kept)


def refuse_odd_files(folder: Path) -> None:
    """Refuses a folder in which something keeps libraries from reading what is checked here.

    Raises:
        ConversionError: something in it is a pipe or a device, a file that is read whole is larger
            than any model's, or transformers would take other weights than `weight_files`.
    """
    if odd := plain_file.special(folder):
        raise ConversionError(f"{odd} is a pipe or a device: a model has files alone; remove it")
    for path in (folder / name for name in _READ_WHOLE):
        if path.is_file() and (size := path.stat().st_size) > LARGEST_BYTES:
            raise ConversionError(
                f"{path} has {size:,} bytes, and no model's has more than {LARGEST_BYTES:,}: "
                "fetch it again"
            )
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names alone
    except OSError:
        return  # whoever reads the folder says why
    if part := min(filter(_PART.match, names), default=None):
        raise ConversionError(
            f"{folder} holds {part}, a part of a distributed checkpoint, which would be loaded in "
            f"place of {WEIGHTS}: move one of them away"
        )
    if {_ADAPTER, "config.json"} <= {*names}:
        raise ConversionError(
            f"{folder} holds a model and an adapter ({_ADAPTER}): merge the adapter, or move it to "
            "a folder of its own"
        )


def _odd_setting(document: Mapping[str, Any]) -> str | None:
    """A setting by which transformers would load or compute something else; None without any."""
    weights = document.get("transformers_weights")
    if weights is not None and weights not in (WEIGHTS, INDEX):
        return (
            f"transformers_weights {one_line(repr(weights), 60)}: save the model again, with its "
            f"weights in {WEIGHTS}"
        )
    positions = document.get("position_embedding_type") or "absolute"
    if positions != "absolute":
        return (
            f"position_embedding_type {one_line(repr(positions), 60)}, which is not supported: "
            "take a model with 'absolute'"
        )
    if document.get("quantization_config"):
        return "a quantization_config: take the weights before they were quantized"
    return None


def _is_name(text: str) -> bool:
    """Whether a text can be the name of a class: not too long, and no half of a surrogate pair."""
    return len(text) <= LONGEST_NAME and is_text(text)


def load_model(
    kind: Any, folder: Path, *, head: str | tuple[str, ...] | None = None, **changes: Any
) -> Any:
    """The model that a folder holds, in the precision it was saved in.

    Args:
        kind: a class of transformers with `from_pretrained`.
        folder: a Hugging Face folder with safetensors.
        head: beginnings of the names of tensors that may be missing, and are random then.
        changes: settings in place of those of config.json.

    Raises:
        ConversionError: `load_config` refuses; a tensor is missing, has another shape than
            config.json says, or holds values that are not finite.
    """
    import torch

    config = load_config(folder, **changes)
    check_shapes(kind, config, folder, stored_shapes(folder), head=head)
    dtypes = {dtype for path in weight_files(folder) for _, dtype in tensors_in(path).values()}
    if "F32" in dtypes:  # or transformers rounds to what config.json may say
        config.dtype = torch.float32
    try:
        model = kind.from_pretrained(
            folder,
            config=config,
            dtype=config.dtype or "auto",
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
        )
    except Exception as error:  # its errors have no common type
        raise ConversionError(f"cannot load {folder}: {one_line(error)}") from error
    for name, tensor in model.named_parameters():
        if not torch.isfinite(tensor).all():
            raise ConversionError(
                f"{folder}: the weights {name} hold NaN or infinity: save or fetch a sound model"
            )
    return model


def load_with_head(folder: Path) -> Any:
    """The model that a folder holds with the head that its config.json names.

    Raises:
        ConversionError: `load_model` refuses, or config.json names no head of
            `converters.interface`.
    """
    import transformers

    head = interface_in(folder, load_config(folder)).head
    return load_model(getattr(transformers, f"AutoModel{head}"), folder)


def interface_in(folder: Path, config: Any) -> Interface:
    """What the model in a folder gives, by the class that its configuration names.

    Args:
        folder: for messages.
        config: of the folder, see `load_config`.

    Raises:
        ConversionError: it names no head of `converters.interface`.
    """
    names = config.architectures
    first = str(names[0]) if isinstance(names, list) and names else ""
    return interface_of_class(first, folder)


def check_shapes(
    kind: Any,
    config: Any,
    folder: Path,
    stored: Mapping[str, Shape],
    *,
    head: str | tuple[str, ...] | None = None,
) -> None:
    """Compares the tensors that a folder stores with those that its configuration asks for.

    Arguments are those of `shape_problems`.

    Raises:
        ConversionError: the first problem that `shape_problems` finds.
    """
    for problem in shape_problems(kind, config, folder, stored, head=head):
        raise ConversionError(problem)


def shape_problems(
    kind: Any,
    config: Any,
    folder: Path,
    stored: Mapping[str, Shape],
    *,
    head: str | tuple[str, ...] | None = None,
) -> Iterator[str]:
    """What is missing or has another shape among the tensors that a folder stores, a line each.

    The model is built without memory for its weights, so that this takes no longer for a large one.
    Of many tensors that fail alike, such as those of a whole layer, the first few are named.

    Args:
        kind: the class that is to be loaded.
        config: of the folder, see `load_config`.
        folder: for messages.
        stored: shapes by name, see `stored_shapes`; further tensors do not matter.
        head: beginnings of the names of tensors that may be missing.
    """
    import torch

    try:
        with torch.device("meta"):
            is_auto = not isinstance(kind, type) or not issubclass(kind, torch.nn.Module)
            empty = kind.from_config(config, trust_remote_code=False) if is_auto else kind(config)
    except Exception as error:  # whatever layers make of a wrong value
        yield f"{folder / 'config.json'} describes no model ({one_line(error)}): save it again"
        return
    found = dict(_named_as(empty.base_model_prefix, stored))
    tied = set(empty._tied_weights_keys or ()) if config.tie_word_embeddings else set()
    lacking: list[str] = []
    others: dict[tuple[str, Shape, Shape], list[str]] = {}  # alike but for the number of the layer
    for name, tensor in empty.state_dict().items():
        if name not in found:
            if name not in tied and not (head is not None and name.startswith(head)):
                lacking.append(name)
        elif found[name] != (asked := tuple(tensor.shape)):
            others.setdefault((re.sub(r"\d+", "", name), found[name], asked), []).append(name)
    if lacking:
        more = f" and {len(lacking) - NAMED} more" if len(lacking) > NAMED else ""
        yield (
            f"{folder} lacks the weights {', '.join(lacking[:NAMED])}{more}, which transformers "
            "would fill at random: save or fetch the whole model"
        )
    for (_, stored_shape, asked), names in list(others.items())[:NAMED]:
        more = f" (and {len(names) - 1} more like it)" if len(names) > 1 else ""
        yield (
            f"{folder}: {names[0]}{more} has shape {stored_shape}, and config.json asks for "
            f"{asked}: config.json and weights belong to different models"
        )
    if len(others) > NAMED:
        yield f"{folder}: {len(others) - NAMED} more kinds of tensors do not fit config.json"


def stored_shapes(folder: Path) -> dict[str, Shape]:
    """Shapes of the tensors in a folder's safetensors by their names; no weights are read.

    Raises:
        ConversionError: a file is missing or damaged.
    """
    return {
        name: shape
        for path in weight_files(folder)
        for name, (shape, _) in tensors_in(path).items()
    }


def tensors_in(path: Path) -> dict[str, tuple[Shape, str]]:
    """Shape and dtype (as safetensors calls it: "F32") of each tensor in one safetensors file.

    Raises:
        ConversionError: it is missing or damaged.
    """
    from safetensors import safe_open

    try:
        if (size := path.stat().st_size) > plain_file.memory_bytes():  # a file of holes
            raise ValueError(f"{size:,} bytes, more than this machine's memory")
        with safe_open(path, framework="numpy") as tensors:
            slices = {name: tensors.get_slice(name) for name in tensors.keys()}  # noqa: SIM118 - no mapping
            return {name: (tuple(one.get_shape()), one.get_dtype()) for name, one in slices.items()}
    except FileNotFoundError as error:
        by = path.name if path.name == WEIGHTS else f"{INDEX} names {path.name}, which"
        raise ConversionError(f"{path.parent}: {by} is not there: fetch the whole model") from error
    # It reports damage by its own error, a header that is no UTF-8 or no JSON by several others.
    except Exception as error:
        raise ConversionError(
            f"{path.parent}: {path.name} is damaged ({one_line(error, 200)}): fetch it again"
        ) from error


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that transformers reads from a folder: one, or those of its index.

    Raises:
        ConversionError: the index cannot be read, or names something outside of the folder.
    """
    index = folder / INDEX
    if (folder / WEIGHTS).is_file() or not index.is_file():
        return [folder / WEIGHTS]
    try:
        names = set(sealed.read_json(index)["weight_map"].values())
        if odd := [str(name) for name in names if not sealed.is_plain(name)]:
            raise ValueError(f"it names {one_line(repr(min(odd)), 60)}, which can be no file here")
        return [index.with_name(name) for name in sorted(names)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConversionError(
            f"{index} is damaged ({one_line(error, 100)}): fetch it again"
        ) from error


def _named_as(prefix: str, stored: Mapping[str, Shape]) -> Iterator[tuple[str, Shape]]:
    """Tensors as a model with a head calls them: saved without one, they lack the prefix."""
    for name, shape in stored.items():
        *path, last = name.split(".")
        name = ".".join([*path, _OLD_NAMES.get(last, last)])
        yield name, shape
        if not name.startswith(f"{prefix}."):
            yield f"{prefix}.{name}", shape
