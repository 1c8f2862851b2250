"""The one door to numba: compiles the functions of the replay kernel, and keeps what it compiled.

In: a function of plain numbers and arrays. Out: the same, as machine code made at its first call.
Imported by the kernel only, which is imported when it is needed: numba is slow to import.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

_F = TypeVar("_F", bound=Callable[..., Any])  # any signature: it is handed through unchanged


def compiled(function: _F) -> _F:
    """The function as machine code; kept beside the source where that folder can be written."""
    try:
        made = njit(cache=True)(function)
    except RuntimeError:  # nowhere to keep it: each process compiles anew
        made = njit(function)
    return cast(_F, made)  # a dispatcher, called like the function
