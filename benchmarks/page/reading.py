# SPDX-License-Identifier: Apache-2.0
"""Reads the JSON of a benchmark that somebody named."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

from converters import one_line, sealed


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        ValueError: it cannot be read, or `converters.sealed` refuses it; one line that says why.
    """
    try:
        return sealed.read_json(path)
    except RecursionError as error:
        raise ValueError(f"cannot read {path}: too many brackets") from error
    except OSError as error:
        special = error.errno == errno.EINVAL
        why = "it is no file, but a pipe or a device" if special else error
        raise ValueError(f"cannot read {path}: {why}") from error
    except ValueError as error:
        raise ValueError(f"cannot read {path}: {one_line(error, 80)}") from error
