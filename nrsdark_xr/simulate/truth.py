"""What was put into the exposures, as one Zarr store of labelled maps."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector import from_detector_frame
from nrsdark_xr.simulate.charge import seen_by_neighbours
from nrsdark_xr.simulate.configuration import Configuration
from nrsdark_xr.simulate.exposure import Hits
from nrsdark_xr.simulate.irs2 import IRS2
from nrsdark_xr.simulate.irs2_samples import interleave
from nrsdark_xr.simulate.parameters import SimulationParameters
from nrsdark_xr.simulate.pixels import Pixels
from nrsdark_xr.simulate.reference_files import corrected_pair_noise

if TYPE_CHECKING:
    import xarray as xr

_MAPS = {
    "bias": ("DN", "signal at reset"),
    "dark_rate": (
        "DN/s",
        "linear dark current at the end of the period, as seen through inter-pixel capacitance",
    ),
    "gain": ("electron/DN", "gain"),
    "hot": ("1", "hot by itself, not through its neighbours, at the end of the period"),
    "hot_date": ("d", "MJD at which the pixel turned hot, NaN if it is not hot"),
    "known_hot": ("1", "hot in the input mask"),
    "rc": ("1", "resistor-capacitor pixel"),
    "rc_amplitude": ("DN", "signal of an RC pixel after both exponentials, else 0"),
    "rc_slow_time": ("s", "time constant of the slow exponential of an RC pixel, else 0"),
    "rtn": ("1", "random telegraph noise"),
    "rtn_amplitude": ("DN", "height of the upper level of random telegraph noise, else 0"),
    "rtn_dwell_low": ("s", "mean time in the lower level of random telegraph noise, else 0"),
    "rtn_dwell_high": ("s", "mean time in the upper level of random telegraph noise, else 0"),
    "bad_reference": ("1", "bad reference pixel"),
    "bad_reference_offset": ("DN", "offset of an intermittent reference pixel, else 0"),
    "noise_factor": ("1", "white noise in terms of that of a normal pixel"),
    "dead": ("1", "collects no charge"),
}


_IRS2_MAPS = {
    "read_noise": ("DN", "noise of the difference of two frames after the best correction"),
}
_IRS2_RAW_MAPS = {
    "bias_raw": ("DN", "signal at reset of all samples"),
    "white_noise_raw": ("DN", "white noise of one frame of all samples"),
    "bad_reference_raw": ("1", "bad reference sample"),
    "known_bad_reference_raw": ("1", "bad reference sample that the REFPIX file lists"),
}


def write_maps(
    path: Path,
    pixels: Pixels,
    parameters: SimulationParameters,
    configuration: Configuration,
    irs2: IRS2 | None = None,
) -> None:
    """Start the store with the maps of the detector.

    Parameters
    ----------
    path : Path
        A new Zarr store.
    pixels : Pixels
    parameters : SimulationParameters
    configuration : Configuration
    irs2 : IRS2, optional
        Adds the maps that only IRS2 has; those of all samples have the dimension ``y_raw``, the
        raw row from 1.
    """
    import xarray as xr

    maps, meanings = _maps(pixels, configuration), {("y", "x"): _MAPS}
    axes = _detector_axes(configuration)
    if irs2 is not None:
        maps |= _irs2_maps(pixels, parameters, configuration, irs2)
        meanings |= {("y", "x"): _MAPS | _IRS2_MAPS, ("y_raw", "x"): _IRS2_RAW_MAPS}
        axes["y_raw"] = ("y_raw", np.arange(1, configuration.raw_shape[0] + 1))
    variables = {}
    for dims, named in meanings.items():
        for name, (units, meaning) in named.items():
            image = np.ascontiguousarray(from_detector_frame(maps[name], configuration.detector))
            variables[name] = (dims, image, {"units": units, "long_name": meaning})
    dataset = xr.Dataset(variables, coords=axes)
    dataset.to_zarr(path, mode="w-", zarr_format=3, consolidated=False)


def append_hits(path: Path, name: str, hits: Hits) -> None:
    """Add the particle hits of one integration along ``file``.

    Parameters
    ----------
    path : Path
        A store that `write_maps` began.
    name : str
        Value of the coordinate ``file``.
    hits : Hits
    """
    dataset = _hits(name, hits)
    if (path / "file").exists():
        dataset.to_zarr(path, append_dim="file", zarr_format=3, consolidated=False)
    else:
        dataset.to_zarr(path, mode="a", zarr_format=3, consolidated=False)


def finish(path: Path, parameters: SimulationParameters) -> None:
    """Add the parameters and make `xarray.open_zarr` open the store without more ado.

    Parameters
    ----------
    path : Path
        A store that has all hits.
    parameters : SimulationParameters
        Kept as JSON in the attribute ``parameters``.
    """
    import zarr

    zarr.open_group(path, mode="r+").attrs["parameters"] = parameters.model_dump_json()
    with warnings.catch_warnings():
        # Zarr says each time that version 3 does not standardise this; readers may ignore it.
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        zarr.consolidate_metadata(path)


def _maps(pixels: Pixels, configuration: Configuration) -> dict[str, NDArray[Any]]:
    rate = pixels.rate.copy()
    rate.flat[pixels.hot.index] = pixels.hot.rate
    hot_date = np.full(rate.shape, np.nan)
    hot_date.flat[pixels.hot.index] = pixels.hot.date
    rc, telegraph, intermittent = pixels.rc, pixels.telegraph, pixels.intermittent
    rc_amplitude = pixels.image(rc.index, rc.amplitude.sum(axis=0)) / pixels.gain
    known = np.concatenate([pixels.hot.index[pixels.hot.known], pixels.vanished_hot])
    seen = seen_by_neighbours(rate, pixels.kernel)
    seen[pixels.reference] = 0
    return {
        "bias": pixels.bias,
        "dark_rate": seen / pixels.gain,
        "gain": pixels.gain,
        "hot": pixels.mask(pixels.hot.index),
        "hot_date": hot_date,
        "known_hot": pixels.mask(known),
        "rc": pixels.mask(rc.index),
        "rc_amplitude": rc_amplitude,
        "rc_slow_time": pixels.image(rc.index, rc.time[1]),
        "rtn": pixels.mask(telegraph.index),
        "rtn_amplitude": pixels.image(telegraph.index, telegraph.amplitude / configuration.gain),
        "rtn_dwell_low": pixels.image(telegraph.index, telegraph.dwell[0]),
        "rtn_dwell_high": pixels.image(telegraph.index, telegraph.dwell[1]),
        "bad_reference": pixels.bad_reference,
        "bad_reference_offset": pixels.image(
            intermittent.index, intermittent.amplitude / configuration.gain
        ),
        "noise_factor": pixels.noise_factor,
        "dead": pixels.dead,
    }


def _irs2_maps(
    pixels: Pixels, parameters: SimulationParameters, configuration: Configuration, irs2: IRS2
) -> dict[str, NDArray[Any]]:
    samples = irs2.samples
    white = interleave(pixels.noise_factor, samples.noise_factor[samples.column], samples.column)
    good = np.zeros(pixels.bias.shape, np.bool_)
    return {
        "read_noise": corrected_pair_noise(pixels, parameters, configuration, irs2),
        "bias_raw": interleave(pixels.bias, samples.bias, samples.column),
        "white_noise_raw": np.float32(parameters.noise.white / configuration.gain) * white,
        "bad_reference_raw": interleave(good, samples.bad[samples.column], samples.column),
        "known_bad_reference_raw": interleave(good, samples.known[samples.column], samples.column),
    }


def _hits(name: str, hits: Hits) -> xr.Dataset:
    import xarray as xr

    dims = ("file", "y", "x")
    return xr.Dataset(
        {
            "cosmic_ray_group": (
                dims,
                hits.group[np.newaxis],
                {"long_name": "first group with charge of a particle, from 1; 0 for none"},
            ),
            "cosmic_ray_charge": (
                dims,
                hits.charge[np.newaxis],
                {"units": "electron", "long_name": "charge of particles in that group"},
            ),
            "snowball_core_group": (
                dims,
                hits.snowball_core[np.newaxis],
                {"long_name": "first group in the core of a snowball, from 1; 0 for none"},
            ),
        },
        coords={"file": np.array([name], dtype=object)},
    )


def _detector_axes(configuration: Configuration) -> dict[str, tuple[str, NDArray[np.int64]]]:
    area = configuration.area
    return {
        "y": ("y", np.arange(area.ystart, area.ystart + area.ysize)),
        "x": ("x", np.arange(area.xstart, area.xstart + area.xsize)),
    }
