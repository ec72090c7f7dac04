"""Memory that threads lend each other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from nrsdark_xr.calibration.workspace import Pool, shaped


def test_a_pool_makes_no_more_than_are_wanted_at_once():
    made = []
    pool = Pool(lambda: made.append(np.zeros(3)) or made[-1])
    with pool.one() as one, pool.one() as other:
        assert one is not other
    first = pool.take()
    assert len(made) == 2
    pool.give_back(first)

    def work(value: int) -> bool:
        with pool.one() as memory:
            memory[:] = value
            return bool((memory == value).all())

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(work, range(2000)))
    assert 2 <= len(made) <= 4


def test_what_is_shaped_is_no_copy():
    memory = np.arange(10)
    part = shaped(memory, (2, 3))
    assert np.shares_memory(part, memory)
    np.testing.assert_array_equal(part, [[0, 1, 2], [3, 4, 5]])
    assert part.flags.c_contiguous
