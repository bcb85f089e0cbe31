# SPDX-License-Identifier: Apache-2.0
"""The baseline of GLUE: what it computes, what it trains, and what it predicts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import elmo_files
import numpy as np
import pytest
import torch

from pipeline.config import Hardware
from pipeline.elmo import characters, finetune, weights
from pipeline.elmo.baseline import Baseline, Head
from pipeline.elmo.network import Elmo
from pipeline.errors import UserError

HEAD = Head(width=7, hidden=8)
HARDWARE = Hardware(device="cpu", precision="fp32", progress=False)
SHORT = replace(finetune.PUBLISHED, epochs=20.0, batch_size=4, learning_rate=0.05)
SURE = replace(HEAD, dropout=0.0, elmo_dropout=0.0)  # learns a few examples by heart


@dataclass(frozen=True)
class Text:
    """As `pipeline.tasks.text_classification` has its examples."""

    text: str
    pair: str | None
    label: str


@pytest.fixture
def elmo(tmp_path: Path) -> Elmo:
    return weights.load(*elmo_files.write(tmp_path, elmo_files.tensors(scale=1.0)))


def ids(*sentences: str) -> torch.Tensor:
    return characters.batch([characters.split(sentence) for sentence in sentences])


def test_a_pair_is_scored_from_both_sentences(elmo: Elmo) -> None:
    torch.manual_seed(4)
    model = Baseline(elmo, HEAD, None, pair=True).eval()
    first, second = ids("A man sings."), ids("Nobody sings a song here.")
    with torch.no_grad():
        u, v = (
            model.encoder(model.mix(elmo(each)))[0].max(dim=1).values for each in (first, second)
        )
        head = model.head
        assert isinstance(head, torch.nn.Linear), "a number has no hidden layer"
        expected = torch.cat([u, v, abs(u - v), u * v], 1) @ head.weight.T + head.bias
        # float32 sums of 56 products
        torch.testing.assert_close(model(first, second), expected, rtol=0, atol=1e-6)
        assert not torch.allclose(model(first, first), model(first, second), atol=1e-4)


def test_classes_have_a_hidden_layer_with_tanh(elmo: Elmo) -> None:
    model = Baseline(elmo, HEAD, 3, pair=False).eval()
    (_, into, _, _, out) = model.head.children()
    with torch.no_grad():
        u = model.encoder(model.mix(elmo(ids("Oslo is cold."))))[0].max(dim=1).values
        expected = torch.tanh(u @ into.weight.T + into.bias) @ out.weight.T + out.bias
        torch.testing.assert_close(model(ids("Oslo is cold.")), expected, rtol=0, atol=1e-6)
    assert (into.in_features, into.out_features, out.out_features) == (14, 8, 3)
    rates = [module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)]
    assert sorted(rates) == [0.2, 0.2, 0.2, 0.5]


def test_scores_depend_on_no_other_example_of_a_batch(elmo: Elmo) -> None:
    model = Baseline(elmo, HEAD, 2, pair=True).eval()
    firsts = ("Rome.", "Who built the old tower of Paris?", "")
    seconds = ("A ship passed under the bridge at night.", "Boris", "x")
    with torch.no_grad():
        together = model(ids(*firsts), ids(*seconds))
        alone = [model(ids(u), ids(v))[0] for u, v in zip(firsts, seconds, strict=True)]
    torch.testing.assert_close(together, torch.stack(alone), rtol=0, atol=1e-6)


def test_training_moves_all_but_elmo(elmo: Elmo, tmp_path: Path) -> None:
    """Classes of pairs: the loss falls, ELMo stays, and the same seed gives the same scores."""
    examples = [
        Text(one, other, "same" if one == other else "other")
        for one in ("yes", "no")
        for other in ("yes", "no")
    ]
    before = {name: tensor.clone() for name, tensor in elmo.state_dict().items()}
    labels = ("other", "same")

    def tuned(name: str, epochs: float, head: Head) -> finetune.Tuned:
        return finetune.finetune(
            elmo,
            examples,
            labels,
            hardware=HARDWARE,
            seed=5,
            scratch=tmp_path / name,
            optimization=replace(SHORT, epochs=epochs),
            head=head,
        )

    def loss(scores: np.ndarray) -> float:
        places = [labels.index(example.label) for example in examples]
        return float(-np.log(scores[np.arange(len(places)), places]).mean())

    start, end = tuned("start", 1.0, HEAD), tuned("end", 20.0, SURE)
    scores = end.scores(examples, batch_size=3)
    assert scores.shape == (4, 2) and scores.dtype == np.float32
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    assert loss(scores) < 0.5 * loss(start.scores(examples))
    assert [labels[place] for place in scores.argmax(1)] == [one.label for one in examples]
    assert end.fit.steps == 20 and set(end.fit.losses) == {"cross_entropy"}
    assert all(before[name].equal(tensor) for name, tensor in elmo.state_dict().items())
    assert end.model.mix.weights.any() and end.model.mix.gamma != 1, "the mix is trained"
    np.testing.assert_array_equal(
        tuned("again", 1.0, HEAD).scores(examples), start.scores(examples)
    )
    with pytest.raises(UserError, match="single texts, but the model was trained on the other"):
        end.scores([Text("alone", None, "")])
    assert end.scores([]).shape == (0, 2)


def test_numbers_are_predicted_in_their_own_range(elmo: Elmo, tmp_path: Path) -> None:
    examples = [Text("yes", None, "5"), Text("no", None, "1.5")]
    tuned = finetune.finetune(
        elmo,
        examples,
        (),
        hardware=HARDWARE,
        seed=0,
        scratch=tmp_path / "scratch",
        optimization=replace(SHORT, epochs=60.0, learning_rate=0.015),
        head=replace(SURE, width=16),
    )
    scores = tuned.scores(examples)
    assert scores.shape == (2,) and (tuned.low, tuned.span) == (1.5, 3.5)
    assert set(tuned.fit.losses) == {"squared_error"}
    # Before the training, both are near the middle: 1.75 from their labels.
    np.testing.assert_allclose(scores, [5, 1.5], atol=0.5)


@pytest.mark.parametrize(
    ("examples", "labels", "said"),
    [
        ([], ("a",), "no examples"),
        ([Text("x", None, "c")], ("a", "b"), "the label 'c' is not one of a, b"),
        ([Text("x", None, "good")], (), "the label 'good' is no finite number"),
        ([Text("x", None, "nan")], (), "the label 'nan' is no finite number"),
        ([Text("x", None, "a"), Text("x", "y", "a")], ("a",), "example 2 is a pair and the first"),
    ],
    ids=["none", "unknown", "word", "nan", "mixed"],
)
def test_other_examples_are_refused_before_training(
    examples: list[Text], labels: tuple[str, ...], said: str, elmo: Elmo, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=said):
        finetune.finetune(
            elmo, examples, labels, hardware=HARDWARE, seed=0, scratch=tmp_path / "scratch"
        )
    assert not (tmp_path / "scratch").exists()


def test_long_sentences_are_cut() -> None:
    read = finetune._sentences([Text("word " * 50, "a b", "")], finetune.MOST_WORDS)
    assert [len(sentence) for sentence in read[0]] == [40, 2]
