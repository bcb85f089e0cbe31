# SPDX-License-Identifier: Apache-2.0
"""Instruments and the documents that they fill; this room imports no other."""
