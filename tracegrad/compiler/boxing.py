"""Machine code that makes Python objects of what a program returned. Begin with `Boxing.make_results`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import llvmlite.ir as ir
import numba
from numba.core import cgutils

from tracegrad.compiler.arrays import SHAPE as SIZES
from tracegrad.compiler.arrays import Array
from tracegrad.compiler.machine import DATA, HEAD, INT32, POINTER, WORD, numba_type
from tracegrad.compiler.passage import COPIED, NDARRAY, NEW_COPY
from tracegrad.compiler.unboxing import Unboxing

KEEP_ORDER = 2  # `NPY_KEEPORDER`

Place = Callable[[Any], None]


class Boxing(Unboxing):
    """From registers to objects; each container holds its items as soon as there are any."""

    def make_results(self) -> None:
        """What the user gets of what the program returned."""
        self.broken = self.builder.append_basic_block("broken")
        self._make(self.passage.results, lambda made: self.builder.store(made, self.result))
        self._drop()
        with self.builder.goto_block(self.broken):
            self._drop()
            self.builder.branch(self.failed)

    def _made(self, value: Any) -> Any:
        self._else(self._there(value), self.broken)
        return value

    def _make(self, tree: Any, place: Place) -> None:
        kind, *rest = tree
        if kind in ("tuple", "list"):
            name = kind.title()
            made = self._made(self._call(f"Py{name}_New", POINTER, self._number(len(rest))))
            place(made)
            for number, part in enumerate(rest):
                self._make(part, self._into(name, made, number))
        elif kind == "dict":
            made = self._made(self._call("PyDict_New", POINTER))
            place(made)
            for key, part in rest:
                self._make(part, self._under(made, key))
        elif kind == "call":
            slot, *parts = rest
            space = self._place_to_hold()
            self._make(("tuple", *parts), lambda made: self.builder.store(made, space))
            called = self._call("PyObject_CallObject", POINTER, self._object(slot), self.builder.load(space))
            place(self._made(called))
        elif kind in ("constant", "given"):
            made = self._object(rest[0]) if kind == "constant" else self.rooms[rest[0]]
            self._keep(made)
            place(made)
        else:
            place(self._made(getattr(self, f"_new_{kind}")(*rest)))

    def _into(self, name: str, container: Any, number: int) -> Place:
        def place(made: Any) -> None:
            self._call(f"Py{name}_SetItem", INT32, container, self._number(number), made)

        return place

    def _under(self, container: Any, key: int) -> Place:
        def place(made: Any) -> None:
            done = self._call("PyDict_SetItem", INT32, container, self._object(key), made)
            self._give_back(made)
            self._else(self._same(done, self._number(0, INT32)), self.broken)

        return place

    def _output(self, number: int) -> Any:
        return self.context.unpack_value(self.builder, self.returns[number], self._output_at(number))

    def _new_plain(self, number: int) -> Any:
        """A number of Python's."""
        kind, value = self.returns[number], self._output(number)
        if isinstance(kind, numba.types.Boolean):
            return self._call("PyBool_FromLong", POINTER, self.builder.zext(value, WORD))
        if isinstance(kind, numba.types.Complex):
            parts = self.context.make_complex(self.builder, kind, value=value)
            real, imaginary = (
                self.context.cast(self.builder, part, kind.underlying_float, numba.types.float64)
                for part in (parts.real, parts.imag)
            )
            return self._call("PyComplex_FromDoubles", POINTER, real, imaginary)
        if isinstance(kind, numba.types.Float):
            value = self.context.cast(self.builder, value, kind, numba.types.float64)
            return self._call("PyFloat_FromDouble", POINTER, value)
        wide, name = (
            (numba.types.int64, "LongLong") if kind.signed else (numba.types.uint64, "UnsignedLongLong")
        )
        value = self.context.cast(self.builder, value, kind, wide)
        return self._call(f"PyLong_From{name}", POINTER, value)

    def _new_scalar(self, number: int, kind: str, slot: int) -> Any:
        """A number of NumPy's: memory from its type, and the number in it."""
        made = self._made(self._call_at(slot + 1, POINTER, self._object(slot), self._number(0)))
        self._store(number, kind, self.builder.gep(made, [self._number(HEAD)]))
        return made

    def _new_truth(self, number: int, slot: int) -> Any:
        """One of NumPy's two truth values."""
        yes, no = self._object(slot), self._object(slot + 1)
        made = self.builder.select(self._output(number), yes, no)
        self._keep(made)
        return made

    def _store(self, number: int, kind: str, there: Any) -> None:
        wanted = numba_type(kind, None)
        value = self.cast((self.returns[number], self._output(number)), wanted)
        space = self.builder.bitcast(there, self.context.get_data_type(wanted).as_pointer())
        self.context.pack_value(self.builder, wanted, value, space)

    def _new_zero_dimensional(self, number: int, kind: str, slot: int) -> Any:
        made = self._made(self._new_memory(slot, 0, ir.Constant(WORD.as_pointer(), None)))
        self._store(number, kind, self._load(made, DATA, POINTER))
        return made

    def _new_array(self, number: int, slot: int) -> Any:
        """An array, by the function for its kind."""
        kind = self.returns[number]
        write = functools.partial(self._array_around, kind)
        return self._apart(f"new.{kind}", write, self._output_at(number), self._number(slot))

    def _array_around(self, kind: Any, there: Any, slot: Any) -> Any:
        """A small one copied into memory of its own, a large one around the memory of the program."""
        builder = self.builder
        native = Array(self.context, builder, kind, there)
        size = native.bytes()
        small = builder.icmp_signed("<=", size, self._number(COPIED))
        owned = self._there(native.meminfo)
        with builder.if_else(builder.and_(owned, builder.not_(small))) as (taken, copied):
            with taken:
                wrapped = self._wrapped(kind, there, slot), builder.block
            with copied:
                if kind.layout == "C":
                    sizes = cgutils.gep_inbounds(builder, there, 0, SIZES)
                    shape = builder.bitcast(sizes, WORD.as_pointer())
                    copy = self._new_memory(slot, kind.ndim, shape)
                    self._else(self._there(copy), self.failed)
                    memory = self._load(copy, DATA, POINTER)
                    cgutils.raw_memcpy(builder, memory, builder.bitcast(native.data, POINTER), size, 1)
                else:
                    seen = self._wrapped(kind, there, slot)
                    self._else(self._there(seen), self.failed)
                    copy = self._call_at(NEW_COPY, POINTER, seen, self._number(KEEP_ORDER, INT32))
                    self._give_back(seen)
                made = copy, builder.block
        return self._either(wrapped, made)

    def _wrapped(self, kind: Any, there: Any, slot: int) -> Any:
        """An array that keeps the memory of the program alive."""
        space = self.builder.bitcast(there, POINTER)
        ndim, writable = self._number(kind.ndim, INT32), self._number(1, INT32)
        name = "NRT_adapt_ndarray_to_python_acqref"
        return self._call(name, POINTER, space, self._object(NDARRAY), ndim, writable, self._object(slot))
