from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrsdark_xr.calibration.parameters import SaturationParameters
from nrsdark_xr.calibration.saturation import flag_saturation, halo_rows, usable_thresholds
from nrsdark_xr.detector import DQ


def ramps(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """Ramps of many slopes with steps and zeros; about a tenth saturates."""
    ramp = np.cumsum(rng.exponential(2500, shape) * rng.exponential(1, shape[1:]), axis=0)
    ramp += 12000
    ramp[rng.random(shape) < 0.01] = 0
    return np.clip(np.rint(ramp), 0, 65535).astype(np.float32)


def references(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, ...]:
    threshold = rng.normal(45000, 5000, shape).astype(np.float32)
    threshold[rng.random(shape) < 0.02] = np.nan
    dq = np.where(rng.random(shape) < 0.02, DQ.NO_SAT_CHECK, 0).astype(np.uint32)
    bias = rng.normal(12000, 300, shape).astype(np.float32)
    bias[rng.random(shape) < 0.02] = np.nan
    return threshold, dq, bias


def flag_with_stcal(
    data: np.ndarray,
    groupdq: np.ndarray,
    threshold: np.ndarray,
    dq: np.ndarray,
    bias: np.ndarray | None,
    n_frames: int,
    parameters: SaturationParameters,
) -> tuple[np.ndarray, np.ndarray]:
    from stcal.saturation.saturation import flag_saturated_pixels
    from stdatamodels.jwst.datamodels import dqflags

    pattern = [
        [1 + frame + group * n_frames for frame in range(n_frames)] for group in range(len(data))
    ]
    flagged, pixeldq, _ = flag_saturated_pixels(
        data[np.newaxis].copy(),
        groupdq[np.newaxis].copy(),
        np.zeros(dq.shape, np.uint32),
        threshold.copy(),
        dq.copy(),
        65535.0,
        dqflags.pixel,
        n_pix_grow_sat=parameters.n_pix_grow_sat,
        read_pattern=pattern if parameters.use_readpatt else None,
        bias=bias,
    )
    return flagged[0], pixeldq


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_groups=st.integers(1, 7),
    n_frames=st.sampled_from([1, 4]),
    grow=st.integers(0, 2),
    use_readpatt=st.booleans(),
    with_bias=st.booleans(),
)
def test_flags_are_those_of_stcal(
    seed: int, n_groups: int, n_frames: int, grow: int, use_readpatt: bool, with_bias: bool
) -> None:
    rng = np.random.default_rng(seed)
    data = ramps(rng, (n_groups, 16, 40))
    groupdq = (rng.random(data.shape) < 0.02).astype(np.uint8)
    threshold, dq, bias = references(rng, data.shape[1:])
    parameters = SaturationParameters(n_pix_grow_sat=grow, use_readpatt=use_readpatt)
    expected, expected_dq = flag_with_stcal(
        data, groupdq, threshold, dq, bias if with_bias else None, n_frames, parameters
    )

    usable, usable_dq = usable_thresholds(threshold, dq)
    flagged = flag_saturation(
        data,
        groupdq,
        threshold=usable,
        dq=usable_dq,
        n_frames=n_frames,
        bias=bias if with_bias else None,
        parameters=parameters,
    )

    np.testing.assert_array_equal(flagged, expected)
    np.testing.assert_array_equal(usable_dq, expected_dq)


@pytest.mark.parametrize("n_frames", [1, 4])
@pytest.mark.parametrize("grow", [1, 2])
def test_a_band_with_its_halo_has_the_flags_of_the_whole(n_frames: int, grow: int) -> None:
    rng = np.random.default_rng(1)
    data = ramps(rng, (6, 60, 50))
    threshold, dq, bias = references(rng, data.shape[1:])
    threshold, dq = usable_thresholds(threshold, dq)
    parameters = SaturationParameters(n_pix_grow_sat=grow)

    def flag(rows: slice) -> np.ndarray:
        return flag_saturation(
            data[:, rows],
            np.zeros_like(data[:, rows], dtype=np.uint8),
            threshold=threshold[rows],
            dq=dq[rows],
            n_frames=n_frames,
            bias=bias[rows],
            parameters=parameters,
        )

    halo = halo_rows(n_frames=n_frames, parameters=parameters)
    whole = flag(slice(0, 60))
    np.testing.assert_array_equal(flag(slice(20 - halo, 40 + halo))[:, halo:-halo], whole[:, 20:40])
    assert (flag(slice(20, 40)) != whole[:, 20:40]).any()  # the halo was needed


def test_averaged_groups_show_saturation_that_plain_ones_do_not() -> None:
    rng = np.random.default_rng(2)
    data = ramps(rng, (6, 60, 50))
    threshold, dq = usable_thresholds(*references(rng, data.shape[1:])[:2])
    counts = [
        np.count_nonzero(
            flag_saturation(
                data,
                np.zeros_like(data, dtype=np.uint8),
                threshold=threshold,
                dq=dq,
                n_frames=n_frames,
                bias=None,
                parameters=SaturationParameters(),
            )
            & np.uint8(DQ.DO_NOT_USE)
        )
        for n_frames in (1, 4)
    ]
    assert counts[1] > counts[0] > 0
