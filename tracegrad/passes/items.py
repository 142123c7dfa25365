"""Rules about items: what is read and written at an index, static or known only at run time.

Like those of `simplify.py`, each makes the trace smaller or more canonical, and says before and after in its first
line; `i` stands for a whole index, template and traced numbers. Two indices are the same only if they are so literally:
`k` and `k - 1` may be one item of an array of length 1. `ITEMS` is the table, at the end; begin there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from tracegrad.ir.trace import Atom, Const, Instr, Var
from tracegrad.ops.arithmetic import add
from tracegrad.ops.families import astype, broadcast_to, sum_to
from tracegrad.ops.index import Slot, getitem, index_add, index_set, item_shape, whole, zeros
from tracegrad.ops.reduce import sum_
from tracegrad.ops.shape import stack
from tracegrad.ops.windows import add_windows, ranges, windows
from tracegrad.passes.rewrite import Made, Rule, Term, constant_key, expression
from tracegrad.passes.structure import is_zeros

_FAR = 8
"""How many steps back a rule looks, so that the passes stay linear."""
_LONG = 64
"""How many writes back a read looks for what it reads."""


def _slots(step: Instr) -> tuple[Atom, ...]:
    """The traced numbers of a read or write."""
    return step.inputs[1:] if step.op is getitem else step.inputs[1:-1]


def _place(step: Instr) -> Any:
    """The index of a read or write, equal for the same one; None where arrays of positions may name an item twice."""
    slots = _slots(step)
    if any(a.shape for a in slots):
        return None
    return step.params["index"], tuple(constant_key(a) if isinstance(a, Const) else a for a in slots)


def _same_place(a: Instr, b: Instr) -> bool:
    place = _place(a)
    return place is not None and place == _place(b)


def _made_by(atom: Atom, made: Made, *ops: Any) -> Instr | None:
    step = made.get(atom) if isinstance(atom, Var) else None
    return step if step is not None and step.op in ops else None


def _is_everything(index: Sequence[Any], shape: Sequence[int]) -> bool:
    """Whether all of an array of this shape is taken: `x[:]`, and `x[:3]` of three rows."""
    if all(part is Ellipsis or part == slice(None) for part in index):
        return True
    return len(index) <= len(shape) and all(  # an axis more, `x[:, None]`, is not x
        isinstance(part, slice) and n != -1 and part.indices(n) == (0, n, 1)
        for part, n in zip(index, shape, strict=False)
    )


def _is_static(index: Sequence[Any]) -> bool:
    return not any(isinstance(part, Slot) for part in index)


def _apart(first: Sequence[Any], second: Sequence[Any], shape: Sequence[int]) -> bool:
    """Whether two static indices surely touch different items: they differ in an integer."""
    for a, b, n in zip(first, second, shape, strict=False):
        if isinstance(a, int) and isinstance(b, int):
            if a % n != b % n:
                return True
        elif not (isinstance(a, slice) and isinstance(b, slice)):
            return False
    return False


# --- indices ----------------------------------------------------------------------------------------------------------


def known_index(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """x[k] with k = 3 -> x[3]: a number that is known is part of the template"""
    slots = _slots(step)
    known = {
        number: int(atom.value)
        for number, atom in enumerate(slots)
        if isinstance(atom, Const) and not atom.shape and atom.dtype.kind in "iu"
    }
    if not known:
        return None
    numbers = iter(range(len(slots)))
    places = {number: Slot(next(numbers)) for number in range(len(slots)) if number not in known}
    index = tuple(
        known.get(part.number, places.get(part.number)) if isinstance(part, Slot) else part
        for part in step.params["index"]
    )
    kept = [atom for number, atom in enumerate(slots) if number not in known]
    return expression(step.op, step.inputs[0], *kept, *step.inputs[1 + len(slots) :], index=index)


def _composed(inner: Instr, outer: Sequence[Any], ndim: int) -> tuple[Any, ...] | None:
    """The index that takes `outer` of what `inner` takes; None where it has no such form.

    Parameters
    ----------
    inner : the read or write at the first index
    outer : the template of the second index; its slots are numbered after those of `inner`
    ndim : dimensions of what `inner` takes
    """
    first = whole(inner.params["index"], inner.inputs[0].ndim)
    if None in first:
        return None
    offset = len(_slots(inner))
    second: Iterator[Any] = iter(
        Slot(part.number + offset) if isinstance(part, Slot) else part for part in whole(outer, ndim)
    )
    found: list[Any] = []
    for part, length in zip(first, inner.inputs[0].shape, strict=True):
        if not isinstance(part, slice):
            found.append(part)
            continue
        following = next(second)
        while following is None:
            found.append(None)
            following = next(second)
        if part == slice(None):
            found.append(following)
        elif following == slice(None):
            found.append(part)
        elif type(following) is int:
            start, _, step = part.indices(length)
            found.append(start + step * (following % len(range(length)[part])))
        else:
            return None
    found.extend(second)
    while found and found[-1] == slice(None):
        found.pop()
    return tuple(found)


def read_of_read(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """x[i][j] -> x[i, j], where that is one item, or nobody named x[i]"""
    inner = _made_by(step.inputs[0], made, getitem)
    if inner is None or _place(inner) is None or _place(step) is None or inner.params["index"] == (Ellipsis,):
        return None
    row = inner.outputs[0]
    if step.outputs[0].shape and row.name is not None and counts[row] > 1:
        return None
    index = _composed(inner, step.params["index"], row.ndim)
    return None if index is None else expression(getitem, *inner.inputs, *_slots(step), index=index)


def add_of_part(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """index_add(a, i, index_add(zeros, j, v)) -> index_add(a, i + j, v), and so for several: the reverse of x[i][j]"""
    part = step.inputs[-1]
    adds = _additions(part, made, counts)
    if adds is None or _place(step) is None or any(_place(inner) is None for inner in adds):
        return None
    taken = getitem.result_types((step.inputs[0], *_slots(step)), step.params)[0]
    if taken.shape != part.shape:
        return None
    term: Any = step.inputs[0]
    for inner in reversed(adds):
        index = _composed(step, inner.params["index"], part.ndim)
        if index is None:
            return None
        term = expression(index_add, term, *_slots(step), *inner.inputs[1:], index=index)
    return term


def _additions(atom: Atom, made: Made, counts: Counter[Var]) -> list[Instr] | None:
    """The `index_add`s that made this of zeros, the last one first; None where it was made otherwise."""
    adds: list[Instr] = []
    inner = _made_by(atom, made, index_add)
    while inner is not None and len(adds) < _FAR:
        adds.append(inner)
        source = inner.inputs[0]
        if is_zeros(source, made):
            return adds
        inner = _made_by(source, made, index_add) if counts[source] == 1 else None  # type: ignore[index]
    return None


# --- reads ------------------------------------------------------------------------------------------------------------


def read_everything(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """x[:] -> x; x[:3] -> x of three rows"""
    (x, *_), index = step.inputs, step.params["index"]
    return x if _is_everything(index, x.shape) else None


def read_after_write(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """index_set(a, i, v)[i] -> v; index_set(a, i, v)[j] -> a[j] where i and j are apart, past several such writes

    An array that was computed is not read past the writes into it: it would be kept beside them, in a copy.
    """
    array, index = step.inputs[0], step.params["index"]
    place = _place(step)
    for _ in range(_LONG):
        writer = _made_by(array, made, index_set, index_add)
        if writer is None:
            break
        if place is not None and place == _place(writer):
            if writer.op is index_set or _is_zero_at(writer.inputs[0], writer, made):
                return writer.inputs[-1]
            break
        written = writer.params["index"]
        apart = _is_static(index) and _is_static(written)
        if not apart or not _apart(index, written, writer.inputs[0].type.shape):
            break
        array = writer.inputs[0]
    else:
        return None
    there = array not in made or _made_by(array, made, zeros, stack, broadcast_to) is not None
    return expression(getitem, array, index=index) if there and array is not step.inputs[0] else None


def _is_zero_at(array: Atom, writer: Instr, made: Made) -> bool:
    """Whether an array is zeros with nothing written into what `writer` writes next."""
    index, static = writer.params["index"], _is_static(writer.params["index"])
    for _ in range(_LONG):
        before = _made_by(array, made, index_set, index_add)
        if before is None:
            return is_zeros(array, made)
        written = before.params["index"]
        if not static or not _is_static(written) or not _apart(index, written, array.shape):
            return False
        array = before.inputs[0]
    return False


def read_of_stack(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """stack(a, b, c)[1] -> b; stack(a, b, c)[1, i] -> b[i]"""
    maker = _made_by(step.inputs[0], made, stack)
    index = step.params["index"]
    if maker is None or None in index or Ellipsis in index or _place(step) is None:
        return None
    axis = maker.params["axis"]
    if axis >= len(index) or type(index[axis]) is not int:
        return None
    item, rest = maker.inputs[index[axis]], (*index[:axis], *index[axis + 1 :])
    return item if _is_everything(rest, item.shape) else expression(getitem, item, *_slots(step), index=rest)


def read_of_repeated(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """broadcast_to(s, shape)[1] -> s, for one number s and an index that is surely inside, and for what is repeated"""
    maker = _made_by(step.inputs[0], made, broadcast_to)
    if maker is None or not _is_static(step.params["index"]):
        return None
    repeated = maker.inputs[0]
    if repeated.shape:
        lead = maker.outputs[0].ndim - repeated.ndim
        parts = whole(step.params["index"], maker.outputs[0].ndim)
        taken = lead and None not in parts and all(type(part) is int for part in parts[:lead])
        same = taken and all(part == slice(None) for part in parts[lead:])
        return repeated if same and step.outputs[0].shape == repeated.shape else None
    shape = step.outputs[0].shape
    return expression(broadcast_to, maker.inputs[0], shape=shape) if shape else maker.inputs[0]


def read_of_sum(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """sum_to(x, (n, 1))[:, 0] -> sum(x, axis=1), where nobody else reads the sum"""
    maker = _made_by(step.inputs[0], made, sum_to)
    if maker is None or counts[maker.outputs[0]] > 1 or maker.inputs[0].ndim != maker.outputs[0].ndim:
        return None
    given, out = maker.inputs[0].shape, maker.outputs[0].shape
    axes = tuple(k for k, n in enumerate(given) if out[k] != n)
    index = step.params["index"]
    if None in index or whole(index, len(out)) != [0 if k in axes else slice(None) for k in range(len(out))]:
        return None
    return expression(sum_, maker.inputs[0], axis=axes, keepdims=False)


# --- writes -----------------------------------------------------------------------------------------------------------


def write_everything(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """index_set(a, [:], v) -> v; index_add(a, [:], v) -> a + v; and so where v is one number for all of zeros"""
    target, value = step.inputs[0], step.inputs[-1]
    if not _is_everything(step.params["index"], target.shape):
        return None
    cast = value if value.dtype == target.dtype else expression(astype, value, dtype=target.dtype)
    if step.op is index_add and not is_zeros(target, made):
        return expression(add, target, cast)
    return cast if value.shape == target.shape else expression(broadcast_to, cast, shape=target.type.shape)


def write_with_new_axes(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """index_add(a, [:, None], v) -> a + v[:, 0]; index_set(a, [:, None], v) -> v[:, 0]; v has all the new axes"""
    target, value = step.inputs[0], step.inputs[-1]
    index = whole(step.params["index"], target.ndim) if None in step.params["index"] else []
    if not index or not all(part is None or part == slice(None) for part in index):
        return None
    lengths = iter(target.shape)
    if value.shape != tuple(1 if part is None else next(lengths) for part in index):
        return None
    places = [0 if part is None else part for part in index]
    while places[-1] == slice(None):
        places.pop()
    if value.dtype != target.dtype:
        return None
    part = expression(getitem, value, index=tuple(places))
    if step.op is index_add and not is_zeros(target, made):
        return expression(add, target, part)
    return part


def write_what_is_there(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """index_set(a, i, a[i]) -> a; index_add(a, i, 0) -> a"""
    target, value = step.inputs[0], step.inputs[-1]
    if step.op is index_add:
        return target if is_zeros(value, made) else None
    reader = _made_by(value, made, getitem)
    return target if reader is not None and reader.inputs[0] is target and _same_place(step, reader) else None


def write_sum(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """index_set(a, i, a[i] + v) -> index_add(a, i, v), where nobody else reads the item"""
    target, total = step.inputs[0], _made_by(step.inputs[-1], made, add)
    if total is None or total.outputs[0].dtype != target.dtype or counts[total.outputs[0]] > 1:
        return None
    for item, value in (total.inputs, total.inputs[::-1]):
        reader = _made_by(item, made, getitem)
        if reader is None or reader.inputs[0] is not target or not _same_place(step, reader):
            continue
        if counts[reader.outputs[0]] == 1 and reader.outputs[0].type == total.outputs[0].type:
            return expression(index_add, target, *_slots(step), value, index=step.params["index"])
    return None


def write_twice(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """index_set(index_set(a, i, v), i, w) -> index_set(a, i, w); the first write may also be an index_add"""
    inner = _made_by(step.inputs[0], made, index_set, index_add)
    if inner is None or not _same_place(step, inner) or counts[inner.outputs[0]] > 1:
        return None
    return expression(index_set, inner.inputs[0], *step.inputs[1:], index=step.params["index"])


def add_where_nothing_is(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """index_add(index_set(a, i, 0), i, v) -> index_set(a, i, v)"""
    inner = _made_by(step.inputs[0], made, index_set)
    if inner is None or not _same_place(step, inner) or not is_zeros(inner.inputs[-1], made):
        return None
    if counts[inner.outputs[0]] > 1:
        return None
    return expression(index_set, inner.inputs[0], *step.inputs[1:], index=step.params["index"])


def add_together(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """index_add(index_add(a, i, v), i, w) -> index_add(a, i, v + w), also with other index_adds between the two"""
    value = step.inputs[-1]
    between: list[Instr] = []
    inner = _made_by(step.inputs[0], made, index_add)
    while inner is not None and counts[inner.outputs[0]] == 1 and len(between) < _FAR:
        if _same_place(step, inner) and inner.inputs[-1].type == value.type:
            total = expression(add, inner.inputs[-1], value)
            term = expression(index_add, *inner.inputs[:-1], total, index=step.params["index"])
            return _again(between, term)
        between.append(inner)
        inner = _made_by(inner.inputs[0], made, index_add)
    return None


def _again(adds: Sequence[Instr], term: Any) -> Term:
    """The same additions into another array; the last of them comes first."""
    for step in reversed(adds):
        term = expression(index_add, term, *step.inputs[1:], **step.params)
    return term


def add_into_place(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """acc + index_add(zeros, i, v) -> index_add(acc, i, v); and so for several additions into the same zeros"""
    for part, rest in (step.inputs, step.inputs[::-1]):
        adds = _additions(part, made, counts) if part.type == rest.type else None
        if adds is not None:
            return _again(adds, rest)
    return None


def whole_before_places(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """index_add(a, i, v) + x -> index_add(a + x, i, v), and so for x before -: one loop makes what a sum is made of"""
    first, second = step.inputs
    for part, rest in ((first, second), (second, first))[: 2 if step.op is add else 1]:
        adds: list[Instr] = []
        while len(adds) <= _FAR and (inner := _made_by(part, made, index_add)) and counts[part] == 1:  # type: ignore[index]
            adds.append(inner)
            part = inner.inputs[0]
        if adds and len(adds) <= _FAR and adds[0].outputs[0].type == step.outputs[0].type:
            return _again(adds, expression(step.op, *((part, rest) if rest is second else (rest, part))))
    return None


def read_of_windows(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """windows(x)[::2] -> windows(x) at every second place"""
    maker = _made_by(step.inputs[0], made, windows)
    if maker is None:
        return None
    x, params = maker.inputs[0], maker.params
    places = _places_of(step, ranges(x.shape, params["lengths"], params["axes"], params.get("places", ())))
    return None if places is None else expression(windows, x, **{**params, "places": places})


def add_windows_of_some(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """add_windows(zeros with g added at [::2]) -> add_windows(g) at every second place"""
    maker = _made_by(step.inputs[0], made, index_add)
    if maker is None or not is_zeros(maker.inputs[0], made):
        return None
    params, g = step.params, maker.inputs[-1]
    along = ranges(params["shape"], params["lengths"], params["axes"], params.get("places", ()))
    places = _places_of(maker, along)
    if places is None or tuple(g.shape) != item_shape(maker):
        return None
    return expression(add_windows, g, **{**params, "places": places})


def _places_of(step: Instr, along: Sequence[range]) -> tuple[tuple[int, int, int], ...] | None:
    """Where the windows begin that an index names, which takes all items of each."""
    index = whole(step.params["index"], step.inputs[0].type.ndim)
    items = index[len(along) :]
    if _slots(step) or not all(isinstance(p, slice) for p in index) or any(p != slice(None) for p in items):
        return None
    found = [r[part] for r, part in zip(along, index, strict=False)]
    if any(r.step < 0 or not r for r in found):
        return None
    return tuple((r.start, r[-1] + 1, r.step) for r in found)


ITEMS: tuple[tuple[str, Rule], ...] = (
    *((name, known_index) for name in ("getitem", "index_set", "index_add")),
    ("add", add_into_place),
    ("add", whole_before_places),
    ("subtract", whole_before_places),
    ("getitem", read_everything),
    ("getitem", read_after_write),
    ("getitem", read_of_stack),
    ("getitem", read_of_repeated),
    ("getitem", read_of_sum),
    ("getitem", read_of_read),
    ("getitem", read_of_windows),
    ("add_windows", add_windows_of_some),
    ("index_set", write_everything),
    ("index_add", write_everything),
    ("index_set", write_with_new_axes),
    ("index_add", write_with_new_axes),
    ("index_set", write_what_is_there),
    ("index_add", write_what_is_there),
    ("index_set", write_sum),
    ("index_set", write_twice),
    ("index_add", add_where_nothing_is),
    ("index_add", add_of_part),
    ("index_add", add_together),
)
