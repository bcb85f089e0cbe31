# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import itertools
import sys
import textwrap
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data import corpus
from pipeline.data.corpus import hub_sources, load_corpus, pack, pack_documents, stream_hub
from pipeline.errors import UserError
from pipeline.training.stream import Stream


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    path = tmp_path / "notes.txt"
    path.write_text(
        "The tower  of\nRome is old.\n\n-----\n\n\t\nAnna built\r\n\r\nthe bridge of Oslo\n",
        "utf-8",
    )
    return path


def test_a_text_file_is_cut_at_empty_lines(text_file: Path) -> None:
    found = load_corpus([str(text_file)])
    # "Anna built" has two words only: such scraps are headings and frames.
    assert found.paragraphs == ("The tower of Rome is old.", "the bridge of Oslo")
    assert found.name == "notes.txt"
    expected = hashlib.sha256(b"The tower of Rome is old.\n\nthe bridge of Oslo").hexdigest()
    assert found.sha256 == expected


def test_sources_and_passages_come_in_order_without_repeats(
    text_file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "more.txt"
    other.write_text("the bridge of Oslo\n\nA garden in Lima.", "utf-8")
    found = load_corpus([str(text_file), str(other)], ["Clara  wrote\nit.", "A garden in Lima."])
    assert found.name == "notes.txt + more.txt"
    assert found.paragraphs == (
        "The tower of Rome is old.",
        "the bridge of Oslo",
        "A garden in Lima.",
        "Clara wrote it.",
    )


def test_the_embedded_corpus_is_prose_of_some_size() -> None:
    found = load_corpus(["embedded"])
    assert found.name == "embedded"
    assert len(found.paragraphs) > 1000
    assert sum(len(p.split()) for p in found.paragraphs) > 50_000
    assert len(set(found.paragraphs)) == len(found.paragraphs)
    assert all(p == " ".join(p.split()) for p in found.paragraphs)
    text = "\n".join(found.paragraphs)
    assert "The following identifiers are used as reserved words" in text, "no language reference"
    assert textwrap.wrap.__doc__ and textwrap.wrap.__doc__.split(".")[0] in text, "no docstrings"


def test_the_key_is_known_before_the_embedded_text_is_read(
    text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "python_text", lambda: pytest.fail("read too early"))
    key = load_corpus(["embedded"]).key
    assert key == load_corpus(["embedded"]).key
    others = {load_corpus([str(text_file)]).key, load_corpus(["embedded"], ["Anna."]).key, key}
    assert len(others) == 3


def test_docstrings_of_any_source_are_found_or_left_out() -> None:
    source = b'"""Module."""\nclass A:\n  """Class."""\n  async def f(self):\n    "Method.\\d"\n'
    assert [d for d in corpus._docstrings(source) if d] == ["Module.", "Class.", "Method.\\d"]
    assert list(corpus._docstrings(b"def (")) == list(corpus._docstrings(b"a\0")) == []


def test_text_that_is_not_in_latin_letters_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "moscow.txt"
    path.write_text("Башня стоит в Москве.\n\n=== 1850 ===", "utf-8")
    assert load_corpus([str(path)]).paragraphs == ("Башня стоит в Москве.",)


@pytest.mark.parametrize("content", ["", "\n\n", "---\n\n1850 12\n\na b c"])
def test_a_corpus_without_text_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "empty.txt"
    path.write_text(content)
    with pytest.raises(UserError, match=r"no text in .*empty\.txt: general distillation"):
        load_corpus([str(path)])


def test_no_sources_and_no_passages_are_refused() -> None:
    with pytest.raises(UserError, match="no text in the corpus"):
        load_corpus([])


@pytest.mark.parametrize("name", ["missing.txt", "", "."])
def test_a_missing_file_or_a_folder_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"no text file .*UTF-8 text files or `embedded`"):
        load_corpus([name])


def test_a_file_that_is_no_utf8_is_placed(tmp_path: Path) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes(b"Z\xfcrich is a town")
    with pytest.raises(UserError, match=r"latin\.txt is not UTF-8 text \(byte 1\): convert it"):
        load_corpus([str(path)])


@settings(deadline=None, max_examples=50)
@given(content=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(content: bytes, tmp_path_factory: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(content)
    try:
        found = load_corpus([str(path)])
    except UserError as error:
        assert "any.txt" in str(error)
    else:
        assert all(p == " ".join(p.split()) and p for p in found.paragraphs)


WORDS = ("anna", "playing", "of", "rome", "zürich", "1850", ".", "tower")


@settings(deadline=None, max_examples=50)
@given(
    paragraphs=st.lists(st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join), max_size=8),
    length=st.integers(16, 40),
)
def test_packed_samples_hold_all_the_text_in_order(
    tokenizer: Any, paragraphs: list[str], length: int
) -> None:
    samples = list(pack(tokenizer, paragraphs, length))
    pieces = [
        piece
        for paragraph in paragraphs
        for piece in tokenizer.convert_tokens_to_ids(tokenizer.tokenize(paragraph))
    ]
    held = [piece for sample in samples for piece in sample[1:-1].tolist()]
    left = len(pieces) - len(held)
    assert held == pieces[: len(held)]
    assert 0 <= left < 8  # a rest too short to teach anything
    for sample in samples:
        assert sample.dtype.name == "int32"
        assert sample[0] == tokenizer.cls_token_id
        assert sample[-1] == tokenizer.sep_token_id
    assert all(len(sample) == length for sample in samples[:-1])
    if samples:
        assert 10 <= len(samples[-1]) <= length


def test_packing_is_lazy(tokenizer: Any) -> None:
    def endless() -> Any:
        while True:
            yield "anna built the tower of rome"

    stream = pack(tokenizer, endless(), 32)
    assert [len(next(stream)) for _ in range(3)] == [32, 32, 32]


def stub_rows(monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, Any]]) -> None:
    def load(source: str, split: str, *, streaming: bool = False) -> list[dict[str, Any]]:
        assert (source, split, streaming) == ("acme/text", "train", True)
        return rows

    monkeypatch.setattr(corpus, "load_dataset", load)


def test_hub_rows_are_streamed_as_paragraphs(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"text": "The tower\nof Rome.\n\nAnna built the ship."}, {"text": ""}, {"text": None}]
    stub_rows(monkeypatch, rows)
    assert list(stream_hub("acme/text")) == ["The tower of Rome.", "Anna built the ship."]


def test_each_file_of_a_hub_data_set_is_a_source_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tokenizer: Any
) -> None:
    datasets = pytest.importorskip("datasets", reason="without the hub extra there are no shards")
    rows = [{"text": f"anna built the tower of rome in {1000 + i}"} for i in range(60)]
    data = datasets.Dataset.from_list(rows).to_iterable_dataset(num_shards=3)
    monkeypatch.setattr(corpus, "load_dataset", lambda *_, **__: data)
    sources = hub_sources("acme/text")
    read = [list(source()) for source in sources]
    assert [len(texts) for texts in read] == [20, 20, 20]
    assert [text for texts in read for text in texts] == [row["text"] for row in rows]
    # The data set must not deal its files out to a loader's workers once more.
    stream = Stream(sources, partial(pack_documents, tokenizer, 16), seed=1, shuffled=0)
    alone, shared = (list(itertools.islice(stream.read(0, workers=n), 200)) for n in (0, 2))
    for one, other in zip(alone, shared, strict=True):
        assert one[0] == other[0] and one[1].tolist() == other[1].tolist()


def test_another_column_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    stub_rows(monkeypatch, [{"text": "not this one here", "body": "but this one here"}])
    assert list(stream_hub("acme/text", "body")) == ["but this one here"]


def test_a_missing_column_names_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    stub_rows(monkeypatch, [{"title": "", "body": ""}])
    with pytest.raises(UserError, match=r"no column text, .*title, body.*--distil.text-column"):
        list(stream_hub("acme/text"))


def test_a_column_that_is_no_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stub_rows(monkeypatch, [{"text": ["a", "list"]}])
    with pytest.raises(UserError, match=r"column text .*acme/text is no text but list"):
        list(stream_hub("acme/text"))


def test_without_datasets_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match='pip install "datasets'):
        list(stream_hub("acme/text"))


def test_a_hub_data_set_that_is_not_cached_is_refused() -> None:
    pytest.importorskip("datasets", reason="without the hub extra the message is another")
    with pytest.raises(UserError, match="cannot load data set acme/none") as caught:
        list(stream_hub("acme/none"))
    assert "\n" not in str(caught.value)
