"""Where a reference file comes from: what its header tells of inputs, period, software and use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

from nrsdark_xr.detector import is_irs2, scan_axes, subarray
from nrsdark_xr.errors import NrsdarkError

MAX_DESCRIPTION = 65
"""Characters of DESCRIP."""
_HISTORY_WIDTH = 72
"""Characters of a HISTORY card."""
_GRATINGS = ("G140M", "G235M", "G395M", "G140H", "G235H", "G395H", "PRISM", "MIRROR")


@dataclass(frozen=True, slots=True)
class Input:
    """One exposure that a reference file was made from.

    Attributes
    ----------
    name : str
        Root name.
    date_obs : str
        ISO date and time of its start.
    """

    name: str
    date_obs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What the three reference files say about themselves.

    Attributes
    ----------
    inputs : sequence of Input
        At least one, in the order in which they were combined.
    detector, readpatt, subarray : str
        DETECTOR, READPATT, SUBARRAY.
    xstart, ystart, xsize, ysize : int
        SUBSTRT1, SUBSTRT2, SUBSIZE1, SUBSIZE2 of the science frame (for IRS2 too).
    n_frames, n_groups, group_gap : int
        NFRAMES, NGROUPS, GROUPGAP of the dark.
    author, description : str
        AUTHOR and DESCRIP (at most 65 characters).
    exp_type : str
        EXP_TYPE.
    gain_factor : float
        GAINFACT.
    n_outputs : int
        NOUTPUTS.
    gratings : sequence of str
        Gratings in the beam during the inputs: where a subarray's corner depends on the grating,
        the file serves those that share the corner (P_GRATIN).
    pedigree : {"INFLIGHT", "GROUND", "SIMULATION", "DUMMY"}
    useafter : str, optional
        USEAFTER, ``YYYY-MM-DDThh:mm:ss``; by default the middle of the period (`middle_of_period`).
    document : str
        Where the rules are written.
    parameters, versions, reference_files : mapping of str to str
        For HISTORY: thresholds, software, and the files that calibration used.
    notes : sequence of str
        Further lines of HISTORY: differences from the last delivery, remarks.
    """

    inputs: Sequence[Input]
    detector: str
    readpatt: str
    subarray: str
    xstart: int
    ystart: int
    xsize: int
    ysize: int
    n_frames: int
    n_groups: int
    group_gap: int
    author: str
    description: str
    exp_type: str = "NRS_DARK"
    gain_factor: float = 1.0
    n_outputs: int = 4
    gratings: Sequence[str] = ()
    pedigree: Literal["INFLIGHT", "GROUND", "SIMULATION", "DUMMY"] = "INFLIGHT"
    useafter: str | None = None
    document: str = "JWST-STScI-009226"
    parameters: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    reference_files: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.inputs:
            raise NrsdarkError("a reference file needs at least one input")
        if len(self.description) > MAX_DESCRIPTION:
            raise NrsdarkError(
                f"the description has {len(self.description)} characters",
                remedy=f"shorten it to {MAX_DESCRIPTION}",
            )

    @property
    def period(self) -> tuple[date, date]:
        """Days of the first and the last input."""
        days = [date.fromisoformat(entry.date_obs[:10]) for entry in self.inputs]
        return min(days), max(days)

    def pedigree_keyword(self) -> str:
        """PEDIGREE: with dates where CRDS wants them."""
        if self.pedigree != "INFLIGHT":
            return self.pedigree
        first, last = self.period
        return f"INFLIGHT {first} {last}"

    def useafter_keyword(self) -> str:
        """USEAFTER: as given, or the middle of the period."""
        return middle_of_period(*self.period) if self.useafter is None else self.useafter

    def scan_axes(self) -> tuple[int, int]:
        """FASTAXIS and SLOWAXIS."""
        return scan_axes(self.detector)

    def readpatt_pattern(self) -> str:
        """P_READPA: the readout patterns that the file serves (JWST-STScI-009226 §4.2)."""
        family = ("NRSIRS2RAPID", "NRSIRS2") if is_irs2(self.readpatt) else ("NRSRAPID", "NRS")
        return _alternatives(dict.fromkeys([self.readpatt, *family]))

    def grating_pattern(self) -> str:
        """P_GRATIN: the gratings with the corner of the inputs, or N/A where all share one."""
        return _alternatives(
            gratings_with_corner(self.subarray, detector=self.detector, gratings=self.gratings)
            or ["N/A"]
        )

    def history(self) -> list[str]:
        """HISTORY in the blocks that CRDS asks for, in lines of at most 72 characters."""
        lines = [
            "DOCUMENT:",
            self.document,
            "SOFTWARE:",
            *(f"{name} {version}" for name, version in self.versions.items()),
            "DATA USED:",
            *(f"{entry.name} {entry.date_obs}" for entry in self.inputs),
            *(f"{kind}: {file}" for kind, file in self.reference_files.items()),
            "PARAMETERS:",
            *(f"{name} = {value}" for name, value in self.parameters.items()),
            "DIFFERENCES:",
            *(self.notes or ["see the document"]),
        ]
        return [piece for line in lines for piece in _wrapped(line)]


def middle_of_period(first: date, last: date) -> str:
    """USEAFTER as JWST-STScI-009226 chooses it: the middle of the pedigree, at midnight.

    A middle at noon counts as the next day; so it is in all eight such rows of the report's Table
    3. Where the middle is midnight, Table 3 has it twice, the next day twice and the day before
    twice.

    Parameters
    ----------
    first, last : date
        Days of the first and the last input.

    Returns
    -------
    str
        ``YYYY-MM-DDT00:00:00``
    """
    middle = first + timedelta(days=((last - first).days + 1) // 2)
    return f"{middle}T00:00:00"


def gratings_with_corner(name: str, *, detector: str, gratings: Sequence[str]) -> list[str]:
    """Gratings for which a subarray has the same corner as for `gratings`.

    Corners moved by a few rows after launch, but the gratings that share one did not change (Table
    5b of JWST-STScI-009226 delivers by these).

    Parameters
    ----------
    name : str
        SUBARRAY.
    detector : str
    gratings : sequence of str
        Gratings of the inputs.

    Returns
    -------
    list of str
        Empty where the corner does not depend on the grating, or the subarray is unknown.
    """
    corners = {}
    for grating in _GRATINGS:
        try:
            corners[grating] = subarray(name, detector=detector, grating=grating).ystart
        except KeyError:
            continue
    if len(set(corners.values())) <= 1:
        return []
    used = {corners[grating] for grating in gratings if grating in corners}
    return [grating for grating, corner in corners.items() if corner in used]


def _alternatives(values: Sequence[str] | Mapping[str, None]) -> str:
    return "".join(f"{value}|" for value in values)


def _wrapped(line: str) -> list[str]:
    """Cut a line to the width of a card; FITS takes ASCII only."""
    text = line.encode("ascii", "replace").decode()
    return [
        text[start : start + _HISTORY_WIDTH]
        for start in range(0, max(len(text), 1), _HISTORY_WIDTH)
    ]
