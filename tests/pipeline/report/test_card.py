# SPDX-License-Identifier: Apache-2.0
"""The model card and the hub folder: the report's figures, whole or not there, safe to push."""

from __future__ import annotations

import contextlib
import copy
import errno
import io
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
import yaml
from export_fixtures import exported_onnx
from huggingface_hub import ModelCard
from huggingface_hub.repocard import REGEX_YAML_BLOCK
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from report_fixtures import FILES, REPORTS, STUDENT, WEIGHTS, of_preset

from converters import ConversionError, terminal
from pipeline.report import hub_folder
from pipeline.report.card import model_card
from pipeline.report.hub_folder import COMPANIONS, write_hub_folder

REPORT = of_preset()
LIMITS = {"max_length": 384, "stride": 128, "max_query": 64, "max_answer": 30, "n_best": 20}
MODEL = {"may_abstain": False, "limits": LIMITS}


@pytest.fixture
def report() -> dict[str, Any]:
    """A copy that a test may change."""
    return copy.deepcopy(REPORT)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A build folder with files of a few bytes."""
    out = tmp_path / "build"
    for name in STUDENT | {"manifest.json"}:
        _put(out / "student" / name)
    for target, path in FILES.values():
        for name in (*COMPANIONS, "manifest.json", "left-over.bin"):
            _put(out / target / name)
        _put(out / path / WEIGHTS if path.endswith(".mlpackage") else out / path)
        (out / target / "model.json").write_text(json.dumps(MODEL))
    _put(out / "coreml/student-fp16.mlpackage/Manifest.json")
    shutil.copy2(exported_onnx("distilbert")["fp32"], out / "onnx/student-fp32.onnx")
    return out


def _put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"content of {path.name}")


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _block(text: str) -> dict[str, Any]:
    """The metadata as the Hub's server finds it."""
    match = REGEX_YAML_BLOCK.search(text)
    assert match is not None
    return dict(yaml.safe_load(match.group(2)))


def _tokens(text: str) -> list[Any]:
    """The body, parsed; an implementation of CommonMark and of GitHub's tables by others."""
    match = REGEX_YAML_BLOCK.search(text)
    assert match is not None
    return MarkdownIt("commonmark").enable("table").parse(text[match.end() :])


def _tables(text: str) -> list[list[list[str]]]:
    """Each table of the body as rows of shown cells."""
    tables: list[list[list[str]]] = []
    tokens = _tokens(text)
    for place, token in enumerate(tokens):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type in ("th_open", "td_open"):
            tables[-1][-1].append("".join(part.content for part in tokens[place + 1].children))
    return tables


def test_the_folder_holds_exactly_what_is_promised(report: dict[str, Any], out: Path) -> None:
    hub = write_hub_folder(report, out)
    assert hub == out / "hub"
    packaged = {f"coreml/student-fp16.mlpackage/{name}" for name in (WEIGHTS, "Manifest.json")}
    beside = {f"{target}/{name}" for target, _ in FILES.values() for name in COMPANIONS}
    files = {"tflite/student-int8.tflite", "onnx/student-fp32.onnx"}
    assert _contents(hub).keys() == (
        STUDENT
        | REPORTS
        | packaged
        | beside
        | files
        | {"README.md", ".gitattributes", "onnx/model.onnx", "index.html"}
    )
    assert (hub / "README.md").read_bytes() == (out / "MODEL_CARD.md").read_bytes()
    for name in ("config.json", *packaged, *beside, *files):
        source = out / name if "/" in name else out / "student" / name
        assert (hub / name).samefile(source), "a second copy costs disk"
    assert not list(out.glob("*.partial")) and not list(out.glob("*.old"))


def test_onnx_files_are_there_in_the_hubs_form_as_old_as_ours(
    report: dict[str, Any], out: Path
) -> None:
    hub = write_hub_folder(report, out)
    assert hub is not None
    ours, theirs = hub / "onnx/student-fp32.onnx", hub / "onnx/model.onnx"
    assert ours.stat().st_mtime_ns == theirs.stat().st_mtime_ns
    assert [i.name for i in onnx.load(theirs).graph.input] == ["input_ids", "attention_mask"]
    text = (hub / "README.md").read_text()
    assert "`fp32` is `onnx/model.onnx`." in text and "model_quantized" not in text
    assert "await pipeline('question-answering', \"USER/NAME\", { dtype: 'fp32' })" in text
    assert "ORTModelForQuestionAnswering.from_pretrained" in text and "`index.html`" in text


def test_without_onnx_files_there_is_neither_the_hubs_form_nor_a_page(
    report: dict[str, Any], out: Path
) -> None:
    report["files"] = [file for file in report["files"] if file["target"] != "onnx"]
    hub = write_hub_folder(report, out)
    assert hub is not None
    assert not (hub / "onnx").exists() and not (hub / "index.html").exists()
    text = (hub / "README.md").read_text()
    assert "transformers.js" not in text and "index.html" not in text


def test_a_damaged_onnx_file_leaves_the_old_folder(report: dict[str, Any], out: Path) -> None:
    hub = write_hub_folder(report, out)
    assert hub is not None
    before = _contents(hub)
    source = out / "onnx/student-fp32.onnx"
    whole = source.read_bytes()
    source.unlink()
    source.write_bytes(whole[:1000])
    with pytest.raises(ConversionError, match=r"is no \.onnx file, or is cut off at 1000 bytes"):
        write_hub_folder(report, out)
    assert _contents(hub) == before


def test_large_files_go_to_lfs(report: dict[str, Any], out: Path) -> None:
    hub = write_hub_folder(report, out)
    assert hub is not None
    lines = (hub / ".gitattributes").read_text().splitlines()
    patterns = [line.removesuffix(" filter=lfs diff=lfs merge=lfs -text") for line in lines]
    assert patterns == ["*.safetensors", "*.tflite", "*.onnx", "*.mlmodel", "*.bin"]


def test_files_are_copied_where_there_are_no_hard_links(
    report: dict[str, Any], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked = _contents(write_hub_folder(report, out) or out)

    def refuse(path: Path, target: Any) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    hub = write_hub_folder(report, out)
    assert hub is not None and _contents(hub) == linked
    assert not (hub / "config.json").samefile(out / "student" / "config.json")


def test_a_second_call_replaces_the_folder(report: dict[str, Any], out: Path) -> None:
    hub = write_hub_folder(report, out)
    assert hub is not None
    (hub / "onnx" / "student-fp32.onnx").unlink()
    (hub / "README.md").write_text("an F1 of 88.88")
    _put(out / "student" / "README.md")  # has a second name in the folder, must not be written to
    report["seed"] = 7
    assert write_hub_folder(report, out) == hub
    assert (hub / "onnx" / "student-fp32.onnx").is_file()
    assert json.loads((hub / "report.json").read_text())["seed"] == 7
    assert "With seed 7," in (hub / "README.md").read_text()
    assert (out / "student" / "README.md").read_text() == "content of README.md"


@pytest.mark.parametrize("after", [0, 3, 9])
def test_a_failed_write_leaves_the_old_folder(
    after: int, report: dict[str, Any], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = write_hub_folder(report, out)
    assert hub is not None
    before, left, link = _contents(hub), [after], hub_folder._link

    def failing(source: Any, target: Any) -> None:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= 1
        link(source, target)

    report["seed"] = 7
    with monkeypatch.context() as patch:
        patch.setattr(hub_folder, "_link", failing)
        with pytest.raises(OSError):
            write_hub_folder(report, out)
    assert _contents(hub) == before
    assert write_hub_folder(report, out) == hub and _contents(hub) != before
    assert not list(out.glob("*.partial"))


@pytest.mark.parametrize("gate", ["failed", "absent"])
def test_nobody_can_push_a_file_without_a_passed_gate(
    gate: str, report: dict[str, Any], out: Path
) -> None:
    assert write_hub_folder(report, out) is not None
    report["files"][1]["gate"] = None
    if gate == "failed":
        report["files"][1]["gate"] = copy.deepcopy(REPORT["files"][0]["gate"])
        report["files"][1]["gate"]["passed"] = False
        report["files"][1]["gate"]["checks"][0].update(value=7.0, passed=False)
    assert write_hub_folder(report, out) is None
    assert not (out / "hub").exists() and not (out / ".hub.old").exists()
    text = (out / "MODEL_CARD.md").read_text()
    assert "**Not to be shipped.** These files did not pass their gate: student-fp16." in text
    row = next(row for row in _tables(text)[0] if row[0] == "student-fp16")
    assert row[-2] == {"failed": "✗ failed", "absent": "not verified"}[gate]


def test_no_path_of_this_machine_is_in_the_folder(report: dict[str, Any], out: Path) -> None:
    report["command"] = (
        f"python -m pipeline.build --teacher.model {out}/my-bert --out={out} "
        f"--train-file '{out}/two words.json' --eval-file data/dev.json"
    )
    hub = write_hub_folder(report, out)
    assert hub is not None
    for name, content in _contents(hub).items():
        assert str(out).encode() not in content, name
        assert str(out.parent).encode() not in content, name
    command = (
        "python -m pipeline.build --teacher.model my-bert --out=build --train-file 'two words.json'"
        " --eval-file data/dev.json"
    )
    assert f"    {command}\n" in (hub / "README.md").read_text()
    assert json.loads((hub / "report.json").read_text())["command"] == command


def test_metadata_has_the_hubs_names_and_the_reports_figures(report: dict[str, Any]) -> None:
    text = model_card(report, MODEL)
    block = _block(text)
    scores = block.pop("model-index")
    assert block == {
        "language": "en",
        "license": "apache-2.0",
        "library_name": "transformers",
        "pipeline_tag": "question-answering",
        "base_model": "sentence-transformers/all-MiniLM-L6-v2",
        "tags": ["distilbert", "tflite", "litert", "coreml", "onnx"],
        "metrics": ["f1", "exact_match"],
    }
    (index,) = scores
    (result,) = index["results"]
    assert index["name"] == "all-MiniLM-L6-v2-distilbert-qa"
    assert result["task"]["type"] == "question-answering"
    assert result["dataset"] == {"name": "embedded-eval", "type": "custom"}
    scored = [report["models"][1], *report["files"]]
    expected = [(kind, score) for entry in scored for kind, score in entry["scores"].items()]
    assert [(metric["type"], metric["value"]) for metric in result["metrics"]] == expected
    again = ModelCard(text)  # huggingface_hub's own reading, model-index and all
    assert len(again.data.eval_results) == len(expected)
    assert str(again) == text


def test_metadata_of_a_build_from_the_hub() -> None:
    report = of_preset("distilbert-squad")
    report["data"]["eval"]["name"] = "rajpurkar/squad validation"
    block = _block(model_card(report, MODEL))
    assert block["base_model"] == "google-bert/bert-base-uncased"
    assert block["datasets"] == ["rajpurkar/squad", "wikimedia/wikipedia"]
    assert (block["language"], block["license"]) == ("en", "apache-2.0")
    assert block["model-index"][0]["results"][0]["dataset"] == {
        "name": "rajpurkar/squad validation",
        "type": "rajpurkar/squad",
        "split": "validation",
    }
    report["stages"] = [stage for stage in report["stages"] if stage["name"] != "distilled"]
    assert _block(model_card(report, MODEL))["datasets"] == ["rajpurkar/squad"]


@pytest.mark.parametrize(
    ("train", "scored", "claimed", "words"),
    [
        ("de", "de", "de", "as ISO codes, are: de."),
        ("de", "pt-BR", ["de", "pt"], "as ISO codes, are: de, pt."),
        (None, "zh_Hant", "zh", "as ISO codes, are: zh."),
        ("en", "en", "en", "The questions are English."),
        (None, None, None, "the build did not record"),
    ],
)
def test_languages_are_those_of_the_data(
    train: str | None,
    scored: str | None,
    claimed: str | list[str] | None,
    words: str,
    report: dict[str, Any],
) -> None:
    report["config"]["data"]["train_file"] = "fragen.json"
    report["data"]["train"]["language"] = train
    report["data"]["eval"]["language"] = scored
    text = model_card(report, MODEL)
    assert _block(text).get("language") == claimed
    assert words in text
    report["data"]["train"] = None
    report["config"]["data"]["train_file"] = "embedded"  # the default, of which nothing was read
    assert _block(model_card(report, MODEL)).get("language") == (
        None if scored is None else scored.replace("_", "-").split("-")[0]
    )


def test_what_is_not_known_is_not_claimed(report: dict[str, Any]) -> None:
    config = report["config"]
    config["teacher"]["model"] = "my-bert"  # what is left of a path
    config["data"]["train_file"] = config["data"]["eval_file"] = "fragen.json"
    report["latency"] = None
    for entry in (*report["models"], *report["files"]):
        entry["scores"] = None
    text = model_card(report, MODEL | {"may_abstain": True})
    block = _block(text)
    claims = ("base_model", "datasets", "language", "license", "model-index", "metrics")
    assert not set(claims) & block.keys()
    assert "Latency was not measured." in text
    assert "How many answers are right was not measured." in text
    assert "whose license was not recorded" in text
    assert "English" not in text
    assert "it may answer nothing" in text
    assert not re.search(r"\bNone\b|\bnan\b", text)


def test_questions_that_were_made_are_told(report: dict[str, Any]) -> None:
    report["config"]["data"]["cloze_questions"] = 0
    assert "made from their passages" not in model_card(report, MODEL)
    report["config"]["data"]["cloze_questions"] = 2000
    told = "questions and up to 2,000 that were made from their passages; texts and"
    assert told in model_card(report, MODEL)


@pytest.mark.parametrize(
    ("teacher", "stated", "words"),
    [
        ("embedded", "", "The license is the teacher's, Apache-2.0"),
        ("embedded", "mit", "states mit. The weights derive from all-MiniLM-L6-v2, which is publi"),
        ("my-bert", "mit", "states mit. The weights derive from my-bert, whose license was not"),
    ],
)
def test_the_text_tells_the_license_that_the_block_tells(
    teacher: str, stated: str, words: str, report: dict[str, Any]
) -> None:
    report["config"]["teacher"]["model"] = teacher
    report["config"]["export"]["license"] = stated
    text = model_card(report, MODEL)
    assert words in text and _block(text)["license"] == (stated or "apache-2.0")
    section = text.partition("## License")[2].partition("## ")[0]
    assert ("Apache-2.0" in section) == (teacher == "embedded")


def test_every_number_of_the_evaluation_is_the_reports(report: dict[str, Any]) -> None:
    head, *rows = _tables(model_card(report, MODEL))[0]
    assert head == [
        *(
            "Name",
            "Format",
            "Precision",
            "MB",
            "F1, %",
            "Exact match, %",
            "Largest logit error",
            "Gate",
        ),
        "Lowest runtime",
    ]
    entries = [*report["models"], *report["files"]]
    assert [row[0] for row in rows] == [entry["name"] for entry in entries]
    for row, entry in zip(rows, entries, strict=True):
        assert abs(float(row[3]) - entry["bytes"] / 1e6) <= 0.005  # three digits of the smallest
        assert abs(float(row[4]) - entry["scores"]["f1"]) <= 0.0501  # one decimal
        assert abs(float(row[5]) - entry["scores"]["exact_match"]) <= 0.0501
        if entry in report["models"]:
            assert row[1:3] == ["PyTorch", "fp32"] and row[6:] == ["—", "—", "—"]
        else:
            assert row[1:3] == [entry["target"], entry["precision"]]
            error = entry["gate"]["checks"][0]["value"]
            assert float(row[6]) == pytest.approx(error, rel=5e-3)  # three digits
            assert row[7] == "✓ passed"


def test_the_lowest_runtime_is_shown_where_it_is_known(report: dict[str, Any]) -> None:
    report["files"][0]["min_runtime"] = {"LiteRT": "1.0.1", "TensorFlow Lite": "2.17.0"}
    report["files"][1]["min_runtime"] = {}
    head, *rows = _tables(model_card(report, MODEL))[0]
    assert head[-1] == "Lowest runtime"
    assert [row[-1] for row in rows][2:4] == ["LiteRT 1.0.1 or TensorFlow Lite 2.17.0", "—"]


def test_latency_is_the_reports(report: dict[str, Any]) -> None:
    _, latency = _tables(model_card(report, MODEL))
    subjects = report["latency"]["subjects"]
    assert len(latency) == 1 + 2 * len(subjects)
    for name, lengths, mean, p90, *_ in latency[1:]:
        times = subjects[name][lengths]
        assert float(mean) == pytest.approx(times["mean"], rel=5e-3)
        assert float(p90) == pytest.approx(times["p90"], rel=5e-3)


def test_times_that_are_not_valid_say_so_in_their_table(report: dict[str, Any]) -> None:
    report["latency"]["method"] = f"NOT VALID (too few): {report['latency']['method']}"
    _, (head, *_) = _tables(model_card(report, MODEL))
    assert head[2:5] == [
        f"{name} - NOT VALID" for name in ("mean, ms", "p90, ms", "95% interval of mean")
    ]


def test_only_stages_that_ran_are_told(report: dict[str, Any]) -> None:
    text = model_card(report, MODEL)
    assert "layers 1, 3, 5 of the teacher's 6, counted from 0" in text
    assert "General distillation:** towards the fine-tuned teacher, on plain text" in text
    assert "second distillation step; weights 0.25 for the gold labels, 1 for the div" in text
    assert "10 for the distance from the teacher's hidden states" in text
    assert "temperature 2" in text
    assert "learning rate 0.0007" in text
    assert "1,234 steps taken" in text
    report["config"]["finetune"]["second_step"] = False
    report["stages"] = [{**stage, "facts": {}} for stage in report["stages"][-1:]]
    report["stages"] += [
        {"name": name, "seconds": 1.0, "resumed": True, "facts": facts}
        for name, facts in (("teacher", {"head": "the teacher's own"}), ("student", {}))
    ]
    text = model_card(report, MODEL)
    assert "it came with a head for the task, and was not trained" in text
    assert "from the gold labels alone" in text
    for absent in ("General distillation:", "temperature", "weights", "steps taken"):
        assert absent not in text


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (
            {"head": "the package's adapter"},
            r"its head for the task comes with the package's adapter \(a LoRA trained on 5,147 "
            r"questions from this project, Apache-2\.0; 10,000 questions from QAMR "
            r"\(Michael et al\. 2018\), MIT; .*\), and was not trained",
        ),
        (
            {"head": "the package's adapter", "learning_rate": 5e-5, "steps": 7},
            r"the package's adapter \(a LoRA .*\), and was fine-tuned further on the training "
            r"questions: 1 epoch, batches of 8, learning rate 5e-05, .*, 7 steps taken",
        ),
        (
            {"head": "the adapter mine"},
            "its head for the task comes with the adapter mine, and was not trained",
        ),
    ],
    ids=["as it is", "further", "another"],
)
def test_where_the_teachers_head_comes_from_is_said(
    report: dict[str, Any], facts: dict[str, Any], said: str
) -> None:
    report["stages"] = [
        {"name": "teacher", "seconds": 1.0, "resumed": True, "facts": facts},
        {"name": "mlm-teacher", "seconds": 1.0, "resumed": True}
        | {"facts": {"head": "the teacher's own", "steps": 9}},
        *(stage for stage in report["stages"] if stage["name"] in ("distilled", "student")),
    ]
    text = " ".join(model_card(report, MODEL).split())
    assert re.search(said, text)
    assert "the teacher's own, fitted again to the fine-tuned teacher: " in text
    assert (
        "towards the fine-tuned teacher" if "steps" in facts else "towards the teacher with its"
    ) in text


# The characters that mean something to YAML, Markdown, HTML, a shell or Jinja, and line ends.
SPECIAL = "|\n\r\u2028\x85\t<>&\"'`*_~#$%@!^()[]{}:;,.?/\\=+-0 a"
HOSTILE = st.one_of(
    st.text(SPECIAL, min_size=1, max_size=30),
    st.text(min_size=1, max_size=30),
    st.sampled_from(
        [
            "\n---\n",
            "a\n---\nb",
            "--- a",
            "...",
            "yes",
            "null",
            "1e3",
            "key: value",
            "- item",
            "{{ report }}",
            "<script>",
            "<!--",
            "```\n",
            "~~~",
            "# heading",
            "[a](b)",
            "![a](b)",
            "a | b",
            "a \\| b",
            "&lt;",
            "$$x$$",
            "a\\",
            " ",
        ]
    ),
)


def _structure(text: str) -> list[str]:
    """Every block of the body, and what lies within its lines but for text."""
    plain = ("text", "text_special", "softbreak")
    return [
        name
        for token in _tokens(text)
        for name in (
            token.type,
            *(child.type for child in token.children or () if child.type not in plain),
        )
    ]


@given(name=HOSTILE)
@settings(max_examples=30, deadline=None)
def test_hostile_names_break_neither_block_nor_table(name: str) -> None:
    report = copy.deepcopy(REPORT)
    report["config"]["teacher"]["model"] = f"x{name}"
    for part in ("train", "eval"):
        report["data"][part]["name"] = name
        report["config"]["data"][f"{part}_file"] = name
    report["data"]["corpus"] = {"name": name, "sha256": "ab" * 32, "samples": 5}
    for file in report["files"]:
        file["name"] = f"{file['name']}{name}"
        file["path"] = f"{file['path']}{name}"
        file["precision"] = name
    report["latency"]["subjects"] = {
        f"{subject}{name}": times for subject, times in report["latency"]["subjects"].items()
    }
    report["latency"].update(ratios=[], method=name, busy=name)
    report["machine"]["cpu"] = name
    report["command"] = f"x{name}"  # no command, no block
    report["versions"] = {name: name, "torch": "1"}
    text = model_card(report, MODEL)

    block = _block(text)
    assert block["model-index"][0]["results"][0]["dataset"]["name"] == " ".join(name.split())
    assert block["library_name"] == "transformers"
    assert len(block["tags"]) == 5

    shown = " ".join(terminal.shown(name).split())
    evaluation, latency = _tables(text)
    assert {len(row) for row in evaluation} == {9} and len(evaluation) == 6
    assert {len(row) for row in latency} == {6} and len(latency) == 7
    assert [" ".join(row[2].split()) for row in evaluation[3:]] == [shown] * 3

    *_, command = (token.content for token in _tokens(text) if token.type == "code_block")
    expected = report["command"].replace("\0", "\ufffd")
    assert command.split() == expected.split()

    benign = copy.deepcopy(report)
    benign["config"]["teacher"]["model"] = "xname"
    benign["config"]["data"].update(train_file="name", eval_file="name")
    for place in (*benign["data"].values(), *benign["files"]):
        place["name"] = "name"
    for file in benign["files"]:
        file["path"] = file["precision"] = "name"
    benign["latency"].update(method="name", busy="name")
    benign["latency"]["subjects"] = dict(
        zip("abc", benign["latency"]["subjects"].values(), strict=True)
    )
    benign["machine"]["cpu"] = benign["command"] = "name"
    benign["versions"] = {"name": "name", "torch": "1"}
    assert _structure(text) == _structure(model_card(benign, MODEL))


@pytest.fixture(scope="module")
def exported(tiny_export: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A build folder with a tiny student and real .tflite and .onnx files."""
    from transformers import DistilBertForQuestionAnswering

    from converters.onnx.export import export_onnx

    out = tmp_path_factory.mktemp("card") / "build"
    shutil.copytree(tiny_export.parent, out)
    model = DistilBertForQuestionAnswering.from_pretrained(out / "student")
    export_onnx(model, out / "onnx" / "student-fp32.onnx", precision="fp32")
    for name in COMPANIONS:
        shutil.copy2(out / "tflite" / name, out / "onnx" / name)
    report = of_preset()
    report["files"] = [file for file in report["files"] if file["target"] != "coreml"]
    hub = write_hub_folder(report, out)
    assert hub is not None
    yield hub


def test_the_folder_opens_with_transformers_and_with_ask(exported: Path) -> None:
    import torch
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer

    from pipeline.ask import open_answerer

    model = AutoModelForQuestionAnswering.from_pretrained(exported)
    assert type(model).__name__ == "DistilBertForQuestionAnswering"
    assert AutoTokenizer.from_pretrained(exported).is_fast
    source = AutoModelForQuestionAnswering.from_pretrained(exported.parent / "student")
    for name, tensor in source.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name
    asked = "Where is the tower?", "The tower of rome is old."
    for path in (".", "tflite/student-int8.tflite"):
        assert open_answerer(exported / path).answer(*asked).text in asked[1]


def test_the_code_on_the_card_runs(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (exported / "README.md").read_text()
    blocks = [token.content for token in _tokens(text) if token.info == "python"]
    assert len(blocks) == 4  # transformers, the arrays, LiteRT, ONNX Runtime
    monkeypatch.chdir(exported)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(blocks[0], {})
    assert said.getvalue().strip() in "The lighthouse was designed by Ilse Brandt in 1871."
    found = []
    for runtime in blocks[2:]:
        names: dict[str, Any] = {}
        exec(blocks[1] + runtime, names)
        assert names["logits"]["start_logits"].shape == names["arrays"]["ids"].shape
        found.append(names["logits"])
    # int8 against fp32 of the same tiny model: rounding, not another model
    assert abs(found[0]["end_logits"] - found[1]["end_logits"]).max() < 0.2
