# SPDX-License-Identifier: Apache-2.0
"""The model card of the hub folder.

Its form: https://huggingface.co/docs/hub/model-cards.  All its figures are the report's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from benchmarks.measure.machine import instructions
from benchmarks.page import markdown
from benchmarks.page.errors import HEADING
from benchmarks.page.layout import (
    DASH,
    FAILED,
    PASSED,
    Column,
    Table,
    interval,
    megabytes,
    number,
)
from benchmarks.page.scores import explained, in_words, score_columns, score_of
from benchmarks.page.tables import mark
from converters import one_line
from converters.precisions import ONNX_HUB_DTYPES, ONNX_HUB_FILES
from pipeline import tasks
from pipeline.data.sources import EMBEDDED, NONE
from pipeline.files.targets import FORMATS, license_of
from pipeline.hub import is_hub_id
from pipeline.models import carried
from pipeline.models.layers import choose_layers
from pipeline.models.teacher import CARRIED_HEAD, OWN_HEAD
from pipeline.report.errors import largest_error, logit_error
from pipeline.report.headline import headline
from pipeline.report.tables import model_named, releases, value_of

if TYPE_CHECKING:
    from huggingface_hub import ModelCardData

    from pipeline.training.losses import Term

EMBEDDED_TEACHER = "sentence-transformers/all-MiniLM-L6-v2"
ENGLISH = (EMBEDDED, "rajpurkar/squad", "rajpurkar/squad_v2")

# With fewer questions a point or two between models may be chance: one deviation of a share near
# one half is 1.1 points at 2,000.
FEW = 2000


def model_card(report: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    """The card: the Hub's metadata block, then Markdown.

    Args:
        report: of the build.
        model: what model.json says beside the first file.
    """
    task = tasks.find(report["task"])
    environment = jinja2.Environment(  # noqa: S701 - Markdown; `finalize` escapes every value
        loader=jinja2.FileSystemLoader([Path(__file__).parent / "templates", task.card]),
        finalize=markdown.escape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        table=markdown.table,
        shell=markdown.shell,
        literal=markdown.literal,
        indented=markdown.indented,
        grouped="{:,}".format,
        decimal="{:.1f}".format,
        literals=markdown.literals,
    )
    data = metadata(report)
    built = [file["precision"] for file in report["files"] if file["target"] == "onnx"]
    student: Any = model_named(report, "student")  # type: ignore[arg-type]
    paths: dict[str, list[str]] = {}
    for file in report["files"]:
        paths.setdefault(file["target"], []).append(file["path"])
    body = environment.get_template("model_card.md.j2").render(
        report=report,
        data=data,
        stated_license=report["config"]["export"]["license"],
        teacher_license=license_of(_base(report), ""),
        teacher_name=Path(_base(report)).name,
        teacher=model_named(report, "teacher"),  # type: ignore[arg-type]
        student=student,
        facts=[fact for fact in headline(report) if fact.figure != DASH],  # type: ignore[arg-type]
        unfit=", ".join(unfit(report)),
        paths=paths,
        hub_files={
            ONNX_HUB_FILES[name]: ONNX_HUB_DTYPES[name] for name in built if name in ONNX_HUB_FILES
        },
        training=list(_training(report)),
        evaluation=_evaluation(report),
        latency=_latency(report),
        processor=instructions(report["machine"]),
        task=task,
        outputs=", ".join(task.head.interface.names),
        model=model,
        train=_counted(report["data"]["train"]),
        evaluated=_counted(report["data"]["eval"]),
        english=data.language == "en",
        languages=[data.language] if isinstance(data.language, str) else data.language or [],
        few=FEW,
        units=explained(report["metrics"]) if report["metrics"] else "",
        meaning=task.meaning,
        scores=in_words(report["metrics"], student),
    )
    return f"---\n{data.to_yaml()}\n---\n\n{body}"


def metadata(report: Mapping[str, Any]) -> ModelCardData:
    """The card's metadata; what the report does not say is left out rather than guessed."""
    from huggingface_hub import EvalResult, ModelCardData

    config, task = report["config"], tasks.find(report["task"])
    asked, scored = config["data"]["train_file"], config["data"]["eval_file"]
    base = _base(report)
    read = [asked, *(config["distil"]["text"] if "distilled" in _stages(report) else ())]
    results = [
        EvalResult(
            task_type=task.name,
            task_name=task.label.capitalize(),
            dataset_type=_hub_name(scored) or "custom",
            dataset_name=one_line(report["data"]["eval"]["name"]),
            dataset_split="validation" if _hub_name(scored) else None,
            metric_type=metric["name"],
            metric_name=f"{metric['label']}, {one_line(entry['name'])} ({kind})",
            metric_value=score,
        )
        for entry, kind in _scored(report)
        for metric in report["metrics"]
        if (score := score_of(metric, entry)) is not None
    ]
    tags = [tag for file in report["files"] for tag in FORMATS[file["target"]].tags]
    return ModelCardData(
        language=_language(report),
        license=license_of(base, config["export"]["license"]).lower() or None,
        library_name="transformers",
        pipeline_tag=task.name,
        base_model=_hub_name(base),
        datasets=list(dict.fromkeys(filter(None, map(_hub_name, read)))) or None,
        tags=["distilbert", *tags],
        metrics=list(dict.fromkeys(result.metric_type for result in results)) or None,
        model_name=f"{one_line(Path(base).name)}-distilbert-{task.suffix}",
        eval_results=results or None,
    )


def _language(report: Mapping[str, Any]) -> str | list[str] | None:
    """The language of the data, or a list of several; None where it is not known."""
    sets = [one for one in (report["data"]["train"], report["data"]["eval"]) if one]
    found = [code for one in sets if (code := one.get("language"))]
    trained = report["data"]["train"] and report["config"]["data"]["train_file"]
    if not found and trained in ENGLISH:  # the report of a build that did not record it
        found = ["en"]
    codes = list(dict.fromkeys(code.replace("_", "-").split("-")[0] for code in found))
    return codes if len(codes) > 1 else next(iter(codes), None)


def _scored(report: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """What of this repository was scored, each with its format."""
    yield from ((model, "PyTorch") for model in report["models"] if model["name"] == "student")
    yield from ((file, file["target"]) for file in report["files"])


def _evaluation(report: Mapping[str, Any]) -> Table:
    models, files = report["models"], report["files"]
    both = [*models, *files]
    gates = [file["gate"] for file in files]
    verdicts = {None: "not verified", True: PASSED, False: FAILED}
    blank = [DASH] * len(models)
    columns = [
        Column("Name", [entry["name"] for entry in both]),
        Column("Format", ["PyTorch"] * len(models) + [file["target"] for file in files]),
        Column("Precision", ["fp32"] * len(models) + [file["precision"] for file in files]),
        number("MB", [megabytes(entry["bytes"]) for entry in both]),
        *score_columns(report["metrics"], both),
        Column("Largest logit error", blank + [largest_error(file) for file in files], "number"),
        Column("Gate", blank + [verdicts[gate and gate["passed"]] for gate in gates]),
        Column("Lowest runtime", blank + [releases(file) for file in files]),
    ]
    return Table("", columns)


def _latency(report: Any) -> Table | None:
    if report["latency"] is None:
        return None
    timed = [
        (name, lengths, subject[lengths])
        for name, subject in report["latency"]["subjects"].items()
        for lengths in ("natural", "padded")
        if subject[lengths]
    ]
    marked = mark(report["latency"])
    bounds = [interval(times["mean_low"], times["mean_high"]) for _, _, times in timed]
    return Table(
        "",
        [
            Column("Subject", [name for name, _, _ in timed]),
            Column("Lengths", [lengths for _, lengths, _ in timed]),
            *(
                number(f"{k}, ms{marked}", [value_of(t, k) for _, _, t in timed])
                for k in ("mean", "p90")
            ),
            Column(f"95% interval of mean{marked}", bounds, "number"),
            Column(HEADING, [logit_error(report, name) for name, _, _ in timed], "number"),
        ],
    )


def _teacher(config: Mapping[str, Any], facts: Mapping[str, Any], unit: str) -> str:
    """Where the teacher's head for the task comes from, and how it was trained."""
    head = facts.get("head")
    came = "it came with a head for the task"
    if head and head != OWN_HEAD:
        came = f"its head for the task comes with {head}"
    if head == CARRIED_HEAD and (data := carried.learned_from(carried.FOLDER)):
        came += f" (a LoRA trained on {data})"
    if not _trained(facts):
        return f"{came}, and was not trained"
    how = config["optimization"]
    if not head:
        return f"fine-tuned on the training {unit}s: {_schedule(how, facts)}"
    how = {**how, "learning_rate": facts["learning_rate"]}
    return f"{came}, and was fine-tuned further on the training {unit}s: {_schedule(how, facts)}"


def _trained(facts: Mapping[str, Any]) -> bool:
    """Whether the stage with these facts trained a model that was not taken as it is."""
    return "steps" in facts or not facts.get("head")


def _training(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Name and description of each training stage that the build has."""
    from pipeline.tasks.finetune import STUDENT_LOSS
    from pipeline.training.distil import TRIPLE_LOSS

    config, stages = report["config"], _stages(report)
    unit = tasks.find(report["task"]).unit
    if "teacher" in stages:
        yield "Teacher", _teacher(config["teacher"], stages["teacher"], unit)
    if (fitted := stages.get("mlm-teacher")) is not None:
        head = fitted.get("head", "")
        if _trained(fitted):
            again = f"{head}, fitted again to the fine-tuned teacher"
            fit = again if head else "fitted to the frozen teacher, which had none"
            head = f"{fit}: {_schedule(config['mlm_head']['optimization'], fitted)}"
        yield "Masked-language-model head", head
    student = config["student"]
    teacher = model_named(report, "teacher")  # type: ignore[arg-type]
    if student.get("model"):
        yield "Student's start", f"{Path(student['model']).name}, as it came"
    elif student["init"] == "random":
        yield "Student's start", "random weights"
    elif teacher:
        layers = choose_layers(teacher["layers"], student["layers"])
        kept = ", ".join(map(str, layers))
        yield (
            "Student's start",
            f"layers {kept} of the teacher's {teacher['layers']}, counted from 0",
        )
    if "distilled" in stages:
        first = config["distil"]
        as_it_came = "teacher" in stages and not _trained(stages["teacher"])
        tuned = "teacher with its head" if as_it_came else "fine-tuned teacher"
        source = {"pretrained": "teacher as it came", "finetuned": tuned}
        yield (
            "General distillation",
            f"towards the {source[first['teacher']]}, on plain text in samples of up to "
            f"{first['length']} word pieces; {_loss(first, TRIPLE_LOSS)}; "
            + _schedule(first["optimization"], stages["distilled"]),
        )
    if stages.get("student", {}).get("head"):
        yield "Fine-tuning", "none; the student came with a head for the task"
    elif "student" in stages:
        second = config["finetune"]
        loss = "from the gold labels alone"
        if second["second_step"] and "teacher-outputs" in stages:
            loss = f"with the second distillation step; {_loss(second, STUDENT_LOSS)}"
        yield (
            "Fine-tuning",
            f"on the training {unit}s, {loss}; "
            + _schedule(second["optimization"], stages["student"]),
        )
    if neurons := stages.get("student", {}).get("neurons"):
        yield "Feed-forward", f"{neurons} neurons in each layer, by {student['neurons']}"
    if trimmed := stages.get("trimmed"):
        yield (
            "Vocabulary",
            f"{trimmed['pieces']:,} of {trimmed['pieces_before']:,} word pieces, those of "
            f"{', '.join(config['words']['vocabulary_text'])} and of the evaluation {unit}s among "
            f"them; {trimmed['parameters_saved']:,} parameters fewer",
        )


def _loss(settings: Mapping[str, Any], table: tuple[Term[Any], ...]) -> str:
    """Each loss of a table with its weight, and the temperature where one is softened by it."""
    from pipeline.training.losses import described

    softened = any(settings[term.weight] for term in table if term.softened)
    warmth = f"; temperature {settings['temperature']:g}" if softened else ""
    return f"weights {described(table, settings)}{warmth}"


def _schedule(optimization: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """How long and how fast one model was trained."""
    epochs, steps = optimization["epochs"], optimization["max_steps"]
    size = optimization["batch_size"] * optimization.get("accumulate", 1)  # of older reports
    parts = [
        f"{steps:,} steps" if steps else f"{epochs:g} epoch{'s' * (epochs != 1)}",
        f"batches of {size:,}",
        f"learning rate {optimization['learning_rate']:g}",
        f"weight decay {optimization['weight_decay']:g}",
    ]
    parts += [f"{facts['steps']:,} steps taken"] if facts.get("steps") else []
    parts += [f"in {facts['precision']}"] if facts.get("precision") else []
    return ", ".join(parts)


def _stages(report: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Facts of each stage of the build."""
    return {stage["name"]: stage["facts"] for stage in report["stages"]}


def unfit(report: Mapping[str, Any]) -> list[str]:
    """Names of files that did not pass a gate."""
    return [
        file["name"] for file in report["files"] if not (file["gate"] and file["gate"]["passed"])
    ]


def _counted(data: Mapping[str, Any] | None) -> str:
    """How many examples a data set has of what, in words: "391 questions, 59 passages"."""
    counts = data["counts"] if data else {}
    shown = list(counts.items())[:2]  # then what was left out or mended, which is for the report
    return ", ".join(f"{count:,} {name}" for name, count in shown)


def _base(report: Mapping[str, Any]) -> str:
    """What the student was made from, a hub id or a folder: its teacher, or where it came from."""
    config = report["config"]
    name: str = config["teacher"]["model"]
    if name == NONE:
        name = config["student"]["model"]
    return EMBEDDED_TEACHER if name == EMBEDDED else name


def _hub_name(source: str) -> str | None:
    """A hub id without its configuration; None for anything else.

    Names without an owner are left out: a folder, of which reports keep the last part, may have the
    same.
    """
    name = source.partition(":")[0]
    return name if "/" in name and is_hub_id(source) else None
