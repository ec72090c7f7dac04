"""The demonstration: which darks it makes, and what it leaves to the runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from nrsdark_xr.config import RunConfig
from nrsdark_xr.progress import Progress
from nrsdark_xr.steps import demo

REFERENCES = {
    name: f"references/{name}.fits"
    for name in ("mask", "saturation", "linearity", "gain", "readnoise")
}


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders that were simulated; runs return the path of their report."""
    folders: list[Path] = []

    def simulate(directory: Path, _progress: Progress, **settings: Any) -> Path:
        folders.append(directory)
        irs2 = settings.get("readpatt") == "NRSIRS2RAPID"
        refpix = settings.get("reference_files", {}).get("refpix", True)
        references = REFERENCES | ({"refpix": "references/refpix.fits"} if irs2 and refpix else {})
        run = {
            "name": "irs2" if irs2 else "traditional",
            "inputs": "*_uncal.fits",
            "store": "ramps.zarr",
            "output": "products",
            "references": references,
        }
        directory.mkdir(parents=True)
        (directory / "run.yaml").write_text(yaml.safe_dump(run))
        return directory / "run.yaml"

    def run_steps(config: RunConfig, *, cluster: str, progress: Progress) -> list[str]:
        assert cluster == "threads"
        assert config.references.refpix is None
        return ["superbias.fits", f"{config.name}_report.html"]

    monkeypatch.setattr(demo, "simulate_with_progress", simulate)
    monkeypatch.setattr(demo, "run_steps", run_steps)
    return folders


def test_irs2_is_shown_in_a_folder_of_its_own(simulated: list[Path], tmp_path: Path) -> None:
    reports = demo.run_demo(tmp_path / "demo")
    assert reports == [Path("traditional_report.html"), Path("irs2_report.html")]
    assert simulated == [tmp_path / "demo", tmp_path / "demo" / "irs2"]


def test_darks_that_are_there_are_kept(simulated: list[Path], tmp_path: Path) -> None:
    demo.run_demo(tmp_path / "demo", irs2=False)
    assert simulated == [tmp_path / "demo"]
    assert len(demo.run_demo(tmp_path / "demo")) == 2
    assert simulated == [tmp_path / "demo", tmp_path / "demo" / "irs2"]
