# SPDX-License-Identifier: Apache-2.0
"""The command `python -m converters.compat`."""

import sys

from converters.compat.matrix import main

if __name__ == "__main__":
    sys.exit(main())
