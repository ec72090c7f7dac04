"""Reference files that go with the simulated exposures, as the JWST pipeline reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector import DQ, from_detector_frame, scan_axes
from nrsdark_xr.simulate.configuration import Configuration
from nrsdark_xr.simulate.parameters import SimulationParameters
from nrsdark_xr.simulate.pixels import ADC_MAXIMUM, Pixels

_REFERENCE_FILES = 2
"""First word of the spawn keys of what is random in the reference files."""
_USEAFTER = "2022-01-01T00:00:00"
_DATE = "2022-01-01T00:00:00.000"


@dataclass(frozen=True, slots=True, eq=False)
class _Reference:
    """Contents of one reference file."""

    reftype: str
    model: str
    description: str
    arrays: dict[str, NDArray[Any]]
    bits: tuple[DQ, ...] = ()


def write_references(
    directory: Path,
    pixels: Pixels,
    parameters: SimulationParameters,
    configuration: Configuration,
) -> dict[str, Path]:
    """Write mask, saturation, linearity, gain, readnoise and superbias, cut to the area read.

    Parameters
    ----------
    directory : Path
        Made if it is not there.
    pixels : Pixels
        The truth; the mask lacks what turned hot lately, the superbias is off by some noise.
    parameters : SimulationParameters
    configuration : Configuration

    Returns
    -------
    dict
        Path of each file by its reference type in lower case.
    """
    directory.mkdir(parents=True, exist_ok=True)
    contents = (
        _mask(pixels),
        _saturation(pixels, parameters),
        _linearity(pixels),
        _Reference("GAIN", "GainModel", "Simulated gain, electrons per DN", {"data": pixels.gain}),
        _readnoise(pixels, parameters, configuration),
        _superbias(pixels, parameters),
    )
    paths = {}
    for reference in contents:
        name = reference.reftype.lower()
        paths[name] = directory / f"{name}.fits"
        _write(paths[name], reference, configuration)
    return paths


def _mask(pixels: Pixels) -> _Reference:
    """Dead and reference pixels, and the hot ones that were known when it was made."""
    known = np.concatenate([pixels.hot.index[pixels.hot.known], pixels.vanished_hot])
    dq = np.zeros(pixels.bias.shape, np.uint32)
    dq[pixels.mask(known)] |= np.uint32(DQ.HOT | DQ.DO_NOT_USE)
    dq[pixels.dead] |= np.uint32(DQ.DEAD | DQ.DO_NOT_USE)
    dq[pixels.reference] |= np.uint32(DQ.REFERENCE_PIXEL)
    bits = (DQ.DO_NOT_USE, DQ.DEAD, DQ.HOT, DQ.REFERENCE_PIXEL)
    return _Reference("MASK", "MaskModel", "Simulated bad pixels", {"dq": dq}, bits)


def _saturation(pixels: Pixels, parameters: SimulationParameters) -> _Reference:
    # What a lone full pixel shows: part of its charge is seen by the neighbours instead.
    linear = pixels.kernel[1, 1] * pixels.full_well / pixels.gain
    measured = 2 * linear / (1 + np.sqrt(1 + 4 * pixels.curvature * linear))
    margin = np.float32(parameters.response.saturation_margin)
    threshold = margin * np.minimum(pixels.bias + measured, np.float32(ADC_MAXIMUM))
    unchecked = pixels.reference | pixels.dead
    threshold[unchecked] = ADC_MAXIMUM
    dq = np.where(unchecked, np.uint32(DQ.NO_SAT_CHECK), np.uint32(0))
    return _Reference(
        "SATURATION",
        "SaturationModel",
        "Simulated saturation, DN without bias subtraction",
        {"data": threshold, "dq": dq},
        (DQ.NO_SAT_CHECK,),
    )


def _linearity(pixels: Pixels) -> _Reference:
    """Give the polynomial in the measured signal that the simulated one is the inverse of."""
    zero, one = np.zeros_like(pixels.curvature), np.ones_like(pixels.curvature)
    dq = np.where(pixels.reference, np.uint32(DQ.NO_LIN_CORR), np.uint32(0))
    return _Reference(
        "LINEARITY",
        "LinearityModel",
        "Simulated linearity correction",
        {"coeffs": np.stack([zero, one, pixels.curvature]), "dq": dq},
        (DQ.NO_LIN_CORR,),
    )


def _readnoise(
    pixels: Pixels, parameters: SimulationParameters, configuration: Configuration
) -> _Reference:
    """Noise of the difference of two frames, DN."""
    p = parameters.noise
    pink = np.sqrt(p.correlated_pink**2 + p.uncorrelated_pink**2 + p.alternating_column**2)
    frame = np.hypot(np.float32(p.white) * pixels.noise_factor, np.float32(pink))
    pair = frame * np.float32(np.sqrt(2) / configuration.gain)
    return _Reference(
        "READNOISE",
        "ReadnoiseModel",
        "Simulated noise of correlated double samples",
        {"data": pair},
    )


def _superbias(pixels: Pixels, parameters: SimulationParameters) -> _Reference:
    error = np.float32(parameters.reference_files.superbias_error)
    sequence = np.random.SeedSequence(parameters.seed, spawn_key=(_REFERENCE_FILES,))
    rng = np.random.Generator(np.random.SFC64(sequence))
    noise = error * rng.standard_normal(pixels.bias.shape, dtype=np.float32)
    return _Reference(
        "SUPERBIAS",
        "SuperBiasModel",
        "Simulated superbias of an earlier period",
        {
            "data": pixels.bias + noise,
            "err": np.full_like(pixels.bias, error),
            "dq": np.zeros(pixels.bias.shape, np.uint32),
        },
        (DQ.UNRELIABLE_BIAS,),
    )


def _write(path: Path, reference: _Reference, configuration: Configuration) -> None:
    from astropy.io import fits
    from stdatamodels.jwst import datamodels

    area = configuration.area
    fast, slow = scan_axes(configuration.detector)
    meta = {
        "reftype": reference.reftype,
        "description": reference.description,
        "author": "nrsdark_xr simulator",
        "pedigree": "SIMULATION",
        "useafter": _USEAFTER,
        "instrument.name": "NIRSPEC",
        "instrument.detector": configuration.detector,
        "exposure.type": "NRS_DARK",
        "subarray.name": area.name,
        "subarray.xstart": area.xstart,
        "subarray.ystart": area.ystart,
        "subarray.xsize": area.xsize,
        "subarray.ysize": area.ysize,
        "subarray.fastaxis": fast,
        "subarray.slowaxis": slow,
    }
    if reference.reftype in {"MASK", "READNOISE", "SUPERBIAS"}:
        meta["exposure.readpatt"] = configuration.readout.name
    if reference.reftype in {"READNOISE", "SUPERBIAS", "GAIN", "SATURATION", "LINEARITY"}:
        meta["exposure.gain_factor"] = configuration.gain_factor
    if reference.reftype in {"READNOISE", "SUPERBIAS"}:
        meta["bunit_data"] = "DN"
    arrays = {
        name: np.ascontiguousarray(from_detector_frame(array, configuration.detector))
        for name, array in reference.arrays.items()
    }
    with getattr(datamodels, reference.model)(strict_validation=True) as model:
        for key, value in meta.items():
            model[f"meta.{key}"] = value
        for name, array in arrays.items():
            setattr(model, name, array)
        if reference.bits:
            model.dq_def = _dq_definitions(reference.bits)
        model.save(str(path))
    # The data models stamp the time of writing; the same simulation shall give the same bytes.
    fits.setval(path, "DATE", value=_DATE)


def _dq_definitions(bits: tuple[DQ, ...]) -> NDArray[Any]:
    dtype = [("BIT", "i4"), ("VALUE", "u4"), ("NAME", "S40"), ("DESCRIPTION", "S80")]
    rows = [(bit.bit_length() - 1, int(bit), bit.name or "", "") for bit in bits]
    return np.array(rows, dtype)
