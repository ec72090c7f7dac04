"""Small ramp datasets with the variables, dims and coordinates of the store."""

from __future__ import annotations

import numpy as np
import xarray as xr

from nrsdark_xr.detector import DQ

TIME_STEP = 10.74


def make_ramps(seed: int = 0, *, files: int = 9, groups: int = 6, ny: int = 24, nx: int = 20):
    """A corner of NRS1 with noise, cosmic rays, RC, telegraph, hot and dead pixels, NaN."""
    rng = np.random.default_rng(seed)
    shape = (files, groups, ny, nx)
    rate = rng.normal(0.01, 0.02, (ny, nx))
    rate[10, 10] = 3.0
    time = TIME_STEP * np.arange(1, groups + 1)
    ramp = (rate * time[:, None, None] + rng.normal(0, 5, shape)).astype(np.float32)
    science = np.ones((ny, nx), bool)
    science[:4] = science[:, :4] = False
    hit = science & (rng.random(shape) < 0.03)
    groupdq = np.where(hit, np.uint8(DQ.JUMP_DET), np.uint8(0))
    ramp[science & (rng.random(shape) < 0.01)] += 4000
    ramp[:, :, 14, 6] += 5000
    groupdq[: files - 1, 1:, 14, 6] |= np.uint8(DQ.JUMP_DET)
    pixeldq = np.where(rng.random((files, ny, nx)) < 0.1, np.uint32(DQ.NONLINEAR), np.uint32(0))
    pixeldq[:, ~science] |= np.uint32(DQ.REFERENCE_PIXEL)
    pixeldq[:, 7, 7] |= np.uint32(DQ.DEAD | DQ.DO_NOT_USE)
    groupdq[:, :, 7, 7] |= np.uint8(DQ.DO_NOT_USE)
    ramp[0, 0, 18, 3] = np.nan
    ramp[:, :, 2, 9] += 800
    flagged = groupdq != 0
    good_groups = np.where(flagged.any(1), flagged.argmax(1), groups).astype(np.uint16)
    rates = (rate + rng.normal(0, 0.02, (files, ny, nx))).astype(np.float32)
    rates[good_groups == 0] = np.nan
    jumps = rng.poisson(0.3, (files, ny, nx)).astype(np.uint16)
    jumps[:, 16, 16] = 20
    jumps[:, 10, 10] = 20
    bias = rng.normal(10000, 30, (files, 2, ny, nx)).astype(np.float32)
    cube = ("file", "group", "y", "x")
    return xr.Dataset(
        {
            "ramp": (cube, ramp),
            "groupdq": (cube, groupdq),
            "pixeldq": (("file", "y", "x"), pixeldq),
            "rate": (("file", "y", "x"), rates),
            "good_groups": (("file", "y", "x"), good_groups),
            "negative_jumps": (("file", "y", "x"), jumps),
            "bias_groups": (("file", "bias_group", "y_raw", "x"), bias),
        },
        coords={
            "file": [f"dark{i}" for i in range(files)],
            "group": np.arange(1, groups + 1),
            "time": ("group", time),
            "y": np.arange(1, ny + 1),
            "x": np.arange(1, nx + 1),
        },
    )


def raise_if_called(*args, **kwargs):
    """A Dask scheduler for what must stay lazy."""
    raise AssertionError("computed while building")
