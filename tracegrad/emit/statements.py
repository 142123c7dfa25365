"""Blocks as statements: assignments, writes in place, side exits, branches, returns.

Blocks whose values have their names go in, lines for the printer come out. Begin with `Writer.block`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

import numpy as np

from tracegrad.emit.blocks import (
    Block,
    Check,
    Choice,
    Compute,
    Either,
    Fused,
    Item,
    Move,
    Nest,
    Node,
    Operand,
    Pack,
    Push,
    Repeat,
    Return,
    Value,
    Write,
)
from tracegrad.emit.element_loops import ElementLoops
from tracegrad.emit.elements import room_of
from tracegrad.emit.expressions import Expressions, kernel_of, zeros
from tracegrad.emit.leaving import leaving_choice
from tracegrad.emit.lifetimes import leaves
from tracegrad.emit.logic import negated
from tracegrad.emit.loops import assign, counting, write_loop, write_push
from tracegrad.emit.matrices import is_strided, part_written, product_written
from tracegrad.emit.names import Unused
from tracegrad.emit.nesting import WHOLE, width
from tracegrad.emit.part_products import products_of_parts
from tracegrad.emit.printer import Line
from tracegrad.emit.sizes import is_large, is_small
from tracegrad.ir.location import Location
from tracegrad.ir.trace import Const
from tracegrad.ir.types import ArrayType
from tracegrad.kernels.products import add_product, put_product
from tracegrad.ops.index import Slot, index_text, whole
from tracegrad.ops.op import call, literal, named


class Writer:
    """Writes the statements of one function.

    Parameters
    ----------
    leave : callable
        From the number of a side exit to the statement that leaves; None where guards were checked before.
    finish : callable
        From the results and residuals to the expression that is returned.
    unused : Unused
        Names that no value has, for the indices of loops over elements.
    """

    def __init__(
        self,
        expressions: Expressions,
        leave: Callable[[int], ast.stmt] | None,
        finish: Callable[[Sequence[ast.expr], Sequence[ast.expr]], ast.expr],
        unused: Unused,
    ) -> None:
        self.expressions = expressions
        self.leave = leave
        self.finish = finish
        self.unused = unused
        self.loops = ElementLoops(expressions, unused)
        self._zeroed: dict[Value, frozenset[tuple[int, ...]]] = {}
        self._growing: set[Value] = set()
        self._inside = 0  # so many loops and branches

    def block(self, block: Block) -> list[Line]:
        """The lines of a block."""
        return [line for node in block.nodes for line in self.node(node)]

    def _inner(self, block: Block) -> list[Line]:
        """The lines of a block in a loop or a branch."""
        self._inside += 1
        lines = self.block(block)
        self._inside -= 1
        return lines

    def node(self, node: Node) -> Iterable[Line]:
        if isinstance(node, (Compute, Item, Either)):
            return self._compute(node)
        if isinstance(node, Write):
            return self._write(node)
        if isinstance(node, Pack):
            return self._pack(node)
        if isinstance(node, Nest):
            return self.loops.nest(node, self._growing)
        if isinstance(node, Fused):
            return self.loops.of(node.nodes, self._growing)
        if isinstance(node, Check):
            return self._check(node)
        if isinstance(node, Push):
            if self.expressions.native and node.value.type.shape and isinstance(node.value, Value):
                return self.loops.of([node], self._growing)
            value = self._kept(node.value, node.stack)
            return write_push(node, value, node.stack in self._growing)
        if isinstance(node, Move):
            return self._move(node)
        if isinstance(node, Choice):
            return self._choice(node)
        if isinstance(node, Repeat):
            return self._repeat(node)
        assert isinstance(node, Return)
        return self._return(node)

    def _compute(self, node: Compute | Item | Either) -> list[Line]:
        if node.makes[0].expression is not None:
            return []
        if isinstance(node, Compute) and node.loop:
            return self.loops.of([node], self._growing)
        if isinstance(node, Compute) and node.fills:
            return self._filled(node)
        if isinstance(node, Compute) and node.instr.op.name == "copy":
            name, source = node.outputs[0].name, node.inputs[0]
            if self._is_copied_by_element(name, source):
                return self.loops.copied(name, source, node.location)
        if isinstance(node, Compute) and node.instr.op.name == "zeros":
            self._zeroed[node.outputs[0]] = frozenset()
            if self._may_be_planned(node.outputs[0].type):
                return self.loops.zeros(node.outputs[0], node.location)
        found = self.expressions.of(node)
        if isinstance(node, Compute) and node.copied:
            found = copy_of(found)
        names = [v.name for v in node.makes]
        if len(names) == 1:
            if isinstance(found, ast.Name) and found.id == names[0]:
                return []
            return [Line(assign(names[0], found), node.location)]
        targets = ast.Tuple(elts=[ast.Name(id=n, ctx=ast.Store()) for n in names], ctx=ast.Store())
        return [Line(ast.Assign(targets=[targets], value=found), node.location)]

    def _filled(self, node: Compute) -> list[Line]:
        """`np.dot(x, y, result)`, `argsort_blocks(x, result)`: so that the memory may be there before."""
        value = node.outputs[0]
        inputs = [self.expressions.operand(x, k, node.instr) for k, x in enumerate(node.inputs)]
        lines = (
            []
            if value.is_buffer
            else [Line(assign(value.name, zeros(value.type, "np.empty")), node.location)]
        )
        if node.instr.op.name == "einsum":
            return [*lines, *products_of_parts(node, inputs, self.expressions, self.unused.letters)]
        if self.expressions.leaves(node):
            result = self.expressions.name(value)
            written = self.expressions.combine(node.instr, [*inputs, result])
            return [*lines, Line(ast.Expr(value=written), node.location)]
        if kernel_of(node.instr) is not None:
            written = self.expressions.combine(node.instr, inputs)
        elif len(value.type.shape) == 2 and any(map(is_strided, inputs)):
            self.expressions.kernels[put_product] = None
            written = call(put_product.__name__, *inputs)
        else:
            written = call("np.dot", *inputs)
        assert isinstance(written, ast.Call)
        room = room_of(node.instr)
        if room is not None:
            name = self.unused.like(f"{value.name}_room")
            lines.append(Line(assign(name, zeros(room, "np.empty")), node.location))
            written.args.append(named(name))
        written.args.append(self.expressions.name(value))
        return [*lines, Line(ast.Expr(value=written), node.location)]

    def _kept(self, operand: Operand, target: Value) -> ast.expr:
        """What a variable or stack of this type is given."""
        if isinstance(operand, Const) and np.ndim(operand.value) == 0 and not target.type.shape:
            return self.expressions.constant(operand.value, target.type)
        return self.expressions.read(operand)

    # --- writing into arrays ------------------------------------------------------------------------------------------

    def _write(self, node: Write) -> list[Line]:
        lines = []
        name = node.output.name
        if isinstance(node.source, Const):
            lines.append(Line(assign(name, self.expressions.read(node.source)), node.location))
        elif not node.in_place:
            lines.extend(self._copy(name, node.source, node.location))
        product = product_written(node)
        if product is not None:
            lines.append(Line(ast.Expr(value=self._put(node, product)), product.location))
        elif node.loop:
            lines.extend(self.loops.write(node, self._sets(node)))
        else:
            lines.append(Line(self._store(node, name), node.location))
        return lines

    def _put(self, node: Write, product: Compute) -> ast.expr:
        """`add_product(x, y, z[:, :k])`."""
        kernel = put_product if self._sets(node) else add_product
        self.expressions.kernels[kernel] = None
        inputs = [self.expressions.operand(x, k, product.instr) for k, x in enumerate(product.inputs)]
        return call(kernel.__name__, *inputs, part_written(node, self.expressions))

    def _is_copied_by_element(self, name: str, source: Operand, carried: bool = False) -> bool:
        """Whether a copy of this name is large: its memory may then be there before. Or small, and `carried` by a loop:
        it may then be the stack."""
        if isinstance(source, Const) or source.name == name or source.expression is not None:
            return False
        on_stack = carried and self.expressions.native and is_small(source.type)
        return on_stack or self._may_be_planned(source.type)

    def _may_be_planned(self, type: ArrayType) -> bool:
        """Whether an array that is made here is large, and made once."""
        return self.expressions.native and not self._inside and is_large(type)

    def _copy(
        self, name: str, source: Operand, where: Location | None, carried: bool = False
    ) -> Sequence[Line]:
        """A copy of an array."""
        if self._is_copied_by_element(name, source, carried):
            return self.loops.copied(name, source, where)
        return [Line(assign(name, copy_of(self.expressions.read(source))), where)]

    def _sets(self, node: Write) -> bool:
        """Whether the place is set; else the value is added to it."""
        return node.instr.op.name == "index_set" or self._is_first(node, node.instr.params["index"])

    def _pack(self, node: Pack) -> list[Line]:
        """`np.array([a, b])` where that is one line of array text, else one store a place."""
        type, name = node.output.type, node.output.name
        items = [self._kept(x, Value(ArrayType((), type.dtype))) for x in node.items]
        array = call("np.array", ast.List(elts=items, ctx=ast.Load()))
        plain = type.dtype == np.float64 and any(isinstance(x, Value) for x in node.items)
        if plain and not self.expressions.native and width(array) + len(name) + 3 <= WHOLE:
            return [Line(assign(name, array), node.location)]
        lines = [Line(assign(name, zeros(type, "np.empty")), node.location)]
        for k, item in enumerate(items):
            place = ast.Subscript(value=named(name), slice=literal(k), ctx=ast.Store())
            source = node.items[k]
            nested = isinstance(source, Value) and source.expression is not None and source.maker is not None
            where = source.maker.location if nested else node.location  # type: ignore[union-attr]
            lines.append(Line(ast.Assign(targets=[place], value=item), where))
        return lines

    def _store(self, node: Write, name: str) -> ast.stmt:
        index = node.instr.params["index"]
        if self.expressions.native:  # Numba's own way with an ellipsis takes a second
            index = tuple(whole(index, len(node.output.type.shape)))
        slots = self.expressions.slots(node.instr, node.rest[:-1])
        value = self.expressions.operand(node.rest[-1], len(node.rest), node.instr)
        target = ast.Subscript(value=named(name), slice=index_text(slots, index), ctx=ast.Store())
        if self._sets(node):
            return ast.Assign(targets=[target], value=value)
        arrays = [node.rest[p.number].type for p in index if isinstance(p, Slot)]
        if any(t.shape and t.dtype.kind in "iu" for t in arrays):
            key = _outside_brackets(index_text(slots, index))
            return ast.Expr(value=call("np.add.at", named(name), key, value))
        if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub) and not self.expressions.native:
            return ast.AugAssign(target=target, op=ast.Sub(), value=value.operand)
        return ast.AugAssign(target=target, op=ast.Add(), value=value)

    def _is_first(self, node: Write, index: Sequence[object]) -> bool:
        """Whether the place still holds the zeros the array was made with, so that adding is setting."""
        written = self._zeroed.get(node.source) if isinstance(node.source, Value) else None
        if written is None or any(isinstance(p, Slot) for p in index):
            return False
        key = tuple(p for p in index if type(p) is int and p >= 0)
        if len(key) == len(index) == len(node.output.type.shape):
            if key not in written:
                self._zeroed[node.output] = written | {key}
                return True
            return False
        return not written

    # --- control ------------------------------------------------------------------------------------------------------

    def _check(self, node: Check) -> list[Line]:
        if self.leave is None:
            return []
        condition = self.expressions.read(node.condition)
        expected = node.expected
        failed: ast.expr
        if isinstance(expected, (bool, np.bool_)):
            truth = self.expressions.truth(node.condition)
            failed = negated(truth) if expected else truth
        elif isinstance(expected, np.ndarray) and expected.ndim:
            nan = {"equal_nan": True} if expected.dtype.kind in "fc" and np.isnan(expected).any() else {}
            failed = ast.UnaryOp(
                op=ast.Not(), operand=call("np.array_equal", condition, _values(expected), **nan)
            )
        elif np.isnan(expected):
            failed = ast.UnaryOp(op=ast.Not(), operand=call("np.isnan", condition))
        else:
            plain = expected.item() if isinstance(expected, (np.generic, np.ndarray)) else expected
            failed = ast.Compare(left=condition, ops=[ast.NotEq()], comparators=[literal(plain)])
        leave = Line(self.leave(node.number), note=f"side exit {node.number}")
        return [Line(ast.If(test=failed, body=[], orelse=[]), node.location, body=[leave])]

    def _move(self, node: Move, copied: Collection[Value] = ()) -> list[Line]:
        """Targets take their sources, some of them copies, as if at once: one by one where the order allows it, else
        in one statement."""
        waiting: list[tuple[str, ast.expr, set[str], Location | None]] = []
        apart: dict[str, Value] = {}
        for target, source in zip(node.targets, node.sources, strict=True):
            value = self._kept(source, target)
            if target in copied:
                value = copy_of(value)
                if isinstance(source, Value):
                    apart[target.name] = source
            if isinstance(value, ast.Name) and value.id == target.name:
                continue
            nested = isinstance(source, Value) and source.expression is not None and source.maker is not None
            where = source.maker.location if nested else None  # type: ignore[union-attr]
            waiting.append((target.name, value, {v.name for v in leaves(source)}, where))
        lines: list[Line] = []
        while waiting:
            free = [m for m in waiting if not any(m[0] in other[2] for other in waiting if other is not m)]
            if not free:
                targets = ast.Tuple(
                    elts=[ast.Name(id=m[0], ctx=ast.Store()) for m in waiting], ctx=ast.Store()
                )
                values = ast.Tuple(elts=[m[1] for m in waiting], ctx=ast.Load())
                where = next((m[3] for m in waiting if m[3] is not None), None)
                return [*lines, Line(ast.Assign(targets=[targets], value=values), where)]
            name, value, _, where = free[0]
            array = apart.get(name)
            lines.extend(
                [Line(assign(name, value), where)] if array is None else self._copy(name, array, where, True)
            )
            waiting.remove(free[0])
        return lines

    def _choice(self, node: Choice) -> list[Line]:
        condition = self.expressions.truth(node.condition)
        true, false = map(self._inner, node.arms)
        if not true and not false:
            return []
        if not true:
            true, false = false, []
            condition = negated(condition)
        return [Line(ast.If(test=condition, body=[], orelse=[]), node.location, body=true, orelse=false)]

    def _repeat(self, node: Repeat) -> list[Line]:
        enter = [
            replace(x, location=x.location or node.location) for x in self._move(node.enter, node.copied)
        ]
        if node.grows:
            self._growing.update(s for s in node.stacks if s not in node.lists)
        test = self._inner(node.test) if node.test is not None else []
        self._inside += 1
        body = self._leaving(node.body, counting(node))
        self._inside -= 1
        return write_loop(node, self.expressions, enter, test, body)

    def _leaving(self, block: Block, after: Sequence[Line]) -> list[Line]:
        """The lines of a block in which its loop may be left; `after` follows the block."""
        at = leaving_choice(block)
        if at is None:
            return self.block(block)
        choice = block.nodes[at]
        assert isinstance(choice, Choice) and choice.leaving is not None
        lines = [line for node in block.nodes[:at] for line in self.node(node)]
        last = [line for node in block.nodes[at + 1 :] for line in self.node(node)]
        arms: list[list[Line]] = []
        for arm, leaving in zip(choice.arms, choice.leaving, strict=True):
            arms.append(self._leaving(arm, [*last, *after]) if leaving is None else self.block(arm))
            if leaving:
                arms[-1].extend([*last, *after, Line(ast.Break())])
        condition = self.expressions.truth(choice.condition)
        if choice.leaving[1]:
            condition, arms = negated(condition), arms[::-1]
        rest: list[Line] = []
        if True in choice.leaving:
            rest, arms[1] = arms[1], []
        elif not arms[0]:
            condition, arms = negated(condition), arms[::-1]
        head = ast.If(test=condition, body=[], orelse=[])
        return [*lines, Line(head, choice.location, body=arms[0], orelse=arms[1]), *rest, *last]

    def _return(self, node: Return) -> list[Line]:
        results = [self.expressions.read(r) for r in node.results]
        residuals = [self.expressions.number(r) for r in node.residuals]
        makers = [
            r.maker
            for r in node.results
            if isinstance(r, Value) and r.expression is not None and r.maker is not None
        ]
        where = next((m.location for m in makers if m.location is not None), None)
        return [Line(ast.Return(value=self.finish(results, residuals)), where)]


def copy_of(array: ast.expr) -> ast.expr:
    return ast.Call(func=ast.Attribute(value=array, attr="copy", ctx=ast.Load()), args=[], keywords=[])


def _values(array: np.ndarray) -> ast.expr:
    return call("np.array", literal(array.tolist()), literal(array.dtype))


def _outside_brackets(key: ast.expr) -> ast.expr:
    """An index where it is an argument: slices become calls of `slice`."""
    if isinstance(key, ast.Tuple):
        return ast.Tuple(elts=[_outside_brackets(p) for p in key.elts], ctx=ast.Load())
    if isinstance(key, ast.Slice):
        return call("slice", *(p or ast.Constant(value=None) for p in (key.lower, key.upper, key.step)))
    return key
