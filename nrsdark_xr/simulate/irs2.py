"""All that a simulation of IRS2 has besides the pixels."""

from __future__ import annotations

from dataclasses import dataclass

from nrsdark_xr.simulate.configuration import Configuration
from nrsdark_xr.simulate.irs2_samples import ReferenceSamples, draw_samples
from nrsdark_xr.simulate.irs2_weights import Weights, optimal_weights
from nrsdark_xr.simulate.parameters import SimulationParameters


@dataclass(frozen=True, slots=True, eq=False)
class IRS2:
    """Reference samples of a detector, and the weights that use them best.

    Attributes
    ----------
    samples : ReferenceSamples
    weights : Weights
    """

    samples: ReferenceSamples
    weights: Weights


def draw_irs2(parameters: SimulationParameters, configuration: Configuration) -> IRS2:
    """Draw the reference samples and derive the weights."""
    samples = draw_samples(parameters, configuration.detector)
    return IRS2(samples, optimal_weights(parameters, samples.coupling))
