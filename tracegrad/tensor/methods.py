"""The methods of `Tensor` that are functions of the same name, and those that write in place (`add_`, `zero_`).

Begin with `Methods`; what the functions do is in `functions.py` and `arrangement.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from tracegrad.errors import ShapeError, UnsupportedError
from tracegrad.ops import arithmetic as a
from tracegrad.ops.functions import METHODS
from tracegrad.record.frames import user_location
from tracegrad.tensor import arrangement as g
from tracegrad.tensor import functions as f
from tracegrad.tensor import picking as p
from tracegrad.tensor import products as q
from tracegrad.tensor.generators import Generator, source

_NUMPYS = frozenset(
    ("axis", "keepdims", "where", "initial", "out", "ddof", "order", "axis1", "axis2", "copy")
)


def either(torchs: Callable[..., Any] | None, numpys: Callable[..., Any]) -> Callable[..., Any]:
    """A method that both libraries have: it is NumPy's where a keyword of NumPy's says so, else PyTorch's."""
    if torchs is None:
        return numpys

    @functools.wraps(torchs)
    def method(self: Any, *args: Any, **keywords: Any) -> Any:
        if keywords and not _NUMPYS.isdisjoint(keywords):
            return numpys(self, *args, **keywords)
        return torchs(self, *args, **keywords)

    return method


class Methods:
    """PyTorch's methods, for a value with a recorder."""

    __slots__ = ()
    recorder: Any
    shape: Any
    value: Any

    exp, exp2, expm1, log, log2, log10, log1p = f.exp, f.exp2, f.expm1, f.log, f.log2, f.log10, f.log1p
    sin, cos, tan, asin, acos, atan = f.sin, f.cos, f.tan, f.asin, f.acos, f.atan
    sinh, cosh, tanh, asinh, acosh, atanh = f.sinh, f.cosh, f.tanh, f.asinh, f.acosh, f.atanh
    arcsin, arccos, arctan, arctan2 = f.asin, f.acos, f.atan, f.atan2
    sqrt, rsqrt, square, reciprocal, neg, negative = f.sqrt, f.rsqrt, f.square, f.reciprocal, f.neg, f.neg
    abs, absolute, sign, floor, ceil, trunc, round = f.abs, f.abs, f.sign, f.floor, f.ceil, f.trunc, f.round
    sigmoid, relu, erf, erfc, lgamma, digamma = f.sigmoid, f.relu, f.erf, f.erfc, f.lgamma, f.digamma
    isnan, isfinite, isinf = f.isnan, f.isfinite, f.isinf
    conj, angle = f.conj, f.angle
    add, sub, mul, div, pow = f.add, f.sub, f.mul, f.div, f.pow
    subtract, multiply, divide, true_divide, floor_divide = f.sub, f.mul, f.div, f.div, f.floor_divide
    remainder, fmod, atan2, hypot = f.remainder, f.fmod, f.atan2, f.hypot
    maximum, minimum, logaddexp, lerp = f.maximum, f.minimum, f.logaddexp, f.lerp
    eq, ne, lt, le, gt, ge, equal, allclose = f.eq, f.ne, f.lt, f.le, f.gt, f.ge, f.equal, f.allclose
    logical_not, logical_and, logical_or, logical_xor = (
        f.logical_not,
        f.logical_and,
        f.logical_or,
        f.logical_xor,
    )
    clamp, clip, masked_fill = f.clamp, f.clip, f.masked_fill
    bitwise_not, bitwise_and, bitwise_or, bitwise_xor = (
        f.bitwise_not,
        f.bitwise_and,
        f.bitwise_or,
        f.bitwise_xor,
    )
    fix, frac, sinc, deg2rad, rad2deg, signbit = f.fix, f.frac, f.sinc, f.deg2rad, f.rad2deg, f.signbit
    copysign, heaviside, fmax, fmin, xlogy = f.copysign, f.heaviside, f.fmax, f.fmin, f.xlogy
    logit, erfinv, nan_to_num, addcmul, addcdiv = f.logit, f.erfinv, f.nan_to_num, f.addcmul, f.addcdiv
    greater, greater_equal, less, less_equal, not_equal = f.gt, f.ge, f.lt, f.le, f.ne

    sum, mean, prod, var, std, norm = f.sum, f.mean, f.prod, f.var, f.std, f.norm
    max, min, amax, amin, argmax, argmin = f.max, f.min, f.amax, f.amin, f.argmax, f.argmin
    any, all, logsumexp, softmax, log_softmax = f.any, f.all, f.logsumexp, f.softmax, f.log_softmax
    cumsum, cumprod, cummax, cummin = f.cumsum, f.cumprod, p.cummax, p.cummin
    aminmax, nansum, nanmean, quantile, count_nonzero = (
        f.aminmax,
        f.nansum,
        f.nanmean,
        f.quantile,
        f.count_nonzero,
    )

    mv, mm, bmm, matmul, outer, inner = q.mv, q.mm, q.bmm, q.matmul, q.outer, q.inner
    trace, diag, tril, triu, det, inverse = q.trace, q.diag, q.tril, q.triu, q.det, q.inverse
    addmm, addmv, baddbmm, cross, kron, vdot = q.addmm, q.addmv, q.baddbmm, q.cross, f.kron, q.vdot
    matrix_power, matrix_exp, slogdet, logdet = q.matrix_power, q.matrix_exp, q.slogdet, q.logdet

    reshape, flatten = g.reshape, g.flatten
    squeeze, unsqueeze, expand, broadcast_to = g.squeeze, g.unsqueeze, g.expand, g.broadcast_to
    swapaxes, t, permute, movedim = g.swapaxes, g.t, g.permute, g.movedim
    repeat, tile, flip, roll = g.repeat, g.tile, g.flip, g.roll
    split, chunk, unbind = g.split, g.chunk, g.unbind
    gather, index_select, argsort, sort = g.gather, g.index_select, g.argsort, g.sort
    moveaxis, swapdims = g.movedim, g.swapaxes
    select, narrow, take, take_along_dim = p.select, p.narrow, p.take, p.take_along_dim
    masked_select, nonzero, diagonal, unfold = p.masked_select, p.nonzero, p.diagonal, p.unfold
    unflatten, repeat_interleave, tensor_split = p.unflatten, p.repeat_interleave, p.tensor_split
    topk, kthvalue, median = p.topk, p.kthvalue, p.median
    scatter, scatter_add, index_put = p.scatter, p.scatter_add, p.index_put
    index_add, index_copy, index_fill = p.index_add, p.index_copy, p.index_fill
    scatter_, scatter_add_, index_put_ = p.scatter_, p.scatter_add_, p.index_put_
    index_add_, index_copy_, index_fill_ = p.index_add_, p.index_copy_, p.index_fill_
    fill_diagonal_ = p.fill_diagonal_

    def transpose(self, *dims: Any) -> Any:
        """Two dimensions exchanged; where not two are given, all in another order, as NumPy has it."""
        return g.transpose(self, *dims) if len(dims) == 2 else METHODS["transpose"](self, *dims)

    def view(self, *shape: Any) -> Any:
        """The same memory in another shape; without one, as it is.

        Raises
        ------
        ShapeError : the elements do not lie in memory in that order
        """
        if shape and isinstance(shape[0], np.dtype | type):
            raise UnsupportedError(
                "`view` would give the memory of a tensor another dtype.", user_location(), "use x.to(dtype)"
            )
        found = g.reshape(self, *shape or self.shape)
        if not np.may_share_memory(found.value, self.value) and found.value.size:
            raise ShapeError(
                "view size is not compatible with input tensor's size and stride (at least one dimension spans across "
                "two contiguous subspaces).",
                user_location(),
                "use .reshape(...) instead",
            )
        return found

    def dot(self, other: Any) -> Any:
        """The inner product; of more than vectors, as NumPy has it."""
        return METHODS["dot"](self, other)

    def where(self, condition: Any, other: Any) -> Any:
        """`self` where `condition` holds, else `other`."""
        return f.where(condition, self, other)

    def reshape_as(self, other: Any) -> Any:
        """In the shape of `other`."""
        return g.reshape(self, *other.shape)

    def view_as(self, other: Any) -> Any:
        """The same memory in the shape of `other`."""
        return self.view(*other.shape)

    def expand_as(self, other: Any) -> Any:
        """Repeated to the shape of `other`."""
        return g.expand(self, *other.shape)

    # --- in place -------------------------------------------------------------------------------------------

    def _write(self, value: Any) -> Self:
        self.recorder.assign(self, Ellipsis, value)
        return self

    def add_(self, other: Any, *, alpha: Any = 1) -> Self:
        """`self += alpha * other`."""
        return self.recorder.update(self, a.add, other if alpha == 1 else alpha * other)

    def sub_(self, other: Any, *, alpha: Any = 1) -> Self:
        """`self -= alpha * other`."""
        return self.recorder.update(self, a.subtract, other if alpha == 1 else alpha * other)

    def mul_(self, other: Any) -> Self:
        """`self *= other`."""
        return self.recorder.update(self, a.multiply, other)

    def div_(self, other: Any) -> Self:
        """`self /= other`."""
        return self.recorder.update(self, a.divide, other)

    def pow_(self, exponent: Any) -> Self:
        """`self **= exponent`."""
        return self.recorder.update(self, a.power, exponent)

    def zero_(self) -> Self:
        """Every element 0."""
        return self._write(0)

    def fill_(self, value: Any) -> Self:
        """Every element `value`."""
        return self._write(value)

    def copy_(self, src: Any) -> Self:
        """The elements of `src`, broadcast and cast."""
        return self._write(src)

    def normal_(self, mean: Any = 0.0, std: Any = 1.0, *, generator: Generator | None = None) -> Self:
        """Random numbers of a normal distribution."""
        return self._write(source(generator).normal(mean, std, self.shape))

    def uniform_(self, low: Any = 0.0, high: Any = 1.0, *, generator: Generator | None = None) -> Self:
        """Random numbers between two ends."""
        return self._write(source(generator).uniform(low, high, self.shape))

    subtract_, multiply_, divide_, true_divide_ = sub_, mul_, div_, div_


def _in_place(function: Callable[..., Any]) -> Callable[..., Any]:
    """The method that writes what a function gives into its argument."""

    def method(self: Any, *args: Any, **keywords: Any) -> Any:
        return self._write(function(METHODS["copy"](self), *args, **keywords))  # whose memory stays as it is

    method.__doc__ = f"Each element replaced. {function.__doc__}"
    return method


_ALSO_IN_PLACE = (
    "abs absolute neg negative exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh"
    " acosh atanh sqrt rsqrt square reciprocal sigmoid relu erf erfc sign floor ceil trunc round frac clamp clip lerp"
    " masked_fill floor_divide remainder fmod hypot atan2 addcmul addcdiv tril triu cumsum cumprod nan_to_num logit"
)
for _name in _ALSO_IN_PLACE.split():
    setattr(Methods, f"{_name}_", _in_place(getattr(Methods, _name)))
