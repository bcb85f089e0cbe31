# SPDX-License-Identifier: Apache-2.0
"""The stages of general distillation: the teacher's head for masked words, and the student.

As in `learning.py`, each function fills a folder and returns facts for the report.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import plan
from pipeline.artifacts import Artifact, Store, present
from pipeline.config import Build, Distil
from pipeline.data.corpus import corpus_of
from pipeline.errors import UserError
from pipeline.models.saving import save
from pipeline.models.teacher import model_key
from pipeline.session import prepare

if TYPE_CHECKING:
    from pipeline.data.corpus import Corpus
    from pipeline.start import Start
    from pipeline.training.stream import Stream

Facts = Mapping[str, Any]
HELD_OUT = 64  # samples kept apart to measure the MLM head on


@dataclass(frozen=True)
class Distilled:
    """What general distillation leaves; None is what this build does without.

    Attributes:
        speaker: the teacher with a head that names masked words.
        student: the student, with such a head.
        corpus: the text; also None for one that is streamed.
    """

    speaker: Artifact | None = None
    student: Artifact | None = None
    corpus: Corpus | None = None


def stages(store: Store, began: Start, teacher: Artifact | None) -> Distilled:
    """The stages of general distillation.

    There are none where the settings leave them out, the student was brought or nothing is trained.

    Args:
        store: keeps them.
        began: what the build starts from.
        teacher: the one that knows the task.

    Raises:
        UserError: there is too little text or room on the disk.
    """
    config, source, layers = began.config, began.given.teacher, began.given.layers
    how, train = config.distil, began.train
    if not (began.distills and source and teacher and train):
        return Distilled()
    began.kept.clear()  # general distillation needs the memory for long
    corpus = corpus_of(how, train.texts)
    text = {"corpus": corpus.key if corpus else how.text[0], "length": how.length}
    # A teacher that was not fine-tuned keeps its head for masked tokens, which the stage "teacher"
    # leaves out; one that was fine-tuned from its head on begins with it.
    as_it_came = how.teacher == "pretrained" or (
        source.has_mlm_head and not began.given.teacher_learns
    )
    keeps = not as_it_came and source.has_head and source.has_mlm_head
    came = model_key(source)
    taught_by: dict[str, Artifact | str] = {"teacher": came if as_it_came else teacher}
    taught = source.folder if as_it_came else teacher.folder
    speaker = None
    if how.names_tokens:
        origin = taught
        speaker = store.stage(
            "mlm-teacher",
            lambda folder, scratch: fit_mlm_head(
                folder,
                scratch,
                config,
                origin,
                corpus,
                has_head=as_it_came and source.has_mlm_head,
                head_from=source.folder if keeps else None,
            ),
            settings=began.seeded
            | text
            | {"mlm_head": config.mlm_head}
            | ({} if as_it_came and source.has_mlm_head else {"masks": _masks(how)})
            | ({"head": came} if keeps else {}),
            inputs=taught_by,
            everywhere=True,
        )
        taught = speaker.folder

    def distilled(folder: Path, scratch: Path) -> Facts:
        plan.check_room(began)  # again: it may have filled up while the teacher was trained
        return distil(folder, scratch, config, taught, corpus, layers)

    student = store.stage(
        "distilled",
        distilled,
        settings=began.seeded
        | text
        | {"distil": how, "held": config.holds_tables, "layers": layers}
        # The feed-forward network is narrowed later.
        | {"student": replace(config.student, intermediate_size=None, neurons="activation")},
        inputs=present(speaker) or taught_by,
        everywhere=True,
    )
    return Distilled(speaker, student, corpus)


def _masks(how: Distil) -> tuple[Any, ...]:
    """What decides which words of which text are masked, for the key of a head fitted to them."""
    return how.mask_share, how.mask_smoothing, how.text_column, how.counted_samples


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
