"""What is planned of raw pixels to be read is what the steps read of them."""

from __future__ import annotations

from threading import Lock

import numpy as np
import pytest
from numpy.typing import NDArray

from nrsdark_xr.calibration import CalibrationParameters, calibrate_exposure
from nrsdark_xr.calibration.bias import bias_groups
from nrsdark_xr.calibration.irs2_cross_spectra import measure_cross_spectra
from nrsdark_xr.calibration.parameters import CrossSpectraParameters, RefpixParameters
from nrsdark_xr.steps.raw_reads import Reads, bias_reads, prepare_reads, refpix_reads
from tests.calibration.irs2_synthetic import make_irs2_case
from tests.calibration.synthetic import ArrayBuffer, ArrayReader, Case, make_case

SMALL_CHANGE = 0.03
"""Rows around bands."""


class Counting:
    """Raw samples that count what is read of them as `RawReader` does it.

    Single rows, in place of bad ones, do not count: these exposures have far more than real ones.
    """

    def __init__(self, case: Case) -> None:
        self._raw = ArrayReader(case.raw)
        self._rows, self._lock = case.raw.shape[2], Lock()
        self.n_bytes = self.ranges = 0

    def read(
        self, integration: int, groups: slice, rows: slice, out: NDArray[np.uint16] | None = None
    ) -> NDArray[np.uint16]:
        samples = self._raw.read(integration, groups, rows, out)
        if samples.shape[1] == 1:
            return samples
        with self._lock:
            self.n_bytes += samples.nbytes
            self.ranges += 1 if samples.shape[1] == self._rows else len(samples)
        return samples

    def assert_was_planned(self, planned: Reads) -> None:
        assert planned.n_bytes <= self.n_bytes <= (1 + SMALL_CHANGE) * planned.n_bytes
        assert planned.ranges <= self.ranges <= (1 + SMALL_CHANGE) * planned.ranges


def prepare(case: Case, parameters: CalibrationParameters) -> None:
    raw, exposure = Counting(case), case.exposure
    shape = (exposure.n_groups, exposure.ysize, exposure.xsize)
    ramps = [ArrayBuffer(shape) for _ in case.raw]
    calibrate_exposure(raw, exposure, case.references, parameters, ramps)
    raw.assert_was_planned(prepare_reads(case.exposure, parameters.refpix))


def bias(case: Case, parameters: CalibrationParameters) -> None:
    raw = Counting(case)
    for integration in range(case.exposure.n_integrations):
        bias_groups(raw, case.exposure, integration, case.references, parameters)
    raw.assert_was_planned(bias_reads(case.exposure, parameters.refpix))


@pytest.mark.parametrize("irs2_mean_subtraction", [False, True])
def test_irs2(irs2_mean_subtraction: bool) -> None:
    case = make_irs2_case("NRS1", n_groups=2, n_integrations=2)
    refpix = RefpixParameters(irs2_mean_subtraction=irs2_mean_subtraction)
    parameters = CalibrationParameters(refpix=refpix)
    bias(case, parameters)
    prepare(case, parameters)


def test_spectra() -> None:
    case, parameters = make_irs2_case("NRS1", n_groups=5), CrossSpectraParameters(max_pairs=1)
    raw = Counting(case)
    measure_cross_spectra(raw, case.exposure, 0, parameters)
    raw.assert_was_planned(refpix_reads(case.exposure, parameters))


def test_traditional() -> None:
    case = make_case("NRS2", "FULL", n_groups=2, n_integrations=2)
    bias(case, CalibrationParameters())
    prepare(case, CalibrationParameters())
