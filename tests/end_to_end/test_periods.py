"""A run with periods: averaged in the same pass, compared in the report, and of no consequence."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
import yaml

import nrsdark_xr as nx
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.steps.inputs import choose_inputs
from tests.projects import assert_same_products


def set_periods(project, periods):
    content = yaml.safe_load(project.run_file.read_text())
    project.run_file.write_text(yaml.safe_dump(content | {"periods": periods}))


def exposures(project):
    return [entry.exposure for entry in choose_inputs(project.config(), say=lambda _: None)[0]]


def test_periods_are_averaged_and_compared_and_change_nothing_else(done, finished):
    first = exposures(done)
    early = {"name": "early", "files": [exposure.name for exposure in first[:3]]}
    late = {"name": "late", "first_date": first[3].date_obs[:10]}
    set_periods(done, [early, late])
    _, said = done.run()
    assert "average: made again, since periods changed" in said
    assert "prepare: up to date" in said
    assert "dark and mask: up to date" in said
    assert_same_products(done, finished)

    config = done.config()
    average = xr.open_zarr(config.product("average.zarr").url, consolidated=False)
    assert average.period.values.tolist() == ["early", "late"]
    ramps = nx.open_ramps(config.store)
    for name, files in {"early": slice(0, 3), "late": slice(3, None)}.items():
        alone = nx.average_ramp(ramps.isel(file=files)).compute()
        rates = nx.mean_rate(ramps.isel(file=files)).compute()
        period = average.sel(period=name)
        np.testing.assert_array_equal(period.period_average, alone.average)
        np.testing.assert_array_equal(period.period_count, alone.average_count)
        np.testing.assert_array_equal(period.period_rate, rates.rate)

    summary = json.loads((done.folder / "products/nrs1-sub512s_summary.json").read_text())
    assert summary["periods"]["early"]["n_good"] == 3
    assert summary["periods"]["late"]["n_good"] == len(first) - 3
    report = (done.folder / "products/nrs1-sub512s_report.html").read_text()
    assert "Periods against all exposures" in report
    assert "Hot pixels, late against all" in report or "hot pixels, late against all" in report

    _, said = done.run()
    assert "Nothing to do" in said


def test_an_empty_period_is_refused_before_anything_is_done(darks):
    set_periods(darks, [{"name": "later", "first_date": "2090-01-01"}])
    with pytest.raises(NrsdarkError, match=r"run\.yaml: the period later holds no good input"):
        darks.run()
    assert not (darks.folder / "ramps.zarr").exists()


def test_names_of_periods_differ(darks):
    set_periods(darks, [{"name": "a", "first_date": "2020-01-01"}] * 2)
    with pytest.raises(NrsdarkError, match="two periods have one name"):
        darks.config()
