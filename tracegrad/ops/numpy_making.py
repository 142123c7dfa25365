"""Arrays made from traced numbers, and statistics of samples, under NumPy's signatures: linspace, meshgrid, cov, ...

Begin with `linspace`.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ir.types import WEAK
from tracegrad.ops import shape
from tracegrad.ops.arithmetic import divide, multiply, power
from tracegrad.ops.compare import equal, sign
from tracegrad.ops.elementary import log10, sqrt
from tracegrad.ops.numpy_elementwise import clip, conj, imag
from tracegrad.ops.numpy_elementwise import real as real_part
from tracegrad.ops.numpy_forms import (
    answers,
    array_operand,
    as_dtype,
    common_dtype,
    is_sequence,
    known,
    lying,
    operand,
    value,
)
from tracegrad.ops.numpy_linalg import dot
from tracegrad.ops.numpy_reduce import any, average, sum
from tracegrad.ops.numpy_sampled import real
from tracegrad.ops.numpy_shape import (
    broadcast_arrays,
    concatenate,
    diagonal,
    expand_dims,
    moveaxis,
    reshape,
    swapaxes,
    transpose,
)

# --- evenly spaced ----------------------------------------------------------------------------------------------------


def _number(a: Any) -> Any:
    """A traced Python number as the number it is, which takes the dtype beside it."""
    return a.value if getattr(a, "weak", False) else a


@answers(np.linspace)
def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    num = int(num)
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    kinds = [a if isinstance(a, WEAK) else operand(a).dtype for a in (_number(start), _number(stop))]
    dtype = np.result_type(*kinds, float(num)) if dtype is None else dtype
    start, stop = broadcast_arrays(real(start), real(stop))
    parts = num - 1 if endpoint else num
    steps = np.arange(num, dtype=float).reshape((-1,) + (1,) * start.ndim)
    step = divide(stop - start, parts) if parts > 0 else np.nan
    if parts > 0:
        found = start + steps * step
        if endpoint:
            found = concatenate([found[:-1], expand_dims(stop, 0)])
    else:
        found = start + steps * (stop - start)
    found = moveaxis(found, 0, axis) if axis else found
    if dtype is not None and np.dtype(dtype).kind in "iu":
        found = np.floor(found)
    found = as_dtype(found, dtype)
    return (found, step) if retstep else found


@answers(np.logspace)
def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    base = value(base)
    if is_sequence(base):
        start, stop, base = broadcast_arrays(start, stop, base)
        base = expand_dims(base, axis)
    return as_dtype(power(base, linspace(start, stop, num, endpoint, axis=axis)), dtype)


@answers(np.geomspace)
def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    start, stop = (as_dtype(v, np.result_type(v.dtype, np.float64)) for v in (operand(start), operand(stop)))
    start, stop = broadcast_arrays(start, stop)
    if known(any(equal(start, 0))) or known(any(equal(stop, 0))):
        raise ValueError("Geometric sequence cannot include zero")
    direction = sign(start)
    if num == 1:
        found = expand_dims(start, 0)
    else:
        found = power(10.0, linspace(log10(start / direction), log10(stop / direction), num, endpoint))
    if num > 1:
        found = direction * found
        parts = [expand_dims(start, 0), found[1:]]
        if endpoint:
            parts = [expand_dims(start, 0), found[1:-1], expand_dims(stop, 0)]
        found = concatenate(parts)
    return as_dtype(moveaxis(found, 0, axis) if axis else found, dtype)


@answers(np.meshgrid)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Any, ...]:
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    n = len(xi)
    found = [reshape(x, (1,) * k + (-1,) + (1,) * (n - 1 - k)) for k, x in enumerate(xi)]
    if indexing == "xy" and n > 1:
        found[:2] = [swapaxes(x, 0, 1) for x in found[:2]]
    grids = found if sparse else broadcast_arrays(*found)
    return tuple(lying(shape.copy(grid), "C") if copy else grid for grid in grids)


def concatenated(by: Any, key: Any) -> Any:
    """`np.r_[...]` and `np.c_[...]`, with slices for ranges."""
    parts = list(key) if isinstance(key, tuple) else [key]
    axis, ndmin, trans = by.axis, by.ndmin, by.trans1d
    if parts and isinstance(parts[0], str):
        raise UnsupportedError(
            "`np.r_` and `np.c_` are recorded without directives.", None, "use np.concatenate or np.stack"
        )
    parts = [_range(part) if isinstance(part, slice) else part for part in parts]
    dtype, arrays = common_dtype(parts), []
    for part in parts:
        a = as_dtype(array_operand(part), dtype)
        if a.ndim < ndmin or not a.ndim:
            missing = max(ndmin, 1) - a.ndim
            shape = [1] * missing + list(a.shape)
            if missing and trans != -1 and a.ndim:
                place = trans if trans >= 0 else trans + ndmin
                shape = [1] * place + list(a.shape) + [1] * (missing - place)
            a = reshape(a, shape)
        arrays.append(a)
    return concatenate(arrays, axis)


def _range(part: slice) -> Any:
    start, stop, step = (
        0 if part.start is None else part.start,
        part.stop,
        1 if part.step is None else part.step,
    )
    if isinstance(step, complex):
        return linspace(start, stop, int(abs(step)))
    return np.arange(known(start), known(stop), known(step))


# --- statistics -------------------------------------------------------------------------------------------------------


@answers(np.cov)
def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    if ddof is not None and ddof != int(ddof):
        raise ValueError("ddof must be integer")
    rows = _observed(m, rowvar)
    if operand(m).ndim > 2:
        raise ValueError("m has more than 2 dimensions")
    if y is not None:
        if operand(y).ndim > 2:
            raise ValueError("y has more than 2 dimensions")
        rows = concatenate([rows, _observed(y, rowvar)])
    rows = as_dtype(rows, np.result_type(rows.dtype, np.float64) if dtype is None else dtype)
    ddof = (0 if bias else 1) if ddof is None else int(ddof)
    weights: Any = None
    for given, said in ((fweights, "fweights"), (aweights, "aweights")):
        if given is None:
            continue
        given = real(given)
        if given.ndim > 1:
            raise RuntimeError(f"cannot handle multidimensional {said}")
        if given.shape[0] != rows.shape[1]:
            raise RuntimeError(f"incompatible numbers of samples and {said}")
        weights = given if weights is None else multiply(weights, given)
    total: Any = rows.shape[1] if weights is None else sum(weights)
    if aweights is None or ddof == 0 or weights is None:
        left = total - ddof
    else:
        left = total - ddof * sum(multiply(weights, real(aweights))) / total
    if known(left) <= 0:
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=2)
        left = 0.0
    away = rows - expand_dims(average(rows, 1, weights), 1)
    scaled = away if weights is None else away * weights
    found = divide(dot(away, transpose(conj(scaled))), left)
    return reshape(found, [n for n in found.shape if n != 1])


def _observed(m: Any, rowvar: bool) -> Any:
    """Samples with a row for each variable."""
    m = real(m)
    if m.ndim < 2:
        return reshape(m, (1, -1))
    return transpose(m) if not rowvar and m.shape[0] != 1 else m


@answers(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    found = cov(x, y, rowvar, dtype=dtype)
    if not found.ndim:
        return found / found
    spread = sqrt(real_part(diagonal(found)))
    found = found / expand_dims(spread, 1) / expand_dims(spread, 0)
    if found.dtype.kind == "c":
        return clip(real_part(found), -1, 1) + clip(imag(found), -1, 1) * 1j
    return clip(found, -1, 1)
