# SPDX-License-Identifier: Apache-2.0
"""The page's reader computes the digest of a document as the build does, in Node."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from repository import CONTRACT, ROOT
from web_programs import WEB

from converters import sealed

SEALED = ROOT / "pipeline" / "tasks" / "question_answering" / "page" / "sealed.mjs"
NUMBERS = [0.0, -0.0, 1.0, 1e21, 1e20, 1e-6, 1.5e-7, 0.00005, 5e-324, -33.25, 2**53 - 1]


def test_documents_of_builds_are_read_and_changed_ones_refused(node: str, tmp_path: Path) -> None:
    builds = sorted(CONTRACT.glob("tiny*/*.json"))
    own = sealed.write(tmp_path / "own.json", {"é\u2028": NUMBERS, "b": "\x7f\x1f😀/", "a": {}})
    changed = tmp_path / "changed.json"
    changed.write_text(own.read_text(encoding="utf-8").replace("33.25", "33.5"), encoding="utf-8")
    paths = [*builds, own, changed]
    command = [node, str(WEB / "sealed.mjs"), str(SEALED), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    found = json.loads(done.stdout)
    assert found["checks"] is found["content"] is True
    assert len(builds) == 8 and all(found[str(path)] == "read" for path in (*builds, own))
    assert "is damaged or was changed" in found[str(changed)]


def test_a_browser_that_computes_no_checksums_is_not_said_to_have_checked(
    node: str, tmp_path: Path
) -> None:
    changed = tmp_path / "changed.json"
    changed.write_text('{"a": 1, "digest": "0"}', encoding="utf-8")
    command = [node, str(WEB / "sealed.mjs"), str(SEALED), "--insecure", str(changed)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    found = json.loads(done.stdout)
    assert found == {"checks": False, "content": False, str(changed): "read"}
    # The page says so before anything is asked.
    app, template = (
        (SEALED.parent / name).read_text(encoding="utf-8") for name in ("app.mjs", "index.html.j2")
    )
    assert 'element("unchecked").hidden = canCheck();' in app
    assert '<p id="unchecked" class="note" hidden>' in template
