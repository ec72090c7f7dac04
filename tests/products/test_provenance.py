"""What headers say: periods, gratings, history."""

from __future__ import annotations

import csv
from datetime import date, datetime
from pathlib import Path

import pytest

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.products import Input, gratings_with_corner, middle_of_period
from tests.products.files import make_provenance

TABLE_3 = (
    Path(__file__).parents[2].parent / "shared/data/tables/crds_fullframe_deliveries_table3.csv"
)


@pytest.mark.skipif(not TABLE_3.exists(), reason="Table 3 of JWST-STScI-009226 is not here")
def test_useafter_is_that_of_the_report():
    same = 0
    with TABLE_3.open() as file:
        for row in csv.DictReader(file):
            first, last = (date.fromisoformat(row[f"pedigree_{end}"]) for end in ("start", "end"))
            useafter = middle_of_period(first, last)
            apart = datetime.fromisoformat(useafter) - datetime.fromisoformat(row["useafter"])
            assert abs(apart.days) <= 1
            if (last - first).days % 2:  # the middle is at noon: always the next day
                assert useafter == row["useafter"]
            same += useafter == row["useafter"]
    assert same == 10


@pytest.mark.parametrize(
    ("first", "last", "useafter"),
    [
        ("2024-01-01", "2024-01-01", "2024-01-01T00:00:00"),
        ("2024-01-01", "2024-01-02", "2024-01-02T00:00:00"),
        ("2024-01-01", "2024-01-03", "2024-01-02T00:00:00"),
        ("2023-02-13", "2023-06-30", "2023-04-23T00:00:00"),
    ],
)
def test_middle_of_period(first, last, useafter):
    assert middle_of_period(date.fromisoformat(first), date.fromisoformat(last)) == useafter


def test_pedigree_and_useafter():
    inputs = [Input("b", "2023-06-30T23:00:00.000"), Input("a", "2023-02-13T01:00:00.000")]
    provenance = make_provenance(inputs=inputs)
    assert provenance.pedigree_keyword() == "INFLIGHT 2023-02-13 2023-06-30"
    assert provenance.useafter_keyword() == "2023-04-23T00:00:00"
    assert make_provenance(pedigree="SIMULATION").pedigree_keyword() == "SIMULATION"
    given = make_provenance(useafter="2023-01-01T00:00:00")
    assert given.useafter_keyword() == "2023-01-01T00:00:00"


@pytest.mark.parametrize(
    ("name", "gratings", "pattern"),
    [
        ("FULL", ["G140H"], "N/A|"),
        ("ALLSLITS", ["G140H"], "N/A|"),
        ("SUBS200A1", ["G140H"], "G140M|G235M|G140H|G235H|G395H|PRISM|MIRROR|"),
        ("SUBS200A1", ["G395M"], "G395M|"),
        ("SUB2048", ["G235H"], "G235H|"),
        ("SUBS200A1", ["OPAQUE"], "N/A|"),
    ],
)
def test_gratings_that_share_a_corner(name, gratings, pattern):
    provenance = make_provenance(subarray=name, gratings=gratings)
    assert provenance.grating_pattern() == pattern


def test_an_unknown_subarray_has_no_corners():
    assert gratings_with_corner("SUB7", detector="NRS1", gratings=["PRISM"]) == []


@pytest.mark.parametrize(
    ("readpatt", "pattern"),
    [
        ("NRSRAPID", "NRSRAPID|NRS|"),
        ("NRS", "NRS|NRSRAPID|"),
        ("NRSIRS2", "NRSIRS2|NRSIRS2RAPID|"),
    ],
)
def test_readout_patterns_served(readpatt, pattern):
    assert make_provenance(readpatt=readpatt).readpatt_pattern() == pattern


def test_history_has_the_blocks_of_crds_in_cards():
    history = make_provenance(notes=["x" * 100, "Börse"]).history()
    assert all(len(line) <= 72 and line.isascii() for line in history)
    blocks = [line for line in history if line.isupper() and line.endswith(":")]
    assert blocks == ["DOCUMENT:", "SOFTWARE:", "DATA USED:", "PARAMETERS:", "DIFFERENCES:"]
    assert "".join(history).count("x" * 100) == 1


def test_what_cannot_be_said_is_refused():
    with pytest.raises(NrsdarkError, match="at least one input"):
        make_provenance(inputs=[])
    with pytest.raises(NrsdarkError, match="70 characters"):
        make_provenance(description="x" * 70)
