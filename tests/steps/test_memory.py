"""What is freed goes back to the system."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

MAPS, MAP_BYTES = 10, 16_000_000
FREE_SOME = f"""
import numpy as np, psutil
from nrsdark_xr.steps.memory import give_back_maps
give_back_maps()
np.ones(2 * {MAP_BYTES}, np.uint8)  # from whose size glibc would conclude that such are common
maps, others = [], []
for _ in range({MAPS}):
    maps.append(np.ones({MAP_BYTES}, np.uint8))
    others.append(np.ones(50_000, np.uint8))
before = psutil.Process().memory_info().rss
maps.clear()
print(before - psutil.Process().memory_info().rss)
"""


def test_maps_are_given_back_when_they_are_freed():
    if not hasattr(ctypes.CDLL(None), "mallopt"):
        pytest.skip("needs glibc")
    command = [sys.executable, "-c", FREE_SOME]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 0.9 * MAPS * MAP_BYTES
