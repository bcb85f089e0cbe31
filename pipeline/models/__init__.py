# SPDX-License-Identifier: Apache-2.0
"""The teacher, the student, and which layers the student starts from."""
