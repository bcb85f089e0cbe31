# SPDX-License-Identifier: Apache-2.0
"""A benchmark's document as a page, as tables and as plots."""
