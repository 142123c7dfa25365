"""One readable identifier for each variable of the text.

Groups of values (see `lifetimes`) go in; afterwards each value has its `name`. The user's name comes first,
then the name a sweep gave (`x_bar`), then one that says what the value is (`x_times_w`); numbers only break
ties between values that are needed at the same time. The same blocks give the same names. Begin with
`give_names`.
"""

from __future__ import annotations

import builtins
import keyword
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tracegrad.emit.blocks import (
    Choice,
    Compute,
    Either,
    Item,
    Move,
    Node,
    Operand,
    Pack,
    Repeat,
    Return,
    Value,
    Write,
)
from tracegrad.emit.lifetimes import Groups, overlap
from tracegrad.ir.trace import Const

_IMPORTED = (
    *("np", "math", "scipy", "special", "called", "linalg", "lapack", "factored", "factorizations"),
    *("decompositions", "recurrences", "bessel", "incomplete", "scipy_sparse", "add_windows"),
)  # by lines at the head of a text
RESERVED = frozenset({*keyword.kwlist, *dir(builtins), *_IMPORTED, "residuals", "_"})
_LONGEST = 20
_INFIX = {
    "add": ("plus", "total"),
    "subtract": ("minus", "difference"),
    "multiply": ("times", "product"),
    "divide": ("over", "ratio"),
    "matmul": ("at", "product"),
    "dot": ("at", "product"),
    "remainder": ("mod", "remainder"),
    "floor_divide": ("div", "quotient"),
    "power": ("to", "power"),
    "greater": ("above", "is_greater"),
    "greater_equal": ("at_least", "is_at_least"),
    "less": ("below", "is_less"),
    "less_equal": ("at_most", "is_at_most"),
    "equal": ("equals", "is_equal"),
    "not_equal": ("differs", "is_different"),
    "logical_and": ("and", "both"),
    "bitwise_and": ("and", "both"),
    "logical_or": ("or", "either"),
    "bitwise_or": ("or", "either"),
}
_SHORT = frozenset(short for _, short in _INFIX.values()) | {
    "twice",
    "scaled",
    "inverse",
    "item",
    "part",
    "minus",
}
_WORDS = {
    "where": "chosen",
    "negative": "minus",
    "sum_to": "sum",
    "sum": "sum",
    "broadcast_to": "spread",
    "astype": "cast",
    "absolute": "abs",
    "add_windows": "added",
}


def identifier(text: str) -> str:
    """Any text as an identifier: `<lambda>` gives `lambda_`, `Model.loss` gives `Model_loss`."""
    found = re.sub(r"\W+_?", "_", text, flags=re.ASCII).strip("_") if text != "_" else "unused"
    if not found or found[0].isdigit():
        found = f"value_{found}".strip("_")
    return f"{found}_" if found in RESERVED else found


class Lives:
    """When the values of one name are needed: in the order they begin, each with the last end so far."""

    def __init__(self) -> None:
        self._values: list[Value] = []
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, value: Value) -> None:
        at = bisect_right(self._starts, value.start)
        self._values.insert(at, value)
        self._starts.insert(at, value.start)
        self._ends.insert(at, self._ends[at - 1] if at else value.end)
        for k in range(at, len(self._ends)):
            if self._ends[k] >= value.end and k > at:
                break
            self._ends[k] = max(self._ends[k], value.end)

    def meet(self, value: Value) -> bool:
        """Whether one of them is needed while the value is."""
        at = bisect_left(self._starts, value.end)
        while at and self._ends[at - 1] > value.start:
            at -= 1
            if overlap(self._values[at], value):
                return True
        return False


class Names:
    """Who has which identifier, and for how long."""

    def __init__(self, reserved: Iterable[str], typed: bool) -> None:
        self.typed = typed
        self.reserved = frozenset((*RESERVED, *reserved))
        self.lives: dict[str, Lives] = {}
        self.kinds: dict[str, tuple[object, object]] = {}
        self.numbers: dict[str, int] = {}

    def free(self, name: str, group: Sequence[Value]) -> bool:
        """Whether nothing that has this name is needed while the group is."""
        if name in self.reserved:
            return False
        lives = self.lives.get(name)
        if lives is None:
            return True
        if self.typed and self.kinds[name] != (group[0].memory, group[0].inner):
            return False
        return not any(map(lives.meet, group))

    def take(self, name: str, group: Sequence[Value]) -> None:
        lives = self.lives.setdefault(name, Lives())
        self.kinds.setdefault(name, (group[0].memory, group[0].inner))
        for value in group:
            value.name = name
            lives.add(value)

    def give(self, base: str, group: Sequence[Value]) -> None:
        """The name itself where it is free, else with a number; numbers given lately are tried again."""
        last = self.numbers.get(base, 0)
        tries = [base, *(f"{base}_{k}" for k in range(max(1, last - 3), last + 1))]
        for name in tries:
            if self.free(name, group):
                self.take(name, group)
                return
        while not self.free(f"{base}_{last + 1}", group):
            last += 1
        self.numbers[base] = last + 1
        self.take(f"{base}_{last + 1}", group)


def give_names(
    inputs: Sequence[Value],
    nodes: Sequence[Node],
    groups: Groups,
    reserved: Iterable[str] = (),
    fixed: Mapping[Value, str] | None = None,
    typed: bool = False,
) -> None:
    """Name every value that is not nested.

    Parameters
    ----------
    inputs : the arguments of the function
    nodes : all nodes, in the order of the text
    fixed : names that are decided already, of some inputs
    typed : one name has one type throughout, as Numba wants it
    """
    names = Names(reserved, typed)
    for value, name in (fixed or {}).items():
        names.take(name, groups.of(value))
    for k, value in enumerate(inputs):
        if not value.name:
            names.give(identifier(value.hint or f"argument_{k}"), groups.of(value))
    for node in nodes:
        if isinstance(node, Repeat):
            _name_next(node, groups)
    for value in sorted(_assigned(nodes), key=lambda v: v.start):
        if not value.name:
            group = groups.of(value)
            whole = sum_of(value) if value.hint is None else None
            name = identifier(whole.hint or "") if whole is not None else ""
            if whole is not None and names.free(name, group) and groups.apart(whole, value):
                names.take(name, group)  # `x_bar = x_bar + a`, then `x_bar = x_bar + b`
            else:
                names.give(_base(group), group)


def _assigned(nodes: Iterable[Node]) -> Iterable[Value]:
    for node in nodes:
        if isinstance(node, Repeat):
            yield from node.carried
            yield node.counter
            if node.steps is not None and node.steps is not node.counter:
                yield node.steps
            yield from node.stacks
        for value in node.makes:
            if value.expression is None:
                yield value


class Unused:
    """Names that no value of a function has: `letters` for the indices of an element, others by `like`."""

    def __init__(
        self, function: str, inputs: Iterable[Value], nodes: Iterable[Node], reserved: Iterable[str]
    ) -> None:
        self.function = function
        self.reserved = frozenset({*RESERVED, *reserved})
        self.taken = {*self.reserved, *(v.name for v in inputs), *(v.name for v in _assigned(nodes))}
        letters = [*"ijklmnpqrst", *(f"index_{k}" for k in range(64))]
        self.letters = [letter for letter in letters if letter not in self.taken]

    def like(self, name: str) -> str:
        """The name, with a number where a value has it; the same one each time."""
        found, k = name, 0
        while found in self.taken:
            k += 1
            found = f"{name}_{k}"
        return found


def _name_next(node: Repeat, groups: Groups) -> None:
    """The next content of a carried value that is still needed in its old form: `x_next`."""
    move = node.body.nodes[-1]
    assert isinstance(move, Move)
    for target, source in zip(move.targets, move.sources, strict=True):
        made_here = isinstance(source, Value) and source.expression is None and source.block is node.body
        if not made_here or not isinstance(source, Value) or groups.joined(source, target):
            continue
        if target.hint and source.hint in (None, target.hint):
            source.hint = f"{target.hint}_next"


def _base(group: Sequence[Value]) -> str:
    """The name a group asks for."""
    ordered = sorted(group, key=lambda v: v.start)
    ranked = [v for v in ordered if isinstance(v.maker, (Choice, Repeat)) or v.maker is None] + ordered
    for value in ranked:
        if value.hint:
            return identifier(value.hint)
    if any(isinstance(reader, Return) and reader.results == (v,) for v in ordered for reader in v.readers):
        return "value"
    for value in ordered:
        if isinstance(value.maker, (Compute, Either, Write, Item, Pack)):
            found = describe(value)
            return identifier((part_of(value) if found in _SHORT else None) or found)
        if isinstance(value.pushed, Value):
            return identifier(f"{describe(value.pushed)}_stack")
    return "carried"


def part_of(value: Value) -> str | None:
    """`x_bar_part` for a term of the sum that is `x_bar`."""
    whole = sum_of(value)
    return None if whole is None else f"{whole.hint}_part"


def sum_of(value: Value) -> Value | None:
    """The derivative that a value is a term of."""
    for _ in range(8):
        reader = value.readers[0] if len(value.readers) == 1 else None
        if not isinstance(reader, Compute) or reader.instr.op.name not in ("add", "subtract"):
            return None
        value = reader.outputs[0]
        if value.hint is not None:
            return value if value.is_derivative else None
    return None


def describe(value: Value) -> str:
    """A name that says what a value is."""
    maker = value.maker
    if isinstance(maker, Item):
        stack = "" if isinstance(maker.stack, Const) else maker.stack.name or maker.stack.hint or ""
        return stack.removesuffix("_stack") if stack.endswith("_stack") else "item"
    if isinstance(maker, Pack):
        return "packed"
    if isinstance(maker, (Either, Choice)):
        return "condition" if value.type.dtype.kind == "b" else "chosen"
    if isinstance(maker, Write):
        return _within(f"{_word(maker.source)}_changed", "changed")
    if not isinstance(maker, Compute):
        return value.hint or "value"
    op, inputs = maker.instr.op.name, maker.inputs
    if op == "copy" and isinstance(inputs[0], Const):
        return "places" if value.type.dtype.kind in "iu" else "constants"
    if op in _INFIX and len(inputs) == 2:
        return _describe_infix(op, inputs)
    if op == "getitem":
        index = maker.instr.params["index"]
        if len(inputs) == 1 and all(type(p) is int and p >= 0 for p in index):
            return _within("_".join([_word(inputs[0]), *map(str, index)]), "item")
        return _within(f"{_word(inputs[0])}_part", "part")
    word = _WORDS.get(op, op)
    if op == "where" or not inputs:
        return word
    name = f"{word}_{_word(inputs[0])}"
    short = {"sum": "total", "transpose": "transposed"}.get(word, identifier(word))
    return _named_by(name, short)


def _describe_infix(op: str, inputs: Sequence[Operand]) -> str:
    word, short = _INFIX[op]
    left, right = inputs
    number = _number(right)
    if op == "power" and number in ("2", "3"):
        return _within(f"{_word(left)}_{'squared' if number == '2' else 'cubed'}", short)
    if op == "multiply" and isinstance(left, Const) and not isinstance(right, Const):
        left, right, number = right, left, _number(left)
    if op in ("multiply", "divide") and number is not None:
        if op == "multiply" and number == "2":
            return _named_by(f"twice_{_word(left)}", "twice")
        if not number:
            return _named_by(f"scaled_{_word(left)}", "scaled")
    if op == "divide" and _number(left) == "1":
        return _named_by(f"inverse_{_word(right)}", "inverse")
    return _named_by(f"{_word(left)}_{word}_{_word(right)}", short)


def _named_by(name: str, short: str) -> str:
    """The name that says what it is made of, unless that is a number, or something whose name says little."""
    return short if "constant" in name else _within(name, short)


def _within(name: str, short: str) -> str:
    return name if len(name) <= _LONGEST and not name[0].isdigit() else short


def _word(operand: Operand) -> str:
    """An operand inside a longer name."""
    if isinstance(operand, Const):
        number = _number(operand)
        return {"0": "zero", "1": "one", "2": "two", "3": "three", None: "constant", "": "constant"}.get(
            number, number or ""
        )
    if operand.expression is not None:
        found = describe(operand)
        return "constant" if found in _SHORT else found
    return operand.name or operand.hint or "value"


def _number(operand: Operand) -> str | None:
    """A small whole number by its digits, another number as nothing, None for what is no number."""
    if not isinstance(operand, Const) or np.ndim(operand.value):
        return None
    value = complex(operand.value)
    if value.imag or not abs(value.real) < 1e6 or value.real != int(value.real) or value.real < 0:
        return ""
    return str(int(value.real))
