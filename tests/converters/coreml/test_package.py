# SPDX-License-Identifier: Apache-2.0
"""A package whose files are larger than any is refused before the memory is full of them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from coreml_fixtures import package

from converters import ConversionError
from converters.coreml import package as coreml_package


@pytest.mark.parametrize("name", [coreml_package.MANIFEST, coreml_package.MODEL])
def test_a_file_of_holes_is_refused(name: str, tmp_path: Path) -> None:
    path = Path(shutil.copytree(package("distilbert", "int8"), tmp_path / "a.mlpackage"))
    os.truncate(path / name, 2**40)
    with pytest.raises(ConversionError, match=f"{name} has more than 268,435,456 bytes"):
        coreml_package.read(path)
