# SPDX-License-Identifier: Apache-2.0
"""A model as a Core ML package."""
