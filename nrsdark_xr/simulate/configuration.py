"""What is read and when: the numbers that follow from the parameters of a simulation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector import (
    READOUTS,
    Readout,
    Subarray,
    frame_time,
    is_irs2,
    reference_pixels,
    subarray,
    subarray_names,
)
from nrsdark_xr.detector.irs2 import IRS2_RAW_ROWS, OUTPUTS
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.simulate.noise import Clocking, traditional_clocking
from nrsdark_xr.simulate.parameters import SimulationParameters

FULL = "FULL"
SIMULATED_READOUTS = ("NRSRAPID", "NRS", "NRSIRS2RAPID", "NRSIRS2")
_DEFAULT_FULL_GROUPS = 88
_DEFAULT_IRS2_GROUPS = 200
_DEFAULT_SUBARRAY_GROUPS = 40
_GOLDEN_RATIO = 0.6180339887498949
_MJD_EPOCH = datetime(1858, 11, 17, tzinfo=UTC)
_VISITS_PER_PROGRAM = 999


@dataclass(frozen=True, slots=True)
class Configuration:
    """How every exposure of a simulation is taken.

    Attributes
    ----------
    detector : str
    readout : Readout
    area : Subarray
    grating : str
    n_groups, n_integrations : int
    frame_time : float
        TFRAME, seconds.
    gain : float
        Nominal gain, e-/DN.
    gain_factor : float
        GAINFACT: 1 in full frame.
    program : str
    first, last : datetime
        Period of the exposures.
    """

    detector: str
    readout: Readout
    area: Subarray
    grating: str
    n_groups: int
    n_integrations: int
    frame_time: float
    gain: float
    gain_factor: float
    program: str
    first: datetime
    last: datetime

    @property
    def group_time(self) -> float:
        """TGROUP, seconds."""
        return self.frame_time * (self.readout.n_frames + self.readout.group_gap)

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (y, x) in the DMS frame."""
        return self.area.ysize, self.area.xsize

    @property
    def raw_shape(self) -> tuple[int, int]:
        """Samples (raw rows, x) of a group in the DMS frame: with reference samples in IRS2."""
        return (IRS2_RAW_ROWS, self.area.xsize) if self.is_irs2 else self.shape

    @property
    def is_irs2(self) -> bool:
        """Whether reference samples are read between the pixels."""
        return is_irs2(self.readout.name)

    @property
    def n_outputs(self) -> int:
        """NOUTPUTS: with the reference output in IRS2."""
        return OUTPUTS if self.is_irs2 else self.area.n_outputs

    @property
    def clocking(self) -> Clocking:
        """Order in which the pixels are read in a traditional frame."""
        return traditional_clocking(
            rows=self.area.xsize, columns=self.area.ysize, outputs=self.area.n_outputs
        )

    @property
    def is_full_frame(self) -> bool:
        """Whether the whole detector is read."""
        return self.area.name == FULL

    def reference_pixels(self) -> NDArray[np.bool_]:
        """Mark the reference pixels, shape (y, x)."""
        return reference_pixels(
            xstart=self.area.xstart,
            ystart=self.area.ystart,
            xsize=self.area.xsize,
            ysize=self.area.ysize,
        )


def configure(parameters: SimulationParameters) -> Configuration:
    """Fill in what the parameters leave open and check that it can be simulated.

    Raises
    ------
    NrsdarkError
        If the readout pattern cannot be simulated, or there is no such subarray for the grating.
    """
    if parameters.readpatt not in SIMULATED_READOUTS:
        raise NrsdarkError(
            f"readout pattern {parameters.readpatt} cannot be simulated",
            remedy=f"use one of {', '.join(SIMULATED_READOUTS)}",
        )
    name = parameters.subarray
    if name not in subarray_names():
        raise NrsdarkError(
            f"there is no subarray {name}", remedy=f"use one of {', '.join(subarray_names())}"
        )
    grating = parameters.grating or ("MIRROR" if name == "SUB32" else "G140H")
    try:
        area = subarray(name, detector=parameters.detector, grating=grating)
    except KeyError:
        raise NrsdarkError(
            f"subarray {name} is not used with grating {grating}",
            remedy="leave the grating out or take another",
        ) from None
    is_full = name == FULL
    irs2 = is_irs2(parameters.readpatt)
    if irs2 and not is_full:
        raise NrsdarkError(
            f"readout pattern {parameters.readpatt} is not used with subarray {name}",
            remedy="take FULL, or NRSRAPID",
        )
    gain_factor = 1.0 if is_full else parameters.gain.subarray_factor
    return Configuration(
        detector=parameters.detector,
        readout=READOUTS[parameters.readpatt],
        area=area,
        grating=grating,
        n_groups=parameters.groups or _default_groups(is_full=is_full, irs2=irs2),
        n_integrations=parameters.integrations,
        frame_time=frame_time(xsize=area.xsize, ysize=area.ysize, irs2=irs2),
        gain=parameters.gain.full_frame * gain_factor,
        gain_factor=gain_factor,
        program=parameters.program or ("06633" if is_full else "06634"),
        first=datetime.combine(parameters.first_date, time(), UTC),
        last=datetime.combine(parameters.last_date, time(), UTC),
    )


def _default_groups(*, is_full: bool, irs2: bool) -> int:
    if irs2:
        return _DEFAULT_IRS2_GROUPS
    return _DEFAULT_FULL_GROUPS if is_full else _DEFAULT_SUBARRAY_GROUPS


@dataclass(frozen=True, slots=True)
class Visit:
    """Name and time of one exposure.

    Attributes
    ----------
    index : int
        Counted from 0.
    observation, visit : int
    start : datetime
    duration : timedelta
    """

    index: int
    observation: int
    visit: int
    start: datetime
    duration: timedelta

    @property
    def end(self) -> datetime:
        """End of the exposure."""
        return self.start + self.duration

    def name(self, configuration: Configuration) -> str:
        """Root name of the file, such as jw06633001001_02101_00001_nrs1."""
        detector = configuration.detector.lower()
        identity = f"{configuration.program}{self.observation:03d}{self.visit:03d}"
        return f"jw{identity}_02101_00001_{detector}"


def visit(index: int, configuration: Configuration) -> Visit:
    """Describe exposure number `index`.

    The dates are those of a golden-ratio sequence: they fill the period evenly, however many
    exposures there are, and that of one exposure does not depend on the number of the others.
    """
    phase = (0.5 + index * _GOLDEN_RATIO) % 1.0
    start = configuration.first + phase * (configuration.last - configuration.first)
    milliseconds = start.microsecond // 1000 * 1000
    frames = configuration.n_groups * configuration.readout.n_frames + 1  # the reset takes a frame
    seconds = configuration.n_integrations * frames * configuration.frame_time
    return Visit(
        index=index,
        observation=index % _VISITS_PER_PROGRAM + 1,
        visit=index // _VISITS_PER_PROGRAM + 1,
        start=start.replace(microsecond=milliseconds),
        duration=timedelta(seconds=seconds),
    )


def modified_julian_date(moment: datetime) -> float:
    """MJD of a moment in UTC."""
    return (moment - _MJD_EPOCH) / timedelta(days=1)
