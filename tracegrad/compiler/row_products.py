"""Products of a matrix and a vector in machine code, some rows at a time.

Sizes and addresses go in, a call goes out. A row is what lies side by side in memory: either each row's product with a
vector is a number (`products`), or the rows are added up, each as often as a number says (`sums`). Some rows pass
together, so that the vector, or the sum, is read once for all of them, a line of memory at a time, and what is some
rows further on is asked for. The order of the sums depends on sizes alone. Begin with `products`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from tracegrad.compiler.tiles import LINE, register_bytes

WORD, PLACE, BYTE = ir.IntType(64), ir.IntType(32), ir.IntType(8)
TOGETHER = (4, 1)  # rows
AHEAD, SHORT = (
    16,
    512,
)  # rows that are asked for before they are needed, if they have no more elements than that


def products(
    builder: Any, matrix: tuple[Any, Any], sizes: tuple[Any, Any], vector: Any, out: Any, added: bool
) -> None:
    """For each row its product with a vector, into memory or added to what stands there.

    Parameters
    ----------
    matrix : address of the first element, elements between neighbouring rows in memory
    sizes : how many rows, how long
    """
    _called(builder, "rows_times_vector", _write_products, matrix, sizes, vector, out, added)


def sums(
    builder: Any, matrix: tuple[Any, Any], sizes: tuple[Any, Any], vector: Any, out: Any, added: bool
) -> None:
    """The sum of all rows, each times a number, into memory or added to what stands there."""
    _called(builder, "sum_of_rows", _write_sums, matrix, sizes, vector, out, added)


def _called(
    builder: Any,
    name: str,
    write: Callable[..., None],
    matrix: tuple[Any, Any],
    sizes: tuple[Any, Any],
    vector: Any,
    out: Any,
    added: bool,
) -> None:
    pointer = out.type
    symbol = f"tracegrad_{name}_{'added_' if added else ''}{pointer.pointee}"
    if symbol not in builder.module.globals:
        kinds = [WORD, WORD, pointer, WORD, pointer, pointer]
        made = ir.Function(builder.module, ir.FunctionType(ir.VoidType(), kinds), symbol)
        made.linkage = "linkonce_odr"
        made.attributes.add("noinline")
        made.args[5].add_attribute("noalias")
        inside = ir.IRBuilder(made.append_basic_block("start"))
        write(inside, *made.args, added)
        inside.ret_void()
    builder.call(builder.module.globals[symbol], [*sizes, *matrix, vector, out])


def _some_at_a_time(
    builder: Any, count: Any, sizes: Sequence[int], inside: Callable[[Any, int], None]
) -> None:
    """What is done with some numbers from one on: with as many as may be, of these sizes."""
    start = WORD(0)
    for size in sizes:
        left = builder.sub(count, start)
        stop = builder.add(start, builder.mul(builder.sdiv(left, WORD(size)), WORD(size)))
        with cgutils.for_range_slice(builder, start, stop, WORD(size)) as (i, _):
            inside(i, size)
        start = stop


class _Rows:
    """Some rows of a matrix, a register of each at a time."""

    def __init__(self, builder: Any, matrix: Any, step: Any, first: Any, count: int) -> None:
        self.builder, self.step = builder, step
        self.numbers = [builder.add(first, WORD(k)) for k in range(count)]
        self.starts = [builder.gep(matrix, [builder.mul(number, step)]) for number in self.numbers]
        self.kind = matrix.type.pointee
        size = 4 if isinstance(self.kind, ir.FloatType) else 8
        self.widths = tuple(dict.fromkeys((LINE // size, register_bytes() // size, 1)))

    def read(self, start: Any, at: Any, lanes: int) -> Any:
        return self.builder.load(self._place(start, at, lanes), align=4)

    def store(self, value: Any, start: Any, at: Any, lanes: int) -> None:
        self.builder.store(value, self._place(start, at, lanes), align=4)

    def _place(self, start: Any, at: Any, lanes: int) -> Any:
        place = self.builder.gep(start, [at])
        return (
            place if lanes == 1 else self.builder.bitcast(place, ir.VectorType(self.kind, lanes).as_pointer())
        )

    def ask_ahead(self, start: Any, at: Any) -> None:
        """Ask for what is some rows further on; rows that are long the machine sees coming by itself."""
        builder, step = self.builder, self.step
        short = builder.icmp_signed("<=", step, WORD(SHORT))
        ahead = builder.select(short, builder.mul(step, WORD(AHEAD)), WORD(0))
        place = builder.bitcast(builder.gep(start, [builder.add(at, ahead)]), BYTE.as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [place.type, PLACE, PLACE, PLACE])
        fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(fetch, [place, PLACE(0), PLACE(2), PLACE(1)])

    def spread(self, number: Any, lanes: int) -> Any:
        """A number in all places of a register."""
        if lanes == 1:
            return number
        alone = self.builder.insert_element(
            ir.Constant(ir.VectorType(self.kind, lanes), ir.Undefined), number, PLACE(0)
        )
        same = ir.Constant(ir.VectorType(PLACE, lanes), None)
        return self.builder.shuffle_vector(alone, alone, same)

    def fused(self, x: Any, y: Any, total: Any) -> Any:
        term = self.builder.fmul(x, y, flags=("contract",))
        return self.builder.fadd(total, term, flags=("contract",))


def _write_products(
    builder: Any, rows: Any, length: Any, matrix: Any, step: Any, vector: Any, out: Any, added: bool
) -> None:
    def some(i: Any, together: int) -> None:
        part = _Rows(builder, matrix, step, i, together)
        kinds = {n: ir.VectorType(part.kind, n) if n > 1 else part.kind for n in part.widths}
        totals = {n: [cgutils.alloca_once(builder, kind) for _ in part.starts] for n, kind in kinds.items()}
        for n, kind in kinds.items():
            for total in totals[n]:
                builder.store(ir.Constant(kind, None if n > 1 else 0.0), total)

        def along(j: Any, lanes: int) -> None:
            number = part.read(vector, j, lanes)
            for start, total in zip(part.starts, totals[lanes], strict=True):
                if lanes == part.widths[0]:
                    part.ask_ahead(start, j)
                builder.store(part.fused(part.read(start, j, lanes), number, builder.load(total)), total)

        _some_at_a_time(builder, length, part.widths, along)
        for k, number in enumerate(part.numbers):
            found = ir.Constant(part.kind, -0.0)
            for n in part.widths:
                found = builder.fadd(found, _sum(builder, builder.load(totals[n][k]), n))
            place = builder.gep(out, [number])
            builder.store(builder.fadd(builder.load(place), found) if added else found, place)

    _some_at_a_time(builder, rows, TOGETHER, some)


def _sum(builder: Any, register: Any, lanes: int) -> Any:
    """The numbers in registers: one half and the other, until one is left."""
    if lanes == 1:
        return register
    while lanes > 1:
        lanes //= 2
        halves = (
            builder.shuffle_vector(
                register,
                register,
                ir.Constant(ir.VectorType(PLACE, lanes), [first + k for k in range(lanes)]),
            )
            for first in (0, lanes)
        )
        register = builder.fadd(*halves)
    return builder.extract_element(register, PLACE(0))


def _write_sums(
    builder: Any, rows: Any, length: Any, matrix: Any, step: Any, vector: Any, out: Any, added: bool
) -> None:
    if not added:
        size = WORD(4 if isinstance(out.type.pointee, ir.FloatType) else 8)
        cgutils.memset(builder, out, builder.mul(length, size), 0)

    def some(i: Any, together: int) -> None:
        part = _Rows(builder, matrix, step, i, together)
        numbers = [builder.load(builder.gep(vector, [number])) for number in part.numbers]
        times = {n: [part.spread(number, n) for number in numbers] for n in part.widths}

        def along(j: Any, lanes: int) -> None:
            total = part.read(out, j, lanes)
            for start, number in zip(part.starts, times[lanes], strict=True):
                if lanes == part.widths[0]:
                    part.ask_ahead(start, j)
                total = part.fused(part.read(start, j, lanes), number, total)
            part.store(total, out, j, lanes)

        _some_at_a_time(builder, length, part.widths, along)

    _some_at_a_time(builder, rows, TOGETHER, some)
