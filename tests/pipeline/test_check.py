# SPDX-License-Identifier: Apache-2.0
"""What `pipeline.check` prints of a model, in words and in JSON, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import MakeTeacher
from model_folders import carry, lora, model, save_adapter
from model_folders import settings as written
from transformers import (
    BertForSequenceClassification,
    BertModel,
    DistilBertForQuestionAnswering,
)

from converters.precisions import PRECISIONS
from pipeline import check, settings
from pipeline.models.layers import choose_layers
from pipeline.models.teacher import load_tokenizer


def test_everything_is_said_in_words(
    make_teacher: MakeTeacher, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_teacher(layers=4, head="qa")
    capsys.readouterr()
    assert check.main([str(folder)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    said = " ".join(printed.out.split())
    for words in (
        "tiny-bert is a BERT: 4 layers, width 32, 4 attention heads, feed-forward 64",
        "169 word pieces, 512 positions, 2 segments; stored as float32",
        "ForQuestionAnswering (2 outputs)",
        "ready for question-answering",
        "uncased (says tokenizer_config.json), 169 pieces, no added tokens",
        "as the teacher: it has a head for question answering and is not trained; a DistilBERT of "
        "2 of its 4 layers (1, 3) is trained on its outputs",
        "as the student: it has a head for question answering and becomes files as it is",
        "tflite about int8 ",
    ):
        assert words in said, words


@pytest.mark.parametrize("role", ["teacher", "student"])
def test_json_holds_everything_about_one_role(
    role: str, make_teacher: MakeTeacher, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check.main([str(make_teacher(cased=True)), "--json", "--as", role]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["usable"] is True and document["problems"] == []
    assert list(document["as"]) == [role]
    sizes = document["as"][role]["bytes_about"]
    assert {target: set(files) for target, files in sizes.items()} == {
        target: set(offered) for target, offered in PRECISIONS.items()
    }
    assert document["tokenizer"]["cased"] and not document["model"]["fits"]


def test_problems_are_in_the_json_and_on_standard_error(
    make_teacher: MakeTeacher, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model(DistilBertForQuestionAnswering)(tmp_path / "mine")
    written(dropout=7, is_decoder=True)(tmp_path / "mine")
    capsys.readouterr()
    assert check.main([str(tmp_path / "mine"), "--json"]) == 2
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert not document["usable"] and document["model"]["kind"] == "DistilBERT"
    assert [f"error: {line}" for line in document["problems"]] == printed.err.splitlines()
    assert len(document["problems"]) == 2
    assert check.main([str(tmp_path / "mine")]) == 2
    assert "ready for" not in capsys.readouterr().out


def test_a_distilbert_is_a_student_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model(DistilBertForQuestionAnswering)(tmp_path / "mine")
    assert list(check.examine(str(tmp_path / "mine"))["as"]) == ["student"]
    assert check.main([str(tmp_path / "mine"), "--as", "teacher"]) == 2
    assert "is a 'distilbert': only BERT can be the teacher" in capsys.readouterr().err


def test_the_embedded_model_is_judged_as_a_build_takes_it_in_each_role(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # As the teacher, a build without flags merges the adapter, whose head is then not trained; as
    # the student, it takes the encoder alone.
    folder = tmp_path / "package"
    carry(folder, monkeypatch)
    both = check.examine("embedded")
    assert both["usable"] and not both["problems"] and not both["model"]["merged_from"]
    head = "it has a head for question answering from the package's adapter and is not trained"
    assert both["as"]["teacher"]["made_of_it"].startswith(head)
    assert "gets a head for question answering" in both["as"]["student"]["made_of_it"]
    for role in ("teacher", "student"):
        assert both["as"][role] == check.examine("embedded", role=role)["as"][role]
    sums = folder / "SHA256SUMS"
    sums.write_text("0" * 8 + sums.read_text()[8:])
    assert check.main(["embedded"]) == 2
    printed = capsys.readouterr()
    assert "as the student" in printed.out and "as the teacher" not in printed.out
    assert "is not what SHA256SUMS beside it states" in printed.err
    assert check.main(["embedded", "--as", "student"]) == 0


def test_a_student_starts_from_the_layers_that_a_build_without_flags_takes() -> None:
    layers = settings.load().student.layers
    taken = choose_layers(6, layers)
    said = check.examine("embedded", role="teacher")["as"]["teacher"]["made_of_it"]
    assert taken == (1, 3, 5) and f"3 of its 6 layers ({', '.join(map(str, taken))})" in said


def test_heads_of_other_tasks_are_named(tmp_path: Path) -> None:
    model(BertForSequenceClassification, num_labels=5)(tmp_path / "mine")
    facts = check.examine(str(tmp_path / "mine"))["model"]
    assert facts["heads"] == [{"name": "ForSequenceClassification", "outputs": 5}]


def test_spare_rows_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model(DistilBertForQuestionAnswering, spare=27)(tmp_path / "mine")
    assert check.main([str(tmp_path / "mine")]) == 0
    assert "196 word pieces (27 of them spare, which are cut off), 128" in capsys.readouterr().out


def test_an_adapter_is_named_with_its_base(tmp_path: Path) -> None:
    save_adapter(tmp_path / "mine", model(BertModel), BertModel, lora()())
    facts = check.examine(str(tmp_path / "mine"))["model"]
    assert facts["merged_from"] == {"adapter": "LORA", "base": "mine-base"}


def test_what_is_nowhere_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main([str(tmp_path / "nowhere")]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert "nowhere: name a folder, a hub id, or `embedded`" in printed.err
    assert check.main(["embedded", "--task", "guessing"]) == 2
    assert "no such task" in capsys.readouterr().err


def test_the_version_stands_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("pipeline ")


def test_a_token_from_outside_does_not_rule_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model(DistilBertForQuestionAnswering, spare=1)(tmp_path / "mine")
    tokenizer = load_tokenizer(tmp_path / "mine")
    tokenizer.add_tokens(["\x1b]0;mine\x07\nerror: \x9b31m"])
    tokenizer.save_pretrained(tmp_path / "mine")
    capsys.readouterr()
    for more in ([], ["--json"]):
        assert check.main([str(tmp_path / "mine"), *more]) == 0
        printed = capsys.readouterr().out
        assert not {"\x1b", "\x07", "\x9b"} & {*printed}
        assert not any(line.startswith("error") for line in printed.splitlines())
    assert "x1b]0;mine" in printed or "u001b]0;mine" in printed


def test_no_name_is_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main([""]) == 2
    assert "the name of the student is empty" in capsys.readouterr().err
