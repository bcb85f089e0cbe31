# SPDX-License-Identifier: Apache-2.0
"""Experiments: what is recorded is not run again, and the tables hold hand-computed figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks.page.layout import DASH
from pipeline import ablation, ablation_page, experiment, glue, glue_page, settings
from pipeline.errors import UserError
from pipeline.experiment import Record, Run

CONSOLE = Console(quiet=True)
LOSSES = ablation.KINDS["losses"]
METRICS = [{"name": "accuracy", "label": "Accuracy", "unit": "%"}]


def scored(value: float, metric: str = "accuracy") -> dict[str, Any]:
    metrics = [{"name": metric, "label": metric, "unit": "%"}]
    return {"metrics": metrics, "scores": {"student": {metric: value}, "teacher": {metric: 90.0}}}


def test_a_run_that_is_recorded_is_not_done_again(tmp_path: Path) -> None:
    done: list[int] = []

    def job(run: Run) -> tuple[Run, experiment.Job]:
        def do(console: Any) -> dict[str, Any]:
            if run.seed == 3 and len(done) < 3:
                done.append(0)
                raise KeyboardInterrupt
            done.append(run.seed)
            return scored(float(run.seed))

        return run, do

    runs = [Run("CoLA", "student", seed, ("--x",), f"cola-{seed}") for seed in (1, 2, 3)]
    path = tmp_path / "new" / "a.json"
    with pytest.raises(KeyboardInterrupt):
        experiment.perform([job(run) for run in runs], Record.load(path, "command"), CONSOLE)
    again = Record.load(path, "command")
    experiment.perform([job(run) for run in runs], again, CONSOLE)
    assert done == [1, 2, 0, 3]
    assert [e["seed"] for e in json.loads(path.read_text())["runs"]] == [1, 2, 3]
    entries = [again.find(run) for run in runs]
    assert [e and e["scores"]["student"]["accuracy"] for e in entries] == [1.0, 2.0, 3.0]
    # Other flags are another run.
    assert again.find(Run("CoLA", "student", 1, ("--y",), "cola-1")) is None


@pytest.mark.parametrize(
    "runs",
    [
        [{}],
        [{"data": "a", "row": "b", "metrics": [], "scores": {}}],
        [{"data": "a", "row": "b", "seed": [], "metrics": [{"name": "f1"}], "scores": {}}],
        [{"data": "a", "row": "b", "metrics": [{"name": "f1"}], "scores": {"x": {"f1": "1"}}}],
        [{"data": "a", "row": "b", "metrics": [{"name": "f1"}], "scores": []}],
        3,
    ],
    ids=["empty", "no metric", "no seed", "text", "list", "number"],
)
def test_a_damaged_record_is_one_line(runs: Any, tmp_path: Path) -> None:
    path = tmp_path / "glue.json"
    path.write_text(json.dumps({"schema_version": 1, "runs": runs}))
    with pytest.raises(UserError, match="is not the record of an experiment"):
        Record.load(path, "command")


def test_a_dry_run_lists_the_runs_and_does_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    data = ["--data", "question-answering", "embedded", "embedded"]
    assert ablation.main([*data, "--seeds", "1", "--dry-run", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert said.count(": to run in ") == 1 + len(LOSSES.rows)
    assert not out.exists()
    # A build that only plans has no scores to record.
    assert ablation.main(["--out", str(out), "--", "--dry-run"]) == 2
    assert "give it before `--`" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("content", ["", "[]", '{"schema_version": 99, "runs": []}', "\0", "{}"])
def test_a_record_of_something_else_is_refused_and_kept(content: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(UserError, match="is not the record of an experiment"):
        Record.load(path, "")
    assert path.read_text() == content


def test_means_and_medians() -> None:
    assert experiment.median([3.0, 1.0, 2.0]) == 2.0 and experiment.median([]) is None
    assert experiment.mean([1.0, 2.0]) == 1.5
    assert experiment.mean([1.0, None]) is None and experiment.mean([]) is None
    assert experiment.folder_name("SST-2, a b/../c", 3) == "sst-2--a-b----c-3"


# The ablation


def test_an_ablation_changes_one_thing_a_row_and_shares_the_teacher() -> None:
    runs = ablation.plan(
        LOSSES, [("text-classification", "a.tsv", "b.tsv")], 2, "embedded-paper", ["-x"]
    )
    assert len(runs) == 10 and len({run.folder for run in runs}) == 2
    full = {run.seed: run.arguments for run in runs if run.row == LOSSES.full}
    for run in runs:
        assert run.arguments[: len(full[run.seed])] == full[run.seed]
        assert run.arguments[len(full[run.seed]) :] == LOSSES.rows.get(run.row, ())


def test_changes_are_those_of_the_mean_over_data_sets(tmp_path: Path) -> None:
    record = Record.load(tmp_path / "ablation.json", "command")
    data = [("a", "embedded", "embedded"), ("b", "embedded", "embedded")]
    runs = ablation.plan(LOSSES, data, 2, "embedded-paper", [])
    rows = [LOSSES.full, *LOSSES.rows]
    for run in runs:  # a: 50 and 52 less the row; b: 80 and 82
        value = {"a": 50.0, "b": 80.0}[run.data] + 2.0 * (run.seed - 1) - rows.index(run.row)
        record.add(run, scored(value))
    (section,) = ablation_page.page(LOSSES, runs, record).sections
    (table,) = section.tables
    assert [column.name for column in table.columns] == ["", "a", "b", "mean", "change", "paper"]
    assert table.rows[0] == ("triple loss", "51.0", "81.0", "66.0", "—", "—")
    assert table.rows[1] == ("without L_ce", "50.0", "80.0", "65.0", "-1.0", "-2.96")
    assert table.rows[4][3:] == ("62.0", "-4.0", "-3.69")
    experiment.publish(ablation_page.page(LOSSES, runs, record), record, CONSOLE)
    assert "| without L_ce | 50.0 |" in (tmp_path / "ablation.md").read_text("utf-8")
    assert "What each loss brings" in (tmp_path / "ablation.html").read_text("utf-8")


def test_an_ablation_of_a_part_that_is_not_there_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = ["--", "--distil.alpha-ce", "0"]
    assert ablation.main(["--out", str(tmp_path / "out"), *absent]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "change without L_ce: " in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ablation.KINDS)
def test_every_row_of_an_ablation_consists_of_flags_of_a_build(kind: str) -> None:
    # Two losses, so that one is left where a row takes the other.
    losses = ["--distil.alpha-cos", "1", "--distil.alpha-ce", "1"]
    whole = settings.parse(losses, "")
    for flags in ablation.KINDS[kind].rows.values():
        assert settings.parse([*losses, *flags], "").out == whole.out


def test_without_the_papers_figures_there_is_no_column_for_them(tmp_path: Path) -> None:
    kind = ablation.KINDS["default"]
    runs = ablation.plan(kind, [("a", "embedded", "embedded")], 1, "embedded", [])
    (section,) = ablation_page.page(kind, runs, Record.load(tmp_path / "none.json", "")).sections
    (table,) = section.tables
    assert [column.name for column in table.columns] == ["", "a", "mean", "change"]
    assert [row[0] for row in table.rows] == ["the default", *kind.rows]


def test_smaller_students_are_shown_with_their_time_and_drawn(tmp_path: Path) -> None:
    kind = ablation.KINDS["size"]
    runs = ablation.plan(kind, [("a", "embedded", "embedded")], 2, "embedded", [])
    assert all(run.files and "int8" in run.arguments for run in runs)
    record = Record.load(tmp_path / "ablation.json", "command")
    file = ablation_page.TIMED
    for run in runs[: len(runs) - 1]:  # the last row lacks a seed
        whole = run.row == kind.full
        entry = scored(40.0 if whole else 38.0 + run.seed)
        entry["scores"][file] = {"accuracy": 37.0}
        # Twice, then four times as fast as the full student's file: 50 % and 25 % of its time.
        faster = 5.0 if whole else 10.0 * run.seed
        record.add(run, {**entry, "bytes": {file: 8e6}, "times_faster": {file: faster}})
    (section,) = ablation_page.page(kind, runs, record).sections
    (table,) = section.tables
    names = ["", "a", "mean", "change", "int8 file", "MB", "time, %"]
    assert [column.name for column in table.columns] == names
    assert table.rows[0] == ("the default", "40.0", "40.0", "—", "37.0", "8.0", "100.0")
    assert table.rows[1][1:] == ("39.5", "39.5", "-0.5", "37.0", "8.0", "37.5")
    assert table.rows[-1][1:] == ("—", "—", "—", "—", "—", "50.0")
    (plot,) = section.plots
    assert all(f">{row}<" in plot.svg for row in ("the default", "two layers"))


def test_a_record_without_a_figure_gives_none_instead_of_an_error(tmp_path: Path) -> None:
    kind = ablation.KINDS["size"]
    runs = ablation.plan(kind, [("question-answering", "embedded", "embedded")], 1, "smoke", ())
    record = Record(tmp_path / "a.json", "")
    damages = ({"scores": {}}, {"bytes": None, "times_faster": []}, {"scores": {"student": None}})
    for run, damage in zip(runs, (*damages, {}, {}), strict=True):
        record.add(run, {**scored(50.0), **damage})
    read = Record.load(record.path, "")
    columns = ablation_page.page(kind, runs, read).sections[0].tables[0].columns
    assert [*columns[1].cells] == [DASH, "50.0", DASH, "50.0", "50.0"]
    assert {*columns[-1].cells} == {DASH}
    assert glue_page.page(read, glue.NAMES).sections == []


def test_a_build_that_was_not_timed_has_no_times() -> None:
    ratios = [
        {"faster": "f", "faster_lengths": mine, "slower_lengths": theirs, "ratio": ratio}
        for mine, theirs, ratio in (
            ("natural", "padded", 9.0),
            ("natural", "natural", 4.0),
            ("padded", "padded", 3.0),
        )
    ]
    timed: Any = {"ratios": ratios}
    assert experiment._times_faster(timed) == {"f": 4.0}
    assert experiment._times_faster(None) == {}


# GLUE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """GLUE's folder with three of the nine tasks."""
    for name in ("CoLA", "MNLI", "STS-B"):
        (tmp_path / "glue" / name).mkdir(parents=True)
    (tmp_path / "glue" / "MNLI" / "dev_mismatched.tsv").touch()
    return tmp_path / "glue"


def options(*arguments: str) -> Any:
    return glue._parser().parse_args(list(arguments))


def test_tasks_whose_data_is_absent_are_left_out_unless_they_were_asked_for(folder: Path) -> None:
    there = glue.sources(options("--glue-dir", str(folder)))
    assert [one.name for one in there] == ["CoLA", "MNLI", "MNLI-mm", "STS-B"]
    with pytest.raises(UserError, match=r"--tasks RTE: no folder .*RTE"):
        list(glue.sources(options("--glue-dir", str(folder), "--tasks", "CoLA", "RTE")))
    hub = list(glue.sources(options("--imdb", "stanfordnlp/imdb", "--squad", "a", "b")))
    assert [one.name for one in hub] == [
        *("CoLA", "MNLI", "MNLI-mm", "MRPC", "QNLI", "QQP", "RTE", "SST-2", "STS-B", "WNLI"),
        *("IMDb", "SQuAD"),
    ]
    assert hub[2].train == "nyu-mll/glue:mnli" and hub[2].dev == "nyu-mll/glue:mnli_mismatched"


@pytest.mark.parametrize("asked", [("--student", "distilbert"), ("--squad", "a", "b")])
def test_a_student_or_squad_without_a_teacher_is_refused(
    asked: tuple[str, ...], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--glue-dir", str(folder), *asked, "--dry-run", "--out", str(tmp_path / "out")]
    assert glue.main(flags) == 2
    said = capsys.readouterr()
    assert said.out == "" or "to run" not in said.out
    (line,) = said.err.splitlines()
    assert f"{' '.join(asked)} without --teacher" in line and "add --teacher NAME" in line
    for more in (["--teacher", "mine"], ["--", "--teacher", "mine"], ["--", "--teacher=mine"]):
        assert glue.main([*flags, *more]) == 0
    every = options(*flags, "--teacher", "mine")
    for run in glue.plan(list(glue.sources(every)), every, []):
        config = settings.parse(run.arguments, "")
        assert config.teacher.model == "mine", run.data


def test_both_parts_of_mnli_share_what_is_trained(folder: Path) -> None:
    chosen = options("--glue-dir", str(folder), "--seeds", "2", "--without-second-step")
    runs = glue.plan(list(glue.sources(chosen)), chosen, [])
    folders = {(run.data, run.seed): run.folder for run in runs}
    assert folders["MNLI", 1] == folders["MNLI-mm", 1] != folders["MNLI", 2]
    assert len(runs) == 4 * 2 * 2 and {run.row for run in runs} == {glue.STUDENT, glue.PLAIN}


def test_settings_of_one_task_reach_its_builds_alone(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("CoLA: {finetune: {optimization: {epochs: 7}}}\n")
    chosen = options(
        *("--glue-dir", str(folder), "--settings", str(path), "--out", str(tmp_path / "o"))
    )
    runs = glue.plan(list(glue.sources(chosen)), chosen, [])
    assert {run.data for run in runs if "--config" in run.arguments} == {"CoLA"}
    path.write_text("CoLa: {}\n")
    with pytest.raises(UserError, match="no task CoLa; there are CoLA"):
        glue.plan(list(glue.sources(chosen)), chosen, [])


def test_the_table_holds_medians_of_means_and_a_macro_score_over_what_is_there(
    tmp_path: Path,
) -> None:
    record = Record.load(tmp_path / "glue.json", "command")
    names = glue_page.Names(glue.STUDENT, glue.PLAIN, glue.ELMO, glue.MISMATCHED)
    for seed, cola, pearson in ((1, 40.0, 80.0), (2, 60.0, 82.0), (3, 44.0, 90.0)):
        record.add(
            Run("CoLA", glue.STUDENT, seed, (), ""),
            scored(cola, "matthews_correlation"),
        )
        both = {"pearsonr": pearson, "spearmanr": pearson - 2.0}
        entry = {"metrics": METRICS, "scores": {"student": both}}
        record.add(Run("STS-B", glue.STUDENT, seed, (), ""), entry)
    record.add(Run("MNLI", glue.STUDENT, 1, (), ""), scored(70.0))
    record.add(Run("MNLI-mm", glue.STUDENT, 1, (), ""), scored(72.0))
    page = glue_page.page(record, names)
    assert page.subtitle.endswith("several with different seeds: 3 (CoLA), 3 (STS-B).")
    (section,) = page.sections
    (table,) = section.tables
    rows = {row[0]: row[1:] for row in table.rows}
    assert [column.name for column in table.columns] == ["", "score", "CoLA", "MNLI", "STS-B"]
    assert rows["student"] == ("65.3", "44.0", "71.0", "81.0")
    assert rows["teacher"] == ("—", "90.0", "90.0", "—"), "no macro score over what is missing"
    assert rows["paper: DistilBERT"] == ("73.5", "51.3", "82.2", "86.9")
    assert "without MRPC, QNLI, QQP, RTE, SST-2, WNLI" in section.paragraphs[0]
    assert "ELMo was not run again" in section.paragraphs[1]


def test_elmo_needs_its_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert glue.main(["--glue-dir", str(folder), "--model", "elmo"]) == 2
    assert "--elmo-options FILE and --elmo-weights FILE" in capsys.readouterr().err


# Both as they are used


@pytest.fixture
def cola(tmp_path: Path) -> Path:
    path = tmp_path / "real" / "CoLA"
    path.mkdir(parents=True)
    rows = [
        f"x\t{n % 2}\t{'' if n % 2 else '*'}\t{'a tower' if n % 2 else 'tower a'} {n}"
        for n in range(40)
    ]
    for name in ("train", "dev"):
        (path / f"{name}.tsv").write_text("\n".join(rows) + "\n")
    return path


@pytest.mark.long
def test_tables_of_a_tiny_teacher(
    cola: Path, tiny_teacher: Path, text_file: Path, tmp_path: Path
) -> None:
    quick = ("--preset", "smoke", "--seeds", "1", "--out", str(tmp_path / "out"))
    more = ("--", "--distil.text", str(text_file), "--max-length", "64")
    flags = ("--glue-dir", str(cola.parent), "--teacher", str(tiny_teacher))
    extra = ("--without-second-step", "--files")
    assert glue.main([*quick, *flags, *extra, *more]) == 0
    document = json.loads((tmp_path / "out" / "glue.json").read_text())
    assert {name for run in document["runs"] for name in run["scores"]} == {
        *("teacher", "student", "student-int8.tflite")
    }
    text = (tmp_path / "out" / "glue.md").read_text("utf-8")
    assert "student-int8.tflite" in text and "paper: ELMo" in text


@pytest.mark.long
def test_ablation_of_a_tiny_teacher(
    cola: Path, tiny_teacher: Path, text_file: Path, tmp_path: Path
) -> None:
    flags = ["--preset", "smoke", "--seeds", "1", "--out", str(tmp_path / "out")]
    data = ["--data", "text-classification", str(cola), str(cola)]
    more = ["--teacher", str(tiny_teacher), "--distil.text", str(text_file), "--max-length", "64"]
    weights = ["--distil.alpha-hidden", "0", "--no-second-step"]
    assert ablation.main([*flags, *data, "--", *more, *weights]) == 0
    runs = json.loads((tmp_path / "out" / "ablation.json").read_text())["runs"]
    assert [run["row"] for run in runs] == [LOSSES.full, *LOSSES.rows]
    assert len({run["scores"]["teacher"]["matthews_correlation"] for run in runs}) == 1
