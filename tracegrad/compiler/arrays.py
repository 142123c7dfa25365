"""Arrays in machine code: their elements, fresh memory, views, references. `translation.py` is written with these.

In: Numba's type of an array and its description in LLVM (a structure of `meminfo, parent, nitems, itemsize, data,
shape, strides`), as a value or where it stands. Out: instructions. Begin with `element`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.np.numpy_support import as_dtype

from tracegrad.compiler.builder import WORD

BYTE = ir.IntType(8)
MEMORY = types.MemInfoPointer(types.voidptr)
MEMINFO, PARENT, COUNT, ITEMSIZE, DATA, SHAPE, STRIDES = range(7)  # of a description


class Array:
    """One array where instructions are written.

    Parameters
    ----------
    type : Numba's type
    code : its description, or a pointer to that
    shape : tuple of int, optional
        Its sizes, where the text says them.
    """

    def __init__(
        self, context: Any, builder: Any, type: Any, code: Any, shape: tuple[int, ...] | None = None
    ) -> None:
        self.context, self.builder, self.type = context, builder, type
        self.code, self.known = code, shape

    def _part(self, *path: int) -> Any:
        """A part of its description."""
        if not isinstance(self.code.type, ir.PointerType):
            return self.builder.extract_value(self.code, path)
        return self.builder.load(cgutils.gep_inbounds(self.builder, self.code, 0, *path))

    @property
    def data(self) -> Any:
        """The address of its first element."""
        return self._part(DATA)

    @property
    def meminfo(self) -> Any:
        """What its memory is counted by."""
        return self._part(MEMINFO)

    def sizes(self) -> list[Any]:
        """How long each axis is."""
        return [self.size(k) for k in range(self.type.ndim)]

    def size(self, axis: int) -> Any:
        """How long an axis is."""
        return self._part(SHAPE, axis) if self.known is None else WORD(self.known[axis])

    def strides(self) -> list[Any]:
        """Bytes between neighbours along each axis."""
        if self.type.layout == "C" and self.known is not None:
            size = itemsize_of(self.type.dtype)
            return [WORD(size * math.prod(self.known[k + 1 :])) for k in range(self.type.ndim)]
        return [self._part(STRIDES, k) for k in range(self.type.ndim)]

    def nearest(self) -> int | None:
        """The axis along which elements lie side by side, if that is known."""
        return self.type.ndim - 1 if self.type.layout == "C" else None

    def count(self) -> Any:
        """How many elements there are."""
        found = WORD(1)
        for size in self.sizes():
            found = self.builder.mul(found, size)
        return found

    def bytes(self) -> Any:
        """How large a contiguous array is."""
        return self.builder.mul(self.count(), WORD(itemsize_of(self.type.dtype)))

    def from_end(self, axis: int, index: Any) -> Any:
        """An index that may be negative, counted from the start."""
        builder = self.builder
        from_end = builder.add(index, self.size(axis))
        return builder.select(builder.icmp_signed("<", index, WORD(0)), from_end, index)

    def element(self, indices: Sequence[Any]) -> Any:
        """The address of the element at these indices; of the first one of a part, if they are fewer than axes."""
        builder, data = self.builder, self.data
        if self.type.layout == "C":
            offset = indices[0]
            for axis in range(1, self.type.ndim):
                offset = builder.mul(offset, self.size(axis), flags=("nsw",))
                if axis < len(indices):
                    offset = builder.add(offset, indices[axis], flags=("nsw",))
            return builder.gep(data, [offset], inbounds=True)
        offset = WORD(0)
        for index, stride in zip(indices, self.strides(), strict=False):
            offset = builder.add(offset, builder.mul(index, stride, flags=("nsw",)), flags=("nsw",))
        raw = builder.gep(builder.bitcast(data, BYTE.as_pointer()), [offset], inbounds=True)
        return builder.bitcast(raw, data.type)

    def load(self, indices: Sequence[Any]) -> Any:
        return self.context.unpack_value(self.builder, self.type.dtype, self.element(indices))

    def store(self, indices: Sequence[Any], value: Any) -> None:
        self.context.pack_value(self.builder, self.type.dtype, value, self.element(indices))

    def part(self, indices: Sequence[Any]) -> Any:
        """The description of `x[i]`, `x[i, j]`, which share memory with `x`; nobody has counted it yet."""
        type = part_type(self.type, len(indices))
        sizes, strides = self.sizes()[len(indices) :], self.strides()[len(indices) :]
        return described(
            self.context, self.builder, type, self.element(indices), sizes, strides, self.meminfo
        )

    def seen(
        self, starts: Sequence[Any], sizes: Sequence[Any], strides: Sequence[Any], type: Any = None
    ) -> Any:
        """The description of a view that begins at an element; as for `part`, nobody has counted it yet."""
        offset = WORD(0)
        for start, stride in zip(starts, self.strides(), strict=False):
            offset = self.builder.add(offset, self.builder.mul(start, stride))
        first = self.data
        raw = self.builder.gep(self.builder.bitcast(first, BYTE.as_pointer()), [offset])
        data = self.builder.bitcast(raw, first.type)
        type = type or types.Array(self.type.dtype, len(sizes), "A")
        return described(self.context, self.builder, type, data, sizes, strides, self.meminfo)

    def reshaped(self, sizes: Sequence[Any]) -> Any:
        """The description of the same elements under other sizes; the array is contiguous."""
        type = types.Array(self.type.dtype, len(sizes), "C")
        return described(self.context, self.builder, type, self.data, sizes, None, self.meminfo)

    def read_as(self, dtype: Any) -> Any:
        """The description of the same bits as numbers of another dtype, as wide; the array is contiguous."""
        type = types.Array(dtype, self.type.ndim, "C")
        data = self.builder.bitcast(self.data, self.context.get_data_type(dtype).as_pointer())
        return described(self.context, self.builder, type, data, self.sizes(), None, self.meminfo)

    def turned(self) -> Any:
        """The description of the transposed array."""
        sizes, strides = self.sizes()[::-1], self.strides()[::-1]
        return described(
            self.context, self.builder, turned_type(self.type), self.data, sizes, strides, self.meminfo
        )


@functools.cache
def itemsize_of(dtype: Any) -> int:
    """Bytes of an element."""
    return as_dtype(dtype).itemsize


def cut(builder: Any, size: Any, part: slice) -> tuple[Any, Any, int]:
    """Where a slice of an axis starts, how many elements it has, and its step; as `slice.indices` has it."""
    step = 1 if part.step is None else part.step
    if isinstance(size, ir.Constant):
        found = range(size.constant)[part]
        return WORD(found.start if len(found) else 0), WORD(len(found)), step
    lowest, highest = WORD(0 if step > 0 else -1), size if step > 0 else builder.sub(size, WORD(1))

    def end(given: int | None, left_out: Any) -> Any:
        if given is None:
            return left_out
        place = WORD(given) if given >= 0 else builder.add(size, WORD(given))
        place = builder.select(builder.icmp_signed("<", place, lowest), lowest, place)
        return builder.select(builder.icmp_signed(">", place, highest), highest, place)

    first = end(part.start, lowest if step > 0 else highest)
    last = end(part.stop, highest if step > 0 else lowest)
    span = builder.sub(last, first) if step > 0 else builder.sub(first, last)
    count = builder.sdiv(builder.add(span, WORD(abs(step) - 1)), WORD(abs(step)))
    count = builder.select(builder.icmp_signed("<", count, WORD(0)), WORD(0), count)
    return first, count, step


def part_type(type: Any, count: int) -> Any:
    """The type of an array at `count` leading indices."""
    return types.Array(type.dtype, type.ndim - count, type.layout if type.layout == "C" else "A")


def turned_type(type: Any) -> Any:
    """The type of a transposed array."""
    layout: Any = type.layout if type.ndim < 2 else {"C": "F", "F": "C"}.get(type.layout, "A")
    return types.Array(type.dtype, type.ndim, layout)


def parts_of(type: Any, shape: tuple[int, ...] | None) -> tuple[tuple[int, ...], ...]:
    """The parts that make up a description, a word each; the rest follows from them, and from sizes the text says."""
    axes = range(type.ndim)
    sizes = [(SHAPE, k) for k in axes if shape is None]
    strides = [(STRIDES, k) for k in axes if type.layout != "C"]
    return ((MEMINFO,), (DATA,), *sizes, *strides)


def described(
    context: Any, builder: Any, type: Any, data: Any, sizes: Sequence[Any], strides: Any, meminfo: Any
) -> Any:
    """The description of an array; without strides it is contiguous."""
    itemsize = WORD(itemsize_of(type.dtype))
    if strides is None:
        strides = [itemsize]
        for size in reversed(sizes[1:]):
            strides.insert(0, builder.mul(strides[0], size))
    count = WORD(1)
    for size in sizes:
        count = builder.mul(count, size, flags=("nsw",))
    found = ir.Constant(context.get_value_type(type), ir.Undefined)
    nothing = ir.Constant(found.type.elements[PARENT], None)
    parts = ((MEMINFO, meminfo), (PARENT, nothing), (COUNT, count), (ITEMSIZE, itemsize), (DATA, data))
    for place, part in parts:
        found = builder.insert_value(found, part, [place])
    for place, parts_of in ((SHAPE, sizes), (STRIDES, strides)):
        for k, part in enumerate(parts_of):
            found = builder.insert_value(found, part, [place, k])
    return found


def fresh(context: Any, builder: Any, type: Any, sizes: Sequence[Any]) -> Any:
    """The description of an array in memory of its own, counted once, with nothing in it."""
    size = WORD(itemsize_of(type.dtype))
    for n in sizes:
        size = builder.mul(size, n)
    align = context.get_preferred_array_alignment(type.dtype)
    meminfo = context.nrt.meminfo_alloc_aligned(builder, size, align)
    data = context.nrt.meminfo_data(builder, meminfo)
    data = builder.bitcast(data, context.get_data_type(type.dtype).as_pointer())
    return described(context, builder, type, data, sizes, None, meminfo)


def count(context: Any, builder: Any, type: Any, code: Any, more: bool) -> None:
    """Hold, or give back, what a value refers to; of an array its memory."""
    if isinstance(type, types.Array):
        type, code = MEMORY, builder.extract_value(code, MEMINFO)
    (context.nrt.incref if more else context.nrt.decref)(builder, type, code)


def fill(context: Any, builder: Any, dtype: Any, data: Any, count: Any, value: Any) -> None:
    """Write one value into elements that lie side by side; without a value, zeros."""
    if value is None:
        size = builder.mul(count, WORD(itemsize_of(dtype)))
        cgutils.memset(builder, data, size, 0)
        return
    with cgutils.for_range(builder, count) as loop:
        context.pack_value(builder, dtype, value, builder.gep(data, [loop.index], inbounds=True))


def copy(context: Any, builder: Any, source: Array, target: Array, start: Any = None) -> None:
    """All elements of an array into a contiguous one of the same dtype, from place `start` on."""
    if source.type.layout != "C":
        with cgutils.loop_nest(builder, source.sizes(), WORD) as indices:
            target.store(indices, source.load(indices))
        return
    data = target.data
    if start is not None:
        data = builder.gep(data, [start], inbounds=True)
    cgutils.raw_memcpy(builder, data, source.data, source.bytes(), 1)
