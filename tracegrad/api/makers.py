"""Derivatives as HIPS autograd names them: `make_vjp(f)(x)` gives a pullback and a value, `deriv`, `make_hvp` ...

One function with the arguments of `f` for each; `argnum` says by which to differentiate, an index, a name, or a tuple
of them. They are `vjp`, `jvp` and `grad` with results in another order. Begin with `make_vjp`.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from typing import Any

import numpy as np

from tracegrad.api.derivatives import Function, Places, grad, places
from tracegrad.api.derived import Derived
from tracegrad.api.matrices import directions
from tracegrad.dispatch.dispatcher import Dispatcher


def make_vjp(function: Function, argnum: Places = 0) -> Function:
    """`make_vjp(f)(x)` is `(pullback, f(x))`; the pullback takes a cotangent of the value to one of the argument."""
    pulled = Dispatcher(function, "vjp", argnums=places(argnum), label="make_vjp")

    def made(*args: Any, **keywords: Any) -> Any:
        value, pull = pulled(*args, **keywords)
        return pull, value

    return Derived(function, "make_vjp", made)


def holomorphic_grad(function: Function, argnum: Places = 0) -> Function:
    """The complex derivative of a holomorphic function of complex arguments: `grad(f, argnum, holomorphic=True)`."""
    return grad(function, places(argnum), holomorphic=True)


def make_jvp(function: Function, argnum: Places = 0) -> Function:
    """`make_jvp(f)(x)(v)` is `(f(x), tangent)`: the value and its change along `v`."""
    pushed = Dispatcher(function, "jvp", argnums=places(argnum), label="make_jvp")

    def made(*args: Any, **keywords: Any) -> Any:
        return lambda tangent: pushed(args, directions(argnum, tangent), **keywords)

    return Derived(function, "make_jvp", made)


def make_jvp_reversemode(function: Function, argnum: Places = 0) -> Function:
    """`make_jvp_reversemode(f)(x)(v)` is the change along `v`, without the value."""
    pushed = make_jvp(function, argnum)

    def made(*args: Any, **keywords: Any) -> Any:
        along = pushed(*args, **keywords)
        return lambda tangent: along(tangent)[1]

    return Derived(function, "make_jvp_reversemode", made)


def make_hvp(function: Function, argnum: Places = 0) -> Function:
    """`make_hvp(f)(x)` is `(product, gradient)`; the product takes `v` to the Hessian times `v`, as often as asked."""
    return Derived(function, "make_hvp", make_vjp(grad(function, argnum), argnum))


def _half_of_squares(x: Any) -> Any:
    return 0.5 * np.sum(x**2, axis=-1)


def make_ggnvp(f: Function, g: Function = _half_of_squares, f_argnum: Places = 0) -> Function:
    """`make_ggnvp(f, g)(x)(v)` is the generalised Gauss-Newton matrix of `g(f(x))` times `v`.

    References
    ----------
    Schraudolph, Fast curvature matrix-vector products for second-order gradient descent, Neural Computation 14, 2002.
    """
    pulled, pushed = make_vjp(f, f_argnum), make_jvp_reversemode(f, f_argnum)
    curved = make_jvp_reversemode(grad(g))

    def made(*args: Any, **keywords: Any) -> Any:
        pull, value = pulled(*args, **keywords)
        push, curvature = pushed(*args, **keywords), curved(value)
        return lambda tangent: pull(curvature(push(tangent)))

    return Derived(f, "make_ggnvp", made)


def elementwise_grad(function: Function, argnum: Places = 0) -> Function:
    """The derivative of the sum of all results: of a function that works element by element, each element's own."""
    pulled = Dispatcher(function, "vjp", argnums=places(argnum), label="elementwise_grad")

    def made(*args: Any, **keywords: Any) -> Any:
        value, pull = pulled(*args, **keywords)
        return pull(_ones(value))

    return Derived(function, "elementwise_grad", made)


def deriv(function: Function, argnum: Places = 0) -> Function:
    """The change of the value as all items of the argument change alike: of a function of a number its derivative."""
    pushed = Dispatcher(function, "jvp", argnums=places(argnum), label="deriv")

    def made(*args: Any, **keywords: Any) -> Any:
        wanted: Any = argnum if isinstance(argnum, (list, tuple)) else (argnum,)
        given = [args[k] for k in wanted]
        return pushed(args, [_ones(value) for value in given], **keywords)[1]

    return Derived(function, "deriv", made)


def _ones(value: Any) -> Any:
    return np.ones(np.shape(value), getattr(value, "dtype", float))[()]


def grad_named(function: Function, argname: str) -> Dispatcher:
    """The gradient by the parameter of this name."""
    return grad(function, argname)


def grad_and_aux(function: Function, argnum: Places = 0) -> Dispatcher:
    """Of a function that returns `(value, aux)`: the gradient of the value, and aux."""
    return grad(function, argnum, has_aux=True)


def multigrad_dict(function: Function) -> Function:
    """The gradients by all arguments at once, as a dict from the name of a parameter to its gradient."""
    signature = inspect.signature(function)
    known: dict[Any, Dispatcher] = {}

    def made(*args: Any, **keywords: Any) -> Any:
        bound = signature.bind(*args, **keywords)
        bound.apply_defaults()
        wanted = (*range(len(bound.args)), *bound.kwargs)
        if wanted not in known:
            known[wanted] = grad(function, wanted)
        found = dict(zip(wanted, known[wanted](*bound.args, **bound.kwargs), strict=True))
        place = iter(range(len(bound.args)))
        gradients: OrderedDict[str, Any] = OrderedDict()
        for name, parameter in signature.parameters.items():
            if parameter.kind is parameter.VAR_POSITIONAL:
                gradients[name] = tuple(found[k] for k in place)
            elif parameter.kind is parameter.VAR_KEYWORD:
                gradients[name] = {k: found[k] for k in bound.arguments[name]}
            elif parameter.kind is parameter.KEYWORD_ONLY:
                gradients[name] = found[name]
            else:
                gradients[name] = found[next(place)]
        return gradients

    return Derived(function, "multigrad_dict", made)
