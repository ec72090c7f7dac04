from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from nrsdark_xr.analysis.accessor import NrsdarkAccessor
from nrsdark_xr.detector import DQ
from nrsdark_xr.errors import NrsdarkError

SHAPE = (3, 10, 8, 12)


@pytest.fixture
def loads():
    """Chunks that were computed, as (variable, index)."""
    return []


@pytest.fixture
def dataset(loads):
    random = np.random.default_rng(0)
    ramp = random.normal(size=SHAPE).astype(np.float32)
    groupdq = np.zeros(SHAPE, np.uint8)
    groupdq[1, 4, 5, 7] = DQ.JUMP_DET

    def lazy(values, name):
        def load(block, block_info=None):
            loads.append((name, tuple(block_info[0]["chunk-location"])))
            return block

        chunked = da.from_array(values, chunks=(3, 5, 4, 4)[-values.ndim :])
        return chunked.map_blocks(load, dtype=values.dtype, meta=np.empty((), values.dtype))

    return xr.Dataset(
        {
            "ramp": (("file", "group", "y", "x"), lazy(ramp, "ramp")),
            "groupdq": (("file", "group", "y", "x"), lazy(groupdq, "groupdq")),
            "rate": (("group", "y", "x"), lazy(ramp[0], "rate")),
        },
        coords={
            "file": ["a", "b", "c"],
            "group": np.arange(1, 11),
            "time": ("group", 10.0 * np.arange(1, 11)),
            "y": np.arange(201, 209),
            "x": np.arange(101, 113),
        },
    )


def test_datasets_have_the_accessor(dataset):
    assert isinstance(dataset.nrsdark, NrsdarkAccessor)


def test_one_pixel_is_drawn_in_detector_coordinates(dataset):
    ax = dataset.nrsdark.plot_ramp(y=206, x=108, ax=Figure().add_subplot())
    lines = {line.get_label(): line for line in ax.lines}
    expected = dataset["ramp"].sel(y=206, x=108).values
    np.testing.assert_array_equal(lines["jump"].get_xdata(), [50.0])
    np.testing.assert_array_equal(lines["jump"].get_ydata(), expected[1, [4]])
    np.testing.assert_array_equal(lines["exposure with most jumps"].get_ydata(), expected[1])
    assert "y 206, x 108" in ax.get_title(loc="left")


def test_only_the_chunks_of_the_pixel_are_computed(dataset, loads):
    dataset.nrsdark.plot_ramp(y=206, x=108, ax=Figure().add_subplot())
    assert sorted(loads) == [
        (name, (0, group, 1, 1)) for name in ("groupdq", "ramp") for group in (0, 1)
    ]


def test_the_order_of_dimensions_does_not_matter(dataset):
    turned = dataset.transpose("x", "group", "y", "file")
    ax = turned.nrsdark.plot_ramp(y=206, x=108, ax=Figure().add_subplot())
    assert {line.get_label() for line in ax.lines} >= {"jump", "2 other exposures"}


def test_without_axes_a_figure_is_made(dataset):
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    ax = dataset.nrsdark.plot_ramp(y=201, x=101)
    assert ax.figure.number in plt.get_fignums()
    plt.close(ax.figure)


@pytest.mark.parametrize(("y", "x", "axis"), [(5, 105, "y = 5"), (205, 200, "x = 200")])
def test_a_pixel_elsewhere_is_refused(dataset, y, x, axis):
    with pytest.raises(NrsdarkError, match=axis):
        dataset.nrsdark.plot_ramp(y=y, x=x)


def test_a_dataset_without_ramps_is_refused(dataset):
    with pytest.raises(NrsdarkError, match="no ramp"):
        dataset.drop_vars("ramp").nrsdark.plot_ramp(y=205, x=105)
