"""Parts that are added to zeros at places that overlap, as statements of the loop over one part.

A step and its element come in; out come the statements of one round, and what stands before and after the rounds along
the last axis. In a round there is one element of each part, and each goes to another element of the sum; what goes to
the next elements along the last axis is handed on as numbers, so that each element is stored once and nothing is read
that was just written. Elements and rows further on are added to in memory. The sums are in the order of
`passes/overlays.py`. What lies in windows is added in memory, too, an item a round. Begin with `overlay_lines`.

    x_bar[i] = x_bar_next + a
    x_bar_next = b
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from tracegrad.emit.loops import assign, moved, plus
from tracegrad.ir.trace import Instr
from tracegrad.ops.op import literal, named
from tracegrad.ops.overlay import groups_of
from tracegrad.ops.windows import ranges

Place = Callable[[Sequence[ast.expr]], ast.Subscript]
"""From an index to that element of the sum, to be stored."""


@dataclass
class Statements:
    """What stands before all rounds along the last axis, in each of them, and after them."""

    before: list[ast.stmt] = field(default_factory=list)
    inside: list[ast.stmt] = field(default_factory=list)
    after: list[ast.stmt] = field(default_factory=list)


def is_overlay(instr: Instr) -> bool:
    """Whether parts, or the items of windows, are added to zeros."""
    return instr.op.name == "overlay" or adds_windows(instr)


def adds_windows(instr: Instr) -> bool:
    """Whether the items of windows are added to zeros, one at a time."""
    return instr.op.name == "add_windows"


def place_of_item(instr: Instr, index: Sequence[ast.expr], shape: Sequence[int]) -> list[ast.expr]:
    """Where in an array of this shape the item of a window lies."""
    params = instr.params
    along = ranges(shape, params["lengths"], params["axes"], params.get("places", ()))
    found = [moved(place, r.start, r.step) for place, r in zip(index, along, strict=False)]
    for axis, k in zip(params["axes"], index[len(shape) :], strict=True):
        match found[axis], k:
            case (ast.Constant(value=int(known)), other) | (other, ast.Constant(value=int(known))):
                found[axis] = moved(other, known)
            case first, by:
                found[axis] = plus(first, by)
    return found


def part_shape(instr: Instr) -> tuple[int, ...]:
    """The shape that the loop of an overlay runs over."""
    return tuple(instr.inputs[0].shape)


def fills_all(instr: Instr) -> bool:
    """Whether every element is set before it is added to: then the memory need not hold zeros."""
    if adds_windows(instr):
        return False
    shape, whole, starts = part_shape(instr), instr.params["shape"], instr.params["starts"]
    first, last = starts[-1], starts[0]
    rows = shape[:-1] == whole[:-1] and not any(first[:-1]) and not any(last[:-1])
    return rows and len(groups_of(starts)) == 1 and first[-1] == 0 and last[-1] + shape[-1] == whole[-1]


def made_in_rows(instr: Instr) -> int:
    """How many leading axes a round over them is through with an index of: nothing else adds there."""
    if adds_windows(instr):
        return min(instr.params["axes"], default=0)
    shape, whole, starts = part_shape(instr), instr.params["shape"], instr.params["starts"]
    axes = range(len(shape) - 1)
    return next((k for k in axes if shape[k] != whole[k] or any(start[k] for start in starts)), len(axes))


def overlay_lines(
    instr: Instr,
    index: Sequence[ast.expr],
    elements: Sequence[ast.expr],
    place: Place,
    zero: ast.expr,
    nothing: ast.expr,
    names: Iterator[str],
) -> Statements:
    """The statements of an overlay.

    Parameters
    ----------
    index : of the element of each part that a round is about
    elements : one of each part
    place : see `Place`
    zero, nothing : of the dtype; what an element is before anything is added, and what changes nothing when it is
    names : of numbers that are handed on
    """
    lines = Statements()
    if adds_windows(instr):
        (item,) = elements
        there = place(place_of_item(instr, index, instr.outputs[0].shape))
        lines.inside.append(_added(there, [item], True))
        return lines
    shape, starts = part_shape(instr), instr.params["starts"]
    for number, members in enumerate(groups_of(starts)):
        row = starts[members[0]][:-1]
        parts = [(starts[k][-1], elements[k]) for k in members]
        lead = [moved(i, first) for i, first in zip(index[:-1], row, strict=True)]
        near, far = parts[-1][0], parts[0][0]
        chains = [list(islice(names, column - near)) for column, _ in parts]
        for (column, _), chain in zip(parts, chains, strict=True):
            sets = not number and column == far
            lines.before.extend(assign(name, zero if sets else nothing) for name in chain)
        sums = [(near + shape[-1] + k, _handed_to(k, chains)) for k in range(far - near)]
        terms = [
            named(chain[-1]) if chain else element for chain, (_, element) in zip(chains, parts, strict=True)
        ]
        lines.inside.append(_added(place([*lead, moved(index[-1], near)]), terms, bool(number)))
        for chain, (_, element) in zip(chains, parts, strict=True):
            steps = [element, *map(named, chain)]
            lines.inside.extend(assign(name, steps[k]) for k, name in reversed([*enumerate(chain)]))
        lines.after.extend(_added(place([*lead, literal(last)]), found, bool(number)) for last, found in sums)
    return lines


def _handed_to(k: int, chains: Sequence[Sequence[str]]) -> list[ast.expr]:
    """What is left for the element that is the k-th beyond the last round's."""
    return [named(chain[len(chain) - 1 - k]) for chain in chains if len(chain) > k]


def _added(target: ast.Subscript, terms: Sequence[ast.expr], there: bool) -> ast.stmt:
    """The terms one after the other, added to what is there or set."""
    if there and len(terms) == 1:
        return ast.AugAssign(target=target, op=ast.Add(), value=terms[0])
    found = _read(target) if there else terms[0]
    for term in terms if there else terms[1:]:
        found = plus(found, term)
    return ast.Assign(targets=[target], value=found)


def _read(place: ast.Subscript) -> ast.expr:
    return ast.Subscript(value=place.value, slice=place.slice, ctx=ast.Load())
