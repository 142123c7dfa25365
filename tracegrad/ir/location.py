"""Where in the user's code something happened."""

from __future__ import annotations

import linecache
import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Location:
    """A line of the user's code; its text is looked up when somebody asks."""

    file: str
    line: int
    function: str

    @property
    def text(self) -> str:
        """The line as the user wrote it, stripped; empty where the source is not to be had."""
        return linecache.getline(self.file, self.line).strip()

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line}, in {self.function}"
