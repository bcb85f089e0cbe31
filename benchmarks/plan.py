# SPDX-License-Identifier: Apache-2.0
"""What `benchmarks.run` measures: the files, the queries that they answer, and how often."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure import latency, memory
from benchmarks.measure.queries import Asked, RandomWindows, given_lengths, squad_lengths
from converters.runtimes.weights import vocabulary_size

# Distinct queries in a round; two rounds of them make a valid figure.
ROUND_QUERIES = latency.VALID_QUERIES // latency.LEAST_ROUNDS

# The length that SQuAD models are trained with and that exporters pad to.
PAD_TO = 384

# As lengths: the questions are asked about documents of thousands of words.
LONG = "long"

# The largest id of random windows if no file states its vocabulary; every vocabulary has as many.
FEWEST_PIECES = 100

# The endings of files that have their tokenizer beside them, not inside.
SUFFIXES = (".tflite", ".onnx", ".pte", ".mlpackage")


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        files: the files by their names in the report; the first is the baseline.
        threads: the numbers of threads, each measured in a run of its own.
        pad_to: the length of padded inputs, in tokens.
        lengths: "squad" or lengths in tokens, ignored with questions; "long" asks the questions
            about documents of thousands of words.
        questions: data for the task of the files, such as `embedded`; None for random tokens.
        read: how that is read, see `benchmarks.examples.TimedExamples`.
        least_queries: the smallest number of queries in each run.
        least_seconds: the shortest duration of each run, in seconds.
        probes: the number of cold starts of each file.
        seed: the seed of every random number generator.
        weight_cache: whether .tflite files also start with XNNPACK's weight cache.
        peers: the names of the files that other tools exported.
        verify: whether to compare the files with the checksums in the model.json beside them.
        models: the Hugging Face folder that a file was exported from, by the name of the file, as
            far as it is known. The logits of the file are compared with its model's.
        reference: the fp32 file or Hugging Face folder with which the logits of every other file
            are compared; None for no comparison.
    """

    files: Mapping[str, Path]
    threads: Sequence[int] = (1,)
    pad_to: int = PAD_TO
    lengths: str | Sequence[int] = "squad"
    questions: str | None = None
    read: Mapping[str, Any] = field(default_factory=dict)
    least_queries: int = latency.VALID_QUERIES
    least_seconds: float = latency.VALID_SECONDS
    probes: int = memory.PROBES
    seed: int = 0
    weight_cache: bool = False
    peers: Collection[str] = ()
    verify: bool = True
    models: Mapping[str, Path] = field(default_factory=dict)
    reference: Path | None = None

    @property
    def opened(self) -> list[Path]:
        """Every file and folder that is opened, once."""
        return [*dict.fromkeys((*self.files.values(), *self.references.values()))]

    @property
    def references(self) -> dict[str, Path]:
        """The fp32 model of each file that has one, by the name of the file."""
        rest = dict.fromkeys(self.files, self.reference) if self.reference else {}
        return {**rest, **{name: self.models[name] for name in self.files if name in self.models}}


def asked_of(plan: Plan, longest: int) -> Asked:
    """The queries: examples, or windows of random tokens that are no longer than padded ones.

    Args:
        plan: says which.
        longest: the length of padded inputs.

    Raises:
        ValueError, UserError: the plan's data or lengths cannot be used with its files.
    """
    count = min(plan.least_queries, ROUND_QUERIES)
    if plan.questions is not None:
        from benchmarks.examples import TimedExamples

        beside = next(filter(_has_tokenizer, plan.files.values()), None)
        if beside is None:
            raise ValueError(
                "--questions needs a tokenizer: name a file with its model.json beside it, or a "
                "Hugging Face folder"
            )
        own = {name: path for name, path in plan.files.items() if _has_tokenizer(path)}
        own = {name: path for name, path in plan.models.items() if _has_tokenizer(path)} | own
        return TimedExamples(
            plan.questions,
            beside,
            count=count,
            longest=longest,
            seed=plan.seed,
            read=plan.read,
            long=plan.lengths == LONG,
            tokenizers=own,
        )
    if isinstance(plan.lengths, str):
        source, tokens = plan.lengths, squad_lengths(count, longest, plan.seed)
    elif max(plan.lengths) > longest:
        raise ValueError(
            f"--lengths {max(plan.lengths)}: the files, or --pad-to, take at most {longest}"
        )
    else:
        source, tokens = "given", given_lengths(count, plan.lengths, plan.seed)
    told = [size for path in plan.files.values() if (size := vocabulary_size(path))]
    vocabulary = min(told, default=FEWEST_PIECES)
    return RandomWindows(source, tokens, vocabulary=vocabulary, pad_to=longest, seed=plan.seed)


def _has_tokenizer(path: Path) -> bool:
    """Whether `pipeline.ask` finds a tokenizer: in a folder, or beside an exported file."""
    beside = path.parent if path.suffix in SUFFIXES else path
    names = ("model.json",) if path.suffix in SUFFIXES else ("tokenizer.json", "vocab.txt")
    return any((beside / name).is_file() for name in names)
