"""Products of matrices and vectors, in machine code.

Arrays go in, a call goes out: of the functions that Numba looks up in SciPy's BLAS when they are first called. Nothing
is copied: a matrix in Fortran's order is a transposed one. A product of two matrices for which BLAS takes one thread is
not given to it but computed in tiles. Begin with `product`.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.np.linalg import check_blas_return, ensure_blas

from tracegrad.compiler import blas_threads, tiles
from tracegrad.compiler.arrays import BYTE, WORD, Array

POINTER = BYTE.as_pointer()
STATUS = ir.IntType(32)
WORK = 1 << 20  # multiplications; OpenBLAS has kernels of their own for small products
ROOM = 1 << 21  # bytes of all three matrices, which then stay in the second cache
KINDS = {types.float32: "s", types.float64: "d"}
SIZES = {types.float32: 4, types.float64: 8}


def fits(x: Any, y: Any) -> bool:
    """Whether BLAS has a product of two arrays of these types."""
    dims = {(2, 2), (2, 1), (1, 2)}
    return (x.ndim, y.ndim) in dims and x.dtype == y.dtype in KINDS and all(t.layout in "CF" for t in (x, y))


def product(context: Any, builder: Any, x: Array, y: Array, out: Array, added: bool) -> None:
    """`x @ y` into a contiguous array, or added to what stands there."""
    ensure_blas()
    length = x.sizes()[-1]
    if not added:
        with builder.if_then(builder.icmp_signed("==", length, WORD(0)), likely=False):
            cgutils.memset(builder, out.fields.data, out.bytes(), 0)
    with builder.if_then(builder.icmp_signed(">", length, WORD(0))):
        if x.type.ndim == y.type.ndim == 2:
            _matrices(context, builder, x, y, out, added)
        elif x.type.ndim == 2:
            _matrix_and_vector(context, builder, x, y, out, x.type.layout == "C", added)
        else:
            _matrix_and_vector(context, builder, y, x, out, y.type.layout == "F", added)


def _matrices(context: Any, builder: Any, x: Array, y: Array, out: Array, added: bool) -> None:
    """In tiles where they are quicker than BLAS with one thread; else by BLAS."""
    width = tiles.register_bytes()
    if not width:
        _matrices_of_blas(context, builder, x, y, out, added)
        return
    (rows, length), (_, columns) = x.sizes(), y.sizes()
    work = builder.mul(builder.mul(rows, columns), length)
    elements = builder.add(builder.mul(rows, columns), builder.mul(length, builder.add(rows, columns)))
    conditions = (
        (work, ">=", WORK),
        (elements, "<=", ROOM // SIZES[x.type.dtype]),
        (rows, ">=", tiles.HEIGHTS[width][0]),
        (columns, ">=", tiles.REGISTERS * width // 4),
    )
    fits = _has_one_thread(builder)
    for value, symbol, limit in conditions:
        fits = builder.and_(fits, builder.icmp_signed(symbol, value, WORD(limit)))
    with builder.if_else(fits) as (in_tiles, by_blas):
        with in_tiles:
            left, right = (
                (a.fields.data, a.sizes()[a.type.layout == "C"], a.type.layout != "C") for a in (x, y)
            )
            tiles.product(builder, left, right, out.fields.data, (rows, length, columns), added)
        with by_blas:
            _matrices_of_blas(context, builder, x, y, out, added)


def _has_one_thread(builder: Any) -> Any:
    """Whether BLAS is known to take no more than one thread."""
    blas_threads.know()
    asked = ir.FunctionType(STATUS, []).as_pointer()
    place = builder.module.globals.get(blas_threads.NAME)
    if place is None:
        place = ir.GlobalVariable(builder.module, asked, blas_threads.NAME)
        place.linkage = "external"
    function, start = builder.load(place), builder.block
    with builder.if_then(cgutils.is_not_null(builder, function)):
        one = builder.icmp_signed("==", builder.call(function, []), STATUS(1))
        known = builder.block
    found = builder.phi(ir.IntType(1))
    found.add_incoming(ir.IntType(1)(0), start)
    found.add_incoming(one, known)
    return found


def _matrices_of_blas(context: Any, builder: Any, x: Array, y: Array, out: Array, added: bool) -> None:
    """BLAS sees Fortran's order, in which rows are columns: it computes the transposed product, from right to left."""
    (rows, length), (_, columns) = x.sizes(), y.sizes()
    given = []
    for a in (y, x):
        turned, inner = (b"n", a.sizes()[1]) if a.type.layout == "C" else (b"t", a.sizes()[0])
        given.append((_letter(turned), builder.bitcast(a.fields.data, POINTER), inner))
    (left, left_data, left_step), (right, right_data, right_step) = given
    one, start = (_number(context, builder, x.type.dtype, v) for v in (1.0, float(added)))
    _call(
        context,
        builder,
        "numba_xxgemm",
        _letter(KINDS[x.type.dtype].encode()),
        left,
        right,
        columns,
        rows,
        length,
        one,
        left_data,
        left_step,
        right_data,
        right_step,
        start,
        builder.bitcast(out.fields.data, POINTER),
        columns,
    )


def _matrix_and_vector(
    context: Any, builder: Any, matrix: Array, vector: Array, out: Array, turned: bool, added: bool
) -> None:
    """The matrix as BLAS sees it, in Fortran's order, or `turned`, times a vector."""
    rows, columns = matrix.sizes() if matrix.type.layout == "F" else matrix.sizes()[::-1]
    one, start = (_number(context, builder, matrix.type.dtype, v) for v in (1.0, float(added)))
    _call(
        context,
        builder,
        "numba_xxgemv",
        _letter(KINDS[matrix.type.dtype].encode()),
        _letter(b"t" if turned else b"n"),
        rows,
        columns,
        one,
        builder.bitcast(matrix.fields.data, POINTER),
        rows,
        builder.bitcast(vector.fields.data, POINTER),
        start,
        builder.bitcast(out.fields.data, POINTER),
    )


def _letter(letter: bytes) -> Any:
    return BYTE(letter[0])


def _number(context: Any, builder: Any, dtype: Any, value: float) -> Any:
    place = cgutils.alloca_once_value(builder, context.get_constant(dtype, value))
    return builder.bitcast(place, POINTER)


def _call(context: Any, builder: Any, name: str, *given: Any) -> None:
    """The process ends where there is no BLAS: better than a product that was not computed."""
    kind = ir.FunctionType(STATUS, [g.type for g in given])
    status = builder.call(cgutils.get_or_insert_function(builder.module, kind, name), given)
    check_blas_return(context, builder, status)
