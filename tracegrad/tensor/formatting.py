"""How a tensor is printed: as PyTorch prints it, to the character.

In: an array and what follows it in the parentheses. Out: text. Begin with `tensor_text`. The rules (four digits,
one width for all items, `1.` for whole numbers, scientific notation when magnitudes differ by more than 1000, three
items at each end of what is longer than 1000) are those of PyTorch's printing, version 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

THRESHOLD, EDGE, LINE = 1000, 3, 80

Form = Callable[[Any], str]
Array = np.ndarray[Any, Any]


def tensor_text(value: Array, suffixes: Sequence[str], prefix: str = "tensor(") -> str:
    """`tensor([[1., 1.],\\n        [1., 1.]], requires_grad=True)`.

    Parameters
    ----------
    value : ndarray
    suffixes : sequence of str
        What follows the numbers: `requires_grad=True`, `grad_fn=<MulBackward0>`, `dtype=...`.
    """
    indent = len(prefix)
    if value.size == 0:
        body = "[]"
        if value.ndim != 1:
            suffixes = [f"size={value.shape}", *suffixes]
    else:
        summarize = value.size > THRESHOLD
        shown = _ends(value) if summarize else value
        body = _block(value, indent, summarize, *_form(shown))
    return _with_suffixes(prefix + body, suffixes, indent)


def _form(shown: Array) -> tuple[int, Form]:
    """The width of an item, and how to write one."""
    if shown.dtype.kind == "c":
        real_width, real = _real_form(shown.real)
        imag_width, imag = _real_form(shown.imag)

        def both(value: Any) -> str:
            imaginary = (imag(value.imag) + "j").lstrip()
            return real(value.real) + ("" if imaginary[0] in "+-" else "+") + imaginary

        return real_width + imag_width + 1, both
    return _real_form(shown)


def _real_form(shown: Array) -> tuple[int, Form]:
    if shown.dtype.kind != "f":
        width = max(len(str(v)) for v in shown.ravel().tolist())
        return width, lambda value: str(value).rjust(width)
    numbers = shown[np.isfinite(shown) & (shown != 0)].astype(np.float64)
    if numbers.size == 0:
        write, width = _whole, 1
    else:
        low, high = np.abs(numbers).min(), np.abs(numbers).max()
        if high > 1000.0 * low or high > 1e8 or low < 1e-4:
            write = "{:.4e}".format
        elif bool((numbers == np.ceil(numbers)).all()):
            write = _whole
        else:
            write = "{:.4f}".format
        width = max(len(write(v)) for v in numbers.tolist())
    return width, lambda value: write(value).rjust(width)


def _whole(value: float) -> str:
    return f"{value:.0f}" + ("." if np.isfinite(value) else "")


def _block(value: Array, indent: int, summarize: bool, width: int, form: Form) -> str:
    if value.ndim == 0:
        return form(value.item())
    cut = summarize and len(value) > 2 * EDGE
    if value.ndim == 1:
        items = [form(v) for v in (value[:EDGE] if cut else value).tolist()]
        if cut:
            items += [" ..."] + [form(v) for v in value[-EDGE:].tolist()]
        a_line = max(1, (LINE - indent) // (width + 2))
        lines = [", ".join(items[i : i + a_line]) for i in range(0, len(items), a_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
    rows = range(len(value))
    parts = [_block(value[i], indent + 1, summarize, width, form) for i in (rows[:EDGE] if cut else rows)]
    if cut:
        parts += ["..."] + [_block(value[i], indent + 1, summarize, width, form) for i in rows[-EDGE:]]
    return "[" + ("," + "\n" * (value.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def _ends(value: Array) -> Array:
    """The items that are shown of a long array: both ends of each axis."""
    for axis, length in enumerate(value.shape):
        if length > 2 * EDGE:
            value = np.take(value, [*range(EDGE), *range(length - EDGE, length)], axis=axis)
    return value


def _with_suffixes(text: str, suffixes: Sequence[str], indent: int) -> str:
    length = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if length + len(suffix) + 2 > LINE:
            text += ",\n" + " " * indent + suffix
            length = indent + len(suffix)
        else:
            text += ", " + suffix
            length += len(suffix) + 2
    return text + ")"
