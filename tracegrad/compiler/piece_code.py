"""Pieces of a long function as functions of the same LLVM module.

A `Piece` goes in (see `pieces.py`), a function comes out, and a call of it. What one hands on to another stands in the
frame: room on the stack of the function that is cut, whose address each piece is given. A piece reads from it when it
begins, and writes what it binds. Arrays of elements are given beside it, where it is known that nothing else leads to
their memory: so loops can be vectorised as if the function were in one piece. Begin with `PieceCode.piece`.
"""

from __future__ import annotations

import ast
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llvmlite import ir
from numba.core import types

from tracegrad.compiler.arrays import DATA, MEMINFO, SHAPE, STRIDES, WORD, described, itemsize_of, parts_of
from tracegrad.compiler.builder import Builder, Parts, prune
from tracegrad.compiler.lane_code import NUMBER, LaneCode
from tracegrad.compiler.lanes import find_lanes, sharing
from tracegrad.compiler.pieces import Piece, cut
from tracegrad.compiler.values import Module, Variable, done, holds_references

STATUS = ir.IntType(32)
GOES_ON = STATUS(-16)  # what a piece says after which the next statement follows; none of Numba's own
LINE = 8  # words that arrays of elements are aligned to
WRITTEN = ("code", "builder", "variables", "copied", "loops", "leaving", "failing", "failed")


@dataclass(slots=True)
class Slot:
    """Where in the frame something stands: all of it from a place on, or the parts that make up an array; of an array
    on the stack also the address that all pieces are given."""

    type: Any
    kind: Any
    place: int
    counted: bool
    stays: bool
    order: tuple[int, ...] | None
    parts: tuple[tuple[int, ...], ...] = ()
    address: Any = None


@dataclass(slots=True)
class Frame:
    """What the pieces of a function share.

    Attributes
    ----------
    room, size : the address of its memory in the function that is cut, and how many words it has
    builder : what writes that function
    given : the arguments of that function
    slots : what stands where, by name
    words : how many of them a value of a kind takes
    """

    room: Any
    size: Any
    builder: Any
    given: dict[str, Any] = field(default_factory=dict)
    slots: dict[str, Slot] = field(default_factory=dict)
    words: dict[Any, int] = field(default_factory=dict)


class PieceCode(LaneCode):
    """One function on its way, as far as its pieces go."""

    block: Callable[[Sequence[ast.stmt]], None]

    def __init__(self, module: Module, tree: ast.FunctionDef, *others: Any) -> None:
        super().__init__(module, tree, *others)
        self.memory = sharing(tree, tree.name in module.lying_apart)
        self.side_by_side, self.orders = find_lanes(tree, self.outlook, module.any_order, self.memory)
        self.cut = cut(tree, self.side_by_side, self.outlook.seen)
        self.leaving: Any = None
        self.copied: dict[str, Any] = {}
        size = WORD(0)
        room = self.builder.alloca(NUMBER, size=size) if self.cut.shared else None
        if room is not None:
            room.align = 8 * LINE
        self.frame = Frame(room, size, self.builder)

    # --- names ------------------------------------------------------------------------------------------------------

    def _variable(self, name: str, type: Any, stays: bool = False) -> Variable:
        if name in self.variables or name not in self.cut.shared:
            return super()._variable(name, type, stays)
        type = types.unliteral(type)
        if stays:
            count = math.prod(self.outlook.shapes.get(name, ()))
            kind = ir.ArrayType(self.context.get_data_type(type.dtype), count)
        else:
            kind = self.context.get_value_type(type)
        frame = self.frame
        start = frame.size.constant
        if stays:
            start += -start % LINE
        counted = not stays and name in self.outlook.rebound and holds_references(self.context, type)
        slot = Slot(type, kind, start, counted, stays, self.orders.get(name) if stays else None)
        if isinstance(type, types.Array) and not stays and name in self.outlook.settled - self.cut.around:
            slot.parts = parts_of(type, self.outlook.shapes.get(name))
            slot.kind = kind.elements[MEMINFO]
        if stays:
            words = -(-kind.count * itemsize_of(type.dtype) // 8)
        else:
            words = len(slot.parts) or self._words(kind)
        frame.size.constant = start + words
        frame.slots[name] = slot
        if counted:
            with frame.builder.goto_entry_block():
                frame.builder.store(
                    slot.kind(None), self._in_frame(frame.builder, frame.room, slot.place, slot.kind)
                )
        with self.builder.goto_entry_block():
            return self._bring(name, slot, new=True)

    def _words(self, kind: Any) -> int:
        """How many words a value takes: LLVM itself is asked, once of each kind, which takes it a while."""
        found = self.frame.words.get(kind)
        if found is None:
            found = self.frame.words[kind] = -(-self.context.get_abi_sizeof(kind) // 8)
        return found

    def _in_frame(self, builder: Any, room: Any, place: int, kind: Any) -> Any:
        return builder.bitcast(builder.gep(room, [WORD(place)], inbounds=True), kind.as_pointer())

    def _bring(
        self, name: str, slot: Slot, new: bool = False, handed: Any = None, bound: bool = True
    ) -> Variable:
        """A name of the frame, written where the builder stands, in the block that a function begins with; `handed` is
        the address of its elements, and it is `bound` unless it is read only."""
        builder, is_piece = self.builder, self.builder is not self.frame.builder
        counted = slot.counted
        settled = is_piece and not slot.stays and name in self.outlook.settled
        settled = settled and (not counted or isinstance(slot.type, types.Array))
        in_parts = bool(slot.parts) and is_piece and not new
        shape, code, place = self.outlook.shapes.get(name), None, handed
        if not slot.stays or handed is None:
            room = self.code.args[2] if is_piece else self.frame.room
            place = None if in_parts and not bound else self._in_frame(builder, room, slot.place, slot.kind)
        if in_parts:
            code = self._array_of(slot, shape, handed)
        elif settled and not new:
            code = builder.load(place)
            if handed is not None:
                code = builder.insert_value(code, handed, [DATA])
        elif is_piece and not settled and not counted and not slot.stays:
            self.copied[name] = place
            place = builder.alloca(slot.kind)
            builder.store(builder.load(self.copied[name]), place)
        found = Variable(slot.type, place, counted, settled, slot.stays, shape, slot.order, code, True)
        found.parts = slot.parts
        self.variables[name] = found
        return found

    def _array_of(self, slot: Slot, shape: tuple[int, ...] | None, handed: Any) -> Parts:
        """The description of an array whose parts stand in the frame: each is read when it is asked for, where the
        piece begins."""
        builder, room, kind = self.builder, self.code.args[2], self.context.get_value_type(slot.type)
        there: dict[tuple[int, ...], Any] = {} if handed is None else {(DATA,): handed}

        def part(path: tuple[int, ...]) -> Any:
            if path not in there and path in slot.parts:
                field = kind.elements[path[0]]
                field = field.element if len(path) > 1 else field
                with builder.goto_entry_block():
                    place = self._in_frame(builder, room, slot.place + slot.parts.index(path), field)
                    there[path] = builder.load(place)
            return there.get(path)

        def whole() -> Any:
            axes = range(slot.type.ndim)
            sizes = [part((SHAPE, k)) if shape is None else WORD(shape[k]) for k in axes]
            strides = None if axes and slot.type.layout == "C" else [part((STRIDES, k)) for k in axes]
            data, meminfo = part((DATA,)), part((MEMINFO,))
            with builder.goto_entry_block():
                return described(self.context, builder, slot.type, data, sizes, strides, meminfo)

        return Parts(kind, part, whole)

    def drop_all(self) -> None:
        """Give back what the names of this function hold; what stands in the frame is not a piece's."""
        is_piece = self.builder is not self.frame.builder
        for variable in self.variables.values():
            if variable.counted and not (is_piece and variable.shared):
                self._drop(variable)

    # --- pieces -----------------------------------------------------------------------------------------------------

    def piece(self, piece: Piece) -> None:
        """Write the function of a piece, and call it."""
        for statement in piece.body:
            self._make_room(statement)
        seen = [name for name in piece.names if name in self.frame.slots]
        uses = Counter(self.memory.get(name, name) for name in seen)
        handed = {n: p for n in seen if (p := self._address(n, uses)) is not None}
        outer = {name: getattr(self, name) for name in WRITTEN}
        kinds = [self.code.args[0].type, self.code.args[1].type, NUMBER.as_pointer()]
        kind = ir.FunctionType(STATUS, [*kinds, *(p.type for p in handed.values())])
        symbol = self.module.code.get_unique_name(f"{self.code.name}.piece")
        code = self.code = ir.Function(self.module.code, kind, symbol)
        code.linkage = "internal"
        code.attributes.add("noinline")
        for argument in code.args[2:]:
            argument.add_attribute("noalias")
        goes_on = self._of_piece(piece, seen, dict(zip(handed, code.args[3:], strict=True)))
        for name, value in outer.items():
            setattr(self, name, value)
        with self.builder.goto_entry_block():
            for name in piece.names:
                slot = None if name in self.variables else self.frame.slots.get(name)
                if slot is not None and (slot.counted or name in self.cut.around):
                    self._bring(name, slot)
        builder = self.builder
        status = builder.call(code, [*self.code.args[:2], self.frame.room, *handed.values()])
        if goes_on:
            with builder.if_then(builder.icmp_signed("!=", status, GOES_ON), likely=False):
                self._fail(status)
        else:
            self._fail(status)

    def _make_room(self, statement: ast.stmt) -> None:
        """Have room in the frame for an array that a piece makes there, so that it is given its address."""
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as made) if (
                name in self.outlook.stays
            ):
                if name in self.cut.shared and getattr(made.func, "attr", "") != "full":
                    dtype, _ = self._filling(made)
                    kind = types.Array(dtype, len(self.outlook.shapes[name]), "C")
                    self._variable(name, kind, stays=True)

    def _address(self, name: str, uses: Mapping[str, int]) -> Any:
        """Where the elements of an array stand, if a piece reaches them by this name alone; `uses` says how many of its
        names have some memory."""
        slot = self.frame.slots[name]
        if slot.stays:
            if slot.address is None:
                with self.builder.goto_entry_block():
                    slot.address = self._in_frame(self.builder, self.frame.room, slot.place, slot.kind)
            return slot.address
        if not isinstance(slot.type, types.Array) or name in self.outlook.rebound:
            return None
        if uses[self.memory.get(name, name)] > 1:
            return None
        return self.builder.extract_value(self.frame.given[name], DATA)

    def _of_piece(self, piece: Piece, seen: Iterable[str], handed: dict[str, Any]) -> bool:
        """Write the function of a piece; returns whether it has an end after which the next statement follows."""
        builder = self.builder = Builder(self.code.append_basic_block("entry"))
        entry, first = builder.block, self.code.append_basic_block("body")
        self.leaving = self.code.append_basic_block("leaving")
        self.variables, self.copied, self.loops, self.failing, self.failed = {}, {}, [], None, None
        for name in seen:
            self._bring(name, self.frame.slots[name], handed=handed.get(name), bound=piece.names[name])
        builder.position_at_end(first)
        self.block(piece.body)
        goes_on = not builder.block.is_terminated
        if goes_on:
            for name, place in self.copied.items():
                if piece.names[name]:
                    builder.store(builder.load(self.variables[name].place), place)
            self.drop_all()
            builder.ret(GOES_ON)
        builder.position_at_end(self.leaving)
        self.drop_all()
        builder.ret(done(self.returns))
        if self.failing is not None:
            builder.position_at_end(self.failing)
            self.drop_all()
            builder.ret(builder.load(self.failed))
        builder.position_at_end(entry)
        builder.branch(first)
        prune(self.code)
        return goes_on
