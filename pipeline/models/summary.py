# SPDX-License-Identifier: Apache-2.0
"""What a model from outside is, as facts that `pipeline.check` prints."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.models import adapters, vocabulary
from pipeline.models.heads import HEADS, Head
from pipeline.models.judge import KINDS, MALFORMED, Judgement
from pipeline.models.teacher import Source


def model_facts(
    judged: Judgement, source: Source | None, tasks: Mapping[str, Head]
) -> dict[str, Any]:
    """Kind, sizes, dtypes and heads of a model whose configuration can be read.

    Args:
        judged: what its folder holds.
        source: the model; None if it cannot be used.
        tasks: of the Hub, each with its head.
    """
    return {
        "kind": KINDS[judged.kind],
        **{
            "heads_of_attention" if name == "heads" else name: size
            for name, size in judged.sizes.items()
        },
        "segments": judged.document.get("type_vocab_size", 2) if judged.kind == "bert" else 1,
        "dtypes": list(judged.dtypes),
        "heads": list(_heads(judged)),
        "fits": [task for task, head in tasks.items() if judged.head_outputs(head) is not None],
        "merged_from": _merged_from(source) if source and source.made_of else None,
    }


def _heads(judged: Judgement) -> Iterator[dict[str, Any]]:
    """The heads that the weights hold."""
    for head in HEADS:
        outputs = judged.head_outputs(head)
        if outputs is not None:
            yield {"name": head.interface.head, "outputs": outputs}
    if judged.has_mlm_head:
        yield {"name": "ForMaskedLM", "outputs": judged.sizes.get("rows", 0)}


def _merged_from(source: Source) -> dict[str, str]:
    adapter = adapters.open_adapter(source.made_of[0])
    return {"adapter": adapter.kind, "base": Path(adapter.base).name or adapter.base}


def casing(folder: Path) -> str:
    """Which file of a folder decides whether its tokenizer makes texts lower case."""
    if vocabulary.cased_by_pieces(folder) is not None:
        return "the pieces of vocab.txt"
    try:
        said = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        if "do_lower_case" in said:
            return "tokenizer_config.json"
    except (OSError, *MALFORMED):
        pass
    return "tokenizer.json"
