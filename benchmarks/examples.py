# SPDX-License-Identifier: Apache-2.0
"""Examples for a benchmark: each through tokenizer, model and decoding, timed apart, and scored.

`benchmarks.run` takes these where it is given data: questions for a model that answers, texts for a
classifier.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.measure.errors import Floats, joined
from benchmarks.measure.queries import EVERY
from benchmarks.measure.schema import Metric
from pipeline.errors import UserError
from pipeline.files import beside
from pipeline.tasks.reading import Model, Reader, Reading

WORDS = 5000  # of a long document


@dataclass(frozen=True)
class How:
    """How the examples of a task are read and scored.

    Attributes:
        one: what one example is, such as "question".
        source, sha256, available: of the data, see `benchmarks.measure.queries.Asked`.
        drawn: the examples of a round.
        metrics: that `score` gives, the most important one first.
        reader: a model with everything around it, padded to a length or (None) not, with its own
            tokenizer or (None) that of the data's model, and whether it reads every window of a
            passage; it keeps nothing for the next example.
        score: of predictions for `drawn`, by metric.
        longest: the longest input, in tokens.
    """

    one: str
    source: str
    sha256: str
    available: int
    drawn: Sequence[Any]
    metrics: Sequence[Metric]
    reader: Callable[[Any, int | None, Any, bool], Reader[Any, Any]]
    score: Callable[[Sequence[Any]], Mapping[str, float]]
    longest: int


class TimedExamples:
    """Examples drawn by seed from a set: an `Asked` of `benchmarks.measure.queries`.

    Args:
        file: `embedded`, a file or a hub data set, of the task of the model.
        model: an exported file with its model.json, or a Hugging Face folder with a tokenizer:
            every model gets its limits, so that inputs are cut alike.
        count: how many examples at most.
        longest: the longest input that all models take.
        seed: of the draw and its order.
        read: how the data is read, by the names of the task's settings.
        long: ask each question about a document of `WORDS` words, joined of the data's passages.
        tokenizers: a file or folder, such as `model`, with the tokenizer of each subject that has
            another one than `model`, by its name.

    Raises:
        UserError: no such data or tokenizer, or inputs that are too long.
    """

    def __init__(
        self,
        file: str,
        model: Path,
        *,
        count: int,
        longest: int,
        seed: int,
        read: Mapping[str, Any] | None = None,
        long: bool = False,
        tokenizers: Mapping[str, Path] | None = None,
    ) -> None:
        if not _classifies(model):
            how = questions(file, model, count, seed, read or {}, long=long)
        elif long:
            raise UserError(f"--lengths long is for questions, and {model.name} classifies texts")
        else:
            how = texts(file, model, count, seed, read or {})
        self._how = how
        if how.longest > longest:
            raise UserError(
                f"{model.name} has inputs of up to {how.longest} tokens, and the files, or "
                f"--pad-to, take {longest}"
            )
        self.one, self.source, self.metrics = how.one, how.source, how.metrics
        self.sha256: str | None = how.sha256
        self.available: int | None = how.available
        self.queries: Sequence[Any] = how.drawn
        self._tokenizers = {name: _tokenizer(at) for name, at in (tokenizers or {}).items()}
        encode = how.reader(None, None, None, False).encode
        self.tokens = [sum(len(each.ids) for each in encode(one)) for one in how.drawn]
        self._readings: dict[str, list[Reading[Any, Any]]] = {}

    def subject(self, name: str, model: Model, pad_to: int | None) -> Callable[[Any], object]:
        """A function that takes an example; what it gave before under `name` is forgotten."""
        reader = self._reader(name, model, pad_to)
        readings: list[Reading[Any, Any]] = []
        self._readings[name] = readings

        def read(example: Any) -> None:
            # Only the prediction and the times are needed, and logits would fill the memory.
            readings.append(replace(reader.read(example), inputs=[], outputs=[]))

        return read

    def logits(self, name: str, model: Model, pad_to: int | None, count: int) -> list[Floats]:
        """See `benchmarks.measure.queries.Asked.logits`."""
        reader = self._reader(name, model, pad_to)
        inputs = [each for one in self.queries[:count] for each in reader.encode(one)]
        return [joined(outputs, 0, -1) for outputs in reader.outputs(inputs)]

    def _reader(self, name: str, model: Model, pad_to: int | None) -> Reader[Any, Any]:
        """The reader of a subject, whose name ends with the kind of lengths, as in a session."""
        file = name.rpartition(" ")[0]
        own = self._tokenizers.get(file.removesuffix(EVERY))
        return self._how.reader(model, pad_to, own, file.endswith(EVERY))

    def phases(self, name: str, count: int) -> dict[str, list[float]] | None:
        """Milliseconds of each phase for the last `count` examples; all inputs of one together."""
        readings = self._readings[name][-count:]
        return {
            "tokenize": [reading.tokenize_ms for reading in readings],
            "infer": [reading.infer_ms for reading in readings],
            "decode": [reading.decode_ms for reading in readings],
        }

    def scores(self, name: str) -> dict[str, float] | None:
        """Scores by metric over the examples that were drawn."""
        readings = self._readings[name][-len(self.queries) :]
        scores = self._how.score([reading.prediction for reading in readings])
        return {name: round(value, 2) for name, value in scores.items()}


def questions(
    file: str, model: Path, count: int, seed: int, read: Mapping[str, Any], *, long: bool = False
) -> How:
    """Questions on passages, or `long` documents; `read`: `empty_answers` and `language`."""
    from pipeline.ask import describe
    from pipeline.tasks.question_answering.evaluate import metrics_of, score
    from pipeline.tasks.question_answering.joined import long_documents
    from pipeline.tasks.question_answering.search import Search
    from pipeline.tasks.question_answering.squad import load_questions

    how = describe(model, verify=False)  # whoever opens the files has compared them
    found = load_questions(file, "dev", **read)
    if long:
        asked = long_documents(found.questions, WORDS, seed)
        found = replace(
            found, name=f"{found.name}, documents of {WORDS:,} words", questions=tuple(asked)
        )
    chosen = replace(found, questions=_draw(found.questions, count, seed))
    every = Search(rule=how.search.rule)
    return How(
        "question",
        found.name,
        found.sha256,
        len(found.questions),
        chosen.questions,
        metrics_of(chosen),
        # To an app each passage is new.
        lambda model, pad_to, own, whole: replace(
            how, tokenizer=own or how.tokenizer, search=every if whole else how.search
        ).answerer(model, pad_to=pad_to, reuse=False),
        lambda predictions: score([answer.text for answer in predictions], chosen),
        how.limits.max_length,
    )


def texts(file: str, model: Path, count: int, seed: int, read: Mapping[str, Any]) -> How:
    """Texts, or pairs of texts, with labels; `read` may have the settings of `TextData`."""
    from pipeline.predict import open_classifier
    from pipeline.tasks.text_classification.data import load_texts
    from pipeline.tasks.text_classification.evaluate import Classifier, score
    from pipeline.tasks.text_classification.metrics import METRICS, wanted
    from pipeline.tasks.text_classification.settings import TextData

    if unknown := read.keys() - TextData.__dataclass_fields__.keys():
        flags = ", ".join("--" + name.replace("_", "-") for name in sorted(unknown))
        raise UserError(f"{flags}: not for the texts of a classifier")
    opened = open_classifier(model, verify=False)
    found = load_texts(TextData(eval_file=file, **read), "dev")
    chosen = replace(found, examples=_draw(found.examples, count, seed))
    named = {metric["name"]: metric for metric in METRICS}
    return How(
        "text",
        found.name,
        found.sha256,
        len(found.examples),
        chosen.examples,
        [named[name] for name in wanted(not opened.labels, found.task, found.metric)],
        lambda model, pad_to, own, _: Classifier(
            model, own or opened.tokenizer, opened.max_length, opened.traits, pad_to=pad_to
        ),
        lambda predictions: score(predictions, chosen),
        opened.max_length,
    )


def _draw(examples: Sequence[Any], count: int, seed: int) -> tuple[Any, ...]:
    return tuple(
        random.Random(seed).sample(examples, min(count, len(examples)))  # noqa: S311 - no secret
    )


def _tokenizer(model: Path) -> Any:
    """The tokenizer in a Hugging Face folder, or beside an exported file."""
    if (model / "config.json").is_file():
        from pipeline.models.teacher import load_tokenizer

        return load_tokenizer(model)
    described = beside.description(model.parent / "model.json", verify=False)
    return beside.tokenizer(model.parent, described["tokenizer"], verify=False)


def _classifies(model: Path) -> bool:
    """Whether a file or a Hugging Face folder is of a classifier."""
    from converters.interface import CLASSES
    from converters.pretrained import interface_in, load_config
    from pipeline import tasks

    if (model / "config.json").is_file():
        return interface_in(model, load_config(model)) is CLASSES
    label = tasks.find("text-classification").label
    described = beside.description(model.parent / "model.json", verify=False)
    return described.get("task") == label
