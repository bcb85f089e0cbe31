# SPDX-License-Identifier: Apache-2.0
"""Attention on CPUs in bf16, written out, and memory that is kept between steps.

PyTorch's fused attention computes its gradient in bf16 on CPUs more slowly than in fp32, several
times so where sequences are short.  Written out as matrix products it has no such gap.  The
tensors of its scores are large, and glibc gives each of that size back to the system at once, so
that every step pays for its pages anew.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import AttentionMaskInterface, eager_mask

WRITTEN_OUT = "written_out"
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
KEPT = 1 << 30  # bytes that malloc keeps at the top of its heap, and below which it maps nothing


def written_out(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Tensor, None]:
    """softmax(QKᵀ / √d + mask) V, one product after the other (Vaswani et al. 2017, equation 1).

    Args:
        module: the layer; says whether it is being trained.
        query: float [B, H, S, d].
        key: float [B, H, S, d].
        value: float [B, H, S, d].
        attention_mask: float, broadcast to [B, H, S, S] and added to the scores; 0 where a token
            is seen.
        scaling: of the scores; 1 / √d if it is not given.
        dropout: share of the weights that is dropped.

    Returns:
        Float [B, S, H, d], and no weights.
    """
    scaling = query.size(-1) ** -0.5 if scaling is None else scaling
    scores = torch.matmul(query * scaling, key.transpose(2, 3))  # [B, H, S, S]
    if attention_mask is not None:
        # The smallest float32 is an infinity in bf16, and a row of infinities has no softmax.
        least = torch.finfo(scores.dtype).min
        scores += attention_mask.clamp(min=least).to(scores.dtype)
    weights = F.dropout(scores.softmax(-1), dropout, module.training)
    return torch.matmul(weights.to(value.dtype), value).transpose(1, 2).contiguous(), None


AttentionInterface.register(WRITTEN_OUT, written_out)
AttentionMaskInterface.register(WRITTEN_OUT, eager_mask)


@contextmanager
def fit_for(model: nn.Module, precision: str, device: torch.device) -> Iterator[None]:
    """Within it the models in `model` attend in the way that is fastest to train here.

    A model whose attention somebody chose, such as FlashAttention, keeps it; so does every model
    at the end.
    """
    slow = device.type == "cpu" and precision == "bf16"
    models = [each for each in model.modules() if slow and isinstance(each, PreTrainedModel)]
    configs = [each.config for each in models if each.config._attn_implementation == "sdpa"]
    for config in configs:
        config._attn_implementation = WRITTEN_OUT
    try:
        yield
    finally:
        for config in configs:
            config._attn_implementation = "sdpa"


def keep_memory() -> None:
    """Lets glibc keep the memory of a step for the next one; does nothing on other systems."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, KEPT)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT)
