"""The one exception for what a user can mend."""

from __future__ import annotations


class NrsdarkError(Exception):
    """A failure that the user can mend, told in one line.

    The line says what is wrong, in which file, and what to do. The command line prints it to
    stderr and exits with 1; ``--debug`` shows the traceback.

    Parameters
    ----------
    what : str
        What went wrong.
    file : str, optional
        The file (or URL) that it is about.
    remedy : str, optional
        What the user can do about it.
    """

    def __init__(self, what: str, *, file: object = None, remedy: str | None = None) -> None:
        self.what = what
        self.file = None if file is None else str(file)
        self.remedy = remedy
        super().__init__(what)

    def __str__(self) -> str:
        place = "" if self.file is None else f"{self.file}: "
        remedy = "" if self.remedy is None else f"; {self.remedy}"
        return f"{place}{self.what}{remedy}"

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions come from Dask workers by pickle, which would call __init__ with `args` alone.
        return _rebuild, (type(self), self.what, self.file, self.remedy)


def _rebuild(
    kind: type[NrsdarkError], what: str, file: str | None, remedy: str | None
) -> NrsdarkError:
    return kind(what, file=file, remedy=remedy)
