"""Loops over elements as statements of the native text: for a step, for a write into a part, for an entry of a stack.

A node with its operands goes in, lines come out; what stands inside the loops is written by `elements`. Begin with
`ElementLoops.compute`.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from tracegrad.emit.blocks import Compute, Push, Value, Write
from tracegrad.emit.elements import Elements, item_index, region, subscript, summed_axes
from tracegrad.emit.expressions import Expressions, zeros
from tracegrad.emit.loops import assign, make_room
from tracegrad.emit.printer import Line
from tracegrad.ir.location import Location
from tracegrad.ir.trace import Const
from tracegrad.ops.op import call, literal


class ElementLoops:
    """Writes the loops of one function; see `Elements` for the parameters."""

    def __init__(self, expressions: Expressions, letters: Sequence[str]) -> None:
        self.expressions = expressions
        self.elements = Elements(expressions, letters)

    def compute(self, node: Compute) -> list[Line]:
        """A step whose result has a name."""
        axes = summed_axes(node.instr)
        if axes is not None:
            return self._sum(node, axes)
        result = node.outputs[0]
        index = self.elements.indices(result.type.shape)
        place = subscript(ast.Name(id=result.name, ctx=ast.Load()), index, store=True)
        store = ast.Assign(targets=[place], value=self.elements.of(node, index))
        made = Line(assign(result.name, zeros(result.type, "np.empty")), node.location)
        return [made, self._each(result.type.shape, store, node.location)]

    def _sum(self, node: Compute, axes: Sequence[int]) -> list[Line]:
        """Each element is added to its sum, in the order they have in memory."""
        result, given = node.outputs[0], node.inputs[0].type.shape
        index = self.elements.indices(given)
        place: ast.Name | ast.Subscript = ast.Name(id=result.name, ctx=ast.Store())
        if result.type.shape:
            kept = [p for k, p in enumerate(index) if k not in axes]
            if len(kept) != len(result.type.shape):  # the axes stay, with one element
                lead = len(given) - len(result.type.shape)
                kept = [literal(0) if k in axes else p for k, p in enumerate(index) if k >= lead]
            place = subscript(ast.Name(id=result.name, ctx=ast.Load()), kept, store=True)
            start = zeros(result.type)
        else:
            start = self.expressions.constant(result.type.dtype.type(0), result.type)
        add = ast.AugAssign(target=place, op=ast.Add(), value=self.elements.at(node.inputs[0], index))
        return [Line(assign(result.name, start), node.location), self._each(given, add, node.location)]

    def write(self, node: Write, sets: bool) -> list[Line]:
        """`x[1:] = y` or `x[1:] += y`, element by element."""
        parts, shape = node.instr.params["index"], node.output.type.shape
        *given, value = node.rest
        slots = [self.expressions.operand(x, 1 + k, node.instr) for k, x in enumerate(given)]
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
        return [self._each(part, store, node.location)]

    def push(self, node: Push, grows: bool) -> list[Line]:
        """One iteration's array in its place of the stack."""
        assert isinstance(node.value, Value) and node.index is not None
        stack = ast.Name(id=node.stack.name, ctx=ast.Load())
        entry = ast.Name(id=node.index.name, ctx=ast.Load())
        shape = node.value.type.shape
        index = self.elements.indices(shape)
        store = ast.Assign(
            targets=[subscript(stack, [entry, *index], store=True)], value=self.elements.at(node.value, index)
        )
        room = [make_room(node)] if grows else []
        return [*room, self._each(shape, store, node.location)]

    def _each(self, shape: Sequence[int], store: ast.stmt, where: Location | None) -> Line:
        """The statement for each index of a shape."""
        line = Line(store, where)
        for n, letter in reversed(list(zip(shape, self.elements.letters, strict=False))):
            if n != 1:
                target = ast.Name(id=letter, ctx=ast.Store())
                head = ast.For(target=target, iter=call("range", literal(n)), body=[], orelse=[])
                line = Line(head, where, body=[line])
        return line
