"""The reference-pixel signal of an exposure, from one look at each of its groups."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration import refpix
from nrsdark_xr.calibration._linearize_kernels import any_usable
from nrsdark_xr.calibration._threads import in_threads
from nrsdark_xr.calibration.group_scale import scale_groups
from nrsdark_xr.calibration.parameters import RefpixParameters
from nrsdark_xr.calibration.protocols import RawSamples
from nrsdark_xr.calibration.superbias import subtract_bias
from nrsdark_xr.calibration.workspace import Pool
from nrsdark_xr.detector import DQ
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.references import References


def measure_reference_signal(
    raw: RawSamples,
    exposure: Exposure,
    references: References,
    pixeldq: NDArray[np.uint32],
    parameters: RefpixParameters,
    *,
    threads: int = 1,
) -> tuple[list[refpix.ReferenceSignal], int]:
    """Measure the reference signal of each integration, and count the usable groups.

    Parameters
    ----------
    raw : RawSamples
    exposure : Exposure
    references : References
    pixeldq : ndarray of uint32, shape (y, x)
        After the superbias step.
    parameters : RefpixParameters
    threads : int, optional
        Groups looked at at once.

    Returns
    -------
    signals : list of ReferenceSignal
        For each integration.
    usable_groups : int
        Groups in which any sample is usable, that is forbidden neither by the mask nor by the A/D
        floor, in the worst integration: the jump test asks for it.
    """
    pixels = refpix.find_reference_pixels(
        pixeldq,
        detector=exposure.detector,
        subarray=exposure.subarray,
        ystart=exposure.ystart,
        parameters=parameters,
        sirskernel=references.sirskernel,
    )
    single = [
        refpix.single_precision_groups(
            pixels, n_groups=exposure.n_groups, first_integration=integration == 0
        )
        for integration in range(exposure.n_integrations)
    ]
    unusable = (references.mask & np.uint32(DQ.DO_NOT_USE)) != 0
    bias = None if references.superbias is None else references.superbias.ravel()[pixels.positions]
    memory = Pool(lambda: np.empty((1, exposure.ysize, exposure.xsize), np.uint16))

    def look(place: tuple[int, int]) -> tuple[refpix.ReferenceSignal, bool]:
        integration, group = place
        with memory.one() as planes:
            plane = raw.read(
                integration, slice(group, group + 1), slice(0, exposure.ysize), planes
            )[0]
            border = plane.reshape(-1)[pixels.positions][np.newaxis]
            usable = any_usable(plane, unusable)
        samples = scale_groups(
            border, n_frames=exposure.n_frames, frame_divisor=exposure.frame_divisor
        )
        if bias is not None:
            samples = subtract_bias(samples, bias)
        signal = refpix.measure(
            samples,
            pixels,
            single_precision=single[integration][group : group + 1],
            parameters=parameters,
        )
        return signal, usable

    places = product(range(exposure.n_integrations), range(exposure.n_groups))
    looks = in_threads(look, places, threads=threads)
    n_groups = exposure.n_groups
    by_integration = [looks[start : start + n_groups] for start in range(0, len(looks), n_groups)]
    signals = [refpix.join_groups([signal for signal, _ in part]) for part in by_integration]
    return signals, min(sum(usable for _, usable in part) for part in by_integration)
