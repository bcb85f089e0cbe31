# SPDX-License-Identifier: Apache-2.0
"""The recipe: a tiny adapter is trained, goes on after a stop, and is merged as it was trained."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import MakeTeacher
from safetensors.torch import load_file

from pipeline import distilling, settings
from pipeline.adapter import train
from pipeline.adapter.__main__ import main
from pipeline.data.sources import EMBEDDED
from pipeline.models import carried, found, teacher
from pipeline.models.heads import CLASS_HEAD, SPAN_HEAD

IDS = torch.tensor([[2, 9, 14, 3, 7, 21, 40, 3]])
HALF = 2e-2  # float16 rounds each weight by up to 2**-11 of it; the logits are of the order of 5


@pytest.fixture(scope="module")
def base(make_teacher: MakeTeacher) -> Path:
    return make_teacher(layers=2)


@pytest.fixture
def flags(base: Path, tiny_squad: Callable[..., Path], text_file: Path) -> list[str]:
    data = str(tiny_squad(count=36))
    return [
        *("--base", str(base), "--data", data, "--data-license", "made up, CC0", "--no-embedded"),
        *("--dev", data, "--text", str(text_file), "--max-samples", "40", "--max-eval", "4"),
        *("--rank", "2", "--length", "48", "--stride", "24", "--max-query", "12"),
        *("--text-length", "32", "--joined-share", "0.4", "--unanswered-share", "0.2"),
        *("--optimization.epochs", "1", "--optimization.batch-size", "8"),
        *("--optimization.checkpoint-steps", "6", "--hardware.no-progress"),
        *("--hardware.precision", "fp32", "--hardware.device", "cpu"),
    ]


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_an_adapter_is_trained_goes_on_after_a_stop_and_becomes_the_embedded_teacher(
    flags: list[str],
    base: Path,
    tmp_path: Path,
    text_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    kept: list[Any] = []
    made = train.Learner

    def keep(*arguments: Any) -> Any:
        kept.append(made(*arguments))
        return kept[-1]

    monkeypatch.setattr(train, "Learner", keep)
    assert main([*flags, "--out", str(whole)]) == 0
    log = lines(whole)
    losses, figures = log[0], log[-1]["figures"]
    assert {"loss_answer", "loss_mlm", "per_cpu_second"} <= losses.keys()
    names = {"squad.json", "squad.json, joined, logits", "squad.json, joined, log-odds, best 2"}
    assert names | {"masked words"} <= figures.keys()

    # The folder: data alone, in half precision, with checksums and a card.
    folder = whole / "adapter"
    files = {"adapter_config.json", "adapter_model.safetensors", "mlm_head.safetensors"}
    files |= {"data.json"}
    assert {path.name for path in folder.iterdir()} == files | {"SHA256SUMS", "README.md"}
    tensors = load_file(folder / "adapter_model.safetensors")
    assert {one.dtype for one in tensors.values()} == {torch.float16}
    lora = [name for name in tensors if "lora_A" in name]
    assert len(lora) == 2 * 6 and sum("qa_outputs" in name for name in tensors) == 2
    card = (folder / "README.md").read_text()
    for said in ("made up, CC0", "Seed 42", "| masked words |", "--data squad.json", "sha256"):
        assert said in card
    assert str(tmp_path) not in card
    learned = f"36 questions from made up, CC0; masked words of {text_file.name}"
    assert carried.learned_from(folder) == learned and carried.learned_from(base) == ""

    # Stopped after a checkpoint, the same command goes on and ends with the same tensors.
    measured = train._Watch.measured

    def stop(self: Any, step: int) -> Any:
        if step == 6 and not (stopped / "once").exists():
            (stopped / "once").touch()
            raise KeyboardInterrupt
        return measured(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(train._Watch, "measured", stop)
        assert main([*flags, "--out", str(stopped)]) == 130
        assert "goes on from here" in capsys.readouterr().err
        assert main([*flags, "--out", str(stopped)]) == 0
    again = load_file(stopped / "adapter" / "adapter_model.safetensors")
    assert all(torch.equal(tensors[name], again[name]) for name in tensors)
    assert main([*flags, "--out", str(stopped), "--seed", "3"]) == 2
    assert "a training with other settings or data" in capsys.readouterr().err

    # The embedded teacher takes it: its logits and its head for masked words are the learner's.
    monkeypatch.setattr(teacher, "_locate", lambda model, role: ("tiny", base))
    build = settings.parse(["--preset", "smoke", "--teacher.adapter", str(folder)], "")
    source = found.find(build, SPAN_HEAD, 2).teacher
    assert source and source.has_head and source.has_mlm_head and source.name == "tiny"
    assert (source.carried, source.head_from) == (False, "the adapter adapter")
    learner = kept[0].eval()
    with torch.no_grad():
        hidden = learner.hidden(IDS, torch.ones_like(IDS), torch.zeros_like(IDS))
        start, _ = learner.answers(hidden, torch.ones_like(IDS))
        model = teacher.load_for_task(source, SPAN_HEAD, 2)
        torch.testing.assert_close(model(IDS).start_logits, start, rtol=0, atol=HALF)
        words = teacher.load_mlm(source.folder)(IDS).logits
        torch.testing.assert_close(words, learner.words(hidden), rtol=0, atol=HALF)

    # General distillation learns from that head, which nothing fits.
    facts = distilling.fit_mlm_head(
        tmp_path / "mlm", tmp_path / "scratch", build, source.folder, None, has_head=True
    )
    assert facts == {"head": "the teacher's own"}

    # Without an adapter, and for another head, the encoder is as it came.
    bare = settings.parse(["--preset", "smoke", "--teacher.adapter", "none"], "")
    for source in (
        found.find(bare, SPAN_HEAD, 2).teacher,
        found.find(build, CLASS_HEAD).teacher,
        teacher.find_teacher(EMBEDDED, SPAN_HEAD, 2),
    ):
        assert source and source.folder == base and not source.has_head

    # A file that was changed is refused.
    changed = tmp_path / "changed"
    shutil.copytree(folder, changed)
    (changed / "mlm_head.safetensors").write_bytes(b"x")
    looked = teacher.look(EMBEDDED, SPAN_HEAD, 2, role="teacher", adapter=str(changed))
    assert "mlm_head.safetensors of the adapter" in looked.problems[0]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--data-license", "one", "two"], "state one for each file"),
        (["--joined-share", "0.9"], "add up to more than 1"),
        (["--joined-share", "2"], "less than or equal to 1"),
        (["--mask-share", "0"], "--mask-share and --alpha-mlm above 0"),
        (["--rank", "400"], "lower the rank"),
        (["--length", "600"], "takes at most 512"),
        (["--stride", "48"], "allowed are 1 to 33"),
        (["--dev"], "--dev needs at least one value"),
    ],
)
def test_mistakes_are_refused_before_anything_is_trained(
    flags: list[str],
    more: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    limit = ["--max-megabytes", "0.1"] if "--rank" in more else []
    assert main([*flags, "--out", str(tmp_path / "out"), *more, *limit]) == 2
    printed = capsys.readouterr().err
    assert message in printed and printed.count("\n") == 1
    assert not (tmp_path / "out" / "log.jsonl").exists()


def test_the_packages_adapter_says_what_it_was_trained_on_as_its_card_does() -> None:
    said = carried.learned_from(carried.FOLDER)
    card = (carried.FOLDER / "README.md").read_text("utf-8")
    document = json.loads((carried.FOLDER / "data.json").read_text("utf-8"))
    for one in document["questions"]:
        row = f"| {one['name']} | {one['source']} | {one['count']:,} | `{one['sha256']}` |"
        assert row in card and f"{one['count']:,} questions from {one['source']}" in said
    text = document["text"]
    assert text["source"] in card and text["sha256"] in card and text["source"] in said
    assert carried.find(carried.CARRIED) == carried.FOLDER, "its checksums are those stated"


def test_a_package_without_an_adapter_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carried, "FOLDER", tmp_path / "carried")
    assert carried.find(carried.CARRIED) is None and carried.find("none") is None
    looked = teacher.look("embedded", SPAN_HEAD, 2, role="teacher", adapter=str(tmp_path))
    assert "no adapter_config.json there" in looked.problems[0]
