# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from converters.graphs.mobile import column_scales
from converters.tflite import file as tflite_file
from converters.tflite.export import export_many
from pipeline.models.student import build_student, hold_to_int8, student_config, student_state

MakeTeacher = Callable[..., Path]

# Two implementations of one computation in float32, a few layers of width 32.
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def load(kind: str, folder: Path) -> Any:
    import transformers

    return getattr(transformers, kind).from_pretrained(folder).eval()


def student_kind(name: str = "DistilBertForQuestionAnswering") -> Any:
    import transformers

    return getattr(transformers, name)


def single_segment(batch: int = 3, length: int = 17) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 160, (batch, length), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, length - 6 :] = 0
    return {"input_ids": ids, "attention_mask": mask}


@torch.no_grad()
def hidden_states(model: Any, inputs: dict[str, Tensor]) -> list[Tensor]:
    """Outputs of the embeddings and of every layer at the tokens that are no padding."""
    encoder = getattr(model, model.base_model_prefix, model)
    found = encoder(**inputs, output_hidden_states=True).hidden_states
    return [state[inputs["attention_mask"].bool()] for state in found]


def with_layers(bert: Any, layers: Sequence[int]) -> Any:
    """The BERT itself, with some of its layers only."""
    encoder = getattr(bert, "bert", bert).encoder
    encoder.layer = torch.nn.ModuleList([encoder.layer[i] for i in layers])
    return bert


@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_a_whole_copy_gives_the_hidden_states_of_the_teacher(
    make_teacher: MakeTeacher, activation: str
) -> None:
    teacher = load("BertModel", make_teacher(layers=2, hidden_act=activation))
    student = build_student(
        student_kind(), teacher.config, student_state(teacher.state_dict(), (0, 1)), (0, 1), 0
    ).eval()
    inputs = single_segment()
    ours, theirs = hidden_states(student, inputs), hidden_states(teacher, inputs)
    assert len(ours) == len(theirs) == 3
    for found, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(found, expected, **TOLERANCE)


@pytest.mark.parametrize("layers", [(0, 3), (1, 2, 3), (3,)])
def test_chosen_layers_behave_as_the_teacher_cut_down_to_them(
    make_teacher: MakeTeacher, layers: tuple[int, ...]
) -> None:
    teacher = load("BertModel", make_teacher(layers=4))
    student = build_student(
        student_kind(), teacher.config, student_state(teacher.state_dict(), layers), layers, 0
    ).eval()
    inputs = single_segment()
    ours = hidden_states(student, inputs)
    theirs = hidden_states(with_layers(teacher, layers), inputs)
    for found, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(found, expected, **TOLERANCE)


def test_without_folding_the_token_types_are_missed(make_teacher: MakeTeacher) -> None:
    teacher = load("BertModel", make_teacher(layers=2))
    state = student_state(teacher.state_dict(), (0, 1), fold_token_types=False)
    student = build_student(student_kind(), teacher.config, state, (0, 1), 0).eval()
    inputs = single_segment()
    assert not torch.allclose(
        hidden_states(student, inputs)[-1], hidden_states(teacher, inputs)[-1], atol=1e-2
    )
    with torch.no_grad():  # and they are all that is missed
        teacher.embeddings.token_type_embeddings.weight.zero_()
    torch.testing.assert_close(
        hidden_states(student, inputs)[-1], hidden_states(teacher, inputs)[-1], **TOLERANCE
    )


def test_the_mlm_head_is_copied(make_teacher: MakeTeacher) -> None:
    teacher = load("BertForMaskedLM", make_teacher(layers=2, head="mlm"))
    student = build_student(
        student_kind("DistilBertForMaskedLM"),
        teacher.config,
        student_state(teacher.state_dict(), (0, 1)),
        (0, 1),
        0,
    ).eval()
    inputs = single_segment()
    with torch.no_grad():
        ours, theirs = student(**inputs).logits, teacher(**inputs).logits
    mask = inputs["attention_mask"].bool()
    torch.testing.assert_close(ours[mask], theirs[mask], rtol=1e-4, atol=1e-4)


def test_the_mlm_heads_last_layer_is_the_word_embeddings(make_teacher: MakeTeacher) -> None:
    teacher = load("BertForMaskedLM", make_teacher(layers=2, head="mlm"))
    kind = student_kind("DistilBertForMaskedLM")
    for state in (student_state(teacher.state_dict(), (0,)), None):
        student = build_student(kind, teacher.config, state, (0,), 0)
        words = student.distilbert.embeddings.word_embeddings.weight
        assert student.vocab_projector.weight is words


def test_the_question_answering_head_is_copied(make_teacher: MakeTeacher) -> None:
    teacher = load("BertForQuestionAnswering", make_teacher(layers=2, head="qa"))
    state = student_state(teacher.state_dict(), (0, 1))
    student = build_student(student_kind(), teacher.config, state, (0, 1), 0).eval()
    inputs = single_segment()
    with torch.no_grad():
        ours, theirs = student(**inputs), teacher(**inputs)
    mask = inputs["attention_mask"].bool()
    for name in ("start_logits", "end_logits"):
        torch.testing.assert_close(ours[name][mask], theirs[name][mask], **TOLERANCE)


@pytest.mark.parametrize(("head", "expected"), [(None, set()), ("mlm", {"vocab"}), ("qa", {"qa"})])
def test_the_state_holds_the_heads_the_teacher_has(
    make_teacher: MakeTeacher, head: str | None, expected: set[str]
) -> None:
    kinds = {None: "BertModel", "mlm": "BertForMaskedLM", "qa": "BertForQuestionAnswering"}
    teacher = load(kinds[head], make_teacher(layers=2, head=head))
    state = student_state(teacher.state_dict(), (1,))
    heads = {name.partition("_")[0] for name in state if not name.startswith("distilbert.")}
    assert heads == expected


def test_the_state_is_a_copy(make_teacher: MakeTeacher) -> None:
    teacher = load("BertModel", make_teacher(layers=2))
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    for tensor in student_state(teacher.state_dict(), (0, 1)).values():
        assert not tensor.requires_grad
        tensor.zero_()
    assert all(torch.equal(t, before[n]) for n, t in teacher.state_dict().items())


def test_the_configuration_takes_the_teachers_sizes(make_teacher: MakeTeacher) -> None:
    folder = make_teacher(layers=2, hidden_dropout_prob=0.2, attention_probs_dropout_prob=0.3)
    teacher = load("BertModel", folder).config
    found = student_config(teacher, 5)
    assert (found.n_layers, found.n_heads, found.dim, found.hidden_dim) == (5, 4, 32, 64)
    assert found.vocab_size == teacher.vocab_size
    assert found.max_position_embeddings == 512
    assert (found.dropout, found.attention_dropout) == (0.2, 0.3)
    assert found.activation == "gelu"
    assert found.pad_token_id == teacher.pad_token_id


def test_a_student_is_float32_in_training_mode_with_all_weights_trained(
    make_teacher: MakeTeacher,
) -> None:
    teacher = load("BertModel", make_teacher(layers=2)).half()
    state = student_state(teacher.state_dict(), (1,))
    student = build_student(student_kind(), teacher.config, state, (1,), 0)
    assert student.training
    assert all(p.dtype == torch.float32 and p.requires_grad for p in student.parameters())


def weights(model: Any) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_random_weights_and_missing_heads_come_of_the_seed_alone(
    make_teacher: MakeTeacher,
) -> None:
    teacher = load("BertModel", make_teacher(layers=2))
    for state in (None, student_state(teacher.state_dict(), (0, 1))):
        first, again, other = (
            weights(build_student(student_kind(), teacher.config, state, (0, 1), seed))
            for seed in (3, 3, 4)
        )
        assert all(torch.equal(first[name], again[name]) for name in first)
        assert not torch.equal(first["qa_outputs.weight"], other["qa_outputs.weight"])


def test_random_students_take_nothing_of_the_teacher(make_teacher: MakeTeacher) -> None:
    teacher = load("BertModel", make_teacher(layers=2))
    student = build_student(student_kind(), teacher.config, None, (0, 1), 0)
    copied = student_state(teacher.state_dict(), (0, 1))
    own = student.state_dict()
    matrices = [name for name in copied if copied[name].dim() == 2]
    assert matrices
    assert not any(torch.equal(own[name], copied[name]) for name in matrices)


@pytest.mark.parametrize(
    "lost",
    [
        "distilbert.transformer.layer.1.ffn.lin2.bias",
        "distilbert.embeddings.position_embeddings.weight",
    ],
)
def test_a_state_without_the_whole_encoder_is_refused(make_teacher: MakeTeacher, lost: str) -> None:
    teacher = load("BertModel", make_teacher(layers=2))
    state = student_state(teacher.state_dict(), (0, 1))
    del state[lost]
    with pytest.raises(ValueError, match=f"random weights in .*{lost}"):
        build_student(student_kind(), teacher.config, state, (0, 1), 0)


def test_a_saved_student_opens_with_the_auto_class_and_computes_the_same(
    make_teacher: MakeTeacher, tmp_path: Path
) -> None:
    teacher = load("BertForQuestionAnswering", make_teacher(layers=2, head="qa"))
    state = student_state(teacher.state_dict(), (1,))
    student = build_student(student_kind(), teacher.config, state, (1,), 0).eval()
    student.save_pretrained(tmp_path)
    opened = load("AutoModelForQuestionAnswering", tmp_path)
    assert type(opened) is type(student)
    inputs = single_segment()
    with torch.no_grad():
        assert torch.equal(opened(**inputs).start_logits, student(**inputs).start_logits)


@pytest.fixture
def uneven(make_teacher: MakeTeacher) -> Any:
    """A student of one layer whose tables have columns of different reach, as trained ones have."""
    config = load("BertModel", make_teacher()).config
    student = build_student(student_kind(), config, None, (0,), seed=3)
    with torch.no_grad():
        for table in tables_of(student).values():
            table.weight.mul_(torch.linspace(0.01, 3, table.weight.shape[1]))
    return student.eval()


def tables_of(student: Any) -> dict[str, Any]:
    return {
        name: module
        for name, module in student.distilbert.embeddings.named_modules()
        if isinstance(module, torch.nn.Embedding)
    }


def test_tables_are_held_at_what_int8_files_store(uneven: Any) -> None:
    tables = list(tables_of(uneven).values())
    before = [table.weight.detach().clone() for table in tables]
    hold_to_int8(uneven)
    assert len(tables) == 2
    for table, was in zip(tables, before, strict=True):
        even = table.weight.detach() / column_scales(table.weight.detach())
        step = even.abs().max() / 127
        # The quotient of two float32 is a whole number to a few units in the last place.
        torch.testing.assert_close(even / step, (even / step).round(), rtol=0, atol=1e-4)
        # Half a step away at most, or two times that where a column got another power of two.
        assert bool(((table.weight - was).abs() <= 1.01 / 127 * column_scales(was)).all())


def test_an_exported_int8_file_holds_the_tables_that_were_held(uneven: Any, tmp_path: Path) -> None:
    """What the file has, read without any code of ours that rounds, is what the student has."""
    hold_to_int8(uneven)
    (path,) = export_many(uneven, tmp_path, ("int8",), length=48).values()
    model = tflite_file.read(path)
    graph = model.subgraphs[0]

    def constant(index: int) -> Any:
        return model.buffers[graph.tensors[index].buffer].data

    seen = set()
    for lookup in graph.operators:
        if tflite_file.operator_name(model, lookup) != "EMBEDDING_LOOKUP":
            continue
        tensor = graph.tensors[lookup.inputs[1]]
        (name,) = (name for name in tables_of(uneven) if name in tensor.name.decode())
        (scale,) = tensor.quantization.scale
        stored = constant(lookup.inputs[1]).view(np.int8).reshape(tensor.shape)  # (V, D)
        (product,) = (one for one in graph.operators if lookup.outputs[0] in one.inputs)
        assert tflite_file.operator_name(model, product) == "MUL"
        (factor,) = (index for index in product.inputs if index != lookup.outputs[0])
        columns = constant(factor).view(np.float32).ravel()  # (D,)
        read = stored * np.float32(scale) * columns
        held = tables_of(uneven)[name].weight.detach().numpy()
        # The file's scale is found anew in rounded values: it may differ in its last bit.
        np.testing.assert_array_max_ulp(read, held, maxulp=2)
        assert len(np.unique(stored)) > 100, "most of the 255 values occur"
        seen.add(name)
    assert seen == set(tables_of(uneven))
