from __future__ import annotations

import csv
import logging
from dataclasses import replace
from datetime import date
from pathlib import Path

import fsspec
import numpy as np
import pytest
from pydantic import ValidationError

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures import (
    Exposure,
    Selected,
    SelectionParameters,
    read_exposure,
    read_telemetry,
    select,
)

TABLE_2 = Path(__file__).parents[2].parent / "shared/data/tables/asic_temperature_cycle2_table2.csv"


@pytest.fixture
def dark(uncal) -> Exposure:
    return replace(read_exposure(str(uncal("jw1")[0])), subarray="FULL")


@pytest.fixture
def table(tmp_path):
    def write(*lines: str, header: str = "exposure_id,T_min_K,T_max_K,T_diff_K") -> str:
        path = tmp_path / "asic.csv"
        path.write_text("\n".join([header, *lines]) + "\n")
        return str(path)

    return write


def reasons(exposures: list[Exposure], **parameters) -> list[str]:
    decisions = select(exposures, SelectionParameters(**parameters))
    assert all(decision.accepted == (decision.reason == "") for decision in decisions)
    return [decision.reason for decision in decisions]


@pytest.mark.skipif(not TABLE_2.exists(), reason=f"the table of the report is not at {TABLE_2}")
def test_reproduces_every_decision_of_the_reports_table_2(dark):
    rows = list(csv.DictReader(TABLE_2.read_text().splitlines()))
    exposures = [
        replace(
            dark,
            name=row["exposure_id_reassembled"],
            detector=row["detector"],
            grating=row["optical_element"],
            date_obs=f"{row['date']}T00:00:00.000",
        )
        for row in rows
    ]
    parameters = SelectionParameters(telemetry=str(TABLE_2), exclude_gratings=())
    decisions = select(exposures, parameters)
    assert len(rows) == 35
    for row, decision in zip(rows, decisions, strict=True):
        kept = row["decision_at_0.02K"] == "keep"
        assert decision.accepted == kept, row
        assert kept or f"drift {float(row['T_diff_K']):g} K is above 0.02 K" in decision.reason
        assert decision.exposure.asic_t_min == float(row["T_min_K"])
        assert decision.exposure.asic_t_max == float(row["T_max_K"])


def test_mirror_and_prism_are_left_out_of_full_frame_only(dark):
    gratings = ["G140M", "MIRROR", "PRISM"]
    full = [replace(dark, name=grating, grating=grating) for grating in gratings]
    subarray = [replace(exposure, subarray="SUB2048") for exposure in full]
    left_out = ["grating MIRROR is left out", "grating PRISM is left out"]
    assert reasons(full + subarray) == ["", *left_out, "", "", ""]
    assert reasons(subarray, exclude_gratings_subarray=["PRISM"]) == ["", "", left_out[1]]
    assert reasons(full, exclude_gratings=[]) == ["", "", ""]


def test_both_days_are_still_in(dark):
    days = ["2025-01-01", "2025-01-02", "2025-01-03", "2025-01-04"]
    exposures = [replace(dark, name=day, date_obs=f"{day}T23:59:59.999") for day in days]
    assert reasons(exposures, first_date="2025-01-02", last_date=date(2025, 1, 3)) == [
        "taken on 2025-01-01, before 2025-01-02",
        "",
        "",
        "taken on 2025-01-04, after 2025-01-03",
    ]


def test_names_are_left_out_however_they_are_written(dark, caplog):
    exposures = [replace(dark, name=name) for name in ("jw1", "jw2", "jw3")]
    with caplog.at_level(logging.WARNING):
        got = reasons(exposures, exclude=["jw1", "raw/jw3_uncal.fits", "jw9"])
    assert got == ["excluded by name", "", "excluded by name"]
    assert "jw9" in caplog.text


def test_drift_has_its_own_limit_for_subarrays(dark, table):
    url = table("jw1,43.0,43.13,0.13", "jw2,43.0,43.14,0.14", "jw3,43.0,43.02,0.02")
    full = [replace(dark, name=f"jw{number}") for number in (1, 2, 3)]
    subarray = [replace(exposure, subarray="SUB2048") for exposure in full]
    assert reasons(full, telemetry=url) == [
        "ASIC temperature drift 0.13 K is above 0.02 K",
        "ASIC temperature drift 0.14 K is above 0.02 K",
        "",
    ]
    assert reasons(subarray, telemetry=url) == [
        "",
        "ASIC temperature drift 0.14 K is above 0.13 K",
        "",
    ]
    assert reasons(full, telemetry=url, max_asic_drift=0.13)[0] == ""


def test_the_tables_own_difference_counts_where_there_is_one(dark, table):
    with_difference = table("jw1,43.62,43.66,0.02")
    assert reasons([dark], telemetry=with_difference) == [""]
    empty = table("jw1,43.62,43.64,")  # 43.64 - 43.62 > 0.02 in binary
    assert reasons([dark], telemetry=empty) == [""]
    without = table("jw1,43.62,43.64", header="exposure_id,T_min_K,T_max_K")
    assert reasons([dark], telemetry=without) == [""]


def test_an_exposure_without_telemetry(dark, table):
    exposures = [dark, replace(dark, name="jw2")]
    url = table("jw2,43,43.01,0.01")
    assert reasons(exposures, telemetry=url) == ["not in the telemetry table", ""]
    assert reasons(exposures, telemetry=url, require_telemetry=False) == ["", ""]
    unknown = select(exposures, SelectionParameters(telemetry=url))[0].exposure
    assert np.isnan(unknown.asic_t_min)


def test_a_temperature_that_is_not_known_is_left_out(dark, table):
    exposures = [dark, replace(dark, name="jw2")]
    url = table("jw1,nan,nan,nan", "jw2,43,43.01,0.01")
    assert reasons(exposures, telemetry=url) == [
        "ASIC temperature drift nan K is above 0.02 K",
        "",
    ]


def test_every_reason_is_told(dark, table):
    exposures = [replace(dark, grating="PRISM"), replace(dark, name="jw2")]
    url = table("jw1,43,44,1", "jw2,43,43,0")
    assert reasons(exposures, telemetry=url, exclude=["jw1"])[0] == (
        "excluded by name; grating PRISM is left out; ASIC temperature drift 1 K is above 0.02 K"
    )


def test_nothing_left_is_told_with_the_reasons_and_their_counts(dark, table):
    exposures = [
        replace(dark, name="jw1", grating="PRISM"),
        replace(dark, name="jw2", grating="PRISM"),
        replace(dark, name="jw3"),
        replace(dark, name="jw4"),
    ]
    url = table("jw1,43,43,0", "jw2,43,43.5,0.5", "jw3,43,43.6,0.6")
    with pytest.raises(NrsdarkError) as caught:
        select(exposures, SelectionParameters(telemetry=url))
    assert str(caught.value) == (
        "no exposure is left of 4: grating PRISM (2), ASIC temperature drift (2), "
        "no telemetry (1); loosen the selection or give more exposures"
    )
    with pytest.raises(NrsdarkError, match="no exposure is left of 0: there were none"):
        select([], SelectionParameters())


def test_without_rules_everything_goes_in_unchanged(dark):
    assert select([dark], SelectionParameters()) == [Selected(dark, True, "")]


@pytest.mark.parametrize(
    ("header", "lines", "line"),
    [
        ("name,T_min_K,T_max_K", ["jw1,1,2"], "lacks a column: it has name, T_min_K, T_max_K"),
        ("exposure_id,T_min_K", ["jw1,1"], "lacks a column: it has exposure_id, T_min_K;"),
        ("", [], "lacks a column: it has none"),
        ("exposure_id,T_min_K,T_max_K", ["jw1,1,2", "jw2,x,2"], "line 3: a temperature is not"),
        ("exposure_id,T_min_K,T_max_K", ["jw1,1"], "line 2: a temperature is not a number"),
        ("exposure_id,T_min_K,T_max_K", ["jw1,1,2", "jw1,1,3"], "line 3 contradicts an earlier"),
    ],
)
def test_a_bad_table_is_told(table, header, lines, line):
    url = table(*lines, header=header)
    with pytest.raises(NrsdarkError) as caught:
        read_telemetry(url)
    assert line in str(caught.value)
    assert caught.value.file == url


def test_a_missing_or_binary_table_is_told(tmp_path):
    with pytest.raises(NrsdarkError, match="no such file"):
        read_telemetry(str(tmp_path / "absent.csv"))
    (tmp_path / "image.png").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(NrsdarkError, match="is no text file"):
        read_telemetry(str(tmp_path / "image.png"))


def test_a_table_may_be_remote_and_of_a_spreadsheet():
    text = "﻿ exposure_id_x , T_min_K,T_max_K\r\njw1_uncal.fits,43.1,43.2\r\n"
    fsspec.filesystem("memory").pipe_file("/tables/asic.csv", text.encode())
    table = read_telemetry("memory://tables/asic.csv")
    assert list(table) == ["jw1"]
    assert (table["jw1"].t_min, table["jw1"].t_max, table["jw1"].drift) == (43.1, 43.2, 0.1)


def test_parameters_are_checked():
    for wrong in ({"max_asic_drift": -1}, {"first_date": "soon"}, {"gratings": ["PRISM"]}):
        with pytest.raises(ValidationError):
            SelectionParameters(**wrong)
