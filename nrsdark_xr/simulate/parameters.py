"""Everything that the simulator can be told.

Each field says where its default comes from. *Not sourced* marks a free parameter: no published
value is known to us and the default is only plausible.

Sources: [NG] Rauscher 2015, arXiv:1509.06264 and its program nghxrg; [T4] JWST-STScI-009226,
Table 4; [RF25] Rauscher & Fixsen 2025, PASP 137, 095003; [JDox] JWST User Documentation; [ROM]
romanisim ``parameters.py``; [REF] measured on the NIRSpec reference files dark_0046 and
superbias_0075.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from nrsdark_xr.parameters import Parameters

Fraction = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


def _in_order(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[1] <= bounds[0]:
        raise ValueError("the second value must be larger than the first")
    return bounds


Range = Annotated[tuple[Positive, Positive], AfterValidator(_in_order)]


class PerDetector(Parameters):
    """A value for each detector."""

    nrs1: NotNegative
    """Value for NRS1."""
    nrs2: NotNegative
    """Value for NRS2."""

    def of(self, detector: str) -> float:
        """Return the value for `detector`, "NRS1" or "NRS2"."""
        return self.nrs1 if detector == "NRS1" else self.nrs2


class NoiseParameters(Parameters):
    """Read noise in time order; electrons rms."""

    white: NotNegative = 9.4
    """White noise of one frame: with the pink components 14 e- in a pair difference ([NG] Fig.
    1)."""
    correlated_pink: NotNegative = 3.0
    """1/f noise common to all outputs, over twice a full frame [NG]."""
    uncorrelated_pink: NotNegative = 1.0
    """1/f noise of each output, over twice a full frame [NG]."""
    alternating_column: NotNegative = 0.5
    """1/f noise that differs between even and odd columns of an output, over twice a full frame
    [NG]."""
    pedestal_drift: NotNegative = 4.0
    """Level of a whole frame [NG]."""
    reset: NotNegative = 29.0
    """kTC noise of each science pixel, new at each reset [NG]."""
    random_walk: NotNegative = 0.1
    """Growth of a slow drift of each pixel, e- per square root of a second. Not sourced: brings
    the slope noise of a full-frame 88-group exposure to the 6 e- of [NG] Fig. 6, which the SNR of
    [T4] needs."""


class BiasParameters(Parameters):
    """The signal at reset; DN in the full-frame gain setting unless said otherwise."""

    full_frame_level: NotNegative = 5000.0
    """Median in full frame [NG]."""
    subarray_level: NotNegative = 6684.0
    """Median in a subarray, in DN of the subarray gain setting [REF]."""
    pixel_scatter: NotNegative = 900.0
    """Pixel to pixel; with `structure` 1140 DN, the central 68 % of the 2016 superbias [REF]."""
    structure: NotNegative = 600.0
    """Smooth large-scale pattern. Not sourced apart from the sum above."""
    clip: Positive = 3.0
    """No pixel is further from the level than this many `pixel_scatter` plus `structure`. Not
    sourced."""
    row_parity: float = 297.0
    """Odd minus even rows of the DMS frame (columns along the fast axis) [REF]."""
    amplifier_offset: NotNegative = 100.0
    """Scatter of the levels of the four outputs, full frame only. Not sourced."""
    reference_pixel_scatter: NotNegative = 30.0
    """Scatter between reference pixels. Not sourced."""


class GainParameters(Parameters):
    """Electrons per DN."""

    full_frame: Positive = 1.0
    """"Near unity" on both detectors [JDox]."""
    subarray_factor: Positive = 1.429
    """Gain of subarrays over that of full frame (GAINFACT) [JDox]."""
    gradient: PerDetector = PerDetector(nrs1=0.0, nrs2=0.05)
    """Relative change across the detector along x [JDox]."""
    pixel_scatter: Fraction = 0.005
    """Relative scatter between pixels. Not sourced."""


class DarkParameters(Parameters):
    """Dark current of normal and warm pixels."""

    median_rate: PerDetector = PerDetector(nrs1=0.0084, nrs2=0.0050)
    """Electrons per second ([T4], traditional mode, at a gain of unity)."""
    scatter: NotNegative = 0.3
    """Standard deviation of the natural logarithm of the rate. Not sourced."""
    warm_fraction: Fraction = 0.005
    """Share of the pixels that lie in `warm_rates`. Not sourced."""
    warm_rates: Range = (0.05, 0.8)
    """Rates of warm pixels, DN/s. Not sourced."""


class HotPixelParameters(Parameters):
    """Pixels above 1 DN/s, and how they come and go."""

    fraction: PerDetector = PerDetector(nrs1=0.0024, nrs2=0.0013)
    """Pixels that are hot at the start of the period ([T4], last period)."""
    rates: Range = (1.0, 1000.0)
    """Rates, DN/s; the threshold is that of JWST-STScI-009226 §4.1.4."""
    slope: Positive = 0.7
    """The number of pixels above a rate falls with this power of it ([REF], between 10 and 50
    DN/s)."""
    unknown: PerDetector = PerDetector(nrs1=0.17, nrs2=0.25)
    """Fraction of these that the input mask does not know ([T4], last period)."""
    new_per_month: PerDetector = PerDetector(nrs1=70.0, nrs2=87.0)
    """Pixels of a full detector that turn hot per month of the period (counts and dates of
    [T4])."""
    vanished: Fraction = 0.03
    """Pixels that the input mask calls hot and that no longer are, in terms of those that are.
    Not sourced."""


class TelegraphParameters(Parameters):
    """Pixels with random telegraph noise: two levels, exponential dwell times."""

    fraction: Fraction = 0.0061
    """Share of the pixels (JWST-STScI-009226 §4.1.3)."""
    amplitude: Positive = 80.0
    """Median step, electrons. Not sourced; the pixel of JWST-STScI-009226 Fig. 3 has 60 DN."""
    amplitude_scatter: NotNegative = 0.6
    """Standard deviation of the natural logarithm of the step. Not sourced."""
    dwell_time: Range = (5.0, 300.0)
    """Mean time in a level, seconds, log-uniform, drawn for each level of a pixel. Not sourced."""


class RCParameters(Parameters):
    """Resistor-capacitor pixels: two exponentials from the reset on."""

    fraction: Fraction = 0.001
    """Share of the pixels [REF]."""
    fast_amplitude: Range = (1_000.0, 9_000.0)
    """DN [REF]."""
    fast_time: Range = (0.2, 0.6)
    """Seconds [REF]."""
    slow_amplitude: Range = (12_000.0, 21_000.0)
    """DN [REF]."""
    slow_time: Range = (1.2, 30.0)
    """Seconds, log-uniform. [REF] has 1.2 to 3.1 s, from a ramp of 2 s; slower pixels, which are
    the ones whose second and third full-frame groups jump, are not sourced."""
    saturating_fraction: Fraction = 0.2
    """Share of the RC pixels whose amplitudes are `saturating_factor` times as high. Not
    sourced."""
    saturating_factor: Positive = 6.0
    """See `saturating_fraction`. Not sourced."""


class IPCParameters(Parameters):
    """Inter-pixel capacitance: what a neighbour sees of a pixel's charge."""

    fast_axis: Fraction = 0.0054
    """Each neighbour along y [REF]."""
    slow_axis: Fraction = 0.0062
    """Each neighbour along x [REF]."""
    diagonal: Fraction = 0.0004
    """Each diagonal neighbour [REF]."""


class CosmicRayParameters(Parameters):
    """Charged particles: straight tracks through a thin layer."""

    rate: NotNegative = 3.0
    """Ions per square centimetre and second; 4.3 to 2.3 in the first three years [RF25]."""
    energy_loss: Positive = 860.0
    """Median energy loss, eV per micrometre [RF25]."""
    energy_loss_scatter: NotNegative = 0.6
    """Standard deviation of its natural logarithm. Not sourced."""
    energy_loss_range: Range = (10.0, 10_000.0)
    """eV per micrometre [ROM]."""
    electrons_per_ev: Positive = 0.867
    """5200 charges per 6 keV [RF25]."""
    depth: Positive = 5.0
    """Thickness of the sensitive layer, micrometres [ROM]."""
    maximum_length: Positive = 2000.0
    """Longest track, micrometres [ROM]."""
    diffusion: Positive = 0.45
    """Spread of the charge, pixels rms. Not sourced; tuned to the 7.1 pixels of a typical hit
    [RF25]."""
    recorded: Positive = 10.0
    """A pixel counts as hit in the truth from this charge on, electrons."""


class SnowballParameters(Parameters):
    """Large round events with a saturated core."""

    rate: NotNegative = 0.05
    """Per second and full detector ([JDox]: "1 per 20 s", highly variable)."""
    core_radius: Range = (2.0, 10.0)
    """Radius of the core, pixels; the number above a radius falls with its inverse square. Not
    sourced."""
    ring_charge: NotNegative = 8000.0
    """Charge just outside of the core, electrons. Not sourced."""
    ring_scale: Positive = 0.6
    """e-folding length of the charge outside of the core, in core radii. Not sourced."""
    reach: Positive = 5.0
    """Radius at which the ring is cut off, in core radii. Not sourced."""


class ResponseParameters(Parameters):
    """Full well, nonlinearity and the range of the converter."""

    full_well: Positive = 77_000.0
    """Electrons (subarrays, [JDox]; taken for full frame too)."""
    full_well_scatter: Fraction = 0.02
    """Relative scatter between pixels. Not sourced."""
    nonlinearity: Fraction = 0.04
    """Signal lost at full well. Not sourced."""
    nonlinearity_scatter: Fraction = 0.1
    """Relative scatter of it between pixels. Not sourced."""
    saturation_margin: Fraction = 0.98
    """The saturation reference file holds this fraction of the highest value that a pixel among
    empty ones reaches. Not sourced."""


class ReferencePixelParameters(Parameters):
    """The border of pixels without light-sensitive material."""

    noise_ratio: NotNegative = 0.8
    """Their white noise in terms of that of normal pixels [NG]."""
    bad_fraction: Fraction = 0.01
    """Share of bad ones: one half noisy, one half with an intermittent offset. Not sourced."""
    bad_noise_factor: Range = (5.0, 15.0)
    """White noise of a noisy one in terms of a good one's. Not sourced."""
    bad_offset: Range = (200.0, 1000.0)
    """Offset of an intermittent one while it lasts, electrons. Not sourced."""
    bad_dwell_time: Range = (20.0, 300.0)
    """Mean time with and without the offset, seconds, log-uniform. Not sourced."""


class IRS2Parameters(Parameters):
    """What only IRS2 readout has: reference samples between the pixels, and a reference output.

    The noise, and what bad reference samples do, are those of the other readout patterns.
    """

    coupling_scatter: Fraction = 0.1
    """Scatter between amplifiers of the share of the common 1/f noise that they see, in terms of
    what the reference output sees. Not sourced: without it the reference output would need no
    weights that differ between amplifiers."""
    reference_output_delay: Annotated[int, Field(ge=0)] = 10
    """Pixel times by which the reference output sees the common noise later than the amplifiers.
    Not sourced: it makes the weights complex, as those of the real REFPIX files are."""
    bad_fraction: Fraction = 0.02
    """Share of bad pairs among the 64 pairs of reference samples of each output: one half noisy,
    one half with an intermittent offset. Not sourced."""
    known: Fraction = 0.5
    """Share of the bad ones of the amplifiers that the REFPIX file lists. Not sourced."""


class DeadPixelParameters(Parameters):
    """Pixels that collect no charge."""

    fraction: Fraction = 0.001
    """Share of the pixels. Not sourced."""


class ReferenceFileParameters(Parameters):
    """How far the reference files are from the truth."""

    superbias_error: NotNegative = 10.0
    """Scatter of the superbias file about the true bias, DN. Not sourced."""
    refpix: bool = True
    """Whether IRS2 gets a REFPIX file; without one, a run makes its own from the darks."""


class SimulationParameters(Parameters):
    """A set of simulated dark exposures of one detector in one configuration."""

    detector: Literal["NRS1", "NRS2"] = "NRS1"
    """Which detector."""
    readpatt: str = "NRSRAPID"
    """Readout pattern: NRSRAPID or NRS; in full frame also NRSIRS2RAPID or NRSIRS2."""
    subarray: str = "FULL"
    """FULL or a subarray of ESA-JWST-SCI-NRS-TN-2018-002."""
    grating: str | None = None
    """Grating wheel position; default G140H, as in the monitor since July 2024 (MIRROR for
    SUB32)."""
    exposures: Annotated[int, Field(ge=1)] = 10
    """Number of exposures. More of them leave those before unchanged."""
    groups: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Groups per integration; default 88 in full frame, 200 in IRS2 (JWST-STScI-009226 §2), else
    40."""
    integrations: Annotated[int, Field(ge=1)] = 1
    """Integrations per exposure."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of everything random."""
    first_date: date = date(2024, 3, 1)
    """Start of the period in which the exposures lie."""
    last_date: date = date(2024, 10, 1)
    """End of the period."""
    program: Annotated[str, Field(pattern=r"^\d{5}$")] | None = None
    """Program; default 06633 in full frame, else 06634."""
    noise: NoiseParameters = NoiseParameters()
    bias: BiasParameters = BiasParameters()
    gain: GainParameters = GainParameters()
    dark: DarkParameters = DarkParameters()
    hot_pixels: HotPixelParameters = HotPixelParameters()
    telegraph: TelegraphParameters = TelegraphParameters()
    rc: RCParameters = RCParameters()
    ipc: IPCParameters = IPCParameters()
    cosmic_rays: CosmicRayParameters = CosmicRayParameters()
    snowballs: SnowballParameters = SnowballParameters()
    response: ResponseParameters = ResponseParameters()
    reference_pixels: ReferencePixelParameters = ReferencePixelParameters()
    irs2: IRS2Parameters = IRS2Parameters()
    dead_pixels: DeadPixelParameters = DeadPixelParameters()
    reference_files: ReferenceFileParameters = ReferenceFileParameters()

    @model_validator(mode="after")
    def _dates_in_order(self) -> SimulationParameters:
        if self.last_date <= self.first_date:
            raise ValueError("last_date must be later than first_date")
        return self
