"""Programs in which two names see one memory: views carried through loops, arrays in lists, arrays of a list or dict
that is run over or updated, names exchanged by a loop.

Each is ordinary NumPy; a write under one name shows under the other. The number says how often the loop runs.
"""

from __future__ import annotations

import numpy as np

from tests.programs.program import program

A = np.linspace(0.1, 1.1, 8).reshape(4, 2) ** 1.5


def shared(*counts, **options):
    """A program of a matrix and a number."""
    return program(*((A, n) for n in counts or (3, 2, 4)), **options)


# --- views carried through a loop that writes their array -------------------------------------------------------------


@shared(captures=1)
def rows_of_an_array_that_shrinks(A, n):
    B, s = A.copy(), 0.0
    for _ in range(n):
        for q in B:
            s = s + q[0] * q[1]
        B *= 0.5
        B[0, 0] = s * 0.1
    return B.sum() + s


@shared(captures=1, native=True)
def a_row_read_after_a_write(A, n):
    B, s, i = A.copy(), 0.0, 0
    while B.sum() > 0.2 and i < n:
        v, w = B[i][::-1], B[i, 0:1]
        if v[0] > 0.4:
            B[i] *= 0.5
        B *= 0.8
        s += v[0] * w[0]
        i += 1
    return s + B.sum()


@shared()
def a_row_kept_when_it_is_large(A, n):
    B, s = A.copy(), 0.0
    first = B[0]
    for i in range(n):
        if A[i, 0] > 0.5:
            first = B[i]
        B *= 0.5
        s = s + first.sum()
    return s


@shared(2, 4, 3)
def the_row_before(A, n):
    B, s, prev = A.copy(), 0.0, None
    for i in range(n):
        cur = B[i]
        B *= 0.6
        if prev is not None:
            s = s + prev.sum() * cur[0]
        prev = cur
    return s


@shared(2, 4, 3)
def the_row_before_is_added(A, n):
    B, s, q = A.copy(), 0.0, None
    for i in range(n):
        B *= 0.9
        if i > 0:
            s = s + q[0] * q[1]
            B += q
        q = B[i]
    return s


@shared()
def the_last_row_after_the_loop(A, n):
    B, s = A.copy(), 0.0
    q = B[2]
    for i in range(n):
        s = s + q.sum() * q[0]
        q = B[i]
        B *= 0.5 + 0.1 * i
    return s + q.sum()


# --- names that a loop exchanges --------------------------------------------------------------------------------------


@shared()
def turned_round_by_an_inner_loop(A, n):
    B = np.zeros((3, 3))
    z = B[1]
    for _ in range(n):
        g = 0.1
        while g < 1.0:
            g = g * 1.6 + 0.05
            B = B[::-1]
    z[0] -= A[0, 1]
    B[0, 1] = A[1, 1]
    return (B * B).sum()


@shared(6, 7)
def turned_round_or_not(A, n):
    B, g = np.zeros((3, 3)), 0
    z = B[2]
    while g < n:
        g += 1
        if g > 5:
            A = A * 2
        else:
            B = B[::-1]
    z[0] -= A[0, 1]
    return (B[0] * 3 + B[2]).sum() ** 2


# --- arrays in lists --------------------------------------------------------------------------------------------------


@shared()
def rows_in_a_list_of_an_array_that_shrinks(A, n):
    B, s, rows = A.copy(), 0.0, []
    for i in range(n):
        rows.append(B[i])
        B *= 0.5
        s = s + rows[0].sum() * rows[-1].sum()
    return s


@shared()
def one_array_many_times_in_a_list(A, n):
    B = A.copy()
    rows = [B[0]]
    for _ in range(n):
        rows.append(B)
        B *= 0.5
    return sum(r.sum() * 0.5 for r in rows)


@shared()
def the_first_array_of_a_list_is_written(A, n):
    B, rows = A.copy(), []
    for _ in range(n):
        rows.append(B)
        B = B * 0.5
    first = rows[0]
    first *= 3.0
    return sum((k + 1) * r.sum() for k, r in enumerate(rows)) + B.sum()


@shared(3, 1, 2)
def items_of_a_list_are_written(A, n):
    rows = []
    for i in range(n):
        rows.append(A[i] * 2.0)
    for r in rows:
        r[0] *= 3.0
    return np.sum(np.array(rows) ** 2) + 0.0 * A.sum()


@shared()
def a_tuple_in_a_list_is_written_one_step_later(A, n):
    rows = []
    for i in range(n):
        rows.append((A[i] * 2.0, i))
        if len(rows) > 1:
            rows[-2][0][1] *= 0.5
    return sum(((r**2).sum() for r, _ in rows), 0.0) + 0.0 * A.sum()


# --- arrays that a loop runs over -------------------------------------------------------------------------------------


@shared(3)
def each_array_of_a_tuple(A, n):
    a, b, c, d = A[0] * 2.0, A[1] * 3.0, A[2] * 1.5, A[3] + 1.0
    for r in (a, b, c, d):
        r *= 2.0
    return (a * a).sum() + b.sum() * d[0] + c[1] * b[0]


@shared(3)
def parameters_beside_their_changes(A, n):
    a, b = A[0] * 2.0, A[1] * 3.0
    s = 0.0
    for x, y in zip([a, b, a], [b, a, b], strict=True):
        x += 0.5 * y
        s = s + x[0]
    return s + a.sum() * b.sum()


@shared()
def a_list_read_again_after_an_item_was_written(A, n):
    a, b, s, i = A[0] * 2.0, A[1] * 3.0, 0.0, 0
    pairs = [(a, 1.0), (b, 2.0), (a, 3.0)]
    while i < n:
        for r, w in pairs:
            s = s + r.sum() * r[0] * w
        if s > 1.0:
            a *= 0.5
        i += 1
    return s


@shared()
def numbers_in_lists_in_a_list(A, n):
    rows, s = [[A[0, 0], 2.0], [A[1, 0], 3.0], [A[2, 1], 0.5]], 0.0
    for r, w in rows:
        s = s + r * w
    rows[1][0] = A[3, 1] * n
    for r, w in rows:
        s = s + r**2 * w
    return s


# --- items of lists and dicts updated: the array itself is written ----------------------------------------------------


@shared()
def an_item_of_a_list_is_updated(A, n):
    a, b, c, d = A[0] * 2.0, A[1] * 3.0, A[2] * 1.5, A[3] + 1.0
    parameters = [a, b, c, d]
    for i in range(n):
        parameters[i] *= a[0]
        parameters[i][1] = b[0]
    return (a * a).sum() + b.sum() * d[0] + c[1] * b[0]


@shared()
def layers_in_lists(A, n):
    layers = []
    for i in range(n):
        layers.append([A[i] * 1.0, A[i, 0] * 2.0])
    s = 0.0
    for _ in range(3):
        for layer in layers:
            layer[0] -= 0.1 * layer[1]
            s = s + layer[0].sum() ** 2
    return s + 0.0 * A.sum()


@shared(3)
def an_item_of_a_dict_has_another_name(A, n):
    w = A[0] * 1.0
    model = {"w": w, "b": A[1, 0]}
    model["w"] -= 0.5 * A[2]
    model["b"] += 1.0
    return (w**2).sum() * model["b"]


# --- names left over from a step that is over -------------------------------------------------------------------------


@shared(captures=1)
def an_item_updated_in_a_loop_that_is_left(A, n):
    e, z, g = 0.0, A[:, 1] * 1.0, 0
    while True:
        g += 1
        if g > n + 2:
            break
        for q in z:
            e = e + 0.1 * z[0]
            q += e
    return e


@shared(captures=1)
def an_array_made_anew_in_a_loop_that_is_left(A, n):
    e, g = 0.0, 0
    while True:
        g += 1
        if g > n + 2:
            break
        q = A[0] * g
        q += e
        e = e + q.sum() * 0.1
    return e


# --- views handed on by loops that are computed ahead -----------------------------------------------------------------


@shared(40, 3)
def a_reshaped_array_goes_round(A, n):
    y, s = A * 0.5, 0.0
    for _ in range(n):
        flat = np.sin(y.ravel() * 1.1)
        y = flat.reshape(4, 2)
        s = s + flat[1] * y[0, 0]
    y[0, 1] = s
    return s + y.sum() + flat.sum()


@shared(40, 3)
def two_shapes_of_one_array_go_round(A, n):
    y = A * 0.5
    row = y.ravel()
    for k in range(n):
        row[k % 8] = row[k % 8] * 0.5 + y[1, 1]
        made = np.cos(y) * row[2]
        y, row = made, made.reshape(8)
    row[3] = 2.0
    return (y**2).sum() + row[0]


@shared(40, 3)
def a_shape_that_changes_places(A, n):
    old = new = A[0] * 1.0
    for k in range(n):
        made = np.sin(A @ new + 0.1)
        old, new = new, made[1:3]
        if k == n - 2:
            old[0] = 0.25
    return old.sum() * new[1] + new[0]


@shared(40, 3)
def a_reshaped_array_is_kept_and_written(A, n):
    y, seen = A * 0.5, []
    for _ in range(n):
        flat = np.sin(y.ravel() * 1.1)
        seen.append(flat)
        y = flat.reshape(4, 2)
    seen[-1][0] = 2.0
    seen[1][1] = 3.0
    return y.sum() + sum(v.sum() for v in seen)


# --- names that hold one array before a loop and two behind it, or the other way round, in a run of one iteration -----


@shared(1, 2, 3, 1)
def one_array_comes_apart(A, n):
    a = A * 1.0
    b = a
    for _ in range(n):
        c = a
        a = b * 0.3 + c
        b = b * 1.0
        b[0] = 0.3
    return (a * c).sum() + b.sum()


@shared(1, 3, 2)
def two_arrays_become_one(A, n):
    a, b = A * 0.5, A * 2.0
    for _ in range(n):
        b[0] = a[1] * 0.5
        a = np.sin(a)
        b = a
    return (a * A).sum() + b.sum()


@shared(1, 3, 0, 2)
def one_array_comes_apart_while_a_condition_holds(A, n):
    a = A * 1.0
    b, k = a, n * A[3, 1]
    while k > 0.05:
        a = b * 0.3 + a
        b = b * 1.0
        b[0] = 0.3
        k = k - A[3, 1]
    return (a * b).sum()


@shared(2, 4, 1, 3)
def a_view_of_what_was_there_before(A, n):
    a = A * 1.0
    b = a
    for _ in range(n):
        seen = a[::-1]
        a = b * 0.3 + np.sin(seen)
        b = a + seen
        a = a * 1.0
        a[:, 0] += a[:, 1]
    return (seen * A).sum() + (a * b).sum()


# --- one array or two, as a call goes: what is written in a call of another kind has to know -------------------------


def choices(*inputs, **options):
    """A program of an array and two numbers: which array a name holds, and whether it is written."""
    return program(*((X, c, d) for c, d in inputs), **options)


X = np.array([0.5, -1.2, 0.8, 2.0])


@choices((2.5, 1.0), (-1.5, -1.0), (-1.5, 1.0), (1.5, 1.0))
def a_name_that_loops_may_leave_as_it_is(x, c, d):
    m = x * 1.0
    v = m
    for k in range(3):
        if c > k:
            v = x * 2.0
    if d > 0:
        m[0] = 1.0
    return np.sum(v * v) + m.sum()


@choices((1.5, 1.0), (-1.5, -1.0), (-1.5, 1.0))
def a_name_that_a_loop_of_no_steps_leaves_as_it_is(x, c, d):
    m = x * 1.0
    v = m
    while c > 0:
        v = x * c
        c = c - 1
    if d > 0:
        m[0] = 1.0
    return np.sum(v * v) + m.sum()


@choices((1.5, -1.0), (2.5, -1.0), (2.5, 1.0), (1.5, 1.0))
def two_names_of_one_array_that_an_arm_not_taken_writes(x, c, d):
    m = x * 1.0
    v = x * 2.0
    for k in range(3):
        if c > k:
            v = v * 2.0
        else:
            v = m
    if d > 0:
        m[0] = 5.0
    return np.sum(v * m)


@choices((-1.5, -1.0), (1.5, -1.0), (1.5, 2.0), (-1.5, 1.0))
def two_names_of_one_array_that_a_loop_of_no_steps_writes(x, c, d):
    v = x * 1.0
    m = v
    while c > 0:
        m = m * 2.0
        c = c - 1.0
    k = 0
    while k < d:
        m[k] = 5.0
        k += 1
    return np.sum(v * m)


@choices((1.5, 2.0), (1.5, -1.0), (-1.5, 2.0), (2.5, 3.0))
def two_names_of_one_array_that_the_other_arm_writes(x, c, d):
    v = x * 1.0
    m, w = x * 2.0, v
    if c > 0:
        k = 0
        while k < d:
            m = v
            k += 1
        v = v * 1.0 + w
    else:
        w[0] = d
    return np.sum(v * w) + 5.0 * np.sum(m * m * x)


@choices((1.5, 2.0), (1.5, -1.0), (-1.5, 2.0), (2.5, 3.0))
def two_names_of_one_array_that_a_later_step_writes(x, c, d):
    v = x * 1.0
    m, w = x * 2.0, v
    for k in range(3):
        if c + k > 3.0:
            w[0] = 0.5 * k
        j = 0
        while j < d:
            m = v
            j += 1
    return np.sum(v * w) + 5.0 * np.sum(m * m * x)
