# SPDX-License-Identifier: Apache-2.0
"""The paper's table 3: sizes and lengths by hand, what is printed and refused."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from benchmarks.paper import table3 as paper
from benchmarks.paper.sentence_pairs import MOST_WORDS, PAD_TO, PIECES_PER_WORD, pairs, words
from pipeline.elmo.baseline import Head
from pipeline.elmo.network import Shape, parameters

SHAPE = Shape(
    characters=20,
    character_width=3,
    filters=((1, 4), (2, 5), (3, 3)),
    projection=6,
    cells=10,
)
LAYERS = {"vocab_size": 50, "max_position_embeddings": PAD_TO}
TINY = paper.Sizes(
    SHAPE,
    Head(width=7),
    {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    | LAYERS,
    {"dim": 8, "n_layers": 1, "n_heads": 2, "hidden_dim": 16} | LAYERS,
)


def lstm_weights(inputs: int, cells: int, state: int, biases: int) -> int:
    """Of one layer and direction: four gates of the input, the state before and biases."""
    return 4 * cells * (inputs + state + biases)


def test_true_sizes_are_the_published_ones() -> None:
    with torch.device("meta"):
        models = paper.subjects(paper.Sizes())
    counted = {name: parameters(model.module) for name, model in models.items()}
    width = 32 + 32 + 64 + 128 + 256 + 512 + 1024
    convolutions = sum(
        number * (size * 16 + 1)
        for size, number in enumerate((32, 32, 64, 128, 256, 512, 1024), start=1)
    )
    highways = 2 * (width + 1) * 2 * width
    lstms = 4 * (lstm_weights(512, 4096, 512, 1) + 4096 * 512)
    alone = 262 * 16 + convolutions + highways + (width + 1) * 512 + lstms + 3 + 1
    assert counted["ELMo alone"] == alone
    assert round(alone / 1e6, 1) == 93.6  # as AllenNLP states it
    around = 2 * (lstm_weights(1024, 1500, 1500, 2) + lstm_weights(3000, 1500, 1500, 2))
    assert counted["ELMo + BiLSTM"] == alone + around + 12_000 + 1
    layer = 4 * (768 + 1) * 768 + 2 * 768 + (768 + 1) * 3072 + (3072 + 1) * 768 + 2 * 768
    tables = (30_522 + 512 + 1) * 768
    pooler = (768 + 1) * 768
    assert counted["BERT-base"] == tables + 2 * 768 + 768 + 12 * layer + pooler + 769
    assert counted["DistilBERT"] == tables + 768 + 6 * layer + pooler + 769
    for name, millions in (("ELMo + BiLSTM", 180), ("BERT-base", 110), ("DistilBERT", 66)):
        # The paper rounds two of them to tens; DistilBERT's counts without its task's head.
        assert abs(counted[name] / 1e6 - millions) < 2.5
    heads = {name: sum(map(parameters, model.head)) for name, model in models.items()}
    assert heads["DistilBERT"] == pooler + 769
    assert round((counted["DistilBERT"] - heads["DistilBERT"]) / 1e6) == 66


def test_the_papers_figures() -> None:
    assert paper.PAPER == {"ELMo": (180, 895), "BERT-base": (110, 668), "DistilBERT": (66, 410)}


def test_lengths_are_as_assumed_and_the_seeds() -> None:
    drawn = words(4_000, seed=1)
    # Clipping and rounding move the mean of a stratified draw by less than 0.1, and the standard
    # deviation of the logarithm by less than 0.01.
    assert statistics.mean(drawn) == pytest.approx(13.5, abs=0.1)
    assert statistics.median(drawn) == 12
    assert statistics.pstdev(map(math.log, drawn)) == pytest.approx(0.49, abs=0.01)
    deciles = statistics.quantiles(drawn, n=10)
    assert (deciles[0], deciles[-1]) == (6, 22)
    assert drawn == words(4_000, seed=1) != words(4_000, seed=2)
    # [CLS] and two [SEP] with two longest sentences: padding cuts nothing.
    assert 2 * round(PIECES_PER_WORD * MOST_WORDS) + 3 <= PAD_TO


def test_pairs_have_what_each_model_takes() -> None:
    for pair in pairs(6, 20, 50, seed=2):
        ids, mask, segments = pair.pieces
        assert ids.shape == mask.shape == segments.shape
        counted = [s.shape[1] - 2 for s in pair.characters]
        own = [round(PIECES_PER_WORD * number) for number in counted]
        assert ids.shape[1] == sum(own) + 3
        assert int(segments.sum()) == own[1] + 1  # the second sentence and its [SEP]
        assert all(part.shape == (1, PAD_TO) for part in pair.padded)
        assert int(pair.padded[1].sum()) == ids.shape[1] == int(mask.sum())
        assert int(max(ids.max(), pair.padded[0].max())) < 50
        assert all(int(sentence.min()) > 0 for sentence in pair.characters)  # 0 is padding


def test_padding_changes_no_score() -> None:
    torch.manual_seed(5)
    model = BertForSequenceClassification(BertConfig(num_labels=1, **TINY.bert)).eval()
    (pair,) = pairs(1, 20, 50, seed=3)
    with torch.no_grad():
        scores = [
            model(input_ids=ids, attention_mask=mask, token_type_ids=segments).logits
            for ids, mask, segments in (pair.pieces, pair.padded)
        ]
    torch.testing.assert_close(*scores, atol=1e-6, rtol=1e-5)  # float32, attention in another order


def _run(monkeypatch: pytest.MonkeyPatch, out: Path, *more: str) -> int:
    monkeypatch.setattr(paper, "Sizes", lambda: TINY)
    return paper.main(["--table", "3", "--out", str(out), *more])


def test_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "t.json"
    assert _run(monkeypatch, out, "--quick", "--seed", "7") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["t.json"]
    found = json.loads(out.read_text("utf-8"))
    assert str(tmp_path) not in out.read_text("utf-8")
    assert (found["pairs"], found["rounds"], found["valid"]) == (paper.QUICK_PAIRS, 2, False)
    assert found["command"].endswith("--table 3 --out t.json --quick --seed 7")
    rows: dict[str, Any] = {row["name"]: row for row in found["rows"]}
    assert [name for name, row in rows.items() if row["paper"]] == [
        *("ELMo + BiLSTM", "BERT-base", "DistilBERT"),
        *("BERT-base, padded to 128", "DistilBERT, padded to 128"),
    ]
    for name, row in rows.items():
        samples = found["samples_ms"][name]
        assert len(samples) == 2 * paper.QUICK_PAIRS
        # 1,500 pairs at the mean of the samples, which are rounded to 0.1 microseconds.
        assert row["seconds"] == pytest.approx(1.5 * statistics.mean(samples), abs=2e-3)
        assert row["seconds_low"] <= row["seconds"] <= row["seconds_high"]
    ratios = {ratio["slower"]: ratio for ratio in found["ratios"]}
    assert ratios["BERT-base"]["paper"] == pytest.approx(668 / 410, abs=1e-3)
    assert ratios["ELMo alone"]["paper"] is None
    assert ratios["BERT-base, padded to 128"]["faster"] == "DistilBERT, padded to 128"
    text = capsys.readouterr().out
    assert "the mean of 4 pairs, scaled" in text and "not valid: 8 queries" in text
    assert text.count("NOT VALID") == 2 and "895" in text and "lengths as in STS-B" in text
    assert "the GLUE baseline: ELMo has 93.6 million" in text and found["note"] in text


def test_a_whole_pass_is_not_scaled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(paper, "FULL_PASS", 6)
    assert _run(monkeypatch, tmp_path / "t.json", "--sentences", "6") == 0
    assert "6 sentence pairs (measured)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--table", "1"], "--table 1 needs trained models and data: run python -m pipeline.glue"),
        (["--table", "2"], "python -m pipeline.glue --imdb NAME --squad TRAIN DEV --teacher NAME"),
        (["--table", "3", "--out", "."], "--out . cannot be written: name a file"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert paper.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and told in line


@pytest.mark.parametrize("wrong", [["--table", "4"], ["--table", "3", "--sentences", "0"], []])
def test_wrong_arguments_are_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        paper.main(wrong)
    assert left.value.code == 2
