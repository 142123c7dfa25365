"""What passes through the door of a path: arguments, what is read outside, results, as trees of `compiler/passage.py`.

A path, a call it answered and the form of what the user gets go in; a `Passage` and its `Table` come out. `straight`
is for a door that stands where the user's call arrives: it takes the arguments as they are and looks outside itself.
`flat` is for a door behind an entry in Python, which looked outside and took apart what a door does not. Begin with
`straight`.
"""

from __future__ import annotations

import builtins
import contextvars
import operator
import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tracegrad import tree
from tracegrad.compiler.door import Table
from tracegrad.compiler.passage import CELL, CODE, VARIABLE, Passage
from tracegrad.compiler.pool import is_remembered
from tracegrad.dispatch.nested import Leaf as Place
from tracegrad.dispatch.nested import is_plain, laid_open
from tracegrad.dispatch.pullback import Pullback, Template
from tracegrad.dispatch.signature import Call, Parameter, by_identity
from tracegrad.dispatch.tree import Path, as_native
from tracegrad.ir.source import Memory
from tracegrad.ir.types import ArrayType
from tracegrad.tensor.captured import Leaf, Static
from tracegrad.tensor.reads import MISSING, Read, holds
from tracegrad.tensor.redraw import Drawn

Tree = tuple[Any, ...]


class Exit:
    """Where an entry was left: at the guard with this number of this path, or before its program ran."""

    __slots__ = ("number", "path")

    def __init__(self, path: Path | None, number: int) -> None:
        self.path, self.number = path, number


MISS = Exit(None, -1)  # the call is not one that the path may serve
UNASKED = Exit(None, -2)  # a capture is under way somewhere: nothing was looked at


@dataclass(frozen=True, slots=True)
class Form:
    """What the user gets of a program's results.

    Attributes
    ----------
    mode : "value", "gradient", "vjp" or "jacobian"
    with_value, has_aux : bool
    single : bool
        One argument is differentiated: its derivative stands alone, not in a tuple.
    seeded : outputs that have a cotangent, for "vjp"
    undecided : bool
        The path is not compiled because the configuration says so, which may change.
    """

    mode: str
    with_value: bool
    has_aux: bool
    single: bool
    seeded: tuple[int, ...]
    undecided: bool


def straight(
    path: Path, call: Call, form: Form, parameters: Sequence[Parameter] | None
) -> tuple[Passage, Table] | None:
    """For a door that takes the call as it comes; None where only an entry in Python can."""
    order = positions(call, parameters)
    captured = path.captured
    if order is None or path.maker is not None:
        return None
    if not all(map(_is_open, captured.guards)) or any(
        isinstance(s, Drawn) or (isinstance(s, Read) and not _is_name(s)) for s in captured.sources
    ):
        return None
    spans = [call.spans[w] for w in order]
    if not all(structure is None or is_plain(laid_open(structure, len(p))) for structure, p in spans):
        return None
    passing = _Passing(path, call, form)
    arguments = tuple(passing.argument(structure, places) for structure, places in spans)
    reads = tuple(passing.read(s) for s in captured.sources if isinstance(s, Read))
    return passing.finished(arguments, reads, captured.guards)


def flat(path: Path, call: Call, form: Form, sources: Sequence[Any]) -> tuple[Passage, Table]:
    """For a door that is given these sources of the trace, one after the other."""
    passing = _Passing(path, call, form)
    return passing.finished(tuple(map(passing.source, sources)), (), ())


def given_to(path: Path, call: Call) -> list[Any]:
    """Where what the program of a path takes comes from: its sources, and tangents."""
    return [*path.captured.sources, *call.further]


def positions(call: Call, parameters: Sequence[Parameter] | None) -> list[int | str] | None:
    """The arguments of a call in the order of the function's parameters, if it needs no keywords."""
    if parameters is None:
        return list(call.spans) if all(isinstance(w, int) for w in call.spans) else None
    places = {p.name: p.place for p in parameters if p.kind != "keyword"}
    found = {w if isinstance(w, int) else places.get(w): w for w in call.spans}
    wanted = range(len(call.spans))
    return [found[k] for k in wanted] if found.keys() == set(wanted) else None


def _key(source: Any) -> int:
    return source if isinstance(source, int) else -id(source)


def _is_name(read: Read) -> bool:
    """A name of a module, a closure, NumPy's state of errors, or the code of the function itself."""
    if len(read.path) != 1:
        return False
    how, key = read.path[0]
    return (
        (how == "global" and type(read.root) is dict)
        or how == "free"
        or (how == "now" and isinstance(read.root, contextvars.ContextVar))
        or (key == "__code__" and type(read.root) is types.FunctionType)
    )


def _is_open(read: Read) -> bool:
    """Whether the door itself can see that this still holds."""
    if not _is_name(read) or read.kind == "alias":
        return False
    return read.found is not MISSING or (read.kind == "identity" and hasattr(builtins, read.path[0][1]))


class _Passing:
    """One passage and its table, on their way."""

    def __init__(self, path: Path, call: Call, form: Form) -> None:
        self.path, self.call, self.form = path, call, form
        self.address, self.outputs = path.built.machine_code
        exits = tuple(Exit(path, number) for number in range(path.built.outline.guards))
        self.table = Table(self.address, exits, MISS, UNASKED, holds)
        if path.built.releases:
            self.table.release()
        self.known: dict[tuple[int, ...], int] = {}
        self.leaves: dict[int, int] = {}  # key of a source -> number of its leaf
        memory = path.built.memory
        self.left_out = path.built.left_out
        first = 1 + self.left_out
        self.given = {first + output: k for k, (_, _, output) in enumerate(memory) if output is not None}

    def finished(
        self, arguments: tuple[Tree, ...], reads: tuple[tuple[int, int, Tree], ...], guards: Sequence[Read]
    ) -> tuple[Passage, Table]:
        """All of it; guards come last in a table."""
        inputs: list[tuple[bool, int, str, int | None]] = []
        for source, type in zip(given_to(self.path, self.call), self.path.built.outline.inputs, strict=True):
            number, is_leaf = self.leaves.get(_key(source)), True
            if number is None:
                value = np.ascontiguousarray(as_native(source, type.dtype), type.dtype)
                number, is_leaf = self.table.array(value.reshape(type.shape)), False
            inputs.append((is_leaf, number, type.dtype.name, len(type.shape) or None))
        results = self._results()
        memory = tuple(map(self._room, self.path.built.memory))
        met = {(id(g.root), g.path, g.kind, id(g.found)): g for g in guards}
        for guard in met.values():
            self._guard(guard)
        passage = Passage(arguments, reads, tuple(inputs), memory, self.outputs, results)
        return passage, self.table

    def _slot(self, *values: Any) -> int:
        """A place for these objects, in a row; once for the same."""
        key = tuple(map(id, values))
        if key not in self.known:
            self.known[key] = self.table.objects(*values)
        return self.known[key]

    def _room(self, memory: Memory) -> tuple[str, int, int, bool]:
        """An array that the program writes into."""
        dtype, shape, _ = memory
        slot = self.table.objects((dtype, shape), dtype)
        self.table.numbers(*shape)
        return dtype.name, len(shape), slot, is_remembered(dtype, shape)

    # --- arguments

    def argument(self, structure: Any, places: Sequence[int]) -> Tree:
        """An argument as the user gives it."""
        if structure is None:
            return self._leaf(places[0])
        return self._taken(laid_open(structure, len(places)), places)

    def _taken(self, value: Any, places: Sequence[int]) -> Tree:
        if type(value) is dict:
            return ("dict", *((self._slot(k), self._taken(v, places)) for k, v in value.items()))
        if type(value) is Place:
            return self._leaf(places[value.number])
        return (type(value).__name__, *(self._taken(v, places) for v in value))

    def _leaf(self, place: int) -> Tree:
        leaf = self.call.leaves[place]
        if leaf.role == "static":
            return ("static", self._slot(leaf.value), not by_identity(leaf.value))
        return self.source(place)

    def source(self, source: Any) -> Tree:
        """A number or an array that the program takes: an argument, something outside, a random number."""
        self.leaves[_key(source)] = len(self.leaves)
        if isinstance(source, int):
            leaf = self.call.leaves[source]
            return self._like(leaf.value, leaf.role == "active")
        if isinstance(source, Read):
            return self._like(source.found)
        form = self.path.captured.draws[source.number].form
        kind, dtype, shape = form if source.item is None else form[source.item]
        return self._like(np.empty(shape, dtype) if kind is np.ndarray else kind(0))

    def _like(self, value: Any, active: bool = False) -> Tree:
        """What is of the type of this value."""
        if isinstance(value, np.ndarray):
            slot = self.table.objects(value.dtype)
            self.table.numbers(*value.shape)
            return ("array", value.dtype.name, value.ndim, slot)
        if isinstance(value, np.generic):
            return ("scalar", value.dtype.name, self._slot(type(value)))
        if type(value) is complex:  # its number lies where NumPy's complex128 has it
            return ("scalar", "complex128", self._slot(complex))
        return ("number_or_int",) if active else (type(value).__name__,)

    def read(self, read: Read) -> tuple[int, int, Tree]:
        """An input that stands under a name outside."""
        where, key = self._where(read)
        slot = self.table.numbers(key) if type(key) is int else self._slot(key)
        return self._slot(where), slot, self.source(read)

    # --- what is looked up

    def _where(self, read: Read) -> tuple[Any, Any]:
        how, key = read.path[0]
        return read.root, {"free": CELL, "now": VARIABLE, "attr": CODE}.get(how, key)

    def _guard(self, read: Read) -> None:
        found = getattr(builtins, read.path[0][1]) if read.found is MISSING else read.found
        compared = read.kind in ("identity", "value", "calm")
        asked = None if read.kind == "identity" else read
        self.table.guard(*self._where(read), found if compared else MISSING, asked)

    # --- results

    def _results(self) -> Tree:
        captured, form = self.path.captured, self.form
        if form.mode == "value":
            return self._value()
        count = 1 + len(captured.outputs)
        if form.mode == "vjp":
            template = Template(self.path, self.call, form.seeded, form.single)
            residuals = (self._residual(k) for k in range(count, len(self.outputs) + len(self.given)))
            pullback = (
                "call",
                self._slot(Pullback),
                ("constant", self._slot(template)),
                ("tuple", *residuals),
            )
            return ("tuple", self._value(), pullback)
        if form.mode == "jvp":
            return ("tuple", self._value(), self._value(count))
        parts: list[Tree] = []
        for structure, places in self.call.groups:
            bars = [self._gradient(count + k, self.call.leaves[p]) for k, p in enumerate(places)]
            count += len(places)
            parts.append(self._together(structure, bars))
        gradient = parts[0] if form.single else ("tuple", *parts)
        if form.with_value:
            return ("tuple", self._value(), gradient)
        return ("tuple", gradient, self._second(self._value())) if form.has_aux else gradient

    def _value(self, first: int = 1) -> Tree:
        """What the function returns, or its change: the number of its first output tells."""
        captured = self.path.captured
        return self._together(
            captured.structure,
            [
                ("constant", self._slot(r.value))
                if isinstance(r, Static)
                else self._output(first + r, captured.outputs[r], captured.weak[r])
                for r in captured.results
            ],
        )

    def _second(self, value: Tree) -> Tree:
        if value[0] == "tuple":
            return value[2]
        return ("call", self._slot(operator.itemgetter(1)), value)

    def _together(self, structure: Any, leaves: Sequence[Tree]) -> Tree:
        if structure is None:
            return leaves[0]
        value = laid_open(structure, len(leaves))
        if is_plain(value):
            return self._built(value, leaves)
        unflatten, found = self._slot(tree.unflatten), self._slot(structure)
        return ("call", unflatten, ("constant", found), ("list", *leaves))

    def _built(self, value: Any, leaves: Sequence[Tree]) -> Tree:
        if type(value) is dict:
            return ("dict", *((self._slot(k), self._built(v, leaves)) for k, v in value.items()))
        if type(value) is Place:
            return leaves[value.number]
        return (type(value).__name__, *(self._built(v, leaves) for v in value))

    def _output(self, number: int, type: ArrayType, weak: bool) -> Tree:
        """A result as the user's own function would have returned it."""
        if type.shape:
            return self._array(number)
        return ("plain", self._native(number)) if weak else self._scalar(number, type.dtype)

    def _native(self, number: int) -> int:
        """Where the program returns an output; it does not return those it is given memory for."""
        return number - self.left_out - sum(given < number for given in self.given)

    def _array(self, number: int) -> Tree:
        if number in self.given:
            return ("given", self.given[number])
        native = self._native(number)
        return ("array", native, self._slot(np.dtype(self.outputs[native][0])))

    def _residual(self, number: int) -> Tree:
        is_array = number in self.given or self.outputs[self._native(number)][1] is not None
        return self._array(number) if is_array else ("plain", self._native(number))

    def _scalar(self, number: int, dtype: np.dtype[Any]) -> Tree:
        if dtype.kind == "b":
            return ("truth", self._native(number), self._slot(np.True_, np.False_))
        return ("scalar", self._native(number), dtype.name, self.table.allocator(dtype.type))

    def _gradient(self, number: int, leaf: Leaf) -> Tree:
        """A gradient in the kind of its argument; a Jacobian is an array whatever its shape."""
        value = leaf.value
        if self.form.mode == "jacobian":
            if number in self.given or self.outputs[self._native(number)][1] is not None:
                return self._array(number)
            dtype = getattr(value, "dtype", np.dtype(self.outputs[self._native(number)][0]))
            return ("zero_dimensional", self._native(number), dtype.name, self._slot(dtype))
        if isinstance(value, np.ndarray):
            if value.ndim:
                return self._array(number)
            return ("zero_dimensional", self._native(number), value.dtype.name, self._slot(value.dtype))
        if isinstance(value, np.generic):
            return self._scalar(number, value.dtype)
        return ("plain", self._native(number))
