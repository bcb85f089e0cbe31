# SPDX-License-Identifier: Apache-2.0
"""Records the measured figures of the pages in docs/results.json, and writes them into the pages."""
