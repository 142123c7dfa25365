"""Every name that is asked of the SciPy half is declared, and its program has its value and every derivative.

The programs stand in `scipy_calls.py`; those of equations and of solvers in files of their own.
"""

from __future__ import annotations

import importlib

import pytest

from tests.ops.derivatives import check
from tests.ops.scipy_calls import CALLS
from tests.ops.test_coverage import names
from tracegrad.ops.functions import SCIPY_FUNCTIONS

REQUIRED = names("""
    special.beta special.betainc special.betaln special.polygamma special.psi special.digamma special.gamma
    special.gammaln special.rgamma special.multigammaln special.gammainc special.gammaincc special.j0 special.y0
    special.j1 special.y1 special.jn special.yn special.i0 special.i1 special.iv special.ive special.erf special.erfc
    special.erfinv special.erfcinv special.logit special.expit special.logsumexp
    linalg.sqrtm linalg.solve_triangular linalg.solve_banded linalg.solve_sylvester signal.convolve
    stats.beta.cdf stats.beta.logpdf stats.beta.pdf stats.chi2.cdf stats.chi2.logpdf stats.chi2.pdf stats.gamma.cdf
    stats.gamma.logpdf stats.gamma.pdf stats.dirichlet.logpdf stats.dirichlet.pdf stats.multivariate_normal.logpdf
    stats.multivariate_normal.pdf stats.multivariate_normal.entropy stats.norm.pdf stats.norm.cdf stats.norm.logpdf
    stats.norm.logcdf stats.norm.logsf stats.norm.sf stats.poisson.cdf stats.poisson.logpmf stats.poisson.pmf
    stats.t.pdf stats.t.cdf stats.t.logpdf stats.t.logcdf
""")
"""What the leading differentiator of NumPy code has of SciPy's; `integrate.odeint` has tests of its own."""

ASKED = names("""
    fft.dct fft.idct fft.dst fft.idst fft.dctn fft.idctn
    special.gammaincinv special.erfcx special.dawsn special.entr special.exp1 special.expi special.expn
    special.factorial special.hyp1f1 special.hyp2f1 special.i0e special.i1e special.kl_div special.log_ndtr
    special.log_softmax special.softmax special.loggamma special.ndtr special.ndtri special.poch special.rel_entr
    special.sici special.spence special.xlog1py special.xlogy special.zeta special.owens_t
    linalg.block_diag linalg.cho_factor linalg.cho_solve linalg.cholesky linalg.expm linalg.logm linalg.lu_factor
    linalg.lu_solve linalg.polar linalg.qr linalg.solve linalg.toeplitz linalg.eigh
    signal.convolve2d signal.correlate signal.fftconvolve signal.detrend signal.lfilter signal.stft signal.welch
    ndimage.map_coordinates ndimage.gaussian_filter interpolate.RegularGridInterpolator interpolate.CubicSpline
    integrate.trapezoid integrate.simpson integrate.cumulative_trapezoid sparse.matmul sparse.linalg.spsolve
""") + [
    f"stats.{name}.{method}"
    for name in names("""
        bernoulli betabinom binom cauchy expon gennorm geom gumbel_l gumbel_r laplace logistic lognorm multinomial
        nbinom pareto truncnorm uniform vonmises weibull_min
    """)
    for method in (
        ("logpmf", "pmf")
        if name == "multinomial"
        else ("logpmf", "pmf", "cdf")
        if name in ("bernoulli", "betabinom", "binom", "geom", "nbinom")
        else ("logpdf", "pdf", "cdf")
    )
]
"""What users ask for, or others have."""

NO_FORMS = names("special.factorial sparse.matmul signal.stft stats.dirichlet.logpdf stats.dirichlet.pdf")
"""Run as SciPy writes them, with functions that have one; an operator of matrices."""


@pytest.mark.parametrize("name", [*REQUIRED, *ASKED])
def test_a_name_that_is_asked_for_is_declared_and_checked(name):
    assert name in {call.split("-")[0] for call in CALLS}, f"no program in scipy_calls.py is called {name}"
    if name in NO_FORMS:
        return
    if name.startswith("stats."):
        _, of, method = name.split(".")
        assert f"scipy.stats.{of}_gen.{method}" in SCIPY_FUNCTIONS
    else:
        module, _, function = name.rpartition(".")
        assert callable(getattr(importlib.import_module(f"scipy.{module}"), function))
        assert f"scipy.{name}" in SCIPY_FUNCTIONS


def test_no_name_is_counted_twice():
    assert len({*REQUIRED, *ASKED}) == len([*REQUIRED, *ASKED])


@pytest.mark.parametrize("name", CALLS)
def test_value_both_modes_and_second_order(name):
    function, *args = CALLS[name]
    check(function, *args, rtol=2e-6, atol=1e-7)
