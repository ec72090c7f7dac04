"""What only the last step of a run needs is looked at before the first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nrsdark_xr.config import RunConfig
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures import read_exposures
from nrsdark_xr.simulate import SimulationParameters, simulate
from nrsdark_xr.steps import run_steps
from nrsdark_xr.steps.references import check_references


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("darks")
    simulate(folder, SimulationParameters(subarray="SUB32", exposures=1, groups=2))
    return folder


@pytest.mark.parametrize(
    ("file", "complaint"),
    [
        ("absent.fits", "absent.fits: no such file; "),
        ("references/gain.fits", "gain.fits: is no superbias reference of NRS1"),
    ],
)
def test_a_bad_previous_superbias_stops_a_run_at_once(
    folder: Path, file: str, complaint: str
) -> None:
    config = RunConfig.load(folder / "run.yaml", [f"previous_superbias={file}"])
    with pytest.raises(NrsdarkError, match=complaint):
        run_steps(config, cluster="threads")
    assert not (folder / "ramps.zarr").exists()
    assert not (folder / "products").exists()


def test_sirs_without_kernels_stops_a_full_frame_at_once(folder: Path) -> None:
    config = RunConfig.load(folder / "run.yaml", ["prepare.refpix.refpix_algorithm=sirs"])
    (subarray,), _ = read_exposures([str(path) for path in folder.glob("*_uncal.fits")])
    check_references(config, subarray)  # has no side pixels
    full = replace(subarray, subarray="FULL", ysize=2048, xsize=2048)
    config = config.model_copy(update={"previous_superbias": None})
    with pytest.raises(NrsdarkError, match=r"run.yaml: .* needs a sirskernel .*; give one"):
        check_references(config, full)
    references = config.references.model_copy(update={"sirskernel": "kernel.asdf"})
    check_references(config.model_copy(update={"references": references}), full)
