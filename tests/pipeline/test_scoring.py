# SPDX-License-Identifier: Apache-2.0
"""Files are scored several at a time, on stated samples, and go on after an interruption."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from class_files import dev_texts, write_student
from scored_files import answered, by_part, describe_any, made, questions

from converters.runtimes.torch import TorchPredictor
from pipeline import scoring, settings, shipping
from pipeline.scoring import EVALUATION, Job, score_files, spread
from pipeline.tasks.text_classification import TASK
from pipeline.verify import Run


@pytest.mark.parametrize(("there", "most"), [(10, 3), (7, 7), (5, 9), (1000, 256)])
def test_a_sample_is_that_of_the_examples(there: int, most: int) -> None:
    everything = questions(there)
    places = spread(there, most)
    assert [everything.questions[p] for p in places] == list(everything.spread(most).questions)


def test_samples_of_a_large_set(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = made(2000)
    monkeypatch.setattr(scoring.sys, "platform", "linux")
    assert len(plan.places(Path("student-fp16.mlpackage"))) == 500
    assert len(plan.places(Path("student-int8.tflite"))) == 2000
    assert len(plan.padded(2000)) == 200 and plan.padded(3) == [0, 1, 2]
    monkeypatch.setattr(scoring.sys, "platform", "darwin")
    assert len(plan.places(Path("student-fp16.mlpackage"))) == 2000, "Core ML itself is fast"


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> None:
    describe_any(monkeypatch)


def test_entries_say_what_was_run_and_survive_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, described: None
) -> None:
    monkeypatch.setattr(scoring.sys, "platform", "linux")
    plan = made(600, padded_examples=30, processes=1)
    reference = answered(range(600))
    files = [Path("coreml/student-fp16.mlpackage"), Path("tflite/student-int8.tflite")]
    asked: list[tuple[str, str]] = []

    def ran(job: Job) -> Run:
        asked.append((job.path.name, job.kind))
        places = plan.places(job.path)
        if job.kind == "padded":
            places = [places[place] for place in plan.padded(len(places))]
        return answered(places)

    def stops(job: Job) -> Run:
        if len(asked) == 2:
            raise KeyboardInterrupt
        return ran(job)

    monkeypatch.setattr(scoring, "score_part", by_part(stops))
    with pytest.raises(KeyboardInterrupt):
        score_files(plan, files, reference, tmp_path)
    monkeypatch.setattr(scoring, "score_part", by_part(ran))
    entries = score_files(plan, files, reference, tmp_path)
    assert asked == [(file.name, kind) for file in files for kind in EVALUATION], "each once"
    assert [(e["gate"]["examples"], e["gate"]["padded_examples"]) for e in entries] == [
        *((500, 30), (600, 30))
    ]
    for entry in entries:
        assert entry["gate"]["passed"], "each is compared with the student on its own examples"
        assert entry["scores"] == {"f1": 100.0, "exact_match": 100.0}
    assert json.loads((tmp_path / "gate-student-int8.tflite.json").read_text()) == entries[1]


def test_files_are_scored_by_processes_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, described: None
) -> None:
    """As many as there are parts at most, the slow files first; entries keep the files' order."""
    from concurrent.futures import ThreadPoolExecutor

    sizes: list[int] = []
    order: list[str] = []

    def pool(processes: int, _: Any, begin: Any, arguments: Any) -> Any:
        sizes.append(processes)
        scoring._scoring.append(arguments[0])
        return ThreadPoolExecutor(1)

    def ran(job: Job) -> Run:
        order.append(f"{job.kind} {job.path.suffix}")
        return answered(range(4))

    monkeypatch.setattr(scoring, "ProcessPoolExecutor", pool)
    monkeypatch.setattr(scoring, "WORTH", 8)
    monkeypatch.setattr(scoring, "score_part", by_part(ran))
    plan = made(4, processes=8)
    files = [Path("tflite/student-int8.tflite"), Path("coreml/student-fp16.mlpackage")]
    entries = score_files(plan, files, answered(range(4)), tmp_path)
    assert sizes == [4]
    assert order == [
        f"{kind} {suffix}" for suffix in (".mlpackage", ".tflite") for kind in EVALUATION
    ]
    assert [entry["name"] for entry in entries] == [file.name for file in files]


def test_the_student_answers_once_for_all_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, described: None, tokenizer: Any
) -> None:
    """However many formats and precisions there are, and however often their scoring goes on."""
    student = write_student(tmp_path / "student", tokenizer)
    texts, build = dev_texts(5), settings.load("embedded-classification")
    calls: list[int] = []
    original = TorchPredictor.run

    def counted(self: Any, *arrays: Any) -> Any:
        calls.append(1)
        return original(self, *arrays)

    def ran(_: Job) -> Run:
        zeros = tuple([(np.zeros(6),)] for _ in texts.examples)
        reader: Any = TASK.reader(Any, tokenizer, build.data, TASK.traits(texts))
        predictions = [reader.decode(text, [], [zeros[0][0]]) for text in texts.examples]
        return Run(zeros, tuple(predictions), {"accuracy": 0.0})

    monkeypatch.setattr(TorchPredictor, "run", counted)
    monkeypatch.setattr(scoring, "score_part", by_part(ran))
    files = [
        tmp_path / target / f"student-{precision}.{suffix}"
        for target, suffix in (("tflite", "tflite"), ("onnx", "onnx"), ("coreml", "mlpackage"))
        for precision in ("fp32", "fp16", "int8")
        if (target, precision) != ("coreml", "fp32")
    ]
    folder = tmp_path / "verify"
    folder.mkdir()
    build = dataclasses.replace(build, hardware=dataclasses.replace(build.hardware, progress=False))
    shipping.verify(
        folder, tmp_path / "scratch", build, TASK, None, student, files, texts, TASK.traits(texts)
    )
    document = json.loads((folder / "verify.json").read_text("utf-8"))
    assert len(document["files"]) == len(files) == 8 and len(calls) == 5


def test_timed_models_get_the_ids_of_their_own_tokenizers(tmp_path: Path, tokenizer: Any) -> None:
    """A teacher may have more word pieces than its student: its ids do not fit the other."""
    first = max(tokenizer.all_special_ids) + 1
    student, teacher = tmp_path / "student", tmp_path / "teacher"
    tokenizer.save_pretrained(student)
    shutil.copytree(student, teacher)
    document = json.loads((teacher / "tokenizer.json").read_text("utf-8"))
    pieces = document["model"]["vocab"]
    moved = {piece: place + 50 * (place >= first) for piece, place in pieces.items()}
    moved |= {f"[unused{place}]": first + place for place in range(50)}
    document["model"]["vocab"] = moved
    (teacher / "tokenizer.json").write_text(json.dumps(document), encoding="utf-8")

    class Model:
        def __init__(self) -> None:
            self.inputs: list[list[list[int]]] = []

        def run(self, *arrays: Any) -> tuple[np.ndarray]:
            self.inputs.append([array[0].tolist() for array in arrays])
            return (np.zeros(6, np.float32),)

    build, texts = settings.load("embedded-classification"), dev_texts(3)
    asked = shipping.Queries(
        build, TASK, student, texts, TASK.traits(texts), {"teacher-fp32.tflite": teacher}
    )
    models = {
        name: Model() for name in ("student-int8.tflite natural", "teacher-fp32.tflite natural")
    }
    padded = Model()
    for query in asked.queries:
        for name, model in models.items():
            asked.subject(name, model, None)(query)
        asked.subject("teacher-fp32.tflite padded", padded, 128)(query)
    mine, taught = (model.inputs for model in models.values())
    assert [len(ids) for ids, _, _ in mine] == asked.tokens
    assert [ids for ids, _, _ in taught] == [
        [one if one < first else one + 50 for one in ids] for ids, _, _ in mine
    ]
    assert {len(ids) for ids, _, _ in padded.inputs} == {128}
    assert [sum(mask) for _, mask, _ in padded.inputs] == asked.tokens
