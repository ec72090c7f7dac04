import dataclasses

import numpy as np
import pytest

from nrsdark_xr.detector import DQ, flag_names
from nrsdark_xr.store.schema import AXES, VARIABLES, Configuration, row_values

from .helpers import make_exposure


def test_flags_follow_cf():
    for name in ("groupdq", "pixeldq"):
        variable = VARIABLES[name]
        masks, meanings = (variable.attributes[key] for key in ("flag_masks", "flag_meanings"))
        assert len(masks) == len(meanings.split())
        assert [flag_names(mask) for mask in masks] == [[word] for word in meanings.split()]
        assert max(masks) <= np.iinfo(variable.dtype).max
    assert len(VARIABLES["groupdq"].attributes["flag_masks"]) == 8
    assert len(VARIABLES["pixeldq"].attributes["flag_masks"]) == len(DQ)


def test_every_variable_says_what_it_is():
    for variable in (*VARIABLES.values(), *AXES.values()):
        assert variable.attributes["long_name"]
    assert {VARIABLES[name].attributes["units"] for name in ("rate", "rate_err")} == {"DN/s"}


def test_axes_are_detector_pixels_from_one():
    axes = Configuration.of(make_exposure(xstart=1025, ystart=963, xsize=4, ysize=3)).axes()
    assert axes["x"].tolist() == [1025, 1026, 1027, 1028]
    assert axes["y"].tolist() == [963, 964, 965]
    assert axes["group"].tolist() == [1, 2, 3, 4, 5]
    assert axes["bias_group"].tolist() == [1, 2]


def test_raw_rows_of_irs2_are_those_of_the_frame():
    exposure = make_exposure(ystart=1, ysize=2048, raw_shape=(1, 5, 3200, 40))
    axes = Configuration.of(exposure).axes()
    assert axes["y_raw"][[0, -1]].tolist() == [1, 3200]
    assert axes["y"][[0, -1]].tolist() == [1, 2048]


@pytest.mark.parametrize(
    ("n_frames", "group_gap", "expected"),
    [(1, 0, [10, 20, 30]), (1, 1, [10, 30, 50]), (4, 0, [25, 65, 105])],
)
def test_time_is_the_mean_of_the_frames_of_a_group(n_frames, group_gap, expected):
    """The frames of group g counted one by one."""
    exposure = make_exposure(
        n_groups=3,
        n_frames=n_frames,
        group_gap=group_gap,
        frame_time=10.0,
        group_time=10.0 * (n_frames + group_gap),
    )
    step = n_frames + group_gap
    naive = [np.mean([10.0 * (g * step + f + 1) for f in range(n_frames)]) for g in range(3)]
    np.testing.assert_allclose(Configuration.of(exposure).axes()["time"], naive)
    np.testing.assert_allclose(naive, expected)


def test_configurations_differ_by_each_field_but_not_by_rounding():
    own = Configuration.of(make_exposure())
    assert own.difference(dataclasses.replace(own, frame_time=1.5 * (1 + 1e-7))) is None
    for field in dataclasses.fields(own):
        value = getattr(own, field.name)
        changed = value + "2" if isinstance(value, str) else value + 1
        other = dataclasses.replace(own, **{field.name: changed})
        assert field.name in str(own.difference(other))
    assert Configuration.from_attributes(own.attributes()) == own


def test_date_is_kept_to_the_millisecond():
    values = row_values(make_exposure(date="2025-06-07T08:09:10.123"))
    assert np.datetime64(values["date_obs"], "ms") == np.datetime64("2025-06-07T08:09:10.123")
