from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures import (
    Exposure,
    check_same_configuration,
    find_exposures,
    find_odd_exposures,
    read_exposure,
    read_exposures,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    raw = tmp_path / "raw"
    (raw / "folder_uncal.fits").mkdir(parents=True)
    for name in ("b_uncal.fits", "a_uncal.fits", "a_rate.fits", "c[1]_uncal.fits"):
        (raw / name).write_bytes(b"")
    return tmp_path


@pytest.fixture
def exposures(uncal) -> list[Exposure]:
    return [
        read_exposure(str(uncal(f"jw{number}", TIME_OBS=f"03:04:0{number}")[0]))
        for number in range(4)
    ]


@pytest.mark.parametrize(
    ("inputs", "found"),
    [
        ("raw/*_uncal.fits", ["a_uncal.fits", "b_uncal.fits", "c[1]_uncal.fits"]),
        ("raw/?_uncal.fits", ["a_uncal.fits", "b_uncal.fits"]),
        ("raw/[ab]_uncal.fits", ["a_uncal.fits", "b_uncal.fits"]),
        ("**/a_*.fits", ["a_rate.fits", "a_uncal.fits"]),
        ("raw/c[1]_uncal.fits", ["c[1]_uncal.fits"]),
        (["raw/b_uncal.fits", "raw/a_uncal.fits"], ["a_uncal.fits", "b_uncal.fits"]),
        (["raw/b_uncal.fits", "./raw/../raw/b*", "raw/b_uncal.fits"], ["b_uncal.fits"]),
    ],
)
def test_finds_local_files_from_the_base(folder, inputs, found):
    expected = [str(folder / "raw" / name) for name in found]
    assert find_exposures(inputs, base=folder) == expected


def test_relative_paths_count_from_the_current_folder_without_a_base(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert find_exposures("raw/a_*") == find_exposures(str(folder / "raw/a_*"))


def test_home_folder_and_file_urls(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    expected = [str(folder / "raw/a_uncal.fits")]
    assert find_exposures("~/raw/a_u*", base=Path("/nowhere")) == expected
    assert find_exposures(f"file://{folder}/raw/a_uncal.fits") == expected
    assert find_exposures(f"file://{folder}/raw/a_u*") == expected


def test_a_link_to_a_file_is_that_file(folder):
    (folder / "raw/z_uncal.fits").symlink_to(folder / "raw/a_uncal.fits")
    assert len(find_exposures("raw/*_uncal.fits", base=folder)) == 3
    assert find_exposures("raw/z_uncal.fits", base=folder) == [str(folder / "raw/z_uncal.fits")]


def test_finds_remote_files():
    memory = fsspec.filesystem("memory")
    for name in ("b_uncal.fits", "a_uncal.fits", "a_rate.fits", "deep/c_uncal.fits"):
        memory.pipe_file(f"/bucket/{name}", b"")
    found = ["memory:///bucket/a_uncal.fits", "memory:///bucket/b_uncal.fits"]
    assert find_exposures("memory:///bucket/*_uncal.fits", base=Path("/nowhere")) == found
    assert find_exposures(["memory:///bucket/a_uncal.fits"] * 2) == found[:1]
    assert find_exposures("memory:///not/looked/up.fits") == ["memory:///not/looked/up.fits"]


def test_local_and_remote_files_together(folder):
    fsspec.filesystem("memory").pipe_file("/mixed/a_uncal.fits", b"")
    inputs = ["memory:///mixed/*", "raw/a_uncal.fits"]
    assert find_exposures(inputs, base=folder) == [
        str(folder / "raw/a_uncal.fits"),
        "memory:///mixed/a_uncal.fits",
    ]


@pytest.mark.parametrize(
    ("inputs", "line"),
    [
        ("raw/*.dat", "raw/*.dat: matches no file; check the pattern"),
        (["raw/a_uncal.fits", "raw/x*"], "raw/x*: matches no file"),
        ("raw/folder*", "matches no file"),
        ("raw/x_uncal.fits", "x_uncal.fits: no such file"),
        ("raw", "raw: is a folder; use a pattern such as FOLDER/*_uncal.fits"),
        ("memory:///none/*", "memory:///none/*: matches no file"),
        ("gopher://old/*", "this kind of URL cannot be opened"),
        ([], "no inputs given"),
    ],
)
def test_finding_nothing_is_told(folder, inputs, line):
    with pytest.raises(NrsdarkError) as caught:
        find_exposures(inputs, base=folder)
    assert line in str(caught.value)


def test_exposures_come_by_date_then_name(uncal):
    times = {"jwc": "03:00:00", "jwa": "03:00:00.001", "jwb": "03:00:00", "jwd": "02:59:59.999"}
    urls = [str(uncal(name, TIME_OBS=time)[0]) for name, time in times.items()]
    random.Random(1).shuffle(urls)
    exposures, rejected = read_exposures(urls)
    assert [exposure.name for exposure in exposures] == ["jwd", "jwb", "jwc", "jwa"]
    assert rejected == []


def test_a_bad_file_stops_or_is_left_out(uncal, tmp_path):
    good = [str(uncal(name)[0]) for name in ("jw1", "jw2")]
    bad = str(uncal("jw3", EXP_TYPE="NRS_LAMP")[0])
    absent = str(tmp_path / "absent.fits")
    urls = [good[0], absent, bad, good[1]]
    with pytest.raises(NrsdarkError, match=r"absent\.fits: no such file"):
        read_exposures(urls, on_error="stop")
    exposures, rejected = read_exposures(urls, on_error="skip")
    assert [exposure.url for exposure in exposures] == good
    assert [each.url for each in rejected] == [absent, bad]
    assert rejected[0].reason == "no such file; check the path"
    assert rejected[1].reason.startswith("is no dark: EXP_TYPE is NRS_LAMP")


@pytest.mark.parametrize("name", ["jw1", "jw1_i2"])
def test_two_files_of_one_name_are_told(uncal, name):
    first = str(uncal("jw1", shape=(2, 5, 16, 32))[0])
    second = str(uncal("other", FILENAME=f"{name}_uncal.fits")[0])
    with pytest.raises(NrsdarkError, match=f"is the same exposure as {first} .{name}.") as caught:
        read_exposures([first, second])
    assert caught.value.file == second
    exposures, rejected = read_exposures([first, second], on_error="skip")
    assert [exposure.url for exposure in exposures] == [first]
    assert [each.url for each in rejected] == [second]


def test_errors_of_the_program_are_not_swallowed(uncal, monkeypatch):
    path, _ = uncal()
    monkeypatch.setattr("nrsdark_xr.exposures.header._check_kind", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        read_exposures([str(path)], on_error="skip")


def test_equal_configurations_pass(exposures):
    several = replace(exposures[0], n_integrations=3, raw_shape=(3, 5, 16, 32), grating="G395H")
    check_same_configuration([*exposures, several])
    check_same_configuration(exposures[:1])
    check_same_configuration([])
    rounding = replace(exposures[0], group_time=exposures[0].group_time * (1 + 1e-12))
    check_same_configuration([*exposures, rounding])


@pytest.mark.parametrize(
    ("field", "value", "difference"),
    [
        ("detector", "NRS2", "detector NRS2 instead of NRS1"),
        ("readpatt", "NRS", "readpatt NRS instead of NRSRAPID"),
        ("subarray", "FULL", "subarray FULL instead of SUB512S"),
        ("xstart", 1, "xstart 1 instead of 1025"),
        ("ystart", 1, "ystart 1 instead of 971"),
        ("xsize", 5, "xsize 5 instead of 32"),
        ("ysize", 5, "ysize 5 instead of 16"),
        ("n_groups", 88, "n_groups 88 instead of 5"),
        ("n_frames", 4, "n_frames 4 instead of 1"),
        ("group_gap", 1, "group_gap 1 instead of 0"),
        ("frame_divisor", 4, "frame_divisor 4 instead of 1"),
        ("n_outputs", 4, "n_outputs 4 instead of 1"),
        ("frame_time", 1.0, "frame_time 1.0 instead of 0.14392"),
        ("group_time", 1.0, "group_time 1.0 instead of 0.14392"),
        ("gain_factor", 1.429, "gain_factor 1.429 instead of 1.0"),
    ],
)
def test_the_odd_file_is_named_with_what_differs(exposures, field, value, difference):
    for odd in range(len(exposures)):
        mixed = list(exposures)
        mixed[odd] = replace(exposures[odd], **{field: value})
        with pytest.raises(NrsdarkError) as caught:
            check_same_configuration(mixed)
        assert caught.value.file == exposures[odd].url
        assert f"1 of 4 inputs differ from the rest, this one: {difference};" in str(caught.value)
        assert [each.url for each in find_odd_exposures(mixed)] == [exposures[odd].url]


def test_several_odd_files_are_named_up_to_a_limit(exposures):
    odd = [
        replace(exposures[0], url=f"/raw/odd{number}.fits", n_groups=6, detector="NRS2")
        for number in range(7)
    ]
    norm = [exposures[1]] * 8
    with pytest.raises(NrsdarkError) as caught:
        check_same_configuration([*odd, *norm])
    line = str(caught.value)
    assert line.startswith("/raw/odd0.fits: 7 of 15 inputs differ")
    assert "odd4.fits (detector NRS2 instead of NRS1, n_groups 6 instead of 5) and 2 more" in line
    assert "odd5" not in line
