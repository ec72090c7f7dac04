"""A Dask Gateway on this machine, whose clusters are processes of the user who runs it."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.start import free_ports
from tests.waiting import PATIENCE, wait_for

PASSWORD = "ci-password"
CONFIGURATION = """
c.DaskGateway.backend_class = "dask_gateway_server.backends.local.UnsafeLocalBackend"
c.DaskGateway.address = "127.0.0.1:0"
c.Proxy.address = "127.0.0.1:{port}"
c.SimpleAuthenticator.password = {password!r}
c.UnsafeLocalBackend.clusters_directory = {clusters!r}
c.UnsafeLocalBackend.cluster_start_timeout = {patience}
c.UnsafeLocalBackend.worker_start_timeout = {patience}
c.UnsafeLocalBackend.cluster_heartbeat_period = 1
c.UnsafeLocalBackend.cluster_heartbeat_timeout = {patience}
c.ClusterConfig.scheduler_cmd = {scheduler!r}
c.ClusterConfig.worker_cmd = {worker!r}
c.ClusterConfig.worker_memory = "2 G"
"""


@contextmanager
def running_gateway(folder: Path, *worker_options: str) -> Iterator[str]:
    """Run a gateway in `folder`, which asks for `PASSWORD`, and give its address."""
    for package in ("dask_gateway", "dask_gateway_server", "sqlalchemy"):
        pytest.importorskip(package, reason="needs dask-gateway and dask-gateway-server[local]")
    clusters, configuration, port = folder / "clusters", folder / "gateway.py", free_ports()
    clusters.mkdir()
    dask = [sys.executable, "-m", "dask"]
    configuration.write_text(
        CONFIGURATION.format(
            port=port,
            password=PASSWORD,
            clusters=str(clusters),
            patience=PATIENCE,
            scheduler=[*dask, "scheduler"],
            worker=[*dask, "worker", *worker_options],
        )
    )
    command = [sys.executable, "-m", "dask_gateway_server", "-f", str(configuration)]
    with (
        (folder / "gateway.log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=log, text=True) as process,
    ):
        try:
            wait_for(lambda: _answers(port), process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
