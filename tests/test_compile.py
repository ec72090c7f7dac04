"""Kernels where nothing can be cached."""

from __future__ import annotations

import numba.core.caching

from nrsdark_xr.compile import kernel


def test_compiles_without_a_folder_for_the_cache(monkeypatch):
    monkeypatch.setattr(numba.core.caching.CompileResultCacheImpl, "_locator_classes", [])

    @kernel
    def quotient(a, b):
        return a / b

    assert quotient(3.0, 2.0) == 1.5
    assert quotient(1.0, 0.0) == float("inf")
