"""Elementwise functions under NumPy's signatures: every ufunc that is an op, and `where`, `clip`, `round` and
their kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.ir.types import ufunc_dtype
from tracegrad.ops import bessel, families
from tracegrad.ops import compare as c
from tracegrad.ops.arithmetic import copysign, floor_divide, ldexp, remainder, stop_gradient
from tracegrad.ops.elementary import arctan2, sinc
from tracegrad.ops.index import zeros_like
from tracegrad.ops.numpy_forms import (
    FUNCTIONS,
    answers,
    as_dtype,
    deliver,
    is_traced,
    known,
    lying,
    operand,
    plain,
    refuse_keywords,
    refusing_as,
    value,
)
from tracegrad.ops.numpy_reduce import all
from tracegrad.ops.op import REGISTRY, Op
from tracegrad.ops.shape import copy


def under_ufunc(op: Op, name: str) -> Callable[..., Any]:
    """The op as NumPy calls the ufunc: lists are arrays, `dtype=` casts, `out=` and `where=` say where it is written;
    other keywords are refused.
    """
    return _as_ufunc(op, op.evaluate, name)


def _as_ufunc(ours: Callable[..., Any], theirs: Callable[..., Any], name: str) -> Callable[..., Any]:
    nin = getattr(theirs, "nin", None)

    def function(*args: Any, **keywords: Any) -> Any:
        if nin is not None and len(args) > nin:
            args, keywords = args[:nin], {"out": args[nin:], **keywords}
        args = tuple(a if is_traced(a) else value(a) for a in args)
        if not keywords:
            return ours(*args)
        if "out" in keywords or "where" in keywords:
            return _written_where(function, theirs, args, **keywords)
        dtype = keywords.pop("dtype", None)
        refuse_keywords(name, keywords)
        if dtype is None:
            return ours(*args)
        return as_dtype(ours(*(as_dtype(operand(a), dtype) for a in args)), dtype)

    function.__name__ = name.rpartition(".")[2]
    return refusing_as(theirs, function)


def _written_where(
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
    args: tuple[Any, ...],
    out: Any = None,
    where: Any = True,
    **keywords: Any,
) -> Any:
    """A ufunc with `out=` and `where=`: what is not wanted stays, and is 0 where there is nothing to stay."""
    if where is True:
        return deliver(ours(*args, **keywords), out, lambda o: theirs(*plain(args), **plain(keywords), out=o))
    (out,) = out if isinstance(out, tuple) else (out,)
    # What is not wanted is computed of numbers at which every derivative is finite.
    args = tuple(c.where(where, a, 0.5) if operand(a).dtype.kind == "f" else a for a in args)
    result = ours(*args, **keywords)
    return deliver(c.where(where, result, operand(result).dtype.type(0) if out is None else out), out)


for _op in list(REGISTRY.values()):
    if isinstance(_op.evaluate, np.ufunc) and _op.name == _op.evaluate.__name__:
        FUNCTIONS[_op.evaluate] = under_ufunc(_op, f"np.{_op.evaluate.__name__}")


@answers(np.where)
def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if x is None and y is None:
        return FUNCTIONS[np.nonzero](condition)
    if x is None or y is None:
        raise ValueError("either both or neither of x and y should be given")
    return c.where(value(condition), value(x), value(y))


@answers(np.clip)
def clip(
    a: Any,
    a_min: Any = None,
    a_max: Any = None,
    *,
    min: Any = None,
    max: Any = None,
    casting: str = "same_kind",
) -> Any:
    if casting not in ("same_kind", "no"):
        refuse_keywords("np.clip", {"casting": casting})
    low = min if a_min is None else a_min
    high = max if a_max is None else a_max
    a = operand(a)
    if low is None and high is None:
        return copy(a)
    if low is None:
        return c.minimum(a, value(high))
    return c.maximum(a, value(low)) if high is None else c.clip(a, value(low), value(high))


@answers(np.round, np.around)
def round(a: Any, decimals: int = 0) -> Any:
    a = operand(a)
    return c.rint(a) if not decimals and a.dtype.kind == "f" else c.round_(a, decimals=int(decimals))


@answers(np.fix)
def fix(x: Any) -> Any:
    return c.trunc(operand(x))


@answers(np.sinc)
def sinc_(x: Any) -> Any:
    return sinc(operand(x))


@answers(np.nan_to_num)
def nan_to_num(
    x: Any, copy: bool = True, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Any:
    found = _finite(operand(x), nan, posinf, neginf)
    return found if copy or not is_traced(x) or not x.ndim else deliver(found, x)


def _finite(x: Any, nan: float, posinf: float | None, neginf: float | None) -> Any:
    if x.dtype.kind == "c":
        return _finite(real(x), nan, posinf, neginf) + _finite(imag(x), nan, posinf, neginf) * 1j
    if x.dtype.kind != "f":
        return copy(x)
    limits = np.finfo(x.dtype)
    x = c.where(c.isnan(x), nan, x)
    x = c.where(c.equal(x, np.inf), float(limits.max) if posinf is None else posinf, x)
    return c.where(c.equal(x, -np.inf), float(limits.min) if neginf is None else neginf, x)


@answers(np.divmod)
def divmod(x1: Any, x2: Any) -> tuple[Any, Any]:
    return floor_divide(value(x1), value(x2)), remainder(value(x1), value(x2))


@answers(np.modf)
def modf(x: Any) -> tuple[Any, Any]:
    x = operand(x)
    x = families.cast(x, ufunc_dtype(np.modf, x.dtype))
    whole = c.trunc(x)
    return c.where(c.isinf(x), 0.0, x - whole), whole


@answers(np.frexp)
def frexp(x: Any) -> tuple[Any, Any]:
    x = operand(x)
    exponent = c.exponent(x)
    return ldexp(x, -exponent), exponent


@answers(np.isclose)
def isclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    a, b = operand(a), operand(b)
    if b.dtype.kind == "b":  # which has no difference
        b = families.cast(b, np.dtype(np.float64))
    near = c.less_equal(c.absolute(a - b), atol + rtol * c.absolute(b))
    found = c.logical_or(c.logical_and(near, c.isfinite(b)), c.equal(a, b))
    return c.logical_or(found, c.logical_and(c.isnan(a), c.isnan(b))) if equal_nan else found


@answers(np.allclose)
def allclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    return all(isclose(a, b, rtol, atol, equal_nan))


@answers(np.array_equal)
def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Any:
    a1, a2 = operand(a1), operand(a2)
    if a1.shape != a2.shape:
        return False
    same = c.equal(a1, a2)
    if equal_nan and a1.dtype.kind == a2.dtype.kind == "f":
        same = c.logical_or(same, c.logical_and(c.isnan(a1), c.isnan(a2)))
    return all(same)


@answers(np.array_equiv)
def array_equiv(a1: Any, a2: Any) -> Any:
    a1, a2 = operand(a1), operand(a2)
    try:
        np.broadcast_shapes(a1.shape, a2.shape)
    except ValueError:
        return False
    return all(c.equal(a1, a2))


@answers(np.isposinf)
def isposinf(x: Any) -> Any:
    return c.equal(operand(x), np.inf)


@answers(np.isneginf)
def isneginf(x: Any) -> Any:
    return c.equal(operand(x), -np.inf)


@answers(np.real)
def real(val: Any) -> Any:
    val = operand(val)
    return families.real(val) if val.dtype.kind == "c" else val


@answers(np.imag)
def imag(val: Any) -> Any:
    val = operand(val)
    if val.dtype.kind == "c":
        return families.imag(val)
    found = zeros_like(val)
    if isinstance(getattr(found, "value", found), np.ndarray):
        getattr(found, "value", found).flags.writeable = False
    return found


def conj(x: Any) -> Any:
    x = operand(x)
    return (
        families.conjugate(x)
        if x.dtype.kind == "c"
        else families.cast(lying(copy(x), "K", x), ufunc_dtype(np.conjugate, x.dtype))
    )


FUNCTIONS[np.conjugate] = _as_ufunc(conj, np.conjugate, "np.conjugate")


@answers(np.real_if_close)
def real_if_close(a: Any, tol: float = 100) -> Any:
    a = operand(a)
    if a.dtype.kind != "c":
        return a
    limit = tol if tol <= 1 else tol * float(np.finfo(a.dtype).eps)
    return families.real(a) if known(all(c.less(c.absolute(families.imag(a)), limit))) else a


@answers(np.angle)
def angle(z: Any, deg: bool = False) -> Any:
    z = operand(z)
    found = _angle(z) if z.dtype.kind == "c" else arctan2(0.0, stop_gradient(z) if z.dtype.kind == "f" else z)
    return found * (180 / np.pi) if deg else found


def _angle(z: Any) -> Any:
    """The angle of a complex number, with derivative 0 at 0, where its value is what the signs of the zeros say."""
    zero, across, up = c.equal(z, 0), families.real(z), families.imag(z)
    across = c.where(zero, copysign(1.0, across), across)
    return arctan2(c.where(zero, copysign(0.0, up), up), across)


def sign(x: Any) -> Any:
    """Of a complex number x / |x|, which turns with it."""
    x = value(x)
    return c.unit(x) if getattr(x, "dtype", np.dtype(float)).kind == "c" else c.sign(x)


FUNCTIONS[np.sign] = _as_ufunc(sign, np.sign, "np.sign")


@answers(np.iscomplex)
def iscomplex(x: Any) -> Any:
    return c.not_equal(imag(x), 0)


@answers(np.isreal)
def isreal(x: Any) -> Any:
    return c.equal(imag(x), 0)


@answers(np.i0)
def i0(x: Any) -> Any:
    return bessel.i0(operand(x))
