"""Operators on functions of one argument as operators on functions of many: `unary_to_nary`."""

from __future__ import annotations

from tracegrad.api.derived import unary_to_nary

__all__ = ["unary_to_nary"]
