"""Programs that catch what values make raise; each with points on both sides."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np

CATCHING: list[tuple[Callable[..., Any], tuple[float, ...]]] = []


def at(*points: float) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def keep(function: Callable[..., Any]) -> Callable[..., Any]:
        CATCHING.append((function, points))
        return function

    return keep


def _matrix(x):
    return np.array([[1.0, x], [x, 1.0]])


@at(0.5, 2.0)
def not_positive_definite(x):
    try:
        factor = np.linalg.cholesky(_matrix(x))
    except np.linalg.LinAlgError:
        return 100.0 * x
    return np.log(factor[1, 1])


@at(0.5, 2.0)
def a_factor_that_nobody_reads(x):
    definite = True
    try:
        np.linalg.cholesky(_matrix(x))
    except np.linalg.LinAlgError:
        definite = False
    return x * x if definite else 100.0 * x


def _is_definite(x):
    try:
        np.linalg.cholesky(_matrix(x))
    except np.linalg.LinAlgError:
        return False
    return True


@at(0.5, 2.0)
def asked_in_a_helper(x):
    return x * x if _is_definite(x) else 100.0 * x


@at(0.5, 1.5, 5.0)
def jitter_until_it_works(x):
    for jitter in (0.0, 1.0, 10.0):
        try:
            factor = np.linalg.cholesky(_matrix(x) + jitter * np.eye(2))
            break
        except np.linalg.LinAlgError:
            continue
    return np.log(factor[1, 1]) * x


@at(0.5, 2.0)
def suppressed(x):
    y = 100.0 * x
    with contextlib.suppress(np.linalg.LinAlgError):
        y = np.linalg.cholesky(_matrix(x))[1, 1]
    return y


@at(0.12, 0.3, 2.0)
def in_a_loop(x):
    s = 0.0
    for i in range(6):
        try:
            s = s + np.linalg.cholesky(_matrix(x * i))[1, 1]
        except np.linalg.LinAlgError:
            s = s + x
    return s


@at(0.12, 0.3, 2.0)
def around_a_loop(x):
    s = 0.0
    try:
        for i in range(6):
            s = s + np.linalg.cholesky(_matrix(x * i))[1, 1]
    except np.linalg.LinAlgError:
        s = s * x
    return 2.0 * s


@at(2.5, 7.5)
def an_index_out_of_range(x):
    v = np.arange(5.0) * x
    try:
        return v[int(x)] * x
    except IndexError:
        return 7.0 * x


@at(2.5, 7.5)
def an_item_that_nobody_reads(x):
    v = np.arange(5.0) * x
    try:
        v[int(x)]
    except IndexError:
        return 7.0 * x
    return x * x


@at(3.0, 1.0)
def division_by_zero(x):
    try:
        return 1.0 / (x - 1.0) + x
    except ZeroDivisionError:
        return 100.0 * x


@at(2.0, -2.0)
def a_remainder(x):
    m = max(0.0, x)
    try:
        return 5.5 % m + 5.5 // m * x
    except ZeroDivisionError:
        return 100.0 * x


@at(2.0, -2.0)
def a_root(x):
    try:
        return math.sqrt(x)
    except ValueError:
        return 100.0 * x


@at(2.0, -2.0)
def a_logarithm_that_nobody_reads(x):
    try:
        math.log(x)
    except ValueError:
        return 100.0 * x
    return x * x


@at(2.5, 6.0, 3.5)
def a_logarithm_in_a_loop(x):
    s = 0.0
    for i in range(5):
        try:
            s = s + math.log(x - i)
        except ValueError:
            s = s + x
    return s


@at(2.5, 6.0, 3.5)
def a_logarithm_in_a_helper_s_loop(x):
    try:
        return _logarithms(x)
    except ValueError:
        return x * x


def _logarithms(x):
    s = 0.0
    for i in range(5):
        s = s + math.log(x - i)
    return s


@at(2.0, 1000.0)
def overflow(x):
    try:
        return math.exp(x)
    except OverflowError:
        return 100.0 * x


@at(2.0, 1000.0)
def overflow_of_a_power(x):
    try:
        return x**300.0
    except OverflowError:
        return 100.0 * x


@at(5.5, 100.0, 0.5)
def until_it_fails(x):
    n = 0
    try:
        while True:
            x = math.sqrt(x - 1.0)
            n += 1
    except ValueError:
        return x * n


@at(0.5, 2.0)
def an_exception_of_one_s_own(x):
    try:
        if x > 1.0:
            raise ValueError("too large")
        return x * x
    except ValueError:
        return 3.0 * x
