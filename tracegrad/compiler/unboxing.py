"""Machine code that finds numbers and arrays in the Python objects of a call. Begin with `Unboxing.take`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numba

from tracegrad.compiler.arrays import described
from tracegrad.compiler.machine import (
    BYTE,
    DATA,
    DESCR,
    DOUBLE,
    FLAGS,
    HEAD,
    INT32,
    NDIM,
    NULL,
    POINTER,
    SHAPE,
    WORD,
    Machine,
    numba_type,
)
from tracegrad.compiler.passage import FLOAT, INT, KINDS_OF, NDARRAY, NEW_ARRAY, NEW_COPY, TAKE

USABLE = 0x0101  # contiguous and aligned
INT_RANGE = 2**31


class Unboxing(Machine):
    """From objects to registers; what is not as the passage says is missed."""

    def take(self, tree: Any, value: Any, held: bool) -> None:
        """The leaves of one argument; `held` says that whoever calls keeps a reference to it."""
        kind, *rest = tree
        if kind == "array":
            if not held:
                self._keep(value)
                self._hold(value)
            self._find(tree, value)
        elif kind in ("tuple", "list"):
            self._unless(self._is(value, KINDS_OF[kind]))
            size = self._call(f"Py{kind.title()}_Size", WORD, value)
            self._unless(self._same(size, self._number(len(rest))))
            for number, part in enumerate(rest):
                item = self._item(f"Py{kind.title()}_GetItem", value, number)
                self.take(part, item, held and kind == "tuple")
        elif kind == "dict":
            self._unless(self._is(value, KINDS_OF[kind]))
            size = self._call("PyDict_Size", WORD, value)
            self._unless(self._same(size, self._number(len(rest))))
            for key, part in rest:
                item = self._call("PyDict_GetItemWithError", POINTER, value, self._object(key))
                self._unless(self._there(item))
                self.take(part, item, held=False)
        elif kind == "static":
            self._static(value, *rest)
        else:
            self._find(tree, value)

    def _static(self, value: Any, slot: int, compared: bool) -> None:
        """An object that must be this one, or, where that is enough, equal to it and of its type."""
        builder, found = self.builder, self._object(slot)
        other = builder.not_(self._same(value, found))
        if not compared:
            self._unless(builder.not_(other))
            return
        with self._seldom(other):
            self._unless(self._same(self._type(value), self._type(found)))
            equal = self._call("PyObject_RichCompareBool", INT32, value, found, self._number(2, INT32))
            self._unless(self._same(equal, self._number(1, INT32)))

    def _find(self, tree: Any, value: Any) -> None:
        """One leaf. What a function finds stands in memory until the program is called: LLVM would look for a register
        for each part of it, all the way there."""
        place = self.builder.gep(self.found, [self._number(len(self.leaves))])
        kind, *rest = tree
        if kind == "float":
            self._unless(self._is(value, FLOAT))
            place = self._load(value, HEAD, DOUBLE)
        elif kind == "number_or_int":
            place = self._number_or_int(value, place)
        else:
            *what, slot = rest or [0]
            room = [self._place_to_hold()] if kind == "array" else []
            self._find_apart(kind, what, value, place, self._number(slot), *room)
        self.leaves.append((tree, place))

    def _number_or_int(self, value: Any, place: Any) -> Any:
        """A float, or an int for one."""
        builder = self.builder
        with builder.if_else(self._is(value, FLOAT), likely=True) as (as_it_is, converted):
            with as_it_is:
                found = self._load(value, HEAD, DOUBLE), builder.block
            with converted:
                self._find_apart("whole", [], value, place)
                other = self._load(place, 0, DOUBLE), builder.block
        return self._either(found, other)

    def _find_apart(self, kind: str, what: Any, *given: Any) -> None:
        """By the function for the kind of leaf."""
        write = functools.partial(getattr(self, f"_find_{kind}"), *what)
        found = self._apart(".".join(map(str, (kind, *what))), write, *given)
        self._else(self._there(found), self.refused)

    def leaf(self, number: int) -> Any:
        """Numba's type and the value of a leaf that was found."""
        tree, place = self.leaves[number]
        match tree:
            case ("array", kind, ndim, slot) if ndim:
                sizes = [self._slot(slot + 1 + k) for k in range(ndim)]
                return self._native_array(kind, self._load(place, 0, POINTER), sizes)
            case ("array" | "scalar", kind, *_):
                return self._element(kind, place)
            case ("int",):
                return self._element("int64", place)
        return numba.types.float64, place

    def _put(self, value: Any, place: Any) -> Any:
        """Put a leaf in its place; what is answered is not null."""
        self.builder.store(value, self.builder.bitcast(place, value.type.as_pointer()))
        return self.builder.bitcast(place, POINTER)

    def _find_whole(self, value: Any, place: Any) -> Any:
        """An int for a float."""
        self._unless(self._is(value, INT))
        made = self._call("PyLong_AsDouble", DOUBLE, value)
        self._unless(self.builder.not_(self._there(self._call("PyErr_Occurred", POINTER))))
        return self._put(made, place)

    def _find_int(self, value: Any, place: Any, _: Any) -> Any:
        builder = self.builder
        self._unless(self._is(value, INT))
        overflow = self._space(INT32)
        found = self._call("PyLong_AsLongLongAndOverflow", WORD, value, overflow)
        self._unless(self._same(builder.load(overflow), self._number(0, INT32)))
        self._unless(builder.icmp_signed("<", found, self._number(INT_RANGE)))
        self._unless(builder.icmp_signed(">", found, self._number(-INT_RANGE)))
        return self._put(found, place)

    def _find_scalar(self, kind: str, value: Any, place: Any, slot: Any) -> Any:
        """A number of NumPy's."""
        self._unless(self._is(value, slot))
        return self._copied(kind, self._at(value, HEAD, BYTE), place)

    def _copied(self, kind: str, data: Any, place: Any) -> Any:
        """The element at an address, in the place of a leaf."""
        wanted, value = self._element(kind, data)
        space = self.builder.bitcast(place, self.context.get_data_type(wanted).as_pointer())
        self.context.pack_value(self.builder, wanted, value, space)
        return self.builder.bitcast(place, POINTER)

    def _find_array(self, kind: str, ndim: int, value: Any, place: Any, slot: Any, copied: Any) -> Any:
        """An array of exactly this dtype and shape; one that is laid out otherwise is copied first."""
        builder = self.builder
        self._unless(self._is(value, NDARRAY))
        self._unless(self._same(self._load(value, NDIM, INT32), self._number(ndim, INT32)))
        shape = self._load(value, SHAPE, WORD.as_pointer())
        for k in range(ndim):
            found = builder.load(builder.gep(shape, [self._number(k)]))
            self._unless(self._same(found, self._slot(builder.add(slot, self._number(1 + k)))))
        dtype = self._load(value, DESCR, POINTER)
        with self._seldom(builder.not_(self._same(dtype, self._object(slot)))):
            wanted = self._object(slot)
            equal = self._call("PyObject_RichCompareBool", INT32, dtype, wanted, self._number(2, INT32))
            self._unless(self._same(equal, self._number(1, INT32)))
        data = self._load(value, DATA, POINTER)
        usable = builder.and_(self._load(value, FLAGS, INT32), self._number(USABLE, INT32))
        elsewhere, before = builder.not_(self._same(usable, self._number(USABLE, INT32))), builder.block
        with self._seldom(elsewhere):
            copy = self._call_at(NEW_COPY, POINTER, value, self._number(0, INT32))
            self._else(self._there(copy), self.failed)
            builder.store(copy, copied)
            other = self._load(copy, DATA, POINTER), builder.block
        data = self._either((data, before), other)
        return self._put(data, place) if ndim else self._copied(kind, data, place)

    def _element(self, kind: str, data: Any) -> Any:
        wanted = numba_type(kind, None)
        there = self.builder.bitcast(data, self.context.get_data_type(wanted).as_pointer())
        return wanted, self.context.unpack_value(self.builder, wanted, there)

    def _native_array(self, kind: str, data: Any, sizes: Sequence[Any]) -> Any:
        """Numba's array over memory that others own."""
        wanted = numba_type(kind, len(sizes))
        there = self.builder.bitcast(data, self.context.get_data_type(wanted.dtype).as_pointer())
        return wanted, described(self.context, self.builder, wanted, there, sizes, None, NULL)

    def constant(self, kind: Any, slot: int) -> Any:
        """A number or an array that the program takes at each call; the memory it is in stands in the table."""
        data, name = self._object(slot), str(numba.np.numpy_support.as_dtype(getattr(kind, "dtype", kind)))
        if isinstance(kind, numba.types.Array):
            return self._native_array(name, data, [self._slot(slot + 1 + k) for k in range(kind.ndim)])[1]
        return self._element(name, data)[1]

    def room(self, kind: str, ndim: int, slot: int, again: bool) -> Any:
        """An array that the program writes into; the call keeps it until it ends, a result beyond that.

        Its memory is fresh, or what another array had before it.
        """
        if again:
            array = self._call("PyObject_CallObject", POINTER, self._object(TAKE), self._object(slot))
        else:
            array = self._new_memory(slot + 1, ndim, self.builder.gep(self.table, [self._number(slot + 2)]))
        self._else(self._there(array), self.failed)
        self._hold(array)
        self.rooms.append(array)
        sizes = [self._slot(slot + 2 + k) for k in range(ndim)]
        return self._native_array(kind, self._load(array, DATA, POINTER), sizes)

    def _new_memory(self, slot: Any, ndim: int, shape: Any) -> Any:
        """An array of its own, not filled yet, or null."""
        dtype, no_flags = self._object(slot), self._number(0, INT32)
        self._keep(dtype)
        given = (self._object(NDARRAY), dtype, self._number(ndim, INT32), shape, NULL, NULL, no_flags, NULL)
        return self._call_at(NEW_ARRAY, POINTER, *given)

    def cast(self, leaf: Any, kind: Any) -> Any:
        found, value = leaf
        return value if found == kind else self.context.cast(self.builder, value, found, kind)
