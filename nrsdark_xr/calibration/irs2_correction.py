"""Correct IRS2 groups by their reference samples and the reference output (``refpix``, IRS2).

For each group and amplifier, what is subtracted from the pixels is, in time order,

    beta * (the amplifier's interleaved reference samples) + alpha * (the reference output)

at each frequency, with the weights of the REFPIX reference. All of it works on samples less their
mean over the groups of the integration and less a straight line in time; the mean is added back at
the end (``subtract_reference`` of jwst 3.0.0). Results agree with jwst within the rounding of
single precision, in which both do their transforms.

The spectrum of the reference output, which all amplifiers need, is made once for each group.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration import _irs2_kernels
from nrsdark_xr.calibration._irs2_kernels import NO_ROW
from nrsdark_xr.calibration._threads import in_threads
from nrsdark_xr.calibration.group_scale import group_scale, scale_groups
from nrsdark_xr.calibration.irs2_output import fill_output
from nrsdark_xr.calibration.irs2_signals import (
    REFERENCE_OUTPUT,
    output_spectrum,
    reading_order,
    reference_spectrum,
    subtract_line,
)
from nrsdark_xr.calibration.irs2_transform import FREQUENCIES, from_frequencies, real_part
from nrsdark_xr.calibration.protocols import RawSamples
from nrsdark_xr.detector import irs2
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.references.irs2 import Irs2Weights


@dataclass(frozen=True, slots=True)
class Irs2Correction:
    """How the groups of one integration are corrected.

    Attributes
    ----------
    raw : RawSamples
    exposure : Exposure
    integration : int
    bias : ndarray of float32, shape (3200, x)
        Without NaN; 0 where none is subtracted [DN].
    levels : ndarray of float32, shape (group, 3200)
        Subtracted from each row as well; 0 without ``irs2_mean_subtraction`` [DN].
    mean : ndarray of float64, shape (3200, x)
        Mean over groups of each sample, after replacement of bad ones [DN].
    first, second : ndarray of int, shape (3200,)
        Raw rows whose mean stands for each row
        (`nrsdark_xr.calibration.irs2_bad_reference.replacements`).
    weights : Irs2Weights
    """

    raw: RawSamples
    exposure: Exposure
    integration: int
    bias: NDArray[np.float32]
    levels: NDArray[np.float32]
    mean: NDArray[np.float64]
    first: NDArray[np.intp]
    second: NDArray[np.intp]
    weights: Irs2Weights

    def with_replaced_means(self) -> Irs2Correction:
        """Copy with the means of replaced rows, where `mean` has those of the bad samples."""
        own = np.arange(irs2.IRS2_RAW_ROWS)
        mean = self.mean.copy()
        for row in np.flatnonzero((self.first != own) | (self.second != own)):
            if self.first[row] == NO_ROW:
                mean[row] = 0.0
                continue
            one, two = (self._row(source[row]) for source in (self.first, self.second))
            mean[row] = ((one + two) * np.float32(0.5)).mean(axis=0, dtype=np.float64)
        return replace(self, mean=mean)

    def _row(self, row: int) -> NDArray[np.float32]:
        """One raw row of all groups less bias and levels (group, x)."""
        groups, rows = slice(0, self.exposure.n_groups), slice(int(row), int(row) + 1)
        samples = self.scaled(self.raw.read(self.integration, groups, rows)[:, 0])
        return samples - self.bias[row] - self.levels[:, rows]

    def scaled(self, raw: NDArray[np.uint16]) -> NDArray[np.float32]:
        """Raw samples in DN."""
        return scale_groups(
            raw, n_frames=self.exposure.n_frames, frame_divisor=self.exposure.frame_divisor
        )

    def output_samples(
        self, group: int, output: int
    ) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
        """Read one output of a group.

        Parameters
        ----------
        group : int
            From 0.
        output : int
            `REFERENCE_OUTPUT`, or an amplifier from 1.

        Returns
        -------
        samples : ndarray of float32, shape (640, line)
            In reading order, less mean and line [DN]; 0 where nothing is known.
        raw : ndarray of uint16, shape (640, x)
            As they were read, in the order of rows.
        """
        band = irs2.output_rows(self.exposure.detector)[output]
        (raw,) = self.raw.read(self.integration, slice(group, group + 1), band)
        order = reading_order(self.exposure.detector, output)
        inside = _irs2_kernels.Rows(
            order, _within(self.first[band][order], band), _within(self.second[band][order], band)
        )
        samples = np.empty(raw.shape, np.float32)
        _irs2_kernels.read_samples(
            raw,
            inside,
            group_scale(n_frames=self.exposure.n_frames, frame_divisor=self.exposure.frame_divisor),
            self.bias[band],
            self.levels[group, band],
            self.mean[band],
            self._backwards,
            samples,
        )
        subtract_line(samples)
        return samples, raw

    def reference_output(self, group: int) -> NDArray[np.float32]:
        """Fill the gaps of the reference output of a group: float32 (712, line) [DN]."""
        samples, _ = self.output_samples(group, REFERENCE_OUTPUT)
        return fill_output(samples)

    def reference_spectra(self, *, threads: int) -> NDArray[np.complex64]:
        """Transform the reference output of every group: complex64 (group, 712, 1025)."""
        n_groups = self.exposure.n_groups
        spectra = np.empty((n_groups, irs2.LINE_TICKS, FREQUENCIES), np.complex64)

        def transform(group: int) -> None:
            spectra[group] = output_spectrum(self.reference_output(group))

        in_threads(transform, range(n_groups), threads=threads)
        return spectra

    def amplifier_weights(
        self, amplifier: int
    ) -> tuple[NDArray[np.complex64], NDArray[np.complex64]]:
        """Arrange alpha and beta of an amplifier, from 1, as spectra are."""
        return (
            real_part(self.weights.alpha[amplifier - 1]),
            real_part(self.weights.beta[amplifier - 1]),
        )

    def correction(
        self,
        samples: NDArray[np.float32],
        spectrum: NDArray[np.complex64],
        alpha: NDArray[np.complex64],
        beta: NDArray[np.complex64],
        ticks: NDArray[np.intp],
    ) -> NDArray[np.float32]:
        """Reckon what is subtracted from an amplifier in one group.

        Parameters
        ----------
        samples : ndarray of float32, shape (640, line)
            From `output_samples`.
        spectrum : ndarray of complex64, shape (712, 1025)
            Of the reference output in this group.
        alpha, beta : ndarray of complex64, shape (712, 1025)
            From `amplifier_weights`.
        ticks : ndarray of int, shape (tick,)
            When it is wanted.

        Returns
        -------
        ndarray of float32, shape (tick, line)
            [DN]
        """
        frame = reference_spectrum(samples)
        _irs2_kernels.weigh(frame, beta, alpha, spectrum)
        return from_frequencies(frame, ticks)

    def restore(
        self,
        output: int,
        samples: NDArray[np.float32],
        correction: NDArray[np.float32],
        chosen: NDArray[np.intp],
        image: NDArray[np.float32],
        *,
        add_mean: NDArray[np.bool_] | None = None,
    ) -> None:
        """Subtract a correction, and put the result into `image` with its mean added back.

        Parameters
        ----------
        output : int
        samples : ndarray of float32, shape (640, line)
            From `output_samples`.
        correction : ndarray of float32, shape (chosen, line)
        chosen : ndarray of int, shape (chosen,)
            Which samples are wanted.
        image : ndarray of float32, shape (chosen, x)
            Filled with their rows, in the order of the DMS frame [DN].
        add_mean : ndarray of bool, shape (640,), optional
            Samples whose mean is added back; by default all.
        """
        band = irs2.output_rows(self.exposure.detector)[output]
        order = reading_order(self.exposure.detector, output)
        rows = order[chosen]
        with_mean = np.ones(irs2.OUTPUT_ROWS, bool) if add_mean is None else add_mean
        _irs2_kernels.restore(
            samples,
            correction,
            chosen,
            np.argsort(np.argsort(rows)),
            self.mean[band],
            np.where(with_mean[chosen], rows, NO_ROW),
            self._backwards,
            image,
        )

    @property
    def _backwards(self) -> bool:
        """Whether lines run against x."""
        return self.exposure.detector == "NRS2"


def _within(rows: NDArray[np.intp], band: slice) -> NDArray[np.intp]:
    """Rows counted from the start of a band; `NO_ROW` stays."""
    return np.where(rows == NO_ROW, NO_ROW, rows - band.start)
