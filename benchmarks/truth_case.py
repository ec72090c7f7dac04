"""A finished run on simulated darks, and what its flags have to do with the hits of particles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import xarray as xr
from astropy.io import fits
from astropy.time import Time
from scipy import ndimage

from nrsdark_xr import RunConfig, open_ramps
from nrsdark_xr.detector import DQ
from nrsdark_xr.products import science_pixels
from nrsdark_xr.products.flags import has_neighbour
from nrsdark_xr.simulate import SimulationParameters
from nrsdark_xr.simulate.scores import first_flagged, flagged_at

CUT = DQ.JUMP_DET | DQ.SATURATED
BAND = 128
DENSE_SIZE = 9
DENSE = 0.6
REACH = 40


@dataclass(frozen=True)
class Case:
    """One finished run on simulated darks: truth, store and products."""

    truth: xr.Dataset
    ramps: xr.Dataset
    config: RunConfig

    @classmethod
    def open(cls, directory: Path, config: RunConfig) -> Case:
        truth = xr.open_zarr(directory / "truth.zarr", chunks=None)
        return cls(truth, open_ramps(config.store, chunks=None), config)

    @cached_property
    def average(self) -> xr.Dataset:
        opened = xr.open_zarr(self.config.product("average.zarr"), consolidated=False, chunks=None)
        return opened.drop_vars(["average", "average_std", "groupdq"]).load()

    def map(self, name: str) -> np.ndarray:
        return self.truth[name].values

    def product(self, kind: str, extension: str) -> np.ndarray:
        return fits.getdata(self.config.product(f"{kind}.fits"), extension)

    def found(self, name: str) -> np.ndarray:
        return self.average[name].values

    @property
    def n_files(self) -> int:
        return self.ramps.sizes["file"]

    @cached_property
    def parameters(self) -> SimulationParameters:
        return SimulationParameters.model_validate_json(self.truth.attrs["parameters"])

    @cached_property
    def science(self) -> np.ndarray:
        return science_pixels(self.ramps).values

    @cached_property
    def pair_noise(self) -> np.ndarray:
        """Noise of the difference of two frames, DN."""
        return fits.getdata(self.config.references.readnoise)

    @cached_property
    def kinds(self) -> dict[str, np.ndarray]:
        return {
            "hot": self.map("hot"),
            "RC": self.map("rc"),
            "telegraph": self.map("rtn"),
            "dead": self.map("dead"),
            "next to RC": has_neighbour(self.map("rc")),
            "next to hot": has_neighbour(self.map("hot")),
            "warm": self.map("dark_rate") > 0.05,
        }

    @cached_property
    def quiet(self) -> np.ndarray:
        """Science pixels that are neither dead, hot, RC nor telegraph."""
        names = ("hot", "RC", "telegraph", "dead")
        return self.science & ~np.any([self.kinds[name] for name in names], axis=0)

    @cached_property
    def hot_share(self) -> np.ndarray:
        """Share of the exposures in which a pixel is hot."""
        taken = Time(self.ramps["date_obs"].values).mjd
        return np.mean([self.map("hot_date") <= date for date in taken], axis=0)


def flags_of_files(case: Case, hit_group: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First flagged group, whether the group of the hit is flagged, size of the first jump."""
    first = np.zeros(hit_group.shape, np.uint16)
    at_hit = np.zeros(hit_group.shape, bool)
    size = np.zeros(hit_group.shape, np.float32)
    for i in range(case.n_files):
        for start in range(0, hit_group.shape[1], BAND):
            rows = slice(start, start + BAND)
            band = case.ramps[["ramp", "groupdq"]].isel(file=i, y=rows).load()
            groupdq, ramp = band["groupdq"].values, band["ramp"].values
            first[i, rows] = first_flagged(groupdq, bits=CUT)
            at_hit[i, rows] = flagged_at(groupdq, hit_group[i, rows], bits=CUT)
            later = np.maximum(first[i, rows].astype(np.intp) - 1, 1)[np.newaxis]
            jump = np.take_along_axis(ramp, later, 0) - np.take_along_axis(ramp, later - 1, 0)
            size[i, rows] = jump[0] / case.pair_noise[rows]
    return first, at_hit, size


def snowball_region(group: np.ndarray) -> np.ndarray:
    """Where hits lie so close that they are a snowball, and as far as its flags may reach."""
    dense = ndimage.uniform_filter((group > 0).astype(np.float32), DENSE_SIZE) > DENSE
    if not dense.any():
        return dense
    return ndimage.distance_transform_edt(~dense) < REACH


def next_to_hit(first: np.ndarray, hit_group: np.ndarray) -> np.ndarray:
    """Whether one of the 8 neighbours was hit in the group of the first flag."""
    padded = np.pad(hit_group, ((0, 0), (1, 1), (1, 1)))
    rows, columns = first.shape[1:]
    near = np.zeros(first.shape, bool)
    for y in range(3):
        for x in range(3):
            if (y, x) != (1, 1):
                near |= padded[:, y : y + rows, x : x + columns] == first
    return near & (first > 0)
