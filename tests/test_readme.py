"""Every example of the README runs, in order, in one folder."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import matplotlib as mpl
import pytest

from nrsdark_xr.config import RunConfig

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"^```(bash|python|yaml)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def run_bash(script: str, folder: Path) -> None:
    """Run a script, and end what it left running in the background."""
    environment = os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    }
    log = folder / "log.txt"  # no pipe: background processes would keep it open
    with log.open("w") as stream:
        process = subprocess.Popen(
            ["bash", "-c", f"set -euo pipefail\n{script}"],
            cwd=folder,
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(timeout=600)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert code == 0, f"{script}\n{log.read_text()}"


def test_there_are_examples_of_each_kind():
    assert {language for language, _ in EXAMPLES} == {"bash", "python", "yaml"}


def test_the_examples_run(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "pipelines", tmp_path / "pipelines")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    with mpl.rc_context({"backend": "agg"}):
        for language, text in EXAMPLES:
            if language == "bash":
                run_bash(text, tmp_path)
            elif language == "python":
                exec(compile(text, "README.md", "exec"), names)
    assert (tmp_path / "comparison").is_dir()
    assert "hot" in names


@pytest.mark.parametrize("text", [text for language, text in EXAMPLES if language == "yaml"])
def test_the_yaml_is_a_run(text, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    config = RunConfig.load(path)
    assert config.name == "nrs1-subs200a1-t0"
    assert config.references.superbias is None


def test_pictures_and_pages_that_it_links_to_are_there():
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
