# SPDX-License-Identifier: Apache-2.0
"""From a BERT teacher to a verified DistilBERT student on a phone, in one command."""

__version__ = "0.1.0"
