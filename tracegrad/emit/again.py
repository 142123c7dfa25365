"""Large arrays that are cheaper made again where they are read than kept until then.

Blocks with fused and nested loops go in. Where a few quick operations make an array of what is there anyway (inputs
of the function, what lives as long, rows and numbers), each later loop that reads it makes its elements for itself;
so the array needs no memory, and its elements stay in registers. Several arrays that one more array would do for are
made of that one. Beside a product of matrices more operations take no time: an array that would have to live while
one is computed is made again after it, also if another product before needs it whole. Results keep their digits: a
product is not made again inside of a sum where something is compared, as a machine may round both at once. The bodies
of loops are blocks of their own, where only arrays that leave the nearer caches are made again. Begin with
`make_again`.

Briggs, Cooper and Torczon, "Rematerialization", PLDI 1992, with loops over elements for instructions.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace

from tracegrad.ad.work import bytes_of
from tracegrad.emit.blocks import (
    Block,
    Compute,
    Fused,
    Item,
    Nest,
    Node,
    Operand,
    Repeat,
    Value,
    Write,
    steps_of,
)
from tracegrad.emit.elements import is_blas_product, is_view, scalar_step, vector_function
from tracegrad.emit.expressions import Expressions
from tracegrad.emit.fusion import loop_shape, place_made, places_read, reading_statements
from tracegrad.emit.lifetimes import leaves
from tracegrad.emit.order import COMPARISONS, compares_arrays
from tracegrad.emit.sizes import is_large
from tracegrad.ir.trace import Const
from tracegrad.ops.index import item_shape

MOST = 4  # quick operations, or one division: about what it takes to keep an element and to read it
MOST_IN_LOOP = 6  # of them, in the body of a loop, whose arrays are FAR_OFF
ACROSS = 32  # of them, where an array would be kept while a product is computed, of an inner axis as long as
LONG = 64  # or longer; and where the array is of
FAR_OFF = 1 << 20  # bytes or more, and has left the nearer caches when it is read again
_SLOW, _FUNCTION = 5, 8  # operations that a root or a power takes, and a function computed in vectors
_ONE = (
    "add",
    "subtract",
    "multiply",
    "negative",
    "absolute",
    "where",
    "maximum",
    "minimum",
    "astype",
    "square",
    "inside",
)
_FAR = ACROSS + 1


def make_again(block: Block, expressions: Expressions, loop: Repeat | None = None) -> None:
    """Decide for the large arrays of a function's outermost block, or the body of a loop, the last one first."""
    for node in block.nodes:
        if isinstance(node, Repeat):
            make_again(node.body, expressions, node)
    again = _Again(block, expressions, loop)
    again.keep_one_for_several()
    again.take_all()
    block.nodes = [n for k, node in enumerate(again.nodes) for n in (*again.nested.get(k, ()), node) if n]


class _Again:
    """One block, and where in it each statement stands."""

    def __init__(self, block: Block, expressions: Expressions, loop: Repeat | None) -> None:
        self.block = block
        self.made = {value for node in block.nodes for value in _made(node)}.union(
            loop.carried if loop else ()
        )
        self.least, self.most = (FAR_OFF, MOST_IN_LOOP) if loop else (0, MOST)
        self.nodes: list[Node | None] = list(block.nodes)
        self.nested: dict[int, list[Node]] = {}  # what is nested in the copies, before the loop these are in
        self.expressions = expressions
        self.places = {step: k for k, node in enumerate(block.nodes) for step in steps_of(node)}
        self.compares = any(map(compares_arrays, self.places))
        self.products = [k for k, node in enumerate(block.nodes) if _multiplied(node) >= LONG]

    def may_be_made_again(self, node: Compute) -> bool:
        """Whether it makes a large array of the elements of others."""
        value = node.outputs[0]
        elements = node.loop and value.expression is None and scalar_step(node.instr) is not None
        return elements and is_large(value.type) and bytes_of(value.type) >= self.least

    def take_all(self) -> None:
        """Make again what needs no memory then, the last array first."""
        for step in [step for node in reversed(self.nodes) for step in reversed(_steps(node))]:
            if step in self.places and isinstance(step, Compute) and self.may_be_made_again(step):
                self.take(step)

    def take(self, node: Compute, kept: Value | None = None) -> None:
        """Make an array again in all loops that read it but its own, if it needs no memory but that of one to keep."""
        loops = self._loops_for(node, kept)
        if loops is None:
            return
        own = self.places[node]
        readers = len(dict.fromkeys(reading_statements(node.outputs[0])))
        for at, inside in loops.items():
            for same in _by_loops(self.nodes[at], inside):
                self._copy(node, same)
        if readers == sum(map(len, loops.values())):  # nobody else, or nobody any more
            self.nodes[own] = _without(self.nodes[own], node)
            del self.places[node]
            _forget_inputs(node)

    def keep_one_for_several(self) -> None:
        """Keep an array where more arrays need no memory then than it needs itself."""
        groups: dict[Value, list[Compute]] = {}
        for step, own in self.places.items():
            if not isinstance(step, Compute) or not self.may_be_made_again(step):
                continue
            if all(self.places.get(reader) == own for reader in reading_statements(step.outputs[0])):
                continue
            for kept in self._made_of(step):
                groups.setdefault(kept, []).append(step)
        for kept, steps in groups.items():
            group = [step for step in steps if step in self.places and self._loops_for(step, kept)]
            own = self.places.get(kept.maker, -1) if kept.maker is not None else -1
            is_kept = any(self.places.get(reader, own) != own for reader in reading_statements(kept))
            if len(group) > (not is_kept):
                for step in group:
                    self.take(step, kept)

    def _made_of(self, node: Compute) -> Iterable[Value]:
        """The arrays as large as its result that a step, and the few quick ones before it, read."""
        waiting: list[Operand] = [*node.inputs]
        seen: set[Operand] = set()
        while waiting and len(seen) < 4 * MOST:
            operand = waiting.pop(0)
            if isinstance(operand, Const) or operand in seen or not isinstance(operand.maker, Compute):
                continue
            seen.add(operand)
            is_written = any(isinstance(r, Write) and r.source is operand for r in operand.readers)
            if operand.expression is None and operand.type == node.outputs[0].type and not is_written:
                yield operand
            if self._work_of(operand.maker) <= MOST:
                waiting.extend(operand.maker.inputs)

    def _loops_for(self, node: Compute, kept: Value | None) -> dict[int, list[Compute | Write]] | None:
        """Where an array would be made again, and for what; None where that would take memory or time."""
        own = ends = self.places[node]
        loops: dict[int, list[Compute | Write]] = {}
        for reader in dict.fromkeys(reading_statements(node.outputs[0])):
            if self.places.get(reader) == own:
                continue
            if isinstance(reader, Compute) and self.places.get(reader) in self.products:
                ends = max(ends, self.places[reader])
                continue
            if not isinstance(reader, (Compute, Write)) or not self._reads_each(reader, node):
                return None
            loops.setdefault(self.places[reader], []).append(reader)
        if ends > own:
            size = node.outputs[0].type.size
            if kept is not None or any(self._made_between(ends, at) < size for at in loops if at > ends):
                return None
            loops = {at: inside for at, inside in loops.items() if at > ends}
        for at, inside in loops.items():
            written = [step.source for step in inside if isinstance(step, Write)]
            most = self.most if kept is not None or not self._takes_long(node, own, at) else ACROSS
            if self._work(node, at, kept, written, most) > most:
                return None
        return loops

    def _product_between(self, first: int, last: int) -> Compute | None:
        """The next product after a place, if it comes before another."""
        after = bisect_right(self.products, first)
        if after == len(self.products) or self.products[after] >= last:
            return None
        product = self.nodes[self.products[after]]
        assert isinstance(product, Compute)
        return product

    def _made_between(self, first: int, last: int) -> int:
        """How many numbers a product makes there, which could stand where an array ends."""
        product = self._product_between(first, last)
        return 0 if product is None else product.outputs[0].type.size

    def _takes_long(self, node: Compute, first: int, last: int) -> bool:
        """Whether a product there takes long beside making an array again."""
        product, type = self._product_between(first, last), node.outputs[0].type
        if product is None or bytes_of(type) < FAR_OFF:
            return False
        return product.outputs[0].type.size * _multiplied(product) >= LONG * type.size

    def _reads_each(self, reader: Compute | Write, node: Compute) -> bool:
        """Whether a loop of the same shape, in this block, reads each element of an array where it runs over it, or at
        its mirror image, if the array is made of one large array: reading across memory takes long."""
        if reader not in self.places or not reader.loop:
            return False
        value, place = node.outputs[0], place_made(node)
        shape = item_shape(reader.instr) if isinstance(reader, Write) else loop_shape(reader)
        if shape != loop_shape(node):
            return False
        if not _reads_own(reader, node):
            reads = [read for found, read in places_read(reader) if found is value]
            mirrored = place is not None and all(r is not None and sorted(r) == sorted(place) for r in reads)
            large = {x for operand in node.inputs for x in leaves(operand) if is_large(x.type)}
            if not mirrored or len(large) != 1:
                return False
        return _is_plain(_operands(reader), value)

    def _work(self, node: Compute, at: int, kept: Value | None, written: Sequence[Operand], most: int) -> int:
        """How many operations make an element of an array again at a place of the block; many where that cannot be.

        What is written in at that place would have to be copied before it is read there.
        """
        found = 0
        waiting: list[Operand] = [node.outputs[0]]
        while waiting and found <= most:
            operand = waiting.pop()
            if not operand.type.shape or isinstance(operand, Const):
                continue
            maker = operand.maker
            if isinstance(maker, Item):  # the stack is there until the loop ends
                continue
            if operand is not node.outputs[0] and operand.expression is None:
                if any(operand is array for array in written):
                    return _FAR
                if operand is kept or self._is_there(operand, node, at):
                    continue
                if not isinstance(maker, Compute) or not self.may_be_made_again(maker):
                    return _FAR
            if not isinstance(maker, Compute):
                return _FAR
            found += self._work_of(maker)
            waiting.extend(maker.inputs)
        return found

    def _work_of(self, node: Compute) -> int:
        """Operations of one step; many where they are slow, or may be rounded in another way the next time."""
        name, symbol = node.instr.op.name, node.instr.op.symbol
        if is_view(node.instr):
            return 0
        if scalar_step(node.instr) is None:
            return _FAR
        if name in ("add", "subtract") and self.compares and any(map(_is_product, node.inputs)):
            return _FAR
        if name in ("sqrt", "power"):
            return _SLOW
        if vector_function(node.instr) is not None:
            return _FUNCTION
        return 1 if name in _ONE or symbol in COMPARISONS else MOST if name == "divide" else _FAR

    def _is_there(self, value: Value, node: Compute, at: int) -> bool:
        """Whether a value needs no more memory if it is read at a place of the block."""
        if value not in self.made or 8 * value.type.size <= node.outputs[0].type.size:
            return True
        return any(self.places.get(reader, -1) >= at for reader in reading_statements(value))

    # --- the change ---------------------------------------------------------------------------------------------------

    def _copy(self, node: Compute, readers: Sequence[Compute | Write]) -> None:
        """Make an array again in a loop, before the first of its steps that read it; in a write, or where its mirror
        image is read, there."""
        at = self.places[readers[0]]
        value = node.outputs[0]
        made, copied = self._twin(node, node.inputs)
        is_nested = isinstance(readers[0], Write) or not all(_reads_own(reader, node) for reader in readers)
        if is_nested:
            copied.expression = self.expressions.of(made)
            self.nested.setdefault(at, []).append(made)
        for reader in readers:
            _read_by(reader, [self._instead(x, value, copied, at) for x in _operands(reader)])
        if not is_nested:
            first = next(step for step in _steps(self.nodes[at]) if step in readers)
            self.nodes[at] = _with(self.nodes[at], made, first)
            self.places[made] = at

    def _twin(self, node: Compute, inputs: Sequence[Operand]) -> tuple[Compute, Value]:
        """The same step once more, of other inputs."""
        old = node.outputs[0]
        value = Value(old.type, old.hint, block=self.block, depth=old.depth)
        value.maker = made = replace(node, inputs=tuple(inputs), outputs=(value,))
        for operand in inputs:
            if isinstance(operand, Value):
                operand.readers.append(made)
        return made, value

    def _instead(self, operand: Operand, old: Value, new: Value, at: int) -> Operand:
        """The operand with another value in the place of one, also in what is nested in it."""
        if operand is old:
            return new
        if isinstance(operand, Const) or operand.expression is None or old not in leaves(operand):
            return operand
        maker = operand.maker
        assert isinstance(maker, Compute)
        made, value = self._twin(maker, [self._instead(x, old, new, at) for x in maker.inputs])
        value.expression = self.expressions.of(made)
        self.nested.setdefault(at, []).append(made)
        return value


def _made(node: Node) -> Iterable[Value]:
    """What has memory of its own from a node on, and not longer than it is read in this block."""
    if isinstance(node, Repeat):
        yield from node.stacks
    if not isinstance(node, Item):
        yield from (value for step in steps_of(node) for value in step.makes)


def _multiplied(node: Node) -> int:
    """How many numbers make one of a large product of matrices; 0 for other nodes."""
    if not isinstance(node, Compute) or not is_blas_product(node.instr) or not is_large(node.outputs[0].type):
        return 0
    made, read = node.outputs[0].type, node.inputs[0].type
    return read.shape[-1] if len(made.shape) == 2 == len(read.shape) else 0


# --- what stands where ------------------------------------------------------------------------------------------------


def _steps(node: Node | None) -> Sequence[Node]:
    return () if node is None else steps_of(node)


def _by_loops(node: Node | None, steps: Sequence[Compute | Write]) -> Iterable[Sequence[Compute | Write]]:
    """Steps by the innermost loops that they stand in."""
    if isinstance(node, Nest):
        for part in node.parts:
            yield from _by_loops(part, [step for step in steps if step in _steps(part)])
    elif steps:
        yield steps


def _with(node: Node | None, made: Node, first: Node) -> Node:
    """A loop with one more step, before another one."""
    if not isinstance(node, Fused):
        assert node is first
        return Fused(None, [made, first])
    node.nodes.insert(node.nodes.index(first), made)
    if isinstance(node, Nest):
        node.parts[:] = [_with(p, made, first) if first in _steps(p) else p for p in node.parts]
    return node


def _without(node: Node | None, step: Node) -> Node | None:
    """A loop without a step; None where nothing is left."""
    if node is step or not isinstance(node, Fused):
        return None if node is step else node
    node.nodes.remove(step)
    if isinstance(node, Nest):
        node.parts[:] = [
            p for part in node.parts if (p := _without(part, step) if step in _steps(part) else part)
        ]
    return node if node.nodes else None


# --- who reads what ---------------------------------------------------------------------------------------------------


def _operands(reader: Compute | Write) -> Sequence[Operand]:
    """What a step reads; of a write, its place and its value."""
    return reader.rest if isinstance(reader, Write) else reader.inputs


def _reads_own(reader: Compute | Write, node: Compute) -> bool:
    """Whether a step reads the elements that another makes where it runs over them."""
    place = place_made(node)
    return all(read == place for found, read in places_read(reader) if found is node.outputs[0])


def _read_by(reader: Compute | Write, inputs: Sequence[Operand]) -> None:
    """Let a step read other operands, or a write be given another place and value."""
    for old, new in zip(_operands(reader), inputs, strict=True):
        if old is not new and isinstance(old, Value) and isinstance(new, Value):
            new.readers.append(reader)
            _leave(old, reader)
    if isinstance(reader, Write):
        reader.rest = tuple(inputs)
    else:
        reader.inputs = tuple(inputs)


def _leave(value: Value, reader: Compute | Write) -> None:
    """A step does not read a value any more; a nested one that nobody reads reads nothing."""
    value.readers = [r for r in value.readers if r is not reader]
    if not value.readers and value.expression is not None and isinstance(value.maker, Compute):
        _forget_inputs(value.maker)


def _forget_inputs(node: Compute) -> None:
    for operand in node.inputs:
        if isinstance(operand, Value):
            _leave(operand, node)


def _is_plain(operands: Sequence[Operand], value: Value) -> bool:
    """Whether what is nested in these and reads a value is nothing but steps."""
    nested = [x for x in operands if isinstance(x, Value) and x.expression is not None and value in leaves(x)]
    return all(isinstance(x.maker, Compute) and _is_plain(x.maker.inputs, value) for x in nested)


def _is_product(operand: Operand) -> bool:
    maker = operand.maker if isinstance(operand, Value) else None
    if isinstance(maker, Compute) and maker.instr.op.name == "negative":
        return _is_product(maker.inputs[0])
    return isinstance(maker, Compute) and maker.instr.op.name in ("multiply", "square", "power")
