"""Which short loops of native text are done in lanes: several rounds at once, each in its place of vector registers.

A function of native text goes in (its AST), the loops of it that are done so come out, each as a `Lanes`, with the
order in which small arrays lie best. Begin with `find_lanes`.

LLVM unrolls loops of few rounds before it looks for vectors, and finds few afterwards. Here the rounds of a loop are
known to be independent from the text alone: every index is a loop's counter or a number, so what one round writes and
another reads can be seen. A loop around others can be done so as well: what stands inside is then done for all its
rounds, one after the other. Nothing is computed in another order: what several rounds add to one place is added in
their order.
"""

from __future__ import annotations

import ast
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tracegrad.compiler.outlook import Outlook, integer, made_shape
from tracegrad.syntax import nodes_of

WIDTH = 4  # float64 in a register
LONGEST = 32  # rounds of such a loop, and of those inside
SUMMED = 16  # rounds from which on LLVM is better at sums that may be added in any order
WEIGHTS: dict[type, int] = {ast.Div: 4}  # what takes longer than an addition
CALLED = 12  # what a function takes, in additions
SPREAD = 4  # what an access takes whose elements do not lie side by side


@dataclass(frozen=True, slots=True)
class Lanes:
    """A loop whose rounds are done side by side.

    Attributes
    ----------
    counter, rounds : its index, and how many
    own : names of numbers and arrays that each round has for itself; what the last one leaves is there afterwards
    gathered : names that all rounds add to, in their order
    filled : those of arrays on the stack of which each round adds to every element
    """

    counter: str
    rounds: int
    own: frozenset[str]
    gathered: frozenset[str]
    filled: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Use:
    """A name where it is read or written: its index (None of a number), the counters of the loops around."""

    kind: str  # "read", "write" or "add"
    index: tuple[ast.expr, ...] | None
    around: tuple[tuple[str, int], ...]


@dataclass(slots=True)
class _Body:
    """What a loop's body does with names, in the order of the text; the names in indices; how much it computes."""

    uses: dict[str, list[_Use]] = field(default_factory=dict)
    counters: set[str] = field(default_factory=set)
    places: set[str] = field(default_factory=set)
    work: int = 0


class _Unfit(Exception):
    """Something that is not done in lanes."""


def find_lanes(
    function: ast.FunctionDef, outlook: Outlook, any_order: frozenset[str], memory: Mapping[str, str]
) -> tuple[dict[ast.For, Lanes], dict[str, tuple[int, ...]]]:
    """The loops of a function that are done in lanes, and the order of axes of small arrays that are not as written.

    Parameters
    ----------
    any_order : names of functions that add one more term to a sum
    memory : names of arrays that may share memory, as `sharing` finds them
    """
    search = _Search(outlook, any_order, memory)
    search.block(function.body)
    return search.found, search.orders()


class _Search:
    def __init__(self, outlook: Outlook, any_order: frozenset[str], memory: Mapping[str, str]) -> None:
        self.outlook, self.any_order, self.memory = outlook, any_order, memory
        self.found: dict[ast.For, Lanes] = {}
        self.places: dict[str, Counter[int]] = {}

    def block(self, statements: Sequence[ast.stmt], again: bool = False, alone: bool = False) -> None:
        """Look through statements, which are done `again` and again or once; there it is not worth compiling for. In
        the one round of a loop that is done `alone`, because it is left over, loops inside can be done in lanes."""
        for statement in statements:
            if isinstance(statement, ast.For) and again:
                found = self._fitting(statement)
                if found is not None and found[1] > 0:
                    self.found[statement] = found[0]
                    if not alone:
                        self._remember(statement, found[0])
                    if found[0].rounds % 2:
                        self.block(statement.body, again, alone=True)
                    continue
            repeated = again or isinstance(statement, ast.For | ast.While)
            for inner in ("body", "orelse"):
                self.block(getattr(statement, inner, ()), repeated, alone)

    def orders(self) -> dict[str, tuple[int, ...]]:
        """The axis that lanes run along comes last."""
        orders = {}
        for name, axes in self.places.items():
            shape = self.outlook.shapes[name]
            last = max(axes, key=lambda axis: (axes[axis], axis))
            if last != len(shape) - 1:
                orders[name] = (*(k for k in range(len(shape)) if k != last), last)
        return orders

    def _remember(self, loop: ast.For, lanes: Lanes) -> None:
        for name, uses in self._read(loop).uses.items():
            if name in self.outlook.stays and name not in lanes.own:
                for use in uses:
                    for axis, place in enumerate(use.index or ()):
                        if _is_name(place, lanes.counter):
                            weight = math.prod(n for _, n in use.around)
                            self.places.setdefault(name, Counter())[axis] += weight

    def _fitting(self, loop: ast.For) -> tuple[Lanes, int] | None:
        """The loop in lanes and what that gains; None where its rounds depend on each other, or are too few or many."""
        rounds = rounds_of(loop)
        if rounds is None or not WIDTH <= rounds <= LONGEST or not isinstance(loop.target, ast.Name):
            return None
        try:
            body = self._read(loop)
            return self._decided(loop.target.id, rounds, body)
        except _Unfit:
            return None

    def _decided(self, counter: str, rounds: int, body: _Body) -> tuple[Lanes, int]:
        own: set[str] = set()
        gathered: set[str] = set()
        gain = 3 * body.work
        written = {name for name, uses in body.uses.items() if any(use.kind != "read" for use in uses)}
        sums = any(use.kind == "any order" for uses in body.uses.values() for use in uses)
        if sums and rounds > SUMMED and not body.counters:
            raise _Unfit
        if counter in body.uses or counter in body.counters or not written.isdisjoint(body.places):
            raise _Unfit
        if not body.counters.isdisjoint(body.uses):
            raise _Unfit
        classes = Counter(self.memory.get(name, name) for name in body.uses)
        for name, uses in body.uses.items():
            weights = [math.prod(n for _, n in use.around) for use in uses]
            lanes = [_axis_of(use, counter) for use in uses]
            if name in written:
                if classes[self.memory.get(name, name)] > 1:
                    raise _Unfit
                if all(axis == () for axis in lanes):
                    if self._comes_first(name, uses[0]):
                        own.add(name)
                    elif self._only_adds(uses):
                        gathered.add(name)
                        gain -= SPREAD * sum(weights)
                    else:
                        raise _Unfit
                    continue
                if len(set(lanes)) != 1 or len(lanes[0] or ()) != 1:
                    raise _Unfit
            for use, axes, weight in zip(uses, lanes, weights, strict=True):
                if axes == () or use.index is None:
                    continue
                near = name in self.outlook.stays or axes == (len(use.index) - 1,)
                gain += (3 if near else -SPREAD) * weight
        filled = frozenset(name for name in gathered if self._is_whole(name, body.uses[name][0]))
        return Lanes(counter, rounds, frozenset(own), frozenset(gathered), filled), gain

    def _comes_first(self, name: str, first: _Use) -> bool:
        """Whether all of it is written before any of it is read."""
        if first.kind != "write":
            return False
        return first.index is None or self._is_whole(name, first)

    def _is_whole(self, name: str, use: _Use) -> bool:
        """Whether all elements of an array on the stack are used there."""
        shape = self.outlook.shapes.get(name)
        if name not in self.outlook.stays or shape is None or len(shape) != len(use.index or ()):
            return False
        lengths = dict(use.around)
        seen: set[str] = set()
        for place, n in zip(use.index or (), shape, strict=True):
            if isinstance(place, ast.Name) and lengths.get(place.id) == n and place.id not in seen:
                seen.add(place.id)
            elif not (n == 1 and integer(place) == 0):
                return False
        return True

    def _only_adds(self, uses: Sequence[_Use]) -> bool:
        """Whether each place is added to once a round, in the order of rounds."""
        (first, *more) = uses
        if more or first.kind not in ("add", "any order"):
            return False
        if first.kind == "any order":
            return True
        counters = {place.id for place in first.index or () if isinstance(place, ast.Name)}
        return all(name in counters for name, _ in first.around)

    # --- reading a body -----------------------------------------------------------------------------------------------

    def _read(self, loop: ast.For) -> _Body:
        body = _Body()
        self._statements(loop.body, (), body)
        return body

    def _statements(
        self, block: Sequence[ast.stmt], around: tuple[tuple[str, int], ...], body: _Body
    ) -> None:
        for statement in block:
            match statement:
                case ast.For(target=ast.Name(id=name), body=inner, orelse=[]):
                    rounds = rounds_of(statement)
                    if not rounds or rounds > LONGEST:
                        raise _Unfit
                    body.counters.add(name)
                    self._statements(inner, (*around, (name, rounds)), body)
                case ast.Assign(
                    targets=[ast.Name(id=name)],
                    value=ast.Call(func=ast.Name(id=called), args=[ast.Name(id=same), term]),
                ) if called in self.any_order and name == same:
                    self._expression(term, around, body)
                    self._note(name, "any order", None, around, body)
                case ast.Assign(targets=[ast.Name() | ast.Subscript() as target], value=value):
                    self._expression(value, around, body)
                    self._target(target, "write", around, body)
                case ast.AugAssign(target=ast.Name() | ast.Subscript() as target, op=ast.Add(), value=value):
                    self._expression(value, around, body)
                    body.work += math.prod(n for _, n in around)
                    self._target(target, "add", around, body)
                case _:
                    raise _Unfit

    def _target(self, target: ast.expr, kind: str, around: tuple[tuple[str, int], ...], body: _Body) -> None:
        if isinstance(target, ast.Name):
            self._note(target.id, kind, None, around, body)
            return
        name, index = _part(target)
        self._note(name, kind, index, around, body)

    def _note(
        self,
        name: str,
        kind: str,
        index: tuple[ast.expr, ...] | None,
        around: tuple[tuple[str, int], ...],
        body: _Body,
    ) -> None:
        for place in index or ():
            for node in nodes_of(place):
                if not isinstance(node, ast.Name | ast.Constant | ast.BinOp):
                    raise _Unfit
                if isinstance(node, ast.Name):
                    body.places.add(node.id)
        body.uses.setdefault(name, []).append(_Use(kind, index, around))

    def _expression(self, node: ast.expr, around: tuple[tuple[str, int], ...], body: _Body) -> None:
        weight = math.prod(n for _, n in around)
        match node:
            case ast.Constant():
                return
            case ast.Name(id=name):
                self._note(name, "read", None, around, body)
                return
            case ast.Subscript():
                name, index = _part(node)
                self._note(name, "read", index, around, body)
                return
            case ast.BinOp(op=op):
                body.work += weight * WEIGHTS.get(type(op), 1)
            case ast.Call(keywords=[]):
                body.work += weight * CALLED
                for argument in node.args:
                    self._expression(argument, around, body)
                return
            case ast.UnaryOp() | ast.IfExp() | ast.Compare():
                body.work += weight
            case _:
                raise _Unfit
        for inner in ast.iter_child_nodes(node):
            if isinstance(inner, ast.expr):
                self._expression(inner, around, body)


def sharing(function: ast.FunctionDef, lying_apart: bool) -> Mapping[str, str]:
    """For names of arrays that may share memory a name for all of them; what the text makes anew is alone."""
    shared: dict[str, str] = {}

    def root(name: str) -> str:
        while shared.get(name, name) != name:
            name = shared[name]
        return name

    given = [a.arg for a in function.args.args]
    if not lying_apart:
        shared.update(dict.fromkeys(given, given[0]) if given else {})
    nodes = nodes_of(function)
    arrays = {n.value.id for n in nodes if isinstance(n, ast.Subscript) and isinstance(n.value, ast.Name)}
    bound = [pair for node in nodes if isinstance(node, ast.Assign) for pair in _bound(node)]
    found = -1
    while found != len(arrays):  # an array's other names are names of arrays
        found = len(arrays)
        for target, sources in bound:
            if target in arrays:
                arrays.update(sources)
    for target, sources in bound:
        if target in arrays:
            for source in sources:
                shared[root(source)] = root(target)
    return {name: root(name) for name in shared}


def _bound(node: ast.Assign) -> Iterator[tuple[str, list[str]]]:
    """The names that are bound, each with those whose memory it may have."""
    sources = list(_sources(node.value))
    for target in node.targets:
        for item in target.elts if isinstance(target, ast.Tuple) else [target]:
            if isinstance(item, ast.Name):
                yield item.id, sources


def _sources(value: ast.expr) -> Iterator[str]:
    match value:
        case ast.Name(id=name):
            yield name
        case ast.Subscript(value=base) | ast.Attribute(value=base):
            yield from _sources(base)
        case ast.Tuple(elts=items):
            for item in items:
                yield from _sources(item)
        case ast.IfExp(body=one, orelse=other):
            yield from _sources(one)
            yield from _sources(other)
        case ast.Call(func=ast.Attribute(attr="copy"), args=[]):
            return
        case ast.Call(func=function, args=args):
            if made_shape(value) is None:
                yield from _sources(function)
                for argument in args:
                    yield from _sources(argument)


def _part(node: ast.expr) -> tuple[str, tuple[ast.expr, ...]]:
    """`x[i, j]` as a name and an index."""
    match node:
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Tuple(elts=index)):
            return name, tuple(index)
        case ast.Subscript(value=ast.Name(id=name), slice=index) if not isinstance(index, ast.Slice):
            return name, (index,)
    raise _Unfit


def _axis_of(use: _Use, counter: str) -> tuple[int, ...] | None:
    """The axes whose index is the counter; None where it is part of an index."""
    axes = []
    for axis, place in enumerate(use.index or ()):
        if _is_name(place, counter):
            axes.append(axis)
        elif any(_is_name(node, counter) for node in nodes_of(place)):
            return None
    return tuple(axes)


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def rounds_of(loop: ast.For) -> int | None:
    """How often `for i in range(n)` runs, where that is written out."""
    match loop.iter:
        case ast.Call(func=ast.Name(id="range"), args=[stop], keywords=[]) if not loop.orelse:
            return integer(stop)
    return None
