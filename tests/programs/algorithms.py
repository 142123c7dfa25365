"""Numerical algorithms that work in place, written by hand as textbooks have them: eliminations, sweeps, buffers."""

from __future__ import annotations

import numpy as np

from tests.programs.program import program

V = np.array([1.2, -0.7, 0.4, 2.1])
A = np.array([[6.0, 1, 0, 2], [1, 5, 2, 0], [0, 2, 7, 1], [2, 0, 1, 8]])
W = np.arange(1.0, 5.0)
EDGES = np.array([[0, 1, 2], [1, 3, 2], [0, 2, 3]])


def worked(**options):
    """A program of four numbers."""
    return program(V, V[::-1].copy(), eager=True, native=True, **options)


@worked(overwrites=True)
def cholesky_by_hand(x):
    a = A + np.outer(x, x)
    n = len(a)
    low = np.zeros((n, n))
    for j in range(n):
        low[j, j] = np.sqrt(a[j, j] - low[j, :j] @ low[j, :j])
        for i in range(j + 1, n):
            low[i, j] = (a[i, j] - low[i, :j] @ low[j, :j]) / low[j, j]
    return (low * A).sum()


@worked(overwrites=True)
def elimination_with_pivots(x):
    a = A + np.diag(x)
    a[[0, 2]] = a[[2, 0]]
    b = x * W
    n = len(b)
    for k in range(n - 1):
        p = k + np.argmax(np.abs(a[k:, k]))
        a[[k, p]] = a[[p, k]]
        b[[k, p]] = b[[p, k]]
        for i in range(k + 1, n):
            f = a[i, k] / a[k, k]
            a[i, k:] -= f * a[k, k:]
            b[i] -= f * b[k]
    for k in range(n - 1, -1, -1):
        b[k] = (b[k] - a[k, k + 1 :] @ b[k + 1 :]) / a[k, k]
    return b @ W


@worked()
def gauss_seidel(x):
    y = np.zeros(4)
    for _ in range(5):
        for i in range(4):
            y[i] = (x[i] - A[i, :i] @ y[:i] - A[i, i + 1 :] @ y[i + 1 :]) / A[i, i]
    return y @ W


@worked()
def heat_with_ghost_cells(x):
    u = np.zeros(6)
    u[1:-1] = x
    for _ in range(4):
        u[0], u[-1] = u[1] * 1.0, u[-2] * 1.0
        u[1:-1] += 0.1 * (u[2:] - 2 * u[1:-1] + u[:-2])
    return (u[1:-1] * W).sum()


@worked()
def red_black_sweeps(x):
    u = np.outer(x, W)
    for _ in range(2):
        for colour in (0, 1):
            for i in range(1, 3):
                part = slice(1 + (i + colour) % 2, -1, 2)
                row = u[i]
                row[part] = 0.25 * (u[i - 1][part] + u[i + 1][part] + row[:-2].sum())
    return (u * A).sum()


@worked()
def crank_nicolson_by_thomas(x):
    u, n, r = x * 1.0, 4, 0.3
    for _ in range(3):
        d = (1 - 2 * r) * u
        d[1:] += r * u[:-1]
        d[:-1] += r * u[1:]
        c = np.zeros(n)
        c[0] = -r / (1 + 2 * r)
        d[0] /= 1 + 2 * r
        for i in range(1, n):
            m = 1 + 2 * r + r * c[i - 1]
            c[i] = -r / m
            d[i] = (d[i] + r * d[i - 1]) / m
        for i in range(n - 2, -1, -1):
            d[i] -= c[i] * d[i + 1]
        u[:] = d
    return u @ W


@worked()
def finite_elements_assembled(x):
    k, load = np.zeros((4, 4)), np.zeros(4)
    local = np.outer(x[:3], x[:3]) + np.eye(3)
    for e in EDGES:
        np.add.at(k, (e[:, None], e[None, :]), local)
        np.add.at(load, e, x[:3] * x[3])
    k[0] = 0.0
    k[:, 0] = 0.0
    k[0, 0] = 1.0
    return np.linalg.solve(k, load) @ W


@worked()
def histogram_of_weights(x):
    bins = np.clip(np.floor(x * 2).astype(int) + 2, 0, 5)
    counts = np.zeros(6)
    np.add.at(counts, bins, x * x)
    for k in range(1, 6):
        counts[k] += counts[k - 1]
    return counts @ np.arange(6.0)


@worked()
def image_stencil(x):
    image = np.outer(x, W)
    out = np.zeros_like(image)
    for di in (-1, 0, 1):
        for dj in (-1, 0, 1):
            out[1:-1, 1:-1] += image[1 + di : 3 + di, 1 + dj : 3 + dj] * (di + 2 * dj + 0.5)
    out[0], out[-1], out[:, 0], out[:, -1] = out[1], out[-2], out[:, 1], out[:, -2]
    return (out * A).sum()


@worked()
def permuted_and_put_back(x):
    order = np.argsort(x)
    a, back = x[order], np.empty(4)
    a[1:] -= a[:-1] * 0.5
    back[order] = a * W
    return (back * x).sum()


@worked()
def prefix_sums_by_doubling(x):
    a = x * W
    step = 1
    while step < 4:
        a[step:] += a[:-step].copy()
        step *= 2
    return a @ W


@worked(overwrites=True)
def givens_rotations(x):
    a = np.outer(x, W) + A
    for j in range(3):
        for i in range(3, j, -1):
            r = np.hypot(a[i - 1, j], a[i, j])
            c, s = a[i - 1, j] / r, a[i, j] / r
            upper = c * a[i - 1] + s * a[i]
            a[i] = c * a[i] - s * a[i - 1]
            a[i - 1] = upper
    return np.abs(np.diag(a)).sum() + np.abs(a[0]).sum()


@worked()
def sliding_windows(x):
    padded = np.zeros(8)
    padded[2:6] = x
    out = np.empty(6)
    for k in range(6):
        window = padded[k : k + 3]
        out[k] = window @ np.array([0.5, 1.0, -0.25]) + (window**2).max()
    return out @ np.arange(1.0, 7.0)


@worked()
def horner_in_place(x):
    p = np.zeros(4)
    for c in (2.0, -1.0, 0.5, 3.0):
        p *= x
        p += c
    return p @ W


@worked()
def a_sorting_network(x):
    a = x * 1.0
    for i, j in ((0, 1), (2, 3), (0, 2), (1, 3), (1, 2)):
        low, high = np.minimum(a[i], a[j]), np.maximum(a[i], a[j])
        a[i], a[j] = low, high
    return a @ W


@worked()
def a_ring_buffer(x):
    ring, total = np.zeros(3), 0.0
    for k in range(7):
        ring[k % 3] = x[k % 4] * (k + 1) + 0.5 * ring[(k - 1) % 3]
        total = total + ring.sum() * ring[(k + 1) % 3]
    return total


@worked(overwrites=True)
def gram_schmidt_by_columns(x):
    q = A + np.outer(x, W)
    for j in range(4):
        column = q[:, j]
        for i in range(j):
            column -= (q[:, i] @ column) * q[:, i]
        column /= np.sqrt(column @ column)
    return (q * A).sum()


@worked()
def a_table_of_distances(x):
    n = 4
    d = np.zeros((n + 1, n + 1))
    d[0, 1:] = np.cumsum(np.abs(x))
    d[1:, 0] = np.cumsum(W)
    for i in range(1, n + 1):
        for j in range(1, n + 1):
            best = min(d[i - 1, j], d[i, j - 1], d[i - 1, j - 1])
            d[i, j] = (x[i - 1] - W[j - 1]) ** 2 + best
    return d[n, n]


@worked()
def views_handed_to_a_helper(x):
    def smooth(v):
        v[1:] += 0.5 * v[:-1]
        v[0] *= 2.0

    a = np.outer(x, W)
    for row in a:
        smooth(row)
    for k in range(4):
        smooth(a[:, k])
    smooth(a.reshape(-1)[::3])
    return (a * A).sum()
