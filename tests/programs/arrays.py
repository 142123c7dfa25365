"""Programs over arrays: in-place writes, views, indexing, reductions, linear algebra, SciPy."""

from __future__ import annotations

import numpy as np
import scipy.special
from scipy.optimize import rosen

from tests.programs.program import X, program

A = np.array([[2.0, 1, 0], [1, 3, 1], [0, 1, 4]])
WIDE = np.array([[0.2, -0.4, 1.1], [0.9, 0.3, -1.3]])


@program(native=True)
def filled_in_a_loop(x):
    out = np.zeros(3)
    for i in range(3):
        out[i] = x[i] ** 2 * (i + 1)
    return out.sum()


@program(native=True)
def slices_written(x):
    out = np.empty(4)
    out[0] = x[0]
    out[1:] = x * 2
    out[1:3] += x[:2]
    out[-1] *= x[1]
    return (out**2).sum()


@program(native=True, eager=True)
def written_with_leading_axes(x):
    """NumPy leaves out dimensions of length 1 that stand in front of what is written."""
    out, all_of = x * 2, x + 1
    all_of[...] = np.sin(x).reshape(1, 1, 3)
    out[1:] = np.exp(x)[None, None, :2]
    out[:1] += x[None, 2:][0]
    out[1, ...] = x[None, :1] * out[0]
    return (out**2 * all_of).sum()


@program()
def mask_written(x):
    out = x * 2
    out[x > 0] = 0.5
    out[out < -1] *= 3.0
    return (out * x).sum()


@program()
def mask_written_with_values(x):
    out = np.zeros(3)
    mask = x > 0
    out[mask] = x[mask] ** 2
    return out.sum() + out[0] * x[1]


@program()
def integer_index_written(x):
    out = np.zeros(5)
    out[[0, 3, 4]] = x
    out[np.array([1, 2])] = 2.0 * x[:2]
    return (out * np.arange(5.0)).sum()


@program()
def array_updated_in_place(x):
    y = x.copy()
    y[1:] = y[1:] * x[0]
    y += x
    y *= 2.0
    y -= 0.5
    y[0] *= 3
    y /= 1.5
    return (y**2).sum()


@program()
def two_names_for_one_array(x):
    a = x * 1.0
    b = a
    b[0] = x[1] ** 2
    b += 1.0
    return (a * x).sum()


@program()
def written_through_a_view(x):
    a = x * 1.0
    view = a[1:]
    view[0] = x[0] * 3
    view += 1.0
    a[2] = a[2] * view[0]
    return (a * view[0]).sum() + view[1]


@program()
def matrix_filled(x):
    m = np.zeros((3, 3))
    for i in range(3):
        for j in range(i + 1):
            m[i, j] = x[i] * x[j] + i
    m[:, 0] += 1.0
    return (m @ m.T).sum()


@program()
def written_in_a_branch(x):
    y = x.copy()
    if x[0] > 0:
        y[0] = x[1] * 2
    else:
        y[1] = x[0] ** 2
    return (y**2).sum()


@program()
def add_at(x):
    out = np.zeros(3)
    np.add.at(out, [0, 1, 1], x)
    return (out**2).sum()


@program()
def recurrence_in_an_array(x):
    y = np.zeros(6)
    y[0] = x[0]
    for i in range(1, 6):
        y[i] = 0.5 * y[i - 1] + np.sin(x[i % 3])
    return y @ np.arange(6.0)


@program()
def indexing(x):
    m = np.outer(x, x) + A
    return (
        m[0, 1]
        + m[1].sum()
        + m[:, 2] @ x
        + m[-1, ::-1].sum()
        + m[[0, 2], [1, 1]].sum()
        + m[m > 1].sum()
        + x[None, :].sum()
    )


@program()
def index_by_argmax(x):
    i = np.argmax(x)
    return x[i] ** 2 + x[np.argsort(x)] @ np.array([1.0, 2.0, 3.0])


@program()
def while_over_items(x):
    i = 0
    while i < 3:
        x = x * x[i]
        i += 1
    return np.sum(x)


@program(native=True, eager=True)
def reductions(x):
    return np.sum(x**2) + np.prod(x) + np.mean(x) * np.max(x) + x.min() + np.sum(np.abs(x))


@program()
def more_reductions(x):
    m = np.outer(x, np.sin(x))
    return (
        np.std(x)
        + np.var(m, axis=0).sum()
        + np.cumsum(x)[1]
        + m.max(axis=1).sum()
        + np.linalg.norm(m, axis=0).sum()
    )


@program(native=True)
def where_and_clip(x):
    y = np.where(x > 0, x, x**2) + np.clip(x, -0.5, 0.5) + np.maximum(x, 0.1) * np.minimum(x, 1.0)
    return np.sum(y * np.sign(x))


@program()
def masked_sum(x):
    return np.sum(x[x > 0] ** 2)


@program()
def solving(x):
    return (
        np.linalg.solve(A, x) @ x
        + np.linalg.det(A + np.outer(x, x))
        + np.trace(np.linalg.inv(A + np.diag(x)))
    )


@program()
def more_linear_algebra(x):
    m = A + 0.1 * np.outer(x, x)
    sign, logdet = np.linalg.slogdet(m)
    return np.linalg.cholesky(m).sum() + logdet * sign + np.linalg.norm(m) + np.linalg.norm(x, 1)


@program()
def shapes(x):
    y = np.stack([x, 2 * x]).T.reshape(2, 3)
    z = np.concatenate([y, y[:1]], axis=0).swapaxes(0, 1)
    return (
        (z * np.broadcast_to(x[:, None], (3, 3))).sum()
        + np.tile(x, 2)[4]
        + np.roll(x, 1)[0]
        + np.flip(x)[0] * x[0]
    )


@program(eager=True)
def einsum(x):
    return np.einsum("i,ij,j", x, A, x) + np.einsum("ij,j->i", A, x).sum() + np.tensordot(x, A, 1) @ x


@program()
def np_sum_of_a_list(x):
    return np.sum([x[0], x[1] * 2]) + np.max([x[0], x[2]]) + np.array([np.sin(t) for t in x]).sum()


@program()
def arrays_of_traced_items(x):
    y = np.array([[x[0], 1.0], [2 * x[1], np.sin(x[2])]])
    return np.linalg.norm(y) + np.asarray([x[0], x[1]]).sum() + np.full(3, x[0]).sum() + np.ones_like(x) @ x


@program()
def rosenbrock(x):
    return rosen(x)


@program(native=True)
def special_functions(x):
    return np.sum(scipy.special.erf(x) + scipy.special.expit(x)) + scipy.special.logsumexp(x)


@program(np.array([0.3, -0.2, 0.7], np.float32), tolerance=3e-3)
def single_precision(x):
    y = x * 2 + 1.5
    for _ in range(3):
        y = np.sin(y) * x
    return np.sum(y * np.float32(0.5))


@program(np.float32(0.7), tolerance=3e-3)
def single_precision_scalar(x):
    return np.exp(x) * 2 + x**2


@program((X, WIDE), (2 * X, WIDE), argnums=1, native=True, captures=1)
def logistic(w, data):
    p = 1 / (1 + np.exp(-(data @ w)))
    return -np.mean(np.log(p))


@program(
    np.arange(6.0).reshape(2, 3), np.asfortranarray(np.ones((2, 3))), np.arange(12.0).reshape(2, 6)[:, ::2]
)
def any_layout(m):
    return (np.sin(m) @ m.T).sum()


@program(np.array(1.5), np.array(-0.5))
def zero_dimensional(x):
    return x**2 + np.sin(x) * 2


@program(np.zeros(0))
def empty_array(x):
    return np.sum(x**2)


@program(np.array([[1.2, -0.3], [0.4, 0.9]]))
def method_calls(m):
    return (
        m.dot(m).sum()
        + m.mean(axis=0).max()
        + m.reshape(-1)[1:].prod()
        + m.T.ravel().cumsum()[2]
        + m.clip(0, 1).sum()
    )


@program(np.array([[1.5, 2.2], [0.3, 1.3]]), native=True)
def types_called_as_functions(m):
    places = np.int64(m[:, 1] - 1)
    whole = np.complex128(m) * np.complex128(m[0, 0], m[0, 1])
    return np.sum(m[places, 0] ** 2) + np.sum(np.float64(m) * np.bool_(m)) + np.imag(np.sum(whole))


@program(np.arange(12.0).reshape(3, 4))
def tuples_inside_of_an_index(m):
    a = m.copy()
    a[(0, 1), (1, 1)] = m[(2, 2), (0, 1)] * 2
    a[(2, 0),] += 1.0
    np.add.at(a, ((0, 0), (3, 3)), m[0, 1])
    return np.sum(a[:, (True, False, True, False)] ** 2) + np.sum(
        a[(np.argmax(m[:, 0]), 0, 0), (3, 3, 1)] ** 3
    )
