"""What the text of a function tells before it is translated: which numbers are never negative, which arrays stay.

A function of native text goes in (its AST), an `Outlook` comes out. Begin with `look_ahead`.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tracegrad.syntax import nodes_of

SMALL = 1 << 11  # bytes of an array that lives on the stack
ALL_SMALL = 1 << 16  # bytes of all of them
FEW = 32  # elements of one that is returned: it costs a copy


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known of the names of a function.

    Attributes
    ----------
    natural : names of integers that are never negative, wherever they are bound
    rebound : names that are bound by a statement
    shapes : names of arrays made by the text alone, always with the same sizes
    stays : the names among these whose arrays are read and written by element only, and then returned, if they are
        small: they may live on the stack
    settled : names of which each read sees one binding, in the same block of statements or around it
    lasting : those that are bound once: what they hold is there as long as what is bound behind them is read
    seen : which names each statement has
    """

    natural: frozenset[str]
    rebound: frozenset[str]
    shapes: dict[str, tuple[int, ...]]
    stays: frozenset[str]
    settled: frozenset[str]
    lasting: frozenset[str]
    seen: Names


class Names:
    """The names in statements; each statement is looked through once, however often it is asked for."""

    def __init__(self) -> None:
        self._read: dict[ast.AST, dict[str, bool]] = {}
        self._bound: dict[ast.AST, list[str]] = {}
        self._within: dict[ast.AST, set[str]] = {}

    def read(self, tree: ast.AST) -> dict[str, bool]:
        """The names that are read in a tree, in their order; none is bound by that."""
        if tree not in self._read:
            self._read[tree] = {
                node.id: False
                for node in nodes_of(tree)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
            }
        return self._read[tree]

    def bound(self, statement: ast.stmt) -> list[str]:
        """The names that a statement itself binds, not one inside of it."""
        if statement not in self._bound:
            self._bound[statement] = [name for name, _ in _bindings(statement)]
        return self._bound[statement]

    def within(self, statement: ast.stmt) -> set[str]:
        """All names that a statement binds, or one inside of it."""
        if statement not in self._within:
            found = set(self.bound(statement))
            if isinstance(statement, ast.For | ast.While | ast.If):
                found.update(*map(self.within, statement.body), *map(self.within, statement.orelse))
            self._within[statement] = found
        return self._within[statement]

    def all(self, statement: ast.stmt) -> dict[str, bool]:
        """The names in a statement and in those inside of it, in their order, and which of them are bound."""
        match statement:
            case ast.For(iter=first) | ast.While(test=first) | ast.If(test=first):
                found = dict(self.read(first))
                for inner in (*statement.body, *statement.orelse):
                    bind(found, self.all(inner))
            case ast.AugAssign(target=ast.Name(), value=value):
                found = dict(self.read(value))
            case _:
                found = dict(self.read(statement))
        return found | dict.fromkeys(self.bound(statement), True)


def bind(found: dict[str, bool], more: dict[str, bool]) -> None:
    """Add names to those that were found before."""
    for name, binds in more.items():
        if binds or name not in found:
            found[name] = binds


def look_ahead(function: ast.FunctionDef) -> Outlook:
    """Read a function once."""
    given = {a.arg for a in function.args.args}
    bound: dict[str, list[ast.expr | ast.For | None]] = {}
    reads: dict[str, int] = {}
    inside: dict[str, int] = {}
    depth: dict[str, set[int]] = {}
    returned: dict[str, int] = {}
    # Arrays whose elements are read: one that is only written and returned needs no other place.
    used: set[str] = set()
    for node in nodes_of(function):
        for name, value in _bindings(node):
            bound.setdefault(name, []).append(value)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            reads[node.id] = reads.get(node.id, 0) + 1
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
            for item in node.value.elts:
                if isinstance(item, ast.Name):
                    returned[item.id] = returned.get(item.id, 0) + 1
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Subscript):
            used.update(name.id for name in [node.target.value] if isinstance(name, ast.Name))
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            indices = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            if not any(isinstance(i, ast.Slice | ast.Constant) and not _is_int(i) for i in indices):
                inside[node.value.id] = inside.get(node.value.id, 0) + 1
                depth.setdefault(node.value.id, set()).add(len(indices))
                if isinstance(node.ctx, ast.Load):
                    used.add(node.value.id)
    shapes = {}
    for name, values in bound.items():
        made = [made_shape(v) if isinstance(v, ast.Call) else None for v in values]
        if made[0] is not None and name not in given and len(set(map(str, made))) == 1:
            shapes[name] = made[0]
    stays, room = set(), 0
    for name, shape in shapes.items():
        size = 8 * math.prod(shape)
        if not 0 < size <= SMALL or room + size > ALL_SMALL or not shape:
            continue
        leaves = returned.get(name, 0) if name in used and math.prod(shape) <= FEW else 0
        if reads.get(name, 0) == inside.get(name, 0) + leaves and depth.get(name, {len(shape)}) == {
            len(shape)
        }:
            stays.add(name)
            room += size
    names = given | set(bound)
    seen = Names()
    settled = names - unsettled(function.body, seen, names, given)
    lasting = {name for name in settled if len(bound.get(name, ())) + (name in given) == 1}
    natural = _natural(bound, given)
    return Outlook(
        natural, frozenset(bound), shapes, frozenset(stays), frozenset(settled), frozenset(lasting), seen
    )


def unsettled(
    statements: Sequence[ast.stmt], of: Names, names: Collection[str], given: Collection[str]
) -> set[str]:
    """Names with a read that may see several bindings: after a loop or an arm that binds them, or one round later;
    or that sees none of these statements and is not given."""
    found: set[str] = set()

    def read(tree: ast.AST, seen: set[str]) -> None:
        found.update([name for name in of.read(tree) if name in names and name not in seen])

    def block(statements: Sequence[ast.stmt], seen: set[str]) -> None:
        for statement in statements:
            match statement:
                case ast.For(iter=limits, body=body, orelse=others):
                    read(limits, seen)
                    seen -= of.within(statement)
                    seen.update(of.bound(statement))
                    block([*body, *others], seen)
                    seen -= of.within(statement)
                case ast.While(test=test, body=body, orelse=others):
                    seen -= of.within(statement)
                    read(test, seen)
                    block([*body, *others], seen)
                    seen -= of.within(statement)
                case ast.If(test=test, body=body, orelse=others):
                    read(test, seen)
                    block(body, seen)
                    for inside in body:  # the other arm is translated after this one
                        seen -= of.within(inside)
                    block(others, seen)
                    seen -= of.within(statement)
                case ast.AugAssign(target=ast.Name(id=name), value=value):
                    read(value, seen)
                    if name in names and name not in seen:
                        found.add(name)
                    seen.add(name)
                case _:
                    read(statement, seen)
                    seen |= of.within(statement)

    block(statements, set(given))
    return found


def _bindings(node: ast.AST) -> Iterator[tuple[str, ast.expr | ast.For | None]]:
    """The names that a statement binds, with what they are bound to, if that is said."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Name):
                yield target.id, node.value
            elif isinstance(target, ast.Tuple):
                values: list[ast.expr | None] = [None] * len(target.elts)
                if isinstance(node.value, ast.Tuple) and len(node.value.elts) == len(target.elts):
                    values = list(node.value.elts)
                for item, value in zip(target.elts, values, strict=True):
                    if isinstance(item, ast.Name):
                        yield item.id, value
    elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        yield node.target.id, ast.BinOp(ast.Name(node.target.id, ast.Load()), node.op, node.value)
    elif isinstance(node, ast.For) and isinstance(node.target, ast.Name):
        yield node.target.id, node


def _is_int(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int)


def made_shape(node: ast.expr) -> tuple[int, ...] | None:
    """The sizes in `np.empty((2, 3))`, `np.zeros(4)`, `np.full(4, x)`, where they are written out."""
    match node:
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="np"), attr="empty" | "zeros" | "full"),
            args=[size, *_],
            keywords=[],
        ):
            items = size.elts if isinstance(size, ast.Tuple) else [size]
            if all(isinstance(i, ast.Constant) and type(i.value) is int and i.value >= 0 for i in items):
                return tuple(int(ast.literal_eval(i)) for i in items)
    return None


def filled(made: ast.Call) -> bool:
    """Whether a new array has something in it."""
    return isinstance(made.func, ast.Attribute) and made.func.attr != "empty"


def _natural(bound: dict[str, list[ast.expr | ast.For | None]], given: set[str]) -> frozenset[str]:
    """Names of which no binding can make a negative integer: the largest set for which that is consistent."""
    found = set(bound) - given
    readers: dict[str, set[str]] = {}
    for name, values in bound.items():
        for value in values:
            source = value.iter if isinstance(value, ast.For) else value
            for node in nodes_of(source) if source is not None else ():
                if isinstance(node, ast.Name):
                    readers.setdefault(node.id, set()).add(name)
    open_ = list(found)
    while open_:  # whoever reads a name that is none is asked again
        name = open_.pop()
        if name in found and not all(_is_natural(value, found) for value in bound[name]):
            found.remove(name)
            open_.extend(readers.get(name, ()))
    return frozenset(found)


def _is_natural(value: ast.expr | ast.For | None, natural: set[str]) -> bool:
    match value:
        case ast.For(iter=ast.Call(func=ast.Name(id="range"), args=args)):
            if len(args) < 3:
                return len(args) == 1 or is_natural(args[0], natural)
            step = integer(args[2])
            if step is None or step == 0:
                return False
            if step > 0:
                return is_natural(args[0], natural)
            stop = integer(args[1])
            return (stop is not None and stop >= -1) or is_natural(args[1], natural)
        case ast.expr():
            return is_natural(value, natural)
    return False


def is_natural(node: ast.expr, natural: frozenset[str] | set[str]) -> bool:
    """Whether an expression, if it is an integer, is never negative."""
    match node:
        case ast.Constant(value=value):
            return type(value) is int and value >= 0
        case ast.Name(id=name):
            return name in natural
        case ast.BinOp(op=ast.Add() | ast.Mult() | ast.FloorDiv() | ast.Mod(), left=left, right=right):
            return is_natural(left, natural) and is_natural(right, natural)
        case ast.Attribute(attr="size"):
            return True
        case ast.Subscript(value=ast.Attribute(attr="shape")):
            return True
        case ast.Call(func=ast.Name(id="min"), args=args):
            return all(is_natural(a, natural) for a in args)
        case ast.Call(func=ast.Name(id="max"), args=args):
            return any(is_natural(a, natural) for a in args)
    return False


def integer(node: ast.expr) -> int | None:
    """The number that stands in the text."""
    match node:
        case ast.Constant(value=value) if type(value) is int:
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=value)) if type(value) is int:
            return -value
    return None


def dtype_of(value: object) -> np.dtype[np.generic] | None:
    """The dtype that an object of the text names."""
    if isinstance(value, type) and issubclass(value, np.generic):
        return np.dtype(value)
    return value if isinstance(value, np.dtype) else None
