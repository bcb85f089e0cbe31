# SPDX-License-Identifier: Apache-2.0
"""A hub that cannot be reached, or hangs, is given up in seconds."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import hub
from pipeline.errors import UserError


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A server that accepts connections, and does nothing else."""
    for name in ("HF_HUB_OFFLINE", *hub.PROXIES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(hub, "TIMEOUT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        yield server
    os.environ["HF_HUB_OFFLINE"] = "1"  # as all tests have it


def test_a_hub_that_hangs_is_given_up(listening: socket.socket) -> None:
    began = time.monotonic()
    hub.use_cache_when_offline()
    assert os.environ["HF_HUB_OFFLINE"] == "1" and time.monotonic() - began < 10


def test_a_hub_that_nobody_serves_is_given_up(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening.close()
    hub.use_cache_when_offline()
    assert os.environ["HF_HUB_OFFLINE"] == "1"


@pytest.mark.parametrize("answer", ["200 OK", "405 Method Not Allowed", "500 Oh"])
def test_a_hub_that_answers_is_asked(answer: str, listening: socket.socket) -> None:
    def serve() -> None:
        client, _ = listening.accept()
        with client:
            client.recv(4096)
            client.sendall(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n".encode())

    server = threading.Thread(target=serve)
    server.start()
    hub.use_cache_when_offline()
    server.join()
    assert "HF_HUB_OFFLINE" not in os.environ


def test_a_hub_that_hangs_after_its_first_answer_is_given_up(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The hub's client is offline in tests, and has its address from its start: both are set."""
    from huggingface_hub import constants
    from huggingface_hub.utils import close_session

    address = os.environ["HF_ENDPOINT"]
    for name, value in (
        ("HF_HUB_OFFLINE", False),
        ("ENDPOINT", address),
        ("HUGGINGFACE_CO_URL_TEMPLATE", f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"),
    ):
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "REQUEST_S", 0.5)
    monkeypatch.setattr(hub, "use_cache_when_offline", lambda: None)
    held: list[socket.socket] = []

    def serve() -> None:
        with contextlib.suppress(OSError):  # the end of the test closes the server
            while True:
                held.append(listening.accept()[0])

    threading.Thread(target=serve, daemon=True).start()
    close_session()
    began = time.monotonic()
    try:
        with pytest.raises(UserError, match=r"cannot load some/model: the hub cannot be reached"):
            hub.snapshot("some/model", ["config.json"])
        assert held and time.monotonic() - began < 20
    finally:
        close_session()
        for client in held:
            client.close()


def test_a_hub_that_says_something_else_is_given_up(listening: socket.socket) -> None:
    def serve() -> None:
        client, _ = listening.accept()
        with client:
            client.recv(4096)
            client.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")

    server = threading.Thread(target=serve)
    server.start()
    hub.use_cache_when_offline()
    server.join()
    assert os.environ["HF_HUB_OFFLINE"] == "1"


@pytest.mark.parametrize("address", ["http://[a", "http://a:port", "https://a b:9999999"])
def test_an_address_that_is_none_is_one_line(
    address: str, listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", address)
    with pytest.raises(UserError, match="which is no address"):
        hub.use_cache_when_offline()
