# SPDX-License-Identifier: Apache-2.0
"""The report: schema errors name their field; files are whole, self-contained, escaped, honest."""

from __future__ import annotations

import copy
import io
import itertools
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from html_page import ParsedPage
from report_fixtures import make_report
from rich.console import Console

from benchmarks.measure.session import marked
from benchmarks.page.layout import duration, number
from benchmarks.page.plots import apart
from pipeline.report.headline import headline, headline_file
from pipeline.report.plots import plots
from pipeline.report.render import main, print_table, validate, write_reports
from pipeline.report.schema import read
from pipeline.report.tables import overview, scored, sections

HOSTILE = "a<b>&\"'|`*_x_*[c](d)"


REPORT = make_report()


@pytest.fixture
def report() -> dict[str, Any]:
    """A copy that a test may change."""
    return copy.deepcopy(REPORT)


def _set(report: dict[str, Any], path: str, value: Any) -> None:
    """Set the field at a dotted path, list positions as numbers; `...` deletes it."""
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    place: Any = report
    for key in parents:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value


def _written(report: dict[str, Any], folder: Path) -> tuple[ParsedPage, str]:
    write_reports(report, folder)
    return (
        ParsedPage((folder / "report.html").read_text(encoding="utf-8")),
        (folder / "report.md").read_text(encoding="utf-8"),
    )


def test_round_trip(report: dict[str, Any], tmp_path: Path) -> None:
    first, again = tmp_path / "made" / "first", tmp_path / "again"
    write_reports(report, first)
    assert report == REPORT
    names = {"report.json", "report.md", "report.html"}
    assert {path.name for path in first.iterdir()} == names
    assert json.loads((first / "report.json").read_text(encoding="utf-8")) == report
    main([str(first / "report.json"), "--out", str(again)])
    for name in names:
        assert (first / name).read_bytes() == (again / name).read_bytes()


def test_samples_stand_on_one_line_of_the_json(report: dict[str, Any], tmp_path: Path) -> None:
    report["command"] = "build '[\n 1,\n 2\n]'"  # looks like such a list, must stay
    write_reports(report, tmp_path)
    text = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert json.loads(text) == report
    assert len(text.splitlines()) < 400


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("schema_version", 3, "must be 4"),
        ("schema_version", ..., "missing"),
        ("preset", None, "must be a string"),
        ("seed", True, "must be an integer"),
        ("seed", 1.0, "must be an integer"),
        ("surplus", 1, "unknown"),
        ("config.teacher.bad", {1, 2}, "must be a value that JSON can hold"),
        ("machine.gpus.0.memory_bytes", math.inf, "must be a value that JSON can hold"),
        ("versions.torch", 2, "must be a string or null"),
        ("data.train.counts.questions", -1, "must be greater than or equal to 0"),
        ("data.eval", None, "must be an object"),
        ("data.corpus", {"name": "c", "sha256": "x"}, "missing"),
        ("stages.0.seconds", "1", "must be a number"),
        ("stages.0.facts.nested", {}, "must be a string or an integer"),
        ("models.1.scores.f1", 100.5, "from -100 to 100"),
        ("models.0.bytes", 1.5, "must be an integer"),
        ("files", {}, "must be a list"),
        ("files.0.scores.f1", math.nan, "must be a finite number"),
        ("files.1.gate.checks.0.rule", "<", "must be '<=', '>=' or '=='"),
        ("files.1.gate.checks.0.lengths", "long", "'natural', 'padded' or 'both'"),
        ("latency.subjects.student-int8.natural.p90", ..., "missing"),
        ("latency.subjects.student-int8.load_ms", -1, "greater than or equal to 0"),
        ("latency.samples_ms.student-int8.natural", [1.0, None], "must be a number"),
        ("latency.ratios.0.faster_lengths", "both", "must be 'natural' or 'padded'"),
    ],
)
def test_a_wrong_field_is_named(report: dict[str, Any], path: str, value: Any, said: str) -> None:
    _set(report, path, value)
    with pytest.raises(ValueError) as caught:
        validate(report)
    message = str(caught.value)
    assert re.sub(r"\.(\d+)", r"[\1]", path) in message
    assert said in message
    assert "\n" not in message
    assert message.count(";") <= 1  # the field, not everything around it


def former(report: dict[str, Any]) -> dict[str, Any]:
    """A report in the form of schema version 2."""
    for entry in (*report["models"], *report["files"]):
        entry |= entry.pop("scores") or dict.fromkeys(("f1", "exact_match"))
    for file in report["files"]:
        file["gate"]["checks"][1]["name"] = "f1_drop"
    for one in (report["data"]["train"], report["data"]["eval"]):
        one |= one.pop("counts")
    finetune = report["config"]["finetune"]
    finetune["alpha_squad"] = finetune.pop("alpha_gold")
    for subject in report["latency"]["subjects"].values():
        del subject["logit_error"]
    del report["metrics"], report["task"], report["config"]["task"]
    return report | {"schema_version": 2}


def test_a_report_of_version_2_is_read_and_rendered(report: dict[str, Any], tmp_path: Path) -> None:
    old = former(copy.deepcopy(report))
    assert read(old) == report and old["schema_version"] == 2
    (tmp_path / "old.json").write_text(json.dumps(old))
    main([str(tmp_path / "old.json")])
    assert json.loads((tmp_path / "report.json").read_text("utf-8")) == report
    for entry in (*report["models"], *report["files"]):
        entry["scores"] = None
    assert read(former(copy.deepcopy(report))) == report | {"metrics": []}


def test_a_report_of_version_3_has_no_errors_beside_its_times(report: dict[str, Any]) -> None:
    old = copy.deepcopy(report) | {"schema_version": 3}
    for subject in old["latency"]["subjects"].values():
        del subject["logit_error"]
    assert read(old) == report
    assert read(old | {"latency": None})["latency"] is None


def test_the_error_of_logits_stands_beside_each_time(
    report: dict[str, Any], tmp_path: Path
) -> None:
    error = {"largest": 0.0625, "range": 12.5, "reference": "build/teacher", "inputs": 16}
    report["latency"]["subjects"]["teacher-fp32"]["logit_error"] = error
    report["latency"]["subjects"]["peer"] = copy.deepcopy(
        report["latency"]["subjects"]["student-int8"]
    )
    section = next(one for one in sections(report) if one.anchor == "latency")  # type: ignore[arg-type]
    times = section.tables[0]
    errors = next(c.cells for c in times.columns if c.name == "Largest logit error")
    told = dict(zip(times.columns[0].cells, errors, strict=True))
    assert told["student-int8"] == "0.212"  # of its gate, over all examples
    assert told["teacher-fp32"] == "0.0625 (0.5 %)"
    assert told["peer"] == "not measured"
    shown = overview(report)  # type: ignore[arg-type]
    errors = next(c.cells for c in shown.columns if c.name == "Logit error")
    assert dict(zip(shown.columns[0].cells, errors, strict=True)) == {
        "teacher": "—",
        "student": "—",
        "student-fp32": "0.21",
        "student-int8": "0.21",
    }
    page, markdown = _written(report, tmp_path)
    for text in (page.text, markdown):
        assert "0.0625 (0.5 %)" in text and "not measured" in text


def test_the_report_says_on_what_the_drop_of_the_score_was_measured(
    report: dict[str, Any], tmp_path: Path
) -> None:
    sizes = {"examples": 256, "padded_examples": 256, "training_examples": 2744}
    report["files"][1]["gate"] |= sizes
    page, markdown = _written(report, tmp_path)
    for text in (page.text, markdown):
        assert "on 256 evaluation and 2,744 training questions together" in text
        assert re.search(r"2,744 training [^:]*: student-int8\.", text), "the other has none"


@pytest.mark.parametrize("version", [1, 5, None, "4"])
def test_a_version_that_is_not_known_is_refused(
    version: Any, report: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "it.json").write_text(json.dumps(report | {"schema_version": version}))
    with pytest.raises(SystemExit):
        main([str(tmp_path / "it.json")])
    said = f"schema_version is {version!r}, and this release reads 2, 3 and 4: open it with"
    assert said in capsys.readouterr().err


def test_all_wrong_fields_come_at_once(report: dict[str, Any]) -> None:
    report["seed"], report["models"][0]["layers"] = "42", None
    with pytest.raises(ValueError, match=r"seed: .*; models\[0\]\.layers: "):
        validate(report)
    with pytest.raises(ValueError, match="report: got \\[\\], must be an object"):
        validate([])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("files.0.gate.checks.0.passed", False),
        ("files.0.gate.checks.0.value", 1.01),
        ("files.0.gate.checks.0.value", None),
        ("files.0.gate.passed", False),
        ("files.0.gate.checks", []),
        ("files.0.name", "student-int8"),
        ("files.0.scores", {"f1": 43.3}),
        ("models.0.scores", {"accuracy": 1.0}),
        ("metrics", []),
        ("latency.ratios.0.slower", "absent"),
        ("latency.samples_ms.absent", {}),
    ],
)
def test_contradictions_are_refused(report: dict[str, Any], path: str, value: Any) -> None:
    _set(report, path, value)
    with pytest.raises(ValueError, match=r"passed|names must differ|no such subject|be null or"):
        validate(report)


def test_nothing_is_written_for_a_wrong_report(report: dict[str, Any], tmp_path: Path) -> None:
    write_reports(report, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    report["preset"] = "other"
    report["seed"] = None
    with pytest.raises(ValueError, match="seed"):
        write_reports(report, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_file_that_cannot_be_written_leaves_the_old_one(
    report: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_reports(report, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    report["preset"] = "other"

    def half(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[:100])
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="disk full"):
        write_reports(report, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_html_asks_for_nothing_outside_itself(report: dict[str, Any], tmp_path: Path) -> None:
    page, _ = _written(report, tmp_path)
    assert not {"script", "img", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    addresses = [value for name, value in page.attributes if name in ("src", "href", "xlink:href")]
    assert addresses == ["data:,"]
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?:|//|url\(|@import", text.replace("</", ""))
    assert "default-src 'none'" in text


def test_names_and_paths_are_escaped(report: dict[str, Any], tmp_path: Path) -> None:
    int8 = report["files"][1]
    report["latency"]["subjects"][HOSTILE] = report["latency"]["subjects"].pop("student-int8")
    report["latency"]["samples_ms"][HOSTILE] = report["latency"]["samples_ms"].pop("student-int8")
    for ratio in report["latency"]["ratios"]:
        ratio["faster"] = HOSTILE
    int8["name"] = int8["path"] = int8["gate"]["checks"][0]["reason"] = HOSTILE
    report["preset"] = report["command"] = report["data"]["eval"]["name"] = HOSTILE
    report["config"][HOSTILE] = report["machine"]["cpu"] = report["latency"]["method"] = HOSTILE
    page, markdown = _written(report, tmp_path)
    assert "b" not in page.tags  # the parser saw no <b>
    assert page.text.count(HOSTILE) > 15
    text, _, command = markdown.rpartition("\n\n")
    assert command == f"    {HOSTILE}\n"  # an indented block needs no escapes
    assert "<b>" not in text
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        cells = {len(re.split(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(cells) == 1, table


def test_failed_and_absent_gates_are_said_first(report: dict[str, Any], tmp_path: Path) -> None:
    check = report["files"][1]["gate"]["checks"][1]
    check.update(value=1.5, passed=False)
    report["files"][1]["gate"]["passed"] = False
    report["files"][0]["gate"] = None
    fact = headline(report)[3]  # type: ignore[arg-type]
    assert (fact.figure, fact.verdict) == ("1/2", False)
    assert fact.sentence == ("Failed: student-int8 score_drop (both). Not verified: student-fp32.")
    page, markdown = _written(report, tmp_path)
    assert fact.sentence in page.text
    assert "✗ failed" in markdown


def test_headline_figures_by_hand(report: dict[str, Any]) -> None:
    size, speed, f1, gates = headline(report)  # type: ignore[arg-type]
    assert (size.figure, size.label) == ("17.6\u00d7", "smaller")  # 90.4 / 5.14
    assert (speed.figure, speed.label) == ("15.6\u00d7", "faster")
    assert "student-int8 at natural lengths against teacher-fp32 padded to 384" in speed.sentence
    assert "Like for like: 8.10\u00d7 with both padded to 384" in speed.sentence
    assert f1.figure == "98.0%"  # 43.1 / 44.0
    assert (gates.figure, gates.verdict) == ("4/4", True)


def test_what_was_not_measured_is_not_claimed(report: dict[str, Any], tmp_path: Path) -> None:
    report["latency"] = None
    for entry in [*report["files"], *report["models"]]:
        entry["scores"] = None
    page, markdown = _written(report, tmp_path)
    for text in (page.text, markdown):
        assert "Latency was not measured." in text
        assert "F1 was not measured for both." in text
        assert "faster" not in text
        assert not re.search(r"\d%|NaN|None\b(?!\.)|nan\b", text)
    assert [plot.title for plot in plots(report)] == ["Size"]  # type: ignore[arg-type]


def test_figures_that_are_not_valid_say_so_wherever_they_are(
    report: dict[str, Any], tmp_path: Path
) -> None:
    page, markdown = _written(report, tmp_path)
    assert "NOT VALID" not in page.text + markdown
    report["latency"]["method"] = marked(report["latency"]["method"], "256 queries in 9.0 s")
    page, markdown = _written(report, tmp_path)
    for text in (page.text, markdown):
        # in the headline, the method, the titles of the times and the ratios, and the advice
        assert text.count("NOT VALID") == 5
        assert "256 queries in 9.0 s" in text
    columns = [column.name for column in overview(report).columns]  # type: ignore[arg-type]
    assert [name for name in columns if "p90" in name] == [
        "p90 ms, natural - NOT VALID",
        "p90 ms, padded - NOT VALID",
    ]
    speed = next(fact for fact in headline(report) if fact.label == "faster")  # type: ignore[arg-type]
    assert "NOT VALID" in speed.sentence


def test_the_language_of_the_data_is_shown_where_it_is_known(
    report: dict[str, Any], tmp_path: Path
) -> None:
    assert "Language" not in _written(report, tmp_path)[1]
    report["data"]["eval"]["language"] = "pt-BR"
    page, markdown = _written(report, tmp_path)
    assert "pt-BR" in page.text and re.search(r"eval .*pt-BR", markdown)


def test_an_f1_of_0_was_measured(report: dict[str, Any], tmp_path: Path) -> None:
    for entry in [*report["files"], *report["models"]]:
        entry["scores"]["f1"] = 0.0
    page, markdown = _written(report, tmp_path)
    for text in (page.text, markdown):
        assert "was not measured" not in text and "There is no share of 0.0%." in text


def test_an_empty_build_is_a_report_too(report: dict[str, Any], tmp_path: Path) -> None:
    report.update(models=[], files=[], stages=[], latency=None, versions={}, machine={}, config={})
    page, _ = _written(report, tmp_path)
    assert "Build report" in page.text
    assert "no file was exported" in page.text


def test_a_subject_without_samples_or_accuracy_is_drawn(report: dict[str, Any]) -> None:
    latency = report["latency"]
    latency["samples_ms"] = {}
    latency["subjects"]["peer"] = copy.deepcopy(latency["subjects"]["student-int8"])
    latency["subjects"]["peer"]["padded"] = None
    accuracy, _, natural, padded = plots(report)  # type: ignore[arg-type]
    assert "peer" not in accuracy.svg
    assert "peer" in natural.svg
    assert "peer" not in padded.svg


def test_accuracy_is_never_borrowed_from_another_precision(report: dict[str, Any]) -> None:
    def f1_of(subject: str) -> Any:
        entry = scored(report, subject)  # type: ignore[arg-type]
        return entry and entry["scores"]["f1"]

    assert f1_of("student-int8") == 43.1  # its file
    assert f1_of("teacher-fp32") == 44.0  # the model of which it is the fp32 export
    assert f1_of("teacher-int8") is None


def test_headline_file_without_ratios(report: dict[str, Any]) -> None:
    report["latency"] = None
    assert headline_file(report)["name"] == "student-int8"  # type: ignore[arg-type,index]
    report["files"][1]["gate"] = None
    assert headline_file(report)["name"] == "student-fp32"  # type: ignore[arg-type,index]


@pytest.mark.parametrize("mantissa", range(100, 1000, 7))
def test_every_latency_axis_has_a_number(report: dict[str, Any], mantissa: int) -> None:
    latency = report["latency"]
    only = latency["subjects"]["student-int8"]
    only["natural"].update({key: mantissa / 100 for key in only["natural"] if key != "count"})
    only["padded"] = None
    latency.update(subjects={"student-int8": only}, samples_ms={}, ratios=[])
    for plot in plots(report):  # type: ignore[arg-type]
        if plot.title != "Size":
            assert 'class="middle muted figure"' in plot.svg


@pytest.mark.parametrize(
    ("values", "cells"),
    [
        ([90.4, 5.136], ["90.40", "5.14"]),
        ([1234567.0, None], ["1,234,567", "—"]),
        ([0.0], ["0"]),
        ([0.0004], ["0.000"]),
        ([], []),
    ],
)
def test_numbers_of_a_column_share_their_decimals(
    values: list[float | None], cells: list[str]
) -> None:
    assert number("", values).cells == cells


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(4.21, "4.2 s"), (120.3, "2 min 00 s"), (3599.9, "59 min 59 s"), (3660, "1 h 01 min")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_table_at_the_end_of_a_build(report: dict[str, Any]) -> None:
    (int8,) = [file for file in report["files"] if file["name"] == "student-int8"]
    int8["name"] = "student-int8[bold]"  # rich's markup must be shown, not obeyed
    console = Console(file=io.StringIO(), width=160, color_system=None)
    print_table(report, console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    (line,) = [line for line in printed.splitlines() if line.startswith("student-int8")]
    assert "student-int8[bold]" in line
    for cell in ("5.14", "43.1", "✓ passed"):
        assert cell in line
    assert "17.6\u00d7 smaller." in printed
    assert len(overview(report).rows) == 4  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_command_line_says_what_is_wrong(
    content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(SystemExit) as caught:
        main([str(path)])
    assert caught.value.code == 2
    assert str(path) in capsys.readouterr().err


def test_labels_of_a_plot_keep_apart_and_inside() -> None:
    wanted = [12.0, 12.0, 150.0, 151.0, 152.0, 210.0, 212.0, 215.0]
    placed = apart(wanted, 15, 216)
    assert placed[0] == 12 and placed[-1] == 216, "a crowd at the bottom moves no label at the top"
    assert all(b - a >= 15 for a, b in itertools.pairwise(placed))


def test_losses_of_trainings_become_curves(report: dict[str, Any]) -> None:
    assert "Loss in training" not in [plot.title for plot in plots(report)]  # type: ignore[arg-type]
    for stage in report["stages"]:
        if stage["name"] in ("teacher", "student"):
            stage["losses"] = [
                {"step": step, "loss": 4.0 / step, "parts": {"gold": 4.0 / step}}
                for step in (2, 4, 5)
            ]
    validate(report)
    (plot,) = [p for p in plots(report) if p.title == "Loss in training"]  # type: ignore[arg-type]
    assert plot.svg.count('<path class="link accent"') == 2, "the curve, and its name's mark"
    assert ">teacher<" in plot.svg and ">student<" in plot.svg
