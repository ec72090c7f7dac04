"""Write a file so that it is there complete or not at all, and its cubes block by block."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.errors import NrsdarkError

_FITS_BLOCK = 2880
_COPY_BYTES = 1 << 24


@contextmanager
def complete_file(path: Path) -> Iterator[Path]:
    """Give a temporary path with the same file name, and rename to `path` when all went well.

    Parameters
    ----------
    path : Path
        The file to be; its folder is made where missing.

    Yields
    ------
    Path
        Where to write, on the same file system.

    Raises
    ------
    NrsdarkError
        If the operating system refuses: no permission, no space.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            temporary = Path(folder) / path.name
            yield temporary
            _synchronize(temporary)
            temporary.replace(path)
        _synchronize(path.parent)
    except OSError as error:
        raise NrsdarkError(
            f"cannot be written ({error.strerror or error})",
            file=path,
            remedy="see that its folder can be written and has space, then run again",
        ) from error


@dataclass(frozen=True, slots=True)
class CubeOnDisk:
    """A cube inside a file, to which blocks can be assigned from any thread or process.

    Attributes
    ----------
    path : str
    offset : int
        Bytes before the first value.
    shape : tuple of int
        (group, y, x)
    dtype : str
        As stored, with byte order.
    """

    path: str
    offset: int
    shape: tuple[int, int, int]
    dtype: str

    def __setitem__(self, region: tuple[slice, slice, slice], block: NDArray[Any]) -> None:
        _, n_y, n_x = self.shape
        (g0, _, _), (y0, _, _), (x0, _, _) = (
            part.indices(size) for part, size in zip(region, self.shape, strict=True)
        )
        values = np.ascontiguousarray(block, np.dtype(self.dtype))
        size = values.dtype.itemsize
        if values.shape[2] == n_x:  # whole rows: one run per group
            values = values.reshape(values.shape[0], 1, -1)
        file = os.open(self.path, os.O_WRONLY)
        try:
            for g, plane in enumerate(values, start=g0):
                for y, run in enumerate(plane, start=y0):
                    _write_at(file, run, self.offset + size * ((g * n_y + y) * n_x + x0))
        finally:
            os.close(file)


def assemble(skeleton: Path, target: Path, cubes: Mapping[str, Any]) -> None:
    """Copy a FITS file, with cubes in place of stand-ins of its image extensions.

    Parameters
    ----------
    skeleton : Path
        A FITS file in which the extensions named in `cubes` are stand-ins of the right type.
    target : Path
        The new file.
    cubes : mapping of str to array
        Extension name -> numpy or Dask array, shape (group, y, x). Dask arrays are computed in one
        go and written as blocks come, so that no cube is ever in memory; workers must see `target`.
    """
    from astropy.io import fits

    places: dict[str, CubeOnDisk] = {}
    with fits.open(skeleton) as hdus, skeleton.open("rb") as source, target.open("wb") as sink:
        for hdu in hdus:
            info = hdu.fileinfo()
            if hdu.name not in cubes:
                _copy(source, sink, info["hdrLoc"], info["datLoc"] + info["datSpan"])
                continue
            shape = cubes[hdu.name].shape
            header = hdu.header.copy()
            for axis, size in enumerate(reversed(shape), start=1):
                header[f"NAXIS{axis}"] = size
            sink.write(header.tostring().encode("ascii"))
            dtype = np.dtype(fits.BITPIX2DTYPE[header["BITPIX"]]).newbyteorder(">")
            places[hdu.name] = CubeOnDisk(str(target), sink.tell(), shape, dtype.str)
            n_bytes = dtype.itemsize * int(np.prod(shape))
            sink.truncate(sink.tell() + -(-n_bytes // _FITS_BLOCK) * _FITS_BLOCK)
            sink.seek(0, os.SEEK_END)
    _fill(places, cubes)


def _fill(places: Mapping[str, CubeOnDisk], cubes: Mapping[str, Any]) -> None:
    lazy = [name for name in places if hasattr(cubes[name], "dask")]
    if lazy:
        import dask.array as da

        da.store([cubes[name] for name in lazy], [places[name] for name in lazy], lock=False)
    for name in places:
        if name not in lazy:
            for g in range(places[name].shape[0]):
                region = (slice(g, g + 1), slice(None), slice(None))
                places[name][region] = cubes[name][g : g + 1]


def _copy(source: BinaryIO, sink: BinaryIO, start: int, end: int) -> None:
    source.seek(start)
    while start < end:
        piece = source.read(min(_COPY_BYTES, end - start))
        sink.write(piece)
        start += len(piece)


def _write_at(file: int, values: NDArray[Any], offset: int) -> None:
    view = values.data.cast("B")
    while view:
        written = os.pwrite(file, view, offset)
        view = view[written:]
        offset += written


def _synchronize(path: Path) -> None:
    """Bring a file, or the entries of a folder, to the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
