"""The vector space a value lies in, as HIPS autograd has it: zeros, a basis, sums and products of nested values.

In: a number, an array, or lists, tuples, dicts of them. Out: a `VSpace`. Begin with `vspace`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tracegrad import tree


class VSpace:
    """All values of one structure, with the shapes and dtypes of one of them.

    Attributes
    ----------
    size : int, real dimensions: a complex number has two
    shape : tuple of an array; of a nested value a list of one for each
    iscomplex : bool
    """

    def __init__(self, value: Any) -> None:
        leaves, self.structure = tree.flatten(value)
        self.forms = tuple((np.shape(x), np.asarray(getattr(x, "value", x)).dtype) for x in leaves)
        kinds = [dtype.kind for _, dtype in self.forms]
        self.iscomplex = "c" in kinds
        counts = (int(np.prod(shape, dtype=int)) for shape, _ in self.forms)
        self.size = sum(n * (2 if kind == "c" else 1) for n, kind in zip(counts, kinds, strict=True))
        shapes = [shape for shape, _ in self.forms]
        self.shape: Any = shapes[0] if self.structure is None else shapes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VSpace) and (self.structure, self.forms) == (other.structure, other.forms)

    def __hash__(self) -> int:
        return hash(self.forms)

    def __repr__(self) -> str:
        return f"VSpace of {self.forms}"

    def zeros(self) -> Any:
        return self._made(np.zeros)

    def ones(self) -> Any:
        """Ones; of complex numbers in both parts."""
        return self._made(lambda shape, dtype: np.full(shape, 1 + 1j if dtype.kind == "c" else 1, dtype))

    def randn(self, generator: Any = np.random) -> Any:
        """A value of numbers drawn from the normal distribution, by NumPy's global generator or another one."""

        def drawn(shape: Any, dtype: Any) -> Any:
            real = generator.standard_normal(shape)
            whole = real + 1j * generator.standard_normal(shape) if dtype.kind == "c" else real
            return np.asarray(whole, dtype)

        return self._made(drawn)

    def _made(self, make: Callable[[Any, Any], Any]) -> Any:
        return tree.unflatten(self.structure, [make(shape, dtype)[()] for shape, dtype in self.forms])

    def standard_basis(self) -> Iterator[Any]:
        """Values that are zero but for one real number, one after the other."""
        for place, (shape, dtype) in enumerate(self.forms):
            for index in np.ndindex(shape):
                for unit in (1.0, 1j) if dtype.kind == "c" else (1.0,):
                    leaves = [np.zeros(*form) for form in self.forms]
                    leaves[place][index] = unit
                    yield tree.unflatten(self.structure, leaves)

    def add(self, x: Any, y: Any) -> Any:
        return self._by_leaf(lambda a, b: a + b, x, y)

    mut_add = add

    def scalar_mul(self, x: Any, a: Any) -> Any:
        return self._by_leaf(lambda leaf: leaf * a, x)

    def covector(self, x: Any) -> Any:
        """The cotangent that stands for `inner_prod(x, .)`."""
        return self._by_leaf(np.conj, x)

    def inner_prod(self, x: Any, y: Any) -> Any:
        """The real inner product; of complex values that of their real and imaginary parts."""
        pairs = zip(tree.flatten(x)[0], tree.flatten(y)[0], strict=True)
        return sum(np.sum(np.real(np.conj(a) * b)) for a, b in pairs)

    def _by_leaf(self, function: Callable[..., Any], *values: Any) -> Any:
        columns = zip(*(tree.flatten(v)[0] for v in values), strict=True)
        return tree.unflatten(self.structure, [function(*leaves) for leaves in columns])


def vspace(value: Any) -> VSpace:
    """The space of values like this one."""
    return VSpace(value)
