"""Labelled functions: lazy, indifferent to chunks, and equal to the rules on the whole stack."""

from __future__ import annotations

import logging

import dask
import numpy as np
import pytest
import xarray as xr
from astropy.stats import sigma_clip
from hypothesis import given, settings
from hypothesis import strategies as st

from nrsdark_xr import products as nx
from nrsdark_xr.detector import DQ
from nrsdark_xr.errors import NrsdarkError
from tests.products.ramps import make_ramps, raise_if_called

CHUNKS = {"file": -1, "group": 2, "y": 8, "x": 9, "y_raw": 8}


@pytest.fixture(scope="module")
def ramps():
    return make_ramps()


def reference_border(ds):
    return ((ds.y <= 4) | (ds.x <= 4)).values


def whole_chain(ds, *, mask=None):
    average = nx.average_ramp(ds)
    merged = xr.merge(
        [
            average,
            nx.mean_rate(ds),
            nx.flag_rc(ds),
            nx.flag_rtn(ds),
            nx.flag_bad_reference_pixels(average, reference_border(ds)),
            nx.common_flags(ds),
        ]
    )
    mask = np.zeros((ds.sizes["y"], ds.sizes["x"]), np.uint32) if mask is None else mask
    dark = nx.synthesize_dark(merged, mask=mask)
    cap = nx.flag_rtn(ds, parameters=nx.RTNParameters(method="cap"))
    return [nx.make_bias(ds), merged, cap, dark]


@pytest.fixture(scope="module")
def eager(ramps):
    return whole_chain(ramps)


def assert_same_bits(left, right):
    assert list(left) == list(right)
    for name in left:
        assert left[name].dtype == right[name].dtype, name
        assert left[name].dims == right[name].dims, name
        assert left[name].attrs.keys() == right[name].attrs.keys(), name
        np.testing.assert_array_equal(left[name].values, right[name].values, err_msg=name)


def test_building_computes_nothing(ramps, eager):
    with dask.config.set(scheduler=raise_if_called):
        lazy = whole_chain(ramps.chunk(CHUNKS))
    for one, other in zip(lazy, eager, strict=True):
        assert all(array.chunks for array in one.data_vars.values())
        assert_same_bits(one.compute(scheduler="sync"), other)


@settings(deadline=None, max_examples=4)
@given(
    group=st.integers(1, 6),
    y=st.integers(3, 24),
    x=st.integers(3, 20),
)
def test_chunks_change_no_bit(ramps, eager, group, y, x):
    lazy = whole_chain(ramps.chunk(file=-1, group=group, y=y, x=x, y_raw=y, bias_group=1))
    for one, other in zip(lazy, eager, strict=True):
        assert_same_bits(one.compute(scheduler="threads"), other)


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyUserWarning")
def test_average_against_astropy(ramps, eager):
    bad = np.arange(6)[:, None, None] >= ramps.good_groups.values[:, None]
    ramp = np.ma.array(ramps.ramp.values, mask=bad | np.isnan(ramps.ramp.values))
    kept = sigma_clip(ramp.filled(np.nan), sigma=3, maxiters=5, axis=0)
    average = eager[1]
    np.testing.assert_array_equal(average.average_count, (~kept.mask).sum(0))
    np.testing.assert_allclose(
        average.average, kept.mean(0, dtype=float).filled(np.nan), rtol=1e-6, atol=1e-6
    )
    np.testing.assert_allclose(
        average.average_std, kept.std(0, dtype=float).filled(np.nan), rtol=1e-6, atol=1e-6
    )
    np.testing.assert_array_equal(
        average.groupdq, np.bitwise_and.reduce(ramps.groupdq.values, axis=0)
    )


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyUserWarning")
def test_rates_against_astropy(ramps, eager):
    kept = sigma_clip(ramps.rate.values, sigma=3, maxiters=5, axis=0)
    count = (~kept.mask).sum(0)
    rates = eager[1]
    np.testing.assert_array_equal(rates.rate_count, count)
    np.testing.assert_allclose(rates.rate, kept.mean(0, dtype=float).filled(np.nan), rtol=1e-5)
    unc = kept.std(0, dtype=float).filled(np.nan) / np.sqrt(np.maximum(count, 1))
    np.testing.assert_allclose(rates.rate_unc, unc, rtol=1e-6)
    np.testing.assert_array_equal(
        rates.common_dq, np.bitwise_and.reduce(ramps.pixeldq.values, axis=0)
    )


def halves(ds):
    early = xr.DataArray(np.arange(ds.sizes["file"]) < 5, dims="file")
    return {"early": early, "late": ~early, "all": xr.ones_like(early)}


def test_periods_are_what_their_files_alone_would_give(ramps):
    accepted = np.arange(9) != 2
    some = ramps.assign_coords(accepted=("file", accepted))
    periods = halves(some)
    lazy = some.chunk(CHUNKS)
    made = xr.merge(
        [nx.average_ramp(lazy, periods=periods), nx.mean_rate(lazy, periods=periods)]
    ).compute(scheduler="sync")
    assert made.period.values.tolist() == ["early", "late", "all"]
    for name, members in periods.items():
        alone = some.isel(file=np.flatnonzero(members & accepted))
        expected = xr.merge([nx.average_ramp(alone), nx.mean_rate(alone)])
        period = made.sel(period=name)
        for ours, theirs in {
            "period_average": "average",
            "period_std": "average_std",
            "period_count": "average_count",
            "period_rate": "rate",
            "period_rate_unc": "rate_unc",
            "period_rate_count": "rate_count",
        }.items():
            np.testing.assert_array_equal(period[ours], expected[theirs])


def test_periods_take_no_further_reading(ramps):
    """One task per block, however many periods: they are outputs of the same kernel call."""
    lazy = ramps.chunk(CHUNKS)
    calls = []

    def count(block):
        calls.append(block.shape)
        return block

    lazy["ramp"] = lazy["ramp"].copy(data=lazy["ramp"].data.map_blocks(count, dtype=np.float32))
    calls.clear()
    (made,) = dask.optimize(nx.average_ramp(lazy, periods=halves(ramps)))
    made.compute(scheduler="sync")
    blocks = [len(lazy.chunksizes[dim]) for dim in ("group", "y", "x")]
    assert len(calls) == np.prod(blocks)


def test_an_empty_period_is_refused(ramps):
    nobody = xr.DataArray(np.zeros(9, bool), dims="file")
    with pytest.raises(NrsdarkError, match="the period summer holds no good input"):
        nx.average_ramp(ramps, periods={"summer": nobody})


def test_what_was_put_in_is_found(eager):
    _, merged, _, dark = eager
    assert np.argwhere(merged.rc.values).tolist() == [[14, 6]]
    assert merged.rc_count.values[14, 6] > 4
    assert np.argwhere(merged.telegraph.values).tolist() == [[10, 10], [16, 16]]
    assert np.argwhere(merged.bad_reference.values).tolist() == [[2, 9]]
    assert np.argwhere(dark.hot.values).tolist() == [[10, 10]]
    assert dark.dq.values[10, 10] == DQ.UNRELIABLE_DARK  # hot: no longer TELEGRAPH
    assert dark.dq.values[16, 16] & DQ.TELEGRAPH
    assert dark.mask.values[10, 10] == DQ.HOT | DQ.DO_NOT_USE
    assert dark.dq.values[7, 7] == DQ.DO_NOT_USE | DQ.UNRELIABLE_DARK  # dead in all inputs
    assert dark.take_average.values[9:12, 9:12].all()
    assert not dark.dark.isnull().any()
    assert not dark.dark_err.isnull().any()


def test_normal_pixels_are_projected(ramps, eager):
    dark, rate = eager[3], eager[1].rate
    plain = (~dark.take_average & (rate >= 0)).values
    projected = rate.values * ramps.time.values[:, None, None]
    np.testing.assert_allclose(dark.dark.values[:, plain], projected[:, plain], rtol=1e-6)
    averaged = dark.take_average.values & ~np.isnan(eager[1].average.values).any(0)
    np.testing.assert_array_equal(
        dark.dark.values[:, averaged], eager[1].average.values[:, averaged]
    )


def test_cap_counts_jumps(ramps, eager):
    jumps = ((ramps.groupdq & 4) != 0).sum("group")
    cap = (1 - 0.9973) * 5 * 4
    science = ~reference_border(ramps)
    expected = (jumps.mean("file") > cap).values & science
    np.testing.assert_array_equal(eager[2].telegraph, expected)
    np.testing.assert_array_equal(
        eager[2].telegraph_count, (jumps > cap).sum("file").values * science
    )


def test_only_accepted_files_take_part(ramps):
    accepted = np.array([True, False, True, True, True, False, True, True, True])
    marked = ramps.assign_coords(accepted=("file", accepted))
    for lazily in (marked, marked.chunk(CHUNKS)):
        for one, other in zip(
            whole_chain(lazily), whole_chain(ramps.isel(file=accepted)), strict=True
        ):
            assert_same_bits(one.compute(), other)
    with pytest.raises(NrsdarkError, match="no file is accepted"):
        nx.mean_rate(ramps.assign_coords(accepted=("file", np.zeros(9, bool))))


@pytest.mark.parametrize(
    "reduction", [nx.make_bias, nx.average_ramp, nx.mean_rate, nx.flag_rtn, nx.common_flags]
)
def test_several_chunks_along_file_are_refused(ramps, reduction):
    with pytest.raises(NrsdarkError, match=r"several chunks along file.*chunk\(file=-1\)"):
        reduction(ramps.chunk(file=3))


def test_rc_takes_frames_of_single_files(ramps, eager):
    frames = nx.flag_rc(ramps.chunk(file=1, group=1, y=-1, x=-1))
    np.testing.assert_array_equal(frames.rc, eager[1].rc)
    np.testing.assert_array_equal(frames.rc_count, eager[1].rc_count)


def test_rc_reads_one_frame_at_a_time(ramps, tmp_path, monkeypatch):
    from xarray.backends.zarr import ZarrArrayWrapper

    stored = ramps[["ramp", "groupdq"]].drop_vars("file").chunk(file=1, group=3, y=8, x=10)
    stored.to_zarr(tmp_path / "ramps.zarr", consolidated=False)
    chunks = {"file": -1, "group": 3, "y": 8, "x": 10}
    ds = xr.open_zarr(tmp_path / "ramps.zarr", chunks=chunks, consolidated=False)
    reads = []
    read = ZarrArrayWrapper._getitem

    def recorded(self, key):
        values = read(self, key)
        reads.append(values.size)
        return values

    monkeypatch.setattr(ZarrArrayWrapper, "_getitem", recorded)
    nx.flag_rc(ds).compute(scheduler="sync")
    assert max(reads) <= 2 * 8 * 10  # groups 2 and 3 of one block of one file
    assert sum(reads) == ramps.sizes["file"] * 3 * 24 * 20


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyUserWarning")
@pytest.mark.parametrize("cut", [True, False])
def test_jumps_cut_reference_pixels_only_on_request(ramps, cut):
    ramps = ramps.copy(deep=True)
    ramps.good_groups[:4, 1, 7:9] = 2  # reference pixels that jumped
    ramps.good_groups[:4, 1, 8] = 0  # and one that is bad throughout
    average = nx.average_ramp(ramps, parameters=nx.AverageParameters(cut_reference_pixels=cut))
    n_files = ramps.sizes["file"]
    expected = n_files - 4 if cut else n_files
    plain = nx.ClipParameters(sigma=1e6)
    counts = nx.average_ramp(
        ramps, parameters=nx.AverageParameters(cut_reference_pixels=cut, clip=plain)
    ).average_count
    assert counts[:2, 1, 7].values.tolist() == [n_files] * 2
    assert counts[2:, 1, 7].values.tolist() == [expected] * 4
    assert counts[:, 1, 8].values.tolist() == [n_files - 4] * 6
    science = average.sel(y=slice(5, None), x=slice(5, None))
    xr.testing.assert_identical(
        science, nx.average_ramp(ramps).sel(y=slice(5, None), x=slice(5, None))
    )


def test_one_kernel_task_per_block_that_also_reads(ramps, tmp_path):
    ramps.drop_vars("file").chunk(file=1, group=2, y=4, x=5).to_zarr(
        tmp_path / "ramps.zarr", consolidated=False
    )
    chunks = {"file": -1, "group": 2, "y": 4, "x": 5}
    ds = xr.open_zarr(tmp_path / "ramps.zarr", chunks=chunks, consolidated=False)
    for reduction, n_blocks in [
        (nx.average_ramp, 72),
        (nx.mean_rate, 24),
        (nx.common_flags, 24),
    ]:
        result = reduction(ds).drop_vars("time", errors="ignore")
        (optimized,) = dask.optimize(result)
        n_tasks = len(dict(optimized.__dask_graph__()))
        one_and_its_outputs = n_blocks * (1 + len(result.data_vars))
        axes = sum(1 + len(chunks) for chunks in result.chunks.values())
        assert n_tasks <= one_and_its_outputs + axes


def test_few_inputs_are_warned_about(ramps, caplog):
    with caplog.at_level(logging.WARNING, logger="nrsdark_xr"):
        nx.average_ramp(ramps)
        assert not caplog.records
        nx.average_ramp(ramps.isel(file=slice(7)))
        assert len(caplog.records) == 1
        assert "7 inputs" in caplog.text
        assert "mad_std" in caplog.text
        clip = nx.ClipParameters(spread="mad_std")
        nx.average_ramp(ramps.isel(file=slice(7)), parameters=nx.AverageParameters(clip=clip))
        assert len(caplog.records) == 1


def test_missing_variables_are_named(ramps, eager):
    with pytest.raises(NrsdarkError, match="good_groups"):
        nx.average_ramp(ramps.drop_vars("good_groups"))
    with pytest.raises(NrsdarkError, match=r"no rc; .*flag_rc"):
        nx.synthesize_dark(eager[1].drop_vars("rc"), mask=np.zeros((24, 20), np.uint32))
    with pytest.raises(NrsdarkError, match="time"):
        nx.synthesize_dark(eager[1].drop_vars("time"), mask=np.zeros((24, 20), np.uint32))
    with pytest.raises(NrsdarkError, match="no detector coordinate y"):
        nx.make_bias(ramps.drop_vars("y"))
    with pytest.raises(NrsdarkError, match="3 groups, not 2; average longer exposures"):
        nx.flag_rc(ramps.isel(group=slice(2)))


def test_everything_says_what_it_is(eager):
    for ds in eager:
        for name, array in ds.data_vars.items():
            assert array.attrs["long_name"], name
            if array.dtype.kind == "f":
                assert array.attrs["units"] in ("DN", "DN s-1"), name
            if name in ("dq", "mask", "groupdq", "bias_dq", "common_dq"):
                masks = array.attrs["flag_masks"]
                assert masks.dtype == array.dtype
                meanings = array.attrs["flag_meanings"].split()
                assert [DQ[word] for word in meanings] == masks.tolist()
        assert {"y", "x"} <= set(ds.coords) or "bias" in ds


def test_coordinates_keep_their_attributes(ramps):
    ramps = ramps.copy()
    ramps.y.attrs["units"] = "pixel"
    assert nx.average_ramp(ramps).y.attrs["units"] == "pixel"
    assert nx.flag_rc(ramps).y.attrs["units"] == "pixel"


def test_input_is_not_changed(ramps):
    before = ramps.copy(deep=True)
    whole_chain(ramps)
    xr.testing.assert_identical(ramps, before)
