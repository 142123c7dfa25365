"""Index forms drawn at random, in reads and writes, in every tier: values are NumPy's, gradients those of a dense
reference. What an index picks is found by indexing `arange`, so that the Jacobian is known without differentiating.
"""

from __future__ import annotations

import numpy as np
import pytest

import tracegrad as tg

SHAPES = [(5,), (3, 4), (2, 3, 4), (2, 1, 3, 2)]


def drawn_array(generator, length, shape):
    """Whole numbers inside an axis, from both ends, with repeats; sometimes of a small dtype."""
    dtype = generator.choice([np.int64, np.int64, np.int32, np.int8])
    return generator.integers(-length, length, shape).astype(dtype)


def drawn_index(generator, shape):
    """An index that NumPy accepts for this shape."""
    together = [(2,), (3, 1), (2, 3), (1,)][generator.integers(4)]
    parts, axis = [], 0
    while axis < len(shape):
        n, kind = shape[axis], generator.integers(9)
        if kind == 0:
            parts.append(int(generator.integers(-n, n)))
        elif kind == 1:
            parts.append(slice(*(drawn_end(generator, n) for _ in range(2)), [1, 2, -1, -2, None][axis % 5]))
        elif kind == 2:
            parts.append(slice(None, None, int(generator.choice([-2, -1, 2]))))
        elif kind in (3, 4):
            parts.append(drawn_array(generator, n, together))
        elif kind == 5:
            listed = drawn_array(generator, n, together[-1:]).tolist()
            parts.append(tuple(listed) if axis % 2 else listed)
        elif kind == 6:
            parts.append(None)
            continue
        elif kind == 7 and Ellipsis not in [p if p is Ellipsis else None for p in parts]:
            parts.append(Ellipsis)
            axis += int(generator.integers(0, len(shape) - axis + 1))
            continue
        else:
            width = min(2, len(shape) - axis) if generator.integers(2) else 1
            mask = np.zeros(shape[axis : axis + width], bool)
            mask.flat[: together[-1]] = True  # as many as there are numbers in an array
            parts.append(generator.permuted(mask.ravel()).reshape(mask.shape))
            axis += width
            continue
        axis += 1
    if not any(p is Ellipsis for p in parts) and generator.integers(3) == 0:
        while parts and isinstance(parts[-1], slice):
            parts.pop()
    return tuple(parts) if len(parts) != 1 or generator.integers(2) else parts[0]


def drawn_end(generator, n):
    return None if generator.integers(3) == 0 else int(generator.integers(-n - 1, n + 2))


def forms(count, seed):
    """Shapes with indices that NumPy accepts and that pick something, or nothing, of them."""
    generator, found = np.random.default_rng(seed), []
    while len(found) < count:
        shape = SHAPES[generator.integers(len(SHAPES))]
        key = drawn_index(generator, shape)
        try:
            np.empty(shape)[key]
        except IndexError:
            continue
        found.append((shape, key))
    return found


def given_value(generator, part):
    """Something to write into a part: of its shape, of one it is broadcast from, or a number."""
    kind = generator.integers(3)
    shape = part.shape if kind == 0 else part.shape[1:] if kind == 1 else ()
    return generator.normal(size=shape)


def added_up(places, cotangent, shape):
    """The transpose of picking `places`."""
    size = int(np.prod(shape))
    return np.bincount(np.ravel(places), np.ravel(cotangent), size).reshape(shape)


def summed_to(array, shape):
    """The transpose of broadcasting from a shape."""
    lead = array.ndim - len(shape)
    array = array.sum(axis=tuple(range(lead)))
    longer = tuple(k for k, n in enumerate(shape) if n == 1 and array.shape[k] != 1)
    return array.sum(axis=longer, keepdims=True)


class Case:
    """A read and three kinds of writes at one index, with what they give and their gradients."""

    def __init__(self, shape, key, seed):
        generator = np.random.default_rng(seed)
        self.shape, self.key = shape, key
        self.x = generator.normal(size=shape)
        numbers = np.arange(self.x.size).reshape(shape)
        self.places = numbers[key]
        self.value = given_value(generator, self.places)
        self.weights = generator.normal(size=self.places.shape)
        self.whole = generator.normal(size=shape)

    def read(self, x, v, w, u):
        return np.sum(x[self.key] * w)

    def written(self, x, v, w, u):
        a = x * 1.0
        a[self.key] = v
        return np.sum(a * u)

    def updated(self, x, v, w, u):
        a = x * 1.0
        a[self.key] += v
        return np.sum(a * u)

    def gathered(self, x, v, w, u):
        a = x * 1.0
        np.add.at(a, self.key, v)
        return np.sum(a * u)

    def value_of(self, kind):
        """What NumPy gives. Of a value with fewer axes than its place `np.add.at` may read other memory (NumPy 2.4)."""
        x, v, *others = self.given
        v = np.broadcast_to(v, self.places.shape) if kind == "gathered" else v
        return getattr(self, kind)(x, v, *others)

    @property
    def given(self):
        return self.x, self.value, self.weights, self.whole

    def gradients(self, name):
        """With respect to x and v, from what the index picks of `arange`."""
        cotangent = self.whole
        if name == "read":
            return added_up(self.places, self.weights, self.shape), np.zeros(self.value.shape)
        if name == "gathered":
            return cotangent, summed_to(cotangent.ravel()[self.places], self.value.shape)
        last = np.full(self.x.size, -1)
        order = np.arange(self.places.size).reshape(self.places.shape)
        last[np.ravel(self.places)] = np.ravel(order)
        stays = last[self.places] == order
        picked = np.where(stays, cotangent.ravel()[self.places], 0.0)
        untouched = np.where(last.reshape(self.shape) < 0, cotangent, 0.0)
        v_bar = summed_to(picked, self.value.shape)
        if name == "written":
            return untouched, v_bar
        return untouched + added_up(self.places, picked, self.shape), v_bar


KINDS = ("read", "written", "updated", "gathered")


def named(key):
    parts = key if isinstance(key, tuple) else (key,)
    return ", ".join(f"array{np.shape(p)}" if hasattr(p, "shape") else repr(p) for p in parts)


FORMS = forms(90, 1)


def compare(found, case, kind, tolerance=1e-12):
    value, (x_bar, v_bar) = found
    wanted = case.gradients(kind)
    message = f"{kind} {case.shape} [{named(case.key)}]"
    assert value == pytest.approx(case.value_of(kind), rel=1e-11, abs=1e-11), message
    np.testing.assert_allclose(x_bar, wanted[0], rtol=tolerance, atol=1e-12, err_msg=message)
    np.testing.assert_allclose(v_bar, wanted[1], rtol=tolerance, atol=1e-12, err_msg=message)


@pytest.mark.parametrize("number", range(len(FORMS)), ids=[named(key)[:60] for _, key in FORMS])
def test_reads_and_writes_of_array_text(number):
    case = Case(*FORMS[number], number)
    for kind in KINDS:
        function = tg.value_and_grad(getattr(case, kind), argnums=(0, 1), jit="python")
        compare(function(*case.given), case, kind)
        dots = case.x[::-1].copy(), case.value * 0.5
        _, dot = tg.jvp(
            lambda x, v, kind=kind: getattr(case, kind)(x, v, *case.given[2:]), case.given[:2], dots
        )
        wanted = sum(np.sum(b * d) for b, d in zip(case.gradients(kind), dots, strict=True))
        assert float(dot) == pytest.approx(wanted, rel=1e-11, abs=1e-11)


TOGETHER = 5  # forms of one compiled program


@pytest.mark.parametrize("first", range(0, 40, TOGETHER))
def test_reads_and_writes_of_compiled_programs(first):
    cases = [Case(*FORMS[k], k) for k in range(first, first + TOGETHER)]
    kinds = [KINDS[(first // TOGETHER + k) % len(KINDS)] for k in range(TOGETHER)]

    def program(xs, vs):
        return sum(
            (k + 1) * getattr(case, kind)(x, v, case.weights, case.whole)
            for k, (case, kind, x, v) in enumerate(zip(cases, kinds, xs, vs, strict=True))
        )

    xs, vs = ([case.given[k] for case in cases] for k in (0, 1))
    function = tg.value_and_grad(program, argnums=(0, 1), jit="native")
    value, (x_bars, v_bars) = function(xs, vs)
    assert function.stats.compiles == 1, function.explain()
    plain = (case.value_of(kind) for case, kind in zip(cases, kinds, strict=True))
    assert value == pytest.approx(sum((k + 1) * v for k, v in enumerate(plain)), rel=1e-11)
    for k, (case, kind) in enumerate(zip(cases, kinds, strict=True)):
        message = f"{kind} {case.shape} [{named(case.key)}]"
        for found, wanted in zip((x_bars[k], v_bars[k]), case.gradients(kind), strict=True):
            np.testing.assert_allclose(found, (k + 1) * wanted, rtol=1e-12, atol=1e-12, err_msg=message)


@pytest.mark.parametrize("number", range(0, len(FORMS), 3))
def test_reads_and_writes_of_tensors(number):
    case = Case(*FORMS[number], number)
    for kind in KINDS:
        x, v = (tg.tensor(a, requires_grad=True) for a in case.given[:2])
        value = getattr(case, kind)(x, v, *case.given[2:])
        value.backward()
        bars = tuple(np.zeros(a.shape) if a.grad is None else a.grad.numpy() for a in (x, v))
        compare((value.item(), bars), case, kind)


def test_a_value_with_fewer_axes_than_its_places_is_added_everywhere():
    places = np.array([[2, 3, 3], [0, 4, 1]])

    def added(v):
        a = v[0] * np.zeros(5)
        np.add.at(a, places, v)
        return np.sum(a * np.arange(5.0))

    for tier in ("python", "native"):
        value, bar = tg.value_and_grad(added, jit=tier)(np.array([1.0, 2.0, 3.0]))
        assert value == 28.0
        np.testing.assert_array_equal(bar, [2.0, 7.0, 4.0])


def with_traced_indices(x, i, j, k):
    """Index arrays and a number that are arguments, beside everything else an index may have."""
    a = x * 1.0
    a[i, :, j] += x[k, 0, 0]
    np.add.at(a, (slice(None), k, i), 0.5)
    a[k, ..., ::-1][:, j] *= 2.0
    a[[k, 0]] = a[[0, k]]
    return np.sum(a[i[:, None], None, k, [0, 1]] * a[..., j].sum()) + np.sum(a[i, 1:, j] ** 2)


@pytest.mark.parametrize("tier", ["python", "native"])
def test_traced_indices_are_values_of_a_program(tier):
    generator = np.random.default_rng(3)
    x = generator.normal(size=(3, 3, 4))
    function = tg.value_and_grad(with_traced_indices, jit=tier)
    for _ in range(4):
        i, j = generator.integers(-3, 3, 5), generator.integers(-3, 3, 5)
        k = np.int64(generator.integers(-2, 2))
        value, x_bar = function(x, i, j, k)
        assert value == pytest.approx(with_traced_indices(x, i, j, k), rel=1e-12)
        direction = generator.normal(size=x.shape)
        sides = [with_traced_indices(x + s * direction, i, j, k) for s in (1e-6, -1e-6)]
        assert np.sum(x_bar * direction) == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-6)
    assert function.stats.captures == 1, function.explain()
    assert function.stats.compiles == (tier == "native")


def out_of_bounds_read(x, i, j):
    return np.sum(x[:, i, j] ** 2)


def out_of_bounds_write(x, i, j):
    a = x * 1.0
    a[j, i] = x[0, 0]
    return np.sum(a * a)


def out_of_bounds_sum(x, i, j):
    a = x * 1.0
    np.add.at(a, (slice(None), i, j), 1.0)
    return np.sum(a * a)


@pytest.mark.parametrize("function", [out_of_bounds_read, out_of_bounds_write, out_of_bounds_sum])
def test_an_index_outside_is_numpys_error_in_every_tier(function):
    x = np.arange(24.0).reshape(2, 3, 4)
    inside, zero = np.array([0, 1, 0]), np.array([0, 0, 0])
    bad = [np.array([0, 3, 9]), np.array([-4, 0, 0]), np.array([0, 0, -5])]
    tiers = [tg.value_and_grad(function, jit=tier) for tier in ("python", "native")]
    for tier in tiers:
        tier(x, inside, zero)
    for i, j in [(b, zero) for b in bad] + [(inside, b) for b in bad]:
        try:
            wanted = function(x, i, j)
        except IndexError as error:
            for tier in tiers:
                with pytest.raises(IndexError) as found:
                    tier(x, i, j)
                assert str(error) in str(found.value)
        else:
            for tier in tiers:
                assert tier(x, i, j)[0] == pytest.approx(wanted)
    assert [tier.stats.captures for tier in tiers] == [1, 1]
