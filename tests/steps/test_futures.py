from __future__ import annotations

import time

import pytest

from nrsdark_xr.cluster import connect
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.steps import futures
from nrsdark_xr.steps.futures import as_finished


def fail():
    raise ValueError("no")


def test_all_futures_come_however_they_end():
    with connect("threads", workers=2) as client:
        submitted = [client.submit(pow, 2, n) for n in range(20)] + [client.submit(fail)]
        ended = list(as_finished(client, submitted))
        assert {future.key for future in ended} == {future.key for future in submitted}
        assert sum(future.status == "error" for future in ended) == 1
        assert list(as_finished(client, [])) == []


def test_a_cluster_without_workers_is_given_up(monkeypatch):
    monkeypatch.setattr(futures, "SECONDS_BETWEEN_LOOKS", 0.1)
    monkeypatch.setattr(futures, "SECONDS_WITHOUT_WORKERS", 0.5)
    with connect("threads", workers=1) as client:
        client.retire_workers(close_workers=True)
        waiting = client.submit(time.sleep, 0)
        with pytest.raises(NrsdarkError, match="no worker has been left"):
            list(as_finished(client, [waiting]))
