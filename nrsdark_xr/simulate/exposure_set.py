"""From parameters to a folder that is ready to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.simulate.configuration import FULL, Configuration, Visit, configure, visit
from nrsdark_xr.simulate.exposure import Integration
from nrsdark_xr.simulate.irs2 import draw_irs2
from nrsdark_xr.simulate.irs2_samples import ReferenceSamples
from nrsdark_xr.simulate.parameters import SimulationParameters
from nrsdark_xr.simulate.pixels import Pixels
from nrsdark_xr.simulate.populations import draw_pixels
from nrsdark_xr.simulate.reference_files import write_references
from nrsdark_xr.simulate.truth import append_hits, finish, write_maps
from nrsdark_xr.simulate.uncal import write_uncal

Progress = Callable[[int, int, str], None]
"""Called with the number of groups made, their total, and the name of the exposure."""


@dataclass(frozen=True, slots=True)
class SimulatedSet:
    """What a simulation has written.

    Attributes
    ----------
    directory : Path
    exposures : tuple of Path
        In the order of their numbers; their dates are in another.
    references : dict of Path
        By reference type in lower case.
    truth : Path
        Zarr store, to be opened with `xarray.open_zarr`.
    run : Path
        RUN.yaml for all of it.
    """

    directory: Path
    exposures: tuple[Path, ...]
    references: dict[str, Path]
    truth: Path
    run: Path


def simulate(
    directory: str | Path,
    parameters: SimulationParameters | None = None,
    *,
    progress: Progress | None = None,
) -> SimulatedSet:
    """Write simulated raw darks, their reference files, the truth, and a RUN.yaml.

    The same parameters give the same bytes. Exposure number k depends on the seed and on k, not on
    how many exposures there are.

    Parameters
    ----------
    directory : str or Path
        Made if it is not there; must not hold raw exposures or a truth store yet.
    parameters : SimulationParameters, optional
        Default: ten full-frame NRSRAPID exposures of NRS1.
    progress : callable, optional
        Called after each group with the number of groups made, their total, and the name of the
        exposure.

    Returns
    -------
    SimulatedSet

    Raises
    ------
    NrsdarkError
        If the configuration cannot be simulated, or the directory cannot be written to or already
        holds exposures.
    """
    parameters = parameters or SimulationParameters()
    configuration = configure(parameters)
    try:
        return _write(_empty_directory(Path(directory)), parameters, configuration, progress)
    except OSError as error:
        raise NrsdarkError(
            f"cannot be written ({error.strerror})",
            file=error.filename or directory,
            remedy="name a folder that you may write to, on a disk with space",
        ) from error


def _write(
    directory: Path,
    parameters: SimulationParameters,
    configuration: Configuration,
    progress: Progress | None,
) -> SimulatedSet:
    """Do the work of `simulate`."""
    pixels = draw_pixels(parameters, configuration)
    irs2 = draw_irs2(parameters, configuration) if configuration.is_irs2 else None
    samples = None if irs2 is None else irs2.samples
    references = write_references(directory / "references", pixels, parameters, configuration, irs2)
    truth = directory / "truth.zarr"
    write_maps(truth, pixels, parameters, configuration, irs2)
    del irs2  # its weights are large

    exposures = []
    for number in range(parameters.exposures):
        taken = visit(number, configuration)
        path = directory / f"{taken.name(configuration)}_uncal.fits"
        groups = _expose(pixels, samples, parameters, configuration, taken, truth)
        reported = _reported(groups, taken, configuration, parameters, progress)
        write_uncal(path, configuration, taken, reported)
        exposures.append(path)
    finish(truth, parameters)
    run = _write_run(directory, references, configuration)
    return SimulatedSet(directory, tuple(exposures), references, truth, run)


def _expose(
    pixels: Pixels,
    samples: ReferenceSamples | None,
    parameters: SimulationParameters,
    configuration: Configuration,
    taken: Visit,
    truth: Path,
) -> Iterator[NDArray[np.uint16]]:
    """Yield all groups of an exposure; the hits of each finished integration go to the truth."""
    name = taken.name(configuration)
    for number in range(configuration.n_integrations):
        integration = Integration(pixels, parameters, configuration, taken, number, samples)
        yield from integration.groups()
        row = name if number == 0 else f"{name}_i{number + 1}"
        append_hits(truth, row, integration.hits())


def _reported(
    groups: Iterator[NDArray[np.uint16]],
    taken: Visit,
    configuration: Configuration,
    parameters: SimulationParameters,
    progress: Progress | None,
) -> Iterator[NDArray[np.uint16]]:
    """Pass the groups on and report each."""
    per_exposure = configuration.n_groups * configuration.n_integrations
    before = taken.index * per_exposure
    name = taken.name(configuration)
    for done, group in enumerate(groups, start=before + 1):
        yield group
        if progress is not None:
            progress(done, per_exposure * parameters.exposures, name)


def _empty_directory(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    if (directory / "truth.zarr").exists() or any(directory.glob("*_uncal.fits")):
        raise NrsdarkError(
            "the folder already holds exposures", file=directory, remedy="name another or empty it"
        )
    return directory


def _write_run(directory: Path, references: dict[str, Path], configuration: Configuration) -> Path:
    """Write the RUN.yaml; without superbias, so that the one just made is subtracted."""
    area = "full" if configuration.area.name == FULL else configuration.area.name.lower()
    used = {name: path for name, path in references.items() if name != "superbias"}
    name = f"{configuration.detector.lower()}-{area}"
    run = {
        "name": f"{name}-irs2" if configuration.is_irs2 else name,
        "inputs": "*_uncal.fits",
        "store": "ramps.zarr",
        "output": "products",
        "references": {name: path.relative_to(directory).as_posix() for name, path in used.items()},
        "pedigree": "SIMULATION",
        "previous_superbias": references["superbias"].relative_to(directory).as_posix(),
    }
    path = directory / "run.yaml"
    path.write_text(yaml.safe_dump(run, sort_keys=False))
    return path
