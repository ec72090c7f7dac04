"""Products of a run: files of the folder `output`, on a disk or on object storage."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.storage import reading
from nrsdark_xr.store.location import Location, writing

_FOLDER = -1


@dataclass(frozen=True)
class OutputFile:
    """One product, which is there under its name when it is complete and not before.

    Attributes
    ----------
    folder : Location
        Of all products.
    name : str
        Its name in there.
    """

    folder: Location
    name: str

    @property
    def location(self) -> Location:
        """Where it lies: what a product that is a Zarr group is opened by."""
        return Location(f"{self.folder.url}/{self.name}", self.folder.storage_options)

    @property
    def url(self) -> str:
        """Absolute path or URL."""
        return self.location.url

    @property
    def place(self) -> Path | str:
        """What to tell users: a path on this machine, else the URL."""
        return self.location.local or self.url

    def __str__(self) -> str:
        return self.url

    def __fspath__(self) -> str:
        if self.location.local is None:
            raise NrsdarkError("is not on this machine", file=self.url, remedy="fetch it first")
        return self.url

    def exists(self) -> bool:
        """Whether anything is there."""
        return self.size() is not None

    def size(self) -> int | None:
        """Bytes of a file; -1 for a folder (a Zarr group); None for what is not there."""
        fs, path = self.location.files()
        with reading(self.url):
            try:
                details = fs.info(path)
            except FileNotFoundError:
                return None
        return _FOLDER if details["type"] == "directory" else int(details["size"])

    def read(self) -> bytes | None:
        """Get it as a whole, None if it is not there."""
        return self.folder.read(self.name)

    def write(self, data: bytes) -> None:
        """Put it there as a whole."""
        self.folder.write(self.name, data)

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """Give a path on this machine under which to write the file as a whole.

        For a local product this is its own path: who writes there uses a temporary name and
        renames. A remote one is written in a temporary folder (``TMPDIR``), and put under its name
        in one piece when the block ends without an error.

        Raises
        ------
        NrsdarkError
            If it cannot be written; names the temporary folder if that is what cannot.
        """
        if self.location.local is not None:
            with writing(self.url):
                yield self.location.local
            return
        with ExitStack() as stack:
            with writing(tempfile.gettempdir()):
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="nrsdark-"))
                path = Path(folder) / self.name
                yield path
            with writing(self.url):
                fs, target = self.location.files()
                fs.put_file(os.fspath(path), target)

    @contextmanager
    def writing_group(self) -> Iterator[Location]:
        """Give a place at which to write a Zarr group, of which nothing is there.

        For a local product it has another name, which is changed when the block ends without an
        error. On object storage, where nothing can be renamed, it is the final place: the group
        counts only once the products' record names it.

        Raises
        ------
        NrsdarkError
            If it cannot be written.
        """
        with writing(self.url):
            target = self.location.local
            if target is None:
                self._remove()
                yield self.location
                return
            unfinished = target.with_name(f".{target.name}.part")
            if unfinished.exists():
                shutil.rmtree(unfinished)
            yield Location(str(unfinished))
            if target.exists():
                shutil.rmtree(target)
            unfinished.rename(target)

    def _remove(self) -> None:
        fs, path = self.location.files()
        if fs.exists(path):
            fs.rm(path, recursive=True)
