"""Running ahead: a loop that is known to repeat itself is computed, not recorded, up to its last iteration.

In: the iteration that stands for all, and what it reads. Out: the values that the names hold some iterations
later. Python's own code runs again where something happens that was never seen (an arm, a guard, an error),
and for the last iteration. A hundred thousand steps would else be recorded one by one. Begin with `Ahead.run`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tracegrad.ir.interpret import holds
from tracegrad.ir.trace import Atom, Guard, Step, Trace, Var
from tracegrad.record.iterations import Iteration


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
        self.values = dict(values)

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

    def values_of(self, one: Iteration, number: int) -> dict[Var, Any]:
        """The values that the first steps of an iteration compute, those of the counter."""
        env = {**self.values, one.counter: number}
        _run(one.steps, env)
        return env

    def _iteration(
        self, number: int, state: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """One iteration; None where the loop ends before or with it."""
        one, env = self.one, self.values
        env[one.counter] = number
        for label, variable in one.header.items():
            env[variable] = state[label]
        _run(one.test, env)
        if one.condition is not None and not _value(one.condition, env):
            return None
        _run(one.steps, env)
        if one.stop is not None and _value(one.stop, env):
            return None
        after = {label: _value(one.next[label], env) for label in one.header}
        return after, {label: _value(atom, env) for label, atom in one.pushed.items()}


def _value(atom: Atom, env: Mapping[Var, Any]) -> Any:
    return env[atom] if isinstance(atom, Var) else atom.value


def _run(steps: Sequence[Step], env: dict[Var, Any]) -> None:
    for step in steps:
        if isinstance(step, Guard):
            if not holds(_value(step.condition, env), step.expected):
                raise Unknown
            continue
        inputs = [env[a] if isinstance(a, Var) else a.value for a in step.inputs]
        if step.op.family == "control":
            results = _branch(step.params, inputs) if "arms" in step.params else _loop(step.params, inputs)
            env.update(zip(step.outputs, results, strict=True))
        elif len(step.outputs) == 1:
            env[step.outputs[0]] = step.op.evaluate(*inputs, **step.params)
        else:
            env.update(zip(step.outputs, step.op.evaluate(*inputs, **step.params), strict=True))


def _trace(trace: Trace | None, inputs: Sequence[Any]) -> list[Any]:
    if trace is None:
        raise Unknown
    env: dict[Var, Any] = dict(zip(trace.inputs, inputs, strict=True))
    _run(trace.steps, env)
    return [_value(a, env) for a in trace.outputs]


def _branch(params: Mapping[str, Any], inputs: Sequence[Any]) -> list[Any]:
    return _trace(params["arms"][0 if bool(inputs[0]) else 1], inputs[1:])


def _loop(params: Mapping[str, Any], inputs: Sequence[Any]) -> list[Any]:
    """A loop as the front records it: forwards, without slices."""
    n, condition, stop = params["carried"], params["condition"], params["stop"]
    limit, carried, rest = int(inputs[0]), list(inputs[1 : 1 + n]), inputs[1 + n :]
    steps = 0
    stacks: list[list[Any]] = []
    while steps != limit:
        if condition is not None and not _trace(condition, [steps, *carried, *rest])[0]:
            break
        results = _trace(params["body"], [steps, *carried, *rest])
        carried = results[:n]
        stacks = stacks or [[] for _ in results[n:]]
        for stack, value in zip(stacks, results[n:], strict=True):
            stack.append(value)
        steps += 1
        if stop is not None and carried[stop]:
            break
    return [np.int64(steps), *carried, *(np.array(stack) for stack in stacks)]
