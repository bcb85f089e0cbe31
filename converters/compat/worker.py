# SPDX-License-Identifier: Apache-2.0
"""Runs model files in the runtime of the interpreter that runs this script; `compat.py` starts it.

Usage: `python compat_worker.py KIND ARGUMENT...`. Requests come as lines of JSON on stdin, each is
answered with one line of JSON on stdout. This file imports nothing of the project and stays valid
for Python 3.7: old runtimes have no newer one.

Requests: `{"open": path, "threads": 1}` gives `{"runtime": name and version}`. Then either
`{"ids": [...], "mask": [...], "segment_ids": [...], "repeat": 2}` gives `{"start_logits": [...],
"end_logits": [...], "ms": fastest run}`, with `logits` of classes in place of the two; or
`{"question": text, "context": text}` gives `{"answer": text, "ms": time}`; or `{"text": text}`
gives `{"labels": [...], "scores": [...], "ms": time}`, both in the order of the output;
`{"kernels": true}` gives `{"kernels": [...]}`, the instructions for 8-bit products that an emulated
library has executed. Anything that fails gives `{"error": one line}`.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    Arrays = dict[str, np.ndarray[Any, Any]]

INPUTS = ("ids", "mask", "segment_ids")
SPANS = ("start_logits", "end_logits")
OUTPUTS = (*SPANS, "logits")  # a file has the first two or the last

# The instructions of Arm that multiply 8-bit numbers and add the products up: name, mask, value.
# Signed numbers only; a kernel for them has none of the others. The fast ones come first.
PRODUCTS = (
    ("smmla", 0xFFE0FC00, 0x4E80A400),
    ("sdot", 0xBFE0FC00, 0x0E809400),
    ("sdot", 0xBFC0F400, 0x0F80E000),  # by an element
    ("smlal", 0xBFE0FC00, 0x0E208000),  # of NEON without a dot product
    ("smull", 0xBFE0FC00, 0x0E20C000),
    ("smlal of 16 bits", 0xBFC0F400, 0x0F402000),  # by an element, of numbers that were widened
)


def _version_of(module: Any) -> str:
    """The version of an imported module, or "" if it does not say."""
    return str(getattr(module, "__version__", ""))


def _fastest(run: Callable[[], Any], repeat: int) -> tuple[Any, float]:
    """Call `run` and return its last result and the fastest time, in milliseconds."""
    fastest = float("inf")
    for _ in range(repeat):
        began = time.perf_counter()
        result = run()
        fastest = min(fastest, (time.perf_counter() - began) * 1e3)
    return result, fastest


class _TfLite:
    """The Interpreter class of a package: TensorFlow's, LiteRT's or that of tflite_runtime."""

    def __init__(self, package: str) -> None:
        module = importlib.import_module(package)
        if package == "tensorflow":
            self.interpreter_class = module.lite.Interpreter
        else:
            self.interpreter_class = importlib.import_module(package + ".interpreter").Interpreter
        self.name = f"{package} {_version_of(module)}".strip()

    def open(self, path: str, threads: int) -> None:
        self.interpreter = self.interpreter_class(model_path=path, num_threads=threads)
        self.interpreter.allocate_tensors()
        self.inputs = {each["name"]: each for each in self.interpreter.get_input_details()}
        self.outputs = {each["name"]: each for each in self.interpreter.get_output_details()}
        self.names = [name for name in OUTPUTS if name in self.outputs]
        self.length = int(self.inputs["ids"]["shape"][1])

    def run(self, arrays: Arrays, repeat: int) -> tuple[list[Any], float]:
        length = arrays["ids"].shape[1]
        if length != self.length:
            self.length = 0
            for name in INPUTS:
                self.interpreter.resize_tensor_input(self.inputs[name]["index"], [1, length])
            self.interpreter.allocate_tensors()
            self.length = length
        for name in INPUTS:
            self.interpreter.set_tensor(self.inputs[name]["index"], arrays[name])
        _, ms = _fastest(self.interpreter.invoke, repeat)
        places = [self.outputs[name]["index"] for name in self.names]
        return [self.interpreter.get_tensor(place)[0] for place in places], ms


class _Onnx:
    """ONNX Runtime on the CPU; inputs that the file does not have are left out."""

    def __init__(self) -> None:
        self.module = importlib.import_module("onnxruntime")
        self.name = "onnxruntime " + _version_of(self.module)

    def open(self, path: str, threads: int) -> None:
        options = self.module.SessionOptions()
        options.intra_op_num_threads = threads
        providers = ["CPUExecutionProvider"]
        self.session = self.module.InferenceSession(path, options, providers=providers)
        self.types = {each.name: each.type for each in self.session.get_inputs()}
        there = {each.name for each in self.session.get_outputs()}
        self.names = [name for name in OUTPUTS if name in there]

    def run(self, arrays: Arrays, repeat: int) -> tuple[list[Any], float]:
        feed = {
            name: arrays[name].astype(np.int64 if "int64" in kind else np.int32)
            for name, kind in self.types.items()
        }
        results, ms = _fastest(lambda: self.session.run(self.names, feed), repeat)
        return [result.reshape(-1) for result in results], ms


class _Tasks:
    """The Task Library: text in, an answer or scores out, everything else in the file."""

    def __init__(self, task: str = "answer") -> None:
        from tflite_support.task import text

        self.kind = text.BertNLClassifier if task == "classify" else text.BertQuestionAnswerer
        self.name = "tflite-support " + _version_of(importlib.import_module("tflite_support"))

    def open(self, path: str, threads: int) -> None:
        self.opened = self.kind.create_from_file(path)

    def answer(self, question: str, context: str) -> tuple[str, float]:
        found, ms = _fastest(lambda: self.opened.answer(context, question), 1)
        return (found.answers[0].text if found.answers else ""), ms

    def classify(self, text: str) -> tuple[list[tuple[str, float]], float]:
        found, ms = _fastest(lambda: self.opened.classify(text), 1)
        # They are not sorted, and each has the index 0.
        return [
            (each.category_name, each.score) for each in found.classifications[0].categories
        ], ms


class _MediaPipe:
    """MediaPipe's text classifier: text in, scores out, everything else in the file."""

    def __init__(self) -> None:
        from mediapipe.tasks.python import BaseOptions, text

        self.base, self.text = BaseOptions, text
        self.name = "mediapipe " + _version_of(importlib.import_module("mediapipe"))

    def open(self, path: str, threads: int) -> None:
        options = self.text.TextClassifierOptions(self.base(model_asset_path=path))
        self.opened = self.text.TextClassifier.create_from_options(options)

    def classify(self, text: str) -> tuple[list[tuple[str, float]], float]:
        found, ms = _fastest(lambda: self.opened.classify(text), 1)
        categories = sorted(found.classifications[0].categories, key=lambda each: each.index)
        return [(each.category_name or "", each.score) for each in categories], ms


class _Program:
    """A program that speaks numbers, in another architecture: see `arm64.c`."""

    def __init__(self, *command: str) -> None:
        self.logs = tempfile.TemporaryDirectory()  # of qemu: the instructions that were executed
        self.log = Path(self.logs.name) / "log"
        self.command = [part.replace("{log}", str(self.log)) for part in command]
        self.name, self.names = "LiteRT", SPANS

    def open(self, path: str, threads: int) -> None:
        self.noise = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the program
        self.process = subprocess.Popen(
            [*self.command, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.noise,
        )
        self.take(np.int32, 1)

    def take(self, kind: Any, count: int) -> Any:
        assert self.process.stdout is not None
        data = self.process.stdout.read(4 * count)
        if len(data) < 4 * count:
            code = self.process.wait()
            self.noise.seek(0)
            said = self.noise.read().decode(errors="replace").strip().split("\n")[-1]
            raise RuntimeError(f"the program ended with {code}: {said}")
        return np.frombuffer(data, kind)

    def run(self, arrays: Arrays, repeat: int) -> tuple[list[Any], float]:
        assert self.process.stdin is not None
        length = arrays["ids"].shape[1]
        request = [np.array([length], np.int32)] + [arrays[name].reshape(-1) for name in INPUTS]
        fastest = float("inf")
        for _ in range(repeat):
            self.process.stdin.write(np.concatenate(request).tobytes())
            self.process.stdin.flush()
            fastest = min(fastest, float(self.take(np.int32, 1)[0]) / 1e3)
            results = [self.take(np.float32, length) for _ in SPANS]
        return results, fastest

    def kernels(self) -> list[str]:
        """The names in `PRODUCTS` of what the library executed, in their order."""
        words = set()
        with self.log.open(encoding="ascii", errors="replace") as lines:
            for line in lines:
                words.update(_words(line))
        found = [name for name, mask, value in PRODUCTS if any(w & mask == value for w in words)]
        return list(dict.fromkeys(found))


def _words(line: str) -> list[int]:
    """The instructions, 32 bits each, in a line of qemu's log; most lines have one or none.

    With a disassembler a line is `0x00400584:  d503201f  nop`; without one it is
    `OBJD-T: 1f2003d5...`, the bytes in their order.
    """
    found = re.match(r"(?:0x[0-9a-f]+:\s+([0-9a-f]{8})\s|OBJD-T:\s+([0-9a-f]+)\s*$)", line)
    if found is None:
        return []
    if found.group(1):
        return [int(found.group(1), 16)]
    data = bytes.fromhex(found.group(2))
    return [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4)]


def _answer(runtime: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Do what a request asks."""
    if "open" in request:
        runtime.open(request["open"], request.get("threads", 1))
        return {"runtime": runtime.name}
    if "kernels" in request:
        return {"kernels": runtime.kernels()}
    if "question" in request:
        text, ms = runtime.answer(request["question"], request["context"])
        return {"answer": text, "ms": ms}
    if "text" in request:
        scores, ms = runtime.classify(request["text"])
        labels, values = zip(*scores)  # noqa: B905 - Python 3.7 has no `strict`
        return {"labels": labels, "scores": [float(value) for value in values], "ms": ms}
    arrays = {name: np.array([request[name]], np.int32) for name in INPUTS}  # (1, S)
    logits, ms = runtime.run(arrays, request.get("repeat", 1))
    found = {name: logits[i].astype(float).tolist() for i, name in enumerate(runtime.names)}
    return {**found, "ms": ms}


def main() -> None:
    """Answer requests until stdin ends."""
    # Libraries print to stdout as they please: they get stderr, and we keep the real one.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    runtime = None
    kinds = {
        "tflite": _TfLite,
        "onnx": _Onnx,
        "tasks": _Tasks,
        "mediapipe": _MediaPipe,
        "program": _Program,
    }
    for line in sys.stdin:
        try:
            if runtime is None:
                runtime = kinds[sys.argv[1]](*sys.argv[2:])
            reply = _answer(runtime, json.loads(line))
        except Exception as error:  # runtimes raise whatever they like; the other side judges
            reason = " ".join(str(error).split()) or type(error).__name__
            reply = {"error": reason[:500]}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
