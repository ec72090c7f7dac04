"""Made-up products for the tests of this room."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nrsdark_xr.analysis import (
    Baseline,
    ExampleRamp,
    FileRecord,
    InputRow,
    ReportContent,
    StepRecord,
    evaluate_gates,
    example_pixels,
    measure_products,
)
from nrsdark_xr.detector import DQ, reference_pixels

N_FILES, N_GROUPS = 6, 20
TIME = 5.0 * np.arange(1, N_GROUPS + 1)


@dataclass(frozen=True)
class Maps:
    bias: np.ndarray
    bias_err: np.ndarray
    rate: np.ndarray
    unc: np.ndarray
    dark_dq: np.ndarray
    mask: np.ndarray
    old_mask: np.ndarray
    reference: np.ndarray


def make_maps(ny: int = 32, nx: int = 256, seed: int = 1) -> Maps:
    """Left end of a subarray, so four columns of reference pixels; 10 hot, 2 RC, 5 RTN pixels."""
    random = np.random.default_rng(seed)
    reference = reference_pixels(xstart=1, ystart=1000, xsize=nx, ysize=ny)
    rate = random.normal(0.01, 0.002, (ny, nx)).astype(np.float32)
    unc = np.abs(random.normal(0.003, 0.0002, (ny, nx))).astype(np.float32)
    science = np.flatnonzero(~reference)
    chosen = random.choice(science, 17, replace=False)
    dark_dq = np.where(reference, np.uint32(DQ.REFERENCE_PIXEL), np.uint32(0))
    mask = dark_dq.copy()
    hot, rc, rtn = chosen[:10], chosen[10:12], chosen[12:]
    rate.flat[hot] = 2.0 + np.arange(10)
    mask.flat[hot] |= np.uint32(DQ.HOT | DQ.DO_NOT_USE)
    dark_dq.flat[rc] |= np.uint32(DQ.RC | DQ.DO_NOT_USE)
    dark_dq.flat[rtn] |= np.uint32(DQ.TELEGRAPH)
    dark_dq[3, 0] |= np.uint32(DQ.BAD_REF_PIXEL | DQ.DO_NOT_USE)
    old_mask = mask.copy()
    old_mask.flat[hot[:3]] &= ~np.uint32(DQ.HOT | DQ.DO_NOT_USE)
    old_mask.flat[rtn[0]] |= np.uint32(DQ.HOT)
    rate[reference] = np.nan
    unc[reference] = np.nan
    return Maps(
        bias=random.normal(12000, 30, (ny, nx)).astype(np.float32),
        bias_err=np.abs(random.normal(6, 1, (ny, nx))).astype(np.float32),
        rate=rate,
        unc=unc,
        dark_dq=dark_dq,
        mask=mask,
        old_mask=old_mask,
        reference=reference,
    )


def make_ramps(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Six ramps of which number 2 has jumps at groups 5 and 12."""
    random = np.random.default_rng(seed)
    ramp = (0.01 * TIME + random.normal(0, 5, (N_FILES, N_GROUPS))).astype(np.float32)
    groupdq = np.zeros((N_FILES, N_GROUPS), np.uint8)
    for group in (5, 12):
        ramp[2, group:] += 1000
        groupdq[2, group] = DQ.JUMP_DET
    return ramp, groupdq


def make_content(name: str = "nrs1-subs200a1-t0", **changes: object) -> ReportContent:
    maps = make_maps()
    statistics = measure_products(
        bias=maps.bias,
        rate=maps.rate,
        uncertainty=maps.unc,
        dark_dq=maps.dark_dq,
        mask=maps.mask,
        input_mask=maps.old_mask,
        reference_pixels=maps.reference,
        n_inputs=7,
        n_good=6,
    )
    pixels = example_pixels(
        rate=maps.rate, dq=maps.dark_dq | maps.mask, reference_pixels=maps.reference
    )
    ramp, groupdq = make_ramps()
    average = ramp.mean(axis=0)
    content: dict[str, object] = {
        "name": name,
        "detector": "NRS1",
        "readpatt": "NRSRAPID",
        "subarray": "SUBS200A1",
        "xstart": 1,
        "ystart": 1000,
        "period": ("2024-01-01", "2024-09-01"),
        "created": "2026-01-02T03:04:05",
        "inputs": (
            *(
                InputRow(
                    f"jw0663300{i}001_nrs1",
                    "2024-01-02T03:04:05.678",
                    "G140H",
                    "OPAQUE",
                    0.001 * i,
                    accepted=True,
                )
                for i in range(6)
            ),
            InputRow(
                "jw06633009001_nrs1",
                "2024-02-02T03:04:05.678",
                "PRISM",
                "OPAQUE",
                float("nan"),
                accepted=False,
                reason="grating PRISM is excluded",
            ),
        ),
        "statistics": statistics,
        "gates": evaluate_gates(statistics, readpatt="NRSRAPID"),
        "bias": maps.bias,
        "bias_err": maps.bias_err,
        "rate": maps.rate,
        "rate_unc": maps.unc,
        "dark_dq": maps.dark_dq,
        "mask": maps.mask,
        "readnoise": 8 + maps.bias_err,
        "reference_pixels": maps.reference,
        "hot_rate": 1.0,
        "time": TIME,
        "examples": tuple(
            ExampleRamp(
                pixel.kind, pixel.y + 1000, pixel.x + 1, ramp, groupdq, average, average, 0.01
            )
            for pixel in pixels
            if pixel.y is not None and pixel.x is not None
        ),
        "baseline": Baseline(
            maps.bias + 1,
            "old_superbias.fits",
            maps.old_mask,
            "old_mask.fits",
            8.5 + maps.bias_err,
            "old_readnoise.fits",
        ),
        "references": (FileRecord("gain", "refs/gain.fits", "ab" * 32),),
        "products": (FileRecord("dark", "x_dark.fits", "cd" * 32),),
        "parameters": {"jump": {"rejection_threshold": 4.0}},
        "versions": {"nrsdark_xr": "0.1.0"},
        "steps": (StepRecord("bias", 75.0, 2**30), StepRecord("prepare", 5.0)),
    }
    return ReportContent(**(content | changes))  # type: ignore[arg-type]
