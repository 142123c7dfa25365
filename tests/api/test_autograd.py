"""`autograd.grad`, `autograd.backward`, `Function`, `Variable`."""

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.autograd import Function, Variable, backward, grad
from tracegrad.errors import (
    ArgumentError,
    BackwardError,
    InPlaceError,
    ShapeError,
    UnsupportedError,
)


def leaf(*values):
    return tg.tensor(list(values), requires_grad=True)


def test_grad_touches_no_leaf():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    x_bar, w_bar = grad((x * w).sum(), [x, w])
    assert x_bar.tolist() == [3.0, 4.0] and w_bar.tolist() == [1.0, 2.0]
    assert x.grad is None and not x_bar.requires_grad


def test_grad_of_a_value_on_the_way_and_below_it():
    x = leaf(2.0)
    y = x * x
    z = y * y + x
    y_bar, x_bar, z_bar = grad(z, (y, x, z), tg.ones(1))
    assert (y_bar.item(), x_bar.item(), z_bar.item()) == (8.0, 33.0, 1.0)
    assert grad((x * 5).sum(), x)[0].tolist() == [5.0]


def test_several_outputs_with_their_cotangents():
    x = leaf(1.0, 2.0)
    (bar,) = grad([x * 2, (x * x).sum()], x, [tg.tensor([1.0, 10.0]), None])
    assert bar.tolist() == [4.0, 24.0]
    with pytest.raises(ArgumentError):
        grad([x * 2, x * 3], x, [tg.ones(2)])


def test_an_input_that_is_not_used():
    x, other = leaf(1.0), leaf(1.0)
    with pytest.raises(BackwardError, match="not have been used"):
        grad((x * 2).sum(), [x, other])
    assert grad((x * 2).sum(), [x, other], allow_unused=True)[1] is None
    assert grad((x * 2).sum(), [x, other], materialize_grads=True)[1].tolist() == [0.0]
    with pytest.raises(BackwardError, match="does not require grad"):
        grad((x * 2).sum(), tg.ones(1))


def test_derivatives_of_any_order():
    x = tg.tensor(0.7, requires_grad=True)
    y = x.sin()
    for k in range(1, 5):
        (y,) = grad(y, x, create_graph=True)
        assert abs(y.item() - np.sin(0.7 + k * np.pi / 2)) < 1e-12


def test_a_hessian_vector_product():
    x = leaf(1.0, 2.0, 3.0)
    v = tg.tensor([1.0, -1.0, 0.5])
    (g,) = grad((x**3).sum() + x[0] * x[1] * x[2], x, create_graph=True)
    (hv,) = grad(g @ v, x)
    a, b, c = x.tolist()
    hessian = np.array([[6 * a, c, b], [c, 6 * b, a], [b, a, 6 * c]])
    np.testing.assert_allclose(hv.numpy(), hessian @ v.numpy())


def test_a_gradient_penalty_trains():
    x, w = tg.tensor([1.0, 2.0]), leaf(0.5, -0.3)
    x.requires_grad_()
    y = (w * x).tanh().sum()
    (g,) = grad(y, x, create_graph=True)
    ((g.norm() - 1) ** 2).backward()

    def penalty(values):
        slope = values * (1 - np.tanh(values * np.array([1.0, 2.0])) ** 2)
        return (np.sqrt((slope**2).sum()) - 1) ** 2

    point, step = np.array([0.5, -0.3]), 1e-6
    found = [(penalty(point + step * e) - penalty(point - step * e)) / (2 * step) for e in np.eye(2)]
    np.testing.assert_allclose(w.grad.numpy(), found, rtol=1e-6)


def test_backward_of_several_tensors():
    x = leaf(1.0, 2.0)
    backward([(x * 2).sum(), x * x], [None, tg.ones(2)])
    assert x.grad.tolist() == [4.0, 6.0]


def test_variable_of_the_oldest_tutorial():
    data = tg.ones(2)
    x = Variable(data, requires_grad=True)
    y = x * 3
    assert x.creator is None and y.creator is y.grad_fn and y.data.tolist() == [3.0, 3.0]
    y.backward(tg.ones(2))
    assert x.grad.tolist() == [3.0, 3.0] and not data.requires_grad
    assert Variable(np.zeros(2)).tolist() == [0, 0]


# --- Function ---------------------------------------------------------------------------------------------


class Cube(Function):
    @staticmethod
    def forward(ctx, x, factor):
        assert not tg.is_grad_enabled()
        ctx.save_for_backward(x)
        ctx.factor = factor
        return factor * x**3

    @staticmethod
    def backward(ctx, z_bar):
        (x,) = ctx.saved_tensors
        return z_bar * ctx.factor * 3 * x**2, None


def test_a_function_with_a_rule_of_its_own():
    x = leaf(1.0, 2.0)
    y = Cube.apply(x * 1, 2.0)
    assert y.grad_fn.name() == "CubeBackward" and repr(y).endswith("grad_fn=<CubeBackward>)")
    (y * y).sum().backward()
    assert x.grad.tolist() == [2 * 2 * 6.0, 2 * 16 * 24.0]
    assert not Cube.apply(tg.ones(2), 2.0).requires_grad
    assert "CubeBackward: the user's own backward" in Cube.apply(x, 1.0).sum().backward_source()


def test_its_backward_is_differentiated_too():
    x = tg.tensor(2.0, requires_grad=True)
    (g,) = grad(Cube.apply(x, 1.0), x, create_graph=True)
    (h,) = grad(g, x)
    assert g.item() == 12.0 and h.item() == 12.0


def test_the_rule_is_called_once_a_use():
    calls = []

    class Counted(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            calls.append(g.tolist())
            return g

    x = leaf(1.0)
    y = Counted.apply(x)
    z = Counted.apply(y) + y
    z.backward()
    assert calls == [[1.0], [2.0]] and x.grad.tolist() == [2.0]


def test_several_results_none_and_zeros():
    class Split(Function):
        @staticmethod
        def forward(ctx, x):
            index = tg.tensor([1, 0])
            ctx.mark_non_differentiable(index)
            return x * 2, x * 3, index

        @staticmethod
        def backward(ctx, a_bar, b_bar, index_bar):
            assert b_bar.tolist() == [0.0, 0.0]
            return a_bar * 2 + b_bar * 3

    x = leaf(1.0, 2.0)
    a, b, index = Split.apply(x)
    assert a.requires_grad and b.requires_grad and not index.requires_grad
    a.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]

    class Bare(Split):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, a_bar, b_bar):
            assert b_bar is None
            return a_bar

    Bare.apply(x)[0].sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_setup_context_beside_a_plain_forward():
    class Double(Function):
        @staticmethod
        def forward(x):
            return x * 2

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.count = len(inputs)

        @staticmethod
        def backward(ctx, g):
            return 2 * ctx.count * g

    x = leaf(1.0)
    Double.apply(x).backward()
    assert x.grad.tolist() == [2.0]


def test_a_result_that_is_the_argument_is_another_tensor():
    class Same(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 5

    x = leaf(1.0)
    y = Same.apply(x)
    assert y is not x and x.grad_fn is None
    y.backward()
    assert x.grad.tolist() == [5.0]


def test_needs_input_grad():
    seen = []

    class Asks(Function):
        @staticmethod
        def forward(ctx, x, y, n):
            seen.append(ctx.needs_input_grad)
            return x * y

        @staticmethod
        def backward(ctx, g):
            return g, g, None

    Asks.apply(leaf(1.0), tg.ones(1), 3).backward()
    assert seen == [(True, False, False)]


def test_saved_tensors_must_not_change_and_are_let_go():
    x = leaf(1.0, 2.0)
    h = x * 2
    y = Cube.apply(h, 1.0).sum()
    h += 1
    with pytest.raises(InPlaceError, match="modified by an inplace operation"):
        y.backward()
    y = Cube.apply(x, 1.0).sum()
    y.backward()
    with pytest.raises(BackwardError, match="a second time"):
        y.backward()


def test_wrong_gradients_of_a_rule():
    def function(result):
        class Wrong(Function):
            @staticmethod
            def forward(ctx, x, y):
                return x * y

            @staticmethod
            def backward(ctx, g):
                return result

        return Wrong.apply(leaf(1.0, 2.0), leaf(1.0, 2.0))

    with pytest.raises(BackwardError, match="incorrect number of gradients"):
        function(tg.ones(2)).sum().backward()
    with pytest.raises(ShapeError, match="invalid gradient at index 0"):
        function((tg.ones(3), None)).sum().backward()
    function((np.ones(2), None, None)).sum().backward()


def test_a_function_without_methods():
    with pytest.raises(NotImplementedError):
        Function.apply(leaf(1.0))


def test_a_function_is_not_captured():
    class Recorder:
        level = 1

    class Value:
        recorder = Recorder()

    with pytest.raises(UnsupportedError, match="Cube"):
        Cube.apply(Value(), 1.0)
