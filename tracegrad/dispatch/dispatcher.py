"""Dispatcher: what `grad`, `value_and_grad`, `vjp`, `jvp` and `jit` return; from a call to its result.

    call -> signature -> trace tree -> a path that fits -> its program -> result
                             | none fits: capture, and the tree grows

Under a capture, or with arguments that belong to an eager graph, the derivative becomes part of what is being
recorded instead: `inline.py`. Begin with `Dispatcher.__call__`.
"""

from __future__ import annotations

import functools
import threading
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracegrad import tree
from tracegrad.dispatch.build import FITS, Built, function_text
from tracegrad.dispatch.entry import MISS, make_entry
from tracegrad.dispatch.events import Event, Log, Stats
from tracegrad.dispatch.explain import story
from tracegrad.dispatch.inline import push_inline, rebuilt, run_inline
from tracegrad.dispatch.paths import paths_text
from tracegrad.dispatch.results import (
    cotangent_leaves,
    gradient_leaf,
    seeded_outputs,
    tangent_leaves,
    value_tree,
)
from tracegrad.dispatch.signature import Call, Signature, Wrt
from tracegrad.dispatch.tiers import gives_up, wants_native
from tracegrad.dispatch.tree import Path, TraceTree
from tracegrad.errors import ArgumentError
from tracegrad.ir.interpret import interpret
from tracegrad.ir.text import text
from tracegrad.ir.types import type_of
from tracegrad.record.frames import user_location
from tracegrad.tensor.capture import Captured, capture, is_capturing
from tracegrad.tensor.reads import Read


class Dispatcher:
    """A transformed function.

    Parameters
    ----------
    function : callable
    mode : "value", "gradient", "vjp" or "jvp"
    argnums : int, str, tuple of them, or None
    with_value : bool
        A gradient is returned with the value before it.
    has_aux : bool
        The function returns `(value, aux)`; aux is returned as it is.
    jit : str or None
        "auto", "native" or "python" for this function; None follows `config.jit`.
    label : str
        The transform's name, for messages.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        mode: str,
        *,
        argnums: Wrt = None,
        with_value: bool = False,
        has_aux: bool = False,
        jit: str | None = None,
        label: str = "grad",
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.mode = mode
        self.with_value = with_value
        self.has_aux = has_aux
        self.jit = jit
        self.label = label
        self.signature = Signature(function, argnums, label)
        self.log = Log(self.signature.name)
        self.trees: dict[Any, TraceTree] = {}
        self.last: Path | None = None
        self._calls = 0
        self._entry: Callable[..., Any] | None = None
        self._lock = threading.RLock()

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        self._calls += 1
        entry = self._entry
        if entry is not None and not keywords and not is_capturing():
            try:
                result = entry(*args)
            except TypeError:
                result = MISS  # another number of arguments
            if result is not MISS:
                return result
        return self._general(args, keywords)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<tracegrad.{self.label} of {self.signature.name}>"

    # --- the general way
    # ----------------------------------------------------------------------------------------------------

    def _general(self, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        tangents: list[Any] = []
        if self.mode == "jvp":
            primals, directions = self._primals_and_tangents(args, keywords)
            call = self.signature.flat_call(primals, {})
            tangents = tangent_leaves(call, directions)
            call.outer = call.outer or any(getattr(t, "recorder", None) is not None for t in tangents)
        else:
            call = self.signature.flat_call(args, keywords)
        if call.outer or is_capturing():
            return self._inline(call, tangents)
        call.tangents.extend(tangents)
        with self._lock:
            known = self.trees.get(call.key)
            if known is None:
                known = self.trees[call.key] = TraceTree()
            found = self._run_known(known, call)
            if found is None:
                found = self._capture(known, call)
            return found

    def _primals_and_tangents(
        self, args: tuple[Any, ...], keywords: dict[str, Any]
    ) -> tuple[tuple[Any, ...], Any]:
        if keywords or len(args) != 2 or not all(isinstance(a, (tuple, list)) for a in args):
            raise ArgumentError(
                "`jvp` takes a sequence of primals and a sequence of tangents, one of each an argument.",
                user_location(),
                "write jvp(f, (x, y), (x_dot, y_dot))",
            )
        primals, tangents = args
        return tuple(primals), tuple(tangents)

    def _run_known(self, known: TraceTree, call: Call) -> Any:
        """Run the first path that fits; None if none does."""
        values = [leaf.value for leaf in call.leaves]
        tried: set[Path] = set()
        queue = list(known.paths)
        left: tuple[Path, int] | None = None
        while queue:
            path = queue.pop(0)
            if path in tried:
                continue
            tried.add(path)
            inputs = path.inputs(values)
            if isinstance(inputs, Read):
                self.log.add("changed", f"`{inputs}` is no longer what it was")
                continue
            inputs.extend(call.tangents)
            flat = self._run(path, inputs)
            if flat[0] == FITS:
                if left is not None:
                    left[0].exits[left[1]] = path
                known.touch(path)
                return self._finish(path, call, flat, inputs)
            self.log.side_exits += 1
            self.log.add("side exit", _failed_guard(path, flat[0]))
            left = (path, flat[0])
            if flat[0] in path.exits:
                queue.insert(0, path.exits[flat[0]])
        return None

    def _run(self, path: Path, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """Run a path's program in the tier it has, or is due to get."""
        built = path.built
        if built.native is None and not path.tier_decided and wants_native(path, self.jit):
            path.tier_decided = True
            if built.compile():
                self.log.compiles += 1
                self.log.add("compile", "the native program is ready")
            else:
                self.log.add("compile", f"stays NumPy: {'; '.join(built.reasons or ())}")
        path.calls += 1
        if built.native is not None:
            flat: tuple[Any, ...] = built.native(*path.native_inputs(inputs))
            return flat
        return built.run_python(inputs)

    def _capture(self, known: TraceTree, call: Call) -> Any:
        """Run the user's function once, and keep what it did."""
        self.log.captures += 1
        captured = capture(self.function, call.leaves, call.rebuild, self.signature.name)
        places = self._wrt_places(captured, call)
        seeded = self._seeded(captured)
        if captured.impure is not None:
            reason, where = captured.impure
            known.on_tape = f"{reason} ({where})"
            self.log.warn("tape", f"runs on the tape, without a compiled program: {reason} ({where}).")
        elif known.on_tape is None and gives_up(known):
            last = known.paths[0].built.guards
            where = last[-1].location if last else None
            known.on_tape = f"{len(known.paths)} paths"
            self.log.warn(
                "tape",
                f"took {len(known.paths)} paths and runs on the tape from here on; the last split is at {where}.",
            )
        if captured.impure is not None or known.on_tape is not None:
            return self._on_tape(captured, call, places, seeded)
        path, merged = known.grow(
            captured, lambda c: Built(self.mode, c.trace, self._wrt_places(c, call), seeded)
        )
        what = (
            "an arm taken for the first time joins its program"
            if merged
            else f"a new path, for {_types(call)}"
        )
        self.log.add("capture", what)
        inputs = path.inputs([leaf.value for leaf in call.leaves])
        assert not isinstance(inputs, Read)
        inputs.extend(call.tangents)
        flat = self._run(path, inputs)
        if flat[0] != FITS:
            # The program disagrees with its own capture in the last bit of a condition: the capture is the truth.
            return self._on_tape(captured, call, places, seeded)
        return self._finish(path, call, flat, inputs)

    def _on_tape(self, captured: Captured, call: Call, places: Sequence[int], seeded: Sequence[int]) -> Any:
        """One capture's own derivative, interpreted: no slower than define-by-run."""
        path = Path(captured, lambda c: Built(self.mode, c.trace, places, seeded, once=True))
        values = [leaf.value for leaf in call.leaves]
        inputs = [
            values[s] if isinstance(s, int) else s.found if isinstance(s, Read) else s
            for s in captured.sources
        ]
        inputs.extend(call.tangents)
        with np.errstate(all="ignore"):
            flat = (FITS, *interpret(path.built.plan.forward, inputs))
            if self.mode == "gradient":
                assert path.built.plan.backward is not None
                outputs = path.built.plan.outputs
                flat = (*flat[: 1 + outputs], *interpret(path.built.plan.backward, flat[1 + outputs :]))
        path.tier_decided = True
        return self._finish(path, call, flat, inputs, fast=False)

    def _inline(self, call: Call, tangents: Sequence[Any]) -> Any:
        """The call as part of what is being recorded."""
        if self.mode == "jvp":
            return push_inline(self.function, call, tangents, self.signature.name)
        single = self._single(call)
        value, rest = run_inline(
            self.function, call, self.mode, self.signature.name, self.has_aux, self.label
        )
        if self.mode == "value":
            return value
        if callable(rest):
            pull = rest
            return value, lambda cotangent: rebuilt(call, pull(cotangent), single)
        gradient = rebuilt(call, rest, single)
        return (value, gradient) if self.with_value else self._without_value(value, gradient)

    def _single(self, call: Call) -> bool:
        """Whether the derivative of the one argument is returned itself, instead of a tuple."""
        return len(call.groups) == 1 if self.signature.all else self.signature.single

    def _seeded(self, captured: Captured) -> tuple[int, ...]:
        return seeded_outputs(captured, self.mode, self.has_aux, self.label, self.function)

    def _wrt_places(self, captured: Captured, call: Call) -> list[int]:
        """The trace inputs of the differentiated leaves, in order."""
        where = {source: i for i, source in enumerate(captured.sources) if isinstance(source, int)}
        return [where[place] for _, places in call.groups for place in places]

    # --- results
    # ------------------------------------------------------------------------------------------------------------

    def _finish(
        self, path: Path, call: Call, flat: Sequence[Any], inputs: Sequence[Any], fast: bool = True
    ) -> Any:
        self.last = path
        captured = path.captured
        count = len(captured.trace.outputs)
        outputs = flat[1 : 1 + count]
        if self.mode == "vjp":
            return self._pullback(path, call, outputs, flat[1 + count :], inputs)
        value = value_tree(captured, outputs)
        if self.mode == "jvp":
            return value, value_tree(captured, flat[1 + count :])
        self._entry = path.entry if fast else None
        if fast and path.entry is None and path.built.native is not None:
            self._entry = path.entry = self._make_entry(path, call)
        if self.mode == "value":
            return value
        gradients = iter(flat[1 + count :])
        parts = [
            tree.unflatten(structure, [gradient_leaf(next(gradients), call.leaves[p].value) for p in places])
            for structure, places in call.groups
        ]
        gradient = parts[0] if self._single(call) else tuple(parts)
        return (value, gradient) if self.with_value else self._without_value(value, gradient)

    def _without_value(self, value: Any, gradient: Any) -> Any:
        return (gradient, value[1]) if self.has_aux else gradient

    def _make_entry(self, path: Path, call: Call) -> Any:
        """The fast way, where each argument is one leaf given by position."""
        plain = all(
            part is None for _, part, _ in (k for k in call.key if isinstance(k, tuple) and len(k) == 3)
        )
        if not plain or self.has_aux or self.mode not in ("value", "gradient"):
            return None
        if any(isinstance(k, tuple) and len(k) == 3 and k[0] is not None for k in call.key):
            return None
        places = [place for _, places in call.groups for place in places]
        return make_entry(path, call.leaves, places, self.signature.single, self.with_value)

    def _pullback(
        self, path: Path, call: Call, outputs: Sequence[Any], residuals: Sequence[Any], inputs: Sequence[Any]
    ) -> Any:
        from_caller = {id(x) for x in inputs if isinstance(x, np.ndarray)}
        kept = [np.array(r) if id(r) in from_caller else r for r in residuals]
        seeded = self._seeded(path.captured)
        return value_tree(path.captured, outputs), Pullback(self, path, call, kept, seeded)

    # --- looking inside
    # -----------------------------------------------------------------------------------------------------

    def _shown(self) -> Built:
        if self.last is None:
            raise AttributeError(
                f"`{self.signature.name}` has not been called yet: there is no program to show"
            )
        return self.last.built

    @property
    def forward_source(self) -> str:
        """The emitted forward function of the program used last."""
        return function_text(self._shown().source, 0)

    @property
    def backward_source(self) -> str:
        """The emitted backward function of the program used last."""
        if self._shown().backward is None:
            raise AttributeError(f"`{self.label}` has no backward function; `forward_source` is all of it")
        return function_text(self._shown().source, 1)

    @property
    def native_source(self) -> str:
        """The text that Numba compiles, of the program used last."""
        built = self._shown()
        made = built.native_source()
        return made.text if made is not None else "# no native text: " + "; ".join(built.reasons or ())

    @property
    def trace(self) -> str:
        """The captured trace behind the program used last, printed."""
        self._shown()
        assert self.last is not None
        return text(self.last.captured.trace)

    @property
    def stats(self) -> Stats:
        """Counts: calls, captures, compiles, side exits."""
        return Stats(self._calls, self.log.captures, self.log.compiles, self.log.side_exits)

    @property
    def paths(self) -> str:
        """The known paths as a tree: a line a condition, with the user's text, and what became of it."""
        return paths_text(self.trees)

    def explain(self) -> str:
        """What this function did and why: counts, paths, events in order, and what was not generalised."""
        notes: list[str] = []
        for known in self.trees.values():
            for path in known.paths:
                notes.extend(_note(said, where) for said, where in path.captured.notes)
                notes.extend(f"stays NumPy: {reason}" for reason in path.built.reasons or ())
        events = [*self.log.events, *(Event("straight", note) for note in dict.fromkeys(notes))]
        return story(self.signature.name, self.stats, events, self.paths)

    def source(self, *args: Any, **keywords: Any) -> str:
        """The whole emitted module of the program for these arguments."""
        self(*args, **keywords)
        return self._shown().source.text


class Pullback:
    """The pullback of one `vjp` call: cotangents of the result to cotangents of the arguments. May be called again."""

    def __init__(
        self, owner: Dispatcher, path: Path, call: Call, residuals: Sequence[Any], seeded: Sequence[int]
    ) -> None:
        self._owner, self._path, self._call = owner, path, call
        self._residuals, self._seeded = residuals, seeded

    def __call__(self, cotangent: Any) -> Any:
        """Cotangents of the differentiated arguments, with their structure."""
        bars = cotangent_leaves(self._path.captured, self._seeded, cotangent)
        built = self._path.built
        if any(getattr(bar, "recorder", None) is not None for bar in bars):
            assert built.plan.backward is not None
            gradients = iter(interpret(built.plan.backward, [*self._residuals, *bars]))
        else:
            gradients = iter(built.pull_python(self._residuals, bars))
        parts = [
            tree.unflatten(
                structure, [gradient_leaf(next(gradients), self._call.leaves[p].value) for p in places]
            )
            for structure, places in self._call.groups
        ]
        return parts[0] if self._owner._single(self._call) else tuple(parts)

    @property
    def backward_source(self) -> str:
        """The emitted backward function."""
        return function_text(self._path.built.source, 1)


def _note(text: str, where: Any) -> str:
    return text if where is None else f"{where}: {text}"


def _types(call: Call) -> str:
    """The arguments of a call in a few words."""
    parts = []
    for leaf in call.leaves:
        if leaf.role == "static":
            parts.append(f"{leaf.name}={leaf.value!r:.30}")
        else:
            parts.append(f"{leaf.name}: {type_of(leaf.value)}")
    return ", ".join(parts)


def _failed_guard(path: Path, code: int) -> str:
    guard = path.built.guards[code]
    where = "" if guard.location is None else f"{guard.location}: `{guard.location.text}` "
    return f"{where}was {guard.expected!r:.40} and is not"


@functools.lru_cache(maxsize=256)
def cached_dispatcher(
    function: Callable[..., Any], mode: str, argnums: Wrt, jit: str | None, label: str
) -> Dispatcher:
    """The dispatcher of a transform that is called with the function each time, `vjp(f, x)`."""
    return Dispatcher(function, mode, argnums=argnums, jit=jit, label=label)
