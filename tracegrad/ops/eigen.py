"""Eigenvalues and eigenvectors of matrices that need not be symmetric.

Results are complex, also for real matrices; `numpy_decompositions.eig` makes real ones of them where NumPy does.
Begin with `eig`.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

import numpy as np

from tracegrad.ir.trace import Instr
from tracegrad.ir.types import ArrayType, promote
from tracegrad.ops.compare import equal, where
from tracegrad.ops.decompositions import COINCIDE, columns, gaps_of, on_diagonal
from tracegrad.ops.families import case, cast, conj, imag, real
from tracegrad.ops.linalg import check_square, float_dtype, regular, solve, transposed
from tracegrad.ops.op import Op, call
from tracegrad.ops.reduce import argmax, sum_
from tracegrad.ops.shape import diagonal


def _eig_type(x: Any) -> tuple[ArrayType, ArrayType]:
    check_square(x)
    dtype = promote(float_dtype(x), np.complex64)
    return ArrayType(x.shape[:-1], dtype), ArrayType(x.shape, dtype)


def _evaluate(x: Any) -> tuple[Any, ...]:
    dtype = _eig_type(x)[0].dtype
    return tuple(part.astype(dtype, copy=False) for part in np.linalg.eig(x))


def _emit(inputs: Sequence[ast.expr], instr: Instr) -> ast.expr:
    found = call("np.linalg.eig", *inputs)
    if instr.inputs[0].dtype.kind == "c":
        return found
    part = ast.Name(id="part", ctx=ast.Load())
    wide = ast.Call(
        func=ast.Attribute(value=part, attr="astype", ctx=ast.Load()),
        args=[
            ast.Attribute(
                value=ast.Name(id="np", ctx=ast.Load()), attr=instr.outputs[0].dtype.name, ctx=ast.Load()
            )
        ],
        keywords=[],
    )
    each = ast.comprehension(target=ast.Name(id="part", ctx=ast.Store()), iter=found, ifs=[], is_async=0)
    return ast.ListComp(elt=wide, generators=[each])


def _largest(v: Any) -> tuple[Any, Any]:
    """Where the largest component of each vector is, which LAPACK makes real; and that component."""
    size = real(v) * real(v) + imag(v) * imag(v)
    place = argmax(size, axis=(v.ndim - 2,), keepdims=True)
    there = equal(np.arange(v.shape[-2])[:, None], place)
    return there, sum_(where(there, real(v), 0.0), axis=(v.ndim - 2,), keepdims=False)


def _down(x: Any) -> Any:
    """The sum of each column."""
    return sum_(x, axis=(x.ndim - 2,), keepdims=False)


def _eig_vjp(g: Any, z: Any, x: Any) -> tuple[Any, ...]:
    """The transpose of the tangents below, one step after the other."""
    w, v = z
    w_bar, v_bar = g
    inner = None if w_bar is None else on_diagonal(w_bar)
    if v_bar is not None:
        there, component = _largest(v)
        scale = _down(v_bar * v)
        of_phase = where(there, columns(imag(scale) / component), 0.0) * -1j
        free_bar = v_bar - conj(v) * columns(real(scale)) + of_phase
        turned = gaps_of(w) * (transposed(v) @ free_bar)
        inner = turned if inner is None else inner + turned
    return (cast(solve(transposed(v), inner) @ transposed(v), x.dtype),)


def _eig_jvp(tangents: Any, z: Any, x: Any) -> tuple[Any, Any]:
    """Magnus, On differentiating eigenvalues and eigenvectors, 1985; each vector keeps length 1 and its largest
    component stays real.
    """
    w, v = z
    inner = solve(v, tangents[0] @ v)
    free = v @ (gaps_of(w) * inner)
    there, component = _largest(v)
    length = real(_down(conj(v) * free))
    phase = _down(where(there, imag(free), 0.0)) / component
    v_dot = free - v * columns(length + phase * 1j)
    return cast(diagonal(inner, k=0), w.dtype), cast(v_dot, v.dtype)


eig: Op = Op(
    "eig",
    _evaluate,
    result_type=_eig_type,
    vjp=_eig_vjp,
    jvp=_eig_jvp,
    edge=COINCIDE,
    emit=_emit,
    callee="np.linalg.eig",
    n_outputs=2,
    native=False,
    sample=(case(regular(3, 3)), case(regular(2, 2, 2))),
)
"""Of different eigenvalues. Vectors have length 1 and a real largest component, as LAPACK leaves them; derivatives of
what depends on that choice are those of LAPACK's.
"""
