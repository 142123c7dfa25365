"""Solutions of equations as steps: SciPy solves, the derivative is that of the equation which the solution satisfies.

A solver is given functions of the user's. The call is taken apart into its form and its leaves; the step computes the
solution from the leaves, by SciPy's own solver on plain numbers, whenever a program comes to it. Where G(x, p) = 0 the
derivative of x with respect to p is -(dG/dx)^-1 dG/dp, whatever the iterations were; it is computed by functions that
are differentiated as any other, so the second derivative is that of the equation as well. Griewank and Walther,
Evaluating Derivatives, 2nd ed., SIAM 2008, chapter 15. Begin with `Solver`.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tracegrad.dispatch.apart import again, objects_in, take_apart
from tracegrad.dispatch.dispatcher import Dispatcher
from tracegrad.dispatch.steps import aside, differentiable, transposed
from tracegrad.errors import UnsupportedError
from tracegrad.ops.arithmetic import stop_gradient
from tracegrad.ops.called import Called
from tracegrad.ops.operators import Operators
from tracegrad.tensor.captured import outer_session

_KEPT = 256

Call = dict[str, Any]


_AS: dict[str, Callable[[Any], Any]] = {"success": bool, "converged": bool, "status": int}


@dataclass(frozen=True)
class Solution:
    """What SciPy found: the unknowns, flat; numbers about them by name; a text; which of the unknowns may move."""

    x: Any
    numbers: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    free: Any = None

    def told(self) -> dict[str, Any]:
        """The numbers as SciPy gives them: verdicts as they are, counts as whole numbers."""
        return {name: _AS.get(name, count)(number) for name, number in self.numbers.items()}


def count(x: Any) -> Any:
    """A number of steps or calls as a whole number; it differs from call to call, so a traced one is not guarded."""
    traced: Any = x
    return traced.astype(np.int64) if isinstance(x, Operators) else int(x)


class Solver:
    """What a function of SciPy's of this name solves.

    Parameters
    ----------
    name : str
        In full, `scipy.optimize.brentq`.
    run : callable
        `run(theirs, call)` calls SciPy's function with the arguments by name, and returns a `Solution`.
    equation : callable or None
        `equation(x, call)`, of the flat unknowns, is zero where they are a solution; None where `kind` needs none.
    result : callable
        `result(solution, call)` is what the user gets; what is differentiated in it is made of `solution.x`.
    held : tuple of str
        Arguments in which nothing may be differentiated.
    kind : type
        What a call becomes: `Equation`, or one with another derivative.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[Callable[..., Any], Call], Solution],
        equation: Callable[[Any, Call], Any] | None,
        result: Callable[[Solution, Call], Any],
        held: tuple[str, ...] = (),
        kind: type[Equation] | None = None,
    ) -> None:
        self.name, self.run, self.equation, self.result, self.held = name, run, equation, result, held
        self.kind = kind or Equation

    @functools.cached_property
    def theirs(self) -> Callable[..., Any]:
        """SciPy's function."""
        module, _, name = self.name.rpartition(".")
        found: Callable[..., Any] = getattr(importlib.import_module(module), name)
        return found

    def by_name(self, args: tuple[Any, ...], keywords: dict[str, Any]) -> Call:
        """The arguments of a call by name, those left out too."""
        bound = inspect.signature(self.theirs).bind(*args, **keywords)
        bound.apply_defaults()
        return dict(bound.arguments)

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """The answer to a call under capture."""
        return self.answer(self.by_name(args, keywords))

    def answer(self, call: Call) -> Any:
        """The same, with the arguments by name."""
        for name in self.held:
            if any(getattr(leaf, "requires_grad", False) for leaf in take_apart(call[name]).leaves):
                raise UnsupportedError(
                    f"`{self.name}` is not differentiated by its argument `{name}`.",
                    None,
                    f"solve for unknowns that do not depend on it, or take it out with stop_gradient({name})",
                )
        apart = take_apart(call)
        if not any(isinstance(leaf, Operators) for leaf in apart.leaves):
            session = outer_session()
            if session is not None:
                session.recording.not_repeatable(f"calls `{self.name}` with nothing that is traced")
            return aside(self._plainly, self.name, None)(again(apart.form, apart.leaves))
        if any(leaf.dtype.kind == "c" for leaf in apart.leaves):
            raise UnsupportedError(
                f"`{self.name}` is recorded for real numbers; a value that it reads is complex.",
                None,
                "solve for real and imaginary parts",
            )
        packing = Packing.of(apart.leaves)
        equation = _equation(self, apart.form, packing)
        inputs = packing.inputs(apart.leaves)
        found = equation.entry.function(*(getattr(x, "value", x) for x in inputs))
        z = equation.entry.step(found, inputs)
        n = equation.unknowns
        numbers = stop_gradient(z[n:])
        named = {name: numbers[n + k] for k, name in enumerate(equation.names)}
        solution = Solution(z[:n], named, equation.message, numbers[:n])
        return self.result(solution, again(apart.form, apart.leaves))

    def _plainly(self, call: Call) -> Any:
        found = self.run(self.theirs, call)
        return self.result(replace(found, x=np.ravel(np.asarray(found.x, float))), call)


@dataclass(frozen=True)
class Packing:
    """The leaves of a call as few inputs: a vector of what is differentiated, one of other numbers, and what is whole.

    `kinds` says of each leaf in which of the three it is, its shape, its dtype, and whether it is a Python number.
    """

    kinds: tuple[tuple[int, tuple[int, ...], np.dtype[Any], bool], ...]

    @classmethod
    def of(cls, leaves: Sequence[Any]) -> Packing:
        """The packing of these leaves."""
        return cls(
            tuple(
                (
                    2 if x.dtype.kind != "f" else 0 if getattr(x, "requires_grad", False) else 1,
                    np.shape(x),
                    np.dtype(x.dtype),
                    bool(getattr(x, "weak", False)),
                )
                for x in leaves
            )
        )

    def inputs(self, leaves: Sequence[Any]) -> tuple[Any, ...]:
        """Two vectors of float64, and the leaves that are whole."""
        by_kind: tuple[list[Any], ...] = ([], [], [])
        for x, (kind, *_) in zip(leaves, self.kinds, strict=True):
            by_kind[kind].append(x)
        vectors = (np.concatenate([np.zeros(0), *map(np.ravel, part)]) for part in by_kind[:2])
        return (*vectors, *by_kind[2])

    def leaves(self, *inputs: Any) -> list[Any]:
        """The leaves again."""
        whole, places, found = list(inputs[2:]), [0, 0], []
        for kind, shape, dtype, weak in self.kinds:
            if kind == 2:
                found.append(whole.pop(0))
                continue
            start, count = places[kind], math.prod(shape)
            places[kind] += count
            leaf = inputs[kind][start : start + count].reshape(shape)[()]
            leaf = leaf if dtype == np.float64 else leaf.astype(dtype)
            found.append(float(leaf) if weak and not isinstance(leaf, Operators) else leaf)
        return found


class Equation:
    """Calls of a solver that differ in their leaves alone, as one step.

    Attributes
    ----------
    entry : Called
        From packed leaves to unknowns, which of them may move, and numbers about them.
    unknowns : int
    names : tuple of str
        Of the numbers about them.
    message : str
        Of the last run.
    """

    def __init__(self, solver: Solver, form: Any, packing: Packing) -> None:
        self.solver, self.form, self.packing = solver, form, packing
        self.unknowns, self.message = 0, ""
        self.names: tuple[str, ...] = ()
        name = solver.name.rpartition(".")[2]
        self.entry = Called(
            name,
            aside(self._solved, solver.name, None),
            functools.cache(lambda k: self._derivative(f"{name}_vjp_{k}", k, "vjp")),
            functools.cache(lambda k: self._derivative(f"{name}_jvp_{k}", k, "jvp")),
            None,
        )
        self._by_unknowns = Dispatcher(self._residual, "vjp", argnums=0, label="vjp")

    def _solved(self, *inputs: Any) -> Any:
        solution = self.solver.run(self.solver.theirs, self._call(inputs))
        x = np.ravel(np.asarray(solution.x, float))
        self.unknowns, self.names, self.message = x.size, tuple(solution.numbers), solution.message
        free = np.ones(x.size) if solution.free is None else np.ravel(solution.free)
        return np.concatenate([x, free, np.asarray([*solution.numbers.values()], float)])

    def _call(self, inputs: Sequence[Any]) -> Call:
        session = outer_session()
        if session is not None:  # what the derivative reads of them is guarded
            for held in objects_in(self.form):
                session.reads.track(held, held, ())
        call: Call = again(self.form, self.packing.leaves(*inputs))
        return call

    def _residual(self, x: Any, *inputs: Any) -> Any:
        assert self.solver.equation is not None
        return np.ravel(self.solver.equation(x, self._call(inputs)))

    def _derivative(self, name: str, k: int, word: str) -> Called | None:
        if k > 1:
            return None
        by_input = Dispatcher(self._residual, "vjp", argnums=k + 1, label="vjp")

        def cotangent(g: Any, z: Any, *inputs: Any) -> Any:
            n = self.unknowns
            x, free = z[:n], stop_gradient(z[n : 2 * n])
            pull = self._by_unknowns(x, *inputs)[1]
            slopes = np.stack([pull(row) for row in np.eye(n)])
            # An unknown that lies on a bound stays there: its equation is that it does not move.
            slopes = slopes * free[:, None] * free + np.diag(1 - free)
            w = np.linalg.solve(slopes.T, g[:n] * free) * free
            return -by_input(x, *inputs)[1](w)

        function = cotangent if word == "vjp" else transposed(cotangent, lambda z, inputs: z)
        return differentiable(name, function, None)


@functools.lru_cache(maxsize=_KEPT)
def _equation(solver: Solver, form: Any, packing: Packing) -> Equation:
    return solver.kind(solver, form, packing)
