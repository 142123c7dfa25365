"""`.backward()`: accumulation, leaves, what is kept and let go, hooks, programs found again."""

import gc
import weakref
from collections import OrderedDict

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.errors import BackwardError, NotScalarError, ShapeError
from tracegrad.tensor import engine
from tracegrad.tensor.tensor import Tensor


def leaf(*values):
    return tg.tensor(list(values), requires_grad=True)


def test_gradients_add_up_in_the_same_tensor():
    x = leaf(1.0, 2.0)
    (x * 3).sum().backward()
    first = x.grad
    (x * x).sum().backward()
    assert x.grad is first and first.tolist() == [5.0, 7.0]


def test_only_leaves_get_a_gradient():
    x = leaf(1.0)
    y = x * 2
    z = (y * y).sum()
    z.backward()
    assert x.grad.tolist() == [8.0] and y.grad is None and z.grad is None
    assert x.is_leaf and not y.is_leaf and x.grad_fn is None and y.requires_grad


def test_gradients_have_their_own_memory_and_the_leaf_s_dtype():
    x, y = leaf(1.0, 2.0), tg.ones(2, dtype=tg.float32, requires_grad=True)
    v = tg.ones(2)
    (x + y).backward(v)
    v.zero_()
    assert x.grad.tolist() == y.grad.tolist() == [1.0, 1.0]
    assert y.grad.dtype == tg.float32
    x.grad.zero_()
    assert y.grad.tolist() == [1.0, 1.0]
    z = (x * 1).sum()
    z.backward()
    assert x.grad.numpy().flags.writeable and x.grad.numpy().flags.c_contiguous


def test_a_vector_needs_a_cotangent_of_its_shape():
    x = leaf(1.0, 2.0)
    with pytest.raises(NotScalarError, match="scalar outputs"):
        (x * 2).backward()
    with pytest.raises(ShapeError, match="Mismatch in shape"):
        (x * 2).backward(tg.ones(3))
    (x * 2).backward(np.array([1.0, 10.0]))
    assert x.grad.tolist() == [2.0, 20.0]
    (x * 2).backward(tg.ones(2, dtype=tg.float32))
    assert x.grad.tolist() == [4.0, 22.0]


def test_nothing_to_differentiate():
    with pytest.raises(BackwardError, match="does not require grad and does not have a grad_fn"):
        tg.ones(1).backward()
    with tg.no_grad():
        y = leaf(1.0) * 2
    with pytest.raises(BackwardError):
        y.backward()


def test_a_leaf_is_its_own_gradient():
    x = tg.tensor(3.0, requires_grad=True)
    x.backward()
    assert x.grad.item() == 1.0


def test_a_second_backward_needs_retain_graph():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4.0, 8.0]
    with pytest.raises(BackwardError, match="a second time") as error:
        y.backward()
    assert "retain_graph=True" in str(error.value) and "y = (x * x).sum()" in str(error.value)


def test_a_second_backward_that_reads_nothing_is_fine():
    x = leaf(1.0, 2.0)
    y = (x * 3 + 1).sum()
    y.backward()
    y.backward()
    assert x.grad.tolist() == [6.0, 6.0]


def test_a_graph_shared_by_two_losses_is_let_go_by_the_first():
    x = leaf(1.0)
    h = x * x
    a, b = (h * 2).sum(), (h * 3).sum()
    a.backward()
    with pytest.raises(BackwardError):
        b.backward()


def test_values_are_let_go():
    x = leaf(1.0, 2.0)
    h = x * x
    array = weakref.ref(h.detach().numpy())
    y = (h * h).sum()
    del h
    gc.collect()
    assert array() is not None
    y.backward()
    gc.collect()
    assert array() is None


def test_a_graph_is_let_go_without_the_cycle_collector():
    x = leaf(1.0)
    y = x.exp()
    node = weakref.ref(y.grad_fn)
    gc.disable()
    try:
        del y
        assert node() is None
    finally:
        gc.enable()


def test_a_tensor_used_twice_and_one_used_by_nobody():
    x, unused = leaf(3.0), leaf(1.0)
    y = x * x + x
    (y * y).sum().backward()
    assert x.grad.tolist() == [2 * 12 * 7.0] and unused.grad is None


def test_a_zero_derivative_is_a_gradient_of_zeros():
    x = leaf(1.5, -2.5)
    x.floor().sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]


def test_broadcasting_is_undone():
    x, b = tg.ones(2, 3, requires_grad=True), tg.ones(3, requires_grad=True)
    ((x + b) * tg.arange(6.0).view(2, 3)).sum().backward()
    assert b.grad.tolist() == [3.0, 5.0, 7.0]


def test_ndarrays_and_numbers_on_either_side():
    x = leaf(1.0, 2.0)
    a = np.array([3.0, 4.0])
    y = a * x + np.float64(2.0) * x - a / x + x @ a
    assert isinstance(y, Tensor)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), a + 2 + a / np.array([1.0, 4.0]) + 2 * a)


def test_float32_stays_float32_beside_python_numbers():
    x = tg.ones(2, dtype=tg.float32, requires_grad=True)
    y = x * 2.5 + 1
    assert y.dtype == tg.float32
    y.sum().backward()
    assert x.grad.dtype == tg.float32


def test_inputs_restrict_what_is_reached():
    x, w = leaf(1.0), leaf(2.0)
    (x * w).sum().backward(inputs=[w])
    assert x.grad is None and w.grad.tolist() == [1.0]


def test_create_graph_makes_the_gradient_differentiable():
    x = leaf(2.0)
    (x**3).sum().backward(create_graph=True)
    first = x.grad
    assert first.requires_grad and first.tolist() == [12.0]
    x.grad = None
    first.sum().backward()
    assert x.grad.tolist() == [12.0]


# --- hooks ------------------------------------------------------------------------------------------------


def test_a_hook_sees_and_may_change_a_gradient_on_the_way():
    x, seen = leaf(1.0, 2.0), []
    y = x * 2
    z = y * y + y
    handle = y.register_hook(lambda g: seen.append(g.tolist()))
    y.register_hook(lambda g: g * 10)
    z.sum().backward(retain_graph=True)
    assert seen == [[5.0, 9.0]] and x.grad.tolist() == [100.0, 180.0]
    handle.remove()
    z.sum().backward()
    assert len(seen) == 1


def test_a_hook_of_a_leaf_sees_the_whole_gradient_once():
    x, seen = leaf(1.0), []
    x.register_hook(lambda g: seen.append(g.item()) or g * 2)
    (x * 3 + x).sum().backward()
    assert seen == [4.0] and x.grad.tolist() == [8.0]
    with pytest.raises(BackwardError):
        tg.ones(1).register_hook(print)


def test_retain_grad_keeps_the_gradient_of_a_value_on_the_way():
    x = leaf(1.0, 2.0)
    y = x * 2
    y.retain_grad()
    z = (y * y).sum()
    z.retain_grad()
    z.backward()
    assert y.grad.tolist() == [4.0, 8.0] and z.grad.item() == 1.0 and x.grad.tolist() == [8.0, 16.0]
    x.retain_grad()
    with pytest.raises(BackwardError):
        tg.ones(1).retain_grad()


# --- programs ---------------------------------------------------------------------------------------------


def count_programs(monkeypatch):
    made = []

    def counting(trace, active):
        made.append(trace)
        return engine.Interpreted(trace, active)

    monkeypatch.setattr(engine, "_engine", counting)
    for store in ("_programs", "_constants_seen"):
        monkeypatch.setattr(engine, store, OrderedDict())
    return made


def test_the_next_iteration_finds_the_program_of_the_first(monkeypatch):
    made = count_programs(monkeypatch)
    w = leaf(1.0, 2.0)
    for k in range(5):
        data = tg.tensor([float(k), 1.0])
        loss = ((w * data - 3.0) ** 2).mean()
        loss.backward()
    assert len(made) == 1


@pytest.mark.parametrize(
    "other",
    [
        "x * 3.0",
        "x * 2",
        "x * -2.0",
        "2.0 * x",
        "x[:1] * 2.0",
        "(x * 2.0).sum(dim=0, keepdim=True)",
        "x.detach() * x",
        "x * tg.ones(2)",
        "x.float() * 2.0",
    ],
)
def test_another_structure_is_another_program(monkeypatch, other):
    made = count_programs(monkeypatch)
    x = leaf(1.0, 2.0)
    for expression in ("x * 2.0", "x * 2.0", other):
        y = eval(expression, {"x": x, "tg": tg})
        y.backward(tg.ones_like(y))
    assert len(made) == 2


def test_a_float_that_changes_becomes_an_input(monkeypatch):
    made = count_programs(monkeypatch)
    for dtype in (tg.float64, tg.float32):
        made.clear()
        x = tg.ones(2, dtype=dtype, requires_grad=True)
        for k in range(6):
            x.grad = None
            rate = 0.1 * (k + 1)
            y = (x * rate + x**2.0) / (rate + 1)
            y.sum().backward()
            np.testing.assert_allclose(x.grad.numpy(), np.full(2, (rate + 2) / (rate + 1)), rtol=1e-6)
            assert x.grad.dtype == y.dtype == dtype
        assert len(made) == 3


def test_another_place_is_another_program_since_its_text_names_the_line(monkeypatch):
    made = count_programs(monkeypatch)
    x = leaf(1.0, 2.0)
    (x * 2.0).sum().backward()
    (x * 2.0).sum().backward()
    assert len(made) == 2


def test_zero_and_minus_zero_are_different_constants():
    x = leaf(1.0)
    (x + 0.0 * x).sum().backward()
    (x * -0.0).sum().backward()
    assert x.grad.tolist() == [1.0]


def test_the_backward_can_be_read_with_the_user_s_names():
    x = leaf(1.0, 2.0)
    y = x * x
    out = (y * y).sum()
    text = out.backward_source()
    assert "out_bar" in text and "x_bar" in text and "y" in text
    out.backward()
    assert out.backward_source() == text
    with pytest.raises(BackwardError):
        x.backward_source()


def test_a_long_chain():
    x = leaf(1.0)
    y = x
    for _ in range(3000):
        y = y + 1.0
    y.backward()
    assert x.grad.tolist() == [1.0]


def test_functions_with_several_results():
    a = tg.tensor([[2.0, 0.0], [0.0, 3.0]], requires_grad=True)
    _, logdet = np.linalg.slogdet(a)
    logdet.backward()
    np.testing.assert_allclose(a.grad.numpy(), [[0.5, 0], [0, 1 / 3]])


def test_next_functions_lead_to_the_leaves():
    x = leaf(1.0, 2.0)
    y = (x * 2 + tg.ones(2)).sum()
    (product, number), (constant, _) = y.grad_fn.next_functions[0][0].next_functions
    assert product.name() == "MulBackward0" and number == 0 and constant is None
    ((end, _),) = product.next_functions
    assert end.variable is x and repr(end).startswith("<AccumulateGrad object at 0x")
    assert repr(y.grad_fn).startswith("<SumBackward0 object at 0x") and end.next_functions == ()
    assert (x * 3).grad_fn.next_functions[0][0] is end
