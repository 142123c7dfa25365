"""Loops over elements as statements of the native text: for a step, for a write into a part, for an entry of a stack.

A node with its operands goes in, lines come out; what stands inside the loops is written by `elements`. Begin with
`ElementLoops.of`.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence

from tracegrad.emit.blocks import Compute, Node, Push, Value, Write
from tracegrad.emit.elements import Elements, item_index, region, subscript, summed_axes
from tracegrad.emit.expressions import Expressions, zeros
from tracegrad.emit.loops import assign, make_room
from tracegrad.emit.printer import Line
from tracegrad.ir.location import Location
from tracegrad.ir.trace import Const
from tracegrad.ir.types import ArrayType
from tracegrad.ops.op import call, literal


class ElementLoops:
    """Writes the loops of one function; see `Elements` for the parameters."""

    def __init__(self, expressions: Expressions, letters: Sequence[str]) -> None:
        self.expressions = expressions
        self.elements = Elements(expressions, letters)

    def of(self, nodes: Sequence[Node], growing: Collection[Value]) -> list[Line]:
        """Steps and entries of stacks over one shape, in one loop; `growing` stacks are given room before."""
        before: list[Line] = []
        inside: list[Line] = []
        shape: Sequence[int] = ()
        where = nodes[0].location
        for node in nodes:
            if isinstance(node, Push):
                shape = node.value.type.shape
                before.extend([make_room(node)] if node.stack in growing else [])
                inside.append(Line(self._push(node), node.location))
                continue
            assert isinstance(node, Compute)
            axes = summed_axes(node.instr)
            result = node.outputs[0]
            if axes is not None:
                shape = node.inputs[0].type.shape
                before.extend(self._start(result, where))
                inside.append(Line(self._add(node, axes), node.location))
                continue
            shape = result.type.shape
            if not result.inner and not result.is_buffer:
                before.append(Line(assign(result.name, zeros(result.type, "np.empty")), where))
            inside.append(Line(self._store(node), node.location))
        return [*before, *self._each(shape, inside)]

    def _store(self, node: Compute) -> ast.stmt:
        """One element of the result."""
        result = node.outputs[0]
        index = self.elements.indices(result.type.shape)
        element = self.elements.of(node, index)
        if result.inner:
            return assign(result.name, element)
        place = subscript(ast.Name(id=result.name, ctx=ast.Load()), index, store=True)
        return ast.Assign(targets=[place], value=element)

    def _start(self, result: Value, where: Location | None) -> Sequence[Line]:
        """A sum before anything is added."""
        if result.type.shape and not result.is_buffer:
            return [Line(assign(result.name, zeros(result.type)), where)]
        zero = self.expressions.constant(result.type.dtype.type(0), ArrayType((), result.type.dtype))
        if not result.type.shape:
            return [Line(assign(result.name, zero), where)]
        index = self.elements.indices(result.type.shape)
        place = subscript(ast.Name(id=result.name, ctx=ast.Load()), index, store=True)
        clear = Line(ast.Assign(targets=[place], value=zero), where)
        return self._each(result.type.shape, [clear])

    def _add(self, node: Compute, axes: Sequence[int]) -> ast.stmt:
        """One element is added to its sum; the elements come in the order they have in memory."""
        result, given = node.outputs[0], node.inputs[0].type.shape
        index = self.elements.indices(given)
        place: ast.Name | ast.Subscript = ast.Name(id=result.name, ctx=ast.Store())
        if result.type.shape:
            kept = [p for k, p in enumerate(index) if k not in axes]
            if len(kept) != len(result.type.shape):  # the axes stay, with one element
                lead = len(given) - len(result.type.shape)
                kept = [literal(0) if k in axes else p for k, p in enumerate(index) if k >= lead]
            place = subscript(ast.Name(id=result.name, ctx=ast.Load()), kept, store=True)
        return ast.AugAssign(target=place, op=ast.Add(), value=self.elements.at(node.inputs[0], index))

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

    def _each(self, shape: Sequence[int], inside: Sequence[Line]) -> Sequence[Line]:
        """The statements for each index of a shape."""
        for n, letter in reversed(list(zip(shape, self.elements.letters, strict=False))):
            if n != 1:
                target = ast.Name(id=letter, ctx=ast.Store())
                head = ast.For(target=target, iter=call("range", literal(n)), body=[], orelse=[])
                inside = [Line(head, inside[0].location, body=inside)]
        return inside
