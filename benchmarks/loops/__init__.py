# SPDX-License-Identifier: Apache-2.0
"""Trainings in two forms, the build's and a plain one, that take turns."""
