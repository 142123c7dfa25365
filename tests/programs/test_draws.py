"""Random numbers: every call draws as plain Python draws, and leaves every generator as plain Python leaves it."""

from __future__ import annotations

import random

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.errors import LeakError

X = np.array([1.5, 2.25, 3.5])


class Model:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.noise = 0.5

    def loss(self, x):
        return x @ self.rng.normal(0.0, self.noise, 3)


def of_generator(rng):
    return lambda x: x[0] * rng.normal() + rng.standard_normal()


def arrays(rng):
    return lambda x: (
        (x * rng.normal(size=x.shape)).sum() + (x * rng.random(3)).sum() * rng.uniform(1, 2, (2, 3)).mean()
    )


def unused(rng):
    def function(x):
        rng.normal(size=5)
        return x[0] * rng.normal()

    return function


def integers(rng):
    return lambda x: x[0] * rng.integers(10) + x.sum() * rng.integers(0, 5, 4).sum()


def as_index(rng):
    return lambda x: x[rng.integers(3)]


def as_indices(rng):
    return lambda x: x[rng.integers(0, 3, 2)].sum()


def as_a_size(rng):
    return lambda x: x[0] * rng.normal(size=rng.integers(1, 4)).sum()


def decides(rng):
    def function(x):
        if rng.random() > 0.5:
            return x[0] * rng.normal()
        return x[1] + rng.normal() * rng.normal()

    return function


def in_a_loop(rng):
    def function(x):
        y = x[0]
        for _ in range(4):
            y = y + 0.1 * rng.normal() * x[1]
        return y

    return function


def until(rng):
    def function(x):
        y = x[0]
        while rng.random() < 0.6:
            y = y * 1.1
        return y

    return function


def many(rng):
    def function(x):
        a = rng.exponential(2.0, 3) + rng.gamma(2.0, 1.0, 3) + rng.beta(1.0, 2.0, 3)
        b = rng.poisson(3.0, 3) + rng.binomial(5, 0.5, 3) + rng.multinomial(3, [0.2, 0.3, 0.5])
        return (x * a).sum() + (x * b).sum() + x @ rng.multivariate_normal(np.zeros(3), np.eye(3))

    return function


def chosen(rng):
    data = np.array([1.0, 5.0, 7.0, 9.0])

    def function(x):
        return (
            x[0] * rng.choice(data) + (x * rng.choice([1.0, 2.0], 3)).sum() + (x * rng.permutation(x)).sum()
        )

    return function


def without_replacement(rng):
    return lambda x: x[rng.choice(3, 2, replace=False)].sum() + x[rng.permutation(3)][0]


def weighted(rng):
    return lambda x: x[rng.choice(3, p=[0.2, 0.3, 0.5])] * rng.choice(["a", "bb"]).size


def shuffled(rng):
    def function(x):
        y = x * 1.0
        rng.shuffle(y)
        return y[0] * y[1] + rng.normal()

    return function


def with_a_side_exit(rng):
    def function(x):
        a = rng.normal()
        k = int(x[1])
        return x[0] * a * k + rng.normal() * x[2]

    return function


OF_NUMPY = {f.__name__: f for f in (
    of_generator, arrays, unused, integers, as_index, as_indices, as_a_size, decides, in_a_loop, until, many, chosen,
    without_replacement, weighted, shuffled, with_a_side_exit,
)}  # fmt: skip


OLD = {
    "rand": lambda r: lambda x: x[0] * r.rand() + x @ r.rand(3),
    "randn": lambda r: lambda x: x @ r.randn(3) + r.randn(),
    "normal": lambda r: lambda x: x @ r.normal(1.0, 2.0, 3),
    "uniform": lambda r: lambda x: x @ r.uniform(-1, 1, size=(3,)),
    "randint": lambda r: lambda x: x[r.randint(3)] * r.randint(1, 5),
    "choice": lambda r: lambda x: x[0] * r.choice(np.array([1.0, 4.0])) + x[r.choice(3)],
    "permutation": lambda r: lambda x: (x * r.permutation(3)).sum() + r.permutation(x)[0],
    "gauss kept for the next": lambda r: lambda x: x[0] * r.normal() * int(x[1]),
    "seed": lambda r: lambda x: (r.seed(3), x[0] * r.rand())[1],
    "random_sample": lambda r: lambda x: x @ r.random_sample(3) * r.random(),
}

OF_PYTHON = {
    "random": lambda r: lambda x: x[0] * r.random() + r.random(),
    "uniform": lambda r: lambda x: x[0] * r.uniform(1, 2),
    "gauss": lambda r: lambda x: x[0] * r.gauss(0, 1) * int(x[1]),
    "randint": lambda r: lambda x: x[r.randint(0, 2)] * r.randrange(5),
    "choice": lambda r: lambda x: x[0] * r.choice([1.0, 2.0, 3.0]),
    "sample": lambda r: lambda x: x[0] * r.sample(range(10), 3)[1],
    "decides": lambda r: lambda x: x[0] if r.random() > 0.5 else x[1] * r.random(),
}


def state_of(generator):
    if isinstance(generator, np.random.Generator):
        return repr(generator.bit_generator.state)
    return repr(
        generator.getstate() if isinstance(generator, random.Random) else generator.get_state(legacy=False)
    )


def compare(make, generator_of, jit, calls=12):
    """Plain Python and a program, each with a generator of the same seed: values and states after every call."""
    one, two = generator_of(), generator_of()
    plain, gradient = make(one), tg.value_and_grad(make(two), jit=jit)
    for k in range(calls):
        x = X + (k % 3 == 2)
        wanted, found = plain(x.copy()), gradient(x.copy())
        assert float(found[0]) == pytest.approx(float(wanted), rel=1e-13), k
        assert state_of(one) == state_of(two), k
    return gradient


@pytest.mark.parametrize("jit", ["python", "native"])
@pytest.mark.parametrize("name", OF_NUMPY)
def test_a_generator(name, jit):
    compare(OF_NUMPY[name], lambda: np.random.default_rng(7), jit)


@pytest.mark.parametrize("name", OLD)
def test_a_random_state(name):
    compare(OLD[name], lambda: np.random.RandomState(7), "python")


@pytest.mark.parametrize("name", OF_PYTHON)
def test_a_generator_of_pythons(name):
    compare(OF_PYTHON[name], lambda: random.Random(7), "python")


@pytest.mark.parametrize("jit", ["python", "native"])
@pytest.mark.parametrize("name", OLD)
def test_the_functions_of_np_random(name, jit):
    function = OLD[name](np.random)
    gradient = tg.value_and_grad(function, jit=jit)
    before = np.random.get_state()
    try:
        states = []
        for f in (function, lambda x: gradient(x)[0]):
            np.random.seed(11)
            states.append([(float(f(X)), np.random.rand(), repr(np.random.get_state())) for _ in range(6)])
    finally:
        np.random.set_state(before)
    for (value, *rest), (wanted, *others) in zip(*states, strict=True):
        assert value == pytest.approx(wanted, rel=1e-13)
        assert rest == others


@pytest.mark.parametrize("name", OF_PYTHON)
def test_the_functions_of_random(name):
    function = OF_PYTHON[name](random)
    gradient = tg.value_and_grad(function, jit="python")
    states = []
    for f in (function, lambda x: gradient(x)[0]):
        random.seed(11)
        states.append([(float(f(X)), random.random()) for _ in range(8)])
    assert states[0] == states[1]


def test_draws_need_one_capture():
    for make in (of_generator, arrays, unused, integers, as_indices, in_a_loop, many, chosen, shuffled):
        gradient = compare(make, lambda: np.random.default_rng(1), "python")
        assert gradient.stats.captures == 1, make.__name__


def test_a_generator_as_an_argument():
    gradient = tg.value_and_grad(lambda x, rng: x[0] * rng.normal(), jit="python")
    one, two = np.random.default_rng(0), np.random.default_rng(0)
    for _ in range(4):
        assert gradient(X, one)[0] == pytest.approx(X[0] * two.normal(), rel=1e-13)
    other, same = np.random.default_rng(5), np.random.default_rng(5)
    assert gradient(X, other)[0] == pytest.approx(X[0] * same.normal(), rel=1e-13)


def test_a_generator_as_an_attribute_may_be_replaced_and_its_parameters_may_change():
    one, two = Model(3), Model(3)
    gradient = tg.value_and_grad(one.loss, jit="python")
    for k in range(6):
        if k == 3:
            one.rng, two.rng = np.random.default_rng(9), np.random.default_rng(9)
        if k == 4:
            one.noise = two.noise = 2.0
        assert gradient(X)[0] == pytest.approx(two.loss(X), rel=1e-13)
    assert gradient.stats.captures == 1


def test_a_parameter_that_is_an_argument():
    gradient = tg.value_and_grad(lambda x, s, rng: x[0] * rng.normal(0.0, s), jit="python")
    one, two = np.random.default_rng(0), np.random.default_rng(0)
    for s in (1.0, 2.0, 3.0, 0.5):
        assert gradient(X, s, one)[0] == pytest.approx(X[0] * two.normal(0.0, s), rel=1e-13)
    assert gradient.stats.captures == 1
    with pytest.raises(ValueError, match="scale"):
        gradient(X, -1.0, one)
    assert state_of(one) == state_of(two)


def test_a_seed_that_is_an_argument():
    def function(x, seed):
        rng = np.random.default_rng(seed)
        return x @ rng.normal(size=3) + rng.random()

    gradient = tg.value_and_grad(function, jit="python")
    for seed in (0, 1, 2, 1, 5):
        assert gradient(X, seed)[0] == pytest.approx(function(X, seed), rel=1e-13)
    assert gradient.stats.captures == 1


def test_a_constant_seed_inside_gives_the_same_numbers_each_time():
    def function(x):
        rng, old = np.random.default_rng(5), np.random.RandomState(5)
        total = x[0]
        for _ in range(3):
            total = total + x[1] * rng.normal() * old.rand()
        return total * random.Random(4).random()

    gradient = tg.value_and_grad(function, jit="python")
    for _ in range(3):
        assert gradient(X)[0] == pytest.approx(function(X), rel=1e-13)
    assert gradient.stats.captures == 1


def test_without_a_seed_each_call_draws_others():
    gradient = tg.value_and_grad(lambda x: x[0] * np.random.default_rng().normal(), jit="python")
    assert len({float(gradient(X)[0]) for _ in range(5)}) == 5
    assert gradient.stats.captures == 1


def test_a_parameter_with_a_derivative_is_refused():
    rng = np.random.default_rng(0)
    for function in (
        lambda m: rng.normal(m, 1.0),
        lambda m: rng.normal(0.0, m * 2),
        lambda m: np.random.normal(m),
    ):
        with pytest.raises(LeakError, match="standard_normal"):
            tg.grad(function)(1.0)


def test_transforms_around_transforms_draw_once():
    def make(rng):
        return lambda x: (x**3).sum() * rng.normal()

    one, two = np.random.default_rng(2), np.random.default_rng(2)
    second = tg.grad(lambda x: tg.grad(make(one))(x).sum(), jit="python")
    for _ in range(4):
        assert second(X) == pytest.approx(6 * X * two.normal(), rel=1e-12)
    assert state_of(one) == state_of(two)


def test_vjp_and_jvp_draw_once():
    one, two = np.random.default_rng(2), np.random.default_rng(2)
    function = of_generator(one)
    for _ in range(3):
        a, b = two.normal(), two.standard_normal()
        value, pull = tg.vjp(function, X)
        assert value == pytest.approx(X[0] * a + b, rel=1e-13)
        assert pull(1.0)[0] == pytest.approx(a) if not isinstance(pull(1.0), tuple) else True
    for _ in range(3):
        a, b = two.normal(), two.standard_normal()
        value, tangent = tg.jvp(function, (X,), (np.ones(3),))
        assert (value, tangent) == (pytest.approx(X[0] * a + b, rel=1e-13), pytest.approx(a, rel=1e-13))


def test_an_error_after_a_draw_leaves_the_generator_where_plain_python_leaves_it():
    matrix = np.eye(2)

    def make(rng):
        def function(x):
            a = rng.normal()
            y = np.linalg.solve(matrix, x[:2])
            return y[0] * a * rng.normal()

        return function

    one, two = np.random.default_rng(0), np.random.default_rng(0)
    plain, gradient = make(one), tg.value_and_grad(make(two), jit="python")
    for k in range(6):
        matrix[:] = 0.0 if k == 3 else np.eye(2)
        if k == 3:
            for function in (plain, gradient):
                with pytest.raises(np.linalg.LinAlgError):
                    function(X)
        else:
            assert gradient(X)[0] == pytest.approx(plain(X), rel=1e-13)
        assert state_of(one) == state_of(two)


def test_shuffling_a_list_runs_on_the_tape():
    def make(rng):
        def function(x):
            order = [0, 1, 2]
            rng.shuffle(order)
            return x[order[0]] * 2.0

        return function

    for new in (lambda: np.random.default_rng(0), lambda: random.Random(0)):
        gradient = compare(make, new, "python")
        assert any(tree.on_tape for tree in gradient.trees.values())
