"""Comparisons, logic, selection: `where`, `minimum`, `clip`, `abs`; what is piecewise constant.

Ties of `maximum` and `minimum` share the derivative equally; `abs` has derivative 0 at 0; `clip` passes it on at
its bounds. A selection picks cotangents, it never multiplies them by 0 or 1: an infinity in the arm not taken
stays there. Begin with `where`.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracegrad.ir.trace import Instr
from tracegrad.ir.types import ArrayType, promote, ufunc_dtype
from tracegrad.kernels import elements as kernels
from tracegrad.kernels import shapes
from tracegrad.ops.families import (
    anywhere,
    broadcast_to,
    broadcast_type,
    by_loop,
    case,
    cast,
    conj,
    elementwise,
    imag,
    sum_to,
)
from tracegrad.ops.op import Op, call, literal


def _is_real(instr: Instr) -> bool:
    """Whether compiled code can order the inputs: NumPy orders complex numbers too."""
    return all(a.dtype.kind != "c" for a in instr.inputs)


greater: Op = elementwise(np.greater, passes_zero=True, symbol=">", native=_is_real)
greater_equal: Op = elementwise(np.greater_equal, passes_zero=True, symbol=">=", native=_is_real)
less: Op = elementwise(np.less, passes_zero=True, symbol="<", native=_is_real)
less_equal: Op = elementwise(np.less_equal, passes_zero=True, symbol="<=", native=_is_real)
equal: Op = elementwise(np.equal, passes_zero=True, symbol="==")
not_equal: Op = elementwise(np.not_equal, passes_zero=True, symbol="!=")
logical_and: Op = elementwise(np.logical_and, passes_zero=True)
logical_or: Op = elementwise(np.logical_or, passes_zero=True)
logical_not: Op = elementwise(np.logical_not, passes_zero=True)
logical_xor: Op = elementwise(np.logical_xor, passes_zero=True)
bitwise_and: Op = elementwise(np.bitwise_and, passes_zero=True, domain=(0, 7), symbol="&")
bitwise_or: Op = elementwise(np.bitwise_or, passes_zero=True, domain=(0, 7), symbol="|")
bitwise_xor: Op = elementwise(np.bitwise_xor, passes_zero=True, domain=(0, 7), symbol="^")
invert: Op = elementwise(np.invert, passes_zero=True, domain=(0, 7), symbol="~")
left_shift: Op = elementwise(np.left_shift, passes_zero=True, domain=(0, 7), symbol="<<", native=False)
right_shift: Op = elementwise(np.right_shift, passes_zero=True, domain=(0, 7), symbol=">>", native=False)
gcd: Op = elementwise(np.gcd, passes_zero=True, domain=(0, 7), native=False)
lcm: Op = elementwise(np.lcm, passes_zero=True, domain=(0, 7), native=False)
bitwise_count: Op = elementwise(np.bitwise_count, passes_zero=True, domain=(0, 7), native=False)
isnan: Op = elementwise(np.isnan, passes_zero=True)
isinf: Op = elementwise(np.isinf, passes_zero=True)
isfinite: Op = elementwise(np.isfinite, passes_zero=True)


def _of_numbers(kernel: Any) -> Any:
    """A kernel for one element of float64; arrays go through loops that call it."""

    def native(instr: Instr) -> Any:
        alone = not instr.outputs[0].shape and all(a.dtype == np.float64 for a in instr.inputs)
        return (kernel,) if alone else False

    return native


signbit: Op = elementwise(np.signbit, passes_zero=True)
sign: Op = elementwise(np.sign, passes_zero=True)
floor: Op = elementwise(np.floor, passes_zero=True)
ceil: Op = elementwise(np.ceil, passes_zero=True)
rint: Op = elementwise(np.rint, passes_zero=True)
trunc: Op = elementwise(np.trunc, passes_zero=True)
nextafter: Op = elementwise(np.nextafter, passes_zero=True)
spacing: Op = elementwise(np.spacing, passes_zero=True)
heaviside: Op = elementwise(np.heaviside, passes_zero=True, native=_of_numbers(kernels.step_at_zero))
exponent: Op = elementwise(
    lambda x: np.frexp(x)[1],
    passes_zero=True,
    domain=(case((3,)), case((2, 3)), case(())),
    name="exponent",
    dtype=lambda token: np.dtype(np.int32),
    emit=lambda inputs, instr: ast.Subscript(
        value=call("np.frexp", inputs[0]), slice=literal(1), ctx=ast.Load()
    ),
    native=_of_numbers(kernels.exponent_of),
)
"""The power of two that `np.frexp` splits off."""


def _turn(along: Any, x: Any) -> Any:
    """The share of `along` across a complex number, for each unit of its length; 0 at 0."""
    size = absolute(x)
    return imag(along) / where(equal(size, 0), math.inf, size)


unit: Op = Op(
    "unit",
    np.sign,
    result_type=lambda x: ArrayType(x.shape, x.dtype),
    vjp=lambda g, z, x: (cast(_turn(g * z, x) * conj(z) * 1j, x.dtype),),
    jvp=lambda tangents, z, x: cast(_turn(tangents[0] * conj(z), x) * z * 1j, z.dtype),
    emit=lambda inputs, instr: call("np.sign", *inputs),
    native=by_loop(np.sign),
    edge="0 at 0",
    family="elementwise",
    sample=(case((3,)), case((2, 3)), case(()), case((0,))),
)
"""`np.sign` of complex numbers: z / |z|, which turns with z. No derivative goes along z, so it is not holomorphic."""


def sign_of(x: Any) -> Any:
    """`np.sign` of real and of complex numbers."""
    return unit(x) if x.dtype.kind == "c" else sign(x)


def _absolute_partial(z: Any, x: Any) -> Any:
    """The sign; of a complex number its conjugate; 0 at 0."""
    return conj(sign_of(x))


absolute: Op = elementwise(np.absolute, _absolute_partial, callee="np.abs", edge="0 at 0")


fabs: Op = elementwise(np.fabs, lambda z, x: sign(x), edge="0 at 0")

round_: Op = Op(
    "round",
    np.round,
    result_type=lambda x, decimals: ArrayType(x.shape, np.round(np.zeros(1, x.dtype), decimals).dtype),
    passes_zero=True,
    emit=lambda inputs, instr: call("np.round", inputs[0], literal(instr.params["decimals"])),
    native=lambda instr: (shapes.rounded, instr.params["decimals"]) if instr.inputs[0].shape else True,
    sample=(case((3,), decimals=1), case((2, 2), decimals=2)),
)


def _back(part: Any, primal: Any) -> Any:
    """A share of a cotangent as one of an input that may have been broadcast; None where it carries none."""
    if part is None or primal.dtype.kind not in "fc":
        return None
    return cast(sum_to(part, shape=primal.shape) if part.shape != primal.shape else part, primal.dtype)


def selecting(
    function: Callable[..., Any],
    share: Callable[..., Any],
    dtype: Callable[..., Any],
    *,
    edge: str,
    name: str = "",
    sample: Any = anywhere,
    native: Any = True,
) -> Op:
    """Declare an op that passes on one of its inputs, element by element.

    `share(k, g, z, *inputs)` is what of `g` goes to input `k`: an expression linear in `g` that selects. It serves both
    modes; None stands for an input that has no derivative.
    """

    def vjp(g: Any, z: Any, *inputs: Any) -> tuple[Any, ...]:
        return tuple(
            _back(share(k, g, z, *inputs), x) if x.dtype.kind in "fc" else None for k, x in enumerate(inputs)
        )

    def jvp(tangents: Sequence[Any], z: Any, *inputs: Any) -> Any:
        total = None
        for k, t in enumerate(tangents):
            term = None if t is None else share(k, t, z, *inputs)
            if term is not None:
                total = term if total is None else total + term
        return cast(total, z.dtype)

    return Op(
        name or function.__name__,
        function,
        result_type=broadcast_type(dtype),
        vjp=vjp,
        jvp=jvp,
        family="elementwise",
        edge=edge,
        sample=sample,
        native=native,
    )


def _larger(beats: Op) -> Callable[..., Any]:
    def share(k: int, g: Any, z: Any, x: Any, y: Any) -> Any:
        mine, other = (x, y) if k == 0 else (y, x)
        return where(beats(mine, other), g, where(equal(x, y), 0.5 * g, 0.0))

    return share


def _not_nan(k: int, g: Any, z: Any, x: Any, y: Any) -> Any:
    mine, other = (x, y) if k == 0 else (y, x)
    return where(equal(mine, z), where(equal(other, z), 0.5 * g, g), 0.0)


def _clip_share(k: int, g: Any, z: Any, x: Any, low: Any, high: Any) -> Any:
    if k == 0:
        return where(equal(x, z), g, 0.0)
    outside = where(equal(high, z), 0.0 if k == 1 else g, g if k == 1 else 0.0)
    return where(equal(x, z), 0.0, outside)


def _where_vjp(g: Any, z: Any, condition: Any, x: Any, y: Any) -> tuple[Any, ...]:
    return None, _back(where(condition, g, 0.0), x), _back(where(condition, 0.0, g), y)


def _where_jvp(tangents: Any, z: Any, condition: Any, x: Any, y: Any) -> Any:
    _, x_dot, y_dot = tangents
    if x_dot is None and y_dot is None:
        return None
    found = where(condition, 0.0 if x_dot is None else x_dot, 0.0 if y_dot is None else y_dot)
    if found.shape != z.shape:
        found = broadcast_to(found, shape=z.shape)
    return cast(found, z.dtype)


def _native_where(instr: Instr) -> Any:
    """Kernels, since Numba takes seconds to compile its own; that is left what has to be broadcast."""
    condition, x, y = instr.inputs
    out = instr.outputs[0]
    if not out.shape:
        return (kernels.chosen,)
    if any(a.shape not in ((), out.shape) for a in (x, y)) or condition.shape != out.shape:
        return True
    if x.shape:
        kernel = kernels.chosen_arrays if y.shape else kernels.chosen_or_number
    else:
        kernel = kernels.number_or_chosen if y.shape else kernels.chosen_numbers
    return (kernel, out.dtype.type(0))


where: Op = Op(
    "where",
    np.where,
    result_type=broadcast_type(lambda condition, x, y: promote(x, y)),
    vjp=_where_vjp,
    jvp=_where_jvp,
    family="elementwise",
    native=_native_where,
    sample=(
        case(np.array([True, False, True]), (3,), (3,)),
        case(np.array([True, False, True]), (3,), ()),
        case(np.array([True, False, True]), (), (3,)),
        case(np.array([True, False, True]), (), ()),
        case(np.array([True, False, True]), (2, 3), ()),
        case(np.array([[True], [False]]), (), (3,)),
        case(True, (), ()),
        case(np.zeros(0, bool), (0,), ()),
    ),
)
_TIE = "half to each at a tie"
maximum: Op = selecting(
    np.maximum, _larger(greater), lambda *tokens: ufunc_dtype(np.maximum, *tokens), edge=_TIE
)
minimum: Op = selecting(
    np.minimum, _larger(less), lambda *tokens: ufunc_dtype(np.minimum, *tokens), edge=_TIE
)
fmax: Op = selecting(np.fmax, _not_nan, lambda *tokens: ufunc_dtype(np.fmax, *tokens), edge=_TIE)
fmin: Op = selecting(np.fmin, _not_nan, lambda *tokens: ufunc_dtype(np.fmin, *tokens), edge=_TIE)
clip: Op = selecting(
    np.clip,
    _clip_share,
    promote,
    edge="at a bound all goes to the array",
    native=lambda instr: bool(instr.inputs[0].shape) if instr.outputs[0].shape else (kernels.clipped,),
    sample=(
        case((4,), -0.5, 0.7),
        case((), -0.5, 0.7),
        case((), 0, 1),
        case((2, 3), (3,), np.array([[1.5], [0.9]])),
        case((), -1.0, (2,)),
        case(np.array([0.2, 0.5, 3.0]), -0.5, (3,)),
    ),
)
