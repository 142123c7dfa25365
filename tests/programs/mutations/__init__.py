"""What a function may read from outside, and how that may change between two calls."""

from tests.programs.mutations import (  # noqa: F401
    containers,
    environment,
    functions,
    libraries,
    objects,
    paths,
    special,
    uses,
    values,
)
from tests.programs.mutations.case import CASES, REFUSED, TAPE

__all__ = ["CASES", "REFUSED", "TAPE"]
