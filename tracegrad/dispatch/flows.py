"""`scipy.integrate.solve_ivp`: SciPy integrates, by any of its methods; the derivative is that of the solution.

Beside y(t) its sensitivities S(t) = dy/dp are integrated, S' = df/dy S + df/dp, to a tolerance of their own; at a time
that moves itself, y moves by f(t, y) besides. They are an integral like any other, so they are differentiated as that
is, to any order. Hairer, Nørsett and Wanner, Solving Ordinary Differential Equations I, 1993, I.14. Begin with `Flow`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad import tree
from tracegrad.dispatch.apart import again, take_apart
from tracegrad.dispatch.dispatcher import Dispatcher
from tracegrad.dispatch.implicit import Call, Equation, Packing, Solution, Solver
from tracegrad.dispatch.steps import aside, differentiable, transposed
from tracegrad.errors import UnsupportedError
from tracegrad.ops.called import Called
from tracegrad.ops.numpy_forms import value
from tracegrad.ops.numpy_sampled import real
from tracegrad.tensor.captured import called, outer_session

_TIGHT = {"rtol": 1e-9, "atol": 1e-11}
_EXPLICIT = ("RK45", "RK23", "DOP853")


def _run(theirs: Callable[..., Any], call: Call) -> Solution:
    given = {k: v for k, v in call.items() if k != "options"}
    found = theirs(**given, **call["options"])
    if call["t_eval"] is not None and found.y.shape[1] != np.size(call["t_eval"]):
        raise RuntimeError(found.message)
    names = ("nfev", "njev", "nlu", "status", "success")
    return Solution(found.y, {name: found[name] for name in names}, found.message)


def _result(solution: Solution, call: Call) -> Any:
    times = real(value(call["t_eval"]))
    return importlib.import_module("scipy.integrate").solve_ivp.__globals__["OdeResult"](
        t=times,
        y=solution.x.reshape((-1, times.shape[0])),
        sol=None,
        t_events=None,
        y_events=None,
        message=solution.message,
        **solution.told(),
    )


def _row(x: Any) -> Any:
    return np.ravel(real(value(x)))


class _Moving(Equation):
    """Calls of `solve_ivp` that differ in their leaves alone, as one step."""

    def _slope(self, t: Any, y: Any, *inputs: Any) -> Any:
        call = self._call(inputs)
        return _row(called(call["fun"], t, y, *(call["args"] or ())))

    def _derivative(self, name: str, k: int, word: str) -> Called | None:
        if k > 1:
            return None
        by_state = Dispatcher(self._slope, "vjp", argnums=(1, 2 + k), label="vjp")
        starts, ends, times = (
            Dispatcher(lambda *inputs, part=part: part(self._call(inputs)), "vjp", argnums=k, label="vjp")
            for part in (
                lambda call: _row(call["y0"]),
                lambda call: _row(call["t_span"][0]),
                lambda call: _row(call["t_eval"]),
            )
        )

        def together(t: Any, state: Any, *inputs: Any) -> Any:
            width = inputs[k].shape[0]
            n = state.shape[0] // (width + 1)
            found, pull = by_state(t, state[:n], *inputs)
            rows = [pull(row) for row in np.eye(n)]
            by_y, by_p = (np.stack(part, axis=0) for part in zip(*rows, strict=True))
            moved = by_y @ state[n:].reshape((n, width)) + by_p
            return np.concatenate([found, np.ravel(moved)])

        def cotangent(g: Any, z: Any, *inputs: Any) -> Any:
            call, width = self._call(inputs), inputs[k].shape[0]
            y0, times_now = _row(call["y0"]), _row(call["t_eval"])
            n, m = y0.shape[0], times_now.shape[0]
            start = _jacobian(starts, inputs, n)
            if self._holds("t_span", k):
                slope = self._slope(call["t_span"][0], y0, *inputs)
                start = start - slope[:, None] * _jacobian(ends, inputs, 1)
            found = SOLVE_IVP(
                together,
                tuple(call["t_span"]),
                np.concatenate([y0, np.ravel(start)]),
                method="DOP853" if call["method"] in _EXPLICIT else "LSODA",
                t_eval=times_now,
                args=tuple(inputs),
                **_TIGHT,
            ).y
            weights = g[: n * m].reshape((n, m))
            total = np.einsum("im,ipm->p", weights, found[n:].reshape((n, width, m)))
            if self._holds("t_eval", k):
                slopes = [self._slope(times_now[i], found[:n, i], *inputs) for i in range(m)]
                rates = np.stack([np.sum(weights[:, i] * slopes[i]) for i in range(m)], axis=0)
                total = total + times(*inputs)[1](rates)
            return total

        function = cotangent if word == "vjp" else transposed(cotangent, lambda z, inputs: z)
        return differentiable(name, function, None)

    def _holds(self, name: str, k: int) -> bool:
        """Whether something in an argument is part of the vector of this number."""
        marks = [_Mark(kind) for kind, *_ in self.packing.kinds]
        leaves = tree.flatten(again(self.form, marks)[name])[0]
        return any(isinstance(leaf, _Mark) and leaf.kind == k for leaf in leaves)


class _Mark:
    """Stands for a leaf of one of the vectors."""

    def __init__(self, kind: int) -> None:
        self.kind = kind


def _jacobian(pulled: Dispatcher, inputs: Any, n: int) -> Any:
    pull = pulled(*inputs)[1]
    return np.stack([pull(row) for row in np.eye(n)], axis=0)


class Flow(Solver):
    """`solve_ivp` under capture."""

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """The answer to a call; times that are left to SciPy are those of its steps, held fixed between the ends."""
        call = self.by_name(args, keywords)
        for name, do in (
            (
                "events",
                "find the time t with scipy.optimize.brentq, of solve_ivp(fun, (t0, t), y0, t_eval=[t])",
            ),
            ("dense_output", "name the times in `t_eval`"),
        ):
            if call[name]:
                raise UnsupportedError(
                    f"`scipy.integrate.solve_ivp` is recorded without its argument `{name}`.", None, do
                )
        if call["args"] is not None and not isinstance(call["args"], tuple):
            call["args"] = tuple(call["args"])
        session = outer_session()
        if call["t_eval"] is None:
            apart = take_apart(call)
            plain = again(apart.form, Packing.of(apart.leaves).leaves(*_values(apart.leaves)))
            steps = aside(lambda: _steps(self.theirs, plain), self.name, None)()
            if session is not None:
                session.recording.not_repeatable(f"calls `{self.name}`, which chooses its own times")
            first, last = (_row(end) for end in call["t_span"])
            call["t_eval"] = np.concatenate([first, steps[1:-1], last])
        return self.answer(call)


def _values(leaves: Any) -> tuple[Any, ...]:
    return tuple(getattr(x, "value", x) for x in Packing.of(leaves).inputs(leaves))


def _steps(theirs: Callable[..., Any], call: Call) -> Any:
    found = theirs(**{k: v for k, v in call.items() if k != "options"}, **call["options"])
    if not found.success:
        raise RuntimeError(found.message)
    return found.t


SOLVE_IVP = Flow("scipy.integrate.solve_ivp", _run, None, _result, kind=_Moving)
