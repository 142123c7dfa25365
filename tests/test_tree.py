"""Flattening and rebuilding: what counts as a structure, in which order, and under which names."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections import OrderedDict, defaultdict, namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tracegrad import tree

ROOT = Path(__file__).resolve().parents[1]
Pair = namedtuple("Pair", "u v")


@dataclasses.dataclass
class Point:
    x: Any
    y: Any = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    inner: Any


@dataclasses.dataclass
class Late:
    """Never flattened before the test of threads."""

    value: Any


@dataclasses.dataclass
class Checked:
    width: float

    def __post_init__(self) -> None:
        if not isinstance(self.width, float):
            raise TypeError("width has to be a float")


VALUES: list[tuple[Any, list[Any]]] = [
    (3.0, [3.0]),
    (None, [None]),
    ("text", ["text"]),
    ([], []),
    ([1.0, (2.0, [3.0])], [1.0, 2.0, 3.0]),
    ({"b": 1.0, "a": 2.0}, [2.0, 1.0]),
    (OrderedDict(b=1.0, a=2.0), [1.0, 2.0]),
    (defaultdict(list, a=[1.0]), [1.0]),
    (Pair(1.0, None), [1.0, None]),
    (Point(1.0, "text"), [1.0, "text"]),
    (Frozen(Point(Pair([1.0], Frozen(2.0)), {"k": Point(3.0)})), [1.0, 2.0, 3.0, 0.0]),
    ([Pair(Point(1.0), Frozen(2.0))], [1.0, 0.0, 2.0]),
    (Point, [Point]),
]


@pytest.mark.parametrize(
    ("value", "leaves"), VALUES, ids=[type(v).__name__ + str(i) for i, (v, _) in enumerate(VALUES)]
)
def test_there_and_back(value: Any, leaves: list[Any]) -> None:
    found, structure = tree.flatten(value)
    assert found == leaves
    back = tree.unflatten(structure, found)
    assert back == value and type(back) is type(value)
    again, same = tree.flatten(value)
    assert (again, same) == (found, structure)
    if structure is not None:
        assert hash(structure) == hash(same)
    if isinstance(value, dict):
        assert list(back) == list(value)


def test_structures_differ_where_the_values_do() -> None:
    structures = [tree.flatten(value)[1] for value, _ in VALUES if tree.flatten(value)[1] is not None]
    assert len(set(structures)) == len(structures)
    assert tree.flatten([1.0, 2.0])[1] != tree.flatten((1.0, 2.0))[1]
    assert tree.flatten({"a": 1})[1] != tree.flatten({"b": 1})[1]


def test_other_leaves_in_the_same_structure() -> None:
    _, structure = tree.flatten(Point([1.0], Pair(2.0, 3.0)))
    assert tree.unflatten(structure, ["a", "b", "c"]) == Point(["a"], Pair("b", "c"))


def test_a_dataclass_is_rebuilt_without_its_own_checks() -> None:
    _, structure = tree.flatten(Checked(1.0))
    assert tree.unflatten(structure, [np.ones(2)]).width.tolist() == [1.0, 1.0]


def test_what_a_dataclass_holds_besides_its_fields_is_kept() -> None:
    point = Point(1.0)
    point.cache = [2.0]  # type: ignore[attr-defined]
    leaves, structure = tree.flatten(point)
    assert leaves == [1.0, 0.0, 2.0]
    assert tree.unflatten(structure, leaves).cache == [2.0]
    assert tree.flatten(Point(1.0))[1] != structure


def test_paths_are_what_the_user_would_write() -> None:
    value = {"w": [1.0, Point(2.0, Pair(3.0, 4.0))], "b": (5.0,)}
    assert tree.paths(value, "p") == [
        "p['b'][0]",
        "p['w'][0]",
        "p['w'][1].x",
        "p['w'][1].y.u",
        "p['w'][1].y.v",
    ]
    assert tree.paths(1.0, "x") == ["x"]
    for path, leaf in zip(tree.paths(value, "value"), tree.flatten(value)[0], strict=True):
        assert eval(path) == leaf


def test_threads_may_meet_a_class_at_the_same_time() -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda k: tree.flatten([Late(k)])[0], range(40)))
    assert found == [[k] for k in range(40)]


def test_numbers_and_arrays_do_not_load_optree() -> None:
    program = (
        "import sys, numpy as np, tracegrad as tg\n"
        "tg.grad(lambda x: np.sum(x * x), jit='python')(np.ones(3))\n"
        "print(sorted({'numba', 'scipy', 'optree', 'rich'} & {name.split('.')[0] for name in sys.modules}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.strip() == "[]"
