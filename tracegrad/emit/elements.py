"""Array steps as loops over their elements, for the native text: Numba compiles scalar code at once, but takes a second
for an array expression.

A step has a *loop* where its elements can be computed one by one: elementwise ops, sums over few elements, views that
would not be contiguous. What is nested in such a step is nested in the loop: elementwise ops as scalar expressions,
views as arithmetic on the indices. All shapes are known, so the loops have known limits. Operands and indices go in,
scalar expressions come out. Begin with `has_loop`, then `Elements.at`.
"""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np

from tracegrad.emit.blocks import Compute, Item, Operand, Value
from tracegrad.emit.expressions import (
    Expressions,
    called_vector,
    in_one_dtype,
    is_called_out,
    kernel_of,
    vector_of,
    vector_of_numbers,
)
from tracegrad.emit.joins import is_join
from tracegrad.emit.loops import moved, plus, times
from tracegrad.emit.overlays import is_overlay, place_of_item
from tracegrad.emit.reductions import reduction_of
from tracegrad.ir.trace import Atom, Const, Instr, Var
from tracegrad.ir.types import ArrayType
from tracegrad.kernels.shapes import same
from tracegrad.ops.index import Slot, item_shape, together, whole
from tracegrad.ops.op import call, literal, named

Slotted: TypeAlias = Callable[[Sequence[ast.expr]], ast.expr]
"""A traced part of an index: from the place in what the index arrays have together to the number that stands there."""

_loops: WeakKeyDictionary[Instr, bool] = WeakKeyDictionary()


def has_loop(instr: Instr) -> bool:
    """Whether the native text computes this step element by element; asked many times of each."""
    found = _loops.get(instr)
    if found is None:
        found = _loops[instr] = _has_loop(instr)
    return found


def _has_loop(instr: Instr) -> bool:
    if scalar_step(instr) is not None or reduction_of(instr) is not None:
        return True
    if is_gather(instr) or is_search(instr) or instr.op.name == "numbered":
        return True
    if is_overlay(instr) or is_join(instr):
        return True
    return is_view(instr) and instr.op.name != "reshape" and not _is_row(instr)


def scalar_step(instr: Instr) -> Instr | None:
    """What an elementwise step does for one element; None for other steps, and where that has no compiled form."""
    if instr.op.family != "elementwise" and instr.op.name != "astype":
        return None
    if len(instr.outputs) != 1 or not instr.outputs[0].shape or not all(map(_is_known, instr.inputs)):
        return None
    outputs = tuple(Var(ArrayType((), v.dtype)) for v in instr.outputs)
    found = Instr(instr.op, tuple(map(_element_of, instr.inputs)), outputs, instr.params, instr.location)
    if vector_of(found) is not None:
        return found
    native = instr.op.native(found) if callable(instr.op.native) else instr.op.native
    return None if native is False else found


def vector_function(instr: Instr) -> Any:
    """The vector function that the native text calls for this step, if it calls one."""
    step = scalar_step(instr)
    return vector_of_numbers(instr) if step is None else vector_of(step)


def _element_of(atom: Atom) -> Atom:
    return atom if isinstance(atom, Const) and not atom.shape else Var(ArrayType((), atom.dtype))


def _is_known(atom: Atom) -> bool:
    """Not an array whose length is not known."""
    return -1 not in atom.shape


def is_view(instr: Instr) -> bool:
    """Whether each element is one element of the first input, at indices that `source_index` knows."""
    name = instr.op.name
    if name not in ("getitem", "expand_dims", "broadcast_to", "transpose", "reshape", "roll", "windows"):
        return False
    source, out = instr.inputs[0], instr.outputs[0]
    if not out.shape or any(a.shape for a in instr.inputs[1:]) or not _is_known(source) or -1 in out.shape:
        return False
    if len(instr.inputs) > 1 and 0 in out.shape:
        return False  # the index is checked all the same
    if name == "reshape":
        return _longer_axes(source.shape) == _longer_axes(out.shape) and 0 not in out.shape
    if name == "roll":
        return 0 not in out.shape
    return name != "getitem" or bool(source.shape)


def is_gather(instr: Instr) -> bool:
    """Whether each element is one of the first input's, at indices that are elements of the others."""
    arrays = instr.op.name == "getitem" and any(a.shape for a in instr.inputs[1:])
    return arrays and all(map(_is_known, (*instr.inputs, *instr.outputs)))


def is_search(instr: Instr) -> bool:
    """Whether each element says where one of the second input falls among all of the first."""
    return instr.op.name == "searchsorted" and bool(instr.outputs[0].shape) and kernel_of(instr) is not None


def _longer_axes(shape: Sequence[int]) -> list[int]:
    return [n for n in shape if n != 1]


def _is_row(instr: Instr) -> bool:
    """`x[k]` of a matrix: contiguous, and free."""
    return instr.op.name == "getitem" and all(
        type(p) is int or isinstance(p, Slot) for p in instr.params["index"]
    )


def is_blas_product(instr: Instr) -> bool:
    """Whether BLAS computes the step, one product of matrices or vectors or several, into memory it is given."""
    if instr.op.name not in ("matmul", "dot", "einsum") or any(
        -1 in a.shape for a in (*instr.inputs, *instr.outputs)
    ):
        return False
    return bool(instr.outputs[0].shape) and callable(instr.op.native) and instr.op.native(instr) is True


def fills_result(instr: Instr) -> bool:
    """Whether a step is computed into memory that is there before: by BLAS, by a kernel whose last parameter is
    `out`, or by a function of NumPy's that takes `out`."""
    if is_blas_product(instr):
        return True
    if has_loop(instr) or len(instr.outputs) != 1 or -1 in instr.outputs[0].shape:
        return False
    if is_called_out(instr):
        return instr.op.takes_out(instr)
    kernel = kernel_of(instr)
    return kernel is not None and list(inspect.signature(kernel[0]).parameters)[-1] == "out"


def room_of(instr: Instr) -> ArrayType | None:
    """The memory that a kernel works in, beside that of its result: as many numbers as its parameter `length` says, in
    the type that most arrays have."""
    function, *static = kernel_of(instr) or (None,)
    parameters = [] if function is None else list(inspect.signature(function).parameters)
    if "room" not in parameters:
        return None
    return ArrayType((static[parameters.index("length") - len(instr.inputs)],), np.dtype(np.float64))


def called_kernel(instr: Instr) -> tuple[Any, ...] | None:
    """The kernel that the native text calls for this step, of an element where it is a loop."""
    if not has_loop(instr) or is_search(instr):
        kernel = kernel_of(instr)
        return None if kernel == (same,) else kernel
    step = scalar_step(instr)
    if step is None or step.op.name in ("where", "clip") or vector_of(step) is not None:
        return None
    return kernel_of(step)


def is_light(node: ast.expr) -> bool:
    """Whether a scalar may be computed anew in each round: arithmetic, which compilers move out of loops."""
    return not any(isinstance(part, (ast.Call, ast.Pow, ast.IfExp)) for part in ast.walk(node))


class Elements:
    """Writes single elements of arrays.

    Parameters
    ----------
    expressions : Expressions
        Of the same function.
    letters : sequence of str
        Names of indices that nothing else uses, as many as an array has axes.
    """

    def __init__(self, expressions: Expressions, letters: Sequence[str]) -> None:
        self.expressions = expressions
        self.letters = letters

    def indices(self, shape: Sequence[int]) -> list[ast.expr]:
        """One index for each axis, 0 where it has one element."""
        return index_of(shape, self.letters)

    def at(self, operand: Operand, index: Sequence[ast.expr]) -> ast.expr:
        """The element of an operand at an index of a shape it broadcasts to."""
        if not operand.type.shape:
            return self.expressions.read(operand)
        assert isinstance(operand, Value)
        own = spread_index(operand.type.shape, index)
        maker = operand.maker
        if operand.inner:
            return self.expressions.name(operand)
        if operand.expression is None:
            return subscript(self.expressions.name(operand), own[operand.dropped :])
        if isinstance(maker, Item):
            return subscript(self.expressions.read(maker.stack), [self.expressions.read(maker.index), *own])
        assert isinstance(maker, Compute)
        return self.of(maker, own)

    def of(self, node: Compute, index: Sequence[ast.expr]) -> ast.expr:
        """The element of a node's result at an index, from elements of its inputs."""
        instr = node.instr
        if instr.op.name == "numbered":
            return _number_of(index, instr.outputs[0].shape)
        if is_view(instr) or is_gather(instr):
            return self.at(node.inputs[0], source_index(instr, index, self.slots(instr, node.inputs[1:])))
        if is_search(instr):
            row, number = node.inputs
            return self.expressions.combine(instr, [self.expressions.read(row), self.at(number, index)])
        step = scalar_step(instr)
        assert step is not None
        inputs = [
            self.expressions.operand(x, k, step) if isinstance(x, Const) else self.at(x, index)
            for k, x in enumerate(node.inputs)
        ]
        if step.op.name == "where":
            return ast.IfExp(test=inputs[0], body=inputs[1], orelse=inputs[2])
        if step.op.name == "clip":
            return call("np.minimum", call("np.maximum", *inputs[:2]), inputs[2])
        function = vector_of(step)
        if function is not None:
            return called_vector(function, inputs)
        if step.op.name == "remainder" and step.outputs[0].dtype.kind != "f":
            # Numba's operator is Python's, which divides by zero otherwise than NumPy
            return self.expressions.cast(call("np.remainder", *in_one_dtype(step, inputs)), step)
        return self.expressions.combine(step, inputs)

    def slots(self, instr: Instr, operands: Sequence[Operand]) -> list[Slotted]:
        """The traced parts of an index, each from the place in what the index arrays have together."""
        if not operands:
            return []
        numbers = self.expressions.slots(instr, operands)
        return [
            partial(self.at, x) if x.type.shape else partial(_the_same, number)
            for x, number in zip(operands, numbers, strict=True)
        ]


def _the_same(number: ast.expr, place: Sequence[ast.expr]) -> ast.expr:
    return number


def subscript(array: ast.expr, index: Sequence[ast.expr], store: bool = False) -> ast.Subscript:
    """`array[i, j]`."""
    key = index[0] if len(index) == 1 else ast.Tuple(elts=list(index), ctx=ast.Load())
    return ast.Subscript(value=array, slice=key, ctx=ast.Store() if store else ast.Load())


def index_of(shape: Sequence[int], letters: Sequence[str]) -> list[ast.expr]:
    """An index by these letters, 0 along an axis with one element."""
    names = zip(shape, letters, strict=False)
    return [literal(0) if n == 1 else named(letter) for n, letter in names]


def spread_index(shape: Sequence[int], index: Sequence[ast.expr]) -> list[ast.expr]:
    """The index in an array of this shape, for an index of a shape it broadcasts to."""
    last = index[len(index) - len(shape) :]
    return [literal(0) if n == 1 else place for n, place in zip(shape, last, strict=True)]


def source_index(instr: Instr, index: Sequence[ast.expr], slots: Sequence[Slotted] = ()) -> list[ast.expr]:
    """Where a view or a gather reads the element that it has at `index`; `slots` are the traced parts of its index."""
    name, shape, params = instr.op.name, instr.inputs[0].shape, instr.params
    if name == "getitem":
        return item_index(instr, index, slots)
    if name == "broadcast_to":
        return spread_index(shape, index)
    if name == "expand_dims":
        return [place for k, place in enumerate(index) if k not in params["axis"]]
    if name == "transpose":
        return [index[params["axes"].index(k)] for k in range(len(shape))]
    if name == "roll":
        axis = params["axis"]
        return [_around(p, -params["shift"], shape[k]) if k == axis else p for k, p in enumerate(index)]
    if name == "windows":
        return place_of_item(instr, index, shape)
    longer = iter([place for n, place in zip(instr.outputs[0].shape, index, strict=True) if n != 1])
    return [literal(0) if n == 1 else next(longer) for n in shape]


def item_index(instr: Instr, index: Sequence[ast.expr], slots: Sequence[Slotted] = ()) -> list[ast.expr]:
    """Where a read or a write finds the element at `index` of its part."""
    shape = instr.inputs[0].shape
    shared, others = split_index(instr, index)
    lengths, places = iter(shape), iter(others)
    found: list[ast.expr] = []
    for part in whole(instr.params["index"], len(shape)):
        if part is None:
            next(places)
            continue
        length = next(lengths)
        if isinstance(part, Slot):
            found.append(slots[part.number](shared))
        elif isinstance(part, slice):
            start, _, step = part.indices(length)
            found.append(moved(next(places), start, step))
        else:
            found.append(literal(int(part) % length))
    return found


def split_index(instr: Instr, index: Sequence[ast.expr]) -> tuple[list[ast.expr], list[ast.expr]]:
    """The index of an element of a part: along the axes of the index arrays, and along all others."""
    shape, before = together(instr)
    end = before + len(shape)
    return list(index[before:end]), [*index[:before], *index[end:]]


def _number_of(index: Sequence[ast.expr], shape: Sequence[int]) -> ast.expr:
    """How many elements stand before one in memory."""
    found: ast.expr | None = None
    for k, place in enumerate(index):
        width = math.prod(shape[k + 1 :])
        if isinstance(place, ast.Constant):
            continue
        term = place if width == 1 else times(place, width)
        found = term if found is None else plus(found, term)
    return literal(0) if found is None else found


def _around(place: ast.expr, by: int, length: int) -> ast.expr:
    """`(place + by) % length`; what stands before the remainder is never negative."""
    if isinstance(place, ast.Constant) and isinstance(place.value, int):
        return literal((place.value + by) % length)
    match place:
        case ast.BinOp(left=ast.BinOp() as inner, op=ast.Mod(), right=ast.Constant(value=same)) if (
            same == length
        ):
            place = inner
    match place:
        case ast.BinOp(left=left, op=ast.Add(), right=ast.Constant(value=int(start))):
            place, by = left, by + start
    other = moved(place, by % length)
    return other if other is place else ast.BinOp(left=other, op=ast.Mod(), right=literal(length))


def writes_in_loop(instr: Instr) -> bool:
    """Whether `index_add` or `index_set` into this part of an array is a loop over the part."""
    if instr.op.name not in ("index_add", "index_set") or not all(map(_is_known, instr.inputs)):
        return False
    source, *_, value = instr.inputs
    if 0 in source.shape:
        return False
    part = item_shape(instr)
    return bool(part) and len(value.shape) <= len(part)
