"""What NumPy refuses, tensors refuse: the same kind of error, in its words, with the user's line."""

from __future__ import annotations

import numpy as np
import pytest

import tracegrad as tg

M, S, V = np.ones((2, 3)), np.ones((2, 2)), np.array([1.0, 2.0, 3.0])

CASES = {
    "singular": lambda m, s, v: np.linalg.inv(s),
    "singular_system": lambda m, s, v: np.linalg.solve(s, s),
    "not_positive": lambda m, s, v: np.linalg.cholesky(-s),
    "not_square": lambda m, s, v: np.linalg.det(m),
    "not_square_for_eigenvalues": lambda m, s, v: np.linalg.eigh(m),
    "added": lambda m, s, v: m + s,
    "multiplied": lambda m, s, v: m @ m,
    "dotted": lambda m, s, v: np.dot(m, m),
    "contracted": lambda m, s, v: np.einsum("ij,jk", m, m),
    "item": lambda m, s, v: v[5],
    "too_many": lambda m, s, v: m[0, 1, 2],
    "items": lambda m, s, v: v[[0, 7]],
    "mask": lambda m, s, v: v[np.array([True, False])],
    "float_index": lambda m, s, v: v[1.5],
    "text_index": lambda m, s, v: v["a"],
    "step": lambda m, s, v: v[::0],
    "written_outside": lambda m, s, v: (v * 1).__setitem__(7, 1.0),
    "written_too_long": lambda m, s, v: (m * 1).__setitem__(0, np.ones(2)),
    "written_by_a_mask": lambda m, s, v: (v * 1).__setitem__(np.array([True, False]), 0.0),
    "written_at_a_float": lambda m, s, v: (v * 1).__setitem__(1.5, 0.0),
    "axis": lambda m, s, v: np.sum(m, axis=3),
    "axis_of_a_method": lambda m, s, v: m.sum(3),
    "axis_by_keyword": lambda m, s, v: m.mean(axis=-3),
    "axis_of_a_norm": lambda m, s, v: np.linalg.norm(m, axis=5),
    "axis_to_run_along": lambda m, s, v: np.cumsum(m, axis=9),
    "axis_to_sort": lambda m, s, v: np.sort(m, axis=9),
    "axis_to_exchange": lambda m, s, v: np.swapaxes(m, 0, 7),
    "axes_twice": lambda m, s, v: np.transpose(m, (0, 0)),
    "empty": lambda m, s, v: np.max(v[:0]),
    "shape": lambda m, s, v: np.reshape(m, (4,)),
    "shape_of_a_method": lambda m, s, v: m.reshape(4),
    "joined": lambda m, s, v: np.concatenate([m, s]),
    "stacked": lambda m, s, v: np.stack([m, s]),
    "cut": lambda m, s, v: np.split(v, 2),
    "squeezed": lambda m, s, v: np.squeeze(m, axis=0),
    "spread": lambda m, s, v: np.broadcast_to(m, (4, 4)),
    "taken": lambda m, s, v: np.take(v, [9]),
    "interpolated": lambda m, s, v: np.interp(1.0, v, v[:2]),
    "repeated": lambda m, s, v: np.repeat(v, [1, 2]),
    "chosen": lambda m, s, v: np.where(v > 0, m, s),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_tensors_refuse_what_numpy_refuses(name):
    with pytest.raises(Exception) as theirs:
        CASES[name](M, S, V)
    tensors = [tg.tensor(a, requires_grad=True) for a in (M, S, V)]
    with pytest.raises(theirs.type) as ours:
        CASES[name](*tensors)
    said = "\n".join((str(ours.value), *getattr(ours.value, "__notes__", ())))
    assert str(theirs.value) in said
    assert "test_refusals.py" in said and said.count("where:") == 1
