# SPDX-License-Identifier: Apache-2.0
"""The runtimes that apps carry, and what each does with a file."""
