"""Kernels, metrics and models of scikit-learn, unchanged: value and gradient against differences, at two points."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from tracegrad import config, value_and_grad

pytest.importorskip("sklearn")

from sklearn import metrics, preprocessing
from sklearn.gaussian_process import kernels
from sklearn.linear_model import LinearRegression
from sklearn.metrics import pairwise
from sklearn.utils import extmath

X = np.random.default_rng(0).uniform(0.2, 2.0, 6)
M = X.reshape(3, 2)
Y = np.arange(3.0)

FUNCTIONS: dict[str, Any] = {
    "mean_squared_error": lambda x: metrics.mean_squared_error(Y, x[:3]),
    "mean_absolute_error": lambda x: metrics.mean_absolute_error(Y, x[:3]),
    "r2_score": lambda x: metrics.r2_score(Y, x[:3]),
    "log_loss": lambda x: metrics.log_loss([0, 1, 1], x[:3] / 3),
    "rbf_kernel": lambda x: pairwise.rbf_kernel(x.reshape(3, 2)).sum(),
    "cosine_similarity": lambda x: pairwise.cosine_similarity(x.reshape(3, 2)).sum(),
    "euclidean_distances": lambda x: pairwise.euclidean_distances(x.reshape(3, 2), M + 1).sum(),
    "RBF": lambda x: kernels.RBF(x[0])(x.reshape(3, 2)).sum(),
    "Matern": lambda x: kernels.Matern(x[0], nu=1.5)(x.reshape(3, 2)).sum(),
    "RationalQuadratic": lambda x: kernels.RationalQuadratic(x[0], x[1])(M).sum(),
    "composed": lambda x: (kernels.ConstantKernel(x[0]) * kernels.RBF(x[1]) + kernels.WhiteKernel(x[2]))(
        M
    ).sum(),
    "ExpSineSquared": lambda x: kernels.ExpSineSquared(x[0], x[1])(M).sum(),
    "softmax": lambda x: (extmath.softmax(x.reshape(3, 2)) ** 2).sum(),
    "row_norms": lambda x: extmath.row_norms(x.reshape(3, 2)).sum(),
    "scale": lambda x: (preprocessing.scale(x.reshape(3, 2)) ** 3).sum(),
    "normalize": lambda x: preprocessing.normalize(x.reshape(3, 2)).sum(),
    "LinearRegression": lambda x: LinearRegression().fit(M, Y).predict(x.reshape(3, 2)).sum(),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_value_and_gradient(name):
    function = FUNCTIONS[name]
    with config.using(jit="python"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gradient = value_and_grad(function)
        for x in (X, X[::-1] * 0.9):
            value, slopes = gradient(x)
            steps = 1e-6 * np.eye(x.size)
            wanted = [(function(x + step) - function(x - step)) / 2e-6 for step in steps]
            assert value == pytest.approx(function(x), rel=1e-12)
            assert slopes == pytest.approx(np.array(wanted), rel=1e-5, abs=1e-6)
