# SPDX-License-Identifier: Apache-2.0
"""Several files on the same queries, with one number of threads: what a benchmark's runs hold.

Files are opened, and cold starts made, by functions that are passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.measure import latency
from benchmarks.measure.errors import COMPARED, Floats, logit_error
from benchmarks.measure.memory import Probe
from benchmarks.measure.queries import Asked, Model
from benchmarks.measure.schema import (
    NATURAL,
    PADDED,
    Lengths,
    LogitError,
    Overhead,
    Ratio,
    Run,
)

METHOD = (
    "single stream: one {query} at a time, subjects interleaved in an order shuffled by seed, all "
    "in one process{around}; load, first run and memory in processes of their own"
)
AROUND = "; times are those of inference alone, and tokenizing and decoding are reported separately"

# What a build's report tells of a cold start.
IN_LATENCY = ("load_ms", "first_ms", "peak_rss_bytes", "empty_rss_bytes")

NOT_VALID = "NOT VALID"  # begins the method of figures that are not valid by the rule

KINDS: tuple[Lengths, Lengths] = (NATURAL, PADDED)

# How a file is compared with another: its own lengths, and the other's.
WAYS: tuple[tuple[Lengths, Lengths], ...] = (
    (NATURAL, PADDED),
    (NATURAL, NATURAL),
    (PADDED, PADDED),
)

# Milliseconds of a file's queries, by its name.
Samples = Mapping[str, Mapping[Lengths, Sequence[float]]]

# Faster and slower file, and their lengths.
Pair = tuple[str, str, Lengths, Lengths]

# A cold start of a file, and one with its weights cached, where that was measured.
ColdStart = tuple[Probe, Probe | None]


def marked(method: str, why: str | None) -> str:
    """A method with the mark of figures that are not valid, and why: see `Stream.too_short`."""
    return f"{NOT_VALID} ({why}): {method}" if why else method


def session(
    files: Mapping[str, Path],
    asked: Asked,
    *,
    threads: int,
    pad_to: int,
    open_file: Callable[[Path, int], Model],
    cold_start: Callable[[Path, int], ColdStart],
    compared: Sequence[Pair] | None = None,
    references: Mapping[str, Path] | None = None,
    least_rounds: int = latency.LEAST_ROUNDS,
    least_queries: int = latency.VALID_QUERIES,
    least_seconds: float = latency.VALID_SECONDS,
    seed: int = 0,
    tell: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, float], None] | None = None,
) -> Run:
    """Ask every file at its queries' own lengths and padded, then start each one cold.

    A build and `benchmarks.run` measure with this function, so that their figures mean the same and
    carry the same mark where they are not valid.

    Args:
        files: by the name that the report gives them.
        asked: the queries.
        threads: of the runtime.
        pad_to: length of padded inputs.
        open_file: opens a file with so many threads; called twice a file, for a graph that is
            resized all the time and one that never is.
        cold_start: starts a file with so many threads in a process of its own.
        compared: the ratios to compute; those of `pairs` if it is not given.
        references: the fp32 model that a file was made from, by the name of the file. Their logits
            are compared after the times are measured; the error of any other file is null.
        least_rounds: how often all queries are asked, at least.
        least_queries: asked of each file, in each of the two ways.
        least_seconds: that all of them take together.
        seed: of the order.
        tell: called with a line of progress now and then.
        progress: called with (queries done, seconds of the rounds before) instead of `tell`,
            outside timed calls.

    Raises:
        ValueError: a reference is the model of another file.
    """
    if progress is None:

        def progress(done: int, seconds: float) -> None:
            tell(f"threads {threads}: {done} queries, {seconds:.0f} s")

    keys = {f"{name} {kind}": (name, kind) for name in files for kind in KINDS}
    models = {key: open_file(files[name], threads) for key, (name, _) in keys.items()}
    lengths: dict[Lengths, int | None] = {NATURAL: None, PADDED: pad_to}
    stream = latency.stream(
        {key: asked.subject(key, models[key], lengths[kind]) for key, (_, kind) in keys.items()},
        asked.queries,
        seed=seed,
        least_rounds=least_rounds,
        least_queries=least_queries,
        least_seconds=least_seconds,
        progress=progress,
    )
    samples: dict[str, dict[Lengths, list[float]]] = {name: {} for name in files}
    overhead: dict[str, dict[Lengths, Overhead]] = {}
    for key, (name, kind) in keys.items():
        phases = asked.phases(key, stream.queries)
        samples[name][kind] = phases["infer"] if phases else stream.samples[key]
        if phases:
            overhead.setdefault(name, {})[kind] = _overhead(phases, stream.rounds)
    errors: dict[str, LogitError] = {}
    for name, path in (references or {}).items():
        tell(f"threads {threads}: logits of {name}")
        reference = open_file(path, threads)
        own: list[Floats] = []
        true: list[Floats] = []
        for kind in KINDS:
            key, length = f"{name} {kind}", lengths[kind]
            own += asked.logits(key, models[key], length, COMPARED)
            true += asked.logits(key, reference, length, COMPARED)
        errors[name] = logit_error(own, true, short(path), min(COMPARED, len(asked.queries)))
    del models  # a reference may be large, and starts are measured next
    starts: dict[str, ColdStart] = {}
    for name, path in files.items():
        tell(f"threads {threads}: cold starts of {name}")
        starts[name] = cold_start(path, threads)
    method = METHOD.format(query=asked.one, around=AROUND if overhead else "")
    compared = pairs(list(files)) if compared is None else compared
    why = stream.too_short
    flat = {f"{name} {kind}": samples[name][kind] for name, kind in keys.values()}
    return {
        "threads": threads,
        "seconds": round(stream.seconds, 3),
        "too_short": why,
        "latency": {
            "method": marked(method, why),
            "threads": threads,
            "queries": len(asked.queries),
            "rounds": stream.rounds,
            "padded_length": pad_to,
            "mean_tokens": sum(asked.tokens) / len(asked.tokens),
            "busy": latency.busy(flat, rounds=stream.rounds),
            "subjects": {
                name: _subject(path, samples[name], starts[name][0], rounds=stream.rounds)
                | {"logit_error": errors.get(name)}
                for name, path in files.items()
            },
            "ratios": _ratios(samples, compared, rounds=stream.rounds, seed=seed),
            "samples_ms": _rounded_all(samples),
        },
        "overhead": overhead,
        "memory": {name: _memory(plain) for name, (plain, _) in starts.items()},
        "weight_cache": {name: _memory(one) if one else None for name, (_, one) in starts.items()},
    }


def pairs(names: Sequence[str], peers: Collection[str] = ()) -> list[Pair]:
    """Whose ratios are told, and at which lengths.

    Every file against the first one, and each at its own lengths against itself padded. Of peers,
    only how many times slower they are than the file that a build makes first, the first int8
    .tflite: at its own lengths against theirs, which is their best, and against them padded, as
    their exporters have it by default. Without such a file, peers are files like the others.
    """
    ours = [name for name in names if name not in peers]
    own = next((name for name in ours if name.endswith("int8.tflite")), None)
    first, *others = names if own is None else ours
    found: list[Pair] = [(name, first, mine, theirs) for name in others for mine, theirs in WAYS]
    if own is not None:
        others = [name for name in names if name in peers]
        found += [(own, name, NATURAL, theirs) for name in others for theirs in (PADDED, NATURAL)]
    return found + [(name, name, NATURAL, PADDED) for name in names]


def _subject(
    path: Path, times: Mapping[Lengths, Sequence[float]], start: Probe, *, rounds: int
) -> Any:
    """What a report tells of one file: milliseconds at its own lengths and padded, cold start."""
    return {
        "path": short(path),
        **{kind: _summary(each, rounds) for kind, each in times.items()},
        **{figure: getattr(start, figure) for figure in IN_LATENCY},
    }


def _ratios(samples: Samples, pairs: Sequence[Pair], *, rounds: int, seed: int) -> list[Ratio]:
    """How many times faster one of each pair is, in mean time with its interval."""
    found: list[Ratio] = []
    for faster, slower, mine, theirs in pairs:
        ratio, low, high = latency.ratio(
            samples[slower][theirs], samples[faster][mine], seed, rounds=rounds
        )
        found.append(
            {
                "faster": faster,
                "slower": slower,
                "faster_lengths": mine,
                "slower_lengths": theirs,
                "ratio": ratio,
                "low": low,
                "high": high,
            }
        )
    return found


def _overhead(phases: Mapping[str, Sequence[float]], rounds: int) -> Overhead:
    """The time that the code around the model took."""
    tokenize, decode = phases["tokenize"], phases["decode"]
    outside = sum(tokenize) + sum(decode)
    return {
        "tokenize": _summary(tokenize, rounds),
        "decode": _summary(decode, rounds),
        "share_percent": 100 * outside / (outside + sum(phases["infer"])),
        "samples_ms": {"tokenize": _rounded(tokenize), "decode": _rounded(decode)},
    }


def _memory(start: Probe) -> Any:
    return asdict(start)


def _summary(samples: Sequence[float], rounds: int) -> Any:
    return asdict(latency.summarize(samples, rounds=rounds))


def short(path: Path) -> str:
    """The last two parts of a path: enough to know a file by, nothing of whose machine it is."""
    return "/".join(path.absolute().parts[-2:])


def _rounded_all(samples: Samples) -> dict[str, dict[Lengths, list[float]]]:
    """Raw samples as a report keeps them."""
    return {
        name: {kind: _rounded(times) for kind, times in each.items()}
        for name, each in samples.items()
    }


def _rounded(samples: Sequence[float]) -> list[float]:
    return [round(sample, 4) for sample in samples]
