"""The constructors of ops: elementwise, linear, bilinear, general; each owns what its family shares.

An elementwise rule gives partial derivatives alone: broadcasting and its undoing, promotion and casts are here.
Linear and bilinear ops get their jvp from themselves. Begin with `elementwise`.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tracegrad.errors import NotDifferentiableError
from tracegrad.ir.trace import Const, Instr, dtype_token
from tracegrad.ir.types import ArrayType, broadcast_shapes, promote, ufunc_dtype
from tracegrad.kernels import reductions
from tracegrad.kernels import shapes as kernels
from tracegrad.kernels.complex_numbers import complex_function
from tracegrad.ops.op import Op, call, read_only
from tracegrad.ops.strides import memory_cut, memory_steps, memory_walk

# Where samples for tests are drawn, for ops whose derivative does not exist or is huge elsewhere: (low, high). Two ints
# stand for integers, both ends included.
anywhere = (-2.0, 2.0)
positive = (0.2, 3.0)
away_from_zero = (0.3, 2.0)
unit = (-0.9, 0.9)
above_one = (1.1, 3.0)


@dataclass(frozen=True, slots=True)
class Case:
    """One sample call of an op, for its tests: an input is a shape to draw, a function of a generator, or a value."""

    inputs: tuple[Any, ...]
    params: Mapping[str, Any]


def case(*inputs: Any, **params: Any) -> Case:
    """`case((2, 3), axis=(0,))`: a drawn array of shape (2, 3), and the static parameters."""
    return Case(inputs, params)


_BINARY = {
    "+": ast.Add, "-": ast.Sub, "*": ast.Mult, "/": ast.Div, "**": ast.Pow, "@": ast.MatMult, "%": ast.Mod,
    "//": ast.FloorDiv, "&": ast.BitAnd, "|": ast.BitOr, "^": ast.BitXor, "<<": ast.LShift, ">>": ast.RShift,
}  # fmt: skip
_COMPARE = {"<": ast.Lt, "<=": ast.LtE, ">": ast.Gt, ">=": ast.GtE, "==": ast.Eq, "!=": ast.NotEq}
_UNARY = {"neg": ast.USub, "~": ast.Invert}


def infix(symbol: str) -> Callable[[Sequence[ast.expr], Instr], ast.expr]:
    """An `emit` that writes the operator `symbol`."""

    def emit(inputs: Sequence[ast.expr], instr: Instr) -> ast.expr:
        if symbol in _UNARY:
            return ast.UnaryOp(op=_UNARY[symbol](), operand=inputs[0])
        left, right = inputs
        if symbol in _COMPARE:
            return ast.Compare(left=left, ops=[_COMPARE[symbol]()], comparators=[right])
        return ast.BinOp(left=left, op=_BINARY[symbol](), right=right)

    return emit


def broadcast_type(dtype: Callable[..., Any]) -> Callable[..., ArrayType]:
    """A `result_type` with the broadcast shape and the dtype that `dtype(*tokens)` gives."""

    def result_type(*inputs: Any, **params: Any) -> ArrayType:
        shape = broadcast_shapes(*(x.shape for x in inputs))
        return ArrayType(shape, np.dtype(dtype(*map(dtype_token, inputs))))

    return result_type


def cast(x: Any, dtype: np.dtype[Any]) -> Any:
    """A derivative in the dtype of its primal; `x` itself where it has it, or is absent.

    Of a real primal, that entered complex arithmetic, it is the real part: the one place where that is taken.
    """
    if x is not None and x.dtype.kind == "c" and dtype.kind != "c":
        x = real(x)
    return x if x is None or x.dtype == dtype else astype(x, dtype=dtype)


def conj(x: Any) -> Any:
    """The complex conjugate; a real value itself."""
    return conjugate(x) if x.dtype.kind == "c" else x


def constant_of(value: Any) -> Any:
    """The number or array that is known of a value while the trace is written, or None."""
    atom = getattr(value, "atom", None)
    return atom.value if isinstance(atom, Const) else None


def _times(g: Any, factor: Any) -> Any:
    if isinstance(factor, (int, float)) and factor == 1:
        return g
    selection = getattr(g, "selection", None)
    if selection is not None:
        return selection.with_part(_times(selection.part, factor))
    return -g if isinstance(factor, (int, float)) and factor == -1 else g * factor


def _undo_broadcast(g: Any, x: Any) -> Any:
    """A cotangent of the broadcast result as a cotangent of `x`: summed over what was repeated, in `x`'s dtype."""
    return cast(sum_to(g, shape=x.shape) if g.shape != x.shape else g, x.dtype)


@dataclass(frozen=True, slots=True)
class Unknown:
    """Stands for the partial of an input with respect to which no derivative is known, and says why."""

    argument: str
    why: str = ""

    def refuse(self, name: str) -> NotDifferentiableError:
        why = f": {self.why}" if self.why else ""
        return NotDifferentiableError(
            f"`{name}` has no known derivative with respect to its argument `{self.argument}`{why}.",
            None,
            f"compute `{self.argument}` from values that are not differentiated",
        )


def elementwise(
    function: Callable[..., Any],
    partials: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    dtype: Callable[..., Any] | None = None,
    domain: Any = anywhere,
    symbol: str = "",
    why: str = "",
    passes_zero: bool = False,
    edge: str = "",
    callee: str = "",
    imports: str = "",
    native: Any = True,
    vector: Callable[..., Any] | None = None,
    emit: Callable[..., Any] | None = None,
) -> Op:
    """Declare an op that works element by element, with broadcasting.

    Parameters
    ----------
    function : ufunc, or callable on arrays that broadcasts
    partials : callable or None
        `partials(z, *inputs)` gives ∂z/∂input for each input (one value for a unary op, else a tuple): an array
        expression, a number, or None where there is none.
    dtype : callable or None
        Result dtype from dtype tokens; default: what the ufunc says, or NumPy's promotion.
    domain : (low, high), or a tuple of them, one an input
        Where tests draw samples.
    """
    op_name = name or function.__name__
    if dtype is None:
        if isinstance(function, np.ufunc):
            ufunc = function

            def dtype(*tokens: Any) -> Any:
                return ufunc_dtype(ufunc, *tokens)
        else:
            dtype = promote

    def all_partials(z: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        assert partials is not None
        found = partials(z, *inputs)
        return found if isinstance(found, tuple) else (found,)

    def vjp(g: Any, z: Any, *inputs: Any, active: Sequence[bool] | None = None) -> tuple[Any, ...]:
        wanted = active or [True] * len(inputs)
        found = all_partials(z, inputs)
        if active:
            _check_known(op_name, found, active)
        return tuple(
            None
            if p is None or isinstance(p, Unknown) or not w or x.dtype.kind not in "fc"
            else _undo_broadcast(_times(g, p), x)
            for p, x, w in zip(found, inputs, wanted, strict=True)
        )

    def jvp(tangents: Sequence[Any], z: Any, *inputs: Any) -> Any:
        total = None
        found = all_partials(z, inputs)
        _check_known(op_name, found, [t is not None for t in tangents])
        for p, t in zip(found, tangents, strict=True):
            if t is None or p is None:
                continue
            term = _times(t, p)
            total = term if total is None else total + term
        if total is None:
            return None
        return cast(total if total.shape == z.shape else broadcast_to(total, shape=z.shape), z.dtype)

    return Op(
        op_name,
        function,
        result_type=broadcast_type(dtype),
        vjp=vjp if partials else None,
        jvp=jvp if partials else None,
        why=why,
        passes_zero=passes_zero,
        edge=edge,
        emit=emit or (infix(symbol) if symbol else None),
        callee=callee,
        imports=imports,
        native=native,
        vector=vector,
        family="elementwise",
        partials=partials,
        symbol=symbol,
        sample=domain,
    )


def by_loop(ufunc: np.ufunc) -> Callable[[Instr], Any]:
    """The `native` of a ufunc: of complex numbers NumPy's own loop, for the elements of loops and for numbers.

    Numba's differ from NumPy's at infinities and far away, and lose digits near 0.
    """

    def native(instr: Instr) -> Any:
        out = instr.outputs[0]
        if out.dtype.kind != "c":
            return True
        return not out.shape and (complex_function(ufunc.__name__, out.dtype),)

    return native


def _check_known(name: str, partials: Sequence[Any], active: Sequence[bool]) -> None:
    """Raise where a derivative is asked for that is not known."""
    for p, wanted in zip(partials, active, strict=True):
        if wanted and isinstance(p, Unknown):
            raise p.refuse(name)


def linear(
    function: Callable[..., Any],
    transpose: Callable[..., Any],
    *,
    result_type: Callable[..., Any],
    name: str | None = None,
    **options: Any,
) -> Op:
    """Declare an op that is linear in its first input; further inputs (indices) carry no derivative.

    `transpose(g, x, *rest, **params)` is the cotangent of `x`, with the shape of `x`. The jvp is the op itself.
    """

    def vjp(g: Any, z: Any, x: Any, *rest: Any, **params: Any) -> tuple[Any, ...]:
        return (cast(transpose(g, x, *rest, **params), x.dtype), *(None for _ in rest))

    def jvp(tangents: Sequence[Any], z: Any, x: Any, *rest: Any, **params: Any) -> Any:
        return None if tangents[0] is None else op(tangents[0], *rest, **params)

    op = Op(
        name or function.__name__,
        function,
        result_type=result_type,
        vjp=vjp,
        jvp=jvp,
        family="linear",
        **options,
    )
    return op


def bilinear(
    function: Callable[..., Any],
    vjp: Callable[..., tuple[Any, Any]],
    *,
    result_type: Callable[..., Any],
    name: str | None = None,
    symbol: str = "",
    **options: Any,
) -> Op:
    """Declare an op that is linear in each of its two inputs.

    `vjp(g, x, y, **params)` gives both cotangents; the jvp is the op itself, once an input.
    """

    def both(g: Any, z: Any, x: Any, y: Any, **params: Any) -> tuple[Any, ...]:
        x_bar, y_bar = vjp(g, x, y, **params)
        return cast(x_bar, x.dtype), cast(y_bar, y.dtype)

    def jvp(tangents: Sequence[Any], z: Any, x: Any, y: Any, **params: Any) -> Any:
        x_dot, y_dot = tangents
        terms = []
        if x_dot is not None:
            terms.append(op(x_dot, y, **params))
        if y_dot is not None:
            terms.append(op(x, y_dot, **params))
        return (terms[0] if len(terms) == 1 else terms[0] + terms[1]) if terms else None

    if symbol:
        options["emit"] = infix(symbol)
    op = Op(
        name or function.__name__,
        function,
        result_type=result_type,
        vjp=both,
        jvp=jvp,
        family="bilinear",
        symbol=symbol,
        **options,
    )
    return op


general = Op
"""Declare an op in full: see `Op`."""


# --- the three linear ops that every family stands on -----------------------------------------------------------------


def _sum_to(x: Any, shape: tuple[int, ...]) -> Any:
    x = np.asarray(x)
    lead = x.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(
        i + lead for i, n in enumerate(shape) if n == 1 and x.shape[i + lead] != 1
    )
    return x.sum(axis=axes).reshape(shape) if axes else x


def _summed_type(x: Any, shape: tuple[int, ...]) -> ArrayType:
    own = x.shape[len(x.shape) - len(shape) :]
    if len(shape) > len(x.shape) or any(n not in (1, m) for n, m in zip(shape, own, strict=True)):
        raise ValueError(f"an array of shape {x.shape} is no broadcast one of shape {shape}")
    return ArrayType(tuple(shape), x.dtype)


def _emit_sum_to(inputs: Sequence[ast.expr], instr: Instr) -> ast.expr:
    shape, given = instr.params["shape"], instr.inputs[0].shape
    lead = len(given) - len(shape)
    repeated = [i + lead for i, n in enumerate(shape) if n == 1 and given[i + lead] != 1]
    if not shape:
        return call("np.sum", inputs[0])
    if not repeated:
        return call("np.sum", inputs[0], axis=0 if lead == 1 else tuple(range(lead)))
    if not lead:
        return call(
            "np.sum", inputs[0], axis=repeated[0] if len(repeated) == 1 else tuple(repeated), keepdims=True
        )
    total = call("np.sum", inputs[0], axis=(*range(lead), *repeated))
    return ast.Call(
        func=ast.Attribute(value=total, attr="reshape", ctx=ast.Load()), args=[_shape(shape)], keywords=[]
    )


def _native_sum_to(instr: Instr) -> Any:
    given, shape = instr.inputs[0].shape, instr.params["shape"]
    zero = instr.outputs[0].dtype.type(0)
    if not given or 0 in given or instr.outputs[0].dtype.kind == "b":
        return False
    if not shape:
        return (reductions.sum_all, zero)
    lead = len(given) - len(shape)
    axes = (*range(lead), *(i + lead for i, n in enumerate(shape) if n == 1 and given[i + lead] != 1))
    if axes == tuple(range(len(axes))):
        columns = math.prod(given[k] for k in axes)
        return (reductions.sum_columns, columns, math.prod(given) // columns, tuple(shape), zero)
    cut = memory_cut(given, axes)
    return (reductions.sum_rows, cut, tuple(shape), zero) if cut else False


def _lengthened(instr: Instr) -> tuple[int, ...]:
    given, shape = instr.inputs[0].shape, instr.params["shape"]
    return (*(1,) * (len(shape) - len(given)), *given)


def _shape(shape: tuple[int, ...]) -> ast.expr:
    from_ints = [ast.Constant(value=n) for n in shape]
    return ast.Tuple(elts=list(from_ints), ctx=ast.Load())


sum_to: Op = linear(
    _sum_to,
    transpose=lambda g, x, shape: broadcast_to(g, shape=x.shape),
    result_type=_summed_type,
    name="sum_to",
    emit=_emit_sum_to,
    native=_native_sum_to,
    sample=(
        case((2, 3), shape=(3,)),
        case((2, 3), shape=()),
        case((2, 3), shape=(2, 1)),
        case((2, 3, 4), shape=(1, 3, 1)),
        case((4, 2, 3), shape=(2, 1)),
        case((0, 3), shape=(3,)),
    ),
)
"""Sum over what broadcasting repeated: the transpose of `broadcast_to`."""

broadcast_to: Op = linear(
    np.broadcast_to,
    transpose=lambda g, x, shape: sum_to(g, shape=x.shape),
    result_type=lambda x, shape: ArrayType(tuple(shape), x.dtype),
    emit=lambda inputs, instr: call("np.broadcast_to", inputs[0], _shape(instr.params["shape"])),
    native=lambda instr: (
        False
        if not instr.inputs[0].ndim and not instr.params["shape"]
        else (kernels.filled, tuple(instr.params["shape"]))
        if not instr.inputs[0].ndim
        else memory_walk(
            instr.inputs[0], instr.params["shape"], memory_steps(_lengthened(instr)), instr.outputs[0]
        )
    ),
    view=read_only,
    sample=(
        case((3,), shape=(2, 3)),
        case((2, 1), shape=(2, 3)),
        case((), shape=(3,)),
        case((1, 3), shape=(2, 2, 3)),
        case((3,), shape=(0, 3)),
    ),
)

astype: Op = linear(
    lambda x, dtype: np.asarray(x).astype(dtype)[()],
    transpose=lambda g, x, dtype: g if x.dtype.kind in "fc" else None,
    result_type=lambda x, dtype: ArrayType(x.shape, np.dtype(dtype)),
    name="astype",
    emit=lambda inputs, instr: (
        ast.Call(
            func=ast.Attribute(value=inputs[0], attr="astype", ctx=ast.Load()),
            args=[call_dtype(instr.params["dtype"])],
            keywords=[],
        )
        if instr.inputs[0].shape
        else ast.Call(func=call_dtype(instr.params["dtype"]), args=[inputs[0]], keywords=[])
    ),
    native=lambda instr: instr.inputs[0].dtype.kind != "c" or instr.outputs[0].dtype.kind == "c",
    sample=(
        case((2, 3), dtype=np.dtype(np.float64)),
        case((), dtype=np.dtype(np.float64)),
        case((0,), dtype=np.dtype(int)),
    ),
)
"""Another dtype; to one that carries no derivative the derivative stops."""


def real_linear(function: Callable[..., Any], back: Callable[[Any], Any], dtype: Any, view: Any = None) -> Op:
    """Declare an elementwise op of complex numbers that is linear over the real numbers alone.

    `back(g)` is the cotangent of its input: Re(g * op(t)) = Re(back(g) * t) for every tangent t.
    """
    name = function.__name__
    op = Op(
        name,
        function,
        result_type=broadcast_type(dtype),
        vjp=lambda g, z, x: (cast(back(g), x.dtype),),
        jvp=lambda tangents, z, x: op(tangents[0]),
        emit=view and (lambda inputs, instr: ast.Attribute(value=inputs[0], attr=name, ctx=ast.Load())),
        family="elementwise",
        sample=(case((3,)), case((2, 3)), case(()), case((0,))),
        view=view,
    )
    return op


def real_dtype(token: Any) -> np.dtype[Any]:
    """The dtype of real and imaginary part."""
    return np.empty(0, token).real.dtype


real: Op = real_linear(np.real, lambda g: g, real_dtype, view=lambda x, part: part + imag(x) * 1j)
imag: Op = real_linear(np.imag, lambda g: g * -1j, real_dtype, view=lambda x, part: real(x) + part * 1j)
conjugate: Op = real_linear(np.conjugate, conj, lambda token: ufunc_dtype(np.conjugate, token))


def call_dtype(dtype: Any) -> ast.expr:
    """`np.float32` as an expression."""
    from_name = np.dtype(dtype)
    return ast.Attribute(
        value=ast.Name(id="np", ctx=ast.Load()),
        attr="bool_" if from_name.kind == "b" else from_name.name,
        ctx=ast.Load(),
    )
