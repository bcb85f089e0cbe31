# SPDX-License-Identifier: Apache-2.0
"""The constants of a Core ML package, unpacked and held against the weights they were made of."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from converters import ConversionError
from converters.coreml import package as coreml_package

Array = NDArray[Any]

# How a constant is named: p_ or b_ (parameter, buffer), the weight, how it is stored.
_CONSTANT = re.compile(r"[pb]_(.+?)(_to_fp16)?(_quantized|_palettized)?")

# A linear code is found in fp16, where quotients up to 127 are rounded to 1/16 and the scale by
# 1/2048: half a step may become this much more.
_STEP_SLACK = 0.1
# fp16 has 11 bits; what is computed from a rounded value and rounded again may be off by two.
_HALF = 2.0**-10
_SMALLEST_HALF = 2.0**-24


def compare_constants(path: str | Path, reference: Mapping[str, Array]) -> list[str]:
    """Hold every constant of a package against the weights that it was made from.

    A package may be whole and yet hold other weights than the student's. Stored floats must be
    equal (rounded to fp16 where they are fp16), linear codes within half a step of a scale that
    fits their block, palette codes the nearest entry.

    Args:
        path: the package.
        reference: `coreml_graph.weights` of the model, in the layout of the package.

    Returns:
        One line for each problem; empty when there is none.

    Raises:
        ConversionError: see `coreml_package.read`; its seal covers what rounding hides here, such
            as the last bit of a scale.
    """
    path, spec = Path(path), coreml_package.read(path)
    return [
        problem
        for name in coreml_package.functions(spec)
        for problem in _problems(path, spec, name, reference)
    ]


def _problems(
    path: Path, spec: Any, function: str, reference: Mapping[str, Array]
) -> Iterator[str]:
    names = {name.replace(".", "_"): name for name in reference}
    held = set()
    program = coreml_package.load_function(path, spec, function)
    used = {
        operand: None
        for operation in computed(program)
        for entry in operation.inputs.values()
        for operand in (entry if isinstance(entry, (list, tuple)) else [entry])
        if operand.op is not None and is_constant(operand.op)
    }
    for variable in used:
        found = _CONSTANT.fullmatch(variable.name)
        name = names.get(found[1]) if found else None
        if name is not None:
            held.add(name)
            for problem in _differences(variable.op, reference[name]):
                yield f"{function}: {name}: {problem}"
        elif variable.op.op_type != "const" or _is_vector(variable.val):
            yield f"{function}: constant {variable.name} {variable.shape} is none of the weights"
    for name in set(reference) - held:
        # Equal constants are stored once, under one of their names.
        if not any(_equal_halves(reference[name], reference[other]) for other in held):
            yield f"{function}: {name} is missing"


def _differences(operation: Any, weight: Array) -> Iterator[str]:
    """What is wrong with a stored constant; `weight` is what it should be."""
    stored = unpack(operation)
    values, scale = stored.values, stored.scale
    if values.shape != weight.shape:
        yield f"has the shape {values.shape}, not {weight.shape}"
        return
    weight = weight.astype(values.dtype).astype(np.float32)
    allowed: Any = 0.0
    if scale is not None:
        fitting = _largest(weight, scale.shape) / stored.top
        for place in _places(np.abs(scale - fitting) <= _HALF * fitting + _SMALLEST_HALF):
            yield f"the scale at {place} is {scale[place]:.6g}, not {fitting[place]:.6g}"
            break
        allowed = (0.5 + _STEP_SLACK) * _spread(scale, weight.shape)
    elif stored.palette is not None:
        allowed = _distance(weight, stored.palette) + _HALF * np.abs(weight) + _SMALLEST_HALF
    fits = np.abs(values.astype(np.float32) - weight) <= allowed  # NaN does not
    for place in _places(fits):
        yield (
            f"{int((~fits).sum())} of {fits.size} values differ, the first at {place}: "
            f"{float(values[place]):.6g}, not {float(weight[place]):.6g}"
        )
        break


def _places(fits: Array) -> Iterator[tuple[int, ...]]:
    """Where `fits` is false."""
    return (tuple(int(axis) for axis in place) for place in np.argwhere(~fits))


class _Stored(NamedTuple):
    """A constant, unpacked.

    Attributes:
        values: as the program computes with them.
        scale: of linear codes, one a block: of the rank of `values`.
        top: the largest linear code.
        palette: one a block, sorted or not: of the rank of `values` and one more.
    """

    values: Array
    scale: Array | None = None
    top: int = 0
    palette: Array | None = None


def unpack(operation: Any) -> _Stored:
    """Unpack a constant; both generations (iOS 16, iOS 18) of compressed operations are known."""
    kind = operation.op_type
    if kind == "const":
        return _Stored(np.asarray(operation.outputs[0].val))
    given = {name: operand.val for name, operand in operation.inputs.items()}
    if kind == "constexpr_lut_to_dense":
        palette = np.asarray(given["lut"])
        if "shape" in given:  # iOS 16: one palette, codes packed from the lowest bit on
            shape = tuple(int(size) for size in given["shape"])
            width = int(palette.size).bit_length() - 1
            bits = np.unpackbits(given["indices"], bitorder="little")[: math.prod(shape) * width]
            # (codes * width) -> (codes, width) -> (codes, 1) -> shape
            codes = np.packbits(bits.reshape(-1, width), axis=1, bitorder="little").reshape(shape)
            palette = palette.reshape((1,) * len(shape) + (-1,))
        else:
            codes, palette = np.asarray(given["indices"]), palette[..., 0]
        grid = np.ix_(
            *(
                np.arange(size) * blocks // size
                for size, blocks in zip(codes.shape, palette.shape[:-1], strict=True)
            )
        )
        return _Stored(palette[(*grid, codes)], palette=palette)
    if kind == "constexpr_affine_dequantize":
        codes, scale, offset = (
            np.asarray(given[name]) for name in ("quantized_data", "scale", "zero_point")
        )
        shape = tuple(-1 if axis == given["axis"] else 1 for axis in range(codes.ndim))
        scale = scale.reshape(shape if scale.size > 1 else (1,) * codes.ndim)
        offset = offset.reshape(shape if offset.size > 1 else (1,) * codes.ndim)
        width = operation.inputs["quantized_data"].dtype.get_bitwidth()
    elif kind == "constexpr_blockwise_shift_scale":
        codes, scale = np.asarray(given["data"]), np.asarray(given["scale"])
        offset = np.zeros_like(scale) if given.get("offset") is None else given["offset"]
        width = operation.inputs["data"].dtype.get_bitwidth()
    else:
        raise ConversionError(f"constants stored as {kind!r} are not known here")
    steps = codes.astype(np.float32) - _spread(offset.astype(np.float32), codes.shape)
    values = (steps * _spread(scale.astype(np.float32), codes.shape)).astype(scale.dtype)
    return _Stored(values, scale.astype(np.float32), 2 ** (width - 1) - 1)


def _spread(blocks: Array, shape: tuple[int, ...]) -> Array:
    """One value a block to one value an element; (1, ...) is left to broadcasting."""
    for axis, (count, size) in enumerate(zip(blocks.shape, shape, strict=True)):
        if count not in (1, size):
            blocks = np.repeat(blocks, size // count, axis=axis)
    return blocks


def _largest(weight: Array, blocks: tuple[int, ...]) -> Array:
    """The largest magnitude of each block: of the shape `blocks`."""
    split = [
        part
        for size, count in zip(weight.shape, blocks, strict=True)
        for part in (count, size // count)
    ]
    # (D, E) -> (D/b, b, E/c, c) -> (D/b, E/c)
    largest: Array = np.abs(weight.reshape(split)).max(axis=tuple(range(1, len(split), 2)))
    return largest


def _distance(weight: Array, palette: Array) -> Array:
    """How far each value lies from the nearest entry of its block's palette."""
    distance = np.empty(weight.shape, np.float32)
    for block in np.ndindex(palette.shape[:-1]):
        where = tuple(
            slice(index * (size // count), (index + 1) * (size // count))
            for index, size, count in zip(block, weight.shape, palette.shape[:-1], strict=True)
        )
        entries = np.sort(palette[block].astype(np.float32))
        above = np.searchsorted(entries, weight[where]).clip(1, len(entries) - 1)
        distance[where] = np.minimum(
            np.abs(weight[where] - entries[above - 1]), np.abs(weight[where] - entries[above])
        )
    return distance


def _is_vector(value: Any) -> bool:
    """Whether a constant is more than a number, a text or a shape."""
    return bool(np.size(value) > 1 and np.asarray(value).dtype.kind == "f")


def _equal_halves(one: Array, other: Array) -> bool:
    return bool(np.array_equal(one.astype(np.float16), other.astype(np.float16)))


def is_constant(operation: Any) -> bool:
    """Whether an operation only holds or unpacks a constant."""
    kind: str = operation.op_type
    return kind == "const" or kind.startswith("constexpr_")


def computed(program: Any) -> Iterator[Any]:
    """The operations of a function that depend on its inputs, in order."""
    return (operation for operation in program.operations if not is_constant(operation))


def fingerprint(operation: Any) -> bytes:
    """Equal for equal constants."""
    digest = hashlib.blake2b(operation.op_type.encode())
    const = operation.op_type == "const"
    for operand in operation.outputs if const else operation.inputs.values():
        if isinstance(operand.val, (np.ndarray, np.generic)):
            digest.update(f"{operand.val.dtype} {operand.val.shape}".encode())
            digest.update(np.ascontiguousarray(operand.val).tobytes())
    return digest.digest()
