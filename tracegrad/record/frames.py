"""The user's frame: which line of the user's code is running now.

In: nothing but the Python stack. Out: a `Location`. Begin with `user_location`. It is asked once an op, so it is kept
short: whether a file is the user's is decided once a file, and a `Location` is made once a line.
"""

from __future__ import annotations

import functools
import opcode
import os
import sys
from types import CodeType, FrameType
from typing import Any

import numpy as np

from tracegrad.ir.location import Location

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_NUMPY = os.path.dirname(os.path.abspath(np.__file__)) + os.sep
_SCIPY = os.path.join(os.path.dirname(_NUMPY.rstrip(os.sep)), "scipy") + os.sep
_PACKAGES = tuple(
    os.path.join(os.path.dirname(_NUMPY.rstrip(os.sep)), name) + os.sep
    for name in ("pandas", "xarray", "optree")
)
_DEMO = os.path.join(_PACKAGE, "demo.py")  # the only file of ours with functions a user would write

_STORE_ITEM = opcode.opmap["STORE_SUBSCR"]

LONG = 1 << 11  # bytes of the table that says which instruction stands in which line
UNIT = 2  # bytes of an instruction, of which the tables are
TABLES = 16  # of long functions that are kept

_internal: dict[str, bool] = {}
_locations: dict[tuple[str, int, str], Location] = {}
_tables: dict[int, tuple[CodeType, list[Any]]] = {}  # by identity: a hash of long code takes long


def is_internal(file: str) -> bool:
    """Whether code of this file works on behalf of the user's: ours, a package's that computes, a wrapper of the
    library.
    """
    found = _internal.get(file)
    if found is None:
        found = (
            file.startswith(("<__array_function__", "<frozen", _NUMPY, _SCIPY, *_PACKAGES))
            or (file.startswith(_PACKAGE) and file != _DEMO)
            or file in (functools.__file__, _contextlib_file())
        )
        _internal[file] = found
    return found


def _contextlib_file() -> str:
    return os.path.join(os.path.dirname(functools.__file__), "contextlib.py")


def user_frame() -> FrameType | None:
    """The innermost frame of the user's code; None where there is none (a thread that runs only library code)."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        internal = _internal.get(file)
        if internal is None:
            internal = is_internal(file)
        if not internal:
            return frame
        frame = frame.f_back
    return None


def user_location() -> Location | None:
    """The line of the user's code that is running; None where no user code is on the stack."""
    frame = user_frame()
    if frame is None:
        return None
    code = frame.f_code
    line = frame.f_lineno if len(code.co_linetable) < LONG else _line(code, frame.f_lasti)
    key = (code.co_filename, line, code.co_name)
    found = _locations.get(key)
    if found is None:
        found = _locations[key] = Location(*key)
    return found


def _line(code: CodeType, instruction: int) -> Any:
    """The line of an instruction. Python goes through its table from the beginning each time, which for all lines of
    a long function is the square of their number."""
    found = _tables.get(id(code))
    if found is None:
        lines = [line for start, end, line in code.co_lines() for _ in range(start, end, UNIT)]
        if len(_tables) >= TABLES:
            _tables.clear()
        found = _tables[id(code)] = code, lines
    return found[1][instruction // UNIT]


def stores_an_item() -> bool:
    """Whether the user's code is at `a[i] = value` now."""
    frame = user_frame()
    return frame is not None and frame.f_code.co_code[frame.f_lasti] == _STORE_ITEM


def is_raised_for_user(error: BaseException) -> bool:
    """Whether an error comes from code that works on behalf of the user's, and not from a line of the user's."""
    trail = error.__traceback__
    while trail is not None and trail.tb_next is not None:
        trail = trail.tb_next
    return trail is not None and is_internal(trail.tb_frame.f_code.co_filename)


def raised_at(error: BaseException) -> Location | None:
    """The last line of the user's code that an exception passed through."""
    found: Location | None = None
    trail = error.__traceback__
    while trail is not None:
        code = trail.tb_frame.f_code
        if not is_internal(code.co_filename):
            found = Location(code.co_filename, trail.tb_lineno, code.co_name)
        trail = trail.tb_next
    return found
