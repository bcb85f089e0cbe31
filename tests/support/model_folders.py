# SPDX-License-Identifier: Apache-2.0
"""Makes folders of models as people have them, whole and damaged.

All are tiny, with random weights of transformers' own classes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import pieces
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForQuestionAnswering,
    BertTokenizerFast,
    DistilBertConfig,
)

from converters.runtimes.checksums import sha256
from pipeline.models import carried, teacher

BERT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
BERT |= {"intermediate_size": 64, "max_position_embeddings": 128}
DISTILBERT = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
DISTILBERT |= {"max_position_embeddings": 128}
CYRILLIC = [*"абвгдежзиклмнопрстуфхцчшыэюя", "##д", "##и", "##ж", "москва", "É", "é", "ß", "ñ"]
HAN = [*"的一是不了在人有我他这中大来上国东京巴黎", "年", "建"]

Make = Callable[[Path], Any]


def vocabulary_of(kind: str = "uncased") -> list[str]:
    """The pieces of a vocabulary: uncased, cased, multilingual or chinese."""
    if kind == "multilingual":
        return list(dict.fromkeys([*pieces(cased=True), *CYRILLIC]))
    if kind == "chinese":
        return list(dict.fromkeys([*pieces(), *HAN]))
    return pieces(cased=kind == "cased")


def model(
    kind: Any,
    words: str = "uncased",
    *,
    spare: int = 0,
    dtype: Any = torch.float32,
    shards: str = "1GB",
    tokenizer: str = "both",
    prefix: bool = True,
    **config: Any,
) -> Make:
    """A maker of a folder that holds a model of a class of transformers.

    Args:
        kind: the class.
        words: which vocabulary, see `vocabulary_of`.
        spare: rows of the table beyond the vocabulary; fewer than 0 are missing.
        dtype: of the stored weights.
        shards: the largest size of a file of weights.
        tokenizer: "both" for all files, "json", or "txt" for vocab.txt alone.
        prefix: whether the names of the encoder's tensors have one, as the class saves them.
        config: settings in place of those that are tiny here.
    """

    def make(folder: Path) -> None:
        known = vocabulary_of(words)
        is_bert = kind.config_class is BertConfig
        sizes = {**(BERT if is_bert else DISTILBERT), "vocab_size": len(known) + spare, **config}
        with torch.random.fork_rng():
            torch.manual_seed(1)
            made = kind((BertConfig if is_bert else DistilBertConfig)(**sizes))
            with torch.no_grad():
                for weight in made.parameters():
                    weight.add_(torch.randn(weight.shape), alpha=0.05)
        made.to(dtype).save_pretrained(folder, max_shard_size=shards)
        if not prefix:
            tensors(
                folder, lambda all_: {n.removeprefix("bert."): tensor for n, tensor in all_.items()}
            )
        write_tokenizer(folder, known, lower=words in ("uncased", "chinese"), files=tokenizer)

    return make


def write_tokenizer(folder: Path, known: list[str], *, lower: bool, files: str = "both") -> None:
    """Writes a BERT tokenizer: tokenizer.json and its configuration, or vocab.txt alone."""
    if files == "txt":
        (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in known))
        return
    BertTokenizerFast(
        vocab={piece: i for i, piece in enumerate(known)}, do_lower_case=lower
    ).save_pretrained(folder)
    (folder / "vocab.txt").unlink(missing_ok=True)
    if files == "json":
        (folder / "tokenizer_config.json").unlink()


def damaged(make: Make, *damages: Callable[[Path], Any]) -> Make:
    """A maker of a folder that is changed after it was made."""

    def made(folder: Path) -> None:
        make(folder)
        for damage in damages:
            damage(folder)

    return made


def settings(name: str = "config.json", **changes: Any) -> Callable[[Path], None]:
    """A change of settings in a JSON file of a folder."""

    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def tensors(folder: Path, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Changes the weights of a folder."""
    path = folder / "model.safetensors"
    save_file(edit(load_file(path)), path, {"format": "pt"})


def without(name: str) -> Callable[[Path], None]:
    """A folder loses a tensor."""
    return lambda folder: tensors(
        folder, lambda all_: {n: tensor for n, tensor in all_.items() if n != name}
    )


def spoiled(name: str, value: float) -> Callable[[Path], None]:
    """One number of a tensor becomes another."""

    def edit(all_: dict[str, Any]) -> dict[str, Any]:
        all_[name].view(-1)[3] = value
        return all_

    return lambda folder: tensors(folder, edit)


def inside(make: Make, place: str) -> Make:
    """A sentence-transformers folder, whose encoder lies in `place` ("" for the folder itself)."""

    def made(folder: Path) -> None:
        folder.mkdir()
        make(folder / place)
        entry = {"idx": 0, "name": "0", "path": place, "type": "sentence_transformers.models"}
        (folder / "modules.json").write_text(json.dumps([entry]))
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text("{}")

    return made


def adapter(
    base: Make, kind: Any, config: Callable[[], Any], *damages: Callable[[Path], Any]
) -> Make:
    """A folder of a PEFT adapter, whose base model lies beside it.

    Args:
        base: makes the base model.
        kind: the class of transformers that the adapter is trained in.
        config: gives peft's configuration.
        damages: changes of the folder.
    """

    def made(folder: Path) -> None:
        save_adapter(folder, base, kind, config())
        for damage in damages:
            damage(folder)

    return made


def save_adapter(folder: Path, base: Make, kind: Any, config: Any) -> Any:
    """Writes an adapter with random weights and its base; returns the model with both."""
    from peft import get_peft_model

    place = folder.with_name(f"{folder.name}-base")
    base(place)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        whole = get_peft_model(kind.from_pretrained(place).eval(), config)
        with torch.no_grad():
            for weight in whole.parameters():
                if weight.requires_grad:
                    weight.add_(torch.randn(weight.shape), alpha=0.2)
    whole.save_pretrained(folder)
    settings("adapter_config.json", base_model_name_or_path=f"../{place.name}")(folder)
    return whole.eval()


def lora(**changes: Any) -> Callable[[], Any]:
    """Settings of a LoRA."""

    def config() -> Any:
        from peft import LoraConfig

        return LoraConfig(**{"r": 4, "target_modules": ["q_lin", "v_lin", "query"], **changes})

    return config


def prompt() -> Any:
    """Settings of a prompt tuning, which nothing can merge."""
    from peft import PromptTuningConfig

    sizes = {"num_layers": 2, "token_dim": 32, "num_attention_heads": 4}
    return PromptTuningConfig(task_type="QUESTION_ANS", num_virtual_tokens=3, **sizes)


def three_outputs(folder: Path) -> None:
    head = {"qa_outputs.weight": torch.zeros(3, 32), "qa_outputs.bias": torch.zeros(3)}
    tensors(folder, lambda all_: all_ | head)


def one_shard_less(folder: Path) -> None:
    sorted(folder.glob("model-*.safetensors"))[0].unlink()


def piece_twice(folder: Path) -> None:
    known = (folder / "vocab.txt").read_text().split("\n")
    known[20] = known[30]
    (folder / "vocab.txt").write_text("\n".join(known))


def id_left_out(folder: Path) -> None:
    path = folder / "tokenizer.json"
    document = json.loads(path.read_text())
    del document["model"]["vocab"]["tower"]
    path.write_text(json.dumps(document))


def cut_short(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def other_kind(kind: str) -> Make:
    """A folder of another architecture; only its config.json is ever read."""

    def make(folder: Path) -> None:
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"model_type": kind}))

    return make


def copied(whole: Path, folder: Path) -> Path:
    """A copy of a folder of files, to damage."""
    folder.mkdir()
    for path in whole.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def carry(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a tiny adapter, and a base model beside it, in the places of those of the package."""
    of_answers = lora(task_type="QUESTION_ANS")()
    save_adapter(folder, model(BertForMaskedLM), BertForQuestionAnswering, of_answers)
    files = ("adapter_config.json", "adapter_model.safetensors")
    sums = "".join(f"{sha256(folder / name)}  {name}\n" for name in files)
    (folder / "SHA256SUMS").write_text(sums)
    monkeypatch.setattr(carried, "FOLDER", folder)
    base = folder.with_name(f"{folder.name}-base")
    monkeypatch.setattr(teacher, "_locate", lambda model, role: ("tiny", base))
