# SPDX-License-Identifier: Apache-2.0
"""The Hugging Face hub where it can be reached, its local cache where it cannot."""

from __future__ import annotations

import http.client
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from converters.extras import install_hint
from pipeline.errors import UnreachableError, UserError

DEFAULT_ENDPOINT = "https://huggingface.co"
# How long a hub may take to accept a connection, and then to answer. The hub's own client would
# retry for a minute where nobody accepts, and for more than six where nobody answers.
TIMEOUT_S = 5.0
# How long a request may wait for the next bytes. The hub's client waits for ever where its caller
# names no limit, and tries again five times: a hub that hangs is given up after two minutes.
REQUEST_S = 10.0
PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


HUB_ID = re.compile(r"([\w-][\w.-]*/)?[\w-][\w.-]*(:[\w.-]+)?")
FILE_TYPES = (".json", ".jsonl", ".txt", ".md", ".csv", ".tsv", ".gz")


def is_hub_id(source: str) -> bool:
    """Whether a name can be a hub id (`name`, `owner/name`, `owner/name:config`) and is no file."""
    return (
        HUB_ID.fullmatch(source) is not None
        and not source.lower().endswith(FILE_TYPES)
        and not Path(source).exists()
    )


def use_cache_when_offline() -> None:
    """Puts the hub's clients in offline mode if the hub does not answer within ten seconds.

    Call it before `huggingface_hub` or `datasets` are imported: they read the mode once.  Behind a
    proxy nothing is tried, since only the proxy knows.
    """
    if os.environ.get("HF_HUB_OFFLINE") or any(os.environ.get(name) for name in PROXIES):
        return
    named = os.environ.get("HF_ENDPOINT", DEFAULT_ENDPOINT)
    try:
        endpoint = urlsplit(named)
        plain = endpoint.scheme == "http"
        kind = http.client.HTTPConnection if plain else http.client.HTTPSConnection
        connection = kind(endpoint.hostname or "", endpoint.port, timeout=TIMEOUT_S)
    except (ValueError, http.client.InvalidURL) as error:
        raise UserError(
            f"HF_ENDPOINT is {named[:80]!r}, which is no address ({error}): set it to one such as "
            f"{DEFAULT_ENDPOINT}, or not at all"
        ) from error
    try:
        connection.request("HEAD", "/")
        connection.getresponse()  # whatever it says: a hub that hangs says nothing
    except (OSError, http.client.HTTPException):
        os.environ["HF_HUB_OFFLINE"] = "1"
    finally:
        connection.close()


def limit_waiting() -> None:
    """Gives the hub's client a limit of time for every request, whatever its callers ask for."""
    from huggingface_hub import get_session

    client = get_session()
    hooks = client.event_hooks
    if _limit not in hooks["request"]:
        client.event_hooks = {**hooks, "request": [*hooks["request"], _limit]}


def _limit(request: Any) -> None:
    asked = request.extensions.get("timeout", {})
    given = {kind: asked.get(kind) for kind in ("connect", "read", "write", "pool")}
    request.extensions["timeout"] = {
        kind: REQUEST_S if seconds is None else min(seconds, REQUEST_S)
        for kind, seconds in given.items()
    }


def load_dataset(source: str, split: str, *, streaming: bool = False) -> Any:
    """A hub data set's split; `source` is its id, or `id:configuration`.

    Raises:
        UnreachableError: `datasets` is not installed, or the set is neither reachable nor cached.
        UserError: it has no such configuration.
    """
    use_cache_when_offline()
    try:
        import datasets
    except ImportError as error:
        raise UnreachableError(f"hub data sets need a package: {install_hint('hub')}") from error
    limit_waiting()
    name, _, configuration = source.partition(":")
    try:
        return datasets.load_dataset(name, configuration or None, split=split, streaming=streaming)
    except Exception as error:  # the client raises many kinds; the user needs one line
        if re.search(r"\bconfigs?\b|BuilderConfig", str(error), re.IGNORECASE):
            said = " ".join(str(error).split())  # its second line lists them
            raise UserError(
                f"cannot load data set {source} ({said[:400]}): name one of its configurations as "
                f"{name}:CONFIGURATION, and connect to the hub once so that it is cached"
            ) from error
        raise UnreachableError(
            f"cannot load data set {source} ({_first_line(error)}): connect to the hub once so "
            "that it is cached, or name files of your own"
        ) from error


def snapshot(model: str, files: Sequence[str], revision: str | None = None) -> Path:
    """The local snapshot of a hub model, with these of its files, as far as it has them.

    Args:
        model: a hub id.
        files: names, or patterns of them.
        revision: a branch, tag or commit; None for the newest.

    Raises:
        UnreachableError: it is neither reachable nor cached.
        UserError: there is no such model.
    """
    use_cache_when_offline()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    limit_waiting()
    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=list(files)))
    except (HFValidationError, RepositoryNotFoundError) as error:
        raise UserError(
            f"no model {model} on the hub: check the spelling, or name a local folder"
        ) from error
    except Exception as error:  # no network, no cache: many kinds, one remedy
        raise UnreachableError(
            f"cannot load {model}: the hub cannot be reached and the model is not in its cache; "
            "connect once, or pass a local folder with --teacher, or use --preset embedded"
        ) from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
