"""What passes through a door: what it takes, what the program behind it takes and returns, and what the user gets.

A `Passage` is made of tuples of words and numbers alone, so it can be a text: the name of the machine code made for
it. Everything else a door needs is a word in its table (`door.py`), and the passage says where. Begin with `Passage`.

Trees of arguments: `("array", dtype, ndim, slot)` with dtype and sizes in the table, `("number_or_int",)`,
`("float",)`, `("int",)`, `("scalar", dtype, slot)` of that type, `("static", slot, compared)`; `("tuple", *trees)`,
`("list", *trees)`, `("dict", (slot of the key, tree), ...)`.

Trees of results, where `k` is an output of the program: `("array", k, slot of the dtype)`, `("plain", k)` a number of
Python's, `("scalar", k, dtype, slot)` with its type and what allocates it, `("truth", k, slot)` with both truth values,
`("zero_dimensional", k, dtype, slot)`, `("given", k)` the memory with that number, `("constant", slot)`,
`("call", slot, *trees)`; containers as above.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# The words at the head of each table: the program, where a call goes on that it does not answer, what is looked at
# in each call, objects of Python's and functions of NumPy's. Guards come last, four words each.
(
    PROGRAM,
    EXITS,
    MISS,
    UNASKED,
    LEFT,
    BY_NAME,
    UNDER_WAY,
    CALLS,
    RELEASES,
    GUARDS,
    FIRST_GUARD,
    BUILTINS,
    HOLDS,
    FLOAT,
    INT,
    TUPLE,
    LIST,
    DICT,
    NDARRAY,
    NEW_ARRAY,
    NEW_COPY,
    TAKE,
    FIRST,
) = range(23)
KINDS_OF = {"tuple": TUPLE, "list": LIST, "dict": DICT}
KINDS = CELL, VARIABLE, CODE = 1, 2, 3  # in place of a name: what is looked up is no module
LEAVES = ("array", "number_or_int", "float", "int", "scalar")  # trees of arguments without parts
PASSAGE = "__tracegrad_passage__"  # what a module with a door calls its passage
COPIED = 1 << 14  # bytes of a result that are copied rather than wrapped


@dataclass(frozen=True, slots=True)
class Passage:
    """What is fixed in the machine code of a door.

    Attributes
    ----------
    arguments : trees, one for each positional argument
    reads : tuple of (slot of the module or cell, slot of the name or kind, tree)
        What is looked up outside, further leaves after those of the arguments.
    inputs : tuple of (True, leaf, dtype, ndim) or (False, slot, dtype, ndim)
        The parameters of the program; `ndim` is None for a number. One that is no leaf is a constant: its address,
        and its sizes, stand in the table.
    memory : tuple of (dtype, ndim, slot, again)
        Arrays that the program writes into, its last parameters: what `TAKE` is called with where memory is used
        `again`, the dtype, and the sizes.
    outputs : tuple of (dtype, ndim or None, layout)
        What the program returns, the code of its exit first.
    results : tree
    """

    arguments: tuple[Any, ...]
    reads: tuple[tuple[int, int, Any], ...]
    inputs: tuple[tuple[bool, int, str, int | None], ...]
    memory: tuple[tuple[str, int, int, bool], ...]
    outputs: tuple[tuple[str, int | None, str], ...]
    results: Any
