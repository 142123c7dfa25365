"""Modules of other libraries under a name of ours: `tracegrad.numpy` is NumPy.

In: our module's name, and the other's. Nothing is copied and nothing wrapped, since calls of NumPy's own functions are
what is recorded. Begin with `stand_for`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable


def stand_for(here: str, name: str, members: Iterable[str] = ()) -> None:
    """From now on importing `here` gives the module `name`, and `here.x` what is `name.x`.

    Parameters
    ----------
    here, name : str
    members : iterable of str
        What of the module can be imported though it is no module, `import tracegrad.scipy.stats.norm`.
    """
    module = importlib.import_module(name)
    loaded = [other for other in sys.modules if other.startswith(f"{name}.")]
    sys.modules.update({here + other.removeprefix(name): sys.modules[other] for other in loaded})
    sys.modules.update({f"{here}.{member}": getattr(module, member) for member in members})
    sys.modules[here] = module
