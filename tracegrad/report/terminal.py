"""Text and code for a terminal: in colour where somebody looks, exactly as it is where it is piped or
written to a file.

`Screen` is what the commands print through. Source goes in as text and comes out as text; nothing is
computed here.
"""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.rule import Rule
from rich.syntax import Syntax
from rich.text import Text

THEME = "ansi_dark"


class Screen:
    """Prints headings, sentences and code.

    Parameters
    ----------
    stream : text stream to print to, or None for standard output
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True)

    def heading(self, text: str) -> None:
        """A line that begins a part."""
        if self._console.is_terminal:
            self._console.print()
            self._console.print(Rule(Text(text, style="bold"), align="left", style="dim"))
        else:
            self._plain(f"\n{text}\n{'-' * len(text)}")

    def say(self, text: str) -> None:
        """A sentence or a row of figures."""
        self._plain(text)

    def code(self, text: str) -> None:
        """Python source."""
        text = text.strip("\n")
        if self._console.is_terminal:
            self._console.print(Syntax(text, "python", theme=THEME, background_color="default"))
        else:
            self._plain(text)

    def _plain(self, text: str) -> None:
        self._console.print(Text(text))
