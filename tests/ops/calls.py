"""A program for each function of NumPy that has a derivative, and for the forms of its arguments.

`CALLS` maps a name to a function of one array, and the array. The name begins with NumPy's (`linalg.norm`; `norm`
alone where there is no other), what follows a dash tells forms apart. Tests of values, of derivatives and of coverage
run them.
"""

from __future__ import annotations

import operator
from collections import deque
from typing import Any

import numpy as np

generator = np.random.default_rng(0)
V = generator.permutation(np.linspace(0.3, 1.9, 6))
M = generator.permutation(np.linspace(-1.5, 1.9, 12)).reshape(3, 4)
T = generator.uniform(0.5, 1.5, (2, 3, 4))
S = generator.uniform(-1, 1, (3, 3)) + 2 * np.eye(3)
HOLED = np.where(np.arange(12).reshape(3, 4) % 5 == 2, np.nan, M)
RISING = np.array([0.0, 0.4, 0.9, 1.1, 1.6, 2.0])


INSIDE = V / 2 - 0.5
MASK = np.arange(12).reshape(3, 4) % 3 == 1
MOST = np.arange(12).reshape(3, 4) % 3 > 0

CALLS: dict[str, Any] = {}


def unary(names, x):
    """`np.name(x)` for each name."""
    CALLS.update({name: (getattr(np, name), x) for name in names.split()})


def with_another(names, x, y):
    """`np.name(x, y(x))` for each name; what gives two results gives both."""

    def call(function):
        def program(x):
            found = function(x, y(x))
            return np.stack(found) if isinstance(found, tuple) else found

        return program

    CALLS.update({name: (call(getattr(np, name)), x) for name in names.split()})


def without_derivative(names, x, *others):
    """`np.name(x, ...) * x`: what carries no derivative stands beside something that does."""

    def call(function):
        return lambda x: function(x, *others) * x

    CALLS.update({name: (call(getattr(np, name)), x) for name in names.split()})


unary(
    "nan_to_num negative positive abs absolute fabs reciprocal exp exp2 expm1 sin cos tan arctan arcsinh sinh cosh "
    "tanh rad2deg degrees deg2rad radians square sinc cbrt asinh atan real conj conjugate real_if_close copy flipud "
    "fliplr tril atleast_3d",
    M,
)
unary("log log2 log10 log1p sqrt i0", V)
unary("arcsin arccos arctanh asin acos atanh", INSIDE)
unary("matrix_transpose", T)
with_another(
    "add multiply subtract divide true_divide maximum minimum fmax fmin logaddexp logaddexp2 mod remainder arctan2 "
    "atan2 hypot copysign fmod heaviside divmod",
    M,
    lambda x: x[:1, ::-1] + 0.05,
)
with_another("power pow float_power", V, lambda x: x[::-1])
without_derivative(
    "floor ceil round rint around fix trunc argsort sign isfinite isinf isnan isneginf isposinf iscomplex isreal "
    "logical_not zeros_like ones_like signbit spacing all any argmax argmin count_nonzero ndim size isrealobj",
    M + 0.01,
)
without_derivative(
    "floor_divide logical_and logical_or logical_xor greater greater_equal less less_equal equal not_equal isclose",
    M,
    0.41,
)

without_derivative("nanargmax nanargmin", V)

SHIFTS = ("left_shift", "right_shift", "bitwise_left_shift", "bitwise_right_shift")
CALLS |= {
    **{
        name: (lambda x, name=name: getattr(np, name)(np.floor(4 * x).astype(int), 5) * x, M + 0.01)
        for name in ("bitwise_and", "bitwise_or", "bitwise_xor", *SHIFTS, "gcd", "lcm")
    },
    **{
        name: (lambda x, name=name: getattr(np, name)(np.floor(4 * x).astype(int)) * x, M + 0.01)
        for name in ("bitwise_invert", "bitwise_not", "invert", "bitwise_count")
    },
    "histogram_bin_edges": (lambda x: np.histogram_bin_edges(x, 4), V),
    "arccosh": (lambda x: np.arccosh(1 + x), V),
    "acosh": (lambda x: np.acosh(1 + x), V),
    "angle": (lambda x: np.angle(x) + x, M),
    "imag": (lambda x: np.imag(x) + x, M),
    "where": (lambda x: np.where(x > 0, x * x, -x), M),
    "clip": (lambda x: np.clip(x, x[0, 0], 1.0), M),
    "clip-names": (lambda x: np.clip(x, min=-0.5, max=0.5), M),
    "clip-nothing": (lambda x: np.clip(x, None, None), M),
    "nan_to_num-values": (lambda x: np.nan_to_num(np.where(MASK, np.nan, x), nan=2.0, posinf=3.0) * x, M),
    "sin-where": (lambda x: np.sin(x, where=MASK, out=x * 2), M),
    "add-dtype": (lambda x: np.add(x, x, dtype=np.float64), M),
    "shape": (lambda x: np.shape(x)[1] * x, M),
    "array_equiv": (lambda x: np.array_equiv(x, x) * x, M),
    "iscomplexobj": (lambda x: (1 + np.iscomplexobj(x)) * x, M),
    "isscalar": (lambda x: x * (1 + np.isscalar(x)), M),
    "empty_like": (lambda x: np.empty_like(x).shape[0] * x, M),
    "full_like": (lambda x: np.full_like(x, x[0, 0]) * x, M),
    "result_type": (lambda x: np.zeros(4, np.result_type(x, np.float32)) + x, M),
    "nextafter": (lambda x: (np.nextafter(x, 9.0) > x) * x, M),
    # --- shapes
    "reshape": (lambda x: np.reshape(x, (2, -1)), M),
    "reshape-columns": (lambda x: np.reshape(x, (2, -1), order="F"), M),
    "ravel": (lambda x: np.ravel(x), M),
    "ravel-columns": (lambda x: np.ravel(x, order="F"), M),
    "flatten": (lambda x: x.flatten(), M),
    "roll": (lambda x: np.roll(x, (1, 2), (0, 1)), M),
    "roll-flat": (lambda x: np.roll(x, 2), M),
    "array_split": (lambda x: np.array_split(x, 4)[1], V),
    "split": (lambda x: np.split(x, [2, 3])[2], V),
    "vsplit": (lambda x: np.vsplit(x, 3)[1], M),
    "hsplit": (lambda x: np.hsplit(x, 2)[1], M),
    "expand_dims": (lambda x: np.expand_dims(x, (0, 2)), M),
    "squeeze": (lambda x: np.squeeze(x[None]), M),
    "diag": (lambda x: np.diag(x, 1), V),
    "diag-of": (lambda x: np.diag(x, -1), M),
    "flip": (lambda x: np.flip(x, 1), M),
    "rot90": (lambda x: np.rot90(x, 3), M),
    "triu": (lambda x: np.triu(x, 1), M),
    "triu-stack": (lambda x: np.triu(x, 1), T),
    "swapaxes": (lambda x: np.swapaxes(x, 0, 2), T),
    "moveaxis": (lambda x: np.moveaxis(x, [0, 1], [2, 0]), T),
    "rollaxis": (lambda x: np.rollaxis(x, 2, 1), T),
    "transpose": (lambda x: np.transpose(x, (2, 0, 1)), T),
    "permute_dims": (lambda x: np.permute_dims(x, (1, 0)), M),
    "broadcast_to": (lambda x: np.broadcast_to(x, (2, 3, 4)), M),
    "broadcast_arrays": (lambda x: np.broadcast_arrays(x, x[0])[1], M),
    "repeat": (lambda x: np.repeat(x, [1, 0, 3], axis=0), M),
    "tile": (lambda x: np.tile(x, (2, 1, 2)), M),
    "atleast_1d": (lambda x: np.atleast_1d(x[0]), V),
    "atleast_2d": (lambda x: np.concatenate(np.atleast_2d(x, x * 2)), V),
    "diagonal": (lambda x: np.diagonal(x, 1), M),
    "diagonal-stack": (lambda x: np.diagonal(x, 1, 1, 2), T),
    "unstack": (lambda x: np.unstack(x, axis=1)[2], M),
    "pad": (lambda x: np.pad(x, ((1, 0), (2, 1)), constant_values=3.0), M),
    "pad-constants": (lambda x: np.pad(x, 1, constant_values=((1.0, x[0, 0]), (2.0, 3.0))), M),
    **{
        f"pad-{mode}": (lambda x, mode=mode: np.pad(x, ((1, 0), (2, 1)), mode=mode), M)
        for mode in [
            "edge",
            "reflect",
            "symmetric",
            "wrap",
            "linear_ramp",
            "maximum",
            "minimum",
            "mean",
            "median",
        ]
    },
    "pad-odd": (lambda x: np.pad(x, ((1, 0), (2, 1)), mode="reflect", reflect_type="odd"), M),
    "pad-odd-symmetric": (lambda x: np.pad(x, 2, mode="symmetric", reflect_type="odd"), M),
    "pad-part": (lambda x: np.pad(x, ((1, 0), (2, 1)), mode="mean", stat_length=2), M),
    "pad-ramp-ends": (lambda x: np.pad(x, 2, mode="linear_ramp", end_values=((1.0, 2.0), (3.0, 4.0))), M),
    "concatenate": (lambda x: np.concatenate([x, x * 2], axis=1), M),
    "concat": (lambda x: np.concat([x, x], axis=None), M),
    "stack": (lambda x: np.stack([x, x * x], axis=1), M),
    "vstack": (lambda x: np.vstack([x, x[0]]), M),
    "hstack": (lambda x: np.hstack([x, x]), M),
    "dstack": (lambda x: np.dstack([x, x * x]), M),
    "column_stack": (lambda x: np.column_stack([x, x * x]), V),
    "astype": (lambda x: np.astype(x, np.float64) * x.astype(int), M),
    "array": (lambda x: np.array([[x[0], 1.0], [x[1] * x[2], x[3]]]), V),
    "asarray": (lambda x: np.asarray([x[0], x[1] * 2]), V),
    "getitem": (lambda x: x[[0, 2, 0], 1:][..., None, ::-1], M),
    "take": (lambda x: np.take(x, [[2, 0], [1, 1]], axis=1), M),
    "take-clip": (lambda x: np.take(x, [-2, 9], axis=1, mode="clip"), M),
    "take-wrap": (lambda x: np.take(x, [-2, 9], mode="wrap"), M),
    "take_along_axis": (lambda x: np.take_along_axis(x, np.argsort(x, 1), 1), M),
    "mgrid": (lambda x: np.mgrid[0:3, 0:2][0].ravel() * x, V),
    "ogrid": (lambda x: np.ogrid[0:3, 0:2][0] * x, V),
    # --- sums and their kind
    "sum": (lambda x: np.sum(x, axis=(0, 2), keepdims=True), T),
    "sum-where": (lambda x: np.sum(x, axis=0, where=MASK, initial=2.0), M),
    "sum-initial": (lambda x: np.sum(x, axis=1, initial=x[0, 0]), M),
    "mean": (lambda x: np.mean(x, axis=-1), T),
    "mean-where": (lambda x: np.mean(x, axis=0, where=MASK), M),
    "prod": (lambda x: np.prod(x, axis=1), T),
    "prod-where": (lambda x: np.prod(x, axis=1, where=MASK, initial=3.0), M),
    "max": (lambda x: np.max(x, axis=1), M),
    "max-where": (lambda x: np.max(x, axis=1, where=MASK, initial=0.1), M),
    "max-initial": (lambda x: np.max(x, initial=5.0) + x, M),
    "max-empty": (lambda x: np.max(x[:0], axis=0, initial=x[0, 0]), M),
    "min": (lambda x: np.min(x, axis=(0, 2)), T),
    "min-where": (lambda x: np.min(x, axis=1, where=MASK, initial=0.1), M),
    "amin": (lambda x: np.amin(x, 0), M),
    "amax": (lambda x: np.amax(x, 0), M),
    "var": (lambda x: np.var(x, axis=0, ddof=1), M),
    "var-where": (lambda x: np.var(x, axis=1, where=MOST), M),
    "var-mean": (lambda x: np.var(x, axis=1, mean=np.mean(x, 1, keepdims=True)), M),
    "var-correction": (lambda x: np.var(x, axis=1, correction=1), M),
    "std": (lambda x: np.std(x, keepdims=True), M),
    "std-where": (lambda x: np.std(x, axis=1, where=MOST, ddof=1), M),
    "ptp": (lambda x: np.ptp(x, axis=1), M),
    "average": (lambda x: np.average(x, axis=1, weights=x[0]), T[0]),
    "nansum-where": (lambda x: np.nansum(x, axis=1, where=MASK), M),
    "any-where": (lambda x: np.any(x > 0, where=MASK, axis=0) * x, M),
    "all-where": (lambda x: np.all(x > 0, where=MASK) * x, M),
    "cumsum": (lambda x: np.cumsum(x, axis=1), M),
    "cumprod": (lambda x: np.cumprod(x), M),
    "diff": (lambda x: np.diff(x, 2, axis=1), M),
    "diff-ends": (lambda x: np.diff(x, 2, prepend=x[:, :1], append=3.0, axis=1), M),
    "sort": (lambda x: np.sort(x, axis=0), M),
    "sort-flat": (lambda x: np.sort(x, axis=None), M),
    "add.reduce": (lambda x: np.add.reduce(x), M),
    "add.reduce-where": (lambda x: np.add.reduce(x, axis=1, where=MASK, initial=3.0), M),
    "subtract.reduce": (lambda x: np.subtract.reduce(x, axis=1), M),
    "divide.reduce-initial": (lambda x: np.divide.reduce(x, axis=1, initial=2.0, keepdims=True), M),
    "logaddexp.reduce-where": (lambda x: np.logaddexp.reduce(x, axis=0, where=MASK), M),
    "fmax.reduce-where": (lambda x: np.fmax.reduce(x, axis=(0, 1), where=MASK, initial=-0.1), M),
    "fmin.reduce": (lambda x: np.fmin.reduce(x, axis=None, keepdims=True), M),
    "hypot.reduce-where": (lambda x: np.hypot.reduce(x, axis=(1, 0), where=MASK), M),
    "logaddexp.reduce": (lambda x: np.logaddexp.reduce(x, axis=None), M),
    "hypot.reduce": (lambda x: np.hypot.reduce(x, axis=0), M),
    "multiply.accumulate": (lambda x: np.multiply.accumulate(x, axis=1), M),
    "maximum.accumulate": (lambda x: np.maximum.accumulate(x, axis=1), M),
    "minimum.accumulate": (lambda x: np.minimum.accumulate(x), M),
    "logaddexp.accumulate": (lambda x: np.logaddexp.accumulate(x), M),
    "add.reduceat": (lambda x: np.add.reduceat(x, [0, 3, 1], axis=1), M),
    "multiply.reduceat": (lambda x: np.multiply.reduceat(x, [0, 2]), V),
    "subtract.outer": (lambda x: np.subtract.outer(x, x), V),
    "hypot.outer": (lambda x: np.hypot.outer(x, x[0]), M),
    # --- products and linear algebra
    "inner": (lambda x: np.inner(x, x[:2]), M),
    "matmul": (lambda x: np.matmul(x, np.swapaxes(x, 1, 2)), T),
    "dot": (lambda x: np.dot(x, x.T), M),
    "tensordot": (lambda x: np.tensordot(x, x, ((1, 2), (1, 2))), T),
    "outer": (lambda x: np.outer(x, x[:2]), V),
    "vdot": (lambda x: np.vdot(x, x * x), M),
    "vecdot": (lambda x: np.vecdot(x, x[::-1]), M),
    "kron": (lambda x: np.kron(x, x[:2]), M),
    "cross": (lambda x: np.cross(x, x[::-1]), S),
    "cross-axes": (lambda x: np.cross(x, x[::-1].T, axisa=0, axisb=-1, axisc=0), S),
    "sign-where": (lambda x: np.sign(x, where=MASK, out=x * 2) * x, M),
    "trace": (lambda x: np.trace(x), M),
    "trace-stack": (lambda x: np.trace(x, 1, 1, 2), T),
    "einsum": (lambda x: np.einsum("ij,kj->ik", x, x), M),
    "einsum-numbers": (lambda x: np.einsum(x, [0, 1], x, [2, 1], [0, 2]), M),
    "einsum-implicit": (lambda x: np.einsum("ij,jk", x, x.T), M),
    "einsum-ellipsis": (lambda x: np.einsum("...j,...j", x, x, optimize=True), T),
    "linalg.det": (np.linalg.det, S),
    "linalg.slogdet": (lambda x: np.linalg.slogdet(x).logabsdet + x, S),
    "linalg.inv": (np.linalg.inv, S),
    "linalg.solve": (lambda x: np.linalg.solve(x, x[0]), S),
    "linalg.norm": (lambda x: np.linalg.norm(x, axis=1), M),
    **{
        f"linalg.norm-matrix-{order}": (lambda x, order=order: np.linalg.norm(x, order) + x, S)
        for order in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)
    },
    **{
        f"linalg.norm-vector-{order}": (lambda x, order=order: np.linalg.norm(x, order, 0, True) + x, M)
        for order in (0, 1, 2, 3, -1, 0.5, np.inf, -np.inf)
    },
    "linalg.norm-axes": (lambda x: np.linalg.norm(x, 2, axis=(2, 0), keepdims=True), T),
    "linalg.matrix_norm": (lambda x: np.linalg.matrix_norm(x), S),
    "linalg.matrix_norm-stack": (lambda x: np.linalg.matrix_norm(x, ord="nuc"), T),
    "linalg.vector_norm": (lambda x: np.linalg.vector_norm(x, axis=(0, 2), ord=3, keepdims=True), T),
    "linalg.cholesky": (lambda x: np.linalg.cholesky(x @ x.T), S),
    "linalg.multi_dot": (lambda x: np.linalg.multi_dot([x, x.T, x]), M),
    "linalg.matrix_power": (lambda x: np.linalg.matrix_power(x, -3), S),
    "linalg.vecdot": (lambda x: np.linalg.vecdot(x, x[::-1]), M),
    # --- values as Python sees them
    "unpacking": (lambda x: (lambda a, *b: a * b[0] * b[1])(*x), M),
    "in": (lambda x: x * (1 + (x[0, 0] in x)), M),
    "iteration": (lambda x: sum(row * k for k, row in enumerate(x)), M),
    "len": (lambda x: x * len(x) * x.size * x.ndim * x.shape[0] * x.nbytes * x.itemsize, M),
    "indices": (lambda x: x[np.tril_indices(3)] * x[np.diag_indices(3)].sum(), S),
    **{
        f"polynomial.{kind}.{name}": (
            lambda x, kind=kind, name=name: getattr(getattr(np.polynomial, kind), name)(x / 4, x[:4]),
            V,
        )
        for kind, name in {
            "polynomial": "polyval",
            "chebyshev": "chebval",
            "legendre": "legval",
            "hermite": "hermval",
            "hermite_e": "hermeval",
            "laguerre": "lagval",
        }.items()
    },
}


def written(write, *args):
    """What an array made inside holds after a function has written into it."""

    def function(x):
        a = np.zeros((3, 4))
        a += x
        write(a, *args, x.ravel()[:2] * 2)
        return a

    return function


CALLS |= {
    "linspace": (lambda x: np.linspace(x[0], x[1], 5), V),
    "linspace-open": (lambda x: np.linspace(x[:2], x[2:4], 4, endpoint=False, axis=1), V),
    "linspace-step": (lambda x: np.linspace(x[0], 3.0, 5, retstep=True)[1], V),
    "logspace": (lambda x: np.logspace(x[0], x[1], 4, base=2.0), V),
    "geomspace": (lambda x: np.geomspace(x[0], x[1], 4), V),
    "geomspace-negative": (lambda x: np.geomspace(-x[0], -x[1], 4, endpoint=False), V),
    "full": (lambda x: np.full((2, 2), x[0]) * x[1], V),
    "meshgrid": (lambda x: np.stack(np.meshgrid(x[:3], x[3:])), V),
    "meshgrid-ij": (lambda x: np.stack(np.meshgrid(x[:3], x[3:5], indexing="ij")), V),
    "vander": (lambda x: np.vander(x, 4), V),
    "r_": (lambda x: np.r_[x, 1.0, x[0], 0:3], V),
    "c_": (lambda x: np.c_[x, x * x], V),
    "ix_": (lambda x: x[np.ix_([0, 2], [1, 3])], M),
    "dsplit": (lambda x: np.dsplit(x, 2)[1], T),
    "block": (lambda x: np.block([[x, x * 2], [x, x]]), M),
    "resize": (lambda x: np.resize(x, (3, 3)), V),
    "insert": (lambda x: np.insert(x, [1, 3], x[:2] * 2), V),
    "insert-axis": (lambda x: np.insert(x, 1, x[:, 0], axis=1), M),
    "delete": (lambda x: np.delete(x, [0, 2], axis=1), M),
    "append": (lambda x: np.append(x, x[0]), V),
    "trim_zeros": (lambda x: np.trim_zeros(np.concatenate([[0.0], x, [0.0, 0.0]])), V),
    "gradient": (lambda x: np.gradient(x, 0.5), V),
    "gradient-spaced": (lambda x: np.gradient(x, RISING, edge_order=2), V),
    "gradient-axes": (lambda x: np.stack(np.gradient(x, 0.5, 2.0)), M),
    "trapezoid": (lambda x: np.trapezoid(x, dx=0.3, axis=0), M),
    "trapezoid-at": (lambda x: np.trapezoid(x * x, np.cumsum(x)), V),
    "ediff1d": (lambda x: np.ediff1d(x, to_end=x[0], to_begin=[1.0, 2.0]), V),
    "unwrap": (lambda x: np.unwrap(5 * x), V),
    "unwrap-axis": (lambda x: np.unwrap(4 * x, axis=0, period=3.0), M),
    "interp-values": (lambda x: np.interp(np.array([-0.5, 0.2, 1.0, 2.5]), RISING, x), V),
    "interp-point": (lambda x: np.interp(x, RISING, np.array([3.0, 1.0, 2.0, 0.0, 1.0, 5.0])), V),
    "interp-nodes": (lambda x: np.interp(1.0, RISING + 0.01 * x, x, left=x[0], right=0.0), V),
    "interp-period": (lambda x: np.interp(x + 3.03, RISING[:5], x[:5], period=2.0), V),
    "convolve": (lambda x: np.convolve(x, x[:3]), V),
    "convolve-same": (lambda x: np.convolve(x[:2], x, "same"), V),
    "convolve-valid": (lambda x: np.convolve(x, x[:4], "valid"), V),
    "correlate": (lambda x: np.correlate(x, x[1:4]), V),
    "correlate-same": (lambda x: np.correlate(x[:3], x, "same"), V),
    "correlate-full": (lambda x: np.correlate(x, x[:3], mode="full"), V),
    "cumulative_sum": (lambda x: np.cumulative_sum(x, axis=1, include_initial=True), M),
    "cumulative_prod": (lambda x: np.cumulative_prod(x), V),
    "polyval": (lambda x: np.polyval(x[:3], x), V),
    "polyadd": (lambda x: np.polyadd(x, x[:2]) + np.polysub(x[:3], x), V),
    "polysub": (lambda x: np.polysub(x[:3], x), V),
    "polymul": (lambda x: np.polymul(x, x[:3]), V),
    "polydiv-number": (lambda x: np.concatenate(np.polydiv(x, x[0])), V),
    "polydiv": (lambda x: np.concatenate(np.polydiv(x, x[:3])), V),
    "polyder": (lambda x: np.polyder(x, 2), V),
    "polyint": (lambda x: np.polyint(x, 2, k=[1.0, 2.0]), V),
    "poly": (lambda x: np.poly(x[:3]), V),
    "polyfit": (lambda x: np.polyfit(RISING, x, 2, w=x), V),
    "select": (lambda x: np.select([x > 1, x > 0.5], [x * x, 3 * x], default=-x), V),
    "piecewise": (lambda x: np.piecewise(x, [x < 0.7, x > 1.2], [np.sin, lambda v: v * v, 0.5]), V),
    "choose": (lambda x: np.choose([0, 1, 1], [x[:3], x[3:]]), V),
    "compress": (lambda x: np.compress([True, False, True], x, axis=0), M),
    "extract": (lambda x: np.extract(x > 0.6, x * x), V),
    "apply_along_axis": (lambda x: np.apply_along_axis(lambda v: v * v.sum(), 0, x), M),
    "apply_along_axis-number": (lambda x: np.apply_along_axis(np.prod, 1, x), M),
    "apply_over_axes": (lambda x: np.apply_over_axes(np.sum, x, [0, 2]), T),
    "partition": (lambda x: np.sort(np.partition(x, 3)[:3]), V),
    "median": (lambda x: np.median(x, axis=0), M),
    "median-even": (lambda x: np.median(x, axis=(0, 1), keepdims=True), M),
    "quantile": (lambda x: np.quantile(x, [0.1, 0.5, 0.77], axis=1), M),
    "quantile-hazen": (lambda x: np.quantile(x, 0.3, method="hazen"), V),
    "quantile-point": (lambda x: np.quantile(V, x[0] / 2), V[:2]),
    "percentile": (lambda x: np.percentile(x, 40, keepdims=True), M),
    "percentile-midpoint": (lambda x: np.percentile(x, 40, method="midpoint"), V),
    "nansum": (lambda x: np.nansum(np.where(np.isnan(HOLED), np.nan, x), axis=0), M),
    "nanprod": (lambda x: np.nanprod(np.where(np.isnan(HOLED), np.nan, x), axis=1), M),
    "nancumsum": (lambda x: np.nancumsum(np.where(np.isnan(HOLED), np.nan, x), axis=1), M),
    "nancumprod": (lambda x: np.nancumprod(np.where(np.isnan(HOLED), np.nan, x), axis=1), M),
    "nanmax": (lambda x: np.nanmax(np.where(np.isnan(HOLED), np.nan, x), axis=1), M),
    "nanmin": (lambda x: np.nanmin(np.where(np.isnan(HOLED), np.nan, x)), M),
    "nanmean": (lambda x: np.nanmean(np.where(np.isnan(HOLED), np.nan, x), axis=0), M),
    "nanvar": (lambda x: np.nanvar(np.where(np.isnan(HOLED), np.nan, x), axis=1, ddof=1), M),
    "nanstd": (lambda x: np.nanstd(np.where(np.isnan(HOLED), np.nan, x), keepdims=True), M),
    "nanmin-initial": (
        lambda x: np.nanmin(np.where(np.isnan(HOLED), np.nan, x), axis=0, initial=0.2, where=MOST),
        M,
    ),
    "nanmean-where": (lambda x: np.nanmean(np.where(np.isnan(HOLED), np.nan, x), axis=1, where=MOST), M),
    "nanstd-mean": (
        lambda x: np.nanstd(np.where(np.isnan(HOLED), np.nan, x), 1, where=MOST, mean=x[:, :1]),
        M,
    ),
    "nanmedian": (lambda x: np.nanmedian(np.where(np.isnan(HOLED), np.nan, x), axis=1), M),
    "nanquantile": (lambda x: np.nanquantile(np.where(np.isnan(HOLED), np.nan, x), [0.2, 0.6], axis=0), M),
    "nanpercentile": (lambda x: np.nanpercentile(np.where(np.isnan(HOLED), np.nan, x), 30, axis=1), M),
    "cov": (lambda x: np.cov(x), M),
    "cov-weights": (lambda x: np.cov(x, rowvar=False, aweights=[1.0, 2.0, 0.5], ddof=1), M),
    "cov-two": (lambda x: np.cov(x[:3], x[3:], bias=True), V),
    "corrcoef": (lambda x: np.corrcoef(x), M),
    "average-returned": (lambda x: np.stack(np.average(x, weights=x, axis=0, returned=True)), T[0]),
    "histogram": (lambda x: np.histogram(RISING, 3, weights=x)[0], V),
    "histogram-density": (lambda x: np.histogram(RISING, [0.0, 0.5, 2.0], weights=x, density=True)[0], V),
    "histogram-edges": (lambda x: np.histogram(x, 4)[1], V),
    "histogram2d": (lambda x: np.histogram2d(RISING, RISING[::-1], (2, 3), weights=x)[0], V),
    "histogramdd": (
        lambda x: np.histogramdd(
            np.stack([RISING, RISING**2], 1), [2, [0.0, 1.0, 9.0]], weights=x, density=True
        )[0],
        V,
    ),
    "poly-matrix": (lambda x: np.poly(x[:, :3] @ x[:, :3].T), M),
    "bincount": (lambda x: np.bincount([0, 2, 2, 1, 0, 4], weights=x, minlength=6), V),
    "unique": (lambda x: np.unique(np.round(x) * x), V),
    "unique_values": (lambda x: np.unique_values(np.concatenate([x, x[:2]])), V),
    "unique_counts": (lambda x: operator.mul(*np.unique_counts(np.concatenate([x, x[:2]]))), V),
    "unique_inverse": (lambda x: x * np.unique_inverse(np.round(x) * x).inverse_indices, V),
    "unique_all": (lambda x: sum(np.unique_all(x)), V),
    "isin": (
        lambda x: (
            x * np.isin(np.arange(6) * np.round(x), [x[0], 3.0, 9.0]) + 2 * x * np.isin(x, [], invert=True)
        ),
        V,
    ),
    "isin-matrix": (lambda x: x * np.isin(np.arange(12).reshape(3, 4), [[1, 5], [7, 20]], invert=True), M),
    "union1d": (lambda x: np.union1d(x[:4], np.concatenate([x[2:], x[:1] * x[1]])), V),
    "intersect1d": (lambda x: np.intersect1d(x[:4], x[2:]), V),
    "intersect1d-indices": (
        lambda x: sum(np.intersect1d(np.append(x[:4], x[3]), x[2:], return_indices=True)),
        V,
    ),
    "intersect1d-distinct": (lambda x: sum(np.intersect1d(x[:4], x[2:], True, True)), V),
    "setdiff1d": (lambda x: np.setdiff1d(x, [x[1], 7.0]), V),
    "setdiff1d-distinct": (lambda x: x[np.setdiff1d(np.arange(len(x))[::-1], [1, 4], assume_unique=True)], V),
    "setxor1d": (lambda x: np.setxor1d(x[:4], x[2:]), V),
    "modf": (lambda x: np.modf(3 * x)[0], V),
    "frexp": (lambda x: np.frexp(x)[0], V),
    "ldexp": (lambda x: np.ldexp(x, [1, 2, -1, 0, 3, 1]), V),
    "i0": (lambda x: np.i0(x), V),
    "matvec": (lambda x: np.matvec(x, x[..., 0, :]), T),
    "vecmat": (lambda x: np.vecmat(x[..., 0], x), T),
    "indexed-by-ranges": (
        lambda x: x[range(3), range(3)] + x[range(2)].sum() + x[deque([0, 2]), 1:].sum(),
        M,
    ),
    "tensordot-ranges": (lambda x: np.tensordot(x, x, axes=(range(2), range(2))), M),
    "moveaxis-ranges": (lambda x: np.moveaxis(x, range(3), (1, 2, 0)), T),
    "nonzero": (lambda x: x[np.nonzero(x > 0)], M),
    "argwhere": (lambda x: x[tuple(np.argwhere(x > 0).T)], M),
    "flatnonzero": (lambda x: x.ravel()[np.flatnonzero(x > 0)], M),
    "searchsorted": (lambda x: x * np.searchsorted(RISING, x), V),
    "digitize": (lambda x: x * np.digitize(x, RISING[::-1]), V),
    "lexsort": (lambda x: x[np.lexsort((x, np.round(x)))], V),
    "argpartition": (lambda x: x[np.argpartition(x, 2)[2]], V),
    "allclose": (lambda x: x * 2 if np.allclose(x, x + 1e-12) else x, V),
    "array_equal": (lambda x: x * 2 if np.array_equal(x, x) else x, V),
    "put_along_axis": (
        lambda x: (lambda a: (np.put_along_axis(a, np.array([[1], [0], [2]]), a[:, 3:] * 2, 1), a)[1])(x * 1),
        M,
    ),
    "put": (written(lambda a, v: np.put(a, [1, 7], v)), M),
    "place": (written(lambda a, v: np.place(a, np.arange(12).reshape(3, 4) % 3 == 0, v)), M),
    "putmask": (written(lambda a, v: np.putmask(a, np.arange(12).reshape(3, 4) > 5, v[0])), M),
    "fill_diagonal": (written(lambda a, v: np.fill_diagonal(a, v[0])), M),
    "svdvals": (lambda x: np.linalg.svdvals(x), M),
    "svd": (lambda x: np.abs(np.linalg.svd(x, full_matrices=False)[0]), M),
    "svd-values": (lambda x: np.linalg.svd(x, compute_uv=False), M),
    "eigh": (lambda x: np.abs(np.linalg.eigh(x @ x.T)[1]), M),
    "eigh-upper": (lambda x: np.linalg.eigh(x, "U")[1] * np.linalg.eigh(x, UPLO="u")[0], S),
    "eigvalsh": (lambda x: np.linalg.eigvalsh(x, UPLO="U"), S),
    "qr": (lambda x: np.linalg.qr(x.T)[0], M),
    "qr-wide": (lambda x: np.linalg.qr(x, mode="r"), M),
    "pinv": (lambda x: np.linalg.pinv(x), M),
    "lstsq": (lambda x: np.linalg.lstsq(x.T, x[0], rcond=None)[0], M),
    "lstsq-residuals": (lambda x: np.linalg.lstsq(x[:, :2], x[:, 2:], rcond=None)[1], M),
    "cond": (lambda x: np.linalg.cond(x) + np.linalg.cond(x, 1) + np.linalg.cond(x, -2), S),
    "matrix_rank": (lambda x: x * np.linalg.matrix_rank(x), M),
    "tensorinv": (lambda x: np.linalg.tensorinv(x.reshape(3, 3, 1), ind=1), S),
    "tensorsolve": (lambda x: np.linalg.tensorsolve(x, x[0]), S),
    "linalg.trace": (lambda x: np.linalg.trace(x, offset=1), S),
    "linalg.trace-stack": (lambda x: np.linalg.trace(x, offset=1), T),
    "linalg.diagonal": (lambda x: np.linalg.diagonal(x), S),
    "linalg.diagonal-stack": (lambda x: np.linalg.diagonal(x), T),
}


def parts(y):
    """The real and imaginary parts of complex numbers beside each other."""
    return np.stack([y.real, y.imag])


def transform(name, *args, **options):
    """A Fourier transform of a real array, or of complex numbers made of one."""
    function = getattr(np.fft, name)
    if name.startswith(("rfft", "ihfft")):
        return lambda x: parts(function(x, *args, **options))
    if name.endswith("shift"):
        return lambda x: function(x, *args, **options)
    return lambda x: parts(function(x + 1j * x * x, *args, **options))


CALLS |= {f"fft.{name}": (transform(name), V) for name in ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"]}
CALLS |= {
    f"fft.{name}": (transform(name), M)
    for name in [
        "fft2",
        "ifft2",
        "rfft2",
        "irfft2",
        "fftn",
        "ifftn",
        "rfftn",
        "irfftn",
        "fftshift",
        "ifftshift",
    ]
}
CALLS |= {
    "fft.fft-longer": (transform("fft", 9, norm="ortho"), M),
    "fft.ifft-shorter": (transform("ifft", 2, axis=0, norm="forward"), M),
    "fft.irfft-odd": (transform("irfft", 7), V),
    "fft.rfftn-axes": (transform("rfftn", axes=(1, 0)), M),
    "fft.fftn-sizes": (transform("fftn", (2, 5), axes=(0, 1), norm="ortho"), M),
    "sort_complex": (lambda x: parts(np.sort_complex(x - 1j * x)), V),
    "linalg.eigvals": (lambda x: np.linalg.eigvals(x), S),
    "linalg.eig": (lambda x: np.abs(np.linalg.eig(x)[1]), S),
    "roots": (lambda x: np.abs(np.roots(x)), V),
}
