"""`tracegrad cache info|clear|path`: what is kept on disk for later processes.

Begin with `run`.
"""

from __future__ import annotations

from collections import Counter

from tracegrad.compiler.disk_cache import CODE, MODULE, PROGRAM, clear, directory, is_private, kept
from tracegrad.config import config
from tracegrad.report.terminal import Screen

_KINDS = {PROGRAM: "programs", CODE: "machine code", MODULE: "emitted text"}
COMMANDS = {
    "info": "where the cache is, what is in it, how large it may grow",
    "clear": "drop everything that is in it",
    "path": "print the directory",
}


def run(command: str, screen: Screen) -> None:
    """Do one of `COMMANDS`."""
    if command == "path":
        screen.say(str(directory()))
    elif command == "clear":
        count = clear()
        screen.say(f"{count} file{'' if count == 1 else 's'} dropped from {directory()}")
    else:
        _info(screen)


def _info(screen: Screen) -> None:
    place = directory()
    files, sizes = Counter[str](), Counter[str]()
    for path, status in kept():
        files[path.suffix] += 1
        sizes[path.suffix] += status.st_size
    screen.say(f"directory: {place}")
    if place.exists() and not is_private(place):
        screen.say("others may write into it: nothing is kept there, and nothing read")
    screen.say(f"kept: {config.cache} (config.cache, TRACEGRAD_CACHE)")
    limit = "without a limit" if config.cache_size is None else f"of at most {_size(config.cache_size)}"
    screen.say(f"size: {_size(sum(sizes.values()))} {limit}")
    for suffix, what in _KINDS.items():
        screen.say(f"{what}: {files[suffix]} file{'' if files[suffix] == 1 else 's'}, {_size(sizes[suffix])}")


def _size(count: int) -> str:
    for unit, of in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= of:
            return f"{count / of:.1f} {unit}"
    return f"{count} bytes"
