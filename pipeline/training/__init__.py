# SPDX-License-Identifier: Apache-2.0
"""The training loop, the losses and general distillation."""
