"""Emitted text as a module in a real file, named by its content.

Text goes in, an executed module comes out: under its own name in `sys.modules`, with its lines in
`linecache`, so tracebacks and debuggers show it, and Numba can keep its machine code beside it. What runs
is always the text given here, never what a file holds: a file with other content is written anew. Where no
file can be written, the module lives in memory alone. Begin with `load`.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import linecache
import os
import re
import stat
import sys
import threading
from pathlib import Path
from types import ModuleType

from tracegrad.config import config

_said: set[str] = set()


def load(text: str, name: str) -> ModuleType:
    """The module with this text; one that is loaded already is handed out again.

    Parameters
    ----------
    name : str
        Part of the file's name: `tracegrad_<name>_<hash>.py`; what does not fit into an identifier is left out.
    """
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    name = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")[:60] or "program"
    module_name = f"tracegrad_{name}_{digest}"
    found = sys.modules.get(module_name)
    if found is not None and getattr(found, "__tracegrad_text__", None) == text:
        return found
    path = _written(text, f"{module_name}.py")
    if path is None:
        module, file = ModuleType(module_name), f"<{module_name}>"
    else:
        file = str(path)
        spec = importlib.util.spec_from_file_location(module_name, file)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
    module.__dict__["__tracegrad_text__"] = text
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    sys.modules[module_name] = module
    try:
        exec(compile(text, file, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module


def directory() -> Path:
    """Where modules are kept: `config.cache_dir`, or the user's cache directory."""
    if config.cache_dir:
        return Path(config.cache_dir)
    import platformdirs

    return Path(platformdirs.user_cache_dir("tracegrad", appauthor=False))


def is_private(path: Path) -> bool:
    """Whether nobody but the user can write into this directory, so that compiled code found in it can be trusted."""
    try:
        status = path.stat()
    except OSError:
        return False
    if not hasattr(os, "getuid"):
        return True
    return status.st_uid == os.getuid() and not stat.S_IMODE(status.st_mode) & 0o022


def _written(text: str, file_name: str) -> Path | None:
    """The file, holding exactly this text; None where it cannot be written."""
    try:
        place = directory()
        path = place / file_name
        if _holds(path, text):
            return path
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = place / f".{file_name}.{os.getpid()}.{threading.get_ident()}"
        try:
            with open(
                os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
            ) as stream:
                stream.write(text)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        return path
    except OSError as error:
        say_once("files", f"emitted programs are kept in memory, as no file can be written: {error}")
        return None


def _holds(path: Path, text: str) -> bool:
    try:
        return not path.is_symlink() and path.read_text(encoding="utf-8") == text
    except (OSError, UnicodeDecodeError):
        return False


def say_once(about: str, message: str) -> None:
    """A warning in the log "tracegrad", once in a process."""
    if about not in _said:
        import logging

        _said.add(about)
        logging.getLogger("tracegrad").warning(message)
