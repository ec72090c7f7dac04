"""Header keywords by type; what is missing, damaged or of another type is named in one line."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures.names import safe_word

if TYPE_CHECKING:
    from astropy.io import fits

AGAIN = "fetch the file again"
"""What to do about a damaged file."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Keywords:
    """The keywords of one header.

    Each method takes a keyword and returns its value; without a `default`, a missing or empty
    keyword is an error, as a value of another type always is.

    Attributes
    ----------
    header : astropy.io.fits.Header
    url : str
        The file, for messages.
    """

    header: fits.Header
    url: str

    def text(self, key: str, default: str | None = None) -> str:
        """Return any text as it is."""
        return self._get(key, str, "text", default)

    def word(self, key: str, default: str | None = None) -> str:
        """Return a text of safe characters only (`safe_word`)."""
        return self._get(key, lambda value: safe_word(str(value).strip()), "a word", default)

    def whole(self, key: str, default: int | None = None, *, least: int | None = None) -> int:
        """Return a whole number, not below `least`."""

        def convert(value: Any) -> int:
            if isinstance(value, (bool, str)) or value != int(value):
                raise ValueError
            if least is not None and value < least:
                raise ValueError
            return int(value)

        kind = "a whole number" if least is None else f"a whole number of at least {least}"
        return self._get(key, convert, kind, default)

    def positive(self, key: str, default: float | None = None) -> float:
        """Return a finite number above zero."""

        def convert(value: Any) -> float:
            if isinstance(value, (bool, str)) or not (math.isfinite(value) and value > 0):
                raise ValueError
            return float(value)

        return self._get(key, convert, "a positive number", default)

    def start(self) -> str:
        """Return DATE-OBS and TIME-OBS as ``YYYY-MM-DDThh:mm:ss.sss``."""
        day = self.text("DATE-OBS").strip()

        def join(time: object) -> str:
            moment = datetime.fromisoformat(f"{day}T{time}")
            if moment.tzinfo is not None:
                raise ValueError
            return moment.isoformat(timespec="milliseconds")

        return self._get("TIME-OBS", join, f"a time on {day!r}, which DATE-OBS says", None)

    def _get(self, key: str, convert: Callable[[Any], T], kind: str, default: T | None) -> T:
        from astropy.io.fits import VerifyError

        try:
            value = self.header.get(key)
        except VerifyError as error:
            raise NrsdarkError(f"keyword {key} is damaged", file=self.url, remedy=AGAIN) from error
        if not isinstance(value, (str, bool, int, float)) or value == "":
            if default is None:
                raise NrsdarkError(f"keyword {key} is missing", file=self.url, remedy=AGAIN)
            return default
        try:
            return convert(value)
        except (OverflowError, TypeError, ValueError) as error:
            raise NrsdarkError(
                f"keyword {key} is {value!r}, not {kind}", file=self.url, remedy=AGAIN
            ) from error
