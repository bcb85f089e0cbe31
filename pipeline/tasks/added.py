# SPDX-License-Identifier: Apache-2.0
"""Added tokens in the texts of a task: those that a tokenizer finds whole beside the usual five."""

from __future__ import annotations

from typing import Any

# How many added tokens a golden case shows: a case for people and phones to read stays short.
_SHOWN = 8


def added_ids(tokenizer: Any) -> dict[int, str]:
    """The added tokens of a fast tokenizer, but its five special pieces, by their ids."""
    usual = {
        *(tokenizer.pad_token, tokenizer.unk_token, tokenizer.cls_token),
        *(tokenizer.sep_token, tokenizer.mask_token),
    }
    found = sorted((place, str(token)) for place, token in tokenizer.added_tokens_decoder.items())
    return {place: content for place, content in found if content not in usual}


def added_text(tokenizer: Any) -> str | None:
    """A short text with the first added tokens in it, for a golden case; None if there are none.

    Each stands once between words and once within one, so that its flags show. The text is not
    ASCII, so that checks leave it out that compare with the Task Library, which knows no added
    tokens.
    """
    contents = list(added_ids(tokenizer).values())[:_SHOWN]
    if not contents:
        return None
    return " ".join(f"The {content} – the{content}s – was old." for content in contents)  # noqa: RUF001
