"""The demonstration: simulated darks through all five steps, without network or configuration."""

from __future__ import annotations

import math
from pathlib import Path

from pydantic import ValidationError

from nrsdark_xr.config import RunConfig
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.progress import Progress
from nrsdark_xr.simulate import SimulationParameters, simulate
from nrsdark_xr.simulate.configuration import configure
from nrsdark_xr.steps.run import run_steps

RAW_BYTES_PER_PIXEL = 2
SUBARRAY_DEMO: dict[str, object] = {
    "subarray": "SUBS200A1",
    "exposures": 10,
    "groups": 60,
    "seed": 1,
}
FULL_FRAME_DEMO: dict[str, object] = {"subarray": "FULL", "exposures": 4, "groups": 30, "seed": 1}
IRS2_DEMO: dict[str, object] = {
    "subarray": "FULL",
    "readpatt": "NRSIRS2RAPID",
    "exposures": 3,
    "groups": 4,
    "seed": 1,
    "reference_files": {"refpix": False},
}
"""IRS2 reads full frames only: as few as products need, and of few groups; with three groups, 36
RC pixels would be found rather than 1674. Without a REFPIX file the run makes its own."""
IRS2_FOLDER = "irs2"
CLUSTER = "threads"
"""To start workers and send them their tasks takes longer than they would save: 109 s of CPU rather
than 163, measured with five groups."""


def run_demo(directory: Path, *, full_frame: bool = False, irs2: bool = True) -> list[Path]:
    """Simulate darks unless they are there already, run all steps, and return the reports.

    Parameters
    ----------
    directory : Path
        Where everything goes.
    full_frame : bool
        Full frames rather than a small subarray.
    irs2 : bool
        Show IRS2 beside traditional readout, in a folder of its own within `directory`. Its
        weights are made from the darks, too.

    Returns
    -------
    list of Path
        The report of the traditional darks, then that of the IRS2 ones.

    Raises
    ------
    NrsdarkError
        If `directory` holds something else.
    """
    progress = Progress()
    settings = FULL_FRAME_DEMO if full_frame else SUBARRAY_DEMO
    reports = [_run(directory, progress, settings)]
    if irs2:
        reports.append(_run(directory / IRS2_FOLDER, progress, IRS2_DEMO))
    return reports


def _run(directory: Path, progress: Progress, settings: dict[str, object]) -> Path:
    """Simulate one set unless it is there, run all steps on it, and return its report."""
    run_file = directory / "run.yaml"
    if run_file.exists():
        progress.say(f"Going on with the darks in {directory}")
    else:
        if directory.exists() and any(directory.iterdir()):
            raise NrsdarkError(
                "is not empty, and holds no demonstration",
                file=directory,
                remedy="give another folder with --out",
            )
        simulate_with_progress(directory, progress, **settings)
    return Path(run_steps(RunConfig.load(run_file), cluster=CLUSTER, progress=progress)[-1])


def simulate_with_progress(directory: Path, progress: Progress, **settings: object) -> Path:
    """Simulate, show progress, and return the path of run.yaml.

    Parameters
    ----------
    directory : Path
        Where the files go.
    progress : Progress
    **settings
        Fields of `SimulationParameters`.

    Raises
    ------
    NrsdarkError
        If a setting is impossible, or the files cannot be written.
    """
    try:
        parameters = SimulationParameters.model_validate(settings)
    except ValidationError as error:
        details = error.errors()[0]
        place = ".".join(str(part) for part in details["loc"])
        raise NrsdarkError(f"{place or 'simulate'}: {details['msg']}") from error
    configuration = configure(parameters)
    group_bytes = RAW_BYTES_PER_PIXEL * math.prod(configuration.raw_shape)
    n_groups = parameters.exposures * configuration.n_integrations * configuration.n_groups
    with progress.stage(
        "simulate", total_bytes=n_groups * group_bytes, total_items=n_groups, item="groups"
    ) as stage:
        simulated = simulate(
            directory,
            parameters,
            progress=lambda _done, _total, _name: stage.advance(group_bytes, items=1),
        )
    return simulated.run
