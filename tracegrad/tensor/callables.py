"""What is known of a callable before it is called: whether it runs as a marked clone, remembers anything,
changes its owner.

A callable of the user's or NumPy's goes in, an answer comes out. Begin with `may_clone`.
"""

from __future__ import annotations

import abc
import collections
import dataclasses
import functools
import inspect
import itertools
import operator
import threading
import types
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from tracegrad.ops.functions import ufunc_method
from tracegrad.record.frames import is_internal
from tracegrad.record.marks import mark
from tracegrad.tensor.library import is_known
from tracegrad.tensor.numpy_protocol import find, find_method
from tracegrad.tensor.standins import is_traced

STABLE = ("numpy", "math", "cmath", "scipy", "builtins", "operator", "itertools", "functools")
PURE = {
    "numpy",
    "math",
    "cmath",
    "scipy",
    "builtins",
    "operator",
    "_operator",
    "itertools",
    "functools",
    "_functools",
    "copy",
}
_PACKAGES = ("numpy", "scipy")
_AS_USERS = (  # classes of NumPy's that compute in Python
    "numpy.polynomial._polybase",
    "numpy.lib._polynomial_impl",
)
MAKES_ARRAYS = ("numpy", "scipy._lib.array_api_compat")
# Functions that call what they are given.
CALL_BACK = {
    map, filter, sorted, min, max, functools.reduce, itertools.accumulate, itertools.starmap,
    itertools.takewhile, itertools.dropwhile, itertools.filterfalse, itertools.groupby,
}  # fmt: skip
# Functions that only hand on what they are given.
MOVES = {
    list, tuple, zip, enumerate, reversed, map, filter, iter, next, isinstance, issubclass, type, callable, id,
    itertools.chain, itertools.islice, itertools.product, itertools.repeat, itertools.starmap, itertools.zip_longest,
    itertools.cycle, itertools.accumulate, functools.partial, functools.reduce, operator.is_, operator.is_not,
}  # fmt: skip
ITERATE = MOVES - {
    isinstance, issubclass, type, callable, id, next, reversed, itertools.repeat, functools.partial, operator.is_,
    operator.is_not,
}  # fmt: skip
# Methods of containers, and functions, that hand on what they are given from this place on, as it is.
HANDED_ON = {
    "append": 0, "appendleft": 0, "insert": 1, "get": 1, "pop": 1, "setdefault": 1, "__setitem__": 1,
}  # fmt: skip
# Functions that ask whether two things are equal.
COMPARES = {set, frozenset, dict, dict.fromkeys, operator.contains, operator.eq, operator.ne}
_IMPURE = {
    input, open, id, hash, dir, np.geterr, np.seterr, np.geterrcall, np.seterrcall, np.getbufsize, np.setbufsize,
    np.load, np.loadtxt, np.genfromtxt, np.fromfile, np.fromregex, np.memmap, np.save, np.savez, np.savez_compressed,
    np.savetxt, np.get_printoptions, np.set_printoptions, np.printoptions, np.array2string, np.array_str,
    np.array_repr, np.nditer,
}  # fmt: skip
_WRITING = (np.copyto, np.put, np.place, np.putmask, np.put_along_axis, np.fill_diagonal)
_OPAQUE = ("pandas", "polars", "xarray", "torch", "jax", "tensorflow")
MUTATORS = {
    "append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse", "update", "setdefault", "popitem", "add",
    "discard", "appendleft", "popleft", "fill", "put", "itemset", "resize", "__setitem__", "__delitem__", "__iadd__",
    "__imul__", "__ior__", "extendleft", "rotate", "move_to_end", "subtract", "__setattr__", "__delattr__",
    "symmetric_difference_update", "intersection_update", "difference_update", "setflags", "byteswap", "partition",
}  # fmt: skip
LOCKS = {type(threading.Lock()), type(threading.RLock()), threading.Condition}
FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, functools.partial)


def handed_on_from(function: Any) -> int | None:
    """The place of the first argument that a callable hands on as the same object; None: it looks into all."""
    if function is next:
        return 1
    of_container = isinstance(getattr(function, "__self__", None), (list, dict, collections.deque))
    return HANDED_ON.get(function.__name__) if of_container else None


def may_clone(function: types.FunctionType) -> bool:
    """Whether a Python function runs as its own marked clone: the user's, and a package's that computes
    with NumPy.
    """
    package = (function.__module__ or "").split(".")[0]
    return (not is_internal(function.__code__.co_filename) or package in _PACKAGES) and package not in _OPAQUE


def is_plain_class(cls: Any) -> bool:
    """Whether making an instance is `__init__` of the user's and nothing else, so that a marked clone of it
    can be run.
    """
    kind: Any = cls
    return (
        type(cls) in (type, abc.ABCMeta)
        and kind.__new__ is object.__new__
        and type(kind.__init__) is types.FunctionType
        and _may_clone_making(kind.__init__)
        and mark(kind.__init__.__code__) is not None
    )


def has_own_making(cls: type) -> bool:
    """Whether Python code of the user's runs when an instance is made."""
    if dataclasses.is_dataclass(cls) and any(
        isinstance(f.default_factory, types.FunctionType) for f in dataclasses.fields(cls)
    ):
        return True
    found = (getattr(cls, name, None) for name in ("__init__", "__new__", "__post_init__"))
    return any(
        type(f) is types.FunctionType and _may_clone_making(f) and mark(f.__code__) is not None for f in found
    )


def _may_clone_making(function: types.FunctionType) -> bool:
    """As `may_clone`, of what makes an object: NumPy's own (`np.errstate`, `np.vectorize`) are no users'."""
    module = function.__module__ or ""
    return may_clone(function) and (module.split(".")[0] != "numpy" or module in _AS_USERS)


def is_in(function: Any, known: Collection[Any]) -> bool:
    """Whether it is one of these, also for what cannot be hashed."""
    try:
        return function in known
    except TypeError:
        return False


def is_of_package(function: Any) -> bool:
    """Whether this is code of NumPy's or SciPy's."""
    module = function.__module__ or ""
    return module.split(".")[0] in _PACKAGES and module not in _AS_USERS


def is_of_library(function: Any) -> bool:
    """Whether something of ours may answer for a function in Python: of a package, or of Python's library."""
    return is_of_package(function) or is_known(function.__module__ or "")


def is_written_in_python(function: Any) -> bool:
    """Whether this is a function of NumPy's that dispatches on its arguments, and has Python code behind."""
    code = getattr(function, "__wrapped__", None) if isinstance(function, type(np.sum)) else None
    return isinstance(code, types.FunctionType) and mark(code.__code__) is not None


def is_of_numba(function: Any) -> bool:
    """Whether this is what `numba.njit` made of a Python function, which it has as `py_func`."""
    return type(function).__module__.startswith("numba.") and hasattr(function, "py_func")


def is_vectorized_by_numba(function: Any) -> bool:
    """Whether this is what `numba.vectorize` made of a Python function of numbers."""
    return type(function).__module__ == "numba.np.ufunc.dufunc"


def is_users(value: Any) -> bool:
    """Whether a callable runs Python code of the user's."""
    if isinstance(value, functools.partial):
        return is_users(value.func)
    function = value.__func__ if isinstance(value, types.MethodType) else value
    return isinstance(function, types.FunctionType) and may_clone(function) and not is_of_package(function)


@functools.lru_cache(maxsize=1024)
def _may_draw(function: types.FunctionType) -> bool:
    """Whether a library function takes a source of random numbers."""
    return not {"seed", "random_state", "rng"}.isdisjoint(inspect.signature(function).parameters)


def is_empty(cell: types.CellType) -> bool:
    """Whether a free variable is not bound."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return True
    return False


def is_dispatching(function: Any) -> bool:
    """Whether this was made by `functools.singledispatch`."""
    return isinstance(function, types.FunctionType) and {"dispatch", "registry"} <= vars(function).keys()


def is_pure(function: Any, module: str) -> bool:
    """Whether a callable of a module that computes answers alike each time, and does nothing else."""
    if isinstance(function, np.ufunc):
        return "O->O" not in function.types or len(function.types) > 1  # not one that calls Python
    function = getattr(function, "__func__", function)
    if isinstance(function, types.FunctionType) and _may_draw(function):
        return False
    return "random" not in module and not isinstance(function, np.vectorize) and not is_in(function, _IMPURE)


def written_by(function: Any, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    """The array that a call of a function of NumPy's writes, if it does."""
    return args[0] if args and is_in(function, _WRITING) else keywords.get("out")


def our_op(function: Any, traced: bool) -> Callable[..., Any] | None:
    """Our function for one of NumPy's or SciPy's, which NumPy's protocols would not reach through a list.

    Of those that call functions they are given, ours answers in any case: what is differentiated may stand in these.
    """
    if not traced and (getattr(function, "__module__", None) or "").partition(".")[0] != "scipy":
        return None
    if isinstance(function, (np.ufunc, type(np.sum))) or (
        isinstance(function, (types.FunctionType, types.BuiltinFunctionType, type))
        and is_of_package(function)
    ):
        found = find(function)
        return found if traced or getattr(found, "takes_functions", False) else None
    owner = getattr(function, "__self__", None)
    return ufunc_method(owner, function.__name__) if isinstance(owner, np.ufunc) and traced else None


def our_method(function: Any) -> tuple[Any, Callable[..., Any]] | None:
    """Of a method of an object of SciPy's, or such an object that is called: the object, and our function."""
    owner, name = function, "__call__"
    if isinstance(function, (types.MethodType, types.BuiltinMethodType)):
        owner, name = function.__self__, function.__name__
    ours = find_method(owner, name)
    return None if ours is None else (owner, ours)


def holds_traced(values: Any) -> bool:
    return any(is_traced(v) or (isinstance(v, (list, tuple)) and holds_traced(v)) for v in values)


def is_stable(module: str) -> bool:
    return module.split(".")[0] in STABLE


def module_of(function: Any) -> str:
    owner = getattr(function, "__self__", None)
    if isinstance(function, np.ufunc):
        return "numpy"
    if isinstance(owner, types.ModuleType):
        return owner.__name__
    if owner is not None and not isinstance(owner, type):
        return type(owner).__module__
    return getattr(function, "__module__", None) or type(function).__module__


def has_traced(key: Any) -> bool:
    return any(map(is_traced, key)) if isinstance(key, tuple) else is_traced(key)


def plain_key(key: Any) -> Any:
    """A key of a list or dict: a traced number is a guard on its value."""
    if is_traced(key):
        if key.shape:
            return key  # the container refuses it
        return key.__index__() if key.dtype.kind in "iub" else float(key)
    if isinstance(key, slice):
        return slice(*(p.__index__() if is_traced(p) else p for p in (key.start, key.stop, key.step)))
    if type(key) is tuple:  # a dict keeps it, and asks it again where a loop's counter is over
        return tuple(p if is_traced(p) and p.dtype.kind not in "iub" else plain_key(p) for p in key)
    return key
