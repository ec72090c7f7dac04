from __future__ import annotations

import csv
from importlib.resources import files

import pytest

from nrsdark_xr.detector import (
    DETECTOR_SIZE,
    DETECTORS,
    READOUTS,
    frame_time,
    is_irs2,
    subarray,
    subarray_names,
)
from nrsdark_xr.detector.irs2 import FRAME_PAUSE_TICKS, FRAME_TICKS

TABLE = files("nrsdark_xr.detector").joinpath("nirspec_subarrays_TN-2018-002.csv")
ROWS = list(csv.DictReader(TABLE.read_text().splitlines()))
TABLE_DIGITS = 5e-6


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['subarray']}-{row['grating']}")
def test_frame_times_are_those_of_the_table(row):
    seconds = frame_time(xsize=int(row["subsize1_x_slow"]), ysize=int(row["subsize2_y_fast"]))
    assert seconds == pytest.approx(float(row["tframe_s_formula"]), abs=TABLE_DIGITS)


@pytest.mark.parametrize(
    ("name", "tframe"),
    [  # TFRAME as published (JDox; HxRG noise generator; BOTS headers)
        ("FULL", 10.73677),
        ("SUB512S", 0.14392),
        ("SUB512", 0.22616),
        ("SUB1024A", 0.45144),
        ("SUB1024B", 0.45144),
        ("SUB2048", 0.90200),
    ],
)
def test_frame_times_are_those_of_headers(name, tframe):
    place = subarray(name, detector="NRS1", grating="G140M")
    assert frame_time(xsize=place.xsize, ysize=place.ysize) == pytest.approx(tframe, abs=1e-5)


def test_the_irs2_frame_time_is_that_of_its_clocking():
    ticks = FRAME_TICKS + FRAME_PAUSE_TICKS
    assert frame_time(xsize=2048, ysize=2048, irs2=True) == pytest.approx(ticks * 1e-5, abs=1.5e-5)


def test_a_dark_of_88_groups_takes_944_8_seconds():
    assert 88 * frame_time(xsize=2048, ysize=2048) == pytest.approx(944.8, abs=0.05)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['subarray']}-{row['grating']}")
@pytest.mark.parametrize("detector", DETECTORS)
def test_subarrays_are_those_of_the_table(row, detector):
    corner = row[f"substrt2_y_{detector}"]
    if not corner:
        with pytest.raises(KeyError):
            subarray(row["subarray"], detector=detector, grating=row["grating"])
        return
    place = subarray(row["subarray"], detector=detector, grating=row["grating"])
    assert place.name == row["subarray"]
    assert (place.xstart, place.ystart) == (int(row["substrt1_x"]), int(corner))
    assert (place.xsize, place.ysize) == (
        int(row["subsize1_x_slow"]),
        int(row["subsize2_y_fast"]),
    )
    assert place.n_outputs == (4 if place.name == "FULL" else 1)
    assert place.xstart - 1 + place.xsize <= DETECTOR_SIZE
    assert place.ystart - 1 + place.ysize <= DETECTOR_SIZE


def test_subarray_names_are_complete_and_full_comes_first():
    names = subarray_names()
    assert names[0] == "FULL"
    assert set(names) == {row["subarray"] for row in ROWS}
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("unknown", [("HUGE", "NRS1", "G140M"), ("FULL", "NRS3", "G140M")])
def test_unknown_subarrays_are_refused(unknown):
    name, detector, grating = unknown
    with pytest.raises(KeyError):
        subarray(name, detector=detector, grating=grating)


@pytest.mark.parametrize(
    ("name", "frames", "gap", "divisor"),
    [
        ("NRSRAPID", 1, 0, 1),
        ("NRSRAPIDD2", 1, 2, 1),
        ("NRS", 4, 0, 4),
        ("NRSIRS2RAPID", 1, 0, 1),
        ("NRSIRS2", 5, 0, 8),
    ],
)
def test_readouts(name, frames, gap, divisor):
    readout = READOUTS[name]
    assert readout.name == name
    assert (readout.n_frames, readout.group_gap, readout.frame_divisor) == (frames, gap, divisor)


def test_frame_divisors_are_the_power_of_two_that_holds_the_frames():
    for readout in READOUTS.values():
        assert readout.frame_divisor // 2 < readout.n_frames <= readout.frame_divisor


def test_irs2_is_told_by_its_name():
    assert {name for name in READOUTS if is_irs2(name)} == {"NRSIRS2", "NRSIRS2RAPID"}
