# SPDX-License-Identifier: Apache-2.0
"""Holds back what converters print; it is shown only if they fail."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hold back what the converters print, from Python and from C++; show it if they fail."""
    with contextlib.ExitStack() as stack:
        noise = stack.enter_context(tempfile.TemporaryFile("w+", errors="replace"))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(contextlib.redirect_stdout(noise))
        stack.enter_context(contextlib.redirect_stderr(noise))
        for descriptor in (1, 2):
            kept = os.dup(descriptor)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, descriptor)
            os.dup2(noise.fileno(), descriptor)
        try:
            yield
        except BaseException:
            noise.seek(0)
            report = noise.read()
            stack.close()
            sys.stderr.write(report)
            raise
