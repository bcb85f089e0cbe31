# SPDX-License-Identifier: Apache-2.0
"""Tiny random teachers and a tiny SQuAD file; no test reaches the network or warms two cores."""

from __future__ import annotations

import json
import os
import socket
import string
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = """
the a an of in on at by to and who what when where which built wrote found painted was is did tower
bridge poem river garden ship clock house north south old new year city anna boris clara david emma
frank rome paris oslo cairo lima kyoto walk play ##ing ##ed ##er ##s ##ly un ##able
"""
POSITIONS = 512
WIDTH, HEADS = 32, 4
PLACES = ("rome", "paris", "oslo", "cairo", "lima", "kyoto")
PEOPLE = ("anna", "boris", "clara", "david", "emma", "frank")
THINGS = ("tower", "bridge", "garden", "ship", "clock", "house")


def pieces(cased: bool = False) -> list[str]:
    """A word-piece vocabulary that can spell every ASCII word; about 170 pieces, 220 if cased."""
    letters = string.ascii_letters if cased else string.ascii_lowercase
    spelled = [*letters, *(f"##{c}" for c in letters)]
    digits = [*string.digits, *(f"##{c}" for c in string.digits)]
    found = [*SPECIAL, *WORDS.split(), *spelled, *digits, *string.punctuation, *"éüø東京"]
    return list(dict.fromkeys(found))


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """Connections stay on this machine: sockets of its file system, or of its loopback."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def refuse(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1"):
            raise OSError(f"a test tried to reach {address}")

    def guarded(self: socket.socket, address: Any) -> None:
        refuse(self, address)
        connect(self, address)

    def guarded_ex(self: socket.socket, address: Any) -> int:
        refuse(self, address)
        return connect_ex(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        patch.setattr(socket.socket, "connect_ex", guarded_ex)
        yield


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """These models are so small that a second thread only waits."""
    import torch

    torch.set_num_threads(1)


MakeTeacher = Callable[..., Path]


@pytest.fixture(scope="session")
def make_teacher(tmp_path_factory: pytest.TempPathFactory) -> MakeTeacher:
    """Gives `make(layers=3, head=None, cased=False, seed=0, **config)`: a Hugging Face folder.

    `head` is None (the bare encoder, as sentence encoders come), "mlm" or "qa".  Folders are shared
    by all tests: copy one before you change it.
    """

    @cache
    def make(
        layers: int = 3, head: str | None = None, cased: bool = False, seed: int = 0, **config: Any
    ) -> Path:
        import torch
        from transformers import (
            BertConfig,
            BertForMaskedLM,
            BertForQuestionAnswering,
            BertModel,
            BertTokenizerFast,
        )

        vocabulary = pieces(cased)
        sizes = {
            "vocab_size": len(vocabulary),
            "hidden_size": WIDTH,
            "num_hidden_layers": layers,
            "num_attention_heads": HEADS,
            "intermediate_size": 2 * WIDTH,
            "max_position_embeddings": POSITIONS,
        }
        kind = {None: BertModel, "mlm": BertForMaskedLM, "qa": BertForQuestionAnswering}[head]
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = kind(BertConfig(**{**sizes, **config}))
            with torch.no_grad():
                for weight in model.parameters():  # biases and norms too: nothing stays 0 or 1
                    weight.add_(torch.randn(weight.shape), alpha=0.15)
        folder = tmp_path_factory.mktemp(f"teacher-{layers}-{head}-") / "tiny-bert"
        model.save_pretrained(folder)
        tokenizer = BertTokenizerFast(
            vocab={piece: i for i, piece in enumerate(vocabulary)},
            do_lower_case=not cased,
            model_max_length=POSITIONS,
        )
        tokenizer.save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_teacher(make_teacher: MakeTeacher) -> Path:
    """A folder with a random 3-layer BERT without any head, and its fast tokenizer."""
    return make_teacher()


@pytest.fixture(scope="session")
def tokenizer(tiny_teacher: Path) -> Any:
    """The tokenizer of `tiny_teacher`."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_teacher)


@pytest.fixture
def tiny_squad(tmp_path: Path) -> Callable[..., Path]:
    """Gives `write(count=12, impossible=0, name="squad.json")`: a SQuAD file of `count` questions.

    Three questions a passage; the last `impossible` questions have no answer, as in SQuAD 2.0.
    """

    def write(count: int = 12, impossible: int = 0, name: str = "squad.json") -> Path:
        paragraphs: list[dict[str, Any]] = []
        for i in range(count):
            k, part = divmod(i, 3)
            person, thing, place = (
                words[(k * step + k // 6) % 6]
                for words, step in ((PEOPLE, 1), (THINGS, 5), (PLACES, 1))
            )
            year = str(1800 + 7 * k)
            if part == 0:
                context = f"The {thing} of {place} was built by {person} in {year}. It is old."
                paragraphs.append({"context": context, "qas": []})
            asked, answer = (
                (f"Who built the {thing}?", person),
                (f"When was the {thing} built?", year),
                (f"Where is the {thing}?", place),
            )[part]
            qa: dict[str, Any] = {"id": f"q{i}", "question": asked}
            if i >= count - impossible:
                qa |= {"is_impossible": True, "answers": []}
            else:
                at = paragraphs[-1]["context"].index(answer)
                qa["answers"] = [{"text": answer, "answer_start": at}]
            paragraphs[-1]["qas"].append(qa)
        path = tmp_path / name
        document = {"version": "1.1", "data": [{"title": "Built", "paragraphs": paragraphs}]}
        path.write_text(json.dumps(document), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def tiny_export(
    make_teacher: MakeTeacher, tokenizer: Any, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A phone's folder: a 2-layer student as fp32 and int8 files with everything beside them.

    Windows are 48 pieces long; answers vary from question to question.  Copy it to change it.
    """
    from span_files import write_golden, write_model_json
    from transformers import BertForQuestionAnswering, DistilBertForQuestionAnswering

    from converters.runtimes.open import open_predictor
    from converters.tflite.export import export_many
    from pipeline.files.export import write_vocabulary
    from pipeline.models.student import build_student, student_state
    from pipeline.tasks.question_answering.features import Limits
    from pipeline.tasks.question_answering.squad import Question

    teacher = BertForQuestionAnswering.from_pretrained(make_teacher(head="qa"))
    state = student_state(teacher.state_dict(), (0, 2))
    student = build_student(DistilBertForQuestionAnswering, teacher.config, state, (0, 2), seed=0)
    student.eval()
    folder = tmp_path_factory.mktemp("export") / "tflite"
    limits = Limits(max_length=48, stride=16, max_query=12, max_answer=8)
    files = export_many(student, folder, ("int8", "fp32"), length=limits.max_length)
    vocabulary = write_vocabulary(folder, tokenizer)
    write_model_json(vocabulary, files, tokenizer, limits, max_positions=POSITIONS)
    questions = [
        Question(str(i), "", f"The {thing} of {place} is old.", f"Where is the {thing}?", (), ())
        for i, (thing, place) in enumerate(zip(THINGS, PLACES, strict=True))
    ]
    models = {path.name: open_predictor(path) for path in files.values()}
    write_golden(folder, models, tokenizer, limits, questions, 3)
    student.save_pretrained(folder.parent / "student")
    tokenizer.save_pretrained(folder.parent / "student")
    return folder


@pytest.fixture(scope="session")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    lines = (f"anna built the tower of rome in {1200 + i}.\n\n" for i in range(1200))
    path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def squad_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    contexts = [
        f"In {1900 + i} emma built a bridge in oslo and boris wrote a poem." for i in range(6)
    ]
    paragraphs = [
        {
            "context": context,
            "qas": [
                {
                    "id": f"{i}-{j}",
                    "question": question,
                    "answers": [{"text": text, "answer_start": context.index(text)}],
                }
                for j, (question, text) in enumerate(
                    [("who built a bridge?", "emma"), ("where was it built?", "oslo")]
                )
            ],
        }
        for i, context in enumerate(contexts)
    ]
    path = tmp_path_factory.mktemp("squad") / "squad.json"
    path.write_text(
        json.dumps({"version": "1.1", "data": [{"title": "t", "paragraphs": paragraphs}]})
    )
    return path
