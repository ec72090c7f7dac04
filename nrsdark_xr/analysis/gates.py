"""Quality gates: named yes-or-no judgements with the number and the threshold behind them.

The report keeps one criterion for delivery, the signal-to-noise ratio of the dark
(JWST-STScI-009226 §4.2). The other gates stop nothing: they point at what a person should look at
before delivery, because a flag rule that fires on far too many pixels is how monitors go wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from nrsdark_xr.analysis.statistics import ProductStatistics
from nrsdark_xr.detector import is_irs2
from nrsdark_xr.parameters import Parameters


class GateParameters(Parameters):
    """Thresholds of the quality gates."""

    min_snr: float = 2.5
    """Least SNR of the dark, traditional readout and subarrays (§4.2). Decides on delivery."""

    min_snr_irs2: float = 5.0
    """Least SNR of the dark, IRS2 readout (§4.2). Decides on delivery."""

    min_good: int = 8
    """Good exposures below which a 3-sigma clip about the median cannot reject a single outlier:
    its deviation is at most n / sqrt(n - 1) population standard deviations."""

    max_fraction_negative: float = 0.02
    """Largest share of science pixels with a negative rate: twice the typical 1% (§4.1.4)."""

    max_hot_fraction: float = 0.005
    """Largest share of HOT science pixels: twice the largest of Table 4 (10111 of 4.2 million)."""

    max_new_hot_fraction: float = 0.002
    """Largest share of science pixels that became HOT since the input mask: four times the largest
    growth of Table 4 (2108 of 4.2 million)."""

    max_rc_fraction: float = 0.002
    """Largest share of RC science pixels: twice that of CRDS jwst_nirspec_dark_0046 (17 of 16384
    rise by more than 300 DN between its first groups)."""

    max_telegraph_fraction: float = 0.01
    """Largest share of TELEGRAPH science pixels: H2RG tests found less than 1% (§4.1.3)."""

    max_bad_reference_fraction: float = 0.05
    """Largest share of bad reference pixels; no published figure: beyond a few percent the 4-sigma
    rule of §4.1.3 catches structure rather than single pixels."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One judgement.

    Attributes
    ----------
    name : str
        Stable name, the key in the summary.
    value, threshold : float
        What was measured and what it is held against.
    relation : {">=", "<="}
        How the value must compare with the threshold.
    description : str
        One sentence for the report.
    delivery : bool
        Whether a file that fails must not be delivered; else the gate informs.
    """

    name: str
    value: float
    threshold: float
    relation: Literal[">=", "<="]
    description: str
    delivery: bool = False

    @property
    def passed(self) -> bool:
        """Whether the value is on the right side; what was not measured (NaN) has not passed."""
        if math.isnan(self.value):
            return False
        return (
            self.value >= self.threshold if self.relation == ">=" else self.value <= self.threshold
        )


def evaluate_gates(
    statistics: ProductStatistics, *, readpatt: str, parameters: GateParameters | None = None
) -> tuple[Gate, ...]:
    """Judge the products.

    Parameters
    ----------
    statistics : ProductStatistics
        From `measure_products`.
    readpatt : str
        READPATT; IRS2 patterns have an SNR threshold of their own.
    parameters : GateParameters, optional

    Returns
    -------
    tuple of Gate
        The delivery gate first. The gate on new hot pixels is there only where there was an input
        mask, that on reference pixels only where there are any.
    """
    limits = GateParameters() if parameters is None else parameters
    science = statistics.n_science
    gates = [
        Gate(
            "snr",
            statistics.snr,
            limits.min_snr_irs2 if is_irs2(readpatt) else limits.min_snr,
            ">=",
            "Clipped median over science pixels of dark rate / uncertainty.",
            delivery=True,
        ),
        Gate(
            "n_good",
            statistics.n_good,
            limits.min_good,
            ">=",
            "Good exposures; with fewer the clip cannot reject a single outlier.",
        ),
        _at_most(
            "fraction_negative",
            statistics.fraction_negative,
            limits.max_fraction_negative,
            "Share of science pixels with a negative dark rate.",
        ),
        _at_most(
            "hot_fraction",
            _share(statistics.n_hot, science),
            limits.max_hot_fraction,
            "Share of science pixels flagged HOT.",
        ),
        _at_most(
            "rc_fraction",
            _share(statistics.n_rc, science),
            limits.max_rc_fraction,
            "Share of science pixels flagged RC.",
        ),
        _at_most(
            "telegraph_fraction",
            _share(statistics.n_telegraph, science),
            limits.max_telegraph_fraction,
            "Share of science pixels flagged TELEGRAPH.",
        ),
    ]
    if statistics.n_new_hot is not None:
        gates.append(
            _at_most(
                "new_hot_fraction",
                _share(statistics.n_new_hot, science),
                limits.max_new_hot_fraction,
                "Share of science pixels that are HOT now and were not in the input mask.",
            )
        )
    if statistics.n_reference:
        gates.append(
            _at_most(
                "bad_reference_fraction",
                _share(statistics.n_bad_refpix, statistics.n_reference),
                limits.max_bad_reference_fraction,
                "Share of reference pixels flagged BAD_REF_PIXEL.",
            )
        )
    return tuple(gates)


def is_deliverable(gates: Iterable[Gate]) -> bool:
    """Whether every delivery gate has passed."""
    return all(gate.passed for gate in gates if gate.delivery)


def _at_most(name: str, value: float, threshold: float, description: str) -> Gate:
    return Gate(name, value, threshold, "<=", description)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
