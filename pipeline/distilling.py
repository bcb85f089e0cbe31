# SPDX-License-Identifier: Apache-2.0
"""The stages of general distillation: the teacher's head for masked words, and the student.

As in `learning.py`, each function fills a folder and returns facts for the report.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config import Build
from pipeline.errors import UserError
from pipeline.models.saving import save
from pipeline.session import prepare

if TYPE_CHECKING:
    from pipeline.data.corpus import Corpus
    from pipeline.training.stream import Stream

Facts = Mapping[str, Any]
HELD_OUT = 64  # samples kept apart to measure the MLM head on


def fit_mlm_head(
    folder: Path,
    scratch: Path,
    build: Build,
    teacher: Path,
    corpus: Corpus | None,
    has_head: bool,
    head_from: Path | None = None,
) -> Facts:
    """A teacher with an MLM head; the head is fitted where there is none, the encoder frozen.

    Args:
        folder: to fill.
        scratch: for checkpoints.
        build: the settings.
        teacher: its folder.
        corpus: the text; None for one that is streamed.
        has_head: whether the teacher's folder has the head.
        head_from: where the head comes from that is fitted: the folder of the model that the
            teacher was fine-tuned from; None for a new head.
    """
    from pipeline.models import teacher as teachers
    from pipeline.training import distil, sharding

    device = prepare(build)
    tokenizer = teachers.load_tokenizer(teacher)
    model = teachers.load_mlm(teacher, head=None if has_head else "cls.")
    if not sharding.is_wanted(build.hardware):
        model.to(device)
    facts: dict[str, Any] = {"head": teachers.OWN_HEAD}
    if not has_head:
        if head_from is not None:
            # Not the output matrix, which is the table of embeddings and was fine-tuned with it.
            came, head = teachers.load_mlm(head_from).cls.predictions, model.cls.predictions
            head.transform.load_state_dict(came.transform.state_dict())
            head.bias.data.copy_(came.bias.data)
        samples = _samples(build, corpus, tokenizer, build.mlm_head.max_samples)
        held_out, rest = samples[:HELD_OUT], samples[HELD_OUT:]
        if not rest:
            raise UserError(
                f"too little text to fit an MLM head: {len(samples)} samples, at least "
                f"{HELD_OUT + 1} are needed: add text with --distil.text"
            )
        masking = _masking(build, tokenizer, samples)
        facts = {} if head_from is None else facts
        facts |= distil.fit_mlm_head(
            model,
            masking,
            rest,
            held_out,
            config=build.mlm_head,
            hardware=build.hardware,
            seed=build.seed,
            scratch=scratch,
            new=head_from is None,
        )
    save(model, tokenizer, folder)
    return facts


def distil(
    folder: Path,
    scratch: Path,
    build: Build,
    teacher: Path,
    corpus: Corpus | None,
    layers: Sequence[int],
) -> Facts:
    """The student of general distillation, with an MLM head."""
    from transformers import DistilBertForMaskedLM

    from pipeline.models import student as students
    from pipeline.models import teacher as teachers
    from pipeline.training import distil as distillation
    from pipeline.training.batches import Schedule

    prepare(build)
    config = build.distil
    tokenizer = teachers.load_tokenizer(teacher)
    model = teachers.load_mlm(teacher, head="cls.")
    state = None
    if build.student.init == "teacher":
        state = students.student_state(
            model.state_dict(), layers, fold_token_types=build.student.fold_token_types
        )
    student = students.build_student(DistilBertForMaskedLM, model.config, state, layers, build.seed)
    if build.holds_tables:
        students.hold_to_int8(student)
    samples = _samples(build, corpus, tokenizer, config.max_samples)
    examples: Schedule | Stream
    if corpus is None:
        examples = _stream(build, tokenizer)
    else:
        optimization = config.optimization
        examples = Schedule(
            samples,
            [len(s) for s in samples],
            optimization.batch_size,
            optimization.epochs,
            build.seed,
        )
    result = distillation.distil(
        student,
        model,
        layers,
        examples,
        _masking(build, tokenizer, samples),
        config=config,
        hardware=build.hardware,
        seed=build.seed,
        scratch=scratch,
    )
    save(student, tokenizer, folder)
    return result.facts() | {"text_sha256": corpus.sha256 if corpus else None}


def _samples(build: Build, corpus: Corpus | None, tokenizer: Any, most: int | None) -> list[Any]:
    """Samples of the text in a shuffled order, so that the first few are no one chapter.

    Of a streamed text, the first ones of each of its files.
    """
    import numpy as np

    from pipeline.data.corpus import pack

    if corpus is None:
        stream = _stream(build, tokenizer)
        most = most or build.distil.counted_samples
        each = -(-most // len(stream.sources))
        firsts = [itertools.islice(stream.pack(read()), each) for read in stream.sources]
        samples = list(itertools.chain.from_iterable(firsts))
        if not samples:
            raise UserError(f"{build.distil.text[0]} holds no text: name another data set")
    else:
        samples = list(pack(tokenizer, corpus.paragraphs, build.distil.length))
    order = np.random.default_rng(build.seed).permutation(len(samples))
    return [samples[i] for i in order[:most]]


def _stream(build: Build, tokenizer: Any) -> Stream:
    """Samples of a hub data set."""
    from pipeline.data.corpus import hub_sources, packer
    from pipeline.training.stream import Stream

    config = build.distil
    return Stream(
        hub_sources(config.text[0], config.text_column),
        packer(tokenizer, config.length),
        build.seed,
    )


def _masking(build: Build, tokenizer: Any, samples: Sequence[Any]) -> Any:
    from pipeline.training.distil import Masking, count_pieces

    return Masking(
        tokenizer,
        count_pieces(samples, len(tokenizer)),
        share=build.distil.mask_share,
        smoothing=build.distil.mask_smoothing,
        seed=build.seed,
    )
