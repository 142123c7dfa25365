"""Loops over elements as statements of the native text: for a step, for a write into a part, for an entry of a stack.

A node with its operands goes in, lines come out; what stands inside the loops is written by `elements`, the loops
themselves by `rounds`. Begin with `ElementLoops.of`.

What a loop gathers in a number is gathered in up to three: over all, in a block of rows, in a row; each is a part of
the one before, so that no sum has many more than `BLOCK` terms, and what threads share is the sum of a block. What it
gathers in an array is added to it side by side.
"""

from __future__ import annotations

import ast
import math
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count

from tracegrad.emit.blocks import Ahead, Compute, Fused, Nest, Node, Operand, Push, Slide, Value, Visit, Write
from tracegrad.emit.elements import Elements, item_index, subscript
from tracegrad.emit.expressions import Expressions, zeros
from tracegrad.emit.joins import is_join, parts_of
from tracegrad.emit.loops import assign, for_each, make_room
from tracegrad.emit.names import Unused
from tracegrad.emit.overlays import fills_all, is_overlay, overlay_lines, part_shape
from tracegrad.emit.printer import Line
from tracegrad.emit.reductions import IN_ORDER, Reduction, reduction_of
from tracegrad.emit.rounds import (
    BLOCK,
    Around,
    Blocks,
    Columns,
    Lines,
    Part,
    Rounds,
    checks_indices,
    first_axis,
    in_order,
    nothing,
    rounds_of,
    taken,
)
from tracegrad.emit.visit_products import SUMS, VisitProducts
from tracegrad.emit.windows import Windows
from tracegrad.ir.location import Location
from tracegrad.ir.trace import Const
from tracegrad.ir.types import ArrayType
from tracegrad.ops.index import item_shape
from tracegrad.ops.op import call, literal, named

LARGE = 2**19  # elements times statements from which threads share a loop
MOST_BLOCKS = 64  # of rows, that threads share
ROWS = 64  # of a block, at least, that has rows of sums beside the result


@dataclass
class _Rows:
    """How the rounds of the outermost loop are done, and what all of them need or gather."""

    growing: Collection[Value]
    axis: int = 0
    rounds: int = 0  # of a block; 0 where there are no blocks
    shared: bool = False  # whether threads share the blocks
    parts: list[Part] = field(default_factory=list)
    columns: list[Columns] = field(default_factory=list)
    rooms: list[Line] = field(default_factory=list)  # memory that each round uses again
    apart: bool = True  # whether blocks can be done in any order: no two write to one place


@dataclass
class _Loop:
    """A loop inside of `depth` others: what stands before it and after it, inside 0, 1, ... of those around it; in each
    round; what its own blocks gather."""

    depth: int
    shape: Sequence[int] = ()
    before: Lines = field(default_factory=lambda: defaultdict(list))
    inside: list[Line] = field(default_factory=list)
    after: Lines = field(default_factory=lambda: defaultdict(list))
    parts: list[Part] = field(default_factory=list)


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
        self.rounds = Rounds(expressions, unused)

    def of(self, nodes: Sequence[Node], growing: Collection[Value]) -> list[Line]:
        """Steps and entries of stacks over one shape, in one loop; `growing` stacks are given room before."""
        rows = _Rows(growing)
        if isinstance(nodes[0], Compute) and is_join(nodes[0].instr):
            return self._joined(nodes[0], rows)
        loop = self._loop(nodes, 0, rows)
        return [*loop.before[0], *self._whole(loop, rows, len(nodes)), *loop.after[0]]

    def _whole(self, loop: _Loop, rows: _Rows, statements: int) -> Sequence[Line]:
        """All rounds of a loop that stands in no other."""
        if rows.apart and _is_large(loop, statements):
            axis = first_axis(loop.shape)
            rounds = rounds_of(loop.shape, axis)
            blocks = Blocks(loop.shape[axis], rounds, self.unused.letters[axis], "start", len(loop.shape))
            inside = self.rounds.each(loop.shape, loop.inside, axis + 1)
            return self.rounds.in_threads(blocks, inside, loop.parts)
        return self._flat(loop)

    def nest(self, nest: Nest, growing: Collection[Value]) -> list[Line]:
        """Loops inside of one over the axes they have in common."""
        if isinstance(nest, Visit):
            return self._visit(nest, growing)
        rows = _Rows(growing, nest.axis)
        inside, before, after = self._inside(nest, rows)
        if isinstance(nest, Slide):
            inside = [*(line for loop in nest.ahead for line in self._ahead(loop, rows)), *inside]
        rows.rounds, rows.shared = self._blocks(nest, rows, inside)
        letter = self.unused.letters[nest.axis]
        if not rows.rounds:
            lines: Sequence[Line] = [for_each(letter, literal(nest.length), inside)]
        else:
            rows = _Rows(growing, nest.axis, rows.rounds, rows.shared)
            inside, before, after = self._inside(nest, rows)
            deepest = 1 + max(len(_shape_of(node)) for node in nest.nodes)
            blocks = Blocks(nest.length, rows.rounds, letter, "row", deepest)
            around: Around = nothing
            if isinstance(nest, Slide):
                windows = Windows(nest, self.unused, self.rounds, deepest)
                blocks = replace(blocks, near=windows.own)
                ahead = [self._ahead(loop, rows) for loop in nest.ahead]
                behind: list[Line] = []
                if nest.behind is not None:
                    behind, first, last = self._inside(nest.behind, rows)
                    before[0].extend(in_order(first))
                    after[0].extend(in_order(last))
                around = windows.around(ahead, behind)
            if rows.shared:
                lines = self.rounds.in_threads(blocks, inside, rows.parts, rows.columns, rows.rooms, around)
                return [*in_order(before), *lines, *in_order(after)]
            lines = self.rounds.by_blocks(blocks, inside, rows.parts, around)
        return [*rows.rooms, *in_order(before), *lines, *in_order(after)]

    def _visit(self, visit: Visit, growing: Collection[Value]) -> list[Line]:
        """Loops over rows and products with these, some rows at a time."""
        loops = [stage for stage in visit.stages if isinstance(stage, Nest)]
        rows = _Rows(growing)
        lines = [line for loop in loops for line in self._inside(loop, rows)[0]]
        rows = _Rows(growing, 0, visit.rounds, visit.large and rows.apart and not checks_indices(lines))
        found = [self._inside(loop, rows) for loop in loops]
        products = VisitProducts(visit, self.expressions, self.unused, self.rounds)
        whole, some = products.rooms()
        before = [*(line for _, first, _ in found for line in in_order(first)), *whole]
        after = [line for _, _, last in found for line in in_order(last)]
        rooms = [*rows.rooms, *some]
        around = products.sums(rows.columns if rows.shared else None)
        deepest = 1 + max(len(_shape_of(step)) for loop in loops for step in loop.nodes)
        blocks = Blocks(visit.length, visit.rounds, self.unused.letters[0], "row", deepest)
        blocks = replace(blocks, near=products.block(blocks, [inside for inside, _, _ in found]))
        if rows.shared:
            shared = self.rounds.in_threads(blocks, lines, rows.parts, rows.columns, rooms, around)
            return [*before, *shared, *after]
        return [*rooms, *before, *self.rounds.by_blocks(blocks, lines, rows.parts, around), *after]

    def _flat(self, loop: _Loop) -> Sequence[Line]:
        if loop.parts:
            return self.rounds.in_blocks(loop.shape, loop.inside, loop.parts, loop.depth)
        return self.rounds.each(loop.shape, loop.inside, loop.depth)

    def _ahead(self, loop: Ahead, rows: _Rows) -> Sequence[Line]:
        """What makes one row ahead of a block."""
        made = self._loop(loop.nodes, 1, rows)
        return self.rounds.each(made.shape, made.inside, 1)

    def _inside(self, nest: Nest, rows: _Rows) -> tuple[list[Line], Lines, Lines]:
        """What stands in one round of a nest, and what stands before and after all rounds, inside so many loops."""
        depth = nest.axis + 1
        inside: list[Line] = []
        before: Lines = defaultdict(list)
        after: Lines = defaultdict(list)
        for part in nest.parts:
            if isinstance(part, Nest):
                within, first, last = self._inside(part, rows)
                letter = self.unused.letters[part.axis]
                lines: Sequence[Line] = [for_each(letter, literal(part.length), within)]
            else:
                loop = self._loop(part.nodes if isinstance(part, Fused) else [part], depth, rows)
                lines, first, last = self._flat(loop), loop.before, loop.after
            inside.extend([*taken(first, depth), *lines, *taken(last, depth)])
            for whole, more in ((before, first), (after, last)):
                for k, others in more.items():
                    whole[k].extend(others)
        return inside, before, after

    # --- who does the rounds ------------------------------------------------------------------------------------------

    def _blocks(self, nest: Nest, rows: _Rows, lines: Sequence[Line]) -> tuple[int, bool]:
        """The rounds of a block of rows, or 0; and whether threads share the blocks."""
        sizes = [math.prod(_shape_of(node)) for node in nest.nodes]
        found = [reduction_of(step.instr) for step in nest.nodes if isinstance(step, Compute)]
        gathered = [r for r in found if r is not None and nest.axis in r.longer]
        columns = [math.prod(r.shape[k] for k in r.kept) for r in gathered if r.kept]
        large = max(sizes) >= 16 * BLOCK and sum(sizes) >= LARGE
        shared = large and rows.apart and not checks_indices(lines)
        if isinstance(nest, Slide):
            return nest.rounds, shared and not columns
        if shared:
            most = min(nest.length, MOST_BLOCKS)
            if columns:
                most = min(most, nest.length // ROWS, SUMS // sum(columns))
            if most > 1:
                return -(-nest.length // most), True
        rounds = BLOCK // max(1, max(sizes) // max(1, nest.length))
        if len(columns) < len(gathered) and 1 < rounds < nest.length:
            return rounds, False
        return 0, False

    # --- what stands inside -------------------------------------------------------------------------------------------

    def _loop(self, nodes: Sequence[Node], depth: int, rows: _Rows) -> _Loop:
        loop = _Loop(depth, _shape_of(nodes[-1]))
        where = nodes[0].location
        for node in nodes:
            if isinstance(node, Push):
                if node.stack in rows.growing:
                    loop.before[0].append(make_room(node))
                    rows.apart = False
                loop.inside.append(Line(self._push(node), node.location))
                continue
            assert isinstance(node, Compute)
            reduction = reduction_of(node.instr)
            if reduction is not None:
                self._gather(node, reduction, loop, rows, where)
                continue
            if is_overlay(node.instr):
                self._overlay(node, loop, rows, where)
                continue
            result = node.outputs[0]
            self._make_room(result, loop, rows, where)
            if result.inner:
                self.rounds.long_loops.numbers[result.name] = result.type.dtype
            loop.inside.append(Line(self._store(node), node.location))
        return loop

    def _make_room(self, result: Value, loop: _Loop, rows: _Rows, where: Location | None) -> None:
        """Memory for what a loop makes, where it is an array and has none."""
        if result.inner or not result.type.shape:
            return
        new = self.rounds.long_loops.new
        if result.is_buffer:
            new.discard(result.name)
            rows.apart = rows.apart and not result.dropped
            return
        new.add(result.name)
        line = Line(assign(result.name, zeros(result.memory, "np.empty")), where)
        (rows.rooms if result.dropped or result.window else loop.before[0]).append(line)

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
        return self._stored(result, index)

    def _stored(self, result: Value, index: Sequence[ast.expr]) -> ast.Subscript:
        """Its place in memory."""
        array = named(result.name)
        return subscript(array, index[result.dropped :], store=True)

    def _joined(self, node: Compute, rows: _Rows) -> list[Line]:
        """What is put together, part by part."""
        result, whole = node.outputs[0], _Loop(0)
        self._make_room(result, whole, rows, node.location)
        lines = whole.before[0]
        for part in parts_of(node.instr):
            index = self.elements.indices(part.shape)
            if part.number is None:
                number = result.type.dtype.type(node.instr.params["value"])
                element = self.expressions.constant(number, ArrayType((), result.type.dtype))
            else:
                operand = node.inputs[part.number]
                element = self.elements.at(operand, index)
            store = ast.Assign(targets=[self._stored(result, part.place(index))], value=element)
            lines.extend(self._whole(_Loop(0, part.shape, inside=[Line(store, node.location)]), rows, 1))
        return lines

    # --- sums and extremes --------------------------------------------------------------------------------------------

    def _gather(
        self, node: Compute, reduction: Reduction, loop: _Loop, rows: _Rows, where: Location | None
    ) -> None:
        """A reduction over some axes, or over all."""
        element = self.elements.at(node.inputs[0], self.elements.indices(reduction.shape))
        place = self._reduced_place(node.outputs[0], reduction)
        first = min([loop.depth, *reduction.longer])
        if reduction.kept and reduction.kept[-1] >= first:
            place = self._side_by_side(node, reduction, place, loop, rows, where)
        else:
            place = self._in_numbers(node, reduction, place, loop, rows, where)
        loop.inside.append(Line(reduction.gather(self.expressions, place, element), node.location))

    def _in_numbers(
        self,
        node: Compute,
        reduction: Reduction,
        place: ast.Name | ast.Subscript,
        loop: _Loop,
        rows: _Rows,
        where: Location | None,
    ) -> ast.Name:
        """The number that elements are gathered in; what it is a part of is made of it."""
        result, depth = node.outputs[0], loop.depth
        outer = min([depth, *reduction.longer])
        size, row = reduction.count, math.prod(loop.shape[depth:])
        dtype = reduction.wide if size > BLOCK else reduction.dtype
        own = isinstance(place, ast.Name) and dtype == reduction.dtype
        whole = result.name if own else self.unused.like(f"{result.name}_whole")
        start = reduction.start(self.expressions, dtype)
        loop.before[outer].append(Line(assign(whole, start), where))
        if not own:
            self._make_room(result, loop, rows, where)
            found: ast.expr = named(whole)
            if dtype != reduction.dtype:
                found = call(f"np.{reduction.dtype.name}", found)
            loop.after[outer].append(Line(ast.Assign(targets=[place], value=found), where))
        target, names = whole, iter((f"{result.name}_part", f"{result.name}_row"))
        if rows.rounds and outer == rows.axis:
            part = Part(target, self.unused.like(next(names)), reduction, dtype)
            rows.parts.append(part)
            target, size = part.name, rows.rounds * row
        if row > BLOCK:
            part = Part(target, self.unused.like(next(names)), reduction, reduction.dtype)
            loop.parts.append(part)
            target = part.name
        elif outer < depth and size > BLOCK and row >= IN_ORDER:
            part = Part(target, self.unused.like(next(names)), reduction, reduction.dtype)
            loop.before[depth].extend(self.rounds.cleared([part], where))
            found = named(part.name)
            loop.after[depth].append(Line(self.rounds.joined(part, found), where))
            target = part.name
        return ast.Name(id=target, ctx=ast.Store())

    def _side_by_side(
        self,
        node: Compute,
        reduction: Reduction,
        place: ast.Name | ast.Subscript,
        loop: _Loop,
        rows: _Rows,
        where: Location | None,
    ) -> ast.Name | ast.Subscript:
        """The place in an array that an element is gathered in; cleared inside of the loops around what is reduced."""
        result = node.outputs[0]
        outer = min([loop.depth, *reduction.longer])
        kept = [1 if k in reduction.axes else n for k, n in enumerate(reduction.shape)]
        if not outer and not result.is_buffer and not result.inner and reduction.kind == "sum":
            loop.before[0].append(Line(assign(result.name, zeros(result.memory)), where))
        else:
            self._make_room(result, loop, rows, where)
            start = reduction.start(self.expressions, reduction.dtype)
            clear = Line(ast.Assign(targets=[place], value=start), where)
            loop.before[outer].extend(self.rounds.each(kept, [clear], outer))
        rows.apart = rows.apart and loop.depth > 0
        if rows.shared and outer == rows.axis:
            assert isinstance(place, ast.Subscript)
            columns = Columns(result.name, self.unused.like(f"{result.name}_parts"), result.type, reduction)
            rows.columns.append(columns)
            key = place.slice.elts if isinstance(place.slice, ast.Tuple) else [place.slice]
            block = ast.Name(id=self.unused.like("block"), ctx=ast.Load())
            place = subscript(named(columns.name), [block, *key], store=True)
        if reduction.kept[-1] >= loop.depth:
            return place
        number = self.unused.like(f"{result.name}_part")
        cleared = assign(number, reduction.start(self.expressions, reduction.dtype))
        loop.before[loop.depth].append(Line(cleared, where))
        joined = reduction.join(self.expressions, place, named(number))
        loop.after[loop.depth].append(Line(joined, where))
        return ast.Name(id=number, ctx=ast.Store())

    def _reduced_place(self, result: Value, reduction: Reduction) -> ast.Name | ast.Subscript:
        """The place in a result that an element is gathered in."""
        index = self.elements.indices(reduction.shape)
        kept = [p for k, p in enumerate(index) if k not in reduction.axes]
        if len(kept) != len(result.type.shape):  # the axes stay, with one element
            lead = len(index) - len(result.type.shape)
            kept = [literal(0) if k in reduction.axes else p for k, p in enumerate(index) if k >= lead]
        return self._place(result, kept)

    # --- parts that overlap -------------------------------------------------------------------------------------------

    def _overlay(self, node: Compute, loop: _Loop, rows: _Rows, where: Location | None) -> None:
        """Parts that are added to zeros, each to the elements that it lies over."""
        result, shape = node.outputs[0], part_shape(node.instr)
        dtype = result.type.dtype
        zero = self.expressions.constant(dtype.type(0), ArrayType((), dtype))
        self._zeros(result, loop, rows, where, fills_all(node.instr))
        rows.apart = False  # a round adds to the next rows, and hands on
        index = self.elements.indices(shape)
        lines = overlay_lines(
            node.instr,
            index,
            [self.elements.at(part, index) for part in node.inputs],
            partial(self._stored, result),
            zero,
            self.expressions.constant(-dtype.type(0), ArrayType((), dtype)),
            (self.unused.like(f"{result.name}_next{k or ''}") for k in count()),
        )
        outside = len(shape) - 1 if math.prod(shape[:-1]) > 1 else 0
        loop.before[outside].extend(Line(statement, where) for statement in lines.before)
        loop.inside.extend(Line(statement, node.location) for statement in lines.inside)
        loop.after[outside].extend(Line(statement, node.location) for statement in lines.after)

    def _zeros(self, result: Value, loop: _Loop, rows: _Rows, where: Location | None, empty: bool) -> None:
        """Memory for a sum, with zeros in it unless all of it is set."""
        if result.window:
            rows.rooms.append(Line(assign(result.name, zeros(result.memory)), where))
            return
        if empty or result.is_buffer or result.dropped:
            self._make_room(result, loop, rows, where)
        else:
            loop.before[0].append(Line(assign(result.name, zeros(result.memory)), where))
        if not empty and (result.is_buffer or result.dropped):
            loop.before[result.dropped].extend(self.rounds.zeroed(result, where))

    def zeros(self, array: Value, where: Location | None) -> list[Line]:
        """An array of zeros."""
        made = Line(assign(array.name, zeros(array.type, "np.empty")), where)
        return [made, *self.rounds.zeroed(array, where)]

    def copied(self, name: str, array: Operand, where: Location | None) -> list[Line]:
        """The elements of an array in another, made anew."""
        index = self.elements.indices(array.type.shape)
        place = subscript(named(name), index, store=True)
        store = ast.Assign(targets=[place], value=self.elements.at(array, index))
        made = Line(assign(name, zeros(array.type, "np.empty")), where)
        return [made, *self.rounds.each(array.type.shape, [Line(store, where)])]

    # --- other places -------------------------------------------------------------------------------------------------

    def write(self, node: Write, sets: bool) -> list[Line]:
        """`x[1:] = y` or `x[1:] += y`, element by element."""
        *given, value = node.rest
        part = item_shape(node.instr)
        index = self.elements.indices(part)
        array = named(node.output.name)
        slots = self.elements.slots(node.instr, given)
        place = subscript(array, item_index(node.instr, index, slots), store=True)
        if isinstance(value, Const):
            element = self.expressions.operand(value, len(node.rest), node.instr)
        else:
            element = self.elements.at(value, index)
        store: ast.stmt = ast.Assign(targets=[place], value=element)
        if not sets:
            store = ast.AugAssign(target=place, op=ast.Add(), value=element)
        return list(self.rounds.each(part, [Line(store, node.location)]))

    def _push(self, node: Push) -> ast.stmt:
        """One element of one iteration's array in its place of the stack."""
        assert isinstance(node.value, Value) and node.index is not None
        stack = named(node.stack.name)
        entry = named(node.index.name)
        index = self.elements.indices(node.value.type.shape)
        place = subscript(stack, [entry, *index], store=True)
        return ast.Assign(targets=[place], value=self.elements.at(node.value, index))


def _shape_of(node: Node) -> Sequence[int]:
    """The shape whose elements a step runs over."""
    if isinstance(node, Push):
        return node.value.type.shape
    assert isinstance(node, Compute)
    if is_overlay(node.instr):
        return part_shape(node.instr)
    reduction = reduction_of(node.instr)
    return node.outputs[0].type.shape if reduction is None else reduction.shape


def _is_large(loop: _Loop, statements: int) -> bool:
    """Whether several threads may share a flat loop, which takes longer than making them."""
    size = math.prod(loop.shape)
    if size < 16 * BLOCK or size * statements < LARGE:
        return False
    row = math.prod(loop.shape[first_axis(loop.shape) + 1 :])
    return row <= 16 * BLOCK and not checks_indices(loop.inside)
