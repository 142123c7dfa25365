"""Compiles native text with Numba; the only file that knows Numba, which is imported when the first program is
compiled.

A `Source` goes in, compiled functions come out, or the reason why there are none: a failure of Numba never
reaches the user, the python tier goes on and the log says so once. Begin with `compile_native`.

The meaning is NumPy's: `error_model="numpy"`, and of the fast-math flags only `contract`, without which
(`config.contract`) both tiers agree bit for bit wherever they call the same functions, and `reassoc` for the
additions of sums (`kernels.arithmetic`).
Machine code is kept on disk by `machine_code.py`; what goes wrong there counts as a miss.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tracegrad.compiler.disk_cache import say_once
from tracegrad.compiler.machine_code import MachineCode
from tracegrad.compiler.source_file import load
from tracegrad.compiler.threads import in_threads
from tracegrad.ir.source import Source
from tracegrad.ir.types import ArrayType
from tracegrad.kernels.arithmetic import ANY_ORDER, EXACT
from tracegrad.later import later

if TYPE_CHECKING:
    from tracegrad.compiler import direct, outside
else:
    direct, outside = later("tracegrad.compiler.direct"), later("tracegrad.compiler.outside")

OPTIONS: dict[str, Any] = {"error_model": "numpy"}


def compile_native(
    source: Source, name: str, arguments: Sequence[Any] | None = None, by_address: bool = False
) -> dict[str, Callable[..., Any]] | str:
    """Compiled entry functions by name, or the reason why there are none.

    Parameters
    ----------
    source : Source
        Native text.
    name : str
        Part of the module's name.
    arguments : sequence, optional
        What the first entry will be called with, values or `ArrayType`s; it is then compiled now, for their
        types. Without, each function is compiled by its first call.
    by_address : bool
        The first entry is called by its address alone (`machine_code`), never as a function of Python's.
    """
    try:
        module = load(source.text, name if by_address else f"{name}_called")
        _compile_functions(module, source, source.entries[by_address:])
    except Exception as error:  # whatever Numba does, the python tier goes on
        return _failed(name, error)
    functions = {entry: getattr(module, entry) for entry in source.entries}
    if arguments is not None:
        reason = prepare(functions[source.entries[0]], arguments)
        if reason is not None:
            return reason
    return functions


def prepare(function: Any, arguments: Sequence[Any]) -> str | None:
    """Compile for the types of these arguments (values or `ArrayType`s) now; returns the reason if that fails."""
    try:
        signature = tuple(map(_numba_type, arguments))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function.compile(signature)
    except Exception as error:
        return _failed(function.__name__, error)
    return None


def entry_point(function: Any, arguments: Sequence[Any]) -> Callable[..., Any]:
    """What was compiled for these arguments, as a function that does not look at types: it is given no others."""
    found: Callable[..., Any] = function.overloads[tuple(map(_numba_type, arguments))].entry_point
    return found


def was_loaded(function: Any) -> bool:
    """Whether the machine code of a function was found on disk, all of it."""
    return bool(function.stats.cache_hits) and not function.stats.cache_misses


def machine_code(
    function: Any, arguments: Sequence[Any]
) -> tuple[int, tuple[tuple[str, int | None, str], ...]]:
    """Where the machine code stands that was compiled for these arguments, and what it returns.

    Programs of one text share a function, which then is compiled for the types of each. Of each result there are
    its dtype, its dimensions (None for a number) and its layout.
    """
    compiled = function.overloads[tuple(map(_numba_type, arguments))]
    address: int = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
    return address, tuple(map(_passed, compiled.signature.return_type))


def _compile_functions(module: ModuleType, source: Source, called: Sequence[str]) -> None:
    """Make what Numba compiles of the functions of a text; those `called` can be called from Python."""
    import numba

    for name, function in list(vars(module).items()):
        if inspect.isfunction(function) and function.__module__ == module.__name__:
            options = {**OPTIONS, "no_cfunc_wrapper": True}  # nobody calls it as a C function
            relaxed = {"contract"} if source.contract and name not in EXACT else set()
            if name in ANY_ORDER:
                relaxed.add("reassoc")
            if relaxed:
                options["fastmath"] = relaxed
            if name in (*source.entries, *source.parts):
                options["pipeline_class"] = _compiler
            if name in called:
                options["nogil"] = True
            else:
                options["no_cpython_wrapper"] = True
            compiled = (
                in_threads()
                if name == "in_threads"
                else outside.called_out()
                if name == "called_out"
                else numba.njit(**options)(function)
            )
            if name in source.entries:
                compiled._cache = MachineCode(function, source.text, {**OPTIONS, "contract": source.contract})
            setattr(module, name, compiled)


def _compiler(*args: Any) -> Any:
    """What Numba's dispatchers compile with."""
    return direct.Compiler(*args)


def _numba_type(argument: Any) -> Any:
    import numba

    if isinstance(argument, ArrayType):
        scalar = numba.from_dtype(argument.dtype)
        return numba.types.Array(scalar, argument.ndim, "C") if argument.shape else scalar
    return numba.typeof(argument)


def _passed(kind: Any) -> tuple[str, int | None, str]:
    """A type of Numba's in words."""
    import numba

    if isinstance(kind, numba.types.Array):
        return str(numba.np.numpy_support.as_dtype(kind.dtype)), kind.ndim, kind.layout
    return str(numba.np.numpy_support.as_dtype(numba.types.unliteral(kind))), None, "C"


def _failed(name: str, error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = (
        " ".join(lines[:3]) if lines[:1] and lines[0].startswith("Failed in") else lines[0] if lines else ""
    )
    reason = f"Numba does not compile `{name}`: {type(error).__name__}: {said}"
    say_once(reason, f"{reason}; the NumPy program goes on")
    return reason
