# SPDX-License-Identifier: Apache-2.0
"""The training loop: its order, its arithmetic, and that an interruption leaves no trace."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers import AutoModel, get_linear_schedule_with_warmup

from pipeline import progress
from pipeline.config import Hardware, Optimization
from pipeline.errors import UserError
from pipeline.training import loop as training
from pipeline.training import precision
from pipeline.training.batches import Batch, Schedule, attention_mask, pad
from pipeline.training.loader import Split
from pipeline.training.loop import MARKER, Fit, fit
from pipeline.training.stream import Stream

CPU = Hardware(device="cpu", precision="fp32", progress=False)
QUICK = Optimization(
    epochs=2, batch_size=4, learning_rate=0.02, checkpoint_steps=2, warmup=0.0, max_grad_norm=100.0
)


class Toy(nn.Module):
    """Regression with dropout; the loss calls its parts, as the losses of distillation do."""

    def __init__(self, dropout: float = 0.3) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.dropout(torch.tanh(self.first(x))))  # type: ignore[no-any-return]


def examples(count: int = 14) -> list[tuple[np.ndarray, float]]:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(count, 6)).astype(np.float32)
    return [(row, float(row[0] - row[1])) for row in inputs]


def schedule(count: int = 14, optimization: Optimization = QUICK, seed: int = 1) -> Schedule:
    return Schedule(
        examples(count), [1] * count, optimization.batch_size, optimization.epochs, seed
    )


def collate(items: Sequence[tuple[int, tuple[np.ndarray, float]]]) -> Batch:
    return {
        "x": torch.from_numpy(np.stack([x for _, (x, _) in items])),
        "y": torch.tensor([y for _, (_, y) in items]),
        "place": torch.tensor([place for place, _ in items]),
    }


def squared(model: Any, batch: Batch) -> dict[str, Tensor]:
    hidden = model.dropout(torch.tanh(model.first(batch["x"])))
    found = model.second(hidden).float()[:, 0]
    return {"fit": (found - batch["y"]).pow(2).mean(), "size": 0.01 * found.pow(2).mean()}


def train(
    scratch: Path,
    *,
    model: nn.Module | None = None,
    data: Any = None,
    loss: Callable[[Any, Batch], dict[str, Tensor]] = squared,
    optimization: Optimization = QUICK,
    hardware: Hardware = CPU,
) -> tuple[dict[str, Tensor], Fit]:
    model = Toy() if model is None else model
    result = fit(
        model,
        schedule(optimization=optimization) if data is None else data,
        collate,
        loss,
        settings=optimization,
        hardware=hardware,
        seed=5,
        scratch=scratch,
        label="toy",
    )
    assert not model.training
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}, result


class Cut(Exception):  # noqa: N818
    """A power cut."""


def cut_at(call: int) -> Callable[[Any, Batch], dict[str, Tensor]]:
    left = [call]

    def loss(model: Any, batch: Batch) -> dict[str, Tensor]:
        left[0] -= 1
        if left[0] == 0:
            raise Cut
        return squared(model, batch)

    return loss


def assert_equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    for name, tensor in a.items():
        assert torch.equal(tensor, b[name]), f"{name} differs by {(tensor - b[name]).abs().max()}"


# The order of examples


def test_order_depends_on_the_arguments_alone() -> None:
    lengths = list(np.random.default_rng(0).integers(5, 90, 200))
    one, same = (Schedule(range(200), lengths, 8, 2.5, seed=7) for _ in range(2))
    torch.manual_seed(99)
    np.random.seed(99)
    assert [one[i] for i in range(len(one))] == [same[i] for i in range(len(same))]
    other = Schedule(range(200), lengths, 8, 2.5, seed=8)
    assert one.order.tolist() != other.order.tolist()
    assert one.order[:200].tolist() != one.order[200:400].tolist(), "epochs differ"


@settings(deadline=None, max_examples=50)
@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=60),
    batch=st.integers(1, 9),
    epochs=st.sampled_from([0.01, 0.4, 1.0, 1.5, 2.0, 3.0]),
    seed=st.integers(0, 3),
)
def test_every_example_comes_once_an_epoch(
    lengths: list[int], batch: int, epochs: float, seed: int
) -> None:
    order = Schedule(lengths, lengths, batch, epochs, seed)
    assert len(order) == max(1, round(epochs * len(lengths)))
    seen = Counter(order.order.tolist())
    counts = [seen[i] for i in range(len(lengths))]
    assert max(counts) - min(counts) <= 1
    if epochs == int(epochs):
        assert set(counts) == {int(epochs)}
    assert all(order[i] == (i, lengths[order.order[i]]) for i in range(len(order)))


def test_length_grouping_saves_padding_and_still_mixes() -> None:
    lengths = np.random.default_rng(1).integers(20, 384, 3000)
    grouped = lengths[Schedule(range(3000), lengths.tolist(), 16, 1.0, seed=0).order]
    shuffled = np.random.default_rng(2).permutation(lengths)

    def padded(order: np.ndarray) -> int:
        whole = order[: len(order) // 16 * 16].reshape(-1, 16)
        return int((whole.max(axis=1) * 16).sum())

    assert padded(grouped) < 1.05 * lengths.sum() < 1.5 * lengths.sum() < padded(shuffled)
    means = grouped[: 50 * 16].reshape(-1, 16).mean(axis=1)
    assert not (np.diff(means) > 0).all(), "batches are not sorted from short to long"


def test_pad_and_mask_by_hand() -> None:
    rows = [np.array([5, 6, 7], np.int32), np.array([8], np.int32)]
    assert pad(rows, 9).tolist() == [[5, 6, 7], [8, 9, 9]]
    assert attention_mask(rows).tolist() == [[1, 1, 1], [1, 0, 0]]
    assert pad(rows, 0).dtype == attention_mask(rows).dtype == torch.int64


# The arithmetic


def test_training_learns_and_reports(tmp_path: Path) -> None:
    how = dataclasses.replace(QUICK, epochs=40, learning_rate=0.02, checkpoint_steps=20)
    model = Toy(dropout=0.0)
    batch = collate(list(enumerate(examples())))
    before = float(squared(model, batch)["fit"].detach())
    _, result = train(tmp_path / "scratch", model=model, optimization=how)
    after = float(squared(model, batch)["fit"].detach())
    assert after < 0.1 * before
    # 14 examples 40 times in batches of 4
    assert (result.steps, result.examples, result.precision) == (140, 560, "fp32")
    assert set(result.losses) == {"fit", "size"}
    assert result.facts()["final_fit"] == round(result.losses["fit"], 4)


def test_last_short_batch_is_not_counted_as_a_whole_one(tmp_path: Path) -> None:
    _, result = train(tmp_path, optimization=dataclasses.replace(QUICK, epochs=1.5))
    assert (result.steps, result.examples) == (6, 21)  # 21 = 5 * 4 + 1


def test_every_step_is_that_of_a_loop_written_by_hand(tmp_path: Path) -> None:
    how = dataclasses.replace(
        QUICK,
        **{"batch_size": 8, "device_batch": 4},
        **{"epochs": 3, "warmup": 0.4, "weight_decay": 0.1, "max_grad_norm": 0.5},
    )
    how = dataclasses.replace(how, betas=(0.8, 0.95), epsilon=1e-6, checkpoint_steps=100)
    data = schedule(16, how)  # 48 examples: 6 steps of two micro-batches
    found, result = train(tmp_path, model=Toy(0.0), data=data, optimization=how)
    assert result.steps == 6

    model = Toy(0.0)
    groups = [
        {"params": [model.first.weight, model.second.weight], "weight_decay": 0.1},
        {"params": [model.first.bias, model.second.bias], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=0.02, betas=(0.8, 0.95), eps=1e-6)
    rate = get_linear_schedule_with_warmup(optimizer, 3, 6)  # 0.4 of 6 steps, rounded up
    for step in range(6):
        for part in range(2):
            begin = (2 * step + part) * 4
            parts = squared(model, collate([data[i] for i in range(begin, begin + 4)]))
            (sum(parts.values()) / 2).backward()  # type: ignore[union-attr]
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        rate.step()
        optimizer.zero_grad()
    for name, tensor in model.state_dict().items():
        assert torch.allclose(found[name], tensor, atol=1e-6), name  # float32 sums in other orders


def test_frozen_parameters_stay(tmp_path: Path) -> None:
    model = Toy()
    model.first.requires_grad_(False)
    before = model.first.weight.clone(), model.second.weight.clone()
    train(tmp_path, model=model)
    assert torch.equal(model.first.weight, before[0])
    assert not torch.equal(model.second.weight, before[1])


@pytest.mark.parametrize(
    ("dropout", "attention", "same"),
    [(0.0, 0.0, True), (0.0, 0.5, False), (0.5, 0.0, False)],
)
def test_dropout_settings_reach_every_layer(
    tiny_teacher: Path, dropout: float, attention: float, same: bool
) -> None:
    from transformers import DistilBertConfig, DistilBertModel

    bert = AutoModel.from_pretrained(tiny_teacher)
    distilbert = DistilBertModel(
        DistilBertConfig(vocab_size=50, dim=32, n_heads=4, hidden_dim=64, n_layers=2)
    )
    ids = torch.arange(5, 25)[None]
    for model in (bert, distilbert):
        config = model.config.to_dict()
        training._set_dropout(model, Optimization(dropout=dropout, attention_dropout=attention))
        with torch.no_grad():
            calm = model.eval()(ids).last_hidden_state
            moved = model.train()(ids).last_hidden_state
        assert torch.allclose(calm, moved, atol=1e-5) == same
        assert model.config.to_dict() == config, "the saved configuration keeps the model's own"


# Interruptions


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Tensor], Fit]:
    return train(tmp_path_factory.mktemp("undisturbed"))


def stream(shuffled: int = 0) -> Stream:
    """Examples without end, in one source; a document is the number of an example."""
    rows = examples(60)

    def pack(documents: Any) -> Any:
        return (rows[int(document) - 100] for document in documents)

    return Stream([lambda: (str(100 + i) for i in range(60))], pack, 3, shuffled)


@pytest.mark.parametrize("call", [3, 6, 7])
def test_run_cut_off_and_resumed_ends_with_equal_tensors(
    tmp_path: Path, undisturbed: tuple[dict[str, Tensor], Fit], call: int
) -> None:
    with pytest.raises(Cut):
        train(tmp_path / "b", loss=cut_at(call))
    assert [p.name for p in (tmp_path / "b").glob("checkpoint-*")] == [
        f"checkpoint-{(call - 1) // 2 * 2}"
    ]
    resumed, again = train(tmp_path / "b")
    assert_equal(resumed, undisturbed[0])
    assert again == undisturbed[1]


def test_dropout_is_on_in_these_runs(
    tmp_path: Path, undisturbed: tuple[dict[str, Tensor], Fit]
) -> None:
    without, _ = train(tmp_path, model=Toy(0.0))
    assert not torch.equal(without["first.weight"], undisturbed[0]["first.weight"])


@pytest.mark.parametrize("source", ["schedule", "stream"])
def test_resumed_run_sees_the_same_places_with_accumulation(tmp_path: Path, source: str) -> None:
    steps = 7 if source == "stream" else None
    how = dataclasses.replace(
        QUICK, batch_size=4, device_batch=2, max_steps=steps, checkpoint_steps=3
    )
    places: list[int] = []

    def loss(model: Any, batch: Batch) -> dict[str, Tensor]:
        places.extend(batch["place"].tolist())
        return squared(model, batch)

    def data() -> Any:
        return stream() if source == "stream" else schedule(14, how)

    undisturbed, _ = train(tmp_path / "a", data=data(), loss=loss, optimization=how)
    assert places == list(range(28))
    with pytest.raises(Cut):
        train(tmp_path / "b", data=data(), loss=cut_at(10), optimization=how)
    places.clear()
    resumed, _ = train(tmp_path / "b", data=data(), loss=loss, optimization=how)
    assert places == list(range(12, 28)), "three steps of four examples are not seen again"
    assert_equal(resumed, undisturbed)


def test_more_steps_than_there_are_examples_for_end_with_these(
    tmp_path: Path, undisturbed: tuple[dict[str, Tensor], Fit]
) -> None:
    tensors, fit = train(tmp_path, optimization=dataclasses.replace(QUICK, max_steps=999))
    assert fit == undisturbed[1]
    assert_equal(tensors, undisturbed[0])


def test_cut_before_the_first_checkpoint_starts_over(
    tmp_path: Path, undisturbed: tuple[dict[str, Tensor], Fit]
) -> None:
    with pytest.raises(Cut):
        train(tmp_path / "b", loss=cut_at(2))
    assert_equal(train(tmp_path / "b")[0], undisturbed[0])


def test_half_written_checkpoint_is_ignored_and_removed(
    tmp_path: Path, undisturbed: tuple[dict[str, Tensor], Fit]
) -> None:
    scratch = tmp_path / "b"
    with pytest.raises(Cut):
        train(scratch, loss=cut_at(6))
    half = scratch / "checkpoint-6"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    assert_equal(train(scratch)[0], undisturbed[0])
    assert [p.name for p in scratch.glob("checkpoint-*")] == ["checkpoint-7"]


def test_checkpoint_without_its_marker_does_not_count(
    tmp_path: Path, undisturbed: tuple[dict[str, Tensor], Fit]
) -> None:
    with pytest.raises(Cut):
        train(tmp_path / "b", loss=cut_at(6))
    (tmp_path / "b" / "checkpoint-4" / MARKER).unlink()
    assert training.last_checkpoint(tmp_path / "b") is None
    assert_equal(train(tmp_path / "b")[0], undisturbed[0])


def test_newest_checkpoint_is_taken_by_number(tmp_path: Path) -> None:
    for step in (8, 10, 9):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / MARKER).touch()
    assert training.last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")


def test_finished_run_called_again_changes_nothing(tmp_path: Path) -> None:
    calls: list[int] = []

    def loss(model: Any, batch: Batch) -> dict[str, Tensor]:
        calls.append(1)
        return squared(model, batch)

    first, result = train(tmp_path, loss=loss)
    count = len(calls)
    second, again = train(tmp_path, loss=loss)
    assert_equal(first, second)
    assert len(calls) == count
    # The last line of the log covers the steps after the checkpoint before the last, as the
    # first run's figures do.
    assert again.facts().keys() == result.facts().keys()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_loss_that_is_no_number_stops_with_advice(tmp_path: Path, value: float) -> None:
    left = [3]

    def loss(model: Any, batch: Batch) -> dict[str, Tensor]:
        left[0] -= 1
        parts = squared(model, batch)
        return parts | {"fit": parts["fit"] * value} if left[0] == 0 else parts

    with pytest.raises(FloatingPointError) as caught:
        train(tmp_path, loss=loss)
    message = str(caught.value)
    assert "at step 2" in message and "learning rate" in message and "fp32" in message
    assert "\n" not in message


# Precision


def test_bf16_covers_parts_of_the_model_that_the_loss_calls_itself(tmp_path: Path) -> None:
    kinds: list[torch.dtype] = []

    def loss(model: Any, batch: Batch) -> dict[str, Tensor]:
        kinds.append(model.first(batch["x"]).dtype)
        return squared(model, batch)

    for name, kind in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        kinds.clear()
        hardware = dataclasses.replace(CPU, precision=name)
        state, result = train(tmp_path / name, loss=loss, hardware=hardware)
        assert set(kinds) == {kind} and result.precision == name
        assert {tensor.dtype for tensor in state.values()} == {torch.float32}


def test_chosen_precision_is_the_faster_one_and_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auto = dataclasses.replace(CPU, precision="auto")
    monkeypatch.setattr(precision, "_time_precisions", lambda *_: {"fp32": 0.2, "bf16": 0.1})
    assert train(tmp_path, hardware=auto)[1].precision == "bf16"
    record = json.loads((tmp_path / "precision.json").read_text())
    assert record == {"precision": "bf16", "seconds_per_step": {"fp32": 0.2, "bf16": 0.1}}
    monkeypatch.setattr(precision, "_time_precisions", lambda *_: {"fp32": 0.1, "bf16": 0.2})
    assert train(tmp_path, hardware=auto)[1].precision == "bf16", (
        "a resumed run goes on as it began"
    )
    assert train(tmp_path / "other", hardware=auto)[1].precision == "fp32"


def test_timing_leaves_no_trace_in_the_result(tmp_path: Path) -> None:
    auto = dataclasses.replace(CPU, precision="auto")
    timed, result = train(tmp_path / "a", hardware=auto)
    record = json.loads((tmp_path / "a" / "precision.json").read_text())
    assert set(record["seconds_per_step"]) == {"fp32", "bf16"}
    assert min(record["seconds_per_step"].values()) >= 0
    plain = dataclasses.replace(CPU, precision=result.precision)
    assert_equal(timed, train(tmp_path / "b", hardware=plain)[0])


@pytest.mark.parametrize(("native", "chosen"), [(True, "bf16"), (False, "fp16")])
def test_a_gpu_that_emulates_bf16_is_given_fp16(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, native: bool, chosen: str
) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return native or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    monkeypatch.setattr(precision, "pick_device", lambda _: torch.device("cuda"))
    auto = dataclasses.replace(CPU, precision="auto")
    found = precision.choose(Toy(), schedule(), collate, squared, QUICK, auto, tmp_path)
    assert found == chosen


def test_checkpoints_are_saved_by_time(tmp_path: Path) -> None:
    how = dataclasses.replace(QUICK, checkpoint_steps=None, checkpoint_minutes=1e-6)
    with pytest.raises(Cut):
        train(tmp_path, loss=cut_at(4), optimization=how)
    assert [p.name for p in tmp_path.glob("checkpoint-*")] == ["checkpoint-3"]
    (tmp_path / "b").mkdir()
    with pytest.raises(Cut):
        seldom = dataclasses.replace(how, checkpoint_minutes=15)
        train(tmp_path / "b", loss=cut_at(4), optimization=seldom)
    assert not list((tmp_path / "b").glob("checkpoint-*"))


def test_the_log_has_parts_rate_speed_and_time_left(tmp_path: Path) -> None:
    train(tmp_path)
    state = json.loads((tmp_path / "checkpoint-7" / "trainer_state.json").read_text())
    lines = [line for line in state["log_history"] if "loss" in line]
    assert [line["step"] for line in lines] == [2, 4, 6]
    for line in lines:
        assert line["loss"] == pytest.approx(line["loss_fit"] + line["loss_size"], rel=1e-5)
        assert line["learning_rate"] > 0 and line["hours_left"] >= 0
        assert "tokens_per_second" not in line, "these batches have no tokens"
    kept = json.loads((tmp_path / "runs" / "losses.json").read_text())
    assert [each["step"] for each in kept] == [2, 4, 6]
    assert kept[0]["loss"] == lines[0]["loss"] and set(kept[0]["parts"]) == {"fit", "size"}


def test_tensorboard_gets_the_log_where_it_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra logs is not installed")
    train(tmp_path / "a")
    assert list((tmp_path / "a" / "runs").glob("events.out.tfevents.*"))
    train(tmp_path / "b", hardware=dataclasses.replace(CPU, report_to=("none",)))
    assert [path.name for path in (tmp_path / "b" / "runs").iterdir()] == ["losses.json"]


def test_a_tracker_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--hardware.report-to abacus: transformers knows no such"):
        train(tmp_path, hardware=dataclasses.replace(CPU, report_to=("abacus",)))


def test_fewer_examples_than_devices_are_refused() -> None:
    with pytest.raises(UserError, match=r"a batch of 3 examples .* 4 devices .*raise batch_size"):
        Split(3, 4).check()


def test_micro_batches_count_by_their_tokens(tmp_path: Path) -> None:
    """A step in micro-batches is the step at once, though they hold unequal numbers of tokens."""

    def loss(model: Any, batch: Batch) -> dict[str, Tensor]:
        chosen = batch["y"] > 0  # as many as there are
        found = model(batch["x"])[chosen, 0]
        return {
            "chosen": (found - batch["y"][chosen]).pow(2).mean()
            if len(found)
            else 0 * model(batch["x"]).sum()
        }

    states = []
    for most in (None, 3, 1):
        how = dataclasses.replace(QUICK, batch_size=7, device_batch=most)
        model = Toy(0.0)
        result = fit(
            model,
            schedule(16, how),
            collate,
            loss,
            settings=how,
            hardware=CPU,
            seed=5,
            scratch=tmp_path / str(most),
            label="toy",
            counts=lambda batch: {"chosen": int((batch["y"] > 0).sum())},
        )
        states.append((model.state_dict(), result))
    for state, result in states[1:]:
        assert result.losses == pytest.approx(states[0][1].losses, rel=1e-5)
        for name, tensor in states[0][0].items():
            assert torch.allclose(state[name], tensor, atol=1e-5), name


def test_short_run_is_not_timed(tmp_path: Path) -> None:
    auto = dataclasses.replace(CPU, precision="auto")
    assert train(tmp_path, data=schedule(4), hardware=auto)[1].precision == "fp32"
    assert not (tmp_path / "precision.json").exists()


def test_fp16_on_a_cpu_and_absent_devices_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"fp16 needs a GPU"):
        train(tmp_path, hardware=dataclasses.replace(CPU, precision="fp16"))
    for name, there in (
        ("cuda", torch.cuda.is_available()),
        ("mps", torch.backends.mps.is_available()),
    ):
        if there:
            assert training.pick_device(name).type == name
        else:
            with pytest.raises(UserError, match=f"--hardware.device {name}.*auto or cpu"):
                training.pick_device(name)
    assert training.pick_device("cpu").type == "cpu"


def test_progress_bears_the_label_and_the_log_is_not_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a log: whole lines with the step and the loss, no bar and none of the Trainer's own."""
    monkeypatch.setattr(progress, "INTERVAL_S", 0.0)
    _, result = train(tmp_path / "a", hardware=dataclasses.replace(CPU, progress=True))
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert len(lines) == result.steps and captured.out == ""
    assert lines[-1].startswith(f"toy: step {result.steps} of {result.steps}, loss ")
    assert "\r" not in captured.err and "learning_rate" not in captured.err
    train(tmp_path / "b")
    captured = capsys.readouterr()
    assert captured.out == "" and "toy" not in captured.err
