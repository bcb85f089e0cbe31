# SPDX-License-Identifier: Apache-2.0
"""What a build's training will take, before it is paid for: steps, tokens, memory, disk and hours.

The operations are counted from the sizes of the models and the data.  Hours divide them by what a
device computes in a second, which is a table's estimate or, with `--measure`, timed here.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.page.text_table import table
from pipeline import disk, ranks, tasks
from pipeline.artifacts import INNER, SCRATCH
from pipeline.config import Build, Data
from pipeline.costs import DATA, DEVICES, HEADS, MODELS, Count, Device, Shape, Step, stages
from pipeline.errors import UserError
from pipeline.models.layers import choose_layers

if TYPE_CHECKING:
    from pipeline.models.teacher import Source
    from pipeline.start import Start
    from pipeline.tasks.task import Examples, Task, Traits

SMALLER = "leave out the hidden states with --finetune.alpha-hidden 0"  # for error messages
TRUST = "The hours of the table's devices are an estimate; trust them within a factor of 2."


def known(config: Build) -> tuple[Shape, Count] | None:
    """The sizes of teacher and data where both are in the tables of `costs`."""
    shape, count = MODELS.get(config.teacher.model), DATA.get(config.data.train_file)
    if shape is None or count is None:
        return None
    if most := config.data.max_train:
        share = min(1.0, most / count.examples)
        count = Count(*(round(share * value) for value in dataclasses.astuple(count)))
    added = tasks.find(config.task).added(config.data)
    return shape, Count(
        count.examples + added, count.inputs + added, count.tokens + added * config.data.max_length
    )


def shape_of(folder: Path) -> Shape:
    """The sizes of a BERT in a Hugging Face folder."""
    from converters.pretrained import load_config

    config: Any = load_config(folder)
    return Shape(
        config.num_hidden_layers,
        config.hidden_size,
        config.intermediate_size,
        config.num_attention_heads,
        config.vocab_size,
        config.max_position_embeddings,
    )


def lines(planned: Sequence[Step], here: Device | None) -> list[str]:
    """The plan for a terminal: what each training is, and its hours on each device.

    Args:
        planned: as `stages` gave it.
        here: this machine as it was timed; None where it was not.
    """
    what = [
        [step.name, _whole(step.steps, step.name), _whole(step.examples), _short(step.tokens),
         "?" if step.passes is None else f"{step.passes:.3g}",
         f"{step.gigabytes:.1f} GB", f"{step.disk:.1f} GB"]
        for step in planned
    ]  # fmt: skip
    header = ["stage", "steps", "examples", "tokens", "passes", "memory", "disk"]
    devices = [*DEVICES, *([here] if here else [])]
    hours = [
        [step.name, *(_hours(step.operations, device) for device in devices)] for step in planned
    ]
    sums = [step.operations for step in planned]
    total = None if None in sums else sum(filter(None, sums))
    hours.append(["total", *(_hours(total, device) for device in devices)])
    found = table(header, what).splitlines()
    found += table(["hours", *(device.name for device in devices)], hours).splitlines()
    found.append(TRUST)
    most = max(step.gigabytes for step in planned)
    small = [device.name for device in devices if most > 0.9 * device.gigabytes]
    if small:
        found.append(
            f"Memory: {most:.1f} GB may not fit {', '.join(small)}; set a smaller device_batch, or "
            "shard the models over more processes with --hardware.shard."
        )
    if any(step.operations is None for step in planned):
        found.append("A ? is not known before the text is read.")
    if any(step.steps and step.passes is None for step in planned):
        found.append("The passes over a streamed text depend on its length, which is not known.")
    found.append("Not planned: the files, their gates and the benchmark, which run on one CPU.")
    return found


def _whole(value: int | None, name: str = "") -> str:
    """A number with commas; the recording of the teacher has no steps."""
    if name == "teacher-outputs":
        return "-"
    return "?" if value is None else f"{value:,}"


def _short(value: float | None) -> str:
    """`13.8 G`."""
    if value is None:
        return "?"
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.1f}{unit}"
    return f"{value:.0f}"


def _hours(operations: float | None, device: Device) -> str:
    if operations is None:
        return "?"
    hours = device.hours(operations)
    return f"{hours:.1f}" if hours >= 0.1 else f"{hours:.2f}"


def timed(config: Build, teacher: Shape) -> Device:
    """This machine, timed on a step of distillation with models of these sizes."""
    import time

    import torch
    from transformers import BertConfig, BertForMaskedLM, DistilBertConfig, DistilBertForMaskedLM

    from pipeline.session import prepare

    device = prepare(config)
    count = len(choose_layers(teacher.layers, config.student.layers))
    length = min(config.distil.length, teacher.positions)
    sizes = {"vocab_size": teacher.vocabulary, "max_position_embeddings": teacher.positions}
    taught_by = BertForMaskedLM(
        BertConfig(
            **sizes, hidden_size=teacher.width, num_hidden_layers=teacher.layers,
            num_attention_heads=teacher.heads, intermediate_size=teacher.inner,
        )
    ).eval().to(device)  # fmt: skip
    student = DistilBertForMaskedLM(
        DistilBertConfig(
            **sizes, dim=teacher.width, n_layers=count, n_heads=teacher.heads,
            hidden_dim=teacher.inner,
        )
    ).to(device)  # fmt: skip
    how = config.distil.optimization
    rows = min(how.device_batch or how.batch_size, 4 if device.type == "cpu" else 64)
    ids = torch.randint(0, teacher.vocabulary, (rows, length), device=device)
    half = device.type == "cuda"
    best = math.inf
    for attempt in range(3):
        began = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            with torch.no_grad():
                target = taught_by(ids).logits.argmax(-1)  # [B, S]
            student(ids, labels=target).loss.backward()
        student.zero_grad()
        if half:
            torch.cuda.synchronize()
        if attempt:  # the first one pays for allocations
            best = min(best, time.perf_counter() - began)
    shape = dataclasses.replace(teacher, layers=count)
    cost = teacher.operations(length, named=1.0) + 3 * shape.operations(length, named=1.0)
    memory = torch.cuda.get_device_properties(device).total_memory / 1e9 if half else math.inf
    name = "this GPU" if half else "this machine"
    return Device(name, 1, rows * length * cost / best, memory)


def counted(
    task: Task, data: Data, source: Source, train: Examples, traits: Traits, exact: bool
) -> Count:
    """The training examples; without `exact`, each is taken for one input of the full length."""
    examples = len(train.examples) + task.added(data)
    if not exact:
        return Count(examples, examples, examples * data.max_length)
    from pipeline.models.teacher import load_tokenizer

    features = task.features(load_tokenizer(source.folder), data, train, traits)
    return Count(examples, len(features), sum(feature.length for feature in features))


def check_room(began: Start) -> None:
    """As :func:`check_disk`, unless the teacher's outputs are recorded already.

    Raises:
        UserError: they take more than the settings allow, or than the disk has.
    """
    config, source, train = began.config, began.given.teacher, began.train
    if source and train and not (config.folder / INNER / "teacher-outputs").exists():
        check_disk(config, began.task, source, train, began.traits, began.given.layers)


def check_disk(
    config: Build,
    task: Task,
    source: Source,
    train: Examples,
    traits: Traits,
    layers: Sequence[int],
) -> None:
    """Refuses a build whose teacher's outputs take too much room, before anything is trained.

    They lie on the disk while the student trains, beside its checkpoints. The inputs are counted
    only where they may be too many, since that takes a while.

    Raises:
        UserError: they take more than the settings allow, or than the disk has.
    """
    second = config.finetune
    kept = len(layers) if second.alpha_hidden else 0
    if not second.second_step or not kept:
        return  # logits alone are small
    each = 2e-9 * (kept * source.hidden_size + 4)  # states in 2 bytes, two logits in 4
    count = counted(task, config.data, source, train, traits, exact=False)
    size = each * count.tokens
    student = dataclasses.replace(shape_of(source.folder), layers=kept)
    checkpoints = 1e-9 * disk.HELD * student.weights

    room = disk.free(config.folder) - checkpoints
    if 2 * size > min(room, second.cache_gigabytes):
        size = each * counted(task, config.data, source, train, traits, exact=True).tokens
    refuse_large(count.examples, size, second.cache_gigabytes)
    disk.require(
        config.folder,
        size + checkpoints,
        "the teacher's outputs and the student's checkpoints",
        there=config.folder / SCRATCH,
        remedy=SMALLER,
    )


def check_trainings(began: Start) -> None:
    """Refuses what a later training could not do, before an earlier one takes hours.

    Raises:
        UserError: a batch has fewer examples than there are devices, the teacher does not take the
            inputs of general distillation, or its text cannot be read.
    """
    config, given, how = began.config, began.given, began.config.distil
    source, distills = given.teacher, began.distills
    trained = {
        "teacher": given.teacher_learns,
        "mlm-head": distills and how.names_tokens and not (source and source.has_mlm_head),
        "distil": distills,
        "finetune": not given.ready,
    }
    for name, is_trained in trained.items():
        size = getattr(config, name.replace("-", "_")).optimization.batch_size
        if is_trained and size < ranks.WORLD:
            raise UserError(
                f"--{name}.optimization.batch-size {size} leaves some of {ranks.WORLD} devices "
                "without an example: raise it, or start fewer processes"
            )
    if source and distills and how.length > source.positions:
        raise UserError(
            f"--distil.length {how.length}: {source.name} takes at most {source.positions} word "
            "pieces"
        )
    if began.train and distills and given.teacher_learns:
        from pipeline.data.corpus import corpus_of

        corpus_of(how, began.train.texts)  # read again when the teacher has learned


def refuse_large(examples: int, size: float, limit: float) -> None:
    """Raises a UserError where the teacher's outputs take more gigabytes than the limit."""
    if size > limit:
        raise UserError(
            f"the teacher's outputs for {examples} inputs take {size:.1f} GB, the limit "
            f"is {limit:g}: raise --finetune.cache-gigabytes, or {SMALLER}"
        )


def of_build(began: Start, say: Callable[[str], object]) -> None:
    """Says the plan of a build that trains something; see `lines`."""
    config, given, train = began.config, began.given, began.train
    source = given.teacher or given.student
    if source is None or train is None:
        return
    shape, learns = shape_of(source.folder), given.teacher_learns
    count, learned = (
        counted(began.task, data, source, train, began.traits, exact=config.measure)
        for data in (config.data, began.teacher_data)
    )
    if config.measure and began.distills:
        config = _with_samples(config, source, train)
    if given.teacher is None:  # the student learns from the labels alone
        config = dataclasses.replace(
            config, finetune=dataclasses.replace(config.finetune, second_step=False)
        )
    pretrained = config.distil.teacher == "pretrained"
    planned = [
        step
        for step in stages(
            config,
            shape,
            count,
            learned=learned if learns else None,
            has_mlm_head=source.has_mlm_head and (pretrained or not learns),
            brought=shape_of(given.student.folder) if given.student else None,
        )
        if step.name == "teacher" or not given.ready
    ]
    for line in lines(planned, timed(config, shape) if config.measure else None):
        say(line)
    if teaching := began.teaching:
        say(f"{teaching[0].upper()}{teaching[1:]}.")
    if not config.measure:
        say("Each example of the task is taken for one of full length; --measure counts.")


def _with_samples(config: Build, source: Source, train: Examples) -> Build:
    """The settings with the number of samples that text in memory makes; as they were otherwise."""
    from pipeline.data.corpus import corpus_of, pack
    from pipeline.models.teacher import load_tokenizer

    corpus = corpus_of(config.distil, train.texts)
    if corpus is None:
        return config
    samples = pack(load_tokenizer(source.folder), corpus.paragraphs, config.distil.length)
    count = sum(1 for _ in samples)
    most = min(count, config.distil.max_samples or count)
    return dataclasses.replace(config, distil=dataclasses.replace(config.distil, max_samples=most))


def from_tables(config: Build, say: Callable[[str], object], reason: str) -> bool:
    """Says the plan of a build from the numbers of well-known models and data.

    Args:
        config: the settings.
        say: is given each line.
        reason: why the data themselves are not there.

    Returns:
        False where the numbers are not known, as those of a student that was named; then nothing is
        said.
    """
    if (sizes := known(config)) is None or config.student.model:
        return False
    say(f"planned from known numbers, since {reason}")
    shape, count = sizes
    head = config.teacher.model in HEADS
    planned = stages(config, shape, count, learned=count, has_mlm_head=head)
    for line in lines(list(planned), timed(config, shape) if config.measure else None):
        say(line)
    return True
