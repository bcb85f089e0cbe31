# SPDX-License-Identifier: Apache-2.0
"""Preset under YAML under flags; whatever is wrong is told in one line, all of it at once."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from repository import ROOT

from pipeline import __version__, settings
from pipeline.config import Build, FilePrecision, Optimization
from pipeline.errors import UserError
from pipeline.tasks.question_answering.settings import QuestionBuild

WriteYaml = Callable[[str], Path]


@pytest.fixture
def own(tmp_path: Path) -> WriteYaml:
    def write(text: str) -> Path:
        path = tmp_path / "own.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def parse(*arguments: str) -> Build:
    return settings.parse(arguments, "The pipeline.")


def refused(*arguments: str) -> str:
    with pytest.raises(UserError) as caught:
        parse(*arguments)
    message = str(caught.value)
    assert message and "\n" not in message
    return message


@pytest.mark.parametrize("preset", settings.presets())
def test_preset_loads_validates_and_begins_with_its_command(preset: str) -> None:
    build = parse("--preset", preset)
    assert build.preset == preset
    assert settings.check(build) == build
    text = (ROOT / "pipeline" / "presets" / f"{preset}.yaml").read_text(encoding="utf-8")
    head = text.split("\n\n")[0]
    assert head.startswith(f"# {preset}: ") and "Needs:" in head
    assert f"-m pipeline.{preset}" in head or f"--preset {preset}" in head or preset == "embedded"


def test_the_default_is_one_of_the_presets_and_the_default_is_one_of_them() -> None:
    assert settings.presets() == [
        "distilbert-squad",
        "embedded",
        "embedded-classification",
        "embedded-glue",
        "embedded-paper",
        "glue",
        "smoke",
    ]
    assert parse().preset == "embedded"


def test_a_task_starts_from_its_own_preset(tmp_path: Path) -> None:
    assert parse("--task", "text-classification").preset == "embedded-classification"
    mine = tmp_path / "mine.yaml"
    mine.write_text("task: text-classification\nseed: 7\n")
    build = parse("--config", str(mine))
    assert (build.preset, build.seed) == ("embedded-classification", 7)
    assert parse("--task", "text-classification", "--preset", "smoke").preset == "smoke"


def test_every_precision_has_thresholds_with_a_reason() -> None:
    build = parse()
    assert set(build.gates) == set(get_args(FilePrecision))
    for gate in build.gates.values():
        for field in dataclasses.fields(gate):
            limit = getattr(gate, field.name)
            assert limit.limit >= 0 and len(limit.reason) > 10


def test_defaults_are_those_of_the_paper() -> None:
    # arXiv 1910.01108 and its reference scripts: 3 epochs, batches of 5 x 50, rate 5e-4, warm-up
    # 0.05, T = 2, the weights 5, 2, 1, 15 % of the tokens, smoothing 0.7; BERT's SQuAD recipe:
    # 384 / 128 / 64 / 30.
    build = QuestionBuild()
    first, data = build.distil, build.data
    assert (first.alpha_ce, first.alpha_mlm, first.alpha_cos) == (5.0, 2.0, 1.0)
    assert (first.temperature, first.mask_share, first.mask_smoothing) == (2.0, 0.15, 0.7)
    how = first.optimization
    assert (how.batch_size, how.device_batch) == (250, 5)
    assert (how.learning_rate, how.warmup) == (5e-4, 0.05)
    assert (data.max_length, data.stride, data.max_query, data.max_answer) == (384, 128, 64, 30)


def test_a_key_of_former_versions_is_refused_with_the_new_names(own: WriteYaml) -> None:
    path = own("distil:\n  optimization: {batch_size: 5, accumulate: 50}\n")
    with pytest.raises(UserError, match=r"optimization\.accumulate: batch_size is .*device_batch"):
        parse("--config", str(path))


def test_flags_lie_over_yaml_over_preset_over_defaults(own: WriteYaml) -> None:
    preset = settings.load("smoke")
    assert preset.data.max_train != Build().data.max_train
    path = own(
        "data: {max_train: 5}\nfinetune:\n  optimization: {epochs: 7, learning_rate: 5e-4}\n"
    )
    from_file = parse("--preset", "smoke", "--config", str(path))
    assert from_file.data.max_train == 5
    assert from_file.data.max_eval == preset.data.max_eval, "siblings come from the preset"
    assert from_file.finetune.optimization.epochs == 7
    assert from_file.finetune.optimization.learning_rate == 5e-4, "YAML 1.1 reads 5e-4 as text"
    assert from_file.finetune.optimization.batch_size == preset.finetune.optimization.batch_size
    over = parse("--preset", "smoke", "--config", str(path), "--max-train", "9")
    assert over.data.max_train == 9
    assert over.finetune.optimization.epochs == 7
    deep = parse("--config", str(path), "--finetune.optimization.epochs", "0.5")
    assert deep.finetune.optimization.epochs == 0.5


def test_preset_can_be_given_with_an_equals_sign_and_anywhere() -> None:
    assert parse("--seed", "3", "--preset=smoke").preset == "smoke"
    assert parse("--preset=smoke").data.max_train == settings.load("smoke").data.max_train


def test_flags_of_every_kind() -> None:
    build = parse(
        *("--precision", "int8", "fp32", "--force", "teacher", "verify", "--dry-run"),
        *("--out", "somewhere", "--distil.no-enabled", "--student.layers", "0,2,5"),
        *("--distil.text", "a.txt", "b.txt", "--teacher.optimization.betas", "0.8", "0.9"),
    )
    assert build.export.precision == ("int8", "fp32")
    assert build.force == ("teacher", "verify")
    assert build.dry_run and not build.distil.enabled
    assert build.out == Path("somewhere")
    assert build.distil.text == ("a.txt", "b.txt")
    assert build.teacher.optimization.betas == (0.8, 0.9)


def test_thresholds_can_be_changed_one_by_one(own: WriteYaml) -> None:
    path = own("gates: {int8: {score_drop: {limit: 0.5}}}")
    gates = parse("--config", str(path)).gates
    assert gates["int8"].score_drop.limit == 0.5
    assert (
        gates["int8"].score_drop.reason == settings.load("embedded").gates["int8"].score_drop.reason
    )
    assert gates["fp32"] == settings.load("embedded").gates["fp32"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sed: 3", ["unknown setting sed", "did you mean seed?"]),
        ("data: {max_trian: 3}", ["data.max_trian", "did you mean max_train?"]),
        (
            "finetune: {optimization: {epocs: 3}}",
            ["finetune.optimization.epocs", "did you mean epochs?"],
        ),
        ("distil: {zzzzzz: 3}", ["unknown setting distil.zzzzzz"]),
    ],
)
def test_unknown_key_is_refused_with_the_nearest_known_one(
    own: WriteYaml, text: str, words: list[str]
) -> None:
    message = refused("--config", str(own(text)))
    assert all(word in message for word in words)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("seed: many", "seed"),
        ("seed: [1]", "seed"),
        ("seed: -1", "seed"),
        ("seed: 4294967296", "seed"),
        ("data: 3", "data"),
        ("data: null", "data"),
        ("data: {max_length: 15}", "data.max_length"),
        ("data: {max_length: 64.5}", "data.max_length"),
        ("data: {bad_answers: ignore}", "data.bad_answers"),
        ("distil: {text: embedded}", "distil.text"),
        ("distil: {mask_share: 1.5}", "distil.mask_share"),
        ("distil: {temperature: 0}", "distil.temperature"),
        ("distil: {temperature: .inf}", "distil.temperature"),
        ("distil: {alpha_ce: .nan}", "distil.alpha_ce"),
        ("distil: {optimization: {betas: [0.9]}}", "distil.optimization.betas"),
        ("distil: {optimization: {betas: [0.9, 1.0]}}", "distil.optimization.betas"),
        ("finetune: {optimization: {warmup: 1.0}}", "finetune.optimization.warmup"),
        ("finetune: {optimization: {epochs: 0}}", "finetune.optimization.epochs"),
        ("finetune: {optimization: {epochs: .inf}}", "finetune.optimization.epochs"),
        ("hardware: {device: tpu}", "hardware.device"),
        ("export: {precision: [int9]}", "export.precision"),
        ("gates: {int9: {}}", "gates.int9"),
        ("gates: {int8: {score_drop: {limit: .inf}}}", "gates.int8.score_drop.limit"),
    ],
)
def test_value_out_of_type_or_range_is_refused_at_its_place(
    own: WriteYaml, text: str, place: str
) -> None:
    message = refused("--config", str(own(text)))
    assert place in message


def test_all_errors_come_at_once(own: WriteYaml) -> None:
    message = refused(
        "--config", str(own("sed: 3\ndata: {stride: 0}\nhardware: {device: tpu, threads: 0}"))
    )
    for place in ("sed", "data.stride", "hardware.device", "hardware.threads"):
        assert place in message


def test_flags_are_checked_like_the_file_and_together() -> None:
    message = refused("--stride", "0", "--seed", "-1", "--finetune.temperature", "0")
    for place in ("data.stride", "seed", "finetune.temperature"):
        assert place in message
    message = refused("--max-length", "100", "--stride", "34", "--force", "teachr", "veriffy")
    assert "--stride 34: at most 33" in message, "100 - 64 for the question - 3 special tokens"
    assert "did you mean teacher?" in message and "did you mean verify?" in message
    assert parse("--max-length", "100", "--stride", "33").data.stride == 33


def test_losses_on_masked_tokens_need_some() -> None:
    masked = ("--distil.mask-share", "0", "--distil.alpha-mlm")
    assert "--distil.mask-share 0 leaves nothing" in refused(*masked, "2")
    assert not parse(*masked, "0", "--distil.alpha-ce", "0").distil.mask_share


def test_training_on_nothing_is_refused() -> None:
    nothing = [
        part for name in ("ce", "mlm", "cos", "hidden") for part in (f"--distil.alpha-{name}", "0")
    ]
    assert "distil: every alpha is 0" in refused(*nothing)
    assert not parse(*nothing, "--distil.no-enabled").distil.enabled
    nothing = [
        part for name in ("ce", "gold", "hidden") for part in (f"--finetune.alpha-{name}", "0")
    ]
    assert "finetune: every alpha is 0" in refused(*nothing)
    assert not parse(*nothing, "--finetune.no-second-step").finetune.second_step


def test_unknown_preset_names_the_nearest_and_all() -> None:
    message = refused("--preset", "smok")
    assert "did you mean smoke?" in message
    assert all(preset in message for preset in settings.presets())
    assert "no preset 'gates'" in refused("--preset", "gates"), "the thresholds are no preset"
    assert "no preset '../x'" in refused("--preset", "../x")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"a: [", "not valid YAML"),
        (b"a: 2001-13-45", "not valid YAML"),
        (b"[" * 1500, "not valid YAML"),
        (b"- 1", "holds a list"),
        (b"[]", "holds a list"),
        (b"0", "holds a int"),
        (b"just words", "holds a str"),
        (b"1: 2", "expected settings by name"),
        (b"\xff\xfe\xff", "cannot read"),
        (b"!!python/object/apply:os.system [echo]", "not valid YAML"),
        (b"preset: smoke", "pass --preset"),
        (b"config: other.yaml", "pass --config"),
    ],
)
def test_file_that_is_no_settings_file(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "odd.yaml"
    path.write_bytes(content)
    message = refused("--config", str(path))
    assert word in message and "odd.yaml" in message


def test_missing_file_and_folder_in_place_of_a_file(tmp_path: Path) -> None:
    assert "cannot read" in refused("--config", str(tmp_path / "none.yaml"))
    assert "cannot read" in refused("--config", str(tmp_path))


def test_empty_file_changes_nothing(own: WriteYaml) -> None:
    build = parse("--config", str(own("# nothing yet\n")))
    assert dataclasses.replace(build, config=None) == parse()


def test_long_wrong_value_does_not_flood_the_message(own: WriteYaml) -> None:
    assert len(refused("--config", str(own(f"seed: {'x' * 100_000}")))) < 400


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.dates()
)
names = st.sampled_from([f.name for f in dataclasses.fields(Build)]) | st.text(max_size=6)
inner = st.sampled_from([f.name for f in dataclasses.fields(Optimization)]) | st.text(max_size=6)
documents = st.dictionaries(
    names,
    st.recursive(
        scalars,
        lambda below: st.lists(below, max_size=3) | st.dictionaries(inner, below, max_size=3),
        max_leaves=6,
    ),
    max_size=3,
)


def load_or_refuse(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.yaml"
        path.write_bytes(content)
        try:
            build = settings.check(settings.load("embedded", path))
        except UserError as error:
            assert str(error) and "\n" not in str(error)
        else:
            assert isinstance(build, Build)
            json.dumps(settings.as_document(build), allow_nan=False)


def test_aliases_that_stand_for_millions_of_lists_are_refused_in_a_short_line(
    own: WriteYaml,
) -> None:
    """The attack known as "billion laughs"."""
    names = "abcdefgh"
    lines = ["a: &a [lol, lol, lol, lol, lol, lol, lol, lol]"]
    for before, name in itertools.pairwise(names):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 8)}]")
    path = own("\n".join([*lines, "seed: *h", f"{'x' * 900}: {{distil: *h}}"]))
    with pytest.raises(UserError) as caught:
        settings.load("smoke", path)
    assert "seed: " in str(caught.value) and len(str(caught.value)) < 3000
    wrong = ", ".join(["[]"] * 500)
    with pytest.raises(UserError, match=r"; and 490 more$") as caught:
        settings.load("smoke", own(f"distil: {{text: [{wrong}]}}"))
    assert len(str(caught.value)) < 3000


@hypothesis_settings(deadline=None, max_examples=30)
@given(documents)
def test_random_settings_are_taken_or_refused_in_one_line(document: dict[str, Any]) -> None:
    load_or_refuse(yaml.safe_dump(document, allow_unicode=True).encode("utf-8", "surrogatepass"))


@hypothesis_settings(deadline=None, max_examples=30)
@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_random_bytes_are_taken_or_refused_in_one_line(content: bytes) -> None:
    load_or_refuse(content)


def test_document_can_be_written_and_tells_no_folders(tmp_path: Path) -> None:
    build = parse(
        *("--out", str(tmp_path / "out"), "--train-file", str(tmp_path / "train.json")),
        *("--teacher.model", str(tmp_path / "bert"), "--distil.text", str(tmp_path / "a.txt")),
    )
    document = settings.as_document(build)
    text = json.dumps(document, allow_nan=False)
    assert str(tmp_path) not in text
    assert document["data"]["train_file"] == "train.json"
    assert document["teacher"]["model"] == "bert"
    assert document["distil"]["text"] == ["a.txt"]
    assert document["finetune"]["optimization"]["betas"] == [0.9, 0.999]
    hub = settings.as_document(parse("--teacher.model", "google-bert/bert-base-uncased"))
    assert hub["teacher"]["model"] == "google-bert/bert-base-uncased"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse("--version")
    assert caught.value.code == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize("text", ["--version 2", "--version=2", "--preset smoke --version"])
def test_a_version_of_the_model_is_never_taken_for_a_question_about_ours(text: str) -> None:
    """A release script with `--version 2` would else build nothing and end with 0."""
    assert "--model-version" in refused(*text.split())
    assert parse("--model-version", "2").export.model_version == "2"


@pytest.mark.parametrize("text", ['out: "a\\0b"', 'author: "\\ud800"'])
def test_texts_that_no_file_can_hold_are_refused(own: WriteYaml, text: str) -> None:
    yaml_text = text if text.startswith("out") else f"export: {{{text}}}"
    assert "half a character" in refused("--config", str(own(yaml_text)))


def test_help_all_shows_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse("--help-all")
    assert caught.value.code == 0
    told = capsys.readouterr().out
    for flag in ("--preset", "--config", "--train-file", "--distil.temperature", "--force"):
        assert flag in told


@pytest.mark.parametrize(
    "arguments",
    [
        ["--no-such-flag"],
        ["--seed"],
        ["--seed", "x"],
        ["--max-trian", "3"],
        ["stray"],
        ["--preset"],
    ],
)
def test_a_wrong_flag_is_one_line_that_names_it(arguments: list[str]) -> None:
    said = refused(*arguments)
    assert arguments[0] in said and said.endswith("see python -m pipeline.build --help")


def test_a_flag_that_is_near_is_named_and_nothing_is_markup() -> None:
    assert "did you mean --max-train?" in refused("--max-trian", "3")
    assert "'[red]x[/red]'" in refused("--seed", "[red]x[/red]")
    assert refused("[/]").count("[/]") == 1


ODD_YAML = {
    "base 8": ("seed: 010", "010 is a number to base 8 or 60"),
    "base 60": ("seed: 1:30", "1:30 is a number to base 8 or 60"),
    "twice": ("seed: 1\nseed: 2", "the key 'seed' stands twice"),
    "twice within": ("data: {max_eval: 1, max_eval: 2}", "the key 'max_eval' stands twice"),
    "true": ("seed: true", "seed: input should be a number, not True"),
    "yes": ("data: {max_train: yes}", "data.max_train: input should be a number, not True"),
    "true in a list": ("export: {static_lengths: [on]}", "static_lengths: input should be a num"),
    "6,000 digits": (f"seed: 0x{'f' * 6000}", "not 0xfff"),
    "bytes": ("export: {author: !!binary aGk=}", "binary is no kind of setting"),
    "set": ("distil: {text: !!set {a, b}}", "set is no kind of setting"),
    "task": (
        "a: &a [x, x, x, x, x, x, x, x]\n" + "task: [*a, *a]",
        "task: input should be",
    ),
    "no teacher": ('teacher: {model: ""}', "--teacher is empty"),
    "no student": ('student: {model: " "}', "--student is empty"),
    "no file": ('data: {train_file: ""}', "--train-file is empty"),
    "large": ("#" * 300_000, "more than 262,144 bytes"),
    "many merges": ("a: &a {b: 1}\n<<: [" + "*a, " * 101 + "]", "more than 100 mappings"),
}


@pytest.mark.parametrize("name", ODD_YAML)
def test_what_may_mean_two_things_is_refused(name: str, own: WriteYaml) -> None:
    text, said = ODD_YAML[name]
    assert said in refused("--config", str(own(text)))


def test_merges_do_not_multiply(own: WriteYaml) -> None:
    lines = ["a0: &a0 {alpha_ce: 1}"]
    lines += [f"a{n + 1}: &a{n + 1} {{<<: [{', '.join([f'*a{n}'] * 9)}]}}" for n in range(12)]
    assert "unknown setting a0" in refused("--config", str(own("\n".join(lines))))
    once = own("distil: {<<: {alpha_ce: 1, alpha_cos: 3}, alpha_ce: 4}")
    distil = parse("--config", str(once)).distil
    assert (distil.alpha_ce, distil.alpha_cos) == (4, 3)


def test_command_says_a_wrong_setting_in_one_line() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "pipeline.build", "--preset", "nope", "--dry-run"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 2
    assert result.stderr.startswith("error: no preset 'nope'") and result.stderr.count("\n") == 1


def test_every_number_has_a_range() -> None:
    """NaN compares false with everything, so a number without a range would let it through."""
    for name in ("epochs", "learning_rate", "weight_decay", "max_grad_norm"):
        document = dataclasses.asdict(Build())
        document["distil"]["optimization"][name] = math.nan
        with pytest.raises(UserError, match=name):
            settings._validated(Build, document)


def test_files_that_no_target_can_make_are_refused() -> None:
    message = refused("--target", "onnx", "--precision", "int8", "int4")
    assert "--precision int4: not for onnx" in message and "int8, fp32, fp16" in message
    message = refused("--target", "all", "--precision", "palette6")
    assert "--target tflite has none of the precisions palette6" in message
    assert "--target onnx has none" in message and "--target coreml" not in message
    assert "--static-lengths 64 128: the longest must hold --max-length 384" in refused(
        "--static-lengths", "64", "128"
    )
    assert parse("--static-lengths", "64", "384").export.static_lengths == (64, 384)
