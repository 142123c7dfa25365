"""How often Python runs a line of a function."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any


class Executed:
    """How often Python runs a line of a user's function while this is open; the marked copy has the user's lines."""

    def __init__(self, function: Callable[..., Any], text: str) -> None:
        code = function.__code__
        source = Path(code.co_filename).read_text(encoding="utf-8").splitlines()
        found = (n for n, line in enumerate(source, 1) if n > code.co_firstlineno and line.strip() == text)
        self.file, self.line, self.times = code.co_filename, next(found), 0

    def __enter__(self) -> Executed:
        sys.settrace(self._called)
        return self

    def __exit__(self, *error: object) -> None:
        sys.settrace(None)

    def _called(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._ran if frame.f_code.co_filename == self.file else None

    def _ran(self, frame: FrameType, event: str, argument: Any) -> Any:
        self.times += event == "line" and frame.f_lineno == self.line
        return self._ran
