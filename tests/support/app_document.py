# SPDX-License-Identifier: Apache-2.0
"""What the app logs and writes, made by hand."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from adb_server import PACKAGE, FakePhone
from benchmark_fixtures import file, run, skeleton
from benchmark_fixtures import phone as phone_document

TOKENS = [41 + 17 * n for n in range(16)]
SOURCE = "student-int8.tflite"

_run = cache(run)  # bootstrap intervals take a while


def app_document(
    extras: dict[str, str], name: str = "app-int8.tflite", sha256: str = "ab" * 32
) -> dict[str, Any]:
    """The document of a run that was started with `extras`: one file, 16 questions, two rounds."""
    made = copy.deepcopy(_run(tuple(TOKENS), int(extras.get("threads", "4"))))
    latency = made["latency"]
    by_file = [latency["subjects"], latency["samples_ms"]]
    for each in (*by_file, *(made[key] for key in ("overhead", "memory", "weight_cache"))):
        mine = each[SOURCE]
        each.clear()
        each[name] = mine
    latency["ratios"] = [latency["ratios"][-1] | {"faster": name, "slower": name}]
    made["weight_cache"][name] = None
    if int(extras.get("seconds", "60")) < 60:
        made["too_short"] = f"{extras['runs']} queries in 1.0 s, where a valid figure has more"
    whole = phone_document()
    return skeleton(
        command="am start -W -n distilbert.mobile.app/.BenchmarkActivity",
        valid=made["too_short"] is None,
        machine=whole["machine"],
        device={**whole["device"], "runtime": "LiteRT 1.4.0", "app_version": "0.1.0"},
        load_average_after=None,
        other_work_cores=None,
        versions={"distilbert-mobile-app": "0.1.0", "litert": "1.4.0"},
        queries={
            "source": "embedded dev",
            "sha256": "cd" * 32,
            "count": len(TOKENS),
            "available": 391,
            "tokens": TOKENS,
        },
        files=[{**file(name, 5_140_000, 80.0), "sha256": sha256, "parts": None}],
        runs=[made],
    )


def without_bounds(document: dict[str, Any]) -> dict[str, Any]:
    """A document in the form of the app, which computes no bootstrap intervals."""

    def stripped(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: stripped(item)
                for key, item in value.items()
                if key not in ("low", "high") and not key.endswith(("_low", "_high"))
            }
        return [stripped(item) for item in value] if isinstance(value, list) else value

    found: dict[str, Any] = stripped(document)
    return found


def app_lines(phone: FakePhone, extras: dict[str, str], **named: str) -> Iterator[str]:
    """The log of a run that goes well; its document lies in the phone's files then."""
    run_id = extras["run_id"]
    text = json.dumps(app_document(extras, **named), ensure_ascii=False)
    yield f"BEGIN {run_id}"
    yield "chatter of another app with the same tag"
    yield f"PROGRESS {run_id} 8/16 12.3 s"
    pieces = [text[start : start + 3000] for start in range(0, len(text), 3000)]
    for number, piece in enumerate(pieces, 1):
        yield f"JSON {run_id} {number}/{len(pieces)} {piece}"
    path = f"/sdcard/Android/data/{PACKAGE}/files/benchmark-{run_id}.json"
    phone.files[path] = text.encode()
    yield f"DONE {run_id} {path}"
