"""The warm call: a generated function from the user's arguments straight to a program and back.

For a path whose tier is decided, `make_entry` writes a function that checks exactly what the signature and the
reads ask for, calls the program, and builds what the user gets. Where something is not as it was, it returns an
`Exit`, and the dispatcher goes on from there. Nothing of the user's runs in it. Begin with `make_entry`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tracegrad import tree
from tracegrad.config import config
from tracegrad.dispatch.pullback import Pullback, Template
from tracegrad.dispatch.results import gradient_leaf, plain
from tracegrad.dispatch.signature import INT_RANGE, Call, by_identity
from tracegrad.dispatch.tree import Path, own
from tracegrad.ir.trace import Atom
from tracegrad.tensor.capture import Leaf, Static
from tracegrad.tensor.reads import MISSING, Argument, Read, follow, holds, same_kind

Entry = Callable[..., Any]


class Exit:
    """Where an entry was left: at the guard with this number of this path, or (`MISS`) before its program ran."""

    __slots__ = ("number", "path")

    def __init__(self, path: Path | None, number: int) -> None:
        self.path, self.number = path, number


MISS = Exit(None, -1)


@dataclass(frozen=True, slots=True)
class Form:
    """What the user gets of a program's results.

    Attributes
    ----------
    mode : "value", "gradient" or "vjp"
    with_value, has_aux : bool
    single : bool
        One argument is differentiated: its derivative stands alone, not in a tuple.
    seeded : outputs that have a cotangent, for "vjp"
    """

    mode: str
    with_value: bool
    has_aux: bool
    single: bool
    seeded: tuple[int, ...]


def make_entry(path: Path, call: Call, form: Form) -> Entry:
    """A function of the user's arguments; returns what the user gets, or an `Exit`.

    Parameters
    ----------
    path : Path, whose tier is decided
    call : Call
        A call that the path has answered.
    form : Form
    """
    writer = _Writer(path, call, form)
    text = writer.text()
    exec(compile(text, "<tracegrad entry>", "exec"), writer.scope)
    made: Entry = writer.scope["entry"]
    return made


class _Writer:
    """The lines of one entry, and the objects they name."""

    def __init__(self, path: Path, call: Call, form: Form) -> None:
        self.path, self.call, self.form = path, call, form
        self.native = path.built.native is not None
        self.lines: list[str] = []
        self.scope: dict[str, Any] = {
            "ndarray": np.ndarray,
            "float64": np.float64,
            "MISS": MISS,
            "MISSING": MISSING,
            "flatten": tree.flatten,
            "unflatten": tree.unflatten,
            "follow": follow,
            "holds": holds,
            "same_kind": same_kind,
            "own": own,
        }

    def text(self) -> str:
        """`def entry(...)`: checks, the call of the program, the results."""
        head = self._arguments()
        if not self.path.tier_decided:
            self.lines.append(f"if {self._named('config', config)}.jit != 'python': return MISS")
        for place, leaf in enumerate(self.call.leaves):
            self._leaf(f"x{place}", leaf)
        captured, built = self.path.captured, self.path.built
        for read in captured.guards:
            self._guard(read)
        given = ", ".join(self._inputs())
        if self.native:
            self.lines.append(f"out = {self._named('program', built.native)}({given})")
        else:
            self.lines.append(
                f"out = {self._named('program', built.run_python)}(({given}{',' if given else ''}))"
            )
        exits = tuple(Exit(self.path, number) for number in range(len(built.guards)))
        if exits:
            self.lines.append(f"if out[0] != -1: return {self._named('exits', exits)}[out[0]]")
        self.lines.append(f"return {self._result()}")
        return f"def entry({head}):\n" + "".join(f"    {line}\n" for line in self.lines)

    def _named(self, name: str, value: Any) -> str:
        """A name in the entry's scope for this object."""
        name = f"{name}_{len(self.scope)}"
        self.scope[name] = value
        return name

    def _unless(self, condition: str) -> None:
        self.lines.append(f"if not ({condition}): return MISS")

    # --- arguments

    def _arguments(self) -> str:
        """The parameters; arguments are taken apart into leaves `x0`, `x1`, ..."""
        positional = [w for w in self.call.spans if isinstance(w, int)]
        keywords = [w for w in self.call.spans if isinstance(w, str)]
        names: dict[int | str, str] = {
            w: f"x{places[0]}" if structure is None else f"tree_{places[0] if places else 'of'}_{k}"
            for k, (w, (structure, places)) in enumerate(self.call.spans.items())
        }
        if keywords:
            self.lines.append(f"if rest or len(given) != {len(keywords)}: return MISS")
            self.lines.extend(f"{names[w]} = given.get({w!r}, MISSING)" for w in keywords)
        else:
            self.lines.append("if rest or given: return MISS")
        for w, (structure, places) in self.call.spans.items():
            if structure is not None:
                self.lines.append(f"leaves, structure = flatten({names[w]})")
                self.lines.append(f"if structure != {self._named('structure', structure)}: return MISS")
                if places:
                    self.lines.append("".join(f"x{p}, " for p in places) + "= leaves")
        return (
            "".join(f"{names[w]}=MISSING, " for w in positional)
            + ("/, " if positional else "")
            + "*rest, **given"
        )

    def _leaf(self, name: str, leaf: Leaf) -> None:
        """The check of one leaf, and its conversion to what the program takes."""
        value = leaf.value
        if leaf.role == "static":
            found = self._named("static", value)
            if by_identity(value):
                self._unless(f"{name} is {found}")
            else:
                kind = self._named("kind", type(value))
                self._unless(f"{name} is {found} or (type({name}) is {kind} and {name} == {found})")
            return
        if isinstance(value, np.ndarray):
            self._array_leaf(name, value)
            return
        self._number(name, leaf, type(value))

    def _number(self, name: str, leaf: Leaf, kind: type) -> None:
        if kind is int:
            self._unless(f"type({name}) is int and {-INT_RANGE} < {name} < {INT_RANGE}")
        elif kind is float and leaf.role == "active":
            self.lines.append(f"if type({name}) is not float:")
            self.lines.append(f"    if type({name}) is not int: return MISS")
            self.lines.append(f"    {name} = float({name})")
        else:
            self._unless(f"type({name}) is {self._named('kind', kind)}")
            if self.native and kind is np.float64:
                self.lines.append(f"{name} = float({name})")

    def _array_leaf(self, name: str, value: np.ndarray[Any, Any]) -> None:
        dtype = self._named("dtype", value.dtype)
        self._unless(
            f"type({name}) is ndarray and ({name}.dtype is {dtype} or {name}.dtype == {dtype}) "
            f"and {name}.shape == {value.shape!r}"
        )
        if self.native:
            self._as_native(name, value)

    def _as_native(self, name: str, value: np.ndarray[Any, Any]) -> None:
        """Numba compiles anew for every layout, so it gets one: a copy where the array is laid out otherwise."""
        if value.ndim:
            self.lines.append(f"if not {name}.flags.carray: {name} = own({name})")
        else:
            self.lines.append(
                f"{name} = {name}[()]" if value.dtype != np.float64 else f"{name} = {name}.item()"
            )

    # --- what was read outside

    def _reading(self, read: Read) -> str:
        """An expression for what stands at the end of the path now."""
        if isinstance(read.root, Argument):
            return f"follow(x{read.root.place}, {self._named('path', read.path)})"
        root = self._named("root", read.root)
        if len(read.path) == 1:
            how, key = read.path[0]
            if how == "global":
                return f"{root}.get({key!r}, MISSING)"
            if how == "free":
                self.lines.append(f"try: free = {root}.cell_contents")
                self.lines.append("except ValueError: return MISS")
                return "free"
        return f"follow({root}, {self._named('path', read.path)})"

    def _guard(self, read: Read) -> None:
        now = self._reading(read)
        if read.kind == "identity":
            self._unless(f"{now} is {self._named('found', read.found)}")
        elif read.kind == "type":
            self._unless(f"type({now}) is {self._named('found', read.found)}")
        elif read.kind == "value":
            self.lines.append(f"now = {now}")
            self._unless(
                f"now is {self._named('found', read.found)} or holds({self._named('read', read)}, now)"
            )
        else:
            self._unless(f"holds({self._named('read', read)}, {now})")

    def _inputs(self) -> list[str]:
        """What the program is called with."""
        given: list[str] = []
        for source in self.path.captured.sources:
            if isinstance(source, int):
                given.append(f"x{source}")
            elif isinstance(source, Read):
                name = f"read_{len(given)}"
                self.lines.append(f"{name} = {self._reading(source)}")
                if isinstance(source.found, np.ndarray):
                    self._unless(f"same_kind({name}, {self._named('found', source.found)})")
                    if self.native:
                        self._as_native(name, source.found)
                else:
                    self._unless(f"type({name}) is {self._named('kind', type(source.found))}")
                given.append(name)
            else:
                given.append(self._named("constant", source))
        return given

    # --- results

    def _result(self) -> str:
        captured, form = self.path.captured, self.form
        leaves = [
            self._named("constant", r.value)
            if isinstance(r, Static)
            else self._output(f"out[{1 + r}]", captured.trace.outputs[r], captured.weak[r])
            for r in captured.results
        ]
        value = self._rebuilt(captured.structure, leaves)
        if form.mode == "value":
            return value
        count = 1 + len(captured.trace.outputs)
        if form.mode == "vjp":
            pullback = self._named("Pullback", Pullback)
            template = self._named("template", Template(self.path, self.call, form.seeded, form.single))
            return f"{value}, {pullback}({template}, out[{count}:])"
        parts: list[str] = []
        for structure, places in self.call.groups:
            bars = [self._gradient(f"out[{count + k}]", self.call.leaves[p]) for k, p in enumerate(places)]
            count += len(places)
            parts.append(self._rebuilt(structure, bars))
        gradient = parts[0] if form.single else f"({''.join(part + ', ' for part in parts)})"
        if form.with_value:
            return f"{value}, {gradient}"
        if form.has_aux:
            return f"{gradient}, {value}[1]"
        return gradient

    def _rebuilt(self, structure: Any, leaves: Sequence[str]) -> str:
        if structure is None:
            return leaves[0]
        return f"unflatten({self._named('structure', structure)}, [{', '.join(leaves)}])"

    def _output(self, text: str, atom: Atom, weak: bool) -> str:
        """A result as the user's own function would have returned it."""
        if atom.type.shape:
            return text
        if not self.native:
            return f"{self._named('plain', plain)}({text}, {self._named('type', atom.type)}, {weak})"
        if weak:
            return text
        return f"{self._named('kind', atom.type.dtype.type)}({text})"

    def _gradient(self, text: str, leaf: Leaf) -> str:
        """A gradient in the kind of its argument."""
        value = leaf.value
        if not self.native:
            like = np.empty((), value.dtype) if isinstance(value, np.ndarray) and not value.ndim else value
            if isinstance(value, np.ndarray) and value.ndim:
                like = np.broadcast_to(np.zeros((), value.dtype), value.shape)  # keeps no data alive
            return f"{self._named('gradient_leaf', gradient_leaf)}({text}, {self._named('like', like)})"
        if isinstance(value, np.ndarray):
            if value.ndim:
                return text
            return f"{self._named('array', np.array)}({text}, {self._named('dtype', value.dtype)})"
        if isinstance(value, np.generic):
            return f"{self._named('kind', type(value))}({text})"
        return text
