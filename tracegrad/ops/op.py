"""What an operation is: one declaration with NumPy meaning, types, both derivatives and emitted form.

Begin with `Op`. The families (`families.py`) build these; every other file of this room declares. An op is called
like a function: on plain arrays it computes with NumPy; when an argument carries a recorder (a `Tensor` under
capture, a `Symbol`), the recorder of the highest level records the call. So a derivative rule is written once,
with operators and ops, and runs on anything.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tracegrad.errors import InternalError, NotDifferentiableError
from tracegrad.ir.trace import Instr
from tracegrad.ir.types import ArrayType

REGISTRY: dict[str, Op] = {}


class Selection:
    """What a value was made of that is 0 wherever a condition chose the other side.

    A factor goes to the part alone, `where(c, g * p, 0)` and not `where(c, g, 0) * p`: where the derivative `p` of what
    was not chosen is infinite or NaN, that would be NaN.
    """

    __slots__ = ("condition", "inside", "op", "part")

    def __init__(self, op: Op, condition: Any, part: Any, inside: bool) -> None:
        self.op = op
        self.condition = condition
        self.part = part
        self.inside = inside

    def with_part(self, part: Any) -> Any:
        """The same selection of another part."""
        return self.op(self.condition, *((part, 0.0) if self.inside else (0.0, part)))

    def is_alike(self, other: Selection | None) -> bool:
        """Whether another value is selected in the same places."""
        if other is None or self.inside != other.inside:
            return False
        mine, others = self.condition, other.condition
        return mine is others or (mine.atom is not None and mine.atom is others.atom)


def selection_of(op: Op, args: Sequence[Any]) -> Selection | None:
    """The selection that `op(*args)` is, if it is one."""
    if op.name != "where" or getattr(args[0], "recorder", None) is None:
        return None
    for part, other, inside in ((args[1], args[2], True), (args[2], args[1], False)):
        if type(other) is float and other == 0.0 and getattr(part, "recorder", None) is not None:
            return Selection(op, args[0], part, inside)
    return None


class Op:
    """An operation on arrays; static parameters go by keyword.

    Parameters
    ----------
    name : str
        Unique; what traces print.
    evaluate : callable
        `evaluate(*arrays, **params)`, the meaning; returns an array, or a tuple where `n_outputs` is not 1.
    result_type : callable
        `result_type(*atoms, **params)` with atoms that have `shape` and `dtype`; returns an `ArrayType` or a tuple.
    vjp : callable or None
        `vjp(g, z, *inputs, **params)` returns a tuple with, for each input, its cotangent or None (no dependence).
        With several outputs, `g` and `z` are tuples; an entry of `g` may be None.
    jvp : callable or None
        `jvp(tangents, z, *inputs, **params)`; an entry of `tangents` may be None, which means zero.
    why : str
        For an op without derivative: the reason, for the user.
    passes_zero : bool
        The result is piecewise constant (`floor`, comparisons): no derivative, and that is the right answer.
    edge : str
        What is promised where there is no derivative, for the table of functions: "0 at 0".
    emit : callable or None
        `emit(inputs, instr)` from argument expressions to an expression; default: `callee(*inputs, **params)`.
    callee : str
        Dotted name in array text, `np.tanh`.
    imports : str
        Line the text needs for `callee`, beyond `import numpy as np`.
    native : callable or bool
        True where Numba compiles the array text as it stands; False where it does not; or `native(instr)` that returns
        one of them, or `(kernel, *static)`: a function of the room `kernels` to call with the inputs and `static`.
    vector : callable or None
        A function of the room `kernels` for one element, float64 or float32, which loops over elements call: several
        elements are computed at once. Scalar code does not: one number alone is faster in the C library.
    takes_out : callable
        `takes_out(instr)`: whether the array text may end with `out=`, an array of the result's type to be filled.
    fills : callable
        `fills(instr)`: a function of the room `kernels` that fills it in less memory, or None; it takes what the
        function of the array text takes.
    view : callable or None
        Where the result may share memory with the first input: `view(x, part, *rest, **params)` is `x` after `part` was
        written into that memory; None where the result never does.
    """

    __slots__ = (
        "callee",
        "edge",
        "emit",
        "evaluate",
        "family",
        "fills",
        "imports",
        "jvp",
        "n_outputs",
        "name",
        "native",
        "partials",
        "passes_zero",
        "result_type",
        "sample",
        "symbol",
        "takes_out",
        "vector",
        "view",
        "vjp",
        "why",
    )

    def __init__(
        self,
        name: str,
        evaluate: Callable[..., Any],
        *,
        result_type: Callable[..., Any],
        vjp: Callable[..., Any] | None = None,
        jvp: Callable[..., Any] | None = None,
        why: str = "",
        passes_zero: bool = False,
        edge: str = "",
        emit: Callable[[Sequence[ast.expr], Instr], ast.expr] | None = None,
        callee: str = "",
        imports: str = "",
        native: Any = True,
        vector: Callable[..., Any] | None = None,
        takes_out: Callable[[Instr], bool] = lambda instr: False,
        fills: Callable[[Instr], Callable[..., None] | None] = lambda instr: None,
        view: Callable[..., Any] | None = None,
        n_outputs: int = 1,
        family: str = "general",
        partials: Callable[..., Any] | None = None,
        symbol: str = "",
        sample: Any = None,
    ) -> None:
        if name in REGISTRY:
            raise InternalError(f"the op {name!r} is declared twice")
        if vjp is None and jvp is None and not why and not passes_zero:
            raise InternalError(f"the op {name!r} has no derivative and does not say why")
        self.name = name
        self.evaluate = evaluate
        self.result_type = result_type
        self.vjp = vjp
        self.jvp = jvp
        self.why = why
        self.passes_zero = passes_zero
        self.edge = edge
        self.callee = callee or f"np.{name}"
        self.emit = emit or self._call
        self.imports = imports
        self.native = native
        self.vector = vector
        self.takes_out = takes_out
        self.fills = fills
        self.view = view
        self.n_outputs = n_outputs
        self.family = family
        self.partials = partials
        self.symbol = symbol
        self.sample = sample
        REGISTRY[name] = self

    def __call__(self, *args: Any, **params: Any) -> Any:
        recorder = None
        for arg in args:
            found = getattr(arg, "recorder", None)
            if found is not None and (recorder is None or found.level > recorder.level):
                recorder = found
        if recorder is None:
            return self.evaluate(*args, **params)
        return recorder.apply(self, args, params)

    def result_types(self, inputs: Sequence[Any], params: Mapping[str, Any]) -> tuple[ArrayType, ...]:
        """The types of all results."""
        types = self.result_type(*inputs, **params)
        return (types,) if isinstance(types, ArrayType) else tuple(types)

    def refuse(self, where: Any) -> NotDifferentiableError:
        """The error for an active path that meets this op, which has no derivative."""
        return NotDifferentiableError(
            f"`{self.name}` has no derivative: {self.why}.",
            where,
            "compute it from values that are not differentiated, or leave it out of the differentiated path",
        )

    def _call(self, inputs: Sequence[ast.expr], instr: Instr) -> ast.expr:
        keywords = [ast.keyword(arg=k, value=literal(v)) for k, v in instr.params.items()]
        return ast.Call(func=dotted(self.callee), args=list(inputs), keywords=keywords)

    def __repr__(self) -> str:
        return f"<op {self.name}>"


def read_only(x: Any, part: Any, *rest: Any, **params: Any) -> Any:
    """The `view` of an op whose result NumPy lets nobody write into."""
    raise ValueError("assignment destination is read-only")


def named(name: str) -> ast.Name:
    """What a name stands for, as an expression."""
    return ast.Name(id=name, ctx=ast.Load())


def dotted(name: str) -> ast.expr:
    """`np.linalg.solve` as an expression."""
    first, *rest = name.split(".")
    node: ast.expr = named(first)
    for part in rest:
        node = ast.Attribute(value=node, attr=part, ctx=ast.Load())
    return node


def call(name: str, *args: ast.expr, **keywords: Any) -> ast.expr:
    """`name(*args, **keywords)` as an expression; keyword values are Python values."""
    return ast.Call(
        func=dotted(name),
        args=list(args),
        keywords=[ast.keyword(arg=k, value=literal(v)) for k, v in keywords.items()],
    )


def literal(value: Any) -> ast.expr:
    """A static value as an expression: numbers, strings, None, Ellipsis, slices, dtypes, tuples and lists of them."""
    if isinstance(value, ast.expr):
        return value
    if isinstance(value, tuple):
        return ast.Tuple(elts=[literal(v) for v in value], ctx=ast.Load())
    if isinstance(value, list):
        return ast.List(elts=[literal(v) for v in value], ctx=ast.Load())
    if isinstance(value, slice):
        parts = (None if v is None else literal(v) for v in (value.start, value.stop, value.step))
        return ast.Slice(*parts)
    if isinstance(value, np.dtype):
        return dotted(f"np.{'bool_' if value.kind == 'b' else value.name}")
    if isinstance(value, np.bool_):
        return ast.Constant(value=bool(value))
    if isinstance(value, np.generic):
        number = literal(value.item())
        return number if value.dtype == np.float64 else call(f"np.{value.dtype.name}", number)
    if isinstance(value, float) and not np.isfinite(value):
        if np.isnan(value):
            return dotted("np.nan")
        infinity = dotted("np.inf")
        return infinity if value > 0 else ast.UnaryOp(op=ast.USub(), operand=infinity)
    if isinstance(value, (bool, str, bytes)) or value is None or value is Ellipsis:
        return ast.Constant(value=value)
    if isinstance(value, (int, float)):
        if value < 0 or (value == 0 and str(value).startswith("-")):
            return ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=-value))
        return ast.Constant(value=value)
    if isinstance(value, complex):
        return call("complex", literal(value.real), literal(value.imag))
    raise InternalError(f"a {type(value).__name__} cannot be written as source: {value!r}")
