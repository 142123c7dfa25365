"""Products of matrices in machine code: a tile of the result at a time, in vector registers.

Sizes and addresses go in, instructions come out. A tile is some rows by two registers of columns; it stays in registers
while a panel of the right matrix passes by (Goto and van de Geijn, Anatomy of high-performance matrix multiplication,
ACM TOMS 34, 2008). Panels are copied, as many as stay in the second cache; the left matrix is read as it lies, and a
tile's rows of it stay in the nearest cache while all the panels pass. A matrix may be transposed: then its rows are
what are columns in memory. Begin with `product`.
"""

from __future__ import annotations

import functools
from contextlib import ExitStack
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils

WORD, BIT, PLACE, BYTE = ir.IntType(64), ir.IntType(1), ir.IntType(32), ir.IntType(8)
REGISTERS = 2  # side by side in a tile
DEPTH = {64: 64, 32: 128}  # rows of a panel, by the bytes of a register
WIDE = 2048  # bytes of its columns and those of the panels beside it: all of them stay in the second cache
HEIGHTS = {64: (12, 4, 1), 32: (6, 2, 1)}  # rows of a tile, the last ones of a matrix in smaller tiles
TALL = 40  # tiles one below the other: the result is still in the second cache when the next panels are multiplied
LINE = 64  # bytes that come from memory together
AHEAD = 8  # rows of a panel that are asked for before they are needed


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
    out: tuple[Any, Any],
    sizes: tuple[Any, Any, Any],
    added: bool,
) -> None:
    """`x @ y` into memory, or added to what stands there.

    Parameters
    ----------
    x, y : address of the first element, elements between neighbouring rows in memory, whether transposed
    out : address, elements between neighbouring rows
    sizes : rows, length of the sums, columns
    """
    (left, left_step, left_turned), (right, right_step, right_turned) = x, y
    tiles = Tiles(builder.module, out[0].type.pointee)
    called = tiles.whole(left_turned, right_turned)
    builder.call(called, [*sizes, left, left_step, right, right_step, *out, BIT(added)])


class Tiles:
    """Functions of one module, for numbers of one kind."""

    def __init__(self, module: Any, real: Any) -> None:
        self.module, self.real = module, real
        self.bytes = 4 if isinstance(real, ir.FloatType) else 8
        self.lanes = register_bytes() // self.bytes
        self.columns = REGISTERS * self.lanes
        self.is_narrow = register_bytes() < LINE
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
        for attribute in ("noinline", "nounwind", "optsize", '"prefer-vector-width"="512"'):
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
        if mask is None:
            return builder.load(place, align=self.bytes)
        load = self._intrinsic("masked.load", self.register, place.type, PLACE, self.mask, self.register)
        return builder.call(load, [place, PLACE(self.bytes), mask, self.zero])

    def _store(self, builder: Any, value: Any, place: Any, mask: Any) -> None:
        place = builder.bitcast(place, self.register.as_pointer())
        if mask is None:
            builder.store(value, place, align=self.bytes)
            return
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
        places = {}
        for i, v in grid:
            offset = builder.add(builder.mul(out_step, WORD(i)), WORD(v * self.lanes))
            places[i, v] = builder.gep(out, [offset])
            self._fetch(builder, places[i, v])
        apart = [WORD(i) if turned else self._alone(builder, builder.mul(step, WORD(i))) for i in range(rows)]
        starts = [builder.gep(left, [number]) for number in apart]
        builder.branch(body)
        builder = ir.IRBuilder(body)
        p = builder.phi(WORD)
        sums = {at: builder.phi(self.register) for at in grid}
        base = builder.mul(p, WORD(self.columns))
        right = []
        for v in range(REGISTERS):
            place = builder.gep(panel, [builder.add(base, WORD(v * self.lanes))])
            right.append(builder.load(builder.bitcast(place, self.register.as_pointer())))
            if v * register_bytes() % LINE == 0:
                self._fetch(builder, builder.gep(place, [WORD(AHEAD * self.columns)]))
        fused = self._intrinsic("fma", self.register, *[self.register] * 3)
        same = ir.Constant(ir.VectorType(PLACE, self.lanes), None)
        found = {}
        for i in range(rows):
            number = builder.load(builder.gep(starts[i], [builder.mul(p, step) if turned else p]))
            alone = builder.insert_element(ir.Constant(self.register, ir.Undefined), number, PLACE(0))
            spread = builder.shuffle_vector(alone, alone, same)
            for v in range(REGISTERS):
                found[i, v] = builder.call(fused, [spread, right[v], sums[i, v]])
        following = builder.add(p, WORD(1))
        p.add_incoming(WORD(0), start)
        p.add_incoming(following, body)
        for at, total in sums.items():
            total.add_incoming(self.zero, start)
            total.add_incoming(found[at], body)
        builder.cbranch(builder.icmp_signed("<", following, length), body, done)
        builder = ir.IRBuilder(done)
        self._keep(builder, places, found, masks, columns, added)
        builder.ret_void()
        return made

    def _keep(
        self,
        builder: Any,
        places: dict[Any, Any],
        sums: dict[Any, Any],
        masks: list[Any],
        columns: Any,
        added: Any,
    ) -> None:
        """Write the sums of a tile, or add them to what stands there.

        AVX2 stores with a mask in some forty steps on AMD's processors, so only the last columns are stored so.
        """

        def write(there: list[Any] | None, masks: list[Any] | None) -> None:
            for (i, v), place in places.items():
                total = sums[i, v]
                if there:
                    total = builder.fadd(self._load(builder, place, there[v]), total)
                self._store(builder, total, place, masks and masks[v])

        def write_masked() -> None:
            none = ir.Constant(self.mask, None)
            write([builder.select(added, mask, none) for mask in masks], masks)

        if not self.is_narrow:
            write_masked()
            return
        every = [None] * REGISTERS
        whole = builder.icmp_signed(">=", columns, WORD(self.columns))
        with builder.if_else(whole) as (is_whole, is_part):
            with is_whole, builder.if_else(added) as (to_sums, to_nothing):
                with to_sums:
                    write(every, every)
                with to_nothing:
                    write(None, every)
            with is_part:
                write_masked()

    def _fetch(self, builder: Any, place: Any) -> None:
        """Ask for a line of memory that is needed soon."""
        place = builder.bitcast(place, BYTE.as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [place.type, PLACE, PLACE, PLACE])
        fetch = cgutils.get_or_insert_function(self.module, kind, "llvm.prefetch.p0i8")
        builder.call(fetch, [place, PLACE(0), PLACE(3), PLACE(1)])

    def _alone(self, builder: Any, number: Any) -> Any:
        """A number with a register of its own: LLVM would add up addresses where multiplications should run."""
        kind = ir.FunctionType(WORD, [WORD])
        return builder.asm(kind, "", "=r,0", [number], side_effect=False)

    def gather(self, rows: int) -> Any:
        """A function (length, left, its step, copy): a tile's rows of a transposed matrix, side by side."""
        made, is_new = self._function(f"rows_{rows}", [WORD, self.pointer, WORD, self.pointer])
        if not is_new:
            return made
        length, left, step, copied = made.args
        builder = ir.IRBuilder(made.append_basic_block("start"))
        several = ir.VectorType(self.real, rows).as_pointer()
        with cgutils.for_range(builder, length) as p:
            ends = (
                builder.gep(start, [builder.mul(p.index, apart)])
                for start, apart in ((left, step), (copied, WORD(rows)))
            )
            source, target = (builder.bitcast(end, several) for end in ends)
            builder.store(builder.load(source, align=self.bytes), target, align=self.bytes)
        builder.ret_void()
        return made

    def copy(self, turned: bool) -> Any:
        """A function (length, columns, matrix, its step, panels): columns of a matrix, some of them beside each other.

        A panel has as many columns as a tile; the last one ends in zeros.
        """
        made, is_new = self._function(
            f"panels_{'nt'[turned]}", [WORD, WORD, self.pointer, WORD, self.pointer]
        )
        if not is_new:
            return made
        length, columns, matrix, step, panels = made.args
        builder = ir.IRBuilder(made.append_basic_block("start"))
        (self._copy_turned if turned else self._copy_rows)(builder, length, columns, matrix, step, panels)
        builder.ret_void()
        return made

    def _copy_rows(
        self, builder: Any, length: Any, columns: Any, matrix: Any, step: Any, panels: Any
    ) -> None:
        several = WORD(self.columns)
        full = builder.mul(builder.sdiv(columns, several), several)
        masks = self._masks(builder, builder.sub(columns, full))
        every = ir.Constant(self.mask, [BIT(1)] * self.lanes)
        last = builder.icmp_signed("<", full, columns)

        def move(row: Any, column: Any, mask: list[Any]) -> None:
            for v in range(REGISTERS):
                at = builder.add(builder.add(builder.mul(row, step), column), WORD(v * self.lanes))
                copied = self._load(builder, builder.gep(matrix, [at]), mask[v])
                to = builder.add(builder.mul(column, length), builder.mul(row, several))
                place = builder.gep(panels, [builder.add(to, WORD(v * self.lanes))])
                builder.store(copied, builder.bitcast(place, self.register.as_pointer()))

        with cgutils.for_range(builder, length) as row:
            with cgutils.for_range_slice(builder, WORD(0), full, several) as (column, _):
                move(row.index, column, [every] * REGISTERS)
            with builder.if_then(last):
                move(row.index, full, masks)

    def _copy_turned(
        self, builder: Any, length: Any, columns: Any, matrix: Any, step: Any, panels: Any
    ) -> None:
        """Squares as wide as a register are turned in registers, what is left one number at a time."""
        several, lanes = WORD(self.columns), WORD(self.lanes)
        inner, high = (builder.mul(builder.sdiv(n, lanes), lanes) for n in (columns, length))
        full = builder.mul(builder.sdiv(columns, several), several)
        with builder.if_then(builder.icmp_signed("<", full, columns)):
            place = builder.gep(panels, [builder.mul(full, length)])
            cgutils.memset(builder, place, builder.mul(length, WORD(self.columns * self.bytes)), 0)

        def target(row: Any, column: Any) -> Any:
            inside = builder.srem(column, several)
            at = builder.add(builder.mul(builder.sub(column, inside), length), inside)
            return builder.gep(panels, [builder.add(at, builder.mul(row, several))])

        def source(row: Any, column: Any) -> Any:
            return builder.gep(matrix, [builder.add(builder.mul(column, step), row)])

        def each(start: Any, stop: Any, size: Any) -> Any:
            return cgutils.for_range_slice(builder, start, stop, size)

        with each(WORD(0), inner, lanes) as (column, _), each(WORD(0), high, lanes) as (row, _):
            square = []
            for k in range(self.lanes):
                place = source(row, builder.add(column, WORD(k)))
                square.append(
                    builder.load(builder.bitcast(place, self.register.as_pointer()), align=self.bytes)
                )
            for k, turned in enumerate(self._turned(builder, square)):
                place = target(builder.add(row, WORD(k)), column)
                builder.store(turned, builder.bitcast(place, self.register.as_pointer()))

        def one_by_one(rows: tuple[Any, Any], across: tuple[Any, Any]) -> None:
            with each(*across, WORD(1)) as (column, _), each(*rows, WORD(1)) as (row, _):
                builder.store(builder.load(source(row, column)), target(row, column))

        one_by_one((high, length), (WORD(0), inner))
        one_by_one((WORD(0), length), (inner, columns))

    def _turned(self, builder: Any, square: list[Any]) -> list[Any]:
        """Rows of a square as columns: blocks off the diagonal change places, of one number, of two by two, and on."""
        square, size = list(square), 1
        while size < self.lanes:
            here = [k if not k & size else self.lanes + k - size for k in range(self.lanes)]
            there = [k + size if not k & size else self.lanes + k for k in range(self.lanes)]
            kind = ir.VectorType(PLACE, self.lanes)
            for k in (k for k in range(self.lanes) if not k & size):
                pair = square[k], square[k + size]
                square[k], square[k + size] = (
                    builder.shuffle_vector(*pair, ir.Constant(kind, order)) for order in (here, there)
                )
            size *= 2
        return square

    def whole(self, left_turned: bool, right_turned: bool) -> Any:
        """A function (rows, length, columns, left, its step, right, its step, out, its step, added)."""
        name = f"product_{'nt'[left_turned]}{'nt'[right_turned]}"
        kinds = [WORD, WORD, WORD, *[self.pointer, WORD] * 3, BIT]
        made, is_new = self._function(name, kinds)
        if not is_new:
            return made
        rows, length, columns, left, left_step, right, right_step, out, out_step, added = made.args
        builder = ir.IRBuilder(made.append_basic_block("start"))
        across, width = WIDE // self.bytes, register_bytes()
        heights = HEIGHTS[width]
        panels = builder.alloca(self.real, WORD(DEPTH[width] * across))
        panels.align = width
        if self.is_narrow and left_turned:
            near = builder.alloca(self.real, WORD(DEPTH[width] * heights[0]))

        def steps(start: Any, stop: Any, step: Any) -> tuple[Any, Any]:
            """Where a block begins, and how long it is."""
            index, _ = loops.enter_context(cgutils.for_range_slice(builder, start, stop, step))
            left_over = builder.sub(stop, index)
            return index, builder.select(builder.icmp_signed("<", left_over, step), left_over, step)

        def place(row: Any, column: Any, step: Any, turned: bool) -> Any:
            long, short = (column, row) if turned else (row, column)
            return builder.add(builder.mul(long, step), short)

        def parts(number: Any, most: Any) -> Any:
            return builder.sdiv(builder.add(number, builder.sub(most, WORD(1))), most)

        depth = parts(length, parts(length, WORD(DEPTH[width])))  # blocks of one size, or nearly so
        with ExitStack() as loops:
            beside, broad = steps(WORD(0), columns, WORD(across))
            top, tall = steps(WORD(0), rows, WORD(heights[0] * TALL))
            p, deep = steps(WORD(0), length, depth)
            more = builder.or_(added, builder.icmp_signed(">", p, WORD(0)))
            mine = builder.gep(right, [place(p, beside, right_step, right_turned)])
            builder.call(self.copy(right_turned), [deep, broad, mine, right_step, panels])
            i, end = top, builder.add(top, tall)
            for height in heights:
                many = builder.sdiv(builder.sub(end, i), WORD(height))
                stop = builder.add(i, builder.mul(many, WORD(height)))
                tile = self.tile(height, left_turned)
                with ExitStack() as loops_inside:
                    at, _ = loops_inside.enter_context(
                        cgutils.for_range_slice(builder, i, stop, WORD(height))
                    )
                    mine, mine_step = builder.gep(left, [place(at, p, left_step, left_turned)]), left_step
                    if self.is_narrow and left_turned:
                        builder.call(self.gather(height), [deep, mine, left_step, near])
                        mine, mine_step = near, WORD(height)
                    row = builder.add(builder.mul(at, out_step), beside)
                    j, _ = loops_inside.enter_context(
                        cgutils.for_range_slice(builder, WORD(0), broad, WORD(self.columns))
                    )
                    over = builder.sub(broad, j)
                    panel = builder.gep(panels, [builder.mul(j, deep)])
                    target = builder.gep(out, [builder.add(row, j)])
                    builder.call(tile, [deep, mine, mine_step, panel, target, out_step, over, more])
                i = stop
        builder.ret_void()
        return made
