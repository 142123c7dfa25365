"""Threads that wait for work: those that `threads.py` shares a loop among.

The address of what a thread does, of what it is given, and how many threads may do it go in; when the call returns all
of it is done. The threads are made by the first call that wants them, and then sleep until the next: they look for work
for some 100 microseconds before, so that calls that follow each other wake nobody. Nobody waits for a thread that has
not begun when the caller is through: what the others would have done is done by then.

There are several crews, each for one call at a time; with all of them at work a caller is alone. A process that was
forked has none of its parent's threads, and makes its own. A thread computes with the rounding mode and treatment of
subnormal numbers of the one that called. Begin with `know`.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from llvmlite import binding as llvm
from llvmlite import ir
from numba.core import cgutils

from tracegrad.compiler import forever
from tracegrad.compiler.c_functions import call

CELL = "tracegrad_crew"
_SHARE = "tracegrad_share"
_CREWS = 8
_LOOKS = 200  # for work, before a thread sleeps; each lets others run first
_ROOM = 64  # bytes, for one of `pthread_mutex_t`, `pthread_cond_t`, `fenv_t`: no system's are larger
_FIELDS = ("busy", "tickets", "working", "members", "run", "given", "environment")
_MUTEX, _GO, _DONE, _SIZE = (_ROOM * k for k in range(1, 5))  # where they stand behind the fields, and of all
_crews = (ctypes.c_char * (_SIZE * _CREWS))()
_making = threading.Lock()
_Task = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
_Share = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)


@_Share
def _first(run: int, given: int, others: int) -> None:
    """What stands in the cell until somebody calls it."""
    try:
        with _making:
            address = _made()
    except Exception as error:  # it is called by machine code, which goes on whatever happens
        warnings.warn(f"no threads share a loop: {error}", RuntimeWarning, stacklevel=2)
        _Task(run)(given)
    else:
        _cell.value = address
        _Share(address)(run, given, others)


_cell = ctypes.c_void_p(ctypes.cast(_first, ctypes.c_void_p).value)


@functools.cache
def know() -> None:
    """Tell LLVM where the address stands of the function that shares work out: `CELL`."""
    forever.keep(_first)
    forever.tell(CELL, _cell)


@functools.cache
def _made() -> int:
    """The address of the machine code of crews, which takes some 20 ms to make."""
    target = llvm.Target.from_default_triple().create_target_machine(opt=2, jit=True)
    code = llvm.parse_assembly(str(_Code(ir.Module("tracegrad_crew")).module))
    engine = llvm.create_mcjit_compiler(code, target)
    # A thread may begin, or be about to sleep, while the interpreter ends: what it runs and reads is never given back.
    forever.keep(engine, _crews)
    _begin()
    os.register_at_fork(after_in_child=_begin)
    return int(engine.get_function_address(_SHARE))


def _begin() -> None:
    """Crews without threads."""
    system = ctypes.CDLL(None)
    ctypes.memset(_crews, 0, ctypes.sizeof(_crews))
    for crew in range(ctypes.addressof(_crews), ctypes.addressof(_crews) + ctypes.sizeof(_crews), _SIZE):
        system.pthread_mutex_init(ctypes.c_void_p(crew + _MUTEX), None)
        for condition in (_GO, _DONE):
            system.pthread_cond_init(ctypes.c_void_p(crew + condition), None)


class _Code:
    """The two functions: what a caller does, and what a thread does for as long as it lives."""

    def __init__(self, module: Any) -> None:
        module.triple = llvm.get_process_triple()
        self.module = module
        self.word, self.number = ir.IntType(64), ir.IntType(32)
        self.pointer, nothing = ir.IntType(8).as_pointer(), ir.VoidType()
        self.task = ir.FunctionType(self.pointer, [self.pointer])
        self.member = ir.Function(module, self.task, "tracegrad_crew_member")
        self.member.linkage = "internal"
        self._write_member()
        taken = ir.FunctionType(nothing, [self.pointer, self.pointer, self.word])
        self._write_share(ir.Function(module, taken, _SHARE))

    def _write_share(self, function: Any) -> None:
        """`share(run, given, others)`: `run(given)` here and by `others` at most, until all have returned."""
        build = self.build = ir.IRBuilder(function.append_basic_block("entry"))
        run, given, others = function.args
        task = build.bitcast(run, self.task.as_pointer())
        environment = build.alloca(ir.ArrayType(self.word, _ROOM // 8))
        environment.align = 16
        thread = build.alloca(self.word)
        with cgutils.for_range(build, self.word(_CREWS)) as each:
            number = build.add(self.word(ctypes.addressof(_crews)), build.mul(each.index, self.word(_SIZE)))
            self.crew = build.inttoptr(number, self.pointer)
            free = build.cmpxchg(self._field("busy"), self.word(0), self.word(1), "acquire", "monotonic")
            with build.if_then(build.extract_value(free, 1)):
                self._call("fegetenv", build.bitcast(environment, self.pointer))
                self._lock()
                with cgutils.for_range(build, build.sub(others, self._load("members"))) as missing:
                    failed = self._call("pthread_create", thread, self.pointer(None), self.member, self.crew)
                    with build.if_then(build.icmp_signed("!=", failed, self.number(0))):
                        missing.do_break()  # those that there are do it
                    self._call("pthread_detach", build.load(thread))
                    self._store("members", build.add(self._load("members"), self.word(1)))
                self._store("run", build.ptrtoint(run, self.word))
                self._store("given", build.ptrtoint(given, self.word))
                self._store("environment", build.ptrtoint(environment, self.word))
                self._store("tickets", others)
                self._unlock()
                self._call("pthread_cond_broadcast", self._room(_GO))
                build.call(task, [given])
                self._lock()
                self._store("tickets", self.word(0))
                self._unlock()
                self._look(lambda: self._is_zero("working"))
                self._lock()
                with self._until(lambda: self._is_zero("working")):
                    self._call("pthread_cond_wait", self._room(_DONE), self._room(_MUTEX))
                self._unlock()
                build.store_atomic(self.word(0), self._field("busy"), "release", 8)
                build.ret_void()
        build.call(task, [given])
        build.ret_void()

    def _write_member(self) -> None:
        build = self.build = ir.IRBuilder(self.member.append_basic_block("entry"))
        self.crew = self.member.args[0]
        again = self.member.append_basic_block("again")
        build.branch(again)
        build.position_at_end(again)
        self._lock()
        with self._until(lambda: build.not_(self._is_zero("tickets"))):
            self._call("pthread_cond_wait", self._room(_GO), self._room(_MUTEX))
        self._store("tickets", build.sub(self._load("tickets"), self.word(1)))
        self._store("working", build.add(self._load("working"), self.word(1)))
        run = build.inttoptr(self._load("run"), self.task.as_pointer())
        given, environment = (
            build.inttoptr(self._load(name), self.pointer) for name in ("given", "environment")
        )
        self._unlock()
        self._call("fesetenv", environment)
        build.call(run, [given])
        self._lock()
        self._store("working", build.sub(self._load("working"), self.word(1)))
        with build.if_then(self._is_zero("working")):
            self._call("pthread_cond_signal", self._room(_DONE))
        self._unlock()
        self._look(lambda: build.not_(self._is_zero("tickets")))
        build.branch(again)

    def _look(self, seen: Callable[[], Any]) -> None:
        """Let others run until something is seen, a limited number of times."""
        with cgutils.for_range(self.build, self.word(_LOOKS)) as looks:
            with self.build.if_then(seen()):
                looks.do_break()
            self._call("sched_yield")

    @contextlib.contextmanager
    def _until(self, seen: Callable[[], Any]) -> Iterator[None]:
        build = self.build
        test, inside, end = (build.append_basic_block(name) for name in ("test", "inside", "end"))
        build.branch(test)
        build.position_at_end(test)
        build.cbranch(seen(), end, inside)
        build.position_at_end(inside)
        yield
        build.branch(test)
        build.position_at_end(end)

    def _field(self, name: str) -> Any:
        return self.build.bitcast(self._room(8 * _FIELDS.index(name)), self.word.as_pointer())

    def _room(self, offset: int) -> Any:
        return self.build.gep(self.crew, [self.word(offset)])

    def _load(self, name: str) -> Any:
        return self.build.load_atomic(self._field(name), "monotonic", 8)

    def _store(self, name: str, value: Any) -> None:
        self.build.store_atomic(value, self._field(name), "monotonic", 8)

    def _is_zero(self, name: str) -> Any:
        return self.build.icmp_signed("==", self._load(name), self.word(0))

    def _lock(self) -> None:
        self._call("pthread_mutex_lock", self._room(_MUTEX))

    def _unlock(self) -> None:
        self._call("pthread_mutex_unlock", self._room(_MUTEX))

    def _call(self, name: str, *given: Any) -> Any:
        return call(self.build, name, self.number, *given)
