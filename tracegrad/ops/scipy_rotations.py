"""Rotations of space: `scipy.spatial.transform.Rotation` of traced vectors, quaternions and angles.

In: what SciPy's makers take. Out: `Turns`, unit quaternions with the scalar last and SciPy's methods, smooth where the
angle is 0. Begin with `Turns`.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ops.arithmetic import stop_gradient
from tracegrad.ops.compare import absolute, equal, floor, less, less_equal, logical_or, where
from tracegrad.ops.elementary import arctan2, cos, hypot, sin, sqrt
from tracegrad.ops.numpy_forms import is_traced
from tracegrad.ops.numpy_linalg import det, linalg_norm
from tracegrad.ops.numpy_reduce import any as any_of
from tracegrad.ops.numpy_reduce import argmax
from tracegrad.ops.numpy_reduce import sum as total_of
from tracegrad.ops.numpy_sampled import real
from tracegrad.ops.numpy_shape import concatenate, reshape, stack
from tracegrad.ops.scipy_forms import SCIPY_FORMS, refuse, under
from tracegrad.ops.scipy_linalg import polar

_ROTATION = "scipy.spatial.transform.Rotation"
_SMALL = 1e-6
"""Of a squared angle: below it, series."""
_LOCKED = 1e-7
"""How near to 0 or to half a turn the second of three angles leaves the others undetermined, as SciPy has it."""
_OTHERS = ("as_davenport", "mean", "reduce", "align_vectors")


def _parts(q: Any) -> tuple[Any, Any, Any, Any]:
    return q[..., 0], q[..., 1], q[..., 2], q[..., 3]


def _composed(p: Any, q: Any) -> Any:
    """The quaternion of the rotation by `q` and then by `p`."""
    a, b, c, d = _parts(p)
    x, y, z, w = _parts(q)
    return stack(
        [
            d * x + a * w + b * z - c * y,
            d * y - a * z + b * w + c * x,
            d * z + a * y - b * x + c * w,
            d * w - a * x - b * y - c * z,
        ],
        -1,
    )


class Turns:
    """One rotation or a row of them.

    Parameters
    ----------
    q : traced array, (4,) or (n, 4)
        Of length one.
    """

    def __init__(self, q: Any) -> None:
        self.q = q
        self.single = q.ndim == 1

    def __getattr__(self, name: str) -> Any:
        if name in _OTHERS:
            raise UnsupportedError(
                f"`{_ROTATION}.{name}` of traced values is not recorded.",
                None,
                "use as_matrix, as_quat, as_rotvec, as_euler, apply, inv, magnitude or a product of rotations",
            )
        raise AttributeError(f"'Rotation' object has no attribute {name!r}")

    def __len__(self) -> int:
        if self.single:
            raise TypeError("Single rotation has no len().")
        return int(self.q.shape[0])

    def __getitem__(self, index: Any) -> Turns:
        if self.single:
            raise TypeError("Single rotation is not subscriptable.")
        return Turns(self.q[index])

    def as_quat(self, canonical: bool = False, *, scalar_first: bool = False) -> Any:
        q = _canonical(self.q) if canonical else self.q
        return concatenate([q[..., 3:], q[..., :3]], -1) if scalar_first else q

    def as_matrix(self) -> Any:
        x, y, z, w = _parts(self.q)
        rows = [
            [x * x - y * y - z * z + w * w, 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), -x * x + y * y - z * z + w * w, 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), -x * x - y * y + z * z + w * w],
        ]
        return stack([stack(row, -1) for row in rows], -2)

    def as_rotvec(self, degrees: bool = False) -> Any:
        """The angle over its half's sine, times the vector: of asin(s) / s a series near 0."""
        q = _canonical(self.q)
        v, w = q[..., :3], q[..., 3]
        squares = total_of(v * v, -1)
        small = less(squares, _SMALL)
        s = sqrt(where(small, 1.0, squares))
        near = 2 + squares * (1 / 3 + squares * (3 / 20 + squares * (5 / 56)))
        scale = where(small, near, 2 * arctan2(s, where(small, 1.0, w)) / s)
        found = v * reshape(scale, (*scale.shape, 1))
        return found * (180 / math.pi) if degrees else found

    def as_mrp(self) -> Any:
        q = _canonical(self.q)
        return q[..., :3] / (1 + q[..., 3:])

    def as_euler(self, seq: str, degrees: bool = False, *, suppress_warnings: bool = False) -> Any:
        """Bernardes and Viollet, Quaternion to Euler angles conversion, PLoS ONE 17, 2022."""
        if not _are_axes(seq) or len(seq) != 3:
            raise ValueError(f"Expected 3 axes, got {seq}.")
        fixed = seq.islower()
        i, j, k = (("xyz".index(axis)) for axis in (seq if fixed else seq[::-1]).lower())
        symmetric = i == k
        k = 3 - i - j if symmetric else k
        sign = (i - j) * (j - k) * (k - i) // 2
        p, w = self.q, self.q[..., 3]
        a, b, c, d = w, p[..., i], p[..., j], p[..., k] * sign
        if not symmetric:
            a, b, c, d = a - c, b + d, c + a, d - b
        second = 2 * arctan2(hypot(c, d), hypot(a, b))
        total, difference = arctan2(b, a), arctan2(d, c)
        low, high = less(second, _LOCKED), less(math.pi - second, _LOCKED)
        ends = where(low, 2 * total, (-2 if fixed else 2) * difference)
        locked = logical_or(low, high)
        first, third = where(locked, ends, total - difference), where(locked, 0.0, total + difference)
        if not fixed:
            first, third = where(locked, 0.0, total - difference), where(locked, ends, total + difference)
        if not symmetric:
            second = second - math.pi / 2
        if symmetric:
            turns = (first, second, third) if fixed else (third, second, first)
        elif fixed:
            turns = (first, second, third * sign)
        else:
            turns = (third * sign, second, first)
        angles = stack(turns, -1)
        angles = angles - stop_gradient(2 * math.pi * floor((angles + math.pi) / (2 * math.pi)))
        return angles * (180 / math.pi) if degrees else angles

    def approx_equal(self, other: Any, atol: Any = None, degrees: bool = False) -> Any:
        apart = Turns(_composed(_quaternion(other), self.inv().q)).magnitude()
        return less(apart, 1e-8 if atol is None else atol * (math.pi / 180 if degrees else 1.0))

    def __pow__(self, n: Any, modulus: None = None) -> Turns:
        if not is_traced(n) and n in (1, -1):
            return self if n == 1 else self.inv()
        return from_rotvec(self.as_rotvec() * n)

    def magnitude(self) -> Any:
        v, w = self.q[..., :3], self.q[..., 3]
        return 2 * arctan2(linalg_norm(v, axis=-1), absolute(w))  # a norm has a slope of 0 at 0

    def inv(self) -> Turns:
        return Turns(self.q * np.array([-1.0, -1.0, -1.0, 1.0]))

    def apply(self, vectors: Any, inverse: bool = False) -> Any:
        return _turned(self.as_matrix(), vectors, inverse)

    def __mul__(self, other: Any) -> Any:
        q = _quaternion(other)
        return NotImplemented if q is None else Turns(_composed(self.q, q))

    def __rmul__(self, other: Any) -> Any:
        q = _quaternion(other)
        return NotImplemented if q is None else Turns(_composed(q, self.q))


def _canonical(q: Any) -> Any:
    """The one of two quaternions whose scalar is not negative."""
    return where(less(q[..., 3:], 0), -q, q)


def _quaternion(other: Any) -> Any:
    """Of one of ours or of SciPy's; None of anything else."""
    if isinstance(other, Turns):
        return other.q
    return other.as_quat() if type(other).__name__ == "Rotation" else None


def _turned(matrix: Any, vectors: Any, inverse: bool) -> Any:
    v = real(vectors)
    if v.ndim not in (1, 2) or v.shape[-1] != 3:
        raise ValueError(f"Expected input of shape (..., 3), got {v.shape}.")
    return total_of(matrix * v[..., :, None] if inverse else matrix * v[..., None, :], -2 if inverse else -1)


# --- makers -----------------------------------------------------------------------------------------------------------


@under(f"{_ROTATION}.from_quat")
def from_quat(quat: Any, *, scalar_first: bool = False) -> Turns:
    q = real(quat)
    q = concatenate([q[..., 1:], q[..., :1]], -1) if scalar_first else q
    squares = total_of(q * q, -1, keepdims=True)
    if any_of(equal(squares, 0)):
        raise ValueError("Found zero norm quaternions in `quat`.")
    return Turns(q / sqrt(squares))


@under(f"{_ROTATION}.from_rotvec")
def from_rotvec(rotvec: Any, degrees: bool = False) -> Turns:
    v = real(rotvec) * (math.pi / 180 if degrees else 1.0)
    squares = total_of(v * v, -1, keepdims=True)
    small = less(squares, _SMALL)
    half = 0.5 * sqrt(where(small, 1.0, squares))
    scale = where(small, 0.5 + squares * (-1 / 48 + squares / 3840), 0.5 * sin(half) / half)
    scalar = where(small, 1 + squares * (-1 / 8 + squares * (1 / 384 - squares / 46080)), cos(half))
    return Turns(concatenate([v * scale, scalar], -1))


@under(f"{_ROTATION}.from_euler")
def from_euler(seq: str, angles: Any, degrees: bool = False) -> Turns:
    """About axes that stand (`"xyz"`), or turn along (`"XYZ"`)."""
    given = real(angles)
    half = given * (math.pi / 360 if degrees else 0.5)
    if len(seq) == 1:
        half = reshape(half, (*half.shape, 1)) if half.ndim < 2 else half
    found: Any = None
    for k, axis in enumerate(seq):
        unit = np.append(np.eye(3)["xyz".index(axis.lower())], 0.0)
        angle = half[..., k : k + 1]
        q = sin(angle) * unit + cos(angle) * np.array([0.0, 0.0, 0.0, 1.0])
        found = q if found is None else _composed(found, q) if seq.isupper() else _composed(q, found)
    return Turns(found)


def _are_axes(seq: str) -> bool:
    """Axes that stand, or turn along, of which no two neighbours are one."""
    alike = any(a == b for a, b in itertools.pairwise(seq))
    return not alike and (set(seq) <= set("xyz") or set(seq) <= set("XYZ"))


@under(f"{_ROTATION}.from_mrp")
def from_mrp(mrp: Any) -> Turns:
    v = real(mrp)
    size = total_of(v * v, -1, keepdims=True) + 1
    return Turns(concatenate([2 * v, 2 - size], -1) / size)


@under(f"{_ROTATION}.from_matrix")
def from_matrix(matrix: Any, *, assume_valid: bool = False) -> Turns:
    """Of the rotation nearest to the matrix, which it is itself if it is one: its derivative is that of the nearest."""
    m = real(matrix)
    if m.ndim not in (2, 3) or m.shape[-2:] != (3, 3):
        raise ValueError(f"Expected `matrix` to have shape (..., 3, 3), got {m.shape}")
    if not assume_valid:
        if any_of(less_equal(det(m), 0)):
            raise ValueError(
                "Non-positive determinant (left-handed or null coordinate frame) in rotation matrix"
            )
        m = polar(m)[0] if m.ndim == 2 else stack([polar(m[k])[0] for k in range(m.shape[0])])
    x, y, z = (m[..., k, k] for k in range(3))
    w = x + y + z
    sums = {(i, j): m[..., i, j] + m[..., j, i] for i, j in ((0, 1), (0, 2), (1, 2))}
    turns = [m[..., j, i] - m[..., i, j] for i, j in ((1, 2), (2, 0), (0, 1))]
    rows = [
        [1 - w + 2 * x, sums[0, 1], sums[0, 2], turns[0]],
        [sums[0, 1], 1 - w + 2 * y, sums[1, 2], turns[1]],
        [sums[0, 2], sums[1, 2], 1 - w + 2 * z, turns[2]],
        [*turns, 1 + w],
    ]
    largest = argmax(stack([x, y, z, w], -1), -1)[..., None]
    q = stack(rows[3], -1)
    for k in (2, 1, 0):
        q = where(equal(largest, k), stack(rows[k], -1), q)
    return Turns(q / sqrt(total_of(q * q, -1, keepdims=True)))


refuse(
    *(f"{_ROTATION}.{name}" for name in ("from_davenport", "align_vectors")),
    why="of traced values is not recorded.",
    do="use from_quat, from_rotvec or from_euler, or multiply with the matrix: vectors @ matrix.T",
)


# --- of a rotation that is known --------------------------------------------------------------------------------------


SCIPY_FORMS[f"{_ROTATION}.apply"] = lambda self, vectors, inverse=False: _turned(
    self.seen.as_matrix(), vectors, inverse
)
