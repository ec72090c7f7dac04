"""Undo the division by a power of two with which frames are averaged on board (``group_scale``)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def scale_groups(data: NDArray[Any], *, n_frames: int, frame_divisor: int) -> NDArray[np.float32]:
    """Turn raw samples into float32 DN averaged over `n_frames`.

    Parameters
    ----------
    data : ndarray, shape (group, y, x)
        Raw samples, DN.
    n_frames : int
        Frames averaged into one group (NFRAMES).
    frame_divisor : int
        What the on-board average divided by (FRMDIVSR).

    Returns
    -------
    ndarray of float32, shape (group, y, x)
        A new array, multiplied by ``frame_divisor / n_frames``.
    """
    scaled = data.astype(np.float32)
    if frame_divisor != n_frames:
        scaled *= group_scale(n_frames=n_frames, frame_divisor=frame_divisor)
    return scaled


def group_scale(*, n_frames: int, frame_divisor: int) -> np.float32:
    """Return the factor by which `scale_groups` multiplies."""
    return np.float32(frame_divisor / n_frames)
