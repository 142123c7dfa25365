"""Views of tensors: what is written through one shows in its base, in the other views, and in the gradient."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.autograd import allow_mutation_on_saved_tensors
from tracegrad.errors import InPlaceError


def leaf(*values):
    return tg.tensor(list(values), requires_grad=True)


# --- histories --------------------------------------------------------------------------------------------------------


def test_a_write_into_a_view_is_in_the_history_of_its_base():
    x = leaf(1.0, 2.0, 3.0)
    y = x * 2
    part = y[1:]
    part *= x[0]
    assert y.grad_fn.name() == "CopySlices"
    (y * tg.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad.tolist() == [2 + 40 + 600, 20, 200]


def test_a_buffer_becomes_part_of_the_graph_through_its_view():
    x, buffer = leaf(1.0, 2.0), tg.zeros(2, 2)
    row, column = buffer[0], buffer[:, 1]
    assert not buffer.requires_grad
    row[:] = x * x
    assert buffer.requires_grad and column.requires_grad and not buffer.is_leaf
    (column.sum() * 3).backward()
    assert x.grad.tolist() == [0.0, 12.0]


def test_a_view_sees_what_was_written_into_its_base_and_into_other_views():
    x = leaf(1.0, 2.0)
    y = x * 1
    part = y[0:1]
    y *= 3
    part.sum().backward()
    assert x.grad.tolist() == [3.0, 0.0]
    y, x.grad = x * 1, None
    first, again = y[0:1], y[0:1]
    first *= 5
    again += x[1]
    (first * first).sum().backward()  # (5 x0 + x1)^2
    assert x.grad.tolist() == [70.0, 14.0]


def test_a_view_of_a_view_of_a_view():
    x = leaf(1.0, 2.0, 3.0, 4.0)
    y = tg.zeros(2, 4)
    inner = y.t()[1:].reshape(3, 2)[:2].unsqueeze(0)[0, 1]
    inner += x[:2] * x[2]
    assert y.tolist() == [[0, 0, 3, 0], [0, 0, 6, 0]]
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0, 3.0, 0.0]


def test_views_that_are_never_used_again_have_no_part():
    x = leaf(1.0, 2.0)
    y = x * 1
    part = y[0:1]
    part.retain_grad()
    part.mul_(2)
    y.sum().backward()
    assert part.grad is None and x.grad.tolist() == [2.0, 1.0]
    (found,) = tg.autograd.grad((x * 1).sum(), part, allow_unused=True)
    assert found is None


def test_what_is_retained_is_the_gradient_after_the_write_and_a_hook_sees_the_one_before():
    x, seen = leaf(1.0, 1.0), []
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: seen.append(g.tolist()))
    y.mul_(5)
    y.register_hook(lambda g: seen.append((g * 100).tolist()))
    y.sum().backward()
    assert y.grad.tolist() == [1.0, 1.0]
    assert seen == [[100.0, 100.0], [5.0, 5.0]]
    x = leaf(1.0, 1.0)
    a = x * 2
    b = a[::2]
    b.retain_grad()
    b.mul_(3)
    a.retain_grad()
    (a.sum() + 7 * b.sum()).backward()
    assert (b.grad.tolist(), a.grad.tolist(), x.grad.tolist()) == ([7.0], [8.0, 1.0], [48.0, 2.0])


def test_an_update_of_a_part_is_one_write():
    x = leaf(1.0, 2.0, 3.0)
    y = x * 1
    y[1:] += y[:-1] * 2
    assert y._version == 1 and y.tolist() == [1.0, 4.0, 7.0]
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0, 1.0]


def test_a_floor_in_place_has_no_derivative():
    x = leaf(1.0, 2.0)
    y = x * 1
    y //= 0.7
    y.sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]


def test_an_item_is_a_number_as_in_numpy():
    x = tg.tensor([1.0, 2.0])
    item = same = x[0]
    x[0] = 5.0
    assert item.item() == 1.0
    item += 1
    assert (item.item(), same.item(), x.tolist()) == (2.0, 1.0, [5.0, 2.0])
    with pytest.raises(InPlaceError, match=r"(?s)An item.*x\[0\] = v"):
        x[0].zero_()


def test_detached_tensors_share_memory_and_no_history():
    x = leaf(1.0, 1.0)
    y = x * 2
    part, other = y[:1], y.detach()
    other[0] = x[1] * 7
    assert (other.grad_fn.name(), y.grad_fn.name()) == ("CopySlices", "MulBackward0")
    assert part.tolist() == [7.0]
    part.sum().backward()
    assert x.grad.tolist() == [2.0, 0.0]


def test_parts_of_a_complex_tensor():
    x = leaf(1.0, 2.0)
    z = tg.zeros(2, dtype=tg.complex128)
    z.real += x
    z.imag[1:] = x[:1] * 3
    (z * z.conj()).real.sum().backward()
    np.testing.assert_allclose(x.grad.tolist(), [2 + 18, 4])


def test_a_view_with_other_contents_is_no_view():
    x = leaf(1.0, 2.0)
    y = x * 1
    part = y[0:1]
    part.data = tg.tensor([7.0])
    part *= 2
    assert y.tolist() == [1.0, 2.0] and part.tolist() == [14.0]
    (part.sum() + y.sum()).backward()
    assert x.grad.tolist() == [3.0, 1.0]


def test_results_of_a_function_of_one_s_own_are_written():
    class Halves(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            made = x * 0.5
            return made[:1]

        @staticmethod
        def backward(ctx, y_bar):
            return tg.cat([y_bar * 0.5, y_bar * 0])

    x = leaf(1.0, 2.0)
    y = Halves.apply(x)
    y *= 3
    y.sum().backward()
    assert x.grad.tolist() == [1.5, 0.0]


def test_double_backward_through_writes():
    def written(x):
        y = x * x
        part = y[1:]
        part *= x[:-1]
        y[0] = x[2] ** 3
        y.view(-1)[1:].add_(x[0] * x[1])
        return (y * y).sum()

    def without(x):
        rest = x[1:] * x[1:] * x[:-1] + x[0] * x[1]
        return (x[2] ** 3) ** 2 + (rest * rest).sum()

    direction = tg.tensor([1.0, -2.0, 0.5])
    found = []
    for function in (written, without):
        x = leaf(0.7, -1.1, 0.4)
        (bar,) = tg.autograd.grad(function(x), x, create_graph=True)
        (again,) = tg.autograd.grad((bar * direction).sum(), x, create_graph=True)
        (third,) = tg.autograd.grad((again * again).sum(), x)
        found.append([bar.tolist(), again.tolist(), third.tolist()])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)


# --- refused ----------------------------------------------------------------------------------------------------------


def test_views_of_leaves():
    x = leaf(1.0, 2.0)
    for write in (lambda v: v.mul_(2), lambda v: v.__setitem__(0, 1.0), lambda v: v.__iadd__(1)):
        with pytest.raises(InPlaceError, match="a view of a leaf Variable that requires grad"):
            write(x[0:1])
    part = x[0:1]
    with tg.no_grad():
        part.mul_(2)
        x[1:] -= 1
    assert x.tolist() == [2.0, 1.0] and x._version == 2


def test_views_taken_unrecorded():
    x = leaf(1.0, 2.0)
    y, buffer = x * 1, tg.zeros(2)
    with tg.no_grad():
        part, of_leaf, of_buffer = y[0:1], x[0:1], buffer[0:1]
        part *= 2
    for view in (part, of_leaf):
        with pytest.raises(InPlaceError, match="created in no_grad mode and is being modified"):
            view.add_(1)
    buffer += x
    with pytest.raises(InPlaceError, match="created in no_grad mode and its base"):
        of_buffer * 2
    with pytest.raises(InPlaceError, match="Can't detach views in-place"):
        y[0:1].detach_()


def test_an_overwritten_part_of_saved_memory_counts_as_overwritten():
    x = leaf(1.0, 2.0, 3.0)
    y = x * 2
    z = (y[:2] * y[:2]).sum()
    y[2:] = 0.0
    with pytest.raises(InPlaceError, match="modified by an inplace operation"):
        z.backward()


def test_mutation_of_saved_values_can_be_allowed():
    def swept(x):
        y = x * 2
        total = (y[:2] * y[:2]).sum()
        for k in range(1, 3):
            y[k] = y[k] * y[k - 1]
            y[:k] *= y[k]
        return total + (y * y).sum()

    def plain(x):
        y = np.array(x) * 2
        total = (y[:2] ** 2).sum()
        for k in range(1, 3):
            y[k] = y[k] * y[k - 1]
            y[:k] *= y[k]
        return total + (y * y).sum()

    x = leaf(1.0, 0.5, -0.3)
    with pytest.raises(InPlaceError):
        swept(x).backward()
    with allow_mutation_on_saved_tensors():
        (bar,) = tg.autograd.grad(swept(x), x, create_graph=True)
        (second,) = tg.autograd.grad(bar.sum(), x)
    start, step = np.array([1.0, 0.5, -0.3]), 1e-4
    ends = [[start + step * e, start - step * e] for e in np.eye(3)]
    wanted = [(plain(up) - plain(down)) / (2 * step) for up, down in ends]
    np.testing.assert_allclose(bar.tolist(), wanted, rtol=1e-5)

    moved = []
    for e in np.eye(3):
        sides = []
        for sign in (step, -step):
            other = leaf(*(start + sign * e))
            with allow_mutation_on_saved_tensors():
                sides.append(sum(tg.autograd.grad(swept(other), other)[0].tolist()))
        moved.append((sides[0] - sides[1]) / (2 * step))
    np.testing.assert_allclose(second.tolist(), moved, rtol=1e-5)


def test_a_leaf_written_between_two_readings_keeps_what_was_read():
    w = leaf(3.0, 4.0)
    with allow_mutation_on_saved_tensors():
        y = (w * w * w).sum()
        with tg.no_grad():
            w += 1
        (bar,) = tg.autograd.grad(y, w, create_graph=True)
        assert bar.tolist() == [27.0, 48.0]
        bar.sum().backward()
    assert w.grad.tolist() == [18.0, 24.0]


# --- random programs --------------------------------------------------------------------------------------------------


def scrambled(x, w, seed, zeros=np.zeros):
    """Slices, transposes and reshapes of two arrays, written and read in random order."""
    choose = random.Random(seed)
    pool, total = [x * 2.0, zeros((3, 4))], 0.0
    for _ in range(choose.randint(4, 10)):
        form, t = choose.randrange(10), choose.choice(pool)
        other = choose.choice(pool)
        if form == 0:
            axis = choose.randrange(t.ndim)
            start = choose.randrange(t.shape[axis])
            stop = choose.randint(start + 1, t.shape[axis])
            pool.append(t[(slice(None),) * axis + (slice(start, stop),)])
        elif form == 1 and t.ndim > 1:
            pool.append(t[choose.randrange(t.shape[0])])
        elif form == 2:
            pool.append(choose.choice([np.transpose, np.ravel, np.flip])(t))
        elif form == 3:
            pool.append(choose.choice([t[:, None], t[::-2], t[..., 1:]] if t.shape[-1] > 1 else [t[None]]))
        elif form == 4:
            t *= other.sum() * 0.3
        elif form == 5:
            t[0:1] += (other * other).sum() * 0.1
        elif form == 6:
            t[-1:] = choose.choice([3.0, w[1], other.sum() * w[0]])
        elif form == 7 and t.shape[-1] == 4:
            t *= w
        elif form == 8:
            t[t > 1.5137] = 0.5
        else:
            total = total + (np.sin(t) * 1.5).sum() * w[2]
    return total + sum((t * 0.3).sum() for t in pool) + (pool[0] * pool[0]).sum()


START = np.arange(1.0, 13.0).reshape(3, 4) / 7
WEIGHTS = np.linspace(0.5, 1.5, 4)


@pytest.mark.parametrize("seed", range(40))
def test_random_writes_through_views(seed):
    x, w = tg.tensor(START, requires_grad=True), tg.tensor(WEIGHTS, requires_grad=True)
    with allow_mutation_on_saved_tensors():
        value = scrambled(x, w, seed, lambda shape: tg.zeros(*shape))
    value.backward()
    assert value.item() == pytest.approx(scrambled(START, WEIGHTS, seed), rel=1e-12)
    draw = np.random.default_rng(seed)
    x_dot, w_dot = draw.standard_normal(START.shape), draw.standard_normal(4)
    step = 1e-6
    sides = [scrambled(START + s * x_dot, WEIGHTS + s * w_dot, seed) for s in (step, -step)]
    w_bar = 0.0 if w.grad is None else w.grad.numpy()
    found = np.sum(x.grad.numpy() * x_dot) + np.sum(w_bar * w_dot)
    assert found == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("seed", range(0, 40, 5))
def test_random_writes_as_they_are_recorded(seed):
    def value(x, w):
        return scrambled(x, w, seed)

    wanted, bars = tg.value_and_grad(value, argnums=(0, 1), jit="python")(START, WEIGHTS)
    x, w = tg.tensor(START, requires_grad=True), tg.tensor(WEIGHTS, requires_grad=True)
    with allow_mutation_on_saved_tensors():
        found = scrambled(x, w, seed, lambda shape: tg.zeros(*shape))
    found.backward()
    assert found.item() == pytest.approx(float(wanted), rel=1e-12)
    np.testing.assert_allclose(x.grad.numpy(), bars[0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(0.0 if w.grad is None else w.grad.numpy(), bars[1], rtol=1e-9, atol=1e-12)


# --- beside PyTorch ---------------------------------------------------------------------------------------------------


def as_pytorch_has_it(torch, x, w, seed):
    """The same decisions for either library; PyTorch's own methods."""
    choose = random.Random(seed)
    pool, total = [x * 2.0, torch.zeros(3, 4, dtype=torch.float64)], 0.0
    for _ in range(choose.randint(4, 12)):
        form, t = choose.randrange(10), choose.choice(pool)
        other = choose.choice(pool)
        if form == 0:
            start = choose.randrange(t.shape[0])
            pool.append(t[start : choose.randint(start + 1, t.shape[0])])
        elif form == 1 and t.ndim > 1:
            pool.append(t[choose.randrange(t.shape[0])])
        elif form == 2 and t.ndim > 1:
            pool.append(t.transpose(0, 1))
        elif form == 3 and t.is_contiguous():
            pool.append(t.view(-1))
        elif form == 4:
            t.mul_(2.5)
        elif form == 5:
            t.add_(choose.choice([w.sum(), other.sum() * 0.1]))
        elif form == 6:
            t[-1:] = choose.choice([3.0, w.sum(), (other * other).sum() * 0.01])
        elif form == 7 and t.shape[-1] == 4:
            t.mul_(w)
        elif form == 8 and t.shape[0] > 1:
            t[0:1].copy_(t[1:2] * 2)
        else:
            total = total + ((t * t).sum() if choose.random() < 0.5 else t.sin().sum())
    (total + sum(t.sum() * 0.3 for t in pool)).backward()
    return [p.detach().tolist() for p in pool], [(p.requires_grad, p.is_leaf) for p in pool]


def test_random_writes_beside_pytorch():
    torch = pytest.importorskip("torch")
    alike = refused = 0
    for seed in range(150):
        x, w = tg.tensor(START, requires_grad=True), tg.tensor(WEIGHTS, requires_grad=True)
        p, q = torch.tensor(START, requires_grad=True), torch.tensor(WEIGHTS, requires_grad=True)
        try:
            wanted = as_pytorch_has_it(torch, p, q, seed)
        except RuntimeError as error:
            assert "inplace" in str(error) or "in-place" in str(error)
            refused += 1
            continue
        values, flags = as_pytorch_has_it(tg, x, w, seed)
        for found, expected in zip(values, wanted[0], strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12)
        assert flags == wanted[1]
        for ours, theirs in ((x, p), (w, q)):
            bars = [0.0 if t.grad is None else np.asarray(t.grad.tolist()) for t in (ours, theirs)]
            np.testing.assert_allclose(bars[0], bars[1], rtol=1e-10, atol=1e-12)
        alike += 1
    assert alike > 60 and refused > 20


@pytest.mark.parametrize(
    ("shape", "window", "axis"),
    [
        ((6,), 3, None),
        ((5, 6), (2, 3), None),
        ((5, 6), 3, 0),
        ((4, 5, 6), (2, 3), (2, 0)),
        ((7, 4), (2, 2), (0, 0)),
    ],
)
def test_windows_see_what_is_written_into_their_array(shape: Any, window: Any, axis: Any) -> None:
    """As NumPy's: value against NumPy's own windows, slope against differences of them."""

    def loss(x: Any, start: Any) -> Any:
        b = x * 1.5
        w = np.lib.stride_tricks.sliding_window_view(b, window, axis)
        b[2] = start * np.sin(x[1])
        return (w * np.cos(np.arange(w.size)).reshape(w.shape)).sum()

    a = np.random.default_rng(3).normal(size=shape)
    x = tg.tensor(a, requires_grad=True)
    value = loss(x, 2.0)
    assert value.item() == pytest.approx(loss(a, 2.0), rel=1e-12)
    value.backward()
    steps = 1e-6 * np.eye(a.size).reshape(a.size, *shape)
    slope = [(loss(a + s, 2.0) - loss(a - s, 2.0)) / 2e-6 for s in steps]
    np.testing.assert_allclose(x.grad, np.reshape(slope, shape), rtol=1e-7, atol=1e-8)
    with pytest.raises(InPlaceError, match="several of its elements are one memory location"):
        np.lib.stride_tricks.sliding_window_view(tg.tensor(a), window, axis)[0] = 1.0
