"""The two statistics of the reference-pixel correction, with the rounding of ``jwst.refpix``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def clipped_mean(values: NDArray[np.floating], limit: float) -> np.floating:
    """Mean of what is left after clipping about the mean until nothing more falls out.

    As ``scipy.stats.sigmaclip`` followed by a mean, in the precision of `values`.

    Parameters
    ----------
    values : ndarray, shape (sample,)
        At least one finite value.
    limit : float
        Standard deviations on each side.

    Returns
    -------
    floating
    """
    if values.std(dtype=np.float64) == 0:
        return values.mean(dtype=np.float64)
    kept = values
    while True:
        mean, spread = kept.mean(), kept.std()
        margin = spread * limit
        inside = (kept >= mean - margin) & (kept <= mean + margin)
        if inside.all():
            return mean
        kept = kept[inside]


def running_median(
    values: NDArray[np.floating], usable: NDArray[np.bool_], length: int
) -> NDArray[np.float64]:
    """Median of the usable values in a window that runs along the rows.

    Parameters
    ----------
    values : ndarray, shape (side, row, column)
    usable : ndarray of bool, shape (side, row, column)
    length : int
        Rows of the window. The ends are reflected without repeating the last row. A window of even
        length reaches one row less far upwards.

    Returns
    -------
    ndarray of float64, shape (side, row)
        NaN where a window has no usable value. Medians are taken in the precision of `values`.
    """
    reach = (length | 1) // 2
    masked = np.where(usable, values, np.array(np.inf, dtype=values.dtype))
    padded = np.pad(masked, ((0, 0), (reach, reach), (0, 0)), mode="reflect")
    counts = np.pad(usable.sum(axis=2), ((0, 0), (reach, reach)), mode="reflect")
    n_rows = values.shape[1]
    windows = np.lib.stride_tricks.sliding_window_view(padded, length, axis=1)[:, :n_rows]
    ordered = np.sort(windows.reshape(len(values), n_rows, -1), axis=2)
    number = np.lib.stride_tricks.sliding_window_view(counts, length, axis=1)[:, :n_rows].sum(
        axis=2
    )
    lower = np.take_along_axis(ordered, np.maximum(number - 1, 0)[..., np.newaxis] // 2, axis=2)
    upper = np.take_along_axis(ordered, number[..., np.newaxis] // 2, axis=2)
    medians = ((lower + upper) / 2)[..., 0].astype(np.float64)
    return np.where(number == 0, np.nan, medians)
