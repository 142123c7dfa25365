"""Numba's machine code in our own cache: what `njit(cache=True)` does, with every file checked before it is unpickled.

In: a function that Numba compiles, and the text it comes from. Out: an object with the protocol of Numba's own caches,
which a dispatcher asks before it compiles a signature and tells when it has. There is no index to plant or to cut off:
one file a function and signature, named by everything that machine code depends on (text, signature, processor,
versions, options), and with the digest that `disk_cache` checks.

Numba's own cache gets ready to compile before it loads a file: it refreshes all of its registries, which imports
`scipy.linalg` and most of `numba.np`, compiles its runtime, and imports every module that had a function inlined. That
is half a second which a process that compiles nothing does not need. Begin with `MachineCode`.
"""

from __future__ import annotations

import functools
import io
import pickle
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tracegrad.compiler import blas_names, blas_threads
from tracegrad.compiler.disk_cache import CODE, digest_of, drop, read, say_once, versions, write
from tracegrad.config import config
from tracegrad.later import later

if TYPE_CHECKING:
    from tracegrad.compiler import special, ufunc_loops
else:
    special = later("tracegrad.compiler.special")
    ufunc_loops = later("tracegrad.compiler.ufunc_loops")


class MachineCode:
    """The machine code of one function, for each signature; the `_cache` of a Numba dispatcher.

    Parameters
    ----------
    function : callable
        The Python function that is compiled; its module is in `sys.modules`.
    text : str
        All the text that is compiled with it.
    options : dict
        What it is compiled with.
    """

    def __init__(self, function: Callable[..., Any], text: str, options: Any) -> None:
        self._name = function.__name__
        self._made_of = (function.__module__, function.__qualname__, text, repr(sorted(options.items())))
        self.cache_path = None  # Numba shows it in its statistics

    def load_overload(self, signature: Any, target: Any) -> Any:
        """The compiled function for a signature, or None."""
        from numba.core.compiler import CompileResult

        name = self._file(signature, target.codegen())
        content = read(name)
        if content is None:
            return None
        try:
            _know_the_runtime()
            if "tracegrad.kernels.special" in sys.modules:  # a text asked for a function of SciPy's
                special.know()
            if "tracegrad.kernels.ufunc_loops" in sys.modules:  # or for one of NumPy's
                ufunc_loops.know()
            return CompileResult._rebuild(target, *_unpickler()(io.BytesIO(content)).load())
        except Exception as error:  # whatever is wrong with it, it can be compiled again
            say_once("code", f"machine code that was kept cannot be used, and is made again: {error!r}")
            drop(name)
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep a function that was just compiled, where that is possible."""
        from numba.core.serialize import dumps

        if compiled.library.has_dynamic_globals or any(not part.can_cache for part in compiled.lifted):
            return
        try:
            content = dumps(compiled._reduce())
        except Exception as error:  # it runs; only the next process has to compile it again
            say_once("pickle", f"machine code is not kept: {error!r}")
            return
        write(self._file(signature, compiled.codegen), content)

    def flush(self) -> None:
        """Nothing is held back."""

    def _file(self, signature: Any, codegen: Any) -> str:
        import llvmlite
        import numba

        made_with = (versions(), numba.__version__, llvmlite.__version__, config.shaping())
        for_what = (str(signature), repr(codegen.magic_tuple()))
        return f"{self._name}.{digest_of(*self._made_of, *for_what, *made_with)}{CODE}"


@functools.cache
def _know_the_runtime() -> None:
    """Numba's memory of arrays, for machine code that is linked; what is compiled has Numba compile more of it."""
    from llvmlite.binding import add_symbol
    from numba.core.runtime._nrt_python import c_helpers

    for name, address in c_helpers.items():
        add_symbol(name if name.startswith("_") else f"NRT_{name}", address)
    blas_threads.know()
    blas_names.know()


@functools.cache
def _unpickler() -> Any:
    """What reads the pickles, without the modules of the functions that are part of the machine code.

    Each function comes with its environment: constants, which it may ask for, and the globals of its module, which
    compiled code asks for in object mode alone.
    """
    from numba.core.environment import Environment, lookup_environment

    def environment(module: str, constants: Any, name: str) -> Any:
        found = lookup_environment(name)
        if found is None:
            known = sys.modules.get(module)
            found = Environment({"__name__": module} if known is None else vars(known))
            found.consts[:] = constants
            found.env_name = name
            Environment._memo[name] = found
        return found

    class Unpickler(pickle.Unpickler):
        """Pickles of Numba's."""

        def find_class(self, module: str, name: str) -> Any:
            wanted = (module, name) == ("numba.core.environment", "_rebuild_env")
            return environment if wanted else super().find_class(module, name)

    return Unpickler
