"""Periods of a run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from nrsdark_xr.exposures.periods import Period
from tests.store.helpers import make_exposure


@pytest.mark.parametrize(
    ("rules", "held"),
    [
        ({"first_date": "2024-02-01"}, [False, True, True]),
        ({"last_date": "2024-02-01"}, [True, True, False]),
        ({"first_date": "2024-02-01", "last_date": "2024-02-01"}, [False, True, False]),
        ({"files": ["raw/jw_0_uncal.fits", "jw_2"]}, [True, False, True]),
        ({"files": ["jw_0", "jw_2"], "first_date": "2024-02-01"}, [False, False, True]),
    ],
)
def test_holds_by_day_and_by_name(rules, held):
    days = ["2024-01-31T23:59:59.999", "2024-02-01T00:00:00.000", "2024-02-02T00:00:00.000"]
    exposures = [replace(make_exposure(f"jw_{i}"), date_obs=day) for i, day in enumerate(days)]
    period = Period(name="some", **rules)
    assert [period.holds(exposure) for exposure in exposures] == held


@pytest.mark.parametrize(
    ("rules", "complaint"),
    [
        ({"name": "x"}, "needs first_date"),
        ({"name": "x", "first_date": "2025-01-01", "last_date": "2024-01-01"}, "ends before"),
        ({"name": "../x", "first_date": "2025-01-01"}, "pattern"),
        ({"name": "x", "first_date": "yesterday"}, "date"),
    ],
)
def test_what_is_no_period_is_refused(rules, complaint):
    with pytest.raises(ValidationError, match=complaint):
        Period(**rules)
