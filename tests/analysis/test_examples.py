from __future__ import annotations

import numpy as np

from nrsdark_xr.analysis import PIXEL_KINDS, example_pixels
from nrsdark_xr.detector import DQ

SHAPE = (12, 14)


def empty():
    rate = np.full(SHAPE, 0.01, np.float32)
    return rate, np.zeros(SHAPE, np.uint32), np.zeros(SHAPE, bool)


def chosen(rate, dq, reference, **counts):
    pixels = example_pixels(rate=rate, dq=dq, reference_pixels=reference, **counts)
    assert tuple(pixel.kind for pixel in pixels) == PIXEL_KINDS
    return {pixel.kind: (pixel.y, pixel.x) for pixel in pixels}


def test_each_kind_is_found_where_it_is():
    rate, dq, reference = empty()
    for (y, x), value in {(2, 2): 3.0, (2, 8): 5.0, (9, 9): 50.0}.items():
        rate[y, x] = value
        dq[y, x] = DQ.HOT | DQ.DO_NOT_USE
    rate[9, 8] = 0.5  # the brightest neighbour of the brightest hot pixel
    dq[6, 3] = dq[6, 10] = DQ.RC | DQ.DO_NOT_USE
    dq[5, 5] = dq[0, 12] = DQ.TELEGRAPH
    rc_count, telegraph_count = np.zeros(SHAPE, np.uint16), np.zeros(SHAPE, np.uint16)
    rc_count[6, 3], rc_count[6, 10] = 4, 6
    telegraph_count[5, 5], telegraph_count[0, 12] = 5, 2
    found = chosen(rate, dq, reference, rc_count=rc_count, telegraph_count=telegraph_count)
    assert found["hot"] == (2, 8)
    assert found["RC"] == (6, 10)
    assert found["RTN"] == (5, 5)
    assert found["IPC neighbour"] == (9, 8)
    y, x = found["normal"]
    around = dq[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
    assert not around.any()


def test_what_is_not_there_is_none():
    rate, dq, reference = empty()
    found = chosen(rate, dq, reference)
    assert found["normal"] == (0, 0)
    assert {found[kind] for kind in PIXEL_KINDS[1:]} == {(None, None)}
    assert set(chosen(rate * np.nan, dq, reference).values()) == {(None, None)}


def test_reference_pixels_are_never_shown():
    rate, dq, reference = empty()
    reference[:, :4] = True
    dq[reference] = DQ.REFERENCE_PIXEL
    dq[3, 1] |= np.uint32(DQ.HOT)
    dq[4, 1] |= np.uint32(DQ.RC)
    found = chosen(rate, dq, reference)
    assert found["hot"] == found["RC"] == (None, None)
    assert found["normal"][1] >= 4


def test_a_hot_pixel_without_good_neighbours_is_passed_over():
    rate, dq, reference = empty()
    rate[0, 0], rate[6, 6] = 90.0, 10.0
    dq[0, 0] = dq[6, 6] = DQ.HOT
    dq[0, 1] = dq[1, 0] = DQ.DEAD
    found = chosen(rate, dq, reference)
    assert found["IPC neighbour"] == (5, 6)


def test_a_hot_telegraph_pixel_is_shown_as_hot():
    rate, dq, reference = empty()
    dq[4, 4] = DQ.HOT | DQ.TELEGRAPH
    found = chosen(rate, dq, reference)
    assert found["hot"] == (4, 4)
    assert found["RTN"] == (None, None)
