"""What is computed of arrays that are put together of large parts is computed of the parts.

For native text alone: `np.sum(np.concatenate([x, y]) ** 2)` needs no array but x and y, and the reverse, which takes
the parts out again, none at all. Elementwise steps are done before parts are put together (`concatenate`, `stack`), or
before an array gets its border (`pad`); sums over the parts are added, so are means and variances, and the largest
of all is that of the parts; products of a vector and a matrix of large vectors are sums of those, or sums of products
with them; what is read of one part alone is read there. Each element is computed once, as it was, but for such
products. Small arrays stay as they are: one loop is faster than several. A trace comes in, and one with the same
meaning goes out. Begin with `in_parts`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import partial, reduce
from itertools import accumulate
from typing import Any

import numpy as np

from tracegrad.ir.trace import Atom, Const, Instr, Trace, Var
from tracegrad.ir.walk import map_control
from tracegrad.ops.arithmetic import add, divide, multiply
from tracegrad.ops.compare import maximum, minimum
from tracegrad.ops.elementary import sqrt
from tracegrad.ops.families import astype
from tracegrad.ops.index import getitem, whole
from tracegrad.ops.linalg import outer
from tracegrad.ops.op import Op
from tracegrad.ops.reduce import max_, sum_, var
from tracegrad.ops.shape import concatenate, expand_dims, pad, reshape, stack
from tracegrad.passes.items import read_of_stack
from tracegrad.passes.rewrite import Heads, Made, Rule, Term, evaluate_constant, expression, rewrite
from tracegrad.passes.spell_out import deviation, variance
from tracegrad.passes.windows import WINDOWS

LARGE = 2**13  # elements of the smallest part
MANY = 4  # parts
COLUMNS = 16  # parts that lie along the last axis, as the columns of a matrix: one loop reads them all
_JOINS = (concatenate, stack, pad)


def in_parts(trace: Trace) -> Trace:
    """Let steps work on the parts of large arrays, in the trace and in those it holds.

    Preserves the types of all values, and their values up to the order in which sums are taken.
    """
    return rewrite(map_control(trace, in_parts), _rules_for)


def _rules_for(op: Op, heads: Heads) -> tuple[Rule, ...]:
    if op.name in WINDOWS:
        return WINDOWS[op.name]
    if not any(head in _JOINS for head in heads):
        return (_read_of_outer, _read_of_repeated) if op is getitem else ()
    return (_joined_later, _bordered_later) if op.family == "elementwise" else _RULES.get(op.name, ())


def _join(atom: Atom, made: Made, *ops: Op, many: int = MANY) -> Instr | None:
    """The step that put an array together of few large parts of its dtype; of more, where they are its columns."""
    maker = made.get(atom) if isinstance(atom, Var) else None
    if maker is None or maker.op not in ops or -1 in atom.shape:
        return None
    parts = maker.inputs
    are_columns = maker.op is stack and maker.params["axis"] == len(atom.shape) - 1
    if len(parts) > (COLUMNS if are_columns else many):
        return None
    if any(p.dtype != atom.dtype or -1 in p.shape for p in parts) or max(p.type.size for p in parts) < LARGE:
        return None
    return maker


def _joined_later(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """concatenate(x, y) * z -> concatenate(x * z[:n], y * z[n:]), and so for stack"""
    joins = [join for a in step.inputs if (join := _join(a, made, concatenate, stack))]
    if not joins or len(step.outputs) != 1:
        return None
    first, shape = joins[0], step.outputs[0].shape
    if first.outputs[0].shape != shape:
        return None
    columns = [_parts_of(a, first, made) for a in step.inputs]
    rows = [expression(step.op, *row, **step.params) for row in zip(*columns, strict=True)]
    return expression(first.op, *rows, **first.params)


def _parts_of(a: Any, like: Instr, made: Made) -> Sequence[Any]:
    """An operand in the parts of an array: what repeats along its axis is the same for all, other arrays are read."""
    behind = len(like.outputs[0].shape) - like.params["axis"]  # axes are counted from the last one
    axis = len(a.shape) - behind
    if axis < 0:
        return [a] * len(like.inputs)
    join = _join(a, made, like.op) if a.shape == like.outputs[0].shape else None
    if join is not None and join.params == like.params and _shapes(join) == _shapes(like):
        return join.inputs
    before = [slice(None)] * axis
    if a.shape[axis] == 1:
        return [_without_axis(a, axis, made) if like.op is stack else a] * len(like.inputs)
    places = range(len(like.inputs)) if like.op is stack else [slice(*ends) for ends in _ends(like)]
    return [expression(getitem, a, index=(*before, place)) for place in places]


def _without_axis(a: Any, axis: int, made: Made) -> Any:
    """An array without an axis of one element."""
    maker = made.get(a) if isinstance(a, Var) else None
    if maker is not None and maker.op is expand_dims and maker.params["axis"] == (axis,):
        return maker.inputs[0]
    return expression(reshape, a, shape=(*a.shape[:axis], *a.shape[axis + 1 :]))


def _shapes(join: Instr) -> list[Any]:
    return [p.shape for p in join.inputs]


def _ends(join: Instr) -> list[tuple[int, int]]:
    """Where the parts of `concatenate` begin and end."""
    axis = join.params["axis"]
    ends = list(accumulate(p.shape[axis] for p in join.inputs))
    return list(zip([0, *ends], ends, strict=False))


def _bordered_later(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """pad(x, c) ** 2 -> pad(x ** 2, c ** 2), and so for several arrays with the same borders and for constants"""
    inner: list[Any] = []
    border: list[Const] = []
    widths: Any = None
    for a in step.inputs:
        join = _join(a, made, pad)
        if join is not None and widths in (None, join.params["widths"]):
            widths = join.params["widths"]
            inner.append(join.inputs[0])
            border.append(Const(a.dtype.type(join.params["value"])))
        elif isinstance(a, Const) and not a.shape:
            inner.append(a)
            border.append(a)
        else:
            return None
    out = step.outputs[0]
    if out.dtype.kind not in "fiu":
        return None
    value = evaluate_constant(step.op, border, step.params)
    if value is None or not np.all(np.isfinite(value)):
        return None
    term = expression(step.op, *inner, **step.params)
    return expression(pad, term, widths=widths, value=np.asarray(value, out.dtype)[()].item())


# --- sums -------------------------------------------------------------------------------------------------------------


def _sum_of_parts(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """sum(concatenate(x, y)) -> sum(x) + sum(y), so for stack, and over some axes; sum(pad(x, 0)) -> sum(x)"""
    return _summed(step.inputs[0], step.params["axis"], step.params["keepdims"], made)


def _sum_to_columns(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """sum_to(stack(x, y, axis=1), (2,)) -> stack(sum(x), sum(y)): the reverse of columns times numbers"""
    (x,), out = step.inputs, step.outputs[0]
    join = _join(x, made, stack)
    if join is None or join.params["axis"] != len(x.shape) - 1 or out.shape != x.shape[-1:]:
        return None
    if x.dtype.kind != "f":
        return None
    axes = tuple(range(len(x.shape) - 1))
    sums = [expression(sum_, part, axis=axes, keepdims=False) for part in join.inputs]
    return expression(stack, *sums, axis=0)


def _extreme_of_parts(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """max(stack(x, y), axis=0) -> maximum(x, y), so for min"""
    (x,), axes = step.inputs, step.params["axis"]
    join = _join(x, made, stack)
    if join is None or tuple(axes) != (join.params["axis"],) or x.dtype.kind != "f":
        return None
    parts: Sequence[Any] = join.inputs
    found = reduce(partial(expression, maximum if step.op is max_ else minimum), parts)
    return expression(expand_dims, found, axis=tuple(axes)) if step.params["keepdims"] else found


def _mean_of_parts(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """mean(concatenate(x, y)) -> (sum(x) + sum(y)) / n"""
    (x,), axes = step.inputs, tuple(step.params["axis"])
    found = None if x.dtype.kind != "f" else _summed(x, axes, False, made)
    if found is None:
        return None
    average = expression(divide, found, Const(float(math.prod(x.shape[k] for k in axes))))
    return expression(expand_dims, average, axis=axes) if step.params["keepdims"] else average


def _spread_of_columns(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """var(stack(x, y), axis=0), std(stack(x, y), axis=0) -> as sums over the parts"""
    join = _join(step.inputs[0], made, stack)
    own = join is not None and tuple(step.params["axis"]) == (join.params["axis"],)
    return (variance if step.op is var else deviation)(step, made, counts) if own else None


def _summed(x: Atom, axes: Sequence[int], keepdims: bool, made: Made) -> Term | None:
    join = _join(x, made, *_JOINS)
    if join is None or x.dtype.kind not in "fcb":
        return None
    if join.op is stack and tuple(axes) == (join.params["axis"],):
        parts = map(_as_number, join.inputs) if x.dtype.kind == "b" else join.inputs
        found = reduce(_plus, parts)
        return expression(expand_dims, found, axis=tuple(axes)) if keepdims else found
    if x.dtype.kind == "b":
        return None
    if join.op is pad:
        around = [k for k, sides in enumerate(join.params["widths"]) if any(sides)]
        if join.params["value"] != 0 or not set(around) <= set(axes):
            return None
        return expression(sum_, join.inputs[0], axis=tuple(axes), keepdims=keepdims)
    axis = join.params["axis"]
    if axis not in axes:
        return None
    if join.op is concatenate:
        return reduce(_plus, [expression(sum_, p, axis=tuple(axes), keepdims=keepdims) for p in join.inputs])
    others = tuple(k - (k > axis) for k in axes if k != axis)
    if keepdims:
        return None
    return reduce(_plus, [expression(sum_, p, axis=others, keepdims=False) for p in join.inputs])


def _as_number(truths: Any) -> Any:
    return expression(astype, truths, dtype=np.dtype(np.int64))


def _plus(x: Any, y: Any) -> Any:
    return expression(add, x, y)


def _norm_of_parts(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """norm(concatenate(x, y)) -> sqrt(sum(x * x) + sum(y * y))"""
    (x,) = step.inputs
    join = _join(x, made, *_JOINS)
    if join is None or x.dtype.kind != "f":
        return None
    return expression(sqrt, expression(sum_, expression(multiply, x, x), **step.params))


# --- products ---------------------------------------------------------------------------------------------------------


def _product_of_parts(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """stack(x, y, axis=1) @ v -> x * v[0] + y * v[1]; stack(x, y) @ v -> stack(sum(x * v), sum(y * v)); so v @ stack"""
    matrix, vector = step.inputs if step.inputs[0].type.ndim == 2 else reversed(step.inputs)
    join = _join(matrix, made, stack, many=COLUMNS)
    if join is None or matrix.type.ndim != 2 or vector.type.ndim != 1 or matrix.dtype.kind != "f":
        return None
    if vector.dtype != matrix.dtype:
        return None
    if join.params["axis"] == (matrix is step.inputs[0]):
        items = [expression(getitem, vector, index=(k,)) for k in range(len(join.inputs))]
        return reduce(_plus, [expression(multiply, *pair) for pair in zip(join.inputs, items, strict=True)])
    products = [expression(multiply, part, vector) for part in join.inputs]
    return expression(stack, *(expression(sum_, p, axis=(0,), keepdims=False) for p in products), axis=0)


# --- what is read again -----------------------------------------------------------------------------------------------


def _read_of_part(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """concatenate(x, y)[n:] -> y, so for other reads of one part alone; pad(x, 1)[1:-1] -> x"""
    source = _join(step.inputs[0], made, concatenate, pad)
    if source is None or len(step.inputs) > 1 or None in step.params["index"]:
        return None
    index = whole(step.params["index"], step.inputs[0].type.ndim)
    if source.op is concatenate:
        axis = source.params["axis"]
        for part, (start, end) in zip(source.inputs, _ends(source), strict=True):
            place = _within(index[axis], start, end, step.inputs[0].shape[axis])
            if place is not None:
                return _read(part, [*index[:axis], place, *index[axis + 1 :]])
        return None
    (x,) = source.inputs
    places = []
    for p, n, around, (before, _) in zip(
        index, x.shape, step.inputs[0].shape, source.params["widths"], strict=True
    ):
        place = _within(p, before, before + n, around)
        if place is None:
            return None
        places.append(place)
    return _read(x, places)


def _read_of_outer(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """outer(x, y)[:, k] -> x * y[k], and so for a row: the reverse of a product with stacked vectors"""
    source, index = step.inputs[0], step.params["index"]
    maker = made.get(source) if isinstance(source, Var) else None
    if maker is None or maker.op is not outer or None in index or source.type.size < LARGE:
        return None
    x, y = maker.inputs
    row, column = whole(index, 2)
    if type(column) is int and row == slice(None):
        return expression(multiply, x, expression(getitem, y, index=(column,)))
    if type(row) is int and column == slice(None):
        return expression(multiply, expression(getitem, x, index=(row,)), y)
    return None


def _read_of_repeated(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """(expand_dims(x) * y)[:, k] -> x * y[k], where both repeat: the reverse of a sum of columns times numbers"""
    source, index = step.inputs[0], step.params["index"]
    maker = made.get(source) if isinstance(source, Var) else None
    if maker is None or maker.op is not multiply or None in index or source.type.size < LARGE:
        return None
    *rows, column = whole(index, source.type.ndim)
    if type(column) is not int or any(part != slice(None) for part in rows):
        return None
    if -1 in source.shape or any(a.shape == source.shape for a in maker.inputs):
        return None
    return expression(multiply, *(_column(a, column, made) for a in maker.inputs))


def _column(a: Any, k: int, made: Made) -> Any:
    """An array at one place of its last axis, along which it may repeat."""
    if not a.shape:
        return a
    if a.shape[-1] == 1:
        return _without_axis(a, len(a.shape) - 1, made)
    return expression(getitem, a, index=(*[slice(None)] * (len(a.shape) - 1), k))


def _read(x: Atom, index: Sequence[Any]) -> Term:
    everything = all(p == slice(0, n) for p, n in zip(index, x.shape, strict=True) if p != slice(None))
    return x if everything else expression(getitem, x, index=tuple(index))


def _within(place: Any, start: int, end: int, length: int) -> Any:
    """A place of an axis, counted from `start`; None if it is not between the ends."""
    if type(place) is int:
        place %= length
        return place - start if start <= place < end else None
    if not isinstance(place, slice):
        return None
    taken = range(length)[place]
    if not taken or taken.step < 0 or taken[0] < start or taken[-1] >= end:
        return None
    return slice(taken[0] - start, taken[-1] + 1 - start, None if taken.step == 1 else taken.step)


_RULES: dict[str, tuple[Rule, ...]] = {
    "sum": (_sum_of_parts,),
    "sum_to": (_sum_to_columns,),
    "mean": (_mean_of_parts,),
    "var": (_spread_of_columns,),
    "std": (_spread_of_columns,),
    "max": (_extreme_of_parts,),
    "min": (_extreme_of_parts,),
    "norm": (_norm_of_parts,),
    "matmul": (_product_of_parts,),
    "getitem": (read_of_stack, _read_of_part),
}
