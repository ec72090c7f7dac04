"""REFPIX references that cannot be used, and what the reader makes of one that can."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from nrsdark_xr.detector import irs2
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.references.irs2 import read_irs2_weights

NAMES = [f"{kind}_{i}" for kind in ("ALPHA", "BETA") for i in range(4)]


def weights(names: list[str] = NAMES, rows: int = 2 * irs2.FRAME_TICKS) -> fits.BinTableHDU:
    table = np.zeros(rows, [(name, ">f4") for name in names])
    for place, name in enumerate(names):
        table[name][:4] = [place, -1, 0.5, 2]
    return fits.BinTableHDU(table, name="IRS2")


def bad_pairs(output: int = 1, odd_even: int = 2) -> fits.BinTableHDU:
    columns = [("OUTPUT", ">i2"), ("ODD_EVEN", ">i2"), ("MASK", ">u4")]
    return fits.BinTableHDU(np.array([(output, odd_even, 2**31 + 5)], columns), name="DQ")


def test_parts_become_complex_weights():
    hdus = fits.HDUList([fits.PrimaryHDU(), weights(), bad_pairs()])
    read = read_irs2_weights(hdus, "refpix.fits")
    assert read.alpha.shape == read.beta.shape == (4, irs2.FRAME_TICKS)
    np.testing.assert_array_equal(read.alpha[2, :2], [2 - 1j, 0.5 + 2j])
    np.testing.assert_array_equal(read.beta[0, :2], [4 - 1j, 0.5 + 2j])
    assert (read.output.tolist(), read.odd_even.tolist()) == ([1], [2])
    assert read.mask.tolist() == [2**31 + 5]


def test_bad_pairs_may_be_missing():
    read = read_irs2_weights(fits.HDUList([fits.PrimaryHDU(), weights()]), "refpix.fits")
    assert read.output.size == read.odd_even.size == read.mask.size == 0


@pytest.mark.parametrize(
    ("hdus", "what"),
    [
        ([], "no IRS2 extension"),
        ([weights(NAMES[:-1])], "BETA_3"),
        ([weights(rows=8)], "8 rows, not 2916352"),
        ([weights(), bad_pairs(output=0)], "OUTPUT outside 1 to 4"),
        ([weights(), bad_pairs(odd_even=3)], "ODD_EVEN outside 1 to 2"),
    ],
)
def test_unusable_files_are_refused_in_one_line(hdus, what):
    with pytest.raises(NrsdarkError, match=what) as refusal:
        read_irs2_weights(fits.HDUList([fits.PrimaryHDU(), *hdus]), "refpix.fits")
    assert str(refusal.value).startswith("refpix.fits: ")
    assert "\n" not in str(refusal.value)


def test_weights_must_be_finite():
    table = weights()
    table.data["ALPHA_1"][7] = np.nan
    with pytest.raises(NrsdarkError, match="ALPHA_1 is not finite"):
        read_irs2_weights(fits.HDUList([fits.PrimaryHDU(), table]), "refpix.fits")
