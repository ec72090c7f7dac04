"""Small exposures and reference files full of awkward pixels, in memory and as files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nrsdark_xr.detector import DETECTOR_SIZE, DQ, reference_pixels, scan_axes
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.references import References

SUBARRAYS = {
    # name: (xstart, ystart on NRS1, ystart on NRS2, xsize, ysize)
    "FULL": (1, 1, 1, 2048, 2048),
    "ALLSLITS": (1, 897, 895, 2048, 256),
    "SUBS200A1": (1, 1054, 930, 2048, 64),
    "SUB1024B": (1025, 963, 1055, 1024, 32),
    "SUB512": (1025, 963, 1055, 512, 32),
    "SUB512S": (1025, 971, 1063, 512, 16),
    "SUB32": (1399, 975, 975, 32, 32),
}
MANY_PIXELS = 64 * 2048
"""Larger frames get no more events than this many pixels: jwst takes long over each of them."""


class ArrayReader:
    """Serves raw samples from memory as `RawReader` serves them from a file."""

    def __init__(self, raw: np.ndarray) -> None:
        self.raw = raw

    def read(
        self, integration: int, groups: slice, rows: slice, out: np.ndarray | None = None
    ) -> np.ndarray:
        samples = self.raw[integration, groups, rows]
        if out is None:
            return samples.copy()
        out[...] = samples
        return out


class ArrayBuffer:
    """Keeps a ramp in memory as the store keeps it on disk."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.ramp = np.full(shape, np.nan, dtype=np.float32)
        self.chunk_columns = 256

    def write(self, rows: slice, ramp: np.ndarray) -> None:
        self.ramp[:, rows] = ramp

    def read(self, rows: slice, columns: slice, out: np.ndarray) -> np.ndarray:
        out[...] = self.ramp[:, rows, columns]
        return out


@dataclass(frozen=True)
class Case:
    """One exposure with its references."""

    exposure: Exposure
    raw: np.ndarray
    references: References


def make_case(
    detector: str,
    subarray: str,
    *,
    n_groups: int = 6,
    n_integrations: int = 1,
    n_frames: int = 1,
    seed: int = 0,
    shape: tuple[int, int] | None = None,
) -> Case:
    """Make an exposure; `shape` (y, x) cuts a smaller subarray than the real one."""
    rng = np.random.default_rng(seed)
    xstart, nrs1, nrs2, xsize, ysize = SUBARRAYS[subarray]
    ystart = nrs1 if detector == "NRS1" else nrs2
    if shape is not None:
        ysize, xsize = shape
    full = (ysize, xsize) == (DETECTOR_SIZE, DETECTOR_SIZE)
    references = _references(
        rng, reference_pixels(xstart=xstart, ystart=ystart, xsize=xsize, ysize=ysize)
    )
    raw = _raw(rng, references, n_integrations, n_groups, n_frames)
    frame_time = 10.73677 if full else 1.558
    exposure = Exposure(
        url="memory", name="synthetic", detector=detector,
        readpatt="NRS" if n_frames == 4 else "NRSRAPID", subarray=subarray,
        exp_type="NRS_DARK", grating="G395H", filter="OPAQUE", program="06633", observation="001",
        date_obs="2025-01-01T00:00:00.000",
        n_integrations=n_integrations, n_groups=n_groups, n_frames=n_frames, group_gap=0,
        frame_divisor=n_frames, n_outputs=4 if full else 1,
        frame_time=frame_time, group_time=frame_time * n_frames,
        xstart=xstart, ystart=ystart, xsize=xsize, ysize=ysize,
        gain_factor=1.0, asic_t_min=np.nan, asic_t_max=np.nan, data_offset=0, raw_shape=raw.shape,
    )  # fmt: skip
    return Case(exposure, raw, references)


def _some(rng: np.random.Generator, shape: tuple[int, ...], fraction: float) -> np.ndarray:
    return rng.random(shape, dtype=np.float32) < fraction


def _references(rng: np.random.Generator, border: np.ndarray) -> References:
    shape = border.shape

    def normal(mean: float, spread: float) -> np.ndarray:
        return (mean + spread * rng.standard_normal(shape)).astype(np.float32)

    def flags(fraction: float, *choices: DQ) -> np.ndarray:
        dq = np.zeros(shape, dtype=np.uint32)
        for choice in choices:
            dq[_some(rng, shape, fraction)] |= np.uint32(choice)
        return dq

    mask = flags(0.01, DQ.DO_NOT_USE, DQ.DEAD | DQ.DO_NOT_USE, DQ.TELEGRAPH)
    mask[border] |= np.uint32(DQ.REFERENCE_PIXEL)
    if shape == (DETECTOR_SIZE, DETECTOR_SIZE):
        # unusable: side pixels over more than the smoothing, one edge of an amplifier's parity
        mask[:4, 300:330] |= np.uint32(DQ.DO_NOT_USE)
        mask[-4:, 310:318] |= np.uint32(DQ.DO_NOT_USE)
        mask[512:1024:2, -4:] |= np.uint32(DQ.DO_NOT_USE)
    saturation = normal(45000.0, 2000.0)
    saturation[_some(rng, shape, 0.002)] = np.nan
    linearity = np.stack(
        [normal(0.0, 0.1), normal(1.0, 0.01), normal(1e-6, 1e-7), normal(1e-12, 1e-13)]
    )
    linearity[1, _some(rng, shape, 0.002)] = 0.0
    linearity[2, _some(rng, shape, 0.002)] = np.nan
    gain = normal(1.0, 0.02)
    gain[_some(rng, shape, 0.001)] = np.nan
    gain[_some(rng, shape, 0.001)] = -1.0
    superbias = normal(12000.0, 300.0)
    superbias[_some(rng, shape, 0.001)] = np.nan
    return References(
        mask=mask,
        saturation=saturation,
        saturation_dq=flags(0.003, DQ.NO_SAT_CHECK, DQ.DO_NOT_USE),
        linearity=linearity,
        linearity_dq=flags(0.003, DQ.NO_LIN_CORR, DQ.NONLINEAR),
        gain=gain,
        readnoise=np.abs(normal(12.0, 1.0)),
        superbias=superbias,
        superbias_dq=flags(0.003, DQ.UNRELIABLE_BIAS, DQ.DO_NOT_USE),
    )


def _raw(
    rng: np.random.Generator,
    references: References,
    n_integrations: int,
    n_groups: int,
    n_frames: int,
) -> np.ndarray:
    """Bias, dark, noise, drifts of levels and rows; jumps, a snowball, saturation and zeros."""
    shape = references.mask.shape
    bias = np.nan_to_num(references.superbias, nan=11000.0)
    science = (references.mask & np.uint32(DQ.REFERENCE_PIXEL)) == 0
    rare = min(1.0, MANY_PIXELS / science.size)
    rate = np.where(science, rng.exponential(2.0, shape), 0.0).astype(np.float32)
    rate[science & _some(rng, shape, 0.001 * rare)] = 15000.0  # saturates within a few groups
    raw = np.empty((n_integrations, n_groups, *shape), dtype=np.uint16)
    for integration in range(n_integrations):
        signal = bias.copy()
        for group in range(n_groups):
            signal += rate
            jumps = science & _some(rng, shape, 0.001 * rare)
            signal[jumps] += rng.exponential(2000.0, int(jumps.sum())).astype(np.float32)
            if group == n_groups // 2:
                signal += _snowball(shape)
            parity_drift = rng.normal(0, 20, (2, 1)).astype(np.float32)
            samples = signal + rng.normal(0, 6, shape).astype(np.float32) / np.sqrt(n_frames)
            samples += np.resize(parity_drift, (shape[0], 1))
            samples += 0.3 * np.cumsum(rng.normal(0, 1, shape[1])).astype(np.float32)
            samples[~science & _some(rng, shape, 0.01)] += 500.0  # bad reference samples
            samples[_some(rng, shape, 0.0003)] = 0.0  # A/D floor
            raw[integration, group] = np.clip(np.rint(samples), 0, 65535)
            if n_groups > 2 and group == 1:  # a step in the second group, saturated in the third
                late = science & _some(rng, shape, 0.0005 * rare)
                signal[late] += 40000.0
                raw[integration, group, late] += 9000
    return raw


def _snowball(shape: tuple[int, int]) -> np.ndarray:
    """Charge of one snowball: a core that saturates within a halo."""
    y, x = np.indices(shape, sparse=True)
    distance = np.hypot(y - 0.55 * shape[0], x - 0.4 * shape[1])
    return np.where(distance < 5, 50000, np.where(distance < 9, 3000, 0)).astype(np.float32)


def write_case(case: Case, directory: Path) -> dict[str, Path]:
    """Write the exposure (`uncal`) and its references as the JWST data models do."""
    from stdatamodels.jwst import datamodels

    exposure, references = case.exposure, case.references
    models = {
        "mask": datamodels.MaskModel(dq=references.mask),
        "saturation": datamodels.SaturationModel(
            data=references.saturation, dq=references.saturation_dq
        ),
        "linearity": datamodels.LinearityModel(
            coeffs=references.linearity,
            dq=references.linearity_dq,
            inv_coeffs=references.inverse_linearity,
        ),
        "gain": datamodels.GainModel(data=references.gain),
        "readnoise": datamodels.ReadnoiseModel(data=references.readnoise),
        "uncal": datamodels.Level1bModel(data=case.raw),
    }
    if references.superbias is not None:
        models["superbias"] = datamodels.SuperBiasModel(
            data=references.superbias, dq=references.superbias_dq
        )
    paths = {}
    for name, model in models.items():
        label(model, exposure)
        paths[name] = directory / f"{exposure.name}_{name}.fits"
        model.save(paths[name])
        model.close()
    if references.sirskernel is not None:
        paths["sirskernel"] = directory / f"{exposure.name}_sirskernel.asdf"
        sirskernel_model(exposure.detector, references.sirskernel).save(paths["sirskernel"])
    return paths


def make_sirskernel(seed: int = 0, *, n_frequencies: int = 1025) -> np.ndarray:
    """Kernels that pass low frequencies, and something different in each amplifier."""
    rng = np.random.default_rng(seed)
    low_pass = 0.5 / (1 + (np.arange(n_frequencies) / 40) ** 2)
    rough = rng.normal(0, 0.05, (2, 4, n_frequencies, 2)) @ [1, 1j]
    return rng.uniform(0.7, 1.3, (2, 4, 1)) * low_pass + rough


def sirskernel_model(detector: str, coefficients: np.ndarray) -> object:
    """Fourier coefficients (side, amplifier, frequency) as jwst reads them."""
    from stdatamodels.jwst import datamodels

    model = datamodels.SIRSKernelModel()
    model.meta.instrument.name = "NIRSPEC"
    left, right = coefficients
    setattr(model, detector.lower(), {"gamma": left, "zeta": right})
    return model


def label(model: object, exposure: Exposure) -> None:
    meta = model.meta
    meta.telescope = "JWST"
    meta.instrument.name = "NIRSPEC"
    meta.instrument.detector = exposure.detector
    meta.subarray.name = exposure.subarray
    meta.subarray.xstart, meta.subarray.ystart = exposure.xstart, exposure.ystart
    meta.subarray.xsize, meta.subarray.ysize = exposure.xsize, exposure.ysize
    meta.subarray.fastaxis, meta.subarray.slowaxis = scan_axes(exposure.detector)
    if not hasattr(meta, "reftype") or type(model).__name__ == "Level1bModel":
        meta.instrument.grating, meta.instrument.filter = exposure.grating, exposure.filter
        meta.observation.date, meta.observation.time = exposure.date_obs.split("T")
        meta.exposure.type = exposure.exp_type
        meta.exposure.readpatt = exposure.readpatt
        meta.exposure.nints, meta.exposure.ngroups = exposure.n_integrations, exposure.n_groups
        meta.exposure.nframes, meta.exposure.groupgap = exposure.n_frames, exposure.group_gap
        meta.exposure.frame_divisor = exposure.frame_divisor
        meta.exposure.noutputs = exposure.n_outputs
        meta.exposure.frame_time, meta.exposure.group_time = (
            exposure.frame_time,
            exposure.group_time,
        )
