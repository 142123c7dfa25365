"""The one wire between the wings: tensors' backward programs are dispatch's. It is drawn when this is imported."""

from __future__ import annotations

from tracegrad.dispatch.backward_engine import EmittedBackward
from tracegrad.tensor.engine import use_engine

use_engine(EmittedBackward)
