"""Bands of rows from linearized samples to jumps, and from these to rates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration.cds_noise import cds_noise
from nrsdark_xr.calibration.jump import find_jumps, flag_bad_gain
from nrsdark_xr.calibration.linearize import widen, within
from nrsdark_xr.calibration.parameters import CalibrationParameters
from nrsdark_xr.calibration.protocols import LinearizedSamples
from nrsdark_xr.calibration.ramp_fit import fit_ramps
from nrsdark_xr.detector import DQ
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.references import References

JUMP_HALO = 1
"""Rows on each side of a band whose jumps flag its pixels."""
MIN_GROUPS_FOR_JUMPS = 3
"""``JumpStep`` leaves shorter ramps alone."""


@dataclass(frozen=True, slots=True)
class BandCalibration:
    """The calibration of one exposure, in bands that may be worked on at the same time.

    Attributes
    ----------
    samples : LinearizedSamples
        Where the linearized ramps come from.
    exposure, references, parameters
        As `nrsdark_xr.calibration.exposure.calibrate_exposure` takes them.
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
    groupdq: NDArray[np.uint8]
    pixeldq: NDArray[np.uint32]
    rate: NDArray[np.float32]
    rate_err: NDArray[np.float32]
    negative_jumps: NDArray[np.uint16]
    cds_noise: NDArray[np.float32]

    def linearize(self, rows: slice) -> NDArray[np.float32]:
        """Linearize the ramps of a band, and find their jumps.

        Returns
        -------
        ndarray of float32, shape (integration, group, y, x)
            The ramps, with those of the rows `with_halo`.
        """
        around = self.with_halo(rows)
        inner = within(rows, around)
        n_integrations, n_groups, _, n_columns = self.groupdq.shape
        shape = (n_integrations, n_groups, around.stop - around.start, n_columns)
        ramp, groupdq = np.empty(shape, np.float32), np.empty(shape, np.uint8)
        for integration in range(n_integrations):
            pixeldq = self.samples.fill(
                integration, around, ramp=ramp[integration], groupdq=groupdq[integration]
            )
            self.pixeldq[rows] |= pixeldq[inner]
        groupdq = self._find_jumps(rows, around, ramp, groupdq)
        self.groupdq[:, :, rows] = groupdq[:, :, inner]
        return ramp

    def fit(self, rows: slice, ramp: NDArray[np.float32]) -> None:
        """Fill rate, error and noise of a band, with the jumps that are flagged by now.

        `ramp` is what `linearize` gave.
        """
        around = self.with_halo(rows)
        first_row = within(rows, around).start
        gain, readnoise = self.references.gain[rows], self.references.readnoise[rows]
        for integration in range(len(ramp)):
            groupdq = np.ascontiguousarray(self.groupdq[integration, :, around])
            fit = fit_ramps(
                ramp[integration],
                groupdq,
                self.pixeldq[rows],
                gain=gain,
                readnoise=readnoise,
                frame_time=self.exposure.frame_time,
                group_time=self.exposure.group_time,
                n_frames=self.exposure.n_frames,
                parameters=self.parameters.ramp_fit,
                first_row=first_row,
            )
            unusable = (fit.dq & np.uint32(DQ.DO_NOT_USE)) != 0
            self.rate[integration, rows] = np.where(unusable, np.nan, fit.rate)
            self.rate_err[integration, rows] = np.where(unusable, np.nan, fit.rate_err)
            self.cds_noise[integration, rows] = cds_noise(
                ramp[integration],
                groupdq,
                gain=gain,
                n_frames=self.exposure.n_frames,
                group_gap=self.exposure.group_gap,
                parameters=self.parameters.readnoise,
                first_row=first_row,
            )

    def with_halo(self, rows: slice) -> slice:
        """Rows of a band and those around it whose jumps flag its pixels."""
        return widen(rows, JUMP_HALO, self.exposure.ysize)

    def _find_jumps(
        self,
        rows: slice,
        around: slice,
        ramp: NDArray[np.float32],
        groupdq: NDArray[np.uint8],
    ) -> NDArray[np.uint8]:
        """Add jumps to `groupdq`, fill the negative ones of `rows`; `ramp` is of `around`."""
        if self.exposure.n_groups < MIN_GROUPS_FOR_JUMPS:
            return groupdq
        gain = self.references.gain
        self.pixeldq[rows] = flag_bad_gain(self.pixeldq[rows], gain[rows])
        found = find_jumps(
            ramp,
            groupdq,
            gain=gain[around],
            readnoise=self.references.readnoise[around],
            n_frames=self.exposure.n_frames,
            parameters=self.parameters.jump,
            usable_groups=self.samples.usable_groups,
        )
        self.negative_jumps[:, rows] = found.negative_jumps[:, within(rows, around)]
        return found.groupdq


def cut_rows(n_rows: int, band_rows: int) -> Iterator[slice]:
    """Cut `n_rows` into bands."""
    for start in range(0, n_rows, band_rows):
        yield slice(start, min(start + band_rows, n_rows))
