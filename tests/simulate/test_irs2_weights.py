"""The weights are those with which drawn noise is corrected best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from nrsdark_xr.detector.irs2 import FRAME_TICKS, LINE_TICKS, sample_ticks
from nrsdark_xr.simulate import SimulationParameters
from nrsdark_xr.simulate.irs2_noise import draw_streams
from nrsdark_xr.simulate.irs2_weights import SLOTS, SOURCES, Weights, optimal_weights

COUPLING = np.array([1.0, 0.85, 1.0, 1.1, 1.2])
AMPLIFIER = 1
PARAMETERS = SimulationParameters(
    readpatt="NRSIRS2RAPID",
    noise={"white": 6.0, "correlated_pink": 4.0, "uncorrelated_pink": 2.0, "alternating_column": 3},
)
FRAMES = 4


@dataclass
class Frame:
    """Spectra of a frame: the amplifier without white noise, reference samples and output."""

    amplifier: np.ndarray
    samples: np.ndarray
    output: np.ndarray


@pytest.fixture(scope="module")
def weights() -> Weights:
    return optimal_weights(PARAMETERS, COUPLING)


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    rng = np.random.default_rng(8)
    noise, delay = PARAMETERS.noise, PARAMETERS.irs2.reference_output_delay
    white = noise.white * PARAMETERS.reference_pixels.noise_ratio
    streams = draw_streams(rng, noise, coupling=COUPLING, delay=delay)
    found = []
    for _ in range(FRAMES):
        drawn = next(streams)
        pink, alternating = drawn.pink[1 + AMPLIFIER], np.repeat(drawn.alternating[AMPLIFIER], 2)
        sign = np.where(np.arange(FRAME_TICKS) % 2 == 0, 1, -1)
        # Reads 9 and 10 of a visit are of an odd column, 11 and 12 of an even one.
        lines = (FRAME_TICKS // LINE_TICKS, LINE_TICKS)
        laid_out = np.zeros(lines)
        reads = {
            read: (pink + parity * alternating).reshape(lines)[:, read:704:22]
            + white * rng.standard_normal((lines[0], 32))
            for read, parity in ((9, -1), (10, -1), (11, 1), (12, 1))
        }
        for slot, source in zip(SLOTS, SOURCES, strict=True):
            laid_out[:, slot:704:22] = reads[source]
        output = drawn.pink[0].reshape(lines).astype(float)
        output[:, sample_ticks()] += white * rng.standard_normal((lines[0], 640))
        found.append(
            Frame(
                np.fft.fft(pink + sign * alternating),
                np.fft.fft(laid_out.ravel()),
                np.fft.fft(output.ravel()),
            )
        )
    return found


def rest(frames: list[Frame], alpha: np.ndarray, beta: np.ndarray) -> float:
    """Standard deviation of what is left, apart from the lowest frequencies of few samples."""
    power = 0.0
    for frame in frames:
        left = frame.amplifier - beta * frame.samples - alpha * frame.output
        left[:20] = left[-19:] = 0
        power += np.sum(np.abs(left) ** 2)
    return float(np.sqrt(power / FRAMES) / FRAME_TICKS)


def test_they_leave_what_they_should(weights: Weights, frames: list[Frame]) -> None:
    alpha, beta = weights.alpha[AMPLIFIER], weights.beta[AMPLIFIER]
    before = rest(frames, np.zeros_like(alpha), np.zeros_like(beta))
    after = rest(frames, alpha, beta)
    assert after == pytest.approx(weights.rest[AMPLIFIER], rel=0.02)
    assert after < 0.65 * before


@pytest.mark.parametrize("which", ["alpha", "beta"])
@pytest.mark.parametrize(
    "change",
    [
        lambda weights: 0.9 * weights,
        lambda weights: 1.1 * weights,
        lambda weights: np.exp(0.2j * np.sign(np.fft.fftfreq(FRAME_TICKS))) * weights,
        lambda weights: np.exp(-0.2j * np.sign(np.fft.fftfreq(FRAME_TICKS))) * weights,
    ],
    ids=["weaker", "stronger", "earlier", "later"],
)
def test_no_others_are_better(weights: Weights, frames: list[Frame], which: str, change) -> None:
    best = {"alpha": weights.alpha[AMPLIFIER], "beta": weights.beta[AMPLIFIER]}
    other = best | {which: change(best[which])}
    assert rest(frames, **other) > 1.0005 * rest(frames, **best)


def test_they_belong_to_real_streams(weights: Weights) -> None:
    for spectrum in (weights.alpha, weights.beta):
        np.testing.assert_array_equal(spectrum[:, 1:], spectrum[:, :0:-1].conj())
        assert np.abs(spectrum[:, 0].imag).max() < 1e-6


def test_each_amplifier_has_its_share_of_the_reference_output(weights: Weights) -> None:
    """Where the common noise dominates, alpha stands for it and turns with the delay."""
    low = slice(3, 200)
    strength = np.abs(weights.alpha[:, low]).mean(axis=1)
    assert np.all(np.diff(strength[np.argsort(COUPLING[1:])]) > 0)
    middle = slice(5_000, 15_000)
    phase = np.angle(
        weights.alpha[:, middle]
        * np.exp(
            -2j
            * np.pi
            * PARAMETERS.irs2.reference_output_delay
            * np.arange(5_000, 15_000)
            / FRAME_TICKS
        )
    )
    assert np.abs(phase.mean()) < 0.1
