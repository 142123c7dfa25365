"""Why a function was captured, compiled or left: the events of its log as text a person reads.

Counts and events come in from the dispatcher, text goes out; nothing is decided here. Begin with `story`.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence

from tracegrad.dispatch.events import Event, Stats

WIDTH = 88


def story(name: str, stats: Stats, events: Sequence[Event], paths: str = "") -> str:
    """The counts in a sentence, the known paths, and what happened in order.

    Parameters
    ----------
    name : str
        What the user calls the function.
    stats : Stats
    events : sequence of Event, oldest first
    paths : str
        The tree of paths, one line a fork; empty before the first call.
    """
    parts = [f"`{name}`: {counts(stats)}."]
    if paths:
        parts.append("Paths known now:\n" + textwrap.indent(paths.rstrip("\n"), "  "))
    if events:
        parts.append("What happened, oldest first:\n" + "\n".join(lines(events)))
    else:
        parts.append("Nothing was captured yet: it has not been called.")
    return "\n\n".join(parts)


def counts(stats: Stats) -> str:
    """`12 calls, 2 captures, 1 compile, 1 side exit`."""
    named = (
        ("call", stats.calls),
        ("capture", stats.captures),
        ("compile", stats.compiles),
        ("side exit", stats.side_exits),
    )
    return ", ".join(f"{number} {word}{'' if number == 1 else 's'}" for word, number in named)


def lines(events: Sequence[Event]) -> list[str]:
    """One entry an event, equal neighbours counted; the kind stands in a column of its own."""
    column = max(len(event.kind) for event in events) + 2
    found = []
    for event, repeated in itertools.groupby(events):
        times = len(list(repeated))
        text = event.text if times == 1 else f"{event.text} ({times} times)"
        first, *rest = text.splitlines() or [""]
        wrapped = textwrap.wrap(
            first, WIDTH - column - 2, break_long_words=False, break_on_hyphens=False
        ) or [""]
        found.append(f"  {event.kind:<{column}}{wrapped[0]}")
        found += [f"  {'':<{column}}{line}" for line in (*wrapped[1:], *rest)]
    return found
