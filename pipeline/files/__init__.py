# SPDX-License-Identifier: Apache-2.0
"""What the student is shipped as, and what an app needs beside it."""
