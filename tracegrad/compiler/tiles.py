"""Products of matrices in machine code: a tile of the result at a time, in vector registers.

Sizes and addresses go in, instructions come out. A tile is some rows by two registers of columns; it stays in registers
while a panel of the right matrix, copied to lie in one piece of cache, passes by once for each tile (Goto and van de
Geijn, Anatomy of high-performance matrix multiplication, ACM TOMS 34, 2008; the left matrix is read as it lies). A
matrix may be transposed: then its rows are what are columns in memory. Begin with `product`.
"""

from __future__ import annotations

import functools
from contextlib import ExitStack
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils

WORD, BIT, PLACE = ir.IntType(64), ir.IntType(1), ir.IntType(32)
REGISTERS = 2  # side by side in a tile
DEPTH = 256  # rows of a panel: with a tile's rows of the left matrix it stays in the nearest cache
HEIGHTS = {64: (12, 4, 1), 32: (6, 2, 1)}  # rows of a tile, the last ones of a matrix in smaller tiles
TALL = 20  # tiles one below the other that share a panel before the left matrix has left the second cache


@functools.cache
def register_bytes() -> int:
    """How long the vector registers are, where tiles are quick; 0 where BLAS knows better."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 64
    return 32 if features.get("avx2") and features.get("fma") else 0


def product(
    builder: Any,
    x: tuple[Any, Any, bool],
    y: tuple[Any, Any, bool],
    out: Any,
    sizes: tuple[Any, Any, Any],
    added: bool,
) -> None:
    """`x @ y` into contiguous memory, or added to what stands there.

    Parameters
    ----------
    x, y : address of the first element, elements between neighbouring rows in memory, whether transposed
    out : address
    sizes : rows, length of the sums, columns
    """
    (left, left_step, left_turned), (right, right_step, right_turned) = x, y
    tiles = Tiles(builder.module, out.type.pointee)
    called = tiles.whole(left_turned, right_turned)
    builder.call(called, [*sizes, left, left_step, right, right_step, out, BIT(added)])


class Tiles:
    """Functions of one module, for numbers of one kind."""

    def __init__(self, module: Any, real: Any) -> None:
        self.module, self.real = module, real
        self.bytes = 4 if isinstance(real, ir.FloatType) else 8
        self.lanes = register_bytes() // self.bytes
        self.columns = REGISTERS * self.lanes
        self.register, self.mask = ir.VectorType(real, self.lanes), ir.VectorType(BIT, self.lanes)
        self.zero = ir.Constant(self.register, None)
        self.pointer = real.as_pointer()

    def _function(self, name: str, kinds: list[Any]) -> tuple[Any, bool]:
        """A function of this name, and whether it is new."""
        symbol = f"tracegrad_{name}_{self.bytes * 8}"
        if symbol in self.module.globals:
            return self.module.globals[symbol], False
        made = ir.Function(self.module, ir.FunctionType(ir.VoidType(), kinds), symbol)
        made.linkage = "linkonce_odr"
        for attribute in ("noinline", "nounwind", '"prefer-vector-width"="512"'):
            set.add(made.attributes, attribute)  # llvmlite does not know them all
        return made, True

    def _intrinsic(self, name: str, result: Any, *given: Any) -> Any:
        """One of LLVM's functions for registers."""
        kind = ir.FunctionType(result, given)
        return cgutils.get_or_insert_function(
            self.module, kind, f"llvm.{name}.v{self.lanes}f{self.bytes * 8}"
        )

    def _masks(self, builder: Any, wide: Any) -> list[Any]:
        """Which numbers of the registers of a row there are, where it has so many columns."""
        several = ir.VectorType(WORD, self.lanes)
        alone = builder.insert_element(ir.Constant(several, ir.Undefined), wide, PLACE(0))
        same = ir.Constant(ir.VectorType(PLACE, self.lanes), None)
        count = builder.shuffle_vector(alone, alone, same)
        return [
            builder.icmp_signed(
                "<", ir.Constant(several, [v * self.lanes + k for k in range(self.lanes)]), count
            )
            for v in range(REGISTERS)
        ]

    def _load(self, builder: Any, place: Any, mask: Any) -> Any:
        """Zeros where the mask says no."""
        place = builder.bitcast(place, self.register.as_pointer())
        load = self._intrinsic("masked.load", self.register, place.type, PLACE, self.mask, self.register)
        return builder.call(load, [place, PLACE(self.bytes), mask, self.zero])

    def _store(self, builder: Any, value: Any, place: Any, mask: Any) -> None:
        place = builder.bitcast(place, self.register.as_pointer())
        store = self._intrinsic("masked.store", ir.VoidType(), self.register, place.type, PLACE, self.mask)
        builder.call(store, [value, place, PLACE(self.bytes), mask])

    def tile(self, rows: int, turned: bool) -> Any:
        """A function (length, left, its step, panel, out, its step, columns, added) for one tile."""
        kinds = [WORD, self.pointer, WORD, self.pointer, self.pointer, WORD, WORD, BIT]
        made, is_new = self._function(f"tile_{rows}{'nt'[turned]}", kinds)
        if not is_new:
            return made
        length, left, step, panel, out, out_step, columns, added = made.args
        start, body, done = (made.append_basic_block(name) for name in ("start", "body", "done"))
        builder = ir.IRBuilder(start)
        grid = [(i, v) for i in range(rows) for v in range(REGISTERS)]
        masks = self._masks(builder, columns)
        none = ir.Constant(self.mask, None)
        there = [builder.select(added, mask, none) for mask in masks]
        places, first = {}, {}
        for i, v in grid:
            offset = builder.add(builder.mul(out_step, WORD(i)), WORD(v * self.lanes))
            places[i, v] = builder.gep(out, [offset])
            first[i, v] = self._load(builder, places[i, v], there[v])
        starts = [left if turned else builder.gep(left, [builder.mul(step, WORD(i))]) for i in range(rows)]
        builder.branch(body)
        builder = ir.IRBuilder(body)
        p = builder.phi(WORD)
        sums = {at: builder.phi(self.register) for at in grid}
        base = builder.mul(p, WORD(self.columns))
        right = []
        for v in range(REGISTERS):
            place = builder.gep(panel, [builder.add(base, WORD(v * self.lanes))])
            right.append(builder.load(builder.bitcast(place, self.register.as_pointer())))
        fused = self._intrinsic("fma", self.register, *[self.register] * 3)
        same = ir.Constant(ir.VectorType(PLACE, self.lanes), None)
        found = {}
        for i in range(rows):
            at = builder.add(builder.mul(p, step), WORD(i)) if turned else p
            number = builder.load(builder.gep(starts[i], [at]))
            alone = builder.insert_element(ir.Constant(self.register, ir.Undefined), number, PLACE(0))
            spread = builder.shuffle_vector(alone, alone, same)
            for v in range(REGISTERS):
                found[i, v] = builder.call(fused, [spread, right[v], sums[i, v]])
        following = builder.add(p, WORD(1))
        p.add_incoming(WORD(0), start)
        p.add_incoming(following, body)
        for at, total in sums.items():
            total.add_incoming(first[at], start)
            total.add_incoming(found[at], body)
        builder.cbranch(builder.icmp_signed("<", following, length), body, done)
        builder = ir.IRBuilder(done)
        for (i, v), place in places.items():
            self._store(builder, found[i, v], place, masks[v])
        builder.ret_void()
        return made

    def copy(self, turned: bool) -> Any:
        """A function (length, columns, matrix, its step, panel): some columns of a matrix as a panel."""
        made, is_new = self._function(f"panel_{'nt'[turned]}", [WORD, WORD, self.pointer, WORD, self.pointer])
        if not is_new:
            return made
        length, columns, matrix, step, panel = made.args
        builder = ir.IRBuilder(made.append_basic_block("start"))
        if turned:
            with cgutils.for_range(builder, columns) as column, cgutils.for_range(builder, length) as row:
                at = builder.gep(matrix, [builder.add(builder.mul(column.index, step), row.index)])
                to = builder.add(builder.mul(row.index, WORD(self.columns)), column.index)
                builder.store(builder.load(at), builder.gep(panel, [to]))
        else:
            masks = self._masks(builder, columns)
            with cgutils.for_range(builder, length) as row:
                for v, mask in enumerate(masks):
                    at = builder.add(builder.mul(row.index, step), WORD(v * self.lanes))
                    to = builder.add(builder.mul(row.index, WORD(self.columns)), WORD(v * self.lanes))
                    copied = self._load(builder, builder.gep(matrix, [at]), mask)
                    place = builder.bitcast(builder.gep(panel, [to]), self.register.as_pointer())
                    builder.store(copied, place)
        builder.ret_void()
        return made

    def whole(self, left_turned: bool, right_turned: bool) -> Any:
        """A function (rows, length, columns, left, its step, right, its step, out, added)."""
        name = f"product_{'nt'[left_turned]}{'nt'[right_turned]}"
        kinds = [WORD, WORD, WORD, self.pointer, WORD, self.pointer, WORD, self.pointer, BIT]
        made, is_new = self._function(name, kinds)
        if not is_new:
            return made
        rows, length, columns, left, left_step, right, right_step, out, added = made.args
        builder = ir.IRBuilder(made.append_basic_block("start"))
        panel = builder.alloca(self.real, WORD(DEPTH * self.columns))
        panel.align = register_bytes()
        if (
            right_turned
        ):  # what is beside its last columns is multiplied too, and not kept: it must not be slow
            cgutils.memset(builder, panel, WORD(DEPTH * self.columns * self.bytes), 0)

        def steps(start: Any, stop: Any, step: Any) -> tuple[Any, Any]:
            """Where a block begins, and how long it is."""
            index, _ = loops.enter_context(cgutils.for_range_slice(builder, start, stop, step))
            left_over = builder.sub(stop, index)
            return index, builder.select(builder.icmp_signed("<", left_over, step), left_over, step)

        def place(row: Any, column: Any, step: Any, turned: bool) -> Any:
            long, short = (column, row) if turned else (row, column)
            return builder.add(builder.mul(long, step), short)

        with ExitStack() as loops:
            p, deep = steps(WORD(0), length, WORD(DEPTH))
            more = builder.or_(added, builder.icmp_signed(">", p, WORD(0)))
            heights = HEIGHTS[register_bytes()]
            top, tall = steps(WORD(0), rows, WORD(heights[0] * TALL))
            j, wide = steps(WORD(0), columns, WORD(self.columns))
            mine = builder.gep(right, [place(p, j, right_step, right_turned)])
            builder.call(self.copy(right_turned), [deep, wide, mine, right_step, panel])
            i, end = top, builder.add(top, tall)
            for height in heights:
                many = builder.sdiv(builder.sub(end, i), WORD(height))
                stop = builder.add(i, builder.mul(many, WORD(height)))
                tile = self.tile(height, left_turned)
                with cgutils.for_range_slice(builder, i, stop, WORD(height)) as (at, _):
                    mine = builder.gep(left, [place(at, p, left_step, left_turned)])
                    target = builder.gep(out, [builder.add(builder.mul(at, columns), j)])
                    builder.call(tile, [deep, mine, left_step, panel, target, columns, wide, more])
                i = stop
        builder.ret_void()
        return made
