"""When to compile, and when to stop: decisions that weigh speed against waiting, in one place."""

from __future__ import annotations

from tracegrad.config import config
from tracegrad.dispatch.events import Event, Log
from tracegrad.dispatch.tree import Path, TraceTree
from tracegrad.ir.location import Location
from tracegrad.ir.walk import all_steps
from tracegrad.tensor.captured import Captured

SIGNATURES = 256  # kinds of arguments one function keeps programs for


IN_A_ROW = 16  # so many new paths without a call that fits a known one, and the next calls run on the tape
LONGEST = 256  # so many calls at most, before a capture is tried again

LONG = 10_000  # steps of a trace whose text takes longer to make than a person waits
PATIENCE = 3.0  # seconds of compiling that a second call may have to wait for


def wants_native(path: Path, jit: str | None) -> bool:
    """Whether the native program should be there for this call. `jit` is the function's own option, or None.

    "auto": the readable text answers the first call, without loading Numba; a path that is used again is compiled.
    Where compiling would take long, it waits until the readable text has run for as long: then, whatever comes, no
    more than twice the best choice was paid (the ski-rental rule).
    """
    choice = jit or config.jit
    if choice == "auto" and path.ready:
        return True
    if choice != "auto" or path.calls < 1:
        return choice == "native"
    expected = path.built.outline.seconds
    return path.seconds >= expected or (expected <= PATIENCE and path.calls > path.grown)


def fits_first(path: Path, jit: str | None) -> bool:
    """Whether the readable text is tried once more before compiling: a call that leaves it would make it grow.

    Not where that takes long itself, and not where nothing is to be compiled.
    """
    waits = (jit or config.jit) == "auto" and not path.ready
    return waits and path.seconds <= 0.1 * path.calls * path.built.outline.seconds


def wants_entry(path: Path, jit: str | None) -> bool:
    """Whether an entry is to be made: the path has the tier it will keep. Never on the tape, nor where it failed."""
    if path.entry is not None or path.without_entry or path.born < 0:
        return False
    return path.tier_decided or (jit or config.jit) == "python"


def no_program(tree: TraceTree, captured: Captured) -> tuple[str, str, Location | None] | None:
    """Why a signature runs on the tape from here on: in short, in a sentence, and where; None where it does not."""
    if captured.impure is not None:
        reason, where = captured.impure
        said = f"runs on the tape, without a compiled program: {reason} ({where})."
        return reason, said, where
    if len(tree.paths) >= config.max_paths:
        split = tree.splits_most()
        most = "" if split is None else f"; most were split off at {split}: `{split.text}`"
        said = f"took {len(tree.paths)} paths and runs on the tape from here on{most}."
        return f"{len(tree.paths)} programs were not enough", said, split
    length = sum(1 for _ in all_steps(captured.trace))
    if length > LONG:
        said = f"is {length} steps long without its loops, and runs on the tape: a program would take too long to make."
        return f"a program of {length} steps would take too long to make", said, None
    return None


def is_of_one_call(tree: TraceTree, captured: Captured, log: Log, call: int) -> bool:
    """Whether the function caught what values made raise: other values may not, and nothing in the trace asks them."""
    if captured.caught is None:
        return False
    another_path(tree)
    reason, where = captured.caught
    log.add(Event("tape", f"{reason}: no program is kept of this call", call, where))
    return True


def another_path(tree: TraceTree) -> None:
    """A capture became a path of its own. Where that goes on, most of the next calls do without a capture."""
    tree.new_in_a_row += 1
    if tree.new_in_a_row >= IN_A_ROW:
        tree.on_tape_for = min(LONGEST, 2 ** (tree.new_in_a_row - IN_A_ROW + 3))


def found_again(tree: TraceTree) -> None:
    """A known path fitted, or a capture joined one: captures are worth what they cost."""
    tree.new_in_a_row = tree.on_tape_for = 0


def stays_on_tape(tree: TraceTree) -> bool:
    """Whether this call runs on the tape, without a look at the known paths."""
    if tree.needs_trace:
        return False
    if tree.on_tape is not None:
        return not any(path.built.native is not None for path in tree.candidates())
    if tree.on_tape_for > 0:
        tree.on_tape_for -= 1
        return True
    return False
