# SPDX-License-Identifier: Apache-2.0
"""Far more texts than the golden files hold, cut by Hugging Face's tokenizer and by Kotlin.

A text with half a surrogate pair cannot be given to the former.  In its place stands a control
character, which is one code point as well: for Kotlin, half a pair counts as such a character.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from contract import make_golden, texts
from repository import ROOT

TEXTS, HALVES = 20_000, 10_000
SEED = 77
CONTROL = "\x01"
HALF = re.compile("[\ud800-\udfff]")


def drawn() -> list[str]:
    """Sentences with odd characters, jumbles, and as many with halves of surrogate pairs."""
    generator = random.Random(SEED)
    sentences = [question.text for question in make_golden.questions()]
    found = [texts.mutated(generator, generator.choice(sentences)) for _ in range(TEXTS // 2)]
    found += [texts.jumbled(generator) for _ in range(TEXTS // 2)]
    for _ in range(HALVES):
        characters = list(texts.jumbled(generator))
        for _ in range(generator.randrange(1, 4)):
            # Not beside another one, with which it could be a pair.
            place = generator.randrange(len(characters) + 1)
            beside = "".join(characters[max(0, place - 1) : place + 1])
            if not HALF.search(beside):
                characters.insert(place, chr(generator.randrange(0xD800, 0xE000)))
        found.append("".join(characters))
    return found


@pytest.mark.long
def test_kotlin_cuts_many_texts_as_the_tokenizer_in_training(tmp_path: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        pytest.skip("Maven is not installed")
    words = make_golden.embedded_vocabulary()
    options = {"lowercase": True, "strip_accents": True}
    tokenizer = make_golden.make_tokenizer(words, options)
    cases = drawn()
    assert sum(HALF.search(text) is not None for text in cases) == HALVES
    plain = [HALF.sub(CONTROL, text) for text in cases]
    encoded = tokenizer.backend_tokenizer.encode_batch(plain, add_special_tokens=False)
    document = {
        "description": make_golden.description(tokenizer),
        "vocabulary": "".join(f"{word}\n" for word in words),
        "cases": [
            [text, one.ids, [place for span in one.offsets for place in span]]
            for text, one in zip(cases, encoded, strict=True)
        ],
    }
    file = tmp_path / "texts.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    command = [maven, "--batch-mode", "-pl", "core", "-am", "test", "-Dtest=ManyTextsTest"]
    command += ["-Dsurefire.failIfNoSpecifiedTests=false", f"-Dmany.texts={file}"]
    done = subprocess.run(command, cwd=ROOT / "android_demo", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:]
    assert f"many texts: {TEXTS + HALVES} compared, 0 differ" in done.stdout
