# SPDX-License-Identifier: Apache-2.0
"""Compares the classes that the Task Library and MediaPipe find with ours, text by text.

Both libraries read only the .tflite file. They give the logits as scores, because the file has no
softmax. They cut a text only to the length of a file with a fixed length: a file that takes any
length gets the whole text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from converters import ConversionError
from pipeline.errors import UserError
from pipeline.files import beside
from pipeline.predict import open_classifier
from pipeline.tasks.text_classification import evaluate
from pipeline.tasks.text_classification.data import Text, TextSet
from pipeline.tasks.text_classification.evaluate import Classifier, Prediction, same

if TYPE_CHECKING:
    from converters.compat.environments import Runtime

# Equal predictions have the same class, with probabilities that differ by no more than this.
NEAR = 0.02


@dataclass(frozen=True)
class Comparison:
    """The predictions for one text.

    Attributes:
        example: the text with its label.
        ours: our prediction by the library's rules: a text is cut only where the file ends.
        own: our prediction by our own rules: a text is cut to the longest input of the build.
        theirs: the library's prediction; None for a text that is too long for it.
        error: the largest difference between the logits of `theirs` and `ours`; 0 without `theirs`.
        cause: the reason why `theirs` differs from `ours`; "" if they are equal.
    """

    example: Text
    ours: Prediction
    own: Prediction
    theirs: Prediction | None
    error: float
    cause: str

    @property
    def plain(self) -> bool:
        """Whether the text is pure ASCII."""
        return self.example.text.isascii()


def equal(one: Prediction, other: Prediction | None) -> bool:
    """Whether two predictions have the same class with nearly the same probability.

    Numbers of a regression are equal by the rule of the build's gates.
    """
    if other is None or not same(one, other):
        return False
    return abs(one.probability - other.probability) <= NEAR


def compare(
    file: Path, texts: TextSet, runtime: Runtime, environments: Path, *, verify: bool = True
) -> list[Comparison]:
    """Classify every text in a library and with our code, and explain the differences.

    Args:
        file: a .tflite file with metadata, with its model.json beside it.
        texts: no pairs, with labels that the file has.
        runtime: one of `converters.compat.environments.CLASSIFIERS`.
        environments: the folder with the environments of `make compat`.
        verify: whether to compare the file with its checksum first.

    Raises:
        UserError: the environment is missing, the file cannot be opened or reads pairs, or the
            texts have other labels.
        ConversionError: the library refuses the file, crashes, or names other classes.
    """
    from converters.compat.environments import command, missing
    from converters.compat.limits import largest_error
    from converters.compat.process import Worker, WorkerError

    if reason := missing(runtime, environments):
        raise UserError(f"{runtime.name} is not installed: {reason}")
    own = open_classifier(file, verify=verify)
    if own.traits["pair"] or texts.pair:
        raise UserError(f"{runtime.name} reads single texts: name a file and texts without pairs")
    if own.labels:
        evaluate.places_of(texts, own.labels)
    else:
        evaluate.check_numbers(texts)
    examples = texts.examples
    longest, cuts = _longest(file, verify)
    ours = Classifier(own.model, own.tokenizer, longest, own.traits)
    readings = [ours.read(one) for one in examples]
    logits = [reading.outputs[0][0] for reading in readings]
    span = float(np.max(logits) - np.min(logits))
    limit = span * largest_error(file)
    worker = Worker(command(runtime, environments), 120)
    try:
        worker.ask(open=str(file))
        found = []
        for one, reading, mine in zip(examples, readings, logits, strict=True):
            theirs, error, cause = None, 0.0, ""
            length = len(own.tokenizer.backend_tokenizer.encode(one.text).ids)
            if cuts or length <= longest:
                reply = worker.ask(text=one.text)
                scores = np.asarray(reply["scores"], np.float32)
                _check_labels(file, runtime, own.labels, reply["labels"])
                theirs = own.decode(one, (), [(scores,)])
                error = float(np.abs(scores - mine).max())
                if not equal(reading.prediction, theirs):
                    cause = _cause(one.text, own.tokenizer, error, limit)
            else:  # it fails, and MediaPipe then fails on every other text too
                cause = (
                    f"it cuts no text and the file takes {longest} word pieces, this has {length}"
                )
            found.append(
                Comparison(one, reading.prediction, own.read(one).prediction, theirs, error, cause)
            )
        return found
    except WorkerError as problem:
        raise ConversionError(f"{file}: {runtime.name} {problem}") from problem
    finally:
        worker.close()


def _longest(file: Path, verify: bool) -> tuple[int, bool]:
    """The most word pieces that a file takes, and whether the libraries cut longer texts.

    They do so for a file with a fixed length only.
    """
    from converters.tflite import file as tflite_file

    ids = tflite_file.describe(file).inputs[0]  # (1, S)
    if -1 in ids.shape_signature:
        described = beside.description(file.parent / "model.json", verify=verify)
        return int(described["lengths"]["max"]), False
    return ids.shape[1], True


def _check_labels(
    file: Path, runtime: Runtime, labels: Sequence[str], theirs: Sequence[Any]
) -> None:
    """Refuses names of classes that are not those of the file; a regression has none."""
    expected = [" ".join(label.split()) for label in labels]
    if labels and list(theirs) != expected:
        raise ConversionError(
            f"{file}: {runtime.name} names the classes {', '.join(map(str, theirs))}, model.json "
            f"names {', '.join(expected)}: build the file again"
        )


def _cause(text: str, tokenizer: Any, error: float, limit: float) -> str:
    """The reason why the library's prediction differs.

    Args:
        text: the text.
        tokenizer: ours.
        error: the largest difference of a logit.
        limit: the largest difference that older or newer kernels were seen to make.
    """
    if not text.isascii():
        return "not ASCII: it lower-cases ASCII only and keeps accents"
    if any(not each.isprintable() and not each.isspace() for each in text) or "\x0b" in text:
        return "a control character: our tokenizer removes it"
    if any(piece in text for piece in tokenizer.all_special_tokens):
        return "a special piece such as [SEP] in the text: it reads the piece as a word"
    if not tokenizer.backend_tokenizer.normalizer.lowercase and text != text.lower():
        return "capital letters: it lower-cases, and the model does not"
    told = f"the logits differ by up to {error:.2g}"
    return f"a near tie, {told}" if error <= limit else f"unexplained, {told}"
