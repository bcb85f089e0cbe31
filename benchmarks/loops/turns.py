# SPDX-License-Identifier: Apache-2.0
"""Lets the loops take turns, each in a process of its own, and compares their speeds.

This module imports PyTorch only where a process begins, after `quiet`.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from benchmarks.loops.work import CHOSEN, OURS, PLAIN, Loops, TaskWork, Work
from benchmarks.measure.training_schema import Ratio, Subject, Turn
from converters import terminal

_loops: list[Loops] = []  # of a process


def opened(work: Work | TaskWork) -> Loops:
    """The models of this process, and both loops over them."""
    terminal.hush()
    if isinstance(work, TaskWork):
        from benchmarks.loops.task import TaskLoop

        return TaskLoop(work)
    from benchmarks.loops.general import Loop

    return Loop(work)


def _begin(work: Work | TaskWork) -> None:
    _loops.append(opened(work))


def _turn(name: str) -> Turn:
    loops = _loops[-1]
    if name == PLAIN:
        return loops.plain()
    return loops.ours("fp32" if name == OURS else None)


def measure(
    work: Work | TaskWork,
    rounds: int,
    epochs: float | None = None,
    tell: Callable[[str], object] = print,
) -> list[Subject]:
    """Lets the loops take turns; the first turn of each is not counted.

    Args:
        work: what they train on.
        rounds: turns of each that count.
        epochs: of a training, over which the time of recording is spread; None where nothing is
            recorded.
        tell: is given a line as each round ends.

    Returns:
        The plain loop, ours in fp32 and, where it chooses another precision, ours as it chooses.
    """
    names = [PLAIN, OURS, CHOSEN]
    context, order = get_context("spawn"), random.Random(work.seed)  # noqa: S311 - no secret
    pools = {name: ProcessPoolExecutor(1, context, _begin, (work,)) for name in names}
    try:
        turns: dict[str, list[Turn]] = {name: [] for name in names}
        first = {name: pools[name].submit(_turn, name).result() for name in names}
        if not _differs(first[CHOSEN]):
            names.remove(CHOSEN)
        for count in range(1, rounds + 1):
            for name in order.sample(names, len(names)):
                turns[name].append(pools[name].submit(_turn, name).result())
            tell(f"round {count} of {rounds}")
    finally:
        for pool in pools.values():
            pool.shutdown()
    return [subject(name, turns[name], epochs) for name in names]


def _differs(chosen: Turn) -> bool:
    """Whether a loop chose another precision than fp32, for its steps or for recording."""
    recording = chosen["recording"]
    kinds = {chosen["precision"], recording["precision"] if recording else "fp32"}
    return kinds != {"fp32"}


def subject(name: str, turns: Sequence[Turn], epochs: float | None = None) -> Subject:
    """A loop with its speeds: medians over its turns.

    Args:
        name: of the loop.
        turns: that count.
        epochs: see `measure`.
    """
    speeds = {
        "tokens_per_second": [tokens_per_second(turn) for turn in turns],
        "examples_per_second": [examples_per_second(turn) for turn in turns],
    }
    medians = {key: round(statistics.median(each), 3) for key, each in speeds.items()}
    with_recording = None
    if epochs is not None and turns[0]["recording"]:
        every = [examples_per_second(turn, epochs) for turn in turns]
        with_recording = round(statistics.median(every), 3)
    return {
        "name": name,
        "precision": turns[0]["precision"],
        "tokens_per_second": medians["tokens_per_second"],
        "examples_per_second": medians["examples_per_second"],
        "with_recording": with_recording,
        "turns": list(turns),
    }


def tokens_per_second(turn: Turn) -> float:
    """Tokens without padding in each second of the steps of a turn."""
    steps = turn["steps"]
    return sum(each["tokens"] for each in steps) / sum(each["seconds"] for each in steps)


def examples_per_second(turn: Turn, epochs: float | None = None) -> float:
    """Examples in each second of the steps of a turn.

    Args:
        turn: of a loop.
        epochs: if it is given, each example also takes its share of the time of recording, which
            that many epochs have in common.
    """
    steps, recording = turn["steps"], turn["recording"]
    seconds = sum(each["seconds"] for each in steps)
    if epochs is not None and recording:
        seconds += recording["seconds"] / epochs
    return sum(each["examples"] for each in steps) / seconds


def ratios(subjects: Sequence[Subject], step: str, epochs: float | None = None) -> list[Ratio]:
    """Each loop against the first, round by round.

    Args:
        subjects: the plain loop and others.
        step: "general", which is compared by tokens, or "task", by examples.
        epochs: see `measure`.
    """
    plain, *others = subjects
    found: list[Ratio] = []
    for one in others:
        pairs = list(zip(one["turns"], plain["turns"], strict=True))
        if step == "general":
            values = [tokens_per_second(mine) / tokens_per_second(theirs) for mine, theirs in pairs]
            found.append(_ratio(one, plain, values, with_recording=False))
            continue
        for spread in (epochs, None):
            values = [
                examples_per_second(mine, spread) / examples_per_second(theirs)
                for mine, theirs in pairs
            ]
            found.append(_ratio(one, plain, values, with_recording=spread is not None))
    return found


def _ratio(
    faster: Subject, slower: Subject, values: Sequence[float], *, with_recording: bool
) -> Ratio:
    return {
        "faster": faster["name"],
        "slower": slower["name"],
        "with_recording": with_recording,
        "ratio": round(statistics.median(values), 3),
        "low": round(min(values), 3),
        "high": round(max(values), 3),
    }
