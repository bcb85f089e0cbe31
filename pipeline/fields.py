# SPDX-License-Identifier: Apache-2.0
"""What settings are made of: numbers with bounds, and a class that refuses unknown keys."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


class Strict:
    """A settings class that refuses keys it does not have."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)
