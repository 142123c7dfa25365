"""Machine code that finds numbers and arrays in the Python objects of a call. Begin with `Unboxing.take`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba

from tracegrad.compiler.arrays import described
from tracegrad.compiler.machine import (
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
            self.leaves.append(self._array(value, *rest))
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
            self.leaves.append(getattr(self, f"_take_{kind}")(value, *rest))

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

    def _take_number_or_int(self, value: Any) -> Any:
        """A float, or an int for one."""
        builder = self.builder
        is_float = self._is(value, FLOAT)
        with builder.if_else(is_float, likely=True) as (as_it_is, converted):
            with as_it_is:
                found = self._load(value, HEAD, DOUBLE), builder.block
            with converted:
                self._unless(self._is(value, INT))
                made = self._call("PyLong_AsDouble", DOUBLE, value)
                failed = self._call("PyErr_Occurred", POINTER)
                self._unless(builder.not_(self._there(failed)))
                other = made, builder.block
        return numba.types.float64, self._either(found, other)

    def _take_float(self, value: Any) -> Any:
        self._unless(self._is(value, FLOAT))
        return numba.types.float64, self._load(value, HEAD, DOUBLE)

    def _take_int(self, value: Any) -> Any:
        builder = self.builder
        self._unless(self._is(value, INT))
        overflow = self._space(INT32)
        found = self._call("PyLong_AsLongLongAndOverflow", WORD, value, overflow)
        self._unless(self._same(builder.load(overflow), self._number(0, INT32)))
        self._unless(builder.icmp_signed("<", found, self._number(INT_RANGE)))
        self._unless(builder.icmp_signed(">", found, self._number(-INT_RANGE)))
        return numba.types.int64, found

    def _take_scalar(self, value: Any, kind: str, slot: int) -> Any:
        """A number of NumPy's."""
        self._unless(self._is(value, slot))
        return self._element(kind, self.builder.gep(value, [self._number(HEAD)]))

    def _element(self, kind: str, data: Any) -> Any:
        wanted = numba_type(kind, None)
        there = self.builder.bitcast(data, self.context.get_data_type(wanted).as_pointer())
        return wanted, self.context.unpack_value(self.builder, wanted, there)

    def _array(self, value: Any, kind: str, ndim: int, slot: int) -> Any:
        """An array of exactly this dtype and shape; one that is laid out otherwise is copied first."""
        builder = self.builder
        self._unless(self._is(value, NDARRAY))
        self._unless(self._same(self._load(value, NDIM, INT32), self._number(ndim, INT32)))
        shape = self._load(value, SHAPE, WORD.as_pointer())
        sizes = [self._slot(slot + 1 + k) for k in range(ndim)]
        for k, size in enumerate(sizes):
            found = builder.load(builder.gep(shape, [self._number(k)]))
            self._unless(self._same(found, size))
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
            self._hold(copy)
            copied = self._load(copy, DATA, POINTER), builder.block
        data = self._either((data, before), copied)
        if not ndim:
            return self._element(kind, data)
        return self._native_array(kind, data, sizes)

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

    def _new_memory(self, slot: int, ndim: int, shape: Any) -> Any:
        """An array of its own, not filled yet, or null."""
        dtype, no_flags = self._object(slot), self._number(0, INT32)
        self._keep(dtype)
        given = (self._object(NDARRAY), dtype, self._number(ndim, INT32), shape, NULL, NULL, no_flags, NULL)
        return self._call_at(NEW_ARRAY, POINTER, *given)

    def cast(self, leaf: Any, kind: Any) -> Any:
        found, value = leaf
        return value if found == kind else self.context.cast(self.builder, value, found, kind)
