"""One instruction as one expression, from its op: operands, constants, and what Numba has to be told.

A node and a way to read its operands go in, an `ast` expression comes out. `Op.emit` says how a call looks;
here is what is the same for all ops: how a constant is written so that promotion comes out as the trace
says, signs that read well (`a + -b` is `a - b`), kernels, and casts. Begin with `Expressions.of`.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from tracegrad.emit.blocks import Check, Choice, Compute, Either, Item, Move, Node, Operand, Repeat, Value
from tracegrad.emit.indices import checked_slots
from tracegrad.emit.logic import joined, negated
from tracegrad.ir.trace import Const, Instr, dtype_token
from tracegrad.ir.types import ArrayType, is_weak, promote
from tracegrad.kernels.items import checked
from tracegrad.kernels.normal import erfc, log_ndtr, ndtr
from tracegrad.kernels.powers import BY_PRODUCTS, HALVES, WHOLE, cbrt
from tracegrad.kernels.shapes import same
from tracegrad.ops.op import call, dotted, literal

CallOut: TypeAlias = Callable[[Instr, Sequence[ast.expr]], ast.expr]

_PLAIN = (np.dtype(np.float64), np.dtype(np.int64), np.dtype(np.bool_))
_INFIX_FLOAT = ("+", "-", "*", "/")  # beside floats, `2 * x` is written `2.0 * x`


class Expressions:
    """Writes expressions for one function.

    Parameters
    ----------
    native : bool
        For the native text: Numba promotes every float to float64, so weak constants and wide results get
        casts.
    careful : bool
        Floats kept in variables are written `np.float64(...)`, since some operator treats Python's numbers
        otherwise.
    call_out : callable, optional
        Writes the call of a step without a compiled form, from the step and its operands.
    """

    def __init__(self, native: bool, careful: bool = False, call_out: CallOut | None = None) -> None:
        self.native = native
        self.call_out = call_out
        self.careful = careful
        self.kernels: dict[Any, None] = {}  # called beside those that steps name, in order
        self.mentions: dict[Value, list[ast.Name]] = {}
        self.written: dict[Compute | Item | Either, ast.expr] = {}

    def leaves(self, node: Compute) -> bool:
        """Whether a step is computed by a function that the text calls out to."""
        return self.call_out is not None and not node.loop and is_called_out(node.instr)

    def read(self, operand: Operand) -> ast.expr:
        """An operand where no other type stands beside it."""
        if isinstance(operand, Const):
            return self.constant(operand.value)
        if operand.expression is not None:
            found: ast.expr = operand.expression
            return found
        if operand.counts and self.careful:
            return call("np.int64", self.name(operand))
        return self.name(operand)

    def number(self, operand: Operand) -> ast.expr:
        """An operand where Python's own number is as good: as a length or an index."""
        if isinstance(operand, Value) and operand.counts:
            return self.name(operand)
        return self.read(operand)

    def name(self, value: Value) -> ast.Name:
        """The value's name; filled in later where names are not given yet, so the node knows the value."""
        node: Any = ast.Name(id=value.name or value.hint or "value_name", ctx=ast.Load())
        node.value = value
        if not value.name:
            self.mentions.setdefault(value, []).append(node)
        return node

    def give_names(self) -> None:
        """Fill in the names that were given since."""
        for value, nodes in self.mentions.items():
            for node in nodes:
                node.id = value.name
        self.mentions.clear()

    def of(self, node: Compute | Item | Either) -> ast.expr:
        """The node as an expression; built once, and again after `forget`."""
        found = self.written.get(node)
        if found is None:
            found = self.written[node] = self._build(node)
        return found

    def forget(self, node: Compute | Item | Either) -> None:
        """Its operands are not nested as they were."""
        self.written.pop(node, None)

    def _build(self, node: Compute | Item | Either) -> ast.expr:
        if isinstance(node, Item):
            return ast.Subscript(value=self.read(node.stack), slice=self.number(node.index), ctx=ast.Load())
        if isinstance(node, Either):
            return self._either(node)
        instr = node.instr
        if instr.op.name == "getitem" and len(node.inputs) > 1:
            source = self.operand(node.inputs[0], 0, instr)
            return self.combine(instr, [source, *self.slots(instr, node.inputs[1:])])
        return self.combine(instr, [self.operand(x, i, instr) for i, x in enumerate(node.inputs)])

    def slots(self, instr: Instr, operands: Sequence[Operand]) -> list[ast.expr]:
        """The traced parts of an index; native text checks a number that may be outside."""
        found = [self.operand(x, 1 + k, instr) for k, x in enumerate(operands)]
        if not self.native or kernel_of(instr) is not None:
            return found
        found, any_checked = checked_slots(instr, operands, found)
        if any_checked:
            self.kernels[checked] = None
        return found

    # --- conditions ---------------------------------------------------------------------------------------------------

    def truth(self, operand: Operand) -> ast.expr:
        """An operand of which only the truth is asked."""
        maker = operand.maker if isinstance(operand, Value) and operand.expression is not None else None
        if not isinstance(maker, Compute) or any(a.shape for a in maker.instr.inputs):
            return self.read(operand)
        name, inputs = maker.instr.op.name, maker.inputs
        if name == "logical_not":
            return negated(self.truth(inputs[0]))
        if name in ("logical_and", "logical_or"):
            return joined(ast.And() if name == "logical_and" else ast.Or(), *map(self.truth, inputs))
        return self.read(operand)

    def _either(self, node: Either) -> ast.expr:
        """A branch: `and`, `or` and `not` where it is a bool, and one arm the constant that these mean."""
        condition = self.truth(node.condition)
        if node.output.type.dtype == np.bool_ and node.condition.type.dtype == np.bool_:
            asked = self.native or asks_truth(node.output)
            one, other = (None if not isinstance(x, Const) else bool(x.value) for x in node.sources)
            read = self.truth if asked else self.read
            if one is None and other is False:
                return joined(
                    ast.And(), condition if asked else self.read(node.condition), read(node.sources[0])
                )
            if one is True and other is None:
                return joined(
                    ast.Or(), condition if asked else self.read(node.condition), read(node.sources[1])
                )
            if one is True and other is False:
                return read(node.condition)
            if asked and one is False and other is True:
                return negated(condition)
            if asked and one is False and other is None:
                return joined(ast.And(), negated(condition), read(node.sources[1]))
            if asked and one is None and other is True:
                return joined(ast.Or(), negated(condition), read(node.sources[0]))
        chosen = [
            self.constant(x.value, node.output.type) if isinstance(x, Const) else self.read(x)
            for x in node.sources
        ]
        return ast.IfExp(test=condition, body=chosen[0], orelse=chosen[1])

    # --- steps --------------------------------------------------------------------------------------------------------

    def combine(self, instr: Instr, inputs: Sequence[ast.expr]) -> ast.expr:
        """An instruction applied to expressions."""
        if _is_same_scalar(instr):
            return inputs[0]
        vector = vector_of_numbers(instr) if self.native else None
        if vector is not None:
            return called_vector(vector, inputs)
        kernel = kernel_of(instr) if self.native else None
        if kernel is not None:
            function, *static = kernel
            if function is same:
                return inputs[0]
            return call(function.__name__, *inputs, *map(literal, static))
        if self.call_out is not None and is_called_out(instr):
            return self.call_out(instr, inputs)
        if instr.op.name == "zeros":
            return zeros(instr.outputs[0].type)
        if instr.op.name == "copy" and isinstance(instr.inputs[0], Const):
            return inputs[0]
        if instr.op.name in ("index_add", "index_set"):
            return inputs[-1] if instr.op.name == "index_set" else _tidy(_sum(inputs[0], inputs[-1]))
        if self.native:
            inputs = in_one_dtype(instr, inputs)
        elif instr.op.name == "power" and instr.inputs[0].type.dtype == np.bool_:
            return call("np.power", *inputs)  # the operator takes a square, of another dtype
        found = _negated(instr, inputs) or self._inverted(instr, inputs) or instr.op.emit(inputs, instr)
        found = found if _widens_integers(instr) else _tidy(found)
        if self.native and instr.op.name == "sign":
            found = self._sign(found, inputs[0], instr.outputs[0].type.dtype)
        return self.cast(found, instr) if self.native else found

    def _inverted(self, instr: Instr, inputs: Sequence[ast.expr]) -> ast.expr | None:
        """x**-1 as a quotient: compiled by Numba's own passes, that power raises at zero."""
        if not self.native or whole_exponent(instr) != -1:
            return None
        one = self.constant(instr.outputs[0].type.dtype.type(1))
        return ast.BinOp(left=one, op=ast.Div(), right=inputs[0])

    def _sign(self, found: ast.expr, x: ast.expr, dtype: np.dtype[Any]) -> ast.expr:
        """NumPy's sign where Numba's is another: of -0.0, and of large numbers without sign."""
        zero = self.constant(dtype.type(0))
        if dtype.kind == "f":
            return ast.BinOp(left=found, op=ast.Add(), right=zero)
        return ast.Compare(left=x, ops=[ast.Gt()], comparators=[zero]) if dtype.kind == "u" else found

    def operand(self, operand: Operand, place: int, instr: Instr) -> ast.expr:
        """An input of an instruction; a constant is written so that the result has the type the trace says."""
        if not isinstance(operand, Const):
            indexes = instr.op.name in ("getitem", "index_set", "index_add") and place > 0
            return self.number(operand) if indexes else self.read(operand)
        value = operand.value
        if self.native and place == 1 and (exponent := whole_exponent(instr)) is not None:
            known = instr.outputs[0].type.dtype.type(exponent)
            return literal(exponent) if exponent in BY_PRODUCTS else self.constant(known)
        if is_weak(value):
            if (
                type(value) is int
                and instr.op.symbol in _INFIX_FLOAT
                and instr.outputs[0].type.dtype.kind == "f"
            ):
                value = float(value)
            return self._weak(value, instr) if self.native else literal(value)
        if isinstance(value, np.generic) and value.dtype in _PLAIN and not self.native:
            weak = [Const(value.item()) if i == place else a for i, a in enumerate(instr.inputs)]
            try:
                same = instr.op.result_types(weak, instr.params) == tuple(v.type for v in instr.outputs)
            except (TypeError, ValueError):
                same = False
            others = [a for i, a in enumerate(instr.inputs) if i != place]
            if same and any(isinstance(a, Value) or not is_weak(getattr(a, "value", None)) for a in others):
                return literal(value.item())
            return call(
                f"np.{value.dtype.name if value.dtype.kind != 'b' else 'bool_'}", literal(value.item())
            )
        return self.constant(value)

    def _weak(self, value: Any, instr: Instr) -> ast.expr:
        """A Python number in native text: cast where Numba would promote what stands beside it."""
        tokens = [dtype_token(a) for a in instr.inputs]
        strong = [t for t in tokens if not isinstance(t, type)]
        plain = instr.op.family not in ("elementwise", "bilinear") or instr.op.name == "ldexp"
        if not strong or plain or isinstance(value, bool):
            return literal(value)
        dtype = promote(*strong, type(value))
        wide = np.float64 in (dtype, instr.outputs[0].type.dtype)  # `np.float_power` computes in float64
        if wide or dtype.kind not in "iufc" or dtype in (np.complex128, np.int64):
            return literal(value)
        return call(f"np.{dtype.name}", literal(value))

    def constant(self, value: Any, type: ArrayType | None = None) -> ast.expr:
        """A constant on its own; with a type, one that is kept in a variable of this type."""
        if isinstance(value, np.ndarray) and value.ndim:
            return _array(value)
        if isinstance(value, np.ndarray):
            value = value[()]
        dtype = type.dtype if type is not None else getattr(value, "dtype", None)
        if dtype is None:
            return literal(value)
        plain = value.item() if isinstance(value, np.generic) else value
        if dtype.kind == "f":
            plain = float(plain)
        elif dtype.kind == "c":
            plain = complex(plain)
        written = literal(plain)
        if dtype in _PLAIN:
            kept = type is not None and self.careful and not self.native and dtype.kind in "fb"
            return call("np.bool_" if dtype.kind == "b" else "np.float64", written) if kept else written
        return written if dtype == np.complex128 else call(f"np.{dtype.name}", written)

    def cast(self, found: ast.expr, instr: Instr) -> ast.expr:
        """Numba's result may be wider than NumPy's: say the type where it is not one of Numba's own."""
        type = instr.outputs[0].type
        if len(instr.outputs) != 1 or type.dtype in (*_PLAIN, np.complex128) or instr.op.view:
            return found
        if instr.op.name in ("astype", "getitem", "zeros_like", "copy"):
            return found
        same = all(a.type.dtype == type.dtype or is_weak(getattr(a, "value", None)) for a in instr.inputs)
        keeps = instr.op.family in ("elementwise", "bilinear") or instr.op.name == "concatenate"
        if keeps and same and type.dtype.kind in "fc":
            return found
        return _converted(found, type.dtype, bool(type.shape))


def asks_truth(value: Value) -> bool:
    """Whether all that is asked of a value is its truth, so that Python's bools are as good as NumPy's."""
    return all(_asks(reader, value) for reader in value.readers)


def _asks(reader: Node, value: Value) -> bool:
    if isinstance(reader, Either):
        return reader.condition is value or asks_truth(reader.output)
    if isinstance(reader, Move):  # the end of an arm
        targets = [t for t, s in zip(reader.targets, reader.sources, strict=True) if s is value]
        return all(isinstance(t.maker, (Choice, Either)) and asks_truth(t) for t in targets)
    return isinstance(reader, (Choice, Check, Repeat))


def _is_same_scalar(instr: Instr) -> bool:
    """A copy or another shape of a scalar, which is the scalar."""
    if not (instr.op.view or instr.op.name == "copy") or instr.op.n_outputs != 1 or len(instr.inputs) != 1:
        return False
    return not instr.inputs[0].type.shape and instr.inputs[0].type == instr.outputs[0].type


def kernel_of(instr: Instr) -> tuple[Any, ...] | None:
    """The kernel and its static arguments, where the native text calls one."""
    native = instr.op.native
    found = native(instr) if callable(native) else native
    return found if isinstance(found, tuple) else None


def is_called_out(instr: Instr) -> bool:
    """Whether a step that is no loop over elements has no compiled form, so that native text calls NumPy for it."""
    if instr.op.family == "control":
        return False
    return vector_of_numbers(instr) is None and _has_no_form(instr)


def _has_no_form(instr: Instr) -> bool:
    return (instr.op.native(instr) if callable(instr.op.native) else instr.op.native) is False


def whole_exponent(instr: Instr) -> int | None:
    """The known exponent of a power of floats, if it is a whole number.

    Native text says `x ** 3` for a product, and `x ** 30.0` for the function: `x ** 30` would be thirty roundings.
    """
    exponent = instr.inputs[1] if instr.op.name == "power" and instr.outputs[0].dtype.kind == "f" else None
    if not isinstance(exponent, Const) or exponent.shape or not float(exponent.value).is_integer():
        return None
    return int(exponent.value)


def vector_of(step: Instr) -> Any:
    """The vector function that computes this step of one element, if there is one."""
    if step.op.vector is None or step.outputs[0].dtype not in (np.float32, np.float64):
        return None
    of_power = step.op.name == "power"
    for place, atom in enumerate(step.inputs):
        same = atom.dtype == step.outputs[0].dtype or is_weak(getattr(atom, "value", None))
        if not same and not (of_power and place == 1 and atom.dtype.kind in "iu"):
            return None
    exponent = step.inputs[1] if of_power else None
    if not isinstance(exponent, Const):
        return step.op.vector
    known = float(exponent.value)
    return None if known in BY_PRODUCTS else HALVES.get(known) or WHOLE.get(known, step.op.vector)


def vector_of_numbers(step: Instr) -> Any:
    """The vector function for a step of numbers alone: where C has none, where C's has a larger error, for powers that
    take a few products or a root."""
    if step.op.vector is None or step.outputs[0].shape:
        return None
    found = vector_of(step)
    return found if found in _OF_NUMBERS or _has_no_form(step) else None


_OF_NUMBERS = {cbrt, erfc, ndtr, log_ndtr, *WHOLE.values(), *(f for n, f in HALVES.items() if n != 0.5)}


def called_vector(function: Any, inputs: Sequence[ast.expr]) -> ast.expr:
    """The call of a vector function, of as many operands as it has: a known exponent is part of some."""
    return call(function.__name__, *inputs[: len(inspect.signature(function).parameters)])


def zeros(type: ArrayType, function: str = "np.zeros") -> ast.expr:
    """`np.zeros(3)`, `np.zeros((2, 3), np.float32)`."""
    shape = type.shape[0] if len(type.shape) == 1 else tuple(type.shape)
    dtype = [] if type.dtype == np.float64 else [literal(type.dtype)]
    return call(function, literal(shape), *dtype)


def _array(value: np.ndarray[Any, Any]) -> ast.expr:
    if not value.size:
        return zeros(ArrayType(value.shape, value.dtype))
    default = value.dtype in _PLAIN
    items = literal(value.tolist())
    return call("np.array", items) if default else call("np.array", items, literal(value.dtype))


def _sum(x: ast.expr, y: ast.expr) -> ast.expr:
    return ast.BinOp(left=x, op=ast.Add(), right=y)


def _negated(instr: Instr, inputs: Sequence[ast.expr]) -> ast.expr | None:
    """`-1 * x` as `-x`, where the constant does not widen the type."""
    if instr.op.name != "multiply":
        return None
    for k in (0, 1):
        a, other = instr.inputs[k], instr.inputs[1 - k]
        minus_one = isinstance(a, Const) and not a.shape and np.ndim(a.value) == 0 and a.value == -1
        if minus_one and other.type == instr.outputs[0].type:
            return ast.UnaryOp(op=ast.USub(), operand=inputs[1 - k])
    return None


def in_one_dtype(instr: Instr, inputs: Sequence[ast.expr]) -> Sequence[ast.expr]:
    """Operands of native text in the dtype NumPy computes in, where Numba would take another: of uint64 beside signed
    integers, and in functions, where float32 beside integers would stay float32."""
    op, out = instr.op, instr.outputs[0].type.dtype
    if op.family != "elementwise" or len(inputs) != 2 or out.kind not in "iuf" or op.name == "ldexp":
        return inputs
    dtypes = [None if is_weak(getattr(a, "value", None)) else a.type.dtype for a in instr.inputs]
    if op.symbol in _INFIX_FLOAT and np.uint64 not in dtypes:
        return inputs
    if op.symbol == "**" and out.kind == "f":
        dtypes[1] = None if whole_exponent(instr) is not None else dtypes[1]
    return [
        given if dtype in (None, out) else _converted(given, out, bool(atom.shape))
        for given, dtype, atom in zip(inputs, dtypes, instr.inputs, strict=True)
    ]


def _converted(given: ast.expr, dtype: np.dtype[Any], is_array: bool) -> ast.expr:
    if not is_array:
        return call(f"np.{dtype.name}", given)
    method = ast.Attribute(value=given, attr="astype", ctx=ast.Load())
    return ast.Call(func=method, args=[dotted(f"np.{dtype.name}")], keywords=[])


def _widens_integers(instr: Instr) -> bool:
    """Whether integers meet numbers of another dtype: `1.0 - -n` is not `1.0 + n` for the least n, nor for unsigned."""
    out = instr.outputs[0].type.dtype
    return any(a.type.dtype.kind in "iu" and a.type.dtype != out for a in instr.inputs)


def _minus(node: ast.expr) -> ast.expr | None:
    """`x` where the node is `-x`, `2.0 * x` where it is `-2.0 * x`; None elsewhere."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return node.operand
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
        left = _minus(node.left)
        if left is not None:
            return ast.BinOp(left=left, op=node.op, right=node.right)
    return None


def _tidy(node: ast.expr) -> ast.expr:
    """Signs as a person writes them; every rule is exact in floating point."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        twice = _minus(node.operand)
        return node if twice is None else twice
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, (ast.Add, ast.Sub)):
        return node
    right = _minus(node.right)
    if right is not None:
        op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        return ast.BinOp(left=node.left, op=op, right=right)
    left = _minus(node.left)
    if left is not None and isinstance(node.op, ast.Add) and not isinstance(left, ast.Constant):
        return ast.BinOp(left=node.right, op=ast.Sub(), right=left)
    return node
