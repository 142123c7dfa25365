"""The user's line is found from wherever our code is asked."""

import functools
import inspect
import threading

import numpy as np

from tracegrad.record import frames
from tracegrad.record.frames import is_internal, user_location


class Asks:
    """Stands for one of our values: NumPy calls it back."""

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return user_location()


def here():
    return inspect.currentframe().f_back.f_lineno


def test_the_line_and_function_of_the_caller():
    found, line = user_location(), here()
    assert (found.file, found.line, found.function) == (
        __file__,
        line,
        "test_the_line_and_function_of_the_caller",
    )
    assert found.text == "found, line = user_location(), here()"


def test_numpy_s_own_frames_are_passed_over():
    assert np.exp(Asks()).function == "__array_ufunc__"
    assert is_internal(np.__file__) and is_internal(functools.__file__) and not is_internal(__file__)


def test_the_same_line_gives_the_same_location_object():
    found = [user_location() for _ in range(2)]
    assert found[0] is found[1]


def test_every_line_has_its_own():
    first = user_location()
    second = user_location()
    assert second.line == first.line + 1


def test_a_thread_has_its_own_stack():
    found = []
    inner = functools.partial(user_location)
    thread = threading.Thread(target=lambda: found.append(inner()))
    thread.start()
    thread.join()
    assert found[0].function == "<lambda>"


def test_lines_of_long_functions():
    """More of them than tables are kept, each asked in a round and again: the lines are those of the text."""
    count = 600
    text = ["def long():", *(f"    found.append((1 +\n        {k} and where()))" for k in range(count))]
    expected = [2 * k + 3 for k in range(count)]
    made = []
    for number in range(frames.TABLES + 2):
        names = {"found": [], "where": user_location}
        exec(compile("\n".join(text), f"long_{number}.py", "exec"), names)
        assert len(names["long"].__code__.co_linetable) > frames.LONG
        made.append(names)
    for _ in range(2):
        for number, names in enumerate(made):
            names["found"].clear()
            names["long"]()
            assert {where.file for where in names["found"]} == {f"long_{number}.py"}
            assert [where.line for where in names["found"]] == expected
    assert len(frames._tables) <= frames.TABLES
