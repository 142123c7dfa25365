"""The programs of one signature on disk: taken from there at the first call of a process, put there when they change.

One file a function, transform and kind of arguments, named by all of that: the function's code and file, the options,
the versions. It holds a record for each path. A record that does not fit now (another value of a global) stays: it may
fit the next process. Begin with `Shelf.take` and `Shelf.put`.

A program is put there when its native version is ready, which takes a second anyway; one that a process calls only once
when the process ends.
"""

from __future__ import annotations

import atexit
import json
import os
import types
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tracegrad.compiler.disk_cache import PROGRAM, digest_of, drop, is_usable, read, say_once, versions, write
from tracegrad.config import config
from tracegrad.dispatch.build import Built
from tracegrad.dispatch.fingerprints import Otherwise, Unstorable, fingerprint, form, kind_of
from tracegrad.dispatch.plain_data import structure_as_data
from tracegrad.dispatch.records import captured_from, path_from, record_of
from tracegrad.dispatch.roots import Roots
from tracegrad.dispatch.signature import Call, by_identity
from tracegrad.dispatch.tree import Path, without_contents
from tracegrad.record.frames import is_internal
from tracegrad.tensor.captured import Captured
from tracegrad.tensor.reads import BY_IDENTITY

Maker = Callable[[Captured], Built]
WAITING = 64  # so many at most wait for the end of the process
_behind: dict[Shelf, None] = {}


class Shelf:
    """The file of one signature.

    Parameters
    ----------
    function : callable
        The function that is transformed.
    call : Call
        A call of this signature.
    options : sequence
        What of the transform makes another program: mode, differentiated arguments, memory.

    Attributes
    ----------
    why_not : str or None
        Why nothing is kept of this signature.
    """

    def __init__(self, function: Callable[..., Any], call: Call, options: Sequence[Any]) -> None:
        self.function = function
        self.leaves = [
            leaf if leaf.role == "static" else replace(leaf, value=without_contents(leaf.value))
            for leaf in call.leaves
        ]
        self.why_not: str | None = None
        self._records: dict[Path, tuple[Any, str]] = {}  # the state in which a path was written, and what was
        self._superseded: set[str] = set()  # records of ours that are out of date
        self._name = ""
        self._pid = os.getpid()
        try:
            of_call = [_said(leaf) for leaf in call.leaves] + [
                repr([where, structure_as_data(structure, len(places))])
                for where, (structure, places) in call.spans.items()
            ]
            of_function = [_callable(function), repr(getattr(function, "__module__", None))]
            name = getattr(function, "__name__", type(function).__name__)
            name = "".join(c for c in name if c.isalnum() or c == "_")[:40]
            parts = (versions(), config.shaping(), repr(tuple(options)), *of_function, *of_call)
            self._name = f"{name}.{digest_of(*parts)}{PROGRAM}"
        except Unstorable as reason:
            self.why_not = str(reason)

    def take(self, values: Sequence[Any], make: Maker, numbers: Any) -> list[Path]:
        """The paths of the file that fit what is outside now; `values` are the leaves of the call."""
        content = None if self.why_not is not None else read(self._name)
        if content is None:
            return []
        try:
            for written in json.loads(content):
                try:
                    record = json.loads(written)
                    captured = captured_from(record, self.function, values)
                    path = path_from(record, captured, make, next(numbers))
                except Otherwise:
                    continue
                self._records[path] = _state(path), written
        except (
            Exception
        ) as error:  # a record of ours that cannot be understood costs a capture, never a crash
            say_once("record", f"a program that was kept cannot be used, and is made again: {error!r}")
            drop(self._name)
            self._records = {}
        return list(self._records)

    def is_behind(self, path: Path) -> bool:
        """Whether this path is not on disk as it is now."""
        known = self._records.get(path)
        return self.why_not is None and (known is None or known[0] != _state(path))

    def put(self, paths: Sequence[Path], at_once: bool) -> None:
        """Keep what is known now: on disk at once, or when the process ends."""
        if self.why_not is not None or not is_usable():
            return
        records: dict[Path, tuple[Any, str]] = {}
        for path in paths:
            known = self._records.get(path)
            if known is None or known[0] != _state(path):
                try:
                    roots = Roots(self.function, self.leaves)
                    known = _state(path), json.dumps(record_of(path, roots), separators=(",", ":"))
                except Unstorable as reason:
                    self.why_not = str(reason)
                    return
            records[path] = known
        self._superseded |= {old for _, old in self._records.values()}
        self._records = records
        _behind[self] = None
        if at_once:
            self.put_now()
        elif len(_behind) > WAITING:
            next(iter(_behind)).put_now()

    def put_now(self) -> None:
        """Write what waits; a process that was forked leaves it to the one that it was forked from."""
        _behind.pop(self, None)
        if os.getpid() == self._pid:
            written = [new for _, new in self._records.values()]
            written += [w for w in self._on_disk() if w not in written and w not in self._superseded]
            write(self._name, json.dumps(written[: config.max_paths]).encode())

    def _on_disk(self) -> list[str]:
        """The records that are there now, perhaps of another process or for another state of the world."""
        try:
            return [w for w in json.loads(read(self._name) or b"[]") if isinstance(w, str)]
        except ValueError:
            return []


def _state(path: Path) -> Any:
    """Another for a path whose record would be another."""
    return path.grown, path.tier_decided or path.ready, "source" in path.built.__dict__


def _said(leaf: Any) -> str:
    """A leaf as part of the name: its role, and all that programs for it are made for."""
    value = leaf.value
    if leaf.role != "static":
        said = form(value)
    elif not by_identity(value) or isinstance(value, (int, *BY_IDENTITY)):
        said = fingerprint(value)
    elif isinstance(value, (types.MethodType, types.BuiltinMethodType)):
        raise Unstorable("a method among the arguments")
    else:
        said = f"static {kind_of(value)}"
    return f"{leaf.name} {leaf.role} {said}"


def _callable(function: Any) -> str:
    """The function that is transformed.

    Raises
    ------
    Unstorable : it is ours, and what it does is what the functions of the user's do that it was made of
    """
    ours = type(function).__module__.startswith("tracegrad.")
    if ours or (isinstance(function, types.FunctionType) and is_internal(function.__code__.co_filename)):
        raise Unstorable("a derivative, which has no name of its own")
    if isinstance(function, (types.FunctionType, types.MethodType, *BY_IDENTITY)):
        return fingerprint(function)
    return kind_of(function)


@atexit.register
def _write_what_waits() -> None:
    for shelf in list(_behind):
        try:
            shelf.put_now()
        except Exception as error:  # the process ends: it has answered everything it was asked
            say_once("exit", f"a program is not kept for later processes: {error!r}")
