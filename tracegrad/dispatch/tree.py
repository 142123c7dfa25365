"""Paths and the trace tree: the programs known for one signature, and where each is left for another.

A `Path` is one captured trace (or several merged into one) with what it needs at a call: where its inputs come from,
what must still be so outside, its program. Begin with `TraceTree.grow`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tracegrad.dispatch.build import Built
from tracegrad.errors import Mismatch
from tracegrad.ir.location import Location
from tracegrad.ir.trace import Var
from tracegrad.later import later
from tracegrad.tensor.captured import Captured
from tracegrad.tensor.reads import MISSING, Argument, Read, follow, holds, same_kind, same_value
from tracegrad.tensor.redraw import Draw, Drawn, Given, Redraw, drawn_value

if TYPE_CHECKING:
    from tracegrad.dispatch import tally
    from tracegrad.passes import merge as merging
else:
    tally = later("tracegrad.dispatch.tally")
    merging = later("tracegrad.passes.merge")

Maker = Callable[[Captured], Built]
TRIED_ON_TAPE = 4


class Path:
    """A program and the captures it stands for.

    Attributes
    ----------
    captured : Captured
    calls : int
        How often it was tried since it grew last.
    grown : int
        How many captures joined it.
    seconds : float
        How long its NumPy program has run in all.
    exits : dict of int to Path
        The path that took over, the last time the program was left there.
    born : int
        Paths of a function are numbered in the order of their first capture; -1 for one that is in no tree.
    tally : Tally or None
        How often its arms and loops ran, while that was asked for.
    split : Location or None
        Where the condition stands whose answer made this path, for a path that is not the first.
    entry : Entry or None
        The generated fast way from a call to the result (`entry.py`), once the tier is decided.
    without_entry : bool
        It could not be made: each call goes the general way.
    ready : bool
        An earlier process decided its tier, and kept the machine code if there is any.
    """

    def __init__(self, captured: Captured, make: Maker, born: int = -1) -> None:
        self.captured = _lasting(captured)
        self.maker = Redraw(captured.draws) if captured.draws else None
        self.born = born
        self.built = make(self.captured)
        self.calls = 0
        self.seconds = 0.0
        self.grown = 0
        self.tier_decided = False
        self.exits: dict[int, Path] = {}
        self.entry: Any = None
        self.without_entry = False
        self.split: Location | None = None
        self.tally: tally.Tally | None = None
        self.ready = False

    def count(self, inputs: Sequence[Any]) -> None:
        """A call was answered by this path, and what ran is to be counted."""
        if self.tally is None:
            self.tally = tally.Tally()
        self.tally.add(self.captured.trace, inputs)

    def inputs(self, values: Sequence[Any]) -> list[Any] | Read:
        """What the program is called with, from the argument leaves; the read that no longer holds if there is one.

        What is drawn is not there yet: `draw` puts it in.
        """
        for read in self.captured.guards:
            if not self._holds(read, values):
                return read
        out: list[Any] = []
        for source in self.captured.sources:
            if isinstance(source, int):
                out.append(values[source])
            elif isinstance(source, Read):
                value = self._now(source, values)
                if value is MISSING or not same_kind(value, source.found):
                    return source
                out.append(value)
            else:
                out.append(source)
        return out

    def draw(self, values: Sequence[Any], inputs: list[Any]) -> Any:
        """Draw random numbers into the inputs; returns how to put the generators back, None if they have been."""
        if self.maker is None:
            return ()
        made = self.maker.make(
            [values[s] if isinstance(s, int) else self._now(s, values) for s in self.maker.needs]
        )
        if made is None:
            return None
        self.fill(inputs, made[0])
        return made[1]

    def fill(self, inputs: list[Any], drawn: Sequence[Any]) -> None:
        """Put in what was drawn."""
        for place, source in enumerate(self.captured.sources):
            if isinstance(source, Drawn):
                inputs[place] = drawn_value(drawn, source)

    def _now(self, read: Read, values: Sequence[Any]) -> Any:
        root = values[read.root.place] if isinstance(read.root, Argument) else read.root
        return follow(root, read.path)

    def _holds(self, read: Read, values: Sequence[Any]) -> bool:
        now = self._now(read, values)
        return now is self._now(read.found, values) if read.kind == "alias" else holds(read, now)

    def native_inputs(self, inputs: Sequence[Any]) -> list[Any]:
        """Inputs in the types the native program was compiled for."""
        types = self.built.outline.inputs
        return [as_native(x, t.dtype) for x, t in zip(inputs, types, strict=False)]


def _lasting(captured: Captured) -> Captured:
    """What was captured without the numbers of that run: they are no part of the program, and may be large."""
    if not captured.values and not captured.drawn:
        return captured
    sources = tuple(
        replace(s, found=without_contents(s.found)) if isinstance(s, Read) else s for s in captured.sources
    )
    return replace(captured, drawn=(), values=(), sources=sources)


def without_contents(value: Any) -> Any:
    """The kind of a value: an array of its dtype and shape that takes no memory; any other as it is."""
    if type(value) is np.ndarray:
        return np.broadcast_to(np.zeros((), value.dtype), value.shape)
    return value


def as_native(value: Any, dtype: np.dtype[Any]) -> Any:
    """A value as the type that Numba compiled for: contiguous, aligned, writable; or a scalar of the dtype."""
    if isinstance(value, np.ndarray) and value.ndim:
        return value if value.flags.carray else own(value)
    if dtype == np.float64:
        return float(value)
    if dtype == np.int64:
        return int(value)
    return dtype.type(value)


def own(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A contiguous, aligned, writable copy."""
    return np.array(value, order="C")


class TraceTree:
    """The paths of one signature, the one used last first; `kinds` are the arguments, as text."""

    def __init__(self, kinds: Mapping[str, str]) -> None:
        self.kinds = kinds
        self.paths: list[Path] = []
        self.on_tape: tuple[str, Location | None] | None = None  # why it is not compiled any more, and where
        self.new_in_a_row = 0  # captures that became paths of their own, since one fitted or joined
        self.on_tape_for = 0  # calls that run on the tape before the next is captured
        self.needs_trace = False  # on the tape it meets values of an outer recorder
        self.shelf: Any = None  # its programs on disk

    def candidates(self) -> list[Path]:
        """The paths to try, the one used last first; few of them where a call will most likely fit none."""
        return self.paths[:] if self.on_tape is None else self.paths[:TRIED_ON_TAPE]

    def touch(self, path: Path) -> None:
        """This path was used last."""
        if path in self.paths and self.paths[0] is not path:
            self.paths.remove(path)
            self.paths.insert(0, path)

    def give_up(self, path: Path | None, reason: str) -> None:
        """No more programs, as this one fails; those of other paths that were compiled go on."""
        self.on_tape = self.on_tape or (reason, None)
        if path in self.paths:
            self.paths.remove(path)
        for other in self.paths:
            other.exits = {k: p for k, p in other.exits.items() if p is not path}

    def splits_most(self) -> Location | None:
        """The condition that most paths were split off at."""
        count = Counter(path.split for path in self.paths if path.split is not None)
        return count.most_common(1)[0][0] if count else None

    def grow(
        self, captured: Captured, make: Maker, numbers: Iterator[int]
    ) -> tuple[Path, dict[Path, str] | None]:
        """Add a capture; returns its path, and why it was not merged with each that was there; None if it was.

        A capture that differs from a path only in arms of branches makes that path's program larger. Any other
        becomes a path of its own.
        """
        apart: dict[Path, str] = {}
        for known in self.paths:
            joined = _joined(known.captured, captured)
            if isinstance(joined, str):
                apart[known] = joined
            else:
                path = Path(joined, make, known.born)
                path.seconds, path.split, path.grown = known.seconds, known.split, known.grown + 1
                path.tally = known.tally
                self.paths[self.paths.index(known)] = path
                for other in self.paths:
                    other.exits = {k: p for k, p in other.exits.items() if p is not known}
                self.touch(path)
                return path, None
        path = Path(captured, make, next(numbers))
        self.paths.insert(0, path)
        return path, apart


def _joined(first: Captured, second: Captured) -> Captured | str:
    """Both captures as one, if they are the same program but for the arms they took; otherwise why not."""
    if (
        first.structure != second.structure
        or first.results != second.results
        or len(first.trace.outputs) != len(second.trace.outputs)
    ):
        return "it returns other things"
    weak = tuple(a and b for a, b in zip(first.weak, second.weak, strict=True))
    differ = (a != b for a, b in zip(first.weak, second.weak, strict=True))
    # A float64 of NumPy's is a Python float; a whole number of NumPy's is no int.
    if any(d and v.type.dtype != np.float64 for d, v in zip(differ, first.trace.outputs, strict=True)):
        return "one returns a Python number where the other returns a NumPy number"
    if not _same_part(first.draws, second.draws):
        return "it draws other random numbers"
    if _contradict(first, second):
        return "something read outside is not the same"
    inputs, sources = list(first.trace.inputs), list(first.sources)
    aligned: list[Var] = []
    for variable, source in zip(second.trace.inputs, second.sources, strict=True):
        place = next((i for i, known in enumerate(sources) if same_source(known, source)), None)
        if place is None:
            place = len(inputs)
            inputs.append(Var(variable.type, variable.name))
            sources.append(source)
        if inputs[place].type != variable.type:
            return f"`{variable.name}` is {variable.type}, not {inputs[place].type}"
        aligned.append(inputs[place])
    grown = replace(first.trace, inputs=tuple(inputs))
    merged = merging.merge(grown, second.trace, aligned)
    if isinstance(merged, Mismatch):
        where = "" if merged.where is None else f" (line {merged.where.line}: `{merged.where.text}`)"
        return f"{merged.reason}{where}"
    guards = [*first.guards]
    guards.extend(g for g in second.guards if not any(_same_read(g, known) for known in guards))
    notes = (*first.notes, *(n for n in second.notes if n not in first.notes))
    genuine = (*first.genuine, *second.genuine)
    return replace(
        second,
        trace=merged,
        sources=tuple(sources),
        guards=tuple(guards),
        notes=notes,
        weak=weak,
        genuine=tuple({(id(g.root), g.path): g for g in genuine}.values()),
        shows=first.shows or second.shows,
        files=tuple(sorted({*first.files, *second.files})),
    )


def _contradict(first: Captured, second: Captured) -> bool:
    """Whether both looked at the same thing outside and found something else: no call could fit both."""
    known = {(_root(g), g.path, g.kind): g for g in first.guards}
    inputs = {(_root(s), s.path) for s in first.sources if isinstance(s, Read)}
    for g in second.guards:
        other = known.get((_root(g), g.path, g.kind))
        if (other is not None and not _same_read(g, other)) or (_root(g), g.path) in inputs:
            return True
    guarded = {(_root(g), g.path) for g in first.guards}
    return any(isinstance(s, Read) and (_root(s), s.path) in guarded for s in second.sources)


def _root(read: Read) -> Any:
    return read.root if isinstance(read.root, Argument) else id(read.root)


def same_source(a: Any, b: Any) -> bool:
    """Whether two inputs come from the same place."""
    if isinstance(a, int) or isinstance(b, int):
        return type(a) is type(b) and a == b
    if isinstance(a, Read) and isinstance(b, Read):
        return _same_read(a, b)
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return a == b if isinstance(a, Drawn) else a is b


def _same_part(a: Any, b: Any) -> bool:
    """Whether two draws, or parts of draws, are alike."""
    if type(a) is not type(b):
        return False
    if isinstance(a, Draw):
        return _same_part((a.owner, a.name, a.args, a.keywords), (b.owner, b.name, b.args, b.keywords))
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(_same_part, a, b))
    if isinstance(a, Given):
        return same_source(a.source, b.source)
    return same_source(a, b) if isinstance(a, (Drawn, np.ndarray)) else same_value(a, b)


def _same_read(a: Read, b: Read) -> bool:
    same_root = (
        a.root == b.root
        if isinstance(a.root, Argument) and isinstance(b.root, Argument)
        else a.root is b.root
    )
    if not same_root or a.path != b.path or a.kind != b.kind:
        return False
    if a.kind == "alias":
        return _same_read(a.found, b.found)
    if a.kind == "contents":
        return same_source(a.found, b.found)
    if a.kind in ("identity", "type"):
        return a.found is b.found  # `==` may be the user's
    return a.kind == "input" or same_value(a.found, b.found)
