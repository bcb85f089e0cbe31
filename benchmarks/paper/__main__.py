# SPDX-License-Identifier: Apache-2.0
"""The command `python -m benchmarks.paper`."""

import sys

from benchmarks.paper.table3 import main

if __name__ == "__main__":
    sys.exit(main())
