"""Derivatives of the user's own: `primitive` makes a function one step, `defvjp` and `defjvp` say its derivatives.

The function and its rules are the user's Python, and run as such, on plain arrays, whenever a program comes to
them: what they read from outside is never stale. A rule is differentiated as any function is; a direction without a
rule is the transpose of the other. Begin with `Primitive`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracegrad import tree
from tracegrad.api.derived import Derived
from tracegrad.api.makers import make_vjp
from tracegrad.dispatch.results import definition
from tracegrad.dispatch.steps import aside, differentiable, transposed
from tracegrad.errors import ArgumentError, LeakError
from tracegrad.ops import arithmetic
from tracegrad.ops.called import Called, no_rule
from tracegrad.ops.operators import Operators
from tracegrad.tensor.captured import called, outer_session
from tracegrad.tensor.numpy_protocol import ArrayProtocol

Rule = Callable[..., Any]
_nothing: dict[Any, Rule | None] = {}
_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...), np.dtype, np.generic)


class Primitive(Derived):
    """A function that is one step of whatever calls it.

    Parameters
    ----------
    function : callable
        Takes arrays, numbers, structures of them, and anything else; returns an array or a number that depends on
        nothing but the arguments.
    carries : bool
        Its result carries a derivative.
    """

    def __init__(self, function: Rule, carries: bool = True) -> None:
        super().__init__(function, "primitive", self._answer)
        self.name = getattr(function, "__name__", "function")
        self.where = definition(function)
        self.carries = carries
        # From the number of an argument to its rule, or None where nothing depends on it; KeyError where there is none.
        self.pulls: Callable[[Any], Rule | None] = _nothing.__getitem__
        self.pushes: Callable[[Any], Rule | None] = _nothing.__getitem__
        self._patterns: dict[Any, _Pattern] = {}

    def _answer(self, *args: Any, **keywords: Any) -> Any:
        leaves, structure = tree.flatten([args, keywords])
        session = outer_session()
        if not any(isinstance(leaf, Operators) for leaf in leaves):
            if session is not None:
                session.recording.not_repeatable(
                    f"calls the primitive `{self.name}` with nothing that is traced"
                )
            return aside(self.function, self.name, self.where)(*args, **keywords)
        leaves = [_settled(leaf) for leaf in leaves]
        inputs = {i: leaf for i, leaf in enumerate(leaves) if isinstance(leaf, (Operators, np.ndarray))}
        static = {i: leaf for i, leaf in enumerate(leaves) if i not in inputs}
        if session is not None and not all(map(_is_plain, static.values())):
            session.recording.not_repeatable(
                f"gives the primitive `{self.name}` an object, whose reads are not seen"
            )
        pattern = self._pattern(structure, static, tuple(inputs))
        result = pattern.entry.function(*map(_value, inputs.values()))
        if isinstance(result, (int, float, complex, np.ndarray, np.generic)) and not isinstance(result, bool):
            return pattern.entry.step(result, tuple(inputs.values()))
        if self.carries:
            raise LeakError(
                f"the primitive `{self.name}` returns a {type(result).__name__}; it can return one array or number.",
                self.where,
                "make a primitive for each result, or stack them",
            )
        if session is not None:
            session.recording.not_repeatable(f"calls `{self.name}`, which returns a {type(result).__name__}")
        return result

    def _pattern(self, structure: Any, static: dict[int, Any], places: tuple[int, ...]) -> _Pattern:
        key = structure, tuple((i, type(leaf), leaf) for i, leaf in static.items()), places
        try:
            if key not in self._patterns:
                self._patterns[key] = _Pattern(self, structure, static, places)
            return self._patterns[key]
        except TypeError:  # an argument that is not hashable
            return _Pattern(self, structure, static, places)


class _Pattern:
    """Calls of a primitive that differ in their arrays alone: functions of the arrays, for `Called`.

    `places` are those of the arrays among all leaves of the arguments; `owners` says for each of them which positional
    argument it is in, and where in it.
    """

    def __init__(
        self, primitive: Primitive, structure: Any, static: dict[int, Any], places: tuple[int, ...]
    ) -> None:
        self.primitive, self.structure, self.static, self.places = primitive, structure, static, places
        numbered = tree.unflatten(structure, range(len(static) + len(places)))[0]
        found = {i: (k, n) for k, part in enumerate(numbered) for n, i in enumerate(tree.flatten(part)[0])}
        self.owners = [found.get(i) for i in places]
        self.entry = Called(
            primitive.name,
            aside(self.value, primitive.name, primitive.where),
            functools.cache(lambda k: self._derivative(k, "vjp")),
            functools.cache(lambda k: self._derivative(k, "jvp")),
            primitive.where,
        )

    def arguments(self, inputs: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        leaves = {**self.static, **dict(zip(self.places, inputs, strict=True))}
        args, keywords = tree.unflatten(self.structure, [leaves[i] for i in sorted(leaves)])
        return args, keywords

    def value(self, *inputs: Any) -> Any:
        args, keywords = self.arguments(inputs)
        return self.primitive.function(*args, **keywords)

    def _derivative(self, k: int, word: str) -> Called | None:
        """What takes a cotangent ("vjp") to that of array `k`, or a tangent ("jvp") of it to that of the result."""
        primitive, owner = self.primitive, self.owners[k]
        if not primitive.carries:
            return None
        known: dict[str, Rule | None] = {}
        for way, rules in (("vjp", primitive.pulls), ("jvp", primitive.pushes)):
            try:
                known[way] = rules(None if owner is None else owner[0])
            except LookupError:
                continue
        if not known or (word not in known and isinstance(known.get("jvp"), _Linear)):
            raise no_rule(primitive.name, None if owner is None else owner[0], primitive.where)
        if None in known.values():
            return None
        assert owner is not None
        way = word if word in known else next(iter(known))
        function = self._pulled(k, known["vjp"]) if way == "vjp" else self._pushed(k, known["jvp"])
        if word not in known:
            function = transposed(
                function, (lambda z, inputs: z) if "vjp" in known else lambda z, inputs: inputs[k]
            )
        return differentiable(f"{primitive.name}_{word}_{owner[0]}", function, primitive.where)

    def _pulled(self, k: int, rule: Rule | None) -> Rule:
        def cotangent(g: Any, z: Any, *inputs: Any) -> Any:
            assert rule is not None
            args, keywords = self.arguments(inputs)
            owner = self.owners[k]
            assert owner is not None
            return tree.flatten(called(rule(z, args, keywords), g))[0][owner[1]]

        return cotangent

    def _pushed(self, k: int, rule: Rule | None) -> Rule:
        def tangent(t: Any, z: Any, *inputs: Any) -> Any:
            assert rule is not None
            args, keywords = self.arguments(inputs)
            owner = self.owners[k]
            assert owner is not None
            flat, structure = tree.flatten(args[owner[0]])
            tangents = [t if n == owner[1] else np.zeros(np.shape(x)) for n, x in enumerate(flat)]
            return rule(tree.unflatten(structure, tangents), z, args, keywords)

        return tangent


class _Linear:
    """The tangent of a primitive that is linear in an argument: its own value. It cannot be transposed by itself."""

    def __init__(self, function: Primitive, argnum: int) -> None:
        self.function, self.argnum = function, argnum

    def __call__(self, t: Any, z: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        return self.function(*args[: self.argnum], t, *args[self.argnum + 1 :], **keywords)


# --- arguments


def _settled(leaf: Any) -> Any:
    """A whole number decides on shapes: its value is guarded. Any other traced value is an input."""
    if isinstance(leaf, ArrayProtocol) and not leaf.shape and leaf.dtype.kind in "iub":
        return leaf.item()
    return leaf


def _value(leaf: Any) -> Any:
    return leaf.value if isinstance(leaf, ArrayProtocol) else leaf


def _is_plain(leaf: Any) -> bool:
    if isinstance(leaf, (*_PLAIN, type, np.ufunc)):
        return True
    return callable(leaf) and not getattr(leaf, "__closure__", None) and not hasattr(leaf, "__self__")


# --- what the user writes


def primitive(function: Rule) -> Primitive:
    """A function that is one step, whose derivatives `defvjp` and `defjvp` say.

    Examples
    --------
    >>> @primitive
    ... def logsumexp(x):
    ...     top = np.max(x)
    ...     return top + np.log(np.sum(np.exp(x - top)))
    >>> defvjp(logsumexp, lambda ans, x: lambda g: g * np.exp(x - ans))
    """
    return Primitive(function)


def notrace_primitive(function: Rule) -> Primitive:
    """A function that is given plain values, and whose result carries no derivative."""
    return Primitive(function, carries=False)


def defvjp(function: Primitive, *makers: Rule | None, argnums: Sequence[int] | None = None) -> None:
    """Say how cotangents go back through a primitive.

    Parameters
    ----------
    function : Primitive
    *makers : callable or None
        For each argument, in order or as `argnums` says: `maker(ans, *args, **keywords)` returns a function from the
        cotangent of the result to that of the argument. None: the result does not depend on it.
    argnums : sequence of int, optional
        Which arguments they are for; default: the first ones.
    """
    known = _by_argument(function, makers, argnums)

    def pulls(argnum: int) -> Rule | None:
        maker = known[argnum]
        return None if maker is None else lambda z, args, keywords: called(maker, z, *args, **keywords)

    function.pulls = pulls


def defvjp_argnum(function: Primitive, maker: Rule) -> None:
    """The same with one function for all arguments: `maker(argnum, ans, args, keywords)`."""
    _primitive(function).pulls = lambda argnum: (
        lambda z, args, keywords: called(maker, argnum, z, args, keywords)
    )


def defvjp_argnums(function: Primitive, maker: Rule) -> None:
    """The same for several arguments at once: `maker(argnums, ans, args, keywords)`, whose function returns a tuple."""
    defvjp_argnum(
        function,
        lambda argnum, z, args, keywords: lambda g: called(called(maker, (argnum,), z, args, keywords), g)[0],
    )


def defjvp(function: Primitive, *rules: Rule | str | None, argnums: Sequence[int] | None = None) -> None:
    """Say how tangents go forward through a primitive.

    Parameters
    ----------
    function : Primitive
    *rules : callable, "same" or None
        For each argument: `rule(g, ans, *args, **keywords)` returns the tangent of the result, for `g` that of the
        argument. "same": the function is linear in it. None: the result does not depend on it.
    argnums : sequence of int, optional
        Which arguments they are for; default: the first ones.
    """
    known = _by_argument(function, rules, argnums)

    def pushes(argnum: int) -> Rule | None:
        rule = known[argnum]
        if rule is None:
            return None
        if rule == "same":
            return _Linear(function, argnum)
        return lambda t, z, args, keywords: called(rule, t, z, *args, **keywords)

    function.pushes = pushes


def defjvp_argnum(function: Primitive, rule: Rule) -> None:
    """The same with one function for all arguments: `rule(argnum, g, ans, args, keywords)`."""
    _primitive(function).pushes = lambda argnum: (
        lambda t, z, args, keywords: called(rule, argnum, t, z, args, keywords)
    )


def defjvp_argnums(function: Primitive, rule: Rule) -> None:
    """The same for several arguments at once: `rule(argnums, gs, ans, args, keywords)`."""
    defjvp_argnum(
        function, lambda argnum, t, z, args, keywords: called(rule, (argnum,), (t,), z, args, keywords)
    )


def def_linear(function: Primitive) -> None:
    """Say that a primitive is linear in each argument."""
    _primitive(function).pushes = lambda argnum: _Linear(function, argnum)


def checkpoint(function: Rule) -> Primitive:
    """The function, of which nothing is kept for the derivative but its arguments: the rest is computed again.

    References
    ----------
    Chen, Xu, Zhang and Guestrin, Training deep nets with sublinear memory cost, arXiv:1604.06174, 2016.
    """
    made = Primitive(function)
    makers = functools.cache(lambda argnum: make_vjp(function, argnum))
    made.pulls = lambda argnum: lambda z, args, keywords: makers(argnum)(*args, **keywords)[0]
    return made


def stop_gradient(value: Any) -> Any:
    """The same value, which counts as a constant for derivatives.

    Parameters
    ----------
    value : number, array, or lists, tuples, dicts and dataclasses of them

    Returns
    -------
    With the structure of `value`; what carries no derivative is there as it is.

    Examples
    --------
    >>> import tracegrad as tg
    >>> tg.grad(lambda x: tg.stop_gradient(x) * x)(3.0)
    3.0
    """
    leaves, structure = tree.flatten(value)
    return tree.unflatten(
        structure, [arithmetic.stop_gradient(x) if isinstance(x, Operators) else x for x in leaves]
    )


def _primitive(function: Any) -> Primitive:
    if not isinstance(function, Primitive):
        raise ArgumentError(
            f"{function!r:.60} is no primitive, so no derivative can be given to it.",
            None,
            "make it one: `f = primitive(f)`",
        )
    return function


def _by_argument(function: Any, rules: Sequence[Any], argnums: Sequence[int] | None) -> dict[int, Any]:
    _primitive(function)
    return dict(zip(itertools.count() if argnums is None else argnums, rules, strict=False))
