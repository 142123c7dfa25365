"""Large arrays that are cheaper made again where they are read than kept until then.

Blocks with fused and nested loops go in. Where a few quick operations make an array of what is there anyway (inputs of
the function, what lives as long, rows and numbers), each later loop that reads it makes its elements for itself; so the
array needs no memory, and its elements stay in registers. Results keep their digits: a product is not made again inside
of a sum where something is compared, as a machine may round both at once. Begin with `make_again`.

Briggs, Cooper and Torczon, "Rematerialization", PLDI 1992, with loops over elements for instructions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tracegrad.emit.blocks import Block, Compute, Fused, Nest, Node, Operand, Value, steps_of
from tracegrad.emit.elements import is_view, scalar_step
from tracegrad.emit.expressions import Expressions
from tracegrad.emit.fusion import loop_shape, place_made, places_read, reading_statements
from tracegrad.emit.lifetimes import leaves
from tracegrad.ir.trace import Const

LARGE = 1 << 16  # bytes of an array whose memory is worth a thought
MOST = 4  # quick operations, or one division: about what it takes to keep an element and to read it
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
)
_COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
_FAR = MOST + 1


def make_again(inputs: Sequence[Value], block: Block, expressions: Expressions) -> None:
    """Decide for the large arrays of a function's outermost block, the last one first."""
    again = _Again(inputs, block, expressions)
    for step in reversed(list(again.places)):
        if isinstance(step, Compute) and again.may_be_made_again(step):
            again.take(step)
    block.nodes = [n for k, node in enumerate(again.nodes) for n in (*again.nested.get(k, ()), node) if n]


class _Again:
    """One block, and where in it each statement stands."""

    def __init__(self, inputs: Sequence[Value], block: Block, expressions: Expressions) -> None:
        self.inputs = frozenset(inputs)
        self.block = block
        self.nodes: list[Node | None] = list(block.nodes)
        self.nested: dict[int, list[Node]] = {}  # what is nested in the copies, before the loop these are in
        self.expressions = expressions
        self.places = {step: k for k, node in enumerate(block.nodes) for step in steps_of(node)}
        self.compares = any(_is_comparison(step) for step in self.places)

    def may_be_made_again(self, node: Compute) -> bool:
        """Whether it makes a large array of the elements of others."""
        value = node.outputs[0]
        large = value.type.shape and value.type.size * value.type.dtype.itemsize >= LARGE
        return bool(large) and node.loop and value.expression is None and scalar_step(node.instr) is not None

    def take(self, node: Compute) -> None:
        """Make an array again in all loops that read it but its own, if it needs no memory then."""
        value, own = node.outputs[0], self.places[node]
        loops: dict[int, list[Compute]] = {}
        readers = dict.fromkeys(reading_statements(value))
        for reader in readers:
            if self.places.get(reader) == own:
                continue
            if not isinstance(reader, Compute) or not self._reads_each(reader, node):
                return
            loops.setdefault(self.places[reader], []).append(reader)
        if any(self._work(node, at) > MOST for at in loops):
            return
        for at, inside in loops.items():
            for same in _by_loops(self.nodes[at], inside):
                self._copy(node, same)
        if len(readers) == sum(map(len, loops.values())):  # nobody else, or nobody any more
            self.nodes[own] = _without(self.nodes[own], node)
            _forget_inputs(node)

    def _reads_each(self, reader: Compute, node: Compute) -> bool:
        """Whether a loop of the same shape, in this block, reads each element of an array where it runs over it."""
        if reader not in self.places or not reader.loop or loop_shape(reader) != loop_shape(node):
            return False
        value, place = node.outputs[0], place_made(node)
        return all(read == place for found, read in places_read(reader) if found is value) and _is_plain(
            reader.inputs, value
        )

    def _work(self, node: Compute, at: int) -> int:
        """How many operations make an element of an array again at a place of the block; many where that cannot be."""
        found = 0
        waiting: list[Operand] = [node.outputs[0]]
        while waiting and found <= MOST:
            operand = waiting.pop()
            if not operand.type.shape or isinstance(operand, Const):
                continue
            maker = operand.maker
            if operand is not node.outputs[0] and operand.expression is None:
                if self._is_there(operand, node, at):
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
        return 1 if name in _ONE or symbol in _COMPARISONS else MOST if name == "divide" else _FAR

    def _is_there(self, value: Value, node: Compute, at: int) -> bool:
        """Whether a value needs no more memory if it is read at a place of the block."""
        if value in self.inputs or 8 * value.type.size <= node.outputs[0].type.size:
            return True
        return any(self.places.get(reader, -1) >= at for reader in reading_statements(value))

    # --- the change ---------------------------------------------------------------------------------------------------

    def _copy(self, node: Compute, readers: Sequence[Compute]) -> None:
        """Make an array again in a loop, before the first of its steps that read it."""
        at = self.places[readers[0]]
        value = node.outputs[0]
        made, copied = self._twin(node, node.inputs)
        for reader in readers:
            _read_by(reader, [self._instead(x, value, copied, at) for x in reader.inputs])
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


# --- what stands where ------------------------------------------------------------------------------------------------


def _steps(node: Node | None) -> Sequence[Node]:
    return () if node is None else steps_of(node)


def _by_loops(node: Node | None, steps: Sequence[Compute]) -> Iterable[Sequence[Compute]]:
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


def _read_by(reader: Compute, inputs: Sequence[Operand]) -> None:
    """Let a step read other operands."""
    for old, new in zip(reader.inputs, inputs, strict=True):
        if old is not new and isinstance(old, Value) and isinstance(new, Value):
            new.readers.append(reader)
            _leave(old, reader)
    reader.inputs = tuple(inputs)


def _leave(value: Value, reader: Compute) -> None:
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


def _is_comparison(node: Node) -> bool:
    return (
        isinstance(node, Compute)
        and node.instr.op.symbol in _COMPARISONS
        and bool(node.outputs[0].type.shape)
    )


def _is_product(operand: Operand) -> bool:
    maker = operand.maker if isinstance(operand, Value) else None
    if isinstance(maker, Compute) and maker.instr.op.name == "negative":
        return _is_product(maker.inputs[0])
    return isinstance(maker, Compute) and maker.instr.op.name in ("multiply", "square", "power")
