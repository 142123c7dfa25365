"""Running ahead: a loop that is known to repeat itself is computed, not recorded, up to its last iteration.

In: the iteration that stands for all, and what it reads. Out: the values that the names hold some iterations
later. Python's own code runs again where something happens that was never seen (an arm, a guard, an error),
and for the last iteration. A hundred thousand steps would else be recorded one by one. Begin with `Ahead.run`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from tracegrad.ir.interpret import holds
from tracegrad.ir.trace import Atom, Const, Guard, Step, Trace, Var
from tracegrad.record.iterations import Iteration

# On numbers Python's operators do what NumPy's functions do, or raise, in a tenth of the time.
_OPERATORS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "negative": operator.neg,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
}

Env: TypeAlias = dict[Atom, Any]
Line: TypeAlias = tuple[Callable[..., Any] | None, tuple[Atom, ...], Any, Any]
"""A function, what it is called with, the variable that gets the result, parameters; of anything else the step."""


class Unknown(Exception):
    """A step does something that was never seen."""


class Ahead:
    """The iterations of one loop, computed.

    Parameters
    ----------
    one : Iteration
        Which stands for all.
    values : dict of Var to value
        What it reads from outside.
    """

    def __init__(self, one: Iteration, values: Mapping[Var, Any]) -> None:
        self.one = one
        self.values: Env = dict(values.items())
        self._lines: dict[int, tuple[Any, list[Line]]] = {}

    def run(
        self, number: int, most: int, state: dict[str, Any], left: Callable[[dict[str, Any]], None]
    ) -> tuple[int, dict[str, Any]]:
        """Compute at most so many iterations.

        Parameters
        ----------
        number : the number of the first
        most : how many
        state : values of the header's variables by label
        left : called with what each iteration leaves behind, by label

        Returns
        -------
        (int, dict)
            How many were computed, and the state after them.
        """
        done = 0
        while done < most:
            try:
                found = self._iteration(number + done, state)
            except (Unknown, ArithmeticError, LookupError, ValueError, TypeError):
                break  # Python's own code runs here: it raises for the user, or records what it does
            if found is None:
                break
            state, pushed = found
            left(pushed)
            done += 1
        return done, state

    def values_of(self, one: Iteration, number: int) -> Env:
        """The values that the first steps of an iteration compute, those of the counter."""
        env = {**self.values, one.counter: number}
        self._run(one.steps, env)
        return env

    def _iteration(
        self, number: int, state: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """One iteration; None where the loop ends before or with it."""
        one, env = self.one, self.values
        env[one.counter] = number
        for label, variable in one.header.items():
            env[variable] = state[label]
        self._run(one.test, env)
        if one.condition is not None and not self._value(one.condition, env):
            return None
        self._run(one.steps, env)
        if one.stop is not None and self._value(one.stop, env):
            return None
        after = {label: self._value(one.next[label], env) for label in one.header}
        return after, {label: self._value(atom, env) for label, atom in one.pushed.items()}

    # --- blocks ----------------------------------------------------------------------------------

    def _value(self, atom: Atom, env: Env) -> Any:
        return atom.value if isinstance(atom, Const) else env[atom]

    def _written(self, steps: Sequence[Step]) -> list[Line]:
        """The lines of a block, made once."""
        found = self._lines.get(id(steps))
        if found is None:
            lines = [_line(step) for step in steps]
            found = self._lines[id(steps)] = (steps, lines)
        return found[1]

    def _run(self, steps: Sequence[Step], env: Env) -> None:
        for function, inputs, output, params in self._written(steps):
            if function is None:
                self._other(output, env)
            elif params is None and len(inputs) == 2:
                a, b = inputs
                env[output] = function(
                    a.value if a.__class__ is Const else env[a], b.value if b.__class__ is Const else env[b]
                )
            else:
                values = [a.value if a.__class__ is Const else env[a] for a in inputs]
                env[output] = function(*values, **(params or {}))

    def _other(self, step: Any, env: Env) -> None:
        """A guard, a loop or branch, an op of several results."""
        if isinstance(step, Guard):
            if not holds(self._value(step.condition, env), step.expected):
                raise Unknown
            return
        inputs = [self._value(a, env) for a in step.inputs]
        if step.op.family != "control":
            results = step.op.evaluate(*inputs, **step.params)
        elif "arms" in step.params:
            results = self._trace(step.params["arms"][0 if bool(inputs[0]) else 1], inputs[1:])
        else:
            results = self._loop(step.params, inputs)
        env.update(zip(step.outputs, results, strict=True))

    def _trace(self, trace: Trace | None, inputs: Sequence[Any]) -> list[Any]:
        if trace is None:
            raise Unknown
        env: Env = dict(zip(trace.inputs, inputs, strict=True))
        self._run(trace.steps, env)
        return [self._value(a, env) for a in trace.outputs]

    def _loop(self, params: Mapping[str, Any], inputs: Sequence[Any]) -> list[Any]:
        """A loop as the front records it: forwards, without slices."""
        n, condition, stop = params["carried"], params["condition"], params["stop"]
        limit, carried, rest = int(inputs[0]), list(inputs[1 : 1 + n]), inputs[1 + n :]
        steps = 0
        stacks: list[list[Any]] = []
        while steps != limit:
            if condition is not None and not self._trace(condition, [steps, *carried, *rest])[0]:
                break
            results = self._trace(params["body"], [steps, *carried, *rest])
            carried = results[:n]
            stacks = stacks or [[] for _ in results[n:]]
            for stack, value in zip(stacks, results[n:], strict=True):
                stack.append(value)
            steps += 1
            if stop is not None and carried[stop]:
                break
        return [np.int64(steps), *carried, *(np.array(stack) for stack in stacks)]


def _line(step: Step) -> Line:
    if isinstance(step, Guard) or step.op.family == "control" or len(step.outputs) != 1:
        return None, (), step, None
    fast = _OPERATORS.get(step.op.name)
    if fast is not None and all(not a.type.shape and a.type.dtype.char in "dlq" for a in step.inputs):
        return fast, step.inputs, step.outputs[0], None
    return step.op.evaluate, step.inputs, step.outputs[0], step.params
