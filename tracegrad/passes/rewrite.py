"""What passes share: putting atoms in the place of variables, copying steps, and rules that rewrite one instruction.

Begin with `rewrite`. A rule sees an instruction (its inputs already rewritten) and the steps before it, and
answers with a *term*: an atom, or an `Expression` of ops and atoms; None where it does not apply. A term is taken
only if it has exactly the shape and dtype of what it replaces, so a rule need not think about broadcasting and
promotion.

A rule is a function, or a pair of patterns: `(x - -y, x + y)` with `x = anything("x")`. Patterns are written with the
operators and ops themselves: they carry a recorder that builds the pattern.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from tracegrad.errors import REFUSALS
from tracegrad.ir.close import copied, substitute, substituted
from tracegrad.ir.location import Location
from tracegrad.ir.trace import Atom, Const, Guard, Instr, Step, Trace, Var
from tracegrad.ir.types import ArrayType, is_weak
from tracegrad.ir.walk import use_counts
from tracegrad.ops.op import Op
from tracegrad.ops.operators import Operators

# --- substitution -----------------------------------------------------------------------------------------------------


def place_all(trace: Trace, stands: Mapping[Var, Atom]) -> Trace:
    """The trace, with every read of a variable replaced; what stands for it must be known where it is read."""
    steps = tuple(substitute(step, stands) for step in trace.steps)
    return replace(trace, steps=steps, outputs=tuple(substituted(a, stands) for a in trace.outputs))


def inlined(
    trace: Trace, inputs: Sequence[Atom], location: Location | None = None
) -> tuple[list[Step], tuple[Atom, ...]]:
    """A trace's steps with fresh variables, reading `inputs`, and its outputs; guards take `location` if given."""
    fresh = copied(trace)
    stands = {v: strong(a, v.type) for v, a in zip(fresh.inputs, inputs, strict=True)}
    steps = [substitute(step, stands) for step in fresh.steps]
    if location is not None:
        steps = [replace(step, location=location) if isinstance(step, Guard) else step for step in steps]
    return steps, tuple(substituted(a, stands) for a in fresh.outputs)


def strong(atom: Atom, type: ArrayType) -> Atom:
    """An atom that can take the place of a variable: variables are never weak, so a Python number gets a dtype."""
    if isinstance(atom, Const) and is_weak(atom.value):
        return Const(type.dtype.type(atom.value))
    return atom


def renamed(trace: Trace, names: Mapping[Var, str]) -> Trace:
    """The trace with other names for variables its steps make: the user's, of values they took the place of."""
    if not names:
        return trace
    fresh = {v: Var(v.type, name) for v, name in names.items()}
    steps: list[Step] = []
    for step in trace.steps:
        new: Any = substitute(step, fresh)
        if not fresh.keys().isdisjoint(new.outputs):
            new = replace(new, outputs=tuple(fresh.get(v, v) for v in new.outputs))
        steps.append(new)
    return replace(trace, steps=tuple(steps), outputs=tuple(substituted(a, fresh) for a in trace.outputs))


# --- terms ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Expression:
    """An op applied to terms: what a rule wants written."""

    op: Op
    inputs: tuple[Any, ...]
    params: Mapping[str, Any] = field(default_factory=dict)


Term: TypeAlias = Var | Const | Expression
Made: TypeAlias = Mapping[Var, Instr]
Rule: TypeAlias = Callable[[Instr, Made, Counter[Var]], Term | None]
Heads: TypeAlias = tuple[Any, ...]
"""What made each input: an op, None for an input of the trace, `Const` for a constant."""


def expression(op: Op, *inputs: Any, **params: Any) -> Expression:
    """`op(*inputs, **params)` as a term."""
    return Expression(op, inputs, params)


def rewrite(trace: Trace, rules: Callable[[Op, Heads], Sequence[Rule]]) -> Trace:
    """Rewrite each instruction by the first rule that applies, again and again, in one forward walk.

    Parameters
    ----------
    trace : Trace
        Its nested traces are left as they are.
    rules : callable
        The rules for an op whose inputs were made by these heads; most steps have none, and cost next to nothing.
    """
    counts = use_counts(trace)
    made: dict[Var, Instr] = {}
    stands: dict[Var, Atom] = {}
    names: dict[Var, str] = {}
    steps: list[Step] = []

    def heads(step: Instr) -> Heads:
        return tuple([Const if type(a) is Const else made[a].op if a in made else None for a in step.inputs])

    def write(step: Any) -> None:
        step = substitute(step, stands)
        while (term := _first_term(step, rules(step.op, heads(step)), made, counts)) is not None:
            counts.subtract(a for a in step.inputs if isinstance(a, Var))
            if not isinstance(term, Expression):
                take(step.outputs[0], term)
                return
            *inner, step = _as_steps(term, step)
            for new in (*inner, step):
                counts.update(a for a in new.inputs if isinstance(a, Var))
            for new in inner:
                write(new)
            step = substitute(step, stands)
        for v in step.outputs:
            made[v] = step
        steps.append(step)

    def take(variable: Var, atom: Any) -> None:
        stands[variable] = strong(atom, variable.type)
        if isinstance(atom, Var):
            counts[atom] += counts[variable]
            if variable.name and not atom.name and atom in made:
                names.setdefault(atom, variable.name)

    for step in trace.steps:
        if isinstance(step, Instr):
            write(step)
        else:
            steps.append(substitute(step, stands))
    if len(steps) == len(trace.steps) and all(a is b for a, b in zip(steps, trace.steps, strict=True)):
        return trace
    outputs = tuple(substituted(a, stands) for a in trace.outputs)
    return renamed(replace(trace, steps=tuple(steps), outputs=outputs), names)


def _first_term(step: Instr, rules: Sequence[Rule], made: Made, counts: Counter[Var]) -> Term | None:
    for rule in rules:
        term = rule(step, made, counts)
        if term is not None and _type_of(term) == step.outputs[0].type:
            return term
    return None


def _type_of(term: Any) -> Any:
    """The type a term has, None where an op refuses its inputs."""
    if not isinstance(term, Expression):
        return term.type
    try:
        return term.op.result_types([_stand_in(a) for a in term.inputs], term.params)[0]
    except REFUSALS:
        return None


def _stand_in(term: Any) -> Any:
    return Var(_type_of(term)) if isinstance(term, Expression) else term


def _as_steps(term: Expression, step: Instr) -> list[Instr]:
    """The instructions of an expression, innermost first; the last has the outputs of `step`."""
    inner: list[Instr] = []
    inputs: list[Atom] = []
    for item in term.inputs:
        if isinstance(item, Expression):
            part = Instr(step.op, (), (Var(_type_of(item)),), {}, step.location)
            inner.extend(_as_steps(item, part))
            inputs.append(part.outputs[0])
        else:
            inputs.append(item)
    return [*inner, Instr(term.op, tuple(inputs), step.outputs, dict(term.params), step.location)]


# --- constants --------------------------------------------------------------------------------------------------------


def evaluate_constant(op: Op, inputs: Sequence[Const], params: Mapping[str, Any]) -> Any:
    """The value of an op on constants; None when it fails. Of Python numbers alone: a NumPy scalar."""
    try:
        with np.errstate(all="ignore"):
            return op.evaluate(*(c.value for c in inputs), **params)
    except REFUSALS:
        return None


def exact(op: Op, c: Const, d: Const) -> Const | None:
    """`op(c, d)` of two numbers, if no digit is lost; weak if both are."""
    value = evaluate_constant(op, (c, d), {})
    if value is None or not np.isfinite(value) or np.iscomplexobj(value):
        return None
    x, y, z = (Fraction(v.item() if hasattr(v, "item") else v) for v in (c.value, d.value, value))
    meant = {
        "add": lambda: x + y,
        "subtract": lambda: x - y,
        "multiply": lambda: x * y,
        "divide": lambda: x / y,
    }
    if z != meant[op.name]():
        return None
    return Const(value.item() if is_weak(c.value) and is_weak(d.value) else value)


# --- patterns ---------------------------------------------------------------------------------------------------------


class _Recorder:
    level = 0

    def apply(self, op: Op, args: Sequence[Any], params: Mapping[str, Any]) -> Pattern:
        return Pattern(op, tuple(args), params)


class Pattern(Operators):
    """An op on patterns, numbers and unknowns; matches the step that made a variable."""

    __slots__ = ("inputs", "once", "op", "params")
    recorder = _Recorder()

    def __init__(
        self, op: Op | None, inputs: tuple[Any, ...], params: Mapping[str, Any], once: bool = False
    ) -> None:
        self.op, self.inputs, self.params, self.once = op, inputs, params, once


class Unknown(Pattern):
    """Matches any atom that `fits`; the same atom wherever it occurs again."""

    __slots__ = ("fits", "name")

    def __init__(self, name: str, fits: Callable[[Atom], bool]) -> None:
        super().__init__(None, (), {})
        self.name, self.fits = name, fits


def _any(atom: Atom) -> bool:
    return True


def _is_inexact(atom: Atom) -> bool:
    return isinstance(atom, Var) and atom.dtype.kind in "fc"


def _is_whole(atom: Atom) -> bool:
    return isinstance(atom, Var) and atom.dtype == np.int64


def _is_number(atom: Atom) -> bool:
    return isinstance(atom, Const) and not atom.shape and atom.dtype.kind in "biuf"


def anything(name: str) -> Any:
    """An unknown that is any atom."""
    return Unknown(name, _any)


def inexact(name: str) -> Any:
    """An unknown that is no constant, of a dtype that can carry a derivative."""
    return Unknown(name, _is_inexact)


def whole(name: str) -> Any:
    """An unknown that is no constant, of whole numbers in the dtype of indices."""
    return Unknown(name, _is_whole)


def number(name: str) -> Any:
    """An unknown that is a real scalar constant."""
    return Unknown(name, _is_number)


def once(pattern: Any) -> Any:
    """A pattern whose value nobody else reads, so that the step goes when the rule applies."""
    return Pattern(pattern.op, pattern.inputs, pattern.params, once=True)


_COMMUTATIVE = ("add", "multiply")


def pattern_rules(left: Pattern, right: Any) -> Iterator[tuple[Op, Heads, Rule]]:
    """A rule in each order that commuting allows: the op it is for, the heads it asks for (see `may_match`), the rule.

    `right` is a pattern, a number, or a function that gets the matched atoms by name and returns a term or None.
    """
    assert left.op is not None

    def rule_of(variant: Pattern) -> Rule:
        def rule(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
            found: dict[str, Atom] = {}
            dtype = step.outputs[0].dtype
            if not all(
                _match(p, a, made, counts, found, dtype)
                for p, a in zip(variant.inputs, step.inputs, strict=True)
            ):
                return None
            return right(**found) if callable(right) else _fill(right, found)

        return rule

    for variant in _variants(left):
        yield left.op, tuple(map(_head, variant.inputs)), rule_of(variant)


def _head(pattern: Any) -> Any:
    """What must have made the input that a pattern matches: an op, `Const`, `Var`, or None for anything."""
    if isinstance(pattern, Unknown):
        if pattern.fits is _is_number:
            return Const
        return Var if pattern.fits in (_is_inexact, _is_whole) else None
    return pattern.op if isinstance(pattern, Pattern) else Const


def may_match(wanted: Heads, heads: Heads) -> bool:
    """Whether a rule that asks for `wanted` can apply to inputs with these heads."""
    return len(wanted) == len(heads) and all(
        w is None or w is h or (w is Var and h is not Const) for w, h in zip(wanted, heads, strict=True)
    )


def _variants(pattern: Any) -> Iterator[Any]:
    if not isinstance(pattern, Pattern) or pattern.op is None:
        yield pattern
        return
    choices: list[tuple[Any, ...]] = [()]
    for item in pattern.inputs:
        choices = [(*chosen, variant) for chosen in choices for variant in _variants(item)]
    for inputs in choices:
        yield Pattern(pattern.op, inputs, pattern.params, pattern.once)
        if pattern.op.name in _COMMUTATIVE and not _is_symmetric(*inputs):
            yield Pattern(pattern.op, inputs[::-1], pattern.params, pattern.once)


def _is_symmetric(left: Any, right: Any) -> bool:
    """Whether exchanging two unknowns changes nothing but their names."""
    return isinstance(left, Unknown) and isinstance(right, Unknown) and left.fits is right.fits


def _match(
    pattern: Any, atom: Atom, made: Made, counts: Counter[Var], found: dict[str, Atom], dtype: Any
) -> bool:
    """Whether an atom fits; what was made on the way has the dtype of the result, so it is rounded as that is."""
    if isinstance(pattern, Unknown):
        before = found.setdefault(pattern.name, atom)
        return (before is atom or same_constant(before, atom)) and pattern.fits(atom)
    if isinstance(pattern, Pattern):
        step = made.get(atom) if isinstance(atom, Var) else None
        if step is None or step.op is not pattern.op or (pattern.once and counts[atom] > 1):  # type: ignore[index]
            return False
        if step.outputs[0].dtype != dtype:
            return False
        return len(step.inputs) == len(pattern.inputs) and all(
            _match(p, a, made, counts, found, dtype) for p, a in zip(pattern.inputs, step.inputs, strict=True)
        )
    return isinstance(atom, Const) and not atom.shape and bool(atom.value == pattern)


def _fill(pattern: Any, found: Mapping[str, Atom]) -> Term:
    if isinstance(pattern, Unknown):
        return found[pattern.name]
    if isinstance(pattern, Pattern):
        assert pattern.op is not None
        return Expression(pattern.op, tuple(_fill(p, found) for p in pattern.inputs), pattern.params)
    return Const(pattern)


def same_constant(a: Atom, b: Atom) -> bool:
    """Whether two constants have the same value and type."""
    return isinstance(a, Const) and isinstance(b, Const) and constant_key(a) == constant_key(b)


def constant_key(constant: Const) -> tuple[Any, ...]:
    """Hashable, equal for constants of the same value and type; tells -0.0 from 0.0, and 1.0 from 1."""
    value = constant.value
    if is_weak(value):
        return type(value), repr(value)
    array = np.asarray(value)
    return type(value), array.dtype.str, array.shape, array.tobytes()
