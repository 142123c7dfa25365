"""Code of strangers, unchanged: value and gradient in both modes against differences, first call and warm."""

from __future__ import annotations

import copy
import pickle
import time
import warnings

import numpy as np
import pytest

import tracegrad as tg
from tests.programs import strangers, strangers_idioms, strangers_more
from tracegrad.ir.verify import verify

PROGRAMS = [
    *strangers.PROGRAMS,
    *strangers_more.PROGRAMS,
    *strangers_idioms.PROGRAMS,
    *strangers_idioms.ON_THE_TAPE,
]
OF_NINE = {"ising_energy", "pagerank"}
COMPILED = {  # of all that compile, those that take a tenth or two of a second
    "arma",
    "clipped_numbers",
    "edit_like",
    "fdtd",
    "garch",
    "horner_dict",
    "monte_carlo",
    "newton_sqrt",
    "pagerank",
    "power_iteration",
    "quaternion",
    "ray_sphere",
    "sinkhorn",
    "soft_viterbi",
}


def drawn(program):
    """A point, and the slopes there by central differences."""
    x = np.random.default_rng(5).uniform(0.3, 1.2, 9 if program.__name__ in OF_NINE else 8)
    steps = 1e-6 * np.eye(len(x))
    return x, np.array([(program(x + s) - program(x - s)) / 2e-6 for s in steps])


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_value_and_derivatives(program):
    x, slopes = drawn(program)
    direction = np.cos(np.arange(len(x)))
    scale = max(1.0, np.abs(slopes).max())
    gradient = tg.value_and_grad(program, jit="python")
    for _ in range(2):
        value, found = gradient(x)
        assert value == pytest.approx(program(x), rel=1e-12)
        assert found == pytest.approx(slopes, rel=1e-5, abs=2e-6 * scale)
    if gradient.last is not None:  # else it runs on the tape
        verify(gradient.last.built.trace)
    value, slope = tg.jvp(program, jit="python")((x,), (direction,))
    assert value == pytest.approx(program(x), rel=1e-12)
    assert slope == pytest.approx(slopes @ direction, rel=1e-5, abs=5e-6 * scale)


@pytest.mark.parametrize(
    "program", [p for p in PROGRAMS if p.__name__ in COMPILED], ids=lambda program: program.__name__
)
def test_compiled_value_and_gradient(program):
    x, slopes = drawn(program)
    gradient = tg.value_and_grad(program, jit="native")
    value, found = gradient(x)
    assert gradient.stats.compiles == 1
    assert value == pytest.approx(program(x), rel=1e-11)
    assert found == pytest.approx(slopes, rel=1e-5, abs=2e-6 * max(1.0, np.abs(slopes).max()))
    for layout in (np.repeat(x, 2)[::2], x[::-1].copy()[::-1]):
        assert gradient(layout)[1] == pytest.approx(found, rel=1e-12)


@pytest.mark.parametrize("program", strangers_idioms.PROGRAMS, ids=lambda program: program.__name__)
def test_what_only_tells_somebody_something_is_no_obstacle(program):
    gradient = tg.grad(program, jit="python")
    gradient(drawn(program)[0])
    assert [e.text for e in gradient.events if e.kind == "tape"] == []


def test_a_warning_is_one_of_the_users_line():
    def f(x):
        warnings.warn("mind the gap", stacklevel=1)
        return x * x

    with pytest.warns(UserWarning, match="mind the gap") as caught:
        assert tg.grad(f, jit="python")(3.0) == 6.0
    assert (caught[0].filename, caught[0].lineno) == (__file__, f.__code__.co_firstlineno + 1)


def test_a_clock_is_asked_at_each_call():
    def f(x):
        return x * time.perf_counter()

    f = tg.grad(f, jit="python")
    before = time.perf_counter()
    asked = [f(1.0) for _ in range(3)]
    assert before <= asked[0] < asked[1] < asked[2] <= time.perf_counter()
    assert f.stats.captures == 1


@tg.grad(jit="python")
def squared(x):
    return x * x


def test_a_decorated_function_is_pickled_and_copied_as_a_function():
    assert pickle.loads(pickle.dumps(squared)) is squared
    assert copy.deepcopy({"loss": squared})["loss"] is squared
    program = strangers.PROGRAMS[0]
    again = pickle.loads(pickle.dumps(tg.value_and_grad(program, jit="python")))
    x, slopes = drawn(program)
    assert again.jit == "python" and again(x)[1] == pytest.approx(slopes, rel=1e-5)
    assert copy.deepcopy([again])[0] is again is copy.copy(again)
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(tg.grad(lambda x: x * x))


@pytest.mark.parametrize(
    ("made", "named"),
    [
        (lambda x: np.asmatrix(x).sum(), "np.asmatrix"),
        (lambda x: (np.matrix(x) * np.ones((8, 1))).sum(), "np.matrix"),
        (lambda x: np.ma.masked_where(x > 2, x).sum(), "np.ma.masked_where"),
        (lambda x: np.ma.array(x, mask=np.arange(8) > 3).mean(), "np.ma.array"),
    ],
)
def test_arrays_with_rules_of_their_own_are_refused_by_name(made, named):
    with pytest.raises(tg.errors.UnsupportedError, match=f"`{named}` makes an array .*") as caught:
        tg.grad(made, jit="python")(np.ones(8))
    assert __file__.endswith(str(caught.value).split("where: ")[1].split(":")[0])


def test_an_argument_in_the_place_of_argnums_is_told_where_it_goes():
    with pytest.raises(tg.errors.ArgumentError, match=r"arguments go to what comes back, `grad\(f\)\(x\)`"):
        tg.grad(squared, np.ones(3))
    with pytest.raises(tg.errors.ArgumentError, match="got argnums=None"):
        tg.grad(squared, argnums=None)


def test_what_is_not_known_is_said_under_the_name_it_is_imported_by():
    from scipy import ndimage

    with pytest.raises(tg.errors.UnsupportedError, match=r"`scipy\.ndimage\.label` has no op"):
        tg.grad(lambda x: ndimage.label(x)[0].sum())(np.ones(3))
