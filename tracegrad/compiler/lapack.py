"""The functions of `kernels/lapack.py` as calls of LAPACK in machine code, for Numba.

Nothing goes in; after `register`, code that Numba compiles may call them as the Python functions they are.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature
from numba.extending import lower_builtin, type_callable
from numba.np.arrayobj import make_array
from numba.np.linalg import ensure_lapack

from tracegrad.compiler.arrays import WORD
from tracegrad.compiler.blas import BYTE, KINDS, POINTER, STATUS
from tracegrad.kernels.lapack import factored_in_place, rooted_in_place, solved_in_place


@functools.cache
def register() -> None:
    """Teach Numba the functions."""
    type_callable(solved_in_place)(lambda context: lambda matrix, pivots, rows: _typed(matrix, pivots, rows))
    type_callable(factored_in_place)(lambda context: lambda matrix, pivots: _typed(matrix, pivots))
    type_callable(rooted_in_place)(lambda context: lambda matrix: _typed(matrix))
    lower_builtin(solved_in_place, types.Array, types.Array, types.Array)(_solved)
    lower_builtin(factored_in_place, types.Array, types.Array)(_factored)
    lower_builtin(rooted_in_place, types.Array)(_rooted)


def _typed(matrix: Any, *others: Any) -> Any:
    fits = all(isinstance(t, types.Array) and t.layout == "C" for t in (matrix, *others))
    return signature(types.int64, matrix, *others) if fits and matrix.dtype in KINDS else None


def _solved(context: Any, builder: Any, sig: Any, args: Sequence[Any]) -> Any:
    kind, matrix, pivots, rows = _given(context, builder, sig, args)
    n, count = _length(builder, matrix), _length(builder, rows) if sig.args[2].ndim == 2 else WORD(1)
    parts = (_data(builder, a) for a in (matrix, pivots, rows))
    a, p, b = parts
    return _call(builder, "numba_xgesv", kind, n, count, a, n, p, b, n)


def _factored(context: Any, builder: Any, sig: Any, args: Sequence[Any]) -> Any:
    kind, matrix, pivots = _given(context, builder, sig, args)
    n = _length(builder, matrix)
    return _call(builder, "numba_xxgetrf", kind, n, n, _data(builder, matrix), n, _data(builder, pivots))


def _rooted(context: Any, builder: Any, sig: Any, args: Sequence[Any]) -> Any:
    """The lower triangle is the upper one in Fortran's order."""
    kind, matrix = _given(context, builder, sig, args)
    n = _length(builder, matrix)
    return _call(builder, "numba_xxpotrf", kind, BYTE(b"U"[0]), n, _data(builder, matrix), n)


def _given(context: Any, builder: Any, sig: Any, args: Sequence[Any]) -> list[Any]:
    """The letter of the dtype, and the arrays."""
    ensure_lapack()
    arrays = [make_array(t)(context, builder, a) for t, a in zip(sig.args, args, strict=True)]
    return [BYTE(KINDS[sig.args[0].dtype].encode()[0]), *arrays]


def _length(builder: Any, array: Any) -> Any:
    return builder.extract_value(array.shape, 0)


def _data(builder: Any, array: Any) -> Any:
    return builder.bitcast(array.data, POINTER)


def _call(builder: Any, name: str, *given: Any) -> Any:
    kind = ir.FunctionType(STATUS, [g.type for g in given])
    found = builder.call(cgutils.get_or_insert_function(builder.module, kind, name), given)
    return builder.sext(found, WORD)
