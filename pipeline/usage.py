# SPDX-License-Identifier: Apache-2.0
"""The build's command line for people: the everyday flags, their short forms, and `--help`.

Every setting has a flag with the dotted name of its place in `pipeline/config.py`, which tyro makes
and `--help-all` lists.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from converters.precisions import PRECISIONS

# Short form -> the flag that it stands for.
SHORT = {
    "--teacher": "--teacher.model",
    "--student": "--student.model",
    "--no-benchmark": "--benchmark.no-enabled",
    "--no-distil": "--distil.no-enabled",
    "--no-finetune": "--finetune.no-enabled",
    "--no-second-step": "--finetune.no-second-step",
}

# Name of a setting -> the stages that it decides about; other stages are called as their folders.
STAGES_OF = {
    "mlm_head": ("mlm-teacher",),
    "distil": ("distilled",),
    "finetune": ("teacher-outputs", "student"),
    "words": ("trimmed",),
    "export": tuple(PRECISIONS),
    "gates": ("verify",),
}

_EVERYDAY = """\
usage: {program} [FLAG ...]

{description}

what to build
  --preset NAME           Start from the settings of a preset:
                          {presets}
  --config FILE           Read settings from a YAML file; they replace those of the preset.
  --teacher NAME          Learn from this BERT: a folder, a hub id, or `embedded`. For BERT-base,
                          also take the preset distilbert-squad (questions) or glue (texts).
  --student NAME          Take this DistilBERT or BERT as the student: a folder or a hub id.
  --task NAME             Build for this task: question-answering or text-classification.
  --train-file NAME       Train on these examples: a file, a hub data set, or `embedded`.
  --eval-file NAME        Score every model and file on these examples; the same forms.
  --target NAME ...       Convert the student to tflite, coreml, onnx, or all of them.
  --precision NAME ...    Store the weights in int8, fp16, fp32 and so on, or all of them.

what to leave out
  --no-distil             Skip general distillation.
  --no-finetune           Convert the student as it is; it must have a head for the task.
  --no-second-step        Fine-tune the student on the gold answers alone.
  --no-benchmark          Skip the benchmark.

where and how
  --out FOLDER            Build in this folder, by default build/PRESET.
  --android-assets FOLDER Fill a folder of an Android app with the .tflite files.
  --seed N                Seed every random number generator with this number.
  --force STAGE ...       Run these stages again though nothing changed.
  --dry-run               Print what would run and what would be kept, and do nothing.

  --help-all              Show every setting with its default.
  --version               Print the version of the program.

An interrupted build continues where it was. Exit codes: 0 built, 1 a file failed its gate,
2 a mistake in the command or its files, 130 interrupted.
"""


def everyday(program: str, description: str, presets: Sequence[str]) -> str:
    """What `--help` prints."""
    margin = " " * 26
    names = textwrap.fill(
        ", ".join(sorted(presets)) + ".",
        100,
        initial_indent=margin,
        subsequent_indent=margin,
        break_on_hyphens=False,
    )
    return _EVERYDAY.format(program=program, description=description, presets=names.strip())


def expand(arguments: Sequence[str]) -> list[str]:
    """A command line with the long flag in the place of each short form, and settings as stages."""
    expanded: list[str] = []
    forced = False
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        if flag.startswith("-"):
            forced = flag == "--force"
        if flag in SHORT:
            expanded.append(f"{SHORT[flag]}{equals}{value}")
        elif forced and not flag.startswith("-"):
            expanded += STAGES_OF.get(argument.replace("-", "_"), (argument,))
        else:
            expanded.append(argument)
    return expanded
