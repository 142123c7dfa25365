"""Dispatcher: what `grad`, `value_and_grad`, `vjp`, `jvp` and `jit` return; from a call to its result.

    call -> signature -> trace tree -> a path that fits -> its program -> result
                             | none fits: capture, and the tree grows

The warm call is one generated function (`entry.py`); where it is left at a guard, the entry of the path known for
that exit is next, and the general way below comes last. Under a capture, or with arguments of an eager graph, the
derivative becomes part of what is being recorded instead: `inline.py`. Begin with `Dispatcher.__call__`.

Threads may share a dispatcher: the lock is held where the tree grows and where programs are compiled, never while the
user's code runs.
"""

from __future__ import annotations

import functools
import itertools
import threading
import time
import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tracegrad import collector
from tracegrad.dispatch.build import FITS, Built
from tracegrad.dispatch.causes import Failed, causes, not_joined
from tracegrad.dispatch.copies import Copied
from tracegrad.dispatch.entry import make_entry
from tracegrad.dispatch.events import Event, Log
from tracegrad.dispatch.keeping import Keeping
from tracegrad.dispatch.passing import MISS, UNASKED, Exit, Form
from tracegrad.dispatch.pullback import Pullback, Template
from tracegrad.dispatch.results import (
    check_unlabelled,
    derivatives,
    seeded_outputs,
    tangent_leaves,
    value_tree,
)
from tracegrad.dispatch.signature import Call, Signature, Wrt, check_complex, checked_options, with_tangents
from tracegrad.dispatch.tiers import (
    another_path,
    fits_first,
    found_again,
    is_of_one_call,
    no_program,
    stays_on_tape,
    wants_entry,
    wants_native,
)
from tracegrad.dispatch.tree import Path, TraceTree
from tracegrad.errors import BUG, ArgumentError, told
from tracegrad.later import later
from tracegrad.record.frames import user_location
from tracegrad.tensor.captured import Captured, is_capturing, under_way
from tracegrad.tensor.reads import Read
from tracegrad.tensor.redraw import put_back

if TYPE_CHECKING:
    from tracegrad.dispatch import inline, taped
    from tracegrad.record import known as known_loops
    from tracegrad.record import tape
    from tracegrad.tensor import capture as front
else:
    inline = later("tracegrad.dispatch.inline")
    taped = later("tracegrad.dispatch.taped")
    known_loops = later("tracegrad.record.known")
    tape = later("tracegrad.record.tape")
    front = later("tracegrad.tensor.capture")

RECENT = 8  # entries of so many paths are tried, before a call is looked up in the general way


class Dispatcher(Keeping, Copied):
    """A transformed function.

    Parameters
    ----------
    function : callable
    mode : "value", "gradient", "vjp", "jvp" or "jacobian"
    argnums : int, str, tuple of them, or None
    with_value : bool
        A gradient is returned with the value before it.
    has_aux : bool
        The function returns `(value, aux)`; aux is returned as it is.
    holomorphic : bool
        Value and arguments are complex, and the gradient is the complex derivative.
    jit : str or None
        "auto", "native" or "python" for this function; None follows `config.jit`.
    memory : int, str or None
        Bytes that loops may keep, as a number or as `"64MB"`; None follows `config.loop_memory`.
    label : str
        The transform's name, for messages.

    Raises
    ------
    ArgumentError : not a function, no such parameter, no such way to compile
    """

    def __new__(cls, *args: Any, **options: Any) -> Dispatcher:
        """Each has a class of its own: calling an object calls its class's `__call__`, and that is its entry."""
        own = {"__module__": cls.__module__, "__doc__": cls.__doc__}
        return super().__new__(type(cls.__name__, (cls,), own))

    def __init__(
        self,
        function: Callable[..., Any],
        mode: str,
        *,
        argnums: Wrt = None,
        with_value: bool = False,
        has_aux: bool = False,
        holomorphic: bool = False,
        jit: str | None = None,
        memory: int | str | None = None,
        label: str = "grad",
    ) -> None:
        self.memory = checked_options(function, jit, memory, label)
        functools.update_wrapper(self, function)
        self.function = function
        self.mode = mode
        self.with_value = with_value
        self.has_aux = has_aux
        self.holomorphic = holomorphic
        self.jit = jit
        self.label = label
        self.signature = Signature(function, argnums, label)
        self.log = Log(self.signature.name)
        self.trees: dict[Any, TraceTree] = {}
        self.last: Path | None = None
        self._counter = types.CellType(0)
        self._through = np.zeros(1, np.int64)
        self._recent: list[Path] = []
        self._lock = threading.RLock()
        self._numbers = itertools.count()
        self._counting = False

    def __call__(self, /, *args: Any, **keywords: Any) -> Any:
        """While there is no entry, or none that may be asked; later the entry of a path stands here."""
        self._counter.cell_contents += 1
        return self._left(UNASKED, args, keywords)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<tracegrad.{self.label} of {self.signature.name}>"

    def source(self, /, *args: Any, **keywords: Any) -> str:
        """The whole emitted module of the program for these arguments."""
        self(*args, **keywords)
        return self._shown().source.text

    # --- the fast way

    def _left(self, exit: Exit, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Answer a call that the entry in place did not: by the entry of another path, or in the general way."""
        left: dict[Path, int] = {}
        if not under_way or not is_capturing():
            result = self._other_entry(exit, left, args, keywords)
            if type(result) is not Exit:
                return result
        return self._general(args, keywords, left)

    def _other_entry(
        self, last: Exit, left: dict[Path, int], args: tuple[Any, ...], keywords: dict[str, Any]
    ) -> Any:
        """What the entry of another path answers, or `MISS`; `left` is told which paths were left at which guard."""
        tried = set() if last is UNASKED else {self.last}
        while True:
            path: Path | None = None
            if last.path is not None:
                left[last.path] = last.number
                self.log.side_exits += 1
                path = last.path.exits.get(last.number)
            if path is None or path.entry is None or path in tried:
                path = next((p for p in self._recent if p not in tried and p.entry is not None), None)
            if path is None or path.entry is None:
                return MISS
            tried.add(path)
            result = path.entry.ask(*args, **keywords)
            if type(result) is not Exit:
                _link(left, path)
                self._use(path)
                return result
            last = result

    def _use(self, path: Path) -> None:
        """This path answered last: its entry is asked first."""
        self.last = path
        if path.entry is not None and (not self._recent or self._recent[0] is not path):
            self._recent = [path, *(p for p in self._recent if p is not path)][:RECENT]
            entry = path.entry.answering(self._left, self._counter, self._through)
            type(self).__call__ = entry  # type: ignore[method-assign]

    def _forget_entries(self) -> None:
        """The programs behind them are out of date."""
        self._recent = []
        type(self).__call__ = Dispatcher.__call__  # type: ignore[method-assign]

    # --- the general way

    def _general(self, args: tuple[Any, ...], keywords: dict[str, Any], left: dict[Path, int]) -> Any:
        tangents: list[Any] = []
        if self.mode == "jvp":
            primals, directions = self._primals_and_tangents(args)
            call = self.signature.flat_call(primals, keywords)
            tangents = tangent_leaves(call, directions)
            call.given = type(args[0]), type(args[1])
            call.outer = call.outer or any(getattr(t, "recorder", None) is not None for t in tangents)
        else:
            call = self.signature.flat_call(args, keywords)
        if self.holomorphic:
            check_complex(call, self.label)
        if self.mode == "jacobian":
            check_unlabelled(call)
        call.tangents.extend(tangents)
        if call.outer or is_capturing():
            return self._inline(self._captured(call), call)
        known = self._tree(call)
        if self.mode in ("gradient", "value") and stays_on_tape(known):
            try:
                return self._taped(call)
            except tape.NotOnTape:
                known.needs_trace = True
        failed: list[Failed] = []
        found = self._run_known(known, call, left, failed)
        return self._capture(known, call, left, failed) if found is MISS else found

    def _primals_and_tangents(self, args: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any]:
        if len(args) != 2 or not all(isinstance(a, (tuple, list)) for a in args):
            raise ArgumentError(
                "`jvp` takes a sequence of primals and a sequence of tangents, one of each an argument.",
                user_location(),
                "write jvp(f, (x, y), (x_dot, y_dot))",
            )
        primals, tangents = args
        return tuple(primals), tuple(tangents)

    def _run_known(self, known: TraceTree, call: Call, left: dict[Path, int], failed: list[Failed]) -> Any:
        """Run the first path that fits; `MISS` if none does.

        Paths in `left` were run, and left there: it grows. `failed` gets what did not fit in each path.
        """
        values = [leaf.value for leaf in call.leaves]
        tried: set[Path] = set()
        queue = known.candidates()
        while queue:
            path = queue.pop(0)
            if path in tried:
                continue
            tried.add(path)
            code = left.get(path)
            if code is None:
                inputs = path.inputs(values)
                if isinstance(inputs, Read):
                    failed.append((path, inputs))
                    continue
                saved = path.draw(values, inputs)
                if saved is None:
                    continue
                inputs.extend(call.tangents)
                try:
                    flat = self._run(path, inputs)
                except Exception as error:
                    put_back(saved)
                    failed.append((path, told(error)))
                    return MISS  # the capture raises it, in NumPy's words and with the user's line; or it is ours
                if flat[0] == FITS:
                    _link(left, path)
                    with self._lock:
                        known.touch(path)
                        found_again(known)
                    self._keep(known, path)
                    return self._finish(path, call, flat)
                put_back(saved)
                code = left[path] = flat[0]
                self.log.side_exits += 1
            failed.append((path, code))
            if code in path.exits:
                queue.insert(0, path.exits[code])
        return MISS

    def _run(self, path: Path, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """Run a path's program in the tier it has, or is due to get."""
        built = path.built
        due = built.native is None and not path.tier_decided and wants_native(path, self.jit)
        after = due and fits_first(path, self.jit)
        if due and not after:
            self._compile(path)
        path.calls += 1
        if built.native is not None:
            flat = built.run_native(path.native_inputs(inputs))
        else:
            built.write()  # making the text is no part of what running it costs
            start = time.perf_counter()
            flat = built.run_python(inputs)
            path.seconds += time.perf_counter() - start
            if after and flat[0] == FITS:
                self._compile(path)
                built.learn(path.native_inputs(inputs))
        if self._counting and flat[0] == FITS:
            path.count(inputs)
        return flat

    def _compile(self, path: Path) -> None:
        with self._lock:
            if path.tier_decided:  # another thread was here
                return
            path.entry = None
            if not path.built.compile():
                said, kind = f"stays NumPy: {'; '.join(path.built.reasons or ())}", "numpy"
            elif path.ready and path.built.was_kept:
                said, kind = "the machine code was kept by an earlier process", "load"
            else:
                self.log.compiles += 1
                said, kind = "the native program is ready", "compile"
            self.log.add(Event(kind, said, self._calls, program=path.born + 1))
            path.tier_decided = True

    def _capture(self, known: TraceTree, call: Call, left: dict[Path, int], failed: Sequence[Failed]) -> Any:
        """Run the user's function once, and keep what it did."""
        captured = self._captured(call)
        if inline.has_outer(captured):
            return inline.without_tensors(self._inline(captured, call))
        seeded = self._seeded(captured)
        path: Path | None = None
        failed_by: Exception | None = None
        try:
            with self._lock:
                self.log.captures += 1
                path = self._grown(known, captured, call, failed)
            flat = None if path is None else self._run_captured(path, captured, call, left)
        except Exception as error:
            flat, failed_by = None, error
        if path is None or flat is None:
            answer, also = self._on_tape(captured, call, seeded)  # raises an error that is the user's
            if (failed_by := failed_by or also) is not None:
                self._give_up(known, path, failed_by)
            return answer
        self._keep(known, path)
        return self._finish(path, call, flat)

    def _run_captured(
        self, path: Path, captured: Captured, call: Call, left: dict[Path, int]
    ) -> tuple[Any, ...] | None:
        """What the program of a capture gives on the values of that capture; None where it does not fit them."""
        _link(left, path)
        inputs = path.inputs([leaf.value for leaf in call.leaves])
        if isinstance(inputs, Read):  # another thread changed it since
            return None
        path.fill(inputs, captured.drawn)
        inputs.extend(call.tangents)
        flat = self._run(path, inputs)
        # It may disagree with its own capture in the last bit of a condition: the capture is the truth.
        return flat if flat[0] == FITS else None

    def _grown(
        self,
        known: TraceTree,
        captured: Captured,
        call: Call,
        failed: Sequence[Failed],
    ) -> Path | None:
        """The path that this capture became, or joined; None where this signature runs on the tape."""
        why_not = None if known.on_tape is not None else no_program(known, captured)
        if why_not is not None:
            reason, said, where = why_not
            known.on_tape = reason, where
            self.log.warn(Event("tape", said, self._calls, where))
        if known.on_tape is not None or is_of_one_call(known, captured, self.log, self._calls):
            return None
        why = causes(failed, captured, call.leaves, self._calls)
        for event in why:
            self.log.add(event)
        path, apart = known.grow(captured, lambda c: self._built(c, call), self._numbers)
        if apart is None:
            found_again(known)
            self._forget_entries()
            self.log.add(Event("merge", "the new arm joins its program", self._calls, program=path.born + 1))
        else:
            another_path(known)
            path.split = next((event.where for event in why if event.where is not None), None)
            kinds = f", for {call.kinds_text()}" if call.leaves and len(known.paths) == 1 else ""
            said = f"a new program{kinds}{not_joined(apart, failed)}"
            self.log.add(Event("capture", said, self._calls, program=path.born + 1))
        return path

    def _built(self, captured: Captured, call: Call) -> Built:
        places, seeded = self._wrt_places(captured, call), self._seeded(captured)
        valued = self.mode != "gradient" or self.with_value or self.has_aux
        return Built(self.mode, lambda: captured.trace, places, seeded, memory=self.memory, valued=valued)

    def _on_tape(self, captured: Captured, call: Call, seeded: Sequence[int]) -> tuple[Any, Exception | None]:
        """The answer of a capture without its program, and the error of ours that a pass raised."""
        places = self._wrt_places(captured, call)
        once, flat, failed_by = taped.answered_once(captured, call, self.mode, places, seeded, self.memory)
        return self._finish(once, call, flat), failed_by

    def _give_up(self, known: TraceTree, path: Path | None, error: Exception) -> None:
        """A program cannot be made, or raises what the steps of its capture do not: calls do without it."""
        self.log.failed("is computed without its program", error, self._calls)
        with self._lock:
            known.give_up(path, BUG)
            self._forget_entries()

    @collector.seldom_full()
    def _taped(self, call: Call) -> Any:
        """A call on the tape."""
        captured, flat = taped.taped_gradient(self.function, call, self.signature.name, self._seeded)
        self.log.captures += 1
        return self._returned(captured, call, [FITS, *flat])

    @functools.cached_property
    def _loops(self) -> known_loops.KnownLoops:
        """Loops that captures of this function recorded."""
        return known_loops.KnownLoops()

    @collector.seldom_full()
    def _captured(self, call: Call) -> Captured:
        return front.capture(self.function, call.leaves, call.rebuild, self.signature.name, self._loops)

    def _inline(self, captured: Captured, call: Call) -> Any:
        """The call as part of what is being recorded: a capture around it, or a graph of eager tensors."""
        if self.mode == "jvp":
            return inline.push_inline(captured, call, call.tangents)
        single = self._single(call)
        value, rest = inline.run_inline(captured, call, self.mode, self._seeded(captured), self.memory)
        if self.mode == "value":
            return value
        if callable(rest):
            pull = rest
            return value, lambda cotangent: inline.rebuilt(call, pull(cotangent), single)
        gradient = inline.rebuilt(call, rest, single, in_kind=self.mode != "jacobian")
        return self._asked(lambda: value, gradient)

    def _single(self, call: Call) -> bool:
        """Whether the derivative of the one argument is returned itself, instead of a tuple."""
        return len(call.groups) == 1 if self.signature.all else self.signature.single

    def _seeded(self, captured: Captured) -> tuple[int, ...]:
        return seeded_outputs(captured, self.mode, self.has_aux, self.label, self.function, self.holomorphic)

    def _wrt_places(self, captured: Captured, call: Call) -> list[int]:
        """The trace inputs of the differentiated leaves, in order."""
        where = {source: i for i, source in enumerate(captured.sources) if isinstance(source, int)}
        return [where[place] for _, places in call.groups for place in places]

    # --- results

    def _finish(self, path: Path, call: Call, flat: Sequence[Any]) -> Any:
        """What the user gets of the results of a program."""
        asked = with_tangents(call) if self.mode == "jvp" else call
        if asked is not None and not self._counting and wants_entry(path, self.jit):
            form = Form(
                self.mode,
                self.with_value,
                self.has_aux,
                self._single(call),
                self._seeded(path.captured),
                self.jit is None and not path.tier_decided,
            )
            try:
                parameters = None if self.mode == "jvp" else self.signature.parameters
                path.entry = make_entry(path, asked, form, parameters)
            except Exception as error:
                path.without_entry = True
                self.log.failed("has no fast way in, and takes longer to call", error, self._calls)
        self._use(path)
        if self.mode == "vjp":
            captured = path.captured
            count = 1 + len(captured.outputs)
            template = Template(path, call, self._seeded(captured), self._single(call))
            return value_tree(captured, flat[1:count]), Pullback(template, flat[count:])
        return self._returned(path.captured, call, flat)

    def _returned(self, captured: Captured, call: Call, flat: Sequence[Any]) -> Any:
        count = 1 + len(captured.outputs)
        if self.mode == "value":
            return value_tree(captured, flat[1:count])
        if self.mode == "jvp":
            return value_tree(captured, flat[1:count]), value_tree(captured, flat[count:])
        gradient = derivatives(call, flat[count:], self._single(call), self.mode == "jacobian")
        return self._asked(lambda: value_tree(captured, flat[1:count]), gradient)

    def _asked(self, value: Callable[[], Any], gradient: Any) -> Any:
        """What the user asked for beside the gradient, with it; a value that nobody asked for need not be there."""
        if self.with_value:
            return value(), gradient
        return (gradient, value()[1]) if self.has_aux else gradient


def _link(left: dict[Path, int], path: Path) -> None:
    """Where these paths were left, this one took over."""
    for other, number in left.items():
        if other is not path:
            other.exits[number] = path
