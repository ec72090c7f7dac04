"""The chain from raw samples to rates, against jwst's own steps and against other bands."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrsdark_xr.calibration import CalibratedMaps, CalibrationParameters, calibrate_exposure
from nrsdark_xr.calibration.rates import PixelRates, measure_rates
from nrsdark_xr.calibration.rounding import round_to
from nrsdark_xr.detector import DQ
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.references import ReferencePaths, References, clear_hot
from nrsdark_xr.steps.stock_engine import calibrate_with_jwst
from tests.calibration.synthetic import (
    ArrayBuffer,
    ArrayReader,
    Case,
    make_case,
    make_sirskernel,
    write_case,
)

MAPS = ("groupdq", "pixeldq", "rate", "rate_err", "good_groups", "negative_jumps")
Calibrated = list[tuple[np.ndarray, CalibratedMaps]]


def calibrate(
    case: Case,
    parameters: CalibrationParameters | None = None,
    *,
    quantum: float | None = None,
    band_rows: int = 128,
    threads: int = 1,
) -> Calibrated:
    buffers = [ArrayBuffer(case.raw.shape[1:]) for _ in case.raw]
    references = case.references.replace(mask=clear_hot(case.references.mask))
    maps = calibrate_exposure(
        ArrayReader(case.raw),
        case.exposure,
        references,
        parameters or CalibrationParameters(),
        buffers,
        quantum=quantum,
        band_rows=band_rows,
        threads=threads,
    )
    return [(buffer.ramp, each) for buffer, each in zip(buffers, maps, strict=True)]


def calibrate_stock(case: Case, parameters: CalibrationParameters | None = None) -> Calibrated:
    with TemporaryDirectory() as directory:
        paths = write_case(case, Path(directory))
        exposure = replace(case.exposure, url=str(paths.pop("uncal")))
        files = ReferencePaths(**{kind: str(path) for kind, path in paths.items()})
        return calibrate_with_jwst(exposure, files, parameters or CalibrationParameters())


def assert_same(ours: Calibrated, stock: Calibrated) -> None:
    """Bit for bit, NaN where NaN."""
    assert len(ours) == len(stock)
    for (our_ramp, our_maps), (stock_ramp, stock_maps) in zip(ours, stock, strict=True):
        np.testing.assert_array_equal(our_ramp, stock_ramp)
        for name in MAPS:
            our_map, stock_map = getattr(our_maps, name), getattr(stock_maps, name)
            assert our_map.dtype == stock_map.dtype, name
            if name == "negative_jumps":  # without a gain, the stock engine sees no sign
                known = (our_maps.pixeldq & np.uint32(DQ.NO_GAIN_VALUE)) == 0
                our_map, stock_map = our_map[known], stock_map[known]
            np.testing.assert_array_equal(our_map, stock_map, err_msg=name)


def assert_eventful(calibrated: Calibrated) -> None:
    """What is compared has every kind of flag in it."""
    for _, maps in calibrated:
        for flag in (DQ.SATURATED, DQ.JUMP_DET, DQ.AD_FLOOR, DQ.DO_NOT_USE):
            assert (maps.groupdq & np.uint8(flag)).any(), flag
        for bit in (DQ.NO_SAT_CHECK, DQ.NO_LIN_CORR, DQ.NO_GAIN_VALUE, DQ.REFERENCE_PIXEL):
            assert (maps.pixeldq & np.uint32(bit)).any(), bit
        assert 0.5 < np.isfinite(maps.rate).mean() < 1
        assert maps.negative_jumps.any()


@pytest.mark.parametrize("detector", ["NRS1", "NRS2"])
def test_full_frame_chain_is_that_of_jwst(detector: str) -> None:
    case = make_case(detector, "FULL", n_groups=5)
    ours = calibrate(case)
    assert_eventful(ours)
    assert_same(ours, calibrate_stock(case))


def test_full_frame_chain_with_sirs_is_that_of_jwst() -> None:
    """Bands that end within amplifiers; rows of the detector without any good side pixel."""
    case = make_case("NRS2", "FULL", n_groups=3, seed=2)
    case.raw[:, 1:, :4, 700:900] += 900
    case.raw[:, 1:, -4:, 700:900] += 900
    case = replace(case, references=case.references.replace(sirskernel=make_sirskernel()))
    parameters = CalibrationParameters.model_validate({"refpix": {"refpix_algorithm": "sirs"}})
    ours = calibrate(case, parameters, band_rows=300)
    assert np.isnan(ours[0][0][1]).any()  # where jwst knows of nothing to filter
    assert_same(ours, calibrate_stock(case, parameters))


@pytest.mark.parametrize(
    ("detector", "subarray", "n_groups", "n_integrations", "n_frames"),
    [
        ("NRS1", "SUBS200A1", 6, 2, 1),
        ("NRS2", "SUBS200A1", 12, 1, 4),
        ("NRS2", "SUB1024B", 14, 3, 1),
        ("NRS1", "ALLSLITS", 4, 1, 1),
    ],
)
def test_subarray_chain_is_that_of_jwst(
    detector: str, subarray: str, n_groups: int, n_integrations: int, n_frames: int
) -> None:
    case = make_case(
        detector, subarray, n_groups=n_groups, n_integrations=n_integrations, n_frames=n_frames
    )
    ours = calibrate(case, band_rows=24)
    assert_eventful(ours)
    assert_same(ours, calibrate_stock(case))


@pytest.mark.parametrize(
    ("detector", "subarray", "n_groups"),
    [("NRS1", "SUB512", 5), ("NRS2", "SUB32", 3), ("NRS1", "SUB512S", 2)],
)
def test_small_and_short_exposures_are_those_of_jwst(
    detector: str, subarray: str, n_groups: int
) -> None:
    case = make_case(detector, subarray, n_groups=n_groups, seed=4)
    assert_same(calibrate(case, band_rows=10), calibrate_stock(case))


def test_parameters_mean_the_same_in_both() -> None:
    parameters = CalibrationParameters.model_validate(
        {
            "saturation": {"n_pix_grow_sat": 2},
            "refpix": {"odd_even_columns": False},
            "jump": {"rejection_threshold": 6.0, "flag_4_neighbors": False},
            "snowballs": {"expand_factor": 3.0, "edge_size": 5},
            "ramp_fit": {"suppress_one_group": False},
        }
    )
    case = make_case("NRS1", "SUBS200A1", n_groups=5, seed=7)
    assert_same(calibrate(case, parameters), calibrate_stock(case, parameters))


def test_a_group_without_a_usable_sample_counts_as_in_jwst() -> None:
    """Such a group decides how the jump test goes about, for every band alike."""
    case = make_case("NRS1", "SUB512", n_groups=11, seed=5)
    case.raw[:, 4] = 0
    assert_same(calibrate(case, band_rows=7), calibrate_stock(case))


def test_everything_saturated_from_the_start_has_no_rate() -> None:
    case = make_case("NRS2", "SUB32", n_groups=4)
    case.raw[:] = 65000
    case.references.saturation_dq[:] = 0
    case.references.saturation[:] = 40000.0
    ours = calibrate(case)
    assert np.isnan(ours[0][1].rate).all()
    assert_same(ours, calibrate_stock(case))


@cache
def small_case(n_frames: int) -> tuple[Case, Calibrated]:
    case = make_case(
        "NRS2", "SUBS200A1", n_groups=5, n_integrations=2, n_frames=n_frames, shape=(64, 200)
    )
    return case, calibrate(case, band_rows=64)


@settings(deadline=None, max_examples=15)
@given(band_rows=st.integers(1, 70), threads=st.integers(1, 5), n_frames=st.sampled_from([1, 4]))
def test_results_do_not_depend_on_bands_and_threads(
    band_rows: int, threads: int, n_frames: int
) -> None:
    case, whole = small_case(n_frames)
    for (ramp, maps), (whole_ramp, whole_maps) in zip(
        calibrate(case, band_rows=band_rows, threads=threads), whole, strict=True
    ):
        np.testing.assert_array_equal(ramp, whole_ramp)
        for name in MAPS:
            np.testing.assert_array_equal(
                getattr(maps, name), getattr(whole_maps, name), err_msg=name
            )


@pytest.mark.parametrize("quantum", [None, 1 / 8])
def test_rates_are_those_of_the_ramps_and_flags_that_are_kept(quantum: float | None) -> None:
    """Also where snowballs, which are found last, have changed the flags."""
    case = make_case("NRS1", "ALLSLITS", n_groups=6, n_integrations=2)
    parameters = CalibrationParameters()
    without = CalibrationParameters.model_validate({"snowballs": {"expand_large_events": False}})
    plain = calibrate(case, without)
    for (ramp, maps), (plain_ramp, before) in zip(
        calibrate(case, parameters, quantum=quantum, threads=2), plain, strict=True
    ):
        expected = plain_ramp if quantum is None else round_to(plain_ramp, quantum)
        np.testing.assert_array_equal(ramp, expected)
        assert (maps.groupdq != before.groupdq).any()
        found = measure_rates(
            ramp,
            maps.groupdq,
            maps.pixeldq,
            gain=case.references.gain,
            readnoise=case.references.readnoise,
            exposure=case.exposure,
            parameters=parameters,
        )
        for name in PixelRates._fields:
            np.testing.assert_array_equal(getattr(maps, name), getattr(found, name), err_msg=name)


def test_inputs_may_be_read_only() -> None:
    """They come so from a scheduler, and nothing is written into them."""
    case = make_case("NRS1", "SUB512", n_groups=4)
    expected = calibrate(case)
    for array in (case.raw, *(getattr(case.references, name) for name in References.__slots__)):
        if array is not None:
            array.flags.writeable = False
    assert_same(calibrate(case), expected)


@pytest.mark.parametrize("changes", [{"readpatt": "NRSIRS2RAPID"}, {"n_outputs": 4}])
def test_what_cannot_be_calibrated_is_refused(changes: dict[str, object]) -> None:
    case = make_case("NRS1", "SUB32", n_groups=4)
    other = Case(replace(case.exposure, **changes), case.raw, case.references)
    with pytest.raises(NrsdarkError, match=r"memory: .*;"):
        calibrate(other)


class FullDisk(ArrayBuffer):
    """Takes one band, then fails."""

    def write(self, rows: slice, ramp: np.ndarray) -> None:
        if rows.start > 0:
            raise OSError(28, "No space left on device")
        super().write(rows, ramp)


def test_a_failing_write_ends_the_calibration_and_its_threads() -> None:
    case = make_case("NRS1", "SUBS200A1", n_groups=4)
    with pytest.raises(OSError, match="No space left"):
        calibrate_exposure(
            ArrayReader(case.raw),
            case.exposure,
            case.references,
            CalibrationParameters(),
            [FullDisk(case.raw.shape[1:])],
            band_rows=8,
            threads=2,
        )
    assert not [t for t in threading.enumerate() if t.name.startswith("calibration")]
