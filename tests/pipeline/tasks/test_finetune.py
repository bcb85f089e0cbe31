# SPDX-License-Identifier: Apache-2.0
"""The second distillation step: its loss by hand, the teacher's outputs on disk, both trainings."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import MakeTeacher
from transformers import BertForQuestionAnswering, DistilBertForQuestionAnswering
from transformers.modeling_outputs import QuestionAnsweringModelOutput

from pipeline.config import Finetune, Hardware, Optimization
from pipeline.errors import UserError
from pipeline.models.student import build_student, student_state
from pipeline.tasks import finetune
from pipeline.tasks.finetune import Collate, student_loss
from pipeline.tasks.outputs import TeacherOutputs, record_outputs
from pipeline.tasks.question_answering import TASK
from pipeline.tasks.question_answering.features import Feature, Window
from pipeline.training import precision

CPU = Hardware(device="cpu", precision="fp32", progress=False)
PAD = 0


def feature(length: int, start: int = 0, end: int = 0, seed: int = 0) -> Feature:
    """`[CLS] 3 pieces [SEP] passage [SEP]` of `length` tokens."""
    body = np.random.default_rng(seed).integers(5, 160, length - 3)
    ids = np.array([2, *body[:3], 3, *body[3:], 3], np.int32)
    segments = (np.arange(length) > 4).astype(np.int32)
    offsets = np.stack([np.arange(length - 6), np.arange(length - 6) + 1], 1).astype(np.int32)
    return Feature(Window(ids, segments, offsets, 5), start, end)


def features(count: int) -> list[Feature]:
    return [feature(12 + 3 * (i % 4), 5 + i % 3, 6 + i % 3, seed=i) for i in range(count)]


def numbered(items: Sequence[Feature]) -> list[tuple[int, tuple[int, Feature]]]:
    return [(100 + i, (i, item)) for i, item in enumerate(items)]


@pytest.fixture(scope="module")
def teacher(make_teacher: MakeTeacher) -> Any:
    return BertForQuestionAnswering.from_pretrained(make_teacher(layers=4, head="qa")).eval()


@pytest.fixture
def student(teacher: Any) -> Any:
    state = student_state(teacher.state_dict(), (1, 3))
    return build_student(DistilBertForQuestionAnswering, teacher.config, state, (1, 3), seed=0)


def test_batch_is_padded_at_the_end(tmp_path: Path) -> None:
    short, long = feature(9, 5, 6), feature(11, 0, 0)
    batch = Collate(TASK, 7)(numbered([short, long]))
    assert batch["input_ids"].shape == (2, 11)
    assert batch["input_ids"][0].tolist() == [*short.window.ids.tolist(), 7, 7]
    assert batch["input_ids"][1].tolist() == long.window.ids.tolist()
    assert batch["attention_mask"].tolist() == [[1] * 9 + [0] * 2, [1] * 11]
    assert batch["token_type_ids"].tolist() == [[0] * 5 + [1] * 4 + [0] * 2, [0] * 5 + [1] * 6]
    assert batch["start"].tolist() == [5, 0] and batch["end"].tolist() == [6, 0]
    assert {tensor.dtype for tensor in batch.values()} == {torch.int64}


@pytest.mark.parametrize(
    ("length", "most", "padded"), [(9, 40, 16), (16, 40, 16), (33, 40, 40), (33, 33, 33), (9, 0, 9)]
)
def test_lengths_of_batches_are_rounded_up_to_the_longest_at_most(
    length: int, most: int, padded: int
) -> None:
    batch = Collate(TASK, 7, most=most)(numbered([feature(length, 5, 6)]))
    assert {batch[name].shape[1] for name in ("input_ids", "token_type_ids")} == {padded}
    assert batch["attention_mask"].tolist() == [[1] * length + [0] * (padded - length)]
    assert batch["input_ids"][0, length:].tolist() == [7] * (padded - length)


# The loss


class Fixed(torch.nn.Module):
    """A student that gives chosen logits and hidden states."""

    def __init__(self, start: Any, end: Any, hidden: Any = ()) -> None:
        super().__init__()
        self.output = QuestionAnsweringModelOutput(
            start_logits=torch.tensor(start), end_logits=torch.tensor(end), hidden_states=hidden
        )

    def forward(self, **_: Any) -> Any:
        return self.output


LN2, LN3 = math.log(2), math.log(3)


def hand_batch(**more: Any) -> dict[str, torch.Tensor]:
    return {
        "input_ids": torch.tensor([[2, 9, 0]]),
        "attention_mask": torch.tensor([[1, 1, 0]]),
        "start": torch.tensor([1]),
        "end": torch.tensor([0]),
        **more,
    }


def test_gold_loss_by_hand() -> None:
    # Start: softmax of (0, ln 3) over the two tokens is (1/4, 3/4); gold is the second: -ln 3/4.
    # End: softmax of (0, 0) is (1/2, 1/2): ln 2.  The third position is padding and counts for
    # nothing, large as its logits are.
    model = Fixed([[0.0, LN3, 50.0]], [[0.0, 0.0, 50.0]])
    parts = student_loss(TASK, model, hand_batch(), Finetune(), with_teacher=False)
    assert parts.keys() == {"gold"}
    assert float(parts["gold"]) == pytest.approx((math.log(4 / 3) + LN2) / 2, rel=1e-5)


def test_divergence_from_the_teacher_by_hand() -> None:
    # T = 2.  Student start (0, 2 ln 3) / 2: q = (1/4, 3/4); teacher (0, 0): p = (1/2, 1/2);
    # KL = 1/2 ln(1/2 : 1/4) + 1/2 ln(1/2 : 3/4) = 1/2 ln 2 + 1/2 ln(2/3) = 1/2 ln(4/3).
    # End: both (0, 2 ln 3), KL = 0.  Mean of the two, times T^2 = 4, times the weight 0.25.
    model = Fixed([[0.0, 2 * LN3, 50.0]], [[0.0, 2 * LN3, 9.0]])
    batch = hand_batch(
        teacher_0=torch.tensor([[0.0, 0.0, 0.0]]),
        teacher_1=torch.tensor([[0.0, 2 * LN3, 0.0]]),
    )
    config = Finetune(alpha_ce=0.25, alpha_gold=0.1, temperature=2.0)
    parts = student_loss(TASK, model, batch, config, with_teacher=True)
    assert parts.keys() == {"gold", "ce"}
    assert float(parts["ce"]) == pytest.approx(0.25 * 4 * (0.5 * math.log(4 / 3)) / 2, rel=1e-5)
    # Gold: start -ln(9/10), end -ln(1/10) of softmax (0, 2 ln 3) = (1/10, 9/10).
    gold = (math.log(10 / 9) + math.log(10)) / 2
    assert float(parts["gold"]) == pytest.approx(0.1 * gold, rel=1e-5)


def test_hidden_state_loss_by_hand() -> None:
    # Two layers, two tokens, two dimensions; the third token is padding.
    # Layer 1: difference (1, 0), (0, 0): mean square 1/4; the teacher's mean is (2, 2), variance 1.
    # Layer 2: equal.  Mean over the layers 1/8, weight 2: 1/4.
    learned = torch.tensor([[[2.0, 1.0], [3.0, 3.0], [9.0, 9.0]]])
    taught = torch.tensor([[[1.0, 1.0], [3.0, 3.0], [0.0, 0.0]]])
    model = Fixed([[0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0]], (torch.zeros(1), learned, learned))
    same = learned * torch.tensor([1.0, 1.0, 0.0])[:, None]
    batch = hand_batch(
        teacher_0=torch.zeros(1, 3),
        teacher_1=torch.zeros(1, 3),
        teacher_hidden=torch.stack([taught, same], dim=1),
    )
    config = Finetune(alpha_hidden=2.0, alpha_ce=0.0)
    parts = student_loss(TASK, model, batch, config, with_teacher=True)
    assert parts.keys() == {"gold", "hidden"}
    assert float(parts["hidden"]) == pytest.approx(0.25, rel=1e-5)


def test_padding_does_not_change_the_loss(student: Any, teacher: Any, tmp_path: Path) -> None:
    data = features(3)
    record_outputs(TASK, teacher, data, PAD, (1, 3), tmp_path, 2, CPU)
    config = Finetune(alpha_hidden=1.0)
    narrow = Collate(TASK, PAD, TeacherOutputs(tmp_path))(numbered(data))
    wider = {
        name: torch.nn.functional.pad(
            tensor, (0, 0, 0, 7) if name == "teacher_hidden" else (0, 7) if tensor.ndim > 1 else ()
        )
        for name, tensor in narrow.items()
    }
    one, two = (
        student_loss(TASK, student.eval(), batch, config, with_teacher=True)
        for batch in (narrow, wider)
    )
    for name in ("gold", "ce", "hidden"):
        assert torch.allclose(one[name], two[name], rtol=1e-4), name  # float32


# The teacher's outputs


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_recorded_outputs_are_those_of_a_direct_forward(
    tmp_path: Path, teacher: Any, batch_size: int
) -> None:
    data = features(7)
    facts = record_outputs(TASK, teacher.train(), data, PAD, (0, 3), tmp_path, batch_size, CPU)
    assert facts == {
        "features": 7,
        "tokens": sum(f.length for f in data),
        "hidden_layers": 2,
        "precision": "fp32",
    }
    tokens = facts["tokens"]
    assert (tmp_path / "logits.f32").stat().st_size == tokens * 2 * 4
    assert (tmp_path / "hidden.f16").stat().st_size == tokens * 2 * 32 * 2
    outputs = TeacherOutputs(tmp_path)
    numbers = [4, 0, 6]
    batch = outputs.batch(numbers, 30)
    assert batch["teacher_0"].shape == (3, 30)
    assert batch["teacher_hidden"].shape == (3, 2, 30, 32)
    assert {tensor.dtype for tensor in batch.values()} == {torch.float32}
    for row, number in enumerate(numbers):
        window = data[number].window
        with torch.no_grad():
            direct = teacher.eval()(
                input_ids=torch.from_numpy(window.ids)[None].long(),
                token_type_ids=torch.from_numpy(window.segment_ids)[None].long(),
                output_hidden_states=True,
            )
        length = len(window.ids)
        # Logits are float32, in sums of another order; of hidden states float16 keeps 11 bits, that
        # is 2 ** -11 of the value. The absolute part is for values near 0.
        pairs = [
            (batch["teacher_0"][row], direct.start_logits[0], 1e-5),
            (batch["teacher_1"][row], direct.end_logits[0], 1e-5),
            (batch["teacher_hidden"][row, 0], direct.hidden_states[1][0], 2**-10),
            (batch["teacher_hidden"][row, 1], direct.hidden_states[4][0], 2**-10),
        ]
        for found, expected, relative in pairs:
            assert torch.allclose(found[:length], expected, rtol=relative, atol=relative / 10)
            assert not found[length:].any(), "padding is zero"


def test_in_bf16_the_outputs_are_near_and_attention_is_put_back(
    tmp_path: Path, teacher: Any
) -> None:
    data, found = features(7), []
    for kind in ("fp32", "bf16"):
        folder = tmp_path / kind
        folder.mkdir()
        how = replace(CPU, precision=kind)
        facts = record_outputs(TASK, teacher, data, PAD, (3,), folder, 4, how)
        assert facts["precision"] == kind
        found.append(TeacherOutputs(folder).batch(range(7), 30))
    for name, exact in found[0].items():
        # bf16 keeps 8 bits; four layers of them add up
        assert torch.allclose(found[1][name], exact, atol=2**-5 * float(exact.abs().max())), name
        assert not torch.equal(found[1][name], exact)
    assert teacher.config._attn_implementation == "sdpa"


def test_a_precision_is_timed_where_there_are_many_passes() -> None:
    auto, tried, device = replace(CPU, precision="auto"), [], torch.device("cpu")

    def run(kind: str) -> None:
        tried.append(kind)
        time.sleep(0.02 * (kind == "fp32"))

    assert precision.of_passes(run, precision.WORTH_TIMING - 1, auto, device) == "fp32"
    assert not tried, "a few passes are not worth timing"
    assert precision.of_passes(run, precision.WORTH_TIMING, auto, device) == "bf16"
    assert tried == ["fp32", "bf16"] * 3
    with pytest.raises(UserError, match="needs a GPU"):
        precision.of_passes(run, 1, replace(CPU, precision="fp16"), device)


def test_without_layers_no_hidden_states_are_kept(tmp_path: Path, teacher: Any) -> None:
    facts = record_outputs(TASK, teacher, features(2), PAD, (), tmp_path, 2, CPU)
    assert facts["hidden_layers"] == 0
    assert {p.name for p in tmp_path.iterdir()} == {"index.json", "logits.f32"}
    assert TeacherOutputs(tmp_path).batch([1], 20).keys() == {"teacher_0", "teacher_1"}


def test_teacher_is_not_trained_by_recording(tmp_path: Path, teacher: Any) -> None:
    before = teacher.qa_outputs.weight.clone()
    record_outputs(TASK, teacher, features(2), PAD, (), tmp_path, 2, CPU)
    assert torch.equal(teacher.qa_outputs.weight, before)
    assert teacher.qa_outputs.weight.grad is None


def test_collator_finds_the_outputs_by_number_and_not_by_place(
    tmp_path: Path, teacher: Any
) -> None:
    data = features(5)
    record_outputs(TASK, teacher, data, PAD, (), tmp_path, 2, CPU)
    outputs = TeacherOutputs(tmp_path)
    batch = Collate(TASK, PAD, outputs)([(8, (4, data[4])), (9, (1, data[1]))])
    assert torch.equal(batch["teacher_0"][0, : data[4].length], outputs_of(outputs, 4))
    assert torch.equal(batch["teacher_0"][1, : data[1].length], outputs_of(outputs, 1))


def outputs_of(outputs: TeacherOutputs, number: int) -> torch.Tensor:
    begin, stop = outputs.begins[number], outputs.begins[number + 1]
    return torch.from_numpy(np.array(outputs.logits[begin:stop, 0], np.float32))


# The trainings


HOW = Optimization(
    epochs=6, batch_size=4, learning_rate=3e-3, warmup=0.0, checkpoint_steps=6, dropout=0.1
)


def test_teacher_learns_the_answers(tmp_path: Path, make_teacher: MakeTeacher) -> None:
    model = BertForQuestionAnswering.from_pretrained(make_teacher(layers=2))
    data = features(16)
    batch = Collate(TASK, PAD)(numbered(data))

    def loss() -> float:
        with torch.no_grad():
            out = model.eval()(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                token_type_ids=batch["token_type_ids"],
                start_positions=batch["start"],
                end_positions=batch["end"],
            )
        return float(out.loss)

    before = loss()
    result = finetune.finetune_teacher(
        TASK, model, data, PAD, optimization=HOW, hardware=CPU, seed=1, scratch=tmp_path
    )
    assert (result.steps, result.examples) == (24, 96)
    assert loss() < 0.7 * before


def train_student(
    scratch: Path, student: Any, outputs: TeacherOutputs | None, **changes: Any
) -> dict[str, torch.Tensor]:
    config = Finetune(optimization=HOW, **changes)
    finetune.finetune_student(
        TASK,
        student,
        features(12),
        PAD,
        outputs=outputs,
        config=config,
        hardware=CPU,
        seed=2,
        scratch=scratch,
    )
    assert all(p.requires_grad for p in student.parameters())
    return {name: tensor.clone() for name, tensor in student.state_dict().items()}


def test_second_step_brings_the_student_nearer_to_its_teacher(
    tmp_path: Path, student: Any, teacher: Any
) -> None:
    data = features(12)
    (tmp_path / "outputs").mkdir()
    record_outputs(TASK, teacher, data, PAD, (1, 3), tmp_path / "outputs", 4, CPU)
    outputs = TeacherOutputs(tmp_path / "outputs")
    batch = Collate(TASK, PAD, outputs)(numbered(data))
    config = Finetune(alpha_hidden=1.0, alpha_gold=0.0)

    def distance() -> dict[str, float]:
        with torch.no_grad():
            parts = student_loss(TASK, student.eval(), batch, config, with_teacher=True)
        return {name: float(value) for name, value in parts.items()}

    before = distance()
    tables = student.distilbert.embeddings.word_embeddings.weight.clone()
    train_student(
        tmp_path / "scratch",
        student,
        outputs,
        alpha_hidden=1.0,
        alpha_gold=0.0,
        train_embeddings=False,
    )
    after = distance()
    assert after["ce"] < 0.7 * before["ce"] and after["hidden"] < before["hidden"]
    assert torch.equal(student.distilbert.embeddings.word_embeddings.weight, tables)


def test_student_without_a_teacher_trains_on_the_gold_answers_alone(
    tmp_path: Path, student: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[str] = set()
    loss = finetune.student_loss

    def spied(*arguments: Any, **named: Any) -> Any:
        parts = loss(*arguments, **named)
        seen.update(parts)
        return parts

    monkeypatch.setattr(finetune, "student_loss", spied)
    train_student(tmp_path, student, None)
    assert seen == {"gold"}
