from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nrsdark_xr.calibration import CalibrationParameters
from nrsdark_xr.detector import DQ
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.references import ReferencePaths
from nrsdark_xr.steps.stock_engine import calibrate_with_jwst
from tests.calibration.synthetic import Case, make_case, write_case


def run(case: Case, directory: Path, **changes: str | None) -> list[tuple[np.ndarray, object]]:
    paths: dict[str, str | None] = {k: str(v) for k, v in write_case(case, directory).items()}
    exposure = replace(case.exposure, url=paths.pop("uncal"))
    files = ReferencePaths(**{**paths, **changes})
    return calibrate_with_jwst(exposure, files, CalibrationParameters())


def test_nothing_is_asked_of_crds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stpipe import crds_client

    def forbidden(*args: object, **kwargs: object) -> None:
        raise AssertionError(f"asked for {args}")

    for name in ("get_reference_file", "get_multiple_reference_paths", "get_context_used"):
        monkeypatch.setattr(crds_client, name, forbidden)
    monkeypatch.setattr(socket.socket, "connect", forbidden)
    ((ramp, maps),) = run(make_case("NRS1", "SUB32", n_groups=4), tmp_path)
    assert ramp.shape == (4, 32, 32)
    assert np.isfinite(maps.rate).any()


def test_hot_pixels_are_calibrated(tmp_path: Path) -> None:
    case = make_case("NRS1", "SUB32", n_groups=4)
    case.references.mask[:] = 0
    case.references.saturation_dq[:] = 0
    case.references.superbias_dq[:] = 0
    case.references.linearity_dq[:] = 0
    case.references.mask[10, 10] = DQ.HOT | DQ.DO_NOT_USE
    case.references.mask[11, 12] = DQ.DEAD | DQ.HOT | DQ.DO_NOT_USE
    ((_, maps),) = run(case, tmp_path)
    assert maps.pixeldq[10, 10] == 0
    assert maps.pixeldq[11, 12] == DQ.DEAD | DQ.DO_NOT_USE


def test_each_integration_has_the_rate_of_rateints(tmp_path: Path) -> None:
    """Fitted one by one, only the errors differ from jwst's common fit."""
    from jwst.ramp_fitting import RampFitStep
    from stdatamodels.jwst import datamodels

    case = make_case("NRS1", "SUB512", n_groups=6, n_integrations=2)
    results = run(case, tmp_path)
    paths = {path.name.split("_")[-1]: str(path) for path in tmp_path.glob("*.fits")}
    with datamodels.RampModel(paths["uncal.fits"]) as model:
        model.data = np.stack([ramp for ramp, _ in results])
        model.groupdq = np.stack([maps.groupdq for _, maps in results])
        model.pixeldq = results[0][1].pixeldq
        step = RampFitStep(
            override_gain=paths["gain.fits"], override_readnoise=paths["readnoise.fits"]
        )
        _, rateints = step.process(model)
    usable = (rateints.dq & np.uint32(DQ.DO_NOT_USE)) == 0
    expected = np.where(usable, rateints.data, np.nan)
    np.testing.assert_array_equal(np.stack([maps.rate for _, maps in results]), expected)


def test_without_a_superbias_none_is_subtracted(tmp_path: Path) -> None:
    case = make_case("NRS1", "SUB32", n_groups=3)
    ((with_bias, _),) = run(case, tmp_path)
    ((without, maps),) = run(case, tmp_path, superbias=None)
    assert np.isfinite(maps.rate).any()
    assert (without != with_bias).any()


def test_remote_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NrsdarkError, match=r"s3://bucket/mask.fits: .*; fetch it"):
        run(make_case("NRS1", "SUB32", n_groups=3), tmp_path, mask="s3://bucket/mask.fits")
