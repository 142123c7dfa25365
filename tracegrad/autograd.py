"""`tracegrad.autograd`: the PyTorch style under PyTorch's name, so that `from tracegrad.autograd import
Variable` works.
"""

from tracegrad import wiring  # noqa: F401 - the wires have to be there before the first tensor
from tracegrad.api.autograd import (
    Function,
    FunctionContext,
    Variable,
    allow_mutation_on_saved_tensors,
    backward,
    enable_grad,
    grad,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)

__all__ = [
    "Function",
    "FunctionContext",
    "Variable",
    "allow_mutation_on_saved_tensors",
    "backward",
    "enable_grad",
    "grad",
    "is_grad_enabled",
    "no_grad",
    "set_grad_enabled",
]
