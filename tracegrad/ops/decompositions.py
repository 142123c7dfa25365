"""Decompositions and functions of matrices: eigh, svd, qr, the pseudoinverse, expm and its kind, Sylvester's equation.

A rule works on stacks of matrices where the function does. Where eigenvalues or singular values coincide, their
vectors have no derivative, NaN; sums over the values have the right one. Begin with `eigh`.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.ir.trace import Instr
from tracegrad.ir.types import ArrayType, promote
from tracegrad.kernels import decompositions as kernels
from tracegrad.kernels import lapack
from tracegrad.ops.compare import equal, where
from tracegrad.ops.families import case, cast, imag, real_dtype
from tracegrad.ops.index import getitem
from tracegrad.ops.linalg import (
    adjoint,
    by_gradients,
    check_square,
    definite,
    float_dtype,
    halved,
    hermitian,
    regular,
    solve_lower,
    solve_upper,
    transposed,
)
from tracegrad.ops.op import Op, call
from tracegrad.ops.shape import concatenate, diag, diagonal, expand_dims, tril, triu


def _native(kernel: Any, *params: str) -> Callable[[Instr], Any]:
    """Numba has LAPACK for one matrix of one float dtype; the kernel takes these static parameters."""

    def native(instr: Instr) -> Any:
        x = instr.inputs[0]
        fits = x.dtype.kind == "f" and x.ndim == 2 and x.type.size
        return (kernel, *(instr.params[name] for name in params)) if fits else False

    return native


@functools.cache
def _scipy_linalg() -> Any:
    return importlib.import_module("scipy.linalg")


def columns(w: Any) -> Any:
    """A vector that scales the columns of a matrix."""
    return expand_dims(w, axis=(w.ndim - 1,))


def _rows(w: Any) -> Any:
    """A vector that scales the rows of a matrix."""
    return expand_dims(w, axis=(w.ndim,))


def gaps_of(w: Any) -> Any:
    """1 / (w_j - w_i), 0 on the diagonal, and NaN where two are equal.

    What is multiplied with it there may be 0 though the limit of the product is not, so 0 could be a wrong number.
    """
    apart = columns(w) - _rows(w)
    same = equal(apart, 0)
    n = w.shape[-1]
    return where(same, np.where(np.eye(n) == 1, 0.0, np.nan), 1 / where(same, 1.0, apart))


COINCIDE = "of vectors, NaN where two values are equal"


def plus(total: Any, term: Any) -> Any:
    return term if total is None else total + term


def on_diagonal(w: Any) -> Any:
    """Matrices with these diagonals; stacks too."""
    return diag(w, k=0) if w.ndim == 1 else _rows(w) * np.eye(w.shape[-1], dtype=w.dtype)


# --- eigenvalues of symmetric matrices --------------------------------------------------------------------------------


def _eigh_type(x: Any, lower: bool) -> tuple[ArrayType, ArrayType]:
    check_square(x)
    dtype = float_dtype(x)
    return ArrayType(x.shape[:-1], real_dtype(dtype)), ArrayType(x.shape, dtype)


def _triangle(lower: bool) -> dict[str, str]:
    return {} if lower else {"UPLO": "U"}


@by_gradients
def _eigh_vjp(g: Any, z: Any, x: Any, lower: bool) -> tuple[Any, ...]:
    """Giles, Collected matrix derivative results, 2008, section 3.1, for the triangle that is read."""
    w, v = z
    inner = None if g[0] is None else on_diagonal(g[0])
    if g[1] is not None:
        inner = plus(inner, gaps_of(w) * (adjoint(v) @ g[1]))
    full = v @ inner @ adjoint(v)
    part = halved(full + adjoint(full))
    return (cast(part if lower else adjoint(part), x.dtype),)


def _eigh_jvp(tangents: Any, z: Any, x: Any, lower: bool) -> tuple[Any, Any]:
    w, v = z
    inner = adjoint(v) @ hermitian(tangents[0] if lower else adjoint(tangents[0])) @ v
    return cast(diagonal(inner, k=0), w.dtype), cast(v @ (gaps_of(w) * inner), v.dtype)


eigh: Op = Op(
    "eigh",
    lambda x, lower: tuple(np.linalg.eigh(x, "L" if lower else "U")),
    result_type=_eigh_type,
    vjp=_eigh_vjp,
    jvp=_eigh_jvp,
    edge=COINCIDE,
    emit=lambda inputs, instr: call("np.linalg.eigh", inputs[0], **_triangle(instr.params["lower"])),
    n_outputs=2,
    native=lambda instr: _native(
        lapack.eigenvectors if instr.params["lower"] else lapack.eigenvectors_from_above
    )(instr),
    sample=(
        case(definite(3, 3), lower=True),
        case(definite(2, 2, 2), lower=True),
        case(definite(3, 3), lower=False),
    ),
)
"""NumPy reads one triangle alone, so the derivative with respect to the other is 0."""

scipy_eigh: Op = Op(
    "scipy_eigh",
    lambda x, lower, driver: tuple(_scipy_linalg().eigh(x, lower=lower, driver=driver)),
    result_type=lambda x, lower, driver: _eigh_type(x, lower),
    vjp=lambda g, z, x, lower, driver: _eigh_vjp(g, z, x, lower),
    jvp=lambda tangents, z, x, lower, driver: _eigh_jvp(tangents, z, x, lower),
    callee="scipy.linalg.eigh",
    imports="import scipy.linalg",
    n_outputs=2,
    native=False,
    sample=(case(definite(3, 3), lower=True, driver="evd"), case(definite(3, 3), lower=False, driver="ev")),
)
"""By another algorithm than NumPy's, whose vectors have other signs."""


# --- singular values --------------------------------------------------------------------------------------------------


def _svd_type(x: Any) -> tuple[ArrayType, ...]:
    if x.ndim < 2:
        raise np.linalg.LinAlgError(
            f"{x.ndim}-dimensional array given. Array must be at least two-dimensional"
        )
    *lead, m, n = x.shape
    k, dtype = min(m, n), float_dtype(x)
    values = ArrayType((*lead, k), real_dtype(dtype))
    return ArrayType((*lead, m, k), dtype), values, ArrayType((*lead, k, n), dtype)


@by_gradients
def _svd_vjp(g: Any, z: Any, x: Any) -> tuple[Any, ...]:
    """Townsend, Differentiating the singular value decomposition, 2016."""
    u, s, vh = z
    u_bar, s_bar, vh_bar = g
    gaps, u_adjoint = gaps_of(s * s), adjoint(u)
    inner = None if s_bar is None else on_diagonal(s_bar)
    outside = None
    if u_bar is not None:
        turn = u_adjoint @ u_bar
        turned = turn - adjoint(turn)
        inner = plus(inner, gaps * turned * columns(s))
        if x.dtype.kind == "c":  # the phase of each pair of vectors
            inner = inner + on_diagonal(diagonal(turned, k=0) / (2 * s))
        if x.shape[-2] > x.shape[-1]:
            outside = ((u_bar - u @ turn) / columns(s)) @ vh
    if vh_bar is not None:
        turn = vh @ adjoint(vh_bar)
        inner = plus(inner, _rows(s) * (gaps * (turn - adjoint(turn))))
        if x.shape[-2] < x.shape[-1]:
            outside = plus(outside, u @ ((vh_bar - adjoint(turn) @ vh) / _rows(s)))
    total = u @ inner @ vh
    return (cast(total if outside is None else total + outside, x.dtype),)


def _svd_jvp(tangents: Any, z: Any, x: Any) -> tuple[Any, ...]:
    u, s, vh = z
    change = tangents[0]
    inner = adjoint(u) @ change @ adjoint(vh)
    gaps, turned = gaps_of(s * s), adjoint(inner)
    u_dot = u @ (gaps * (inner * columns(s) + _rows(s) * turned))
    v_turn = gaps * (_rows(s) * inner + turned * columns(s))
    if x.dtype.kind == "c":
        phase = on_diagonal(diagonal(inner - turned, k=0) / (4 * s))
        u_dot, v_turn = u_dot + u @ phase, v_turn - phase
    vh_dot = adjoint(v_turn) @ vh
    if x.shape[-2] > x.shape[-1]:
        right = change @ adjoint(vh)
        u_dot = u_dot + (right - u @ (adjoint(u) @ right)) / columns(s)
    if x.shape[-2] < x.shape[-1]:
        left = adjoint(u) @ change
        vh_dot = vh_dot + (left - (left @ adjoint(vh)) @ vh) / _rows(s)
    return cast(u_dot, u.dtype), cast(diagonal(inner, k=0), s.dtype), cast(vh_dot, vh.dtype)


svd: Op = Op(
    "svd",
    lambda x: tuple(np.linalg.svd(x, full_matrices=False)),
    result_type=_svd_type,
    vjp=_svd_vjp,
    jvp=_svd_jvp,
    emit=lambda inputs, instr: call("np.linalg.svd", inputs[0], full_matrices=False),
    n_outputs=3,
    edge=COINCIDE,
    native=_native(lapack.singular_vectors),
    sample=(case((3, 3)), case((4, 2)), case((2, 4)), case((2, 3, 2))),
)
"""Without the vectors that only complete a basis."""


# --- orthogonal factors -----------------------------------------------------------------------------------------------


def _qr_type(x: Any) -> tuple[ArrayType, ArrayType]:
    *lead, m, n = x.shape
    return ArrayType((*lead, m, n), float_dtype(x)), ArrayType((*lead, n, n), float_dtype(x))


@by_gradients
def _qr_vjp(g: Any, z: Any, x: Any) -> tuple[Any, ...]:
    """Walter and Lehmann, Algorithmic differentiation of linear algebra functions, 2010."""
    q, r = z
    q_bar, r_bar = g
    inner = None if r_bar is None else r @ adjoint(r_bar)
    if q_bar is not None:
        inner = plus(inner, -(adjoint(q_bar) @ q))
    if q.dtype.kind == "c":  # the diagonal of r is real
        total = q @ (halved(inner) + adjoint(halved(inner)))
    else:
        total = q @ (tril(inner, k=0) + adjoint(tril(inner, k=-1)))
    if q_bar is not None:
        total = total + q_bar
    return (cast(adjoint(solve_upper(r, adjoint(total))), x.dtype),)


def _qr_jvp(tangents: Any, z: Any, x: Any) -> tuple[Any, Any]:
    q, r = z
    moved = adjoint(solve_lower(adjoint(r), adjoint(tangents[0])))
    inner = adjoint(q) @ moved
    low = tril(inner, k=-1)
    turn = low - adjoint(low)
    if inner.dtype.kind == "c":
        turn = turn + on_diagonal(imag(diagonal(inner, k=0)) * 1j)
    q_dot = moved + q @ (turn - inner)
    return cast(q_dot, q.dtype), cast(triu((inner - turn) @ r, k=0), r.dtype)


qr: Op = Op(
    "qr",
    lambda x: tuple(np.linalg.qr(x)),
    result_type=_qr_type,
    vjp=_qr_vjp,
    jvp=_qr_jvp,
    callee="np.linalg.qr",
    n_outputs=2,
    native=_native(lapack.orthogonal_factors),
    sample=(case(regular(3, 3)), case((4, 2)), case((2, 3, 2))),
)
"""Of matrices with at least as many rows as columns."""


# --- the pseudoinverse ------------------------------------------------------------------------------------------------


def _pinv_type(x: Any, rcond: float) -> ArrayType:
    if x.ndim < 2:
        raise np.linalg.LinAlgError(
            f"{x.ndim}-dimensional array given. Array must be at least two-dimensional"
        )
    return ArrayType((*x.shape[:-2], x.shape[-1], x.shape[-2]), float_dtype(x))


def _product(x: Any, y: Any, w: Any) -> Any:
    """`x @ y @ w` of shapes (m, n), (n, m), (m, n), with the smaller square between."""
    return x @ (y @ w) if x.shape[-1] <= x.shape[-2] else (x @ y) @ w


@by_gradients
def _pinv_vjp(g: Any, z: Any, x: Any, rcond: float) -> tuple[Any, ...]:
    turned, pinv_adjoint = adjoint(g), adjoint(z)
    total = -_product(pinv_adjoint, g, pinv_adjoint)
    left = _product(turned, z, pinv_adjoint)
    right = _product(pinv_adjoint, z, turned)
    total = total + (left - _product(x, z, left)) + (right - _product(right, z, x))
    return (cast(total, x.dtype),)


def _pinv_jvp(tangents: Any, z: Any, x: Any, rcond: float) -> Any:
    """Golub and Pereyra, SIAM J. Numer. Anal. 10, 1973, theorem 4.3."""
    change, turned = tangents[0], adjoint(tangents[0])
    left = _product(z, adjoint(z), turned)
    right = _product(turned, adjoint(z), z)
    total = (left - _product(left, x, z)) + (right - _product(z, x, right))
    return cast(total - _product(z, change, z), z.dtype)


pinv: Op = Op(
    "pinv",
    lambda x, rcond: np.linalg.pinv(x, rcond=rcond),
    result_type=_pinv_type,
    vjp=_pinv_vjp,
    jvp=_pinv_jvp,
    callee="np.linalg.pinv",
    native=_native(kernels.pseudoinverse, "rcond"),
    sample=(
        case((3, 3), rcond=1e-15),
        case((4, 2), rcond=1e-15),
        case((2, 4), rcond=1e-15),
        case((2, 3, 2), rcond=1e-15),
    ),
)
"""Its derivative is that at constant rank."""


# --- functions of a matrix --------------------------------------------------------------------------------------------


def _evaluate(name: str, x: Any, crosses: bool = False) -> Any:
    """Of a real matrix it may be complex where it `crosses` to complex numbers alone."""
    x = np.asarray(x)
    found = getattr(_scipy_linalg(), name)(x.astype(np.result_type(x, np.float64), copy=False))
    if np.iscomplexobj(found) and not (crosses or np.iscomplexobj(x)):
        raise np.linalg.LinAlgError(f"`scipy.linalg.{name}` of this matrix is complex")
    return found.astype(_square_type(x, crosses).dtype, copy=False)


def _square_type(x: Any, crosses: bool = False) -> ArrayType:
    check_square(x)
    return ArrayType(x.shape, promote(float_dtype(x), np.complex64) if crosses else float_dtype(x))


def _doubled(x: Any, above: Any) -> Any:
    """[[x, above], [0, x]], of stacks too."""
    last, upper = x.ndim - 1, concatenate(x, above, axis=x.ndim - 1)
    return concatenate(upper, concatenate(np.zeros(x.shape, x.dtype), x, axis=last), axis=last - 1)


def _corner(found: Any) -> Any:
    """The upper right block."""
    n = found.shape[-1] // 2
    return getitem(found, index=(..., slice(0, n), slice(n, None)))


def of_matrix(name: str, sample: Any) -> Op:
    """Declare `scipy.linalg.<name>`, an analytic function of one square matrix.

    Its derivative at A in direction E stands in the upper right block of the function of [[A, E], [0, A]]: Higham,
    Functions of Matrices, SIAM 2008, theorem 3.6.
    """

    def along(x: Any, direction: Any) -> Any:
        return _corner(op(_doubled(x, cast(direction, x.dtype))))

    op = Op(
        name,
        functools.partial(_evaluate, name),
        result_type=_square_type,
        vjp=lambda g, z, x: (cast(along(transposed(x), g), x.dtype),),
        jvp=lambda tangents, z, x: cast(along(x, tangents[0]), z.dtype),
        callee=f"scipy.linalg.{name}",
        imports="import scipy.linalg",
        native=False,
        sample=sample,
    )
    return op


LARGE = 32  # rows from which on the Frechet derivative takes less time than the exponential of twice as many


def change_of_expm(x: Any, change: Any) -> Any:
    """The derivative of the exponential of x towards `change`: from many rows on by Al-Mohy and Higham, Computing the
    Frechet derivative of the matrix exponential, SIAM J. Matrix Anal. Appl. 30, 2009, else as `of_matrix` has it."""
    dtype, n = float_dtype(x, change), x.shape[-1]
    x, change = np.asarray(x, dtype), np.asarray(change, dtype)
    if x.ndim == 2 and n >= LARGE and np.all(np.isfinite(x)) and np.all(np.isfinite(change)):
        return np.asarray(_scipy_linalg().expm_frechet(x, change, compute_expm=False), dtype)
    upper, lower = np.concatenate((x, change), -1), np.concatenate((np.zeros_like(x), x), -1)
    return _evaluate("expm", np.concatenate((upper, lower), -2))[..., :n, n:]


def _second_change(x: Any, change: Any, other: Any) -> Any:
    """The derivative of that, towards `other`: symmetric in the two."""
    dtype = float_dtype(x, change, other)
    x, change, other = (cast(a, dtype) for a in (x, change, other))
    return _corner(expm_change(_doubled(x, change), _doubled(other, np.zeros(x.shape, dtype))))


def _expm_change_vjp(g: Any, z: Any, x: Any, change: Any) -> tuple[Any, ...]:
    turned = transposed(x)
    x_bar = _second_change(turned, transposed(change), g)
    return cast(x_bar, x.dtype), cast(expm_change(turned, g), change.dtype)


def _expm_change_jvp(tangents: Any, z: Any, x: Any, change: Any) -> Any:
    x_dot, change_dot = tangents
    total = None if change_dot is None else expm_change(x, change_dot)
    return cast(total if x_dot is None else plus(total, _second_change(x, change, x_dot)), z.dtype)


expm_change: Op = Op(
    "expm_change",
    change_of_expm,
    result_type=lambda x, change: ArrayType(x.shape, float_dtype(x, change)),
    vjp=_expm_change_vjp,
    jvp=_expm_change_jvp,
    callee="decompositions.change_of_expm",
    imports="from tracegrad.ops import decompositions",
    native=False,
    sample=(case((3, 3), (3, 3)), case((1, 1), (1, 1)), case((2, 3, 3), (2, 3, 3))),
)
"""What the derivative of `expm` is made of."""

expm: Op = Op(
    "expm",
    functools.partial(_evaluate, "expm"),
    result_type=_square_type,
    vjp=lambda g, z, x: (cast(expm_change(transposed(x), g), x.dtype),),
    jvp=lambda tangents, z, x: cast(expm_change(x, tangents[0]), z.dtype),
    callee="scipy.linalg.expm",
    imports="import scipy.linalg",
    native=False,
    sample=(case((3, 3)), case((1, 1)), case((2, 3, 3))),
)
logm: Op = of_matrix("logm", (case(definite(3, 3)), case(definite(2, 2))))
cosm: Op = of_matrix("cosm", (case((3, 3)),))
sinm: Op = of_matrix("sinm", (case((3, 3)),))
tanm: Op = of_matrix("tanm", (case(definite(2, 2)),))
coshm: Op = of_matrix("coshm", (case((3, 3)),))
sinhm: Op = of_matrix("sinhm", (case((3, 3)),))
tanhm: Op = of_matrix("tanhm", (case((3, 3)),))


def _sylvester_vjp(g: Any, z: Any, a: Any, b: Any, q: Any) -> tuple[Any, ...]:
    q_bar = solve_sylvester(transposed(a), transposed(b), g)
    return (
        cast(-(q_bar @ transposed(z)), a.dtype),
        cast(-(transposed(z) @ q_bar), b.dtype),
        cast(q_bar, q.dtype),
    )


def _sylvester_jvp(tangents: Any, z: Any, a: Any, b: Any, q: Any) -> Any:
    a_dot, b_dot, right = tangents
    if a_dot is not None:
        right = plus(right, -(a_dot @ z))
    if b_dot is not None:
        right = plus(right, -(z @ b_dot))
    return cast(solve_sylvester(a, b, right), z.dtype)


solve_sylvester: Op = Op(
    "solve_sylvester",
    lambda a, b, q: _scipy_linalg().solve_sylvester(a, b, q),
    result_type=lambda a, b, q: ArrayType(q.shape, float_dtype(a, b, q)),
    vjp=_sylvester_vjp,
    jvp=_sylvester_jvp,
    callee="scipy.linalg.solve_sylvester",
    imports="import scipy.linalg",
    native=False,
    sample=(case(regular(3, 3), regular(2, 2), (3, 2)),),
)
"""x with a @ x + x @ b = q."""


def _turning(generator: np.random.Generator) -> Any:
    """A matrix with a negative eigenvalue, whose square root is complex."""
    return np.diag([-1.0, 2.0, 0.5]) + 0.1 * generator.uniform(-1, 1, (3, 3))


sqrtm: Op = Op(
    "sqrtm",
    functools.partial(_evaluate, "sqrtm"),
    result_type=_square_type,
    vjp=lambda g, z, x, crosses: (cast(solve_sylvester(transposed(z), transposed(z), g), x.dtype),),
    jvp=lambda tangents, z, x, crosses: solve_sylvester(z, z, cast(tangents[0], z.dtype)),
    imports="import scipy.linalg",
    native=False,
    emit=lambda inputs, instr: call("scipy.linalg.sqrtm", inputs[0]),
    sample=(case(definite(3, 3), crosses=False), case(_turning, crosses=True)),
)
"""z with z @ z = x, so z @ z_dot + z_dot @ z = x_dot, on the cut of the square root as well."""
