# SPDX-License-Identifier: Apache-2.0
"""What sharded training refuses; `test_ranks.py` trains with it."""

from __future__ import annotations

import pytest
import torch
from conftest import MakeTeacher
from torch import nn
from transformers import BertForMaskedLM

from pipeline import ranks, settings
from pipeline.config import Hardware
from pipeline.errors import UserError
from pipeline.training import sharding


@pytest.mark.parametrize("value", ["true", "1", "YES", "True "])
def test_the_sharding_of_accelerate_is_refused_in_one_line(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would wrap a model whose parts the losses call, on GPUs alone."""
    monkeypatch.setenv("ACCELERATE_USE_FSDP", value)
    with pytest.raises(UserError, match=r"USE_FSDP .* pass --hardware\.shard") as caught:
        settings.parse([], "")
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError):
        ranks.check(Hardware())
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "false")
    settings.parse(["--hardware.shard"], "")


def test_shards_are_not_compiled() -> None:
    with pytest.raises(UserError, match="leave one of them out"):
        settings.parse(["--hardware.shard", "--hardware.compile"], "")


def test_one_process_shards_nothing_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Hardware(shard=True)
    assert not sharding.is_wanted(asked)
    assert "start several with torchrun" in "".join(ranks.notes(asked))
    monkeypatch.setattr(ranks, "WORLD", 2)
    assert sharding.is_wanted(asked) and not sharding.is_wanted(Hardware())
    assert not [*ranks.notes(asked)]


def test_models_and_devices_that_have_no_shards(make_teacher: MakeTeacher) -> None:
    with pytest.raises(UserError, match="only those of a build"):
        sharding.shard_frozen(nn.Sequential(nn.Linear(2, 2)), torch.device("cpu"))
    bert = BertForMaskedLM.from_pretrained(make_teacher(layers=2, head="mlm"))
    with pytest.raises(UserError, match=r"not on mps; pass --hardware\.device cpu"):
        sharding.shard_frozen(bert, torch.device("mps"))
