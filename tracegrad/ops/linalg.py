"""Linear algebra: matmul, dot, outer; solve, inv, slogdet, cholesky.

A rule that works on the last two axes works on stacks of matrices too. Begin with `matmul`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.ir.trace import Instr
from tracegrad.ir.types import ArrayType, broadcast_shapes, promote
from tracegrad.kernels import decompositions, lapack, stacks
from tracegrad.kernels import products as kernels
from tracegrad.ops.contraction import CALLED
from tracegrad.ops.families import (
    bilinear,
    broadcast_to,
    case,
    cast,
    conj,
    imag,
    linear,
    real_dtype,
    sum_to,
)
from tracegrad.ops.op import Op, call
from tracegrad.ops.reduce import sum_
from tracegrad.ops.shape import diagonal_length, diagonal_transpose, expand_dims, reshape, transpose, tril

# --- products ---------------------------------------------------------------------------------------------------------


def _matmul_type(x: Any, y: Any) -> ArrayType:
    dtype = promote(x.dtype, y.dtype)
    if not x.shape or not y.shape or x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0]:
        np.matmul(np.empty(x.shape, bool), np.empty(y.shape, bool))  # raises NumPy's own error
    if x.ndim == 1 and y.ndim == 1:
        return ArrayType((), dtype)
    lead = broadcast_shapes(x.shape[:-2], y.shape[:-2])
    return ArrayType((*lead, *x.shape[-2:-1], *(y.shape[-1:] if y.ndim > 1 else ())), dtype)


def transposed(x: Any) -> Any:
    """The last two axes exchanged."""
    return transpose(x, axes=(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def adjoint(x: Any) -> Any:
    """The conjugate of the transpose."""
    return conj(transposed(x))


def _matmul_vjp(g: Any, x: Any, y: Any) -> tuple[Any, Any]:
    if x.ndim == 1 and y.ndim == 1:
        return g * y, g * x
    if x.ndim == 1 and y.ndim == 2:
        return y @ g, outer(x, g)
    if x.ndim == 2 and y.ndim == 1:
        return outer(g, y), g @ x
    if x.ndim > 2 and y.ndim == 2 and -1 not in x.shape:
        # One product for all rows, rather than a sum of stacks.
        rows, count = reshape(x, shape=(math.prod(x.shape[:-1]), x.shape[-1])), y.shape[1]
        return g @ transposed(y), transposed(rows) @ reshape(g, shape=(rows.shape[0], count))
    left = expand_dims(x, axis=(0,)) if x.ndim == 1 else x
    right = expand_dims(y, axis=(1,)) if y.ndim == 1 else y
    if x.ndim == 1:
        g = expand_dims(g, axis=(g.ndim - 1,))
    if y.ndim == 1:
        g = expand_dims(g, axis=(g.ndim,))
    return _fitted(g @ transposed(right), left, x), _fitted(transposed(left) @ g, right, y)


def _fitted(bar: Any, grown: Any, x: Any) -> Any:
    """A cotangent of `grown`, which is `x` with an axis more, as one of `x`: summed over what was repeated."""
    if bar.shape != grown.shape:
        bar = sum_to(bar, shape=grown.shape)
    return reshape(bar, shape=x.shape) if bar.shape != x.shape else bar


def shapes_in_stacks(x: Any, y: Any) -> tuple[tuple[int, ...], ...]:
    """The shapes of `x` and `y` as matrices, and those with the batch that both share."""
    x_grown = tuple(x.shape) if x.ndim > 1 else (1, *x.shape)
    y_grown = tuple(y.shape) if y.ndim > 1 else (*y.shape, 1)
    lead = broadcast_shapes(x_grown[:-2], y_grown[:-2])
    return x_grown, y_grown, (*lead, *x_grown[-2:]), (*lead, *y_grown[-2:])


def _native_stack(x: Any, y: Any, out: Any) -> tuple[Any, ...]:
    """A product of stacks: each with its own matrices or one for all, or any broadcast of them."""
    x_grown, y_grown, x_full, y_full = shapes_in_stacks(x, y)
    zero, shape = out.dtype.type(0), tuple(out.shape)
    counts = [math.prod(grown[:-2]) for grown in (x_grown, y_grown)]
    if any(n not in (1, math.prod(x_full[:-2])) for n in counts):
        return (kernels.spread_product, x_grown, y_grown, x_full, y_full, shape, zero)
    stacks = [(n, *grown[-2:]) for n, grown in zip(counts, (x_grown, y_grown), strict=True)]
    static = (*stacks, *(int(n > 1) for n in counts), shape)
    same = x.dtype == y.dtype == out.dtype and out.dtype.kind == "f"
    if same and math.prod(x_full[-2:]) * y_full[-1] > CALLED:
        return (kernels.batched_blas_product, *static)
    return (kernels.batched_product, *static, zero)


def _native_product(instr: Instr) -> Any:
    x, y = instr.inputs
    out = instr.outputs[0]
    zero = out.dtype.type(0)
    if out.dtype.kind == "b":
        return False
    if x.ndim > 2 or y.ndim > 2:
        if not x.type.size or not y.type.size:
            return False
        return _native_stack(x, y, out)
    steps = math.prod(x.shape) * (y.shape[1] if y.ndim == 2 else 1)
    if steps > CALLED and x.dtype == y.dtype and x.dtype.kind == "f":
        return True
    if x.ndim == 1:
        return (kernels.dot_vectors if y.ndim == 1 else kernels.vector_times_matrix, zero)
    return (kernels.matrix_times_vector if y.ndim == 1 else kernels.matrix_product, zero)


_SMALL = (case((3,), (3,)), case((2, 3), (3,)), case((3,), (3, 2)), case((2, 3), (3, 4)))

matmul: Op = bilinear(
    np.matmul,
    _matmul_vjp,
    result_type=_matmul_type,
    symbol="@",
    native=_native_product,
    sample=(
        *_SMALL,
        case((2, 3, 4), (2, 4, 2)),
        case((2, 3, 4), (4, 2)),
        case((3, 4), (2, 4, 2)),
        case((2, 3, 4), (4,)),
        case((4,), (2, 4, 3)),
        case((2, 1, 3, 2), (3, 2, 2)),
        case((0, 2), (2, 3)),
    ),
)

dot: Op = bilinear(
    np.dot, _matmul_vjp, result_type=_matmul_type, native=_native_product, sample=(*_SMALL, case((0,), (0,)))
)
"""`np.dot` of vectors and matrices; for more dimensions see `numpy_linalg.dot`."""

outer: Op = bilinear(
    np.outer,
    lambda g, x, y: (g @ y, x @ g),
    result_type=lambda x, y: ArrayType((*x.shape, *y.shape), promote(x.dtype, y.dtype)),
    native=lambda instr: (kernels.outer_product, instr.outputs[0].dtype.type(0)),
    sample=(case((3,), (2,)), case((1,), (2,)), case((0,), (2,))),
)
"""Of two vectors."""

trace: Op = linear(
    np.trace,
    transpose=lambda g, x, offset: diagonal_transpose(
        broadcast_to(g, shape=(diagonal_length(x.shape[0], x.shape[1], offset),)), x, offset
    ),
    result_type=lambda x, offset: ArrayType((), promote(x.dtype)),
    emit=lambda inputs, instr: call(
        "np.trace", inputs[0], **({"offset": instr.params["offset"]} if instr.params["offset"] else {})
    ),
    native=lambda instr: (kernels.sum_of_diagonal, instr.params["offset"], instr.outputs[0].dtype.type(0)),
    sample=(case((3, 3), offset=0), case((2, 4), offset=1), case((4, 3), offset=-1)),
)
"""Of a matrix; the sum over a stack of diagonals is `numpy_linalg.trace`."""


# --- equations and decompositions -------------------------------------------------------------------------------------


def definite(*shape: int) -> Any:
    """A sample: symmetric, positive definite, well conditioned."""

    def draw(generator: np.random.Generator) -> Any:
        root = generator.uniform(-1, 1, shape)
        return root @ np.swapaxes(root, -1, -2) + 2 * np.eye(shape[-1])

    return draw


def regular(*shape: int) -> Any:
    """A sample: well conditioned, not symmetric."""
    return lambda generator: generator.uniform(-1, 1, shape) + 3 * np.eye(shape[-1])


def check_square(x: Any) -> None:
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise np.linalg.LinAlgError(
            f"the last two axes of an array of shape {x.shape} are not a square matrix"
        )


def float_dtype(*inputs: Any) -> np.dtype[Any]:
    dtype = promote(*(x.dtype for x in inputs))
    return dtype if dtype.kind in "fc" else np.dtype(np.float64)


def solve_type(a: Any, b: Any) -> ArrayType:
    check_square(a)
    dtype = float_dtype(a, b)
    if (b.shape[-1] if b.ndim == 1 else b.shape[-2]) != a.shape[-1]:
        raise ValueError(f"solve: {b.shape} does not fit {a.shape}")
    if b.ndim == 1:
        return ArrayType(a.shape[:-1], dtype)
    return ArrayType((*broadcast_shapes(a.shape[:-2], b.shape[:-2]), *b.shape[-2:]), dtype)


def _solve_rules(same: Callable[..., Any], turned: Callable[..., Any]) -> dict[str, Any]:
    """The derivatives of a solution, by solutions with the same matrix and with the transposed one."""

    def vjp(g: Any, z: Any, a: Any, b: Any) -> tuple[Any, Any]:
        if a.ndim == 2 and b.ndim == 1:
            b_bar = turned(transposed(a), g)
            return cast(-outer(b_bar, z), a.dtype), cast(b_bar, b.dtype)
        right = expand_dims(b, axis=(1,)) if b.ndim == 1 else b
        if b.ndim == 1:
            g, z = (expand_dims(x, axis=(x.ndim,)) for x in (g, z))
        b_bar = turned(transposed(a), g)
        a_bar = _fitted(-(b_bar @ transposed(z)), a, a)
        return cast(a_bar, a.dtype), cast(_fitted(b_bar, right, b), b.dtype)

    def jvp(tangents: Any, z: Any, a: Any, b: Any) -> Any:
        a_dot, b_dot = tangents
        right = b_dot
        if a_dot is not None:
            moved = (
                a_dot @ z
                if b.ndim > 1 or a.ndim == 2
                else reshape(a_dot @ expand_dims(z, axis=(z.ndim,)), shape=z.shape)
            )
            right = -moved if b_dot is None else b_dot - moved
        if b.ndim == 1 and right.ndim > 1:
            return cast(reshape(same(a, expand_dims(right, axis=(right.ndim,))), shape=z.shape), z.dtype)
        return cast(same(a, right), z.dtype)

    return {"vjp": vjp, "jvp": jvp}


def native_lapack(one: Any, many: Any, *given: int) -> Any:
    """Numba has LAPACK for one matrix of one float dtype: `one` calls it, `many` does so for each of a stack; both are
    `given` numbers."""

    def native(instr: Instr) -> Any:
        dtype = instr.inputs[0].dtype
        if any(x.dtype.kind != "f" or x.dtype != dtype or not x.type.size for x in instr.inputs):
            return False
        if all(x.ndim <= 2 for x in instr.inputs):
            return (one, *given)
        if many is None:
            return False
        if len(instr.inputs) == 1:
            return (many, *given)
        return (many, *given, *shapes_in_stacks(*instr.inputs), tuple(instr.outputs[0].shape))

    return native


solve: Op = Op(
    "solve",
    np.linalg.solve,
    result_type=solve_type,
    **_solve_rules(lambda a, b: solve(a, b), lambda a, b: solve(a, b)),
    callee="np.linalg.solve",
    native=native_lapack(lapack.solution, stacks.solutions),
    sample=(
        case(regular(3, 3), (3,)),
        case(regular(3, 3), (3, 2)),
        case(regular(2, 3, 3), (2, 3, 2)),
        case(regular(2, 3, 3), (3, 2)),
        case(regular(3, 3), (2, 3, 2)),
        case(regular(2, 3, 3), (3,)),
    ),
)


def _triangular(name: str, is_lower: bool, keep: Callable[..., Any], other: Callable[..., Any]) -> Op:
    """`solve` of matrices that have zeros on one side of the diagonal, which compiled code does not look at."""
    made: Op = Op(
        name,
        np.linalg.solve,
        result_type=solve_type,
        **_solve_rules(lambda a, b: made(a, b), other),
        callee="np.linalg.solve",
        native=native_lapack(lapack.solution_by_triangle, stacks.solutions_by_triangles, int(is_lower), 0),
        sample=tuple(
            case(lambda generator, shape=shape: keep(regular(*shape)(generator)), right)
            for shape, right in (((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 3, 3), (2, 3, 2)))
        ),
    )
    return made


solve_lower: Op = _triangular("solve_lower", True, np.tril, lambda a, b: solve_upper(a, b))
solve_upper: Op = _triangular("solve_upper", False, np.triu, lambda a, b: solve_lower(a, b))


def _square_type(x: Any) -> ArrayType:
    check_square(x)
    return ArrayType(x.shape, float_dtype(x))


inv: Op = Op(
    "inv",
    np.linalg.inv,
    result_type=_square_type,
    vjp=lambda g, z, x: (cast(-(transposed(z) @ g @ transposed(z)), x.dtype),),
    jvp=lambda tangents, z, x: cast(-(z @ tangents[0] @ z), z.dtype),
    callee="np.linalg.inv",
    native=native_lapack(lapack.inverse, stacks.inverses),
    sample=(case(regular(3, 3)), case(regular(2, 2, 2))),
)


def scalar_type(x: Any) -> ArrayType:
    check_square(x)
    return ArrayType(x.shape[:-2], float_dtype(x))


def on_matrix(g: Any) -> Any:
    """A scalar for each matrix, so that it multiplies the matrix."""
    return expand_dims(g, axis=(g.ndim, g.ndim + 1)) if g.ndim else g


def trace_of_product(x: Any, y: Any) -> Any:
    """trace(x @ y) of stacks of matrices, without the product."""
    return sum_(x * transposed(y), axis=(x.ndim - 2, x.ndim - 1), keepdims=False)


def slogdet_type(x: Any) -> tuple[ArrayType, ArrayType]:
    sign = scalar_type(x)
    return sign, ArrayType(sign.shape, real_dtype(sign.dtype))


def _slogdet_vjp(g: Any, z: Any, x: Any) -> tuple[Any, ...]:
    """The sign of a real matrix is constant; that of a complex one turns with the imaginary part of the trace."""
    of_sign, of_log = g
    if x.dtype.kind == "c" and of_sign is not None:
        turn = imag(of_sign * z[0]) * 1j
        of_log = turn if of_log is None else of_log + turn
    return (None if of_log is None else cast(on_matrix(of_log) * transposed(inv(x)), x.dtype),)


def _slogdet_jvp(tangents: Any, z: Any, x: Any) -> tuple[Any, Any]:
    change = trace_of_product(inv(x), tangents[0])
    turn = z[0] * (imag(change) * 1j) if x.dtype.kind == "c" else None
    return turn, cast(change, z[1].dtype)


slogdet: Op = Op(
    "slogdet",
    lambda x: tuple(np.linalg.slogdet(x)),
    result_type=slogdet_type,
    vjp=_slogdet_vjp,
    jvp=_slogdet_jvp,
    callee="np.linalg.slogdet",
    n_outputs=2,
    native=native_lapack(lapack.log_determinant, stacks.log_determinants),
    sample=(case(regular(3, 3)), case(regular(2, 2, 2))),
)


def halved(x: Any) -> Any:
    """The lower triangle with half the diagonal."""
    return 0.5 * (tril(x, k=0) + tril(x, k=-1))


def by_gradients(rule: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
    """A vjp written with gradients and adjoints, as books have it: gradients are the conjugates of cotangents."""

    def vjp(g: Any, *rest: Any, **params: Any) -> tuple[Any, ...]:
        given = tuple(_conjugate_of(part) for part in g) if isinstance(g, tuple) else conj(g)
        return tuple(map(_conjugate_of, rule(given, *rest, **params)))

    return vjp


def _conjugate_of(x: Any) -> Any:
    return None if x is None else conj(x)


def hermitian(change: Any) -> Any:
    """The Hermitian matrix of which NumPy reads the lower triangle, and of the diagonal the real part."""
    if change.dtype.kind == "c":
        return halved(change) + adjoint(halved(change))
    return tril(change, k=0) + adjoint(tril(change, k=-1))


def pulled_back_through_root(x: Any, bar: Any) -> Any:
    """A cotangent of a Cholesky factor as one of its matrix: Murray, arXiv:1602.07527, equation 10."""
    if np.iscomplexobj(x) or np.iscomplexobj(bar):
        raise TypeError("root_pulled_back is of real matrices alone")
    upper = np.swapaxes(np.tril(x), -1, -2)
    inner = _halves(upper @ bar)
    inner = np.linalg.solve(upper, inner + np.swapaxes(inner, -1, -2))
    return _halves(np.linalg.solve(upper, np.swapaxes(inner, -1, -2)))


def _halves(x: Any) -> Any:
    return 0.5 * (np.tril(x) + np.tril(x, -1))


def _change_of_root(x: Any, inner: Any) -> Any:
    """L^-T S L^-1 of a symmetric S."""
    upper = transposed(x)
    return solve_upper(upper, transposed(solve_upper(upper, inner)))


def _pulled_vjp(g: Any, z: Any, x: Any, bar: Any) -> tuple[Any, ...]:
    """Of halved(K), K = L^-T S L^-1, S = P + P^T, P = halved(L^T B)"""
    whole = halved(g) + transposed(halved(g))
    inner = solve_lower(x, whole)
    part = halved(solve_lower(x, transposed(inner)))
    turned = (z + transposed(z)) @ transposed(inner)
    return tril(bar @ transposed(part) - turned, k=0), x @ part


def _pulled_jvp(tangents: Any, z: Any, x: Any, bar: Any) -> Any:
    x_dot, bar_dot = tangents
    inner = None if bar_dot is None else halved(transposed(x) @ bar_dot)
    if x_dot is not None:
        x_dot = tril(x_dot, k=0)
        by_root = halved(transposed(x_dot) @ bar) - transposed(x) @ ((z + transposed(z)) @ x_dot)
        inner = by_root if inner is None else inner + by_root
    return halved(_change_of_root(x, inner + transposed(inner)))


ROWS = 32  # of a matrix that is one block


def _native_pulled(instr: Instr) -> Any:
    x, bar = instr.inputs
    if x.dtype.kind != "f" or x.dtype != bar.dtype or not x.type.size:
        return False
    if x.shape[-1] <= ROWS:
        return (decompositions.small_root_pulled_back if x.ndim == 2 else stacks.small_roots_pulled_back,)
    return (decompositions.root_pulled_back if x.ndim == 2 else stacks.roots_pulled_back,)


def _root(*shape: int) -> Any:
    return lambda generator: np.linalg.cholesky(definite(*shape)(generator))


root_pulled_back: Op = Op(
    "root_pulled_back",
    pulled_back_through_root,
    result_type=lambda x, bar: ArrayType(x.shape, x.dtype),
    vjp=_pulled_vjp,
    jvp=_pulled_jvp,
    callee="linalg.pulled_back_through_root",
    imports="from tracegrad.ops import linalg",
    native=_native_pulled,
    sample=(case(_root(3, 3), (3, 3)), case(_root(2, 2, 2), (2, 2, 2))),
)
"""What the derivative of a real `cholesky` is made of; of both matrices the lower triangle is read."""


def _cholesky_vjp(g: Any, z: Any, x: Any) -> tuple[Any, ...]:
    if z.dtype.kind != "c":
        return (cast(root_pulled_back(z, g), x.dtype),)
    return _complex_cholesky_vjp(g, z, x)


@by_gradients
def _complex_cholesky_vjp(g: Any, z: Any, x: Any) -> tuple[Any, ...]:
    """As `root_pulled_back`: Murray's equation 10, for the triangle that is read."""
    upper = adjoint(z)
    inner = solve_upper(upper, adjoint(solve_upper(upper, halved(upper @ g))))
    return (cast(halved(inner + adjoint(inner)), x.dtype),)


def _cholesky_jvp(tangents: Any, z: Any, x: Any) -> Any:
    inner = solve_lower(z, adjoint(solve_lower(z, hermitian(tangents[0]))))
    return cast(z @ halved(inner), z.dtype)


cholesky: Op = Op(
    "cholesky",
    np.linalg.cholesky,
    result_type=_square_type,
    vjp=_cholesky_vjp,
    jvp=_cholesky_jvp,
    callee="np.linalg.cholesky",
    native=native_lapack(lapack.cholesky_factor, stacks.cholesky_factors),
    sample=(case(definite(3, 3)), case(definite(2, 2, 2))),
)
"""NumPy reads the lower triangle alone, so the derivative with respect to what is above the diagonal is 0."""
