"""`tracegrad.scipy.special` is `scipy.special`."""

from __future__ import annotations

from tracegrad.namespaces import stand_for

stand_for(__name__, "scipy.special")
