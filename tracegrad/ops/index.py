"""Reading and writing items: getitem, index_add, index_set; integer arrays and masks as traced inputs.

An index is split into a static template and traced arrays: `x[1:, idx]` is `getitem(x, idx, index=(slice(1, None),
Slot(0)))`. Begin with `read`.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tracegrad.errors import InternalError
from tracegrad.ir.trace import Instr
from tracegrad.ir.types import ArrayType
from tracegrad.ops.families import cast, sum_to
from tracegrad.ops.op import Op, literal


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of a traced array in an index template."""

    number: int


def fill(index: Sequence[Any], arrays: Sequence[Any]) -> tuple[Any, ...]:
    """The index that NumPy takes: the template with its arrays put in."""
    return tuple(arrays[part.number] if isinstance(part, Slot) else part for part in index)


def split(key: Any) -> tuple[tuple[Any, ...], list[Any]]:
    """A NumPy index as template and arrays."""
    parts = key if isinstance(key, tuple) else (key,)
    template: list[Any] = []
    arrays: list[Any] = []
    for part in parts:
        if isinstance(part, (bool, np.bool_)) or (isinstance(part, list)):
            part = np.asarray(part)
        if part is None or part is Ellipsis or isinstance(part, slice):
            template.append(part)
        elif hasattr(part, "shape") and (part.shape or getattr(part, "recorder", None) is not None):
            template.append(Slot(len(arrays)))
            arrays.append(part)
        else:
            template.append(part.__index__())
    return tuple(template), arrays


def read(x: Any, key: Any) -> Any:
    """`x[key]` recorded as one op."""
    template, arrays = split(key)
    return getitem(x, *arrays, index=template)


def _item_type(x: Any, *arrays: Any, index: Any) -> ArrayType:
    empty = np.broadcast_to(np.empty((), bool), x.shape)
    stand_ins = [np.zeros(a.shape, a.dtype) if not hasattr(a, "value") else a.value for a in arrays]
    return ArrayType(empty[fill(index, stand_ins)].shape, x.dtype)


def index_text(inputs: Sequence[ast.expr], index: Any) -> ast.expr:
    """What stands between the brackets."""
    parts = [inputs[p.number] if isinstance(p, Slot) else literal(p) for p in index]
    return parts[0] if len(parts) == 1 else ast.Tuple(elts=parts, ctx=ast.Load())


def _emit_getitem(inputs: Sequence[ast.expr], instr: Instr) -> ast.expr:
    return ast.Subscript(
        value=inputs[0], slice=index_text(inputs[1:], instr.params["index"]), ctx=ast.Load()
    )


def _evaluate_getitem(x: Any, *arrays: Any, index: Any) -> Any:
    return x[fill(index, arrays)]


def _changed(write: Any) -> Any:
    def evaluate(a: Any, *rest: Any, index: Any) -> Any:
        *arrays, value = rest
        out = np.array(a)
        write(out, fill(index, arrays), value)
        return out

    return evaluate


def _same_type(a: Any, *rest: Any, index: Any) -> ArrayType:
    return ArrayType(a.shape, a.dtype)


def _emit_change(inputs: Sequence[ast.expr], instr: Instr) -> ast.expr:
    raise InternalError(f"{instr.op} is written as a statement, by emit/statements.py")


def _getitem_vjp(g: Any, z: Any, x: Any, *arrays: Any, index: Any) -> tuple[Any, ...]:
    return (index_add(zeros_like(x), *arrays, g, index=index), *(None for _ in arrays))


def _getitem_jvp(tangents: Any, z: Any, x: Any, *arrays: Any, index: Any) -> Any:
    return None if tangents[0] is None else getitem(tangents[0], *arrays, index=index)


def _fit(g: Any, value: Any) -> Any:
    """The cotangent of a written value, which may have been broadcast into its place."""
    return cast(sum_to(g, shape=value.shape) if g.shape != value.shape else g, value.dtype)


def _add_vjp(g: Any, z: Any, a: Any, *rest: Any, index: Any) -> tuple[Any, ...]:
    *arrays, value = rest
    return (g, *(None for _ in arrays), _fit(getitem(g, *arrays, index=index), value))


def _add_jvp(tangents: Any, z: Any, a: Any, *rest: Any, index: Any) -> Any:
    a_dot, *_, value_dot = tangents
    arrays = rest[:-1]
    if value_dot is None:
        return a_dot
    return index_add(zeros_like(a) if a_dot is None else a_dot, *arrays, value_dot, index=index)


def _set_vjp(g: Any, z: Any, a: Any, *rest: Any, index: Any) -> tuple[Any, ...]:
    *arrays, value = rest
    return (
        index_set(g, *arrays, 0.0, index=index),
        *(None for _ in arrays),
        _fit(getitem(g, *arrays, index=index), value),
    )


def _set_jvp(tangents: Any, z: Any, a: Any, *rest: Any, index: Any) -> Any:
    a_dot, *_, value_dot = tangents
    arrays = rest[:-1]
    if a_dot is None and value_dot is None:
        return None
    return index_set(
        zeros_like(a) if a_dot is None else a_dot, *arrays, 0.0 if value_dot is None else value_dot, index=index
    )


def _write_add(out: Any, key: Any, value: Any) -> None:
    np.add.at(out, key, value)


def _write(out: Any, key: Any, value: Any) -> None:
    out[key] = value


zeros: Op = Op(
    "zeros",
    lambda shape, dtype: np.zeros(shape, dtype),
    result_type=lambda shape, dtype: ArrayType(tuple(shape), np.dtype(dtype)),
    passes_zero=True,
)
"""A fresh array of zeros; has no inputs, so only a `Builder` or a `Recording` can write it."""

zeros_like: Op = Op(
    "zeros_like", np.zeros_like, result_type=lambda x: ArrayType(x.shape, x.dtype), passes_zero=True
)

getitem: Op = Op(
    "getitem",
    _evaluate_getitem,
    result_type=_item_type,
    vjp=_getitem_vjp,
    jvp=_getitem_jvp,
    emit=_emit_getitem,
    view=True,
)
"""`x[index]`; inputs: x, then the traced arrays of the template's slots."""

index_add: Op = Op(
    "index_add", _changed(_write_add), result_type=_same_type, vjp=_add_vjp, jvp=_add_jvp, emit=_emit_change
)
"""A copy of `a` with `value` added at `index`, repeats adding up; inputs: a, the arrays of the slots, value."""

index_set: Op = Op(
    "index_set", _changed(_write), result_type=_same_type, vjp=_set_vjp, jvp=_set_jvp, emit=_emit_change
)
"""A copy of `a` with `value` written at `index`; inputs as for `index_add`."""
