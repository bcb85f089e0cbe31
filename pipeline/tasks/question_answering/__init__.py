# SPDX-License-Identifier: Apache-2.0
"""Extractive question answering: data, windows, training, answers and scores."""
