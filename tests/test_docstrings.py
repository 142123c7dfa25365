"""What docstrings say of parameters is what signatures say: names, order, defaults."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tracegrad
from tests.test_house import files, syntax

PUBLIC = (
    "autograd",
    "extend",
    "misc.fixed_points",
    "misc.flatten",
    "misc.optimizers",
    "numpy",
    "scipy.signal",
    "test_util",
)


def documented(docstring: str | None) -> list[tuple[str, str]]:
    """Name and the rest of its line, for each parameter that a docstring tells of."""
    if "Parameters\n---" not in (docstring or ""):
        return []
    part = re.split(r"\n\n[A-Z][a-z ]+\n-+\n", str(docstring).split("Parameters\n----------\n")[1])[0]
    heads = re.findall(r"^(\*{0,2}\w[\w, *]*?)(?: : (.*))?$", part, flags=re.MULTILINE)
    return [(name, said) for names, said in heads for name in names.split(", ")]


def public() -> Iterator[tuple[str, Callable[..., Any]]]:
    """The functions and classes of ours that users are handed, and the methods of those."""
    modules = [tracegrad, *(importlib.import_module(f"tracegrad.{name}") for name in PUBLIC)]
    for module in modules:
        for name in getattr(module, "__all__", dir(module)):
            found = getattr(module, name)
            if not callable(found) or not str(getattr(found, "__module__", "")).startswith("tracegrad"):
                continue
            yield name, found
            if inspect.isclass(found):
                yield from ((f"{name}.{k}", v) for k, v in vars(found).items() if inspect.isfunction(v))


DOCUMENTED = {name: function for name, function in public() if documented(inspect.getdoc(function))}


@pytest.mark.parametrize("name", sorted(DOCUMENTED))
def test_all_parameters_of_a_public_function_are_told_in_order_with_their_defaults(name: str) -> None:
    function = DOCUMENTED[name]
    parameters = {
        {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "") + p.name: p
        for p in inspect.signature(function).parameters.values()
        if p.name != "self"
    }
    told = documented(inspect.getdoc(function))
    assert [name for name, _ in told] == list(parameters)
    for each, said in told:
        default = parameters[each].default
        words = said.split(", ")
        assert ("optional" in words) == (default is None), f"{each}: {said}"
        stated = [word.removeprefix("default ") for word in words if word.startswith("default ")]
        assert bool(stated) == (default is not None and default is not inspect.Parameter.empty), (
            f"{each}: {said}"
        )
        # "default both" says in words what a tuple of several is
        assert not stated or isinstance(default, tuple) or stated == [repr(default).replace("'", '"')], each


def test_what_a_docstring_tells_of_is_a_parameter() -> None:
    for file in files():
        for node in ast.walk(syntax(file)):
            if not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                continue
            if any(getattr(decorator, "id", "") == "unary_to_nary" for decorator in node.decorator_list):
                continue  # called with `argnum` where it takes `x`: among the public ones above
            told = [name.lstrip("*") for name, _ in documented(ast.get_docstring(node))]
            taken = parameters_of(node)
            assert told == [name for name in taken if name in told], f"{file}: {node.name}"


def parameters_of(node: ast.FunctionDef | ast.ClassDef) -> list[str]:
    """What it is called with; a class without `__init__` has its fields."""
    if isinstance(node, ast.FunctionDef):
        a = node.args
        return [x.arg for x in (*a.posonlyargs, *a.args, a.vararg, *a.kwonlyargs, a.kwarg) if x is not None]
    made = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
    fields = [str(getattr(n.target, "id", "")) for n in node.body if isinstance(n, ast.AnnAssign)]
    return parameters_of(made[0]) if made else fields
