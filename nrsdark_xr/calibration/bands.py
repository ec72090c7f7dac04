"""Bands of rows from linearized samples to ramps, jumps and rates, several at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration._threads import in_threads
from nrsdark_xr.calibration.cds_noise import cds_noise
from nrsdark_xr.calibration.jump import find_jumps, flag_bad_gain
from nrsdark_xr.calibration.linearize import widen, within
from nrsdark_xr.calibration.parameters import CalibrationParameters
from nrsdark_xr.calibration.protocols import LinearizedSamples, RampBuffer
from nrsdark_xr.calibration.ramp_fit import fit_ramps
from nrsdark_xr.detector import DQ
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.references import References

BLOCK_COLUMNS = 256
"""Columns of a band that are read back at a time: whole chunks of the ramp store."""
JUMP_HALO = 1
"""Rows on each side of a band whose jumps flag its pixels."""
MIN_GROUPS_FOR_JUMPS = 3
"""``JumpStep`` leaves shorter ramps alone."""


class Workspace(NamedTuple):
    """Arrays that one band after the other is calibrated in, flat.

    Attributes
    ----------
    ramp : ndarray of float32
    groupdq : ndarray of uint8
    """

    ramp: NDArray[np.float32]
    groupdq: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class BandCalibration:
    """The calibration of one exposure, band by band.

    Attributes
    ----------
    samples : LinearizedSamples
        Where the linearized ramps come from.
    exposure, references, parameters, ramps
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
    ramps: Sequence[RampBuffer]
    groupdq: NDArray[np.uint8]
    pixeldq: NDArray[np.uint32]
    rate: NDArray[np.float32]
    rate_err: NDArray[np.float32]
    negative_jumps: NDArray[np.uint16]
    cds_noise: NDArray[np.float32]

    def calibrate(self, bands: Sequence[slice], *, threads: int) -> None:
        """Calibrate all bands, and fit their ramps as if there were no snowballs.

        One more than `threads` are under way at once, since some wait for files.
        """
        at_once = min(threads + 1, len(bands))
        workspaces: SimpleQueue[Workspace] = SimpleQueue()
        largest = max(math.prod(self._shape(self._with_halo(rows))) for rows in bands)
        for _ in range(at_once):
            workspaces.put(Workspace(np.empty(largest, np.float32), np.empty(largest, np.uint8)))

        def calibrate_band(rows: slice) -> None:
            workspace = workspaces.get()
            ramp = self._calibrate_band(rows, workspace)
            for integration, buffer in enumerate(self.ramps):
                buffer.write(rows, ramp[integration])
            workspaces.put(workspace)

        in_threads(calibrate_band, bands, threads=at_once)

    def fit_again(
        self, bands: Sequence[slice], touched: NDArray[np.bool_], *, threads: int
    ) -> None:
        """Read back and fit the ramps of which snowballs have changed flags.

        `touched`, of shape (integration, y, x), tells where.
        """
        blocks = [
            (integration, rows, columns)
            for integration, rows, columns in product(
                range(len(touched)), bands, cut_rows(self.exposure.xsize, BLOCK_COLUMNS)
            )
            if touched[integration, rows, columns].any()
        ]

        def fit_block(block: tuple[int, slice, slice]) -> None:
            integration, rows, columns = block
            ramp = self.ramps[integration].read(rows, columns)
            groupdq = self.groupdq[integration, :, rows, columns]
            self._fit(integration, rows, columns, ramp, groupdq, first_row=0)

        in_threads(fit_block, blocks, threads=threads)

    def _calibrate_band(self, rows: slice, workspace: Workspace) -> NDArray[np.float32]:
        """Fill all maps of a band; give its ramp (integration, group, y, x)."""
        around = self._with_halo(rows)
        inner = within(rows, around)
        shape = self._shape(around)
        size = math.prod(shape)
        ramp = workspace.ramp[:size].reshape(shape)
        groupdq = workspace.groupdq[:size].reshape(shape)
        for integration in range(len(ramp)):
            pixeldq = self.samples.fill(
                integration, around, ramp=ramp[integration], groupdq=groupdq[integration]
            )
            self.pixeldq[rows] |= pixeldq[inner]
        groupdq = self._find_jumps(rows, around, ramp, groupdq)
        self.groupdq[:, :, rows] = groupdq[:, :, inner]
        for integration, flags in enumerate(groupdq):
            self._fit(
                integration, rows, slice(None), ramp[integration], flags, first_row=inner.start
            )
        return ramp[:, :, inner]

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

    def _fit(
        self,
        integration: int,
        rows: slice,
        columns: slice,
        ramp: NDArray[np.float32],
        groupdq: NDArray[np.uint8],
        *,
        first_row: int,
    ) -> None:
        """Fill rate, error and noise of a part of one integration; `rows` begin at `first_row`."""
        fit = fit_ramps(
            ramp,
            groupdq,
            self.pixeldq[rows, columns],
            gain=self.references.gain[rows, columns],
            readnoise=self.references.readnoise[rows, columns],
            frame_time=self.exposure.frame_time,
            group_time=self.exposure.group_time,
            n_frames=self.exposure.n_frames,
            parameters=self.parameters.ramp_fit,
            first_row=first_row,
        )
        unusable = (fit.dq & np.uint32(DQ.DO_NOT_USE)) != 0
        self.rate[integration, rows, columns] = np.where(unusable, np.nan, fit.rate)
        self.rate_err[integration, rows, columns] = np.where(unusable, np.nan, fit.rate_err)
        self.cds_noise[integration, rows, columns] = cds_noise(
            ramp,
            groupdq,
            gain=self.references.gain[rows, columns],
            n_frames=self.exposure.n_frames,
            group_gap=self.exposure.group_gap,
            parameters=self.parameters.readnoise,
            first_row=first_row,
        )

    def _with_halo(self, rows: slice) -> slice:
        return widen(rows, JUMP_HALO, self.exposure.ysize)

    def _shape(self, rows: slice) -> tuple[int, int, int, int]:
        """Shape of the ramps of all integrations in some rows."""
        exposure = self.exposure
        return (
            exposure.n_integrations, exposure.n_groups, rows.stop - rows.start, exposure.xsize
        )  # fmt: skip


def cut_rows(n_rows: int, band_rows: int) -> Iterator[slice]:
    """Cut `n_rows` into bands."""
    for start in range(0, n_rows, band_rows):
        yield slice(start, min(start + band_rows, n_rows))
