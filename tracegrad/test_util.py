"""Derivatives against differences: `from tracegrad.test_util import check_grads`."""

from __future__ import annotations

from tracegrad.testing.gradcheck import check_grads, check_jvp, check_vjp, combo_check, make_numerical_jvp

__all__ = ["check_grads", "check_jvp", "check_vjp", "combo_check", "make_numerical_jvp"]
