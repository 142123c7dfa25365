"""Emitted text against the file that holds what it was when somebody last read it. Begin with `compare`."""

from __future__ import annotations

import difflib
from pathlib import Path


def compare(text: str, path: Path, refresh: bool = False) -> None:
    """Compare a text with its golden file.

    Parameters
    ----------
    text : str
    path : Path
        The file; made where it is missing and `refresh` is set.
    refresh : bool
        Write the text to the file instead; the change is then read like code.

    Raises
    ------
    AssertionError : they differ, or there is no file; with the difference
    """
    if refresh:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return
    if not path.exists():
        raise AssertionError(
            f"there is no golden file {path.name}; make it with the flag --refresh-golden, and read it"
        )
    expected = path.read_text(encoding="utf-8")
    if text != expected:
        lines = difflib.unified_diff(
            expected.splitlines(), text.splitlines(), f"golden/{path.name}", "emitted now", lineterm=""
        )
        raise AssertionError("\n".join(["the emitted text is another than in the golden file:", *lines]))
