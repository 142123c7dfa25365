"""What a process holds, and what one call holds at most above that."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

NO_HUGE_PAGES = 41  # PR_SET_THP_DISABLE of Linux


def held(what: str) -> int:
    """Bytes of this process: "VmRSS" now, "VmHWM" at most since the peak was forgotten."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(what)) * 1024


def peak(call: Callable[..., Any], given: tuple[Any, ...], forget: Callable[[], None]) -> int:
    """Bytes that one call holds at most above what the process held; buffers kept between calls are given back.

    Counted in small pages: of a huge one, which NumPy asks for, all 2 MB count as soon as one byte is touched, so
    that the figure would hang on where in it an array happens to begin.
    """
    call(*given)
    forget()
    gc.collect()
    system = ctypes.CDLL(None)
    system.malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    system.prctl(NO_HUGE_PAGES, 1, 0, 0, 0)
    before = held("VmRSS")
    call(*given)
    found = held("VmHWM") - before
    system.prctl(NO_HUGE_PAGES, 0, 0, 0, 0)
    return found
