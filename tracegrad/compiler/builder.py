"""What writes LLVM instructions, and writes none where the result is there already.

Operands go in, values come out: arithmetic of whole numbers that are known, and parts of a structure that was put
together here, need no instruction. Every instruction that is not written is one that need not be printed, read again
and taken out by LLVM, which take most of the time of a compile. Begin with `Builder`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from llvmlite import ir

WORD = ir.IntType(64)
BIT = ir.IntType(1)
COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


class Seen(ir.CastInstr):
    """A pointer under another type. To LLVM one pointer is like another, so this is no instruction: it stands in no
    block, has no name, and is referred to as what it is of."""

    def __init__(self, value: Any, type: Any) -> None:
        self.type, self.operands = type, [value]

    def _get_reference(self) -> str:
        found: str = self.operands[0].get_reference()
        return found


class Parts(ir.Value):
    """A structure of which single parts are read when they are asked for. The whole is put together when an
    instruction takes it, which `prune` notices.

    Parameters
    ----------
    type : LLVM's type
    part : gives the part at a path, or None where that is none of the single ones
    whole : writes the structure, where all that may take it see it
    """

    def __init__(self, type: Any, part: Callable[[tuple[int, ...]], Any], whole: Callable[[], Any]) -> None:
        self.type, self.part, self._write = type, part, whole

    @cached_property
    def whole(self) -> Any:
        return self._write()

    @property
    def operands(self) -> list[Any]:
        return [self.whole]

    def get_reference(self) -> str:
        found: str = self.whole.get_reference()
        return found


class Builder(ir.IRBuilder):
    """LLVM's own, that knows some results; what was computed in a block is not computed in it again."""

    def __init__(self, block: Any) -> None:
        super().__init__(block)
        self._there: dict[Any, Any] = {}

    def _once(self, key: tuple[Any, ...], write: Callable[[], Any]) -> Any:
        """What the block has, or what is written now; nothing in it depends on memory."""
        key = (self.block, *key)
        found = self._there.get(key)
        if found is None:
            found = self._there[key] = write()
        return found

    def add(self, x: Any, y: Any, name: str = "", flags: Sequence[str] = ()) -> Any:
        a, b = whole(x), whole(y)
        if a == 0:
            return y
        if b == 0:
            return x
        found = None if a is None or b is None else _fitting(x.type, a + b)
        return found or self._once(
            ("+", _key(x), _key(y), *flags), lambda: super(Builder, self).add(x, y, name, flags)
        )

    def sub(self, x: Any, y: Any, name: str = "", flags: Sequence[str] = ()) -> Any:
        a, b = whole(x), whole(y)
        if b == 0:
            return x
        found = None if a is None or b is None else _fitting(x.type, a - b)
        return found or self._once(
            ("-", _key(x), _key(y), *flags), lambda: super(Builder, self).sub(x, y, name, flags)
        )

    def mul(self, x: Any, y: Any, name: str = "", flags: Sequence[str] = ()) -> Any:
        a, b = whole(x), whole(y)
        if a == 1 or b == 0:
            return y
        if b == 1 or a == 0:
            return x
        found = None if a is None or b is None else _fitting(x.type, a * b)
        return found or self._once(
            ("*", _key(x), _key(y), *flags), lambda: super(Builder, self).mul(x, y, name, flags)
        )

    def icmp_signed(self, cmpop: str, lhs: Any, rhs: Any, name: str = "") -> Any:
        a, b = whole(lhs), whole(rhs)
        if a is None or b is None:
            return super().icmp_signed(cmpop, lhs, rhs, name)
        return BIT(COMPARISONS[cmpop](a, b))

    def select(self, cond: Any, lhs: Any, rhs: Any, name: str = "", flags: Sequence[str] = ()) -> Any:
        chosen = whole(cond)
        if chosen is None:
            return super().select(cond, lhs, rhs, name, flags)
        return lhs if chosen else rhs

    def gep(
        self, ptr: Any, indices: Sequence[Any], inbounds: bool = False, *args: Any, **options: Any
    ) -> Any:
        if len(indices) == 1 and whole(indices[0]) == 0:
            return ptr
        key = ("[]", ptr, inbounds, *map(_key, indices))
        return self._once(key, lambda: super(Builder, self).gep(ptr, indices, inbounds, *args, **options))

    def bitcast(self, value: Any, typ: Any, name: str = "") -> Any:
        if value.type == typ:
            return value
        if value.type.is_pointer and typ.is_pointer:
            return Seen(value, typ)
        return self._once(("bits", value, str(typ)), lambda: super(Builder, self).bitcast(value, typ, name))

    def extract_value(self, agg: Any, idx: Any, name: str = "") -> Any:
        path = list(idx) if isinstance(idx, tuple | list) else [idx]
        while isinstance(agg, ir.InsertValue | Parts):
            if isinstance(agg, Parts):
                part = agg.part(tuple(path))
                if part is not None:
                    return part
                agg = agg.whole
                continue
            there = list(agg.indices)
            if there == path[: len(there)]:
                agg, path = agg.value, path[len(there) :]
                if not path:
                    return agg
            elif path == there[: len(path)]:
                break  # of what is asked for, a part was put in
            else:
                agg = agg.aggregate
        return self._once(("part", agg, *path), lambda: super(Builder, self).extract_value(agg, path, name))

    @contextmanager
    def counted(self, rounds: int) -> Iterator[Any]:
        """A loop of so many rounds, at least one; gives the counter."""
        if rounds == 1:
            yield WORD(0)
            return
        before = self.block
        body, end = (self.function.append_basic_block(n) for n in ("round", "rounds"))
        self.branch(body)
        self.position_at_end(body)
        counter = self.phi(WORD)
        counter.add_incoming(WORD(0), before)
        yield counter
        following = self.add(counter, WORD(1), flags=("nsw",))
        counter.add_incoming(following, self.block)
        self.cbranch(self.icmp_signed("<", following, WORD(rounds)), body, end)
        self.position_at_end(end)


PURE = (ir.InsertValue, ir.ExtractValue, ir.LoadInstr, ir.GEPInstr, ir.CastInstr, Seen, Parts, ir.Instruction)
"""What only makes a value; arithmetic is the last."""


def prune(function: Any) -> None:
    """Leave out what nobody reads: an array was described as a whole, and only its parts were used."""
    open_: list[Any] = []
    for block in function.blocks:
        for step in block.instructions:
            if type(step) not in PURE:
                open_ += step.operands
                if type(step) is ir.PhiInstr:
                    open_ += [value for value, _ in step.incomings]
    read = set()
    while open_:
        value = open_.pop()
        if type(value) in PURE and id(value) not in read:
            read.add(id(value))
            open_ += value.operands
    for block in function.blocks:
        block.instructions[:] = [
            step for step in block.instructions if type(step) not in PURE or id(step) in read
        ]


def _key(value: Any) -> Any:
    """What a value is known by: two constants of one number are one."""
    number = whole(value)
    return value if number is None else number


def whole(value: Any) -> int | None:
    """The whole number, with its sign, that a value is known to be."""
    if type(value) is not ir.Constant or not isinstance(value.type, ir.IntType):
        return None
    number, width = value.constant, value.type.width
    if not isinstance(number, int):
        return None
    return number - (1 << width) if width > 1 and number >= 1 << (width - 1) else int(number)


def _fitting(kind: Any, number: int) -> Any:
    """A constant, if the number is one of this kind."""
    limit = 1 << (kind.width - 1)
    return kind(number) if kind.width > 1 and -limit <= number < limit else None
