# SPDX-License-Identifier: Apache-2.0
"""The stages that learn the task: what each loads, calls and saves.

Each function fills a folder that :class:`pipeline.artifacts.Store` hands out, and returns facts for
the report.  PyTorch is imported inside them, so that a build with nothing to do ends in a moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converters.pretrained import load_model, load_with_head
from pipeline import disk, plan, shrinking
from pipeline.config import Build, Optimization
from pipeline.models.saving import save
from pipeline.session import prepare, progress

if TYPE_CHECKING:
    from pipeline.models.teacher import Source
    from pipeline.start import Start
    from pipeline.tasks.task import Task, Traits
    from pipeline.training.evaluation import Measure

Facts = Mapping[str, Any]


def finetune_teacher(
    folder: Path,
    scratch: Path,
    began: Start,
    source: Source,
) -> Facts:
    """The teacher with a head for the task: as it came, or fine-tuned on the examples.

    The facts say where the head comes from, unless it is new.
    """
    from pipeline.tasks import finetune

    build, task, traits = began.config, began.task, began.traits
    prepare(build)
    tokenizer, model = _opened(source, task, traits)
    facts: dict[str, Any] = {"head": source.head_from} if source.has_head else {}
    if began.given.teacher_learns:
        how = began.teacher_optimization
        if source.has_head:
            facts |= {"learning_rate": how.learning_rate}
        facts |= finetune.finetune_teacher(
            task,
            model,
            began.features(tokenizer, began.teacher_data),
            tokenizer.pad_token_id,
            optimization=how,
            hardware=build.hardware,
            seed=build.seed,
            scratch=scratch,
            measure=measure_of(began, tokenizer, how),
        ).facts()
        facts |= _measured_on(began, how)
    save(model, tokenizer, folder, task.head_settings(traits))
    return facts


def record_teacher_outputs(
    folder: Path,
    began: Start,
    teacher: Path,
) -> Facts:
    """The fine-tuned teacher's logits and hidden states for every training input."""
    from pipeline.models import teacher as teachers
    from pipeline.tasks import outputs

    build, task, layers = began.config, began.task, began.given.layers
    device = prepare(build)
    tokenizer = teachers.load_tokenizer(teacher)
    model = load_with_head(teacher).to(device)
    features = began.features(tokenizer)
    kept = layers if build.finetune.alpha_hidden else ()
    labels, width = task.labels(began.traits), model.config.hidden_size
    size = outputs.disk_bytes(task, features, labels, len(kept), width) / 1e9
    plan.refuse_large(len(features), size, build.finetune.cache_gigabytes)
    disk.require(folder, size, "the teacher's outputs", remedy=plan.SMALLER if kept else "")
    return outputs.record_outputs(
        task,
        model,
        features,
        tokenizer.pad_token_id,
        kept,
        folder,
        build.finetune.optimization.batch_size,
        build.hardware,
        lambda batches: progress(build, batches, "recording the teacher", "batch"),
    )


def finetune_student(
    folder: Path,
    scratch: Path,
    began: Start,
    teacher: Path | None,
    distilled: Path | None,
    outputs: Path | None,
) -> Facts:
    """The student that is shipped, fine-tuned with or without the second distillation step.

    It is the one that was brought, the one of general distillation, or layers of the teacher.
    """
    from pipeline.models import teacher as teachers
    from pipeline.tasks import finetune
    from pipeline.tasks.outputs import TeacherOutputs

    build, task, traits = began.config, began.task, began.traits
    brought, layers = began.given.student, began.given.layers
    prepare(build)
    if brought is not None:
        tokenizer, student = _opened(brought, task, traits)
    else:
        assert teacher is not None
        tokenizer = teachers.load_tokenizer(teacher)
        student = _new_student(build, task, teacher, distilled, layers, task.labels(traits))
    features, pad_id = began.features(tokenizer), tokenizer.pad_token_id
    facts: dict[str, Any] = {}
    if build.student.intermediate_size is not None:
        student, facts = shrinking.narrow(build, task, student, features, pad_id)
    how = build.finetune.optimization
    result = finetune.finetune_student(
        task,
        student,
        features,
        pad_id,
        outputs=TeacherOutputs(outputs) if outputs else None,
        config=build.finetune,
        hardware=build.hardware,
        seed=build.seed,
        scratch=scratch,
        measure=measure_of(began, tokenizer, how),
    )
    save(student, tokenizer, folder, task.head_settings(traits))
    write_origin(folder, build, brought)
    return facts | result.facts() | _measured_on(began, how)


def measure_of(began: Start, tokenizer: Any, how: Optimization) -> Measure | None:
    """What scores a model while it learns the task; None where the settings ask for no scores.

    The score is the task's first metric over some of the evaluation examples.  What only a finished
    model tells, such as a threshold, is found anew for each score, on the same examples.
    """
    from converters.runtimes.torch import TorchPredictor

    if not how.eval_steps:
        return None
    task, data, some = began.task, began.config.data, began.evaluation.spread(how.eval_examples)

    def measure(model: Any) -> tuple[str, float]:
        predictor, traits = TorchPredictor(model, "model"), began.traits
        if task.calibrates(traits, some):
            found = task.calibrate(predictor, tokenizer, data, traits, some)
            traits = {**traits, **found}
        reader = task.reader(predictor, tokenizer, data, traits)
        predictions = [reader.read(example).prediction for example in some.examples]
        return next(iter(task.score(predictions, some).items()))

    return measure


def _measured_on(began: Start, how: Optimization) -> dict[str, Any]:
    """The number of examples behind the scores, for the facts of a training that has scores."""
    if not how.eval_steps:
        return {}
    return {"eval_examples": min(how.eval_examples, len(began.evaluation.examples))}


def _new_student(
    build: Build,
    task: Task,
    teacher: Path,
    distilled: Path | None,
    layers: Sequence[int],
    labels: int,
) -> Any:
    """A student with the task's head, from general distillation or from the teacher's layers."""
    import transformers

    from pipeline.models import student as students

    model = load_with_head(teacher)
    taught = students.student_state(
        model.state_dict(), layers, fold_token_types=build.student.fold_token_types
    )
    state = taught if build.student.init == "teacher" else None
    if distilled is not None:
        learned = load_model(transformers.DistilBertForMaskedLM, distilled).state_dict()
        state = {name: tensor for name, tensor in learned.items() if name.startswith("distilbert.")}
        if build.student.init == "teacher":
            # The head that reads the teacher's last hidden states fits the student's, which were
            # made to resemble them.
            head = task.head.parts("distilbert")
            state |= {name: tensor for name, tensor in taught.items() if name.startswith(head)}
    kind = getattr(transformers, task.head.model("distilbert"))
    student = students.build_student(kind, model.config, state, layers, build.seed, labels)
    if build.holds_tables:
        students.hold_to_int8(student)
    return student


def take_student(folder: Path, build: Build, task: Task, source: Source, traits: Traits) -> Facts:
    """A student that was trained before, as it is."""
    prepare(build)
    tokenizer, model = _opened(source, task, traits)
    save(model, tokenizer, folder, task.head_settings(traits))
    write_origin(folder, build, source)
    return {"head": "the student's own"}


def _opened(source: Source, task: Task, traits: Traits) -> tuple[Any, Any]:
    """Tokenizer and model with the task's head of a model from outside.

    A tokenizer that no app can follow is refused here, before hours of training.
    """
    from pipeline.files.tokenizer import describe_tokenizer
    from pipeline.models import teacher as teachers

    tokenizer = teachers.load_tokenizer(source.folder)
    describe_tokenizer(tokenizer)
    return tokenizer, teachers.load_for_task(source, task.head, task.labels(traits))


def write_origin(folder: Path, build: Build, brought: Source | None) -> None:
    """Writes what a student was made from beside it."""
    from pipeline.files.targets import license_of
    from pipeline.models import origin

    train = Path(build.data.train_file).name
    if brought is None:
        teacher = build.teacher.model
        known = origin.Origin(
            f"A student of {Path(teacher).name}, trained on {train}.", license_of(teacher, "")
        )
    elif brought.has_head:
        known = origin.read(brought.folder) or origin.Origin(f"Made from {brought.name}.")
    else:
        known = origin.Origin(f"Made from {brought.name}, trained on {train}.")
    origin.write(folder, known)
