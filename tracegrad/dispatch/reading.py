"""What an entry looks up outside: each read of a path as straight code, `model.layers[0].weight`.

In: the reads that a path's guards and inputs ask for. Out: one chain of tests in the order of the capture, which
stops at the first that is not as it was, and the names that hold what the program takes. What two reads share is
looked up once. A name of the module the entry lives in is a plain name. Begin with `Reading.lines`.
"""

from __future__ import annotations

import builtins
import keyword
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracegrad import tree
from tracegrad.dispatch.signature import OURS
from tracegrad.tensor.reads import MISSING, Argument, Read, follow, holds

_NOT_THERE = (AttributeError, LookupError, TypeError, ValueError)  # as `follow` has it


def module_of(reads: Sequence[Any]) -> dict[str, Any]:
    """The globals that most is read of."""
    found = [r for r in reads if isinstance(r, Read) and _is_global(r)]
    roots = {id(r.root): r.root for r in found}
    counted = Counter(id(r.root) for r in found)
    return roots[counted.most_common(1)[0][0]] if counted else {}


class Reading:
    """The lines that look things up.

    Parameters
    ----------
    named : callable
        `named(name, value)` is a name of the entry for an object.
    leaves : dict of place to name
        Where the arguments are, for reads that start at one.
    module : dict
        The globals that the entry sees.
    taken : set of str
        Names of parameters: no names of the module here.
    otherwise : str
        The statement that leaves the entry.
    """

    def __init__(
        self,
        named: Callable[[str, Any], str],
        leaves: dict[int, str],
        module: dict[str, Any],
        taken: set[str],
        otherwise: str,
    ) -> None:
        self.named, self.leaves, self.module = named, leaves, module
        self.taken, self.otherwise = taken, otherwise
        self._at: dict[Any, str] = {}  # root and path -> the name that holds what stands there
        self._tests: list[str] = []

    def lines(self, guards: Sequence[Read], sources: Sequence[Any]) -> list[str]:
        """Tests of all guards, and of the inputs that are reads; then `at` says where these are."""
        inputs = [s for s in sources if isinstance(s, Read)]
        lines = self._names([*guards, *inputs])
        for read in guards:
            self._guard(read)
        for read in inputs:
            self._input(read)
        if self._tests:
            same = f"{OURS}same"
            chain = " and ".join(f"({test})" for test in dict.fromkeys(self._tests))
            lines += [
                f"try: {same} = {chain}",
                f"except {self.named('not_there', _NOT_THERE)}: {same} = False",
            ]
            lines.append(f"if not {same}: {self.otherwise}")
        return lines

    def at(self, read: Read) -> str:
        """The name that holds what stands at the end of a path."""
        return self._at[_key(read.root, read.path)]

    def _names(self, reads: Sequence[Read]) -> list[str]:
        """Names of the module, all at once; a name that is gone is one that is not what it was."""
        lines: list[str] = []
        for read in reads:
            if not _is_global(read) or read.root is not self.module:
                continue
            name = read.path[0][1]
            gone = read.found is MISSING and not hasattr(builtins, name)
            if gone or not _is_name(name) or name in self.taken or name.startswith(OURS):
                continue
            if read.kind == "identity":
                found = getattr(builtins, name) if read.found is MISSING else read.found
                self._tests.append(f"{name} is {self.named('found', found)}")
                self._at.setdefault(_key(read.root, read.path), name)
            elif _key(read.root, read.path) not in self._at:
                local = self._at[_key(read.root, read.path)] = f"{OURS}at_{len(self._at)}"
                lines.append(f"    {local} = {name}")
        tests, self._tests = self._tests, []
        if not lines and not tests:
            return []
        same = f"{OURS}same"
        return [
            "try:",
            *lines,
            f"    {same} = {' and '.join(dict.fromkeys(tests)) or True}",
            f"except {self.named('unbound', NameError)}: {same} = False",
            f"if not {same}: {self.otherwise}",
        ]

    def _reading(self, read: Read) -> str:
        """An expression for what stands at the end of a path now; the first one gives it a name."""
        return self._path(read.root, read.path)

    def _path(self, root: Any, path: Any) -> str:
        known = self._at.get(_key(root, path))
        if known is not None:
            return known
        if not path:
            return self.leaves[root.place] if isinstance(root, Argument) else self.named("root", root)
        value, (how, key) = self._path(root, path[:-1]), path[-1]
        name = self._at[_key(root, path)] = f"{OURS}at_{len(self._at)}"
        return f"({name} := {self._step(value, how, key)})"

    def _step(self, value: str, how: str, key: Any) -> str:
        if how == "attr":
            return (
                f"{value}.{key}" if _is_name(key) else f"{self.named('getattr', getattr)}({value}, {key!r})"
            )
        if how == "free":
            return f"{value}.cell_contents"
        if how == "now":
            return f"{value}.get()"
        if how == "parts":
            return f"{self.named('flatten', tree.flatten)}({value})"
        return f"{value}[{repr(key) if type(key) in (int, str) else self.named('key', key)}]"

    def _guard(self, read: Read) -> None:
        if read.found is MISSING:
            self._missing(read)
            return
        if read.kind == "identity" and _is_global(read) and _key(read.root, read.path) in self._at:
            return  # asked by name
        now = self._reading(read)
        if read.kind == "identity":
            self._tests.append(f"{now} is {self.named('found', read.found)}")
        elif read.kind == "alias":
            self._tests.append(f"{now} is {self._reading(read.found)}")
        elif read.kind == "type":
            self._tests.append(f"{self.named('type', type)}({now}) is {self.named('found', read.found)}")
        elif read.kind in ("value", "calm"):
            asked = f"{self.named('holds', holds)}({self.named('read', read)}, {self._reading(read)})"
            self._tests.append(f"{now} is {self.named('found', read.found)} or {asked}")
        else:
            self._tests.append(f"{self.named('holds', holds)}({self.named('read', read)}, {now})")

    def _missing(self, read: Read) -> None:
        """A guard that there is nothing at the end of a path."""
        if _is_global(read) and _key(read.root, read.path) in self._at:
            return  # the builtin of that name was asked for
        root = self._path(read.root, ())
        path, missing = self.named("path", read.path), self.named("missing", MISSING)
        self._tests.append(f"{self.named('follow', follow)}({root}, {path}) is {missing}")

    def _input(self, read: Read) -> None:
        now, value = self._reading(read), read.found
        kind = f"{self.named('type', type)}({now}) is {self.named('kind', type(value))}"
        if isinstance(value, np.ndarray):
            dtype, name = self.named("dtype", value.dtype), self.at(read)
            same = f"({name}.dtype is {dtype} or {name}.dtype == {dtype})"
            kind = f"{kind} and {same} and {name}.shape == {value.shape!r}"
        self._tests.append(kind)


def _is_global(read: Read) -> bool:
    return type(read.root) is dict and len(read.path) == 1 and read.path[0][0] == "global"


def _is_name(text: Any) -> bool:
    return isinstance(text, str) and text.isidentifier() and not keyword.iskeyword(text)


def _key(root: Any, path: Any) -> tuple[Any, ...]:
    # Keys of items that are equal and yet not alike, 1 and True, are told apart by their types.
    return (root if isinstance(root, Argument) else id(root), *((how, type(k), k) for how, k in path))
