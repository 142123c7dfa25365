"""Items of arrays, and writing in place: NumPy writes, and the traced array stands for a new value then.

Other objects change with it: its twins (the same array under the name of a loop or branch), the array it is
a view of, and that array's other views. Memory of the caller's is never written. Begin with `Writes.assign`.
"""

from __future__ import annotations

import contextlib
import types
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tracegrad.errors import InPlaceError
from tracegrad.ir.close import substituted
from tracegrad.ir.trace import Atom, Const, Var
from tracegrad.ops.compare import where
from tracegrad.ops.families import astype, cast
from tracegrad.ops.functions import FUNCTIONS
from tracegrad.ops.index import (
    check_masks,
    flatnonzero,
    index_set,
    is_false,
    names_once,
    split,
    without_leading,
)
from tracegrad.ops.numpy_forms import plain, refusing_as
from tracegrad.ops.op import Op
from tracegrad.ops.shape import reshape
from tracegrad.record.pins import memory_of, owner_of


class Writes:
    """The part of a `Recording` that knows which memory is whose."""

    traced: Any
    wrap: Any
    truth: Any
    leak: Any
    location: Any
    structures: Any
    inputs: Any
    hoisted: Any
    as_array: Any

    def __init__(self) -> None:
        self._borrowed: dict[
            int, tuple[Any, str | None]
        ] = {}  # the caller's memory, and what the caller calls it
        self._views: dict[int, tuple[Any, Any, Op, tuple[Any, ...], Mapping[str, Any]]] = {}
        self._viewers: dict[int, list[Any]] = {}
        self._reshaped: list[tuple[Any, Any]] = []  # memory, and what a change of shape made of it
        self._lent: list[tuple[Any, np.ndarray[Any, Any], bytes]] | None = (
            None  # copies, and what was in them
        )
        self.lost: set[Var] = set()  # what views stand for that cannot be read where their array was written
        self.layout_matters = (
            False  # what was written, and where it shows, follows how arguments lie in memory
        )

    def lend(self, traced: Any, copy: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The plain copy of a value that code without marks has asked for."""
        if self._lent is not None and isinstance(traced.value, np.ndarray):
            self._lent.append((traced, copy, copy.tobytes()))
        return copy

    @contextlib.contextmanager
    def lending(self, function: Any) -> Iterator[None]:
        """While `function`, which has no marks, is called: what it writes into a plain copy is written here too.

        Raises
        ------
        InPlaceError : code in Python wrote, which may have read the value itself after that
        """
        lent: list[tuple[Any, np.ndarray[Any, Any], bytes]] = []
        before, self._lent = self._lent, lent
        try:
            yield
        finally:
            self._lent = before
        for traced, copy, contents in lent:
            if copy.tobytes() == contents:
                continue
            if isinstance(function, (types.FunctionType, types.MethodType)):
                raise InPlaceError(
                    f"`{function.__qualname__}` writes into an array by means that are not recorded.",
                    self.location(),
                    "use what it returns, or let it write outside of the function that is recorded",
                )
            self.assign(traced, Ellipsis, copy)

    def borrow(self, array: Any, name: str | None) -> None:
        """This array is the caller's."""
        self._borrowed[owner_of(array)] = (array, name)

    def is_given(self, atom: Atom) -> bool:
        """Whether this is an argument, in memory of the caller's, which is not written."""
        return atom in self.inputs and atom not in self.hoisted

    def made_inside(self, constant: Any) -> None:
        """A constant array, in memory of its own, may be written where it was made, which no step says."""
        if self.structures.frames:
            self.structures.made(memory_of(constant))

    def renamed(self, traced: Any, variable: Var) -> Any:
        """The same value under the variable of a loop or branch; of an array a twin, written when this is."""
        made = self.wrap(traced.value, variable, traced.weak, traced.requires_grad)
        if isinstance(traced.value, np.ndarray):
            twins = [r for r in traced.twins or (weakref.ref(traced),) if r() is not None]
            twins.append(weakref.ref(made))
            made.twins = traced.twins = twins
            for reference in twins:
                twin = reference()
                if twin is not None:
                    twin.twins = twins
            entry = self._views.get(id(traced))
            if entry is not None:
                self._views[id(made)] = (weakref.ref(made), *entry[1:])
                weakref.finalize(made, self._views.pop, id(made), None).atexit = False
                self._viewers.setdefault(id(entry[1]), []).append(weakref.ref(made))
        return made

    def plain_key(self, key: Any, shape: tuple[int, ...]) -> Any:
        """An index into an array of this shape: traced whole numbers as they are, traced masks as positions, by their
        count.
        """
        check_masks(key, shape)
        if not isinstance(key, tuple):
            plain = self._plain_parts(key)
            return plain[0] if len(plain) == 1 else plain
        return tuple(part for given in key for part in self._plain_parts(given))

    def _plain_parts(self, part: Any) -> tuple[Any, ...]:
        """What stands for one part of an index: a mask of several dimensions becomes as many arrays."""
        traced = self.traced(part)
        if traced is None:
            if isinstance(part, slice) and any(self.traced(p) is not None for p in _ends(part)):
                part = slice(*(p if self.traced(p) is None else p.__index__() for p in _ends(part)))
            if isinstance(part, (list, tuple)) and any(self.traced(p) is not None for p in part):
                part = FUNCTIONS[np.stack]([p if self.traced(p) is not None else np.asarray(p) for p in part])
            return (part,)
        if isinstance(traced.atom, Const):
            return (traced.value,)
        if traced.dtype.kind not in "iub":
            raise IndexError("arrays used as indices must be of integer (or boolean) type")
        if not traced.shape:
            return (self.truth(traced),) if traced.dtype.kind == "b" else (traced,)
        return self._positions(traced) if traced.dtype.kind == "b" else (traced,)

    def _positions(self, mask: Any) -> tuple[Any, ...]:
        """The positions of a mask's true items, an array a dimension."""
        count = FUNCTIONS[np.count_nonzero](mask).__index__()
        flat = flatnonzero(FUNCTIONS[np.ravel](mask), count=count)
        if mask.ndim == 1:
            return (flat,)
        out, rest = [], flat
        for n in reversed(mask.shape[1:]):
            out.append(rest % n)
            rest = rest // n
        return (rest, *reversed(out))

    def assign(self, traced: Any, key: Any, value: Any) -> None:
        """`traced[key] = value`: NumPy writes, and the traced value gets a new variable."""
        self._writable(traced)
        mask = self.traced(key)
        is_mask = mask is not None and mask.dtype.kind == "b"
        value = self.as_array(value)
        by_value = is_mask and mask.shape == traced.shape != () and np.ndim(value) == 0
        if not by_value:
            key = self.plain_key(key, traced.shape)
            if is_false(key):
                return
        raw = tuple(p.value if getattr(p, "recorder", None) is not None else p for p in _parts(key))
        template, arrays = ((), []) if by_value else split(key)
        value = without_leading(value, traced.value, raw)
        new = value.value if getattr(value, "recorder", None) is not None else value
        old, atom = traced.requires_grad, traced.atom
        before = self.wrap(np.array(traced.value), atom, False, old)
        if traced.value.dtype.kind not in "fc" and getattr(value, "requires_grad", False):
            raise self.leak(f"a traced value is stored into an array of {traced.value.dtype}")
        if by_value:
            result = cast(where(mask, value, before), traced.dtype)
        else:
            known = is_mask or (arrays and names_once(traced.shape, template, arrays))
            result = index_set(before, *arrays, value, index=template, **({"once": True} if known else {}))
        traced.value[raw] = new
        self._rebind(traced, result)

    def update(self, traced: Any, op: Op, other: Any) -> Any:
        """`traced += other` and its kind. A scalar is replaced, an array is written."""
        if not isinstance(traced.value, np.ndarray):
            return op(traced, other)

        def theirs(a: Any, b: Any) -> Any:
            return op.evaluate(a, b, out=np.asarray(a))

        result = refusing_as(theirs, op)(traced, other)
        self._writable(traced)
        dtype = traced.atom.type.dtype
        if result.shape != traced.shape or not np.can_cast(result.dtype, dtype, casting="same_kind"):
            theirs(plain(traced), plain(other))  # NumPy refuses it
        if result.dtype != dtype:
            result = astype(result, dtype=dtype)
        traced.value[...] = result.value
        self._rebind(traced, result)
        return traced

    def _writable(self, traced: Any) -> None:
        owner = owner_of(traced.value)
        borrowed = self._borrowed.get(owner)
        if borrowed is not None:
            name = borrowed[1] or ""
            copied = name if name.isidentifier() else "a"
            raise InPlaceError(
                f"`{name or 'an array'}` is written in place, but it belongs to the caller.",
                self.location(),
                f"copy it first, `{copied} = {copied}.copy()`",
            )
        self.structures.writing(self.whole_array(traced), owner)
        if self._reshaped and not self.layout_matters:
            self._reshaped = [pair for pair in self._reshaped if pair[1]() is not None]
            seen = {id(memory()) for memory, _ in self._reshaped}
            seen.update(owner_of(made()) for _, made in self._reshaped)
            self.layout_matters = owner in seen

    def whole_array(self, traced: Any) -> Any:
        """The array that a view is a part of; any other array itself."""
        while id(traced) in self._views:
            traced = self._views[id(traced)][1]
        return traced

    def is_shared(self, traced: Any) -> bool:
        """Whether a view of the array, an array it is a view of, or the array under another name is still there."""
        twins = (reference() for reference in traced.twins or ())
        views = (reference() for reference in self._viewers.get(id(traced), ()))
        return id(traced) in self._views or any(t is not None and t is not traced for t in (*twins, *views))

    def part_of(self, traced: Any) -> tuple[Any, tuple[Any, ...]]:
        """The array that a view is a part of, and which part: equal for views of the same items."""
        part: list[Any] = []
        while id(traced) in self._views:
            _, traced, op, rest, params = self._views[id(traced)]
            given = (
                substituted(t.atom, self.structures.alias) for t in map(self.traced, rest) if t is not None
            )
            part.append((op, *given, repr(params)))
        return traced, tuple(part)

    def reshaped(self, base: Any, made: Any) -> None:
        """`made` is a view of `base` or a copy, as the layout of `base` has it."""
        if isinstance(base, np.ndarray) and (base.ndim > 1 or not base.flags.c_contiguous):
            self._reshaped.append((weakref.ref(memory_of(base)), weakref.ref(made)))

    def remember_view(self, traced: Any, args: Sequence[Any], op: Op, params: Mapping[str, Any]) -> None:
        base = self.traced(args[0])  # none where a plain array is indexed by a traced one
        if base is not None and op is reshape:
            self.reshaped(base.value, traced.value)
        if base is None or not np.may_share_memory(traced.value, base.value):
            return
        number = id(traced)
        self.structures.lies_in(traced.atom, base.atom)
        self._views[number] = (weakref.ref(traced), base, op, tuple(args[1:]), params)
        weakref.finalize(traced, self._views.pop, number, None).atexit = False
        self._viewers.setdefault(id(base), []).append(weakref.ref(traced))

    def _rebind(self, traced: Any, result: Any) -> None:
        """The written value stands for `result` from here on; so do, in part, its base and its other views."""
        entry = self._views.get(id(traced))
        active = traced.requires_grad or result.requires_grad
        if result.atom.type.shape:
            self.structures.lies_in(result.atom, traced.atom)
        for twin in (traced, *(reference() for reference in traced.twins or ())):
            if twin is not None:
                twin.atom, twin.requires_grad = result.atom, active
        if entry is not None:
            _, base, op, rest, params = entry
            if op.view is None or not all(map(self._is_visible, rest)):
                raise InPlaceError(
                    f"a view made by `{op.name}` is written in place.",
                    self.location(),
                    "write into the array itself, or copy the view first",
                )
            atom = self._atom_outside(base) if traced.twins else base.atom
            whole = self.wrap(np.array(base.value), atom, False, base.requires_grad)
            self._rebind(base, op.view(whole, traced, *rest, **params))
        self._refresh_all(traced)

    def _is_visible(self, value: Any) -> bool:
        traced = self.traced(value)
        return traced is None or self.structures.is_visible(traced.atom)

    def stands_for(self, traced: Any, variable: Var, unchanged: bool = False) -> None:
        """The array goes into a loop, `unchanged`, or comes out of a structure that writes it: it, its other names and
        its views stand for this variable and its parts.
        """
        for twin in (traced, *(reference() for reference in traced.twins or ())):
            if twin is not None:
                twin.atom = variable
        self._refresh_all(traced, unchanged)

    def _refresh_all(self, traced: Any, unchanged: bool = False) -> None:
        self._refresh(traced, unchanged)
        for reference in traced.twins or ():
            twin = reference()
            if twin is not None and twin is not traced:
                self._refresh(twin, unchanged)

    def _atom_outside(self, base: Any) -> Any:
        """What the array under a view is called here, if the view came out of a loop or branch and it did not.

        Raises
        ------
        InPlaceError : it has a name only inside of them
        """
        for twin in (base, *(reference() for reference in base.twins or ())):
            if twin is not None and self.structures.is_visible(twin.atom):
                return twin.atom
        raise InPlaceError(
            "a view of an array from inside a loop or branch is written in place.",
            self.location(),
            "copy the view first, `a = a.copy()`",
        )

    def _refresh(self, base: Any, unchanged: bool) -> None:
        for reference in self._viewers.get(id(base), ()):
            view = reference()
            entry = None if view is None else self._views.get(id(view))
            if entry is None or entry[1] is not base:
                continue
            if not self._read_again(view) and not unchanged:
                view.atom = Var(view.atom.type)
                self.lost.add(view.atom)
            self._refresh(view, unchanged)

    def _read_again(self, view: Any) -> bool:
        """A view stands for its part of what its array stands for now. False if that cannot be read here: a loop that
        is over, or an earlier step of one, computed where it lies; most of the time nobody asks for it any more.
        """
        _, base, op, rest, params = self._views[id(view)]
        if not all(map(self._is_visible, (base, *rest))):
            return False
        again = op(base, *rest, **params)
        self._views.pop(id(again), None)
        view.atom, view.requires_grad = again.atom, again.requires_grad
        return True

    def find(self, view: Any) -> None:
        """A lost view is asked for: read it, should the loop have become straight since."""
        base = self._views[id(view)][1]
        if base.atom in self.lost:
            self.find(base)
        self._read_again(view)

    def demand(self, view: Any) -> None:
        """A step reads a lost view: the open loops become straight, and it has to be there."""
        self.find(view)
        if view.atom in self.lost:
            self.structures.fail(
                "a view is read in a later step than the one it was made in, after its array was written"
            )
            self.find(view)
        if view.atom in self.lost:
            raise self.unreadable()

    def unreadable(self) -> InPlaceError:
        return InPlaceError(
            "a view that was made inside a loop is read outside of it, after the array it shows was written.",
            self.location(),
            "copy the view when it is made, `a = a.copy()`, or take it anew",
        )


def _parts(key: Any) -> tuple[Any, ...]:
    return key if isinstance(key, tuple) else (key,)


def _ends(part: slice) -> tuple[Any, Any, Any]:
    return part.start, part.stop, part.step
