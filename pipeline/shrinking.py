# SPDX-License-Identifier: Apache-2.0
"""What makes a student smaller: a narrower feed-forward, and a vocabulary cut to what is used.

As in `learning.py`, what a stage calls fills a folder and returns facts for the report.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converters.pretrained import load_with_head
from pipeline.config import Build
from pipeline.data import scripts
from pipeline.data.corpus import PASSAGES
from pipeline.models.saving import save
from pipeline.session import prepare, progress

if TYPE_CHECKING:
    from pipeline.artifacts import Artifact, Store
    from pipeline.data.corpus import Corpus
    from pipeline.start import Start
    from pipeline.tasks.task import Examples, Feature, Task, Traits

Facts = Mapping[str, Any]

MEASURED = 256  # examples that the importance of neurons is measured on
AT_A_TIME = 16
TEXTS = 1000  # that are cut at a time


def stage(store: Store, began: Start, student: Artifact) -> Artifact | None:
    """The student without the word pieces that no text needs; None without `--vocabulary trim`."""
    config, train, text = began.config, began.train, began.words
    if config.words.vocabulary == "whole":
        return None
    return store.stage(
        "trimmed",
        lambda folder, _: trim_vocabulary(
            folder, config, began.task, student.folder, text, train, began.evaluation, began.traits
        ),
        settings={"text": text.key if text else "", "named": config.words.vocabulary_text}
        | dict(began.task.encoding(config.data)),
        inputs={"student": student, "train": json.dumps(began.trained_on), **began.asked},
        folder="trimmed",
    )


def narrow(
    build: Build, task: Task, student: Any, features: Sequence[Feature], pad_id: int
) -> tuple[Any, dict[str, Any]]:
    """The student with the neurons that matter most, and how many those are; it still has to learn.

    What matters is measured on some of the examples it is about to learn, with its gold loss.
    """
    import numpy as np
    from torch import Tensor

    from pipeline.models import narrowing
    from pipeline.models.layers import width_of
    from pipeline.tasks.finetune import GOLD_LOSS, Collate, student_loss
    from pipeline.training.batches import to_device

    asked = build.student
    assert asked.intermediate_size is not None
    had = narrowing.matrices(student)[0][0].out_features
    width = width_of(asked.intermediate_size, had)
    facts = {"neurons": f"{width:,} of {had:,}"}
    if width == had:
        return student, facts
    segments = student.config.model_type == "bert"
    chosen = np.random.default_rng(build.seed).permutation(len(features))[:MEASURED]
    collate = Collate(task, pad_id)
    model = student.to(prepare(build))

    def loss(model: Any, batch: Any) -> Tensor:
        parts = student_loss(
            task, model, batch, build.finetune, with_teacher=False, segments=segments
        )
        return parts[GOLD_LOSS.name]

    def batches() -> Iterator[Any]:
        for begin in range(0, len(chosen), AT_A_TIME):
            numbers = chosen[begin : begin + AT_A_TIME]
            yield to_device(collate([(0, (int(n), features[n])) for n in numbers]), model)

    scores = narrowing.importance(model, batches(), loss, asked.neurons, build.seed)
    return narrowing.narrowed(model.to("cpu"), scores, width), facts


def trim_vocabulary(
    folder: Path,
    build: Build,
    task: Task,
    student: Path,
    text: Corpus | None,
    train: Examples | None,
    evaluation: Examples,
    traits: Traits,
) -> Facts:
    """The student without the word pieces that nothing uses, see `pipeline.files.trimming`.

    Every text that decided is cut by both tokenizers: none may change.
    """
    import numpy as np

    from converters.runtimes.torch import TorchPredictor
    from pipeline.files import trimming
    from pipeline.files.tokenizer import describe_tokenizer
    from pipeline.models import origin
    from pipeline.models import teacher as teachers

    prepare(build)
    tokenizer, model = teachers.load_tokenizer(student), load_with_head(student)
    predictor = TorchPredictor(model, student.name)
    encode = task.reader(predictor, tokenizer, build.data, traits).encode
    examples = list(evaluation.examples)
    if train and PASSAGES in build.words.vocabulary_text:
        examples += train.examples
    # An example may be cut to fewer pieces than its text has.
    texts = (*(text.paragraphs if text else ()), *evaluation.texts)
    cuts = [np.asarray(pieces, np.int32) for pieces in _cut(tokenizer, texts)]
    used: set[int] = set().union(*(pieces.tolist() for pieces in cuts))
    for example in progress(build, examples, "reading the examples", task.unit):
        used.update(*(each.ids.tolist() for each in encode(example)))
    written = scripts.scripts_of(build.words.vocabulary_text)
    prefix = describe_tokenizer(tokenizer)["continuation"]
    used.update(scripts.pieces_of(tokenizer.get_vocab(), written, prefix))
    kept = trimming.kept_pieces(tokenizer, used)
    trimmed = trimming.trimmed_tokenizer(tokenizer, kept, folder)
    for one, old, cut in zip(texts, cuts, _cut(trimmed, texts), strict=True):
        if [kept[piece] for piece in cut] != old.tolist():
            raise RuntimeError(f"the smaller vocabulary cuts {one[:60]!r} in another way")
    before = model.get_input_embeddings().weight
    small = trimming.trimmed_model(model, kept)
    save(small, trimmed, folder)
    if known := origin.read(student):
        origin.write(folder, known)
    saved = (before.shape[0] - len(kept)) * before.shape[1]
    return {"pieces": len(kept), "pieces_before": before.shape[0], "parameters_saved": saved}


def _cut(tokenizer: Any, texts: Sequence[str]) -> Iterator[list[int]]:
    """The ids of each text without special tokens; tokenizers are faster at many at a time."""
    for begin in range(0, len(texts), TEXTS):
        some = list(texts[begin : begin + TEXTS])
        yield from tokenizer(some, add_special_tokens=False, verbose=False).input_ids
