"""Bands of rows, each in one go from raw samples to ramps, flags and rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration.jump import find_jumps, flag_bad_gain
from nrsdark_xr.calibration.parameters import CalibrationParameters
from nrsdark_xr.calibration.protocols import JUMP_HALO, LinearizedSamples, RampBuffer
from nrsdark_xr.calibration.rates import measure_rates
from nrsdark_xr.calibration.rounding import round_to
from nrsdark_xr.calibration.rows import cut, widen, within
from nrsdark_xr.calibration.workspace import Pool, shaped
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.references import References

MIN_GROUPS_FOR_JUMPS = 3
"""``JumpStep`` leaves shorter ramps alone."""


BandMemory = tuple[NDArray[np.float32], NDArray[np.uint8]]
"""Flat arrays for ramp and flags of the largest band, with its halo, all integrations."""


class FlaggedBand(NamedTuple):
    """A band whose jumps have been found.

    Attributes
    ----------
    rows, around : slice
        Its rows, and with them those whose jumps flag its pixels.
    ramp : ndarray of float32, shape (integration, group, y, x)
        Of the rows `around`.
    groupdq : ndarray of uint8, shape of `ramp`
    memory : BandMemory
        Where `ramp` and `groupdq` lie.
    median_difference : ndarray of float32, shape (y, x), or None
        Of the ramps of its `rows`, as the jump test found it; None if there was no test.
    """

    rows: slice
    around: slice
    ramp: NDArray[np.float32]
    groupdq: NDArray[np.uint8]
    memory: BandMemory
    median_difference: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class BandCalibration:
    """The calibration of one exposure, in bands that may be worked on at the same time.

    Attributes
    ----------
    samples : LinearizedSamples
        Where the linearized ramps come from.
    exposure, references, parameters
        As `nrsdark_xr.calibration.exposure.calibrate_exposure` takes them.
    ramps : sequence of RampBuffer
        Where the ramp of each integration goes.
    quantum : float or None
        Ramps are rounded to whole multiples of this many DN.
    memory : Pool of BandMemory
        For each band that is worked on.
    groupdq : ndarray of uint8, shape (integration, group, y, x)
        Filled band by band.
    pixeldq : ndarray of uint32, shape (y, x)
        After the superbias step; flags are added band by band.
    rate, rate_err : ndarray of float32, shape (integration, y, x)
        Filled band by band; NaN where DO_NOT_USE.
    negative_jumps : ndarray of uint16, shape (integration, y, x)
        Filled band by band.
    cds_noise : ndarray of float32, shape (integration, y, x)
        Filled band by band.
    """

    samples: LinearizedSamples
    exposure: Exposure
    references: References
    parameters: CalibrationParameters
    ramps: Sequence[RampBuffer]
    quantum: float | None
    memory: Pool[BandMemory]
    groupdq: NDArray[np.uint8]
    pixeldq: NDArray[np.uint32]
    rate: NDArray[np.float32]
    rate_err: NDArray[np.float32]
    negative_jumps: NDArray[np.uint16]
    cds_noise: NDArray[np.float32]

    def calibrate(self, rows: slice) -> None:
        """Linearize the ramps of a band, find their jumps, fit them, and write them."""
        self.keep(self.flag(rows))

    def flag(self, rows: slice) -> FlaggedBand:
        """Linearize the ramps of a band and fill `groupdq` with their jumps."""
        around = widen(rows, JUMP_HALO, self.exposure.ysize)
        try:
            band = self._linearized(rows, around)
        except BaseException:
            self.samples.abandon(around)
            raise
        if self.exposure.n_groups >= MIN_GROUPS_FOR_JUMPS:
            band = band._replace(median_difference=self._find_jumps(band))
        self.groupdq[:, :, rows] = band.groupdq[:, :, within(rows, around)]
        return band

    def keep(self, band: FlaggedBand) -> None:
        """Fit the ramps of a band and write them; its memory is used again afterwards."""
        rows, inner = band.rows, within(band.rows, band.around)
        for integration, buffer in enumerate(self.ramps):
            found = measure_rates(
                band.ramp[integration],
                band.groupdq[integration],
                self.pixeldq[rows],
                gain=self.references.gain[rows],
                readnoise=self.references.readnoise[rows],
                exposure=self.exposure,
                parameters=self.parameters,
                first_row=inner.start,
                median_guess=band.median_difference,
            )
            self.rate[integration, rows] = found.rate
            self.rate_err[integration, rows] = found.rate_err
            self.cds_noise[integration, rows] = found.cds_noise
            buffer.write(rows, band.ramp[integration, :, inner])
        self.memory.give_back(band.memory)

    def fit_again(self, integration: int, rows: slice, changed: NDArray[np.bool_]) -> None:
        """Fit pixels of a band whose flags have changed since, from the ramps that were written.

        Parameters
        ----------
        integration : int
        rows : slice
            A band as `calibrate` takes it.
        changed : ndarray of bool, shape (y, x)
            Of the whole frame.
        """
        buffer = self.ramps[integration]
        for columns in cut(slice(0, self.exposure.xsize), buffer.chunk_columns):
            y, x = np.nonzero(changed[rows, columns])
            if y.size == 0:
                continue
            ramp = self._read_again(buffer, rows, columns, (y, x))
            y, x = y[np.newaxis] + rows.start, x[np.newaxis] + columns.start
            found = measure_rates(
                ramp,
                self.groupdq[integration][:, y, x],
                self.pixeldq[y, x],
                gain=self.references.gain[y, x],
                readnoise=self.references.readnoise[y, x],
                exposure=self.exposure,
                parameters=self.parameters,
            )
            self.rate[integration, y, x] = found.rate
            self.rate_err[integration, y, x] = found.rate_err
            self.cds_noise[integration, y, x] = found.cds_noise

    def _read_again(
        self,
        buffer: RampBuffer,
        rows: slice,
        columns: slice,
        pixels: tuple[NDArray[np.intp], NDArray[np.intp]],
    ) -> NDArray[np.float32]:
        """Read a tile that was written; give the ramps of its `pixels`, shape (group, 1, pixel)."""
        y, x = pixels
        shape = self.exposure.n_groups, rows.stop - rows.start, columns.stop - columns.start
        with self.memory.one() as memory:
            tile = buffer.read(rows, columns, shaped(memory[0], shape))
            return tile[:, np.newaxis, y, x]

    def _linearized(self, rows: slice, around: slice) -> FlaggedBand:
        """Linearize the ramps of a band, and flag its pixels."""
        n_integrations, n_groups, _, n_columns = self.groupdq.shape
        shape = (n_integrations, n_groups, around.stop - around.start, n_columns)
        memory = self.memory.take()
        band = FlaggedBand(rows, around, shaped(memory[0], shape), shaped(memory[1], shape), memory)
        for integration, (ramp, groupdq) in enumerate(zip(band.ramp, band.groupdq, strict=True)):
            pixeldq = self.samples.fill(integration, around, ramp=ramp, groupdq=groupdq)
            self.pixeldq[rows] |= pixeldq[within(rows, around)]
        if self.quantum is not None:
            round_to(band.ramp, self.quantum, overwrite=True)
        return band

    def _find_jumps(self, band: FlaggedBand) -> NDArray[np.float32]:
        """Add jumps to the flags of a band, count the negative ones, give median differences."""
        rows, gain = band.rows, self.references.gain
        inner = within(rows, band.around)
        self.pixeldq[rows] = flag_bad_gain(self.pixeldq[rows], gain[rows])
        found = find_jumps(
            band.ramp,
            band.groupdq,
            gain=gain[band.around],
            readnoise=self.references.readnoise[band.around],
            n_frames=self.exposure.n_frames,
            parameters=self.parameters.jump,
            usable_groups=self.samples.usable_groups,
            overwrite=True,
        )
        self.negative_jumps[:, rows] = found.negative_jumps[:, inner]
        return found.median_difference[inner]
