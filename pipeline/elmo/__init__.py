# SPDX-License-Identifier: Apache-2.0
"""ELMo, and the baseline of GLUE around it: the first row of the DistilBERT paper's table 1."""
