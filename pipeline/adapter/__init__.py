# SPDX-License-Identifier: Apache-2.0
"""The recipe of the adapter that makes the embedded sentence encoder a teacher."""
