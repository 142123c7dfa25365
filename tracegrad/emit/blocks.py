"""A function on its way to text: values, and blocks of nodes in the order they will be written.

Data only: `lowering` makes them from a trace; `nesting`, `lifetimes` and `names` decide, on these very
objects, what stands in one line, what shares a name and what the names are. Begin with `Value`, then `Node`
and its kinds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tracegrad.ir.location import Location
from tracegrad.ir.trace import Const, Instr
from tracegrad.ir.types import ArrayType

LARGEST_ROOM = 4096  # entries of a buffer that may stay unused
_MARKED = re.compile(r"^_*tg_(stop|value|returned)\d*")  # names that the marks gave, and not the user


@dataclass(eq=False, repr=False)  # values and nodes hold each other
class Value:
    """What a name may be given to: computed once in the text of its block (loop-carried ones: once an iteration)."""

    type: ArrayType
    hint: str | None = None
    maker: Node | None = None
    block: Block | None = None
    readers: list[Node] = field(default_factory=list)
    expression: Any = None  # its ast where it is written inside its readers
    counts: bool = False  # what `for` and `while` count: a Python number in array text
    inner: bool = (
        False  # an array of which only one element at a time is needed: written as a number, see `fusion`
    )
    dropped: int = 0  # so many leading axes it does not have, as it lives inside of the loops over them
    window: Window | None = None  # the rows it has at a time, where it is not kept whole, see `slides`
    pushed: Any = None  # of a stack without a name: what is pushed onto it
    is_buffer: bool = False  # an array that has its memory from before the loop, see `buffers`
    rows: int | None = None  # of a stack that has its memory so: entries there is room for
    depth: int = 0
    start: int = -1  # life: from the position that assigns it to the last that reads it
    end: int = -1
    holes: list[tuple[int, int, int]] = field(default_factory=list)  # see `lifetimes.live_at`
    name: str = ""

    def __post_init__(self) -> None:
        if self.hint is not None:
            self.hint = _MARKED.sub(r"\1", self.hint)

    @property
    def is_derivative(self) -> bool:
        """Whether a sweep named it, and not the user."""
        return self.hint is not None and self.hint.endswith(("_bar", "_dot"))

    @property
    def memory(self) -> ArrayType:
        """What is stored of it at a time."""
        rows = self.rows if self.window is None else self.window.rows
        if rows is not None:
            return ArrayType((rows, *self.type.shape[1:]), self.type.dtype)
        return ArrayType(self.type.shape[self.dropped :], self.type.dtype) if self.dropped else self.type


@dataclass(frozen=True)
class Window:
    """Rows of an array that are there while a block of rows is done: so many, from `first` rows after its start."""

    first: int
    rows: int


Operand: TypeAlias = Value | Const


@dataclass(eq=False)
class Node:
    """One thing a block does. `reads` are its operands, `makes` the values it assigns."""

    location: Location | None

    @property
    def reads(self) -> Sequence[Operand]:
        return ()

    @property
    def makes(self) -> Sequence[Value]:
        return ()


@dataclass(eq=False)
class Block:
    """Nodes in order."""

    nodes: list[Node] = field(default_factory=list)


@dataclass(eq=False)
class Compute(Node):
    """A step of the trace as an expression."""

    instr: Instr
    inputs: tuple[Operand, ...]
    outputs: tuple[Value, ...]
    loop: bool = False  # in native text: written as a loop over elements, see `elements`
    fills: bool = False  # in native text: BLAS or a kernel writes the result into memory that is there before
    copied: bool = (
        False  # a view that is made a copy, as its array is written in while it is needed, see `memory`
    )

    @property
    def reads(self) -> Sequence[Operand]:
        return self.inputs

    @property
    def makes(self) -> Sequence[Value]:
        return self.outputs


@dataclass(eq=False)
class Item(Node):
    """A loop's slice of a stack."""

    stack: Operand
    index: Value
    output: Value

    @property
    def reads(self) -> Sequence[Operand]:
        return (self.stack, self.index)

    @property
    def makes(self) -> Sequence[Value]:
        return (self.output,)


@dataclass(eq=False)
class Write(Node):
    """`index_add` or `index_set`: written into the source itself where nobody else can see it, into a copy
    otherwise."""

    instr: Instr
    source: Operand
    rest: tuple[Operand, ...]  # arrays of the slots, then the value
    output: Value
    in_place: bool = False
    loop: bool = False  # as for `Compute`

    @property
    def reads(self) -> Sequence[Operand]:
        return (self.source, *self.rest)

    @property
    def makes(self) -> Sequence[Value]:
        return (self.output,)


@dataclass(eq=False)
class Fused(Node):
    """Steps and entries of stacks in one loop over elements; these nodes read and make, not this one."""

    nodes: list[Node]


def steps_of(node: Node) -> Sequence[Node]:
    """What reads and makes there: the steps of a loop, or the node itself."""
    return node.nodes if isinstance(node, Fused) else (node,)


@dataclass(eq=False)
class Nest(Fused):
    """Loops with a leading axis in common as one loop over that axis, with the loops over the other axes inside.

    `nodes` are all steps, in order; `parts` are what stands inside, nests of the next axis among them.
    """

    axis: int
    length: int
    parts: list[Node]


@dataclass(eq=False)
class Visit(Nest):
    """Loops over rows and products with these, some rows at a time; see `visits`.

    Attributes
    ----------
    stages : products of rows and loops, done with a block in turn
    after : products that sum over all rows, done with a block last
    rounds : rows of a block
    large : whether threads may share the blocks
    """

    stages: list[Compute | Nest]
    after: list[Compute]
    rounds: int
    large: bool


@dataclass(eq=False)
class Ahead(Fused):
    """A loop that makes the rows of a block, and those around it that are read there.

    Attributes
    ----------
    first, last : int
        How far the rows begin after the start of a block, and end after its end.
    length : int
        Of the axis.
    wraps : bool
        Whether the rows before the first are the last ones.
    """

    first: int
    last: int
    length: int
    wraps: bool


@dataclass(eq=False)
class Slide(Nest):
    """A loop over rows in blocks, before each block the loops that make rows it reads, and after it the one that reads
    rows it makes; see `slides`.

    `length` is how many rows the blocks go over; the loop itself may have fewer, `own`.
    """

    ahead: list[Ahead]
    behind: Nest | None
    own: int
    rounds: int  # rows of a block


@dataclass(eq=False)
class Pack(Node):
    """A small array of scalars, written as a whole: a chain of writes into all places of fresh zeros."""

    items: tuple[Operand, ...]
    output: Value

    @property
    def reads(self) -> Sequence[Operand]:
        return self.items

    @property
    def makes(self) -> Sequence[Value]:
        return (self.output,)


@dataclass(eq=False)
class Check(Node):
    """A guard: leaves through its side exit."""

    condition: Operand
    expected: Any
    number: int

    @property
    def reads(self) -> Sequence[Operand]:
        return (self.condition,)


@dataclass(eq=False)
class Push(Node):
    """One iteration's entry of a stack; by `index`, or appended to a list."""

    stack: Value
    value: Operand
    index: Value | None

    @property
    def reads(self) -> Sequence[Operand]:
        return (self.value,) if self.index is None else (self.value, self.index)


@dataclass(eq=False)
class Move(Node):
    """All targets get their sources at once."""

    targets: tuple[Value, ...]
    sources: tuple[Operand, ...]

    @property
    def reads(self) -> Sequence[Operand]:
        return self.sources


@dataclass(eq=False)
class Choice(Node):
    """A branch; each arm ends with a Move to the outputs."""

    condition: Operand
    arms: tuple[Block, Block]
    outputs: tuple[Value, ...]
    leaving: tuple[bool | None, bool | None] | None = None
    """Whether the loop around is left at the end of each arm; None: a branch in the arm says."""

    @property
    def reads(self) -> Sequence[Operand]:
        return (self.condition,)

    @property
    def makes(self) -> Sequence[Value]:
        return self.outputs


@dataclass(eq=False)
class Either(Node):
    """A branch as an expression, `x if c else y`; what its arms compute is nested in it."""

    condition: Operand
    sources: tuple[Operand, Operand]
    output: Value

    @property
    def reads(self) -> Sequence[Operand]:
        return (self.condition, *self.sources)

    @property
    def makes(self) -> Sequence[Value]:
        return (self.output,)


@dataclass(eq=False)
class Repeat(Node):
    """A loop. `enter` gives the carried values their first, the last node of `body` their next content."""

    limit: Operand
    reverse: bool
    carried: tuple[Value, ...]
    finals: tuple[Value, ...]
    enter: Move
    counter: Value  # the index of a `for`; what a `while` counts
    steps: Value | None  # the number of iterations, where it is counted by hand; the counter of a `while`
    test: Block | None
    condition: Operand | None
    stop: Value | None  # the carried value that ends the loop when it is true after the body
    body: Block
    stacks: list[Value]
    lists: list[Value]  # the stacks that are Python lists
    converted: list[Value]  # the stacks that are made, or cut to, plain arrays after the loop
    copied: set[Value] = field(default_factory=set)  # the carried values that start as a copy, see `memory`
    buffers: list[Value] = field(default_factory=list)  # they get their memory before the loop, see `buffers`

    @property
    def counts(self) -> bool:
        """Whether only the run tells the number of iterations."""
        return self.steps is not None

    @property
    def is_for(self) -> bool:
        """Whether it is written as a `for`: over a range, perhaps left early."""
        return self.test is None and self.limited

    @property
    def limited(self) -> bool:
        """Whether the number of iterations is bounded by `limit`."""
        return not (isinstance(self.limit, Const) and self.limit.value == -1)

    @property
    def room(self) -> int | None:
        """The length of buffers for its stacks, where that is known before; None where they may have to grow.

        A loop that may be left early does not always come to its limit, which may be more than there is memory for.
        """
        if not self.is_for or not isinstance(self.limit, Const):
            return None
        limit = int(self.limit.value)
        return limit if self.steps is None or limit <= LARGEST_ROOM else None

    @property
    def grows(self) -> bool:
        """Whether the buffers of its stacks may have to grow."""
        return self.room is None and (self.steps is not None or not self.is_for)

    @property
    def reads(self) -> Sequence[Operand]:
        return (self.limit,)

    @property
    def makes(self) -> Sequence[Value]:
        return self.finals


@dataclass(eq=False)
class Return(Node):
    """The end of a function: its results, and for a forward function its residuals."""

    results: tuple[Operand, ...]
    residuals: tuple[Operand, ...]
    kept: frozenset[Operand] = frozenset()  # the residuals again, for asking

    def __post_init__(self) -> None:
        self.kept = frozenset(self.residuals)

    @property
    def reads(self) -> Sequence[Operand]:
        return (*self.results, *self.residuals)
