# SPDX-License-Identifier: Apache-2.0
"""The parts of a benchmark's JSON that describe the machine or phone, and what profiled it."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field
from typing_extensions import TypedDict

from benchmarks.measure.checked import Amount, Bytes, Count, Milliseconds, Percent

# The names of the values of `State.thermal_status`, from 0.
THERMAL: Final = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")

Celsius = Annotated[float, Field(ge=-273.15, le=1000, json_schema_extra={"unit": "°C"})]
Kilohertz = Annotated[int, Field(ge=0, le=1_000_000_000, json_schema_extra={"unit": "kHz"})]


class Gpu(TypedDict):
    """A GPU of the machine.

    Attributes:
        name: The name that its driver reports.
        memory_bytes: The size of its own memory.
    """

    name: str
    memory_bytes: Bytes


class Machine(TypedDict):
    """The machine that ran the benchmark. A key is null where the system does not report it.

    Attributes:
        cpu: The model of the CPU.
        architecture: The instruction set.
        logical_cores: The number of logical cores that the process was allowed to use.
        flags: The CPU features that decide which kernels a runtime chooses.
        governor: The frequency governor of the first core.
        memory_bytes: The size of the main memory.
        os: The name and release of the operating system.
        kernel: The name and release of the kernel.
        python: The implementation and release of Python.
        load_average: The load averages over one, five and fifteen minutes.
        gpus: The GPUs that PyTorch reported, where it was in use.
    """

    cpu: str | None
    architecture: str | None
    logical_cores: Count | None
    flags: list[str]
    governor: str | None
    memory_bytes: Bytes | None
    os: str | None
    kernel: str | None
    python: str | None
    load_average: list[Amount] | None
    gpus: list[Gpu]


class State(TypedDict):
    """The state of a phone at one moment. A key is null where the phone does not report it.

    Attributes:
        battery_percent: The charge of the battery.
        battery_celsius: The temperature of the battery.
        charging: Whether the phone was connected to a charger.
        thermal_status: Android's thermal status: 0 is none, 1 light, 2 moderate, 3 severe, 4
            critical, 5 emergency and 6 shutdown.
        clocks_khz: The current frequency of each core, in the order of the cores.
    """

    battery_percent: Percent | None
    battery_celsius: Celsius | None
    charging: bool | None
    thermal_status: Count | None
    clocks_khz: list[Kilohertz] | None


class Device(TypedDict):
    """The phone that was measured. Nothing in it distinguishes two phones of the same model.

    Attributes:
        manufacturer: The manufacturer that the phone reports.
        model: The model that the phone reports.
        soc: The system on a chip; null where the phone does not report it.
        android: The release of Android, such as "15".
        api: The API level of Android.
        abis: The instruction sets that the phone supports, the preferred one first.
        runtime: The software that ran the files, with its version.
        app_version: The version of the app; null where no app ran.
        before: The state of the phone before the first run.
        after: The state of the phone after the last run.
    """

    manufacturer: str
    model: str
    soc: str | None
    android: str
    api: Count
    abis: list[str]
    runtime: str
    app_version: str | None
    before: State
    after: State


class Operator(TypedDict):
    """One kind of operator in a profile.

    Attributes:
        name: The runtime's name of the operator.
        count: How often the operator runs in one inference.
        average_ms: The time that all operators of this kind take in one inference.
        percent: Their share of the time of all operators.
    """

    name: str
    count: Count
    average_ms: Milliseconds
    percent: Annotated[float, Field(ge=0, json_schema_extra={"unit": "%"})]


class Profile(TypedDict):
    """What LiteRT's `benchmark_model` printed about one file at one input length.

    A figure is null where the program did not print it.

    Attributes:
        file: The name of the file, as in `files`.
        delegate: The delegate that ran the file: "cpu" (XNNPACK), "gpu" or "nnapi".
        threads: The number of threads of the runtime.
        length: The number of tokens of the input.
        failed: The reason why there are no figures, in one line; null where there are figures.
        runs: The number of timed inferences.
        init_ms: The time to open the file.
        first_ms: The time of the first inference.
        warmup_ms: The mean time of the inferences before the timed ones.
        average_ms: The mean time of an inference.
        p50_ms: The median time of an inference.
        p90_ms: The 90th percentile of the time of an inference.
        p99_ms: The 99th percentile of the time of an inference.
        peak_memory_bytes: The peak memory of the process.
        operators: The operators by the time that they take, the slowest first.
    """

    file: str
    delegate: str
    threads: Count
    length: Count
    failed: str | None
    runs: Count | None
    init_ms: Milliseconds | None
    first_ms: Milliseconds | None
    warmup_ms: Milliseconds | None
    average_ms: Milliseconds | None
    p50_ms: Milliseconds | None
    p90_ms: Milliseconds | None
    p99_ms: Milliseconds | None
    peak_memory_bytes: Bytes | None
    operators: list[Operator] | None
