"""Runs whose workers come from a real Dask Gateway."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import yaml

from tests.end_to_end.commands import outcome, spawn
from tests.projects import assert_same_products
from tests.servers.gateway import PASSWORD, running_gateway
from tests.small_darks import NAME
from tests.waiting import PATIENCE, wait_for

FILE = Path(__file__).parents[2] / "cluster" / "gateway.yaml"


def cluster_file(folder: Path, address: str) -> str:
    """Write the file of `cluster/` for a gateway that asks for names and passwords."""
    content = yaml.safe_load(FILE.read_text())
    content["kwargs"] |= {"address": address, "auth": "basic"}
    path = folder / "gateway.yaml"
    path.write_text(yaml.safe_dump(content | {"workers": 2, "wait": PATIENCE}))
    return str(path)


def password(word: str) -> dict[str, str]:
    """Dask's own settings, in the environment."""
    return {
        "DASK_GATEWAY__AUTH__TYPE": "basic",
        "DASK_GATEWAY__AUTH__KWARGS": repr({"password": word}),
    }


def test_a_killed_worker_makes_no_difference(finished_set, darks, tmp_path, stop_in):
    stop = stop_in("calibration")
    with running_gateway(tmp_path, "--preload", str(stop.script)) as address:
        file = cluster_file(tmp_path, address)
        running = spawn(darks, "--cluster", file, environment=password(PASSWORD))
        wait_for(stop.reached, running)
        os.kill(stop.process, signal.SIGKILL)
        ended = outcome(running)
    assert ended.code == 0, ended.err
    assert_same_products(finished_set, darks, NAME)


def test_a_wrong_password_is_told(darks, tmp_path):
    with running_gateway(tmp_path) as address:
        file = cluster_file(tmp_path, address)
        line = outcome(spawn(darks, "--cluster", file, environment=password("guess"))).refusal()
    assert line.startswith(f"nrsdark: {file}: GatewayCluster of dask-gateway refuses: ")
    assert line.endswith("; correct its `kwargs`")
