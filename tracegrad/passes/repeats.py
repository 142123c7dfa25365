"""What is computed of repeated arrays is computed without the repeats, along axes that are not merged yet.

    y = repeat(x, 4)                         x[:, None], the same along an axis of 4
    z = sum(multiply(y, w))          ->      z = sum(multiply(x[:, None], reshape(w, (n, 4))))

`repeat`, `tile` and products as those of `np.kron` put elements side by side along an axis that is made of several: an
array is *split* where it is told by those axes, and has one element along each on which it does not depend. Elementwise
steps are done with split arrays, and of repeated numbers once; sums are taken along the axes that the summed ones are
made of; the reverse splits axes again, which then is nothing to do. So long as nothing else is done with such an array,
it is never made. For native text alone: NumPy is slow along short axes, and the array text says what a person says. A
trace comes in, and one with the same meaning goes out; sums may round in another way. Begin with `without_repeats`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from tracegrad.ir.close import substitute, substituted
from tracegrad.ir.dce import drop_unused
from tracegrad.ir.location import Location
from tracegrad.ir.trace import Atom, Const, Instr, Step, Trace, Var
from tracegrad.ir.walk import map_control
from tracegrad.ops.arithmetic import add, divide, multiply, negative, power, subtract
from tracegrad.ops.families import sum_to
from tracegrad.ops.op import Op
from tracegrad.ops.reduce import sum_
from tracegrad.ops.shape import expand_dims, repeat, reshape, tile

LARGE = 2**13  # elements of an array that is worth it
SHORT = 16  # elements of a row that is no loop of vectors by itself
FAR = 2**19  # elements of an array that costs more to make than loops around short rows

Groups: TypeAlias = tuple[tuple[int, ...], ...]
"""For each axis of an array the lengths of the axes that it is made of; none of them is 1."""


class _Whole(Exception):
    """An array has to be there."""


@dataclass(frozen=True, slots=True)
class _Split:
    """An array told by finer axes.

    `array` has an axis for each length in `groups`, of 1 where all of it is the same; `begun` are the arrays that were
    split first, of which this one is made; `functions` are computed for it, not arithmetic alone.
    """

    groups: Groups
    array: Atom
    begun: frozenset[Var]
    functions: bool = False

    @property
    def sizes(self) -> tuple[int, ...]:
        return _flat(self.groups)

    @property
    def has_short_rows(self) -> bool:
        """Whether the innermost loop over it is a short one that its own axes would not have."""
        last = next((group for group in reversed(self.groups) if group), ())
        return len(last) > 1 and 1 < self.array.shape[-1] <= SHORT


def without_repeats(trace: Trace) -> Trace:
    """Compute without repeats what is computed of large repeated arrays, in the trace and in those it holds."""
    trace = map_control(trace, without_repeats)
    if not any(isinstance(s, Instr) and (s.op in (repeat, tile) or _merges(s)) for s in trace.steps):
        return trace
    whole: set[Var] = set()
    wanted: dict[Var, _Split] = {}
    while True:
        found = _Splits(trace, whole, wanted)
        lost = found.written()
        if lost:
            whole, wanted = whole | lost, {}
        elif found.wanted.keys() - wanted.keys():
            wanted = found.wanted
        else:
            return drop_unused(found.trace()) if found.splits else trace


@dataclass
class _Splits:
    """A trace as it is written with split arrays: those, what stands for others, and the steps.

    `whole` are arrays that are not split, as something needs them. `wanted` are computed of arrays that are there, for
    steps that go by finer axes: so they are computed along those as well.
    """

    before: Trace
    whole: set[Var]
    given: dict[Var, _Split]
    wanted: dict[Var, _Split] = field(default_factory=dict)
    splits: dict[Var, _Split] = field(default_factory=dict)
    stands: dict[Var, Atom] = field(default_factory=dict)
    by_columns: set[Var] = field(default_factory=set)  # products whose reverse sums along all but short rows
    steps: list[Step] = field(default_factory=list)
    made: dict[Var, Instr] = field(default_factory=dict)
    location: Location | None = None

    def __post_init__(self) -> None:
        self.wanted.update(self.given)

    def trace(self) -> Trace:
        outputs = tuple(substituted(a, self.stands) for a in self.before.outputs)
        return replace(self.before, steps=tuple(self.steps), outputs=outputs)

    def written(self) -> set[Var]:
        """Write all steps; the arrays that were split first where one of what is made of them has to be there."""
        for step in self.before.steps:
            split = [self.splits[a] for a in step.inputs if isinstance(a, Var) and a in self.splits]
            if isinstance(step, Instr):
                self.location = step.location
                rule = self._rule(step, bool(split))
                try:
                    if rule is not None:
                        rule(step)
                        continue
                except _Whole:
                    pass
            if split:
                return {v for s in split for v in s.begun}
            step = substitute(step, self.stands)
            if isinstance(step, Instr) and step.op is reshape:
                step = replace(step, inputs=(self._unshaped(step.inputs[0]),))
            self.steps.append(step)
            if isinstance(step, Instr):
                self.made.update((v, step) for v in step.outputs)
        for atom in self.before.outputs:
            if isinstance(atom, Var) and (found := self.splits.get(atom)) is not None:
                if found.array.shape != found.sizes:
                    return set(found.begun)
                self.stands[atom] = self.shaped(found.array, atom.shape)
        return set()

    def _rule(self, step: Instr, split: bool) -> Callable[[Instr], None] | None:
        """How a step is written with split arrays; None where it is not."""
        if len(step.outputs) != 1 or any(-1 in a.shape for a in (*step.inputs, *step.outputs)):
            return None
        op, (out,) = step.op, step.outputs
        begins = out not in self.whole and out.type.size >= LARGE and out.dtype.kind == "f"
        if op in (repeat, tile):
            return self._repeated if begins else None
        if op is reshape and not split:
            return self._merged if begins and _merges(step) else None
        if op.family == "elementwise" and (split or out in self.given):
            return self._each
        if split and op in (reshape, expand_dims):
            return self._reshaped
        if op in (sum_, sum_to) and out.dtype.kind == "f" and (split or self._is_sum(step.inputs[0])):
            return self._summed
        return None

    # --- what is written

    def write(self, op: Op, *inputs: Atom, name: str | None = None, **params: object) -> Var:
        """The result of one more step."""
        (type,) = op.result_types(inputs, params)
        step = Instr(op, inputs, (Var(type, name),), params, self.location)
        self.steps.append(step)
        self.made[step.outputs[0]] = step
        return step.outputs[0]

    def shaped(self, array: Atom, shape: Sequence[int]) -> Atom:
        """The same elements in another shape."""
        if array.shape == tuple(shape):
            return array
        if isinstance(array, Const):
            return Const(array.value.reshape(shape))
        inner = self._unshaped(array)
        return inner if inner.shape == tuple(shape) else self.write(reshape, inner, shape=tuple(shape))

    def _unshaped(self, array: Atom) -> Atom:
        """The array that another one is a shape of."""
        maker = self.made.get(array) if isinstance(array, Var) else None
        shapes = maker is not None and maker.op in (reshape, expand_dims)
        return self._unshaped(maker.inputs[0]) if maker is not None and shapes else array

    def _keep(self, out: Var, found: _Split) -> None:
        """A result by its finer axes; one whose axes are its own is an array that is there."""
        if all(len(group) <= 1 for group in found.groups) and found.array.shape == found.sizes:
            self.stands[out] = self.shaped(found.array, out.shape)
        else:
            self.splits[out] = found

    def _of(self, atom: Atom) -> _Split:
        """Any array as a split one."""
        if isinstance(atom, Var) and atom in self.splits:
            return self.splits[atom]
        groups = tuple((n,) if n != 1 else () for n in atom.shape)
        there = substituted(atom, self.stands)
        return _Split(groups, self.shaped(there, _flat(groups)), frozenset())

    # --- where arrays are split

    def _repeated(self, step: Instr) -> None:
        """repeat(x, 4), tile(x, 4): the same along one axis more, the last or the first that an axis is made of."""
        (x,), (out,) = step.inputs, step.outputs
        own, params = self._of(x), step.params
        lead = len(out.shape) - len(x.shape)
        inner = ((),) * lead + own.groups
        if step.op is repeat:
            reps = [params["repeats"] if k == params["axis"] else 1 for k in range(len(out.shape))]
        else:
            reps = params["reps"]
        if len(reps) != len(out.shape) or not all(reps):
            raise _Whole
        lengths = iter(own.array.shape)
        groups: list[tuple[int, ...]] = []
        shape: list[int] = []
        for group, n in zip(inner, reps, strict=True):
            more, there = ((n,), (1,)) if n != 1 else ((), ())
            mine = tuple(next(lengths) for _ in group)
            groups.append((*group, *more) if step.op is repeat else (*more, *group))
            shape.extend((*mine, *there) if step.op is repeat else (*there, *mine))
        self.splits[out] = _Split(tuple(groups), self.shaped(own.array, shape), own.begun | {out})

    def _merged(self, step: Instr) -> None:
        """reshape(x[:, None] * y, n * m): the product of numbers that are repeated along an axis each."""
        (x,), (out,) = step.inputs, step.outputs
        assert isinstance(x, Var)
        maker = self.made.get(x)
        if maker is None or not _spreads(maker):
            raise _Whole
        own = self._of(x)
        split = _Split(_groups(out.shape, own.sizes), own.array, frozenset({out}))
        if split.has_short_rows and any(
            isinstance(a, Var) and a.shape[-1:] not in ((), (1,)) for a in maker.inputs
        ):
            self.by_columns.add(out)
        self.splits[out] = split

    # --- what is done with them

    def _reshaped(self, step: Instr) -> None:
        """Other axes, each made of some of the finer ones."""
        own, (out,) = self._of(step.inputs[0]), step.outputs
        self._keep(out, replace(own, groups=_groups(out.shape, own.sizes)))

    def _each(self, step: Instr) -> None:
        """An elementwise step along the finer axes."""
        (out,) = step.outputs
        groups = self._common(step)
        found = [self._along(groups, a, out) for a in step.inputs]
        array = self.write(step.op, *found, name=out.name, **step.params)
        made_of = [self.splits[a] for a in step.inputs if isinstance(a, Var) and a in self.splits]
        begun = [split.begun for split in (*made_of, *([self.given[out]] if out in self.given else []))]
        functions = not _is_arithmetic(step) or any(split.functions for split in made_of)
        made = _Split(groups, array, frozenset().union(*begun), functions)
        if array.dtype != out.dtype:
            raise _Whole
        if made.has_short_rows and (out.type.size < FAR or (functions and made.begun & self.by_columns)):
            raise _Whole
        self._keep(out, made)
        if out in self.splits:
            for a in step.inputs:
                self._want(a, out)

    def _common(self, step: Instr) -> Groups:
        """The finer axes of a result: those of the split operands, which have to be the same."""
        (out,) = step.outputs
        found: list[tuple[int, ...] | None] = [None] * len(out.shape)
        splits = [self.splits[a] for a in step.inputs if isinstance(a, Var) and a in self.splits]
        for split in (*splits, *([self.given[out]] if out in self.given else [])):
            lead = len(out.shape) - len(split.groups)
            for k, group in enumerate(split.groups, lead):
                if math.prod(group) == out.shape[k] and found[k] not in (None, group):
                    raise _Whole
                if math.prod(group) == out.shape[k]:
                    found[k] = group
        own = [(n,) if n != 1 else () for n in out.shape]
        return tuple(a if b is None else b for a, b in zip(own, found, strict=True))

    def _along(self, groups: Groups, a: Atom, out: Var) -> Atom:
        """An operand with an axis for each of the finer ones of a result: of 1 where it does not depend on them."""
        if not a.shape:
            return substituted(a, self.stands)
        lead = len(out.shape) - len(a.shape)
        split = self.splits.get(a) if isinstance(a, Var) else None
        lengths: Iterator[int] | None = None if split is None else iter(split.array.shape)
        shape: list[int] = [1] * sum(map(len, groups[:lead]))
        for n, group in zip(a.shape, groups[lead:], strict=True):
            if n == 1:
                shape += [1] * len(group)
            else:
                shape += group if lengths is None else [next(lengths) for _ in group]
        there = substituted(a, self.stands) if split is None else split.array
        return self.shaped(there, shape)

    def _want(self, a: Atom, out: Var) -> None:
        """Let an operand that elementwise steps make of arrays that are there be made along the finer axes."""
        if not isinstance(a, Var) or a in self.splits or a in self.wanted or a.shape != out.shape:
            return
        maker = self.made.get(self._there(a))
        if maker is not None and maker.op.family == "elementwise" and len(maker.outputs) == 1:
            self.wanted[a] = self.splits[out]

    def _there(self, a: Var) -> Var:
        found = self.stands.get(a, a)
        return found if isinstance(found, Var) else a

    def _summed(self, step: Instr) -> None:
        """A sum along all axes that the summed ones are made of; of the same number, a multiple of it."""
        (a,), (out,) = step.inputs, step.outputs
        own = self._of(a)
        if step.op is sum_to:
            lead = len(a.shape) - len(out.shape)
            axes = {k for k, n in enumerate(a.shape) if k < lead or n != out.shape[k - lead]}
            stay = [() if k in axes else g for k, g in enumerate(own.groups) if k >= lead]
        else:
            axes = set(step.params["axis"])
            stay = [() if k in axes else g for k, g in enumerate(own.groups)]
            if not step.params["keepdims"]:
                stay = [g for k, g in enumerate(stay) if k not in axes]
        gone = [k in axes for k, group in enumerate(own.groups) for _ in group]
        pairs = list(zip(own.array.shape, own.sizes, gone, strict=True))
        times = math.prod(n for length, n, summed in pairs if summed and length != n)
        array = self._sum(own.array, tuple(k for k, summed in enumerate(gone) if summed))
        if times != 1:
            array = self._times(array, Const(out.dtype.type(times)))
        by_columns = own.has_short_rows and not gone[-1] and any(n > 1 for n, _, g in pairs if g)
        if array.dtype != out.dtype or (
            by_columns and own.functions
        ):  # each function would be called by itself
            raise _Whole
        self._keep(out, replace(own, groups=tuple(stay), array=array))

    def _is_sum(self, a: Atom) -> bool:
        """Whether an array that is there is a sum along finer axes: a sum of it is one with that."""
        there = self.stands.get(a) if isinstance(a, Var) else None
        maker = self.made.get(there) if isinstance(there, Var) else None
        return maker is not None and maker.op is sum_

    def _sum(self, array: Atom, axes: tuple[int, ...]) -> Atom:
        """The sum along some axes; a sum of sums is one."""
        if not axes:
            return array
        maker = self.made.get(array) if isinstance(array, Var) else None
        if maker is not None and maker.op is sum_ and not maker.params["keepdims"]:
            (inner,), gone = maker.inputs, set(maker.params["axis"])
            left = [k for k in range(len(inner.shape)) if k not in gone]
            array, axes = inner, tuple(sorted({*gone, *(left[k] for k in axes)}))
        if all(array.shape[k] == 1 for k in axes):
            return self.shaped(array, [n for k, n in enumerate(array.shape) if k not in axes])
        return self.write(sum_, array, axis=axes, keepdims=False)

    def _times(self, array: Atom, number: Const) -> Atom:
        """A multiple of an array, made before its shape changes: in the loop that makes it."""
        return self.shaped(self.write(multiply, self._unshaped(array), number), array.shape)


def _is_arithmetic(step: Instr) -> bool:
    """Whether an elementwise step calls no function."""
    if step.op is power:
        return isinstance(step.inputs[1], Const)
    return step.op in (add, subtract, multiply, divide, negative)


def _flat(groups: Groups) -> tuple[int, ...]:
    return tuple(n for group in groups for n in group)


def _groups(shape: Sequence[int], sizes: Sequence[int]) -> Groups:
    """Which of the finer axes each axis of a shape is made of."""
    groups, left = [], list(sizes)
    for n in shape:
        group: list[int] = []
        while math.prod(group) < n and left:
            group.append(left.pop(0))
        if math.prod(group) != n:
            raise _Whole
        groups.append(tuple(group))
    return tuple(groups)


def _merges(step: Instr) -> bool:
    """Whether a reshape makes one axis of several."""
    if step.op is not reshape or -1 in (*step.inputs[0].shape, *step.outputs[0].shape):
        return False
    before, after = ([n for n in a.shape if n != 1] for a in (step.inputs[0], step.outputs[0]))
    return len(after) < len(before)


def _spreads(step: Instr) -> bool:
    """Whether each operand of an elementwise step is repeated in its result."""
    (out, *_) = step.outputs
    return step.op.family == "elementwise" and all(a.type.size < out.type.size for a in step.inputs)
