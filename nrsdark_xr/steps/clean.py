"""What killed processes left on object storage, and its removal."""

from __future__ import annotations

from nrsdark_xr.config import RunConfig
from nrsdark_xr.storage.uploads import Upload, abort_uploads, find_uploads
from nrsdark_xr.store import hold_lock
from nrsdark_xr.store.location import Location


def find_leftovers(config: RunConfig) -> list[Upload]:
    """List the unfinished uploads of the store and of the products of this run.

    Those of a run that is at work just now are among them.

    Raises
    ------
    NrsdarkError
        If they cannot be listed.
    """
    store = Location.of(config.store, config.storage).url
    return [
        upload
        for prefix in (f"{store}/", config.product("").url)
        for upload in find_uploads(prefix, config.storage)
    ]


def remove_leftovers(config: RunConfig) -> list[Upload]:
    """Remove the unfinished uploads of the store and of the products of this run.

    Returns
    -------
    list of Upload
        What was removed.

    Raises
    ------
    NrsdarkError
        If a run is at work on the store, whose uploads they may be, or one cannot be removed.
    """
    with hold_lock(Location.of(config.store, config.storage)):
        uploads = find_leftovers(config)
        abort_uploads(uploads, config.storage)
    return uploads
