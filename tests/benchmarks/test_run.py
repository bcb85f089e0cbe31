# SPDX-License-Identifier: Apache-2.0
"""The benchmark's command: what is asked, that short runs are marked, and what it writes."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_fixtures import file as file_entry
from benchmark_fixtures import skeleton
from export_fixtures import exported, exported_onnx, tiny_model
from repository import CONTRACT

from benchmarks import run, subjects
from benchmarks.measure import latency, queries, schema
from benchmarks.measure.memory import Probe
from benchmarks.measure.session import session
from benchmarks.page.console import show
from pipeline.errors import UserError
from pipeline.predict import open_classifier
from pipeline.tasks.question_answering.evaluate import Answer, Answerer, score
from pipeline.tasks.question_answering.squad import load_questions
from pipeline.tasks.reading import Reading

START = Probe(5.0, 2.0, 300, 100, 120, 180, 60, 40)


class FakeModel:
    """Notes the shapes it is given; takes `factor` microseconds a token, on its own clock."""

    now = 0

    def __init__(self, factor: float) -> None:
        self.factor, self.shapes = factor, []

    def run(self, ids: Any, mask: Any, segment_ids: Any) -> tuple[Any, Any]:
        assert ids.dtype == mask.dtype == segment_ids.dtype == np.int32
        self.shapes.append((ids.shape, int(mask.sum())))
        FakeModel.now += round(self.factor * ids.shape[1] * 1e3)
        return ids, ids


def fake_session(count: int = 40, **given: Any) -> tuple[Any, dict[str, list[FakeModel]]]:
    opened: dict[str, list[FakeModel]] = {"slow": [], "fast": []}

    def open_file(path: Path, threads: int) -> FakeModel:
        assert threads == 2
        opened[path.name].append(FakeModel({"slow": 6.0, "fast": 2.0}[path.name]))
        return opened[path.name][-1]

    tokens = queries.squad_lengths(count, 64, seed=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "perf_counter_ns", lambda: FakeModel.now)
        found = session(
            {name: Path("folder") / name for name in opened},
            queries.RandomWindows("squad", tokens, vocabulary=50, pad_to=64, seed=0),
            threads=2,
            pad_to=64,
            open_file=open_file,
            cold_start=lambda path, threads: (START, None),
            **given,
        )
    return found, opened


def test_every_file_gets_the_queries_at_their_own_lengths_and_padded() -> None:
    found, opened = fake_session(least_queries=1, least_seconds=0)
    tokens = queries.squad_lengths(40, 64, seed=3)
    for natural, padded in opened.values():
        # 3 calls to warm up, on the first queries, then 2 rounds
        assert [shape for shape, _ in natural.shapes[3:]] == [(1, n) for n in tokens * 2]
        assert [shape for shape, _ in padded.shapes[3:]] == [(1, 64)] * 80
        assert [ones for _, ones in padded.shapes] == [ones for _, ones in natural.shapes]
    assert found["latency"]["mean_tokens"] == pytest.approx(np.mean(tokens))


def test_ratios_hold_the_others_against_the_first_file() -> None:
    found, _ = fake_session(least_queries=1, least_seconds=0)
    ratios = {
        (r["faster"], r["faster_lengths"], r["slower"], r["slower_lengths"]): r["ratio"]
        for r in found["latency"]["ratios"]
    }
    assert list(ratios) == [
        ("fast", "natural", "slow", "padded"),
        ("fast", "natural", "slow", "natural"),
        ("fast", "padded", "slow", "padded"),
        ("slow", "natural", "slow", "padded"),
        ("fast", "natural", "fast", "padded"),
    ]
    tokens = np.mean(queries.squad_lengths(40, 64, seed=3))
    # 6 and 2 microseconds a token
    expected = [3 * 64 / tokens, 3, 3, 64 / tokens, 64 / tokens]
    assert list(ratios.values()) == pytest.approx(expected)


class NoisyModel:
    """Gives `scale` times the ids as logits of tokens, and something else at padding."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def run(self, ids: Any, mask: Any, segment_ids: Any) -> tuple[Any, Any]:
        noise = np.where(mask[0] == 1, ids[0] * np.float32(self.scale), 1e4 * self.scale)
        return noise.astype(np.float32), noise.astype(np.float32)


def test_the_error_of_each_file_is_that_against_its_own_model() -> None:
    scales = {"mine": 1.0, "near": 1.01, "broken": float("nan"), "unknown": 3.0}
    found = session(
        {name: Path("folder") / name for name in ("near", "broken", "unknown")},
        queries.RandomWindows("given", [9, 4, 6], vocabulary=50, pad_to=12, seed=0),
        threads=1,
        pad_to=12,
        open_file=lambda path, threads: NoisyModel(scales[path.name]),
        cold_start=lambda path, threads: (START, None),
        references={"near": Path("a/mine"), "broken": Path("a/mine")},
        least_queries=1,
        least_seconds=0,
    )
    errors = {n: s["logit_error"] for n, s in found["latency"]["subjects"].items()}
    assert errors["unknown"] is None
    assert errors["broken"] and errors["broken"]["largest"] is None
    near = errors["near"]
    assert near and (near["reference"], near["inputs"]) == ("a/mine", 3)
    # Padding, where the two are 100 apart, is no logit.
    assert near["largest"] and 0 < near["largest"] <= 0.01 * 49 + 1e-4
    assert 0 < near["range"] <= 49


def test_a_session_fits_the_schema_of_reports() -> None:
    found, _ = fake_session(least_queries=1, least_seconds=0)
    queries = {"source": "squad", "sha256": None, "count": 40, "available": None}
    files = [file_entry(name, 9000, None) for name in ("slow", "fast")]
    document = skeleton(queries={**queries, "tokens": [1] * 40}, files=files, runs=[found])
    schema.validate(document | {"valid": False})
    assert found["latency"]["subjects"]["fast"]["load_ms"] == START.load_ms
    assert found["memory"]["fast"]["private_bytes"] == START.private_bytes
    assert len(found["latency"]["samples_ms"]["fast"]["natural"]) == 80


def test_a_short_session_says_so_and_a_long_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    short, _ = fake_session(least_queries=1, least_seconds=0)
    assert short["too_short"].startswith("80 queries in ")
    assert short["latency"]["method"].startswith("NOT VALID (80 queries in ")
    monkeypatch.setattr(latency, "VALID_QUERIES", 80)
    monkeypatch.setattr(latency, "VALID_SECONDS", 0.01)
    whole, _ = fake_session(least_queries=80, least_seconds=0.01)
    assert whole["too_short"] is None
    assert whole["latency"]["method"].startswith("single stream")


@pytest.mark.parametrize(
    ("least_queries", "least_seconds", "rounds"), [(1, 0.0, 2), (45, 0.0, 5), (1, 0.9, 3)]
)
def test_a_stream_goes_on_until_queries_and_seconds_are_enough(
    least_queries: int, least_seconds: float, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0]
    monkeypatch.setattr(time, "perf_counter_ns", lambda: clock[0])

    def advance(milliseconds: int) -> None:
        clock[0] += round(milliseconds * 1e6)

    told: list[tuple[int, float]] = []
    found = latency.stream(
        {"a": advance, "b": advance},
        range(11, 21),  # 155 ms for each subject, 0.31 s a round
        seed=0,
        least_queries=least_queries,
        least_seconds=least_seconds,
        progress=lambda done, seconds: told.append((done, seconds)),
    )
    assert (found.rounds, found.queries) == (rounds, 10 * rounds)
    assert found.seconds == pytest.approx(0.31 * rounds)
    assert found.samples["a"] == list(range(11, 21)) * rounds
    assert told[-1] == (10 * rounds, pytest.approx(0.31 * (rounds - 1)))
    assert found.too_short


def test_squad_lengths_follow_its_deciles() -> None:
    lengths = queries.squad_lengths(10_000, 10_000, seed=1)
    assert np.percentile(lengths, range(0, 101, 10)) == pytest.approx(queries.SQUAD_DECILES, abs=1)
    # What the deciles give by hand for windows of up to 384: 181.6; SQuAD's own mean is 181.
    for count in (64, 512):
        assert np.mean(queries.squad_lengths(count, 384, seed=2)) == pytest.approx(181.6, abs=1)
    assert max(queries.squad_lengths(1000, 384, seed=0)) == 384
    assert queries.squad_lengths(50, 384, 1) == queries.squad_lengths(50, 384, 1)
    assert queries.squad_lengths(50, 384, 1) != queries.squad_lengths(50, 384, 2)


def test_given_lengths_come_equally_often_in_shuffled_order() -> None:
    lengths = queries.given_lengths(30, (64, 128, 384), seed=0)
    assert sorted(lengths) == [64] * 10 + [128] * 10 + [384] * 10
    assert lengths != queries.given_lengths(30, (64, 128, 384), seed=1)


def test_padding_hides_nothing_of_a_window() -> None:
    asked = queries.RandomWindows("given", [20, 5], vocabulary=7, pad_to=20, seed=0)
    for window, padded in asked.queries:
        length = window.ids.shape[1]
        assert window.mask.sum() == padded.mask.sum() == length
        assert (padded.ids[:, :length] == window.ids).all()
        assert padded.ids.shape == padded.segment_ids.shape == (1, 20)
        assert 0 <= window.ids.min() <= window.ids.max() < 7
    assert asked.queries[0][0].segment_ids.sum() == 20 - queries.QUESTION_PIECES


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """A quick run over a .tflite and an .onnx file, with everything that can be measured."""
    folder = tmp_path_factory.mktemp("quick")
    files = [str(exported("bert")["fp32"]), str(exported_onnx("distilbert")["int8"])]
    # A second thread only waits for the first one here, for seconds on a busy machine.
    flags = ["--quick", "--weight-cache", "--threads", "1", "1", "--seed", "5"]
    out = folder / "new" / "benchmark.json"
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert run.main([*files, *flags, "--out", str(out)]) == 0
    return json.loads(out.read_text("utf-8")), printed.getvalue()


def test_the_document_fits_its_schema(quick: tuple[dict[str, Any], str]) -> None:
    document, _ = quick
    schema.validate(document)
    assert [one["threads"] for one in document["runs"]] == [1]
    assert document["seed"] == 5
    assert document["machine"]["logical_cores"] >= 1
    assert document["queries"]["count"] == len(document["queries"]["tokens"]) == run.QUICK_QUERIES


def test_a_quick_run_is_marked_wherever_it_is_shown(quick: tuple[dict[str, Any], str]) -> None:
    document, printed = quick
    assert document["valid"] is False
    titles = ("Milliseconds a query", "Ratios of means", "1 thread,")
    for line in printed.splitlines():
        if line.startswith(titles):
            assert line.endswith("NOT VALID")
    assert printed.count("not valid: 16 queries") == 1
    assert all("NOT VALID" in one["latency"]["method"] for one in document["runs"])
    assert show(document) in printed  # type: ignore[arg-type]


def test_files_are_described(quick: tuple[dict[str, Any], str]) -> None:
    document, _ = quick
    for file in document["files"]:
        assert sum(file["parts"].values()) == file["bytes"]
        assert len(file["sha256"]) == 64
        assert file["scores"] is None
    assert [f["name"] for f in document["files"]] == ["student-fp32.tflite", "student-int8.onnx"]
    assert str(Path.cwd()) not in json.dumps(document) and "/tmp/" not in json.dumps(document)


def test_cold_starts_tell_memory_apart(quick: tuple[dict[str, Any], str]) -> None:
    document, printed = quick
    for one in document["runs"]:
        for start in one["memory"].values():
            assert start["peak_rss_bytes"] >= start["empty_rss_bytes"]
            assert start["private_bytes"] > 2**20 and start["file_backed_bytes"] > 2**20
        cached = one["weight_cache"]
        assert cached["student-int8.onnx"] is None
        start = cached["student-fp32.tflite"]
        assert start["peak_rss_bytes"] >= start["empty_rss_bytes"] > 2**20
    assert "student-fp32.tflite, weight cache" in printed


def test_questions_are_scored_and_the_work_around_the_model_is_apart(
    tiny_export: Path, tiny_squad: Callable[..., Path], tmp_path: Path
) -> None:
    squad, out = tiny_squad(count=9), tmp_path / "b.json"
    files = [str(tiny_export / "student-fp32.tflite"), str(tiny_export / "student-int8.tflite")]
    flags = ["--quick", "--queries", "9", "--pad-to", "48", "--questions", str(squad)]
    assert run.main([*files, *flags, "--out", str(out)]) == 0
    document = json.loads(out.read_text("utf-8"))
    schema.validate(document)
    assert (document["queries"]["count"], document["queries"]["available"]) == (8, 9)
    (one,) = document["runs"]
    overhead = one["overhead"]["student-int8.tflite"]["natural"]
    total = [
        np.mean(overhead["samples_ms"]["tokenize"]),
        np.mean(overhead["samples_ms"]["decode"]),
        np.mean(one["latency"]["samples_ms"]["student-int8.tflite"]["natural"]),
    ]
    # samples are kept with 4 decimals of a millisecond
    expected = 100 * sum(total[:2]) / sum(total)
    assert overhead["share_percent"] == pytest.approx(expected, abs=0.5)
    assert "NOT VALID" in one["latency"]["method"] and "question" in one["latency"]["method"]


def test_long_documents_are_read_as_the_model_says_and_whole(
    tiny_export: Path,
    tiny_squad: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.examples.WORDS", 30)
    folder = shutil.copytree(tiny_export, tmp_path / "files")
    described = folder / "model.json"
    document = json.loads(described.read_text(encoding="utf-8"))
    document |= {"schema_version": 4, "search": {"rule": "log-odds", "max_windows": 2}}
    described.write_text(json.dumps(document), encoding="utf-8")
    file, out = folder / "student-fp32.tflite", tmp_path / "b.json"
    squad = tiny_squad(count=9)
    flags = ["--quick", "--pad-to", "48", "--questions", str(squad), "--lengths", "long"]
    assert run.main([str(file), *flags, "--no-verify", "--out", str(out)]) == 0
    found = json.loads(out.read_text("utf-8"))
    schema.validate(found)
    assert found["queries"]["source"].endswith("documents of 30 words")
    names = ["student-fp32.tflite, every window", "student-fp32.tflite"]
    assert [one["name"] for one in found["files"]] == names
    assert found["runs"][0]["latency"]["ratios"][0]["slower"] == names[0]
    assert max(found["queries"]["tokens"]) <= 2 * 48


def test_scores_are_those_of_the_file_itself(
    tiny_export: Path, tiny_squad: Callable[..., Path]
) -> None:
    from benchmarks.examples import TimedExamples
    from converters.runtimes.open import open_predictor
    from pipeline.ask import open_answerer

    squad, path = str(tiny_squad(count=6)), tiny_export / "student-fp32.tflite"
    asked = TimedExamples(squad, path, count=100, longest=48, seed=0)
    subject = asked.subject("it", open_predictor(path), None)
    for question in [*asked.queries, *asked.queries]:
        subject(question)
    questions, like = load_questions(squad, "dev"), open_answerer(path)
    answerer = Answerer(like.model, like.windower.tokenizer, like.limits)
    answers = [answerer.answer(q.text, q.context).text for q in questions.questions]
    expected = score(answers, questions)
    assert asked.scores("it") == {
        "f1": round(expected["f1"], 2),
        "exact_match": round(expected["exact_match"], 2),
    }
    phases = asked.phases("it", 12)
    assert phases is not None and all(len(times) == 12 for times in phases.values())
    assert min(map(min, phases.values())) > 0
    windows = (like.windower.windows(q.text, q.context) for q in asked.queries)
    assert asked.tokens == [sum(len(w.ids) for w in each) for each in windows]


def test_questions_are_read_and_scored_as_the_flags_say(tiny_export: Path, tmp_path: Path) -> None:
    from benchmarks.examples import TimedExamples

    path = tiny_export / "student-fp32.tflite"
    context = "the house of anna"
    rows = [
        {"id": "a", "question": "who?", "context": context, "answers": [{"text": "die anna"}]},
        {"id": "b", "question": "who?", "context": context, "answers": [{"text": ""}]},
    ]
    file = tmp_path / "rows.json"
    file.write_text(json.dumps(rows), encoding="utf-8")

    def asked(**read: str) -> TimedExamples:
        return TimedExamples(str(file), path, count=9, longest=48, seed=0, read=read)

    with pytest.raises(UserError, match="--empty-answers"):
        asked()
    with pytest.raises(UserError, match="--language English"):
        asked(empty_answers="drop", language="English")
    assert len(asked(empty_answers="unanswerable").queries) == 2
    exact = {}
    for language in ("de", "en"):
        one = asked(empty_answers="drop", language=language)
        assert len(one.queries) == 1
        one._readings["it"] = [Reading([], [], Answer("anna", 13, 17, 0.0))]
        exact[language] = one.scores("it")
    assert exact["de"] == {"f1": 100, "exact_match": 100}
    assert exact["en"] and exact["en"]["exact_match"] == 0


def test_a_classifier_is_timed_and_scored_on_texts(tmp_path: Path) -> None:
    path = CONTRACT / "tiny-classes" / "student-int8-per-tensor.tflite"
    classifier = open_classifier(path)
    texts = ["where is it", "the house", "a garden of stone", "who came"]
    found = [classifier.run(text).prediction.label for text in texts]
    other = next(label for label in classifier.labels if label != found[3])
    file = tmp_path / "texts.csv"  # all labels are as predicted, but not the last
    rows = [f"{text},{label}" for text, label in zip(texts, [*found[:3], other], strict=True)]
    file.write_text("\n".join(["words,kind", *rows]) + "\n", encoding="utf-8")
    plan = run.Plan(
        {"a": path},
        questions=str(file),
        read={"text_column": "words", "label_column": "kind", "labels": classifier.labels},
        pad_to=48,
        least_queries=8,
        least_seconds=0.0,
        probes=1,
    )
    document = run.run(plan, "command")
    schema.validate(document)
    assert document["queries"]["count"] == 4
    assert document["metrics"][0]["name"] == "accuracy"
    scores = document["files"][0]["scores"]
    assert scores and scores["accuracy"] == 75.0
    assert "one text at a time" in document["runs"][0]["latency"]["method"]
    flags = ["--quick", "--questions", str(file), "--language", "de"]
    assert run.main([str(path), *flags, "--out", str(tmp_path / "b.json")]) == 2


def test_a_build_brings_its_files_its_teacher_and_its_questions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    paths = ["tflite/student-int8.tflite", "coreml/student-int8.mlpackage"]
    report: dict[str, Any] = {
        "config": {"data": {"eval_file": "dev.json"}},
        "files": [{"path": p} for p in paths],
    }
    (tmp_path / "report.json").write_text(json.dumps(report))
    student = tmp_path / "tflite" / "student-int8.tflite"
    assert run.built(tmp_path) == ([student], {"eval_file": "dev.json"})
    teacher = tmp_path / "stages" / "baseline" / "teacher-fp32.tflite"
    teacher.parent.mkdir(parents=True)
    teacher.touch()
    data = {"eval_file": "dev.json", "empty_answers": "drop", "language": "de"}
    report["config"] = {"data": {**data, "stride": 9}}
    (tmp_path / "report.json").write_text(json.dumps(report))
    assert run.built(tmp_path) == ([teacher, student], data)


def test_names_tell_files_apart(tmp_path: Path) -> None:
    a, b = tmp_path / "a" / "s.tflite", tmp_path / "b" / "s.tflite"
    assert list(subjects.named([a, tmp_path / "t.tflite"])) == ["s.tflite", "t.tflite"]
    assert subjects.named([a, b]) == {"a/s.tflite": a, "b/s.tflite": b}
    with pytest.raises(ValueError, match="no file twice"):
        subjects.named([a, a])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name at least one FILE"),
        (["no.tflite"], "no.tflite does not exist"),
        (["--build", "nowhere"], "--build nowhere: no report.json"),
        (["{file}", "--lengths", "many"], "--lengths many: give squad, long, or numbers"),
        (["{file}", "--lengths", "400"], "--lengths 400: the files, or --pad-to, take at most 384"),
        (["{file}", "--reference", "no/model"], "no/model does not exist"),
        (["{file}", "--questions", "embedded"], "--questions needs a tokenizer"),
        (["{file}", "--language", "de"], "--language and --empty-answers are for questions"),
        (["{file}", "--out", "."], "--out . cannot be written: name a file"),
        (["{file}", "--out", "{file}/a.json"], "a.json cannot be written: name a file"),
    ],
)
def test_mistakes_are_told_on_one_line(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = shutil.copy(exported("distilbert")["int8"], tmp_path)
    monkeypatch.chdir(tmp_path)
    assert run.main([text.format(file=file) for text in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and said in error and error.count("\n") == 1
    assert not (tmp_path / "benchmark.json").exists()


def test_questions_that_are_not_there_are_told(
    tiny_export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tiny_export / "student-int8.tflite")
    assert run.main([file, "--questions", "no.json", "--quick"]) == 2
    assert "no.json" in capsys.readouterr().err
    assert run.main([file, "--questions", "embedded", "--pad-to", "47", "--quick"]) == 2
    assert "inputs of up to 48 tokens" in capsys.readouterr().err


def test_a_reference_that_was_changed_is_refused(
    tiny_export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else errors of the logits would be those against a model that nobody trained."""
    copy = shutil.copytree(tiny_export, tmp_path / "copy") / "student-int8.tflite"
    content = bytearray(copy.read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)
    file = str(tiny_export / "student-int8.tflite")
    out = ["--quick", "--out", str(tmp_path / "out.json")]
    assert run.main([file, "--reference", str(copy), *out]) == 2
    assert "sha256" in capsys.readouterr().err and not (tmp_path / "out.json").exists()


@pytest.mark.parametrize("flags", [["--threads", "0"], ["--seconds", "-1"], ["--queries", "x"]])
def test_numbers_are_checked(flags: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run.main(["a.tflite", *flags])
    assert stopped.value.code == 2


def test_a_model_folder_is_a_subject_and_a_reference_of_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "student"
    tiny_model("distilbert").save_pretrained(folder)
    out = tmp_path / "b.json"
    int8 = exported("distilbert")["int8"]
    arguments = [str(folder), str(int8), "--reference", str(folder), "--quick", "--pad-to", "32"]
    assert run.main([*arguments, "--out", str(out)]) == 0
    document = json.loads(out.read_text("utf-8"))
    errors = {
        name: subject["logit_error"]
        for name, subject in document["runs"][0]["latency"]["subjects"].items()
    }
    assert errors["student"]["largest"] == 0
    assert 0 < errors[int8.name]["largest"] < 0.2 * errors[int8.name]["range"]
    assert errors[int8.name]["reference"].endswith("/student")
    assert f"{errors[int8.name]['largest']:.3g} (" in capsys.readouterr().out
    file = document["files"][0]
    assert (file["name"], file["sha256"], file["parts"]) == ("student", None, None)
    assert file["bytes"] == sum(path.stat().st_size for path in folder.iterdir())


class IdsModel:
    """Notes the ids it is given."""

    def __init__(self) -> None:
        self.ids: list[list[int]] = []

    def run(self, ids: Any, mask: Any, segment_ids: Any) -> tuple[Any, Any]:
        self.ids.append(ids[0].tolist())
        return ids[0].astype(np.float32), ids[0].astype(np.float32)


def test_each_subject_gets_the_ids_of_its_own_tokenizer(
    tiny_export: Path, tiny_squad: Callable[..., Path], tmp_path: Path
) -> None:
    """A teacher may have more word pieces than its student, and other ones."""
    from benchmarks.examples import TimedExamples
    from pipeline.files import beside

    own = beside.tokenizer(tiny_export, beside.description(tiny_export / "model.json")["tokenizer"])
    vocabulary = sorted(own.get_vocab(), key=own.get_vocab().get)
    special, words = vocabulary[:5], vocabulary[5:]
    folder = tmp_path / "teacher"
    tiny_model("bert").save_pretrained(folder)
    unused = [f"[unused{place}]" for place in range(100)]
    (folder / "vocab.txt").write_text("\n".join([*special, *unused, *words]) + "\n", "utf-8")
    path = tiny_export / "student-fp32.tflite"
    asked = TimedExamples(
        str(tiny_squad(count=3)), path, count=3, longest=48, seed=0, tokenizers={"teacher": folder}
    )
    taught, student, padded = IdsModel(), IdsModel(), IdsModel()
    for name, model, pad_to in (
        ("teacher natural", taught, None),
        ("student natural", student, None),
        ("teacher padded", padded, 48),
    ):
        asked.subject(name, model, pad_to)(asked.queries[0])  # type: ignore[arg-type]
    words_start = len(special)
    assert taught.ids == [
        [one if one < words_start else one + 100 for one in window] for window in student.ids
    ]
    assert {len(window) for window in padded.ids} == {48}


def test_the_models_that_files_come_from(tmp_path: Path) -> None:
    paths = ["stages/baseline/teacher-fp32.tflite", "tflite/student-int8.tflite"]
    paths += ["peers/executorch-int8.pte", "mine-peers/onnxruntime-int8.onnx", "other.onnx"]
    for folder in ("teacher", "student", "trimmed", "mine"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "config.json").write_text("{}")
    (tmp_path / "report.json").write_text('{"stages": [{"name": "student"}]}')
    files = {path.rpartition("/")[2]: tmp_path / path for path in paths}
    files["mine"] = tmp_path / "mine"
    assert subjects.models_of(files) == {
        "onnxruntime-int8.onnx": tmp_path / "mine",
        "mine": tmp_path / "mine",
    }
    known = {name: path.name for name, path in subjects.models_of(files, tmp_path).items()}
    assert known == {
        "teacher-fp32.tflite": "teacher",
        "student-int8.tflite": "student",
        "executorch-int8.pte": "student",
        "onnxruntime-int8.onnx": "mine",
        "mine": "mine",
        "other.onnx": "student",
    }
    (tmp_path / "report.json").write_text('{"stages": [{"name": "trimmed"}]}')
    trimmed = subjects.models_of(files, tmp_path)
    assert trimmed["student-int8.tflite"] == tmp_path / "trimmed"
    assert trimmed["executorch-int8.pte"] == tmp_path / "student"
    for damaged in ("[]", '{"stages": [1]}', "{"):
        (tmp_path / "report.json").write_text(damaged)
        with pytest.raises(ValueError, match=r"no whole report\.json there"):
            subjects.models_of(files, tmp_path)
    base = subjects.models_of(files, None, tmp_path)
    assert base["teacher-fp32.tflite"] == tmp_path / "teacher"
    assert base["executorch-int8.pte"] == tmp_path / "student"
