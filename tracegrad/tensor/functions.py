"""Functions on tensors under PyTorch's names and argument names: `dim=`, `keepdim=`, `torch.cat`, `torch.clamp`.

Each is NumPy's function from `ops/functions.py`, or ops, under another signature; where the two libraries mean
different things (`std` divides by n - 1, `max(dim)` gives indices too) this is PyTorch's meaning. The first
argument is `input`, so that a function is also the method of the same name (`methods.py`). Begin with `sum`.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.ops import reduce as reductions
from tracegrad.ops.arithmetic import power
from tracegrad.ops.compare import absolute
from tracegrad.ops.compare import where as choose
from tracegrad.ops.functions import FUNCTIONS, SCIPY_FUNCTIONS
from tracegrad.tensor.arrangement import Dims, ValuesAndIndices, gather, labelled, squeeze


def _axis(dim: Dims) -> Any:
    if dim is None or isinstance(dim, builtins.int):
        return dim
    axis = tuple(dim)
    return axis or None


# --- element by element -------------------------------------------------------------------------------------


def _unary(ufunc: Any) -> Callable[[Any], Any]:
    ours = FUNCTIONS[ufunc]

    def function(input: Any) -> Any:
        return ours(input)

    function.__doc__ = f"As `numpy.{ufunc.__name__}`."
    return function


def binary(ufunc: Any) -> Callable[[Any, Any], Any]:
    ours = FUNCTIONS[ufunc]

    def function(input: Any, other: Any) -> Any:
        return ours(input, other)

    function.__doc__ = f"As `numpy.{ufunc.__name__}`."
    return function


exp, exp2, expm1 = _unary(np.exp), _unary(np.exp2), _unary(np.expm1)
log, log2, log10, log1p = _unary(np.log), _unary(np.log2), _unary(np.log10), _unary(np.log1p)
sin, cos, tan = _unary(np.sin), _unary(np.cos), _unary(np.tan)
asin, acos, atan = _unary(np.arcsin), _unary(np.arccos), _unary(np.arctan)
sinh, cosh, tanh = _unary(np.sinh), _unary(np.cosh), _unary(np.tanh)
asinh, acosh, atanh = _unary(np.arcsinh), _unary(np.arccosh), _unary(np.arctanh)
sqrt, square, reciprocal = _unary(np.sqrt), _unary(np.square), _unary(np.reciprocal)
neg, abs, sign = _unary(np.negative), _unary(np.absolute), _unary(np.sign)
floor, ceil, trunc = _unary(np.floor), _unary(np.ceil), _unary(np.trunc)
isnan, isfinite, isinf = _unary(np.isnan), _unary(np.isfinite), _unary(np.isinf)
logical_not, bitwise_not, signbit = _unary(np.logical_not), _unary(np.invert), _unary(np.signbit)
fix, sinc, deg2rad, rad2deg = _unary(np.fix), _unary(np.sinc), _unary(np.deg2rad), _unary(np.rad2deg)
real, imag, conj, angle = _unary(np.real), _unary(np.imag), _unary(np.conjugate), _unary(np.angle)

pow, remainder, fmod = binary(np.power), binary(np.remainder), binary(np.fmod)
atan2, hypot = binary(np.arctan2), binary(np.hypot)
maximum, minimum, logaddexp = binary(np.maximum), binary(np.minimum), binary(np.logaddexp)
eq, ne, lt = binary(np.equal), binary(np.not_equal), binary(np.less)
le, gt, ge = binary(np.less_equal), binary(np.greater), binary(np.greater_equal)
logical_and, logical_or, logical_xor = (
    binary(np.logical_and),
    binary(np.logical_or),
    binary(np.logical_xor),
)
floor_divide, copysign, heaviside = binary(np.floor_divide), binary(np.copysign), binary(np.heaviside)
fmax, fmin, kron = binary(np.fmax), binary(np.fmin), binary(np.kron)
bitwise_and, bitwise_or, bitwise_xor = (
    binary(np.bitwise_and),
    binary(np.bitwise_or),
    binary(np.bitwise_xor),
)


def round(input: Any, decimals: int = 0) -> Any:
    """Round half to even."""
    return FUNCTIONS[np.rint](input) if decimals == 0 else FUNCTIONS[np.round](input, decimals)


def add(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """`input + alpha * other`."""
    return input + (other if alpha == 1 else alpha * other)


def sub(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """`input - alpha * other`."""
    return input - (other if alpha == 1 else alpha * other)


def mul(input: Any, other: Any) -> Any:
    """`input * other`."""
    return input * other


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    """`input / other`; rounded towards zero (`"trunc"`) or down (`"floor"`)."""
    if rounding_mode == "floor":
        return input // other
    result = input / other
    return trunc(result) if rounding_mode == "trunc" else result


def rsqrt(input: Any) -> Any:
    """`1 / sqrt(input)`."""
    return labelled(power(input, -0.5), "RsqrtBackward0")


def frac(input: Any) -> Any:
    """What is behind the decimal point."""
    return input - trunc(input)


def xlogy(input: Any, other: Any) -> Any:
    """`input * log(other)`, 0 where `input` is."""
    return SCIPY_FUNCTIONS["scipy.special.xlogy"](input, other)


def logit(input: Any) -> Any:
    """`log(input / (1 - input))`."""
    return SCIPY_FUNCTIONS["scipy.special.logit"](input)


def erfinv(input: Any) -> Any:
    """The inverse of the error function."""
    return SCIPY_FUNCTIONS["scipy.special.erfinv"](input)


def nan_to_num(input: Any, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """NaN and infinities replaced by numbers."""
    return FUNCTIONS[np.nan_to_num](input, nan=nan, posinf=posinf, neginf=neginf)


def addcmul(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    """`input + value * tensor1 * tensor2`."""
    return input + value * tensor1 * tensor2


def addcdiv(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    """`input + value * tensor1 / tensor2`."""
    return input + value * tensor1 / tensor2


def sigmoid(input: Any) -> Any:
    """The logistic function, `1 / (1 + exp(-input))`."""
    return labelled(SCIPY_FUNCTIONS["scipy.special.expit"](input), "SigmoidBackward0")


def erf(input: Any) -> Any:
    """The error function."""
    return SCIPY_FUNCTIONS["scipy.special.erf"](input)


def erfc(input: Any) -> Any:
    """`1 - erf(input)`."""
    return SCIPY_FUNCTIONS["scipy.special.erfc"](input)


def lgamma(input: Any) -> Any:
    """The logarithm of the absolute value of the gamma function."""
    return SCIPY_FUNCTIONS["scipy.special.gammaln"](input)


def digamma(input: Any) -> Any:
    """The derivative of `lgamma`."""
    return SCIPY_FUNCTIONS["scipy.special.digamma"](input)


def relu(input: Any) -> Any:
    """`max(input, 0)`, with derivative 0 at 0."""
    return labelled(choose(input <= 0, 0.0, input), "ReluBackward0")


def softplus(input: Any) -> Any:
    """`log(1 + exp(input))`."""
    return labelled(logaddexp(input, 0.0), "SoftplusBackward0")


def clamp(input: Any, min: Any = None, max: Any = None) -> Any:
    """`input` with what is below `min` or above `max` replaced by that bound."""
    if min is None and max is None:
        raise ValueError("clamp: at least one of 'min' or 'max' must not be None")
    return labelled(FUNCTIONS[np.clip](input, min, max), "ClampBackward1")


clip = clamp


def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """`input` where `condition` holds, else `other`."""
    return choose(condition, input, other)


def masked_fill(input: Any, mask: Any, value: Any) -> Any:
    """`input` with `value` where `mask` holds."""
    return labelled(choose(mask, value, input), "MaskedFillBackward0")


def lerp(input: Any, end: Any, weight: Any) -> Any:
    """`input + weight * (end - input)`."""
    return labelled(input + weight * (end - input), "LerpBackward0")


# --- reductions ---------------------------------------------------------------------------------------------


def sum(input: Any, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The sum, over all elements or along `dim`."""
    total = FUNCTIONS[np.sum](input, axis=_axis(dim), dtype=dtype, keepdims=keepdim)
    return total if dim is None else labelled(total, "SumBackward1")


def mean(input: Any, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The mean, over all elements or along `dim`."""
    average = FUNCTIONS[np.mean](input, axis=_axis(dim), dtype=dtype, keepdims=keepdim)
    return average if dim is None else labelled(average, "MeanBackward1")


def prod(input: Any, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The product, of all elements or along `dim`."""
    return FUNCTIONS[np.prod](input, axis=_axis(dim), dtype=dtype, keepdims=keepdim)


def _moment(function: Any, input: Any, dim: Any, unbiased: Any, correction: Any, keepdim: bool) -> Any:
    if isinstance(dim, builtins.bool):  # std(unbiased)
        dim, unbiased = None, dim
    ddof = correction if unbiased is None else builtins.int(unbiased)
    return FUNCTIONS[function](input, axis=_axis(dim), ddof=ddof, keepdims=keepdim)


def var(
    input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float = 1
) -> Any:
    """The variance, divided by n - 1 (n - `correction`)."""
    return _moment(np.var, input, dim, unbiased, correction, keepdim)


def std(
    input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float = 1
) -> Any:
    """The standard deviation, divided by n - 1 (n - `correction`)."""
    return _moment(np.std, input, dim, unbiased, correction, keepdim)


def amax(input: Any, dim: Dims = None, keepdim: bool = False) -> Any:
    """The largest element; ties share the derivative."""
    return labelled(FUNCTIONS[np.max](input, axis=_axis(dim), keepdims=keepdim), "AmaxBackward0")


def amin(input: Any, dim: Dims = None, keepdim: bool = False) -> Any:
    """The smallest element; ties share the derivative."""
    return labelled(FUNCTIONS[np.min](input, axis=_axis(dim), keepdims=keepdim), "AminBackward0")


def argmax(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The index of the largest element."""
    return FUNCTIONS[np.argmax](input, axis=dim, keepdims=keepdim)


def argmin(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The index of the smallest element."""
    return FUNCTIONS[np.argmin](input, axis=dim, keepdims=keepdim)


def max(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The largest element; with `dim`, the largest along it and their indices; with a tensor, the elementwise
    maximum.
    """
    return _extreme(input, dim, keepdim, amax, argmax, maximum, "MaxBackward")


def min(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The smallest element; with `dim`, the smallest along it and their indices; with a tensor, the elementwise
    minimum.
    """
    return _extreme(input, dim, keepdim, amin, argmin, minimum, "MinBackward")


def _extreme(input: Any, dim: Any, keepdim: bool, all: Any, index: Any, of_two: Any, label: str) -> Any:
    if dim is None:
        return labelled(all(input), f"{label}1")
    if not isinstance(dim, builtins.int):
        return of_two(input, dim)
    indices = index(input, dim, True)
    values = labelled(gather(input, dim, indices), f"{label}0")
    if not keepdim:
        values, indices = labelled(squeeze(values, dim), f"{label}0"), squeeze(indices, dim)
    return ValuesAndIndices(values, indices)


def aminmax(input: Any, *, dim: int | None = None, keepdim: bool = False) -> tuple[Any, Any]:
    """The smallest and the largest element, of all or along `dim`."""
    return amin(input, dim, keepdim), amax(input, dim, keepdim)


def nansum(input: Any, dim: Dims = None, keepdim: bool = False) -> Any:
    """The sum of what is not NaN."""
    return FUNCTIONS[np.nansum](input, axis=_axis(dim), keepdims=keepdim)


def nanmean(input: Any, dim: Dims = None, keepdim: bool = False) -> Any:
    """The mean of what is not NaN."""
    return FUNCTIONS[np.nanmean](input, axis=_axis(dim), keepdims=keepdim)


def quantile(input: Any, q: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The quantiles `q`, between elements by a straight line."""
    return FUNCTIONS[np.quantile](input, q, axis=dim, keepdims=keepdim)


def count_nonzero(input: Any, dim: Dims = None) -> Any:
    """How many elements are not zero."""
    return FUNCTIONS[np.count_nonzero](input, axis=_axis(dim))


def var_mean(input: Any, dim: Any = None, *, correction: float = 1, keepdim: bool = False) -> tuple[Any, Any]:
    """The variance and the mean."""
    return var(input, dim, None, keepdim, correction=correction), mean(input, dim, keepdim)


def std_mean(input: Any, dim: Any = None, *, correction: float = 1, keepdim: bool = False) -> tuple[Any, Any]:
    """The standard deviation and the mean."""
    return std(input, dim, None, keepdim, correction=correction), mean(input, dim, keepdim)


def any(input: Any, dim: Dims = None, keepdim: bool = False) -> Any:
    """Whether some element is true."""
    return FUNCTIONS[np.any](input, axis=_axis(dim), keepdims=keepdim)


def all(input: Any, dim: Dims = None, keepdim: bool = False) -> Any:
    """Whether every element is true."""
    return FUNCTIONS[np.all](input, axis=_axis(dim), keepdims=keepdim)


def norm(input: Any, p: Any = "fro", dim: Dims = None, keepdim: bool = False) -> Any:
    """The norm of order `p` of the elements, all of them or those along `dim`; by default the Euclidean one."""
    axis = (
        tuple(range(input.ndim)) if dim is None else (dim,) if isinstance(dim, builtins.int) else tuple(dim)
    )
    axis = tuple(sorted(k % input.ndim for k in axis))
    if p in ("fro", 2, None):
        return reductions.norm(input, axis=axis, keepdims=keepdim)
    size = absolute(input)
    if p == math.inf:
        result = amax(size, axis, keepdim)
    elif p == -math.inf:
        result = amin(size, axis, keepdim)
    elif p == 1:
        result = sum(size, axis, keepdim)
    else:
        result = sum(size**p, axis, keepdim) ** (1 / p)
    return labelled(result, "LinalgVectorNormBackward0")


def logsumexp(input: Any, dim: Dims, keepdim: bool = False) -> Any:
    """`log(sum(exp(input)))` along `dim`, without overflow."""
    return SCIPY_FUNCTIONS["scipy.special.logsumexp"](input, axis=_axis(dim), keepdims=keepdim)


def log_softmax(input: Any, dim: int) -> Any:
    """`log(softmax(input))` along `dim`, without overflow."""
    return labelled(input - logsumexp(input, dim, True), "LogSoftmaxBackward0")


def softmax(input: Any, dim: int) -> Any:
    """`exp(input)`, scaled so that it sums to 1 along `dim`."""
    return labelled(exp(input - logsumexp(input, dim, True)), "SoftmaxBackward0")


def cumsum(input: Any, dim: int | None = None) -> Any:
    """Sums of the first 1, 2, ... elements along `dim`; without it, as in NumPy, of all of them in C order."""
    return FUNCTIONS[np.cumsum](input, axis=dim)


def cumprod(input: Any, dim: int | None = None) -> Any:
    """Products of the first 1, 2, ... elements along `dim`; without it, as in NumPy, of all of them in C order."""
    return FUNCTIONS[np.cumprod](input, axis=dim)


# --- questions with a Python answer -------------------------------------------------------------------------


def _plain(x: Any) -> Any:
    return x.detach().numpy() if hasattr(x, "detach") else x


def equal(input: Any, other: Any) -> bool:
    """Whether two tensors have the same shape and elements."""
    return builtins.bool(np.array_equal(_plain(input), _plain(other)))


def allclose(
    input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    """Whether all elements are close."""
    return builtins.bool(np.allclose(_plain(input), _plain(other), rtol, atol, equal_nan))


def numel(input: Any) -> int:
    """How many elements there are."""
    return math.prod(input.shape)
