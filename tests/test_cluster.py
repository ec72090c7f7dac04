"""Clusters: by name, by address, by file; what is refused, and how."""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from io import StringIO
from pathlib import Path

import dask
import psutil
import pytest
import yaml
from distributed import Client

from nrsdark_xr.cluster import Cluster, ClusterFile, connect
from nrsdark_xr.cluster import connection as connection_module
from nrsdark_xr.cluster.providers import PROVIDERS, provided
from nrsdark_xr.cluster.versions import PACKAGES, check_versions
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.progress import Progress
from tests.dask_commands import running_scheduler, running_worker
from tests.waiting import PATIENCE, wait_for

FOLDER = Path(__file__).parents[1] / "cluster"
FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.fixture
def cluster_file(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "cluster.yaml"
        path.write_text(text)
        return path

    return write


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """The address of a scheduler with one worker, both processes of their own."""
    with (
        running_scheduler(tmp_path_factory.mktemp("scheduler")) as started,
        running_worker(started.address),
    ):
        yield started.address


def listening() -> set[tuple[int, str, int]]:
    """Tell where this process and its children listen: process, address, port."""
    found = set()
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):  # that of an earlier test, which has ended
            found |= {
                (process.pid, connection.laddr.ip, connection.laddr.port)
                for connection in process.net_connections(kind="inet")
                if connection.status == psutil.CONN_LISTEN
            }
    return found


def addresses_since(before: set[tuple[int, str, int]]) -> set[str]:
    """Tell at which addresses more listen than before."""
    return {address for _, address, _ in listening() - before}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_that_we_ship_are_valid(path):
    cluster = ClusterFile.load(path)
    assert cluster.kind == path.stem


def test_every_kind_has_a_file_and_a_row_in_the_table():
    kinds = {"local", "address", *PROVIDERS}
    assert {path.stem for path in FILES} == kinds
    readme = (FOLDER / "README.md").read_text()
    assert all(f"`{kind}.yaml`" in readme for kind in kinds)


def test_a_local_file_starts_workers_that_listen_on_localhost_only(cluster_file):
    path = cluster_file("kind: local\nworkers: 1\n")
    before = listening()
    with connect(str(path)) as client:
        assert len(client.scheduler_info()["workers"]) == 1
        assert client.submit(sum, [1, 2]).result() == 3
        assert addresses_since(before) == {"127.0.0.1"}


def test_options_of_a_local_file_beat_ours_and_the_command_line_beats_workers(cluster_file):
    path = cluster_file(
        "kind: local\nworkers: 3\nkwargs: {processes: false, threads_per_worker: 2}\n"
    )
    with connect(str(path), workers=2) as client:
        assert len(client.scheduler_info()["workers"]) == 2
        assert set(client.run(os.getpid).values()) == {os.getpid()}


def test_a_running_scheduler_is_joined_by_address_and_by_file(scheduler, cluster_file):
    path = cluster_file(f"kind: address\nkwargs: {{address: '{scheduler}'}}\n")
    for name in (scheduler, str(path)):
        with connect(name) as client:
            assert client.submit(sum, [1, 2]).result() == 3


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> tuple[Path, Path]:
    """Two certificates with their keys, each signed by itself."""
    made = []
    for name in ("ours", "theirs"):
        folder = tmp_path_factory.mktemp(name)
        command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1"
        files = ["-subj", "/CN=nrsdark", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
        try:
            subprocess.run(["openssl", *command.split(), *files], check=True, capture_output=True)
        except FileNotFoundError:
            pytest.skip("no openssl here: apt-get install openssl")
        made.append(folder)
    return made[0], made[1]


def test_tls_lets_in_who_has_the_certificate_and_nobody_else(
    certificates, cluster_file, monkeypatch
):
    from distributed import LocalCluster
    from distributed.security import Security

    ours, theirs = certificates
    files = {"tls_ca_file": str(ours / "cert.pem")}
    for role in ("scheduler", "worker", "client"):
        files |= {f"tls_{role}_cert": str(ours / "cert.pem")}
        files |= {f"tls_{role}_key": str(ours / "key.pem")}
    with LocalCluster(
        n_workers=1,
        processes=False,
        protocol="tls://",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        security=Security(require_encryption=True, **files),
    ) as cluster:

        def connected(options: dict[str, str]) -> int:
            content = {
                "kind": "address",
                "kwargs": {"address": cluster.scheduler_address, **options},
            }
            with connect(str(cluster_file(yaml.safe_dump(content)))) as client:
                return client.submit(sum, [1, 2]).result()

        client_files = ("tls_ca_file", "tls_client_cert", "tls_client_key")
        assert connected({name: files[name] for name in client_files}) == 3
        monkeypatch.setattr(connection_module, "_CONNECT_TIMEOUT", "2s")
        for others in (theirs, ours.parent):  # the last has no such files
            wrong = {name: value.replace(str(ours), str(others)) for name, value in files.items()}
            with pytest.raises(NrsdarkError) as caught:
                connected({name: wrong[name] for name in client_files})
            assert "\n" not in str(caught.value)
            assert str(caught.value).startswith("tls://127.0.0.1:")
        with pytest.raises(NrsdarkError, match=r"^tls://127\.0\.0\.1:"):
            connected({})
    assert_no_client_left()


def test_workers_leave_threads_to_the_kernels():
    def settings() -> dict[str, object]:
        import numcodecs.blosc
        import zarr  # noqa: F401  (which sets that of blosc)

        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        return {
            **{name: os.environ.get(name) for name in names},
            "blosc": numcodecs.blosc.use_threads,
        }

    with connect("local", workers=1) as client:
        found = client.submit(settings).result()
        assert list(client.nthreads().values()) == [1]
    assert found == {
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "blosc": False,
    }


def test_providers_are_imported_only_when_asked_for():
    names = [provider.module.partition(".")[0] for provider in PROVIDERS.values()]
    script = (
        "import sys, nrsdark_xr.cli, nrsdark_xr.cluster.connection, nrsdark_xr.steps\n"
        f"print(*(set({names}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_a_cluster_starts_nothing_before_it_is_asked(cluster_file):
    with Cluster(str(cluster_file("kind: nonsense")), workers=None, progress=Progress()):
        pass


def test_a_cluster_writes_a_report_and_tells_who_works(tmp_path):
    page = tmp_path / "report.html"
    cluster = Cluster("threads", workers=2, progress=Progress(StringIO()), report=page)
    with cluster:
        assert cluster.description() is None
        assert cluster.client.submit(pow, 7, 2).result() == 49
        told = cluster.description()
    assert (told["cluster"], told["workers"], told["threads"]) == ("threads", 1, 2)
    assert told["versions"]["dask"] == dask.__version__
    text = page.read_text()
    assert "number of tasks: 1" in text
    assert "<script src=" not in text  # it needs no network


def test_a_report_without_folder_is_refused_before_anything_starts(tmp_path):
    page = tmp_path / "none" / "report.html"
    with pytest.raises(NrsdarkError, match="the folder for the performance report is not there"):
        Cluster("threads", workers=None, progress=Progress(), report=page)


def _computing_thread() -> str:
    return dask.delayed(lambda: threading.current_thread().name)().compute()


def test_dask_computes_there_by_default_and_afterwards_as_before():
    with connect("threads", workers=1):
        assert "Dask-Default-Threads" in _computing_thread()
        with connect("threads", workers=1) as inner:
            assert Client.current() is inner
        assert "Dask-Default-Threads" in _computing_thread()
    assert_no_client_left()


def assert_no_client_left() -> None:
    """Check that Dask knows of no client, so that it computes in this process."""
    assert dask.config.get("scheduler", None) is None
    with pytest.raises(ValueError, match="No clients found"):
        Client.current()


def test_an_address_without_scheduler_is_refused(monkeypatch):
    monkeypatch.setattr(connection_module, "_CONNECT_TIMEOUT", "1s")
    with pytest.raises(NrsdarkError, match=r"tcp://127\.0\.0\.1:9: no scheduler answers; start"):
        connect("tcp://127.0.0.1:9").__enter__()
    assert_no_client_left()


def test_a_scheduler_without_workers_is_refused(cluster_file):
    from distributed import LocalCluster

    with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as empty:
        address = empty.scheduler_address
        path = cluster_file(f"kind: address\nwait: 0.5\nkwargs: {{address: '{address}'}}\n")
        with pytest.raises(NrsdarkError, match="has got no worker within 0 s; start some"):
            connect(str(path)).__enter__()


@pytest.mark.parametrize("kind", PROVIDERS)
def test_a_missing_provider_is_named_with_its_extra(kind, monkeypatch):
    provider = PROVIDERS[kind]
    monkeypatch.setitem(sys.modules, provider.module, None)
    with pytest.raises(NrsdarkError) as caught:
        provided(ClusterFile(kind=kind), workers=1, source="cluster.yaml").__enter__()
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("cluster.yaml: ")
    assert provider.package in line
    assert line.endswith(f"pip install 'nrsdark_xr[{provider.extra}]'")


JOB = {"cores": 1, "processes": 1, "memory": "1GB"}


def test_a_batch_scheduler_listens_on_localhost_unless_told_otherwise():
    before = listening()
    with provided(ClusterFile(kind="slurm", kwargs=JOB), workers=None, source="c.yaml") as made:
        assert made.scheduler_address.startswith("tcp://127.0.0.1:")
        assert made.dashboard_link.startswith("http://127.0.0.1:")
        assert addresses_since(before) == {"127.0.0.1"}
    told = ClusterFile(kind="slurm", kwargs={**JOB, "scheduler_options": {"host": "127.0.0.2"}})
    with provided(told, workers=None, source="c.yaml") as made:
        assert made.scheduler_address.startswith("tcp://127.0.0.2:")


def test_a_batch_system_leaves_interrupts_alone():
    script = (
        "import signal, sys\n"
        "from nrsdark_xr.cluster import ClusterFile\n"
        "from nrsdark_xr.cluster.providers import provided\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"file = ClusterFile(kind='slurm', kwargs={JOB})\n"
        "with provided(file, workers=None, source='c.yaml'):\n"
        "    assert 'dask_jobqueue.runner' in sys.modules\n"
        "    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_a_provider_refuses_is_told_in_one_line(cluster_file):
    path = cluster_file("kind: slurm\nkwargs: {cores: 1}\n")
    with pytest.raises(NrsdarkError) as caught:
        connect(str(path)).__enter__()
    line = str(caught.value)
    del caught
    gc.collect()  # dask-jobqueue warns of what it could not make, which is no matter here
    assert "\n" not in line
    assert line.startswith(f"{path}: SLURMCluster of dask-jobqueue refuses: ValueError: You must")
    assert line.endswith("; correct its `kwargs`")


def test_a_machine_without_the_batch_system_is_told_at_once(cluster_file, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    path = cluster_file(yaml.safe_dump({"kind": "slurm", "workers": 1, "kwargs": JOB}))
    with pytest.raises(NrsdarkError, match=r"the batch system refuses a job: .*'sbatch'") as caught:
        connect(str(path)).__enter__()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: slurn\n", "kind: input should be 'local'"),
        ("kwargs: {}\n", "the key 'kind' is missing"),
        ("kind: local\nkwarg: {}\n", "unknown key 'kwarg'; did you mean 'kwargs'"),
        ("kind: local\nworkers: 0\n", "workers: input should be greater than or equal to 1"),
        ("kind: address\n", "in kwargs, the key 'address' is missing"),
        (
            "kind: address\nkwargs: {address: 'tls://a:1', tls_ca: ca.pem}\n",
            "in kwargs, unknown key 'tls_ca'; did you mean 'tls_ca_file'",
        ),
        ("kind: address\nkwargs: {address: 'host:1'}\n", "in kwargs, address: string should match"),
        ("- local\n", "holds no mapping"),
        ("kind: [\n", "not valid YAML in line 2"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(cluster_file, text, message):
    path = cluster_file(text)
    with pytest.raises(NrsdarkError) as caught:
        connect(str(path)).__enter__()
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_an_unknown_name_is_refused_before_anything_starts():
    for attempt in (
        lambda: Cluster("moon", workers=None, progress=Progress()),
        lambda: connect("moon").__enter__(),
    ):
        with pytest.raises(NrsdarkError, match="unknown cluster 'moon'; give 'local', 'threads'"):
            attempt()


def test_a_missing_file_says_where_examples_are(tmp_path):
    with pytest.raises(NrsdarkError, match=r"no such file; the folder cluster/ has one"):
        connect(str(tmp_path / "none.yaml")).__enter__()


def test_tls_files_count_from_the_folder_of_the_file(cluster_file, tmp_path):
    path = cluster_file(
        "kind: address\n"
        "kwargs: {address: 'tls://h:1', tls_ca_file: ca.pem, tls_client_key: /k.pem}\n"
    )
    assert ClusterFile.load(path).kwargs == {
        "address": "tls://h:1",
        "tls_ca_file": str(tmp_path / "ca.pem"),
        "tls_client_key": "/k.pem",
    }


def test_a_manifest_of_the_operator_is_taken_as_it_is(cluster_file):
    manifest = {
        "apiVersion": "kubernetes.dask.org/v1",
        "kind": "DaskCluster",
        "metadata": {"name": "darks", "namespace": "nirspec"},
        "spec": {},
    }
    cluster = ClusterFile.load(cluster_file(yaml.safe_dump(manifest)))
    assert cluster.kind == "kubernetes"
    assert cluster.kwargs == {"custom_cluster_spec": manifest, "namespace": "nirspec"}


class FakeClient:
    """Reports versions as `distributed.Client.get_versions` does."""

    def __init__(self, whose="workers", **differing):
        own = {"python": "3.11.4.final.0", **dict.fromkeys(PACKAGES, "1.0")}
        self.reports = {
            "client": {"packages": own},
            "scheduler": {"packages": own},
            "workers": {"tcp://w:1": {"packages": own}},
        }
        other = {"packages": {**own, **differing}}
        self.reports[whose] = {"tcp://w:1": other} if whose == "workers" else other

    def get_versions(self, packages):
        assert tuple(packages) == PACKAGES
        return self.reports


def test_workers_of_other_software_are_refused():
    check_versions(FakeClient(python="3.11.9.final.0", toolz="0.1"), source="c")
    with pytest.raises(NrsdarkError) as caught:
        check_versions(FakeClient(numpy="0.9", zarr=None, python="3.12.1.final.0"), source="c")
    assert str(caught.value) == (
        "c: the worker at tcp://w:1 has python 3.12 instead of 3.11, numpy 0.9 instead of 1.0, "
        "zarr missing instead of 1.0; "
        "start scheduler and workers in the environment of this command"
    )


def test_a_scheduler_of_other_software_is_refused():
    check_versions(FakeClient("scheduler", python="3.11.9.final.0"), source="c")
    with pytest.raises(NrsdarkError, match=r"c: the scheduler has jwst missing instead of 1\.0; "):
        check_versions(FakeClient("scheduler", jwst=None), source="c")


def test_threads_listen_on_localhost_only():
    before = listening()
    with connect("threads", workers=3) as client:
        assert client.submit(os.getpid).result() == os.getpid()
        assert sum(client.nthreads().values()) == 3
        assert client.dashboard_link.startswith("http://127.0.0.1:")
        assert addresses_since(before) == {"127.0.0.1"}


def test_workers_leave_ctrl_c_to_the_client():
    with connect("local", workers=1) as client:
        worker = client.submit(os.getpid).result()
        assert worker != os.getpid()
        assert client.submit(signal.getsignal, signal.SIGINT).result() == signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) != signal.SIG_IGN
    wait_for(lambda: not psutil.pid_exists(worker))


SLOW_AGAIN = """
import os, time

try:
    os.close(os.open({flag!r}, os.O_CREAT | os.O_EXCL))
except FileExistsError:
    time.sleep(2)
"""


def test_a_killed_worker_may_take_its_time_to_come_back(tmp_path):
    """Dask would end its nanny by then."""
    script = tmp_path / "preload.py"
    script.write_text(SLOW_AGAIN.format(flag=str(tmp_path / "started")))
    impatient = {"distributed.deploy.lost-worker-timeout": "500ms"}
    with (
        dask.config.set({**impatient, "distributed.worker.preload": [str(script)]}),
        connect("local", workers=1) as client,
    ):
        os.kill(client.submit(os.getpid).result(), signal.SIGKILL)
        client.submit(time.sleep, 1).result(timeout=PATIENCE)


@pytest.mark.parametrize(("ours", "library"), [("WARNING", "CRITICAL"), ("DEBUG", "INFO")])
def test_dask_is_silent_unless_we_debug(ours, library):
    loggers = [logging.getLogger(name) for name in ("nrsdark_xr", "distributed")]
    before = [logger.level for logger in loggers]
    try:
        loggers[0].setLevel(ours)
        loggers[1].setLevel("INFO")
        connection_module._quieten_distributed()
        assert logging.getLevelName(loggers[1].level) == library
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
