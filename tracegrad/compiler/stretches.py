"""Very long blocks of instructions, a stretch at a time.

To find registers for numbers that are read throughout a block, LLVM takes the square of its length, and again for the
places on the stack of those that get none. No register lasts that long anyway: each call of a function takes them all.
So the block that a very long function begins with is cut into stretches, each a block of its own, and a number that a
later stretch reads is stored where it is made and loaded where it is read, which is what LLVM comes to in the end.

The text of a module that has been optimised goes in (LLVM's passes would make one block of it again, of numbers without
places), the text that becomes machine code comes out. Begin with `in_stretches`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

LONG = 6000  # instructions of a block that is cut
STRETCH = 300  # of them
NAME = re.compile(r'%(?:"[^"]*"|[-\w.$]+)')
GIVEN = re.compile(rf"(double|float) (?:[a-z]+ )*({NAME.pattern})")
MADE = re.compile(
    rf"  ({NAME.pattern}) = (?:(?:tail )?call|f(?:add|sub|mul|div|neg)|load)[a-z ]* (double|float)\b"
)
ROOM = re.compile(rf"  {NAME.pattern} = alloca [^%]*$")
OF_AN_ANGLE = re.compile(r" = [^@]*@llvm\.(?:sin|cos)\.f(?:64|32)\(([^)]*)\)")


def in_stretches(text: str) -> str:
    """The same functions, the blocks that they begin with in stretches."""
    lines = text.split("\n")
    found: list[str] = []
    at = 0
    for first, end in _entries(lines):
        if end - first > LONG:
            found += lines[at : first - 1]
            found += _cut(lines[first - 2], lines[first - 1], lines[first:end])
            at = end
    return "\n".join([*found, *lines[at:]])


def _entries(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """From where to where the first block of each function goes, behind its label."""
    for number, line in enumerate(lines):
        if line.startswith("define ") and lines[number + 1].endswith(":"):
            end = first = number + 2
            while lines[end].startswith("  "):
                end += 1
            yield first, end


def _cut(head: str, label: str, lines: Sequence[str]) -> list[str]:
    """The block in stretches. The last of them keeps its label: what comes behind says where it comes from."""
    given = {name: kind for kind, name in GIVEN.findall(head)}
    kinds, made = dict(given), dict.fromkeys(given, 0)
    places: dict[str, str] = {}
    stretches: list[list[str]] = [[]]
    loads = 0
    for line in _in_order(lines):
        if len(stretches[-1]) >= STRETCH and line.startswith("  %") and not _keeps_company(line):
            stretches.append([])
        here = len(stretches) - 1
        again: dict[str, str] = {}
        for name in NAME.findall(line):
            if made.get(name, here) < here and name not in again:
                loads += 1
                place = places.setdefault(name, f"%far.{len(places)}")
                again[name] = f"%far.load.{loads}"
                stretches[-1].append(f"  {again[name]} = load {kinds[name]}, ptr {place}")
        if match := MADE.match(line):
            made[match[1]], kinds[match[1]] = here, match[2]
        stretches[-1].append(_renamed(line, again) if again else line)
    if len(stretches) == 1:
        return [label, *lines]
    found = ["far.entry:", *(f"  {place} = alloca {kinds[name]}" for name, place in places.items())]
    found += ["  %far.never = alloca i1", "  store i1 false, ptr %far.never"]
    found += [f"  store {given[name]} {name}, ptr {places[name]}" for name in given if name in places]
    for number, stretch in enumerate(stretches):
        if number:  # a branch that is never taken, which LLVM cannot know: or this were one block again
            following = label if number == len(stretches) - 1 else f"far.stretch.{number}:"
            found += [
                f"  %far.never.{number} = load volatile i1, ptr %far.never",
                f"  br i1 %far.never.{number}, label %far.end, label %{following[:-1]}",
                following,
            ]
        for line in stretch:
            found.append(line)
            name = line[2:].partition(" = ")[0]
            if name in places:
                found.append(f"  store {kinds[name]} {name}, ptr {places[name]}")
    return [*found, "far.end:", "  unreachable"]


def _renamed(line: str, names: Mapping[str, str]) -> str:
    return NAME.sub(lambda match: names.get(match[0], match[0]), line)


def _keeps_company(line: str) -> bool:
    """Whether an instruction is in one stretch with the one before it."""
    return " = alloca " in line or OF_AN_ANGLE.search(line) is not None


def _in_order(lines: Sequence[str]) -> list[str]:
    """Room on the stack first. Sine and cosine of one angle side by side: LLVM makes one call of both, which it finds
    in one block alone."""
    room: list[str] = []
    others: list[list[str]] = []
    first: dict[str, list[str]] = {}
    for line in lines:
        match = OF_AN_ANGLE.search(line)
        if match and match[1] in first:
            first[match[1]].append(line)
        elif ROOM.match(line):
            room.append(line)
        else:
            others.append([line])
            if match:
                first[match[1]] = others[-1]
    return [line for together in (room, *others) for line in together]
