"""Every name that is asked of the NumPy half is declared, and has a program whose value and derivatives are checked.

The programs stand in `calls.py`, `test_composites.py` runs them; this counts them.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.ops.calls import CALLS
from tracegrad.ops.functions import FUNCTIONS, SCIPY_FUNCTIONS


def names(text):
    """Names between blanks as a list."""
    return text.split()


REQUIRED = names("""
    nan_to_num add multiply subtract divide true_divide maximum minimum fmax fmin logaddexp logaddexp2 mod remainder
    power arctan2 negative abs absolute fabs reciprocal exp exp2 expm1 log log2 log10 log1p sin cos tan arcsin arccos
    arctan sinh cosh tanh arcsinh arccosh arctanh rad2deg degrees deg2rad radians square sqrt sinc reshape roll
    array_split split vsplit hsplit dsplit ravel expand_dims squeeze diag flipud fliplr rot90 trace full triu tril clip
    swapaxes moveaxis rollaxis real_if_close real imag conj conjugate angle where cross linspace diff gradient repeat
    tile kron transpose broadcast_to sum mean prod max var std min amax amin cumsum inner matmul dot tensordot outer
    sort partition atleast_1d atleast_2d atleast_3d diagonal pad concatenate einsum hypot astype array getitem vstack
    hstack column_stack stack append select r_ c_ flatten
    linalg.det linalg.slogdet linalg.inv linalg.pinv linalg.solve linalg.norm linalg.eigh linalg.cholesky linalg.svd
    linalg.eig fft.fft fft.ifft fft.fft2 fft.ifft2 fft.fftn fft.ifftn fft.rfft fft.irfft fft.rfft2 fft.irfft2 fft.rfftn
    fft.irfftn fft.fftshift fft.ifftshift
""")
"""What the leading differentiator of NumPy code has."""

ASKED = names("""
    flip cumprod median interp convolve correlate trapezoid unwrap i0 take take_along_axis put_along_axis compress
    extract choose asarray block dstack broadcast_arrays average cov corrcoef copy copysign cbrt ediff1d fill_diagonal
    float_power fmod frexp ldexp modf geomspace logspace heaviside histogram bincount digitize insert delete resize
    trim_zeros nanmax nanmin nanmean nanmedian nanpercentile nanprod nanquantile nanstd nansum nanvar nancumprod
    nancumsum percentile quantile piecewise place put positive ptp poly polyadd polyder polydiv polyfit polyint polymul
    polysub polyval vander meshgrid ix_ mgrid vecdot vdot apply_along_axis apply_over_axes divmod unstack
    cumulative_sum cumulative_prod acos acosh asin asinh atan atan2 atanh pow concat permute_dims matrix_transpose
    polynomial.polynomial.polyval polynomial.chebyshev.chebval polynomial.legendre.legval polynomial.hermite.hermval
    polynomial.hermite_e.hermeval polynomial.laguerre.lagval
    linalg.qr linalg.lstsq linalg.eigvalsh linalg.svdvals linalg.cond linalg.multi_dot linalg.matrix_norm
    linalg.vector_norm linalg.matrix_power linalg.tensorinv linalg.tensorsolve linalg.trace linalg.vecdot
    linalg.eigvals roots sort_complex fft.hfft fft.ihfft
    unique unique_values unique_counts unique_inverse unique_all union1d intersect1d setdiff1d setxor1d
""")
"""What users ask for, or others have; `matvec` and `vecmat` where NumPy has them."""

WITHOUT_DERIVATIVE = names("""
    floor ceil round rint around fix trunc all any argmax argmin argpartition argsort argwhere nonzero flatnonzero
    count_nonzero searchsorted sign ndim shape size floor_divide logical_and logical_or logical_not logical_xor isfinite
    isinf isnan isneginf isposinf allclose isclose array_equal array_equiv greater greater_equal less less_equal equal
    not_equal iscomplexobj iscomplex isscalar isreal isrealobj zeros_like ones_like empty_like full_like result_type
    lexsort nextafter spacing signbit isin
""")
"""What passes through with NumPy's result and no derivative."""

NO_OPS = names("""
    full array asarray getitem r_ c_ ix_ mgrid flatten ndim shape size iscomplexobj isrealobj isscalar result_type roots
""")
"""Answered without an op of their own: stand-ins, indexing, questions about a type; or they run as they are written."""

ALL = [*REQUIRED, *ASKED, *WITHOUT_DERIVATIVE]


def found_in_numpy(name):
    place = np
    for part in name.split("."):
        place = getattr(place, part)
    return place


@pytest.mark.parametrize("name", ALL)
def test_a_name_that_is_asked_for_is_declared_and_checked(name):
    checked = {call.split("-")[0] for call in CALLS}
    assert name in checked or name.removeprefix("linalg.") in checked, (
        f"no program in calls.py is called {name}"
    )
    if name not in NO_OPS and not name.startswith("polynomial."):
        assert found_in_numpy(name) in FUNCTIONS, f"np.{name} is not declared"


def test_no_name_is_counted_twice():
    assert len(set(ALL)) == len(ALL)


def test_what_is_declared_exists():
    """A name in the tables that NumPy or SciPy does not have would never be reached."""
    assert all(callable(function) for function in FUNCTIONS)
    assert all(name.startswith("scipy.") for name in SCIPY_FUNCTIONS)
