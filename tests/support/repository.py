# SPDX-License-Identifier: Apache-2.0
"""Places of the checkout that tests read."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
CONTRACT = ROOT / "tests" / "contract"
