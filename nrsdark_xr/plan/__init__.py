"""What a run would read, write and keep in memory, from headers alone."""

from nrsdark_xr.plan.check import check_plan
from nrsdark_xr.plan.plan import Place, Plan, make_plan, plan_run
from nrsdark_xr.plan.steps import StepPlan

__all__ = ["Place", "Plan", "StepPlan", "check_plan", "make_plan", "plan_run"]
