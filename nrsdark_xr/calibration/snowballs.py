"""Snowballs: large cosmic-ray events with a saturated core, as ``jwst.jump`` flags them."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration._regions import Ellipse, Region, ellipse_pixels, find_regions
from nrsdark_xr.calibration.parameters import SnowballParameters
from nrsdark_xr.detector import DQ

_JUMP = np.uint8(DQ.JUMP_DET)
_SATURATED = np.uint8(DQ.SATURATED)


class SnowballResult(NamedTuple):
    """What `flag_snowballs` found.

    Attributes
    ----------
    groupdq : ndarray of uint8, shape (group, y, x)
    cores : ndarray of bool, shape (y, x)
        Saturated cores that persist: hand them over with the next integration.
    n_snowballs : int
    changed : ndarray of bool, shape (y, x)
        Pixels that have other flags in some group than they had before.
    """

    groupdq: NDArray[np.uint8]
    cores: NDArray[np.bool_]
    n_snowballs: int
    changed: NDArray[np.bool_]


def flag_snowballs(
    groupdq: NDArray[np.uint8],
    *,
    parameters: SnowballParameters,
    group_time: float,
    previous_cores: NDArray[np.bool_] | None = None,
    overwrite: bool = False,
) -> SnowballResult:
    """Flag the halos of snowballs as jumps and grow their saturated cores.

    A snowball is a large region of jumps with a newly saturated region inside its ellipse, in the
    same group or the next. JUMP_DET is set within the enlarged ellipse, in this group only. A
    saturated core that is thick enough is enlarged and becomes SATURATED, and nothing else, from
    this group on.

    Parameters
    ----------
    groupdq : ndarray of uint8, shape (group, y, x)
        Flags of one integration, whole frame or whole subarray, after `find_jumps`.
    parameters : SnowballParameters
    group_time : float
        [s].
    previous_cores : ndarray of bool, shape (y, x), optional
        `SnowballResult.cores` of the integration before.
    overwrite : bool
        Work in `groupdq` itself and return it: saves a copy of the largest array here.

    Returns
    -------
    SnowballResult

    Notes
    -----
    Equal to ``stcal.jump.jump.flag_large_events`` (1.20.0) bit for bit, with the settings that
    jwst 3.0.0 derives from the same parameters (it doubles `sat_expand` and
    `max_extended_radius`). Among what is kept: nearness to the edge is judged by the number of
    rows along both axes, so on a wide subarray most columns count as near the edge.
    """
    flags = groupdq if overwrite else groupdq.copy()
    cores, changed = np.zeros((2, *flags.shape[1:]), np.bool_)
    if not parameters.expand_large_events:
        return SnowballResult(flags, cores, 0, changed)
    count = 0
    n_groups = len(flags)
    started: list[Region] | None = None
    for group in range(1, n_groups):
        if not parameters.sat_required_snowball:
            jumps = find_regions(flags[group], int(_JUMP), parameters.min_jump_area)
        else:
            if started is None:
                started = _newly_saturated(flags, group, parameters)
            following = (
                _newly_saturated(flags, group + 1, parameters) if group < n_groups - 1 else []
            )
            centres = np.array([(core.x, core.y) for core in started + following]).reshape(-1, 2)
            edge = flags.shape[1], parameters.edge_size
            jumps = [
                jump
                for jump in find_regions(
                    flags[group],
                    int(_JUMP),
                    parameters.min_jump_area,
                    candidates=partial(_may_be_snowballs, centres=centres, edge=edge),
                )
                if _is_near_edge(jump.x, jump.y, *edge) or _has_core(jump, centres)
            ]
            grown = [
                _grow_core(flags[group:], core, cores, changed, parameters) for core in started
            ]
            # A grown core changes what is new in the next group: look again there.
            started = None if any(grown) else following
        for jump in jumps:
            _grow_jump(flags[group], jump.ellipse, changed, parameters)
        count += len(jumps)
    if parameters.mask_snowball_core_next_int and previous_cores is not None:
        masked = int(parameters.snowball_time_masked_next_int // group_time)
        y, x = np.nonzero(previous_cores)
        before = flags[1:masked, y, x]
        changed[y, x] |= ((before & _JUMP) == 0).any(axis=0)
        flags[1:masked, y, x] = before | _JUMP
    return SnowballResult(flags, cores, count, changed)


def _newly_saturated(
    flags: NDArray[np.uint8], group: int, parameters: SnowballParameters
) -> list[Region]:
    return find_regions(
        flags[group], int(_SATURATED), parameters.min_sat_area, without=flags[group - 1]
    )


def _may_be_snowballs(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    reach: NDArray[np.float64],
    *,
    centres: NDArray[np.float64],
    edge: tuple[int, int],
) -> NDArray[np.bool_]:
    """Whether a jump at (`x`, `y`) is near the edge or near one of `centres`."""
    near_x = np.abs(x[:, np.newaxis] - centres[:, 0]) <= reach[:, np.newaxis]
    near_y = np.abs(y[:, np.newaxis] - centres[:, 1]) <= reach[:, np.newaxis]
    near_core: NDArray[np.bool_] = np.any(near_x & near_y, axis=1)
    return near_core | np.asarray(_is_near_edge(x, y, *edge))


def _is_near_edge(x: Any, y: Any, n_rows: int, edge_size: int) -> Any:
    """As stcal: both axes are held against the number of rows."""
    high = max(0, n_rows - edge_size)
    return (x < edge_size) | (y < edge_size) | (x > high) | (y > high)


def _has_core(jump: Region, centres: NDArray[np.float64]) -> bool:
    """Whether one of `centres` (x, y) lies within the ellipse of the jump."""
    offsets = np.abs(centres - (jump.x, jump.y))
    nearby = centres[(offsets <= jump.reach).all(axis=1)]
    return any(jump.ellipse.contains(x, y) for x, y in nearby.tolist())


def _grow_core(
    flags: NDArray[np.uint8],
    core: Region,
    cores: NDArray[np.bool_],
    changed: NDArray[np.bool_],
    parameters: SnowballParameters,
) -> bool:
    """Saturate the enlarged core in all groups of `flags`; note the core itself in `cores`.

    Pixels that have other flags then are noted in `changed`.

    Returns whether the core is thick enough for that.
    """
    widest_minor_axis = 2 * (min(core.shape) - 1) - 1
    if widest_minor_axis <= parameters.min_sat_radius_extend:
        return False
    x, y, minor, major, angle = core.ellipse
    if min(minor, major) <= parameters.min_sat_radius_extend:
        return False
    widest = 2 * parameters.max_extended_radius
    growth = 2 * parameters.sat_expand
    grown = min(minor + growth, widest), min(major + growth, widest)
    rows, columns = ellipse_pixels(x, y, grown, angle, cores.shape)
    changed[rows, columns] |= (flags[:, rows, columns] != _SATURATED).any(axis=0)
    flags[:, rows, columns] = _SATURATED
    cores[ellipse_pixels(x, y, (minor, major), angle, cores.shape)] = True
    return True


def _grow_jump(
    flags: NDArray[np.uint8],
    ellipse: Ellipse,
    changed: NDArray[np.bool_],
    parameters: SnowballParameters,
) -> None:
    """Set JUMP_DET in the enlarged ellipse where the group is not saturated.

    Both axes grow by as many pixels as the smaller one does by the factor.
    """
    x, y, minor, major, angle = ellipse
    widest = 2 * parameters.max_extended_radius
    factor = parameters.expand_factor
    if major < minor:
        axes = minor + (factor - 1.0) * major, major * factor
    else:
        axes = minor * factor, major + (factor - 1.0) * minor
    radii = round(min(axes[0], widest) / 2), round(min(axes[1], widest) / 2)
    pixels = ellipse_pixels(x, y, (2 * radii[0], 2 * radii[1]), angle, flags.shape)
    before = flags[pixels]
    flags[pixels] |= np.where(before & _SATURATED, np.uint8(0), _JUMP)
    changed[pixels] |= flags[pixels] != before
