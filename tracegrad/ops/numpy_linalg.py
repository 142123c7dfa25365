"""Products and linear algebra under NumPy's signatures: dot, tensordot, einsum, kron, cross, norm, solve, ..."""

from __future__ import annotations

import builtins
import functools
import math
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tracegrad.ops import contraction, decompositions, determinants, linalg, reduce
from tracegrad.ops.arithmetic import multiply, negative, power, subtract
from tracegrad.ops.compare import absolute, equal, not_equal, where
from tracegrad.ops.families import conj, real_dtype
from tracegrad.ops.numpy_forms import (
    answers,
    array_operand,
    as_dtype,
    axis_number,
    axis_tuple,
    is_sequence,
    known,
    lying,
    operand,
    whole,
)
from tracegrad.ops.numpy_reduce import any, max, min, sum
from tracegrad.ops.numpy_shape import diagonal, expand_dims, moveaxis, reshape, stack, transpose


class SlogdetResult(NamedTuple):
    """What `np.linalg.slogdet` returns."""

    sign: Any
    logabsdet: Any


@answers(np.matmul)
def matmul(x1: Any, x2: Any) -> Any:
    return linalg.matmul(operand(x1), operand(x2))


if hasattr(np, "matvec"):  # NumPy 2.2

    @answers(np.matvec)
    def matvec(x1: Any, x2: Any) -> Any:
        x1, x2 = operand(x1), operand(x2)
        if x1.ndim < 2 or not x2.ndim:
            raise ValueError("matvec takes matrices and vectors")
        return linalg.matmul(x1, x2) if x2.ndim < 2 else linalg.matmul(x1, x2[..., None])[..., 0]

    @answers(np.vecmat)
    def vecmat(x1: Any, x2: Any) -> Any:
        x1, x2 = operand(x1), operand(x2)
        if x2.ndim < 2 or not x1.ndim:
            raise ValueError("vecmat takes vectors and matrices")
        x1 = conj(x1)
        return linalg.matmul(x1, x2) if x1.ndim < 2 else linalg.matmul(x1[..., None, :], x2)[..., 0, :]


@answers(np.dot)
def dot(a: Any, b: Any) -> Any:
    a, b = array_operand(a), array_operand(b)
    if not a.ndim or not b.ndim:
        return multiply(a, b)
    if a.ndim <= 2 and b.ndim <= 2:
        return linalg.dot(a, b)
    return tensordot(a, b, ((a.ndim - 1,), (builtins.max(b.ndim - 2, 0),)))


@answers(np.vdot)
def vdot(a: Any, b: Any) -> Any:
    return linalg.dot(conj(reshape(a, (-1,))), reshape(b, (-1,)))


@answers(np.linalg.vecdot, np.vecdot)
def vecdot(x1: Any, x2: Any, axis: int = -1) -> Any:
    products = multiply(conj(operand(x1)), operand(x2))
    if products.dtype.kind == "b":
        return any(products, axis)
    return sum(products, axis, dtype=products.dtype)


@answers(np.inner)
def inner(a: Any, b: Any) -> Any:
    a, b = array_operand(a), array_operand(b)
    if not a.ndim or not b.ndim:
        return multiply(a, b)
    return linalg.dot(a, b) if a.ndim == b.ndim == 1 else tensordot(a, b, ((a.ndim - 1,), (b.ndim - 1,)))


@answers(np.outer, np.linalg.outer)
def outer(a: Any, b: Any) -> Any:
    return linalg.outer(reshape(a, (-1,)), reshape(b, (-1,)))


@answers(np.tensordot, np.linalg.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    a, b = operand(a), operand(b)
    if is_sequence(axes):
        first, second = (
            [axis_number(k, x.ndim) for k in whole(of)] for x, of in zip((a, b), axes, strict=True)
        )
    else:
        first, second = list(range(a.ndim - axes, a.ndim)), list(range(axes))
    if [a.shape[k] for k in first] != [b.shape[k] for k in second]:
        raise ValueError("shape-mismatch for sum")
    rows = [k for k in range(a.ndim) if k not in first]
    columns = [k for k in range(b.ndim) if k not in second]
    length = math.prod(a.shape[k] for k in first)
    left = reshape(transpose(a, (*rows, *first)), (math.prod(a.shape[k] for k in rows), length))
    right = reshape(transpose(b, (*second, *columns)), (length, math.prod(b.shape[k] for k in columns)))
    return reshape(linalg.dot(left, right), (*(a.shape[k] for k in rows), *(b.shape[k] for k in columns)))


@answers(np.kron)
def kron(a: Any, b: Any) -> Any:
    a, b = operand(a), operand(b)
    ndim = builtins.max(a.ndim, b.ndim)
    left, right = ((*(1,) * (ndim - x.ndim), *x.shape) for x in (a, b))
    spread = reshape(a, [n for m in left for n in (m, 1)])
    inner_part = reshape(b, [n for m in right for n in (1, m)])
    return reshape(multiply(spread, inner_part), [m * n for m, n in zip(left, right, strict=True)])


@answers(np.cross)
def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: Any = None) -> Any:
    """Of vectors with two components, whose third is 0, the third component alone if both are such."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = operand(a), operand(b)
    a, b = moveaxis(a, axisa, 0), moveaxis(b, axisb, 0)
    n, m = a.shape[0], b.shape[0]
    if n not in (2, 3) or m not in (2, 3):
        raise ValueError("incompatible dimensions for cross product\n(dimension must be 2 or 3)")
    last = subtract(multiply(a[0], b[1]), multiply(a[1], b[0]))
    if n == m == 2:
        return last
    first = multiply(a[1], b[2]) if m == 3 else None
    second = multiply(a[0], b[2]) if m == 3 else None
    if n == 3:
        turned = multiply(a[2], b[1]), multiply(a[2], b[0])
        first = negative(turned[0]) if first is None else subtract(first, turned[0])
        second = turned[1] if second is None else subtract(turned[1], second)
    else:
        second = negative(second)
    return stack((first, second, last), axisc)


@answers(np.linalg.cross)
def linalg_cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    if operand(x1).shape[axis] != 3 or operand(x2).shape[axis] != 3:
        raise ValueError("Both input arrays must be (arrays of) 3-dimensional vectors")
    return cross(x1, x2, axis=axis)


# --- einsum -----------------------------------------------------------------------------------------------------------

_ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def complete_subscripts(subscripts: str, operands: Sequence[Any]) -> str:
    """Subscripts without spaces, with `->`, and with letters in place of `...`."""
    text = subscripts.replace(" ", "")
    inputs, arrow, output = text.partition("->")
    terms = inputs.split(",")
    if len(terms) != len(operands):
        raise ValueError(f"einsum: {len(terms)} terms in {subscripts!r} for {len(operands)} operands")
    free = [letter for letter in _ALPHABET if letter not in text]
    hidden = [x.ndim - len(t.replace("...", "")) for t, x in zip(terms, operands, strict=True) if "..." in t]
    shared = free[: builtins.max(hidden, default=0)]
    counts = iter(hidden)
    terms = [
        t.replace("...", "".join(shared[len(shared) - next(counts) :])) if "..." in t else t for t in terms
    ]
    if arrow:
        output = output.replace("...", "".join(shared))
    else:
        once = sorted(letter for letter in set("".join(terms)) if "".join(terms).count(letter) == 1)
        output = "".join([*shared, *(letter for letter in once if letter not in shared)])
    return f"{','.join(terms)}->{output}"


def _as_letters(*given: Any) -> tuple[str, tuple[Any, ...]]:
    """`einsum(a, [0, 1], b, [1, 2], [0, 2])` as subscripts in letters, and the arrays."""
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

    def word(axes: Any) -> str:
        return "".join("..." if k is Ellipsis else letters[k.__index__()] for k in axes)

    pairs = len(given) // 2
    inputs = ",".join(word(given[2 * k + 1]) for k in range(pairs))
    arrays = tuple(given[2 * k] for k in range(pairs))
    return (f"{inputs}->{word(given[-1])}" if len(given) % 2 else inputs), arrays


@answers(np.einsum)
def einsum(subscripts: Any, *operands: Any, optimize: Any = False) -> Any:
    """A path of the user's is as good as any: `contraction.einsum` takes its own."""
    if not isinstance(subscripts, str):
        subscripts, operands = _as_letters(subscripts, *operands)
    arrays = [operand(x) for x in operands]
    found = contraction.einsum(*arrays, subscripts=complete_subscripts(subscripts, arrays))
    return lying(found, "C") if len(arrays) > 2 else found


# --- numbers of a matrix ----------------------------------------------------------------------------------------------


@answers(np.trace)
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Any:
    a = as_dtype(operand(a), dtype)
    if a.ndim == 2 and (axis1, axis2) == (0, 1) and a.dtype.kind in "fc":
        return linalg.trace(a, offset=int(offset))
    return sum(diagonal(a, offset, axis1, axis2), -1, dtype)


def _largest(sizes: Any, axis: int, keepdims: bool = False) -> Any:
    """The largest of numbers that are not negative; 0 where there are none."""
    return (max if sizes.shape[axis] else sum)(sizes, axis, keepdims=keepdims)


@answers(np.linalg.norm)
def linalg_norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    x, ord = operand(x), known(ord)
    if x.dtype.kind not in "fc":
        x = as_dtype(x, np.float64)
    axes = axis_tuple(axis, x.ndim)
    if ord is None or (ord == 2 and len(axes) == 1) or (ord == "fro" and len(axes) == 2):
        return reduce.norm(x, axis=axes, keepdims=bool(keepdims))
    if len(axes) == 2 and ord in (1, -1, np.inf, -np.inf):
        rows, columns = (
            axes if axis is None or isinstance(axis, int) else (axis_number(k, x.ndim) for k in axis)
        )
        inside, outside = (rows, columns) if abs(ord) == 1 else (columns, rows)
        totals = sum(absolute(x), inside, keepdims=True)
        found = (_largest if ord > 0 else min)(totals, outside, keepdims=True)
        return found if keepdims else reshape(found, [n for k, n in enumerate(x.shape) if k not in axes])
    if len(axes) == 2 and ord in (2, -2, "nuc"):
        if not isinstance(axis, (int, type(None))):
            rows, columns = (axis_number(k, x.ndim) for k in axis)
            x = moveaxis(x, (rows, columns), (-2, -1))
        numbers = decompositions.svd(x)[1]
        found = sum(numbers, -1) if ord == "nuc" else (_largest if ord > 0 else min)(numbers, -1)
        return expand_dims(found, axes) if keepdims else found
    if len(axes) != 1:
        raise ValueError(
            "Invalid norm order for matrices." if len(axes) == 2 else "Improper number of dimensions to norm."
        )
    if isinstance(ord, str):
        raise ValueError(f"Invalid norm order '{ord}' for vectors")
    if ord in (np.inf, -np.inf):
        return (_largest if ord > 0 else min)(absolute(x), axes[0], keepdims=keepdims)
    if ord == 0:
        return as_dtype(sum(not_equal(x, 0), axes[0], keepdims=keepdims), real_dtype(x.dtype))
    if ord == 1:
        return sum(absolute(x), axes[0], keepdims=keepdims)
    if ord < 1:  # at 0 the slope is infinite on both sides: 0, as that of `absolute` is
        some = not_equal(x, 0)
        powers = where(some, power(absolute(where(some, x, 1.0)), ord), 0.0 if ord > 0 else np.inf)
    else:
        powers = power(absolute(x), ord)
    total = sum(powers, axes[0], keepdims=keepdims)
    zero = equal(total, 0)  # there the derivative is 0, as that of the other norms is
    return where(zero, 0.0 if ord > 0 else np.inf, power(where(zero, 1.0, total), 1 / ord))


@answers(np.linalg.vector_norm)
def vector_norm(x: Any, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    x, ord = operand(x), known(ord)
    axes = axis_tuple(axis, x.ndim)
    if ord == 2:
        return linalg_norm(x, None, axes, keepdims)
    rest = [k for k in range(x.ndim) if k not in axes]
    rows = reshape(transpose(x, (*rest, *axes)), [*(x.shape[k] for k in rest), -1])
    found = linalg_norm(rows, ord, -1)
    return expand_dims(found, axes) if keepdims else found


@answers(np.linalg.matrix_norm)
def matrix_norm(x: Any, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    return linalg_norm(x, ord, (-2, -1), keepdims)


@answers(np.linalg.det)
def det(a: Any) -> Any:
    return determinants.det(operand(a))


@answers(np.linalg.slogdet)
def slogdet(a: Any) -> SlogdetResult:
    return SlogdetResult(*linalg.slogdet(operand(a)))


@answers(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    return linalg.solve(operand(a), operand(b))


@answers(np.linalg.inv)
def inv(a: Any) -> Any:
    return linalg.inv(operand(a))


@answers(np.linalg.cholesky)
def cholesky(a: Any, *, upper: bool = False) -> Any:
    a = operand(a)
    return linalg.adjoint(linalg.cholesky(linalg.adjoint(a))) if upper else linalg.cholesky(a)


@answers(np.linalg.matrix_power)
def matrix_power(a: Any, n: int) -> Any:
    a, n = operand(a), operator.index(n)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square")
    if n == 0:
        return np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape)
    if n < 0:
        a, n = linalg.inv(a), -n
    found = None
    while n:
        if n & 1:
            found = a if found is None else linalg.matmul(found, a)
        n >>= 1
        if n:
            a = linalg.matmul(a, a)
    return found


@answers(np.linalg.multi_dot)
def multi_dot(arrays: Sequence[Any]) -> Any:
    """In the order that takes the fewest multiplications, which is NumPy's."""
    given = list(map(operand, arrays))
    if len(given) < 2:
        raise ValueError("Expecting at least two arrays.")
    if len(given) == 2:
        return dot(*given)
    shapes = [x.shape for x in given]
    shapes[0] = (1, *shapes[0]) if len(shapes[0]) == 1 else shapes[0]
    shapes[-1] = (*shapes[-1], 1) if len(shapes[-1]) == 1 else shapes[-1]
    for shape in shapes:
        if len(shape) != 2:
            raise np.linalg.LinAlgError(
                f"{len(shape)}-dimensional array given. Array must be two-dimensional"
            )
    sides = [shape[0] for shape in shapes] + [shapes[-1][1]]

    @functools.cache
    def best(first: int, last: int) -> tuple[int, int]:
        """The multiplications of the product from `first` to `last`, and where its left part ends."""
        if first == last:
            return 0, first
        work = [
            (best(first, k)[0] + best(k + 1, last)[0] + sides[first] * sides[k + 1] * sides[last + 1], k)
            for k in range(first, last)
        ]
        return builtins.min(work)

    def product(first: int, last: int) -> Any:
        if first == last:
            return given[first]
        middle = best(first, last)[1]
        return linalg.dot(product(first, middle), product(middle + 1, last))

    return product(0, len(given) - 1)
