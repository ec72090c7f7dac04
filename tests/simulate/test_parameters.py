from __future__ import annotations

from datetime import date

import pytest
from pydantic import ValidationError

from nrsdark_xr.simulate import SimulationParameters
from nrsdark_xr.simulate.parameters import DarkParameters, PerDetector, RCParameters


def test_every_field_says_what_it_is() -> None:
    def undocumented(model: type) -> list[str]:
        names = []
        for name, field in model.model_fields.items():
            if isinstance(field.default, PerDetector) or not hasattr(
                field.annotation, "model_fields"
            ):
                names += [] if field.description else [f"{model.__name__}.{name}"]
            else:
                names += undocumented(field.annotation)
        return names

    assert undocumented(SimulationParameters) == []


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValidationError, match="hot_fraction"):
        SimulationParameters(hot_fraction=0.1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"detector": "NRS3"},
        {"exposures": 0},
        {"groups": 0},
        {"program": "12"},
        {"first_date": date(2024, 1, 2), "last_date": date(2024, 1, 1)},
    ],
)
def test_values_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(ValidationError):
        SimulationParameters(**wrong)


def test_a_range_must_be_in_order() -> None:
    with pytest.raises(ValidationError, match="larger than the first"):
        RCParameters(slow_time=(3.0, 1.0))
    with pytest.raises(ValidationError, match="larger than the first"):
        DarkParameters(warm_rates=(0.5, 0.5))


def test_each_detector_has_its_own_value() -> None:
    rates = DarkParameters().median_rate
    assert rates.of("NRS1") == 0.0084
    assert rates.of("NRS2") == 0.0050
