# SPDX-License-Identifier: Apache-2.0
"""What a phone's programs print, in the form in which they print it."""

from __future__ import annotations

BATTERY = """\
Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  Max charging current: 500000
  Charge counter: 2989000
  status: {status}
  health: 2
  present: true
  level: {level}
  scale: 100
  voltage: 4201
  temperature: {tenths}
  technology: Li-ion
"""

THERMAL = """\
IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 2
\tkilled: false
Thermal Status: {status}
Cached temperatures:
\tTemperature{{mValue=34.1, mType=3, mName=VIRTUAL-SKIN, mStatus=0}}
HAL Ready: true
"""

GETPROP = """\
[ro.board.platform]: [gs201]
[ro.build.version.release]: [15]
[ro.build.version.sdk]: [35]
[ro.product.cpu.abilist]: [{abis}]
[ro.product.manufacturer]: [Example]
[ro.product.model]: [Phone 7]
[ro.serialno]: [R58M12ABCDE]
[ro.soc.manufacturer]: [Maker]
[ro.soc.model]: [Chip 2]
"""

CPU_INFO = "".join(
    f"processor\t: {i}\nBogoMIPS\t: 49.15\nFeatures\t: fp asimd asimdhp asimddp i8mm\n"
    "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd05\n\n"
    for i in range(8)
)

DF = """\
Filesystem      1K-blocks     Used Available Use% Mounted on
/dev/block/dm-8 113311268 49316004  {free}  44% /data
"""

NAMES = {"cpu": "XNNPACK", "gpu": "GPU", "nnapi": "NNAPI"}
KERNELS = {
    "cpu": "TfLiteXNNPackDelegate",
    "gpu": "TfLiteGpuDelegateV2",
    "nnapi": "TfLiteNnapiDelegate",
}

START = """\
INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Min num runs: [{num_runs}]
INFO: Num threads: [{num_threads}]
INFO: Graph: [{graph}]
INFO: Signature to run: [{signature_to_run_for}]
INFO: Input layers: [{input_layer}]
INFO: Input shapes: [{input_layer_shape}]
INFO: #threads used for CPU inference: [{num_threads}]
INFO: Loaded model {graph}
INFO: Initialized TensorFlow Lite runtime.
"""

APPLIED = """\
INFO: Created TensorFlow Lite {name} delegate for CPU.
INFO: {name} delegate created.
VERBOSE: Replacing {taken} out of 181 node(s) with delegate ({kernel}) node, yielding 4 partitions.
INFO: Explicitly applied {name} delegate, and the model graph will be {how}
"""
PARTLY = "partially executed by the delegate w/ 4 delegate kernels."
WHOLLY = "completely executed by the delegate."

FALLBACK = """\
INFO: Created TensorFlow Lite delegate for {name}.
INFO: {name} delegate created.
INFO: Though {name} delegate is explicitly applied, the model graph will not be executed by the \
delegate.
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
"""

MISSING = "WARN: {name} acceleration is unsupported on this platform.\n"

REFUSED = """\
ERROR: Following operations are not supported by {name} delegate:
EMBEDDING_LOOKUP: Operation is not supported.
ERROR: TfLiteGpuDelegate Init: Batch size mismatch, expected 1 but got 64
ERROR: Failed to apply {name} delegate.
ERROR: Benchmarking failed.
"""

TIMES = """\
INFO: Using signature: answer
INFO: The input model file size (MB): 17.6308
INFO: Initialized session in 41.203ms.
INFO: Running benchmark for at least 3 iterations and at least 0.5 seconds but terminate if \
exceeding 150 seconds.
INFO: count=57 first=98700 curr=6894 min=6043 max=98700 avg=7181.07 std=656 p5=6100 median=6900 \
p95=8000

INFO: Running benchmark for at least 50 iterations and at least 2 seconds but terminate if \
exceeding 150 seconds.
INFO: count={count} first={average} curr={average} min={low} max={high} avg={average} std={std} \
p5={low} median={median} p95={high}

INFO: Inference timings in us: Init: 41203, First inference: 98700, Warmup (avg): 7181.07, \
Inference (avg): {average}
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only \
APPROXIMATE to the actual memory footprint of the model at runtime. Take the information at your \
discretion.
INFO: Memory footprint delta from the start of the tool (MB): init=20.4531 overall=31.5898
"""

TABLE = (
    "============================== Run Order ==============================\n"
    "\t\t\t             [node type]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t"
    "[times called]\t[Name]\n"
    "\t\t\t Fully Connected (NC, QD8)\t    0.267\t    0.278\t  3.783%\t  3.783%\t     0.000\t"
    "        1\tDelegate/Fully Connected (NC, QD8):0\n"
    "\n"
    "============================== Top by Computation Time ==============================\n"
    "\t\t\t Fully Connected (NC, QD8)\t    0.267\t    0.278\t  3.783%\t  3.783%\t     0.000\t"
    "        1\tDelegate/Fully Connected (NC, QD8):0\n"
    "\n"
    "Number of nodes executed: {nodes}\n"
    "============================== Summary by node type ==============================\n"
    "\t\t\t                         [Node type]\t  [count]\t  [avg ms]\t    [avg %]\t    [cdf %]"
    "\t  [mem KB]\t[times called]\n"
    "{rows}"
    "\n"
    "Timings (microseconds): count=67 first=7150 curr=7479 min=6349 max=7750 avg=7429.67 std=256\n"
    "Memory (bytes): count=0\n"
    "{nodes} nodes observed\n\n\n"
)

ROWS = (
    "\t\t\t           Fully Connected (NC, QD8)\t       12\t     4.905\t    82.019%\t    82.019%"
    "\t     0.000\t       12\n"
    "\t\t\t                    EMBEDDING_LOOKUP\t        3\t     0.675\t    11.291%\t    93.310%"
    "\t     0.000\t        3\n"
    "\t\t\t                                 GELU\t        2\t     0.400\t     6.690%\t   100.000%"
    "\t     0.000\t        2\n"
)
START_ROWS = (
    "\t\t\t             ModifyGraphWithDelegate\t        1\t    14.842\t    99.317%\t    99.317%"
    "\t  3428.000\t        1\n"
)

PROFILED = (
    "INFO: Overall peak memory footprint (MB) via periodic monitoring: 93.2383\n"
    "INFO: Memory status at the end of exeution:\n"
    "INFO: - VmRSS              : 13 MB\n"
    "INFO: Profiling Info for Benchmark Initialization:\n"
    + TABLE.format(nodes=1, rows=START_ROWS)
    + "INFO: Operator-wise Profiling Info for Regular Benchmark Runs:\n"
    + TABLE.format(nodes=17, rows=ROWS)
)


def asked_for(given: dict[str, str]) -> str:
    """The delegate that the arguments of benchmark_model ask for."""
    flags = {"cpu": "use_xnnpack", "gpu": "use_gpu", "nnapi": "use_nnapi"}
    return next(name for name, flag in flags.items() if given.get(flag) == "true")


def length_of(given: dict[str, str]) -> int:
    """The tokens of the inputs."""
    shapes = given["input_layer_shape"].split(":")
    assert len(set(shapes)) == 1 and len(shapes) == 3 and shapes[0].startswith("1,"), given
    return int(shapes[0].removeprefix("1,"))


def printed(
    given: dict[str, str], taken: int = 181, spread: float = 0.02, factor: float = 1
) -> str:
    """What benchmark_model prints where all goes well: 100 us a token, over threads."""
    delegate = asked_for(given)
    average = 100.0 * factor * length_of(given) / int(given["num_threads"])
    applied = APPLIED.format(
        name=NAMES[delegate],
        kernel=KERNELS[delegate],
        taken=taken,
        how=WHOLLY if taken == 181 else PARTLY,
    )
    times = TIMES.format(
        count=given["num_runs"],
        average=f"{average:g}",
        low=round(0.9 * average),
        high=round(1.2 * average),
        median=round(0.99 * average),
        std=round(spread * average),
    )
    profiled = PROFILED if given["enable_op_profiling"] == "true" else ""
    return START.format(**given) + applied + times + profiled
