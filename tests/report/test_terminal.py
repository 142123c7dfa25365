"""What the screen prints: exactly the text where it is piped, colours where somebody looks."""

from __future__ import annotations

import io

import pytest

from tracegrad.report.terminal import Screen

CODE = "def f(x):\n    return x * 2.0  # [0] a comment with [brackets] " + "and more " * 20 + "\n"


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    return io.StringIO()


def test_piped_code_is_the_text_itself(plain: io.StringIO) -> None:
    Screen(plain).code(CODE)
    assert plain.getvalue() == CODE


def test_piped_headings_are_underlined(plain: io.StringIO) -> None:
    Screen(plain).heading("Backward")
    assert plain.getvalue() == "\nBackward\n--------\n"


def test_a_sentence_is_not_read_as_markup(plain: io.StringIO) -> None:
    Screen(plain).say("gradient: [bold] [1. 2.]")
    assert plain.getvalue() == "gradient: [bold] [1. 2.]\n"


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("FORCE_COLOR", "1"), ("TERM", "xterm-256color")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = io.StringIO()
    Screen(stream).code("return x")
    assert "\x1b[" in stream.getvalue()
