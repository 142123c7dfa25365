"""`tracegrad.scipy.optimize` is `scipy.optimize`."""

from __future__ import annotations

from tracegrad.namespaces import stand_for

stand_for(__name__, "scipy.optimize")
