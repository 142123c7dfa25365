"""`tracegrad.scipy.stats` is `scipy.stats`; `import tracegrad.scipy.stats.norm` gives the distribution."""

from __future__ import annotations

import scipy.stats

from tracegrad.namespaces import stand_for

stand_for(
    __name__,
    "scipy.stats",
    [name for name in scipy.stats.__all__ if hasattr(getattr(scipy.stats, name), "rvs")],
)
