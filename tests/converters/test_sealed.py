# SPDX-License-Identifier: Apache-2.0
"""Documents with a digest of themselves: the canonical form, and what a reader refuses."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from converters import ConversionError, sealed

# Of RFC 8785, appendix B: the bits of a double, and how ECMAScript prints it.
NUMBERS = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}


@pytest.mark.parametrize("bits", NUMBERS)
def test_numbers_are_printed_as_the_standard_has_them(bits: str) -> None:
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    assert sealed.canonical(value) == NUMBERS[bits]


def test_the_canonical_form_is_the_standards() -> None:
    # The example of RFC 8785, section 3.2.3, with its order of keys.
    document = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    assert list(json.loads(sealed.canonical(document))) == [
        *("\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"),
    ]
    assert sealed.canonical({"b": [1.0, 2.50, True, None], "a": {"x": 'q"\n\x1f\x7f'}}) == (
        '{"a":{"x":"q\\"\\n\\u001f\x7f"},"b":[1,2.5,true,null]}'
    )


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), "\ud800", {"\udc00": 1}, 2**53, {1}], ids=repr
)
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        sealed.canonical([value])


def test_layout_is_free_and_content_is_not(tmp_path: Path) -> None:
    document = {"b": 0.25, "a": ["x", {"deep": None}]}
    path = sealed.write(tmp_path / "a.json", document)
    again = sealed.write(tmp_path / "b.json", document, compact=True)
    assert path.read_bytes() != again.read_bytes() and b" " not in again.read_bytes()
    assert sealed.parse(path) == sealed.parse(again)
    for each in (path, again):
        sealed.check(each, sealed.parse(each))
    changed = {**sealed.parse(path), "b": 0.5}
    with pytest.raises(ConversionError, match="damaged or was changed: its digest is"):
        sealed.check(path, changed)
    assert sealed.seal(changed)[sealed.KEY] != changed[sealed.KEY]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"a": 1, "a": 2}', "the key 'a' twice"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": \xff}', "invalid start byte"),
        (b"[" * 100_000, "too many brackets"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "no readable"),
        (b"", "Expecting value"),
    ],
    ids=["twice", "nan", "utf8", "deep", "long", "empty"],
)
def test_documents_are_read_strictly(content: bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_bytes(content)
    with pytest.raises(ConversionError, match=why) as caught:
        sealed.parse(tmp_path / "model.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../a", "a/b", "a\\b", "C:a", "a\nb", "-f", ".a", "a.", "é" * 128]
)
def test_a_path_is_no_plain_name(name: str) -> None:
    assert not sealed.is_plain(name)
    assert sealed.is_plain("student-int8.tflite") and sealed.is_plain("東京 1.onnx")
