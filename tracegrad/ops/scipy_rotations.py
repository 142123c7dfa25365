"""Rotations of space: `scipy.spatial.transform.Rotation` of traced vectors, quaternions and angles.

In: what SciPy's makers take. Out: `Turns`, unit quaternions with the scalar last and SciPy's methods, smooth where the
angle is 0. Begin with `Turns`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracegrad.errors import UnsupportedError
from tracegrad.ops.compare import absolute, equal, less, where
from tracegrad.ops.elementary import arctan2, cos, sin, sqrt
from tracegrad.ops.numpy_linalg import linalg_norm
from tracegrad.ops.numpy_reduce import any as any_of
from tracegrad.ops.numpy_reduce import sum as total_of
from tracegrad.ops.numpy_sampled import real
from tracegrad.ops.numpy_shape import concatenate, reshape, stack
from tracegrad.ops.scipy_forms import SCIPY_FORMS, refuse, under

_ROTATION = "scipy.spatial.transform.Rotation"
_SMALL = 1e-6
"""Of a squared angle: below it, series."""
_OTHERS = ("as_euler", "as_mrp", "as_davenport", "mean", "reduce", "approx_equal", "align_vectors")


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
                "use as_matrix, as_quat, as_rotvec, apply, inv, magnitude or a product of rotations",
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


refuse(
    *(f"{_ROTATION}.{name}" for name in ("from_matrix", "from_mrp", "from_davenport", "align_vectors")),
    why="of traced values is not recorded.",
    do="use from_quat, from_rotvec or from_euler, or multiply with the matrix: vectors @ matrix.T",
)


# --- of a rotation that is known --------------------------------------------------------------------------------------


SCIPY_FORMS[f"{_ROTATION}.apply"] = lambda self, vectors, inverse=False: _turned(
    self.seen.as_matrix(), vectors, inverse
)
