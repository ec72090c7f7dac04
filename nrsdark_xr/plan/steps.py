"""What each step reads and writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, expm1, log2, prod

import numpy as np

from nrsdark_xr.calibration.bands import MIN_GROUPS_FOR_JUMPS
from nrsdark_xr.calibration.parameters import CalibrationParameters, CrossSpectraParameters
from nrsdark_xr.detector import irs2
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.steps.raw_reads import bias_bytes, fetched, prepare_bytes, refpix_bytes
from nrsdark_xr.storage import is_remote
from nrsdark_xr.store.layout import n_chunks, reduction_chunks, stored_chunks
from nrsdark_xr.store.schema import VARIABLES, Configuration, Step, step_variables

REFIT_RATE = 4.5e-8
"""Per second and pixel, chances that a snowball changes pixels, whose chunks are then read back
(`BandCalibration.fit_again`). Of full frames it makes 0.75 of the chunks for 88 traditional groups,
0.35 and 0.99 for 20 and 200 groups of IRS2; 0.69, 0.44 and 0.91 were measured in simulated ones."""
STORED_FRACTION = {
    "ramp": 0.95,
    "rate": 0.95,
    "rate_err": 0.95,
    "cds_noise": 0.95,
    "cross_spectra": 0.95,
    "bias_groups": 0.8,
    "average": 0.95,
    "average_std": 0.95,
}
"""Bytes stored per byte of an array: noise hardly compresses (0.92 measured for ramps)."""
ROUNDED_RAMP, ROUNDED_TO = 0.62, 1 / 64
"""The same for ramps that are rounded to 1/64 DN (0.58 measured)."""
STORED_PER_BIT = 1 / 32
"""Of float32, what each further bit of the noise takes that rounding leaves."""
STORED_FLAGS = 0.1
"""The same for flags and counts, which are nearly constant (0.01 to 0.07 measured)."""
OVERHEAD_PER_CHUNK = 1024
"""Bytes that a file system loses per chunk: half a block, and its entry."""
AVERAGE = {
    "average": "float32",
    "average_std": "float32",
    "average_count": "uint16",
    "groupdq": "uint8",
}
"""Cubes of ``NAME_average.zarr``."""
DARK_SAMPLE, DARK_PIXEL = 9, 12
"""Bytes of the dark per sample (SCI, ERR, GROUPDQ) and per pixel (DQ, DRK, UNC)."""
SUPERBIAS_PIXEL = 12
"""Bytes of the superbias per pixel: SCI, ERR, DQ."""
MASK_PIXEL = 4
PERIOD_PIXEL = 10
"""Bytes of a period per pixel: rate, its uncertainty, count."""
READNOISE_PIXEL = 4
REFPIX_BYTES = irs2.FRAME_TICKS * 2 * (irs2.OUTPUTS - 1) * 8
"""Bytes of the weights of IRS2: alpha and beta of each amplifier, complex."""
REPORT_BYTES = 5_000_000
"""Report and summary."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes, and the objects (chunks, files, ranges of files) that they come in."""

    n_bytes: int = 0
    objects: int = 0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(self.n_bytes + other.n_bytes, self.objects + other.objects)

    def __mul__(self, times: int) -> Traffic:
        return Traffic(self.n_bytes * times, self.objects * times)


NOTHING = Traffic()


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What one step has left to do.

    Attributes
    ----------
    name : str
    exposures : int
        To be worked on.
    exposures_done : int
        Left as they are.
    blocks : int
        Of its product, computed one by one.
    tasks : int
        Exposures and blocks; workers may be handed several blocks as one.
    raw, references, store_read, store_written, output : Traffic
        Read from `inputs`, `references`, `store`; written to `store` and `output`.
    """

    name: str
    exposures: int = 0
    exposures_done: int = 0
    blocks: int = 0
    raw: Traffic = NOTHING
    references: Traffic = NOTHING
    store_read: Traffic = NOTHING
    store_written: Traffic = NOTHING
    output: Traffic = NOTHING

    @property
    def tasks(self) -> int:
        """Exposures and blocks."""
        return self.exposures + self.blocks

    @property
    def read(self) -> Traffic:
        """All that is read."""
        return self.raw + self.references + self.store_read

    @property
    def written(self) -> Traffic:
        """All that is written."""
        return self.store_written + self.output


def row_traffic(
    configuration: Configuration, names: Sequence[str], *, quantum: float | None = None
) -> Traffic:
    """Traffic of variables of one row of the store; `quantum` is what ramps are rounded to."""
    total = NOTHING
    for name in names:
        variable = VARIABLES[name]
        sizes = {"file": 1, **configuration.sizes()}
        shape = tuple(sizes[dim] for dim in variable.dims)
        n_bytes = prod(shape) * np.dtype(variable.dtype).itemsize
        chunks = n_chunks(shape, stored_chunks(variable, configuration))
        stored = ceil(n_bytes * stored_ramp(quantum)) if name == "ramp" else _stored(name, n_bytes)
        total += Traffic(stored, chunks)
    return total


def stored_ramp(quantum: float | None) -> float:
    """Bytes stored per byte of a ramp that is rounded to whole multiples of `quantum` DN."""
    whole = STORED_FRACTION["ramp"]
    if quantum is None:
        return whole
    return min(whole, ROUNDED_RAMP + STORED_PER_BIT * log2(ROUNDED_TO / quantum))


def step_row_traffic(
    configuration: Configuration, step: Step, *, quantum: float | None = None
) -> Traffic:
    """Traffic of writing one row by `step`, its marker included; `quantum` as for `row_traffic`."""
    names = [variable.name for variable in step_variables(step)]
    return row_traffic(configuration, names, quantum=quantum) + Traffic(0, 1)


def raw_traffic(exposure: Exposure, step: Step, parameters: CalibrationParameters) -> Traffic:
    """Traffic of reading the raw pixels of one exposure in step `bias` or `prepare`."""
    if is_remote(exposure.url):
        return Traffic(*fetched(exposure, step))
    reads = bias_bytes if step == "bias" else prepare_bytes
    return Traffic(reads(exposure, parameters.refpix), 1)


def spectra_traffic(exposure: Exposure, parameters: CrossSpectraParameters) -> Traffic:
    """Traffic of reading the raw pixels of one exposure of which weights are made."""
    if is_remote(exposure.url):
        return Traffic(*fetched(exposure, "refpix"))
    return Traffic(refpix_bytes(exposure, parameters), 1)


def refit_traffic(
    exposure: Exposure, parameters: CalibrationParameters, *, quantum: float | None = None
) -> Traffic:
    """Traffic of reading back the chunks of one exposure's ramps that snowballs change."""
    configuration = Configuration.of(exposure)
    if not parameters.snowballs.expand_large_events or exposure.n_groups < MIN_GROUPS_FOR_JUMPS:
        return NOTHING
    chunks = reduction_chunks(configuration)
    seconds = exposure.n_groups * exposure.group_time
    share = -expm1(-REFIT_RATE * seconds * chunks["y"] * chunks["x"])
    row = row_traffic(configuration, ["ramp"], quantum=quantum) * exposure.n_integrations
    return Traffic(ceil(share * row.n_bytes), ceil(share * row.objects))


def with_refpix(
    plan: StepPlan,
    exposures: Sequence[Exposure],
    configuration: Configuration,
    parameters: CrossSpectraParameters,
) -> StepPlan:
    """Add to the plan of step `bias` that it makes the weights of IRS2 first.

    Each of `exposures`, whose spectra are not there yet, is looked at as a whole, and some of its
    groups once more.
    """
    rows = sum(exposure.n_integrations for exposure in exposures)
    raw = sum((spectra_traffic(each, parameters) for each in exposures), NOTHING)
    return replace(
        plan,
        exposures=max(plan.exposures, len(exposures)),
        raw=plan.raw + raw,
        store_written=plan.store_written + step_row_traffic(configuration, "refpix") * rows,
        output=plan.output + Traffic(REFPIX_BYTES, 1),
    )


def bias_product(configuration: Configuration, n_files: int) -> StepPlan:
    """Plan the superbias, made of rows that are there."""
    c = configuration
    chunks = reduction_chunks(c)
    return StepPlan(
        "bias",
        blocks=ceil(c.raw_rows / chunks["y_raw"]) * ceil(c.xsize / chunks["x"]),
        store_read=row_traffic(c, ["bias_groups"]) * n_files,
        output=Traffic(c.raw_rows * c.xsize * SUPERBIAS_PIXEL, 1),
    )


def average_product(
    configuration: Configuration,
    n_files: int,
    n_periods: int = 0,
    *,
    quantum: float | None = None,
) -> StepPlan:
    """Plan the average ramp, those of periods, and the flags found beside it."""
    c = configuration
    cubes = row_traffic(c, ["ramp", "groupdq", "good_groups"], quantum=quantum)
    first_groups = row_traffic(c, ["ramp", "groupdq"], quantum=quantum)
    share = reduction_chunks(c)["group"] / c.n_groups
    first_chunks = Traffic(int(first_groups.n_bytes * share), ceil(first_groups.objects * share))
    flags = row_traffic(c, ["negative_jumps", "pixeldq"])
    if n_periods:
        flags += row_traffic(c, ["rate"])
    return StepPlan(
        "average",
        blocks=_blocks(c),
        store_read=(cubes + first_chunks + flags) * n_files,
        output=_average_traffic(c) + _period_traffic(c) * n_periods,
    )


def synthesize_product(configuration: Configuration, n_files: int) -> StepPlan:
    """Plan dark, mask and read noise, made from the average ramp, the rates and their noise."""
    c = configuration
    pixels = c.ysize * c.xsize
    n_bytes = pixels * (c.n_groups * DARK_SAMPLE + DARK_PIXEL + MASK_PIXEL + READNOISE_PIXEL)
    return StepPlan(
        "synthesize",
        blocks=_blocks(c),
        store_read=row_traffic(c, ["rate", "cds_noise"]) * n_files + _average_traffic(c),
        output=Traffic(n_bytes, 3),
    )


def analyze_product(configuration: Configuration, n_files: int) -> StepPlan:
    """Plan the report: one chunk of ramps for each example, and the products' maps."""
    c = configuration
    maps = c.ysize * c.xsize * (SUPERBIAS_PIXEL + DARK_PIXEL + MASK_PIXEL + READNOISE_PIXEL)
    return StepPlan(
        "analyze",
        store_read=Traffic(maps, 4 + n_files),
        output=Traffic(REPORT_BYTES, 2),
    )


def _average_traffic(c: Configuration) -> Traffic:
    samples = c.n_groups * c.ysize * c.xsize
    n_bytes = sum(
        _stored(name, samples * np.dtype(dtype).itemsize) for name, dtype in AVERAGE.items()
    )
    return Traffic(n_bytes, len(AVERAGE) * _blocks(c))


def _period_traffic(c: Configuration) -> Traffic:
    """Cubes of one period, without flags, and its maps of rates."""
    samples, pixels = c.n_groups * c.ysize * c.xsize, c.ysize * c.xsize
    cubes = {name: dtype for name, dtype in AVERAGE.items() if name != "groupdq"}
    n_bytes = sum(
        _stored(name, samples * np.dtype(dtype).itemsize) for name, dtype in cubes.items()
    )
    return Traffic(n_bytes + pixels * PERIOD_PIXEL, len(cubes) * (_blocks(c) + 1))


def _blocks(c: Configuration) -> int:
    chunks = reduction_chunks(c)
    return prod(ceil(c.sizes()[dim] / chunks[dim]) for dim in ("group", "y", "x"))


def _stored(name: str, n_bytes: int) -> int:
    return ceil(n_bytes * STORED_FRACTION.get(name, STORED_FLAGS))
