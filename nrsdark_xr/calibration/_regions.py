"""Connected regions of flagged pixels and the ellipses that stand for them.

The ellipse of a region is that of scikit-image's ``regionprops``; regions are found on the sparse
list of flagged pixels, and ellipses are worked out only when somebody asks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.compile import kernel

Candidates = Callable[
    [NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]], NDArray[np.bool_]
]
_SMALLEST_RING = 8
"""Pixels of the smallest region with a hole in it: a ring around one pixel."""
_BLOCK = 64
"""Pixels that are tested at once while looking for flagged ones."""


class Ellipse(NamedTuple):
    """An ellipse as stcal describes it.

    Attributes
    ----------
    x, y : float
        Centre [pixel].
    minor, major : float
        Full lengths of the axes, less one pixel.
    angle : float
        Angle between the major axis and y [degree].
    """

    x: float
    y: float
    minor: float
    major: float
    angle: float

    def contains(self, x: float, y: float) -> bool:
        """Whether the point (x, y) lies inside or on the ellipse."""
        angle = np.radians(180 - self.angle)
        cosine, sine = np.cos(angle), np.sin(angle)
        dx, dy = x - self.x, y - self.y
        along = dx * cosine - dy * sine
        across = dx * sine + dy * cosine
        semi_major = max(self.major, self.minor) * 0.5
        semi_minor = min(self.major, self.minor) * 0.5
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = (along**2 / np.float64(semi_major**2)) + (
                across**2 / np.float64(semi_minor**2)
            )
        return bool(distance <= 1)


@dataclass(frozen=True, eq=False)
class Region:
    """One 8-connected region.

    Attributes
    ----------
    x, y : float
        Centroid [pixel].
    box : (int, int, int, int)
        First and last row, first and last column.
    rows, columns : ndarray of int
        Its pixels.
    """

    x: float
    y: float
    box: tuple[int, int, int, int]
    rows: NDArray[np.int32]
    columns: NDArray[np.int32]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the bounding box."""
        top, bottom, left, right = self.box
        return bottom - top + 1, right - left + 1

    @property
    def reach(self) -> float:
        """No point of the ellipse is farther from the centroid than this [pixel].

        The scatter along the major axis is at most half the diagonal, and the semi-major axis at
        most twice the scatter.
        """
        return math.hypot(*self.shape)

    def image(self) -> NDArray[np.uint8]:
        """Cut the region out, to its bounding box."""
        image = np.zeros(self.shape, np.uint8)
        image[self.rows - self.box[0], self.columns - self.box[2]] = 1
        return image

    def filled_area(self) -> int:
        """Count the pixels, those of holes among them."""
        from scipy import ndimage

        return int(ndimage.binary_fill_holes(self.image(), np.ones((3, 3))).sum())

    @cached_property
    def ellipse(self) -> Ellipse:
        """The ellipse of the same second moments."""
        image = self.image()
        return Ellipse(self.x, self.y, *_axes_and_angle(image.shape, image.tobytes()))


def load_measures() -> None:
    """Load what measures regions, which takes 0.4 s: best while other threads are at work.

    To measure one is the way to that: scikit-image loads its parts when they are asked for.
    """
    ring = np.ones((3, 3), np.uint8)
    ring[1, 1] = 0
    (region,) = find_regions(ring, 1, ring.size)  # of as many pixels once its hole is filled
    ellipse_pixels(region.x, region.y, (2.0, 2.0), region.ellipse.angle, ring.shape)


@lru_cache(maxsize=4096)
def _axes_and_angle(shape: tuple[int, int], pixels: bytes) -> tuple[float, float, float]:
    """Axes and angle of the ellipse of a region; small ones have few shapes, which recur."""
    from skimage.measure import regionprops

    (properties,) = regionprops(np.frombuffer(pixels, np.uint8).reshape(shape))
    return (
        properties.axis_minor_length - 1,
        properties.axis_major_length - 1,
        float(np.degrees(properties.orientation)),
    )


def find_regions(
    groupdq: NDArray[np.uint8],
    bit: int,
    min_area: float,
    *,
    without: NDArray[np.uint8] | None = None,
    candidates: Candidates | None = None,
) -> list[Region]:
    """Find the 8-connected regions of pixels with `bit` that are large enough.

    Parameters
    ----------
    groupdq : ndarray of uint8, shape (y, x)
    bit : int
    min_area : float
        Smallest area, holes filled [pixel].
    without : ndarray of uint8, shape (y, x), optional
        Leave pixels out that have `bit` here.
    candidates : callable, optional
        Tells which regions to return, from their centroids (x, y) and their reach, arrays all.
    """
    excluded = groupdq if without is None else without
    rows, columns, starts, sums, boxes = _label(
        groupdq, excluded, bit, 0 if without is None else bit
    )
    areas = np.diff(starts)
    centroids = sums / areas[:, np.newaxis]
    regions = []
    large = np.flatnonzero(areas >= min(min_area, _SMALLEST_RING))
    if candidates is not None:
        y, x = centroids[large].T
        top, bottom, left, right = boxes[large].T
        large = large[candidates(x, y, np.hypot(bottom - top + 1, right - left + 1))]
    for k in large.tolist():
        pixels = slice(starts[k], starts[k + 1])
        y, x = centroids[k].tolist()
        region = Region(x, y, tuple(boxes[k].tolist()), rows[pixels], columns[pixels])
        if areas[k] >= min_area or region.filled_area() >= min_area:
            regions.append(region)
    return regions


def ellipse_pixels(
    x: float, y: float, axes: tuple[float, float], angle: float, shape: tuple[int, int]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pixels of a filled ellipse, its centre and its axes rounded to whole pixels as stcal does.

    Parameters
    ----------
    x, y : float
        Centre.
    axes : (float, float)
        Full lengths, minor (along x where the angle is 0) and major.
    angle : float
        [degree].
    shape : (int, int)
        Shape of the image to stay in.

    Returns
    -------
    rows, columns : ndarray of int
    """
    from skimage.draw import ellipse

    column, row = round(x), round(y)
    radii = round(axes[0] / 2), round(axes[1] / 2)
    if 0 in radii:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    margin = max(radii) + 2
    top, left = max(row - margin, 0), max(column - margin, 0)
    size = min(row + margin + 1, shape[0]) - top, min(column + margin + 1, shape[1]) - left
    rows, columns = ellipse(row - top, column - left, radii[1], radii[0], size, np.radians(angle))
    return rows + top, columns + left


@kernel
def _label(
    groupdq: NDArray[Any], without: NDArray[Any], bit: int, without_bit: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Sort flagged pixels by region.

    Returns rows and columns of the pixels, where each region starts among them (and the end), and
    for each region the sums of rows and columns and its first and last row and column.
    """
    rows, columns = _flagged(groupdq, without, bit, without_bit)
    n_pixels = rows.size
    parent = np.arange(n_pixels)
    above = np.zeros(groupdq.shape[1] + 2, np.int64)  # 1 + index of the pixel, 0 for none
    here = np.zeros(groupdq.shape[1] + 2, np.int64)
    first_above = 0
    first_here = 0
    for k in range(n_pixels):
        x = columns[k] + 1
        if k > 0 and rows[k] != rows[k - 1]:
            for j in range(first_above, first_here):
                above[columns[j] + 1] = 0
            above, here = here, above
            first_above, first_here = first_here, k
            if rows[k] != rows[k - 1] + 1:
                for j in range(first_above, first_here):
                    above[columns[j] + 1] = 0
                first_above = first_here
        here[x] = k + 1
        for other in (here[x - 1], above[x - 1], above[x], above[x + 1]):
            if other > 0:
                _join(parent, other - 1, k)
    region = np.empty(n_pixels, np.int64)
    n_regions = 0
    for k in range(n_pixels):
        root = _root(parent, k)
        if root == k:
            region[k] = n_regions
            n_regions += 1
        else:
            region[k] = region[root]
    starts = np.zeros(n_regions + 1, np.int64)
    sums = np.zeros((n_regions, 2), np.int64)
    boxes = np.zeros((n_regions, 4), np.int64)
    for k in range(n_pixels):
        r = region[k]
        if starts[r + 1] == 0:
            boxes[r] = rows[k], rows[k], columns[k], columns[k]
        starts[r + 1] += 1
        sums[r, 0] += rows[k]
        sums[r, 1] += columns[k]
        boxes[r, 1] = max(boxes[r, 1], rows[k])
        boxes[r, 2] = min(boxes[r, 2], columns[k])
        boxes[r, 3] = max(boxes[r, 3], columns[k])
    for r in range(n_regions):
        starts[r + 1] += starts[r]
    place = starts[:-1].copy()
    sorted_rows = np.empty_like(rows)
    sorted_columns = np.empty_like(columns)
    for k in range(n_pixels):
        sorted_rows[place[region[k]]] = rows[k]
        sorted_columns[place[region[k]]] = columns[k]
        place[region[k]] += 1
    return sorted_rows, sorted_columns, starts, sums, boxes


@kernel
def _flagged(
    groupdq: NDArray[Any], without: NDArray[Any], bit: int, without_bit: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows and columns of the pixels that have `bit`, in raster order."""
    n_rows, n_columns = groupdq.shape
    room = 1024
    rows = np.empty(room, np.int32)
    columns = np.empty(room, np.int32)
    n_pixels = 0
    for y in range(n_rows):
        line, excluded = groupdq[y], without[y]
        for start in range(0, n_columns, _BLOCK):
            stop = min(start + _BLOCK, n_columns)
            if stop - start == _BLOCK and not bit & _seen(
                line[start:stop], excluded[start:stop], np.uint8(without_bit)
            ):
                continue
            if n_pixels + _BLOCK > room:
                room *= 2
                rows = _enlarged(rows, room)
                columns = _enlarged(columns, room)
            for x in range(start, stop):
                if line[x] & bit and not excluded[x] & without_bit:
                    rows[n_pixels] = y
                    columns[n_pixels] = x
                    n_pixels += 1
    return rows[:n_pixels].copy(), columns[:n_pixels].copy()


@kernel
def _seen(block: NDArray[Any], without: NDArray[Any], without_bit: np.uint8) -> np.uint8:
    """Join the flags of `_BLOCK` pixels, but for `without_bit` where `without` has it.

    With a fixed number of steps, it is a few vector operations.
    """
    seen = np.uint8(0)
    for x in range(_BLOCK):
        seen = np.uint8(seen | (block[x] & ~(without[x] & without_bit)))
    return seen


@kernel
def _enlarged(values: NDArray[Any], room: int) -> NDArray[Any]:
    larger = np.empty(room, values.dtype)
    larger[: values.size] = values
    return larger


@kernel
def _root(parent: NDArray[Any], k: int) -> int:
    while parent[k] != k:
        parent[k] = parent[parent[k]]
        k = parent[k]
    return k


@kernel
def _join(parent: NDArray[Any], a: int, b: int) -> None:
    """Put the regions of two pixels together, under the pixel that comes first."""
    a = _root(parent, a)
    b = _root(parent, b)
    if a < b:
        parent[b] = a
    elif b < a:
        parent[a] = b
