"""Large loops over elements, in threads: `in_threads` of native text as machine code.

A function that does blocks `first` to `last` of a loop is called by each thread for the next blocks that nobody has
taken, until none is left: a thread that begins late, or whose processor has other work, does fewer. The threads are
those of `crew.py`, which wait between calls; the interpreter is not asked. What a block computes does not depend on who
computes it, and the same machine code serves any number of threads. How many there are is read from memory at each
call. Begin with `in_threads`.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from tracegrad.compiler import forever
from tracegrad.config import threads
from tracegrad.later import later

if TYPE_CHECKING:
    from tracegrad.compiler import crew
else:
    crew = later("tracegrad.compiler.crew")

_COUNT = "tracegrad_threads"
_TURNS = 4  # how often a thread takes blocks: the last ends at most such a part of its work after the first


@functools.cache
def in_threads() -> Any:
    """The intrinsic, `in_threads(count, part, given)`: calls `part(first, last, *given)` for all of `count` blocks."""
    from numba.core import cgutils, types
    from numba.extending import intrinsic

    forever.tell(_COUNT, threads)
    if sys.platform != "win32":
        crew.know()

    @intrinsic
    def in_threads(typingctx: Any, count: Any, part: Any, given: Any) -> Any:
        leaf = (types.int64, types.int64, *map(types.unliteral, given.types))
        part.get_call_type(typingctx, leaf, {})

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            compiled = part.dispatcher.get_compile_result(types.none(*leaf))
            context.add_linking_libs([compiled.library])
            callee = context.declare_function(builder.module, compiled.fndesc)
            items = cgutils.unpack_tuple(builder, args[2])
            cast = [
                context.cast(builder, v, t, to) for v, t, to in zip(items, given.types, leaf[2:], strict=True)
            ]
            share_out(context, builder, callee, leaf, args[0], cgutils.pack_struct(builder, cast))
            return context.get_dummy_value()

        return types.void(types.int64, part, given), codegen

    return in_threads


def share_out(context: Any, builder: Any, callee: Any, leaf: Any, count: Any, values: Any) -> None:
    """Call a function of the module, whose arguments are of the types `leaf`, for all of `count` blocks.

    `values` are the arguments but the first two, as one structure. Blocks are done here and by a crew, until all are.
    """
    from llvmlite import ir
    from numba.core import cgutils

    whole, pointer = ir.IntType(64), ir.IntType(8).as_pointer()
    module = builder.module
    work = ir.LiteralStructType([whole, whole, whole, values.type])
    run = _runner(context, module, callee, leaf, work)
    number = whole(1)
    if sys.platform != "win32":
        number = builder.load(_external(module, _COUNT, whole))
    alone = builder.icmp_signed("==", number, whole(1))
    some = builder.sdiv(count, builder.mul(number, whole(_TURNS)))
    some = builder.select(builder.icmp_signed("<", some, whole(1)), whole(1), some)
    shared = cgutils.alloca_once(builder, work)
    for field, value in enumerate((whole(0), count, builder.select(alone, count, some), values)):
        builder.store(value, cgutils.gep_inbounds(builder, shared, 0, field))
    shared = builder.bitcast(shared, pointer)
    if sys.platform == "win32":
        builder.call(run, [shared])
        return
    with builder.if_else(alone) as (one, several):
        with one:
            builder.call(run, [shared])
        with several:
            others = builder.sub(number, whole(1))
            share = ir.FunctionType(ir.VoidType(), [pointer, pointer, whole])
            cell = _external(module, crew.CELL, share.as_pointer())
            builder.call(builder.load(cell), [builder.bitcast(run, pointer), shared, others])


def _external(module: Any, name: str, kind: Any) -> Any:
    from llvmlite import ir

    found = module.globals.get(name)
    if found is None:
        found = ir.GlobalVariable(module, kind, name)
        found.linkage = "external"
    return found


def _runner(context: Any, module: Any, callee: Any, leaf: Any, work: Any) -> Any:
    """The function a thread begins with: it takes the address of what there is to do, and then blocks from there."""
    from llvmlite import ir
    from numba.core import cgutils

    pointer = ir.IntType(8).as_pointer()
    run = ir.Function(
        module, ir.FunctionType(pointer, [pointer]), module.get_unique_name(f"{callee.name}.share")
    )
    run.linkage = "internal"
    builder = ir.IRBuilder(run.append_basic_block("entry"))
    shared = builder.bitcast(run.args[0], work.as_pointer())
    taken, *known = (cgutils.gep_inbounds(builder, shared, 0, k) for k in range(4))
    count, some, values = map(builder.load, known)
    items = cgutils.unpack_tuple(builder, values)
    nothing, error = (cgutils.alloca_once(builder, a.type.pointee) for a in callee.args[:2])
    turn, blocks, end = (run.append_basic_block(name) for name in ("turn", "blocks", "end"))
    builder.branch(turn)
    builder.position_at_end(turn)
    first = builder.atomic_rmw("add", taken, some, "monotonic")  # creation and end of a thread order all else
    builder.cbranch(builder.icmp_signed("<", first, count), blocks, end)
    builder.position_at_end(blocks)
    last = builder.add(first, some)
    last = builder.select(builder.icmp_signed(">", last, count), count, last)
    arguments = context.call_conv._get_arg_packer(leaf).as_arguments(builder, [first, last, *items])
    builder.call(callee, [nothing, error, *arguments])
    for instruction in blocks.instructions:  # inlined it might become others than there, and other digits
        if isinstance(instruction, ir.CallInstr) and instruction.callee is callee:
            instruction.attributes.add("noinline")
    builder.branch(turn)
    builder.position_at_end(end)
    builder.ret(pointer(None))
    return run
