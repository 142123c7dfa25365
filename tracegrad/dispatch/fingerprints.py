"""What a value from outside is, as text that another process can compare: the same text means nothing tells them apart.

Numbers, strings and arrays by value; functions and classes by their names and all of their code; modules by name. Where
such a text cannot be given (an object whose state nobody knows, a function without a source file), `Unstorable` says
what stands in the way. Begin with `fingerprint`.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import os
import re
import sys
import types
from typing import Any

import numpy as np

from tracegrad.record.frames import is_internal
from tracegrad.tensor.reads import MISSING

_BY_REPR = (
    type(None), bool, int, float, complex, str, bytes, range, type(...), fractions.Fraction, decimal.Decimal,
    datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone,
)  # fmt: skip
_UNSAID = {
    "__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "__dataclass_fields__", "_abc_impl",
    "__abstractmethods__", "__firstlineno__", "__static_attributes__", "__annotate__", "__annotate_func__",
}  # fmt: skip
_HEAP_TYPE = 1 << 9


class Unstorable(Exception):
    """Something a program depends on cannot be found again in another process."""


class Otherwise(Exception):
    """Something outside is not what a record was made for; the record may fit another time."""


def fingerprint(value: Any) -> str:
    """The text of a value.

    Raises
    ------
    Unstorable : nobody can tell whether another process has the same
    """
    kind = type(value)
    if value is MISSING:
        return "missing"
    if kind in _BY_REPR:
        return f"{kind.__name__} {value!r}"
    if kind is slice:
        return f"slice {fingerprint((value.start, value.stop, value.step))}"
    if kind in (tuple, list):
        return f"{kind.__name__}({', '.join(map(fingerprint, value))})"
    if kind in (set, frozenset):
        return f"{kind.__name__}({', '.join(sorted(map(fingerprint, value)))})"
    if kind is dict:
        return f"dict({', '.join(f'{fingerprint(k)}: {fingerprint(v)}' for k, v in value.items())})"
    if isinstance(value, (np.generic, np.ndarray)) and not value.dtype.hasobject:
        return f"{kind.__name__} {_dtype(value.dtype)}{value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    if isinstance(value, np.dtype):
        return f"dtype {_dtype(value)}"
    if kind is re.Pattern:
        return f"pattern {value.pattern!r} {value.flags}"
    if isinstance(value, types.ModuleType):
        return f"module {value.__name__}"
    if isinstance(value, types.CodeType):
        return f"code {code_digest(value)}"
    if isinstance(value, enum.Enum):
        return f"{class_fingerprint(kind)}.{value.name} {fingerprint(value.value)}"
    if isinstance(value, type):
        return class_fingerprint(value)
    return _callable(value)


def kind_of(value: Any) -> str:
    """The class of a value alone."""
    return "missing" if value is MISSING else f"a {class_fingerprint(type(value))}"


def form(value: Any) -> str:
    """The class, and of an array its dtype and shape: what an input is made for."""
    if isinstance(value, (np.ndarray, np.generic)):
        return f"{kind_of(value)} {_dtype(value.dtype)}{value.shape}"
    return kind_of(value)


def _dtype(dtype: np.dtype[Any]) -> str:
    return dtype.str if dtype.names is None and dtype.subdtype is None else repr(dtype)


def _callable(value: Any) -> str:
    kind = type(value)
    if kind is types.FunctionType:
        return f"function {value.__module__}.{value.__qualname__} {code_digest(value.__code__)}{_defaults(value)}"
    if kind is types.MethodType:
        return f"method {fingerprint(value.__func__)} of {kind_of(value.__self__)}"
    if kind is types.BuiltinFunctionType:
        owner = value.__self__
        said = "" if owner is None or isinstance(owner, types.ModuleType) else f" of {kind_of(owner)}"
        return f"builtin {value.__module__}.{value.__qualname__}{said}"
    if kind is np.ufunc:
        return f"ufunc {value.__name__} {value.types}"
    if kind is type(np.sum):
        return f"numpy {value.__module__}.{value.__qualname__} {kind_of(value)}"
    if kind in _DESCRIPTORS:
        return f"{kind.__name__} {class_fingerprint(value.__objclass__)}.{value.__name__}"
    if kind in (property, staticmethod, classmethod, functools.cached_property):
        return f"{kind.__name__} {_member('', value)}"
    if kind.__name__ == "cython_function_or_method" and _is_library_module(value.__module__):
        return f"compiled {value.__module__}.{value.__qualname__}"
    raise Unstorable(f"a {kind.__name__} whose contents are not known")


_DESCRIPTORS = (
    types.WrapperDescriptorType, types.MethodDescriptorType, types.GetSetDescriptorType, types.MemberDescriptorType,
)  # fmt: skip


def _defaults(function: types.FunctionType) -> str:
    """Defaults that are plain values; those that the program reads have guards of their own."""
    found = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    return "".join(f" {fingerprint(v) if type(v) in _BY_REPR else kind_of(v)}" for v in found)


# --- classes


def class_fingerprint(cls: type) -> str:
    """The name of a class, and for one of the user's all it defines: bases, methods with their code, special names."""
    module = (
        cls.__module__ if isinstance(cls.__module__, str) else "builtins"
    )  # some in C say it in another way
    name = f"class {module}.{cls.__qualname__}"
    if not cls.__flags__ & _HEAP_TYPE or _is_library_module(module):
        return name  # what it is, its module's version says
    parts = [class_fingerprint(type(cls)), *map(class_fingerprint, cls.__bases__)]
    parts += [f"{k} {_member(k, v)}" for k, v in sorted(vars(cls).items()) if k not in _UNSAID]
    fields = getattr(cls, "__dataclass_fields__", {})
    parts += [f"{f.name} {f.init} {f._field_type!r}" for f in fields.values()]
    return f"{name} {_short(parts)}"


def _member(name: str, value: Any) -> str:
    """What a class has under a name. Plain values that are read have guards of their own."""
    if isinstance(value, (staticmethod, classmethod)):
        return f"{type(value).__name__} {_member(name, value.__func__)}"
    if isinstance(value, property):
        return " ".join(_member(name, f) for f in (value.fget, value.fset, value.fdel))
    if isinstance(value, functools.cached_property):
        return f"cached {_member(name, value.func)}"
    if isinstance(value, types.FunctionType):
        return f"{code_digest(value.__code__)}{_defaults(value)}"
    if type(value) in _BY_REPR and name.startswith("__"):
        return repr(value)
    return type(value).__qualname__


# --- code

_codes: dict[int, tuple[types.CodeType, str]] = {}
_files: dict[str, tuple[tuple[int, int], str]] = {}


def code_digest(code: types.CodeType) -> str:
    """All of a code object, and the file it comes from: marks are made from the text of the file."""
    known = _codes.get(id(code))
    if known is None:
        known = _codes[id(code)] = code, _short([*_parts(code), code.co_filename])
    return f"{known[1]} {file_digest(code.co_filename)}"


def _parts(code: types.CodeType) -> list[str]:
    constants = [
        "|".join(_parts(c)) if isinstance(c, types.CodeType) else fingerprint(c) for c in code.co_consts
    ]
    shape = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    where = (code.co_qualname, code.co_firstlineno, code.co_linetable, code.co_exceptiontable)
    return [repr(part) for part in (shape, names, where, code.co_code)] + constants


def file_digest(name: str) -> str:
    """The contents of a file of the user's.

    Raises
    ------
    Unstorable : it cannot be read
    """
    if name.startswith("<"):
        return "no file"  # without a text there are no marks, and the code is all there is
    if _is_library(name):
        return "library"
    try:
        status = os.stat(name)
        now = status.st_mtime_ns, status.st_size
        found = _files.get(name)
        if found is None or found[0] != now:
            with open(name, "rb") as stream:
                found = _files[name] = now, hashlib.sha256(stream.read()).hexdigest()[:32]
    except OSError:
        raise Unstorable(f"code of {name}, which is no file") from None
    return found[1]


_STDLIB = os.path.dirname(os.__file__) + os.sep


@functools.cache
def _is_library(file: str) -> bool:
    """Whether a file is Python's, NumPy's, SciPy's or ours."""
    installed = "site-packages" in file or "dist-packages" in file
    return is_internal(file) or (file.startswith(_STDLIB) and not installed)


@functools.cache
def _is_library_module(name: str) -> bool:
    if name.partition(".")[0] not in {"numpy", "scipy", *sys.stdlib_module_names}:
        return False
    file = getattr(sys.modules.get(name), "__file__", None)
    return file is None or _is_library(file)


def _short(parts: list[str]) -> str:
    made = hashlib.sha256()
    for part in parts:
        made.update(f"{len(part)}:{part}".encode("utf-8", "surrogatepass"))
    return made.hexdigest()[:32]
