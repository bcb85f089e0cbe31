# SPDX-License-Identifier: Apache-2.0
"""What a page of ours holds, as a browser's parser sees it."""

from __future__ import annotations

import html.parser


class ParsedPage(html.parser.HTMLParser):
    """Collects a page's text, tags and attributes, and checks that tags are closed."""

    VOID = frozenset({"meta", "link", "rect", "path", "circle"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.words.append(data)
