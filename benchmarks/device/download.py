# SPDX-License-Identifier: Apache-2.0
"""A program from the web, taken only where its checksum is the one that was expected."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import sys
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

SCHEMES = ("https",)
SILENT_SECONDS = 60

# Programs for a phone have a few megabytes; what is far larger is another thing.
MOST_BYTES = 500_000_000


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirection to a scheme that is not allowed."""

    def redirect_request(self, *given: Any, **named: Any) -> urllib.request.Request | None:
        """The request that follows `given`, whose target is checked as the first one was."""
        request = super().redirect_request(*given, **named)
        if request is not None:
            _check_scheme(request.full_url)
        return request


def cache_folder() -> Path:
    """Where this user's programs keep what can be had again."""
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "distilbert-mobile"


def fetch(url: str, sha256: str, folder: Path) -> Path:
    """Download a file, or take it from `folder` where it was kept before.

    Args:
        url: https alone.
        sha256: hexadecimal, of the whole file.
        folder: to keep it in; it appears there whole, and only with this checksum.

    Raises:
        ValueError: a bad argument, no such file on the web, or another content.
    """
    _check_scheme(url)
    wanted = sha256.lower()
    if not re.fullmatch(r"[0-9a-f]{64}", wanted):
        raise ValueError(f"the sha256 {sha256!r} is none: 64 hexadecimal digits are needed")
    kept = folder / wanted
    if kept.is_file() and hashlib.sha256(kept.read_bytes()).hexdigest() == wanted:
        return kept
    opener = urllib.request.build_opener(_Redirects)
    digest, size = hashlib.sha256(), 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            try:
                with opener.open(url, timeout=SILENT_SECONDS) as response:
                    while chunk := response.read(1 << 20):
                        size += len(chunk)
                        if size > MOST_BYTES:
                            raise ValueError(f"{url} is larger than {MOST_BYTES:,} bytes")
                        digest.update(chunk)
                        file.write(chunk)
                file.close()
                if digest.hexdigest() != wanted:
                    raise ValueError(
                        f"{url} has the sha256 {digest.hexdigest()}, and {wanted} was expected: "
                        "it is another file; do not run it before you know why"
                    )
                Path(file.name).replace(kept)
            finally:
                Path(file.name).unlink(missing_ok=True)
    except (OSError, http.client.HTTPException) as error:  # urllib's own are OSErrors
        raise ValueError(f"cannot download {url} to {folder}: {error}") from error
    return kept


def _check_scheme(url: str) -> None:
    if urllib.parse.urlsplit(url).scheme not in SCHEMES:
        raise ValueError(f"{url} is not {' or '.join(SCHEMES)}: what it gives could be anybody's")
