"""Noise of IRS2 frames: what is read when, and who shares which stream."""

from __future__ import annotations

import numpy as np
import pytest

from nrsdark_xr.detector import from_detector_frame
from nrsdark_xr.detector.irs2 import (
    FRAME_TICKS,
    LINE_TICKS,
    in_reading_order,
    is_reference_sample,
    sample_ticks,
)
from nrsdark_xr.simulate.irs2_noise import Streams, add_streams, draw_streams
from nrsdark_xr.simulate.parameters import NoiseParameters

SILENT = dict.fromkeys(NoiseParameters.model_fields, 0.0)
COUPLING = np.array([1.0, 0.9, 1.0, 1.1, 1.2])


def drawn(frames: int = 1, delay: int = 0, **noise: float) -> list[Streams]:
    streams = draw_streams(
        np.random.default_rng(4),
        NoiseParameters(**{**SILENT, **noise}),
        coupling=COUPLING,
        delay=delay,
    )
    return [next(streams) for _ in range(frames)]


def as_read(streams: Streams) -> np.ndarray:
    """Samples of a frame: output, line, sample in the order read."""
    frame = np.zeros((2048, 3200), np.float32)
    add_streams(frame, streams)
    return in_reading_order(from_detector_frame(frame, "NRS2"), "NRS2")


def test_samples_take_their_noise_from_the_tick_at_which_they_are_read() -> None:
    time = np.arange(FRAME_TICKS, dtype=np.float32)
    shift = np.arange(5, dtype=np.float32)[:, np.newaxis]
    nothing = np.zeros((4, FRAME_TICKS // 2), np.float32)
    samples = as_read(Streams(time + shift, nothing, 7.0))
    lines = np.arange(2048)[:, np.newaxis] * LINE_TICKS
    for output in range(5):
        np.testing.assert_array_equal(samples[output], lines + sample_ticks() + output + 7)


def test_columns_alternate_and_reference_samples_in_pairs() -> None:
    nothing, one = np.zeros((5, FRAME_TICKS), np.float32), np.ones((4, FRAME_TICKS // 2))
    samples = as_read(Streams(nothing, one.astype(np.float32), 0.0))
    assert not samples[0].any()
    reference = is_reference_sample()
    pixels = samples[1:, :, ~reference]
    assert np.all(pixels[..., 0::2] == 1)
    assert np.all(pixels[..., 1::2] == -1)
    pairs = samples[1:, :, reference].reshape(4, 2048, 32, 4)
    assert np.all(pairs == [-1, -1, 1, 1])


def test_outputs_share_the_common_noise_and_the_reference_output_sees_it_later() -> None:
    delay = 6
    (streams,) = drawn(delay=delay, correlated_pink=3.0)
    for output in range(1, 5):
        seen = streams.pink[output] / COUPLING[output]
        np.testing.assert_allclose(seen[:-delay], streams.pink[0, delay:], atol=2e-3)
    assert streams.pink[0].std() == pytest.approx(3, rel=0.2)


def test_other_noise_is_not_shared() -> None:
    (streams,) = drawn(uncorrelated_pink=1.0, alternating_column=1.0)
    rapid = np.diff(streams.pink)  # without the slow part, which has few independent samples
    assert np.abs(np.corrcoef(rapid) - np.eye(5)).max() < 0.02
    alternating = np.diff(streams.alternating)
    assert np.abs(np.corrcoef(alternating) - np.eye(4)).max() < 0.02


def test_even_and_odd_columns_are_as_noisy_as_told_and_do_not_share_it() -> None:
    """As in the traditional model: a stream of 2 e- for the even columns, one for the odd ones."""
    (streams,) = drawn(alternating_column=2.0)
    even = streams.pink[1:, ::2] + streams.alternating
    odd = streams.pink[1:, 1::2] - streams.alternating
    assert even.std() == pytest.approx(2, rel=0.2)
    assert odd.std() == pytest.approx(2, rel=0.2)
    for each in range(4):
        rapid = np.corrcoef(np.diff(even[each])[1:-1], np.diff(odd[each])[1:-1])
        assert abs(rapid[0, 1]) < 0.3


def test_noise_goes_on_from_frame_to_frame() -> None:
    first, second, third = drawn(3, correlated_pink=3.0, pedestal_drift=4.0)
    assert len({each.pedestal for each in (first, second, third)}) == 3
    ends = second.pink[1, :2000].mean() - first.pink[1, -2000:].mean()
    typical = first.pink[1].reshape(-1, 2048).mean(axis=1)
    assert abs(ends) < 3 * np.std(typical)
    assert not np.array_equal(third.pink, first.pink)
