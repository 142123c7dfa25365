"""Machine code a step at a time: loads, calls, references, and where a door leaves. `unboxing.py`, `boxing.py` and
`door_code.py` are written with these.

What is relied on of CPython and NumPy is their stable interface: an object ends its head with its type, the fields of
an array follow in the order of `PyArrayObject_fields`, and functions of NumPy's are called by their address.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.ir as ir
import numba
import numpy as np
from numba.core import cgutils

from tracegrad.compiler.arrays import MEMORY, Array
from tracegrad.compiler.builder import Builder
from tracegrad.compiler.c_functions import call
from tracegrad.compiler.passage import BUILTINS, KINDS, LEAVES, Passage

POINTER_SIZE = 8
HEAD = object.__basicsize__  # bytes before the first field of an object; its type comes last in them
DATA, NDIM, SHAPE, DESCR, FLAGS = HEAD, HEAD + 8, HEAD + 16, HEAD + 40, HEAD + 48

BYTE, INT32, WORD, DOUBLE, NOTHING = (
    ir.IntType(8),
    ir.IntType(32),
    ir.IntType(64),
    ir.DoubleType(),
    ir.VoidType(),
)
POINTER = BYTE.as_pointer()
LEAF = ir.ArrayType(WORD, 2)  # room for a number, or for the address of an array's elements
NULL = ir.Constant(POINTER, None)


def numba_type(kind: str, ndim: int | None, layout: Any = "C") -> Any:
    """Numba's type of a number, or of an array."""
    scalar = numba.from_dtype(np.dtype(kind))
    return scalar if ndim is None else numba.types.Array(scalar, ndim, layout)


class Machine:
    """One function, on its way.

    Attributes
    ----------
    leaves : list of (Numba's type, where it was put, number of its sizes in the table), the numbers and arrays found
        so far; `found` is the memory they are put in
    rooms : the arrays that the program writes into
    outputs : where the structure stands that the program returns; its parts are loaded where they are read
    held : array of references that the call gives back at its end, and how many there are so far
    result, exit : where the answer stands, or why there is none
    end, leaving, failed, missed, refused : blocks
        Where the function ends; where it leaves, for the exit in `exit`; where an error of Python's is set; where
        something is not what the passage says; where it is one of these two.
    """

    def __init__(self, context: Any, builder: Any, passage: Passage, given: Sequence[Any]) -> None:
        self.context, self.builder, self.passage = context, builder, passage
        self.api = context.get_python_api(builder)
        keeper, self.args, self.keywords = given
        self.table = builder.bitcast(
            self._load(self._call("PyTuple_GetItem", POINTER, keeper, self._number(0)), DATA, POINTER),
            WORD.as_pointer(),
        )
        self.leaves: list[Any] = []
        self.rooms: list[Any] = []
        held, found = map(self._number, _most(passage))
        self.held, self.held_count = builder.alloca(POINTER, held), 0
        cgutils.memset(builder, self.held, builder.mul(held, self._number(POINTER_SIZE)), 0)
        self.found = builder.alloca(LEAF, found)
        self.result = self._space(POINTER)
        self.exit = self._space(POINTER)
        self.returns = numba.types.Tuple([numba_type(*output) for output in passage.outputs])
        self.outputs = builder.alloca(context.call_conv.get_return_type(self.returns).pointee)
        self.end, self.leaving, self.failed, self.missed, self.refused = (
            builder.append_basic_block(name) for name in ("end", "leaving", "failed", "missed", "refused")
        )

    def _number(self, value: int, kind: Any = WORD) -> Any:
        return ir.Constant(kind, value)

    def _space(self, kind: Any) -> Any:
        return cgutils.alloca_once(self.builder, kind)

    def _slot(self, number: Any) -> Any:
        index = self._number(number) if isinstance(number, int) else number
        return self.builder.load(self.builder.gep(self.table, [index]))

    def _object(self, number: Any) -> Any:
        return self.builder.inttoptr(self._slot(number), POINTER)

    def _at(self, pointer: Any, offset: int, kind: Any) -> Any:
        there = self.builder.gep(pointer, [self._number(offset)])
        return self.builder.bitcast(there, kind.as_pointer())

    def _load(self, pointer: Any, offset: int, kind: Any) -> Any:
        return self.builder.load(self._at(pointer, offset, kind))

    def _call(self, name: str, result: Any, *given: Any) -> Any:
        return call(self.builder, name, result, *given)

    def _call_objects(self, *given: Any) -> Any:
        kind = ir.FunctionType(POINTER, [POINTER], var_arg=True)
        name = "PyObject_CallFunctionObjArgs"
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, [*given, NULL])

    def _call_at(self, slot: int, result: Any, *given: Any) -> Any:
        """A C function whose address stands in the table."""
        kind = ir.FunctionType(result, [g.type for g in given])
        return self.builder.call(self.builder.inttoptr(self._slot(slot), kind.as_pointer()), given)

    def _apart(self, name: str, write: Callable[..., Any], *given: Any) -> Any:
        """What a function answers that `write` writes when it is first called, null where something is not as it should
        be: one for all leaves of a kind. Written for each leaf, doors of many leaves took LLVM seconds."""
        builder, module = self.builder, self.builder.module
        function = module.globals.get(name)
        if function is None:
            kind = ir.FunctionType(POINTER, [self.table.type, *(g.type for g in given)])
            function = ir.Function(module, kind, name)
            function.linkage = "internal"
            outer = self.table, self.missed, self.failed
            self.builder = Builder(function.append_basic_block("entry"))
            self.missed, self.failed = map(self.builder.append_basic_block, ("missed", "failed"))
            self.table, *inner = function.args
            self.builder.ret(write(*inner))
            self.builder.position_at_end(self.missed)
            self._call("PyErr_Clear", NOTHING)
            self.builder.branch(self.failed)
            self.builder.position_at_end(self.failed)
            self.builder.ret(NULL)
            self.builder, (self.table, self.missed, self.failed) = builder, outer
        return builder.call(function, [self.table, *given])

    def _item(self, name: str, container: Any, number: int) -> Any:
        return self._call(name, POINTER, container, self._number(number))

    def _there(self, pointer: Any) -> Any:
        return cgutils.is_not_null(self.builder, pointer)

    def _same(self, one: Any, other: Any) -> Any:
        return self.builder.icmp_unsigned("==", one, other)

    def _not(self, value: Any, number: int) -> Any:
        return self.builder.icmp_unsigned("!=", value, self._number(number))

    def _type(self, value: Any) -> Any:
        return self._load(value, HEAD - 8, WORD)

    def _is(self, value: Any, slot: int) -> Any:
        return self._same(self._type(value), self._slot(slot))

    def _else(self, condition: Any, block: Any) -> None:
        """Go on where the condition holds."""
        following = self.builder.append_basic_block()
        self.builder.cbranch(condition, following, block).set_weights([99, 1])
        self.builder.position_at_end(following)

    def _unless(self, condition: Any) -> None:
        self._else(condition, self.missed)

    def _leave(self, slot: int) -> None:
        self.builder.store(self._object(slot), self.exit)
        self.builder.branch(self.leaving)

    def _keep(self, value: Any) -> None:
        self._call("Py_IncRef", NOTHING, value)

    def _give_back(self, value: Any) -> None:
        """Drop a reference; there may be none."""
        self._call("Py_DecRef", NOTHING, value)

    def _place_to_hold(self) -> Any:
        """Where a reference stands that is given back at the end; none is there yet."""
        self.held_count += 1
        return self.builder.gep(self.held, [self._number(self.held_count - 1)])

    def _hold(self, value: Any) -> None:
        """Give this reference back at the end."""
        self.builder.store(value, self._place_to_hold())

    def _let_go(self) -> None:
        """Give back what is held, in a loop: so LLVM leaves the references in memory. In registers, each of them would
        be told apart for each of the branches that leave: time and memory of a compile as the square of the arguments.
        """
        with cgutils.for_range(self.builder, self._number(self.held_count), intp=WORD) as loop:
            self._give_back(self.builder.load(self.builder.gep(self.held, [loop.index])))

    def _seldom(self, condition: Any) -> Any:
        return cgutils.if_unlikely(self.builder, condition)

    def _either(self, *cases: tuple[Any, Any]) -> Any:
        """The value of the block one came from. What stands in memory instead LLVM looks for, all of it at each block:
        the square of the arguments."""
        found = self.builder.phi(cases[0][0].type)
        for value, block in cases:
            found.add_incoming(value, block)
        return found

    def _looked_up(self, where: Any, key: Any) -> Any:
        """What a name, a cell, a context variable or a function has now, or NULL; a reference nobody gives back."""
        builder, found = self.builder, self._space(POINTER)
        builder.store(NULL, found)
        where = where if where.type == POINTER else builder.inttoptr(where, POINTER)
        of_cell, of_variable, of_code, of_name, known = (
            builder.append_basic_block(n) for n in ("cell", "variable", "code", "name", "known")
        )
        kinds = builder.switch(key, of_name)
        for kind, block in zip(KINDS, (of_cell, of_variable, of_code), strict=True):
            kinds.add_case(self._number(kind), block)
        with builder.goto_block(of_cell):
            builder.store(self._call("PyCell_Get", POINTER, where), found)
            self._give_back(builder.load(found))
            builder.branch(known)
        with builder.goto_block(of_variable):
            self._call("PyContextVar_Get", INT32, where, NULL, found)
            self._give_back(builder.load(found))
            builder.branch(known)
        with builder.goto_block(of_code):
            builder.store(self._call("PyFunction_GetCode", POINTER, where), found)
            builder.branch(known)
        builder.position_at_end(of_name)
        name = builder.inttoptr(key, POINTER)
        builder.store(self._call("PyDict_GetItemWithError", POINTER, where, name), found)
        with self._seldom(builder.not_(self._there(builder.load(found)))):
            builtins = self._object(BUILTINS)
            builder.store(self._call("PyDict_GetItemWithError", POINTER, builtins, name), found)
        builder.branch(known)
        builder.position_at_end(known)
        return builder.load(found)

    def _output_at(self, number: int) -> Any:
        """Where something stands that the program returned."""
        return cgutils.gep_inbounds(self.builder, self.outputs, 0, number)

    def _drop(self) -> None:
        """What the program returned is not needed any more."""
        if any(isinstance(kind, numba.types.Array) for kind in self.returns):
            self._apart("drop", self._dropped, self.outputs)

    def _dropped(self, outputs: Any) -> Any:
        for number, kind in enumerate(self.returns):
            if isinstance(kind, numba.types.Array):
                there = cgutils.gep_inbounds(self.builder, outputs, 0, number)
                array = Array(self.context, self.builder, kind, there)
                self.context.nrt.decref(self.builder, MEMORY, array.meminfo)
        return NULL


def _most(passage: Passage) -> tuple[int, int]:
    """How many references a call holds at most: of each array and a copy of it, of memory, of results being called; and
    how many leaves it finds."""
    open_: list[Any] = [*passage.arguments, *(tree for *_, tree in passage.reads), passage.results]
    held, found = 1 + len(passage.memory), 0
    while open_:
        tree = open_.pop()
        if isinstance(tree, tuple):
            held += 2 * (tree[0] == "array") + (tree[0] == "call")
            found += tree[0] in LEAVES
            open_ += tree
    return held, found
