"""The five steps of JWST-STScI-009226 §4, as functions of one run; the place where rooms meet."""

from nrsdark_xr.steps.run import STEPS, run_steps

__all__ = ["STEPS", "run_steps"]
