"""Printed statements are the statements they were printed from, however long their lines are."""

from __future__ import annotations

import ast

import pytest

from tracegrad.emit.printer import print_node

COUNTS = [1, 2, 59, 60, 61, 62, *range(63, 100), 500]


def same(text: list[str], node: ast.stmt) -> bool:
    return ast.dump(ast.parse("\n".join(text)).body[0]) == ast.dump(node)


@pytest.mark.parametrize(
    ("line", "broken"),
    [
        ("total = first + second * third", ["total = (first", "    + second * third)"]),
        ("return f(first, second) - third[i, j]", ["return (f(first, second)", "    - third[i, j])"]),
        ("x[i, j] = f(first, g(second, i), j)", ["x[i, j] = f(first,", "    g(second, i), j)"]),
        ("x = first if second > 0 else third", ["x = (first if second > 0", "    else third)"]),
        ("from first import second, third", ["from first import (second,", "    third)"]),
        ("x = f('a, b and (c', [first, second])", ["x = f('a, b and (c',", "    [first, second])"]),
    ],
)
def test_a_line_is_broken_where_the_fewest_parentheses_are_open(line: str, broken: list[str]) -> None:
    (node,) = ast.parse(line).body
    found = print_node(node, 24)
    assert same(found, node)
    assert found == broken


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize(
    "form",
    ["{names}, = residuals", "{names}, = call(one, [two])", "return {names},", "return one, ({names},)"],
)
def test_long_lines_are_broken_where_python_allows_it(form: str, count: int) -> None:
    for width in (40, 88):
        names = ", ".join(f"x_{'y' * (k % 7)}{k}" for k in range(count))
        (node,) = ast.parse(form.format(names=names)).body
        assert same(print_node(node, width), node)
