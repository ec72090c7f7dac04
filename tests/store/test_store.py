"""Writing: round trips, rows that are added, markers, refusals."""

import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.store import RampStore, open_bias_groups, open_ramps
from nrsdark_xr.store.schema import ROW_COORDINATES, VARIABLES

from .helpers import bands, make_exposure, make_row, make_store, write_prepared, write_row


@given(st.integers(1, 40), st.integers(1, 300), st.integers(1, 600), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=20)
def test_round_trip(tmp_path_factory, n_groups, ysize, xsize, seed):
    exposure = make_exposure(
        n_groups=n_groups, ysize=ysize, xsize=xsize, raw_shape=(1, n_groups, ysize, xsize)
    )
    url = tmp_path_factory.mktemp("store") / "ramps.zarr"
    store, rows = make_store(url, [exposure], seed=seed)
    buffer = store.ramp_buffer("jw_a")
    for band in bands(ysize):
        np.testing.assert_array_equal(buffer.read(band), rows["jw_a"]["ramp"][:, band])
    ds = open_ramps(url)
    for name in rows["jw_a"]:
        assert ds[name].dtype == VARIABLES[name].dtype
        assert ds[name].dims == VARIABLES[name].dims
        np.testing.assert_array_equal(ds[name][0].compute(scheduler="sync"), rows["jw_a"][name])


def test_works_on_any_fsspec_file_system():
    import fsspec

    url = "memory://bucket/test_store/ramps.zarr"
    exposures = [make_exposure("jw_a"), make_exposure("jw_b", "2024-01-01T00:00:00.000")]
    try:
        store, rows = make_store(url, exposures)
        assert set(store.markers("prepare")) == set(store.names)
        ds = open_ramps(url)
        assert ds.file.values.tolist() == ["jw_b", "jw_a"]
        np.testing.assert_array_equal(ds.ramp.sel(file="jw_a"), rows["jw_a"]["ramp"])
        with store.lock(), pytest.raises(NrsdarkError, match="does not go with"):
            RampStore.open_or_create(url, [make_exposure(detector="NRS2")])
        assert fsspec.filesystem("memory").glob("/bucket/test_store/*.lock") == []
    finally:
        fsspec.filesystem("memory").rm("/bucket/test_store", recursive=True)


@pytest.mark.parametrize(
    "rows", [slice(0, 100), slice(1, 128), slice(64, 150), slice(128, 140), slice(5, 5)]
)
def test_part_of_a_chunk_is_refused(tmp_path, rows):
    store = RampStore.open_or_create(tmp_path / "r.zarr", [make_exposure()])
    length = rows.stop - rows.start
    with pytest.raises(ValueError, match="whole chunks of 128 rows"):
        store.ramp_buffer("jw_a").write(rows, np.zeros((5, length, 40), "f4"))
    with pytest.raises(ValueError, match="whole chunks of 128 rows"):
        store.ramp_buffer("jw_a").read(rows)


def test_several_bands_at_once(tmp_path):
    store = RampStore.open_or_create(tmp_path / "r.zarr", [make_exposure()])
    ramp = make_row(make_exposure(), 1)["ramp"]
    store.ramp_buffer("jw_a").write(slice(None), ramp)
    buffer = store.ramp_buffer("jw_a")
    np.testing.assert_array_equal(buffer.read(slice(0, 150)), ramp)
    part = np.empty((5, 128, 7), np.float32)
    assert buffer.read(slice(0, 128), slice(4, 11), part) is part
    np.testing.assert_array_equal(part, ramp[:, :128, 4:11])
    with pytest.raises(ValueError, match="out has shape"):
        buffer.read(slice(0, 128), slice(4, 12), part)


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_band_that_is_lost_before_its_row_is_done_has_no_marker_to_delete(tmp_path, damage):
    store = RampStore.open_or_create(tmp_path / "r.zarr", [make_exposure()])
    buffer = store.ramp_buffer("jw_a")
    buffer.write(slice(None), make_row(make_exposure(), 1)["ramp"])
    chunk = tmp_path / "r.zarr/ramp/c/0/0/0/0"
    if damage == "missing":
        chunk.unlink()
    else:
        chunk.write_bytes(b"x" * 99)
    with pytest.raises(NrsdarkError, match=damage) as caught:
        buffer.read(slice(0, 128))
    assert str(caught.value).endswith("; run again")


def test_wrong_shape_or_type_is_refused(tmp_path):
    store = RampStore.open_or_create(tmp_path / "r.zarr", [make_exposure()])
    with pytest.raises(ValueError, match="float64"):
        store.ramp_buffer("jw_a").write(slice(0, 128), np.zeros((5, 128, 40)))
    with pytest.raises(ValueError, match=r"\(5, 127, 40\)"):
        store.ramp_buffer("jw_a").write(slice(0, 128), np.zeros((5, 127, 40), "f4"))
    with pytest.raises(ValueError, match="bias_groups has shape"):
        store.write_bias_groups("jw_a", np.zeros((3, 150, 40), "f4"))


def test_unknown_row(tmp_path):
    store = RampStore.open_or_create(tmp_path / "r.zarr", [make_exposure()])
    with pytest.raises(NrsdarkError, match="no row jw_b"):
        store.ramp_buffer("jw_b")


def test_integrations_are_rows(tmp_path):
    exposure = make_exposure(n_integrations=3, raw_shape=(3, 5, 150, 40))
    make_store(tmp_path / "r.zarr", [exposure])
    assert open_ramps(tmp_path / "r.zarr").file.values.tolist() == ["jw_a", "jw_a_i2", "jw_a_i3"]


def test_all_chunks_are_written_even_empty_ones(tmp_path):
    exposure = make_exposure(n_groups=2, xsize=600, ysize=130)
    row = make_row(exposure, 0)
    empty = {name: np.full_like(values, VARIABLES[name].fill) for name, values in row.items()}
    store = RampStore.open_or_create(tmp_path / "r.zarr", [exposure])
    write_row(store, "jw_a", empty)
    for name in row:
        array = zarr.open_array(tmp_path / "r.zarr" / name, mode="r")
        assert array.nchunks_initialized == array.nchunks


class TestAddingRows:
    def test_old_rows_keep_their_place_and_readers_sort_by_date(self, tmp_path):
        url = tmp_path / "r.zarr"
        late = make_exposure("jw_late", "2025-05-01T00:00:00.000")
        early = make_exposure("jw_early", "2025-01-01T00:00:00.000")
        middle = make_exposure("jw_middle", "2025-03-01T00:00:00.000")
        _, rows = make_store(url, [late])
        store = RampStore.open_or_create(url, [early, late, middle])
        assert store.names == ("jw_late", "jw_early", "jw_middle")
        for number, exposure in enumerate((early, middle)):
            rows[exposure.name] = make_row(exposure, 10 + number)
            write_row(store, exposure.name, rows[exposure.name])
        ds = open_ramps(url)
        assert ds.file.values.tolist() == ["jw_early", "jw_middle", "jw_late"]
        for name in rows:
            np.testing.assert_array_equal(ds.ramp.sel(file=name), rows[name]["ramp"])

    def test_order_of_exposures_changes_nothing_for_readers(self, tmp_path):
        exposures = [make_exposure(f"jw_{n}", f"2025-01-0{1 + n // 2}") for n in range(5)]
        rows = {e.name: make_row(e, n) for n, e in enumerate(exposures)}
        datasets = []
        for number, order in enumerate([(0, 1, 2, 3, 4), (4, 2, 0, 3, 1)]):
            url = tmp_path / f"{number}.zarr"
            store = RampStore.open_or_create(url, [exposures[n] for n in order])
            for name in store.names:
                write_row(store, name, rows[name])
            datasets.append(open_ramps(url).compute())
        xr.testing.assert_identical(*datasets)

    def test_no_new_row_touches_nothing(self, tmp_path):
        url = tmp_path / "r.zarr"
        exposures = [make_exposure()]
        make_store(url, exposures)
        before = {path: path.stat().st_mtime_ns for path in url.rglob("*") if path.is_file()}
        RampStore.open_or_create(url, exposures)
        assert {p: p.stat().st_mtime_ns for p in url.rglob("*") if p.is_file()} == before

    def test_a_cut_off_addition_is_done_again(self, tmp_path, monkeypatch):
        from nrsdark_xr.store import template

        url = tmp_path / "r.zarr"
        old, new = make_exposure("jw_a"), make_exposure("jw_b", "2024-01-01")
        _, rows = make_store(url, [old])

        def cut_off(array, names, values):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(template, "replace_rows", cut_off)
            with pytest.raises(KeyboardInterrupt):
                RampStore.open_or_create(url, [old, new])
        assert open_ramps(url).file.values.tolist() == ["jw_a"]
        np.testing.assert_array_equal(open_ramps(url).ramp[0], rows["jw_a"]["ramp"])
        store = RampStore.open_or_create(url, [new, old])
        write_row(store, "jw_b", rows["jw_a"])
        assert open_ramps(url).file.values.tolist() == ["jw_b", "jw_a"]

    def test_a_cut_off_creation_is_done_again(self, tmp_path, monkeypatch):
        url = tmp_path / "r.zarr"

        def cut_off(self, *args, **kwargs):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(zarr.Group, "create_array", cut_off)
            with pytest.raises(KeyboardInterrupt):
                RampStore.open_or_create(url, [make_exposure()])
        assert (url / "zarr.json").exists()
        make_store(url, [make_exposure()])
        assert open_ramps(url).sizes["file"] == 1

    def test_headers_are_refreshed(self, tmp_path):
        url = tmp_path / "r.zarr"
        make_store(url, [make_exposure()])
        RampStore.open_or_create(url, [make_exposure(asic_t_min=38.7, asic_t_max=38.9)])
        assert open_ramps(url).asic_t_max.values.tolist() == [38.9]

    def test_two_inputs_of_one_name(self, tmp_path):
        with pytest.raises(NrsdarkError, match="two inputs have the name jw_a"):
            RampStore.open_or_create(tmp_path / "r.zarr", [make_exposure(), make_exposure()])

    @pytest.mark.parametrize("name", ["../evil", "a/b", "", "a b", "a\n"])
    def test_names_never_become_paths(self, tmp_path, name):
        with pytest.raises(NrsdarkError, match="other signs"):
            RampStore.open_or_create(tmp_path / "r.zarr", [make_exposure(name)])
        assert [path.name for path in tmp_path.iterdir()] in ([], ["r.zarr"])


class TestMarkers:
    def test_rows_without_marker_are_invisible(self, tmp_path):
        url = tmp_path / "r.zarr"
        exposures = [make_exposure("jw_a"), make_exposure("jw_b", "2025-02-01")]
        store = RampStore.open_or_create(url, exposures)
        row = make_row(exposures[0], 0)
        write_prepared(store, "jw_a", row)
        with pytest.raises(NrsdarkError, match="prepare has finished no exposure"):
            open_ramps(url)
        store.mark_done("prepare", "jw_a", {"seconds": np.float32(2.5)})
        assert open_ramps(url).file.values.tolist() == ["jw_a"]
        assert store.done("prepare") == {"jw_a": {"seconds": 2.5}}
        assert store.done("bias") == {}

    def test_the_bias_step_reads_rows_that_are_not_prepared(self, tmp_path):
        url = tmp_path / "r.zarr"
        exposures = [make_exposure("jw_a"), make_exposure("jw_b", "2025-02-01")]
        store = RampStore.open_or_create(url, exposures)
        rows = {e.name: make_row(e, n) for n, e in enumerate(exposures)}
        store.write_bias_groups("jw_b", rows["jw_b"]["bias_groups"])
        store.mark_done("bias", "jw_b", {})
        bias = open_bias_groups(url)
        assert list(bias.data_vars) == ["bias_groups"]
        assert bias.file.values.tolist() == ["jw_b"]
        np.testing.assert_array_equal(bias.bias_groups[0], rows["jw_b"]["bias_groups"])

        for name in store.names:
            write_prepared(store, name, rows[name])
            store.mark_done("prepare", name, {})
        ds = open_ramps(url).compute()
        assert np.isnan(ds.bias_groups.sel(file="jw_a")).all()
        np.testing.assert_array_equal(ds.bias_groups.sel(file="jw_b"), rows["jw_b"]["bias_groups"])

    def test_no_marker_while_a_chunk_is_missing(self, tmp_path):
        url = tmp_path / "r.zarr"
        store = RampStore.open_or_create(url, [make_exposure()])
        write_prepared(store, "jw_a", make_row(make_exposure(), 0))
        (url / "groupdq/c/0/0/1/0").unlink()
        with pytest.raises(NrsdarkError, match="jw_a has 1 of 2 chunks of groupdq"):
            store.mark_done("prepare", "jw_a", {})
        assert store.done("prepare") == {}

    def test_markers_say_what_changed(self, tmp_path):
        store = RampStore.open_or_create(
            tmp_path / "r.zarr", [make_exposure("jw_a"), make_exposure("jw_b")]
        )
        done = {"jump": {"threshold": 4.0, "nan": float("nan")}, "mask": "abc", "rows": (1, 2)}
        write_row(store, "jw_a", make_row(make_exposure(), 0), fingerprint=done)
        assert set(store.markers("prepare")) == {"jw_a"}
        assert store.markers("prepare")["jw_a"].changes(done) == ()
        changed = {**done, "jump": {"threshold": 5.0, "nan": float("nan")}, "gain": "new"}
        assert store.markers("prepare")["jw_a"].changes(changed) == ("gain", "jump.threshold")

    def test_forgotten_rows_are_hidden(self, tmp_path):
        url = tmp_path / "r.zarr"
        exposures = [make_exposure("jw_a"), make_exposure("jw_b")]
        store = RampStore.open_or_create(url, exposures)
        row = make_row(exposures[0], 0)
        write_row(store, "jw_a", row, fingerprint={"threshold": 4})
        write_row(store, "jw_b", row, fingerprint={"threshold": 5})
        with pytest.warns(UserWarning, match="rows differ in threshold"):
            open_ramps(url)
        store.forget("prepare", ["jw_a"])
        assert open_ramps(url).file.values.tolist() == ["jw_b"]
        store.forget("prepare", ["jw_a"])
        assert set(store.done("bias")) == {"jw_a", "jw_b"}

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"record": {}}', b"\xff\x00"])
    def test_a_damaged_marker_counts_as_none(self, tmp_path, caplog, content):
        url = tmp_path / "r.zarr"
        exposures = [make_exposure("jw_a"), make_exposure("jw_b")]
        store, _ = make_store(url, exposures)
        (url / "file/markers/prepare/jw_a.json").write_bytes(content)
        assert open_ramps(url).file.values.tolist() == ["jw_b"]
        assert "jw_a.json is damaged" in caplog.text
        assert set(store.markers("prepare")) == {"jw_b"}

    def test_a_marker_is_never_half_written(self, tmp_path, monkeypatch):
        store, _ = make_store(tmp_path / "r.zarr", [make_exposure()])
        store.forget("prepare", ["jw_a"])

        def cut_off(self, target):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Path, "hardlink_to", cut_off)
            with pytest.raises(KeyboardInterrupt):
                store.mark_done("prepare", "jw_a", {"new": True})
        assert store.done("prepare") == {}

    def test_a_marker_is_created_never_replaced(self, tmp_path):
        store, _ = make_store(tmp_path / "r.zarr", [make_exposure()])
        before = store.markers("prepare")
        store.mark_done("prepare", "jw_a", {"peak": 1.0})  # the same task, run twice
        assert store.markers("prepare") == before
        with pytest.raises(NrsdarkError, match="another run has finished jw_a meanwhile"):
            store.mark_done("prepare", "jw_a", {"peak": 1.0}, fingerprint={"threshold": 5})
        assert store.markers("prepare") == before

    def test_what_is_no_json_cannot_be_recorded(self, tmp_path):
        store, _ = make_store(tmp_path / "r.zarr", [make_exposure()])
        with pytest.raises(TypeError, match="object cannot be recorded"):
            store.mark_done("prepare", "jw_a", {"x": object()})


class TestSelection:
    def test_selection_is_that_of_the_latest_run(self, tmp_path):
        url = tmp_path / "r.zarr"
        store, _ = make_store(url, [make_exposure(f"jw_{n}") for n in "abc"])
        assert open_ramps(url).accepted.values.all(), "until a selection says otherwise"
        store.set_selection({"jw_a": (True, ""), "jw_b": (False, "ASIC drift 0.5 K")})
        ds = open_ramps(url)
        assert ds.accepted.values.tolist() == [True, False, False]
        assert ds.reason.values.tolist() == ["", "ASIC drift 0.5 K", "not among the inputs"]
        store.set_selection(dict.fromkeys(store.names, (True, "")))
        assert open_ramps(url).accepted.values.all()
        assert set(open_ramps(url).reason.values) == {""}


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"detector": "NRS2"}, "detector 'NRS2' instead of 'NRS1'"),
            ({"readpatt": "NRS"}, "readpatt 'NRS' instead of 'NRSRAPID'"),
            ({"n_groups": 6}, "n_groups 6 instead of 5"),
            ({"ystart": 12}, "ystart 12 instead of 11"),
            ({"xsize": 41}, "xsize 41 instead of 40"),
        ],
    )
    def test_another_configuration(self, tmp_path, changes, words):
        url = tmp_path / "r.zarr"
        make_store(url, [make_exposure()])
        other = make_exposure("jw_other", **changes)
        with pytest.raises(NrsdarkError, match=words) as caught:
            RampStore.open_or_create(url, [other])
        assert str(url) in str(caught.value)
        assert "another path" in str(caught.value)
        assert "\n" not in str(caught.value)
        with pytest.raises(NrsdarkError, match=f"jw_other does not go with the first.*{words}"):
            RampStore.open_or_create(tmp_path / "new.zarr", [make_exposure(), other])
        assert not (tmp_path / "new.zarr").exists()

    def test_another_schema(self, tmp_path):
        url = tmp_path / "r.zarr"
        make_store(url, [make_exposure()])
        zarr.open_group(url, mode="r+").attrs["schema_version"] = 99
        for attempt in (
            lambda: RampStore(url),
            lambda: RampStore.open_or_create(url, [make_exposure()]),
            lambda: open_ramps(url),
        ):
            with pytest.raises(NrsdarkError, match="schema version 99"):
                attempt()

    def test_nothing_there(self, tmp_path):
        for attempt in (RampStore, open_ramps, open_bias_groups):
            with pytest.raises(NrsdarkError, match="there is no ramp store"):
                attempt(tmp_path / "r.zarr")

    def test_a_file_is_there(self, tmp_path):
        url = tmp_path / "r.zarr"
        url.write_text("keep me")
        for attempt in (open_ramps, lambda u: RampStore.open_or_create(u, [make_exposure()])):
            with pytest.raises(NrsdarkError, match="is a file, not a ramp store"):
                attempt(url)
        assert url.read_text() == "keep me"

    def test_the_parent_is_a_file(self, tmp_path):
        (tmp_path / "file").write_text("keep me")
        with pytest.raises(NrsdarkError, match="a file is in the way"):
            RampStore.open_or_create(tmp_path / "file/r.zarr", [make_exposure()])

    def test_another_folder_is_there(self, tmp_path):
        url = tmp_path / "r.zarr"
        url.mkdir()
        (url / "precious.txt").write_text("keep me")
        with pytest.raises(NrsdarkError, match="something else than a ramp store"):
            RampStore.open_or_create(url, [make_exposure()])
        assert (url / "precious.txt").read_text() == "keep me"

    def test_another_zarr_group_is_there(self, tmp_path):
        url = tmp_path / "r.zarr"
        zarr.create_group(url).create_array("precious", shape=(3,), dtype="i4")
        for attempt in (open_ramps, lambda u: RampStore.open_or_create(u, [make_exposure()])):
            with pytest.raises(NrsdarkError, match="no ramp store"):
                attempt(url)
        assert (url / "precious/zarr.json").exists()

    def test_a_zarr_array_is_there(self, tmp_path):
        url = tmp_path / "r.zarr"
        zarr.create_array(url, shape=(3,), dtype="i4")
        with pytest.raises(NrsdarkError, match="is not a Zarr v3 group"):
            RampStore.open_or_create(url, [make_exposure()])

    @pytest.mark.parametrize("key", ["zarr.json", "ramp/zarr.json", "date_obs/zarr.json"])
    @pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
    def test_damaged_metadata(self, tmp_path, key, content):
        url = tmp_path / "r.zarr"
        make_store(url, [make_exposure()])
        (url / key).write_text(content)
        for attempt in (open_ramps, lambda u: RampStore.open_or_create(u, [make_exposure()])):
            with pytest.raises(NrsdarkError, match=r"damaged|not a Zarr v3 group") as caught:
                attempt(url)
            assert str(url) in str(caught.value)

    def test_a_missing_array(self, tmp_path):
        import shutil

        url = tmp_path / "r.zarr"
        make_store(url, [make_exposure()])
        shutil.rmtree(url / "ramp")
        with pytest.raises(NrsdarkError, match=r"ramp/zarr\.json is damaged"):
            RampStore(url)

    def test_no_exposure(self, tmp_path):
        with pytest.raises(NrsdarkError, match="no exposure"):
            RampStore.open_or_create(tmp_path / "r.zarr", [])


class TestAttributes:
    def test_nested_ones_are_compact_json(self, tmp_path):
        url = tmp_path / "r.zarr"
        attributes = {"parameters": {"b": [1, 2], "a": {"x": None}}, "nrsdark_xr": "0.1"}
        RampStore.open_or_create(url, [make_exposure()], attributes=attributes)
        store = RampStore.open_or_create(url, [make_exposure()], attributes={"context": "1"})
        write_row(store, "jw_a", make_row(make_exposure(), 0))
        attrs = open_ramps(url).attrs
        assert attrs["parameters"] == '{"a":{"x":null},"b":[1,2]}'
        assert json.loads(attrs["parameters"]) == attributes["parameters"]
        assert (attrs["nrsdark_xr"], attrs["context"]) == ("0.1", "1")
        assert (attrs["detector"], attrs["n_groups"]) == ("NRS1", 5)

    def test_the_stores_own_cannot_be_overwritten(self, tmp_path):
        with pytest.raises(ValueError, match="keeps detector"):
            RampStore.open_or_create(
                tmp_path / "r.zarr", [make_exposure()], attributes={"detector": "NRS2"}
            )


def test_pickles_by_url(tmp_path):
    store, rows = make_store(tmp_path / "r.zarr", [make_exposure()])
    copy = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(
        copy.ramp_buffer("jw_a").read(slice(0, 128)), rows["jw_a"]["ramp"][:, :128]
    )
    assert "1 rows, NRS1 NRSRAPID SUBTEST, 5 groups" in repr(copy)


def test_what_comes_out_of_a_pickle_is_opened_when_it_is_used(tmp_path):
    """The scheduler of a cluster unpickles tasks, and need not see the store."""
    store, _ = make_store(tmp_path / "r.zarr", [make_exposure()])
    pickled = pickle.dumps(store)
    (tmp_path / "r.zarr").rename(tmp_path / "elsewhere.zarr")
    copy = pickle.loads(pickle.dumps(pickle.loads(pickled)))
    with pytest.raises(NrsdarkError, match="there is no ramp store"):
        copy.ramp_buffer("jw_a")
    (tmp_path / "elsewhere.zarr").rename(tmp_path / "r.zarr")
    assert copy.names == store.names


def test_plain_xarray_opens_it_without_a_warning(tmp_path):
    """Anyone can read the store without this package."""
    _, rows = make_store(tmp_path / "r.zarr", [make_exposure()])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_store(tmp_path / "quiet.zarr", [make_exposure()])
        ds = xr.open_zarr(tmp_path / "r.zarr", consolidated=False)
    assert set(ds.data_vars) == set(VARIABLES)
    assert set(ROW_COORDINATES) < set(ds.coords)
    assert ds.date_obs.dtype.kind == "M"
    np.testing.assert_array_equal(ds.ramp[0], rows["jw_a"]["ramp"])
