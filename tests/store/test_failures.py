"""Notes on what failed."""

from __future__ import annotations

from nrsdark_xr.store import open_ramps
from nrsdark_xr.store.failures import delete_failures, read_failures, write_failures
from nrsdark_xr.store.location import Location
from tests.store.helpers import make_exposure, make_store


def test_noted_by_step_replaced_and_removed(tmp_path):
    place = Location.of(tmp_path / "ramps.zarr", None)
    make_store(place.url, [make_exposure()])
    assert read_failures(place, "prepare") == {}
    delete_failures(place, "prepare", ["jw_a"])
    write_failures(place, "prepare", ["jw_a", "jw_b"], "first")
    write_failures(place, "prepare", ["jw_a"], "second <b>")
    notes = read_failures(place, "prepare")
    assert {name: note.reason for name, note in notes.items()} == {
        "jw_a": "second <b>",
        "jw_b": "first",
    }
    assert read_failures(place, "bias") == {}
    delete_failures(place, "prepare", ["jw_a", "jw_unknown"])
    assert list(read_failures(place, "prepare")) == ["jw_b"]
    assert open_ramps(place.url).sizes["file"] == 1  # notes are no data


def test_a_damaged_note_is_left_out(tmp_path):
    place = Location.of(tmp_path / "ramps.zarr", None)
    make_store(place.url, [make_exposure()])
    write_failures(place, "bias", ["jw_a"], "why")
    for name, content in {"jw_b": b"{", "jw_c": b"[]", "jw_d": b'{"reason": 1}'}.items():
        place.write(f"file/failures/bias/{name}.json", content)
    assert list(read_failures(place, "bias")) == ["jw_a"]
