# SPDX-License-Identifier: Apache-2.0
"""The subjects that `benchmarks.run` measures besides the files that a user names.

They are the files of a build, models at the sizes of BERT-base and DistilBERT, and the files that
other tools export from the same student. Each is made once, in a process of its own, and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.measure import machine, size
from benchmarks.measure.schema import File
from benchmarks.measure.session import short
from converters import sealed
from converters.extras import install_hint
from converters.runtimes import checksums
from converters.runtimes.weights import stored
from pipeline.artifacts import Store, fingerprints
from pipeline.errors import UserError
from pipeline.files.targets import format_of

# What makes the files of `base_size`.
_PACKAGES = ("torch", "transformers", "litert-torch", "ai-edge-quantizer")

_BASE_FILES = ("teacher-fp32.tflite", "student-int8.tflite", "student-fp32.tflite")

Tell = Callable[[str], None]


# The settings of a build, of any task, that say how examples are read and scored.
READ = (
    *("empty_answers", "language", "text_column", "pair_column", "label_column", "labels"),
    *("regression", "metric"),
)


def built(folder: Path) -> tuple[list[Path], dict[str, Any]]:
    """The files of a build, those of its teacher first, and how it read its evaluation examples.

    The second are its settings `eval_file` and those of `READ`, as far as it has them.

    Raises:
        ValueError: the folder contains no build.
    """
    try:
        report = sealed.read_json(folder / "report.json")
        data = report["config"]["data"]
        read = {"eval_file": str(data["eval_file"])}
        read |= {name: data[name] for name in READ if name in data}
        files = [folder / file["path"] for file in report["files"]]
        timed = [path for path in files if format_of(path).runs_here]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"--build {folder}: no report.json of a build there; build it, or name files"
        ) from error
    formats = dict.fromkeys(format_of(path) for path in timed)
    teachers = (each.baseline(folder / "stages" / "baseline") for each in formats)
    return [*(path for path in teachers if path.exists()), *timed], read


def models_of(
    files: Mapping[str, Path], build: Path | None = None, base: Path | None = None
) -> dict[str, Path]:
    """The Hugging Face folders that files were exported from, by the names of the files.

    Args:
        files: by name.
        build: the folder of a build: its files and those of `peers` come from its student, the
            baselines from its teacher.
        base: the folder of `base_size`, with `teacher` and `student` in it.

    Returns:
        A folder for each file whose model is there: a Hugging Face folder is its own model, and
        the files of `peers` lie in a folder that is named for theirs.
    """
    found = {}
    for name, path in files.items():
        place = path.absolute()
        if (path / "config.json").is_file():
            found[name] = path
        elif place.parent.name.endswith("-peers"):
            found[name] = place.parent.with_name(place.parent.name.removesuffix("-peers"))
        elif base and place.is_relative_to(base.absolute()):
            found[name] = base / ("teacher" if path.name.startswith("teacher-") else "student")
        elif build and place.is_relative_to(build.absolute()):
            found[name] = _model_in(build, path)
    return {name: path for name, path in found.items() if (path / "config.json").is_file()}


def _model_in(build: Path, file: Path) -> Path:
    """The model that a file of a build was exported from."""
    if file.name.startswith("teacher-"):
        return build / "teacher"
    if file.parent.name == "peers":
        return build / "student"
    try:
        stages = sealed.read_json(build / "report.json")["stages"]
        trimmed = any(stage["name"] == "trimmed" for stage in stages)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"--build {build}: no whole report.json there; build it again") from error
    return build / ("trimmed" if trimmed else "student")


def named(paths: Sequence[Path]) -> dict[str, Path]:
    """Files by their names, with as many parent folders as make the names unique.

    Raises:
        ValueError: there is no file, or a file appears twice.
    """
    every = [path.absolute() for path in paths]
    if not every or len(set(every)) < len(every):
        raise ValueError("name at least one FILE, or --build, and no file twice")
    for depth in range(1, max(len(path.parts) for path in every) + 1):
        names = ["/".join(path.parts[-depth:]) for path in every]
        if len(set(names)) == len(names):
            break
    return dict(zip(names, paths, strict=True))


def describe(name: str, path: Path) -> File:
    """The size, checksum and parts of a file; the size of a folder is that of all its files."""
    every = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    whole = sum(each.stat().st_size for each in every)
    weights = stored(path)
    return {
        "name": name,
        "path": short(path),
        "bytes": whole,
        "sha256": checksums.sha256(path) if path.is_file() else None,
        "parts": None if weights is None else size.split([size.Weight(*w) for w in weights], whole),
        "scores": None,
    }


def peer_files(root: Path | None, files: Sequence[Path], say: Tell = print) -> list[Path]:
    """The files that other tools export from the student below `root`, then both PyTorch models.

    Without a root, the students are the Hugging Face folders among `files`; the exported files are
    written beside each folder.

    Raises:
        ValueError: there is neither a root nor a Hugging Face folder.
        UserError, ConversionError: they cannot be made.
    """
    if root:
        models = [root / "student", root / "teacher"]
        return [*peers(models[0], root, say=say), *(path for path in models if path.exists())]
    folders = [path for path in files if (path / "config.json").is_file()]
    if not folders:
        raise ValueError("--peers needs --build, --base-size or a Hugging Face folder among FILES")
    made = (peers(one, one.absolute().parent, f"{one.name}-peers", say) for one in folders)
    return [path for each in made for path in each] + folders


def peers(model: Path, root: Path, name: str = "peers", say: Tell = print) -> list[Path]:
    """Export a model with other tools into the folder `name` below `root`.

    Args:
        model: a Hugging Face folder.
        root: where files are kept as long as the model and the tools are the same.
        name: the name of the folder.
        say: called with a line when files are made.

    Returns:
        The files of `converters.runtimes.peers.FILES`.

    Raises:
        UserError, ConversionError: no such model, a package is missing, or no room.
    """
    from converters.runtimes.peers import FILES, PACKAGES, export_peers

    weights = fingerprints(model, ("config.json", "*.safetensors"))
    settings = {"versions": machine.versions(PACKAGES), "weights": weights}
    folder = _kept(root, name, settings, export_peers, (model,), say)
    return [folder / file for file in FILES]


def base_size(
    root: Path, sizes: Mapping[str, Mapping[str, int]] | None = None, say: Tell = print
) -> list[Path]:
    """Random models at the sizes of BERT-base and DistilBERT, for times and bytes.

    Args:
        root: where they are kept: in `base`, the folders `teacher` and `student` among them.
        sizes: settings of the teacher's and the student's configuration; those of the papers where
            nothing is given.
        say: called with a line when they are made.

    Returns:
        teacher-fp32.tflite, student-int8.tflite and student-fp32.tflite.

    Raises:
        UserError, ConversionError: a package is missing, or no room.
    """
    sizes = {"teacher": {}, "student": {}} | dict(sizes or {})
    settings = {"versions": machine.versions(_PACKAGES), "sizes": sizes}
    folder = _kept(root, "base", settings, _make_base_size, (sizes,), say)
    return [folder / file for file in _BASE_FILES]


def _make_base_size(sizes: Mapping[str, Mapping[str, int]], folder: Path) -> None:
    import torch
    from transformers import logging
    from transformers.models.bert import BertConfig, BertForQuestionAnswering
    from transformers.models.distilbert import DistilBertConfig, DistilBertForQuestionAnswering

    from converters.tflite.export import export_many

    logging.disable_progress_bar()
    kinds: dict[str, Any] = {
        "teacher": (BertForQuestionAnswering, BertConfig, ["fp32"]),
        "student": (DistilBertForQuestionAnswering, DistilBertConfig, ["int8", "fp32"]),
    }
    for name, (model_class, config_class, precisions) in kinds.items():
        torch.manual_seed(0)
        model = model_class(config_class(**sizes[name])).eval().requires_grad_(False)
        for weight in model.parameters():
            if weight.dim() == 1:  # all 0 or all 1: equal ones would be stored once
                weight.add_(torch.randn_like(weight), alpha=0.05)
        model.save_pretrained(folder / name)
        export_many(model, folder, precisions, stem=name)


def _kept(
    root: Path,
    name: str,
    settings: Mapping[str, Any],
    make: Callable[..., None],
    arguments: tuple[Any, ...],
    say: Tell,
) -> Path:
    """The folder `name` below `root`, filled by `make(*arguments, folder)` where that is due.

    In a process of its own, so that what it leaves in memory, threads and hooks of libraries is in
    no measurement.
    """

    def apart(folder: Path, _: Path) -> dict[str, Any]:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            pool.submit(make, *arguments, folder).result()
        return {}

    try:
        return (
            Store(root, say=say)
            .stage(name, apart, settings=settings, inputs={}, folder=name)
            .folder
        )
    except BrokenProcessPool as error:
        raise UserError(
            f"{root / name}: its maker was killed; it needs up to 6 GB of memory"
        ) from error
    except ImportError as error:
        raise UserError(
            f"{error.name} is not installed: {install_hint('tflite')}, and for peers "
            f"{install_hint('peers')}"
        ) from error
    except OSError as error:
        raise UserError(f"cannot write {root / name}: {error.strerror or error}") from error
