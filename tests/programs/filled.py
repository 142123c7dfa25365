"""Programs that fill arrays in nested loops, as users write them, and write one of those that loops leave behind: they
are programs with loops, whatever arms a call takes; and programs much alike in which two names may hold one array.
"""

from __future__ import annotations

import numpy as np

from tests.programs.program import program

A = np.linspace(0.1, 1.7, 16).reshape(4, 4) ** 1.3 + 0.4 * np.eye(4)
X = np.array([0.5137, -1.2371, 0.8173, 2.0391])


@program((A, 0.7), (A[::-1].copy(), 0.2), captures=1, loops=2, native=True)
def forces_between_pairs(x, z):
    forces = np.zeros_like(x)
    for i in range(x.shape[0]):
        for j in range(i + 1, x.shape[0]):
            apart = x[j] - x[i]
            force = apart / ((apart**2).sum() + 0.1)
            forces[i] += force
            forces[j] -= force * z
    forces[0] *= z
    return np.sum(forces * forces) + apart.sum()


def diffused(u):
    new = u.copy()
    for i in range(1, len(u) - 1):
        new[i] = u[i] + 0.1 * (u[i - 1] - 2 * u[i] + u[i + 1])
    return new


@program((A, 0.7), (A * 0.5, 0.2), captures=1, loops=2, native=True)
def a_border_set_after_steps(x, z):
    u, means = x[0] * z, np.zeros(3)
    for t in range(3):
        u = diffused(u)
        means[t] = u.sum()
    u[0] = z
    means[0] = 0.0
    return np.sum(u**2) + np.sum(means**2)


@program((A, 0.7), (-A, 0.2), captures=1, loops=2, native=True)
def rows_taken_from_each_other(x, z):
    a = x @ x.T + np.eye(4)
    for k in range(4):
        for i in range(k + 1, 4):
            row = a[i, k] / a[k, k] * a[k]
            a[i] -= row
    a[0, 0] += row[-1] * z
    return np.sum(np.log(np.abs(np.diag(a))))


@program((A, 0.7), (A.T.copy(), 0.2), captures=1, loops=2)
def power_iterations(x, z):
    found, v = np.zeros(4), x[0] * 1.0
    for i in range(4):
        v = x[i] / np.sqrt(np.sum(x[i] ** 2))
        for _ in range(3):
            v = x @ v
            v = v / np.sqrt(np.sum(v**2))
        found[i] = v @ x @ v
    found[-1] *= z
    return found.sum() + v[0]


@program((X, 1.5), (X, 0.4), (X * 0.3, 2.5), captures=2, loops=1)
def gradients_cut_to_a_length(x, c):
    u, slow = x * 1.0, np.zeros(4)
    for _ in range(5):
        g = np.sin(u)
        size = np.sqrt(g @ g)
        if size > c:
            g = g / size * c
        u = u - 0.3 * g
        slow[0] += size
    u[1] = c
    slow[1] = 0.5
    return np.sum(u**2) + np.sum(slow)


@program((X, 2.0), (X, 4.0), (X, 1.0))
def steps_until_a_condition(x, c):
    u = x * 1.0
    while c > 0.5:
        u = np.sin(u) + 0.1 * x
        c = c - 1.0
    u[0] = 3.0
    return np.sum(u**2)


# --- much the same, where two names may hold one array ----------------------------------------------------------------


def choices(*inputs):
    return program(*((X, c, d) for c, d in inputs))


@choices((1.5, 1.0), (-1.5, 1.0), (2.5, -1.0), (9.0, 1.0))
def the_step_before_and_this_one(x, c, d):
    u, before = x * 1.0, x * 2.0
    for k in range(4):
        before = u
        if c > k:
            u = u * 1.5
    if d > 0:
        u[0] = 9.0
    return np.sum(before * u)


@choices((1.5, 1.0), (-1.5, 1.0), (2.5, -1.0), (9.0, 1.0))
def what_a_later_arm_keeps(x, c, d):
    u, kept = x * 1.0, x * 2.0
    for k in range(4):
        u = np.sin(u) + kept
        if c > k:
            kept = u
    if d > 0:
        u[0] = 9.0
    return np.sum(kept * u)


@choices((9.0, 1.0), (1.5, 1.0), (-1.5, 1.0), (2.5, -1.0))
def two_that_another_arm_makes_one(x, c, d):
    u = x * 1.0
    for k in range(4):
        if c > k:
            a = u * 2.0
            b = x * 3.0
        else:
            a = x * 1.5
            b = a
        u = u + a[0]
    if d > 0:
        a[0] = 9.0
    return np.sum(a * b) + u.sum()


@choices((2.0, 1.0), (-1.0, 1.0), (1.0, -1.0))
def no_step_leaves_another_name(x, c, d):
    u = x * 1.0
    first = u
    while c > 0:
        u = np.sin(u)
        c = c - 1.0
    if d > 0:
        u[0] = 9.0
    return np.sum(first * u)


@choices((1.5, 1.0), (1.5, -1.0), (-1.5, -1.0), (-1.5, 1.0))
def one_array_that_a_nested_arm_may_write(x, c, d):
    u, m = x * 1.0, x * 2.0
    if c > 0:
        m = u
        if d > 0:
            m[::2] = 0.5
    return np.sum(u * u) + 5.0 * np.sum(m * m)


@choices((1.5, 1.0), (-1.5, 1.0), (2.5, 1.0), (0.5, -1.0))
def an_item_of_a_list_made_in_each_step(x, c, d):
    total = 0.0
    for k in range(3):
        parts = [x * 1.0, x * (2.0 + k), x * 3.0]
        kept = x * 0.5
        for part in parts:
            if part[0] > c:
                kept = part
        last = parts[2]
    if d > 0:
        last[0] = 7.0
    return np.sum(kept * last) + total
