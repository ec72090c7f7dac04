"""Draws a detector.

It is drawn whole, each property from a random stream of its own, so that full frame and all
subarrays of one seed are the same detector; then it is cut to what is read.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector import (
    AMPLIFIER_WIDTH,
    DETECTOR_SIZE,
    DETECTORS,
    REFERENCE_BORDER,
    to_detector_frame,
)
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.simulate.configuration import Configuration, modified_julian_date
from nrsdark_xr.simulate.parameters import SimulationParameters
from nrsdark_xr.simulate.pixels import (
    BoolImage,
    FloatImage,
    HotPixels,
    Index,
    Pixels,
    RCPixels,
    Telegraph,
)

_LAUNCH_MJD = 59573.0
_DAYS_PER_MONTH = 30.4375
_DETECTOR = 0
"""First word of the spawn keys of everything about the detector."""
_STRUCTURE_WAVES = 6
_OUTLIER_LIMIT = 5.0
"""Scatter between pixels is cut here, in standard deviations, so that nothing turns negative."""


def draw_pixels(parameters: SimulationParameters, configuration: Configuration) -> Pixels:
    """Draw the detector and cut it to the area that is read.

    Raises
    ------
    NrsdarkError
        If the fractions of special pixels add up to more than all pixels.
    """
    return _Scene(parameters, configuration).pixels()


class _Scene:
    """Draws one detector, each property from its own random stream."""

    def __init__(self, parameters: SimulationParameters, configuration: Configuration) -> None:
        self._parameters = parameters
        self._configuration = configuration
        area = configuration.area
        self._cut = (
            slice(area.ystart - 1, area.ystart - 1 + area.ysize),
            slice(area.xstart - 1, area.xstart - 1 + area.xsize),
        )
        whole = np.arange(DETECTOR_SIZE**2, dtype=np.int32).reshape(DETECTOR_SIZE, DETECTOR_SIZE)
        here = self._local(whole)
        self._position = np.full(whole.size, -1, np.int64)
        self._position[here.ravel()] = np.arange(here.size)
        self._shape = here.shape

    def _random(self, name: str) -> np.random.Generator:
        detector = DETECTORS.index(self._configuration.detector)
        key = (_DETECTOR, detector, *name.encode())
        sequence = np.random.SeedSequence(self._parameters.seed, spawn_key=key)
        return np.random.Generator(np.random.SFC64(sequence))

    def _local(self, image: NDArray) -> NDArray:
        """Cut an image of the whole detector and turn it to the detector frame."""
        turned = to_detector_frame(image[self._cut], self._configuration.detector)
        return np.ascontiguousarray(turned)

    def _normal(self, name: str) -> FloatImage:
        size = (DETECTOR_SIZE, DETECTOR_SIZE)
        return self._local(self._random(name).standard_normal(size, dtype=np.float32))

    def _scatter(self, name: str, relative: float) -> FloatImage:
        """Factors about 1 with a standard deviation of `relative`."""
        normal = self._normal(name).clip(-_OUTLIER_LIMIT, _OUTLIER_LIMIT)
        return 1 + np.float32(relative) * normal

    def _here(self, whole: Index) -> tuple[Index, BoolImage]:
        """Flat indices of those pixels of `whole` that are read, and which of `whole` these are."""
        position = self._position[whole]
        inside = position >= 0
        return position[inside], inside

    def pixels(self) -> Pixels:
        reference = self._local_reference()
        gain = self._gain()
        kernel = ipc_kernel(self._parameters)
        groups = self._special_pixels()
        dead = np.zeros(self._shape, np.bool_)
        dead.flat[self._here(groups["dead"])[0]] = True
        full_well, curvature = self._response(gain, reference | dead)
        hot = self._hot(groups, gain, float(kernel[1, 1]))
        bad_reference, noise_factor, intermittent = self._reference_pixels(reference)
        return Pixels(
            reference=reference,
            dead=dead,
            bias=self._bias(reference),
            gain=gain,
            rate=self._dark(reference | dead, groups["warm"], gain),
            full_well=full_well,
            curvature=curvature,
            noise_factor=noise_factor,
            kernel=kernel,
            hot=hot,
            vanished_hot=self._here(groups["vanished"])[0],
            rc=self._rc(groups["rc"], gain),
            telegraph=self._telegraph(groups["telegraph"]),
            intermittent=intermittent,
            bad_reference=bad_reference,
        )

    def _local_reference(self) -> BoolImage:
        return np.ascontiguousarray(
            to_detector_frame(self._configuration.reference_pixels(), self._configuration.detector)
        )

    def _special_pixels(self) -> dict[str, Index]:
        """Draw disjoint groups of pixels of the whole detector, as flat indices."""
        p, configuration = self._parameters, self._configuration
        inner = DETECTOR_SIZE - 2 * REFERENCE_BORDER
        months = (configuration.last - configuration.first).days / _DAYS_PER_MONTH
        hot = p.hot_pixels.fraction.of(configuration.detector)
        fractions = {
            "dead": p.dead_pixels.fraction,
            "rc": p.rc.fraction,
            "telegraph": p.telegraph.fraction,
            "warm": p.dark.warm_fraction,
            "hot": hot,
            "vanished": hot * p.hot_pixels.vanished,
            "new": p.hot_pixels.new_per_month.of(configuration.detector) * months / inner**2,
        }
        counts = [round(fraction * inner**2) for fraction in fractions.values()]
        if sum(counts) > inner**2:
            raise NrsdarkError(
                "the fractions of dead, RC, telegraph, warm and hot pixels add up to more than 1",
                remedy="lower them",
            )
        drawn = self._random("special").choice(inner**2, sum(counts), replace=False)
        y, x = np.divmod(drawn, inner)
        whole = (y + REFERENCE_BORDER) * DETECTOR_SIZE + x + REFERENCE_BORDER
        return dict(zip(fractions, np.split(whole, np.cumsum(counts)[:-1]), strict=True))

    def _gain(self) -> FloatImage:
        p = self._parameters.gain
        gradient = p.gradient.of(self._configuration.detector)
        along_x = 1 + gradient * np.linspace(-0.5, 0.5, DETECTOR_SIZE, dtype=np.float32)
        image = self._local(np.broadcast_to(along_x, (DETECTOR_SIZE, DETECTOR_SIZE)))
        image *= self._scatter("gain", p.pixel_scatter)
        image *= np.float32(self._configuration.gain)
        return image

    def _bias(self, reference: BoolImage) -> FloatImage:
        p, configuration = self._parameters.bias, self._configuration
        pixel = self._normal("bias").clip(-p.clip, p.clip)
        pattern = np.float32(p.pixel_scatter) * pixel
        pattern += np.float32(p.structure) * self._local(self._waves())
        pattern[reference] = np.float32(p.reference_pixel_scatter) * pixel[reference]
        rows = np.arange(DETECTOR_SIZE, dtype=np.float32) % 2 - 0.5
        amplifiers = self._random("amplifier").standard_normal(DETECTOR_SIZE // AMPLIFIER_WIDTH)
        rows = np.float32(p.row_parity) * rows
        if configuration.is_full_frame:
            rows += np.repeat(p.amplifier_offset * amplifiers, AMPLIFIER_WIDTH).astype(np.float32)
        pattern += self._local(np.broadcast_to(rows[:, np.newaxis], (DETECTOR_SIZE, DETECTOR_SIZE)))
        pattern /= np.float32(configuration.gain_factor)
        level = p.full_frame_level if configuration.is_full_frame else p.subarray_level
        return pattern + np.float32(level)

    def _waves(self) -> FloatImage:
        """Smooth pattern over the whole detector with a standard deviation of 1."""
        rng = self._random("structure")
        axis = np.linspace(0, 2 * np.pi, DETECTOR_SIZE, dtype=np.float32)
        image = np.zeros((DETECTOR_SIZE, DETECTOR_SIZE), np.float32)
        for _ in range(_STRUCTURE_WAVES):
            cycles_y, cycles_x = rng.uniform(0.3, 3, 2)
            phase_y, phase_x = rng.uniform(0, 2 * np.pi, 2)
            along_y = np.sin(cycles_y * axis + phase_y).astype(np.float32)
            along_x = np.sin(cycles_x * axis + phase_x).astype(np.float32)
            image += np.outer(along_y, along_x)
        image -= image.mean(dtype=np.float64)
        image /= image.std(dtype=np.float64)
        return image

    def _dark(self, inert: BoolImage, warm: Index, gain: FloatImage) -> FloatImage:
        p = self._parameters.dark
        rate = np.float32(p.median_rate.of(self._configuration.detector)) * np.exp(
            np.float32(p.scatter) * self._normal("dark")
        )
        low, high = p.warm_rates
        slope = self._parameters.hot_pixels.slope
        warm_rate = _power_law(self._random("warm").random(warm.size), low, high, slope)
        index, inside = self._here(warm)
        rate.flat[index] = warm_rate[inside] * gain.flat[index]
        rate[inert] = 0
        return rate

    def _response(self, gain: FloatImage, inert: BoolImage) -> tuple[FloatImage, FloatImage]:
        p = self._parameters.response
        well = self._scatter("well", p.full_well_scatter)
        well *= np.float32(p.full_well)
        lost = self._scatter("linearity", p.nonlinearity_scatter)
        lost *= np.float32(p.nonlinearity)
        curvature = lost / (np.square(1 - lost) * (well / gain))
        curvature[inert] = 0
        well[inert] = 0
        return well, curvature

    def _hot(self, groups: dict[str, Index], gain: FloatImage, seen: float) -> HotPixels:
        """Hot pixels; their rates are those measured, after the loss to the neighbours."""
        p, configuration = self._parameters.hot_pixels, self._configuration
        rng = self._random("hot")
        old, new = groups["hot"], groups["new"]
        first = modified_julian_date(configuration.first)
        last = modified_julian_date(configuration.last)
        old_dates = np.sort(rng.uniform(min(_LAUNCH_MJD, first), first, old.size))
        dates = np.concatenate([old_dates, rng.uniform(first, last, new.size)])
        # The mask is older than the period: what it lacks turned hot last.
        n_known = round(old.size * (1 - p.unknown.of(configuration.detector)))
        rate = _power_law(rng.random(dates.size), *p.rates, p.slope)
        index, inside = self._here(np.concatenate([old, new]))
        return HotPixels(
            index=index,
            rate=rate[inside] * gain.flat[index] / seen,
            date=dates[inside],
            known=np.flatnonzero(inside) < n_known,
        )

    def _rc(self, whole: Index, gain: FloatImage) -> RCPixels:
        p, rng = self._parameters.rc, self._random("rc")
        n = whole.size
        amplitude = np.stack([rng.uniform(*p.fast_amplitude, n), rng.uniform(*p.slow_amplitude, n)])
        amplitude[:, rng.random(n) < p.saturating_fraction] *= p.saturating_factor
        time = np.stack([rng.uniform(*p.fast_time, n), _log_uniform(rng, *p.slow_time, n)])
        index, inside = self._here(whole)
        return RCPixels(index, amplitude[:, inside] * gain.flat[index], time[:, inside])

    def _telegraph(self, whole: Index) -> Telegraph:
        p, rng = self._parameters.telegraph, self._random("telegraph")
        amplitude = p.amplitude * np.exp(p.amplitude_scatter * rng.standard_normal(whole.size))
        dwell = _log_uniform(rng, *p.dwell_time, (2, whole.size))
        index, inside = self._here(whole)
        return Telegraph(index, amplitude[inside], dwell[:, inside])

    def _reference_pixels(self, reference: BoolImage) -> tuple[BoolImage, FloatImage, Telegraph]:
        """Which reference pixels are bad, the noise of all pixels, and the intermittent offsets."""
        p, rng = self._parameters.reference_pixels, self._random("reference")
        border = np.ones((DETECTOR_SIZE, DETECTOR_SIZE), np.bool_)
        border[REFERENCE_BORDER:-REFERENCE_BORDER, REFERENCE_BORDER:-REFERENCE_BORDER] = False
        candidates = np.flatnonzero(border)
        bad = rng.permutation(candidates)[: round(p.bad_fraction * candidates.size)]
        is_noisy = np.arange(bad.size) % 2 == 0
        factor = rng.uniform(*p.bad_noise_factor, bad.size) * p.noise_ratio
        offset = rng.uniform(*p.bad_offset, bad.size) * rng.choice([-1, 1], bad.size)
        dwell = _log_uniform(rng, *p.bad_dwell_time, (2, bad.size))
        index, inside = self._here(bad)
        noisy, steps = is_noisy[inside], ~is_noisy[inside]
        noise_factor = np.where(reference, np.float32(p.noise_ratio), np.float32(1))
        noise_factor.flat[index[noisy]] = factor[inside][noisy]
        bad_image = np.zeros(self._shape, np.bool_)
        bad_image.flat[index] = True
        intermittent = Telegraph(index[steps], offset[inside][steps], dwell[:, inside][:, steps])
        return bad_image, noise_factor, intermittent


def ipc_kernel(parameters: SimulationParameters) -> FloatImage:
    """Inter-pixel capacitance kernel in the detector frame, shape (3, 3); its sum is 1."""
    p = parameters.ipc
    kernel = np.array(
        [
            [p.diagonal, p.slow_axis, p.diagonal],
            [p.fast_axis, 0.0, p.fast_axis],
            [p.diagonal, p.slow_axis, p.diagonal],
        ]
    )
    kernel[1, 1] = 1 - kernel.sum()
    return kernel.astype(np.float32)


def _power_law(
    quantile: NDArray[np.float64], low: float, high: float, slope: float
) -> NDArray[np.float64]:
    """Values between `low` and `high` whose number above r falls as r**-slope."""
    at_low, at_high = low**-slope, high**-slope
    return (at_low - quantile * (at_low - at_high)) ** (-1 / slope)


def _log_uniform(
    rng: np.random.Generator, low: float, high: float, size: int | tuple[int, ...]
) -> NDArray[np.float64]:
    return np.exp(rng.uniform(np.log(low), np.log(high), size))
