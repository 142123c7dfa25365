"""A path as plain data, for a file, and back: its trace, where its inputs come from, what must be so outside, its text.

In: a `Path` and the names of the roots its reads start at. Out: a dictionary of texts and numbers. The way back does
not trust it to fit: every read is made again in this process, and what it finds must have the fingerprint of what the
capture found; what was found now is what the guards ask for from then on. No object is kept, and none is unpickled.
Begin with `record_of` and `captured_from`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tracegrad.dispatch.build import Built, Outline
from tracegrad.dispatch.fingerprints import Otherwise, Unstorable, file_digest, fingerprint, form, kind_of
from tracegrad.dispatch.plain_data import (
    Data,
    array_as_data,
    array_from,
    location_as_data,
    location_from,
    structure_as_data,
    structure_from,
    text_as_data,
    text_from,
    types_as_data,
    types_from,
    value_as_data,
    value_from,
)
from tracegrad.dispatch.roots import Roots, find, path_as_data, path_from_data
from tracegrad.dispatch.tree import Path
from tracegrad.ir.trace import Trace
from tracegrad.later import later
from tracegrad.tensor.captured import Captured, Static
from tracegrad.tensor.reads import MISSING, Argument, Read, follow, is_calm

if TYPE_CHECKING:
    from tracegrad.dispatch import traces
else:
    traces = later("tracegrad.dispatch.traces")
from tracegrad.tensor.redraw import Draw, Drawn, Given

# --- a path as data


def record_of(path: Path, roots: Roots) -> Data:
    """A path as data.

    Raises
    ------
    Unstorable : it depends on something that another process cannot find
    """
    captured, built = path.captured, path.built
    if captured.shows:
        raise Unstorable("what it prints, which a program does not do again")
    roots.learn(captured.guards)
    same: dict[int, int] = {}
    return {
        "trace": traces.trace_as_data(captured.trace),
        "name": captured.name,
        "outputs": types_as_data(captured.outputs),
        "sources": [_source(s, roots) for s in captured.sources],
        "guards": [_read(r, roots, same) for r in captured.guards],
        "genuine": [_read(r, roots, same) for r in captured.genuine],
        "files": [[name, file_digest(name)] for name in captured.files],
        "draws": [_draw(d, roots) for d in captured.draws],
        "structure": structure_as_data(captured.structure, len(captured.results)),
        "results": [
            ["static", value_as_data(r.value)] if isinstance(r, Static) else r for r in captured.results
        ],
        "weak": list(captured.weak),
        "notes": [[said, location_as_data(where)] for said, where in captured.notes],
        "split": location_as_data(path.split),
        "outline": _outline(built.outline),
        "source": text_as_data(built.__dict__.get("source")),
        "native": text_as_data(built.native_text),
        "reasons": built.reasons,
        "decided": path.tier_decided or path.ready,
    }


def _read(read: Read, roots: Roots, same: dict[int, int]) -> Data:
    """A read, with the fingerprint of what it found; `same` numbers the objects that identities were asked of."""
    found: Data = None
    kind, value = read.kind, read.found
    if kind == "identity":
        found = [fingerprint(value), None if value is MISSING else same.setdefault(id(value), len(same))]
    elif kind in ("value", "contents") or kind == "type":
        found = fingerprint(value)
    elif kind in ("length", "form", "keys"):
        found = [fingerprint(v) for v in value]
    elif kind == "alias":
        found = _read(value, roots, same)
    elif kind == "genuine":
        found = _leniently(value)
    elif kind == "input":
        found = form(value)
    return [roots.name(read.root), path_as_data(read.path), kind, found]


def _leniently(value: Any) -> str:
    try:
        return fingerprint(value)
    except Unstorable:
        return kind_of(value)


def _source(source: Any, roots: Roots) -> Data:
    if isinstance(source, int):
        return source
    if isinstance(source, Read):
        return ["read", _read(source, roots, {})]
    if isinstance(source, Drawn):
        return ["drawn", source.number, source.item]
    if type(source) is np.ndarray and not source.dtype.hasobject:
        return ["array", array_as_data(source)]
    raise Unstorable(f"a {type(source).__name__} of another derivative, or of an eager graph")


def _draw(draw: Draw, roots: Roots) -> Data:
    keywords = [[name, _part(value, roots)] for name, value in draw.keywords]
    args = [_part(value, roots) for value in draw.args]
    return [_owner(draw.owner, roots), draw.name, args, keywords, _form(draw.form)]


_GLOBAL = [["module", "numpy.random.mtrand"], [["attr", "_rand"]]]  # the generator behind `np.random.normal`


def _owner(owner: Any, roots: Roots) -> Data:
    if isinstance(owner, (Given, Drawn)):
        return _part(owner, roots)
    if owner is np.random.mtrand._rand:
        return ["at", *_GLOBAL]
    return ["at", roots.name(owner), [], kind_of(owner)]


def _part(part: Any, roots: Roots) -> Data:
    """An argument of a draw."""
    if isinstance(part, Given):
        source = part.source
        return ["given", source if isinstance(source, int) else _read(source, roots, {})]
    if isinstance(part, Drawn):
        return ["drawn", part.number, part.item]
    if type(part) in (list, tuple):
        return [type(part).__name__, [_part(p, roots) for p in part]]
    return ["value", value_as_data(part)]


def _form(found: Any) -> Data:
    if found is None:
        return None
    if isinstance(found, list):
        return ["list", [_form(f) for f in found]]
    kind, dtype, shape = found
    return [
        "one",
        value_as_data(kind),
        None if dtype is None else dtype.str,
        None if shape is None else list(shape),
    ]


def _outline(outline: Outline) -> Data:
    o = outline
    return [
        o.name,
        types_as_data(o.inputs),
        types_as_data(o.bars),
        o.outputs,
        o.gradients,
        o.kept,
        o.guards,
        o.seconds,
    ]


# --- data as a path


class Kept(Captured):
    """What an earlier process captured; the trace is read when somebody asks for it."""

    @functools.cached_property
    def trace(self) -> Trace:
        return traces.trace_from(self.written)

    written: Data


def captured_from(record: Data, function: Any, values: Sequence[Any]) -> Captured:
    """What was captured, if everything outside is as it was.

    Parameters
    ----------
    record : data of `record_of`
    function : callable
        The function that is transformed.
    values : sequence
        The argument leaves of this call.

    Raises
    ------
    Otherwise : something outside is not as it was
    """
    world = _World(function, values)
    for name, digest in record["files"]:
        world.file(name, digest)
    for data in record["genuine"]:
        world.genuine(data)
    guards = tuple(world.read(data) for data in record["guards"])
    kept = object.__new__(Kept)
    kept.__dict__.update(
        written=record["trace"],
        name=record["name"],
        outputs=types_from(record["outputs"]),
        sources=tuple(world.source(s) for s in record["sources"]),
        guards=guards,
        genuine=tuple(world.read(data) for data in record["genuine"] if world.is_there(data)),
        draws=tuple(world.draw(d) for d in record["draws"]),
        drawn=(),
        structure=structure_from(record["structure"]),
        results=tuple(r if isinstance(r, int) else Static(value_from(r[1])) for r in record["results"]),
        values=(),
        weak=tuple(record["weak"]),
        impure=None,
        notes=tuple((said, location_from(where)) for said, where in record["notes"]),
        shows=False,
        files=tuple(name for name, _ in record["files"]),
    )
    return kept


@dataclass
class _World:
    """What a record is held against: this process."""

    function: Any
    values: Sequence[Any]
    objects: dict[int, Any] = field(default_factory=dict)

    def now(self, data: Data) -> tuple[Any, Any, Any]:
        """Root, path, and what stands at the end of it."""
        name, steps = data[0], path_from_data(data[1])
        root = find(name, self.function, self.values)
        if root is MISSING:
            raise Otherwise(f"{name} is not there")
        given = Argument(name[1]) if name[0] == "argument" else root
        return given, steps, follow(root, steps)

    def read(self, data: Data) -> Read:
        """A read made now; it must find what it found."""
        root, path, value = self.now(data)
        kind, wanted = data[2], data[3]
        found: Any = value
        try:
            fits = self._fits(kind, value, wanted)
        except Unstorable:
            fits = False
        if kind == "type":
            found = type(value)
        elif kind == "length" and fits:
            found = (type(value), len(value))
        elif kind == "keys" and fits:
            found = tuple(value)
        elif kind == "form":
            found = (type(value), getattr(value, "dtype", None), getattr(value, "shape", None))
        elif kind == "contents" and fits:
            found = value.copy()
        elif kind == "alias":
            other_root, other_path, other = self.now(wanted)
            found, fits = Read(other_root, other_path, "", None), value is other and value is not MISSING
        if not fits:
            raise Otherwise(str(Read(root, path, kind, None)))
        return Read(root, path, kind, found)

    def _fits(self, kind: str, value: Any, wanted: Data) -> bool:
        if kind == "identity":
            return fingerprint(value) == wanted[0] and (wanted[1] is None or self._same(value, wanted[1]))
        if value is MISSING:
            return False
        if kind in ("value", "contents"):
            return fingerprint(value) == wanted
        if kind == "type":
            return fingerprint(type(value)) == wanted
        if kind == "length":
            return hasattr(value, "__len__") and [fingerprint(type(value)), fingerprint(len(value))] == wanted
        if kind == "keys":
            return type(value) is dict and [fingerprint(k) for k in value] == wanted
        if kind == "form":
            form_now = (type(value), getattr(value, "dtype", None), getattr(value, "shape", None))
            return [fingerprint(v) for v in form_now] == wanted
        if kind == "calm":
            return is_calm()
        if kind == "genuine":
            return _leniently(value) == wanted
        return kind == "alias" or (kind == "input" and form(value) == wanted)

    def _same(self, value: Any, number: int) -> bool:
        """Objects that were one are one, and others are others."""
        known = self.objects.setdefault(number, value)
        return known is value and all(o is not value for n, o in self.objects.items() if n != number)

    def file(self, name: str, digest: str) -> None:
        """A file of functions that ran must be what it was, however they were reached."""
        try:
            same = file_digest(name) == digest
        except Unstorable:
            same = False
        if not same:
            raise Otherwise(name)

    def is_there(self, data: Data) -> bool:
        """Whether a module is loaded."""
        return find(data[0], self.function, self.values) is not MISSING

    def genuine(self, data: Data) -> None:
        """What a library has must be what it had; one that is not loaded was changed by nobody."""
        if self.is_there(data):
            self.read(data)

    def source(self, data: Data) -> Any:
        if isinstance(data, int):
            return data
        if data[0] == "read":
            return self.read(data[1])
        return Drawn(data[1], data[2]) if data[0] == "drawn" else array_from(data[1])

    def draw(self, data: Data) -> Draw:
        owner, name, args, keywords, form_data = data
        return Draw(
            self._owner(owner),
            name,
            tuple(map(self._part, args)),
            tuple((k, self._part(v)) for k, v in keywords),
            _form_from(form_data),
        )

    def _owner(self, data: Data) -> Any:
        if data[0] != "at":
            return self._part(data)
        found = self.now(data[1:])[2]
        if found is MISSING or (len(data) > 3 and kind_of(found) != data[3]):
            raise Otherwise("a generator of random numbers")
        return found

    def _part(self, data: Data) -> Any:
        if data[0] == "given":
            return Given(data[1] if isinstance(data[1], int) else self.read(data[1]))
        if data[0] == "drawn":
            return Drawn(data[1], data[2])
        if data[0] in ("list", "tuple"):
            parts = [self._part(p) for p in data[1]]
            return parts if data[0] == "list" else tuple(parts)
        return value_from(data[1])


def _form_from(data: Data) -> Any:
    if data is None:
        return None
    if data[0] == "list":
        return [_form_from(d) for d in data[1]]
    _, kind, dtype, shape = data
    return (
        value_from(kind),
        None if dtype is None else np.dtype(dtype),
        None if shape is None else tuple(shape),
    )


def path_from(record: Data, captured: Captured, make: Callable[[Captured], Built], born: int) -> Path:
    """The path of a record, with its texts."""
    path = Path(captured, make, born)
    name, inputs, bars, *counts = record["outline"]
    built = path.built
    built.__dict__["outline"] = Outline(name, types_from(inputs), types_from(bars), *counts)
    if record["source"] is not None:
        built.__dict__["source"] = text_from(record["source"])
    if record["native"] is not None:
        built.native_text = text_from(record["native"])
    built.reasons = record["reasons"]
    path.split = location_from(record["split"])
    path.ready = bool(record["decided"])
    return path
