"""Loops over elements as statements of the native text: for a step, for a write into a part, for an entry of a stack.

A node with its operands goes in, lines come out; what stands inside the loops is written by `elements`. The sum of
all elements is taken in blocks of fixed size, whose sums are added in their order: so it depends on the size alone,
and its error grows with the number of blocks. Begin with `ElementLoops.of`.
"""

from __future__ import annotations

import ast
import math
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from tracegrad.emit.blocks import Compute, Fused, Nest, Node, Push, Value, Write
from tracegrad.emit.elements import Elements, item_index, region, subscript, summed_axes
from tracegrad.emit.expressions import Expressions, zeros
from tracegrad.emit.loops import assign, make_room
from tracegrad.emit.names import Unused
from tracegrad.emit.printer import Line
from tracegrad.ir.location import Location
from tracegrad.ir.trace import Const
from tracegrad.ir.types import ArrayType
from tracegrad.kernels.arithmetic import added, in_threads
from tracegrad.kernels.items import checked
from tracegrad.ops.op import call, literal

BLOCK = 1024  # elements whose sum is one term of a larger sum
LARGE = 2**19  # elements times statements from which threads share a loop
IN_ORDER = 16  # so many terms are added one after the other
_WIDE = {"float32": "float64", "complex64": "complex128"}  # what the sums of blocks are added in


@dataclass
class _Statements:
    """What stands around and inside a loop: before it, inside 0, 1, ... of those around it; in each round; summed by
    blocks; after it."""

    depth: int = 0
    shape: Sequence[int] = ()
    before: dict[int, list[Line]] = field(default_factory=lambda: defaultdict(list))
    inside: list[Line] = field(default_factory=list)
    sums: list[_BlockSum] = field(default_factory=list)
    after: list[Line] = field(default_factory=list)
    apart: bool = True  # whether blocks can be done in any order: no two write to one place


@dataclass(frozen=True)
class _BlockSum:
    """A sum of all elements: the names of the whole and of what a block adds to it."""

    whole: str
    part: str
    zero: ast.expr
    type: ArrayType


@dataclass(frozen=True)
class Part:
    """A function that does some blocks of a loop."""

    name: str
    parameters: list[str]
    lines: list[Line]


class ElementLoops:
    """Writes the loops of one function.

    Parameters
    ----------
    expressions : Expressions
        Of the same function.
    unused : Unused
        Names for indices and parts of sums.
    """

    def __init__(self, expressions: Expressions, unused: Unused) -> None:
        self.expressions = expressions
        self.unused = unused
        self.elements = Elements(expressions, unused.letters)
        self.parts: list[Part] = []

    def of(self, nodes: Sequence[Node], growing: Collection[Value]) -> list[Line]:
        """Steps and entries of stacks over one shape, in one loop; `growing` stacks are given room before."""
        loop = self._statements(nodes, growing, 0)
        if _is_large(loop, len(nodes)):
            rounds: Sequence[Line] = self._in_threads(loop)
        else:
            rounds = self._in_blocks(loop) if loop.sums else self._each(loop.shape, loop.inside)
        return [*loop.before[0], *rounds, *loop.after]

    def nest(self, nest: Nest, growing: Collection[Value]) -> list[Line]:
        """Loops inside of one over the axes they have in common."""
        lines, before = self._part(nest, growing, 0)
        return [*before[0], *lines]

    def _part(
        self, part: Node, growing: Collection[Value], depth: int
    ) -> tuple[Sequence[Line], dict[int, list[Line]]]:
        """The lines of what stands inside so many loops, and for each number of loops what stands before it there."""
        if not isinstance(part, Nest):
            loop = self._statements(part.nodes if isinstance(part, Fused) else [part], growing, depth)
            return self._each(loop.shape, loop.inside, depth), loop.before
        inside: list[Line] = []
        before: dict[int, list[Line]] = defaultdict(list)
        for inner in part.parts:
            lines, needed = self._part(inner, growing, depth + 1)
            inside.extend([*needed.pop(depth + 1, ()), *lines])
            for k, first in needed.items():
                before[k].extend(first)
        return [_for(self.elements.letters[part.axis], literal(part.length), inside)], before

    def _statements(self, nodes: Sequence[Node], growing: Collection[Value], depth: int) -> _Statements:
        loop = _Statements(depth)
        where = nodes[0].location
        for node in nodes:
            if isinstance(node, Push):
                loop.shape = node.value.type.shape
                loop.before[0].extend([make_room(node)] if node.stack in growing else [])
                loop.apart = loop.apart and node.stack not in growing
                loop.inside.append(Line(self._push(node), node.location))
                continue
            assert isinstance(node, Compute)
            axes = summed_axes(node.instr)
            result = node.outputs[0]
            if axes is not None:
                loop.shape = node.inputs[0].type.shape
                self._sum(node, axes, loop, where)
                continue
            loop.shape = result.type.shape
            if not result.inner and not result.is_buffer:
                loop.before[0].append(Line(assign(result.name, zeros(result.memory, "np.empty")), where))
            loop.inside.append(Line(self._store(node), node.location))
        return loop

    def _store(self, node: Compute) -> ast.stmt:
        """One element of the result."""
        result = node.outputs[0]
        index = self.elements.indices(result.type.shape)
        element = self.elements.of(node, index)
        return ast.Assign(targets=[self._place(result, index)], value=element)

    def _place(self, result: Value, index: Sequence[ast.expr]) -> ast.Name | ast.Subscript:
        """Where an element of a result is stored."""
        if result.inner or not result.type.shape:
            return ast.Name(id=result.name, ctx=ast.Store())
        array = ast.Name(id=result.name, ctx=ast.Load())
        return subscript(array, index[result.dropped :], store=True)

    # --- sums ---------------------------------------------------------------------------------------------------------

    def _sum(self, node: Compute, axes: Sequence[int], loop: _Statements, where: Location | None) -> None:
        """A sum over some axes, or over all."""
        result = node.outputs[0]
        zero = self._zero(result.type.dtype)
        place = self._summed_place(node, axes)
        if result.type.shape or math.prod(loop.shape) <= BLOCK:
            around = min([loop.depth, *(k for k in axes if loop.shape[k] != 1)])
            loop.before[around].extend(self._cleared(node, axes, around, loop, where))
            loop.inside.append(Line(self._add(place, node, axes), node.location))
            loop.apart = False
            return
        dtype = result.type.dtype
        wide = np.dtype(_WIDE.get(dtype.name, dtype))
        whole = result.name if wide == dtype else self.unused.like(f"{result.name}_whole")
        part = self.unused.like(f"{result.name}_part")
        loop.before[0].append(Line(assign(whole, self._zero(wide)), where))
        part_place = ast.Name(id=part, ctx=ast.Store())
        loop.inside.append(Line(self._add(part_place, node, axes), node.location))
        loop.sums.append(_BlockSum(whole, part, zero, ArrayType((), dtype)))
        if wide != dtype:
            narrow = call(f"np.{dtype.name}", ast.Name(id=whole, ctx=ast.Load()))
            loop.after.append(Line(assign(result.name, narrow), where))

    def _zero(self, dtype: np.dtype) -> ast.expr:
        return self.expressions.constant(dtype.type(0), ArrayType((), dtype))

    def _cleared(
        self, node: Compute, axes: Sequence[int], around: int, loop: _Statements, where: Location | None
    ) -> Sequence[Line]:
        """Sums before anything is added, inside so many loops."""
        result, given = node.outputs[0], node.inputs[0].type.shape
        array = bool(result.type.shape) and not result.inner
        if array and not result.is_buffer and not around:
            return [Line(assign(result.name, zeros(result.memory)), where)]
        if array and not result.is_buffer:
            loop.before[0].append(Line(assign(result.name, zeros(result.memory, "np.empty")), where))
        place = self._summed_place(node, axes)
        clear = Line(ast.Assign(targets=[place], value=self._zero(result.type.dtype)), where)
        kept = [1 if k in axes else n for k, n in enumerate(given)]
        return self._each(kept, [clear], around)

    def _summed_place(self, node: Compute, axes: Sequence[int]) -> ast.Name | ast.Subscript:
        """The sum that an element is a term of."""
        result, given = node.outputs[0], node.inputs[0].type.shape
        index = self.elements.indices(given)
        kept = [p for k, p in enumerate(index) if k not in axes]
        if len(kept) != len(result.type.shape):  # the axes stay, with one element
            lead = len(given) - len(result.type.shape)
            kept = [literal(0) if k in axes else p for k, p in enumerate(index) if k >= lead]
        return self._place(result, kept)

    def _add(self, place: ast.Name | ast.Subscript, node: Compute, axes: Sequence[int]) -> ast.stmt:
        """One element is added to its sum; where there are many, in the order that suits the machine."""
        given, dtype = node.inputs[0].type.shape, node.outputs[0].type.dtype
        element = self.elements.at(node.inputs[0], self.elements.indices(given))
        many = math.prod(given[k] for k in axes) > IN_ORDER
        if isinstance(place, ast.Name) and many and dtype.kind in "fc":
            self.expressions.kernels[added] = None
            return assign(place.id, call(added.__name__, ast.Name(id=place.id, ctx=ast.Load()), element))
        return ast.AugAssign(target=place, op=ast.Add(), value=element)

    # --- other places -------------------------------------------------------------------------------------------------

    def write(self, node: Write, sets: bool) -> list[Line]:
        """`x[1:] = y` or `x[1:] += y`, element by element."""
        parts, shape = node.instr.params["index"], node.output.type.shape
        *given, value = node.rest
        slots = self.expressions.slots(node.instr, given)
        part = region(shape, parts)
        index = self.elements.indices(part)
        array = ast.Name(id=node.output.name, ctx=ast.Load())
        place = subscript(array, item_index(parts, shape, index, slots), store=True)
        if isinstance(value, Const):
            element = self.expressions.operand(value, len(node.rest), node.instr)
        else:
            element = self.elements.at(value, index)
        store: ast.stmt = ast.Assign(targets=[place], value=element)
        if not sets:
            store = ast.AugAssign(target=place, op=ast.Add(), value=element)
        return list(self._each(part, [Line(store, node.location)]))

    def _push(self, node: Push) -> ast.stmt:
        """One element of one iteration's array in its place of the stack."""
        assert isinstance(node.value, Value) and node.index is not None
        stack = ast.Name(id=node.stack.name, ctx=ast.Load())
        entry = ast.Name(id=node.index.name, ctx=ast.Load())
        index = self.elements.indices(node.value.type.shape)
        place = subscript(stack, [entry, *index], store=True)
        return ast.Assign(targets=[place], value=self.elements.at(node.value, index))

    # --- rounds -------------------------------------------------------------------------------------------------------

    def _each(self, shape: Sequence[int], inside: Sequence[Line], first: int = 0) -> Sequence[Line]:
        """The statements for each index of a shape, from axis `first` on."""
        axes = list(zip(shape, self.elements.letters, strict=False))[first:]
        for n, letter in reversed(axes):
            if n != 1:
                inside = [_for(letter, literal(n), inside)]
        return inside

    def _in_blocks(self, loop: _Statements) -> Sequence[Line]:
        """The statements for each index, in blocks of about `BLOCK` elements along one axis.

        An index is a start and what is counted from there: so the compiler knows that it is not negative.
        """
        shape = loop.shape
        axis = next(k for k in range(len(shape)) if math.prod(shape[k + 1 :]) <= BLOCK)
        start, length = self.unused.like("start"), shape[axis]
        where = loop.inside[0].location
        whole = [Line(_increased(s.whole, _name(s.part)), where) for s in loop.sums]
        limits = (literal(0), literal(length), literal(_rounds(shape, axis)))
        lines: Sequence[Line] = [_for(start, limits, [*self._block(loop, axis, start), *whole])]
        for n, letter in reversed(list(zip(shape[:axis], self.elements.letters, strict=False))):
            if n != 1:
                lines = [_for(letter, literal(n), lines)]
        return lines

    def _block(self, loop: _Statements, axis: int, start: str) -> list[Line]:
        """One block of rounds along an axis, from `start` on; sums of its elements in their parts."""
        length, rounds = loop.shape[axis], _rounds(loop.shape, axis)
        place = self.elements.letters[len(loop.shape)]
        until: ast.expr = literal(rounds)
        if length % rounds:
            left = ast.BinOp(left=literal(length), op=ast.Sub(), right=_name(start))
            until = call("min", until, left)
        index = ast.BinOp(left=_name(start), op=ast.Add(), right=_name(place))
        inner = self._each(loop.shape, loop.inside, axis + 1)
        where = inner[0].location
        first = Line(assign(self.elements.letters[axis], index), where)
        cleared = [Line(assign(s.part, s.zero), where) for s in loop.sums]
        return [*cleared, _for(place, until, [first, *inner])]

    def _in_threads(self, loop: _Statements) -> Sequence[Line]:
        """The statements for each index, in blocks that a function of its own does, some at a time.

        The blocks are tried one after the other, which costs nothing beside what is in them: so the compiler knows
        that no index is negative.
        """
        self.expressions.kernels[in_threads] = None
        axis = _first_axis(loop.shape)
        rounds = _rounds(loop.shape, axis)
        blocks = -(-loop.shape[axis] // rounds)
        count = literal(blocks)
        start, block = self.unused.like("start"), self.unused.like("block")
        first, last = self.unused.like("first"), self.unused.like("last")
        where = loop.inside[0].location
        begin = Line(assign(start, ast.BinOp(left=literal(rounds), op=ast.Mult(), right=_name(block))), where)
        mine = ast.Compare(
            left=_name(first), ops=[ast.LtE(), ast.Lt()], comparators=[_name(block), _name(last)]
        )
        lines, parts, whole = [begin, *self._block(loop, axis, start)], [], []
        for each in loop.sums:
            array = self.unused.like(f"{each.part}s")
            length = ArrayType((blocks,), each.type.dtype)
            parts.append(Line(assign(array, zeros(length, "np.empty")), where))
            place = subscript(_name(array), [_name(block)], store=True)
            lines.append(Line(ast.Assign(targets=[place], value=_name(each.part)), where))
            whole.append(Line(_increased(each.whole, subscript(_name(array), [_name(block)])), where))
        guarded = Line(ast.If(test=mine, body=[], orelse=[]), where, body=lines)
        all_blocks = [_for(block, count, [guarded])]
        known = {*self.unused.reserved, first, last}
        read = [name for name in _free_names(all_blocks) if name not in known]
        name = self.unused.like(f"{self.unused.function}_part{len(self.parts) or ''}")
        self.parts.append(Part(name, [first, last, *read], all_blocks))
        given = ast.Tuple(elts=[_name(n) for n in read], ctx=ast.Load())
        shared = Line(ast.Expr(value=call(in_threads.__name__, count, _name(name), given)), where)
        return [*parts, shared, *([_for(block, count, whole)] if whole else [])]


def _first_axis(shape: Sequence[int]) -> int:
    return next((k for k, n in enumerate(shape) if n != 1), 0)


def _rounds(shape: Sequence[int], axis: int) -> int:
    """How many indices of an axis are a block."""
    return max(1, BLOCK // math.prod(shape[axis + 1 :]))


def _is_large(loop: _Statements, statements: int) -> bool:
    """Whether several threads may share a loop, which takes longer than making them."""
    size = math.prod(loop.shape)
    if not loop.apart or size < 16 * BLOCK or size * statements < LARGE:
        return False
    row = math.prod(loop.shape[_first_axis(loop.shape) + 1 :])
    return row <= 16 * BLOCK and checked.__name__ not in _free_names(loop.inside)


def _free_names(lines: Sequence[Line]) -> list[str]:
    """The names that lines read and do not assign, in order."""
    read: dict[str, None] = {}
    assigned: set[str] = set()

    def visit(line: Line) -> None:
        if line.statement is not None:
            for node in ast.walk(line.statement):
                if isinstance(node, ast.Name):
                    if isinstance(node.ctx, ast.Store):
                        assigned.add(node.id)
                    else:
                        read[node.id] = None
        for inner in line.body:
            visit(inner)

    for line in lines:
        visit(line)
    return [name for name in read if name not in assigned]


def _name(name: str) -> ast.Name:
    return ast.Name(id=name, ctx=ast.Load())


def _for(name: str, until: ast.expr | Sequence[ast.expr], inside: Sequence[Line]) -> Line:
    """`for name in range(until):`."""
    limits = [until] if isinstance(until, ast.expr) else until
    target = ast.Name(id=name, ctx=ast.Store())
    head = ast.For(target=target, iter=call("range", *limits), body=[], orelse=[])
    return Line(head, inside[0].location, body=list(inside))


def _increased(name: str, term: ast.expr) -> ast.stmt:
    """`name += term`."""
    return ast.AugAssign(target=ast.Name(id=name, ctx=ast.Store()), op=ast.Add(), value=term)
