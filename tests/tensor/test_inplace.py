"""Writing into a tensor: what is recorded, what is counted, what is refused."""

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.errors import InPlaceError, ShapeError


def leaf(*values):
    return tg.tensor(list(values), requires_grad=True)


def test_an_update_is_a_step_like_any_other():
    x = leaf(1.0, 2.0)
    y = x * 3
    y += x
    y *= 2
    assert y.grad_fn.name() == "MulBackward0"
    y.sum().backward()
    assert x.grad.tolist() == [8.0, 8.0]


def test_the_value_before_a_product_is_kept():
    x, w = leaf(1.0, 2.0), leaf(5.0, 7.0)
    y = x * 3
    y *= w
    y.sum().backward()
    assert w.grad.tolist() == [3.0, 6.0]
    assert x.grad.tolist() == [15.0, 21.0]


def test_a_tensor_times_itself_in_place():
    x = leaf(2.0, 3.0)
    y = x.clone()
    y *= y
    y.sum().backward()
    assert x.grad.tolist() == [4.0, 6.0]


def test_a_constant_buffer_becomes_part_of_the_graph():
    x = leaf(2.0, 3.0)
    buffer = tg.zeros(2)
    buffer += x * 2
    buffer.mul_(x)
    buffer.sum().backward()
    assert x.grad.tolist() == [8.0, 12.0]


def test_writing_items():
    x = leaf(2.0, 3.0)
    y = tg.zeros(3, 2)
    y[0] = x
    y[1:, 0] = x[1] * x[1]
    y[2, 1] = 7.0
    assert y.tolist() == [[2, 3], [9, 0], [9, 7]]
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 13.0]


def test_writing_by_mask_and_by_indices():
    x = leaf(2.0, 3.0, 4.0)
    y = x * 2
    y[y > 5] = 0.0
    y[tg.tensor([0])] = x[2]
    y.sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 1.0]


def test_overwriting_stops_the_derivative():
    x = leaf(2.0)
    y = x * 2
    y.zero_()
    y.sum().backward()
    assert x.grad.tolist() == [0.0]


def test_in_place_methods_give_the_tensor_back():
    x = tg.tensor([1.0, -4.0])
    for change, expected in [
        (lambda: x.abs().sqrt_(), [1, 2]),
        (lambda: x.add_(1, alpha=2), [3, -2]),
        (lambda: x.sub_(1), [2, -3]),
        (lambda: x.mul_(2), [4, -6]),
        (lambda: x.div_(2), [2, -3]),
        (lambda: x.pow_(2), [4, 9]),
        (lambda: x.neg_(), [-4, -9]),
        (lambda: x.clamp_(min=-5), [-4, -5]),
        (lambda: x.relu_(), [0, 0]),
        (lambda: x.exp_(), [1, 1]),
        (lambda: x.fill_(3), [3, 3]),
        (lambda: x.copy_(tg.tensor([1, 2])), [1, 2]),
        (lambda: x.zero_(), [0, 0]),
    ]:
        assert change().tolist() == expected


def test_the_update_operators():
    x = tg.tensor([6, 7])
    same = x
    x += 1
    x -= 2
    x *= 3
    x //= 2
    x %= 5
    x **= 2
    x |= 1
    x &= 7
    x ^= 2
    assert same.tolist() == [7, 3]
    y = tg.ones(2, 2)
    y /= 2
    y @= tg.ones(2, 2)
    assert y.tolist() == [[1, 1], [1, 1]]


# --- versions ---------------------------------------------------------------------------------------------


def test_a_value_that_the_backward_reads_must_not_change():
    x = leaf(1.0, 2.0)
    y = x * 2
    z = (y * y).sum()
    y += 1
    with pytest.raises(InPlaceError, match="modified by an inplace operation") as error:
        z.backward()
    assert "test_inplace.py" in str(error.value) and "z = (y * y).sum()" in str(error.value)
    assert isinstance(error.value, RuntimeError)


def test_a_value_that_the_backward_does_not_read_may_change():
    x = leaf(1.0, 2.0)
    y = x * 2
    z = (y + 3).sum()
    y += 1
    z.backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_a_result_that_the_backward_reads_must_not_change():
    x = leaf(1.0)
    y = x.exp()
    y.detach().zero_()
    with pytest.raises(InPlaceError):
        y.backward()


def test_the_message_names_the_line_whose_derivative_reads_the_value():
    x = leaf(1.0)
    y = x * 2
    z = y + 3
    w = y.sin()
    y.detach().zero_()
    with pytest.raises(InPlaceError, match=r"w = y.sin\(\)"):
        (z + w).backward()


def test_detach_and_data_share_memory_and_version():
    x = tg.tensor([1.0, 2.0])
    x.data[0] = 5.0
    x.detach().add_(1)
    assert x.tolist() == [6.0, 3.0] and x._version == 2


def test_a_leaf_written_under_no_grad_between_two_steps_is_fine():
    w = leaf(1.0, 2.0)
    for _ in range(2):
        (w * w).sum().backward()
        with tg.no_grad():
            w -= 0.1 * w.grad
            w.grad.zero_()
    np.testing.assert_allclose(w.tolist(), [0.64, 1.28])


def test_a_leaf_written_between_forward_and_backward_is_not():
    w = leaf(1.0)
    y = w * w
    with tg.no_grad():
        w += 1
    with pytest.raises(InPlaceError):
        y.backward()


def test_a_value_written_unrecorded_goes_on_with_its_new_value():
    x = leaf(-1.0, 2.0)
    y = x * 2
    with tg.no_grad():
        y.clamp_(min=0)
    (y * y).sum().backward()
    assert x.grad.tolist() == [0.0, 16.0]


def test_data_can_be_replaced_and_updated():
    w = leaf(1.0, 2.0)
    w.data -= 0.5
    assert w.is_leaf and w.requires_grad and w.tolist() == [0.5, 1.5] and w._version == 1
    y = w * 2
    y.data = tg.tensor([10.0, 20.0])
    (y * y).sum().backward()
    assert w.grad.tolist() == [40.0, 80.0]
    y = w * w
    w.data = tg.tensor([7.0, 7.0])
    w.grad = None
    y.sum().backward()
    assert w.grad.tolist() == [1.0, 3.0]


def test_an_array_that_the_user_changes_later_does_not_change_the_derivative():
    x, a = leaf(1.0, 2.0), np.array([3.0, 4.0])
    y = (x * a).sum()
    a[:] = 0
    y.backward()
    assert x.grad.tolist() == [3.0, 4.0]


# --- refused ----------------------------------------------------------------------------------------------


def test_a_leaf_that_requires_grad():
    x = leaf(1.0, 2.0)
    for write in (lambda: x.add_(1), lambda: x.zero_(), lambda: x.__setitem__(0, 1.0), lambda: x.__imul__(2)):
        with pytest.raises(InPlaceError, match="a leaf Variable that requires grad"):
            write()
    assert x.tolist() == [1.0, 2.0] and x._version == 0


def test_shapes_and_dtypes_that_do_not_fit():
    with pytest.raises(ShapeError):
        tg.ones(2).add_(tg.ones(3, 2))
    with pytest.raises(ShapeError, match="can't be cast"):
        tg.ones(2, dtype=tg.int64).add_(0.5)
    with pytest.raises(ShapeError):
        tg.ones(2)[:] = tg.ones(3)
    with pytest.raises(InPlaceError, match="one memory location"):
        tg.ones(1).expand(3).add_(1)


def test_a_wider_result_is_cast_on_the_way():
    x = leaf(1.0, 2.0)
    y = x.float()
    y += tg.ones(2)
    assert y.dtype == tg.float32
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0] and x.grad.dtype == tg.float64


def test_views_without_a_graph_share_writes():
    x = tg.zeros(2, 3)
    x.view(6)[4] = 1.0
    x.t()[0] = 2.0
    assert x.tolist() == [[2, 0, 0], [2, 1, 0]]
