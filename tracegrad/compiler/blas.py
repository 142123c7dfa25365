"""Products of matrices and vectors, in machine code.

Arrays go in, a call goes out: of the functions that Numba looks up in SciPy's BLAS when they are first called. Nothing
is copied: a matrix in Fortran's order is a transposed one. A product for which BLAS takes one thread is not given to
it: one of two matrices is computed in tiles, one of a matrix and a vector some rows at a time. A product of a matrix
and itself, transposed, is computed by half, as NumPy does it. Begin with `product`.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.np.linalg import check_blas_return, ensure_blas

from tracegrad.compiler import blas_names, blas_threads, row_products, tiles
from tracegrad.compiler.arrays import BYTE, WORD, Array
from tracegrad.compiler.c_functions import call

POINTER = BYTE.as_pointer()
STATUS = ir.IntType(32)
MEMORY = 1 << 22  # elements of a matrix that comes from memory each time
WORK = 1 << 20  # multiplications; OpenBLAS has kernels of their own for small products
ROOM = 3 << 20  # bytes of all three matrices, most of which then stay in the second cache
SIDE, LENGTH = 128, 64  # of a product of a matrix and itself, of which half takes less time than all of it
MIRRORED = 32  # rows and columns that are copied together to the other side of the diagonal
KINDS = {types.float32: "s", types.float64: "d"}
SIZES = {types.float32: 4, types.float64: 8}


@dataclass(frozen=True)
class Matrix:
    """A matrix in memory, the elements of a row side by side, or if it is `turned` those of a column.

    `step` is how many elements further on the next row, or column, begins.
    """

    dtype: Any
    data: Any
    rows: Any
    columns: Any
    step: Any
    turned: bool = False

    @property
    def transposed(self) -> Matrix:
        """The same memory, its rows taken for columns."""
        return replace(self, rows=self.columns, columns=self.rows, turned=not self.turned)


def matrix_of(x: Array) -> Matrix:
    """A contiguous array of two axes."""
    (rows, columns), turned = x.sizes(), x.type.layout != "C"
    return Matrix(x.type.dtype, x.data, rows, columns, rows if turned else columns, turned)


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
            cgutils.memset(builder, out.data, out.bytes(), 0)
    with builder.if_then(builder.icmp_signed(">", length, WORD(0))):
        if x.type.ndim == y.type.ndim == 2:
            if added or not _may_be_one(x, y):
                matrices(context, builder, matrix_of(x), matrix_of(y), matrix_of(out), added)
                return
            function = subroutine(builder, KINDS[x.type.dtype] + "syrk")
            with builder.if_else(_are_one(builder, x, y, function)) as (by_half, in_full):
                with by_half:
                    _half(context, builder, x, out, function)
                with in_full:
                    matrices(context, builder, matrix_of(x), matrix_of(y), matrix_of(out), added)
        elif x.type.ndim == 2:
            matrix_and_vector(context, builder, matrix_of(x), y, out, added)
        else:
            matrix_and_vector(context, builder, matrix_of(y).transposed, x, out, added)


def matrices(context: Any, builder: Any, x: Matrix, y: Matrix, out: Matrix, added: bool) -> None:
    """In tiles where they are quicker than BLAS with one thread; else by BLAS. No side is empty."""
    ensure_blas()
    width = tiles.register_bytes()
    if not width:
        matrices_by_blas(context, builder, x, y, out, added)
        return
    rows, length, columns = x.rows, x.columns, y.columns
    work = builder.mul(builder.mul(rows, columns), length)
    elements = builder.add(builder.mul(rows, columns), builder.mul(length, builder.add(rows, columns)))
    conditions = (
        (work, ">=", WORK),
        (elements, "<=", ROOM // SIZES[x.dtype]),
        (rows, ">=", tiles.HEIGHTS[width][0]),
        (columns, ">=", tiles.REGISTERS * width // 4),
    )
    fits = _has_one_thread(builder)
    for value, symbol, limit in conditions:
        fits = builder.and_(fits, builder.icmp_signed(symbol, value, WORD(limit)))
    with builder.if_else(fits) as (in_tiles, by_blas):
        with in_tiles:
            left, right = ((a.data, a.step, a.turned) for a in (x, y))
            tiles.product(builder, left, right, (out.data, out.step), (rows, length, columns), added)
        with by_blas:
            matrices_by_blas(context, builder, x, y, out, added)


def _may_be_one(x: Array, y: Array) -> bool:
    """Whether two arrays may be a matrix and itself, transposed, and are not known to be small."""
    if x.type.layout == y.type.layout:
        return False
    if x.known is None or y.known is None:
        return True
    rows, length = x.known
    return y.known == (length, rows) and rows >= SIDE and length >= LENGTH


def _are_one(builder: Any, x: Array, y: Array, function: Any) -> Any:
    """Whether they are: the same elements, and as many each way."""
    (rows, length), (_, columns) = x.sizes(), y.sizes()
    found = builder.icmp_unsigned("==", x.data, y.data)
    found = builder.and_(found, cgutils.is_not_null(builder, function))
    for value, symbol, limit in (
        (rows, "==", columns),
        (rows, ">=", WORD(SIDE)),
        (length, ">=", WORD(LENGTH)),
    ):
        found = builder.and_(found, builder.icmp_signed(symbol, value, limit))
    return found


def _half(context: Any, builder: Any, x: Array, out: Array, function: Any) -> None:
    """`x @ x.T`: on and above the diagonal by BLAS, which sees it below, and then copied to the other side."""
    rows, length = x.sizes()
    is_turned = x.type.layout == "C"

    def number(value: Any) -> Any:
        return cgutils.alloca_once_value(builder, builder.trunc(value, STATUS))

    one, zero = (
        cgutils.alloca_once_value(builder, context.get_constant(x.type.dtype, v)) for v in (1.0, 0.0)
    )
    letters = (cgutils.alloca_once_value(builder, _letter(c)) for c in (b"L", b"T" if is_turned else b"N"))
    side, steps = number(rows), number(length if is_turned else rows)
    data = out.data
    given = [*letters, side, number(length), one, x.data, steps, zero, data, side]
    kind = ir.FunctionType(ir.VoidType(), [g.type for g in given])
    builder.call(builder.bitcast(function, kind.as_pointer()), given)
    builder.call(_mirror(builder.module, data.type), [rows, data])


def _mirror(module: Any, pointer: Any) -> Any:
    """A function (side, matrix): what stands above the diagonal is copied to below it, a square at a time."""
    name = f"tracegrad_mirror_{pointer.pointee}"
    if name in module.globals:
        return module.globals[name]
    made = ir.Function(module, ir.FunctionType(ir.VoidType(), [WORD, pointer]), name)
    made.linkage = "linkonce_odr"
    builder = ir.IRBuilder(made.append_basic_block("start"))
    side, matrix = made.args
    step = WORD(MIRRORED)

    def end(start: Any) -> Any:
        last = builder.add(start, step)
        return builder.select(builder.icmp_signed("<", last, side), last, side)

    def place(row: Any, column: Any) -> Any:
        return builder.gep(matrix, [builder.add(builder.mul(row, side), column)])

    with ExitStack() as loops:

        def each(start: Any, stop: Any, step: Any) -> Any:
            return loops.enter_context(cgutils.for_range_slice(builder, start, stop, step))[0]

        top = each(WORD(0), side, step)
        left = each(WORD(0), builder.add(top, WORD(1)), step)
        row, last = each(top, end(top), WORD(1)), end(left)
        until = builder.select(builder.icmp_signed("<", last, row), last, row)
        column = each(left, until, WORD(1))
        builder.store(builder.load(place(column, row)), place(row, column))
    builder.ret_void()
    return made


def subroutine(builder: Any, name: str) -> Any:
    """The address of a function of BLAS or LAPACK that Numba has no name for; null where there is none."""
    blas_names.know()
    symbol = f"tracegrad_{name}"
    place = builder.module.globals.get(symbol)
    if place is None:
        place = cgutils.add_global_variable(builder.module, POINTER, symbol)
        place.linkage, place.initializer = "internal", ir.Constant(POINTER, None)
    with builder.if_then(cgutils.is_null(builder, builder.load(place)), likely=False):
        text = cgutils.global_constant(
            builder, f"{symbol}_name", cgutils.make_bytearray(name.encode() + b"\0")
        )
        builder.store(call(builder, blas_names.FINDER, POINTER, builder.bitcast(text, POINTER)), place)
    return builder.load(place)


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


def matrices_by_blas(context: Any, builder: Any, x: Matrix, y: Matrix, out: Matrix, added: bool) -> None:
    """BLAS sees Fortran's order, in which rows are columns: it computes the transposed product, from right to left."""
    given = [(_letter(b"t" if a.turned else b"n"), builder.bitcast(a.data, POINTER), a.step) for a in (y, x)]
    (left, left_data, left_step), (right, right_data, right_step) = given
    one, start = (_number(context, builder, x.dtype, v) for v in (1.0, float(added)))
    _call(
        context,
        builder,
        "numba_xxgemm",
        _letter(KINDS[x.dtype].encode()),
        left,
        right,
        y.columns,
        x.rows,
        x.columns,
        one,
        left_data,
        left_step,
        right_data,
        right_step,
        start,
        builder.bitcast(out.data, POINTER),
        out.step,
    )


def matrix_and_vector(
    context: Any, builder: Any, matrix: Matrix, vector: Array, out: Array, added: bool
) -> None:
    """Some rows in memory at a time, which is quicker than BLAS with one thread; with several it has the largest
    matrices. No side is empty."""
    ensure_blas()
    if not tiles.register_bytes():
        _matrix_and_vector_by_blas(context, builder, matrix, vector, out, added)
        return
    small = builder.icmp_signed("<", builder.mul(matrix.rows, matrix.columns), WORD(MEMORY))
    with builder.if_else(builder.or_(small, _has_one_thread(builder))) as (in_rows, by_blas):
        with in_rows:
            write = row_products.sums if matrix.turned else row_products.products
            rows, length = (matrix.columns, matrix.rows) if matrix.turned else (matrix.rows, matrix.columns)
            write(builder, (matrix.data, matrix.step), (rows, length), vector.data, out.data, added)
        with by_blas:
            _matrix_and_vector_by_blas(context, builder, matrix, vector, out, added)


def _matrix_and_vector_by_blas(
    context: Any, builder: Any, matrix: Matrix, vector: Array, out: Array, added: bool
) -> None:
    """BLAS sees Fortran's order, in which the rows of a matrix that is not turned are columns."""
    seen = matrix if matrix.turned else matrix.transposed
    one, start = (_number(context, builder, matrix.dtype, v) for v in (1.0, float(added)))
    _call(
        context,
        builder,
        "numba_xxgemv",
        _letter(KINDS[matrix.dtype].encode()),
        _letter(b"n" if matrix.turned else b"t"),
        seen.rows,
        seen.columns,
        one,
        builder.bitcast(matrix.data, POINTER),
        matrix.step,
        builder.bitcast(vector.data, POINTER),
        start,
        builder.bitcast(out.data, POINTER),
    )


def _letter(letter: bytes) -> Any:
    return BYTE(letter[0])


def _number(context: Any, builder: Any, dtype: Any, value: float) -> Any:
    place = cgutils.alloca_once_value(builder, context.get_constant(dtype, value))
    return builder.bitcast(place, POINTER)


def _call(context: Any, builder: Any, name: str, *given: Any) -> None:
    """The process ends where there is no BLAS: better than a product that was not computed."""
    check_blas_return(context, builder, call(builder, name, STATUS, *given))
