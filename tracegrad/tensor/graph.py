"""The graph below a tensor as traces: collect its nodes, cut them into segments, give each a canonical key.

In: nodes (`record/node.py`). Out: a `Segment`, whose `trace()` is closed and whose `key` is equal for graphs of
equal structure from the same lines, so that the tenth iteration of a training loop finds the program of the first.
A segment ends where a cotangent has to be shown to somebody (a hook, `retain_grad`, `autograd.grad` of a value in
the middle), and around an `autograd.Function`, whose rule only Python knows. Begin with `collect`, then `Segment`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from tracegrad.ir.trace import Atom, Const, Instr, Trace, Var
from tracegrad.ir.types import WEAK, type_of
from tracegrad.record.node import AccumulateGrad, Input, Node, Output, Released

_NO_ARRAY = (*WEAK, Released)
Place: TypeAlias = AccumulateGrad | tuple[Node, int]
"""Where a cotangent belongs: a leaf, or one result of a node."""


def collect(roots: Iterable[Node]) -> list[Node]:
    """Every node below `roots`, in the order of execution."""
    found: set[Node] = set()
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(i.source for i in node.inputs if isinstance(i.source, Node))
    return sorted(found, key=lambda node: node.number)


def leading_to(nodes: Sequence[Node], targets: Collection[Place]) -> list[Node]:
    """Those nodes from which a path goes down to a target; `nodes` in the order of execution."""
    needed: set[Node] = set()
    for node in nodes:
        for item in node.inputs:
            source = item.source
            if source is None:
                continue
            if isinstance(source, AccumulateGrad):
                wanted = source in targets
            else:
                wanted = source in needed or (source, item.index) in targets
            if wanted:
                needed.add(node)
                break
    return [node for node in nodes if node in needed]


def segments(nodes: Sequence[Node], targets: Collection[Place]) -> list[list[Node]]:
    """The nodes in runs that one program can reverse."""
    runs: list[list[Node]] = [[]]
    shown = {place[0] for place in targets if isinstance(place, tuple)}
    for node in nodes:
        if node.pull is not None and runs[-1]:
            runs.append([])
        runs[-1].append(node)
        if node.is_cut or node in shown:
            runs.append([])
    return [run for run in runs if run]


def release(nodes: Iterable[Node]) -> None:
    """Let the values of these nodes go; their types stay, so that the program can still be shown."""
    for node in nodes:
        if node.released:
            continue
        node.released = True
        kept: list[Input | Output] = [*node.inputs, *node.outputs]
        for item in kept:
            if item.value is not None and type(item.value) not in _NO_ARRAY:
                item.value = Released(item.value)


class Segment:
    """A run of nodes seen as a trace: numbered values, and the key of its structure.

    Parameters
    ----------
    nodes : sequence of Node, in the order of execution
    outputs : sequence of (Node, int)
        The results whose cotangents are given.
    active : callable
        Whether the cotangent of this place is wanted.
    general : bool
        Make Python floats inputs too, in the dtype of the step that reads them, instead of constants.

    Attributes
    ----------
    holders : list of Input or Output
        Where the value of each variable is kept.
    origins : list of Place or None
        What each variable is in the graph; None for a constant.
    inputs : list of int
        The variables that come from outside the segment.
    flags : tuple of bool
        Which of them are active.
    places : list of Place
        Where the cotangents of the active ones belong.
    key : hashable
        The structure, and the lines it comes from (there is one `Location` a line): the text shows both.
    """

    def __init__(
        self, nodes: Sequence[Node], outputs: Sequence[tuple[Node, int]], active: Any, general: bool = False
    ) -> None:
        self.nodes = nodes
        self.roots = outputs
        self.active = active
        self.holders: list[Input | Output] = []
        self.origins: list[Place | None] = []
        self.inputs: list[int] = []
        self.places: list[Place] = []
        self.numbers: dict[tuple[int, int], int] = {}
        self.arguments: list[list[int | Const]] = []
        flags: list[bool] = []
        types: list[Any] = []
        rows = []
        for node in nodes:
            refs: list[int | Const] = []
            row: list[Any] = [node.op.name, id(node.location), frozen(node.params)]  # type: ignore[union-attr]
            for item in node.inputs:
                kind = type(item.value)
                if kind is float and general:
                    dtype = node.outputs[0].value.dtype
                    item = Input(np.asarray(item.value, dtype if dtype.kind in "fc" else None))
                elif kind in WEAK:
                    refs.append(Const(item.value))
                    row.append((kind, repr(item.value)))
                    continue
                number, place, holder = self._number(item)
                if number == len(self.holders):
                    self.holders.append(holder)
                    self.origins.append(place)
                    self.inputs.append(number)
                    type_ = type_of(holder.value)
                    is_active = place is not None and type_.is_inexact and active(place)
                    types.append((number, type_.shape, type_.dtype, is_active))
                    flags.append(is_active)
                    if is_active:
                        assert place is not None
                        self.places.append(place)
                refs.append(number)
                row.append(number)
            for k, output in enumerate(node.outputs):
                self.numbers[id(node), k] = len(self.holders)
                self.holders.append(output)
                self.origins.append((node, k))
            self.arguments.append(refs)
            rows.append(tuple(row))
        self.flags = tuple(flags)
        self.outputs = [self.numbers[id(node), k] for node, k in outputs]
        self.key = (tuple(rows), tuple(types), tuple(self.outputs))

    def without_floats(self) -> Any:
        """The key of everything that differs from this only in Python floats."""
        rows, types, outputs = self.key
        bare = (tuple(float if type(e) is tuple and e[0] is float else e for e in row[3:]) for row in rows)
        return tuple((*row[:3], *rest) for row, rest in zip(rows, bare, strict=True)), types, outputs

    def generalised(self) -> Segment:
        """The same with Python floats as inputs."""
        return Segment(self.nodes, self.roots, self.active, general=True)

    def _number(self, item: Input) -> tuple[int, Place | None, Input | Output]:
        """The variable's number, the next free one where it is new; where its cotangent belongs; who keeps its
        value.
        """
        source = item.source
        place: Place | None = None
        holder: Input | Output = item
        if source is None:
            identity = (id(item.value), item.seen)
        elif isinstance(source, AccumulateGrad):
            identity, place = (id(source), item.seen), source
        else:
            identity, place = (id(source), item.index), (source, item.index)
            holder = source.outputs[item.index]
        number = self.numbers.setdefault(identity, len(self.holders))
        if number < len(self.holders) and isinstance(self.holders[number].value, Released):
            self.holders[number] = holder  # another node may still keep what the first has let go
        return number, place, holder

    def trace(self, names: Mapping[Any, str]) -> tuple[Trace, list[Var]]:
        """The segment as a trace, and its variables by number; `names` from a place to what the user calls it."""
        variables = [Var(type_of(h.value)) for h in self.holders]
        for number, place in zip(
            (i for i, f in zip(self.inputs, self.flags, strict=True) if f), self.places, strict=True
        ):
            variables[number].name = names.get(place)
        for number in self.inputs:
            variables[number].name = variables[number].name or names.get(id(self.holders[number].value))
        steps = []
        for node, refs in zip(self.nodes, self.arguments, strict=True):
            atoms: list[Atom] = [variables[r] if isinstance(r, int) else r for r in refs]
            results = []
            for k in range(len(node.outputs)):
                results.append(variables[self.numbers[id(node), k]])
                results[-1].name = names.get((node, k))
            steps.append(Instr(node.op, tuple(atoms), tuple(results), dict(node.params), node.location))
        inputs = tuple(variables[i] for i in self.inputs)
        outputs = tuple(variables[i] for i in self.outputs)
        name = next((v.name for v in outputs if v.name), "result")
        return Trace(inputs, tuple(steps), outputs, name), variables


def frozen(value: Any) -> Any:
    """A static parameter as something to compare by value and hash."""
    kind = type(value)
    if kind is dict:
        return tuple((k, frozen(v)) for k, v in value.items()) if value else ()
    if kind is tuple or kind is list:
        return kind.__name__, tuple(map(frozen, value))
    if kind is slice:
        return slice, value.start, value.stop, value.step
    if kind is float:
        return float, repr(value)
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    return kind, value
