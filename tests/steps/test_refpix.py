"""The weights of IRS2 from raw darks to the product: made when inputs ask for it, only then."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst.datamodels import IRS2Model

from nrsdark_xr.config import RunConfig
from nrsdark_xr.detector import irs2
from nrsdark_xr.progress import Progress
from nrsdark_xr.references.irs2 import read_irs2_weights
from nrsdark_xr.simulate import SimulationParameters, simulate
from nrsdark_xr.steps.run import run_steps

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def darks(tmp_path_factory) -> Path:
    """Two exposures of two groups, without a REFPIX file."""
    settings = {"readpatt": "NRSIRS2RAPID", "exposures": 2, "groups": 2, "seed": 3}
    parameters = SimulationParameters(**settings, reference_files={"refpix": False})
    return simulate(tmp_path_factory.mktemp("irs2"), parameters).run


def run_bias(run: Path, *overrides: str) -> str:
    """Run up to the superbias, and return what was said."""
    said = StringIO()
    config = RunConfig.load(run, ["min_inputs=1", *overrides])
    run_steps(config, cluster="threads", until="bias", progress=Progress(said))
    return said.getvalue()


def test_weights_are_made_again_where_inputs_or_parameters_have_changed(darks):
    first, _ = sorted(path.name for path in darks.parent.glob("*_uncal.fits"))
    product = darks.parent / "products" / "nrs1-full-irs2_refpix.fits"
    one = f"inputs={first}"

    assert "refpix: 1/1 files" in run_bias(darks, one)
    of_one, made = alpha_of(product), product.stat().st_mtime_ns
    with IRS2Model(product) as model:
        model.validate()

    said = run_bias(darks, one)
    assert "Nothing to do" in said
    assert product.stat().st_mtime_ns == made

    assert "refpix: 1/1 files" in run_bias(darks)  # the sums of the first one are kept
    of_both = alpha_of(product)
    assert not np.array_equal(of_both, of_one)

    said = run_bias(darks, "refpix.smoothing=16")
    assert "refpix: up to date (2 files)" in said
    assert not np.array_equal(alpha_of(product), of_both)


def alpha_of(product: Path) -> np.ndarray:
    with fits.open(product) as hdus:
        weights = read_irs2_weights(hdus, product.name)
    assert weights.alpha.shape == weights.beta.shape == (4, irs2.FRAME_TICKS)
    for values in (weights.alpha, weights.beta):
        assert np.isfinite(values).all()
        assert np.abs(values).max() > 0.1
    return weights.alpha
