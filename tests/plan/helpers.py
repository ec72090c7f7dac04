"""Plans of small and of imagined runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nrsdark_xr.exposures import Exposure
from nrsdark_xr.plan import Plan, plan_run
from nrsdark_xr.steps.inputs import choose_inputs
from tests.projects import Project

GB = 10**9
STEPS = ["bias", "prepare", "average", "synthesize", "analyze"]


def plan(project: Project, *overrides: str, **options: Any) -> Plan:
    return plan_run(project.config(*overrides), say=lambda _: None, **options)


def full_frame(raw: Project, readpatt: str, n_groups: int) -> Exposure:
    """An exposure of a full frame, none of which has to be there."""
    exposure = choose_inputs(raw.config(), say=lambda _: None)[0][0].exposure
    rows, time = (3200, 14.58889) if "IRS2" in readpatt else (2048, 10.73677)
    return replace(
        exposure,
        readpatt=readpatt,
        n_groups=n_groups,
        xsize=2048,
        ysize=2048,
        subarray="FULL",
        group_time=time,
        raw_shape=(1, n_groups, rows, 2048),
    )
