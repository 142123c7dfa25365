"""Parts of one shape, each added at a place of its own in zeros: what slices that overlap have for a reverse."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

import numpy as np

from tracegrad.ir.trace import Instr
from tracegrad.ir.types import ArrayType, promote
from tracegrad.ops.families import case, cast
from tracegrad.ops.index import getitem, zeros_like
from tracegrad.ops.op import Op, call, literal

FAR = 32  # elements along the last axis: so far apart, parts are added in memory, and several rounds at once


def groups_of(starts: Sequence[Sequence[int]]) -> list[list[int]]:
    """Which parts follow one another where they begin in one row, and not far apart."""
    found: list[list[int]] = []
    for k, start in enumerate(starts):
        before = starts[k - 1]
        if k and start[:-1] == before[:-1] and before[-1] - start[-1] < FAR:
            found[-1].append(k)
        else:
            found.append([k])
    return found


def place_of(start: Sequence[int], shape: Sequence[int]) -> tuple[slice, ...]:
    """The index of a part of this shape that begins at `start`."""
    return tuple(slice(first, first + n) for first, n in zip(start, shape, strict=True))


def _evaluate(*parts: Any, starts: Sequence[Sequence[int]], shape: Sequence[int]) -> Any:
    out = np.zeros(shape, np.result_type(*parts))
    for part, start in zip(parts, starts, strict=True):
        out[place_of(start, part.shape)] += part
    return out


def _emit(inputs: Sequence[ast.expr], instr: Instr) -> ast.expr:
    """A sum of padded parts."""
    shape = instr.params["shape"]
    found: ast.expr | None = None
    for part, atom, start in zip(inputs, instr.inputs, instr.params["starts"], strict=True):
        around = tuple(
            (first, whole - first - n) for first, n, whole in zip(start, atom.shape, shape, strict=True)
        )
        padded = call("np.pad", part, literal(around))
        found = padded if found is None else ast.BinOp(left=found, op=ast.Add(), right=padded)
    assert found is not None
    return found


overlay: Op = Op(
    "overlay",
    _evaluate,
    result_type=lambda *parts, starts, shape: ArrayType(tuple(shape), promote(*(p.dtype for p in parts))),
    vjp=lambda g, z, *parts, starts, shape: tuple(
        cast(getitem(g, index=place_of(start, part.shape)), part.dtype)
        for part, start in zip(parts, starts, strict=True)
    ),
    jvp=lambda tangents, z, *parts, starts, shape: overlay(
        *(zeros_like(part) if dot is None else dot for part, dot in zip(parts, tangents, strict=True)),
        starts=starts,
        shape=shape,
    ),
    emit=_emit,
    native=lambda instr: False,
    sample=(
        case((4,), starts=((1,),), shape=(6,)),
        case((4,), (4,), starts=((1,), (0,)), shape=(5,)),
        case((2, 3), (2, 3), (2, 3), starts=((1, 0), (0, 2), (0, 0)), shape=(3, 5)),
    ),
)
"""The parts, all of one shape, are added one after the other; native text alone has it, as a loop.

It is in memory at most once, and its loop may be the one that makes the parts: `zeros` and an `index_add` for each
part go over memory as often as there are parts.
"""
