"""Calls of Python in machine code, for Numba: `called_out` of native text.

Types of what is handed over and their values go in, the type and the value of the result come out. The call takes
Python's lock, makes objects of the values, calls the `Outside` of the function (a constant that is kept with the
machine code: no address of this process stands in it), and takes numbers and arrays from what it answers. An error of
Python's stays set, and the program ends with Numba's code for that. Begin with `write_call`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.numpy_support import from_dtype

from tracegrad.compiler.c_functions import call
from tracegrad.kernels.outside import Outside, results_of

STATE = ir.IntType(32)


@functools.cache
def called_out() -> Any:
    """The intrinsic, `called_out(function, given)`, for texts that Numba compiles in its own way."""

    @intrinsic
    def called_out(typing: Any, function: Any, given: Any) -> Any:
        kind = result_type(function.dispatcher)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kinds = tuple(map(types.unliteral, signature.args[1].types))
            values = cgutils.unpack_tuple(builder, args[1])
            return write_call(
                context,
                builder,
                function.dispatcher,
                kinds,
                values,
                lambda: context.call_conv.return_exc(builder),
            )

        return kind(function, given), codegen

    return called_out


def result_type(dispatcher: Any) -> Any:
    """What a function that is called out gives, by its annotation."""
    kinds = [
        types.Array(from_dtype(dtype), len(shape), "C") if shape else from_dtype(dtype)
        for dtype, shape in results_of(_annotation(dispatcher))
    ]
    if not kinds:
        return types.none
    return kinds[0] if len(kinds) == 1 else types.Tuple(kinds)


def write_call(
    context: Any,
    builder: Any,
    dispatcher: Any,
    kinds: Sequence[Any],
    values: Sequence[Any],
    leave: Callable[[], None],
) -> Any:
    """The call; `leave` writes how the function ends where Python raised an error. The result is a new reference."""
    api, known = context.get_python_api(builder), context.get_env_manager(builder)
    function = dispatcher.py_func
    outside = Outside(function.__module__, function.__name__, _annotation(dispatcher))
    kind = result_type(dispatcher)
    lock = call(builder, "PyGILState_Ensure", STATE)
    place = cgutils.alloca_once(builder, context.get_value_type(kind))
    failed = cgutils.alloca_once_value(builder, cgutils.true_bit)
    builder.store(cgutils.true_bit, failed)
    objects = []
    complete = cgutils.true_bit
    for part, value in zip(kinds, values, strict=True):
        context.nrt.incref(builder, part, value)
        objects.append(api.from_native_value(part, value, known))
        complete = builder.and_(complete, cgutils.is_not_null(builder, objects[-1]))
    with builder.if_then(complete):
        callee = known.read_const(known.add_const(outside))
        found = api.call_function_objargs(callee, objects)
        with builder.if_then(cgutils.is_not_null(builder, found)):
            native = api.to_native_value(kind, found)
            builder.store(native.value, place)
            builder.store(native.is_error, failed)
            api.decref(found)
    for made in objects:
        call(builder, "Py_DecRef", ir.VoidType(), made)
    call(builder, "PyGILState_Release", ir.VoidType(), lock)
    with builder.if_then(builder.load(failed), likely=False):
        leave()
    return builder.load(place)


def _annotation(dispatcher: Any) -> str:
    found: str = str(dispatcher.py_func.__annotations__["return"])
    return found
