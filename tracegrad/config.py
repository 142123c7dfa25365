"""Every option: its default, what it means, the environment variable that sets it.

Read as `config.max_paths`; set the same way, or for a block of code with `with
config.using(jit="python"):`. A value that does not fit is refused where it is set.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

Check = Callable[[Any], Any]

MOST_THREADS = 256
threads = ctypes.c_int64(1)
"""`config.threads` where machine code reads it."""


def _at_least(least: int) -> Check:
    def check(text: str) -> int:
        value = int(text)
        if value < least:
            raise ValueError(f"at least {least} is needed")
        return value

    return check


def _between(least: int, most: int) -> Check:
    def check(text: str) -> int:
        value = _at_least(least)(text)
        if value > most:
            raise ValueError(f"at most {most} are possible")
        return value

    return check


def _one_of(*allowed: str) -> Check:
    def check(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"one of {', '.join(allowed)} is needed")
        return text

    return check


def _yes_or_no(value: bool | str) -> bool:
    """A bool, or the text of one."""
    if isinstance(value, bool):
        return value
    known = {
        "1": True,
        "true": True,
        "on": True,
        "yes": True,
        "0": False,
        "false": False,
        "off": False,
        "no": False,
    }
    if str(value).lower() not in known:
        raise ValueError("True or False is needed")
    return known[str(value).lower()]


_UNITS = {"": 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def number_of_bytes(size: int | str | None) -> int | None:
    """A size in bytes, `"64MB"` as 64,000,000; None and an empty text stay without a limit.

    Raises
    ------
    ValueError : no such unit, or not a positive number
    TypeError : neither a whole number nor a text
    """
    if size is None or size == "":
        return None
    if isinstance(size, bool) or not isinstance(size, (int, str)):
        raise TypeError("a number of bytes or a text such as '64MB' is needed")
    parts = re.fullmatch(r"(\d+(?:\.\d+)?) ?(\w*)", str(size).strip())
    if parts is None or parts[2] not in _UNITS:
        raise ValueError("a number of bytes or a text such as '64MB' is needed")
    found = int(Fraction(parts[1]) * _UNITS[parts[2]])
    if found < 1:
        raise ValueError("at least one byte is needed")
    return found


_OPTIONS: dict[str, tuple[Any, Check, str, str]] = {
    "jit": (
        "auto",
        _one_of("auto", "native", "python"),
        "TRACEGRAD_JIT",
        "auto compiles when a program is called again, native at the first call, python never",
    ),
    "max_paths": (
        32,
        _at_least(1),
        "TRACEGRAD_MAX_PATHS",
        "programs kept for one signature; past it the function runs on the tape",
    ),
    "max_recursion": (
        200,
        _at_least(1),
        "TRACEGRAD_MAX_RECURSION",
        "depth of user functions calling each other while they are captured",
    ),
    "loop_memory": (
        None,
        number_of_bytes,
        "TRACEGRAD_LOOP_MEMORY",
        "bytes that the loops of a gradient may keep, such as '256MB'; past it they are computed again in segments",
    ),
    "contract": (
        True,
        _yes_or_no,
        "TRACEGRAD_CONTRACT",
        "whether machine code may fuse a multiplication and an addition, which rounds once instead of twice",
    ),
    "reuse_memory": (
        number_of_bytes("256MB"),
        number_of_bytes,
        "TRACEGRAD_REUSE_MEMORY",
        "bytes of large results and of room to work in that are kept for the next call, once nobody sees them",
    ),
    "threads": (
        1,
        _between(1, MOST_THREADS),
        "TRACEGRAD_THREADS",
        "threads that share a large loop over elements; results do not depend on it",
    ),
    "cache_dir": (
        "",
        str,
        "TRACEGRAD_CACHE_DIR",
        "where programs are kept for later processes; empty means the user's cache directory",
    ),
    "cache": (
        "all",
        _one_of("all", "code", "none"),
        "TRACEGRAD_CACHE",
        "what is kept on disk and used by later processes: whole programs, machine code alone, or nothing",
    ),
    "cache_size": (
        number_of_bytes("1GB"),
        number_of_bytes,
        "TRACEGRAD_CACHE_SIZE",
        "how large the cache directory may grow, such as '200MB'; past it what was not used for longest is dropped",
    ),
}
# Where and when, not what: a program is the same whatever these say; `loop_memory` is part of each program's own key.
_NOT_SHAPING = {
    "jit",
    "threads",
    "max_paths",
    "max_recursion",
    "loop_memory",
    "reuse_memory",
    "cache_dir",
    "cache",
    "cache_size",
}


class Config:
    """The options as attributes; `help(tracegrad.config)` or `print(tracegrad.config)` lists them."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        values = {}
        for name, (default, check, variable, _) in _OPTIONS.items():
            text = os.environ.get(variable)
            values[name] = default if text is None else self._checked(name, check, text, variable)
        object.__setattr__(self, "_values", values)

    @staticmethod
    def _checked(name: str, check: Check, value: Any, said_by: str) -> Any:
        try:
            return check(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{said_by} = {value!r} does not fit the option {name}: {error}") from error

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(f"there is no option {name!r}; there are {', '.join(_OPTIONS)}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        getattr(self, name)
        self._put({name: self._checked(name, _OPTIONS[name][1], value, f"config.{name}")})

    def _put(self, changes: dict[str, Any]) -> None:
        self._values.update(changes)
        threads.value = self._values["threads"]

    @contextlib.contextmanager
    def using(self, **changes: Any) -> Iterator[None]:
        """Set options for the length of a `with` block."""
        before = {name: getattr(self, name) for name in changes}
        try:
            for name, value in changes.items():
                setattr(self, name, value)
            yield
        finally:
            self._put(before)

    def shaping(self) -> str:
        """The options that change what a program computes or how: part of the name under which it is kept."""
        return repr(sorted((k, v) for k, v in self._values.items() if k not in _NOT_SHAPING))

    def __repr__(self) -> str:
        rows = [
            f"{name} = {self._values[name]!r}\n    {meaning} ({variable})"
            for name, (_, _, variable, meaning) in _OPTIONS.items()
        ]
        return "\n".join(rows)


config = Config()
threads.value = config.threads
