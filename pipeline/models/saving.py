# SPDX-License-Identifier: Apache-2.0
"""How a model of a build is kept: as a folder that `AutoModel...` of transformers opens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def save(model: Any, tokenizer: Any, folder: Path, head: Mapping[str, Any] | None = None) -> None:
    """Writes a Hugging Face folder: float32 safetensors, configuration, tokenizer.

    Args:
        model: is moved to the CPU.
        tokenizer: of the model.
        folder: to write into.
        head: settings of the configuration, see `Task.head_settings`.
    """
    for name, value in (head or {}).items():
        setattr(model.config, name, value)
    model.to("cpu").save_pretrained(folder)
    tokenizer.save_pretrained(folder)
