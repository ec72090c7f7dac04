"""Scores of the whole chain against the truth of simulated darks, as Markdown tables.

    python benchmarks/truth.py DIR --subarray ALLSLITS --exposures 10 --groups 80 --seed 1

Simulates into DIR and runs the five steps, unless that is done already; then scores the products.
What docs/truth.md shows was made by this script.
"""

from __future__ import annotations

import argparse
import warnings
from itertools import pairwise
from math import inf
from pathlib import Path

import numpy as np
from tables import (
    bounds,
    interval,
    percent,
    print_both,
    print_columns,
    print_counts,
    print_pulls,
    print_shares,
    print_table,
)
from truth_case import CUT, Case, flags_of_files, next_to_hit, snowball_region

from nrsdark_xr import RunConfig, run_steps
from nrsdark_xr.calibration.parameters import SnowballParameters
from nrsdark_xr.detector import DQ
from nrsdark_xr.products import RCParameters, clipped_mean, frame_statistics
from nrsdark_xr.products.bias import combine_bias
from nrsdark_xr.products.flags import has_neighbour
from nrsdark_xr.simulate import SimulationParameters, simulate
from nrsdark_xr.simulate.scores import attribute, completeness, pulls, purity

DRAWS = 200_000
MARGIN = 4
HOT_RATES = (0.9, 1.5, 3, 10, 100, inf)
MEASURED_RATES = (1, 1.1, 1.5, 3, 10, inf)
SHARES = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.01)
SLOW_TIMES = (1, 1.5, 2, 3, 5, 10, 31)
STEPS = (0, 3, 4, 5, 6, 8, 12, inf)
CYCLES = (0, 1, 3, 10, 30, inf)
NOISE_FACTORS = (5, 8, 11, 16)
OFFSETS = (100, 300, 500, 1001)
CHARGES = (0, 2, 3, 4, 5, 6, 8, 15, 50, inf)
JUMPS = (-inf, 0, 4, 4.5, 5, 6, 8, 15, 50, inf)
RATES = (0, 0.05, 0.8, 1.5, 10, 100, inf)


def hot_tables(case: Case) -> None:
    hot, share = case.map("hot") & case.science, case.hot_share
    found = (case.product("mask", "DQ") & DQ.HOT) != 0
    rate, true_rate = case.product("dark", "DRK"), case.map("dark_rate")
    steady = hot & (share == 1)
    print("\nHot in all exposures, by true rate:\n")
    print_shares("true rate, DN/s", "found", completeness(found, steady, true_rate, HOT_RATES))
    print("\nTurned hot within the period, by the share of exposures in which they are:\n")
    late = hot & (share < 1)
    print_columns(
        "share of exposures",
        {
            "": completeness(found, late, share, SHARES),
            "share x rate above 1 DN/s": completeness(
                found, late & (share * true_rate > 1), share, SHARES
            ),
        },
    )
    print("\nFound, by measured rate:\n")
    print_both(
        "measured rate, DN/s",
        {"hot": hot, "hot, or rate truly above 1 DN/s by its neighbours": hot | (true_rate > 1)},
        found,
        rate,
        MEASURED_RATES,
    )
    print_kinds("Wrongly found", found & ~hot, case, without="hot")
    missed = {
        "without a rate": ~np.isfinite(rate),
        "turned hot": share < 1,
        "within 3 sigma of the threshold": true_rate < 1 + 3 * case.product("dark", "UNC"),
    }
    print_counts("Missed", attribute(hot & ~found, missed, other="other"))


def rc_tables(case: Case) -> None:
    rc, found = case.map("rc") & case.science, case.found("rc")
    slow, saturating = case.map("rc_slow_time"), case.map("rc_amplitude") > 35_000
    print("\nBy the time constant of the slow exponential:\n")
    columns = {"not saturating": rc & ~saturating, "saturating": rc & saturating}
    print_columns(
        "time constant, s",
        {name: completeness(found, each, slow, SLOW_TIMES) for name, each in columns.items()},
    )
    print("\nShare of the RC pixels that meet each condition in more than half of the ramps:\n")
    conditions = rc_conditions(case)
    print_table(
        ("time constant, s", *conditions),
        (
            (interval(shares[0]), *(percent(share) for share in shares))
            for shares in zip(
                *(completeness(met, rc, slow, SLOW_TIMES) for met in conditions.values()),
                strict=True,
            )
        ),
    )
    print("\nFound, by the share of ramps in which they are candidates:\n")
    ramps = case.found("rc_count") / case.n_files
    print_shares("share of ramps", "RC", purity(found, rc, ramps, (0.5, 0.75, 0.95, 1.01)))
    print_kinds("Wrongly found", found & ~rc, case, without="RC")
    dq = case.product("dark", "DQ")
    saved = {
        "DO_NOT_USE all the same": (dq & DQ.DO_NOT_USE) != 0,
        "HOT": (case.product("mask", "DQ") & DQ.HOT) != 0,
        "UNRELIABLE_DARK": (dq & DQ.UNRELIABLE_DARK) != 0,
    }
    print_counts("Missed", attribute(rc & ~found, saved, other="without a flag"))
    count = case.average["average_count"].values[:, rc & found]
    print(
        "\nGroups of their average ramp that have a survivor, quartiles: "
        f"{np.percentile((count > 0).sum(axis=0), (25, 50, 75)).tolist()} of {count.shape[0]}."
    )
    chosen = rc & found & ~saturating
    ends = np.mean([ramp[chosen] for ramp in case.ramps["ramp"].isel(group=-1).values], axis=0)
    dark = case.product("dark", "SCI")[-1][chosen]
    print(
        f"Last group of those that do not saturate, medians: the ramps have {np.median(ends):.0f} "
        f"DN, the dark {np.median(dark):.0f} DN."
    )


def rc_conditions(case: Case) -> dict[str, np.ndarray]:
    parameters = RCParameters()
    counts = np.zeros((3, *case.science.shape), np.uint16)
    for name in case.ramps["file"].values:
        file = case.ramps.sel(file=name)
        first = file["ramp"].isel(group=0).values
        flags = file["groupdq"].isel(group=slice(1, 3)).values
        limits = frame_statistics(first[case.science], parameters=parameters.clip)
        bright = case.science & (first > limits.mean + parameters.sigma * limits.std)
        bits = np.uint8(CUT | DQ.DO_NOT_USE)
        counts += np.stack([bright, ~has_neighbour(bright), ((flags & bits) != 0).all(axis=0)])
    names = ("group 1 bright", "no neighbour bright", "groups 2 and 3 flagged")
    return dict(zip(names, counts > parameters.min_fraction * case.n_files, strict=True))


def telegraph_tables(case: Case) -> None:
    telegraph, found = case.map("rtn") & case.science, case.found("telegraph")
    with np.errstate(divide="ignore", invalid="ignore"):
        height = case.map("rtn_amplitude") / case.pair_noise
        cycle = case.map("rtn_dwell_low") + case.map("rtn_dwell_high")
        cycles = float(case.ramps["time"][-1]) / cycle
    print(
        "\nFound, by height in terms of the noise of a pair and by cycles per ramp (found / n):\n"
    )
    rows = []
    for low, high in pairwise(STEPS):
        chosen = telegraph & (height >= low) & (height < high)
        shares = completeness(found, chosen, cycles, CYCLES)
        rows.append((bounds(low, high), *(f"{percent(s)} of {s.n}" for s in shares)))
    headings = [f"{bounds(*pair)} cycles" for pair in pairwise(CYCLES)]
    print_table(("height / noise", *headings), rows)
    jumps = case.ramps["negative_jumps"].values[:, case.science]
    limits = jumps.mean(axis=1) + case.config.average.rtn.sigma * jumps.std(axis=1)
    print(f"\nThreshold: more than {limits.min():.2f} to {limits.max():.2f} negative jumps.")
    print("\nFound, by the number of ramps above the threshold:\n")
    edges = sorted({2, 3, 5, case.n_files, case.n_files + 1})
    ramps = case.found("telegraph_count")
    print_shares("ramps", "telegraph", purity(found, telegraph, ramps, edges))
    print_kinds("Wrongly found", found & ~telegraph, case, without="telegraph")


def reference_tables(case: Case) -> None:
    bad, found = case.map("bad_reference"), case.found("bad_reference")
    offset = np.abs(case.map("bad_reference_offset"))
    noise = case.map("noise_factor") / case.parameters.reference_pixels.noise_ratio
    print("\nNoisy ones, by noise in terms of that of a good one:\n")
    noisy = completeness(found, bad & (offset == 0), noise, NOISE_FACTORS)
    print_shares("noise", "found", noisy)
    print("\nIntermittent ones, by offset:\n")
    print_shares("offset, DN", "found", completeness(found, bad & (offset > 0), offset, OFFSETS))
    lonely = case.average["average_count"].values < case.n_files / 2
    cut = found & ~bad & (lonely.mean(axis=0) > 0.5)
    print(
        f"\nPurity: {np.sum(found & bad)} of {np.sum(found)} found are bad. Of the others, "
        f"{np.sum(cut)} have fewer than half of the exposures left in most groups, "
        f"{np.sum(found & ~bad & has_neighbour(bad))} lie next to a bad one."
    )


def cosmic_ray_tables(case: Case) -> None:
    n_groups = case.ramps.sizes["group"]
    hits = case.truth.sel(file=case.ramps["file"].values)
    group, core = hits["cosmic_ray_group"].values, hits["snowball_core_group"].values
    charge = hits["cosmic_ray_charge"].values / (case.map("gain") * case.pair_noise)
    first, at_hit, size = flags_of_files(case, group)
    snowballs = np.stack([snowball_region(each) for each in group])
    beside = case.quiet & (case.kinds["next to hot"] | case.kinds["next to RC"])
    everywhere = case.quiet & ~beside & ~snowballs
    print(
        f"\nLeft out: {np.mean(snowballs):.1%} of all ramps for snowballs, and those of the pixels "
        f"next to hot or RC pixels, of which {np.mean(first[:, beside] > 0):.1%} are flagged, "
        f"{np.mean((first[:, beside] > 0) & (first[:, beside] <= 3)):.1%} in the first 3 groups; "
        f"of all others {np.mean(first[everywhere] > 0):.1%}."
    )
    print(
        f"\nHits in group 1, which no difference shows: "
        f"{np.sum((group == 1) & everywhere)} of {np.sum((group > 0) & everywhere)}. "
        "Others, by charge in terms of the noise of a pair:\n"
    )
    seen = everywhere & (group > 1)
    print_shares("charge / noise", "flagged", completeness(at_hit, seen, charge, CHARGES))
    in_core = case.quiet & (core > 1) & (core == group)
    print(f"\nCores of snowballs: {np.sum(at_hit & in_core)} of {np.sum(in_core)} flagged.")

    print("\nFirst flags of quiet pixels, by the size of the difference:\n")
    flagged = everywhere & (first > 1)
    hit = flagged & (first == group)
    near = flagged & ~hit & next_to_hit(first, group)
    conditions = {"hit": hit, "hit, or next to one": hit | near}
    print_both("difference / noise", conditions, flagged, size, JUMPS)
    print_regions(everywhere, {"flagged": flagged, "hit": hit, "next to a hit": near})
    expected = 2 * 3.167e-5 * (n_groups - 1)  # of a normal distribution beyond 4 sigma
    print(f"\nNoise alone makes {expected:.2%} of false flags beyond 4 sigma.")


def print_regions(everywhere: np.ndarray, flags: dict[str, np.ndarray]) -> None:
    """Flagged ramps near to the edge and elsewhere, as jwst tells these apart.

    It holds columns against the number of rows, so most columns of a subarray are near to the edge.
    """
    y, x = np.indices(everywhere.shape[1:])
    edge = SnowballParameters().edge_size
    low, high = np.minimum(y, x), np.maximum(y, x)
    inner = (low > edge + MARGIN) & (high < everywhere.shape[1] - edge - MARGIN)
    outer = (low < edge - MARGIN) | (high > everywhere.shape[1] - edge + MARGIN)
    flags = {**flags, "neither": flags["flagged"] & ~flags["hit"] & ~flags["next to a hit"]}
    print("\nShare of the ramps of quiet pixels by the cause of the first flag:\n")
    rows = []
    for name, region in {"inner": inner, 'near to the "edge"': outer}.items():
        n = np.sum(everywhere & region)
        shares = (f"{np.sum(each & everywhere & region) / n:.2%}" for each in flags.values())
        rows.append((name, str(n), *shares))
    print_table(("pixels", "ramps", *flags), rows)


def bias_table(case: Case) -> None:
    if case.config.references.superbias is not None:
        print("\nGiven, not made.")
        return
    bias, err = case.product("superbias", "SCI"), case.product("superbias", "ERR")
    measured = pulls(bias[case.quiet], case.map("bias")[case.quiet], err[case.quiet])
    rng = np.random.default_rng(0)
    gain = float(np.median(case.map("gain")))
    reset = rng.standard_normal((case.n_files, 1, DRAWS)) * case.parameters.noise.reset / gain
    read = rng.standard_normal((case.n_files, 2, DRAWS))
    groups = reset + read * np.median(case.pair_noise[case.science]) / np.sqrt(2)
    expected = pulls(*with_truth_0(*combine_bias(groups.astype(np.float32))))
    print("\n(measured - true) / ERR of quiet pixels:\n")
    print_pulls([("bias", measured, expected.scatter)])
    difference = (bias - case.map("bias"))[case.quiet]
    spread = pulls(difference, np.zeros_like(difference), np.ones_like(difference))
    print(f"\nDifference: {spread.median:+.2f} DN, scatter {spread.scatter:.2f} DN.")


def rate_table(case: Case) -> None:
    rate, uncertainty = case.product("dark", "DRK"), case.product("dark", "UNC")
    true = case.map("dark_rate")
    draws = np.random.default_rng(0).standard_normal((case.n_files, DRAWS)).astype(np.float32)
    clipped = clipped_mean(draws)
    expected = pulls(*with_truth_0(clipped.mean, clipped.std / np.sqrt(clipped.count)))
    steady_hot = case.map("hot") & (case.hot_share == 1)
    rows = []
    for low, high in pairwise(RATES):
        chosen = (case.quiet | steady_hot) & (true >= low) & (true < high) & (true > 0)
        found = pulls(rate[chosen], true[chosen], uncertainty[chosen])
        rows.append((f"{low:g} to {high:g} DN/s", found, expected.scatter))
    print("\n(measured - true) / UNC of pixels that are neither RC nor telegraph, by true rate:\n")
    print_pulls(rows)
    normal = case.quiet & (true < 0.05)
    medians = (np.nanmedian(values[normal]) for values in (true, rate, uncertainty))
    print(
        "\nNormal pixels, medians: true rate {:.5f}, measured {:.5f}, UNC {:.5f} DN/s.".format(
            *medians
        )
    )
    levels = [np.nanmedian((each - true)[normal]) for each in case.ramps["rate"].values]
    print(
        f"Median of (rate - true) of single exposures: {min(levels):+.4f} to {max(levels):+.4f}, "
        f"mean {np.mean(levels):+.4f} +- {np.std(levels, ddof=1) / np.sqrt(case.n_files):.4f} DN/s."
    )


def with_truth_0(measured: np.ndarray, uncertainty: np.ndarray) -> tuple[np.ndarray, ...]:
    return measured, np.zeros_like(measured), uncertainty


def print_kinds(title: str, pixels: np.ndarray, case: Case, *, without: str) -> None:
    kinds = {name: kind for name, kind in case.kinds.items() if name != without}
    print_counts(title, attribute(pixels, kinds, other="other"))


TABLES = {
    "Hot pixels": hot_tables,
    "RC pixels": rc_tables,
    "Telegraph pixels": telegraph_tables,
    "Bad reference pixels": reference_tables,
    "Cosmic rays": cosmic_ray_tables,
    "Superbias": bias_table,
    "Dark rate": rate_table,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, help="where to simulate, or what to score")
    parser.add_argument("--detector", default="NRS1")
    parser.add_argument("--subarray", default="ALLSLITS")
    parser.add_argument("--exposures", type=int, default=10)
    parser.add_argument("--groups", type=int, default=80)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as of run")
    given = parser.parse_args()
    if not (given.directory / "run.yaml").exists():
        names = ("detector", "subarray", "exposures", "groups", "seed")
        settings = {name: getattr(given, name) for name in names}
        simulate(given.directory, SimulationParameters(**settings))
    config = RunConfig.load(given.directory / "run.yaml", given.set)
    run_steps(config)
    case = Case.open(given.directory, config)
    p, sizes = case.parameters, case.ramps.sizes
    print(
        f"{p.detector} {p.readpatt} {p.subarray}, {sizes['file']} exposures of {sizes['group']} "
        f"groups, seed {p.seed}{''.join(f', {override}' for override in given.set)}"
    )
    for title, table in TABLES.items():
        print(f"\n## {title}")
        table(case)


if __name__ == "__main__":
    warnings.simplefilter("ignore", UserWarning)
    main()
