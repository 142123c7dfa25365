"""The machine code of a door: from the Python objects of a call to the registers of a program, and back.

A `Passage` goes in, a C function comes out that CPython calls as `function(table, args, keywords)`. All that differs
between two doors of one passage, addresses above all, stands in the table (`compiler/door.py` says where), so that the
machine code can be kept on disk and shared. Where an argument is not what the passage says, the function answers with
the exit for that, or goes on with who was named for it; it never guesses.

Begin with `Code.write`.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm
import llvmlite.ir as ir
import numba
from numba.core import cgutils
from numba.core.callconv import excinfo_t
from numba.core.compiler_machinery import LoweringPass, PassManager, register_pass
from numba.core.environment import Environment
from numba.core.typed_passes import NoPythonBackend

from tracegrad.compiler.boxing import Boxing
from tracegrad.compiler.builder import Builder, prune
from tracegrad.compiler.direct import Compiler, Library, begun, finished
from tracegrad.compiler.machine import INT32, NOTHING, NULL, POINTER, WORD, numba_type
from tracegrad.compiler.passage import (
    BY_NAME,
    CALLS,
    EXITS,
    FIRST_GUARD,
    GUARDS,
    HOLDS,
    LEFT,
    MISS,
    PASSAGE,
    PROGRAM,
    RELEASES,
    UNASKED,
    UNDER_WAY,
)


class DoorCompiler(Compiler):
    """Numba's compiler of a function `door(table, args, keywords)`, of which only its `PASSAGE` is asked."""

    def define_pipelines(self) -> list[PassManager]:
        passes = PassManager("tracegrad_door")
        passes.add_pass(WriteDoor, "from a passage to machine code")
        passes.add_pass(NoPythonBackend, "the result")
        passes.finalize()
        return [passes]


class DoorLibrary(Library):
    """A door has no loop but over its guards, and mostly calls CPython: few passes do what all of LLVM's would do, in a
    fifth of the time."""

    def _optimize_final_module(self) -> None:
        passes = llvm.create_new_module_pass_manager()
        passes.add_sroa_pass()
        passes.add_simplify_cfg_pass()
        passes.add_instruction_combine_pass()
        passes.run(self._final_module, self._codegen._pass_builder())


@register_pass(mutates_CFG=True, analysis_only=False)
class WriteDoor(LoweringPass):
    """From a passage to machine code: the function is what Numba calls one for callers in C."""

    _name = "tracegrad_door"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        target, passage = state.targetctx, state.func_id.func.__globals__[PASSAGE]
        library, described = begun(state, DoorLibrary)
        state.return_type = described.restype = numba.types.voidptr
        env = Environment.from_fndesc(described)
        with target.push_code_library(library):
            code = library.create_ir_module(described.unique_name)
            context = target.subtarget(environment=env, fndesc=described)
            kind = ir.FunctionType(POINTER, [POINTER] * 3)
            function = ir.Function(code, kind, described.llvm_cfunc_wrapper_name)
            builder = Builder(function.append_basic_block("entry"))
            builder.ret(Code(context, builder, passage, function.args).write())
            prune(function)
            context.declare_env_global(code, context.get_env_name(described))
            context.post_lowering(code, library)
            library.add_ir_module(code)
        finished(state, library, described, env)
        return True


class Code(Boxing):
    """One function, from the first to the last line."""

    def write(self) -> Any:
        """All of it; returns what the function returns."""
        builder = self.builder
        self._greet()
        for number, tree in enumerate(self.passage.arguments):
            self.take(tree, self._item("PyTuple_GetItem", self.args, number), held=True)
        self._guards()
        for where, key, tree in self.passage.reads:
            found = self._looked_up(self._slot(where), self._slot(key))
            self._unless(self._there(found))
            self.take(tree, found, held=False)
        self._run()
        self.make_results()
        builder.branch(self.end)
        self._edges()
        return builder.load(self.result)

    def _greet(self) -> None:
        """How it was called: no keywords, so many arguments, nothing being captured; then it counts."""
        builder = self.builder
        unasked = builder.append_basic_block("unasked")
        with builder.goto_block(unasked):
            self._leave(UNASKED)
        with self._seldom(self._there(self.keywords)):
            named = self._not(self._call("PyDict_Size", WORD, self.keywords), 0)
            with builder.if_then(named):
                by_name = self._object(BY_NAME)
                self._else(self._there(by_name), unasked)
                found = self._call("PyObject_Call", POINTER, by_name, self.args, self.keywords)
                builder.store(found, self.result)
                builder.branch(self.end)
        size = self._call("PyTuple_Size", WORD, self.args)
        self._else(self._same(size, self._number(len(self.passage.arguments))), unasked)
        with builder.if_then(self._there(self._object(UNDER_WAY))):
            size = self._call("PyList_Size", WORD, self._object(UNDER_WAY))
            self._else(self._same(size, self._number(0)), unasked)
        with builder.if_then(self._there(self._object(CALLS))):
            counter = builder.bitcast(self._object(CALLS), WORD.as_pointer())
            builder.store(builder.add(builder.load(counter), self._number(1)), counter)

    def _guards(self) -> None:
        """What must still be so outside."""
        builder, first = self.builder, self._slot(FIRST_GUARD)
        with cgutils.for_range(builder, self._slot(GUARDS), intp=WORD) as loop:
            at = builder.add(first, builder.mul(loop.index, self._number(4)))
            where, key, found, read = (self._slot(builder.add(at, self._number(k))) for k in range(4))
            now = self._looked_up(where, key)
            with self._seldom(builder.icmp_unsigned("!=", builder.ptrtoint(now, WORD), found)):
                asked = builder.and_(self._there(now), self._not(read, 0))
                self._unless(asked)
                self._keep(now)
                told = self._call_objects(self._object(HOLDS), builder.inttoptr(read, POINTER), now)
                self._give_back(now)
                self._else(self._there(told), self.failed)
                holds = self._call("PyObject_IsTrue", INT32, told)
                self._give_back(told)
                self._unless(self._same(holds, self._number(1, INT32)))

    def _run(self) -> None:
        """The call of the program; then it has fitted."""
        builder, call_conv = self.builder, self.context.call_conv
        kinds = [numba_type(kind, ndim) for _, _, kind, ndim in self.passage.inputs]
        given = [
            self.cast(self.leaf(number), kind) if is_leaf else self.constant(kind, number)
            for (is_leaf, number, _, _), kind in zip(self.passage.inputs, kinds, strict=True)
        ]
        for place in self.passage.memory:
            wanted, array = self.room(*place)
            kinds.append(wanted)
            given.append(array)
        kind = call_conv.get_function_type(self.returns, kinds)
        program = builder.inttoptr(self._slot(PROGRAM), kind.as_pointer())
        thread = self._space(POINTER)
        releases = self._not(self._slot(RELEASES), 0)
        with builder.if_then(releases):
            builder.store(self.api.save_thread(), thread)
        error = self._space(excinfo_t.as_pointer())
        flat = self.context.get_arg_packer(kinds).as_arguments(builder, given)
        done = builder.call(program, [self.outputs, error, *flat])
        with builder.if_then(releases):
            self.api.restore_thread(builder.load(thread))
        with self._seldom(
            builder.not_(self._same(done, self._number(0, INT32)))
        ):  # Ctrl-C is no path that does not fit
            ordinary = self._call("PyErr_ExceptionMatches", INT32, self.api.get_c_object("PyExc_Exception"))
            interrupted = builder.and_(
                self._there(self.api.err_occurred()), self._same(ordinary, self._number(0, INT32))
            )
            self._else(builder.not_(interrupted), self.failed)
            builder.branch(self.missed)
        code = self._output(0)
        with self._seldom(self._not(code, -1)):
            self._drop()
            left = self._call("PyTuple_GetItem", POINTER, self._object(EXITS), code)
            builder.store(left, self.exit)
            builder.branch(self.leaving)

    def _edges(self) -> None:
        """The blocks where it ends otherwise, and what is given back."""
        builder = self.builder
        with builder.goto_block(self.refused):
            builder.cbranch(self._there(self.api.err_occurred()), self.failed, self.missed)
        with builder.goto_block(self.missed):
            self._call("PyErr_Clear", NOTHING)
            self._leave(MISS)
        with builder.goto_block(self.leaving):
            left, exit = self._object(LEFT), builder.load(self.exit)
            with builder.if_else(self._there(left)) as (goes_on, answers):
                with goes_on:
                    empty = self._call("PyDict_New", POINTER)
                    has = self._there(self.keywords)
                    named = builder.select(has, self.keywords, empty)
                    builder.store(self._call_objects(left, exit, self.args, named), self.result)
                    self._give_back(empty)
                with answers:
                    self._keep(exit)
                    builder.store(exit, self.result)
            builder.branch(self.end)
        with builder.goto_block(self.failed):
            self._give_back(builder.load(self.result))
            builder.store(NULL, self.result)
            builder.branch(self.end)
        builder.position_at_end(self.end)
        self._let_go()
