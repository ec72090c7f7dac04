"""Start the scripts of this folder, and say what is missing where that cannot be."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.waiting import PATIENCE

FOLDER = Path(__file__).parent
S3_COMMANDS = ("radosgw", "radosgw-admin", "ceph-mon", "ceph-osd", "ceph", "monmaptool", "curl")
SLURM_COMMANDS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue")
_FIRST_PORT, _LAST_PORT, _PORTS = 17000, 29000, 4


@dataclass(frozen=True)
class Server:
    """A server of its own folder and port, driven by a script of this folder."""

    script: str
    folder: Path
    port: int

    def call(self, action: str, *arguments: object) -> None:
        """Run the script; what it prints is shown when it fails."""
        command = [FOLDER / self.script, action, self.folder, *arguments]
        done = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stdout


class S3Server(Server):
    """Ceph's S3 gateway; `rgw.sh` says what may be done with it."""

    @property
    def environment(self) -> dict[str, str]:
        """What its users have in their environment."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "ci-key",
            "AWS_SECRET_ACCESS_KEY": "ci-secret-0123456789",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    @property
    def strangers_environment(self) -> dict[str, str]:
        """The same for a user who may do nothing with the buckets of the first."""
        return self.environment | {
            "AWS_ACCESS_KEY_ID": "stranger-key",
            "AWS_SECRET_ACCESS_KEY": "stranger-secret-0123456789",
        }


class SlurmServer(Server):
    """A SLURM cluster of one node."""

    @property
    def environment(self) -> dict[str, str]:
        """What its users have in their environment."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}


def require(commands: tuple[str, ...], packages: str) -> None:
    """Skip the test unless all commands are there."""
    missing = [name for name in commands if shutil.which(name, path=_search_path()) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)} here: apt-get install {packages}")


def _search_path() -> str:
    """Search also where Debian keeps daemons, which a user's PATH may lack."""
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def start_s3(folder: Path) -> S3Server:
    """Start an S3 server in `folder`; `call("down")` ends it."""
    require(S3_COMMANDS, "radosgw ceph-mon ceph-osd ceph-mgr ceph-common curl")
    server = S3Server("rgw.sh", folder, free_ports())
    _bring_up(server)
    return server


def start_slurm(folder: Path) -> SlurmServer:
    """Start a SLURM cluster of one node in `folder`; `call("down")` ends it."""
    require(SLURM_COMMANDS, "slurm-wlm munge")
    if os.geteuid() != 0:
        pytest.skip("the daemons of SLURM need root here")
    server = SlurmServer("slurm.sh", folder, free_ports())
    _bring_up(server)
    return server


def _bring_up(server: Server) -> None:
    try:
        server.call("up", server.port)
    except BaseException:
        server.call("down")  # what did come up
        raise


def free_ports() -> int:
    """Find four free ports in a row, and return the first.

    Daemons are told their ports, so these cannot be left to the system; test processes that run
    side by side begin to look at different places.
    """
    room = _LAST_PORT - _FIRST_PORT
    for offset in range(0, room, _PORTS):
        first = _FIRST_PORT + (os.getpid() * _PORTS + offset) % room
        if all(_is_free(first + number) for number in range(_PORTS)):
            return first
    pytest.skip("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
