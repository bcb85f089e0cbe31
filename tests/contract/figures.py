# SPDX-License-Identifier: Apache-2.0
"""What Python makes of a benchmark's samples and answers; the app must compute the same figures.

Part of `make_golden.py`.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.measure import latency
from pipeline.tasks.question_answering import languages

from .phrases import EDGES, PHRASES

SHAPES = ((1, 1), (1, 7), (2, 2), (3, 10), (2, 101), (5, 33), (3, 391))  # rounds, queries
FIGURES = ("count", "mean", "p50", "p90", "p99", "min", "max")
SPACES = " \t\n\u00a0\u0085\u2003\u3000\u001c"
ODD_ANSWERS = (
    *("", " ", "the", "The the THE", "a", "an-a", "A\u2013the\u2013an", "the½", "²a", "aⅣ the"),
    *("a\u0301 the", "Ωmega", "ΣΑΣ", "İstanbul", "straße", "STRASSE", "“the” end"),
    *("the\u00a0end", "e.g. the U.S.", "it's", "its", "don't_stop", "1,000", "1000"),
    *("東京 the 塔", "\U0001d518 a \U0001f600the"),
)


def figures_document(seed: int, answers: Sequence[str]) -> dict[str, Any]:
    """Summaries with spreads, ratios, and scores.

    Args:
        seed: of everything drawn here.
        answers: true ones of real questions.
    """
    generator = random.Random(seed)
    grids = [(rounds, samples(rounds * queries, generator)) for rounds, queries in SHAPES]
    return {
        "summaries": [
            {"samples": each, "rounds": rounds}
            | {"summary": summary(each)}
            | {"spread": latency._spread(latency._grid(each, rounds))}
            for rounds, each in grids
        ],
        "ratios": [ratio(samples(len(each), generator), each, rounds) for rounds, each in grids],
        "scores": [score(*pair) for pair in pairs(answers, generator)],
        "languages": [language_scores(language, seed) for language in sorted(PHRASES)],
    }


def samples(count: int, generator: random.Random) -> list[float]:
    """Milliseconds as a report keeps them."""
    return [round(generator.lognormvariate(2, 0.5), 4) for _ in range(count)]


def summary(each: list[float]) -> dict[str, float]:
    """The members of a summary but the bounds of its intervals, which the app does not compute."""
    found = asdict(latency.summarize(each))
    return {name: found[name] for name in FIGURES}


def ratio(slower: list[float], faster: list[float], rounds: int) -> dict[str, Any]:
    """Two subjects and their ratio, without the bounds of its interval."""
    found, *_ = latency.ratio(slower, faster, seed=0, rounds=rounds)
    return {"slower": slower, "faster": faster, "ratio": found}


def pairs(answers: Sequence[str], generator: random.Random) -> list[tuple[str, list[str]]]:
    """Answers given, and the true ones: real, cut, respelled and odd."""
    found = [(odd, [other]) for odd in ODD_ANSWERS for other in (odd, "the end", "")]
    for answer in generator.sample(answers, 120):
        words = answer.split()
        cut = generator.choice(SPACES).join(words[generator.randrange(len(words)) :])
        respelled = unicodedata.normalize("NFD", answer.upper()) + generator.choice("!.”)")
        for given in (answer, cut, respelled, f"the {answer}", generator.choice(answers)):
            found.append((given, [answer, *generator.sample(answers, generator.randrange(3))]))
    return found


def language_scores(language: str, seed: int) -> dict[str, Any]:
    """The rules of a language with scores by `languages`, each 0 to 1."""
    generator = random.Random(f"{seed} {language}")
    phrases = [*PHRASES[language], *ODD_ANSWERS, *EDGES]
    pairs = [(given, truth) for given in phrases for truth in generator.sample(phrases, 7)]
    pairs += [(phrase.upper() + "!", phrase) for phrase in phrases]
    pairs += [(phrase, phrase) for phrase in phrases]
    return {
        "language": language,
        "scoring": languages.describe(language),
        "scores": [
            {
                "given": given,
                "truth": truth,
                "exact_match": languages.exact(given, truth, language),
                "f1": languages.f1(given, truth, language),
            }
            for given, truth in pairs
        ],
    }


def score(given: str, truths: list[str]) -> dict[str, Any]:
    """Percent, by the metric that a build is scored with."""
    from torchmetrics.functional.text import squad

    target = {"answers": {"answer_start": [0] * len(truths), "text": truths}, "id": "0"}
    found = squad({"prediction_text": given, "id": "0"}, target)
    return {
        "given": given,
        "truths": truths,
        "exact_match": float(found["exact_match"]),
        "f1": float(found["f1"]),
    }
