# SPDX-License-Identifier: Apache-2.0
"""The command that asks a file: where the passage comes from, what it prints, what it refuses."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from conftest import MakeTeacher
from hypothesis import given, settings
from hypothesis import strategies as st
from span_files import write_model_json
from transformers import AutoTokenizer

from converters import sealed
from converters.runtimes.checksums import sha256
from converters.runtimes.open import open_predictor
from pipeline import __version__, ask
from pipeline.files import beside, export
from pipeline.files.targets import FileFacts, TfLite
from pipeline.tasks.question_answering.evaluate import Answer, Answerer
from pipeline.tasks.question_answering.features import Limits, Windower

PASSAGE = "The tower of rome was built by anna in 1807. Zoë painted the old bridge in oslo."
QUESTION = "who built the tower?"


@pytest.fixture
def folder(tiny_export: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(tiny_export, tmp_path / "tflite"))


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Asks and gives the JSON that was printed, without the times."""

    def call(*arguments: str) -> dict[str, Any]:
        assert ask.main([*arguments, "--json"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 1
        answer: dict[str, Any] = json.loads(lines[0])
        for name in ("tokenize_ms", "infer_ms", "decode_ms"):
            assert answer.pop(name) >= 0
        return answer

    return call


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Asks in vain and gives the one line of complaint."""

    def call(*arguments: str) -> str:
        assert ask.main(arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err.count("\n") == 1
        assert captured.err.startswith("error: ")
        return captured.err

    return call


def test_passage_may_be_text_a_file_or_standard_input(
    tiny_export: Path,
    tmp_path: Path,
    said: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    tokenizer: Any,
) -> None:
    file = tiny_export / "student-fp32.tflite"
    notes = tmp_path / "my notes.text"
    notes.write_text(PASSAGE, encoding="utf-8")
    stdin = SimpleNamespace(buffer=io.BytesIO(PASSAGE.encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    by_text = said(str(file), QUESTION, "--context", PASSAGE)
    assert by_text == said(str(file), QUESTION, "--context", str(notes))
    assert by_text == said(str(file), QUESTION, "--context", "-")
    limits = Limits(max_length=48, stride=16, max_query=12, max_answer=8)
    direct = Answerer(open_predictor(file), tokenizer, limits).answer(QUESTION, PASSAGE)
    assert 0 < by_text["probability"] <= 1
    assert by_text["text"] == direct.text == PASSAGE[by_text["start"] : by_text["end"]] != ""
    assert by_text["score"] == pytest.approx(direct.score, abs=1e-5)
    assert by_text["windows"] == direct.windows


def test_golden_answers_come_out_of_the_command(
    tiny_export: Path, said: Callable[..., dict[str, Any]]
) -> None:
    golden = json.loads((tiny_export / "golden.json").read_text(encoding="utf-8"))
    # Questions cut to 12 word pieces, between [CLS] and [SEP], are refused by the command.
    asked = [case for case in golden["cases"] if case["windows"][0]["first"] < 14]
    assert len(asked) > 4
    for case in asked[:5]:
        for name, expected in case["answers"].items():
            context = ["--context", case["context"]]
            answer = said(str(tiny_export / name), case["question"], *context)
            assert (answer["start"], answer["end"]) == (expected["start"], expected["end"])
            assert answer["text"] == expected["text"]


def test_a_long_passage_is_read_in_parallel_and_in_part(
    tiny_export: Path, said: Callable[..., dict[str, Any]], refused: Callable[..., str]
) -> None:
    call = [str(tiny_export / "student-fp32.tflite"), QUESTION, "--context", PASSAGE * 4]
    whole = said(*call)
    assert whole["windows"] > 4 and said(*call, "--parallel", "3") == whole
    assert said(*call, "--max-windows", "2", "--parallel", "2")["windows"] == 2
    assert said(*call, "--max-windows", "99") == whole
    for flag in ("--parallel", "--max-windows"):
        assert f"{flag} 0: at least 1" in refused(*call, flag, "0")


def test_padding_and_threads_do_not_change_the_answer(
    tiny_export: Path, said: Callable[..., dict[str, Any]]
) -> None:
    arguments = (str(tiny_export / "student-fp32.tflite"), QUESTION, "--context", PASSAGE)
    plain = said(*arguments)
    other = said(*arguments, "--padded", "--threads", "2")
    for name in ("score", "probability"):
        assert other.pop(name) == pytest.approx(plain.pop(name), abs=1e-4)  # float32 sums
    assert other == plain


def test_lines_for_a_person(tiny_export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(tiny_export / "student-fp32.tflite")
    assert ask.main([file, QUESTION, "--context", PASSAGE]) == 0
    told = capsys.readouterr().out
    assert "characters" in told and "score" in told and "1 window," in told and " ms" in told
    nothing = Answer("", 0, 0, 1.5)
    assert ask._lines(nothing).startswith("no answer in this text")


def test_model_folder_can_be_asked_too(
    tiny_export: Path, said: Callable[..., dict[str, Any]]
) -> None:
    context = "anna built the tower."
    answer = said(str(tiny_export.parent / "student"), QUESTION, "--context", context)
    assert answer["text"] == context[answer["start"] : answer["end"]]


# Refusals


def test_missing_and_damaged_files_are_refused(
    folder: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    def complaint(file: Path) -> str:
        return refused(str(file), QUESTION, "--context", PASSAGE)

    file = folder / "student-int8.tflite"
    assert "does not exist" in complaint(folder / "none.tflite")
    assert "expected a .tflite or .onnx file" in complaint(folder / "vocab.txt")
    assert "expected" in complaint(tmp_path)
    (tmp_path / "broken.tflite").write_bytes(file.read_bytes()[:1000])
    assert "broken.tflite" in complaint(tmp_path / "broken.tflite")
    shutil.copy(file, tmp_path)
    assert "model.json" in complaint(tmp_path / file.name)


def resealed(document: dict[str, Any]) -> str:
    """A changed model.json whose digest fits."""
    return json.dumps(sealed.seal(document))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda d: "{", "no readable"),
        (lambda d: "[]", "no readable"),
        (lambda d: "", "no readable"),
        (lambda d: json.dumps(d | {"made_by": "me"}), "damaged or was changed"),
        (lambda d: json.dumps({k: v for k, v in d.items() if k != "digest"}), "no digest"),
        (lambda d: resealed(d | {"schema_version": 99}), "schema 99"),
        (lambda d: resealed({k: v for k, v in d.items() if k != "limits"}), "limits is missing"),
        (lambda d: resealed(d | {"limits": {"size": 3}}), "limits.max_length is missing"),
        (lambda d: resealed(d | {"tokenizer": None}), "tokenizer is None, which should be"),
        (
            lambda d: resealed(d | {"tokenizer": {"file": "vocab.txt"}}),
            "tokenizer.type is missing",
        ),
    ],
)
def test_model_json_that_does_not_fit_is_refused(
    folder: Path, refused: Callable[..., str], change: Callable[[Any], str], word: str
) -> None:
    path = folder / "model.json"
    path.write_text(change(json.loads(path.read_text(encoding="utf-8"))), encoding="utf-8")
    told = refused(str(folder / "student-int8.tflite"), QUESTION, "--context", PASSAGE)
    assert word in told and "model.json" in told


def test_vocabulary_must_be_there_and_be_the_right_one(
    folder: Path, refused: Callable[..., str]
) -> None:
    arguments = (str(folder / "student-int8.tflite"), QUESTION, "--context", PASSAGE)
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text(vocabulary.read_text(encoding="utf-8") + "more\n", encoding="utf-8")
    assert "not the vocabulary" in refused(*arguments)
    vocabulary.unlink()
    assert "vocab.txt" in refused(*arguments)


def test_passages_that_cannot_be_read_are_refused(
    tiny_export: Path,
    tmp_path: Path,
    refused: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = str(tiny_export / "student-fp32.tflite")
    latin = tmp_path / "latin.txt"
    latin.write_bytes("Köln".encode("latin-1"))
    assert "not UTF-8" in refused(file, QUESTION, "--context", str(latin))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"ab\xff")))
    assert "standard input is not UTF-8 text (byte 2)" in refused(file, QUESTION, "--context", "-")
    assert "not there" in refused(file, QUESTION, "--context", str(tmp_path / "nots.txt"))
    for blank in ("", " \n\u00a0"):
        assert "without text" in refused(file, QUESTION, "--context", blank)


def test_questions_that_cannot_be_asked_are_refused(
    tiny_export: Path, refused: Callable[..., str]
) -> None:
    file = str(tiny_export / "student-fp32.tflite")
    for question, pieces in (("", 0), ("who " * 13, 13)):
        told = refused(file, question, "--context", PASSAGE)
        assert f"the question has {pieces} word pieces: ask with 1 to 12" in told


def test_folder_without_tokenizer_is_refused(
    tiny_export: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    student = Path(shutil.copytree(tiny_export.parent / "student", tmp_path / "student"))
    for name in ("tokenizer.json", "vocab.txt"):
        (student / name).unlink(missing_ok=True)
    assert "no tokenizer" in refused(str(student), QUESTION, "--context", PASSAGE)


def test_text_that_no_file_can_be_called_by_is_a_text(
    tiny_export: Path, said: Callable[..., dict[str, Any]]
) -> None:
    file = str(tiny_export / "student-fp32.tflite")
    for context in (
        "a\0b anna",
        "anna " * 60,
        "anna " * 2000,
        "anna/built/the/tower " * 20,
        "anna.",
    ):
        answer = said(file, QUESTION, "--context", context)
        assert answer["text"] == context[answer["start"] : answer["end"]]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["file.tflite", "--questions"],
        ["file.tflite", "who?", "--context", "x", "--top", "some"],
        ["file.tflite", "who?", "--context"],
        ["file.tflite", "who?", "--context", "x", "--no-such-flag"],
        ["file.tflite", "who?", "--context", "x", "--threads", "many"],
    ],
)
def test_wrong_arguments_exit_with_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask.main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and len(printed.err.splitlines()) == 1
    assert printed.err.startswith("error: ") and "pipeline.ask --help" in printed.err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "one QUESTION"),
        (["who?"], "--context"),
        (["who?", "--questions", "q.jsonl"], "not both"),
        (["who?", "--context", "anna.", "--top", "0"], "--top 0: at least 1"),
        (["--questions", "-", "--context", "-"], "standard input"),
        (["--questions", "no.jsonl"], "no.jsonl (No such file"),
        (["--questions", "no.jsonl", "--context", "no.txt"], "no.txt is not there"),
    ],
)
def test_flags_that_do_not_fit_together_are_refused(
    arguments: list[str], word: str, refused: Callable[..., str]
) -> None:
    """Before the file is opened, which is not there."""
    assert word in refused("file.tflite", *arguments)


def test_threads_must_be_positive(tiny_export: Path, refused: Callable[..., str]) -> None:
    arguments = (str(tiny_export / "student-fp32.tflite"), QUESTION, "--context", PASSAGE)
    assert "--threads" in refused(*arguments, "--threads", "0")
    assert "--threads" in refused(*arguments, "--threads", "-3")
    assert "at most 256" in refused(*arguments, "--threads", str(2**31))
    assert "at most 256" in refused(*arguments, "--parallel", "257")


@pytest.mark.parametrize("document", [None, "{}"], ids=["no model.json", "another tool's"])
def test_a_damaged_file_without_a_checksum_is_opened_by_no_runtime(
    document: str | None,
    tiny_export: Path,
    tmp_path: Path,
    refused: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = bytearray((tiny_export / "student-int8.tflite").read_bytes())
    data[1000:3000] = bytes(2000)
    file = tmp_path / "student-int8.tflite"
    file.write_bytes(data)
    if document is not None:
        (tmp_path / "model.json").write_text(document)
    monkeypatch.setattr("converters.runtimes.open.TfLitePredictor", None)
    assert "no readable" in refused(str(file), QUESTION, "--context", PASSAGE)


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        ask.main(["--help"])
    assert caught.value.code == 0
    told = capsys.readouterr().out
    assert all(flag in told for flag in ("--context", "--json", "--padded", "--threads", "--top"))
    assert ask.main(["--version"]) == 0
    assert __version__ in capsys.readouterr().out
    for more in (["file", "who?", "--version"], ["--version=2"], ["--version", "2"]):
        assert ask.main(more) == 2
        assert "--model-version" in capsys.readouterr().err


# The tokenizer made of vocab.txt

ODD = (
    "Zoë naïve CAFÉ Malmo\u0308 İstanbul ǅ ß ẞ ﬁ ﬂ Ⅷ ²³ ½",
    "東京の塔は高い 부산 กรุงเทพ हिन्दी العربية עברית",
    "\U0001f5fc \U0001f468\u200d\U0001f469 \U0001d400\U00020000 \ud7ff\ue000\ufffd\ufeff",
    "soft\u00adhyphen zero\u200bwidth tab\tnew\nline\r\x00nul\x7fdel nb\u00a0sp\u3000ideo\u2028ls",
    "[CLS] [SEP] [MASK][PAD] [UNK]x [mask] ##ing un##able",
    "a" * 99 + " " + "a" * 100 + " " + "a" * 101 + " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ «»„“—…",
    "",
    "   ",
)


@pytest.fixture(scope="module")
def tokenizer_pairs(
    make_teacher: MakeTeacher, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[Any, Any]]:
    """The original tokenizer and that which `ask` makes of vocab.txt and model.json."""
    pairs = []
    for cased in (False, True):
        for options in ({}, {"strip_accents": False}, {"strip_accents": True}):
            original = AutoTokenizer.from_pretrained(make_teacher(cased=cased), **options)
            pairs.append((original, rebuilt(original, tmp_path_factory.mktemp("vocab"))))
    short = AutoTokenizer.from_pretrained(make_teacher())
    short.backend_tokenizer.model.max_input_chars_per_word = 5
    assert short.tokenize("planner") == ["[UNK]"]
    pairs.append((short, rebuilt(short, tmp_path_factory.mktemp("vocab"))))
    plain = AutoTokenizer.from_pretrained(make_teacher(), tokenize_chinese_chars=False)
    pairs.append((plain, rebuilt(plain, tmp_path_factory.mktemp("vocab"))))
    return pairs


def rebuilt(original: Any, folder: Path) -> Any:
    files = {"int8": folder / "student-int8.tflite"}
    vocabulary = export.write_vocabulary(folder, original)
    with patch.object(TfLite, "describe", return_value=FileFacts(1, "ab", {})):
        write_model_json(
            vocabulary, files, original, Limits(), max_positions=512, may_abstain=False
        )
    document = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    assert document["tokenizer"]["sha256"] == sha256(folder / "vocab.txt")
    return beside.tokenizer(folder, document["tokenizer"])


def assert_same_pieces(pair: tuple[Any, Any], text: str) -> None:
    original, made = (Windower(tokenizer, Limits()).pieces(text) for tokenizer in pair)
    assert original[0].tolist() == made[0].tolist()
    assert original[1].tolist() == made[1].tolist()


@pytest.mark.parametrize("text", ODD)
def test_vocabulary_file_gives_the_ids_and_offsets_of_the_original(
    tokenizer_pairs: list[tuple[Any, Any]], text: str
) -> None:
    for pair in tokenizer_pairs:
        assert_same_pieces(pair, text)


@settings(deadline=None, max_examples=60)
@given(text=st.text(max_size=60))
def test_vocabulary_file_gives_the_same_on_any_text(
    tokenizer_pairs: list[tuple[Any, Any]], text: str
) -> None:
    for pair in tokenizer_pairs:
        assert_same_pieces(pair, text)


def test_special_tokens_keep_their_ids(tokenizer_pairs: list[tuple[Any, Any]]) -> None:
    for original, made in tokenizer_pairs:
        assert len(made) == len(original)
        for name in ("pad", "unk", "cls", "sep", "mask"):
            assert getattr(made, f"{name}_token_id") == getattr(original, f"{name}_token_id")


@pytest.mark.parametrize(
    "name",
    ["my notes.txt", "notes.pdf", "NOTES.DOCX", "texts/passage", "../a b", "~/passage", "a.html"],
)
def test_the_name_of_a_file_that_is_not_there_is_no_passage(
    name: str, tiny_export: Path, refused: Callable[..., str]
) -> None:
    """An answer would come from the name itself."""
    file = str(tiny_export / "student-int8.tflite")
    assert f"{name} is not there" in refused(file, QUESTION, "--context", name)


def test_a_folder_is_no_passage(tiny_export: Path, refused: Callable[..., str]) -> None:
    file = str(tiny_export / "student-int8.tflite")
    assert "is a folder" in refused(file, QUESTION, "--context", str(tiny_export))


@pytest.mark.parametrize(
    "text",
    [
        "anna and/or boris built it.",
        "the tower is in rome",
        "boris saved it as notes.txt.",
        "anna wrote notes.txt and left",
        "a line\nnotes.txt",
        "he wrote for node.js",
        "see example.com",
        "built in 1998/99 by anna",
        "anna",
        "x" * 5000,
        "a\0b",
    ],
)
def test_a_sentence_is_a_passage(
    text: str, tiny_export: Path, said: Callable[..., dict[str, Any]]
) -> None:
    said(str(tiny_export / "student-int8.tflite"), QUESTION, "--context", text)


@pytest.mark.parametrize(
    "order",
    [
        "{file} --context {passage} {question}",
        "{file} {question} --context {passage}",
        "--context {passage} {file} {question}",
        "--json {file} --threads 1 --context={passage} {question}",
        "{file} --no-verify --context {passage} --padded {question}",
        "--context {passage} -- {file} {question}",
    ],
)
def test_flags_may_stand_anywhere(
    order: str, tiny_export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tiny_export / "student-int8.tflite")
    words = order.split(" ")
    assert ask.main([w.format(file=file, passage=PASSAGE, question=QUESTION) for w in words]) == 0
    assert capsys.readouterr().out


def test_a_file_and_standard_input_give_the_same_offsets(
    tiny_export: Path,
    tmp_path: Path,
    said: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the line ends are and whether a mark comes first."""
    file = str(tiny_export / "student-fp32.tflite")
    notes = tmp_path / "notes.txt"
    lines = ["in 1807,", "  emma was there.", PASSAGE, ""]
    for ending in ("\n", "\r\n"):
        text = ending.join(lines)
        answers = []
        for data in (text.encode(), text.encode("utf-8-sig")):
            notes.write_bytes(data)
            monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
            answers += [said(file, QUESTION, "--context", way) for way in (str(notes), "-")]
        assert all(answer == answers[0] for answer in answers)
        assert answers[0]["text"] == text[answers[0]["start"] : answers[0]["end"]]
