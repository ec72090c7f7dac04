"""Compare two reference files of a kind, such as a new dark with the one delivered last."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.analysis.figures.style import number
from nrsdark_xr.analysis.reference_planes import (
    ReferenceHeader,
    ReferencePlanes,
    read_planes,
    read_reference_header,
)
from nrsdark_xr.analysis.statistics import MAD_TO_SIGMA, robust_sigma
from nrsdark_xr.detector import DETECTOR_SIZE, DQ, reference_pixels
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.parameters import Parameters
from nrsdark_xr.references.cut import Rectangle

COLUMNS = ("quantity", "new", "old", "change", "scatter of the change", "pixels that differ")
"""Heads of `Comparison.rows`."""
PERCENTILES = (1, 5, 25, 75, 95, 99)
"""Percentiles of the differences that are reported."""
_NAMES = {
    ("SUPERBIAS", "SCI"): "superbias",
    ("SUPERBIAS", "ERR"): "uncertainty of the superbias",
    ("DARK", "SCI"): "dark",
    ("DARK", "ERR"): "uncertainty of the dark",
    ("DARK", "DRK"): "dark rate",
    ("DARK", "UNC"): "uncertainty of the dark rate",
    ("READNOISE", "SCI"): "read noise",
}


class ComparisonParameters(Parameters):
    """Thresholds of `compare_references`."""

    hot_rate: float = 1.0
    """Dark rate above which a pixel counts as hot [DN/s] (JWST-STScI-009226 §4.1.4)."""

    outlier_sigma: float = 5.0
    """A pixel counts as changed when its difference is so many robust sigma from the median one."""


@dataclass(frozen=True, slots=True)
class PlaneComparison:
    """One plane of both files; numbers are over the science pixels that are finite in both.

    Attributes
    ----------
    name, unit : str
    new, old : ndarray of float32, shape (y, x)
    uncertainty : bool
        Whether the plane is an uncertainty, which needs fewer figures.
    n_pixels, n_differ, n_outliers : int
        Pixels compared, those that differ at all, those far from the median difference.
    n_only_new, n_only_old : int
        Science pixels that are finite in one file only.
    median_new, median_old, sigma_new, sigma_old : float
        Median and robust sigma over pixels.
    median, sigma, minimum, maximum : float
        Of the difference, new minus old.
    percentiles : dict of str to float
        Of the difference.
    """

    name: str
    unit: str
    new: NDArray[np.float32]
    old: NDArray[np.float32]
    uncertainty: bool
    n_pixels: int
    n_differ: int
    n_outliers: int
    n_only_new: int
    n_only_old: int
    median_new: float
    median_old: float
    sigma_new: float
    sigma_old: float
    median: float
    sigma: float
    minimum: float
    maximum: float
    percentiles: dict[str, float]

    def record(self) -> dict[str, Any]:
        """Everything but the arrays, of plain types."""
        keys = (field.name for field in dataclasses.fields(self))
        return {key: getattr(self, key) for key in keys if key not in ("new", "old")}


@dataclass(frozen=True, slots=True)
class FlagComparison:
    """How many pixels have a DQ flag in either file, and how many gained or lost it."""

    name: str
    n_new: int
    n_old: int
    n_gained: int
    n_lost: int


@dataclass(frozen=True, slots=True)
class HotComparison:
    """Hot pixels of both files.

    Attributes
    ----------
    by_flag : bool
        Whether the HOT flag tells, or the rate where both files hold rates.
    rule : str
        The same in words.
    new, old : ndarray of bool, shape (y, x)
    """

    by_flag: bool
    rule: str
    new: NDArray[np.bool_]
    old: NDArray[np.bool_]

    def counts(self) -> FlagComparison:
        """Numbers of new and vanished hot pixels."""
        return _count_changes(f"hot pixels ({self.rule})", self.new, self.old)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Result of `compare_references`.

    Attributes
    ----------
    new, old : ReferenceHeader
    rectangle : Rectangle
        Detector pixels that were compared.
    planes : tuple of PlaneComparison
    new_dq, old_dq : ndarray of uint32, shape (y, x), or None
        None in both where either file has none.
    flags : tuple of FlagComparison
        One for each flag that occurs.
    hot : HotComparison or None
        None where neither file marks hot pixels.
    notes : tuple of str
        What could not be compared, and other things worth knowing.
    """

    new: ReferenceHeader
    old: ReferenceHeader
    rectangle: Rectangle
    planes: tuple[PlaneComparison, ...]
    new_dq: NDArray[np.uint32] | None
    old_dq: NDArray[np.uint32] | None
    flags: tuple[FlagComparison, ...]
    hot: HotComparison | None
    notes: tuple[str, ...]

    @property
    def kind(self) -> str:
        """SUPERBIAS, DARK, MASK or READNOISE."""
        return self.new.kind

    def rows(self) -> list[tuple[str, ...]]:
        """Rows of a table for people; `COLUMNS` are its heads."""
        rows: list[tuple[str, ...]] = [
            (
                f"{plane.name}, median [{plane.unit}]",
                number(plane.median_new),
                number(plane.median_old),
                number(plane.median),
                number(plane.sigma),
                f"{plane.n_differ:,} of {plane.n_pixels:,}",
            )
            for plane in self.planes
        ]
        # By flag, they are among the flags already.
        by_rate = [] if self.hot is None or self.hot.by_flag else [self.hot.counts()]
        for flag in (*by_rate, *self.flags):
            change = f"+{flag.n_gained:,} -{flag.n_lost:,}"
            differ = f"{flag.n_gained + flag.n_lost:,}"
            rows.append((flag.name, f"{flag.n_new:,}", f"{flag.n_old:,}", change, "", differ))
        return rows

    def record(self) -> dict[str, Any]:
        """Everything but the arrays, for JSON."""
        return {
            "kind": self.kind,
            "new": dataclasses.asdict(self.new),
            "old": dataclasses.asdict(self.old),
            "rectangle": dataclasses.asdict(self.rectangle),
            "planes": [plane.record() for plane in self.planes],
            "hot": None if self.hot is None else dataclasses.asdict(self.hot.counts()),
            "flags": {flag.name: dataclasses.asdict(flag) for flag in self.flags},
            "notes": list(self.notes),
        }


def compare_references(
    new: str, old: str, *, parameters: ComparisonParameters | None = None
) -> Comparison:
    """Compare two reference files of a kind, pixel by pixel.

    Where one file covers more of the detector, it is cut to the other. Of darks the last group that
    both have is compared, and the rates where both hold them.

    Parameters
    ----------
    new, old : str
        FITS files: SUPERBIAS, DARK, MASK or READNOISE.
    parameters : ComparisonParameters, optional

    Raises
    ------
    NrsdarkError
        If a file cannot be read, or the two differ in kind, detector, kind of readout or pixels.
    """
    limits = ComparisonParameters() if parameters is None else parameters
    headers = read_reference_header(new), read_reference_header(old)
    _check_comparable(*headers)
    rectangle = _common_rectangle(*headers)
    groups = [header.n_groups for header in headers if header.n_groups is not None]
    group = min(groups) if groups else None
    new_planes, old_planes = (read_planes(header, rectangle, group=group) for header in headers)
    science = _science_pixels(rectangle)
    names = [name for name in new_planes.arrays if name in old_planes.arrays]
    planes = tuple(
        _compare_plane(
            headers[0].kind,
            name,
            new_planes.arrays[name],
            old_planes.arrays[name],
            science,
            group=group,
            limits=limits,
        )
        for name in names
    )
    both_dq = new_planes.dq is not None and old_planes.dq is not None
    new_dq, old_dq = (new_planes.dq, old_planes.dq) if both_dq else (None, None)
    return Comparison(
        new=headers[0],
        old=headers[1],
        rectangle=rectangle,
        planes=planes,
        new_dq=new_dq,
        old_dq=old_dq,
        flags=_compare_flags(new_dq, old_dq),
        hot=_compare_hot(new_planes, old_planes, limits.hot_rate),
        notes=(*new_planes.notes, *old_planes.notes, *_remarks(*headers, rectangle)),
    )


def _check_comparable(new: ReferenceHeader, old: ReferenceHeader) -> None:
    for what, of_new, of_old in (
        ("kind", new.kind, old.kind),
        ("detector", new.detector, old.detector),
        ("kind of readout", _readout(new), _readout(old)),
    ):
        if of_new != of_old:
            raise NrsdarkError(
                f"is of another {what} than {new.file}: {of_old or 'none'}, not {of_new or 'none'}",
                file=old.file,
                remedy="compare files of the same kind, detector and readout",
            )


def _readout(header: ReferenceHeader) -> str:
    return "IRS2" if header.irs2 else "traditional"


def _common_rectangle(new: ReferenceHeader, old: ReferenceHeader) -> Rectangle:
    """Find the smaller of two rectangles, which the larger one must contain."""
    small, large = sorted((new, old), key=lambda header: _area(header.rectangle))
    inner, outer = small.rectangle, large.rectangle
    inside = (
        outer.xstart <= inner.xstart
        and outer.ystart <= inner.ystart
        and inner.xstart + inner.xsize <= outer.xstart + outer.xsize
        and inner.ystart + inner.ysize <= outer.ystart + outer.ysize
    )
    interleaved = outer.ysize > DETECTOR_SIZE >= inner.ysize
    if not inside or interleaved:
        raise NrsdarkError(
            f"covers {old.rectangle}, which does not match the {new.rectangle} of {new.file}",
            file=old.file,
            remedy="compare with a file of the same subarray, or a full-frame one",
        )
    return inner


def _area(rectangle: Rectangle) -> int:
    return rectangle.xsize * rectangle.ysize


def _science_pixels(rectangle: Rectangle) -> NDArray[np.bool_]:
    """Tell science from reference pixels; of interleaved IRS2 rows all count."""
    if rectangle.ysize > DETECTOR_SIZE:
        return np.ones((rectangle.ysize, rectangle.xsize), dtype=bool)
    return ~reference_pixels(
        xstart=rectangle.xstart,
        ystart=rectangle.ystart,
        xsize=rectangle.xsize,
        ysize=rectangle.ysize,
    )


def _compare_plane(
    kind: str,
    extension: str,
    new: NDArray[np.float32],
    old: NDArray[np.float32],
    science: NDArray[np.bool_],
    *,
    group: int | None,
    limits: ComparisonParameters,
) -> PlaneComparison:
    finite_new, finite_old = np.isfinite(new) & science, np.isfinite(old) & science
    both = finite_new & finite_old
    values_new, values_old = new[both].astype(np.float64), old[both].astype(np.float64)
    difference = values_new - values_old
    if difference.size:
        median = float(np.median(difference))
        deviation = np.abs(difference - median)
        sigma = float(MAD_TO_SIGMA * np.median(deviation))
        n_outliers = int(np.count_nonzero(deviation > limits.outlier_sigma * sigma))
        points = np.percentile(difference, (0, *PERCENTILES, 100)).tolist()
    else:
        median = sigma = float("nan")
        n_outliers = 0
        points = [float("nan")] * (len(PERCENTILES) + 2)
    per_group = kind == "DARK" and extension in ("SCI", "ERR")
    return PlaneComparison(
        name=_NAMES[kind, extension] + (f", group {group}" if per_group else ""),
        unit="DN/s" if extension in ("DRK", "UNC") else "DN",
        new=new,
        old=old,
        uncertainty=extension in ("ERR", "UNC"),
        n_pixels=difference.size,
        n_differ=int(np.count_nonzero(difference)),
        n_outliers=n_outliers,
        n_only_new=int(np.count_nonzero(finite_new & ~finite_old)),
        n_only_old=int(np.count_nonzero(finite_old & ~finite_new)),
        median_new=float(np.median(values_new)) if values_new.size else float("nan"),
        median_old=float(np.median(values_old)) if values_old.size else float("nan"),
        sigma_new=robust_sigma(values_new),
        sigma_old=robust_sigma(values_old),
        median=median,
        sigma=sigma,
        minimum=points[0],
        maximum=points[-1],
        percentiles={str(key): point for key, point in zip(PERCENTILES, points[1:-1], strict=True)},
    )


def _compare_flags(
    new: NDArray[np.uint32] | None, old: NDArray[np.uint32] | None
) -> tuple[FlagComparison, ...]:
    if new is None or old is None:
        return ()
    changes = (
        _count_changes(str(flag.name), (new & np.uint32(flag)) != 0, (old & np.uint32(flag)) != 0)
        for flag in DQ
    )
    return tuple(change for change in changes if change.n_new or change.n_old)


def _count_changes(name: str, new: NDArray[np.bool_], old: NDArray[np.bool_]) -> FlagComparison:
    return FlagComparison(
        name=name,
        n_new=int(np.count_nonzero(new)),
        n_old=int(np.count_nonzero(old)),
        n_gained=int(np.count_nonzero(new & ~old)),
        n_lost=int(np.count_nonzero(old & ~new)),
    )


def _compare_hot(
    new: ReferencePlanes, old: ReferencePlanes, hot_rate: float
) -> HotComparison | None:
    if "DRK" in new.arrays and "DRK" in old.arrays:
        rule = f"rate above {number(hot_rate)} DN/s"
        return HotComparison(
            False, rule, new.arrays["DRK"] > hot_rate, old.arrays["DRK"] > hot_rate
        )
    if new.dq is None or old.dq is None:
        return None
    is_hot, was_hot = (new.dq & np.uint32(DQ.HOT)) != 0, (old.dq & np.uint32(DQ.HOT)) != 0
    if not is_hot.any() and not was_hot.any():
        return None
    return HotComparison(True, "HOT flag", is_hot, was_hot)


def _remarks(new: ReferenceHeader, old: ReferenceHeader, rectangle: Rectangle) -> list[str]:
    remarks = []
    for header in (new, old):
        if header.rectangle != rectangle:
            remarks.append(f"{Path(header.file).name} covers more and was cut to {rectangle}.")
    if new.readpatt != old.readpatt:
        remarks.append(f"READPATT differs: {new.readpatt or 'none'}, {old.readpatt or 'none'}.")
    if new.n_groups != old.n_groups:
        remarks.append(f"The darks have {new.n_groups} and {old.n_groups} groups.")
    return remarks
