# SPDX-License-Identifier: Apache-2.0
"""Opens a file in a process of its own before this one opens it.

LiteRT and ExecuTorch trust the bytes of a file: a damaged one may end the process that opens it,
and a hostile one of any format may run for ever. A file whose checksum is right is tried once, for
whoever changed it may have changed the checksum too; any other file is tried each time.

    python -m converters.runtimes.trial FILE
"""

from __future__ import annotations

import contextlib
import mmap
import platform
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata, util
from pathlib import Path
from typing import Final

import numpy as np

from converters import ConversionError, one_line, plain_file, terminal
from converters.runtimes import remembered
from converters.start import module_command

# The formats that a runtime may die or hang of, each with the module of the runtime. Core ML
# packages are not among them: their program is evaluated here, operation by operation.
RUNTIMES: Final = {".tflite": "ai_edge_litert", ".pte": "executorch", ".onnx": "onnxruntime"}
LONGEST_SECONDS: Final = 60.0
_TOKENS: Final = 8
# How an .onnx file says in which file a weight lies: field 1 of an entry, its key, then its value.
_EXTERNAL: Final = b"\n\x08location\x12"


def once(path: Path) -> None:
    """As `attempt`, but only where this content never ran in this version of its runtime.

    Args:
        path: of a file whose checksum was compared, so that it is known to be whole.

    Raises:
        ConversionError: see `attempt`.
    """
    if not _can_try(path):
        return
    version = metadata.version(RUNTIMES[path.suffix])
    try:
        content = f"{remembered.sha256(path)} {path.suffix} {version} {platform.machine()}"
    except OSError as error:
        raise ConversionError(f"cannot read {path}: {error.strerror}; check the path") from error
    if not remembered.tried(content):
        _refuse_weights_outside(path)
        attempt(path)
        remembered.keep_tried(content)


def attempt(path: Path, timeout: float = LONGEST_SECONDS) -> None:
    """Open a file and run it once, in a process of its own; other formats are passed over.

    Args:
        path: of the file.
        timeout: seconds after which the process is ended.

    Raises:
        ConversionError: the process died, took too long, or refused the file.
    """
    if not _can_try(path):
        return
    command = [*module_command("converters.runtimes.trial"), str(path.absolute())]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout
        )
    except subprocess.TimeoutExpired as error:
        raise ConversionError(
            f"{path} did not run within {timeout:.0f} s: it is damaged; export it again"
        ) from error
    if done.returncode < 0:
        raise ConversionError(
            f"{path} crashes its runtime ({_name(-done.returncode)}): it is damaged; export it "
            "again"
        )
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = one_line(said[-1].removeprefix("error: ")) if said else "no reason given"
        raise ConversionError(reason if str(path.absolute()) in reason else f"{path}: {reason}")


def _can_try(path: Path) -> bool:
    """Whether a file is there to try, and its runtime; what is missing is said by who opens it."""
    module = RUNTIMES.get(path.suffix)
    return module is not None and path.is_file() and util.find_spec(module) is not None


def _refuse_weights_outside(path: Path) -> None:
    """Refuses an .onnx file with weights in other files, which its checksum does not cover."""
    if path.suffix != ".onnx" or not path.stat().st_size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        outside = data.find(_EXTERNAL) >= 0
    if outside:
        raise ConversionError(
            f"{path} keeps weights in other files, which no checksum covers: export it again"
        )


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@terminal.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Open the file and run a few tokens; return 0, or 2 where the runtime refuses it."""
    from converters.runtimes.open import open_predictor

    (path,) = sys.argv[1:] if arguments is None else arguments
    model = open_predictor(path)
    ids = np.zeros((1, max(1, min(_TOKENS, model.max_length))), np.int32)
    model.run(ids, np.ones_like(ids), np.zeros_like(ids))
    return 0


def _bounded() -> None:
    """Keeps this process from filling the memory, and from leaving a dump of it."""
    with contextlib.suppress(OSError, ValueError):
        most = plain_file.memory_bytes()
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    _bounded()
    sys.exit(main())
