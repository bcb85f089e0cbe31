# SPDX-License-Identifier: Apache-2.0
"""README.md and docs/*.md say what docs/results.json says, and no other measured figure."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from repository import ROOT

from pipeline import __version__
from pipeline.tasks.question_answering.evaluate import METRICS

sys.path.insert(0, str(ROOT / "docs"))

import make_results
from results import builds, catalog, marks, measured, store

PAGES = make_results.pages()

# What looks measured, stands unmarked, and why it may.
ALLOWED = {
    ("docs/usage.md", "60 s"): "MLPerf's rule for a valid figure, not a result",
    ("docs/usage.md", "6 GB"): "what the preset asks of a machine",
    ("docs/android.md", "60 seconds"): "MLPerf's rule for a valid figure, not a result",
    ("docs/android.md", "120 s"): "a default",
    ("docs/android.md", "20 %"): "a limit",
    ("docs/training.md", "15 minutes"): "a default",
    ("docs/architecture.md", "60 s"): "MLPerf's rule for a valid figure, not a result",
}

# The figures of README.md are rounded and have no marks; each is within a tenth of a recorded one.
ROUNDED = {
    "6 minutes": "model-minutes",
    "5 minutes": "tests-minutes",
    "74 percent": "embedded-kept",
    "89 percent": "embedded-longer-kept",
    "16 minutes": "longer-minutes",
    "44 percent": "smallest-bytes-percent",
    "66 percent": "smallest-time-percent",
    "6 times": "base-size-teacher-natural",
    "13 times": "base-size-teacher-padded",
}


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def test_every_page_is_looked_at() -> None:
    assert {"README.md", "docs/results.md", "docs/android.md"} <= {_name(page) for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_figures_are_the_recorded_ones(page: Path) -> None:
    text = page.read_text("utf-8")
    assert marks.filled(text, store.load()) == text, "run python docs/make_results.py write"


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_no_measured_figure_stands_outside_of_marks(page: Path) -> None:
    allowed = [figure for name, figure in ALLOWED if name == _name(page)]
    allowed += ROUNDED if _name(page) == "README.md" else []
    found = list(marks.unmarked(page.read_text("utf-8")))
    assert [line for line in found if line.partition(" in: ")[0] not in allowed] == []
    gone = [figure for figure in allowed if all(not line.startswith(figure) for line in found)]
    assert gone == [], "allowed, and not there any more"


def test_the_readme_has_no_marks() -> None:
    assert marks.names((ROOT / "README.md").read_text("utf-8")) == []


@pytest.mark.parametrize(("figure", "name"), ROUNDED.items())
def test_rounded_figures_are_close_to_the_recorded_ones(figure: str, name: str) -> None:
    recorded = float(catalog.figure(name, store.load()))
    assert float(figure.split()[0]) == pytest.approx(recorded, rel=0.1)


def test_every_fact_is_told_somewhere() -> None:
    told = {name for page in PAGES for name in marks.names(page.read_text("utf-8"))}
    assert set(store.load()["facts"]) - told == set()


def test_every_record_says_how_and_when() -> None:
    results = store.load()
    assert results["schema_version"] == 3
    every = list(results["builds"])
    for kind in store.BY_CLASS:
        for by_class in results[kind].values():
            every += by_class.values()
            assert all(store.class_of(entry) == name for name, entry in by_class.items())
    for entry in [*every, *results["facts"].values()]:
        commands = entry["commands"] if "commands" in entry else [entry["command"]]
        assert commands and all(commands) and entry["created"].endswith("Z")
    for build in results["builds"]:
        assert build["version"] and build["machine"]["cpu"] and build["data"]["train"]["sha256"]
    text = store.FIGURES.read_text("utf-8")
    assert '"samples_ms"' not in text and "/home/" not in text and "/tmp/" not in text


# Marks

RESULTS: dict[str, Any] = {
    **store.EMPTY,
    "facts": {
        "minutes": {"value": "13.5"},
        "said": {"value": "two\nlines"},
        "grid": {"value": [["a", "b"], ["`x`", ""], ["1", "2"]]},
    },
}


def test_marks_are_filled_and_the_rest_is_left() -> None:
    text = (
        "It took <!--f minutes-->99<!--/f--> minutes.\n"
        "<!-- figures: said -->\nold\n<!-- /figures -->\n"
    )
    done = marks.filled(text, RESULTS)
    assert done == (
        "It took <!--f minutes-->13.5<!--/f--> minutes.\n"
        "<!-- figures: said -->\n```\ntwo\nlines\n```\n<!-- /figures -->\n"
    )
    assert marks.filled(done, RESULTS) == done
    assert marks.names(done) == ["said", "minutes"]
    grid = marks.filled("<!-- figures: grid -->\n<!-- /figures -->\n", RESULTS)
    assert grid.splitlines()[1:-1] == ["| a | b |", "| --- | --- |", "| `x` |  |", "| 1 | 2 |"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a <!--f nothing-->1<!--/f-->", "nothing is called 'nothing'"),
        ("<!-- figures: nothing -->\n<!-- /figures -->", "nothing is called 'nothing'"),
        ("a <!--f minutes-->1", "not closed"),
        ("a 1<!--/f-->", "closes nothing"),
        ("<!-- figures: said -->\nold\n", "not closed"),
        ("<!-- /figures -->\n", "closes nothing"),
        ("a\n<!--f minutes-->1<!--/f-->", "begins a line"),
    ],
)
def test_wrong_marks_are_told(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        marks.filled(text, RESULTS)


@given(st.text(alphabet=st.sampled_from("a1 .|`\n<!->f/:%"), max_size=200))
def test_any_text_is_left_or_refused_and_filling_twice_is_filling_once(text: str) -> None:
    try:
        done = marks.filled(text, RESULTS)
    except ValueError:
        return
    assert marks.filled(done, RESULTS) == done
    list(marks.unmarked(text))


@pytest.mark.parametrize(
    "text",
    [
        *("took 12 ms", "has 3.4 MB of", "99.7 % equal", "5.12\u00d7 smaller", "13 minutes"),
        *("an F1 of 36.2", "2.5 times faster", "0.4 ms,", "| a | 0.067 |", "| 24 of 24 |"),
        *("1,234 s", "(4.8 %)", "5 to 7 points", "50.9 F1", "| 3,195 each | 0 |"),
    ],
)
def test_measured_figures_are_seen(text: str) -> None:
    assert list(marks.unmarked(text))


@pytest.mark.parametrize(
    "text",
    [
        *("`12 ms`", "```\n12 ms\n```", "iOS 17 and macOS 14", "1,024 queries", "from 1 to 512"),
        *("[1, 384]", "[a](x/12%20s)", "SQuAD 1.1", "12 sentences", "| LiteRT 1.0.1 or newer |"),
        *("a <!--f minutes-->12<!--/f--> ms.", "<!-- figures: x -->\n12 ms\n<!-- /figures -->"),
    ],
)
def test_other_numbers_are_not(text: str) -> None:
    assert list(marks.unmarked(text)) == []


# What is written

REPORT: dict[str, Any] = {
    "created": "2026-01-02T03:04:05Z",
    "data": {
        part: {
            "name": f"set {part}",
            "sha256": "f" * 64,
            "counts": {"questions": 1000 + n, "passages": 20 + n},
        }
        for n, part in enumerate(("train", "eval"))
    },
    "metrics": METRICS,
    "models": [
        {"name": "teacher", "scores": {"f1": 50.0, "exact_match": 40.0}},
        {"name": "student", "scores": {"f1": 40.0, "exact_match": 30.0}},
    ],
    "files": [
        {
            "path": builds.INT8,
            "bytes": 17_468_480,
            "scores": {"f1": 39.75, "exact_match": 29.9},
            "min_runtime": {"LiteRT": "1.0.1"},
            "gate": {
                "checks": [
                    {"name": "max_logit_error", "value": 0.571413},
                    {"name": "mean_logit_error", "value": 0.015069},
                    {"name": "changed_predictions", "value": 5.11509},
                ]
            },
        }
    ],
    "stages": [{"name": "teacher", "seconds": 90, "facts": {"steps": 3}}],
    "machine": {"cpu": "Example", "flags": ["avx"], "governor": None},
    "versions": {"torch": "2", "absent": None},
    "latency": None,
}
SPEED = {"p50": 8.0, "p90": 9.04, "p99": 11.0, "mean": 8.25, "mean_low": 8.0, "mean_high": 8.5}
RATIO = {
    **{"faster": "s", "slower": "t", "faster_lengths": "natural", "slower_lengths": "padded"},
    **{"ratio": 10.75, "low": 10.25, "high": 11.0},
}
START = {
    **{"load_ms": 15.4, "first_ms": 22.44, "peak_rss_bytes": 67_000_000},
    **{"empty_rss_bytes": 42_000_000, "private_bytes": 30_000_000, "empty_private_bytes": None},
    **{"file_backed_bytes": 50_000_000, "empty_file_backed_bytes": 45_000_000},
}
LATENCY = {
    **{"method": "as said", "threads": 1, "queries": 512, "mean_tokens": 181.2, "rounds": 2},
    **{"padded_length": 384, "busy": None, "samples_ms": {"s": {"natural": [1.0]}}},
    "subjects": {"s": {"natural": SPEED, "padded": SPEED, **START}},
    "ratios": [RATIO],
}
BENCHMARK: dict[str, Any] = {
    **{"created": "2026-01-02T03:04:05Z", "command": "python -m benchmarks.run s", "valid": False},
    **{"warnings": ["it was busy"], "machine": {"cpu": "Example"}},
    "versions": {"distilbert-mobile": __version__},
    "queries": {"source": "squad", "tokens": [1, 2]},
    "metrics": METRICS,
    "files": [
        {
            **{"name": "s", "bytes": 17_468_480, "scores": {"f1": 36.55, "exact_match": 20.0}},
            "parts": {"embeddings": 11_900_000, "feed_forward": 4_000_000, "rest": 0},
        }
    ],
    "runs": [
        {
            **{"threads": 1, "seconds": 61.4, "too_short": "16 queries", "latency": LATENCY},
            **{"memory": {"s": START}, "weight_cache": {"s": START}},
            "overhead": {
                "s": {
                    "natural": {
                        "tokenize": {"mean": 0.404},
                        "decode": {"mean": 0.35},
                        "share_percent": 4.26,
                    }
                }
            },
        }
    ],
}


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A project without records, whose one page is there to be written."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("It took <!--f minutes-->0<!--/f--> minutes.\n")
    for module, values in (
        (store, {"DOCS": tmp_path / "docs", "FIGURES": tmp_path / "docs" / "results.json"}),
        (store, {"here": lambda: store.UNKNOWN}),  # as the records of these tests
        (make_results, {"ROOT": tmp_path}),
    ):
        for name, value in values.items():
            monkeypatch.setattr(module, name, value)
    store.add_fact("minutes", "1", "date")
    return tmp_path


def test_students_are_means_over_seeds_with_each_in_brackets(records: Path) -> None:
    better = json.loads(json.dumps(REPORT))
    better["models"][1]["scores"]["f1"], better["files"][0]["scores"]["f1"] = 45.0, 45.5
    store.add_build("mine", "both", 2, "python b", better)
    store.add_build("mine", "both", 1, "python a", {**REPORT, "latency": LATENCY})
    text = catalog.block("builds", store.load())
    # Kept: 80 and 90 percent; the int8 file is 0.25 worse and 0.5 better.
    assert (
        "| both | 1, 2 | 50.0 (50.0, 50.0) | 42.5 (40.0, 45.0) | 30.0 (30.0, 30.0) | 85.0 % | "
        "42.6 (39.8, 45.5) | +0.12 (worst -0.25) |\n" in text
    )
    assert "trained on 1,000 questions about 20 passages (set train, sha256 `ffffffffffff`)" in text
    assert "```\npython a\npython b\n```" in text
    assert "Versions: torch 2.\n\nMachine: cpu Example.\n" in text
    assert f"| {builds.INT8} | 17.5 | 45.5 | 29.9 | 0.5714 | 0.0151 | 5.1 | LiteRT 1.0.1 |" in text
    assert "| s | 8.0 / 9.0 | 8.0 / 9.0 | 15 | 22.4 | 67 | 42 |" in text
    assert "| s, natural | t, padded | 10.8 (10.2 to 11.0) |" in text
    assert store.load()["builds"][1]["minutes"] == 1.5


def test_the_data_of_an_experiment_are_counted(records: Path) -> None:
    store.add_build("embedded", "both", 1, "c", REPORT)
    assert catalog.figure("embedded-questions", store.load()) == "2,001"
    assert catalog.figure("embedded-passages", store.load()) == "41"


def test_a_benchmark_is_written_with_what_is_to_be_said_against_it(records: Path) -> None:
    store.add_document("benchmarks", "phones", BENCHMARK)
    text = measured.benchmarks(store.load())
    assert "## Benchmark: phones" in text and "by `python -m benchmarks.run s`" in text
    assert "**Not valid:** 16 queries." in text and "Caution: it was busy." in text
    assert "1,024 queries of 181 tokens" in text and "61 s" in text
    assert "| s | padded to 384 | 8.0 | 9.0 | 11.0 | 8.2 (8.0 to 8.5) |" in text
    assert "| s, natural | t, padded | 10.75 (10.25 to 11.00) |" in text
    assert "| s, weight cache | 15.4 | 22.4 | 25 | - | 5 |" in text
    assert "| s | natural | 0.40 | 0.35 | 4.3 |" in text
    assert "| file | MB | embeddings | feed-forward | rest | F1, % | Exact match, % |" in text
    assert "| s | 17.5 | 11.9 | 4.0 | 0.0 | 36.5 | 20.0 |" in text
    assert measured.benchmarks(store.EMPTY) == ""


def test_the_papers_table_is_written_beside_the_papers_figures(records: Path) -> None:
    row = {"name": "BERT-base", "lengths": "natural", "parameters": 109_483_009}
    row |= {"parameters_head": 769, "milliseconds": {"mean": 61.25}, "seconds": 91.875}
    row |= {"seconds_low": 90.0, "seconds_high": 93.6, "paper": {"millions": 110, "seconds": 668}}
    alone = {**row, "name": "ELMo alone", "paper": None}
    document = {key: BENCHMARK[key] for key in ("created", "command", "machine", "versions")}
    document |= {"warnings": [], "too_short": None, "pairs": 512, "full_pass": 1500, "threads": 1}
    document |= {"mean_words": 24.04, "mean_pieces": 29.5, "assumed": "so", "method": "thus"}
    document |= {"note": "of 180"}
    ratio = {"slower": "BERT-base", "faster": "DistilBERT", "ratio": 1.9, "low": 1.8, "high": 2.0}
    document |= {"rows": [row, alone], "ratios": [{**ratio, "paper": 1.629}]}
    assert measured.paper(store.EMPTY) == ""
    text = measured.paper({"paper": {"table-3": {"a class": document}}})
    assert "1,500 sentence pairs, 512 of which were measured, with 24.0 words and 29.5 " in text
    assert "| BERT-base | 109.5 | 0.0 | 110 | 61.2 | 92 (90 to 94) | 668 |" in text
    assert "| ELMo alone | 109.5 | 0.0 | - | 61.2 | 92 (90 to 94) | - |" in text
    assert "| DistilBERT | BERT-base | 1.90 (1.80 to 2.00) | 1.63 |" in text
    assert "Not valid" not in text
    whole = measured.paper({"paper": {"table-3": {"a class": {**document, "pairs": 1500}}}})
    assert "1,500 sentence pairs, with 24.0 words" in whole


# What is recorded


def test_a_record_replaces_its_older_one_and_holds_no_samples(records: Path) -> None:
    store.add_build("mine", "both", 1, "old", REPORT)
    store.add_build("mine", "both", 2, "other", REPORT)
    store.add_build("mine", "both", 1, "new", {**REPORT, "latency": LATENCY})
    found = store.load()["builds"]
    assert [build["command"] for build in found] == ["new", "other"]
    assert "samples_ms" not in found[0]["latency"] and "latency" not in found[1]
    store.add_document("benchmarks", "phones", BENCHMARK)
    kept = store.load()["benchmarks"]["phones"][store.UNKNOWN]
    assert kept["queries"] == {"source": "squad"}
    assert "samples_ms" not in kept["runs"][0]["latency"] and kept["valid"] is False
    assert [path.name for path in (records / "docs").iterdir()] == ["results.json"]


AVX2 = {"cpu": "Older", "architecture": "x86_64", "flags": ["avx", "avx2"]}
VNNI = {"cpu": "Newer", "architecture": "x86_64", "flags": ["avx", "avx2", "avx512_vnni"]}
ON = {"AVX2": "x86_64 with AVX2", "VNNI": "x86_64 with AVX2 and AVX512-VNNI"}


def test_each_class_of_processor_keeps_its_own_record(
    records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for machine, command in ((VNNI, "first"), (AVX2, "second"), (VNNI, "third")):
        document = {**BENCHMARK, "machine": machine, "command": command}
        store.add_document("benchmarks", "files", document)
        report = {**REPORT, "machine": machine, "latency": LATENCY}
        store.add_build("mine", "both", 1, command, report)
    results = store.load()
    found = {name: each["command"] for name, each in results["benchmarks"]["files"].items()}
    assert found == {ON["VNNI"]: "third", ON["AVX2"]: "second"}
    assert [build["command"] for build in results["builds"]] == ["third", "second"]
    text = measured.benchmarks(results)
    for name in ON.values():
        assert text.count(f"### On {name}\n") == 1
        assert text.count(f"instruction set {name}.") == 1
    assert text.count("| s | natural | 8.0 | 9.0 | 11.0 | 8.2 (8.0 to 8.5) | not measured |") == 2
    written = catalog.block("builds", results)
    for name in ON.values():
        assert written.count(f"## mine, on {name}\n") == 1
        assert written.count(f"### On {name}\n") == 1
    known = [store.is_recorded("benchmarks", "files"), store.is_built("mine", "both", 1)]
    known.append(store.is_built("mine", "both", 1, timed=True))
    assert known == [False, True, False], "this class has no times"
    monkeypatch.setattr(store, "here", lambda: ON["AVX2"])
    assert store.is_recorded("benchmarks", "files")
    assert store.is_built("mine", "both", 1, timed=True)


def test_sentences_tell_the_class_that_was_recorded_first(records: Path) -> None:
    other = json.loads(json.dumps(BENCHMARK))
    other["runs"][0]["latency"]["ratios"][0]["ratio"] = 2.0
    store.add_document("benchmarks", "files", {**BENCHMARK, "machine": VNNI})
    store.add_document("benchmarks", "files", {**other, "machine": AVX2})
    ratio = measured.ratio("files", "s", "t", ("natural", "padded"))
    assert ratio(store.load()) == 10.75
    worse = json.loads(json.dumps(REPORT))
    worse["models"][1]["scores"]["f1"] = 10.0
    store.add_build("mine", "both", 1, "c", {**REPORT, "machine": VNNI})
    store.add_build("mine", "both", 1, "c", {**worse, "machine": AVX2})
    store.add_build("mine", "both", 1, "again", {**REPORT, "machine": VNNI})
    assert builds.kept("mine", "both", "f1")(store.load()) == 80.0


def test_records_of_schema_version_2_keep_their_meaning(records: Path) -> None:
    former = {
        **store.EMPTY,
        "schema_version": 2,
        "benchmarks": {"files": {**BENCHMARK, "machine": VNNI}},
        "paper": {"table-3": {"machine": {}, "device": None}},
    }
    del former["experiments"]
    store.FIGURES.write_text(json.dumps(former), encoding="utf-8")
    results = store.load()
    assert results["schema_version"] == 3 and results["experiments"] == {}
    assert results["benchmarks"]["files"] == {ON["VNNI"]: former["benchmarks"]["files"]}
    assert list(results["paper"]["table-3"]) == [store.UNKNOWN]
    store.add_document("benchmarks", "files", {**BENCHMARK, "machine": AVX2})
    assert list(store.load()["benchmarks"]["files"]) == [ON["VNNI"], ON["AVX2"]]


def test_a_phone_is_a_class_of_its_own() -> None:
    device = {"manufacturer": "Example", "model": "Phone 8"}
    assert store.class_of({"machine": AVX2, "device": device}) == "Example Phone 8"


def test_what_another_version_measured_counts_as_missing(
    records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add_build("mine", "both", 1, "c", REPORT)
    store.add_document("benchmarks", "phones", BENCHMARK)

    def recorded() -> list[bool]:
        return [
            store.is_built("mine", "both", 1),
            store.is_recorded("benchmarks", "phones"),
            store.is_recorded("facts", "minutes"),
        ]

    assert recorded() == [True] * 3
    assert not store.is_built("mine", "neither", 1) and not store.is_recorded("facts", "absent")
    monkeypatch.setattr(store, "__version__", "another")
    assert recorded() == [False] * 3


def _python(code: str) -> list[str]:
    return ["--", "python", "-c", code]


def test_output_keeps_the_last_lines_of_a_command(records: Path) -> None:
    code = "print('a 1'); print('b 2'); print('a 3'); print('b 4')"
    assert make_results.main(["output", "said", "--lines", "1", *_python(code)]) == 0
    assert store.load()["facts"]["said"]["value"] == "b 4"
    given = ["output", "said", "--start", "^a", "--minutes", "minutes", *_python(code)]
    assert make_results.main(given) == 0
    facts = store.load()["facts"]
    assert facts["said"]["value"] == "a 3\nb 4" and facts["said"]["command"].startswith("python -c")
    assert facts["minutes"]["value"] == "0.0"
    assert (records / "README.md").read_text() == "It took <!--f minutes-->0.0<!--/f--> minutes.\n"


def test_a_command_that_fails_leaves_the_record(
    records: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = store.load()
    assert make_results.main(["output", "minutes", *_python("print(9); raise SystemExit(3)")]) == 1
    assert store.load() == before
    assert "returned non-zero exit status 3" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["output", "minutes"], "no command: give one behind --"),
        (["fact", "minutes", "@absent", "--command", "x"], "No such file or directory: 'absent'"),
        (["write"], "nothing is called 'hours'"),
    ],
)
def test_mistakes_are_told_in_one_line(
    records: Path, arguments: list[str], told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if arguments == ["write"]:
        (records / "README.md").write_text("It took <!--f hours-->0<!--/f--> hours.\n")
    before = store.load()
    assert make_results.main(arguments) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("error: ") and told in line
    assert store.load() == before


@pytest.mark.parametrize(
    ("value", "kept"),
    [("13.5", "13.5"), ("two words", "two words"), ('[["a"], ["1"]]', [["a"], ["1"]])],
)
def test_facts(records: Path, value: str, kept: object) -> None:
    assert make_results.main(["fact", "minutes", value, "--command", "make x"]) == 0
    (records / "value").write_text(value + "\n")
    assert make_results.main(["fact", "other", f"@{records}/value", "--command", "make x"]) == 0
    facts = store.load()["facts"]
    assert facts["minutes"]["value"] == facts["other"]["value"] == kept
    assert facts["other"]["command"] == "make x"


Commands = Callable[[Callable[[list[str], Path], None]], list[list[str]]]


@pytest.fixture
def commands(records: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Runs nothing: each command is listed, and its `--out` given to what writes there."""

    def listed(write: Callable[[list[str], Path], None]) -> list[list[str]]:
        ran: list[list[str]] = []

        def execute(command: list[str], where: Path = records) -> str:
            ran.append(command)
            write(command, records / command[command.index("--out") + 1])
            return ""

        monkeypatch.setattr(make_results, "OUT", records / "build")
        monkeypatch.setattr(make_results, "execute", execute)
        return ran

    return listed


def test_benchmarks_are_run_and_kept(commands: Commands) -> None:
    def write(_: list[str], out: Path) -> None:
        out.write_text(json.dumps(BENCHMARK))

    ran = commands(write)
    make_results.main(["bench", "phones", "--", "a.tflite", "--threads", "1", "2"])
    make_results.main(["paper", "--", "--sentences", "3"])
    assert ran[0][:6] == ["python", "-m", "benchmarks.run", "a.tflite", "--threads", "1"]
    assert ran[1][:5] == ["python", "-m", "benchmarks.paper", "--table", "3"]
    results = store.load()
    assert set(results["benchmarks"]) == {"phones"} and set(results["paper"]) == {"table-3"}
    (document,) = results["benchmarks"]["phones"].values()
    assert document["command"] == shlex.join(ran[0][:-2])


def test_the_speed_of_training_is_recorded_and_written(commands: Commands) -> None:
    common = {
        **{"created": "2026-01-02T03:04:05Z", "warnings": ["it was busy"], "teacher": "T"},
        **{"machine": {"cpu": "Example", "logical_cores": 2}, "versions": {"torch": "2"}},
        **{"text": ["dev.json"], "batch_size": 8, "length": 384},
    }
    steps: list[Any] = [{"examples": 8, "tokens": 9, "seconds": 1.0}]
    names = ("plain loop", "ours in fp32")
    task: dict[str, Any] = {
        **common,
        **{"kind": "training-benchmark", "step": "task", "threads": 2, "mean_tokens": 172.4},
        **{"epochs": 3, "rounds": 10, "steps": 12, "tokens": [172] * 96},
        "subjects": [
            {
                **{"name": name, "precision": "fp32", "tokens_per_second": 400.0},
                **{"examples_per_second": 2.5, "with_recording": spread},
                "turns": [{"precision": "fp32", "recording": None, "steps": steps}],
            }
            for name, spread in zip(names, (None, 2.25), strict=True)
        ],
        "ratios": [
            {"faster": names[1], "slower": names[0], "with_recording": spread}
            | {"ratio": 3.456, "low": 3.0, "high": 4.0}
            for spread in (True, False)
        ],
    }
    parts = (("tokenizing", None, True), ("masking", None, None), ("loader", 2, True))
    text: dict[str, Any] = {
        **common,
        **{"kind": "stream-benchmark", "text_tokens": 1234567},
        "parts": [
            {"name": name, "workers": workers, "remembers": remembers}
            | {"tokens_per_second": 1e6, "rounds": [{"tokens": 5, "seconds": 1.0}]}
            for name, workers, remembers in parts
        ],
    }
    assert catalog.block("training-speed", store.load()) == "", "nothing was recorded yet"

    def write(command: list[str], out: Path) -> None:
        out.parent.mkdir(exist_ok=True)
        out.write_text(json.dumps(task if command[2].endswith("training") else text))

    ran = commands(write)
    make_results.main(["training", "task", "--", "--step", "task", "--rounds", "10"])
    make_results.main(["stream", "text", "--", "--workers", "2"])
    assert ran[0][:5] == ["python", "-m", "benchmarks.training", "--step", "task"]
    assert ran[1][:5] == ["python", "-m", "benchmarks.stream", "--workers", "2"]
    results = store.load()
    assert "turns" not in json.dumps(results) and store.is_recorded("training", "text")
    found = catalog.block("training-speed", results)
    assert "96 windows of 172 tokens on average, in batches of 8, with 2 threads" in found
    assert "by `python -m benchmarks.training --step task --rounds 10`" in found
    assert "Caution: it was busy." in found
    assert "| ours in fp32 | fp32 | 2.50 | 2.25 |" in found
    assert "| plain loop | fp32 | 2.50 | - |" in found
    assert "| ours in fp32 | plain loop | included | 3.46 (3.00 to 4.00) |" in found
    assert "| loader | 2 | yes | 1,000,000 |" in found
    assert "2 cores could tokenize and mask 1,000,000 tokens per second" in found
    general = {**task, "command": "c", "step": "general", "epochs": None, "steps": 6}
    general["ratios"] = task["ratios"][1:]
    found = catalog.block("training-speed", {"training": {"general": {"x86_64": general}}})
    assert "general distillation on 56 samples" in found and "| plain loop | fp32 | 400 |" in found
    assert "| ours in fp32 | plain loop | 3.46 (3.00 to 4.00) |" in found


def test_experiments_are_run_and_their_tables_written(records: Path, commands: Commands) -> None:
    def write(command: list[str], out: Path) -> None:
        out.mkdir(parents=True, exist_ok=True)
        name = command[2].partition(".")[2]
        runs = [
            {
                **{"data": "CoLA", "row": row, "seed": 1, "files": False},
                "arguments": ["--train-file", "/x/CoLA"],
                "metrics": [{"name": "matthews_correlation", "label": "M", "unit": "%"}],
                "scores": {
                    "teacher": {"matthews_correlation": 40.0},
                    "student": {"matthews_correlation": score},
                },
            }
            for row, score in (("student", 30.0), ("triple loss", 20.0), ("without L_ce", 18.5))
        ]
        (out / f"{name}.json").write_text(json.dumps({"schema_version": 1, "runs": runs}))

    ran = commands(write)
    make_results.main(["experiment", "glue", "--", "--glue-dir", "/x/glue", "--", "--epochs", "1"])
    make_results.main(["experiment", "ablation", "--", "--seeds", "1"])
    assert ran[0][3:7] == ["--glue-dir", "/x/glue", "--out", str(records / "build" / "glue")]
    assert ran[0][7:] == ["--", "--epochs", "1"]
    results = store.load()
    assert "/x/" not in json.dumps(results["experiments"])
    text = catalog.block("glue", results)
    assert "python -m pipeline.glue --glue-dir glue -- --epochs 1" in text
    assert "| student | 30.0 | 30.0 |" in text and "| paper: BERT-base | 56.3 | 56.3 |" in text
    text = catalog.block("ablation", results)
    assert "| without L_ce | 18.5 | 18.5 | -1.5 | -2.96 |" in text


def test_builds_are_run_once_a_variant_and_seed(commands: Commands) -> None:
    def write(_: list[str], out: Path) -> None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "report.json").write_text(json.dumps(REPORT))

    ran = commands(write)
    make_results.main(["run", "mine", "--seeds", "7", "8", "--timed", "--", "--train-file", "/x/t"])
    assert len(ran) == 8
    timed = [command for command in ran if "--benchmark.no-enabled" not in command]
    assert len(timed) == 1 and timed[0][3:5] == ["--seed", "7"]
    assert timed[0][timed[0].index("--target") + 1] == "all"
    assert timed[0] == ran[3]  # the full way comes last: its files stay
    told = {build["command"] for build in store.load()["builds"]}
    assert len(told) == 8 and not any("/x/" in command for command in told)


# The plan


def _plan(monkeypatch: pytest.MonkeyPatch, *steps: str) -> None:
    monkeypatch.setattr(make_results, "PLAN", "\n".join(steps))


def test_the_plan_does_what_is_missing_and_goes_on_after_a_failure(
    records: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    _plan(
        monkeypatch,
        "output minutes -- python -c 'print(5)'",
        "output broken -- python -c 'raise SystemExit(1)'",
        "run mine -- --train-file absent.json",
        "output new -- python -c 'print(6)'",
    )
    assert make_results.main(["all"]) == 1
    told, complaints = capfd.readouterr()
    assert "minutes: recorded" in told and "broken: failed" in complaints
    assert "mine: left out, absent.json not found" in told and "failed: broken" in told
    facts = store.load()["facts"]
    assert (facts["minutes"]["value"], facts["new"]["value"]) == ("1", "6")
    assert make_results.main(["all", "--force", "--only", "minutes"]) == 0
    assert "It took <!--f minutes-->5<!--/f-->" in (records / "README.md").read_text()


def test_builds_that_are_recorded_are_not_made_again(
    records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variant in builds.VARIANTS:
        if variant != "both":
            store.add_build("mine", variant, 1, "c", REPORT)
    made: list[argparse.Namespace] = []
    monkeypatch.setattr(make_results, "execute", lambda command: made.append(command) or "")
    _plan(monkeypatch, "run mine --seeds 1")
    assert make_results.main(["all"]) == 1  # nothing was built by this `execute`: no report to read
    assert len(made) == 1 and "--distil.no-enabled" not in made[0]


def test_every_step_of_the_plan_is_a_command() -> None:
    steps = [shlex.split(line) for line in make_results.PLAN.strip().splitlines()]
    assert {step[0] for step in steps} == {
        *("run", "bench", "paper", "training", "stream", "experiment", "output")
    }
    assert len({(step[0], make_results.parse(step)[0].name) for step in steps}) == len(steps)
    recorded = store.load()["facts"]
    for step in steps:
        options, _ = make_results.parse(step)
        if options.command == "output":
            assert options.name in recorded and (options.minutes or options.name) in recorded


def test_make_results_runs_the_plan() -> None:
    assert "docs/make_results.py all $(ARGS)" in (ROOT / "Makefile").read_text("utf-8")
