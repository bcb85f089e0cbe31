# SPDX-License-Identifier: Apache-2.0
"""From questions and text to an adapter: the story of `python -m pipeline.adapter`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback, logging, set_seed

from pipeline.adapter import folder as folders
from pipeline.adapter.learner import Collate, Learner, loss
from pipeline.adapter.measure import Measure
from pipeline.adapter.recipe import Recipe
from pipeline.artifacts import write_json
from pipeline.data.corpus import Corpus, load_corpus, pack
from pipeline.data.sources import EMBEDDED
from pipeline.errors import UserError
from pipeline.models.heads import SPAN_HEAD
from pipeline.models.teacher import Source, find_teacher, load_for_task, load_tokenizer
from pipeline.tasks.question_answering.features import Feature, Windower, training_features
from pipeline.tasks.question_answering.joined import join_passages
from pipeline.tasks.question_answering.squad import QuestionSet, load_questions
from pipeline.training.batches import Schedule
from pipeline.training.distil import Masking, count_pieces
from pipeline.training.loop import fit, pick_device

HELD_OUT = 64  # samples of text that nothing is learned from
RECIPE, LOG, CHECKPOINTS, ADAPTER = "recipe.json", "log.jsonl", "checkpoints", "adapter"


@dataclass(frozen=True)
class Material:
    """What is learned from.

    Attributes:
        sets: the questions of each source.
        licenses: name and license of each.
        corpus: the text; None where no masked words are learned.
        features: windows of the questions, with longer and other passages among them.
        samples: of the text, int32 [S] each.
        held_out: samples that are kept back.
    """

    sets: tuple[QuestionSet, ...]
    licenses: tuple[str, ...]
    corpus: Corpus | None
    features: list[Feature]
    samples: list[np.ndarray]
    held_out: list[np.ndarray]


def train(recipe: Recipe, command: str, say: Callable[[str], object] = print) -> dict[str, float]:
    """Trains the adapter, or goes on where an interrupted training was; writes it with its card.

    Args:
        recipe: the settings.
        command: how it was called, for the card.
        say: is given a line for each thing that the user should know.

    Returns:
        The last figures, see `measure.Measure`.

    Raises:
        UserError: for a mistake that the user can mend, before anything is trained.
    """
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    source = find_teacher(recipe.base, SPAN_HEAD, 2)
    if source.kind != "bert" or recipe.length > source.positions:
        raise UserError(
            f"--length {recipe.length}: {source.name} takes at most {source.positions} word pieces"
        )
    dev = [_questions(name, "dev").spread(recipe.max_eval) for name in recipe.dev]
    tokenizer = load_tokenizer(source.folder)
    material = gather(recipe, tokenizer)
    _claim(recipe, material)
    if recipe.hardware.threads:
        torch.set_num_threads(recipe.hardware.threads)
    set_seed(recipe.seed)
    counts = count_pieces(material.samples, len(tokenizer))
    masking = Masking(
        tokenizer,
        counts,
        share=recipe.mask_share,
        smoothing=recipe.mask_smoothing,
        seed=recipe.seed,
    )
    learner = Learner(
        load_for_task(source, SPAN_HEAD, 2),
        recipe.rank,
        recipe.scale,
        masking.log_frequencies() if recipe.text_passes else None,
    ).to(pick_device(recipe.hardware.device))
    if learner.bytes() > recipe.max_megabytes * 1e6:
        raise UserError(
            f"--rank {recipe.rank} makes an adapter of {learner.bytes() / 1e6:.2f} MB, and "
            f"--max-megabytes allows {recipe.max_megabytes:g}: lower the rank"
        )
    measure = Measure(tokenizer, recipe.limits, dev, masking, material.held_out)
    schedule = _schedule(recipe, material)
    say(
        f"{len(material.features):,} windows of "
        f"{sum(len(each.questions) for each in material.sets):,} questions, "
        f"{len(material.samples):,} samples of text, {learner.bytes() / 1e6:.2f} MB of adapter"
    )
    watch = _Watch(recipe, learner, measure, material, source, command, say)
    result = fit(
        learner,
        schedule,
        Collate(masking, tokenizer.pad_token_id),
        lambda model, batch: loss(learner, batch, recipe.alpha_mlm),
        settings=recipe.optimization,
        hardware=recipe.hardware,
        seed=recipe.seed,
        scratch=recipe.out / CHECKPOINTS,
        label="adapter",
        callbacks=(watch,),
    )
    watch.facts |= result.facts()
    return watch.measured(result.steps)


def gather(recipe: Recipe, tokenizer: Any) -> Material:
    """Reads what is learned from and cuts it into windows and samples.

    Raises:
        UserError: something cannot be read, or there is too little text.
    """
    named = [(EMBEDDED, "this project, Apache-2.0")] if recipe.embedded else []
    named += zip(recipe.data, recipe.data_license, strict=True)
    sets = tuple(_questions(name, "train").limited(recipe.max_questions) for name, _ in named)
    windower = Windower(tokenizer, recipe.limits, reuse=False)
    features = [
        feature
        for each in sets
        for feature in training_features(windower, join_passages(each.questions, recipe.joining))
    ]
    corpus, samples = None, []
    if recipe.text_passes:
        passages = [passage for each in sets for passage in each.passages]
        corpus = load_corpus(recipe.text, passages)
        samples = list(pack(tokenizer, corpus.paragraphs, recipe.text_length))
        order = np.random.default_rng(recipe.seed).permutation(len(samples))
        most = recipe.max_samples and recipe.max_samples + HELD_OUT
        samples = [samples[place] for place in order[:most]]
        if len(samples) <= HELD_OUT:
            raise UserError(
                f"too little text: {len(samples)} samples, at least {HELD_OUT + 1} are needed: add "
                "text with --text"
            )
    licenses = tuple(license_ for _, license_ in named)
    return Material(sets, licenses, corpus, features, samples[HELD_OUT:], samples[:HELD_OUT])


def _questions(name: str, part: Any) -> QuestionSet:
    return load_questions(name, part, bad_answers="skip", empty_answers="unanswerable")


def _schedule(recipe: Recipe, material: Material) -> Schedule:
    """Windows and samples in the order of training; the samples as often as the recipe says."""
    count = round(recipe.text_passes * len(material.samples))
    samples = [material.samples[place % len(material.samples)] for place in range(count)]
    examples: list[Any] = [*material.features, *samples]
    settings = recipe.optimization
    lengths = [len(one) if isinstance(one, np.ndarray) else one.length for one in examples]
    return Schedule(examples, lengths, settings.batch_size, settings.epochs, recipe.seed)


def _claim(recipe: Recipe, material: Material) -> None:
    """Records what is trained in the folder; refuses a folder with another training in it.

    Raises:
        UserError: the checkpoints there belong to other settings or data.
    """
    settings = asdict(replace(recipe, out=Path(), max_eval=1, dev=()))
    settings.pop("hardware")
    settings["data"] = [each.sha256 for each in material.sets]
    settings["text"] = material.corpus.key if material.corpus else None
    settings["out"] = ""
    document = json.loads(json.dumps(settings))
    place = recipe.out / RECIPE
    if place.is_file() and json.loads(place.read_text(encoding="utf-8")) != document:
        raise UserError(
            f"--out {recipe.out} holds a training with other settings or data: name another "
            "folder, or remove that one"
        )
    recipe.out.mkdir(parents=True, exist_ok=True)
    write_json(place, document)


class _Watch(TrainerCallback):  # type: ignore[misc]
    """Logs each part of the loss, and at every checkpoint measures and writes the adapter."""

    def __init__(
        self,
        recipe: Recipe,
        learner: Learner,
        measure: Measure,
        material: Material,
        source: Source,
        command: str,
        say: Callable[[str], object],
    ) -> None:
        self.recipe, self.learner, self.measure, self.say = recipe, learner, measure, say
        self.material, self.source, self.command = material, source, command
        self.facts: dict[str, Any] = {}
        self._last: tuple[int, dict[str, float]] = (-1, {})
        self._begin = 0
        self._clock = self._cpu = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Begins to count where the checkpoint ended."""
        self._begin = state.global_step
        self._clock, self._cpu = time.monotonic(), time.process_time()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Writes the parts of the loss with the rate of this process."""
        entry = {name: value for name, value in (logs or {}).items() if name.startswith("loss")}
        if not entry:
            return
        size = self.recipe.optimization.batch_size
        seen = (state.global_step - self._begin) * size
        cpu, wall = time.process_time() - self._cpu, time.monotonic() - self._clock
        rates = {"per_cpu_second": seen / max(cpu, 1e-9), "per_second": seen / max(wall, 1e-9)}
        self.facts = {name: round(value, 2) for name, value in rates.items()}
        self._log(state.global_step, entry | self.facts)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measures, and writes the adapter as it is, so that a training may be stopped."""
        began, cpu = time.monotonic(), time.process_time()
        self.measured(state.global_step)
        self._clock += time.monotonic() - began  # the rate is that of training alone
        self._cpu += time.process_time() - cpu

    def measured(self, step: int) -> dict[str, float]:
        """The figures after a step, logged; the adapter is written with them."""
        if self._last[0] != step:
            self._last = step, self.measure(self.learner)
            self._log(step, {"figures": self._last[1]})
        figures = self._last[1]
        card = folders.Card(
            recipe=self.recipe,
            base=self.source.name,
            sets=self.material.sets,
            licenses=self.material.licenses,
            corpus=self.material.corpus,
            figures=figures,
            facts={"step": step, **self.facts},
            command=self.command,
        )
        folders.write(self.recipe.out / ADAPTER, self.learner, card)
        return figures

    def _log(self, step: int, entry: dict[str, Any]) -> None:
        line = json.dumps({"step": step, **entry})
        with (self.recipe.out / LOG).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        self.say(line)
