"""The transforms at the place HIPS autograd has them: `from tracegrad.differential_operators import grad`."""

from __future__ import annotations

from tracegrad.api.derivatives import grad, value_and_grad
from tracegrad.api.extend import checkpoint
from tracegrad.api.makers import (
    deriv,
    elementwise_grad,
    grad_and_aux,
    grad_named,
    holomorphic_grad,
    make_ggnvp,
    make_hvp,
    make_jvp,
    make_jvp_reversemode,
    make_vjp,
    multigrad_dict,
)
from tracegrad.api.matrices import (
    hessian,
    hessian_tensor_product,
    hessian_vector_product,
    jacobian,
    tensor_jacobian_product,
    vector_jacobian_product,
)

__all__ = [
    "checkpoint",
    "deriv",
    "elementwise_grad",
    "grad",
    "grad_and_aux",
    "grad_named",
    "hessian",
    "hessian_tensor_product",
    "hessian_vector_product",
    "holomorphic_grad",
    "jacobian",
    "make_ggnvp",
    "make_hvp",
    "make_jvp",
    "make_jvp_reversemode",
    "make_vjp",
    "multigrad_dict",
    "tensor_jacobian_product",
    "value_and_grad",
    "vector_jacobian_product",
]
