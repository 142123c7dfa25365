"""Derivatives of plain NumPy functions, written out as Python source and compiled."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from tracegrad.config import config as config

if TYPE_CHECKING:
    from tracegrad.names import *  # noqa: F403
    from tracegrad.names import __all__ as __all__

_NO_NAME = importlib.import_module("tracegrad.tensor")
del globals()["tensor"]  # the room's: from here on no import brings it back in place of the function

# The transforms do without what tensors need; all the other names come from one file.
_MODULES = (
    "autograd", "builtins", "differential_operators", "errors", "extend", "misc", "numpy", "scipy", "test_util",
    "wrap_util",
)  # fmt: skip
_NEAR = {
    **{name: f"{__name__}.{name}" for name in _MODULES},
    **dict.fromkeys(("dict", "isinstance", "list", "tuple", "type"), "tracegrad.builtins"),
    "grad": "tracegrad.api.derivatives",
    "value_and_grad": "tracegrad.api.derivatives",
    "vjp": "tracegrad.api.derivatives",
    "jvp": "tracegrad.api.derivatives",
    "jit": "tracegrad.api.jit",
}


def _is_no_name(name: str) -> Any:
    """Whether it is one of Python's, or a file of ours that is about to be imported; `tensor` is a name as well."""
    if name[:1] == "_":
        return name != "__all__"
    return name != "tensor" and importlib.util.find_spec(f"{__name__}.{name}") is not None


def _version() -> str:
    """What the installed package says of itself: the number stands in pyproject.toml alone."""
    metadata = importlib.import_module("importlib.metadata")
    try:
        return metadata.version(__name__)
    except metadata.PackageNotFoundError as error:
        raise AttributeError(
            f"{__name__!r} has no version here: it is not installed, only imported"
        ) from error


def __getattr__(name: str) -> Any:
    """A public name that is asked for the first time: importing all of them would take as long as NumPy does.

    Nothing of Python's own is used here: `float`, `any` and others are names of this module as well.
    """
    if name == "__version__":
        return _version()
    if name not in _NEAR and _is_no_name(name):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(_NEAR.get(name, "tracegrad.names"))
    found = module if name in _MODULES else getattr(module, name, _NO_NAME)
    if found is _NO_NAME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> Any:
    """The public names: not those of the rooms, which are there when something has been imported from them."""
    own = [name for name in globals() if name[:2] == "__"]
    return {*own, "__version__", *_MODULES, *importlib.import_module("tracegrad.names").__all__}
