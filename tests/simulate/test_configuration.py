from __future__ import annotations

import re

import numpy as np
import pytest

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.simulate import SimulationParameters
from nrsdark_xr.simulate.configuration import configure, modified_julian_date, visit


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"readpatt": "FAST"}, "readout pattern FAST cannot be simulated.*NRSRAPID, NRS, NRSIRS2"),
        (
            {"readpatt": "NRSIRS2RAPID", "subarray": "SUB512"},
            "NRSIRS2RAPID is not used with subarray SUB512.*take FULL",
        ),
        ({"subarray": "SUBX"}, "there is no subarray SUBX.*SUB512S"),
        ({"subarray": "SUB32", "grating": "PRISM"}, "SUB32 is not used with grating PRISM"),
    ],
)
def test_what_cannot_be_simulated_is_told_in_one_line(given: dict, message: str) -> None:
    with pytest.raises(NrsdarkError) as error:
        configure(SimulationParameters(**given))
    assert re.search(message, str(error.value))
    assert "\n" not in str(error.value)


def test_defaults_of_full_frame_and_subarrays() -> None:
    full = configure(SimulationParameters())
    assert (full.n_groups, full.grating, full.program) == (88, "G140H", "06633")
    assert (full.gain, full.gain_factor) == (1.0, 1.0)
    assert full.frame_time == pytest.approx(10.73677)
    target = configure(SimulationParameters(subarray="SUB32"))
    assert (target.n_groups, target.grating, target.program) == (40, "MIRROR", "06634")
    assert target.gain_factor == 1.429
    assert target.frame_time == pytest.approx(0.01496)


def test_averaged_frames_make_longer_groups() -> None:
    rapid = configure(SimulationParameters(subarray="SUB2048"))
    averaged = configure(SimulationParameters(subarray="SUB2048", readpatt="NRS"))
    assert averaged.group_time == pytest.approx(4 * rapid.group_time)


def test_irs2_reads_reference_samples_too() -> None:
    rapid = configure(SimulationParameters(readpatt="NRSIRS2RAPID"))
    assert (rapid.shape, rapid.raw_shape, rapid.n_outputs) == ((2048, 2048), (3200, 2048), 5)
    assert rapid.n_groups == 200
    assert rapid.group_time == pytest.approx(14.58889, abs=1e-5)
    averaged = configure(SimulationParameters(readpatt="NRSIRS2"))
    assert averaged.group_time == pytest.approx(72.94445, abs=1e-5)
    traditional = configure(SimulationParameters())
    assert (traditional.raw_shape, traditional.n_outputs) == ((2048, 2048), 4)


def test_dates_fill_the_period_evenly() -> None:
    configuration = configure(SimulationParameters())
    days = np.sort([modified_julian_date(visit(k, configuration).start) for k in range(30)])
    first = modified_julian_date(configuration.first)
    last = modified_julian_date(configuration.last)
    assert first <= days[0]
    assert days[-1] < last
    assert np.diff(days).max() < 2.7 * (last - first) / 30


def test_names_are_those_of_jwst_and_differ() -> None:
    configuration = configure(SimulationParameters(detector="NRS2"))
    names = [visit(k, configuration).name(configuration) for k in range(1200)]
    assert names[0] == "jw06633001001_02101_00001_nrs2"
    assert len(set(names)) == 1200
    assert all(re.fullmatch(r"jw\d{11}_\d{5}_\d{5}_nrs2", name) for name in names)
