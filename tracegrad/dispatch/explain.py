"""What a function did and why, as text a person reads: what they want to know first stands first.

Counts, the tree of programs, what was not generalised and the events of the log come in, text goes out; nothing is
decided here. Begin with `story`.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Callable, Sequence

from tracegrad.dispatch.events import CAUSES, Event, Stats
from tracegrad.ir.location import Location

WIDTH = 100
MOST_CALLS = 20


def story(
    name: str,
    stats: Stats,
    programs: str,
    straight: Sequence[str],
    events: Sequence[Event],
    place: Callable[[Location], str],
) -> str:
    """The counts in a sentence, the programs, what stays a path and why, and what happened call by call.

    Parameters
    ----------
    name : str
        What the user calls the function.
    stats : Stats
    programs : str
        The tree of programs; empty before the first call.
    straight : sequence of str
        Why loops and branches were not generalised, a sentence each.
    events : sequence of Event, oldest first
    place : callable
        How a line is called.
    """
    parts = [f"`{name}`: {counts(stats)}."]
    if programs:
        parts.append(programs)
    if straight:
        parts.append(
            "\n".join(["Not generalised, so each way through is a program of its own:", *listed(straight)])
        )
    if events:
        parts.append("\n".join(["What happened:", *calls(events, place)]))
    else:
        parts.append("Nothing was captured yet: it has not been called.")
    return "\n\n".join(parts)


def counts(stats: Stats) -> str:
    """`12 calls, 2 captures, 1 compile, 1 side exit`; and what was loaded, if anything was."""
    named = (
        ("call", stats.calls),
        ("capture", stats.captures),
        ("compile", stats.compiles),
        ("side exit", stats.side_exits),
        *((("load", stats.loads),) if stats.loads else ()),
    )
    return ", ".join(f"{number:,} {word}{'' if number == 1 else 's'}" for word, number in named)


def listed(sentences: Sequence[str]) -> list[str]:
    """One entry a sentence, wrapped."""
    return [line for said in sentences for line in _wrapped(said, "  ", "    ")]


def calls(events: Sequence[Event], place: Callable[[Location], str]) -> list[str]:
    """One entry a call: why no program fitted, and what was done; of very many, the first and the last."""
    found = [
        (str(number), _entry(list(group), place))
        for number, group in itertools.groupby(events, key=lambda e: e.call)
    ]
    left_out = len(found) - MOST_CALLS
    if left_out > 0:
        half = MOST_CALLS // 2
        found = [*found[:half], ("...", f"{left_out} more"), *found[-half:]]
    column = max(len(number) for number, _ in found)
    return [
        line
        for number, said in found
        for line in _wrapped(said, f"  call {number:>{column}}  ", " " * (column + 9))
    ]


def _entry(events: Sequence[Event], place: Callable[[Location], str]) -> str:
    why = [e for e in events if e.kind in CAUSES]
    # What the program used last assumed: a person wants to know why, not everything that was not so.
    said = [f"{'' if e.where is None else place(e.where) + ': '}{e.text}" for e in why[:1]]
    done = [_done(e) for e in events if e.kind not in CAUSES]
    return " -> ".join(part for part in ("; ".join(said), "; ".join(done)) if part)


def _done(event: Event) -> str:
    if event.kind == "capture":
        return f"captured: {event.text.replace('a new program', f'program {event.program}')}"
    if event.kind == "merge":
        return f"captured: {event.text.replace('its program', f'program {event.program}')}"
    if event.kind == "compile":
        return f"compiled program {event.program}"
    if event.kind == "numpy":
        return f"program {event.program} {event.text}"
    if event.kind == "tape":
        return event.text.removesuffix(".")
    return event.text


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
