"""Programs that write into arrays: by every kind of index, through every kind of view, with `out=` and `where=`.

Each is ordinary NumPy; what it does to plain arrays, and to which memory, is what is asked of it.
"""

from __future__ import annotations

import numpy as np

from tests.programs.program import program

V = np.array([1.2, -0.7, 0.4, 2.1])
W = np.arange(1.0, 5.0)
M = np.arange(16.0).reshape(4, 4)


def written(**options):
    """A program of four numbers."""
    return program(V, V[::-1].copy(), eager=True, native=True, **options)


# --- views ------------------------------------------------------------------------------------------------------------


@written()
def through_reshape(x):
    a = x * 1.0
    b = a.reshape(2, 2)
    b[0, 1] = x[0] ** 2
    b[1] *= 3
    return (a * W).sum() + b[1, 0]


@written()
def ravel_of_a_matrix_is_its_memory(x):
    a = np.outer(x, x)
    r = np.ravel(a)
    r[3] = x[1] * 2
    r[::5] = 0.5
    return (a * M).sum()


@written()
def ravel_of_a_transpose_is_a_copy(x):
    a = np.outer(x, W)
    r = np.ravel(a.T)
    r[3] = 100 * x[0]
    return (a * M).sum() + r[3]


@written()
def ravel_of_parts_with_gaps_is_a_copy(x):
    a, b = x * 1.0, np.outer(x, W)
    r, s, t = np.ravel(a[::2]), a[::-1].ravel(), np.ravel(b[:, :1])
    r[0], s[0], t[0] = 100 * x[1], 7 * x[0], 5 * x[2]
    u = b[1:2, ::2].reshape(-1)
    u[0] = x[3]
    return (a * W).sum() + (b * M).sum() + r[1] * s[1] + t.sum() + u[1]


@written()
def through_the_transpose(x):
    a = np.outer(x, W)
    a.T[0] = x * 2
    a.T[1:3, 0] += x[0]
    return (a * M).sum()


@written()
def through_axes_in_another_order(x):
    a = np.outer(x, W).reshape(2, 2, 4)
    np.transpose(a, (2, 0, 1))[0] = x[:2]
    np.moveaxis(a, 0, 1)[0, 1] *= x
    np.swapaxes(a, 1, 2)[1, 3] = x[0]
    return (a * M.reshape(2, 2, 4)).sum()


@written()
def through_new_axes(x):
    a = x * 2.0
    b = a[:, None]
    b[1, 0] = x[0] ** 2
    b[..., 0] *= x
    np.expand_dims(a, 0)[0, 2] = 7 * x[1]
    return (a * W).sum()


@written()
def through_flips(x):
    a = x * 1.0
    np.flip(a)[0] = x[1] * 4
    a[::-1][1] += x[0]
    np.rot90(a.reshape(2, 2))[0] = x[2]
    return (a * W).sum()


@written()
def through_slices_of_slices(x):
    a = np.outer(x, W)
    b = a[::2]
    c = b[:, 1:]
    d = c[1]
    b[:] = 1.0
    d[0] = x[0]
    c[0, -1] += x[2]
    return (a * x).sum() + d.sum() * c[0].sum()


@written()
def through_parts(x):
    a = x * 1.0
    p, q = np.split(a, 2)
    p += q
    q[0] = p[1] * x[3]
    u, _ = a.reshape(2, 2)
    u[0] *= 5
    return (a * W).sum() + p[0]


@written()
def rows_of_a_loop_are_views(x):
    a = np.outer(x, W)
    for row in a:
        row[0] = x[1]
        row *= 2
    return (a * x).sum()


@written()
def through_the_diagonal_of_einsum(x):
    a = np.outer(x, W)
    np.einsum("ii->i", a)[...] = x * 5
    return (a * M).sum()


@written()
def two_views_of_one_array(x):
    a = x * 1.0
    even, odd = a[::2], a[1::2]
    even *= odd
    odd += even
    view = a[1:3]
    view[:] = view[::-1]
    return (a * W).sum() + even[1] * odd[0]


@written()
def picked_items_are_a_copy(x):
    a = x * 1.0
    b, c = a[[0, 1]], a[a > 0]
    b[0] = 100 * x[1]
    c += 1
    a[2] = 5 * x[0]
    return (a * W).sum() + b.sum() + c.sum()


@written()
def a_repeated_array_sees_the_write(x):
    a = x * 1.0
    b = np.broadcast_to(a, (2, 4))
    a[0] = x[3] ** 2
    return b.sum()


# --- items ------------------------------------------------------------------------------------------------------------


@written()
def items_of_items(x):
    a = np.outer(x, W)
    a[0][1] += x[0]
    a[1][1:3] *= x[1]
    a[2, ::2][1] = 5 * x[0]
    return (a * M).sum()


@written()
def a_place_named_twice_keeps_the_last(x):
    a = np.outer(x, W)
    a[[0, 0]] += x[0]
    a[[1, 1], [2, 2]] = x[:2]
    return (a * M).sum()


@written()
def exchanged_rows_and_columns(x):
    a = np.outer(x, W)
    a[[0, 2]] = a[[2, 0]]
    a[:, [0, 1]] = a[:, [1, 0]]
    b = x * 1.0
    b[0], b[1] = b[1] * 1.0, b[0] * 1.0
    return (a * M).sum() + (b * W).sum()


@written(overwrites=True)
def overlapping_parts(x):
    a = x * 1.0
    a[1:] = a[:-1]
    a[:-1] += a[1:] * x[0]
    a[::-1] = a * 2
    return (a * W).sum()


@written()
def an_open_grid(x):
    a = np.outer(x, W)
    a[np.ix_([0, 2], [1, 3])] += x[:2]
    return (a * x).sum()


@written()
def indices_apart_from_each_other(x):
    a = np.outer(x, np.outer(W, W)).reshape(4, 4, 4)
    a[[0, 1], :, [2, 3]] = x * 2
    a[1:3, [0, 3], None, 0] *= x[0]
    a[..., [1, 1, 0]] += 1.0
    return (a[[3, 0], 1:3, [0, 0]] @ W[:2]).sum() + (a * a).sum()


@written()
def masks_of_lower_rank(x):
    a = np.outer(x, W)
    rows = np.array([True, False, True, False])
    a[rows] = x
    a[:, rows] *= 2.0
    a[rows, 1] = x[:2]
    return (a * M).sum()


@written()
def a_mask_with_one_value_for_each(x):
    a = np.outer(x, W)
    a[a > 1] = np.sin(a[a > 1]) * x[0]
    a[a < -1] = 0.0
    return (a * M).sum()


@written()
def negative_steps_and_ellipsis(x):
    a = np.outer(x, W).reshape(2, 2, 2, 2)
    a[::-1, ..., ::-1][0, 1] = x.reshape(2, 2)
    a[..., 0] += x[0]
    a[1, ..., -1] *= x[1]
    return (a.reshape(4, 4) * M).sum()


@written()
def written_where_the_largest_is(x):
    a = np.outer(x, W)
    k = np.argmax(x)
    a[k] = 2 * x
    a[np.argsort(x)[0], k] += x[0]
    return (a * M).sum()


@written()
def a_list_is_written(x):
    a = np.zeros((2, 2))
    a[0] = [x[2], x[2] ** 2]
    a[1] = (x[0], 3)
    return (a @ a).sum()


@written()
def one_number_in_an_array(x):
    a = np.zeros(())
    a[()] = x[0]
    a += x[1]
    b = a
    b *= x[2]
    return a * b


# --- functions that write ---------------------------------------------------------------------------------------------


@written()
def diagonals_filled(x):
    a = np.outer(x, W)
    np.fill_diagonal(a, x * 3)
    np.fill_diagonal(a[1:], x[0])
    return (a * M).sum()


@written()
def put_place_and_mask(x):
    a = np.outer(x, W)
    np.put(a, [0, 5, -1], x[:2])
    np.put(a, [17, -18], x[1] * x[2], mode="wrap")
    np.put(a, [99], x[0], mode="clip")
    np.place(a, a > 1, x[:3] * 2)
    np.putmask(a, a < -2, x[1:])
    return (a * M).sum()


@written()
def copied_and_put_along(x):
    a = np.zeros_like(np.outer(x, W))
    np.copyto(a, x**2)
    np.copyto(a, x[0], where=x > 0.5)
    np.put_along_axis(a, np.argmax(a, axis=1)[:, None], x[:, None] * 3, axis=1)
    np.put_along_axis(a, np.array([1, 7]), x[:2] * 3, axis=None)
    return (a * M).sum()


@written()
def updated_item_by_item(x):
    a = np.zeros_like(x)
    np.add.at(a, [0, 1, 1, 2], x * x)
    np.subtract.at(a, [0, 0], x[:2])
    np.multiply.at(a, [1, 1, 3], x[:3] + 3)
    np.maximum.at(a, [0, 2, 2], x[1:])
    np.divide.at(a, slice(0, 2), x[2:])
    np.add.at(a, x > 0, 3 * x[0])
    return (a * W).sum()


@written()
def updated_alone(x):
    a = x * 1.0
    np.negative.at(a, [0, 2, 0])
    np.exp.at(a, [1, 1])
    return (a * W).sum()


@written(overwrites=True)
def results_put_into_arrays(x):
    a, b = np.zeros_like(x), np.zeros_like(x)
    np.add(x, x * x, out=a)
    np.multiply(a, x, b)
    np.sin(b, out=b)
    np.add(x, b, out=a, where=x > 0)
    np.log(x, out=a, where=x > 1)
    return (a * W).sum() + b.sum()


@written()
def reductions_put_into_arrays(x):
    m = np.outer(x, W)
    a, b = np.zeros_like(x), np.zeros_like(m)
    np.sum(m, axis=0, out=a)
    np.cumsum(m, axis=1, out=b)
    np.max(m, axis=1, out=b[:, 0])
    np.mean(m, axis=0, out=b[3])
    np.matmul(m, a, out=b[2])
    return (a * W).sum() + (b * M).sum()


@written()
def parts_put_into_arrays(x):
    a, b = np.zeros_like(np.outer(x, x)), np.zeros_like(x)
    np.stack([x, x * x, x, 2 * x], out=a)
    np.take(x, [0, 1, 1, -1], out=b)
    np.concatenate([x[:1], x[1:] * 2], out=a[1])
    np.clip(x, -0.5, 0.5, out=a[:, 2])
    np.add.accumulate(x, out=b)
    return (a * M).sum() + (b**2).sum()


@written()
def reductions_of_a_part(x):
    m = np.outer(x, W)
    return (
        np.sum(m, axis=0, where=m > 0, initial=2.0) @ W
        + np.max(m, where=m < 3, initial=0.5)
        + np.mean(x, where=x > 0)
        + np.var(m, axis=1, where=m > -5).sum()
        + np.add.reduce(x, where=x > 0, initial=x[1])
        + np.prod(x, where=x > 0.5)
    )


@written()
def updates_of_every_kind(x):
    a = x * 1.0
    a *= 2
    a **= 2
    a /= x
    a -= 1
    a //= 0.7
    a += x
    a %= 3
    m = np.outer(x, W)
    m @= np.outer(W, x)
    return (a * x).sum() + m.sum()


@written()
def taken_by_other_modes(x):
    order = np.argsort(x)
    return (
        np.choose(order, [x, x * 2, x**2, W * x]) @ W
        + np.take(x, [7, -9], mode="wrap").sum() * x[0]
        + np.take(np.outer(x, x), [7, -9], axis=1, mode="clip").sum()
        + np.choose([0, 5, -3, 1], [x, x * x], mode="clip") @ W
        + np.choose([0, 5, -3, 1], [x, x * x], mode="wrap") @ W
        + np.compress([True, False, True], x).sum() * 3
        + np.extract(x > 0, x * x).sum()
    )


# --- methods, and arrays made of numbers ------------------------------------------------------------------------------


@written()
def through_flat(x):
    a = np.outer(x, W)
    a.flat[3] = x[0]
    a.T.flat[::5] = x[:2]
    a.flat[[1, 2]] = 7.0
    a.flat[1] += x[1]
    b = a.flat[4:6]
    b[0] = 99.0
    c = x * 2
    c.flat = x[1]
    return (a * M).sum() + a.flat[6] + c @ W


@written()
def methods_that_write(x):
    a = np.outer(x, W)
    a.sort(axis=1)
    a[::-1].sort(axis=0)
    a[1:, 0].fill(x[0])
    a.put([2], 9 * x[0])
    b = a.view()
    b[0] += x
    c = x * 1.0
    c[1:].sort(axis=-1)
    c.partition(1)
    return (a * M).sum() + c @ W


@program(V, V[::-1].copy(), native=True)
def sorted_by_the_method_of_arrays(x):  # a tensor's `sort()` without a keyword is PyTorch's
    a = np.outer(x, W)
    a.sort()
    a[1:, 0].sort()
    return (a * M).sum()


@written(overwrites=True)
def method_results_put_into_arrays(x):
    m = np.outer(x, W)
    a = np.empty(4)
    m.sum(axis=0, out=a)
    m.dot(x, out=m[0])
    x.clip(-0.5, 0.5, out=a[::1])
    whole, part = np.empty(4), np.empty(4)
    np.modf(x * 3, part, whole)
    return a @ W + m.sum() + part @ W


@written()
def arrays_made_of_numbers(x):
    a = np.array([[[x[0], 1.0], [2, x[1]]], [x[:2], [x[2], x[3]]]])
    a[0, 0] *= x[1]
    b = np.full((2, 4), x)
    b[0, 0] = 3.0
    c = np.linspace(x[0], x[1], 5)
    c[2] = 0.0
    d = np.eye(4)
    d[0] = x
    e = np.fromiter((t * t for t in x), float)
    e[0] = 1.0
    f = np.diag(x)
    g = np.diag(np.diag(f))
    f[0, 1] = x[0]
    return (a**2).sum() + b.sum() + (c**2).sum() + (d @ d).sum() + e @ e + (f @ g).sum()


@written()
def called_for_each_item(x):
    def piece(t, w):
        return t * t if t > 0 else -t * w

    both = np.vectorize(lambda t: (t * 2, t**3))(x)
    rows = np.apply_along_axis(lambda r: r[0] * r, 1, np.outer(x, W))
    return np.vectorize(piece)(x, W) @ W + both[0] @ both[1] + rows.sum()


@written()
def arrays_of_other_dtypes(x):
    count = np.zeros(4, int)
    count[0] = 3
    order = np.arange(4)
    order[1] = 2
    mask = np.zeros(4, bool)
    mask[1] = True
    mask |= x > 1
    mask[x < 0] ^= True
    single = np.zeros(3, np.float32)
    single[:] = 2
    return (x * count).sum() + x[order] @ W + (x * mask).sum() + x[mask].sum() * single.sum()


@written()
def order_of_memory(x):
    a = np.ones((4, 4), order="F")
    a.ravel()[0] = 50 * x[0]
    a.ravel(order="F")[1] = x[1]
    b = a.reshape((2, 8), order="F")
    b[0, 1] = x[2]
    c = np.ascontiguousarray(a)
    c[1, 1] = 77.0
    return (a * M).sum() + c[1, 1] * x[0] + b.sum()
