"""Loops in lanes as LLVM instructions: four rounds of a loop at once, in vectors.

A loop and its `Lanes` go in (see `lanes.py`); instructions come out. What all rounds have in common is a number as
everywhere else, what each has for itself is a vector. Rounds that are left over are done two at a time, then one by
one. Begin with `LaneCode.in_lanes`.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types

from tracegrad.compiler.arrays import WORD
from tracegrad.compiler.calls import Calls
from tracegrad.compiler.instructions import Operand, Writer, far
from tracegrad.compiler.lanes import WIDTH, Lanes
from tracegrad.compiler.outlook import integer
from tracegrad.compiler.values import Value
from tracegrad.kernels.instructions import VECTOR_FUNCTIONS, root
from tracegrad.syntax import nodes_of

NUMBER = ir.DoubleType()
INDEX = ir.IntType(32)
ARITHMETIC: dict[type, str] = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}
COMPARISONS: dict[type, str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
NEIGHBOURS = 8  # bytes that vectors in memory are aligned to
ROOTS = (np.sqrt, math.sqrt)


@dataclass(slots=True)
class Side:
    """Rounds that are done side by side now.

    Attributes
    ----------
    lanes : what is known of the loop
    start : the counter of the first of them
    width : how many
    places : memory of what each of them has for itself
    settled : numbers that each of them has for itself and that stand nowhere
    terms : of arrays that each of them adds to, what is added, until all of it is there
    """

    lanes: Lanes
    start: Any
    width: int
    places: dict[str, Any] = field(default_factory=dict)
    settled: dict[str, Any] = field(default_factory=dict)
    terms: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> Any:
        return ir.VectorType(NUMBER, self.width)


class LaneWriter(Writer):
    """Writes vector functions for several numbers at once."""

    def __init__(self, builder: Any, lanes: int) -> None:
        super().__init__(builder, ir.VectorType(NUMBER, lanes))
        self.word = ir.VectorType(ir.IntType(64), lanes)
        self.lanes = lanes

    def value(self, operand: Any, kind: Any = None) -> Any:
        if isinstance(operand, Operand):
            return operand.value
        return ir.Constant(kind or self.float, [operand] * self.lanes)

    def call(self, name: str, *operands: Any, flags: Sequence[str] = ()) -> Operand:
        kind = ir.FunctionType(self.float, [self.float] * len(operands))
        symbol = f"{name}.v{self.lanes}f64"
        function = cgutils.get_or_insert_function(self.builder.module, kind, symbol)
        return Operand(self, self.builder.call(function, [self.value(x) for x in operands], fastmath=flags))

    def entry(self, words: Sequence[int], place: Any) -> Operand:
        found = ir.Constant(self.word, ir.Undefined)
        for k in range(self.lanes):
            one = Operand(self, self.builder.extract_element(place.value, INDEX(k)))
            found = self.builder.insert_element(found, super().entry(words, one).value, INDEX(k))
        return Operand(self, found)

    def unless_far(self, x: Any, limit: float, found: Any, function: Callable[..., Any]) -> Operand:
        called = far(self.builder.module, function, limit, NUMBER, self.lanes)
        return Operand(self, self.builder.call(called, [x.value, found.value]))


class LaneCode(Calls):
    """One function on its way, as far as loops in lanes go."""

    def fits(self, loop: ast.For, lanes: Lanes) -> bool:
        """Whether all that is computed in a loop are float64 and conditions on them."""
        kinds: dict[str, str] = dict.fromkeys(lanes.own, "")
        return self._all_fit(loop.body, lanes, kinds)

    def in_lanes(self, loop: ast.For, lanes: Lanes, alone: Callable[[ast.For, int], None]) -> None:
        """All rounds of a loop; `alone` writes those from a number on, one after the other."""
        builder = self.builder
        whole, rest = lanes.rounds // WIDTH, lanes.rounds % WIDTH
        if whole == 1:
            self._side_by_side(loop, Side(lanes, WORD(0), WIDTH), rest == 0)
        else:
            with builder.counted(whole) as counter:
                start = builder.mul(counter, WORD(WIDTH), flags=("nsw",))
                self._side_by_side(loop, Side(lanes, start, WIDTH), rest == 0)
        if rest >= 2:
            self._side_by_side(loop, Side(lanes, WORD(whole * WIDTH), 2), rest == 2)
        if rest % 2:
            alone(loop, lanes.rounds - 1)

    def _side_by_side(self, loop: ast.For, side: Side, last: bool) -> None:
        """Some rounds; of the last ones stays what each has for itself."""
        for name in sorted(side.lanes.own):
            variable = self.variables.get(name)
            on_stack = variable is not None and variable.stays
            if name in self.outlook.settled and not on_stack:
                continue
            count = math.prod(variable.shape or ()) if variable is not None and on_stack else 1
            side.places[name] = self._room(ir.ArrayType(side.kind, count))
        for name in sorted(side.lanes.filled) if side.width == WIDTH else ():
            count = math.prod(self.variables[name].shape or ())
            if count >= WIDTH:
                side.terms[name] = self._room(ir.ArrayType(side.kind, count))
        self._at(side, 0)
        self._lane_statements(loop.body, side)
        for name, terms in side.terms.items():
            self._add_terms(name, terms)
        self._at(side, side.width - 1)
        if last:
            self._leave(side)

    def _leave(self, side: Side) -> None:
        builder = self.builder
        for name, place in side.places.items():
            variable = self.variables.get(name) or self._variable(name, types.float64)
            for k in range(place.type.pointee.count):
                found = builder.load(builder.gep(place, [WORD(0), WORD(k)], inbounds=True))
                number = builder.extract_element(found, INDEX(side.width - 1))
                target = variable.place
                if variable.stays:
                    target = builder.gep(target, [WORD(0), WORD(k)], inbounds=True)
                builder.store(number, target)

    def _at(self, side: Side, lane: int) -> None:
        """The counter of one of the rounds."""
        index = self.builder.add(side.start, WORD(lane), flags=("nsw",))
        self._bind(side.lanes.counter, Value(types.int64, index))

    # --- statements -------------------------------------------------------------------------------------------------

    def _lane_statements(self, statements: Sequence[ast.stmt], side: Side) -> None:
        for statement in statements:
            match statement:
                case ast.For(target=ast.Name(id=name), iter=ast.Call(args=[stop]), body=body):
                    with self.builder.counted(integer(stop) or 0) as counter:
                        self._bind(name, Value(types.int64, counter))
                        self._lane_statements(body, side)
                case ast.AugAssign(target=target, value=value):
                    self._lane_add(target, self._vector(value, side), side, ())
                case ast.Assign(targets=[target], value=ast.Call(args=[_, term])) if (
                    isinstance(target, ast.Name) and target.id in side.lanes.gathered
                ):
                    self._lane_add(target, self._vector(term, side), side, self.module.sums)
                case ast.Assign(targets=[target], value=value):
                    self._lane_store(target, self._vector(value, side), side)

    def _lane_add(self, target: Any, term: Any, side: Side, flags: Sequence[str]) -> None:
        builder = self.builder
        name = target.id if isinstance(target, ast.Name) else target.value.id
        if name not in side.lanes.gathered:
            self._lane_store(target, builder.fadd(self._vector(target, side), term), side)
            return
        if isinstance(target, ast.Name):
            place = self.variables[name].place
        else:
            array, indices = self._element(target)
            if name in side.terms:
                offset = array.offset(indices)
                builder.store(term, builder.gep(side.terms[name], [WORD(0), offset], inbounds=True))
                return
            place = array.element(indices)
        self._add_lanes(term, place, side.width, flags)

    def _add_lanes(self, term: Any, place: Any, width: int, flags: Sequence[str]) -> None:
        """Add what each round adds to one number."""
        builder = self.builder
        total = builder.load(place)
        for k in range(width):
            total = builder.fadd(total, builder.extract_element(term, INDEX(k)), flags=flags)
        builder.store(total, place)

    def _add_terms(self, name: str, terms: Any) -> None:
        """Add what each round adds to an array, to as many elements at once as there are rounds."""
        builder, array = self.builder, self.variables[name].place
        count = terms.type.pointee.count

        def at(place: Any, number: Any) -> Any:
            return builder.gep(place, [WORD(0), number], inbounds=True)

        with builder.counted(count // WIDTH) as counter:
            start = builder.mul(counter, WORD(WIDTH), flags=("nsw",))
            rows = [builder.load(at(terms, builder.add(start, WORD(k)))) for k in range(WIDTH)]
            place = builder.bitcast(at(array, start), rows[0].type.as_pointer())
            total = builder.load(place, align=NEIGHBOURS)
            for column in self._turned(rows):
                total = builder.fadd(total, column)
            builder.store(total, place, align=NEIGHBOURS)
        for k in range(count - count % WIDTH, count):
            self._add_lanes(builder.load(at(terms, WORD(k))), at(array, WORD(k)), WIDTH, ())

    def _turned(self, rows: Sequence[Any]) -> list[Any]:
        """The columns of four rows, by exchanges of pairs that take one instruction each."""

        def mixed(one: Any, other: Any, order: Sequence[int]) -> Any:
            return self.builder.shuffle_vector(one, other, ir.Constant(ir.VectorType(INDEX, WIDTH), order))

        orders = (0, 4, 2, 6), (1, 5, 3, 7)
        near = [(mixed(rows[0], rows[1], order), mixed(rows[2], rows[3], order)) for order in orders]
        return [mixed(low, high, order) for order in ((0, 1, 4, 5), (2, 3, 6, 7)) for low, high in near]

    def _lane_store(self, target: Any, found: Any, side: Side) -> None:
        builder = self.builder
        name = target.id if isinstance(target, ast.Name) else target.value.id
        if isinstance(target, ast.Name) and name not in side.places:
            side.settled[name] = found
            return
        if name in side.places:
            builder.store(found, self._own_place(target, name, side))
            return
        near = self._near(target, side)
        if near is not None:
            builder.store(found, near, align=NEIGHBOURS)
            return
        for k in range(side.width):
            self._at(side, k)
            array, indices = self._element(target)
            array.store(indices, builder.extract_element(found, INDEX(k)))
        self._at(side, 0)

    # --- expressions ------------------------------------------------------------------------------------------------

    def _vector(self, node: Any, side: Side) -> Any:
        """What an expression is in each round."""
        builder = self.builder
        if not self._varies(node, side.lanes):
            return self._spread(self._cast(self.value(node), types.float64), side)
        match node:
            case ast.Name(id=name):
                settled = side.settled.get(name)
                return builder.load(self._own_place(node, name, side)) if settled is None else settled
            case ast.Subscript(value=ast.Name(id=name)):
                return self._lane_load(node, name, side)
            case ast.BinOp(op=ast.Pow(), left=left, right=right):
                return self._raised(self._vector(left, side), integer(right) or 0, side)
            case ast.BinOp(op=op, left=left, right=right):
                write = getattr(builder, f"f{ARITHMETIC[type(op)]}")
                return write(self._vector(left, side), self._vector(right, side))
            case ast.UnaryOp(operand=operand):
                return builder.fneg(self._vector(operand, side))
            case ast.IfExp(test=test, body=one, orelse=other):
                return builder.select(
                    self._vector(test, side), self._vector(one, side), self._vector(other, side)
                )
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                symbol = COMPARISONS[type(op)]
                write = builder.fcmp_unordered if symbol == "!=" else builder.fcmp_ordered
                return write(symbol, self._vector(left, side), self._vector(right, side))
        function = self._named(node.func)
        given = [self._vector(argument, side) for argument in node.args]
        return LaneWriter(builder, side.width).write(root if function in ROOTS else function, given)

    def _raised(self, x: Any, exponent: int, side: Side) -> Any:
        """By squares, as `Numbers` does it."""
        left, found = exponent, None
        while left:
            if left & 1:
                found = x if found is None else self.builder.fmul(found, x)
            left >>= 1
            if left:
                x = self.builder.fmul(x, x)
        return found

    def _lane_load(self, node: ast.Subscript, name: str, side: Side) -> Any:
        builder = self.builder
        if name in side.places:
            return builder.load(self._own_place(node, name, side))
        near = self._near(node, side)
        if near is not None:
            return builder.load(near, align=NEIGHBOURS)
        found = ir.Constant(side.kind, ir.Undefined)
        for k in range(side.width):
            self._at(side, k)
            array, indices = self._element(node)
            found = builder.insert_element(found, array.load(indices), INDEX(k))
        self._at(side, 0)
        return found

    def _near(self, node: ast.Subscript, side: Side) -> Any:
        """Where the elements of all rounds lie side by side; None where they do not."""
        array, indices = self._element(node)
        places = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        axes = [k for k, p in enumerate(places) if isinstance(p, ast.Name) and p.id == side.lanes.counter]
        if len(axes) != 1 or axes[0] != array.nearest():
            return None
        return self.builder.bitcast(array.element(indices), side.kind.as_pointer())

    def _own_place(self, node: ast.expr, name: str, side: Side) -> Any:
        """Where the rounds have something for themselves."""
        offset = WORD(0)
        if isinstance(node, ast.Subscript):
            array, indices = self._element(node)
            offset = array.offset(indices)
        return self.builder.gep(side.places[name], [WORD(0), offset], inbounds=True)

    def _spread(self, number: Any, side: Side) -> Any:
        """One number for all rounds."""
        if isinstance(number, ir.Constant):
            return ir.Constant(side.kind, [number.constant] * side.width)
        first = self.builder.insert_element(ir.Constant(side.kind, ir.Undefined), number, INDEX(0))
        order = ir.Constant(ir.VectorType(INDEX, side.width), [0] * side.width)
        return self.builder.shuffle_vector(first, ir.Constant(side.kind, ir.Undefined), order)

    def _varies(self, node: ast.expr, lanes: Lanes) -> bool:
        """Whether it may be another number in each round."""
        return any(
            isinstance(n, ast.Name) and (n.id == lanes.counter or n.id in lanes.own) for n in nodes_of(node)
        )

    # --- what fits --------------------------------------------------------------------------------------------------

    def _all_fit(self, statements: Sequence[ast.stmt], lanes: Lanes, kinds: dict[str, str]) -> bool:
        for statement in statements:
            match statement:
                case ast.For(body=body):
                    fits = self._all_fit(body, lanes, kinds)
                case ast.AugAssign(target=target, value=value):
                    fits = (
                        self._written_kind(target, lanes, kinds)
                        == self._written_kind(value, lanes, kinds)
                        == "f"
                    )
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(args=[_, term])) if (
                    name in lanes.gathered
                ):
                    fits = self._written_kind(term, lanes, kinds) == "f" and self._is_float(name)
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    kinds[name] = self._written_kind(value, lanes, kinds)
                    fits = kinds[name] == "f" and (name not in self.variables or self._is_float(name))
                case ast.Assign(targets=[target], value=value):
                    fits = (
                        self._written_kind(target, lanes, kinds)
                        == self._written_kind(value, lanes, kinds)
                        == "f"
                    )
                case _:
                    fits = False
            if not fits:
                return False
        return True

    def _is_float(self, name: str) -> bool:
        variable = self.variables.get(name)
        return variable is not None and variable.type == types.float64

    def _written_kind(self, node: ast.expr, lanes: Lanes, kinds: dict[str, str]) -> str:
        """ "f" for a float64, "c" for a condition, else nothing."""

        def all_floats(*nodes: ast.expr) -> bool:
            return all(self._written_kind(n, lanes, kinds) == "f" for n in nodes)

        match node:
            case ast.Constant(value=value):
                return "f" if type(value) is float else ""
            case ast.Name(id=name):
                if kinds.get(name):
                    return kinds[name]
                return "f" if self._is_float(name) else ""
            case ast.Subscript(value=ast.Name(id=name), slice=index):
                variable = self.variables.get(name)
                depth = len(index.elts) if isinstance(index, ast.Tuple) else 1
                if variable is None or not isinstance(variable.type, types.Array):
                    return ""
                whole = variable.type.ndim == depth and variable.type.dtype == types.float64
                return "f" if whole else ""
            case ast.BinOp(op=ast.Pow(), left=left, right=right):
                exponent = integer(right)
                return "f" if exponent and 0 < exponent < 64 and all_floats(left) else ""
            case ast.BinOp(op=op, left=left, right=right):
                return "f" if type(op) in ARITHMETIC and all_floats(left, right) else ""
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return "f" if all_floats(operand) else ""
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return "c" if type(op) in COMPARISONS and all_floats(left, right) else ""
            case ast.IfExp(test=test, body=one, orelse=other):
                chosen = self._written_kind(test, lanes, kinds) == "c" and all_floats(one, other)
                return "f" if chosen and self._varies(test, lanes) else ""
            case ast.Call(func=ast.Name() | ast.Attribute() as named, args=args, keywords=[]):
                function = self._named(named)
                known = function in ROOTS or function in VECTOR_FUNCTIONS
                return "f" if known and all_floats(*args) else ""
        return ""

    def _named(self, node: ast.expr) -> Any:
        """A function outside of the text."""
        match node:
            case ast.Name(id=name) if name not in self.module.text and name not in self.variables:
                return self.module.names.get(name)
            case ast.Attribute(value=ast.Name(id="np"), attr=attribute):
                return getattr(np, attribute, None)
        return None
