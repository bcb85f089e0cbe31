# SPDX-License-Identifier: Apache-2.0
"""A model as an .onnx file."""
