"""Programs called by their address, against Numba's own way from Python into machine code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest
from numba.extending import intrinsic

import tracegrad as tg
from tracegrad.compiler.by_address import NUMBERS, Program
from tracegrad.compiler.numba_backend import machine_code
from tracegrad.ir.types import ArrayType

KINDS = [np.dtype(name) for name in NUMBERS]


def both(function: Callable[..., Any], *types: ArrayType) -> tuple[Program, Any]:
    """The same machine code, by its address and as Numba calls it."""
    signature = tuple(
        numba.types.Array(numba.from_dtype(t.dtype), t.ndim, "C") if t.shape else numba.from_dtype(t.dtype)
        for t in types
    )
    compiled = numba.njit(nogil=True)(function)
    compiled.compile(signature)
    address, outputs = machine_code(compiled, types)
    return Program(address, types, outputs, compiled), compiled


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_numbers_and_arrays_of_every_kind(kind: np.dtype[Any]) -> None:
    def f(x: Any, y: Any, z: Any) -> Any:
        return -1, x, y[::-1, 1], z.copy(), x

    y = np.arange(6).reshape(2, 3).astype(kind)
    given = kind.type(1), y, np.arange(4).astype(kind)
    by_address, by_numba = both(f, ArrayType((), kind), ArrayType((2, 3), kind), ArrayType((4,), kind))
    for found, expected in zip(by_address(*given), by_numba(*given), strict=True):
        assert type(found) is type(expected)
        assert np.asarray(found).dtype == np.asarray(expected).dtype
        np.testing.assert_array_equal(found, expected)
    assert by_address.seconds > 0


def test_results_hold_the_only_reference_to_their_memory() -> None:
    def f(n: Any) -> Any:
        return -1, np.ones((n, 2)), np.zeros(n)

    by_address, _ = both(f, ArrayType((), np.dtype(np.int64)))
    results = by_address(5)
    results[1][:] = 7.0
    np.testing.assert_array_equal(by_address(5)[1], np.ones((5, 2)))
    np.testing.assert_array_equal(results[1], np.full((5, 2), 7.0))
    assert [array.base.refcount for array in results[1:]] == [1, 1]


@pytest.mark.parametrize("known_late", [False, True])
def test_errors_are_raised_with_what_they_say(known_late: bool) -> None:
    def early(x: Any) -> Any:
        if x > 0:
            raise ValueError("too large", 3)
        return -1, x

    def late(x: Any) -> Any:
        if x > 0:
            raise ValueError("too large", x, 3)
        return -1, x

    by_address, by_numba = both(late if known_late else early, ArrayType((), np.dtype(np.float64)))
    assert by_address(-1.0) == by_numba(-1.0) == (-1, -1.0)
    with pytest.raises(ValueError, match="too large") as found:
        by_address(2.0)
    with pytest.raises(ValueError, match="too large") as expected:
        by_numba(2.0)
    assert found.value.args == expected.value.args


@intrinsic  # type: ignore[untyped-decorator]
def interrupted(typing: Any, x: Any) -> Any:
    """As after Ctrl-C: an error of Python's is set, and the function ends."""

    def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        api = context.get_python_api(builder)
        with builder.if_then(builder.fcmp_ordered(">", given[0], given[0].type(0.0))):
            lock = api.gil_ensure()
            api.err_set_string("PyExc_KeyboardInterrupt", "stop")
            api.gil_release(lock)
            context.call_conv.return_exc(builder)
        return given[0]

    return x(x), write


def test_an_error_of_python_comes_through() -> None:
    def f(x: Any) -> Any:
        return -1, interrupted(x)

    by_address, _ = both(f, ArrayType((), np.dtype(np.float64)))
    assert by_address(-1.0) == (-1, -1.0)
    with pytest.raises(KeyboardInterrupt, match="stop"):
        by_address(1.0)


def test_more_arguments_than_can_be_passed_stay_with_numpy() -> None:
    def squares(arrays: Any) -> Any:
        return sum(np.sum(a * a) for a in arrays)

    given = [np.full(2, 0.5 * k) for k in range(150)]
    g = tg.grad(squares, jit="native")
    for _ in range(2):
        for bar, a in zip(g(given), given, strict=True):
            np.testing.assert_array_equal(bar, 2.0 * a)
    assert g.stats.compiles == 0
    assert "1,052 words" in g.explain()
