# SPDX-License-Identifier: Apache-2.0
"""Says what a model is, what a build will make of it, and what keeps it from being used.

python -m pipeline.check bert-base-uncased
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from converters import terminal
from pipeline import command_line, settings, tasks
from pipeline.config import Build
from pipeline.data.sources import NONE
from pipeline.errors import UserError, UserErrors

if TYPE_CHECKING:
    from pipeline.models.judge import Judgement
    from pipeline.models.teacher import Looked, Source
    from pipeline.tasks.task import Task

Role = Literal["teacher", "student"]


def check(
    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")],
    /,
    task: str = Build.task,
    role: Annotated[Role | None, tyro.conf.arg(name="as")] = None,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> None:
    """Say what a model is and what a build will make of it, without building anything.

    Args:
        model: Check this model: a folder of a BERT, a DistilBERT or a PEFT adapter, a hub id, or
            `embedded`.
        task: Check it for this task, by the name that the Hugging Face Hub has for it.
        role: Check it as the teacher or as the student of a build; as both if it is not given.
        as_json: Print everything as one JSON object.
    """
    document = examine(model, task, role)
    if as_json:
        print(terminal.json_line(document))
    else:
        for line in lines(document):
            print(" ".join(terminal.shown(line).splitlines()))
    if document["problems"]:
        raise UserErrors(document["problems"])


def examine(model: str, task_name: str = Build.task, role: Role | None = None) -> dict[str, Any]:
    """Everything about one model, as `--json` prints it; writes nothing but the hub's cache.

    Args:
        model: `embedded`, a folder or a hub id.
        task_name: of the task that it is judged for.
        role: "teacher" or "student"; None for all that its architecture can be.

    Raises:
        UserError: there is no such task.
    """
    from pipeline.files.tokenizer import describe_tokenizer
    from pipeline.models import summary
    from pipeline.models.teacher import ROLES, load_tokenizer, look

    task = tasks.find(task_name)
    spans = any(output.axis == "token" for output in task.head.interface.outputs)
    default = settings.load(task=task_name)  # what a build does unless flags say otherwise
    adapters = {"teacher": default.teacher.adapter, "student": NONE}  # of `embedded`
    labels = 2 if spans else None

    def seen(one: str) -> Looked:
        return look(model, task.head, labels, role=one, adapter=adapters[one])

    looked = seen(role or "student")
    source, judged, problems = looked.source, looked.judgement, list(looked.problems)
    document: dict[str, Any] = {
        "name": source.name if source else model,
        "task": task.name,
        "usable": False,
        "problems": problems,
        "notes": list(looked.notes),
        "model": None,
        "tokenizer": None,
        "as": {},
    }
    if judged and judged.sizes:
        heads = {name: tasks.find(name).head for name in tasks.TASKS}
        document["model"] = summary.model_facts(judged, source, heads)
    if source is None or judged is None:
        return document
    try:
        tokenizer = load_tokenizer(source.folder)
        described = describe_tokenizer(tokenizer)
    except UserError as error:
        problems.append(f"{role or 'student'} {source.name}: {error}")
        return document
    special = set(tokenizer.all_special_tokens)
    document["tokenizer"] = {
        "pieces": len(tokenizer),
        "cased": not described["lower_case"],
        "read_from": summary.casing(source.folder),
        "added_tokens": [
            str(token)
            for token in tokenizer.added_tokens_decoder.values()
            if str(token) not in special
        ],
    }
    pieces = tokenizer.get_vocab()
    for one in (role,) if role else (one for one in ROLES if judged.kind in ROLES[one]):
        again = looked if one == (role or "student") else seen(one)
        problems += again.problems
        said = {note.partition(": ")[2] for note in document["notes"]}
        document["notes"] += [n for n in again.notes if n.partition(": ")[2] not in said]
        if again.source and again.judgement:
            layers = default.student.layers
            document["as"][one] = _plan(task, again.source, again.judgement, one, pieces, layers)
    document["usable"] = not problems
    return document


def _plan(
    task: Task,
    source: Source,
    judged: Judgement,
    role: str,
    pieces: Mapping[str, int],
    wanted: str,
) -> dict[str, Any]:
    """What a build makes of a model in a role, and how large the files will be.

    Args:
        task: that it learns.
        source: the model.
        judged: what its folder holds.
        role: "teacher" or "student".
        pieces: of its tokenizer.
        wanted: the layers of a teacher that a student starts from, see `layers.choose_layers`.
    """
    from pipeline.files import sizes
    from pipeline.models.layers import choose_layers

    layers = source.layers
    if role == "teacher":
        taken = choose_layers(source.layers, wanted)
        layers = len(taken)
        origin = f" from {source.head_from}" if source.adapter else ""
        made = (
            f"it has a head for {task.title}{origin} and is not trained"
            if source.has_head
            else f"it gets a head for {task.title} and is fine-tuned"
        )
        if source.carried:
            made += " unless the examples are yours"
        made += (
            f"; a DistilBERT of {layers} of its {source.layers} layers "
            f"({', '.join(map(str, taken))}) is trained on its outputs"
        )
    elif source.has_head:
        made = f"it has a head for {task.title} and becomes files as it is, without any training"
    else:
        made = f"it gets a head for {task.title} and is fine-tuned, then becomes files"
    shapes = sizes.Shapes(
        kind="distilbert" if role == "teacher" else source.kind,
        layers=layers,
        width=source.hidden_size,
        inner=judged.sizes["inner"],
        pieces=len(pieces),
        positions=source.positions,
        dense=len(task.head.moves) > 1,
        outputs=judged.head_outputs(task.head) or 2,
        vocabulary_bytes=sum(len(piece.encode()) + 1 for piece in pieces),
    )
    return {
        "made_of_it": made,
        "parameters": shapes.parameters,
        "bytes_about": sizes.about(shapes),
    }


def lines(document: Mapping[str, Any]) -> Iterator[str]:
    """What is printed of a document of `examine`, without its problems."""
    model, tokenizer = document["model"], document["tokenizer"]
    if model:
        yield (
            f"{document['name']} is a {model['kind']}: {model.get('layers', '?')} layers, width "
            f"{model.get('width', '?')}, {model.get('heads_of_attention', '?')} attention heads, "
            f"feed-forward {model.get('inner', '?')}"
        )
        if merged := model["merged_from"]:
            yield f"  merged    from a {merged['adapter']} adapter and {merged['base']}"
        spare = (model.get("rows") or 0) - tokenizer["pieces"] if tokenizer else 0
        cut_off = f" ({spare} of them spare, which are cut off)" if spare > 0 else ""
        yield (
            f"  tables    {model.get('rows', '?')} word pieces{cut_off}, "
            f"{model.get('positions', '?')} positions, {model['segments']} segments; stored as "
            f"{' and '.join(model['dtypes'])}"
        )
        heads = [f"{head['name']} ({head['outputs']} outputs)" for head in model["heads"]]
        yield f"  heads     {', '.join(heads) or 'none'}"
        if model["fits"] and not document["problems"]:
            yield f"  ready for {', '.join(model['fits'])}"
    if tokenizer:
        added = tokenizer["added_tokens"]
        yield (
            f"  tokenizer {'cased' if tokenizer['cased'] else 'uncased'} (says "
            f"{tokenizer['read_from']}), {tokenizer['pieces']} pieces, "
            + (f"{len(added)} added tokens such as {added[0]}" if added else "no added tokens")
        )
    for note in document["notes"]:
        yield f"note: {note}"
    for role, plan in document["as"].items():
        yield f"as the {role}: {plan['made_of_it']}"
        yield f"  the student has about {plan['parameters'] / 1e6:.1f} million parameters"
        for target, precisions in plan["bytes_about"].items():
            files = [f"{name} {size / 1e6:.1f}" for name, size in precisions.items()]
            yield f"  {target:7} about {', '.join(files)} MB"


@terminal.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0 if the model can be used, or 2 if not."""
    return command_line.call(check, "python -m pipeline.check", arguments)


if __name__ == "__main__":
    sys.exit(main())
