"""Programs that read and write items at the counter of a loop: what `tests/emit/test_items.py` tries in all texts.

The `PROGRAMS` table holds for each a function over symbols, the same in plain NumPy, and inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.emit.programs import if_, named, while_
from tracegrad.ops.elementary import cos, sin
from tracegrad.ops.index import Slot, getitem, index_add, index_set, zeros
from tracegrad.ops.linalg import dot, matmul
from tracegrad.ops.reduce import sum_
from tracegrad.ops.shape import stack

_ALL = slice(None)


def item(x: Any, *key: Any) -> Any:
    """`x[key]`, symbols in it becoming slots."""
    slots = [k for k in key if hasattr(k, "recorder")]
    return getitem(x, *slots, index=_template(key))


def put(x: Any, value: Any, *key: Any, add: bool = False) -> Any:
    """`x[key] = value`, or `+=`."""
    slots = [k for k in key if hasattr(k, "recorder")]
    return (index_add if add else index_set)(x, *slots, value, index=_template(key))


def _template(key: tuple[Any, ...]) -> tuple[Any, ...]:
    numbers = iter(range(len(key)))
    return tuple(Slot(next(numbers)) if hasattr(k, "recorder") else k for k in key)


def total(x: Any) -> Any:
    return sum_(x, axis=tuple(range(x.ndim)), keepdims=False)


def empty(x: Any, *shape: int) -> Any:
    return x.recorder.apply(zeros, (), {"shape": shape, "dtype": np.dtype(float)})


def squares(x: Any) -> Any:
    (s,) = while_(
        None,
        lambda k, s, x: named("s", s + item(x, k) * item(x, k)),
        {"s": x.recorder.constant(0.0) + 0.0 * item(x, 0)},
        x,
        limit=x.shape[0],
    )
    return s


def squares_plain(x: Any) -> Any:
    return sum(x[k] * x[k] for k in range(len(x)))


def neighbours(x: Any) -> Any:
    def step(k: Any, s: Any, x: Any) -> Any:
        return s + (item(x, k) - item(x, k - 1)) * item(x, -1 - k) + sin(item(x, (k * 3) % x.shape[0]))

    (s,) = while_(None, step, {"s": 0.0 * item(x, 0)}, x, limit=x.shape[0])
    return s


def neighbours_plain(x: Any) -> Any:
    s, n = 0.0, len(x)
    for k in range(n):
        s += (x[k] - x[k - 1]) * x[-1 - k] + np.sin(x[k * 3 % n])
    return s


def recurrence(x: Any) -> Any:
    def step(k: Any, u: Any, x: Any) -> Any:
        before = named("before", item(u, k))
        return named("u", put(u, before + 0.1 * sin(before) * item(x, k), k + 1))

    (u,) = while_(None, step, {"u": put(empty(x, 7), item(x, 0), 0)}, x, limit=6)
    return total(u * u)


def recurrence_plain(x: Any) -> Any:
    u = [x[0]]
    for k in range(6):
        u.append(u[k] + 0.1 * np.sin(u[k]) * x[k])
    return sum(v * v for v in u)


def overwritten(x: Any) -> Any:
    """The argument itself is written into, and read afterwards as it was."""
    (y,) = while_(
        None, lambda k, y: put(y, item(y, k) * item(y, k - 1), k), {"y": named("y", x)}, limit=x.shape[0]
    )
    return total(y * x)


def overwritten_plain(x: Any) -> Any:
    y = list(x)
    for k in range(len(y)):
        y[k] = y[k] * y[k - 1]
    return sum(a * b for a, b in zip(y, x, strict=True))


def rows(A: Any, w: Any) -> Any:
    def step(k: Any, s: Any, A: Any, w: Any) -> Any:
        row = named("row", item(A, k))
        return s + dot(row, w) * item(A, k, 1) + total(row * item(A, k - 1))

    (s,) = while_(None, step, {"s": 0.0 * item(w, 0)}, A, w, limit=A.shape[0])
    return s


def rows_plain(A: Any, w: Any) -> Any:
    return sum(np.dot(A[k], w) * A[k, 1] + np.sum(A[k] * A[k - 1]) for k in range(len(A)))


def columns(A: Any, w: Any) -> Any:
    def step(k: Any, s: Any, A: Any, w: Any) -> Any:
        tail = named("tail", item(A, k, slice(1, None)))
        return s + dot(item(A, _ALL, k), w) + total(cos(tail))

    (s,) = while_(None, step, {"s": 0.0 * item(w, 0)}, A, w, limit=3)
    return s


def columns_plain(A: Any, w: Any) -> Any:
    return sum(np.dot(A[:, k], w) + np.sum(np.cos(A[k, 1:])) for k in range(3))


def table_of_matrix(A: Any) -> Any:
    """Two loops, one inside the other, over the cells of a matrix, into another."""

    def outer(k: Any, B: Any, A: Any) -> Any:
        def inner(j: Any, B: Any, A: Any, i: Any) -> Any:
            return put(B, item(A, i, j) * item(A, i, j - 1), j, i)

        (B,) = while_(None, inner, {"B": B}, A, k + 0, limit=A.shape[1])
        return B

    (B,) = while_(None, outer, {"B": empty(A, *A.shape[::-1])}, A, limit=A.shape[0])
    return total(sin(B))


def table_of_matrix_plain(A: Any) -> Any:
    m, n = A.shape
    return sum(np.sin(A[i, j] * A[i, j - 1]) for i in range(m) for j in range(n))


def states(x: Any, F: Any) -> Any:
    """Rows filled one after the other."""

    def step(k: Any, X: Any, F: Any) -> Any:
        return put(X, matmul(F, item(X, k)) + 0.1 * sin(item(X, k)), k + 1)

    (X,) = while_(None, step, {"X": put(empty(x, 5, 2), x, 0)}, F, limit=4)
    return total(X * X)


def states_plain(x: Any, F: Any) -> Any:
    X = [x]
    for k in range(4):
        X.append(F @ X[k] + 0.1 * np.sin(X[k]))
    return sum(np.sum(v * v) for v in X)


def doubled(x: Any) -> Any:
    """One line an iteration, whose reverse reads and clears the same item."""
    (out,) = while_(
        None, lambda k, out, x: put(out, 2.0 * sin(item(x, k)), k), {"out": empty(x, 6)}, x, limit=6
    )
    return total(out * out)


def doubled_plain(x: Any) -> Any:
    return sum((2.0 * np.sin(v)) ** 2 for v in x)


def relaxed(x: Any, w: Any) -> Any:
    """Small arrays made at each step; some are handed on to the next one, some are not."""

    def step(k: Any, p: Any, q: Any, w: Any) -> Any:
        a = named("a", p * w)
        b = named("b", a + sin(a) * item(a, k))
        c = if_(total(b) > total(q), lambda a, b: b - a, lambda a, b: a * 0.5, "c", a, b)
        return q * 0.9 + total(c) * b, p + c

    p, q = while_(None, step, {"p": x, "q": w}, w, limit=3)
    return total(p * q)


def relaxed_plain(x: Any, w: Any) -> Any:
    p, q = x, w
    for k in range(3):
        a = p * w
        b = a + np.sin(a) * a[k]
        c = b - a if np.sum(b) > np.sum(q) else a * 0.5
        p, q = q * 0.9 + np.sum(c) * b, p + c
    return np.sum(p * q)


def histogram(x: Any, places: Any) -> Any:
    def step(k: Any, h: Any, x: Any, places: Any) -> Any:
        return put(h, item(x, k), item(places, k), add=True)

    (h,) = while_(None, step, {"h": empty(x, 3)}, x, places, limit=x.shape[0])
    return total(h * h)


def histogram_plain(x: Any, places: Any) -> Any:
    h: list[Any] = [0.0, 0.0, 0.0]
    for k in range(len(x)):
        h[places[k]] = h[places[k]] + x[k]
    return sum(v * v for v in h)


def weights(x: Any, y: Any, n: Any) -> Any:
    """A list of numbers, read by the counter; the limit is known only at run time."""
    table = named("table", stack(x, y, x * y, x, axis=0))
    (s,) = while_(None, lambda k, s, t: s * item(t, k) + item(t, -1 - k), {"s": x + 0.0}, table, limit=n)
    return s


def weights_plain(x: Any, y: Any, n: Any) -> Any:
    table, s = [x, y, x * y, x], x
    for k in range(n):
        s = s * table[k] + table[-1 - k]
    return s


_draw = np.random.default_rng(11)
_VECTOR = _draw.uniform(0.3, 1.5, 6)
_MATRIX = _draw.uniform(0.3, 1.5, (3, 4))
PROGRAMS: dict[str, tuple[Callable[..., Any], Callable[..., Any], tuple[Any, ...]]] = {
    "squares": (squares, squares_plain, (_VECTOR,)),
    "neighbours": (neighbours, neighbours_plain, (_VECTOR,)),
    "recurrence": (recurrence, recurrence_plain, (_VECTOR,)),
    "overwritten": (overwritten, overwritten_plain, (_VECTOR,)),
    "rows": (rows, rows_plain, (_MATRIX, _VECTOR[:4].copy())),
    "columns": (columns, columns_plain, (_MATRIX, _VECTOR[:3].copy())),
    "table_of_matrix": (table_of_matrix, table_of_matrix_plain, (_MATRIX,)),
    "states": (states, states_plain, (_VECTOR[:2].copy(), np.array([[0.9, 0.2], [-0.1, 0.8]]))),
    "doubled": (doubled, doubled_plain, (_VECTOR,)),
    "relaxed": (relaxed, relaxed_plain, (_VECTOR[:3].copy(), _VECTOR[3:].copy())),
    "histogram": (histogram, histogram_plain, (_VECTOR, np.array([2, 0, 1, -1, 0, 2]))),
    "weights": (weights, weights_plain, (np.float64(0.7), np.float64(1.2), np.int64(3))),
}
