"""Simulated raw darks with known truth, and the reference files that go with them.

Imports `detector` only.
"""

from nrsdark_xr.simulate.exposure_set import SimulatedSet, simulate
from nrsdark_xr.simulate.parameters import SimulationParameters

__all__ = ["SimulatedSet", "SimulationParameters", "simulate"]
