# SPDX-License-Identifier: Apache-2.0
"""What a file of the precision `mixed` stores in int4: the cheapest groups that fit the budget."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from class_files import dev_texts, write_student
from conftest import MakeTeacher

from converters.runtimes.simulated import Simulated
from converters.tflite.mixed import group_names
from pipeline import mixing, settings
from pipeline.build import main
from pipeline.config import Build
from pipeline.fields import Mixed
from pipeline.tasks.text_classification import TASK
from pipeline.tasks.text_classification.data import TextSet, load_texts
from pipeline.tasks.text_classification.settings import TextData

COSTS = {"a": 0.1, "b": 0.3, "c": 0.4, "d": 0.05}


def test_groups_are_sorted_by_what_they_cost_for_each_byte() -> None:
    saved = {"a": 10, "b": 100, "c": 10, "d": 10}
    assert mixing.ranked(COSTS, saved) == ["b", "d", "a", "c"]
    assert mixing.ranked({"y": 1.0, "x": 1.0}, {"x": 2, "y": 2}) == ["y", "x"], "ties: as they come"


@pytest.mark.parametrize(
    ("budget", "taken"), [(0.0, 0), (0.05, 1), (0.15, 2), (0.449, 2), (0.45, 3), (9.0, 4)]
)
def test_groups_join_until_the_budget_is_spent(budget: float, taken: int) -> None:
    order, asked = ["d", "a", "b", "c"], []

    def loss(groups: Sequence[str]) -> float:
        asked.append([*groups])
        return round(sum(COSTS[group] for group in groups), 6)

    assert mixing.filled(order, budget, loss) == order[:taken]
    assert asked == [order[: n + 1] for n in range(min(taken + 1, len(order)))]


def test_nothing_joins_after_a_group_that_is_too_much() -> None:
    costs = {"a": 0.2, "b": 5.0, "c": 0.1}
    found = mixing.filled([*costs], 1.0, lambda groups: sum(costs[group] for group in groups))
    assert found == ["a"]


def test_divergence_is_that_of_distributions() -> None:
    even, apart = np.zeros(2, np.float32), np.log(np.array([0.9, 0.1], np.float32))
    expected = 0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1)
    assert mixing.divergence([[(apart,)]], [[(even,)]]) == pytest.approx(expected, rel=1e-6)
    # Two outputs add up, two inputs have their mean, and a constant changes no softmax.
    twice = mixing.divergence([[(apart, apart + 3)], [(even, even)]], [[(even, even)]] * 2)
    assert twice == pytest.approx(expected, rel=1e-6)
    number = np.array([2.0], np.float32)
    assert mixing.divergence([[(number,)]], [[(number + 3,)]]) == 9.0


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Path:
    return write_student(tmp_path_factory.mktemp("mixed") / "student", tokenizer)


def config(budget: float, examples: int = 12) -> Build:
    build = settings.load("embedded-classification")
    build = replace(build, mixed=Mixed(budget=budget, examples=examples))
    hardware = replace(build.hardware, progress=False, device="cpu")
    return replace(build, hardware=hardware, data=replace(build.data, max_length=32))


def choose(
    folder: Path, student: Path, build: Build, train: TextSet | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The facts of the stage and the document that it wrote."""
    texts = dev_texts(24)
    (folder / "made").mkdir(exist_ok=True)
    facts = mixing.choose(
        folder / "made", folder / "scratch", build, TASK, student, texts, TASK.traits(texts), train
    )
    document = json.loads((folder / "made" / "mixed.json").read_text(encoding="utf-8"))
    return dict(facts), document


def test_everything_is_int4_where_anything_may_be_lost(student: Path, tmp_path: Path) -> None:
    facts, document = choose(tmp_path, student, config(100.0))
    assert sorted(document["int4"]) == sorted(group_names(2))
    assert mixing.chosen(tmp_path / "made") == tuple(document["int4"])
    assert facts["int4"] == " + ".join(document["int4"])
    assert facts["bytes_saved"] == sum(group["bytes_saved"] for group in document["groups"])
    assert (document["sample"], document["examples"], facts["examples"]) == (12, 24, 24)
    costs = [group["drift"] / group["bytes_saved"] for group in document["groups"]]
    assert costs == sorted(costs) and costs[0] > 0


def test_nothing_is_int4_where_int8_is_too_much(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixing._Search, "loss", lambda self, groups, examples: 1.0 + len(groups))
    facts, document = choose(tmp_path, student, config(0.5))
    assert document["int4"] == [] and facts["int4"] == "none"
    assert facts["bytes_saved"] == 0 and facts["loss"] == 1.0


def test_a_lucky_sample_does_not_decide(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loss(self: Any, groups: Sequence[str], examples: Any) -> float:
        return 0.0 if len(examples.examples) == 12 else 0.2 * len(groups)

    monkeypatch.setattr(mixing._Search, "loss", loss)
    facts, document = choose(tmp_path, student, config(0.5))
    assert document["int4"] == [group["name"] for group in document["groups"]][:2]
    assert facts["loss"] == 0.4


def test_training_examples_confirm_the_choice_where_they_are_in_the_gate(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loss(self: Any, groups: Sequence[str], examples: Any) -> float:
        return 0.2 * len(groups) if len(examples.examples) == 64 else 0.0

    monkeypatch.setattr(mixing._Search, "loss", loss)
    build, train = config(0.5), load_texts(TextData(), "train")
    build = replace(build, verification=replace(build.verification, drop_examples=64))
    facts, document = choose(tmp_path, student, build, train)
    assert document["int4"] == [group["name"] for group in document["groups"]][:2]
    assert (document["sample"], document["examples"], facts["examples"]) == (12, 64, 64)


def test_what_was_measured_is_not_measured_again(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, run = 0, Simulated.run

    def killed(self: Any, *arrays: Any) -> Any:
        nonlocal count
        count += 1
        if count > 50:
            raise KeyboardInterrupt
        return run(self, *arrays)

    monkeypatch.setattr(Simulated, "run", killed)
    with pytest.raises(KeyboardInterrupt):
        choose(tmp_path, student, config(100.0))
    kept = json.loads((tmp_path / "scratch" / "mixed.json").read_text(encoding="utf-8"))
    assert list(kept) == [f"drift of {name} on 12" for name in group_names(1)[:3]]
    monkeypatch.setattr(Simulated, "run", run)
    facts, document = choose(tmp_path, student, config(100.0))
    assert kept.items() <= document["measured"].items()
    monkeypatch.setattr(Simulated, "run", None)  # another run would fail
    assert choose(tmp_path, student, config(100.0)) == (facts, document)
    again = tmp_path / "again"
    again.mkdir()
    monkeypatch.setattr(Simulated, "run", run)
    assert choose(again, student, config(100.0)) == (facts, document), "it is deterministic"


def test_the_gate_leaves_room_for_the_budget() -> None:
    build = settings.parse(["--precision", "mixed", "--mixed.budget", "1.5"], "")
    gate, own = build.limits["mixed"].score_drop, build.gates["mixed"].score_drop
    assert gate.limit == 1.5 + own.limit and gate.reason.endswith(", and the budget of 1.5")
    assert build.limits["int4"] == build.gates["int4"]
    other = settings.parse(["--precision", "mixed"], "")
    assert other.limits["mixed"].score_drop.limit == 0.5 + own.limit


def test_other_builds_choose_nothing(tmp_path: Path) -> None:
    assert mixing.chosen(None) == ()


@pytest.mark.long
def test_a_build_chooses_once_and_makes_a_smaller_file(
    make_teacher: MakeTeacher, squad_file: Path, tmp_path: Path
) -> None:
    student, out = make_teacher(head="qa"), tmp_path / "out"
    flags = [
        *("--preset", "smoke", "--target", "tflite", "--precision", "int8", "mixed"),
        *("--no-benchmark", "--student", str(student), "--no-finetune", "--out", str(out)),
        *("--eval-file", str(squad_file), "--max-length", "128", "--golden-cases", "2"),
        *("--max-query", "16", "--stride", "16", "--hardware.no-progress"),
        *("--mixed.budget", "100"),
    ]
    assert main([*flags, "--dry-run"]) == 0
    assert not (out / "stages").exists()
    assert main(flags) in (0, 1)  # the answers of a random model may well change
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    stages = {stage["name"]: stage for stage in report["stages"]}
    facts = stages["mixed"]["facts"]
    assert len(facts["int4"].split(" + ")) == 2 + 2 * 3 and facts["bytes_saved"] > 0
    sizes = {file["precision"]: file["bytes"] for file in report["files"]}
    assert sizes["mixed"] < sizes["int8"]
    assert main(flags) in (0, 1)
    again = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert all(stage["resumed"] for stage in again["stages"])
