from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from nrsdark_xr.analysis import summarize, write_summary

from .sample import make_content

KEYS = {
    "n_inputs", "n_good", "snr", "median_dark_rate", "fraction_negative", "n_hot", "n_rc",
    "n_telegraph", "n_bad_refpix", "n_new_hot", "n_vanished_hot", "gates",
}  # fmt: skip


def strict(text):
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_the_promised_keys_are_there(tmp_path):
    content = make_content()
    record = summarize(content.statistics, content.gates, extra={"products": {"dark": "d.fits"}})
    write_summary(tmp_path / "a_summary.json", record)
    written = strict((tmp_path / "a_summary.json").read_text())
    assert written.keys() >= KEYS
    assert written["n_hot"] == 10
    assert written["products"] == {"dark": "d.fits"}
    assert written["gates"].keys() == {gate.name for gate in content.gates}
    for gate in content.gates:
        assert written["gates"][gate.name]["passed"] is gate.passed
        assert written["gates"][gate.name]["value"] == gate.value
        assert written["gates"][gate.name]["threshold"] == gate.threshold


def test_what_json_does_not_know_becomes_null(tmp_path):
    statistics = dataclasses.replace(make_content().statistics, snr=float("nan"))
    extra = {
        "numpy": np.float32(1.5),
        "whole": np.int64(7),
        "truth": np.bool_(True),
        "list": (float("inf"), np.float64("nan"), 2),
        "path": Path("a/b"),
    }
    write_summary(tmp_path / "s.json", summarize(statistics, (), extra=extra))
    written = strict((tmp_path / "s.json").read_text())
    assert written["snr"] is None
    assert written["numpy"] == 1.5
    assert written["whole"] == 7
    assert written["truth"] is True
    assert written["list"] == [None, None, 2]
    assert written["path"] == "a/b"


def test_same_record_same_bytes(tmp_path):
    content = make_content()
    for name in ("a.json", "b.json"):
        write_summary(tmp_path / name, summarize(content.statistics, content.gates))
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_a_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "s.json"
    write_summary(path, {"old": 1})
    with pytest.raises(TypeError):
        write_summary(path, {"new": object()})
    assert strict(path.read_text()) == {"old": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["s.json"]


def test_extra_keys_do_not_overwrite():
    content = make_content()
    with pytest.raises(ValueError, match="snr"):
        summarize(content.statistics, content.gates, extra={"snr": 99})
