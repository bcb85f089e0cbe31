# SPDX-License-Identifier: Apache-2.0
"""The command `python -m benchmarks.page`."""

import sys

from benchmarks.page.page import main

if __name__ == "__main__":
    sys.exit(main())
