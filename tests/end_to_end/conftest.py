"""A small set of simulated darks, run once, that the tests copy and spoil."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from nrsdark_xr.config import RunConfig
from nrsdark_xr.progress import Progress
from nrsdark_xr.simulate import SimulationParameters, simulate
from nrsdark_xr.steps import run_steps

SMALL = {"subarray": "SUB512S", "exposures": 5, "groups": 8, "seed": 11}


@dataclass(frozen=True)
class Project:
    """A folder with raw darks and a run.yaml."""

    folder: Path

    @property
    def run_file(self) -> Path:
        return self.folder / "run.yaml"

    @property
    def raw(self) -> list[Path]:
        return sorted(self.folder.glob("*_uncal.fits"))

    def config(self, *overrides: str) -> RunConfig:
        return RunConfig.load(self.run_file, overrides)

    def run(self, *overrides: str, cluster: str = "threads", **options) -> tuple[list[Path], str]:
        """Run in this process; return products and what was said."""
        said = StringIO()
        products = run_steps(
            self.config(*overrides), cluster=cluster, progress=Progress(said), **options
        )
        return products, said.getvalue()

    def edit(self, before: str, after: str) -> None:
        text = self.run_file.read_text()
        assert before in text
        self.run_file.write_text(text.replace(before, after))


@pytest.fixture(scope="session")
def raw_darks(tmp_path_factory) -> Project:
    """Raw darks; not to be changed."""
    folder = tmp_path_factory.mktemp("raw")
    simulate(folder, SimulationParameters(**SMALL))
    return Project(folder)


@pytest.fixture(scope="session")
def finished(raw_darks, tmp_path_factory) -> Project:
    """A finished run; not to be changed."""
    project = copy_of(raw_darks, tmp_path_factory.mktemp("finished") / "run")
    project.run()
    return project


@pytest.fixture
def darks(raw_darks, tmp_path) -> Project:
    """Raw darks of one's own."""
    return copy_of(raw_darks, tmp_path / "run")


@pytest.fixture
def done(finished, tmp_path) -> Project:
    """A finished run of one's own."""
    return copy_of(finished, tmp_path / "run")


def copy_of(project: Project, folder: Path) -> Project:
    shutil.copytree(project.folder, folder)
    return Project(folder)


def contents(product: Path) -> dict[str, object]:
    """Everything in a FITS product but the time at which it was written."""
    content: dict[str, object] = {}
    with fits.open(product) as hdus:
        for hdu in hdus:
            if hdu.name == "ASDF":  # holds the same metadata again, with the same date
                continue
            cards = [tuple(card) for card in hdu.header.cards if card.keyword != "DATE"]
            content[f"{hdu.name} header"] = cards
            if hdu.data is not None:
                content[f"{hdu.name} data"] = np.asarray(hdu.data).tobytes()
    return content


def assert_same_products(one: Project, other: Project, name: str = "nrs1-sub512s") -> None:
    """Compare superbias, dark, mask and read noise of two runs bit by bit."""
    for kind in ("superbias", "dark", "mask", "readnoise"):
        file = f"products/{name}_{kind}.fits"
        first, second = contents(one.folder / file), contents(other.folder / file)
        assert first.keys() == second.keys()
        for part in first:
            assert first[part] == second[part], f"{file}: {part}"
