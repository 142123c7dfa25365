"""What a capture costs for each op it records, beside the same function run by NumPy."""

from __future__ import annotations

from . import report


def cost(rounds: int) -> str:
    return report.table("Capture", ("", "cost"), [])
