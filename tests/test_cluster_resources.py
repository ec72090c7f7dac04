"""What the files of `cluster/` tell of a worker's threads and memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from nrsdark_xr.cluster import ClusterFile
from nrsdark_xr.cluster.resources import (
    WorkerResources,
    running_resources,
    tightest,
    worker_resources,
)
from nrsdark_xr.errors import NrsdarkError

EXAMPLES = Path(__file__).parents[1] / "cluster"
GB, GIB = 10**9, 2**30


@pytest.mark.parametrize(
    ("name", "memory"),
    [
        ("local", None),
        ("address", None),
        ("gateway", None),
        ("slurm", 4 * GB),
        ("kubernetes", 4 * GIB),
        ("fargate", 4 * GIB),
        ("coiled", 4 * GIB),
    ],
)
def test_examples(name, memory):
    path = EXAMPLES / f"{name}.yaml"
    told = worker_resources(ClusterFile.load(path), source=str(path))
    assert told == WorkerResources(threads=1, memory=memory)


@pytest.mark.parametrize(
    ("kind", "kwargs", "expected"),
    [
        ("slurm", {"memory": "64GB", "cores": 16, "processes": 4}, (4, 16 * GB)),
        ("local", {"memory_limit": "3GiB", "threads_per_worker": 2}, (2, 3 * GIB)),
        ("local", {"memory_limit": "auto"}, (1, None)),
        ("coiled", {"worker_options": {"nthreads": 8}}, (8, None)),
    ],
)
def test_threads_share_the_memory_of_a_process(kind, kwargs, expected):
    file = ClusterFile(kind=kind, kwargs=kwargs)
    assert worker_resources(file, source="c.yaml") == WorkerResources(*expected)


def test_nonsense_names_the_file():
    file = ClusterFile(kind="slurm", kwargs={"memory": "plenty"})
    with pytest.raises(NrsdarkError, match=r"c\.yaml: threads or memory"):
        worker_resources(file, source="c.yaml")


class FakeClient:
    """Tells of workers as `distributed.Client.scheduler_info` does."""

    def __init__(self, *workers: tuple[int, int]):
        entries = [{"nthreads": threads, "memory_limit": memory} for threads, memory in workers]
        self.info = {"workers": {f"tcp://w:{n}": entry for n, entry in enumerate(entries)}}

    def scheduler_info(self, n_workers: int) -> dict[str, object]:
        assert n_workers == -1
        return self.info


def test_a_scheduler_tells_each_kind_of_worker_once():
    found = running_resources(FakeClient((1, 2 * GB), (4, 8 * GB), (1, 2 * GB), (2, 0)))
    assert found == {
        WorkerResources(1, 2 * GB),
        WorkerResources(4, 8 * GB),
        WorkerResources(2, None),  # 0 is no limit
    }
    assert running_resources(FakeClient()) == set()


@pytest.mark.parametrize(
    ("workers", "expected"),
    [
        ([(1, 8 * GB), (4, 2 * GB), (1, 2 * GB)], (4, 2 * GB)),
        ([(1, 2 * GB), (16, 3 * GB)], (16, 3 * GB)),  # takes 4.2 GB: more memory, yet too little
        ([(2, None), (1, 2 * GB)], (1, 2 * GB)),
        ([(1, None), (2, None)], (2, None)),
        ([], (1, None)),
    ],
)
def test_the_worker_decides_that_has_least_for_what_it_takes(workers, expected):
    kinds = [WorkerResources(*worker) for worker in workers]
    chosen = tightest(kinds, lambda threads: GB + threads * GB // 5)
    assert chosen == WorkerResources(*expected)
