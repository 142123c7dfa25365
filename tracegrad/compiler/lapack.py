"""The functions of `kernels/lapack.py` as calls of LAPACK in machine code, for Numba.

Nothing goes in; after `register`, code that Numba compiles may call them as the Python functions they are. Each is one
C function of Numba's, which looks LAPACK up in SciPy when it is first called. Begin with `_CALLS`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin
from numba.np.linalg import ensure_blas, ensure_lapack

from tracegrad.compiler.arrays import BYTE, WORD, Array
from tracegrad.compiler.blas import (
    KINDS,
    POINTER,
    STATUS,
    Matrix,
    matrices_by_blas,
    matrix_of,
    subroutine,
)
from tracegrad.compiler.c_functions import call
from tracegrad.kernels import lapack as kernels


def _solved(matrix: Array, pivots: Array, rows: Array) -> list[Any]:
    n, count = matrix.sizes()[0], rows.sizes()[0] if rows.type.ndim == 2 else WORD(1)
    return [n, count, matrix, n, pivots, rows, n]


def _factored(matrix: Array, pivots: Array) -> list[Any]:
    n = matrix.sizes()[0]
    return [n, n, matrix, n, pivots]


def _inverted(matrix: Array, pivots: Array) -> list[Any]:
    n = matrix.sizes()[0]
    return [n, matrix, n, pivots]


def _rooted(matrix: Array) -> list[Any]:
    """The lower triangle is the upper one in Fortran's order."""
    n = matrix.sizes()[0]
    return ["U", n, matrix, n]


def _diagonalised(triangle: str) -> Callable[..., list[Any]]:
    def arguments(matrix: Array, values: Array) -> list[Any]:
        n = matrix.sizes()[0]
        return ["V", triangle, n, matrix, n, values]

    return arguments


def _taken_apart(matrix: Array, left: Array, values: Array, right: Array) -> list[Any]:
    n, m = matrix.sizes()
    return ["S", m, n, matrix, m, values, left, m, right, right.sizes()[1]]


def _reflected(matrix: Array, sizes: Array) -> list[Any]:
    n, m = matrix.sizes()
    return [m, n, matrix, m, sizes]


def _multiplied(matrix: Array, sizes: Array) -> list[Any]:
    n, m = matrix.sizes()
    return [m, n, n, matrix, m, sizes]


_CALLS: dict[Callable[..., Any], tuple[str, Callable[..., list[Any]]]] = {
    kernels.solved_in_place: ("numba_xgesv", _solved),
    kernels.factored_in_place: ("numba_xxgetrf", _factored),
    kernels.inverted_in_place: ("numba_ez_xxgetri", _inverted),
    kernels.rooted_in_place: ("numba_xxpotrf", _rooted),
    kernels.diagonalised_in_place: ("numba_ez_xxxevd", _diagonalised("L")),
    kernels.diagonalised_from_above: ("numba_ez_xxxevd", _diagonalised("U")),
    kernels.taken_apart_in_place: ("numba_ez_gesdd", _taken_apart),
    kernels.reflected_in_place: ("numba_ez_geqrf", _reflected),
    kernels.multiplied_in_place: ("numba_ez_xxgqr", _multiplied),
}
"""The C function for each, and what it is given after the letter of the dtype: letters, numbers, arrays."""


@functools.cache
def register() -> None:
    """Teach Numba the functions."""
    for function, (name, arguments) in _CALLS.items():
        _register(function, _caller(name, arguments))
    _register(kernels.product_in_place, _product)
    _register(kernels.product_added, _added(False), numbers=3)
    _register(kernels.turned_product_added, _added(True), numbers=3)
    _register(kernels.columns_substituted, _columns_substituted, numbers=2)
    _register(kernels.rows_substituted, _rows_substituted)
    _register(kernels.substituted_in_place, _by_factors("N"))
    _register(kernels.substituted_across, _by_factors("T"))


def _caller(name: str, arguments: Callable[..., list[Any]]) -> Callable[..., Any]:
    def written(context: Any, builder: Any, sig: Any, args: Sequence[Any]) -> Any:
        ensure_lapack()
        given = [KINDS[sig.args[0].dtype], *arguments(*_arrays(context, builder, sig, args))]
        return builder.sext(call(builder, name, STATUS, *(_passed(builder, g) for g in given)), WORD)

    return written


def _register(function: Callable[..., Any], written: Callable[..., Any], numbers: int = 0) -> None:
    count = function.__code__.co_argcount - numbers

    class Typed(AbstractTemplate):
        """Of contiguous arrays, then `numbers`."""

        def generic(self, args: Sequence[Any], kws: Any) -> Any:
            fits = all(isinstance(t, types.Array) and t.layout == "C" for t in args[:count])
            return signature(types.int64, *args) if fits and args[0].dtype in KINDS else None

    infer_global(function)(Typed)
    lower_builtin(function, *[types.Array] * count, *[types.int64] * numbers)(written)


def _product(context: Any, builder: Any, sig: Any, args: Sequence[Any]) -> Any:
    ensure_blas()
    x, y, out = map(matrix_of, _arrays(context, builder, sig, args))
    matrices_by_blas(context, builder, x, y, out, False)
    return WORD(0)


def _added(is_turned: bool) -> Callable[..., Any]:
    def written(context: Any, builder: Any, sig: Any, args: Sequence[Any]) -> Any:
        ensure_blas()
        left, x, out = map(matrix_of, _arrays(context, builder, sig, args[:3]))
        row, place, columns = args[3:]
        if is_turned:
            left = replace(left, rows=left.columns, columns=left.rows, turned=True)
        x, out = (_rows_from(builder, a, start, columns) for a, start in ((x, row), (out, place)))
        matrices_by_blas(context, builder, left, x, out, True)
        return WORD(0)

    return written


def _rows_from(builder: Any, x: Matrix, start: Any, columns: Any) -> Matrix:
    """A part of a matrix; how many rows is said by what it meets."""
    return replace(x, data=builder.gep(x.data, [builder.mul(start, x.step)]), columns=columns)


def _columns_substituted(context: Any, builder: Any, sig: Any, args: Sequence[Any]) -> Any:
    """By BLAS, which is asked for the transposed solution: of rows, with the matrix on their right. One column is a
    vector, for which the matrix that BLAS sees is transposed."""
    matrix, columns = _arrays(context, builder, sig, args[:2])
    is_lower, across = (cgutils.is_not_null(builder, number) for number in args[2:])
    triangle = builder.select(is_lower, _letter("U"), _letter("L"))
    way, back = (builder.select(across, *pair) for pair in permutations(map(_letter, "TN")))
    if columns.type.ndim == 1:
        function = subroutine(builder, KINDS[matrix.type.dtype] + "trsv")
        vector_letters = (cgutils.alloca_once_value(builder, x) for x in (triangle, back, _letter("N")))
        numbers = (builder.trunc(matrix.sizes()[0], STATUS), STATUS(1))
        side, step = (cgutils.alloca_once_value(builder, n) for n in numbers)
        given = [*vector_letters, side, matrix.data, side, columns.data, step]
        return _called_if_known(builder, function, given)
    letters = (_letter("R"), triangle, way, _letter("N"))
    return _by_triangle(context, builder, letters, columns.sizes()[::-1], matrix, columns)


def _rows_substituted(context: Any, builder: Any, sig: Any, args: Sequence[Any]) -> Any:
    """By BLAS, to which the rows are columns, with the transposed matrix on their left."""
    matrix, rows = _arrays(context, builder, sig, args)
    return _by_triangle(context, builder, [*map(_letter, "LUNN")], rows.sizes()[::-1], matrix, rows)


def _by_triangle(
    context: Any, builder: Any, letters: Sequence[Any], sizes: Sequence[Any], matrix: Array, found: Array
) -> Any:
    """Where BLAS finds the matrix and how, and how many rows and columns of `found` it sees."""
    dtype = matrix.type.dtype
    function = subroutine(builder, KINDS[dtype] + "trsm")
    numbers = (matrix.sizes()[0], *sizes)
    side, rows, columns = (cgutils.alloca_once_value(builder, builder.trunc(n, STATUS)) for n in numbers)
    given = [cgutils.alloca_once_value(builder, letter) for letter in letters]
    one = cgutils.alloca_once_value(builder, context.get_constant(dtype, 1.0))
    given += [rows, columns, one, matrix.data, side, found.data, rows]
    return _called_if_known(builder, function, given)


def _by_factors(letter: str) -> Callable[..., Any]:
    def written(context: Any, builder: Any, sig: Any, args: Sequence[Any]) -> Any:
        matrix, pivots, rows = _arrays(context, builder, sig, args)
        function = subroutine(builder, KINDS[matrix.type.dtype] + "getrs")
        sizes = matrix.sizes()[0], rows.sizes()[0] if rows.type.ndim == 2 else WORD(1)
        side, count = (cgutils.alloca_once_value(builder, builder.trunc(n, STATUS)) for n in sizes)
        way, info = (cgutils.alloca_once_value(builder, x) for x in (_letter(letter), STATUS(0)))
        return _called_if_known(
            builder, function, [way, side, count, matrix.data, side, pivots.data, rows.data, side, info]
        )

    return written


def _called_if_known(builder: Any, function: Any, given: Sequence[Any]) -> Any:
    """0 where there was such a function, which then was called."""
    kind = ir.FunctionType(ir.VoidType(), [g.type for g in given])
    is_known = cgutils.is_not_null(builder, function)
    with builder.if_then(is_known):
        builder.call(builder.bitcast(function, kind.as_pointer()), given)
    return builder.select(is_known, WORD(0), WORD(1))


def _arrays(context: Any, builder: Any, sig: Any, args: Sequence[Any]) -> list[Array]:
    places = [cgutils.alloca_once_value(builder, a) for a in args]
    return [Array(context, builder, t, place) for t, place in zip(sig.args, places, strict=False)]


def _letter(letter: str) -> Any:
    return BYTE(ord(letter))


def _passed(builder: Any, given: Any) -> Any:
    """A letter, the place of an array's elements, or a number."""
    if isinstance(given, str):
        return _letter(given)
    return builder.bitcast(given.data, POINTER) if isinstance(given, Array) else given
