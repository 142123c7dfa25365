"""Reading and writing items: getitem, index_add, index_set; integer arrays and masks as traced inputs.

An index is split into a static template and traced arrays: `x[1:, idx]` is `getitem(x, idx, index=(slice(1, None),
Slot(0)))`. Begin with `read`.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tracegrad.errors import InternalError, UnsupportedError
from tracegrad.ir.trace import Instr
from tracegrad.ir.types import ArrayType, broadcast_shapes
from tracegrad.kernels import items, shapes
from tracegrad.ops.compare import equal, where
from tracegrad.ops.families import case, cast, sum_to
from tracegrad.ops.op import Op, call, literal


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of a traced array in an index template."""

    number: int


def fill(index: Sequence[Any], arrays: Sequence[Any]) -> tuple[Any, ...]:
    """The index that NumPy takes: the template with its arrays put in."""
    return tuple(arrays[part.number] if isinstance(part, Slot) else part for part in index)


def split(key: Any) -> tuple[tuple[Any, ...], list[Any]]:
    """A NumPy index as template and arrays; a known mask becomes the positions where it is true.

    Raises
    ------
    UnsupportedError : a traced mask, whose number of items is not known
    """
    parts = key if isinstance(key, tuple) else (key,)
    template: list[Any] = []
    arrays: list[Any] = []
    for part in parts:
        if isinstance(part, (bool, np.bool_, list, tuple)) or _is_other_sequence(part):
            part = np.asarray(
                part, dtype=None if isinstance(part, (bool, np.bool_)) or len(part) else np.intp
            )
        if part is None or part is Ellipsis:
            template.append(part)
        elif isinstance(part, slice):
            ends = (None if end is None else end.__index__() for end in (part.start, part.stop, part.step))
            template.append(slice(*ends))
        elif hasattr(part, "dtype") and part.dtype.kind == "b":
            if getattr(part, "recorder", None) is not None:
                raise UnsupportedError(
                    "an index is a mask that is computed from traced values: how many items it picks is not known.",
                    None,
                    "choose by value, np.where(mask, x, 0.0), or take the mask from values that are not traced",
                )
            if not part.ndim and len(parts) == 1 and part:
                template.append(None)
                continue
            if not part.ndim:
                raise UnsupportedError(
                    "an index is a single truth value.", None, "write `if flag:` around the reading"
                )
            for positions in np.nonzero(part):
                template.append(Slot(len(arrays)))
                arrays.append(positions)
        elif hasattr(part, "shape") and (part.shape or getattr(part, "recorder", None) is not None):
            template.append(Slot(len(arrays)))
            arrays.append(part)
        elif hasattr(part, "__index__"):
            template.append(part.__index__())
        else:
            np.empty(0)[part]  # NumPy says what an index may be
    return tuple(template), arrays


def _is_other_sequence(part: Any) -> bool:
    """Whether NumPy makes an array of whole numbers of this: a range, `array.array`, a deque."""
    return not hasattr(part, "dtype") and isinstance(part, Sequence) and not isinstance(part, (str, bytes))


def check_masks(key: Any, shape: tuple[int, ...]) -> None:
    """Let NumPy refuse the masks of an index, traced or not, that are not as long as the axes they pick from.

    Raises
    ------
    IndexError : NumPy's
    """
    given = key if isinstance(key, tuple) else (key,)
    parts = [np.asarray(p) if isinstance(p, (list, tuple)) and not _is_traced(p) else p for p in given]
    masks = [getattr(getattr(p, "dtype", None), "kind", "") == "b" and p.ndim > 0 for p in parts]
    if any(masks):
        plain = [
            np.zeros(p.shape, bool) if mask else p if p is None or p is Ellipsis else slice(None)
            for p, mask in zip(parts, masks, strict=True)
        ]
        np.broadcast_to(np.empty((), bool), shape)[tuple(plain)]


def names_once(shape: Sequence[int], template: Sequence[Any], arrays: Sequence[Any]) -> bool:
    """Whether an index of arrays that do not depend on anything traced names no place twice."""
    if any(getattr(array, "recorder", None) is not None for array in arrays):
        return False
    places = np.arange(np.prod(shape, dtype=int)).reshape(shape)[fill(template, arrays)]
    return len(np.unique(places)) == np.size(places)


def _is_traced(items: Any) -> bool:
    """Whether a list or a tuple holds a traced number, which NumPy would ask for its value."""
    if isinstance(items, (list, tuple)):
        return any(map(_is_traced, items))
    return getattr(items, "recorder", None) is not None


def is_false(key: Any) -> bool:
    """Whether an index is a single truth value that is false, and picks nothing."""
    single = (
        isinstance(key, (bool, np.bool_, np.ndarray))
        and np.ndim(key) == 0
        and np.asarray(key).dtype.kind == "b"
    )
    return single and not key


def read(x: Any, key: Any) -> Any:
    """`x[key]` recorded as one op."""
    if is_false(key):  # nothing along a new axis
        return getitem(getitem(x, index=(None,)), index=(slice(0, 0),))
    template, arrays = split(key)
    return getitem(x, *arrays, index=template)


def without_leading(part: Any, x: np.ndarray[Any, Any], key: Any) -> Any:
    """What `x[key] = part` writes: NumPy leaves out dimensions in front that `x[key]` lacks and that have length 1.

    Where `x[key]` is a number, NumPy has its own mind about an array: that is refused by NumPy.
    """
    shape = getattr(part, "shape", ())
    there = x[key] if shape[:1] == (1,) else part
    extra = len(shape) - np.ndim(there)
    dropped = extra > 0 and isinstance(there, np.ndarray) and shape[:extra] == (1,) * extra
    return getitem(part, index=(0,) * extra) if dropped else part


def _item_type(x: Any, *arrays: Any, index: Any) -> ArrayType:
    empty = np.broadcast_to(np.empty((), bool), x.shape)
    # a number outside the array is an error when it runs, which it may never do: only masks count by value
    stand_ins = [
        a.value if a.dtype.kind == "b" and hasattr(a, "value") else np.zeros(a.shape, a.dtype) for a in arrays
    ]
    return ArrayType(empty[fill(index, stand_ins)].shape, x.dtype)


def index_text(inputs: Sequence[ast.expr], index: Any) -> ast.expr:
    """What stands between the brackets."""
    parts = [inputs[p.number] if isinstance(p, Slot) else literal(p) for p in index]
    return parts[0] if len(parts) == 1 else ast.Tuple(elts=parts, ctx=ast.Load())


def _indexed_axes(index: Sequence[Any]) -> int:
    return sum(part is not None and part is not Ellipsis for part in index)


def _emit_getitem(inputs: Sequence[ast.expr], instr: Instr) -> ast.expr:
    index = instr.params["index"]
    arrays = any(a.shape for a in instr.inputs[1:])  # an ellipsis stands between them
    if Ellipsis in index and len(index) > 1 and _indexed_axes(index) == instr.inputs[0].ndim and not arrays:
        index = tuple(part for part in index if part is not Ellipsis)
    return ast.Subscript(value=inputs[0], slice=index_text(inputs[1:], index), ctx=ast.Load())


def whole(index: Sequence[Any], ndim: int) -> list[Any]:
    """The template with a part for every axis."""
    taken = _indexed_axes(index)
    rest = [slice(None)] * (ndim - taken)
    if Ellipsis not in index:
        return [*index, *rest]
    middle = list(index).index(Ellipsis)
    return [*index[:middle], *rest, *index[middle + 1 :]]


def together(instr: Instr) -> tuple[tuple[int, ...], int]:
    """The shape that the index arrays of a read or write have together, and how many axes of the part stand before its.

    NumPy puts these axes where the arrays stand; first, where something else stands between the arrays. Beside an array
    a number is an array, too.
    """
    index, arrays = instr.params["index"], index_arrays(instr)
    if not any(a.shape for a in arrays):
        return (), 0
    taking = [isinstance(part, (Slot, int)) for part in index]
    first, last = taking.index(True), len(taking) - taking[::-1].index(True)
    apart = not all(taking[first:last])
    before = whole(index, instr.inputs[0].type.ndim).index(index[first]) if not apart else 0
    return broadcast_shapes(*(a.shape for a in arrays)), before


def index_arrays(instr: Instr) -> tuple[Any, ...]:
    """The traced parts of the index of a read or write."""
    return instr.inputs[1:] if instr.op is getitem else instr.inputs[1:-1]


def item_shape(instr: Instr) -> tuple[int, ...]:
    """The shape of the part that a read or write is about."""
    index = instr.params["index"]
    return tuple(_item_type(instr.inputs[0], *index_arrays(instr), index=index).shape)


def _native_getitem(instr: Instr) -> Any:
    """Numbers in slots are written as they are, see `emit/indices.py`; arrays of positions are read in loops."""
    index, x, out = instr.params["index"], instr.inputs[0], instr.outputs[0]
    if not x.shape:
        return (shapes.filled, tuple(out.shape)) if out.shape else (shapes.same,)
    if any(a.shape for a in instr.inputs[1:]):
        return False
    return (shapes.only_item,) if not out.shape and index in ((Ellipsis,), ()) else True


def _native_change(instr: Instr) -> bool:
    """Basic indices are written as statements; arrays of positions in loops alone."""
    return bool(instr.inputs[0].shape) and not any(a.shape for a in index_arrays(instr))


def _evaluate_getitem(x: Any, *arrays: Any, index: Any) -> Any:
    return x[fill(index, arrays)]


def _changed(write: Any) -> Any:
    def evaluate(a: Any, *rest: Any, index: Any, once: bool = False) -> Any:
        *arrays, value = rest
        out = np.array(a)
        write(out, fill(index, arrays), value)
        return out

    return evaluate


def _same_type(a: Any, *rest: Any, index: Any, once: bool = False) -> ArrayType:
    return ArrayType(a.shape, a.dtype)


def _emit_change(inputs: Sequence[ast.expr], instr: Instr) -> ast.expr:
    raise InternalError(f"{instr.op} is written as a statement, by emit/statements.py")


def _emit_numbered(shape: tuple[int, ...]) -> ast.expr:
    numbers = call("np.arange", literal(math.prod(shape)))
    return numbers if len(shape) == 1 else call("np.reshape", numbers, literal(shape))


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


def _set_vjp(g: Any, z: Any, a: Any, *rest: Any, index: Any, once: bool = False) -> tuple[Any, ...]:
    *arrays, value = rest
    value_bar = getitem(g, *arrays, index=index)  # read before it is written: one array is enough
    if not once and any(array.ndim for array in arrays):
        value_bar = where(_stays(z, arrays, index), value_bar, 0.0)
    a_bar = index_set(g, *arrays, 0.0, index=index, once=once)
    return (a_bar, *(None for _ in arrays), _fit(value_bar, value))


def _stays(a: Any, arrays: Sequence[Any], index: Any) -> Any:
    """Which of the items written stay: of those that go to one place, the last."""
    places = full_like(a, 0, dtype=np.dtype(np.int64))
    number = numbered(getitem(places, *arrays, index=index))
    return equal(getitem(index_set(places, *arrays, number, index=index), *arrays, index=index), number)


def _set_jvp(tangents: Any, z: Any, a: Any, *rest: Any, index: Any, once: bool = False) -> Any:
    a_dot, *_, value_dot = tangents
    arrays = rest[:-1]
    if a_dot is None and value_dot is None:
        return None
    return index_set(
        zeros_like(a) if a_dot is None else a_dot,
        *arrays,
        0.0 if value_dot is None else value_dot,
        index=index,
        once=once,
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
    sample=(),
)
"""A fresh array of zeros; has no inputs, so only a `Builder` or a `Recording` can write it."""

zeros_like: Op = Op(
    "zeros_like",
    np.zeros_like,
    result_type=lambda x: ArrayType(x.shape, x.dtype),
    passes_zero=True,
    sample=(case((2, 3)),),
)

full_like: Op = Op(
    "full_like",
    lambda x, value, dtype: np.full_like(x, value, dtype=dtype),
    result_type=lambda x, value, dtype: ArrayType(x.shape, np.dtype(dtype)),
    vjp=lambda g, z, x, value, dtype: (None, _fit(g, value)),
    jvp=lambda tangents, z, x, value, dtype: (
        None if tangents[1] is None else full_like(x, tangents[1], dtype=dtype)
    ),
    emit=lambda inputs, instr: call(
        "np.full_like",
        *inputs,
        **({"dtype": instr.params["dtype"]} if instr.params["dtype"] != instr.inputs[0].dtype else {}),
    ),
    native=lambda instr: bool(instr.inputs[0].shape),
    sample=(case((2, 3), 1, dtype=np.dtype(np.float64)), case((3,), (), dtype=np.dtype(np.float64))),
)
"""An array of the shape of `x`, full of `value`."""

numbered: Op = Op(
    "numbered",
    lambda x: np.arange(np.size(x)).reshape(np.shape(x)),
    result_type=lambda x: ArrayType(x.shape, np.dtype(np.int64)),
    passes_zero=True,
    emit=lambda inputs, instr: _emit_numbered(tuple(instr.inputs[0].shape)),
    sample=(case((2, 3)), case((4,)), case((0,))),
)
"""0, 1, 2, ... in the shape of `x`."""

_ROWS = np.array([2, 0, 2])
_COLUMNS = np.array([1, -1, 1])

getitem: Op = Op(
    "getitem",
    _evaluate_getitem,
    result_type=_item_type,
    vjp=_getitem_vjp,
    jvp=_getitem_jvp,
    emit=_emit_getitem,
    native=_native_getitem,
    view=lambda x, part, *arrays, index: index_set(x, *arrays, part, index=index),
    sample=(
        case((4,), index=(1,)),
        case((4,), index=(slice(1, None),)),
        case((4, 3), index=(slice(None, None, -2), -1)),
        case((4, 3), index=(slice(None), None, slice(0, 2))),
        case((4, 3), index=(Ellipsis, 0)),
        case((3,), index=(Ellipsis, 0)),
        case((3,), index=(slice(2, 2),)),
        case((4, 3), _ROWS, index=(Slot(0),)),
        case((4, 3), _COLUMNS, index=(slice(None), Slot(0))),
        case((4, 3), _ROWS, _COLUMNS, index=(Slot(0), Slot(1))),
        case((4, 3, 2), _ROWS, _COLUMNS, index=(Slot(0), Slot(1))),
        case((4, 3), _ROWS.reshape(3, 1), _COLUMNS, index=(Slot(0), Slot(1))),
        case((4, 3), np.int64(-2), index=(Slot(0),)),
        case((4, 3), np.int64(1), np.int64(-1), index=(Slot(0), Slot(1))),
        case((4, 3), np.int64(1), index=(Slot(0), 2)),
        case((4, 3), np.int64(1), index=(-1, Slot(0))),
        case((4, 3), np.int64(1), index=(slice(None), Slot(0))),
    ),
)
"""`x[index]`; inputs: x, then the traced arrays of the template's slots."""

_CHANGES = (
    case((4,), (), index=(1,)),
    case((4,), (3,), index=(slice(1, None),)),
    case((4, 3), (3,), index=(slice(0, 2),)),
    case((4, 3), np.int64(2), (3,), index=(Slot(0),)),
)

index_add: Op = Op(
    "index_add",
    _changed(_write_add),
    result_type=_same_type,
    vjp=_add_vjp,
    jvp=_add_jvp,
    emit=_emit_change,
    native=_native_change,
    sample=(
        *_CHANGES,
        case((4, 3), _ROWS, (3, 3), index=(Slot(0),)),
        case((4, 3), _ROWS, (), index=(Slot(0),)),
        case((4, 3), _COLUMNS, (4, 3), index=(slice(None), Slot(0))),
        case((4, 3), _ROWS, _COLUMNS, (3,), index=(Slot(0), Slot(1))),
        case((4, 3), _ROWS, _COLUMNS, (), index=(Slot(0), Slot(1))),
        case((4, 3), np.array([[0], [2]]), np.array([[1, 2]]), (2, 2), index=(Slot(0), Slot(1))),
    ),
)
"""A copy of `a` with `value` added at `index`, repeats adding up; inputs: a, the arrays of the slots, value."""

index_set: Op = Op(
    "index_set",
    _changed(_write),
    result_type=_same_type,
    vjp=_set_vjp,
    jvp=_set_jvp,
    emit=_emit_change,
    native=_native_change,
    sample=(
        *_CHANGES,
        case((4, 3), np.array([3, 1]), (2, 3), index=(Slot(0),)),
        case((4, 3), np.array([3, 1]), 0.0, index=(Slot(0),)),
        case((4, 3), np.array([3, 1]), np.array([0, 2]), (2,), index=(Slot(0), Slot(1))),
        case((4, 3), np.array([3, 1, 3]), (3, 3), index=(Slot(0),)),
        case((4, 3), np.array([3, 1]), (2, 3), index=(Slot(0),), once=True),
    ),
)
"""A copy of `a` with `value` written at `index`; inputs as for `index_add`. `once`: no place is named twice."""


def _inside(x: Any, length: int, axis: int) -> Any:
    lead = (0,) * axis  # so that NumPy's error names the axis
    return np.arange(length).reshape((1,) * axis + (length,))[(*lead, x)]


inside: Op = Op(
    "inside",
    _inside,
    result_type=lambda x, length, axis: ArrayType(x.shape, np.dtype(np.intp)),
    passes_zero=True,
    emit=lambda inputs, instr: ast.Subscript(
        value=call("np.arange", literal(instr.params["length"])), slice=inputs[0], ctx=ast.Load()
    ),
    native=lambda instr: (items.checked, instr.params["length"], instr.params["axis"]),
    family="elementwise",
    sample=(case(np.int64(2), length=3, axis=0), case(np.int64(-2), length=2, axis=1)),
)
"""Indices of an axis counted from its start; an error where one is outside."""


def set_along(x: Any, part: Any, axes: Sequence[int]) -> Any:
    """`x` with `part` written where axis `k` of `x` is at the position of axis `axes[k]` of `part`."""
    grids = np.ogrid[tuple(slice(n) for n in part.shape)]
    index = tuple(map(Slot, range(len(axes))))
    return index_set(x, *(grids[axis] for axis in axes), part, index=index, once=True)


flatnonzero: Op = Op(
    "flatnonzero",
    lambda mask, count: np.flatnonzero(mask),
    result_type=lambda mask, count: ArrayType((count,), np.dtype(np.intp)),
    passes_zero=True,
    emit=lambda inputs, instr: call("np.flatnonzero", inputs[0]),
    native=(items.true_places,),
    sample=(
        case(np.array([True, False, True]), count=2),
        case(np.array([[True, False], [False, False]]), count=1),
    ),
)
"""Positions of the true items of a flattened mask; that there are `count` of them is guarded by who writes this."""
