"""One layout of a message, and a built-in kind for every class."""

from __future__ import annotations

import pickle

import pytest

from tracegrad import errors
from tracegrad.ir.location import Location

CLASSES = [
    (errors.NotScalarError, ValueError),
    (errors.ArgumentError, TypeError),
    (errors.NotDifferentiableError, TypeError),
    (errors.UnsupportedError, TypeError),
    (errors.LeakError, TypeError),
    (errors.InPlaceError, RuntimeError),
    (errors.BackwardError, RuntimeError),
    (errors.ShapeError, ValueError),
    (errors.InternalError, AssertionError),
]


@pytest.mark.parametrize(("kind", "builtin"), CLASSES)
def test_every_class_is_also_a_built_in_kind(kind: type[errors.TracegradError], builtin: type) -> None:
    assert issubclass(kind, errors.TracegradError) and issubclass(kind, builtin)
    assert kind.__doc__


def test_the_three_parts() -> None:
    error = errors.ShapeError("shapes (2,) and (3,) do not fit.", "model.py:3, in loss", "reshape one")
    assert str(error) == (
        "shapes (2,) and (3,) do not fit.\n  where: model.py:3, in loss\n  do:    reshape one"
    )
    assert str(errors.ShapeError("they do not fit.")) == "they do not fit."


def test_the_line_of_the_user_is_shown() -> None:
    line = test_the_line_of_the_user_is_shown.__code__.co_firstlineno
    error = errors.LeakError("it leaks.", Location(__file__, line, "f"), "copy it")
    assert str(error) == (
        f"it leaks.\n  where: test_errors.py:{line}, in f\n"
        "             def test_the_line_of_the_user_is_shown() -> None:\n  do:    copy it"
    )


def test_an_error_travels_between_processes() -> None:
    error = errors.ArgumentError("what.", "where", "do")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is errors.ArgumentError and str(back) == str(error)
