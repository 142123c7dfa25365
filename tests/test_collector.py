"""When garbage is looked for: it is looked for again afterwards, and the user's own settings stay."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator

import pytest

import tracegrad as tg
from tracegrad.collector import SELDOM, paused, seldom_full


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.enable()


class Knot:
    """An object in a cycle."""

    def __init__(self) -> None:
        self.itself = self


def test_a_pause_ends_with_an_error_too_and_leaves_a_disabled_collector_alone() -> None:
    with paused(), paused():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(KeyError), paused():
        raise KeyError
    assert gc.isenabled()
    gc.disable()
    with paused():
        pass
    assert not gc.isenabled()


def test_full_collections_are_seldom_in_the_outermost_and_until_its_end() -> None:
    young, middle, full = before = gc.get_threshold()
    with pytest.raises(KeyError), seldom_full():
        with seldom_full():
            assert gc.get_threshold() == (young, middle, SELDOM * full)
        assert gc.get_threshold() == (young, middle, SELDOM * full)
        raise KeyError
    assert gc.get_threshold() == before


def test_thresholds_that_are_set_meanwhile_stay() -> None:
    with seldom_full():
        gc.set_threshold(500, 5, 5)
    assert gc.get_threshold() == (500, 5, 5)


def test_two_threads_that_end_in_any_order_leave_it_as_it_was() -> None:
    before = gc.get_threshold()
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with seldom_full():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with seldom_full():
        thread.start()
        assert inside.wait(10)
    assert gc.get_threshold()[2] == SELDOM * before[2]
    leave.set()
    thread.join()
    assert gc.get_threshold() == before


def test_young_garbage_of_a_function_is_found_while_it_is_recorded() -> None:
    found = []

    def littering(x: float) -> float:
        y = x
        for k in range(3_000):  # its knots are no steps
            knot = Knot()
            if k in (0, 1_000):  # one of them is not there just when garbage is looked for
                weakref.finalize(knot, found.append, True)
        alive.append(not found)
        return y * y

    alive: list[bool] = []
    assert tg.grad(littering, jit="python")(3.0) == 6.0
    assert found and alive == [False]
