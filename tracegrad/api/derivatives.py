"""The transforms: grad, value_and_grad, vjp, jvp.

Each takes a function of plain NumPy code and returns one with the same arguments; each is a decorator, bare or with
options.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, overload

from tracegrad.api import solving  # noqa: F401 - the wire has to be there before the first capture
from tracegrad.dispatch.dispatcher import Dispatcher
from tracegrad.dispatch.signature import ALL
from tracegrad.errors import ArgumentError
from tracegrad.record.frames import user_location

Function = Callable[..., Any]
Places = int | str | Sequence[int | str]


def places(argnums: Any) -> Any:
    """The places of differentiated arguments; a list of them is a tuple, and None is refused as a place would be."""
    return tuple(argnums) if isinstance(argnums, list) else (None,) if argnums is None else argnums


@overload
def grad(
    function: Function,
    argnums: Places = ...,
    *,
    argnum: Places | None = ...,
    has_aux: bool = ...,
    holomorphic: bool = ...,
    jit: str | None = ...,
    memory: int | str | None = ...,
) -> Dispatcher: ...
@overload
def grad(
    function: None = ...,
    argnums: Places = ...,
    *,
    argnum: Places | None = ...,
    has_aux: bool = ...,
    holomorphic: bool = ...,
    jit: str | None = ...,
    memory: int | str | None = ...,
) -> Callable[[Function], Dispatcher]: ...
def grad(
    function: Function | None = None,
    argnums: Places = 0,
    *,
    argnum: Places | None = None,
    has_aux: bool = False,
    holomorphic: bool = False,
    jit: str | None = None,
    memory: int | str | None = None,
) -> Any:
    """The gradient of a scalar function.

    Parameters
    ----------
    function : callable, optional
        Plain NumPy code that returns one real number. Left out, `grad` is a decorator with options.
    argnums : int, str, or tuple or list of them, default 0
        Which arguments to differentiate by, by index or parameter name. Each may be a float, an array of floats, or
        nested lists, tuples, dicts, namedtuples and dataclasses of them.
    argnum : as `argnums`, optional
        The same under another name.
    has_aux : bool, default False
        The function returns `(value, aux)`; the result is then `(gradient, aux)`.
    holomorphic : bool, default False
        The function is a holomorphic one of complex arguments, and returns one complex number: the gradient is its
        complex derivative. A real function of z = x + iy needs no such word; its gradient is df/dx - i df/dy, by
        whose conjugate it grows.
    jit : "auto", "native" or "python", optional
        When to compile; default `tracegrad.config.jit`.
    memory : int or str, optional
        Bytes that loops may keep for the gradient, as a number or as `"256MB"`. A loop that would keep more is cut
        into segments, which are computed again one by one: that takes longer. Default
        `tracegrad.config.loop_memory`, which has no limit.

    Returns
    -------
    callable
        With the arguments of `function`. Returns the gradient: fresh arrays with the shape and dtype of the
        argument, a float for a float, in the argument's structure; a tuple of them when `argnums` is a tuple. It
        also has `forward_source`, `backward_source`, `native_source`, `trace`, `paths`, `stats`, `explain()` and
        `source(*args)`.

    Raises
    ------
    NotScalarError : the result is not one real number
    ArgumentError : an argument cannot be differentiated, an option does not fit

    Examples
    --------
    >>> import tracegrad as tg
    >>> tg.grad(lambda x: x**3)(2.0)
    12.0
    """
    return _transform(
        function,
        "gradient",
        argnums=places(argnums if argnum is None else argnum),
        has_aux=has_aux,
        holomorphic=holomorphic,
        jit=jit,
        memory=memory,
        label="grad",
    )


@overload
def value_and_grad(
    function: Function,
    argnums: Places = ...,
    *,
    argnum: Places | None = ...,
    has_aux: bool = ...,
    holomorphic: bool = ...,
    jit: str | None = ...,
    memory: int | str | None = ...,
) -> Dispatcher: ...
@overload
def value_and_grad(
    function: None = ...,
    argnums: Places = ...,
    *,
    argnum: Places | None = ...,
    has_aux: bool = ...,
    holomorphic: bool = ...,
    jit: str | None = ...,
    memory: int | str | None = ...,
) -> Callable[[Function], Dispatcher]: ...
def value_and_grad(
    function: Function | None = None,
    argnums: Places = 0,
    *,
    argnum: Places | None = None,
    has_aux: bool = False,
    holomorphic: bool = False,
    jit: str | None = None,
    memory: int | str | None = None,
) -> Any:
    """Value and gradient of a scalar function, from one program.

    Parameters are those of `grad`. The result of a call is `(value, gradient)`, with `has_aux` it is
    `((value, aux), gradient)`; `scipy.optimize.minimize(value_and_grad(f), x0, jac=True)` takes it as it is.
    """
    return _transform(
        function,
        "gradient",
        argnums=places(argnums if argnum is None else argnum),
        has_aux=has_aux,
        holomorphic=holomorphic,
        jit=jit,
        memory=memory,
        label="value_and_grad",
        with_value=True,
    )


def vjp(
    function: Function | None = None,
    *primals: Any,
    jit: str | None = None,
    memory: int | str | None = None,
) -> Any:
    """The value of a function, and its pullback.

    Parameters
    ----------
    function : callable, optional
        Plain NumPy code; its result may be a number, an array, or a structure of them. Left out, as the primals.
    *primals
        The arguments, all of them differentiated. Left out, `vjp` is a decorator: the decorated function, called
        with the primals, gives what `vjp(function, *primals)` gives.
    jit, memory : optional
        As for `grad`.

    Returns
    -------
    value, pullback
        `pullback(cotangent)` takes a cotangent with the structure and shapes of `value` and returns the cotangents
        of the primals: one alone, or a tuple of several. It may be called again. Cotangents of complex values are
        carried back by plain transposes: that of a holomorphic function, with 1.0, is its derivative.
    """
    if not primals:
        return _transform(function, "vjp", argnums=ALL, jit=jit, memory=memory, label="vjp")
    if function is None:
        raise ArgumentError("`vjp` got primals, but no function.", user_location(), "write vjp(f, x, y)")
    return _at_once(function, "vjp", jit, memory)(*primals)


def jvp(
    function: Function | None = None,
    primals: Sequence[Any] | None = None,
    tangents: Sequence[Any] | None = None,
    *,
    jit: str | None = None,
) -> Any:
    """The value of a function and its change along a direction.

    Parameters
    ----------
    function : callable, optional
        Plain NumPy code; its result may be a number, an array, or a structure of them.
    primals, tangents : sequence, one value an argument, optional
        Where, and in which direction; a tangent has the structure and shapes of its primal. Left out, `jvp` is a
        decorator: the decorated function takes them.
    jit : optional
        As for `grad`.

    Returns
    -------
    value, tangent
        With the same structure. Of complex arguments the tangent is the directional derivative along a complex
        direction; cotangent and tangent pair as Re(sum(cotangent * tangent)).
    """
    if primals is None and tangents is None:
        return _transform(function, "jvp", argnums=ALL, jit=jit, label="jvp")
    if function is None or primals is None or tangents is None:
        raise ArgumentError(
            "`jvp` needs a function, its primals and a tangent for each of them.",
            user_location(),
            "write jvp(f, (x, y), (x_dot, y_dot))",
        )
    return _at_once(function, "jvp", jit)(primals, tangents)


def _at_once(function: Function, mode: str, jit: str | None, memory: int | str | None = None) -> Dispatcher:
    """The dispatcher of a transform that is called with the function each time, `vjp(f, x)`."""
    try:
        hash((function, jit, memory))
    except TypeError:
        return Dispatcher(function, mode, argnums=ALL, jit=jit, memory=memory, label=mode)
    return _kept(function, mode, jit, memory)


@functools.lru_cache(maxsize=256)
def _kept(function: Function, mode: str, jit: str | None, memory: int | str | None) -> Dispatcher:
    return Dispatcher(function, mode, argnums=ALL, jit=jit, memory=memory, label=mode)


def _transform(function: Function | None, mode: str, **options: Any) -> Any:
    if function is None:
        return lambda f: _transform(f, mode, **options)
    if isinstance(function, (staticmethod, classmethod)):  # the method stays what it was
        return type(function)(Dispatcher(function.__func__, mode, **options))
    return Dispatcher(function, mode, **options)
