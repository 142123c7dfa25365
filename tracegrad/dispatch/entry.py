"""The warm call: a generated function from the user's arguments straight to a program and back.

For a path whose tier is decided, `make_entry` writes a function that checks exactly what the signature and the
reads ask for, calls the program, and builds what the user gets. It becomes the `__call__` of its dispatcher, so
nothing stands between the user's line and these checks; where something is not as it was, the dispatcher goes on from
an `Exit`. Nothing of the user's runs in it. Begin with `make_entry`.

What a check costs is a good part of a small function's time, so the text is written for the interpreter: parameters
have the user's names, and need no dictionary of keywords; the function's globals are those of the user's module,
where CPython answers a name that did not change without looking it up; all else it needs are cells of a closure.
"""

from __future__ import annotations

import functools
import os
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracegrad import collector
from tracegrad.compiler.door import Table, open_door
from tracegrad.compiler.passage import Passage
from tracegrad.config import config
from tracegrad.dispatch.nested import apart, together
from tracegrad.dispatch.passing import MISS, UNASKED, Exit, Form, flat, given_to, positions, straight
from tracegrad.dispatch.pullback import Pullback, Template
from tracegrad.dispatch.reading import Reading, module_of
from tracegrad.dispatch.results import gradient_leaf, jacobian_leaf, plain
from tracegrad.dispatch.signature import INT_RANGE, OURS, Call, Parameter, by_identity
from tracegrad.dispatch.tree import Path, without_contents
from tracegrad.ir.types import ArrayType
from tracegrad.tensor.captured import Leaf, Static, under_way
from tracegrad.tensor.reads import MISSING, Read
from tracegrad.tensor.redraw import Drawn, put_back

FILE = os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "<entry>"
)  # ours, when lines of the user's are sought


class Entry:
    """The fast way of one path, from a call to what the user gets.

    Attributes
    ----------
    ask : callable
        `ask(*args, **keywords)` returns what the user gets, or an `Exit`.
    """

    def __init__(
        self,
        function: types.FunctionType,
        spread: Callable[..., Any] | None,
        door: tuple[Passage, Table] | None,
    ) -> None:
        self._function, self._spread, self._door = function, spread, door
        self._answering: Callable[..., Any] | None = None
        alone = {"left": lambda exit, *given: exit, "under_way": (), "calls": 0}
        self.ask: Callable[..., Any] = functools.partial(self._with(alone), None)
        if door is not None:
            self.ask = open_door(door[0], door[1].answering(by_name=self.ask))

    def answering(
        self, left: Callable[..., Any], calls: types.CellType, through: np.ndarray[Any, Any]
    ) -> Callable[..., Any]:
        """The same as the `__call__` of a class.

        Parameters
        ----------
        left : callable
            `left(exit, args, keywords)` answers where this does not.
        calls : cell of an int, counted up at each call that goes through Python
        through : array of one int, counted up at each other
        """
        if self._answering is None:
            spread = self._spread
            go_on = left if spread is None else lambda exit, *given: left(exit, *spread(*given))
            self._answering = self._with({"left": go_on, "under_way": under_way, "calls": calls})
            if self._door is not None:
                by_name = functools.partial(self._answering, None)
                table = self._door[1].answering(left, by_name, under_way, through)
                self._answering = open_door(self._door[0], table)
        return self._answering

    def _with(self, cells: dict[str, Any]) -> types.FunctionType:
        made, found = self._function, []
        for name, cell in zip(made.__code__.co_freevars, made.__closure__ or (), strict=True):
            value = cells.get(name.removeprefix(OURS), cell)
            found.append(value if isinstance(value, types.CellType) else types.CellType(value))
        function = types.FunctionType(
            made.__code__, made.__globals__, made.__name__, made.__defaults__, tuple(found)
        )
        function.__kwdefaults__ = made.__kwdefaults__
        function.__qualname__, function.__module__ = made.__name__, __name__
        return function


@collector.paused()
def make_entry(path: Path, call: Call, form: Form, parameters: Sequence[Parameter] | None) -> Entry:
    """The entry of a path.

    Parameters
    ----------
    path : Path, whose tier is decided
    call : Call
        A call that the path has answered.
    form : Form
    parameters : sequence of Parameter, or None
        How the user's function may be called; None where that is not known: then arguments stay where they are given.
    """
    door = None if path.built.native is None else straight(path, call, form, parameters)
    writer = _Writer(path, call, form, parameters, door)
    text = writer.text()
    made: dict[str, Any] = {}
    exec(compile(text, FILE, "exec"), made)
    function = made["make"](**writer.scope)
    in_its_module = types.FunctionType(
        function.__code__,
        writer.globals,
        path.captured.name,
        function.__defaults__,
        function.__closure__,
    )
    in_its_module.__kwdefaults__ = function.__kwdefaults__
    return Entry(in_its_module, None if parameters is None else _spread(parameters), door)


def _spread(parameters: Sequence[Parameter]) -> Callable[..., tuple[tuple[Any, ...], dict[str, Any]]]:
    """From the values of all parameters, and what came after them, to positional arguments and keywords."""

    def spread(values: Sequence[Any], rest: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        args: list[Any] = []
        keywords: dict[str, Any] = {}
        for parameter, value in zip(parameters, values, strict=True):
            if value is MISSING:
                continue
            if parameter.kind == "keyword" or len(args) < parameter.place:
                keywords[parameter.name] = value
            else:
                args.append(value)
        return (*args, *rest), keywords

    return spread


class _Writer:
    """The lines of one entry, and the objects they name."""

    def __init__(
        self,
        path: Path,
        call: Call,
        form: Form,
        parameters: Sequence[Parameter] | None,
        door: tuple[Passage, Table] | None,
    ) -> None:
        self.path, self.call, self.form, self.parameters, self.door = path, call, form, parameters, door
        self.native = path.built.native is not None
        self.lines: list[str] = []
        self.scope: dict[str, Any] = {}
        self.found: dict[int, str] = {}
        self.out: Callable[[int], str] = str
        self.leaves: dict[int, str] = {}  # leaf -> its name here
        self.globals = module_of((*path.captured.guards, *path.captured.sources))

    def text(self) -> str:
        """`def make(...)`, which makes `entry`: checks, the call of the program, the results."""
        for name, value in (("left", None), ("under_way", ()), ("calls", 0)):
            self.scope[OURS + name] = value
        head = self._head_of_any() if self.parameters is None else self._head(self.parameters)
        if self.door is not None:
            order = positions(self.call, self.parameters) or ()
            self._through_the_door(self.door, [self.names[w] for w in order])
        else:
            self._take_apart()
            if self.form.undecided:
                self.lines.append(f"if {self._named('config', config)}.jit != 'python': {self.otherwise}")
            for place, leaf in enumerate(self.call.leaves):
                if not self.native or leaf.role == "static" or self.path.maker is not None:
                    self._leaf(self.leaves[place], place, leaf)
            self._run(self._inputs())
        inner = "".join(f"        {line}\n" for line in self.lines)
        return (
            f"def make({', '.join(self.scope)}):\n    def entry({head}):\n        nonlocal {OURS}calls\n"
            f"        {OURS}calls += 1\n{inner}    return entry\n"
        )

    def _named(self, name: str, value: Any) -> str:
        """A name in the entry's scope for this object."""
        known = self.found.get(id(value))
        if known is None:
            known = self.found[id(value)] = f"{OURS}{name}_{len(self.scope)}"
            self.scope[known] = value
        return known

    def _unless(self, condition: str) -> None:
        self.lines.append(f"if not ({condition}): {self.otherwise}")

    def _type(self, name: str) -> str:
        return f"{self._named('type', type)}({name})"

    # --- arguments

    def _take_apart(self) -> None:
        """Arguments become leaves."""
        for k, (w, (structure, places)) in enumerate(self.call.spans.items()):
            if structure is None:
                self.leaves[places[0]] = self.names[w]
            else:
                inner = [f"{OURS}x{p}" for p in places]
                self.leaves.update(zip(places, inner, strict=True))
                value = f"{OURS}tree_{k}"
                self.lines.append(f"{value} = {self.names[w]}")
                self.lines.extend(apart(value, structure, inner, self.otherwise, self._named))

    def _head(self, parameters: Sequence[Parameter]) -> str:
        """The user's parameters; whether an argument came by name or by position does not matter then."""
        by_name = {p.name: p.name for p in parameters}
        by_place = {p.place: p.name for p in parameters if p.kind != "keyword"}
        self.names = {w: by_place[w] if isinstance(w, int) else by_name[w] for w in self.call.spans}
        missing, rest = self._named("missing", MISSING), f"{OURS}rest"
        values = f"({''.join(f'{p.name}, ' for p in parameters)})"
        if (
            self.door is None
        ):  # each argument has a line that leaves: all of them in each would be their square
            self.lines.append(f"{OURS}values = {values}")
            values = f"{OURS}values"
        self.otherwise = f"return {OURS}left({self._named('miss', MISS)}, {values}, {rest})"
        self.left_at = f"return {OURS}left({{}}, {values}, {rest})"
        absent = [p.name for p in parameters if p.name not in self.names.values()]
        tests = [f"{OURS}under_way", rest, *(f"{name} is not {missing}" for name in absent)]
        unasked = self.left_at.format(self._named("unasked", UNASKED))
        self.lines.append(f"if {' or '.join(tests)}: {unasked}")
        parts = [f"{OURS}self"]
        for kind in ("position", "either", "keyword"):
            parts.extend(f"{p.name}={missing}" for p in parameters if p.kind == kind)
            parts.extend(["/"] if kind == "position" and len(parts) > 1 else [])
            parts.extend([f"*{rest}"] if kind == "either" else [])
        return ", ".join(parts)

    def _head_of_any(self) -> str:
        """Arguments of a function whose parameters are not known: each must come as it came."""
        positional = [w for w in self.call.spans if isinstance(w, int)]
        keywords = [w for w in self.call.spans if isinstance(w, str)]
        self.names = {w: f"{OURS}arg_{k}" for k, w in enumerate(self.call.spans)}
        args, given = f"{OURS}args", f"{OURS}keywords"
        self.otherwise = f"return {OURS}left({self._named('miss', MISS)}, {args}, {given})"
        self.left_at = f"return {OURS}left({{}}, {args}, {given})"
        unasked = self.left_at.format(self._named("unasked", UNASKED))
        self.lines.append(f"if {OURS}under_way: {unasked}")
        count = self._named("len", len)
        self._unless(f"{count}({args}) == {len(positional)} and {count}({given}) == {len(keywords)}")
        if positional:
            self.lines.append("".join(f"{self.names[w]}, " for w in positional) + f"= {args}")
        missing = self._named("missing", MISSING)
        self.lines.extend(f"{self.names[w]} = {given}.get({w!r}, {missing})" for w in keywords)
        return f"{OURS}self, /, *{args}, **{given}"

    def _leaf(self, name: str, place: int, leaf: Leaf) -> None:
        """The check of one leaf."""
        value = leaf.value
        if leaf.role == "static":
            found = self._named("static", value)
            if by_identity(value):
                self._unless(f"{name} is {found}")
            else:
                kind = self._named("kind", type(value))
                self._unless(f"{name} is {found} or ({self._type(name)} is {kind} and {name} == {found})")
        elif isinstance(value, np.ndarray):
            dtype = self._named("dtype", value.dtype)
            array = self._named("ndarray", np.ndarray)
            self._unless(
                f"{self._type(name)} is {array} and ({name}.dtype is {dtype} or {name}.dtype == {dtype}) "
                f"and {name}.shape == {value.shape!r}"
            )
        else:
            self._number(name, leaf, type(value))

    def _number(self, name: str, leaf: Leaf, kind: type) -> None:
        found = self._named("kind", kind)
        if kind is int:
            self._unless(f"{self._type(name)} is {found} and {-INT_RANGE} < {name} < {INT_RANGE}")
        elif kind is float and leaf.role == "active":
            self.lines.append(f"if {self._type(name)} is not {found}:")
            self.lines.append(f"    if {self._type(name)} is not {self._named('int', int)}: {self.otherwise}")
            self.lines.append(f"    {name} = {found}({name})")
        else:
            self._unless(f"{self._type(name)} is {found}")

    # --- what was read outside

    def _inputs(self) -> list[str]:
        """What the program is called with, after the tests of what was read."""
        captured, given = self.path.captured, list[str]()
        taken = {p.name for p in self.parameters or ()}
        reading = Reading(self._named, self.leaves, self.globals, taken, self.otherwise)
        maker = self.path.maker
        looked_up = [s for s in (() if maker is None else maker.needs) if isinstance(s, Read)]
        guards = [*captured.guards, *(r for r in looked_up if r.kind != "input")]
        self.lines.extend(
            reading.lines(guards, [*captured.sources, *(r for r in looked_up if r.kind == "input")])
        )
        if maker is not None:
            needs = [reading.at(s) if isinstance(s, Read) else self.leaves[s] for s in maker.needs]
            made = f"{OURS}made"
            drawn = f"{self._named('make', maker.make)}(({''.join(n + ', ' for n in needs)}), True)"
            self.lines += [f"{made} = {drawn}", f"if {made} is None: {self.otherwise}"]
        for source in given_to(self.path, self.call):
            if isinstance(source, int):
                given.append(self.leaves[source])
            elif isinstance(source, Read):
                given.append(reading.at(source))
            elif isinstance(source, Drawn):
                item = "" if source.item is None else f"[{source.item}]"
                given.append(f"{OURS}made[0][{source.number}]{item}")
            elif not self.native:
                given.append(self._named("constant", source))
        return given

    # --- results

    def _run(self, given: Sequence[str]) -> None:
        """The call of the program, its side exits, and what the user gets."""
        if self.native:
            sources = [s for s in given_to(self.path, self.call) if isinstance(s, (int, Read, Drawn))]
            self._through_the_door(flat(self.path, self.call, self.form, sources), given)
            return
        exits = tuple(Exit(self.path, number) for number in range(self.path.built.outline.guards))
        out = f"{OURS}out"
        self._called(
            f"{out} = {self._named('program', self.path.built.run_python)}(({''.join(g + ', ' for g in given)}))"
        )
        self.out = lambda k: f"{out}[{k}]"
        if exits:
            left = self.left_at.format(f"{self._named('exits', exits)}[{out}[0]]")
            self.lines.append(f"if {out}[0] != -1: {self._put_back()}{left}")
        self.lines.append(f"return {self._result()}")

    def _through_the_door(self, door: tuple[Passage, Table], given: Sequence[str]) -> None:
        """The call of the native program; what comes back is what the user gets, or an exit."""
        out = f"{OURS}out"
        self.lines.append(f"{out} = {self._named('door', open_door(*door))}({', '.join(given)})")
        left = self.left_at.format(out)
        self.lines.append(f"if {self._type(out)} is {self._named('Exit', Exit)}: {self._put_back()}{left}")
        self.lines.append(f"return {out}")

    def _called(self, statement: str) -> None:
        """The call; one that raises is left to the capture, which knows the user's line."""
        failed = f"{OURS}failed"
        self.lines += [f"{failed} = False", f"try: {statement}"]
        self.lines.append(f"except {self._named('errors', Exception)}: {failed} = True")
        self.lines.append(f"if {failed}: {self._put_back()}{self.otherwise}")

    def _put_back(self) -> str:
        return "" if self.path.maker is None else f"{self._named('put_back', put_back)}({OURS}made[1]); "

    def _result(self) -> str:
        captured, form = self.path.captured, self.form
        if form.mode == "value":
            return self._value()
        count = 1 + len(captured.outputs)
        if form.mode == "vjp":
            pullback = self._named("Pullback", Pullback)
            template = self._named("template", Template(self.path, self.call, form.seeded, form.single))
            return f"{self._value()}, {pullback}({template}, {OURS}out[{count}:])"
        if form.mode == "jvp":
            return f"{self._value()}, {self._value(count)}"
        parts: list[str] = []
        for structure, places in self.call.groups:
            bars = [self._gradient(self.out(count + k), self.call.leaves[p]) for k, p in enumerate(places)]
            count += len(places)
            parts.append(together(structure, bars, self._named))
        gradient = parts[0] if form.single else f"({''.join(part + ', ' for part in parts)})"
        if form.with_value:
            return f"{self._value()}, {gradient}"
        if form.has_aux:
            return f"{gradient}, {self._value()}[1]"
        return gradient

    def _value(self, first: int = 1) -> str:
        """What the function returns, or its change: the number of its first output tells."""
        captured = self.path.captured
        leaves = [
            self._named("constant", r.value)
            if isinstance(r, Static)
            else self._output(self.out(first + r), captured.outputs[r], captured.weak[r])
            for r in captured.results
        ]
        return together(captured.structure, leaves, self._named)

    def _output(self, text: str, type: ArrayType, weak: bool) -> str:
        """A result as the user's own function would have returned it."""
        if type.shape:
            return text
        return f"{self._named('plain', plain)}({text}, {self._named('type', type)}, {weak})"

    def _gradient(self, text: str, leaf: Leaf) -> str:
        """A gradient in the kind of its argument; a Jacobian is an array whatever its shape."""
        like = self._named("like", without_contents(leaf.value))
        made = jacobian_leaf if self.form.mode == "jacobian" else gradient_leaf
        return f"{self._named(made.__name__, made)}({text}, {like})"
