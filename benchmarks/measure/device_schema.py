# SPDX-License-Identifier: Apache-2.0
"""What a benchmark's JSON tells of the machine or phone, and what `benchmark_model` said there."""

from __future__ import annotations

from typing import Annotated, Final, TypedDict

from benchmarks.measure.typed import Amount, Bytes, Count, Milliseconds, Percent, Within

# What `State.thermal_status` counts.
THERMAL: Final = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")

Celsius = Annotated[float, Within(-273.15, 1000, "°C")]
Kilohertz = Annotated[int, Within(0, 1e9, "kHz")]


class Gpu(TypedDict):
    """A GPU that was in the machine.

    Attributes:
        name: as its driver tells it.
        memory_bytes: its own.
    """

    name: str
    memory_bytes: Bytes


class Machine(TypedDict):
    """What `benchmarks.measure.machine.describe` tells; null is what the system does not tell.

    Attributes:
        cpu: its model.
        architecture: instruction set.
        logical_cores: those that the process might use.
        flags: of the CPU, those that decide which kernels a runtime picks.
        governor: of the first core's clock.
        memory_bytes: all of it.
        os: name and release.
        kernel: name and release.
        python: implementation and release.
        load_average: over one, five and fifteen minutes.
        gpus: that torch saw, where it was in use.
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
    """A phone at one moment; null is what it does not tell.

    Attributes:
        battery_percent: charge.
        battery_celsius: its temperature.
        charging: whether it hangs on a charger.
        thermal_status: Android's: 0 none, 1 light, 2 moderate, 3 severe, 4 critical, 5 emergency,
            6 shutdown.
        clocks_khz: current frequency of each core, in their order.
    """

    battery_percent: Percent | None
    battery_celsius: Celsius | None
    charging: bool | None
    thermal_status: Count | None
    clocks_khz: list[Kilohertz] | None


class Device(TypedDict):
    """The phone that was measured; nothing that tells one phone from another of its model.

    Attributes:
        manufacturer: as the phone tells it.
        model: as the phone tells it.
        soc: its chip.
        android: release, as in "15".
        api: level of Android's interfaces.
        abis: instruction sets, the preferred one first.
        runtime: what ran the files, with its version.
        app_version: null where no app did.
        before: its state before the first run.
        after: its state after the last one.
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
        name: the runtime's own.
        count: how often it runs in an inference.
        average_ms: all of them in an inference.
        percent: of the time of all operators.
    """

    name: str
    count: Count
    average_ms: Milliseconds
    percent: Amount


class Profile(TypedDict):
    """What LiteRT's `benchmark_model` tells of a file at one length; null is what it did not.

    Attributes:
        file: its name.
        delegate: "cpu" (XNNPACK), "gpu" or "nnapi".
        threads: of the runtime.
        length: tokens of the input.
        failed: why there are no figures, in one line; null where there are.
        runs: timed inferences.
        init_ms: opening the file.
        first_ms: the first inference.
        warmup_ms: mean of the inferences before the timed ones.
        average_ms: mean.
        p50_ms: median.
        p90_ms: 90th percentile.
        p99_ms: 99th percentile.
        peak_memory_bytes: of the process.
        operators: where the time goes, the largest first.
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
