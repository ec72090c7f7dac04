from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrsdark_xr.detector import amplifier_rows, from_detector_frame
from nrsdark_xr.simulate.noise import (
    Clocking,
    FrameNoise,
    PinkNoise,
    lay_out,
    traditional_clocking,
)
from nrsdark_xr.simulate.parameters import NoiseParameters

SILENT = dict.fromkeys(NoiseParameters.model_fields, 0.0)


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@settings(deadline=None, max_examples=30)
@given(
    rows=st.integers(1, 6),
    columns=st.integers(1, 6),
    overhead=st.integers(0, 4),
    output=st.integers(0, 3),
)
def test_pixels_are_laid_out_in_the_order_in_which_they_are_read(
    rows: int, columns: int, overhead: int, output: int
) -> None:
    clocking = Clocking(rows, columns, 4, columns + overhead)
    image = lay_out(np.arange(clocking.ticks, dtype=np.float32), clocking, output)
    for row in range(rows):
        for column in range(columns):
            read = columns - 1 - column if output % 2 else column
            assert image[row, column] == row * (columns + overhead) + read


def test_a_full_frame_row_takes_524_ticks() -> None:
    assert traditional_clocking(rows=2048, columns=2048, outputs=4) == Clocking(2048, 512, 4, 524)
    assert traditional_clocking(rows=2048, columns=64, outputs=1) == Clocking(2048, 64, 1, 76)


def test_pink_noise_falls_as_one_over_frequency() -> None:
    ticks = 2**14
    pink, generator = PinkNoise(ticks), rng()
    spectra = [np.abs(np.fft.rfft(pink.draw(generator, 1.0))) ** 2 for _ in range(60)]
    power = np.mean(spectra, axis=0)
    low, high = power[20:60].mean(), power[2000:6000].mean()
    assert low / high == pytest.approx(100, rel=0.15)


def test_pink_noise_has_the_amplitude_of_a_full_frame() -> None:
    # All frequencies of twice a full frame add up to the amplitude; the first half has nearly all.
    pink, generator = PinkNoise(524 * 2048), rng()
    draws = np.array([pink.draw(generator, 3.0) for _ in range(6)])
    assert np.sqrt(np.mean(draws.astype(float) ** 2)) == pytest.approx(3.0, rel=0.1)


def test_pink_noise_has_the_same_density_in_a_short_frame() -> None:
    """A short stream lacks the low frequencies, and with them some of the variance."""
    generator = rng()
    short, long = PinkNoise(2**10), PinkNoise(2**16)
    steps_short = [np.var(np.diff(short.draw(generator, 1.0))) for _ in range(400)]
    steps_long = [np.var(np.diff(long.draw(generator, 1.0))) for _ in range(8)]
    assert np.mean(steps_short) == pytest.approx(np.mean(steps_long), rel=0.05)


def test_the_end_of_a_stream_knows_nothing_of_its_start() -> None:
    pink, generator = PinkNoise(4096), rng()
    draws = np.array([pink.draw(generator, 1.0) for _ in range(1500)])
    neighbours = np.mean(draws[:, 0] * draws[:, 1])
    ends = np.mean(draws[:, 0] * draws[:, -1])
    assert abs(ends) < 0.25 * neighbours


@pytest.mark.parametrize("detector", ["NRS1", "NRS2"])
def test_amplifiers_share_noise_in_opposite_directions(detector: str) -> None:
    """In the DMS frame: bands of 512 rows, read up and down in turn; columns follow slowly."""
    clocking = traditional_clocking(rows=2048, columns=2048, outputs=4)
    parameters = NoiseParameters(**{**SILENT, "correlated_pink": 3.0})
    frame = FrameNoise(clocking, parameters).draw(rng())
    image = from_detector_frame(frame, detector)
    first, second, third, fourth = (image[rows] for rows in amplifier_rows(detector))
    np.testing.assert_array_equal(first, third)
    np.testing.assert_array_equal(first[::-1], second)
    np.testing.assert_array_equal(second, fourth)
    # In time: along y within a column, from the first column read to the last one.
    upwards = detector == "NRS1"
    in_time = first.T if upwards else first[::-1, ::-1].T
    along_y = np.mean(in_time[:, 1:] * in_time[:, :-1])
    assert along_y > 1.05 * np.mean(in_time[1:] * in_time[:-1])
    end_to_start = np.mean(in_time[:-1, -1] * in_time[1:, 0])
    start_to_start = np.mean(in_time[:-1, 0] * in_time[1:, 0])
    assert end_to_start > start_to_start


def test_outputs_have_noise_of_their_own() -> None:
    clocking = Clocking(256, 64, 4, 76)
    parameters = NoiseParameters(**{**SILENT, "uncorrelated_pink": 3.0})
    frame = FrameNoise(clocking, parameters).draw(rng())
    first, second = frame[:, :64], frame[:, 64:128][:, ::-1]
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.5
    assert not np.array_equal(first, second)


def test_alternating_noise_tells_even_from_odd_columns() -> None:
    clocking = Clocking(256, 64, 1, 76)
    parameters = NoiseParameters(**{**SILENT, "alternating_column": 3.0})
    frame = FrameNoise(clocking, parameters).draw(rng())
    frame -= frame.mean()
    alike = np.mean(frame[:, 2:] * frame[:, :-2])
    unlike = np.mean(frame[:, 1:] * frame[:, :-1])
    assert alike > 3 * abs(unlike)


def test_the_pedestal_is_one_value_per_frame() -> None:
    parameters = NoiseParameters(**{**SILENT, "pedestal_drift": 4.0})
    noise, generator = FrameNoise(Clocking(8, 16, 1, 28), parameters), rng()
    frames = np.array([noise.draw(generator) for _ in range(400)])
    assert np.all(frames == frames[:, :1, :1])
    assert frames[:, 0, 0].std() == pytest.approx(4.0, rel=0.15)
