"""How the detectors are read: readout patterns and times.

Times follow from the 10 us pixel dwell and the clocking overheads (Rauscher 2015,
arXiv:1509.06264; JDox, "NIRSpec Detector Subarrays"). A header's TFRAME and TGROUP beat these: they
serve the simulator.
"""

from __future__ import annotations

from dataclasses import dataclass

from nrsdark_xr.detector.geometry import AMPLIFIER_WIDTH, DETECTOR_SIZE

PIXEL_TIME = 10e-6
"""Seconds per pixel and output (TSAMPLE)."""
IRS2_FRAME_TIME = 14.58889
"""Seconds per IRS2 frame in flight headers (TFRAME; one pixel time less than 712 x 2048 + 714)."""
ROW_OVERHEAD = 12
"""Pixel times between two rows in traditional readout."""


@dataclass(frozen=True, slots=True)
class Readout:
    """One readout pattern (READPATT).

    Attributes
    ----------
    name : str
    n_frames : int
        Frames averaged into one group (NFRAMES).
    group_gap : int
        Frames dropped between two groups (GROUPGAP).
    frame_divisor : int
        What the on-board averaging divides by (FRMDIVSR), a power of two.
    """

    name: str
    n_frames: int
    group_gap: int
    frame_divisor: int


READOUTS = {
    readout.name: readout
    for readout in (
        Readout("NRSRAPID", n_frames=1, group_gap=0, frame_divisor=1),
        Readout("NRSRAPIDD1", n_frames=1, group_gap=1, frame_divisor=1),
        Readout("NRSRAPIDD2", n_frames=1, group_gap=2, frame_divisor=1),
        Readout("NRSRAPIDD6", n_frames=1, group_gap=6, frame_divisor=1),
        Readout("NRS", n_frames=4, group_gap=0, frame_divisor=4),
        Readout("NRSIRS2RAPID", n_frames=1, group_gap=0, frame_divisor=1),
        Readout("NRSIRS2", n_frames=5, group_gap=0, frame_divisor=8),
    )
}


def is_irs2(readpatt: str) -> bool:
    """Whether `readpatt` interleaves reference pixels (3200 raw rows in the DMS frame)."""
    return "IRS2" in readpatt


def frame_time(*, xsize: int, ysize: int, irs2: bool = False) -> float:
    """Seconds that one frame takes.

    Parameters
    ----------
    xsize, ysize : int
        Size in the DMS frame: x is slow, y is fast.
    irs2 : bool
        Whether reference samples are read in between (full frame only).
    """
    if irs2:
        return IRS2_FRAME_TIME
    if xsize == ysize == DETECTOR_SIZE:
        ticks = (AMPLIFIER_WIDTH + ROW_OVERHEAD) * (xsize + 1) + 1
    else:
        ticks = (ysize + ROW_OVERHEAD) * (xsize + 2)
    return ticks * PIXEL_TIME
