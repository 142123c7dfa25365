"""Loops over elements with very many statements, as several loops over a block of elements, one after the other.

The statements of an innermost loop go in, the loops that are as good come out. A compiler looks for vectors in time
that grows with more than the square of a loop's length, and has registers for few of its numbers: so beyond `LONG`
statements are cut where few numbers are alive, and these stand in an array of a block between the loops. That has one
axis: the places of two numbers are so far apart that no compiler doubts it, whoever gives the memory. The order of
the statements stays for each element, and so does every digit; a sum is taken further by one of the loops alone.

A loop that may be left early, as it checks an index, becomes no vectors, nor does one that calls functions of C's. What
a block checks, and what it computes one by one, is therefore done before the rest of it, wherever the rest is worth it.
Begin with `LongLoops.of`.

Loop fission and scalar expansion: Allen and Kennedy, Optimizing Compilers for Modern Architectures, Morgan Kaufmann
2001, chapters 5 and 8.
"""

from __future__ import annotations

import ast
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tracegrad.emit.elements import subscript
from tracegrad.emit.expressions import zeros
from tracegrad.emit.indices import CHECK
from tracegrad.emit.loops import assign, for_each, minus, plus
from tracegrad.emit.names import Unused
from tracegrad.emit.printer import Line
from tracegrad.ir.types import ArrayType
from tracegrad.kernels.arithmetic import added
from tracegrad.kernels.elements import ONE_BY_ONE
from tracegrad.kernels.instructions import VECTOR_FUNCTIONS
from tracegrad.kernels.special import PREFIX
from tracegrad.ops.op import call, literal, named
from tracegrad.syntax import nodes_of

LONG = 16_000  # nodes of the statements of a loop that is cut
ROUNDS = 64  # of a loop that is cut where indices are checked, or functions called one by one, at least
QUICK = {CHECK, added.__name__}  # what a statement may call that gains nothing by vectors
PART = 1000  # of one of the loops, about
BLOCK = 64  # elements of an array between them


@dataclass(eq=False)
class _Name:
    """Where a name is read and written among the statements, and its indices where it is an array."""

    reads: list[int] = field(default_factory=list)
    writes: list[int] = field(default_factory=list)
    places: set[str] = field(default_factory=set)
    is_array: bool = False


class LongLoops:
    """Cuts the loops of one function.

    Parameters
    ----------
    unused : Unused
        Names for indices and arrays.

    Attributes
    ----------
    numbers : dict of str to dtype
        Of the names that one round gives to another statement of the same round.
    new : set of str
        Names of arrays in memory in which no other array was.
    """

    def __init__(self, unused: Unused) -> None:
        self.unused = unused
        self.numbers: dict[str, Any] = {}
        self.new: set[str] = set()
        self.kept = 0

    def of(
        self, letter: str, rounds: int, until: ast.expr, index: Sequence[Line], inside: Sequence[Line]
    ) -> list[Line] | None:
        """The loops in the place of one; None where it stays one.

        Parameters
        ----------
        letter, until : the loop's own index and how far it goes, `rounds` at most
        index : statements that each round begins with, which make other indices of its own
        inside : the others
        """
        if not rounds or not all(isinstance(line.statement, ast.Assign | ast.AugAssign) for line in inside):
            return None
        own = {letter, *(n for line in index for n in _stored(line.statement))}
        nodes = [nodes_of(line.statement) for line in inside]
        if 2 * sum(map(len, nodes)) <= LONG:  # operators and contexts besides
            ahead = self._ahead(inside, nodes, own) if rounds >= ROUNDS else []
            if not ahead:
                return None
            order = [*ahead, *(k for k in range(len(inside)) if k not in ahead)]
            inside, names = [inside[k] for k in order], _names(inside, [nodes[k] for k in order])
            return self._written(letter, rounds, until, index, inside, [len(ahead)], names)
        nodes = [list(ast.walk(line.statement)) for line in inside]
        sizes = [len(found) for found in nodes]
        if sum(sizes) <= LONG:
            return None
        names = _names(inside, nodes)
        open_ = [True] * len(inside)
        alive = [0] * (len(inside) + 1)
        for name, uses in names.items():
            seen = sorted([*uses.reads, *uses.writes])
            if not uses.writes or name in own:
                continue
            if self._stays_whole(name, uses, own):
                open_[seen[0] + 1 : seen[-1] + 1] = [False] * (seen[-1] - seen[0])
            elif not uses.is_array:
                alive[seen[0] + 1] += 1
                alive[seen[-1] + 1] -= 1
        cuts = _cuts(sizes, open_, alive)
        if not cuts:
            return None
        return self._written(letter, rounds, until, index, inside, cuts, names)

    def _ahead(self, inside: Sequence[Line], nodes: Sequence[Sequence[ast.AST]], own: set[str]) -> list[int]:
        """The statements that check indices or call what is computed one by one, with all that make what these need, if
        a block may do them ahead of the others; none where nothing is gained by it."""
        called = [_called(found) for found in nodes]
        checking = any(CHECK in functions for functions in called)
        ahead = {k for k, functions in enumerate(called) if CHECK in functions or is_one_by_one(functions)}
        if not ahead:
            return []
        names = _names(inside, nodes)
        wanted = [*ahead]
        while wanted:
            reader = wanted.pop()
            for uses in names.values():
                if reader in uses.reads:
                    made = {k for k in uses.writes if k < reader or not uses.is_array} - ahead
                    wanted.extend(made)
                    ahead |= made
        others = set().union(*(functions for k, functions in enumerate(called) if k not in ahead))
        if not (others - QUICK if checking else others & {f.__name__ for f in VECTOR_FUNCTIONS}):
            return []
        found = sorted(ahead)
        moved = {k for place, k in enumerate(found) if k != place}
        for name, uses in names.items():
            if uses.is_array:
                if not moved.isdisjoint(uses.writes) and name not in self.new:
                    return []  # another array may have been there
                if uses.writes and not moved.isdisjoint(uses.reads) and not ahead.issuperset(uses.writes):
                    return []
            parts = {k in ahead for k in (*uses.reads, *uses.writes)}
            if uses.writes and len(parts) == 2 and self._stays_whole(name, uses, own):
                return []
        return found

    def _stays_whole(self, name: str, uses: _Name, own: set[str]) -> bool:
        """Whether all statements with a name stay in one loop: what a round hands to the next, or may."""
        if uses.is_array:
            place, *others = uses.places
            return bool(others) or own.isdisjoint(_indices(place))
        again = bool(uses.reads) and uses.reads[0] <= uses.writes[0]
        return again or name not in self.numbers or len(uses.writes) > 1

    def _written(
        self,
        letter: str,
        rounds: int,
        until: ast.expr,
        index: Sequence[Line],
        inside: Sequence[Line],
        cuts: Sequence[int],
        names: Mapping[str, _Name],
    ) -> list[Line]:
        where = inside[0].location
        size = min(BLOCK, rounds)
        begin, place = self.unused.like("begin"), self.unused.like("place")
        kept: dict[str, tuple[str, int]] = {}
        rooms: dict[Any, list[str]] = {}
        for name, uses in names.items():
            if uses.is_array or not uses.writes or not uses.reads:
                continue
            if _part(cuts, uses.reads[-1]) > _part(cuts, uses.writes[0]):
                rooms.setdefault(self.numbers[name], []).append(name)
        lines: list[Line] = []
        for dtype, members in rooms.items():
            array = self.unused.like(f"kept_{self.kept}" if self.kept else "kept")
            self.kept += 1
            lines.append(
                Line(assign(array, zeros(ArrayType((len(members) * size,), dtype), "np.empty")), where)
            )
            kept.update((name, (array, k * size)) for k, name in enumerate(members))
        count: ast.expr = literal(size)
        if rounds % size or not isinstance(until, ast.Constant):
            count = call("min", count, minus(until, begin))
        brought: list[list[Line]] = [[] for _ in range(len(cuts) + 1)]
        handed_on: list[list[Line]] = [[] for _ in range(len(cuts) + 1)]
        for name, (array, k) in kept.items():
            uses = names[name]
            at = [ast.BinOp(left=literal(k), op=ast.Add(), right=named(place)) if k else named(place)]
            made = _part(cuts, uses.writes[0])
            for part in {_part(cuts, r) for r in uses.reads} - {made}:
                brought[part].append(Line(assign(name, subscript(named(array), at)), where))
            item = subscript(named(array), at, store=True)
            handed_on[made].append(Line(ast.Assign(targets=[item], value=named(name)), where))
        loops: list[Line] = []
        own = plus(begin, place)
        for part, (first, last) in enumerate(zip([0, *cuts], [*cuts, len(inside)], strict=True)):
            body = [Line(assign(letter, own), where), *index, *brought[part], *inside[first:last]]
            loops.append(for_each(place, count, [*body, *handed_on[part]]))
        return [*lines, for_each(begin, [literal(0), until, literal(size)], loops)]


def is_one_by_one(functions: Collection[str]) -> bool:
    """Whether one of these functions keeps a loop from becoming vectors."""
    return any(name in ONE_BY_ONE or name.startswith(PREFIX) for name in functions)


def _indices(place: str) -> set[str]:
    """The names that are indices of a place by themselves."""
    index = ast.parse(place, mode="eval").body
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    return {p.id for p in parts if isinstance(p, ast.Name)}


def _names(inside: Sequence[Line], nodes: Sequence[Sequence[ast.AST]]) -> dict[str, _Name]:
    """The names in statements, whose nodes are given."""
    found: dict[str, _Name] = {}
    for number, (line, below) in enumerate(zip(inside, nodes, strict=True)):
        arrays: dict[int, ast.Subscript] = {}
        for node in below:
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
                arrays[id(node.value)] = node
            elif isinstance(node, ast.Name):
                uses = found.setdefault(node.id, _Name())
                item = arrays.get(id(node))
                if item is not None:
                    uses.is_array = True
                    uses.places.add(ast.unparse(item.slice))
                stored = isinstance((item or node).ctx, ast.Store)
                (uses.writes if stored else uses.reads).append(number)
                if stored and isinstance(line.statement, ast.AugAssign):
                    uses.reads.append(number)
    return found


def _called(nodes: Sequence[ast.AST]) -> set[str]:
    """The functions that a statement calls, whose nodes are given."""
    return {ast.unparse(n.func) for n in nodes if isinstance(n, ast.Call)}


def _stored(statement: ast.stmt) -> list[str]:
    return [n.id for n in nodes_of(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]


def _cuts(sizes: Sequence[int], open_: Sequence[bool], changes: Sequence[int]) -> list[int]:
    """Where statements are cut: into parts of about the same size, between them few numbers."""
    total = sum(sizes)
    parts = -(-total // PART)
    before, alive = [0], [changes[0]]
    for size, change in zip(sizes, changes[1:], strict=True):
        before.append(before[-1] + size)
        alive.append(alive[-1] + change)
    found: list[int] = []
    for k in range(1, parts):
        middle, reach = total * k // parts, total // (4 * parts)
        first = max(1, bisect_left(before, middle - reach))
        last = min(len(sizes), bisect_right(before, middle + reach))
        near = [p for p in range(first, last) if open_[p]]
        if near:
            found.append(min(near, key=lambda p: (alive[p], p)))
    return found


def _part(cuts: Sequence[int], statement: int) -> int:
    """The part that a statement is in."""
    return bisect_right(cuts, statement)
