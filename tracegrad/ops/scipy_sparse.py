"""Sparse matrices of SciPy's times traced vectors and matrices, and linear equations with them.

A matrix is read when it is used: its numbers may be traced, its pattern is known. Begin with `Pattern`.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ir.types import ArrayType
from tracegrad.ops.compare import logical_and, where
from tracegrad.ops.families import case, cast
from tracegrad.ops.index import index_add, read, split, zeros
from tracegrad.ops.linalg import float_dtype
from tracegrad.ops.numpy_forms import known, operand
from tracegrad.ops.numpy_order import searchsorted
from tracegrad.ops.numpy_shape import ravel, reshape
from tracegrad.ops.op import Op
from tracegrad.ops.reduce import sum_
from tracegrad.ops.scipy_forms import SCIPY_FORMS


@functools.cache
def _scipy() -> Any:
    return importlib.import_module("scipy.sparse")


def _matrix(data: Any, rows: Any, columns: Any, n: int, transposed: bool) -> Any:
    pattern = (columns, rows) if transposed else (rows, columns)
    return _scipy().csc_array((np.asarray(data, float), pattern), shape=(n, n))


def solved_sparse(data: Any, rows: Any, columns: Any, b: Any, transposed: bool) -> Any:
    """The solution of a sparse system, by SciPy's LU factorisation."""
    solver = importlib.import_module("scipy.sparse.linalg")
    found = solver.splu(_matrix(data, rows, columns, b.shape[0], transposed)).solve(np.asarray(b, float))
    return found.astype(float_dtype(data, b), copy=False)


def _vjp(g: Any, z: Any, data: Any, rows: Any, columns: Any, b: Any, transposed: bool) -> tuple[Any, ...]:
    bar = sparse_solve(data, rows, columns, g, transposed=not transposed)
    into, out_of = (columns, rows) if transposed else (rows, columns)
    products = read(bar, (into,)) * read(z, (out_of,))
    if z.ndim > 1:
        products = sum_(products, axis=(1,), keepdims=False)
    return cast(-products, data.dtype), None, None, cast(bar, b.dtype)


def _jvp(tangents: Any, z: Any, data: Any, rows: Any, columns: Any, b: Any, transposed: bool) -> Any:
    right = tangents[3]
    if tangents[0] is not None:
        into, out_of = (columns, rows) if transposed else (rows, columns)
        moved = -product(tangents[0], into, out_of, z, b.shape[0])
        right = moved if right is None else right + moved
    return cast(sparse_solve(data, rows, columns, right, transposed=transposed), z.dtype)


sparse_solve: Op = Op(
    "sparse_solve",
    solved_sparse,
    result_type=lambda data, rows, columns, b, transposed: ArrayType(b.shape, float_dtype(data, b)),
    vjp=_vjp,
    jvp=_jvp,
    callee="scipy_sparse.solved_sparse",
    imports="from tracegrad.ops import scipy_sparse",
    native=False,
    sample=tuple(
        case(
            lambda g: g.uniform(1, 2, 5) * np.array([4, 4, 4, 1, 1]),
            np.array([0, 1, 2, 0, 2]),
            np.array([0, 1, 2, 2, 1]),
            shape,
            transposed=transposed,
        )
        for shape, transposed in (((3,), False), ((3, 2), True))
    ),
)


def product(data: Any, rows: Any, columns: Any, x: Any, n: int) -> Any:
    """A sparse matrix of `n` rows times a vector or a matrix."""
    terms = read(x, (columns,))
    data = reshape(data, (-1, 1)) if x.ndim > 1 else data
    template, arrays = split(rows)
    dtype = np.result_type(np.dtype(data.dtype), x.dtype)
    start = zeros(shape=(n, *x.shape[1:]), dtype=dtype) if n == 0 else np.zeros((n, *x.shape[1:]), dtype)
    return index_add(start, *arrays, data * terms, index=template)


def _columns_of(starts: Any, count: int) -> Any:
    """In which row of a compressed matrix each number stands, or in which column: where its row starts."""
    return searchsorted(starts, np.arange(count), "right") - 1


class Pattern:
    """A sparse matrix as its numbers and where they stand: all of it is read, and read again at each call."""

    def __init__(self, matrix: Any) -> None:
        kind = matrix.seen.format
        self.shape = tuple(known(n) for n in matrix.shape)
        if kind in ("csr", "csc"):
            self.data = matrix.data
            outer = _columns_of(matrix.indptr, self.data.shape[0])
            self.rows, self.columns = (outer, matrix.indices) if kind == "csr" else (matrix.indices, outer)
        elif kind == "coo":
            self.data, self.rows, self.columns = matrix.data, matrix.row, matrix.col
        elif kind == "bsr":
            blocks = matrix.data
            count, high, wide = blocks.shape
            outer = reshape(_columns_of(matrix.indptr, count), (-1, 1, 1))
            inner = reshape(operand(matrix.indices), (-1, 1, 1))
            whole = np.zeros(blocks.shape, int)
            self.data = ravel(blocks)
            self.rows = ravel(whole + outer * high + np.arange(high)[:, None])
            self.columns = ravel(whole + inner * wide + np.arange(wide))
        elif kind == "dia":
            diagonals = matrix.data
            columns = np.arange(diagonals.shape[1])
            rows = columns - reshape(operand(matrix.offsets), (-1, 1))
            inside = logical_and(rows >= 0, logical_and(rows < self.shape[0], columns < self.shape[1]))
            self.data = ravel(where(inside, diagonals, 0.0))
            self.rows = ravel(where(inside, rows, 0))
            self.columns = ravel(where(inside, columns, 0))
        elif (
            kind == "lil" and matrix.rows is not None
        ):  # lists in an array, which keeps the run from being repeated
            made = matrix.seen.tocoo()
            self.data, self.rows, self.columns = made.data, made.row, made.col
        else:
            raise UnsupportedError(
                f"a sparse matrix of format {kind!r} is not recorded: what it holds cannot be seen.",
                None,
                "convert it outside: matrix.tocsr()",
            )

    def times(self, x: Any) -> Any:
        x = operand(x)
        if not x.ndim or x.shape[0] != self.shape[1]:
            inner = x.shape[0] if x.ndim else ""
            raise ValueError(
                f"matmul: dimension mismatch with signature (n,k={self.shape[1]}),(k={inner},m)->(n,m)"
            )
        return product(self.data, self.rows, self.columns, x, self.shape[0])

    def turned_times(self, x: Any) -> Any:
        """x @ matrix."""
        x = operand(x)
        if not x.ndim or x.shape[-1] != self.shape[0]:
            inner, rest = x.shape[-1] if x.ndim else "", "m" if x.ndim > 1 else "1?"
            raise ValueError(
                f"matmul: dimension mismatch with signature (n,k={self.shape[0]}),(k={inner},{rest})->(n,{rest})"
            )
        turned = x.T if x.ndim > 1 else x
        found = product(self.data, self.columns, self.rows, turned, self.shape[1])
        return found.T if x.ndim > 1 else found


def _times(self: Any, x: Any) -> Any:
    return Pattern(self).times(x)


def _times_from_right(self: Any, x: Any) -> Any:
    return Pattern(self).turned_times(x)


for _kind in ("csr", "csc", "coo", "dia", "bsr", "lil", "dok"):
    for _of in ("array", "matrix"):
        _name = f"scipy.sparse.{_kind}_{_of}"
        SCIPY_FORMS[f"{_name}.__matmul__"] = _times
        SCIPY_FORMS[f"{_name}.dot"] = _times
        SCIPY_FORMS[f"{_name}.__rmatmul__"] = _times_from_right
        if _of == "matrix":
            SCIPY_FORMS[f"{_name}.__mul__"] = _times
            SCIPY_FORMS[f"{_name}.__rmul__"] = _times_from_right


def _spsolve(A: Any, b: Any, permc_spec: Any = None, use_umfpack: bool = True) -> Any:
    if not _scipy().issparse(A):
        raise UnsupportedError(
            "`scipy.sparse.linalg.spsolve` is recorded for a known sparse matrix `A`.",
            None,
            "np.linalg.solve(A, b) for a traced matrix",
        )
    made = A.tocoo()
    b = operand(b)
    if made.shape[0] != made.shape[1]:
        raise ValueError(f"matrix must be square (has shape {made.shape})")
    if b.shape[0] != made.shape[0]:
        raise ValueError(f"matrix - rhs dimension mismatch ({made.shape} - {b.shape[0]})")
    return sparse_solve(made.data, made.row, made.col, b, transposed=False)


SCIPY_FORMS["scipy.sparse.linalg.spsolve"] = _spsolve


def _solved_by_factors(self: Any, rhs: Any, trans: str = "N") -> Any:
    """`splu(A).solve(b)`: the matrix is what its factors say."""
    lu = self.seen
    n, ones = lu.shape[0], np.ones(lu.shape[0])
    if trans not in ("N", "T", "H"):
        raise ValueError("trans must be 'N', 'T', or 'H'")
    rows = _scipy().csc_array((ones, (np.arange(n), lu.perm_r)), shape=(n, n))
    columns = _scipy().csc_array((ones, (lu.perm_c, np.arange(n))), shape=(n, n))
    made = (rows @ (lu.L @ lu.U) @ columns).tocoo()
    b = operand(rhs)
    if b.shape[0] != n:
        raise ValueError("b is of incompatible size")
    if np.iscomplexobj(made.data):
        raise UnsupportedError(
            "`splu` of a complex matrix is not recorded.",
            None,
            "np.linalg.solve, which takes complex numbers",
        )
    return sparse_solve(made.data, made.row, made.col, b, transposed=trans != "N")


SCIPY_FORMS["scipy.sparse.linalg.SuperLU.solve"] = _solved_by_factors
