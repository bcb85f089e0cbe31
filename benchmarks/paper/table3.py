# SPDX-License-Identifier: Apache-2.0
"""Measures table 3 of the DistilBERT paper (Sanh et al., 2019): parameters and time on a CPU.

    python -m benchmarks.paper --table 3

The command builds ELMo, BERT-base and DistilBERT at their published sizes. The weights are random,
because neither size nor time depends on them. In PyTorch, the models score one sentence pair at a
time and take turns in an order that the seed shuffles. The lengths of the pairs follow the
distribution of STS-B, whose development set has 1,500 pairs. The duration of a full pass is the
mean time of the measured pairs times 1,500.

Tables 1 and 2 contain scores, which need trained models, so this command does not reproduce them.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import json
import shlex
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
)

from benchmarks.measure import latency, machine
from benchmarks.measure.schema import NATURAL, PADDED
from benchmarks.page.text_table import table
from benchmarks.paper.sentence_pairs import ASSUMED, PAD_TO, Pair, pairs
from converters import ExpectedError, terminal, whole_file
from pipeline.elmo.baseline import Baseline, Head
from pipeline.elmo.network import Elmo, Shape, parameters

KIND: Final = "paper-table-3"
VERSION: Final = 1

# The paper's table 3: millions of parameters, and seconds of a pass over STS-B's development set on
# a CPU (Intel Xeon E5-2690 v3) at batch 1.
PAPER: Final = {"ELMo": (180, 895), "BERT-base": (110, 668), "DistilBERT": (66, 410)}

FULL_PASS = 1_500

# Two rounds of this many pairs make a valid figure.
PAIRS = latency.VALID_QUERIES // latency.LEAST_ROUNDS
QUICK_PAIRS = 4

METHOD = (
    "single stream in PyTorch, float32, not compiled: one pair at a time, subjects interleaved "
    "in an order shuffled by seed, random weights, no tokenizing; ELMo reads each sentence apart"
)
NOTE = (
    "by our count, the paper's 180 million parameters are those of the GLUE baseline: ELMo has "
    "93.6 million, and the BiLSTM with 1,500 units per direction has another 84.3 million; the "
    "paper states no lengths, but the GLUE scripts of its time padded every pair to 128 word "
    "pieces, which agrees with its 0.45 s per pair for BERT-base, so both lengths are measured; at "
    "batch size 1 an LSTM reads all its weights again for every word, so ELMo's time depends on "
    "memory and on PyTorch's matrix-vector product"
)
REPORTED = ("torch", "transformers", "numpy", "distilbert-mobile")

ELSEWHERE: Final = {
    1: "python -m pipeline.glue",
    2: "python -m pipeline.glue --imdb NAME --squad TRAIN DEV --teacher NAME",
}


@dataclass(frozen=True)
class Sizes:
    """The sizes of all models; the defaults are the published ones."""

    elmo: Shape = field(default_factory=Shape)
    head: Head = field(default_factory=Head)
    bert: Mapping[str, Any] = field(default_factory=dict)
    distilbert: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Subject:
    """One line of the table.

    Attributes:
        lengths: "natural" or "padded".
        module: the model; `head` is the part of it that a task adds.
        score: what is timed.
        paper: its name in the paper's table; "" for none.
    """

    lengths: str
    module: nn.Module
    head: Sequence[nn.Module]
    score: Callable[[Pair], object]
    paper: str


def subjects(sizes: Sizes) -> dict[str, Subject]:
    """The models, untrained, by the name of their line."""
    scorer = Baseline(Elmo(sizes.elmo), sizes.head, None, pair=True).eval()
    alone = nn.Sequential(scorer.elmo, scorer.mix)
    bert = BertForSequenceClassification(BertConfig(num_labels=1, **sizes.bert)).eval()
    student = DistilBertForSequenceClassification(
        DistilBertConfig(num_labels=1, **sizes.distilbert)
    ).eval()

    def both(pair: Pair) -> list[Tensor]:
        return [alone(sentence) for sentence in pair.characters]

    def of_bert(which: str, pair: Pair) -> Any:
        ids, mask, segments = getattr(pair, which)
        return bert(input_ids=ids, attention_mask=mask, token_type_ids=segments).logits

    def of_student(which: str, pair: Pair) -> Any:
        ids, mask, _ = getattr(pair, which)
        return student(input_ids=ids, attention_mask=mask).logits

    task = (student.pre_classifier, student.classifier)
    found = {
        "ELMo + BiLSTM": Subject(
            NATURAL, scorer, (scorer.head,), lambda pair: scorer(*pair.characters), "ELMo"
        ),
        "ELMo alone": Subject(NATURAL, alone, (), both, ""),
    }
    for lengths, which in ((NATURAL, "pieces"), (PADDED, "padded")):
        end = "" if lengths == NATURAL else f", padded to {PAD_TO}"
        found[f"BERT-base{end}"] = Subject(
            lengths, bert, (bert.classifier,), functools.partial(of_bert, which), "BERT-base"
        )
        found[f"DistilBERT{end}"] = Subject(
            lengths, student, task, functools.partial(of_student, which), "DistilBERT"
        )
    return found


def measure(sizes: Sizes, count: int, threads: int, seed: int, command: str = "") -> dict[str, Any]:
    """Measure the table: what it was measured on, and all samples, as JSON values.

    Args:
        sizes: of the models.
        count: different pairs; each is scored in every round, two or more.
        threads: of PyTorch, which keeps them.
        seed: of weights, pairs and order.
        command: how it was called.
    """
    before, clock = machine.describe(), machine.clock()
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    models = subjects(sizes)
    asked = pairs(count, sizes.elmo.characters, BertConfig(**sizes.bert).vocab_size, seed)
    least = count * latency.LEAST_ROUNDS
    with torch.inference_mode():
        stream = latency.stream(
            {name: subject.score for name, subject in models.items()},
            asked,
            seed=seed,
            least_queries=least,
            least_seconds=0.0,
            progress=lambda done, seconds: _tell(f"{done} of {least} pairs, {seconds:.0f} s"),
        )
    others = machine.other_work(clock, machine.clock())
    cautions = machine.cautions(before, others, threads)
    busy = latency.busy(stream.samples, rounds=stream.rounds)
    return {
        "kind": KIND,
        "schema_version": VERSION,
        "created": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "command": command,
        "seed": seed,
        "valid": stream.too_short is None,
        "too_short": stream.too_short,
        "warnings": [*cautions, *([busy] if busy else [])],
        "method": METHOD,
        "assumed": ASSUMED,
        "note": NOTE,
        "threads": threads,
        "pairs": count,
        "full_pass": FULL_PASS,
        "rounds": stream.rounds,
        "seconds": round(stream.seconds, 3),
        "mean_words": statistics.mean(sum(s.shape[1] - 2 for s in p.characters) for p in asked),
        "mean_pieces": statistics.mean(p.pieces[0].shape[1] for p in asked),
        "machine": before,
        "load_average_after": machine.describe()["load_average"],
        "other_work_cores": None if others is None else round(others, 3),
        "versions": machine.versions(REPORTED),
        "rows": [_row(name, subject, stream) for name, subject in models.items()],
        "ratios": _ratios(models, stream, seed),
        "samples_ms": {
            name: [round(ms, 4) for ms in each] for name, each in stream.samples.items()
        },
    }


def _row(name: str, subject: Subject, stream: latency.Stream) -> dict[str, Any]:
    """Parameters; milliseconds a pair; seconds of a full pass, with the mean's interval."""
    summary = latency.summarize(stream.samples[name], rounds=stream.rounds)
    seconds = [
        round(mean * FULL_PASS / 1e3, 3)
        for mean in (summary.mean, summary.mean_low, summary.mean_high)
    ]
    return {
        "name": name,
        "lengths": subject.lengths,
        "parameters": parameters(subject.module),
        "parameters_head": sum(map(parameters, subject.head)),
        "milliseconds": asdict(summary),
        **dict(zip(("seconds", "seconds_low", "seconds_high"), seconds, strict=True)),
        "paper": dict(zip(("millions", "seconds"), PAPER[subject.paper], strict=True))
        if subject.paper
        else None,
    }


def _ratios(
    models: Mapping[str, Subject], stream: latency.Stream, seed: int
) -> list[dict[str, Any]]:
    """Every line against DistilBERT's of the same lengths, beside the paper's ratio."""
    fast = {s.lengths: name for name, s in models.items() if s.paper == "DistilBERT"}
    found = []
    for name, subject in models.items():
        other = fast[subject.lengths]
        if name == other:
            continue
        ratio, low, high = latency.ratio(
            stream.samples[name], stream.samples[other], seed, rounds=stream.rounds
        )
        paper = PAPER[subject.paper][1] / PAPER["DistilBERT"][1] if subject.paper else None
        found.append(
            {"slower": name, "faster": other, "ratio": ratio, "low": low, "high": high}
            | {"paper": None if paper is None else round(paper, 3)}
        )
    return found


def show(found: Mapping[str, Any]) -> str:
    """The measured table next to the paper's, with the method, the machine and cautions."""
    mark = "" if found["valid"] else " - NOT VALID"
    scaled = (
        "measured"
        if found["pairs"] == found["full_pass"]
        else f"the mean of {found['pairs']:,} pairs, scaled"
    )
    machine_, threads = found["machine"], found["threads"]
    rows = [
        [
            row["name"],
            f"{row['parameters'] / 1e6:.1f}",
            f"{row['parameters_head'] / 1e6:.1f}",
            str(row["paper"]["millions"]) if row["paper"] else "-",
            f"{row['milliseconds']['mean']:.1f}",
            f"{row['seconds']:.0f}",
            f"{row['seconds_low']:.0f} to {row['seconds_high']:.0f}",
            str(row["paper"]["seconds"]) if row["paper"] else "-",
        ]
        for row in found["rows"]
    ]
    ratios = [
        [
            f"{ratio['faster']} against {ratio['slower']}",
            f"{ratio['ratio']:.2f}",
            f"{ratio['low']:.2f} to {ratio['high']:.2f}",
            f"{ratio['paper']:.2f}" if ratio["paper"] else "-",
        ]
        for ratio in found["ratios"]
    ]
    blocks = [
        f"{found['full_pass']:,} sentence pairs ({scaled}), {found['mean_words']:.1f} words and "
        f"{found['mean_pieces']:.1f} word pieces per pair, {threads} thread"
        f"{'' if threads == 1 else 's'}, {found['rounds']} rounds, {found['seconds']:.1f} s, seed "
        f"{found['seed']}",
        f"lengths as in STS-B, which the project does not contain: {found['assumed']}",
        f"method: {found['method']}",
        f"note: {found['note']}",
        f"machine: {machine_['cpu']}, {machine_['logical_cores']} cores, {machine_['os']}, PyTorch "
        f"{found['versions']['torch']}; the paper's: Intel Xeon E5-2690 v3",
    ]
    blocks += [f"not valid: {found['too_short']}"] if found["too_short"] else []
    blocks += [f"caution: {line}" for line in found["warnings"]]
    header = ["model", "M parameters", "of which head", "paper", "ms per pair", "s per pass", "95%"]
    return "\n\n".join(
        [
            "\n".join(blocks),
            f"Table 3{mark}\n" + table([*header, "paper's s"], rows),
            f"Times faster{mark}\n" + table(["", "ratio", "95%", "paper's"], ratios),
        ]
    )


@terminal.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0 if it measured, 2 after a mistake in the command."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    given = _parser().parse_args(arguments)
    if given.table != 3:
        raise ExpectedError(
            f"--table {given.table} needs trained models and data: run {ELSEWHERE[given.table]}"
        )
    whole_file.check_out(given.out)
    command = shlex.join(["python", "-m", "benchmarks.paper", *_hidden(arguments)])
    count = QUICK_PAIRS if given.quick else given.sentences
    found = measure(Sizes(), count, given.threads, given.seed, command)
    whole_file.write(given.out, json.dumps(found, allow_nan=False, indent=1) + "\n")
    terminal.say(show(found))
    terminal.say(f"\nsamples and machine: {given.out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.paper",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--table",
        type=int,
        choices=(1, 2, 3),
        required=True,
        help="Reproduce this table of the paper; only 3 is possible.",
    )
    add(
        "--sentences",
        type=terminal.count,
        default=PAIRS,
        metavar="N",
        help=f"Measure this many different sentence pairs (default: {PAIRS}; a full pass has "
        f"{FULL_PASS}).",
    )
    add(
        "--quick",
        action="store_true",
        help="Measure 4 pairs only and mark the figures as not valid.",
    )
    add(
        "--threads",
        type=terminal.count,
        default=1,
        help="Run PyTorch with this many threads (default: 1).",
    )
    add("--seed", type=int, default=0, help="Seed of the weights, lengths and order (default: 0).")
    add(
        "--out",
        type=Path,
        default=Path("paper-table3.json"),
        help="Write the results to this JSON file (default: paper-table3.json).",
    )
    return parser


def _hidden(arguments: Sequence[str]) -> list[str]:
    """The arguments without this machine's folders."""
    return [Path(text).name if "/" in text else text for text in arguments]


def _tell(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
