"""Statements to commented text; the only file that knows astor.

A tree of `Line`s goes in (a statement, the user line it comes from, what stands in its body); text comes
out, with the user's line as a comment over each group of statements that come from it, and the map from
emitted lines to user lines. Begin with `Page`.
"""

from __future__ import annotations

import ast
import functools
import importlib
import os
import re
import textwrap
import warnings
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tracegrad.ir.location import Location

WIDTH = 88
MANY = 60
GLUED = "\u00a0"  # a space that `textwrap` does not break at


@functools.cache
def _astor() -> Any:
    """astor, loaded when first needed; it warns about `ast` classes that later versions of Python drop."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("astor")


def print_node(node: ast.AST, width: int = WIDTH) -> list[str]:
    """A statement or expression as lines of at most `width` columns, where they can be broken."""
    long = _long_list(node, width)
    if long is not None:
        return long
    astor = _astor()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text: str = astor.to_source(
            node, pretty_string=lambda s, *rest, **options: repr(s), pretty_source="".join
        )
    printed = [line.rstrip() for line in text.rstrip("\n").split("\n")]
    value = node.value if isinstance(node, ast.Return) else None
    if isinstance(value, ast.Tuple) and len(value.elts) == 1:  # astor leaves the parentheses out
        printed[0] = printed[0].replace("return ", "return (", 1)
        printed[-1] += ")"
    broken = [part for line in printed for part in _broken(line, width)]
    if (
        isinstance(node, ast.Assign) and max(map(len, broken)) > width
    ):  # the names on the left alone are too long
        return _long_list(node, width, 0) or broken
    return broken


_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<comma>,[ ])"""
    r"""|[ ](?P<word>and|or|if|else|in|not[ ]in|is[ ]not|is|==|!=|<=|>=|<|>|[-+|&^]|[*/%@]|//|\*\*)(?=[ ])"""
    r"""|[ ](?P<sets>[-+*/%@|&]{0,2}=)[ ]"""
)
_HEAD = re.compile(r"(?:return|if|elif|while|for \w+ in|from \S+ import) ")
_LATE = {"*": 2, "/": 2, "//": 2, "%": 2, "@": 2, "**": 3, "+": 1, "-": 1}
_SUBSCRIPT = 10  # as many parentheses: the last place to break a line is inside of an index


def _broken(line: str, width: int) -> list[str]:
    """A line as lines of at most `width` columns, broken where the fewest parentheses are open, after a comma or before
    an operator that binds weakly; what has to be broken outside of any is put in parentheses."""
    if len(line) <= width:
        return [line]
    begin = head.end() if (head := _HEAD.match(line)) else 0
    spots: list[
        tuple[int, int, int]
    ] = []  # where a line may begin, the parentheses open there, how weak the operator
    open_ = [0]
    for token in _TOKEN.finditer(line, begin):
        if token["sets"] and len(open_) == 1:
            begin, spots = token.end(), []
        elif token["open"]:
            is_index = token["open"] == "[" and (
                line[token.start() - 1].isalnum() or line[token.start() - 1] in "_)]"
            )
            open_.append(open_[-1] + (_SUBSCRIPT if is_index else 1))
        elif token["close"]:
            open_.pop()
        elif token["comma"] or token["word"]:
            spots.append(
                (token.end() if token["comma"] else token.start() + 1, open_[-1], _LATE.get(token["word"], 0))
            )
    end = len(line) - line.endswith(":")
    if any(depth == 0 for _, depth, _ in spots):
        line = f"{line[:begin]}({line[begin:end]}){line[end:]}"
        spots = [(place + 1, depth, late) for place, depth, late in spots]
    places = [place for place, _, _ in spots]
    indent, lines, start = "", [], 0
    further = "        " if line.endswith(":") else "    "
    while len(indent) + len(line) - start > width:
        room = width - len(indent)
        first, beyond = bisect_right(places, start), bisect_right(places, start + room + 1)
        near = spots[first:beyond] or spots[first : first + 1]
        fitting = [spot for spot in near if len(line[start : spot[0]].rstrip()) <= room] or near[:1]
        late = [spot for spot in fitting if spot[0] - start > room // 2] or fitting
        if not late:
            break
        place = min(late, key=lambda spot: (spot[1], spot[2], -spot[0]))[0]
        lines.append(f"{indent}{line[start:place].rstrip()}")
        start, indent = place, further
    return [*lines, f"{indent}{line[start:]}"]


def _long_list(node: ast.AST, width: int, many: int = MANY) -> list[str] | None:
    """A return of very many values, or an assignment to as many names, filled up line by line."""
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
        items, before, after = node.value.elts, "return (", ")"
        if len(items) == 2 and isinstance(items[1], ast.Tuple) and len(items[1].elts) > MANY:
            before, after = f"return ({' '.join(print_node(items[0]))}, (", "))"
            items = items[1].elts
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
        items, before = node.targets[0].elts, "("
        # No line may begin with `=` or after it.
        after = f") = {' '.join(print_node(node.value))}".replace(" ", GLUED)
    else:
        return None
    if len(items) <= many:
        return None
    text = f"{before}{', '.join(' '.join(print_node(item)) for item in items)}{after}"
    broken = textwrap.wrap(
        text, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    return [line.replace(GLUED, " ") for line in broken]


@dataclass(eq=False)
class Line:
    """A statement; of a compound one only the head is printed, then `body` and `orelse`."""

    statement: ast.stmt
    location: Location | None = None
    note: str = ""  # a comment behind it
    body: Sequence[Line] = ()
    orelse: Sequence[Line] = field(default_factory=tuple)


class Page:
    """Text as it grows."""

    def __init__(self, file: str | None) -> None:
        self.file = file  # the user's, whose lines need no file name
        self.lines: list[str] = []
        self.line_map: list[tuple[int, int]] = []
        self._last: tuple[str, int] | None = None

    def text(self, *lines: str) -> None:
        """Lines as they are."""
        self.lines.extend(lines)
        self._last = None

    def head(self, function: ast.FunctionDef) -> None:
        """The `def` line."""
        self.lines.extend(line for line in print_node(function)[:-1] if line)
        self._last = None

    def write(self, lines: Sequence[Line], depth: int = 0) -> None:
        """Statements, each group under its user line."""
        for line in lines:
            self._comment(line.location, depth)
            self._statement(line, depth)

    def _statement(self, line: Line, depth: int, word: str = "") -> None:
        """One statement and what it holds; with `word` "el", an `if` that is an `elif`."""
        indent = "    " * depth
        statement = line.statement
        if not line.body:
            self._put(print_node(statement, WIDTH - len(indent)), indent, line)
            return
        head: list[ast.stmt] = [ast.Pass()]
        if isinstance(statement, ast.If):
            statement = ast.If(test=statement.test, body=head, orelse=[])
        elif isinstance(statement, ast.While):
            statement = ast.While(test=statement.test, body=head, orelse=[])
        elif isinstance(statement, ast.For):
            statement = ast.For(target=statement.target, iter=statement.iter, body=head, orelse=[])
        head_lines = print_node(statement, WIDTH - len(indent) - len(word))[:-1]
        self._put([word + head_lines[0], *head_lines[1:]], indent, line)
        self.write(line.body, depth + 1)
        if len(line.orelse) == 1 and line.orelse[0].body and isinstance(line.orelse[0].statement, ast.If):
            self._comment(line.orelse[0].location, depth)
            self._statement(line.orelse[0], depth, "el")
        elif line.orelse:
            self.lines.append(f"{indent}else:")
            self.write(line.orelse, depth + 1)

    def _put(self, printed: Sequence[str], indent: str, line: Line) -> None:
        note = f"  # {line.note}" if line.note else ""
        if note and (len(printed) > 1 or len(indent + printed[0] + note) > WIDTH):
            self.lines.append(f"{indent}{note.strip()}")
            note = ""
        for text in printed:
            self.lines.append(f"{indent}{text}{note}")
            if line.location is not None:
                self.line_map.append((len(self.lines), line.location.line))

    def _comment(self, location: Location | None, depth: int) -> None:
        if location is None or (location.file, location.line) == self._last:
            return
        self._last = (location.file, location.line)
        indent = "    " * depth
        place = f"line {location.line}"
        if location.file != self.file:
            place = f"{os.path.basename(location.file)} {place}"
        text = f"{indent}# {place}: {location.text}" if location.text else f"{indent}# {place}"
        self.lines.append(text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}...")
