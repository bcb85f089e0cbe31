# SPDX-License-Identifier: Apache-2.0
"""Writes the recorded documents of `benchmarks.training` and `benchmarks.stream` as Markdown."""

from __future__ import annotations

from benchmarks.measure import stream_schema
from benchmarks.tokens import bound
from results.measured import measured
from results.tables import Results, table, threads

STEPS = {
    "general": "general distillation on {} samples of {:.0f} tokens on average, in batches of {}",
    "task": "the second distillation step on {} windows of {:.0f} tokens on average, in batches of {}",
}


def training(results: Results) -> str:
    """Tables of the speed of each training and of streamed text; nothing where none was measured."""
    lines: list[str] = []
    for name, by_class in results["training"].items():
        for processor, document in by_class.items():
            shown = _stream if document["kind"] == stream_schema.KIND else _loops
            lines += [f"### {name}, on {processor}", "", *shown(document), ""]
    return "\n".join(["## Training speed", "", *lines]).rstrip() + "\n" if lines else ""


def _loops(document: Results) -> list[str]:
    """The speeds of a plain loop and of the build's, and how they compare."""
    task = document["step"] == "task"
    count = document["batch_size"] * (document["steps"] + (not task))
    what = STEPS[document["step"]].format(count, document["mean_tokens"], document["batch_size"])
    epochs = f", spread over {document['epochs']:g} epochs" if task else ""
    unit = "windows" if task else "tokens"
    lines = [
        f"This is {what}, with {threads(document['threads'])}, from {document['teacher']} and "
        f"{', '.join(document['text'])}. The loops took {document['rounds']} turns of "
        f"{document['steps']} counted steps each. Speeds and ratios are medians over the turns; the lowest and the "
        "highest ratio follow in parentheses.",
        "",
        *measured(document),
    ]
    header = ["loop", "precision", f"{unit} per second"]
    header += [f"windows per second with recording{epochs}"] if task else []
    rows = []
    for one in document["subjects"]:
        speed = one["examples_per_second" if task else "tokens_per_second"]
        row = [one["name"], one["precision"], f"{speed:,.{2 if task else 0}f}"]
        if task:
            row.append("-" if one["with_recording"] is None else f"{one['with_recording']:,.2f}")
        rows.append(row)
    lines += [*table(header, rows), ""]
    header = [
        "faster",
        "slower",
        *(["recording"] if task else []),
        "times faster (lowest to highest)",
    ]
    return [
        *lines,
        *table(
            header,
            [
                [
                    one["faster"],
                    one["slower"],
                    *(["included" if one["with_recording"] else "left out"] if task else []),
                    f"{one['ratio']:.2f} ({one['low']:.2f} to {one['high']:.2f})",
                ]
                for one in document["ratios"]
            ],
        ),
    ]


def _stream(document: Results) -> list[str]:
    """How many tokens a second become samples, and samples masked batches."""
    cores = document["machine"].get("logical_cores") or 1
    return [
        f"Text of {', '.join(document['text'])} with {document['text_tokens']:,} tokens becomes masked batches of "
        f"{document['batch_size']} samples of {document['length']} tokens. Tokenizing and masking run alone in one "
        "process, and together through the loader of a training, with workers that tokenize.",
        "",
        *measured(document),
        *table(
            ["part", "workers", "words remembered", "tokens per second"],
            [
                [
                    one["name"],
                    "-" if one["workers"] is None else str(one["workers"]),
                    {True: "yes", False: "no", None: "-"}[one["remembers"]],
                    f"{one['tokens_per_second']:,.0f}",
                ]
                for one in document["parts"]
            ],
        ),
        "",
        f"Without any loss, {cores} cores could tokenize and mask {bound(document['parts'], cores):,.0f} tokens per "
        "second of a text that is read once. The loader knows the words of a text that it reads again.",
    ]
