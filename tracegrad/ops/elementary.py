"""Exponentials, logarithms, trigonometric and special functions. Derivatives: Abramowitz and Stegun, chapters 4 and 7."""

from __future__ import annotations

import numpy as np

from tracegrad.ops.families import elementwise, positive
from tracegrad.ops.op import Op

exp: Op = elementwise(np.exp, lambda z, x: z)
log: Op = elementwise(np.log, lambda z, x: 1 / x, domain=positive)
sin: Op = elementwise(np.sin, lambda z, x: cos(x))
cos: Op = elementwise(np.cos, lambda z, x: -sin(x))
tanh: Op = elementwise(np.tanh, lambda z, x: 1 - z * z)
sqrt: Op = elementwise(np.sqrt, lambda z, x: 0.5 / z, domain=positive)
log1p: Op = elementwise(np.log1p, lambda z, x: 1 / (1 + x), domain=positive)
