"""The functions of `kernels/numpy_fourier.py` as calls of NumPy's loops in machine code, for Numba.

Types of what is given and their values go in, instructions come out. A loop takes many transforms at once that lie at
equal distances: those of the last axis, or those of one place along the axes before the transformed one. NumPy puts
them together in the same way, so that all digits are the same. Begin with `write_call`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin
from numba.np.numpy_support import as_dtype

from tracegrad.compiler import arrays
from tracegrad.compiler.arrays import BYTE, WORD, Array, itemsize_of
from tracegrad.compiler.c_functions import call
from tracegrad.compiler.outside import STATE
from tracegrad.compiler.ufunc_loops import call_loop
from tracegrad.kernels import numpy_fourier

POINTER, TRUTH = BYTE.as_pointer(), ir.IntType(1)


def register() -> None:
    """Teach Numba the functions that texts named by now, for texts that it compiles in its own way."""
    for name in tuple(numpy_fourier.FUNCTIONS):
        _register(name)


@functools.cache
def _register(name: str) -> None:
    function = numpy_fourier.FUNCTIONS[name]
    _, loops = numpy_fourier.TRANSFORMS[name]

    def written(context: Any, builder: Any, sig: Any, args: Sequence[Any]) -> Any:
        write_call(context, builder, name, sig.args, args, lambda: context.call_conv.return_exc(builder))
        return context.get_dummy_value()

    infer_global(function)(_typed({kinds[0] + kinds[-1] for kinds in loops}))
    lower_builtin(function, types.Array, types.int64, types.Float, types.Array)(written)


def _typed(kinds: set[str]) -> type[AbstractTemplate]:
    class Typed(AbstractTemplate):
        """Of an array, an axis, a number of the precision of both arrays, and a contiguous array."""

        def generic(self, args: Sequence[Any], kws: Any) -> Any:
            x, _, _, out = args
            if not all(isinstance(t, types.Array) for t in (x, out)) or out.layout != "C":
                return None
            if x.ndim != out.ndim or _letter(x) + _letter(out) not in kinds:
                return None
            number = getattr(out.dtype, "underlying_float", out.dtype)
            return signature(types.none, x, types.int64, number, out)

    return Typed


def _letter(kind: Any) -> str:
    return as_dtype(kind.dtype).char


def write_call(
    context: Any,
    builder: Any,
    name: str,
    kinds: Sequence[Any],
    values: Sequence[Any],
    leave: Callable[[], None],
) -> None:
    """The call; `leave` writes how the function ends where there is no memory, of which NumPy tells Python."""
    x, out = (
        Array(context, builder, kinds[k], cgutils.alloca_once_value(builder, values[k])) for k in (0, 3)
    )
    apart = None
    if x.type.layout != "C":
        kind = types.Array(x.type.dtype, x.type.ndim, "C")
        apart = Array(context, builder, kind, arrays.fresh(context, builder, kind, x.sizes()))
        arrays.copy(context, builder, x, apart)
        x = apart
    before = after = length = filled = WORD(1)
    for k, (given, made) in enumerate(zip(x.sizes(), out.sizes(), strict=True)):
        here, earlier, later = (builder.icmp_signed(op, WORD(k), values[1]) for op in ("==", "<", ">"))
        length, filled = builder.select(here, given, length), builder.select(here, made, filled)
        before = builder.mul(before, builder.select(earlier, given, WORD(1)))
        after = builder.mul(after, builder.select(later, given, WORD(1)))
    callee = _in_order(builder.module, name, (x.type.dtype, out.type.dtype), values[2].type)
    places = [builder.bitcast(array.data, POINTER) for array in (x, out)]
    failed = builder.call(callee, [*places, before, after, length, filled, values[2]])
    if apart is not None:
        arrays.count(context, builder, apart.type, apart.code, False)
    with builder.if_then(failed, likely=False):
        leave()


def _in_order(module: Any, name: str, dtypes: tuple[Any, Any], number: Any) -> Any:
    """The function of the module that calls the loop, as often as it takes; it answers whether that failed. What is
    around it knows that it keeps no address (`direct.let_go`)."""
    loop = numpy_fourier.loop_of(name, as_dtype(dtypes[1]).char)
    symbol = f"tracegrad_{loop}"
    if symbol in module.globals:
        return module.globals[symbol]
    kind = ir.FunctionType(TRUTH, [POINTER, POINTER, WORD, WORD, WORD, WORD, number])
    made = ir.Function(module, kind, symbol)
    made.linkage = "linkonce_odr"
    made.attributes.add("noinline")
    x, out, before, after, length, filled, factor = made.args
    builder = ir.IRBuilder(made.append_basic_block("start"))
    factor = cgutils.alloca_once_value(builder, factor)
    is_last = builder.icmp_signed("==", after, WORD(1))
    together, times = builder.select(is_last, before, after), builder.select(is_last, WORD(1), before)
    items = [WORD(itemsize_of(dtype)) for dtype in dtypes]
    widths = [builder.mul(after, item) for item in items]  # between elements of one
    ways = [builder.mul(width, n) for width, n in zip(widths, (length, filled), strict=True)]
    steps = [builder.select(is_last, way, item) for way, item in zip(ways, items, strict=True)]
    with cgutils.for_range(builder, times) as again:
        given, there = (
            builder.gep(start, [builder.mul(way, again.index)])
            for start, way in zip((x, out), ways, strict=True)
        )
        last = builder.sub(together, WORD(1))
        first, result = (
            builder.bitcast(builder.gep(start, [builder.mul(step, last)]), number.as_pointer())
            for start, step in zip((given, there), steps, strict=True)
        )
        earlier = [_bits(builder, place) for place in (first, result)]
        call_loop(
            builder,
            loop,
            (given, builder.bitcast(factor, POINTER), there),
            (together, length, filled),
            (steps[0], WORD(0), steps[1], *widths),
        )
        now = _bits(builder, result)
        same = builder.or_(*(builder.icmp_signed("==", now, bits) for bits in earlier))
        with builder.if_then(same, likely=False), builder.if_then(_is_error_set(builder), likely=False):
            builder.ret(TRUTH(1))
    builder.ret(TRUTH(0))
    return made


def _bits(builder: Any, place: Any) -> Any:
    """The bits of a number."""
    whole = ir.IntType(32 if isinstance(place.type.pointee, ir.FloatType) else 64)
    return builder.load(builder.bitcast(place, whole.as_pointer()), align=4)


def _is_error_set(builder: Any) -> Any:
    """Whether the loop found no memory, of which it tells Python alone.

    To ask takes Python's lock, so nobody asks unless the first number of the last transform is what stood there before,
    or what it was made of: as far as a loop comes without memory.
    """
    lock = call(builder, "PyGILState_Ensure", STATE)
    is_set = cgutils.is_not_null(builder, call(builder, "PyErr_Occurred", POINTER))
    call(builder, "PyGILState_Release", ir.VoidType(), lock)
    return is_set
