"""Linearized samples of traditional readout, from raw samples and the reference-pixel signal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration.linearize import linearize_band, rows_around
from nrsdark_xr.calibration.parameters import CalibrationParameters
from nrsdark_xr.calibration.protocols import RawSamples
from nrsdark_xr.calibration.reference_signal import measure_reference_signal
from nrsdark_xr.calibration.refpix import ReferenceSignal
from nrsdark_xr.calibration.saturation import halo_rows
from nrsdark_xr.calibration.workspace import Pool, shaped
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.references import References


@dataclass(frozen=True, slots=True)
class TraditionalSamples:
    """`nrsdark_xr.calibration.protocols.LinearizedSamples` of traditional readout.

    Attributes
    ----------
    raw, exposure, references, parameters
        As `nrsdark_xr.calibration.exposure.calibrate_exposure` takes them, thresholds made usable.
    signals : sequence of ReferenceSignal
        For each integration.
    usable_groups : int
    memory : Pool of ndarray of uint16
        For the raw samples of the rows that are asked for at once; flat.
    """

    raw: RawSamples
    exposure: Exposure
    references: References
    parameters: CalibrationParameters
    signals: Sequence[ReferenceSignal]
    usable_groups: int
    memory: Pool[NDArray[np.uint16]]

    @classmethod
    def look(
        cls,
        raw: RawSamples,
        exposure: Exposure,
        references: References,
        pixeldq: NDArray[np.uint32],
        parameters: CalibrationParameters,
        *,
        rows_at_once: int,
        threads: int,
    ) -> TraditionalSamples:
        """Look at every group, `threads` at once, for its reference-pixel signal.

        `pixeldq`, of shape (y, x), is that after the superbias step; `fill` will be asked for up to
        `rows_at_once`.
        """
        signals, usable_groups = measure_reference_signal(
            raw, exposure, references, pixeldq, parameters.refpix, threads=threads
        )
        halo = halo_rows(n_frames=exposure.n_frames, parameters=parameters.saturation)
        raw_rows = min(rows_at_once + 2 * halo, exposure.ysize)
        n_samples = exposure.n_groups * raw_rows * exposure.xsize
        return cls(
            raw,
            exposure,
            references,
            parameters,
            signals,
            usable_groups,
            Pool(lambda: np.empty(n_samples, np.uint16)),
        )

    def fill(
        self,
        integration: int,
        rows: slice,
        *,
        ramp: NDArray[np.float32],
        groupdq: NDArray[np.uint8],
    ) -> NDArray[np.uint32]:
        """Fill `ramp` and `groupdq` of some rows; give the pixel DQ of the linearity step."""
        raw_rows, _ = rows_around(rows, self.exposure, self.parameters.saturation)
        shape = (self.exposure.n_groups, raw_rows.stop - raw_rows.start, self.exposure.xsize)
        with self.memory.one() as memory:
            return linearize_band(
                self.raw.read(integration, slice(0, shape[0]), raw_rows, out=shaped(memory, shape)),
                rows,
                self.exposure,
                self.references,
                self.signals[integration],
                self.parameters.saturation,
                ramp=ramp,
                groupdq=groupdq,
            )

    def abandon(self, rows: slice) -> None:
        """Do nothing: no band waits for another."""
