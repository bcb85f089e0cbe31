# SPDX-License-Identifier: Apache-2.0
"""Which weights a file of the precision `mixed` stores in int4: the stage before the files.

Groups of weights are sorted by what they cost: how far the model's distributions drift when this
group alone is in int4, for each byte that it saves.  From the cheapest on, groups join as long as
the model loses no more of the task's first metric than the budget allows.  All of this is computed
with simulated weights, see `converters.runtimes.simulated`; no file is converted for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from converters.pretrained import load_with_head
from pipeline import sampling
from pipeline.artifacts import MIXED, Artifact, Store, write_json
from pipeline.session import prepare, progress

if TYPE_CHECKING:
    from pipeline.config import Build
    from pipeline.start import Start
    from pipeline.tasks.reading import Outputs
    from pipeline.tasks.task import Examples, Task, Traits
    from pipeline.verify import Run

Facts = Mapping[str, Any]

DIGITS = 6  # of a measurement that are kept


def stage(store: Store, began: Start, student: Artifact) -> Artifact | None:
    """The stage that chooses; None for a build without a file of the precision `mixed`."""
    config = began.config
    if "mixed" not in config.export.files.get("tflite", ()):
        return None
    return store.stage(
        "mixed",
        lambda folder, scratch: choose(
            folder,
            scratch,
            config,
            began.task,
            student.folder,
            began.evaluation,
            began.traits,
            began.train,
        ),
        settings={
            "mixed": config.mixed,
            "scoring": began.task.scoring(config.data),
            **began.reading,
        },
        inputs={"student": student, **began.asked, **sampling.key(began)},
    )


def chosen(folder: Path | None) -> tuple[str, ...]:
    """The groups that the stage chose, from its folder; none without it."""
    if folder is None:
        return ()
    return tuple(json.loads((folder / MIXED).read_text(encoding="utf-8"))["int4"])


def choose(
    folder: Path,
    scratch: Path,
    build: Build,
    task: Task,
    student: Path,
    evaluation: Examples,
    traits: Traits,
    train: Examples | None = None,
) -> Facts:
    """Measures every group, and writes what is stored in int4 and why.

    Args:
        folder: gets `mixed.json`.
        scratch: keeps each measurement, so that an interrupted build goes on.
        build: the settings.
        task: of the build.
        student: folder of the student.
        evaluation: the examples; a sample of them ranks the groups, and all confirm the choice.
        traits: see `pipeline.tasks.task.Task`.
        train: what was trained on; where there are few for evaluation, those of its examples on
            which the gate measures the drop of the score confirm the choice as well.
    """
    drawn = sampling.draw(build, task, student, evaluation, traits, train)
    whole = sampling.joined(evaluation, drawn)
    search = _Search(scratch, build, task, student, evaluation, traits)
    sample, saved = evaluation.spread(build.mixed.examples), search.bytes_saved
    drifts = {group: search.drift(group, sample) for group in saved}
    order = ranked(drifts, saved)
    int4 = filled(order, build.mixed.budget, lambda groups: search.loss(groups, sample))
    # The sample may have been a lucky one.
    while int4 and search.loss(int4, whole) > build.mixed.budget:
        int4 = int4[:-1]
    loss, bytes_saved = search.loss(int4, whole), sum(saved[group] for group in int4)
    document = {
        "int4": int4,
        "budget": build.mixed.budget,
        "loss": loss,
        "bytes_saved": bytes_saved,
        "sample": len(sample.examples),
        "examples": len(whole.examples),
        "groups": [
            {"name": group, "drift": drifts[group], "bytes_saved": saved[group]} for group in order
        ],
        "measured": search.measured,
    }
    write_json(folder / MIXED, document)
    return {
        "int4": " + ".join(int4) or "none",
        "loss": round(loss, 2),
        "bytes_saved": bytes_saved,
        "examples": len(whole.examples),
    }


def ranked(drifts: Mapping[str, float], saved: Mapping[str, int]) -> list[str]:
    """The groups from the cheapest on: by drift for each byte that is saved.

    Args:
        drifts: what each group costs, see `divergence`.
        saved: the bytes that each saves, above 0.
    """
    return sorted(drifts, key=lambda group: drifts[group] / saved[group])


def filled(
    order: Sequence[str], budget: float, loss: Callable[[Sequence[str]], float]
) -> list[str]:
    """The first groups of an order, as many as lose no more than the budget together.

    Args:
        order: of the groups.
        budget: the loss that is allowed.
        loss: of some groups together.
    """
    taken: list[str] = []
    for group in order:
        if loss([*taken, group]) > budget:
            break
        taken.append(group)
    return taken


def divergence(
    outputs: Sequence[Sequence[Outputs]], reference: Sequence[Sequence[Outputs]]
) -> float:
    """How far a model's distributions are from its reference's: their mean over all inputs.

    It is the Kullback-Leibler divergence KL(reference || model) of each output's softmax, in nats,
    added up over the outputs of an input; of a single number, as a regression has it, the squared
    difference.

    Args:
        outputs: of each input of each example, float32 [S] or [C].
        reference: of the same inputs.
    """
    inputs = [
        sum(_distance(*each) for each in zip(mine, theirs, strict=True))
        for example, expected in zip(outputs, reference, strict=True)
        for mine, theirs in zip(example, expected, strict=True)
    ]
    return float(np.mean(inputs))


def _distance(output: np.ndarray, reference: np.ndarray) -> float:
    """The divergence of one output, float32 [S] or [C]."""
    mine, theirs = output.astype(np.float64), reference.astype(np.float64)
    if len(theirs) == 1:
        return float(((mine - theirs) ** 2).sum())
    mine, theirs = (each - np.logaddexp.reduce(each) for each in (mine, theirs))
    return float((np.exp(theirs) * (theirs - mine)).sum())


class _Search:
    """The simulated student, asked with any groups in int4; whatever it measured is kept.

    Attributes:
        measured: label -> value.
        bytes_saved: group -> the bytes that int4 saves over int8.
    """

    def __init__(
        self,
        scratch: Path,
        build: Build,
        task: Task,
        student: Path,
        evaluation: Examples,
        traits: Traits,
    ) -> None:
        from converters.runtimes.simulated import Simulated
        from pipeline.models.teacher import load_tokenizer

        self._build, self._task = build, task
        self._model = Simulated(load_with_head(student).eval(), device=prepare(build))
        tokenizer = load_tokenizer(student)
        self._reader = task.reader(self._model, tokenizer, build.data, traits)
        self.bytes_saved = self._model.bytes_saved
        self._path = scratch / MIXED
        scratch.mkdir(parents=True, exist_ok=True)
        self.measured: dict[str, float] = {}
        self._kept: tuple[int, Run] | None = None
        if self._path.exists():
            self.measured = json.loads(self._path.read_text(encoding="utf-8"))

    def drift(self, group: str, examples: Examples) -> float:
        """The divergence from the student in float32 when this group alone is in int4."""

        def measure() -> float:
            reference = self._floats(examples).outputs
            self._model.store([group], rest="fp32")
            return divergence(self._run(examples, group).outputs, reference)

        return self._once(f"drift of {group} on {len(examples.examples)}", measure)

    def loss(self, groups: Sequence[str], examples: Examples) -> float:
        """Points of the first metric that are lost with these groups in int4, others in int8."""

        def measure() -> float:
            self._model.store(groups)
            return _headline(self._run(examples, f"{len(groups)} groups together"))

        count = len(examples.examples)
        whole = self._once(f"student on {count}", lambda: _headline(self._floats(examples)))
        left = self._once(f"{' + '.join(groups) or 'int8'} on {count}", measure)
        return round(whole - left, DIGITS)

    def _floats(self, examples: Examples) -> Run:
        """The student in float32; the last run is kept, since every drift is measured from it."""
        count = len(examples.examples)
        if self._kept is None or self._kept[0] != count:
            self._model.store(rest="fp32")
            self._kept = (count, self._run(examples, "the student"))
        return self._kept[1]

    def _run(self, examples: Examples, what: str) -> Run:
        from pipeline.verify import run

        build, unit = self._build, self._task.unit
        label = f"measuring int4: {what}"
        return run(
            self._task, self._reader, examples, lambda each: progress(build, each, label, unit)
        )

    def _once(self, name: str, measure: Callable[[], float]) -> float:
        """A measurement, which an interrupted build does not repeat."""
        if name not in self.measured:
            self.measured[name] = float(f"{measure():.{DIGITS}g}")
            write_json(self._path, self.measured)
        return self.measured[name]


def _headline(run: Run) -> float:
    """The first metric of a run, in points."""
    return next(iter(run.scores.values()))
