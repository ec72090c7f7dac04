"""``ds.nrsdark``: look at the ramps of a store from IPython.

Importing this module registers the accessor with xarray.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from nrsdark_xr.errors import NrsdarkError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@xr.register_dataset_accessor("nrsdark")
class NrsdarkAccessor:
    """Views of a dataset of ramps, as `nrsdark_xr.open_ramps` returns it."""

    def __init__(self, dataset: xr.Dataset) -> None:
        self._dataset = dataset

    def plot_ramp(self, *, y: int, x: int, ax: Axes | None = None) -> Axes:
        """Draw one pixel through all files, with its jumps marked.

        Only the chunks that hold this pixel are read.

        Parameters
        ----------
        y, x : int
            1-based detector pixel.
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        NrsdarkError
            If the pixel is not in the dataset, or the dataset holds no ramps.
        """
        from nrsdark_xr.analysis.figures import draw_ramps

        pixel = self._pixel(y, x).transpose("file", "group")
        if ax is None:
            import matplotlib.pyplot as plt  # IPython shows the figures that pyplot knows

            _, ax = plt.subplots(figsize=(8.0, 5.0), layout="constrained")
        draw_ramps(
            ax,
            pixel["time"].values,
            pixel["ramp"].values,
            pixel["groupdq"].values.astype(np.uint8),
            title=f"Pixel y {y}, x {x} in {pixel.sizes['file']} exposures",
        )
        return ax

    def _pixel(self, y: int, x: int) -> xr.Dataset:
        """Compute ramps and flags of one pixel."""
        missing = {"ramp", "groupdq"} - set(self._dataset.data_vars)
        if missing:
            raise NrsdarkError(
                f"the dataset has no {' and no '.join(sorted(missing))}",
                remedy="open the ramp store with nrsdark_xr.open_ramps",
            )
        for axis, pixel in (("y", y), ("x", x)):
            pixels = self._dataset[axis].values
            if pixel not in pixels:
                raise NrsdarkError(
                    f"{axis} = {pixel} is not among the pixels {pixels.min()} to {pixels.max()}",
                    remedy="give 1-based detector pixels",
                )
        return self._dataset[["ramp", "groupdq"]].sel(y=y, x=x).compute()
