"""What of SciPy is not recorded says so by name, with the user's line and what to use; plain arguments still work."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.interpolate
import scipy.ndimage
import scipy.signal
import scipy.spatial.distance
import scipy.spatial.transform
import scipy.stats

import tracegrad as tg
from tracegrad.errors import UnsupportedError

X = np.array([0.3, -0.4, 0.9, 0.2, 0.7, -0.1])
T = np.linspace(0, 1, 6)
REFUSED = {
    "scipy.stats.spearmanr": lambda x: scipy.stats.spearmanr(x, T).statistic,
    "scipy.stats.kendalltau": lambda x: scipy.stats.kendalltau(x, T).statistic,
    "scipy.stats.siegelslopes": lambda x: scipy.stats.siegelslopes(x, T)[0],
    "scipy.stats.gaussian_kde": lambda x: scipy.stats.gaussian_kde(x)(0.1)[0],
    "scipy.interpolate.UnivariateSpline": lambda x: scipy.interpolate.UnivariateSpline(T, x)(0.3),
    "scipy.interpolate.splrep": lambda x: scipy.interpolate.splrep(T, x)[1][0],
    "scipy.signal.find_peaks": lambda x: x[scipy.signal.find_peaks(x)[0]].sum(),
    "scipy.ndimage.median_filter": lambda x: scipy.ndimage.median_filter(x, 3).sum(),
    "scipy.spatial.transform.Rotation.align_vectors": lambda x: (
        scipy.spatial.transform.Rotation.align_vectors(np.eye(3) * np.exp(x[0]), np.eye(3))[1]
    ),
    "scipy.spatial.distance.pdist": lambda x: scipy.spatial.distance.pdist(x.reshape(3, 2), "cosine").sum(),
    "scipy.signal.resample_poly": lambda x: scipy.signal.resample_poly(x, 2, 1, padtype="edge").sum(),
    "scipy.interpolate.griddata": lambda x: scipy.interpolate.griddata(
        T[:, None] ** [1, 2], x, (0.1, 0.1), "cubic"
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named_with_the_line_and_what_to_use(name):
    with pytest.raises(UnsupportedError) as caught:
        tg.grad(REFUSED[name], jit="python")(X)
    assert f"`{name}`" in str(caught.value)
    assert "test_scipy_refusals.py" in str(caught.value)
    assert "do:" in str(caught.value)


@pytest.mark.parametrize("name", [n for n in REFUSED if "distance" not in n and "griddata" not in n])
def test_of_plain_arguments_it_is_scipy_s(name):
    wanted = REFUSED[name](X)
    assert tg.grad(lambda a: a * np.sum(REFUSED[name](X)), jit="python")(2.0) == pytest.approx(np.sum(wanted))


def test_the_matrix_of_many_samples_is_refused():
    with pytest.raises(UnsupportedError, match="cut the samples"):
        tg.grad(lambda x: np.sum(scipy.signal.resample(x, 10)), jit="python")(np.ones(5000))


def test_distances_of_zero_have_slope_zero():
    x = np.array([[1.0, 2.0], [1.0, 2.0], [4.0, 6.0]])
    bar = tg.grad(lambda x: np.sum(scipy.spatial.distance.pdist(x)), jit="python")(x)
    np.testing.assert_allclose(bar, [[-0.6, -0.8], [-0.6, -0.8], [1.2, 1.6]])
