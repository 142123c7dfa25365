"""The trees of a function: one for each kind of arguments, with the programs that an earlier process kept for it.

`Keeping` is what a `Dispatcher` adds to `Looking` for remembering: in this process, and beyond it. Begin with `_tree`.
"""

from __future__ import annotations

from collections.abc import Iterator

from tracegrad.config import config
from tracegrad.dispatch.build import Built
from tracegrad.dispatch.causes import other_arguments
from tracegrad.dispatch.events import Event
from tracegrad.dispatch.looking import Looking
from tracegrad.dispatch.shelf import Shelf
from tracegrad.dispatch.signature import Call
from tracegrad.dispatch.tiers import SIGNATURES
from tracegrad.dispatch.tree import Path, TraceTree
from tracegrad.tensor.captured import Captured


class Keeping(Looking):
    """Which programs there are, and which of them are on disk."""

    mode: str
    with_value: bool
    has_aux: bool
    memory: int | None
    _numbers: Iterator[int]

    def _built(self, captured: Captured, call: Call) -> Built:
        """The program of a capture."""
        raise NotImplementedError

    def _tree(self, call: Call) -> TraceTree:
        """The tree of this signature; the one not used for longest makes room for it."""
        with self._lock:
            known = self.trees.pop(call.key, None)
            if known is None:
                known = TraceTree(call.kinds())
                if self.trees:
                    before = next(reversed(self.trees.values()))
                    self.log.add(other_arguments(before.kinds, known.kinds, self._calls))
                self._take(known, call)
            self.trees[call.key] = known
            if len(self.trees) > SIGNATURES:
                del self.trees[next(iter(self.trees))]
                said = (
                    f"was called with {SIGNATURES} kinds of arguments, and forgets the oldest; arguments that are not "
                    "numbers or arrays are part of the kind, and so are shapes."
                )
                self.log.warn(Event("signatures", said, self._calls))
            return known

    def _take(self, known: TraceTree, call: Call) -> None:
        """Programs that an earlier process kept for this signature."""
        if config.cache != "all":
            return
        signature = self.signature
        memory = self.memory or config.loop_memory
        options = (self.mode, self.with_value, self.has_aux, signature.wrt, signature.all, memory)
        known.shelf = Shelf(self.function, call, options)
        values = [leaf.value for leaf in call.leaves]
        found: list[Path] = known.shelf.take(
            values, lambda captured: self._built(captured, call), self._numbers
        )
        known.paths.extend(found)
        self.log.loads += len(found)
        for path in found:
            said = f"program {path.born + 1} was kept by an earlier process"
            self.log.add(Event("load", said, self._calls, program=path.born + 1))

    def _keep(self, known: TraceTree, path: Path) -> None:
        """A path has answered: later processes may have it."""
        shelf = known.shelf
        if shelf is None or not shelf.is_behind(path):
            return
        with self._lock:
            shelf.put(known.paths, path.tier_decided)
        if shelf.why_not is not None:
            said = f"is not kept for later processes: it depends on {shelf.why_not}"
            self.log.add(Event("not kept", said, self._calls, program=path.born + 1))
