"""Full and read-only disks, killed writers, several writers at once."""

import hashlib
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.store import RampStore, open_ramps

from .helpers import make_exposure, make_row, make_store, write_row

WRITER = """
import sys
from nrsdark_xr.store import RampStore
from tests.store.helpers import make_exposure, make_row, write_row
url, name, seed = sys.argv[1:]
write_row(RampStore(url), name, make_row(make_exposure(n_groups=30, xsize=300), int(seed)))
"""
KILLED = """
import os, signal, sys
from nrsdark_xr.store import RampStore
from tests.store.helpers import make_exposure, make_row
row = make_row(make_exposure(), 1)
store = RampStore(sys.argv[1])
with store.lock():
    store.forget("prepare", ["jw_a"])
    store.ramp_buffer("jw_a").write(slice(0, 128), row["ramp"][:, :128])
    os.kill(os.getpid(), signal.SIGKILL)
"""


def spawn(script: str, *arguments: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)], cwd=Path(__file__).parents[2]
    )


@pytest.fixture
def mounted(tmp_path):
    """A function that mounts a file system of memory, of so many bytes."""
    places = []

    def mount(options: str) -> Path:
        place = tmp_path / f"mount{len(places)}"
        place.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True
        )
        if done.returncode:
            pytest.skip("no right to mount")
        places.append(place)
        return place

    yield mount
    for place in places:
        subprocess.run(["umount", "--lazy", place], check=True)


def test_full_disk(mounted):
    url = mounted("size=2m") / "r.zarr"
    exposures = [make_exposure(n, n_groups=10, xsize=200) for n in ("jw_a", "jw_b")]
    store = RampStore.open_or_create(url, exposures)
    row = make_row(exposures[0], 0)

    def write_both():
        for exposure in exposures:
            write_row(store, exposure.name, row)

    with pytest.raises(NrsdarkError, match="no space left to write") as caught:
        write_both()
    assert str(url) in str(caught.value)
    assert "run again" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(store.done("prepare")) in ([], ["jw_a"])
    with store.lock():
        pass


def test_full_disk_while_the_store_is_made(mounted):
    url = mounted("size=40k") / "r.zarr"
    with pytest.raises(NrsdarkError, match="no space left to write"):
        RampStore.open_or_create(url, [make_exposure()])


def test_read_only_disk(mounted):
    place = mounted("size=10m")
    url = place / "r.zarr"
    exposures = [make_exposure()]
    store, rows = make_store(url, exposures)
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    for attempt in (
        lambda: RampStore.open_or_create(url, exposures),
        lambda: RampStore.open_or_create(place / "new.zarr", exposures),
        lambda: write_row(store, "jw_a", rows["jw_a"]),
        lambda: store.mark_done("prepare", "jw_a", {}),
        lambda: store.set_selection({"jw_a": (False, "by hand")}),
    ):
        with pytest.raises(NrsdarkError, match="cannot be written") as caught:
            attempt()
        assert str(place) in str(caught.value)
    np.testing.assert_array_equal(open_ramps(url).ramp[0], rows["jw_a"]["ramp"])


def test_a_killed_run_leaves_no_mixed_row(tmp_path):
    """Rows are hidden before they are written anew; finished ones stay."""
    url = tmp_path / "r.zarr"
    exposures = [make_exposure("jw_a"), make_exposure("jw_b")]
    store = RampStore.open_or_create(url, exposures)
    row = make_row(exposures[0], 0)
    write_row(store, "jw_a", row, fingerprint={"threshold": 4})
    write_row(store, "jw_b", row, fingerprint={"threshold": 5})
    assert spawn(KILLED, url).wait() == -signal.SIGKILL
    assert (tmp_path / "r.zarr.lock").exists()
    assert open_ramps(url).file.values.tolist() == ["jw_b"]
    store = RampStore.open_or_create(url, exposures)
    assert set(store.markers("prepare")) == {"jw_b"}


def digest(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and "markers" not in path.parts)
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_two_processes_write_different_rows(tmp_path):
    url = tmp_path / "r.zarr"
    exposures = [make_exposure(n, n_groups=30, xsize=300) for n in ("jw_a", "jw_b")]
    RampStore.open_or_create(url, exposures)
    writers = [spawn(WRITER, url, name, seed) for seed, name in enumerate(("jw_a", "jw_b"))]
    assert [writer.wait() for writer in writers] == [0, 0]
    ds = open_ramps(url).compute()
    for seed, exposure in enumerate(exposures):
        for name, values in make_row(exposure, seed).items():
            np.testing.assert_array_equal(ds[name].sel(file=exposure.name), values)


def test_the_same_row_twice_is_the_same_bytes(tmp_path):
    exposure = make_exposure("jw_a", n_groups=30, xsize=300)
    once, twice = tmp_path / "once.zarr", tmp_path / "twice.zarr"
    for url in (once, twice):
        RampStore.open_or_create(url, [exposure])
    writers = [spawn(WRITER, twice, "jw_a", 3) for _ in range(2)]
    write_row(RampStore(once), "jw_a", make_row(exposure, 3))
    assert [writer.wait() for writer in writers] == [0, 0]
    assert digest(once) == digest(twice)
    assert not list(twice.rglob("*.partial"))
    assert [p.name for p in (twice / "file/markers/prepare").iterdir()] == ["jw_a.json"]
