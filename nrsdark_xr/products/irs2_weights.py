"""The weights of the IRS2 correction, and the reference samples that it had better not use."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration.irs2_cross_spectra import CROSS_SPECTRA
from nrsdark_xr.detector import DETECTOR_SIZE, irs2
from nrsdark_xr.products.parameters import RefpixWeightsParameters

_READS = 2
"""Reads of one reference pixel on a visit."""
_INDEPENDENT = 1e-6
"""Determinant, of unit variances, below which two signals count as one."""


def solve_weights(
    sums: NDArray[np.floating], *, parameters: RefpixWeightsParameters | None = None
) -> tuple[NDArray[np.complex64], NDArray[np.complex64]]:
    """Find the weights that leave the least noise in the pixels of an amplifier.

    At each frequency, pixels N, reference samples R and reference output O give the equations of
    least squares ::

        <N R*> = beta <R R*> + alpha <O R*>
        <N O*> = beta <R O*> + alpha <O O*>

    for the correction ``beta R + alpha O`` (Rauscher et al. 2017, doi:10.1088/1538-3873/aa83fd).
    Means < > run over groups, exposures and neighbouring frequencies: each product is smoothed
    before the equations are solved.

    Parameters
    ----------
    sums : ndarray of float, shape (8, frequency)
        `CROSS_SPECTRA` of one amplifier, from frequency 0 to that of Nyquist.
    parameters : RefpixWeightsParameters, optional

    Returns
    -------
    alpha, beta : ndarray of complex64, shape (2 (frequency - 1),)
        In the order of `numpy.fft.fft`, of real signals: alpha for the reference output, beta for
        the reference samples. Both 0 where one of them never saw anything, or both saw the same.
    """
    parameters = RefpixWeightsParameters() if parameters is None else parameters
    reach = _reach(sums.shape[1], parameters)
    smooth = {name: _mean_around(row, reach) for name, row in zip(CROSS_SPECTRA, sums, strict=True)}
    nr = smooth["nr_real"] + 1j * smooth["nr_imag"]
    no = smooth["no_real"] + 1j * smooth["no_imag"]
    ro = smooth["ro_real"] + 1j * smooth["ro_imag"]
    rr, oo = smooth["rr"], smooth["oo"]
    determinant = rr * oo - np.abs(ro) ** 2
    solvable = determinant > _INDEPENDENT * rr * oo
    divisor = np.where(solvable, determinant, np.inf)
    beta = (nr * oo - no * ro.conj()) / divisor
    alpha = (no * rr - nr * ro) / divisor
    return _both_signs(alpha), _both_signs(beta)


def bad_pair_table(bad_rows: NDArray[np.bool_], detector: str) -> NDArray[np.void]:
    """Name bad reference samples as the DQ table of a REFPIX file does.

    Parameters
    ----------
    bad_rows : ndarray of bool, shape (3200,)
        Raw rows in the DMS frame.
    detector : str

    Returns
    -------
    structured ndarray, shape (8,)
        OUTPUT (1 to 4), ODD_EVEN (1 or 2) and MASK, of which bit v is set where that pair of visit
        v is bad: as ``decode_mask`` and ``clobber_ref`` of `jwst.refpix.irs2_subtract_reference`
        read them, in the detector frame. Bad pairs of the reference output have no place there.
    """
    columns = bad_rows if detector == "NRS1" else bad_rows[::-1]
    table = np.zeros(
        2 * (irs2.OUTPUTS - 1),
        [("output", np.uint16), ("odd_even", np.uint16), ("mask", np.uint32)],
    )
    period = irs2.SCIENCE_RUN + irs2.REFERENCE_RUN
    for entry, (output, odd_even) in enumerate(np.ndindex(irs2.OUTPUTS - 1, _READS)):
        first_pair = odd_even if output % 2 == 0 else 1 - odd_even  # even outputs read backwards
        start = (output + 1) * irs2.OUTPUT_ROWS + irs2.SCIENCE_RUN // 2 + _READS * first_pair
        visits = columns[start + period * np.arange(irs2.VISITS)]
        mask = np.uint32(
            np.sum(visits.astype(np.uint64) << np.arange(irs2.VISITS, dtype=np.uint64))
        )
        table[entry] = output + 1, odd_even + 1, mask
    return table


def _reach(n_frequencies: int, parameters: RefpixWeightsParameters) -> NDArray[np.intp]:
    """Frequencies on each side that are averaged."""
    from_harmonic = np.arange(n_frequencies) % DETECTOR_SIZE
    distance = np.minimum(from_harmonic, DETECTOR_SIZE - from_harmonic)
    share = (parameters.smoothing_share * distance).astype(np.intp)
    return np.minimum(parameters.smoothing, share)


def _mean_around(values: NDArray[np.floating], reach: NDArray[np.intp]) -> NDArray[np.float64]:
    """Mean of each value and `reach` of its neighbours on either side, as far as there are any."""
    total = np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))
    place = np.arange(values.size)
    start = np.maximum(place - reach, 0)
    stop = np.minimum(place + reach + 1, values.size)
    mean = (total[stop] - total[start]) / (stop - start)
    return np.where(reach == 0, values, mean)


def _both_signs(half: NDArray[np.complexfloating]) -> NDArray[np.complex64]:
    """Add negative frequencies; the ends, which are their own negatives, are real."""
    half = half.astype(np.complex64)
    half[[0, -1]] = half[[0, -1]].real
    return np.concatenate((half, half[-2:0:-1].conj()))
