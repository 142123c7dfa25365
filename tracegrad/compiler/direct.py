"""Numba's compiler with a shorter way from text to LLVM: `translation.py` instead of its analyses of bytecode.

A function of an emitted module goes in, as Numba's dispatchers give it; Numba's result of a compile comes out. All
functions of the text that it calls become part of its own LLVM module. What `translation.py` does not know is compiled
by Numba's own passes. Begin with `Compiler`.
"""

from __future__ import annotations

import ast
import functools
from typing import Any

from llvmlite import binding as llvm
from llvmlite import ir
from numba.core import cgutils, compiler, types
from numba.core.bytecode import FunctionIdentity
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_machinery import LoweringPass, PassManager, register_pass
from numba.core.environment import Environment
from numba.core.funcdesc import PythonFunctionDescriptor
from numba.core.typed_passes import NoPythonBackend
from numba.core.untyped_passes import ExtractByteCode

from tracegrad.compiler import complex_numbers, lapack, numpy_fourier, special, stretches, ufunc_loops
from tracegrad.compiler.instructions import register
from tracegrad.compiler.printing import text_of
from tracegrad.compiler.translation import translate
from tracegrad.compiler.values import Module, Unknown
from tracegrad.kernels.arithmetic import ANY_ORDER, EXACT

TEXT = "__tracegrad_text__"
KEEP_NOTHING = ("numba_x", "numba_ez_", "tracegrad_")  # how the names of such functions begin
HUGE = 300  # loads and stores between which the order of instructions in a block is looked for, at most


class Compiler(compiler.Compiler):
    """Numba's own compiler, which tries the short way first; it knows the vector functions, and takes arguments to lie
    apart in memory: what the functions of a text write, they read under no other name. So loops can be vectorised
    without looking at the addresses, for which `njit` has no option."""

    def __init__(self, *args: Any) -> None:
        bound_scheduling()
        register()
        lapack.register()
        special.register()
        ufunc_loops.know()
        complex_numbers.register()
        numpy_fourier.register()
        super().__init__(*args)
        self.state.flags.noalias = True

    def compile_extra(self, func: Any) -> Any:
        """As Numba has it, but bytecode is read where its own passes begin alone."""
        self.state.func_id = FunctionIdentity.from_function(func)
        self.state.lifted, self.state.lifted_from = (), None
        return self._compile_bytecode()

    def define_pipelines(self) -> list[PassManager]:
        passes = PassManager("tracegrad")
        passes.add_pass(Translate, "from text to machine code")
        passes.add_pass(NoPythonBackend, "the result")
        passes.finalize()
        (others,) = super().define_pipelines()
        others.passes.insert(0, (Forget, "begin again"))
        others.finalize()
        return [passes, others]


class Library(JITCodeLibrary):
    """Machine code whose functions stand in one module, and are optimised together, once: Numba runs LLVM's passes over
    each function, then over the module, and over the module again, for functions that come from elsewhere."""

    _longest = 0  # instructions of a block

    def add_ir_module(self, module: Any) -> None:
        blocks = [block for function in module.functions for block in function.blocks]
        self._longest = max([self._longest, *(len(block.instructions) for block in blocks)])
        let_go(module)
        parsed = llvm.parse_assembly(cgutils.normalize_ir_text(text_of(module)))
        parsed.name = module.name
        parsed.verify()
        self.add_llvm_module(parsed)

    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        passes, builder = self._codegen._module_pass_manager()
        passes.run(self._final_module, builder)
        if self._longest > stretches.LONG:
            name, text = self._final_module.name, stretches.in_stretches(str(self._final_module))
            self._final_module = llvm.parse_assembly(text)
            self._final_module.name = name


@register_pass(mutates_CFG=False, analysis_only=False)
class Forget(LoweringPass):
    """That the short way failed is no failure of the long one, which begins with bytecode."""

    _name = "tracegrad_forget"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        state.status.fail_reason = None
        return bool(ExtractByteCode().run_pass(state))


@register_pass(mutates_CFG=True, analysis_only=False)
class Translate(LoweringPass):
    """From the text of a function to machine code."""

    _name = "tracegrad_translate"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        func_id, flags, target = state.func_id, state.flags, state.targetctx
        names = func_id.func.__globals__
        text = functions_of(names.get(TEXT, ""))
        if func_id.func_name not in text or not EXACT.isdisjoint(text):
            raise Unknown(f"the text of {func_id.func_name}")
        library, described = begun(state)
        env = Environment.from_fndesc(described)
        with target.push_code_library(library):
            code = library.create_ir_module(described.unique_name)
            context = target.subtarget(environment=env, fndesc=described)
            module = Module(
                context=context,
                typing=state.typingctx,
                code=code,
                names=names,
                text=text,
                lying_apart=frozenset({func_id.func_name}),
                any_order=ANY_ORDER,
                translate=translate,
                sums=("reassoc", *sorted(f for f in _fastmath(flags) if f != "reassoc")),
            )
            _, state.return_type = module.function(
                func_id.func_name, tuple(state.args), described.mangled_name
            )
            described.restype = state.return_type
            context.declare_env_global(code, context.get_env_name(described))
            context.post_lowering(code, library)
            library.add_ir_module(code)
            if not flags.no_cpython_wrapper:
                context.create_cpython_wrapper(library, described, env, None, release_gil=flags.release_gil)
        finished(state, library, described, env)
        return True


def begun(state: Any, kind: type[Library] = Library) -> tuple[Library, PythonFunctionDescriptor]:
    """Where the machine code of a function goes, and what Numba knows of the function; it returns a word."""
    func_id, flags, target = state.func_id, state.flags, state.targetctx
    library = kind(target.codegen(), func_id.func_qualname)
    library.enable_object_caching()
    return library, PythonFunctionDescriptor(
        True,
        func_id.func.__module__,
        func_id.func_qualname,
        func_id.unique_name,
        "",
        {},
        types.uint8,
        {},
        tuple(func_id.arg_names),
        (),
        mangler=target.mangler,
        argtypes=tuple(state.args),
        noalias=flags.noalias,
        abi_tags=[flags.get_mangle_string()],
        uid=func_id.unique_id,
    )


def finished(state: Any, library: Library, described: PythonFunctionDescriptor, env: Any) -> None:
    """The library becomes machine code, and that a result of Numba's."""
    target, state.library = state.targetctx, library
    made = target.get_executable(library, described, env)
    target.insert_user_function(made, described, [library])
    state["cr"] = compiler._LowerResult(described, None, cfunc=made, env=env)


def let_go(module: Any) -> None:
    """Say that no function of BLAS or LAPACK, and none of ours around them, keeps an address it is given: so after a
    product of a whole array a loop may read from anywhere beside what it writes there."""
    for function in module.functions:
        if function.name.startswith(KEEP_NOTHING):
            for argument in function.args:
                if isinstance(argument.type, ir.PointerType):
                    set.add(argument.attributes, "nocapture")  # which llvmlite does not know


@functools.cache
def bound_scheduling() -> None:
    """LLVM compares each load and store of a block with the others before it orders instructions, up to a thousand of
    them, and takes more than the square of their number: unrolled loops over small arrays took it most of a compile.
    The option is one of the process; nothing that is computed depends on it."""
    llvm.set_option("tracegrad", f"-dag-maps-huge-region={HUGE}")


def _fastmath(flags: Any) -> set[str]:
    return set(flags.fastmath.flags) if flags.fastmath else set()


@functools.lru_cache(maxsize=8)
def functions_of(text: str) -> dict[str, ast.FunctionDef]:
    """The functions of a text, by name."""
    return {n.name: n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef)}
