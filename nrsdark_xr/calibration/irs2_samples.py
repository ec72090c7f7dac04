"""Linearized samples of IRS2 readout, amplifier by amplifier in bounded memory.

One look at the exposure tells the mean of each sample over groups, which reference samples are bad
and where pixels saturate; then the spectrum of the reference output is made for each group. An
amplifier is corrected when the first band asks for one of its rows, all groups of it, and kept as
long as bands need it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from threading import Condition
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration import _irs2_kernels
from nrsdark_xr.calibration._threads import in_threads
from nrsdark_xr.calibration.dq_init import init_dq
from nrsdark_xr.calibration.irs2_correction import Irs2Correction
from nrsdark_xr.calibration.irs2_look import look_at_exposure
from nrsdark_xr.calibration.irs2_saturation import Saturation, SaturationLook
from nrsdark_xr.calibration.irs2_signals import science_samples
from nrsdark_xr.calibration.linearity import usable_coefficients
from nrsdark_xr.calibration.linearize import ROWS_AT_ONCE, choose_linearity
from nrsdark_xr.calibration.parameters import CalibrationParameters
from nrsdark_xr.calibration.protocols import RawSamples
from nrsdark_xr.calibration.rows import cut, within
from nrsdark_xr.detector import AMPLIFIER_WIDTH, DQ, irs2
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.references import References


class Block(NamedTuple):
    """Corrected rows of an exposure.

    Attributes
    ----------
    rows : slice
        Of the science frame.
    samples : list of ndarray of float32, shape (group, row, x)
        Of each integration [DN].
    floor : ndarray of uint8, shape (integration, group, row, x / 8)
        Bits of samples at the A/D floor.
    """

    rows: slice
    samples: list[NDArray[np.float32]]
    floor: NDArray[np.uint8]

    def part(self, start: int) -> Block:
        """Copy of the rows from `start` on."""
        first = max(0, start - self.rows.start)
        return Block(
            slice(self.rows.start + first, self.rows.stop),
            [samples[:, first:].copy() for samples in self.samples],
            self.floor[:, :, first:].copy(),
        )


class Asked:
    """How far bands have been asked for, though threads may overtake each other.

    Attributes
    ----------
    rows : int
        All rows before have been asked for.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._ahead: list[slice] = []

    def add(self, band: slice) -> None:
        """Note a band that was asked for, with the rows that it shares with its neighbours."""
        self._ahead.append(band)
        while follower := next(filter(self._follows, self._ahead), None):
            self._ahead.remove(follower)
            self.rows = max(self.rows, follower.stop)

    def _follows(self, band: slice) -> bool:
        return band.start <= self.rows


class Irs2Samples:
    """`nrsdark_xr.calibration.protocols.LinearizedSamples` of IRS2 readout.

    Made by `look`. Asks of bands what the protocol says: ascending order, and all of them.
    """

    def __init__(
        self,
        exposure: Exposure,
        references: References,
        corrections: Sequence[Irs2Correction],
        saturation: Sequence[Saturation],
        unusable: NDArray[np.bool_],
        threads: int,
    ) -> None:
        self.usable_groups = min(each.usable_groups for each in saturation)
        self._exposure, self._references = exposure, references
        self._corrections, self._saturation = corrections, saturation
        self._unusable, self._threads = unusable, threads
        self._spectra: list[NDArray[np.complex64]] = []
        self._blocks: list[Block] = []
        self._corrected_rows = 0
        self._asked_for = [Asked() for _ in corrections]
        self._abandoned = exposure.ysize
        self._changed = Condition()

    @classmethod
    def look(
        cls,
        raw: RawSamples,
        exposure: Exposure,
        references: References,
        parameters: CalibrationParameters,
        *,
        threads: int,
    ) -> tuple[Irs2Samples, NDArray[np.uint32]]:
        """Look at all groups, with `threads` threads.

        Parameters
        ----------
        raw, exposure, references, parameters
            As `nrsdark_xr.calibration.exposure.calibrate_exposure` takes them, thresholds made
            usable.
        threads : int

        Returns
        -------
        samples : Irs2Samples
        pixeldq : ndarray of uint32, shape (y, x)
            PIXELDQ after the reference-pixel correction.

        Raises
        ------
        NrsdarkError
            If there are no weights for the correction.
        """
        rows = irs2.science_rows(exposure.detector)
        pixeldq = references.mask.copy()
        pixeldq[rows] |= references.saturation_dq
        if references.superbias_dq is not None:
            pixeldq |= references.superbias_dq
        unusable = (references.mask[rows] & np.uint32(DQ.DO_NOT_USE)) != 0
        saturation = [
            SaturationLook(exposure, references, unusable, parameters.saturation)
            for _ in range(exposure.n_integrations)
        ]
        corrections, bad = look_at_exposure(
            raw,
            exposure,
            references,
            pixeldq,
            parameters.refpix,
            threads=threads,
            watch=[each.watch for each in saturation],
        )
        pixeldq[bad] |= np.uint32(DQ.BAD_REF_PIXEL | DQ.DO_NOT_USE)
        found = [each.result() for each in saturation]
        samples = cls(exposure, references, corrections, found, unusable, threads)
        return samples, pixeldq[rows]

    def fill(
        self,
        integration: int,
        rows: slice,
        *,
        ramp: NDArray[np.float32],
        groupdq: NDArray[np.uint8],
    ) -> NDArray[np.uint32]:
        """Fill `ramp` and `groupdq` of some rows; give the pixel DQ of the linearity step."""
        pixeldq = np.zeros(ramp.shape[1:], np.uint32)
        for block in self._blocks_of(integration, rows):
            part = slice(max(rows.start, block.rows.start), min(rows.stop, block.rows.stop))
            pixeldq[within(part, rows)] = self._linearize(
                integration, part, block, ramp, groupdq, rows.start
            )
        return pixeldq

    def abandon(self, rows: slice) -> None:
        """Let no band wait for this one, which cannot be finished."""
        with self._changed:
            self._abandoned = min(self._abandoned, rows.start)
            self._changed.notify_all()

    def _blocks_of(self, integration: int, rows: slice) -> list[Block]:
        """Blocks that hold some rows, corrected first if they are not there yet.

        What no later band needs is dropped, hence bands wait until all before them have asked.
        """
        with self._changed:
            while self._corrected_rows < rows.stop:
                self._changed.wait_for(
                    lambda: self._abandoned < rows.start or self._all_asked_for() >= rows.start
                )
                if self._abandoned < rows.start:
                    raise RuntimeError("an earlier band has failed")
                if self._corrected_rows < rows.stop:
                    self._correct_next(rows.start)
            self._asked_for[integration].add(rows)
            self._changed.notify_all()
            found = [
                block
                for block in self._blocks
                if block.rows.start < rows.stop and block.rows.stop > rows.start
            ]
            if not found or found[0].rows.start > rows.start:
                raise RuntimeError(f"rows from {rows.start} on are gone: they came out of order")
            if self._all_asked_for() == self._exposure.ysize:
                self._blocks = []
            return found

    def _all_asked_for(self) -> int:
        """Count the rows that have been asked for without a gap, of each integration."""
        return min(asked.rows for asked in self._asked_for)

    def _correct_next(self, needed: int) -> None:
        """Correct the amplifier after the last one; keep no rows before `needed`."""
        if not self._spectra:
            self._spectra = [
                each.reference_spectra(threads=self._threads) for each in self._corrections
            ]
        self._blocks = [
            block if needed <= block.rows.start else block.part(needed)
            for block in self._blocks
            if needed < block.rows.stop
        ]
        start = self._corrected_rows
        self._blocks.append(self._correct(slice(start, start + AMPLIFIER_WIDTH)))
        self._corrected_rows = start + AMPLIFIER_WIDTH
        if self._corrected_rows == self._exposure.ysize:
            self._spectra = []

    def _correct(self, rows: slice) -> Block:
        """Correct all groups of the amplifier that reads `rows`."""
        exposure = self._exposure
        number = rows.start // AMPLIFIER_WIDTH
        amplifier = number + 1 if exposure.detector == "NRS1" else irs2.OUTPUTS - 1 - number
        shape = (exposure.n_groups, AMPLIFIER_WIDTH, exposure.xsize)
        if rows.stop == exposure.ysize:
            # The last amplifier takes the place of the spectra, each of which is needed once more.
            corrected = [_in_place_of(spectra, shape) for spectra in self._spectra]
        else:
            corrected = [np.empty(shape, np.float32) for _ in self._spectra]
        floor = np.empty((len(corrected), *shape[:2], -(-shape[2] // 8)), np.uint8)
        chosen = science_samples()
        ticks = irs2.sample_ticks()[chosen]
        alpha, beta = self._corrections[0].amplifier_weights(amplifier)

        def correct(place: tuple[int, int]) -> None:
            integration, group = place
            correction = self._corrections[integration]
            samples, raw = correction.output_samples(group, amplifier)
            spectrum = self._spectra[integration][group]
            noise = correction.correction(samples, spectrum, alpha, beta, ticks)
            correction.restore(amplifier, samples, noise, chosen, corrected[integration][group])
            floor[place] = np.packbits(raw[chosen] == 0, axis=-1)

        places = product(range(exposure.n_integrations), range(exposure.n_groups))
        in_threads(correct, places, threads=self._threads)
        return Block(rows, corrected, floor)

    def _linearize(
        self,
        integration: int,
        rows: slice,
        block: Block,
        ramp: NDArray[np.float32],
        groupdq: NDArray[np.uint8],
        first_row: int,
    ) -> NDArray[np.uint32]:
        """Fill some rows of `ramp` and `groupdq`, which begin at `first_row`; give their DQ."""
        if self._exposure.n_frames > 1:
            parts = [
                self._linearize_averaged(integration, part, block, ramp, groupdq, first_row)
                for part in cut(rows, ROWS_AT_ONCE)
            ]
            return np.concatenate(parts)
        coefficients, dq = usable_coefficients(
            self._references.linearity[:, rows], self._references.linearity_dq[rows]
        )
        _irs2_kernels.linearize_corrected(
            block.samples[integration],
            block.floor[integration],
            rows.start - block.rows.start,
            rows.start - first_row,
            self._saturation[integration].start[rows],
            self._unusable[rows],
            coefficients,
            ramp,
            groupdq,
        )
        return dq

    def _linearize_averaged(
        self,
        integration: int,
        rows: slice,
        block: Block,
        ramp: NDArray[np.float32],
        groupdq: NDArray[np.uint8],
        first_row: int,
    ) -> NDArray[np.uint32]:
        """Do as `_linearize` for a few rows of averaged frames."""
        inside, here = (
            within(rows, block.rows),
            slice(rows.start - first_row, rows.stop - first_row),
        )
        saturation = self._saturation[integration]
        _, flags = init_dq(
            np.where(self._unusable[rows], np.uint32(DQ.DO_NOT_USE), np.uint32(0)), len(ramp)
        )
        groups = np.arange(len(ramp))[:, np.newaxis, np.newaxis]
        flags[groups >= saturation.start[rows]] |= np.uint8(DQ.SATURATED)
        if len(flags) > 1:
            flags[1, saturation.second[rows]] |= np.uint8(DQ.SATURATED)
        floor = np.unpackbits(
            block.floor[integration, :, inside], axis=-1, count=ramp.shape[-1]
        ).astype(bool)
        flags[floor] |= np.uint8(DQ.AD_FLOOR | DQ.DO_NOT_USE)
        linearize, dq = choose_linearity(self._exposure, self._references, rows)
        ramp[:, here] = linearize(block.samples[integration][:, inside], flags)
        groupdq[:, here] = flags
        return dq


def _in_place_of(
    spectra: NDArray[np.complex64], shape: tuple[int, int, int]
) -> NDArray[np.float32]:
    """View of the memory of `spectra`, group by group, as samples of `shape`."""
    memory = spectra.view(np.float32).reshape(len(spectra), -1)
    return memory[:, : shape[1] * shape[2]].reshape(shape)
