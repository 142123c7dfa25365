"""Programs written for HIPS autograd, with the import lines changed: the numbers are those of that library."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

import autograd
import autograd.builtins
import autograd.extend
import autograd.misc.optimizers
import autograd.numpy
import autograd.scipy.signal
import autograd.scipy.special
import autograd.scipy.stats.multivariate_normal
import autograd.scipy.stats.norm
import numpy as np
import pytest
import tracegrad.scipy.stats.multivariate_normal
import tracegrad.scipy.stats.norm
from autograd.misc.flatten import flatten as their_flatten

import tracegrad
import tracegrad.builtins
import tracegrad.extend
import tracegrad.misc.optimizers
import tracegrad.numpy
import tracegrad.scipy.signal
import tracegrad.scipy.special
from tests.programs.hips import PROGRAMS
from tracegrad import tree
from tracegrad.misc.flatten import flatten

NAMES = (
    "grad", "jacobian", "hessian", "elementwise_grad", "value_and_grad", "make_vjp", "make_jvp", "make_ggnvp",
    "hessian_vector_product",
)  # fmt: skip


def library(root: Any, flatten: Any) -> Any:
    """The names that programs use, as one library has them."""
    return types.SimpleNamespace(
        **{name: getattr(root, name) for name in NAMES},
        np=root.numpy,
        isinstance=root.builtins.isinstance,
        primitive=root.extend.primitive,
        defvjp=root.extend.defvjp,
        flatten=flatten,
        adam=root.misc.optimizers.adam,
        norm=root.scipy.stats.norm,
        multivariate_normal=root.scipy.stats.multivariate_normal,
        logsumexp=root.scipy.special.logsumexp,
        gammaln=root.scipy.special.gammaln,
        convolve=root.scipy.signal.convolve,
    )


@pytest.fixture(autouse=True)
def readable_text() -> Iterator[None]:
    with tracegrad.config.using(jit="python"):
        yield


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.filterwarnings("ignore")
def test_programs_of_hips_autograd_give_its_numbers(name: str) -> None:
    found = PROGRAMS[name](library(tracegrad, flatten))
    expected = PROGRAMS[name](library(autograd, their_flatten))
    for ours, theirs in zip(tree.flatten(found)[0], tree.flatten(expected)[0], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-8)
