"""Emitted text as a module in a real file, named by its content.

Text goes in, an executed module comes out: under its own name in `sys.modules`, with its lines in
`linecache`, so tracebacks and debuggers show it, and Numba can keep its machine code beside it. What runs
is always the text given here, never what a file holds: a file with other content is written anew. Where no
file can be written, the module lives in memory alone. Begin with `load`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import linecache
import re
import sys
from pathlib import Path
from types import ModuleType

from tracegrad.compiler.disk_cache import directory, may_be_written, put, say_unwritable


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


def _written(text: str, file_name: str) -> Path | None:
    """The file, holding exactly this text; None where it cannot be written, or others may write."""
    if not may_be_written():
        return None
    try:
        path = directory() / file_name
        return path if _holds(path, text) else put(file_name, text.encode())
    except OSError as error:
        say_unwritable(error)
        return None


def _holds(path: Path, text: str) -> bool:
    try:
        return not path.is_symlink() and path.read_text(encoding="utf-8") == text
    except (OSError, UnicodeDecodeError):
        return False
