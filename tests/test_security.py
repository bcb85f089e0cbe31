# SPDX-License-Identifier: Apache-2.0
"""What runs code, unpacks archives or goes unencrypted stands nowhere but where it is listed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from repository import ROOT

FOLDERS = ("pipeline", "converters", "benchmarks", "docs", "android_demo")
SUFFIXES = (".py", ".mjs", ".j2", ".html", ".kt", ".kts", ".sh", ".xml", ".yaml", ".toml")

DOWNLOADS = "android_demo/core/src/test/kotlin/distilbert/mobile/core/download"
# What is searched for -> the files where it may stand, each with the reason.
PATTERNS: dict[str, dict[str, str]] = {
    r"\bpickle\.|import pickle|cPickle|joblib\.load|dill\.": {},
    r"(?<![\w.])eval\(|(?<![\w.])exec\(": {},
    r"shell=True|os\.system\(|os\.popen\(": {},
    r"yaml\.(load|unsafe_load|full_load)\(": {},
    r"extractall\(|unpack_archive\(": {},
    r"torch\.load\(|torch\.jit\.load\(|np\.load\(": {
        "pipeline/training/sharding.py": "a checkpoint of the same build, as tensors alone",
    },
    r"trust_remote_code\s*=\s*True": {},
    r"allow_pickle\s*=\s*True|weights_only\s*=\s*False": {},
    r"verify\s*=\s*False\s*[,)].*(requests|http)|_create_unverified_context": {},
    r"http://": {
        "pipeline/tasks/question_answering/page/app.mjs": "the address of the reader's own machine",
        f"{DOWNLOADS}/ModelStoreTest.kt": "an address that is refused",
    },
}

# Names of namespaces, which nobody loads.
NAMESPACES = re.compile(
    r"http://(maven\.apache\.org/(POM/4\.0\.0|xsd/[\w.-]+)|schemas\.android\.com/apk/res/android"
    r"|www\.w3\.org/2001/XMLSchema-instance)"
)


def sources() -> Iterator[Path]:
    """The files under version control that are code, or become part of a page."""
    command = ["git", "ls-files", "-z", *FOLDERS]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no checkout of git")
    for name in listed.decode().split("\0"):
        path = ROOT / name
        if name and path.suffix in SUFFIXES and path.is_file():
            yield path


@pytest.mark.parametrize("pattern", PATTERNS)
def test_nothing_dangerous_stands_where_it_is_not_listed(pattern: str) -> None:
    allowed, found = PATTERNS[pattern], set()
    for path in sources():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if re.search(pattern, NAMESPACES.sub("", line)):
                name = path.relative_to(ROOT).as_posix()
                found.add(name)
                assert name in allowed, f"{name}:{number}: {line.strip()}"
    assert found == set(allowed), "a place that is listed no longer needs to be"
