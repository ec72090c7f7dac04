"""What the tests of this folder share."""

from tests.small_darks import darks, finished_set, raw_set, stop_in

__all__ = ["darks", "finished_set", "raw_set", "stop_in"]
