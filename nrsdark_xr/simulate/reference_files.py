"""Reference files that go with the simulated exposures, as the JWST pipeline reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector import AMPLIFIER_WIDTH, DQ, from_detector_frame, scan_axes
from nrsdark_xr.simulate.configuration import Configuration
from nrsdark_xr.simulate.irs2 import IRS2
from nrsdark_xr.simulate.irs2_samples import interleave, known_bad_table
from nrsdark_xr.simulate.parameters import SimulationParameters
from nrsdark_xr.simulate.pixels import ADC_MAXIMUM, Pixels

_REFERENCE_FILES = 2
"""First word of the spawn keys of what is random in the reference files."""
_USEAFTER = "2022-01-01T00:00:00"
_DATE = "2022-01-01T00:00:00.000"


@dataclass(frozen=True, slots=True, eq=False)
class _Reference:
    """Contents of one reference file; arrays in the detector frame."""

    reftype: str
    model: str
    description: str
    arrays: dict[str, NDArray[Any]]
    bits: tuple[DQ, ...] = ()
    tables: dict[str, NDArray[Any]] = field(default_factory=dict)


def write_references(
    directory: Path,
    pixels: Pixels,
    parameters: SimulationParameters,
    configuration: Configuration,
    irs2: IRS2 | None = None,
) -> dict[str, Path]:
    """Write mask, saturation, linearity, gain, readnoise and superbias, cut to the area read.

    For IRS2 also refpix, if asked for; mask and superbias then have the raw rows, all others those
    of pixels.

    Parameters
    ----------
    directory : Path
        Made if it is not there.
    pixels : Pixels
        The truth; the mask lacks what turned hot lately, the superbias is off by some noise.
    parameters : SimulationParameters
    configuration : Configuration
    irs2 : IRS2, optional
        The reference samples, and the weights that go into the refpix file.

    Returns
    -------
    dict
        Path of each file by its reference type in lower case.
    """
    directory.mkdir(parents=True, exist_ok=True)
    contents = [
        _mask(pixels, irs2),
        _saturation(pixels, parameters),
        _linearity(pixels),
        _Reference("GAIN", "GainModel", "Simulated gain, electrons per DN", {"data": pixels.gain}),
        _readnoise(pixels, parameters, configuration, irs2),
        _superbias(pixels, parameters, irs2),
    ]
    if irs2 is not None and parameters.reference_files.refpix:
        contents.append(_refpix(irs2))
    paths = {}
    for reference in contents:
        name = reference.reftype.lower()
        paths[name] = directory / f"{name}.fits"
        _write(paths[name], reference, configuration)
    return paths


def _mask(pixels: Pixels, irs2: IRS2 | None) -> _Reference:
    """Dead and reference pixels, and the hot ones that were known when it was made."""
    known = np.concatenate([pixels.hot.index[pixels.hot.known], pixels.vanished_hot])
    dq = np.zeros(pixels.bias.shape, np.uint32)
    dq[pixels.mask(known)] |= np.uint32(DQ.HOT | DQ.DO_NOT_USE)
    dq[pixels.dead] |= np.uint32(DQ.DEAD | DQ.DO_NOT_USE)
    dq[pixels.reference] |= np.uint32(DQ.REFERENCE_PIXEL)
    if irs2 is not None:
        dq = interleave(dq, int(DQ.REFERENCE_PIXEL), irs2.samples.column)
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
    pixels: Pixels,
    parameters: SimulationParameters,
    configuration: Configuration,
    irs2: IRS2 | None,
) -> _Reference:
    """Noise of the difference of two frames, DN."""
    if irs2 is None:
        p = parameters.noise
        pink = np.sqrt(p.correlated_pink**2 + p.uncorrelated_pink**2 + p.alternating_column**2)
        pair = pair_noise(pixels, parameters, configuration, np.float32(pink))
    else:
        pair = corrected_pair_noise(pixels, parameters, configuration, irs2)
    return _Reference(
        "READNOISE",
        "ReadnoiseModel",
        "Simulated noise of correlated double samples",
        {"data": pair},
    )


def corrected_pair_noise(
    pixels: Pixels, parameters: SimulationParameters, configuration: Configuration, irs2: IRS2
) -> NDArray[np.float32]:
    """Noise of the difference of two IRS2 frames corrected as well as can be.

    Returns
    -------
    ndarray of float32, shape (2048, 2048)
        In the detector frame, DN.
    """
    rest = np.repeat(irs2.weights.rest, AMPLIFIER_WIDTH).astype(np.float32)
    return pair_noise(pixels, parameters, configuration, rest)


def pair_noise(
    pixels: Pixels,
    parameters: SimulationParameters,
    configuration: Configuration,
    correlated: NDArray[np.float32] | np.float32,
) -> NDArray[np.float32]:
    """Noise of the difference of two frames, given its correlated part per frame in electrons.

    Returns
    -------
    ndarray of float32, shape (rows, columns)
        In the detector frame, DN.
    """
    frame = np.hypot(np.float32(parameters.noise.white) * pixels.noise_factor, correlated)
    return frame * np.float32(np.sqrt(2) / configuration.gain)


def _superbias(pixels: Pixels, parameters: SimulationParameters, irs2: IRS2 | None) -> _Reference:
    bias = pixels.bias
    if irs2 is not None:
        bias = interleave(bias, irs2.samples.bias, irs2.samples.column)
    error = np.float32(parameters.reference_files.superbias_error)
    sequence = np.random.SeedSequence(parameters.seed, spawn_key=(_REFERENCE_FILES,))
    rng = np.random.Generator(np.random.SFC64(sequence))
    noise = error * rng.standard_normal(bias.shape, dtype=np.float32)
    return _Reference(
        "SUPERBIAS",
        "SuperBiasModel",
        "Simulated superbias of an earlier period",
        {
            "data": bias + noise,
            "err": np.full_like(bias, error),
            "dq": np.zeros(bias.shape, np.uint32),
        },
        (DQ.UNRELIABLE_BIAS,),
    )


def _refpix(irs2: IRS2) -> _Reference:
    """Real and imaginary parts of the weights in turn, and the known bad reference samples."""
    columns = {}
    for name, weights in (("alpha", irs2.weights.alpha), ("beta", irs2.weights.beta)):
        for amplifier, values in enumerate(weights):
            columns[f"{name}_{amplifier}"] = values.view(np.float32)
    table = np.empty(columns["alpha_0"].size, [(name, np.float32) for name in columns])
    for name, values in columns.items():
        table[name] = values
    dtype = [("OUTPUT", np.uint16), ("ODD_EVEN", np.uint16), ("MASK", np.uint32)]
    known = np.array(known_bad_table(irs2.samples.known), dtype)
    return _Reference(
        "REFPIX",
        "IRS2Model",
        "Weights that correct the simulated noise best",
        arrays={},
        tables={"irs2_table": table, "dq_table": known},
    )


def _write(path: Path, reference: _Reference, configuration: Configuration) -> None:
    from astropy.io import fits
    from stdatamodels.jwst import datamodels

    meta: dict[str, Any] = {
        "reftype": reference.reftype,
        "description": reference.description,
        "author": "nrsdark_xr simulator",
        "pedigree": "SIMULATION",
        "useafter": _USEAFTER,
        "instrument.name": "NIRSPEC",
        "instrument.detector": configuration.detector,
        "exposure.type": "NRS_DARK",
    }
    if reference.arrays:
        meta |= _area(configuration)
    if reference.reftype in {"MASK", "READNOISE", "SUPERBIAS", "REFPIX"}:
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
        for name, array in (arrays | reference.tables).items():
            setattr(model, name, array)
        if reference.bits:
            model.dq_def = _dq_definitions(reference.bits)
        model.save(str(path))
    # The data models stamp the time of writing; the same simulation shall give the same bytes.
    fits.setval(path, "DATE", value=_DATE)


def _area(configuration: Configuration) -> dict[str, Any]:
    area = configuration.area
    fast, slow = scan_axes(configuration.detector)
    return {
        "subarray.name": area.name,
        "subarray.xstart": area.xstart,
        "subarray.ystart": area.ystart,
        "subarray.xsize": area.xsize,
        "subarray.ysize": area.ysize,
        "subarray.fastaxis": fast,
        "subarray.slowaxis": slow,
    }


def _dq_definitions(bits: tuple[DQ, ...]) -> NDArray[Any]:
    dtype = [("BIT", "i4"), ("VALUE", "u4"), ("NAME", "S40"), ("DESCRIPTION", "S80")]
    rows = [(bit.bit_length() - 1, int(bit), bit.name or "", "") for bit in bits]
    return np.array(rows, dtype)
