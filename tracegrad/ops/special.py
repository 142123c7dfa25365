"""Special functions, as `scipy.special` has them, each one line: erf, gamma, the logistic and the normal distribution,
entropies, losses, transformations of data.

SciPy is imported when the first of them is computed. Derivatives: Abramowitz and Stegun, chapters 6 and 7. Begin with
`special`.
"""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.ir.trace import Instr, dtype_token
from tracegrad.ir.types import ArrayType, promote, ufunc_dtype
from tracegrad.kernels import elements as kernels
from tracegrad.kernels import exponential, normal
from tracegrad.kernels.special import number_function
from tracegrad.ops.compare import absolute, equal, greater, less, less_equal, logical_and, sign, where
from tracegrad.ops.elementary import cos, exp, log, log1p, sin, sqrt
from tracegrad.ops.families import Unknown, anywhere, case, cast, elementwise, positive, real, unit
from tracegrad.ops.op import Op

NO_CLOSED_FORM = "no function of SciPy's computes it"
INSIDE = (0.1, 0.9)
_TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)
ROOT_TWO_PI = math.sqrt(2 * math.pi)


@functools.cache
def scipy_special() -> Any:
    return importlib.import_module("scipy.special")


def special_dtype(*tokens: Any) -> np.dtype[Any]:
    """float32 where that holds all inputs, else float64; complex ones likewise. For what is no ufunc of SciPy's."""
    dtype = promote(*tokens)
    narrow, wide = (np.complex64, np.complex128) if dtype.kind == "c" else (np.float32, np.float64)
    return np.dtype(narrow if dtype.kind != "O" and np.can_cast(dtype, narrow) else wide)


def by_ufunc(name: str) -> Callable[..., Any]:
    """Result dtypes as `scipy.special.<name>` has them."""
    return lambda *tokens: ufunc_dtype(getattr(scipy_special(), name), *tokens)


def by_number(name: str, instr: Instr) -> Any:
    """The `native` of a ufunc of SciPy's: its C function, for the elements of loops and for numbers."""
    if instr.outputs[0].shape or instr.outputs[0].dtype != np.float64:
        return False
    found = number_function(name, tuple(map(dtype_token, instr.inputs)))
    return False if found is None else (found,)


def special(
    name: str,
    partials: Callable[..., Any],
    *,
    dtype: Callable[..., Any] | None = None,
    domain: Any = anywhere,
    one: Callable[..., Any] | None = None,
    each: Callable[..., Any] | None = None,
    vector: Callable[..., Any] | None = None,
    edge: Any = "",
) -> Op:
    """Declare `scipy.special.<name>`; `one` and `each` are its kernels for a scalar and for an array.

    Result dtypes are those of SciPy's ufunc, unless `dtype` says them.
    """

    def function(*args: Any) -> Any:
        return getattr(scipy_special(), name)(*args)

    def native(instr: Instr) -> Any:
        found = written_out(instr)
        return by_number(name, instr) if found is False else found

    def written_out(instr: Instr) -> Any:
        out = instr.outputs[0]
        if out.dtype.kind != "f" or any(a.dtype != out.dtype for a in instr.inputs):
            return False
        if not out.shape and out.dtype != np.float64:
            return False
        kernel = each if out.shape else one
        if kernel is None or (len(instr.inputs) == 2 and out.dtype != np.float64):
            return False
        return (kernel, tuple(out.shape)) if out.shape and len(instr.inputs) == 2 else (kernel,)

    return elementwise(
        function,
        partials,
        name=name,
        dtype=dtype or by_ufunc(name),
        domain=domain,
        callee=f"scipy.special.{name}",
        imports="import scipy.special",
        native=native,
        vector=vector,
        edge=edge,
    )


def several(name: str, count: int, slopes: Callable[[Any, Any], tuple[Any, ...]]) -> Op:
    """Declare a function of one number with several results; `slopes(z, x)` gives the derivative of each."""

    def result_type(x: Any) -> tuple[ArrayType, ...]:
        return (ArrayType(x.shape, special_dtype(dtype_token(x))),) * count

    def vjp(g: Any, z: Any, x: Any) -> tuple[Any, ...]:
        terms = [bar * slope for bar, slope in zip(g, slopes(z, x), strict=True) if bar is not None]
        return (cast(sum(terms[1:], start=terms[0]), x.dtype),)

    def jvp(tangents: Any, z: Any, x: Any) -> tuple[Any, ...]:
        return tuple(cast(tangents[0] * s, y.dtype) for s, y in zip(slopes(z, x), z, strict=True))

    return Op(
        name,
        lambda x: getattr(scipy_special(), name)(x),
        result_type=result_type,
        vjp=vjp,
        jvp=jvp,
        callee=f"scipy.special.{name}",
        imports="import scipy.special",
        native=False,
        n_outputs=count,
        sample=tuple(
            case(lambda g, shape=shape: np.asarray(g.uniform(0.3, 2.0, shape))[()]) for shape in ((), (3,))
        ),
    )


def of_order(
    name: str,
    partial: Callable[..., Any],
    order: tuple[int, int] = (1, 3),
    argument: str = "n",
    domain: tuple[float, float] = positive,
    dtype: Callable[..., Any] | None = None,
) -> Op:
    """Declare a function of an order, which has no known derivative, and of a number."""
    return special(
        name,
        lambda z, n, x: (Unknown(argument, NO_CLOSED_FORM), partial(z, n, x)),
        domain=(order, domain),
        dtype=dtype,
    )


def with_shapes(count: int, last: tuple[float, float]) -> tuple[Any, ...]:
    """Sample calls with whole numbers for the first inputs."""

    def draw(*shape: int) -> Callable[[np.random.Generator], Any]:
        return lambda generator: np.asarray(generator.uniform(*last, shape))[()]

    shapes = (np.int64(2), np.array([1, 2, 3]), np.int64(4))[:count]
    return case(*shapes, draw()), case(*shapes, draw(3)), case(*shapes, draw(2, 3))


def _kernels(name: str) -> dict[str, Callable[..., Any]]:
    return {"one": getattr(kernels, f"{name}_of"), "each": getattr(kernels, f"{name}_each")}


erf: Op = special("erf", lambda z, x: _TWO_OVER_ROOT_PI * exp(-x * x), vector=normal.erf, **_kernels("erf"))
erfc: Op = special(
    "erfc", lambda z, x: -_TWO_OVER_ROOT_PI * exp(-x * x), vector=normal.erfc, **_kernels("erfc")
)
erfcx: Op = special("erfcx", lambda z, x: 2 * x * z - _TWO_OVER_ROOT_PI, **_kernels("erfcx"))
erfinv: Op = special("erfinv", lambda z, x: exp(z * z) / _TWO_OVER_ROOT_PI, domain=unit, **_kernels("erfinv"))
erfcinv: Op = special(
    "erfcinv", lambda z, x: -exp(z * z) / _TWO_OVER_ROOT_PI, domain=INSIDE, **_kernels("erfcinv")
)

ndtr: Op = special(
    "ndtr", lambda z, x: exp(-0.5 * x * x) / ROOT_TWO_PI, vector=normal.ndtr, **_kernels("ndtr")
)
log_ndtr: Op = special(
    "log_ndtr",
    lambda z, x: exp(-0.5 * x * x - z) / ROOT_TWO_PI,
    vector=normal.log_ndtr,
    **_kernels("log_ndtr"),
)
ndtri: Op = special("ndtri", lambda z, x: ROOT_TWO_PI * exp(0.5 * z * z), domain=INSIDE, **_kernels("ndtri"))

expit: Op = special("expit", lambda z, x: z * (1 - z), vector=exponential.sigmoid, **_kernels("expit"))
logit: Op = special("logit", lambda z, x: 1 / (x * (1 - x)), domain=INSIDE, **_kernels("logit"))
log_expit: Op = special("log_expit", lambda z, x: expit(-x), **_kernels("log_expit"))

gamma: Op = special("gamma", lambda z, x: z * digamma(x), domain=positive, **_kernels("gamma"))
gammasgn: Op = elementwise(
    lambda x: scipy_special().gammasgn(x),
    passes_zero=True,
    name="gammasgn",
    dtype=by_ufunc("gammasgn"),
    callee="scipy.special.gammasgn",
    imports="import scipy.special",
    native=lambda instr: by_number("gammasgn", instr),
)
gammaln: Op = special("gammaln", lambda z, x: digamma(x), domain=positive, **_kernels("gammaln"))
digamma: Op = special(
    "digamma",
    lambda z, x: Unknown("z") if x.dtype.kind == "c" else polygamma(1, x),
    domain=positive,
    **_kernels("digamma"),
)
"""Of complex numbers without derivative: SciPy's polygamma is real."""
polygamma: Op = special(
    "polygamma",
    lambda z, n, x: (Unknown("n", "it is a whole number"), polygamma(n + 1, x)),
    domain=((1, 1), positive),
    dtype=lambda n, x: np.dtype(np.float64),
)
betaln: Op = special(
    "betaln",
    lambda z, x, y: (digamma(x) - digamma(x + y), digamma(y) - digamma(x + y)),
    domain=positive,
    **_kernels("betaln"),
)

xlogy: Op = special(
    "xlogy",
    lambda z, x, y: (log(y), where(equal(x, 0), 0.0, x / where(equal(x, 0), 1.0, y))),
    domain=positive,
    **_kernels("xlogy"),
)
xlog1py: Op = special(
    "xlog1py",
    lambda z, x, y: (log1p(y), where(equal(x, 0), 0.0, x / where(equal(x, 0), 1.0, 1 + y))),
    domain=positive,
    **_kernels("xlog1py"),
)
entr: Op = special("entr", lambda z, x: -1 - log(x), domain=positive, **_kernels("entr"))


def _ratio(x: Any, y: Any, at_zero: float) -> Any:
    """x / y; a chosen number where both are 0, as in tables of probabilities they are."""
    both = logical_and(equal(x, 0), equal(y, 0))
    return where(both, at_zero, x / where(both, 1.0, y))


_NOTHING = "0 by the first where both are 0"
rel_entr: Op = special(
    "rel_entr",
    lambda z, x, y: (1 + log(_ratio(x, y, 1 / math.e)), -_ratio(x, y, 0.0)),
    domain=positive,
    edge=_NOTHING,
    **_kernels("rel_entr"),
)
kl_div: Op = special(
    "kl_div",
    lambda z, x, y: (log(_ratio(x, y, 1.0)), 1 - _ratio(x, y, 0.0)),
    domain=positive,
    edge=_NOTHING,
    **_kernels("kl_div"),
)

beta: Op = special(
    "beta",
    lambda z, x, y: (z * (digamma(x) - digamma(x + y)), z * (digamma(y) - digamma(x + y))),
    domain=positive,
)


def _rgamma_partial(z: Any, x: Any) -> Any:
    """-ψ(x) / Γ(x); below 1/2, where both have poles, that of Γ(1 - x) sin(πx) / π."""
    below = less(real(x) if x.dtype.kind == "c" else x, 0.5)
    y, high = 1 - where(below, x, 0.0), where(below, 1.0, x)
    reflected = gamma(y) * (cos(math.pi * x) - digamma(y) * sin(math.pi * x) / math.pi)
    return where(below, reflected, -rgamma(high) * digamma(high))


rgamma: Op = special("rgamma", _rgamma_partial, domain=positive)
poch: Op = special(
    "poch",
    lambda z, x, m: (z * (digamma(x + m) - digamma(x)), z * digamma(x + m)),
    domain=positive,
)
loggamma: Op = special("loggamma", lambda z, x: digamma(x), domain=positive)


def _expn_partial(z: Any, n: Any, x: Any) -> Any:
    """-E(n - 1, x), by the recurrence of DLMF 8.19.12 where SciPy has no such order."""
    above = greater(n, 1)
    by_recurrence = ((n - 1) * z - exp(-x)) / x
    return where(above, -expn(where(above, n - 1, 1), x), by_recurrence)


dawsn: Op = special("dawsn", lambda z, x: 1 - 2 * x * z)
exp1: Op = special("exp1", lambda z, x: -exp(-x) / x, domain=positive)
expi: Op = special("expi", lambda z, x: exp(x) / x, domain=positive)
expn: Op = of_order("expn", lambda z, n, x: _expn_partial(z, n, x), order=(1, 4))


def _spence_partial(z: Any, x: Any) -> Any:
    """log(x) / (1 - x); near 1 its series."""
    u = x - 1
    near = less(absolute(u), 0.01)
    far = where(near, 0.5, x)
    series = -1 + u * (1 / 2 - u * (1 / 3 - u * (1 / 4 - u * (1 / 5 - u * (1 / 6 - u * (1 / 7 - u / 8))))))
    return where(near, series - u**8 / 9, log(far) / (1 - far))


spence: Op = special("spence", _spence_partial, domain=positive)
zeta: Op = special(
    "zeta",
    lambda z, x, q: (Unknown("x", NO_CLOSED_FORM), -x * zeta(x + 1, q)),
    domain=((2, 4), positive),
    dtype=special_dtype,
)
owens_t: Op = special(
    "owens_t",
    lambda z, h, a: (
        -0.5 * exp(-0.5 * h * h) / ROOT_TWO_PI * erf(a * h / math.sqrt(2)),
        exp(-0.5 * h * h * (1 + a * a)) / (2 * math.pi * (1 + a * a)),
    ),
)

erfi: Op = special("erfi", lambda z, x: _TWO_OVER_ROOT_PI * exp(x * x))
ndtri_exp: Op = special(
    "ndtri_exp",
    lambda z, y: ROOT_TWO_PI * exp(y + 0.5 * z * z),
    domain=(-3.0, -0.2),
)
binom: Op = special(
    "binom",
    lambda z, n, k: (
        z * (digamma(n + 1) - digamma(n - k + 1)),
        z * (digamma(n - k + 1) - digamma(k + 1)),
    ),
    domain=((3.2, 5.0), positive),
)
wrightomega: Op = special("wrightomega", lambda z, x: z / (1 + z))
"""Of real numbers: the w with w + log w = x."""
exp10: Op = special("exp10", lambda z, x: math.log(10) * z)
cosm1: Op = special("cosm1", lambda z, x: -sin(x))


def _exprel_partial(z: Any, x: Any) -> Any:
    """(1 + (x - 1) z) / x; near 0, where that cancels, its series."""
    near = less(absolute(x), 0.05)
    far = where(near, 1.0, x)
    series = 0.5 + x * (1 / 3 + x * (1 / 8 + x * (1 / 30 + x * (1 / 144 + x * (1 / 840 + x / 5760)))))
    return where(near, series, (1 + (far - 1) * z) / far)


exprel: Op = special("exprel", _exprel_partial)

huber: Op = special(
    "huber",
    lambda z, delta, r: (
        where(less_equal(absolute(r), delta), 0.0, absolute(r) - delta),
        where(less_equal(absolute(r), delta), r, delta * sign(r)),
    ),
    domain=((0.5, 1.5), anywhere),
)


def _pseudo_huber_partials(z: Any, delta: Any, r: Any) -> tuple[Any, Any]:
    ratio = r / delta
    root = sqrt(1 + ratio * ratio)
    return 2 * delta * (root - 1) - r * ratio / root, r / root


pseudo_huber: Op = special("pseudo_huber", _pseudo_huber_partials, domain=((0.5, 1.5), anywhere))


def _power_slope(z: Any, power: Any, log_x: Any) -> Any:
    """d/dλ of (x**λ - 1) / λ, from its value: (log x (1 + λ z) - z) / λ; near λ = 0 its series in λ log x."""
    u = power * log_x
    near = less(absolute(u), 0.02)
    far = where(near, 1.0, power)
    series = log_x * log_x * (0.5 + u * (1 / 3 + u * (1 / 8 + u * (1 / 30 + u * (1 / 144 + u / 840)))))
    raised = 1 + far * z
    return where(near, series, (where(equal(raised, 0), 0.0, log_x * raised) - z) / far)


def _inverse_slope(y: Any, power: Any) -> Any:
    """d/dλ of log(1 + λ y) / λ; near λ = 0 its series."""
    u = power * y
    near = less(absolute(u), 0.01)
    far, v = where(near, 1.0, power), where(near, 1.0, u)
    series = y * y * (-0.5 + u * (2 / 3 - u * (3 / 4 - u * (4 / 5 - u * (5 / 6 - u * (6 / 7 - u * 7 / 8))))))
    return where(near, series, (v / (1 + v) - log1p(v)) / (far * far))


boxcox: Op = special(
    "boxcox",
    lambda z, x, lmbda: (exp((lmbda - 1) * log(x)), _power_slope(z, lmbda, log(x))),
    domain=(positive, anywhere),
)
boxcox1p: Op = special(
    "boxcox1p",
    lambda z, x, lmbda: (exp((lmbda - 1) * log1p(x)), _power_slope(z, lmbda, log1p(x))),
    domain=(positive, anywhere),
)
inv_boxcox: Op = special(
    "inv_boxcox",
    lambda z, y, lmbda: (z / (1 + lmbda * y), z * _inverse_slope(y, lmbda)),
    domain=((0.1, 0.6), (-1.2, 1.2)),
)
inv_boxcox1p: Op = special(
    "inv_boxcox1p",
    lambda z, y, lmbda: ((z + 1) / (1 + lmbda * y), (z + 1) * _inverse_slope(y, lmbda)),
    domain=((0.1, 0.6), (-1.2, 1.2)),
)
powm1: Op = special(
    "powm1",
    lambda z, x, y: (y * exp((y - 1) * log(x)), (z + 1) * log(x)),
    domain=(positive, anywhere),
)
