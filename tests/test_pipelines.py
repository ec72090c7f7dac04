"""The scripts take the RUN.yaml of the command line, and stop after their step."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from nrsdark_xr import cli

PIPELINES = Path(__file__).parents[1] / "pipelines"
LAST_STEPS = {
    "make_bias_step": "bias",
    "prepare_dark_pipeline": "prepare",
    "average_dark_step": "average",
    "synthesize_dark_step": "synthesize",
    "analyze_bias_dark": "analyze",
    "nrs_bias_dark": "analyze",
}


def test_there_is_a_script_for_every_step():
    assert {path.stem for path in PIPELINES.glob("*.py")} == set(LAST_STEPS)


@pytest.mark.parametrize(("script", "last"), LAST_STEPS.items())
def test_a_script_runs_up_to_its_step(script, last, tmp_path, monkeypatch, capsys):
    asked = {}

    def run_steps(config, **options):
        asked.update(options, name=config.name)
        return [tmp_path / "product.fits"]

    run_file = tmp_path / "run.yaml"
    names = ("mask", "saturation", "linearity", "gain", "readnoise")
    references = ", ".join(f"{name}: {name}.fits" for name in names)
    run_file.write_text(
        f"name: x\ninputs: y.fits\nstore: s\noutput: o\nreferences: {{{references}}}\n"
    )
    monkeypatch.setattr("nrsdark_xr.steps.run_steps", run_steps)
    arguments = [str(run_file), "--cluster", "threads", "--set", "name=other"]
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(PIPELINES / f"{script}.py"), run_name="__main__")
    assert not end.value.code
    options = {"cluster": "threads", "workers": None, "until": last, "check": True, "report": None}
    assert asked == {"name": "other", **options}
    assert capsys.readouterr().out == f"{tmp_path}/product.fits\n"


@pytest.mark.parametrize("script", LAST_STEPS)
def test_a_script_does_nothing_when_imported(script, monkeypatch):
    monkeypatch.setattr(cli, "main", lambda *_: pytest.fail("ran on import"))
    runpy.run_path(str(PIPELINES / f"{script}.py"))
