# SPDX-License-Identifier: Apache-2.0
"""Cold start of a file in this process: how long it takes and how much memory it needs.

`python -m converters.runtimes.probe FILE` prints one line of JSON, which
`benchmarks.measure.memory` reads.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from converters import ConversionError, terminal
from converters.quiet import quiet
from converters.runtimes.open import open_predictor
from converters.runtimes.predictor import Predictor

# What SQuAD models are trained with.
DEFAULT_LENGTH = 384

# The modules that opening a file needs.
_RUNTIMES = {
    ".tflite": ("ai_edge_litert.interpreter",),
    ".onnx": ("onnxruntime",),
    ".mlpackage": ("converters.coreml.program", "coremltools"),
    ".pte": ("executorch.extension.pybindings.portable_lib",),
}


def probe(
    path: Path, threads: int, lengths: list[int], repeat: int, weight_cache: Path | None = None
) -> dict[str, float | None]:
    """Open `path`, run every length `repeat` times, and say what that cost this process.

    Without lengths, `DEFAULT_LENGTH` is run, or the largest that fits. With `weight_cache`, a
    .tflite file is opened with XNNPACK's weight cache in that file.

    Returns:
        load_ms: opening the file; first_ms: the first run; peak_rss_bytes: the most memory ever;
        empty_rss_bytes: the memory before opening, with the runtime already imported;
        private_bytes and file_backed_bytes: the two parts of the memory in the end, see `_parts`;
        empty_private_bytes and empty_file_backed_bytes: the same before opening.

    Raises:
        ConversionError: the file cannot be opened or run, or has no weight cache.
    """
    open_file: Callable[[], Predictor]
    if weight_cache is None:
        open_file = partial(open_predictor, path, threads)
        with quiet(), contextlib.suppress(ImportError):  # opening the file tells
            for module in _RUNTIMES.get(path.suffix, ("torch", "transformers")):
                importlib.import_module(module)
    else:
        open_file = _cached(path, threads, weight_cache)
    empty, (empty_private, empty_file_backed) = _memory("VmRSS"), _parts()
    began = time.perf_counter()
    predictor = open_file()
    opened = time.perf_counter()
    first = 0.0
    for length in lengths or [min(DEFAULT_LENGTH, predictor.max_length)]:
        if length > predictor.max_length:  # no array of that size is made
            raise ConversionError(
                f"{length} tokens do not fit {predictor.name}: pass 1 to {predictor.max_length}"
            )
        ones = np.ones((1, length), np.int32)
        for _ in range(repeat):
            predictor.run(ones, ones, ones)
            first = first or time.perf_counter()
    private, file_backed = _parts()
    return {
        "load_ms": (opened - began) * 1e3,
        "first_ms": (first - opened) * 1e3,
        "peak_rss_bytes": _memory("VmHWM"),
        "empty_rss_bytes": empty,
        "private_bytes": private,
        "file_backed_bytes": file_backed,
        "empty_private_bytes": empty_private,
        "empty_file_backed_bytes": empty_file_backed,
    }


def _cached(path: Path, threads: int, weight_cache: Path) -> Callable[[], Predictor]:
    """Opens `path` with a weight cache; the runtime is started already."""
    if path.suffix != ".tflite":
        raise ConversionError(f"{path} has no XNNPACK weight cache: that is for .tflite files")
    from converters.runtimes.weight_cache import CachedTfLitePredictor, start_runtime

    return partial(CachedTfLitePredictor, path, weight_cache, start_runtime(), threads)


def _memory(field: str) -> int:
    """VmRSS (now) or VmHWM (peak) of this process, in bytes."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _parts() -> tuple[int | None, int | None]:
    """The resident memory of this process in two parts, bytes; (None, None) outside of Linux.

    The first is private: anonymous pages, which nothing but this process holds and which the system
    cannot drop. The second lies in files as well, mapped: the model, libraries, a weight cache; it
    is read again when it is needed, and processes share it.
    """
    try:
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return None, None
    kilobytes = {name: int(rest.split()[0]) for name, _, rest in (x.partition(":") for x in lines)}
    private = kilobytes["Anonymous"] * 1024
    return private, kilobytes["Rss"] * 1024 - private


@terminal.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Print what `probe` found as one line of JSON; return 0, or 2 after a mistake."""
    parser = argparse.ArgumentParser(
        prog="python -m converters.runtimes.probe", description=__doc__
    )
    parser.add_argument(
        "file", type=Path, help="a .tflite, .onnx or .pte file, .mlpackage or Hugging Face folder"
    )
    parser.add_argument(
        "--threads", type=terminal.threads, default=1, help="threads of the runtime"
    )
    parser.add_argument(
        "--length", type=terminal.count, action="append", help="tokens; may be repeated"
    )
    parser.add_argument("--repeat", type=terminal.count, default=1, help="runs of each length")
    parser.add_argument(
        "--weight-cache", type=Path, help="XNNPACK's weight cache, a file, made if it is missing"
    )
    options = parser.parse_args(arguments)
    found = probe(
        options.file,
        options.threads,
        options.length or [],
        options.repeat,
        options.weight_cache,
    )
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
