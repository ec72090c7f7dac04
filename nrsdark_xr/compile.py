"""Compiling kernels, with a cache where there is room for one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import numba

logger = logging.getLogger(__name__)
Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def kernel(function: Kernel) -> Kernel:
    """Compile `function` with numba: without the GIL, strict IEEE arithmetic, cached on disk.

    As in numpy, division by zero gives an infinity or NaN.

    The cache lies beside the module, or in the user's cache folder where the installation is
    read-only, or in ``NUMBA_CACHE_DIR``. Where none of them can be written, each process compiles
    anew.
    """
    try:
        return numba.njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError as error:  # "cannot cache function ...: no locator available"
        logger.debug("%s", error)
        return numba.njit(nogil=True, error_model="numpy")(function)
