"""Lists whose items are lists or dicts, read and written at an index that a loop computes; lists written while a loop
runs over them.

A loop may read such items only where it takes them apart at once; a list that somebody holds is the user's own. The
number says how often the loop runs.
"""

from __future__ import annotations

import numpy as np

from tests.programs.program import program

S = np.array([1.2, -0.7, 0.4, 0.9])
TABLE = [[0.5, -1.0, 2.0, 0.1], [1.5, 0.3, -0.2, 0.7], [0.2, 0.4, 0.9, -0.6]]


def counted(*counts, **options):
    """A program of a vector and a number."""
    return program(*((S, n) for n in counts or (3, 2, 3)), **options)


# --- written ----------------------------------------------------------------------------------------------------------


@counted(native=True, second=True)
def a_table_of_sums(s, n):
    table = [[1.0] * 4 for _ in range(n + 1)]
    for i in range(1, n + 1):
        for j in range(1, 4):
            table[i][j] = table[i - 1][j - 1] + table[i - 1][j] * s[j] + 0.5 * table[i][j - 1]
    return table[n][3]


@counted()
def a_table_of_choices(s, n):
    cost = [[0.1 * (i + j) for j in range(4)] for i in range(n + 1)]
    moves = [[None] * 4 for _ in range(n + 1)]
    for i in range(1, n + 1):
        for j in range(1, 4):
            both = cost[i - 1][j - 1] + s[j] ** 2
            ways = [(both, "both"), (cost[i - 1][j] + 0.37, "one"), (cost[i][j - 1] + 0.37, "other")]
            cost[i][j], moves[i][j] = min(ways, key=lambda way: way[0])
    return cost[n][3] + 0.01 * sum(row.count("both") for row in moves) * s[0]


@counted()
def rows_under_names(s, n):
    table = [[1.0, 2.0] for _ in range(4)]
    for i in range(1, n + 1):
        row, last = table[i], table[i - 1]
        row[0] = last[1] * s[i]
        row[1] = row[0] + last[0]
    return table[n][1] + table[1][0]


@counted()
def rows_run_over(s, n):
    table = [[1.0, 5.0], [2.0, 6.0], [3.0, 7.0]]
    for k, row in enumerate(table[:n]):
        row[0] = row[1] * s[k]
    return table[0][0] * table[-1][0]


@counted()
def rows_that_grow(s, n):
    table = [[1.0], [2.0], [3.0]]
    for i in range(n):
        table[i].append(s[i])
        table[i] += [s[i] * table[i][0]]
    return table[1][-1] * table[0][1] + len(table[0])


@counted()
def rows_written_by_a_helper(s, n):
    def put(row, value):
        row[0] = value

    table = [[1.0, 5.0], [2.0, 6.0], [3.0, 7.0]]
    for i in range(n):
        put(table[i], s[i])
    return table[0][0] * table[1][0]


@counted()
def rows_kept_in_another_list(s, n):
    table, kept = [[1.0, 5.0], [2.0, 6.0], [3.0, 7.0]], []
    for i in range(n):
        kept.append(table[i])
    kept[0][0], kept[1][0] = s[0], s[1]
    return table[0][0] * table[1][0]


@counted()
def rows_told_apart(s, n):
    table, same = [[1.0], [1.0], [1.0]], 0.0
    for i in range(n):
        if table[i] is table[1]:
            same += s[i]
    return same * s[0]


@counted()
def rows_turned_round(s, n):
    table, total = [[1.0, 5.0], [2.0, 6.0], [3.0, 7.0]], 0.0
    for i in range(n):
        table[i].reverse()
        total += table[i][0] * s[i]
    return total + table[1][0] * s[0]


@counted()
def dicts_by_number(s, n):
    cells = [{"a": 1.0, "b": 2.0}, {"a": 2.0, "b": 3.0}, {"a": 0.5, "b": 1.0}]
    i = 0
    while i < n:
        cells[i]["a"] = s[i] * cells[i - 1]["b"]
        i += 1
    return cells[0]["a"] * cells[1]["a"]


@counted()
def a_row_ahead(s, n):
    table, total = [[1.0, 5.0], [2.0, 6.0], [3.0, 7.0], [0.0, 0.0]], 0.0
    for i, (a, b) in enumerate(table[:3]):
        total += a * b
        table[i + 1][0] = a * s[i] + n
    return total


# --- written while a loop runs over them ------------------------------------------------------------------------------


@counted(native=True)
def a_list_run_over_and_written(s, n):
    items, total = [1.0, 3.0, 5.0], 0.0
    for a in items:
        total += a * s[1]
        items[2] = total * s[0] + n
    return total + items[2]


@counted()
def a_list_run_over_and_written_under_another_name(s, n):
    items, total = [1.0, 3.0, 5.0], s[0] * n
    same = items
    for a, b in zip(items, [2.0, 1.0, 0.5], strict=True):
        total += a * b * s[1]
        same[2] = total
    return total


@counted()
def a_row_of_a_table_run_over(s, n):
    table, total = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], 0.0
    last = table[2]
    for a, b in table:
        last[0] = s[0] * b * n
        total += a * s[1]
    return total


@counted()
def a_list_that_grows_while_it_is_run_over(s, n):
    queue, total = [s[0], s[0] * s[3], 1.0 * n], 0.0
    for v in queue:
        total += v**2
        if v > 0.2:
            queue.append(v * 0.4)
    return total * len(queue)


@counted()
def an_appended_list_run_over_and_written(s, n):
    made, total = [], 0.0
    for i in range(4):
        made.append(s[i] * n)
    for v in made:
        total += v * s[1]
        made[3] = total
    return total


# --- taken apart at once: these stay loops ----------------------------------------------------------------------------


@counted(3, captures=1, loops=1)
def items_of_a_table(s, n):
    total = 0.0
    for i in range(n):
        for j in range(4):
            total += TABLE[i][j] * s[j] ** 2
    return total


@counted(3, captures=1, loops=1)
def rows_unpacked(s, n):
    total = 0.0
    for k, (a, b, *_) in enumerate(TABLE):
        total += (a + b * s[k]) ** n
    for (a, *_), c in zip(TABLE, [1.0, 2.0, 3.0], strict=True):
        total += c * a * s[0] ** 2
    return total


@counted(3, captures=1, loops=1)
def a_row_unpacked(s, n):
    total, i = s[0], 0
    while i < n:
        a, b, c, d = TABLE[i]
        total = np.sin(total * a + b) + c * d * s[1]
        i += 1
    return total


# --- what does not come apart: the loops around it are paths ----------------------------------------------------------


@counted()
def a_table_in_a_dict(s, n):
    best = {}
    for i in range(4):
        best[i, i] = 0.0
    for length in range(2, 5):
        for i in range(5 - length):
            j = i + length - 1
            costs = [best[i, k] + best[k + 1, j] + s[i] * s[k] + s[j] * n for k in range(i, j)]
            best[i, j] = min(costs)
    return best[0, 3]


@counted()
def sums_in_a_dict_of_pairs(s, n):
    held = {0: 0.0}
    for k in range(3):
        for i in range(3 - k):
            t = 0.0
            for j in range(2):
                t = t + s[j] * n
            held[i, k] = t * s[i]
    return held[0, 2] * held[2, 0]


@counted()
def distances_along_edges(s, n):
    edges = [(0, 1), (1, 2), (0, 2), (2, 3)]
    away = [np.inf] * 4
    away[0] = 0.0
    for _ in range(n):
        for k, (start, end) in enumerate(edges):
            if away[start] + s[k] ** 2 < away[end]:
                away[end] = away[start] + s[k] ** 2
    return min(away[3], 9.0)
