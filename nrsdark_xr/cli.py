"""The command `nrsdark`: parse arguments, call what does the work, and tell errors in one line."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from nrsdark_xr.errors import NrsdarkError

DEBUG = "--debug"
INTERRUPTED = 130
"""Exit code of typer on Ctrl-C, as of a shell: 128 + SIGINT."""
TERMINATED = 128 + signal.SIGTERM
"""Exit code on SIGTERM, with which batch systems and containers end a run."""
_ENDED = {INTERRUPTED: "interrupted", TERMINATED: "terminated"}

app = typer.Typer(
    name="nrsdark",
    help="Bias, dark and bad-pixel reference files of JWST NIRSpec from raw dark exposures.",
    epilog="Start with `nrsdark demo`. Errors exit with 1, wrong usage with 2, Ctrl-C with 130, "
    "SIGTERM with 143.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

RunFile = Annotated[Path, typer.Argument(metavar="RUN.yaml", help="The run's configuration.")]
ClusterName = Annotated[
    str,
    typer.Option(help="local, threads, tcp://host:port of a scheduler, or a file as in cluster/."),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Workers on this machine; one per core unless given.")
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Beats the file.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, for programs.")]


class Step(StrEnum):
    """The five steps, in order."""

    BIAS = "bias"
    PREPARE = "prepare"
    AVERAGE = "average"
    SYNTHESIZE = "synthesize"
    ANALYZE = "analyze"


class Detector(StrEnum):
    """The two detectors."""

    NRS1 = "NRS1"
    NRS2 = "NRS2"


def _tell_version(wanted: bool) -> None:
    if wanted:
        print(f"nrsdark_xr {version('nrsdark_xr')}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option(DEBUG, help="Show tracebacks and library logs.")] = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_tell_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Bias, dark and bad-pixel reference files of JWST NIRSpec from raw dark exposures."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    logging.getLogger("nrsdark_xr").setLevel(logging.DEBUG if debug else logging.WARNING)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder to work in.")] = Path("nrsdark-demo"),
    full_frame: Annotated[
        bool, typer.Option("--full-frame", help="Full frames instead of a subarray (slow).")
    ] = False,
    irs2: Annotated[
        bool, typer.Option("--irs2/--no-irs2", help="A few IRS2 darks beside the others, or none.")
    ] = True,
) -> None:
    """Simulate darks, run all five steps on them, and show the reports."""
    from nrsdark_xr.steps.demo import run_demo

    reports = run_demo(out, full_frame=full_frame, irs2=irs2)
    if sys.stdout.isatty():
        typer.launch(str(reports[0]))
    for report in reports:
        typer.echo(report)


@app.command()
def simulate(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write.")],
    detector: Annotated[Detector, typer.Option(help="Which detector.")] = Detector.NRS1,
    readpatt: Annotated[str, typer.Option(help="Readout pattern.")] = "NRSRAPID",
    subarray: Annotated[str, typer.Option(help="FULL or a subarray.")] = "SUBS200A1",
    exposures: Annotated[int, typer.Option(min=1, help="How many exposures.")] = 10,
    groups: Annotated[int | None, typer.Option(min=1, help="Groups per exposure.")] = None,
    grating: Annotated[str | None, typer.Option(help="Grating; shifts some subarrays.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 1,
) -> None:
    """Write raw darks with known truth, matching reference files, and a run.yaml."""
    from nrsdark_xr.progress import Progress
    from nrsdark_xr.steps.demo import simulate_with_progress

    settings = {
        "detector": detector.value,
        "readpatt": readpatt,
        "subarray": subarray,
        "exposures": exposures,
        "groups": groups,
        "grating": grating,
        "seed": seed,
    }
    given = {name: value for name, value in settings.items() if value is not None}
    typer.echo(simulate_with_progress(directory, Progress(), **given))


@app.command()
def plan(
    run_file: RunFile,
    cluster: ClusterName = "local",
    workers: Workers = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Tell what a run would read, write and keep in memory; exit 1 if it would not fit."""
    from nrsdark_xr.config import RunConfig
    from nrsdark_xr.plan import check_plan, plan_run
    from nrsdark_xr.plan.text import STEP_HEADS, step_rows, summary_lines
    from nrsdark_xr.progress import Progress

    config = RunConfig.load(run_file, overrides or ())
    found = plan_run(config, cluster=cluster, workers=workers, say=Progress().say)
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=2))
    else:
        _print_table(found.name, STEP_HEADS, step_rows(found))
        for line in summary_lines(found):
            typer.echo(line)
    check_plan(found)


@app.command()
def run(
    run_file: RunFile,
    cluster: ClusterName = "local",
    workers: Workers = None,
    until: Annotated[Step, typer.Option(help="Last step to run.")] = Step.ANALYZE,
    overrides: Overrides = None,
    check: Annotated[
        bool,
        typer.Option("--check/--no-check", help="Refuse first what memory or disk would not hold."),
    ] = True,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="Write Dask's performance report of the run."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make the reference files of a run, going on where an earlier run stopped."""
    from nrsdark_xr.config import RunConfig
    from nrsdark_xr.steps import run_steps

    config = RunConfig.load(run_file, overrides or ())
    products = run_steps(
        config,
        cluster=cluster,
        workers=workers,
        until=until.value,
        check=check,
        report=report,
    )
    if as_json:
        summary = config.product("summary.json")
        typer.echo((summary.read() or b"{}").decode())
        return
    for path in products:
        typer.echo(path)


@app.command()
def status(
    run_file: RunFile,
    clean: Annotated[
        bool, typer.Option("--clean", help="Remove what killed runs left on object storage.")
    ] = False,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Show what of a run is done, and what is left."""
    from nrsdark_xr.config import RunConfig
    from nrsdark_xr.steps.clean import find_leftovers, remove_leftovers
    from nrsdark_xr.steps.status import read_status

    config = RunConfig.load(run_file, overrides or ())
    if clean:
        removed = remove_leftovers(config)
        if as_json:
            typer.echo(json.dumps({"removed": [upload.url for upload in removed]}, indent=2))
            return
        for upload in removed:
            typer.echo(f"removed: unfinished upload of {upload.url}, begun {upload.begun}")
        if not removed:
            typer.echo("nothing to remove")
        return
    found = read_status(config)
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=2))
        return
    _print_table(found.name, ("file", "date", "done", "remark"), found.rows())
    typer.echo(found.counts())
    for product, complete in found.products.items():
        state = "out of date" if product in found.outdated else "complete"
        typer.echo(f"{state if complete else 'missing':11}  {product}")
    for upload in find_leftovers(config):
        typer.echo(f"unfinished upload (--clean removes it): {upload.url}, begun {upload.begun}")


@app.command()
def compare(
    new: Annotated[Path, typer.Argument(metavar="NEW.fits", help="The new reference file.")],
    old: Annotated[Path, typer.Argument(metavar="OLD.fits", help="The one to compare it with.")],
    out: Annotated[Path | None, typer.Option(help="Folder for a page with pictures.")] = None,
    as_json: Json = False,
) -> None:
    """Compare two reference files of one kind: superbias, dark, mask or readnoise."""
    from nrsdark_xr.analysis import COLUMNS, compare_references, write_comparison

    comparison = compare_references(str(new), str(old))
    if out is not None:
        for path in write_comparison(comparison, out):
            typer.echo(path, err=as_json)
    if as_json:
        typer.echo(json.dumps(comparison.record(), indent=2))
    else:
        _print_table(comparison.kind, COLUMNS, comparison.rows())


def _print_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*heads, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # names of files are no markup
    Console().print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; the entry point of `nrsdark`.

    Exits with 0 when done, 1 when refused or failed (one line on stderr says why), 2 on wrong
    usage, 130 on Ctrl-C, 143 on SIGTERM.
    """
    # Python cleans up what a killed worker leaves behind, and would tell the user of it.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker:UserWarning")
    given = sys.argv[1:] if arguments is None else list(arguments)
    debug = DEBUG in given
    try:
        # An option of `nrsdark` itself, but nobody should have to remember where it goes.
        with _ending_on_sigterm():
            app([DEBUG, *(argument for argument in given if argument != DEBUG)] if debug else given)
    except SystemExit as end:
        if end.code in _ENDED:
            line = f"nrsdark: {_ENDED[end.code]}; the same command goes on from here"
            print(line, file=sys.stderr)
        raise
    except NrsdarkError as error:
        _fail(str(error), error, debug=debug)
    except OSError as error:
        _fail(f"{error.filename or 'system'}: {error.strerror or error}", error, debug=debug)
    except Exception as error:  # the last resort: a line for the user, the traceback for us
        line = " ".join(str(error).split())
        _fail(f"unexpected {type(error).__name__}: {line}; please report it", error, debug=debug)


@contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """Let SIGTERM leave all ``with`` blocks, so that workers end and locks are given back."""

    def end(_number: int, _frame: object) -> None:
        sys.exit(TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _fail(line: str, error: Exception, *, debug: bool) -> None:
    if debug:
        raise error
    print(f"nrsdark: {line}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
