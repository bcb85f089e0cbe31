# SPDX-License-Identifier: Apache-2.0
"""A program from the web, taken only where its checksum is the one that was expected."""

from __future__ import annotations

import re
import urllib.parse
from pathlib import Path
from typing import Any

CACHE = "distilbert-mobile"
SCHEMES = ("https",)
SILENT_SECONDS = 60

# Programs for a phone have a few megabytes; what is far larger is another thing.
MOST_BYTES = 500_000_000


def cache_folder() -> Path:
    """Where this user's programs keep what can be had again."""
    import pooch

    return Path(pooch.os_cache(CACHE))


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
    import pooch

    pooch.get_logger().setLevel("ERROR")  # its lines of progress are not the command's
    downloader = pooch.HTTPDownloader(
        timeout=SILENT_SECONDS,
        headers={"Accept-Encoding": "identity"},  # so that the stated length is the file's
        hooks={"response": _check_response},
    )
    try:
        kept = pooch.retrieve(
            url, known_hash=f"sha256:{wanted}", fname=wanted, path=folder, downloader=downloader
        )
    except OSError as error:  # those of requests are OSErrors
        raise ValueError(f"cannot download {url} to {folder}: {error}") from error
    except _RefusedError:
        raise
    except ValueError as error:
        raise ValueError(
            f"{url} is another file than the one of this checksum; do not run it before you know "
            f"why: {error}"
        ) from error
    return Path(kept)


class _RefusedError(ValueError):
    """A file that is not downloaded, whatever its content is."""


def _check_response(response: Any, *_: object, **__: object) -> None:
    """Follow no redirection to a scheme that is not allowed, and take nothing that is too large.

    Called for each response before its content is read or its redirection is followed.
    """
    if response.is_redirect:
        _check_scheme(urllib.parse.urljoin(response.url, response.headers["Location"]))
    elif response.ok:
        length = response.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise _RefusedError(f"{response.url} does not say how large it is")
        if int(length) > MOST_BYTES:
            raise _RefusedError(f"{response.url} is larger than {MOST_BYTES:,} bytes")


def _check_scheme(url: str) -> None:
    if urllib.parse.urlsplit(url).scheme not in SCHEMES:
        raise _RefusedError(
            f"{url} is not {' or '.join(SCHEMES)}: what it gives could be anybody's"
        )
