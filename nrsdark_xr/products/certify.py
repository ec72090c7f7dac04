"""Check a reference file by the rules of CRDS, without a server."""

from __future__ import annotations

import os
import re
from pathlib import Path

from nrsdark_xr.detector import is_irs2
from nrsdark_xr.errors import NrsdarkError

_CONTEXT = "jwst_1464.pmap"
"""Names a context, as the certifier wants one; the rules checked here do not open it."""
_USEAFTER = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_IRS2_ROWS = 3200


def certify(path: str | os.PathLike[str]) -> None:
    """Check a reference file by the rules that ``crds certify`` has for its kind.

    The validators of CRDS's `FitsCertifier` run one by one, offline. Rules that compare with the
    mappings of a context need a server and are left out. Two rules that CRDS lacks are added:
    USEAFTER has a time, and a superbias for IRS2 has the raw rows.

    Parameters
    ----------
    path : path

    Raises
    ------
    NrsdarkError
        With every rule that failed.
    """
    os.environ.setdefault("CRDS_OBSERVATORY", "jwst")
    from crds.certify.certify import FitsCertifier

    certifier = FitsCertifier(str(Path(path)), context=_CONTEXT, observatory="jwst")
    certifier.complex_init()
    certifier.header = certifier.load()
    failures = []
    for validator in certifier.validators:
        try:
            validator.check(certifier.filename, certifier.header)
        except Exception as error:  # rules raise whatever their expression raises
            failures.append(f"{getattr(validator, 'name', validator)}: {error}")
    failures += _own_failures(Path(path))
    if failures:
        raise NrsdarkError(
            f"{len(failures)} rules failed: {'; '.join(failures)}",
            file=path,
            remedy="mend the header before delivery",
        )


def _own_failures(path: Path) -> list[str]:
    from astropy.io import fits

    failures = []
    with fits.open(path) as hdus:
        header = hdus[0].header
        useafter = str(header.get("USEAFTER", ""))
        if not _USEAFTER.fullmatch(useafter):
            failures.append(f"USEAFTER: {useafter!r} has no time")
        if header.get("REFTYPE") == "SUPERBIAS" and is_irs2(str(header.get("READPATT"))):
            rows = hdus["SCI"].header["NAXIS2"]
            if rows != _IRS2_ROWS:
                failures.append(f"SCI: {rows} rows, but IRS2 has {_IRS2_ROWS}")
    return failures
