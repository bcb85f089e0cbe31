# SPDX-License-Identifier: Apache-2.0
"""The page's tokenizer, windows and decoding against the contract's golden files, in Node."""

from __future__ import annotations

import json
import subprocess
import unicodedata

from repository import CONTRACT, ROOT
from web_programs import WEB

READER = ROOT / "pipeline" / "tasks" / "question_answering" / "page" / "reader.mjs"

# Format characters in Unicode 3.2, and marks since then.
CHANGED = "\u17b4\u17b5"
# Of 9,092 texts, many of which name each character of the newest scripts once.
MOST_DIFFERENT = 100


def test_the_reader_follows_the_contract(node: str) -> None:
    """A browser has its own Unicode version, and the tokenizer in training another, older one.

    So a text may differ if it holds a character that is younger than Unicode 3.2, which Python can
    tell, or has changed since; no other text may.
    """
    command = [node, str(WEB / "contract.mjs"), str(READER), str(CONTRACT)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    results = json.loads(done.stdout)
    assert results["pieces"]["cases"] == 9092 and results["answers"]["cases"] == 500
    assert len(results["pieces"]["differ"]) <= MOST_DIFFERENT
    assert results["added"]["cases"] == 5600 and len(results["added"]["differ"]) <= MOST_DIFFERENT
    assert len(results["answers"]["differ"]) <= 1
    assert results["search"]["cases"] == 300 and not results["search"]["differ"]
    texts = [case["text"] for case in results["pieces"]["differ"]]
    texts += [case["text"] for case in results["added"]["differ"]]
    texts += [case["question"] for case in results["answers"]["differ"]]
    old = unicodedata.ucd_3_2_0
    for text in texts:
        assert any(old.category(one) == "Cn" or one in CHANGED for one in text), repr(text)
