"""When Python looks for garbage in cycles, while a function is recorded, differentiated and compiled.

A full collection looks at every object of the process (65 ms with Numba loaded and nothing else), and whoever makes
some hundred thousand objects that live brings one about every so often: with the collector as it is, a first call
spends up to a third of its time there, and the longer the program the more. Begin with `paused`.
"""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator

SELDOM = 10  # times as many young objects make a full collection due while the user's function is recorded
_lock = threading.Lock()
_recording = 0
_before: tuple[int, int, int] | None = None


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """No garbage is collected: around what is our own work alone, most of whose objects live as long as it takes."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextlib.contextmanager
def seldom_full() -> Iterator[None]:
    """Full collections are due ten times as seldom; young garbage is found as ever. Around what runs the user's
    function, which may take long and leave much of it. Whoever sets thresholds meanwhile keeps them."""
    global _recording, _before
    with _lock:
        _recording += 1
        if _recording == 1:
            _before = gc.get_threshold()
            gc.set_threshold(*_before[:2], SELDOM * _before[2])
    try:
        yield
    finally:
        with _lock:
            _recording -= 1
            if _recording == 0 and _before is not None:
                if gc.get_threshold() == (*_before[:2], SELDOM * _before[2]):
                    gc.set_threshold(*_before)
                _before = None
