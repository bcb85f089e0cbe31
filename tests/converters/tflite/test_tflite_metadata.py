# SPDX-License-Identifier: Apache-2.0
"""Metadata is read back by a reader of its own, changes no result, and refuses what cannot fit."""

from __future__ import annotations

import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.compiled_model import CompiledModel
from export_fixtures import VOCABULARY, exported, window

from converters import ConversionError
from converters.interface import INPUTS, SPANS
from converters.precisions import TFLITE
from converters.runtimes.open import open_predictor
from converters.tflite import file as tflite_file
from converters.tflite.check import check_portable
from converters.tflite.metadata import About, add_metadata, read_metadata

SIGNATURE, OUTPUTS = SPANS.signature, SPANS.names

ABOUT = About(
    name="Antworter",
    description="Finds the answer — in a passage.",
    version="1.2.3",
    author="Zoë",
    license="Apache-2.0",
)
# A piece that `str.splitlines` would cut in two, and one outside the BMP.
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a\u2028b", "\U0001f5fc")
PIECES = (*SPECIAL, *(f"##{i}" for i in range(VOCABULARY - len(SPECIAL))))


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    return write_vocabulary(tmp_path / "words.txt", PIECES)


def write_vocabulary(path: Path, pieces: tuple[str, ...]) -> Path:
    path.write_bytes("".join(f"{piece}\n" for piece in pieces).encode())
    return path


def copy(precision: str, folder: Path, kind: str = "distilbert") -> Path:
    return Path(shutil.copy(exported(kind)[precision], folder / f"{kind}-{precision}.tflite"))


class Flat:
    """A flatbuffer table read with `struct` alone, by slot: a second reading of the format."""

    def __init__(self, data: bytes, place: int) -> None:
        self.data, self.place = data, place
        self.slots = place - struct.unpack_from("<i", data, place)[0]

    def at(self, slot: int) -> int | None:
        if 4 + 2 * slot >= struct.unpack_from("<H", self.data, self.slots)[0]:
            return None
        offset = struct.unpack_from("<H", self.data, self.slots + 4 + 2 * slot)[0]
        return self.place + offset if offset else None

    def follow(self, slot: int) -> int:
        place = self.at(slot)
        assert place is not None
        return place + struct.unpack_from("<I", self.data, place)[0]

    def text(self, slot: int) -> str:
        place = self.follow(slot)
        length = struct.unpack_from("<I", self.data, place)[0]
        assert self.data[place + 4 + length] == 0  # C++ readers count on it
        return self.data[place + 4 : place + 4 + length].decode()

    def byte(self, slot: int) -> int:
        place = self.at(slot)
        return 0 if place is None else self.data[place]

    def table(self, slot: int) -> Flat:
        return Flat(self.data, self.follow(slot))

    def tables(self, slot: int) -> list[Flat]:
        start = self.follow(slot)
        places = range(start + 4, start + 4 + 4 * struct.unpack_from("<I", self.data, start)[0], 4)
        return [Flat(self.data, p + struct.unpack_from("<I", self.data, p)[0]) for p in places]


def metadata_bytes(path: Path) -> bytes:
    model = tflite_file.read(path)
    buffers = [m.buffer for m in model.metadata if m.name == b"TFLITE_METADATA"]
    assert len(buffers) == 1
    return bytes(model.buffers[buffers[0]].data)


def test_another_reader_finds_everything(tmp_path: Path, vocabulary: Path) -> None:
    path = add_metadata(copy("int8", tmp_path, "bert"), vocabulary, ABOUT)
    data = metadata_bytes(path)
    assert data[4:8] == b"M001"
    model = Flat(data, struct.unpack_from("<I", data)[0])
    assert [model.text(slot) for slot in (0, 1, 2, 4, 5)] == [
        *(ABOUT.name, ABOUT.description, ABOUT.version, ABOUT.author, ABOUT.license)
    ]
    assert model.text(7) == "1.1.0"
    (graph,) = model.tables(3)
    for slot, names in ((2, INPUTS), (3, OUTPUTS)):
        assert tuple(tensor.text(0) for tensor in graph.tables(slot)) == names
        for tensor in graph.tables(slot):
            assert tensor.table(3).byte(0) == 1  # content: FeatureProperties
    (unit,) = graph.tables(5)  # input_process_units
    assert unit.byte(0) == 4  # BertTokenizerOptions
    (file,) = unit.table(1).tables(0)
    assert (file.text(0), file.byte(2)) == ("vocab.txt", 5)  # VOCABULARY
    with zipfile.ZipFile(path) as archive:
        (entry,) = archive.infolist()
        assert (entry.filename, entry.compress_type) == ("vocab.txt", zipfile.ZIP_STORED)
        # Android's reader takes offsets from the start of the file and does not inflate.
        assert path.read_bytes()[entry.header_offset : entry.header_offset + 4] == b"PK\x03\x04"
        assert archive.read(entry) == vocabulary.read_bytes()


def test_another_reader_finds_the_names_of_classes(tmp_path: Path, vocabulary: Path) -> None:
    names = ("delivery", "two\nlines", "Köln")
    path = add_metadata(copy("int8", tmp_path), vocabulary, ABOUT, names)
    data = metadata_bytes(path)
    (graph,) = Flat(data, struct.unpack_from("<I", data)[0]).tables(3)
    first, *others = graph.tables(3)
    (file,) = first.tables(6)  # associated_files of the output
    assert (file.text(0), file.byte(2)) == ("labels.txt", 2)  # TENSOR_AXIS_LABELS
    assert all(tensor.at(6) is None for tensor in (*others, *graph.tables(2)))
    with zipfile.ZipFile(path) as archive:
        assert archive.read("labels.txt").decode() == "delivery\ntwo lines\nKöln\n"
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
    assert read_metadata(path).labels == ("delivery", "two lines", "Köln")
    assert check_portable(path) == []
    plain = add_metadata(path, vocabulary, ABOUT)  # without them, those of before are gone
    assert read_metadata(plain).labels == ()


@pytest.mark.parametrize("precision", TFLITE)
def test_same_bits_any_length_and_still_portable(
    precision: str, tmp_path: Path, vocabulary: Path
) -> None:
    path = add_metadata(copy(precision, tmp_path), vocabulary, ABOUT)
    assert check_portable(path) == []
    before, after = (
        tflite_file.describe(exported("distilbert")[precision]),
        tflite_file.describe(path),
    )
    assert [w.bytes for w in before.weights] == [w.bytes for w in after.weights]
    assert (before.inputs, before.outputs) == (after.inputs, after.outputs)
    ours, theirs = open_predictor(path), open_predictor(exported("distilbert")[precision])
    for length in (384, 33, 512, 1):
        np.testing.assert_array_equal(ours.run(*window(length)), theirs.run(*window(length)))
    found = read_metadata(path)
    assert found.about == ABOUT and found.vocabulary == PIECES
    assert tuple(name for name, _ in found.inputs) == INPUTS
    assert tuple(name for name, _ in found.outputs) == OUTPUTS
    assert all(description for _, description in (*found.inputs, *found.outputs))
    stated = {"int8": "2.17.0", "int4": "2.21.0", "mixed": "2.21.0"}.get(precision, "2.9.0")
    assert found.min_runtime_version == stated


def test_compiled_model_takes_a_file_with_a_zip_behind_it(tmp_path: Path, vocabulary: Path) -> None:
    path = add_metadata(copy("int8", tmp_path), vocabulary, ABOUT)
    model, expected = CompiledModel.from_file(str(path)), open_predictor(path)
    for length in (50, 384):
        arrays = dict(zip(INPUTS, window(length), strict=True))
        for name in INPUTS:
            model.resize_input_tensor_by_name(SIGNATURE, name, [1, length], strict=True)
        buffers = {name: model.create_input_buffer_by_name(SIGNATURE, name) for name in INPUTS}
        for name, array in arrays.items():
            buffers[name].write(array)
        results = {name: model.create_output_buffer_by_name(SIGNATURE, name) for name in OUTPUTS}
        model.run_by_name(SIGNATURE, buffers, results)
        found = [results[name].read(length, np.float32) for name in OUTPUTS]
        np.testing.assert_array_equal(found, expected.run(*arrays.values()))


def test_twice_is_once_and_new_words_replace_old(tmp_path: Path, vocabulary: Path) -> None:
    path = add_metadata(copy("int8", tmp_path), vocabulary, ABOUT)
    once = path.read_bytes()
    assert add_metadata(path, vocabulary, ABOUT).read_bytes() == once
    other = write_vocabulary(tmp_path / "other.txt", (*PIECES[:-1], "new"))
    about = About("B", "", "2", "C", "MIT")
    found = read_metadata(add_metadata(path, other, about))
    assert found.about == about and found.vocabulary[-1] == "new"
    names = [entry.name for entry in tflite_file.read(path).metadata]
    assert len(names) == len(set(names))
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "distilbert-int8.tflite",
        "other.txt",
        "words.txt",
    ]


def test_windows_line_ends_are_no_part_of_a_piece(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_bytes("\r\n".join(PIECES).encode())
    assert read_metadata(add_metadata(copy("int8", tmp_path), words, ABOUT)).vocabulary == PIECES


@pytest.mark.parametrize(
    ("pieces", "report"),
    [
        (PIECES[:-1], rf"words.txt has {VOCABULARY - 1} pieces, .* have {VOCABULARY} rows"),
        ((*PIECES, "more"), rf"has {VOCABULARY + 1} pieces"),
        (("", *PIECES[1:3], "x", *PIECES[4:]), r"lacks \[SEP\]"),
    ],
)
def test_a_vocabulary_that_does_not_fit_is_refused(
    pieces: tuple[str, ...], report: str, tmp_path: Path
) -> None:
    path = copy("int8", tmp_path)
    before = path.read_bytes()
    with pytest.raises(ConversionError, match=report) as caught:
        add_metadata(path, write_vocabulary(tmp_path / "words.txt", pieces), ABOUT)
    assert "\n" not in str(caught.value) and path.read_bytes() == before


def test_unreadable_vocabularies_are_told(tmp_path: Path) -> None:
    path, words = copy("int8", tmp_path), tmp_path / "words.txt"
    with pytest.raises(ConversionError, match=r"cannot read .*words\.txt: No such"):
        add_metadata(path, words, ABOUT)
    words.write_bytes(b"\xff\xfe")
    with pytest.raises(ConversionError, match="is not UTF-8"):
        add_metadata(path, words, ABOUT)


def test_foreign_tensors_are_told(tmp_path: Path, vocabulary: Path) -> None:
    path = copy("int8", tmp_path)
    model = tflite_file.read(path)
    model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]].name = b"args_0"
    tflite_file.write(model, path)
    with pytest.raises(
        ConversionError,
        match="args_0, mask, segment_ids to start_logits, end_logits: expected ids, mask",
    ):
        add_metadata(path, vocabulary, ABOUT)


def cut_the_zip(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def cut_the_model(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def change_the_identifier(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"M001", b"M999"))


def lose_the_file_name(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"vocab.txt\0", b"vocab.TXT\0"))


def write_noise_over_the_metadata(path: Path) -> None:
    data, part = path.read_bytes(), metadata_bytes(path)
    noise = part[:8] + bytes(255 for _ in part[8:])
    path.write_bytes(data.replace(part, noise))


@pytest.mark.parametrize(
    "damage",
    [
        cut_the_zip,
        cut_the_model,
        change_the_identifier,
        lose_the_file_name,
        write_noise_over_the_metadata,
    ],
)
def test_damage_is_one_line(
    damage: Callable[[Path], None], tmp_path: Path, vocabulary: Path
) -> None:
    path = add_metadata(copy("int8", tmp_path), vocabulary, ABOUT)
    damage(path)
    with pytest.raises(ConversionError, match=r"^[^\n]*damaged[^\n]*$"):
        read_metadata(path)


def test_a_file_without_metadata_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="has no metadata: add it"):
        read_metadata(copy("int8", tmp_path))
    (tmp_path / "a.tflite").write_bytes(b"nothing")
    with pytest.raises(ConversionError, match=r"is not a \.tflite file"):
        read_metadata(tmp_path / "a.tflite")


def test_a_vocabulary_that_unpacks_to_too_much_is_not_unpacked(
    tmp_path: Path, vocabulary: Path
) -> None:
    path = add_metadata(copy("int8", tmp_path), vocabulary, ABOUT)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"PK\3\4")])  # the model alone
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("vocab.txt", bytes(65 * 2**20))
    assert path.stat().st_size < len(whole) + 2**20
    with pytest.raises(ConversionError, match=r"vocab\.txt unpacks to 68,157,440 bytes"):
        read_metadata(path)
