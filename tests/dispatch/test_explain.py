"""The story of a dispatcher's log, to the letter."""

from __future__ import annotations

from tracegrad.dispatch.events import Event, Stats
from tracegrad.dispatch.explain import story


def test_a_story_has_counts_paths_and_events_in_order() -> None:
    events = [
        Event("capture", "the first call with f8[2]"),
        Event("side exit", "model.py:4, in loss: `x > 0` was True, is False"),
        Event("side exit", "model.py:4, in loss: `x > 0` was True, is False"),
        Event("compile", "loss for f8[2]"),
    ]
    told = story(
        "loss", Stats(calls=9, captures=1, compiles=1, side_exits=2), events, "if x > 0:\n  True: known\n"
    )
    assert told == (
        "`loss`: 9 calls, 1 capture, 1 compile, 2 side exits.\n"
        "\n"
        "Paths known now:\n"
        "  if x > 0:\n"
        "    True: known\n"
        "\n"
        "What happened, oldest first:\n"
        "  capture    the first call with f8[2]\n"
        "  side exit  model.py:4, in loss: `x > 0` was True, is False (2 times)\n"
        "  compile    loss for f8[2]"
    )


def test_before_the_first_call_it_says_so() -> None:
    told = story("loss", Stats(0, 0, 0, 0), [])
    assert told.endswith("Nothing was captured yet: it has not been called.")


def test_a_long_event_is_wrapped_under_itself() -> None:
    told = story("loss", Stats(1, 1, 0, 0), [Event("capture", "word " * 40)])
    assert max(map(len, told.splitlines())) <= 88
    assert all(line.startswith("           word") for line in told.splitlines()[4:])
