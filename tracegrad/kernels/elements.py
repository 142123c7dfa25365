"""Functions of one element for compiled programs, and the loops that apply them to arrays.

Special functions: `math` has erf, erfc and lgamma; the others are written out here.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import math

import numpy as np


def chosen(condition, x, y):
    """`x` where the condition holds, else `y`; scalars."""
    return x if condition else y


def clipped(x, low, high):
    """`np.clip` of a number, which Numba has for arrays alone."""
    return np.minimum(np.maximum(x, low), high)


def step_at_zero(x, middle):
    """`np.heaviside`."""
    if x == 0.0:
        return middle
    return x if x != x else (1.0 if x > 0.0 else 0.0)


def exponent_of(x):
    """The second of `np.frexp`."""
    return np.int32(math.frexp(x)[1])


def chosen_arrays(condition, x, y, zero):
    """`np.where` of three arrays of one shape; `zero` says the dtype."""
    flags, first, second = flat_of(condition), flat_of(x), flat_of(y)
    out = np.full(flags.size, zero)
    for i in range(flags.size):
        out[i] = first[i] if flags[i] else second[i]
    return out.reshape(condition.shape)


def chosen_or_number(condition, x, y, zero):
    """`np.where` of an array or a number."""
    flags, first = flat_of(condition), flat_of(x)
    out = np.full(flags.size, zero)
    for i in range(flags.size):
        out[i] = first[i] if flags[i] else y
    return out.reshape(condition.shape)


def number_or_chosen(condition, x, y, zero):
    """`np.where` of a number or an array."""
    flags, second = flat_of(condition), flat_of(y)
    out = np.full(flags.size, zero)
    for i in range(flags.size):
        out[i] = x if flags[i] else second[i]
    return out.reshape(condition.shape)


def chosen_numbers(condition, x, y, zero):
    """`np.where` of two numbers."""
    flags = flat_of(condition)
    out = np.full(flags.size, zero)
    for i in range(flags.size):
        out[i] = x if flags[i] else y
    return out.reshape(condition.shape)


def flat_of(x):
    """An array as a vector."""
    return np.ascontiguousarray(x).reshape(x.size)


def erf_of(x):
    """The error function."""
    return math.erf(x)


def erf_each(x):
    """`erf` of every element."""
    out = np.empty(x.shape, x.dtype)
    flat, given = out.reshape(out.size), np.ascontiguousarray(x).reshape(x.size)
    for i in range(given.size):
        flat[i] = erf_of(given[i])
    return out


def erfc_of(x):
    """1 - erf(x), without cancellation."""
    return math.erfc(x)


def erfc_each(x):
    """`erfc` of every element."""
    out = np.empty(x.shape, x.dtype)
    flat, given = out.reshape(out.size), np.ascontiguousarray(x).reshape(x.size)
    for i in range(given.size):
        flat[i] = erfc_of(given[i])
    return out


def gamma_of(x):
    """The gamma function."""
    return math.gamma(x)


def gamma_each(x):
    """`gamma` of every element."""
    out = np.empty(x.shape, x.dtype)
    flat, given = out.reshape(out.size), np.ascontiguousarray(x).reshape(x.size)
    for i in range(given.size):
        flat[i] = gamma_of(given[i])
    return out


def gammaln_of(x):
    """log |gamma(x)|."""
    return math.lgamma(x) if x != -math.inf else x


def gammaln_each(x):
    """`gammaln` of every element."""
    out = np.empty(x.shape, x.dtype)
    flat, given = out.reshape(out.size), np.ascontiguousarray(x).reshape(x.size)
    for i in range(given.size):
        flat[i] = gammaln_of(given[i])
    return out


def expit_of(x):
    """The logistic function."""
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0.0 else math.exp(x) / (1.0 + math.exp(x))


def expit_each(x):
    """`expit` of every element."""
    out = np.empty(x.shape, x.dtype)
    flat, given = out.reshape(out.size), np.ascontiguousarray(x).reshape(x.size)
    for i in range(given.size):
        flat[i] = expit_of(given[i])
    return out


def logit_of(x):
    """log(x / (1 - x))."""
    return np.log(x) - np.log1p(-x)


def logit_each(x):
    """`logit` of every element."""
    out = np.empty(x.shape, x.dtype)
    flat, given = out.reshape(out.size), np.ascontiguousarray(x).reshape(x.size)
    for i in range(given.size):
        flat[i] = logit_of(given[i])
    return out


def log_expit_of(x):
    """log(expit(x)), without overflow."""
    return min(x, 0.0) - math.log1p(math.exp(-abs(x))) if x == x else x


def log_expit_each(x):
    """`log_expit` of every element."""
    out = np.empty(x.shape, x.dtype)
    flat, given = out.reshape(out.size), np.ascontiguousarray(x).reshape(x.size)
    for i in range(given.size):
        flat[i] = log_expit_of(given[i])
    return out


def ndtr_of(x):
    """The normal distribution function."""
    return 0.5 * math.erfc(-x * 0.7071067811865476)


def ndtr_each(x):
    """`ndtr` of every element."""
    out = np.empty(x.shape, x.dtype)
    flat, given = out.reshape(out.size), np.ascontiguousarray(x).reshape(x.size)
    for i in range(given.size):
        flat[i] = ndtr_of(given[i])
    return out


def digamma_of(x):
    """The derivative of log gamma: between 1 and 2 the distance from its root times a ratio (Boost's, as SciPy's is),
    by recurrence up to 10, then the asymptotic series (Abramowitz and Stegun 6.3.18).
    """
    if x <= 0.0:
        if x == math.floor(x):
            return math.nan if x < 0.0 else math.copysign(math.inf, -x)
        total = -math.pi / math.tan(math.pi * (x - math.floor(x + 0.5)))
        x = 1.0 - x
    else:
        total = 0.0
    if x >= 10.0:
        s = 1.0 / (x * x)
        series = s * (
            1 / 12 - s * (1 / 120 - s * (1 / 252 - s * (1 / 240 - s * (1 / 132 - s * 691 / 32760))))
        )
        return total + math.log(x) - 0.5 / x - series
    if x < 1.0:
        total -= 1.0 / x
        x += 1.0
    while x > 2.0:
        x -= 1.0
        total += 1.0 / x
    distance = x - 1.4616321446374059 - 3.309564688275257e-10 - 9.01631209325869e-20
    ratio = ratio_of(
        x - 1.0,
        (0.25479851061131551, -0.32555031186804491, -0.65031853770896507, -0.28919126444774784,
         -0.045251321448739056, -0.0020713321167745952, 0.0),
        (1.0, 2.0767117023730469, 1.4606242909763515, 0.43593529692665969, 0.054151797245674225,
         0.0021284987017821144, -0.55789841321675513e-6),
    )  # fmt: skip
    return total + (distance * 0.99558162689208984375 + distance * ratio)


def digamma_each(x):
    """`digamma` of every element."""
    out = np.empty(x.shape, x.dtype)
    flat, given = out.reshape(out.size), np.ascontiguousarray(x).reshape(x.size)
    for i in range(given.size):
        flat[i] = digamma_of(given[i])
    return out


def xlogy_of(x, y):
    """x log(y), which is 0 where x is 0."""
    return 0.0 if x == 0.0 and y == y else x * np.log(y)


def xlogy_each(x, y, shape):
    """`xlogy` of every pair of elements."""
    first, second = spread_flat(x, shape), spread_flat(y, shape)
    out = np.empty(first.size)
    for i in range(first.size):
        out[i] = xlogy_of(first[i], second[i])
    return out.reshape(shape)


def spread_flat(x, shape):
    """A scalar or array, repeated to a shape, as a vector."""
    found = x + np.zeros(shape)
    return found.reshape(found.size)


def ratio_of(r, above, below):
    """A quotient of two polynomials in `r`, coefficients from the constant up."""
    top, bottom = 0.0, 0.0
    for k in range(len(above) - 1, -1, -1):
        top = top * r + above[k]
        bottom = bottom * r + below[k]
    return top / bottom


def quantile_of(q, tail):
    """The normal quantile of p = q + 1/2, where `tail` is the smaller of p and 1 - p.

    Wichura, Algorithm AS 241, Applied Statistics 37, 1988: 16 digits.
    """
    if abs(q) <= 0.425:
        return q * ratio_of(
            0.180625 - q * q,
            (
                3.3871328727963665,
                133.14166789178438,
                1971.5909503065513,
                13731.69376550946,
                45921.95393154987,
                67265.7709270087,
                33430.57558358813,
                2509.0809287301227,
            ),
            (
                1.0,
                42.31333070160091,
                687.1870074920579,
                5394.196021424751,
                21213.794301586597,
                39307.89580009271,
                28729.085735721943,
                5226.495278852854,
            ),
        )
    if not tail > 0.0:
        return math.copysign(math.inf, q) if tail == 0.0 else math.nan
    r = math.sqrt(-math.log(tail))
    if r <= 5.0:
        found = ratio_of(
            r - 1.6,
            (1.4234371107496835, 4.630337846156546, 5.769497221460691, 3.6478483247632045,
             1.2704582524523684, 0.2417807251774506, 0.022723844989269184, 0.0007745450142783414),
            (1.0, 2.053191626637759, 1.6763848301838038, 0.6897673349851, 0.14810397642748008,
             0.015198666563616457, 0.0005475938084995345, 1.0507500716444169e-09),
        )  # fmt: skip
    else:
        found = ratio_of(
            r - 5.0,
            (6.657904643501103, 5.463784911164114, 1.7848265399172913, 0.29656057182850487,
             0.026532189526576124, 0.0012426609473880784, 2.7115555687434876e-05, 2.0103343992922881e-07),
            (1.0, 0.599832206555888, 0.1369298809227358, 0.014875361290850615, 0.0007868691311456133,
             1.8463183175100548e-05, 1.421511758316446e-07, 2.0442631033899397e-15),
        )  # fmt: skip
    return math.copysign(found, q)


def ndtri_of(x):
    """The inverse of the normal distribution function."""
    return quantile_of(x - 0.5, min(x, 1.0 - x))


def ndtri_each(x):
    """`ndtri` of every element."""
    out = np.empty(x.shape, x.dtype)
    flat, given = out.reshape(out.size), np.ascontiguousarray(x).reshape(x.size)
    for i in range(given.size):
        flat[i] = ndtri_of(given[i])
    return out


def erfinv_of(x):
    """The inverse of erf."""
    if abs(x) < 1e-150:  # half of the smallest numbers is 0
        return x * 0.886226925452758
    return quantile_of(0.5 * x, 0.5 - 0.5 * abs(x)) * 0.7071067811865476


def erfinv_each(x):
    """`erfinv` of every element."""
    out = np.empty(x.shape, x.dtype)
    flat, given = out.reshape(out.size), np.ascontiguousarray(x).reshape(x.size)
    for i in range(given.size):
        flat[i] = erfinv_of(given[i])
    return out


def erfcinv_of(x):
    """The inverse of erfc."""
    return -quantile_of(0.5 * x - 0.5, min(0.5 * x, 1.0 - 0.5 * x)) * 0.7071067811865476


def erfcinv_each(x):
    """`erfcinv` of every element."""
    out = np.empty(x.shape, x.dtype)
    flat, given = out.reshape(out.size), np.ascontiguousarray(x).reshape(x.size)
    for i in range(given.size):
        flat[i] = erfcinv_of(given[i])
    return out


def erfcx_of(x):
    """exp(x**2) erfc(x): so, or where erfc is tiny its continued fraction (Abramowitz and Stegun 7.1.14)."""
    if x < 2.5:
        return math.exp(x * x) * math.erfc(x)
    found = x
    for k in range(60, 0, -1):
        found = x + 0.5 * k / found
    return 0.5641895835477563 / found


def erfcx_each(x):
    """`erfcx` of every element."""
    out = np.empty(x.shape, x.dtype)
    flat, given = out.reshape(out.size), np.ascontiguousarray(x).reshape(x.size)
    for i in range(given.size):
        flat[i] = erfcx_of(given[i])
    return out


def log_ndtr_of(x):
    """log of the normal distribution function, far into the lower tail."""
    if x < -1.0:
        return math.log(0.5 * erfcx_of(-x * 0.7071067811865476)) - 0.5 * x * x
    return math.log1p(-0.5 * math.erfc(x * 0.7071067811865476))


def log_ndtr_each(x):
    """`log_ndtr` of every element."""
    out = np.empty(x.shape, x.dtype)
    flat, given = out.reshape(out.size), np.ascontiguousarray(x).reshape(x.size)
    for i in range(given.size):
        flat[i] = log_ndtr_of(given[i])
    return out


def entr_of(x):
    """-x log(x)."""
    return -x * math.log(x) if x > 0.0 else 0.0 if x == 0.0 else -math.inf if x < 0.0 else x


def entr_each(x):
    """`entr` of every element."""
    out = np.empty(x.shape, x.dtype)
    flat, given = out.reshape(out.size), np.ascontiguousarray(x).reshape(x.size)
    for i in range(given.size):
        flat[i] = entr_of(given[i])
    return out


def xlog1py_of(x, y):
    """x log(1 + y), which is 0 where x is 0."""
    return 0.0 if x == 0.0 and y == y else x * np.log1p(y)


def xlog1py_each(x, y, shape):
    """`xlog1py` of every pair of elements."""
    first, second = spread_flat(x, shape), spread_flat(y, shape)
    out = np.empty(first.size)
    for i in range(first.size):
        out[i] = xlog1py_of(first[i], second[i])
    return out.reshape(shape)


def rel_entr_of(x, y):
    """x log(x / y), which is 0 where x is 0 and y is not negative."""
    if x > 0.0 and y > 0.0:
        ratio = x / y
        return x * (math.log(ratio) if 0.0 < ratio < math.inf else math.log(x) - math.log(y))
    return 0.0 if x == 0.0 and y >= 0.0 else math.nan if x != x or y != y else math.inf


def rel_entr_each(x, y, shape):
    """`rel_entr` of every pair of elements."""
    first, second = spread_flat(x, shape), spread_flat(y, shape)
    out = np.empty(first.size)
    for i in range(first.size):
        out[i] = rel_entr_of(first[i], second[i])
    return out.reshape(shape)


def kl_div_of(x, y):
    """x log(x / y) - x + y, which is y where x is 0 and y is not negative, and infinite outside of that."""
    if x > 0.0 and y > 0.0:
        return x * math.log(x / y) - x + y
    return y if x == 0.0 and y >= 0.0 else math.nan if x != x or y != y else math.inf


def kl_div_each(x, y, shape):
    """`kl_div` of every pair of elements."""
    first, second = spread_flat(x, shape), spread_flat(y, shape)
    out = np.empty(first.size)
    for i in range(first.size):
        out[i] = kl_div_of(first[i], second[i])
    return out.reshape(shape)


def betaln_of(x, y):
    """log |beta(x, y)|: of whole numbers below 1 and of very unequal numbers as Moshier's Cephes has it (1989)."""
    first, second = x <= 0.0 and x == np.floor(x), y <= 0.0 and y == np.floor(y)
    if not first and not second:
        return unequal_betaln_of(x, y)
    pole, other = (x, y) if first else (y, x)
    rest = 1.0 - pole - other
    if math.isinf(pole) or other != np.floor(other) or not rest > 0.0 or other <= 0.0:
        return math.inf
    return unequal_betaln_of(rest, other)


def unequal_betaln_of(x, y):
    """`betaln_of` beside its poles: where one number is far larger, log gamma of it would cancel."""
    a, b = (x, y) if abs(x) > abs(y) else (y, x)
    if not (a > 1e6 and a > 1e6 * abs(b)):
        return math.lgamma(x) + math.lgamma(y) - math.lgamma(x + y)
    r, c = 1.0 / a, b * (1.0 - b)
    near = 0.5 * c * r * (1.0 + (1.0 - 2.0 * b) * r / 6.0) - c * c * r * r * r / 12.0
    return math.lgamma(b) - b * math.log(a) + near


def betaln_each(x, y, shape):
    """`betaln` of every pair of elements."""
    first, second = spread_flat(x, shape), spread_flat(y, shape)
    out = np.empty(first.size)
    for i in range(first.size):
        out[i] = betaln_of(first[i], second[i])
    return out.reshape(shape)


ONE_BY_ONE = frozenset(
    f"{name}_of"
    for name in (
        *("gamma", "gammaln", "digamma", "betaln", "erfcx", "log_ndtr", "ndtri", "erfinv", "erfcinv"),
        *("xlogy", "xlog1py", "entr", "rel_entr", "kl_div"),
    )
)
"""Those that call the C library, or go in rounds: of these no compiler makes vectors."""
