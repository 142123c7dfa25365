"""Names and numbers of native text as LLVM instructions: constants, arithmetic, comparisons, choices.

An expression goes in (its AST), a `Value` comes out, with the instructions that compute it. Begin with `Numbers.value`.
"""

from __future__ import annotations

import ast
import builtins
import math
import operator
from dataclasses import replace
from typing import Any

from llvmlite import ir
from numba.core import callconv, cgutils, types

from tracegrad.compiler import numpy_fourier
from tracegrad.compiler.arrays import MEMINFO, MEMORY, WORD, Array, count, fresh
from tracegrad.compiler.builder import Builder
from tracegrad.compiler.outlook import Outlook, look_ahead
from tracegrad.compiler.values import (
    MISSING,
    Module,
    OnStack,
    Unknown,
    Value,
    Variable,
    holds_references,
    tuple_of,
)

BINARY: dict[type, Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
}
COMPARED: dict[type, tuple[Any, str]] = {
    ast.Lt: (operator.lt, "<"),
    ast.LtE: (operator.le, "<="),
    ast.Gt: (operator.gt, ">"),
    ast.GtE: (operator.ge, ">="),
    ast.Eq: (operator.eq, "=="),
    ast.NotEq: (operator.ne, "!="),
}
PLAIN = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}
LARGEST_POWER = 0x10000


class Numbers:
    """One function on its way, as far as names and numbers go."""

    def __init__(
        self, module: Module, tree: ast.FunctionDef, arguments: tuple[Any, ...], symbol: str, internal: bool
    ) -> None:
        self.module, self.tree, self.arguments = module, tree, arguments
        self.context = module.context
        convention = self.context.call_conv
        kind = convention.get_function_type(types.uint8, arguments)  # the type of the result is not known yet
        self.code = ir.Function(module.code, kind, symbol)
        if internal:
            self.code.linkage = "internal"
        names = [a.arg for a in tree.args.args]
        convention.decorate_function(self.code, names, arguments, noalias=tree.name in module.lying_apart)
        self.builder = Builder(self.code.append_basic_block("entry"))
        self.outlook: Outlook = look_ahead(tree)
        self.orders: dict[str, tuple[int, ...]] = {}
        self.variables: dict[str, Variable] = {}
        self.loops: list[Any] = []
        self.pending: list[Value] = []
        self.conditional = 0
        self.returns: Any = None
        self.failing: Any = None  # where references are given back when an error ends the function
        self.failed: Any = None  # the code of that error

    # --- names ----------------------------------------------------------------------------------------------------

    def _variable(self, name: str, type: Any, stays: bool = False) -> Variable:
        type = types.unliteral(type)
        found = self.variables.get(name)
        if found is not None:
            if found.type != type:
                raise Unknown(f"`{name}` is {found.type} and {type}")
            return found
        shape = self.outlook.shapes.get(name)
        given = name not in self.outlook.rebound
        counted = not stays and not given and holds_references(self.context, type)
        settled = not stays and name in self.outlook.settled
        place = None
        if stays:
            place = self._room(ir.ArrayType(self.context.get_data_type(type.dtype), math.prod(shape or ())))
        elif counted:
            settled = settled and isinstance(type, types.Array)
            kept = MEMORY if settled else type
            place = cgutils.alloca_once(self.builder, self.context.get_value_type(kept))
        elif not settled:
            place = self._room(self.context.get_value_type(type))
        order = self.orders.get(name) if stays else None
        found = self.variables[name] = Variable(type, place, counted, settled, stays, shape, order)
        return found

    def _room(self, kind: Any) -> Any:
        """Room on the stack, with nothing in it."""
        with self.builder.goto_entry_block():
            return self.builder.alloca(kind)

    def _bind(self, name: str, value: Value, lent: bool = False) -> None:
        """Give a name a value; a reference that the value owns goes over to the name. What is `lent` the name need not
        hold: somebody else does as long as it is read."""
        value = self._whole(value)
        if value.type is None:
            raise Unknown(f"`{name}` is no number and no array")
        variable = self._variable(name, value.type)
        if variable.stays:
            raise Unknown(f"`{name}` is not made by the text alone")
        code = self._cast(value, variable.type)
        lent = lent and variable.is_settled and not variable.shared and not value.owned
        if variable.counted:
            variable.lent = variable.lent or lent
            if not lent:
                self._hold(value, code)
            self._drop(variable)
        if variable.is_settled:
            variable.code = code
            if variable.shared:
                self._share(variable, code)
            elif variable.counted:
                held = self.builder.extract_value(code, MEMINFO)
                self.builder.store(held.type(None) if lent else held, variable.place)
        else:
            self.builder.store(code, variable.place)

    def _share(self, variable: Variable, code: Any) -> None:
        """Have a value stand where other pieces of the function see it."""
        builder = self.builder
        if not variable.parts:
            builder.store(code, variable.place)
        for number, path in enumerate(variable.parts):
            part = builder.extract_value(code, path)
            place = builder.gep(variable.place, [WORD(number)], inbounds=True)
            builder.store(part, builder.bitcast(place, part.type.as_pointer()))

    def _drop(self, variable: Variable) -> None:
        """Give back what a name holds."""
        kept = MEMORY if variable.parts or (variable.is_settled and not variable.shared) else variable.type
        held = self.builder.load(variable.place)
        if not variable.lent:
            count(self.context, self.builder, kept, held, False)
            return
        with self.builder.if_then(cgutils.is_not_null(self.builder, held), likely=False):
            count(self.context, self.builder, kept, held, False)

    def _hold(self, value: Value, code: Any) -> None:
        """Own a reference to what a value refers to."""
        if value.owned and any(p is value for p in self.pending):
            self.pending = [p for p in self.pending if p is not value]
        else:
            count(self.context, self.builder, types.unliteral(value.type), code, True)

    def _owning(self, value: Value) -> Value:
        """A value whose reference is given back when the statement has ended, unless a name takes it."""
        if holds_references(self.context, value.type):
            if self.conditional:
                raise Unknown("an array in part of an expression that may not be computed")
            value = replace(value, owned=True)
            self.pending.append(value)
        return value

    def _release(self) -> None:
        for value in self.pending:
            count(self.context, self.builder, types.unliteral(value.type), value.code, False)
        self.pending = []

    def _fail(self, status: Any) -> None:
        """End the function with an error: what is held is given back."""
        if self.failing is None:
            self.failing = self.code.append_basic_block("failing")
            self.failed = cgutils.alloca_once(self.builder, status.type)
        for value in self.pending:
            count(self.context, self.builder, types.unliteral(value.type), value.code, False)
        self.builder.store(status, self.failed)
        self.builder.branch(self.failing)

    def _moved_out(self, variable: Variable) -> Value:
        """An array on the stack that is returned, in memory of its own."""
        assert variable.shape is not None
        sizes = [WORD(n) for n in variable.shape]
        made = Value(
            variable.type, fresh(self.context, self.builder, variable.type, sizes), shape=variable.shape
        )
        source = OnStack(self.context, self.builder, variable)
        target = Array(self.context, self.builder, made.type, made.code, made.shape)
        with cgutils.loop_nest(self.builder, sizes, WORD) as indices:
            target.store(indices, source.load(indices))
        return self._owning(made)

    # --- expressions ----------------------------------------------------------------------------------------------

    def value(self, node: ast.expr) -> Value:
        """What an expression is."""
        method = getattr(self, f"_of_{type(node).__name__.lower()}", None)
        if method is None:
            raise Unknown(ast.unparse(node))
        found: Value = method(node)
        return found

    def _of_constant(self, node: ast.Constant) -> Value:
        return self._known(node.value)

    def _known(self, value: Any) -> Value:
        """An object that is there before the program runs."""
        kind = {bool: types.boolean, int: types.int64, float: types.float64}.get(type(value))
        if kind is None or (kind is types.int64 and not -(2**63) <= value < 2**63):
            return Value(None, constant=value)
        return Value(kind, self.context.get_constant(kind, value), value)

    def _of_name(self, node: ast.Name) -> Value:
        variable = self.variables.get(node.id)
        if variable is not None:
            if variable.stays:
                return self._moved_out(variable)
            code = self.builder.load(variable.place) if not variable.is_settled else variable.code
            return Value(variable.type, code, shape=variable.shape)
        if node.id in self.outlook.rebound:
            raise Unknown(f"`{node.id}` before it is bound")
        if node.id in self.module.names:
            return self._known(self.module.names[node.id])
        if hasattr(builtins, node.id):
            return self._known(getattr(builtins, node.id))
        raise Unknown(f"`{node.id}` is nothing")

    def _of_tuple(self, node: ast.Tuple) -> Value:
        return tuple_of([self.value(item) for item in node.elts])

    def _whole(self, value: Value) -> Value:
        """A tuple of the text as one value."""
        if value.items is None:
            return value
        items = [self._whole(v) for v in value.items]
        if any(v.type is None for v in items):
            raise Unknown("a tuple of what is no value")
        kinds = [types.unliteral(v.type) for v in items]
        kind = types.Tuple(kinds)
        codes = [self._cast(v, k) for v, k in zip(items, kinds, strict=True)]
        return Value(kind, self.context.make_tuple(self.builder, kind, codes))

    def _parts(self, value: Value, count: int) -> list[Value]:
        if value.items is None:
            if not isinstance(value.type, types.BaseTuple):
                raise Unknown("the parts of what is no tuple")
            whole: Any = value.type
            kinds = whole.types if isinstance(whole, types.Tuple) else [whole.dtype] * len(whole)
            codes = cgutils.unpack_tuple(self.builder, value.code, len(whole))
            value = replace(value, items=tuple(Value(t, c) for t, c in zip(kinds, codes, strict=True)))
        assert value.items is not None
        if len(value.items) != count:
            raise Unknown("more names than values, or fewer")
        return list(value.items)

    def _of_unaryop(self, node: ast.UnaryOp) -> Value:
        value = self.value(node.operand)
        if isinstance(node.op, ast.Not):
            return Value(types.boolean, self.builder.not_(self._truth(value)))
        if isinstance(node.op, ast.USub):
            if type(value.constant) in (int, float):
                return self._known(-value.constant)
            if isinstance(value.type, types.Float):
                return Value(value.type, self.builder.fneg(value.code))
            return self.operation(operator.neg, value)
        if isinstance(node.op, ast.Invert):
            return self.operation(operator.invert, value)
        return self.operation(operator.pos, value)

    def binary(self, op: ast.operator, x: Value, y: Value) -> Value:
        """`x + y`, and so on."""
        name = PLAIN.get(type(op))
        if name is not None and x.type == y.type:
            if isinstance(x.type, types.Float):
                return Value(x.type, getattr(self.builder, f"f{name}")(x.code, y.code))
            if x.type == types.int64 and name != "div":
                return Value(types.int64, getattr(self.builder, name)(x.code, y.code))
        if isinstance(op, ast.Pow) and isinstance(x.type, types.Float) and type(y.constant) is int:
            return self._power(x, int(y.constant))
        if type(op) not in BINARY:
            raise Unknown(type(op).__name__)
        return self.operation(BINARY[type(op)], x, y)

    def _power(self, x: Value, exponent: int) -> Value:
        """By squares, as Numba's own loop goes."""
        left, builder, square = abs(exponent), self.builder, x.code
        if left > LARGEST_POWER:
            raise Unknown(f"the power {exponent}")
        found = None
        while left:
            if left & 1:
                found = square if found is None else builder.fmul(found, square)
            left >>= 1
            if left:
                square = builder.fmul(square, square)
        one = ir.Constant(x.code.type, 1.0)
        found = one if found is None else found
        return Value(x.type, builder.fdiv(one, found) if exponent < 0 else found)

    def operation(self, what: Any, *operands: Value) -> Value:
        """An operation or a function, as Numba writes it."""
        operands = tuple(self._whole(v) for v in operands)
        given = tuple(v.type if v.type is not None else self._kind(v.constant) for v in operands)
        if what in BINARY.values() and any(isinstance(t, types.Array) for t in given):
            raise Unknown("arithmetic of arrays")
        signature, write = self.module.operation(what, given)
        if len(signature.args) < len(operands):
            raise Unknown(f"{what!r} of {given}")
        codes = [
            self._cast(v, t) if v.type is not None else self.context.get_dummy_value()
            for v, t in zip(operands, signature.args, strict=False)
        ]
        for kind in signature.args[len(operands) :]:  # what is left out
            if not isinstance(kind, types.Omitted):
                raise Unknown(f"{what!r} of {given}")
            codes.append(self.context.get_constant_generic(self.builder, kind, kind.value))
        libraries = getattr(write, "libs", ())
        self.context.add_linking_libs(libraries)
        code = write(self.builder, codes)
        if signature.return_type == types.none:
            return Value(None)
        return self._owning(Value(types.unliteral(signature.return_type), code))

    def transformed(self, name: str, *operands: Value) -> Value:
        """A Fourier transform of NumPy's into memory that is there; the function ends where there is no other."""
        operands = tuple(self._whole(v) for v in operands)
        signature, _ = self.module.operation(self.module.names[name], tuple(v.type for v in operands))
        codes = [self._cast(v, t) for v, t in zip(operands, signature.args, strict=True)]
        numpy_fourier.write_call(
            self.context, self.builder, name, signature.args, codes, lambda: self._fail(callconv.RETCODE_EXC)
        )
        return Value(None)

    def _kind(self, constant: Any) -> Any:
        if constant is MISSING:
            raise Unknown("no value")
        return self.module.typing.resolve_value_type(constant)

    def _of_compare(self, node: ast.Compare) -> Value:
        left = self.value(node.left)
        found: Any = None
        place = None
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            if found is not None:  # the next comparison is only made where this one holds
                if place is None:
                    place = cgutils.alloca_once(self.builder, ir.IntType(1))
                    end = self.code.append_basic_block("compared")
                self.builder.store(found, place)
                following = self.code.append_basic_block("holds")
                self.builder.cbranch(found, following, end)
                self.builder.position_at_end(following)
                self.conditional += 1
            right = self.value(right_node)
            found = self._compared(op, left, right)
            left = right
        if place is not None:
            self.builder.store(found, place)
            self.builder.branch(end)
            self.builder.position_at_end(end)
            self.conditional -= len(node.ops) - 1
            found = self.builder.load(place)
        return Value(types.boolean, found)

    def _compared(self, op: ast.cmpop, x: Value, y: Value) -> Any:
        if type(op) not in COMPARED or x.type is None or y.type is None:
            raise Unknown(type(op).__name__)
        what, symbol = COMPARED[type(op)]
        if x.type == y.type:
            if isinstance(x.type, types.Float):
                write = self.builder.fcmp_unordered if symbol == "!=" else self.builder.fcmp_ordered
                return write(symbol, x.code, y.code)
            if x.type == types.int64:
                return self.builder.icmp_signed(symbol, x.code, y.code)
        found = self.operation(what, x, y)
        if found.type != types.boolean:
            raise Unknown("a comparison of more than numbers")
        return found.code

    def _of_boolop(self, node: ast.BoolOp) -> Value:
        place = cgutils.alloca_once(self.builder, ir.IntType(1))
        end = self.code.append_basic_block("decided")
        both = isinstance(node.op, ast.And)
        for k, item in enumerate(node.values):
            value = self.value(item)
            if value.type != types.boolean:
                raise Unknown(ast.unparse(node))
            self.builder.store(value.code, place)
            if k < len(node.values) - 1:
                following = self.code.append_basic_block("open")
                self.builder.cbranch(value.code, *((following, end) if both else (end, following)))
                self.builder.position_at_end(following)
                self.conditional += 1
        self.builder.branch(end)
        self.conditional -= len(node.values) - 1
        self.builder.position_at_end(end)
        return Value(types.boolean, self.builder.load(place))

    def _of_ifexp(self, node: ast.IfExp) -> Value:
        builder = self.builder
        condition = self._truth(self.value(node.test))
        arms, end = [self.code.append_basic_block(n) for n in ("chosen", "other")], None
        builder.cbranch(condition, *arms)
        found = []
        self.conditional += 1
        for start, arm in zip(arms, (node.body, node.orelse), strict=True):
            builder.position_at_end(start)
            value = self.value(arm)
            found.append((value, builder.block))
        self.conditional -= 1
        end = self.code.append_basic_block("chosen_or_other")
        kinds = [types.unliteral(v.type) if v.type is not None else None for v, _ in found]
        if any(not isinstance(k, types.Number | types.Boolean) for k in kinds):
            raise Unknown(ast.unparse(node))
        kind = kinds[0] if kinds[0] == kinds[1] else self.module.typing.unify_types(*kinds)
        if kind is None:
            raise Unknown(ast.unparse(node))
        place = cgutils.alloca_once(builder, self.context.get_value_type(kind))
        for value, block in found:
            builder.position_at_end(block)
            builder.store(self._cast(value, kind), place)
            builder.branch(end)
        builder.position_at_end(end)
        return Value(kind, builder.load(place))

    # --- types ----------------------------------------------------------------------------------------------------

    def _cast(self, value: Value, kind: Any) -> Any:
        given = types.unliteral(value.type) if value.type is not None else None
        if given is None:
            raise Unknown("no value")
        if given == kind:
            return value.code
        if self.module.typing.can_convert(given, kind) is None:
            raise Unknown(f"{given} as {kind}")
        return self.context.cast(self.builder, value.code, given, kind)

    def _integer(self, value: Value) -> Any:
        if not isinstance(value.type, types.Integer):
            raise Unknown(f"{value.type} as an index or a size")
        return self._cast(value, types.int64)

    def _truth(self, value: Value) -> Any:
        if value.type == types.boolean:
            return value.code
        if not isinstance(value.type, types.Number):
            raise Unknown("the truth of what is no number")
        return self.context.is_true(self.builder, value.type, value.code)
