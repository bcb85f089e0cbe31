# SPDX-License-Identifier: Apache-2.0
"""The runtimes that apps in the field carry, each in an environment of its own, and its setup.

Their packages exclude each other (protobuf below 4 against above 5, numpy 1 against 2), so none is
installed beside the project: `install` makes a virtual environment for each under one folder, and
`worker.py` runs in it.
"""

from __future__ import annotations

import ctypes.util
import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

from converters import ConversionError
from converters.extras import install_hint

_HERE = Path(__file__).parent
_WORKER = _HERE / "worker.py"

# What `worker.py` replaces by the path of a log of its own.
LOG = "{log}"

# The words that are the same in every answer about something missing.
_SETUP = "make compat"


@dataclass(frozen=True)
class Runtime:
    """A runtime and how to get and start it.

    Attributes:
        name: what tables call it.
        worker: what `worker.py` is told.
        folder: of its environment; "" is the interpreter that runs us.
        packages: requirements with exact versions.
        python: what its packages support.
        suffix: of the files it opens.
        tensorflow, litert: the release it is or carries, in whichever count; "" otherwise.
        libraries: shared libraries of the system, each with its Debian package.
        programs: programs of the system, each with its Debian package.
        processor: the emulated core of another architecture, as qemu names it with the features
            that are switched off; times mean nothing then. "" is this machine.
    """

    name: str
    worker: tuple[str, ...]
    folder: str = ""
    packages: tuple[str, ...] = ()
    python: str = "3.11"
    suffix: str = ".tflite"
    tensorflow: str = ""
    litert: str = ""
    libraries: tuple[tuple[str, str], ...] = ()
    programs: tuple[tuple[str, str], ...] = ()
    processor: str = ""

    @property
    def emulated(self) -> bool:
        """Whether it runs on an emulated processor."""
        return bool(self.processor)


def _installed(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


_LITERT = _installed("ai-edge-litert")

# The arm64 library on a phone of about 2019, whose cores have the dot product of 8-bit numbers.
_ARM64 = Runtime(
    f"LiteRT {_LITERT} arm64",
    ("program",),
    "arm64",
    (f"ai-edge-litert=={_LITERT}",),
    litert=_LITERT,
    programs=(
        ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu libstdc++6-arm64-cross"),
        ("qemu-aarch64", "qemu-user"),
        ("unshare", "util-linux"),
    ),
    processor="neoverse-n1",
)

# The same library on other cores picks other kernels: the small cores of older phones have no dot
# product, and those since about 2022 multiply 8-bit matrices. The scalable vectors of qemu's "max"
# are off, because few phones have them.
_CORTEX_A53 = replace(_ARM64, name=f"{_ARM64.name} cortex-a53", processor="cortex-a53")
_I8MM = replace(_ARM64, name=f"{_ARM64.name} with i8mm", processor="max,sve=off,sme=off")

# What /proc/cpuinfo says on each of these cores. LiteRT takes the model of the core from there, and
# its features from what qemu tells the process; it crashes on the model of a Cortex-A710.
_CPU_INFO = {
    _ARM64.processor: "arm64_cpuinfo.txt",
    _CORTEX_A53.processor: "arm64_cpuinfo_a53.txt",
    _I8MM.processor: "arm64_cpuinfo.txt",
}

# The first of a suffix is the reference of its files.
RUNTIMES = (
    Runtime(f"LiteRT {_LITERT}", ("tflite", "ai_edge_litert"), litert=_LITERT),
    Runtime(
        "TensorFlow 2.21.0",
        ("tflite", "tensorflow"),
        "tensorflow-2.21",
        ("tensorflow-cpu==2.21.0",),
        tensorflow="2.21.0",
    ),
    Runtime(
        "TensorFlow 2.16.2",
        ("tflite", "tensorflow"),
        "tensorflow-2.16",
        ("tensorflow-cpu==2.16.2",),
        tensorflow="2.16.2",
    ),
    Runtime(
        "Task Library 0.4.4",
        ("tasks",),
        "task-library",
        ("tflite-support==0.4.4", "numpy<2", "protobuf<4"),
        tensorflow="2.12.0",  # of its time: the package does not say
        libraries=(("usb-1.0", "libusb-1.0-0"),),
    ),
    _ARM64,
    _CORTEX_A53,
    _I8MM,
    Runtime(f"ONNX Runtime {_installed('onnxruntime')}".rstrip(), ("onnx",), suffix=".onnx"),
)

# Libraries that need only a .tflite file to classify a text. MediaPipe has no task that answers
# questions, so it is not in the matrix.
CLASSIFIERS = (
    replace(
        next(runtime for runtime in RUNTIMES if runtime.worker == ("tasks",)),
        worker=("tasks", "classify"),
    ),
    Runtime(
        "MediaPipe 1.2.3",
        ("mediapipe",),
        "mediapipe",
        ("mediapipe==1.2.3",),
        libraries=(("EGL", "libegl1"), ("GLESv2", "libgles2")),
    ),
)


def missing(runtime: Runtime, root: Path) -> str:
    """What keeps a runtime from starting, and how to get it; "" if nothing does."""
    if absent := _absent(runtime):
        return f"apt-get install {absent}, then {_SETUP}"
    if runtime.folder:
        folder = root / runtime.folder
        program = folder / ("answer" if runtime.emulated else "bin/python")
        ready = folder / "ready"
        if not (program.exists() and ready.is_file() and ready.read_text() == _recipe(runtime)):
            return f"no {folder}: {_SETUP}"
    elif runtime.suffix == ".onnx" and importlib.util.find_spec("onnxruntime") is None:
        return install_hint("onnx")
    return ""


def command(runtime: Runtime, root: Path) -> list[str]:
    """The command that starts the worker of a runtime."""
    worker = [str(_WORKER), *runtime.worker]
    folder = (root / runtime.folder).resolve()
    if runtime.emulated:
        # LiteRT reads /proc/cpuinfo and trips over that of another architecture; in a namespace of
        # its own the process sees an ARM one.
        namespace = ["unshare", "-m" if os.geteuid() == 0 else "-rm"]
        hide = ["sh", "-c", 'mount --bind "$0" /proc/cpuinfo && exec "$@"']
        # The log has every instruction that was executed, which tells the kernels.
        emulate = ["qemu-aarch64", "-cpu", runtime.processor, "-L", "/usr/aarch64-linux-gnu"]
        emulate += ["-d", "in_asm", "-D", LOG]
        cpuinfo = str(_HERE / _CPU_INFO[runtime.processor])
        worker += [*namespace, *hide, cpuinfo, *emulate, str(folder / "answer")]
        return [sys.executable, *worker]
    return [str(folder / "bin" / "python") if runtime.folder else sys.executable, *worker]


def install(runtime: Runtime, root: Path) -> None:
    """Make the environment of a runtime, unless it is there already.

    Raises:
        ConversionError: a program or library of the system is missing, or an installation fails.
    """
    if not runtime.folder or not missing(runtime, root):
        return
    if absent := _absent(runtime):
        raise ConversionError(f"{runtime.name} needs more of the system: apt-get install {absent}")
    folder = root / runtime.folder
    shutil.rmtree(folder, ignore_errors=True)
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    if runtime.emulated:
        package = folder / "package"
        _run(
            *(uv, "pip", "install", "--quiet", "--no-deps", "--target", package),
            *("--python-platform", "aarch64-manylinux_2_31", "--python-version", runtime.python),
            *runtime.packages,
        )
        libraries = (package / "ai_edge_litert").resolve()
        _run(
            *("aarch64-linux-gnu-gcc", "-O1", "-o", folder / "answer", _HERE / "arm64.c"),
            *(f"-L{libraries}", "-lLiteRt", f"-Wl,-rpath,{libraries}"),
        )
    else:
        _run(uv, "venv", "--quiet", "--python", runtime.python, folder)
        _run(uv, "pip", "install", "--quiet", "--python", folder, *runtime.packages)
    (folder / "ready").write_text(_recipe(runtime))


def _recipe(runtime: Runtime) -> str:
    """Changes whenever an environment has to be made again."""
    source = (_HERE / "arm64.c").read_text() if runtime.emulated else ""
    return "\n".join((*runtime.packages, runtime.python, source))


def _absent(runtime: Runtime) -> str:
    """Debian packages of what the system lacks."""
    packages = [package for name, package in runtime.programs if shutil.which(name) is None]
    packages += [
        package for name, package in runtime.libraries if ctypes.util.find_library(name) is None
    ]
    return " ".join(packages)


def _run(*arguments: str | Path) -> None:
    words = [str(word) for word in arguments]
    try:
        found = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ConversionError(f"cannot run {words[0]}: {error.strerror}; install it") from error
    if found.returncode:
        said = " ".join(found.stderr.split())[-300:]
        raise ConversionError(f"{' '.join(words[:3])} ... failed: {said}")
