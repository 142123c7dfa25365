"""What a loop over elements gathers: sums, and the largest or smallest element.

A step goes in; out come the axes it reduces, what it starts from, and the statement that takes one more element in.
Begin with `reduction_of`.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tracegrad.emit.expressions import Expressions
from tracegrad.ir.trace import Const, Instr
from tracegrad.ir.types import ArrayType
from tracegrad.kernels.arithmetic import added
from tracegrad.kernels.extremes import larger, smaller
from tracegrad.ops.op import call, named

IN_ORDER = 16  # so many terms are added one after the other
_WIDE = {"float32": "float64", "complex64": "complex128"}  # what sums of many terms are added in
_EXTREMES = {"max": larger, "min": smaller}
_COMPARED = ("float64", "float32", "int64")


@dataclass(frozen=True)
class Reduction:
    """Some axes of an array as one element.

    Attributes
    ----------
    kind : "sum", "max" or "min"
    axes : tuple of int
        Of the array that is reduced.
    shape : tuple of int
        Of that array.
    dtype : numpy.dtype
        Of the result.
    """

    kind: str
    axes: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: Any

    @property
    def count(self) -> int:
        """How many elements become one."""
        return math.prod(self.shape[k] for k in self.axes)

    @property
    def longer(self) -> tuple[int, ...]:
        """The axes it reduces that have more than one element."""
        return tuple(k for k in self.axes if self.shape[k] != 1)

    @property
    def kept(self) -> tuple[int, ...]:
        """The axes of more than one element that stay."""
        return tuple(k for k, n in enumerate(self.shape) if n != 1 and k not in self.axes)

    @property
    def wide(self) -> Any:
        """The dtype that many elements are gathered in."""
        return np.dtype(_WIDE.get(self.dtype.name, self.dtype)) if self.kind == "sum" else self.dtype

    def start(self, expressions: Expressions, dtype: Any) -> ast.expr:
        """What there is before any element."""
        first = dtype.type(0)
        if self.kind != "sum":
            lowest = -np.inf if dtype.kind == "f" else np.iinfo(dtype).min
            highest = np.inf if dtype.kind == "f" else np.iinfo(dtype).max
            first = dtype.type(lowest if self.kind == "max" else highest)
        return expressions.constant(first, ArrayType((), dtype))

    def gather(
        self, expressions: Expressions, place: ast.Name | ast.Subscript, element: ast.expr
    ) -> ast.stmt:
        """One more element is taken in; many terms of a sum in the order that suits the machine."""
        found = _read(place)
        if self.kind == "sum":
            if not isinstance(place, ast.Name) or self.count <= IN_ORDER or self.dtype.kind not in "fc":
                return ast.AugAssign(target=place, op=ast.Add(), value=element)
            expressions.kernels[added] = None
            return ast.Assign(targets=[place], value=call(added.__name__, found, element))
        if self.dtype.kind != "f":
            return ast.Assign(targets=[place], value=call(self.kind, found, element))
        function = _EXTREMES[self.kind]
        expressions.kernels[function] = None
        return ast.Assign(targets=[place], value=call(function.__name__, found, element))

    def join(self, expressions: Expressions, place: ast.Name | ast.Subscript, part: ast.expr) -> ast.stmt:
        """What some elements came to is taken in; always in this order."""
        if self.kind == "sum":
            return ast.AugAssign(target=place, op=ast.Add(), value=part)
        return self.gather(expressions, place, part)


def _read(place: ast.Name | ast.Subscript) -> ast.expr:
    if isinstance(place, ast.Name):
        return named(place.id)
    return ast.Subscript(value=place.value, slice=place.slice, ctx=ast.Load())


def reduction_of(instr: Instr) -> Reduction | None:
    """The reduction that a step is, where a loop over elements gathers it; None for other steps."""
    name = instr.op.name
    if name not in ("sum", "sum_to", "max", "min"):
        return None
    given, out = instr.inputs[0], instr.outputs[0]
    if not given.shape or isinstance(given, Const) or -1 in given.shape or out.dtype.kind == "b":
        return None
    if name in _EXTREMES and (out.dtype.name not in _COMPARED or 0 in given.shape):
        return None
    if name == "sum_to":
        axes: Sequence[int] = summed_to(given.shape, out.shape)
    else:
        axes = instr.params["axis"]
    return Reduction("sum" if name == "sum_to" else name, tuple(axes), tuple(given.shape), out.dtype)


def summed_to(given: Sequence[int], shape: Sequence[int]) -> list[int]:
    """The axes that a sum to a shape it was broadcast from reduces."""
    lead = len(given) - len(shape)
    return [k for k, n in enumerate(given) if k < lead or shape[k - lead] != n]
