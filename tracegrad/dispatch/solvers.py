"""`scipy.optimize`: for each solver how SciPy is called, the equation that its result satisfies, what the user gets.

A root satisfies f(x) = 0; a minimum that its gradient is 0, in the unknowns that do not lie on a bound; a fixed point
f(x) = x. What is returned beside the solution, `success` or the number of iterations, is that of the run. Begin with
`SOLVERS`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.dispatch.dispatcher import Dispatcher
from tracegrad.dispatch.flows import SOLVE_IVP
from tracegrad.dispatch.implicit import Call, Solution, Solver
from tracegrad.errors import UnsupportedError
from tracegrad.ops.numpy_forms import value
from tracegrad.ops.numpy_sampled import real
from tracegrad.tensor.captured import called

_NEAR = 1e-7  # an unknown so close to its bound, beside the size of that, lies on it


def _args(call: Call) -> tuple[Any, ...]:
    args = call.get("args", ())
    return args if isinstance(args, tuple) else (args,)


def _of(function: Callable[..., Any], x: Any, call: Call) -> Any:
    """A function of the user's at the unknowns; of several results the first."""
    found = called(function, x, *_args(call), **(call.get("kwargs") or {}))
    return real(value(found[0] if isinstance(found, tuple) else found))


def _shaped(x: Any, call: Call, name: str = "x0") -> Any:
    """The unknowns as the user's function has them."""
    return x.reshape(np.shape(call[name]))[()]


def _slope(objective: Callable[[Any], Any], x: Any) -> Any:
    return Dispatcher(objective, "gradient", argnums=0, label="grad")(x)


def _number(x: Any) -> Any:
    return x.reshape(())[()]


def _about(found: Any, *names: str) -> dict[str, Any]:
    """What SciPy's result says of these names; some methods do not count everything."""
    return {name: found.get(name, 0) for name in names}


def _outcome(solution: Solution, x: Any, fun: Any, **more: Any) -> Any:
    """As SciPy's `OptimizeResult`."""
    kind = importlib.import_module("scipy.optimize").OptimizeResult
    return kind(x=x, fun=fun, **more, **solution.told(), message=solution.message)


# --- one unknown ------------------------------------------------------------------------------------------------------


def _reported(x: Any, report: Any) -> Solution:
    names = ("converged", "iterations", "function_calls")
    return Solution(x, {name: getattr(report, name) for name in names}, str(report.flag))


def _run_bracketed(theirs: Callable[..., Any], call: Call) -> Solution:
    return _reported(*theirs(**{**call, "full_output": True}))


def _root_equation(x: Any, call: Call) -> Any:
    return _of(call["f"], x[0], call)


def _report(name: str, solution: Solution, call: Call) -> Any:
    """As SciPy's `RootResults`."""
    found = importlib.import_module("scipy.optimize").RootResults(_number(solution.x), 0, 0, 0, name)
    found.update(**solution.told(), flag=solution.message)
    return found


def _bracketed(name: str) -> Solver:
    def result(solution: Solution, call: Call) -> Any:
        x = _number(solution.x)
        return (x, _report(name, solution, call)) if call["full_output"] else x

    return Solver(f"scipy.optimize.{name}", _run_bracketed, _root_equation, result)


def _run_newton(theirs: Callable[..., Any], call: Call) -> Solution:
    found, report, *_ = theirs(**{**call, "full_output": True})
    if np.ndim(call["x0"]):
        return Solution(found)
    return _reported(found, report)


def _newton_result(solution: Solution, call: Call) -> Any:
    x = _shaped(solution.x, call)
    if not call["full_output"]:
        return x
    if np.ndim(call["x0"]):
        raise UnsupportedError(
            "`scipy.optimize.newton` of several starts is recorded without `full_output`.",
            None,
            "leave it out",
        )
    return x, _report("newton", solution, call)


def _run_root_scalar(theirs: Callable[..., Any], call: Call) -> Solution:
    report = theirs(**call)
    return _reported(report.root, report)


def _fixed_point_equation(x: Any, call: Call) -> Any:
    return _of(call["func"], _shaped(x, call), call) - _shaped(x, call)


# --- systems ----------------------------------------------------------------------------------------------------------


def _run_root(theirs: Callable[..., Any], call: Call) -> Solution:
    found = theirs(**call)
    return Solution(found.x, _about(found, "success", "status", "nfev"), str(found.message))


def _system(name: str) -> Callable[[Any, Call], Any]:
    return lambda x, call: _of(call[name], _shaped(x, call), call)


def _root_result(solution: Solution, call: Call) -> Any:
    x = _shaped(solution.x, call)
    return _outcome(solution, x, _of(call["fun"], x, call))


def _run_fsolve(theirs: Callable[..., Any], call: Call) -> Solution:
    x, told, verdict, message = theirs(**{**call, "full_output": True})
    return Solution(x, {"status": verdict, "nfev": told["nfev"]}, message)


def _fsolve_result(solution: Solution, call: Call) -> Any:
    if not call["full_output"]:
        return solution.x
    told = solution.told()
    verdict = told.pop("status")
    return solution.x, {**told, "fvec": _of(call["func"], solution.x, call)}, verdict, solution.message


# --- minima -----------------------------------------------------------------------------------------------------------


def _free(x: Any, bounds: Any, near: float = _NEAR) -> Any:
    """1 for an unknown between its bounds, 0 for one that lies on one."""
    if bounds is None:
        return None
    if hasattr(bounds, "lb"):
        low, high = bounds.lb, bounds.ub
    else:
        low, high = zip(*bounds, strict=True)
    low, high = (
        np.array([unbounded if b is None else b for b in np.broadcast_to(side, x.shape).tolist()], float)
        for side, unbounded in ((low, -np.inf), (high, np.inf))
    )
    on_bound = [
        np.isfinite(b) & (np.abs(x - b) <= near * np.maximum(1.0, np.abs(np.where(np.isfinite(b), b, 0.0))))
        for b in (low, high)
    ]
    return 1.0 - (on_bound[0] | on_bound[1])


def _run_minimize(theirs: Callable[..., Any], call: Call) -> Solution:
    if np.size(call["constraints"]):
        raise UnsupportedError(
            "`scipy.optimize.minimize` is recorded without its argument `constraints`.",
            None,
            "write the conditions of the minimum with their multipliers, and solve them with root",
        )
    found = theirs(**call)
    free = _free(np.atleast_1d(found.x), call["bounds"])
    return Solution(found.x, _about(found, "success", "status", "nfev", "nit"), str(found.message), free)


def _minimum_equation(x: Any, call: Call) -> Any:
    shape = np.shape(call["x0"]) or (1,)
    return _slope(lambda x: _of(call["fun"], x.reshape(shape), call), x)


def _minimum_result(solution: Solution, call: Call) -> Any:
    return _outcome(solution, solution.x, _number(_of(call["fun"], solution.x, call)))


def _run_along(theirs: Callable[..., Any], call: Call) -> Solution:
    found = theirs(**call)
    near = 3 * (call["options"] or {}).get("xatol", 1e-5)
    bounds = call["bounds"]
    free = None if bounds is None else _free(np.array([float(found.x)]), [tuple(bounds)], near)
    return Solution(found.x, _about(found, "success", "nfev", "nit"), str(found.get("message", "")), free)


def _run_section(theirs: Callable[..., Any], call: Call) -> Solution:
    x, _, *counts = theirs(**{**call, "full_output": True})
    return Solution(x, {f"count {k}": number for k, number in enumerate(counts)})


def _section_result(solution: Solution, call: Call) -> Any:
    x = _number(solution.x)
    return (x, _of(call["func"], x, call), *solution.told().values()) if call["full_output"] else x


def _along_result(solution: Solution, call: Call) -> Any:
    x = _number(solution.x)
    return _outcome(solution, x, _of(call["fun"], x, call))


# --- least squares ----------------------------------------------------------------------------------------------------

_LOSSES: dict[str, Callable[[Any], Any]] = {
    "linear": lambda z: z,
    "soft_l1": lambda z: 2 * ((1 + z) ** 0.5 - 1),
    "huber": lambda z: np.where(z <= 1, z, 2 * np.where(z <= 1, 1.0, z) ** 0.5 - 1),
    "cauchy": lambda z: np.log1p(z),
    "arctan": lambda z: np.arctan(z),
}


def _run_least_squares(theirs: Callable[..., Any], call: Call) -> Solution:
    found = theirs(**call)
    free = 1.0 * (np.asarray(found.active_mask) == 0)
    return Solution(found.x, _about(found, "success", "status", "nfev"), str(found.message), free)


def _cost(x: Any, call: Call) -> Any:
    if callable(call["loss"]):
        raise UnsupportedError(
            "`scipy.optimize.least_squares` is recorded for its own losses, by their names.",
            None,
            "minimize the sum of the losses with scipy.optimize.minimize",
        )
    scale = call["f_scale"]
    return 0.5 * scale**2 * np.sum(_LOSSES[call["loss"]]((_of(call["fun"], x, call) / scale) ** 2))


def _least_squares_result(solution: Solution, call: Call) -> Any:
    x = solution.x
    return _outcome(solution, x, _of(call["fun"], x, call), cost=_cost(x, call))


def _run_curve_fit(theirs: Callable[..., Any], call: Call) -> Solution:
    more = call.get("kwargs") or {}
    x, _, told, message, verdict = theirs(
        **{k: v for k, v in call.items() if k != "kwargs"} | {"full_output": True}, **more
    )
    low, high = (call["bounds"].lb, call["bounds"].ub) if hasattr(call["bounds"], "lb") else call["bounds"]
    low, high = (np.broadcast_to(np.asarray(b, float), x.shape) for b in (low, high))
    about = {"status": verdict, "nfev": told["nfev"]}
    return Solution(x, about, message, _free(x, list(zip(low, high, strict=True))))


def _misfit(x: Any, call: Call) -> Any:
    """The residuals of a fit in units of their errors."""
    y, sigma = real(value(call["ydata"])), call["sigma"]
    found = called(call["f"], call["xdata"], *(x[k] for k in range(x.shape[0])))
    residuals = real(value(found)) - y
    if sigma is None:
        return residuals
    sigma = real(value(sigma))
    return residuals / sigma if sigma.ndim < 2 else np.linalg.solve(np.linalg.cholesky(sigma), residuals)


def _fit_equation(x: Any, call: Call) -> Any:
    return _slope(lambda x: 0.5 * np.sum(_misfit(x, call) ** 2), x)


def _fit_result(solution: Solution, call: Call) -> Any:
    x = solution.x
    pushed = Dispatcher(lambda x: _misfit(x, call), "jvp", argnums=0, label="jvp")
    n = x.shape[0]
    columns = [pushed((x,), (row,)) for row in np.eye(n)]
    slopes = np.stack([tangent for _, tangent in columns], axis=1)
    residuals = columns[0][0]
    covariance = np.linalg.inv(slopes.T @ slopes)
    if not call["absolute_sigma"]:
        left = residuals.shape[0] - n
        covariance = covariance * (np.sum(residuals**2) / left) if left > 0 else np.full((n, n), np.inf)
    if not call["full_output"]:
        return x, covariance
    told = solution.told()
    verdict = told.pop("status")
    return x, covariance, {**told, "fvec": residuals}, solution.message, verdict


_ALL = [
    *map(_bracketed, ("brentq", "brenth", "bisect", "ridder", "toms748")),
    Solver(
        "scipy.optimize.newton",
        _run_newton,
        lambda x, call: _of(call["func"], _shaped(x, call), call),
        _newton_result,
    ),
    Solver(
        "scipy.optimize.root_scalar",
        _run_root_scalar,
        _root_equation,
        lambda solution, call: _report(call["method"] or "", solution, call),
    ),
    Solver(
        "scipy.optimize.fixed_point",
        lambda theirs, call: Solution(theirs(**call)),
        _fixed_point_equation,
        lambda solution, call: _shaped(solution.x, call),
    ),
    Solver("scipy.optimize.root", _run_root, _system("fun"), _root_result),
    Solver("scipy.optimize.fsolve", _run_fsolve, _system("func"), _fsolve_result),
    Solver(
        "scipy.optimize.minimize",
        _run_minimize,
        _minimum_equation,
        _minimum_result,
        ("bounds", "constraints"),
    ),
    Solver(
        "scipy.optimize.minimize_scalar",
        _run_along,
        lambda x, call: _slope(lambda x: _of(call["fun"], x[0], call), x),
        _along_result,
        ("bounds",),
    ),
    *(
        Solver(
            f"scipy.optimize.{name}",
            _run_section,
            lambda x, call: _slope(lambda x: _of(call["func"], x[0], call), x),
            _section_result,
        )
        for name in ("golden", "brent")
    ),
    Solver(
        "scipy.optimize.least_squares",
        _run_least_squares,
        lambda x, call: _slope(lambda x: _cost(x, call), x),
        _least_squares_result,
        ("bounds",),
    ),
    Solver("scipy.optimize.curve_fit", _run_curve_fit, _fit_equation, _fit_result, ("bounds",)),
]
SOLVERS: dict[str, Solver] = {solver.name: solver for solver in (*_ALL, SOLVE_IVP)}
"""Solvers by their full names."""
