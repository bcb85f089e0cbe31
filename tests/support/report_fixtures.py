# SPDX-License-Identifier: Apache-2.0
"""A report with every part, for tests of what is made of it."""

from __future__ import annotations

import copy
import random
from dataclasses import asdict
from typing import Any

from benchmarks.measure.latency import summarize
from pipeline import settings
from pipeline.report.schema import validate
from pipeline.tasks.question_answering.evaluate import METRICS

FILES = {
    "student-int8": ("tflite", "tflite/student-int8.tflite"),
    "student-fp16": ("coreml", "coreml/student-fp16.mlpackage"),
    "student-fp32": ("onnx", "onnx/student-fp32.onnx"),
}
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"
STAGES = ("teacher", "distilled", "teacher-outputs", "student", "tflite", "baseline", "verify")
STUDENT = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
REPORTS = {"report.json", "report.md", "report.html"}


def make_report() -> dict[str, Any]:
    """A report with every part, figures drawn from a fixed seed."""
    draw = random.Random(0)
    centers = {"teacher-fp32": 170.0, "student-fp32": 62.0, "student-int8": 21.0}
    samples = {
        name: {
            "natural": [round(0.5 * center * draw.lognormvariate(0, 0.3), 4) for _ in range(512)],
            "padded": [round(center * draw.lognormvariate(0, 0.03), 4) for _ in range(512)],
        }
        for name, center in centers.items()
    }
    check = {
        "name": "max_logit_error",
        "lengths": "both",
        "value": 0.2123,
        "limit": 1.0,
        "rule": "<=",
        "passed": True,
        "reason": "int8 rounding of six layers",
    }
    files = [
        {
            "name": f"student-{precision}",
            "path": f"tflite/student-{precision}.tflite",
            "target": "tflite",
            "precision": precision,
            "bytes": size,
            "sha256": "ab" * 32,
            "purpose": "the default",
            "min_runtime": {"LiteRT": "1.0.1", "TensorFlow Lite": "2.17.0"},
            "faults": {"TensorFlow Lite 2.8": "wrong answers"} if precision == "int8" else {},
            "scores": {"f1": f1, "exact_match": 30.5},
            "gate": {"passed": True, "checks": [dict(check), {**check, "name": "score_drop"}]},
        }
        for precision, size, f1 in (("fp32", 20_300_000, 43.3), ("int8", 5_140_000, 43.1))
    ]
    return {
        "schema_version": 4,
        "created": "2026-01-02T03:04:05Z",
        "command": "python -m pipeline.build --target tflite",
        "task": "question-answering",
        "preset": "embedded",
        "seed": 42,
        "tool_version": "0.1.0",
        "config": {
            "task": "question-answering",
            "teacher": {"layers": 6, "learning_rate": 5e-5, "names": ["a", "b"]},
            "finetune": {"alpha_gold": 0.5},
        },
        "versions": {"python": "3.11.7", "torch": "2.13.0", "coremltools": None},
        "machine": {
            "cpu": "Example CPU",
            "logical_cores": 2,
            "memory_bytes": 8_000_000_000,
            "flags": ["avx2", "avx512_vnni"],
            "governor": None,
            "gpus": [{"name": "Example GPU", "memory_bytes": 80_000_000_000}],
            "device": "cpu",
        },
        "data": {
            "train": {
                "name": "embedded-train",
                "sha256": "cd" * 32,
                "counts": {"questions": 1350, "passages": 150, "skipped": 0},
            },
            "eval": {
                "name": "embedded-eval",
                "sha256": "ef" * 32,
                "counts": {"questions": 256, "passages": 30, "skipped": 1},
            },
            "corpus": None,
        },
        "stages": [
            {
                "name": "teacher",
                "seconds": 120.3,
                "resumed": False,
                "facts": {"masked_accuracy_before": 0.01, "precision": "bf16"},
            },
            {"name": "student", "seconds": 4.21, "resumed": True, "facts": {}},
        ],
        "metrics": METRICS,
        "models": [
            {
                "name": name,
                "layers": layers,
                "hidden_size": 384,
                "parameters": size // 4,
                "parameters_embedding": 3_000_000,
                "bytes": size,
                "scores": {"f1": f1, "exact_match": em},
            }
            for name, layers, size, em, f1 in (
                ("teacher", 6, 90_400_000, 31.0, 44.0),
                ("student", 3, 20_300_000, 30.4, 43.3),
            )
        ],
        "files": files,
        "latency": {
            "method": "single stream, subjects interleaved query by query in shuffled order",
            "threads": 1,
            "queries": 256,
            "rounds": 2,
            "padded_length": 384,
            "mean_tokens": 171.0,
            "busy": None,
            "subjects": {
                name: {
                    "path": f"tflite/{name}.tflite",
                    **{k: asdict(summarize(v, rounds=2)) for k, v in times.items()},
                    "load_ms": 20.5,
                    "first_ms": 30.0,
                    "peak_rss_bytes": 145_000_000,
                    "empty_rss_bytes": 45_000_000,
                    "logit_error": None,
                }
                for name, times in samples.items()
            },
            "ratios": [
                {
                    "faster": "student-int8",
                    "slower": "teacher-fp32",
                    "faster_lengths": faster,
                    "slower_lengths": "padded",
                    "ratio": ratio,
                    "low": ratio - 0.3,
                    "high": ratio + 0.3,
                }
                for faster, ratio in (("natural", 15.6), ("padded", 8.1))
            ],
            "samples_ms": samples,
        },
    }


def of_preset(preset: str = "embedded") -> dict[str, Any]:
    """A valid report of a build for three targets, with a preset's settings."""
    report = make_report()
    config = settings.load(preset)
    report["config"] = settings.as_document(config)
    entry = report["files"][0]
    report["files"] = [
        copy.deepcopy(entry)
        | {"name": name, "path": path, "target": target, "precision": name[8:]}
        | {"scores": {"f1": 40.25 + place, "exact_match": 30.5}}
        for place, (name, (target, path)) in enumerate(FILES.items())
    ]
    for place, file in enumerate(report["files"]):
        file["gate"]["checks"][0]["value"] = 0.012345 * (place + 1)
    report["stages"] = [
        {"name": name, "seconds": 1.0, "resumed": False, "facts": {"steps": 1234}}
        for name in STAGES
    ]
    validate(report)
    return report
