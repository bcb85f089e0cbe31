# SPDX-License-Identifier: Apache-2.0
"""The page of the hub folder: one file that may load nothing but what it names."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from repository import ROOT

from converters.precisions import ONNX, ONNX_HUB_DTYPES, ONNX_HUB_FILES
from pipeline import tasks
from pipeline.report import web
from pipeline.tasks.question_answering import TASK

SIZES = {"fp32": 69_000_000, "int8": 17_000_000, "fp16": 35_000_000}
FILES = {
    name: web.HubFile(ONNX_HUB_FILES[name], size, f"{size:064x}") for name, size in SIZES.items()
}
PINNED = r"https://cdn\.jsdelivr\.net/npm/[\w@/-]+@\d+\.\d+\.\d[^/]*/dist/\S+"
MODULES = ROOT / "tests" / "web" / "node_modules"


class Page(HTMLParser):
    """Elements of a page: tag, attributes, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.elements:
            tag, attributes, text = self.elements[-1]
            self.elements[-1] = (tag, attributes, text + data)

    def handle_endtag(self, tag: str) -> None:
        self.elements.append(("/" + tag, {}, ""))  # what follows is not the element's text

    def of(self, tag: str, **attributes: str) -> list[tuple[dict[str, str | None], str]]:
        """The elements with a tag and these attributes."""
        return [
            (found, text)
            for name, found, text in self.elements
            if name == tag and attributes.items() <= found.items()
        ]


@pytest.fixture(scope="module")
def text() -> str:
    """The page of question answering."""
    written = web.page(TASK, "DistilBERT for <question> answering", FILES)
    assert written is not None
    return written


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    """The same, parsed."""
    return Page(text)


def _policy(page: Page) -> dict[str, list[str]]:
    [(meta, _)] = page.of("meta", **{"http-equiv": "Content-Security-Policy"})
    rules = [rule.split() for rule in (meta["content"] or "").split(";")]
    return {name: sources for name, *sources in rules}


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_policy_allows_exactly_the_scripts_and_styles_of_the_page(page: Page) -> None:
    policy = _policy(page)
    assert policy["default-src"] == ["'none'"]
    inline = [
        _hash(text)
        for attributes, text in page.of("script")
        if attributes.get("type") != "application/json"
    ]
    libraries = dict.fromkeys(library.url for library in web.IMPORTS.values())
    assert policy["script-src"] == [*inline, *libraries, "'wasm-unsafe-eval'"]
    assert policy["style-src"] == [_hash(text) for _, text in page.of("style")]
    assert policy["connect-src"] == ["'self'", web.WEB_ASSEMBLY.url, *web.STORAGE]
    assert policy["form-action"] == policy["base-uri"] == ["'none'"]
    assert "unsafe-inline" not in str(policy) and "'unsafe-eval'" not in str(policy)


def test_no_element_asks_for_anything_else(page: Page) -> None:
    names = [(tag, attributes) for tag, attributes, _ in page.elements]
    assert not [tag for tag, attributes in names if "src" in attributes or "style" in attributes]
    assert not [tag for tag, found in names if any(name.startswith("on") for name in found)]
    links = {attributes.get("href") for _, attributes in names} - {None}
    assert links == {"data:,", "README.md", "report.html"}


def test_every_library_is_pinned_and_has_its_integrity(page: Page) -> None:
    [(_, text)] = page.of("script", type="importmap")
    import_map = json.loads(text)
    assert set(import_map["imports"].values()) == set(import_map["integrity"])
    for url, integrity in import_map["integrity"].items():
        assert re.fullmatch(
            r"https://cdn\.jsdelivr\.net/npm/[\w@/-]+@\d+\.\d+\.\d[^/]*/dist/\S+", url
        )
        assert re.fullmatch(r"sha384-[\w+/]{64}", integrity)
    [(_, text)] = page.of("script", id="settings")
    assert json.loads(text)["runtime"]["integrity"] == web.WEB_ASSEMBLY.integrity


LIBRARIES = sorted({*web.IMPORTS.values(), web.WEB_ASSEMBLY}, key=lambda each: each.path)


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda each: each.path)
def test_libraries_are_those_of_the_lock_file(library: web.Library) -> None:
    lock = json.loads((ROOT / "tests" / "web" / "package-lock.json").read_text(encoding="utf-8"))
    assert lock["packages"][f"node_modules/{library.package}"]["version"] == library.version
    file = MODULES / library.package / library.path
    if not file.is_file():
        pytest.skip("npm's packages are not installed: run `make web-test`")
    digest = base64.b64encode(hashlib.sha384(file.read_bytes()).digest()).decode()
    assert library.integrity == f"sha384-{digest}"
    if library is web.WEB_ASSEMBLY:
        assert file.stat().st_size == web.WEB_ASSEMBLY_BYTES


def test_the_page_offers_the_files_that_a_build_has(page: Page) -> None:
    [(_, text)] = page.of("script", id="settings")
    offered = json.loads(text)["files"]
    assert [file["dtype"] for file in offered] == ["q8", "fp16", "fp32"]
    assert [file["bytes"] for file in offered] == [SIZES[name] for name in web.CHOICES]
    assert [file["sha256"] for file in offered] == [FILES[name].sha256 for name in web.CHOICES]
    assert [file["name"] for file in offered] == [ONNX_HUB_FILES[name] for name in web.CHOICES]
    assert web.CHOICES.keys() == set(ONNX) == set(ONNX_HUB_FILES) == set(ONNX_HUB_DTYPES)
    alone = web.page(TASK, "a", {"fp32": FILES["fp32"]})
    assert alone is not None
    [(_, text)] = Page(alone).of("script", id="settings")
    assert [file["dtype"] for file in json.loads(text)["files"]] == ["fp32"]


def test_a_title_is_escaped(text: str) -> None:
    assert "<title>DistilBERT for &lt;question&gt; answering</title>" in text


def test_there_is_no_page_without_a_file_or_for_a_task_without_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert web.page(TASK, "a", {}) is None
    other = copy.copy(TASK)
    monkeypatch.setattr(type(TASK), "page", None)
    assert web.page(other, "a", FILES) is None


def test_controls_have_labels_and_states_are_announced(page: Page) -> None:
    labelled = {attributes["for"] for attributes, _ in page.of("label")}
    fields = ("textarea", "input", "select")
    controls = {attributes["id"] for tag in fields for attributes, _ in page.of(tag)}
    assert controls == labelled == {"passage", "question", "file"}
    assert page.of("p", role="status") and page.of("p", role="alert")
    assert page.of("p", id="spoken", **{"aria-live": "polite"})
    [(html, _)] = page.of("html")
    assert html["lang"] == "en"


def test_ids_that_the_script_reads_are_there(page: Page, text: str) -> None:
    ids = {attributes.get("id") for _, attributes, _ in page.elements}
    assert set(re.findall(r'element\("([\w-]+)"\)', text)) <= ids


@pytest.mark.parametrize("name", tasks.TASKS)
def test_a_task_with_a_page_has_its_five_files(name: str) -> None:
    folder: Path | None = tasks.find(name).page
    if folder is not None:
        names = {path.name for path in folder.iterdir()}
        assert names == {"index.html.j2", "style.css", "reader.mjs", "sealed.mjs", "app.mjs"}
