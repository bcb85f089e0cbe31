# SPDX-License-Identifier: Apache-2.0
"""A phone that is connected through adb."""
