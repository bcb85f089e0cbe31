# SPDX-License-Identifier: Apache-2.0
"""Exported files and models behind one `Predictor`."""
