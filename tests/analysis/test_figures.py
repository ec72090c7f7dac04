from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import rc_context
from matplotlib.figure import Figure
from PIL import Image

from nrsdark_xr.analysis.figures import (
    COLORS,
    HistogramSeries,
    Mark,
    change_map,
    draw_ramps,
    flag_map,
    histogram,
    image_map,
    profiles,
    ramp_figure,
    to_png,
)
from nrsdark_xr.analysis.figures.maps import block_median, linear_limits
from nrsdark_xr.analysis.figures.style import NO_VALUE, asinh_ticks, number
from nrsdark_xr.detector import DQ

from .sample import TIME, make_maps, make_ramps


def size(figure, **options):
    return Image.open(io.BytesIO(to_png(figure, **options))).size


def labels(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.mark.parametrize("shape", [(9, 14), (10, 12), (4, 7)])
def test_block_median_is_the_median_of_blocks(shape):
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    image[0, :4] = np.nan
    image[3, 3] = np.inf
    small = block_median(image, (4, 5))
    fy, fx = -(-shape[0] // 4), -(-shape[1] // 5)
    assert small.shape == (-(-shape[0] // fy), -(-shape[1] // fx))
    for j in range(small.shape[0]):
        for i in range(small.shape[1]):
            block = image[j * fy : (j + 1) * fy, i * fx : (i + 1) * fx]
            finite = block[np.isfinite(block)]
            expected = np.median(finite) if finite.size else np.nan
            np.testing.assert_allclose(small[j, i], expected, rtol=1e-6)


@pytest.mark.parametrize("scale", ["linear", "asinh", "symmetric"])
@pytest.mark.parametrize(
    "image",
    [
        make_maps().rate,
        np.zeros((32, 32), np.float32),
        np.full((32, 32), np.nan, np.float32),
        np.full((64, 2048), -3.0, np.float32),
    ],
    ids=["rate", "zero", "nan", "constant"],
)
def test_any_image_can_be_drawn(image, scale):
    figure = image_map(image, title="t", unit="DN", scale=scale)
    width, height = size(figure, few_colors=True)
    assert (width > 2 * height) == (image.shape[1] >= 3 * image.shape[0])


def test_a_users_settings_of_saved_figures_do_not_matter():
    rate = make_maps().rate
    expected = to_png(image_map(rate, title="t", unit="DN"), few_colors=True)
    with rc_context({"savefig.bbox": "tight"}):
        assert to_png(image_map(rate, title="t", unit="DN"), few_colors=True) == expected


def test_an_image_is_placed_on_the_detector():
    figure = image_map(np.zeros((32, 512), np.float32), title="t", unit="DN", corner=(1025, 957))
    assert figure.axes[0].get_xlim() == (1024.5, 1536.5)
    assert figure.axes[0].get_ylim() == (956.5, 988.5)


def test_limits_set_the_scale():
    image = np.arange(1024, dtype=np.float32).reshape(32, 32)
    limits = linear_limits(image)
    figure = image_map(image * 50, title="t", unit="DN", limits=limits)
    assert figure.axes[0].images[0].get_clim() == limits


def test_the_difference_scale_is_symmetric():
    image = np.random.default_rng(0).normal(3, 1, (32, 32))
    figure = image_map(image, title="t", unit="DN", scale="symmetric")
    low, high = figure.axes[0].images[0].get_clim()
    assert low == -high < 0


def test_the_flag_map_counts_and_places_pixels():
    dq = np.zeros((20, 30), np.uint32)
    dq[4, 7] = DQ.HOT | DQ.DO_NOT_USE
    dq[5, 8] = DQ.HOT
    dq[19, 29] = DQ.RC
    figure = flag_map(dq, title="t", corner=(101, 201))
    assert sorted(labels(figure)) == ["HOT: 2", "RC: 1"]
    points = {
        (float(x), float(y))
        for line in figure.axes[0].lines
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    }
    assert points == {(108, 205), (109, 206), (130, 220)}


def test_a_map_without_flags_says_so():
    figure = flag_map(np.zeros((20, 30), np.uint32), title="t")
    assert [text.get_text() for text in figure.axes[0].texts] == ["no such pixel"]


def test_the_change_map_tells_new_from_vanished():
    new, old = np.zeros((2, 9, 9), bool)
    new[1, 1] = new[2, 2] = old[2, 2] = old[3, 3] = old[4, 4] = True
    assert sorted(labels(change_map(new, old, title="t"))) == ["new: 1", "vanished: 2"]


@pytest.mark.parametrize("long_tail", [True, False])
@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).normal(size=1000),
        np.append(np.random.default_rng(0).normal(0, 1e-3, 1000), [500.0, np.nan]),
        np.zeros(5),
        np.full(4, np.nan),
        np.array([7.0]),
    ],
    ids=["normal", "tail", "zero", "nan", "one"],
)
def test_a_histogram_holds_every_finite_value(values, long_tail):
    figure = histogram(
        (HistogramSeries("s", values, COLORS["blue"]),),
        title="t",
        unit="DN",
        marks=(Mark("m", 0.1, COLORS["black"]), Mark("unknown", np.nan, COLORS["black"])),
        long_tail=long_tail,
    )
    steps = figure.axes[0].patches[0]
    assert steps.get_data().values.sum() == np.isfinite(values).sum()
    assert size(figure)[0] > 300
    shown = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert shown == ["s", "m 0.1"]


def test_ramps_mark_the_jumps():
    ramp, groupdq = make_ramps()
    ax = Figure().add_subplot()
    draw_ramps(ax, TIME, ramp, groupdq, title="t", average=ramp.mean(axis=0), rate=0.01)
    lines = {line.get_label(): line for line in ax.lines}
    np.testing.assert_array_equal(lines["jump"].get_xdata(), TIME[[5, 12]])
    np.testing.assert_array_equal(lines["jump"].get_ydata(), ramp[2, [5, 12]])
    np.testing.assert_array_equal(lines["exposure with most jumps"].get_ydata(), ramp[2])
    assert lines["5 other exposures"].get_xdata().size == 5 * len(TIME)
    assert lines["rate x time"].get_ydata()[-1] == pytest.approx(
        ramp.mean(axis=0)[0] + 0.01 * (TIME[-1] - TIME[0])
    )


def test_the_axis_shows_all_before_the_jumps_and_counts_the_rest():
    ramp, groupdq = make_ramps()
    ax = Figure().add_subplot()
    draw_ramps(ax, TIME, ramp, groupdq, title="t")
    low, high = ax.get_ylim()
    before = np.cumsum(groupdq != 0, axis=1) == 0
    assert low < ramp[before].min()
    assert ramp[before].max() < high < 500  # the cosmic ray adds 1000
    beyond = np.count_nonzero((ramp < low) | (ramp > high))
    assert beyond == 15
    assert ax.texts[0].get_text().startswith(f"{beyond} of {ramp.size} samples")


@pytest.mark.parametrize("fill", [np.nan, 3.0])
def test_ramps_without_information_can_be_drawn(fill):
    figure = ramp_figure(
        TIME, np.full((1, len(TIME)), fill), np.zeros((1, len(TIME)), np.uint8), title="t"
    )
    assert size(figure)[0] > 300


def test_profiles_are_medians_and_the_band_is_one_sigma():
    difference = np.random.default_rng(0).normal(2, 1, (16, 40))
    difference[3] = np.nan
    figure = profiles(difference, sigma=0.5, sigma_label="old", unit="DN", corner=(11, 21))
    column, row = figure.axes
    np.testing.assert_array_equal(column.lines[0].get_xdata(), np.arange(21, 37))
    np.testing.assert_array_equal(row.lines[0].get_xdata(), np.arange(11, 51))
    kept = np.delete(difference, 3, axis=0)
    np.testing.assert_allclose(row.lines[0].get_ydata(), np.median(kept, axis=0))
    np.testing.assert_allclose(np.delete(column.lines[0].get_ydata(), 3), np.median(kept, axis=1))
    band = column.patches[0].get_extents().transformed(column.transData.inverted())
    np.testing.assert_allclose([band.y0, band.y1], np.median(kept) + np.array([-0.5, 0.5]))


@pytest.mark.parametrize("fill", [np.nan, 0.0])
def test_profiles_of_nothing_can_be_drawn(fill):
    figure = profiles(np.full((8, 9), fill), sigma=0.0, sigma_label="old", unit="DN")
    assert size(figure)[0] > 300


@pytest.mark.parametrize("few_colors", [True, False])
def test_same_figure_same_bytes(few_colors):
    first, second = (
        to_png(image_map(make_maps().bias, title="t", unit="DN"), few_colors=few_colors)
        for _ in range(2)
    )
    assert first == second


@settings(deadline=None, max_examples=100)
@given(
    st.floats(-1e4, 1e4, allow_nan=False),
    st.floats(1e-3, 1e6),
    st.floats(1e-3, 1e3),
)
def test_ticks_lie_on_the_axis(low, length, width):
    ticks = asinh_ticks(low, low + length, width)
    assert ticks == sorted(set(ticks))
    assert all(low <= tick <= low + length for tick in ticks)
    assert len(ticks) <= 16


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0083, "0.0083"),
        (12073.4, "12073"),
        (-1.36149, "\u22121.361"),
        (1e5, "1e5"),
        (2.5e-7, "2.5e\u22127"),
        (0, "0"),
        (float("nan"), NO_VALUE),
    ],
)
def test_numbers_are_readable(value, text):
    assert number(value) == text
