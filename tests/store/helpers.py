"""Exposures and rows of data for the tests of the store."""

from __future__ import annotations

from typing import Any

import numpy as np

from nrsdark_xr.calibration.exposure import CalibratedMaps
from nrsdark_xr.exposures.exposure import Exposure
from nrsdark_xr.store import RampStore

BAND = 128


def make_exposure(name: str = "jw_a", date: str = "2025-01-01T00:00:00.000", **changes: Any):
    n_groups = changes.get("n_groups", 5)
    xsize, ysize = changes.get("xsize", 40), changes.get("ysize", 150)
    fields: dict[str, Any] = {
        "url": f"/data/{name}_uncal.fits",
        "name": name,
        "detector": "NRS1",
        "readpatt": "NRSRAPID",
        "subarray": "SUBTEST",
        "exp_type": "NRS_DARK",
        "grating": "G140H",
        "filter": "OPAQUE",
        "program": "6633",
        "observation": "1",
        "date_obs": date,
        "n_integrations": 1,
        "n_groups": n_groups,
        "n_frames": 1,
        "group_gap": 0,
        "frame_divisor": 1,
        "n_outputs": 1,
        "frame_time": 1.5,
        "group_time": 1.5,
        "xstart": 1,
        "ystart": 11,
        "xsize": xsize,
        "ysize": ysize,
        "gain_factor": 1.0,
        "data_offset": 8640,
        "raw_shape": (1, n_groups, ysize, xsize),
    }
    return Exposure(**(fields | changes))


def make_row(exposure: Exposure, seed: int) -> dict[str, np.ndarray]:
    """All variables of one row."""
    rng = np.random.default_rng(seed)
    frame = (exposure.ysize, exposure.xsize)
    cube = (exposure.n_groups, *frame)
    return {
        "ramp": rng.normal(size=cube).astype("f4"),
        "groupdq": rng.integers(0, 256, cube, dtype="u1"),
        "pixeldq": rng.integers(0, 2**32, frame, dtype="u4"),
        "rate": rng.normal(size=frame).astype("f4"),
        "rate_err": np.full(frame, np.nan, "f4"),
        "good_groups": np.zeros(frame, "u2"),
        "negative_jumps": rng.integers(0, 9, frame, dtype="u2"),
        "cds_noise": rng.normal(size=frame).astype("f4"),
        "bias_groups": rng.normal(size=(2, exposure.raw_shape[2], exposure.xsize)).astype("f4"),
    }


def bands(ysize: int) -> list[slice]:
    return [slice(start, min(start + BAND, ysize)) for start in range(0, ysize, BAND)]


def write_prepared(store: RampStore, name: str, row: dict[str, np.ndarray]) -> None:
    """Write what `prepare` writes, without a marker."""
    buffer = store.ramp_buffer(name)
    for rows in bands(row["ramp"].shape[1]):
        buffer.write(rows, row["ramp"][:, rows])
    keys = ("groupdq", "pixeldq", "rate", "rate_err", "good_groups", "negative_jumps", "cds_noise")
    store.write_maps(name, CalibratedMaps(**{key: row[key] for key in keys}))


def write_row(
    store: RampStore,
    name: str,
    row: dict[str, np.ndarray],
    *,
    fingerprint: dict[str, Any] | None = None,
) -> None:
    """Write and mark everything of one row."""
    store.write_bias_groups(name, row["bias_groups"])
    store.mark_done("bias", name, {}, fingerprint=fingerprint)
    write_prepared(store, name, row)
    store.mark_done("prepare", name, {"peak": 1.0}, fingerprint=fingerprint)


def make_store(
    url: object, exposures: list[Exposure], *, seed: int = 0, storage_options: Any = None
) -> tuple[RampStore, dict[str, dict[str, np.ndarray]]]:
    """A store with all rows done, and the rows."""
    store = RampStore.open_or_create(str(url), exposures, storage_options=storage_options)
    names = [(exposure, name) for exposure in exposures for name in exposure.row_names()]
    rows = {}
    for number, (exposure, name) in enumerate(names):
        rows[name] = make_row(exposure, seed + number)
        write_row(store, name, rows[name])
    return store, rows
