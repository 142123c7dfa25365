"""Integrals of functions: `scipy.integrate.odeint` and `quad`, step by step on traced values.

SciPy's are compiled and take plain numbers alone; where nothing is traced, they run. Otherwise the steps are chosen
here, to SciPy's tolerances, so the values are those of SciPy to that accuracy; every choice is a guard. The derivative
is that of the steps taken, of sizes held fixed. Begin with `odeint`.
"""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable
from typing import Any

from tracegrad.errors import UnsupportedError
from tracegrad.ops.arithmetic import stop_gradient
from tracegrad.ops.compare import absolute
from tracegrad.ops.families import broadcast_to
from tracegrad.ops.numpy_forms import holds_traced, is_traced, operand, value
from tracegrad.ops.numpy_reduce import mean
from tracegrad.ops.numpy_sampled import real
from tracegrad.ops.numpy_shape import stack
from tracegrad.ops.scipy_forms import under

_TOLERANCE = 1.49012e-8  # of `odeint` and of `quad`


def takes_functions(ours: Callable[..., Any]) -> Callable[..., Any]:
    """Ours answers also where no argument is traced: what is differentiated may stand in the function given."""
    ours.takes_functions = True  # type: ignore[attr-defined]
    return ours


# --- differential equations -------------------------------------------------------------------------------------------


@functools.cache
def _scipy() -> Any:
    return importlib.import_module("scipy.integrate")


@functools.cache
def _tableau() -> Any:
    return importlib.import_module("scipy.integrate._ivp.dop853_coefficients")


def _norm(x: Any) -> Any:
    return mean(x * x) ** 0.5


def _step(function: Callable[..., Any], t: Any, y: Any, f: Any, h: Any, scale: Callable[..., Any]) -> Any:
    """One step of order 8, its last slope, and its error over the tolerance: Hairer, Nørsett and Wanner, II.10."""
    table = _tableau()
    slopes = [f]
    for s in range(1, table.N_STAGES):
        moved = sum(
            (table.A[s, j] * slopes[j] for j in range(1, s) if table.A[s, j]), start=table.A[s, 0] * f
        )
        slopes.append(function(t + table.C[s] * h, y + h * moved))
    moved = sum((b * k for b, k in zip(table.B[1:], slopes[1:], strict=True) if b), start=table.B[0] * f)
    after = y + h * moved
    slopes.append(function(t + h, after))
    room = scale(y, after)
    fifth, third = (
        sum((e * k for e, k in zip(weights, slopes, strict=True) if e), start=0.0 * f) / room
        for weights in (table.E5, table.E3)
    )
    above = mean(fifth * fifth)
    below = above + 0.01 * mean(third * third)
    error = absolute(h) * above / (below + 1e-300) ** 0.5
    return after, slopes[-1], stop_gradient(error)


def _first_step(function: Callable[..., Any], t: Any, y: Any, f: Any, sign: float, room: Any) -> Any:
    """Hairer, Nørsett and Wanner, II.4."""
    size, slope = _norm(y / room), _norm(f / room)
    h = 1e-6 if size < 1e-5 or slope < 1e-5 else 0.01 * size / slope
    turn = _norm((function(t + h * sign, y + h * sign * f) - f) / room) / h
    steep = slope if slope > turn else turn
    if steep <= 1e-15:
        return max(1e-6, float(stop_gradient(h)) * 1e-3) if not is_traced(h) else h * 1e-3 + 1e-6
    other = (0.01 / steep) ** (1 / 8)
    return stop_gradient(operand(100 * h if 100 * h < other else other))


@takes_functions
def odeint(
    func: Callable[..., Any],
    y0: Any,
    t: Any,
    args: Any = (),
    Dfun: Any = None,
    col_deriv: Any = 0,
    full_output: Any = 0,
    ml: Any = None,
    mu: Any = None,
    rtol: Any = None,
    atol: Any = None,
    tcrit: Any = None,
    h0: Any = 0.0,
    hmax: Any = 0.0,
    hmin: Any = 0.0,
    ixpr: Any = 0,
    mxstep: Any = 0,
    mxhnil: Any = 0,
    mxordn: Any = 12,
    mxords: Any = 5,
    printmessg: Any = 0,
    tfirst: bool = False,
) -> Any:
    if full_output:
        raise UnsupportedError(
            "`scipy.integrate.odeint` is recorded without its argument `full_output`.", None, "leave it out"
        )
    args = args if isinstance(args, tuple) else (args,)
    if len(operand(t).shape) != 1:
        raise ValueError("Output times t must be one-dimensional.")
    first = func(value(t)[0], value(y0), *args) if tfirst else func(value(y0), value(t)[0], *args)
    if not holds_traced([t, y0, args, first]):
        options = {"Dfun": Dfun, "rtol": rtol, "atol": atol, "tfirst": tfirst, "mxstep": mxstep, "h0": h0}
        return _scipy().odeint(func, y0, t, args, **options)
    rtol, atol = (_TOLERANCE if x is None else x for x in (rtol, atol))
    times, y = real(value(t)), real(value(y0))
    shape = y.shape
    y = y if y.ndim else broadcast_to(y, shape=(1,))
    if y.ndim > 1:
        raise ValueError("Initial condition y0 must be one-dimensional.")

    def function(now: Any, state: Any) -> Any:
        found = value(func(now, state, *args) if tfirst else func(state, now, *args))
        found = real(found)
        return found if found.ndim else broadcast_to(found, shape=(1,))

    def scale(before: Any, after: Any) -> Any:
        return stop_gradient(atol + rtol * _larger(absolute(before), absolute(after)))

    rows, h = [y], None
    for k in range(times.shape[0] - 1):
        now, end = times[k], times[k + 1]
        if end == now:
            rows.append(y)
            continue
        sign = 1.0 if end > now else -1.0
        f = function(now, y)
        if f.shape != y.shape:
            raise RuntimeError(
                f"The array return by func must be one-dimensional, but got ndim={f.ndim}."
                if f.ndim != 1
                else f"The size of the array returned by func ({f.shape[0]}) does not match the size of y0 "
                f"({y.shape[0]})."
            )
        h = _first_step(function, now, y, f, sign, scale(y, y)) if h is None else h
        done = 0.0  # the share of this interval that lies behind
        for _ in range(mxstep or 5000):
            rest = (end - now) * (1 - done)
            far = absolute(rest)
            last = bool(h >= far * 0.999999)
            # The share is held fixed, so that a step ends at `end` also where that is differentiated.
            share = 1 - done if last else stop_gradient(operand(h / absolute(end - now)))
            after, slope, error = _step(function, now + (end - now) * done, y, f, (end - now) * share, scale)
            if error < 1:
                factor = 10.0 if error < 1e-9 else 0.9 * error ** (-1 / 8)
                grown = h * (factor if factor < 10.0 else 10.0)
                y, f, done = after, slope, done + share
                if last:
                    h = grown if grown > h else h
                    break
                h = grown
            else:
                factor = 0.9 * error ** (-1 / 8)
                h = (far if last else h) * (factor if factor > 0.2 else 0.2)
        else:
            raise RuntimeError("Excess work done on this call (perhaps wrong Dfun type).")
        rows.append(y)
    found = stack(rows, 0)
    return found if shape or found.ndim == 2 else found[:, None]


def _larger(a: Any, b: Any) -> Any:
    return 0.5 * (a + b + absolute(a - b))


under("scipy.integrate.odeint")(odeint)


# --- integrals over an interval ---------------------------------------------------------------------------------------

_PLACES = (
    *(0.995657163025808080735527280689003, 0.973906528517171720077964012084452),
    *(0.930157491355708226001207180059508, 0.865063366688984510732096688423493),
    *(0.780817726586416897063717578345042, 0.679409568299024406234327365114874),
    *(0.562757134668604683339000099272694, 0.433395394129247190799265943165784),
    *(0.294392862701460198131126603103866, 0.14887433898163121088482600112972),
    0.0,
)
_OF_KRONROD = (
    *(0.011694638867371874278064396062192, 0.03255816230796472747881897245939),
    *(0.05475589657435199603138130024458, 0.07503967481091995276704314091619),
    *(0.093125454583697605535065465083366, 0.109387158802297641899210590325805),
    *(0.123491976262065851077958109585166, 0.134709217311473325928054001771707),
    *(0.142775938577060080797094273138717, 0.147739104901338491374841515972068),
    0.149445554002916905664936468389821,
)
_OF_GAUSS = (
    *(0.066671344308688137593568809893332, 0.149451349150580593145863397657697),
    *(0.219086362515982043995534934228163, 0.269266719309996355091226921569469),
    0.295524224714752870173815619188769,
)


def _kronrod(function: Callable[[Any], Any], a: Any, b: Any) -> tuple[Any, Any]:
    """The rule of 21 points and how far the one of 10 is off: Piessens et al., QUADPACK, 1983."""
    middle, half = 0.5 * (a + b), 0.5 * (b - a)
    kronrod = gauss = 0.0
    for k, (place, weight) in enumerate(zip(_PLACES, _OF_KRONROD, strict=True)):
        found = function(middle + half * place)
        if place:
            found = found + function(middle - half * place)
        kronrod = kronrod + weight * found
        if k % 2:
            gauss = gauss + _OF_GAUSS[k // 2] * found
    return kronrod * half, stop_gradient(operand(absolute(operand((kronrod - gauss) * half))))


@takes_functions
def quad(
    func: Callable[..., Any],
    a: Any,
    b: Any,
    args: Any = (),
    full_output: Any = 0,
    epsabs: float = _TOLERANCE,
    epsrel: float = _TOLERANCE,
    limit: int = 50,
    points: Any = None,
    weight: Any = None,
    wvar: Any = None,
    wopts: Any = None,
    maxp1: int = 50,
    limlst: int = 50,
    complex_func: bool = False,
) -> Any:
    for name, given in (("points", points), ("weight", weight)):
        if given is not None:
            raise UnsupportedError(
                f"`scipy.integrate.quad` is recorded without its argument `{name}`.",
                None,
                "split the integral",
            )
    args = args if isinstance(args, tuple) else (args,)
    a, b = map(_limit, (a, b))
    at: Callable[[Any], Any] = lambda x: func(x, *args)  # noqa: E731 (it is replaced where a limit is infinite)
    below, above = (not is_traced(end) and math.isinf(end) for end in (a, b))
    inside = (
        0.5 * (a + b)
        if not (below or above)
        else b - 1.0
        if below and not above
        else 1.0
        if below
        else a + 1.0
    )
    if not holds_traced([a, b, args, at(inside)]):
        return _scipy().quad(func, a, b, args, full_output, epsabs, epsrel, limit, complex_func=complex_func)
    if below or above:
        at, a, b = _mapped(at, a, b)
    pieces = [(a, b, *_kronrod(at, a, b))]
    for _ in range(limit - 1):
        total = sum((p[2] for p in pieces[1:]), start=pieces[0][2])
        error = sum((p[3] for p in pieces[1:]), start=pieces[0][3])
        if error <= epsabs or error <= epsrel * absolute(operand(total)):
            break
        worst = 0
        for k in range(1, len(pieces)):
            if pieces[k][3] > pieces[worst][3]:
                worst = k
        low, high, *_ = pieces.pop(worst)
        middle = 0.5 * (low + high)
        pieces += [(low, middle, *_kronrod(at, low, middle)), (middle, high, *_kronrod(at, middle, high))]
    total = sum((p[2] for p in pieces[1:]), start=pieces[0][2])
    error = sum((p[3] for p in pieces[1:]), start=pieces[0][3])
    return (total, error, {}) if full_output else (total, error)


def _limit(end: Any) -> Any:
    """A limit of an integral; one that is infinite as a plain number, on which nothing depends."""
    if is_traced(end) and absolute(operand(end)) == math.inf:
        return math.inf if end > 0 else -math.inf
    return end


def _mapped(function: Callable[[Any], Any], a: Any, b: Any) -> tuple[Callable[[Any], Any], float, float]:
    """An infinite interval as (0, 1), by x = (1 - t) / t."""
    below, above = (not is_traced(end) and math.isinf(end) for end in (a, b))
    sign = -1.0 if (above and b < 0) or (below and a > 0) else 1.0
    if sign < 0:
        a, b = b, a
        below, above = above, below

    def both(t: Any) -> Any:
        x = (1 - t) / t
        if below and above:
            return sign * (function(x) + function(-x)) / (t * t)
        return sign * function(a + x if above else b - x) / (t * t)

    return both, 0.0, 1.0


under("scipy.integrate.quad")(quad)
