# SPDX-License-Identifier: Apache-2.0
"""Masking, the triple loss against a restatement on full forwards, and the fitted MLM head."""

from __future__ import annotations

import copy
import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import MakeTeacher
from torch.nn import functional as F
from transformers import BertForMaskedLM, DistilBertForMaskedLM

from pipeline.config import Distil, Hardware, MlmHead, Optimization
from pipeline.models.student import build_student, student_state
from pipeline.training import distil, losses
from pipeline.training import loop as training
from pipeline.training.batches import Schedule
from pipeline.training.distil import Masking, count_pieces, triple_loss
from pipeline.training.stream import Stream

WEIGHTS = ("weight", "bias")
CPU = Hardware(device="cpu", precision="fp32", progress=False)


def samples(tokenizer: Any, count: int, length: int = 24, seed: int = 0) -> list[np.ndarray]:
    """`[CLS] pieces [SEP]`; every second piece follows from the one before it."""
    rng = np.random.default_rng(seed)
    framed = []
    for _ in range(count):
        body = rng.integers(5, 30, length - 2)
        body[1::2] = body[0::2] + 30
        framed.append(np.array([tokenizer.cls_token_id, *body, tokenizer.sep_token_id], np.int32))
    return framed


def masking(tokenizer: Any, data: list[np.ndarray], **changes: Any) -> Masking:
    counts = count_pieces(data, len(tokenizer))
    return Masking(tokenizer, counts, **{"share": 0.15, "smoothing": 0.7, "seed": 4, **changes})


def within(count: int, total: int, share: float, sigmas: float = 5.0) -> bool:
    """Whether a binomial count lies within some standard deviations of its mean."""
    return abs(count - total * share) <= sigmas * math.sqrt(total * share * (1 - share)) + 1


# Masking


def test_share_and_fate_of_the_chosen_tokens(tokenizer: Any) -> None:
    data = samples(tokenizer, 600, length=100)
    batch = masking(tokenizer, data)(list(enumerate(data)))
    labels, inputs = batch["labels"], batch["input_ids"]
    original = torch.from_numpy(np.stack(data)).long()
    chosen = labels != losses.IGNORED
    assert torch.equal(chosen.sum(1), torch.full((600,), 15)), "15 % of 100 in every sample"
    assert torch.equal(labels[chosen], original[chosen])
    assert torch.equal(inputs[~chosen], original[~chosen])
    total = int(chosen.sum())
    masked = (inputs == tokenizer.mask_token_id) & chosen
    kept = (inputs == original) & chosen
    other = chosen & ~masked & ~kept
    # A random piece is the [MASK] or the piece itself once in `vocabulary` times each.
    chance = 0.1 / len(tokenizer)
    assert within(int(masked.sum()), total, 0.8 + chance)
    assert within(int(kept.sum()), total, 0.1 + chance)
    assert within(int(other.sum()), total, 0.1 - 2 * chance)
    drawn = inputs[other]
    assert int(drawn.max()) > len(tokenizer) - 10 and int(drawn.min()) < 10, "from all pieces"


def test_special_tokens_and_padding_are_never_chosen(tokenizer: Any) -> None:
    data = [s[: 3 + i % 20] for i, s in enumerate(samples(tokenizer, 200))]
    data += [np.array([tokenizer.cls_token_id, tokenizer.sep_token_id], np.int32)]
    odd = np.array([tokenizer.cls_token_id, tokenizer.unk_token_id, 40, tokenizer.sep_token_id])
    data += [odd.astype(np.int32)]
    batch = masking(tokenizer, data, share=0.9)(list(enumerate(data)))
    chosen = batch["labels"] != losses.IGNORED
    assert not set(batch["labels"][chosen].tolist()) & set(tokenizer.all_special_ids)
    assert not chosen[batch["attention_mask"] == 0].any()
    assert (batch["input_ids"][batch["attention_mask"] == 0] == tokenizer.pad_token_id).all()
    counts = chosen.sum(1).tolist()
    assert counts[-2] == 0, "nothing to choose in an empty sample"
    assert counts[-1] == 1, "all that can be chosen, though 0.9 of 4 would be more"
    short = samples(tokenizer, 1, length=4)[0]
    one = masking(tokenizer, data, share=0.01)([(0, short)])
    assert int((one["labels"] != losses.IGNORED).sum()) == 1, "at least one"


@pytest.mark.parametrize("smoothing", [0.0, 0.7])
def test_rare_pieces_are_chosen_more_often(tokenizer: Any, smoothing: float) -> None:
    # Piece 10 occurs 100 times as often as piece 20 in the corpus; here each stands once among
    # fillers.  With one draw, P(20) / P(10) = 100 ** smoothing: 1 or 25.1.
    counts = np.zeros(len(tokenizer), np.int64)
    counts[10], counts[20] = 10_000, 100
    sample = np.array([tokenizer.cls_token_id, 10, 20, tokenizer.sep_token_id], np.int32)
    make = Masking(tokenizer, counts, share=0.25, smoothing=smoothing, seed=1)
    labels = make([(place, sample) for place in range(4000)])["labels"]
    rare, common = int((labels == 20).sum()), int((labels == 10).sum())
    assert rare + common == 4000
    odds = 100**smoothing
    assert within(rare, 4000, odds / (1 + odds))


def test_mask_depends_on_seed_and_place_alone(tokenizer: Any) -> None:
    data = samples(tokenizer, 6)
    make = masking(tokenizer, data)
    first = make([(3, data[0]), (4, data[1])])
    np.random.seed(0)
    torch.manual_seed(0)
    make(list(enumerate(data)))
    again = make([(4, data[1]), (3, data[0])])
    for name in ("input_ids", "labels"):
        assert torch.equal(first[name], again[name].flip(0))
    assert not torch.equal(make([(5, data[0])])["labels"], first["labels"][:1]), "another place"
    other = masking(tokenizer, data, seed=5)([(3, data[0])])
    assert not torch.equal(other["labels"], first["labels"][:1]), "another seed"


def test_masking_leaves_the_samples_as_they_are(tokenizer: Any) -> None:
    data = samples(tokenizer, 4)
    before = copy.deepcopy(data)
    masking(tokenizer, data)(list(enumerate(data)))
    assert all(np.array_equal(a, b) for a, b in zip(data, before, strict=True))


def test_pieces_are_counted() -> None:
    found = count_pieces([np.array([1, 1, 3]), np.array([3, 0])], 5)
    assert found.tolist() == [1, 2, 0, 2, 0]


# The triple loss


@pytest.fixture(scope="module")
def pair(make_teacher: MakeTeacher) -> tuple[DistilBertForMaskedLM, BertForMaskedLM]:
    teacher = BertForMaskedLM.from_pretrained(make_teacher(layers=4, head="mlm")).eval()
    state = student_state(teacher.state_dict(), (0, 3))
    student = build_student(DistilBertForMaskedLM, teacher.config, state, (0, 3), seed=0).eval()
    with torch.no_grad():
        for weight in student.parameters():
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(2)) / 50)
    return student, teacher


@pytest.fixture
def batch(tokenizer: Any) -> dict[str, torch.Tensor]:
    data = [s[: 24 - 5 * i] for i, s in enumerate(samples(tokenizer, 4))]
    return masking(tokenizer, data, share=0.3)(list(enumerate(data)))


def restated(
    student: Any, teacher: Any, batch: dict[str, torch.Tensor], config: Distil
) -> dict[str, float]:
    """The paper's losses token by token in float64, from transformers' own full forwards."""
    inputs = {n: batch[n] for n in ("input_ids", "attention_mask")}
    with torch.no_grad():
        mine = student(**inputs, output_hidden_states=True)
        theirs = teacher(**inputs, output_hidden_states=True)
    divergence, cosine, squares, targets = [], [], [[], []], [[], []]  # type: ignore[var-annotated]
    prediction = []
    for row, column in batch["attention_mask"].nonzero().tolist():
        label = int(batch["labels"][row, column])
        student_logits = mine.logits[row, column].double()
        teacher_logits = theirs.logits[row, column].double()
        if label != -100:
            prediction.append(-F.log_softmax(student_logits, -1)[label])
        if label != -100 or config.ce_on == "all":
            p = F.softmax(teacher_logits / config.temperature, -1)
            q = F.softmax(student_logits / config.temperature, -1)
            divergence.append((p * (p / q).log()).sum() * config.temperature**2)
        a, b = (x.hidden_states[-1][row, column].double() for x in (mine, theirs))
        cosine.append(1 - (a @ b) / (a.norm() * b.norm()))
        for i, layer in enumerate((0, 3)):
            a = mine.hidden_states[i + 1][row, column].double()
            b = theirs.hidden_states[layer + 1][row, column].double()
            squares[i].append(((a - b) ** 2).mean())
            targets[i].append(b)
    mean = {
        "ce": torch.stack(divergence).mean(),
        "mlm": torch.stack(prediction).mean(),
        "cos": torch.stack(cosine).mean(),
        "hidden": sum(
            torch.stack(square).mean() / torch.stack(target).var(0, correction=0).mean()
            for square, target in zip(squares, targets, strict=True)
        )
        / 2,
    }
    weights = {name: getattr(config, f"alpha_{name}") for name in mean}
    return {name: weights[name] * float(mean[name]) for name in mean if weights[name]}


@pytest.mark.parametrize(
    "config",
    [
        Distil(),
        Distil(ce_on="masked", temperature=3.0, alpha_ce=1.5),
        Distil(alpha_hidden=0.7),
        Distil(alpha_ce=0.0, alpha_cos=0.0),
        Distil(alpha_mlm=0.0),
        Distil(alpha_ce=0.0, alpha_mlm=0.0),
    ],
    ids=["paper", "masked", "hidden", "mlm-only", "no-mlm", "cos-only"],
)
def test_triple_loss_is_that_of_a_restatement(
    pair: tuple[Any, Any], batch: dict[str, torch.Tensor], config: Distil
) -> None:
    student, teacher = pair
    parts = triple_loss(student, teacher, (0, 3), batch, config)
    expected = restated(student, teacher, batch, config)
    assert parts.keys() == expected.keys()
    for name, value in expected.items():
        assert float(parts[name].detach()) == pytest.approx(value, rel=1e-4), name  # float32


def test_padding_does_not_change_the_loss(
    pair: tuple[Any, Any], batch: dict[str, torch.Tensor], tokenizer: Any
) -> None:
    student, teacher = pair
    fill = {"input_ids": tokenizer.pad_token_id, "labels": -100, "attention_mask": 0}
    wider = {n: F.pad(tensor, (0, 9), value=fill[n]) for n, tensor in batch.items()}
    config = Distil(alpha_hidden=1.0)
    one, two = (triple_loss(student, teacher, (0, 3), b, config) for b in (batch, wider))
    for name in one:
        assert torch.allclose(one[name], two[name], rtol=1e-4), name


def test_student_that_equals_its_teacher_loses_nothing_but_the_masked_words(
    make_teacher: MakeTeacher, batch: dict[str, torch.Tensor]
) -> None:
    teacher = BertForMaskedLM.from_pretrained(make_teacher(layers=2, head="mlm")).eval()
    state = student_state(teacher.state_dict(), (0, 1))
    student = build_student(DistilBertForMaskedLM, teacher.config, state, (0, 1), seed=0).eval()
    parts = triple_loss(student, teacher, (0, 1), batch, Distil(alpha_hidden=1.0))
    for name in ("ce", "cos", "hidden"):
        assert abs(float(parts[name].detach())) < 1e-4, name  # float32 sums in another order
    assert float(parts["mlm"].detach()) > 0.1


def test_teacher_gets_no_gradient(pair: tuple[Any, Any], batch: dict[str, torch.Tensor]) -> None:
    student, teacher = pair
    teacher.requires_grad_(True)
    parts = triple_loss(student, teacher, (0, 3), batch, Distil(alpha_hidden=1.0))
    torch.stack(list(parts.values())).sum().backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert all(p.grad is not None for p in student.parameters())
    student.zero_grad()


# The trainings


HOW = Optimization(
    epochs=1, batch_size=4, learning_rate=3e-3, warmup=0.0, checkpoint_steps=2, dropout=0.2
)


def run_distil(
    scratch: Path, tokenizer: Any, teacher: Any, *, stream: bool = False, **changes: Any
) -> dict[str, torch.Tensor]:
    data = samples(tokenizer, 24)
    how = dataclasses.replace(HOW, max_steps=6 if stream else None)
    config = dataclasses.replace(Distil(optimization=how), **changes)
    state = student_state(teacher.state_dict(), (0, 3))
    student = build_student(DistilBertForMaskedLM, teacher.config, state, (0, 3), seed=0)
    examples: Any = Stream(
        [lambda: map(str, range(24))], lambda text: (data[int(t)] for t in text), 3
    )
    if not stream:
        examples = Schedule(data, [len(s) for s in data], 4, 1.0, 3)
    distil.distil(
        student,
        teacher,
        (0, 3),
        examples,
        masking(tokenizer, data),
        config=config,
        hardware=CPU,
        seed=3,
        scratch=scratch,
    )
    assert all(p.requires_grad for p in student.parameters())
    assert student.vocab_projector.weight is student.distilbert.embeddings.word_embeddings.weight
    return {name: tensor.clone() for name, tensor in student.state_dict().items()}


@pytest.mark.parametrize("stream", [False, True], ids=["schedule", "stream"])
def test_distillation_cut_off_and_resumed_ends_with_equal_tensors(
    tmp_path: Path,
    tokenizer: Any,
    pair: tuple[Any, Any],
    monkeypatch: pytest.MonkeyPatch,
    stream: bool,
) -> None:
    teacher = pair[1]
    undisturbed = run_distil(tmp_path / "a", tokenizer, teacher, stream=stream)
    loss, left = distil.triple_loss, [4]

    def cut(*arguments: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return loss(*arguments)

    monkeypatch.setattr(distil, "triple_loss", cut)
    with pytest.raises(KeyboardInterrupt):
        run_distil(tmp_path / "b", tokenizer, teacher, stream=stream)
    monkeypatch.undo()
    assert training.last_checkpoint(tmp_path / "b") == str(tmp_path / "b" / "checkpoint-2")
    resumed = run_distil(tmp_path / "b", tokenizer, teacher, stream=stream)
    for name, tensor in undisturbed.items():
        assert torch.equal(resumed[name], tensor), name


def test_gradient_checkpointing_changes_nothing_but_memory(
    tmp_path: Path, tokenizer: Any, pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = run_distil(tmp_path / "a", tokenizer, pair[1])
    monkeypatch.setitem(globals(), "CPU", dataclasses.replace(CPU, gradient_checkpointing=True))
    found = run_distil(tmp_path / "b", tokenizer, pair[1])
    for name, tensor in plain.items():
        assert torch.allclose(found[name], tensor, atol=1e-6), name


def test_the_encoder_alone_is_compiled(
    tmp_path: Path, tokenizer: Any, pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []

    def record(self: Any, **how: Any) -> None:
        assert how == {"dynamic": True}
        compiled.append(type(self).__name__)

    monkeypatch.setattr(torch.nn.Module, "compile", record)
    monkeypatch.setitem(globals(), "CPU", dataclasses.replace(CPU, compile=True))
    run_distil(tmp_path, tokenizer, pair[1])
    assert compiled == ["DistilBertModel"]


def test_embeddings_stay_where_they_are_not_to_be_trained(
    tmp_path: Path, tokenizer: Any, pair: tuple[Any, Any]
) -> None:
    teacher = pair[1]
    before = student_state(teacher.state_dict(), (0, 3))
    after = run_distil(tmp_path, tokenizer, teacher, train_embeddings=False)
    for name, tensor in after.items():
        if name.startswith("distilbert.embeddings.") or name == "vocab_projector.weight":
            assert torch.equal(tensor, before[name]), name
        elif name.endswith("lin1.weight"):
            assert not torch.equal(tensor, before[name]), name


def test_fitted_head_raises_accuracy_and_leaves_the_encoder_alone(
    tmp_path: Path, tiny_teacher: Path, tokenizer: Any
) -> None:
    teacher = BertForMaskedLM.from_pretrained(tiny_teacher).eval()
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    # What is masked follows from its place, which a frozen random encoder knows.
    sample = np.array([tokenizer.cls_token_id, *range(20, 42), tokenizer.sep_token_id], np.int32)
    data = [sample] * 192
    held_out, rest = data[:32], data[32:]
    facts = distil.fit_mlm_head(
        teacher,
        masking(tokenizer, data),
        rest,
        held_out,
        config=MlmHead(Optimization(epochs=3, batch_size=16, learning_rate=2e-2, warmup=0.1)),
        hardware=CPU,
        seed=1,
        scratch=tmp_path,
    )
    # 22 pieces in equal shares: naming one of them always is right in 4.5 % of the places.
    assert facts["masked_accuracy_before"] < 0.1 < 0.5 < facts["masked_accuracy_after"]
    assert facts["steps"] == 30 and facts["examples"] == 480 and "final_mlm" in facts
    changed = {
        n for n, tensor in teacher.state_dict().items() if not torch.equal(tensor, before[n])
    }
    head = "cls.predictions."
    assert changed - {f"{head}decoder.bias"} == {
        f"{head}bias",
        *(f"{head}transform.{part}.{kind}" for part in ("dense", "LayerNorm") for kind in WEIGHTS),
    }
    decoder = teacher.cls.predictions.decoder
    assert torch.equal(decoder.bias, teacher.cls.predictions.bias), (
        "the fitted bias is the one used"
    )


def test_accuracy_is_that_of_a_full_forward(pair: tuple[Any, Any], tokenizer: Any) -> None:
    teacher = pair[1]
    data = samples(tokenizer, 40)
    make = masking(tokenizer, data)
    batch = make(list(enumerate(data)))
    with torch.no_grad():
        logits = teacher(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
        ).logits
    chosen = batch["labels"] != losses.IGNORED
    expected = (logits.argmax(-1) == batch["labels"])[chosen].float().mean()
    assert distil.masked_accuracy(teacher, make, data) == pytest.approx(float(expected))
