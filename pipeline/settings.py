# SPDX-License-Identifier: Apache-2.0
"""Puts a build's settings together: preset, YAML file, flags; refuses what it does not know."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import reprlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, cast

import pydantic

from converters import is_text, one_line
from converters.precisions import PRECISIONS
from pipeline import __version__, command_line, ranks, settings_file, tasks, usage
from pipeline.config import Build, Distil, Finetune, Words
from pipeline.data.sources import NONE
from pipeline.errors import UserError

PROGRAM = "python -m pipeline.build"
GATES = "gates"  # the file of thresholds that lies under every preset; not a preset itself


class _Short(reprlib.Repr):
    """Also of numbers that Python does not write: those of more than 4,300 digits."""

    def repr_int(self, x: int, level: int) -> str:
        """A number, its middle left out if it is long."""
        return hex(x)[:20] + "..." if abs(x) >> 1000 else super().repr_int(x, level)


SHORT = _Short()
SHORT.maxstring = 80  # a whole file may have come where a number was expected,
SHORT.maxlevel = 2  # and a few lines of YAML with aliases stand for millions of lists
MOST_PROBLEMS = 10
STAGES = (
    "mlm-teacher",
    "teacher",
    "distilled",
    "teacher-outputs",
    "student",
    "trimmed",
    "calibration",
    "mixed",
    *PRECISIONS,
    "baseline",
    "verify",
    "benchmark",
)


def presets() -> list[str]:
    """Names of the presets that come with the package."""
    folder = resources.files("pipeline") / "presets"
    names = (Path(f.name) for f in folder.iterdir())
    return sorted(n.stem for n in names if n.suffix == ".yaml" and n.stem != GATES)


def parse(arguments: Sequence[str], description: str) -> Build:
    """The settings that a command line asks for.

    Raises:
        UserError: for an unknown preset, a bad YAML file, a flag that does not exist, or values out
            of range, all told at once.
        SystemExit: after `--help` and `--help-all`, and after `--version` alone.
    """
    if command_line.version_asked(arguments):
        print(f"pipeline {__version__}")
        sys.exit(0)
    if {"-h", "--help"} & {*arguments}:
        print(usage.everyday(PROGRAM, description, presets()), end="")
        sys.exit(0)
    arguments = ["--help"] if "--help-all" in arguments else usage.expand(arguments)
    first = command_line.Parser(PROGRAM, add_help=False, allow_abbrev=False)
    first.add_argument("--preset")
    first.add_argument("--config", type=Path)
    first.add_argument("--task")
    first.add_argument("--student.model", dest="student")
    known, _ = first.parse_known_args(arguments)
    base = load(known.preset, known.config, known.task, known.student)
    kind = type(base)
    return check(command_line.parsed(kind, PROGRAM, arguments, description, default=base))


def load(
    preset: str | None = None,
    config: Path | None = None,
    task: str | None = None,
    student: str | None = None,
) -> Build:
    """The settings of a preset, with a YAML file over it, for a task and a student if named.

    Without a preset they are those of the task's own.
    """
    own: dict[str, Any] = {}
    if config is not None:
        own = settings_file.read(config)
        for name in {"preset", "config"} & own.keys():
            raise UserError(f"{config} sets {name}: that is for the command line; pass --{name}")
    if preset is None:
        preset = tasks.find(task or _task_of(own)).preset
    if preset not in presets():
        raise UserError(
            f"no preset {preset!r}{_nearest(preset, presets())}: there are {', '.join(presets())}"
        )
    folder = resources.files("pipeline") / "presets"
    document: dict[str, Any] = {}
    for name in (GATES, preset):
        document = _merged(
            document,
            settings_file.parse(f"{name}.yaml", (folder / f"{name}.yaml").read_text("utf-8")),
        )
    document = _merged(document, own)
    document["preset"] = preset
    if task is not None:
        document["task"] = task
    if student is not None:
        document = _merged(document, {"student": {"model": student}})
    models = [
        isinstance(mine := document.get(name), Mapping) and mine.get("model")
        for name in ("student", "teacher")
    ]
    if models[0] and not models[1]:  # nothing is learned from a teacher that is not named
        document = _merged({"teacher": {"model": NONE}}, document)
    kind = tasks.find(_task_of(document)).settings
    return _validated(kind, _merged(dataclasses.asdict(kind()), document))


def _task_of(document: Mapping[str, Any]) -> str:
    """The name of the task in settings; a UserError if it is no text, which may be of any size."""
    named = document.get("task", Build.task)
    if not isinstance(named, str):
        raise UserError(f"task: input should be a valid string, not {SHORT.repr(named)}")
    return named


def check(build: Build) -> Build:
    """Checks settings, those that flags gave among them; raises a UserError with all problems."""
    build = _validated(type(build), dataclasses.asdict(build))
    problems = []
    unknown = [name for name in build.force if name not in STAGES]
    for name in unknown:
        names = (*STAGES, *usage.STAGES_OF)
        problems.append(
            f"--force {name}: no such stage{_nearest(name, names)}; there are {', '.join(names)}"
        )
    problems += [
        f"{ascii(text)[:80]}: no setting holds a NUL or half a character; give text"
        for text in _texts(dataclasses.asdict(build))
        if "\0" in text or not is_text(text)
    ]
    named = {
        "--teacher": build.teacher.model,
        "--student": build.student.model,
        "--train-file": build.data.train_file,
        "--eval-file": build.data.eval_file,
    }
    for flag, given in named.items():
        if given is not None and not given.strip():  # as of a variable that is not set
            problems.append(f"{flag} is empty: name a model or a file, or leave the flag out")
    problems += ranks.problems(build.hardware)
    problems += tasks.find(build.task).problems(build)
    problems += _file_problems(build)
    problems += _score_problems(build)
    first, second = build.distil, build.finetune
    if first.enabled and not any(loss_weights(first).values()):
        problems.append("distil: every alpha is 0; give one a weight, or pass --no-distil")
    looks_at_masks = first.alpha_mlm or (first.alpha_ce and first.ce_on == "masked")
    if first.enabled and looks_at_masks and not first.mask_share:
        problems.append(
            "--distil.mask-share 0 leaves nothing for L_mlm, or for L_ce on masked tokens: give a "
            "share such as 0.15, or those losses the weight 0"
        )
    if second.second_step and not any(loss_weights(second).values()):
        problems.append("finetune: every alpha is 0; give one a weight")
    if build.words.vocabulary == "whole" and build.words != Words():
        problems.append("--vocabulary-text without --vocabulary trim: add that flag")
    if problems:
        raise UserError("; ".join(problems))
    return build


def loss_weights(settings: Distil | Finetune) -> dict[str, float]:
    """The weight of each loss of a stage, by its setting: those named in the table of its losses.

    The names begin with `alpha_`; the table itself needs PyTorch.
    """
    names = [one.name for one in dataclasses.fields(settings) if one.name.startswith("alpha_")]
    return {name: getattr(settings, name) for name in names}


def _score_problems(build: Build) -> Iterator[str]:
    """What keeps trainings from being scored as asked."""
    trained = {name: getattr(build, name) for name in ("teacher", "mlm_head", "distil", "finetune")}
    for name, stage in trained.items():
        how, flag = stage.optimization, f"--{name.replace('_', '-')}.optimization"
        asked = [
            setting.replace("_", "-")
            for setting in ("eval_steps", "keep_best", "patience")
            if getattr(how, setting)
        ]
        if asked and name in ("mlm_head", "distil"):
            yield (
                f"{flag}.{asked[0]}: training on plain text has no metric; set it for teacher or "
                "finetune, or leave it out"
            )
        elif how.keep_best and not how.eval_steps:
            yield f"{flag}.keep-best needs scores to compare: give {flag}.eval-steps too"
        elif how.patience and not (how.eval_steps and how.keep_best):
            yield (
                f"{flag}.patience ends a training whose best weights are kept: give "
                f"{flag}.eval-steps and {flag}.keep-best too"
            )


def _texts(value: Any) -> Iterator[str]:
    """All texts in settings."""
    if isinstance(value, (str, Path)):
        yield str(value)
    elif isinstance(value, (Mapping, list, tuple)):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(inner)


def _file_problems(build: Build) -> Iterator[str]:
    """What keeps the files from being made that were asked for."""
    asked = build.export
    if not asked.precision or not asked.target:
        yield "--target and --precision need at least one value each"
        return
    made = {precision for precisions in asked.files.values() for precision in precisions}
    offered = dict.fromkeys(name for target in asked.files for name in PRECISIONS[target])
    for precision in dict.fromkeys(asked.precision):
        if precision not in made | {"all"}:
            yield (
                f"--precision {precision}: not for {', '.join(asked.files)}; take another target, "
                f"or one of {', '.join(offered)}"
            )
    for target, precisions in asked.files.items():
        if not precisions:
            yield (
                f"--target {target} has none of the precisions {', '.join(asked.precision)}: add "
                f"one of {', '.join(PRECISIONS[target])}"
            )
    if asked.static_lengths and max(asked.static_lengths) < build.data.max_length:
        yield (
            f"--static-lengths {' '.join(map(str, asked.static_lengths))}: the longest must hold "
            f"--max-length {build.data.max_length}"
        )
    for precision in sorted(made - build.gates.keys()):
        yield f"gates.{precision}: no thresholds; set them in the preset or in --config"
    shipped = asked.files.get("tflite", ())
    if build.android_assets and not shipped:
        targets = " ".join(asked.target)
        yield f"--android-assets takes .tflite files: add tflite to --target {targets}"
    elif build.android_assets:
        for precision in build.android_precision:
            if precision not in shipped:
                yield (
                    f"--android-precision {precision}: not one of the .tflite files of this build, "
                    f"{', '.join(shipped)}; add it to --precision"
                )
    elif build.android_precision:
        yield "--android-precision without --android-assets: name the folder to fill"


def as_document(build: Build) -> dict[str, Any]:
    """The settings as JSON can hold them; paths shortened to their last part."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: plain(entry) for key, entry in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(entry) for entry in value]
        if isinstance(value, Path) or (isinstance(value, str) and Path(value).is_absolute()):
            return Path(value).name
        return value

    return {key: plain(value) for key, value in dataclasses.asdict(build).items()}


def _validated(kind: type[Build], document: Mapping[str, Any]) -> Build:
    try:
        adapter = _adapter(cast(Any, kind))  # a class can be hashed, whatever its instances can
        build = adapter.validate_python(dict(document))
    except pydantic.ValidationError as error:
        problems = error.errors()
        lines = [one_line(_problem(kind, each)) for each in problems[:MOST_PROBLEMS]]
        if len(problems) > MOST_PROBLEMS:
            lines.append(f"and {len(problems) - MOST_PROBLEMS} more")
        raise UserError("; ".join(lines)) from error
    if counted := list(_counted(document, build, "")):
        raise UserError("; ".join(counted[:MOST_PROBLEMS]))
    return build


def _counted(document: Mapping[str, Any], build: Any, place: str) -> Iterator[str]:
    """Truth values where numbers belong, a line each: to pydantic, true is 1."""
    for key, value in document.items():
        made = build.get(key) if isinstance(build, Mapping) else getattr(build, str(key), None)
        if isinstance(value, Mapping):
            yield from _counted(value, made, f"{place}{key}.")
        pairs = [(value, made)]
        if isinstance(value, list | tuple) and isinstance(made, tuple):
            pairs = list(zip(value, made, strict=False))
        for one, other in pairs:
            if isinstance(one, bool) and type(other) in (int, float):
                yield f"{place}{key}: input should be a number, not {one}"


@functools.cache
def _adapter(kind: Any) -> pydantic.TypeAdapter[Build]:
    """The checks of a class of settings: made once, since making them takes a tenth of a second."""
    return pydantic.TypeAdapter(kind)


def _problem(kind: type[Build], problem: Any) -> str:
    """One line for one of pydantic's errors."""
    place = ".".join(str(part) for part in problem["loc"] if part != "[key]")
    if problem["type"] == "unexpected_keyword_argument":
        holder: Any = kind()
        for part in problem["loc"][:-1]:
            holder = getattr(holder, str(part), None)
        known = dataclasses.fields(holder) if dataclasses.is_dataclass(holder) else ()
        if problem["loc"][-1] == "accumulate":
            return (
                f"unknown setting {place}: batch_size is now the number of examples of a whole "
                "step over all devices, and device_batch the most that a device computes at a time"
            )
        return (
            f"unknown setting {place}{_nearest(str(problem['loc'][-1]), [f.name for f in known])}"
        )
    return f"{place}: {problem['msg'].lower()}, not {SHORT.repr(problem['input'])}"


def _nearest(name: str, known: Sequence[str]) -> str:
    """`, did you mean X?` where something known is close."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f", did you mean {close[0]}?" if close else ""


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` over `below`, mappings merged key by key."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return merged
