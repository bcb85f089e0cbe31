# SPDX-License-Identifier: Apache-2.0
"""The plan of a build: counts, operations and hours, and limits that stop it before it trains."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import MakeTeacher
from transformers import BertConfig, BertForMaskedLM

from pipeline import costs, disk, distilling, learning, plan, ranks, settings, start
from pipeline.build import main
from pipeline.config import Build, Distil, Hardware, Optimization, Teacher
from pipeline.costs import MODELS, Count, Device, Shape
from pipeline.errors import UserError

BERT = MODELS["google-bert/bert-base-uncased"]


def test_weights_are_those_of_transformers() -> None:
    small = Shape(2, 32, 64, 4, 170, 40)
    with torch.device("meta"):
        model = BertForMaskedLM(
            BertConfig(
                **{"vocab_size": 170, "hidden_size": 32, "num_hidden_layers": 2},
                **{"num_attention_heads": 4, "intermediate_size": 64},
                max_position_embeddings=40,
            )
        )
    found = sum(parameter.numel() for parameter in model.parameters())
    assert small.weights == pytest.approx(found, rel=0.01)
    assert BERT.weights == pytest.approx(110e6, rel=0.01)


def test_operations_by_hand() -> None:
    # A layer: 4 products of 768 x 768 and 2 of 768 x 3072, two operations for each weight;
    # attention 4 x 512 x 768.  12 layers and the vocabulary: 0.24 GFLOP a token.
    layer = 2 * (4 * 768 * 768 + 2 * 768 * 3072) + 4 * 512 * 768
    assert BERT.operations(512) == 12 * layer
    assert BERT.operations(512, named=1.0) == pytest.approx(0.24e9, rel=0.02)


def test_the_stages_of_the_paper() -> None:
    config = settings.load("distilbert-squad")
    sizes = plan.known(config)
    assert sizes is not None
    planned = {
        step.name: step
        for step in costs.stages(config, *sizes, learned=sizes[1], has_mlm_head=True)
    }
    assert list(planned) == ["teacher", "distilled", "teacher-outputs", "student"]
    general = planned["distilled"]
    assert (general.steps, general.examples) == (6750, 27_000_000)
    assert general.tokens == 27_000_000 * 512 and 3 < general.gigabytes < 8
    assert planned["student"].steps == 22_131  # 3 x 88,524 windows in batches of 12
    assert planned["teacher-outputs"].disk == pytest.approx(0.124, rel=0.01)  # GB
    states = dataclasses.replace(config.finetune, alpha_hidden=1.0)
    hidden = costs.stages(
        dataclasses.replace(config, finetune=states), *sizes, learned=sizes[1], has_mlm_head=True
    )
    assert [s.disk for s in hidden][2] == pytest.approx(143, rel=0.01)


def test_a_head_is_planned_where_there_is_none() -> None:
    config = settings.load("smoke")
    planned = [
        step.name
        for step in costs.stages(
            config, BERT, Count(10, 10, 1000), learned=None, has_mlm_head=False
        )
    ]
    assert planned == ["mlm-teacher", "distilled", "teacher-outputs", "student"]


def test_a_narrower_student_is_planned_for_the_step_that_trains_it() -> None:
    """Half of 3,072 neurons: two products of 768 x 1,536 fewer in each layer."""
    config = settings.load("distilbert-squad")
    narrow = dataclasses.replace(
        config, student=dataclasses.replace(config.student, intermediate_size=0.5)
    )
    whole, half = (
        {
            s.name: s
            for s in costs.stages(c, BERT, Count(9, 9, 999), learned=None, has_mlm_head=True)
        }
        for c in (config, narrow)
    )
    assert half["distilled"] == whole["distilled"]
    first, second = whole["student"], half["student"]
    assert first.operations and second.operations
    fewer = 3 * first.tokens * 6 * 2 * 2 * 768 * 1536
    assert first.operations - second.operations == fewer


def test_offline_the_preset_is_planned_from_known_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--preset", "distilbert-squad", "--dry-run", "--out", str(tmp_path / "out")]
    assert main(flags) == 0
    printed = capsys.readouterr().out
    assert "planned from known numbers, since cannot load data set rajpurkar/squad" in printed
    total = re.search(r"^total +([\d.]+) +([\d.]+) +([\d.]+)$", printed, re.MULTILINE)
    assert total is not None
    # What a review of the code came to by hand, within a factor of 2.
    for found, expected in zip(total.groups(), (58, 43, 27), strict=True):
        assert expected / 2 <= float(found) <= expected * 2
    assert not (tmp_path / "out").exists()
    assert main([*flags, "--teacher.model", "acme/bert"]) == 2, "its sizes are not known"
    assert main([*flags, "--student.model", "acme/small"]) == 2, "nor are these"
    capsys.readouterr()
    assert main([*flags, "--eval-file", "none.json"]) == 2, "a mistake is no lack of a connection"
    assert "planned" not in capsys.readouterr().out


def test_a_build_is_planned_from_its_data_and_timed(
    make_teacher: MakeTeacher,
    squad_file: Path,
    text_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = ["--preset", "smoke", "--dry-run", "--out", str(tmp_path / "out")]
    flags += ["--teacher.model", str(make_teacher(layers=2)), "--distil.text", str(text_file)]
    flags += ["--train-file", str(squad_file), "--eval-file", str(squad_file)]
    assert main(flags) == 0
    plain = capsys.readouterr().out
    assert "--measure counts" in plain and "this machine" not in plain
    assert main([*flags, "--measure", "--hardware.device", "cpu"]) == 0
    timed = capsys.readouterr().out
    assert "this machine" in timed and "?" not in timed.split("hours")[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "planned"),
    [
        (("--teacher.model", "{teacher}"), ["teacher", "teacher-outputs", "student"]),
        ((), ["student"]),
    ],
    ids=["with a teacher", "from the labels"],
)
def test_a_student_that_came_is_planned_without_general_distillation(
    flags: tuple[str, ...],
    planned: list[str],
    make_teacher: MakeTeacher,
    squad_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    models = [part.format(teacher=make_teacher(layers=2)) for part in flags]
    models += ["--student.model", str(make_teacher(layers=1))]
    data = ["--train-file", str(squad_file), "--eval-file", str(squad_file)]
    command = ["--preset", "smoke", "--dry-run", "--out", str(tmp_path / "out"), *data, *models]
    assert main(command) == 0
    printed = capsys.readouterr().out.partition("\nhours")[0]
    rows = [line.split()[0] for line in printed.partition("\nstage")[2].splitlines()[1:]]
    assert [row for row in rows if row[0].isalpha()] == planned


def test_what_a_later_training_cannot_do_is_refused_before_the_first_one(
    make_teacher: MakeTeacher,
    squad_file: Path,
    text_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = ["--preset", "smoke", "--out", str(tmp_path)]
    flags += ["--teacher.model", str(make_teacher(layers=2))]
    flags += ["--train-file", str(squad_file), "--eval-file", str(squad_file)]
    for more, said in (
        (["--distil.text", str(tmp_path / "none.txt")], "no text file"),
        (["--distil.text", str(text_file), "--distil.length", "9999"], "takes at most"),
    ):
        assert main([*flags, *more]) == 2
        captured = capsys.readouterr()
        assert said in captured.err and "teacher:" not in captured.out, "no stage has begun"
    config = settings.parse([*flags, "--distil.text", str(text_file)], "")
    began = start.start(config, print)
    monkeypatch.setattr(ranks, "WORLD", 16)

    def with_batches(small: str | None) -> Any:
        parts = {name: getattr(config, name) for name in trainings}
        changed = {
            name: dataclasses.replace(
                part,
                optimization=dataclasses.replace(
                    part.optimization, batch_size=15 if name == small else 16
                ),
            )
            for name, part in parts.items()
        }
        return dataclasses.replace(began, config=dataclasses.replace(config, **changed))

    trainings = ("teacher", "mlm_head", "distil", "finetune")
    plan.check_trainings(with_batches(None))
    for name in trainings:
        flag = f"--{name.replace('_', '-')}.optimization.batch-size 15 leaves some of 16 devices"
        with pytest.raises(UserError, match=flag):
            plan.check_trainings(with_batches(name))


def test_hours_of_many_devices_are_fewer_but_not_as_many_times() -> None:
    one, eight = Device("one", 1, 1e12, 16), Device("eight", 8, 1e12, 16)
    assert one.hours(3.6e15) == 1.0
    assert 1 / 8 < eight.hours(3.6e15) < 1 / 6


def test_memory_grows_with_what_is_computed_at_a_time() -> None:
    def memory(**how: Any) -> float:
        return costs._memory(BERT, Optimization(batch_size=64, **how), 512, 1.0, 1)

    assert memory(device_batch=4) < memory(device_batch=32) < memory()
    assert memory() == memory(device_batch=64) == memory(device_batch=640)


def test_shards_leave_each_device_a_part_of_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """A weight takes 16 bytes: an eighth of them, and 8 bytes of what is gathered."""
    large = Shape(48, 2560, 10240, 40, 30522)  # 3.9 billion weights
    how, data = Optimization(device_batch=1), Count(1000, 1000, 384_000)
    config = Build(
        teacher=Teacher(optimization=how),
        distil=Distil(optimization=how, ce_on="masked", length=128),
        hardware=Hardware(shard=True),
    )

    def gigabytes(processes: int) -> dict[str, float]:
        monkeypatch.setattr(ranks, "WORLD", processes)
        planned = costs.stages(config, large, data, learned=data, has_mlm_head=True)
        return {step.name: step.gigabytes for step in planned}

    one, eight = gigabytes(1), gigabytes(8)
    assert one["teacher"] - eight["teacher"] == pytest.approx(
        16e-9 * large.weights * 7 / 8 - 8e-9 * (large.rest + 2 * large.layer)
    )
    assert eight["teacher"] < one["teacher"] / 4 and eight["distilled"] < one["distilled"] / 3
    assert eight["teacher-outputs"] == one["teacher-outputs"]  # one device records


def test_large_outputs_are_refused_before_anything_is_trained(
    make_teacher: MakeTeacher,
    squad_file: Path,
    text_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = ["--preset", "smoke", "--out", str(tmp_path), "--finetune.cache-gigabytes", "1e-6"]
    flags += ["--teacher.model", str(make_teacher(layers=2)), "--distil.text", str(text_file)]
    flags += ["--train-file", str(squad_file), "--eval-file", str(squad_file)]
    assert main(flags) == 2
    captured = capsys.readouterr()
    assert "raise --finetune.cache-gigabytes" in captured.err
    assert "teacher:" not in captured.out, "no stage has begun"


def test_a_full_disk_is_refused_early(
    monkeypatch: pytest.MonkeyPatch, make_teacher: MakeTeacher, squad_file: Path, tmp_path: Path
) -> None:
    from pipeline.models.teacher import look
    from pipeline.tasks.question_answering import TASK

    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    config = dataclasses.replace(settings.load("smoke"), out=tmp_path / "not" / "there")
    config = dataclasses.replace(
        config, data=dataclasses.replace(config.data, train_file=str(squad_file))
    )
    source = look(str(make_teacher(layers=2)), TASK.head, None, role="teacher").source
    assert source is not None
    train = TASK.load(config.data, "train")
    with pytest.raises(UserError, match=r"the disk has 0\.0 MB left: make room"):
        plan.check_disk(config, TASK, source, train, TASK.traits(train), (0, 1))


def free(monkeypatch: pytest.MonkeyPatch, count: float) -> None:
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: type("Usage", (), {"free": count}))


def test_what_an_interrupted_run_wrote_counts_as_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "checkpoint-4").mkdir()
    (tmp_path / "checkpoint-4" / "model").write_bytes(bytes(600_000))
    free(monkeypatch, 500_000)
    disk.require(tmp_path / "new", 0.001, "checkpoints", there=tmp_path)
    with pytest.raises(
        UserError, match=r"checkpoints take 1\.0 MB and .* 0\.5 MB left: .* with --out"
    ) as caught:
        disk.require(tmp_path / "new", 0.001, "checkpoints")
    assert "\n" not in str(caught.value)


def test_a_disk_that_filled_up_is_noticed_before_each_long_stage(
    monkeypatch: pytest.MonkeyPatch,
    make_teacher: MakeTeacher,
    squad_file: Path,
    text_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """After the teacher was trained, before general distillation; and before outputs are stored."""
    flags = ["--preset", "smoke", "--out", str(tmp_path / "out"), "--hardware.no-progress"]
    flags += ["--teacher.model", str(make_teacher(layers=2)), "--distil.text", str(text_file)]
    flags += ["--train-file", str(squad_file), "--eval-file", str(squad_file)]
    flags += ["--distil.alpha-ce", "0", "--distil.alpha-mlm", "0", "--max-length", "128"]
    flags += ["--stride", "32"]
    trained = learning.finetune_teacher

    def fills(*arguments: Any) -> Any:
        facts = trained(*arguments)
        free(monkeypatch, 1000)
        return facts

    with monkeypatch.context() as patch:
        patch.setattr(learning, "finetune_teacher", fills)
        patch.setattr(distilling, "distil", lambda *_: pytest.fail("it began"))
        assert main(flags) == 2
    said = capsys.readouterr()
    assert "teacher: not made yet" in said.out
    assert "the teacher's outputs and the student's checkpoints take " in said.err
    assert "--finetune.alpha-hidden 0" in said.err

    free(monkeypatch, 10**12)
    recorded = learning.record_teacher_outputs

    def full(*arguments: Any) -> Any:
        free(monkeypatch, 1000)
        return recorded(*arguments)

    monkeypatch.setattr(learning, "record_teacher_outputs", full)
    assert main(flags) == 2
    said = capsys.readouterr()
    assert "distilled: not made yet" in said.out
    assert "the teacher's outputs take 0." in said.err and "0.0 MB left: make room" in said.err


def test_checkpoints_that_do_not_fit_are_refused_before_the_first_step(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from pipeline.training import loop

    model = torch.nn.Linear(999, 1)  # 1000 weights: 24 bytes each
    free(monkeypatch, 23_999)
    with pytest.raises(UserError, match=r"of general distillation take 0\.0 MB"):
        loop._require_room(model, Optimization(), tmp_path, "general distillation")
    free(monkeypatch, 24_001)
    loop._require_room(model, Optimization(), tmp_path, "general distillation")
    with pytest.raises(UserError):  # the best weights, and better ones beside them
        loop._require_room(model, Optimization(keep_best=True), tmp_path, "student")
    model.bias.requires_grad_(False)
    model.weight.requires_grad_(False)
    free(monkeypatch, 8_001)
    loop._require_room(model, Optimization(), tmp_path, "MLM head")
