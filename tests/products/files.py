"""Provenance and arrays for reference files of tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nrsdark_xr.detector import DQ
from nrsdark_xr.products import Input, Provenance

_SUBS200A1 = Provenance(
    inputs=[
        Input(f"jw0663300{i}001_02101_00001_nrs1", f"2024-0{i}-03T11:00:00.000")
        for i in range(1, 6)
    ],
    detector="NRS1",
    readpatt="NRSRAPID",
    subarray="SUBS200A1",
    xstart=1,
    ystart=1054,
    xsize=2048,
    ysize=64,
    n_frames=1,
    n_groups=4,
    group_gap=0,
    n_outputs=1,
    author="The nrsdark_xr developers",
    description="NIRSpec NRS1 SUBS200A1, 5 darks",
    gratings=["G140H"],
    parameters={"average.clip.sigma": "3.0"},
    versions={"nrsdark_xr": "0.1.0", "jwst": "3.0.0"},
    reference_files={"mask": "mask.fits sha256 " + "0" * 64},
)


def make_provenance(**changes):
    """A provenance of SUBS200A1, or what `changes` make of it."""
    return replace(_SUBS200A1, **changes)


def all_bits(shape, seed=0):
    """Random DQ in which every named bit occurs."""
    rng = np.random.default_rng(seed)
    flags = np.array(list(DQ), np.uint32)
    return rng.choice(flags, shape) | rng.choice(flags, shape)


def make_dark(shape=(4, 64, 2048), seed=0):
    """Arrays of a dark, in the order of `write_dark`."""
    rng = np.random.default_rng(seed)
    dark = rng.normal(0, 5, shape).astype(np.float32)
    err = rng.random(shape).astype(np.float32)
    groupdq = rng.integers(0, 256, shape, dtype=np.uint8)
    rate = rng.normal(0, 1, shape[1:]).astype(np.float32)
    unc = rng.random(shape[1:]).astype(np.float32)
    return dark, err, all_bits(shape[1:]), groupdq, rate, unc
