"""Folders with simulated darks and a run.yaml: made, copied, run, compared."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
from astropy.io import fits

from nrsdark_xr.config import RunConfig
from nrsdark_xr.progress import Progress
from nrsdark_xr.simulate import SimulationParameters, simulate
from nrsdark_xr.steps import run_steps


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


def simulated(folder: Path, **parameters: object) -> Project:
    """Simulate raw darks."""
    simulate(folder, SimulationParameters(**parameters))
    return Project(folder)


def run_copy(project: Project, folder: Path, **options) -> Project:
    """Copy a project, and run the copy in this process."""
    copy = copy_of(project, folder)
    copy.run(**options)
    return copy


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
