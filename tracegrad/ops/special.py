"""Special functions, as `scipy.special` has them, each one line: erf, gamma, the logistic and the normal distribution.

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

from tracegrad.ir.trace import Instr
from tracegrad.ir.types import promote
from tracegrad.kernels import elements as kernels
from tracegrad.kernels import exponential, normal
from tracegrad.ops.compare import sign
from tracegrad.ops.elementary import exp, log, log1p
from tracegrad.ops.families import Unknown, anywhere, case, elementwise, positive, unit
from tracegrad.ops.op import Op

_INSIDE = (0.1, 0.9)
_SHAPES = (1, 3)  # whole numbers: no derivative with respect to them is known
_TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)
_ROOT_TWO_PI = math.sqrt(2 * math.pi)


@functools.cache
def _scipy_special() -> Any:
    return importlib.import_module("scipy.special")


def special_dtype(*tokens: Any) -> np.dtype[Any]:
    """float32 where that holds all inputs, else float64, as SciPy's loops have it."""
    dtype = promote(*tokens)
    return np.dtype(np.float32 if dtype.kind != "O" and np.can_cast(dtype, np.float32) else np.float64)


def _weak_is_wide(*tokens: Any) -> np.dtype[Any]:
    """For SciPy's loops that list float64 first: a Python number beside an array makes it float64."""
    return special_dtype(*(np.dtype(np.float64) if isinstance(t, type) else t for t in tokens))


def special(
    name: str,
    partials: Callable[..., Any],
    *,
    dtype: Callable[..., Any] = special_dtype,
    domain: Any = anywhere,
    one: Callable[..., Any] | None = None,
    each: Callable[..., Any] | None = None,
    vector: Callable[..., Any] | None = None,
) -> Op:
    """Declare `scipy.special.<name>`; `one` and `each` are its kernels for a scalar and for an array."""

    def function(*args: Any) -> Any:
        return getattr(_scipy_special(), name)(*args)

    def native(instr: Instr) -> Any:
        out = instr.outputs[0]
        if any(a.dtype != out.dtype for a in instr.inputs) or (not out.shape and out.dtype != np.float64):
            return False
        kernel = each if out.shape else one
        if kernel is None or (len(instr.inputs) == 2 and out.dtype != np.float64):
            return False
        return (kernel, tuple(out.shape)) if out.shape and len(instr.inputs) == 2 else (kernel,)

    return elementwise(
        function,
        partials,
        name=name,
        dtype=dtype,
        domain=domain,
        callee=f"scipy.special.{name}",
        imports="import scipy.special",
        native=native,
        vector=vector,
    )


def of_order(name: str, partial: Callable[..., Any], order: tuple[int, int] = (1, 3)) -> Op:
    """Declare a function of an order, which has no known derivative, and of a number."""
    return special(
        name,
        lambda z, n, x: (Unknown("n"), partial(z, n, x)),
        domain=(order, positive),
    )


def _with_shapes(count: int, last: tuple[float, float]) -> tuple[Any, ...]:
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
    "erfcinv", lambda z, x: -exp(z * z) / _TWO_OVER_ROOT_PI, domain=_INSIDE, **_kernels("erfcinv")
)

ndtr: Op = special("ndtr", lambda z, x: exp(-0.5 * x * x) / _ROOT_TWO_PI, **_kernels("ndtr"))
log_ndtr: Op = special("log_ndtr", lambda z, x: exp(-0.5 * x * x - z) / _ROOT_TWO_PI, **_kernels("log_ndtr"))
ndtri: Op = special(
    "ndtri", lambda z, x: _ROOT_TWO_PI * exp(0.5 * z * z), domain=_INSIDE, **_kernels("ndtri")
)

expit: Op = special("expit", lambda z, x: z * (1 - z), vector=exponential.sigmoid, **_kernels("expit"))
logit: Op = special("logit", lambda z, x: 1 / (x * (1 - x)), domain=_INSIDE, **_kernels("logit"))
log_expit: Op = special("log_expit", lambda z, x: expit(-x), **_kernels("log_expit"))

gamma: Op = special("gamma", lambda z, x: z * digamma(x), domain=positive, **_kernels("gamma"))
gammaln: Op = special("gammaln", lambda z, x: digamma(x), domain=positive, **_kernels("gammaln"))
digamma: Op = special("digamma", lambda z, x: polygamma(1, x), domain=positive, **_kernels("digamma"))
polygamma: Op = special(
    "polygamma",
    lambda z, n, x: (Unknown("n"), polygamma(n + 1, x)),
    domain=((1, 1), positive),
    dtype=lambda n, x: np.dtype(np.float64),
)
betaln: Op = special(
    "betaln",
    lambda z, x, y: (digamma(x) - digamma(x + y), digamma(y) - digamma(x + y)),
    domain=positive,
    dtype=_weak_is_wide,
    **_kernels("betaln"),
)

xlogy: Op = special(
    "xlogy",
    lambda z, x, y: (log(y), x / y),
    domain=positive,
    dtype=_weak_is_wide,
    **_kernels("xlogy"),
)
xlog1py: Op = special(
    "xlog1py",
    lambda z, x, y: (log1p(y), x / (1 + y)),
    domain=positive,
    dtype=_weak_is_wide,
    **_kernels("xlog1py"),
)
entr: Op = special("entr", lambda z, x: -1 - log(x), domain=positive, **_kernels("entr"))
rel_entr: Op = special(
    "rel_entr", lambda z, x, y: (1 + log(x / y), -x / y), domain=positive, **_kernels("rel_entr")
)
kl_div: Op = special("kl_div", lambda z, x, y: (log(x / y), 1 - x / y), domain=positive, **_kernels("kl_div"))

beta: Op = special(
    "beta",
    lambda z, x, y: (z * (digamma(x) - digamma(x + y)), z * (digamma(y) - digamma(x + y))),
    domain=positive,
    dtype=_weak_is_wide,
)
rgamma: Op = special("rgamma", lambda z, x: -z * digamma(x), domain=positive)
poch: Op = special(
    "poch",
    lambda z, x, m: (z * (digamma(x + m) - digamma(x)), z * digamma(x + m)),
    domain=positive,
)
loggamma: Op = special("loggamma", lambda z, x: digamma(x), domain=positive)
gammainc: Op = special(
    "gammainc",
    lambda z, a, x: (Unknown("a"), exp((a - 1) * log(x) - x - gammaln(a))),
    domain=(_SHAPES, positive),
    dtype=_weak_is_wide,
)
gammaincc: Op = special(
    "gammaincc",
    lambda z, a, x: (Unknown("a"), -exp((a - 1) * log(x) - x - gammaln(a))),
    domain=(_SHAPES, positive),
    dtype=_weak_is_wide,
)
gammaincinv: Op = special(
    "gammaincinv",
    lambda z, a, y: (Unknown("a"), exp(z + gammaln(a) - (a - 1) * log(z))),
    domain=(_SHAPES, _INSIDE),
    dtype=_weak_is_wide,
)
betainc: Op = special(
    "betainc",
    lambda z, a, b, x: (
        Unknown("a"),
        Unknown("b"),
        exp((a - 1) * log(x) + (b - 1) * log1p(-x) - betaln(a, b)),
    ),
    domain=_with_shapes(2, _INSIDE),
    dtype=_weak_is_wide,
)
betaincinv: Op = special(
    "betaincinv",
    lambda z, a, b, y: (
        Unknown("a"),
        Unknown("b"),
        exp(betaln(a, b) - (a - 1) * log(z) - (b - 1) * log1p(-z)),
    ),
    domain=_with_shapes(2, _INSIDE),
    dtype=_weak_is_wide,
)

i0: Op = special("i0", lambda z, x: i1(x), domain=positive)
i1: Op = special("i1", lambda z, x: 0.5 * (i0(x) + iv(2, x)), domain=positive)
i0e: Op = special("i0e", lambda z, x: i1e(x) - sign(x) * z, domain=positive)
i1e: Op = special("i1e", lambda z, x: 0.5 * (i0e(x) + ive(2, x)) - sign(x) * z, domain=positive)
k0: Op = special("k0", lambda z, x: -k1(x), domain=positive)
k1: Op = special("k1", lambda z, x: -k0(x) - z / x, domain=positive)
j0: Op = special("j0", lambda z, x: -j1(x), domain=positive)
j1: Op = special("j1", lambda z, x: 0.5 * (j0(x) - jv(2, x)), domain=positive)
y0: Op = special("y0", lambda z, x: -y1(x), domain=positive)
y1: Op = special("y1", lambda z, x: y0(x) - z / x, domain=positive)
jv: Op = of_order("jv", lambda z, n, x: 0.5 * (jv(n - 1, x) - jv(n + 1, x)))
yv: Op = of_order("yv", lambda z, n, x: 0.5 * (yv(n - 1, x) - yv(n + 1, x)))
yn: Op = of_order("yn", lambda z, n, x: 0.5 * (yv(n - 1, x) - yv(n + 1, x)))
iv: Op = of_order("iv", lambda z, n, x: 0.5 * (iv(n - 1, x) + iv(n + 1, x)))
ive: Op = of_order("ive", lambda z, n, x: 0.5 * (ive(n - 1, x) + ive(n + 1, x)) - sign(x) * z)
kv: Op = of_order("kv", lambda z, n, x: -0.5 * (kv(n - 1, x) + kv(n + 1, x)))

dawsn: Op = special("dawsn", lambda z, x: 1 - 2 * x * z)
exp1: Op = special("exp1", lambda z, x: -exp(-x) / x, domain=positive)
expi: Op = special("expi", lambda z, x: exp(x) / x, domain=positive)
expn: Op = of_order("expn", lambda z, n, x: -expn(n - 1, x), order=(3, 4))
spence: Op = special("spence", lambda z, x: log(x) / (1 - x), domain=positive)
zeta: Op = special(
    "zeta",
    lambda z, x, q: (Unknown("x"), -x * zeta(x + 1, q)),
    domain=((2, 4), positive),
)
hyp1f1: Op = special(
    "hyp1f1",
    lambda z, a, b, x: (Unknown("a"), Unknown("b"), a / b * hyp1f1(a + 1, b + 1, x)),
    domain=_with_shapes(2, anywhere),
    dtype=_weak_is_wide,
)
hyp2f1: Op = special(
    "hyp2f1",
    lambda z, a, b, c, x: (
        Unknown("a"),
        Unknown("b"),
        Unknown("c"),
        a * b / c * hyp2f1(a + 1, b + 1, c + 1, x),
    ),
    domain=_with_shapes(3, (-0.5, 0.5)),
    dtype=_weak_is_wide,
)
owens_t: Op = special(
    "owens_t",
    lambda z, h, a: (
        -0.5 * exp(-0.5 * h * h) / _ROOT_TWO_PI * erf(a * h / math.sqrt(2)),
        exp(-0.5 * h * h * (1 + a * a)) / (2 * math.pi * (1 + a * a)),
    ),
)
