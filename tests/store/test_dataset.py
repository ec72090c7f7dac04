"""Reading: what the Dataset is, that it is lazy, that nothing lost passes for data."""

import time

import dask
import dask.array
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.store import RampStore, open_bias_groups, open_ramps
from nrsdark_xr.store.direct import ChunkFiles
from nrsdark_xr.store.location import CompleteStore, Location
from nrsdark_xr.store.markers import write_marker
from nrsdark_xr.store.schema import VARIABLES

from .helpers import make_exposure, make_store


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A store of three rows, not in the order of dates, cut in all dimensions."""
    url = tmp_path_factory.mktemp("three") / "ramps.zarr"
    exposures = [
        make_exposure(name, date, n_groups=60, xsize=300, raw_shape=(1, 60, 150, 300))
        for name, date in (("jw_c", "2025-03-01"), ("jw_a", "2025-01-01"), ("jw_b", "2025-02-01"))
    ]
    _, rows = make_store(url, exposures)
    return url, [rows[name] for name in ("jw_a", "jw_b", "jw_c")]


def refuse(*args, **kwargs):
    raise AssertionError("something was computed")


def test_opening_computes_and_reads_no_data(three, monkeypatch):
    url, _ = three
    keys = []
    get = CompleteStore.get

    async def counting(self, key, *args, **kwargs):
        keys.append(key)
        return await get(self, key, *args, **kwargs)

    monkeypatch.setattr(CompleteStore, "get", counting)
    monkeypatch.setattr(ChunkFiles, "_fetch", refuse)
    with dask.config.set(scheduler=refuse):
        for chunks in ("reductions", None, {"file": 1}):
            ds = open_ramps(url, chunks=chunks)
            repr(ds)
            ds._repr_html_()
        open_bias_groups(url)
        with pytest.raises(AssertionError, match="computed"):
            open_ramps(url).rate.sum().compute()
    assert "date_obs/c/0" in keys
    assert not [key for key in keys if key.split("/")[0] in VARIABLES and "/c/" in key]


def test_file_is_one_chunk_and_blocks_are_stored_chunks(three):
    ds = open_ramps(three[0])
    assert ds.chunksizes["file"] == (3,)
    assert ds.chunksizes["group"] == (20, 20, 20)
    assert ds.chunksizes["y"] == (128, 22)
    assert ds.chunksizes["x"] == (256, 44)
    for name in ds.data_vars:
        assert dask.is_dask_collection(ds[name].data)
    for name in ds.coords:
        assert not dask.is_dask_collection(ds[name].data)


def test_each_stored_ramp_chunk_is_read_once_by_a_reduction(three, monkeypatch):
    url, rows = three
    keys = []
    fetch = ChunkFiles._fetch

    def counting(self, key, *args):
        keys.append(key)
        return fetch(self, key, *args)

    ds = open_ramps(url)
    monkeypatch.setattr(ChunkFiles, "_fetch", counting)
    mean = ds.ramp.mean("file").compute(scheduler="sync")
    np.testing.assert_allclose(mean, np.mean([row["ramp"] for row in rows], 0), rtol=1e-6)
    assert len(keys) == len(set(keys)) == 3 * ds.ramp.data.npartitions


def test_one_task_per_block(three):
    ds = open_ramps(three[0])
    (graph,) = dask.optimize(ds.ramp.data + 1)
    assert len(graph.dask) == ds.ramp.data.npartitions


def test_hundred_full_frame_exposures_open_quickly_with_a_small_graph(tmp_path):
    """Metadata only; the limit on time is loose, the one on tasks is not."""
    exposures = [
        make_exposure(
            f"jw_{n:03}",
            subarray="FULL",
            n_groups=88,
            xsize=2048,
            ysize=2048,
            ystart=1,
            raw_shape=(1, 88, 2048, 2048),
        )
        for n in range(100)
    ]
    url = tmp_path / "r.zarr"
    RampStore.open_or_create(url, exposures)
    for exposure in exposures:
        write_marker(Location.of(url, None), "prepare", exposure.name, record={}, fingerprint={})
    start = time.process_time()
    ds = open_ramps(url)
    assert time.process_time() - start < 10
    assert ds.ramp.shape == (100, 88, 2048, 2048)
    assert ds.ramp.data.npartitions == 4 * 16 * 8
    assert len(dask.optimize(ds.ramp.data)[0].dask) == 512
    assert len(repr(ds)) < 6000


def not_empty(size):
    """Slices that take something: xarray itself fails on empty ones that run backwards."""
    return st.slices(size).filter(lambda part: len(range(*part.indices(size))) > 0)


index = st.one_of(
    not_empty(3),
    st.integers(-3, 2),
    st.lists(st.integers(-3, 2), min_size=1, max_size=4),
)


@given(
    file=index,
    group=st.one_of(not_empty(60), st.integers(-60, 59)),
    y=st.one_of(not_empty(150), st.lists(st.integers(-150, 149), min_size=1, max_size=4)),
    chunks=st.sampled_from(["reductions", None, {"file": 1}, {"file": 2, "group": 7, "x": 33}]),
)
@settings(deadline=None, max_examples=40)
def test_any_index_gives_what_was_written(three, file, group, y, chunks):
    url, rows = three
    expected = xr.DataArray(
        np.stack([row["groupdq"] for row in rows]), dims=("file", "group", "y", "x")
    )
    with dask.config.set(scheduler="sync"):
        got = open_ramps(url, chunks=chunks).groupdq.isel(file=file, group=group, y=y).values
    np.testing.assert_array_equal(got, expected.isel(file=file, group=group, y=y))


def test_chunks_change_no_value(three):
    url, _ = three
    datasets = [open_ramps(url, chunks=c).compute() for c in ("reductions", None, {"file": 1})]
    xr.testing.assert_identical(datasets[0], datasets[1])
    xr.testing.assert_identical(datasets[0], datasets[2])


def test_coordinates_and_attributes(three):
    ds = open_ramps(three[0])
    assert ds.date_obs.values.tolist() == sorted(ds.date_obs.values.tolist())
    assert str(ds.date_obs.values[0]).startswith("2025-01-01")
    assert ds.y.values[[0, -1]].tolist() == [11, 160]
    assert ds.indexes["file"].tolist() == ["jw_a", "jw_b", "jw_c"]
    assert ds.time.attrs["units"] == "s"
    assert ds.ramp.attrs["units"] == "DN"
    assert ds.rate.attrs["units"] == "DN/s"
    assert "JUMP_DET" in ds.groupdq.attrs["flag_meanings"].split()
    assert set(ds.coords) == {
        "file", "group", "time", "y", "x", "bias_group", "y_raw", "date_obs", "program",
        "observation", "grating", "filter", "readpatt", "asic_t_min", "asic_t_max", "accepted",
        "reason",
    }  # fmt: skip
    text = repr(ds)
    assert "jw_a" in text
    assert "Size:" in text


def test_names_choose_rows(three):
    url, rows = three
    ds = open_ramps(url, names=["jw_c", "jw_a"])
    assert ds.file.values.tolist() == ["jw_a", "jw_c"]
    np.testing.assert_array_equal(ds.ramp[1], rows[2]["ramp"])
    with pytest.raises(NrsdarkError, match="prepare has not finished jw_x"):
        open_ramps(url, names=["jw_a", "jw_x"])


def test_unknown_chunks(three):
    with pytest.raises(ValueError, match="no dimension z"):
        open_ramps(three[0], chunks={"z": 1})
    with pytest.raises(ValueError, match="not 'auto'"):
        open_ramps(three[0], chunks="auto")


def test_rows_done_again_get_other_dask_names(tmp_path):
    """Or a cluster that still holds the old blocks would hand them out."""
    url = tmp_path / "r.zarr"
    store, _ = make_store(url, [make_exposure()])
    before = open_ramps(url).ramp.data.name
    assert open_ramps(url).ramp.data.name == before
    store.forget("prepare", ["jw_a"])
    store.mark_done("prepare", "jw_a", {}, fingerprint={"threshold": 5})
    assert open_ramps(url).ramp.data.name != before


def test_a_lost_chunk_is_an_error_not_nan(tmp_path):
    url = tmp_path / "r.zarr"
    store, rows = make_store(url, [make_exposure("jw_a"), make_exposure("jw_b")])
    (url / "ramp/c/1/0/0/0").unlink()
    ds = open_ramps(url)
    with pytest.raises(NrsdarkError, match="this chunk is missing") as caught:
        ds.ramp.mean("file").compute()
    assert "ramp/c/1/0/0/0" in str(caught.value)
    assert f"delete {url}/file/markers/prepare/jw_b.json" in str(caught.value)
    with pytest.raises(NrsdarkError, match="this chunk is missing"):
        store.ramp_buffer("jw_b").read(slice(0, 128))
    np.testing.assert_array_equal(ds.ramp[0], rows["jw_a"]["ramp"])


@pytest.mark.parametrize("damage", ["cut off", "empty", "other bytes"])
def test_a_damaged_chunk_is_one_clear_line(tmp_path, damage):
    url = tmp_path / "r.zarr"
    make_store(url, [make_exposure()])
    chunk = url / "ramp/c/0/0/0/0"
    content = chunk.read_bytes()
    chunk.write_bytes(
        {"cut off": content[: len(content) // 2], "empty": b"", "other bytes": b"x" * 99}[damage]
    )
    ds = open_ramps(url)
    with pytest.raises(NrsdarkError, match="a chunk of jw_a is damaged") as caught:
        ds.ramp.compute(scheduler="sync")
    assert str(url) in str(caught.value)


def test_a_row_that_is_being_written_does_not_disturb_readers(tmp_path):
    url = tmp_path / "r.zarr"
    exposures = [make_exposure("jw_a"), make_exposure("jw_b")]
    _, rows = make_store(url, exposures[:1])
    RampStore.open_or_create(url, exposures).ramp_buffer("jw_b").write(
        slice(0, 128), rows["jw_a"]["ramp"][:, :128]
    )
    assert open_ramps(url).compute().sizes["file"] == 1
