# SPDX-License-Identifier: Apache-2.0
"""Benchmarks' documents, made up from a fixed seed, that fit their schema."""

from __future__ import annotations

import copy
import itertools
import random
from dataclasses import asdict
from functools import cache
from typing import Any

from benchmarks.measure import latency
from pipeline.tasks.question_answering.evaluate import METRICS

QUERIES, ROUNDS, PADDED_LENGTH = 40, 2, 384
FACTORS = {"teacher-fp32.tflite": 0.3, "student-fp32.onnx": 0.15, "student-int8.tflite": 0.05}
MACHINE = {
    "cpu": "Example CPU",
    "architecture": "x86_64",
    "logical_cores": 2,
    "flags": ["avx2", "avx512_vnni"],
    "governor": None,
    "memory_bytes": 8_000_000_000,
    "os": "Example OS 1",
    "kernel": "Linux 6",
    "python": "CPython 3.11.7",
    "load_average": [0.1, 0.2, 0.3],
    "gpus": [],
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


ERRORS = {
    "student-int8.tflite": {
        "largest": 0.25,
        "range": 12.5,
        "reference": "build/student",
        "inputs": 16,
    }
}


def skeleton(**given: Any) -> dict[str, Any]:
    """A document in which nothing was measured but what is given."""
    return {
        "kind": "benchmark",
        "schema_version": 3,
        "created": "2026-01-02T03:04:05Z",
        "command": "python -m benchmarks.run a.tflite",
        "seed": 7,
        "valid": True,
        "warnings": [],
        "machine": MACHINE,
        "device": None,
        "load_average_after": [0.9, 0.5, 0.3],
        "other_work_cores": 0.01,
        "versions": {"numpy": "2.2.1", "onnxruntime": None},
        "queries": {
            "source": "squad",
            "sha256": None,
            "count": 0,
            "available": None,
            "tokens": [],
        },
        "metrics": METRICS,
        "files": [],
        "runs": [],
        "profiles": [],
        **given,
    }


def file(name: str, size: int, f1: float | None) -> dict[str, Any]:
    """One entry of `files`."""
    parts = {"embeddings": size // 2, "attention": size // 5, "feed_forward": size // 4, "head": 9}
    return {
        "name": name,
        "path": f"tflite/{name}",
        "bytes": size,
        "sha256": "ab" * 32,
        "parts": {**parts, "rest": size - sum(parts.values())},
        "scores": None if f1 is None else {"f1": f1, "exact_match": f1 - 10},
    }


def run(tokens: list[int], threads: int) -> dict[str, Any]:
    """All files of `FACTORS`, as many milliseconds a token, some noise on them."""
    draw = random.Random(threads)
    samples = {
        name: {
            kind: [
                round(factor * n / threads**0.7 * draw.lognormvariate(0, 0.05), 4)
                for _, n in itertools.product(range(ROUNDS), lengths)
            ]
            for kind, lengths in (("natural", tokens), ("padded", [PADDED_LENGTH] * len(tokens)))
        }
        for name, factor in FACTORS.items()
    }

    def ratio(faster: str, slower: str, mine: str, theirs: str) -> dict[str, Any]:
        found = latency.ratio(samples[slower][theirs], samples[faster][mine], 0, rounds=ROUNDS)
        return {
            "faster": faster,
            "slower": slower,
            "faster_lengths": mine,
            "slower_lengths": theirs,
            **dict(zip(("ratio", "low", "high"), found, strict=True)),
        }

    first, *others = FACTORS
    ways = (("natural", "padded"), ("natural", "natural"), ("padded", "padded"))
    small = [0.2 + 0.001 * n for n in range(ROUNDS * len(tokens))]
    summary = asdict(latency.summarize(small, rounds=ROUNDS))
    overhead = {
        "tokenize": summary,
        "decode": summary,
        "share_percent": 3.25,
        "samples_ms": {"tokenize": small, "decode": small},
    }
    return {
        "threads": threads,
        "seconds": 61.5,
        "too_short": None,
        "latency": {
            "method": "single stream: one question at a time",
            "threads": threads,
            "queries": len(tokens),
            "rounds": ROUNDS,
            "padded_length": PADDED_LENGTH,
            "mean_tokens": sum(tokens) / len(tokens),
            "busy": None,
            "subjects": {
                name: {
                    "path": f"tflite/{name}",
                    **{k: asdict(latency.summarize(t, rounds=ROUNDS)) for k, t in each.items()},
                    **{k: START[k] for k in list(START)[:4]},
                    "logit_error": ERRORS.get(name),
                }
                for name, each in samples.items()
            },
            "ratios": [ratio(name, first, *way) for name in others for way in ways]
            + [ratio(name, name, "natural", "padded") for name in FACTORS],
            "samples_ms": samples,
        },
        "overhead": {name: {"natural": overhead, "padded": overhead} for name in FACTORS},
        "memory": {name: dict(START) for name in FACTORS},
        "weight_cache": {
            name: {**START, "load_ms": 4.5} if name.endswith(".tflite") else None
            for name in FACTORS
        },
    }


@cache
def _benchmark() -> dict[str, Any]:
    draw = random.Random(0)
    tokens = [draw.randint(40, 384) for _ in range(QUERIES)]
    return skeleton(
        queries={
            "source": "embedded dev",
            "sha256": "cd" * 32,
            "count": QUERIES,
            "available": 256,
            "tokens": tokens,
        },
        files=[
            file("teacher-fp32.tflite", 90_400_000, 44.0),
            file("student-fp32.onnx", 20_300_000, 43.3),
            file("student-int8.tflite", 5_140_000, 43.1),
        ],
        runs=[run(tokens, 1), run(tokens, 2)],
    )


def benchmark() -> dict[str, Any]:
    """Three files with one thread and two, scored; a copy to change."""
    return copy.deepcopy(_benchmark())


def phone() -> dict[str, Any]:
    """What a phone's `benchmark_model` said of one file; one profile failed."""
    state = {
        "battery_percent": 81.0,
        "battery_celsius": 29.4,
        "charging": False,
        "thermal_status": 0,
        "clocks_khz": [1_800_000, 2_850_000],
    }
    figures = {
        "runs": 50,
        "init_ms": 31.0,
        "first_ms": 25.0,
        "warmup_ms": 21.0,
        "p50_ms": None,
        "p90_ms": None,
        "p99_ms": None,
        "peak_memory_bytes": 62_000_000,
        "operators": [
            {"name": "Fully Connected", "count": 38, "average_ms": 14.25, "percent": 81.5}
        ],
    }
    profiles = [
        {
            "file": "student-int8.tflite",
            "delegate": delegate,
            "threads": 4,
            "length": length,
            "failed": None,
            **figures,
            "average_ms": factor * length,
        }
        for delegate, factor in (("cpu", 0.06), ("gpu", 0.04))
        for length in (64, 128, 384)
    ]
    failed = "it crashed with SIGSEGV: try the CPU"
    profiles.append(
        {**profiles[0], "delegate": "nnapi", "failed": failed}
        | dict.fromkeys([*figures, "average_ms"])
    )
    return skeleton(
        machine=dict.fromkeys(MACHINE) | {"flags": [], "gpus": []},
        device={
            "manufacturer": "Example",
            "model": "Phone 8",
            "soc": None,
            "android": "15",
            "api": 35,
            "abis": ["arm64-v8a"],
            "runtime": "LiteRT 2.3.0",
            "app_version": None,
            "before": state,
            "after": {**state, "battery_celsius": 34.2, "thermal_status": 2},
        },
        load_average_after=None,
        other_work_cores=None,
        files=[file("student-int8.tflite", 5_140_000, None)],
        profiles=profiles,
    )
