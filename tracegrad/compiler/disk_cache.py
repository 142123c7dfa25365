"""Files that outlive the process: one private directory, and a digest of ours that is checked before a file is used.

In: a name and bytes. Out: the same bytes in this process or a later one, or None. Whatever is wrong with a file (cut
off, changed, of another version, not ours alone) makes it a miss, said once in the log; whatever is wrong with the disk
makes a process that keeps nothing. Writing is atomic, so processes share the directory without locks; past
`config.cache_size` the files not used for longest are dropped. Begin with `read` and `write`.

Machine code in the cache is pickled by Numba, and a pickle can run anything. So nothing is read from a directory, or of
a file, that another user could have written.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import os
import stat
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tracegrad.config import config

PROGRAM, CODE, MODULE = ".program", ".code", ".py"  # what is kept: programs, machine code, emitted text
_MAGIC = b"tracegrad cache 1\n"
_EVERY = 64  # so many files are written between two looks at the size of the directory
_FRESH = 3600.0  # seconds after which a file that is used again counts as used just now

_said: set[str] = set()
_written = 0


def directory() -> Path:
    """Where files are kept: `config.cache_dir`, or the user's cache directory."""
    if config.cache_dir:
        return Path(config.cache_dir)
    import platformdirs  # an answer that most processes need once, or never

    return Path(platformdirs.user_cache_dir("tracegrad", appauthor=False))


def is_private(path: Path) -> bool:
    """Whether nobody but the user can write into this directory, so that compiled code found in it can be trusted."""
    try:
        status = path.stat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and _is_ours(status)


def _is_ours(status: os.stat_result) -> bool:
    if not hasattr(os, "getuid"):
        return True
    return status.st_uid == os.getuid() and not stat.S_IMODE(status.st_mode) & 0o022


def is_usable() -> bool:
    """Whether programs may be kept and read: the option is on, and the directory is the user's alone."""
    return config.cache != "none" and may_be_written()


def may_be_written() -> bool:
    """Whether the directory is the user's alone, or not there yet; where it is not, that is said once."""
    place = directory()
    if place.exists() and not is_private(place):
        why = "others may write into it" if place.is_dir() else "it is no directory"
        say_once("private", f"nothing is kept in {place}, and nothing read: {why}")
        return False
    return True


def read(name: str) -> bytes | None:
    """What was written under this name; None where there is nothing, or nothing that can be trusted."""
    if not is_usable():
        return None
    path = directory() / name
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        return None
    except OSError as error:
        say_once("read", f"a file of the cache cannot be read, and is ignored: {error}")
        return None
    try:
        with open(descriptor, "rb") as stream:
            status = os.fstat(descriptor)
            found = stream.read() if stat.S_ISREG(status.st_mode) and _is_ours(status) else b""
    except OSError as error:
        say_once("read", f"a file of the cache cannot be read, and is ignored: {error}")
        return None
    content = _checked(name, found)
    if content is None:
        say_once("broken", f"{path} is broken, or not of this version, and is ignored")
        drop(name)
        return None
    if time.time() - status.st_mtime > _FRESH:
        with contextlib.suppress(OSError):
            os.utime(path)
    return content


def write(name: str, content: bytes) -> bool:
    """Keep bytes under a name; whether that was possible."""
    if not is_usable():
        return False
    try:
        put(name, _MAGIC + _digest(name, content) + content)
    except OSError as error:
        say_unwritable(error)
        return False
    _now_and_then()
    return True


def drop(name: str) -> None:
    """Forget a file."""
    with contextlib.suppress(OSError):
        os.unlink(directory() / name)


def put(name: str, content: bytes) -> Path:
    """Write a file in one step: others see all of it, or what was there before.

    Raises
    ------
    OSError : it cannot be written; nothing is left of it
    """
    place = directory()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = place / name
    temporary = place / f".{name}.{os.getpid()}.{threading.get_ident()}"
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(content)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    return path


def _checked(name: str, found: bytes) -> bytes | None:
    start = len(_MAGIC)
    digest, content = found[start : start + 32], found[start + 32 :]
    if not found.startswith(_MAGIC) or _digest(name, content) != digest:
        return None
    return content


def _digest(name: str, content: bytes) -> bytes:
    """Of the name as well: a file copied over another is another program."""
    return hashlib.sha256(name.encode() + b"\0" + content).digest()


# --- what programs are made with


@functools.cache
def versions() -> str:
    """What a kept file depends on: Python, NumPy, Numba, SciPy, and each source of ours."""
    parts = [sys.version, sys.implementation.cache_tag or "", sys.platform, np.__version__, _own_sources()]
    for package, file in (("numba", "_version.py"), ("llvmlite", "_version.py"), ("scipy", "version.py")):
        spec = importlib.util.find_spec(package)
        origin = "" if spec is None else spec.origin or ""
        try:
            said = Path(origin).with_name(file).read_text(encoding="utf-8") if origin else ""
        except OSError:
            said = ""
        parts += [package, origin, said]
    return digest_of(*parts)


def _own_sources() -> str:
    """Our files by name, size and time: what Python itself asks before it runs compiled files again."""
    root = Path(__file__).resolve().parents[1]
    found = []
    for place in [root, *sorted(p for p in root.iterdir() if p.is_dir() and p.name != "__pycache__")]:
        with os.scandir(place) as entries:
            found += [
                (e.path, e.stat().st_size, e.stat().st_mtime_ns) for e in entries if e.name.endswith(".py")
            ]
    return repr(sorted(found))


def digest_of(*parts: str) -> str:
    """One name for these texts."""
    made = hashlib.sha256()
    for part in parts:
        made.update(f"{len(part)}:".encode())
        made.update(part.encode("utf-8", "surrogatepass"))
    return made.hexdigest()[:40]


# --- how much there is


def kept() -> Iterator[tuple[Path, os.stat_result]]:
    """Every file of ours in the directory."""
    try:
        with os.scandir(directory()) as entries:
            for entry in entries:
                if entry.name.endswith((PROGRAM, CODE)) or (
                    entry.name.startswith("tracegrad_") and entry.name.endswith(MODULE)
                ):
                    with contextlib.suppress(OSError):
                        yield Path(entry.path), entry.stat(follow_symlinks=False)
    except OSError:
        return


def clear() -> int:
    """Drop every file of ours; how many there were."""
    count = 0
    for path, _ in list(kept()):
        with contextlib.suppress(OSError):
            path.unlink()
            count += 1
    return count


def shrink(size: int) -> int:
    """Drop the files not used for longest until the others are no larger than this; how many were dropped."""
    files = sorted(kept(), key=lambda f: f[1].st_mtime)
    total, count = sum(status.st_size for _, status in files), 0
    for path, status in files:
        if total <= size:
            break
        with contextlib.suppress(OSError):
            path.unlink()
            total -= status.st_size
            count += 1
    return count


def _now_and_then() -> None:
    """Look at the size of the directory at the first file a process writes, and then rarely."""
    global _written
    if _written % _EVERY == 0 and config.cache_size is not None:
        shrink(config.cache_size)
    _written += 1


def say_once(about: str, message: str) -> None:
    """A warning in the log "tracegrad", once in a process."""
    if about not in _said:
        import logging  # 5 ms that most processes never need

        _said.add(about)
        logging.getLogger("tracegrad").warning(message)


def say_unwritable(error: OSError) -> None:
    """The one warning for a disk on which neither programs nor emitted text can be written."""
    if "private" not in _said:
        say_once("write", f"emitted programs stay in memory, and are not kept for later processes: {error}")
