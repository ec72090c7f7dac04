"""One exposure, as its header tells it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exposure:
    """What the rest of the package knows of a raw file: small, frozen, picklable.

    Attributes
    ----------
    url : str
        Absolute local path, or URL.
    name : str
        Root name, such as ``jw06633001001_02101_00001_nrs1``; letters, digits, ``_``, ``-`` only.
    detector, readpatt, subarray, exp_type, grating, filter : str
        Keywords of the same name.
    program, observation : str
        PROGRAM and OBSERVTN; empty if absent.
    date_obs : str
        DATE-OBS and TIME-OBS as ``YYYY-MM-DDThh:mm:ss.sss`` (UTC).
    n_integrations, n_groups, n_frames, group_gap, frame_divisor, n_outputs : int
        NINTS, NGROUPS, NFRAMES, GROUPGAP, FRMDIVSR, NOUTPUTS.
    frame_time, group_time : float
        TFRAME and TGROUP, in seconds.
    xstart, ystart, xsize, ysize : int
        SUBSTRT1, SUBSTRT2 (1-based detector pixels of the DMS frame), SUBSIZE1, SUBSIZE2.
    gain_factor : float
        GAINFACT; 1 if absent. Recorded only: jwst applies it in ``gain_scale``, which is not among
        the steps of JWST-STScI-009226 §4.1.2.
    data_offset : int
        Bytes of the file before the first pixel of SCI.
    raw_shape : tuple of int
        Shape of SCI: (integration, group, raw row, column). Raw rows are 3200 for IRS2.
    asic_t_min, asic_t_max : float
        Lowest and highest ASIC temperature during the exposure, in K; NaN where not known.
    """

    url: str
    name: str
    detector: str
    readpatt: str
    subarray: str
    exp_type: str
    grating: str
    filter: str
    program: str
    observation: str
    date_obs: str
    n_integrations: int
    n_groups: int
    n_frames: int
    group_gap: int
    frame_divisor: int
    n_outputs: int
    frame_time: float
    group_time: float
    xstart: int
    ystart: int
    xsize: int
    ysize: int
    gain_factor: float
    data_offset: int
    raw_shape: tuple[int, int, int, int]
    asic_t_min: float = float("nan")
    asic_t_max: float = float("nan")

    @property
    def group_bytes(self) -> int:
        """Bytes of one raw group."""
        return 2 * self.raw_shape[2] * self.raw_shape[3]

    @property
    def data_bytes(self) -> int:
        """Bytes of all raw pixels."""
        return self.raw_shape[0] * self.raw_shape[1] * self.group_bytes

    def row_names(self) -> tuple[str, ...]:
        """Name its integrations along ``file``: ``name``, then ``name_i2``, ``name_i3``."""
        later = (f"{self.name}_i{number}" for number in range(2, self.n_integrations + 1))
        return (self.name, *later)
