"""Which codec and which chunks serve ramps best: what each costs to write, to average, to look at.

    python benchmarks/codec.py STORE.zarr [--rows 512] [--quantum 0.015625]

Takes rows of one calibrated exposure of a store, writes them with each codec and in each shape of
chunks beside it, and reads them back as the package does: by blocks (averaging), by bands of 128
rows (fitting again), one pixel through all groups, one whole group. Told is the CPU time of the
process, all threads, the system's share included: wall time says little on a machine that others
use, and depends on its disk. Cases are measured in turns; the fastest of several is told.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from tables import print_table
from zarr.codecs import BloscCodec

from nrsdark_xr.calibration.rounding import round_to
from nrsdark_xr.store.layout import BAND_ROWS

REPEATS = 3
CODECS = {
    "none": None,
    "lz4-1 bitshuffle": ("lz4", 1, "bitshuffle"),
    "lz4-5 bitshuffle": ("lz4", 5, "bitshuffle"),
    "lz4-9 bitshuffle": ("lz4", 9, "bitshuffle"),
    "lz4-9 shuffle": ("lz4", 9, "shuffle"),
    "zstd-1 bitshuffle": ("zstd", 1, "bitshuffle"),
    "zstd-1 shuffle": ("zstd", 1, "shuffle"),
    "zstd-3 bitshuffle": ("zstd", 3, "bitshuffle"),
}
CHOSEN_CODEC = "lz4-9 bitshuffle"
CHUNKS = ((22, 128, 256), (22, 128, 512), (22, 128, 128), (22, 64, 256), (11, 128, 512))
CHUNKS += ((24, 128, 256), (44, 128, 256), (88, 64, 256), (88, 128, 64))
CHOSEN_CHUNKS = CHUNKS[0]


@dataclass
class Case:
    """One way to store a ramp, and the fastest seconds of each kind of access."""

    codec: str
    chunks: tuple[int, int, int]
    quantum: float | None
    stored: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)

    def create(self, folder: Path, ramp: np.ndarray) -> Any:
        """Make the array, empty."""
        settings = CODECS[self.codec]
        codecs = []
        if settings is not None:
            name, level, shuffle = settings
            codecs = [BloscCodec(cname=name, clevel=level, shuffle=shuffle, typesize=4)]
        return zarr.create_array(
            folder / "ramp.zarr",
            shape=ramp.shape,
            chunks=tuple(map(min, self.chunks, ramp.shape)),
            dtype="float32",
            fill_value=np.nan,
            compressors=codecs,
            overwrite=True,
        )


def measure(case: Case, ramp: np.ndarray, folder: Path) -> None:
    """Write and read `ramp` in one way; keep the fastest times so far."""
    array = case.create(folder, ramp)
    groups, rows, columns = ramp.shape
    middle = (groups // 2, rows // 2 + 5, columns // 2 + 5)

    def write() -> None:
        for band in _bands(rows):
            values = ramp[:, band]
            array[:, band] = values if case.quantum is None else round_to(values, case.quantum)

    def read_blocks() -> None:
        for block in _blocks(array):
            array[block]

    def read_bands() -> None:
        for band in _bands(rows):
            array[:, band]

    works: dict[str, Callable[[], object]] = {
        "write": write,
        "average": read_blocks,
        "refit": read_bands,
        "pixel": lambda: array[:, middle[1], middle[2]],
        "group": lambda: array[middle[0]],
    }
    for name, work in works.items():
        started = time.process_time()
        work()
        taken = time.process_time() - started
        case.seconds[name] = min(taken, case.seconds.get(name, np.inf))
    size = sum(path.stat().st_size for path in (folder / "ramp.zarr/c").rglob("*"))
    case.stored = size / ramp.nbytes


def _bands(rows: int) -> Iterator[slice]:
    for start in range(0, rows, BAND_ROWS):
        yield slice(start, min(start + BAND_ROWS, rows))


def _blocks(array: Any) -> Iterator[tuple[slice, ...]]:
    axes = [
        [slice(start, start + chunk) for start in range(0, length, chunk)]
        for length, chunk in zip(array.shape, array.chunks, strict=True)
    ]
    yield from product(*axes)


def cases(quantum: float) -> list[Case]:
    """Each codec in the chosen chunks, each shape of chunks with the chosen codec, and rounded."""
    made = [Case(codec, CHOSEN_CHUNKS, None) for codec in CODECS]
    made += [Case(CHOSEN_CODEC, chunks, None) for chunks in CHUNKS[1:]]
    return made + [Case(codec, CHOSEN_CHUNKS, quantum) for codec in CODECS if codec != "none"]


def tell(made: list[Case], ramp: np.ndarray) -> None:
    """Print the table; bulk work as million samples per second of CPU, looks as milliseconds."""
    million = ramp.size / 1e6
    rows = []
    for case in made:
        seconds = case.seconds
        rows.append(
            (
                case.codec,
                " x ".join(map(str, case.chunks)),
                "" if case.quantum is None else f"1/{1 / case.quantum:g} DN",
                f"{case.stored:.3f}",
                *(f"{million / seconds[name]:.0f}" for name in ("write", "average", "refit")),
                *(f"{1e3 * seconds[name]:.1f}" for name in ("pixel", "group")),
            )
        )
    heads = ("codec", "groups x rows x columns", "rounded to", "stored / raw")
    looks = ("one pixel [ms]", "one group [ms]")
    print_table((*heads, "write [MS/s]", "average [MS/s]", "refit [MS/s]", *looks), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path, help="a ramp store of full frames")
    parser.add_argument("--rows", type=int, default=512, help="detector rows to take")
    parser.add_argument("--quantum", type=float, default=1 / 64, help="DN to round to")
    arguments = parser.parse_args()
    stored = zarr.open_group(arguments.store, mode="r")["ramp"]
    first = (stored.shape[2] - arguments.rows) // 2 // BAND_ROWS * BAND_ROWS
    ramp = np.asarray(stored[0, :, first : first + arguments.rows])
    groups, rows, columns = ramp.shape
    print(f"{groups} groups x {rows} rows x {columns} columns, {ramp.nbytes / 1e6:.0f} MB float32")
    error = ramp - round_to(ramp, arguments.quantum)
    print(f"rounding to {arguments.quantum:g} DN: error {np.nanstd(error):.5f} DN rms")
    made = cases(arguments.quantum)
    folder = Path(tempfile.mkdtemp(dir=arguments.store.parent))
    try:
        for _ in range(REPEATS):
            for case in made:
                measure(case, ramp, folder)
    finally:
        shutil.rmtree(folder)
    tell(made, ramp)


if __name__ == "__main__":
    main()
