# SPDX-License-Identifier: Apache-2.0
"""Evaluates a saved Core ML package on any machine, operation by operation.

Core ML predicts on Apple's systems only. An ML Program is a list of operations, though: here each
is computed in float32 and its result rounded to the type that the program gives it, fp16 mostly.
What a device adds is its own order of summation. Operations and their inputs:
https://apple.github.io/coremltools/source/coremltools.converters.mil.mil.ops.defs.html
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from converters import ConversionError
from converters.coreml import package as coreml_package
from converters.coreml.constants import Array, computed, fingerprint, unpack


class CoreMlProgram:
    """The functions of a package, evaluated in numpy.

    Attributes:
        functions: by name, with the lengths that they take.
        default: the function that runs when none is named.
    """

    def __init__(self, path: str | Path) -> None:
        """Open `path`; for errors see `coreml_package.read`."""
        self._path, self._spec = Path(path), coreml_package.read(path)
        self.functions = coreml_package.functions(self._spec)
        self.default = self._spec.description.defaultFunctionName or "main"
        self._loaded: dict[str, Any] = {}
        self._constants: dict[Any, Any] = {}

    def run(self, inputs: Mapping[str, Array], function: str | None = None) -> dict[str, Array]:
        """Evaluate a function.

        Args:
            inputs: an array for each input, of the shape that the function takes.
            function: a key of `functions`; the default if None.

        Returns:
            An array for each output, of the type that the package declares.

        Raises:
            ConversionError: no such function, inputs that do not fit, or an operation that is not
                known here.
        """
        function = function or self.default
        program = self._function(function)
        takes = self.functions[function]
        values: dict[Any, Array] = {}
        for name, variable in program.inputs.items():
            shape, wanted = np.shape(inputs.get(name, 0)), variable.shape[:-1]
            if shape[:-1] != wanted or not takes.smallest <= shape[-1] <= takes.largest:
                raise ConversionError(
                    f"{self._path.name}, {function}: {name} has the shape {shape}: pass {wanted} "
                    f"and {takes.smallest} to {takes.largest}"
                )
            values[variable] = _settle(inputs[name], variable)

        for operation in computed(program):
            compute = _OPERATIONS.get(operation.op_type)
            if compute is None:
                raise ConversionError(
                    f"{self._path.name} has the operation {operation.op_type!r} "
                    f"({operation.name}), which is not known here: known are "
                    f"{', '.join(sorted(_OPERATIONS))}"
                )
            arguments = {
                name: self._value(operand, values) for name, operand in operation.inputs.items()
            }
            try:
                # What is beyond fp16 becomes infinite on a device too, without a word.
                with np.errstate(over="ignore", invalid="ignore"):
                    result = compute(**arguments)
                    results = result if isinstance(result, list) else [result]
                    moved = operation.op_type in _MOVES
                    for variable, each in zip(operation.outputs, results, strict=True):
                        values[variable] = each if moved else _settle(each, variable)
            except Exception as error:  # whatever the numbers of a damaged package lead to
                raise ConversionError(
                    f"{self._path.name} cannot compute {operation.op_type} ({operation.name}): "
                    f"{' '.join(str(error).split())}"
                ) from error
        return {output.name: values[output] for output in program.outputs}

    # Not a function within `run`: one that calls itself keeps every value of a run alive until the
    # collector comes by, gigabytes later.
    def _value(self, operand: Any, values: Mapping[Any, Array]) -> Any:
        if isinstance(operand, (list, tuple)):
            return [self._value(each, values) for each in operand]
        return values[operand] if operand in values else self._constant(operand)

    def _function(self, name: str) -> Any:
        if name not in self.functions:
            raise ConversionError(
                f"{self._path.name} has no function {name!r}: choose from "
                f"{', '.join(self.functions)}"
            )
        if name not in self._loaded:
            self._loaded[name] = coreml_package.load_function(self._path, self._spec, name)
        return self._loaded[name]

    def _constant(self, variable: Any) -> Any:
        """The value of a constant; weights are unpacked once and shared by all functions."""
        if variable not in self._constants:
            operation = variable.op
            if operation.op_type == "const" and np.size(variable.val) <= 1:
                self._constants[variable] = _wide(variable.val)
            else:
                key = fingerprint(operation)
                if key not in self._constants:
                    self._constants[key] = _wide(unpack(operation).values)
                self._constants[variable] = self._constants[key]
        return self._constants[variable]


def _wide(value: Any) -> Any:
    """Halves as float32, which numpy multiplies a hundred times faster; the rest as it is."""
    return value.astype(np.float32) if getattr(value, "dtype", None) == np.float16 else value


def _settle(value: Any, variable: Any) -> Array:
    """A result in the type that the program gives it; halves are kept as rounded float32."""
    kind, result = _numpy_type(variable.dtype), np.asarray(value)
    if kind == np.float16 and result.dtype == np.float32:
        rounded: Array = _tensor(result).half().float().numpy()  # as numpy, but 16 times faster
        return rounded
    return _wide(result.astype(kind))  # type: ignore[no-any-return]


@cache
def _numpy_type(kind: Any) -> Any:
    from coremltools.converters.mil.mil import types

    return types.nptype_from_builtin(kind)


def _tensor(value: Array) -> torch.Tensor:
    """The same numbers for PyTorch, which warns of an array that cannot be written."""
    return torch.from_numpy(np.require(value, requirements="W"))


def _product(x: Array, y: Array) -> Array:
    """Matrix product. By PyTorch, as roundings are: two pools of threads stall each other."""
    product: Array = torch.matmul(_tensor(x), _tensor(y)).numpy()
    return product


# The operations. Arguments are called as in Core ML; floats arrive as float32.


def _gather(x: Array, indices: Array, axis: int, batch_dims: int, validate_indices: bool) -> Array:
    if batch_dims:
        raise ValueError("batch_dims is not known here")
    if indices.size and not 0 <= indices.min() <= indices.max() < x.shape[axis]:
        raise ValueError(
            f"index {indices.min()} to {indices.max()} in a table of {x.shape[axis]}: check that "
            "the token ids are the vocabulary's"
        )
    return np.take(x, indices, axis)


def _cumsum(x: Array, axis: int, exclusive: bool, reverse: bool) -> Array:
    if exclusive or reverse:
        raise ValueError("an exclusive or reversed sum is not known here")
    total: Array = np.cumsum(x, axis)
    return total


def _matmul(x: Array, y: Array, transpose_x: bool, transpose_y: bool) -> Array:
    return _product(
        np.swapaxes(x, -1, -2) if transpose_x else x, np.swapaxes(y, -1, -2) if transpose_y else y
    )


def _einsum(values: list[Array], equation: str) -> Array:
    if equation != "nchw,nwhu->nchu":
        return np.einsum(equation, *values)  # type: ignore[no-any-return]
    one, other = (each.transpose(0, 2, 1, 3) for each in values)  # (N, H, C, W), (N, H, W, U)
    return _product(one, other).transpose(0, 2, 1, 3)  # (N, H, C, U) -> (N, C, H, U)


def _conv(x: Array, weight: Array, bias: Array, **shape: Any) -> Array:
    batch, channels, height, width = x.shape
    fixed = {"strides": 1, "dilations": 1, "pad": 0, "groups": 1}
    if weight.shape[1:] != (channels, 1, 1) or any(
        np.any(np.asarray(shape[name]) != value) for name, value in fixed.items()
    ):
        raise ValueError("only 1x1 convolutions are known here")
    # (O, C, 1, 1) @ (B, C, H W) -> (B, O, H, W)
    product = _product(weight[:, :, 0, 0], x.reshape(batch, channels, -1))
    product = product.reshape(batch, -1, height, width)  # (B, O, H W) -> (B, O, H, W)
    return product + bias[:, None, None]


def _softmax(x: Array, axis: int) -> Array:
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)  # type: ignore[no-any-return]


def _layer_norm(x: Array, axes: Any, epsilon: float, gamma: Any = None, beta: Any = None) -> Array:
    axes = tuple(int(axis) for axis in axes)
    centered = x - x.mean(axes, keepdims=True)
    normed: Array = centered / np.sqrt((centered**2).mean(axes, keepdims=True) + epsilon)
    shape = [
        size if axis - x.ndim in axes or axis in axes else 1 for axis, size in enumerate(x.shape)
    ]
    if gamma is not None:
        normed = normed * gamma.reshape(shape)
    return normed if beta is None else normed + beta.reshape(shape)


def _gelu(x: Array, mode: str) -> Array:
    if mode == "TANH_APPROXIMATION":
        # x**3 would be taken for any power, at a hundred times the price.
        below = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))
    elif mode == "EXACT":
        below = torch.erf(torch.from_numpy(x / math.sqrt(2))).numpy()  # numpy has none
    else:
        raise ValueError(f"mode {mode} is not known here")
    result: Array = 0.5 * x * (1 + below)
    return result


def _split(x: Array, axis: int, split_sizes: Any = None, num_splits: Any = None) -> list[Array]:
    parts = num_splits if split_sizes is None else np.cumsum(split_sizes)[:-1]
    return np.split(x, parts, axis)


def _slice(x: Array, begin: Any, end: Any, **masks: Any) -> Array:
    """A range of every axis; a mask leaves out one end of it, or the axis of a single element."""
    given = {name: np.asarray(value) for name, value in masks.items() if value is not None}
    if np.any(given.pop("stride", np.array(1)) != 1):
        raise ValueError("only slices of neighbors are known here")
    off = np.zeros(x.ndim, bool)
    opens, ends, single = (
        given.get(name, off) for name in ("begin_mask", "end_mask", "squeeze_mask")
    )
    places: list[int | slice] = []
    for axis in range(x.ndim):
        first = 0 if opens[axis] else int(begin[axis])
        last = None if ends[axis] else int(end[axis])
        places.append(first if single[axis] else slice(first, last))
    result: Array = x[tuple(places)]
    return result


def _concat(values: list[Array], axis: int, interleave: bool) -> Array:
    if interleave:
        raise ValueError("interleaving is not known here")
    return np.concatenate(values, axis)


# These only move values, which are of the type already.
_MOVES = frozenset(
    (
        *("concat", "expand_dims", "gather", "identity", "reshape", "slice_by_index", "split"),
        *("squeeze", "transpose"),
    )
)

_OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": lambda x, y: x + y,
    "cast": lambda x, dtype: x,  # the type of the result says it again
    "concat": _concat,
    "conv": _conv,
    "cumsum": _cumsum,
    "einsum": _einsum,
    "expand_dims": lambda x, axes: np.expand_dims(x, tuple(axes)),
    "gather": _gather,
    "gelu": _gelu,
    "greater_equal": lambda x, y: x >= y,
    "identity": lambda x: x,
    "layer_norm": _layer_norm,
    "linear": lambda x, weight, bias: _product(x, weight.T) + bias,
    "matmul": _matmul,
    "mul": lambda x, y: x * y,
    "relu": lambda x: np.maximum(x, 0),
    "reshape": lambda x, shape: np.reshape(x, tuple(shape)),
    "select": lambda cond, a, b: np.where(cond, a, b),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "slice_by_index": _slice,
    "softmax": _softmax,
    "split": _split,
    "squeeze": lambda x, axes: np.squeeze(x, tuple(axes)),
    "sub": lambda x, y: x - y,
    "tanh": lambda x: np.tanh(x),
    "transpose": lambda x, perm: np.transpose(x, tuple(perm)),
}
