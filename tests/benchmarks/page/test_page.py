# SPDX-License-Identifier: Apache-2.0
"""A benchmark's page: every figure is on it, nothing it is given breaks it, it asks for nothing."""

from __future__ import annotations

import base64
import itertools
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_fixtures import FACTORS, PADDED_LENGTH, benchmark, phone, skeleton
from html_page import ParsedPage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from repository import ROOT

from benchmarks.page import figures as page_plots
from benchmarks.page import layout, page, plots
from benchmarks.page.console import show
from benchmarks.page.layout import DASH
from pipeline.tasks.question_answering.evaluate import METRICS

TEMPLATES = Path(page.__file__).parent / "templates"
TONES = ("page", "wash", "ink", "soft", "accent", "teacher", "good", "bad")
HOSTILE = "a<b>&\"'|`</title><script>alert(1)</script>{{x}}"


def renamed(document: Any, names: dict[str, str]) -> Any:
    """The document with other names wherever they stand."""
    if isinstance(document, dict):
        return {names.get(k, k): renamed(v, names) for k, v in document.items()}
    if isinstance(document, list):
        return [renamed(item, names) for item in document]
    return names.get(document, document) if isinstance(document, str) else document


def downloaded(parsed: ParsedPage) -> Any:
    """The document that a page offers."""
    (address,) = [v for k, v in parsed.attributes if k == "href" and v and v.startswith("data:app")]
    assert address is not None
    return json.loads(base64.b64decode(address.partition("base64,")[2]))


def test_every_subject_and_figure_is_on_the_page() -> None:
    document = benchmark()
    text = ParsedPage(page.html(document)).text
    for run in document["runs"]:
        for name, subject in run["latency"]["subjects"].items():
            assert name in text
            for times in (subject["natural"], subject["padded"]):
                for key in ("p50", "p90", "p99", "mean", "mean_low", "mean_high"):
                    # The column's smallest figure decides on its decimals.
                    assert any(f"{times[key]:,.{d}f}" in text for d in range(4)), (name, key)
        for ratio in run["latency"]["ratios"]:
            assert f"{ratio['ratio']:.2f} {ratio['low']:.2f}–{ratio['high']:.2f}" in text  # noqa: RUF001
        assert f"With {run['threads']} thread" in text
    for file in document["files"]:
        assert all(f"{score:.1f}" in text for score in file["scores"].values())
        assert file["sha256"] in text
        for size in file["parts"].values():
            assert f"{size / 1e6:,.2f}" in text
    assert "0.25 (2 %)" in text and "not measured" in text
    # 150 - 50, 90 - 20 and 60 - 30 MB; the weight cache's load; the overhead's share
    for shown in ("100.0", "70.0", "30.0", "50.0", "weight cache 4.5", "3.2"):
        assert shown in text
    for shown in ("Example CPU", "avx512_vnni", "numpy 2.2.1", document["command"], "Seed 7"):
        assert shown in text


def test_the_summary_by_hand() -> None:
    document = benchmark()
    facts = ParsedPage(page.html(document)).text
    means = {
        name: np.mean(samples["natural" if "int8" in name else "padded"])
        for name, samples in document["runs"][0]["latency"]["samples_ms"].items()
    }
    slow, fast = means["teacher-fp32.tflite"], means["student-int8.tflite"]
    assert f"From {slow:.0f} ms to {fast:.1f} ms a query" in facts
    assert f"{slow / fast:.1f}\u00d7 faster" in facts
    assert "17.6\u00d7 smaller" in facts  # 90.4 / 5.14
    assert "98.0% of teacher-fp32.tflite's F1 kept" in facts  # 43.1 / 44.0
    assert "Valid by MLPerf's rule" in facts and "NOT VALID" not in facts


def test_one_file_against_many_is_one_table_and_the_closest_is_told_first() -> None:
    document = benchmark()
    for run in document["runs"]:
        ratios = run["latency"]["ratios"]
        first = next(r for r in ratios if r["faster"] == "student-int8.tflite")
        like = {**first, "slower_lengths": "natural", "slower": "student-fp32.onnx"}
        ratios[:] = [
            *(r for r in ratios if r["faster"] != "student-fp32.onnx"),
            like | {"ratio": 3.01, "low": 2.9, "high": 3.1},
            like | {"ratio": 5.5, "low": 5.4, "high": 5.6, "slower_lengths": "padded"},
        ]
    text = ParsedPage(page.html(document)).text
    assert "3.01\u00d7 faster than the other" in text
    (table,) = re.findall(
        r"Times that student-int8.tflite is faster than others (.*?) Times", text
    )[:1]
    assert "student-fp32.onnx 5.50 5.40–5.60 3.01 2.90–3.10 — —" in table  # noqa: RUF001
    assert text.count("Times that student-int8.tflite is faster than others") == 2  # runs


def test_the_page_is_about_the_fastest_that_was_held_against_the_reference() -> None:
    document = benchmark()
    for run in document["runs"]:
        ratios = run["latency"]["ratios"]
        ratios[:] = [r for r in ratios if r["faster"] != "student-int8.tflite"]
    text = ParsedPage(page.html(document)).text
    assert "student-fp32.onnx at natural lengths against teacher-fp32.tflite padded" in text


def test_what_is_not_valid_and_what_to_be_careful_with_is_said_first() -> None:
    document = benchmark()
    document["valid"] = False
    document["runs"][1]["too_short"] = "16 queries in 1.0 s"
    document["warnings"] = ["other processes kept 1.50 cores busy during the run"]
    document["runs"][0]["latency"]["busy"] = "the machine was busy: a took 2 times as long"
    text = ParsedPage(page.html(document)).text
    summary, _, below = text.partition("F1 against latency")
    assert "NOT VALID with 2 threads: 16 queries in 1.0 s." in summary
    assert "Caution: other processes kept 1.50 cores busy" in summary
    assert "NOT VALID by MLPerf's rule" in summary and "Read it with caution" in summary
    assert "With 2 threads - NOT VALID" in below and "With 1 thread - NOT VALID" not in below
    assert "Milliseconds per query - NOT VALID" in below
    assert "Caution: the machine was busy" in below
    document["runs"] = []
    assert "NOT VALID" in ParsedPage(page.html(document)).text


def test_the_document_comes_with_the_page() -> None:
    document = benchmark()
    parsed = ParsedPage(page.html(document))
    assert downloaded(parsed) == document
    assert '"natural": "80 numbers"' in parsed.text  # 40 queries in 2 rounds, not shown


def test_it_asks_for_nothing_outside_itself() -> None:
    text = page.html(benchmark())
    parsed = ParsedPage(text)
    assert not {"script", "img", "iframe", "object", "embed", "base", "form"} & set(parsed.tags)
    addresses = [v or "" for k, v in parsed.attributes if k in ("src", "href", "xlink:href")]
    assert all(address.startswith("data:") for address in addresses) and len(addresses) == 2
    bare = re.sub(r'href="data:[^"]*"', "", text).replace("</", "")
    assert not re.search(r"https?:|//|url\(|@import", bare)
    assert "default-src 'none'" in text


def test_drawings_have_titles_and_descriptions() -> None:
    text = page.html(benchmark())
    drawings = re.findall(r"<svg .*?</svg>", text, re.DOTALL)
    # F1, lengths, two distributions, sizes, threads; the first four again with 2 threads
    assert len(drawings) == 10
    for drawing in drawings:
        assert re.search(r'role="img"><title>[^<]+</title><desc>[^<]{20,}</desc>', drawing)
        assert "nan" not in drawing and "inf" not in drawing


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_hostile_names_are_shown_and_not_obeyed(name: str) -> None:
    if name in FACTORS:
        return
    document = skeleton(**{k: v for k, v in benchmark().items() if k in ("queries", "files")})
    document["runs"] = benchmark()["runs"][:1]
    document = renamed(document, {"student-int8.tflite": name})
    clean = ParsedPage(page.html(benchmark() | {"runs": benchmark()["runs"][:1]}))
    parsed = ParsedPage(page.html(document))
    assert sorted(set(parsed.tags)) == sorted(set(clean.tags))
    assert parsed.tags.count("td") == clean.tags.count("td")
    assert downloaded(parsed) == document


def test_markup_in_every_text_is_shown() -> None:
    document = renamed(benchmark(), {"student-int8.tflite": HOSTILE, "Example CPU": HOSTILE})
    document["warnings"] = [HOSTILE]
    document["command"] = document["queries"]["source"] = document["files"][0]["path"] = HOSTILE
    document["versions"] = {HOSTILE: HOSTILE}
    for run in document["runs"]:
        run["latency"]["method"] = run["latency"]["busy"] = HOSTILE
    device = phone()
    device["profiles"][0]["operators"][0]["name"] = HOSTILE
    device["profiles"][-1]["failed"] = device["device"]["model"] = HOSTILE
    for one, least in ((document, 25), (device, 4)):
        parsed = ParsedPage(page.html(one))
        assert not {"b", "script"} & set(parsed.tags)
        assert parsed.text.count(HOSTILE) >= least


def test_a_phones_document_is_a_page_too() -> None:
    document = phone()
    text = ParsedPage(page.html(document)).text
    # the GPU at 384 tokens, 0.04 ms each
    assert "15.4 ms an inference of 384 tokens" in text
    assert "student-int8.tflite, gpu, 4 threads: the fastest. 1 of 7 profiles failed" in text
    assert "29 → 34 °C of the battery" in text and "moderate after" in text
    assert "it crashed with SIGSEGV: try the CPU" in text
    assert "1,800, 2,850" in text and "arm64-v8a" in text
    assert "Fully Connected 38 14.250 81.5" in text
    assert "Latency against length, 4 threads" in text
    assert "F1 against latency" not in text and "faster" not in text


def test_runs_of_a_phone_with_the_same_threads_are_told_apart() -> None:
    document = benchmark()
    (first, _), runs = document["runs"], []
    for name in FACTORS:
        one = json.loads(json.dumps(first))
        for place in ("subjects", "samples_ms"):
            one["latency"][place] = {name: first["latency"][place][name]}
        one["latency"]["ratios"] = []
        for place in ("overhead", "memory", "weight_cache"):
            one[place] = {name: first[place][name]}
        runs.append(one)
    text = page.html(document | {"runs": runs})
    for name in FACTORS:
        assert f"With 1 thread: {name}" in text
    accuracy = re.search(r"<title>F1 against latency.*?</svg>", text, re.DOTALL)
    assert accuracy is not None and all(name in accuracy[0] for name in FACTORS)
    anchors = re.findall(r' id="([^"]+)"', text)
    assert len(set(anchors)) == len(anchors)


SPEARMAN = {"name": "spearman", "label": "Spearman", "unit": ""}


def test_metrics_are_called_what_the_document_says() -> None:
    document: Any = benchmark()
    document["metrics"] = [SPEARMAN, {"name": "acc", "label": "Accuracy", "unit": "%"}]
    for file, correlation in zip(document["files"], (0.8, 0.75, 0.6), strict=True):
        file["scores"] = {"spearman": correlation, "acc": 91.25}
    text = ParsedPage(page.html(document)).text
    assert "75.0% of teacher-fp32.tflite's Spearman kept" in text  # 0.6 / 0.8
    assert "student-int8.tflite has Spearman 0.600, teacher-fp32.tflite 0.800" in text
    assert "Spearman is a number from -1 to 1, Accuracy is in percent" in text
    assert "Spearman against latency" in text and "0.750" in text and "Accuracy, %" in text
    printed = show(document)
    assert "Spearman" in printed and "Accuracy, %" in printed and "0.750" in printed
    for absent in ("F1", "Exact match", "EM"):
        assert absent not in text and absent not in printed


@pytest.mark.parametrize("teacher", [0.0, -0.25])
def test_no_share_is_taken_of_a_score_that_is_not_positive(teacher: float) -> None:
    document: Any = benchmark()
    document["metrics"] = [SPEARMAN]
    for file in document["files"]:
        file["scores"] = {"spearman": 0.5}
    document["files"][0]["scores"] = {"spearman": teacher}
    assert f"There is no share of {teacher:.3f}." in ParsedPage(page.html(document)).text


def test_what_was_not_measured_is_not_claimed() -> None:
    document = benchmark()
    for file in document["files"]:
        file["scores"] = file["parts"] = None
    for run in document["runs"]:
        run["overhead"], run["latency"]["samples_ms"] = {}, {}
        for subject in run["latency"]["subjects"].values():
            subject["padded"] = None
        run["latency"]["ratios"] = []
    text = ParsedPage(page.html(document)).text
    assert f"{DASH} of teacher-fp32.tflite's F1 kept" in text
    for absent in ("Overhead", "F1 against latency", "padded to 384 Milli", "nan", "None"):
        assert absent not in text
    assert "Latency, natural lengths" in text
    text = ParsedPage(page.html(document | {"metrics": []})).text
    assert f"{DASH} of teacher-fp32.tflite's score kept The score was not measured" in text
    assert "in percent" not in text
    empty = ParsedPage(page.html(skeleton())).text
    assert "Benchmark" in empty and "nan" not in empty


def test_one_file_is_compared_with_itself_padded() -> None:
    document = renamed(benchmark(), {})
    keep = "teacher-fp32.tflite"
    document["files"] = document["files"][:1]
    for run in document["runs"]:
        run["latency"]["ratios"] = [
            r for r in run["latency"]["ratios"] if r["faster"] == r["slower"] == keep
        ]
        for place in (run["latency"]["subjects"], run["latency"]["samples_ms"], run["overhead"]):
            for name in set(place) - {keep}:
                del place[name]
        run["memory"], run["weight_cache"] = {keep: run["memory"][keep]}, {keep: None}
    text = ParsedPage(page.html(document)).text
    assert f"{keep} at natural lengths against {keep} padded to {PADDED_LENGTH}" in text
    assert "smaller" not in text


def test_medians_of_queries_alike_in_length() -> None:
    few = [(64.0, 1.0), (384.0, 9.0), (64.0, 3.0), (384.0, 5.0), (64.0, 2.0)]
    assert page_plots.binned(few) == [(64.0, 2.0), (384.0, 7.0)]
    many = [(float(n), 2.0 * n) for n in range(100)]
    found = page_plots.binned(many)
    assert len(found) == page_plots.BINS
    assert found[0] == (4.5, 9.0) and found[-1] == (94.5, 189.0)
    assert page_plots.binned([(5.0, 1.0)]) == [(5.0, 1.0)]


def test_colors_do_not_repeat_before_a_dozen_and_the_first_keep_theirs() -> None:
    names = [f"f{n}" for n in range(14)]
    found = page_plots.roles(names, "f3", "f0")
    assert found["f0"] == "teacher" and found["f3"] == "accent"
    assert len(set(found.values())) == 14


@pytest.mark.parametrize("count", [1, 2, 14, 40])
def test_plots_hold_any_number_of_subjects(count: int) -> None:
    scored = [plots.Scored(f"subject {n}", "c0", 40.0, 9.0 + n / 9, None) for n in range(count)]
    drawn = plots.accuracy(METRICS[0], scored)
    assert drawn is not None
    height = float(re.findall(r'viewBox="0 0 360 ([\d.]+)"', drawn.svg)[0])
    rows = sorted(float(y) for y in re.findall(r'<circle [^>]*cy="([\d.]+)"', drawn.svg))
    assert rows[0] >= 12 and rows[-1] <= height - 20
    assert all(b - a >= 15 for a, b in itertools.pairwise(rows))


def test_one_point_and_equal_points_are_drawn() -> None:
    for line in (
        [(1.0, 5.0)],
        [(384.0, 2.0), (384.0, 2.0)],
        [(0.0, 3.0)],
        [(1.0, 0.0), (2.0, 1.0)],
    ):
        drawn = plots.curves("Title", "Caption", [plots.Curve("a", "c0", line, line)])
        assert drawn is not None and "nan" not in drawn.svg
    nothing = [plots.Curve("a", "c0", [(1.0, 0.0)])]
    assert plots.curves("Title", "Caption", []) is plots.curves("Title", "", nothing) is None
    assert plots.bars("Title", "Caption", []) is None


def test_whatever_curves_draw_has_a_style_on_every_page() -> None:
    """The pages of experiments have the common style sheet alone."""
    shown = [
        plots.Curve("one place", "accent", [(1.0, 2.0)], [(1.0, 2.0), (1.0, 3.0)]),
        plots.Curve("a line", "c5", [(1.0, 1.0), (2.0, 2.0)], [(1.5, 1.0 + n) for n in range(200)]),
    ]
    drawn = plots.curves("Title", "Caption", shown, linear=True)
    assert drawn is not None and drawn.svg.count("<circle") == 1
    section = layout.Section("s", "Title", [], [], [drawn])
    html = layout.render(layout.Page("page", "Title", "", [], [], [section]))
    style = html.partition("<style>")[2].partition("</style>")[0]
    classes = {name for found in re.findall('class="([^"]*)"', drawn.svg) for name in found.split()}
    assert {"dots", "few", "accent", "c5", "link"} <= classes
    assert [name for name in classes if not re.search(rf"\.{name}\b", style)] == []


def _linear(color: str) -> Any:
    channels = np.array([int(color[n : n + 2], 16) for n in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def _contrast(one: str, other: str) -> float:
    """WCAG 2's contrast ratio."""
    light = sorted(float(_linear(c) @ [0.2126, 0.7152, 0.0722]) + 0.05 for c in (one, other))
    return light[1] / light[0]


def _oklab(linear: Any) -> Any:
    """Ottosson (2020), "A perceptual color space for image processing"."""
    to_cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    to_lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return to_lab @ np.cbrt(to_cones @ np.clip(linear, 0, 1))


# Machado, Oliveira & Fernandes (2009), severity 1: protanopia, deuteranopia, tritanopia.
VISIONS = [
    np.eye(3),
    [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
]


@pytest.mark.parametrize("place", [0, 1], ids=["light", "dark"])
def test_colors_can_be_read_and_told_apart(place: int) -> None:
    """WCAG AA: text 4.5:1, drawings 3:1. 0.09 in OKLab is told apart at a glance by all."""
    css = "".join((TEMPLATES / name).read_text() for name in ("style.css", "benchmark.css"))
    found = {
        name: re.findall(rf"(?:--|\.){name}(?:: | {{ --role: )(#[0-9a-f]{{6}})", css)[place]
        for name in (*TONES, *(f"c{n}" for n in range(page_plots.HUES)))
    }
    for name in ("ink", "soft", "accent", "good", "bad"):
        assert _contrast(found[name], found["page"]) >= 4.5, name
        assert _contrast(found[name], found["wash"]) >= 4.5, name
    roles = [found[name] for name in found if re.fullmatch(r"accent|teacher|c\d", name)]
    assert all(_contrast(color, found["page"]) >= 3 for color in roles)
    for one, other in itertools.combinations(roles, 2):
        for vision in VISIONS:
            apart = [_oklab(np.asarray(vision) @ _linear(color)) for color in (one, other)]
            assert math.dist(*apart) >= 0.09, (one, other)


def test_the_command_writes_a_page_or_says_why_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "run.json"
    source.write_text(json.dumps(benchmark()))
    assert page.main([str(source)]) == 0
    beside = (tmp_path / "run.html").read_text()
    assert page.main([str(source), "--out", str(tmp_path / "new" / "a.html")]) == 0
    assert (tmp_path / "new" / "a.html").read_text() == beside == page.html(benchmark())
    capsys.readouterr()
    for content, said in (
        ("{", "cannot read"),
        ("[]", "got [], must be an object"),
        ("{}", "kind: missing"),
        (json.dumps(benchmark() | {"seed": "7"}), "seed: got '7', must be an integer"),
    ):
        source.write_text(content)
        assert page.main([str(source)]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1 and str(source) in error
    assert (tmp_path / "run.html").read_text() == beside
    source.write_text(json.dumps(benchmark()))
    assert page.main([str(source), "--out", str(tmp_path)]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_json_and_page_are_written_together_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "new" / "benchmark.json"
    assert page.write(benchmark(), out) == out.with_suffix(".html")  # type: ignore[arg-type]
    assert json.loads(out.read_text()) == benchmark()
    odd = out.with_name("odd.html")
    assert page.write(benchmark(), odd).name == "odd.html.html"  # type: ignore[arg-type]
    assert json.loads(odd.read_text()) == benchmark()
    before = {path: path.read_bytes() for path in out.parent.iterdir()}
    with pytest.raises(ValueError, match="valid: got 3"):
        page.write(benchmark() | {"valid": 3}, out)  # type: ignore[arg-type,operator]
    assert {path: path.read_bytes() for path in out.parent.iterdir()} == before
    with pytest.raises(ValueError, match="cannot write"):
        page.write(benchmark(), out / "below" / "b.json")  # type: ignore[arg-type]


def test_templates_are_packed() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert '"benchmarks.page" = ["templates/*"]' in text
    assert {path.suffix for path in TEMPLATES.iterdir()} == {".css", ".j2"}
    assert layout.render(layout.Page("kind", "title", "sub", [], [], [])).startswith("<!doctype")
