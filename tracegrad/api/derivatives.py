"""The transforms: grad, value_and_grad, vjp, jvp.

Each takes a function of plain NumPy code and returns one with the same arguments; each is a decorator, bare or with
options.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, overload

from tracegrad.dispatch.dispatcher import Dispatcher, cached_dispatcher
from tracegrad.dispatch.signature import ALL, Wrt

Function = Callable[..., Any]


@overload
def grad(
    function: Function, *, argnums: Wrt = ..., has_aux: bool = ..., jit: str | None = ...
) -> Dispatcher: ...
@overload
def grad(
    function: None = ..., *, argnums: Wrt = ..., has_aux: bool = ..., jit: str | None = ...
) -> Callable[[Function], Dispatcher]: ...
def grad(
    function: Function | None = None, *, argnums: Wrt = 0, has_aux: bool = False, jit: str | None = None
) -> Any:
    """The gradient of a scalar function.

    Parameters
    ----------
    function : callable
        Plain NumPy code that returns one real number. Left out, `grad` is a decorator with options.
    argnums : int, str or tuple of them
        Which arguments to differentiate by, by index or parameter name. Each may be a float, an array of floats, or
        nested lists, tuples, dicts, namedtuples and dataclasses of them.
    has_aux : bool
        The function returns `(value, aux)`; the result is then `(gradient, aux)`.
    jit : "auto", "native" or "python", optional
        When to compile; default `tracegrad.config.jit`.

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
    ArgumentError : an argument cannot be differentiated

    Examples
    --------
    >>> import tracegrad as tg
    >>> tg.grad(lambda x: x**3)(2.0)
    12.0
    """
    return _transform(function, "gradient", argnums=argnums, has_aux=has_aux, jit=jit, label="grad")


@overload
def value_and_grad(
    function: Function, *, argnums: Wrt = ..., has_aux: bool = ..., jit: str | None = ...
) -> Dispatcher: ...
@overload
def value_and_grad(
    function: None = ..., *, argnums: Wrt = ..., has_aux: bool = ..., jit: str | None = ...
) -> Callable[[Function], Dispatcher]: ...
def value_and_grad(
    function: Function | None = None, *, argnums: Wrt = 0, has_aux: bool = False, jit: str | None = None
) -> Any:
    """Value and gradient of a scalar function, from one program.

    Parameters are those of `grad`. The result of a call is `(value, gradient)`, with `has_aux` it is
    `((value, aux), gradient)`; `scipy.optimize.minimize(value_and_grad(f), x0, jac=True)` takes it as it is.
    """
    return _transform(
        function,
        "gradient",
        argnums=argnums,
        has_aux=has_aux,
        jit=jit,
        label="value_and_grad",
        with_value=True,
    )


def vjp(function: Function | None = None, *primals: Any, jit: str | None = None) -> Any:
    """The value of a function, and its pullback.

    Parameters
    ----------
    function : callable
        Plain NumPy code; its result may be a number, an array, or a structure of them.
    *primals
        The arguments, all of them differentiated. Left out, `vjp` is a decorator: the decorated function, called
        with the primals, gives what `vjp(function, *primals)` gives.

    Returns
    -------
    value, pullback
        `pullback(cotangent)` takes a cotangent with the structure and shapes of `value` and returns the cotangents
        of the primals: one alone, or a tuple of several. It may be called again.
    """
    if function is None:
        return functools.partial(vjp, jit=jit)
    made = cached_dispatcher(function, "vjp", argnums=ALL, jit=jit, label="vjp")
    return made(*primals) if primals else made


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
    function : callable
        Plain NumPy code; its result may be a number, an array, or a structure of them.
    primals, tangents : sequence, one value an argument
        Where, and in which direction; a tangent has the structure and shapes of its primal. Left out, `jvp` is a
        decorator.

    Returns
    -------
    value, tangent
        With the same structure.
    """
    if function is None:
        return functools.partial(jvp, jit=jit)
    made = cached_dispatcher(function, "jvp", argnums=ALL, jit=jit, label="jvp")
    return made if primals is None else made(primals, tangents)


def _transform(function: Function | None, mode: str, **options: Any) -> Any:
    if function is None:
        return lambda f: Dispatcher(f, mode, **options)
    return Dispatcher(function, mode, **options)
