# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.config import Distil, Finetune
from pipeline.settings import loss_weights
from pipeline.tasks.finetune import STUDENT_LOSS
from pipeline.training import losses
from pipeline.training.distil import TRIPLE_LOSS
from pipeline.training.losses import (
    IGNORED,
    Term,
    cosine_loss,
    described,
    distillation_loss,
    hidden_state_loss,
    mask_padding,
    masked_lm_loss,
    span_distillation_loss,
    span_loss,
    weighted,
)

LN3 = math.log(3.0)  # softmax of (ln 3, 0) is (3/4, 1/4)
EXACT = {"abs": 1e-6}  # float32 keeps seven digits


def logits(*rows: list[float]) -> Tensor:
    return torch.tensor(rows)


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_distillation_by_hand() -> None:
    # p = (3/4, 1/4), q = (1/2, 1/2): 3/4 ln(3/2) + 1/4 ln(1/2) = 0.304099 - 0.173287
    assert float(distillation_loss(logits([0.0, 0.0]), logits([LN3, 0.0]), 1.0)) == pytest.approx(
        0.130812, **EXACT
    )


def test_distillation_is_from_teacher_to_student() -> None:
    # The other way round: 1/2 ln(2/3) + 1/2 ln 2 = -0.202733 + 0.346574
    assert float(distillation_loss(logits([LN3, 0.0]), logits([0.0, 0.0]), 1.0)) == pytest.approx(
        0.143841, **EXACT
    )


def test_distillation_scales_with_the_square_of_the_temperature() -> None:
    # At T = 2 the teacher's (2 ln 3, 0) softens to the same (3/4, 1/4): 4 * 0.130812
    assert float(
        distillation_loss(logits([0.0, 0.0]), logits([2 * LN3, 0.0]), 2.0)
    ) == pytest.approx(0.523248, **EXACT)


def test_distillation_is_averaged_over_rows_not_classes() -> None:
    student, teacher = logits([0.0, 0.0], [1.0, 1.0]), logits([LN3, 0.0], [7.0, 7.0])
    assert float(distillation_loss(student, teacher, 1.0)) == pytest.approx(0.130812 / 2, **EXACT)


def test_the_gradient_of_distillation_by_hand() -> None:
    # d/dlogits of T^2 KL is T (q - p): 2 * ((1/2, 1/2) - (3/4, 1/4))
    student = logits([0.0, 0.0]).requires_grad_()
    distillation_loss(student, logits([2 * LN3, 0.0]), 2.0).backward()
    assert student.grad is not None
    assert student.grad.tolist()[0] == pytest.approx([-0.5, 0.5], **EXACT)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 10.0])
def test_distillation_is_soft_cross_entropy_less_the_entropy(temperature: float) -> None:
    student, teacher = random(7, 11, seed=0), random(7, 11, seed=1)
    p = F.softmax(teacher / temperature, -1)
    expected = F.cross_entropy(student / temperature, p) + (p * p.log()).sum(-1).mean()
    found = distillation_loss(student, teacher, temperature)
    assert float(found) == pytest.approx(float(expected) * temperature**2, rel=1e-4)


def test_distillation_of_equals_is_nothing_and_shifts_do_not_count() -> None:
    teacher = random(3, 5, seed=2)
    assert float(distillation_loss(teacher + 3.0, teacher, 2.0)) == pytest.approx(0.0, abs=1e-6)


def test_distillation_of_no_rows_is_zero_with_a_gradient() -> None:
    weight = torch.ones(2, requires_grad=True)
    loss = distillation_loss(weight * torch.zeros(0, 2), torch.zeros(0, 2), 2.0)
    loss.backward()
    assert loss.item() == 0.0
    assert weight.grad is not None
    assert weight.grad.tolist() == [0.0, 0.0]


def test_masked_lm_by_hand() -> None:
    # Row 0: -ln 3/4 = 0.287682; row 1 is ignored; row 2: ln 2 = 0.693147
    found = masked_lm_loss(
        logits([0.0, LN3], [9.0, 0.0], [5.0, 5.0]), torch.tensor([1, IGNORED, 0])
    )
    assert float(found) == pytest.approx((0.287682 + 0.693147) / 2, **EXACT)


def test_masked_lm_without_a_masked_token_is_zero_with_a_gradient() -> None:
    student = random(3, 4, seed=3).requires_grad_()
    loss = masked_lm_loss(student, torch.full((3,), IGNORED))
    loss.backward()
    assert loss.item() == 0.0
    assert student.grad is not None
    assert float(student.grad.abs().sum()) == 0.0


def test_cosine_by_hand() -> None:
    # Alike 0, at right angles 1, opposite 2; lengths do not count.
    student = logits([1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [3.0, 4.0])
    teacher = logits([5.0, 0.0], [0.0, 2.0], [-3.0, 0.0], [4.0, 3.0])
    # (3, 4) and (4, 3): 24/25
    assert float(cosine_loss(student, teacher)) == pytest.approx((0 + 1 + 2 + 0.04) / 4, **EXACT)


def test_hidden_states_by_hand() -> None:
    teacher = logits([2.0, 0.0], [0.0, 2.0])
    assert float(hidden_state_loss(teacher, teacher)) == 0.0
    # The mean over the tokens is (1, 1), and every value is 1 away from it: variance 1.
    assert float(hidden_state_loss(torch.ones(2, 2), teacher)) == pytest.approx(1.0, **EXACT)
    # One of four values is off by 1
    student = logits([1.0, 0.0], [0.0, 2.0])
    assert float(hidden_state_loss(student, teacher)) == pytest.approx(0.25, **EXACT)
    # What all tokens share does not count, nor does the size.
    for shift, scale in ((0.0, 100.0), (7.0, 1.0)):
        moved = hidden_state_loss(scale * student + shift, scale * teacher + shift)
        assert float(moved) == pytest.approx(0.25, **EXACT)


def test_hidden_states_of_a_silent_teacher_give_a_finite_loss() -> None:
    assert math.isfinite(float(hidden_state_loss(torch.ones(2, 2), torch.zeros(2, 2))))


def test_span_by_hand() -> None:
    start, end = logits([0.0, LN3]), logits([0.0, 0.0])
    found = span_loss(start, end, torch.tensor([1]), torch.tensor([0]))
    assert float(found) == pytest.approx((0.287682 + 0.693147) / 2, **EXACT)


def test_span_distillation_is_the_mean_over_start_and_end() -> None:
    student = (logits([0.0, 0.0]), logits([LN3, 0.0]))
    teacher = (logits([LN3, 0.0]), logits([0.0, 0.0]))
    found = span_distillation_loss(student, teacher, 1.0)
    assert float(found) == pytest.approx((0.130812 + 0.143841) / 2, **EXACT)


def test_padding_is_replaced_by_a_large_finite_number() -> None:
    mask = torch.tensor([[1, 1, 0]])
    assert mask_padding(logits([1.0, -2.0, 3.0]), mask).tolist() == [[1.0, -2.0, -1e4]]


@pytest.mark.parametrize("temperature", [1.0, 2.0, 10.0])
def test_padding_changes_no_loss(temperature: float) -> None:
    student, teacher = (random(2, 6, seed=seed) for seed in (4, 5))
    filling = 50 * random(2, 3, seed=6)  # what a model says of padding is anything
    padded = [
        mask_padding(torch.cat([x, filling], 1), torch.tensor([[1] * 6 + [0] * 3] * 2))
        for x in (student, teacher)
    ]
    labels = torch.tensor([2, 5])
    distilled = distillation_loss(padded[0], padded[1], temperature)
    expected = distillation_loss(student, teacher, temperature)
    assert float(distilled) == pytest.approx(float(expected), rel=1e-5)
    gold = span_loss(padded[0], padded[0], labels, labels)
    assert float(gold) == pytest.approx(
        float(span_loss(student, student, labels, labels)), rel=1e-5
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    student, teacher = (random(4, 9, seed=seed).to(dtype) for seed in (7, 8))
    labels = torch.tensor([0, 3, IGNORED, 8])
    places = torch.tensor([1, 2, 3, 4])
    wide, target = student.float(), teacher.float()
    mask = torch.ones(4, 9)
    for found, expected in (
        (distillation_loss(student, teacher, 2.0), distillation_loss(wide, target, 2.0)),
        (masked_lm_loss(student, labels), masked_lm_loss(wide, labels)),
        (cosine_loss(student, teacher), cosine_loss(wide, target)),
        (hidden_state_loss(student, teacher), hidden_state_loss(wide, target)),
        (span_loss(student, teacher, places, places), span_loss(wide, target, places, places)),
        (mask_padding(student, mask), wide),
    ):
        assert found.dtype == torch.float32
        assert torch.equal(found, expected)


# Tables of losses


def test_a_table_adds_up_its_weighted_losses_and_computes_none_of_weight_zero() -> None:
    table: tuple[Term[float], ...] = (
        Term("square", "alpha_a", "the square", lambda x: torch.tensor(x * x)),
        Term("never", "alpha_b", "nothing", lambda x: torch.tensor([])[1]),
        Term("double", "alpha_c", "the double", lambda x: torch.tensor(2 * x)),
    )
    settings = {"alpha_a": 0.5, "alpha_b": 0.0, "alpha_c": 3.0}
    parts = weighted(table, 4.0, SimpleNamespace(**settings))
    assert {name: float(part) for name, part in parts.items()} == {"square": 8.0, "double": 24.0}
    assert described(table, settings) == "0.5 for the square, 3 for the double"


@pytest.mark.parametrize(
    ("table", "settings"), [(TRIPLE_LOSS, Distil()), (STUDENT_LOSS, Finetune())]
)
def test_each_weight_of_the_settings_is_that_of_one_loss(table: Any, settings: Any) -> None:
    """A row without a setting, or a setting without a row, is a loss that is never counted."""
    assert sorted(term.weight for term in table) == sorted(loss_weights(settings))
    assert len({term.name for term in table}) == len(table)


def test_divergence_in_chunks_is_the_whole_one(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(23, 50, generator=generator)
    taught = torch.randn(23, 50, generator=generator)
    monkeypatch.setattr(losses.ChunkedDivergence, "ROWS", 5)
    for precision, tolerance in ((torch.float32, 1e-6), (torch.bfloat16, 1e-2)):
        values, gradients = [], []
        for way in (losses.distillation_loss, losses.ChunkedDivergence.apply):
            student = logits.to(precision, copy=True).requires_grad_(True)
            value = way(student, taught.to(precision), 2.0)
            (3 * value).backward()
            values.append(float(value.detach()))
            assert student.grad is not None and student.grad.dtype == precision
            gradients.append(student.grad.float())
        assert values[0] == pytest.approx(values[1], rel=1e-6)
        assert torch.allclose(*gradients, rtol=tolerance, atol=1e-7)
