# SPDX-License-Identifier: Apache-2.0
"""Classifies texts, or pairs of texts, with an exported file or a Hugging Face folder.

python -m pipeline.predict build/embedded-classification/tflite/student-int8.tflite "Where is it?"
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import tyro

from converters import is_text, plain_file, sealed, terminal
from converters.pretrained import interface_in, load_config
from pipeline import command_line, tasks
from pipeline.errors import MOST_AT_A_TIME, UserError, at_least_one
from pipeline.files import beside
from pipeline.tasks.reading import Reading
from pipeline.tasks.task import Task
from pipeline.tasks.text_classification import TASK, described
from pipeline.tasks.text_classification.data import Text
from pipeline.tasks.text_classification.evaluate import Classifier, Prediction
from pipeline.tasks.text_classification.features import Feature

JSON_OBJECT: Final = re.compile(r'\s*\{\s*["}]')  # how an object begins, and no sentence


def predict(
    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")],
    text: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TEXT")] = "",
    pair: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TEXT")] = "",
    /,
    texts: Annotated[str, tyro.conf.arg(metavar="FILE|-")] = "",
    top: int = 5,
    threads: int = 1,
    verify: bool = True,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> None:
    """Print the classes of a text with their probabilities, or the number predicted for it.

    Args:
        file: Run this exported file, with its model.json beside it, or this Hugging Face folder.
        text: Classify this text.
        pair: Classify the pair of the first text and this one, with a model for pairs.
        texts: Classify each line of this UTF-8 file, or of standard input for -, and print a line
            of JSON for each. A line is a text, two texts with a tab between them for a model for
            pairs, or a JSON object with the keys text and pair.
        top: Print this many classes, the most probable first.
        threads: Run the model with this many threads.
        verify: Do not compare the file, its vocabulary and its model.json with their checksums: for
            who changed one of them on purpose.
        as_json: Print the prediction as one JSON object.
    """
    if bool(text) == bool(texts):
        raise UserError("give one TEXT to classify, or a file of them with --texts")
    if pair and texts:
        raise UserError("--texts reads the second text of each pair from the file: leave it out")
    at_least_one("--top", top)
    classifier = open_classifier(file, threads=threads, verify=verify)
    if texts:
        for one in _read_texts(texts, bool(classifier.traits["pair"])):
            found = _checked(classifier, one)
            said = {"text": one.text} | ({} if one.pair is None else {"pair": one.pair})
            if not terminal.stream(terminal.json_line(said | _document(found, top))):
                return
        return
    reading = _checked(classifier, Text(text, pair or None, ""))
    if as_json:
        print(terminal.json_line(_document(reading, top)))
    else:
        print(terminal.shown(_lines(reading, top)))


def open_classifier(file: Path, *, threads: int = 1, verify: bool = True) -> Classifier:
    """Open a file with its tokenizer and what its model.json says of the classes.

    Args:
        file: an exported file or a Hugging Face folder.
        threads: the number of threads of the runtime.
        verify: whether to compare the file and what lies beside it with their checksums first.

    Raises:
        UserError: the file, its model.json or its vocabulary is missing or damaged, or it is the
            file of another task.
    """
    from converters.runtimes.open import open_predictor

    at_least_one("--threads", threads, most=MOST_AT_A_TIME)
    if (file / "config.json").is_file():
        return _open_folder(file, threads)
    with beside.guarded(file, verify=verify):
        description_file = file.parent / "model.json"
        if not file.exists():
            open_predictor(file, threads)  # which says what is expected
        description = beside.description(description_file, verify=verify)
        _check_task(file, _task_called(description["task"]))
        part = described.part(description_file, description)
        tokenizer = beside.tokenizer(file.parent, description["tokenizer"], verify=verify)
        model = open_predictor(file, threads)
    traits = {name: part[name] for name in ("regression", "pair", "labels")}
    return Classifier(model, tokenizer, part["limits"]["max_length"], traits)


def _open_folder(folder: Path, threads: int) -> Classifier:
    """A Hugging Face folder; it takes texts and pairs, and inputs of any length it has room for."""
    from converters.runtimes.open import open_predictor
    from pipeline.files.tokenizer import describe_tokenizer
    from pipeline.models import vocabulary
    from pipeline.models.teacher import TOKENIZER, load_tokenizer

    if not any((folder / name).is_file() for name in TOKENIZER):
        raise UserError(f"no tokenizer in {folder}: expected {' or '.join(TOKENIZER)}")
    config = load_config(folder)
    interface = interface_in(folder, config)
    _check_task(folder, next(t for t in _tasks() if t.head.interface is interface))
    labels = [str(config.id2label[place]) for place in range(len(config.id2label))]
    regression = len(labels) == 1
    predictor, tokenizer = open_predictor(folder, threads), load_tokenizer(folder)
    describe_tokenizer(tokenizer)  # refuses one that does not frame texts as BERT does
    if lacking := vocabulary.lacking(len(tokenizer), config.vocab_size):
        raise UserError(f"{folder}: {lacking}")
    return Classifier(
        predictor,
        tokenizer,
        config.max_position_embeddings,
        {"labels": [] if regression else labels, "regression": regression, "pair": None},
    )


def _tasks() -> Iterator[Task]:
    return map(tasks.find, tasks.TASKS)


def _task_called(label: str) -> Task | None:
    return next((task for task in _tasks() if task.label == label), None)


def _check_task(file: Path, task: Task | None) -> None:
    """Refuses the file of another task, with the command for it."""
    if task is None:
        raise UserError(f"the model.json beside {file} names no task that this version knows")
    if task is not TASK:
        command = task.command.format(file=terminal.word(file))
        raise UserError(f"{file} is for {task.title}: run {command}")


def _checked(classifier: Classifier, one: Text) -> Reading[Feature, Prediction]:
    """The prediction for a text or a pair, as the model takes it."""
    pair = classifier.traits["pair"]
    if pair is not None and pair != (one.pair is not None):
        takes = "pairs: give two texts" if pair else "single texts: give one"
        raise UserError(f"the model is for {takes}")
    reading = classifier.read(one)
    (logits,), count = reading.outputs[0], len(classifier.labels) or 1
    if len(logits) != count or not np.isfinite(logits).all():
        raise UserError(
            f"the model gives logits that are no numbers, or not {count} of them: it is damaged, "
            "overflows, or belongs to another model.json; take another file"
        )
    return reading


def _read_texts(source: str, pair: bool) -> Iterator[Text]:
    """The texts of a file, or of standard input, a line each; empty lines are skipped."""
    name = "standard input" if source == "-" else source
    try:
        path = plain_file.expanded(source)
        data = sys.stdin.buffer.read() if source == "-" else plain_file.read_bytes(path)
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        raise UserError(f"cannot read {name}: {error.strerror}; check the path") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not UTF-8 text (byte {error.start}): convert it") from error
    except ValueError as error:  # a name with a NUL
        raise UserError(f"cannot read {name}: {error}; check the path") from error
    if "\0" in text:
        raise UserError(
            f"{name} holds NUL characters, as UTF-16 and binary files do: convert it to UTF-8 text"
        )
    # Old programs end a line with a carriage return alone.
    for number, line in enumerate(text.split("\n" if "\n" in text else "\r"), 1):
        if line.strip():
            yield _text(line, pair, f"{name}, line {number}")


def _text(line: str, pair: bool, place: str) -> Text:
    line = line.lstrip("\ufeff")  # a mark of the byte order, where files were joined
    if JSON_OBJECT.match(line):  # a sentence in braces is none
        try:
            values = sealed.parse_text(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{place} is damaged JSON ({error}): mend the line") from error
        given = values.get("text"), values.get("pair")
        if isinstance(given[0], str) and isinstance(given[1], str | None):
            if not is_text(f"{given[0]} {given[1]}"):
                raise UserError(
                    f"{place} holds half of a surrogate pair, which is no character: write the "
                    "text again as UTF-8"
                )
            return Text(given[0], given[1], "")
        raise UserError(f'{place}: expected an object such as {{"text": "..."}}, or a text')
    first, tab, second = line.partition("\t")
    return Text(first, second, "") if pair and tab else Text(line, None, "")


def _document(reading: Reading[Feature, Prediction], top: int) -> dict[str, Any]:
    """A prediction as JSON."""
    found = reading.prediction
    said: dict[str, Any] = {"value": found.value}
    if found.labels:
        said = {
            "label": found.label,
            "probability": found.probability,
            "probabilities": dict(found.ranked()[:top]),
        }
    times = {name: getattr(reading, name) for name in ("tokenize_ms", "infer_ms", "decode_ms")}
    return said | {"tokens": reading.inputs[0].length} | times


def _lines(reading: Reading[Feature, Prediction], top: int) -> str:
    found = reading.prediction
    if found.labels:
        ranked = found.ranked()[:top]
        width = max(len(label) for label, _ in ranked)
        lines = [f"{label:{width}}  {100 * share:5.1f} %" for label, share in ranked]
    else:
        lines = [f"{found.value:.4f}"]
    lines.append(
        f"  {reading.infer_ms:.1f} ms for {reading.inputs[0].length} word pieces, tokenizing "
        f"{reading.tokenize_ms:.1f} ms"
    )
    return "\n".join(lines)


@terminal.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 after a mistake in the command or its files."""
    return command_line.call(predict, "python -m pipeline.predict", arguments)


if __name__ == "__main__":
    sys.exit(main())
