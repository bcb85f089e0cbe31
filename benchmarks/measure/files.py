# SPDX-License-Identifier: Apache-2.0
"""Gives JSON as text."""

from __future__ import annotations

import json
import re
from typing import Any


def json_text(document: Any) -> str:
    """A document as JSON that a person can read.

    Raises:
        ValueError: it holds a number that is not finite.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    # A list of numbers on one line: thousands of samples would bury everything else. Strings
    # cannot match, their line breaks are escaped.
    return re.sub(r"\[\n[\d\s.,eE+-]+\]", lambda m: re.sub(r"\s+", " ", m[0]), text) + "\n"
