# SPDX-License-Identifier: Apache-2.0
"""Every training of a build on tiny models, to compare one process with many.

Started as a program by a launcher such as `torchrun`, it trains all stages:

    training_stages.py [--shard] [--bf16] TEACHER FOLDER ...

A folder named `cut` gets trainings that are cut off, and all of them are after one step in bf16.
With --shard, every process also asserts that
it holds no more than its part of what it trains.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import (
    AutoTokenizer,
    BertForMaskedLM,
    BertForQuestionAnswering,
    DistilBertForMaskedLM,
    DistilBertForQuestionAnswering,
)

from pipeline import ranks
from pipeline.config import Distil, Finetune, Hardware, MlmHead, Optimization
from pipeline.models.student import build_student, student_state
from pipeline.tasks import finetune
from pipeline.tasks.outputs import TeacherOutputs, record_outputs
from pipeline.tasks.question_answering import TASK
from pipeline.tasks.question_answering.features import Feature, Window
from pipeline.training import distil
from pipeline.training.batches import Schedule
from pipeline.training.distil import Masking, count_pieces
from pipeline.training.sharding import Sharded
from pipeline.training.stream import Stream
from pipeline.training.trainer import LossTrainer

CPU = Hardware(device="cpu", precision="fp32", progress=False, workers=0)
# 23 examples in batches of 5: the last one is short.  AdamW divides by the size of the gradient, so
# that rounding decides the step of a weight whose gradient is 0, such as a key's bias; the epsilon
# keeps those still.
HOW = Optimization(
    epochs=1, batch_size=5, learning_rate=1e-3, warmup=0.0, checkpoint_steps=2, epsilon=1e-3,
    dropout=0.0, attention_dropout=0.0,
)  # fmt: skip
LAYERS = (0, 2)
# Of the teacher: no batch here has as many tokens, and two processes cannot halve 101 rows.
SIZES = {"hidden_size": 92, "intermediate_size": 101}


def samples() -> list[np.ndarray]:
    """`[CLS] pieces [SEP]` of many lengths."""
    rng = np.random.default_rng(0)
    return [np.array([2, *rng.integers(5, 60, 8 + i % 13), 3], np.int32) for i in range(23)]


def features() -> list[Feature]:
    """Windows of a question and a passage, of many lengths."""
    found = []
    for i, sample in enumerate(samples()):
        ids = np.array([*sample[:4], 3, *sample[4:]], np.int32)
        segments = (np.arange(len(ids)) > 4).astype(np.int32)
        offsets = np.zeros((len(ids) - 6, 2), np.int32)
        found.append(Feature(Window(ids, segments, offsets, 5), 5 + i % 3, 6 + i % 3))
    return found


def streamed(data: list[np.ndarray]) -> Stream:
    """A stream of the samples, which are all as long."""

    def pack(documents: Iterable[str]) -> Iterator[np.ndarray]:
        return (data[int(document)][:10] for document in documents)

    return Stream([lambda: map(str, range(10, 23))], pack, 5, 128)


def train(
    teacher_folder: Path, folder: Path, hardware: Hardware = CPU, leave_out: Collection[str] = ()
) -> dict[str, dict[str, Tensor]]:
    """Trains every stage below a folder, each from the same models; gives the tensors of each."""
    tokenizer = AutoTokenizer.from_pretrained(teacher_folder)
    data = samples()
    make = Masking(tokenizer, count_pieces(data, len(tokenizer)), share=0.15, smoothing=0.7, seed=4)
    common: dict[str, Any] = {"hardware": hardware, "seed": 3}

    def masked_lm() -> Any:
        torch.manual_seed(0)
        return BertForMaskedLM.from_pretrained(teacher_folder)

    def answering() -> Any:
        torch.manual_seed(0)
        return BertForQuestionAnswering.from_pretrained(teacher_folder)

    def student_of(kind: Any, teacher: Any) -> Any:
        state = student_state(teacher.state_dict(), LAYERS)
        return build_student(kind, teacher.config, state, LAYERS, seed=0)

    def head(scratch: Path) -> Any:
        teacher = masked_lm()
        distil.fit_mlm_head(
            teacher, make, data, data[:4], config=MlmHead(HOW), scratch=scratch, **common
        )
        return teacher

    def general(
        scratch: Path, stream: bool = False, hardware: Hardware = hardware, **changes: Any
    ) -> Any:
        teacher = masked_lm()
        how = replace(HOW, max_steps=20 if stream else None)
        config = replace(Distil(optimization=how), **changes)
        student = student_of(DistilBertForMaskedLM, teacher)
        lengths = [len(each) for each in data]
        examples = streamed(data) if stream else Schedule(data, lengths, 5, 1.0, 3)
        distil.distil(
            student, teacher, LAYERS, examples, make,
            config=config, hardware=hardware, seed=3, scratch=scratch,
        )  # fmt: skip
        return student

    def teach(scratch: Path) -> Any:
        teacher = answering()
        finetune.finetune_teacher(
            TASK, teacher, features(), 0, optimization=HOW, scratch=scratch, **common
        )
        return teacher

    def chosen(scratch: Path) -> Any:
        teacher = answering()
        before = teacher.qa_outputs.weight.detach().clone()

        def measure(model: Any) -> tuple[str, float]:
            assert ranks.FIRST, "one process measures"
            return "near", -float((model.qa_outputs.weight.detach() - before).norm())

        how = replace(HOW, eval_steps=2, keep_best=True, patience=1)
        result = finetune.finetune_teacher(
            TASK, teacher, features(), 0,
            optimization=how, scratch=scratch, measure=measure, **common,
        )  # fmt: skip
        assert result.scores["best_step"] == 2, "the nearest to where it began"
        return teacher

    def second(scratch: Path) -> Any:
        teacher, outputs = answering().eval(), scratch.with_name("outputs")
        outputs.mkdir(exist_ok=True)
        if ranks.FIRST:
            record_outputs(TASK, teacher, features(), 0, LAYERS, outputs, 4, CPU)
        ranks.wait()
        student = student_of(DistilBertForQuestionAnswering, teacher)
        config = Finetune(optimization=HOW, alpha_hidden=1.0)
        finetune.finetune_student(
            TASK, student, features(), 0,
            outputs=TeacherOutputs(outputs), config=config, scratch=scratch, **common,
        )  # fmt: skip
        return student

    stages: dict[str, Callable[[Path], Any]] = {
        "teacher": teach,
        "chosen": chosen,
        "mlm-head": head,
        "distilled": partial(general, alpha_hidden=1.0),
        "distilled-masked": partial(general, ce_on="masked", train_embeddings=False),
        # Heads without a gradient, and several micro-batches a step whose gradients are clipped.
        "distilled-states": partial(
            general,
            alpha_ce=0.0,
            alpha_mlm=0.0,
            optimization=replace(HOW, device_batch=1, max_grad_norm=0.1, weight_decay=0.1),
            hardware=replace(hardware, gradient_checkpointing=True),
        ),
        "streamed": partial(general, stream=True),
        "student": second,
    }
    found: dict[str, dict[str, Tensor]] = {}
    for name, stage in stages.items():
        if name in leave_out:
            continue
        (folder / name).mkdir(parents=True, exist_ok=True)
        state = stage(folder / name / "scratch").state_dict()
        found[name] = {key: tensor.clone() for key, tensor in state.items()}
    return found


def cut_off(
    teacher_folder: Path, folder: Path, hardware: Hardware = CPU, steps: int = 3
) -> dict[str, dict[str, Tensor]]:
    """As :func:`train`, for a few steps; of three, the checkpoint holds two.

    One step is too few for the training that is scored, which is left out then.
    """

    def cut(trainer: LossTrainer) -> None:
        trainer.control.should_training_stop = trainer.state.global_step == steps - 1

    with before_each_step(cut):
        return train(teacher_folder, folder, hardware, ("chosen",) if steps == 1 else ())


@contextlib.contextmanager
def before_each_step(act: Callable[[LossTrainer], None]) -> Iterator[None]:
    """Within it, `act` is called before the optimizer's step of every training."""
    end_step = LossTrainer.end_step

    def both(self: LossTrainer) -> None:
        act(self)
        end_step(self)

    LossTrainer.end_step = both  # type: ignore[method-assign]
    try:
        yield
    finally:
        LossTrainer.end_step = end_step  # type: ignore[method-assign]


def assert_parts(trainer: LossTrainer) -> None:
    """Every process holds its part of the weights, their gradients and AdamW's averages.

    Two processes share every tensor evenly, but for those with an odd number of rows.
    """

    def held(tensors: list[Any]) -> tuple[int, int]:
        """Bytes in the memory of this process, which tensors may share, and of all processes'."""
        blocks = [each.to_local().untyped_storage() for each in tensors]
        own = {block.data_ptr(): block.nbytes() for block in blocks}
        return sum(own.values()), sum(each.nbytes for each in tensors)

    weights = list(trainer.model.parameters())
    gradients = [each.grad for each in weights if each.grad is not None]
    averages = [
        average
        for state in trainer.optimizer.state.values()
        for name, average in state.items()
        if name != "step"
    ]
    for tensors in (weights, gradients, averages):
        own, whole = held(tensors)
        assert abs(own - whole / ranks.WORLD) <= 0.02 * whole, (own, whole)
    assert gradients
    counted.append(trainer.state.global_step)


@contextlib.contextmanager
def gives_back_layers() -> Iterator[None]:
    """Within it, a sharded forward pass keeps no matrix of a layer for the backward pass.

    What autograd remembers of them has no memory then: they are gathered again.  Looked at are
    those of the feed-forward layers, which their sizes tell from activations.
    """
    forward = Sharded.forward

    def watched(self: Any, batch: Any) -> Any:
        kept: list[Tensor] = []

        def look(tensor: Tensor) -> Tensor:
            if sorted(tensor.shape) == sorted(SIZES.values()):
                kept.append(tensor)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(look, lambda tensor: tensor):
            parts = forward(self, batch)
        assert not any(tensor.untyped_storage().nbytes() for tensor in kept)
        looked_at.append(len(kept))
        return parts

    Sharded.forward = watched  # type: ignore[method-assign]
    try:
        yield
    finally:
        Sharded.forward = forward  # type: ignore[method-assign]


looked_at: list[int] = []  # matrices of each forward pass
counted: list[int] = []  # the steps that were looked at


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--shard", action="store_true")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("teacher", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    given = parser.parse_args()
    hardware = replace(CPU, shard=given.shard, precision="bf16" if given.bf16 else "fp32")
    with contextlib.ExitStack() as watches:
        if given.shard:
            watches.enter_context(before_each_step(assert_parts))
            watches.enter_context(gives_back_layers())
        for folder in given.folders:
            if given.bf16:
                states = cut_off(given.teacher, folder, hardware, steps=1)
            else:
                run = cut_off if folder.name == "cut" else train
                states = run(given.teacher, folder, hardware)
            if ranks.FIRST:
                torch.save(states, folder / "states.pt")
    assert not given.shard or (counted and max(looked_at))
    ranks.wait()


if __name__ == "__main__":
    main()
