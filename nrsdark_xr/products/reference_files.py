"""Superbias, mask, dark and read noise as files that the JWST pipeline and CRDS take."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector import DQ
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.products.provenance import Provenance
from nrsdark_xr.products.streaming import assemble, complete_file

if TYPE_CHECKING:
    from stdatamodels.jwst.datamodels import ReferenceFileModel

_KNOWN_BITS = np.uint32(sum(DQ))
_CUBE_UNIT, _RATE_UNIT = "DN", "DN/s"


def write_superbias(
    path: str | os.PathLike[str],
    bias: NDArray[np.float32],
    err: NDArray[np.float32],
    dq: NDArray[np.uint32],
    *,
    provenance: Provenance,
) -> Path:
    """Write a SUPERBIAS reference file (`SuperBiasModel`).

    The file appears under its name when it is complete.

    Parameters
    ----------
    path : path
    bias, err : ndarray of float32, shape (y_raw, x)
        In DN; 3200 x 2048 for IRS2.
    dq : ndarray of uint32, shape (y_raw, x)
    provenance : Provenance

    Returns
    -------
    Path

    Raises
    ------
    NrsdarkError
        If the file cannot be written, or `dq` has a bit without a name.
    """
    from stdatamodels.jwst.datamodels import SuperBiasModel

    with SuperBiasModel(strict_validation=True) as model:
        model.data, model.err = _plain(bias), _plain(err)
        _set_dq(model, dq)
        _set_header(model, "SUPERBIAS", provenance)
        model.meta.instrument.p_grating = provenance.grating_pattern()
        model.meta.bunit_data = model.meta.bunit_err = _CUBE_UNIT
        return _save(model, Path(path))


def write_mask(
    path: str | os.PathLike[str], mask: NDArray[np.uint32], *, provenance: Provenance
) -> Path:
    """Write a MASK reference file (`MaskModel`).

    Parameters
    ----------
    path : path
    mask : ndarray of uint32, shape (y, x)
    provenance : Provenance

    Returns
    -------
    Path

    Raises
    ------
    NrsdarkError
        As `write_superbias`.
    """
    from stdatamodels.jwst.datamodels import MaskModel

    with MaskModel(strict_validation=True) as model:
        _set_dq(model, mask)
        _set_header(model, "MASK", provenance)
        return _save(model, Path(path))


def write_readnoise(
    path: str | os.PathLike[str], readnoise: NDArray[np.float32], *, provenance: Provenance
) -> Path:
    """Write a READNOISE reference file (`ReadnoiseModel`).

    Parameters
    ----------
    path : path
    readnoise : ndarray of float32, shape (y, x)
        Noise of the difference of two frames, in DN. For IRS2 too in the science frame: the steps
        of jwst that use it come after the interleaved reference samples are stripped, and do not
        strip the reference.
    provenance : Provenance

    Returns
    -------
    Path

    Raises
    ------
    NrsdarkError
        If the file cannot be written.
    """
    from stdatamodels.jwst.datamodels import ReadnoiseModel

    with ReadnoiseModel(strict_validation=True) as model:
        model.data = _plain(readnoise)
        _set_header(model, "READNOISE", provenance)
        model.meta.bunit_data = _CUBE_UNIT
        return _save(model, Path(path))


def write_refpix(
    path: str | os.PathLike[str],
    alpha: NDArray[np.complex64],
    beta: NDArray[np.complex64],
    bad_pairs: NDArray[np.void],
    *,
    provenance: Provenance,
) -> Path:
    """Write a REFPIX reference file for IRS2 (`IRS2Model`).

    Parameters
    ----------
    path : path
    alpha, beta : ndarray of complex64, shape (4, 1458176)
        Weights of the reference output and of the interleaved reference samples, by amplifier; real
        and imaginary parts take turns in the columns ALPHA_0 to BETA_3. It is by these names that
        jwst has read them since it took one for the other (jwst#3951).
    bad_pairs : structured ndarray
        From `nrsdark_xr.products.irs2_weights.bad_pair_table`.
    provenance : Provenance

    Returns
    -------
    Path

    Raises
    ------
    NrsdarkError
        If the file cannot be written.
    """
    from stdatamodels.jwst.datamodels import IRS2Model

    columns = {
        f"{name}_{amplifier}": np.ascontiguousarray(row, np.complex64).view(np.float32)
        for name, rows in {"alpha": alpha, "beta": beta}.items()
        for amplifier, row in enumerate(rows)
    }
    table = np.empty(columns["alpha_0"].size, [(name, np.float32) for name in columns])
    for name, column in columns.items():
        table[name] = column
    with IRS2Model(strict_validation=True) as model:
        model.irs2_table = table
        model.dq_table = bad_pairs.copy()  # saving turns unsigned columns into signed ones in place
        _set_header(model, "REFPIX", provenance)
        return _save(model, Path(path))


def write_dark(
    path: str | os.PathLike[str],
    dark: Any,
    err: Any,
    dq: NDArray[np.uint32],
    groupdq: Any,
    rate: NDArray[np.float32],
    rate_unc: NDArray[np.float32],
    *,
    provenance: Provenance,
) -> Path:
    """Write a DARK reference file (`DarkNirspecModel`), with the group DQ as an image GROUPDQ.

    The cubes are streamed: a Dask array is computed and written block by block.

    Parameters
    ----------
    path : path
    dark, err : numpy, Dask or DataArray of float32, shape (group, y, x)
        In DN.
    dq : ndarray of uint32, shape (y, x)
    groupdq : numpy, Dask or DataArray of uint8, shape (group, y, x)
    rate, rate_unc : ndarray of float32, shape (y, x)
        Mean dark rate and its uncertainty in DN/s: the extensions DRK and UNC.
    provenance : Provenance

    Returns
    -------
    Path

    Raises
    ------
    NrsdarkError
        As `write_superbias`, and if the shapes of the cubes differ.
    """
    path = Path(path)
    cubes = {
        name: getattr(cube, "data", cube) if hasattr(cube, "dims") else cube
        for name, cube in {"SCI": dark, "ERR": err, "GROUPDQ": groupdq}.items()
    }
    expected = (provenance.n_groups, *np.shape(dq))
    for name, cube in cubes.items():
        if cube.shape != expected:
            raise NrsdarkError(f"{name} has shape {cube.shape}, not {expected}", file=path)
    with complete_file(path) as temporary:
        skeleton = temporary.with_name("skeleton") / path.name
        skeleton.parent.mkdir()
        stand_ins = {name: np.zeros((1, 1, 1), cube.dtype) for name, cube in cubes.items()}
        with dark_model(
            stand_ins["SCI"],
            stand_ins["ERR"],
            dq,
            stand_ins["GROUPDQ"],
            rate,
            rate_unc,
            provenance=provenance,
        ) as model:
            model.save(skeleton)
        assemble(skeleton, temporary, cubes)
    return path


def dark_model(
    dark: NDArray[np.float32],
    err: NDArray[np.float32],
    dq: NDArray[np.uint32],
    groupdq: NDArray[np.uint8],
    rate: NDArray[np.float32],
    rate_unc: NDArray[np.float32],
    *,
    provenance: Provenance,
) -> ReferenceFileModel:
    """Make the `DarkNirspecModel` of arrays in memory; close it after use.

    Parameters are those of `write_dark`.
    """
    from stdatamodels.jwst.datamodels import DarkNirspecModel

    model = DarkNirspecModel(strict_validation=True)
    model.data, model.err = _plain(dark), _plain(err)
    model.dark_rate, model.dark_rate_unc = _plain(rate), _plain(rate_unc)
    _set_dq(model, dq)
    _set_header(model, "DARK", provenance)
    model.meta.instrument.p_grating = provenance.grating_pattern()
    units = {"SCI": _CUBE_UNIT, "ERR": _CUBE_UNIT, "DRK": _RATE_UNIT, "UNC": _RATE_UNIT}
    model.extra_fits = {
        name: {"header": [["BUNIT", unit, "physical units of the array values"]]}
        for name, unit in units.items()
    } | {"GROUPDQ": {"header": [], "data": np.ascontiguousarray(groupdq, np.uint8)}}
    return model


def dq_definitions() -> NDArray[Any]:
    """DQ_DEF with every bit that has a name: on saving, a bit that it lacks would be lost.

    Returns
    -------
    structured ndarray
        BIT, VALUE, NAME, DESCRIPTION.
    """
    rows = [(int(flag).bit_length() - 1, int(flag), flag.name, _DESCRIPTIONS[flag]) for flag in DQ]
    names = [("BIT", np.int32), ("VALUE", np.uint32), ("NAME", "S40"), ("DESCRIPTION", "S80")]
    return np.array(rows, names)


def _set_dq(model: ReferenceFileModel, dq: NDArray[np.uint32]) -> None:
    unknown = int(np.bitwise_or.reduce(dq, axis=None) & ~_KNOWN_BITS)
    if unknown:
        raise NrsdarkError(
            f"data quality has bits without a name ({unknown:#x})", remedy="clear them in the mask"
        )
    model.dq = np.ascontiguousarray(dq, np.uint32)
    model.dq_def = dq_definitions()


def _set_header(model: ReferenceFileModel, reftype: str, provenance: Provenance) -> None:
    fast_axis, slow_axis = provenance.scan_axes()
    meta: Mapping[str, Any] = {
        "reftype": reftype,
        "author": provenance.author,
        "description": provenance.description,
        "pedigree": provenance.pedigree_keyword(),
        "useafter": provenance.useafter_keyword(),
        "instrument.name": "NIRSPEC",
        "instrument.detector": provenance.detector,
        "exposure.type": provenance.exp_type,
        "exposure.readpatt": provenance.readpatt,
        "exposure.p_readpatt": provenance.readpatt_pattern(),
        "exposure.noutputs": provenance.n_outputs,
        "exposure.nframes": provenance.n_frames,
        "exposure.ngroups": provenance.n_groups,
        "exposure.groupgap": provenance.group_gap,
        "exposure.gain_factor": provenance.gain_factor,
        "subarray.name": provenance.subarray,
        "subarray.xstart": provenance.xstart,
        "subarray.ystart": provenance.ystart,
        "subarray.xsize": provenance.xsize,
        "subarray.ysize": provenance.ysize,
        "subarray.fastaxis": fast_axis,
        "subarray.slowaxis": slow_axis,
    }
    for key, value in meta.items():
        if reftype != "REFPIX" or not key.startswith("subarray."):  # IRS2Model has none
            model[f"meta.{key}"] = value
    for line in provenance.history():
        model.add_history_entry(line)


def _save(model: ReferenceFileModel, path: Path) -> Path:
    with complete_file(path) as temporary:
        model.save(temporary)
    return path


def _plain(values: Any) -> NDArray[np.float32]:
    """Copy: the data models refuse one array in two extensions."""
    return np.array(values, np.float32, order="C")


_DESCRIPTIONS = {
    DQ.DO_NOT_USE: "Bad pixel, do not use",
    DQ.SATURATED: "Saturated during the exposure",
    DQ.JUMP_DET: "Jump detected during the exposure",
    DQ.DROPOUT: "Data lost in transmission",
    DQ.OUTLIER: "Outlier",
    DQ.PERSISTENCE: "High persistence",
    DQ.AD_FLOOR: "Below A/D floor",
    DQ.CHARGELOSS: "Charge migration",
    DQ.NON_SCIENCE: "Not on science portion of detector",
    DQ.DEAD: "Dead pixel",
    DQ.HOT: "Hot pixel",
    DQ.WARM: "Warm pixel",
    DQ.LOW_QE: "Low quantum efficiency",
    DQ.RC: "RC pixel",
    DQ.TELEGRAPH: "Random telegraph noise",
    DQ.NONLINEAR: "Highly nonlinear",
    DQ.BAD_REF_PIXEL: "Reference pixel cannot be used",
    DQ.NO_FLAT_FIELD: "Flat field cannot be measured",
    DQ.NO_GAIN_VALUE: "Gain cannot be measured",
    DQ.NO_LIN_CORR: "Linearity correction not available",
    DQ.NO_SAT_CHECK: "Saturation check not available",
    DQ.UNRELIABLE_BIAS: "Bias variance large",
    DQ.UNRELIABLE_DARK: "Dark variance large",
    DQ.UNRELIABLE_SLOPE: "Slope variance large",
    DQ.UNRELIABLE_FLAT: "Flat variance large",
    DQ.OPEN: "Open pixel",
    DQ.ADJ_OPEN: "Adjacent to open pixel",
    DQ.FLUX_ESTIMATED: "Flux estimated due to missing data",
    DQ.MSA_FAILED_OPEN: "Sees light from a failed-open shutter",
    DQ.OTHER_BAD_PIXEL: "A catch-all flag",
    DQ.REFERENCE_PIXEL: "Reference pixel",
}
