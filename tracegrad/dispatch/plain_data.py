"""Plain values, arrays, structures and texts as what JSON can say, and back, exactly.

In: what a record holds beside its reads. Out: lists, texts and numbers. Begin with `value_as_data`.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tracegrad import tree
from tracegrad.dispatch.fingerprints import Otherwise, Unstorable, fingerprint
from tracegrad.dispatch.roots import find
from tracegrad.ir.location import Location
from tracegrad.ir.source import Source
from tracegrad.ir.types import ArrayType
from tracegrad.tensor.reads import MISSING

Data = Any  # what JSON can say


# --- as data


def value_as_data(value: Any) -> Data:
    """A plain value, exactly."""
    kind = type(value)
    if kind in (type(None), bool, int, str):
        return value
    if kind in (float, complex):
        return [kind.__name__, repr(value)]
    if kind is bytes:
        return ["bytes", base64.b64encode(value).decode()]
    if kind in (tuple, list):
        return [kind.__name__, [value_as_data(v) for v in value]]
    if kind is range:
        return ["range", [value.start, value.stop, value.step]]
    if isinstance(value, np.dtype):
        return ["dtype", value.str]
    if isinstance(value, np.generic):
        return ["scalar", array_as_data(np.asarray(value))]
    if kind is np.ndarray:
        return ["array", array_as_data(value)]
    if value in _CLASSES.values():
        return ["class", value.__name__]
    raise Unstorable(f"a {kind.__name__}")


_CLASSES: dict[str, type] = {
    c.__name__: c
    for c in (
        float, int, bool, complex, list, tuple, dict, str, np.ndarray, np.float64, np.float32, np.float16, np.bool_,
        np.int64, np.int32, np.int16, np.int8, np.uint64, np.uint32, np.uint16, np.uint8,
    )
}  # fmt: skip


def array_as_data(value: np.ndarray[Any, Any]) -> Data:
    if value.dtype.hasobject:
        raise Unstorable("an array of objects")
    return [value.dtype.str, list(value.shape), base64.b64encode(value.tobytes()).decode()]


def structure_as_data(structure: Any, count: int) -> Data:
    """A structure of `tree.flatten` with so many leaves."""
    return (
        None if structure is None else _container(tree.unflatten(structure, [_Leaf(k) for k in range(count)]))
    )


class _Leaf:
    """A leaf of a structure that is laid open."""

    def __init__(self, place: int) -> None:
        self.place = place


def _container(value: Any) -> Data:
    kind = type(value)
    if kind is _Leaf:
        return value.place
    if kind in (list, tuple):
        return [kind.__name__, [_container(v) for v in value]]
    if kind is dict:
        return ["dict", [[value_as_data(k), _container(v)] for k, v in value.items()]]
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return ["fields", *_class(kind), [_container(v) for v in value]]
    if dataclasses.is_dataclass(value):
        return ["attributes", *_class(kind), [[k, _container(v)] for k, v in vars(value).items()]]
    raise Unstorable(f"a {kind.__name__} among arguments or results")


def _class(cls: type) -> Data:
    return [cls.__module__, cls.__qualname__, fingerprint(cls)]


def location_as_data(where: Location | None) -> Data:
    return None if where is None else [where.file, where.line, where.function]


def types_as_data(types: Sequence[ArrayType]) -> Data:
    return [[t.dtype.str, list(t.shape)] for t in types]


def text_as_data(source: Source | None) -> Data:
    """Emitted text, with all that is known of it."""
    if source is None:
        return None
    return {f.name: value_as_data(getattr(source, f.name)) for f in dataclasses.fields(source)}


# --- and back


def value_from(data: Data) -> Any:
    if not isinstance(data, list):
        return data
    kind, of = data
    if kind in ("float", "complex"):
        return {"float": float, "complex": complex}[kind](of)
    if kind == "bytes":
        return base64.b64decode(of)
    if kind in ("tuple", "list"):
        parts = [value_from(v) for v in of]
        return parts if kind == "list" else tuple(parts)
    if kind == "range":
        return range(*of)
    if kind == "dtype":
        return np.dtype(of)
    if kind == "class":
        return _CLASSES[of]
    return array_from(of)[()] if kind == "scalar" else array_from(of)


def array_from(data: Data) -> np.ndarray[Any, Any]:
    dtype, shape, content = data
    return np.frombuffer(base64.b64decode(content), np.dtype(dtype)).reshape(shape).copy()


def structure_from(data: Data) -> Any:
    """A structure of `tree.flatten`."""
    return None if data is None else tree.flatten(_container_from(data))[1]


_LEAF = object()


def _container_from(data: Data) -> Any:
    if isinstance(data, int):
        return _LEAF
    kind = data[0]
    if kind == "dict":
        return {value_from(k): _container_from(v) for k, v in data[1]}
    if kind in ("fields", "attributes"):
        cls = find(["named", data[1], data[2]], None, ())
        if cls is MISSING or fingerprint(cls) != data[3]:
            raise Otherwise(f"the class {data[2]}")
        if kind == "fields":
            return cls(*map(_container_from, data[4]))
        made = object.__new__(cls)
        for name, part in data[4]:
            object.__setattr__(made, name, _container_from(part))
        return made
    parts = [_container_from(d) for d in data[1]]
    return parts if kind == "list" else tuple(parts)


def location_from(data: Data) -> Location | None:
    return None if data is None else Location(*data)


def types_from(data: Data) -> tuple[ArrayType, ...]:
    return tuple(ArrayType(tuple(shape), np.dtype(dtype)) for dtype, shape in data)


def text_from(data: Data) -> Source:
    """Emitted text."""
    return Source(**{name: value_from(value) for name, value in data.items()})
