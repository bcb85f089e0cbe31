# SPDX-License-Identifier: Apache-2.0
"""The encoder as an export graph, with a batch of one row or of many."""
