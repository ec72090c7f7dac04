from __future__ import annotations

import dataclasses

import pytest
from pydantic import ValidationError

from nrsdark_xr.analysis import Gate, GateParameters, evaluate_gates, is_deliverable

from .sample import make_content

STATISTICS = make_content().statistics


def gates_of(*, readpatt="NRSRAPID", parameters=None, **changes):
    statistics = dataclasses.replace(STATISTICS, **changes)
    gates = evaluate_gates(statistics, readpatt=readpatt, parameters=parameters)
    return {gate.name: gate for gate in gates}


@pytest.mark.parametrize(
    ("readpatt", "snr", "passed"),
    [
        ("NRSRAPID", 2.5, True),
        ("NRSRAPID", 2.49, False),
        ("NRS", 4.9, True),
        ("NRSIRS2RAPID", 4.99, False),
        ("NRSIRS2", 5.0, True),
    ],
)
def test_snr_is_judged_by_readout(readpatt, snr, passed):
    assert gates_of(readpatt=readpatt, snr=snr)["snr"].passed is passed


def test_only_the_snr_decides_on_delivery():
    gates = gates_of(snr=9.0, n_good=3, fraction_negative=0.5, n_hot=9000)
    assert [gate.name for gate in gates.values() if gate.delivery] == ["snr"]
    assert {name for name, gate in gates.items() if not gate.passed} == {
        "n_good",
        "fraction_negative",
        "hot_fraction",
    }
    assert is_deliverable(gates.values())
    assert not is_deliverable(gates_of(snr=1.0).values())


def test_what_was_not_measured_has_not_passed():
    gates = gates_of(snr=float("nan"), fraction_negative=float("nan"))
    assert not gates["snr"].passed
    assert not gates["fraction_negative"].passed


def test_shares_are_of_their_own_kind_of_pixel():
    gates = gates_of(n_science=1000, n_reference=10, n_hot=4, n_bad_refpix=2, n_new_hot=1)
    assert gates["hot_fraction"].value == pytest.approx(0.004)
    assert gates["new_hot_fraction"].value == pytest.approx(0.001)
    assert gates["bad_reference_fraction"].value == pytest.approx(0.2)


def test_gates_that_do_not_apply_are_left_out():
    gates = gates_of(n_new_hot=None, n_reference=0)
    assert "new_hot_fraction" not in gates
    assert "bad_reference_fraction" not in gates


def test_thresholds_are_parameters():
    gates = gates_of(snr=3.0, parameters=GateParameters(min_snr=4.0))
    assert gates["snr"].threshold == 4.0
    assert not gates["snr"].passed
    with pytest.raises(ValidationError):
        GateParameters(min_srn=4.0)


def test_every_threshold_is_documented():
    for name, field in GateParameters.model_fields.items():
        assert field.description, name


def test_a_gate_is_frozen():
    gate = Gate("a", 1.0, 2.0, "<=", "text")
    with pytest.raises(dataclasses.FrozenInstanceError):
        gate.value = 3.0  # type: ignore[misc]
