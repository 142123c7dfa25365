"""What is added to zeros at slices that overlap: the reverse of differences, stencils and smoothing.

    z = zeros((n,))
    y = index_add(z, b, index=([1:],))    ->    w = overlay(b, a, starts=((1,), (0,)), shape=(n,))
    w = index_add(y, a, index=([:-1],))

This is for native text, where the loop that makes the parts adds them, too (`overlays`). Such a loop comes to the
additions in an order of its own: for each element first what begins last. So that every text adds in this order, the
additions are put into it before (`in_falling_order`). What lies in the rows of one of the parts, and is shorter, is
added to that one first, so that nothing is left to be added when the rows are made.

Where all that is added are multiples of another such sum, as in the reverse of a second difference, its parts are
added at once (`_composed`), and the sum between is never there:

    y[1:] += g;  y[:-1] += -g;  z[1:] += y;  z[:-1] += -y    ->    z[2:] += g;  z[1:-1] += -2 * g;  z[:-2] += g
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tracegrad.ir.dce import drop_unused
from tracegrad.ir.trace import Atom, Const, Instr, Step, Trace, Var
from tracegrad.ir.walk import map_control, use_counts
from tracegrad.ops.arithmetic import add, multiply, negative
from tracegrad.ops.index import getitem, index_add, whole, zeros
from tracegrad.ops.overlay import groups_of, overlay, place_of
from tracegrad.passes.added_products import is_large_product
from tracegrad.passes.structure import is_zeros

NEAR = 2  # elements along the last axis that a loop hands on as numbers
NEAR_ALONE = 7  # so many where there is no other axis, whose rows would hand on as many each
FEW = 8  # times as long are rows to which a part in them is not added first, but afterwards: a border


@dataclass(frozen=True, slots=True)
class _Part:
    """What an `index_add` adds to a slice: its shape, and where it begins."""

    shape: tuple[int, ...]
    start: tuple[int, ...]


def in_falling_order(trace: Trace) -> Trace:
    """Let parts of one shape be added to zeros from the one that begins last to the one that begins first."""
    while (composed := _composed(trace)) is not None:
        trace = composed
    return _rewritten(trace, in_falling_order, partial(_sorted, _large_products(trace)))


def own_parts_first(trace: Trace) -> Trace:
    """Let what is made of a part of an array be added to that part before anything else is added to the array.

    Then it is made where it is added, and needs no memory; what comes later finds the array changed.
    """
    made = {v: step for step in trace.steps if isinstance(step, Instr) for v in step.outputs}
    return _rewritten(
        trace, own_parts_first, partial(_own_first, made), lambda source: not is_zeros(source, made)
    )


def overlays(trace: Trace) -> Trace:
    """Let parts of one shape be added to zeros by one step, where a loop adds them in that order.

    Large products stay: they are written where they are wanted without a loop (`added_products`).
    """
    return _rewritten(trace, overlays, partial(_overlaid, _large_products(trace)))


def _large_products(trace: Trace) -> Collection[Atom]:
    """Those that are read once."""
    counts = use_counts(trace)
    return {v for step in trace.steps if is_large_product(step) for v in step.outputs if counts[v] == 1}


def _rewritten(
    trace: Trace,
    within: Callable[[Trace], Trace],
    instead: Callable[[Sequence[Instr]], Sequence[Instr] | None],
    begins: Callable[[Var], bool] | None = None,
) -> Trace:
    """The trace, and those it holds, with other steps in the place of what is added to zeros, or to other arrays."""
    trace = map_control(trace, within)
    dropped: set[Step] = set()
    after: dict[Step, Sequence[Instr]] = {}
    for chain in _chains(trace, begins):
        new = instead(chain)
        if new is not None:
            dropped.update(chain)
            after[chain[-1]] = new  # all that they add is there
    if not after:
        return trace
    kept = (new for step in trace.steps for new in after.get(step, () if step in dropped else (step,)))
    return replace(trace, steps=tuple(kept))


def _chains(trace: Trace, begins: Callable[[Var], bool] | None) -> Iterator[list[Instr]]:
    """The additions to fresh zeros, or where `begins` says, each to what the one before made and nobody else reads."""
    counts = use_counts(trace)
    made = {v: step for step in trace.steps if isinstance(step, Instr) for v in step.outputs}
    open_: dict[Var, list[Instr]] = {}
    for step in trace.steps:
        if not isinstance(step, Instr) or step.op is not index_add:
            continue
        source = step.inputs[0]
        chain = open_.pop(source, None) if isinstance(source, Var) and counts[source] == 1 else None
        if (
            chain is None
            and isinstance(source, Var)
            and (begins(source) if begins else is_zeros(source, made))
        ):
            chain = []
        if chain is not None:
            open_[step.outputs[0]] = [*chain, step]
    yield from open_.values()


def _part(step: Instr) -> _Part | None:
    """What is added, where the place is a slice without gaps that it fills."""
    source, *slots, value = step.inputs
    shape = source.shape
    if slots or -1 in shape or not isinstance(value, Var) or value.dtype != source.dtype:
        return None
    index = whole(step.params["index"], len(shape))
    if len(index) != len(shape) or not all(isinstance(part, slice) for part in index):
        return None
    ends = [part.indices(n) for part, n in zip(index, shape, strict=True)]
    part = _Part(tuple(len(range(*end)) for end in ends), tuple(first for first, _, _ in ends))
    fills = part.shape == value.shape and value.type.size
    return part if fills and all(step == 1 for _, _, step in ends) else None


# --- a sum of sums ----------------------------------------------------------------------------------------------------


def _composed(trace: Trace) -> Trace | None:
    """The trace where the first sum of multiples of another sum is one of multiples of its parts; None without one."""
    chains = {chain[-1].outputs[0]: chain for chain in _chains(trace, None)}
    made = {v: step for step in trace.steps if isinstance(step, Instr) for v in step.outputs}
    counts, products = use_counts(trace), _large_products(trace)
    for total, outer in chains.items():
        values = [step.inputs[-1] for step in outer]
        arrays = [_multiple(value, made)[1] for value in values]
        between = next((a for a in arrays if isinstance(a, Var) and a in chains), None)
        if between is None or total.dtype.kind != "f" or any(v in products for v in values):
            continue
        through = [
            v for v, array in zip(values, arrays, strict=True) if array is between and isinstance(v, Var)
        ]
        here = {v: through.count(v) for v in through}
        here[between] = here.get(between, 0) + sum(v is not between for v in here)
        inner = chains[between]
        if any(counts[v] != n for v, n in here.items()) or any(s.inputs[-1] in products for s in inner):
            continue
        steps = _parts_at_once(outer, through, inner, made)
        if steps is not None:
            kept = [new for step in trace.steps for new in (steps if step is outer[-1] else (step,))]
            left_out = outer[:-1]
            return drop_unused(replace(trace, steps=tuple(step for step in kept if step not in left_out)))
    return None


def _multiple(value: Atom, made: Mapping[Var, Instr]) -> tuple[float, Atom]:
    """A number and an array whose product a value is."""
    step = made.get(value) if isinstance(value, Var) else None
    if step is not None and step.op is negative:
        factor, array = _multiple(step.inputs[0], made)
        return -factor, array
    if step is not None and step.op is multiply and value.dtype.kind == "f":
        for number, array in (step.inputs, step.inputs[::-1]):
            if isinstance(number, Const) and not number.shape and array.type == value.type:
                return float(number.value), array
    return 1.0, value


def _parts_at_once(
    outer: Sequence[Instr], through: Collection[Atom], inner: Sequence[Instr], made: Mapping[Var, Instr]
) -> Sequence[Instr] | None:
    """One addition for each place and array, then what is added to other parts; None where they are more than before,
    or no loop adds them."""
    shape = next(part.shape if (part := _part(step)) else None for step in inner)
    found: dict[tuple[_Part, Atom], float] = {}
    there: dict[tuple[float, Atom], Atom] = {}
    rest: list[Instr] = []
    for step in outer:
        place = _part(step)
        of = inner if step.inputs[-1] in through else [step]
        factor = _multiple(step.inputs[-1], made)[0] if of is inner else 1.0
        if of is not inner and (place is None or place.shape != shape):
            rest.append(step)
            continue
        for term in of:
            part, (own, array) = _part(term), _multiple(term.inputs[-1], made)
            if place is None or part is None:
                return None
            there[own, array] = term.inputs[-1]
            start = tuple(a + b for a, b in zip(place.start, part.start, strict=True))
            key = _Part(part.shape, start if of is inner else part.start), array
            found[key] = found.get(key, 0.0) + factor * own
    added = sorted(found, key=lambda key: key[0].start, reverse=True)
    fits = all(_fits(part, [before for before, _ in added[:k]]) for k, (part, _) in enumerate(added))
    if (
        not fits
        or len(added) + len(rest) > len(outer) + len(inner)
        or not all(map(math.isfinite, found.values()))
    ):
        return None
    steps: list[Instr] = []
    source, location = outer[0].inputs[0], outer[-1].location
    for part, array in added:
        factor = found[part, array]
        value = array if factor == 1.0 else there.get((factor, array))
        if value is None:
            value = there[factor, array] = Var(array.type)
            inputs = (Const(array.dtype.type(factor)), array)
            steps.append(Instr(multiply, inputs, (value,), {}, location))
        params = {"index": place_of(part.start, part.shape)}
        steps.append(Instr(index_add, (source, value), (Var(source.type),), params, location))
        source = steps[-1].outputs[0]
    for step in rest:
        steps.append(replace(step, inputs=(source, *step.inputs[1:]), outputs=(Var(source.type),)))
        source = steps[-1].outputs[0]
    return [*steps[:-1], replace(steps[-1], outputs=outer[-1].outputs)]


# --- in order ---------------------------------------------------------------------------------------------------------


def _sorted(products: Collection[Atom], chain: Sequence[Instr]) -> Sequence[Instr] | None:
    parts = [_part(step) for step in chain]
    shapes = sorted(
        dict.fromkeys(part.shape for part in parts if part is not None), key=math.prod, reverse=True
    )

    def rank(k: int) -> tuple[int, tuple[int, ...]]:
        part = parts[k]
        if part is None:
            return len(shapes), ()
        return shapes.index(part.shape), tuple(-first for first in part.start)

    order = sorted(range(len(chain)), key=rank)
    values = [step.inputs[-1] for step in chain]
    new: list[Instr] = []
    alike = [(k, part) for k in order if (part := parts[k]) is not None and part.shape == shapes[0]]
    for k in list(order) if not any(value in products for value in values) else ():
        part = parts[k]
        around = None if part is None else _rows_around(part, alike)
        if part is not None and around is not None:
            of, rows = around
            new.extend(_in_rows(chain[k], part, values[of], rows))
            values[of] = new[-1].outputs[0]
            order.remove(k)
    if order == list(range(len(chain))):
        return None
    steps = [replace(chain[k], inputs=(*chain[k].inputs[:-1], values[k])) for k in order]
    return [*new, *_in_order(chain, steps)]


def _in_order(chain: Sequence[Instr], order: Sequence[Instr]) -> list[Instr]:
    """The same additions, or fewer, in another order."""
    source, new = chain[0].inputs[0], []
    for step, made in zip(order, chain[-len(order) :], strict=True):
        new.append(replace(step, inputs=(source, *step.inputs[1:]), outputs=made.outputs))
        source = made.outputs[0]
    return new


def _rows_around(part: _Part, alike: Sequence[tuple[int, _Part]]) -> tuple[int, _Part] | None:
    """Which of the parts of one shape has the rows that a shorter part lies in, where others begin in other rows."""
    if len({rows.start[:-1] for _, rows in alike}) < 2 or part.shape == alike[0][1].shape:
        return None
    for k, rows in alike:
        here = part.shape[:-1] == rows.shape[:-1] and part.start[:-1] == rows.start[:-1]
        first = part.start[-1] - rows.start[-1]
        if here and FEW * part.shape[-1] > rows.shape[-1] and 0 <= first <= rows.shape[-1] - part.shape[-1]:
            return k, rows
    return None


def _in_rows(step: Instr, part: _Part, value: Atom, rows: _Part) -> Sequence[Instr]:
    """What a step adds, among zeros, added to the value of longer rows."""
    empty, among, total = (Var(value.type) for _ in range(3))
    first = part.start[-1] - rows.start[-1]
    index = (*[slice(None)] * (len(part.shape) - 1), slice(first, first + part.shape[-1]))
    shape = {"shape": tuple(value.shape), "dtype": value.dtype}
    return (
        Instr(zeros, (), (empty,), shape, step.location),
        Instr(index_add, (empty, step.inputs[-1]), (among,), {"index": index}, step.location),
        Instr(add, (value, among), (total,), {}, step.location),
    )


def _own_first(made: Mapping[Var, Instr], chain: Sequence[Instr]) -> Sequence[Instr] | None:
    array = chain[0].inputs[0]
    own = [step for step in chain if _is_made_of_its_place(step, array, made)]
    if not own or own == chain[: len(own)]:
        return None
    return _in_order(chain, [*own, *(step for step in chain if step not in own)])


def _is_made_of_its_place(step: Instr, array: Atom, made: Mapping[Var, Instr]) -> bool:
    """Whether each element that is added is made of the one that it is added to, and of numbers."""
    maker = made.get(step.inputs[-1]) if isinstance(step.inputs[-1], Var) and len(step.inputs) == 2 else None
    if maker is None or maker.op.family != "elementwise":
        return False
    parts = [made.get(a) for a in maker.inputs if isinstance(a, Var) and a.shape]
    return bool(parts) and all(
        part is not None
        and part.op is getitem
        and part.inputs == (array,)
        and part.params["index"] == step.params["index"]
        for part in parts
    )


# --- as one step ------------------------------------------------------------------------------------------------------


def _overlaid(products: Collection[Atom], chain: Sequence[Instr]) -> Sequence[Instr] | None:
    """The first parts as one step, and what is left."""
    parts: list[_Part] = []
    for step in chain:
        part = _part(step)
        if part is None or step.inputs[-1] in products or not _fits(part, parts):
            break
        parts.append(part)
    if not parts:
        return None
    last = chain[len(parts) - 1]
    params = {"starts": tuple(part.start for part in parts), "shape": tuple(last.outputs[0].shape)}
    values = tuple(step.inputs[-1] for step in chain[: len(parts)])
    return [Instr(overlay, values, last.outputs, params, chain[0].location), *chain[len(parts) :]]


def _fits(part: _Part, before: Sequence[_Part]) -> bool:
    """Whether a loop over parts of one shape that adds those before adds this one after them.

    Along the last axis elements are handed on to the next rounds: to few, and not beyond the end.
    """
    if not part.shape or (before and (part.shape != before[0].shape or part.start > before[-1].start)):
        return False
    starts = [*(p.start for p in before), part.start]
    last = [starts[k][-1] for k in groups_of(starts)[-1]]
    near = NEAR_ALONE if len(part.shape) == 1 else NEAR
    return last[0] - last[-1] <= min(near, part.shape[-1] - 1)
