# SPDX-License-Identifier: Apache-2.0
"""The report and the model card."""
