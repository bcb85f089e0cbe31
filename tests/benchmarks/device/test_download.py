# SPDX-License-Identifier: Apache-2.0
"""Downloads: whole, with their checksum, over https; against a server on this machine."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmarks.device import download

CONTENT = b"a program for phones" * 5000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Web(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_address[1]}/file")
            self.end_headers()
        elif self.path in ("/file", "/cut", "/endless"):
            self.send_response(200)
            if self.path != "/endless":
                self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[: len(CONTENT) if self.path == "/file" else 1000])
        else:
            self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[str]:
    Web.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allows http, which no option of the command does."""
    monkeypatch.setattr(download, "SCHEMES", ("http",))


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.exists() else []


@pytest.mark.usefixtures("plain")
def test_a_download_is_kept_under_its_checksum(web: str, tmp_path: Path) -> None:
    for _ in range(2):
        path = download.fetch(f"{web}/moved", DIGEST.upper(), tmp_path / "new")
        assert path.read_bytes() == CONTENT
    assert Web.asked == ["/moved", "/file"]  # once
    path.write_bytes(b"damaged")
    assert download.fetch(f"{web}/file", DIGEST, tmp_path / "new").read_bytes() == CONTENT
    assert names(tmp_path / "new") == [DIGEST]


@pytest.mark.usefixtures("plain")
def test_another_content_is_refused(web: str, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=f"is another file .* expected sha256:0000.* but got {DIGEST}"
    ):
        download.fetch(f"{web}/file", "0" * 64, tmp_path)
    assert names(tmp_path) == []


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("page", ["cut", "none"])
def test_what_does_not_come_whole_is_refused(web: str, page: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot download|is another file"):
        download.fetch(f"{web}/{page}", DIGEST, tmp_path)
    assert names(tmp_path) == []


@pytest.mark.usefixtures("plain")
def test_what_is_too_large_is_refused(
    web: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="is larger than 1,000 bytes"):
        download.fetch(f"{web}/file", DIGEST, tmp_path)
    with pytest.raises(ValueError, match="does not say how large it is"):
        download.fetch(f"{web}/endless", DIGEST, tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("scheme", ["http", "file", "ftp", ""])
def test_https_alone(scheme: str, web: str, tmp_path: Path) -> None:
    url = f"{scheme}{web.removeprefix('http')}/file"
    with pytest.raises(ValueError, match="is not https"):
        download.fetch(url, DIGEST, tmp_path)
    assert Web.asked == [] and names(tmp_path) == []


def test_no_redirection_leaves_https(
    web: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def check(url: str) -> None:  # as if the first one had been https
        seen.append(url)
        if len(seen) > 1:
            raise ValueError(f"{url} is not https")

    monkeypatch.setattr(download, "_check_scheme", check)
    with pytest.raises(ValueError, match="/file is not https"):
        download.fetch(f"{web}/moved", DIGEST, tmp_path)
    assert Web.asked == ["/moved"] and names(tmp_path) == []


def test_a_checksum_is_needed(tmp_path: Path) -> None:
    for bad in ("", "0" * 63, "g" * 64, "latest"):
        with pytest.raises(ValueError, match="64 hexadecimal digits are needed"):
            download.fetch("https://127.0.0.1/file", bad, tmp_path)


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    expected = {
        "linux": tmp_path / "distilbert-mobile",
        "darwin": Path.home() / "Library" / "Caches" / "distilbert-mobile",
    }
    assert download.cache_folder() == expected[sys.platform]
