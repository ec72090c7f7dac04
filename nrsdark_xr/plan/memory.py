"""How much memory the processes of a run take at most, step by step.

The terms are the arrays that the code holds at once; the constants below, and only these, are
measured: on CPython 3.11 with the versions in ``constraints.txt``, by ``benchmarks/memory.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nrsdark_xr.calibration.irs2_look import STRIP_ROWS
from nrsdark_xr.detector import AMPLIFIER_WIDTH, irs2, is_irs2
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.exposures.fetch import FETCH_BYTES, FETCHES_AT_ONCE
from nrsdark_xr.store.layout import BAND_ROWS, n_chunks, reduction_chunks
from nrsdark_xr.store.schema import N_BIAS_GROUPS, N_CROSS_SPECTRA, Configuration

MB = 1_000_000

CLIENT_LIBRARIES = 365 * MB
"""Resident bytes of the process that drives a run, scheduler included, before the first product."""
WORKER_LIBRARIES = 400 * MB
"""Resident bytes of a worker once its kernels are loaded."""
DATA_MODELS = 75 * MB
"""What the data models of jwst take, in the client, which writes reference files."""
FIGURES = 85 * MB
"""What matplotlib and the pages of the report take, in the client."""
HELPER = 15 * MB
"""Python's own helper beside processes that start others (``resource_tracker``)."""

FETCHED = FETCHES_AT_ONCE * FETCH_BYTES * 3 // 2
"""Bytes of a worker that fetches remote exposures: as they arrive, and half of them put together
at the same moment."""

REFERENCE_PIXEL = 32
"""Bytes per pixel of the references of a run, besides the coefficients of linearity."""
LINEARITY_COEFFICIENTS = 5
"""Planes of the linearity reference: four is what NIRSpec has had, one more is allowed for."""
KEPT_SAMPLE = 1
"""Bytes per sample of an exposure that is being calibrated: its flags."""
BAND_SAMPLE = 8
"""Bytes per sample of the band that a thread is calibrating: ramp and flags, five; the rest is what
jumps, fits and the encoding of chunks take beside them (measured with 1, 2 and 4 threads)."""
BIAS_SAMPLE, IRS2_BIAS_SAMPLE = 12, 16
"""Bytes per sample of groups 1 and 2; those of IRS2 have what the look at all groups keeps."""
RAW_SAMPLE = 2
"""Bytes per raw sample of such a band, in traditional readout."""
CALIBRATED_PIXEL = 36
"""Bytes per pixel of the maps that calibration fills, and of its scratch for snowballs."""
FILLED_PIXEL = 16
"""Bytes per pixel of these maps before snowballs are looked for."""
IRS2_CORRECTED_SAMPLE = 4.125
"""Bytes per sample of an amplifier that is corrected: float32, and a bit for the A/D floor."""
IRS2_SPECTRUM = 712 * 1025 * 8
"""Bytes of the spectrum of the reference output of one group, in complex64."""
IRS2_LOOK_PIXEL = 40
"""Bytes per raw pixel of what a first look at an IRS2 exposure keeps (23: bias, mean, saturation),
and of its references, which have more rows than others, and weights."""
IRS2_THREAD = 40 * MB
"""Bytes per thread for the Fourier transforms of one group of one amplifier."""
IRS2_MARGIN = 1.07
"""By which more is predicted for the calibration of IRS2 than its arrays take."""
IRS2_SPECTRA = (irs2.OUTPUTS - 1) * N_CROSS_SPECTRA * irs2.FRAME_FREQUENCIES * 4
"""Bytes of the spectra of one exposure, of which the weights are made."""
IRS2_SPECTRA_SUMMED = 6
"""Times the spectra of one exposure that a worker holds while it hands over their sum over
exposures, and the client while it makes weights of it."""
STOCK_SAMPLE = 27
"""Bytes per sample of an exposure that the stock steps of jwst take (`engine: jwst`): they hold it
whole (9.9 GB measured for 88 groups of a full frame, jwst 3.0.0)."""
AVERAGED_SAMPLE = 7
"""Bytes per sample of a block over all files: ramp and flags, five, and what the kernel takes
beside them (measured with 5 to 40 files)."""
AVERAGED_OUTPUT = 24
"""Bytes per sample of a block's outputs, and of these encoded."""
FRAME_PIXEL, FLAGGED_PIXEL = 32, 18
"""Bytes per pixel of each frame judged in a worker (RC: samples, flags, and what is sorted of them;
27 held at once), and of all that is found."""
SUPERBIAS_PIXEL = 32
"""Bytes per raw pixel from which the client writes the superbias."""
GATHERED_PIXEL = 16
"""Bytes per pixel of what the client gathers of flags, or has left of the superbias."""
JUDGED_PIXEL = 140
"""Bytes per pixel of the frames from which the client judges the dark and writes the mask."""
SYNTHESIZED_SAMPLE = 40
"""Bytes per sample of a block of the dark, for each thread of the client."""
REPORT_PIXEL = 132
"""Bytes per pixel of the maps in the report, and of what is sorted or drawn of them at once."""
KEPT_PIXEL = 40
"""Bytes per pixel that the allocator of a worker keeps once it has calibrated an exposure."""


@dataclass(frozen=True, slots=True)
class StepMemory:
    """Most bytes that the processes of one step hold.

    Attributes
    ----------
    worker : int
        One worker process.
    task : int
        Of these, what its tasks take in addition to libraries.
    client : int
        The process that drives the run.
    """

    worker: int
    task: int
    client: int

    def tree(self, workers: int, *, processes: bool) -> int:
        """Give the bytes of all processes of this machine.

        Parameters
        ----------
        workers : int
        processes : bool
            Whether workers are processes, or the client works itself.
        """
        if not processes:
            return self.client + self.task + WORKER_LIBRARIES - CLIENT_LIBRARIES
        return self.client + workers * self.worker + HELPER


def step_memory(
    exposure: Exposure,
    *,
    n_files: int,
    threads: int,
    client_threads: int,
    engine: Literal["nrsdark", "jwst"] = "nrsdark",
    makes_weights: bool = False,
    fetches: bool = False,
) -> dict[str, StepMemory]:
    """Predict the memory of each step.

    Parameters
    ----------
    exposure : Exposure
        One of the inputs; all have its configuration.
    n_files : int
        Rows of the store that are averaged.
    threads : int
        Threads of a worker: kernels of one exposure use them, and so many blocks are worked on.
    client_threads : int
        Threads of the client, which makes the dark.
    engine : {"nrsdark", "jwst"}
        Who calibrates.
    makes_weights : bool
        Whether step `bias` makes the weights of IRS2 first.
    fetches : bool
        Whether exposures are remote.

    Returns
    -------
    dict of str to StepMemory
        By step.
    """
    pixels = exposure.ysize * exposure.xsize
    references = pixels * (REFERENCE_PIXEL + 4 * LINEARITY_COEFFICIENTS)
    chunks = reduction_chunks(Configuration.of(exposure))
    block = chunks["group"] * chunks["y"] * chunks["x"]
    blocks = n_chunks(
        (exposure.n_groups, exposure.ysize, exposure.xsize),
        (chunks["group"], chunks["y"], chunks["x"]),
    )

    bias_block = N_BIAS_GROUPS * chunks["y_raw"] * chunks["x"] * n_files * 8
    raw_pixels = exposure.raw_shape[2] * exposure.xsize
    bias_groups = references + _bias_groups(exposure, threads=threads)
    weights = IRS2_SPECTRA_SUMMED * IRS2_SPECTRA if makes_weights else 0
    averaged = block * (n_files * AVERAGED_SAMPLE + AVERAGED_OUTPUT)
    frames = pixels * (min(threads, n_files) * FRAME_PIXEL + FLAGGED_PIXEL)
    rates = n_files * chunks["y"] * chunks["x"] * 8
    samples = exposure.n_integrations * exposure.n_groups * pixels
    stock = engine == "jwst"
    calibration = samples * STOCK_SAMPLE if stock else _calibration(exposure, threads=threads)
    tasks = {
        "bias": max(bias_groups + threads * bias_block, weights),
        "prepare": references + calibration,
        "average": max(min(threads, blocks) * averaged, frames),
        "synthesize": min(threads, blocks) * rates,
        "analyze": 0,
    }
    if fetches:
        tasks |= {step: tasks[step] + FETCHED for step in ("bias", "prepare")}
    kept = pixels * KEPT_PIXEL
    tasks = {step: max(task, kept) for step, task in tasks.items()}
    judged = pixels * JUDGED_PIXEL + client_threads * block * SYNTHESIZED_SAMPLE
    client = {
        "bias": DATA_MODELS + max(raw_pixels * SUPERBIAS_PIXEL, weights),
        "prepare": DATA_MODELS + pixels * GATHERED_PIXEL,
        "average": DATA_MODELS + pixels * GATHERED_PIXEL,
        "synthesize": DATA_MODELS + judged,
        "analyze": DATA_MODELS + FIGURES + pixels * REPORT_PIXEL,
    }
    return {
        step: StepMemory(
            worker=WORKER_LIBRARIES + task,
            task=task,
            client=CLIENT_LIBRARIES + client[step],
        )
        for step, task in tasks.items()
    }


def _bias_groups(exposure: Exposure, *, threads: int) -> int:
    """Bytes of `nrsdark_xr.calibration.bias.bias_groups`, references apart."""
    samples = N_BIAS_GROUPS * exposure.raw_shape[2] * exposure.xsize
    if not is_irs2(exposure.readpatt):
        return samples * BIAS_SAMPLE
    return samples * IRS2_BIAS_SAMPLE + threads * _strip(exposure)


def _strip(exposure: Exposure) -> int:
    """Bytes of the raw rows that a thread looks at."""
    return 2 * exposure.n_groups * STRIP_ROWS * exposure.xsize


def _calibration(exposure: Exposure, *, threads: int) -> int:
    """Bytes of `nrsdark_xr.calibration.calibrate_exposure`, references apart."""
    n_integrations = exposure.n_integrations
    pixels = n_integrations * exposure.ysize * exposure.xsize
    row = exposure.n_groups * exposure.xsize
    band = row * min(BAND_ROWS + 2, exposure.ysize)
    bands_at_once = min(threads, -(-exposure.ysize // BAND_ROWS))
    kept = exposure.n_groups * pixels * KEPT_SAMPLE
    bands = bands_at_once * band * n_integrations * BAND_SAMPLE
    if not is_irs2(exposure.readpatt):
        return kept + bands + bands_at_once * band * RAW_SAMPLE + pixels * CALIBRATED_PIXEL
    look = n_integrations * exposure.raw_shape[2] * exposure.xsize * IRS2_LOOK_PIXEL
    corrected = _irs2_correction(exposure, threads) + pixels * FILLED_PIXEL
    return int(IRS2_MARGIN * (kept + bands + look + max(corrected, pixels * CALIBRATED_PIXEL)))


def _irs2_correction(exposure: Exposure, threads: int) -> int:
    """Bytes of the correction of IRS2 at their most.

    That is while the last amplifier but one is corrected, beside the spectra of the reference
    output and the rows of the amplifier before that bands still need; the last takes the place of
    the spectra.
    """
    groups = exposure.n_integrations * exposure.n_groups
    row = groups * exposure.xsize * IRS2_CORRECTED_SAMPLE
    amplifier = int(row * (AMPLIFIER_WIDTH + BAND_ROWS + 2))
    return amplifier + groups * IRS2_SPECTRUM + threads * IRS2_THREAD
