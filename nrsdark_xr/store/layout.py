"""How the arrays of the store are cut into chunks.

One row of ``file`` per chunk, so that exposures never share one; in y the bands of 128 rows by
which calibration goes, so that a band is whole chunks; no shards.
"""

from __future__ import annotations

from collections.abc import Mapping

from nrsdark_xr.exposures.exposure import Exposure
from nrsdark_xr.store.schema import N_BIAS_GROUPS, N_CROSS_SPECTRA, Configuration, Variable

BAND_ROWS = 128
"""Rows of a band: calibration writes and reads ramps by whole bands, and so does the store."""
TILE_COLUMNS = 256
"""Columns of a ramp chunk: with 100 exposures, a block of all of them stays below 300 MB. Twice or
more times as many where groups are so few that a chunk stays as small: tasks cost time, too."""
MAP_COLUMNS = 512
"""Columns of a chunk of the maps: as quick to read by 256 as if cut there, half the objects."""
TARGET_GROUPS = 24
"""Groups of a ramp chunk to aim at: about 3 MB, and an image of one group costs 1/4 of a ramp."""
GROUP_RANGE = (18, 32)
"""Chunks of groups are sought within these sizes."""
SMALL_RAMP = 8_000_000
"""Bytes; an exposure whose ramp is smaller is cut by bands only."""
FREQUENCY_CHUNK = 1 << 16
"""Frequencies of a chunk of spectra: 2 MB with all sums of an amplifier."""
ROW_CHUNK = 1024
"""Rows of the coordinates along ``file`` in one chunk: they are read whole."""


def group_chunk(n_groups: int) -> int:
    """Choose the groups of a chunk: near 24, such that the last chunk misses as few as possible.

    Parameters
    ----------
    n_groups : int

    Returns
    -------
    int
        At most 32; `n_groups` itself up to there. 22 for 88 groups, 25 for 200.
    """
    low, high = GROUP_RANGE
    if n_groups <= high:
        return n_groups
    return min(range(low, high + 1), key=lambda size: (-n_groups % size, abs(size - TARGET_GROUPS)))


def ramp_chunks(exposure: Exposure) -> tuple[int, int, int]:
    """Shape of a ramp chunk of one exposure.

    Returns
    -------
    tuple of int
        (groups, rows, columns); rows are `BAND_ROWS`, or all there are if fewer.
    """
    chunks = reduction_chunks(Configuration.of(exposure))
    return chunks["group"], chunks["y"], chunks["x"]


def reduction_chunks(configuration: Configuration) -> dict[str, int]:
    """Chunk length along each dimension but ``file`` of what one task of a reduction reads.

    These are the stored chunks of the ramps; those of maps are whole multiples.
    """
    c = configuration
    small = c.n_groups * c.ysize * c.xsize * 4 < SMALL_RAMP
    groups = c.n_groups if small else group_chunk(c.n_groups)
    return {
        "group": groups,
        "y": min(BAND_ROWS, c.ysize),
        "x": c.xsize if small else min(_tile_columns(groups), c.xsize),
        "bias_group": N_BIAS_GROUPS,
        "y_raw": min(BAND_ROWS, c.raw_rows),
        "amplifier": 1,
        "cross_spectrum": N_CROSS_SPECTRA,
        "frequency": FREQUENCY_CHUNK,
    }


def stored_chunks(variable: Variable, configuration: Configuration) -> tuple[int, ...]:
    """Chunk shape of `variable` in the store."""
    lengths: Mapping[str, int] = {"file": 1, **reduction_chunks(configuration)}
    if "group" not in variable.dims:
        widest = configuration.xsize
        columns = min(max(MAP_COLUMNS, lengths["x"]), widest)
        lengths = {**lengths, "x": columns}
    return tuple(lengths[dim] for dim in variable.dims)


def _tile_columns(n_groups: int) -> int:
    """Columns of a chunk of some groups: `TILE_COLUMNS`, doubled while it is not over the aim."""
    columns = TILE_COLUMNS
    while 2 * columns * n_groups <= TARGET_GROUPS * TILE_COLUMNS:
        columns *= 2
    return columns


def n_chunks(shape: tuple[int, ...], chunks: tuple[int, ...]) -> int:
    """Count the chunks that cover `shape`."""
    count = 1
    for length, chunk in zip(shape, chunks, strict=True):
        count *= -(-length // chunk)
    return count
