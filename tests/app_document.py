# SPDX-License-Identifier: Apache-2.0
"""What the app logs and writes, made by hand: the same schema, with samples of a made-up model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from adb_server import PACKAGE, FakePhone

from benchmarks import latency
from benchmarks.session import WAYS, ratios

STATE = {
    "battery_percent": 80.0,
    "battery_celsius": 31.0,
    "charging": False,
    "thermal_status": 0,
    "clocks_khz": [300000, 2802000],
}
START = {
    "load_ms": 20.0,
    "first_ms": 10.0,
    "peak_rss_bytes": 150_000_000,
    "empty_rss_bytes": 50_000_000,
    "private_bytes": 90_000_000,
    "file_backed_bytes": 60_000_000,
    "empty_private_bytes": 20_000_000,
    "empty_file_backed_bytes": 30_000_000,
}


def app_document(
    extras: dict[str, str], name: str = "app-int8.tflite", sha256: str = "ab" * 32
) -> dict[str, Any]:
    """The document of a run that was started with `extras`: 16 questions in two rounds."""
    queries, rounds = 16, 2
    generator = np.random.default_rng(0)
    tokens = [int(n) for n in generator.integers(40, 300, queries)]

    def samples(scale: float) -> list[float]:
        return [round(float(t), 4) for t in scale * generator.lognormal(0, 0.1, queries * rounds)]

    times = {name: {"natural": samples(20.0), "padded": samples(60.0)}}
    around = {kind: {"tokenize": samples(0.5), "decode": samples(0.2)} for kind in times[name]}

    def summary(values: list[float]) -> dict[str, Any]:
        return asdict(latency.summarize(values, rounds=rounds))

    short = f"{extras.get('runs', '1024')} queries in 1.0 s, where a valid figure has more"
    return {
        "kind": "benchmark",
        "schema_version": 1,
        "created": "2026-11-22T20:00:00Z",
        "command": "am start -W -n distilbert.mobile.app/.BenchmarkActivity",
        "seed": int(extras.get("seed", "0")),
        "valid": int(extras.get("seconds", "60")) >= 60,
        "warnings": [],
        "machine": {
            "cpu": "Maker Chip 2",
            "architecture": "aarch64",
            "logical_cores": 8,
            "flags": [],
            "governor": None,
            "memory_bytes": 7_979_356_160,
            "os": "Android 15 (API 35)",
            "kernel": None,
            "python": None,
            "load_average": None,
            "gpus": [],
        },
        "device": {
            "manufacturer": "Example",
            "model": "Phone 7",
            "soc": "Maker Chip 2",
            "android": "15",
            "api": 35,
            "abis": ["arm64-v8a"],
            "runtime": "LiteRT 1.4.0",
            "app_version": "0.1.0",
            "before": STATE,
            "after": STATE,
        },
        "load_average_after": None,
        "other_work_cores": None,
        "versions": {"distilbert-mobile-app": "0.1.0", "litert": "1.4.0"},
        "queries": {
            "source": "embedded dev",
            "sha256": "cd" * 32,
            "asked": queries,
            "available": 391,
            "tokens": tokens,
        },
        "files": [
            {
                "name": name,
                "path": f"model/{name}",
                "bytes": 17_630_760,
                "sha256": sha256,
                "parts": None,
                "exact_match": 70.0,
                "f1": 80.0,
            }
        ],
        "runs": [
            {
                "threads": int(extras.get("threads", "4")),
                "seconds": 61.5,
                "too_short": None if int(extras.get("seconds", "60")) >= 60 else short,
                "latency": {
                    "method": "single stream",
                    "threads": int(extras.get("threads", "4")),
                    "queries": queries,
                    "rounds": rounds,
                    "padded_length": 384,
                    "mean_tokens": sum(tokens) / queries,
                    "busy": None,
                    "subjects": {
                        name: {
                            "path": f"model/{name}",
                            **{kind: summary(values) for kind, values in times[name].items()},
                            **{key: START[key] for key in list(START)[:4]},
                        }
                    },
                    "ratios": ratios(
                        times,  # type: ignore[arg-type]
                        [(name, name, *WAYS[0])],
                        rounds=rounds,
                        seed=0,
                    ),
                    "samples_ms": times,
                },
                "around": {
                    name: {
                        kind: {
                            "tokenize": summary(each["tokenize"]),
                            "decode": summary(each["decode"]),
                            "share_percent": 3.4,
                            "samples_ms": each,
                        }
                        for kind, each in around.items()
                    }
                },
                "memory": {name: START},
                "weight_cache": {name: None},
            }
        ],
        "profiles": [],
    }


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
