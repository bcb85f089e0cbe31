# SPDX-License-Identifier: Apache-2.0
"""Tables of texts as people have them: GLUE's files, CSV, TSV, JSON Lines, hub data sets."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.errors import UserError
from pipeline.tasks.text_classification import data as texts
from pipeline.tasks.text_classification.data import Text, TextSet, load_texts
from pipeline.tasks.text_classification.settings import TextData


def load(path: Path, **settings: Any) -> TextSet:
    return load_texts(TextData(eval_file=str(path), **settings), "dev")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def pairs(found: TextSet) -> list[tuple[str, str]]:
    return [(one.text, one.label) for one in found.examples]


# GLUE.


def test_cola_has_no_header_and_quotation_marks_are_characters(tmp_path: Path) -> None:
    lines = ['gj04\t1\t\t"Yes', "gj04\t0\t*\tHe said, go.", "", 'gj04\t1\t\t"No']
    for name in ("train", "dev"):
        write(tmp_path / "CoLA" / f"{name}.tsv", "\n".join(lines) + "\n")
    expected = [('"Yes', "1"), ("He said, go.", "0"), ('"No', "1")]
    for path in (tmp_path / "CoLA", tmp_path / "CoLA" / "dev.tsv"):
        found = load(path)
        assert pairs(found) == expected and found.labels == ("0", "1")
        assert found.task == "cola" and found.name == "CoLA dev.tsv"
    elsewhere = write(tmp_path / "mine" / "dev.tsv", "\n".join(lines))
    assert pairs(load(elsewhere)) == expected


SINGLE, PAIR = "text", "pair"
LAYOUTS = {
    "SST-2": ("sentence\tlabel", "it 's good \t1", Text("it 's good ", None, "1")),
    "RTE": (
        "index\tsentence1\tsentence2\tlabel",
        "0\ta b\tc\tentailment",
        Text("a b", "c", "entailment"),
    ),
    "WNLI": ("index\tsentence1\tsentence2\tlabel", "0\ta\tb\t1", Text("a", "b", "1")),
    "QNLI": (
        "index\tquestion\tsentence\tlabel",
        "0\twho?\tme\tnot_entailment",
        Text("who?", "me", "not_entailment"),
    ),
    "MRPC": ("Quality\t#1 ID\t#2 ID\t#1 String\t#2 String", "1\t7\t8\ta\tb", Text("a", "b", "1")),
    "QQP": (
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate",
        "0\t1\t2\ta?\tb?\t0",
        Text("a?", "b?", "0"),
    ),
    "MNLI": (
        "index\tpromptID\tpairID\tgenre\tsentence1_parse\tsentence2_parse\tsentence1\tsentence2"
        "\tlabel1\tgold_label",
        "0\t1\t1n\tfiction\t(a)\t(b)\ta\tb\tneutral\tcontradiction",
        Text("a", "b", "contradiction"),
    ),
    "STS-B": (
        "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore",
        '0\tg\tf\t2012\t1\tnone\tnone\t"a\tb\t4.750',
        Text('"a', "b", "4.750"),
    ),
}


@pytest.mark.parametrize("task", LAYOUTS)
def test_the_columns_of_glue(tmp_path: Path, task: str) -> None:
    header, line, example = LAYOUTS[task]
    name = "dev_matched.tsv" if task == "MNLI" else "dev.tsv"
    write(tmp_path / task / name, f"{header}\n{line}\n")
    found = load(tmp_path / task)
    assert found.examples == (example,)
    assert found.regression == (task == "STS-B")
    # The usual names find the same columns where nothing says that the file is GLUE's.
    elsewhere = write(tmp_path / "mine" / "some.tsv", f"{header}\n{line}\n")
    assert load(elsewhere).examples == (example,)


@pytest.mark.parametrize("folder", ["SNLI", "MNLI", "snli_1.0"])
def test_pairs_of_undecided_annotators_are_left_out(tmp_path: Path, folder: str) -> None:
    rows = "gold_label\tsentence1\tsentence2\nneutral\ta\tb\n-\tc\td\n"
    found = load(write(tmp_path / folder / "dev.tsv", rows))
    assert found.examples == (Text("a", "b", "neutral"),) and found.skipped == 1


def test_a_dash_is_a_class_in_other_data(tmp_path: Path) -> None:
    found = load(write(tmp_path / "mine.csv", "text,label\ngood,+\nbad,-\nso,0\n"))
    assert pairs(found) == [("good", "+"), ("bad", "-"), ("so", "0")]
    assert found.labels == ("+", "-", "0") and found.skipped == 0


def test_the_test_part_of_a_benchmark_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "SST-2" / "test.tsv", "index\tsentence\n0\tgood\n")
    with pytest.raises(UserError, match=r"test part of a benchmark has none.*'index', 'sentence'"):
        load(tmp_path / "SST-2" / "test.tsv")
    unlabeled = write(tmp_path / "a.tsv", "sentence\tlabel\ngood\t\nbad\t\n")
    with pytest.raises(UserError, match="has no labels in its column 'label'"):
        load(unlabeled)


def test_a_row_that_is_cut_off_is_left_out_in_glue_and_refused_elsewhere(tmp_path: Path) -> None:
    rows = "question1\tquestion2\tis_duplicate\na\tb\t1\nc\td\nx\ty\t0\n"
    found = load(write(tmp_path / "QQP" / "dev.tsv", rows))
    assert [one.text for one in found.examples] == ["a", "x"] and found.skipped == 1
    with pytest.raises(UserError, match=r"line 3 has 2 fields and the header 3"):
        load(write(tmp_path / "mine" / "dev.tsv", rows))


# Other files.


def test_csv_is_quoted_with_line_breaks_and_commas(tmp_path: Path) -> None:
    text = '\ufeffText,Sentiment\r\n"Good, ""very"" good.\nReally.",Positive\r\nbad,Negative\r\n'
    found = load(write(tmp_path / "reviews.csv", text))
    assert pairs(found) == [('Good, "very" good.\nReally.', "Positive"), ("bad", "Negative")]
    assert found.labels == ("Negative", "Positive")
    semicolons = load(write(tmp_path / "s.csv", "text;label\na, b;x\nc;y\n"))
    assert pairs(semicolons) == [("a, b", "x"), ("c", "y")]


def test_long_fields_are_read(tmp_path: Path) -> None:
    found = load(write(tmp_path / "a.csv", f"text,label\n{'long ' * 40_000},x\nb,y\n"))
    assert len(found.examples[0].text) == 200_000


def test_tsv_comes_quoted_and_plain(tmp_path: Path) -> None:
    quoted = 'Sentiment\tText\nNegative\t"So ""bad""\tit is."\nPositive\tGood\n'
    assert pairs(load(write(tmp_path / "a.tsv", quoted))) == [
        ('So "bad"\tit is.', "Negative"),
        ("Good", "Positive"),
    ]
    plain = 'text\tlabel\n"Good", he said.\tx\nonly "one\ty\n'
    assert pairs(load(write(tmp_path / "b.tsv", plain))) == [
        ('"Good", he said.', "x"),
        ('only "one', "y"),
    ]


def test_a_line_separator_of_unicode_is_no_line_break(tmp_path: Path) -> None:
    found = load(write(tmp_path / "a.tsv", "text\tlabel\na\u2028b\x85c\tx\nd\ty\n"))
    assert found.examples[0].text == "a\u2028b\x85c"


def test_json_lines_lists_and_gzip(tmp_path: Path) -> None:
    rows = [{"review": "a", "stars": 5, "id": 1}, {"review": "b", "stars": 1, "id": 2}]
    lines = "".join(f"{json.dumps(row)}\n\n" for row in rows)
    expected = [("a", "5"), ("b", "1")]
    assert pairs(load(write(tmp_path / "a.jsonl", lines))) == expected
    assert pairs(load(write(tmp_path / "a.json", json.dumps(rows)))) == expected
    packed = tmp_path / "a.jsonl.gz"
    packed.write_bytes(gzip.compress(lines.encode(), mtime=0))
    assert pairs(load(packed)) == expected
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"a\.jsonl\.gz is a damaged gzip file"):
        load(packed)


def test_named_columns(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "head,body,kind,label\nh1,b1,k1,1\nh2,b2,k2,2\n")
    found = load(file, text_column="head", pair_column="body", label_column="kind")
    assert found.examples[0] == Text("h1", "b1", "k1") and found.pair
    with pytest.raises(UserError, match=r"no column 'topic': it has 'head', 'body', 'kind'"):
        load(file, label_column="topic")
    with pytest.raises(UserError, match=r"name it with --text-column, the columns are 'head'"):
        load(file)
    both = write(tmp_path / "b.tsv", "sentence1\tsentence2\tlabel\na\tb\t0\nc\td\t1\n")
    assert load(both).pair
    assert not load(both, text_column="sentence1", pair_column="none").pair


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.csv", "", "is empty"),
        ("a.csv", "text,label\n", "a header and no rows"),
        ("a.csv", 'text,label\n"a"b,x\n', "line 2: .*quotation marks"),
        ("a.csv", "text,label\na,x\nb,\n", r"1 of 2 rows have no label .* first is line 3"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{', "line 2 is not JSON"),
        ("a.jsonl", "[1]", "entry 1 is a int"),
        ("a.jsonl", '{"text": null, "label": 1}', "line 1: 'text' is None, expected a text"),
        ("a.pdf", "text", r"ends in \.csv"),
        ("a.csv", "text,label\na,1\ntext,label\nb,0\n", "line 3 is the header again"),
        ("a.tsv", "text\tlabel\na\t1.5\n\ufefftext\tlabel\n", "line 3 is the header again"),
        ("a.csv", "text,pair\u200b,label\na,b,1\n", "column 'pair.u200b' has characters"),
        ("a.csv", "text,label\na\0b,1\n", "holds NUL characters"),
    ],
    ids=[
        *("empty", "header", "quotes", "label", "json", "list", "null", "pdf"),
        *("joined", "joined with marks", "unseen", "nul"),
    ],
)
def test_damage_is_named_with_its_line(
    tmp_path: Path, name: str, text: str, complaint: str
) -> None:
    with pytest.raises(UserError, match=complaint):
        load(write(tmp_path / name, text))


def test_a_file_that_is_no_text_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"text,label\n\xff,1\n")
    with pytest.raises(UserError, match="not UTF-8 text"):
        load(tmp_path / "a.csv")
    with pytest.raises(UserError, match="no data file"):
        load(tmp_path / "missing.tsv")
    with pytest.raises(UserError, match="holds no dev or dev_matched"):
        load(tmp_path)


# Labels.


def rows_of(tmp_path: Path, *labels: str) -> Path:
    lines = "".join(f"text {n},{label}\n" for n, label in enumerate(labels))
    return write(tmp_path / "labels.csv", f"text,label\n{lines}")


def test_labels_are_sorted_numbers_by_their_size(tmp_path: Path) -> None:
    assert load(rows_of(tmp_path, "b", "a", "c", "a")).labels == ("a", "b", "c")
    assert load(rows_of(tmp_path, "10", "9", "-1")).labels == ("-1", "9", "10")
    whole = load(rows_of(tmp_path, "1.0", "0.0"))
    assert whole.labels == ("0", "1") and whole.examples[0].label == "1"


def test_numbers_that_are_not_whole_are_a_regression(tmp_path: Path) -> None:
    found = load(rows_of(tmp_path, "1", "2.5", "3e0"))
    assert found.regression and found.labels == () and found.values == [1.0, 2.5, 3.0]
    assert load(rows_of(tmp_path, "1", "2"), regression=True).regression
    with pytest.raises(UserError, match="the label 'b' is no number"):
        load(rows_of(tmp_path, "1", "b"), regression=True)


def test_the_order_of_labels_can_be_given(tmp_path: Path) -> None:
    assert load(rows_of(tmp_path, "a", "b"), labels=("b", "c", "a")).labels == ("b", "c", "a")
    with pytest.raises(UserError, match="the label 'b', which is not one of --labels a c"):
        load(rows_of(tmp_path, "a", "b"), labels=("a", "c"))


def test_fewer_examples_keep_the_labels_of_the_file(tmp_path: Path) -> None:
    found = load(rows_of(tmp_path, "a", "b", "c"), max_eval=1)
    assert len(found.examples) == 1 and found.labels == ("a", "b", "c")
    assert found.facts()["counts"] == {"texts": 1, "labels": 3, "skipped": 0}


# Hub data sets.


class Split(list[dict[str, Any]]):
    """What `datasets` gives, as far as it is read."""

    def __init__(self, rows: list[dict[str, Any]], names: list[str] | None) -> None:
        super().__init__(rows)
        self.column_names = list(rows[0])
        self.features = dict.fromkeys(rows[0])
        if names:
            self.features |= {"label": SimpleNamespace(names=names)}  # type: ignore[dict-item]


def hub(monkeypatch: pytest.MonkeyPatch, splits: dict[str, Split]) -> None:
    def load_dataset(source: str, split: str) -> Split:
        if split not in splits:
            raise UserError(f"no split {split}")
        return splits[split]

    monkeypatch.setattr(texts, "load_dataset", load_dataset)


def test_a_hub_data_set_says_the_order_of_its_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"sentence": "a", "label": 1}, {"sentence": "b", "label": 0}]
    hub(monkeypatch, {"validation": Split(rows, ["unacceptable", "acceptable"])})
    found = load_texts(TextData(eval_file="nyu-mll/glue:cola"), "dev")
    assert found.labels == ("unacceptable", "acceptable") and found.task == "cola"
    assert pairs(found) == [("a", "acceptable"), ("b", "unacceptable")]
    assert found.name == "nyu-mll/glue:cola validation"


def test_a_hub_data_set_without_validation_is_scored_on_its_test_split(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [{"text": "a", "label": 1}, {"text": "b", "label": 0}]
    hub(monkeypatch, {"test": Split(rows, ["neg", "pos"])})
    found = load_texts(TextData(eval_file="stanfordnlp/imdb"), "dev")
    assert found.name == "stanfordnlp/imdb test" and found.labels == ("neg", "pos")
    with pytest.raises(UserError, match="no split train"):
        load_texts(TextData(train_file="stanfordnlp/imdb"), "train")


def test_hidden_labels_of_a_hub_data_set_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"sentence": "a", "label": -1}, {"sentence": "b", "label": -1}]
    hub(monkeypatch, {"validation": Split(rows, ["no", "yes"])})
    with pytest.raises(UserError, match="has no labels"):
        load_texts(TextData(eval_file="nyu-mll/glue:sst2"), "dev")


def test_floats_of_a_hub_data_set_are_a_regression(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"sentence1": "a", "sentence2": "b", "label": 5.0, "idx": 0},
        {"sentence1": "c", "sentence2": "d", "label": 3.25, "idx": 1},
    ]
    hub(monkeypatch, {"validation": Split(rows, None)})
    found = load_texts(TextData(eval_file="nyu-mll/glue:stsb"), "dev")
    assert found.regression and found.pair and found.values == [5.0, 3.25]


# What looks like data and is none, or is read in two ways.

ODD_TABLES = {
    "empty-fields": ("a.csv", ",,,\n", "empty fields alone"),
    "quoted-nothing": ("a.tsv", '""\n""\n', "empty fields alone"),
    "column-twice": ("a.csv", "text,text,label\na,b,x\n", "2 columns 'text'"),
    "key-twice": ("a.jsonl", '{"text": "a", "text": "b", "label": "x"}', "the key 'text' twice"),
    "nan": ("a.jsonl", '{"text": "a", "label": NaN}', "NaN is no number of JSON"),
    "infinite": ("a.jsonl", '{"text": "a", "label": 1e999}', "'label' is inf"),
    "list": ("a.jsonl", '{"text": "a", "label": ["x", "y"]}', "expected a text or a number"),
    "half-text": ("a.jsonl", '{"text": "a\\ud800", "label": "x"}', "half of a surrogate pair"),
    "half-label": ("a.jsonl", '{"text": "a", "label": "\\udfff"}', "half of a surrogate pair"),
    "long-label": ("a.csv", f"text,label\na,{'x' * 1001}\nb,1\n", "a label of 1,001 characters"),
    "long-number": ("a.csv", f"text,label\na,{'9' * 5000}\nb,1\n", "a label of 5,000 characters"),
}


@pytest.mark.parametrize("case", ODD_TABLES)
def test_odd_tables_are_refused_in_a_line(case: str, tmp_path: Path) -> None:
    name, text, expected = ODD_TABLES[case]
    with pytest.raises(UserError, match=expected) as caught:
        load(write(tmp_path / name, text))
    assert "\n" not in str(caught.value)


def test_whole_numbers_are_exact_and_infinite_ones_are_none(tmp_path: Path) -> None:
    rows = "text,label\na,9007199254740993\nb,9007199254740992.0\n"
    found = load(write(tmp_path / "a.csv", rows))
    assert found.labels == ("9007199254740992", "9007199254740993")
    path = write(tmp_path / "b.csv", "text,label\na,1e999\nb,0.5\n")
    assert load(path).labels == ("0.5", "1e999")
    with pytest.raises(UserError, match="'1e999' is no number"):
        load(path, regression=True)
